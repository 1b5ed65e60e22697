/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers: types, and what the messages say. Values are judged in
 * test_random_distributions.c. */
#include <math.h>

#include "unit/graph/ops_testing.h"

#define KEY          mica_random_key(g, 7)
#define KEYS(...)    input(g, MICA_U32, MICA_DIMS(__VA_ARGS__))
#define TYPE(d, ...) ((mica_type){MICA_##d, MICA_DIMS(__VA_ARGS__)})

TEST(random_types) {
  CHECK_TYPE(mica_random_split(KEY, 3), "u32[3, 2]");
  CHECK_TYPE(mica_random_split(KEYS(5, 2), 3), "u32[5, 3, 2]");
  CHECK_TYPE(mica_random_integers(KEY, TYPE(U8, 3), 0, 256), "u8[3]");
  CHECK_TYPE(mica_random_integers(KEY, TYPE(I64, 3), INT64_MIN, INT64_MAX), "i64[3]");
  CHECK_TYPE(mica_random_integers(KEYS(4, 2), TYPE(I32, 3, 0), -1, 0), "i32[4, 3, 0]");
  CHECK_TYPE(mica_random_bernoulli_each(KEY, F32(3), MICA_DIMS(2, 3)), "bool[2, 3]");
  CHECK_TYPE(mica_random_bernoulli_each(KEYS(4, 2), F32(3), MICA_DIMS(2, 3)), "bool[4, 2, 3]");
  CHECK_TYPE(mica_random_rademacher(KEY, TYPE(I8, 2)), "i8[2]");
  CHECK_TYPE(mica_random_rademacher(KEY, TYPE(C64, 2)), "c64[2]");
  CHECK_TYPE(mica_random_categorical(KEY, F32(2, 3)), "i32[2]");
  CHECK_TYPE(mica_random_categorical(KEYS(4, 2), F32(2, 3)), "i32[4, 2]");
  CHECK_TYPE(mica_random_poisson(KEYS(4, 2), F32(3), MICA_DIMS(3)), "i32[4, 3]");
  CHECK_TYPE(mica_random_permutation(KEY, 0), "i32[0]");
  CHECK_TYPE(mica_random_permutation(KEYS(4, 2), 6), "i32[4, 6]");
  CHECK_TYPE(mica_random_shuffle(KEY, F32(2, 3), -1), "f32[2, 3]");
  CHECK_TYPE(mica_random_choice(KEY, 5, 5, false), "i32[5]");
  CHECK_TYPE(mica_random_choice(KEY, 5, 9, true), "i32[9]");
  CHECK_TYPE(mica_random_choice(KEY, 0, 0, false), "i32[0]");
  CHECK_TYPE(mica_random_choice_by(KEY, F32(5), 2), "i32[2]");
  CHECK_TYPE(mica_random_uniform_range(KEY, TYPE(F16, 3), -1, 1), "f16[3]");
  CHECK_TYPE(mica_random_truncated_normal(KEY, TYPE(BF16, 3), 3, 4), "bf16[3]");
  CHECK_TYPE(mica_random_exponential(KEYS(4, 2), TYPE(F64, 3)), "f64[4, 3]");
  CHECK_TYPE(mica_random_gumbel(KEY, ((mica_type){MICA_F32, MICA_SCALAR})), "f32[]");
  CHECK_TYPE(mica_random_laplace(KEY, TYPE(F16, 0)), "f16[0]");
  CHECK_TYPE(mica_random_logistic(KEY, TYPE(F16, 2, 2)), "f16[2, 2]");
  CHECK_TYPE(mica_random_cauchy(KEY, TYPE(F16, 2)), "f16[2]");
  CHECK_TYPE(mica_random_orthogonal(KEY, TYPE(F16, 4, 3, 2), 1), "f16[4, 3, 2]");
  CHECK_TYPE(mica_random_orthogonal(KEY, TYPE(F64, 2, 3), 2), "f64[2, 3]");
  CHECK_TYPE(mica_random_orthogonal(KEY, TYPE(F32, 0, 3), 2), "f32[0, 3]");
  CHECK_TYPE(mica_random_gamma(KEYS(4, 2), input(g, MICA_BF16, MICA_DIMS(3)), MICA_DIMS(2, 3)),
             "bf16[4, 2, 3]");
  CHECK_TYPE(mica_random_log_gamma(KEY, SCALAR(F64), MICA_DIMS(2)), "f64[2]");
  CHECK_TYPE(mica_random_beta(KEY, SCALAR(F32), F32(3), MICA_DIMS(2, 3)), "f32[2, 3]");
  CHECK_TYPE(mica_random_dirichlet(KEY, F32(3), MICA_DIMS(5, 3)), "f32[5, 3]");
}

TEST(random_messages) {
  CHECK_FAILS(mica_random_split(F32(2), 3), "random_split(f32[2])", "operand 0 is the key");
  CHECK_FAILS(mica_random_split(KEY, -1), "random_bits(u32[2])");
  CHECK_FAILS(mica_random_integers(KEY, TYPE(F32, 3), 0, 2), "random_integers(u32[2])",
              "dtype f32: expected i8 to i64");
  CHECK_FAILS(mica_random_integers(KEY, TYPE(U8, 3), 0, 257), "0 to below 257: expected", "u8");
  CHECK_FAILS(mica_random_integers(KEY, TYPE(U8, 3), -1, 7), "expected a range within u8");
  CHECK_FAILS(mica_random_integers(KEY, TYPE(I32, 3), 5, 5), "5 to below 5");
  CHECK_FAILS(mica_random_integers(KEY, TYPE(I32, -3), 0, 5), "the shape [-3]");
  CHECK_FAILS(mica_random_bernoulli_each(KEY, F32(4), MICA_DIMS(2, 3)),
              "random_bernoulli_each(u32[2], f32[4])", "broadcast to the shape [2, 3]");
  CHECK_FAILS(mica_random_bernoulli_each(KEY, F32(4, 3), MICA_DIMS(3)), "the shape [3]");
  CHECK_FAILS(mica_random_bernoulli_each(KEY, I32(3), MICA_DIMS(3)), "operand 1 is a parameter");
  CHECK_FAILS(mica_random_rademacher(KEY, TYPE(U8, 3)), "random_rademacher(u32[2])", "dtype u8");
  CHECK_FAILS(mica_random_rademacher(KEY, TYPE(BOOL, 3)), "dtype bool: expected a signed number");
  CHECK_FAILS(mica_random_categorical(KEY, SCALAR(F32)), "random_categorical(u32[2], f32[])",
              "operand 1 is the logits");
  CHECK_FAILS(mica_random_categorical(KEY, I32(3)), "operand 1 is the logits");
  CHECK_FAILS(mica_random_categorical(F32(2), F32(3)), "operand 0 is the key");
  CHECK_FAILS(mica_random_poisson(KEY, I32(3), MICA_DIMS(3)), "random_poisson(u32[2], i32[3])");
  CHECK_FAILS(mica_random_permutation(KEY, -1), "random_permutation(u32[2])", "-1 of -1");
  CHECK_FAILS(mica_random_permutation(KEY, (int64_t)1 << 31), "numbers of 0 to 2^31 - 1");
  CHECK_FAILS(mica_random_shuffle(KEYS(3, 2), F32(2), 0), "random_shuffle(u32[3, 2], f32[2])",
              "expected one");
  CHECK_FAILS(mica_random_shuffle(KEY, F32(2), 1), "axis 1 does not exist");
  CHECK_FAILS(mica_random_choice(KEY, 3, 4, false), "random_choice(u32[2])", "4 of 3");
  CHECK_FAILS(mica_random_choice(KEY, 0, 4, true), "4 of 0: expected no more");
  CHECK_FAILS(mica_random_choice_by(KEY, F32(3), 4), "random_choice_by(u32[2], f32[3])", "4 of 3");
  CHECK_FAILS(mica_random_uniform_range(KEY, TYPE(F32, 3), 1, 1),
              "1 to 1: expected low below high");
  CHECK_FAILS(mica_random_uniform_range(KEY, TYPE(F32, 3), 0, INFINITY), "both finite");
  CHECK_FAILS(mica_random_uniform_range(KEY, TYPE(BF16, 3), 1.001, 1.002), "a bf16 in between");
  CHECK_FAILS(mica_random_uniform_range(KEY, TYPE(I32, 3), 0, 1), "dtype i32");
  CHECK_FAILS(mica_random_truncated_normal(KEY, TYPE(F32, 3), 7, 8), "low below 6");
  CHECK_FAILS(mica_random_truncated_normal(KEY, TYPE(F32, 3), NAN, 8), "low below high");
  CHECK_FAILS(mica_random_exponential(KEY, TYPE(I32, 3)), "random_exponential(u32[2])");
  CHECK_FAILS(mica_random_orthogonal(F32(2), TYPE(F32, 3, 3), 1), "random_orthogonal(f32[2])",
              "is the key");
  CHECK_FAILS(mica_random_orthogonal(KEY, TYPE(F32, 3), 1),
              "the shape [3]: expected [..., rows, columns]");
  CHECK_FAILS(mica_random_orthogonal(KEY, TYPE(I32, 3, 3), 1), "dtype i32: expected f16");
  CHECK_FAILS(mica_random_cauchy(F32(2), TYPE(F32, 3)), "random_cauchy(f32[2])", "is the key");
  CHECK_FAILS(mica_random_gamma(KEY, F32(2), MICA_DIMS(3)), "random_gamma(u32[2], f32[2])");
  CHECK_FAILS(mica_random_gamma(KEY, F32(3), MICA_DIMS(-3)), "random_gamma(u32[2], f32[3])");
  CHECK_FAILS(mica_random_beta(KEY, F32(3), SCALAR(F64), MICA_DIMS(3)),
              "random_beta(u32[2], f32[3], f64[])", "different dtypes");
  CHECK_FAILS(mica_random_beta(KEY, F32(3), F32(2), MICA_DIMS(3)), "random_beta(u32[2], f32[2])");
  CHECK_FAILS(mica_random_dirichlet(KEY, SCALAR(F32), MICA_SCALAR), "expected [..., n]");
}

/* Two draws in a loop that nothing of the examples enters: each example has its own all the same. */
static mica_value drawn_in_a_loop(mica_value examples, mica_value key) {
  mica_region each = mica_vmap_begin(examples.graph, &examples, NULL, 1);
  mica_value state[2] = {mica_scalar(key.graph, MICA_F32, 0), mica_scalar(key.graph, MICA_I32, 0)};
  mica_value last[2], out;
  mica_region loop = mica_while_begin(key.graph, state, 2, 3);
  mica_while_body(loop, mica_less(mica_argument(loop, 1), 2));
  mica_value next[2] = {mica_add(mica_argument(loop, 0),
                                 mica_random_uniform(key, (mica_type){MICA_F32, MICA_SCALAR})),
                        mica_add(mica_argument(loop, 1), 1)};
  mica_while_end(loop, next, last);
  mica_vmap_end(each, last, 1, &out);
  return out;
}
TEST(blocks_that_draw_differ_between_examples) {
  CHECK_TYPE(drawn_in_a_loop(F32(3), KEY), "f32[3]");
}

TEST_MAIN(TEST_CASE(random_types), TEST_CASE(random_messages),
          TEST_CASE(blocks_that_draw_differ_between_examples))
