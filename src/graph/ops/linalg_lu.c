/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_lu.c: P x = L U with partial pivoting; L (its diagonal of ones left out) and U share one
 * matrix.
 *
 * Derivatives (de Hoog, Anderssen and Lukas 2011): with M = L^-1 P dx U^-1, dL = L lower(M) and dU =
 * upper(M) U, where lower leaves the diagonal out. So with cotangents G_L and G_U, the two triangles
 * of G, that of M is W = lower(L' G_L) + upper(G_U U'), and that of x is P' L^-T W U^-T. The
 * permutation is constant. */
#include "graph/ops/linalg.h"

static bool infer_lu(mica_infer *infer) {
  if (!mica_infer_matrix(infer, 0, true)) return false;
  mica_type x = infer->in[0];
  mica_type rows = {MICA_I32, mica_shape_remove(x.shape, x.shape.rank - 1)};
  return mica_infer_types(infer, (mica_type[]){x, rows, rows}, 3);
}

static mica_value lower_solve(mica_value lu, mica_value b, bool transpose) {
  mica_triangular_solve_attr attr = {.lower = true, .transpose = transpose, .unit_diagonal = true};
  return mica_emit(lu.graph, MICA_OP_TRIANGULAR_SOLVE, (mica_value[]){lu, b}, 2, &attr);
}
/* b U^-1, or b U^-T: from the right. */
static mica_value upper_solve_right(mica_value lu, mica_value b, bool transpose) {
  mica_triangular_solve_attr attr = {.lower = false, .transpose = !transpose};
  b = mica_matrix_transpose(b);
  b = mica_emit(lu.graph, MICA_OP_TRIANGULAR_SOLVE, (mica_value[]){lu, b}, 2, &attr);
  return mica_matrix_transpose(b);
}
static mica_value lower_factor(mica_value lu) {
  return mica_add(mica_matrix_lower(lu, -1), mica_matrix_identity_like(lu));
}

static void jvp_lu(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  mica_value lu = rule->out[0];
  mica_value m = mica_matrix_permute_rows(tangents[0], rule->out[2]);
  m = upper_solve_right(lu, lower_solve(lu, m, false), false);
  out_tangents[0] = mica_add(mica_matmul(lower_factor(lu), mica_matrix_lower(m, -1)),
                             mica_matmul(mica_matrix_upper(m, 0), mica_matrix_upper(lu, 0)));
}

static void vjp_lu(const mica_rule *rule, const mica_value *cotangents, mica_value *in_cotangents) {
  mica_value lu = rule->out[0], g = cotangents[0];
  in_cotangents[0] = mica_no_value(rule->graph);
  if (!mica_has_value(g)) return;
  mica_value below = mica_matmul(mica_matrix_transpose(lower_factor(lu)), mica_matrix_lower(g, -1));
  mica_value above =
      mica_matmul(mica_matrix_upper(g, 0), mica_matrix_transpose(mica_matrix_upper(lu, 0)));
  mica_value w = mica_add(mica_matrix_lower(below, -1), mica_matrix_upper(above, 0));
  w = upper_solve_right(lu, lower_solve(lu, w, true), true);
  in_cotangents[0] = mica_matrix_permute_rows(w, mica_inverse_permutation(rule->out[2]));
}

/* Column after column: the largest element below goes to the diagonal, the rest is divided by it,
 * and the outer product of column and row is taken from what is left. */
static void expand_lu(const mica_rule *rule, mica_value *out) {
  mica_graph *graph = rule->graph;
  mica_value x = mica_fold_leading(rule->in[0], 2);
  int64_t batch = mica_dim_of(x, 0), n = mica_dim_of(x, -1);
  mica_type rows = {MICA_I32, {.rank = 2, .dim = {batch, n}}};
  if (n == 0) {
    mica_shape shape = mica_shape_of(rule->in[0]);
    out[0] = rule->in[0];
    rows.shape = mica_shape_remove(shape, shape.rank - 1);
    out[1] = out[2] = mica_zeros(graph, rows);
    return;
  }
  mica_value state[3] = {x, mica_zeros(graph, rows), mica_iota(graph, rows, 1)}, pivot_row;
  mica_region loop = mica_counting_loop(graph, state, 3, n, false);
  mica_value a = mica_argument(loop, 0), pivots = mica_argument(loop, 1),
             permutation = mica_argument(loop, 2), k = mica_argument(loop, 3);
  mica_value row = mica_iota(graph, rows, 1), zero = mica_scalar(graph, MICA_I32, 0);
  mica_value size = mica_abs(mica_reshape_if_needed(mica_matrix_at(a, k, 2), rows.shape));
  mica_value candidate = mica_and(mica_greater_equal(row, k), mica_not(mica_is_nan(size)));
  size = mica_select(candidate, size, mica_full_like(size, -1));
  size = mica_select(mica_equal(row, k), mica_max(size, -0.5), size); /* where all are NaN */
  pivot_row = mica_matrix_columns(mica_arg_max(size, 1));             /* [batch, 1] */
  mica_value order =
      mica_select(mica_equal(row, k), pivot_row, mica_select(mica_equal(row, pivot_row), k, row));
  a = mica_matrix_permute_rows(a, order);
  state[1] = mica_dynamic_update_slice(pivots, pivot_row, (mica_value[]){zero, k});
  state[2] = mica_take_along_axis(permutation, order, 1);
  mica_value column = mica_matrix_at(a, k, 2), top = mica_matrix_at(a, k, 1);
  mica_value below = mica_greater(mica_matrix_columns(row), k),
             right = mica_greater(mica_matrix_rows(row),
                                  k); /* what is left; the rest stays, NaN or not */
  mica_value head = mica_matrix_at(column, k, 1);
  /* A column of zeros is left as it is. */
  mica_value divided = mica_select(mica_equal(head, 0), column, mica_div(column, head));
  column = mica_select(below, divided, column);
  a = mica_dynamic_update_slice(a, column, (mica_value[]){zero, zero, k});
  state[0] = mica_select(mica_and(below, right), mica_sub(a, mica_matmul(column, top)), a);
  mica_value last[3];
  mica_scan_end(loop, state, NULL, 0, last, NULL);
  out[0] = mica_unfold_leading(last[0], rule->in[0], 2);
  for (int i = 1; i < 3; i++) {
    mica_shape shape = mica_shape_of(rule->in[0]);
    out[i] = mica_reshape_if_needed(last[i], mica_shape_remove(shape, shape.rank - 1));
  }
}

const mica_op_def mica_op_lu = {
    .name = "lu",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 1,
    .results = 3,
    .formula =
        "x [..., n, n] -> L U [..., n, n], pivots i32 [..., n], permutation i32 [..., n]: "
        "x[permutation] = L U",
    .infer = infer_lu,
    .jvp = jvp_lu,
    .vjp = vjp_lu,
    .batch = mica_batch_leading,
    .expand = expand_lu,
};

void mica_lu(mica_value x, mica_value out[3]) {
  MICA_ENTRY(x.graph);
  mica_emit_results(x.graph, MICA_OP_LU, &x, 1, NULL, out, 3);
}

/* ---- determinants ---------------------------------------------------------------------------- */

/* The diagonal of U, and the permutation's sign: each step that moves a row turns it around. */
static mica_value factored_diagonal(mica_value x, mica_value *out_sign) {
  mica_value lu[3];
  mica_lu(x, lu);
  mica_value diagonal = mica_matrix_diagonal(lu[0]);
  mica_type type = mica_type_of(lu[1]);
  if (!mica_has_value(lu[1])) return diagonal;
  mica_value moved = mica_not_equal(lu[1], mica_iota(x.graph, type, type.shape.rank - 1));
  mica_value count = mica_reduce_sum(mica_convert(moved, MICA_I32), MICA_AXES(-1));
  mica_value odd = mica_convert(mica_rem(count, 2), mica_dtype_of(x));
  *out_sign = mica_add(mica_mul(odd, -2), 1);
  return diagonal;
}

mica_value mica_det(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!mica_builder_matrix("det", x, true)) return mica_no_value(x.graph);
  mica_value sign = mica_no_value(x.graph), diagonal = factored_diagonal(x, &sign);
  return mica_mul(mica_reduce_prod(diagonal, MICA_AXES(-1)), sign);
}

void mica_slogdet(mica_value x, mica_value *out_sign, mica_value *out_log) {
  MICA_ENTRY(x.graph);
  mica_value unused[2];
  if (!out_sign) out_sign = &unused[0];
  if (!out_log) out_log = &unused[1];
  *out_sign = *out_log = mica_no_value(x.graph);
  if (!mica_builder_matrix("slogdet", x, true)) return;
  mica_value sign = mica_no_value(x.graph), diagonal = factored_diagonal(x, &sign);
  *out_sign = mica_mul(mica_reduce_prod(mica_sign(diagonal), MICA_AXES(-1)), sign);
  *out_log = mica_reduce_sum(mica_log(mica_abs(diagonal)), MICA_AXES(-1));
}
