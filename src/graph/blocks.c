/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c: the public begin/end pairs of while, if, switch, scan, call, recompute and custom
 * gradients. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

/* The handle of a block that could not begin. For a loop its epoch says how many states the end
 * will be asked for, so that they are failed values and not what happened to lie in the caller's
 * memory; the ends of all other blocks are told. */
static mica_region no_region(mica_graph *graph, size_t state_count) {
  return (mica_region){graph, 0, (uint32_t)state_count};
}
/* The block of a handle of this trace, whether the graph has failed since or not. */
static mica_block *block_of(mica_region region) {
  mica_graph *graph = region.graph;
  bool known =
      graph && region.id && region.epoch == graph->epoch && region.id <= graph->block_count;
  return known ? &graph->blocks[region.id - 1] : NULL;
}

static mica_type *types_of(mica_graph *graph, const mica_value *values, size_t count) {
  mica_type *types = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *types);
  if (!types) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return NULL;
  }
  for (size_t i = 0; i < count; i++) types[i] = mica_type_of(values[i]);
  return types;
}

/* Opens a block whose first region has the operands' types as arguments. */
static mica_region begin_block(mica_graph *graph, mica_op op, const mica_value *in, size_t count,
                               const void *attr) {
  if (!graph) graph = mica_graph_of(in, count);
  if (!graph || graph->status != MICA_OK) return no_region(graph, count);
  uint32_t block = mica_block_open(graph, op, in, count, attr);
  mica_type *types = block ? types_of(graph, in, count) : NULL;
  if (!types || !mica_block_enter(graph, block, types, count)) return no_region(graph, count);
  return (mica_region){graph, block, graph->epoch};
}

static mica_type *operand_types(mica_region region, size_t extra) {
  mica_graph *graph = region.graph;
  const mica_block *block = &graph->blocks[region.id - 1];
  mica_type *types =
      mica_arena_allocate(&graph->arena, (block->operand_count + extra + 1) * sizeof *types);
  if (!types) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (uint32_t i = 0; types && i < block->operand_count; i++)
    types[i] = graph->nodes[block->operands[i]].type;
  return types;
}

/* ---- while ----------------------------------------------------------------------------------- */

mica_region mica_while_begin(mica_graph *graph, const mica_value *state, size_t count,
                             int64_t max_iterations) {
  MICA_ENTRY(graph ? graph : mica_graph_of(state, count));
  mica_while_attr attr = {.max_iterations = max_iterations};
  return begin_block(graph, MICA_OP_WHILE, state, count, &attr);
}

void mica_while_body(mica_region region, mica_value condition) {
  MICA_ENTRY(region.graph);
  if (!mica_region_check(region, "while_body", MICA_OP_WHILE)) return;
  mica_graph *graph = region.graph;
  if (graph->blocks[region.id - 1].region_count != 1) {
    mica_fail_block(region, "while_body", "the body is open already: expected mica_while_end");
    return;
  }
  mica_type type = mica_type_of(condition);
  char why[MICA_MESSAGE_SIZE];
  if (mica_value_usable(graph, condition, why, sizeof why) &&
      (type.dtype != MICA_BOOL || type.shape.rank)) {
    mica_fail_operator(graph, "while_body", &condition, 1, "expected a bool [] as the condition");
    return;
  }
  mica_block_leave(graph, region.id, &condition, 1);
  mica_type *types = graph->status == MICA_OK ? operand_types(region, 0) : NULL;
  if (types) mica_block_enter(graph, region.id, types, graph->blocks[region.id - 1].operand_count);
}

void mica_while_end(mica_region region, const mica_value *next, mica_value *out_final) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  const mica_block *block = block_of(region);
  size_t count = block ? block->operand_count : !region.id ? region.epoch : 0;
  bool right = mica_region_check(region, "while_end", MICA_OP_WHILE);
  if (right && block->region_count != 2) {
    mica_fail_block(region, "while_end", "the body is missing: expected mica_while_body before");
    right = false;
  }
  if (right) mica_block_leave(graph, region.id, next, count);
  mica_results_clear(graph, "while_end", next, count, out_final, count);
  if (right) mica_block_close(graph, region.id, out_final, count);
}

/* ---- switch and if --------------------------------------------------------------------------- */

mica_region mica_switch_begin(mica_value index) {
  MICA_ENTRY(index.graph);
  mica_graph *graph = index.graph;
  if (!graph || graph->status != MICA_OK) return no_region(graph, 0);
  uint32_t block = mica_block_open(graph, MICA_OP_SWITCH, &index, 1, NULL);
  if (!block || !mica_block_enter(graph, block, NULL, 0)) return no_region(graph, 0);
  return (mica_region){graph, block, graph->epoch};
}

/* Whether the case could be left with these results. */
static bool leave_case(mica_region region, const char *function, const mica_value *result,
                       size_t count) {
  mica_graph *graph = region.graph;
  if (!mica_region_check(region, function, MICA_OP_SWITCH)) return false;
  mica_block *block = &graph->blocks[region.id - 1];
  if (block->region_count == 1) block->result_count = (uint32_t)count;
  if (count != block->result_count) {
    mica_fail_block(region, function, "%zu %s: expected %u as in the first block", count,
                    mica_noun(count, "result", "results"), block->result_count);
    return false;
  }
  mica_block_leave(graph, region.id, result, count);
  return graph->status == MICA_OK;
}
static void next_case(mica_region region, const char *function, const mica_value *result,
                      size_t count) {
  if (leave_case(region, function, result, count))
    mica_block_enter(region.graph, region.id, NULL, 0);
}
static void end_case(mica_region region, const char *function, const mica_value *result,
                     size_t count, mica_value *out) {
  bool left = leave_case(region, function, result, count);
  mica_results_clear(region.graph, function, result, count, out, count);
  if (left) mica_block_close(region.graph, region.id, out, count);
}

void mica_switch_next(mica_region region, const mica_value *result, size_t count) {
  MICA_ENTRY(region.graph);
  next_case(region, "switch_next", result, count);
}
void mica_switch_end(mica_region region, const mica_value *result, size_t count, mica_value *out) {
  MICA_ENTRY(region.graph);
  end_case(region, "switch_end", result, count, out);
}

/* An if is a switch whose first case is the one for true. */
mica_region mica_if_begin(mica_value condition) {
  MICA_ENTRY(condition.graph);
  mica_graph *graph = condition.graph;
  if (!graph || graph->status != MICA_OK) return no_region(graph, 0);
  mica_type type = mica_type_of(condition);
  char why[MICA_MESSAGE_SIZE];
  if (!mica_value_usable(graph, condition, why, sizeof why)) {
    mica_fail_operator(graph, "if_begin", &condition, 1, "operand 0: %s", why);
    return no_region(graph, 0);
  }
  if (type.dtype != MICA_BOOL || type.shape.rank) {
    mica_fail_operator(graph, "if_begin", &condition, 1, "expected a bool [] as the condition");
    return no_region(graph, 0);
  }
  return mica_switch_begin(mica_convert(mica_not(condition), MICA_I32));
}
void mica_if_else(mica_region region, const mica_value *result, size_t count) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  if (graph && graph->status == MICA_OK && region.id && region.epoch == graph->epoch &&
      region.id <= graph->block_count && graph->blocks[region.id - 1].region_count > 1) {
    mica_fail_block(region, "if_else", "the second block is open already: expected mica_if_end");
    return;
  }
  next_case(region, "if_else", result, count);
}
void mica_if_end(mica_region region, const mica_value *result, size_t count, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  const mica_block *block = block_of(region);
  if (block && graph->status == MICA_OK && block->region_count < 2 && block->op == MICA_OP_SWITCH)
    mica_fail_block(region, "if_end", "the second block is missing: expected mica_if_else before");
  end_case(region, "if_end", result, count, out);
}

/* ---- scan ------------------------------------------------------------------------------------ */

mica_region mica_scan_begin_count(mica_graph *graph, const mica_value *carry, size_t carry_count,
                                  const mica_value *items, size_t item_count, int64_t length,
                                  bool reverse) {
  MICA_ENTRY(graph ? graph : mica_graph_of(carry, carry_count));
  if (!graph) graph = mica_graph_of(carry, carry_count);
  if (!graph) graph = mica_graph_of(items, item_count);
  if (!graph || graph->status != MICA_OK) return no_region(graph, carry_count);
  size_t count = carry_count + item_count;
  mica_value *in = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *in);
  if (!in) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return no_region(graph, carry_count);
  }
  if (!mica_list_given(graph, "scan_begin", "carry", carry, carry_count) ||
      !mica_list_given(graph, "scan_begin", "item", items, item_count))
    return no_region(graph, carry_count);
  if (carry_count) memcpy(in, carry, carry_count * sizeof *in);
  if (item_count) memcpy(in + carry_count, items, item_count * sizeof *in);
  for (size_t i = 0; i < item_count; i++) {
    char why[MICA_MESSAGE_SIZE];
    if (!mica_value_usable(graph, items[i], why, sizeof why)) {
      mica_fail_operator(graph, "scan_begin", in, count, "item %zu: %s", i, why);
      return no_region(graph, carry_count);
    }
    if (mica_rank_of(items[i]) < 1) {
      mica_fail_operator(graph, "scan_begin", in, count,
                         "item %zu is a scalar: expected [time, ...]", i);
      return no_region(graph, carry_count);
    }
    int64_t size = mica_dim_of(items[i], 0);
    if (length < 0) length = size;
    if (size != length) {
      mica_fail_operator(graph, "scan_begin", in, count,
                         "item %zu has length %lld: expected %lld as the others", i,
                         (long long)size, (long long)length);
      return no_region(graph, carry_count);
    }
  }
  if (length < -1)
    mica_fail_operator(graph, "scan_begin", in, count, "length %lld: expected at least 0",
                       (long long)length);
  if (length < 0) {
    mica_fail_operator(graph, "scan_begin", in, count,
                       "without items the length is unknown: expected mica_scan_begin_count");
    return no_region(graph, carry_count);
  }
  mica_scan_attr attr = {.length = length, .carry_count = (int64_t)carry_count, .reverse = reverse};
  uint32_t block = mica_block_open(graph, MICA_OP_SCAN, in, count, &attr);
  mica_type *types = block ? types_of(graph, in, count) : NULL;
  for (size_t i = carry_count; types && i < count; i++) {
    mica_shape *shape = &types[i].shape;
    for (int32_t k = 0; k + 1 < shape->rank; k++) shape->dim[k] = shape->dim[k + 1];
    shape->dim[--shape->rank] = 0;
  }
  if (!types || !mica_block_enter(graph, block, types, count)) return no_region(graph, carry_count);
  return (mica_region){graph, block, graph->epoch};
}

mica_region mica_scan_begin(const mica_value *carry, size_t carry_count, const mica_value *items,
                            size_t item_count) {
  MICA_ENTRY(mica_graph_of(carry, carry_count));
  return mica_scan_begin_count(NULL, carry, carry_count, items, item_count, -1, false);
}

void mica_scan_end(mica_region region, const mica_value *carry, const mica_value *emit,
                   size_t emit_count, mica_value *out_carry, mica_value *out_stacked) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  const mica_block *block = block_of(region);
  bool scans = block && block->op == MICA_OP_SCAN;
  size_t carries = scans        ? (size_t)((const mica_scan_attr *)block->attr)->carry_count
                   : !region.id ? region.epoch
                                : 0;
  size_t count = carries + emit_count;
  bool right = mica_region_check(region, "scan_end", MICA_OP_SCAN) &&
               mica_list_given(graph, "scan_end", "carry", carry, carries) &&
               mica_list_given(graph, "scan_end", "result", emit, emit_count);
  mica_value *results =
      right ? mica_arena_allocate(&graph->arena, (2 * count + 1) * sizeof *results) : NULL;
  if (right && !results) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  if (results && carries) memcpy(results, carry, carries * sizeof *results);
  if (results && emit_count) memcpy(results + carries, emit, emit_count * sizeof *results);
  mica_results_clear(graph, "scan_end", emit, emit_count, out_stacked, emit_count);
  mica_results_clear(graph, "scan_end", carry, carries, out_carry, carries);
  if (!results || graph->status != MICA_OK) return;
  mica_block_leave(graph, region.id, results, count);
  mica_block_close(graph, region.id, results + count, count);
  if (carries) memcpy(out_carry, results + count, carries * sizeof *results);
  if (emit_count) memcpy(out_stacked, results + count + carries, emit_count * sizeof *results);
}

/* ---- call and recompute: variables assigned inside become further results -------------------- */

static void end_call(mica_region region, const char *function, mica_op op, const mica_value *result,
                     size_t count, mica_value *out) {
  mica_graph *graph = region.graph;
  bool right = mica_region_check(region, function, op) &&
               mica_list_given(graph, function, "result", result, count);
  mica_pending_assign *assigns = right ? graph->blocks[region.id - 1].assigns : NULL;
  size_t total = count;
  for (mica_pending_assign *p = assigns; p; p = p->next) total++;
  mica_value *results =
      right ? mica_arena_allocate(&graph->arena, (2 * total + 1) * sizeof *results) : NULL;
  if (right && !results) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  if (results && count) memcpy(results, result, count * sizeof *results);
  mica_results_clear(graph, function, result, count, out, count);
  if (!results) return;
  size_t at = count;
  for (mica_pending_assign *p = assigns; p; p = p->next)
    results[at++] = mica_value_of(graph, p->value);
  mica_block_leave(graph, region.id, results, total);
  mica_block_close(graph, region.id, results + total, total);
  if (graph->status != MICA_OK) return;
  if (count) memcpy(out, results + total, count * sizeof *results);
  at = total + count;
  for (mica_pending_assign *p = assigns; p; p = p->next)
    mica_variable_assign(p->variable, results[at++]);
}

mica_region mica_call_begin(mica_graph *graph, const mica_value *in, size_t count) {
  MICA_ENTRY(graph ? graph : mica_graph_of(in, count));
  return begin_block(graph, MICA_OP_CALL, in, count, NULL);
}
void mica_call_end(mica_region region, const mica_value *result, size_t count, mica_value *out) {
  MICA_ENTRY(region.graph);
  end_call(region, "call_end", MICA_OP_CALL, result, count, out);
}
mica_region mica_recompute_begin(mica_graph *graph, const mica_value *in, size_t count) {
  MICA_ENTRY(graph ? graph : mica_graph_of(in, count));
  return begin_block(graph, MICA_OP_RECOMPUTE, in, count, NULL);
}
void mica_recompute_end(mica_region region, const mica_value *result, size_t count,
                        mica_value *out) {
  MICA_ENTRY(region.graph);
  end_call(region, "recompute_end", MICA_OP_RECOMPUTE, result, count, out);
}

/* ---- custom gradient ------------------------------------------------------------------------- */

mica_region mica_custom_gradient_begin(mica_graph *graph, const mica_value *in, size_t count) {
  MICA_ENTRY(graph ? graph : mica_graph_of(in, count));
  return begin_block(graph, MICA_OP_CUSTOM_GRADIENT, in, count, NULL);
}

void mica_custom_gradient_backward(mica_region region, const mica_value *result, size_t count) {
  MICA_ENTRY(region.graph);
  if (!mica_region_check(region, "custom_gradient_backward", MICA_OP_CUSTOM_GRADIENT)) return;
  mica_graph *graph = region.graph;
  if (graph->blocks[region.id - 1].region_count != 1) {
    mica_fail_block(region, "custom_gradient_backward",
                    "the backward block is open already: expected mica_custom_gradient_end");
    return;
  }
  mica_type *types = operand_types(region, count);
  mica_block_leave(graph, region.id, result, count);
  if (!types || graph->status != MICA_OK) return;
  mica_block *block = &graph->blocks[region.id - 1];
  block->result_count = (uint32_t)count;
  const mica_region_data *forward = &graph->regions[block->regions[0]];
  for (size_t j = 0; j < count; j++)
    types[block->operand_count + j] = graph->nodes[forward->results[j]].type;
  mica_block_enter(graph, region.id, types, block->operand_count + count);
}

void mica_custom_gradient_end(mica_region region, const mica_value *in_gradient, mica_value *out,
                              size_t out_count) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  bool right = mica_region_check(region, "custom_gradient_end", MICA_OP_CUSTOM_GRADIENT);
  const mica_block *block = block_of(region);
  if (right && block->region_count != 2) {
    mica_fail_block(region, "custom_gradient_end",
                    "the backward block is missing: expected mica_custom_gradient_backward before");
    right = false;
  }
  if (right && out_count != block->result_count) {
    mica_fail_block(region, "custom_gradient_end", "%zu %s: expected %u as in the first block",
                    out_count, mica_noun(out_count, "result", "results"), block->result_count);
    right = false;
  }
  size_t count = right ? block->operand_count : 0;
  if (right) mica_block_leave(graph, region.id, in_gradient, count);
  mica_results_clear(graph, "custom_gradient_end", in_gradient, count, out, out_count);
  if (right) mica_block_close(graph, region.id, out, out_count);
}
