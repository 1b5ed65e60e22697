/* SPDX-License-Identifier: Apache-2.0 */
/* Masks, batches of nothing, moving means and medians, extremes; and messages. Numbers are in test_metrics_golden.c. */
#include "mica/train/metrics.h"
#include "unit/graph/ops_testing.h"
#include "unit/train/train_testing.h"

#define ONCE(metric, ...) \
  mica_metric_once_with(&(const mica_metric_definition[]){metric}[0], MICA_METRIC_ARGS(__VA_ARGS__))

GOLDEN(masked, out[0] = ONCE(mica_metric_accuracy(.k = 0), in[0], in[1], .mask = in[2]);
       out[1] = ONCE(mica_metric_top_k_accuracy(.k = 1), in[0], in[1], .mask = in[2]);
       out[2] = ONCE(mica_metric_perplexity(.k = 0), in[0], in[1], .mask = in[2]);
       out[3] = ONCE(mica_metric_confusion(.classes = 2), in[0], in[1], .mask = in[2]);
       out[4] = ONCE(mica_metric_precision(.classes = 2), in[0], in[1], .mask = in[2]))
TEST(what_is_masked_may_be_anything) {
  double out[5][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(3, 2), 1, 1, NAN, 0, 0, 5),
                       NUMBERS(I32, MICA_DIMS(3), 0, -7, 1), NUMBERS(BOOL, MICA_DIMS(3), 1, 0, 1)};
  if (!run_numbers(build_masked, NULL, in, 3, out, 5)) return;
  CHECK_EQ_INT(out[0][0], 1);
  CHECK_EQ_INT(out[1][0], 1);
  CHECK_NEAR(out[2][0], exp((log(2) + log1p(exp(-5))) / 2), 1e-9);
  const double counts[] = {1, 0, 0, 1};
  for (int i = 0; i < 4; i++) CHECK_EQ_INT(out[3][i], counts[i]);
  CHECK_EQ_INT(out[4][0], 1);
}

GOLDEN(nothing, out[0] = ONCE(mica_metric_mean(.k = 0), in[0], .mask = in[2]);
       out[1] = ONCE(mica_metric_roc_auc(.bins = 8), in[0], in[1], .mask = in[2]);
       out[2] = ONCE(mica_metric_f(.beta = 1), in[0], in[1], .mask = in[2]);
       out[3] = ONCE(mica_metric_median(.window = 4), in[0], .mask = in[2]);
       out[4] = ONCE(mica_metric_r2(.k = 0), in[0], in[1], .mask = in[2]);
       out[5] = mica_roc_auc(in[0], in[1], .mask = in[2]);
       out[6] = ONCE(mica_metric_moving_mean(.k = 0), in[0], .mask = in[2]))
TEST(shares_of_nothing) {
  double out[7][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(2), 1, 2), NUMBERS(BOOL, MICA_DIMS(2), 1, 0),
                       NUMBERS(BOOL, MICA_DIMS(1), 0)};
  if (!run_numbers(build_nothing, NULL, in, 3, out, 7)) return;
  for (int i = 0; i < 7; i++) CHECK(i == 2 ? out[i][0] == 0 : isnan(out[i][0]));
}

/* Batches of different sizes, one after the other. */
static void build_many(mica_graph *g, const mica_value *in, mica_value *out, void *user) {
  const mica_metric_definition *metric = user;
  mica_value state[MICA_METRIC_MOST_STATES];
  mica_metric_begin(metric, g, state);
  for (int i = 0; i < 3; i++)
    mica_metric_update_with(metric, MICA_METRIC_ARGS(in[i]), state, state);
  out[0] = mica_metric_result(metric, state);
}
TEST(batches_of_numbers) {
  const struct {
    mica_metric_definition metric;
    double wanted;
  } cases[] = {
      {mica_metric_mean(.k = 0), 22 / 6.},
      /* 0.5: ((1.5 / 2 + 3 / 1) / 2 + 16 / 3 / 1) / 2 by weights 1/8, 1/4, 1/2 */
      {mica_metric_moving_mean(.decay = 0.5), (0.125 * 1.5 + 0.25 * 3 + 0.5 * (16 / 3.)) / 0.875},
      {mica_metric_median(.window = 6), 2.5},
      {mica_metric_median(.window = 2), 7}, /* 9 and 5 */
      {mica_metric_median(.window = 4), 4}, /* 3 2 9 5 */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double out[1][64];
    mica_metric_definition metric = cases[i].metric;
    mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(2), 1, 2), NUMBERS(F16, MICA_DIMS(1), 3),
                         NUMBERS(F64, MICA_DIMS(3), 2, 9, 5)};
    if (run_numbers(build_many, &metric, in, 3, out, 1))
      CHECK_NEAR(out[0][0], cases[i].wanted, 1e-12);
  }
}

GOLDEN(equal_targets, out[0] = ONCE(mica_metric_r2(.k = 0), in[0], in[1]);
       out[1] = ONCE(mica_metric_r2(.k = 0), in[1], in[1]))
TEST(r2_of_equal_targets) {
  double out[2][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(2), 1, 2), NUMBERS(F32, MICA_DIMS(2), 3, 3)};
  if (!run_numbers(build_equal_targets, NULL, in, 2, out, 2)) return;
  CHECK_EQ_INT(out[0][0], 0);
  CHECK_EQ_INT(out[1][0], 1);
}

GOLDEN(ranks, for (int k = 1; k <= 3; k++)
                  out[k - 1] = ONCE(mica_metric_top_k_accuracy(.k = k), in[0], in[1]))
TEST(equal_scores_count_by_their_place) {
  double out[3][64];
  mica_tensor *in[] = {NUMBERS(F32, MICA_DIMS(4, 3), 2, 2, 2, 2, 2, 2, 2, 2, 2, NAN, NAN, NAN),
                       NUMBERS(U8, MICA_DIMS(4), 0, 1, 2, 1)};
  if (!run_numbers(build_ranks, NULL, in, 2, out, 3)) return;
  for (int k = 0; k < 3; k++) CHECK_NEAR(out[k][0], (k + 1) / 4., 0);
}

TEST(names_and_states) {
  mica_metric_slot slots[MICA_METRIC_MOST_STATES];
  for (size_t i = 0; mica_metric_name(i); i++) {
    mica_metric_definition m = mica_metric_find(mica_metric_name(i))(
        &(mica_metric_options){.struct_size = sizeof(mica_metric_options)});
    CHECK_EQ_STR(m.rule->name + strlen("metric_"), mica_metric_name(i));
    if (i) CHECK(strcmp(mica_metric_name(i - 1), mica_metric_name(i)) < 0);
    size_t count = mica_metric_state(&m, slots, NULL);
    CHECK(count > 0 || !strcmp(mica_metric_name(i), "confusion"));
    for (size_t k = 0; k < count; k++) CHECK(slots[k].type.dtype == MICA_F64);
  }
  CHECK(mica_metric_find("auc") == NULL && mica_metric_find(NULL) == NULL);
}

/* ---- mistakes ------------------------------------------------------------------------------------------ */

TEST(mistakes) {
  CHECK_FAILS(ONCE(mica_metric_accuracy(.k = 2), F32(3, 4), I32(3)), "metric_accuracy",
              "k is not an option of this metric");
  CHECK_FAILS(ONCE(mica_metric_f(.beta = -1), F32(3), F32(3)), "beta has to be above 0");
  CHECK_FAILS(ONCE(mica_metric_confusion(.k = 0), F32(3, 4), I32(3)),
              "classes has to be in 2 .. 30000");
  CHECK_FAILS(ONCE(mica_metric_confusion(.classes = 5), F32(3, 4), I32(3)),
              "the prediction has 4 classes: expected 5");
  CHECK_FAILS(ONCE(mica_metric_accuracy(.k = 0), F32(3, 4), I32(4)), "the target is [4]");
  CHECK_FAILS(ONCE(mica_metric_accuracy(.k = 0), F32(3, 0), I32(3)), "there are no classes");
  CHECK_FAILS(ONCE(mica_metric_recall(.multilabel = true), F32(3, 4), I32(3, 4)),
              "expected a last axis of as many as the option classes");
  CHECK_FAILS(ONCE(mica_metric_mean(.k = 0), F32(3), F32(3)), "there is a target: expected none");
  CHECK_FAILS(ONCE(mica_metric_mean(.k = 0), F32(3), .weights = F32(2)), "weights",
              "leading axes of [3]");
  CHECK_FAILS(ONCE(mica_metric_absolute_error(.k = 0), F32(3)), "metric_absolute_error");
  CHECK_FAILS(mica_roc_auc(F32(3, 2), F32(3, 2)), "the scores have rank 2", "expected [n]");
  mica_metric_definition mean = mica_metric_mean(.k = 0), none = {0};
  CHECK_FAILS(mica_metric_result(&mean, (mica_value[]){F32(1), F32(1)}), "state total",
              "mica_metric_state");
  CHECK_FAILS(ONCE(none, F32(3)), "there is no metric");
  mica_error error = {0};
  mica_metric_definition wrong = mica_metric_median(.window = -3);
  CHECK_EQ_INT(mica_metric_state(&wrong, NULL, &error), 0);
  CHECK_STR_CONTAINS(error.message, "metric_median: window has to be at least 1");
}

TEST_MAIN(TEST_CASE(what_is_masked_may_be_anything), TEST_CASE(shares_of_nothing),
          TEST_CASE(batches_of_numbers), TEST_CASE(r2_of_equal_targets),
          TEST_CASE(equal_scores_count_by_their_place), TEST_CASE(names_and_states),
          TEST_CASE(mistakes))
