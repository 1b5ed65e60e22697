/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.h: numbers in 8 or 4 bits with scales and zero points (Jacob et al. 2018, arXiv 1712.05877; by
 * blocks: Dettmers et al. 2022, arXiv 2110.02861).
 *
 * A quantized array q of i8, u8, i4 or u4 stands for the numbers scale (q - zero_point), and comes from x as
 *   q = clamp(round(x / scale) + zero_point, least, most)
 * with ties to even and the ends of q's dtype: -128 .. 127, 0 .. 255, -8 .. 7, 0 .. 15. Elements share scales
 * by blocks: `scale` is [] or has q's rank, and then each of its sizes divides q's; element i of an axis of n
 * takes entry i / (n / s) of an axis of s. For q [k, n]: [] one for the tensor, [1, n] one for each channel of
 * axis 1, [k / 32, n] one for each 32 elements of a column.
 *
 * Where integers come out derivatives end. mica_fake_quantize and .dynamic pass them straight through. */
#ifndef MICA_OPS_QUANTIZE_H
#define MICA_OPS_QUANTIZE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* values [a...]: i8, u8, i4 or u4. scale: f32 or f64. zero_point: of the values' dtype and the scale's shape;
 * {0}: 0. Plain values of the graph: a model's own arrays may be put in. */
typedef struct {
  mica_value values, scale, zero_point;
} mica_quantized;

/* x [a...] of floats. With `scale` (and `zero_point`) those are used. Otherwise they are made of the data of
 * each block, computed in f32, or f64 for f64:
 *   symmetric (i8, i4):  scale = max |x| / most, no zero point
 *   asymmetric:          least' = min(x, 0), most' = max(x, 0); scale = (most' - least') / (most - least),
 *                        zero_point = clamp(round(least - least' / scale), least, most), so that 0 stays exact
 * A block of zeros has scale 1. NaN or infinity makes the scale of its block NaN or infinite, and so what
 * mica_dequantize gives of it NaN; with a scale that is given NaN becomes 0, and infinities the ends. */
typedef struct {
  size_t struct_size;
  mica_value x;
  const struct mica_names_only *named_;
  mica_dtype dtype;             /* MICA_I8, _U8, _I4 or _U4; 0: i8 (with a zero point: its dtype) */
  bool asymmetric;              /* always so for u8 and u4 */
  mica_axes channels;           /* axes with a scale for each index; none: one for the tensor */
  int32_t block_axis;           /* with `block`: blocks of so many elements along this axis, */
  int64_t block;                /* a divisor of its size; axes that are neither share; 0: none */
  mica_value scale, zero_point; /* {0}: from the data */
} mica_quantize_args;
MICA_API mica_quantized mica_quantize_with(const mica_quantize_args *args);
#define mica_quantize(...) \
  mica_quantize_with(&(mica_quantize_args){.struct_size = sizeof(mica_quantize_args), __VA_ARGS__})

/* scale (values - zero_point) in `dtype`, a float (0: the scale's), rounded once. Differentiable by the scale. */
MICA_API mica_value mica_dequantize(mica_quantized x, mica_dtype dtype);

/* x as quantizing it makes it, in x's dtype: dequantize(quantize(x)), for training with rounded numbers. The
 * derivative by x is 1 where x / scale lies between the ends and 0 outside (straight through: Bengio et al.
 * 2013, arXiv 1308.3432). Scales of the data count as constants; a scale that is given gets round(x / scale) -
 * x / scale inside and the end minus the zero point outside (Esser et al. 2020, arXiv 1902.08153). NaN stays. */
MICA_API mica_value mica_fake_quantize_with(const mica_quantize_args *args);
#define mica_fake_quantize(...) \
  mica_fake_quantize_with(      \
      &(mica_quantize_args){.struct_size = sizeof(mica_quantize_args), __VA_ARGS__})

/* x [..., k] of floats, weights [k, n] with a scale for each channel n, each block of k or both, bias [n] or
 * {0}, of x's dtype -> [..., n]: x times the numbers that the weights stand for, plus bias. Sums are f32, or
 * f64 for f64. The weights are never unpacked as a whole by the cpu backend. Derivatives by x, scale and bias.
 * `dynamic`: each row of x is quantized to i8 first, symmetric; sums of blocks of up to 512 elements are then
 * exact; derivatives by x as those of mica_fake_quantize. */
typedef struct {
  size_t struct_size;
  mica_value x;
  mica_quantized weights;
  const struct mica_names_only *named_;
  mica_value bias;
  bool dynamic;
} mica_quantized_dense_args;
MICA_API mica_value mica_quantized_dense_with(const mica_quantized_dense_args *args);
#define mica_quantized_dense(...) \
  mica_quantized_dense_with(      \
      &(mica_quantized_dense_args){.struct_size = sizeof(mica_quantized_dense_args), __VA_ARGS__})

/* mica_matmul of what x [..., m, k] and y [..., k, n] stand for, in `dtype` (a float; 0: the scales'). Where
 * neither's scale changes along k the sum over k is of integers, exact modulo 2^32 (k up to 33,000 cannot
 * overflow); otherwise sums of blocks are added up in f32. Differentiable by the scales. */
MICA_API mica_value mica_quantized_dot(mica_quantized x, mica_quantized y, mica_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
