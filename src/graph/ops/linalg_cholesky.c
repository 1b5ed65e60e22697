/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_cholesky.c: L L' = (x + x') / 2.
 *
 * Derivatives (Murray 2016, arXiv 1602.07527): with phi(a) the lower triangle of a, its diagonal
 * halved, dL = L phi(L^-1 dS L^-T), where dS is the symmetric part of dx; phi is its own adjoint, so
 * the cotangent of x is the symmetric part of L^-T phi(L' G) L^-1. */
#include <math.h>

#include "graph/ops/linalg.h"

static bool infer_cholesky(mica_infer *infer) {
  return mica_infer_matrix(infer, 0, true) && mica_infer_one(infer, infer->in[0]);
}

static mica_value halved_triangle(mica_value x) {
  return mica_sub(mica_matrix_lower(x, 0),
                  mica_mul(mica_matrix_from_diagonal(mica_matrix_diagonal(x)), 0.5));
}

/* L^-1 x, or L^-T x */
static mica_value through_factor(mica_value factor, mica_value x, bool transpose) {
  mica_triangular_solve_attr attr = {.lower = true, .transpose = transpose};
  return mica_emit(factor.graph, MICA_OP_TRIANGULAR_SOLVE, (mica_value[]){factor, x}, 2, &attr);
}

static void jvp_cholesky(const mica_rule *rule, const mica_value *tangents,
                         mica_value *out_tangents) {
  mica_value factor = rule->out[0], t = mica_matrix_symmetric(tangents[0]);
  t = through_factor(factor, t, false);
  t = through_factor(factor, mica_matrix_transpose(t), false); /* L^-1 dS L^-T is symmetric */
  out_tangents[0] = mica_matmul(factor, halved_triangle(t));
}

static void vjp_cholesky(const mica_rule *rule, const mica_value *cotangents,
                         mica_value *in_cotangents) {
  mica_value factor = rule->out[0];
  mica_value p = halved_triangle(mica_matmul(mica_matrix_transpose(factor), cotangents[0]));
  p = through_factor(factor, p, true);
  p = through_factor(factor, mica_matrix_transpose(p), true);
  in_cotangents[0] = mica_matrix_symmetric(p);
}

/* Column after column: the column of L, and its outer product taken from what is left. */
static void expand_cholesky(const mica_rule *rule, mica_value *out) {
  mica_graph *graph = rule->graph;
  mica_value x = mica_fold_leading(mica_matrix_symmetric(rule->in[0]), 2);
  int64_t n = mica_dim_of(x, -1);
  if (n == 0) {
    out[0] = rule->in[0];
    return;
  }
  mica_value state[2] = {x, mica_zeros_like(x)};
  mica_region loop = mica_counting_loop(graph, state, 2, n, false);
  mica_value left = mica_argument(loop, 0), k = mica_argument(loop, 2);
  mica_value column = mica_matrix_at(left, k, 2), root = mica_sqrt(mica_matrix_at(column, k, 1));
  mica_value row = mica_iota(graph, (mica_type){MICA_I32, {.rank = 2, .dim = {n, 1}}}, 0);
  column = mica_select(mica_greater(row, k), mica_div(column, root), mica_zeros_like(column));
  state[0] = mica_sub(left, mica_matmul(column, mica_matrix_transpose(column)));
  column = mica_select(mica_equal(row, k), root, column);
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  state[1] =
      mica_dynamic_update_slice(mica_argument(loop, 1), column, (mica_value[]){zero, zero, k});
  mica_value last[2];
  mica_scan_end(loop, state, NULL, 0, last, NULL);
  mica_value factor = last[1];
  mica_value good = mica_greater(mica_matrix_diagonal(factor), 0);
  good = mica_reduce_and(good, MICA_AXES(-1));
  good = mica_matrix_columns(mica_matrix_columns(good));
  factor = mica_select(good, factor, mica_matrix_lower(mica_full_like(factor, NAN), 0));
  out[0] = mica_unfold_leading(factor, rule->in[0], 2);
}

const mica_op_def mica_op_cholesky = {
    .name = "cholesky",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 1,
    .results = 1,
    .formula =
        "x [..., n, n] -> L [..., n, n], lower: L L' = (x + x') / 2; NaN if not positive "
        "definite",
    .infer = infer_cholesky,
    .jvp = jvp_cholesky,
    .vjp = vjp_cholesky,
    .batch = mica_batch_leading,
    .expand = expand_cholesky,
};

mica_value mica_cholesky(mica_value x, bool upper) {
  MICA_ENTRY(x.graph);
  mica_value factor = mica_emit(x.graph, MICA_OP_CHOLESKY, &x, 1, NULL);
  return upper ? mica_matrix_transpose(factor) : factor;
}
