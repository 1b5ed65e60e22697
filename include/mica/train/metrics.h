/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h: measures of predictions, gathered over many batches.
 *
 * A metric is a plain value. It has a state of a few values, f64 so that counts stay exact: mica_metric_state says which,
 * mica_metric_update builds the next state from a batch, mica_metric_result what has come out of it so far; whoever keeps
 * the state (a trainer, a scan, a test) gives it back. Nothing is differentiated.
 *
 * As with losses (losses.h), elements [b...] are weighted by weights and mask, whose shapes are leading axes of that or
 * 1, and what is masked may be anything. Predictions are f16, bf16, f32 or f64. Results are f64; means and shares
 * of nothing are NaN. Options that a metric does not list are an error of the first function that takes it.
 * Example: examples/training_functions.c. */
#ifndef MICA_TRAIN_METRICS_H
#define MICA_TRAIN_METRICS_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  MICA_AVERAGE_MACRO,    /* the mean over classes */
  MICA_AVERAGE_MICRO,    /* of the counts of all classes together */
  MICA_AVERAGE_WEIGHTED, /* by how much there is of each class */
  MICA_AVERAGE_NONE      /* each class: [classes] */
} mica_average_kind;

typedef struct mica_metric_rule mica_metric_rule;
typedef struct {
  const mica_metric_rule *rule;
  double number[12];   /* the options, as the rule lays them out */
  const char *mistake; /* in the options; NULL: none */
} mica_metric_definition;

typedef struct {
  size_t struct_size;
  const struct mica_names_only *named_;
  int64_t classes, k, bins, window;
  double threshold, beta, decay;
  bool logits, multilabel;
  mica_average_kind average;
} mica_metric_options;
#define MICA_METRIC_OPTIONS(...) \
  (&(mica_metric_options){.struct_size = sizeof(mica_metric_options), __VA_ARGS__})

/* ---- of numbers: prediction [b...], no target ------------------------------------------------------------ */

MICA_API mica_metric_definition mica_metric_mean_with(const mica_metric_options *options);
/* The running mean of batches' means: decay (0: 0.99) of the old one, without bias towards the first. */
MICA_API mica_metric_definition mica_metric_moving_mean_with(const mica_metric_options *options);
/* The median of the newest `window` (0: 1024) numbers whose weight is not 0; NaN is left out. */
MICA_API mica_metric_definition mica_metric_median_with(const mica_metric_options *options);

/* ---- regression: elements are those of the prediction; targets as losses take them ------------------------- */

MICA_API mica_metric_definition
mica_metric_absolute_error_with(const mica_metric_options *options); /* mean |d| */
MICA_API mica_metric_definition
mica_metric_squared_error_with(const mica_metric_options *options); /* mean d^2 */
MICA_API mica_metric_definition
mica_metric_root_squared_error_with(const mica_metric_options *options);
/* 1 - sum d^2 / sum (target - its mean)^2; targets that are all equal: 1 where there is no error, else 0. */
MICA_API mica_metric_definition mica_metric_r2_with(const mica_metric_options *options);

/* ---- classes ------------------------------------------------------------------------------------------------ */

/* Two classes, elements are those of the prediction: how often prediction > threshold (0: 0.5; of logits 0) agrees with
 * target > 0.5. Options threshold, logits. */
MICA_API mica_metric_definition
mica_metric_binary_accuracy_with(const mica_metric_options *options);
/* prediction [b..., classes], scores of any kind; target: integers [b...], or [b..., classes], whose largest counts: how
 * often the largest scores agree (the first one among equals). */
MICA_API mica_metric_definition mica_metric_accuracy_with(const mica_metric_options *options);
/* The target, integers [b...], is among the k (0: 5) largest; of equal scores the first ones count as larger. */
MICA_API mica_metric_definition mica_metric_top_k_accuracy_with(const mica_metric_options *options);
/* exp of the mean cross-entropy of logits [b..., classes] and integers [b...]; without a target of the numbers [b...]
 * themselves, negative logarithms of probabilities. */
MICA_API mica_metric_definition mica_metric_perplexity_with(const mica_metric_options *options);
/* Of what was called c, what was c; of what was c, what was called so; (1 + beta^2) p r / (beta^2 p + r), beta 0: 1. A
 * share of nothing is 0. Either classes >= 2, scores and targets as for accuracy, and an average; or two classes as
 * for binary_accuracy (classes 0: the result is of the positive one), with multilabel of each of `classes` separately:
 * prediction and target [b..., classes], elements [b...]. */
MICA_API mica_metric_definition mica_metric_precision_with(const mica_metric_options *options);
MICA_API mica_metric_definition mica_metric_recall_with(const mica_metric_options *options);
MICA_API mica_metric_definition mica_metric_f_with(const mica_metric_options *options);
/* [classes, classes]: the weight of what was class i (row) and called j (column). Option classes; scores and targets as
 * for accuracy. */
MICA_API mica_metric_definition mica_metric_confusion_with(const mica_metric_options *options);
/* Of two classes, scores in 0 .. 1 or with `logits` their logits, target > 0.5; scores are put into `bins` (0: 1024) of
 * equal width and are equal within one. The area under the receiver operating characteristic (the chance that a
 * positive has the larger score, ties one half), and the average precision: the sum of precisions by rises of recall.
 * NaN while a class is missing. */
MICA_API mica_metric_definition mica_metric_roc_auc_with(const mica_metric_options *options);
MICA_API mica_metric_definition
mica_metric_average_precision_with(const mica_metric_options *options);
#ifndef __cplusplus
#define mica_metric_mean(...)        mica_metric_mean_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_moving_mean(...) mica_metric_moving_mean_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_median(...)      mica_metric_median_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_absolute_error(...) \
  mica_metric_absolute_error_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_squared_error(...) \
  mica_metric_squared_error_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_root_squared_error(...) \
  mica_metric_root_squared_error_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_r2(...) mica_metric_r2_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_binary_accuracy(...) \
  mica_metric_binary_accuracy_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_accuracy(...) mica_metric_accuracy_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_top_k_accuracy(...) \
  mica_metric_top_k_accuracy_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_perplexity(...) mica_metric_perplexity_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_precision(...)  mica_metric_precision_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_recall(...)     mica_metric_recall_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_f(...)          mica_metric_f_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_confusion(...)  mica_metric_confusion_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_roc_auc(...)    mica_metric_roc_auc_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#define mica_metric_average_precision(...) \
  mica_metric_average_precision_with(MICA_METRIC_OPTIONS(__VA_ARGS__))
#endif

typedef mica_metric_definition mica_metric_function(const mica_metric_options *options);
/* "accuracy" gives mica_metric_accuracy_with, and so on; NULL: unknown. */
MICA_API mica_metric_function *mica_metric_find(const char *name);
MICA_API const char *mica_metric_name(
    size_t index); /* in alphabetical order; NULL behind the last */

/* ---- state, update, result ------------------------------------------------------------------------------------ */

enum { MICA_METRIC_MOST_STATES = 4 };
typedef struct {
  const char *name; /* "total" */
  mica_type type;   /* f64 */
  double initial;   /* everywhere */
} mica_metric_slot;
/* The state's values into out[MICA_METRIC_MOST_STATES]; returns how many, 0 on a mistake, which *error says, if given. */
MICA_API size_t mica_metric_state(const mica_metric_definition *metric, mica_metric_slot *out,
                                  mica_error *error);
/* The first state in a graph, into out[MICA_METRIC_MOST_STATES]. */
MICA_API void mica_metric_begin(const mica_metric_definition *metric, mica_graph *graph,
                                mica_value *out_state);

typedef struct {
  size_t struct_size;
  mica_value prediction, target;
  const struct mica_names_only *named_;
  mica_value weights; /* floats; {0}: 1 */
  mica_value mask;    /* bool; {0}: true */
} mica_metric_args;
/* The state after a batch; out_state may be `state`. */
MICA_API void mica_metric_update_with(const mica_metric_definition *metric,
                                      const mica_metric_args *args, const mica_value *state,
                                      mica_value *out_state);
MICA_API mica_value mica_metric_result(const mica_metric_definition *metric,
                                       const mica_value *state);
/* begin, update and result of one batch. */
MICA_API mica_value mica_metric_once_with(const mica_metric_definition *metric,
                                          const mica_metric_args *args);

/* ---- exact areas, of all scores at once ---------------------------------------------------------------------------- */

/* scores [n] floats, target [n] (positive where > 0.5), weights and mask as above or {0}: the areas of roc_auc and
 * average_precision above, in n log n. */
MICA_API mica_value mica_roc_auc_with(const mica_metric_args *args);
MICA_API mica_value mica_average_precision_with(const mica_metric_args *args);
#define MICA_METRIC_ARGS(...) \
  (&(mica_metric_args){.struct_size = sizeof(mica_metric_args), __VA_ARGS__})
#ifndef __cplusplus
#define mica_roc_auc(...)           mica_roc_auc_with(MICA_METRIC_ARGS(__VA_ARGS__))
#define mica_average_precision(...) mica_average_precision_with(MICA_METRIC_ARGS(__VA_ARGS__))
#endif

/* A metric of one's own: a static table of functions. */
struct mica_metric_rule {
  const char *name;
  size_t (*state)(const mica_metric_definition *metric, mica_metric_slot *out);
  /* state[] is replaced by the new one. */
  void (*update)(const mica_metric_definition *metric, const mica_metric_args *args,
                 mica_value *state);
  mica_value (*result)(const mica_metric_definition *metric, const mica_value *state);
};

#ifdef __cplusplus
}
#endif
#endif
