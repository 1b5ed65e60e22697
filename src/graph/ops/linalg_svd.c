/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_svd.c: x = U diagonal(s) V', thin.
 *
 * Derivatives (Townsend 2016), for distinct values: with M = U' dx V and F_ij = 1 / (s_j^2 - s_i^2) (0
 * where they are equal): ds = diagonal(M), dU = U (F * (M S + S M')) + (1 - U U') dx V / s, dV = V (F *
 * (S M + M' S)) + (1 - V V') dx' U / s. The adjoint, with Y = F * (U' G_U), Z = F * (V' G_V): M's
 * cotangent is diagonal(g_s) + (Y + Y') S + S (Z + Z'). */
#include <math.h>

#include "graph/ops/linalg.h"

static bool infer_svd(mica_infer *infer) {
  if (!mica_infer_matrix(infer, 0, false)) return false;
  mica_type u = infer->in[0], s = u, v = u;
  int32_t rank = u.shape.rank;
  int64_t m = u.shape.dim[rank - 2], n = u.shape.dim[rank - 1], k = m < n ? m : n;
  u.shape.dim[rank - 1] = v.shape.dim[rank - 2] = k;
  s.shape = mica_shape_remove(s.shape, rank - 1);
  s.shape.dim[rank - 2] = k;
  return mica_infer_types(infer, (mica_type[]){u, s, v}, 3);
}

static mica_value reciprocal_squares(mica_value s) {
  mica_value row = mica_matrix_rows(s), column = mica_matrix_columns(s);
  return mica_reciprocal_gaps(mica_mul(mica_sub(row, column), mica_add(row, column)));
}

/* x - basis basis' x */
static mica_value outside_of(mica_value basis, mica_value x) {
  mica_value inside = mica_matmul(mica_matrix_transpose(basis), x);
  return mica_sub(x, mica_matmul(basis, inside));
}

static mica_value plus_transposed(mica_value x) { return mica_add(x, mica_matrix_transpose(x)); }

static void jvp_svd(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  mica_value u = rule->out[0], s = rule->out[1], vt = rule->out[2], t = tangents[0];
  mica_value v = mica_matrix_transpose(vt), ut = mica_matrix_transpose(u);
  int64_t m = mica_dim_of(t, -2), n = mica_dim_of(t, -1), k = mica_dim_of(s, -1);
  mica_value row = mica_matrix_rows(s), inverse = mica_reciprocal_or_zero(row);
  mica_value tv = mica_matmul(t, v), inner = mica_matmul(ut, tv), f = reciprocal_squares(s);
  mica_value right = mica_mul(inner, row), left = mica_mul(inner, mica_matrix_columns(s));
  mica_value du = mica_matmul(u, mica_mul(f, plus_transposed(right)));
  mica_value dv = mica_matmul(v, mica_mul(f, plus_transposed(left)));
  if (m > k) du = mica_add(du, mica_mul(outside_of(u, tv), inverse));
  if (n > k) {
    mica_value tu = mica_matmul(mica_matrix_transpose(t), u);
    dv = mica_add(dv, mica_mul(outside_of(v, tu), inverse));
  }
  out_tangents[0] = du;
  out_tangents[1] = mica_matrix_diagonal(inner);
  out_tangents[2] = mica_matrix_transpose(dv);
}

static void vjp_svd(const mica_rule *rule, const mica_value *cotangents,
                    mica_value *in_cotangents) {
  mica_value u = rule->out[0], s = rule->out[1], vt = rule->out[2];
  mica_value gu = cotangents[0], gs = cotangents[1], gv = mica_no_value(rule->graph);
  mica_value v = mica_matrix_transpose(vt), row = mica_matrix_rows(s);
  mica_value inverse = mica_reciprocal_or_zero(row), f = reciprocal_squares(s), inner = gv, sum;
  int64_t m = mica_dim_of(u, -2), n = mica_dim_of(v, -2), k = mica_dim_of(s, -1);
  in_cotangents[0] = mica_no_value(rule->graph);
  if (mica_has_value(cotangents[2])) gv = mica_matrix_transpose(cotangents[2]);
  if (mica_has_value(gs)) inner = mica_matrix_from_diagonal(gs);
  if (mica_has_value(gu)) {
    mica_value y = mica_mul(f, mica_matmul(mica_matrix_transpose(u), gu));
    inner = mica_add_values(inner, mica_mul(plus_transposed(y), row));
  }
  if (mica_has_value(gv)) {
    mica_value z = mica_mul(f, mica_matmul(vt, gv));
    inner = mica_add_values(inner, mica_mul(plus_transposed(z), mica_matrix_columns(s)));
  }
  if (!mica_has_value(inner)) return;
  sum = mica_matmul(u, inner);
  if (mica_has_value(gu) && m > k) sum = mica_add(sum, outside_of(u, mica_mul(gu, inverse)));
  sum = mica_matmul(sum, vt);
  if (mica_has_value(gv) && n > k) {
    mica_value outside = mica_matrix_transpose(outside_of(v, mica_mul(gv, inverse)));
    sum = mica_add(sum, mica_matmul(u, outside));
  }
  in_cotangents[0] = sum;
}

/* ---- expansion: one-sided Jacobi rotations, in parallel pairs --------------------------------- */

static mica_value length_of_rows(mica_value x) {
  return mica_reduce_sum(mica_square(x), (mica_axes){.count = 1, .axis = {-1}, .keep = true});
}

/* rows [batch, n, m], right [batch, n, n]: rows of the first become orthogonal, the second turns
 * along. n is even. */
static void orthogonal_rows(mica_value *rows, mica_value *right) {
  enum { SWEEPS = 40 };
  mica_graph *graph = rows->graph;
  int64_t n = mica_dim_of(*rows, 1), half = n / 2, rounds = n > 2 ? n - 1 : 1;
  double epsilon = mica_dtype_of(*rows) == MICA_F64 ? 0x1p-52 : 0x1p-23;
  mica_value sine, last[4],
      state[4] = {*rows, *right, mica_scalar(graph, MICA_I32, 0), mica_scalar(graph, MICA_BOOL, 1)};
  mica_region loop = mica_while_begin(graph, state, 4, rounds * SWEEPS);
  mica_value begins = mica_equal(mica_rem(mica_argument(loop, 2), (double)rounds), 0);
  mica_while_body(loop, mica_or(mica_argument(loop, 3), mica_not(begins)));
  mica_value x = mica_argument(loop, 0), v = mica_argument(loop, 1), k = mica_argument(loop, 2);
  begins = mica_equal(mica_rem(k, (double)rounds), 0);
  mica_value top = mica_slice_axis(x, 1, 0, half, 1), low = mica_slice_axis(x, 1, half, n, 1);
  mica_value a = length_of_rows(top), b = length_of_rows(low);
  mica_value g =
      mica_reduce_sum(mica_mul(top, low), (mica_axes){.count = 1, .axis = {-1}, .keep = true});
  mica_value bound = mica_mul(mica_mul(mica_sqrt(a), mica_sqrt(b)), 4 * epsilon);
  mica_value still = mica_less_equal(mica_abs(g), bound);
  mica_value c = mica_jacobi_turn(a, g, b, still, &sine);
  state[0] = mica_jacobi_next(mica_turned_rows(x, c, sine), 1);
  state[1] = mica_jacobi_next(mica_turned_rows(v, c, sine), 1);
  state[2] = mica_add(k, 1);
  mica_value moved = mica_not(mica_reduce_and(still, MICA_ALL));
  state[3] = mica_or(moved, mica_and(mica_argument(loop, 3), mica_not(begins)));
  mica_while_end(loop, state, last);
  *rows = last[0];
  *right = last[1];
}

static void expand_svd(const mica_rule *rule, mica_value *out) {
  mica_graph *graph = rule->graph;
  mica_value x = mica_fold_leading(rule->in[0], 2), good, q, r;
  bool wide = mica_dim_of(x, 1) < mica_dim_of(x, 2);
  if (!wide) x = mica_matrix_transpose(x); /* rows are the columns of the tall one */
  int64_t n = mica_dim_of(x, 1), even = n + n % 2;
  if (n == 0 || mica_dim_of(x, 0) == 0) {
    mica_infer infer = {.in = (mica_type[]){mica_type_of(rule->in[0])}};
    mica_type types[3];
    infer.out = types;
    for (int i = 0; i < 3 && infer_svd(&infer); i++) out[i] = mica_zeros(graph, types[i]);
    return;
  }
  mica_value scale = mica_matrix_scale(x, &good);
  x = mica_select(good, mica_div(x, scale), mica_zeros_like(x));
  int64_t low[3] = {0}, high[3] = {0, even - n, 0};
  if (even > n) x = mica_pad(x, mica_scalar(graph, mica_dtype_of(x), 0), low, high, NULL);
  mica_type eye = {mica_dtype_of(x), {.rank = 3, .dim = {mica_dim_of(x, 0), even, even}}};
  mica_value v = mica_matrix_identity_like(mica_zeros(graph, eye));
  orthogonal_rows(&x, &v);
  x = mica_slice_axis(x, 1, 0, n, 1);
  v = mica_slice_axis(mica_slice_axis(v, 1, 0, n, 1), 2, 0, n, 1);
  mica_value s = mica_reshape_if_needed(mica_sqrt(length_of_rows(x)),
                                        (mica_shape){.rank = 2, .dim = {mica_dim_of(x, 0), n}});
  mica_value order = mica_ascending_order(mica_neg(s));
  s = mica_take_along_axis(s, order, 1);
  x = mica_matrix_permute_rows(x, order);
  v = mica_matrix_permute_rows(v, order);
  mica_qr(mica_matrix_transpose(x), false, &q, &r);
  mica_value signs = mica_matrix_rows(mica_matrix_diagonal(r));
  signs = mica_select(mica_less(signs, 0), mica_full_like(signs, -1), mica_ones_like(signs));
  mica_value bad = mica_full_like(scale, NAN);
  scale = mica_select(good, scale, bad);
  s = mica_mul(s, mica_batch_flag(scale, s));
  mica_value u = mica_select(good, mica_mul(q, signs), bad); /* [batch, m, n] */
  v = mica_select(good, v, bad);
  out[0] = mica_unfold_leading(wide ? mica_matrix_transpose(v) : u, rule->in[0], 2);
  out[1] = mica_unfold_leading(s, rule->in[0], 2);
  out[2] = mica_unfold_leading(wide ? mica_matrix_transpose(u) : v, rule->in[0], 2);
}

const mica_op_def mica_op_svd = {
    .name = "svd",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 1,
    .results = 3,
    .formula =
        "x [..., m, n] -> U [..., m, k], s [..., k] descending, V' [..., k, n], k = min(m, "
        "n): x = U diagonal(s) V', U' U = V' V = I",
    .infer = infer_svd,
    .jvp = jvp_svd,
    .vjp = vjp_svd,
    .batch = mica_batch_leading,
    .expand = expand_svd,
};

/* basis [..., m, k], orthonormal, and m - k columns more that are so too. */
static mica_value completed_basis(mica_value basis) {
  mica_value q, r;
  int64_t m = mica_dim_of(basis, -2), k = mica_dim_of(basis, -1);
  if (!mica_has_value(basis) || m == k) return basis;
  mica_qr(mica_stop_gradient(basis), true, &q, &r);
  mica_value more = mica_slice_axis(q, -1, k, m, 1);
  return mica_concatenate((mica_value[]){basis, more}, 2, -1);
}

void mica_svd(mica_value x, bool full, mica_value *out_u, mica_value *out_values,
              mica_value *out_vt) {
  MICA_ENTRY(x.graph);
  mica_value none = mica_no_value(x.graph), out[3] = {none, none, none};
  mica_emit_results(x.graph, MICA_OP_SVD, &x, 1, NULL, out, 3);
  if (out_values) *out_values = out[1];
  if (out_u) *out_u = full ? completed_basis(out[0]) : out[0];
  if (!out_vt) return;
  *out_vt = full ? mica_matrix_transpose(completed_basis(mica_matrix_transpose(out[2]))) : out[2];
}
mica_value mica_svdvals(mica_value x) {
  MICA_ENTRY(x.graph);
  mica_value u, values, vt;
  mica_svd(x, false, &u, &values, &vt);
  return values;
}
