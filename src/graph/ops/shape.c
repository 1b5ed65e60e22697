/* SPDX-License-Identifier: Apache-2.0 */
/* shape.c: the primitives that move elements without computing anything. All are linear, so each
 * has the transpose that carries a cotangent back: broadcast sums, slice pads, pad slices,
 * concatenate cuts apart, dynamic_slice writes into zeros. slicing.c has the conveniences built
 * from them. */
#include <inttypes.h>
#include <stdio.h>

#include "graph/ops/rules.h"

static mica_value zeros_of_operand(const mica_rule *rule, size_t operand) {
  return mica_zeros_like(rule->in[operand]);
}

/* ---- broadcast ------------------------------------------------------------------------------- */

static bool infer_broadcast(mica_infer *infer) {
  mica_broadcast_attr *attr = infer->attr;
  mica_type x = infer->in[0];
  if (!mica_infer_one(infer, (mica_type){x.dtype, attr->shape})) return false;
  if (!mica_infer_list(infer, "axes", &attr->axes, x.shape.rank)) return false;
  if (!mica_infer_axes(infer, "axes", &attr->axes, attr->shape.rank, true)) return false;
  for (int32_t axis = 0; axis < x.shape.rank; axis++) {
    int64_t from = x.shape.dim[axis], to = attr->shape.dim[attr->axes.at[axis]];
    if (from == to || from == 1) continue;
    char text[MICA_SHAPE_TEXT];
    return mica_infer_fail(infer,
                           "axis %" PRId32 " of size %" PRId64 " cannot become axis %" PRId64
                           " of %s: expected size 1 or %" PRId64,
                           axis, from, attr->axes.at[axis], mica_shape_text(attr->shape, text), to);
  }
  return true;
}
static mica_value transpose_broadcast(const mica_rule *rule, size_t operand,
                                      const mica_value *cotangents) {
  const mica_broadcast_attr *attr = rule->attr;
  mica_shape from = mica_shape_of(rule->in[operand]);
  mica_axes repeated = {0};
  int32_t next = 0; /* axis of x that comes next */
  for (int32_t axis = 0; axis < attr->shape.rank; axis++) {
    bool kept = next < attr->axes.count && attr->axes.at[next] == axis;
    if (kept && from.dim[next++] == attr->shape.dim[axis]) continue;
    repeated.axis[repeated.count++] = axis;
  }
  mica_value sum = repeated.count ? mica_sum_values(cotangents[0], repeated) : cotangents[0];
  return mica_reshape_if_needed(sum, from);
}
static void batch_broadcast(const mica_rule *rule, const bool *batched, int64_t size,
                            mica_value *out) {
  const mica_broadcast_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, attr->shape.rank, out)) return;
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_broadcast_attr wider = {.shape = mica_shape_insert(attr->shape, 0, size),
                               .axes = mica_ints_prepend(0, &attr->axes, 1)};
  out[0] = mica_emit(rule->graph, MICA_OP_BROADCAST, &x, 1, &wider);
}
static const mica_attr_field broadcast_fields[] = {MICA_FIELD(mica_broadcast_attr, shape, SHAPE),
                                                   MICA_FIELD(mica_broadcast_attr, axes, INTS),
                                                   MICA_FIELD_END};
const mica_op_def mica_op_broadcast = {
    .name = "broadcast",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = 1,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_broadcast_attr),
    .fields = broadcast_fields,
    .formula =
        "x [a...] -> [shape...]: axis i of x is axis axes[i] of the result, repeated where its "
        "size is 1",
    .infer = infer_broadcast,
    .transpose = transpose_broadcast,
    .batch = batch_broadcast,
};

mica_value mica_broadcast_in_dim(mica_value x, mica_shape shape, mica_axes axes) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("broadcast_in_dim", &x, 1)) return mica_no_value(x.graph);
  mica_broadcast_attr attr = {.shape = mica_shape_clean(shape), .axes = {.count = axes.count}};
  if (axes.count < 0 || axes.count > MICA_MAX_RANK)
    return mica_fail_operator(x.graph, "broadcast_in_dim", &x, 1,
                              "%" PRId32 " %s listed: expected one for each axis of x", axes.count,
                              mica_noun((size_t)axes.count, "axis is", "axes are"));
  for (int32_t i = 0; i < axes.count; i++) attr.axes.at[i] = axes.axis[i];
  return mica_emit(x.graph, MICA_OP_BROADCAST, &x, 1, &attr);
}

mica_value mica_broadcast_to(mica_value x, mica_shape shape) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("broadcast_to", &x, 1)) return mica_no_value(x.graph);
  int32_t rank = mica_rank_of(x);
  char text[MICA_SHAPE_TEXT];
  if (shape.rank < rank)
    return mica_fail_operator(x.graph, "broadcast_to", &x, 1,
                              "the shape %s has too few axes: expected at least %" PRId32,
                              mica_shape_text(shape, text), rank);
  mica_broadcast_attr attr = {.shape = mica_shape_clean(shape),
                              .axes = mica_ints_sequence(shape.rank - rank, rank)};
  return mica_emit(x.graph, MICA_OP_BROADCAST, &x, 1, &attr);
}

/* ---- reshape --------------------------------------------------------------------------------- */

static bool infer_reshape(mica_infer *infer) {
  const mica_reshape_attr *attr = infer->attr;
  if (!mica_infer_one(infer, (mica_type){infer->in[0].dtype, attr->shape})) return false;
  int64_t have = mica_shape_count(infer->in[0].shape), want = mica_shape_count(attr->shape);
  char text[MICA_SHAPE_TEXT];
  if (have == want) return true;
  return mica_infer_fail(infer, "%" PRId64 " %s cannot take the shape %s: expected %" PRId64, have,
                         mica_noun((size_t)have, "element", "elements"),
                         mica_shape_text(attr->shape, text), want);
}
static mica_value transpose_reshape(const mica_rule *rule, size_t operand,
                                    const mica_value *cotangents) {
  mica_reshape_attr attr = {.shape = mica_shape_of(rule->in[operand])};
  return mica_emit(rule->graph, MICA_OP_RESHAPE, cotangents, 1, &attr);
}
static void batch_reshape(const mica_rule *rule, const bool *batched, int64_t size,
                          mica_value *out) {
  const mica_reshape_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, attr->shape.rank, out)) return;
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_reshape_attr wider = {.shape = mica_shape_insert(attr->shape, 0, size)};
  out[0] = mica_emit(rule->graph, MICA_OP_RESHAPE, &x, 1, &wider);
}
static const mica_attr_field reshape_fields[] = {MICA_FIELD(mica_reshape_attr, shape, SHAPE),
                                                 MICA_FIELD_END};
const mica_op_def mica_op_reshape = {
    .name = "reshape",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = 1,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_reshape_attr),
    .fields = reshape_fields,
    .formula = "x [a...] -> [shape...]: the elements in the same row-major order",
    .infer = infer_reshape,
    .transpose = transpose_reshape,
    .batch = batch_reshape,
};

mica_value mica_reshape(mica_value x, mica_shape shape) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("reshape", &x, 1)) return mica_no_value(x.graph);
  mica_reshape_attr attr = {.shape = mica_shape_clean(shape)};
  int32_t open = -1, open_count = 0;
  for (int32_t axis = 0; axis < shape.rank && axis < MICA_MAX_RANK; axis++)
    if (shape.dim[axis] == -1) open = axis, open_count++;
  if (open_count) {
    char text[MICA_SHAPE_TEXT];
    attr.shape.dim[open] = 1;
    int64_t have = mica_shape_count(mica_shape_of(x)), rest = mica_shape_count(attr.shape);
    if (open_count > 1 || rest <= 0 || have % rest != 0)
      return mica_fail_operator(x.graph, "reshape", &x, 1,
                                "the size -1 in %s cannot be found: expected %s",
                                mica_shape_text(shape, text),
                                open_count > 1 ? "at most one -1"
                                : rest == 0    ? "no size of 0 beside it"
                                : rest < 0     ? "sizes >= 0 and rank 0 to 8"
                                           : "the other sizes to divide the number of elements");
    attr.shape.dim[open] = have / rest;
  }
  return mica_emit(x.graph, MICA_OP_RESHAPE, &x, 1, &attr);
}

/* ---- transpose ------------------------------------------------------------------------------- */

static bool infer_transpose(mica_infer *infer) {
  mica_transpose_attr *attr = infer->attr;
  mica_type type = infer->in[0];
  if (!mica_infer_list(infer, "permutation", &attr->permutation, type.shape.rank)) return false;
  if (!mica_infer_axes(infer, "permutation", &attr->permutation, type.shape.rank, false))
    return false;
  for (int32_t axis = 0; axis < type.shape.rank; axis++)
    type.shape.dim[axis] = infer->in[0].shape.dim[attr->permutation.at[axis]];
  return mica_infer_one(infer, type);
}
static mica_value transpose_transpose(const mica_rule *rule, size_t operand,
                                      const mica_value *cotangents) {
  (void)operand;
  const mica_transpose_attr *attr = rule->attr;
  mica_transpose_attr inverse = {.permutation.count = attr->permutation.count};
  for (int32_t axis = 0; axis < attr->permutation.count; axis++)
    inverse.permutation.at[attr->permutation.at[axis]] = axis;
  return mica_emit(rule->graph, MICA_OP_TRANSPOSE, cotangents, 1, &inverse);
}
static void batch_transpose(const mica_rule *rule, const bool *batched, int64_t size,
                            mica_value *out) {
  const mica_transpose_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, attr->permutation.count, out)) return;
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_transpose_attr wider = {.permutation = mica_ints_prepend(0, &attr->permutation, 1)};
  out[0] = mica_emit(rule->graph, MICA_OP_TRANSPOSE, &x, 1, &wider);
}
static const mica_attr_field transpose_fields[] = {
    MICA_FIELD(mica_transpose_attr, permutation, INTS), MICA_FIELD_END};
const mica_op_def mica_op_transpose = {
    .name = "transpose",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = 1,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_transpose_attr),
    .fields = transpose_fields,
    .formula = "x [a...] -> [a[permutation]...]: axis i of the result is axis permutation[i] of x",
    .infer = infer_transpose,
    .transpose = transpose_transpose,
    .batch = batch_transpose,
};

mica_value mica_transpose(mica_value x, mica_axes permutation) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("transpose", &x, 1)) return mica_no_value(x.graph);
  mica_transpose_attr attr = {0};
  if (!mica_builder_axes("transpose", x, permutation, false, &attr.permutation))
    return mica_no_value(x.graph);
  if (permutation.count == -1)
    for (int32_t i = 0; i < attr.permutation.count; i++)
      attr.permutation.at[i] = attr.permutation.count - 1 - i;
  return mica_emit(x.graph, MICA_OP_TRANSPOSE, &x, 1, &attr);
}

/* ---- reverse --------------------------------------------------------------------------------- */

static bool infer_reverse(mica_infer *infer) {
  mica_reverse_attr *attr = infer->attr;
  return mica_infer_axes(infer, "axes", &attr->axes, infer->in[0].shape.rank, true) &&
         mica_infer_same(infer);
}
static mica_value transpose_reverse(const mica_rule *rule, size_t operand,
                                    const mica_value *cotangents) {
  (void)operand;
  return mica_emit(rule->graph, MICA_OP_REVERSE, cotangents, 1, rule->attr);
}
static void batch_reverse(const mica_rule *rule, const bool *batched, int64_t size,
                          mica_value *out) {
  const mica_reverse_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_reverse_attr shifted = {.axes.count = attr->axes.count};
  for (int32_t i = 0; i < attr->axes.count; i++) shifted.axes.at[i] = attr->axes.at[i] + 1;
  out[0] = mica_emit(rule->graph, MICA_OP_REVERSE, &x, 1, &shifted);
}
static const mica_attr_field reverse_fields[] = {MICA_FIELD(mica_reverse_attr, axes, INTS),
                                                 MICA_FIELD_END};
const mica_op_def mica_op_reverse = {
    .name = "reverse",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = 1,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_reverse_attr),
    .fields = reverse_fields,
    .formula = "x [a...] -> [a...]: the order along `axes` turned round",
    .infer = infer_reverse,
    .transpose = transpose_reverse,
    .batch = batch_reverse,
};

mica_value mica_reverse(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("reverse", &x, 1)) return mica_no_value(x.graph);
  mica_reverse_attr attr = {0};
  if (!mica_builder_axes("reverse", x, axes, true, &attr.axes)) return mica_no_value(x.graph);
  return mica_emit(x.graph, MICA_OP_REVERSE, &x, 1, &attr);
}

/* ---- slice ----------------------------------------------------------------------------------- */

static bool infer_slice(mica_infer *infer) {
  const mica_slice_attr *attr = infer->attr;
  mica_type type = infer->in[0];
  if (!mica_infer_list(infer, "start", &attr->start, type.shape.rank) ||
      !mica_infer_list(infer, "limit", &attr->limit, type.shape.rank) ||
      !mica_infer_list(infer, "stride", &attr->stride, type.shape.rank))
    return false;
  for (int32_t axis = 0; axis < type.shape.rank; axis++) {
    int64_t start = attr->start.at[axis], limit = attr->limit.at[axis],
            stride = attr->stride.at[axis];
    if (start < 0 || limit < start || limit > type.shape.dim[axis])
      return mica_infer_fail(infer,
                             "axis %" PRId32 ": start %" PRId64 ", limit %" PRId64
                             ": expected 0 <= start <= limit <= %" PRId64,
                             axis, start, limit, type.shape.dim[axis]);
    if (stride < 1)
      return mica_infer_fail(infer, "axis %" PRId32 ": stride %" PRId64 ": expected at least 1",
                             axis, stride);
    int64_t length = limit - start;
    type.shape.dim[axis] = length / stride + (length % stride != 0);
  }
  return mica_infer_one(infer, type);
}
/* Into zeros: `start` cells in front, stride - 1 between, the rest behind. */
static mica_value transpose_slice(const mica_rule *rule, size_t operand,
                                  const mica_value *cotangents) {
  const mica_slice_attr *attr = rule->attr;
  mica_shape from = mica_shape_of(rule->in[operand]), cut = mica_shape_of(cotangents[0]);
  if (mica_shape_count(cut) == 0) return zeros_of_operand(rule, operand);
  mica_pad_attr pad = {
      .low = {.count = from.rank}, .high = {.count = from.rank}, .interior = {.count = from.rank}};
  for (int32_t axis = 0; axis < from.rank && axis < cut.rank; axis++) {
    int64_t stride =
        cut.dim[axis] > 1 ? attr->stride.at[axis] : 1; /* a stride past the end moves nothing */
    int64_t span = (cut.dim[axis] - 1) * stride + 1;
    pad.low.at[axis] = attr->start.at[axis];
    pad.interior.at[axis] = stride - 1;
    pad.high.at[axis] = from.dim[axis] - attr->start.at[axis] - span;
  }
  mica_value in[2] = {cotangents[0], mica_number_for("slice", cotangents[0], 0)};
  return mica_emit(rule->graph, MICA_OP_PAD, in, 2, &pad);
}
static void batch_slice(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  const mica_slice_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, attr->start.count, out)) return;
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_slice_attr wider = {.start = mica_ints_prepend(0, &attr->start, 0),
                           .limit = mica_ints_prepend(size, &attr->limit, 0),
                           .stride = mica_ints_prepend(1, &attr->stride, 0)};
  out[0] = mica_emit(rule->graph, MICA_OP_SLICE, &x, 1, &wider);
}
static const mica_attr_field slice_fields[] = {
    MICA_FIELD(mica_slice_attr, start, INTS), MICA_FIELD(mica_slice_attr, limit, INTS),
    MICA_FIELD(mica_slice_attr, stride, INTS), MICA_FIELD_END};
const mica_op_def mica_op_slice = {
    .name = "slice",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = 1,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_slice_attr),
    .fields = slice_fields,
    .formula =
        "x [a...] -> [ceil((limit - start) / stride)...]: x[start:limit:stride] along each axis",
    .infer = infer_slice,
    .transpose = transpose_slice,
    .batch = batch_slice,
};

mica_value mica_slice_with(mica_value x, const int64_t *start, const int64_t *limit,
                           const int64_t *stride) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("slice", &x, 1)) return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  mica_slice_attr attr = {.start = {.count = shape.rank},
                          .limit = {.count = shape.rank},
                          .stride = {.count = shape.rank}};
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    attr.start.at[axis] = start ? start[axis] : 0;
    attr.limit.at[axis] = limit ? limit[axis] : shape.dim[axis];
    attr.stride.at[axis] = stride ? stride[axis] : 1;
  }
  return mica_emit(x.graph, MICA_OP_SLICE, &x, 1, &attr);
}

/* ---- pad ------------------------------------------------------------------------------------- */

static bool infer_pad(mica_infer *infer) {
  const mica_pad_attr *attr = infer->attr;
  mica_type type = infer->in[0];
  if (!mica_infer_list(infer, "low", &attr->low, type.shape.rank) ||
      !mica_infer_list(infer, "high", &attr->high, type.shape.rank) ||
      !mica_infer_list(infer, "interior", &attr->interior, type.shape.rank) ||
      !mica_infer_equal_dtypes(infer, 0))
    return false;
  if (infer->in[1].shape.rank != 0)
    return mica_infer_fail(infer, "operand 1 is the filling: expected a scalar");
  for (int32_t axis = 0; axis < type.shape.rank; axis++) {
    int64_t size = type.shape.dim[axis], between = attr->interior.at[axis], holes;
    if (between < 0)
      return mica_infer_fail(infer, "axis %" PRId32 ": interior %" PRId64 ": expected at least 0",
                             axis, between);
    if (!mica_i64_multiply(size > 0 ? size - 1 : 0, between, &holes) ||
        !mica_i64_add(size, holes, &size) || !mica_i64_add(size, attr->low.at[axis], &size) ||
        !mica_i64_add(size, attr->high.at[axis], &size))
      return mica_infer_fail(infer, "axis %" PRId32 ": the result is too large", axis);
    if (size < 0)
      return mica_infer_fail(infer,
                             "axis %" PRId32 ": low %" PRId64 ", high %" PRId64
                             " cut more than there is: expected a result of at least 0",
                             axis, attr->low.at[axis], attr->high.at[axis]);
    type.shape.dim[axis] = size;
  }
  return mica_infer_one(infer, type);
}
/* The cells of the result that x reached: negative padding is undone by zeros, then x's cells
 * are cut out. */
static mica_value cut_padding(const mica_rule *rule, mica_value cotangent) {
  const mica_pad_attr *attr = rule->attr;
  mica_shape from = mica_shape_of(rule->in[0]), shape = mica_shape_of(cotangent);
  if (!mica_has_value(cotangent) || shape.rank != from.rank) return mica_no_value(rule->graph);
  if (mica_shape_count(from) == 0) return zeros_of_operand(rule, 0);
  mica_pad_attr undo = {
      .low = {.count = from.rank}, .high = {.count = from.rank}, .interior = {.count = from.rank}};
  mica_slice_attr cut = {
      .start = {.count = from.rank}, .limit = {.count = from.rank}, .stride = {.count = from.rank}};
  bool negative = false, moved = false;
  for (int32_t axis = 0; axis < from.rank; axis++) {
    int64_t low = attr->low.at[axis], high = attr->high.at[axis];
    undo.low.at[axis] = low < 0 ? -low : 0;
    undo.high.at[axis] = high < 0 ? -high : 0;
    cut.start.at[axis] = low > 0 ? low : 0;
    cut.limit.at[axis] =
        shape.dim[axis] + undo.low.at[axis] + undo.high.at[axis] - (high > 0 ? high : 0);
    cut.stride.at[axis] =
        attr->interior.at[axis] < INT64_MAX ? attr->interior.at[axis] + 1 : INT64_MAX;
    negative = negative || low < 0 || high < 0;
    moved = moved || low > 0 || high > 0 || attr->interior.at[axis] > 0;
  }
  if (negative) {
    mica_value in[2] = {cotangent, mica_number_for("pad", cotangent, 0)};
    cotangent = mica_emit(rule->graph, MICA_OP_PAD, in, 2, &undo);
  }
  return moved ? mica_emit(rule->graph, MICA_OP_SLICE, &cotangent, 1, &cut) : cotangent;
}
/* bool of the result's shape: where the filling shows. */
static mica_value shows_filling(const mica_rule *rule, mica_shape example) {
  mica_value in[2] = {mica_full(rule->graph, (mica_type){MICA_BOOL, example}, 0),
                      mica_scalar(rule->graph, MICA_BOOL, 1)};
  return mica_emit(rule->graph, MICA_OP_PAD, in, 2, rule->attr);
}
static mica_value transpose_pad(const mica_rule *rule, size_t operand,
                                const mica_value *cotangents) {
  if (operand == 0) return cut_padding(rule, cotangents[0]);
  mica_value shows = shows_filling(rule, mica_shape_of(rule->in[0]));
  return mica_sum_values(mica_select(shows, cotangents[0], mica_zeros_like(cotangents[0])),
                         (mica_axes){.count = -1});
}
static void batch_pad(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  const mica_pad_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, attr->low.count, out)) return;
  mica_pad_attr wider = {.low = mica_ints_prepend(0, &attr->low, 0),
                         .high = mica_ints_prepend(0, &attr->high, 0),
                         .interior = mica_ints_prepend(0, &attr->interior, 0)};
  mica_value in[2] = {mica_batched(rule->in[0], batched[0], size), rule->in[1]};
  if (batched[1]) in[1] = mica_number_for("pad", rule->in[1], 0);
  out[0] = mica_emit(rule->graph, MICA_OP_PAD, in, 2, &wider);
  if (!batched[1]) return;
  /* Each example has a filling of its own: it is put where a filling shows. */
  mica_shape shape = mica_shape_of(out[0]), column = {.rank = shape.rank};
  for (int32_t axis = 0; axis < shape.rank; axis++) column.dim[axis] = axis == 0 ? size : 1;
  mica_value filling = mica_reshape_if_needed(rule->in[1], column);
  out[0] = mica_select(shows_filling(rule, mica_example_shape(rule, batched, 0)), filling, out[0]);
}
static const mica_attr_field pad_fields[] = {
    MICA_FIELD(mica_pad_attr, low, INTS), MICA_FIELD(mica_pad_attr, high, INTS),
    MICA_FIELD(mica_pad_attr, interior, INTS), MICA_FIELD_END};
const mica_op_def mica_op_pad = {
    .name = "pad",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = 2,
    .results = 1,
    .linear_operands = 3,
    .linear_jointly = true,
    .attr_size = sizeof(mica_pad_attr),
    .fields = pad_fields,
    .formula =
        "x [a...], filling [] -> [low + a + (a - 1) * interior + high...]: x with the filling "
        "around and between",
    .infer = infer_pad,
    .transpose = transpose_pad,
    .batch = batch_pad,
};

mica_value mica_pad(mica_value x, mica_value filling, const int64_t *low, const int64_t *high,
                    const int64_t *interior) {
  MICA_ENTRY_OF(x, filling);
  mica_value in[2] = {x, filling};
  if (!mica_operands_usable("pad", in, 2)) return mica_no_value(mica_graph_of(in, 2));
  int32_t rank = mica_rank_of(x);
  mica_pad_attr attr = {
      .low = {.count = rank}, .high = {.count = rank}, .interior = {.count = rank}};
  for (int32_t axis = 0; axis < rank; axis++) {
    attr.low.at[axis] = low ? low[axis] : 0;
    attr.high.at[axis] = high ? high[axis] : 0;
    attr.interior.at[axis] = interior ? interior[axis] : 0;
  }
  return mica_emit(x.graph, MICA_OP_PAD, in, 2, &attr);
}

/* ---- concatenate ----------------------------------------------------------------------------- */

static bool infer_concatenate(mica_infer *infer) {
  mica_concatenate_attr *attr = infer->attr;
  mica_type type = infer->in[0];
  if (!mica_infer_axis(infer, &attr->axis, type.shape.rank) || !mica_infer_equal_dtypes(infer, 0))
    return false;
  int64_t *along = &type.shape.dim[attr->axis];
  for (size_t i = 1; i < infer->in_count; i++) {
    mica_shape other = infer->in[i].shape;
    bool fits = other.rank == type.shape.rank;
    for (int32_t axis = 0; fits && axis < other.rank; axis++)
      fits = axis == attr->axis || other.dim[axis] == type.shape.dim[axis];
    if (!fits)
      return mica_infer_fail(
          infer,
          "operand %zu does not fit to operand 0: expected equal sizes but along axis %" PRId64, i,
          attr->axis);
    if (!mica_i64_add(*along, other.dim[attr->axis], along))
      return mica_infer_fail(infer, "the result is too large");
  }
  return mica_infer_one(infer, type);
}
static mica_value transpose_concatenate(const mica_rule *rule, size_t operand,
                                        const mica_value *cotangents) {
  const mica_concatenate_attr *attr = rule->attr;
  int32_t axis = (int32_t)attr->axis;
  int64_t start = 0;
  for (size_t i = 0; i < operand; i++) start += mica_dim_of(rule->in[i], axis);
  return mica_slice_axis(cotangents[0], axis, start, start + mica_dim_of(rule->in[operand], axis),
                         1);
}
static void batch_concatenate(const mica_rule *rule, const bool *batched, int64_t size,
                              mica_value *out) {
  const mica_concatenate_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  mica_value *in = mica_arena_allocate(&rule->graph->arena, rule->in_count * sizeof(*in));
  if (!in) {
    out[0] = mica_fail(rule->graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < rule->in_count; i++) in[i] = mica_batched(rule->in[i], batched[i], size);
  mica_concatenate_attr shifted = {.axis = attr->axis + 1};
  out[0] = mica_emit(rule->graph, MICA_OP_CONCATENATE, in, rule->in_count, &shifted);
}
static const mica_attr_field concatenate_fields[] = {MICA_FIELD(mica_concatenate_attr, axis, I64),
                                                     MICA_FIELD_END};
const mica_op_def mica_op_concatenate = {
    .name = "concatenate",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = -1,
    .results = 1,
    .linear_operands = UINT32_MAX, /* all, however many */
    .linear_jointly = true,
    .attr_size = sizeof(mica_concatenate_attr),
    .fields = concatenate_fields,
    .formula =
        "x0 [.., n0, ..], x1 [.., n1, ..], .. -> [.., n0 + n1 + .., ..]: one behind the other "
        "along `axis`",
    .infer = infer_concatenate,
    .transpose = transpose_concatenate,
    .batch = batch_concatenate,
};

mica_value mica_concatenate(const mica_value *x, size_t count, int32_t axis) {
  MICA_ENTRY(mica_graph_of(x, count));
  mica_graph *graph = mica_graph_of(x, count);
  mica_concatenate_attr attr = {.axis = axis};
  return mica_emit(graph, MICA_OP_CONCATENATE, x, count, &attr);
}
