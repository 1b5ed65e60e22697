/* SPDX-License-Identifier: Apache-2.0 */
/* executable.c: compiling a graph for a device, and the life of the result. Running it is in run.c. */
#include "backend/executable_internal.h"
#include "graph/attributes.h"
#include "graph/custom.h"

#include <string.h>

/* ---- what may be compiled --------------------------------------------------------------------- */

static mica_status unbound_error(const mica_graph *graph, uint32_t read, mica_error *error) {
  const mica_variable_attr *attr = mica_node_at(graph, read)->attr;
  const char *name = attr == NULL || attr->name == NULL ? "" : attr->name;
  return mica_error_set(error, MICA_INVALID,
                        "variable '%s' is not bound: give it by mica_graph_bind", name);
}

static mica_status check_graph(const mica_graph *graph, mica_error *error) {
  if (graph == NULL) return mica_null_error(error, "the graph");
  mica_status status = mica_graph_status(graph, error);
  if (status != MICA_OK) return status;
  bool assigns = false;
  for (uint32_t i = 0; i < graph->variable_count; i++) {
    if (graph->variables[i].variable == NULL)
      return unbound_error(graph, graph->variables[i].read, error);
    assigns = assigns || graph->variables[i].assign != 0;
  }
  if (graph->output_count == 0 && !assigns)
    return mica_error_set(error, MICA_INVALID,
                          "the graph computes nothing: it has no outputs and assigns no variable");
  status = mica_custom_check_bound(graph, error);
  return status == MICA_OK ? mica_graph_verify(graph, error) : status;
}

/* ---- building the executable ------------------------------------------------------------------ */

static mica_status copy_types(mica_arena *arena, const mica_graph *graph, const uint32_t *ids,
                              size_t count, mica_type **out, mica_error *error) {
  *out = mica_arena_allocate_zeroed(arena, count, sizeof(mica_type));
  if (*out == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  for (size_t i = 0; i < count; i++) (*out)[i] = mica_node_at(graph, ids[i])->type;
  return MICA_OK;
}

static void sort_cells(executable_cell *cells, size_t count) {
  for (size_t i = 1; i < count; i++) {
    executable_cell cell = cells[i];
    size_t at = i;
    for (; at > 0 && (uintptr_t)cells[at - 1].variable > (uintptr_t)cell.variable; at--)
      cells[at] = cells[at - 1];
    cells[at] = cell;
  }
}

/* By address. Merging, since a large model has thousands of variables. */
static void merge_cells(executable_cell *cells, size_t count, executable_cell *scratch) {
  if (count <= 16) {
    sort_cells(cells, count);
    return;
  }
  size_t half = count / 2;
  merge_cells(cells, half, scratch);
  merge_cells(cells + half, count - half, scratch);
  memcpy(scratch, cells, half * sizeof(*cells));
  for (size_t left = 0, right = half, at = 0; left < half; at++) {
    bool from_right =
        right < count && (uintptr_t)cells[right].variable < (uintptr_t)scratch[left].variable;
    cells[at] = from_right ? cells[right++] : scratch[left++];
  }
}

/* Marks what something in the graph uses: [graph->count]. */
static void mark_used(const mica_graph *graph, bool *used) {
  for (uint32_t i = 0; i < graph->operand_count; i++) used[graph->operands[i]] = true;
  for (uint32_t i = 0; i < graph->output_count; i++) used[graph->outputs[i]] = true;
  for (uint32_t i = 0; i < graph->variable_count; i++) used[graph->variables[i].assign] = true;
}

static mica_status copy_cells(mica_executable *executable, const mica_graph *graph,
                              mica_error *error) {
  size_t count = graph->variable_count;
  executable_cell *cells =
      mica_arena_allocate_zeroed(&executable->arena, count, sizeof(executable_cell));
  executable_cell *scratch =
      mica_arena_allocate_zeroed(&executable->arena, count, sizeof(executable_cell));
  bool *used = mica_arena_allocate_zeroed(&executable->arena, graph->count, sizeof(bool));
  if (cells == NULL || scratch == NULL || used == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  mark_used(graph, used);
  executable->cells = cells;
  for (size_t i = 0; i < count; i++) {
    const mica_graph_variable *variable = &graph->variables[i];
    if (variable->read == 0 && variable->assign == 0) continue;
    executable_cell *cell = &cells[executable->cell_count++];
    cell->variable = mica_variable_retain(variable->variable);
    cell->read = variable->read != 0 ? (int32_t)executable->call_in_count++ : -1;
    cell->assign = variable->assign != 0 ? (int32_t)executable->call_out_count++ : -1;
    cell->needed = variable->read != 0 && used[variable->read];
  }
  merge_cells(cells, executable->cell_count, scratch);
  return MICA_OK;
}

/* Each output gets the first donated input of its type that no other output has. */
static mica_status plan_forwards(mica_executable *executable, mica_error *error) {
  size_t outputs = executable->output_count;
  executable->forward =
      mica_arena_allocate_zeroed(&executable->arena, outputs, sizeof(*executable->forward));
  if (executable->forward == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  uint64_t left = executable->donate;
  for (size_t i = 0; i < outputs; i++) {
    executable->forward[i] = -1;
    for (uint64_t bits = left; bits != 0; bits &= bits - 1) {
      int input = __builtin_ctzll(bits);
      if (!mica_type_equal(executable->input_types[input], executable->output_types[i])) continue;
      executable->forward[i] = input;
      left &= ~(UINT64_C(1) << input);
      break;
    }
  }
  return MICA_OK;
}

static mica_status make_executable(mica_device *device, mica_executable **out_executable,
                                   mica_error *error) {
  mica_executable *executable = mica_allocate_zeroed(&device->allocator, 1, sizeof(*executable));
  if (executable == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  if (mica_mutex_init(&executable->mutex) != 0) {
    mica_free(&device->allocator, executable, sizeof(*executable));
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no lock for an executable");
  }
  atomic_init(&executable->reference_count, 1);
  atomic_init(&executable->spare, NULL);
  mica_arena_init(&executable->arena, &device->allocator);
  executable->device = mica_device_retain(device);
  *out_executable = executable;
  return MICA_OK;
}

/* The program is there: how it is called. */
static void own_program(mica_executable *executable, void *program) {
  const mica_backend *backend = &executable->device->backend;
  executable->program = program;
  executable->on_tensors = backend->execute_tensors != NULL &&
                           (backend->takes_tensors == NULL ||
                            backend->takes_tensors(executable->device->state, program));
}

mica_status mica_executable_of_program(mica_device *device, void *program,
                                       const mica_type *in_types, size_t in_count,
                                       const mica_type *out_types, size_t out_count,
                                       uint64_t donate, mica_executable **out_executable,
                                       mica_error *error) {
  mica_executable *executable = NULL;
  mica_status status = make_executable(device, &executable, error);
  if (status != MICA_OK) return status;
  executable->input_count = executable->call_in_count = in_count;
  executable->output_count = executable->call_out_count = out_count;
  executable->input_types =
      mica_arena_allocate_zeroed(&executable->arena, in_count, sizeof(mica_type));
  executable->output_types =
      mica_arena_allocate_zeroed(&executable->arena, out_count, sizeof(mica_type));
  if (executable->input_types == NULL || executable->output_types == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  for (size_t i = 0; i < in_count && status == MICA_OK; i++)
    executable->input_types[i] = in_types[i];
  for (size_t i = 0; i < out_count && status == MICA_OK; i++)
    executable->output_types[i] = out_types[i];
  executable->donate = in_count < 64 ? donate & ((UINT64_C(1) << in_count) - 1) : donate;
  if (status == MICA_OK) status = plan_forwards(executable, error);
  if (status != MICA_OK) {
    mica_executable_release(executable);
    return status;
  }
  own_program(executable, program);
  *out_executable = executable;
  return MICA_OK;
}

mica_status mica_compile(mica_device *device, mica_graph *graph, uint64_t donate,
                         mica_executable **out_executable, mica_error *error) {
  if (out_executable == NULL) return mica_null_error(error, "out_executable");
  *out_executable = NULL;
  mica_executable *executable = NULL;
  void *program = NULL;
  mica_status status = mica_device_check(device, error);
  if (status == MICA_OK) status = check_graph(graph, error);
  if (status == MICA_OK) status = make_executable(device, &executable, error);
  if (status != MICA_OK) return status;
  executable->input_count = executable->call_in_count = graph->parameter_count;
  executable->output_count = executable->call_out_count = graph->output_count;
  if (graph->parameter_count < 64) donate &= (UINT64_C(1) << graph->parameter_count) - 1;
  executable->donate = donate;
  status = copy_types(&executable->arena, graph, graph->parameters, graph->parameter_count,
                      &executable->input_types, error);
  if (status == MICA_OK)
    status = copy_types(&executable->arena, graph, graph->outputs, graph->output_count,
                        &executable->output_types, error);
  if (status == MICA_OK) status = copy_cells(executable, graph, error);
  if (status == MICA_OK) status = plan_forwards(executable, error);
  if (status == MICA_OK)
    status = device->backend.compile(device->state, device, graph, donate, &program, error);
  if (status != MICA_OK) {
    mica_executable_release(executable);
    return status;
  }
  own_program(executable, program);
  *out_executable = executable;
  return MICA_OK;
}

/* ---- life ------------------------------------------------------------------------------------- */

mica_executable *mica_executable_retain(mica_executable *executable) {
  if (executable != NULL)
    atomic_fetch_add_explicit(&executable->reference_count, 1, memory_order_relaxed);
  return executable;
}

static void free_frame(mica_executable *executable, call_frame *frame) {
  if (frame == NULL) return;
  mica_text_deinit(&frame->marks.text);
  mica_free(&executable->device->allocator, frame, executable->frame_size);
}

void mica_executable_release(mica_executable *executable) {
  if (executable == NULL) return;
  if (atomic_fetch_sub_explicit(&executable->reference_count, 1, memory_order_acq_rel) != 1) return;
  mica_device *device = executable->device;
  /* In a forked child the backend may wait for threads that do not exist. */
  bool usable = device->process == mica_process_id();
  if (executable->program != NULL && device->backend.program_destroy != NULL && usable)
    device->backend.program_destroy(device->state, executable->program);
  free_frame(executable, atomic_load(&executable->spare));
  while (executable->frames != NULL) {
    call_frame *frame = executable->frames;
    executable->frames = frame->next;
    free_frame(executable, frame);
  }
  for (size_t i = 0; i < executable->cell_count; i++)
    mica_variable_release(executable->cells[i].variable);
  mica_arena_deinit(&executable->arena);
  mica_mutex_deinit(&executable->mutex);
  mica_free(&device->allocator, executable, sizeof(*executable));
  mica_device_release(device);
}

/* ---- what it says about itself ---------------------------------------------------------------- */

size_t mica_executable_input_count(const mica_executable *executable) {
  return executable == NULL ? 0 : executable->input_count;
}

size_t mica_executable_output_count(const mica_executable *executable) {
  return executable == NULL ? 0 : executable->output_count;
}

mica_type mica_executable_input_type(const mica_executable *executable, size_t index) {
  if (executable == NULL || index >= executable->input_count) return (mica_type){0};
  return executable->input_types[index];
}

mica_type mica_executable_output_type(const mica_executable *executable, size_t index) {
  if (executable == NULL || index >= executable->output_count) return (mica_type){0};
  return executable->output_types[index];
}

size_t mica_executable_arena_bytes(const mica_executable *executable) {
  if (executable == NULL || executable->device->backend.program_arena_bytes == NULL) return 0;
  return executable->device->backend.program_arena_bytes(executable->device->state,
                                                         executable->program);
}

static int64_t empty_text(char *text, size_t size) {
  if (size > 0) text[0] = '\0';
  return 0;
}

int64_t mica_executable_format(const mica_executable *executable, char *text, size_t size) {
  if (executable == NULL || executable->device->backend.program_format == NULL)
    return empty_text(text, size);
  return executable->device->backend.program_format(executable->device->state, executable->program,
                                                    text, size);
}

static int64_t profile_text(mica_executable *executable, bool trace, char *text, size_t size) {
  if (executable == NULL) return empty_text(text, size);
  if (executable->device->backend.program_profile == NULL) {
    mica_text out;
    mica_text_init(&out, &executable->device->allocator);
    if (trace)
      mica_profile_nothing(&out, true);
    else
      mica_text_format(&out, "no profile: backend '%s' does not measure its steps\n",
                       executable->device->backend.name);
    return mica_text_deliver(&out, text, size);
  }
  return executable->device->backend.program_profile(executable->device->state, executable->program,
                                                     trace, text, size);
}

int64_t mica_executable_profile(mica_executable *executable, char *text, size_t size) {
  return profile_text(executable, false, text, size);
}

int64_t mica_executable_trace(mica_executable *executable, char *text, size_t size) {
  return profile_text(executable, true, text, size);
}
