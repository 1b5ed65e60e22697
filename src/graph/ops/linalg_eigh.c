/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_eigh.c: eigenvalues and eigenvectors of the symmetric part (x + x') / 2.
 *
 * Derivatives, for distinct eigenvalues: with dS the symmetric part of dx, M = V' dS V and F_ij =
 * 1 / (w_j - w_i) (0 where they are equal): dw = diagonal(M), dV = V (F * M). The cotangent of x is
 * the symmetric part of V (diagonal(g_w) + F * (V' G_V)) V'. */
#include <math.h>

#include "graph/ops/linalg.h"

static bool infer_eigh(mica_infer *infer) {
  if (!mica_infer_matrix(infer, 0, true)) return false;
  mica_type x = infer->in[0];
  mica_type values = {x.dtype, mica_shape_remove(x.shape, x.shape.rank - 1)};
  return mica_infer_types(infer, (mica_type[]){values, x}, 2);
}

mica_value mica_reciprocal_or_zero(mica_value x) {
  mica_value none = mica_equal(x, 0);
  mica_value safe = mica_select(none, mica_ones_like(x), x);
  return mica_select(none, mica_zeros_like(x), mica_reciprocal(safe));
}

/* The diagonal by its place and not by its value: a compiler that computes w twice, once contracted with the
 * subtraction, gets w_i - w_i that is not zero. */
mica_value mica_reciprocal_gaps(mica_value difference) {
  int64_t n = mica_dim_of(difference, -1);
  mica_value same = mica_matrix_band(difference.graph, n, n, MICA_BAND_ON, 0);
  same = mica_broadcast_if_needed(same, mica_shape_of(difference));
  return mica_reciprocal_or_zero(mica_select(same, mica_zeros_like(difference), difference));
}

/* F [..., n, n] */
static mica_value reciprocal_gaps(mica_value w) {
  return mica_reciprocal_gaps(mica_sub(mica_matrix_rows(w), mica_matrix_columns(w)));
}

static void jvp_eigh(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  mica_value w = rule->out[0], v = rule->out[1];
  mica_value t = mica_matmul(mica_matrix_symmetric(tangents[0]), v);
  t = mica_matmul(mica_matrix_transpose(v), t);
  out_tangents[0] = mica_matrix_diagonal(t);
  out_tangents[1] = mica_matmul(v, mica_mul(reciprocal_gaps(w), t));
}

static void vjp_eigh(const mica_rule *rule, const mica_value *cotangents,
                     mica_value *in_cotangents) {
  mica_value w = rule->out[0], v = rule->out[1], vt = mica_matrix_transpose(v);
  mica_value gw = cotangents[0], gv = cotangents[1], inner = mica_no_value(rule->graph);
  if (mica_has_value(gv)) inner = mica_mul(reciprocal_gaps(w), mica_matmul(vt, gv));
  if (mica_has_value(gw)) inner = mica_add_values(inner, mica_matrix_from_diagonal(gw));
  in_cotangents[0] =
      mica_has_value(inner) ? mica_matrix_symmetric(mica_matmul(mica_matmul(v, inner), vt)) : inner;
}

/* ---- expansion: parallel Jacobi rotations (Brent and Luk 1985) ------------------------------- */

mica_value mica_jacobi_turn(mica_value a, mica_value g, mica_value b, mica_value still,
                            mica_value *out_sine) {
  mica_value one = mica_ones_like(g), safe = mica_select(still, one, g);
  mica_value theta = mica_div(mica_mul(mica_sub(b, a), 0.5), safe);
  mica_value size = mica_abs(theta), big = mica_greater(size, 1e9);
  mica_value root = mica_sqrt(mica_add(mica_square(mica_select(big, one, size)), 1));
  mica_value t = mica_reciprocal(mica_add(size, mica_select(big, size, root)));
  t = mica_select(mica_less(theta, 0), mica_neg(t), t);
  t = mica_select(still, mica_zeros_like(t), t);
  mica_value c = mica_rsqrt(mica_add(mica_square(t), 1));
  *out_sine = mica_mul(t, c);
  return c;
}

/* The next round of a tournament among the 2 h entries of axis `axis`: entry i meets entry h + i;
 * the first one stays, the others move around by one. */
mica_value mica_jacobi_next(mica_value x, int32_t axis) {
  int64_t size = mica_dim_of(x, axis), half = size / 2;
  if (size <= 2) return x;
  mica_value part[4] = {
      mica_slice_axis(x, axis, 0, 1, 1), mica_slice_axis(x, axis, half, half + 1, 1),
      mica_slice_axis(x, axis, 1, half - 1, 1), mica_slice_axis(x, axis, half + 1, size, 1)};
  mica_value last = mica_slice_axis(x, axis, half - 1, half, 1);
  mica_value order[5] = {part[0], part[1], part[2], part[3], last};
  return mica_concatenate(order, 5, axis);
}

/* Rows i and h + i turn by c [batch, h, 1] and s. */
mica_value mica_turned_rows(mica_value x, mica_value c, mica_value s) {
  int64_t size = mica_dim_of(x, 1), half = size / 2;
  mica_value top = mica_slice_axis(x, 1, 0, half, 1), low = mica_slice_axis(x, 1, half, size, 1);
  mica_value turned[2] = {mica_sub(mica_mul(c, top), mica_mul(s, low)),
                          mica_add(mica_mul(s, top), mica_mul(c, low))};
  return mica_concatenate(turned, 2, 1);
}

mica_value mica_batch_flag(mica_value x, mica_value like) {
  mica_shape shape = mica_shape_of(like);
  for (int32_t i = 1; i < shape.rank; i++) shape.dim[i] = 1;
  return mica_reshape_if_needed(x, shape);
}

/* All elements of each matrix of x [batch, ...] reduced, with sizes 1. */
static mica_axes all_but_batch(mica_value x) {
  mica_axes axes = {.count = mica_rank_of(x) - 1, .keep = true};
  for (int32_t i = 0; i < axes.count; i++) axes.axis[i] = i + 1;
  return axes;
}

mica_value mica_matrix_scale(mica_value x, mica_value *out_good) {
  mica_value size = mica_reduce_max(mica_abs(x), all_but_batch(x));
  *out_good = mica_is_finite(size);
  mica_value plain = mica_or(mica_equal(size, 0), mica_not(*out_good));
  return mica_select(plain, mica_ones_like(size), size);
}

static void expand_eigh(const mica_rule *rule, mica_value *out) {
  enum { SWEEPS = 24 };
  mica_graph *graph = rule->graph;
  mica_value x = mica_fold_leading(mica_matrix_symmetric(rule->in[0]), 2), good;
  int64_t n = mica_dim_of(x, 1), even = n + n % 2, half = even / 2;
  if (n == 0 || mica_dim_of(x, 0) == 0) {
    mica_shape shape = mica_shape_of(rule->in[0]);
    out[0] =
        mica_zeros(graph, (mica_type){mica_dtype_of(x), mica_shape_remove(shape, shape.rank - 1)});
    out[1] = mica_zeros_like(rule->in[0]);
    return;
  }
  mica_dtype dtype = mica_dtype_of(x);
  double epsilon = dtype == MICA_F64 ? 0x1p-52 : 0x1p-23;
  mica_value scale = mica_matrix_scale(x, &good);
  x = mica_select(good, mica_div(x, scale), mica_zeros_like(x));
  int64_t low[3] = {0}, high[3] = {0, even - n, even - n};
  mica_value nothing = mica_scalar(graph, dtype, 0);
  if (even > n) x = mica_pad(x, nothing, low, high, NULL);
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  mica_value state[3] = {x, mica_matrix_identity_like(x), zero}, last[3], sine;
  int64_t rounds = (even > 2 ? even - 1 : 1);
  mica_region loop = mica_while_begin(graph, state, 3, rounds * SWEEPS);
  mica_value a = mica_argument(loop, 0), k = mica_argument(loop, 2);
  /* Done when a whole matrix is diagonal; looked at after each sweep. */
  mica_value on = mica_matrix_band(graph, even, even, MICA_BAND_ON, 0);
  mica_value off =
      mica_select(mica_broadcast_if_needed(on, mica_shape_of(a)), mica_zeros_like(a), a);
  mica_value diagonal = mica_abs(mica_matrix_diagonal(a));
  mica_value root = mica_sqrt(diagonal);
  mica_value bound =
      mica_mul(mica_mul(mica_matrix_rows(root), mica_matrix_columns(root)), epsilon / 4);
  bound = mica_max(bound, epsilon * epsilon);
  mica_value open = mica_reduce_or(mica_greater(mica_abs(off), bound), MICA_ALL);
  mica_while_body(loop, mica_or(open, mica_not_equal(mica_rem(k, (double)rounds), 0)));
  a = mica_argument(loop, 0), k = mica_argument(loop, 2);
  mica_value v = mica_argument(loop, 1);
  diagonal = mica_matrix_diagonal(a);
  mica_value left = mica_slice_axis(diagonal, 1, 0, half, 1),
             right = mica_slice_axis(diagonal, 1, half, even, 1);
  mica_value corner = mica_slice_axis(mica_slice_axis(a, 1, 0, half, 1), 2, half, even, 1);
  mica_value g = mica_matrix_diagonal(corner);
  mica_value small =
      mica_mul(mica_mul(mica_sqrt(mica_abs(left)), mica_sqrt(mica_abs(right))), epsilon / 4);
  mica_value still = mica_less_equal(mica_abs(g), mica_max(small, epsilon * epsilon));
  mica_value c = mica_matrix_columns(mica_jacobi_turn(left, g, right, still, &sine));
  mica_value s = mica_matrix_columns(sine);
  a = mica_matrix_transpose(
      mica_turned_rows(mica_matrix_transpose(mica_turned_rows(a, c, s)), c, s));
  a = mica_matrix_symmetric(a);
  mica_value met = mica_or(mica_matrix_band(graph, even, even, MICA_BAND_ON, half),
                           mica_matrix_band(graph, even, even, MICA_BAND_ON, -half));
  a = mica_select(mica_broadcast_if_needed(met, mica_shape_of(a)), mica_zeros_like(a), a);
  state[0] = mica_jacobi_next(mica_jacobi_next(a, 1), 2);
  state[1] = mica_jacobi_next(mica_turned_rows(v, c, s), 1); /* rows of V' */
  state[2] = mica_add(k, 1);
  mica_while_end(loop, state, last);
  /* After whole sweeps every row is at home again, so the padding is the last one. */
  mica_value w = mica_slice_axis(mica_matrix_diagonal(last[0]), 1, 0, n, 1);
  mica_value rows = mica_slice_axis(mica_slice_axis(last[1], 1, 0, n, 1), 2, 0, n, 1);
  mica_value order = mica_ascending_order(w);
  w = mica_take_along_axis(w, order, 1);
  rows = mica_matrix_permute_rows(rows, order);
  mica_value bad = mica_full_like(scale, NAN);
  scale = mica_select(good, scale, bad);
  w = mica_mul(w, mica_batch_flag(scale, w));
  rows = mica_select(good, rows, bad);
  out[0] = mica_unfold_leading(w, rule->in[0], 2);
  out[1] = mica_unfold_leading(mica_matrix_transpose(rows), rule->in[0], 2);
}

/* The place of entry i is how many entries are smaller, or equal and in front. */
mica_value mica_ascending_order(mica_value w) {
  mica_value mine = mica_matrix_columns(w), other = mica_matrix_rows(w);
  int64_t n = mica_dim_of(w, -1);
  mica_value front = mica_matrix_band(w.graph, n, n, MICA_BAND_LOWER, -1);
  mica_value first = mica_or(mica_less(other, mine), mica_and(mica_equal(other, mine), front));
  mica_value place = mica_reduce_sum(mica_convert(first, MICA_I32), MICA_AXES(-1));
  return mica_inverse_permutation(place);
}

const mica_op_def mica_op_eigh = {
    .name = "eigh",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 1,
    .results = 2,
    .formula =
        "x [..., n, n] -> w [..., n] ascending, V [..., n, n]: (x + x') / 2 = V diagonal(w) "
        "V', V' V = I",
    .infer = infer_eigh,
    .jvp = jvp_eigh,
    .vjp = vjp_eigh,
    .batch = mica_batch_leading,
    .expand = expand_eigh,
};

void mica_eigh(mica_value x, mica_value *out_values, mica_value *out_vectors) {
  MICA_ENTRY(x.graph);
  mica_value out[2] = {mica_no_value(x.graph), mica_no_value(x.graph)};
  mica_emit_results(x.graph, MICA_OP_EIGH, &x, 1, NULL, out, 2);
  if (out_values) *out_values = out[0];
  if (out_vectors) *out_vectors = out[1];
}
mica_value mica_eigvalsh(mica_value x) {
  MICA_ENTRY(x.graph);
  mica_value values, vectors;
  mica_eigh(x, &values, &vectors);
  return values;
}
