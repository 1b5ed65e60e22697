/* SPDX-License-Identifier: Apache-2.0 */
/* gather.c: reading windows at places that indices name, as StableHLO's gather with batching
 * axes. A start is clamped so that its window lies in x. Linear in x; the transpose adds each
 * window back (scatter). */
#include <inttypes.h>
#include <string.h>

#include "graph/ops/indexing.h"

/* ---- what gather and scatter share ----------------------------------------------------------- */

static bool lists_disjoint(const mica_ints *a, const mica_ints *b) {
  for (int32_t i = 0; i < a->count; i++)
    if (mica_ints_contain(b, a->at[i])) return false;
  return true;
}

/* Number of components of each index vector, and the indices' shape without their axis. */
static int64_t index_components(mica_shape indices, int64_t vector_axis, mica_shape *out_batch) {
  *out_batch = mica_shape_remove(indices, (int32_t)vector_axis);
  return vector_axis < indices.rank ? indices.dim[vector_axis] : 1;
}

bool mica_infer_indexing(mica_infer *infer, mica_gather_attr *a, const mica_index_names *names,
                         mica_shape *out_batch) {
  mica_shape x = infer->in[0].shape, indices = infer->in[1].shape;
  mica_dtype dtype = infer->in[1].dtype;
  if (!mica_dtype_is_signed(dtype) || mica_dtype_bits(dtype) < 8)
    return mica_infer_fail(infer, "operand 1 has dtype %s: expected indices of i8, i16, i32 or i64",
                           mica_dtype_name(dtype));
  if (a->index_vector_axis < 0 || a->index_vector_axis > indices.rank)
    return mica_infer_fail(
        infer, "index_vector_axis is %" PRId64 ": expected 0 to %" PRId32 ", the indices' rank",
        a->index_vector_axis, indices.rank);
  int64_t components = index_components(indices, a->index_vector_axis, out_batch);
  if (!mica_infer_axes(infer, names->dropped, &a->collapsed_slice_axes, x.rank, true) ||
      !mica_infer_axes(infer, "operand_batch_axes", &a->operand_batch_axes, x.rank, true) ||
      !mica_infer_axes(infer, "index_batch_axes", &a->index_batch_axes, indices.rank, false) ||
      !mica_infer_axes(infer, names->map, &a->start_index_map, x.rank, false))
    return false;
  if (a->start_index_map.count != components)
    return mica_infer_fail(infer,
                           "%s has %" PRId32 " %s: expected %" PRId64
                           ", one for each component of an index "
                           "vector",
                           names->map, a->start_index_map.count,
                           mica_noun((size_t)a->start_index_map.count, "entry", "entries"),
                           components);
  if (!lists_disjoint(&a->collapsed_slice_axes, &a->operand_batch_axes))
    return mica_infer_fail(
        infer, "%s and operand_batch_axes share an axis: expected each axis in one of them",
        names->dropped);
  if (!lists_disjoint(&a->start_index_map, &a->operand_batch_axes))
    return mica_infer_fail(
        infer, "%s and operand_batch_axes share an axis: expected each axis in one of them",
        names->map);
  if (mica_ints_contain(&a->index_batch_axes, a->index_vector_axis))
    return mica_infer_fail(
        infer, "index_batch_axes holds index_vector_axis %" PRId64 ": expected other axes",
        a->index_vector_axis);
  if (a->index_batch_axes.count != a->operand_batch_axes.count)
    return mica_infer_fail(infer,
                           "operand_batch_axes and index_batch_axes have %" PRId32 " and %" PRId32
                           " entries: expected pairs",
                           a->operand_batch_axes.count, a->index_batch_axes.count);
  for (int32_t i = 0; i < a->index_batch_axes.count; i++) {
    int64_t x_axis = a->operand_batch_axes.at[i], axis = a->index_batch_axes.at[i];
    if (x.dim[x_axis] != indices.dim[axis])
      return mica_infer_fail(infer,
                             "batch axes %" PRId64 " and %" PRId64 " have sizes %" PRId64
                             " and %" PRId64 ": expected equal ones",
                             x_axis, axis, x.dim[x_axis], indices.dim[axis]);
  }
  return true;
}

bool mica_windows_fit(const mica_gather_attr *attr, mica_shape x) {
  for (int32_t axis = 0; axis < x.rank; axis++)
    if (attr->slice_sizes.at[axis] > x.dim[axis]) return false;
  return true;
}

/* The largest start of each component, in the indices' dtype and shape. */
static mica_value largest_starts(mica_value indices, const mica_gather_attr *attr, mica_shape x) {
  mica_graph *graph = indices.graph;
  mica_type type = mica_type_of(indices);
  const mica_ints *map = &attr->start_index_map;
  int32_t bits = mica_dtype_bits(type.dtype);
  if (bits == 0) return mica_no_value(graph); /* the graph has failed */
  int64_t ceiling = INT64_MAX >> (64 - bits), bounds[MICA_MAX_RANK];
  char bytes[sizeof(bounds)];
  bool equal = true;
  for (int32_t i = 0; i < map->count; i++) {
    int64_t bound = x.dim[map->at[i]] - attr->slice_sizes.at[map->at[i]];
    bounds[i] = bound < ceiling ? bound : ceiling;
    equal = equal && bounds[i] == bounds[0];
  }
  if (map->count == 0)
    return mica_zeros_like(indices); /* no components: there is nothing to bound */
  if (mica_convert_elements(type.dtype, bytes, MICA_I64, bounds, map->count) != MICA_OK)
    return mica_fail(graph, MICA_INTERNAL, "gather: bounds of dtype %s",
                     mica_dtype_name(type.dtype));
  mica_type bound_type = {.dtype = type.dtype};
  if (!equal) bound_type.shape = (mica_shape){.rank = 1, .dim = {map->count}};
  mica_tensor *tensor = NULL;
  if (mica_tensor_create(&graph->allocator, bound_type, bytes, &tensor, NULL) != MICA_OK)
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value bound = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  if (equal) return mica_broadcast_if_needed(bound, type.shape);
  return mica_broadcast_in_dim(bound, type.shape,
                               (mica_axes){1, {(int32_t)attr->index_vector_axis}, false});
}

mica_value mica_clamp_indices(mica_value indices, const mica_gather_attr *attr, mica_shape x) {
  if (attr->start_index_map.count == 0) return indices;
  return mica_min(mica_max_number(indices, 0), largest_starts(indices, attr, x));
}

/* Axes of the result that run over index vectors: those that are not in the window. */
static mica_axes vector_axes(const mica_ints *window, int32_t rank) {
  mica_axes axes = {0};
  for (int32_t axis = 0; axis < rank; axis++)
    if (!mica_ints_contain(window, axis)) axes.axis[axes.count++] = axis;
  return axes;
}

mica_value mica_window_inside(mica_value indices, const mica_gather_attr *attr, mica_shape x,
                              mica_shape result) {
  if (attr->start_index_map.count == 0)
    return mica_full(indices.graph, (mica_type){MICA_BOOL, result}, 1);
  mica_value inside = mica_and(mica_greater_equal_number(indices, 0),
                               mica_less_equal(indices, largest_starts(indices, attr, x)));
  if (attr->index_vector_axis < mica_rank_of(indices))
    inside = mica_reduce_and(inside, (mica_axes){1, {(int32_t)attr->index_vector_axis}, false});
  return mica_broadcast_in_dim(inside, result, vector_axes(&attr->offset_axes, result.rank));
}

mica_gather_attr mica_batch_indexing(const mica_gather_attr *attr, bool x_batched,
                                     bool indices_batched, int64_t examples) {
  mica_gather_attr a = *attr;
  if (x_batched) {
    bool pairs = indices_batched;
    int64_t slice = !pairs ? examples : examples > 0 ? 1 : 0;
    a.collapsed_slice_axes = mica_ints_shift(&a.collapsed_slice_axes, 1);
    a.start_index_map = mica_ints_shift(&a.start_index_map, 1);
    a.slice_sizes = mica_ints_prepend(slice, &a.slice_sizes, 0);
    a.operand_batch_axes = pairs ? mica_ints_prepend(0, &a.operand_batch_axes, 1)
                                 : mica_ints_shift(&a.operand_batch_axes, 1);
    a.index_batch_axes = pairs ? mica_ints_prepend(0, &a.index_batch_axes, 1) : a.index_batch_axes;
    a.offset_axes =
        pairs ? mica_ints_shift(&a.offset_axes, 1) : mica_ints_prepend(0, &a.offset_axes, 1);
  } else {
    a.offset_axes = mica_ints_shift(&a.offset_axes, 1);
    a.index_batch_axes = mica_ints_shift(&a.index_batch_axes, 1);
  }
  if (indices_batched) a.index_vector_axis++;
  return a;
}

mica_scatter_attr mica_scatter_like(const mica_gather_attr *attr, mica_scatter_kind kind) {
  return (mica_scatter_attr){.kind = (int32_t)kind,
                             .update_window_axes = attr->offset_axes,
                             .inserted_window_axes = attr->collapsed_slice_axes,
                             .operand_batch_axes = attr->operand_batch_axes,
                             .index_batch_axes = attr->index_batch_axes,
                             .index_map = attr->start_index_map,
                             .index_vector_axis = attr->index_vector_axis};
}

/* ---- definition ------------------------------------------------------------------------------ */

static bool infer_slice_sizes(mica_infer *infer, const mica_gather_attr *a) {
  mica_shape x = infer->in[0].shape;
  if (!mica_infer_list(infer, "slice_sizes", &a->slice_sizes, x.rank)) return false;
  for (int32_t axis = 0; axis < x.rank; axis++) {
    int64_t size = a->slice_sizes.at[axis], least = 0, most = x.dim[axis];
    if (mica_ints_contain(&a->collapsed_slice_axes, axis)) {
      if (most == 0)
        return mica_infer_fail(infer,
                               "nothing can be read from axis %" PRId32
                               " of operand 0, which is empty: expected at least 1",
                               axis);
      least = most = 1;
    } else if (mica_ints_contain(&a->operand_batch_axes, axis)) {
      least = most = most > 0 ? 1 : 0;
    }
    if (size >= least && size <= most) continue;
    return mica_infer_fail(
        infer, "slice_sizes has %" PRId64 " for axis %" PRId32 ": expected %" PRId64 " to %" PRId64,
        size, axis, least, most);
  }
  return true;
}

static bool infer_gather(mica_infer *infer) {
  mica_gather_attr *a = infer->attr;
  mica_shape x = infer->in[0].shape, batch;
  static const mica_index_names names = {.dropped = "collapsed_slice_axes",
                                         .map = "start_index_map"};
  if (!mica_infer_indexing(infer, a, &names, &batch) || !infer_slice_sizes(infer, a)) return false;
  int32_t window = x.rank - a->collapsed_slice_axes.count - a->operand_batch_axes.count;
  mica_type out = {infer->in[0].dtype, {.rank = window + batch.rank}};
  if (out.shape.rank > MICA_MAX_RANK)
    return mica_infer_fail(infer, "the result has rank %" PRId32 ": expected at most %d",
                           out.shape.rank, MICA_MAX_RANK);
  if (a->offset_axes.count != window)
    return mica_infer_fail(infer,
                           "offset_axes has %" PRId32 " %s: expected %" PRId32
                           ", one for each axis of a "
                           "slice that is kept",
                           a->offset_axes.count,
                           mica_noun((size_t)a->offset_axes.count, "entry", "entries"), window);
  if (!mica_infer_axes(infer, "offset_axes", &a->offset_axes, out.shape.rank, true)) return false;
  int32_t from_batch = 0, from_slice = 0;
  for (int32_t axis = 0; axis < out.shape.rank; axis++) {
    if (!mica_ints_contain(&a->offset_axes, axis)) {
      out.shape.dim[axis] = batch.dim[from_batch++];
      continue;
    }
    while (mica_ints_contain(&a->collapsed_slice_axes, from_slice) ||
           mica_ints_contain(&a->operand_batch_axes, from_slice))
      from_slice++;
    out.shape.dim[axis] = a->slice_sizes.at[from_slice++];
  }
  return mica_infer_one(infer, out);
}

static mica_value transpose_gather(const mica_rule *rule, size_t operand,
                                   const mica_value *cotangents) {
  (void)operand;
  const mica_gather_attr *a = rule->attr;
  mica_type type = mica_type_of(rule->in[0]);
  mica_scatter_attr back = mica_scatter_like(a, MICA_SCATTER_ADD);
  mica_type sums = {mica_sum_dtype(type.dtype), type.shape};
  mica_value in[3] = {mica_zeros(rule->graph, sums), mica_clamp_indices(rule->in[1], a, type.shape),
                      mica_convert(cotangents[0], sums.dtype)};
  return mica_convert(mica_emit(rule->graph, MICA_OP_SCATTER, in, 3, &back), type.dtype);
}

static void batch_gather(const mica_rule *rule, const bool *batched, int64_t size,
                         mica_value *out) {
  const mica_gather_attr *a = rule->attr;
  mica_shape indices = mica_example_shape(rule, batched, 1), batch;
  index_components(indices, a->index_vector_axis, &batch);
  if (!mica_batch_fits(rule, mica_example_rank(rule, batched, 0), out) ||
      !mica_batch_fits(rule, indices.rank, out) ||
      !mica_batch_fits(rule, batch.rank + a->offset_axes.count, out))
    return;
  mica_gather_attr more = mica_batch_indexing(a, batched[0], batched[1], size);
  out[0] = mica_emit(rule->graph, MICA_OP_GATHER, rule->in, 2, &more);
}

static const mica_attr_field gather_fields[] = {
    MICA_FIELD(mica_gather_attr, offset_axes, INTS),
    MICA_FIELD(mica_gather_attr, collapsed_slice_axes, INTS),
    MICA_FIELD(mica_gather_attr, operand_batch_axes, INTS),
    MICA_FIELD(mica_gather_attr, index_batch_axes, INTS),
    MICA_FIELD(mica_gather_attr, start_index_map, INTS),
    MICA_FIELD(mica_gather_attr, index_vector_axis, I64),
    MICA_FIELD(mica_gather_attr, slice_sizes, INTS),
    MICA_FIELD_END};
const mica_op_def mica_op_gather = {
    .name = "gather",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = 2,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_gather_attr),
    .fields = gather_fields,
    .formula =
        "x [a...], indices [i..., v] -> [i..., slice...]: the slice of x at each index vector, "
        "clamped into x",
    .infer = infer_gather,
    .transpose = transpose_gather,
    .batch = batch_gather,
};

/* ---- builders -------------------------------------------------------------------------------- */

mica_value mica_take(mica_value x, mica_value indices, int32_t axis) {
  MICA_ENTRY_OF(x, indices);
  mica_value in[2] = {x, indices};
  mica_graph *graph = mica_graph_of(in, 2);
  int64_t along;
  if (!mica_operands_usable("take", in, 2) || !mica_builder_axis("take", x, axis, &along))
    return mica_no_value(graph);
  mica_shape shape = mica_shape_of(x), from = mica_shape_of(indices);
  int32_t rank = shape.rank - 1 + from.rank;
  if (rank > MICA_MAX_RANK)
    return mica_fail_operator(graph, "take", in, 2,
                              "the result has rank %" PRId32 ": expected at most %d", rank,
                              MICA_MAX_RANK);
  mica_gather_attr attr = {.collapsed_slice_axes = {.count = 1, .at = {along}},
                           .start_index_map = {.count = 1, .at = {along}},
                           .index_vector_axis = from.rank,
                           .slice_sizes = {.count = shape.rank}};
  mica_shape result = {.rank = rank};
  for (int32_t i = 0; i < shape.rank; i++) {
    attr.slice_sizes.at[i] = i == along ? 1 : shape.dim[i];
    if (i == along) continue;
    int32_t to = i < along ? i : i - 1 + from.rank;
    attr.offset_axes.at[attr.offset_axes.count++] = to;
    result.dim[to] = shape.dim[i];
  }
  for (int32_t i = 0; i < from.rank; i++) result.dim[along + i] = from.dim[i];
  /* numpy takes nothing from an empty axis, and refuses to take something. */
  if (shape.dim[along] == 0 && mica_shape_count(result) == 0)
    return mica_zeros(graph, (mica_type){mica_dtype_of(x), result});
  return mica_emit(graph, MICA_OP_GATHER, in, 2, &attr);
}

mica_value mica_take_along_axis(mica_value x, mica_value indices, int32_t axis) {
  MICA_ENTRY_OF(x, indices);
  mica_value in[2] = {x, indices};
  mica_graph *graph = mica_graph_of(in, 2);
  int64_t along;
  if (!mica_operands_usable("take_along_axis", in, 2) ||
      !mica_builder_axis("take_along_axis", x, axis, &along))
    return mica_no_value(graph);
  mica_shape shape = mica_shape_of(x), from = mica_shape_of(indices);
  mica_gather_attr attr = {.collapsed_slice_axes = {.count = 1, .at = {along}},
                           .start_index_map = {.count = 1, .at = {along}},
                           .index_vector_axis = from.rank,
                           .slice_sizes = {.count = shape.rank}};
  bool fits = shape.rank == from.rank;
  for (int32_t i = 0; fits && i < shape.rank; i++) {
    attr.slice_sizes.at[i] = i == along || shape.dim[i] > 0 ? 1 : 0;
    if (i == along) continue;
    fits = shape.dim[i] == from.dim[i];
    attr.operand_batch_axes.at[attr.operand_batch_axes.count++] = i;
  }
  if (!fits)
    return mica_fail_operator(
        graph, "take_along_axis", in, 2,
        "expected indices of the operand's rank, with equal sizes but along axis %" PRId64, along);
  attr.index_batch_axes = attr.operand_batch_axes;
  if (shape.dim[along] == 0 && mica_shape_count(from) == 0)
    return mica_zeros(graph, (mica_type){mica_dtype_of(x), from});
  return mica_emit(graph, MICA_OP_GATHER, in, 2, &attr);
}

mica_value mica_gather_with(const mica_gather_args *args) {
  mica_gather_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  MICA_ENTRY_OF(a.x, a.indices);
  mica_value in[2] = {a.x, a.indices};
  mica_graph *graph = mica_graph_of(in, 2);
  mica_gather_attr attr = {.index_vector_axis = a.index_vector_axis,
                           .slice_sizes = {.count = a.slice_sizes.rank}};
  if (!mica_operands_usable("gather", in, 2) ||
      !mica_builder_list("gather", in, 2, "offset_axes", a.offset_axes, &attr.offset_axes) ||
      !mica_builder_list("gather", in, 2, "collapsed_slice_axes", a.collapsed_slice_axes,
                         &attr.collapsed_slice_axes) ||
      !mica_builder_list("gather", in, 2, "operand_batch_axes", a.operand_batch_axes,
                         &attr.operand_batch_axes) ||
      !mica_builder_list("gather", in, 2, "index_batch_axes", a.index_batch_axes,
                         &attr.index_batch_axes) ||
      !mica_builder_list("gather", in, 2, "start_index_map", a.start_index_map,
                         &attr.start_index_map))
    return mica_no_value(graph);
  a.slice_sizes = mica_shape_clean(a.slice_sizes);
  memcpy(attr.slice_sizes.at, a.slice_sizes.dim, sizeof(attr.slice_sizes.at));
  return mica_emit(graph, MICA_OP_GATHER, in, 2, &attr);
}
