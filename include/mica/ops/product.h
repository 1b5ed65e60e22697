/* SPDX-License-Identifier: Apache-2.0 */
/* product.h: matrix products and convolutions. f16 and bf16 accumulate in f32. */
#ifndef MICA_OPS_PRODUCT_H
#define MICA_OPS_PRODUCT_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* numpy.matmul: x [..., m, k], y [..., k, n] -> [..., m, n]; leading axes broadcast; x or y may
 * be a vector [k], whose axis is dropped from the result. */
MICA_API mica_value mica_matmul(mica_value x, mica_value y);
/* The same with a result of `dtype`, as dot_general's (XLA's preferred element type): i8 and u8 to i32,
 * bf16 and f8 to f32. */
MICA_API mica_value mica_matmul_typed(mica_value x, mica_value y, mica_dtype dtype);

/* All products of an element of x and one of y: x [a...], y [b...] -> [m, n], both flattened. */
MICA_API mica_value mica_outer(mica_value x, mica_value y);
/* Kronecker's product, numpy.kron: each element of x times the whole of y, in place of the element;
 * axes are aligned at the end. x and y together have at most 8 axes larger than 1. */
MICA_API mica_value mica_kron(mica_value x, mica_value y);
/* The cross product of vectors of 3 along an axis; the others broadcast. */
MICA_API mica_value mica_cross(mica_value x, mica_value y, int32_t axis);

/* StableHLO's dot_general: result axes are the batch axes, then x's free ones, then y's. */
typedef struct {
  size_t struct_size;
  mica_value x, y;
  const struct mica_names_only *named_;
  mica_axes x_batch, y_batch, x_contract, y_contract;
  /* Of the result, 0: the operands'. f32 for f16, bf16, f8; i32 for i8, u8, i4, u4, whose sums are
   * never rounded. With these two the operands may differ: u8 and i8, bf16 and f8e5m2. */
  mica_dtype dtype;
} mica_dot_general_args;
MICA_API mica_value mica_dot_general_with(const mica_dot_general_args *args);
#define mica_dot_general(...) \
  mica_dot_general_with(      \
      &(mica_dot_general_args){.struct_size = sizeof(mica_dot_general_args), __VA_ARGS__})

/* x [batch, spatial..., in], kernel [spatial..., in / groups, out] -> [batch, spatial..., out],
 * 1 to 3 spatial axes. Cross-correlation, as every framework calls convolution. Where padding or a hole of a dilation
 * meets an infinite or NaN weight, the product is 0 or NaN, unspecified. */
typedef struct {
  size_t struct_size;
  mica_value x, kernel;
  const struct mica_names_only *named_;
  int32_t stride[3], dilation[3]; /* 0: 1 */
  int32_t input_dilation[3];      /* 0: 1; transposed convolution */
  int32_t groups;                 /* 0: 1 */
  mica_padding padding;    /* 0: same: output size ceil(size / stride), the odd cell at the end */
  int32_t low[3], high[3]; /* MICA_EXPLICIT: cells added (negative: cut) in front and behind */
  /* 0: 1. StableHLO's: part g of the batch gives part g of the out channels, [batch / groups, ...]; not with groups */
  int32_t batch_groups;
  /* x [batch, in, spatial...], kernel [out, in / groups, spatial...] -> [batch, out, spatial...], PyTorch's order;
   * not of the depthwise forms */
  bool channels_first;
} mica_conv_args;
MICA_API mica_value mica_conv_with(const mica_conv_args *args);
#define mica_conv(...) \
  mica_conv_with(&(mica_conv_args){.struct_size = sizeof(mica_conv_args), __VA_ARGS__})

/* Each channel by itself: kernel [spatial..., in, multiplier] -> in * multiplier channels; options as
 * of mica_conv, without groups. */
MICA_API mica_value mica_depthwise_conv_with(const mica_conv_args *args);
#define mica_depthwise_conv(...) \
  mica_depthwise_conv_with(&(mica_conv_args){.struct_size = sizeof(mica_conv_args), __VA_ARGS__})
/* That, and then a product over channels: pointwise [in * multiplier, out]. */
MICA_API mica_value mica_separable_conv_with(const mica_conv_args *args, mica_value pointwise);
#define mica_separable_conv(pointwise_, ...)                                                      \
  mica_separable_conv_with(&(mica_conv_args){.struct_size = sizeof(mica_conv_args), __VA_ARGS__}, \
                           pointwise_)

#ifdef __cplusplus
}
#endif
#endif
