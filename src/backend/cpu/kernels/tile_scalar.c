/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of the tile VM without vectors: see tile_scalar.h. */
#include "backend/cpu/kernels/tile_scalar.h"

#include <math.h>

#define SCALAR_UNARY(name, type, E, expression)                                                \
  void mica_tile_##name##_##type(int64_t count, void *out, const void *in_a, const void *in_b, \
                                 const void *in_c, uint32_t splat) {                           \
    (void)in_b, (void)in_c;                                                                    \
    const E *pa = in_a;                                                                        \
    E *po = out;                                                                               \
    const int64_t step_a = splat & 1 ? 0 : 1;                                                  \
    for (int64_t i = 0; i < count; i++, pa += step_a) {                                        \
      const E a = *pa;                                                                         \
      po[i] = expression;                                                                      \
    }                                                                                          \
  }
#define SCALAR_BINARY(name, type, E, expression)                                               \
  void mica_tile_##name##_##type(int64_t count, void *out, const void *in_a, const void *in_b, \
                                 const void *in_c, uint32_t splat) {                           \
    (void)in_c;                                                                                \
    const E *pa = in_a, *pb = in_b;                                                            \
    E *po = out;                                                                               \
    const int64_t step_a = splat & 1 ? 0 : 1, step_b = splat & 2 ? 0 : 1;                      \
    for (int64_t i = 0; i < count; i++, pa += step_a, pb += step_b) {                          \
      const E a = *pa, b = *pb;                                                                \
      po[i] = expression;                                                                      \
    }                                                                                          \
  }

static double scalar_logistic(double x) {
  const double e = exp(-fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}

/* As the f32 kernels: by erfc below zero, which does not cancel; tanh as a logistic function. */
static double scalar_gelu(double x) { return 0.5 * x * erfc(x * -0.70710678118654752); }
static double scalar_gelu_tanh(double x) {
  return x / (1 + exp(-2 * 0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

SCALAR_UNARY(exp, f64, double, exp(a))
SCALAR_UNARY(expm1, f64, double, expm1(a))
SCALAR_UNARY(log, f64, double, log(a))
SCALAR_UNARY(log1p, f64, double, log1p(a))
SCALAR_UNARY(tanh, f64, double, tanh(a))
SCALAR_UNARY(logistic, f64, double, scalar_logistic(a))
SCALAR_UNARY(erf, f64, double, erf(a))
SCALAR_UNARY(sin, f64, double, sin(a))
SCALAR_UNARY(cos, f64, double, cos(a))
SCALAR_UNARY(floor, f64, double, floor(a))
SCALAR_UNARY(ceil, f64, double, ceil(a))
SCALAR_UNARY(round, f64, double, nearbyint(a))
SCALAR_UNARY(gelu, f64, double, scalar_gelu(a))
SCALAR_UNARY(gelu_tanh, f64, double, scalar_gelu_tanh(a))
SCALAR_BINARY(rem, f64, double, fmod(a, b))
SCALAR_BINARY(pow, f64, double, pow(a, b))
SCALAR_BINARY(rem, f32, float, fmodf(a, b))

/* Division never traps: by zero -1 (all bits set), the least integer by -1 itself. */
#define SCALAR_SIGNED(type, E, U, LEAST)                                 \
  static E divide_##type(E a, E b) {                                     \
    if (b == 0) return -1;                                               \
    return a == LEAST && b == -1 ? a : a / b;                            \
  }                                                                      \
  static E remainder_##type(E a, E b) {                                  \
    if (b == 0) return a;                                                \
    return b == -1 ? 0 : a % b;                                          \
  }                                                                      \
  static E power_##type(E a, E b) {                                      \
    if (b < 0) { /* 1 / a^|b| by the rule of division */                 \
      if (a == 0) return -1;                                             \
      if (a == 1) return 1;                                              \
      return a == -1 ? (b & 1 ? -1 : 1) : 0;                             \
    }                                                                    \
    U result = 1;                                                        \
    for (U base = (U)a, left = (U)b; left > 0; left >>= 1, base *= base) \
      if (left & 1) result *= base;                                      \
    return (E)result;                                                    \
  }
#define SCALAR_UNSIGNED(type, E)                                      \
  static E divide_##type(E a, E b) { return b == 0 ? (E)-1 : a / b; } \
  static E remainder_##type(E a, E b) { return b == 0 ? a : a % b; }  \
  static E power_##type(E a, E b) {                                   \
    E result = 1;                                                     \
    for (; b > 0; b >>= 1, a *= a)                                    \
      if (b & 1) result *= a;                                         \
    return result;                                                    \
  }
SCALAR_SIGNED(i32, int32_t, uint32_t, INT32_MIN)
SCALAR_SIGNED(i64, int64_t, uint64_t, INT64_MIN)
SCALAR_UNSIGNED(u32, uint32_t)
SCALAR_UNSIGNED(u64, uint64_t)
#define SCALAR_INTEGERS(type, E)                      \
  SCALAR_BINARY(div, type, E, divide_##type(a, b))    \
  SCALAR_BINARY(rem, type, E, remainder_##type(a, b)) \
  SCALAR_BINARY(pow, type, E, power_##type(a, b))
SCALAR_INTEGERS(i32, int32_t)
SCALAR_INTEGERS(u32, uint32_t)
SCALAR_INTEGERS(i64, int64_t)
SCALAR_INTEGERS(u64, uint64_t)

#undef SCALAR_UNARY
#undef SCALAR_BINARY
#undef SCALAR_SIGNED
#undef SCALAR_UNSIGNED
#undef SCALAR_INTEGERS
