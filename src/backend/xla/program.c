/* SPDX-License-Identifier: Apache-2.0 */
/* program.c: compiling a graph, and one call of it.
 *
 * On a CPU the plugin computes in the host's memory: inputs are lent to it for the call (zero copy,
 * since tensors are aligned to 64 bytes), and an input whose memory is also that of its output is
 * donated, so that a variable is updated where it lies. What the plugin puts elsewhere is copied out,
 * always in row-major order: by a plain copy where the first call has found the outputs to lie so. On
 * other devices inputs are uploaded and outputs fetched. */
#include "backend/xla/xla_internal.h"
#include "graph/attributes.h"

#include <stdio.h>
#include <string.h>

enum {
  HOIST_FROM = 64 << 10, /* bytes from which a constant is an argument */
  COMPILE_OPTIONS_SIZE = 64,
  CALL_ROOM = 24 /* buffers of a call that need no allocation */
};

typedef struct {
  mica_allocator allocator;
  xla_client *client;
  mica_arena memory;
  mica_text text;   /* of the module */
  mica_graph graph; /* lowered: what nodes of the host are run from */
  pjrt_loaded *loaded;
  mica_type *in_types, *out_types;
  int32_t *call_index, *alias;
  pjrt_buffer **constants;
  _Atomic int32_t
      readable; /* outputs can be read where they lie: 1; they cannot: -1; not known: 0 */
  size_t in_count, out_count, constant_count;
} xla_program;

/* ---- options of the compiler ----------------------------------------------------------------- */

/* The few fields of a CompileOptionsProto that are needed, in protobuf's encoding. */
static size_t put_varint(unsigned char *out, size_t at, uint64_t value) {
  while (value >= 128) {
    out[at++] = (unsigned char)(value | 128);
    value >>= 7;
  }
  out[at++] = (unsigned char)value;
  return at;
}

static size_t put_message(unsigned char *out, size_t at, uint32_t field,
                          const unsigned char *message, size_t size) {
  at = put_varint(out, at, (uint64_t)field << 3 | 2);
  at = put_varint(out, at, size);
  memcpy(out + at, message, size);
  return at + size;
}

/* One replica of one partition on the device with that id (negative: the first one). */
static size_t compile_options(int64_t device_id, unsigned char out[COMPILE_OPTIONS_SIZE]) {
  unsigned char build[COMPILE_OPTIONS_SIZE], ids[16], devices[24], assignment[32];
  size_t size = 0;
  if (device_id >= 0) {
    size = put_varint(build, size, 1 << 3);
    size = put_varint(build, size, (uint64_t)device_id);
  }
  size = put_varint(build, size, 4 << 3); /* num_replicas */
  size = put_varint(build, size, 1);
  size = put_varint(build, size, 5 << 3); /* num_partitions */
  size = put_varint(build, size, 1);
  if (device_id >= 0) {
    size_t length = put_varint(ids, 0, (uint64_t)device_id);
    length = put_message(devices, 0, 1, ids, length);
    size_t whole = put_varint(assignment, 0, 1 << 3);
    whole = put_varint(assignment, whole, 1);
    whole = put_varint(assignment, whole, 2 << 3);
    whole = put_varint(assignment, whole, 1);
    whole = put_message(assignment, whole, 3, devices, length);
    size = put_message(build, size, 9, assignment, whole);
  }
  return put_message(out, 0, 3, build, size);
}

/* The id of the device that computes; -1 where there is no choice. */
static mica_status device_id(const xla_client *client, int64_t *out_id, mica_error *error) {
  *out_id = -1;
  if (client->device_index == 0) return MICA_OK;
  pjrt_device_description_args args = {PJRT_SIZE_OF(pjrt_device_description_args, description),
                                       .device = client->device};
  mica_status status = mica_xla_call(&client->plugin, PJRT_DEVICE_DESCRIPTION, &args, error);
  if (status != MICA_OK) return status;
  pjrt_description_id_args id = {PJRT_SIZE_OF(pjrt_description_id_args, id),
                                 .description = args.description};
  status = mica_xla_call(&client->plugin, PJRT_DESCRIPTION_ID, &id, error);
  *out_id = id.id;
  return status;
}

/* ---- buffers --------------------------------------------------------------------------------- */

static mica_status upload_dense(const xla_client *client, mica_type type, const void *data,
                                pjrt_host_semantics semantics, pjrt_buffer **out_buffer,
                                mica_error *error) {
  pjrt_from_host_args args = {PJRT_SIZE_OF(pjrt_from_host_args, buffer),
                              .client = client->client,
                              .data = data,
                              .type = mica_xla_type(type.dtype),
                              .dims = type.shape.dim,
                              .dim_count = (size_t)type.shape.rank,
                              .semantics = (int)semantics,
                              .device = client->device};
  mica_status status = mica_xla_call(&client->plugin, PJRT_BUFFER_FROM_HOST, &args, error);
  if (status != MICA_OK) return status;
  *out_buffer = args.buffer;
  /* Memory that is lent stays so until the buffer goes: that event is nobody's concern. */
  if (semantics == PJRT_HOST_ZERO_COPY || semantics == PJRT_HOST_MUTABLE_ZERO_COPY)
    mica_xla_destroy(&client->plugin, PJRT_EVENT_DESTROY, args.done);
  else
    status = mica_xla_await(&client->plugin, args.done, error);
  if (status == MICA_OK && args.buffer == NULL)
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: the plugin gave no buffer",
                          client->plugin.name);
  if (status == MICA_OK) return MICA_OK;
  mica_xla_destroy(&client->plugin, PJRT_BUFFER_DESTROY, args.buffer);
  *out_buffer = NULL;
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
static mica_status upload(const xla_client *client, mica_type type, const void *data,
                          pjrt_host_semantics semantics, pjrt_buffer **out_buffer,
                          mica_error *error) {
  mica_type wide = mica_xla_boundary_type(type);
  if (wide.dtype == type.dtype)
    return upload_dense(client, type, data, semantics, out_buffer, error);
  int64_t count = mica_shape_count(type.shape);
  void *bytes = mica_allocate(&client->allocator, (size_t)count);
  if (bytes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  mica_convert_elements(wide.dtype, bytes, type.dtype, data, count);
  mica_status status = upload_dense(client, wide, bytes, PJRT_HOST_DURING_CALL, out_buffer, error);
  mica_free(&client->allocator, bytes, (size_t)count);
  return status;
}

static mica_status fetch(const xla_client *client, mica_type type, pjrt_buffer *buffer, void *host,
                         size_t size, mica_error *error) {
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
static void *buffer_memory(const xla_client *client, pjrt_buffer *buffer) {
  if (!mica_xla_has(&client->plugin, PJRT_BUFFER_POINTER)) return NULL;
  pjrt_pointer_args args = {PJRT_SIZE_OF(pjrt_pointer_args, pointer), .buffer = buffer};
  if (mica_xla_call(&client->plugin, PJRT_BUFFER_POINTER, &args, NULL) != MICA_OK) return NULL;
  return args.pointer;
}

static size_t byte_size_of(mica_type type) {
  size_t size = 0;
  return mica_type_byte_size(type, &size) ? size : 0;
}

static void destroy_buffers(const xla_client *client, pjrt_buffer **buffers, size_t count) {
  for (size_t i = 0; i < count; i++)
    mica_xla_destroy(&client->plugin, PJRT_BUFFER_DESTROY, buffers[i]);
}

/* ---- compiling ------------------------------------------------------------------------------- */

void mica_xla_program_destroy(void *state, void *pointer) {
  (void)state;
  xla_program *program = pointer;
  if (program == NULL) return;
  const xla_client *client = program->client;
  if (program->constants != NULL)
    destroy_buffers(client, program->constants, program->constant_count);
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
    mica_status status = upload(program->client, node->type, mica_tensor_data(value),
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

static mica_status compile_text(xla_program *program, mica_error *error) {
  const xla_client *client = program->client;
  static const char format[] = "mlir";
  unsigned char options[COMPILE_OPTIONS_SIZE];
  int64_t id;
  mica_status status = device_id(client, &id, error);
  if (status != MICA_OK) return status;
  size_t options_size = compile_options(id, options);
  pjrt_program code = {PJRT_SIZE_OF(pjrt_program, format_size), .code = program->text.data,
                       .code_size = program->text.size, .format = format,
                       .format_size = sizeof(format) - 1};
  pjrt_compile_args args = {PJRT_SIZE_OF(pjrt_compile_args, executable), .client = client->client,
                            .program = &code, .options = (const char *)options,
                            .options_size = options_size};
  status = mica_xla_call(&client->plugin, PJRT_CLIENT_COMPILE, &args, error);
  if (status != MICA_OK) return status;
  program->loaded = args.executable;
  if (program->loaded == NULL)
    return mica_error_set(error, MICA_INTERNAL, "xla:%s: the plugin gave no executable",
                          client->plugin.name);
  return check_output_count(program, error);
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
  xla_program *program = mica_allocate_zeroed(&device->allocator, 1, sizeof(*program));
  if (program == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  program->allocator = device->allocator;
  program->client = client;
  mica_text_init(&program->text, &device->allocator);
  mica_arena_init(&program->memory, &device->allocator);
  mica_status status = MICA_OK;
  bool hosted = client->host_target[0] != '\0', marks = hosted && device->log != NULL;
  if (!mica_graph_init(&program->graph, &device->allocator))
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  if (status == MICA_OK)
    status = mica_xla_lower(graph, &program->graph, (xla_lowering){marks, !client->on_host}, error);
  xla_module module = {.graph = &program->graph,
                       .allocator = device->allocator,
                       .hoist_from = HOIST_FROM,
                       .donate = client->on_host ? donate : 0,
                       .exact = client->exact,
                       .float_convolutions = !client->on_host,
                       .host_target = client->host_target};
  if (status == MICA_OK && hosted) status = list_host_nodes(program, &module, error);
  if (status == MICA_OK) status = mica_xla_module_begin(&module, &program->memory, error);
  if (status == MICA_OK) status = mica_xla_module_write(&module, &program->text, error);
  if (status == MICA_OK) status = keep_module(program, &module, error);
  if (status == MICA_OK) status = compile_text(program, error);
  if (status != MICA_OK) {
    mica_xla_program_destroy(state, program);
    return status;
  }
  *out_program = program;
  return MICA_OK;
}

/* ---- calling --------------------------------------------------------------------------------- */

/* The arrays of one call: on the stack when they are small. */
typedef struct {
  pjrt_buffer **in, **out; /* [in_count + constant_count], [out_count] */
  int64_t *kept;           /* inputs that are not donated */
  size_t kept_count;
  bool donates;
  void *memory;
  size_t memory_size;
  pjrt_buffer *room[2 * CALL_ROOM];
  int64_t kept_room[CALL_ROOM];
} xla_call_frame;

static bool frame_begin(const xla_program *program, xla_call_frame *frame) {
  size_t in = program->in_count + program->constant_count, out = program->out_count;
  frame->kept_count = 0;
  frame->donates = false;
  frame->memory = NULL;
  frame->memory_size = 0;
  if (in <= CALL_ROOM && out <= CALL_ROOM) {
    frame->in = frame->room;
    frame->out = frame->room + CALL_ROOM;
    frame->kept = frame->kept_room;
  } else {
    frame->memory_size = (in + out) * sizeof(pjrt_buffer *) + in * sizeof(int64_t);
    frame->memory = mica_allocate(&program->allocator, frame->memory_size);
    if (frame->memory == NULL) return false;
    frame->kept = frame->memory;
    frame->in = (pjrt_buffer **)(void *)(frame->kept + in);
    frame->out = frame->in + in;
  }
  for (size_t i = 0; i < in; i++) frame->in[i] = NULL;
  for (size_t i = 0; i < out; i++) frame->out[i] = NULL;
  return true;
}

static void frame_end(const xla_program *program, xla_call_frame *frame) {
  destroy_buffers(program->client, frame->in, program->in_count);
  destroy_buffers(program->client, frame->out, program->out_count);
  mica_free(&program->allocator, frame->memory, frame->memory_size);
}

/* Input `i` may become its output in place: the caller says so, and wants it just there. */
static bool donates_input(const xla_program *program, const mica_call *call, size_t i) {
  int32_t index = program->call_index[i], output = program->alias[i];
  return program->client->on_host && output >= 0 && call->donated[index] &&
         call->out[output] == call->in[index] && (uintptr_t)call->in[index] % MICA_ALIGNMENT == 0;
}

static mica_status upload_inputs(const xla_program *program, const mica_call *call,
                                 xla_call_frame *frame, mica_error *error) {
  for (size_t i = 0; i < program->in_count; i++) {
    const void *data = call->in[program->call_index[i]];
    bool donated = donates_input(program, call, i);
    pjrt_host_semantics semantics =
        donated ? PJRT_HOST_MUTABLE_ZERO_COPY
        : program->client->on_host && (uintptr_t)data % MICA_ALIGNMENT == 0 ? PJRT_HOST_ZERO_COPY
                                                                            : PJRT_HOST_DURING_CALL;
    mica_status status =
        upload(program->client, program->in_types[i], data, semantics, &frame->in[i], error);
    if (status != MICA_OK) return status;
    if (!donated) frame->kept[frame->kept_count++] = (int64_t)i;
    frame->donates = frame->donates || donated;
  }
  for (size_t i = 0; i < program->constant_count; i++) {
    frame->in[program->in_count + i] = program->constants[i];
    frame->kept[frame->kept_count++] = (int64_t)(program->in_count + i);
  }
  return MICA_OK;
}

static mica_status launch(const xla_program *program, xla_call_frame *frame, mica_error *error) {
  const xla_plugin *plugin = &program->client->plugin;
  pjrt_event *done = NULL;
  pjrt_execute_options options = {PJRT_SIZE_OF(pjrt_execute_options, incarnations),
                                  .kept = frame->kept, .kept_count = frame->kept_count};
  pjrt_buffer *const *in = frame->in;
  pjrt_buffer **out = frame->out;
  pjrt_execute_args args = {PJRT_SIZE_OF(pjrt_execute_args, device),
                            .executable = program->loaded,
                            .options = &options,
                            .arguments = &in,
                            .device_count = 1,
                            .argument_count = program->in_count + program->constant_count,
                            .outputs = &out,
                            .done = &done};
  mica_status status = mica_xla_call(plugin, PJRT_LOADED_EXECUTE, &args, error);
  return status == MICA_OK ? mica_xla_await(plugin, done, error) : status;
}

/* Whether an output lies dense and row-major in the host's memory. */
static bool lies_plainly(const xla_client *client, pjrt_buffer *buffer, mica_type type) {
  pjrt_buffer_layout_args args = {PJRT_SIZE_OF(pjrt_buffer_layout_args, layout), .buffer = buffer};
  args.layout.struct_size = PJRT_END(pjrt_layout, type);
  if (!client->on_host || mica_dtype_bits(type.dtype) == 4 ||
      !mica_xla_has(&client->plugin, PJRT_BUFFER_LAYOUT) ||
      mica_xla_call(&client->plugin, PJRT_BUFFER_LAYOUT, &args, NULL) != MICA_OK)
    return false;
  const pjrt_tiled *tiled = &args.layout.tiled;
  if (args.layout.type != 0 || tiled->tile_count != 0 ||
      tiled->minor_to_major_size != (size_t)type.shape.rank)
    return false;
  for (int32_t i = 0; i < type.shape.rank; i++)
    if (tiled->minor_to_major[i] != type.shape.rank - 1 - i) return false;
  return buffer_memory(client, buffer) != NULL;
}

/* Layouts belong to the program, so the first call finds out for all. */
static bool outputs_readable(xla_program *program, const xla_call_frame *frame) {
  int32_t known = atomic_load_explicit(&program->readable, memory_order_relaxed);
  if (known != 0) return known > 0;
  bool plain = true;
  for (size_t i = 0; i < program->out_count && plain; i++)
    plain = frame->out[i] != NULL &&
            (byte_size_of(program->out_types[i]) == 0 ||
             lies_plainly(program->client, frame->out[i], program->out_types[i]));
  atomic_store_explicit(&program->readable, plain ? 1 : -1, memory_order_relaxed);
  return plain;
}

static mica_status take_outputs(xla_program *program, const mica_call *call, xla_call_frame *frame,
                                mica_error *error) {
  const xla_client *client = program->client;
  bool readable = outputs_readable(program, frame);
  for (size_t i = 0; i < program->out_count; i++) {
    size_t size = byte_size_of(program->out_types[i]);
    if (frame->out[i] == NULL)
      return mica_error_set(error, MICA_INTERNAL, "xla:%s: output %zu is missing",
                            client->plugin.name, i);
    if (size == 0) continue;
    const void *memory = readable || frame->donates ? buffer_memory(client, frame->out[i]) : NULL;
    if (memory != NULL && memory == call->out[i]) continue;
    if (readable && memory != NULL) {
      memcpy(call->out[i], memory, size);
      continue;
    }
    mica_status status =
        fetch(client, program->out_types[i], frame->out[i], call->out[i], size, error);
    if (status != MICA_OK) return status;
  }
  return MICA_OK;
}

mica_status mica_xla_execute(void *state, void *pointer, const mica_call *call, mica_error *error) {
  (void)state;
  xla_program *program = pointer;
  xla_call_frame frame;
  if (!frame_begin(program, &frame)) {
    if (call->out_intact != NULL) *call->out_intact = true;
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  }
  bool intact = true;
  mica_status status = upload_inputs(program, call, &frame, error);
  if (status == MICA_OK) {
    status = launch(program, &frame, error);
    intact = status != MICA_OK && !frame.donates;
  }
  if (status == MICA_OK) status = take_outputs(program, call, &frame, error);
  frame_end(program, &frame);
  if (status != MICA_OK && intact && call->out_intact != NULL) *call->out_intact = true;
  return status;
}

/* ---- what a program says --------------------------------------------------------------------- */

size_t mica_xla_program_arena_bytes(void *state, const void *pointer) {
  (void)state;
  const xla_program *program = pointer;
  const xla_plugin *plugin = &program->client->plugin;
  pjrt_executable_args args = {PJRT_SIZE_OF(pjrt_executable_args, executable),
                               .loaded = program->loaded};
  if (!mica_xla_has(plugin, PJRT_EXECUTABLE_MEMORY) ||
      mica_xla_call(plugin, PJRT_LOADED_EXECUTABLE, &args, NULL) != MICA_OK)
    return 0;
  pjrt_compiled_memory_args memory = {PJRT_SIZE_OF(pjrt_compiled_memory_args, temporary),
                                      .executable = args.executable};
  mica_status status = mica_xla_call(plugin, PJRT_EXECUTABLE_MEMORY, &memory, NULL);
  mica_xla_destroy(plugin, PJRT_EXECUTABLE_DESTROY, args.executable);
  return status == MICA_OK && memory.temporary > 0 ? (size_t)memory.temporary : 0;
}

int64_t mica_xla_program_format(void *state, const void *pointer, char *text, size_t size) {
  (void)state;
  const xla_program *program = pointer;
  return mica_text_copy(&program->text, text, size);
}
