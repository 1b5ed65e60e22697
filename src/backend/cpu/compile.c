/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c: from a verified graph to a program: passes, lowering, memory plan, and the final arrays. */
#include "backend/cpu/evaluate.h"
#include "backend/cpu/manual.h"
#include "backend/cpu/products_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- passes ----------------------------------------------------------------------------------- */

/* Composites that the engine takes whole; the others are expanded. */
static bool keep_composite(void *context, const mica_graph *graph, uint32_t id) {
  (void)context;
  return mica_plan_takes(graph, id);
}

static mica_status pass_expand(const mica_graph *from, mica_graph *to, mica_error *error) {
  return mica_pass_expand(from, to, keep_composite, NULL, error);
}

static mica_status pass_expand_all(const mica_graph *from, mica_graph *to, mica_error *error) {
  return mica_pass_expand(from, to, NULL, NULL, error);
}

static const struct {
  const char *name;
  mica_status (*run)(const mica_graph *from, mica_graph *to, mica_error *error);
  bool (*is_needed)(const mica_graph *graph); /* NULL: always */
} compile_passes[] = {
    {"expand", pass_expand, NULL},          {"widen", mica_cpu_pass_widen, mica_cpu_has_halves},
    {"simplify", mica_pass_simplify, NULL}, {"share", mica_pass_share, NULL},
    {"drop", mica_pass_drop, NULL},
};
enum { COMPILE_PASS_COUNT = sizeof(compile_passes) / sizeof(compile_passes[0]) };

/* Writes `text` to <folder>/program<n>-<k>-<name>.txt; failures are ignored: it is for people. */
static void dump_text(const mica_cpu_device *device, uint32_t number, int order, const char *name,
                      const char *text, int64_t length) {
  char path[640];
  int size = snprintf(path, sizeof(path), "%s/program%03u-%d-%s.txt", device->dump,
                      (unsigned)number, order, name);
  if (size > 0 && (size_t)size < sizeof(path))
    (void)mica_file_write_atomic(path, text, (size_t)length);
}

static void dump_graph(const mica_cpu_device *device, uint32_t number, int order, const char *name,
                       const mica_graph *graph) {
  if (number == UINT32_MAX) return;
  int64_t length = mica_graph_format(graph, NULL, 0);
  char *text = length < 0 ? NULL : mica_allocate(&device->allocator, (size_t)length + 1);
  if (text == NULL) return;
  mica_graph_format(graph, text, (size_t)length + 1);
  dump_text(device, number, order, name, text, length);
  mica_free(&device->allocator, text, (size_t)length + 1);
}

static void dump_program(const mica_cpu_program *program, uint32_t number) {
  const mica_cpu_device *device = program->device;
  if (number == UINT32_MAX) return;
  int64_t length = mica_cpu_format(NULL, program, NULL, 0);
  char *text = length < 0 ? NULL : mica_allocate(&device->allocator, (size_t)length + 1);
  if (text == NULL) return;
  mica_cpu_format(NULL, program, text, (size_t)length + 1);
  dump_text(device, number, COMPILE_PASS_COUNT + 2, "steps", text, length);
  mica_free(&device->allocator, text, (size_t)length + 1);
}

/* Leaves the last graph in `out`, which is initialized and empty. */
static mica_status run_passes(const mica_cpu_device *device, const mica_graph *graph,
                              mica_graph *out, uint32_t number, mica_error *error) {
  mica_graph between[2];
  dump_graph(device, number, 0, "given", graph);
  if (!mica_graph_init(&between[0], &device->allocator))
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  if (!mica_graph_init(&between[1], &device->allocator)) {
    mica_graph_deinit(&between[0]);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  }
  mica_status status = MICA_OK;
  const mica_graph *from = graph;
  for (int i = 0, made = 0; i < COMPILE_PASS_COUNT && status == MICA_OK; i++) {
    if (compile_passes[i].is_needed && !compile_passes[i].is_needed(from)) continue;
    mica_graph *to = i + 1 == COMPILE_PASS_COUNT ? out : &between[made % 2];
    if (to != out && made++ >= 2) mica_graph_reset(to);
    bool all = i == 0 && device->device->expand;
    status = all ? pass_expand_all(from, to, error) : compile_passes[i].run(from, to, error);
    if (status == MICA_OK) dump_graph(device, number, i + 1, compile_passes[i].name, to);
    from = to;
  }
  mica_graph_deinit(&between[0]);
  mica_graph_deinit(&between[1]);
  return status;
}

/* ---- inputs, outputs, constants --------------------------------------------------------------- */

static void bind_input(mica_plan *plan, uint32_t id, uint32_t index) {
  mica_view_dense(&plan->values[id].view, 1 + index, mica_plan_type(plan, id).shape);
}

/* Inputs are the parameters, then the variables that the given graph reads; outputs are its outputs, then
 * the variables that it assigns. Passes keep the list of variables, but may drop a read. */
static void bind_inputs(mica_plan *plan, const mica_graph *given) {
  mica_cpu_program *program = plan->program;
  const mica_graph *graph = plan->graph;
  program->in_count = given->parameter_count;
  for (uint32_t i = 0; i < given->variable_count; i++)
    program->in_count += given->variables[i].read != 0;
  program->in_bytes =
      mica_plan_allocate(plan, (size_t)program->in_count + 1, sizeof(*program->in_bytes));
  if (program->in_bytes == NULL) return;
  uint32_t index = 0;
  for (uint32_t i = 0; i < given->parameter_count; i++)
    program->in_bytes[index++] = mica_plan_bytes(plan, given->nodes[given->parameters[i]].type);
  for (uint32_t i = 0; i < given->variable_count; i++)
    if (given->variables[i].read != 0)
      program->in_bytes[index++] =
          mica_plan_bytes(plan, given->nodes[given->variables[i].read].type);
  plan->in_kept =
      mica_arena_allocate_zeroed(&plan->arena, (size_t)program->in_count + 1, sizeof(bool));
  if (plan->in_kept == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  for (index = 0; index < program->in_count; index++)
    mica_plan_storage(plan, MICA_STORAGE_INPUT, index, program->in_bytes[index]);
  for (uint32_t i = 0; i < graph->parameter_count; i++) bind_input(plan, graph->parameters[i], i);
  index = given->parameter_count;
  for (uint32_t i = 0; i < given->variable_count && mica_plan_good(plan); i++) {
    if (given->variables[i].read == 0) continue;
    if (graph->variables[i].read != 0) bind_input(plan, graph->variables[i].read, index);
    plan->in_kept[index++] = given->variables[i].assign == 0;
  }
}

static void bind_constants(mica_plan *plan) {
  mica_cpu_program *program = plan->program;
  const mica_graph *graph = plan->graph;
  for (uint32_t id = 1; id < graph->count; id++)
    program->constant_count += graph->nodes[id].op == MICA_OP_CONSTANT;
  program->constants =
      mica_plan_allocate(plan, (size_t)program->constant_count + 1, sizeof(*program->constants));
  uint32_t index = 0;
  for (uint32_t id = 1; id < graph->count && mica_plan_good(plan); id++) {
    if (graph->nodes[id].op != MICA_OP_CONSTANT) continue;
    const mica_constant_attr *attr = graph->nodes[id].attr;
    mica_type type = mica_plan_type(plan, id);
    program->constants[index] = mica_tensor_data(attr->value);
    uint32_t storage =
        mica_plan_storage(plan, MICA_STORAGE_CONSTANT, index++, mica_plan_bytes(plan, type));
    mica_view_dense(&plan->values[id].view, storage, type.shape);
  }
}

/* The id of output `index` of a call. */
static uint32_t output_id(const mica_plan *plan, const mica_graph *given, uint32_t index) {
  const mica_graph *graph = plan->graph;
  if (index < graph->output_count) return graph->outputs[index];
  index -= graph->output_count;
  for (uint32_t i = 0; i < given->variable_count; i++)
    if (given->variables[i].assign != 0 && index-- == 0) return graph->variables[i].assign;
  return 0;
}

/* A variable's new value may lie over the old one, an output over a donated input of its type: the pairs
 * are those that mica_executable_run makes by itself. */
static void pair_outputs(mica_plan *plan, const mica_graph *given, uint64_t donate) {
  mica_cpu_program *program = plan->program;
  program->donates = donate != 0;
  program->out_count = given->output_count;
  for (uint32_t i = 0; i < given->variable_count; i++)
    program->out_count += given->variables[i].assign != 0;
  program->out_pair =
      mica_plan_allocate(plan, (size_t)program->out_count + 1, sizeof(*program->out_pair));
  if (program->out_pair == NULL) return;
  for (uint32_t out = 0; out < program->out_count; out++) program->out_pair[out] = MICA_PLAN_NONE;
  for (uint32_t out = 0; out < given->output_count; out++)
    for (uint64_t left = donate; left != 0; left &= left - 1) {
      uint32_t in = (uint32_t)__builtin_ctzll(left);
      if (in >= given->parameter_count) break;
      if (!mica_type_equal(given->nodes[given->parameters[in]].type,
                           given->nodes[given->outputs[out]].type))
        continue;
      program->out_pair[out] = in;
      donate &= ~(UINT64_C(1) << in);
      break;
    }
  uint32_t in = given->parameter_count, out = given->output_count;
  for (uint32_t i = 0; i < given->variable_count; i++) {
    const mica_graph_variable *variable = &given->variables[i];
    if (variable->assign != 0) program->out_pair[out++] = variable->read != 0 ? in : MICA_PLAN_NONE;
    in += variable->read != 0;
  }
}

/* Copies the results to the outputs, mostly to be joined away. What an input holds is saved first when
 * another output may lie over it. */
static void copy_outputs(mica_plan *plan, const mica_graph *given) {
  mica_cpu_program *program = plan->program;
  uint32_t count = program->out_count;
  mica_view *from = mica_arena_allocate(&plan->arena, ((size_t)count + 1) * sizeof(*from));
  if (from == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  for (uint32_t out = 0; out < count && mica_plan_good(plan); out++) {
    uint32_t id = output_id(plan, given, out);
    mica_type type = mica_plan_type(plan, id);
    mica_plan_ensure(plan, id);
    from[out] = mica_plan_place(plan, id);
    if (mica_dtype_bits(type.dtype) < 8) from[out] = mica_plan_dense(plan, id);
    if (!mica_plan_good(plan)) return;
    const mica_storage *storage = &plan->storages[from[out].storage];
    if (storage->kind != MICA_STORAGE_INPUT) continue;
    bool whole = from[out].offset == 0 && mica_view_is_dense(&from[out], type.shape);
    bool clobbered = false;
    for (uint32_t other = 0; other < count; other++)
      if (program->out_pair[other] == storage->index && (other != out || !whole)) clobbered = true;
    if (!clobbered) continue;
    mica_view saved;
    mica_view_dense(&saved,
                    mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type)),
                    type.shape);
    mica_plan_copy(plan, id, type.dtype, type.shape, from[out], saved);
    from[out] = saved;
  }
  for (uint32_t out = 0; out < count && mica_plan_good(plan); out++) {
    uint32_t id = output_id(plan, given, out);
    mica_type type = mica_plan_type(plan, id);
    mica_view to;
    mica_view_dense(&to,
                    mica_plan_storage(plan, MICA_STORAGE_OUTPUT, out, mica_plan_bytes(plan, type)),
                    type.shape);
    mica_plan_copy(plan, id, type.dtype, type.shape, from[out], to);
  }
}

/* ---- the final arrays ------------------------------------------------------------------------- */

static uint32_t slot_of(const mica_plan *plan, const mica_storage *storage) {
  const mica_cpu_program *program = plan->program;
  switch (storage->kind) {
    case MICA_STORAGE_INPUT: return 1 + storage->index;
    case MICA_STORAGE_OUTPUT: return 1 + program->in_count + storage->index;
    case MICA_STORAGE_CONSTANT: return 1 + program->in_count + program->out_count + storage->index;
    case MICA_STORAGE_ITEM:
    case MICA_STORAGE_EMIT: return mica_plan_window_slot(plan, storage->index);
    default: return MICA_CPU_ARENA_SLOT;
  }
}

static void finish_step(mica_plan *plan, const mica_plan_step *from, uint32_t at) {
  mica_cpu_program *program = plan->program;
  uint32_t first = from->reference_first;
  program->steps[at] = (mica_cpu_step){from->run, from->argument, &program->references[first]};
  program->infos[at] = (mica_cpu_step_info){.label = from->label,
                                            .node = from->node,
                                            .reference_first = first,
                                            .reference_count = from->reference_count,
                                            .bytes = from->bytes,
                                            .flops = from->flops};
  program->cost += from->cost;
  for (uint32_t i = first; i < first + from->reference_count; i++) {
    const mica_plan_reference *reference = &plan->references[i];
    const mica_storage *storage = &plan->storages[mica_plan_class(plan, reference->storage)];
    size_t offset = storage->kind == MICA_STORAGE_ARENA ? storage->offset : 0;
    program->references[i] =
        (mica_cpu_reference){slot_of(plan, storage), offset + reference->offset};
    program->reference_infos[i] =
        (mica_cpu_reference_info){reference->mode == MICA_PLAN_READ, reference->value};
  }
}

static void finish_program(mica_plan *plan) {
  mica_cpu_program *program = plan->program;
  size_t steps = (size_t)plan->step_count + 1, references = (size_t)plan->reference_count + 1;
  program->steps = mica_plan_allocate(plan, steps, sizeof(*program->steps));
  program->infos = mica_plan_allocate(plan, steps, sizeof(*program->infos));
  program->references = mica_plan_allocate(plan, references, sizeof(*program->references));
  program->reference_infos =
      mica_plan_allocate(plan, references, sizeof(*program->reference_infos));
  uint32_t *moved = mica_arena_allocate(&plan->arena, steps * sizeof(*moved));
  if (moved == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  if (!mica_plan_good(plan)) return;
  uint32_t count = 0;
  for (uint32_t i = 0; i < plan->step_count; i++) {
    moved[i] = count;
    if (!plan->steps[i].dropped) finish_step(plan, &plan->steps[i], count++);
  }
  moved[plan->step_count] = count;
  program->step_count = count;
  for (uint32_t i = 0; i < plan->target_count; i++) *plan->targets[i] = moved[*plan->targets[i]];
  program->slot_count = mica_plan_window_slot(plan, plan->window_count);
  program->counter_count = plan->counter_count;
  program->pointer_count = plan->pointer_count;
}

uint32_t mica_plan_window_slot(const mica_plan *plan, uint32_t window) {
  const mica_cpu_program *program = plan->program;
  return 1 + program->in_count + program->out_count + program->constant_count + window;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static mica_status build_program(mica_cpu_program *program, const mica_graph *given,
                                 uint64_t donate, mica_error *error) {
  mica_plan plan;
  if (mica_plan_init(&plan, program, error)) {
    bind_inputs(&plan, given);
    pair_outputs(&plan, given, donate);
    bind_constants(&plan);
    mica_plan_fuse(&plan);
    mica_plan_region(&plan, 0);
    copy_outputs(&plan, given);
    mica_plan_join(&plan);
    mica_plan_assign(&plan);
    finish_program(&plan);
  }
  mica_plan_deinit(&plan);
  return plan.status;
}

/* Constant values of the passed graph are computed, and what only they needed is dropped. */
static mica_status evaluate_program(mica_cpu_program *program, uint32_t number, mica_error *error) {
  mica_cpu_device *engine = program->engine;
  mica_graph evaluated;
  if (!mica_graph_init(&evaluated, &engine->allocator)) {
    mica_graph_deinit(&evaluated);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  }
  mica_status status =
      mica_cpu_evaluate(engine, &program->graph, &evaluated, &program->evaluated_bytes, error);
  if (status == MICA_OK && program->evaluated_bytes > 0) {
    mica_graph_reset(&program->graph);
    status = mica_pass_drop(&evaluated, &program->graph, error);
    if (status == MICA_OK)
      dump_graph(engine, number, COMPILE_PASS_COUNT + 1, "evaluate", &program->graph);
  }
  mica_graph_deinit(&evaluated);
  return status;
}

/* number: of the texts that are dumped; UINT32_MAX: none are. */
static mica_status compile_program(mica_cpu_device *engine, const mica_graph *graph,
                                   uint64_t donate, bool evaluate, uint32_t number,
                                   void **out_program, mica_error *error) {
  *out_program = NULL;
  mica_cpu_program *program = mica_allocate_zeroed(&engine->allocator, 1, sizeof(*program));
  if (program == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a program");
  program->allocator = engine->allocator;
  program->device = program->engine = engine;
  mica_arena_init(&program->memory, &engine->allocator);
  bool good = mica_mutex_init(&program->mutex) == 0;
  if (good && !mica_graph_init(&program->graph, &engine->allocator)) {
    mica_mutex_deinit(&program->mutex);
    good = false;
  }
  if (!good) {
    mica_free(&engine->allocator, program, sizeof(*program));
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a program");
  }
  for (int i = 0; i < MICA_CPU_CONTEXT_LIMIT; i++) atomic_init(&program->contexts[i], NULL);
  mica_status status = run_passes(engine, graph, &program->graph, number, error);
  if (status == MICA_OK && evaluate) status = evaluate_program(program, number, error);
  if (status == MICA_OK) status = build_program(program, graph, donate, error);
  if (status != MICA_OK) {
    mica_cpu_program_destroy(engine, program);
    return status;
  }
  dump_program(program, number);
  *out_program = program;
  return MICA_OK;
}

mica_status mica_cpu_compile_plain(mica_cpu_device *engine, const mica_graph *graph,
                                   void **out_program, mica_error *error) {
  return compile_program(engine, graph, 0, false, UINT32_MAX, out_program, error);
}

mica_status mica_cpu_compile_block(mica_cpu_device *engine, const mica_graph *graph,
                                   void **out_program, mica_error *error) {
  return compile_program(engine, graph, 0, true, UINT32_MAX, out_program, error);
}

mica_status mica_cpu_compile(void *state, mica_device *device, const mica_graph *graph,
                             uint64_t donate, void **out_program, mica_error *error) {
  mica_cpu_device *engine = state;
  (void)device;
  uint32_t number = engine->dump[0] == '\0' ? UINT32_MAX : atomic_fetch_add(&engine->dump_count, 1);
  return compile_program(engine, graph, donate, true, number, out_program, error);
}
