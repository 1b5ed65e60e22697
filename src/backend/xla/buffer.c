/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.c: values on their way to a device and back. */
#include "backend/xla/xla_internal.h"

static mica_status start_upload(const xla_client *client, pjrt_device *device, mica_type type,
                                const void *data, pjrt_host_semantics semantics,
                                pjrt_buffer **out_buffer, pjrt_event **out_done,
                                mica_error *error) {
  pjrt_from_host_args args = {PJRT_SIZE_OF(pjrt_from_host_args, buffer),
                              .client = client->client,
                              .data = data,
                              .type = mica_xla_type(type.dtype),
                              .dims = type.shape.dim,
                              .dim_count = (size_t)type.shape.rank,
                              .semantics = (int)semantics,
                              .device = device};
  mica_status status = mica_xla_call(&client->plugin, PJRT_BUFFER_FROM_HOST, &args, error);
  if (status != MICA_OK) return status;
  *out_buffer = args.buffer;
  *out_done = args.done;
  if (args.buffer != NULL) return MICA_OK;
  mica_xla_destroy(&client->plugin, PJRT_EVENT_DESTROY, args.done);
  return mica_error_set(error, MICA_INTERNAL, "xla:%s: the plugin gave no buffer",
                        client->plugin.name);
}

mica_status mica_xla_upload_lent(const xla_client *client, mica_type type, const void *data,
                                 pjrt_buffer **out_buffer, pjrt_event **out_done,
                                 mica_error *error) {
  return start_upload(client, client->device, type, data, PJRT_HOST_UNTIL_TRANSFER, out_buffer,
                      out_done, error);
}

static mica_status upload_dense(const xla_client *client, pjrt_device *device, mica_type type,
                                const void *data, pjrt_host_semantics semantics,
                                pjrt_buffer **out_buffer, mica_error *error) {
  pjrt_event *done = NULL;
  mica_status status =
      start_upload(client, device, type, data, semantics, out_buffer, &done, error);
  /* Nobody waits: what is copied during the call is done with, what is lent stays so until the buffer goes; and
   * who uses the buffer is told what went wrong. */
  if (status == MICA_OK) mica_xla_destroy(&client->plugin, PJRT_EVENT_DESTROY, done);
  return status;
}

static mica_status fetch_dense(const xla_client *client, mica_type type, pjrt_buffer *buffer,
                               void *host, size_t size, mica_error *error) {
  int64_t order[MICA_MAX_RANK];
  for (int32_t i = 0; i < type.shape.rank; i++) order[i] = type.shape.rank - 1 - i;
  pjrt_layout layout = {PJRT_SIZE_OF(pjrt_layout, type)};
  layout.tiled = (pjrt_tiled){PJRT_SIZE_OF(pjrt_tiled, tile_count), .minor_to_major = order,
                              .minor_to_major_size = (size_t)type.shape.rank};
  pjrt_to_host_args args = {PJRT_SIZE_OF(pjrt_to_host_args, event), .buffer = buffer,
                            .layout = &layout, .host = host, .size = size};
  mica_status status = mica_xla_call(&client->plugin, PJRT_BUFFER_TO_HOST, &args, error);
  return status == MICA_OK ? mica_xla_await(&client->plugin, args.event, error) : status;
}

/* The same for 4-bit elements too, which the plugin sees as bytes. */
mica_status mica_xla_upload(const xla_client *client, mica_type type, const void *data,
                            pjrt_host_semantics semantics, pjrt_buffer **out_buffer,
                            mica_error *error) {
  return mica_xla_upload_to(client, client->device, type, data, semantics, out_buffer, error);
}

mica_status mica_xla_upload_to(const xla_client *client, pjrt_device *device, mica_type type,
                               const void *data, pjrt_host_semantics semantics,
                               pjrt_buffer **out_buffer, mica_error *error) {
  mica_type wide = mica_xla_boundary_type(type);
  if (wide.dtype == type.dtype)
    return upload_dense(client, device, type, data, semantics, out_buffer, error);
  int64_t count = mica_shape_count(type.shape);
  void *bytes = mica_allocate(&client->allocator, (size_t)count);
  if (bytes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  mica_convert_elements(wide.dtype, bytes, type.dtype, data, count);
  mica_status status =
      upload_dense(client, device, wide, bytes, PJRT_HOST_DURING_CALL, out_buffer, error);
  mica_free(&client->allocator, bytes, (size_t)count);
  return status;
}

mica_status mica_xla_fetch(const xla_client *client, mica_type type, pjrt_buffer *buffer,
                           void *host, size_t size, mica_error *error) {
  mica_type wide = mica_xla_boundary_type(type);
  if (wide.dtype == type.dtype) return fetch_dense(client, type, buffer, host, size, error);
  int64_t count = mica_shape_count(type.shape);
  void *bytes = mica_allocate(&client->allocator, (size_t)count);
  if (bytes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  mica_status status = fetch_dense(client, wide, buffer, bytes, (size_t)count, error);
  if (status == MICA_OK) mica_convert_elements(type.dtype, host, wide.dtype, bytes, count);
  mica_free(&client->allocator, bytes, (size_t)count);
  return status;
}

/* Where the values lie; NULL if the plugin does not tell. */
void *mica_xla_buffer_memory(const xla_client *client, pjrt_buffer *buffer) {
  if (!mica_xla_has(&client->plugin, PJRT_BUFFER_POINTER)) return NULL;
  pjrt_pointer_args args = {PJRT_SIZE_OF(pjrt_pointer_args, pointer), .buffer = buffer};
  if (mica_xla_call(&client->plugin, PJRT_BUFFER_POINTER, &args, NULL) != MICA_OK) return NULL;
  return args.pointer;
}

size_t mica_xla_byte_size(mica_type type) {
  size_t size = 0;
  return mica_type_byte_size(type, &size) ? size : 0;
}

static mica_status ready_event(const xla_client *client, pjrt_buffer *buffer,
                               pjrt_event **out_event, mica_error *error) {
  pjrt_ready_args args = {PJRT_SIZE_OF(pjrt_ready_args, event), .buffer = buffer};
  mica_status status = mica_device_check(client->owner, error);
  if (status == MICA_OK) status = mica_xla_call(&client->plugin, PJRT_BUFFER_READY, &args, error);
  *out_event = args.event;
  return status;
}

mica_status mica_xla_wait_for_buffer(const xla_client *client, pjrt_buffer *buffer,
                                     mica_error *error) {
  pjrt_event *event;
  mica_status status = ready_event(client, buffer, &event, error);
  return status == MICA_OK ? mica_xla_await(&client->plugin, event, error) : status;
}

bool mica_xla_buffer_is_ready(const xla_client *client, pjrt_buffer *buffer) {
  pjrt_event *event;
  if (ready_event(client, buffer, &event, NULL) != MICA_OK || event == NULL) return true;
  pjrt_is_ready_args args = {PJRT_SIZE_OF(pjrt_is_ready_args, is_ready), .event = event};
  mica_status status = mica_xla_call(&client->plugin, PJRT_EVENT_IS_READY, &args, NULL);
  mica_xla_destroy(&client->plugin, PJRT_EVENT_DESTROY, event);
  return status != MICA_OK || args.is_ready;
}

/* Two threads may make the copy at once: the first one's stays. */
const void *mica_xla_keep_copy(const xla_client *client, _Atomic(void *) *place, size_t size,
                               mica_status (*read)(void *values, void *host, size_t byte_size,
                                                   mica_error *error),
                               void *values) {
  void *copy = atomic_load_explicit(place, memory_order_acquire), *none = NULL;
  if (copy != NULL) return copy;
  copy = mica_allocate_aligned(&client->allocator, size, MICA_ALIGNMENT);
  if (copy == NULL) return NULL;
  if (read(values, copy, size, NULL) == MICA_OK &&
      atomic_compare_exchange_strong(place, &none, copy))
    return copy;
  mica_free_aligned(&client->allocator, copy, size, MICA_ALIGNMENT);
  return none; /* the other thread's; NULL after a failure */
}

void mica_xla_destroy_buffers(const xla_client *client, pjrt_buffer **buffers, size_t count) {
  for (size_t i = 0; i < count; i++)
    mica_xla_destroy(&client->plugin, PJRT_BUFFER_DESTROY, buffers[i]);
}

bool mica_xla_lies_plainly(const xla_client *client, pjrt_buffer *buffer, mica_type type) {
  pjrt_buffer_layout_args args = {PJRT_SIZE_OF(pjrt_buffer_layout_args, layout), .buffer = buffer};
  args.layout.struct_size = PJRT_END(pjrt_layout, type);
  if (mica_dtype_bits(type.dtype) == 4 || !mica_xla_has(&client->plugin, PJRT_BUFFER_LAYOUT) ||
      mica_xla_call(&client->plugin, PJRT_BUFFER_LAYOUT, &args, NULL) != MICA_OK)
    return false;
  const pjrt_tiled *tiled = &args.layout.tiled;
  if (args.layout.type != 0 || tiled->tile_count != 0 ||
      tiled->minor_to_major_size != (size_t)type.shape.rank)
    return false;
  for (int32_t i = 0; i < type.shape.rank; i++)
    if (tiled->minor_to_major[i] != type.shape.rank - 1 - i) return false;
  return true;
}
