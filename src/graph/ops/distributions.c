/* SPDX-License-Identifier: Apache-2.0 */
/* distributions.c: continuous distributions without parameters but numbers, each one function of one
 * or two uniforms. Symmetric ones take their magnitude from a uniform that is fine near 0, where the
 * tail is, and their sign from a word of its own, so that both tails are as good. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph/ops/drawing.h"

/* ---- uniform in a range ------------------------------------------------------------------------- */

/* The largest number of a float dtype below `limit`: the next one towards -infinity in the order of
 * the bits, which is that of the numbers. */
static double largest_below(mica_dtype dtype, double limit) {
  int32_t size = mica_dtype_bits(dtype) / 8;
  uint64_t bits = 0, sign = (uint64_t)1 << (8 * size - 1);
  double number = limit;
  /* The bytes of a little-endian or a big-endian number of `size` bytes alike. */
  union {
    uint64_t b64;
    uint32_t b32;
    uint16_t b16;
  } raw = {0};
  if (mica_convert_elements(dtype, &raw, MICA_F64, &limit, 1) != MICA_OK) return limit;
  bits = size == 8 ? raw.b64 : size == 4 ? raw.b32 : raw.b16;
  mica_convert_elements(MICA_F64, &number, dtype, &raw, 1);
  if (number < limit) return number;
  bits = (bits & ~sign) == 0 ? sign | 1 : bits & sign ? bits + 1 : bits - 1;
  if (size == 8)
    raw.b64 = bits;
  else if (size == 4)
    raw.b32 = (uint32_t)bits;
  else
    raw.b16 = (uint16_t)bits;
  mica_convert_elements(MICA_F64, &number, dtype, &raw, 1);
  return number;
}

mica_value mica_random_uniform_range(mica_value key, mica_type type, double low, double high) {
  MICA_ENTRY(key.graph);
  int64_t count;
  if (!mica_can_draw("random_uniform_range", key, type, &count)) return mica_no_value(key.graph);
  double most = largest_below(type.dtype, high);
  if (!(low < high) || !isfinite(high - low) || !isfinite(most) || most < low)
    return mica_fail_operator(key.graph, "random_uniform_range", &key, 1,
                              "%g to %g: expected low below high, both finite, and a %s in between",
                              low, high, mica_dtype_name(type.dtype));
  mica_type wide = {mica_wide_dtype(type.dtype), type.shape};
  mica_value u = mica_random_uniform(key, wide);
  mica_value x = mica_add(mica_mul(u, high - low), low);
  return mica_min(mica_convert(x, type.dtype), most);
}

/* ---- functions of one uniform -------------------------------------------------------------------- */

/* Checks, and draws a uniform (and a sign). */
static bool begin_draw(const char *op, mica_value key, mica_type type, bool sign, mica_value *out) {
  int64_t count;
  if (!mica_can_draw(op, key, type, &count)) return false;
  mica_draw_open(key, mica_wide_dtype(type.dtype), type.shape, 1, sign, out);
  return true;
}

mica_value mica_random_exponential(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  mica_value v;
  if (!begin_draw("random_exponential", key, type, false, &v)) return mica_no_value(key.graph);
  return mica_convert(mica_neg(mica_log(v)), type.dtype);
}

mica_value mica_random_gumbel(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  mica_value v;
  if (!begin_draw("random_gumbel", key, type, false, &v)) return mica_no_value(key.graph);
  mica_value exponential = mica_neg(mica_log1p(mica_neg(v)));
  return mica_convert(mica_neg(mica_log(exponential)), type.dtype);
}

mica_value mica_random_laplace(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  mica_value v[2];
  if (!begin_draw("random_laplace", key, type, true, v)) return mica_no_value(key.graph);
  return mica_convert(mica_with_sign(mica_neg(mica_log(v[0])), v[1]), type.dtype);
}

/* |x| is below t with probability tanh(t / 2). */
mica_value mica_random_logistic(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  mica_value v[2];
  if (!begin_draw("random_logistic", key, type, true, v)) return mica_no_value(key.graph);
  mica_value odds = mica_div(mica_add(mica_neg(v[0]), 2), v[0]);
  return mica_convert(mica_with_sign(mica_log(odds), v[1]), type.dtype);
}

mica_value mica_random_cauchy(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  const double half_pi = 1.5707963267948966;
  mica_value v[2];
  if (!begin_draw("random_cauchy", key, type, true, v)) return mica_no_value(key.graph);
  mica_value angle = mica_mul(v[0], half_pi);
  mica_value cotangent = mica_div(mica_cos(angle), mica_sin(angle));
  return mica_convert(mica_with_sign(cotangent, v[1]), type.dtype);
}

/* ---- truncated normal ---------------------------------------------------------------------------- */

mica_value mica_random_truncated_normal(mica_value key, mica_type type, double low, double high) {
  MICA_ENTRY(key.graph);
  const double root_half = 0.70710678118654752, root_two = 1.4142135623730951;
  int64_t count;
  if (!mica_can_draw("random_truncated_normal", key, type, &count)) return mica_no_value(key.graph);
  if (!(low < high && low < 6 && high > -6))
    return mica_fail_operator(key.graph, "random_truncated_normal", &key, 1,
                              "%g to %g: expected low below high, low below 6, high above -6", low,
                              high);
  /* A range away from the middle lies where erf is flat, and needs more digits. */
  mica_dtype wide = low > 2 || high < -2 ? MICA_F64 : mica_wide_dtype(type.dtype);
  double from = erf(low * root_half), to = erf(high * root_half);
  double edge = 1 - ldexp(1, wide == MICA_F64 ? -53 : -24);
  mica_value v;
  mica_draw_open(key, wide, type.shape, 1, false, &v);
  mica_value share = mica_add(mica_mul(v, to - from), from);
  share = mica_max(mica_min(share, edge), -edge);
  mica_value x = mica_convert(mica_mul(mica_erf_inv(share), root_two), type.dtype);
  if (isfinite(low)) x = mica_max(x, low);
  return isfinite(high) ? mica_min(x, high) : x;
}

/* ---- orthogonal matrices ------------------------------------------------------------------------- */

mica_value mica_random_orthogonal(mica_value key, mica_type type, double gain) {
  MICA_ENTRY(key.graph);
  int64_t count;
  if (!mica_can_draw("random_orthogonal", key, type, &count)) return mica_no_value(key.graph);
  int32_t rank = type.shape.rank;
  char text[MICA_SHAPE_TEXT];
  if (rank < 2)
    return mica_fail_operator(key.graph, "random_orthogonal", &key, 1,
                              "the shape %s: expected [..., rows, columns]",
                              mica_shape_text(type.shape, text));
  mica_type tall = {mica_wide_dtype(type.dtype), type.shape};
  int64_t rows = type.shape.dim[rank - 2], columns = type.shape.dim[rank - 1];
  bool turned = rows < columns;
  tall.shape.dim[rank - 2] = turned ? columns : rows;
  tall.shape.dim[rank - 1] = turned ? rows : columns;
  mica_value q, r;
  mica_qr(mica_random_normal(key, tall), false, &q, &r);
  /* A factorization with R's diagonal above 0 is the only one: its Q does not depend on how it is found. */
  mica_value diagonal = mica_expand_dims(mica_diagonal(r, 0, -2, -1), -2);
  q = mica_select(mica_less(diagonal, 0), mica_neg(q), q);
  if (turned) q = mica_swap_axes(q, -2, -1);
  return mica_convert(mica_mul(q, gain), type.dtype);
}
