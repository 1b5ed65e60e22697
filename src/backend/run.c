/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: one call of an executable: checks, variables, outputs, execution, and what is left afterwards.
 *
 * Up to the backend's `execute` nothing that the caller can see has changed: new tensors are in the frame,
 * variables are locked but hold their values. When it succeeds, outputs and variables get their new
 * values; when it fails, made tensors go away, and a variable whose memory it may have overwritten loses
 * its value. A call allocates nothing when its outputs are given and its variables have no snapshot. */
#include "backend/executable_internal.h"
#include "core/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- frames ----------------------------------------------------------------------------------- */

/* Bytes of `count` pointers behind `*at`, which advances; false on overflow. */
static bool frame_part(size_t *at, size_t count, size_t size, size_t *out_offset) {
  size_t bytes;
  *out_offset = *at;
  return mica_size_multiply(count, size, &bytes) && mica_size_add(*at, bytes, at) &&
         mica_size_align(*at, sizeof(void *), at);
}

static call_frame *make_frame(mica_executable *executable) {
  size_t size = 0, in, out, donated, version, made, value, next;
  size_t tensor_in = 0, tensor_out = 0, old = 0;
  bool tensors = executable->on_tensors;
  if (!mica_size_align(sizeof(call_frame), sizeof(void *), &size) ||
      !frame_part(&size, executable->call_in_count, sizeof(void *), &in) ||
      !frame_part(&size, executable->call_out_count, sizeof(void *), &out) ||
      !frame_part(&size, executable->call_in_count, sizeof(bool), &donated) ||
      !frame_part(&size, executable->call_in_count, sizeof(mica_call_version), &version) ||
      !frame_part(&size, executable->output_count, sizeof(void *), &made) ||
      !frame_part(&size, executable->cell_count, sizeof(void *), &value) ||
      !frame_part(&size, executable->cell_count, sizeof(void *), &next))
    return NULL;
  if (tensors && (!frame_part(&size, executable->call_in_count, sizeof(void *), &tensor_in) ||
                  !frame_part(&size, executable->call_out_count, sizeof(void *), &tensor_out) ||
                  !frame_part(&size, executable->cell_count, sizeof(void *), &old)))
    return NULL;
  char *memory = mica_allocate_zeroed(&executable->device->allocator, 1, size);
  if (memory == NULL) return NULL;
  call_frame *frame = (call_frame *)(void *)memory;
  frame->in = (const void **)(void *)(memory + in);
  frame->out = (void **)(void *)(memory + out);
  frame->donated = (bool *)(memory + donated);
  frame->version = (mica_call_version *)(void *)(memory + version); /* of parameters: stays 0 */
  frame->made = (mica_tensor **)(void *)(memory + made);
  frame->cell_value = (mica_tensor **)(void *)(memory + value);
  frame->cell_next = (mica_tensor **)(void *)(memory + next);
  if (tensors) {
    frame->tensor_in = (mica_tensor **)(void *)(memory + tensor_in);
    frame->tensor_out = (mica_tensor **)(void *)(memory + tensor_out);
    frame->cell_old = (mica_tensor **)(void *)(memory + old);
  }
  mica_text_init(&frame->marks.text, &executable->device->allocator);
  executable->frame_size = size; /* the same for all of them */
  return frame;
}

static call_frame *take_frame(mica_executable *executable) {
  call_frame *frame = atomic_exchange_explicit(&executable->spare, NULL, memory_order_acquire);
  if (frame != NULL) return frame;
  mica_mutex_lock(&executable->mutex);
  frame = executable->frames;
  if (frame != NULL)
    executable->frames = frame->next;
  else
    frame = make_frame(executable);
  mica_mutex_unlock(&executable->mutex);
  return frame;
}

static void give_frame(mica_executable *executable, call_frame *frame) {
  call_frame *none = NULL;
  if (atomic_compare_exchange_strong_explicit(&executable->spare, &none, frame,
                                              memory_order_release, memory_order_relaxed))
    return;
  mica_mutex_lock(&executable->mutex);
  frame->next = executable->frames;
  executable->frames = frame;
  mica_mutex_unlock(&executable->mutex);
}

/* ---- what is given ---------------------------------------------------------------------------- */

static mica_status type_error(const char *what, size_t index, mica_type given, mica_type expected,
                              mica_error *error) {
  char given_text[160], expected_text[160];
  mica_type_format(given, given_text, sizeof(given_text));
  mica_type_format(expected, expected_text, sizeof(expected_text));
  return mica_error_set(error, MICA_INVALID, "%s %zu is %s, expected %s", what, index, given_text,
                        expected_text);
}

static mica_status check_inputs(const mica_executable *executable, mica_tensor *const *in,
                                size_t in_count, mica_error *error) {
  if (in_count != executable->input_count)
    return mica_error_set(error, MICA_INVALID, "%zu %s given, expected %zu", in_count,
                          mica_noun(in_count, "input is", "inputs are"), executable->input_count);
  if (in == NULL && in_count > 0) return mica_null_error(error, "the list of inputs");
  for (size_t i = 0; i < in_count; i++) {
    const mica_tensor *tensor = in[i];
    if (tensor == NULL) {
      char what[40];
      snprintf(what, sizeof(what), "input %zu", i);
      return mica_null_error(error, what);
    }
    if (!mica_type_equal(tensor->type, executable->input_types[i]))
      return type_error("input", i, tensor->type, executable->input_types[i], error);
    /* What lies on a device is read from a copy on the host. */
    if (!executable->on_tensors && tensor->byte_size > 0 && mica_tensor_data(tensor) == NULL)
      return mica_error_set(error, MICA_UNSUPPORTED,
                            "input %zu lies on another device and cannot be read", i);
  }
  return MICA_OK;
}

bool mica_run_share_memory(const mica_tensor *a, const mica_tensor *b) {
  if (a->storage == MICA_TENSOR_DEVICE || b->storage == MICA_TENSOR_DEVICE) return a == b;
  uintptr_t begin = (uintptr_t)a->data, other = (uintptr_t)b->data;
  return begin < other + b->byte_size && other < begin + a->byte_size;
}

/* An output that the caller gave: of the right type, its own memory, apart from all others. */
static mica_status check_output(const mica_executable *executable, mica_tensor *const *in,
                                mica_tensor *const *out, size_t index, mica_error *error) {
  mica_tensor *tensor = out[index];
  if (!mica_type_equal(tensor->type, executable->output_types[index]))
    return type_error("output", index, tensor->type, executable->output_types[index], error);
  bool swapped = tensor->storage == MICA_TENSOR_DEVICE; /* gets other values as a whole, or moves */
  if (mica_tensor_mutable_data(tensor) == NULL && !swapped)
    return mica_error_set(error, MICA_INVALID,
                          "output %zu cannot be overwritten: its memory is not the tensor's own",
                          index);
  for (size_t i = 0; i < index; i++)
    if (out[i] == tensor)
      return mica_error_set(error, MICA_INVALID, "outputs %zu and %zu are the same tensor", i,
                            index);
  size_t same = 0;
  for (size_t i = 0; i < executable->input_count; i++) {
    if (!mica_run_share_memory(in[i], tensor)) continue;
    bool donated = i < 64 && (executable->donate >> i & 1) != 0;
    if (in[i] != tensor || !donated || ++same > 1)
      return mica_error_set(error, MICA_INVALID,
                            "output %zu is also input %zu, which is not donated (or not alone)",
                            index, i);
  }
  return MICA_OK;
}

static mica_status check_outputs(const mica_executable *executable, mica_tensor *const *in,
                                 mica_tensor *const *out, size_t out_count, mica_error *error) {
  if (out_count != executable->output_count)
    return mica_error_set(error, MICA_INVALID, "%zu %s given, expected %zu", out_count,
                          mica_noun(out_count, "output is", "outputs are"),
                          executable->output_count);
  if (out == NULL && out_count > 0) return mica_null_error(error, "the list of outputs");
  for (size_t i = 0; i < out_count; i++) {
    if (out[i] == NULL) continue;
    mica_status status = check_output(executable, in, out, i, error);
    if (status != MICA_OK) return status;
  }
  return MICA_OK;
}

/* ---- variables -------------------------------------------------------------------------------- */

/* Gives back the locks, and then what is not wanted any more: the values retained for reading and all that
 * is left in cell_next. In this order, since the release of wrapped memory calls a function of the host's,
 * which may use the variables. */
void mica_run_leave_cells(const mica_executable *executable, call_frame *frame) {
  for (size_t i = 0; i < executable->cell_count; i++) {
    const executable_cell *cell = &executable->cells[i];
    if (cell->assign >= 0) mica_mutex_unlock(&cell->variable->mutex);
  }
  for (size_t i = 0; i < executable->cell_count; i++) {
    if (executable->cells[i].assign < 0) mica_tensor_release(frame->cell_value[i]);
    mica_tensor_release(frame->cell_next[i]);
    frame->cell_value[i] = frame->cell_next[i] = NULL;
  }
}

/* Where the new value of an assigned variable goes: over the old one when nobody else sees it. */
static mica_status prepare_assign(const mica_executable *executable, call_frame *frame,
                                  size_t index, mica_error *error) {
  const executable_cell *cell = &executable->cells[index];
  mica_tensor *value = frame->cell_value[index];
  mica_tensor *next = NULL;
  if (!mica_tensor_is_unique(value) || mica_tensor_mutable_data(value) == NULL) {
    mica_status status = mica_tensor_create_uninitialized(&executable->device->allocator,
                                                          cell->variable->type, &next, error);
    if (status != MICA_OK) return status;
  }
  frame->cell_next[index] = next;
  frame->out[cell->assign] = mica_tensor_mutable_data(next == NULL ? value : next);
  if (cell->read >= 0) frame->donated[cell->read] = next == NULL;
  return MICA_OK;
}

mica_status mica_run_lost_error(const mica_variable *variable, mica_error *error) {
  return mica_error_set(error, MICA_INVALID,
                        "variable '%s' is lost: a call failed while it overwrote it; "
                        "give it a value by mica_variable_set",
                        variable->name);
}

/* Locks all variables at once, in address order, so that the call sees values of one moment and two
 * calls never wait for each other; those that are only read are free again when it returns. */
static mica_status enter_cells(const mica_executable *executable, call_frame *frame,
                               mica_error *error) {
  const executable_cell *cells = executable->cells;
  mica_status status = MICA_OK;
  for (size_t i = 0; i < executable->cell_count; i++) mica_mutex_lock(&cells[i].variable->mutex);
  for (size_t i = 0; i < executable->cell_count; i++) {
    mica_tensor *value = cells[i].variable->value;
    frame->cell_value[i] = value;
    frame->cell_next[i] = NULL;
    if (cells[i].read >= 0)
      frame->version[cells[i].read] =
          (mica_call_version){cells[i].variable->version, mica_tensor_version(value)};
    if (cells[i].assign < 0) {
      mica_tensor_retain(value);
      mica_mutex_unlock(&cells[i].variable->mutex);
    }
  }
  for (size_t i = 0; i < executable->cell_count && status == MICA_OK; i++) {
    const mica_variable *variable = cells[i].variable;
    const mica_tensor *value = frame->cell_value[i];
    if (cells[i].read >= 0) {
      if (value == NULL && cells[i].needed) {
        status = mica_run_lost_error(variable, error);
        break;
      }
      if (value != NULL && value->byte_size > 0 && mica_tensor_data(value) == NULL) {
        status = mica_error_set(
            error, MICA_UNSUPPORTED,
            "the value of variable '%s' lies on another device and cannot be read", variable->name);
        break;
      }
      frame->in[cells[i].read] = mica_tensor_data(value);
      frame->donated[cells[i].read] = false;
    }
    if (cells[i].assign >= 0) status = prepare_assign(executable, frame, i, error);
  }
  if (status == MICA_OK) return MICA_OK;
  mica_run_leave_cells(executable, frame);
  return status;
}

/* A tensor that was just written: a new version, and the unused half of a last byte is 0. */
static void finish_tensor(mica_tensor *tensor) {
  if (mica_dtype_bits(tensor->type.dtype) == 4) mica_tensor_normalize(tensor);
  mica_tensor_touch(tensor);
}

/* Stores the new values; the old ones are left to be released. */
static void publish_cells(const mica_executable *executable, call_frame *frame) {
  for (size_t i = 0; i < executable->cell_count; i++) {
    const executable_cell *cell = &executable->cells[i];
    if (cell->assign < 0) continue;
    mica_tensor *next = frame->cell_next[i];
    finish_tensor(next == NULL ? frame->cell_value[i] : next);
    cell->variable->version++;
    if (next == NULL) continue;
    cell->variable->value = next;
    frame->cell_next[i] = frame->cell_value[i];
  }
  mica_run_leave_cells(executable, frame);
}

/* After a failure during execution: values that were being written over are lost; lists their names. */
static void lose_cells(const mica_executable *executable, call_frame *frame, char *names,
                       size_t size) {
  size_t used = 0;
  for (size_t i = 0; i < executable->cell_count; i++) {
    const executable_cell *cell = &executable->cells[i];
    if (cell->assign < 0 || frame->cell_next[i] != NULL) continue;
    cell->variable->value = NULL;
    frame->cell_next[i] = frame->cell_value[i];
    if (used + 1 >= size) continue;
    int length =
        snprintf(names + used, size - used, "%s'%s'", used == 0 ? "" : ", ", cell->variable->name);
    if (length > 0) used += (size_t)length;
  }
}

/* ---- outputs ---------------------------------------------------------------------------------- */

/* Whether the memory of input `index` may be overwritten: donated, and nobody else's. */
static bool may_overwrite(const mica_executable *executable, mica_tensor *const *in, size_t index) {
  const mica_tensor *tensor = in[index];
  if (!mica_tensor_is_unique(tensor) || tensor->byte_size == 0 ||
      mica_tensor_mutable_data(in[index]) == NULL)
    return false;
  for (size_t i = 0; i < executable->input_count; i++)
    if (i != index && mica_run_share_memory(in[i], tensor)) return false;
  return true;
}

static void enter_inputs(const mica_executable *executable, call_frame *frame,
                         mica_tensor *const *in) {
  for (size_t i = 0; i < executable->input_count; i++) {
    frame->in[i] = mica_tensor_data(in[i]);
    frame->donated[i] = false;
  }
  for (uint64_t bits = executable->donate; bits != 0; bits &= bits - 1) {
    size_t index = (size_t)__builtin_ctzll(bits);
    frame->donated[index] = may_overwrite(executable, in, index);
  }
}

static void drop_outputs(const mica_executable *executable, call_frame *frame) {
  for (size_t i = 0; i < executable->output_count; i++) {
    mica_tensor_release(frame->made[i]);
    frame->made[i] = NULL;
  }
}

mica_status mica_run_check_not_value(const mica_executable *executable, const call_frame *frame,
                                     const mica_tensor *tensor, size_t index, mica_error *error) {
  for (size_t i = 0; i < executable->cell_count; i++)
    if (frame->cell_value[i] != NULL && mica_run_share_memory(frame->cell_value[i], tensor))
      return mica_error_set(error, MICA_INVALID, "output %zu is the value of variable '%s'", index,
                            executable->cells[i].variable->name);
  return MICA_OK;
}

static mica_status enter_outputs(const mica_executable *executable, call_frame *frame,
                                 mica_tensor *const *in, mica_tensor *const *out,
                                 mica_error *error) {
  mica_status status = MICA_OK;
  for (size_t i = 0; i < executable->output_count && status == MICA_OK; i++) {
    mica_tensor *tensor = out[i];
    int32_t forward = executable->forward[i];
    if (tensor != NULL) {
      status = mica_run_check_not_value(executable, frame, tensor, i, error);
      if (status == MICA_OK) status = mica_tensor_to_host(tensor, error);
      /* Where it is an input too, check_output has found that input donated. */
      for (size_t k = 0; k < executable->input_count; k++)
        if (in[k] == tensor) frame->donated[k] = true, frame->in[k] = tensor->data;
    } else if (forward >= 0 && frame->donated[forward] && in[forward]->byte_size > 0) {
      bool taken = false;
      for (size_t k = 0; k < executable->output_count && !taken; k++) taken = out[k] == in[forward];
      if (!taken) tensor = frame->made[i] = mica_tensor_retain(in[forward]);
    }
    if (tensor == NULL) {
      status = mica_tensor_create_uninitialized(
          &executable->device->allocator, executable->output_types[i], &frame->made[i], error);
      tensor = frame->made[i];
    }
    frame->out[i] = mica_tensor_mutable_data(tensor);
  }
  return status;
}

static void publish_outputs(const mica_executable *executable, call_frame *frame,
                            mica_tensor **out) {
  for (size_t i = 0; i < executable->output_count; i++) {
    if (out[i] == NULL) out[i] = frame->made[i];
    frame->made[i] = NULL;
    finish_tensor(out[i]);
  }
}

/* ---- the call --------------------------------------------------------------------------------- */

static mica_status execute(const mica_executable *executable, call_frame *frame, bool *out_intact,
                           mica_error *error) {
  mica_device *device = executable->device;
  mica_call call = {.struct_size = sizeof(call),
                    .in = frame->in,
                    .out = frame->out,
                    .donated = frame->donated,
                    .in_count = executable->call_in_count,
                    .out_count = executable->call_out_count,
                    .out_intact = out_intact,
                    .versions = frame->version,
                    .marks = device->log != NULL ? &frame->marks : NULL};
  uint64_t float_state = mica_float_state_enter();
  mica_status status = device->backend.execute(device->state, executable->program, &call, error);
  mica_float_state_leave(float_state);
  return status;
}

/* Leaves the caller's world as it was, but for variables that were being overwritten. */
mica_status mica_run_undo(const mica_executable *executable, call_frame *frame, bool intact,
                          mica_status status, const mica_error *reason, mica_error *error) {
  char names[400] = "";
  drop_outputs(executable, frame);
  if (!intact) lose_cells(executable, frame, names, sizeof(names));
  mica_run_leave_cells(executable, frame);
  if (names[0] == '\0') return mica_error_set(error, status, "%s", reason->message);
  return mica_error_set(error, status, "%.500s; lost while it was overwritten: %s", reason->message,
                        names);
}

mica_status mica_executable_run(mica_executable *executable, mica_tensor *const *in,
                                size_t in_count, mica_tensor **out, size_t out_count,
                                mica_error *error) {
  if (executable == NULL) return mica_null_error(error, "the executable");
  mica_device *device = executable->device;
  mica_status status = mica_device_check(device, error);
  if (status == MICA_OK) status = check_inputs(executable, in, in_count, error);
  if (status == MICA_OK) status = check_outputs(executable, in, out, out_count, error);
  if (status != MICA_OK) return status;
  if (mica_device_is_cancelled(device)) return mica_device_cancelled_error(error);
  call_frame *frame = take_frame(executable);
  if (frame == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call of an executable");
  if (executable->on_tensors) {
    status = mica_run_tensors(executable, frame, in, out, error);
    give_frame(executable, frame);
    return status;
  }
  status = enter_cells(executable, frame, error);
  if (status == MICA_OK) {
    enter_inputs(executable, frame, in);
    mica_error reason; /* set apart: 1 KB that a call should not clear */
    reason.status = MICA_OK;
    reason.message[0] = '\0';
    bool intact = true;
    status = enter_outputs(executable, frame, in, out, &reason);
    if (status == MICA_OK) {
      intact = false;
      status = execute(executable, frame, &intact, &reason);
    }
    if (status == MICA_OK) {
      publish_outputs(executable, frame, out);
      publish_cells(executable, frame);
    } else {
      status = mica_run_undo(executable, frame, intact, status, &reason, error);
    }
  }
  mica_call_marks_report(&frame->marks, device);
  give_frame(executable, frame);
  return status;
}
