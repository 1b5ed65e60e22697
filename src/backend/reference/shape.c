/* SPDX-License-Identifier: Apache-2.0 */
/* shape.c: operators that move elements, all as copies between two strided views. */
#include "backend/reference/reference_internal.h"

#include <string.h>

/* A copy of `shape` elements with dense strides on both sides; kernels change what differs. */
static reference_move dense_move(mica_shape shape) {
  reference_move move = {.rank = shape.rank};
  memcpy(move.dim, shape.dim, sizeof(move.dim));
  mica_reference_strides(shape, move.in_stride);
  mica_reference_strides(shape, move.out_stride);
  return move;
}

static void broadcast_kernel(const reference_step *step) {
  const mica_broadcast_attr *attr = step->attr;
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  reference_move move = dense_move(to.shape);
  int64_t strides[MICA_MAX_RANK];
  mica_reference_strides(from.shape, strides);
  memset(move.in_stride, 0, sizeof(move.in_stride));
  for (int32_t axis = 0; axis < from.shape.rank; axis++)
    if (from.shape.dim[axis] != 1) move.in_stride[attr->axes.at[axis]] = strides[axis];
  mica_reference_copy(to.dtype, step->in[0], step->out[0], &move);
}

static void reshape_kernel(const reference_step *step) {
  mica_reference_copy_all(step->node->type, step->in[0], step->out[0]);
}

static void transpose_kernel(const reference_step *step) {
  const mica_transpose_attr *attr = step->attr;
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  reference_move move = dense_move(to.shape);
  int64_t strides[MICA_MAX_RANK];
  mica_reference_strides(from.shape, strides);
  for (int32_t axis = 0; axis < to.shape.rank; axis++)
    move.in_stride[axis] = strides[attr->permutation.at[axis]];
  mica_reference_copy(to.dtype, step->in[0], step->out[0], &move);
}

static void reverse_kernel(const reference_step *step) {
  const mica_reverse_attr *attr = step->attr;
  mica_type type = step->node->type;
  reference_move move = dense_move(type.shape);
  for (int32_t i = 0; i < attr->axes.count; i++) {
    int64_t axis = attr->axes.at[i];
    if (type.shape.dim[axis] == 0) return;
    move.in_offset += (type.shape.dim[axis] - 1) * move.in_stride[axis];
    move.in_stride[axis] = -move.in_stride[axis];
  }
  mica_reference_copy(type.dtype, step->in[0], step->out[0], &move);
}

static void slice_kernel(const reference_step *step) {
  const mica_slice_attr *attr = step->attr;
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  reference_move move = dense_move(to.shape);
  mica_reference_strides(from.shape, move.in_stride);
  for (int32_t axis = 0; axis < to.shape.rank; axis++) {
    if (to.shape.dim[axis] == 0) return;
    move.in_offset += attr->start.at[axis] * move.in_stride[axis];
    /* A stride over one element leads nowhere and may be any number. */
    if (to.shape.dim[axis] > 1) move.in_stride[axis] *= attr->stride.at[axis];
  }
  mica_reference_copy(to.dtype, step->in[0], step->out[0], &move);
}

/* Element i of an axis goes to low + i * (interior + 1), if that lies in the result. */
static void pad_kernel(const reference_step *step) {
  const mica_pad_attr *attr = step->attr;
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  reference_move fill = dense_move(to.shape);
  memset(fill.in_stride, 0, sizeof(fill.in_stride));
  mica_reference_copy(to.dtype, step->in[1], step->out[0], &fill);
  reference_move move = dense_move(from.shape);
  mica_reference_strides(to.shape, move.out_stride);
  for (int32_t axis = 0; axis < from.shape.rank; axis++) {
    uint64_t place = (uint64_t)attr->low.at[axis], apart = (uint64_t)attr->interior.at[axis] + 1;
    int64_t first = -1, count = 0, first_place = 0;
    for (int64_t i = 0; i < from.shape.dim[axis]; i++, place += apart) {
      if ((int64_t)place < 0 || (int64_t)place >= to.shape.dim[axis]) continue;
      if (count++ == 0) {
        first = i;
        first_place = (int64_t)place;
      }
    }
    if (count == 0) return;
    move.dim[axis] = count;
    move.in_offset += first * move.in_stride[axis];
    move.out_offset += first_place * move.out_stride[axis];
    if (count > 1) move.out_stride[axis] *= (int64_t)apart;
  }
  mica_reference_copy(to.dtype, step->in[0], step->out[0], &move);
}

static void concatenate_kernel(const reference_step *step) {
  const mica_concatenate_attr *attr = step->attr;
  mica_type to = step->node->type;
  int64_t strides[MICA_MAX_RANK], at = 0;
  mica_reference_strides(to.shape, strides);
  for (uint32_t i = 0; i < step->node->operand_count; i++) {
    mica_type from = reference_in_type(step, i);
    reference_move move = dense_move(from.shape);
    memcpy(move.out_stride, strides, sizeof(strides));
    move.out_offset = at * strides[attr->axis];
    mica_reference_copy(to.dtype, step->in[i], step->out[0], &move);
    at += from.shape.dim[attr->axis];
  }
}

/* Start `operand` of a dynamic slice: so far inside that `size` elements fit. */
static int64_t clamped_start(const reference_step *step, uint32_t operand, int64_t limit,
                             int64_t size) {
  int64_t start;
  mica_reference_widen_one(reference_in_type(step, operand).dtype, step->in[operand], 0, &start);
  if (start > limit - size) start = limit - size;
  return start < 0 ? 0 : start;
}

static void dynamic_slice_kernel(const reference_step *step) {
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  reference_move move = dense_move(to.shape);
  mica_reference_strides(from.shape, move.in_stride);
  for (int32_t axis = 0; axis < to.shape.rank; axis++)
    move.in_offset +=
        move.in_stride[axis] *
        clamped_start(step, (uint32_t)axis + 1, from.shape.dim[axis], to.shape.dim[axis]);
  mica_reference_copy(to.dtype, step->in[0], step->out[0], &move);
}

static void dynamic_update_slice_kernel(const reference_step *step) {
  mica_type update = reference_in_type(step, 1), to = step->node->type;
  mica_reference_copy_all(to, step->in[0], step->out[0]);
  reference_move move = dense_move(update.shape);
  mica_reference_strides(to.shape, move.out_stride);
  for (int32_t axis = 0; axis < to.shape.rank; axis++)
    move.out_offset +=
        move.out_stride[axis] *
        clamped_start(step, (uint32_t)axis + 2, to.shape.dim[axis], update.shape.dim[axis]);
  mica_reference_copy(to.dtype, step->in[1], step->out[0], &move);
}

static void iota_kernel(const reference_step *step) {
  const mica_iota_attr *attr = step->attr;
  mica_type type = step->node->type;
  int64_t count = mica_shape_count(type.shape), inner = 1;
  for (int32_t axis = (int32_t)attr->axis + 1; axis < type.shape.rank; axis++)
    inner *= type.shape.dim[axis];
  for (int64_t i = 0; i < count; i++) {
    mica_element element = {.kind = MICA_ELEMENT_SIGNED};
    element.i64 = i / inner % type.shape.dim[attr->axis];
    mica_element_store(type.dtype, step->out[0], i, element);
  }
}

const reference_row mica_reference_shape[MICA_OP_COUNT] = {
    [MICA_OP_BROADCAST] = {broadcast_kernel, NULL},
    [MICA_OP_RESHAPE] = {reshape_kernel, NULL},
    [MICA_OP_TRANSPOSE] = {transpose_kernel, NULL},
    [MICA_OP_REVERSE] = {reverse_kernel, NULL},
    [MICA_OP_SLICE] = {slice_kernel, NULL},
    [MICA_OP_PAD] = {pad_kernel, NULL},
    [MICA_OP_CONCATENATE] = {concatenate_kernel, NULL},
    [MICA_OP_DYNAMIC_SLICE] = {dynamic_slice_kernel, NULL},
    [MICA_OP_DYNAMIC_UPDATE_SLICE] = {dynamic_update_slice_kernel, NULL},
    [MICA_OP_IOTA] = {iota_kernel, NULL},
};
