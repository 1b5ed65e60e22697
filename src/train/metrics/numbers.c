/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.c: metrics of numbers: means, the moving mean, the median, errors of regression. */
#include <math.h>

#include "train/metrics/metrics.h"

/* ---- means ------------------------------------------------------------------------------------------------ */

typedef enum { KIND_MEAN, KIND_ABSOLUTE, KIND_SQUARED, KIND_ROOT } mean_metric_kind;

static void mean_update(const mica_metric_definition *m, const mica_metric_args *args,
                        mica_value *state) {
  mica_metric_batch batch;
  mica_metric_args a = *args;
  mean_metric_kind kind = (mean_metric_kind)mica_metric_option(m, MICA_METRIC_KIND);
  if (kind == KIND_MEAN) {
    if (a.target.graph) {
      mica_fail_operator(a.prediction.graph, m->rule->name, &a.prediction, 1,
                         "there is a target: expected none");
      return;
    }
    a.target = a.prediction;
  }
  if (!mica_metric_batch_begin(&batch, m, &a, MICA_TARGET_SAME, 0)) return;
  mica_value x = mica_convert(batch.call.x, MICA_F64);
  mica_value d = kind == KIND_MEAN ? x : mica_sub(x, mica_convert(batch.call.t, MICA_F64));
  if (kind == KIND_ABSOLUTE) d = mica_abs(d);
  if (kind == KIND_SQUARED || kind == KIND_ROOT) d = mica_square(d);
  mica_mean_add(&batch, d, state);
}
static mica_value mean_result(const mica_metric_definition *m, const mica_value *state) {
  mica_value mean = mica_mean_result(m, state);
  return (mean_metric_kind)mica_metric_option(m, MICA_METRIC_KIND) == KIND_ROOT ? mica_sqrt(mean)
                                                                                : mean;
}
#define MEAN_METRIC(name, KIND)                                                                 \
  static const mica_metric_rule name##_metric = {"metric_" #name, mica_mean_state, mean_update, \
                                                 mean_result};                                  \
  mica_metric_definition mica_metric_##name##_with(const mica_metric_options *options) {        \
    static const mica_metric_standard standard = {0, {[MICA_METRIC_KIND] = (KIND)}};            \
    return mica_metric_make(&name##_metric, &standard, options);                                \
  }
MEAN_METRIC(mean, KIND_MEAN)
MEAN_METRIC(absolute_error, KIND_ABSOLUTE)
MEAN_METRIC(squared_error, KIND_SQUARED)
MEAN_METRIC(root_squared_error, KIND_ROOT)
#undef MEAN_METRIC

/* ---- moving mean -------------------------------------------------------------------------------------------- */

static bool numbers_begin(mica_metric_batch *batch, const mica_metric_definition *m,
                          const mica_metric_args *args) {
  mica_metric_args a = *args;
  a.target = a.prediction;
  return mica_metric_batch_begin(batch, m, &a, MICA_TARGET_SAME, 0);
}
static void moving_mean_update(const mica_metric_definition *m, const mica_metric_args *args,
                               mica_value *state) {
  mica_metric_batch batch;
  if (!numbers_begin(&batch, m, args)) return;
  double decay = mica_metric_option(m, MICA_METRIC_DECAY);
  mica_value weight = mica_reduce_sum(batch.w, MICA_ALL);
  mica_value mean = mica_share(mica_weighted_sum(&batch, batch.call.x), weight, 0);
  mica_value some = mica_not_equal(weight, 0);
  mica_value total = mica_add(mica_mul(state[0], decay), mica_mul(mean, 1 - decay));
  state[0] = mica_select(some, total, state[0]);
  state[1] = mica_select(some, mica_add(mica_mul(state[1], decay), 1 - decay), state[1]);
}
static const mica_metric_rule moving_mean_metric = {"metric_moving_mean", mica_mean_state,
                                                    moving_mean_update, mica_mean_result};
mica_metric_definition mica_metric_moving_mean_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {MICA_METRIC_TAKES(DECAY),
                                                {[MICA_METRIC_DECAY] = 0.99}};
  return mica_metric_make(&moving_mean_metric, &standard, options);
}

/* ---- median ------------------------------------------------------------------------------------------------- */

static size_t median_state(const mica_metric_definition *m, mica_metric_slot *out) {
  int64_t window = (int64_t)mica_metric_option(m, MICA_METRIC_WINDOW);
  out[0] =
      (mica_metric_slot){.name = "newest", .type = {MICA_F64, MICA_DIMS(window)}, .initial = NAN};
  out[1] = (mica_metric_slot){.name = "count", .type = {MICA_F64, MICA_SCALAR}};
  return 2;
}
static void median_update(const mica_metric_definition *m, const mica_metric_args *args,
                          mica_value *state) {
  mica_metric_batch batch;
  if (!numbers_begin(&batch, m, args)) return;
  double window = mica_metric_option(m, MICA_METRIC_WINDOW);
  mica_shape flat = {.rank = 1, .dim = {-1}};
  mica_value x = mica_reshape(mica_convert(batch.call.x, MICA_F64), flat);
  mica_value kept = mica_not_equal(mica_reshape(batch.w, flat), 0);
  /* Element i of those kept goes to place (count + i) mod window; the last one at a place stays. */
  mica_value ordinal = mica_cumulative_sum(mica_convert(kept, MICA_F64), 0);
  mica_value place = mica_mod(mica_add(mica_sub(ordinal, 1), state[1]), window);
  place = mica_select(kept, place, mica_full_like(place, -1));
  state[0] = mica_scatter_set(state[0], mica_convert(place, MICA_I32), x);
  state[1] = mica_add(state[1], mica_reduce_sum(mica_convert(kept, MICA_F64), MICA_ALL));
}
static mica_value median_result(const mica_metric_definition *m, const mica_value *state) {
  (void)m;
  return mica_quantile(state[0], mica_scalar(state[0].graph, MICA_F64, 0.5), .axes = MICA_AXES(0),
                       .ignore_nan = true);
}
static const mica_metric_rule median_metric = {"metric_median", median_state, median_update,
                                               median_result};
mica_metric_definition mica_metric_median_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {MICA_METRIC_TAKES(WINDOW),
                                                {[MICA_METRIC_WINDOW] = 1024}};
  return mica_metric_make(&median_metric, &standard, options);
}

/* ---- R2 ------------------------------------------------------------------------------------------------------- */

static size_t r2_state(const mica_metric_definition *m, mica_metric_slot *out) {
  static const char *const names[4] = {"weight", "mean", "spread", "residual"};
  (void)m;
  for (int i = 0; i < 4; i++)
    out[i] = (mica_metric_slot){.name = names[i], .type = {MICA_F64, MICA_SCALAR}};
  return 4;
}
/* Sums about the mean are joined (Chan, Golub and LeVeque 1979): differences of large sums would cancel. */
static void r2_update(const mica_metric_definition *m, const mica_metric_args *args,
                      mica_value *state) {
  mica_metric_batch batch;
  if (!mica_metric_batch_begin(&batch, m, args, MICA_TARGET_SAME, 0)) return;
  mica_value t = mica_convert(batch.call.t, MICA_F64);
  mica_value d = mica_sub(mica_convert(batch.call.x, MICA_F64), t);
  mica_value weight = mica_reduce_sum(batch.w, MICA_ALL);
  mica_value mean = mica_share(mica_weighted_sum(&batch, t), weight, 0);
  mica_value spread = mica_weighted_sum(&batch, mica_square(mica_sub(t, mean)));
  mica_value all = mica_add(state[0], weight), apart = mica_sub(mean, state[1]);
  mica_value part = mica_share(weight, all, 0);
  spread = mica_add(spread, mica_mul(mica_mul(mica_square(apart), state[0]), part));
  state[0] = all;
  state[1] = mica_add(state[1], mica_mul(apart, part));
  state[2] = mica_add(state[2], spread);
  state[3] = mica_add(state[3], mica_weighted_sum(&batch, mica_square(d)));
}
static mica_value r2_result(const mica_metric_definition *m, const mica_value *state) {
  (void)m;
  mica_value zero = mica_zeros_like(state[0]), one = mica_ones_like(zero);
  mica_value flat = mica_select(mica_equal(state[3], 0), one, zero);
  mica_value share = mica_sub(one, mica_share(state[3], state[2], 0));
  mica_value r2 = mica_select(mica_equal(state[2], 0), flat, share);
  return mica_select(mica_equal(state[0], 0), mica_full_like(zero, NAN), r2);
}
static const mica_metric_rule r2_metric = {"metric_r2", r2_state, r2_update, r2_result};
mica_metric_definition mica_metric_r2_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {0, {0}};
  return mica_metric_make(&r2_metric, &standard, options);
}
