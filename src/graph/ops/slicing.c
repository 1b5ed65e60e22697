/* SPDX-License-Identifier: Apache-2.0 */
/* slicing.c: slices whose start is known when running, and the conveniences made of reshape,
 * transpose, slice and concatenate. */
#include <inttypes.h>
#include <stdio.h>

#include "graph/ops/rules.h"

/* ---- dynamic_slice --------------------------------------------------------------------------- */

/* Operands from `first` on are one start for each axis of an array of that shape. */
static bool infer_starts(mica_infer *infer, size_t first, mica_shape shape) {
  size_t rank = (size_t)shape.rank;
  if (!mica_infer_operand_count(infer, first + rank, first + rank)) return false;
  for (size_t i = first; i < infer->in_count; i++) {
    mica_type type = infer->in[i];
    if ((type.dtype != MICA_I32 && type.dtype != MICA_I64) || type.shape.rank != 0)
      return mica_infer_fail(infer, "operand %zu is a start: expected i32[] or i64[]", i);
  }
  return mica_infer_equal_dtypes(infer, first);
}

static bool infer_dynamic_slice(mica_infer *infer) {
  const mica_dynamic_slice_attr *attr = infer->attr;
  mica_type type = infer->in[0];
  if (!mica_infer_list(infer, "sizes", &attr->sizes, type.shape.rank)) return false;
  if (!infer_starts(infer, 1, type.shape)) return false;
  for (int32_t axis = 0; axis < type.shape.rank; axis++) {
    int64_t size = attr->sizes.at[axis];
    if (size < 0 || size > type.shape.dim[axis])
      return mica_infer_fail(infer, "axis %" PRId32 ": size %" PRId64 ": expected 0 to %" PRId64,
                             axis, size, type.shape.dim[axis]);
    type.shape.dim[axis] = size;
  }
  return mica_infer_one(infer, type);
}

enum { MAX_SLICE_OPERANDS = MICA_MAX_RANK + 2 };

static mica_value transpose_dynamic_slice(const mica_rule *rule, size_t operand,
                                          const mica_value *cotangents) {
  if (operand != 0 || rule->in_count + 1 > MAX_SLICE_OPERANDS) return mica_no_value(rule->graph);
  mica_value in[MAX_SLICE_OPERANDS] = {mica_zeros_like(rule->in[0]), cotangents[0]};
  for (size_t i = 1; i < rule->in_count; i++) in[i + 1] = rule->in[i];
  return mica_emit(rule->graph, MICA_OP_DYNAMIC_UPDATE_SLICE, in, rule->in_count + 1, NULL);
}

static bool any_batched(const bool *batched, size_t from, size_t count) {
  for (size_t i = from; i < count; i++)
    if (batched[i]) return true;
  return false;
}

/* The starts of all examples as indices [size, rank] for gather and scatter. With `limits` they
 * are first clamped to 0 .. limits[axis], which gather does by itself and scatter does not. */
static mica_value stacked_starts(const mica_rule *rule, const bool *batched, size_t first,
                                 int64_t size, const int64_t *limits) {
  mica_value columns[MICA_MAX_RANK];
  size_t rank = 0;
  for (size_t i = first; i < rule->in_count && rank < MICA_MAX_RANK; i++) {
    mica_value start = rule->in[i];
    if (limits) {
      int64_t limit = limits[i - first];
      if (mica_dtype_of(start) == MICA_I32 && limit > INT32_MAX) limit = INT32_MAX;
      start = mica_min(mica_max(start, 0), (double)limit);
    }
    start = mica_batched(start, batched[i], size);
    columns[rank++] = mica_reshape_if_needed(start, (mica_shape){.rank = 2, .dim = {size, 1}});
  }
  mica_concatenate_attr along = {.axis = 1};
  return mica_emit(rule->graph, MICA_OP_CONCATENATE, columns, rank, &along);
}

/* Starts that differ between examples make a gather; otherwise the example axis is taken whole. */
static void batch_dynamic_slice(const mica_rule *rule, const bool *batched, int64_t size,
                                mica_value *out) {
  const mica_dynamic_slice_attr *attr = rule->attr;
  int32_t rank = attr->sizes.count;
  if (!mica_batch_fits(rule, rank, out)) return;
  if (!any_batched(batched, 1, rule->in_count)) {
    if (rank == 0) {
      out[0] = mica_batched(rule->in[0], batched[0], size);
      return;
    }
    mica_value in[MAX_SLICE_OPERANDS] = {mica_batched(rule->in[0], batched[0], size),
                                         mica_number_for("dynamic_slice", rule->in[1], 0)};
    for (int32_t i = 0; i < rank; i++) in[i + 2] = rule->in[i + 1];
    mica_dynamic_slice_attr wider = {.sizes = mica_ints_prepend(size, &attr->sizes, 0)};
    out[0] = mica_emit(rule->graph, MICA_OP_DYNAMIC_SLICE, in, (size_t)rank + 2, &wider);
    return;
  }
  mica_value in[2] = {rule->in[0], stacked_starts(rule, batched, 1, size, NULL)};
  mica_gather_attr gather = {.offset_axes = mica_ints_sequence(1, rank),
                             .start_index_map = mica_ints_sequence(batched[0] ? 1 : 0, rank),
                             .index_vector_axis = 1,
                             .slice_sizes = attr->sizes};
  if (batched[0]) {
    gather.operand_batch_axes = gather.index_batch_axes = (mica_ints){.count = 1};
    gather.slice_sizes = mica_ints_prepend(1, &attr->sizes, 0);
  }
  out[0] = mica_emit(rule->graph, MICA_OP_GATHER, in, 2, &gather);
}

static const mica_attr_field dynamic_slice_fields[] = {
    MICA_FIELD(mica_dynamic_slice_attr, sizes, INTS), MICA_FIELD_END};
const mica_op_def mica_op_dynamic_slice = {
    .name = "dynamic_slice",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = -1,
    .results = 1,
    .linear_operands = 1,
    .attr_size = sizeof(mica_dynamic_slice_attr),
    .fields = dynamic_slice_fields,
    .formula =
        "x [a...], start [] for each axis -> [sizes...]: x[start : start + size], start clamped to "
        "0 .. a - size",
    .infer = infer_dynamic_slice,
    .transpose = transpose_dynamic_slice,
    .batch = batch_dynamic_slice,
};

/* ---- dynamic_update_slice -------------------------------------------------------------------- */

static bool infer_dynamic_update_slice(mica_infer *infer) {
  if (infer->in_count < 2)
    return mica_infer_fail(infer, "expected x, update and one start for each axis");
  mica_type x = infer->in[0], update = infer->in[1];
  if (x.dtype != update.dtype)
    return mica_infer_fail(infer,
                           "operands 0 and 1 have different dtypes: expected one dtype "
                           "(mica_convert(x, MICA_...) makes it)");
  if (update.shape.rank != x.shape.rank)
    return mica_infer_fail(infer, "the update has rank %" PRId32 ": expected %" PRId32 ", as x",
                           update.shape.rank, x.shape.rank);
  for (int32_t axis = 0; axis < x.shape.rank; axis++)
    if (update.shape.dim[axis] > x.shape.dim[axis])
      return mica_infer_fail(
          infer, "axis %" PRId32 ": the update has size %" PRId64 ": expected at most %" PRId64,
          axis, update.shape.dim[axis], x.shape.dim[axis]);
  return infer_starts(infer, 2, x.shape) && mica_infer_one(infer, x);
}

static mica_value transpose_dynamic_update_slice(const mica_rule *rule, size_t operand,
                                                 const mica_value *cotangents) {
  if (operand > 1 || rule->in_count > MAX_SLICE_OPERANDS) return mica_no_value(rule->graph);
  mica_value in[MAX_SLICE_OPERANDS] = {cotangents[0]};
  if (operand == 0) {
    in[1] = mica_zeros_like(rule->in[1]);
    for (size_t i = 2; i < rule->in_count; i++) in[i] = rule->in[i];
    return mica_emit(rule->graph, MICA_OP_DYNAMIC_UPDATE_SLICE, in, rule->in_count, NULL);
  }
  mica_shape update = mica_shape_of(rule->in[1]);
  mica_dynamic_slice_attr attr = {.sizes.count = update.rank};
  for (int32_t axis = 0; axis < update.rank; axis++) attr.sizes.at[axis] = update.dim[axis];
  for (size_t i = 2; i < rule->in_count; i++) in[i - 1] = rule->in[i];
  return mica_emit(rule->graph, MICA_OP_DYNAMIC_SLICE, in, rule->in_count - 1, &attr);
}

static void batch_dynamic_update_slice(const mica_rule *rule, const bool *batched, int64_t size,
                                       mica_value *out) {
  mica_shape x = mica_example_shape(rule, batched, 0),
             update = mica_example_shape(rule, batched, 1);
  if (!mica_batch_fits(rule, x.rank, out)) return;
  mica_value in[MAX_SLICE_OPERANDS + 1] = {mica_batched(rule->in[0], batched[0], size),
                                           mica_batched(rule->in[1], batched[1], size)};
  if (x.rank == 0) {
    out[0] = in[1];
    return;
  }
  if (!any_batched(batched, 2, rule->in_count)) {
    in[2] = mica_number_for("dynamic_update_slice", rule->in[2], 0);
    for (size_t i = 2; i < rule->in_count && i < MAX_SLICE_OPERANDS; i++) in[i + 1] = rule->in[i];
    out[0] = mica_emit(rule->graph, MICA_OP_DYNAMIC_UPDATE_SLICE, in, rule->in_count + 1, NULL);
    return;
  }
  int64_t limits[MICA_MAX_RANK] = {0};
  for (int32_t axis = 0; axis < x.rank; axis++) limits[axis] = x.dim[axis] - update.dim[axis];
  mica_value scattered[3] = {in[0], stacked_starts(rule, batched, 2, size, limits), in[1]};
  mica_scatter_attr scatter = {.kind = MICA_SCATTER_SET,
                               .update_window_axes = mica_ints_sequence(1, x.rank),
                               .operand_batch_axes = {.count = 1},
                               .index_batch_axes = {.count = 1},
                               .index_map = mica_ints_sequence(1, x.rank),
                               .index_vector_axis = 1};
  out[0] = mica_emit(rule->graph, MICA_OP_SCATTER, scattered, 3, &scatter);
}

const mica_op_def mica_op_dynamic_update_slice = {
    .name = "dynamic_update_slice",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_ANY,
    .arity = -1,
    .results = 1,
    .linear_operands = 3,
    .linear_jointly = true,
    .formula =
        "x [a...], update [b...], start [] for each axis -> [a...]: x with x[start : start + b] "
        "replaced, start "
        "clamped to 0 .. a - b",
    .infer = infer_dynamic_update_slice,
    .transpose = transpose_dynamic_update_slice,
    .batch = batch_dynamic_update_slice,
};

mica_value mica_dynamic_slice(mica_value x, const mica_value *start, mica_shape sizes) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("dynamic_slice", &x, 1)) return mica_no_value(x.graph);
  int32_t rank = mica_rank_of(x);
  mica_dynamic_slice_attr attr = {.sizes.count = rank};
  mica_value in[MAX_SLICE_OPERANDS] = {x};
  char text[MICA_SHAPE_TEXT];
  if (sizes.rank != rank || (rank > 0 && !start))
    return mica_fail_operator(x.graph, "dynamic_slice", &x, 1,
                              "sizes %s: expected a size and a start for each of %" PRId32 " axes",
                              mica_shape_text(sizes, text), rank);
  for (int32_t axis = 0; axis < rank; axis++) {
    attr.sizes.at[axis] = sizes.dim[axis];
    in[axis + 1] = start[axis];
  }
  return mica_emit(x.graph, MICA_OP_DYNAMIC_SLICE, in, (size_t)rank + 1, &attr);
}

mica_value mica_dynamic_update_slice(mica_value x, mica_value update, const mica_value *start) {
  MICA_ENTRY_OF(x, update);
  mica_value in[MAX_SLICE_OPERANDS] = {x, update};
  if (!mica_operands_usable("dynamic_update_slice", in, 2))
    return mica_no_value(mica_graph_of(in, 2));
  int32_t rank = mica_rank_of(x);
  if (rank > 0 && !start)
    return mica_fail_operator(x.graph, "dynamic_update_slice", in, 2,
                              "expected a start for each of %" PRId32 " axes", rank);
  for (int32_t axis = 0; axis < rank; axis++) in[axis + 2] = start[axis];
  return mica_emit(x.graph, MICA_OP_DYNAMIC_UPDATE_SLICE, in, (size_t)rank + 2, NULL);
}

/* ---- one axis by an index -------------------------------------------------------------------- */

/* Starts that are 0 but along `axis`, where it is `index`. */
static bool starts_at(const char *op, mica_value x, mica_value index, int64_t axis,
                      mica_value *start) {
  mica_dtype dtype = mica_dtype_of(index);
  if ((dtype != MICA_I32 && dtype != MICA_I64) || mica_rank_of(index) != 0) {
    mica_fail_operator(x.graph, op, (mica_value[]){x, index}, 2,
                       "operand 1 is the index: expected i32[] or i64[]");
    return false;
  }
  mica_value zero = mica_number_for(op, index, 0);
  for (int32_t i = 0; i < mica_rank_of(x); i++) start[i] = i == axis ? index : zero;
  return true;
}

mica_value mica_index_axis(mica_value x, mica_value index, int32_t axis) {
  MICA_ENTRY_OF(x, index);
  mica_value in[2] = {x, index}, start[MICA_MAX_RANK];
  int64_t at;
  if (!mica_operands_usable("index_axis", in, 2) ||
      !mica_builder_axis("index_axis", x, axis, &at) ||
      !starts_at("index_axis", x, index, at, start))
    return mica_no_value(mica_graph_of(in, 2));
  mica_shape sizes = mica_shape_of(x);
  sizes.dim[at] = 1;
  mica_value row = mica_dynamic_slice(x, start, sizes);
  return mica_reshape_if_needed(row, mica_shape_remove(sizes, (int32_t)at));
}

mica_value mica_update_axis(mica_value x, mica_value update, mica_value index, int32_t axis) {
  MICA_ENTRY_OF(x, update, index);
  mica_value in[3] = {x, update, index}, start[MICA_MAX_RANK];
  int64_t at;
  if (!mica_operands_usable("update_axis", in, 3) ||
      !mica_builder_axis("update_axis", x, axis, &at) ||
      !starts_at("update_axis", x, index, at, start))
    return mica_no_value(mica_graph_of(in, 3));
  mica_shape row = mica_shape_of(x);
  row.dim[at] = 1;
  char text[MICA_SHAPE_TEXT];
  if (!mica_shape_equal(mica_shape_of(update), mica_shape_remove(row, (int32_t)at)))
    return mica_fail_operator(x.graph, "update_axis", in, 3,
                              "operand 1 is the update: expected shape %s",
                              mica_shape_text(mica_shape_remove(row, (int32_t)at), text));
  return mica_dynamic_update_slice(x, mica_reshape_if_needed(update, row), start);
}

mica_value mica_slice_axis(mica_value x, int32_t axis, int64_t start, int64_t limit,
                           int64_t stride) {
  MICA_ENTRY(x.graph);
  int64_t at;
  if (!mica_operands_usable("slice_axis", &x, 1) || !mica_builder_axis("slice_axis", x, axis, &at))
    return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  mica_slice_attr attr = {.start = {.count = shape.rank},
                          .limit = {.count = shape.rank},
                          .stride = {.count = shape.rank}};
  for (int32_t i = 0; i < shape.rank; i++) {
    attr.start.at[i] = i == at ? start : 0;
    attr.limit.at[i] = i == at ? limit : shape.dim[i];
    attr.stride.at[i] = i == at ? stride : 1;
  }
  return mica_emit(x.graph, MICA_OP_SLICE, &x, 1, &attr);
}

/* ---- rank and order -------------------------------------------------------------------------- */

mica_value mica_flatten(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  int64_t from = 0;
  if (!mica_operands_usable("flatten", &x, 1)) return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  if (!(shape.rank == 0 && axis == 0) && !mica_builder_axis("flatten", x, axis, &from))
    return mica_no_value(x.graph);
  mica_shape flat = {.rank = (int32_t)from + 1}, rest = {0};
  for (int32_t i = 0; i < from; i++) flat.dim[i] = shape.dim[i];
  for (int32_t i = (int32_t)from; i < shape.rank; i++) rest.dim[rest.rank++] = shape.dim[i];
  flat.dim[from] = mica_shape_count(rest);
  return mica_reshape(x, flat);
}

mica_value mica_expand_dims(mica_value x, int32_t axis) {
  MICA_ENTRY(x.graph);
  int64_t at;
  if (!mica_operands_usable("expand_dims", &x, 1)) return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  if (!mica_resolve_axis(axis, shape.rank + 1, &at))
    return mica_fail_operator(x.graph, "expand_dims", &x, 1,
                              "axis %" PRId32 ": expected %" PRId32 " to %" PRId32, axis,
                              -shape.rank - 1, shape.rank);
  if (shape.rank == MICA_MAX_RANK)
    return mica_fail_operator(x.graph, "expand_dims", &x, 1, "expected a rank below %d",
                              MICA_MAX_RANK);
  return mica_reshape(x, mica_shape_insert(shape, (int32_t)at, 1));
}

mica_value mica_squeeze(mica_value x, mica_axes axes) {
  MICA_ENTRY(x.graph);
  mica_ints list;
  if (!mica_operands_usable("squeeze", &x, 1) ||
      !mica_builder_axes("squeeze", x, axes, true, &list))
    return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x), kept = {0};
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    bool listed = mica_ints_contain(&list, axis);
    if (listed && shape.dim[axis] != 1 && axes.count != -1)
      return mica_fail_operator(x.graph, "squeeze", &x, 1,
                                "axis %" PRId32 " has size %" PRId64 ": expected 1", axis,
                                shape.dim[axis]);
    if (!listed || shape.dim[axis] != 1) kept.dim[kept.rank++] = shape.dim[axis];
  }
  return mica_reshape(x, kept);
}

mica_value mica_swap_axes(mica_value x, int32_t a, int32_t b) {
  MICA_ENTRY(x.graph);
  int64_t first, second;
  if (!mica_operands_usable("swap_axes", &x, 1) || !mica_builder_axis("swap_axes", x, a, &first) ||
      !mica_builder_axis("swap_axes", x, b, &second))
    return mica_no_value(x.graph);
  mica_transpose_attr attr = {.permutation = mica_ints_sequence(0, mica_rank_of(x))};
  attr.permutation.at[first] = second;
  attr.permutation.at[second] = first;
  return mica_emit(x.graph, MICA_OP_TRANSPOSE, &x, 1, &attr);
}

/* ---- several arrays -------------------------------------------------------------------------- */

mica_value mica_stack(const mica_value *x, size_t count, int32_t axis) {
  MICA_ENTRY(mica_graph_of(x, count));
  mica_graph *graph = mica_graph_of(x, count);
  if (!graph || !mica_operands_usable("stack", x, count)) return mica_no_value(graph);
  mica_shape shape = mica_shape_of(x[0]);
  int64_t at;
  if (!mica_resolve_axis(axis, shape.rank + 1, &at) || shape.rank == MICA_MAX_RANK)
    return mica_fail_operator(graph, "stack", x, count,
                              "axis %" PRId32 ": expected %" PRId32 " to %" PRId32
                              " and operands of rank below %d",
                              axis, -shape.rank - 1, shape.rank, MICA_MAX_RANK);
  for (size_t i = 1; i < count; i++)
    if (!mica_type_equal(mica_type_of(x[i]), mica_type_of(x[0])))
      return mica_fail_operator(graph, "stack", x, count,
                                "operand %zu: expected the type of operand 0", i);
  mica_value *rows = mica_arena_allocate(&graph->arena, count * sizeof(*rows));
  if (!rows) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_shape row = mica_shape_insert(shape, (int32_t)at, 1);
  for (size_t i = 0; i < count; i++) rows[i] = mica_reshape_if_needed(x[i], row);
  mica_concatenate_attr attr = {.axis = at};
  return mica_emit(graph, MICA_OP_CONCATENATE, rows, count, &attr);
}

void mica_split(mica_value x, int32_t axis, size_t count, mica_value *out) {
  MICA_ENTRY(x.graph);
  mica_results_clear(x.graph, "split", &x, 1, out, count);
  int64_t at;
  if (!mica_operands_usable("split", &x, 1) || !mica_builder_axis("split", x, axis, &at)) return;
  int64_t size = mica_dim_of(x, (int32_t)at);
  if (count == 0 || (uint64_t)count > INT64_MAX || size % (int64_t)count != 0) {
    mica_fail_operator(x.graph, "split", &x, 1,
                       "%zu parts of axis %" PRId64 " of size %" PRId64
                       ": expected a number that divides it",
                       count, at, size);
    return;
  }
  int64_t part = size / (int64_t)count;
  for (size_t i = 0; i < count; i++)
    out[i] = mica_slice_axis(x, (int32_t)at, (int64_t)i * part, (int64_t)(i + 1) * part, 1);
}
