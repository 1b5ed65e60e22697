/* SPDX-License-Identifier: Apache-2.0 */
/* reduction.c: how losses check their arguments, and how elements, weights and masks become one number. Masked places
 * are taken out of the operands first: a select behind the loss alone would let a NaN back into its gradient. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "train/losses/losses.h"

mica_value mica_loss_failed(const mica_loss_call *call, const char *format, ...) {
  char why[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  mica_value in[2] = {call->a.prediction, call->a.target};
  return mica_fail_operator(call->graph, call->name, in, 2, "%s", why);
}

mica_value mica_leading_axes(const char *op, const char *what, mica_value v, mica_shape to) {
  mica_shape from = mica_shape_of(v), shape = {.rank = to.rank};
  bool fits = from.rank <= to.rank;
  for (int32_t i = 0; i < to.rank; i++) {
    shape.dim[i] = i < from.rank ? from.dim[i] : 1;
    fits = fits && (shape.dim[i] == 1 || shape.dim[i] == to.dim[i]);
  }
  if (fits) return mica_reshape_if_needed(v, shape);
  char text[MICA_SHAPE_TEXT];
  return mica_fail_operator(v.graph, op, &v, 1,
                            "%s: expected the leading axes of %s, or sizes of 1", what,
                            mica_shape_text(to, text));
}

/* The name of an option that is set and not taken, NULL: there is none. */
static const char *foreign_option(const mica_loss_args *a, uint32_t takes) {
  const struct {
    uint32_t flag;
    const char *name;
    bool given;
  } options[] = {
      {MICA_TAKES_CLASS_WEIGHTS, "class_weights", a->class_weights.graph != NULL},
      {MICA_TAKES_LABEL_SMOOTHING, "label_smoothing", a->label_smoothing != 0},
      {MICA_TAKES_POSITIVE_WEIGHT, "positive_weight", a->positive_weight != 0},
      {MICA_TAKES_EPSILON, "epsilon", a->epsilon != 0},
      {MICA_TAKES_DELTA, "delta", a->delta != 0},
      {MICA_TAKES_GAMMA, "gamma", a->gamma != 0},
      {MICA_TAKES_ALPHA, "alpha", a->alpha != 0},
      {MICA_TAKES_MARGIN, "margin", a->margin != 0},
      {MICA_TAKES_TEMPERATURE, "temperature", a->temperature != 0},
      {MICA_TAKES_SMOOTH, "smooth", a->smooth != 0},
      {MICA_TAKES_POWERS, "power_near", a->power_near != 0},
      {MICA_TAKES_POWERS, "power_far", a->power_far != 0},
      {MICA_TAKES_POWERS, "middle", a->middle != 0},
      {MICA_TAKES_POWERS, "sharpness", a->sharpness != 0},
      {MICA_TAKES_LOG_PREDICTION, "log_prediction", a->log_prediction},
      {MICA_TAKES_LOG_TARGET, "log_target", a->log_target},
      {MICA_TAKES_SYMMETRIC, "symmetric", a->symmetric},
      {MICA_TAKES_DISTANCE, "distance", a->distance != MICA_DISTANCE_EUCLIDEAN},
      {MICA_TAKES_MINING, "mining", a->mining != MICA_MINE_ALL},
      {MICA_TAKES_LABELS, "labels", a->labels.graph != NULL},
      {MICA_TAKES_NEGATIVE, "negative", a->negative.graph != NULL},
      {MICA_TAKES_CTC, "prediction_lengths", a->prediction_lengths.graph != NULL},
      {MICA_TAKES_CTC, "target_lengths", a->target_lengths.graph != NULL},
      {MICA_TAKES_CTC, "blank", a->blank != 0},
      {MICA_TAKES_CTC, "zero_infinity", a->zero_infinity},
  };
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    if (options[i].given && !(takes & options[i].flag)) return options[i].name;
  return NULL;
}

bool mica_loss_positive(const mica_loss_call *call, const char *option, double *number,
                        double standard) {
  if (*number == 0) *number = standard;
  if (*number > 0 && isfinite(*number)) return true;
  mica_loss_failed(call, "%s %g: expected a finite number above 0", option, *number);
  return false;
}

/* The target by its kind; false when the graph failed. */
static bool take_target(mica_loss_call *call, mica_loss_target kind) {
  mica_type type = mica_type_of(call->a.target), x = mica_type_of(call->a.prediction);
  mica_dtype dtype = type.dtype;
  char shape[MICA_SHAPE_TEXT], other[MICA_SHAPE_TEXT];
  bool integer = mica_dtype_is_integer(dtype);
  call->t = call->a.target;
  call->classes = kind != MICA_TARGET_SAME && integer &&
                  (kind == MICA_TARGET_FREE || mica_shape_equal(type.shape, call->elements));
  if (call->classes) return true;
  if (kind == MICA_TARGET_CLASS || kind == MICA_TARGET_FREE) {
    mica_loss_failed(call, "the target is %s of dtype %s: expected integers%s%s",
                     mica_shape_text(type.shape, shape), mica_dtype_name(dtype),
                     kind == MICA_TARGET_CLASS ? " " : "",
                     kind == MICA_TARGET_CLASS ? mica_shape_text(call->elements, other) : "");
    return false;
  }
  if (!mica_shape_equal(type.shape, x.shape)) {
    mica_loss_failed(call, "the target is %s of dtype %s: expected the prediction's shape%s%s",
                     mica_shape_text(type.shape, shape), mica_dtype_name(dtype),
                     kind == MICA_TARGET_SAME ? "" : ", or integers ",
                     kind == MICA_TARGET_SAME ? "" : mica_shape_text(call->elements, other));
    return false;
  }
  if (dtype != MICA_BOOL && !integer &&
      (!mica_dtype_is_float(dtype) || (dtype == MICA_F64 && call->dtype != MICA_F64))) {
    mica_loss_failed(call,
                     "the target has dtype %s: expected bool, integers or floats no wider "
                     "than the prediction (mica_convert first)",
                     mica_dtype_name(dtype));
    return false;
  }
  call->t = mica_convert(call->t, call->dtype);
  return true;
}

mica_value mica_zero_where_masked(const mica_loss_call *call, mica_value x, mica_value mask) {
  mica_value m = mica_leading_axes(call->name, "mask", mask, mica_shape_of(x));
  return mica_select(m, x, mica_scalar(call->graph, mica_dtype_of(x), 0));
}

static bool is_float_or_nothing(const mica_loss_call *call, const char *what, mica_value v) {
  if (!v.graph || mica_dtype_is_float(mica_dtype_of(v))) return true;
  mica_loss_failed(call, "%s has dtype %s: expected floats", what,
                   mica_dtype_name(mica_dtype_of(v)));
  return false;
}

bool mica_loss_begin(mica_loss_call *call, const char *name, const mica_loss_args *args,
                     uint32_t takes, mica_loss_target target, int32_t dropped) {
  *call = (mica_loss_call){.name = name};
  if (!mica_copy_args(&call->a, sizeof call->a, args)) return false;
  const mica_loss_args *a = &call->a;
  mica_value in[9] = {a->prediction, a->target};
  const mica_value more[] = {a->weights,       a->mask,     a->class_weights,
                             a->labels,        a->negative, a->prediction_lengths,
                             a->target_lengths};
  size_t count = 2;
  call->graph = a->prediction.graph;
  for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
    if (more[i].graph) in[count++] = more[i];
  if (!mica_operands_usable(name, in, count)) return false;
  const char *foreign = foreign_option(a, takes);
  if (foreign) {
    mica_loss_failed(call, "expected no option %s, which this loss does not take", foreign);
    return false;
  }
  mica_type x = mica_type_of(a->prediction);
  if (!mica_dtype_is_float(x.dtype) || mica_dtype_bits(x.dtype) < 16) {
    mica_loss_failed(call, "the prediction has dtype %s: expected f16, bf16, f32 or f64",
                     mica_dtype_name(x.dtype));
    return false;
  }
  call->dtype = mica_wide_dtype(x.dtype);
  if (dropped < 0) dropped = x.shape.rank ? x.shape.rank - 1 : 1;
  if (x.shape.rank < dropped) {
    mica_loss_failed(call, "the prediction has rank %" PRId32 ": expected at least %" PRId32,
                     x.shape.rank, dropped);
    return false;
  }
  call->elements = x.shape;
  for (int32_t i = 0; i < dropped; i++) call->elements.dim[--call->elements.rank] = 0;
  if ((unsigned)a->reduction > MICA_LOSS_NONE) {
    mica_loss_failed(call, "reduction %d: expected MICA_LOSS_MEAN, MICA_LOSS_SUM or MICA_LOSS_NONE",
                     (int)a->reduction);
    return false;
  }
  if (a->mask.graph && mica_dtype_of(a->mask) != MICA_BOOL) {
    mica_loss_failed(call, "mask has dtype %s: expected bool",
                     mica_dtype_name(mica_dtype_of(a->mask)));
    return false;
  }
  if (!is_float_or_nothing(call, "weights", a->weights) ||
      !is_float_or_nothing(call, "class_weights", a->class_weights) || !take_target(call, target))
    return false;
  call->x = mica_widen(a->prediction);
  if (a->mask.graph && !(takes & MICA_KEEPS_MASKED)) {
    if (!mica_has_value(mica_leading_axes(name, "mask", a->mask, call->elements))) return false;
    call->x = mica_zero_where_masked(call, call->x, a->mask);
    if (target != MICA_TARGET_FREE) call->t = mica_zero_where_masked(call, call->t, a->mask);
  }
  return call->graph->status == MICA_OK;
}

/* w [.., 1 ..] of the elements' rank. */
static mica_value reduce_weighted(const char *op, mica_value e, mica_value weights, mica_value mask,
                                  mica_value extra, mica_loss_reduction reduction) {
  mica_shape shape = mica_shape_of(e);
  mica_dtype dtype = mica_dtype_of(e);
  mica_value zero = mica_scalar(e.graph, dtype, 0), w = {0};
  if (weights.graph) {
    w = mica_leading_axes(op, "weights", weights, shape);
    w = mica_convert(w, dtype);
  }
  if (extra.graph) w = w.graph ? mica_mul(w, extra) : extra;
  if (mask.graph) {
    mica_value m = mica_leading_axes(op, "mask", mask, shape);
    e = mica_select(m, e, zero);
    w = w.graph ? mica_select(m, w, zero) : mica_convert(m, dtype);
  }
  if (e.graph->status != MICA_OK) return mica_no_value(e.graph);
  mica_value weighted = w.graph ? mica_mul(e, w) : e;
  if (reduction == MICA_LOSS_NONE) return weighted;
  if (reduction == MICA_LOSS_SUM) return mica_reduce_sum(weighted, MICA_ALL);
  if (!w.graph) return mica_reduce_mean(e, MICA_ALL);
  /* Sizes of 1 stand for all elements there. */
  double times = 1;
  for (int32_t i = 0; i < shape.rank; i++)
    if (mica_dim_of(w, i) == 1) times *= (double)shape.dim[i];
  mica_value total = mica_mul(mica_reduce_sum(w, MICA_ALL), times);
  mica_value some = mica_not_equal(total, 0);
  mica_value mean =
      mica_div(mica_reduce_sum(weighted, MICA_ALL), mica_select(some, total, mica_add(zero, 1)));
  return mica_select(some, mean, zero);
}

mica_value mica_loss_end(const mica_loss_call *call, mica_value elements) {
  const mica_loss_args *a = &call->a;
  return reduce_weighted(call->name, elements, a->weights, a->mask, call->extra, a->reduction);
}

mica_value mica_loss_reduce(mica_value elements, mica_value weights, mica_value mask,
                            mica_loss_reduction reduction) {
  MICA_ENTRY(elements.graph);
  mica_loss_args args = {.struct_size = sizeof args,
                         .prediction = elements,
                         .target = elements,
                         .weights = weights,
                         .mask = mask,
                         .reduction = reduction};
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_reduce", &args, 0, MICA_TARGET_SAME, 0))
    return mica_no_value(elements.graph);
  return mica_loss_end(&call, call.x);
}

/* ---- parts of several losses ------------------------------------------------------------------- */

mica_value mica_times_or_zero(mica_value t, mica_value y) {
  mica_value zero = mica_scalar(y.graph, mica_dtype_of(y), 0);
  return mica_mul(t, mica_select(mica_not_equal(t, 0), y, zero));
}

mica_value mica_class_exists(mica_value t, int64_t classes) {
  /* An i8 may not hold the number of classes. */
  mica_value wide = mica_convert(t, MICA_I64);
  return mica_and(mica_greater_equal(wide, 0), mica_less(wide, (double)classes));
}

mica_value mica_vector_distance(mica_value x, mica_value y, mica_distance distance,
                                double epsilon) {
  mica_axes last = MICA_AXES(-1);
  if (distance == MICA_DISTANCE_COSINE) {
    mica_value norms = mica_mul(mica_max(mica_norm(x, 2, last), epsilon),
                                mica_max(mica_norm(y, 2, last), epsilon));
    mica_value cosine = mica_div(mica_reduce_sum(mica_mul(x, y), last), norms);
    return mica_add(mica_neg(cosine), 1);
  }
  mica_value d = mica_sub(x, y);
  return distance == MICA_DISTANCE_SQUARED ? mica_reduce_sum(mica_square(d), last)
                                           : mica_norm(d, 2, last);
}
