/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c: what the definitions of operators share; rules.h says how it is used. */
#include "graph/ops/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/tensor.h"

/* ---- shapes and lists ------------------------------------------------------------------------ */

mica_shape mica_shape_clean(mica_shape shape) {
  for (int32_t axis = shape.rank > 0 ? shape.rank : 0; axis < MICA_MAX_RANK; axis++)
    shape.dim[axis] = 0;
  return shape;
}

mica_shape mica_shape_insert(mica_shape shape, int32_t axis, int64_t size) {
  if (axis < 0 || axis > shape.rank) return shape; /* of a value that failed */
  if (shape.rank++ >= MICA_MAX_RANK) return shape;
  for (int32_t i = shape.rank - 1; i > axis; i--) shape.dim[i] = shape.dim[i - 1];
  shape.dim[axis] = size;
  return shape;
}

mica_shape mica_shape_remove(mica_shape shape, int32_t axis) {
  if (axis < 0 || axis >= shape.rank) return shape;
  for (int32_t i = axis; i + 1 < shape.rank; i++) shape.dim[i] = shape.dim[i + 1];
  shape.dim[--shape.rank] = 0;
  return shape;
}

bool mica_shape_broadcast(mica_shape a, mica_shape b, mica_shape *out, int32_t *out_axis_from_end) {
  mica_shape result = {.rank = a.rank > b.rank ? a.rank : b.rank};
  for (int32_t end = 1; end <= result.rank; end++) {
    int64_t x = end <= a.rank ? a.dim[a.rank - end] : 1,
            y = end <= b.rank ? b.dim[b.rank - end] : 1;
    *out_axis_from_end = end;
    if (x != y && x != 1 && y != 1) return false;
    result.dim[result.rank - end] = x == 1 ? y : x;
  }
  *out = result;
  return true;
}

const char *mica_shape_text(mica_shape shape, char text[MICA_SHAPE_TEXT]) {
  /* The text of a type, "none[2, 3]", without its dtype. */
  mica_type_format((mica_type){MICA_DTYPE_NONE, shape}, text, MICA_SHAPE_TEXT);
  char *bracket = strchr(text, '[');
  return bracket ? bracket : text;
}

bool mica_ints_contain(const mica_ints *list, int64_t number) {
  for (int32_t i = 0; i < list->count; i++)
    if (list->at[i] == number) return true;
  return false;
}

mica_axes mica_axes_from(const mica_ints *list) {
  mica_axes axes = {.count = list->count};
  for (int32_t i = 0; i < list->count; i++) axes.axis[i] = (int32_t)list->at[i];
  return axes;
}

mica_axes mica_axes_keeping(const mica_ints *list, bool keep) {
  mica_axes axes = mica_axes_from(list);
  axes.keep = keep;
  return axes;
}

mica_ints mica_ints_sequence(int64_t first, int32_t count) {
  mica_ints list = {.count = count};
  for (int32_t i = 0; i < count; i++) list.at[i] = first + i;
  return list;
}

mica_ints mica_ints_prepend(int64_t front, const mica_ints *list, int64_t shift) {
  mica_ints longer = {.count = list->count + 1, .at = {front}};
  for (int32_t i = 0; i < list->count; i++) longer.at[i + 1] = list->at[i] + shift;
  return longer;
}

mica_ints mica_ints_shift(const mica_ints *list, int64_t shift) {
  mica_ints moved = {.count = list->count};
  for (int32_t i = 0; i < list->count; i++) moved.at[i] = list->at[i] + shift;
  return moved;
}

bool mica_resolve_axis(int64_t axis, int32_t rank, int64_t *out_axis) {
  if (axis < -(int64_t)rank || axis >= rank) return false;
  *out_axis = axis < 0 ? axis + rank : axis;
  return true;
}

/* ---- for builders ---------------------------------------------------------------------------- */

bool mica_copy_args(void *copy, size_t size, const void *args) {
  memset(copy, 0, size);
  if (!args) return false;
  size_t given;
  memcpy(&given, args, sizeof(given));
  memcpy(copy, args, given < size ? given : size);
  return true;
}

bool mica_operands_usable(const char *op, const mica_value *in, size_t count) {
  mica_graph *graph = mica_graph_of(in, count);
  if (!graph || graph->status != MICA_OK) return false;
  for (size_t i = 0; i < count; i++) {
    char why[MICA_MESSAGE_SIZE];
    if (mica_value_usable(graph, in[i], why, sizeof(why))) continue;
    mica_fail_operator(graph, op, in, count, "operand %zu: %s", i, why);
    return false;
  }
  return true;
}

bool mica_operands_accepted(const char *op, const mica_value *in, size_t count,
                            mica_dtype_class class) {
  const char *expected = "";
  mica_dtype dtype = mica_dtype_of(in[0]);
  if (mica_class_accepts(class, dtype, &expected)) return true;
  mica_fail_operator(mica_graph_of(in, count), op, in, count,
                     "dtype %s is not supported: expected %s (mica_convert first)",
                     mica_dtype_name(dtype), expected);
  return false;
}

/* "axis 3 does not exist: expected -2 to 1" for a rank. */
static void describe_axis(char *text, size_t size, int64_t axis, int32_t rank) {
  if (rank == 0)
    snprintf(text, size, "axis %" PRId64 " does not exist: expected an array, a scalar has no axes",
             axis);
  else
    snprintf(text, size, "axis %" PRId64 " does not exist: expected %" PRId32 " to %" PRId32, axis,
             -rank, rank - 1);
}

bool mica_builder_axis(const char *op, mica_value x, int32_t axis, int64_t *out_axis) {
  int32_t rank = mica_rank_of(x);
  if (mica_resolve_axis(axis, rank, out_axis)) return true;
  char why[128];
  describe_axis(why, sizeof(why), axis, rank);
  mica_fail_operator(x.graph, op, &x, 1, "%s", why);
  return false;
}

bool mica_builder_axes(const char *op, mica_value x, mica_axes axes, bool sorted,
                       mica_ints *out_axes) {
  int32_t rank = mica_rank_of(x);
  *out_axes = (mica_ints){0};
  if (axes.count == -1) {
    *out_axes = mica_ints_sequence(0, rank);
    return true;
  }
  if (axes.count < 0 || axes.count > MICA_MAX_RANK) {
    mica_fail_operator(x.graph, op, &x, 1,
                       "%" PRId32 " %s listed: expected at most %d, or MICA_ALL", axes.count,
                       mica_noun((size_t)axes.count, "axis is", "axes are"), MICA_MAX_RANK);
    return false;
  }
  for (int32_t i = 0; i < axes.count; i++) {
    int64_t axis;
    if (!mica_builder_axis(op, x, axes.axis[i], &axis)) return false;
    if (mica_ints_contain(out_axes, axis)) {
      mica_fail_operator(x.graph, op, &x, 1,
                         "axis %" PRId64 " is listed twice: expected each axis at most once", axis);
      return false;
    }
    int32_t at = out_axes->count++;
    for (; sorted && at > 0 && out_axes->at[at - 1] > axis; at--)
      out_axes->at[at] = out_axes->at[at - 1];
    out_axes->at[at] = axis;
  }
  return true;
}

/* A long text is shown from shortly before the place on. */
void mica_fail_in_text(mica_graph *graph, const char *op, const mica_value *in, size_t count,
                       const char *text, const char *at, const char *format, va_list arguments) {
  char why[MICA_MESSAGE_SIZE];
  vsnprintf(why, sizeof(why), format, arguments);
  const char *from = at - text > 40 ? at - 20 : text;
  mica_fail_operator(graph, op, in, count, "character %td of \"%s%.60s\": %s", at - text + 1,
                     from > text ? "..." : "", from, why);
}

bool mica_builder_list(const char *op, const mica_value *in, size_t count, const char *name,
                       mica_axes axes, mica_ints *out_list) {
  *out_list = (mica_ints){.count = axes.count};
  if (axes.count < 0 || axes.count > MICA_MAX_RANK) {
    mica_fail_operator(mica_graph_of(in, count), op, in, count,
                       "%s has %" PRId32 " %s: expected 0 to %d", name, axes.count,
                       mica_noun((size_t)axes.count, "entry", "entries"), MICA_MAX_RANK);
    return false;
  }
  for (int32_t i = 0; i < axes.count; i++) out_list->at[i] = axes.axis[i];
  return true;
}

mica_value mica_broadcast_if_needed(mica_value x, mica_shape shape) {
  mica_shape from = mica_shape_of(x);
  if (!mica_has_value(x) || mica_shape_equal(from, shape)) return x;
  mica_broadcast_attr attr = {.shape = mica_shape_clean(shape),
                              .axes = mica_ints_sequence(shape.rank - from.rank, from.rank)};
  return mica_emit(x.graph, MICA_OP_BROADCAST, &x, 1, &attr);
}

mica_value mica_reshape_if_needed(mica_value x, mica_shape shape) {
  if (!mica_has_value(x) || mica_shape_equal(mica_shape_of(x), shape)) return x;
  mica_reshape_attr attr = {.shape = mica_shape_clean(shape)};
  return mica_emit(x.graph, MICA_OP_RESHAPE, &x, 1, &attr);
}

mica_value mica_transpose_if_needed(mica_value x, const mica_ints *permutation) {
  bool same = true;
  for (int32_t i = 0; i < permutation->count; i++) same = same && permutation->at[i] == i;
  if (!mica_has_value(x) || same) return x;
  mica_transpose_attr attr = {.permutation = *permutation};
  return mica_emit(x.graph, MICA_OP_TRANSPOSE, &x, 1, &attr);
}

bool mica_broadcast_operands(const char *op, mica_value *in, size_t count, size_t dtype_from) {
  if (!mica_operands_usable(op, in, count)) return false;
  mica_graph *graph = in[0].graph;
  mica_shape shape = mica_shape_of(in[0]);
  for (size_t i = dtype_from + 1; i < count; i++) {
    mica_dtype first = mica_dtype_of(in[dtype_from]), other = mica_dtype_of(in[i]);
    if (first == other) continue;
    mica_fail_operator(
        graph, op, in, count,
        "operands %zu and %zu have different dtypes: expected one dtype (mica_convert(x, MICA_...) "
        "makes it)",
        dtype_from, i);
    return false;
  }
  for (size_t i = 1; i < count; i++) {
    mica_shape other = mica_shape_of(in[i]), both;
    int32_t end = 0;
    if (mica_shape_broadcast(shape, other, &both, &end)) {
      shape = both;
      continue;
    }
    mica_fail_operator(graph, op, in, count,
                       "axis %" PRId32 " clashes: sizes %" PRId64 " and %" PRId64
                       ", expected equal ones or 1 (shapes are aligned at the last axis)",
                       -end, shape.dim[shape.rank - end], other.dim[other.rank - end]);
    return false;
  }
  for (size_t i = 0; i < count; i++) in[i] = mica_broadcast_if_needed(in[i], shape);
  return true;
}

mica_value mica_constant_array(mica_graph *graph, mica_dtype dtype, mica_shape shape,
                               const double *numbers) {
  mica_tensor *wide = NULL, *tensor = NULL;
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  int64_t count = mica_shape_count(shape);
  if (mica_tensor_create(&graph->allocator, (mica_type){MICA_F64, shape}, numbers, &wide, NULL) ||
      mica_tensor_create(&graph->allocator, (mica_type){dtype, shape}, NULL, &tensor, NULL)) {
    mica_tensor_release(wide);
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  }
  mica_convert_elements(dtype, (void *)(uintptr_t)mica_tensor_data(tensor), MICA_F64,
                        mica_tensor_data(wide), count);
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(wide);
  mica_tensor_release(tensor);
  return value;
}

mica_dtype mica_wide_dtype(mica_dtype dtype) {
  return dtype == MICA_F16 || dtype == MICA_BF16 ? MICA_F32 : dtype;
}

mica_value mica_widen(mica_value x) {
  return mica_has_value(x) ? mica_convert(x, mica_wide_dtype(mica_dtype_of(x))) : x;
}

/* ---- inference ------------------------------------------------------------------------------- */

bool mica_infer_one(mica_infer *infer, mica_type type) {
  mica_error error = {0};
  if (mica_type_check(type, NULL, &error) != MICA_OK)
    return mica_infer_fail(
        infer, "the result: %s; expected a known dtype, rank 0 to 8 and sizes >= 0", error.message);
  type.shape = mica_shape_clean(type.shape);
  infer->out[0] = type;
  infer->out_count = 1;
  return true;
}

bool mica_infer_operand_count(mica_infer *infer, size_t least, size_t most) {
  if (infer->in_count >= least && infer->in_count <= most) return true;
  if (most == SIZE_MAX)
    return mica_infer_fail(infer, "expected at least %zu %s, not %zu", least,
                           mica_noun(least, "operand", "operands"), infer->in_count);
  if (least == most)
    return mica_infer_fail(infer, "expected %zu %s, not %zu", least,
                           mica_noun(least, "operand", "operands"), infer->in_count);
  return mica_infer_fail(infer, "expected %zu to %zu operands, not %zu", least, most,
                         infer->in_count);
}

bool mica_infer_same(mica_infer *infer) { return mica_infer_one(infer, infer->in[0]); }

bool mica_infer_equal_dtypes(mica_infer *infer, size_t from) {
  for (size_t i = from + 1; i < infer->in_count; i++)
    if (infer->in[i].dtype != infer->in[from].dtype)
      return mica_infer_fail(
          infer,
          "operands %zu and %zu have different dtypes: expected one dtype (mica_convert(x, "
          "MICA_...) makes it)",
          from, i);
  return true;
}

bool mica_infer_equal_types(mica_infer *infer, size_t from) {
  if (!mica_infer_equal_dtypes(infer, from)) return false;
  for (size_t i = from + 1; i < infer->in_count; i++)
    if (!mica_shape_equal(infer->in[i].shape, infer->in[from].shape))
      return mica_infer_fail(
          infer, "operands %zu and %zu have different shapes: expected equal ones", from, i);
  return true;
}

bool mica_infer_equal(mica_infer *infer) {
  return mica_infer_equal_types(infer, 0) && mica_infer_one(infer, infer->in[0]);
}

bool mica_infer_class(mica_infer *infer, size_t i, mica_dtype_class class, const char *what) {
  const char *expected = "";
  if (mica_class_accepts(class, infer->in[i].dtype, &expected)) return true;
  return mica_infer_fail(infer, "dtype %s is not supported by %s: expected %s (mica_convert first)",
                         mica_dtype_name(infer->in[i].dtype), what, expected);
}

bool mica_infer_axis(mica_infer *infer, int64_t *axis, int32_t rank) {
  if (mica_resolve_axis(*axis, rank, axis)) return true;
  char why[128];
  describe_axis(why, sizeof(why), *axis, rank);
  return mica_infer_fail(infer, "%s", why);
}

bool mica_infer_axes(mica_infer *infer, const char *name, mica_ints *axes, int32_t rank,
                     bool increasing) {
  if (axes->count < 0 || axes->count > rank)
    return mica_infer_fail(infer, "%s has %" PRId32 " %s: expected at most %" PRId32, name,
                           axes->count, mica_noun((size_t)axes->count, "entry", "entries"), rank);
  mica_ints before = {0};
  for (int32_t i = 0; i < axes->count; i++) {
    if (!mica_infer_axis(infer, &axes->at[i], rank)) return false;
    if (mica_ints_contain(&before, axes->at[i]))
      return mica_infer_fail(
          infer, "axis %" PRId64 " is listed twice in %s: expected each axis at most once",
          axes->at[i], name);
    if (increasing && i > 0 && axes->at[i] < axes->at[i - 1])
      return mica_infer_fail(infer, "%s is not sorted: expected increasing axes", name);
    before.at[before.count++] = axes->at[i];
  }
  return true;
}

bool mica_infer_list(mica_infer *infer, const char *name, const mica_ints *list, int32_t rank) {
  if (list->count == rank) return true;
  return mica_infer_fail(infer, "%s has %" PRId32 " %s: expected %" PRId32 ", one for each axis",
                         name, list->count, mica_noun((size_t)list->count, "entry", "entries"),
                         rank);
}

/* ---- rules ----------------------------------------------------------------------------------- */

mica_value mica_derivative_zero(const mica_rule *rule, size_t operand, mica_value t) {
  (void)operand, (void)t;
  return mica_no_value(rule->graph);
}

mica_value mica_derivative_identity(const mica_rule *rule, size_t operand, mica_value t) {
  (void)rule, (void)operand;
  return t;
}

bool mica_batch_fits(const mica_rule *rule, int32_t rank, mica_value *out) {
  if (rank < MICA_MAX_RANK) return true;
  out[0] =
      mica_rule_failed(rule, "vmap needs one more axis: expected rank below %d", MICA_MAX_RANK);
  return false;
}

mica_shape mica_example_shape(const mica_rule *rule, const bool *batched, size_t i) {
  mica_shape shape = mica_shape_of(rule->in[i]);
  return batched[i] ? mica_shape_remove(shape, 0) : shape;
}

int32_t mica_example_rank(const mica_rule *rule, const bool *batched, size_t i) {
  return mica_example_shape(rule, batched, i).rank;
}
