/* SPDX-License-Identifier: Apache-2.0 */
/* sort_region.c: sorting by a comparator that is a block (region.h).
 *
 * A merge sort whose comparisons are made for all lines and all parts of a level at once. Each merge
 * of two runs is cut into blocks of results; a binary search along its diagonal finds how many
 * elements of either run stand in front of a block (merge path: Odeh et al. 2012), and then all
 * blocks take one element a step. So a level costs one comparison for an element and log n for a
 * block, in log n + MERGE_BLOCK rounds. Positions are sorted, padded with sentinels to a power of
 * two; elements are gathered once at the end, which is what derivatives go through. */
#include <inttypes.h>

#include "graph/ops/along.h"
#include "graph/ops/fold_region.h"

enum { MERGE_BLOCK = 32 };

typedef struct {
  size_t count;
  int64_t axis;
} sort_block_plan;

static const char sort_block_name[] = "sort";

mica_region mica_sort_begin(const mica_value *in, size_t count, int32_t axis) {
  MICA_ENTRY(mica_graph_of(in, count));
  static const char *const op = sort_block_name;
  mica_graph *graph = mica_graph_of(in, count);
  if (!graph || graph->status != MICA_OK) return mica_fold_failed(graph, count);
  sort_block_plan *plan = mica_arena_allocate_zeroed(&graph->arena, 1, sizeof *plan);
  mica_type *elements = mica_arena_allocate_zeroed(&graph->arena, 2 * count + 1, sizeof *elements);
  if (!plan || !elements) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return mica_fold_failed(graph, count);
  }
  plan->count = count;
  if (!mica_operands_usable(op, in, count) || !mica_builder_axis(op, in[0], axis, &plan->axis))
    return mica_fold_failed(graph, count);
  for (size_t i = 0; i < count; i++) {
    mica_type type = mica_type_of(in[i]);
    elements[2 * i] = elements[2 * i + 1] = (mica_type){type.dtype, {0}};
    if (mica_shape_equal(type.shape, mica_shape_of(in[0]))) continue;
    mica_fail_operator(graph, op, in, count,
                       "operands 0 and %zu have different shapes: expected equal ones", i);
    return mica_fold_failed(graph, count);
  }
  int64_t all = mica_shape_count(mica_shape_of(in[0]));
  if (all > INT32_MAX / 4) {
    mica_fail_operator(graph, op, in, count, "a comparator sorts less than 2^29 elements");
    return mica_fold_failed(graph, count);
  }
  return mica_fold_open(graph, op, in, count, elements, 2 * count, plan, count);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* One level: runs of `width` of all lines, each [lines * padded] in the present order. */
typedef struct {
  const mica_fold *fold;
  const mica_value *elements; /* [count] */
  size_t count;
  mica_value real; /* bool: no sentinel; {0}: there are none */
  int64_t blocks;  /* that are merged side by side */
  int64_t width;
  mica_value begin; /* [blocks] of the first run of the block's merge */
} merge_level;

/* [blocks] of elements at b of the second run before those at a of the first one: only if they
 * must. */
static mica_value second_precedes(const merge_level *level, mica_value a, mica_value b) {
  mica_graph *graph = a.graph;
  mica_value *in = mica_fold_values(graph, 2 * level->count), precedes;
  if (!in) return mica_no_value(graph);
  for (size_t i = 0; i < level->count; i++) {
    in[2 * i] = mica_take(level->elements[i], b, 0);
    in[2 * i + 1] = mica_take(level->elements[i], a, 0);
  }
  mica_fold_apply(level->fold, in, level->blocks, &precedes);
  if (!mica_has_value(level->real)) return precedes;
  mica_value other = mica_not(mica_take(level->real, a, 0));
  return mica_and(mica_take(level->real, b, 0), mica_or(other, precedes));
}

/* How many of the first `before` [blocks] results of each block's merge come from its first run. */
static mica_value search_diagonals(const merge_level *level, mica_value before, int64_t rounds) {
  mica_value state[2] = {mica_max(mica_sub(before, (double)level->width), 0),
                         mica_min(before, (double)level->width)},
             found[2];
  mica_region search = mica_scan_begin_count(before.graph, state, 2, NULL, 0, rounds, false);
  mica_value low = mica_argument(search, 0), high = mica_argument(search, 1);
  mica_value middle = mica_div(mica_add(low, high), 2);
  mica_value a = mica_add(level->begin, middle);
  mica_value b =
      mica_add(level->begin, mica_sub(mica_add(before, (double)level->width - 1), middle));
  mica_value fewer = second_precedes(level, a, b), open = mica_less(low, high);
  state[0] = mica_select(mica_and(open, mica_not(fewer)), mica_add(middle, 1), low);
  state[1] = mica_select(mica_and(open, fewer), middle, high);
  mica_scan_end(search, state, NULL, 0, found, NULL);
  return found[0];
}

/* [size, blocks]: where the results of each block come from. */
static mica_value merge_blocks(const merge_level *level, mica_value first, mica_value second,
                               int64_t size) {
  mica_value state[2] = {first, second}, last[2], taken;
  mica_region merge = mica_scan_begin_count(first.graph, state, 2, NULL, 0, size, false);
  mica_value x = mica_argument(merge, 0), y = mica_argument(merge, 1);
  double width = (double)level->width;
  mica_value a = mica_add(level->begin, mica_min(x, width - 1));
  mica_value b = mica_add(mica_add(level->begin, width), mica_min(y, width - 1));
  mica_value no_first = mica_greater_equal(x, width), some_second = mica_less(y, width);
  mica_value from_second = mica_and(some_second, mica_or(no_first, second_precedes(level, a, b)));
  mica_value step = mica_convert(from_second, MICA_I32), chosen = mica_select(from_second, b, a);
  state[0] = mica_add(x, mica_add(mica_neg(step), 1));
  state[1] = mica_add(y, step);
  mica_scan_end(merge, state, &chosen, 1, last, &taken);
  return taken;
}

/* x[count] [lines, n] -> i32 [lines, n]: positions that sort each line. */
static mica_value merge_sort(const mica_fold *fold, const mica_value *x, size_t count,
                             int64_t lines, int64_t n) {
  mica_graph *graph = fold->graph;
  int64_t padded = 1, rounds = 1;
  while (padded < n) padded *= 2;
  int64_t all = lines * padded;
  mica_type type = {MICA_I32, {.rank = 2, .dim = {lines, padded}}};
  mica_shape flat = {.rank = 1, .dim = {all}};
  mica_value places = mica_reshape_if_needed(mica_iota(graph, type, 1), flat);
  mica_value line = mica_reshape_if_needed(mica_mul(mica_iota(graph, type, 0), (double)n), flat);
  mica_value *elements = mica_fold_values(graph, count);
  for (int64_t width = 1; elements && width < n && graph->status == MICA_OK; width *= 2, rounds++) {
    int64_t size = 2 * width < MERGE_BLOCK ? 2 * width : MERGE_BLOCK, parts = 2 * width / size;
    merge_level level = {
        .fold = fold, .elements = elements, .count = count, .blocks = all / size, .width = width};
    mica_value at = mica_add(line, padded > n ? mica_min(places, (double)(n - 1)) : places);
    for (size_t i = 0; i < count; i++) elements[i] = mica_take(x[i], at, 0);
    if (padded > n) level.real = mica_less(places, (double)n);
    mica_type blocks = {MICA_I32, {.rank = 2, .dim = {level.blocks / parts, parts}}};
    mica_shape each = {.rank = 1, .dim = {level.blocks}};
    level.begin =
        mica_reshape_if_needed(mica_mul(mica_iota(graph, blocks, 0), (double)(2 * width)), each);
    mica_value before =
        mica_reshape_if_needed(mica_mul(mica_iota(graph, blocks, 1), (double)size), each);
    mica_value first = parts > 1 ? search_diagonals(&level, before, rounds) : before;
    mica_value taken = merge_blocks(&level, first, mica_sub(before, first), size);
    mica_value order = mica_reshape_if_needed(mica_swap_axes(taken, 0, 1), flat);
    places = mica_take(places, order, 0);
  }
  places = mica_reshape_if_needed(places, type.shape);
  return padded > n ? mica_slice_axis(places, 1, 0, n, 1) : places;
}

/* The operand by which a recognized comparator sorts; false: it is something else. */
static bool sorts_by_key(const mica_fold *fold, const mica_value *in, size_t count, size_t *out_key,
                         bool *out_descending) {
  for (size_t i = 0; i < count; i++) {
    const void *attr;
    const char *expected;
    bool swapped;
    if (mica_fold_operator(fold, 2 * i, 2 * i + 1, &attr, &swapped) != MICA_OP_COMPARE) continue;
    int32_t kind = ((const mica_compare_attr *)attr)->kind;
    if ((kind != MICA_COMPARE_LT && kind != MICA_COMPARE_GT) ||
        !mica_class_accepts(MICA_CLASS_REAL, mica_dtype_of(in[i]), &expected))
      continue;
    *out_key = i;
    *out_descending = (kind == MICA_COMPARE_GT) != swapped;
    return true;
  }
  return false;
}

void mica_sort_end(mica_region region, mica_value precedes, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  const sort_block_plan *plan = mica_fold_plan(region, sort_block_name);
  size_t count = plan ? plan->count : mica_fold_failed_results(region);
  mica_type truth = {MICA_BOOL, {0}};
  mica_fold fold;
  mica_results_clear(graph, "sort_end", NULL, 0, out, count);
  if (!mica_fold_close(region, "sort_end", sort_block_name, &precedes, &truth, 1, true, &fold))
    return;
  mica_value *in = mica_fold_values(graph, 3 * count);
  if (!in) return;
  for (size_t i = 0; i < count; i++) in[i] = mica_fold_operand(region, i);
  size_t key;
  bool descending;
  if (sorts_by_key(&fold, in, count, &key, &descending)) {
    mica_value *moved = in + count, *sorted = moved + count;
    for (size_t i = 0; i < count; i++) moved[i] = in[i];
    moved[0] = in[key];
    moved[key] = in[0];
    mica_sort_together(moved, count, 1, (int32_t)plan->axis, descending, sorted);
    for (size_t i = 0; i < count; i++) out[i] = sorted[i];
    out[0] = sorted[key];
    out[key] = sorted[0];
    return;
  }
  mica_shape shape = mica_shape_of(in[0]), moved = shape;
  int64_t n = shape.dim[plan->axis], all = mica_shape_count(shape);
  for (size_t i = 0; i < count; i++) out[i] = in[i];
  if (all == 0 || n < 2) return;
  int32_t last = shape.rank - 1;
  for (int32_t i = (int32_t)plan->axis; i < last; i++) moved.dim[i] = shape.dim[i + 1];
  moved.dim[last] = n;
  for (size_t i = 0; i < count; i++) {
    mica_value x = mica_move_axis(mica_stop_gradient(in[i]), (int32_t)plan->axis, last);
    in[count + i] = mica_reshape_if_needed(x, (mica_shape){.rank = 1, .dim = {all}});
  }
  mica_value places = merge_sort(&fold, in + count, count, all / n, n);
  places = mica_move_axis(mica_reshape_if_needed(places, moved), last, (int32_t)plan->axis);
  for (size_t i = 0; i < count; i++)
    out[i] = mica_take_along_axis(in[i], places, (int32_t)plan->axis);
}
