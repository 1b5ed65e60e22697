/* SPDX-License-Identifier: Apache-2.0 */
/* special.c: error functions, the gamma function's logarithm and its derivatives, modified Bessel
 * functions. Numbers follow NIST's Digital Library of Mathematical Functions (DLMF). */
#include "graph/ops/pointwise.h"

/* ---- error functions (DLMF 7.2) -------------------------------------------------------------- */

#define TWO_OVER_ROOT_PI 1.12837916709551257
#define HALF_ROOT_OF_PI  0.886226925452758014

static mica_value derive_erfc(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value bell = mica_exp(mica_neg(mica_square(rule->in[operand])));
  return mica_mul(t, mica_mul(bell, -TWO_OVER_ROOT_PI));
}
POINTWISE_1(ERFC, erfc, FLOAT, derive_erfc, NULL,
            "1 - erf(x), with all its digits where x is large")

static mica_value derive_erf_inv(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_mul(t, mica_mul(mica_exp(mica_square(rule->out[0])), HALF_ROOT_OF_PI));
}
POINTWISE_1(ERF_INV, erf_inv, FLOAT, derive_erf_inv, NULL,
            "y with erf(y) = x; infinite at 1 and -1, NaN beyond")
#undef TWO_OVER_ROOT_PI
#undef HALF_ROOT_OF_PI

/* ---- gamma (DLMF 5) -------------------------------------------------------------------------- */

static mica_value derive_lgamma(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_digamma(rule->in[operand]));
}
POINTWISE_1(LGAMMA, lgamma, FLOAT, derive_lgamma, NULL, "log |gamma(x)|; infinite at 0, -1, -2 ..")

static mica_value derive_digamma(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_polygamma(1, rule->in[operand]));
}
POINTWISE_1(DIGAMMA, digamma, FLOAT, derive_digamma, NULL,
            "the derivative of log gamma(x); -infinity at 0, NaN at -1, -2 ..")

static bool infer_polygamma(mica_infer *infer) {
  const mica_polygamma_attr *attr = infer->attr;
  if (attr->order < 1 || attr->order > MICA_POLYGAMMA_MOST)
    return mica_infer_fail(infer, "order %lld: expected 1 to %d (digamma is order 0)",
                           (long long)attr->order, MICA_POLYGAMMA_MOST);
  return mica_infer_one(infer, infer->in[0]);
}
static mica_value derive_polygamma(const mica_rule *rule, size_t operand, mica_value t) {
  const mica_polygamma_attr *attr = rule->attr;
  return mica_mul(t, mica_polygamma((int32_t)attr->order + 1, rule->in[operand]));
}
static const mica_attr_field polygamma_fields[] = {MICA_FIELD(mica_polygamma_attr, order, I64),
                                                   MICA_FIELD_END};
const mica_op_def mica_op_polygamma = {
    .name = "polygamma",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_polygamma_attr),
    .fields = polygamma_fields,
    .formula = "x [a...] -> [a...]: the derivative of that order of digamma(x)",
    .infer = infer_polygamma,
    .derivative = derive_polygamma,
};
mica_value mica_polygamma(int32_t order, mica_value x) {
  MICA_ENTRY(x.graph);
  if (order == 0) return mica_digamma(x);
  mica_polygamma_attr attr = {.order = order};
  return mica_emit(x.graph, MICA_OP_POLYGAMMA, &x, 1, &attr);
}

/* ---- modified Bessel functions of order 0 and 1 (DLMF 10.25) --------------------------------- */

/* f / x, and 1 / 2 at 0, the limit of I1(x) / x. */
static mica_value over_x(mica_value f, mica_value x) {
  mica_value at_zero = mica_equal(x, 0), one = mica_ones_like(x);
  return mica_select(at_zero, mica_full_like(x, 0.5), mica_div(f, mica_select(at_zero, one, x)));
}
static mica_value derive_bessel_i0e(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = rule->in[operand];
  mica_value turn = mica_mul(mica_sign(x), rule->out[0]);
  return mica_mul(t, mica_sub(mica_bessel_i1e(x), turn));
}
POINTWISE_1(BESSEL_I0E, bessel_i0e, FLOAT, derive_bessel_i0e, NULL, "e^-|x| I0(x)")

static mica_value derive_bessel_i1e(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = rule->in[operand], y = rule->out[0];
  mica_value bend = mica_sub(mica_bessel_i0e(x), over_x(y, x));
  return mica_mul(t, mica_sub(bend, mica_mul(mica_sign(x), y)));
}
POINTWISE_1(BESSEL_I1E, bessel_i1e, FLOAT, derive_bessel_i1e, NULL, "e^-|x| I1(x)")

/* The exponential comes in two halves, since it overflows before the product does. */
static mica_value unscaled(mica_value scaled, mica_value x) {
  mica_value half = mica_exp(mica_mul(mica_abs(x), 0.5));
  return mica_mul(mica_mul(scaled, half), half);
}
/* e^|x| times 0 at infinity would be NaN. */
static mica_value bessel_of(mica_value narrow, bool first) {
  mica_value x = mica_widen(narrow), infinite = mica_is_inf(x);
  mica_value inside = mica_select(infinite, mica_ones_like(x), x);
  mica_value scaled = first ? mica_bessel_i1e(inside) : mica_bessel_i0e(inside);
  mica_value limit = first ? x : mica_abs(x);
  return mica_convert(mica_select(infinite, limit, unscaled(scaled, inside)),
                      mica_dtype_of(narrow));
}
static void expand_bessel_i0(const mica_rule *rule, mica_value *out) {
  out[0] = bessel_of(rule->in[0], false);
}
static mica_value derive_bessel_i0(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_bessel_i1(rule->in[operand]));
}
POINTWISE_1(BESSEL_I0, bessel_i0, FLOAT, derive_bessel_i0, expand_bessel_i0,
            "the modified Bessel function of the first kind of order 0")

static void expand_bessel_i1(const mica_rule *rule, mica_value *out) {
  out[0] = bessel_of(rule->in[0], true);
}
static mica_value derive_bessel_i1(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = rule->in[operand];
  return mica_mul(t, mica_sub(mica_bessel_i0(x), over_x(rule->out[0], x)));
}
POINTWISE_1(BESSEL_I1, bessel_i1, FLOAT, derive_bessel_i1, expand_bessel_i1,
            "the modified Bessel function of the first kind of order 1")
