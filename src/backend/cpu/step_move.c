/* SPDX-License-Identifier: Apache-2.0 */
/* step_move.c: concatenate, pad, and slices at places that are known when the step runs. All are strided
 * copies. An update of a slice happens in the operand's place when nobody needs the operand any more
 * (memory_plan.c sees to that), so that the caches of loops are not copied. */
#include "backend/cpu/copy.h"
#include "backend/cpu/moves_internal.h"

#include <string.h>

static bool has_addresses(mica_type type) { return mica_dtype_bits(type.dtype) >= 8; }

/* Memory for the value, without a reference. */
static mica_view result_place(mica_plan *plan, uint32_t id) {
  mica_type type = mica_plan_type(plan, id);
  mica_view *view = &plan->values[id].view;
  mica_view_dense(view, mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type)),
                  type.shape);
  return *view;
}

/* ---- concatenate and pad ---------------------------------------------------------------------- */

static void lower_concatenate(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  int64_t axis = ((const mica_concatenate_attr *)node->attr)->axis;
  mica_view whole = result_place(plan, id), part = whole;
  for (uint32_t i = 0; i < node->operand_count && mica_plan_good(plan); i++) {
    mica_shape shape = mica_plan_type(plan, operands[i]).shape;
    if (mica_shape_count(shape) > 0)
      mica_plan_copy(plan, id, node->type.dtype, shape, mica_plan_place(plan, operands[i]), part);
    part.offset += shape.dim[axis] * whole.stride[axis];
  }
}

/* The part of the operand that is kept, and where it goes; false when nothing is. */
static bool padded_part(const mica_pad_attr *attr, mica_shape from, mica_shape to,
                        mica_shape *out_shape, mica_view *from_view, mica_view *to_view) {
  *out_shape = from;
  for (int32_t axis = 0; axis < from.rank; axis++) {
    int64_t step = attr->interior.at[axis] + 1, low = attr->low.at[axis];
    int64_t first = low < 0 ? (-low + step - 1) / step : 0;
    int64_t room = to.dim[axis] - low; /* element i lies at low + i * step */
    int64_t end = room <= 0 ? 0 : (room + step - 1) / step;
    if (end > from.dim[axis]) end = from.dim[axis];
    if (first >= end) return false;
    out_shape->dim[axis] = end - first;
    from_view->offset += first * from_view->stride[axis];
    to_view->offset += (low + first * step) * to_view->stride[axis];
    to_view->stride[axis] *= step;
  }
  return true;
}

static void lower_pad(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_type type = mica_plan_type(plan, operands[0]);
  mica_view from = mica_plan_place(plan, operands[0]), filling = mica_plan_place(plan, operands[1]);
  mica_view to = result_place(plan, id), whole = to;
  mica_shape part;
  bool keeps = padded_part(node->attr, type.shape, node->type.shape, &part, &from, &to);
  if (!keeps || mica_shape_count(part) != mica_shape_count(node->type.shape)) {
    memset(filling.stride, 0, sizeof(filling.stride));
    mica_plan_copy(plan, id, type.dtype, node->type.shape, filling, whole);
  }
  if (keeps) mica_plan_copy(plan, id, type.dtype, part, from, to);
}

/* ---- slices at run time ----------------------------------------------------------------------- */

/* A window of an array, its corner read from `rank` scalars. */
typedef struct {
  int32_t rank;
  bool wide;                     /* i64 corners, else i32 */
  int64_t last[MICA_MAX_RANK];   /* the largest corner */
  int64_t stride[MICA_MAX_RANK]; /* bytes */
  size_t whole_size;             /* update: bytes of the operand */
  mica_strided_copy copy;
} window_argument;

/* Byte offset of the window; references first .. first + rank are the corner. */
static int64_t window_offset(const window_argument *argument, const mica_cpu_step *step,
                             const mica_cpu_context *context, uint32_t first) {
  int64_t offset = 0;
  for (int32_t axis = 0; axis < argument->rank; axis++) {
    const void *at = mica_cpu_address(step, context, first + (uint32_t)axis);
    int64_t corner;
    if (argument->wide) {
      memcpy(&corner, at, sizeof(corner));
    } else {
      int32_t narrow;
      memcpy(&narrow, at, sizeof(narrow));
      corner = narrow;
    }
    if (corner < 0) corner = 0;
    if (corner > argument->last[axis]) corner = argument->last[axis];
    offset += corner * argument->stride[axis];
  }
  return offset;
}

static mica_status run_dynamic_slice(const mica_cpu_step *step, mica_cpu_context *context) {
  const window_argument *argument = step->argument;
  const char *from = mica_cpu_address(step, context, 0);
  char *to = mica_cpu_address(step, context, 1);
  mica_strided_copy_run(&argument->copy, from + window_offset(argument, step, context, 2), to,
                        &context->parallel);
  return MICA_OK;
}

static mica_status run_dynamic_update_slice(const mica_cpu_step *step, mica_cpu_context *context) {
  const window_argument *argument = step->argument;
  const char *whole = mica_cpu_address(step, context, 0),
             *part = mica_cpu_address(step, context, 1);
  char *to = mica_cpu_address(step, context, 2);
  if (to != whole) mica_copy_bytes(to, whole, argument->whole_size, &context->parallel);
  mica_strided_copy_run(&argument->copy, part, to + window_offset(argument, step, context, 3),
                        &context->parallel);
  return MICA_OK;
}

static bool fill_window(mica_plan *plan, const mica_view *array, mica_type type, mica_shape window,
                        mica_dtype corner, window_argument *out) {
  int64_t element = mica_dtype_bits(type.dtype) / 8;
  if (corner != MICA_I32 && corner != MICA_I64) return false;
  out->rank = type.shape.rank;
  out->wide = corner == MICA_I64;
  out->whole_size = mica_plan_bytes(plan, type);
  for (int32_t axis = 0; axis < type.shape.rank; axis++) {
    out->last[axis] = type.shape.dim[axis] - window.dim[axis];
    out->stride[axis] = array->stride[axis] * element;
  }
  return true;
}

static bool lower_dynamic_slice(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_type type = mica_plan_type(plan, operands[0]);
  window_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  mica_view from = mica_plan_place(plan, operands[0]), to = result_place(plan, id);
  mica_dtype corner = type.shape.rank > 0 ? mica_plan_type(plan, operands[1]).dtype : MICA_I32;
  if (!fill_window(plan, &from, type, node->type.shape, corner, argument)) return false;
  mica_strided_copy_init(&argument->copy, plan->device->kernels,
                         (size_t)mica_dtype_bits(type.dtype) / 8, node->type.shape, from.stride,
                         to.stride);
  mica_plan_step_add(plan, run_dynamic_slice, argument, id);
  mica_plan_reference *read = mica_plan_read(plan, operands[0], from);
  (void)read;
  mica_plan_reference_add(plan, to.storage, 0, MICA_PLAN_WRITE)->value = id;
  for (int32_t axis = 0; axis < type.shape.rank; axis++)
    mica_plan_read(plan, operands[1 + axis], mica_plan_place(plan, operands[1 + axis]));
  mica_plan_cost(plan, 0, 2 * argument->copy.bytes, 40 + argument->copy.bytes / 10);
  return true;
}

static bool lower_dynamic_update_slice(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_type type = node->type, part = mica_plan_type(plan, operands[1]);
  window_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  mica_dtype corner = type.shape.rank > 0 ? mica_plan_type(plan, operands[2]).dtype : MICA_I32;
  mica_view whole = mica_plan_dense(plan, operands[0]), update = mica_plan_place(plan, operands[1]);
  mica_view to = result_place(plan, id);
  if (!fill_window(plan, &to, type, part.shape, corner, argument)) return false;
  mica_strided_copy_init(&argument->copy, plan->device->kernels,
                         (size_t)mica_dtype_bits(type.dtype) / 8, part.shape, update.stride,
                         to.stride);
  mica_plan_step_add(plan, run_dynamic_update_slice, argument, id);
  mica_plan_read(plan, operands[0], whole);
  mica_plan_read(plan, operands[1], update);
  mica_plan_reference_add(plan, to.storage, 0, MICA_PLAN_WRITE)->value = id;
  for (int32_t axis = 0; axis < type.shape.rank; axis++)
    mica_plan_read(plan, operands[2 + axis], mica_plan_place(plan, operands[2 + axis]));
  if (whole.offset == 0 && whole.storage != update.storage)
    mica_plan_meet(plan, whole.storage, to.storage, true);
  mica_plan_cost(plan, 0, 2 * argument->copy.bytes, 40 + argument->copy.bytes / 10);
  return true;
}

bool mica_plan_move(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (!has_addresses(node->type) || mica_shape_count(node->type.shape) == 0) return false;
  switch ((mica_op)node->op) {
    case MICA_OP_CONCATENATE: lower_concatenate(plan, id); return true;
    case MICA_OP_PAD: lower_pad(plan, id); return true;
    case MICA_OP_DYNAMIC_SLICE: return lower_dynamic_slice(plan, id);
    case MICA_OP_DYNAMIC_UPDATE_SLICE: return lower_dynamic_update_slice(plan, id);
    default: return false;
  }
}
