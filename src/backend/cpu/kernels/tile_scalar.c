/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of the tile VM without vectors: see tile_scalar.h. */
#include "backend/cpu/kernels/tile_scalar.h"

#include <math.h>

#include "core/special.h"

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

#define SCALAR_TERNARY(name, type, E, expression)                                              \
  void mica_tile_##name##_##type(int64_t count, void *out, const void *in_a, const void *in_b, \
                                 const void *in_c, uint32_t splat) {                           \
    const E *pa = in_a, *pb = in_b, *pc = in_c;                                                \
    E *po = out;                                                                               \
    const int64_t step_a = splat & 1 ? 0 : 1, step_b = splat & 2 ? 0 : 1;                      \
    const int64_t step_c = splat & 4 ? 0 : 1;                                                  \
    for (int64_t i = 0; i < count; i++, pa += step_a, pb += step_b, pc += step_c) {            \
      const E a = *pa, b = *pb, c = *pc;                                                       \
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

static double scalar_softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }

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
SCALAR_UNARY(tan, f64, double, tan(a))
SCALAR_UNARY(asin, f64, double, asin(a))
SCALAR_UNARY(acos, f64, double, acos(a))
SCALAR_UNARY(atan, f64, double, atan(a))
SCALAR_UNARY(sinh, f64, double, sinh(a))
SCALAR_UNARY(cosh, f64, double, cosh(a))
SCALAR_UNARY(asinh, f64, double, asinh(a))
SCALAR_UNARY(acosh, f64, double, acosh(a))
SCALAR_UNARY(atanh, f64, double, atanh(a))
SCALAR_UNARY(exp2, f64, double, exp2(a))
SCALAR_UNARY(log2, f64, double, log2(a))
SCALAR_UNARY(log10, f64, double, log10(a))
SCALAR_UNARY(cbrt, f64, double, cbrt(a))
SCALAR_UNARY(erfc, f64, double, erfc(a))
SCALAR_UNARY(softplus, f64, double, isnan(a) ? a : scalar_softplus(a))
SCALAR_UNARY(erf_inv, f64, double, mica_special_erf_inv(a))
SCALAR_UNARY(lgamma, f64, double, mica_special_lgamma(a))
SCALAR_UNARY(digamma, f64, double, mica_special_digamma(a))
SCALAR_UNARY(bessel_i0e, f64, double, mica_special_bessel_i0e(a))
SCALAR_UNARY(bessel_i1e, f64, double, mica_special_bessel_i1e(a))
SCALAR_UNARY(bessel_i0e, f32, float, (float)mica_special_bessel_i0e((double)a))
SCALAR_UNARY(bessel_i1e, f32, float, (float)mica_special_bessel_i1e((double)a))
SCALAR_BINARY(atan2, f64, double, atan2(a, b))
SCALAR_BINARY(hypot, f64, double, hypot(a, b))
SCALAR_BINARY(nextafter, f64, double, nextafter(a, b))
SCALAR_BINARY(igamma, f64, double, mica_special_igamma(a, b))
SCALAR_BINARY(igamma, f32, float, (float)mica_special_igamma((double)a, (double)b))
SCALAR_BINARY(igammac, f64, double, mica_special_igammac(a, b))
SCALAR_BINARY(igammac, f32, float, (float)mica_special_igammac((double)a, (double)b))
SCALAR_BINARY(igamma_slope, f64, double, mica_special_igamma_slope(a, b))
SCALAR_BINARY(igamma_slope, f32, float, (float)mica_special_igamma_slope((double)a, (double)b))
SCALAR_TERNARY(betainc, f64, double, mica_special_betainc(a, b, c))
SCALAR_TERNARY(betainc, f32, float, (float)mica_special_betainc((double)a, (double)b, (double)c))
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
    if (b < 0) { /* the whole part of 1 / a^|b|, of 0 too */             \
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
#undef SCALAR_TERNARY
#undef SCALAR_SIGNED
#undef SCALAR_UNSIGNED
#undef SCALAR_INTEGERS
