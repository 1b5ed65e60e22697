/* SPDX-License-Identifier: Apache-2.0 */
/* reduce_region.c: reductions and windows that are folded by a block (region.h). */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/along.h"
#include "graph/ops/fold_region.h"
#include "graph/ops/windows.h"

/* What begins of both operators leave for their ends: the block's operands are x[count], init[count]. */
typedef struct {
  size_t count;
  mica_ints axes;
  bool keep;
  mica_window_attr windows;
  mica_type *elements; /* [2 count] of the block's arguments */
} reduce_block_plan;

static const char reduce_block_name[] = "reduce";
static const char window_block_name[] = "reduce_window";

/* The plan of `count` operands and their starting values; NULL when the graph failed. */
static reduce_block_plan *plan_folds(const char *op, mica_graph *graph, const mica_value *in,
                                     size_t count) {
  reduce_block_plan *plan = mica_arena_allocate_zeroed(&graph->arena, 1, sizeof *plan);
  mica_type *elements = mica_arena_allocate_zeroed(&graph->arena, 2 * count + 1, sizeof *elements);
  if (!plan || !elements) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return NULL;
  }
  *plan = (reduce_block_plan){.count = count, .elements = elements};
  if (count < 1 || !mica_operands_usable(op, in, 2 * count)) return NULL;
  mica_shape shape = mica_shape_of(in[0]);
  for (size_t i = 0; i < count; i++) {
    mica_type x = mica_type_of(in[i]), init = mica_type_of(in[count + i]);
    const char *problem = NULL;
    if (!mica_shape_equal(x.shape, shape))
      problem = "has another shape than the first one: expected the same";
    if (init.shape.rank || init.dtype != x.dtype)
      problem = "needs another init: expected [] of its dtype";
    if (problem) {
      mica_fail_operator(graph, op, in, 2 * count, "operand %zu %s", i, problem);
      return NULL;
    }
    elements[i] = elements[count + i] = init;
  }
  return plan;
}

static mica_value *joined_operands(const char *op, mica_graph *graph, const mica_value *x,
                                   const mica_value *init, size_t count) {
  if (!mica_list_given(graph, op, "operand", x, count) ||
      !mica_list_given(graph, op, "init", init, count))
    return NULL;
  mica_value *in = mica_fold_values(graph, 2 * count);
  for (size_t i = 0; in && i < count; i++) {
    in[i] = x[i];
    in[count + i] = init[i];
  }
  return in;
}

/* init[i] [] in front of folded[i] [columns], as one more join. */
static void join_init(const mica_fold *fold, mica_region region, const mica_value *folded,
                      size_t count, int64_t columns, mica_value *out) {
  mica_value *init = mica_fold_values(fold->graph, count);
  for (size_t i = 0; init && i < count; i++)
    init[i] = mica_broadcast_to(mica_fold_operand(region, count + i),
                                (mica_shape){.rank = 1, .dim = {columns}});
  if (init) mica_fold_pairs((void *)(uintptr_t)fold, init, folded, count, columns, out);
}

/* Whether `init` is known to be what the kind starts with. */
static bool starts_neutral(mica_value init, mica_reduce_kind kind) {
  double number;
  mica_dtype dtype = mica_dtype_of(init);
  if (!mica_is_constant_number(init.graph, init.id, &number)) return false;
  if (kind == MICA_REDUCE_SUM || kind == MICA_REDUCE_OR) return number == 0;
  if (kind == MICA_REDUCE_PROD) return number == 1;
  if (dtype == MICA_BOOL) return number == (kind == MICA_REDUCE_AND || kind == MICA_REDUCE_MIN);
  if (kind == MICA_REDUCE_AND) return false; /* all bits */
  if (mica_dtype_is_float(dtype))
    return number == (kind == MICA_REDUCE_MAX ? -(double)INFINITY : (double)INFINITY);
  int32_t bits = mica_dtype_bits(dtype);
  if (bits < 8 || bits > 32) return false;
  bool is_signed = mica_dtype_is_signed(dtype);
  double top = ldexp(1, is_signed ? bits - 1 : bits);
  return number == (kind == MICA_REDUCE_MIN ? top - 1 : is_signed ? -top : 0);
}

/* ---- reduce ---------------------------------------------------------------------------------- */

mica_region mica_reduce_begin(const mica_value *x, const mica_value *init, size_t count,
                              mica_axes axes) {
  MICA_ENTRY(mica_graph_of(x, count));
  mica_graph *graph = mica_graph_of(x, count);
  if (!graph) graph = mica_graph_of(init, count);
  if (!graph || graph->status != MICA_OK) return mica_fold_failed(graph, count);
  mica_value *in = joined_operands(reduce_block_name, graph, x, init, count);
  reduce_block_plan *plan = in ? plan_folds(reduce_block_name, graph, in, count) : NULL;
  if (!plan || !mica_builder_axes(reduce_block_name, in[0], axes, true, &plan->axes))
    return mica_fold_failed(graph, count);
  plan->keep = axes.keep;
  return mica_fold_open(graph, reduce_block_name, in, 2 * count, plan->elements, 2 * count, plan,
                        count);
}

/* x with the axes in front, as [rows, columns]. */
static mica_value rows_over(mica_value x, const mica_ints *axes, int64_t rows, int64_t columns) {
  mica_ints order = *axes;
  int32_t rank = mica_rank_of(x);
  for (int32_t axis = 0; axis < rank; axis++)
    if (!mica_ints_contain(axes, axis)) order.at[order.count++] = axis;
  return mica_reshape_if_needed(mica_transpose_if_needed(x, &order),
                                (mica_shape){.rank = 2, .dim = {rows, columns}});
}

void mica_reduce_end(mica_region region, const mica_value *result, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  const reduce_block_plan *plan = mica_fold_plan(region, reduce_block_name);
  size_t count = plan ? plan->count : mica_fold_failed_results(region);
  mica_fold fold;
  bool closed = mica_fold_close(region, "reduce_end", reduce_block_name, result,
                                plan ? plan->elements : NULL, count, true, &fold);
  if (!mica_results_clear(graph, "reduce_end", result, count, out, count) || !closed) return;
  mica_value *x = mica_fold_values(graph, 2 * count), first = mica_fold_operand(region, 0);
  if (!x) return;
  mica_shape shape = mica_shape_of(first), kept = {0}, last;
  int64_t rows = 1, columns = 1;
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    bool gone = mica_ints_contain(&plan->axes, axis);
    *(gone ? &rows : &columns) *= shape.dim[axis];
    if (!gone || plan->keep) kept.dim[kept.rank++] = gone ? 1 : shape.dim[axis];
  }
  last = kept;
  mica_reduce_kind kind;
  if (count == 1 && mica_fold_kind(&fold, mica_dtype_of(first), &kind)) {
    mica_reduce_attr attr = {.kind = (int32_t)kind, .axes = plan->axes};
    mica_value init = mica_fold_operand(region, 1);
    out[0] = mica_reshape_if_needed(mica_emit(graph, MICA_OP_REDUCE, &first, 1, &attr), last);
    if (!starts_neutral(init, kind))
      out[0] = mica_join_values(kind, mica_broadcast_if_needed(init, last), out[0]);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    mica_value operand = mica_fold_operand(region, i);
    if (rows == 0 || columns == 0)
      out[i] = mica_broadcast_if_needed(mica_fold_operand(region, count + i), last);
    else
      x[i] = rows_over(operand, &plan->axes, rows, columns);
  }
  if (rows == 0 || columns == 0) return;
  mica_fold_rows(graph, x, count, rows, columns, mica_fold_pairs, &fold, x + count);
  join_init(&fold, region, x + count, count, columns, out);
  for (size_t i = 0; i < count; i++) out[i] = mica_reshape_if_needed(out[i], last);
}

/* ---- reduce_window --------------------------------------------------------------------------- */

mica_region mica_reduce_window_begin_with(const mica_reduce_window_block_args *args) {
  mica_reduce_window_block_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return mica_fold_failed(NULL, 0);
  MICA_ENTRY(mica_graph_of(a.x, a.count));
  mica_graph *graph = mica_graph_of(a.x, a.count);
  if (!graph) graph = mica_graph_of(a.init, a.count);
  if (!graph || graph->status != MICA_OK) return mica_fold_failed(graph, a.count);
  mica_value *in = joined_operands(window_block_name, graph, a.x, a.init, a.count);
  reduce_block_plan *plan = in ? plan_folds(window_block_name, graph, in, a.count) : NULL;
  if (!plan || !mica_window_lists(window_block_name, in[0], a.window, a.stride, a.base_dilation,
                                  a.window_dilation, a.low, a.high, &plan->windows))
    return mica_fold_failed(graph, a.count);
  return mica_fold_open(graph, window_block_name, in, 2 * a.count, plan->elements, 2 * a.count,
                        plan, a.count);
}

void mica_reduce_window_end(mica_region region, const mica_value *result, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  reduce_block_plan *plan = mica_fold_plan(region, window_block_name);
  size_t count = plan ? plan->count : mica_fold_failed_results(region);
  mica_fold fold;
  bool closed = mica_fold_close(region, "reduce_window_end", window_block_name, result,
                                plan ? plan->elements : NULL, count, true, &fold);
  if (!mica_results_clear(graph, "reduce_window_end", result, count, out, count) || !closed) return;
  mica_value *cells = mica_fold_values(graph, 2 * count), first = mica_fold_operand(region, 0);
  if (!cells) return;
  mica_shape shape = mica_shape_of(first), windows;
  if (!mica_window_sizes(window_block_name, first, &plan->windows, &windows)) return;
  mica_reduce_kind kind;
  if (count == 1 && mica_fold_kind(&fold, mica_dtype_of(first), &kind) && kind <= MICA_REDUCE_MIN &&
      starts_neutral(mica_fold_operand(region, 1), kind)) {
    plan->windows.kind = (int32_t)kind;
    out[0] = mica_emit(graph, MICA_OP_REDUCE_WINDOW, &first, 1, &plan->windows);
    return;
  }
  int64_t columns = mica_shape_count(windows), rows = 1;
  for (int32_t axis = 0; axis < shape.rank; axis++) rows *= plan->windows.window.at[axis];
  for (size_t i = 0; i < count; i++) {
    mica_value init = mica_fold_operand(region, count + i);
    if (columns == 0 || mica_shape_count(shape) == 0)
      out[i] = mica_broadcast_if_needed(init, windows);
    else
      cells[i] = mica_window_patches(window_block_name, &plan->windows,
                                     mica_fold_operand(region, i), init, windows);
  }
  if (columns == 0) return;
  if (mica_shape_count(shape) == 0) { /* windows of padding alone */
    for (size_t i = 0; i < count; i++)
      cells[i] = mica_broadcast_if_needed(mica_fold_operand(region, count + i),
                                          (mica_shape){.rank = 2, .dim = {rows, columns}});
  }
  mica_fold_rows(graph, cells, count, rows, columns, mica_fold_pairs, &fold, cells + count);
  join_init(&fold, region, cells + count, count, columns, out);
  for (size_t i = 0; i < count; i++) out[i] = mica_reshape_if_needed(out[i], windows);
}

mica_value mica_reduce_xor(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("reduce_xor", &x, 1) ||
      !mica_operands_accepted("reduce_xor", &x, 1, MICA_CLASS_LOGICAL))
    return mica_no_value(x.graph);
  mica_value none = mica_scalar(x.graph, mica_dtype_of(x), 0), out = {0};
  mica_region block = mica_reduce_begin(&x, &none, 1, axes);
  mica_value both = mica_xor(mica_argument(block, 0), mica_argument(block, 1));
  mica_reduce_end(block, &both, &out);
  return out;
}
