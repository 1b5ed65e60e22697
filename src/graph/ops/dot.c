/* SPDX-License-Identifier: Apache-2.0 */
/* dot.c: sums of products over axes of two operands: dot_general as StableHLO has it, and
 * numpy's matmul built on it. The result may have a wider dtype than the operands; sums of
 * narrow floats are formed in f32 in any case.
 *
 * Derivatives. Linear in each operand. The cotangent of one operand is the dot of the result's
 * cotangent with the other operand over the latter's free axes, in the result's dtype, with axes
 * put in order. */
#include <inttypes.h>

#include "graph/ops/rules.h"

/* ---- inference ------------------------------------------------------------------------------- */

/* The wider dtype that products of narrow numbers may have, or none. */
static mica_dtype wider_dot_dtype(mica_dtype in) {
  switch (in) {
    case MICA_F8E4M3FN:
    case MICA_F8E5M2:
    case MICA_F16:
    case MICA_BF16: return MICA_F32;
    case MICA_I8:
    case MICA_U8:
    case MICA_I4:
    case MICA_U4: return MICA_I32;
    default: return MICA_DTYPE_NONE;
  }
}

static bool infer_dot_dtype(mica_infer *infer, mica_dtype *dtype) {
  mica_dtype x = infer->in[0].dtype, y = infer->in[1].dtype, wide = wider_dot_dtype(x);
  if (*dtype == MICA_DTYPE_NONE && x == y) *dtype = x;
  if (x != y && (wide == MICA_DTYPE_NONE || wider_dot_dtype(y) != wide || *dtype != wide))
    return mica_infer_fail(infer,
                           "the operands have different dtypes: expected one dtype "
                           "(mica_convert(x, MICA_...) makes it), or f16, bf16 and f8 with a "
                           "result of f32, i8, u8, i4 and u4 with a result of i32");
  if (*dtype == x || *dtype == wide) return true;
  return mica_infer_fail(
      infer,
      "the result cannot have dtype %s: expected the operands' (or f32 for f16, bf16, f8; "
      "i32 for i8, u8, i4, u4)",
      mica_dtype_name(*dtype));
}

/* Axes that are neither batch nor contracted, in increasing order. */
static mica_ints dot_free_axes(const mica_ints *batch, const mica_ints *contract, int32_t rank) {
  mica_ints free_axes = {0};
  for (int32_t axis = 0; axis < rank; axis++)
    if (!mica_ints_contain(batch, axis) && !mica_ints_contain(contract, axis))
      free_axes.at[free_axes.count++] = axis;
  return free_axes;
}

/* One operand's lists; its axes are different. */
static bool infer_dot_operand(mica_infer *infer, size_t operand, mica_ints *batch,
                              mica_ints *contract) {
  int32_t rank = infer->in[operand].shape.rank;
  if (!mica_infer_axes(infer, operand == 0 ? "lhs_batch" : "rhs_batch", batch, rank, false) ||
      !mica_infer_axes(infer, operand == 0 ? "lhs_contract" : "rhs_contract", contract, rank,
                       false))
    return false;
  for (int32_t i = 0; i < batch->count; i++)
    if (mica_ints_contain(contract, batch->at[i]))
      return mica_infer_fail(infer,
                             "axis %" PRId64
                             " of operand %zu is both batch and contracted: expected one of them",
                             batch->at[i], operand);
  return true;
}

static bool infer_dot_pairs(mica_infer *infer, const char *what, const mica_ints *lhs,
                            const mica_ints *rhs) {
  if (lhs->count != rhs->count)
    return mica_infer_fail(infer, "%" PRId32 " and %" PRId32 " %s axes: expected pairs", lhs->count,
                           rhs->count, what);
  for (int32_t i = 0; i < lhs->count; i++) {
    int64_t a = infer->in[0].shape.dim[lhs->at[i]], b = infer->in[1].shape.dim[rhs->at[i]];
    if (a == b) continue;
    return mica_infer_fail(infer,
                           "%s axes %" PRId64 " and %" PRId64 " have sizes %" PRId64 " and %" PRId64
                           ": expected equal ones",
                           what, lhs->at[i], rhs->at[i], a, b);
  }
  return true;
}

static bool infer_dot_general(mica_infer *infer) {
  mica_dot_attr *a = infer->attr;
  mica_shape lhs = infer->in[0].shape, rhs = infer->in[1].shape;
  if (!infer_dot_dtype(infer, &a->dtype) ||
      !infer_dot_operand(infer, 0, &a->lhs_batch, &a->lhs_contract) ||
      !infer_dot_operand(infer, 1, &a->rhs_batch, &a->rhs_contract) ||
      !infer_dot_pairs(infer, "batch", &a->lhs_batch, &a->rhs_batch) ||
      !infer_dot_pairs(infer, "contracted", &a->lhs_contract, &a->rhs_contract))
    return false;
  mica_ints lhs_free = dot_free_axes(&a->lhs_batch, &a->lhs_contract, lhs.rank),
            rhs_free = dot_free_axes(&a->rhs_batch, &a->rhs_contract, rhs.rank);
  if (a->lhs_batch.count + lhs_free.count + rhs_free.count > MICA_MAX_RANK)
    return mica_infer_fail(infer, "the result has rank %" PRId32 ": expected at most %d",
                           a->lhs_batch.count + lhs_free.count + rhs_free.count, MICA_MAX_RANK);
  mica_type out = {.dtype = a->dtype};
  for (int32_t i = 0; i < a->lhs_batch.count; i++)
    out.shape.dim[out.shape.rank++] = lhs.dim[a->lhs_batch.at[i]];
  for (int32_t i = 0; i < lhs_free.count; i++)
    out.shape.dim[out.shape.rank++] = lhs.dim[lhs_free.at[i]];
  for (int32_t i = 0; i < rhs_free.count; i++)
    out.shape.dim[out.shape.rank++] = rhs.dim[rhs_free.at[i]];
  return mica_infer_one(infer, out);
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Positions of sorted entries: order[k] is the index in `list` of its k-th smallest entry. */
static mica_ints sorted_order(const mica_ints *list) {
  mica_ints order = {0};
  for (int32_t i = 0; i < list->count; i++) {
    int32_t at = order.count++;
    for (; at > 0 && list->at[order.at[at - 1]] > list->at[i]; at--)
      order.at[at] = order.at[at - 1];
    order.at[at] = i;
  }
  return order;
}

/* For the operand "mine" of the node the dot of the cotangent with "other". The left operand's
 * result is [batch, my free axes, my contracted axes], the right one's has the last two
 * exchanged, so that matrices come out as they are needed; then axes go where they belong. */
static mica_value transpose_dot_general(const mica_rule *rule, size_t operand,
                                        const mica_value *cotangents) {
  const mica_dot_attr *a = rule->attr;
  bool left = operand == 0;
  const mica_ints *my_batch = left ? &a->lhs_batch : &a->rhs_batch,
                  *my_contract = left ? &a->lhs_contract : &a->rhs_contract;
  const mica_ints *batch = left ? &a->rhs_batch : &a->lhs_batch,
                  *contract = left ? &a->rhs_contract : &a->lhs_contract;
  int32_t rank = mica_rank_of(rule->in[operand]), other_rank = mica_rank_of(rule->in[1 - operand]);
  mica_ints mine = dot_free_axes(my_batch, my_contract, rank),
            others = dot_free_axes(batch, contract, other_rank);
  mica_value ct = cotangents[0], other = mica_convert(rule->in[1 - operand], mica_dtype_of(ct));
  mica_ints ct_batch = mica_ints_sequence(0, batch->count);
  mica_ints ct_others = mica_ints_sequence(batch->count + (left ? mine.count : 0), others.count);
  mica_dot_attr back = {.lhs_batch = left ? ct_batch : *batch,
                        .rhs_batch = left ? *batch : ct_batch,
                        .lhs_contract = left ? ct_others : others,
                        .rhs_contract = left ? others : ct_others,
                        .dtype = mica_dtype_of(ct)};
  mica_value product = mica_emit(rule->graph, MICA_OP_DOT_GENERAL,
                                 (mica_value[]){left ? ct : other, left ? other : ct}, 2, &back);
  mica_ints permutation = {.count = rank}, order = sorted_order(contract);
  int32_t free_from = batch->count + (left ? 0 : order.count),
          contract_from = batch->count + (left ? mine.count : 0);
  for (int32_t i = 0; i < my_batch->count; i++) permutation.at[my_batch->at[i]] = i;
  for (int32_t i = 0; i < mine.count; i++) permutation.at[mine.at[i]] = free_from + i;
  for (int32_t i = 0; i < order.count; i++)
    permutation.at[my_contract->at[order.at[i]]] = contract_from + i;
  mica_dtype dtype = mica_dtype_of(rule->in[operand]);
  product = mica_transpose_if_needed(product, &permutation);
  return mica_dtype_of(product) == dtype ? product : mica_convert(product, dtype);
}

static void batch_dot_general(const mica_rule *rule, const bool *batched, int64_t size,
                              mica_value *out) {
  (void)size;
  mica_dot_attr a = *(const mica_dot_attr *)rule->attr;
  int32_t lhs_rank = mica_example_rank(rule, batched, 0),
          rhs_rank = mica_example_rank(rule, batched, 1);
  int32_t lhs_free = lhs_rank - a.lhs_batch.count - a.lhs_contract.count,
          rhs_free = rhs_rank - a.rhs_batch.count - a.rhs_contract.count;
  if (!mica_batch_fits(rule, batched[0] ? lhs_rank : 0, out) ||
      !mica_batch_fits(rule, batched[1] ? rhs_rank : 0, out) ||
      !mica_batch_fits(rule, a.lhs_batch.count + lhs_free + rhs_free, out))
    return;
  int32_t at =
      a.lhs_batch.count + (batched[0] ? 0 : lhs_free); /* where a free axis of examples ends up */
  if (batched[0]) {
    a.lhs_batch = mica_ints_shift(&a.lhs_batch, 1);
    a.lhs_contract = mica_ints_shift(&a.lhs_contract, 1);
  }
  if (batched[1]) {
    a.rhs_batch = mica_ints_shift(&a.rhs_batch, 1);
    a.rhs_contract = mica_ints_shift(&a.rhs_contract, 1);
  }
  if (batched[0] && batched[1]) {
    a.lhs_batch = mica_ints_prepend(0, &a.lhs_batch, 0);
    a.rhs_batch = mica_ints_prepend(0, &a.rhs_batch, 0);
    at = 0;
  }
  out[0] = mica_move_axis(mica_emit(rule->graph, MICA_OP_DOT_GENERAL, rule->in, 2, &a), at, 0);
}

static const mica_attr_field dot_fields[] = {
    MICA_FIELD(mica_dot_attr, lhs_batch, INTS),    MICA_FIELD(mica_dot_attr, rhs_batch, INTS),
    MICA_FIELD(mica_dot_attr, lhs_contract, INTS), MICA_FIELD(mica_dot_attr, rhs_contract, INTS),
    MICA_FIELD(mica_dot_attr, dtype, DTYPE),       MICA_FIELD_END};
const mica_op_def mica_op_dot_general = {
    .name = "dot_general",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_DOT,
    .arity = 2,
    .results = 1,
    .linear_operands = 3,
    .attr_size = sizeof(mica_dot_attr),
    .fields = dot_fields,
    .formula =
        "x, y -> [batch..., free axes of x..., free axes of y...]: products summed over the "
        "contracted axes",
    .infer = infer_dot_general,
    .transpose = transpose_dot_general,
    .batch = batch_dot_general,
};

/* ---- builders -------------------------------------------------------------------------------- */

mica_value mica_dot_general_with(const mica_dot_general_args *args) {
  mica_dot_general_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.x, a.y);
  mica_value in[2] = {a.x, a.y};
  mica_graph *graph = mica_graph_of(in, 2);
  mica_dot_attr attr = {.dtype = a.dtype};
  if (!mica_operands_usable("dot_general", in, 2) ||
      !mica_builder_list("dot_general", in, 2, "x_batch", a.x_batch, &attr.lhs_batch) ||
      !mica_builder_list("dot_general", in, 2, "y_batch", a.y_batch, &attr.rhs_batch) ||
      !mica_builder_list("dot_general", in, 2, "x_contract", a.x_contract, &attr.lhs_contract) ||
      !mica_builder_list("dot_general", in, 2, "y_contract", a.y_contract, &attr.rhs_contract))
    return mica_no_value(graph);
  return mica_emit(graph, MICA_OP_DOT_GENERAL, in, 2, &attr);
}

/* x without the leading axes of size 1 that `drop` marks. */
static mica_value drop_unit_axes(mica_value x, const bool drop[MICA_MAX_RANK]) {
  mica_shape shape = mica_shape_of(x), left = {0};
  for (int32_t axis = 0; axis < shape.rank; axis++)
    if (!drop[axis]) left.dim[left.rank++] = shape.dim[axis];
  return mica_reshape_if_needed(x, left);
}

/* Leading axes, counted from the matrix outwards, are batch axes where both operands have them.
 * Where one lacks an axis or has size 1, it is a free axis of the other: nothing is repeated in
 * memory. What remains is to put the result's axes in numpy's order. */
mica_value mica_matmul_typed(mica_value x, mica_value y, mica_dtype dtype) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  mica_graph *graph = mica_graph_of(in, 2);
  if (!mica_operands_usable("matmul", in, 2)) return mica_no_value(graph);
  mica_shape a = mica_shape_of(x), b = mica_shape_of(y);
  if (a.rank == 0 || b.rank == 0)
    return mica_fail_operator(
        graph, "matmul", in, 2,
        "operand %d is a scalar: expected at least one axis (mica_mul scales)",
        a.rank == 0 ? 0 : 1);
  int32_t a_lead = a.rank > 1 ? a.rank - 2 : 0, b_lead = b.rank > 1 ? b.rank - 2 : 0;
  int64_t k = a.dim[a.rank - 1], other_k = b.dim[b.rank > 1 ? b.rank - 2 : 0];
  if (k != other_k)
    return mica_fail_operator(graph, "matmul", in, 2,
                              "the inner sizes are %" PRId64 " and %" PRId64
                              ": expected equal ones, "
                              "as x [..., m, k] and y [..., k, n] have",
                              k, other_k);
  /* place[0 .. lead): which axis of the result's lead each batch or free axis is; lists of what
   * each keeps. */
  int32_t lead = a_lead > b_lead ? a_lead : b_lead, batch_count = 0, a_count = 0, b_count = 0;
  int64_t batch[MICA_MAX_RANK], a_own[MICA_MAX_RANK], b_own[MICA_MAX_RANK];
  bool a_drop[MICA_MAX_RANK] = {false}, b_drop[MICA_MAX_RANK] = {false};
  mica_dot_attr attr = {.dtype = dtype};
  int32_t a_kept = 0, b_kept = 0; /* axes left in front once the dropped ones are gone */
  for (int32_t axis = 0; axis < lead; axis++) {
    int32_t in_a = axis - (lead - a_lead), in_b = axis - (lead - b_lead);
    int64_t a_size = in_a >= 0 ? a.dim[in_a] : 1, b_size = in_b >= 0 ? b.dim[in_b] : 1;
    if (a_size != b_size && a_size != 1 && b_size != 1)
      return mica_fail_operator(graph, "matmul", in, 2,
                                "leading axis %" PRId32 " clashes: sizes %" PRId64 " and %" PRId64
                                ", expected equal ones or 1",
                                axis - lead - 2, a_size, b_size);
    if (in_a >= 0 && in_b >= 0 && a_size == b_size) {
      attr.lhs_batch.at[attr.lhs_batch.count++] = a_kept++;
      attr.rhs_batch.at[attr.rhs_batch.count++] = b_kept++;
      batch[batch_count++] = axis;
    } else if (in_b < 0 || (in_a >= 0 && b_size == 1)) {
      if (in_b >= 0) b_drop[in_b] = true;
      a_own[a_count++] = axis;
      a_kept++;
    } else {
      if (in_a >= 0) a_drop[in_a] = true;
      b_own[b_count++] = axis;
      b_kept++;
    }
  }
  attr.lhs_contract = (mica_ints){.count = 1, .at = {a_kept + (a.rank > 1 ? 1 : 0)}};
  attr.rhs_contract = (mica_ints){.count = 1, .at = {b_kept}};
  in[0] = drop_unit_axes(x, a_drop);
  in[1] = drop_unit_axes(y, b_drop);
  mica_value product = mica_emit(graph, MICA_OP_DOT_GENERAL, in, 2, &attr);
  /* The dot gives [batch, x's own, m, y's own, n]; m and n are there for matrices only. */
  mica_ints permutation = {.count = lead};
  int32_t next = 0;
  for (int32_t i = 0; i < batch_count; i++) permutation.at[batch[i]] = next++;
  for (int32_t i = 0; i < a_count; i++) permutation.at[a_own[i]] = next++;
  if (a.rank > 1) permutation.at[permutation.count++] = next++;
  for (int32_t i = 0; i < b_count; i++) permutation.at[b_own[i]] = next++;
  if (b.rank > 1 && permutation.count < MICA_MAX_RANK) permutation.at[permutation.count++] = next++;
  return mica_transpose_if_needed(product, &permutation);
}

mica_value mica_matmul(mica_value x, mica_value y) {
  MICA_ENTRY_OF(x, y);
  return mica_matmul_typed(x, y, MICA_DTYPE_NONE);
}
