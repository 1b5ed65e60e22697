/* SPDX-License-Identifier: Apache-2.0 */
/* masked.c: reductions and softmax over some of the elements. What the mask leaves out is selected away in
 * front of the function that it would harm, and the result once more behind it. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/along.h"

/* Checks x and the mask, which is broadcast to x. */
static bool begin_masked(const char *op, mica_value x, mica_value *mask, mica_dtype_class class) {
  mica_value in[2] = {x, *mask};
  if (!mica_operands_usable(op, in, 2) || !mica_operands_accepted(op, &x, 1, class)) return false;
  mica_shape both;
  int32_t end = 0;
  if (mica_dtype_of(*mask) != MICA_BOOL ||
      !mica_shape_broadcast(mica_shape_of(x), mica_shape_of(*mask), &both, &end) ||
      !mica_shape_equal(both, mica_shape_of(x))) {
    mica_fail_operator(x.graph, op, in, 2,
                       "operand 1 is the mask: expected bool that broadcasts to operand 0");
    return false;
  }
  *mask = mica_broadcast_if_needed(*mask, both);
  return true;
}

static mica_value masked_fold(const char *op, mica_value x, mica_value mask, mica_axes axes,
                              mica_dtype_class class, mica_reduce_kind kind) {
  mica_ints over;
  if (!begin_masked(op, x, &mask, class) || !mica_builder_axes(op, x, axes, true, &over))
    return mica_no_value(x.graph);
  mica_dtype dtype = mica_dtype_of(x);
  mica_value wide = mica_widen(x),
             neutral = mica_neutral_number(x.graph, mica_dtype_of(wide), kind);
  wide = mica_select(mask, wide, mica_broadcast_to(neutral, mica_shape_of(wide)));
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  mica_value folded = kind == MICA_REDUCE_SUM    ? mica_reduce_sum(wide, drop)
                      : kind == MICA_REDUCE_PROD ? mica_reduce_prod(wide, drop)
                      : kind == MICA_REDUCE_MAX  ? mica_reduce_max(wide, drop)
                                                 : mica_reduce_min(wide, drop);
  return mica_convert(folded, dtype);
}

mica_value mica_masked_sum(mica_value x, mica_value mask, mica_axes axes) {
  MICA_ENTRY_OF(x, mask);
  return masked_fold("masked_sum", x, mask, axes, MICA_CLASS_NUMBER, MICA_REDUCE_SUM);
}
mica_value mica_masked_prod(mica_value x, mica_value mask, mica_axes axes) {
  MICA_ENTRY_OF(x, mask);
  return masked_fold("masked_prod", x, mask, axes, MICA_CLASS_NUMBER, MICA_REDUCE_PROD);
}
mica_value mica_masked_max(mica_value x, mica_value mask, mica_axes axes) {
  MICA_ENTRY_OF(x, mask);
  return masked_fold("masked_max", x, mask, axes, MICA_CLASS_REAL, MICA_REDUCE_MAX);
}
mica_value mica_masked_min(mica_value x, mica_value mask, mica_axes axes) {
  MICA_ENTRY_OF(x, mask);
  return masked_fold("masked_min", x, mask, axes, MICA_CLASS_REAL, MICA_REDUCE_MIN);
}

mica_value mica_masked_mean(mica_value x, mica_value mask, mica_axes axes) {
  MICA_ENTRY_OF(x, mask);
  mica_ints over;
  if (!begin_masked("masked_mean", x, &mask, MICA_CLASS_INEXACT) ||
      !mica_builder_axes("masked_mean", x, axes, true, &over))
    return mica_no_value(x.graph);
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  mica_value wide = mica_widen(x);
  mica_value sum = mica_reduce_sum(mica_select(mask, wide, mica_zeros_like(wide)), drop);
  mica_value count = mica_reduce_sum(mica_convert(mask, mica_dtype_of(wide)), drop);
  return mica_convert(mica_div(sum, count), mica_dtype_of(x));
}

/* ---- softmax ------------------------------------------------------------------------------------- */

/* x - max along the axis, 0 where masked; out_sum: of the exponentials, 1 for a line of nothing. */
static mica_value masked_shifted(mica_value x, mica_value mask, int64_t axis, mica_value *out_some,
                                 mica_value *out_sum) {
  mica_axes along = {.count = 1, .axis = {(int32_t)axis}, .keep = true};
  mica_value there = mica_select(mask, x, mica_full_like(x, -INFINITY));
  mica_value top = mica_stop_gradient(mica_reduce_max(there, along));
  top = mica_select(mica_is_finite(top), top, mica_zeros_like(top));
  mica_value shifted = mica_sub(mica_select(mask, x, mica_zeros_like(x)), top);
  shifted = mica_select(mask, shifted, mica_zeros_like(x));
  mica_value exponentials = mica_select(mask, mica_exp(shifted), mica_zeros_like(x));
  *out_some = mica_reduce_or(mask, along);
  mica_value sum = mica_reduce_sum(exponentials, along);
  *out_sum = mica_select(*out_some, sum, mica_ones_like(sum));
  return shifted;
}

mica_value mica_masked_softmax(mica_value x, mica_value mask, int32_t axis) {
  MICA_ENTRY_OF(x, mask);
  int64_t at;
  if (!begin_masked("masked_softmax", x, &mask, MICA_CLASS_FLOAT) ||
      !mica_builder_axis("masked_softmax", x, axis, &at))
    return mica_no_value(x.graph);
  mica_value some, sum, wide = mica_widen(x), shifted = masked_shifted(wide, mask, at, &some, &sum);
  mica_value share = mica_div(mica_exp(shifted), sum);
  return mica_convert(mica_select(mask, share, mica_zeros_like(wide)), mica_dtype_of(x));
}

mica_value mica_masked_log_softmax(mica_value x, mica_value mask, int32_t axis) {
  MICA_ENTRY_OF(x, mask);
  int64_t at;
  if (!begin_masked("masked_log_softmax", x, &mask, MICA_CLASS_FLOAT) ||
      !mica_builder_axis("masked_log_softmax", x, axis, &at))
    return mica_no_value(x.graph);
  mica_value some, sum, wide = mica_widen(x), shifted = masked_shifted(wide, mask, at, &some, &sum);
  mica_value logarithm = mica_sub(shifted, mica_log(sum));
  logarithm = mica_select(mask, logarithm, mica_full_like(wide, -INFINITY));
  return mica_convert(logarithm, mica_dtype_of(x));
}

mica_value mica_segment_softmax(mica_value x, mica_value ids, int64_t segments) {
  MICA_ENTRY_OF(x, ids);
  mica_value in[2] = {x, ids};
  if (!mica_operands_usable("segment_softmax", in, 2) ||
      !mica_operands_accepted("segment_softmax", &x, 1, MICA_CLASS_FLOAT))
    return mica_no_value(mica_graph_of(in, 2));
  mica_value wide = mica_widen(x);
  mica_value top = mica_segment_reduce(mica_stop_gradient(wide), ids, segments, MICA_SEGMENT_MAX);
  if (x.graph->status != MICA_OK || segments == 0) return mica_zeros_like(x);
  top = mica_select(mica_is_finite(top), top, mica_zeros_like(top));
  ids = mica_convert(ids, MICA_I64);
  mica_value inside = mica_and(mica_greater_equal(ids, 0), mica_less(ids, (double)segments));
  mica_value place = mica_select(inside, ids, mica_zeros_like(ids));
  mica_shape column = {.rank = mica_rank_of(x), .dim = {mica_dim_of(x, 0)}};
  for (int32_t i = 1; i < column.rank; i++) column.dim[i] = 1;
  mica_value rows = mica_broadcast_to(mica_reshape(inside, column), mica_shape_of(x));
  mica_value shifted = mica_sub(wide, mica_take(top, place, 0));
  shifted = mica_select(rows, shifted, mica_zeros_like(shifted));
  mica_value powers = mica_exp(shifted);
  mica_value sums = mica_segment_reduce(powers, ids, segments, MICA_SEGMENT_SUM);
  mica_value empty = mica_equal(sums, 0);
  sums = mica_select(empty, mica_ones_like(sums), sums); /* nobody reads it, but 0 / 0 would */
  mica_value share = mica_div(powers, mica_take(sums, place, 0));
  return mica_convert(mica_select(rows, share, mica_zeros_like(share)), mica_dtype_of(x));
}

/* ---- lengths and angles -------------------------------------------------------------------------- */

mica_value mica_l2_normalize(mica_value x, mica_axes axes, double epsilon) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!mica_operands_usable("l2_normalize", &x, 1) ||
      !mica_operands_accepted("l2_normalize", &x, 1, MICA_CLASS_FLOAT) ||
      !mica_builder_axes("l2_normalize", x, axes, true, &over))
    return mica_no_value(x.graph);
  if (!(epsilon >= 0) || !isfinite(epsilon))
    return mica_fail_operator(x.graph, "l2_normalize", &x, 1,
                              "epsilon %g: expected a finite number of at least 0", epsilon);
  mica_axes kept = mica_axes_keeping(&over, true);
  mica_value wide = mica_widen(x), length = mica_norm(wide, 2, kept);
  mica_value none = mica_equal(length, 0);
  if (epsilon > 0)
    length = mica_max(length, epsilon);
  else
    length = mica_select(none, mica_ones_like(length), length);
  mica_value unit = mica_div(wide, length);
  if (epsilon == 0)
    unit = mica_select(mica_broadcast_to(none, mica_shape_of(wide)), mica_zeros_like(wide), unit);
  return mica_convert(unit, mica_dtype_of(x));
}

mica_value mica_cosine_similarity(mica_value x, mica_value y, int32_t axis) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  int64_t at;
  if (!mica_operands_usable("cosine_similarity", in, 2) ||
      !mica_operands_accepted("cosine_similarity", in, 2, MICA_CLASS_FLOAT) ||
      !mica_broadcast_operands("cosine_similarity", in, 2, 0) ||
      !mica_builder_axis("cosine_similarity", in[0], axis, &at))
    return mica_no_value(mica_graph_of(in, 2));
  mica_axes along = {.count = 1, .axis = {(int32_t)at}};
  mica_value a = mica_l2_normalize(mica_widen(in[0]), along, 0),
             b = mica_l2_normalize(mica_widen(in[1]), along, 0);
  return mica_convert(mica_reduce_sum(mica_mul(a, b), along), mica_dtype_of(x));
}

mica_value mica_cross_cosine_similarity(mica_value x, mica_value y) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  if (!mica_operands_usable("cross_cosine_similarity", in, 2) ||
      !mica_operands_accepted("cross_cosine_similarity", in, 2, MICA_CLASS_FLOAT))
    return mica_no_value(mica_graph_of(in, 2));
  if (mica_rank_of(x) < 2 || mica_rank_of(y) < 2)
    return mica_fail_operator(x.graph, "cross_cosine_similarity", in, 2,
                              "expected x [..., n, d] and y [..., m, d]");
  mica_axes last = {.count = 1, .axis = {-1}};
  mica_value a = mica_l2_normalize(mica_widen(x), last, 0),
             b = mica_l2_normalize(mica_widen(y), last, 0);
  return mica_convert(mica_matmul(a, mica_swap_axes(b, -1, -2)), mica_dtype_of(x));
}
