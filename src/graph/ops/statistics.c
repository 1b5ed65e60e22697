/* SPDX-License-Identifier: Apache-2.0 */
/* statistics.c: reductions made of others. Moments are taken about the mean, which is subtracted
 * first: the mean of squares less the square of the mean would lose every digit that both share.
 * f16 and bf16 are widened to f32 at the begin and rounded once at the end.
 *
 * A root has no derivative at 0 and a NaN spoils every sum; both are selected away in front of the
 * function that they would harm, and its result once more behind it. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/rules.h"

/* ---- what they begin and end with -------------------------------------------------------------- */

/* Checks operands and class of the first one, and resolves the axes. */
static bool begin_statistic(const char *op, mica_value x, mica_dtype_class class, mica_axes axes,
                            mica_ints *out_axes) {
  return mica_operands_usable(op, &x, 1) && mica_operands_accepted(op, &x, 1, class) &&
         mica_builder_axes(op, x, axes, true, out_axes);
}

/* How many elements are reduced to one. */
static double count_reduced(mica_value x, const mica_ints *axes) {
  double count = 1;
  for (int32_t i = 0; i < axes->count; i++) count *= (double)mica_dim_of(x, (int32_t)axes->at[i]);
  return count;
}

static mica_value nan_like(mica_value x) { return mica_full_like(x, NAN); }

/* sqrt(x), with derivative 0 at 0. */
static mica_value root_flat_at_zero(mica_value x) {
  mica_value none = mica_equal(x, 0), inside = mica_select(none, mica_ones_like(x), x);
  return mica_select(none, mica_zeros_like(x), mica_sqrt(inside));
}

/* ---- truth and counts ---------------------------------------------------------------------------- */

static mica_value is_nonzero(mica_value x) {
  return mica_dtype_of(x) == MICA_BOOL ? x : mica_convert(x, MICA_BOOL);
}

mica_value mica_any(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("any", x, MICA_CLASS_ANY, axes, &over)) return mica_no_value(x.graph);
  return mica_reduce_or(is_nonzero(x), mica_axes_keeping(&over, axes.keep));
}

mica_value mica_all(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("all", x, MICA_CLASS_ANY, axes, &over)) return mica_no_value(x.graph);
  return mica_reduce_and(is_nonzero(x), mica_axes_keeping(&over, axes.keep));
}

mica_value mica_count_nonzero(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("count_nonzero", x, MICA_CLASS_ANY, axes, &over))
    return mica_no_value(x.graph);
  mica_dtype dtype = count_reduced(x, &over) > INT32_MAX ? MICA_I64 : MICA_I32;
  return mica_reduce_sum(mica_convert(is_nonzero(x), dtype), mica_axes_keeping(&over, axes.keep));
}

/* Counting along the elements gives each one that is not 0 its place in the result; the others are
 * sent out of range, where scatter skips them. */
mica_value mica_nonzero(mica_value x, int64_t size, int64_t filling) {
  MICA_ENTRY(x.graph);
  mica_ints all;
  if (!begin_statistic("nonzero", x, MICA_CLASS_ANY, (mica_axes){.count = -1}, &all))
    return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  int64_t count = mica_shape_count(shape);
  if (size < 0 || size > INT32_MAX || count > INT32_MAX || filling < INT32_MIN ||
      filling > INT32_MAX)
    return mica_fail_operator(
        x.graph, "nonzero", &x, 1,
        "size %" PRId64 " and filling %" PRId64 ": expected places that i32 holds", size, filling);
  mica_type flat = {MICA_I32, {.rank = 1, .dim = {count}}},
            places = {MICA_I32, {.rank = 2, .dim = {shape.rank, size}}};
  mica_value found = mica_reshape_if_needed(is_nonzero(x), flat.shape);
  mica_value rank = mica_sub(mica_cumulative_sum(mica_convert(found, MICA_I32), 0), 1);
  mica_value target = mica_select(found, rank, mica_full_like(rank, (double)size));
  mica_value at = mica_iota(x.graph, flat, 0), rows[MICA_MAX_RANK];
  mica_value out = mica_full(x.graph, places, (double)filling);
  if (shape.rank == 0 || size == 0 || count == 0) return out;
  int64_t stride = count;
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    stride /= shape.dim[axis];
    rows[axis] = mica_rem(mica_div(at, (double)stride), (double)shape.dim[axis]);
    rows[axis] = mica_scatter_set(
        mica_full(x.graph, (mica_type){MICA_I32, {.rank = 1, .dim = {size}}}, (double)filling),
        target, rows[axis]);
  }
  return mica_stack(rows, (size_t)shape.rank, 0);
}

/* ---- moments ------------------------------------------------------------------------------------- */

static mica_value sum_squares(mica_value x, const mica_ints *axes, bool keep) {
  return mica_reduce_sum(mica_mul(x, x), mica_axes_keeping(axes, keep));
}

static mica_value variance_of(mica_value x, const mica_ints *axes, double ddof, bool keep) {
  mica_value centered = mica_sub(x, mica_reduce_mean(x, mica_axes_keeping(axes, true)));
  double freedom = count_reduced(x, axes) - ddof;
  mica_value sum = sum_squares(centered, axes, keep);
  return freedom > 0 ? mica_div(sum, freedom) : nan_like(sum);
}

mica_value mica_variance(mica_value x, mica_axes axes, double ddof) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("variance", x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  return mica_convert(variance_of(mica_widen(x), &over, ddof, axes.keep), mica_dtype_of(x));
}

mica_value mica_std(mica_value x, mica_axes axes, double ddof) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("std", x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  mica_value variance = variance_of(mica_widen(x), &over, ddof, axes.keep);
  return mica_convert(root_flat_at_zero(variance), mica_dtype_of(x));
}

static mica_value standardized_moment(const char *op, mica_value x, mica_axes axes, int power) {
  mica_ints over;
  if (!begin_statistic(op, x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  mica_value wide = mica_widen(x);
  mica_value centered = mica_sub(wide, mica_reduce_mean(wide, mica_axes_keeping(&over, true)));
  mica_value squares = mica_mul(centered, centered);
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  mica_value second = mica_reduce_mean(squares, drop);
  mica_value moment = mica_reduce_mean(mica_mul(squares, power == 3 ? centered : squares), drop);
  moment = power == 3 ? mica_div(moment, mica_mul(second, mica_sqrt(second)))
                      : mica_sub(mica_div(moment, mica_mul(second, second)), 3);
  return mica_convert(moment, mica_dtype_of(x));
}
mica_value mica_skewness(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return standardized_moment("skewness", x, axes, 3);
}
mica_value mica_kurtosis(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return standardized_moment("kurtosis", x, axes, 4);
}

mica_value mica_average(mica_value x, mica_value weights, mica_axes axes) {
  MICA_ENTRY_OF(x, weights);
  mica_ints over;
  if (!weights.graph) return mica_reduce_mean(x, axes);
  mica_value in[2] = {x, weights};
  if (!mica_operands_usable("average", in, 2) ||
      !begin_statistic("average", x, MICA_CLASS_INEXACT, axes, &over))
    return mica_no_value(mica_graph_of(in, 2));
  mica_shape shape = mica_shape_of(x);
  if (!mica_broadcast_operands("average", in, 2, 0)) return mica_no_value(x.graph);
  if (!mica_shape_equal(mica_shape_of(in[0]), shape))
    return mica_fail_operator(x.graph, "average", (mica_value[]){x, weights}, 2,
                              "operand 1 is the weights: expected them to broadcast to operand 0");
  mica_value wide = mica_widen(in[0]), share = mica_widen(in[1]);
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  mica_value sum = mica_reduce_sum(mica_mul(wide, share), drop);
  return mica_convert(mica_div(sum, mica_reduce_sum(share, drop)), mica_dtype_of(x));
}

static mica_value covariance_of(mica_value x, double ddof) {
  mica_ints last = {.count = 1, .at = {mica_rank_of(x) - 1}};
  double freedom = (double)mica_dim_of(x, -1) - ddof;
  mica_value centered = mica_sub(x, mica_reduce_mean(x, mica_axes_keeping(&last, true)));
  mica_value product = mica_matmul(centered, mica_swap_axes(centered, -1, -2));
  return freedom > 0 ? mica_div(product, freedom) : nan_like(product);
}

static bool begin_covariance(const char *op, mica_value x) {
  mica_ints none;
  if (!begin_statistic(op, x, MICA_CLASS_FLOAT, (mica_axes){0}, &none)) return false;
  if (mica_rank_of(x) >= 2) return true;
  mica_fail_operator(x.graph, op, &x, 1,
                     "expected x [..., variables, observations], a rank of at least 2");
  return false;
}

mica_value mica_covariance(mica_value x, double ddof) {
  MICA_ENTRY(x.graph);
  if (!begin_covariance("covariance", x)) return mica_no_value(x.graph);
  return mica_convert(covariance_of(mica_widen(x), ddof), mica_dtype_of(x));
}

mica_value mica_corrcoef(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!begin_covariance("corrcoef", x)) return mica_no_value(x.graph);
  mica_value all = covariance_of(mica_widen(x), 0);
  mica_value deviation = mica_sqrt(mica_diagonal(all, 0, -2, -1));
  all = mica_div(mica_div(all, mica_expand_dims(deviation, -1)), mica_expand_dims(deviation, -2));
  return mica_convert(mica_max(mica_min(all, 1), -1), mica_dtype_of(x));
}

mica_value mica_ptp(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("ptp", x, MICA_CLASS_REAL, axes, &over)) return mica_no_value(x.graph);
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  return mica_sub(mica_reduce_max(x, drop), mica_reduce_min(x, drop));
}

/* ---- without NaN --------------------------------------------------------------------------------- */

/* x, wide, with NaN replaced; out_there [..]: 1 where there was none. */
static mica_value without_nan(mica_value x, double instead, mica_value *out_there) {
  mica_value wide = mica_widen(x), missing = mica_is_nan(wide);
  *out_there = mica_not(missing);
  return mica_select(missing, mica_full_like(wide, instead), wide);
}

static mica_value count_there(mica_value there, mica_dtype dtype, mica_axes axes) {
  return mica_reduce_sum(mica_convert(there, dtype), axes);
}

mica_value mica_nansum(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  mica_value there;
  if (!begin_statistic("nansum", x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  mica_value sum = mica_reduce_sum(without_nan(x, 0, &there), mica_axes_keeping(&over, axes.keep));
  return mica_convert(sum, mica_dtype_of(x));
}

mica_value mica_nanprod(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  mica_value there;
  if (!begin_statistic("nanprod", x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  mica_value product =
      mica_reduce_prod(without_nan(x, 1, &there), mica_axes_keeping(&over, axes.keep));
  return mica_convert(product, mica_dtype_of(x));
}

mica_value mica_nanmean(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  mica_value there;
  if (!begin_statistic("nanmean", x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  mica_value sum = mica_reduce_sum(without_nan(x, 0, &there), drop);
  return mica_convert(mica_div(sum, count_there(there, mica_dtype_of(sum), drop)),
                      mica_dtype_of(x));
}

static mica_value extreme_there(const char *op, mica_value x, mica_axes axes, bool largest) {
  mica_ints over;
  mica_value there;
  if (!begin_statistic(op, x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  mica_value rest = without_nan(x, largest ? -INFINITY : INFINITY, &there);
  mica_value extreme = largest ? mica_reduce_max(rest, drop) : mica_reduce_min(rest, drop);
  extreme = mica_select(mica_reduce_or(there, drop), extreme, nan_like(extreme));
  return mica_convert(extreme, mica_dtype_of(x));
}
mica_value mica_nanmax(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return extreme_there("nanmax", x, axes, true);
}
mica_value mica_nanmin(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return extreme_there("nanmin", x, axes, false);
}

static mica_value variance_there(mica_value x, const mica_ints *axes, double ddof, bool keep) {
  mica_value there, rest = without_nan(x, 0, &there);
  mica_dtype dtype = mica_dtype_of(rest);
  mica_value count = count_there(there, dtype, mica_axes_keeping(axes, true));
  mica_value mean =
      mica_div(mica_reduce_sum(rest, mica_axes_keeping(axes, true)), mica_max(count, 1));
  mica_value deviation = mica_select(there, mica_sub(rest, mean), mica_zeros_like(rest));
  mica_value sum = sum_squares(deviation, axes, keep);
  mica_value freedom = mica_sub(mica_reshape_if_needed(count, mica_shape_of(sum)), ddof);
  mica_value enough = mica_greater(freedom, 0);
  mica_value variance = mica_div(sum, mica_select(enough, freedom, mica_ones_like(freedom)));
  return mica_select(enough, variance, nan_like(variance));
}

mica_value mica_nanvariance(mica_value x, mica_axes axes, double ddof) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("nanvariance", x, MICA_CLASS_FLOAT, axes, &over))
    return mica_no_value(x.graph);
  return mica_convert(variance_there(x, &over, ddof, axes.keep), mica_dtype_of(x));
}

mica_value mica_nanstd(mica_value x, mica_axes axes, double ddof) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("nanstd", x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  return mica_convert(root_flat_at_zero(variance_there(x, &over, ddof, axes.keep)),
                      mica_dtype_of(x));
}

/* ---- norms ----------------------------------------------------------------------------------------- */

mica_value mica_norm(mica_value x, double p, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!begin_statistic("norm", x, MICA_CLASS_FLOAT, axes, &over)) return mica_no_value(x.graph);
  if (isnan(p)) return mica_fail_operator(x.graph, "norm", &x, 1, "p is NaN: expected a number");
  mica_axes drop = mica_axes_keeping(&over, axes.keep);
  mica_value wide = mica_widen(x), norm;
  if (p == 2) {
    norm = root_flat_at_zero(sum_squares(wide, &over, axes.keep));
  } else if (p == 1) {
    norm = mica_reduce_sum(mica_abs(wide), drop);
  } else if (p == 0) {
    norm = mica_reduce_sum(mica_convert(is_nonzero(wide), mica_dtype_of(wide)), drop);
  } else if (isinf(p)) {
    norm = p > 0 ? mica_max(mica_reduce_max(mica_abs(wide), drop), 0)
                 : mica_reduce_min(mica_abs(wide), drop);
  } else {
    mica_value sum = mica_reduce_sum(mica_pow(mica_abs(wide), p), drop);
    mica_value none = mica_equal(sum, 0), inside = mica_select(none, mica_ones_like(sum), sum);
    norm = mica_select(none, mica_zeros_like(sum), mica_pow(inside, 1 / p));
  }
  return mica_convert(norm, mica_dtype_of(x));
}

/* ---- along a line ----------------------------------------------------------------------------------- */

mica_value mica_diff(mica_value x, int64_t n, int32_t axis) {
  MICA_ENTRY(x.graph);
  int64_t at;
  if (!mica_operands_usable("diff", &x, 1) ||
      !mica_operands_accepted("diff", &x, 1, MICA_CLASS_VALUE) ||
      !mica_builder_axis("diff", x, axis, &at))
    return mica_no_value(x.graph);
  if (n < 0)
    return mica_fail_operator(x.graph, "diff", &x, 1, "n is %" PRId64 ": expected 0 or more", n);
  bool truth = mica_dtype_of(x) == MICA_BOOL;
  for (; n > 0 && x.graph->status == MICA_OK; n--) {
    int64_t size = mica_dim_of(x, (int32_t)at);
    if (size == 0) break; /* nothing is left, however often */
    mica_value next = mica_slice_axis(x, (int32_t)at, 1, size, 1),
               before = mica_slice_axis(x, (int32_t)at, 0, size - 1, 1);
    x = truth ? mica_xor(next, before) : mica_sub(next, before);
  }
  return x;
}
