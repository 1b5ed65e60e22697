/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_call.c: programs for several devices of one client: compiling, and calls.
 *
 * A tensor that lies in parts as the program wants it is handed over as it is; any other is cut: on a CPU parts whose
 * elements lie together and are aligned are lent, all others are copied to their device. Results stay on the devices, in
 * parts. An input whose memory an output may take is donated where nobody else holds it. */
#include "backend/xla/mesh.h"
#include "core/tensor.h"

#include <string.h>

/* ---- programs ---------------------------------------------------------------------------------- */

static xla_cut *copy_cuts(xla_program *program, const struct xla_meshes *meshes,
                          const xla_layout *layouts, size_t count) {
  xla_cut *cuts = mica_arena_allocate_zeroed(&program->memory, count, sizeof(*cuts));
  for (size_t i = 0; cuts != NULL && i < count; i++)
    cuts[i] = (xla_cut){meshes->axes[layouts[i].mesh], layouts[i].sharding};
  return cuts;
}

static bool index_inputs(xla_program *program, struct xla_mesh_program *mesh) {
  for (size_t i = 0; i < program->in_count; i++)
    if ((size_t)program->call_index[i] >= mesh->call_count)
      mesh->call_count = (size_t)program->call_index[i] + 1;
  mesh->module_index =
      mica_arena_allocate_zeroed(&program->memory, mesh->call_count, sizeof(*mesh->module_index));
  if (mesh->module_index == NULL) return false;
  for (size_t i = 0; i < mesh->call_count; i++) mesh->module_index[i] = -1;
  for (size_t i = 0; i < program->in_count; i++)
    mesh->module_index[program->call_index[i]] = (int32_t)i;
  return true;
}

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
  struct xla_mesh_program *mesh = mica_arena_allocate_zeroed(&program->memory, 1, sizeof(*mesh));
  int *ids = mica_arena_allocate_zeroed(&program->memory, count, sizeof(*ids));
  if (mesh != NULL)
    *mesh = (struct xla_mesh_program){
        .meshes = *meshes,
        .ids = ids,
        .in = copy_cuts(program, meshes, meshes->in, program->in_count),
        .out = copy_cuts(program, meshes, meshes->out, program->out_count)};
  if (mesh == NULL || ids == NULL || mesh->in == NULL || mesh->out == NULL ||
      !index_inputs(program, mesh))
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  mica_status status = MICA_OK;
  for (size_t i = 0; i < count && status == MICA_OK; i++)
    status = mica_xla_device_id(client, client->devices[i], &ids[i], error);
  program->mesh = mesh;
  return status;
}

mica_status mica_xla_mesh_place_input(const xla_program *program, size_t index, mica_tensor *tensor,
                                      mica_tensor **out_tensor, mica_error *error) {
  const struct xla_mesh_program *mesh = program->mesh;
  int32_t input = index < mesh->call_count ? mesh->module_index[index] : -1;
  if (input >= 0)
    return mica_xla_place_cut(program->client, &mesh->in[input], tensor, out_tensor, error);
  *out_tensor = mica_tensor_retain(tensor); /* nothing reads it */
  return MICA_OK;
}

/* ---- calls ------------------------------------------------------------------------------------- */

/* One call: buffers of all devices, device by device. */
typedef struct {
  const xla_program *program;
  const struct xla_mesh_program *mesh;
  const mica_tensor_call *call;
  size_t device_count;
  pjrt_buffer **in, **out;
  pjrt_buffer ***in_rows, ***out_rows; /* [device_count] */
  pjrt_event **done;                   /* [device_count] */
  int64_t *kept; /* [in_count] inputs that the program could take and must not */
  size_t kept_count;
  mica_tensor_view *views; /* [in_count] of inputs that are cut; data NULL: it is not */
  bool *borrowed;          /* [in_count] its buffers are a tensor's */
  bool donates;            /* one of those */
  void *memory;
  size_t memory_size;
} mesh_call;

static bool begin_mesh_call(const xla_program *program, const mica_tensor_call *call,
                            mesh_call *mesh) {
  size_t devices = (size_t)program->mesh->meshes.device_count, in = program->in_count,
         out = program->out_count;
  size_t words = devices * (in + out + 3) + in; /* pointers, and `kept`, which is not wider */
  _Static_assert(sizeof(int64_t) >= sizeof(void *), "a word holds a pointer");
  *mesh =
      (mesh_call){.program = program, .mesh = program->mesh, .call = call, .device_count = devices};
  size_t rest = in * (sizeof(mica_tensor_view) + sizeof(bool));
  if (!mica_size_multiply(words, sizeof(int64_t), &mesh->memory_size) ||
      !mica_size_add(mesh->memory_size, rest, &mesh->memory_size))
    return false;
  mesh->memory = mica_allocate_zeroed(&program->allocator, 1, mesh->memory_size);
  if (mesh->memory == NULL) return false;
  mesh->kept = mesh->memory;
  mesh->views = (mica_tensor_view *)(void *)(mesh->kept + in);
  mesh->in = (pjrt_buffer **)(void *)(mesh->views + in);
  mesh->out = mesh->in + devices * in;
  mesh->in_rows = (pjrt_buffer ***)(void *)(mesh->out + devices * out);
  mesh->out_rows = mesh->in_rows + devices;
  mesh->done = (pjrt_event **)(void *)(mesh->out_rows + devices);
  mesh->borrowed = (bool *)(mesh->done + devices);
  for (size_t d = 0; d < devices; d++) {
    mesh->in_rows[d] = mesh->in + d * in;
    mesh->out_rows[d] = mesh->out + d * out;
  }
  return true;
}

static void end_mesh_call(mesh_call *mesh) {
  const xla_program *program = mesh->program;
  for (size_t i = 0; mesh->memory != NULL && i < program->in_count; i++) {
    for (size_t d = 0; d < mesh->device_count && !mesh->borrowed[i]; d++)
      mica_xla_destroy(&program->client->plugin, PJRT_BUFFER_DESTROY, mesh->in_rows[d][i]);
    if (mesh->views[i].data != NULL)
      mica_tensor_view_end(mesh->call->in[program->call_index[i]], &mesh->views[i]);
  }
  if (mesh->memory != NULL)
    mica_xla_destroy_buffers(program->client, mesh->out, mesh->device_count * program->out_count);
  mica_free(&program->allocator, mesh->memory, mesh->memory_size);
}

/* All devices' parts of input `i`. */
static mica_status enter_mesh_input(mesh_call *mesh, size_t i, mica_error *error) {
  const xla_program *program = mesh->program;
  const xla_client *client = program->client;
  int32_t index = program->call_index[i];
  mica_tensor *tensor = mesh->call->in[index];
  xla_parts *parts = mica_xla_parts_of(client, tensor, &mesh->mesh->in[i]);
  bool lent = client->on_host, taken = program->alias[i] >= 0, given = false;
  if (parts != NULL) {
    for (size_t d = 0; d < mesh->device_count; d++) mesh->in_rows[d][i] = parts->part[d];
    mesh->borrowed[i] = true;
    given = mesh->call->donated[index] && atomic_load(&parts->references) == 1;
    mesh->donates = mesh->donates || (given && taken);
  } else {
    mica_status status = mica_tensor_view_begin(tensor, &mesh->views[i], error);
    if (status == MICA_OK)
      status = mica_xla_give_parts(client, &mesh->mesh->in[i], tensor->type, mesh->views[i].data,
                                   &lent, mesh->in + i, program->in_count, error);
    if (status == MICA_OUT_OF_MEMORY) status = mica_xla_upload_error(client, tensor->type, error);
    if (status != MICA_OK) return status;
    given = !lent; /* copies of this call */
  }
  if (taken && !given) mesh->kept[mesh->kept_count++] = (int64_t)i;
  return MICA_OK;
}

/* Starts all devices. Where they compute in the host's memory, some of which may be lent to them, it waits for all of
 * them: what fails first is reported. */
static mica_status launch_mesh(const mesh_call *mesh, mica_error *error) {
  const xla_program *program = mesh->program;
  const xla_client *client = program->client;
  pjrt_execute_options options = {PJRT_SIZE_OF(pjrt_execute_options, incarnations),
                                  .kept = mesh->kept, .kept_count = mesh->kept_count};
  pjrt_execute_args args = {PJRT_SIZE_OF(pjrt_execute_args, device),
                            .executable = program->loaded,
                            .options = &options,
                            .arguments = (pjrt_buffer *const *const *)mesh->in_rows,
                            .device_count = mesh->device_count,
                            .argument_count = program->in_count,
                            .outputs = (pjrt_buffer * *const *)mesh->out_rows,
                            .done = client->on_host ? mesh->done : NULL};
  mica_status status = mica_xla_call(&client->plugin, PJRT_LOADED_EXECUTE, &args, error);
  if (status != MICA_OK) return status;
  for (size_t d = 0; d < mesh->device_count; d++) {
    mica_status one =
        mica_xla_await(&client->plugin, mesh->done[d], status == MICA_OK ? error : NULL);
    if (status == MICA_OK) status = one;
  }
  return status;
}

/* Whether the plugin took a tensor's buffers although the call failed. */
static bool parts_are_left(const mesh_call *mesh) {
  const xla_program *program = mesh->program;
  for (size_t i = 0; i < program->in_count && mesh->donates; i++) {
    if (program->alias[i] < 0 || !mesh->borrowed[i]) continue;
    if (!mesh->call->donated[program->call_index[i]]) continue;
    for (size_t d = 0; d < mesh->device_count; d++) {
      pjrt_is_deleted_args args = {PJRT_SIZE_OF(pjrt_is_deleted_args, is_deleted),
                                   .buffer = mesh->in_rows[d][i]};
      if (mica_xla_call(&program->client->plugin, PJRT_BUFFER_IS_DELETED, &args, NULL) != MICA_OK ||
          args.is_deleted)
        return false;
    }
  }
  return true;
}

static mica_status make_mesh_outputs(const mesh_call *mesh, mica_error *error) {
  const xla_program *program = mesh->program;
  mica_tensor **out = mesh->call->out;
  mica_status status = MICA_OK;
  for (size_t i = 0; i < program->out_count && status == MICA_OK; i++) {
    for (size_t d = 0; d < mesh->device_count && status == MICA_OK; d++)
      if (mesh->out_rows[d][i] == NULL)
        status = mica_error_set(error, MICA_INTERNAL, "xla:%s: output %zu is missing",
                                program->client->plugin.name, i);
    if (status == MICA_OK)
      status = mica_xla_parts_tensor(program->client, &mesh->mesh->out[i], program->out_types[i],
                                     mesh->out + i, program->out_count, &out[i], error);
  }
  for (size_t i = 0; i < program->out_count && status != MICA_OK; i++) {
    mica_tensor_release(out[i]);
    out[i] = NULL;
  }
  return status;
}

mica_status mica_xla_mesh_execute(xla_program *program, const mica_tensor_call *call,
                                  mica_error *error) {
  mesh_call mesh;
  bool intact = true;
  mica_status status = MICA_OK;
  if (!begin_mesh_call(program, call, &mesh))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  for (size_t i = 0; i < program->in_count && status == MICA_OK; i++)
    status = enter_mesh_input(&mesh, i, error);
  if (status == MICA_OK) {
    status = launch_mesh(&mesh, error);
    intact = status != MICA_OK && parts_are_left(&mesh);
    if (status == MICA_OUT_OF_MEMORY) status = mica_xla_call_error(program, error);
  }
  if (status == MICA_OK) status = make_mesh_outputs(&mesh, error);
  end_mesh_call(&mesh);
  if (status != MICA_OK && intact && call->out_intact != NULL) *call->out_intact = true;
  return status;
}
