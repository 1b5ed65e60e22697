/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_functions.c: functions of matrices made of other operators: traces, norms, condition
 * numbers, powers, and the exponential. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/linalg.h"

mica_value mica_matrix_trace(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("matrix_trace", &x, 1)) return mica_no_value(x.graph);
  if (mica_rank_of(x) < 2)
    return mica_fail_operator(x.graph, "matrix_trace", &x, 1, "expected a matrix [..., m, n]");
  return mica_reduce_sum(mica_matrix_diagonal(x), MICA_AXES(-1));
}

/* ---- norms ------------------------------------------------------------------------------------ */

static mica_value extreme_value(mica_value s, bool largest) {
  if (mica_dim_of(s, -1) == 0) return mica_reduce_sum(s, MICA_AXES(-1));
  return largest ? mica_reduce_max(s, MICA_AXES(-1)) : mica_reduce_min(s, MICA_AXES(-1));
}

mica_value mica_matrix_norm(mica_value x, mica_matrix_norm_kind kind) {
  MICA_ENTRY(x.graph);
  if (!mica_builder_matrix("matrix_norm", x, false)) return mica_no_value(x.graph);
  switch (kind) {
    case MICA_NORM_FROBENIUS: return mica_sqrt(mica_reduce_sum(mica_square(x), MICA_AXES(-2, -1)));
    case MICA_NORM_NUCLEAR: return mica_reduce_sum(mica_svdvals(x), MICA_AXES(-1));
    case MICA_NORM_SPECTRAL: return extreme_value(mica_svdvals(x), true);
    case MICA_NORM_ONE: return extreme_value(mica_reduce_sum(mica_abs(x), MICA_AXES(-2)), true);
    case MICA_NORM_INFINITY:
      return extreme_value(mica_reduce_sum(mica_abs(x), MICA_AXES(-1)), true);
  }
  return mica_fail_operator(x.graph, "matrix_norm", &x, 1,
                            "kind %d: expected a mica_matrix_norm_kind", (int)kind);
}

mica_value mica_condition_number(mica_value x, mica_matrix_norm_kind kind) {
  MICA_ENTRY(x.graph);
  bool spectral = kind == MICA_NORM_SPECTRAL;
  if (!mica_builder_matrix("condition_number", x, !spectral)) return mica_no_value(x.graph);
  if (!spectral)
    return mica_mul(mica_matrix_norm(x, kind), mica_matrix_norm(mica_inverse(x), kind));
  mica_value s = mica_svdvals(x);
  return mica_div(extreme_value(s, true), extreme_value(s, false));
}

/* ---- powers ----------------------------------------------------------------------------------- */

mica_value mica_matrix_power(mica_value x, int64_t exponent) {
  MICA_ENTRY(x.graph);
  if (!mica_builder_matrix("matrix_power", x, true)) return mica_no_value(x.graph);
  if (exponent == INT64_MIN)
    return mica_fail_operator(x.graph, "matrix_power", &x, 1, "expected an exponent above -2^63");
  mica_value power = mica_no_value(x.graph);
  if (exponent < 0) x = mica_inverse(x);
  for (int64_t left = exponent < 0 ? -exponent : exponent; left > 0; left /= 2) {
    if (left % 2) power = mica_has_value(power) ? mica_matmul(power, x) : x;
    if (left > 1) x = mica_matmul(x, x);
  }
  return mica_has_value(power) ? power : mica_matrix_identity_like(x);
}

/* ---- the exponential (Higham 2005, "The scaling and squaring method for the matrix exponential
 * revisited") ------------------------------------------------------------------------------------ */

/* Where the approximant of degree 13 (7 for f32) is exact to rounding: table 2.3. */
#define EXP_LIMIT_F64 5.371920351148152
#define EXP_LIMIT_F32 3.925724783138660
enum { EXP_SQUARINGS = 30 };

static mica_value add_scaled(mica_value sum, mica_value x, double weight) {
  return mica_add_values(sum, mica_mul(x, weight));
}

/* Numerator and denominator of the diagonal Pade approximant are V + U and V - U. */
static mica_value pade_exponential(mica_value x) {
  static const double b7[] = {17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1};
  static const double b13[] = {64764752532480000,
                               32382376266240000,
                               7771770303897600,
                               1187353796428800,
                               129060195264000,
                               10559470521600,
                               670442572800,
                               33522128640,
                               1323241920,
                               40840800,
                               960960,
                               16380,
                               182,
                               1};
  bool wide = mica_dtype_of(x) == MICA_F64;
  const double *b = wide ? b13 : b7;
  mica_value eye = mica_matrix_identity_like(x), none = mica_no_value(x.graph), u = none, v = none;
  mica_value power[4] = {eye, mica_matmul(x, x)};
  power[2] = mica_matmul(power[1], power[1]);
  power[3] = mica_matmul(power[1], power[2]);
  if (wide) {
    for (int i = 3; i >= 1; i--) {
      u = add_scaled(u, power[i], b[7 + 2 * i]);
      v = add_scaled(v, power[i], b[6 + 2 * i]);
    }
    u = mica_matmul(power[3], u);
    v = mica_matmul(power[3], v);
  }
  for (int i = 3; i >= 0; i--) {
    u = add_scaled(u, power[i], b[2 * i + 1]);
    v = add_scaled(v, power[i], b[2 * i]);
  }
  u = mica_matmul(x, u);
  return mica_solve(mica_sub(v, u), mica_add(v, u));
}

/* 2^-s for i32 s [...] in 0 .. 31, exactly: by its bits. */
static mica_value halvings(mica_value s, mica_dtype dtype) {
  mica_value factor = mica_convert(mica_ones_like(s), dtype);
  for (int i = 0; i < 5; i++) {
    mica_value bit = mica_rem(mica_div(s, (double)(1 << i)), 2);
    mica_value part = mica_mul(mica_ones_like(factor), ldexp(1, -(1 << i)));
    factor = mica_mul(factor, mica_select(mica_equal(bit, 0), mica_ones_like(factor), part));
  }
  return factor;
}

mica_value mica_matrix_exp(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!mica_builder_matrix("matrix_exp", x, true)) return mica_no_value(x.graph);
  mica_graph *graph = x.graph;
  mica_dtype dtype = mica_dtype_of(x);
  if (mica_dim_of(x, -1) == 0) return x;
  double limit = dtype == MICA_F64 ? EXP_LIMIT_F64 : EXP_LIMIT_F32;
  mica_axes column = {.count = 1, .axis = {-2}, .keep = true},
            row = {.count = 1, .axis = {-1}, .keep = true};
  mica_value norm = mica_reduce_max(mica_reduce_sum(mica_abs(mica_stop_gradient(x)), column),
                                    row); /* [..., 1, 1] */
  mica_value halved = mica_mul(norm, 1 / limit), times = mica_zeros_like(norm);
  for (int i = 0; i < EXP_SQUARINGS; i++) /* how often halving still leaves it too large */
    times = mica_add(times, mica_convert(mica_greater(halved, ldexp(1, i)), dtype));
  mica_value s = mica_convert(times, MICA_I32);
  mica_value power = pade_exponential(mica_mul(x, halvings(s, dtype)));
  mica_value state[2] = {power, mica_scalar(graph, MICA_I32, 0)}, last[2];
  mica_value most =
      mica_shape_count(mica_shape_of(s)) > 0 ? mica_reduce_max(s, MICA_ALL) : state[1];
  mica_region loop = mica_while_begin(graph, state, 2, EXP_SQUARINGS);
  mica_value i = mica_argument(loop, 1);
  mica_while_body(loop, mica_less(i, most));
  power = mica_argument(loop, 0), i = mica_argument(loop, 1);
  state[0] = mica_select(mica_less(i, s), mica_matmul(power, power), power);
  state[1] = mica_add(i, 1);
  mica_while_end(loop, state, last);
  /* Past what squaring reaches: nothing that could be right. */
  mica_value in_reach = mica_less_equal(halved, ldexp(1, EXP_SQUARINGS));
  return mica_select(in_reach, last[0], mica_full_like(halved, NAN));
}
#undef EXP_LIMIT_F64
#undef EXP_LIMIT_F32
