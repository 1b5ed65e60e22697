/* SPDX-License-Identifier: Apache-2.0 */
/* quantized_dense.c: floats times weights of 8 or 4 bits, as one operator, so that a backend may
 * unpack weights where it needs them. Bilinear in x and the scale. */
#include <inttypes.h>

#include "graph/ops/quantize.h"

static bool infer_quantized_dense(mica_infer *infer) {
  double least, most;
  if (!mica_infer_operand_count(infer, 3, 4)) return false;
  mica_type x = infer->in[0], w = infer->in[1], scale = infer->in[2];
  if (!mica_quantized_ends(w.dtype, &least, &most) || w.shape.rank != 2)
    return mica_infer_fail(infer, "operand 1 is the weights: expected i8, u8, i4 or u4 [k, n]");
  int64_t k = w.shape.dim[0], n = w.shape.dim[1];
  if (x.shape.rank < 1 || x.shape.dim[x.shape.rank - 1] != k)
    return mica_infer_fail(infer, "operand 0 is x: expected [..., %" PRId64 "]", k);
  mica_dtype wide = mica_wide_dtype(x.dtype);
  if (scale.dtype != wide || scale.shape.rank != 2 || scale.shape.dim[1] != n ||
      scale.shape.dim[0] < 1 || k % scale.shape.dim[0] != 0)
    return mica_infer_fail(infer,
                           "operand 2 is the scale: expected %s [blocks, %" PRId64
                           "] with a number of blocks that divides %" PRId64,
                           mica_dtype_name(wide), n, k);
  if (infer->in_count == 4 &&
      (infer->in[3].dtype != w.dtype || !mica_shape_equal(infer->in[3].shape, scale.shape)))
    return mica_infer_fail(infer, "operand 3 is the zero point: expected %s of the scale's shape",
                           mica_dtype_name(w.dtype));
  x.shape.dim[x.shape.rank - 1] = n;
  return mica_infer_one(infer, x);
}

/* values - zero_point in blocks, [leading..., blocks, elements, n]; an operand that has no leading
 * axis of examples serves all of them. */
static mica_value weight_steps(const mica_rule *rule) {
  mica_value w = rule->in[1], scale = rule->in[2];
  mica_dtype wide = mica_dtype_of(scale);
  int64_t blocks = mica_dim_of(scale, -2);
  mica_shape cut = mica_shape_of(w);
  if (rule->graph->status != MICA_OK) return mica_no_value(rule->graph);
  cut = mica_shape_insert(cut, cut.rank - 2, blocks);
  cut.dim[cut.rank - 2] /= blocks;
  w = mica_convert(mica_reshape_if_needed(w, cut), wide);
  if (rule->in_count == 4) w = mica_sub(w, mica_convert(mica_expand_dims(rule->in[3], -2), wide));
  return w;
}

/* [leading..., k, n], in the scale's dtype. */
static mica_value weight_numbers(const mica_rule *rule) {
  mica_value w = mica_mul(weight_steps(rule), mica_expand_dims(rule->in[2], -2));
  mica_shape shape = mica_shape_of(w);
  if (rule->graph->status != MICA_OK) return w;
  shape.dim[shape.rank - 3] *= shape.dim[shape.rank - 2];
  return mica_reshape(w, mica_shape_remove(shape, shape.rank - 2));
}

static void expand_quantized_dense(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]);
  mica_axes last = {.count = 1, .axis = {mica_rank_of(x) - 1}};
  mica_value y =
      mica_dot_general(x, weight_numbers(rule), .x_contract = last, .y_contract = MICA_AXES(0));
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}

static mica_value transpose_quantized_dense(const mica_rule *rule, size_t operand,
                                            const mica_value *cotangents) {
  mica_value ct = mica_widen(cotangents[0]), x = mica_widen(rule->in[0]);
  int32_t last = mica_rank_of(ct) - 1;
  if (operand == 0) {
    mica_axes columns = {.count = 1, .axis = {last}};
    mica_value dx = mica_dot_general(ct, weight_numbers(rule), .x_contract = columns,
                                     .y_contract = MICA_AXES(1));
    return mica_convert(dx, mica_dtype_of(rule->in[0]));
  }
  /* d scale [blocks, n]: the sum over a block of (x' ct) (values - zero point). */
  mica_ints leading = mica_ints_sequence(0, last);
  mica_value outer = mica_dot_general(x, ct, .x_contract = mica_axes_from(&leading),
                                      .y_contract = mica_axes_from(&leading));
  mica_value steps = weight_steps(rule);
  mica_value product = mica_mul(mica_reshape_if_needed(outer, mica_shape_of(steps)), steps);
  return mica_reduce_sum(product, MICA_AXES(1));
}

/* Examples of x are rows more. Where weights have examples, each has a matrix of its own. */
static void batch_quantized_dense(const mica_rule *rule, const bool *batched, int64_t size,
                                  mica_value *out) {
  bool own = false;
  for (size_t i = 1; i < rule->in_count; i++) own = own || batched[i];
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  if (!own) {
    out[0] = mica_emit(rule->graph, MICA_OP_QUANTIZED_DENSE, rule->in, rule->in_count, NULL);
    return;
  }
  mica_value x = mica_widen(mica_batched(rule->in[0], batched[0], size));
  mica_axes last = {.count = 1, .axis = {mica_rank_of(x) - 1}};
  mica_value y =
      mica_dot_general(x, weight_numbers(rule), .x_batch = MICA_AXES(0), .y_batch = MICA_AXES(0),
                       .x_contract = last, .y_contract = MICA_AXES(1));
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}

const mica_op_def mica_op_quantized_dense = {
    .name = "quantized_dense",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = -1,
    .results = 1,
    .linear_operands = 1 | 4,
    .formula =
        "x [..., k], weights [k, n], scale [b, n], optional zero [b, n] -> [..., n]: sum "
        "over i of x[.., i] scale[i b / k, j] (weights[i, j] - zero[i b / k, j])",
    .infer = infer_quantized_dense,
    .transpose = transpose_quantized_dense,
    .batch = batch_quantized_dense,
    .expand = expand_quantized_dense,
};
