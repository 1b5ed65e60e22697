/* SPDX-License-Identifier: Apache-2.0 */
/* elementary.c: functions that are plain expressions of pointwise operators. Each checks its operands first,
 * so that a mistake is reported in its own name. */
#include "graph/ops/rules.h"

mica_value mica_is_nan(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_not_equal(x, x);
}

mica_value mica_is_inf(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("is_inf", &x, 1)) return mica_no_value(x.graph);
  if (!mica_dtype_is_float(mica_dtype_of(x)))
    return mica_fail_operator(x.graph, "is_inf", &x, 1, "expected f16, bf16, f32 or f64");
  return mica_equal(mica_abs(x), mica_number_for("is_inf", x, (double)__builtin_inf()));
}

mica_value mica_square(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_mul(x, x);
}

mica_value mica_reciprocal(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_div(mica_number_like("reciprocal", x, 1), x);
}

/* Both sides are exact, and -0 stays. */
mica_value mica_trunc(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_select(mica_less(x, 0), mica_ceil(x), mica_floor(x));
}

/* x - trunc(x) is exact; NaN for infinities, which are whole. */
mica_value mica_round_half_away(mica_value x) {
  MICA_ENTRY(x.graph);
  mica_value whole = mica_trunc(x), rest = mica_abs(mica_sub(x, whole));
  return mica_select(mica_greater_equal(rest, 0.5), mica_add(whole, mica_sign(x)), whole);
}

mica_value mica_clamp(mica_value x, mica_value low, mica_value high) {
  MICA_ENTRY_OF(x, low, high);
  mica_value in[3] = {x, low, high};
  if (!mica_broadcast_operands("clamp", in, 3, 0)) return mica_no_value(mica_graph_of(in, 3));
  return mica_min(mica_max(in[0], in[1]), in[2]);
}
mica_value mica_clamp_numbers(mica_value x, double low, double high) {
  MICA_ENTRY(x.graph);
  return mica_clamp(x, mica_number_for("clamp", x, low), mica_number_for("clamp", x, high));
}

/* ---- division that rounds down --------------------------------------------------------------- */

/* Whether the remainder of x / y, which has the sign of x, has not the sign of y. */
static mica_value points_away(mica_value rest, mica_value y) {
  mica_value differs = mica_not_equal(mica_less(rest, 0), mica_less(y, 0));
  return mica_and(mica_not_equal(rest, 0), mica_and(differs, mica_not_equal(y, 0)));
}

mica_value(mica_mod)(mica_value x, mica_value y) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  if (!mica_broadcast_operands("mod", in, 2, 0)) return mica_no_value(mica_graph_of(in, 2));
  mica_value rest = mica_rem(in[0], in[1]);
  bool floating = mica_dtype_is_float(mica_dtype_of(rest));
  if (!floating && !mica_dtype_is_signed(mica_dtype_of(rest))) return rest;
  mica_value moved = mica_select(points_away(rest, in[1]), mica_add(rest, in[1]), rest);
  if (!floating) return moved;
  return mica_select(mica_equal(rest, 0), mica_copysign(rest, in[1]), moved);
}
mica_value mica_mod_number(mica_value x, double y) {
  MICA_ENTRY(x.graph);
  return (mica_mod)(x, mica_number_for("mod", x, y));
}

/* Floats: x - mod(x, y) is a multiple of y up to rounding, so the quotient is rounded to a whole number; a zero
 * has the sign of x / y. Infinite y leave a quotient of 0, or -1 on the other side of it. */
mica_value(mica_floor_divide)(mica_value x, mica_value y) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  if (!mica_broadcast_operands("floor_divide", in, 2, 0))
    return mica_no_value(mica_graph_of(in, 2));
  mica_value quotient = mica_div(in[0], in[1]);
  if (mica_dtype_is_float(mica_dtype_of(quotient))) {
    mica_value whole = mica_round(mica_div(mica_sub(in[0], (mica_mod)(in[0], in[1])), in[1]));
    mica_value zero = mica_equal(whole, 0), infinite = mica_is_inf(in[1]);
    mica_value rest = mica_rem(in[0], in[1]), number = mica_is_finite(rest);
    mica_value below = mica_and(mica_and(infinite, number), points_away(rest, in[1]));
    mica_value apart = mica_or(mica_equal(in[1], 0), infinite);
    whole = mica_select(zero, mica_copysign(whole, quotient), whole);
    whole = mica_select(apart, mica_floor(quotient), whole);
    return mica_select(below, mica_number_like("floor_divide", whole, -1), whole);
  }
  if (!mica_dtype_is_signed(mica_dtype_of(quotient))) return quotient;
  mica_value away = points_away(mica_rem(in[0], in[1]), in[1]);
  return mica_select(away, mica_sub(quotient, 1), quotient);
}
mica_value mica_floor_divide_number(mica_value x, double y) {
  MICA_ENTRY(x.graph);
  return (mica_floor_divide)(x, mica_number_for("floor_divide", x, y));
}

/* ---- polynomials ----------------------------------------------------------------------------- */

mica_value mica_polynomial(mica_value x, const double *coefficients, size_t count) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("polynomial", &x, 1)) return mica_no_value(x.graph);
  if (count == 0) return mica_zeros_like(x);
  if (!coefficients)
    return mica_fail_operator(x.graph, "polynomial", &x, 1,
                              "the coefficients are NULL: expected %zu numbers", count);
  mica_value y = mica_number_like("polynomial", x, coefficients[count - 1]);
  for (size_t i = count - 1; i-- > 0;) y = mica_add(mica_mul(y, x), coefficients[i]);
  return y;
}
