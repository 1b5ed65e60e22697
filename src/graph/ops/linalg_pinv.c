/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_pinv.c: the pseudoinverse, and least squares on top of it.
 *
 * The derivative (Golub and Pereyra 1973) needs no gaps between singular values, only a rank that
 * does not change: with P = x^+, dP = -P dx P + P P' dx' (1 - x P) + (1 - P x) dx' P' P. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/linalg.h"

static bool infer_pinv(mica_infer *infer) {
  const mica_pinv_attr *attr = infer->attr;
  mica_type x = infer->in[0];
  if (!mica_infer_matrix(infer, 0, false)) return false;
  if (!(attr->rcond >= 0) || isinf(attr->rcond))
    return mica_infer_fail(infer, "rcond %g: expected a finite number of at least 0", attr->rcond);
  int32_t rank = x.shape.rank;
  int64_t m = x.shape.dim[rank - 2];
  x.shape.dim[rank - 2] = x.shape.dim[rank - 1];
  x.shape.dim[rank - 1] = m;
  return mica_infer_one(infer, x);
}

static void jvp_pinv(const mica_rule *rule, const mica_value *tangents, mica_value *out_tangents) {
  mica_value x = rule->in[0], p = rule->out[0], pt = mica_matrix_transpose(p), t = tangents[0];
  mica_value tt = mica_matrix_transpose(t);
  mica_value first = mica_matmul(p, mica_matmul(t, p));
  mica_value left = mica_matmul(mica_matmul(p, pt), tt); /* [n, m] */
  left = mica_sub(left, mica_matmul(mica_matmul(left, x), p));
  mica_value right = mica_matmul(tt, mica_matmul(pt, p)); /* [n, m] */
  right = mica_sub(right, mica_matmul(p, mica_matmul(x, right)));
  out_tangents[0] = mica_sub(mica_add(left, right), first);
}

static void vjp_pinv(const mica_rule *rule, const mica_value *cotangents,
                     mica_value *in_cotangents) {
  mica_value x = rule->in[0], p = rule->out[0], pt = mica_matrix_transpose(p), g = cotangents[0];
  mica_value gt = mica_matrix_transpose(g); /* [m, n] */
  mica_value first = mica_matmul(pt, mica_matmul(g, pt));
  mica_value left = mica_matmul(mica_matmul(gt, p), pt);
  left = mica_sub(left, mica_matmul(x, mica_matmul(p, left)));
  mica_value right = mica_matmul(pt, mica_matmul(p, gt));
  right = mica_sub(right, mica_matmul(mica_matmul(right, p), x));
  in_cotangents[0] = mica_sub(mica_add(left, right), first);
}

/* [..., k] bool: values above rcond times the largest. */
static mica_value kept_values(mica_value s, double rcond) {
  mica_axes last = {.count = 1, .axis = {-1}, .keep = true};
  if (mica_dim_of(s, -1) == 0) return mica_greater(s, 0);
  return mica_greater(s, mica_mul(mica_reduce_max(s, last), rcond));
}

static void expand_pinv(const mica_rule *rule, mica_value *out) {
  const mica_pinv_attr *attr = rule->attr;
  mica_value u, s, vt;
  mica_svd(rule->in[0], false, &u, &s, &vt);
  mica_value kept = kept_values(s, attr->rcond), one = mica_ones_like(s);
  mica_value inverse =
      mica_select(kept, mica_div(one, mica_select(kept, s, one)), mica_mul(s, 0)); /* NaN stays */
  mica_value v = mica_mul(mica_matrix_transpose(vt), mica_matrix_rows(inverse));
  out[0] = mica_matmul(v, mica_matrix_transpose(u));
}

static const mica_attr_field pinv_fields[] = {MICA_FIELD(mica_pinv_attr, rcond, F64),
                                              MICA_FIELD_END};
const mica_op_def mica_op_pinv = {
    .name = "pinv",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_WIDE,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_pinv_attr),
    .fields = pinv_fields,
    .formula =
        "x [..., m, n] -> [..., n, m]: V diagonal(1 / s) U', where s <= rcond max(s) counts "
        "as 0",
    .infer = infer_pinv,
    .jvp = jvp_pinv,
    .vjp = vjp_pinv,
    .batch = mica_batch_leading,
    .expand = expand_pinv,
};

/* numpy's default of matrix_rank and lstsq. */
static double default_rcond(mica_value x, double rcond) {
  int64_t m = mica_dim_of(x, -2), n = mica_dim_of(x, -1);
  double epsilon = mica_dtype_of(x) == MICA_F64 ? 0x1p-52 : 0x1p-23;
  return rcond < 0 ? epsilon * (double)(m > n ? m : n) : rcond;
}

mica_value mica_pinv(mica_value x, double rcond) {
  MICA_ENTRY(x.graph);
  if (!mica_builder_matrix("pinv", x, false)) return mica_no_value(x.graph);
  mica_pinv_attr attr = {.rcond = default_rcond(x, rcond)};
  return mica_emit(x.graph, MICA_OP_PINV, &x, 1, &attr);
}

mica_value mica_matrix_rank(mica_value x, double rcond) {
  MICA_ENTRY(x.graph);
  if (!mica_builder_matrix("matrix_rank", x, false)) return mica_no_value(x.graph);
  mica_value kept = kept_values(mica_svdvals(x), default_rcond(x, rcond));
  return mica_reduce_sum(mica_convert(kept, MICA_I32), MICA_AXES(-1));
}

mica_value mica_lstsq(mica_value a, mica_value b, double rcond) {
  MICA_ENTRY_OF(a, b);
  mica_value in[2] = {a, b}, none = mica_no_value(mica_graph_of(in, 2));
  if (!mica_operands_usable("lstsq", in, 2)) return none;
  if (!mica_builder_matrix("lstsq", a, false)) return none;
  bool vector = mica_rank_of(b) == 1;
  int64_t m = mica_dim_of(a, -2);
  if (mica_dtype_of(a) != mica_dtype_of(b))
    return mica_fail_operator(a.graph, "lstsq", in, 2,
                              "operands 0 and 1 have different dtypes: expected one dtype "
                              "(mica_convert(x, MICA_...) makes it)");
  if (mica_rank_of(b) == 0 || mica_dim_of(b, vector ? 0 : -2) != m)
    return mica_fail_operator(
        a.graph, "lstsq", in, 2,
        "operand 1: expected [..., %" PRId64 ", k], or a vector [%" PRId64 "]", m, m);
  return mica_matmul(mica_pinv(a, rcond), b);
}
