/* SPDX-License-Identifier: Apache-2.0 */
/* sort.h: order along an axis: sorting, the largest, searching, and what is made of them.
 *
 * The order of floats is total: -inf < .. < -0 = 0 < .. < inf < NaN, all NaN equal; false < true.
 * A descending order is the same one backwards, so that NaN comes first there. Equal elements keep
 * their order in both. Negative axes count from the end. Positions are i32, or i64 where the axis
 * has more than 2^31 - 1 elements. */
#ifndef MICA_OPS_SORT_H
#define MICA_OPS_SORT_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* x [a...] of integers, floats or bool with each line along `axis` in order. Gradients go back to
 * where the elements came from. */
MICA_API mica_value mica_sort(mica_value x, int32_t axis, bool descending);
/* in[count] of one shape and any dtypes, moved together: by in[0]; where those are equal by in[1],
 * and so on through the first `keys`. out[count]. */
MICA_API void mica_sort_together(const mica_value *in, size_t count, size_t keys, int32_t axis,
                                 bool descending, mica_value *out);
/* Positions that sort x: take_along_axis(x, arg_sort(x)) is sort(x). */
MICA_API mica_value mica_arg_sort(mica_value x, int32_t axis, bool descending);

/* The k largest (or smallest) elements of each line along `axis`, best first, ties lowest position
 * first, in time n + k log k: x [a..., n, b...], 0 <= k <= n -> *out_values, *out_places
 * [a..., k, b...]. Either may be NULL. */
MICA_API void mica_top_k(mica_value x, int64_t k, int32_t axis, bool smallest,
                         mica_value *out_values, mica_value *out_places);

/* Where values would stand in sorted lines: sorted [b..., n] ascending, values [b..., m...] of the
 * same dtype -> [b..., m...]: how many elements are less (right: less or equal). b may be nothing.
 * Each takes log n steps. */
MICA_API mica_value mica_search_sorted(mica_value sorted, mica_value values, bool right);

#ifdef __cplusplus
}
#endif
#endif
