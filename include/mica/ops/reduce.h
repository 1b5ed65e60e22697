/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.h: reductions and windows. Axes are dropped, or kept with size 1 by MICA_KEEP; MICA_ALL
 * reduces everything. Sums of f16 and bf16 accumulate in f32. A reduction over nothing gives its
 * neutral element; the mean of nothing is NaN. */
#ifndef MICA_OPS_REDUCE_H
#define MICA_OPS_REDUCE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

MICA_API mica_value mica_reduce_sum(mica_value x, mica_axes axes);
MICA_API mica_value mica_reduce_mean(mica_value x, mica_axes axes); /* floats and complex */
MICA_API mica_value mica_reduce_max(mica_value x,
                                    mica_axes axes); /* NaN wins; equal maxima share the gradient */
MICA_API mica_value mica_reduce_min(mica_value x, mica_axes axes);
MICA_API mica_value mica_reduce_prod(mica_value x, mica_axes axes);
MICA_API mica_value mica_reduce_and(mica_value x, mica_axes axes); /* bool, integers bit by bit */
MICA_API mica_value mica_reduce_or(mica_value x, mica_axes axes);
MICA_API mica_value mica_reduce_xor(mica_value x, mica_axes axes); /* false (0) over nothing */
/* i32 position of the first largest (smallest) element along the axis; the first NaN counts as
 * it. */
MICA_API mica_value mica_arg_max(mica_value x, int32_t axis);
MICA_API mica_value mica_arg_min(mica_value x, int32_t axis);

/* StableHLO's reduce_window with a fixed reducer; lists of x's rank (0 entries: 1 for sizes and
 * steps). */
typedef enum {
  MICA_WINDOW_SUM,
  MICA_WINDOW_PROD,
  MICA_WINDOW_MAX,
  MICA_WINDOW_MIN
} mica_window_kind;
typedef struct {
  size_t struct_size;
  mica_value x;
  const struct mica_names_only *named_;
  mica_window_kind kind;
  int64_t window[8], stride[8], base_dilation[8], window_dilation[8];
  int64_t low[8], high[8]; /* padding with the neutral element */
} mica_reduce_window_args;
MICA_API mica_value mica_reduce_window_with(const mica_reduce_window_args *args);
#define mica_reduce_window(...) \
  mica_reduce_window_with(      \
      &(mica_reduce_window_args){.struct_size = sizeof(mica_reduce_window_args), __VA_ARGS__})

/* Pooling over the spatial axes of x [batch, spatial..., channels], 1 to 3 of them: the window's
 * maximum, minimum, sum, mean, or (sum of |x|^power)^(1 / power). Padding never wins and adds nothing; a
 * window of nothing but padding gives the neutral element, its mean NaN. Means count real elements
 * only, or with count_padding (PyTorch's count_include_pad) those of low and high too. The lp gradient
 * of a window of zeros is zero. Floats for mean and lp; else any real dtype, for sums complex too. */
typedef struct {
  size_t struct_size;
  mica_value x;
  const struct mica_names_only *named_;
  int32_t window[3];       /* 0: 2 for the first; 0 further on: as the first */
  int32_t stride[3];       /* 0: the window */
  mica_padding padding;    /* 0: valid */
  int32_t low[3], high[3]; /* MICA_EXPLICIT: cells in front and behind */
  int32_t dilation[3];     /* 0: 1 */
  bool ceil_mode; /* one more window where cells are left over, if it begins on one or on low */
  bool count_padding;
  double power;        /* lp: 0: 2; above 0 */
  bool channels_first; /* x [batch, channels, spatial...], and so the result */
} mica_pool_args;
MICA_API mica_value mica_max_pool_with(const mica_pool_args *args);
MICA_API mica_value mica_min_pool_with(const mica_pool_args *args);
MICA_API mica_value mica_sum_pool_with(const mica_pool_args *args);
MICA_API mica_value mica_mean_pool_with(const mica_pool_args *args);
MICA_API mica_value mica_lp_pool_with(const mica_pool_args *args);
#define MICA_POOL_ARGS(...) (&(mica_pool_args){.struct_size = sizeof(mica_pool_args), __VA_ARGS__})
#define mica_max_pool(...)  mica_max_pool_with(MICA_POOL_ARGS(__VA_ARGS__))
#define mica_min_pool(...)  mica_min_pool_with(MICA_POOL_ARGS(__VA_ARGS__))
#define mica_sum_pool(...)  mica_sum_pool_with(MICA_POOL_ARGS(__VA_ARGS__))
#define mica_mean_pool(...) mica_mean_pool_with(MICA_POOL_ARGS(__VA_ARGS__))
#define mica_lp_pool(...)   mica_lp_pool_with(MICA_POOL_ARGS(__VA_ARGS__))

/* x [batch, spatial..., channels] -> [batch, sizes..., channels] (sizes: one for each spatial axis, 1 to
 * 6 of them): cell i of an axis takes elements floor(i n / m) .. ceil((i + 1) n / m) - 1, n its size, m
 * the wanted one (PyTorch's adaptive pools). Sizes of at least 1. Mean: floats. */
MICA_API mica_value mica_adaptive_mean_pool(mica_value x, mica_shape sizes);
MICA_API mica_value mica_adaptive_max_pool(mica_value x, mica_shape sizes);
/* x [batch, spatial..., channels] -> [batch, channels]. */
MICA_API mica_value mica_global_mean_pool(mica_value x);
MICA_API mica_value mica_global_max_pool(mica_value x);

#ifdef __cplusplus
}
#endif
#endif
