/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions of f32 in one to three spatial dimensions, and both of their gradients.
 *
 * x [batch, input..., input_channels], w [kernel..., input_channels / groups, output_channels],
 * y [batch, output..., output_channels], all dense. Spatial axes are depth, height, width; unused
 * leading ones have size 1 (a 1-D convolution has a width only). With index i of x, o of y, t of the
 * window on each axis: w's tap t meets x at i * base_dilation == o * stride - padding + t *
 * window_dilation; what lies outside of x or between its dilated elements is zero. The padding on
 * the high side follows from the output's size. Negative padding crops.
 *
 * The rules of gemm.h hold: no allocation, scratch from the caller, the same bits for any number of
 * threads. */
#ifndef MICA_BACKEND_CPU_KERNELS_CONV_H
#define MICA_BACKEND_CPU_KERNELS_CONV_H

#include "backend/cpu/kernels/gemm.h"

/* Where w's elements lie: offset + sum of index * stride, in elements; strides may be negative (a
 * reversed window). `group` steps from one group's first output channel to the next's. */
typedef struct mica_conv_weights {
  int64_t offset, tap[3], input, output, group;
  const void
      *packed; /* from mica_conv_pack for mica_conv_forward; NULL: w is packed at each call */
} mica_conv_weights;

typedef struct mica_conv {
  int64_t batch, groups;
  int64_t input_channels, output_channels; /* of all groups together; multiples of groups */
  int64_t input[3], kernel[3], output[3];
  int64_t stride[3], base_dilation[3], window_dilation[3], padding[3]; /* padding: low side */
  mica_conv_weights weights; /* mica_conv_dense_weights for the layout above */
} mica_conv;

/* Sets conv->weights to the layout that the top of this file gives. */
void mica_conv_dense_weights(mica_conv *conv);

/* The convolution that takes the gradient of y to that of x: same w in the same place, read
 * reversed and with its channels swapped. */
mica_conv mica_conv_transposed(const mica_conv *conv);

/* Bytes of scratch (64-byte aligned) for each of the functions below; SIZE_MAX on overflow. */
size_t mica_conv_forward_scratch_size(const struct mica_cpu_kernels *kernels, const mica_conv *conv,
                                      int32_t threads);
size_t mica_conv_filter_scratch_size(const struct mica_cpu_kernels *kernels, const mica_conv *conv,
                                     int32_t threads);

/* Weights packed once: bytes for w, 0 where a convolution does not pack it (or not as a whole), SIZE_MAX on
 * overflow; and the packing itself (64-byte aligned destination). */
size_t mica_conv_packed_size(const struct mica_cpu_kernels *kernels, const mica_conv *conv);
void mica_conv_pack(const struct mica_cpu_kernels *kernels, const mica_conv *conv, const float *w,
                    const mica_parallel *parallel, void *packed);

/* y = (y +) x * w, then `finish` (bias [output_channels]; NULL: nothing). */
void mica_conv_forward(const struct mica_cpu_kernels *kernels, const mica_conv *conv,
                       const float *x, const float *w, float *y, bool accumulate,
                       const mica_gemm_finish *finish, const mica_parallel *parallel,
                       void *scratch);

/* dx = the gradient for x, given dy: mica_conv_forward of mica_conv_transposed(conv), whose scratch
 * size it needs. `finish` applies to dx. */
void mica_conv_backward_data(const struct mica_cpu_kernels *kernels, const mica_conv *conv,
                             const float *dy, const float *w, float *dx, bool accumulate,
                             const mica_gemm_finish *finish, const mica_parallel *parallel,
                             void *scratch);

/* dw = (dw +) the gradient for w, given x and dy. conv->weights says where dw's elements go; its
 * output stride is 1 or the call is slow. */
void mica_conv_backward_filter(const struct mica_cpu_kernels *kernels, const mica_conv *conv,
                               const float *x, const float *dy, float *dw, bool accumulate,
                               const mica_parallel *parallel, void *scratch);

#endif
