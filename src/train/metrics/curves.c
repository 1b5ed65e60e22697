/* SPDX-License-Identifier: Apache-2.0 */
/* curves.c: areas under the receiver operating characteristic and the precision-recall curve. A score's share of the
 * first is the weight of negatives below it, ties one half; of the second the precision of calling positive what scores as
 * much at least. Both sums need no curve. */
#include <inttypes.h>
#include <math.h>

#include "train/metrics/metrics.h"

typedef enum { KIND_ROC, KIND_AVERAGE_PRECISION } curve_kind;

/* sum over i of p[i] (below[i] + tied[i] / 2) by all pairs, weights of positives and negatives. */
static mica_value roc_area(mica_value p, mica_value below, mica_value tied, mica_value positives,
                           mica_value negatives) {
  mica_value wins = mica_mul(p, mica_add(below, mica_mul(tied, 0.5)));
  return mica_share(mica_reduce_sum(wins, MICA_ALL), mica_mul(positives, negatives), NAN);
}
/* sum over i of p[i] precision[i] by all, true and false: weights that score as much at least. */
static mica_value precision_area(mica_value p, mica_value true_above, mica_value false_above,
                                 mica_value positives) {
  mica_value precision = mica_share(true_above, mica_add(true_above, false_above), 0);
  return mica_share(mica_reduce_sum(mica_mul(p, precision), MICA_ALL), positives, NAN);
}

/* ---- in bins ---------------------------------------------------------------------------------------------------- */

static size_t curve_state(const mica_metric_definition *m, mica_metric_slot *out) {
  int64_t bins = (int64_t)mica_metric_option(m, MICA_METRIC_BINS);
  out[0] = (mica_metric_slot){.name = "positive", .type = {MICA_F64, MICA_DIMS(bins)}};
  out[1] = (mica_metric_slot){.name = "negative", .type = {MICA_F64, MICA_DIMS(bins)}};
  return 2;
}
static void curve_update(const mica_metric_definition *m, const mica_metric_args *args,
                         mica_value *state) {
  mica_metric_batch batch;
  if (!mica_metric_batch_begin(&batch, m, args, MICA_TARGET_SAME, 0)) return;
  double bins = mica_metric_option(m, MICA_METRIC_BINS);
  mica_value score = mica_convert(batch.call.x, MICA_F64);
  if (mica_metric_option(m, MICA_METRIC_LOGITS) != 0) score = mica_logistic(score);
  mica_value bin = mica_clamp_numbers(mica_floor(mica_mul(score, bins)), 0, bins - 1);
  bin = mica_convert(bin, MICA_I32);
  mica_value positive = mica_convert(mica_is_positive(&batch), MICA_F64);
  mica_value p = mica_mul(batch.w, positive), n = mica_sub(batch.w, p);
  state[0] = mica_add(state[0], mica_bincount(bin, p, (int64_t)bins));
  state[1] = mica_add(state[1], mica_bincount(bin, n, (int64_t)bins));
}
static mica_value curve_result(const mica_metric_definition *m, const mica_value *state) {
  mica_value p = state[0], n = state[1];
  mica_value positives = mica_reduce_sum(p, MICA_ALL), negatives = mica_reduce_sum(n, MICA_ALL);
  if ((curve_kind)mica_metric_option(m, MICA_METRIC_KIND) == KIND_ROC) {
    mica_value below = mica_sub(mica_cumulative_sum(n, 0), n);
    return roc_area(p, below, n, positives, negatives);
  }
  mica_value above[2];
  for (int i = 0; i < 2; i++)
    above[i] = mica_cumulative(state[i], .kind = MICA_CUMULATIVE_SUM, .axis = 0, .reverse = true);
  return precision_area(p, above[0], above[1], positives);
}
#define CURVE_METRIC(name, KIND)                                                             \
  static const mica_metric_rule name##_metric = {"metric_" #name, curve_state, curve_update, \
                                                 curve_result};                              \
  mica_metric_definition mica_metric_##name##_with(const mica_metric_options *options) {     \
    static const mica_metric_standard standard = {                                           \
        MICA_METRIC_TAKES(BINS) | MICA_METRIC_TAKES(LOGITS),                                 \
        {[MICA_METRIC_BINS] = 1024, [MICA_METRIC_KIND] = (KIND)}};                           \
    return mica_metric_make(&name##_metric, &standard, options);                             \
  }
CURVE_METRIC(roc_auc, KIND_ROC)
CURVE_METRIC(average_precision, KIND_AVERAGE_PRECISION)
#undef CURVE_METRIC

/* ---- exact -------------------------------------------------------------------------------------------------------- */

/* Of all weights w [n] in the order of ascending scores: those of scores below and up to each score. */
static void weights_below(mica_value ordered, mica_value w, mica_value score, mica_value *below,
                          mica_value *up_to) {
  mica_value sums = mica_cumulative_sum(w, 0);
  int64_t one = 1, none = 0;
  sums = mica_pad(sums, mica_scalar(w.graph, MICA_F64, 0), &one, &none, NULL);
  *below = mica_take(sums, mica_search_sorted(ordered, score, false), 0);
  *up_to = mica_take(sums, mica_search_sorted(ordered, score, true), 0);
}

static mica_value exact_area(const char *name, const mica_metric_args *args, curve_kind kind) {
  const mica_metric_rule rule = {.name = name};
  const mica_metric_definition metric = {.rule = &rule};
  mica_metric_args a;
  mica_metric_batch batch;
  if (!mica_copy_args(&a, sizeof a, args)) return (mica_value){0};
  if (!mica_metric_batch_begin(&batch, &metric, &a, MICA_TARGET_SAME, 0))
    return mica_no_value(a.prediction.graph);
  if (batch.call.elements.rank != 1)
    return mica_loss_failed(&batch.call, "the scores have rank %" PRId32 ": expected [n]",
                            batch.call.elements.rank);
  mica_value positive = mica_convert(mica_is_positive(&batch), MICA_F64);
  mica_value p = mica_mul(batch.w, positive);
  mica_value in[3] = {batch.call.x, p, mica_sub(batch.w, p)}, out[3], below[2], up_to[2];
  mica_sort_together(in, 3, 1, 0, false, out);
  for (int i = 0; i < 2; i++) weights_below(out[0], out[1 + i], out[0], &below[i], &up_to[i]);
  mica_value positives = mica_reduce_sum(p, MICA_ALL), negatives = mica_reduce_sum(in[2], MICA_ALL);
  if (kind == KIND_ROC)
    return roc_area(out[1], below[1], mica_sub(up_to[1], below[1]), positives, negatives);
  return precision_area(out[1], mica_sub(positives, below[0]), mica_sub(negatives, below[1]),
                        positives);
}
mica_value mica_roc_auc_with(const mica_metric_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return exact_area("roc_auc", args, KIND_ROC);
}
mica_value mica_average_precision_with(const mica_metric_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return exact_area("average_precision", args, KIND_AVERAGE_PRECISION);
}
