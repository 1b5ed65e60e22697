/* SPDX-License-Identifier: Apache-2.0 */
/* What losses do at extremes, with masks and weights, in half precision and over nothing; and what they say of mistakes. */
#include "mica/train/losses.h"
#include "unit/graph/ops_testing.h"
#include "unit/train/train_testing.h"

/* ---- extremes ------------------------------------------------------------------------------------ */

#define GRADIENT_OF(name, ...) \
  GOLDEN(name, out[0] = __VA_ARGS__; mica_gradients(out[0], in, 1, &out[1]))

GRADIENT_OF(extreme_binary,
            mica_loss_binary_cross_entropy_logits(in[0], in[1], .reduction = MICA_LOSS_SUM))
GRADIENT_OF(extreme_focal,
            mica_loss_binary_focal(in[0], in[1], .gamma = 0.5, .reduction = MICA_LOSS_SUM))
GRADIENT_OF(extreme_log_cosh, mica_loss_log_cosh(in[0], in[1], .reduction = MICA_LOSS_SUM))
GRADIENT_OF(extreme_huber, mica_loss_huber(in[0], in[1], .reduction = MICA_LOSS_SUM))
GRADIENT_OF(extreme_euclidean, mica_loss_euclidean(in[0], in[0], .reduction = MICA_LOSS_SUM))
GRADIENT_OF(extreme_cosine, mica_loss_cosine(in[0], in[1], .reduction = MICA_LOSS_SUM))
GRADIENT_OF(extreme_power, mica_loss_adaptive_power(in[0], in[1], .reduction = MICA_LOSS_SUM))

TEST(nothing_overflows) {
  mica_build *builds[] = {build_extreme_binary, build_extreme_focal, build_extreme_log_cosh,
                          build_extreme_huber, build_extreme_power};
  for (size_t k = 0; k < sizeof builds / sizeof builds[0]; k++) {
    double out[2][64] = {{0}};
    mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(6), -1e4, 1e4, -1e4, 1e4, 0, 1),
                         NUMBERS(F32, MICA_DIMS(6), 0, 0, 1, 1, 0, 1)};
    if (!run_numbers(builds[k], NULL, in, 2, out, 2)) return;
    CHECK(isfinite(out[0][0]));
    for (int i = 0; i < 6; i++)
      if (!isfinite(out[1][i])) CHECK_FAIL("loss %zu: the gradient at %d is %g", k, i, out[1][i]);
    if (k == 0) CHECK_NEAR_RELATIVE(out[0][0], 2e4 + log(2) + log1p(exp(-1)), 1e-6);
  }
}

TEST(distances_of_equal_and_of_zero_vectors) {
  double out[2][64];
  mica_tensor *same[] = {NUMBERS(F64, MICA_DIMS(2, 2), 1, 2, 0, 0)};
  if (run_numbers(build_extreme_euclidean, NULL, same, 1, out, 2))
    for (int i = 0; i < 4; i++) CHECK_EQ_INT(out[1][i], 0);
  mica_tensor *zero[] = {NUMBERS(F64, MICA_DIMS(1, 2), 0, 0), NUMBERS(F64, MICA_DIMS(1, 2), 1, 0)};
  if (run_numbers(build_extreme_cosine, NULL, zero, 2, out, 2)) {
    CHECK_NEAR(out[0][0], 1, 0);
    CHECK(isfinite(out[1][0]));
  }
}

GRADIENT_OF(banned, mica_loss_cross_entropy_logits(in[0], in[1]))
GRADIENT_OF(banned_divergence, mica_loss_kl_divergence(in[0], in[1]))
TEST(what_has_no_probability_may_have_none_in_the_target) {
  double out[2][64];
  mica_tensor *in[] = {NUMBERS(F64, MICA_DIMS(1, 3), 0, -INFINITY, 0),
                       NUMBERS(F64, MICA_DIMS(1, 3), 1, 0, 0)};
  mica_tensor_retain(in[0]), mica_tensor_retain(in[1]);
  if (run_numbers(build_banned, NULL, in, 2, out, 2)) {
    CHECK_NEAR(out[0][0], log(2), 1e-15);
    CHECK_NEAR(out[1][0], -0.5, 1e-15);
    CHECK_NEAR(out[1][1], 0, 0);
  }
  if (run_numbers(build_banned_divergence, NULL, in, 2, out, 2)) CHECK_NEAR(out[0][0], 0, 0);
  mica_tensor *label[] = {NUMBERS(F32, MICA_DIMS(2, 3), 1, 2, 3, 4, 5, 6),
                          NUMBERS(I32, MICA_DIMS(2), 3, -1)};
  if (run_numbers(build_banned, NULL, label, 2, out, 2)) CHECK(isnan(out[0][0]));
}

/* ---- masks and weights ------------------------------------------------------------------------------ */

GRADIENT_OF(masked_number, mica_loss_squared_error(in[0], in[1], .mask = in[2]))
GRADIENT_OF(masked_binary, mica_loss_binary_cross_entropy(in[0], in[1], .mask = in[2]))
GRADIENT_OF(masked_classes, mica_loss_cross_entropy_logits(in[0], in[1], .mask = in[2]))
GRADIENT_OF(masked_cosine, mica_loss_cosine(in[0], in[1], .mask = in[2]))
GRADIENT_OF(masked_dice, mica_loss_dice(in[0], in[1], .mask = in[2]))
GRADIENT_OF(masked_ctc, mica_loss_ctc(in[0], in[1], .mask = in[2]))

static void check_masked(mica_build *build, mica_tensor **in, double wanted, int first, int last,
                         int count) {
  double out[2][64];
  if (!run_numbers(build, NULL, in, 3, out, 2)) return;
  CHECK_NEAR(out[0][0], wanted, 1e-6);
  for (int i = 0; i < count; i++) {
    CHECK(isfinite(out[1][i]));
    if (i >= first && i < last) CHECK_EQ_INT(out[1][i], 0);
  }
}
TEST(what_is_masked_may_be_anything) {
  double nan = NAN;
  check_masked(build_masked_number,
               (mica_tensor *[]){NUMBERS(F32, MICA_DIMS(2, 2), 1, 2, nan, INFINITY),
                                 NUMBERS(F32, MICA_DIMS(2, 2), 0, 0, 0, nan),
                                 NUMBERS(BOOL, MICA_DIMS(2), 1, 0)},
               2.5, 2, 4, 4);
  check_masked(
      build_masked_binary,
      (mica_tensor *[]){NUMBERS(F32, MICA_DIMS(3), 0.5, nan, 0.5),
                        NUMBERS(I32, MICA_DIMS(3), 0, 7, 1), NUMBERS(BOOL, MICA_DIMS(3), 1, 0, 1)},
      log(2), 1, 2, 3);
  check_masked(
      build_masked_classes,
      (mica_tensor *[]){NUMBERS(F32, MICA_DIMS(2, 2), 3, 3, nan, 1),
                        NUMBERS(I32, MICA_DIMS(2), 1, -100), NUMBERS(BOOL, MICA_DIMS(2), 1, 0)},
      log(2), 2, 4, 4);
  check_masked(build_masked_cosine,
               (mica_tensor *[]){NUMBERS(F32, MICA_DIMS(2, 2), 1, 0, nan, 1),
                                 NUMBERS(F32, MICA_DIMS(2, 2), 0, 1, 1, 1),
                                 NUMBERS(BOOL, MICA_DIMS(2), 1, 0)},
               1, 2, 4, 4);
  /* One of two places counts: 1 - (2 * 1 + 1) / (1 + 1 + 1) and, of the class that is not there, 1 - 1 / 1. */
  check_masked(
      build_masked_dice,
      (mica_tensor *[]){NUMBERS(F32, MICA_DIMS(1, 2, 2), 1, 0, nan, 5),
                        NUMBERS(I32, MICA_DIMS(1, 2), 0, 0), NUMBERS(BOOL, MICA_DIMS(1, 2), 1, 0)},
      0, 2, 4, 4);
  check_masked(
      build_masked_ctc,
      (mica_tensor *[]){NUMBERS(F32, MICA_DIMS(2, 2, 2), 0, 0, 0, 0, nan, 0, 0, 0),
                        NUMBERS(I32, MICA_DIMS(2, 1), 1, 1), NUMBERS(BOOL, MICA_DIMS(2), 1, 0)},
      -log(0.75), 4, 8, 8);
}

GOLDEN(weightings, mica_value l = mica_loss_reduce(in[0], in[1], in[2], MICA_LOSS_NONE); out[0] = l;
       out[1] = mica_loss_reduce(in[0], in[1], in[2], MICA_LOSS_SUM);
       out[2] = mica_loss_reduce(in[0], in[1], in[2], MICA_LOSS_MEAN))
TEST(means_are_by_the_sum_of_weights) {
  double out[3][64];
  mica_tensor *in[] = {NUMBERS(F64, MICA_DIMS(2, 3), 1, 2, 3, 4, 5, 6),
                       NUMBERS(F64, MICA_DIMS(2), 2, 3), NUMBERS(BOOL, MICA_DIMS(1, 3), 1, 0, 1)};
  if (run_numbers(build_weightings, NULL, in, 3, out, 3)) {
    const double each[] = {2, 0, 6, 12, 0, 18};
    for (int i = 0; i < 6; i++) CHECK_EQ_INT(out[0][i], each[i]);
    CHECK_EQ_INT(out[1][0], 38);
    CHECK_NEAR(out[2][0], 3.8, 1e-15);
  }
  mica_tensor *nothing[] = {NUMBERS(F64, MICA_DIMS(2, 3), 1, 2, 3, 4, 5, NAN),
                            NUMBERS(F64, MICA_DIMS(2), 2, 3), NUMBERS(BOOL, MICA_DIMS(1), 0)};
  if (run_numbers(build_weightings, NULL, nothing, 3, out, 3)) CHECK_NEAR(out[2][0], 0, 0);
}

GOLDEN(ctc_impossible, out[0] = mica_loss_ctc(in[0], in[1], .reduction = MICA_LOSS_NONE);
       out[1] = mica_loss_ctc(in[0], in[1], .zero_infinity = true, .reduction = MICA_LOSS_NONE);
       mica_gradients(mica_reduce_sum(out[0], MICA_ALL), in, 1, &out[2]))
TEST(targets_that_cannot_be_aligned) {
  double out[3][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(1, 2, 3), 1, 2, 3, 4, 5, 6),
                       NUMBERS(I32, MICA_DIMS(1, 2), 1, 1)}; /* equal neighbours need a blank */
  if (!run_numbers(build_ctc_impossible, NULL, in, 2, out, 3)) return;
  CHECK(out[0][0] > 0 && isinf(out[0][0]));
  CHECK_EQ_INT(out[1][0], 0);
  for (int i = 0; i < 6; i++) CHECK_EQ_INT(out[2][i], 0);
}

GOLDEN(ctc_padded,
       out[0] = mica_loss_ctc(in[0], in[1], .target_lengths = in[2], .reduction = MICA_LOSS_NONE))
TEST(classes_of_a_target_exist_up_to_its_length) {
  double out[1][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(3, 1, 2), 0, 0, 0, 0, 0, 0),
                       NUMBERS(I64, MICA_DIMS(3, 2), 1, -1, 1, 9, 2, 1),
                       NUMBERS(I32, MICA_DIMS(3), 1, 1, 1)};
  if (!run_numbers(build_ctc_padded, NULL, in, 3, out, 1)) return;
  CHECK_NEAR(out[0][0], log(2), 1e-6);
  CHECK_NEAR(out[0][1], log(2), 1e-6);
  CHECK(isnan(out[0][2]));
}

/* ---- types and names ----------------------------------------------------------------------------------- */

TEST(types) {
  CHECK_TYPE(mica_loss_squared_error(input(g, MICA_BF16, MICA_DIMS(3)), F32(3)), "f32[]");
  CHECK_TYPE(mica_loss_squared_error(input(g, MICA_F64, MICA_DIMS(3)), I32(3)), "f64[]");
  CHECK_TYPE(mica_loss_cross_entropy_logits(F32(3, 5, 7), I32(3, 5), .reduction = MICA_LOSS_NONE),
             "f32[3, 5]");
  CHECK_TYPE(mica_loss_cross_entropy_logits(F32(3, 5, 7), input(g, MICA_U8, MICA_DIMS(3, 5)),
                                            .label_smoothing = 0.1, .class_weights = F32(7)),
             "f32[]");
  CHECK_TYPE(mica_loss_squared_error(F32(0), F32(0)), "f32[]");
  CHECK_TYPE(mica_loss_ctc(F32(2, 0, 3), I32(2, 0), .reduction = MICA_LOSS_NONE), "f32[2]");
}
TEST(names) {
  CHECK(mica_loss_find("huber") == mica_loss_huber_with);
  CHECK(mica_loss_find("hubert") == NULL && mica_loss_find(NULL) == NULL);
  for (size_t i = 0; mica_loss_name(i); i++) {
    CHECK(mica_loss_find(mica_loss_name(i)) != NULL);
    if (i) CHECK(strcmp(mica_loss_name(i - 1), mica_loss_name(i)) < 0);
  }
}

/* ---- mistakes ------------------------------------------------------------------------------------------ */

TEST(mistakes) {
  CHECK_FAILS(mica_loss_squared_error(F32(3, 1), F32(3)), "loss_squared_error(f32[3, 1], f32[3])",
              "the target is [3]", "expected the prediction's shape");
  CHECK_FAILS(mica_loss_squared_error(I32(3), I32(3)), "dtype i32",
              "expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_loss_squared_error(F32(3), input(g, MICA_F64, MICA_DIMS(3))), "dtype f64",
              "mica_convert");
  CHECK_FAILS(mica_loss_squared_error(F32(3), F32(3), .gamma = 1), "expected no option gamma");
  CHECK_FAILS(mica_loss_huber(F32(3), F32(3), .delta = -1), "delta -1", "above 0");
  CHECK_FAILS(mica_loss_huber(F32(3), F32(3), .weights = F32(2)), "weights",
              "expected the leading axes of [3]");
  CHECK_FAILS(mica_loss_huber(F32(3), F32(3), .weights = I32(3)), "weights", "expected floats");
  CHECK_FAILS(mica_loss_huber(F32(3), F32(3), .mask = F32(3)), "mask", "expected bool");
  CHECK_FAILS(mica_loss_huber(F32(3), F32(3), .mask = BOOL(3, 1)), "mask", "leading axes of [3]");
  CHECK_FAILS(mica_loss_huber(F32(3), F32(3), .reduction = (mica_loss_reduction)7), "reduction 7",
              "expected MICA_LOSS_MEAN");
  CHECK_FAILS(mica_loss_cross_entropy_logits(F32(3, 5), I32(4)), "the target is [4]",
              "or integers [3]");
  CHECK_FAILS(mica_loss_cross_entropy_logits(F32(3, 5), I32(3), .class_weights = F32(4)),
              "class_weights is [4]", "expected [5]");
  CHECK_FAILS(mica_loss_cross_entropy_logits(F32(3, 5), I32(3), .label_smoothing = 1.5),
              "label_smoothing 1.5", "expected a number in 0 .. 1");
  CHECK_FAILS(mica_loss_cross_entropy_logits(SCALAR(F32), SCALAR(I32)), "rank 0",
              "expected at least 1");
  CHECK_FAILS(mica_loss_binary_focal(F32(3), F32(3), .alpha = 2), "alpha 2");
  CHECK_FAILS(mica_loss_multiclass_hinge(F32(3, 5), F32(3, 5)), "expected integers [3]");
  CHECK_FAILS(mica_loss_dice(F32(3), F32(3)), "expected [batch, spatial..., classes]");
  CHECK_FAILS(mica_loss_contrastive(F32(3, 2), F32(3, 2)), "there are no labels",
              "expected labels [3]");
  CHECK_FAILS(
      mica_loss_contrastive(F32(3, 2), F32(3, 2), .labels = I32(3), .distance = (mica_distance)5),
      "distance 5");
  CHECK_FAILS(mica_loss_triplet(F32(3, 2), F32(3, 2)), "there is no negative");
  CHECK_FAILS(mica_loss_triplet(F32(3, 2), F32(3, 2), .negative = F32(2, 2)),
              "the negative does not fit");
  CHECK_FAILS(mica_loss_info_nce(F32(3, 2, 2), F32(3, 2, 2)), "rank 3", "expected [n, d]");
  CHECK_FAILS(mica_loss_triplet_mining(F32(3, 2, 2), I32(3, 2)), "expected [n, d]");
  CHECK_FAILS(mica_loss_triplet_mining(F32(3, 2), I32(3), .mining = (mica_mining)9), "mining 9");
  CHECK_FAILS(mica_loss_ctc(F32(3, 2), I32(3, 2)), "expected logits [batch, time, classes]");
  CHECK_FAILS(mica_loss_ctc(F32(3, 2, 4), F32(3, 2)), "expected integers");
  CHECK_FAILS(mica_loss_ctc(F32(3, 2, 4), I32(3, 2), .blank = 4), "blank 4", "0 .. 3");
  CHECK_FAILS(mica_loss_ctc(F32(3, 2, 4), I32(3, 2), .target_lengths = I32(2)), "target_lengths",
              "expected integers [3]");
  CHECK_FAILS(mica_loss_huber(F32(3), (mica_value){0}), "operand 1");
  CHECK(mica_loss_huber_with(NULL).graph == NULL);
}

TEST_MAIN(TEST_CASE(nothing_overflows), TEST_CASE(distances_of_equal_and_of_zero_vectors),
          TEST_CASE(what_has_no_probability_may_have_none_in_the_target),
          TEST_CASE(what_is_masked_may_be_anything), TEST_CASE(means_are_by_the_sum_of_weights),
          TEST_CASE(targets_that_cannot_be_aligned),
          TEST_CASE(classes_of_a_target_exist_up_to_its_length), TEST_CASE(types), TEST_CASE(names),
          TEST_CASE(mistakes))
