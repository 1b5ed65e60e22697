/* SPDX-License-Identifier: Apache-2.0 */
/* Types and messages of quantized arrays and products of narrow numbers. */
#include "unit/graph/ops_testing.h"

#define IN(NAME, ...) input(g, MICA_##NAME, MICA_DIMS(__VA_ARGS__))
static const mica_value none = {0};
static mica_quantized q_of(mica_value values, mica_value scale, mica_value zero) {
  return (mica_quantized){values, scale, zero};
}
#define W8 q_of(IN(I8, 8, 6), IN(F32, 1, 6), none)

TEST(types) {
  CHECK_TYPE(mica_quantize(F32(4, 6)).values, "i8[4, 6]");
  CHECK_TYPE(mica_quantize(F32(4, 6)).scale, "f32[]");
  CHECK_TYPE(mica_quantize(F32(4, 6), .dtype = MICA_U4).zero_point, "u4[]");
  CHECK_TYPE(mica_quantize(IN(BF16, 4, 6), .channels = MICA_AXES(-1)).scale, "f32[1, 6]");
  CHECK_TYPE(mica_quantize(IN(F64, 4, 6), .channels = MICA_AXES(0, 1)).scale, "f64[4, 6]");
  CHECK_TYPE(mica_quantize(F32(4, 6), .channels = MICA_AXES(1), .block_axis = 0, .block = 2).scale,
             "f32[2, 6]");
  CHECK_TYPE(mica_quantize(F32(4, 6), .block_axis = -1, .block = 3, .asymmetric = true).zero_point,
             "i8[1, 2]");
  CHECK_TYPE(mica_quantize(F32(4, 6), .scale = SCALAR(F32), .zero_point = SCALAR(U8)).values,
             "u8[4, 6]");
  CHECK_TYPE(mica_quantize(F32(0, 6), .channels = MICA_AXES(1)).scale, "f32[1, 6]");
  CHECK_TYPE(mica_dequantize(W8, 0), "f32[8, 6]");
  CHECK_TYPE(mica_dequantize(W8, MICA_BF16), "bf16[8, 6]");
  CHECK_TYPE(mica_fake_quantize(IN(F16, 4)), "f16[4]");
  CHECK_TYPE(mica_quantized_dense(IN(BF16, 2, 3, 8), W8), "bf16[2, 3, 6]");
  CHECK_TYPE(mica_quantized_dense(F32(8), W8, .bias = F32(6), .dynamic = true), "f32[6]");
  CHECK_TYPE(mica_quantized_dot(q_of(IN(U8, 3, 8), SCALAR(F32), none), W8, 0), "f32[3, 6]");
  CHECK_TYPE(mica_quantized_dot(q_of(IN(I4, 5, 3, 8), SCALAR(F64), none), W8, 0), "f64[5, 3, 6]");
  CHECK_TYPE(mica_quantized_dot(q_of(IN(I8, 3, 8), SCALAR(F32), none), W8, MICA_F16), "f16[3, 6]");
  CHECK_TYPE(mica_matmul_typed(IN(I8, 3, 8), IN(U8, 8, 2), MICA_I32), "i32[3, 2]");
  CHECK_TYPE(mica_matmul_typed(IN(U4, 3, 8), IN(I8, 8, 2), MICA_I32), "i32[3, 2]");
  CHECK_TYPE(mica_matmul_typed(IN(F8E4M3FN, 3, 8), IN(BF16, 8, 2), MICA_F32), "f32[3, 2]");
  CHECK_TYPE(mica_matmul_typed(IN(BF16, 8), IN(BF16, 8), 0), "bf16[]");
}

TEST(messages) {
  CHECK_FAILS(mica_quantize(I32(3)).values, "quantize(i32[3])", "dtype i32", "mica_convert first");
  CHECK_FAILS(mica_quantize(F32(3), .dtype = MICA_I16).values, "dtype i16: expected i8, u8");
  CHECK_FAILS(mica_quantize(F32(4, 6), .channels = MICA_AXES(2)).values, "axis 2");
  CHECK_FAILS(mica_quantize(F32(4, 6), .channels = MICA_AXES(1, 1)).values, "quantize");
  CHECK_FAILS(mica_quantize(F32(4, 6), .block_axis = 1, .block = 4).values,
              "blocks of 4 do not fit axis 1 of size 6");
  CHECK_FAILS(
      mica_quantize(F32(4, 6), .channels = MICA_AXES(1), .block_axis = 1, .block = 3).values,
      "an axis that is not a channel");
  CHECK_FAILS(mica_quantize(F32(4, 6), .block = -2).values, "block -2");
  CHECK_FAILS(mica_quantize(F32(4, 6), .block_axis = 1).values, "block 0");
  CHECK_FAILS(mica_quantize(F32(4, 6), .block_axis = 2, .block = 1).values, "axis 2");
  CHECK_FAILS(mica_quantize(F32(4, 6), .zero_point = SCALAR(I8)).values, "without a scale");
  CHECK_FAILS(mica_quantize(F32(4, 6), .scale = SCALAR(F32), .asymmetric = true).values,
              "one or the other");
  CHECK_FAILS(mica_quantize(F32(4, 6), .scale = IN(F16, 1, 1)).values, "the scale is f16");
  CHECK_FAILS(mica_quantize(F32(4, 6), .scale = F32(3, 6)).values, "the scale [3, 6] does not fit");
  CHECK_FAILS(mica_quantize(F32(4, 6), .scale = F32(6)).values, "the scale [6] does not fit");
  CHECK_FAILS(mica_quantize(F32(4, 6), .scale = SCALAR(F32), .zero_point = IN(I8, 1, 1)).values,
              "the zero point has another type");
  CHECK_FAILS(mica_quantize(F32(1, 1, 1, 1, 1, 1, 1, 4), .block_axis = 7, .block = 2).values,
              "the rank is 8");
  CHECK_FAILS(mica_quantize(F32(3), .scale = none, .zero_point = none, .dtype = MICA_F32).values,
              "dtype f32: expected");
  CHECK_FAILS(mica_fake_quantize(BOOL(3)), "fake_quantize(bool[3])", "dtype bool");
  CHECK_FAILS(mica_dequantize(q_of(F32(3), SCALAR(F32), none), 0), "dequantize",
              "the quantized values are f32");
  CHECK_FAILS(mica_dequantize(W8, MICA_I32), "the result cannot be i32");
  CHECK_FAILS(mica_dequantize(q_of(IN(I8, 3), none, none), 0), "dequantize");
  CHECK_FAILS(mica_quantized_dense(IN(I8, 2, 8), W8), "x is i8", "mica_quantized_dot");
  CHECK_FAILS(mica_quantized_dense(F32(2, 7), W8), "expected x [..., k] and weights [k, n]");
  CHECK_FAILS(mica_quantized_dense(SCALAR(F32), W8), "expected x [..., k] and weights [k, n]");
  CHECK_FAILS(mica_quantized_dense(F32(2, 8), W8, .bias = F32(8)), "operand 2 is the bias");
  CHECK_FAILS(mica_quantized_dense(F32(2, 8), q_of(IN(I8, 8, 6), F32(3, 6), none)),
              "the scale [3, 6] does not fit");
  CHECK_FAILS(mica_quantized_dot(W8, W8, 0), "expected x [..., m, k] and y [..., k, n]");
  CHECK_FAILS(mica_quantized_dot(q_of(IN(I8, 8), SCALAR(F32), none), W8, 0), "expected x");
  CHECK_FAILS(mica_quantized_dot(q_of(IN(I8, 3, 8), SCALAR(F32), none), W8, MICA_I32),
              "the result cannot be i32");
  CHECK_FAILS(mica_quantized_dot(q_of(none, SCALAR(F32), none), W8, 0), "quantized_dot");
  CHECK_FAILS(mica_matmul_typed(F32(3, 8), F32(8, 2), MICA_F64), "cannot have dtype f64");
  CHECK_FAILS(mica_matmul_typed(IN(I8, 3, 8), IN(U8, 8, 2), 0), "different dtypes");
  CHECK_FAILS(mica_matmul_typed(IN(BF16, 3, 8), IN(I8, 8, 2), MICA_F32), "different dtypes");
  CHECK_FAILS(mica_matmul_typed(IN(I8, 3, 8), IN(I8, 8, 2), MICA_F32), "cannot have dtype f32");
}

/* The operator itself, as parsed texts build it. */
TEST(operator_checks_its_operands) {
#define DENSE(...)                                                       \
  mica_build_operator(g, "quantized_dense", (mica_value[]){__VA_ARGS__}, \
                      sizeof((mica_value[]){__VA_ARGS__}) / sizeof(mica_value), "")
  CHECK_TYPE(DENSE(F32(2, 8), IN(I8, 8, 6), F32(2, 6)), "f32[2, 6]");
  CHECK_FAILS(DENSE(F32(2, 8), IN(I8, 8, 6)), "quantized_dense");
  CHECK_FAILS(DENSE(F32(2, 8), F32(8, 6), F32(2, 6)), "operand 1 is the weights");
  CHECK_FAILS(DENSE(F32(2, 7), IN(I8, 8, 6), F32(2, 6)), "operand 0 is x: expected [..., 8]");
  CHECK_FAILS(DENSE(F32(2, 8), IN(I8, 8, 6), F32(3, 6)), "operand 2 is the scale");
  CHECK_FAILS(DENSE(F32(2, 8), IN(I8, 8, 6), F32(0, 6)), "operand 2 is the scale");
  CHECK_FAILS(DENSE(F32(2, 8), IN(I8, 8, 6), IN(F64, 2, 6)),
              "operand 2 is the scale: expected f32");
  CHECK_FAILS(DENSE(F32(2, 8), IN(I8, 8, 6), F32(2, 6), IN(U8, 2, 6)), "operand 3 is the zero");
}

TEST_MAIN(TEST_CASE(types), TEST_CASE(messages), TEST_CASE(operator_checks_its_operands))
