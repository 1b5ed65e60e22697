/* SPDX-License-Identifier: Apache-2.0 */
/* gather.c: windows read and written at indexed places, as StableHLO's gather and scatter have them.
 *
 * Both walk over the index vectors. A vector, its place in the batch axes and the window's shape give the
 * corner of the window in the operand, and where the window's elements lie in the result (gather) or in
 * the updates (scatter). */
#include "backend/reference/reference_internal.h"

#include <string.h>

/* The geometry that gather and scatter share: "slices" are the gather's result or the scatter's updates. */
typedef struct {
  mica_shape x, indices, slices;
  mica_dtype index_dtype;
  int64_t x_strides[MICA_MAX_RANK], index_strides[MICA_MAX_RANK], slice_strides[MICA_MAX_RANK];
  int64_t vector_axis, vector_stride; /* of the indices */
  mica_ints map, operand_batch, index_batch;
  int32_t vector_rank; /* axes of the indices without the vector's */
  int64_t vector_dim[MICA_MAX_RANK];
  int32_t vector_axes[MICA_MAX_RANK]; /* in the indices */
  int32_t slice_batch[MICA_MAX_RANK]; /* in the slices */
  int64_t window[MICA_MAX_RANK];      /* sizes along the operand's axes */
  reference_move move; /* from the operand to the slices, offsets of window (0, 0, ..) */
} indexed_windows;

static bool list_contains(const mica_ints *list, int64_t axis) {
  for (int32_t i = 0; i < list->count; i++)
    if (list->at[i] == axis) return true;
  return false;
}

/* `offset_axes` of the slices lie in the window; operand axes in `dropped` have size 1 there. */
static void set_geometry(indexed_windows *w, const mica_ints *offset_axes,
                         const mica_ints *dropped) {
  mica_reference_strides(w->x, w->x_strides);
  mica_reference_strides(w->indices, w->index_strides);
  mica_reference_strides(w->slices, w->slice_strides);
  w->vector_stride = w->vector_axis < w->indices.rank ? w->index_strides[w->vector_axis] : 0;
  for (int32_t axis = 0; axis < w->indices.rank; axis++) {
    if (axis == w->vector_axis) continue;
    w->vector_dim[w->vector_rank] = w->indices.dim[axis];
    w->vector_axes[w->vector_rank++] = axis;
  }
  int32_t batch = 0, kept = 0;
  for (int32_t axis = 0; axis < w->slices.rank; axis++)
    if (!list_contains(offset_axes, axis)) w->slice_batch[batch++] = axis;
  w->move.rank = w->x.rank;
  for (int32_t axis = 0; axis < w->x.rank; axis++) {
    bool gone = list_contains(dropped, axis) || list_contains(&w->operand_batch, axis);
    int64_t slice_axis = gone ? 0 : offset_axes->at[kept++];
    w->window[axis] = gone ? 1 : w->slices.dim[slice_axis];
    w->move.dim[axis] = w->window[axis];
    w->move.in_stride[axis] = w->x_strides[axis];
    w->move.out_stride[axis] = gone ? 0 : w->slice_strides[slice_axis];
  }
}

/* The window of one index vector. Clamped, or false when it does not lie in the operand as a whole. */
static bool place_window(const indexed_windows *w, const void *indices, const int64_t *vector,
                         bool clamp, reference_move *move) {
  int64_t start[MICA_MAX_RANK] = {0}, at = 0;
  *move = w->move;
  for (int32_t i = 0; i < w->vector_rank; i++) {
    at += vector[i] * w->index_strides[w->vector_axes[i]];
    move->out_offset += vector[i] * w->slice_strides[w->slice_batch[i]];
    for (int32_t k = 0; k < w->index_batch.count; k++)
      if (w->index_batch.at[k] == w->vector_axes[i]) start[w->operand_batch.at[k]] = vector[i];
  }
  for (int32_t i = 0; i < w->map.count; i++)
    mica_reference_widen_one(w->index_dtype, indices, at + i * w->vector_stride,
                             &start[w->map.at[i]]);
  for (int32_t axis = 0; axis < w->x.rank; axis++) {
    int64_t last = w->x.dim[axis] - w->window[axis];
    if (start[axis] < 0 || start[axis] > last) {
      if (!clamp) return false;
      start[axis] = start[axis] < 0 || last < 0 ? 0 : last;
    }
    move->in_offset += start[axis] * w->x_strides[axis];
  }
  return true;
}

static bool has_vectors(const indexed_windows *w) {
  for (int32_t i = 0; i < w->vector_rank; i++)
    if (w->vector_dim[i] == 0) return false;
  return true;
}

static void gather_kernel(const reference_step *step) {
  const mica_gather_attr *a = step->attr;
  mica_type indices = reference_in_type(step, 1), out = step->node->type;
  indexed_windows w = {.x = reference_in_type(step, 0).shape,
                       .indices = indices.shape,
                       .slices = out.shape,
                       .index_dtype = indices.dtype,
                       .vector_axis = a->index_vector_axis,
                       .map = a->start_index_map,
                       .operand_batch = a->operand_batch_axes,
                       .index_batch = a->index_batch_axes};
  set_geometry(&w, &a->offset_axes, &a->collapsed_slice_axes);
  if (mica_shape_count(out.shape) == 0 || !has_vectors(&w)) return;
  int64_t vector[MICA_MAX_RANK] = {0};
  do {
    reference_move move;
    place_window(&w, step->in[1], vector, true, &move);
    mica_reference_copy(out.dtype, step->in[0], step->out[0], &move);
  } while (mica_reference_next(w.vector_dim, w.vector_rank, vector));
}

/* ---- scatter ---------------------------------------------------------------------------------- */

/* One window's updates into wide accumulators. */
static void combine_window(const reference_step *step, mica_reduce_kind kind, mica_dtype dtype,
                           const reference_move *move) {
  int64_t index[MICA_MAX_RANK] = {0};
  for (int32_t axis = 0; axis < move->rank; axis++)
    if (move->dim[axis] == 0) return;
  do {
    reference_complex update; /* room for any wide element */
    mica_reference_widen_one(
        dtype, step->in[2], move->out_offset + reference_place(index, move->out_stride, move->rank),
        &update);
    mica_reference_combine(kind, dtype, step->scratch,
                           move->in_offset + reference_place(index, move->in_stride, move->rank),
                           &update, 0);
  } while (mica_reference_next(move->dim, move->rank, index));
}

static void set_window(const reference_step *step, mica_dtype dtype, const reference_move *move) {
  reference_move back = *move;
  memcpy(back.in_stride, move->out_stride, sizeof(back.in_stride));
  memcpy(back.out_stride, move->in_stride, sizeof(back.out_stride));
  back.in_offset = move->out_offset;
  back.out_offset = move->in_offset;
  mica_reference_copy(dtype, step->in[2], step->out[0], &back);
}

/* Sums and products of all updates of an element are rounded once, at the end. */
static void scatter_kernel(const reference_step *step) {
  static const mica_reduce_kind kinds[] = {[MICA_SCATTER_SET] = MICA_REDUCE_SUM, /* not used */
                                           [MICA_SCATTER_ADD] = MICA_REDUCE_SUM,
                                           [MICA_SCATTER_MUL] = MICA_REDUCE_PROD,
                                           [MICA_SCATTER_MAX] = MICA_REDUCE_MAX,
                                           [MICA_SCATTER_MIN] = MICA_REDUCE_MIN};
  const mica_scatter_attr *a = step->attr;
  mica_type indices = reference_in_type(step, 1), updates = reference_in_type(step, 2);
  mica_type x = step->node->type;
  indexed_windows w = {.x = x.shape,
                       .indices = indices.shape,
                       .slices = updates.shape,
                       .index_dtype = indices.dtype,
                       .vector_axis = a->index_vector_axis,
                       .map = a->index_map,
                       .operand_batch = a->operand_batch_axes,
                       .index_batch = a->index_batch_axes};
  set_geometry(&w, &a->update_window_axes, &a->inserted_window_axes);
  bool set = a->kind == MICA_SCATTER_SET;
  int64_t count = mica_shape_count(x.shape);
  if (set)
    mica_reference_copy_all(x, step->in[0], step->out[0]);
  else
    mica_reference_widen(x.dtype, step->in[0], 0, count, step->scratch);
  int64_t vector[MICA_MAX_RANK] = {0};
  bool more = has_vectors(&w) && mica_shape_count(updates.shape) > 0;
  for (; more; more = mica_reference_next(w.vector_dim, w.vector_rank, vector)) {
    reference_move move;
    if (!place_window(&w, step->in[1], vector, false, &move)) continue;
    if (set)
      set_window(step, x.dtype, &move);
    else
      combine_window(step, kinds[a->kind], x.dtype, &move);
  }
  if (!set) mica_reference_narrow(x.dtype, step->out[0], 0, count, step->scratch);
}

static bool scatter_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  mica_type type = mica_node_at(graph, id)->type;
  return mica_reference_wide_bytes(type.dtype, mica_shape_count(type.shape), out_size);
}

const reference_row mica_reference_gather[MICA_OP_COUNT] = {
    [MICA_OP_GATHER] = {gather_kernel, NULL},
    [MICA_OP_SCATTER] = {scatter_kernel, scatter_scratch},
};
