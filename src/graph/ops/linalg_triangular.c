/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_triangular.c: op(a) x = b for a triangular a, from the left; a system from the right is
 * the transposed one from the left.
 *
 * Derivatives: op(a) dx = db - op(da) x, where only da's triangle counts. With g the cotangent of b,
 * op(a)' g = (that of x), the cotangent of op(a) is -g x', in the triangle. */
#include "graph/ops/linalg.h"

static bool infer_triangular_solve(mica_infer *infer) {
  mica_type a = infer->in[0], b = infer->in[1];
  if (!mica_infer_matrix(infer, 0, true) || !mica_infer_matrix(infer, 1, false) ||
      !mica_infer_equal_dtypes(infer, 0))
    return false;
  mica_shape expected = a.shape;
  if (expected.rank == b.shape.rank)
    expected.dim[expected.rank - 1] = b.shape.dim[b.shape.rank - 1];
  if (!mica_shape_equal(expected, b.shape))
    return mica_infer_fail(infer, "operand 1: expected [..., n, m] beside [..., n, n]");
  return mica_infer_one(infer, b);
}

static mica_value solve_triangle(mica_value a, mica_value b, mica_triangular_solve_attr attr) {
  return mica_emit(a.graph, MICA_OP_TRIANGULAR_SOLVE, (mica_value[]){a, b}, 2, &attr);
}

/* What of a matrix counts. */
static mica_value its_triangle(mica_value x, const mica_triangular_solve_attr *attr) {
  return attr->lower ? mica_matrix_lower(x, attr->unit_diagonal ? -1 : 0)
                     : mica_matrix_upper(x, attr->unit_diagonal ? 1 : 0);
}

static void jvp_triangular_solve(const mica_rule *rule, const mica_value *tangents,
                                 mica_value *out_tangents) {
  const mica_triangular_solve_attr *attr = rule->attr;
  mica_value t = tangents[1];
  if (mica_has_value(tangents[0])) {
    mica_value da = its_triangle(tangents[0], attr);
    if (attr->transpose) da = mica_matrix_transpose(da);
    t = mica_add_values(t, mica_neg(mica_matmul(da, rule->out[0])));
  }
  out_tangents[0] = mica_has_value(t) ? solve_triangle(rule->in[0], t, *attr) : t;
}

static void vjp_triangular_solve(const mica_rule *rule, const mica_value *cotangents,
                                 mica_value *in_cotangents) {
  mica_triangular_solve_attr attr = *(const mica_triangular_solve_attr *)rule->attr, other = attr;
  other.transpose = !attr.transpose;
  mica_value g = solve_triangle(rule->in[0], cotangents[0], other), x = rule->out[0];
  mica_value da = attr.transpose ? mica_matmul(x, mica_matrix_transpose(g))
                                 : mica_matmul(g, mica_matrix_transpose(x));
  in_cotangents[0] = its_triangle(mica_neg(da), &attr);
  in_cotangents[1] = g;
}

/* Row after row, from the first (lower) or the last one. */
static void expand_triangular_solve(const mica_rule *rule, mica_value *out) {
  const mica_triangular_solve_attr *attr = rule->attr;
  mica_graph *graph = rule->graph;
  mica_value a = mica_fold_leading(rule->in[0], 2), b = mica_fold_leading(rule->in[1], 2);
  bool lower = attr->lower != attr->transpose;
  if (mica_dim_of(b, -2) == 0) {
    out[0] = rule->in[1];
    return;
  }
  mica_value beside = attr->lower ? mica_matrix_lower(a, -1) : mica_matrix_upper(a, 1);
  mica_value diagonal = mica_matrix_columns(mica_matrix_diagonal(a));
  if (attr->transpose) beside = mica_matrix_transpose(beside);
  mica_value state = mica_zeros_like(b);
  mica_region loop = mica_counting_loop(graph, &state, 1, mica_dim_of(b, -2), !lower);
  mica_value x = mica_argument(loop, 0), k = mica_argument(loop, 1);
  mica_value row = mica_sub(mica_matrix_at(b, k, 1), mica_matmul(mica_matrix_at(beside, k, 1), x));
  if (!attr->unit_diagonal) row = mica_div(row, mica_matrix_at(diagonal, k, 1));
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  x = mica_dynamic_update_slice(x, row, (mica_value[]){zero, k, zero});
  mica_scan_end(loop, &x, NULL, 0, &state, NULL);
  out[0] = mica_unfold_leading(state, rule->in[1], 2);
}

static const mica_attr_field triangular_solve_fields[] = {
    MICA_FIELD(mica_triangular_solve_attr, lower, BOOL),
    MICA_FIELD(mica_triangular_solve_attr, transpose, BOOL),
    MICA_FIELD(mica_triangular_solve_attr, unit_diagonal, BOOL), MICA_FIELD_END};
const mica_op_def mica_op_triangular_solve = {
    .name = "triangular_solve",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 2,
    .results = 1,
    .attr_size = sizeof(mica_triangular_solve_attr),
    .fields = triangular_solve_fields,
    .formula = "a [..., n, n], b [..., n, m] -> x [..., n, m]: op(a) x = b, a triangular",
    .infer = infer_triangular_solve,
    .jvp = jvp_triangular_solve,
    .vjp = vjp_triangular_solve,
    .batch = mica_batch_system,
    .expand = expand_triangular_solve,
};

mica_value mica_triangular_solve_with(const mica_triangular_solve_args *args) {
  mica_triangular_solve_args given;
  mica_linear_system system;
  if (!mica_copy_args(&given, sizeof(given), args)) return (mica_value){0};
  MICA_ENTRY_OF(given.a, given.b);
  mica_triangular_solve_attr attr = {!given.upper, given.transpose, given.unit_diagonal};
  mica_value b = given.b;
  bool turned = given.right && mica_has_value(b) && mica_rank_of(b) >= 2;
  if (turned) { /* x op(a) = b is op(a)' x' = b' */
    if (!mica_operands_usable("triangular_solve", (mica_value[]){given.a, b}, 2))
      return mica_no_value(mica_graph_of((mica_value[]){given.a, b}, 2));
    b = mica_matrix_transpose(b);
  }
  if (given.right) attr.transpose = !attr.transpose;
  if (!mica_system_begin("triangular_solve", given.a, b, &system))
    return mica_no_value(mica_graph_of((mica_value[]){given.a, b}, 2));
  mica_value x = mica_system_end(&system, solve_triangle(system.a, system.b, attr));
  return turned ? mica_matrix_transpose(x) : x;
}
