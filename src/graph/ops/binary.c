/* SPDX-License-Identifier: Apache-2.0 */
/* binary.c: pointwise operators of two and three operands. At node level all operands have one
 * type; the builders broadcast as numpy does first, and take a plain number for the second
 * operand. */
#include "graph/ops/rules.h"

mica_value mica_emit_broadcast(mica_op op, mica_value *in, size_t count, const void *attr) {
  if (!mica_broadcast_operands(mica_op_definition(op)->name, in, count, 0))
    return mica_no_value(mica_graph_of(in, count));
  return mica_emit(in[0].graph, op, in, count, attr);
}

static mica_value emit_binary(mica_op op, mica_value x, mica_value y, const void *attr) {
  return mica_emit_broadcast(op, (mica_value[2]){x, y}, 2, attr);
}

static mica_value emit_binary_number(mica_op op, mica_value x, double y, const void *attr) {
  return emit_binary(op, x, mica_number_for(mica_op_definition(op)->name, x, y), attr);
}

#define BINARY(NAME, op_name, class, rule, text)           \
  const mica_op_def mica_op_##op_name = {                  \
      .name = #op_name,                                    \
      .kind = MICA_KIND_POINTWISE,                         \
      .dtypes = MICA_CLASS_##class,                        \
      .arity = 2,                                          \
      .results = 1,                                        \
      .formula = "x [a...], y [a...] -> [a...]: " text,    \
      .infer = mica_infer_equal,                           \
      .derivative = rule,                                  \
  };                                                       \
  mica_value(mica_##op_name)(mica_value x, mica_value y) { \
    MICA_ENTRY_OF(x, y);                                   \
    return emit_binary(MICA_OP_##NAME, x, y, NULL);        \
  }
#define BINARY_NUMBER(NAME, op_name)                           \
  mica_value mica_##op_name##_number(mica_value x, double y) { \
    MICA_ENTRY(x.graph);                                       \
    return emit_binary_number(MICA_OP_##NAME, x, y, NULL);     \
  }

/* ---- arithmetic ------------------------------------------------------------------------------ */

BINARY(ADD, add, NUMBER, mica_derivative_identity, "x + y; integers wrap")
BINARY_NUMBER(ADD, add)

static mica_value derive_sub(const mica_rule *rule, size_t operand, mica_value t) {
  (void)rule;
  return operand == 0 ? t : mica_neg(t);
}
BINARY(SUB, sub, NUMBER, derive_sub, "x - y; integers wrap")
BINARY_NUMBER(SUB, sub)

static mica_value derive_mul(const mica_rule *rule, size_t operand, mica_value t) {
  return mica_mul(t, rule->in[1 - operand]);
}
BINARY(MUL, mul, NUMBER, derive_mul, "x * y; integers wrap")
BINARY_NUMBER(MUL, mul)

static mica_value derive_div(const mica_rule *rule, size_t operand, mica_value t) {
  if (operand == 0) return mica_div(t, rule->in[1]);
  return mica_neg(mica_mul(t, mica_div(rule->out[0], rule->in[1])));
}
BINARY(DIV, div, NUMBER, derive_div,
       "x / y; integers truncate, x / 0 = -1, the smallest / -1 stays")
BINARY_NUMBER(DIV, div)

/* rem = x - trunc(x / y) * y. The quotient is taken from x - rem, whose quotient is whole, since
 * x / y may round up to a whole number that it does not reach. */
static mica_value derive_rem(const mica_rule *rule, size_t operand, mica_value t) {
  if (operand == 0) return t;
  mica_value whole = mica_round(mica_div(mica_sub(rule->in[0], rule->out[0]), rule->in[1]));
  return mica_neg(mica_mul(t, whole));
}
BINARY(REM, rem, REAL, derive_rem, "the rest of x / y with the sign of x; integers: x rem 0 = x")
BINARY_NUMBER(REM, rem)

/* d x^y / dx = y x^(y - 1), where 0^0 counts as flat (y x^(y - 1) would be 0 * infinity). */
static mica_value derive_pow_base(const mica_rule *rule, mica_value t) {
  mica_value x = rule->in[0], y = rule->in[1], slope;
  double exponent;
  if (mica_has_value(y) && mica_is_constant_number(rule->graph, y.id, &exponent)) {
    if (exponent == 0) return mica_no_value(rule->graph);
    if (exponent == 1) return t;
    slope = exponent == 2 ? x : mica_pow(x, exponent - 1);
    return mica_mul(t, mica_mul(slope, exponent));
  }
  mica_value flat = mica_and(mica_equal(x, 0), mica_equal(y, 0));
  slope = mica_pow(x, mica_select(flat, mica_ones_like(y), mica_sub(y, 1)));
  return mica_mul(t, mica_mul(y, slope));
}
/* d x^y / dy = log(x) x^y, and 0 where x = 0 (its limit for y > 0). */
static mica_value derive_pow(const mica_rule *rule, size_t operand, mica_value t) {
  if (operand == 0) return derive_pow_base(rule, t);
  mica_value x = rule->in[0];
  mica_value base = mica_select(mica_equal(x, 0), mica_ones_like(x), x);
  return mica_mul(t, mica_mul(mica_log(base), rule->out[0]));
}
BINARY(POW, pow, NUMBER, derive_pow, "x to the power of y; NaN for real x < 0 and y not whole")
BINARY_NUMBER(POW, pow)

/* t where x > y (max) or x < y (min), half of it at equal values, so that both operands share
 * it. */
static mica_value derive_extreme(mica_value t, mica_value wins, mica_value ties) {
  return mica_select(wins, t, mica_select(ties, mica_mul(t, 0.5), mica_zeros_like(t)));
}
static mica_value derive_max(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = rule->in[operand], y = rule->in[1 - operand];
  return derive_extreme(t, mica_greater(x, y), mica_equal(x, y));
}
BINARY(MAX, max, REAL, derive_max, "the larger one; NaN if either is")
BINARY_NUMBER(MAX, max)

static mica_value derive_min(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = rule->in[operand], y = rule->in[1 - operand];
  return derive_extreme(t, mica_less(x, y), mica_equal(x, y));
}
BINARY(MIN, min, REAL, derive_min, "the smaller one; NaN if either is")
BINARY_NUMBER(MIN, min)

/* ---- logic ----------------------------------------------------------------------------------- */

BINARY(AND, and, LOGICAL, mica_derivative_zero, "bool: x and y; integers: bit by bit")
BINARY(OR, or, LOGICAL, mica_derivative_zero, "bool: x or y; integers: bit by bit")
BINARY(XOR, xor, LOGICAL, mica_derivative_zero, "bool: x differs from y; integers: bit by bit")
#undef BINARY
#undef BINARY_NUMBER

/* ---- comparison ------------------------------------------------------------------------------ */

static const char *const compare_kinds[] = {"eq", "ne", "lt", "le", "gt", "ge", NULL};

static bool infer_compare(mica_infer *infer) {
  const mica_compare_attr *attr = infer->attr;
  mica_dtype dtype = infer->in[0].dtype;
  bool ordered = attr->kind != MICA_COMPARE_EQ && attr->kind != MICA_COMPARE_NE;
  if (attr->kind < MICA_COMPARE_EQ || attr->kind > MICA_COMPARE_GE)
    return mica_infer_fail(infer, "kind %d is unknown: expected eq, ne, lt, le, gt or ge",
                           (int)attr->kind);
  if (ordered && mica_dtype_is_complex(dtype))
    return mica_infer_fail(infer,
                           "complex numbers have no order: expected a real dtype, or eq or ne");
  return mica_infer_equal_types(infer, 0) &&
         mica_infer_one(infer, (mica_type){MICA_BOOL, infer->in[0].shape});
}
static const mica_attr_field compare_fields[] = {
    MICA_FIELD_ENUM(mica_compare_attr, kind, compare_kinds), MICA_FIELD_END};
const mica_op_def mica_op_compare = {
    .name = "compare",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_VALUE,
    .arity = 2,
    .results = 1,
    .attr_size = sizeof(mica_compare_attr),
    .fields = compare_fields,
    .formula = "x [a...], y [a...] -> bool [a...]: x kind y; with NaN all are false but ne",
    .infer = infer_compare,
    .derivative = mica_derivative_zero,
};

#define COMPARE(KIND, function)                                                                  \
  mica_value(mica_##function)(mica_value x, mica_value y) {                                      \
    MICA_ENTRY_OF(x, y);                                                                         \
    return emit_binary(MICA_OP_COMPARE, x, y, &(mica_compare_attr){MICA_COMPARE_##KIND});        \
  }                                                                                              \
  mica_value mica_##function##_number(mica_value x, double y) {                                  \
    MICA_ENTRY(x.graph);                                                                         \
    return emit_binary_number(MICA_OP_COMPARE, x, y, &(mica_compare_attr){MICA_COMPARE_##KIND}); \
  }
COMPARE(EQ, equal)
COMPARE(NE, not_equal)
COMPARE(LT, less)
COMPARE(LE, less_equal)
COMPARE(GT, greater)
COMPARE(GE, greater_equal)
#undef COMPARE

/* ---- select ---------------------------------------------------------------------------------- */

static bool infer_select(mica_infer *infer) {
  if (!mica_infer_equal_types(infer, 1)) return false;
  if (!mica_shape_equal(infer->in[0].shape, infer->in[1].shape))
    return mica_infer_fail(infer, "operands 0 and 1 have different shapes: expected equal ones");
  return mica_infer_one(infer, infer->in[1]);
}
static mica_value derive_select(const mica_rule *rule, size_t operand, mica_value t) {
  if (operand == 0) return mica_no_value(rule->graph);
  mica_value zero = mica_zeros_like(t);
  return operand == 1 ? mica_select(rule->in[0], t, zero) : mica_select(rule->in[0], zero, t);
}
const mica_op_def mica_op_select = {
    .name = "select",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_BOOL,
    .arity = 3,
    .results = 1,
    .formula = "condition bool [a...], x [a...], y [a...] -> [a...]: condition ? x : y",
    .infer = infer_select,
    .derivative = derive_select,
};
mica_value mica_select(mica_value condition, mica_value x, mica_value y) {
  MICA_ENTRY_OF(condition, x, y);
  mica_value in[3] = {condition, x, y};
  if (!mica_operands_usable("select", in, 3)) return mica_no_value(mica_graph_of(in, 3));
  if (mica_dtype_of(condition) != MICA_BOOL)
    return mica_fail_operator(
        condition.graph, "select", in, 3,
        "operand 0 is the condition: expected dtype bool (a comparison makes it)");
  if (!mica_broadcast_operands("select", in, 3, 1)) return mica_no_value(condition.graph);
  return mica_emit(condition.graph, MICA_OP_SELECT, in, 3, NULL);
}
