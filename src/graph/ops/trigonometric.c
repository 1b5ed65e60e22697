/* SPDX-License-Identifier: Apache-2.0 */
/* trigonometric.c: angles, triangles and hyperbolic functions. Derivatives are written with the result
 * where it is a simpler function of it, and with (1 - x)(1 + x) for 1 - x^2, which keeps its digits
 * near the ends of the domain. */
#include "graph/ops/pointwise.h"

#define PI 3.14159265358979324

/* (1 - x) (1 + x) */
static mica_value one_minus_square(mica_value x) {
  return mica_mul(mica_sub(mica_ones_like(x), x), mica_add(x, 1));
}

static mica_value derive_tan(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_mul(t, mica_add(mica_square(rule->out[0]), 1));
}
POINTWISE_1(TAN, tan, INEXACT, derive_tan, NULL, "sin(x) / cos(x)")

static mica_value derive_asin(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_rsqrt(one_minus_square(rule->in[operand])));
}
POINTWISE_1(ASIN, asin, FLOAT, derive_asin, NULL,
            "the angle in [-pi / 2, pi / 2] whose sine is x; NaN beyond 1")

static mica_value derive_acos(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_neg(derive_asin(rule, operand, t));
}
POINTWISE_1(ACOS, acos, FLOAT, derive_acos, NULL,
            "the angle in [0, pi] whose cosine is x; NaN beyond 1")

static mica_value derive_atan(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_div(t, mica_add(mica_square(rule->in[operand]), 1));
}
POINTWISE_1(ATAN, atan, FLOAT, derive_atan, NULL,
            "the angle in [-pi / 2, pi / 2] whose tangent is x")

static mica_value derive_sinh(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_cosh(rule->in[operand]));
}
POINTWISE_1(SINH, sinh, INEXACT, derive_sinh, NULL, "(e^x - e^-x) / 2")

static mica_value derive_cosh(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_sinh(rule->in[operand]));
}
POINTWISE_1(COSH, cosh, INEXACT, derive_cosh, NULL, "(e^x + e^-x) / 2")

static mica_value derive_asinh(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_rsqrt(mica_add(mica_square(rule->in[operand]), 1)));
}
POINTWISE_1(ASINH, asinh, FLOAT, derive_asinh, NULL, "log(x + sqrt(x^2 + 1))")

static mica_value derive_acosh(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = rule->in[operand];
  return mica_mul(t, mica_rsqrt(mica_mul(mica_sub(x, 1), mica_add(x, 1))));
}
POINTWISE_1(ACOSH, acosh, FLOAT, derive_acosh, NULL, "log(x + sqrt(x^2 - 1)); NaN below 1")

static mica_value derive_atanh(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_div(t, one_minus_square(rule->in[operand]));
}
POINTWISE_1(ATANH, atanh, FLOAT, derive_atanh, NULL,
            "log((1 + x) / (1 - x)) / 2; infinite at 1 and -1, NaN beyond")

/* Of the angle of the point (y, x), formula letters in this order: x / (x^2 + y^2), -y / (x^2 + y^2). */
static mica_value derive_atan2(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value y = rule->in[0], x = rule->in[1];
  mica_value slope = mica_div(operand == 0 ? x : y, mica_add(mica_square(x), mica_square(y)));
  return operand == 0 ? mica_mul(t, slope) : mica_neg(mica_mul(t, slope));
}
POINTWISE(atan2, FLOAT, 2, mica_infer_equal, derive_atan2, NULL,
          "y [a...], x [a...] -> [a...]: the angle in [-pi, pi] of the point (x, y)")
mica_value mica_atan2(mica_value y, mica_value x) {
  MICA_ENTRY_OF(y, x);
  return mica_emit_broadcast(MICA_OP_ATAN2, (mica_value[2]){y, x}, 2, NULL);
}

static mica_value derive_hypot(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value r = rule->out[0], at_zero = mica_equal(r, 0);
  mica_value slope = mica_div(rule->in[operand], mica_select(at_zero, mica_ones_like(r), r));
  return mica_mul(t, slope); /* 0 at the origin */
}
POINTWISE_2(HYPOT, hypot, FLOAT, derive_hypot, NULL,
            "sqrt(x^2 + y^2) without overflow; infinite if either is, even beside NaN")

/* ---- sinc ------------------------------------------------------------------------------------ */

enum { SINC_TERMS = 8 };

/* sin or cos of pi x: of what is left of x beside the nearest whole number, which is exact, negated beside odd
 * ones. */
static mica_value wave_of_pi(mica_value (*function)(mica_value x), mica_value x) {
  mica_value whole = mica_round(x), half = mica_mul(whole, 0.5);
  mica_value odd = mica_not_equal(half, mica_round(half));
  mica_value wave = function(mica_mul(mica_sub(x, whole), PI));
  return mica_select(odd, mica_neg(wave), wave);
}

/* Near 0 the series of sin(u) / u in u^2 and its derivatives, elsewhere the quotient; u = pi x. The
 * operand of the branch that is not taken stays away from 0. */
static void expand_sinc(const mica_rule *rule, mica_value *out) {
  static const double series[SINC_TERMS] = {1,
                                            -1.0 / 6,
                                            1.0 / 120,
                                            -1.0 / 5040,
                                            1.0 / 362880,
                                            -1.0 / 39916800,
                                            1.0 / 6227020800,
                                            -1.0 / 1307674368000};
  mica_value x = mica_widen(rule->in[0]), near = mica_less(mica_abs(x), 0.25);
  mica_value u = mica_mul(x, PI), zero = mica_zeros_like(u), one = mica_ones_like(u);
  mica_value small = mica_polynomial(mica_square(mica_select(near, u, zero)), series, SINC_TERMS);
  mica_value far = mica_select(near, one, u), infinite = mica_is_inf(x);
  mica_value wave = wave_of_pi(mica_sin, mica_select(infinite, zero, x));
  mica_value y = mica_select(near, small, mica_div(wave, far));
  out[0] = mica_convert(mica_select(infinite, zero, y), mica_dtype_of(rule->in[0]));
}
/* (cos(pi x) - sinc(x)) / x; near 0, where that cancels, the derivative of the series. */
static mica_value derive_sinc(const mica_rule *rule, size_t operand, mica_value t) {
  static const double series[SINC_TERMS] = {
      -1.0 / 3,       1.0 / 30,        -1.0 / 840,         1.0 / 45360,
      -1.0 / 3991680, 1.0 / 518918400, -1.0 / 93405312000, 1.0 / 22230464256000};
  mica_value x = mica_widen(rule->in[operand]), near = mica_less(mica_abs(x), 0.25);
  mica_value u = mica_mul(x, PI), zero = mica_zeros_like(u), one = mica_ones_like(u);
  mica_value inside = mica_select(near, u, zero), far = mica_select(near, one, u);
  mica_value small = mica_mul(inside, mica_polynomial(mica_square(inside), series, SINC_TERMS));
  mica_value infinite = mica_is_inf(x), finite = mica_select(infinite, zero, x);
  mica_value share = mica_div(wave_of_pi(mica_sin, finite), far);
  mica_value bend = mica_sub(wave_of_pi(mica_cos, finite), share);
  mica_value slope = mica_mul(mica_select(near, small, mica_div(bend, far)), PI);
  slope = mica_select(infinite, zero, slope);
  return mica_convert(mica_mul(mica_widen(t), slope), mica_dtype_of(t));
}
POINTWISE_1(SINC, sinc, FLOAT, derive_sinc, expand_sinc,
            "sin(pi x) / (pi x), 1 at 0, 0 at infinity")
#undef PI
