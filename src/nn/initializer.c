/* SPDX-License-Identifier: Apache-2.0 */
/* initializer.c: first values of variables, as graphs of a random key. */
#include "mica/nn/initializer.h"

#include <math.h>

static mica_initializer init_pair(mica_initializer_kind kind, double a, double b) {
  mica_initializer made = {0};
  made.kind = kind;
  made.a = a;
  made.b = b;
  return made;
}
static mica_initializer init_scaled(bool normal, double scale, mica_fan fan) {
  mica_initializer made = init_pair(
      normal ? MICA_INITIALIZER_SCALED_NORMAL : MICA_INITIALIZER_SCALED_UNIFORM, scale, 0);
  made.fan = fan;
  return made;
}

mica_initializer mica_init_zeros(void) { return init_pair(MICA_INITIALIZER_CONSTANT, 0, 0); }
mica_initializer mica_init_ones(void) { return init_pair(MICA_INITIALIZER_CONSTANT, 1, 0); }
mica_initializer mica_init_constant(double value) {
  return init_pair(MICA_INITIALIZER_CONSTANT, value, 0);
}
mica_initializer mica_init_uniform(double low, double high) {
  return init_pair(MICA_INITIALIZER_UNIFORM, low, high);
}
mica_initializer mica_init_normal(double mean, double deviation) {
  return init_pair(MICA_INITIALIZER_NORMAL, mean, deviation);
}
mica_initializer mica_init_truncated_normal(double mean, double deviation) {
  return init_pair(MICA_INITIALIZER_TRUNCATED_NORMAL, mean, deviation);
}
mica_initializer mica_init_glorot_uniform(void) { return init_scaled(false, 1, MICA_FAN_AVERAGE); }
mica_initializer mica_init_glorot_normal(void) { return init_scaled(true, 1, MICA_FAN_AVERAGE); }
mica_initializer mica_init_he_uniform(void) { return init_scaled(false, 2, MICA_FAN_IN); }
mica_initializer mica_init_he_normal(void) { return init_scaled(true, 2, MICA_FAN_IN); }
mica_initializer mica_init_lecun_uniform(void) { return init_scaled(false, 1, MICA_FAN_IN); }
mica_initializer mica_init_lecun_normal(void) { return init_scaled(true, 1, MICA_FAN_IN); }
mica_initializer mica_init_orthogonal(double gain) {
  return init_pair(MICA_INITIALIZER_ORTHOGONAL, gain, 0);
}
mica_initializer mica_init_linspace(double first, double last) {
  return init_pair(MICA_INITIALIZER_LINSPACE, first, last);
}
mica_initializer mica_init_tensor(mica_tensor *tensor) {
  mica_initializer made = init_pair(MICA_INITIALIZER_TENSOR, 0, 0);
  made.tensor = tensor;
  return made;
}

/* Variance of a kernel [spatial..., in, out]; 0 sizes count as 1. */
static double scaled_variance(const mica_initializer *initializer, mica_shape shape) {
  double fan_in = 1, fan_out = 1;
  for (int32_t i = 0; i < shape.rank; i++) {
    double size = shape.dim[i] > 0 ? (double)shape.dim[i] : 1;
    if (i < shape.rank - 1 || shape.rank == 1) fan_in *= size;
    if (i != shape.rank - 2) fan_out *= size;
  }
  double fan = initializer->fan == MICA_FAN_IN    ? fan_in
               : initializer->fan == MICA_FAN_OUT ? fan_out
                                                  : (fan_in + fan_out) / 2;
  return initializer->a / fan;
}

/* Q with the signs of R's diagonal, so that R's would be positive. The longer side has the rows. */
static mica_value orthogonal_value(double gain, mica_value key, mica_type type) {
  if (type.shape.rank < 2)
    return mica_fail(key.graph, MICA_INVALID,
                     "an orthogonal initial value has rank %d: expected 2 at least",
                     (int)type.shape.rank);
  mica_dtype dtype = type.dtype == MICA_F64 ? MICA_F64 : MICA_F32;
  int64_t columns = type.shape.dim[type.shape.rank - 1];
  int64_t count = mica_shape_count(type.shape), rows = columns > 0 ? count / columns : 0;
  if (count == 0) return mica_full(key.graph, type, 0);
  bool wide = rows < columns;
  mica_shape sizes = {2, {wide ? columns : rows, wide ? rows : columns}};
  mica_value q, r;
  mica_qr(mica_random_normal(key, (mica_type){dtype, sizes}), false, &q, &r);
  mica_value diagonal = mica_diagonal(r, 0, 0, 1);
  mica_value sign =
      mica_select(mica_less(diagonal, 0), mica_full_like(diagonal, -1), mica_ones_like(diagonal));
  q = mica_mul(mica_mul(q, sign), gain);
  if (wide) q = mica_swap_axes(q, 0, 1);
  return mica_convert(mica_reshape(q, type.shape), type.dtype);
}

mica_value mica_initial_value(mica_initializer initializer, mica_value key, mica_type type) {
  const double a = initializer.a, b = initializer.b;
  bool random =
      initializer.kind != MICA_INITIALIZER_CONSTANT &&
      initializer.kind != MICA_INITIALIZER_DEFAULT && initializer.kind != MICA_INITIALIZER_TENSOR &&
      initializer.kind != MICA_INITIALIZER_LINSPACE && initializer.kind != MICA_INITIALIZER_BUILD;
  if (random && !mica_dtype_is_float(type.dtype))
    return mica_fail(key.graph, MICA_INVALID, "a random initial value of %s: expected floats",
                     mica_dtype_name(type.dtype));
  switch (initializer.kind) {
    case MICA_INITIALIZER_UNIFORM: return mica_random_uniform_range(key, type, a, b);
    case MICA_INITIALIZER_NORMAL: return mica_add(mica_mul(mica_random_normal(key, type), b), a);
    case MICA_INITIALIZER_TRUNCATED_NORMAL:
      return mica_add(mica_mul(mica_random_truncated_normal(key, type, -2, 2), b), a);
    case MICA_INITIALIZER_SCALED_UNIFORM: {
      double most = sqrt(3 * scaled_variance(&initializer, type.shape));
      return mica_random_uniform_range(key, type, -most, most);
    }
    case MICA_INITIALIZER_SCALED_NORMAL:
      return mica_mul(mica_random_normal(key, type),
                      sqrt(scaled_variance(&initializer, type.shape)));
    case MICA_INITIALIZER_ORTHOGONAL: return orthogonal_value(a, key, type);
    case MICA_INITIALIZER_TENSOR: return mica_constant(key.graph, initializer.tensor);
    case MICA_INITIALIZER_BUILD:
      if (initializer.build == NULL)
        return mica_fail(key.graph, MICA_INVALID, "an initializer has no function that builds");
      return initializer.build(key, type, initializer.user);
    case MICA_INITIALIZER_LINSPACE:
      if (type.shape.rank < 1)
        return mica_fail(key.graph, MICA_INVALID, "an initial value in equal steps of rank 0");
      return mica_broadcast_to(
          mica_linspace(key.graph, type.dtype, a, b, type.shape.dim[type.shape.rank - 1]),
          type.shape);
    case MICA_INITIALIZER_DEFAULT:
    case MICA_INITIALIZER_CONSTANT: break;
  }
  return mica_full(key.graph, type, a);
}
