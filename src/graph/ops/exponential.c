/* SPDX-License-Identifier: Apache-2.0 */
/* exponential.c: powers and logarithms of other bases, and the sums and products of logarithms that
 * likelihoods are made of. The composites compute f16 and bf16 in f32 and round once. */
#include "graph/ops/pointwise.h"

#define LN2  0.693147180559945309
#define LN10 2.30258509299404568

static mica_value derive_exp2(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_mul(t, mica_mul(rule->out[0], LN2));
}
POINTWISE_1(EXP2, exp2, FLOAT, derive_exp2, NULL, "2^x")

static mica_value derive_log2(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_div(t, mica_mul(rule->in[operand], LN2));
}
POINTWISE_1(LOG2, log2, FLOAT, derive_log2, NULL, "the logarithm to base 2; NaN below 0")

static mica_value derive_log10(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_div(t, mica_mul(rule->in[operand], LN10));
}
POINTWISE_1(LOG10, log10, FLOAT, derive_log10, NULL, "the logarithm to base 10; NaN below 0")

static mica_value derive_cbrt(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_div(t, mica_mul(mica_square(rule->out[0]), 3)); /* infinite at 0, as the slope is */
}
POINTWISE_1(CBRT, cbrt, FLOAT, derive_cbrt, NULL, "the cube root of x, of the sign of x")

/* max(x, 0) + log1p(exp(-|x|)) does not overflow. */
static void expand_softplus(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]);
  mica_value y = mica_add(mica_max(x, 0), mica_log1p(mica_exp(mica_neg(mica_abs(x)))));
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}
static mica_value derive_softplus(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_logistic(rule->in[operand]));
}
POINTWISE_1(SOFTPLUS, softplus, FLOAT, derive_softplus, expand_softplus, "log(1 + e^x)")

/* log(x / (1 - x)); near 1/2, where the quotient is nearly 1, as 2 atanh(2 x - 1), whose argument is
 * exact. */
static void expand_logit(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]), one = mica_ones_like(x);
  mica_value middle = mica_less(mica_abs(mica_sub(x, 0.5)), 0.1875);
  mica_value inner = mica_select(middle, mica_sub(mica_mul(x, 2), 1), mica_zeros_like(x));
  mica_value outer = mica_log(mica_div(x, mica_sub(one, x)));
  mica_value y = mica_select(middle, mica_mul(mica_atanh(inner), 2), outer);
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}
static mica_value derive_logit(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = mica_widen(rule->in[operand]);
  mica_value slope = mica_reciprocal(mica_mul(x, mica_sub(mica_ones_like(x), x)));
  return mica_convert(mica_mul(mica_widen(t), slope), mica_dtype_of(t));
}
POINTWISE_1(LOGIT, logit, FLOAT, derive_logit, expand_logit,
            "log(x / (1 - x)); -infinity at 0, infinity at 1, NaN beyond")

/* max + log1p(exp(-|x - y|)); equal infinities have no difference, so it is taken as 0 there. */
static void expand_logaddexp(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]), y = mica_widen(rule->in[1]), zero = mica_zeros_like(x);
  mica_value apart = mica_select(mica_equal(x, y), zero, mica_abs(mica_sub(x, y)));
  mica_value sum = mica_add(mica_max(x, y), mica_log1p(mica_exp(mica_neg(apart))));
  out[0] = mica_convert(sum, mica_dtype_of(rule->in[0]));
}
static mica_value derive_logaddexp(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = mica_widen(rule->in[operand]), y = mica_widen(rule->in[1 - operand]);
  mica_value apart = mica_select(mica_equal(x, y), mica_zeros_like(x), mica_sub(x, y));
  return mica_convert(mica_mul(mica_widen(t), mica_logistic(apart)), mica_dtype_of(t));
}
POINTWISE_2(LOGADDEXP, logaddexp, FLOAT, derive_logaddexp, expand_logaddexp,
            "log(e^x + e^y) without overflow")

/* x f(y), and 0 where x = 0 and y is a number, even where f is infinite. */
static mica_value product_or_zero(mica_value x, mica_value y, mica_value f) {
  mica_value none = mica_and(mica_equal(x, 0), mica_not(mica_is_nan(y)));
  mica_value zero = mica_zeros_like(x);
  return mica_select(none, zero, mica_mul(x, mica_select(none, zero, f)));
}
/* x / y, and 0 for 0 / 0. */
static mica_value quotient_or_zero(mica_value x, mica_value y) {
  mica_value none = mica_and(mica_equal(x, 0), mica_equal(y, 0));
  return mica_div(x, mica_select(none, mica_ones_like(y), y));
}
static void expand_xlogy(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]), y = mica_widen(rule->in[1]);
  out[0] = mica_convert(product_or_zero(x, y, mica_log(y)), mica_dtype_of(rule->in[0]));
}
static mica_value derive_xlogy(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = mica_widen(rule->in[0]), y = mica_widen(rule->in[1]);
  mica_value slope = operand == 0 ? mica_log(y) : quotient_or_zero(x, y);
  return mica_convert(mica_mul(mica_widen(t), slope), mica_dtype_of(t));
}
POINTWISE_2(XLOGY, xlogy, FLOAT, derive_xlogy, expand_xlogy, "x log(y), 0 where x = 0")

static void expand_xlog1py(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]), y = mica_widen(rule->in[1]);
  out[0] = mica_convert(product_or_zero(x, y, mica_log1p(y)), mica_dtype_of(rule->in[0]));
}
static mica_value derive_xlog1py(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = mica_widen(rule->in[0]), y = mica_widen(rule->in[1]);
  mica_value slope = operand == 0 ? mica_log1p(y) : quotient_or_zero(x, mica_add(y, 1));
  return mica_convert(mica_mul(mica_widen(t), slope), mica_dtype_of(t));
}
POINTWISE_2(XLOG1PY, xlog1py, FLOAT, derive_xlog1py, expand_xlog1py, "x log(1 + y), 0 where x = 0")
#undef LN2
#undef LN10
