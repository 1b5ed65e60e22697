/* SPDX-License-Identifier: Apache-2.0 */
/* program.c: a graph as a compiled program. */
#include "backend/xla/mesh.h"
#include "graph/attributes.h"

#include <stdio.h>
#include <string.h>

enum { HOIST_FROM = 64 << 10 /* bytes from which a constant is an argument */ };

/* ---- compiling ------------------------------------------------------------------------------- */

xla_program *mica_xla_program_create(xla_client *client) {
  xla_program *program = mica_allocate_zeroed(&client->allocator, 1, sizeof(*program));
  if (program == NULL) return NULL;
  program->allocator = client->allocator;
  program->client = client;
  atomic_init(&program->spare, NULL);
  atomic_init(&program->readable, 0);
  mica_text_init(&program->text, &client->allocator);
  mica_arena_init(&program->memory, &client->allocator);
  return program;
}

void mica_xla_program_destroy(void *state, void *pointer) {
  (void)state;
  xla_program *program = pointer;
  if (program == NULL) return;
  const xla_client *client = program->client;
  mica_xla_context_destroy(program, atomic_load(&program->spare));
  if (program->constants != NULL)
    mica_xla_destroy_buffers(client, program->constants, program->constant_count);
  mica_xla_destroy(&client->plugin, PJRT_LOADED_DESTROY, program->loaded);
  mica_text_deinit(&program->text);
  mica_graph_deinit(&program->graph);
  mica_arena_deinit(&program->memory);
  mica_allocator allocator = program->allocator;
  mica_free(&allocator, program, sizeof(*program));
}

static mica_type *copy_types_of(mica_arena *arena, const mica_graph *graph, const uint32_t *ids,
                                size_t count) {
  mica_type *types = mica_arena_allocate_zeroed(arena, count, sizeof(*types));
  for (size_t i = 0; types != NULL && i < count; i++) types[i] = mica_node_at(graph, ids[i])->type;
  return types;
}

/* Keeps what a call needs of the module: types, and the large constants on the device. */
static mica_status keep_module(xla_program *program, const xla_module *module, mica_error *error) {
  const mica_graph *graph = module->graph;
  program->in_count = module->input_count;
  program->out_count = module->output_count;
  program->call_index = module->call_index;
  program->alias = module->alias;
  program->in_types = copy_types_of(&program->memory, graph, module->inputs, module->input_count);
  program->out_types =
      copy_types_of(&program->memory, graph, module->outputs, module->output_count);
  program->constants = mica_arena_allocate_zeroed(&program->memory, module->hoisted_count,
                                                  sizeof(*program->constants));
  if (program->in_types == NULL || program->out_types == NULL || program->constants == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  for (size_t i = 0; i < module->hoisted_count; i++) {
    const mica_node *node = mica_node_at(graph, module->hoisted[i]);
    const mica_tensor *value = ((const mica_constant_attr *)node->attr)->value;
    mica_status status = mica_xla_upload(program->client, node->type, mica_tensor_data(value),
                                         PJRT_HOST_DURING_CALL, &program->constants[i], error);
    if (status != MICA_OK) return status;
    program->constant_count = i + 1;
  }
  return MICA_OK;
}

static mica_status check_output_count(const xla_program *program, mica_error *error) {
  const xla_client *client = program->client;
  pjrt_executable_args args = {PJRT_SIZE_OF(pjrt_executable_args, executable),
                               .loaded = program->loaded};
  mica_status status = mica_xla_call(&client->plugin, PJRT_LOADED_EXECUTABLE, &args, error);
  if (status != MICA_OK) return status;
  pjrt_output_count_args count = {PJRT_SIZE_OF(pjrt_output_count_args, count),
                                  .executable = args.executable};
  status = mica_xla_call(&client->plugin, PJRT_EXECUTABLE_OUTPUT_COUNT, &count, error);
  mica_xla_destroy(&client->plugin, PJRT_EXECUTABLE_DESTROY, args.executable);
  if (status == MICA_OK && count.count != program->out_count)
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: the program has %zu outputs, not %zu",
                          client->plugin.name, count.count, program->out_count);
  return status;
}

static mica_status compile_text(xla_program *program, bool portable, mica_error *error) {
  const struct xla_mesh_program *mesh = program->mesh;
  mica_status status = mica_xla_obtain(
      program->client, program->text.data, program->text.size, mesh != NULL ? mesh->ids : NULL,
      mesh != NULL ? (size_t)mesh->meshes.device_count : 0, portable, &program->loaded, error);
  return status == MICA_OK ? check_output_count(program, error) : status;
}

/* Records for the nodes that the host computes; none where there is no such node. */
static mica_status list_host_nodes(xla_program *program, xla_module *module, mica_error *error) {
  const mica_graph *graph = &program->graph;
  bool any = false;
  for (uint32_t id = 1; id < graph->count && !any; id++)
    any = mica_xla_runs_on_host((mica_op)mica_node_at(graph, id)->op);
  if (!any) return MICA_OK;
  module->host_nodes =
      mica_arena_allocate_zeroed(&program->memory, graph->count, sizeof(*module->host_nodes));
  if (module->host_nodes == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  for (uint32_t id = 1; id < graph->count; id++)
    module->host_nodes[id] = (xla_host_node){graph, program->client->owner, id};
  return MICA_OK;
}

mica_status mica_xla_compile(void *state, mica_device *device, const mica_graph *graph,
                             uint64_t donate, void **out_program, mica_error *error) {
  xla_client *client = state;
  xla_program *program = mica_xla_program_create(client);
  if (program == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  mica_status status = MICA_OK;
  bool hosted = client->host_target[0] != '\0', marks = hosted && device->log != NULL;
  if (!mica_graph_init(&program->graph, &device->allocator))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  if (status == MICA_OK)
    status = mica_xla_lower(graph, &program->graph,
                            (xla_lowering){marks, client->resident, client->flash}, error);
  if (status == MICA_OK) status = mica_xla_check_defects(client, &program->graph, error);
  xla_module module = {.graph = &program->graph,
                       .allocator = device->allocator,
                       .hoist_from = HOIST_FROM,
                       .donate = donate,
                       .exact = client->exact,
                       .float_convolutions = client->resident,
                       .atan_by_two = mica_xla_spoils_atan(client),
                       .host_target = client->host_target};
  if (status == MICA_OK && hosted) status = list_host_nodes(program, &module, error);
  if (status == MICA_OK) status = mica_xla_module_begin(&module, &program->memory, error);
  if (status == MICA_OK) status = mica_xla_module_write(&module, &program->text, error);
  if (status == MICA_OK) status = keep_module(program, &module, error);
  if (status == MICA_OK && module.meshes != NULL)
    status = mica_xla_mesh_program(program, &module, error);
  /* Calls of the host stand in the text with addresses of this process. */
  if (status == MICA_OK) status = compile_text(program, module.host_nodes == NULL, error);
  if (status != MICA_OK) {
    mica_xla_program_destroy(state, program);
    return status;
  }
  *out_program = program;
  return MICA_OK;
}

/* ---- what a program says --------------------------------------------------------------------- */

int64_t mica_xla_program_format(void *state, const void *pointer, char *text, size_t size) {
  (void)state;
  const xla_program *program = pointer;
  return mica_text_copy(&program->text, text, size);
}
