/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h: what metrics share: options, and a batch with its weights. */
#ifndef MICA_TRAIN_METRICS_METRICS_H
#define MICA_TRAIN_METRICS_METRICS_H
#include "mica/train/metrics.h"
#include "train/losses/losses.h"

/* Options by place in mica_metric_definition.number. */
typedef enum {
  MICA_METRIC_CLASSES,
  MICA_METRIC_K,
  MICA_METRIC_BINS,
  MICA_METRIC_WINDOW,
  MICA_METRIC_THRESHOLD,
  MICA_METRIC_BETA,
  MICA_METRIC_DECAY,
  MICA_METRIC_LOGITS,
  MICA_METRIC_MULTILABEL,
  MICA_METRIC_AVERAGE,
  MICA_METRIC_KIND, /* not an option: which of several metrics one rule is */
  MICA_METRIC_PLACES
} mica_metric_place;

#define MICA_METRIC_TAKES(option) (UINT32_C(1) << MICA_METRIC_##option)
typedef struct {
  uint32_t takes;
  double number[MICA_METRIC_PLACES]; /* defaults */
} mica_metric_standard;
mica_metric_definition mica_metric_make(const mica_metric_rule *rule,
                                        const mica_metric_standard *standard,
                                        const mica_metric_options *options);

static inline double mica_metric_option(const mica_metric_definition *metric,
                                        mica_metric_place place) {
  return metric->number[place];
}

/* A batch, checked as a loss is, with w: weights and mask as f64 of the elements' shape. */
typedef struct {
  mica_loss_call call;
  mica_value w;
} mica_metric_batch;
bool mica_metric_batch_begin(mica_metric_batch *batch, const mica_metric_definition *metric,
                             const mica_metric_args *args, mica_loss_target target,
                             int32_t dropped);
/* sum(w x), x of the elements' shape; f64 [] */
mica_value mica_weighted_sum(const mica_metric_batch *batch, mica_value x);
/* x / y where y is not 0, else `otherwise`. */
mica_value mica_share(mica_value x, mica_value y, double otherwise);
/* Of a mean: the states total and weight, a batch's elements added, the quotient. */
size_t mica_mean_state(const mica_metric_definition *metric, mica_metric_slot *out);
void mica_mean_add(const mica_metric_batch *batch, mica_value elements, mica_value *state);
mica_value mica_mean_result(const mica_metric_definition *metric, const mica_value *state);

/* bool, the prediction's shape: is called positive; is it. */
mica_value mica_called_positive(const mica_metric_batch *batch,
                                const mica_metric_definition *metric);
mica_value mica_is_positive(const mica_metric_batch *batch);

#endif
