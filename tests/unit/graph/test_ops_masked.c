/* SPDX-License-Identifier: Apache-2.0 */
/* Folds under masks, lengths, moments, places, batch normalization, and what is asked of values: types, and what the
 * messages say. */
#include <math.h>

#include "unit/graph/ops_testing.h"

#define NONE                 ((mica_value){0})
#define MASK(...)            INPUT_OF(MICA_BOOL, __VA_ARGS__)
#define INPUT_OF(dtype, ...) mica_parameter(g, (mica_type){dtype, MICA_DIMS(__VA_ARGS__)})

TEST(masked) {
  CHECK_TYPE(mica_masked_sum(F32(3, 4), MASK(4), MICA_AXES(0)), "f32[4]");
  CHECK_TYPE(mica_masked_max(I32(3, 4), MASK(3, 1), MICA_KEEP(1)), "i32[3, 1]");
  CHECK_TYPE(mica_masked_mean(INPUT_OF(MICA_BF16, 3, 0), MASK(1), MICA_AXES(1)), "bf16[3]");
  CHECK_TYPE(mica_masked_softmax(F32(3, 4), MASK(4), -1), "f32[3, 4]");
  CHECK_TYPE(mica_segment_softmax(F32(5, 2), I32(5), 3), "f32[5, 2]");
  CHECK_TYPE(mica_segment_softmax(F32(5), I32(5), 0), "f32[5]");
  CHECK_FAILS(mica_masked_sum(F32(3, 4), MASK(3), MICA_ALL), "masked_sum(f32[3, 4], bool[3])",
              "expected bool that broadcasts to operand 0");
  CHECK_FAILS(mica_masked_prod(F32(4), MASK(3, 4), MICA_ALL), "expected bool that broadcasts");
  CHECK_FAILS(mica_masked_min(F32(4), F32(4), MICA_ALL), "operand 1 is the mask");
  CHECK_FAILS(mica_masked_mean(I32(4), MASK(4), MICA_ALL), "dtype i32");
  CHECK_FAILS(mica_masked_softmax(I32(4), MASK(4), 0), "masked_softmax(i32[4])", "dtype i32");
  CHECK_FAILS(mica_masked_log_softmax(F32(4), MASK(4), 1), "axis 1 does not exist");
  CHECK_FAILS(mica_segment_softmax(F32(5), I32(4), 3), "segment_reduce(");
  CHECK_FAILS(mica_segment_softmax(F32(5), I32(5), -1), "segments is -1");
}

TEST(lengths_and_moments) {
  CHECK_TYPE(mica_l2_normalize(F32(3, 4), MICA_AXES(1), 0), "f32[3, 4]");
  CHECK_TYPE(mica_cosine_similarity(F32(3, 4), F32(4), 1), "f32[3]");
  CHECK_TYPE(mica_cross_cosine_similarity(F32(2, 3, 4), F32(5, 4)), "f32[2, 3, 5]");
  CHECK_TYPE(mica_skewness(F32(3, 4), MICA_KEEP(1)), "f32[3, 1]");
  CHECK_FAILS(mica_l2_normalize(F32(3), MICA_ALL, -1), "epsilon -1: expected a finite number");
  CHECK_FAILS(mica_cosine_similarity(F32(3), I32(3), 0), "different dtypes");
  CHECK_FAILS(mica_cosine_similarity(F32(3), F32(2), 0), "clashes");
  CHECK_FAILS(mica_cross_cosine_similarity(F32(3), F32(2, 3)), "expected x [..., n, d]");
  CHECK_FAILS(mica_skewness(I32(3), MICA_ALL), "skewness(i32[3])");
  CHECK_FAILS(mica_kurtosis(F32(3), MICA_AXES(1)), "axis 1 does not exist");
}

TEST(lines_and_places) {
  CHECK_TYPE(mica_diff(F32(5, 2), 2, 0), "f32[3, 2]");
  CHECK_TYPE(mica_diff(F32(5, 2), 9, 0), "f32[0, 2]");
  CHECK_TYPE(mica_diff(MASK(5), 1, 0), "bool[4]");
  CHECK_TYPE(mica_tri(g, MICA_I8, 2, 3, 0), "i8[2, 3]");
  CHECK_TYPE(mica_indices(g, MICA_I64, MICA_DIMS(2, 3)), "i64[2, 3, 2]");
  CHECK_TYPE(mica_indices(g, MICA_I32, MICA_SCALAR), "i32[0]");
  CHECK_TYPE(mica_shift(F32(3, 4), NONE, -2, 1), "f32[3, 4]");
  CHECK_TYPE(mica_shift(F32(3), NONE, INT64_MIN + 1, 0), "f32[3]");
  CHECK_TYPE(mica_top_k_mask(F32(3, 4), 2, 0, true), "bool[3, 4]");
  CHECK_TYPE(mica_reduce_xor(I32(3, 4), MICA_KEEP(0)), "i32[1, 4]");
  CHECK_TYPE(mica_total_order(INPUT_OF(MICA_BF16, 3)), "i16[3]");
  CHECK_FAILS(mica_diff(F32(3), -1, 0), "n is -1: expected 0 or more");
  CHECK_FAILS(mica_indices(g, MICA_F32, MICA_DIMS(2)), "indices(): dtype f32");
  CHECK_FAILS(mica_indices(g, MICA_I32, MICA_DIMS(1, 1, 1, 1, 1, 1, 1, 1)), "a rank below 8");
  CHECK_FAILS(mica_shift(F32(3), I32(1), 1, 0), "pad(");
  CHECK_FAILS(mica_top_k_mask(F32(3), 4, 0, false), "top_k(");
  CHECK_FAILS(mica_reduce_xor(F32(3), MICA_ALL), "reduce_xor(f32[3])");
  CHECK_FAILS(mica_total_order(I32(3)), "total_order(i32[3])");
}

TEST(batch_norms) {
  CHECK_TYPE(mica_batch_norm_training(F32(3, 4, 5), F32(4), NONE, 1, 0.1, NULL, NULL),
             "f32[3, 4, 5]");
  CHECK_TYPE(mica_batch_norm_inference(F32(3, 4), NONE, F32(4), F32(4), F32(4), -1, 0),
             "f32[3, 4]");
  CHECK_FAILS(mica_batch_norm_training(F32(3, 4), F32(3), NONE, 1, 0.1, NULL, NULL),
              "batch_norm_training(f32[3, 4], f32[3])", "its size along the axis");
  CHECK_FAILS(mica_batch_norm_training(F32(3, 4), NONE, NONE, 1, -0.1, NULL, NULL), "epsilon -0.1");
  CHECK_FAILS(mica_batch_norm_training(F32(3, 4), NONE, NONE, 2, 0.1, NULL, NULL),
              "axis 2 does not exist");
  CHECK_FAILS(mica_batch_norm_inference(F32(3, 4), NONE, NONE, F32(4), NONE, 1, 0),
              "expected a value, not {0}");
}

TEST(shapes_are_expected) {
  CHECK_TYPE(mica_expect_shape(F32(3, 4), MICA_DIMS(-1, 4)), "f32[3, 4]");
  CHECK_FAILS(mica_expect_shape(F32(3, 4), MICA_DIMS(3, 5)), "expect_shape(f32[3, 4])",
              "expected the shape [3, 5]");
  CHECK_FAILS(mica_expect_shape(F32(3, 4), MICA_DIMS(-1)), "expected the shape [any]");
  CHECK_FAILS(mica_expect_shape(F32(3, 4), MICA_SCALAR), "expected the shape []");
}

TEST(constants_are_known) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = F32(3), two = mica_scalar(g, MICA_F32, 2), four = mica_mul(two, two);
  CHECK(mica_constant_value(two) &&
        *(const float *)mica_tensor_data(mica_constant_value(two)) == 2);
  CHECK(!mica_constant_value(four) && !mica_constant_value(x) && !mica_constant_value(NONE));
  CHECK(mica_is_constant(two) && mica_is_constant(four));
  CHECK(!mica_is_constant(x) && !mica_is_constant(mica_add(x, four)) && !mica_is_constant(NONE));
  mica_region body = mica_call_begin(g, &four, 1);
  CHECK(mica_is_constant(mica_add(two, 1))); /* captured */
  mica_value y = mica_add(mica_argument(body, 0), two), out;
  CHECK(!mica_is_constant(y)); /* of the block's argument */
  mica_call_end(body, &y, 1, &out);
  CHECK(mica_is_constant(out));
  CHECK_OK(mica_graph_status(g, NULL));
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(masked), TEST_CASE(lengths_and_moments), TEST_CASE(lines_and_places),
          TEST_CASE(batch_norms), TEST_CASE(shapes_are_expected), TEST_CASE(constants_are_known))
