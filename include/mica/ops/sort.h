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

/* bool, of x's shape: where the k largest (or smallest) elements of each line stand. */
MICA_API mica_value mica_top_k_mask(mica_value x, int64_t k, int32_t axis, bool smallest);

/* Where values would stand in sorted lines: sorted [b..., n] ascending, values [b..., m...] of the
 * same dtype -> [b..., m...]: how many elements are less (right: less or equal). b may be nothing.
 * Each takes log n steps. */
MICA_API mica_value mica_search_sorted(mica_value sorted, mica_value values, bool right);

/* The value below which the part q of each line lies: x [a...] of floats, q [] or [m] floats, of
 * which what is outside 0 .. 1 counts as its end -> [rest...] or [m, rest...], in x's dtype. It is
 * read from the sorted line of n elements at place q (n - 1), between two elements by `method`
 * (Hyndman and Fan 1996, definition 7, and numpy's discrete ones; nearest: halves to the even
 * place). A line with NaN gives NaN, or is taken without them; without anything left: NaN. Time
 * n log n. */
typedef enum {
  MICA_QUANTILE_LINEAR,
  MICA_QUANTILE_LOWER,
  MICA_QUANTILE_HIGHER,
  MICA_QUANTILE_NEAREST,
  MICA_QUANTILE_MIDPOINT
} mica_quantile_method;
typedef struct {
  size_t struct_size;
  mica_value x, q;
  const struct mica_names_only *named_;
  mica_axes axes; /* reduced together, dropped or kept with size 1; none: each element is a line */
  mica_quantile_method method;
  bool ignore_nan;
} mica_quantile_args;
MICA_API mica_value mica_quantile_with(const mica_quantile_args *args);
#define mica_quantile(...) \
  mica_quantile_with(&(mica_quantile_args){.struct_size = sizeof(mica_quantile_args), __VA_ARGS__})
MICA_API mica_value mica_median(mica_value x, mica_axes axes); /* the quantile 0.5, linear */

/* The different elements of x [a...], ascending; all NaN are one, and so are 0 and -0. Shapes are
 * fixed, so there is room for `size`: more are left out, fewer are followed by the filling ([] of
 * x's dtype; {0}: 0), whose place and count are 0. Gradients go to the elements at `places`. */
typedef struct {
  mica_value values;  /* [size] */
  mica_value places;  /* i32 [size]: where each stands first in x, flattened */
  mica_value inverse; /* i32 [a...]: the number of each element's value; size or more: left out */
  mica_value counts;  /* i32 [size]: how often each is there */
} mica_unique_result;
MICA_API mica_unique_result mica_unique(mica_value x, int64_t size, mica_value filling);

#ifdef __cplusplus
}
#endif
#endif
