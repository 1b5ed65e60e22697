/* SPDX-License-Identifier: Apache-2.0 */
/* control_reverse.c: reverse mode through owners of regions.
 *
 * A body is rebuilt inside a new region and differentiated there. Loops save their carries: the
 * forward loop is built once more with the carries as further results, and takes the place of
 * the first one (superseded_by), so that nothing runs twice but the bodies, which the backward
 * loop computes again, without their effects. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/ops/control.h"

void mica_list_add(mica_value_list *list, mica_value value) {
  if (list->graph->status != MICA_OK) return;
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 16;
    mica_value *grown = mica_arena_allocate(&list->graph->arena, capacity * sizeof *grown);
    if (!grown) {
      mica_fail(list->graph, MICA_OUT_OF_MEMORY, "out of memory");
      return;
    }
    if (list->count) memcpy(grown, list->at, list->count * sizeof *grown);
    list->at = grown;
    list->capacity = capacity;
  }
  list->at[list->count++] = value;
}

static bool is_float(mica_value value) {
  mica_dtype dtype = mica_dtype_of(value);
  return mica_dtype_is_float(dtype) || mica_dtype_is_complex(dtype);
}
static mica_value or_zeros(mica_value value, mica_value like) {
  return value.id ? value : mica_zeros(like.graph, mica_type_of(like));
}

/* A region of the rule's node, rebuilt in the current region. */
typedef struct {
  mica_value *arguments; /* declared, then captured: all of the current region, made before floor */
  size_t declared, count;
  mica_value *results;
  size_t result_count;
  uint32_t floor;
} replayed_body;

bool mica_replay_body(const mica_rule *rule, uint32_t r, const mica_value *declared, bool effects,
                      mica_value **arguments, size_t *argument_count, mica_value **results,
                      uint32_t *floor) {
  mica_graph *graph = rule->graph;
  if (graph->status != MICA_OK) return false;
  const mica_node *node = &graph->nodes[rule->id];
  uint32_t index = graph->owned[node->region_first + r];
  size_t all = graph->regions[index].argument_count, own = graph->regions[index].declared_count;
  size_t result_count = graph->regions[index].result_count;
  *arguments = mica_arena_allocate(&graph->arena, (all + result_count + 1) * sizeof **arguments);
  if (!*arguments) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return false;
  }
  *results = *arguments + all;
  *argument_count = all;
  if (own) memcpy(*arguments, declared, own * sizeof **arguments);
  mica_captured_arguments(graph, rule->id, r, rule->in, *arguments);
  for (size_t k = 0; k < all; k++) {
    uint32_t id = mica_resolve(graph, (*arguments)[k]);
    if (!id) return false;
    (*arguments)[k] = mica_value_of(graph, id);
  }
  *floor = graph->count;
  mica_replay(graph, graph, index, *arguments, effects ? NULL : mica_leave_out_effects, NULL,
              *results);
  return graph->status == MICA_OK;
}

static bool rebuild(const mica_rule *rule, uint32_t r, const mica_value *declared, bool effects,
                    replayed_body *body) {
  const mica_region_data *region = mica_node_region(rule->graph, &rule->graph->nodes[rule->id], r);
  body->declared = region->declared_count;
  body->result_count = region->result_count;
  return mica_replay_body(rule, r, declared, effects, &body->arguments, &body->count,
                          &body->results, &body->floor);
}

/* Cotangents of the body's arguments; cotangents[j].id == 0: zero. */
static mica_value *reverse_body(const mica_rule *rule, const replayed_body *body,
                                const mica_value *cotangents) {
  mica_graph *graph = rule->graph;
  mica_value_list y = {.graph = graph}, ct = {.graph = graph};
  for (size_t j = 0; j < body->result_count; j++)
    if (cotangents[j].id && is_float(body->results[j])) {
      mica_list_add(&y, body->results[j]);
      mica_list_add(&ct, cotangents[j]);
    }
  mica_value *given = mica_arena_allocate_zeroed(&graph->arena, body->count + 1, sizeof *given);
  if (!given) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return NULL;
  }
  mica_reverse_mode(graph, body->floor, y.at, ct.at, y.count, body->arguments, body->count, given);
  return graph->status == MICA_OK ? given : NULL;
}

static mica_type *types_for(mica_graph *graph, const mica_value *values, size_t count) {
  mica_type *types = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *types);
  if (!types) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (size_t i = 0; types && i < count; i++) types[i] = mica_type_of(values[i]);
  return types;
}

static mica_value *values_for(mica_graph *graph, size_t count) {
  mica_value *values = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *values);
  if (!values) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  return values;
}

/* ---- call, recompute, custom gradient -------------------------------------------------------- */

/* In place: what is built twice is equal, so sharing merges it with the inlined call. */
static void reverse_inline(const mica_rule *rule, const mica_value *in,
                           const mica_value *cotangents, mica_value *out) {
  mica_rule mapped = *rule;
  mapped.in = in;
  replayed_body body;
  if (!rebuild(&mapped, 0, in, false, &body)) return;
  mica_value *given = reverse_body(&mapped, &body, cotangents);
  for (size_t i = 0; given && i < rule->in_count; i++) out[i] = given[i];
}

void mica_call_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  reverse_inline(rule, rule->in, cotangents, out);
}

/* The barrier ties the inputs to the cotangents: nothing is computed again before they are
 * there, and no pass can share it with the forward computation. */
void mica_recompute_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  mica_graph *graph = rule->graph;
  mica_value_list all = {.graph = graph};
  for (size_t i = 0; i < rule->in_count; i++) mica_list_add(&all, rule->in[i]);
  for (size_t j = 0; j < rule->out_count; j++)
    if (cotangents[j].id) mica_list_add(&all, cotangents[j]);
  mica_value *after = values_for(graph, all.count), *behind = values_for(graph, rule->out_count);
  if (graph->status != MICA_OK || !after || !behind) return;
  mica_emit_results(graph, MICA_OP_BARRIER, all.at, all.count, NULL, after, all.count);
  size_t at = rule->in_count;
  for (size_t j = 0; j < rule->out_count; j++)
    behind[j] = cotangents[j].id ? after[at++] : mica_no_value(graph);
  reverse_inline(rule, after, behind, out);
}

void mica_custom_gradient_vjp(const mica_rule *rule, const mica_value *cotangents,
                              mica_value *out) {
  mica_graph *graph = rule->graph;
  const mica_node *node = &graph->nodes[rule->id];
  size_t declared = node->declared_count;
  mica_value *arguments = values_for(graph, declared + rule->out_count);
  if (!arguments) return;
  for (size_t i = 0; i < declared; i++) arguments[i] = rule->in[i];
  for (size_t j = 0; j < rule->out_count; j++)
    arguments[declared + j] = or_zeros(cotangents[j], rule->out[j]);
  replayed_body body;
  if (!rebuild(rule, 1, arguments, true, &body)) return; /* not a copy */
  for (size_t i = 0; i < declared; i++)
    if (is_float(rule->in[i])) out[i] = body.results[i];
}

/* ---- switch ---------------------------------------------------------------------------------- */

/* A switch over the same index whose cases give the cotangents of everything that any case
 * captured. */
void mica_switch_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  mica_graph *graph = rule->graph;
  uint32_t regions = graph->nodes[rule->id].region_count;
  mica_value_list unique = {.graph = graph};
  for (size_t i = 1; i < rule->in_count; i++) {
    bool seen = !is_float(rule->in[i]);
    for (size_t u = 0; u < unique.count && !seen; u++) seen = unique.at[u].id == rule->in[i].id;
    if (!seen) mica_list_add(&unique, rule->in[i]);
  }
  if (!unique.count) return;
  uint32_t block = mica_block_open(graph, MICA_OP_SWITCH, rule->in, 1, NULL);
  mica_value *results = values_for(graph, unique.count);
  for (uint32_t r = 0; r < regions && results && graph->status == MICA_OK; r++) {
    replayed_body body;
    if (!mica_block_enter(graph, block, NULL, 0) || !rebuild(rule, r, NULL, false, &body)) return;
    mica_value *given = reverse_body(rule, &body, cotangents);
    mica_value *captured = values_for(graph, body.count);
    if (!given || !captured) return;
    mica_captured_arguments(graph, rule->id, r, rule->in, captured);
    for (size_t u = 0; u < unique.count; u++) {
      results[u] = mica_no_value(graph);
      for (size_t k = 0; k < body.count; k++)
        if (captured[k].id == unique.at[u].id) results[u] = mica_add_values(results[u], given[k]);
      results[u] = or_zeros(results[u], unique.at[u]);
    }
    mica_block_leave(graph, block, results, unique.count);
  }
  mica_block_close(graph, block, results, unique.count);
  if (graph->status != MICA_OK) return;
  for (size_t u = 0; u < unique.count; u++)
    for (size_t i = 1; i < rule->in_count; i++)
      if (rule->in[i].id == unique.at[u].id) {
        out[i] = results[u];
        break; /* once for all operands that are the same value */
      }
}

/* ---- scan ------------------------------------------------------------------------------------ */

/* The scan of `rule` with every carry, as it is before its iteration, stacked as a further
 * result. Gives the id of that node; it takes the place of the first one where both stand in one
 * region. */
static uint32_t scan_with_carries(const mica_rule *rule) {
  mica_graph *graph = rule->graph;
  if (graph->nodes[rule->id].stacked_by) return graph->nodes[rule->id].stacked_by;
  bool instead =
      !graph->nodes[rule->id].superseded_by && graph->current == graph->nodes[rule->id].region;
  const mica_scan_attr *attr = rule->attr;
  size_t declared = graph->nodes[rule->id].declared_count, carries = (size_t)attr->carry_count;
  uint32_t block = mica_block_open(graph, MICA_OP_SCAN, rule->in, declared, attr);
  const mica_region_data *region = mica_node_region(graph, &graph->nodes[rule->id], 0);
  mica_type *types = mica_arena_allocate(&graph->arena, (declared + 1) * sizeof *types);
  mica_value *arguments = values_for(graph, declared);
  if (!block || !types || !arguments) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return 0;
  }
  for (size_t i = 0; i < declared; i++) types[i] = graph->nodes[region->arguments[i]].type;
  if (!mica_block_enter(graph, block, types, declared)) return 0;
  for (size_t i = 0; i < declared; i++) arguments[i] = mica_block_argument(graph, block, i);
  replayed_body body;
  if (!rebuild(rule, 0, arguments, instead, &body)) return 0;
  mica_value_list results = {.graph = graph};
  for (size_t j = 0; j < body.result_count; j++) mica_list_add(&results, body.results[j]);
  for (size_t j = 0; j < carries; j++) mica_list_add(&results, arguments[j]);
  mica_value *made = values_for(graph, results.count);
  mica_block_leave(graph, block, results.at, results.count);
  if (!made) return 0;
  mica_block_close(graph, block, made, results.count);
  if (graph->status != MICA_OK) return 0;
  if (graph->current == graph->nodes[rule->id].region)
    graph->nodes[rule->id].stacked_by = made[0].id;
  if (instead) graph->nodes[rule->id].superseded_by = made[0].id;
  return made[0].id;
}

void mica_scan_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  mica_graph *graph = rule->graph;
  const mica_scan_attr *attr = rule->attr;
  size_t declared = graph->nodes[rule->id].declared_count, carries = (size_t)attr->carry_count;
  size_t items = declared - carries, captures = rule->in_count - declared,
         emits = rule->out_count - carries;
  uint32_t saved = scan_with_carries(rule);
  if (!saved || graph->status != MICA_OK) return;
  /* Operands of the backward scan: cotangents of float carries, sums for float captures | saved
   * carries, items, cotangents of emitted values that have one. */
  mica_value_list in = {.graph = graph};
  for (size_t j = 0; j < carries; j++)
    if (is_float(rule->in[j])) mica_list_add(&in, or_zeros(cotangents[j], rule->in[j]));
  size_t float_carries = in.count;
  for (size_t k = 0; k < captures; k++)
    if (is_float(rule->in[declared + k]))
      mica_list_add(&in, mica_zeros(graph, mica_type_of(rule->in[declared + k])));
  size_t backward_carries = in.count;
  for (size_t j = 0; j < carries; j++)
    mica_list_add(&in, mica_value_of(graph, saved + (uint32_t)(carries + emits + j)));
  for (size_t i = 0; i < items; i++) mica_list_add(&in, rule->in[carries + i]);
  for (size_t e = 0; e < emits; e++)
    if (cotangents[carries + e].id) mica_list_add(&in, cotangents[carries + e]);
  mica_scan_attr backward = {
      .length = attr->length, .carry_count = (int64_t)backward_carries, .reverse = !attr->reverse};
  uint32_t block = mica_block_open(graph, MICA_OP_SCAN, in.at, in.count, &backward);
  mica_type *types = types_for(graph, in.at, in.count);
  if (!block || !types) return;
  for (size_t i = backward_carries; i < in.count; i++) { /* slices of what is stacked */
    mica_shape *shape = &types[i].shape;
    for (int32_t k = 0; k + 1 < shape->rank; k++) shape->dim[k] = shape->dim[k + 1];
    shape->dim[--shape->rank] = 0;
  }
  if (!mica_block_enter(graph, block, types, in.count)) return;
  mica_value *arguments = values_for(graph, declared),
             *given_out = values_for(graph, rule->out_count);
  if (!arguments || !given_out) return;
  for (size_t i = 0; i < declared; i++)
    arguments[i] = mica_block_argument(graph, block, backward_carries + i);
  size_t at = 0;
  for (size_t j = 0; j < carries; j++)
    given_out[j] =
        is_float(rule->in[j]) ? mica_block_argument(graph, block, at++) : mica_no_value(graph);
  at = backward_carries + declared;
  for (size_t e = 0; e < emits; e++)
    given_out[carries + e] =
        cotangents[carries + e].id ? mica_block_argument(graph, block, at++) : mica_no_value(graph);
  replayed_body body;
  if (!rebuild(rule, 0, arguments, false, &body)) return;
  mica_value *given = reverse_body(rule, &body, given_out);
  if (!given) return;
  mica_value_list results = {.graph = graph};
  for (size_t j = 0; j < carries; j++)
    if (is_float(arguments[j])) mica_list_add(&results, or_zeros(given[j], arguments[j]));
  at = float_carries;
  for (size_t k = 0; k < captures; k++)
    if (is_float(body.arguments[declared + k]))
      mica_list_add(&results,
                    mica_add_values(mica_block_argument(graph, block, at++), given[declared + k]));
  for (size_t i = 0; i < items; i++)
    if (is_float(arguments[carries + i]))
      mica_list_add(&results, or_zeros(given[carries + i], arguments[carries + i]));
  mica_block_leave(graph, block, results.at, results.count);
  mica_value *made = values_for(graph, results.count);
  if (!made) return;
  mica_block_close(graph, block, made, results.count);
  if (graph->status != MICA_OK) return;
  at = 0;
  for (size_t j = 0; j < carries; j++)
    if (is_float(rule->in[j])) out[j] = made[at++];
  for (size_t k = 0; k < captures; k++)
    if (is_float(rule->in[declared + k])) out[declared + k] = made[at++];
  for (size_t i = 0; i < items; i++)
    if (is_float(rule->in[carries + i])) out[carries + i] = made[at++];
}

/* ---- while ----------------------------------------------------------------------------------- */

/* The loop with a counter and, for each state, a buffer [max_iterations, ...] of its values. */
static uint32_t while_with_states(const mica_rule *rule) {
  mica_graph *graph = rule->graph;
  if (graph->nodes[rule->id].stacked_by) return graph->nodes[rule->id].stacked_by;
  bool instead =
      !graph->nodes[rule->id].superseded_by && graph->current == graph->nodes[rule->id].region;
  const mica_while_attr *attr = rule->attr;
  size_t count = graph->nodes[rule->id].declared_count;
  mica_value_list in = {.graph = graph};
  for (size_t i = 0; i < count; i++) mica_list_add(&in, rule->in[i]);
  mica_list_add(&in, mica_scalar(graph, MICA_I32, 0));
  for (size_t i = 0; i < count; i++) {
    mica_type type = mica_type_of(rule->in[i]);
    if (type.shape.rank == MICA_MAX_RANK) {
      mica_rule_failed(rule, "reverse mode needs one axis more than the %d of state %zu",
                       MICA_MAX_RANK, i);
      return 0;
    }
    for (int32_t k = type.shape.rank++; k > 0; k--) type.shape.dim[k] = type.shape.dim[k - 1];
    type.shape.dim[0] = attr->max_iterations;
    mica_list_add(&in, mica_zeros(graph, type));
  }
  uint32_t block = mica_block_open(graph, MICA_OP_WHILE, in.at, in.count, attr);
  mica_type *types = types_for(graph, in.at, in.count);
  mica_value *arguments = values_for(graph, in.count);
  if (!block || !types || !arguments) return 0;
  replayed_body condition, body;
  if (!mica_block_enter(graph, block, types, in.count)) return 0;
  for (size_t i = 0; i < count; i++) arguments[i] = mica_block_argument(graph, block, i);
  if (!rebuild(rule, 0, arguments, instead, &condition)) return 0;
  mica_block_leave(graph, block, condition.results, 1);
  if (!mica_block_enter(graph, block, types, in.count)) return 0;
  for (size_t i = 0; i < in.count; i++) arguments[i] = mica_block_argument(graph, block, i);
  if (!rebuild(rule, 1, arguments, instead, &body)) return 0;
  mica_value_list results = {.graph = graph};
  for (size_t i = 0; i < count; i++) mica_list_add(&results, body.results[i]);
  mica_list_add(&results, mica_add_number(arguments[count], 1));
  for (size_t i = 0; i < count; i++)
    mica_list_add(&results,
                  mica_update_axis(arguments[count + 1 + i], arguments[i], arguments[count], 0));
  mica_block_leave(graph, block, results.at, results.count);
  mica_value *made = values_for(graph, results.count);
  if (!made) return 0;
  mica_block_close(graph, block, made, results.count);
  if (graph->status != MICA_OK) return 0;
  if (graph->current == graph->nodes[rule->id].region)
    graph->nodes[rule->id].stacked_by = made[0].id;
  if (instead) graph->nodes[rule->id].superseded_by = made[0].id;
  return made[0].id;
}

void mica_while_vjp(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  mica_graph *graph = rule->graph;
  const mica_while_attr *attr = rule->attr;
  if (!attr->max_iterations) {
    mica_rule_failed(rule,
                     "cannot be differentiated in reverse mode without a bound: expected "
                     "max_iterations of mica_while_begin");
    return;
  }
  size_t count = graph->nodes[rule->id].declared_count;
  const mica_region_data *condition_region = mica_node_region(graph, &graph->nodes[rule->id], 0);
  size_t first = count + condition_region->argument_count -
                 condition_region->declared_count; /* of the body's captures */
  uint32_t saved = while_with_states(rule);
  if (!saved || graph->status != MICA_OK) return;
  mica_value_list in = {.graph = graph};
  mica_list_add(&in, mica_value_of(graph, saved + (uint32_t)count));
  for (size_t i = 0; i < count; i++)
    if (is_float(rule->in[i])) mica_list_add(&in, or_zeros(cotangents[i], rule->in[i]));
  size_t sums = in.count;
  for (size_t k = first; k < rule->in_count; k++)
    if (is_float(rule->in[k])) mica_list_add(&in, mica_zeros(graph, mica_type_of(rule->in[k])));
  mica_while_attr backward = {.max_iterations = attr->max_iterations};
  uint32_t block = mica_block_open(graph, MICA_OP_WHILE, in.at, in.count, &backward);
  mica_type *types = types_for(graph, in.at, in.count);
  mica_value *states = values_for(graph, count), *given_out = values_for(graph, count);
  if (!block || !types || !states || !given_out || !mica_block_enter(graph, block, types, in.count))
    return;
  mica_value more = mica_greater_number(mica_block_argument(graph, block, 0), 0);
  mica_block_leave(graph, block, &more, 1);
  if (!mica_block_enter(graph, block, types, in.count)) return;
  mica_value step = mica_sub_number(mica_block_argument(graph, block, 0), 1);
  size_t at = 1;
  for (size_t i = 0; i < count; i++) {
    states[i] = mica_index_axis(mica_value_of(graph, saved + (uint32_t)(count + 1 + i)), step, 0);
    given_out[i] =
        is_float(rule->in[i]) ? mica_block_argument(graph, block, at++) : mica_no_value(graph);
  }
  replayed_body body;
  if (!rebuild(rule, 1, states, false, &body)) return;
  mica_value *given = reverse_body(rule, &body, given_out);
  if (!given) return;
  mica_value_list results = {.graph = graph};
  mica_list_add(&results, step);
  for (size_t i = 0; i < count; i++)
    if (is_float(states[i])) mica_list_add(&results, or_zeros(given[i], states[i]));
  at = sums;
  for (size_t k = count; k < body.count; k++)
    if (is_float(body.arguments[k]))
      mica_list_add(&results, mica_add_values(mica_block_argument(graph, block, at++), given[k]));
  mica_block_leave(graph, block, results.at, results.count);
  mica_value *made = values_for(graph, results.count);
  if (!made) return;
  mica_block_close(graph, block, made, results.count);
  if (graph->status != MICA_OK) return;
  at = 1;
  for (size_t i = 0; i < count; i++)
    if (is_float(rule->in[i])) out[i] = made[at++];
  for (size_t k = first; k < rule->in_count; k++)
    if (is_float(rule->in[k])) out[k] = made[at++];
}
