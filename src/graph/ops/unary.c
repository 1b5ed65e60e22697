/* SPDX-License-Identifier: Apache-2.0 */
/* unary.c: pointwise operators of one operand.
 *
 * `derivative` gives t * f'(x), which serves forward and reverse mode alike since the Jacobian
 * is diagonal. Where f' is a function of the result (exp, tanh, sqrt ...) it is written with
 * `out`, which is in memory anyway. Rules for complex x hold where f is holomorphic. Operators
 * that are flat (floor, sign ...) and those of integers have a derivative of zero, so they never
 * stop a gradient. */
#include "graph/ops/rules.h"

static mica_value emit_unary(mica_op op, mica_value x) {
  return mica_emit(x.graph, op, &x, 1, NULL);
}

/* One row: NAME of the op, name, dtype class, derivative rule, formula. */
#define UNARY(NAME, op_name, class, rule, text) \
  const mica_op_def mica_op_##op_name = {       \
      .name = #op_name,                         \
      .kind = MICA_KIND_POINTWISE,              \
      .dtypes = MICA_CLASS_##class,             \
      .arity = 1,                               \
      .results = 1,                             \
      .formula = "x [a...] -> [a...]: " text,   \
      .infer = mica_infer_same,                 \
      .derivative = rule,                       \
  };                                            \
  mica_value mica_##op_name(mica_value x) {     \
    MICA_ENTRY(x.graph);                        \
    return emit_unary(MICA_OP_##NAME, x);       \
  }

static mica_value derive_neg(const mica_rule *rule, size_t operand, mica_value t) {
  (void)rule, (void)operand;
  return mica_neg(t);
}
UNARY(NEG, neg, NUMBER, derive_neg, "-x; integers wrap")

/* 0 at 0. Of a complex number the tangent is Re(conj(x) t) / |x|, and a cotangent c, which is real, gives
 * c conj(x) / |x| (complex.c says how they pair). */
static mica_value derive_abs(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value direction = mica_sign(rule->in[operand]);
  if (!mica_dtype_is_complex(mica_dtype_of(direction))) return mica_mul(t, direction);
  bool tangent = mica_dtype_is_complex(mica_dtype_of(t));
  mica_value turned = mica_conj(direction);
  if (tangent) return mica_real(mica_mul(t, turned));
  return mica_mul(mica_convert(t, mica_dtype_of(turned)), turned);
}
static bool infer_abs(mica_infer *infer) {
  mica_type type = infer->in[0];
  if (type.dtype == MICA_C64) type.dtype = MICA_F32;
  if (type.dtype == MICA_C128) type.dtype = MICA_F64;
  return mica_infer_one(infer, type);
}
const mica_op_def mica_op_abs = {
    .name = "abs",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_NUMBER,
    .arity = 1,
    .results = 1,
    .formula = "x [a...] -> [a...]: |x|, real; the smallest integer stays",
    .infer = infer_abs,
    .derivative = derive_abs,
};
mica_value mica_abs(mica_value x) {
  MICA_ENTRY(x.graph);
  return emit_unary(MICA_OP_ABS, x);
}

const mica_op_def mica_op_sign = {
    .name = "sign",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_REAL,
    .arity = 1,
    .results = 1,
    .formula = "x [a...] -> [a...]: -1, 0 or 1 by the sign of x; NaN stays, -0 stays",
    .infer = mica_infer_same,
    .derivative = mica_derivative_zero,
};
/* A complex number's is x / |x|, and 0 at 0; its derivative is that of the quotient. */
mica_value mica_sign(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("sign", &x, 1)) return mica_no_value(x.graph);
  if (!mica_dtype_is_complex(mica_dtype_of(x))) return emit_unary(MICA_OP_SIGN, x);
  mica_value size = mica_abs(x);
  size = mica_select(mica_equal(size, 0), mica_ones_like(size), size);
  return mica_div(x, mica_convert(size, mica_dtype_of(x)));
}

static mica_value derive_exp(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_mul(t, rule->out[0]);
}
UNARY(EXP, exp, INEXACT, derive_exp, "e^x")

static mica_value derive_expm1(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_mul(t, mica_add(rule->out[0], 1));
}
UNARY(EXPM1, expm1, INEXACT, derive_expm1, "e^x - 1, exact near 0")

static mica_value derive_log(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_div(t, rule->in[operand]);
}
UNARY(LOG, log, INEXACT, derive_log, "the natural logarithm of x; NaN below 0 for real x")

static mica_value derive_log1p(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_div(t, mica_add(rule->in[operand], 1));
}
UNARY(LOG1P, log1p, INEXACT, derive_log1p, "log(1 + x), exact near 0")

/* 1 - y^2 as (1 - y)(1 + y), which keeps its digits where |y| is nearly 1. */
static mica_value derive_tanh(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  mica_value y = rule->out[0], one = mica_ones_like(y);
  return mica_mul(mica_mul(t, mica_sub(one, y)), mica_add(one, y));
}
UNARY(TANH, tanh, INEXACT, derive_tanh, "tanh(x)")

static mica_value derive_logistic(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  mica_value y = rule->out[0];
  return mica_mul(t, mica_mul(y, mica_sub(mica_ones_like(y), y)));
}
UNARY(LOGISTIC, logistic, INEXACT, derive_logistic, "1 / (1 + e^-x)")

static mica_value derive_erf(const mica_rule *rule, size_t operand, mica_value t) {
  const double two_over_root_pi = 1.1283791670955126;
  mica_value x = rule->in[operand];
  return mica_mul(t, mica_mul(mica_exp(mica_neg(mica_mul(x, x))), two_over_root_pi));
}
UNARY(ERF, erf, FLOAT, derive_erf, "2 / sqrt(pi) * integral of e^(-u^2) for u = 0 .. x")

static mica_value derive_sqrt(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_div(mica_mul(t, 0.5), rule->out[0]); /* infinite at 0, as the slope is */
}
UNARY(SQRT, sqrt, INEXACT, derive_sqrt, "the square root of x; NaN below 0 for real x")

static mica_value derive_rsqrt(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  mica_value y = rule->out[0];
  return mica_mul(mica_mul(mica_mul(t, -0.5), y), mica_mul(y, y));
}
UNARY(RSQRT, rsqrt, INEXACT, derive_rsqrt, "1 / sqrt(x)")

static mica_value derive_sin(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, mica_cos(rule->in[operand]));
}
UNARY(SIN, sin, INEXACT, derive_sin, "sin(x)")

static mica_value derive_cos(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_neg(mica_mul(t, mica_sin(rule->in[operand])));
}
UNARY(COS, cos, INEXACT, derive_cos, "cos(x)")

UNARY(FLOOR, floor, FLOAT, mica_derivative_zero, "the largest whole number not above x")
UNARY(CEIL, ceil, FLOAT, mica_derivative_zero, "the smallest whole number not below x")
UNARY(ROUND, round, FLOAT, mica_derivative_zero, "the nearest whole number, ties to the even one")
UNARY(NOT, not, LOGICAL, mica_derivative_zero, "bool: !x; integers: all bits flipped")
UNARY(STOP_GRADIENT, stop_gradient, ANY, mica_derivative_zero, "x, with derivative 0")
#undef UNARY

/* ---- those of another type or with attributes ------------------------------------------------ */

static bool infer_is_finite(mica_infer *infer) {
  return mica_infer_one(infer, (mica_type){MICA_BOOL, infer->in[0].shape});
}
const mica_op_def mica_op_is_finite = {
    .name = "is_finite",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 1,
    .results = 1,
    .formula = "x [a...] -> bool [a...]: neither infinite nor NaN",
    .infer = infer_is_finite,
    .derivative = mica_derivative_zero,
};
mica_value mica_is_finite(mica_value x) {
  MICA_ENTRY(x.graph);
  return emit_unary(MICA_OP_IS_FINITE, x);
}

static bool infer_convert(mica_infer *infer) {
  const mica_convert_attr *attr = infer->attr;
  return mica_infer_one(infer, (mica_type){attr->dtype, infer->in[0].shape});
}
static bool carries_derivative(mica_dtype dtype) {
  return mica_dtype_is_float(dtype) || mica_dtype_is_complex(dtype);
}
/* Tangents have the operand's dtype, cotangents the result's: each goes to the other side. */
static mica_value derive_convert(const mica_rule *rule, size_t operand, mica_value t) {
  mica_dtype from = mica_dtype_of(rule->in[operand]), to = mica_dtype_of(rule->out[0]);
  if (!carries_derivative(from) || !carries_derivative(to)) return mica_no_value(rule->graph);
  return mica_convert(t, mica_dtype_of(t) == from ? to : from);
}
static const mica_attr_field convert_fields[] = {MICA_FIELD(mica_convert_attr, dtype, DTYPE),
                                                 MICA_FIELD_END};
const mica_op_def mica_op_convert = {
    .name = "convert",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_ANY,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_convert_attr),
    .fields = convert_fields,
    .formula =
        "x [a...] -> dtype [a...]: the same numbers, rounded to nearest even, saturated, wrapped "
        "(mica_convert_elements)",
    .infer = infer_convert,
    .derivative = derive_convert,
};
mica_value mica_convert(mica_value x, mica_dtype dtype) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("convert", &x, 1)) return mica_no_value(x.graph);
  if (mica_dtype_of(x) == dtype) return x;
  mica_convert_attr attr = {.dtype = dtype};
  return mica_emit(x.graph, MICA_OP_CONVERT, &x, 1, &attr);
}

static bool infer_mark(mica_infer *infer) {
  const mica_mark_attr *attr = infer->attr;
  if (!attr->label) return mica_infer_fail(infer, "the label is NULL: expected a text");
  return mica_infer_one(infer, infer->in[0]);
}
static const mica_attr_field mark_fields[] = {MICA_FIELD(mica_mark_attr, label, TEXT),
                                              MICA_FIELD_END};
const mica_op_def mica_op_mark = {
    .name = "mark",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_ANY,
    .arity = 1,
    .results = 1,
    .effect = true,
    .attr_size = sizeof(mica_mark_attr),
    .fields = mark_fields,
    .formula = "x [a...] -> [a...]: x, which is reported to the log after the run",
    .infer = infer_mark,
    .derivative = mica_derivative_identity,
};
mica_value mica_mark(mica_value x, const char *label) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("mark", &x, 1)) return mica_no_value(x.graph);
  mica_mark_attr attr = {.label = label ? mica_arena_text(&x.graph->arena, label) : NULL};
  if (label && !attr.label) return mica_fail(x.graph, MICA_OUT_OF_MEMORY, "out of memory");
  return mica_emit(x.graph, MICA_OP_MARK, &x, 1, &attr);
}
