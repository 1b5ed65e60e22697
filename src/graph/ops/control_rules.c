/* SPDX-License-Identifier: Apache-2.0 */
/* control_rules.c: forward mode and batching of owners of regions. Both rebuild the bodies: with
 * tangents beside the values, or for all examples at once. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/ops/control.h"

static bool has_tangent_type(mica_value value) {
  mica_dtype dtype = mica_dtype_of(value);
  return mica_dtype_is_float(dtype) || mica_dtype_is_complex(dtype);
}

static mica_value *scratch_values(mica_graph *graph, size_t count) {
  mica_value *values = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *values);
  if (!values) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  return values;
}

static size_t body_declared(const mica_rule *rule, uint32_t r) {
  return mica_node_region(rule->graph, &rule->graph->nodes[rule->id], r)->declared_count;
}
static size_t body_results(const mica_rule *rule, uint32_t r) {
  return mica_node_region(rule->graph, &rule->graph->nodes[rule->id], r)->result_count;
}

/* Rebuilds body r on declared arguments; gives its results and their tangents ({0}: zero).
 * tangents are those of the rule's operands, of which the captured ones are used. */
static bool forward_body(const mica_rule *rule, uint32_t r, const mica_value *declared,
                         const mica_value *declared_tangents, const mica_value *tangents,
                         bool effects, mica_value **out_results, mica_value **out_tangents) {
  mica_graph *graph = rule->graph;
  size_t count = 0, own = body_declared(rule, r), results = body_results(rule, r);
  mica_value *arguments;
  uint32_t floor;
  if (!mica_replay_body(rule, r, declared, effects, &arguments, &count, out_results, &floor))
    return false;
  mica_value *given = scratch_values(graph, count);
  *out_tangents = scratch_values(graph, results);
  if (!given || !*out_tangents) return false;
  mica_captured_arguments(graph, rule->id, r, tangents, given);
  for (size_t i = 0; i < own; i++) given[i] = declared_tangents[i];
  mica_forward_mode(graph, floor, *out_results, results, arguments, given, count, *out_tangents);
  return graph->status == MICA_OK;
}

static mica_value tangent_or_zeros(mica_value tangent, mica_value like) {
  return tangent.id ? tangent : mica_zeros(like.graph, mica_type_of(like));
}

/* The values take the place of the rule's node, by a node of as many results. */
static void put_in_place(const mica_rule *rule, const mica_value *values) {
  mica_graph *graph = rule->graph;
  mica_value *behind = scratch_values(graph, rule->out_count);
  if (!behind || graph->status != MICA_OK) return;
  mica_emit_results(graph, MICA_OP_BARRIER, values, rule->out_count, NULL, behind, rule->out_count);
  if (graph->status == MICA_OK) graph->nodes[rule->id].superseded_by = behind[0].id;
}

/* ---- forward mode ---------------------------------------------------------------------------- */

void mica_call_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out) {
  mica_value *results, *made;
  bool instead = mica_takes_the_place(rule, tangents);
  if (!forward_body(rule, 0, rule->in, tangents, tangents, instead, &results, &made)) return;
  if (instead) put_in_place(rule, results);
  for (size_t j = 0; j < rule->out_count; j++) out[j] = made[j];
}

void mica_switch_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out) {
  mica_graph *graph = rule->graph;
  uint32_t regions = graph->nodes[rule->id].region_count;
  mica_value_list like = {.graph = graph};
  for (size_t j = 0; j < rule->out_count; j++)
    if (has_tangent_type(rule->out[j])) mica_list_add(&like, rule->out[j]);
  if (!like.count) return;
  bool instead = mica_takes_the_place(rule, tangents); /* the values too, then */
  size_t values = instead ? rule->out_count : 0;
  uint32_t block = mica_block_open(graph, MICA_OP_SWITCH, rule->in, 1, NULL);
  for (uint32_t r = 0; r < regions && graph->status == MICA_OK; r++) {
    mica_value *results, *made;
    if (!mica_block_enter(graph, block, NULL, 0) ||
        !forward_body(rule, r, NULL, NULL, tangents, instead, &results, &made))
      return;
    mica_value_list given = {.graph = graph};
    for (size_t j = 0; j < values; j++) mica_list_add(&given, results[j]);
    for (size_t j = 0; j < rule->out_count; j++)
      if (has_tangent_type(rule->out[j]))
        mica_list_add(&given, tangent_or_zeros(made[j], results[j]));
    mica_block_leave(graph, block, given.at, given.count);
  }
  mica_value *made = scratch_values(graph, values + like.count);
  if (!made) return;
  mica_block_close(graph, block, made, values + like.count);
  if (instead) put_in_place(rule, made);
  size_t at = values;
  for (size_t j = 0; j < rule->out_count && graph->status == MICA_OK; j++)
    if (has_tangent_type(rule->out[j])) out[j] = made[at++];
}

/* The arguments of an open block from `at` on, for values that can have a tangent; {0} for
 * others. */
static size_t tangent_arguments(mica_graph *graph, uint32_t block, size_t at,
                                const mica_value *like, size_t count, mica_value *out) {
  for (size_t i = 0; i < count; i++)
    out[i] =
        has_tangent_type(like[i]) ? mica_block_argument(graph, block, at++) : mica_no_value(graph);
  return at;
}

void mica_while_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out) {
  mica_graph *graph = rule->graph;
  size_t count = graph->nodes[rule->id].declared_count;
  bool instead = mica_takes_the_place(rule, tangents);
  mica_value_list in = {.graph = graph};
  for (size_t i = 0; i < count; i++) mica_list_add(&in, rule->in[i]);
  for (size_t i = 0; i < count; i++)
    if (has_tangent_type(rule->in[i]))
      mica_list_add(&in, tangent_or_zeros(tangents[i], rule->in[i]));
  uint32_t block = mica_block_open(graph, MICA_OP_WHILE, in.at, in.count, rule->attr);
  mica_type *types = mica_arena_allocate(&graph->arena, (in.count + 1) * sizeof *types);
  mica_value *state = scratch_values(graph, count), *moving = scratch_values(graph, count);
  if (!block || !types || !state || !moving) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < in.count; i++) types[i] = mica_type_of(in.at[i]);
  mica_value *results, *made, *arguments;
  size_t argument_count;
  uint32_t floor;
  if (!mica_block_enter(graph, block, types, in.count)) return;
  for (size_t i = 0; i < count; i++) state[i] = mica_block_argument(graph, block, i);
  if (!mica_replay_body(rule, 0, state, instead, &arguments, &argument_count, &results, &floor))
    return;
  mica_block_leave(graph, block, results, 1);
  if (!mica_block_enter(graph, block, types, in.count)) return;
  for (size_t i = 0; i < count; i++) state[i] = mica_block_argument(graph, block, i);
  tangent_arguments(graph, block, count, state, count, moving);
  if (!forward_body(rule, 1, state, moving, tangents, instead, &results, &made)) return;
  mica_value_list next = {.graph = graph};
  for (size_t i = 0; i < count; i++) mica_list_add(&next, results[i]);
  for (size_t i = 0; i < count; i++)
    if (has_tangent_type(state[i])) mica_list_add(&next, tangent_or_zeros(made[i], state[i]));
  mica_block_leave(graph, block, next.at, next.count);
  mica_value *final = scratch_values(graph, next.count);
  if (!final) return;
  mica_block_close(graph, block, final, next.count);
  if (instead) put_in_place(rule, final);
  size_t at = count;
  for (size_t i = 0; i < count && graph->status == MICA_OK; i++)
    if (has_tangent_type(rule->in[i])) out[i] = final[at++];
}

void mica_scan_jvp(const mica_rule *rule, const mica_value *tangents, mica_value *out) {
  mica_graph *graph = rule->graph;
  const mica_scan_attr *attr = rule->attr;
  size_t declared = graph->nodes[rule->id].declared_count, carries = (size_t)attr->carry_count;
  size_t emits = rule->out_count - carries;
  bool instead = mica_takes_the_place(rule, tangents);
  mica_value_list in = {.graph = graph};
  for (size_t i = 0; i < carries; i++) mica_list_add(&in, rule->in[i]);
  for (size_t i = 0; i < carries; i++)
    if (has_tangent_type(rule->in[i]))
      mica_list_add(&in, tangent_or_zeros(tangents[i], rule->in[i]));
  size_t all_carries = in.count;
  for (size_t i = carries; i < declared; i++) mica_list_add(&in, rule->in[i]);
  for (size_t i = carries; i < declared; i++)
    if (tangents[i].id) mica_list_add(&in, tangents[i]);
  mica_scan_attr wider = {
      .length = attr->length, .carry_count = (int64_t)all_carries, .reverse = attr->reverse};
  uint32_t block = mica_block_open(graph, MICA_OP_SCAN, in.at, in.count, &wider);
  mica_type *types = mica_arena_allocate(&graph->arena, (in.count + 1) * sizeof *types);
  mica_value *arguments = scratch_values(graph, declared),
             *moving = scratch_values(graph, declared);
  if (!block || !types || !arguments || !moving) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < in.count; i++) {
    types[i] = mica_type_of(in.at[i]);
    if (i < all_carries) continue;
    mica_shape *shape = &types[i].shape;
    for (int32_t k = 0; k + 1 < shape->rank; k++) shape->dim[k] = shape->dim[k + 1];
    shape->dim[--shape->rank] = 0;
  }
  if (!mica_block_enter(graph, block, types, in.count)) return;
  for (size_t i = 0; i < carries; i++) arguments[i] = mica_block_argument(graph, block, i);
  tangent_arguments(graph, block, carries, arguments, carries, moving);
  size_t at = all_carries;
  for (size_t i = carries; i < declared; i++)
    arguments[i] = mica_block_argument(graph, block, at++);
  for (size_t i = carries; i < declared; i++)
    moving[i] = tangents[i].id ? mica_block_argument(graph, block, at++) : mica_no_value(graph);
  mica_value *results, *made;
  if (!forward_body(rule, 0, arguments, moving, tangents, instead, &results, &made)) return;
  mica_value_list next = {.graph = graph};
  for (size_t i = 0; i < carries; i++) mica_list_add(&next, results[i]);
  for (size_t i = 0; i < carries; i++)
    if (has_tangent_type(arguments[i]))
      mica_list_add(&next, tangent_or_zeros(made[i], arguments[i]));
  size_t values = instead ? emits : 0;
  for (size_t e = 0; e < values; e++) mica_list_add(&next, results[carries + e]);
  for (size_t e = 0; e < emits; e++)
    if (has_tangent_type(results[carries + e]))
      mica_list_add(&next, tangent_or_zeros(made[carries + e], results[carries + e]));
  mica_block_leave(graph, block, next.at, next.count);
  mica_value *final = scratch_values(graph, next.count);
  if (!final) return;
  mica_block_close(graph, block, final, next.count);
  if (graph->status != MICA_OK) return;
  if (instead) {
    mica_value_list all = {.graph = graph};
    for (size_t i = 0; i < carries; i++) mica_list_add(&all, final[i]);
    for (size_t e = 0; e < emits; e++) mica_list_add(&all, final[all_carries + e]);
    put_in_place(rule, all.at);
  }
  at = carries;
  for (size_t i = 0; i < carries; i++)
    if (has_tangent_type(rule->in[i])) out[i] = final[at++];
  at = all_carries + values;
  for (size_t e = 0; e < emits; e++)
    if (has_tangent_type(rule->out[carries + e])) out[carries + e] = final[at++];
}

/* ---- batching -------------------------------------------------------------------------------- */

/* Rebuilds region r for `size` examples. declared_batched is for its declared arguments; those
 * of captured ones come from the operands'. out_batched as in mica_batch_region. */
static bool batch_body(const mica_rule *rule, uint32_t r, const mica_value *declared,
                       bool all_declared, const bool *declared_batched, const bool *batched,
                       int64_t size, mica_value *results, bool *out_batched) {
  mica_graph *graph = rule->graph;
  if (graph->status != MICA_OK) return false;
  const mica_node *node = &graph->nodes[rule->id];
  uint32_t index = graph->owned[node->region_first + r];
  size_t own = graph->regions[index].declared_count, count = graph->regions[index].argument_count;
  mica_value *arguments = scratch_values(graph, count);
  bool *flags = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *flags);
  if (!arguments || !flags) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
  size_t at = node->declared_count;
  for (uint32_t k = 0; k < r; k++)
    at += mica_node_region(graph, node, k)->argument_count -
          mica_node_region(graph, node, k)->declared_count;
  for (size_t i = 0; i < count; i++) {
    arguments[i] = i < own ? declared[i] : rule->in[at + i - own];
    flags[i] = i < own ? all_declared || declared_batched[i] : batched[at + i - own];
  }
  mica_batch_region(graph, index, arguments, flags, size, results, out_batched);
  return graph->status == MICA_OK;
}

/* The rule's declared operands with the examples in front, and their types. */
static mica_value *batch_declared(const mica_rule *rule, const bool *batched, int64_t size,
                                  mica_type **out_types) {
  mica_graph *graph = rule->graph;
  size_t declared = graph->nodes[rule->id].declared_count;
  mica_value *in = scratch_values(graph, declared);
  *out_types = mica_arena_allocate(&graph->arena, (declared + 1) * sizeof **out_types);
  if (!in || !*out_types) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory"), NULL;
  for (size_t i = 0; i < declared; i++) {
    in[i] = mica_batched(rule->in[i], batched[i], size);
    (*out_types)[i] = mica_type_of(in[i]);
  }
  return graph->status == MICA_OK ? in : NULL;
}

void mica_call_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_graph *graph = rule->graph;
  size_t declared = graph->nodes[rule->id].declared_count;
  mica_type *types;
  mica_value *in = batch_declared(rule, batched, size, &types);
  mica_value *arguments = scratch_values(graph, declared),
             *results = scratch_values(graph, rule->out_count);
  if (!in || !arguments || !results) return;
  uint32_t block = mica_block_open(graph, mica_op_find(rule->def->name), in, declared, rule->attr);
  if (!block || !mica_block_enter(graph, block, types, declared)) return;
  for (size_t i = 0; i < declared; i++) arguments[i] = mica_block_argument(graph, block, i);
  if (!batch_body(rule, 0, arguments, true, NULL, batched, size, results, NULL)) return;
  mica_block_leave(graph, block, results, rule->out_count);
  mica_block_close(graph, block, out, rule->out_count);
}

void mica_custom_gradient_batch(const mica_rule *rule, const bool *batched, int64_t size,
                                mica_value *out) {
  mica_graph *graph = rule->graph;
  size_t declared = graph->nodes[rule->id].declared_count, results_count = rule->out_count;
  mica_type *types;
  mica_value *in = batch_declared(rule, batched, size, &types);
  mica_value *arguments = scratch_values(graph, declared + results_count);
  mica_value *results = scratch_values(graph, declared + results_count);
  mica_type *all = mica_arena_allocate(&graph->arena, (declared + results_count + 1) * sizeof *all);
  if (!in || !arguments || !results || !all) return;
  uint32_t block = mica_block_open(graph, MICA_OP_CUSTOM_GRADIENT, in, declared, NULL);
  if (!block || !mica_block_enter(graph, block, types, declared)) return;
  for (size_t i = 0; i < declared; i++) arguments[i] = mica_block_argument(graph, block, i);
  if (!batch_body(rule, 0, arguments, true, NULL, batched, size, results, NULL)) return;
  for (size_t i = 0; i < declared; i++) all[i] = types[i];
  for (size_t j = 0; j < results_count; j++) all[declared + j] = mica_type_of(results[j]);
  mica_block_leave(graph, block, results, results_count);
  if (!mica_block_enter(graph, block, all, declared + results_count)) return;
  for (size_t i = 0; i < declared + results_count; i++)
    arguments[i] = mica_block_argument(graph, block, i);
  if (!batch_body(rule, 1, arguments, true, NULL, batched, size, results, NULL)) return;
  mica_block_leave(graph, block, results, declared);
  mica_block_close(graph, block, out, results_count);
}

/* condition [size] over x, y [size, ...] */
static mica_value select_examples(mica_value condition, mica_value x, mica_value y) {
  mica_shape shape = mica_shape_of(x);
  mica_broadcast_attr attr = {.shape = shape, .axes = {.count = 1, .at = {0}}};
  mica_value wide =
      shape.rank == 1 ? condition : mica_emit(x.graph, MICA_OP_BROADCAST, &condition, 1, &attr);
  return mica_select(wide, x, y);
}

/* The same index for all: one switch of batched cases. Otherwise every case runs, and each
 * example picks. */
void mica_switch_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_graph *graph = rule->graph;
  uint32_t regions = graph->nodes[rule->id].region_count;
  mica_value *results = scratch_values(graph, rule->out_count);
  if (!results) return;
  if (!batched[0]) {
    uint32_t block = mica_block_open(graph, MICA_OP_SWITCH, rule->in, 1, NULL);
    for (uint32_t r = 0; r < regions; r++) {
      if (!mica_block_enter(graph, block, NULL, 0) ||
          !batch_body(rule, r, NULL, true, NULL, batched, size, results, NULL))
        return;
      mica_block_leave(graph, block, results, rule->out_count);
    }
    mica_block_close(graph, block, out, rule->out_count);
    return;
  }
  for (uint32_t r = regions;
       r-- > 0;) { /* the last case first: it also takes every index out of range */
    if (!batch_body(rule, r, NULL, true, NULL, batched, size, results, NULL)) return;
    mica_value picked = mica_equal_number(rule->in[0], (double)r);
    for (size_t j = 0; j < rule->out_count; j++)
      out[j] = r + 1 == regions ? results[j] : select_examples(picked, results[j], out[j]);
  }
}

void mica_scan_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_graph *graph = rule->graph;
  const mica_scan_attr *attr = rule->attr;
  size_t declared = graph->nodes[rule->id].declared_count, carries = (size_t)attr->carry_count;
  mica_value *in = scratch_values(graph, declared), *arguments = scratch_values(graph, declared);
  mica_value *results = scratch_values(graph, rule->out_count);
  mica_type *types = mica_arena_allocate(&graph->arena, (declared + 1) * sizeof *types);
  bool *flags = mica_arena_allocate_zeroed(&graph->arena, declared + 1, sizeof *flags);
  if (!in || !arguments || !results || !types || !flags) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < declared; i++) {
    flags[i] = i < carries || batched[i]; /* a carry that starts equal may come to differ */
    if (i < carries)
      in[i] = mica_batched(rule->in[i], batched[i], size);
    else
      in[i] =
          batched[i] ? mica_move_axis(rule->in[i], 1, 0) : rule->in[i]; /* [time, examples, ...] */
    types[i] = mica_type_of(in[i]);
    if (i < carries) continue;
    mica_shape *shape = &types[i].shape;
    for (int32_t k = 0; k + 1 < shape->rank; k++) shape->dim[k] = shape->dim[k + 1];
    shape->dim[--shape->rank] = 0;
  }
  uint32_t block = mica_block_open(graph, MICA_OP_SCAN, in, declared, attr);
  if (!block || !mica_block_enter(graph, block, types, declared)) return;
  for (size_t i = 0; i < declared; i++) arguments[i] = mica_block_argument(graph, block, i);
  if (!batch_body(rule, 0, arguments, false, flags, batched, size, results, NULL)) return;
  mica_block_leave(graph, block, results, rule->out_count);
  mica_block_close(graph, block, out, rule->out_count);
  for (size_t j = carries; j < rule->out_count && graph->status == MICA_OK; j++)
    out[j] = mica_move_axis(out[j], 0, 1);
}

/* Runs until all examples are done; those that are keep their state. */
void mica_while_batch(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  mica_graph *graph = rule->graph;
  size_t count = graph->nodes[rule->id].declared_count;
  mica_type *types;
  mica_value *in = batch_declared(rule, batched, size, &types);
  mica_value *arguments = scratch_values(graph, count), *results = scratch_values(graph, count);
  if (!in || !arguments || !results) return;
  uint32_t block = mica_block_open(graph, MICA_OP_WHILE, in, count, rule->attr);
  if (!block || !mica_block_enter(graph, block, types, count)) return;
  for (size_t i = 0; i < count; i++) arguments[i] = mica_block_argument(graph, block, i);
  mica_value more;
  bool differs;
  if (!batch_body(rule, 0, arguments, true, NULL, batched, size, &more, &differs)) return;
  if (differs) more = mica_reduce_or(more, MICA_ALL);
  mica_block_leave(graph, block, &more, 1);
  if (!mica_block_enter(graph, block, types, count)) return;
  for (size_t i = 0; i < count; i++) arguments[i] = mica_block_argument(graph, block, i);
  if (differs && !batch_body(rule, 0, arguments, true, NULL, batched, size, &more, &differs))
    return;
  if (!batch_body(rule, 1, arguments, true, NULL, batched, size, results, NULL)) return;
  for (size_t i = 0; i < count && differs; i++)
    results[i] = select_examples(more, results[i], arguments[i]);
  mica_block_leave(graph, block, results, count);
  mica_block_close(graph, block, out, count);
}
