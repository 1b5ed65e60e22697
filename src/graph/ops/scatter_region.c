/* SPDX-License-Identifier: Apache-2.0 */
/* scatter_region.c: scatters whose combiner is a block (region.h).
 *
 * Updates are sorted by the element they go to, stably; a running fold that begins anew with each
 * element leaves the fold of all its updates at the last one, from where it is joined with the
 * element and set. The running fold joins pairs of (begins anew, value), which is associative if
 * the block is. */
#include <inttypes.h>

#include "graph/ops/along.h"
#include "graph/ops/fold_region.h"
#include "graph/ops/indexing.h"
#include "graph/ops/windows.h"

/* (f, v) (g, w) -> (f or g, g ? w : v w) */
static void join_in_segments(void *context, const mica_value *left, const mica_value *right,
                             size_t count, int64_t size, mica_value *out) {
  const mica_fold *fold = context;
  mica_fold_pairs(context, left + 1, right + 1, count - 1, size, out + 1);
  out[0] = mica_or(left[0], right[0]);
  for (size_t i = 1; i < count && fold->graph->status == MICA_OK; i++)
    out[i] = mica_select(right[0], right[i], out[i]);
}

/* Element targets[j] [m] of x[i] [n] joined with updates[i][j] [m], in the order of j; targets
 * below 0 are left out. out[count] [n]. */
static void fold_into(const mica_fold *fold, const mica_value *x, const mica_value *updates,
                      size_t count, mica_value targets, mica_value *out) {
  mica_graph *graph = fold->graph;
  int64_t m = mica_dim_of(targets, 0);
  for (size_t i = 0; i < count; i++) out[i] = m == 0 ? x[i] : mica_no_value(graph);
  if (m == 0 || graph->status != MICA_OK) return;
  mica_value ordered[2], both[2] = {targets, mica_places_along(targets, 0)};
  mica_sort_together(both, 2, 1, 0, false, ordered);
  mica_value *from = mica_fold_values(graph, 3 * count + 2);
  if (!from || graph->status != MICA_OK) return;
  mica_value *folded = from + count + 1, *element = folded + count + 1;
  mica_value edge = mica_full(graph, (mica_type){MICA_BOOL, {.rank = 1, .dim = {1}}}, 1);
  mica_value changes = mica_not_equal(mica_slice_axis(ordered[0], 0, 1, m, 1),
                                      mica_slice_axis(ordered[0], 0, 0, m - 1, 1));
  from[0] = mica_concatenate((mica_value[]){edge, changes}, 2, 0);
  mica_value ends = mica_concatenate((mica_value[]){changes, edge}, 2, 0);
  for (size_t i = 0; i < count; i++) from[i + 1] = mica_take(updates[i], ordered[1], 0);
  mica_scan_pairs(graph, from, count + 1, m, join_in_segments, (void *)(uintptr_t)fold, folded);
  for (size_t i = 0; i < count; i++) element[i] = mica_take(x[i], ordered[0], 0);
  mica_fold_pairs((void *)(uintptr_t)fold, element, folded + 1, count, m, from);
  mica_value to = mica_select(ends, ordered[0], mica_full_like(ordered[0], -1));
  for (size_t i = 0; i < count && graph->status == MICA_OK; i++)
    out[i] = mica_scatter_set(x[i], to, from[i]);
}

static mica_value as_line(mica_value x) {
  return mica_reshape_if_needed(
      x, (mica_shape){.rank = 1, .dim = {mica_shape_count(mica_shape_of(x))}});
}

/* 0, 1, 2, .. in row-major order over a shape; i64 where i32 is too small. */
static mica_value count_elements(mica_graph *graph, mica_shape shape) {
  int64_t count = mica_shape_count(shape);
  mica_type line = {count <= INT32_MAX ? MICA_I32 : MICA_I64, {.rank = 1, .dim = {count}}};
  return mica_reshape_if_needed(mica_iota(graph, line, 0), shape);
}

/* ---- scatter --------------------------------------------------------------------------------- */

typedef struct {
  size_t count; /* the block's operands: x[count], updates[count], indices */
  mica_scatter_attr attr;
  mica_type *elements; /* [2 count] */
} scatter_block_plan;

static const char scatter_block_name[] = "scatter";

mica_region mica_scatter_begin_with(const mica_scatter_block_args *args) {
  static const char *const op = scatter_block_name;
  mica_scatter_block_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return mica_fold_failed(NULL, 0);
  MICA_ENTRY(mica_graph_of(a.x, a.count));
  mica_graph *graph = mica_graph_of(a.x, a.count);
  if (!graph) graph = mica_graph_of(a.updates, a.count);
  size_t count = a.count, all = 2 * a.count + 1;
  if (!graph || graph->status != MICA_OK || !mica_list_given(graph, op, "operand", a.x, count) ||
      !mica_list_given(graph, op, "update", a.updates, count))
    return mica_fold_failed(graph, count);
  scatter_block_plan *plan = mica_arena_allocate_zeroed(&graph->arena, 1, sizeof *plan);
  mica_type *elements = mica_arena_allocate_zeroed(&graph->arena, 2 * count + 1, sizeof *elements);
  mica_value *in = mica_fold_values(graph, all);
  if (!plan || !elements || !in) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return mica_fold_failed(graph, count);
  }
  for (size_t i = 0; i < count; i++) {
    in[i] = a.x[i];
    in[count + i] = a.updates[i];
  }
  in[2 * count] = a.indices;
  *plan = (scatter_block_plan){.count = count, .elements = elements};
  plan->attr.index_vector_axis = a.index_vector_axis;
  if (!mica_operands_usable(op, in, all) ||
      !mica_builder_list(op, in, all, "update_window_axes", a.update_window_axes,
                         &plan->attr.update_window_axes) ||
      !mica_builder_list(op, in, all, "inserted_window_axes", a.inserted_window_axes,
                         &plan->attr.inserted_window_axes) ||
      !mica_builder_list(op, in, all, "operand_batch_axes", a.operand_batch_axes,
                         &plan->attr.operand_batch_axes) ||
      !mica_builder_list(op, in, all, "index_batch_axes", a.index_batch_axes,
                         &plan->attr.index_batch_axes) ||
      !mica_builder_list(op, in, all, "index_map", a.index_map, &plan->attr.index_map))
    return mica_fold_failed(graph, count);
  for (size_t i = 0; i < count; i++) {
    mica_type type = mica_type_of(in[i]);
    if (!mica_shape_equal(type.shape, mica_shape_of(in[0])) ||
        !mica_shape_equal(mica_shape_of(in[count + i]), mica_shape_of(in[count]))) {
      mica_fail_operator(graph, op, in, all,
                         "operand %zu has another shape than the first one: expected the same", i);
      return mica_fold_failed(graph, count);
    }
    /* The fixed scatter knows what fits; it is dead when the block is not recognized. */
    mica_emit(graph, MICA_OP_SCATTER, (mica_value[]){in[i], a.indices, in[count + i]}, 3,
              &plan->attr);
    elements[i] = elements[count + i] = (mica_type){type.dtype, {0}};
  }
  return mica_fold_open(graph, op, in, all, elements, 2 * count, plan, count);
}

/* The fixed scatter that a block is. */
static bool fixed_combiner(const mica_fold *fold, mica_dtype dtype, size_t count,
                           mica_scatter_kind *out) {
  static const mica_scatter_kind kinds[] = {MICA_SCATTER_ADD, MICA_SCATTER_MUL, MICA_SCATTER_MAX,
                                            MICA_SCATTER_MIN};
  mica_reduce_kind kind;
  bool sets = true;
  for (size_t i = 0; i < count; i++) sets = sets && mica_fold_gives(fold, i, count + i);
  *out = MICA_SCATTER_SET;
  if (sets) return true;
  if (count != 1 || !mica_fold_kind(fold, dtype, &kind) || kind > MICA_REDUCE_MIN) return false;
  *out = kinds[kind];
  return true;
}

void mica_scatter_end(mica_region region, const mica_value *result, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  scatter_block_plan *plan = mica_fold_plan(region, scatter_block_name);
  size_t count = plan ? plan->count : mica_fold_failed_results(region);
  mica_fold fold;
  bool closed = mica_fold_close(region, "scatter_end", scatter_block_name, result,
                                plan ? plan->elements : NULL, count, true, &fold);
  if (!mica_results_clear(graph, "scatter_end", result, count, out, count) || !closed) return;
  if (count == 0) return;
  mica_value indices = mica_fold_operand(region, 2 * count);
  mica_value first = mica_fold_operand(region, 0);
  mica_shape shape = mica_shape_of(first),
             of_updates = mica_shape_of(mica_fold_operand(region, count));
  mica_scatter_kind kind;
  if (fixed_combiner(&fold, mica_dtype_of(first), count, &kind)) {
    plan->attr.kind = (int32_t)kind;
    for (size_t i = 0; i < count; i++)
      out[i] = mica_emit(graph, MICA_OP_SCATTER,
                         (mica_value[]){mica_fold_operand(region, i), indices,
                                        mica_fold_operand(region, count + i)},
                         3, &plan->attr);
    return;
  }
  mica_gather_attr like = mica_gather_like(&plan->attr, shape, of_updates);
  mica_value *x = mica_fold_values(graph, 3 * count);
  if (!x) return;
  mica_value *updates = x + count, *made = updates + count;
  for (size_t i = 0; i < count; i++) out[i] = mica_fold_operand(region, i);
  if (!mica_windows_fit(&like, shape) || mica_shape_count(of_updates) == 0) return;
  mica_value places = count_elements(graph, shape);
  mica_value at[2] = {places, mica_clamp_indices(indices, &like, shape)};
  mica_value target = mica_emit(graph, MICA_OP_GATHER, at, 2, &like);
  mica_value inside = mica_window_inside(indices, &like, shape, of_updates);
  target = as_line(mica_select(inside, target, mica_full_like(target, -1)));
  for (size_t i = 0; i < count; i++) {
    x[i] = as_line(out[i]);
    updates[i] = as_line(mica_fold_operand(region, count + i));
  }
  fold_into(&fold, x, updates, count, target, made);
  for (size_t i = 0; i < count; i++) out[i] = mica_reshape_if_needed(made[i], shape);
}

/* ---- select_and_scatter ---------------------------------------------------------------------- */

typedef struct {
  mica_window_attr windows; /* the block's operands: x, source, init */
  mica_shape sizes;
  mica_type element;
  mica_fold select;
} select_block_plan;

static const char select_block_name[] = "select_and_scatter";

mica_region mica_select_and_scatter_begin_with(const mica_select_and_scatter_args *args) {
  static const char *const op = select_block_name;
  static const int64_t ones[8];
  mica_select_and_scatter_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return mica_fold_failed(NULL, 1);
  MICA_ENTRY_OF(a.x, a.source, a.init);
  mica_value in[3] = {a.x, a.source, a.init};
  mica_graph *graph = mica_graph_of(in, 3);
  if (!graph || graph->status != MICA_OK || !mica_operands_usable(op, in, 3))
    return mica_fold_failed(graph, 1);
  select_block_plan *plan = mica_arena_allocate_zeroed(&graph->arena, 1, sizeof *plan);
  if (!plan) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  if (!plan ||
      !mica_window_lists(op, a.x, a.window, a.stride, ones, ones, a.low, a.high, &plan->windows) ||
      !mica_window_sizes(op, a.x, &plan->windows, &plan->sizes))
    return mica_fold_failed(graph, 1);
  mica_dtype dtype = mica_dtype_of(a.x);
  char text[MICA_SHAPE_TEXT];
  if (!mica_shape_equal(mica_shape_of(a.source), plan->sizes) || mica_dtype_of(a.source) != dtype) {
    mica_fail_operator(graph, op, in, 3, "expected a source %s of x's dtype, one for each window",
                       mica_shape_text(plan->sizes, text));
    return mica_fold_failed(graph, 1);
  }
  if (mica_rank_of(a.init) || mica_dtype_of(a.init) != dtype) {
    mica_fail_operator(graph, op, in, 3, "expected init [] of x's dtype");
    return mica_fold_failed(graph, 1);
  }
  plan->element = (mica_type){dtype, {0}};
  return mica_fold_open(graph, op, in, 3, (mica_type[]){plan->element, plan->element}, 2, plan, 1);
}

void mica_select_and_scatter_combine(mica_region region, mica_value stays) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  select_block_plan *plan = mica_fold_plan(region, select_block_name);
  mica_type truth = {MICA_BOOL, {0}};
  if (plan && graph->status == MICA_OK && graph->blocks[region.id - 1].region_count != 1) {
    mica_fail_block(region, "select_and_scatter_combine",
                    "the second block is open already: expected mica_select_and_scatter_end");
    return;
  }
  mica_fold fold;
  if (!mica_fold_close(region, "select_and_scatter_combine", select_block_name, &stays, &truth, 1,
                       false, &fold))
    return;
  plan->select = fold;
  mica_block_enter(graph, region.id, (mica_type[]){plan->element, plan->element}, 2);
}

/* Of two cells of a window the one that stays; a place below 0 is padding. */
static void join_cells(void *context, const mica_value *left, const mica_value *right, size_t count,
                       int64_t size, mica_value *out) {
  const mica_fold *select = context;
  mica_value stays, both[2] = {left[0], right[0]};
  mica_fold_apply(select, both, size, &stays);
  stays = mica_or(mica_and(stays, mica_greater_equal(left[1], 0)), mica_less(right[1], 0));
  for (size_t i = 0; i < count; i++) out[i] = mica_select(stays, left[i], right[i]);
}

/* The extreme that a select block finds as max-pooling does. */
static bool selects_extreme(const mica_fold *select, mica_dtype dtype, mica_reduce_kind *out) {
  const void *attr;
  const char *expected;
  bool swapped;
  if (!mica_class_accepts(MICA_CLASS_REAL, dtype, &expected) ||
      mica_fold_operator(select, 0, 1, &attr, &swapped) != MICA_OP_COMPARE)
    return false;
  int32_t kind = ((const mica_compare_attr *)attr)->kind;
  if (kind != MICA_COMPARE_GE && kind != MICA_COMPARE_LE) return false;
  *out = (kind == MICA_COMPARE_GE) != swapped ? MICA_REDUCE_MAX : MICA_REDUCE_MIN;
  return true;
}

mica_value mica_select_and_scatter_end(mica_region region, mica_value result) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  select_block_plan *plan = mica_fold_plan(region, select_block_name);
  mica_value none = mica_no_value(graph);
  if (plan && graph->status == MICA_OK && graph->blocks[region.id - 1].region_count != 2)
    return mica_fail_block(region, "select_and_scatter_end",
                           "the second block is missing: expected mica_select_and_scatter_combine");
  mica_fold fold;
  if (!mica_fold_close(region, "select_and_scatter_end", select_block_name, &result,
                       plan ? &plan->element : NULL, 1, true, &fold))
    return none;
  mica_value x = mica_fold_operand(region, 0), source = mica_fold_operand(region, 1),
             init = mica_fold_operand(region, 2);
  mica_shape shape = mica_shape_of(x);
  mica_value filled = mica_broadcast_if_needed(init, shape);
  mica_reduce_kind extreme, sum;
  if (selects_extreme(&plan->select, plan->element.dtype, &extreme) &&
      mica_fold_kind(&fold, plan->element.dtype, &sum) && sum == MICA_REDUCE_SUM) {
    plan->windows.kind = (int32_t)extreme;
    mica_value sums =
        mica_emit(graph, MICA_OP_SELECT_AND_SCATTER, (mica_value[]){x, source}, 2, &plan->windows);
    double number;
    bool zero = mica_is_constant_number(graph, init.id, &number) && number == 0;
    return zero ? sums : mica_add(filled, sums);
  }
  int64_t columns = mica_shape_count(plan->sizes), rows = 1;
  if (columns == 0 || mica_shape_count(shape) == 0) return filled;
  for (int32_t axis = 0; axis < shape.rank; axis++) rows *= plan->windows.window.at[axis];
  mica_value places = count_elements(graph, shape);
  mica_value padding = mica_scalar(graph, mica_dtype_of(places), -1);
  mica_value cells[2] = {
      mica_window_patches(select_block_name, &plan->windows, mica_stop_gradient(x),
                          mica_scalar(graph, plan->element.dtype, 0), plan->sizes),
      mica_window_patches(select_block_name, &plan->windows, places, padding, plan->sizes)};
  mica_value selected[2] = {none, none}, out = none;
  if (graph->status != MICA_OK) return none;
  mica_fold_rows(graph, cells, 2, rows, columns, join_cells, &plan->select, selected);
  mica_value line = as_line(filled), updates = as_line(source);
  fold_into(&fold, &line, &updates, 1, selected[1], &out);
  return mica_reshape_if_needed(out, shape);
}
