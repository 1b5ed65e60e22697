/* SPDX-License-Identifier: Apache-2.0 */
/* resident.c: values that stay on the device, and calls on them.
 *
 * A tensor on the device owns a buffer of the plugin's. A call hands buffers over, takes those of the
 * outputs and does not wait: the plugin puts calls and reads of one device in order, keeps the memory of
 * what still runs, and reports a failure to whoever waits for one of the outputs. */
#include "backend/xla/mesh.h"
#include "core/tensor.h"

#include <stdio.h>
#include <string.h>

typedef struct {
  mica_device *owner; /* retained: a client outlives its buffers */
  const xla_client *client;
  pjrt_buffer *buffer;
  mica_type type;
  size_t size;
  _Atomic(void *) host;  /* a copy for who asks for a pointer; NULL at first */
  _Atomic int32_t plain; /* dense and row-major on the device: 1; not so: -1; not asked yet: 0 */
} xla_values;

/* ---- tensors on the device -------------------------------------------------------------------- */

static void release_device_values(void *pointer) {
  xla_values *values = pointer;
  const xla_client *client = values->client;
  mica_device *owner = values->owner;
  mica_allocator allocator = client->allocator;
  /* In a forked child the plugin's threads do not exist. */
  if (owner->process == mica_process_id())
    mica_xla_destroy(&client->plugin, PJRT_BUFFER_DESTROY, values->buffer);
  mica_free_aligned(&allocator, atomic_load(&values->host), values->size, MICA_ALIGNMENT);
  mica_free(&allocator, values, sizeof(*values));
  mica_device_release(owner);
}

/* A call that ran out of memory after it had returned names the sizes, too. */
static mica_status late_status(const xla_values *values, mica_status status, mica_error *error) {
  if (status != MICA_OUT_OF_MEMORY) return status;
  return mica_xla_upload_error(values->client, values->type, error);
}

static mica_status read_device_values(void *pointer, void *host, size_t byte_size,
                                      mica_error *error) {
  const xla_values *values = pointer;
  mica_status status = mica_device_check(values->owner, error);
  if (status != MICA_OK) return status;
  const void *copy = atomic_load_explicit(&values->host, memory_order_acquire);
  if (copy == NULL)
    return late_status(
        values,
        mica_xla_fetch(values->client, values->type, values->buffer, host, byte_size, error),
        error);
  memcpy(host, copy, byte_size);
  return MICA_OK;
}

static const void *host_of_device_values(void *pointer) {
  xla_values *values = pointer;
  return mica_xla_keep_copy(values->client, &values->host, values->size, read_device_values,
                            values);
}

static bool values_lie_plainly(xla_values *values) {
  int32_t known = atomic_load_explicit(&values->plain, memory_order_relaxed);
  if (known == 0) {
    known = mica_xla_lies_plainly(values->client, values->buffer, values->type) ? 1 : -1;
    atomic_store_explicit(&values->plain, known, memory_order_relaxed);
  }
  return known > 0;
}

static mica_status read_part_of_device_values(void *pointer, size_t offset, void *host,
                                              size_t byte_size, mica_error *error) {
  xla_values *values = pointer;
  const xla_client *client = values->client;
  const void *copy = atomic_load_explicit(&values->host, memory_order_acquire);
  mica_status status = mica_device_check(values->owner, error);
  if (status != MICA_OK) return status;
  if (copy == NULL && mica_xla_has(&client->plugin, PJRT_BUFFER_COPY_RAW) &&
      values_lie_plainly(values)) {
    pjrt_copy_raw_args args = {PJRT_SIZE_OF(pjrt_copy_raw_args, event), .buffer = values->buffer,
                               .host = host, .offset = (int64_t)offset, .size = (int64_t)byte_size};
    status = mica_xla_call(&client->plugin, PJRT_BUFFER_COPY_RAW, &args, error);
    if (status == MICA_OK) return mica_xla_await(&client->plugin, args.event, error);
    if (status != MICA_UNSUPPORTED) return status;
  }
  if (copy == NULL) copy = host_of_device_values(values);
  if (copy == NULL) return read_device_values(values, NULL, 0, error); /* says why */
  memcpy(host, (const char *)copy + offset, byte_size);
  return MICA_OK;
}

static mica_status wait_for_device_values(void *pointer, mica_error *error) {
  const xla_values *values = pointer;
  return late_status(values, mica_xla_wait_for_buffer(values->client, values->buffer, error),
                     error);
}

static bool device_values_are_ready(void *pointer) {
  const xla_values *values = pointer;
  return mica_xla_buffer_is_ready(values->client, values->buffer);
}

static const mica_tensor_device xla_tensor_device = {.read = read_device_values,
                                                     .release = release_device_values,
                                                     .host = host_of_device_values,
                                                     .read_part = read_part_of_device_values,
                                                     .wait = wait_for_device_values,
                                                     .ready = device_values_are_ready};

/* The buffer becomes the tensor's; on failure it is destroyed. */
static mica_status make_device_tensor(const xla_client *client, mica_type type, pjrt_buffer *buffer,
                                      mica_tensor **out_tensor, mica_error *error) {
  mica_status status;
  xla_values *values = mica_allocate(&client->allocator, sizeof(*values));
  if (values != NULL) {
    *values = (xla_values){.owner = client->owner,
                           .client = client,
                           .buffer = buffer,
                           .type = type,
                           .size = mica_xla_byte_size(type)};
    atomic_init(&values->host, NULL);
    atomic_init(&values->plain, 0);
    status = mica_tensor_create_on_device(&client->allocator, type, &xla_tensor_device, values,
                                          out_tensor, error);
    if (status == MICA_OK) {
      (void)mica_device_retain(client->owner);
      return MICA_OK;
    }
    mica_free(&client->allocator, values, sizeof(*values));
  } else {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a tensor on the device");
  }
  mica_xla_destroy(&client->plugin, PJRT_BUFFER_DESTROY, buffer);
  return status;
}

/* The buffer of a tensor that lies on this client's device, else NULL. */
static pjrt_buffer *buffer_of(const xla_client *client, const mica_tensor *tensor) {
  if (tensor->storage != MICA_TENSOR_DEVICE || tensor->device != &xla_tensor_device) return NULL;
  const xla_values *values = tensor->device_buffer;
  return values->client == client ? values->buffer : NULL;
}

/* ---- uploads ---------------------------------------------------------------------------------- */

/* A tensor that the plugin still reads. */
typedef struct {
  const pjrt_api *api;
  pjrt_event *event;
  mica_tensor *tensor;
} xla_loan;

/* On a thread of the plugin's. */
static void end_loan(pjrt_error *problem, void *user) {
  xla_loan *loan = user;
  xla_plugin plugin = {.api = loan->api};
  mica_xla_destroy(&plugin, PJRT_ERROR_DESTROY, problem); /* the buffer has it too */
  mica_xla_destroy(&plugin, PJRT_EVENT_DESTROY, loan->event);
  mica_tensor_release(loan->tensor);
  mica_free(NULL, loan, sizeof(*loan));
}

/* Keeps the tensor until the event; waits for it where the plugin cannot call back. */
static mica_status lend_until(const xla_client *client, pjrt_event *event, mica_tensor *tensor,
                              mica_error *error) {
  const xla_plugin *plugin = &client->plugin;
  if (event == NULL) return MICA_OK;
  xla_loan *loan =
      mica_xla_has(plugin, PJRT_EVENT_ON_READY) ? mica_allocate(NULL, sizeof(*loan)) : NULL;
  if (loan == NULL) return mica_xla_await(plugin, event, error);
  *loan = (xla_loan){plugin->api, event, mica_tensor_retain(tensor)};
  pjrt_on_ready_args args = {PJRT_SIZE_OF(pjrt_on_ready_args, user), .event = event,
                             .callback = end_loan, .user = loan};
  if (mica_xla_call(plugin, PJRT_EVENT_ON_READY, &args, NULL) == MICA_OK) return MICA_OK;
  mica_tensor_release(loan->tensor);
  mica_free(NULL, loan, sizeof(*loan));
  return mica_xla_await(plugin, event, error);
}

static mica_status upload_tensor(const xla_client *client, mica_tensor *tensor, bool borrow,
                                 pjrt_buffer **out_buffer, mica_error *error) {
  mica_tensor_view view;
  mica_status status = mica_tensor_view_begin(tensor, &view, error);
  if (status != MICA_OK) return status;
  if (borrow && view.copy == NULL &&
      mica_xla_boundary_type(tensor->type).dtype == tensor->type.dtype) {
    pjrt_event *done = NULL;
    status = mica_xla_upload_lent(client, tensor->type, view.data, out_buffer, &done, error);
    if (status == MICA_OK) status = lend_until(client, done, tensor, error);
    if (status != MICA_OK) mica_xla_destroy(&client->plugin, PJRT_BUFFER_DESTROY, *out_buffer);
  } else {
    status =
        mica_xla_upload(client, tensor->type, view.data, PJRT_HOST_DURING_CALL, out_buffer, error);
  }
  mica_tensor_view_end(tensor, &view);
  return status == MICA_OUT_OF_MEMORY ? mica_xla_upload_error(client, tensor->type, error) : status;
}

mica_status mica_xla_place(void *state, mica_tensor *tensor, bool borrow, mica_tensor **out_tensor,
                           mica_error *error) {
  const xla_client *client = state;
  if (buffer_of(client, tensor) != NULL) {
    *out_tensor = mica_tensor_retain(tensor);
    return MICA_OK;
  }
  pjrt_buffer *buffer = NULL;
  mica_status status = upload_tensor(client, tensor, borrow, &buffer, error);
  if (status != MICA_OK) return status;
  return make_device_tensor(client, tensor->type, buffer, out_tensor, error);
}

bool mica_xla_takes_tensors(void *state, const void *program) {
  const xla_client *client = state;
  return client->resident || ((const xla_program *)program)->mesh != NULL;
}

mica_status mica_xla_place_input(void *state, void *pointer, size_t index, mica_tensor *tensor,
                                 mica_tensor **out_tensor, mica_error *error) {
  const xla_program *program = pointer;
  if (program->mesh != NULL)
    return mica_xla_mesh_place_input(program, index, tensor, out_tensor, error);
  return mica_xla_place(state, tensor, false, out_tensor, error);
}

/* ---- calls ------------------------------------------------------------------------------------ */

/* Buffers of tensors stand in context->in for the call only; context->memory marks uploads of the call's
 * own by NULL, and the others by the tensor. */
static mica_status enter_buffers(const xla_program *program, const mica_tensor_call *call,
                                 xla_context *context, mica_error *error) {
  const xla_client *client = program->client;
  context->kept_count = 0;
  context->donates = false;
  for (size_t i = 0; i < program->in_count; i++) {
    int32_t index = program->call_index[i];
    mica_tensor *tensor = call->in[index];
    context->in[i] = buffer_of(client, tensor);
    context->memory[i] = context->in[i] != NULL ? tensor : NULL;
    bool donated = program->alias[i] >= 0 && (context->in[i] == NULL || call->donated[index]);
    if (context->in[i] == NULL) {
      mica_status status = upload_tensor(client, tensor, false, &context->in[i], error);
      if (status != MICA_OK) return status;
    } else {
      context->donates = context->donates || donated;
    }
    mica_xla_keep_input(program, context, i, !donated);
  }
  return MICA_OK;
}

static void leave_buffers(const xla_program *program, xla_context *context) {
  for (size_t i = 0; i < program->in_count; i++) {
    if (context->memory[i] != NULL) context->in[i] = NULL;
    context->memory[i] = NULL;
  }
}

/* Whether the plugin took a tensor's buffer although the call failed. */
static bool buffers_are_left(const xla_program *program, const mica_tensor_call *call,
                             const xla_context *context) {
  const xla_plugin *plugin = &program->client->plugin;
  if (!context->donates) return true;
  for (size_t i = 0; i < program->in_count; i++) {
    if (program->alias[i] < 0 || !call->donated[program->call_index[i]]) continue;
    pjrt_is_deleted_args args = {PJRT_SIZE_OF(pjrt_is_deleted_args, is_deleted),
                                 .buffer = context->in[i]};
    if (mica_xla_call(plugin, PJRT_BUFFER_IS_DELETED, &args, NULL) != MICA_OK || args.is_deleted)
      return false;
  }
  return true;
}

static mica_status make_outputs(const xla_program *program, const mica_tensor_call *call,
                                xla_context *context, mica_error *error) {
  const xla_client *client = program->client;
  mica_status status = MICA_OK;
  for (size_t i = 0; i < program->out_count && status == MICA_OK; i++) {
    if (context->out[i] == NULL) {
      status = mica_error_set(error, MICA_INTERNAL, "xla:%s: output %zu is missing",
                              client->plugin.name, i);
      break;
    }
    pjrt_buffer *buffer = context->out[i];
    context->out[i] = NULL;
    status = make_device_tensor(client, program->out_types[i], buffer, &call->out[i], error);
  }
  for (size_t i = 0; i < program->out_count && status != MICA_OK; i++) {
    mica_tensor_release(call->out[i]);
    call->out[i] = NULL;
  }
  return status;
}

mica_status mica_xla_execute_tensors(void *state, void *pointer, const mica_tensor_call *call,
                                     mica_error *error) {
  (void)state;
  xla_program *program = pointer;
  if (program->mesh != NULL) return mica_xla_mesh_execute(program, call, error);
  xla_context *context = mica_xla_context_take(program);
  bool intact = true;
  mica_status status = context == NULL
                           ? mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call")
                           : enter_buffers(program, call, context, error);
  if (status == MICA_OK) {
    status = mica_xla_launch(program, context, NULL, error);
    intact = status != MICA_OK && buffers_are_left(program, call, context);
    if (status == MICA_OUT_OF_MEMORY) status = mica_xla_call_error(program, error);
  }
  if (status == MICA_OK) status = make_outputs(program, call, context, error);
  if (context != NULL) {
    leave_buffers(program, context);
    mica_xla_context_give(program, context, false);
  }
  if (status != MICA_OK && intact && call->out_intact != NULL) *call->out_intact = true;
  return status;
}
