/* SPDX-License-Identifier: Apache-2.0 */
/* segment.h: folds of elements that share a number, and counting. All take time linear in the
 * elements; the numbers need not be sorted, and those out of range are left out. */
#ifndef MICA_OPS_SEGMENT_H
#define MICA_OPS_SEGMENT_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* x [n, b...], ids [n] signed integers -> [segments, b...]: row s folds the rows of x whose id is s,
 * in their order. A segment of nothing has 0, 1, the least value of the dtype (max; floats: -inf),
 * the largest (min), or NaN (mean, of floats and complex only). NaN wins in max and min, whose
 * gradient is shared equally. */
typedef enum {
  MICA_SEGMENT_SUM,
  MICA_SEGMENT_PROD,
  MICA_SEGMENT_MAX,
  MICA_SEGMENT_MIN,
  MICA_SEGMENT_MEAN
} mica_segment_kind;
MICA_API mica_value mica_segment_reduce(mica_value x, mica_value ids, int64_t segments,
                                        mica_segment_kind kind);

/* How often each number 0 .. length - 1 is in x [a...] of signed integers: i32 [length]; with
 * weights [a...] their sums instead, in their dtype ({0}: none). */
MICA_API mica_value mica_bincount(mica_value x, mica_value weights, int64_t length);

/* numpy.histogram: how many elements of x [a...] lie in each bin of edges [m + 1], ascending, of the
 * same dtype: i32 [m]; with weights [a...] ({0}: none) their sums. A bin has its left edge, the last
 * one its right edge too; NaN is in none. log m steps for each element. */
MICA_API mica_value mica_histogram(mica_value x, mica_value edges, mica_value weights);

#ifdef __cplusplus
}
#endif
#endif
