/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_call.c: programs for several devices of one client: compiling, and calls.
 *
 * The arrays of a call are whole on the host. Each device is given its part: where the plugin computes in
 * the host's memory and the part's elements lie together, that memory itself, else a copy. Of parts that are
 * equal, the first device's is what a call gives back. */
#include "backend/xla/mesh.h"
#include "core/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- devices ---------------------------------------------------------------------------------- */

mica_status mica_xla_mesh_program(xla_program *program, const xla_module *module,
                                  mica_error *error) {
  const xla_client *client = program->client;
  const struct xla_meshes *meshes = module->meshes;
  size_t count = (size_t)meshes->device_count;
  if (count > client->device_count)
    return mica_error_set(
        error, MICA_INVALID, "xla:%s: the mesh \"%.200s\" needs %zu devices, and there %s %zu%s",
        client->plugin.name, meshes->text[0], count, mica_noun(client->device_count, "is", "are"),
        client->device_count,
        strcmp(client->platform, "cpu") == 0 ? ": open the device with the option devices=N" : "");
  pjrt_devices_args args = {PJRT_SIZE_OF(pjrt_devices_args, count), .client = client->client};
  mica_status status = mica_xla_call(&client->plugin, PJRT_CLIENT_DEVICES, &args, error);
  if (status != MICA_OK) return status;
  struct xla_mesh_program *mesh = mica_arena_allocate_zeroed(&program->memory, 1, sizeof(*mesh));
  pjrt_device **devices = mica_arena_allocate_zeroed(&program->memory, count, sizeof(*devices));
  int *ids = mica_arena_allocate_zeroed(&program->memory, count, sizeof(*ids));
  if (mesh == NULL || devices == NULL || ids == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  *mesh = (struct xla_mesh_program){*meshes, devices, ids};
  for (size_t i = 0; i < count && status == MICA_OK; i++) {
    devices[i] = args.devices[i];
    status = mica_xla_device_id(client, devices[i], &ids[i], error);
  }
  program->mesh = mesh;
  return status;
}

/* ---- values ----------------------------------------------------------------------------------- */

/* One call: buffers of all devices, device by device. */
typedef struct {
  const xla_program *program;
  const struct xla_mesh_program *mesh;
  pjrt_buffer **in, **out;
  pjrt_buffer ***in_rows, ***out_rows; /* [device_count] */
  pjrt_event **done;                   /* [device_count] */
  int64_t *kept;                       /* no input is donated */
  void *memory;
  size_t memory_size, part_bytes; /* part: room for the largest one */
  char *part;
} mesh_call;

/* The part of a device of an array of `whole`, as the plugin has it: 4-bit elements a byte each. */
typedef struct {
  mica_type type;
  mica_shape whole;
  int64_t begin[MICA_MAX_RANK], first;
  bool run;
  size_t item, bytes;
} mesh_part;

static mesh_part part_of(const mesh_call *call, const xla_layout *layout, mica_type whole,
                         int64_t device) {
  const mica_mesh_axes *axes = &call->mesh->meshes.axes[layout->mesh];
  mesh_part part = {.type = mica_xla_boundary_type(whole), .whole = whole.shape};
  for (int32_t i = 0; i < whole.shape.rank; i++)
    part.type.shape.dim[i] /= layout->sharding.axis[i].size;
  mica_mesh_part_begin(axes, &layout->sharding, part.type.shape, device, part.begin);
  part.run = mica_mesh_is_run(whole.shape, part.type.shape, part.begin, &part.first);
  part.item = (size_t)mica_dtype_bits(part.type.dtype) / 8;
  part.bytes = mica_xla_byte_size(part.type);
  return part;
}

static mica_status give_part(const mesh_call *call, int64_t device, const mesh_part *part,
                             const char *whole, pjrt_buffer **out_buffer, mica_error *error) {
  const xla_client *client = call->program->client;
  const char *data = whole + (size_t)part->first * part->item;
  pjrt_host_semantics semantics = PJRT_HOST_DURING_CALL;
  if (part->run) {
    if (client->on_host && (uintptr_t)data % MICA_ALIGNMENT == 0) semantics = PJRT_HOST_ZERO_COPY;
  } else {
    mica_mesh_cut(part->whole, part->type.shape, part->begin, part->item, whole, call->part);
    data = call->part;
  }
  pjrt_from_host_args args = {PJRT_SIZE_OF(pjrt_from_host_args, buffer),
                              .client = client->client,
                              .data = data,
                              .type = mica_xla_type(part->type.dtype),
                              .dims = part->type.shape.dim,
                              .dim_count = (size_t)part->type.shape.rank,
                              .semantics = (int)semantics,
                              .device = call->mesh->devices[device]};
  mica_status status = mica_xla_call(&client->plugin, PJRT_BUFFER_FROM_HOST, &args, error);
  if (status != MICA_OK) return status;
  *out_buffer = args.buffer;
  if (semantics == PJRT_HOST_ZERO_COPY)
    mica_xla_destroy(&client->plugin, PJRT_EVENT_DESTROY, args.done);
  else
    status = mica_xla_await(&client->plugin, args.done, error);
  if (status == MICA_OK && args.buffer == NULL)
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: the plugin gave no buffer",
                          client->plugin.name);
  return status;
}

/* All devices' parts of input `i`. */
static mica_status give_input(const mesh_call *call, size_t i, const void *data,
                              mica_error *error) {
  const xla_program *program = call->program;
  mica_type type = program->in_types[i], wide = mica_xla_boundary_type(type);
  const xla_layout *layout = &call->mesh->meshes.in[i];
  void *bytes = NULL;
  size_t size = (size_t)mica_shape_count(type.shape);
  if (wide.dtype != type.dtype) {
    bytes = mica_allocate(&program->allocator, size);
    if (bytes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
    mica_convert_elements(wide.dtype, bytes, type.dtype, data, (int64_t)size);
    data = bytes;
  }
  mica_status status = MICA_OK;
  for (int64_t d = 0; d < call->mesh->meshes.device_count && status == MICA_OK; d++) {
    mesh_part part = part_of(call, layout, type, d);
    if (bytes != NULL) part.run = false; /* goes with this function */
    status = give_part(call, d, &part, data, &call->in_rows[d][i], error);
  }
  mica_free(&program->allocator, bytes, size);
  return status;
}

/* A device's part of an output to its place. */
static mica_status take_part(const mesh_call *call, const mesh_part *part, pjrt_buffer *buffer,
                             char *whole, mica_error *error) {
  const xla_client *client = call->program->client;
  if (part->bytes == 0) return MICA_OK;
  const void *memory = client->on_host && mica_xla_lies_plainly(client, buffer, part->type)
                           ? mica_xla_buffer_memory(client, buffer)
                           : NULL;
  if (memory == NULL) {
    char *to = part->run ? whole + (size_t)part->first * part->item : call->part;
    mica_status status = mica_xla_fetch(client, part->type, buffer, to, part->bytes, error);
    if (status != MICA_OK || part->run) return status;
    memory = call->part;
  }
  mica_mesh_paste(part->whole, part->type.shape, part->begin, part->item, memory, whole);
  return MICA_OK;
}

static mica_status take_output(const mesh_call *call, size_t i, void *out, mica_error *error) {
  const xla_program *program = call->program;
  mica_type type = program->out_types[i], wide = mica_xla_boundary_type(type);
  const xla_layout *layout = &call->mesh->meshes.out[i];
  const mica_mesh_axes *axes = &call->mesh->meshes.axes[layout->mesh];
  size_t size = (size_t)mica_shape_count(type.shape);
  void *bytes = NULL;
  if (wide.dtype != type.dtype) {
    bytes = mica_allocate(&program->allocator, size);
    if (bytes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  }
  mica_status status = MICA_OK;
  for (int64_t d = 0; d < axes->device_count && status == MICA_OK; d++) {
    if (!mica_mesh_is_first(axes, &layout->sharding, d)) continue;
    if (call->out_rows[d][i] == NULL)
      status = mica_error_set(error, MICA_INTERNAL, "xla:%s: output %zu is missing",
                              program->client->plugin.name, i);
    mesh_part part = part_of(call, layout, type, d);
    if (status == MICA_OK)
      status = take_part(call, &part, call->out_rows[d][i], bytes != NULL ? bytes : out, error);
  }
  if (bytes != NULL && status == MICA_OK)
    mica_convert_elements(type.dtype, out, wide.dtype, bytes, (int64_t)size);
  mica_free(&program->allocator, bytes, size);
  return status;
}

/* ---- calls ------------------------------------------------------------------------------------ */

static size_t largest_part(const mesh_call *call) {
  const xla_program *program = call->program;
  size_t most = 0;
  for (size_t i = 0; i < program->in_count + program->out_count; i++) {
    bool in = i < program->in_count;
    const xla_layout *layout =
        in ? &call->mesh->meshes.in[i] : &call->mesh->meshes.out[i - program->in_count];
    mica_type type = in ? program->in_types[i] : program->out_types[i - program->in_count];
    mesh_part part = part_of(call, layout, type, 0);
    if (part.bytes > most) most = part.bytes;
  }
  return most;
}

static bool begin_mesh_call(const xla_program *program, mesh_call *call) {
  size_t devices = (size_t)program->mesh->meshes.device_count, in = program->in_count,
         out = program->out_count, pointers = devices * (in + out + 3) + in + 1;
  *call = (mesh_call){.program = program, .mesh = program->mesh};
  call->part_bytes = largest_part(call);
  call->part = mica_allocate_aligned(&program->allocator, call->part_bytes, MICA_ALIGNMENT);
  if (mica_size_multiply(pointers, sizeof(int64_t), &call->memory_size))
    call->memory = mica_allocate_zeroed(&program->allocator, 1, call->memory_size);
  if (call->memory == NULL || call->part == NULL) return false;
  call->kept = call->memory; /* as wide as the pointers behind it, at least */
  call->in = (pjrt_buffer **)(void *)(call->kept + in);
  call->out = call->in + devices * in;
  call->in_rows = (pjrt_buffer ***)(void *)(call->out + devices * out);
  call->out_rows = call->in_rows + devices;
  call->done = (pjrt_event **)(void *)(call->out_rows + devices);
  for (size_t i = 0; i < in; i++) call->kept[i] = (int64_t)i;
  for (size_t d = 0; d < devices; d++) {
    call->in_rows[d] = call->in + d * in;
    call->out_rows[d] = call->out + d * out;
  }
  return true;
}

static void end_mesh_call(mesh_call *call) {
  const xla_program *program = call->program;
  size_t devices = (size_t)program->mesh->meshes.device_count;
  if (call->in != NULL) {
    mica_xla_destroy_buffers(program->client, call->in, devices * program->in_count);
    mica_xla_destroy_buffers(program->client, call->out, devices * program->out_count);
  }
  mica_free_aligned(&program->allocator, call->part, call->part_bytes, MICA_ALIGNMENT);
  mica_free(&program->allocator, call->memory, call->memory_size);
}

/* Starts all devices and waits for all of them: what fails first is reported. */
static mica_status launch_mesh(const mesh_call *call, mica_error *error) {
  const xla_program *program = call->program;
  size_t devices = (size_t)call->mesh->meshes.device_count;
  pjrt_execute_options options = {PJRT_SIZE_OF(pjrt_execute_options, incarnations),
                                  .kept = call->kept, .kept_count = program->in_count};
  pjrt_execute_args args = {PJRT_SIZE_OF(pjrt_execute_args, device),
                            .executable = program->loaded,
                            .options = &options,
                            .arguments = (pjrt_buffer *const *const *)call->in_rows,
                            .device_count = devices,
                            .argument_count = program->in_count,
                            .outputs = (pjrt_buffer * *const *)call->out_rows,
                            .done = call->done};
  mica_status status = mica_xla_call(&program->client->plugin, PJRT_LOADED_EXECUTE, &args, error);
  if (status != MICA_OK) return status;
  for (size_t d = 0; d < devices; d++) {
    mica_status one =
        mica_xla_await(&program->client->plugin, call->done[d], status == MICA_OK ? error : NULL);
    if (status == MICA_OK) status = one;
  }
  return status;
}

mica_status mica_xla_mesh_execute(xla_program *program, const mica_call *call, mica_error *error) {
  mesh_call mesh;
  bool intact = true;
  mica_status status = MICA_OK;
  if (!begin_mesh_call(program, &mesh))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  for (size_t i = 0; i < program->in_count && status == MICA_OK; i++)
    status = give_input(&mesh, i, call->in[program->call_index[i]], error);
  if (status == MICA_OK) status = launch_mesh(&mesh, error);
  for (size_t i = 0; i < program->out_count && status == MICA_OK; i++) {
    intact = false;
    status = take_output(&mesh, i, call->out[i], error);
  }
  end_mesh_call(&mesh);
  if (status != MICA_OK && intact && call->out_intact != NULL) *call->out_intact = true;
  return status;
}

/* Values that lie on a device are brought to the host, and results stay there. */
mica_status mica_xla_mesh_execute_tensors(xla_program *program, const mica_tensor_call *call,
                                          mica_error *error) {
  const mica_allocator *allocator = &program->allocator;
  size_t pointers = (call->in_count + call->out_count + 1) * sizeof(void *);
  size_t size = pointers + program->in_count * sizeof(mica_tensor_view);
  const void **in = mica_allocate_zeroed(allocator, 1, size);
  if (in == NULL) {
    if (call->out_intact != NULL) *call->out_intact = true;
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  }
  void **out = (void **)(void *)(in + call->in_count);
  mica_tensor_view *views = (mica_tensor_view *)(void *)((char *)in + pointers);
  mica_status status = MICA_OK;
  size_t seen = 0;
  for (; seen < program->in_count; seen++) {
    int32_t index = program->call_index[seen];
    status = mica_tensor_view_begin(call->in[index], &views[seen], error);
    if (status != MICA_OK) break;
    in[index] = views[seen].data;
  }
  for (size_t i = 0; i < call->out_count && status == MICA_OK; i++) {
    status =
        mica_tensor_create_uninitialized(allocator, program->out_types[i], &call->out[i], error);
    if (status == MICA_OK) out[i] = mica_tensor_mutable_data(call->out[i]);
  }
  mica_call host = {.struct_size = sizeof(host),
                    .in = in,
                    .out = out,
                    .in_count = call->in_count,
                    .out_count = call->out_count};
  if (status == MICA_OK) status = mica_xla_mesh_execute(program, &host, error);
  while (seen-- > 0) mica_tensor_view_end(call->in[program->call_index[seen]], &views[seen]);
  for (size_t i = 0; i < call->out_count && status != MICA_OK; i++) {
    mica_tensor_release(call->out[i]);
    call->out[i] = NULL;
  }
  if (status != MICA_OK && call->out_intact != NULL) *call->out_intact = true;
  mica_free(allocator, in, size);
  return status;
}
