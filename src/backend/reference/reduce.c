/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.c: folding axes. One wide accumulator for each element of the result; the operand is read once
 * in row-major order, so every sum is formed from first to last. */
#include "backend/reference/reference_internal.h"

enum { REDUCE_BLOCK = 256 };

static void reduce_kernel(const reference_step *step) {
  const mica_reduce_attr *a = step->attr;
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  mica_reduce_kind kind = (mica_reduce_kind)a->kind;
  int64_t strides[MICA_MAX_RANK], out_strides[MICA_MAX_RANK] = {0};
  int64_t count = mica_shape_count(from.shape), out_count = mica_shape_count(to.shape);
  size_t size = reference_wide_size(to.dtype);
  mica_reference_strides(to.shape, strides);
  for (int32_t axis = 0, kept = 0, next = 0; axis < from.shape.rank; axis++) {
    if (next < a->axes.count && a->axes.at[next] == axis)
      next++;
    else
      out_strides[axis] = strides[kept++];
  }
  for (int64_t i = 0; i < out_count; i++)
    mica_reference_neutral(kind, to.dtype, (char *)step->scratch + (size_t)i * size);
  int64_t index[MICA_MAX_RANK] = {0};
  reference_complex block[REDUCE_BLOCK]; /* room for any wide elements */
  for (int64_t begin = 0; begin < count; begin += REDUCE_BLOCK) {
    int64_t n = count - begin < REDUCE_BLOCK ? count - begin : REDUCE_BLOCK;
    mica_reference_widen(from.dtype, step->in[0], begin, n, block);
    for (int64_t i = 0; i < n; i++) {
      int64_t at = reference_place(index, out_strides, from.shape.rank);
      mica_reference_combine(kind, from.dtype, step->scratch, at, block, i);
      mica_reference_next(from.shape.dim, from.shape.rank, index);
    }
  }
  mica_reference_narrow(to.dtype, step->out[0], 0, out_count, step->scratch);
}

static bool result_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  mica_type type = mica_node_at(graph, id)->type;
  return mica_reference_wide_bytes(type.dtype, mica_shape_count(type.shape), out_size);
}

static void arg_reduce_kernel(const reference_step *step) {
  const mica_arg_reduce_attr *a = step->attr;
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  int64_t size = from.shape.dim[a->axis], inner = 1, count = mica_shape_count(to.shape);
  for (int32_t axis = (int32_t)a->axis + 1; axis < from.shape.rank; axis++)
    inner *= from.shape.dim[axis];
  bool largest = a->kind == MICA_REDUCE_MAX;
  for (int64_t i = 0; i < count; i++) {
    int64_t begin = i / inner * size * inner + i % inner;
    mica_element best = mica_element_load(from.dtype, step->in[0], begin);
    mica_element position = {.kind = MICA_ELEMENT_SIGNED};
    for (int64_t k = 1; k < size; k++) {
      mica_element challenger = mica_element_load(from.dtype, step->in[0], begin + k * inner);
      if (!mica_reference_beats(challenger, best, largest)) continue;
      best = challenger;
      position.i64 = k;
    }
    mica_element_store(to.dtype, step->out[0], i, position);
  }
}

const reference_row mica_reference_reduce[MICA_OP_COUNT] = {
    [MICA_OP_REDUCE] = {reduce_kernel, result_scratch},
    [MICA_OP_ARG_REDUCE] = {arg_reduce_kernel, NULL},
};
