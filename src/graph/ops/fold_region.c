/* SPDX-License-Identifier: Apache-2.0 */
/* fold_region.c: blocks of single elements, applied to whole arrays, and folds by them.
 *
 * Such a block is opened and closed like that of an operator, but leaves no node, as vmap does:
 * applying it to n elements is building its nodes by their batching rules for n examples. So a fold
 * is a tree of applications, its derivative is the derivative of that tree, and vmap, text form and
 * backends need to know nothing. */
#include "graph/ops/fold_region.h"

#include <string.h>

/* ---- blocks ---------------------------------------------------------------------------------- */

/* As in blocks.c: the epoch of a failed handle is the number of results it stands for. */
mica_region mica_fold_failed(mica_graph *graph, size_t results) {
  return (mica_region){graph, 0, (uint32_t)results};
}
size_t mica_fold_failed_results(mica_region region) { return region.id ? 0 : region.epoch; }

mica_value *mica_fold_values(mica_graph *graph, size_t count) {
  mica_value *values = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *values);
  if (!values) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  return values;
}

mica_region mica_fold_open(mica_graph *graph, const char *name, const mica_value *in, size_t count,
                           const mica_type *arguments, size_t argument_count, void *plan,
                           size_t results) {
  uint32_t block = mica_block_open(graph, MICA_OP_NONE, in, count, NULL);
  if (!block) return mica_fold_failed(graph, results);
  graph->blocks[block - 1].name = name;
  graph->blocks[block - 1].plan = plan;
  if (!mica_block_enter(graph, block, arguments, argument_count))
    return mica_fold_failed(graph, results);
  return (mica_region){graph, block, graph->epoch};
}

void *mica_fold_plan(mica_region region, const char *name) {
  const mica_graph *graph = region.graph;
  if (!graph || !region.id || region.epoch != graph->epoch || region.id > graph->block_count)
    return NULL;
  const mica_block *block = &graph->blocks[region.id - 1];
  return block->name && !strcmp(block->name, name) ? block->plan : NULL;
}

mica_value mica_fold_operand(mica_region region, size_t i) {
  return mica_value_of(region.graph, region.graph->blocks[region.id - 1].operands[i]);
}

bool mica_fold_close(mica_region region, const char *function, const char *name,
                     const mica_value *result, const mica_type *expected, size_t count, bool last,
                     mica_fold *out) {
  mica_graph *graph = region.graph;
  if (!mica_region_check_named(region, function, name)) return false;
  mica_block_leave(graph, region.id, result, count);
  if (graph->status != MICA_OK) return false;
  mica_block *block = &graph->blocks[region.id - 1];
  uint32_t index = block->regions[block->region_count - 1];
  graph->regions[index].state = MICA_REGION_ABANDONED;
  if (last) block->done = true;
  *out = (mica_fold){graph, index};
  for (size_t i = 0; i < count; i++) {
    mica_type given = graph->nodes[graph->regions[index].results[i]].type;
    if (mica_type_equal(given, expected[i])) continue;
    char a[128], b[128];
    mica_type_format(given, a, sizeof a);
    mica_type_format(expected[i], b, sizeof b);
    mica_fail_block(region, function, "result %zu of the block is %s: expected %s", i, a, b);
    return false;
  }
  return true;
}

void mica_fold_apply(const mica_fold *fold, const mica_value *in, int64_t size, mica_value *out) {
  mica_graph *graph = fold->graph;
  uint32_t declared = graph->regions[fold->region].declared_count,
           all = graph->regions[fold->region].argument_count,
           results = graph->regions[fold->region].result_count;
  for (uint32_t i = 0; i < results; i++) out[i] = mica_no_value(graph);
  mica_value *arguments = mica_fold_values(graph, all);
  bool *batched = mica_arena_allocate_zeroed(&graph->arena, (size_t)all + 1, sizeof *batched);
  if (!arguments || !batched || graph->status != MICA_OK) return;
  for (uint32_t i = 0; i < all; i++) {
    const mica_region_data *region = &graph->regions[fold->region];
    uint32_t captured = i - declared;
    batched[i] = i < declared;
    if (i < declared)
      arguments[i] = in[i];
    else if (region->capture_variables[captured])
      arguments[i] = mica_variable_read(graph, region->capture_variables[captured]);
    else
      arguments[i] = mica_value_of(graph, region->captures[captured]);
  }
  mica_batch_region(graph, fold->region, arguments, batched, size, out, NULL);
}

/* ---- what a block is ------------------------------------------------------------------------- */

bool mica_fold_gives(const mica_fold *fold, size_t i, size_t argument) {
  const mica_region_data *region = &fold->graph->regions[fold->region];
  return region->results[i] == region->arguments[argument];
}

mica_op mica_fold_operator(const mica_fold *fold, size_t left, size_t right, const void **out_attr,
                           bool *out_swapped) {
  const mica_graph *graph = fold->graph;
  const mica_region_data *region = &graph->regions[fold->region];
  if (region->result_count != 1) return MICA_OP_NONE;
  const mica_node *node = &graph->nodes[region->results[0]];
  if (node->operand_count != 2 || node->region != fold->region) return MICA_OP_NONE;
  const uint32_t *operands = mica_node_operands(graph, node);
  uint32_t x = region->arguments[left], y = region->arguments[right];
  bool straight = operands[0] == x && operands[1] == y,
       swapped = operands[0] == y && operands[1] == x;
  if (!straight && !swapped) return MICA_OP_NONE;
  *out_attr = node->attr;
  *out_swapped = swapped;
  return (mica_op)node->op;
}

bool mica_fold_kind(const mica_fold *fold, mica_dtype dtype, mica_reduce_kind *out) {
  static const struct {
    mica_op op;
    mica_reduce_kind kind;
    mica_dtype_class class;
  } known[] = {{MICA_OP_ADD, MICA_REDUCE_SUM, MICA_CLASS_NUMBER},
               {MICA_OP_MUL, MICA_REDUCE_PROD, MICA_CLASS_NUMBER},
               {MICA_OP_MAX, MICA_REDUCE_MAX, MICA_CLASS_REAL},
               {MICA_OP_MIN, MICA_REDUCE_MIN, MICA_CLASS_REAL},
               {MICA_OP_AND, MICA_REDUCE_AND, MICA_CLASS_LOGICAL},
               {MICA_OP_OR, MICA_REDUCE_OR, MICA_CLASS_LOGICAL}};
  const void *attr;
  const char *expected;
  bool swapped;
  mica_op op = mica_fold_operator(fold, 0, 1, &attr, &swapped);
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (op == known[i].op && mica_class_accepts(known[i].class, dtype, &expected)) {
      *out = known[i].kind;
      return true;
    }
  return false;
}

mica_value mica_join_values(mica_reduce_kind kind, mica_value x, mica_value y) {
  switch (kind) {
    case MICA_REDUCE_SUM: return mica_add(x, y);
    case MICA_REDUCE_PROD: return mica_mul(x, y);
    case MICA_REDUCE_MAX: return mica_max(x, y);
    case MICA_REDUCE_MIN: return mica_min(x, y);
    case MICA_REDUCE_AND: return mica_and(x, y);
    case MICA_REDUCE_OR: return mica_or(x, y);
  }
  return x;
}

/* ---- folds ----------------------------------------------------------------------------------- */

void mica_fold_pairs(void *context, const mica_value *left, const mica_value *right, size_t count,
                     int64_t size, mica_value *out) {
  const mica_fold *fold = context;
  mica_value *in = mica_fold_values(fold->graph, 2 * count);
  for (size_t i = 0; i < count; i++) {
    out[i] = mica_no_value(fold->graph);
    if (!in) continue;
    in[i] = left[i];
    in[count + i] = right[i];
  }
  if (in) mica_fold_apply(fold, in, size, out);
}

/* Neighboring rows are joined, so that their order stays; an odd last one waits. */
void mica_fold_rows(mica_graph *graph, const mica_value *x, size_t count, int64_t rows,
                    int64_t columns, mica_join_pairs *join, void *context, mica_value *out) {
  mica_value *now = mica_fold_values(graph, 3 * count), *left = now ? now + count : NULL;
  for (size_t i = 0; i < count; i++) out[i] = mica_no_value(graph);
  if (!now) return;
  mica_value *right = left + count;
  mica_shape flat = {.rank = 1};
  for (size_t i = 0; i < count; i++) now[i] = x[i];
  while (rows > 1 && graph->status == MICA_OK) {
    int64_t half = rows / 2;
    mica_shape pairs = {.rank = 2, .dim = {half, 2 * columns}};
    flat.dim[0] = half * columns;
    for (size_t i = 0; i < count; i++) {
      mica_value even = rows % 2 ? mica_slice_axis(now[i], 0, 0, rows - 1, 1) : now[i];
      even = mica_reshape_if_needed(even, pairs);
      left[i] = mica_reshape_if_needed(mica_slice_axis(even, 1, 0, columns, 1), flat);
      right[i] = mica_reshape_if_needed(mica_slice_axis(even, 1, columns, 2 * columns, 1), flat);
    }
    join(context, left, right, count, half * columns, out);
    for (size_t i = 0; i < count; i++) {
      mica_value joined =
          mica_reshape_if_needed(out[i], (mica_shape){.rank = 2, .dim = {half, columns}});
      if (rows % 2)
        joined = mica_concatenate(
            (mica_value[]){joined, mica_slice_axis(now[i], 0, rows - 1, rows, 1)}, 2, 0);
      now[i] = joined;
    }
    rows = half + rows % 2;
  }
  flat.dim[0] = columns;
  for (size_t i = 0; i < count; i++) out[i] = mica_reshape_if_needed(now[i], flat);
}

/* Every second element, from `start` on, below `limit`. */
static mica_value every_second(mica_value x, int64_t start, int64_t limit) {
  return mica_slice_axis(x, 0, start, limit, 2);
}

/* even [h or h + 1, rest...], odd [h, rest...] -> one after the other */
static mica_value interleave(mica_value even, mica_value odd) {
  int64_t half = mica_dim_of(odd, 0), more = mica_dim_of(even, 0) - half;
  mica_shape shape = mica_shape_of(odd);
  shape.dim[0] = 2 * half;
  mica_value front = more ? mica_slice_axis(even, 0, 0, half, 1) : even;
  mica_value both = mica_reshape(mica_stack((mica_value[]){front, odd}, 2, 1), shape);
  if (!more) return both;
  mica_value last = mica_slice_axis(even, 0, half, half + 1, 1);
  return mica_concatenate((mica_value[]){both, last}, 2, 0);
}

/* Pairs are joined and scanned, which gives every second result; each other one is the result in
 * front of it joined with its element. */
void mica_scan_pairs(mica_graph *graph, const mica_value *x, size_t count, int64_t n,
                     mica_join_pairs *join, void *context, mica_value *out) {
  for (size_t i = 0; i < count; i++) out[i] = n < 2 ? x[i] : mica_no_value(graph);
  if (n < 2 || graph->status != MICA_OK) return;
  int64_t half = n / 2, later = (n - 1) / 2;
  mica_value *left = mica_fold_values(graph, 4 * count);
  if (!left) return;
  mica_value *right = left + count, *odd = right + count, *even = odd + count;
  for (size_t i = 0; i < count; i++) {
    left[i] = every_second(x[i], 0, 2 * half);
    right[i] = every_second(x[i], 1, 2 * half);
  }
  join(context, left, right, count, half, even);
  mica_scan_pairs(graph, even, count, half, join, context, odd);
  for (size_t i = 0; i < count && later; i++) {
    left[i] = mica_slice_axis(odd[i], 0, 0, later, 1);
    right[i] = every_second(x[i], 2, n);
  }
  if (later) join(context, left, right, count, later, even);
  for (size_t i = 0; i < count && graph->status == MICA_OK; i++) {
    mica_value first = mica_slice_axis(x[i], 0, 0, 1, 1);
    if (later) first = mica_concatenate((mica_value[]){first, even[i]}, 2, 0);
    out[i] = interleave(first, odd[i]);
  }
}

/* ---- associative_scan ------------------------------------------------------------------------ */

typedef struct {
  size_t count;
  int64_t axis, size;
  bool reverse;
  mica_type *elements; /* [2 count] of the block's arguments */
} scan_block_plan;

static const char scan_block_name[] = "associative_scan";

mica_region mica_associative_scan_begin(const mica_value *x, size_t count, int32_t axis,
                                        bool reverse) {
  MICA_ENTRY(mica_graph_of(x, count));
  mica_graph *graph = mica_graph_of(x, count);
  if (!graph || graph->status != MICA_OK) return mica_fold_failed(graph, count);
  scan_block_plan *plan = mica_arena_allocate_zeroed(&graph->arena, 1, sizeof *plan);
  mica_type *elements = mica_arena_allocate_zeroed(&graph->arena, 2 * count + 1, sizeof *elements);
  if (!plan || !elements) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return mica_fold_failed(graph, count);
  }
  *plan = (scan_block_plan){.count = count, .reverse = reverse, .elements = elements};
  if (!mica_operands_usable(scan_block_name, x, count) ||
      !mica_builder_axis(scan_block_name, x[0], axis, &plan->axis))
    return mica_fold_failed(graph, count);
  plan->size = mica_dim_of(x[0], (int32_t)plan->axis);
  for (size_t i = 0; i < count; i++) {
    mica_type type = mica_type_of(x[i]);
    if (plan->axis >= type.shape.rank || type.shape.dim[plan->axis] != plan->size) {
      mica_fail_operator(graph, scan_block_name, x, count,
                         "operand %zu: expected axis %lld of size %lld as the first one has", i,
                         (long long)plan->axis, (long long)plan->size);
      return mica_fold_failed(graph, count);
    }
    type.shape = mica_shape_remove(type.shape, (int32_t)plan->axis);
    elements[i] = elements[count + i] = type;
  }
  return mica_fold_open(graph, scan_block_name, x, count, elements, 2 * count, plan, count);
}

void mica_associative_scan_end(mica_region region, const mica_value *result, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  const scan_block_plan *plan = mica_fold_plan(region, scan_block_name);
  size_t count = plan ? plan->count : mica_fold_failed_results(region);
  mica_fold fold;
  bool closed = mica_fold_close(region, "associative_scan_end", scan_block_name, result,
                                plan ? plan->elements : NULL, count, true, &fold);
  if (!mica_results_clear(graph, "associative_scan_end", result, count, out, count) || !closed)
    return;
  mica_value *x = mica_fold_values(graph, 2 * count), *scanned = x ? x + count : NULL;
  mica_axes front = {1, {0}, false};
  if (!x) return;
  for (size_t i = 0; i < count; i++) {
    x[i] = mica_move_axis(mica_fold_operand(region, i), (int32_t)plan->axis, 0);
    if (plan->reverse) x[i] = mica_reverse(x[i], front);
  }
  mica_scan_pairs(graph, x, count, plan->size, mica_fold_pairs, &fold, scanned);
  for (size_t i = 0; i < count && graph->status == MICA_OK; i++) {
    if (plan->reverse) scanned[i] = mica_reverse(scanned[i], front);
    out[i] = mica_move_axis(scanned[i], 0, (int32_t)plan->axis);
  }
}
