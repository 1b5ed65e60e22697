/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_qr.c: x = Q R by Householder reflections, with LAPACK's signs: the reflection of a column
 * leaves -sign(x_0) |x| on the diagonal of R.
 *
 * Derivatives (Walter, Lehmann and Lamour 2012): for m >= n, with M = Q' dx R^-1 and O = lower(M) -
 * lower(M)' (diagonals left out): dQ = Q (O - M) + dx R^-1, dR = (M - O) R. Its adjoint, with S = Q'
 * G_Q and V = G_R R': H = lower(S - S' - V + V') - S + V, and x's cotangent is (G_Q + Q H) R^-T. For
 * m < n the first m columns determine Q, and the others follow as R_2 = Q' x_2. */
#include <math.h>

#include "graph/ops/linalg.h"

static int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }

static bool infer_qr(mica_infer *infer) {
  const mica_qr_attr *attr = infer->attr;
  if (!mica_infer_matrix(infer, 0, false)) return false;
  mica_type q = infer->in[0], r = q;
  int32_t rank = q.shape.rank;
  int64_t m = q.shape.dim[rank - 2], n = q.shape.dim[rank - 1];
  int64_t inner = attr->full ? m : smaller_of(m, n);
  q.shape.dim[rank - 1] = r.shape.dim[rank - 2] = inner;
  return mica_infer_types(infer, (mica_type[]){q, r}, 2);
}

/* y r^-1, or y r^-T, for an upper triangular r. */
static mica_value over_upper(mica_value y, mica_value r, bool transpose) {
  mica_triangular_solve_attr attr = {.lower = false, .transpose = !transpose};
  mica_value in[2] = {r, mica_matrix_transpose(y)};
  return mica_matrix_transpose(mica_emit(y.graph, MICA_OP_TRIANGULAR_SOLVE, in, 2, &attr));
}

/* The full Q has columns that nothing determines. */
static bool can_differentiate(const mica_rule *rule) {
  const mica_qr_attr *attr = rule->attr;
  if (!attr->full || mica_dim_of(rule->in[0], -2) <= mica_dim_of(rule->in[0], -1)) return true;
  mica_rule_failed(rule,
                   "with more rows than columns the full Q cannot be differentiated: "
                   "expected full = false");
  return false;
}

static void jvp_qr(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  mica_value q = rule->out[0], r = rule->out[1], t = tangents[0], rest = mica_no_value(t.graph);
  int64_t m = mica_dim_of(rule->in[0], -2), n = mica_dim_of(rule->in[0], -1);
  if (!can_differentiate(rule)) return;
  if (m < n) {
    rest = mica_slice_axis(t, -1, m, n, 1);
    t = mica_slice_axis(t, -1, 0, m, 1);
    r = mica_slice_axis(r, -1, 0, m, 1);
  }
  mica_value qt = mica_matrix_transpose(q), scaled = over_upper(t, r, false);
  mica_value inner = mica_matmul(qt, scaled), low = mica_matrix_lower(inner, -1);
  mica_value turn = mica_sub(low, mica_matrix_transpose(low));
  mica_value dq = mica_add(mica_matmul(q, mica_sub(turn, inner)), scaled);
  mica_value dr = mica_matmul(mica_matrix_upper(mica_sub(inner, turn), 0), r);
  if (m < n) {
    mica_value x2 = mica_slice_axis(rule->in[0], -1, m, n, 1);
    rest = mica_add(mica_matmul(mica_matrix_transpose(dq), x2), mica_matmul(qt, rest));
    dr = mica_concatenate((mica_value[]){dr, rest}, 2, -1);
  }
  out_tangents[0] = dq;
  out_tangents[1] = dr;
}

static void vjp_qr(const mica_rule *rule, const mica_value *cotangents, mica_value *in_cotangents) {
  mica_value q = rule->out[0], r = rule->out[1], gq = cotangents[0], gr = cotangents[1];
  mica_value none = mica_no_value(rule->graph), rest = none, h = none;
  int64_t m = mica_dim_of(rule->in[0], -2), n = mica_dim_of(rule->in[0], -1);
  in_cotangents[0] = none;
  if (!can_differentiate(rule)) return;
  if (m < n) {
    r = mica_slice_axis(r, -1, 0, m, 1);
    mica_value x2 = mica_slice_axis(rule->in[0], -1, m, n, 1);
    rest = mica_zeros_like(x2);
    if (mica_has_value(gr)) {
      mica_value gr2 = mica_slice_axis(gr, -1, m, n, 1);
      rest = mica_matmul(q, gr2);
      gq = mica_add_values(gq, mica_matmul(x2, mica_matrix_transpose(gr2)));
      gr = mica_slice_axis(gr, -1, 0, m, 1);
    }
  }
  if (mica_has_value(gq)) h = mica_neg(mica_matmul(mica_matrix_transpose(q), gq)); /* -S */
  if (mica_has_value(gr))                                                          /* + V */
    h = mica_add_values(h, mica_matmul(mica_matrix_upper(gr, 0), mica_matrix_transpose(r)));
  if (!mica_has_value(h)) return;
  h = mica_add(h, mica_matrix_lower(mica_sub(mica_matrix_transpose(h), h), -1));
  mica_value g = over_upper(mica_add_values(mica_matmul(q, h), gq), r, true);
  in_cotangents[0] = m < n ? mica_concatenate((mica_value[]){g, rest}, 2, -1) : g;
}

/* ---- expansion: reflection after reflection -------------------------------------------------- */

/* x - tau v (v' x), for x [batch, m, n], v [batch, m, 1], tau [batch, 1, 1] */
static mica_value reflected(mica_value x, mica_value v, mica_value tau) {
  mica_value row = mica_matmul(mica_matrix_transpose(v), x);
  return mica_sub(x, mica_matmul(mica_mul(v, tau), row));
}

static void householder_of(mica_value x, mica_value k, mica_value *out_v, mica_value *out_tau,
                           mica_value *out_beta) {
  mica_axes column = {.count = 1, .axis = {1}, .keep = true};
  mica_value row =
      mica_iota(x.graph, (mica_type){MICA_I32, {.rank = 2, .dim = {mica_dim_of(x, 1), 1}}}, 0);
  mica_value zero = mica_zeros_like(x);
  x = mica_select(mica_greater_equal(row, k), x, zero);
  mica_value size = mica_reduce_max(mica_abs(x), column);
  mica_value plain = mica_or(mica_equal(size, 0), mica_not(mica_is_finite(size)));
  size = mica_select(plain, mica_ones_like(size), size);
  mica_value scaled = mica_div(x, size);
  mica_value below = mica_select(mica_greater(row, k), scaled, zero);
  mica_value head = mica_matrix_at(x, k, 1), scaled_head = mica_matrix_at(scaled, k, 1);
  mica_value done = mica_equal(mica_reduce_max(mica_abs(below), column), 0);
  mica_value norm = mica_sqrt(mica_reduce_sum(mica_square(scaled), column));
  mica_value beta = mica_select(mica_less(scaled_head, 0), norm, mica_neg(norm));
  mica_value one = mica_ones_like(beta), span = mica_sub(scaled_head, beta);
  mica_value v = mica_div(below, mica_select(done, one, span));
  *out_v = mica_select(mica_equal(row, k), mica_ones_like(v), v);
  mica_value tau = mica_div(mica_neg(span), mica_select(done, one, beta));
  *out_tau = mica_select(done, mica_zeros_like(tau), tau);
  *out_beta = mica_select(done, head, mica_mul(beta, size));
}

static void expand_qr(const mica_rule *rule, mica_value *out) {
  const mica_qr_attr *attr = rule->attr;
  mica_graph *graph = rule->graph;
  mica_value x = mica_fold_leading(rule->in[0], 2), good;
  int64_t batch = mica_dim_of(x, 0), m = mica_dim_of(x, 1), n = mica_dim_of(x, 2);
  int64_t count = smaller_of(m, n), inner = attr->full ? m : count;
  mica_dtype dtype = mica_dtype_of(x);
  mica_type q_type = {dtype, {.rank = 3, .dim = {batch, m, inner}}};
  mica_value eye = mica_matrix_identity_like(mica_zeros(graph, q_type));
  if (count == 0) {
    out[0] = mica_unfold_leading(eye, rule->in[0], 2);
    mica_value r = mica_zeros(graph, (mica_type){dtype, {.rank = 3, .dim = {batch, inner, n}}});
    out[1] = mica_unfold_leading(r, rule->in[0], 2);
    return;
  }
  mica_value zero = mica_scalar(graph, MICA_I32, 0), last[3], v, tau, beta;
  mica_value bad = mica_full_like(mica_matrix_scale(x, &good), NAN);
  mica_value state[3] = {
      x, mica_zeros(graph, (mica_type){dtype, {.rank = 3, .dim = {batch, m, count}}}),
      mica_zeros(graph, (mica_type){dtype, {.rank = 3, .dim = {batch, 1, count}}})};
  mica_region loop = mica_counting_loop(graph, state, 3, count, false);
  mica_value left = mica_argument(loop, 0), k = mica_argument(loop, 3);
  mica_value column = mica_matrix_at(left, k, 2);
  householder_of(column, k, &v, &tau, &beta);
  mica_value place[3] = {zero, zero, k};
  state[0] = reflected(left, v, tau);
  state[1] = mica_dynamic_update_slice(mica_argument(loop, 1), v, place);
  state[2] = mica_dynamic_update_slice(mica_argument(loop, 2), tau, place);
  mica_scan_end(loop, state, NULL, 0, last, NULL);
  mica_value r = mica_select(good, mica_slice_axis(last[0], 1, 0, inner, 1), bad), q;
  out[1] = mica_unfold_leading(mica_matrix_upper(r, 0), rule->in[0], 2);
  loop = mica_counting_loop(graph, &eye, 1, count, true);
  k = mica_argument(loop, 1);
  mica_value next = reflected(mica_argument(loop, 0), mica_matrix_at(last[1], k, 2),
                              mica_matrix_at(last[2], k, 2));
  mica_scan_end(loop, &next, NULL, 0, &q, NULL);
  q = mica_select(good, q, bad);
  out[0] = mica_unfold_leading(q, rule->in[0], 2);
}

static const mica_attr_field qr_fields[] = {MICA_FIELD(mica_qr_attr, full, BOOL), MICA_FIELD_END};
const mica_op_def mica_op_qr = {
    .name = "qr",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 1,
    .results = 2,
    .attr_size = sizeof(mica_qr_attr),
    .fields = qr_fields,
    .formula =
        "x [..., m, n] -> Q [..., m, k], R [..., k, n]: x = Q R, Q' Q = I, R upper "
        "triangular, k = min(m, n), or m if full",
    .infer = infer_qr,
    .jvp = jvp_qr,
    .vjp = vjp_qr,
    .batch = mica_batch_leading,
    .expand = expand_qr,
};

void mica_qr(mica_value x, bool full, mica_value *out_q, mica_value *out_r) {
  MICA_ENTRY(x.graph);
  mica_value out[2] = {mica_no_value(x.graph), mica_no_value(x.graph)};
  mica_emit_results(x.graph, MICA_OP_QR, &x, 1, &(mica_qr_attr){.full = full}, out, 2);
  if (out_q) *out_q = out[0];
  if (out_r) *out_r = out[1];
}
