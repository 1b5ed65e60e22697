/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.c: folding axes away, and the position of an extreme.
 *
 * Derivatives. Sums are linear. Equal extremes share the gradient equally, as in JAX. A product
 * needs for each element the product of all others; it comes from a tree of halves of
 * logarithmic depth without any division, so that it is right with zeros and can be
 * differentiated again. */
#include <inttypes.h>

#include "graph/ops/rules.h"

static const char *const reduce_kinds[] = {"sum", "prod", "max", "min", "and", "or", NULL};

/* ---- reduce ---------------------------------------------------------------------------------- */

static bool infer_reduce(mica_infer *infer) {
  mica_reduce_attr *a = infer->attr;
  mica_type out = {.dtype = infer->in[0].dtype};
  mica_shape x = infer->in[0].shape;
  if (a->kind < MICA_REDUCE_SUM || a->kind > MICA_REDUCE_OR)
    return mica_infer_fail(infer, "kind %" PRId32 " is unknown", a->kind);
  mica_dtype_class class = a->kind <= MICA_REDUCE_PROD  ? MICA_CLASS_NUMBER
                           : a->kind <= MICA_REDUCE_MIN ? MICA_CLASS_REAL
                                                        : MICA_CLASS_LOGICAL;
  if (!mica_infer_class(infer, 0, class, reduce_kinds[a->kind]) ||
      !mica_infer_axes(infer, "axes", &a->axes, x.rank, true))
    return false;
  for (int32_t axis = 0; axis < x.rank; axis++)
    if (!mica_ints_contain(&a->axes, axis)) out.shape.dim[out.shape.rank++] = x.dim[axis];
  return mica_infer_one(infer, out);
}

static mica_value reduce_over(mica_value x, mica_reduce_kind kind, const mica_ints *axes) {
  mica_reduce_attr attr = {.kind = (int32_t)kind, .axes = *axes};
  return mica_emit(x.graph, MICA_OP_REDUCE, &x, 1, &attr);
}

/* A reduced value again in the operand's shape, repeated along the reduced axes. */
static mica_value spread_over(mica_value reduced, mica_shape shape, const mica_ints *axes) {
  mica_broadcast_attr attr = {.shape = shape};
  for (int32_t axis = 0; axis < shape.rank; axis++)
    if (!mica_ints_contain(axes, axis)) attr.axes.at[attr.axes.count++] = axis;
  return axes->count ? mica_emit(reduced.graph, MICA_OP_BROADCAST, &reduced, 1, &attr) : reduced;
}

/* MAX, MIN: bool, where x equals the result; and how many do (f32 for narrow floats). */
static mica_value find_extremes(const mica_rule *rule, const mica_ints *axes,
                                mica_value *out_count) {
  mica_value x = rule->in[0];
  mica_value holds = mica_equal(x, spread_over(rule->out[0], mica_shape_of(x), axes));
  *out_count =
      reduce_over(mica_convert(holds, mica_wide_dtype(mica_dtype_of(x))), MICA_REDUCE_SUM, axes);
  return holds;
}

static mica_value share_equally(mica_value total, mica_value count) {
  return mica_convert(mica_div(mica_convert(total, mica_dtype_of(count)), count),
                      mica_dtype_of(total));
}

/* x [n, m] with n >= 1 -> [n, m]: the product of the other elements of the column. Going up,
 * each level multiplies its two halves; coming down, a half's others are its parent's others
 * times the other half. */
static mica_value column_others(mica_value x) {
  enum { LEVELS = 64 };
  mica_value left[LEVELS], right[LEVELS];
  int64_t size[LEVELS], length = mica_dim_of(x, 0);
  int32_t level = 0;
  mica_value level_product = x, filling = mica_scalar(x.graph, mica_dtype_of(x), 1);
  for (; length > 1 && level < LEVELS; level++) {
    size[level] = length;
    if (length % 2 != 0) {
      level_product = mica_pad(level_product, filling, NULL, (int64_t[]){1, 0}, NULL);
      length++;
    }
    left[level] = mica_slice_axis(level_product, 0, 0, length / 2, 1);
    right[level] = mica_slice_axis(level_product, 0, length / 2, length, 1);
    level_product = mica_mul(left[level], right[level]);
    length /= 2;
  }
  mica_value others = mica_ones_like(level_product);
  for (bool top = true; level-- > 0; top = false) {
    mica_value halves[2] = {top ? right[level] : mica_mul(others, right[level]),
                            top ? left[level] : mica_mul(others, left[level])};
    others = mica_concatenate(halves, 2, 0);
    if (size[level] % 2 != 0) others = mica_slice_axis(others, 0, 0, size[level], 1);
  }
  return others;
}

/* For each element of x the product of the others that are reduced with it: x's shape. */
static mica_value product_of_rest(mica_value x, const mica_ints *axes) {
  mica_shape shape = mica_shape_of(x), moved = {.rank = shape.rank};
  mica_ints forth = *axes, back = {.count = shape.rank};
  int64_t length = 1;
  for (int32_t i = 0; i < axes->count; i++) length *= shape.dim[axes->at[i]];
  for (int32_t axis = 0; axis < shape.rank; axis++)
    if (!mica_ints_contain(axes, axis)) forth.at[forth.count++] = axis;
  for (int32_t i = 0; i < shape.rank; i++) {
    back.at[forth.at[i]] = i;
    moved.dim[i] = shape.dim[forth.at[i]];
  }
  int64_t count = mica_shape_count(shape);
  if (count == 0 || length == 0) return mica_ones_like(x); /* nothing, or the graph has failed */
  mica_shape columns = {.rank = 2, .dim = {length, count / length}};
  mica_value others =
      column_others(mica_reshape_if_needed(mica_transpose_if_needed(x, &forth), columns));
  return mica_transpose_if_needed(mica_reshape_if_needed(others, moved), &back);
}

static void jvp_reduce(const mica_rule *rule, const mica_value *tangents,
                       mica_value *out_tangents) {
  const mica_reduce_attr *a = rule->attr;
  mica_value t = tangents[0], x = rule->in[0];
  if (!mica_has_value(t)) return;
  switch ((mica_reduce_kind)a->kind) {
    case MICA_REDUCE_SUM: out_tangents[0] = reduce_over(t, MICA_REDUCE_SUM, &a->axes); return;
    case MICA_REDUCE_PROD:
      out_tangents[0] =
          reduce_over(mica_mul(t, product_of_rest(x, &a->axes)), MICA_REDUCE_SUM, &a->axes);
      return;
    case MICA_REDUCE_MAX:
    case MICA_REDUCE_MIN: {
      mica_value count, holds = find_extremes(rule, &a->axes, &count);
      mica_value total =
          reduce_over(mica_select(holds, t, mica_zeros_like(t)), MICA_REDUCE_SUM, &a->axes);
      out_tangents[0] = share_equally(total, count);
      return;
    }
    case MICA_REDUCE_AND:
    case MICA_REDUCE_OR: return; /* not of floats */
  }
}

static void vjp_reduce(const mica_rule *rule, const mica_value *cotangents,
                       mica_value *in_cotangents) {
  const mica_reduce_attr *a = rule->attr;
  mica_value ct = cotangents[0], x = rule->in[0];
  mica_shape shape = mica_shape_of(x);
  switch ((mica_reduce_kind)a->kind) {
    case MICA_REDUCE_SUM: in_cotangents[0] = spread_over(ct, shape, &a->axes); return;
    case MICA_REDUCE_PROD:
      in_cotangents[0] = mica_mul(spread_over(ct, shape, &a->axes), product_of_rest(x, &a->axes));
      return;
    case MICA_REDUCE_MAX:
    case MICA_REDUCE_MIN: {
      mica_value count, holds = find_extremes(rule, &a->axes, &count);
      mica_value share = spread_over(share_equally(ct, count), shape, &a->axes);
      in_cotangents[0] = mica_select(holds, share, mica_zeros_like(share));
      return;
    }
    case MICA_REDUCE_AND:
    case MICA_REDUCE_OR: return;
  }
}

static void batch_reduce(const mica_rule *rule, const bool *batched, int64_t size,
                         mica_value *out) {
  (void)batched, (void)size;
  mica_reduce_attr attr = *(const mica_reduce_attr *)rule->attr;
  attr.axes = mica_ints_shift(&attr.axes, 1);
  out[0] = mica_emit(rule->graph, MICA_OP_REDUCE, rule->in, 1, &attr);
}

static const mica_attr_field reduce_fields[] = {
    MICA_FIELD_ENUM(mica_reduce_attr, kind, reduce_kinds), MICA_FIELD(mica_reduce_attr, axes, INTS),
    MICA_FIELD_END};
const mica_op_def mica_op_reduce = {
    .name = "reduce",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_VALUE, /* by kind */
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_reduce_attr),
    .fields = reduce_fields,
    .formula =
        "x [a...] -> [kept axes]: sum, product, maximum, minimum, and, or over `axes`; the neutral "
        "element over "
        "nothing",
    .infer = infer_reduce,
    .jvp = jvp_reduce,
    .vjp = vjp_reduce,
    .batch = batch_reduce,
};

/* ---- arg_reduce ------------------------------------------------------------------------------ */

static bool infer_arg_reduce(mica_infer *infer) {
  mica_arg_reduce_attr *a = infer->attr;
  mica_shape x = infer->in[0].shape;
  if (a->kind != MICA_REDUCE_MAX && a->kind != MICA_REDUCE_MIN)
    return mica_infer_fail(infer, "kind %" PRId32 ": expected max or min", a->kind);
  if (a->dtype == MICA_DTYPE_NONE) a->dtype = MICA_I32;
  if (a->dtype != MICA_I32 && a->dtype != MICA_I64)
    return mica_infer_fail(infer, "dtype %s cannot hold the position: expected i32 or i64",
                           mica_dtype_name(a->dtype));
  if (!mica_infer_axis(infer, &a->axis, x.rank)) return false;
  int64_t size = x.dim[a->axis];
  if (size == 0)
    return mica_infer_fail(
        infer, "axis %" PRId64 " is empty: expected at least one element to point at", a->axis);
  if (a->dtype == MICA_I32 && size > INT32_MAX)
    return mica_infer_fail(infer,
                           "axis %" PRId64 " has %" PRId64 " elements: positions need dtype i64",
                           a->axis, size);
  return mica_infer_one(infer, (mica_type){a->dtype, mica_shape_remove(x, (int32_t)a->axis)});
}

static void batch_arg_reduce(const mica_rule *rule, const bool *batched, int64_t size,
                             mica_value *out) {
  (void)batched, (void)size;
  mica_arg_reduce_attr attr = *(const mica_arg_reduce_attr *)rule->attr;
  attr.axis++;
  out[0] = mica_emit(rule->graph, MICA_OP_ARG_REDUCE, rule->in, 1, &attr);
}

static const mica_attr_field arg_reduce_fields[] = {
    MICA_FIELD_ENUM(mica_arg_reduce_attr, kind, reduce_kinds),
    MICA_FIELD(mica_arg_reduce_attr, axis, I64), MICA_FIELD(mica_arg_reduce_attr, dtype, DTYPE),
    MICA_FIELD_END};
const mica_op_def mica_op_arg_reduce = {
    .name = "arg_reduce",
    .kind = MICA_KIND_CONSTANT,
    .dtypes = MICA_CLASS_REAL,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_arg_reduce_attr),
    .fields = arg_reduce_fields,
    .formula =
        "x [a..., n, b...] -> [a..., b...]: position of the first NaN, else of the first extreme, "
        "along `axis`",
    .infer = infer_arg_reduce,
    .batch = batch_arg_reduce,
};

/* ---- builders -------------------------------------------------------------------------------- */

static mica_value keep_axes(mica_value reduced, mica_value x, const mica_ints *axes) {
  mica_shape shape = mica_shape_of(x);
  for (int32_t i = 0; i < axes->count; i++) shape.dim[axes->at[i]] = 1;
  return mica_reshape_if_needed(reduced, shape);
}

static mica_value build_reduce(const char *op, mica_reduce_kind kind, mica_value x,
                               mica_axes axes) {
  mica_ints over;
  if (!mica_operands_usable(op, &x, 1) || !mica_builder_axes(op, x, axes, true, &over))
    return mica_no_value(x.graph);
  mica_value out = reduce_over(x, kind, &over);
  return axes.keep ? keep_axes(out, x, &over) : out;
}

mica_value mica_reduce_sum(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return build_reduce("reduce_sum", MICA_REDUCE_SUM, x, axes);
}
mica_value mica_reduce_max(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return build_reduce("reduce_max", MICA_REDUCE_MAX, x, axes);
}
mica_value mica_reduce_min(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return build_reduce("reduce_min", MICA_REDUCE_MIN, x, axes);
}
mica_value mica_reduce_prod(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return build_reduce("reduce_prod", MICA_REDUCE_PROD, x, axes);
}
mica_value mica_reduce_and(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return build_reduce("reduce_and", MICA_REDUCE_AND, x, axes);
}
mica_value mica_reduce_or(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  return build_reduce("reduce_or", MICA_REDUCE_OR, x, axes);
}

mica_value mica_reduce_mean(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints over;
  if (!mica_operands_usable("reduce_mean", &x, 1) ||
      !mica_operands_accepted("reduce_mean", &x, 1, MICA_CLASS_INEXACT) ||
      !mica_builder_axes("reduce_mean", x, axes, true, &over))
    return mica_no_value(x.graph);
  mica_dtype dtype = mica_dtype_of(x);
  double count = 1;
  for (int32_t i = 0; i < over.count; i++) count *= (double)mica_dim_of(x, (int32_t)over.at[i]);
  /* The sum of narrow floats could overflow where their mean does not. */
  mica_value sum =
      reduce_over(mica_dtype_bits(dtype) < 32 ? mica_widen(x) : x, MICA_REDUCE_SUM, &over);
  mica_value mean = mica_div_number(sum, count);
  if (mica_dtype_bits(dtype) < 32) mean = mica_convert(mean, dtype);
  return axes.keep ? keep_axes(mean, x, &over) : mean;
}

static mica_value build_arg_reduce(const char *op, mica_reduce_kind kind, mica_value x,
                                   int32_t axis) {
  mica_arg_reduce_attr attr = {.kind = (int32_t)kind, .dtype = MICA_I32};
  if (!mica_operands_usable(op, &x, 1) || !mica_builder_axis(op, x, axis, &attr.axis))
    return mica_no_value(x.graph);
  return mica_emit(x.graph, MICA_OP_ARG_REDUCE, &x, 1, &attr);
}

mica_value mica_arg_max(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return build_arg_reduce("arg_max", MICA_REDUCE_MAX, x, axis);
}
mica_value mica_arg_min(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return build_arg_reduce("arg_min", MICA_REDUCE_MIN, x, axis);
}
