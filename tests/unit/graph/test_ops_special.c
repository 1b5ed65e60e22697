/* SPDX-License-Identifier: Apache-2.0 */
/* Types and messages of the elementwise families beyond arithmetic: angles, special functions, bits, parts of
 * complex numbers. */
#include "unit/graph/ops_testing.h"

TEST(types_of_results) {
  CHECK_TYPE(mica_tan(F32(2, 3)), "f32[2, 3]");
  CHECK_TYPE(mica_tan(SCALAR(C64)), "c64[]");
  CHECK_TYPE(mica_atan2(F32(2, 1), F32(3)), "f32[2, 3]");
  CHECK_TYPE(mica_hypot(F32(2, 0), F32(1)), "f32[2, 0]");
  CHECK_TYPE(mica_lgamma(SCALAR(BF16)), "bf16[]");
  CHECK_TYPE(mica_polygamma(0, F32(2)), "f32[2]");
  CHECK_TYPE(mica_polygamma(64, F32(2)), "f32[2]");
  CHECK_TYPE(mica_igamma(F32(2, 1), F32(3)), "f32[2, 3]");
  CHECK_TYPE(mica_betainc(SCALAR(F64), input(g, MICA_F64, MICA_DIMS(2, 1)),
                          input(g, MICA_F64, MICA_DIMS(3))),
             "f64[2, 3]");
  CHECK_TYPE(mica_clamp(F32(2, 3), SCALAR(F32), F32(3)), "f32[2, 3]");
  CHECK_TYPE(mica_clamp_numbers(I32(4), -1, 7), "i32[4]");
  CHECK_TYPE(mica_mod(I32(2, 1), I32(3)), "i32[2, 3]");
  CHECK_TYPE(mica_floor_divide(I32(4), 3), "i32[4]");
  CHECK_TYPE(mica_is_inf(F32(2)), "bool[2]");
  CHECK_TYPE(mica_sign_bit(F32(2)), "bool[2]");
  CHECK_TYPE(mica_polynomial(F32(2), NULL, 0), "f32[2]");
}

TEST(types_of_bits) {
  CHECK_TYPE(mica_shift_left(I32(2, 1), I32(3)), "i32[2, 3]");
  CHECK_TYPE(mica_shift_right_logical(input(g, MICA_U8, MICA_DIMS(3)), 2), "u8[3]");
  CHECK_TYPE(mica_popcount(input(g, MICA_U64, MICA_DIMS(3))), "u64[3]");
  CHECK_TYPE(mica_bitcast(F32(2, 3), MICA_U32), "u32[2, 3]");
  CHECK_TYPE(mica_bitcast(F32(2, 3), MICA_U8), "u8[2, 3, 4]");
  CHECK_TYPE(mica_bitcast(input(g, MICA_U8, MICA_DIMS(2, 3, 4)), MICA_F32), "f32[2, 3]");
  CHECK_TYPE(mica_bitcast(SCALAR(C128), MICA_F64), "f64[2]");
  CHECK_TYPE(mica_bitcast(input(g, MICA_I4, MICA_DIMS(3, 2)), MICA_I8), "i8[3]");
  CHECK_TYPE(mica_reduce_precision(SCALAR(F16), 5, 2), "f16[]");
}

TEST(types_of_parts) {
  CHECK_TYPE(mica_complex(F32(2, 1), F32(3)), "c64[2, 3]");
  CHECK_TYPE(mica_real(input(g, MICA_C64, MICA_DIMS(2))), "f32[2]");
  CHECK_TYPE(mica_imag(input(g, MICA_C128, MICA_DIMS(2))), "f64[2]");
  CHECK_TYPE(mica_real(I32(2)), "i32[2]");
  CHECK_TYPE(mica_imag(F32(2)), "f32[2]");
  CHECK_TYPE(mica_conj(F32(2)), "f32[2]");
  CHECK_TYPE(mica_conj(SCALAR(C64)), "c64[]");
  CHECK_TYPE(mica_abs(SCALAR(C64)), "f32[]");
  CHECK_TYPE(mica_sign(SCALAR(C128)), "c128[]");
  CHECK_TYPE(mica_angle(SCALAR(C128)), "f64[]");
  CHECK_TYPE(mica_angle(F32(2)), "f32[2]");
}

TEST(dtypes_outside_the_class) {
  CHECK_FAILS(mica_asin(I32(2)), "asin(i32[2])", "expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_asin(SCALAR(C64)), "asin(c64[])", "expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_tan(BOOL(2)), "tan(bool[2])", "expected f16, bf16, f32, f64, c64 or c128");
  CHECK_FAILS(mica_lgamma(I32(2)), "lgamma(i32[2])", "expected f16");
  CHECK_FAILS(mica_softplus(I32(2)), "softplus(i32[2])", "expected f16");
  CHECK_FAILS(mica_shift_left(F32(2), F32(2)), "shift_left(f32[2], f32[2])", "expected i8 to i64");
  CHECK_FAILS(mica_popcount(BOOL(2)), "popcount(bool[2])", "expected i8 to i64 or u8 to u64");
  CHECK_FAILS(mica_is_inf(I32(2)), "is_inf(i32[2])", "expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_copysign(I32(2), I32(2)), "copysign(", "expected f16");
  CHECK_FAILS(mica_reduce_precision(I32(2), 5, 2), "reduce_precision(i32[2])", "expected f16");
  CHECK_FAILS(mica_complex(SCALAR(F16), SCALAR(F16)), "complex(f16[], f16[])",
              "expected f32 or f64");
  CHECK_FAILS(mica_complex(I32(2), I32(2)), "complex(i32[2], i32[2])", "expected f32 or f64");
}

TEST(operands_that_do_not_fit) {
  CHECK_FAILS(mica_atan2(F32(2), F32(3)), "atan2(f32[2], f32[3])", "axis -1 clashes");
  CHECK_FAILS(mica_hypot(F32(2), SCALAR(F64)), "hypot(f32[2], f64[])", "different dtypes");
  CHECK_FAILS(mica_clamp(F32(2), F32(2), SCALAR(F64)), "clamp(f32[2], f32[2], f64[])",
              "different dtypes");
  CHECK_FAILS(mica_clamp(F32(2), F32(3), F32(1)), "clamp(", "axis -1 clashes");
  CHECK_FAILS(mica_betainc(F32(2), F32(2), F32(3)), "betainc(", "axis -1 clashes");
  CHECK_FAILS(mica_igamma(F32(2), I32(2)), "igamma(f32[2], i32[2])", "different dtypes");
  CHECK_FAILS(mica_shift_left(I32(2), 0.5), "shift_left(", "0.5 is no i32");
  CHECK_FAILS(mica_mod(F32(2), I32(2)), "mod(f32[2], i32[2])", "different dtypes");
  CHECK_FAILS(mica_floor_divide(F32(2), F32(3)), "floor_divide(", "axis -1 clashes");
}

TEST(attributes_out_of_range) {
  CHECK_FAILS(mica_polygamma(65, F32(2)), "polygamma(f32[2])", "order 65: expected 1 to 64");
  CHECK_FAILS(mica_polygamma(-1, F32(2)), "order -1: expected 1 to 64");
  CHECK_FAILS(mica_reduce_precision(F32(2), 0, 3), "exponent_bits 0: expected 1 to 11");
  CHECK_FAILS(mica_reduce_precision(F32(2), 12, 3), "exponent_bits 12: expected 1 to 11");
  CHECK_FAILS(mica_reduce_precision(F32(2), 5, -1), "mantissa_bits -1: expected 0 to 52");
  CHECK_FAILS(mica_reduce_precision(F32(2), 5, 53), "mantissa_bits 53: expected 0 to 52");
  CHECK_FAILS(mica_build_operator(g, "betainc_slope", (mica_value[]){F32(2), F32(2), F32(2)}, 3,
                                  "parameter=2"),
              "parameter 2: expected 0 (a) or 1 (b)");
  CHECK_FAILS(mica_bitcast(F32(2), MICA_BOOL), "bitcast(f32[2])", "bool has no bits of its own");
  CHECK_FAILS(mica_bitcast(BOOL(2), MICA_U8), "bitcast(bool[2])", "bool has no bits of its own");
  CHECK_FAILS(mica_bitcast(F32(2), (mica_dtype)77), "the dtype is unknown");
  CHECK_FAILS(mica_bitcast(F32(2, 3), MICA_F64), "f32 to f64 takes the last axis",
              "expected it to have size 2");
  CHECK_FAILS(mica_bitcast(SCALAR(U8), MICA_F32), "u8 to f32 takes the last axis",
              "expected it to have size 4");
  CHECK_FAILS(mica_bitcast(F32(1, 1, 1, 1, 1, 1, 1, 1), MICA_U8), "needs one more axis",
              "expected rank below 8");
  CHECK_FAILS(mica_polynomial(F32(2), NULL, 3), "polynomial(f32[2])", "expected 3 numbers");
  CHECK_FAILS(mica_build_operator(g, "real", (mica_value[]){F32(2)}, 1, ""), "real(f32[2])",
              "expected c64 or c128");
}

TEST(barriers_keep_their_values_apart) {
  mica_graph *g = scoped_graph();
  mica_value in[2] = {F32(2), I32(3)}, out[2];
  mica_barrier(in, 2, out);
  check_type_text(g, out[0], "f32[2]", "out[0]", __FILE__, __LINE__);
  check_type_text(g, out[1], "i32[3]", "out[1]", __FILE__, __LINE__);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_BARRIER), 1);
  mica_barrier(NULL, 0, NULL);
  CHECK_OK(mica_graph_verify(g, NULL));
  mica_graph_destroy(g);
  mica_value outside;
  mica_barrier(&(mica_value){0}, 1, &outside);
  CHECK(!mica_is_valid(outside));
}

TEST_MAIN(TEST_CASE(types_of_results), TEST_CASE(types_of_bits), TEST_CASE(types_of_parts),
          TEST_CASE(dtypes_outside_the_class), TEST_CASE(operands_that_do_not_fit),
          TEST_CASE(attributes_out_of_range), TEST_CASE(barriers_keep_their_values_apart))
