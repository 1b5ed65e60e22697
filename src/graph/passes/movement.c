/* SPDX-License-Identifier: Apache-2.0 */
/* movement.c: reshapes, transposes, broadcasts, slices and pads that do nothing, that undo or
 * continue each other, or that an operator behind them can take along in its own attributes.
 * Part of simplify.c. */
#include <math.h>
#include <string.h>

#include "graph/passes/passes_internal.h"

static mica_value reshape_to(mica_graph *graph, mica_value x, mica_shape shape) {
  mica_reshape_attr attr = {.shape = shape};
  return mica_emit_simplified(graph, MICA_OP_RESHAPE, &x, 1, &attr);
}

mica_value mica_repeat_constant(mica_graph *graph, mica_value value, mica_shape shape) {
  double number;
  if (!mica_has_value(value) || !mica_is_constant_number(graph, value.id, &number))
    return mica_no_value(graph);
  const mica_node *node = &graph->nodes[value.id];
  while (node->op != MICA_OP_CONSTANT) {
    value = mica_operand_of(graph, node, 0);
    node = &graph->nodes[value.id];
  }
  if (mica_shape_equal(mica_shape_of(value), shape)) return value;
  /* A constant of one element keeps its axes of size 1: as a scalar it fits everywhere. */
  if (mica_rank_of(value) != 0) {
    mica_reshape_attr scalar = {.shape = {.rank = 0}};
    value = mica_emit(graph, MICA_OP_RESHAPE, &value, 1, &scalar);
    if (shape.rank == 0) return value;
  }
  mica_broadcast_attr attr = {.shape = shape};
  return mica_emit(graph, MICA_OP_BROADCAST, &value, 1, &attr);
}

/* Whether a value is one number everywhere: then any movement only changes its shape. */
static bool is_repeated(const mica_graph *graph, mica_value x) {
  double number;
  return mica_has_value(x) && mica_is_constant_number(graph, x.id, &number);
}

static bool is_increasing(const mica_ints *list) {
  for (int32_t i = 1; i < list->count; i++)
    if (list->at[i] <= list->at[i - 1]) return false;
  return true;
}

static bool in_list(const mica_ints *list, int64_t number) {
  for (int32_t i = 0; i < list->count; i++)
    if (list->at[i] == number) return true;
  return false;
}

/* ---- transpose ------------------------------------------------------------------------------- */

static mica_value simplify_transpose(mica_graph *graph, mica_value x,
                                     const mica_transpose_attr *a) {
  const mica_ints *permutation = &a->permutation;
  mica_shape from = mica_shape_of(x), to = {.rank = from.rank};
  mica_ints long_axes = {0}; /* the axes that have more than one element */
  for (int32_t i = 0; i < to.rank; i++) {
    to.dim[i] = from.dim[permutation->at[i]];
    if (to.dim[i] != 1) long_axes.at[long_axes.count++] = permutation->at[i];
  }
  if (is_increasing(permutation)) return x;
  if (is_repeated(graph, x)) return mica_repeat_constant(graph, x, to);
  if (is_increasing(&long_axes)) return reshape_to(graph, x, to);
  const mica_node *inner = mica_made_by(graph, x, MICA_OP_TRANSPOSE);
  if (inner) {
    const mica_transpose_attr *first = inner->attr;
    mica_transpose_attr both = {.permutation = {.count = from.rank}};
    for (int32_t i = 0; i < from.rank; i++)
      both.permutation.at[i] = first->permutation.at[permutation->at[i]];
    return mica_emit_simplified(graph, MICA_OP_TRANSPOSE,
                                (mica_value[]){mica_operand_of(graph, inner, 0)}, 1, &both);
  }
  inner = mica_made_by(graph, x, MICA_OP_BROADCAST);
  if (inner) {
    mica_broadcast_attr wide = *(const mica_broadcast_attr *)inner->attr;
    wide.shape = to;
    for (int32_t k = 0; k < wide.axes.count; k++)
      for (int32_t i = 0; i < to.rank; i++)
        if (permutation->at[i] == ((const mica_broadcast_attr *)inner->attr)->axes.at[k])
          wide.axes.at[k] = i;
    if (is_increasing(&wide.axes))
      return mica_emit_simplified(graph, MICA_OP_BROADCAST,
                                  (mica_value[]){mica_operand_of(graph, inner, 0)}, 1, &wide);
  }
  return mica_no_value(graph);
}

/* ---- reshape, broadcast ---------------------------------------------------------------------- */

static mica_value simplify_reshape(mica_graph *graph, mica_value x, const mica_reshape_attr *a) {
  if (mica_shape_equal(mica_shape_of(x), a->shape)) return x;
  const mica_node *inner = mica_made_by(graph, x, MICA_OP_RESHAPE);
  if (inner) return reshape_to(graph, mica_operand_of(graph, inner, 0), a->shape);
  /* A constant itself is reshaped where it stands; only what repeats it can take the new shape
   * instead. */
  if (mica_made_by(graph, x, MICA_OP_BROADCAST) && is_repeated(graph, x))
    return mica_repeat_constant(graph, x, a->shape);
  return mica_no_value(graph);
}

/* A reshape that only puts axes of size 1 between those of its operand, which has none itself:
 * where the operand's axes are in the result. */
static bool inserts_unit_axes(mica_shape from, mica_shape to, mica_ints *out_places) {
  int32_t next = 0;
  out_places->count = from.rank;
  for (int32_t i = 0; i < to.rank; i++) {
    if (to.dim[i] == 1) continue;
    if (next == from.rank || from.dim[next] != to.dim[i]) return false;
    out_places->at[next++] = i;
  }
  return next == from.rank;
}

static mica_value simplify_broadcast(mica_graph *graph, mica_value x,
                                     const mica_broadcast_attr *a) {
  mica_shape from = mica_shape_of(x);
  mica_broadcast_attr attr = {.shape = a->shape};
  if (mica_shape_equal(from, a->shape))
    return x; /* the axes are increasing, so they are all in place */
  const mica_node *inner = mica_made_by(graph, x, MICA_OP_BROADCAST);
  mica_ints places = {0};
  if (inner) {
    places = ((const mica_broadcast_attr *)inner->attr)->axes;
  } else {
    inner = mica_made_by(graph, x, MICA_OP_RESHAPE);
    if (!inner ||
        !inserts_unit_axes(mica_shape_of(mica_operand_of(graph, inner, 0)), from, &places))
      return mica_no_value(graph);
  }
  attr.axes.count = places.count;
  for (int32_t i = 0; i < places.count; i++) attr.axes.at[i] = a->axes.at[places.at[i]];
  return mica_emit_simplified(graph, MICA_OP_BROADCAST,
                              (mica_value[]){mica_operand_of(graph, inner, 0)}, 1, &attr);
}

/* ---- slice, reverse, pad, concatenate -------------------------------------------------------- */

static mica_value slice_of(mica_graph *graph, mica_value x, const mica_slice_attr *attr) {
  return mica_emit_simplified(graph, MICA_OP_SLICE, &x, 1, attr);
}

/* The slice of the one part of a concatenation in which it lies. */
static mica_value slice_one_part(mica_graph *graph, const mica_node *parts,
                                 const mica_slice_attr *a) {
  int64_t axis = ((const mica_concatenate_attr *)parts->attr)->axis, begin = 0;
  for (uint32_t i = 0; i < parts->operand_count; i++) {
    mica_value part = mica_operand_of(graph, parts, i);
    int64_t size = mica_dim_of(part, (int32_t)axis);
    if (a->start.at[axis] >= begin && a->limit.at[axis] <= begin + size &&
        a->start.at[axis] < a->limit.at[axis]) {
      mica_slice_attr within = *a;
      within.start.at[axis] -= begin;
      within.limit.at[axis] -= begin;
      return slice_of(graph, part, &within);
    }
    begin += size;
  }
  return mica_no_value(graph);
}

static mica_value simplify_slice(mica_graph *graph, mica_value x, const mica_slice_attr *a) {
  mica_shape from = mica_shape_of(x), to = {.rank = from.rank};
  bool whole = true;
  for (int32_t i = 0; i < from.rank; i++) {
    int64_t length = a->limit.at[i] - a->start.at[i];
    to.dim[i] = length / a->stride.at[i] + (length % a->stride.at[i] != 0 ? 1 : 0);
    whole = whole && to.dim[i] == from.dim[i];
  }
  if (whole) return x;
  if (is_repeated(graph, x)) return mica_repeat_constant(graph, x, to);
  const mica_node *inner = mica_made_by(graph, x, MICA_OP_CONCATENATE);
  if (inner) return slice_one_part(graph, inner, a);
  inner = mica_made_by(graph, x, MICA_OP_SLICE);
  if (!inner) return mica_no_value(graph);
  const mica_slice_attr *first = inner->attr;
  mica_slice_attr both = *first;
  for (int32_t i = 0; i < from.rank; i++) {
    int64_t step = first->stride.at[i];
    /* With one element left the stride says nothing; otherwise the products are below the
     * operand's size. */
    both.stride.at[i] = to.dim[i] > 1 ? step * a->stride.at[i] : 1;
    both.start.at[i] = first->start.at[i] + (to.dim[i] > 0 ? step * a->start.at[i] : 0);
    both.limit.at[i] =
        both.start.at[i] + (to.dim[i] > 0 ? (to.dim[i] - 1) * both.stride.at[i] + 1 : 0);
  }
  return slice_of(graph, mica_operand_of(graph, inner, 0), &both);
}

static mica_value simplify_reverse(mica_graph *graph, mica_value x, const mica_reverse_attr *a) {
  mica_reverse_attr attr = {{0}};
  mica_shape shape = mica_shape_of(x);
  const mica_node *inner = mica_made_by(graph, x, MICA_OP_REVERSE);
  const mica_ints none = {0},
                  *first = inner ? &((const mica_reverse_attr *)inner->attr)->axes : &none;
  for (int32_t axis = 0; axis < shape.rank; axis++)
    if (shape.dim[axis] > 1 && in_list(&a->axes, axis) != in_list(first, axis))
      attr.axes.at[attr.axes.count++] = axis;
  if (is_repeated(graph, x)) return x;
  mica_value source = inner ? mica_operand_of(graph, inner, 0) : x;
  if (attr.axes.count == 0) return source;
  if (!inner && attr.axes.count == a->axes.count) return mica_no_value(graph);
  return mica_emit(graph, MICA_OP_REVERSE, &source, 1, &attr);
}

static mica_value simplify_pad(mica_graph *graph, const mica_value *in, const mica_pad_attr *a) {
  mica_shape from = mica_shape_of(in[0]), to = {.rank = from.rank};
  double x, filling;
  bool nothing = true;
  for (int32_t i = 0; i < from.rank; i++) {
    int64_t size = 0;
    if (from.dim[i] > 1 && !mica_i64_multiply(from.dim[i] - 1, a->interior.at[i], &size))
      return mica_no_value(graph);
    nothing = nothing && a->low.at[i] == 0 && a->high.at[i] == 0 && size == 0;
    if (!mica_i64_add(size, from.dim[i], &size) || !mica_i64_add(size, a->low.at[i], &size) ||
        !mica_i64_add(size, a->high.at[i], &to.dim[i]))
      return mica_no_value(graph);
  }
  if (nothing) return in[0];
  bool same = mica_is_constant_number(graph, in[0].id, &x) &&
              mica_is_constant_number(graph, in[1].id, &filling) && x == filling &&
              signbit(x) == signbit(filling);
  return same ? mica_repeat_constant(graph, in[0], to) : mica_no_value(graph);
}

static mica_value simplify_concatenate(mica_graph *graph, const mica_value *in, size_t in_count,
                                       const mica_concatenate_attr *a) {
  if (in_count == 1) return in[0];
  size_t kept = 0, last = 0;
  for (size_t i = 0; i < in_count; i++) {
    if (mica_dim_of(in[i], (int32_t)a->axis) == 0) continue;
    kept++;
    last = i;
  }
  return kept == 1 ? in[last] : kept == 0 ? in[0] : mica_no_value(graph);
}

/* Starts that are known make a slice. */
static mica_value simplify_dynamic_slice(mica_graph *graph, const mica_value *in, size_t in_count,
                                         const mica_dynamic_slice_attr *a) {
  mica_shape from = mica_shape_of(in[0]);
  mica_slice_attr attr = {
      .start = {.count = from.rank}, .limit = {.count = from.rank}, .stride = {.count = from.rank}};
  for (int32_t i = 0; i < from.rank && (size_t)i + 1 < in_count; i++) {
    double start = 0;
    int64_t room = from.dim[i] - a->sizes.at[i];
    if (room > 0 && !mica_is_constant_number(graph, in[i + 1].id, &start))
      return mica_no_value(graph);
    attr.start.at[i] = start <= 0 ? 0 : start >= (double)room ? room : (int64_t)start;
    attr.limit.at[i] = attr.start.at[i] + a->sizes.at[i];
    attr.stride.at[i] = 1;
  }
  return slice_of(graph, in[0], &attr);
}

/* ---- operators that take a transpose along --------------------------------------------------- */

static mica_value simplify_reduce(mica_graph *graph, mica_value x, const mica_reduce_attr *a) {
  mica_shape from = mica_shape_of(x), to = {0};
  bool single = true;
  mica_ints kept = {0};
  for (int32_t axis = 0; axis < from.rank; axis++) {
    if (in_list(&a->axes, axis)) {
      single = single && from.dim[axis] == 1;
    } else {
      to.dim[to.rank++] = from.dim[axis];
      kept.at[kept.count++] = axis;
    }
  }
  if (single) return reshape_to(graph, x, to);
  const mica_node *inner = mica_made_by(graph, x, MICA_OP_TRANSPOSE);
  if (!inner) return mica_no_value(graph);
  const mica_ints *permutation = &((const mica_transpose_attr *)inner->attr)->permutation;
  for (int32_t i = 0; i < kept.count; i++) kept.at[i] = permutation->at[kept.at[i]];
  if (!is_increasing(&kept)) return mica_no_value(graph);
  mica_reduce_attr attr = {.kind = a->kind};
  for (int32_t axis = 0; axis < from.rank; axis++)
    if (!in_list(&kept, axis)) attr.axes.at[attr.axes.count++] = axis;
  return mica_emit_simplified(graph, MICA_OP_REDUCE,
                              (mica_value[]){mica_operand_of(graph, inner, 0)}, 1, &attr);
}

/* One operand's lists for what the transpose moved; false when its free axes would change their
 * order. */
static bool take_transpose_along(const mica_ints *permutation, mica_ints *batch,
                                 mica_ints *contract) {
  mica_ints free_axes = {0};
  for (int32_t axis = 0; axis < permutation->count; axis++)
    if (!in_list(batch, axis) && !in_list(contract, axis))
      free_axes.at[free_axes.count++] = permutation->at[axis];
  if (!is_increasing(&free_axes)) return false;
  for (int32_t i = 0; i < batch->count; i++) batch->at[i] = permutation->at[batch->at[i]];
  for (int32_t i = 0; i < contract->count; i++) contract->at[i] = permutation->at[contract->at[i]];
  return true;
}

static mica_value simplify_dot(mica_graph *graph, const mica_value *in, const mica_dot_attr *a) {
  mica_dot_attr attr = *a;
  mica_value operands[2] = {in[0], in[1]};
  bool moved = false;
  for (int i = 0; i < 2; i++) {
    const mica_node *inner = mica_made_by(graph, in[i], MICA_OP_TRANSPOSE);
    if (!inner || !take_transpose_along(&((const mica_transpose_attr *)inner->attr)->permutation,
                                        i == 0 ? &attr.lhs_batch : &attr.rhs_batch,
                                        i == 0 ? &attr.lhs_contract : &attr.rhs_contract))
      continue;
    operands[i] = mica_operand_of(graph, inner, 0);
    moved = true;
  }
  return moved ? mica_emit(graph, MICA_OP_DOT_GENERAL, operands, 2, &attr) : mica_no_value(graph);
}

mica_value mica_simplify_movement(mica_graph *graph, mica_op op, const mica_value *in,
                                  size_t in_count, const void *attr) {
  switch (op) {
    case MICA_OP_TRANSPOSE: return simplify_transpose(graph, in[0], attr);
    case MICA_OP_RESHAPE: return simplify_reshape(graph, in[0], attr);
    case MICA_OP_BROADCAST: return simplify_broadcast(graph, in[0], attr);
    case MICA_OP_SLICE: return simplify_slice(graph, in[0], attr);
    case MICA_OP_REVERSE: return simplify_reverse(graph, in[0], attr);
    case MICA_OP_PAD: return simplify_pad(graph, in, attr);
    case MICA_OP_CONCATENATE: return simplify_concatenate(graph, in, in_count, attr);
    case MICA_OP_DYNAMIC_SLICE: return simplify_dynamic_slice(graph, in, in_count, attr);
    case MICA_OP_REDUCE: return simplify_reduce(graph, in[0], attr);
    case MICA_OP_DOT_GENERAL: return simplify_dot(graph, in, attr);
    default: return mica_no_value(graph);
  }
}
