/* SPDX-License-Identifier: Apache-2.0 */
/* bits.c: operators that see the bits of integers and floats. Shifts are StableHLO's: the amount is read as
 * an unsigned number, and one that is not below the width shifts everything out. */
#include "graph/ops/pointwise.h"

POINTWISE_2(SHIFT_LEFT, shift_left, INTEGER, mica_derivative_zero, NULL,
            "x * 2^y; 0 where y is negative or not below the width")
POINTWISE_NUMBER(shift_left)
POINTWISE_2(
    SHIFT_RIGHT_LOGICAL, shift_right_logical, INTEGER, mica_derivative_zero, NULL,
    "the bits of x moved down, zeros from above; 0 where y is negative or not below the width")
POINTWISE_NUMBER(shift_right_logical)
POINTWISE_2(SHIFT_RIGHT_ARITHMETIC, shift_right_arithmetic, INTEGER, mica_derivative_zero, NULL,
            "the bits of x moved down, copies of the highest from above; only those where y is "
            "negative or not below the width")
POINTWISE_NUMBER(shift_right_arithmetic)
POINTWISE_1(POPCOUNT, popcount, INTEGER, mica_derivative_zero, NULL, "how many bits of x are 1")
POINTWISE_1(COUNT_LEADING_ZEROS, count_leading_zeros, INTEGER, mica_derivative_zero, NULL,
            "how many bits of x are 0 above the highest 1; the width for 0")

/* ---- bitcast --------------------------------------------------------------------------------- */

static bool infer_bitcast(mica_infer *infer) {
  const mica_bitcast_attr *attr = infer->attr;
  mica_type x = infer->in[0];
  int32_t from = mica_dtype_bits(x.dtype), to = mica_dtype_bits(attr->dtype);
  if (to == 0) return mica_infer_fail(infer, "the dtype is unknown");
  if (attr->dtype == MICA_BOOL)
    return mica_infer_fail(infer,
                           "bool has no bits of its own: expected mica_convert or a comparison");
  mica_type out = {attr->dtype, x.shape};
  if (from > to) { /* one more axis, of the parts from the lowest on */
    if (x.shape.rank >= MICA_MAX_RANK)
      return mica_infer_fail(infer, "%s to %s needs one more axis: expected rank below %d",
                             mica_dtype_name(x.dtype), mica_dtype_name(attr->dtype), MICA_MAX_RANK);
    out.shape = mica_shape_insert(x.shape, x.shape.rank, from / to);
  } else if (from < to) {
    if (x.shape.rank < 1 || x.shape.dim[x.shape.rank - 1] != to / from)
      return mica_infer_fail(infer, "%s to %s takes the last axis: expected it to have size %d",
                             mica_dtype_name(x.dtype), mica_dtype_name(attr->dtype), to / from);
    out.shape = mica_shape_remove(x.shape, x.shape.rank - 1);
  }
  return mica_infer_one(infer, out);
}
static void batch_bitcast(const mica_rule *rule, const bool *batched, int64_t size,
                          mica_value *out) {
  (void)batched, (void)size;
  out[0] = mica_emit(rule->graph, MICA_OP_BITCAST, rule->in, 1, rule->attr);
}
static const mica_attr_field bitcast_fields[] = {MICA_FIELD(mica_bitcast_attr, dtype, DTYPE),
                                                 MICA_FIELD_END};
const mica_op_def mica_op_bitcast = {
    .name = "bitcast",
    .kind = MICA_KIND_CONSTANT,
    .dtypes = MICA_CLASS_BITS,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_bitcast_attr),
    .fields = bitcast_fields,
    .formula =
        "x [a...] -> dtype [a...], [a..., n] or from [a..., n]: the same bytes, little end first",
    .infer = infer_bitcast,
    .batch = batch_bitcast,
};
mica_value mica_bitcast(mica_value x, mica_dtype dtype) {
  MICA_ENTRY(x.graph);
  mica_bitcast_attr attr = {.dtype = dtype};
  return mica_emit(x.graph, MICA_OP_BITCAST, &x, 1, &attr);
}

/* ---- floats by their bits -------------------------------------------------------------------- */

/* The integer dtype of the same width, and where exponent and mantissa lie in it. */
typedef struct {
  mica_dtype bits;
  int32_t width, exponent, mantissa;
} float_layout;
static float_layout layout_of(mica_dtype dtype) {
  switch (dtype) {
    case MICA_F16: return (float_layout){MICA_U16, 16, 5, 10};
    case MICA_BF16: return (float_layout){MICA_U16, 16, 8, 7};
    case MICA_F32: return (float_layout){MICA_U32, 32, 8, 23};
    default: return (float_layout){MICA_U64, 64, 11, 52};
  }
}
static mica_value bits_like(mica_value x, uint64_t bits) {
  mica_tensor *tensor = NULL; /* u64 constants do not fit a double */
  mica_dtype dtype = mica_dtype_of(x);
  uint32_t word = (uint32_t)bits;
  uint16_t half = (uint16_t)bits;
  const void *data = dtype == MICA_U16   ? (const void *)&half
                     : dtype == MICA_U32 ? (const void *)&word
                                         : (const void *)&bits;
  if (!x.graph || x.graph->status != MICA_OK) return mica_no_value(x.graph);
  tensor = mica_tensor_from(dtype, MICA_SCALAR, data);
  if (!tensor) return mica_fail(x.graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value number = mica_constant(x.graph, tensor);
  mica_tensor_release(tensor);
  return mica_broadcast_if_needed(number, mica_shape_of(x));
}

static bool infer_reduce_precision(mica_infer *infer) {
  const mica_reduce_precision_attr *attr = infer->attr;
  if (attr->exponent_bits < 1 || attr->exponent_bits > 11)
    return mica_infer_fail(infer, "exponent_bits %lld: expected 1 to 11",
                           (long long)attr->exponent_bits);
  if (attr->mantissa_bits < 0 || attr->mantissa_bits > 52)
    return mica_infer_fail(infer, "mantissa_bits %lld: expected 0 to 52",
                           (long long)attr->mantissa_bits);
  return mica_infer_one(infer, infer->in[0]);
}
/* In integers: the mantissa rounds to nearest even by a carry, which counts the exponent up by itself;
 * exponents beyond the format's become infinity or zero. */
static void expand_reduce_precision(const mica_rule *rule, mica_value *out) {
  const mica_reduce_precision_attr *attr = rule->attr;
  mica_value x = rule->in[0];
  float_layout own = layout_of(mica_dtype_of(x));
  uint64_t sign = UINT64_C(1) << (own.width - 1);
  mica_value all = mica_bitcast(x, own.bits);
  mica_value y = mica_and(all, bits_like(all, sign - 1));
  mica_value zero = bits_like(all, 0);
  if (attr->mantissa_bits < own.mantissa) {
    int32_t cut = own.mantissa - (int32_t)attr->mantissa_bits;
    mica_value odd = mica_and(mica_shift_right_logical(y, cut), bits_like(y, 1));
    y = mica_add(y, mica_add(odd, bits_like(y, (UINT64_C(1) << (cut - 1)) - 1)));
    y = mica_and(y, bits_like(y, ~((UINT64_C(1) << cut) - 1)));
  }
  if (attr->exponent_bits < own.exponent) {
    uint64_t bias = (UINT64_C(1) << (own.exponent - 1)) - 1;
    uint64_t reach = (UINT64_C(1) << (attr->exponent_bits - 1)) - 1;
    uint64_t infinity = ((UINT64_C(1) << own.exponent) - 1) << own.mantissa;
    mica_value beyond = bits_like(y, (bias + reach + 1) << own.mantissa);
    mica_value least = bits_like(y, (bias - reach + 1) << own.mantissa);
    y = mica_select(mica_greater_equal(y, beyond), bits_like(y, infinity),
                    mica_select(mica_less(y, least), zero, y));
  }
  y = mica_or(y, mica_and(all, bits_like(all, sign)));
  out[0] = mica_select(mica_is_nan(x), x, mica_bitcast(y, mica_dtype_of(x)));
}
static mica_value derive_reduce_precision(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand; /* cotangents are rounded as values are */
  return mica_emit(rule->graph, MICA_OP_REDUCE_PRECISION, &t, 1, rule->attr);
}
static const mica_attr_field reduce_precision_fields[] = {
    MICA_FIELD(mica_reduce_precision_attr, exponent_bits, I64),
    MICA_FIELD(mica_reduce_precision_attr, mantissa_bits, I64), MICA_FIELD_END};
const mica_op_def mica_op_reduce_precision = {
    .name = "reduce_precision",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_reduce_precision_attr),
    .fields = reduce_precision_fields,
    .formula = "x [a...] -> [a...]: rounded to a float of so many bits, and back",
    .infer = infer_reduce_precision,
    .derivative = derive_reduce_precision,
    .expand = expand_reduce_precision,
};
mica_value mica_reduce_precision(mica_value x, int32_t exponent_bits, int32_t mantissa_bits) {
  MICA_ENTRY(x.graph);
  mica_reduce_precision_attr attr = {.exponent_bits = exponent_bits,
                                     .mantissa_bits = mantissa_bits};
  return mica_emit(x.graph, MICA_OP_REDUCE_PRECISION, &x, 1, &attr);
}

/* t where x and the sign agree, -t where they differ, t at x = 0. */
static mica_value derive_copysign(const mica_rule *rule, size_t operand, mica_value t) {
  mica_value x = rule->in[0];
  if (operand == 1) return mica_no_value(rule->graph);
  mica_value turned = mica_less(mica_mul(x, mica_copysign(mica_ones_like(x), rule->in[1])), 0);
  return mica_select(turned, mica_neg(t), t);
}
POINTWISE_2(COPYSIGN, copysign, FLOAT, derive_copysign, NULL,
            "|x| with the sign of y, also that of 0 and NaN")

static mica_value derive_nextafter(const mica_rule *rule, size_t operand, mica_value t) {
  return operand == 0 ? t : mica_no_value(rule->graph);
}
POINTWISE_2(NEXTAFTER, nextafter, FLOAT, derive_nextafter, NULL,
            "the float beside x in the direction of y; y where they are equal")

mica_value mica_sign_bit(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_less(mica_copysign(mica_number_like("sign_bit", x, 1), x), 0);
}

mica_value mica_total_order(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("total_order", &x, 1) ||
      !mica_operands_accepted("total_order", &x, 1, MICA_CLASS_FLOAT))
    return mica_no_value(x.graph);
  int32_t width = mica_dtype_bits(mica_dtype_of(x));
  mica_dtype dtype = width == 16 ? MICA_I16 : width == 32 ? MICA_I32 : MICA_I64;
  mica_value bits = mica_bitcast(x, dtype);
  mica_value negative = mica_shift_right_arithmetic(bits, width - 1);
  return mica_xor(bits, mica_shift_right_logical(negative, 1)); /* all but the sign turn */
}
