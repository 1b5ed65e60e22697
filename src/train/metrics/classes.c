/* SPDX-License-Identifier: Apache-2.0 */
/* classes.c: metrics of classes: accuracies, perplexity, counts of right and wrong ones and what is made of them. */
#include <inttypes.h>
#include <math.h>

#include "train/metrics/metrics.h"

/* ---- accuracies ----------------------------------------------------------------------------------------------- */

static void binary_accuracy_update(const mica_metric_definition *m, const mica_metric_args *args,
                                   mica_value *state) {
  mica_metric_batch batch;
  if (!mica_metric_batch_begin(&batch, m, args, MICA_TARGET_SAME, 0)) return;
  mica_value right = mica_equal(mica_called_positive(&batch, m), mica_is_positive(&batch));
  mica_mean_add(&batch, right, state);
}
static const mica_metric_rule binary_accuracy_metric = {"metric_binary_accuracy", mica_mean_state,
                                                        binary_accuracy_update, mica_mean_result};
mica_metric_definition mica_metric_binary_accuracy_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {
      MICA_METRIC_TAKES(THRESHOLD) | MICA_METRIC_TAKES(LOGITS), {0}};
  return mica_metric_make(&binary_accuracy_metric, &standard, options);
}

/* The target's class as i64. */
static mica_value target_class(const mica_metric_batch *batch) {
  mica_value t = batch->call.t;
  return mica_convert(batch->call.classes ? t : mica_arg_max(t, -1), MICA_I64);
}
/* A last axis of at least one class. */
static bool some_class(const mica_metric_batch *batch) {
  if (mica_dim_of(batch->call.x, -1) > 0) return true;
  mica_loss_failed(&batch->call, "there are no classes: expected a last axis of at least 1");
  return false;
}
static void accuracy_update(const mica_metric_definition *m, const mica_metric_args *args,
                            mica_value *state) {
  mica_metric_batch batch;
  if (!mica_metric_batch_begin(&batch, m, args, MICA_TARGET_CLASS_OR_WEIGHTS, 1) ||
      !some_class(&batch))
    return;
  mica_value called = mica_convert(mica_arg_max(batch.call.x, -1), MICA_I64);
  mica_mean_add(&batch, mica_equal(called, target_class(&batch)), state);
}
static const mica_metric_rule accuracy_metric = {"metric_accuracy", mica_mean_state,
                                                 accuracy_update, mica_mean_result};
mica_metric_definition mica_metric_accuracy_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {0, {0}};
  return mica_metric_make(&accuracy_metric, &standard, options);
}

static void top_k_update(const mica_metric_definition *m, const mica_metric_args *args,
                         mica_value *state) {
  mica_metric_batch batch;
  if (!mica_metric_batch_begin(&batch, m, args, MICA_TARGET_CLASS, 1) || !some_class(&batch))
    return;
  mica_value x = batch.call.x, t = mica_expand_dims(target_class(&batch), -1);
  mica_value place =
      mica_iota(batch.call.graph, (mica_type){MICA_I64, mica_shape_of(x)}, mica_rank_of(x) - 1);
  mica_value own = mica_equal(place, t);
  mica_value score = mica_reduce_sum(mica_select(own, x, mica_zeros_like(x)), MICA_KEEP(-1));
  mica_value ahead =
      mica_or(mica_greater(x, score), mica_and(mica_equal(x, score), mica_less(place, t)));
  mica_value rank = mica_reduce_sum(mica_convert(ahead, MICA_I64), MICA_AXES(-1));
  mica_value among = mica_less(rank, mica_metric_option(m, MICA_METRIC_K));
  /* A class that does not exist, or has NaN, is not among them. */
  mica_value score_known = mica_equal(score, score);
  mica_value known =
      mica_and(mica_any(own, MICA_AXES(-1)), mica_squeeze(score_known, MICA_AXES(-1)));
  mica_mean_add(&batch, mica_and(among, known), state);
}
static const mica_metric_rule top_k_metric = {"metric_top_k_accuracy", mica_mean_state,
                                              top_k_update, mica_mean_result};
mica_metric_definition mica_metric_top_k_accuracy_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {MICA_METRIC_TAKES(K), {[MICA_METRIC_K] = 5}};
  return mica_metric_make(&top_k_metric, &standard, options);
}

/* ---- perplexity ------------------------------------------------------------------------------------------------ */

static void perplexity_update(const mica_metric_definition *m, const mica_metric_args *args,
                              mica_value *state) {
  mica_metric_batch batch;
  mica_metric_args a = *args;
  bool logits = a.target.graph != NULL;
  if (!logits) a.target = a.prediction;
  if (!mica_metric_batch_begin(&batch, m, &a, logits ? MICA_TARGET_CLASS : MICA_TARGET_SAME,
                               logits))
    return;
  mica_value elements = batch.call.x;
  if (logits) {
    mica_value t = mica_convert(batch.call.t, MICA_I64);
    elements = mica_softmax_cross_entropy(mica_convert(elements, MICA_F64), t);
  }
  mica_mean_add(&batch, elements, state);
}
static mica_value perplexity_result(const mica_metric_definition *m, const mica_value *state) {
  return mica_exp(mica_mean_result(m, state));
}
static const mica_metric_rule perplexity_metric = {"metric_perplexity", mica_mean_state,
                                                   perplexity_update, perplexity_result};
mica_metric_definition mica_metric_perplexity_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {0, {0}};
  return mica_metric_make(&perplexity_metric, &standard, options);
}

/* ---- counts ---------------------------------------------------------------------------------------------------- */

typedef enum { KIND_PRECISION, KIND_RECALL, KIND_F } share_kind;

static int64_t counted_classes(const mica_metric_definition *m) {
  return (int64_t)mica_metric_option(m, MICA_METRIC_CLASSES);
}
static size_t share_state(const mica_metric_definition *m, mica_metric_slot *out) {
  static const char *const names[3] = {"right", "called", "there"};
  int64_t classes = counted_classes(m);
  for (int i = 0; i < 3; i++)
    out[i] =
        (mica_metric_slot){.name = names[i], .type = {MICA_F64, MICA_DIMS(classes ? classes : 1)}};
  return 3;
}

/* The classes called and there, i64 [b...], of `classes` or the graph fails. */
static bool class_pairs(mica_metric_batch *batch, const mica_metric_definition *m,
                        const mica_metric_args *args, mica_value *called, mica_value *there) {
  if (!mica_metric_batch_begin(batch, m, args, MICA_TARGET_CLASS_OR_WEIGHTS, 1)) return false;
  int64_t classes = counted_classes(m);
  if (mica_dim_of(batch->call.x, -1) != classes) {
    mica_loss_failed(&batch->call, "the prediction has %" PRId64 " classes: expected %" PRId64,
                     mica_dim_of(batch->call.x, -1), classes);
    return false;
  }
  *called = mica_convert(mica_arg_max(batch->call.x, -1), MICA_I64);
  *there = target_class(batch);
  return true;
}

static void share_update(const mica_metric_definition *m, const mica_metric_args *args,
                         mica_value *state) {
  mica_metric_batch batch;
  int64_t classes = counted_classes(m);
  bool multilabel = mica_metric_option(m, MICA_METRIC_MULTILABEL) != 0;
  mica_value called, there, add[3];
  if (classes && !multilabel) {
    if (!class_pairs(&batch, m, args, &called, &there)) return;
    mica_value right = mica_convert(mica_equal(called, there), MICA_F64);
    add[0] = mica_bincount(there, mica_mul(batch.w, right), classes);
    add[1] = mica_bincount(called, batch.w, classes);
    add[2] = mica_bincount(there, batch.w, classes);
  } else {
    bool scores = mica_is_valid(args->prediction) && mica_is_valid(args->target) && !multilabel &&
                  mica_rank_of(args->prediction) == mica_rank_of(args->target) + 1;
    if (scores) { /* what the shapes of all classes look like */
      mica_fail(args->prediction.graph, MICA_INVALID,
                "%s: scores of several classes: expected the option classes, %" PRId64,
                m->rule->name, mica_dim_of(args->prediction, -1));
      return;
    }
    if (!mica_metric_batch_begin(&batch, m, args, MICA_TARGET_SAME, multilabel)) return;
    if (multilabel && (!classes || mica_dim_of(batch.call.x, -1) != classes)) {
      mica_loss_failed(&batch.call,
                       "multilabel: expected a last axis of as many as the option classes");
      return;
    }
    mica_value w = multilabel ? mica_expand_dims(batch.w, -1) : batch.w;
    mica_axes axes = multilabel ? (mica_axes){.count = mica_rank_of(batch.call.x) - 1} : MICA_ALL;
    for (int32_t i = 0; i < axes.count; i++) axes.axis[i] = i;
    called = mica_convert(mica_called_positive(&batch, m), MICA_F64);
    there = mica_convert(mica_is_positive(&batch), MICA_F64);
    add[0] = mica_mul(mica_mul(called, there), w);
    add[1] = mica_mul(called, w);
    add[2] = mica_mul(there, w);
    for (int i = 0; i < 3; i++)
      add[i] = mica_reshape(mica_reduce_sum(add[i], axes), MICA_DIMS(classes ? classes : 1));
  }
  for (int i = 0; i < 3; i++) state[i] = mica_add(state[i], add[i]);
}

/* The measure of counts of any shape. */
static mica_value share_of(const mica_metric_definition *m, mica_value right, mica_value called,
                           mica_value there) {
  share_kind kind = (share_kind)mica_metric_option(m, MICA_METRIC_KIND);
  if (kind == KIND_PRECISION) return mica_share(right, called, 0);
  if (kind == KIND_RECALL) return mica_share(right, there, 0);
  double square = mica_metric_option(m, MICA_METRIC_BETA);
  square *= square;
  return mica_share(mica_mul(right, 1 + square), mica_add(mica_mul(there, square), called), 0);
}
static mica_value share_result(const mica_metric_definition *m, const mica_value *state) {
  mica_average_kind average = (mica_average_kind)mica_metric_option(m, MICA_METRIC_AVERAGE);
  if (!counted_classes(m))
    return mica_reshape(share_of(m, state[0], state[1], state[2]), MICA_SCALAR);
  if (average == MICA_AVERAGE_MICRO)
    return share_of(m, mica_reduce_sum(state[0], MICA_ALL), mica_reduce_sum(state[1], MICA_ALL),
                    mica_reduce_sum(state[2], MICA_ALL));
  mica_value each = share_of(m, state[0], state[1], state[2]);
  if (average == MICA_AVERAGE_NONE) return each;
  if (average == MICA_AVERAGE_MACRO) return mica_reduce_mean(each, MICA_ALL);
  return mica_share(mica_reduce_sum(mica_mul(each, state[2]), MICA_ALL),
                    mica_reduce_sum(state[2], MICA_ALL), 0);
}
#define SHARE_TAKES                                                                        \
  (MICA_METRIC_TAKES(CLASSES) | MICA_METRIC_TAKES(THRESHOLD) | MICA_METRIC_TAKES(LOGITS) | \
   MICA_METRIC_TAKES(MULTILABEL) | MICA_METRIC_TAKES(AVERAGE))
#define SHARE_METRIC(name, KIND, more, standard_beta)                                        \
  static const mica_metric_rule name##_metric = {"metric_" #name, share_state, share_update, \
                                                 share_result};                              \
  mica_metric_definition mica_metric_##name##_with(const mica_metric_options *options) {     \
    static const mica_metric_standard standard = {                                           \
        SHARE_TAKES | (more),                                                                \
        {[MICA_METRIC_BETA] = (standard_beta), [MICA_METRIC_KIND] = (KIND)}};                \
    return mica_metric_make(&name##_metric, &standard, options);                             \
  }
SHARE_METRIC(precision, KIND_PRECISION, 0, 0)
SHARE_METRIC(recall, KIND_RECALL, 0, 0)
SHARE_METRIC(f, KIND_F, MICA_METRIC_TAKES(BETA), 1)
#undef SHARE_METRIC
#undef SHARE_TAKES

/* ---- confusion --------------------------------------------------------------------------------------------------- */

static size_t confusion_state(const mica_metric_definition *m, mica_metric_slot *out) {
  int64_t classes = counted_classes(m);
  out[0] = (mica_metric_slot){.name = "counts", .type = {MICA_F64, MICA_DIMS(classes, classes)}};
  return 1;
}
static void confusion_update(const mica_metric_definition *m, const mica_metric_args *args,
                             mica_value *state) {
  mica_metric_batch batch;
  mica_value called, there;
  int64_t classes = counted_classes(m);
  if (!class_pairs(&batch, m, args, &called, &there)) return;
  mica_value exists = mica_class_exists(there, classes);
  mica_value cell = mica_add(mica_mul(there, (double)classes), called);
  cell = mica_select(exists, cell, mica_full_like(cell, -1));
  mica_value counts = mica_bincount(cell, batch.w, classes * classes);
  state[0] = mica_add(state[0], mica_reshape(counts, MICA_DIMS(classes, classes)));
}
static mica_value confusion_result(const mica_metric_definition *m, const mica_value *state) {
  (void)m;
  return state[0];
}
static const mica_metric_rule confusion_metric = {"metric_confusion", confusion_state,
                                                  confusion_update, confusion_result};
mica_metric_definition mica_metric_confusion_with(const mica_metric_options *options) {
  static const mica_metric_standard standard = {MICA_METRIC_TAKES(CLASSES), {0}};
  mica_metric_definition m = mica_metric_make(&confusion_metric, &standard, options);
  double classes = mica_metric_option(&m, MICA_METRIC_CLASSES);
  if (!m.mistake && (classes < 2 || classes > 30000)) m.mistake = "classes has to be in 2 .. 30000";
  return m;
}
