/* SPDX-License-Identifier: Apache-2.0 */
/* composite.c: activations and layer_norm. A composite stays one node as long as a backend has
 * something better for it, and expands into primitives elsewhere. f16 and bf16 are computed in
 * f32 and rounded once, by the expansion and by the rules alike. softmax.c and attention.c have
 * the other composites. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/rules.h"

/* ---- relu ------------------------------------------------------------------------------------ */

/* By the result, which is in memory anyway, so that x need not be kept. */
static mica_value derive_relu(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand;
  return mica_select(mica_greater(rule->out[0], 0), t, mica_zeros_like(t));
}
static void expand_relu(const mica_rule *rule, mica_value *out) {
  out[0] = mica_max(rule->in[0], 0);
}
const mica_op_def mica_op_relu = {
    .name = "relu",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_REAL,
    .arity = 1,
    .results = 1,
    .formula = "x [a...] -> [a...]: max(x, 0), derivative 0 at 0",
    .infer = mica_infer_same,
    .derivative = derive_relu,
    .expand = expand_relu,
};
mica_value mica_relu(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_emit(x.graph, MICA_OP_RELU, &x, 1, NULL);
}

/* ---- gelu (Hendrycks and Gimpel 2016, arXiv 1606.08415) -------------------------------------- */

#define ROOT_HALF        0.70710678118654752 /* sqrt(1 / 2) */
#define ROOT_TWO_OVER_PI 0.79788456080286536 /* sqrt(2 / pi) */
#define GELU_CUBE        0.044715            /* section 2 of the paper */

/* 1 + erf(x / sqrt(2)), or its tanh form; both are twice the share of x that passes. */
static mica_value gelu_gate(mica_value x, bool by_tanh) {
  if (!by_tanh) return mica_add(mica_erf(mica_mul(x, ROOT_HALF)), 1);
  mica_value inner = mica_mul(x, mica_add(mica_mul(mica_mul(x, x), GELU_CUBE), 1));
  return mica_add(mica_tanh(mica_mul(inner, ROOT_TWO_OVER_PI)), 1);
}
static void expand_gelu(const mica_rule *rule, mica_value *out) {
  const mica_gelu_attr *attr = rule->attr;
  mica_value x = mica_widen(rule->in[0]);
  mica_value y = mica_mul(mica_mul(x, 0.5), gelu_gate(x, attr->tanh));
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}
/* erf form: Phi(x) + x phi(x). tanh form, with g the gate and u its argument: g / 2 + x / 2 (1 -
 * tanh(u)^2) u', where 1 - tanh(u)^2 = g (2 - g). */
static mica_value derive_gelu(const mica_rule *rule, size_t operand, mica_value t) {
  const mica_gelu_attr *attr = rule->attr;
  mica_value x = mica_widen(rule->in[operand]), gate = gelu_gate(x, attr->tanh),
             square = mica_mul(x, x), bend;
  if (attr->tanh) {
    mica_value inner_slope =
        mica_add(mica_mul(square, 3 * GELU_CUBE * ROOT_TWO_OVER_PI), ROOT_TWO_OVER_PI);
    mica_value flat = mica_mul(gate, mica_sub(mica_full_like(gate, 2), gate));
    bend = mica_mul(mica_mul(x, flat), inner_slope);
  } else {
    bend = mica_mul(mica_mul(x, mica_exp(mica_mul(square, -0.5))), ROOT_TWO_OVER_PI);
  }
  mica_value slope = mica_mul(mica_add(gate, bend), 0.5);
  return mica_convert(mica_mul(mica_widen(t), slope), mica_dtype_of(t));
}
#undef ROOT_HALF
#undef ROOT_TWO_OVER_PI
#undef GELU_CUBE

static const mica_attr_field gelu_fields[] = {MICA_FIELD(mica_gelu_attr, tanh, BOOL),
                                              MICA_FIELD_END};
const mica_op_def mica_op_gelu = {
    .name = "gelu",
    .kind = MICA_KIND_POINTWISE,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_gelu_attr),
    .fields = gelu_fields,
    .formula =
        "x [a...] -> [a...]: x (1 + erf(x / sqrt(2))) / 2; tanh: x (1 + tanh(sqrt(2 / pi) (x + "
        "0.044715 x^3))) / 2",
    .infer = mica_infer_same,
    .derivative = derive_gelu,
    .expand = expand_gelu,
};
mica_value mica_gelu(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_emit(x.graph, MICA_OP_GELU, &x, 1, &(mica_gelu_attr){.tanh = false});
}
mica_value mica_gelu_tanh(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_emit(x.graph, MICA_OP_GELU, &x, 1, &(mica_gelu_attr){.tanh = true});
}

mica_value mica_silu(mica_value x) {
  MICA_ENTRY(x.graph);
  return mica_mul(x, mica_logistic(x));
}

/* ---- layer_norm (Ba, Kiros and Hinton 2016, arXiv 1607.06450) -------------------------------- */

/* Operand i has the type of a row of x. */
static bool infer_row_of_x(mica_infer *infer, size_t i, const char *what) {
  mica_type x = infer->in[0];
  mica_type row = {x.dtype, {.rank = 1, .dim = {x.shape.dim[x.shape.rank - 1]}}};
  char text[160];
  if (mica_type_equal(infer->in[i], row)) return true;
  mica_type_format(row, text, sizeof(text));
  return mica_infer_fail(infer, "operand %zu is the %s: expected %s", i, what, text);
}
static bool infer_normalized(mica_infer *infer) {
  const mica_layer_norm_attr *attr = infer->attr;
  mica_type x = infer->in[0];
  if (!(attr->epsilon >= 0) || isinf(attr->epsilon))
    return mica_infer_fail(infer, "epsilon %g: expected a finite number of at least 0",
                           attr->epsilon);
  if (x.shape.rank < 1) return mica_infer_fail(infer, "x is a scalar: expected at least one axis");
  return infer_row_of_x(infer, 1, "scale") && mica_infer_one(infer, x);
}
static bool infer_layer_norm(mica_infer *infer) {
  return infer_normalized(infer) && infer_row_of_x(infer, 2, "bias");
}

static mica_axes last_axis(void) { return (mica_axes){.count = 1, .axis = {-1}, .keep = true}; }
static mica_value mean_of_rows(mica_value x) { return mica_reduce_mean(x, last_axis()); }

/* (x - mean) / sqrt(variance + epsilon) of each row, wide; out_rsqrt [..., 1] is the factor. */
static mica_value normalized_rows(const mica_rule *rule, mica_value *out_rsqrt) {
  const mica_layer_norm_attr *attr = rule->attr;
  mica_value x = mica_widen(rule->in[0]);
  mica_value centered = mica_sub(x, mean_of_rows(x));
  *out_rsqrt = mica_rsqrt(mica_add(mean_of_rows(mica_square(centered)), attr->epsilon));
  return mica_mul(centered, *out_rsqrt);
}
static void expand_layer_norm(const mica_rule *rule, mica_value *out) {
  mica_value factor, normal = normalized_rows(rule, &factor);
  mica_value y = mica_add(mica_mul(normal, mica_widen(rule->in[1])), mica_widen(rule->in[2]));
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}
/* t along the rows of x through the normalization, whose Jacobian is symmetric:
 * factor (t - mean(t) - normal mean(t normal)). */
static mica_value through_normal(mica_value t, mica_value normal, mica_value factor) {
  mica_value tilt = mica_mul(normal, mean_of_rows(mica_mul(t, normal)));
  return mica_mul(mica_sub(mica_sub(t, mean_of_rows(t)), tilt), factor);
}
static void jvp_layer_norm(const mica_rule *rule, const mica_value *tangents,
                           mica_value *out_tangents) {
  mica_value factor, normal = normalized_rows(rule, &factor), sum = mica_no_value(rule->graph);
  if (mica_has_value(tangents[0]))
    sum =
        mica_mul(through_normal(mica_widen(tangents[0]), normal, factor), mica_widen(rule->in[1]));
  if (mica_has_value(tangents[1]))
    sum = mica_add_values(sum, mica_mul(normal, mica_widen(tangents[1])));
  if (mica_has_value(tangents[2])) {
    mica_value bias = mica_broadcast_if_needed(mica_widen(tangents[2]), mica_shape_of(rule->in[0]));
    sum = mica_add_values(sum, bias);
  }
  out_tangents[0] = mica_has_value(sum) ? mica_convert(sum, mica_dtype_of(rule->in[0])) : sum;
}
static void vjp_layer_norm(const mica_rule *rule, const mica_value *cotangents,
                           mica_value *in_cotangents) {
  mica_value in[3] = {rule->in[0], rule->in[1], cotangents[0]};
  mica_emit_results(rule->graph, MICA_OP_LAYER_NORM_GRADIENT, in, 3, rule->attr, in_cotangents, 3);
}
/* [n] of all examples as [size, 1, .., 1, n] beside an x of `rank` with the examples in front. */
static mica_value beside_examples(mica_value row, int32_t rank, int64_t size) {
  mica_shape shape = {.rank = rank};
  for (int32_t axis = 0; axis < rank; axis++) shape.dim[axis] = 1;
  shape.dim[0] = size;
  if (rank > 1) shape.dim[rank - 1] = mica_dim_of(row, -1);
  return mica_reshape_if_needed(row, shape);
}
/* Scales and biases that differ between examples are applied behind a plain normalization. */
static void batch_layer_norm(const mica_rule *rule, const bool *batched, int64_t size,
                             mica_value *out) {
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  mica_value in[3] = {mica_batched(rule->in[0], batched[0], size), rule->in[1], rule->in[2]};
  if (!batched[1] && !batched[2]) {
    out[0] = mica_emit(rule->graph, MICA_OP_LAYER_NORM, in, 3, rule->attr);
    return;
  }
  /* Rows of their own are applied to what is normal alone, rounded once at the end as in the operator. */
  mica_value x = mica_widen(in[0]), scale = mica_widen(in[1]), bias = mica_widen(in[2]);
  int32_t rank = mica_rank_of(x);
  mica_type row = {mica_dtype_of(x), {.rank = 1, .dim = {mica_dim_of(x, -1)}}};
  mica_value normal[3] = {x, mica_full(rule->graph, row, 1), mica_full(rule->graph, row, 0)};
  mica_value y = mica_emit(rule->graph, MICA_OP_LAYER_NORM, normal, 3, rule->attr);
  y = mica_mul(y, batched[1] ? beside_examples(scale, rank, size) : scale);
  y = mica_add(y, batched[2] ? beside_examples(bias, rank, size) : bias);
  out[0] = mica_convert(y, mica_dtype_of(in[0]));
}
static const mica_attr_field layer_norm_fields[] = {MICA_FIELD(mica_layer_norm_attr, epsilon, F64),
                                                    MICA_FIELD_END};
const mica_op_def mica_op_layer_norm = {
    .name = "layer_norm",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 3,
    .results = 1,
    .attr_size = sizeof(mica_layer_norm_attr),
    .fields = layer_norm_fields,
    .formula =
        "x [..., n], scale [n], bias [n] -> [..., n]: (x - mean) / sqrt(variance + epsilon) * "
        "scale + bias, along "
        "the last axis, variance by n",
    .infer = infer_layer_norm,
    .jvp = jvp_layer_norm,
    .vjp = vjp_layer_norm,
    .batch = batch_layer_norm,
    .expand = expand_layer_norm,
};

/* ---- layer_norm_gradient: an operator so that a backend may go over x and dy once ------------ */

static bool infer_layer_norm_gradient(mica_infer *infer) {
  char text[160];
  if (!infer_normalized(infer)) return false;
  mica_type_format(infer->in[0], text, sizeof(text));
  if (!mica_type_equal(infer->in[2], infer->in[0]))
    return mica_infer_fail(infer, "operand 2 is dy: expected %s, the type of x", text);
  infer->out[1] = infer->out[2] = infer->in[1];
  infer->out_count = 3;
  return true;
}
/* The sum over all axes from `first` on but the last. */
static mica_value sum_of_rows(mica_value x, int32_t first, mica_dtype dtype) {
  mica_axes leading = {.count = 0};
  for (int32_t axis = first; axis < mica_rank_of(x) - 1; axis++)
    leading.axis[leading.count++] = axis;
  return mica_convert(leading.count > 0 ? mica_reduce_sum(x, leading) : x, dtype);
}
static void expand_layer_norm_gradient(const mica_rule *rule, mica_value *out) {
  mica_dtype dtype = mica_dtype_of(rule->in[0]);
  mica_value factor, normal = normalized_rows(rule, &factor), g = mica_widen(rule->in[2]);
  mica_value scaled = mica_mul(g, mica_widen(rule->in[1]));
  out[0] = mica_convert(through_normal(scaled, normal, factor), dtype);
  out[1] = sum_of_rows(mica_mul(g, normal), 0, dtype);
  out[2] = sum_of_rows(g, 0, dtype);
}
/* dx is row by row, so that examples are more rows; the sums are those of each example. */
static void batch_layer_norm_gradient(const mica_rule *rule, const bool *batched, int64_t size,
                                      mica_value *out) {
  out[1] = out[2] = mica_no_value(rule->graph);
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out)) return;
  mica_dtype dtype = mica_dtype_of(rule->in[0]);
  mica_value x = mica_widen(mica_batched(rule->in[0], batched[0], size)),
             scale = mica_widen(rule->in[1]),
             dy = mica_widen(mica_batched(rule->in[2], batched[2], size)), each[3];
  mica_type row = {mica_dtype_of(x), {.rank = 1, .dim = {mica_dim_of(x, -1)}}};
  mica_value ones = mica_full(rule->graph, row, 1), zeros = mica_full(rule->graph, row, 0);
  mica_value in[3] = {
      x, batched[1] ? ones : scale,
      batched[1] ? mica_mul(dy, beside_examples(scale, mica_rank_of(x), size)) : dy};
  mica_emit_results(rule->graph, MICA_OP_LAYER_NORM_GRADIENT, in, 3, rule->attr, each, 3);
  in[1] = ones;
  in[2] = zeros;
  mica_value normal = mica_emit(rule->graph, MICA_OP_LAYER_NORM, in, 3, rule->attr);
  out[0] = mica_convert(each[0], dtype);
  out[1] = sum_of_rows(mica_mul(dy, normal), 1, dtype);
  out[2] = sum_of_rows(dy, 1, dtype);
}
const mica_op_def mica_op_layer_norm_gradient = {
    .name = "layer_norm_gradient",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_FLOAT,
    .arity = 3,
    .results = 3,
    .attr_size = sizeof(mica_layer_norm_attr),
    .fields = layer_norm_fields,
    .formula =
        "x [..., n], scale [n], dy [..., n] -> dx [..., n], dscale [n], dbias [n]: the "
        "cotangents of layer_norm's operands for dy of its result",
    .infer = infer_layer_norm_gradient,
    .batch = batch_layer_norm_gradient,
    .expand = expand_layer_norm_gradient,
};

mica_value mica_layer_norm(mica_value x, mica_value scale, mica_value bias, double epsilon) {
  MICA_ENTRY_OF(x, scale, bias);
  mica_value given[3] = {x};
  size_t count = 1;
  if (scale.graph) given[count++] = scale;
  if (bias.graph) given[count++] = bias;
  if (!mica_operands_usable("layer_norm", given, count))
    return mica_no_value(mica_graph_of(given, count));
  mica_type row = {mica_dtype_of(x), {.rank = 1, .dim = {mica_dim_of(x, -1)}}};
  mica_value in[3] = {x, scale, bias};
  bool can_fill = mica_dtype_is_float(row.dtype); /* otherwise inference says what is wrong */
  if (!scale.graph) in[1] = can_fill ? mica_full(x.graph, row, 1) : x;
  if (!bias.graph) in[2] = can_fill ? mica_full(x.graph, row, 0) : x;
  mica_layer_norm_attr attr = {.epsilon = epsilon};
  return mica_emit(x.graph, MICA_OP_LAYER_NORM, in, 3, &attr);
}
