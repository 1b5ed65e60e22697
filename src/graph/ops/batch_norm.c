/* SPDX-License-Identifier: Apache-2.0 */
/* batch_norm.c: StableHLO's batch normalizations, along one axis of features. */
#include <math.h>

#include "graph/ops/rules.h"

enum { NORM_OPERANDS = 5 };

/* Checks x and the others of in[] that are there: [n] along the axis. */
static bool begin_batch_norm(const char *op, const mica_value *in, int32_t axis, double epsilon,
                             int64_t *out_axis) {
  mica_value x = in[0];
  if (!mica_operands_usable(op, &x, 1) || !mica_operands_accepted(op, &x, 1, MICA_CLASS_FLOAT) ||
      !mica_builder_axis(op, x, axis, out_axis))
    return false;
  int64_t features = mica_dim_of(x, (int32_t)*out_axis);
  for (int i = 1; i < NORM_OPERANDS; i++) {
    mica_value both[2] = {x, in[i]};
    if (!in[i].graph) continue;
    if (!mica_operands_usable(op, both, 2)) return false;
    mica_type type = {mica_dtype_of(x), {.rank = 1, .dim = {features}}};
    if (mica_type_equal(mica_type_of(in[i]), type)) continue;
    mica_fail_operator(
        x.graph, op, both, 2,
        "operand 1 is of the features: expected operand 0's dtype and its size along "
        "the axis");
    return false;
  }
  if (epsilon >= 0 && isfinite(epsilon)) return true;
  mica_fail_operator(x.graph, op, &x, 1, "epsilon %g: expected a finite number of at least 0",
                     epsilon);
  return false;
}

/* [n] -> [1..., n, 1...], wide. */
static mica_value along_features(mica_value value, mica_value x, int64_t axis) {
  mica_shape shape = {.rank = mica_rank_of(x)};
  for (int32_t i = 0; i < shape.rank; i++) shape.dim[i] = i == axis ? mica_dim_of(x, i) : 1;
  return mica_reshape(mica_widen(value), shape);
}

/* mean and variance wide, [1..., n, 1...]. */
static mica_value normalize_features(const mica_value *in, int64_t axis, double epsilon,
                                     mica_value mean, mica_value variance) {
  mica_value x = mica_widen(in[0]);
  mica_value y = mica_mul(mica_sub(x, mean), mica_rsqrt(mica_add(variance, epsilon)));
  if (in[1].graph) y = mica_mul(y, along_features(in[1], x, axis));
  if (in[2].graph) y = mica_add(y, along_features(in[2], x, axis));
  return mica_convert(y, mica_dtype_of(in[0]));
}

mica_value mica_batch_norm_inference(mica_value x, mica_value scale, mica_value bias,
                                     mica_value mean, mica_value variance, int32_t axis,
                                     double epsilon) {
  MICA_ENTRY_OF(x, scale, bias, mean, variance);
  mica_value in[NORM_OPERANDS] = {x, scale, bias, mean, variance};
  int64_t at;
  if (!mica_operands_usable("batch_norm_inference", (mica_value[]){x, mean, variance}, 3) ||
      !begin_batch_norm("batch_norm_inference", in, axis, epsilon, &at))
    return mica_no_value(x.graph);
  return normalize_features(in, at, epsilon, along_features(mean, x, at),
                            along_features(variance, x, at));
}

mica_value mica_batch_norm_training(mica_value x, mica_value scale, mica_value bias, int32_t axis,
                                    double epsilon, mica_value *out_mean,
                                    mica_value *out_variance) {
  MICA_ENTRY_OF(x, scale, bias);
  mica_value in[NORM_OPERANDS] = {x, scale, bias, {0}, {0}};
  int64_t at;
  if (out_mean) *out_mean = mica_no_value(x.graph);
  if (out_variance) *out_variance = mica_no_value(x.graph);
  if (!begin_batch_norm("batch_norm_training", in, axis, epsilon, &at))
    return mica_no_value(x.graph);
  mica_axes others = {.keep = true};
  for (int32_t i = 0; i < mica_rank_of(x); i++)
    if (i != at) others.axis[others.count++] = i;
  mica_value wide = mica_widen(x);
  mica_value mean = others.count ? mica_reduce_mean(wide, others) : wide;
  mica_value centered = mica_sub(wide, mean), squares = mica_mul(centered, centered);
  mica_value variance = others.count ? mica_reduce_mean(squares, others) : squares;
  mica_shape features = {.rank = 1, .dim = {mica_dim_of(x, (int32_t)at)}};
  mica_dtype dtype = mica_dtype_of(x);
  if (out_mean) *out_mean = mica_convert(mica_reshape(mean, features), dtype);
  if (out_variance) *out_variance = mica_convert(mica_reshape(variance, features), dtype);
  return normalize_features(in, at, epsilon, mean, variance);
}
