/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_solve.c: op(a) x = b by LU; inverses.
 *
 * A composite, whose rules solve with the same matrix again: where they are compiled together with
 * it, all of them share one factorization. Derivatives as for a triangular matrix. */
#include "graph/ops/linalg.h"

static bool infer_solve(mica_infer *infer) {
  mica_shape a = infer->in[0].shape, b = infer->in[1].shape;
  if (!mica_infer_matrix(infer, 0, true) || !mica_infer_matrix(infer, 1, false) ||
      !mica_infer_equal_dtypes(infer, 0))
    return false;
  if (a.rank == b.rank) a.dim[a.rank - 1] = b.dim[b.rank - 1];
  if (!mica_shape_equal(a, b))
    return mica_infer_fail(infer, "operand 1: expected [..., n, m] beside [..., n, n]");
  return mica_infer_one(infer, infer->in[1]);
}

static mica_value emit_solve(mica_value a, mica_value b, bool transpose) {
  mica_solve_attr attr = {.transpose = transpose};
  return mica_emit(a.graph, MICA_OP_SOLVE, (mica_value[]){a, b}, 2, &attr);
}

static void jvp_solve(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  const mica_solve_attr *attr = rule->attr;
  mica_value t = tangents[1], da = tangents[0];
  if (mica_has_value(da)) {
    if (attr->transpose) da = mica_matrix_transpose(da);
    t = mica_add_values(t, mica_neg(mica_matmul(da, rule->out[0])));
  }
  out_tangents[0] = mica_has_value(t) ? emit_solve(rule->in[0], t, attr->transpose) : t;
}

static void vjp_solve(const mica_rule *rule, const mica_value *cotangents,
                      mica_value *in_cotangents) {
  const mica_solve_attr *attr = rule->attr;
  mica_value g = emit_solve(rule->in[0], cotangents[0], !attr->transpose), x = rule->out[0];
  in_cotangents[0] = mica_neg(attr->transpose ? mica_matmul(x, mica_matrix_transpose(g))
                                              : mica_matmul(g, mica_matrix_transpose(x)));
  in_cotangents[1] = g;
}

/* a = P' L U: x = U^-1 L^-1 P b; a' x = b: x = P' L^-T U^-T b. */
static void expand_solve(const mica_rule *rule, mica_value *out) {
  const mica_solve_attr *attr = rule->attr;
  mica_value lu[3], x = rule->in[1];
  mica_lu(rule->in[0], lu);
  mica_triangular_solve_attr lower = {true, attr->transpose, true},
                             upper = {false, attr->transpose, false};
  if (!attr->transpose) x = mica_matrix_permute_rows(x, lu[2]);
  for (int i = 0; i < 2; i++)
    x = mica_emit(rule->graph, MICA_OP_TRIANGULAR_SOLVE, (mica_value[]){lu[0], x}, 2,
                  (i == 0) == attr->transpose ? &upper : &lower);
  if (attr->transpose) x = mica_matrix_permute_rows(x, mica_inverse_permutation(lu[2]));
  out[0] = x;
}

static const mica_attr_field solve_fields[] = {MICA_FIELD(mica_solve_attr, transpose, BOOL),
                                               MICA_FIELD_END};
const mica_op_def mica_op_solve = {
    .name = "solve",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 2,
    .results = 1,
    .attr_size = sizeof(mica_solve_attr),
    .fields = solve_fields,
    .formula = "a [..., n, n], b [..., n, m] -> x [..., n, m]: op(a) x = b",
    .infer = infer_solve,
    .jvp = jvp_solve,
    .vjp = vjp_solve,
    .batch = mica_batch_system,
    .expand = expand_solve,
};

mica_value mica_solve(mica_value a, mica_value b) {
  MICA_ENTRY_OF(a, b);
  mica_linear_system system;
  if (!mica_system_begin("solve", a, b, &system))
    return mica_no_value(mica_graph_of((mica_value[]){a, b}, 2));
  return mica_system_end(&system, emit_solve(system.a, system.b, false));
}

mica_value mica_inverse(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!mica_builder_matrix("inverse", x, true)) return mica_no_value(x.graph);
  return emit_solve(x, mica_matrix_identity_like(x), false);
}
