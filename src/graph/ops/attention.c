/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c: scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762) as one
 * operator, so that a backend may keep the scores [tq, tk] out of memory.
 *
 * What a query must not see gets the lowest finite score, not -infinity, whose row would become
 * NaN in the softmax; its weight is then set to exactly 0. So a query that sees nothing gets a row
 * of zeros and sends a gradient of zero, and a NaN score of a hidden key is forgotten. (A NaN or
 * infinity in a hidden row of v is not: 0 times it is NaN.) Scores and weights of f16 and bf16 are
 * f32; weights are rounded once, before they meet v. */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "graph/ops/rules.h"

static bool infer_attention(mica_infer *infer) {
  mica_attention_attr *attr = infer->attr;
  if (!mica_infer_operand_count(infer, 3, 4)) return false;
  mica_shape q = infer->in[0].shape, k = infer->in[1].shape, v = infer->in[2].shape;
  int32_t rank = q.rank;
  if (rank < 2)
    return mica_infer_fail(infer, "q has rank %" PRId32 ": expected q [..., tq, d]", rank);
  for (size_t i = 1; i < 3; i++)
    if (infer->in[i].dtype != infer->in[0].dtype)
      return mica_infer_fail(infer,
                             "q, k and v have different dtypes: expected one dtype "
                             "(mica_convert(x, MICA_...) makes it)");
  if (k.rank != rank || v.rank != rank)
    return mica_infer_fail(
        infer, "k and v have rank %" PRId32 " and %" PRId32 ": expected %" PRId32 ", as q", k.rank,
        v.rank, rank);
  for (int32_t axis = 0; axis < rank - 2; axis++)
    if (k.dim[axis] != q.dim[axis] || v.dim[axis] != q.dim[axis])
      return mica_infer_fail(infer,
                             "axis %" PRId32 " of q, k and v has sizes %" PRId64 ", %" PRId64
                             ", %" PRId64 ": expected equal ones",
                             axis, q.dim[axis], k.dim[axis], v.dim[axis]);
  int64_t tq = q.dim[rank - 2], d = q.dim[rank - 1], tk = k.dim[rank - 2];
  if (k.dim[rank - 1] != d)
    return mica_infer_fail(infer,
                           "the last axes of q and k have sizes %" PRId64 " and %" PRId64
                           ": expected equal ones",
                           d, k.dim[rank - 1]);
  if (v.dim[rank - 2] != tk)
    return mica_infer_fail(infer, "k has %" PRId64 " rows and v %" PRId64 ": expected equally many",
                           tk, v.dim[rank - 2]);
  mica_shape scores = q;
  scores.dim[rank - 1] = tk;
  char text[MICA_SHAPE_TEXT];
  if (infer->in_count == 4 &&
      (infer->in[3].dtype != MICA_BOOL || !mica_shape_equal(infer->in[3].shape, scores)))
    return mica_infer_fail(infer, "operand 3 is the mask: expected bool%s",
                           mica_shape_text(scores, text));
  if (!isfinite(attr->scale))
    return mica_infer_fail(infer, "scale %g: expected a finite number, 0 for 1 / sqrt(d)",
                           attr->scale);
  if (attr->scale == 0) attr->scale = d > 0 ? 1 / sqrt((double)d) : 1;
  mica_shape out = q;
  out.dim[rank - 2] = tq;
  out.dim[rank - 1] = v.dim[rank - 1];
  return mica_infer_one(infer, (mica_type){infer->in[0].dtype, out});
}

/* bool [tq, tk]: query i sees the keys 0 .. i + tk - tq. */
static mica_value causal_mask(mica_graph *graph, int64_t tq, int64_t tk) {
  mica_dtype dtype = tq <= INT32_MAX / 2 && tk <= INT32_MAX / 2 ? MICA_I32 : MICA_I64;
  mica_type type = {dtype, {.rank = 2, .dim = {tq, tk}}};
  return mica_less_equal(mica_iota(graph, type, 1),
                         mica_add(mica_iota(graph, type, 0), (double)(tk - tq)));
}

static void expand_attention(const mica_rule *rule, mica_value *out) {
  const mica_attention_attr *attr = rule->attr;
  mica_value q = rule->in[0], k = rule->in[1], v = rule->in[2],
             visible = mica_no_value(rule->graph);
  mica_dtype dtype = mica_dtype_of(q);
  int32_t rank = mica_rank_of(q);
  int64_t tq = mica_dim_of(q, -2), tk = mica_dim_of(k, -2);
  if (rank < 2) {
    out[0] = mica_no_value(rule->graph);
    return;
  }
  mica_ints leading = mica_ints_sequence(0, rank - 2);
  mica_axes batch = mica_axes_from(&leading), last = {.count = 1, .axis = {rank - 1}},
            rows = {.count = 1, .axis = {rank - 2}};
  mica_value scores = mica_dot_general(q, k, .x_batch = batch, .y_batch = batch, .x_contract = last,
                                       .y_contract = last, .dtype = mica_wide_dtype(dtype));
  scores = mica_mul(scores, attr->scale);
  if (rule->in_count == 4) visible = rule->in[3];
  if (attr->causal) {
    mica_value causal = causal_mask(rule->graph, tq, tk);
    visible = mica_has_value(visible) ? mica_and(visible, causal) : causal;
  }
  if (mica_has_value(visible))
    scores =
        mica_select(visible, scores,
                    mica_number_for("attention", scores, dtype == MICA_F64 ? -DBL_MAX : -FLT_MAX));
  mica_value weights = mica_softmax(scores, -1);
  if (mica_has_value(visible)) weights = mica_select(visible, weights, mica_zeros_like(weights));
  out[0] = mica_dot_general(mica_convert(weights, dtype), v, .x_batch = batch, .y_batch = batch,
                            .x_contract = last, .y_contract = rows, .dtype = dtype);
}

static void batch_attention(const mica_rule *rule, const bool *batched, int64_t size,
                            mica_value *out) {
  mica_value in[4];
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  for (size_t i = 0; i < rule->in_count && i < 4; i++)
    in[i] = mica_batched(rule->in[i], batched[i], size);
  out[0] = mica_emit(rule->graph, MICA_OP_ATTENTION, in, rule->in_count, rule->attr);
}

static const mica_attr_field attention_fields[] = {MICA_FIELD(mica_attention_attr, scale, F64),
                                                   MICA_FIELD(mica_attention_attr, causal, BOOL),
                                                   MICA_FIELD_END};
const mica_op_def mica_op_attention = {
    .name = "attention",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = -1,
    .results = 1,
    .attr_size = sizeof(mica_attention_attr),
    .fields = attention_fields,
    .formula =
        "q [..., tq, d], k [..., tk, d], v [..., tk, dv], optional mask bool [..., tq, tk] -> "
        "[..., tq, dv]: "
        "softmax(q k' scale, where visible) v; a query that sees nothing gives 0",
    .infer = infer_attention,
    .batch = batch_attention,
    .expand = expand_attention,
};

mica_value mica_attention_with(const mica_attention_args *args) {
  mica_attention_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.q, a.k, a.v, a.mask);
  mica_value in[4] = {a.q, a.k, a.v, a.mask};
  size_t count = a.mask.graph ? 4 : 3;
  if (!mica_operands_usable("attention", in, count)) return mica_no_value(mica_graph_of(in, count));
  if (count == 4 && mica_rank_of(a.q) >= 2) {
    mica_shape scores = mica_shape_of(a.q), both;
    int32_t end = 0;
    scores.dim[scores.rank - 1] = mica_dim_of(a.k, -2);
    /* A mask that cannot be broadcast is refused by inference, which names the shape. */
    if (mica_shape_broadcast(mica_shape_of(a.mask), scores, &both, &end) &&
        mica_shape_equal(both, scores))
      in[3] = mica_broadcast_if_needed(a.mask, scores);
  }
  mica_attention_attr attr = {.scale = a.scale, .causal = a.causal};
  return mica_emit(a.q.graph, MICA_OP_ATTENTION, in, count, &attr);
}
