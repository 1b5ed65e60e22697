/* SPDX-License-Identifier: Apache-2.0 */
/* classification.c: losses of classes. Logarithms of probabilities come from logits by softplus and log_softmax, which
 * neither overflow nor lose the small ones; a target of 0 leaves out its logarithm even where that is infinite. */
#include <inttypes.h>
#include <math.h>

#include "train/losses/losses.h"

static bool smoothing_fits(const mica_loss_call *call) {
  if (call->a.label_smoothing >= 0 && call->a.label_smoothing <= 1) return true;
  mica_loss_failed(call, "label_smoothing %g: expected a number in 0 .. 1",
                   call->a.label_smoothing);
  return false;
}

/* ---- two classes -------------------------------------------------------------------------------- */

static mica_value binary_cross_entropy(const char *name, const mica_loss_args *args, bool logits) {
  mica_loss_call call;
  uint32_t takes = MICA_TAKES_LABEL_SMOOTHING | MICA_TAKES_POSITIVE_WEIGHT;
  if (!mica_loss_begin(&call, name, args, takes | (logits ? 0 : MICA_TAKES_EPSILON),
                       MICA_TARGET_SAME, 0) ||
      !smoothing_fits(&call) ||
      !mica_loss_positive(&call, "positive_weight", &call.a.positive_weight, 1) ||
      !mica_loss_positive(&call, "epsilon", &call.a.epsilon, 1e-7))
    return mica_no_value(call.graph);
  double smoothing = call.a.label_smoothing, epsilon = call.a.epsilon;
  mica_value x = call.x, t = call.t, yes, no; /* -log p, -log(1 - p) */
  if (smoothing > 0) t = mica_add(mica_mul(t, 1 - smoothing), smoothing / 2);
  if (logits) {
    yes = mica_softplus(mica_neg(x));
    no = mica_softplus(x);
  } else {
    mica_value p = mica_clamp_numbers(x, epsilon, 1 - epsilon);
    yes = mica_neg(mica_log(p));
    no = mica_neg(mica_log1p(mica_neg(p)));
  }
  if (call.a.positive_weight != 1) yes = mica_mul(yes, call.a.positive_weight);
  mica_value rest = mica_add(mica_neg(t), 1);
  mica_value elements = mica_add(mica_times_or_zero(t, yes), mica_times_or_zero(rest, no));
  return mica_loss_end(&call, elements);
}
mica_value mica_loss_binary_cross_entropy_logits_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return binary_cross_entropy("loss_binary_cross_entropy_logits", args, true);
}
mica_value mica_loss_binary_cross_entropy_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return binary_cross_entropy("loss_binary_cross_entropy", args, false);
}

mica_value mica_loss_binary_focal_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_binary_focal", args, MICA_TAKES_GAMMA | MICA_TAKES_ALPHA,
                       MICA_TARGET_SAME, 0) ||
      !mica_loss_positive(&call, "gamma", &call.a.gamma, 2))
    return mica_no_value(call.graph);
  double alpha = call.a.alpha;
  if (!(alpha >= 0 && alpha <= 1))
    return mica_loss_failed(&call, "alpha %g: expected a number in 0 .. 1", alpha);
  mica_value x = call.x, t = call.t, rest = mica_add(mica_neg(t), 1), minus = mica_neg(x);
  mica_value entropy = mica_add(mica_times_or_zero(t, mica_softplus(minus)),
                                mica_times_or_zero(rest, mica_softplus(x)));
  /* 1 - q without a difference; kept above 0, where the power has no derivative. */
  mica_value missed = mica_add(mica_mul(t, mica_logistic(minus)), mica_mul(rest, mica_logistic(x)));
  mica_value elements = mica_mul(entropy, mica_pow(mica_max(missed, 1e-37), call.a.gamma));
  if (alpha > 0)
    elements = mica_mul(elements, mica_add(mica_mul(t, alpha), mica_mul(rest, 1 - alpha)));
  return mica_loss_end(&call, elements);
}

/* ---- classes -------------------------------------------------------------------------------------- */

/* Targets [b..., classes] of the call. */
static mica_value class_distribution(const mica_loss_call *call) {
  if (!call->classes) return call->t;
  return mica_one_hot(call->t, mica_dim_of(call->x, -1), call->dtype);
}

/* Elements, NaN where the class does not exist. */
static mica_value nan_without_class(const mica_loss_call *call, mica_value elements) {
  if (!call->classes) return elements;
  mica_value exists = mica_class_exists(call->t, mica_dim_of(call->x, -1));
  return mica_select(exists, elements, mica_full_like(elements, NAN));
}

static bool weigh_classes(mica_loss_call *call) {
  mica_value w = call->a.class_weights;
  if (!w.graph) return true;
  int64_t classes = mica_dim_of(call->x, -1);
  if (mica_rank_of(w) != 1 || mica_dim_of(w, 0) != classes) {
    char text[MICA_SHAPE_TEXT];
    mica_loss_failed(call, "class_weights is %s: expected [%" PRId64 "], one for each class",
                     mica_shape_text(mica_shape_of(w), text), classes);
    return false;
  }
  w = mica_convert(w, call->dtype);
  if (call->classes && classes > 0)
    call->extra = mica_take(w, call->t, 0);
  else
    call->extra = mica_reduce_sum(mica_mul(class_distribution(call), w), MICA_AXES(-1));
  return true;
}

/* Targets as mica_take and softmax_cross_entropy index by them. */
static void widen_classes(mica_loss_call *call) {
  mica_dtype dtype = mica_dtype_of(call->t);
  if (call->classes && dtype != MICA_I32 && dtype != MICA_I64)
    call->t = mica_convert(call->t, dtype == MICA_U32 || dtype == MICA_U64 ? MICA_I64 : MICA_I32);
}

static bool begin_classes(mica_loss_call *call, const char *name, const mica_loss_args *args,
                          uint32_t takes) {
  if (!mica_loss_begin(call, name, args, takes, MICA_TARGET_CLASS_OR_WEIGHTS, 1)) return false;
  widen_classes(call);
  return smoothing_fits(call) && weigh_classes(call);
}

/* -sum over c of target[c] log p[c], log p [b..., classes]. */
static mica_value cross_entropy_of(const mica_loss_call *call, mica_value log_p) {
  double smoothing = call->a.label_smoothing;
  mica_value t = class_distribution(call);
  if (smoothing > 0)
    t = mica_add(mica_mul(t, 1 - smoothing), smoothing / (double)mica_dim_of(call->x, -1));
  mica_value sum = mica_reduce_sum(mica_times_or_zero(t, log_p), MICA_AXES(-1));
  return nan_without_class(call, mica_neg(sum));
}

mica_value mica_loss_cross_entropy_logits_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!begin_classes(&call, "loss_cross_entropy_logits", args,
                     MICA_TAKES_LABEL_SMOOTHING | MICA_TAKES_CLASS_WEIGHTS))
    return mica_no_value(call.graph);
  double smoothing = call.a.label_smoothing;
  if (!call.classes)
    return mica_loss_end(&call, cross_entropy_of(&call, mica_log_softmax(call.x, -1)));
  /* Of classes: no array of targets. */
  mica_value elements = mica_softmax_cross_entropy(call.x, call.t);
  if (smoothing > 0) {
    mica_axes last = MICA_AXES(-1);
    mica_value even = mica_neg(mica_reduce_mean(mica_log_softmax(call.x, -1), last));
    elements = mica_add(mica_mul(elements, 1 - smoothing), mica_mul(even, smoothing));
  }
  return mica_loss_end(&call, elements);
}

mica_value mica_loss_cross_entropy_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!begin_classes(&call, "loss_cross_entropy", args,
                     MICA_TAKES_LABEL_SMOOTHING | MICA_TAKES_CLASS_WEIGHTS | MICA_TAKES_EPSILON) ||
      !mica_loss_positive(&call, "epsilon", &call.a.epsilon, 1e-7))
    return mica_no_value(call.graph);
  mica_value log_p = mica_log(mica_max(call.x, call.a.epsilon));
  return mica_loss_end(&call, cross_entropy_of(&call, log_p));
}

mica_value mica_loss_focal_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!begin_classes(&call, "loss_focal", args, MICA_TAKES_GAMMA | MICA_TAKES_CLASS_WEIGHTS) ||
      !mica_loss_positive(&call, "gamma", &call.a.gamma, 2))
    return mica_no_value(call.graph);
  mica_value log_p = mica_log_softmax(call.x, -1);
  mica_value missed = mica_max(mica_neg(mica_expm1(log_p)), 1e-37);
  return mica_loss_end(&call,
                       cross_entropy_of(&call, mica_mul(mica_pow(missed, call.a.gamma), log_p)));
}

mica_value mica_loss_kl_divergence_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_kl_divergence", args, MICA_TAKES_LOG_TARGET, MICA_TARGET_SAME,
                       1))
    return mica_no_value(call.graph);
  mica_value t = call.t, x = call.x, elements;
  if (call.a.log_target)
    elements = mica_times_or_zero(mica_exp(t), mica_sub(t, x));
  else
    elements = mica_sub(mica_xlogy(t, t), mica_times_or_zero(t, x));
  return mica_loss_end(&call, mica_reduce_sum(elements, MICA_AXES(-1)));
}

/* ---- margins --------------------------------------------------------------------------------------- */

static mica_value hinge(const char *name, const mica_loss_args *args, bool square) {
  mica_loss_call call;
  if (!mica_loss_begin(&call, name, args, MICA_TAKES_MARGIN, MICA_TARGET_SAME, 0) ||
      !mica_loss_positive(&call, "margin", &call.a.margin, 1))
    return mica_no_value(call.graph);
  mica_value t = call.t;
  if (mica_dtype_of(call.a.target) == MICA_BOOL) t = mica_sub(mica_mul(t, 2), 1);
  mica_value short_of = mica_relu(mica_add(mica_neg(mica_mul(t, call.x)), call.a.margin));
  return mica_loss_end(&call, square ? mica_square(short_of) : short_of);
}
mica_value mica_loss_hinge_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return hinge("loss_hinge", args, false);
}
mica_value mica_loss_squared_hinge_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return hinge("loss_squared_hinge", args, true);
}

mica_value mica_loss_multiclass_hinge_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_multiclass_hinge", args, MICA_TAKES_MARGIN, MICA_TARGET_CLASS,
                       1) ||
      !mica_loss_positive(&call, "margin", &call.a.margin, 1))
    return mica_no_value(call.graph);
  widen_classes(&call);
  mica_axes last = MICA_AXES(-1);
  mica_value own = mica_not_equal(class_distribution(&call), 0), x = call.x;
  mica_value score = mica_reduce_sum(mica_select(own, x, mica_zeros_like(x)), last);
  mica_value other = mica_reduce_max(mica_select(own, mica_full_like(x, -INFINITY), x), last);
  mica_value elements = mica_relu(mica_add(mica_sub(other, score), call.a.margin));
  return mica_loss_end(&call, nan_without_class(&call, elements));
}

/* ---- overlap --------------------------------------------------------------------------------------- */

mica_value mica_loss_dice_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_dice", args, MICA_TAKES_SMOOTH, MICA_TARGET_CLASS_OR_WEIGHTS,
                       1) ||
      !mica_loss_positive(&call, "smooth", &call.a.smooth, 1))
    return mica_no_value(call.graph);
  int32_t rank = mica_rank_of(call.x);
  if (rank < 2)
    return mica_loss_failed(
        &call, "the prediction has rank %" PRId32 ": expected [batch, spatial..., classes]", rank);
  widen_classes(&call);
  mica_value t = class_distribution(&call), x = call.x;
  if (call.classes && call.a.mask.graph) /* a class was put in where there is none */
    t = mica_zero_where_masked(&call, t, call.a.mask);
  mica_axes spatial = {.count = rank - 2};
  for (int32_t i = 0; i < spatial.count; i++) spatial.axis[i] = i + 1;
  mica_value both = mica_reduce_sum(mica_mul(x, t), spatial);
  mica_value all = mica_add(mica_reduce_sum(x, spatial), mica_reduce_sum(t, spatial));
  mica_value overlap =
      mica_div(mica_add(mica_mul(both, 2), call.a.smooth), mica_add(all, call.a.smooth));
  call.a.mask = (mica_value){0}; /* done */
  return mica_loss_end(&call, mica_add(mica_neg(overlap), 1));
}
