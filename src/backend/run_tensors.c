/* SPDX-License-Identifier: Apache-2.0 */
/* run_tensors.c: one call of an executable whose values lie on a device, or on several.
 *
 * The backend takes tensors and gives new ones. A variable whose value lies elsewhere is moved to the
 * device by the first call that needs it and stays there; a value that nobody else holds is consumed by
 * the call that assigns it. An output that the caller gave gets its new values as a whole where it lies on
 * a device, else they are read into its memory, which waits for them. */
#include "backend/executable_internal.h"
#include "core/tensor.h"
#include "mica/mesh.h"

#include <string.h>

/* ---- variables -------------------------------------------------------------------------------- */

/* Under its lock: the value is on the device afterwards. */
static mica_status move_to_device(const mica_executable *executable, call_frame *frame,
                                  size_t index, mica_error *error) {
  mica_device *device = executable->device;
  mica_variable *variable = executable->cells[index].variable;
  mica_tensor *value = variable->value, *placed = NULL;
  mica_status status = device->backend.place_input != NULL
                           ? device->backend.place_input(device->state, executable->program,
                                                         (size_t)executable->cells[index].read,
                                                         value, &placed, error)
                           : device->backend.place(device->state, value, false, &placed, error);
  if (status != MICA_OK) return status;
  if (placed == value) {
    mica_tensor_release(placed);
    return MICA_OK;
  }
  placed->version = value->version; /* the same values: what others derived from them holds */
  variable->value = placed;
  frame->cell_old[index] = value;
  return MICA_OK;
}

/* Locks all variables at once, in address order; those that are only read are free again when it
 * returns. */
static mica_status enter_tensor_cells(const mica_executable *executable, call_frame *frame,
                                      mica_error *error) {
  const executable_cell *cells = executable->cells;
  mica_status status = MICA_OK;
  for (size_t i = 0; i < executable->cell_count; i++) mica_mutex_lock(&cells[i].variable->mutex);
  for (size_t i = 0; i < executable->cell_count; i++) {
    const executable_cell *cell = &cells[i];
    mica_variable *variable = cell->variable;
    frame->cell_next[i] = frame->cell_old[i] = NULL;
    if (status == MICA_OK && cell->needed && variable->value == NULL)
      status = mica_run_lost_error(variable, error);
    if (status == MICA_OK && cell->needed) status = move_to_device(executable, frame, i, error);
    mica_tensor *value = frame->cell_value[i] = variable->value;
    if (cell->read >= 0) {
      frame->tensor_in[cell->read] = value;
      frame->donated[cell->read] =
          cell->assign >= 0 && cell->needed && mica_tensor_is_unique(value);
    }
    if (cell->assign < 0) {
      mica_tensor_retain(value);
      mica_mutex_unlock(&variable->mutex);
    }
  }
  return status;
}

static void release_old_values(const mica_executable *executable, call_frame *frame) {
  for (size_t i = 0; i < executable->cell_count; i++) {
    mica_tensor_release(frame->cell_old[i]);
    frame->cell_old[i] = NULL;
  }
}

static void publish_tensor_cells(const mica_executable *executable, call_frame *frame) {
  for (size_t i = 0; i < executable->cell_count; i++) {
    const executable_cell *cell = &executable->cells[i];
    if (cell->assign < 0) continue;
    cell->variable->value = frame->tensor_out[cell->assign];
    cell->variable->version++;
    frame->tensor_out[cell->assign] = NULL;
    frame->cell_next[i] = frame->cell_value[i]; /* released where the locks are free again */
  }
  mica_run_leave_cells(executable, frame);
}

/* ---- inputs and outputs ------------------------------------------------------------------------ */

static bool may_consume(const mica_executable *executable, mica_tensor *const *in,
                        mica_tensor *const *out, size_t index) {
  for (size_t i = 0; i < executable->input_count; i++)
    if (i != index && in[i] == in[index]) return false;
  for (size_t i = 0; i < executable->output_count; i++)
    if (out[i] == in[index]) return true; /* the caller wants it so */
  return mica_tensor_is_unique(in[index]);
}

static void enter_tensor_inputs(const mica_executable *executable, call_frame *frame,
                                mica_tensor *const *in, mica_tensor *const *out) {
  for (size_t i = 0; i < executable->input_count; i++) {
    frame->tensor_in[i] = in[i];
    frame->donated[i] = false;
  }
  for (uint64_t bits = executable->donate; bits != 0; bits &= bits - 1) {
    size_t index = (size_t)__builtin_ctzll(bits);
    frame->donated[index] = may_consume(executable, in, out, index);
  }
}

static void drop_tensor_outputs(const mica_executable *executable, call_frame *frame) {
  for (size_t i = 0; i < executable->call_out_count; i++) {
    mica_tensor_release(frame->tensor_out[i]);
    frame->tensor_out[i] = NULL;
  }
}

/* What the caller gave in the host's memory is filled before anything is published. */
static mica_status fill_host_outputs(const mica_executable *executable, call_frame *frame,
                                     mica_tensor *const *out, mica_error *error) {
  for (size_t i = 0; i < executable->output_count; i++) {
    mica_tensor *tensor = out[i];
    if (tensor == NULL || tensor->storage == MICA_TENSOR_DEVICE || tensor->byte_size == 0) continue;
    mica_status status = mica_tensor_read(frame->tensor_out[i], mica_tensor_mutable_data(tensor),
                                          tensor->byte_size, error);
    if (status != MICA_OK) return status;
    if (mica_dtype_bits(tensor->type.dtype) == 4) mica_tensor_normalize(tensor);
    mica_tensor_touch(tensor);
  }
  return MICA_OK;
}

static void publish_tensor_outputs(const mica_executable *executable, call_frame *frame,
                                   mica_tensor **out) {
  for (size_t i = 0; i < executable->output_count; i++) {
    mica_tensor *made = frame->tensor_out[i];
    frame->tensor_out[i] = NULL;
    if (out[i] == NULL) {
      out[i] = made;
    } else if (out[i]->storage == MICA_TENSOR_DEVICE) {
      mica_tensor_take(out[i], made);
      mica_tensor_touch(out[i]);
    } else {
      mica_tensor_release(made); /* read already */
    }
  }
}

/* ---- the call --------------------------------------------------------------------------------- */

static mica_status execute_on_tensors(const mica_executable *executable, call_frame *frame,
                                      bool *out_intact, mica_error *error) {
  mica_device *device = executable->device;
  mica_tensor_call call = {.struct_size = sizeof(call),
                           .in = frame->tensor_in,
                           .donated = frame->donated,
                           .out = frame->tensor_out,
                           .in_count = executable->call_in_count,
                           .out_count = executable->call_out_count,
                           .out_intact = out_intact};
  uint64_t float_state = mica_float_state_enter();
  mica_status status =
      device->backend.execute_tensors(device->state, executable->program, &call, error);
  mica_float_state_leave(float_state);
  return status;
}

mica_status mica_run_tensors(const mica_executable *executable, call_frame *frame,
                             mica_tensor *const *in, mica_tensor **out, mica_error *error) {
  mica_error reason; /* set apart: 1 KB that a call should not clear */
  reason.status = MICA_OK;
  reason.message[0] = '\0';
  bool intact = true;
  mica_status status = enter_tensor_cells(executable, frame, &reason);
  for (size_t i = 0; i < executable->output_count && status == MICA_OK; i++)
    if (out[i] != NULL) status = mica_run_check_not_value(executable, frame, out[i], i, &reason);
  if (status == MICA_OK) {
    enter_tensor_inputs(executable, frame, in, out);
    intact = false;
    status = execute_on_tensors(executable, frame, &intact, &reason);
  }
  if (status == MICA_OK) status = fill_host_outputs(executable, frame, out, &reason);
  if (status == MICA_OK) {
    publish_tensor_outputs(executable, frame, out);
    publish_tensor_cells(executable, frame);
  } else {
    drop_tensor_outputs(executable, frame);
    /* Only values that the call was allowed to consume can be lost. */
    for (size_t i = 0; i < executable->cell_count && !intact; i++)
      if (executable->cells[i].assign >= 0 &&
          (executable->cells[i].read < 0 || !frame->donated[executable->cells[i].read]))
        frame->cell_next[i] = mica_tensor_retain(frame->cell_value[i]);
    status = mica_run_undo(executable, frame, intact, status, &reason, error);
  }
  release_old_values(executable, frame);
  return status;
}

mica_status mica_sharded_tensor_to_device(mica_device *device,
                                          const struct mica_sharded_tensor *sharded,
                                          mica_tensor **out_tensor, mica_error *error) {
  if (out_tensor == NULL) return mica_null_error(error, "out_tensor");
  *out_tensor = NULL;
  mica_status status = mica_device_check(device, error);
  if (status != MICA_OK) return status;
  if (sharded == NULL) return mica_null_error(error, "the sharded tensor");
  if (device->backend.place_parts != NULL)
    return device->backend.place_parts(device->state, sharded, out_tensor, error);
  return mica_sharded_tensor_merge(sharded, out_tensor, error);
}

mica_status mica_tensor_to_device(mica_device *device, mica_tensor *tensor,
                                  mica_tensor **out_tensor, mica_error *error) {
  if (out_tensor == NULL) return mica_null_error(error, "out_tensor");
  *out_tensor = NULL;
  mica_status status = mica_device_check(device, error);
  if (status != MICA_OK) return status;
  if (tensor == NULL) return mica_null_error(error, "the tensor");
  if (device->backend.place != NULL)
    return device->backend.place(device->state, tensor, true, out_tensor, error);
  *out_tensor = mica_tensor_retain(tensor);
  return MICA_OK;
}
