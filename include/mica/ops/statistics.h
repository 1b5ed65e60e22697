/* SPDX-License-Identifier: Apache-2.0 */
/* statistics.h: reductions made of others. Axes are dropped, or kept with size 1 by MICA_KEEP;
 * MICA_ALL reduces everything. f16 and bf16 are computed in f32 and rounded once. */
#ifndef MICA_OPS_STATISTICS_H
#define MICA_OPS_STATISTICS_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- truth and counts: any dtype, where what is not 0 is true (NaN is) ------------------------ */

MICA_API mica_value mica_any(mica_value x, mica_axes axes); /* -> bool; false over nothing */
MICA_API mica_value mica_all(mica_value x, mica_axes axes); /* -> bool; true over nothing */
/* -> i32, or i64 where more could be counted than that holds. */
MICA_API mica_value mica_count_nonzero(mica_value x, mica_axes axes);
/* The row-major places of the first `size` elements that are not 0: i32 [rank, size], one row for
 * each axis (numpy.nonzero with a size that is known when tracing). Places that are left over are
 * `filling`. */
MICA_API mica_value mica_nonzero(mica_value x, int64_t size, int64_t filling);

/* ---- moments: floats ---------------------------------------------------------------------------- */

/* sum((x - mean)^2) / (n - ddof): ddof 0 is the variance of what is there, 1 the unbiased estimate
 * (Bessel). The mean is taken first, so that nothing cancels however large it is; NaN where n -
 * ddof is not positive. */
MICA_API mica_value mica_variance(mica_value x, mica_axes axes, double ddof);
/* Its root; where the variance is 0 so is the derivative. */
MICA_API mica_value mica_std(mica_value x, mica_axes axes, double ddof);
/* mean(((x - mean) / std)^3), the third standardized moment (scipy.stats.skew); NaN where all are equal. */
MICA_API mica_value mica_skewness(mica_value x, mica_axes axes);
/* mean(((x - mean) / std)^4) - 3, Fisher's excess (scipy.stats.kurtosis); NaN where all are equal. */
MICA_API mica_value mica_kurtosis(mica_value x, mica_axes axes);
/* sum(x weights) / sum(weights), weights broadcast to x; {0}: the mean. */
MICA_API mica_value mica_average(mica_value x, mica_value weights, mica_axes axes);
/* x [..., n, m], m observations of n variables -> [..., n, n]: sum over the observations of the
 * products of deviations, by m - ddof. */
MICA_API mica_value mica_covariance(mica_value x, double ddof);
/* The covariances by both standard deviations, in -1 to 1; NaN for a variable that is constant. */
MICA_API mica_value mica_corrcoef(mica_value x);
/* max - min; real dtypes. */
MICA_API mica_value mica_ptp(mica_value x, mica_axes axes);

/* ---- the same with NaN left out: floats. Where nothing else is there: sum 0, product 1, the others
 * NaN. The derivative at a NaN is 0. ------------------------------------------------------------- */

MICA_API mica_value mica_nansum(mica_value x, mica_axes axes);
MICA_API mica_value mica_nanprod(mica_value x, mica_axes axes);
MICA_API mica_value mica_nanmean(mica_value x, mica_axes axes);
MICA_API mica_value mica_nanmax(mica_value x, mica_axes axes);
MICA_API mica_value mica_nanmin(mica_value x, mica_axes axes);
MICA_API mica_value mica_nanvariance(mica_value x, mica_axes axes, double ddof);
MICA_API mica_value mica_nanstd(mica_value x, mica_axes axes, double ddof);

/* ---- norms: floats -------------------------------------------------------------------------------- */

/* (sum |x|^p)^(1 / p): p 2 is the Euclidean norm, over two axes the Frobenius norm; 1 the sum of
 * magnitudes, INFINITY and -INFINITY the largest and the smallest of them, 0 how many are not 0.
 * Where the norm is 0 its derivative is 0. */
MICA_API mica_value mica_norm(mica_value x, double p, mica_axes axes);

/* ---- along a line: floats ---------------------------------------------------------------------- */

/* numpy.diff: n times over, each element less the one in front of it: [a..., size - n, b...] (0 at least);
 * numbers; of bool: whether they differ. */
MICA_API mica_value mica_diff(mica_value x, int64_t n, int32_t axis);
/* numpy.convolve: x [n], y [k] -> sum over j of x[j] y[i - j]. MICA_DEFAULT_PADDING: all n + k - 1
 * of them; MICA_SAME: max(n, k) from the middle; MICA_VALID: only where both overlap whole. */
MICA_API mica_value mica_convolve(mica_value x, mica_value y, mica_padding padding);
/* numpy.trapezoid along an axis: the integral of y by trapezoids over points `x` [n], or {0}:
 * points at distances of `spacing`. */
MICA_API mica_value mica_trapezoid(mica_value y, mica_value x, double spacing, int32_t axis);
/* numpy.interp: the line through points (xs [n] ascending, ys [n]) at x [...]; beyond the ends
 * their values. Derivatives in all three. */
MICA_API mica_value mica_interp(mica_value x, mica_value xs, mica_value ys);

#ifdef __cplusplus
}
#endif
#endif
