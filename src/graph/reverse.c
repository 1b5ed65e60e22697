/* SPDX-License-Identifier: Apache-2.0 */
/* reverse.c: reverse mode. One sweep up marks what depends on x; one sweep down hands each node's
 * cotangent to its operands by the rule of its kind. Rules build graph, so the result can be
 * differentiated again.
 *
 * The sweep goes through the open regions only: a closed block is one node with a rule of its
 * own, and a captured value passes its cotangent on to the outer value it stands for. */
#include <stdio.h>
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

typedef struct {
  mica_graph *graph;
  uint32_t floor, limit; /* ids looked at: [floor, limit] */
  bool *depends;         /* on some x */
  mica_value *cotangent;
  mica_value *in, *out, *results; /* scratch for the widest node */
} reverse_sweep;

static bool differentiable(mica_dtype dtype) {
  return mica_dtype_is_float(dtype) || mica_dtype_is_complex(dtype);
}

/* The outer value that a captured argument of an open region stands for, 0 for declared
 * arguments. */
uint32_t mica_captured_outer(const mica_graph *graph, uint32_t id) {
  const mica_node *node = &graph->nodes[id];
  const mica_region_data *region = &graph->regions[node->region];
  int64_t index = ((const mica_argument_attr *)node->attr)->index;
  return index < region->declared_count ? 0 : region->captures[index - region->declared_count];
}

bool mica_node_is_open(const mica_graph *graph, uint32_t id) {
  return graph->regions[graph->nodes[id].region].state == MICA_REGION_OPEN;
}

static bool any_operand_depends(const reverse_sweep *s, const mica_node *node) {
  const uint32_t *operands = mica_node_operands(s->graph, node);
  for (uint32_t i = 0; i < node->operand_count; i++)
    if (s->depends[operands[i]]) return true;
  return false;
}

static void mark_dependent(reverse_sweep *s) {
  const mica_graph *graph = s->graph;
  for (uint32_t id = s->floor; id <= s->limit; id++) {
    const mica_node *node = &graph->nodes[id];
    if (s->depends[id] || !mica_node_is_open(graph, id) || !differentiable(node->type.dtype))
      continue;
    if (node->op == MICA_OP_ARGUMENT) {
      uint32_t outer = mica_captured_outer(graph, id);
      s->depends[id] = outer && s->depends[outer];
    } else {
      uint32_t index;
      const mica_node *owner = &graph->nodes[mica_owner_of_result(graph, id, &index)];
      s->depends[id] = mica_op_definition((mica_op)owner->op)->kind != MICA_KIND_CONSTANT &&
                       any_operand_depends(s, owner);
    }
  }
}

static void give(reverse_sweep *s, uint32_t id, mica_value cotangent) {
  if (!cotangent.id || !s->depends[id]) return;
  s->cotangent[id] = mica_add_values(s->cotangent[id], cotangent);
}

bool mica_expand_here(const mica_rule *rule, uint32_t *out_floor, mica_value **out_in,
                      mica_value **out) {
  mica_graph *graph = rule->graph;
  *out_in =
      mica_arena_allocate(&graph->arena, (rule->in_count + rule->out_count + 1) * sizeof **out_in);
  if (!*out_in) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return false;
  }
  *out = *out_in + rule->in_count;
  for (size_t i = 0; i < rule->in_count; i++) {
    (*out_in)[i] = mica_value_of(graph, mica_resolve(graph, rule->in[i]));
    if (!(*out_in)[i].id) return false;
  }
  mica_rule here = *rule;
  here.in = *out_in;
  *out_floor = graph->count;
  rule->def->expand(&here, *out);
  return graph->status == MICA_OK;
}

/* A composite without a rule of its own: its expansion is built and differentiated in place. */
static void reverse_expansion(const mica_rule *rule, const mica_value *cotangents,
                              mica_value *in_cotangents) {
  uint32_t floor;
  mica_value *in, *out;
  if (mica_expand_here(rule, &floor, &in, &out))
    mica_reverse_mode(rule->graph, floor, out, cotangents, rule->out_count, in, rule->in_count,
                      in_cotangents);
}

static void reverse_node(reverse_sweep *s, uint32_t id) {
  mica_graph *graph = s->graph;
  mica_node node = graph->nodes[id]; /* a copy: rules append */
  const mica_op_def *def = mica_op_definition((mica_op)node.op);
  bool reached = false;
  for (uint32_t i = 0; i < node.result_count; i++) {
    s->results[i] = s->cotangent[id + i];
    reached = reached || s->results[i].id;
    s->out[i] = mica_value_of(graph, id + i);
  }
  /* What is constant does not hand on, though it may be differentiated by itself. */
  if (!reached || def->kind == MICA_KIND_CONSTANT || !any_operand_depends(s, &node)) return;
  for (uint32_t i = 0; i < node.operand_count; i++)
    s->in[i] = mica_value_of(graph, mica_node_operands(graph, &node)[i]);
  mica_rule rule = {.graph = graph,
                    .def = def,
                    .id = id,
                    .attr = node.attr,
                    .in = s->in,
                    .in_count = node.operand_count,
                    .out = s->out,
                    .out_count = node.result_count};
  graph->scope = mica_backward_scope(graph, node.scope);
  if (def->vjp || (def->expand && !def->derivative && !def->transpose)) {
    mica_value *given =
        mica_arena_allocate_zeroed(&graph->arena, node.operand_count + 1u, sizeof *given);
    if (!given) {
      mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
      return;
    }
    if (def->vjp)
      def->vjp(&rule, s->results, given);
    else
      reverse_expansion(&rule, s->results, given);
    for (uint32_t i = 0; i < node.operand_count; i++) {
      uint32_t operand = mica_node_operands(graph, &node)[i];
      if (s->depends[operand])
        give(s, operand, mica_mutated((mica_op)node.op, MICA_RULE_VJP, i, given[i]));
    }
    return;
  }
  for (uint32_t i = 0; i < node.operand_count; i++) {
    uint32_t operand = mica_node_operands(graph, &node)[i];
    if (!s->depends[operand]) continue;
    mica_value given = mica_no_value(graph);
    if (def->derivative)
      given = def->derivative(&rule, i, s->results[0]);
    else if (def->transpose && (def->linear_operands >> (i < 31 ? i : 31) & 1))
      given = def->transpose(&rule, i, s->results);
    else if (!def->transpose)
      mica_rule_failed(&rule, "cannot be differentiated in reverse mode: expected mica_jvp");
    give(s, operand, mica_mutated((mica_op)node.op, MICA_RULE_VJP, i, given));
  }
}

static bool sweep_begin(reverse_sweep *s) {
  size_t widest = 1;
  for (uint32_t id = s->floor; id <= s->limit; id++) {
    const mica_node *node = &s->graph->nodes[id];
    if (node->op == MICA_OP_RESULT) continue;
    if (node->operand_count > widest) widest = node->operand_count;
    if (node->result_count > widest) widest = node->result_count;
  }
  s->depends =
      mica_arena_allocate_zeroed(&s->graph->arena, (size_t)s->limit + 1, sizeof *s->depends);
  s->cotangent =
      mica_arena_allocate_zeroed(&s->graph->arena, (size_t)s->limit + 1, sizeof *s->cotangent);
  s->in = mica_arena_allocate(&s->graph->arena, 3 * widest * sizeof *s->in);
  if (!s->depends || !s->cotangent || !s->in) {
    mica_fail(s->graph, MICA_OUT_OF_MEMORY, "out of memory");
    return false;
  }
  s->out = s->in + widest;
  s->results = s->out + widest;
  return true;
}

void mica_reverse_mode(mica_graph *graph, uint32_t floor, const mica_value *y,
                       const mica_value *y_cotangent, size_t y_count, const mica_value *x,
                       size_t x_count, mica_value *out) {
  for (size_t i = 0; i < x_count; i++) out[i] = mica_no_value(graph);
  if (!graph || graph->status != MICA_OK || !y_count || !x_count) return;
  uint32_t scope = graph->scope;
  reverse_sweep s = {.graph = graph, .floor = floor ? floor : 1};
  for (size_t j = 0; j < y_count; j++)
    if (y[j].id > s.limit) s.limit = y[j].id;
  for (size_t i = 0; i < x_count; i++)
    if (x[i].id > s.limit) s.limit = x[i].id;
  /* Results of one node are contiguous: look at all of them. */
  while (s.limit + 1 < graph->count && graph->nodes[s.limit + 1].op == MICA_OP_RESULT) s.limit++;
  if (!sweep_begin(&s)) return;
  for (size_t i = 0; i < x_count; i++)
    s.depends[x[i].id] = differentiable(graph->nodes[x[i].id].type.dtype);
  mark_dependent(&s);
  for (size_t j = 0; j < y_count; j++) give(&s, y[j].id, y_cotangent[j]);
  for (uint32_t id = s.limit; id >= s.floor && graph->status == MICA_OK; id--) {
    const mica_node *node = &graph->nodes[id];
    if (node->op == MICA_OP_RESULT || !mica_node_is_open(graph, id)) continue;
    if (node->op == MICA_OP_ARGUMENT) {
      uint32_t outer = mica_captured_outer(graph, id);
      if (outer && s.cotangent[id].id) give(&s, outer, s.cotangent[id]);
    } else {
      reverse_node(&s, id);
    }
  }
  for (size_t i = 0; i < x_count; i++) {
    bool repeated = false;
    for (size_t k = 0; k < i && floor; k++) repeated = repeated || x[k].id == x[i].id;
    if (!repeated && graph->status == MICA_OK) out[i] = s.cotangent[x[i].id];
  }
  graph->scope = scope;
}

/* ---- the public functions -------------------------------------------------------------------- */

/* Checks values and resolves them nowhere: outer values are differentiated where they stand. */
static bool usable_values(mica_graph *graph, const char *name, const char *what,
                          const mica_value *values, size_t count) {
  char why[MICA_MESSAGE_SIZE];
  if (!mica_list_given(graph, name, what, values, count)) return false;
  for (size_t i = 0; i < count; i++) {
    bool usable = mica_value_usable(graph, values[i], why, sizeof why);
    if (usable && mica_canonical(graph, values[i]).id == values[i].id) continue;
    if (usable)
      snprintf(why, sizeof why,
               "it is an argument of the condition: expected mica_argument of the body");
    mica_fail_operator(graph, name, values, count, "%s %zu: %s", what, i, why);
    return false;
  }
  return true;
}

static bool same_types(mica_graph *graph, const char *name, const mica_value *a,
                       const mica_value *b, size_t count, const char *what) {
  for (size_t i = 0; i < count; i++)
    if (!mica_type_equal(mica_type_of(a[i]), mica_type_of(b[i]))) {
      mica_fail_operator(graph, name, (mica_value[]){a[i], b[i]}, 2,
                         "%s %zu: expected the first type, not the second", what, i);
      return false;
    }
  return true;
}

mica_value *mica_results_room(mica_graph *graph, size_t count) {
  if (!graph || graph->status != MICA_OK) return NULL;
  mica_value *made = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *made);
  if (!made) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (size_t i = 0; made && i < count; i++) made[i] = mica_no_value(graph);
  return made;
}
void mica_results_hand_over(mica_graph *graph, const char *op, const mica_value *like,
                            mica_value *made, size_t count, mica_value *out) {
  for (size_t i = 0; made && i < count && graph->status == MICA_OK; i++)
    if (!made[i].id) made[i] = mica_zeros_like(like[i]);
  mica_results_clear(graph, op, like, count, out, count);
  bool good = made && graph->status == MICA_OK;
  for (size_t i = 0; good && i < count; i++) out[i] = made[i];
}

void mica_vjp(const mica_value *y, const mica_value *y_cotangent, size_t y_count,
              const mica_value *x, size_t x_count, mica_value *out) {
  MICA_ENTRY(mica_graph_of(y, y_count));
  mica_graph *graph = mica_graph_of(y, y_count);
  if (!graph) graph = mica_graph_of(x, x_count);
  mica_value *made = mica_results_room(graph, x_count);
  if (made && usable_values(graph, "vjp", "result", y, y_count) &&
      usable_values(graph, "vjp", "cotangent", y_cotangent, y_count) &&
      usable_values(graph, "vjp", "input", x, x_count) &&
      same_types(graph, "vjp", y, y_cotangent, y_count, "cotangent"))
    mica_reverse_mode(graph, 0, y, y_cotangent, y_count, x, x_count, made);
  mica_results_hand_over(graph, "vjp", x, made, x_count, out);
}

static bool gradients_wanted(mica_graph *graph, mica_value loss, const mica_value *x,
                             size_t count) {
  if (!usable_values(graph, "gradients", "loss", &loss, 1) ||
      !usable_values(graph, "gradients", "input", x, count))
    return false;
  mica_type type = mica_type_of(loss);
  if (type.shape.rank || !mica_dtype_is_float(type.dtype)) {
    mica_fail_operator(
        graph, "gradients", &loss, 1,
        "expected a float [] as the loss: reduce it first, or use mica_vjp or mica_jacobian");
    return false;
  }
  for (size_t i = 0; i < count; i++)
    if (!differentiable(mica_dtype_of(x[i]))) {
      mica_fail_operator(graph, "gradients", x, count,
                         "input %zu has dtype %s: expected a float or complex dtype", i,
                         mica_dtype_name(mica_dtype_of(x[i])));
      return false;
    }
  return true;
}

void mica_gradients(mica_value loss, const mica_value *x, size_t count, mica_value *out) {
  MICA_ENTRY(loss.graph);
  mica_graph *graph = loss.graph ? loss.graph : mica_graph_of(x, count);
  mica_value *made = mica_results_room(graph, count);
  if (made && gradients_wanted(graph, loss, x, count)) {
    mica_value one = mica_scalar(graph, mica_dtype_of(loss), 1);
    mica_reverse_mode(graph, 0, &loss, &one, 1, x, count, made);
  }
  mica_results_hand_over(graph, "gradients", x, made, count, out);
}
