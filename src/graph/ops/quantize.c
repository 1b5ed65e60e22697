/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.c: arrays of 8 or 4 bits with scales and zero points (quantize.h), made of elementwise
 * operators. An axis whose blocks share scales is cut in two, [blocks, elements], so that scales
 * broadcast; nothing is repeated in memory. */
#include "graph/ops/quantize.h"

#include <inttypes.h>

bool mica_quantized_ends(mica_dtype dtype, double *least, double *most) {
  switch (dtype) {
    case MICA_I8: *least = -128, *most = 127; return true;
    case MICA_U8: *least = 0, *most = 255; return true;
    case MICA_I4: *least = -8, *most = 7; return true;
    case MICA_U4: *least = 0, *most = 15; return true;
    default: return false;
  }
}

bool mica_quantize_cut(mica_shape values, mica_shape scale, mica_shape *out_values,
                       mica_shape *out_scale) {
  *out_values = *out_scale = (mica_shape){0};
  if (scale.rank == 0) {
    *out_values = values;
    return true;
  }
  if (scale.rank != values.rank) return false;
  for (int32_t axis = 0; axis < values.rank; axis++) {
    int64_t n = values.dim[axis], s = scale.dim[axis];
    bool cut = s != n && s != 1;
    if (cut && (s == 0 || n % s != 0)) return false;
    if (out_values->rank + (cut ? 2 : 1) > MICA_MAX_RANK) return false;
    out_values->dim[out_values->rank++] = s == 1 ? n : s;
    out_scale->dim[out_scale->rank++] = s;
    if (!cut) continue;
    out_values->dim[out_values->rank++] = n / s;
    out_scale->dim[out_scale->rank++] = 1;
  }
  return true;
}

mica_quantized mica_no_quantized(mica_graph *graph) {
  return (mica_quantized){mica_no_value(graph), mica_no_value(graph), mica_no_value(graph)};
}

/* Whether a usable scale and zero point belong to values of a type. */
static bool quantize_parts_fit(const char *op, const mica_value *in, size_t count, mica_type values,
                               mica_value scale, mica_value zero) {
  mica_graph *graph = mica_graph_of(in, count);
  mica_shape cut, cut_scale;
  char a[MICA_SHAPE_TEXT], b[MICA_SHAPE_TEXT];
  if (mica_dtype_of(scale) != MICA_F32 && mica_dtype_of(scale) != MICA_F64) {
    mica_fail_operator(graph, op, in, count, "the scale is %s: expected f32 or f64",
                       mica_dtype_name(mica_dtype_of(scale)));
    return false;
  }
  if (!mica_quantize_cut(values.shape, mica_shape_of(scale), &cut, &cut_scale)) {
    mica_fail_operator(graph, op, in, count,
                       "the scale %s does not fit the values %s: expected [], or for each axis a "
                       "divisor of its size (at most 8 axes once blocks are cut)",
                       mica_shape_text(mica_shape_of(scale), a), mica_shape_text(values.shape, b));
    return false;
  }
  if (zero.graph && (mica_dtype_of(zero) != values.dtype ||
                     !mica_shape_equal(mica_shape_of(zero), mica_shape_of(scale)))) {
    mica_fail_operator(graph, op, in, count,
                       "the zero point has another type: expected the values' dtype %s and the "
                       "scale's shape %s",
                       mica_dtype_name(values.dtype), mica_shape_text(mica_shape_of(scale), a));
    return false;
  }
  return true;
}

bool mica_quantized_usable(const char *op, const mica_value *in, size_t count, mica_quantized q) {
  mica_value parts[3] = {q.values, q.scale, q.zero_point};
  double least, most;
  if (!mica_operands_usable(op, in, count) ||
      !mica_operands_usable(op, parts, q.zero_point.graph ? 3 : 2))
    return false;
  if (mica_quantized_ends(mica_dtype_of(q.values), &least, &most))
    return quantize_parts_fit(op, in, count, mica_type_of(q.values), q.scale, q.zero_point);
  mica_fail_operator(mica_graph_of(in, count), op, in, count,
                     "the quantized values are %s: expected i8, u8, i4 or u4",
                     mica_dtype_name(mica_dtype_of(q.values)));
  return false;
}

/* ---- from floats ----------------------------------------------------------------------------- */

/* What a quantize call is about, its axes cut; scale and zero point as floats that broadcast. */
typedef struct {
  mica_dtype dtype;
  double least, most;
  mica_shape shape, scale_shape;
  mica_value x, scale, zero; /* zero: of the scale's dtype, or no value */
} quantizing;

/* The shape of scales that are made of the data. */
static bool quantize_scale_shape(const char *op, const mica_quantize_args *a, mica_shape *out) {
  mica_shape shape = mica_shape_of(a->x);
  mica_ints channels = {0};
  int64_t axis = 0;
  *out = (mica_shape){0};
  if (a->channels.count != 0 && !mica_builder_axes(op, a->x, a->channels, false, &channels))
    return false;
  if (a->block < 0 || (a->block == 0 && a->block_axis != 0))
    return mica_fail_operator(a->x.graph, op, &a->x, 1,
                              "block %" PRId64
                              ": expected elements of a block along block_axis, "
                              "or 0 for none of the two",
                              a->block),
           false;
  if (a->block > 0) {
    if (!mica_builder_axis(op, a->x, a->block_axis, &axis)) return false;
    if (shape.dim[axis] % a->block != 0 || mica_ints_contain(&channels, axis)) {
      mica_fail_operator(a->x.graph, op, &a->x, 1,
                         "blocks of %" PRId64 " do not fit axis %" PRId64 " of size %" PRId64
                         ": expected a divisor of it, and an axis that is not a channel",
                         a->block, axis, shape.dim[axis]);
      return false;
    }
  }
  if (channels.count == 0 && a->block == 0) return true;
  out->rank = shape.rank;
  for (int32_t i = 0; i < shape.rank; i++)
    out->dim[i] = mica_ints_contain(&channels, i) ? shape.dim[i]
                  : a->block > 0 && i == axis     ? shape.dim[i] / a->block
                                                  : 1;
  return true;
}

/* Scales of each block that reach its furthest element; no derivative. */
static void scales_of_data(quantizing *q, mica_shape scale, bool asymmetric) {
  mica_axes shared = {.count = 0, .keep = true};
  mica_value x = mica_stop_gradient(q->x), extent, zero_scale;
  for (int32_t axis = 0; axis < scale.rank; axis++)
    if (scale.dim[axis] == 1) shared.axis[shared.count++] = axis;
  if (scale.rank == 0) shared = MICA_ALL;
  bool each = shared.count == 0;
  mica_value low = x, high = x;
  if (asymmetric) {
    low = mica_min(each ? x : mica_reduce_min(x, shared), 0);
    high = mica_max(each ? x : mica_reduce_max(x, shared), 0);
    double steps = q->most - q->least;
    extent = mica_sub(mica_div(high, steps), mica_div(low, steps));
  } else {
    high = mica_abs(x);
    extent = mica_div(each ? high : mica_reduce_max(high, shared), q->most);
  }
  zero_scale = mica_less_equal(extent, 0); /* nothing but zeros, or nothing at all */
  q->scale = mica_select(zero_scale, mica_ones_like(extent), extent);
  if (!asymmetric) return;
  /* In the order of the formula, so that it is the same number on every backend. */
  mica_value zero = mica_round(mica_add(mica_neg(mica_div(mica_min(low, 0), q->scale)), q->least));
  q->zero = mica_min(mica_max(zero, q->least), q->most);
}

static bool begin_quantizing(const char *op, const mica_quantize_args *a, quantizing *q) {
  mica_graph *graph = a->x.graph;
  mica_value given[3] = {a->x, a->scale, a->zero_point};
  size_t count = a->zero_point.graph ? 3 : a->scale.graph ? 2 : 1;
  bool with_scale = a->scale.graph != NULL, with_zero = a->zero_point.graph != NULL;
  *q = (quantizing){.dtype = a->dtype};
  if (with_zero && !with_scale)
    return mica_fail_operator(graph, op, &a->x, 1,
                              "a zero point without a scale: expected both, or none for those of "
                              "the data"),
           false;
  if (!mica_operands_usable(op, given, count) ||
      !mica_operands_accepted(op, &a->x, 1, MICA_CLASS_FLOAT))
    return false;
  if (q->dtype == MICA_DTYPE_NONE) q->dtype = with_zero ? mica_dtype_of(a->zero_point) : MICA_I8;
  if (!mica_quantized_ends(q->dtype, &q->least, &q->most))
    return mica_fail_operator(graph, op, &a->x, 1, "dtype %s: expected i8, u8, i4 or u4",
                              mica_dtype_name(q->dtype)),
           false;
  mica_value x = mica_widen(a->x);
  mica_shape cut, cut_scale;
  q->shape = mica_shape_of(x);
  if (with_scale) {
    if (a->channels.count != 0 || a->block != 0 || a->asymmetric)
      return mica_fail_operator(graph, op, given, count,
                                "channels, blocks or asymmetric with a scale: expected one or the "
                                "other, since the scale's shape says it"),
             false;
    if (!quantize_parts_fit(op, given, count, (mica_type){q->dtype, q->shape}, a->scale,
                            a->zero_point))
      return false;
    q->scale_shape = mica_shape_of(a->scale);
  } else if (!quantize_scale_shape(op, a, &q->scale_shape)) {
    return false;
  }
  if (!mica_quantize_cut(q->shape, q->scale_shape, &cut, &cut_scale))
    return mica_fail_operator(graph, op, &a->x, 1,
                              "the rank is 8: expected at most 7 axes with blocks"),
           false;
  q->x = mica_reshape_if_needed(x, cut);
  if (!with_scale) {
    scales_of_data(q, cut_scale, a->asymmetric || q->least == 0);
    return graph->status == MICA_OK;
  }
  q->scale = mica_reshape_if_needed(mica_convert(a->scale, mica_dtype_of(x)), cut_scale);
  if (with_zero)
    q->zero =
        mica_convert(mica_reshape_if_needed(a->zero_point, cut_scale), mica_dtype_of(q->scale));
  return graph->status == MICA_OK;
}

/* round(x / scale) between the ends, as floats with x's derivative; zero points are not added. */
static mica_value straight_through(const quantizing *q) {
  mica_value t = mica_div(q->x, q->scale), least, most;
  least = mica_scalar(q->x.graph, mica_dtype_of(t), q->least);
  most = mica_scalar(q->x.graph, mica_dtype_of(t), q->most);
  if (q->zero.graph) {
    least = mica_sub(least, q->zero);
    most = mica_sub(most, q->zero);
  }
  t = mica_select(mica_greater(t, most), most, mica_select(mica_less(t, least), least, t));
  return mica_add(t, mica_stop_gradient(mica_sub(mica_round(t), t)));
}

mica_quantized mica_quantize_with(const mica_quantize_args *args) {
  mica_quantize_args a;
  quantizing q;
  if (!mica_copy_args(&a, sizeof(a), args)) return mica_no_quantized(NULL);
  MICA_ENTRY_OF(a.x, a.scale);
  if (!begin_quantizing("quantize", &a, &q)) return mica_no_quantized(a.x.graph);
  mica_value rounded = mica_round(mica_div(q.x, q.scale)); /* conversions saturate */
  if (q.zero.graph) rounded = mica_add(rounded, q.zero);
  mica_quantized out = {
      .values = mica_reshape_if_needed(mica_convert(rounded, q.dtype), q.shape),
      .scale = a.scale.graph ? a.scale : mica_reshape_if_needed(q.scale, q.scale_shape)};
  if (a.zero_point.graph)
    out.zero_point = a.zero_point;
  else if (q.zero.graph)
    out.zero_point = mica_reshape_if_needed(mica_convert(q.zero, q.dtype), q.scale_shape);
  return out;
}

mica_value mica_fake_quantize_with(const mica_quantize_args *args) {
  mica_quantize_args a;
  quantizing q;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.x, a.scale);
  if (!begin_quantizing("fake_quantize", &a, &q)) return mica_no_value(a.x.graph);
  mica_value y = mica_mul(straight_through(&q), q.scale);
  return mica_convert(mica_reshape_if_needed(y, q.shape), mica_dtype_of(a.x));
}

/* ---- to floats and products ------------------------------------------------------------------ */

mica_value mica_dequantize(mica_quantized x, mica_dtype dtype) {
  MICA_ENTRY_OF(x.values, x.scale);
  mica_shape cut, cut_scale, shape = mica_shape_of(x.values);
  const char *expected;
  if (!mica_quantized_usable("dequantize", &x.values, 1, x)) return mica_no_value(x.values.graph);
  mica_dtype wide = mica_dtype_of(x.scale);
  if (dtype == MICA_DTYPE_NONE) dtype = wide;
  if (!mica_class_accepts(MICA_CLASS_FLOAT, dtype, &expected))
    return mica_fail_operator(x.values.graph, "dequantize", &x.values, 1,
                              "the result cannot be %s: expected %s", mica_dtype_name(dtype),
                              expected);
  if (dtype == MICA_F64) wide = dtype;
  mica_quantize_cut(shape, mica_shape_of(x.scale), &cut, &cut_scale);
  mica_value y = mica_convert(mica_reshape_if_needed(x.values, cut), wide);
  if (x.zero_point.graph)
    y = mica_sub(y, mica_convert(mica_reshape_if_needed(x.zero_point, cut_scale), wide));
  y = mica_mul(y, mica_reshape_if_needed(mica_convert(x.scale, wide), cut_scale));
  return mica_convert(mica_reshape_if_needed(y, shape), dtype);
}

/* A scale or zero point with a number for each index, but along `kept` [.., 1, ..]. */
static mica_value quantize_spread(mica_value scale, mica_shape values, int32_t kept) {
  mica_shape shape = mica_shape_of(scale);
  for (int32_t axis = 0; axis < shape.rank; axis++)
    if (axis != kept && shape.dim[axis] != 1)
      scale = mica_repeat(scale, values.dim[axis] / shape.dim[axis], axis);
  return scale;
}

/* Whether one scale serves all of `axis`. */
static bool quantize_is_even(mica_quantized q, int32_t axis) {
  return mica_rank_of(q.scale) == 0 || mica_dim_of(q.scale, axis) == 1;
}

/* The sum over `axis` of the values, as i32. */
static mica_value quantize_sum(mica_quantized q, int32_t axis) {
  return mica_reduce_sum(mica_convert(q.values, MICA_I32), MICA_KEEP(axis));
}

/* sum (x - a) (y - b) = sum x y - a sum y - b sum x + k a b, in integers. */
static mica_value integer_dot(mica_quantized x, mica_quantized y) {
  mica_value sum = mica_matmul_typed(x.values, y.values, MICA_I32), a = {0}, b = {0};
  mica_shape of_x = mica_shape_of(x.values), of_y = mica_shape_of(y.values);
  if (x.zero_point.graph)
    a = quantize_spread(mica_convert(x.zero_point, MICA_I32), of_x, of_x.rank - 1);
  if (y.zero_point.graph)
    b = quantize_spread(mica_convert(y.zero_point, MICA_I32), of_y, of_y.rank - 2);
  if (a.graph) sum = mica_sub(sum, mica_mul(a, quantize_sum(y, -2)));
  if (b.graph) sum = mica_sub(sum, mica_mul(b, quantize_sum(x, -1)));
  if (a.graph && b.graph)
    sum = mica_add(sum, mica_mul(mica_mul(a, b), (double)mica_dim_of(x.values, -1)));
  return sum;
}

mica_value mica_quantized_dot(mica_quantized x, mica_quantized y, mica_dtype dtype) {
  MICA_ENTRY_OF(x.values, y.values);
  mica_value in[2] = {x.values, y.values}, product;
  mica_graph *graph = mica_graph_of(in, 2);
  const char *op = "quantized_dot", *expected;
  if (!mica_quantized_usable(op, in, 2, x) || !mica_quantized_usable(op, in, 2, y))
    return mica_no_value(graph);
  mica_shape of_x = mica_shape_of(x.values), of_y = mica_shape_of(y.values);
  if (of_x.rank < 2 || of_y.rank < 2 || of_x.dim[of_x.rank - 1] != of_y.dim[of_y.rank - 2])
    return mica_fail_operator(graph, op, in, 2, "expected x [..., m, k] and y [..., k, n]");
  mica_dtype wide =
      mica_dtype_of(x.scale) == MICA_F64 || mica_dtype_of(y.scale) == MICA_F64 || dtype == MICA_F64
          ? MICA_F64
          : MICA_F32;
  if (dtype == MICA_DTYPE_NONE) dtype = wide;
  if (!mica_class_accepts(MICA_CLASS_FLOAT, dtype, &expected))
    return mica_fail_operator(graph, op, in, 2, "the result cannot be %s: expected %s",
                              mica_dtype_name(dtype), expected);
  mica_value x_scale = quantize_spread(mica_convert(x.scale, wide), of_x, of_x.rank - 1);
  bool even = quantize_is_even(x, -1);
  if (even && quantize_is_even(y, -2)) {
    product = mica_convert(integer_dot(x, y), wide);
    product = mica_mul(product, x_scale);
    product = mica_mul(product, quantize_spread(mica_convert(y.scale, wide), of_y, of_y.rank - 2));
  } else if (even && of_y.rank == 2) { /* whole numbers times weights in blocks */
    x.scale = mica_scalar(graph, wide, 1);
    mica_value whole = mica_convert(x.values, wide);
    if (x.zero_point.graph)
      whole =
          mica_sub(whole, quantize_spread(mica_convert(x.zero_point, wide), of_x, of_x.rank - 1));
    product = mica_mul(mica_quantized_dense(whole, y), x_scale);
  } else {
    product = mica_matmul(mica_dequantize(x, wide), mica_dequantize(y, wide));
  }
  return mica_convert(product, dtype);
}

/* ---- dense layers ---------------------------------------------------------------------------- */

/* A scale or zero point of [k, n] as [blocks, n]. */
static mica_value quantize_columns(mica_value scale, mica_shape weights) {
  if (mica_rank_of(scale) == 0)
    return mica_broadcast_if_needed(scale, (mica_shape){.rank = 2, .dim = {1, weights.dim[1]}});
  mica_shape shape = mica_shape_of(scale);
  if (shape.dim[1] == weights.dim[1]) return scale;
  if (shape.dim[1] == 1) {
    shape.dim[1] = weights.dim[1];
    return mica_broadcast_if_needed(scale, shape);
  }
  return mica_repeat(scale, weights.dim[1] / shape.dim[1], 1);
}

mica_value mica_quantized_dense_with(const mica_quantized_dense_args *args) {
  mica_quantized_dense_args a;
  const char *op = "quantized_dense", *expected;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.x, a.weights.values, a.bias);
  mica_value in[4] = {a.x, a.weights.values, a.bias};
  size_t count = a.bias.graph ? 3 : 2;
  mica_graph *graph = mica_graph_of(in, count);
  if (!mica_quantized_usable(op, in, count, a.weights)) return mica_no_value(graph);
  mica_shape weights = mica_shape_of(a.weights.values), bias = mica_shape_of(a.bias);
  if (!mica_class_accepts(MICA_CLASS_FLOAT, mica_dtype_of(a.x), &expected))
    return mica_fail_operator(graph, op, in, count,
                              "x is %s: expected %s (quantized operands: mica_quantized_dot)",
                              mica_dtype_name(mica_dtype_of(a.x)), expected);
  if (weights.rank != 2 || mica_rank_of(a.x) < 1 || mica_dim_of(a.x, -1) != weights.dim[0])
    return mica_fail_operator(graph, op, in, count, "expected x [..., k] and weights [k, n]");
  if (count == 3 && (bias.rank != 1 || bias.dim[0] != weights.dim[1] ||
                     mica_dtype_of(a.bias) != mica_dtype_of(a.x)))
    return mica_fail_operator(graph, op, in, count,
                              "operand 2 is the bias: expected %s[%" PRId64 "]",
                              mica_dtype_name(mica_dtype_of(a.x)), weights.dim[1]);
  mica_dtype dtype = mica_dtype_of(a.x);
  in[2] = quantize_columns(mica_convert(a.weights.scale, mica_wide_dtype(dtype)), weights);
  if (a.weights.zero_point.graph) in[3] = quantize_columns(a.weights.zero_point, weights);
  quantizing rows = {0};
  if (a.dynamic) {
    mica_quantize_args each = {.x = a.x, .dtype = MICA_I8};
    for (int32_t axis = 0; axis + 1 < mica_rank_of(a.x); axis++)
      each.channels.axis[each.channels.count++] = axis;
    if (!begin_quantizing(op, &each, &rows)) return mica_no_value(graph);
    in[0] = straight_through(&rows);
  }
  mica_value y =
      mica_emit(graph, MICA_OP_QUANTIZED_DENSE, in, a.weights.zero_point.graph ? 4 : 3, NULL);
  if (a.dynamic) y = mica_convert(mica_mul(y, rows.scale), dtype);
  return a.bias.graph ? mica_add(y, a.bias) : y;
}
