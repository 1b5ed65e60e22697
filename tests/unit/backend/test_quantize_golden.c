/* SPDX-License-Identifier: Apache-2.0 */
/* Quantized arrays, products of them and products of narrow numbers against ONNX Runtime, JAX and numpy
 * (tests/golden/quantize.npz, made by tests/golden/quantize.py), on both backends. Whole numbers are exact. */
#include "unit/backend/golden.h"

static mica_quantized parts(mica_value values, mica_dtype dtype, mica_value scale,
                            mica_value zero) {
  return (mica_quantized){mica_convert(values, dtype), scale,
                          zero.graph ? mica_convert(zero, dtype) : zero};
}
static const mica_value none = {0};

GOLDEN(dynamic_u8, mica_quantized q = mica_quantize(in[0], .dtype = MICA_U8); out[0] = q.values;
       out[1] = q.scale; out[2] = q.zero_point)
GOLDEN(given, mica_quantized q = mica_quantize(in[0], .scale = in[1], .zero_point = in[2]);
       out[0] = q.values; out[1] = mica_dequantize(q, 0))
GOLDEN(blocks_i4, mica_quantized q = mica_quantize(in[0], .dtype = MICA_I4,
                                                   .channels = MICA_AXES(1), .block = 8);
       out[0] = mica_convert(q.values, MICA_I8); out[1] = q.scale;
       out[2] = mica_dequantize(q, MICA_F32))
GOLDEN(dot_u8_i8, out[0] = mica_quantized_dot(parts(in[0], MICA_U8, in[2], in[4]),
                                              parts(in[1], MICA_I8, in[3], in[5]), 0))
GOLDEN(linear_matmul,
       mica_value y = mica_quantized_dot(parts(in[0], MICA_U8, in[2], mica_scalar(g, MICA_U8, 131)),
                                         parts(in[1], MICA_I8, in[3], mica_scalar(g, MICA_I8, -3)),
                                         0);
       out[0] = mica_quantize(y, .scale = in[4], .zero_point = in[5]).values)
GOLDEN(dense_u4, out[0] = mica_quantized_dense(in[0], parts(in[1], MICA_U4, in[2], in[3])))
GOLDEN(dense_i4, out[0] = mica_quantized_dense(in[0], parts(in[1], MICA_I4, in[2], none)))
GOLDEN(dense_dynamic,
       out[0] = mica_quantized_dense(in[0], parts(in[1], MICA_I4, in[2], none), .dynamic = true))
#define WIDE(name, a, b, to)                                             \
  GOLDEN(name, out[0] = mica_matmul_typed(mica_convert(in[0], MICA_##a), \
                                          mica_convert(in[1], MICA_##b), MICA_##to))
WIDE(bf16, BF16, BF16, F32)
WIDE(f16, F16, F16, F32)
WIDE(f8e4m3fn, F8E4M3FN, F8E4M3FN, F32)
WIDE(f8e5m2, F8E5M2, F8E5M2, F32)
WIDE(i8, I8, I8, I32)
WIDE(u8_i8, U8, I8, I32)
WIDE(u8_i4, U8, I4, I32)
GOLDEN(fake, out[0] = mica_fake_quantize(in[0], .scale = in[1]);
       mica_gradients(mica_reduce_sum(mica_mul(out[0], in[2]), MICA_ALL), in, 2, &out[1]))

static const golden_case golden_cases[] = {
    {"dynamic_u8", build_dynamic_u8, 1, 3, 1e-6},
    {"channels_i8", build_given, 3, 2, 0},
    {"blocks_u8", build_given, 3, 2, 0},
    {"blocks_i4", build_blocks_i4, 1, 3, 1e-7},
    {"dot_u8_i8", build_dot_u8_i8, 6, 1, 1e-6},
    {"linear_matmul", build_linear_matmul, 6, 1, 0},
    {"dense_u4", build_dense_u4, 4, 1, 1e-5},
    {"dense_i4", build_dense_i4, 3, 1, 1e-5},
    {"dense_dynamic", build_dense_dynamic, 3, 1, 1e-5},
    {"wide_bfloat16", build_bf16, 2, 1, 1e-5},
    {"wide_float16", build_f16, 2, 1, 1e-5},
    {"wide_float8_e4m3fn", build_f8e4m3fn, 2, 1, 1e-5},
    {"wide_float8_e5m2", build_f8e5m2, 2, 1, 1e-5},
    {"wide_i8", build_i8, 2, 1, 0},
    {"wide_u8_i8", build_u8_i8, 2, 1, 0},
    {"wide_u8_i4", build_u8_i4, 2, 1, 0},
    {"fake", build_fake, 3, 3, 1e-12},
};

TEST(reference_gives_the_golden_values) {
  check_golden_file("reference", "quantize.npz", golden_cases,
                    sizeof golden_cases / sizeof golden_cases[0]);
}
TEST(cpu_gives_the_golden_values) {
  check_golden_file("cpu", "quantize.npz", golden_cases,
                    sizeof golden_cases / sizeof golden_cases[0]);
}

TEST_MAIN(TEST_CASE(reference_gives_the_golden_values), TEST_CASE(cpu_gives_the_golden_values))
