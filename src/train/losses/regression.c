/* SPDX-License-Identifier: Apache-2.0 */
/* regression.c: losses of numbers and of vectors, functions of the difference from the target. */
#include <math.h>

#include "train/losses/losses.h"

/* Losses of numbers: `name`, the options that it takes, and its elements from d = x - t. */
#define LOSS_OF_DIFFERENCE(name, ...)                                         \
  mica_value mica_loss_##name##_with(const mica_loss_args *args) {            \
    MICA_ENTRY(args ? args->prediction.graph : NULL);                         \
    mica_loss_call call;                                                      \
    if (!mica_loss_begin(&call, "loss_" #name, args, 0, MICA_TARGET_SAME, 0)) \
      return mica_no_value(call.graph);                                       \
    mica_value d = mica_sub(call.x, call.t);                                  \
    return mica_loss_end(&call, __VA_ARGS__);                                 \
  }

/* |d| + log(1 + e^(-2 |d|)) - log 2 does not overflow. */
static mica_value log_cosh_of(mica_value d) {
  mica_value size = mica_abs(d);
  return mica_sub(mica_add(size, mica_softplus(mica_mul(size, -2))), log(2));
}

LOSS_OF_DIFFERENCE(squared_error, mica_square(d))
LOSS_OF_DIFFERENCE(absolute_error, mica_abs(d))
LOSS_OF_DIFFERENCE(log_cosh, log_cosh_of(d))
#undef LOSS_OF_DIFFERENCE

mica_value mica_loss_huber_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_huber", args, MICA_TAKES_DELTA, MICA_TARGET_SAME, 0) ||
      !mica_loss_positive(&call, "delta", &call.a.delta, 1))
    return mica_no_value(call.graph);
  double delta = call.a.delta;
  mica_value d = mica_sub(call.x, call.t), size = mica_abs(d);
  mica_value far = mica_mul(mica_sub(size, delta / 2), delta);
  mica_value near = mica_mul(mica_square(d), 0.5);
  return mica_loss_end(&call, mica_select(mica_less_equal(size, delta), near, far));
}

mica_value mica_loss_adaptive_power_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  mica_loss_args *a = &call.a;
  if (!mica_loss_begin(&call, "loss_adaptive_power", args, MICA_TAKES_POWERS, MICA_TARGET_SAME,
                       0) ||
      !mica_loss_positive(&call, "power_near", &a->power_near, 2) ||
      !mica_loss_positive(&call, "power_far", &a->power_far, 1) ||
      !mica_loss_positive(&call, "middle", &a->middle, 1) ||
      !mica_loss_positive(&call, "sharpness", &a->sharpness, 1))
    return mica_no_value(call.graph);
  mica_value size = mica_abs(mica_sub(call.x, call.t));
  mica_value some = mica_greater(size, 0);
  mica_value safe = mica_select(some, size, mica_ones_like(size)); /* log and pow are flat there */
  double range = a->power_near - a->power_far;
  mica_value logarithm = mica_log(mica_div(safe, a->middle));
  mica_value near = mica_logistic(mica_mul(logarithm, -range / a->sharpness));
  mica_value power = mica_stop_gradient(mica_add(mica_mul(near, range), a->power_far));
  return mica_loss_end(&call, mica_select(some, mica_pow(safe, power), mica_zeros_like(size)));
}

mica_value mica_loss_poisson_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  mica_loss_call call;
  if (!mica_loss_begin(&call, "loss_poisson", args, MICA_TAKES_EPSILON | MICA_TAKES_LOG_PREDICTION,
                       MICA_TARGET_SAME, 0) ||
      !mica_loss_positive(&call, "epsilon", &call.a.epsilon, 1e-8))
    return mica_no_value(call.graph);
  mica_value x = call.x;
  mica_value rate = call.a.log_prediction ? mica_exp(x) : x;
  mica_value logarithm = call.a.log_prediction ? x : mica_log(mica_max(x, call.a.epsilon));
  return mica_loss_end(&call, mica_sub(rate, mica_times_or_zero(call.t, logarithm)));
}

static mica_value loss_of_vectors(const char *name, const mica_loss_args *args, uint32_t takes,
                                  mica_distance distance) {
  mica_loss_call call;
  if (!mica_loss_begin(&call, name, args, takes, MICA_TARGET_SAME, 1) ||
      !mica_loss_positive(&call, "epsilon", &call.a.epsilon, 1e-8))
    return mica_no_value(call.graph);
  return mica_loss_end(&call, mica_vector_distance(call.x, call.t, distance, call.a.epsilon));
}
mica_value mica_loss_euclidean_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return loss_of_vectors("loss_euclidean", args, 0, MICA_DISTANCE_EUCLIDEAN);
}
mica_value mica_loss_squared_euclidean_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return loss_of_vectors("loss_squared_euclidean", args, 0, MICA_DISTANCE_SQUARED);
}
mica_value mica_loss_cosine_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  return loss_of_vectors("loss_cosine", args, MICA_TAKES_EPSILON, MICA_DISTANCE_COSINE);
}
