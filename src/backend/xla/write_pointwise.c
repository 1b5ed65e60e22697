/* SPDX-License-Identifier: Apache-2.0 */
/* write_pointwise.c: the operators whose whole text is a name, and those whose name is not enough: XLA's own answer
 * is wrong at some values, which are put right here (each is shown on the plugins by unit.backend.xla.defects). */
#include "backend/xla/writer_internal.h"

#include <math.h>

/* Of StableHLO, or of CHLO, which every plugin takes apart by itself. */
static const char *const plain_names[MICA_OP_COUNT] = {
    [MICA_OP_NEG] = "stablehlo.negate",
    [MICA_OP_ABS] = "stablehlo.abs",
    [MICA_OP_SIGN] = "stablehlo.sign",
    [MICA_OP_EXP] = "stablehlo.exponential",
    [MICA_OP_EXPM1] = "stablehlo.exponential_minus_one",
    [MICA_OP_LOG] = "stablehlo.log",
    [MICA_OP_LOG1P] = "stablehlo.log_plus_one",
    [MICA_OP_TANH] = "stablehlo.tanh",
    [MICA_OP_LOGISTIC] = "stablehlo.logistic",
    [MICA_OP_ERF] = "chlo.erf",
    [MICA_OP_RSQRT] = "stablehlo.rsqrt",
    [MICA_OP_CBRT] = "stablehlo.cbrt",
    [MICA_OP_SIN] = "stablehlo.sine",
    [MICA_OP_COS] = "stablehlo.cosine",
    [MICA_OP_TAN] = "stablehlo.tan",
    [MICA_OP_ASIN] = "chlo.asin",
    [MICA_OP_ACOS] = "chlo.acos",
    [MICA_OP_SINH] = "chlo.sinh",
    [MICA_OP_COSH] = "chlo.cosh",
    [MICA_OP_ASINH] = "chlo.asinh",
    [MICA_OP_ACOSH] = "chlo.acosh",
    [MICA_OP_ATANH] = "chlo.atanh",
    [MICA_OP_ATAN2] = "stablehlo.atan2",
    [MICA_OP_ERFC] = "chlo.erfc",
    [MICA_OP_ERF_INV] = "chlo.erf_inv",
    [MICA_OP_LGAMMA] = "chlo.lgamma",
    [MICA_OP_BESSEL_I1E] = "chlo.bessel_i1e",
    [MICA_OP_FLOOR] = "stablehlo.floor",
    [MICA_OP_CEIL] = "stablehlo.ceil",
    [MICA_OP_ROUND] = "stablehlo.round_nearest_even",
    [MICA_OP_NOT] = "stablehlo.not",
    [MICA_OP_IS_FINITE] = "stablehlo.is_finite",
    [MICA_OP_ADD] = "stablehlo.add",
    [MICA_OP_SUB] = "stablehlo.subtract",
    [MICA_OP_MUL] = "stablehlo.multiply",
    [MICA_OP_DIV] = "stablehlo.divide",
    [MICA_OP_REM] = "stablehlo.remainder",
    [MICA_OP_MAX] = "stablehlo.maximum",
    [MICA_OP_MIN] = "stablehlo.minimum",
    [MICA_OP_AND] = "stablehlo.and",
    [MICA_OP_OR] = "stablehlo.or",
    [MICA_OP_XOR] = "stablehlo.xor",
    [MICA_OP_SELECT] = "stablehlo.select",
    [MICA_OP_SHIFT_LEFT] = "stablehlo.shift_left",
    [MICA_OP_SHIFT_RIGHT_LOGICAL] = "stablehlo.shift_right_logical",
    [MICA_OP_SHIFT_RIGHT_ARITHMETIC] = "stablehlo.shift_right_arithmetic",
    [MICA_OP_POPCOUNT] = "stablehlo.popcnt",
    [MICA_OP_COUNT_LEADING_ZEROS] = "stablehlo.count_leading_zeros",
    [MICA_OP_BITCAST] = "stablehlo.bitcast_convert",
    [MICA_OP_REAL] = "stablehlo.real",
    [MICA_OP_IMAG] = "stablehlo.imag",
    [MICA_OP_COMPLEX] = "stablehlo.complex",
    [MICA_OP_RESHAPE] = "stablehlo.reshape",
};

const char *mica_xla_plain_name(mica_op op) { return plain_names[op]; }

/* ---- names that are not enough --------------------------------------------------------------- */

/* XLA makes a selection of a product with a converted truth value, by which 0 times NaN is 0: it is selected here,
 * which XLA leaves alone. */
static void emit_conversion(xla_writer *w, uint32_t id) {
  xla_ref x = mica_xla_operand(w, id, 0);
  mica_type type = mica_xla_type_of(w, id);
  bool number = mica_dtype_is_complex(type.dtype) ||
                (mica_dtype_is_float(type.dtype) && mica_dtype_bits(type.dtype) >= 16);
  xla_ref out =
      x.type.dtype == MICA_BOOL && number
          ? mica_xla_select(w, x, mica_xla_filled(w, type, 1), mica_xla_filled(w, type, 0))
          : mica_xla_emit_1(w, "stablehlo.convert", type, x);
  out.type = type;
  mica_xla_define(w, id, out);
}

/* The same angle where the compiler spoils atan on vectors. */
static void emit_atan(xla_writer *w, uint32_t id) {
  xla_ref x = mica_xla_operand(w, id, 0);
  mica_type type = mica_xla_type_of(w, id);
  xla_ref out;
  if (w->module->atan_by_two && mica_dtype_is_float(type.dtype)) {
    x = mica_xla_emit_2(w, "stablehlo.add", type, x, x);
    out = mica_xla_emit_2(w, "stablehlo.atan2", type, x, mica_xla_filled(w, type, 2));
  } else {
    out = mica_xla_emit_1(w, "chlo.atan", type, x);
  }
  mica_xla_define(w, id, out);
}

/* Whether operand 1 is one number below 64. */
static bool has_small_exponent(const xla_writer *w, uint32_t id) {
  const mica_node *node =
      mica_node_at(w->graph, mica_node_operands(w->graph, mica_node_at(w->graph, id))[1]);
  while (node->op == MICA_OP_BROADCAST || node->op == MICA_OP_RESHAPE)
    node = mica_node_at(w->graph, mica_node_operands(w->graph, node)[0]);
  if (node->op != MICA_OP_CONSTANT || mica_shape_count(node->type.shape) != 1) return false;
  double number = 64;
  const mica_tensor *value = ((const mica_constant_attr *)node->attr)->value;
  return mica_tensor_read_doubles(value, &number, 1, NULL) == MICA_OK && number < 64;
}

/* Of an integer exponent XLA reads the last six bits: x^n = x^(n mod 64) (x^64)^(n / 64). */
static void emit_power(xla_writer *w, uint32_t id) {
  enum { DIGIT = 6 };
  xla_ref x = mica_xla_operand(w, id, 0), n = mica_xla_operand(w, id, 1);
  mica_type type = mica_xla_type_of(w, id);
  if (!mica_dtype_is_integer(type.dtype) || has_small_exponent(w, id)) {
    mica_xla_define(w, id, mica_xla_emit_2(w, "stablehlo.power", type, x, n));
    return;
  }
  bool is_signed = mica_dtype_is_signed(type.dtype);
  xla_ref mask = mica_xla_filled(w, type, (1 << DIGIT) - 1),
          digit = mica_xla_filled(w, type, DIGIT);
  xla_ref out = {0}, base = x, rest = n;
  for (int32_t done = 0; done < mica_dtype_bits(type.dtype) - is_signed; done += DIGIT) {
    for (int i = 0; done > 0 && i < DIGIT; i++)
      base = mica_xla_emit_2(w, "stablehlo.multiply", type, base, base);
    if (done > 0) rest = mica_xla_emit_2(w, "stablehlo.shift_right_logical", type, rest, digit);
    xla_ref low = mica_xla_emit_2(w, "stablehlo.and", type, rest, mask);
    xla_ref power = mica_xla_emit_2(w, "stablehlo.power", type, base, low);
    out = done == 0 ? power : mica_xla_emit_2(w, "stablehlo.multiply", type, out, power);
  }
  if (is_signed) {
    xla_ref negative = mica_xla_compare(w, "LT", n, mica_xla_filled(w, type, 0));
    out = mica_xla_select(w, negative, mica_xla_emit_2(w, "stablehlo.power", type, x, n), out);
  }
  mica_xla_define(w, id, out);
}

/* XLA's root of a complex number takes -0 for 0 on its branch cut: the imaginary part has the sign of the operand's. */
static void emit_sqrt(xla_writer *w, uint32_t id) {
  xla_ref x = mica_xla_operand(w, id, 0);
  mica_type type = mica_xla_type_of(w, id);
  xla_ref out = mica_xla_emit_1(w, "stablehlo.sqrt", type, x);
  if (mica_dtype_is_complex(type.dtype)) {
    bool wide = type.dtype == MICA_C128;
    mica_type part = xla_shaped(wide ? MICA_F64 : MICA_F32, type.shape);
    mica_type bits = xla_shaped(wide ? MICA_I64 : MICA_I32, type.shape);
    xla_ref sign = mica_xla_emit_1(w, "stablehlo.bitcast_convert", bits,
                                   mica_xla_emit_1(w, "stablehlo.imag", part, x));
    sign = mica_xla_compare(w, "LT", sign, mica_xla_filled(w, bits, 0));
    xla_ref size =
        mica_xla_emit_1(w, "stablehlo.abs", part, mica_xla_emit_1(w, "stablehlo.imag", part, out));
    xla_ref imag =
        mica_xla_select(w, sign, mica_xla_emit_1(w, "stablehlo.negate", part, size), size);
    out = mica_xla_emit_2(w, "stablehlo.complex", type,
                          mica_xla_emit_1(w, "stablehlo.real", part, out), imag);
  }
  mica_xla_define(w, id, out);
}

/* The pole at 0 has the sign of -1 / x. */
static void emit_digamma(xla_writer *w, uint32_t id) {
  xla_ref x = mica_xla_operand(w, id, 0);
  mica_type type = mica_xla_type_of(w, id);
  xla_ref zero = mica_xla_compare(w, "EQ", x, mica_xla_filled(w, type, 0));
  xla_ref pole = mica_xla_emit_2(w, "stablehlo.divide", type, mica_xla_filled(w, type, -1), x);
  mica_xla_define(w, id,
                  mica_xla_select(w, zero, pole, mica_xla_emit_1(w, "chlo.digamma", type, x)));
}

/* Poles, and both infinities. */
static void emit_polygamma(xla_writer *w, uint32_t id) {
  const mica_polygamma_attr *attr = mica_node_at(w->graph, id)->attr;
  xla_ref x = mica_xla_operand(w, id, 0);
  mica_type type = mica_xla_type_of(w, id);
  bool even = attr->order % 2 == 0;
  xla_ref order = mica_xla_filled(w, type, (double)attr->order);
  xla_ref out = mica_xla_emit_2(w, "chlo.polygamma", type, order, x);
  xla_ref infinity = mica_xla_filled(w, type, (double)INFINITY);
  xla_ref below = mica_xla_filled(w, type, -(double)INFINITY);
  xla_ref whole = mica_xla_compare(w, "EQ", mica_xla_emit_1(w, "stablehlo.floor", type, x), x);
  xla_ref left = mica_xla_compare(w, "LE", x, mica_xla_filled(w, type, 0));
  xla_ref at_pole = mica_xla_emit_2(w, "stablehlo.and", left.type, whole, left);
  xla_ref pole = mica_xla_select(w, mica_xla_compare(w, "EQ", x, below),
                                 mica_xla_filled(w, type, (double)NAN), even ? below : infinity);
  out = mica_xla_select(w, at_pole, pole, out);
  xla_ref far = mica_xla_compare(w, "EQ", x, infinity);
  mica_xla_define(w, id, mica_xla_select(w, far, mica_xla_filled(w, type, even ? -0.0 : 0), out));
}

xla_emitter_table mica_xla_pointwise_emitters = {
    [MICA_OP_CONVERT] = emit_conversion, [MICA_OP_ATAN] = emit_atan,
    [MICA_OP_POW] = emit_power,          [MICA_OP_SQRT] = emit_sqrt,
    [MICA_OP_DIGAMMA] = emit_digamma,    [MICA_OP_POLYGAMMA] = emit_polygamma,
};
