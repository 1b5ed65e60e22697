/* SPDX-License-Identifier: Apache-2.0 */
/* import.c: a module of StableHLO that another program wrote, as an executable.
 *
 * The plugin parses it, text or bytecode. What goes in and comes out is asked of the compiled program:
 * outputs directly, inputs from XLA's form of it, since the plugin's API has no question for them. */
#include "backend/executable_internal.h"
#include "backend/xla/wire.h"
#include "backend/xla/xla_internal.h"
#include "mica/xla.h"

#include <stdio.h>
#include <string.h>

static mica_status import_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a module");
}

static mica_status check_import_type(const char *what, size_t index, mica_type type,
                                     mica_error *error) {
  if (type.dtype == MICA_DTYPE_NONE || mica_shape_count(type.shape) < 0)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "xla: %s %zu of the module has a type or shape that Mica has not", what,
                          index);
  if (mica_dtype_bits(type.dtype) == 4)
    return mica_error_set(error, MICA_UNSUPPORTED, "xla: %s %zu of the module has 4-bit elements",
                          what, index);
  return MICA_OK;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static mica_status read_inputs(xla_program *program, mica_error *error) {
  char *bytes;
  size_t size, count = 0;
  mica_status status = mica_xla_optimized_bytes(program, &bytes, &size, error);
  if (status != MICA_OK) return status;
  xla_wire code = xla_wire_of(bytes, size);
  bool known = mica_xla_hlo_inputs(code, NULL, 0, &count);
  if (known) {
    program->in_types =
        mica_arena_allocate_zeroed(&program->memory, count, sizeof(*program->in_types));
    program->call_index =
        mica_arena_allocate_zeroed(&program->memory, count, sizeof(*program->call_index));
    program->alias = mica_arena_allocate_zeroed(&program->memory, count, sizeof(*program->alias));
    if (program->in_types == NULL || program->call_index == NULL || program->alias == NULL)
      status = import_memory(error);
    else
      known = mica_xla_hlo_inputs(code, program->in_types, count, &count);
  }
  for (size_t i = 0; i < count && known && status == MICA_OK; i++) {
    program->call_index[i] = (int32_t)i;
    program->alias[i] = -1;
  }
  if (known && status == MICA_OK)
    mica_xla_hlo_aliases(code, program->alias, count, program->out_count);
  mica_free(&program->allocator, bytes, size);
  if (status != MICA_OK) return status;
  if (!known)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "xla:%s: the plugin does not tell what the module takes",
                          program->client->plugin.name);
  program->in_count = count;
  for (size_t i = 0; i < count && status == MICA_OK; i++)
    status = check_import_type("input", i, program->in_types[i], error);
  return status;
}

/* ---- outputs --------------------------------------------------------------------------------- */

static mica_status read_output_types(xla_program *program, pjrt_executable *executable,
                                     mica_error *error) {
  const xla_plugin *plugin = &program->client->plugin;
  pjrt_output_types_args types = {PJRT_SIZE_OF(pjrt_output_types_args, count),
                                  .executable = executable};
  pjrt_output_dims_args dims = {PJRT_SIZE_OF(pjrt_output_dims_args, ranks),
                                .executable = executable};
  mica_status status = mica_xla_call(plugin, PJRT_EXECUTABLE_TYPES, &types, error);
  if (status == MICA_OK) status = mica_xla_call(plugin, PJRT_EXECUTABLE_DIMENSIONS, &dims, error);
  if (status != MICA_OK) return status;
  if (types.count != dims.count || (types.count > 0 && (types.types == NULL || dims.ranks == NULL)))
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: %zu types for %zu outputs", plugin->name,
                          types.count, dims.count);
  program->out_types =
      mica_arena_allocate_zeroed(&program->memory, types.count, sizeof(*program->out_types));
  if (program->out_types == NULL) return import_memory(error);
  program->out_count = types.count;
  const int64_t *at = dims.dims;
  for (size_t i = 0; i < types.count && status == MICA_OK; i++) {
    mica_type *type = &program->out_types[i];
    if (dims.ranks[i] <= MICA_MAX_RANK) {
      type->dtype = mica_xla_dtype(types.types[i]);
      type->shape.rank = (int32_t)dims.ranks[i];
      for (size_t k = 0; k < dims.ranks[i]; k++) type->shape.dim[k] = at[k];
    }
    at += dims.ranks[i];
    status = check_import_type("output", i, *type, error);
  }
  return status;
}

static mica_status read_outputs(xla_program *program, mica_error *error) {
  const xla_plugin *plugin = &program->client->plugin;
  pjrt_executable_args whole = {PJRT_SIZE_OF(pjrt_executable_args, executable),
                                .loaded = program->loaded};
  mica_status status = mica_xla_call(plugin, PJRT_LOADED_EXECUTABLE, &whole, error);
  if (status != MICA_OK) return status;
  status = read_output_types(program, whole.executable, error);
  mica_xla_destroy(plugin, PJRT_EXECUTABLE_DESTROY, whole.executable);
  return status;
}

/* ---- the executable -------------------------------------------------------------------------- */

static mica_status import_module(xla_program *program, const void *module, size_t size,
                                 mica_error *error) {
  mica_status status =
      mica_xla_obtain(program->client, module, size, NULL, 0, true, &program->loaded, error);
  if (status == MICA_OK) status = read_outputs(program, error);
  if (status == MICA_OK) status = read_inputs(program, error);
  if (status != MICA_OK) return status;
  if (memchr(module, '\0', size) == NULL) mica_text_append_bytes(&program->text, module, size);
  return program->text.failed ? import_memory(error) : MICA_OK;
}

mica_status mica_stablehlo_compile(mica_device *device, const void *module, size_t size,
                                   uint64_t donate, mica_executable **out_executable,
                                   mica_error *error) {
  xla_client *client = NULL;
  if (out_executable == NULL) return mica_null_error(error, "out_executable");
  *out_executable = NULL;
  mica_status status = mica_xla_client_of(device, &client, error);
  if (status != MICA_OK) return status;
  if (module == NULL || size == 0) return mica_null_error(error, "the module");
  xla_program *program = mica_xla_program_create(client);
  if (program == NULL) return import_memory(error);
  program->foreign = true;
  status = import_module(program, module, size, error);
  if (status == MICA_OK)
    status = mica_executable_of_program(device, program, program->in_types, program->in_count,
                                        program->out_types, program->out_count, donate,
                                        out_executable, error);
  if (status != MICA_OK) mica_xla_program_destroy(client, program);
  return status;
}

mica_status mica_stablehlo_load(mica_device *device, const char *path, uint64_t donate,
                                mica_executable **out_executable, mica_error *error) {
  const void *bytes;
  size_t size;
  char reason[128];
  if (out_executable == NULL) return mica_null_error(error, "out_executable");
  *out_executable = NULL;
  if (path == NULL) return mica_null_error(error, "the path");
  int code = mica_file_map(path, &bytes, &size);
  if (code != 0)
    return mica_error_set(error, MICA_IO, "%s: %s", path,
                          mica_errno_text(code, reason, sizeof(reason)));
  mica_status status = mica_stablehlo_compile(device, bytes, size, donate, out_executable, error);
  mica_file_unmap(bytes, size);
  return status;
}
