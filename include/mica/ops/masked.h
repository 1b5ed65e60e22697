/* SPDX-License-Identifier: Apache-2.0 */
/* masked.h: reductions and softmax over some of the elements, and over segments; vectors by their length.
 * A mask is bool and broadcasts to x; what it leaves out may be NaN and has derivative 0. f16 and bf16 are
 * computed in f32 and rounded once. */
#ifndef MICA_OPS_MASKED_H
#define MICA_OPS_MASKED_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- where mask is true. Over nothing: sum 0, product 1, max the least value of the dtype (floats: -inf),
 * min the largest, mean NaN. Sum and product: numbers; mean: floats and complex; max, min: real dtypes. ----- */

MICA_API mica_value mica_masked_sum(mica_value x, mica_value mask, mica_axes axes);
MICA_API mica_value mica_masked_prod(mica_value x, mica_value mask, mica_axes axes);
MICA_API mica_value mica_masked_mean(mica_value x, mica_value mask, mica_axes axes);
MICA_API mica_value mica_masked_max(mica_value x, mica_value mask, mica_axes axes);
MICA_API mica_value mica_masked_min(mica_value x, mica_value mask, mica_axes axes);

/* exp(x - max) / sum along the axis over the elements where mask is true, 0 elsewhere; a line of nothing is 0.
 * And its logarithm: -inf elsewhere. Floats. */
MICA_API mica_value mica_masked_softmax(mica_value x, mica_value mask, int32_t axis);
MICA_API mica_value mica_masked_log_softmax(mica_value x, mica_value mask, int32_t axis);

/* x [n, b...] of floats, ids [n] signed integers: softmax over the rows that share an id, as
 * mica_segment_reduce sums them; 0 where an id is out of range. */
MICA_API mica_value mica_segment_softmax(mica_value x, mica_value ids, int64_t segments);

/* ---- lengths and angles: floats ------------------------------------------------------------------ */

/* x / max(|x|, epsilon), |x| the Euclidean norm over the axes; epsilon at least 0. Zeros stay zeros, with
 * derivative 0 when epsilon is 0. */
MICA_API mica_value mica_l2_normalize(mica_value x, mica_axes axes, double epsilon);
/* x [a..., d, b...], y (broadcast) -> x . y / (|x| |y|) along the axis, in -1 to 1 but for rounding; 0 where
 * either is zero. */
MICA_API mica_value mica_cosine_similarity(mica_value x, mica_value y, int32_t axis);
/* x [..., n, d], y [..., m, d] -> [..., n, m]: of each row of x with each of y. */
MICA_API mica_value mica_cross_cosine_similarity(mica_value x, mica_value y);

#ifdef __cplusplus
}
#endif
#endif
