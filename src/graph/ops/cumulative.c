/* SPDX-License-Identifier: Apache-2.0 */
/* cumulative.c: running folds along an axis, and the linear recurrence in terms of which they are
 * differentiated.
 *
 * Derivatives take linear time too, and divide by nothing. With y the inclusive fold:
 *   sum        is linear; its transpose runs the other way.
 *   prod       t_y[i] = x[i] t_y[i - 1] + y[i - 1] t_x[i], a linear recurrence.
 *   logsumexp  t_y[i] = exp(y[i - 1] - y[i]) t_y[i - 1] + exp(x[i] - y[i]) t_x[i], another one.
 *   max, min   t_y[i] = t_x[p[i]], with p[i] the first place that holds y[i], a running maximum of
 *              the places where the extreme changes.
 * An exclusive fold is the inclusive one moved by one place. A recurrence y[i] = a[i] y[i - 1] +
 * b[i] has the tangent of a recurrence with the same a, and its transpose is the recurrence that
 * runs backwards over a moved by one place. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/along.h"
#include "graph/ops/indexing.h"

/* ---- along an axis --------------------------------------------------------------------------- */

mica_value mica_shift_along(mica_value x, int64_t axis, bool backwards, double filling) {
  mica_type type = mica_type_of(x);
  if (mica_shape_count(type.shape) == 0) return x;
  int64_t low[MICA_MAX_RANK] = {0}, high[MICA_MAX_RANK] = {0};
  low[axis] = backwards ? -1 : 1;
  high[axis] = -low[axis];
  return mica_pad(x, mica_scalar(x.graph, type.dtype, filling), low, high, NULL);
}

mica_value mica_places_along(mica_value x, int64_t axis) {
  mica_shape shape = mica_shape_of(x);
  mica_dtype dtype = shape.dim[axis] > INT32_MAX ? MICA_I64 : MICA_I32;
  return mica_iota(x.graph, (mica_type){dtype, shape}, (int32_t)axis);
}

mica_value mica_add_along(mica_graph *graph, mica_type type, mica_value indices, mica_value updates,
                          int64_t axis) {
  mica_scatter_attr attr = {.kind = MICA_SCATTER_ADD,
                            .inserted_window_axes = {.count = 1, .at = {axis}},
                            .index_map = {.count = 1, .at = {axis}},
                            .index_vector_axis = type.shape.rank};
  for (int32_t i = 0; i < type.shape.rank; i++)
    if (i != axis) attr.operand_batch_axes.at[attr.operand_batch_axes.count++] = i;
  attr.index_batch_axes = attr.operand_batch_axes;
  mica_type sums = {mica_sum_dtype(type.dtype), type.shape};
  mica_value in[3] = {mica_zeros(graph, sums), indices, mica_convert(updates, sums.dtype)};
  return mica_convert(mica_emit(graph, MICA_OP_SCATTER, in, 3, &attr), type.dtype);
}

/* ---- cumulative ------------------------------------------------------------------------------ */

static const char *const cumulative_kinds[] = {"sum", "prod", "max", "min", "logsumexp", NULL};

static bool infer_cumulative(mica_infer *infer) {
  mica_cumulative_attr *a = infer->attr;
  if (a->kind < MICA_CUMULATIVE_SUM || a->kind > MICA_CUMULATIVE_LOGSUMEXP)
    return mica_infer_fail(infer, "kind %" PRId32 " is unknown", a->kind);
  mica_dtype_class class = a->kind <= MICA_CUMULATIVE_PROD  ? MICA_CLASS_NUMBER
                           : a->kind <= MICA_CUMULATIVE_MIN ? MICA_CLASS_REAL
                                                            : MICA_CLASS_FLOAT;
  return mica_infer_class(infer, 0, class, cumulative_kinds[a->kind]) &&
         mica_infer_axis(infer, &a->axis, infer->in[0].shape.rank) && mica_infer_same(infer);
}

static mica_value emit_cumulative(mica_value x, mica_cumulative_kind kind, int64_t axis,
                                  bool reverse, bool exclusive) {
  mica_cumulative_attr attr = {
      .kind = (int32_t)kind, .axis = axis, .reverse = reverse, .exclusive = exclusive};
  return mica_emit(x.graph, MICA_OP_CUMULATIVE, &x, 1, &attr);
}

static mica_value recur(mica_value a, mica_value b, int64_t axis, bool reverse) {
  mica_linear_recurrence_attr attr = {.axis = axis, .reverse = reverse};
  return mica_emit(a.graph, MICA_OP_LINEAR_RECURRENCE, (mica_value[]){a, b}, 2, &attr);
}

/* The inclusive fold of the rule's x. */
static mica_value inclusive_fold(const mica_rule *rule) {
  const mica_cumulative_attr *a = rule->attr;
  if (!a->exclusive) return rule->out[0];
  return emit_cumulative(rule->in[0], (mica_cumulative_kind)a->kind, a->axis, a->reverse, false);
}

/* The inclusive fold's derivative as y'[i] = decay[i] y'[i - 1] + weight[i] x'[i]; floats of f32 at
 * least. PROD, LOGSUMEXP. */
static void fold_factors(const mica_rule *rule, mica_value *decay, mica_value *weight) {
  const mica_cumulative_attr *a = rule->attr;
  mica_value x = mica_widen(rule->in[0]);
  if (a->kind == MICA_CUMULATIVE_PROD) {
    *decay = x;
    *weight = emit_cumulative(x, MICA_CUMULATIVE_PROD, a->axis, a->reverse, true);
    return;
  }
  mica_value y = emit_cumulative(x, MICA_CUMULATIVE_LOGSUMEXP, a->axis, a->reverse, false);
  mica_value before = mica_shift_along(y, a->axis, a->reverse, -(double)INFINITY);
  mica_value nothing = mica_equal(y, mica_full_like(y, -(double)INFINITY));
  mica_value safe = mica_select(nothing, mica_zeros_like(y), y);
  *decay = mica_exp(mica_sub(before, safe));
  *weight = mica_exp(mica_sub(x, safe));
}

/* MAX, MIN: for each element the first place that holds its inclusive fold. */
static mica_value extreme_places(const mica_rule *rule) {
  const mica_cumulative_attr *a = rule->attr;
  mica_value x = rule->in[0], y = inclusive_fold(rule);
  mica_value before = mica_shift_along(y, a->axis, a->reverse, 0);
  mica_value place = mica_places_along(x, a->axis);
  double first = a->reverse ? (double)(mica_dim_of(x, (int32_t)a->axis) - 1) : 0;
  mica_value beats =
      a->kind == MICA_CUMULATIVE_MAX ? mica_greater(x, before) : mica_less(x, before);
  mica_value turns_nan = mica_and(mica_is_nan(x), mica_not(mica_is_nan(before)));
  mica_value changes = mica_or(mica_or(beats, turns_nan), mica_equal_number(place, first));
  mica_value marked = mica_select(changes, place, mica_full_like(place, first));
  return emit_cumulative(marked, a->reverse ? MICA_CUMULATIVE_MIN : MICA_CUMULATIVE_MAX, a->axis,
                         a->reverse, false);
}

static void jvp_cumulative(const mica_rule *rule, const mica_value *tangents,
                           mica_value *out_tangents) {
  const mica_cumulative_attr *a = rule->attr;
  mica_value t = tangents[0];
  mica_dtype dtype = mica_dtype_of(rule->in[0]);
  if (!mica_has_value(t) || mica_shape_count(mica_shape_of(t)) == 0) return;
  switch ((mica_cumulative_kind)a->kind) {
    case MICA_CUMULATIVE_SUM:
      out_tangents[0] = mica_emit(rule->graph, MICA_OP_CUMULATIVE, &t, 1, a);
      return;
    case MICA_CUMULATIVE_MAX:
    case MICA_CUMULATIVE_MIN:
      t = mica_take_along_axis(t, extreme_places(rule), (int32_t)a->axis);
      break;
    case MICA_CUMULATIVE_PROD:
    case MICA_CUMULATIVE_LOGSUMEXP: {
      mica_value decay, weight;
      fold_factors(rule, &decay, &weight);
      t = mica_convert(recur(decay, mica_mul(weight, mica_widen(t)), a->axis, a->reverse), dtype);
      break;
    }
  }
  out_tangents[0] = a->exclusive ? mica_shift_along(t, a->axis, a->reverse, 0) : t;
}

static void vjp_cumulative(const mica_rule *rule, const mica_value *cotangents,
                           mica_value *in_cotangents) {
  const mica_cumulative_attr *a = rule->attr;
  mica_value ct = cotangents[0];
  mica_type type = mica_type_of(rule->in[0]);
  if (mica_shape_count(type.shape) == 0) return;
  if (a->kind == MICA_CUMULATIVE_SUM) {
    in_cotangents[0] = emit_cumulative(ct, MICA_CUMULATIVE_SUM, a->axis, !a->reverse, a->exclusive);
    return;
  }
  if (a->exclusive) ct = mica_shift_along(ct, a->axis, !a->reverse, 0);
  if (a->kind == MICA_CUMULATIVE_MAX || a->kind == MICA_CUMULATIVE_MIN) {
    in_cotangents[0] = mica_add_along(rule->graph, type, extreme_places(rule), ct, a->axis);
    return;
  }
  mica_value decay, weight;
  fold_factors(rule, &decay, &weight);
  mica_value after = mica_shift_along(decay, a->axis, !a->reverse, 0);
  in_cotangents[0] = mica_convert(
      mica_mul(weight, recur(after, mica_widen(ct), a->axis, !a->reverse)), type.dtype);
}

static void batch_cumulative(const mica_rule *rule, const bool *batched, int64_t size,
                             mica_value *out) {
  (void)batched, (void)size;
  mica_cumulative_attr attr = *(const mica_cumulative_attr *)rule->attr;
  attr.axis++;
  out[0] = mica_emit(rule->graph, MICA_OP_CUMULATIVE, rule->in, 1, &attr);
}

static const mica_attr_field cumulative_fields[] = {
    MICA_FIELD_ENUM(mica_cumulative_attr, kind, cumulative_kinds),
    MICA_FIELD(mica_cumulative_attr, axis, I64), MICA_FIELD(mica_cumulative_attr, reverse, BOOL),
    MICA_FIELD(mica_cumulative_attr, exclusive, BOOL), MICA_FIELD_END};
const mica_op_def mica_op_cumulative = {
    .name = "cumulative",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_NUMBER,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_cumulative_attr),
    .fields = cumulative_fields,
    .formula =
        "x [a...] -> [a...]: the fold of x[0 .. i] (exclusive: x[0 .. i - 1]; reverse: from "
        "the end) along `axis`",
    .infer = infer_cumulative,
    .jvp = jvp_cumulative,
    .vjp = vjp_cumulative,
    .batch = batch_cumulative,
};

/* ---- linear recurrence ----------------------------------------------------------------------- */

static bool infer_linear_recurrence(mica_infer *infer) {
  mica_linear_recurrence_attr *a = infer->attr;
  return mica_infer_axis(infer, &a->axis, infer->in[0].shape.rank) && mica_infer_equal(infer);
}

static void jvp_linear_recurrence(const mica_rule *rule, const mica_value *tangents,
                                  mica_value *out_tangents) {
  const mica_linear_recurrence_attr *a = rule->attr;
  mica_value b = tangents[1];
  if (mica_has_value(tangents[0])) {
    mica_value before = mica_shift_along(rule->out[0], a->axis, a->reverse, 0);
    b = mica_add_values(b, mica_mul(tangents[0], before));
  }
  out_tangents[0] = recur(rule->in[0], b, a->axis, a->reverse);
}

static void vjp_linear_recurrence(const mica_rule *rule, const mica_value *cotangents,
                                  mica_value *in_cotangents) {
  const mica_linear_recurrence_attr *a = rule->attr;
  mica_value after = mica_shift_along(rule->in[0], a->axis, !a->reverse, 0);
  mica_value before = mica_shift_along(rule->out[0], a->axis, a->reverse, 0);
  in_cotangents[1] = recur(after, cotangents[0], a->axis, !a->reverse);
  in_cotangents[0] = mica_mul(in_cotangents[1], before);
}

static void batch_linear_recurrence(const mica_rule *rule, const bool *batched, int64_t size,
                                    mica_value *out) {
  mica_linear_recurrence_attr attr = *(const mica_linear_recurrence_attr *)rule->attr;
  attr.axis++;
  mica_value in[2] = {mica_batched(rule->in[0], batched[0], size),
                      mica_batched(rule->in[1], batched[1], size)};
  out[0] = mica_emit(rule->graph, MICA_OP_LINEAR_RECURRENCE, in, 2, &attr);
}

static const mica_attr_field linear_recurrence_fields[] = {
    MICA_FIELD(mica_linear_recurrence_attr, axis, I64),
    MICA_FIELD(mica_linear_recurrence_attr, reverse, BOOL), MICA_FIELD_END};
const mica_op_def mica_op_linear_recurrence = {
    .name = "linear_recurrence",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_NUMBER,
    .arity = 2,
    .results = 1,
    .attr_size = sizeof(mica_linear_recurrence_attr),
    .fields = linear_recurrence_fields,
    .formula = "a [n...], b [n...] -> y [n...]: y[i] = a[i] y[i - 1] + b[i] along `axis`",
    .infer = infer_linear_recurrence,
    .jvp = jvp_linear_recurrence,
    .vjp = vjp_linear_recurrence,
    .batch = batch_linear_recurrence,
};

/* ---- builders -------------------------------------------------------------------------------- */

static mica_value build_cumulative(const char *op, mica_cumulative_kind kind, mica_value x,
                                   int32_t axis, bool reverse, bool exclusive) {
  int64_t along;
  if (!mica_operands_usable(op, &x, 1) || !mica_builder_axis(op, x, axis, &along))
    return mica_no_value(x.graph);
  return emit_cumulative(x, kind, along, reverse, exclusive);
}

mica_value mica_cumulative_with(const mica_cumulative_args *args) {
  mica_cumulative_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY(a.x.graph);
  return build_cumulative("cumulative", a.kind, a.x, a.axis, a.reverse, a.exclusive);
}
mica_value mica_cumulative_sum(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return build_cumulative("cumulative_sum", MICA_CUMULATIVE_SUM, x, axis, false, false);
}
mica_value mica_cumulative_prod(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return build_cumulative("cumulative_prod", MICA_CUMULATIVE_PROD, x, axis, false, false);
}
mica_value mica_cumulative_max(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return build_cumulative("cumulative_max", MICA_CUMULATIVE_MAX, x, axis, false, false);
}
mica_value mica_cumulative_min(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return build_cumulative("cumulative_min", MICA_CUMULATIVE_MIN, x, axis, false, false);
}
mica_value mica_cumulative_logsumexp(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  return build_cumulative("cumulative_logsumexp", MICA_CUMULATIVE_LOGSUMEXP, x, axis, false, false);
}

mica_value mica_linear_recurrence(mica_value a, mica_value b, int32_t axis, bool reverse) {
  MICA_ENTRY_OF(a, b);
  mica_value in[2] = {a, b};
  int64_t along;
  if (!mica_operands_usable("linear_recurrence", in, 2) ||
      !mica_builder_axis("linear_recurrence", a, axis, &along))
    return mica_no_value(mica_graph_of(in, 2));
  return recur(a, b, along, reverse);
}
