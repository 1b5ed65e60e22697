/* SPDX-License-Identifier: Apache-2.0 */
/* quantile.c: what is read off sorted lines: quantiles, and the different elements. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/along.h"

/* ---- quantiles ------------------------------------------------------------------------------- */

/* x with the axes `over` joined to the last one: [rows, n]; the shape of the rows in *out_rows. */
static mica_value lines_over(mica_value x, const mica_ints *over, mica_shape *out_rows) {
  mica_shape shape = mica_shape_of(x), rows = {0};
  mica_ints order = {0};
  int64_t size = 1, count = 1;
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    if (mica_ints_contain(over, axis)) {
      size *= shape.dim[axis];
      continue;
    }
    order.at[order.count++] = axis;
    rows.dim[rows.rank++] = shape.dim[axis];
    count *= shape.dim[axis];
  }
  for (int32_t i = 0; i < over->count; i++) order.at[order.count++] = over->at[i];
  *out_rows = rows;
  return mica_reshape_if_needed(mica_transpose_if_needed(x, &order),
                                (mica_shape){.rank = 2, .dim = {count, size}});
}

/* Sorted lines [r, n] read at places [m] or [r, m] of f64: [r, m]. */
static mica_value read_lines_at(mica_value sorted, mica_value place) {
  place = mica_convert(place, MICA_I64);
  return mica_rank_of(place) == 1 ? mica_take(sorted, place, 1)
                                  : mica_take_along_axis(sorted, place, 1);
}

/* [r, n] sorted, places [m] or [r, m] between 0 and n - 1 -> [r, m] */
static mica_value interpolate(mica_value sorted, mica_value place, mica_quantile_method method) {
  mica_value below = mica_floor(place);
  switch (method) {
    case MICA_QUANTILE_LOWER: return read_lines_at(sorted, below);
    case MICA_QUANTILE_HIGHER: return read_lines_at(sorted, mica_ceil(place));
    case MICA_QUANTILE_NEAREST: return read_lines_at(sorted, mica_round(place));
    case MICA_QUANTILE_MIDPOINT:
    case MICA_QUANTILE_LINEAR: break;
  }
  mica_value low = read_lines_at(sorted, below), high = read_lines_at(sorted, mica_ceil(place));
  if (method == MICA_QUANTILE_MIDPOINT) return mica_add(mica_mul(low, 0.5), mica_mul(high, 0.5));
  mica_value part = mica_convert(mica_sub(place, below), mica_dtype_of(sorted));
  mica_shape shape = mica_shape_of(low);
  if (mica_rank_of(part) == 1)
    part = mica_broadcast_in_dim(part, shape, (mica_axes){1, {1}, false});
  /* An infinity has no part of weight 0. */
  mica_value mixed = mica_add(mica_mul(low, mica_add(mica_neg(part), 1)), mica_mul(high, part));
  return mica_select(mica_equal(part, 0), low, mixed);
}

mica_value mica_quantile_with(const mica_quantile_args *args) {
  static const char op[] = "quantile";
  mica_quantile_args a;
  mica_ints over;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.x, a.q);
  mica_value in[2] = {a.x, a.q};
  mica_graph *graph = mica_graph_of(in, 2);
  if (!mica_operands_usable(op, in, 2) || !mica_builder_axes(op, a.x, a.axes, true, &over))
    return mica_no_value(graph);
  mica_dtype dtype = mica_dtype_of(a.x);
  const char *expected = "";
  if (!mica_class_accepts(MICA_CLASS_FLOAT, dtype, &expected) ||
      !mica_class_accepts(MICA_CLASS_FLOAT, mica_dtype_of(a.q), &expected))
    return mica_fail_operator(graph, op, in, 2, "expected x and q of %s", expected);
  if (mica_rank_of(a.q) > 1) return mica_fail_operator(graph, op, in, 2, "expected q [] or [m]");
  if (a.method < MICA_QUANTILE_LINEAR || a.method > MICA_QUANTILE_MIDPOINT)
    return mica_fail_operator(graph, op, in, 2, "method %d is unknown", (int)a.method);
  mica_shape rows;
  mica_value lines = mica_widen(lines_over(a.x, &over, &rows));
  int64_t row_count = mica_dim_of(lines, 0), size = mica_dim_of(lines, 1);
  bool several = mica_rank_of(a.q) == 1;
  int64_t q_count = several ? mica_dim_of(a.q, 0) : 1;
  mica_shape result = several ? mica_shape_insert(rows, 0, q_count) : rows;
  if (a.axes.keep) {
    result = mica_shape_of(a.x);
    for (int32_t i = 0; i < over.count; i++) result.dim[over.at[i]] = 1;
    if (several) result = mica_shape_insert(result, 0, q_count);
  }
  if (result.rank > MICA_MAX_RANK)
    return mica_fail_operator(graph, op, in, 2,
                              "the result has rank %" PRId32 ": expected at most %d", result.rank,
                              MICA_MAX_RANK);
  if (size == 0) return mica_full(graph, (mica_type){dtype, result}, (double)NAN);
  mica_value sorted = mica_sort(lines, 1, false);
  mica_value q = mica_reshape_if_needed(mica_convert(a.q, MICA_F64),
                                        (mica_shape){.rank = 1, .dim = {q_count}});
  q = mica_min(mica_max(q, 0), 1);
  mica_value out;
  if (a.ignore_nan) {
    mica_value numbers = mica_convert(mica_not(mica_is_nan(sorted)), MICA_F64);
    mica_value last = mica_max(mica_sub(mica_reduce_sum(numbers, (mica_axes){1, {1}, true}), 1), 0);
    mica_shape each = {.rank = 2, .dim = {row_count, q_count}};
    out = interpolate(sorted, mica_mul(mica_broadcast_to(last, each), q), a.method);
  } else {
    out = interpolate(sorted, mica_mul(q, (double)(size - 1)), a.method);
    mica_value top = mica_slice_axis(sorted, 1, size - 1, size, 1); /* NaN if any is */
    top = mica_broadcast_to(top, mica_shape_of(out));
    out = mica_select(mica_is_nan(top), top, out);
  }
  out = mica_swap_axes(out, 0, 1);
  return mica_convert(mica_reshape_if_needed(out, result), dtype);
}

mica_value mica_median(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("median", &x, 1)) return mica_no_value(x.graph);
  const char *expected = "";
  if (!mica_class_accepts(MICA_CLASS_FLOAT, mica_dtype_of(x), &expected))
    return mica_fail_operator(x.graph, "median", &x, 1, "expected %s (mica_convert first)",
                              expected);
  return mica_quantile(x, mica_scalar(x.graph, MICA_F64, 0.5), .axes = axes);
}

/* ---- different elements ---------------------------------------------------------------------- */

/* [n] in order -> bool [n]: whether an element differs from the one in front of it. */
static mica_value begins_group(mica_value sorted) {
  int64_t count = mica_dim_of(sorted, 0);
  mica_value first = mica_full(sorted.graph, (mica_type){MICA_BOOL, {.rank = 1, .dim = {1}}}, 1);
  mica_value before = mica_slice_axis(sorted, 0, 0, count - 1, 1),
             behind = mica_slice_axis(sorted, 0, 1, count, 1);
  mica_value differs = mica_not_equal(before, behind);
  if (mica_dtype_is_float(mica_dtype_of(sorted)))
    differs = mica_and(differs, mica_not(mica_and(mica_is_nan(before), mica_is_nan(behind))));
  return mica_concatenate((mica_value[]){first, differs}, 2, 0);
}

mica_unique_result mica_unique(mica_value x, int64_t size, mica_value filling) {
  static const char op[] = "unique";
  mica_value in[2] = {x, filling};
  size_t given = filling.graph ? 2 : 1;
  mica_graph *graph = mica_graph_of(in, given);
  mica_value none = mica_no_value(graph);
  mica_unique_result failed = {none, none, none, none}, out;
  if (!mica_operands_usable(op, in, given)) return failed;
  mica_type type = mica_type_of(x);
  int64_t count = mica_shape_count(type.shape);
  const char *problem = NULL;
  if (size < 0) problem = "size is negative: expected how many different elements there may be";
  if (count > INT32_MAX || size > INT32_MAX) problem = "expected less than 2^31 elements";
  if (given == 2 && (mica_rank_of(filling) || mica_dtype_of(filling) != type.dtype))
    problem = "expected a filling [] of x's dtype";
  if (problem) {
    mica_fail_operator(graph, op, in, given, "%s", problem);
    return failed;
  }
  if (given == 1) filling = mica_scalar(graph, type.dtype, 0);
  mica_shape sizes = {.rank = 1, .dim = {size}};
  mica_type numbers = {MICA_I32, sizes}, places = {MICA_I32, {.rank = 1, .dim = {count}}};
  mica_value nothing = mica_full(graph, numbers, 0);
  mica_value filled = mica_broadcast_if_needed(filling, sizes);
  if (count == 0)
    return (mica_unique_result){filled, nothing,
                                mica_full(graph, (mica_type){MICA_I32, type.shape}, 0), nothing};
  mica_value flat = mica_reshape_if_needed(x, places.shape);
  mica_value ordered[2], both[2] = {mica_stop_gradient(flat), mica_iota(graph, places, 0)};
  mica_sort_together(both, 2, 1, 0, false, ordered);
  mica_value begins = begins_group(ordered[0]);
  mica_value number = mica_sub(mica_cumulative_sum(mica_convert(begins, MICA_I32), 0), 1);
  mica_value to = mica_select(begins, number, mica_full_like(number, -1));
  out.places = mica_scatter_set(nothing, to, ordered[1]);
  out.counts = mica_scatter_add(nothing, number, mica_ones_like(number));
  out.inverse = mica_reshape_if_needed(
      mica_scatter_set(mica_zeros_like(number), ordered[1], number), type.shape);
  out.values = mica_select(mica_greater(out.counts, 0), mica_take(flat, out.places, 0), filled);
  return out;
}
