/* SPDX-License-Identifier: Apache-2.0 */
/* softmax.c: probabilities over classes: softmax, its logarithm, one-hot rows and the
 * cross-entropy of both. The largest element is subtracted before exp, so nothing overflows; a
 * row that is -infinity throughout gives NaN. The rules are written with the result, whose
 * Jacobian needs no exp again. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/rules.h"

static mica_axes kept_axis(int64_t axis) {
  return (mica_axes){.count = 1, .axis = {(int32_t)axis}, .keep = true};
}

static bool infer_softmax(mica_infer *infer) {
  mica_softmax_attr *attr = infer->attr;
  return mica_infer_axis(infer, &attr->axis, infer->in[0].shape.rank) && mica_infer_same(infer);
}
/* softmax and log_softmax with the examples in front. */
static void batch_along_axis(const mica_rule *rule, mica_op op, const bool *batched, int64_t size,
                             mica_value *out) {
  const mica_softmax_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_softmax_attr shifted = {.axis = attr->axis + 1};
  out[0] = mica_emit(rule->graph, op, &x, 1, &shifted);
}
static mica_value emit_along_axis(mica_op op, mica_value x, int32_t axis) {
  mica_softmax_attr attr = {0};
  const char *name = mica_op_definition(op)->name;
  if (!mica_operands_usable(name, &x, 1) || !mica_builder_axis(name, x, axis, &attr.axis))
    return mica_no_value(x.graph);
  return mica_emit(x.graph, op, &x, 1, &attr);
}
static const mica_attr_field softmax_fields[] = {MICA_FIELD(mica_softmax_attr, axis, I64),
                                                 MICA_FIELD_END};

/* ---- softmax --------------------------------------------------------------------------------- */

/* y (t - sum(y t)): the Jacobian diag(y) - y y' is symmetric, so this is jvp and vjp. */
static void derive_softmax(const mica_rule *rule, const mica_value *in, mica_value *out) {
  const mica_softmax_attr *attr = rule->attr;
  mica_value y = mica_widen(rule->out[0]), t = mica_widen(in[0]);
  mica_value mean = mica_reduce_sum(mica_mul(y, t), kept_axis(attr->axis));
  out[0] = mica_convert(mica_mul(y, mica_sub(t, mean)), mica_dtype_of(rule->out[0]));
}
static void expand_softmax(const mica_rule *rule, mica_value *out) {
  const mica_softmax_attr *attr = rule->attr;
  mica_value x = mica_widen(rule->in[0]);
  mica_value e = mica_exp(mica_sub(x, mica_reduce_max(x, kept_axis(attr->axis))));
  mica_value y = mica_div(e, mica_reduce_sum(e, kept_axis(attr->axis)));
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}
static void batch_softmax(const mica_rule *rule, const bool *batched, int64_t size,
                          mica_value *out) {
  batch_along_axis(rule, MICA_OP_SOFTMAX, batched, size, out);
}
const mica_op_def mica_op_softmax = {
    .name = "softmax",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_softmax_attr),
    .fields = softmax_fields,
    .formula = "x [a...] -> [a...]: exp(x - max) / sum(exp(x - max)) along `axis`",
    .infer = infer_softmax,
    .jvp = derive_softmax,
    .vjp = derive_softmax,
    .batch = batch_softmax,
    .expand = expand_softmax,
};
mica_value mica_softmax(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return emit_along_axis(MICA_OP_SOFTMAX, x, axis);
}

/* ---- log_softmax ----------------------------------------------------------------------------- */

/* t - sum(softmax t) */
static void jvp_log_softmax(const mica_rule *rule, const mica_value *tangents,
                            mica_value *out_tangents) {
  const mica_softmax_attr *attr = rule->attr;
  mica_value p = mica_exp(mica_widen(rule->out[0])), t = mica_widen(tangents[0]);
  mica_value mean = mica_reduce_sum(mica_mul(p, t), kept_axis(attr->axis));
  out_tangents[0] = mica_convert(mica_sub(t, mean), mica_dtype_of(rule->out[0]));
}
/* g - softmax sum(g) */
static void vjp_log_softmax(const mica_rule *rule, const mica_value *cotangents,
                            mica_value *in_cotangents) {
  const mica_softmax_attr *attr = rule->attr;
  mica_value p = mica_exp(mica_widen(rule->out[0])), g = mica_widen(cotangents[0]);
  mica_value sum = mica_reduce_sum(g, kept_axis(attr->axis));
  in_cotangents[0] = mica_convert(mica_sub(g, mica_mul(p, sum)), mica_dtype_of(rule->out[0]));
}
static void expand_log_softmax(const mica_rule *rule, mica_value *out) {
  const mica_softmax_attr *attr = rule->attr;
  mica_value x = mica_widen(rule->in[0]);
  mica_value shifted = mica_sub(x, mica_reduce_max(x, kept_axis(attr->axis)));
  mica_value log_sum = mica_log(mica_reduce_sum(mica_exp(shifted), kept_axis(attr->axis)));
  out[0] = mica_convert(mica_sub(shifted, log_sum), mica_dtype_of(rule->in[0]));
}
static void batch_log_softmax(const mica_rule *rule, const bool *batched, int64_t size,
                              mica_value *out) {
  batch_along_axis(rule, MICA_OP_LOG_SOFTMAX, batched, size, out);
}
const mica_op_def mica_op_log_softmax = {
    .name = "log_softmax",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_softmax_attr),
    .fields = softmax_fields,
    .formula = "x [a...] -> [a...]: x - max - log(sum(exp(x - max))) along `axis`",
    .infer = infer_softmax,
    .jvp = jvp_log_softmax,
    .vjp = vjp_log_softmax,
    .batch = batch_log_softmax,
    .expand = expand_log_softmax,
};
mica_value mica_log_softmax(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return emit_along_axis(MICA_OP_LOG_SOFTMAX, x, axis);
}

/* The largest element only shifts the exponents, so it carries no derivative; where it is
 * infinite nothing is shifted, which gives +-infinity instead of NaN. */
mica_value mica_logsumexp(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("logsumexp", &x, 1)) return mica_no_value(x.graph);
  mica_ints list;
  if (!mica_dtype_is_float(mica_dtype_of(x)))
    return mica_fail_operator(x.graph, "logsumexp", &x, 1,
                              "expected f16, bf16, f32 or f64 (mica_convert first)");
  if (!mica_builder_axes("logsumexp", x, axes, true, &list)) return mica_no_value(x.graph);
  mica_axes kept = mica_axes_keeping(&list, true), dropped = mica_axes_from(&list);
  mica_value wide = mica_widen(x), top = mica_stop_gradient(mica_reduce_max(wide, kept));
  top = mica_select(mica_is_finite(top), top, mica_zeros_like(top));
  mica_value sum = mica_log(mica_reduce_sum(mica_exp(mica_sub(wide, top)), dropped));
  mica_value result = mica_add(sum, mica_reshape_if_needed(top, mica_shape_of(sum)));
  if (axes.keep) result = mica_reshape_if_needed(result, mica_shape_of(top));
  return mica_convert(result, mica_dtype_of(x));
}

/* ---- one_hot --------------------------------------------------------------------------------- */

/* bool, `indices` with an axis of size `depth` at `axis`: where the position there is the index.
 * Compared in a dtype that holds both: 32 bits wrap to negative numbers at worst, which no
 * position has. */
static mica_value index_hits(mica_value indices, int64_t axis, int64_t depth) {
  mica_dtype dtype = mica_dtype_of(indices);
  dtype = mica_dtype_bits(dtype) <= 32 && depth <= INT32_MAX ? MICA_I32 : MICA_I64;
  mica_shape shape = mica_shape_of(indices);
  mica_shape column = mica_shape_insert(shape, (int32_t)axis, 1),
             whole = mica_shape_insert(shape, (int32_t)axis, depth);
  mica_value column_value = mica_reshape_if_needed(mica_convert(indices, dtype), column);
  return mica_equal(column_value,
                    mica_iota(indices.graph, (mica_type){dtype, whole}, (int32_t)axis));
}

static bool infer_one_hot(mica_infer *infer) {
  mica_one_hot_attr *attr = infer->attr;
  mica_shape shape = infer->in[0].shape;
  if (attr->depth < 0)
    return mica_infer_fail(infer, "depth %" PRId64 ": expected at least 0", attr->depth);
  if (!mica_infer_axis(infer, &attr->axis, shape.rank + 1)) return false;
  return mica_infer_one(
      infer, (mica_type){attr->dtype, mica_shape_insert(shape, (int32_t)attr->axis, attr->depth)});
}
static void expand_one_hot(const mica_rule *rule, mica_value *out) {
  const mica_one_hot_attr *attr = rule->attr;
  out[0] = mica_convert(index_hits(rule->in[0], attr->axis, attr->depth), attr->dtype);
}
static void batch_one_hot(const mica_rule *rule, const bool *batched, int64_t size,
                          mica_value *out) {
  const mica_one_hot_attr *attr = rule->attr;
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0) + 1, out)) return;
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_one_hot_attr shifted = {.axis = attr->axis + 1, .depth = attr->depth, .dtype = attr->dtype};
  out[0] = mica_emit(rule->graph, MICA_OP_ONE_HOT, &x, 1, &shifted);
}
static const mica_attr_field one_hot_fields[] = {
    MICA_FIELD(mica_one_hot_attr, axis, I64), MICA_FIELD(mica_one_hot_attr, depth, I64),
    MICA_FIELD(mica_one_hot_attr, dtype, DTYPE), MICA_FIELD_END};
const mica_op_def mica_op_one_hot = {
    .name = "one_hot",
    .kind = MICA_KIND_CONSTANT,
    .dtypes = MICA_CLASS_INTEGER,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_one_hot_attr),
    .fields = one_hot_fields,
    .formula =
        "indices [a.., b..] -> [a.., depth, b..] of dtype: 1 where the position along `axis` is "
        "the index, else 0",
    .infer = infer_one_hot,
    .batch = batch_one_hot,
    .expand = expand_one_hot,
};
mica_value mica_one_hot(mica_value indices, int64_t depth, mica_dtype dtype) {
  MICA_ENTRY(indices.graph);
  if (!mica_operands_usable("one_hot", &indices, 1)) return mica_no_value(indices.graph);
  mica_one_hot_attr attr = {.axis = mica_rank_of(indices), .depth = depth, .dtype = dtype};
  return mica_emit(indices.graph, MICA_OP_ONE_HOT, &indices, 1, &attr);
}

/* ---- softmax_cross_entropy ------------------------------------------------------------------- */

static bool infer_class_loss(mica_infer *infer, mica_type *out_loss) {
  mica_type logits = infer->in[0], labels = infer->in[1];
  if (logits.shape.rank < 1)
    return mica_infer_fail(infer, "operand 0 is a scalar: expected logits [..., classes]");
  if (labels.dtype != MICA_I32 && labels.dtype != MICA_I64)
    return mica_infer_fail(infer,
                           "operand 1 is the labels: expected dtype i32 or i64, the index of the "
                           "class (mica_convert makes it)");
  mica_shape rows = mica_shape_remove(logits.shape, logits.shape.rank - 1);
  char text[MICA_SHAPE_TEXT];
  if (!mica_shape_equal(labels.shape, rows))
    return mica_infer_fail(
        infer, "operand 1 is the labels: expected shape %s, that of the logits without the classes",
        mica_shape_text(rows, text));
  *out_loss = (mica_type){logits.dtype, rows};
  return true;
}
static bool infer_softmax_cross_entropy(mica_infer *infer) {
  mica_type loss;
  return infer_class_loss(infer, &loss) && mica_infer_one(infer, loss);
}
static void expand_softmax_cross_entropy(const mica_rule *rule, mica_value *out) {
  mica_value logits = mica_widen(rule->in[0]), labels = rule->in[1];
  int32_t last = mica_rank_of(logits) - 1;
  int64_t classes = mica_dim_of(logits, -1);
  mica_axes axis = {.count = 1, .axis = {last}};
  mica_value shifted = mica_sub(logits, mica_reduce_max(logits, kept_axis(last)));
  mica_value log_sum = mica_log(mica_reduce_sum(mica_exp(shifted), axis));
  /* select, not a product: 0 * -infinity would be NaN. */
  mica_value own =
      mica_select(index_hits(labels, last, classes), shifted, mica_zeros_like(shifted));
  mica_value loss = mica_sub(log_sum, mica_reduce_sum(own, axis));
  if (mica_dtype_of(labels) == MICA_I32 && classes > INT32_MAX) classes = INT32_MAX;
  mica_value valid = mica_and(mica_greater_equal(labels, 0), mica_less(labels, (double)classes));
  out[0] =
      mica_convert(mica_select(valid, loss, mica_full_like(loss, NAN)), mica_dtype_of(rule->in[0]));
}
/* softmax(logits) - one_hot(labels), wide */
static mica_value cross_entropy_slope(const mica_rule *rule) {
  mica_value logits = mica_widen(rule->in[0]);
  mica_value truth = mica_one_hot(rule->in[1], mica_dim_of(logits, -1), mica_dtype_of(logits));
  return mica_sub(mica_softmax(logits, -1), truth);
}
static void jvp_softmax_cross_entropy(const mica_rule *rule, const mica_value *tangents,
                                      mica_value *out_tangents) {
  out_tangents[0] = mica_no_value(rule->graph);
  if (!mica_has_value(tangents[0])) return;
  mica_axes axis = {.count = 1, .axis = {-1}};
  mica_value t =
      mica_reduce_sum(mica_mul(cross_entropy_slope(rule), mica_widen(tangents[0])), axis);
  out_tangents[0] = mica_convert(t, mica_dtype_of(rule->in[0]));
}
static void vjp_softmax_cross_entropy(const mica_rule *rule, const mica_value *cotangents,
                                      mica_value *in_cotangents) {
  mica_value in[3] = {rule->in[0], rule->in[1], cotangents[0]};
  in_cotangents[0] = mica_emit(rule->graph, MICA_OP_SOFTMAX_CROSS_ENTROPY_GRADIENT, in, 3, NULL);
  in_cotangents[1] = mica_no_value(rule->graph);
}
static void batch_softmax_cross_entropy(const mica_rule *rule, const bool *batched, int64_t size,
                                        mica_value *out) {
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  mica_value in[2] = {mica_batched(rule->in[0], batched[0], size),
                      mica_batched(rule->in[1], batched[1], size)};
  out[0] = mica_emit(rule->graph, MICA_OP_SOFTMAX_CROSS_ENTROPY, in, 2, NULL);
}
const mica_op_def mica_op_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 2,
    .results = 1,
    .formula =
        "logits [..., classes], labels [...] -> [...]: -log_softmax(logits)[label]; NaN where the "
        "label is no class",
    .infer = infer_softmax_cross_entropy,
    .jvp = jvp_softmax_cross_entropy,
    .vjp = vjp_softmax_cross_entropy,
    .batch = batch_softmax_cross_entropy,
    .expand = expand_softmax_cross_entropy,
};
mica_value mica_softmax_cross_entropy(mica_value logits, mica_value labels) {
  MICA_ENTRY_OF(logits, labels);
  mica_value in[2] = {logits, labels};
  return mica_emit(mica_graph_of(in, 2), MICA_OP_SOFTMAX_CROSS_ENTROPY, in, 2, NULL);
}

/* ---- softmax_cross_entropy_gradient ---------------------------------------------------------- */

/* An operator so that a backend may go over the logits once. */
static bool infer_softmax_cross_entropy_gradient(mica_infer *infer) {
  mica_type loss;
  char text[160];
  if (!infer_class_loss(infer, &loss)) return false;
  mica_type_format(loss, text, sizeof(text));
  if (!mica_type_equal(infer->in[2], loss))
    return mica_infer_fail(infer, "operand 2 is the slope: expected %s, the type of the loss",
                           text);
  return mica_infer_one(infer, infer->in[0]);
}
static void expand_softmax_cross_entropy_gradient(const mica_rule *rule, mica_value *out) {
  mica_value slope = mica_widen(rule->in[2]);
  slope = mica_reshape_if_needed(slope,
                                 mica_shape_insert(mica_shape_of(slope), mica_rank_of(slope), 1));
  out[0] = mica_convert(mica_mul(cross_entropy_slope(rule), slope), mica_dtype_of(rule->in[0]));
}
static void batch_softmax_cross_entropy_gradient(const mica_rule *rule, const bool *batched,
                                                 int64_t size, mica_value *out) {
  mica_value in[3];
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  for (size_t i = 0; i < 3; i++) in[i] = mica_batched(rule->in[i], batched[i], size);
  out[0] = mica_emit(rule->graph, MICA_OP_SOFTMAX_CROSS_ENTROPY_GRADIENT, in, 3, NULL);
}
const mica_op_def mica_op_softmax_cross_entropy_gradient = {
    .name = "softmax_cross_entropy_gradient",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 3,
    .results = 1,
    .formula =
        "logits [..., classes], labels [...], slope [...] -> [..., classes]: (softmax(logits) - "
        "one_hot(labels)) * slope, the logits' cotangent for slope of the loss",
    .infer = infer_softmax_cross_entropy_gradient,
    .batch = batch_softmax_cross_entropy_gradient,
    .expand = expand_softmax_cross_entropy_gradient,
};
