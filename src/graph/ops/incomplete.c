/* SPDX-License-Identifier: Apache-2.0 */
/* incomplete.c: the regularized incomplete gamma and beta functions (DLMF 8.2, 8.17), which are the
 * cumulative distributions of the gamma and beta distributions.
 *
 * Their derivative by x is the density. Those by the parameters a and b have no formula: operators of their
 * own (igamma_slope, betainc_slope) compute them along with the series and continued fractions. What is
 * differentiated by a parameter once more is a central difference of the slope, right to about
 * 2^-16 of its size in f32 and 2^-34 in f64. */
#include "graph/ops/pointwise.h"

/* (op(.., p + h, ..) - op(.., p - h, ..)) / 2 h by operand p; h is p times a power of 2 near the cube root
 * of the dtype's precision, where rounding and curvature do about the same harm. */
static mica_value central_difference(const mica_rule *rule, mica_op op, size_t operand) {
  mica_value in[3] = {{0}}, low[3], high[3];
  for (size_t i = 0; i < rule->in_count && i < 3; i++)
    low[i] = high[i] = in[i] = mica_widen(rule->in[i]);
  mica_value p = in[operand];
  mica_value h = mica_mul(p, mica_dtype_of(p) == MICA_F64 ? 0x1p-17 : 0x1p-8);
  low[operand] = mica_sub(p, h);
  high[operand] = mica_add(p, h);
  mica_value difference = mica_sub(mica_emit(rule->graph, op, high, rule->in_count, rule->attr),
                                   mica_emit(rule->graph, op, low, rule->in_count, rule->attr));
  return mica_div(difference, mica_mul(h, 2));
}
static mica_value times_slope(mica_value t, mica_value slope) {
  return mica_convert(mica_mul(mica_widen(t), slope), mica_dtype_of(t));
}

/* ---- gamma ----------------------------------------------------------------------------------- */

/* x^(a - 1) e^-x / gamma(a) */
static mica_value gamma_density(mica_value a, mica_value x) {
  mica_value power = mica_xlogy(mica_sub(a, 1), x);
  return mica_exp(mica_sub(mica_sub(power, x), mica_lgamma(a)));
}
static mica_value igamma_rule(const mica_rule *rule, size_t operand) {
  mica_value in[2] = {mica_widen(rule->in[0]), mica_widen(rule->in[1])};
  return operand == 0 ? mica_emit(rule->graph, MICA_OP_IGAMMA_SLOPE, in, 2, NULL)
                      : gamma_density(in[0], in[1]);
}
static mica_value derive_igamma(const mica_rule *rule, size_t operand, mica_value t) {
  return times_slope(t, igamma_rule(rule, operand));
}
POINTWISE(igamma, FLOAT, 2, mica_infer_equal, derive_igamma, NULL,
          "a [s...], x [s...] -> [s...]: integral of u^(a - 1) e^-u for u = 0 .. x, over gamma(a)")
mica_value mica_igamma(mica_value a, mica_value x) {
  MICA_ENTRY_OF(a, x);
  return mica_emit_broadcast(MICA_OP_IGAMMA, (mica_value[2]){a, x}, 2, NULL);
}

static mica_value derive_igammac(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_neg(times_slope(t, igamma_rule(rule, operand)));
}
POINTWISE(igammac, FLOAT, 2, mica_infer_equal, derive_igammac, NULL,
          "a [s...], x [s...] -> [s...]: 1 - igamma(a, x), with all its digits where x is large")
mica_value mica_igammac(mica_value a, mica_value x) {
  MICA_ENTRY_OF(a, x);
  return mica_emit_broadcast(MICA_OP_IGAMMAC, (mica_value[2]){a, x}, 2, NULL);
}

static mica_value derive_igamma_slope(const mica_rule *rule, size_t operand, mica_value t) {
  if (operand == 0) return times_slope(t, central_difference(rule, MICA_OP_IGAMMA_SLOPE, 0));
  mica_value a = mica_widen(rule->in[0]), x = mica_widen(rule->in[1]);
  mica_value bend = mica_sub(mica_log(x), mica_digamma(a));
  return times_slope(t, mica_mul(gamma_density(a, x), bend));
}
POINTWISE(igamma_slope, FLOAT, 2, mica_infer_equal, derive_igamma_slope, NULL,
          "a [s...], x [s...] -> [s...]: the derivative of igamma(a, x) by a")

/* ---- beta ------------------------------------------------------------------------------------ */

/* x^(a - 1) (1 - x)^(b - 1) gamma(a + b) / gamma(a) / gamma(b) */
static mica_value beta_density(mica_value a, mica_value b, mica_value x) {
  mica_value power =
      mica_add(mica_xlogy(mica_sub(a, 1), x), mica_xlog1py(mica_sub(b, 1), mica_neg(x)));
  mica_value scale =
      mica_sub(mica_lgamma(mica_add(a, b)), mica_add(mica_lgamma(a), mica_lgamma(b)));
  return mica_exp(mica_add(power, scale));
}
static mica_value derive_betainc(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value in[3];
  for (size_t i = 0; i < 3; i++) in[i] = mica_widen(rule->in[i]);
  if (operand == 2) return times_slope(t, beta_density(in[0], in[1], in[2]));
  mica_betainc_slope_attr attr = {.parameter = (int64_t)operand};
  return times_slope(t, mica_emit(rule->graph, MICA_OP_BETAINC_SLOPE, in, 3, &attr));
}
POINTWISE(
    betainc, FLOAT, 3, mica_infer_equal, derive_betainc, NULL,
    "a [s...], b [s...], x [s...] -> [s...]: integral of u^(a - 1) (1 - u)^(b - 1) for u = 0 .. "
    "x, over that for 0 .. 1")
mica_value mica_betainc(mica_value a, mica_value b, mica_value x) {
  MICA_ENTRY_OF(a, b, x);
  return mica_emit_broadcast(MICA_OP_BETAINC, (mica_value[3]){a, b, x}, 3, NULL);
}

static bool infer_betainc_slope(mica_infer *infer) {
  const mica_betainc_slope_attr *attr = infer->attr;
  if (attr->parameter != 0 && attr->parameter != 1)
    return mica_infer_fail(infer, "parameter %lld: expected 0 (a) or 1 (b)",
                           (long long)attr->parameter);
  return mica_infer_equal(infer);
}
/* By x the density times the derivative of its logarithm by the parameter. */
static mica_value derive_betainc_slope(const mica_rule *rule, size_t operand, mica_value t) {
  const mica_betainc_slope_attr *attr = rule->attr;
  if (operand < 2) return times_slope(t, central_difference(rule, MICA_OP_BETAINC_SLOPE, operand));
  mica_value a = mica_widen(rule->in[0]), b = mica_widen(rule->in[1]), x = mica_widen(rule->in[2]);
  mica_value weight = attr->parameter == 0 ? mica_log(x) : mica_log1p(mica_neg(x));
  mica_value own = mica_digamma(attr->parameter == 0 ? a : b);
  mica_value bend = mica_add(mica_sub(weight, own), mica_digamma(mica_add(a, b)));
  return times_slope(t, mica_mul(beta_density(a, b, x), bend));
}
static const mica_attr_field betainc_slope_fields[] = {
    MICA_FIELD(mica_betainc_slope_attr, parameter, I64), MICA_FIELD_END};
const mica_op_def mica_op_betainc_slope = {
    .name = "betainc_slope",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 3,
    .results = 1,
    .attr_size = sizeof(mica_betainc_slope_attr),
    .fields = betainc_slope_fields,
    .formula =
        "a [s...], b [s...], x [s...] -> [s...]: the derivative of betainc(a, b, x) by a or b",
    .infer = infer_betainc_slope,
    .derivative = derive_betainc_slope,
};
