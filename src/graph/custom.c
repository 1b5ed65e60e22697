/* SPDX-License-Identifier: Apache-2.0 */
/* custom.c: the object behind a custom operator: its life, its binding to parsed graphs, and running its
 * kernel on the memory that a backend gives. How it becomes a node is in ops/custom.c. */
#include "graph/custom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "graph/attributes.h"

/* ---- life ------------------------------------------------------------------------------------ */

static bool good_custom_name(const char *name) {
  if (!name || !*name) return false;
  for (const char *c = name; *c; c++)
    if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
          *c == '_' || *c == '.' || *c == '-'))
      return false;
  return true;
}

mica_custom_operator *mica_custom_create(const mica_custom_options *given, mica_error *error) {
  mica_custom_options options = {0};
  if (given && given->struct_size) {
    size_t size = given->struct_size < sizeof options ? given->struct_size : sizeof options;
    memcpy(&options, given, size);
  }
  size_t length = options.name ? strlen(options.name) + 1 : 0, whole;
  if (given && !given->struct_size)
    mica_error_set(error, MICA_INVALID,
                   "custom_create: struct_size is 0: expected sizeof(mica_custom_options)");
  else if (!good_custom_name(options.name))
    mica_error_set(error, MICA_INVALID,
                   "custom_create: the name is \"%s\": expected letters, digits, '_', '.' or '-'",
                   options.name ? options.name : "");
  else if (!options.run)
    mica_error_set(error, MICA_INVALID, "custom_create: %s has no `run`: expected a kernel",
                   options.name);
  else if (options.effect && (options.gradient || options.tangent))
    mica_error_set(error, MICA_INVALID,
                   "custom_create: %s has an effect and a derivative: expected one of them",
                   options.name);
  else if (mica_size_add(sizeof(mica_custom_operator), length, &whole)) {
    mica_custom_operator *custom = mica_allocate(NULL, whole);
    if (custom) {
      atomic_init(&custom->reference_count, 1);
      custom->allocation_size = whole;
      custom->options = options;
      custom->options.name = memcpy((char *)(custom + 1), options.name, length);
      return custom;
    }
    mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for custom operator %s", options.name);
  }
  return NULL;
}

mica_custom_operator *mica_custom_retain(mica_custom_operator *custom) {
  if (custom) atomic_fetch_add_explicit(&custom->reference_count, 1, memory_order_relaxed);
  return custom;
}

void mica_custom_release(mica_custom_operator *custom) {
  if (!custom) return;
  if (atomic_fetch_sub_explicit(&custom->reference_count, 1, memory_order_acq_rel) != 1) return;
  if (custom->options.release) custom->options.release(custom->options.user);
  mica_free(NULL, custom, custom->allocation_size);
}

/* ---- parsed graphs --------------------------------------------------------------------------- */

static const mica_custom_attr *custom_attribute(const mica_graph *graph, uint32_t id) {
  mica_op op = (mica_op)graph->nodes[id].op;
  return op == MICA_OP_CUSTOM || op == MICA_OP_CUSTOM_EFFECT ? graph->nodes[id].attr : NULL;
}

/* Whether the operator gives the node the results that the text says. */
static bool same_results(const mica_graph *graph, uint32_t id, const mica_custom_operator *custom,
                         const char *config, mica_error *error) {
  const mica_node *node = &graph->nodes[id];
  mica_type in[MICA_CUSTOM_MOST] = {{0}}, out[MICA_CUSTOM_MOST] = {{0}};
  for (uint32_t i = 0; i < node->operand_count && i < MICA_CUSTOM_MOST; i++)
    in[i] = graph->nodes[mica_node_operands(graph, node)[i]].type;
  const mica_custom_options *o = &custom->options;
  mica_status status = MICA_OK;
  if (o->infer)
    status = o->infer(o->user, in, node->operand_count, config, out, node->result_count, error);
  else
    out[0] = in[0];
  bool same = status == MICA_OK && (o->infer || node->result_count == 1);
  for (uint32_t i = 0; i < node->result_count && same; i++)
    same = mica_type_equal(out[i], graph->nodes[id + i].type);
  if (!same)
    mica_error_set(error, MICA_INVALID,
                   "graph_bind_custom: %s gives other results than the graph says", o->name);
  return same;
}

mica_status mica_graph_bind_custom(mica_graph *graph, mica_custom_operator *custom,
                                   mica_error *error) {
  mica_status status = mica_graph_status(graph, error);
  if (status != MICA_OK) return status;
  if (!custom)
    return mica_error_set(error, MICA_INVALID, "graph_bind_custom: the operator is NULL");
  bool found = false;
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_custom_attr *attr = custom_attribute(graph, id);
    if (!attr || attr->custom || strcmp(attr->name, custom->options.name)) continue;
    mica_custom_attr bound = *attr;
    bound.custom = custom;
    bool effect = graph->nodes[id].op == MICA_OP_CUSTOM_EFFECT;
    if (effect != custom->options.effect)
      return mica_error_set(error, MICA_INVALID, "graph_bind_custom: %s has %s effect in the graph",
                            attr->name, effect ? "an" : "no");
    if (!same_results(graph, id, custom, attr->config, error)) return MICA_INVALID;
    mica_custom_attr *copy = mica_arena_copy(&graph->arena, &bound, sizeof bound);
    if (!copy || !mica_graph_keep(graph, (mica_retained){.custom = mica_custom_retain(custom)}))
      return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
    graph->nodes[id].attr = copy;
    found = true;
  }
  if (found) return MICA_OK;
  return mica_error_set(error, MICA_NOT_FOUND,
                        "graph_bind_custom: the graph has no unbound custom operator \"%s\"",
                        custom->options.name);
}

mica_status mica_custom_check_bound(const mica_graph *graph, mica_error *error) {
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_custom_attr *attr = custom_attribute(graph, id);
    if (attr && !attr->custom)
      return mica_error_set(error, MICA_INVALID,
                            "custom operator '%s' is not bound: give it by mica_graph_bind_custom",
                            attr->name);
  }
  return MICA_OK;
}

/* ---- running --------------------------------------------------------------------------------- */

static mica_status run_assert(const mica_graph *graph, uint32_t id, const bool *in, bool *out,
                              mica_error *error) {
  const mica_node *node = &graph->nodes[id];
  const mica_assert_attr *attr = node->attr;
  int64_t count = mica_shape_count(node->type.shape), first = -1;
  for (int64_t i = 0; i < count; i++) {
    out[i] = in[i];
    if (!in[i] && first < 0) first = i;
  }
  if (first < 0) return MICA_OK;
  char place[160] = "";
  size_t used = 0;
  int64_t inner = count;
  for (int32_t axis = 0; axis < node->type.shape.rank; axis++) {
    inner /= node->type.shape.dim[axis];
    int length = snprintf(place + used, sizeof place - used, "%s%" PRId64, axis ? ", " : " at [",
                          first / inner);
    if (length > 0 && (size_t)length < sizeof place - used) used += (size_t)length;
    first %= inner;
  }
  const char *scope = mica_scope_text(graph, node->scope);
  return mica_error_set(error, MICA_INVALID, "assertion failed%s%s: %s%s%s", place,
                        *place ? "]" : "", attr->message, *scope ? ", in scope " : "", scope);
}

mica_status mica_custom_run(const mica_graph *graph, uint32_t id, const void *const *in,
                            void *const *out, mica_error *error) {
  const mica_node *node = &graph->nodes[id];
  if (node->op == MICA_OP_ASSERT) return run_assert(graph, id, in[0], out[0], error);
  const mica_custom_attr *attr = node->attr;
  mica_type in_types[MICA_CUSTOM_MOST], out_types[MICA_CUSTOM_MOST];
  for (uint32_t i = 0; i < node->operand_count; i++)
    in_types[i] = graph->nodes[mica_node_operands(graph, node)[i]].type;
  for (uint32_t i = 0; i < node->result_count; i++) out_types[i] = graph->nodes[id + i].type;
  mica_custom_call call = {.struct_size = sizeof call,
                           .in = in,
                           .in_types = in_types,
                           .in_count = node->operand_count,
                           .out = out,
                           .out_types = out_types,
                           .out_count = node->result_count,
                           .config = attr->config};
  mica_error own = {0};
  const mica_custom_options *o = &attr->custom->options;
  mica_status status = o->run(o->user, &call, &own);
  if (status == MICA_OK) return MICA_OK;
  const char *scope = mica_scope_text(graph, node->scope);
  return mica_error_set(error, status, "custom operator %s: %s%s%s", attr->name,
                        *own.message ? own.message : mica_status_text(status),
                        *scope ? ", in scope " : "", scope);
}
