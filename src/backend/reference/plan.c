/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: which nodes run, in which order, and where their values lie.
 *
 * Time is the id of a node. A region's nodes have ids below its owner's and above everything that the
 * owner's operands need, and no region runs twice at once, so every value of the whole graph can have one
 * fixed place: it lives from its id to its last use, or to the owner's id when it is a result of a region.
 * What an owner keeps while its regions run (results, loop states) lives from the first region on. */
#include "graph/custom.h"
#include "backend/reference/program_internal.h"

#include <string.h>

typedef struct {
  size_t size;
  uint32_t birth, death;
  size_t *out_offset; /* where the offset goes */
} planned_buffer;

typedef struct {
  reference_program *program;
  const mica_graph *graph;
  bool *needed;       /* [count] */
  uint32_t *last_use; /* [count] */
  planned_buffer *buffers;
  size_t buffer_count, buffer_capacity;
  mica_error *error;
} plan_work;

static mica_status plan_memory_error(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
}

/* ---- what runs -------------------------------------------------------------------------------- */

static void use_at(plan_work *work, uint32_t id, uint32_t time) {
  uint32_t result, owner = mica_owner_of_result(work->graph, id, &result);
  work->needed[owner] = true;
  if (work->last_use[id] < time) work->last_use[id] = time;
}

/* Marks from the outputs backwards; an owner comes after its regions, so one pass does it. */
static void mark_needed_steps(plan_work *work) {
  const mica_graph *graph = work->graph;
  for (uint32_t i = 0; i < work->program->out_count; i++)
    use_at(work, work->program->outputs[i], graph->count);
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_op_def *def = mica_op_definition((mica_op)mica_node_at(graph, id)->op);
    if (!def->effect) continue;
    work->needed[id] = true;
    for (uint32_t region = mica_node_at(graph, id)->region; region != 0;
         region = graph->regions[region].parent)
      work->needed[graph->regions[region].owner] = true;
  }
  for (uint32_t id = graph->count; id-- > 1;) {
    const mica_node *node = mica_node_at(graph, id);
    if (!work->needed[id] || node->op == MICA_OP_RESULT) continue;
    for (uint32_t i = 0; i < node->operand_count; i++)
      use_at(work, mica_node_operands(graph, node)[i], id);
    for (uint32_t r = 0; r < node->region_count; r++) {
      const mica_region_data *region = mica_node_region(graph, node, r);
      for (uint32_t i = 0; i < region->result_count; i++) use_at(work, region->results[i], id);
    }
  }
}

static bool is_step(const plan_work *work, uint32_t id) {
  const mica_node *node = mica_node_at(work->graph, id);
  if (!work->needed[id]) return false;
  switch ((mica_op)node->op) {
    case MICA_OP_PARAMETER:
    case MICA_OP_ARGUMENT:
    case MICA_OP_CONSTANT:
    case MICA_OP_VARIABLE:
    case MICA_OP_RESULT: return false;
    default: return true;
  }
}

static mica_status list_steps(plan_work *work) {
  reference_program *program = work->program;
  const mica_graph *graph = work->graph;
  program->regions =
      mica_arena_allocate_zeroed(&program->memory, graph->region_count, sizeof(reference_list));
  program->steps =
      mica_arena_allocate_zeroed(&program->memory, graph->count, sizeof(*program->steps));
  if (program->regions == NULL || program->steps == NULL) return plan_memory_error(work->error);
  for (uint32_t id = 1; id < graph->count; id++)
    if (is_step(work, id)) program->regions[mica_node_at(graph, id)->region].count++;
  uint32_t at = 0;
  for (uint32_t i = 0; i < graph->region_count; i++) {
    program->regions[i].first = at;
    at += program->regions[i].count;
    program->regions[i].count = 0;
  }
  for (uint32_t id = 1; id < graph->count; id++) {
    if (!is_step(work, id)) continue;
    reference_list *list = &program->regions[mica_node_at(graph, id)->region];
    program->steps[list->first + list->count++] = id;
  }
  return MICA_OK;
}

/* ---- buffers ---------------------------------------------------------------------------------- */

static mica_status want_buffer(plan_work *work, mica_type type, uint32_t birth, uint32_t death,
                               size_t *out_offset) {
  if (work->buffer_count == work->buffer_capacity) {
    size_t capacity = work->buffer_capacity == 0 ? 64 : 2 * work->buffer_capacity;
    planned_buffer *grown =
        mica_arena_allocate_zeroed(&work->program->memory, capacity, sizeof(*grown));
    if (grown == NULL) return plan_memory_error(work->error);
    if (work->buffer_count > 0) memcpy(grown, work->buffers, work->buffer_count * sizeof(*grown));
    work->buffers = grown;
    work->buffer_capacity = capacity;
  }
  size_t size;
  if (!mica_type_byte_size(type, &size) || !mica_size_add(size, size == 0, &size) ||
      !mica_size_align(size, MICA_ALIGNMENT, &size))
    return mica_error_set(work->error, MICA_OUT_OF_MEMORY, "a value is too large");
  work->buffers[work->buffer_count++] = (planned_buffer){size, birth, death, out_offset};
  return MICA_OK;
}

/* The time from which an owner's own buffers are in use. */
static uint32_t owner_begin(const mica_graph *graph, const mica_node *node, uint32_t id) {
  for (uint32_t r = 0; r < node->region_count; r++) {
    uint32_t begin = mica_node_region(graph, node, r)->begin;
    if (begin < id) id = begin;
  }
  return id;
}

static mica_status plan_node(plan_work *work, uint32_t id) {
  reference_program *program = work->program;
  const mica_graph *graph = work->graph;
  const mica_node *node = mica_node_at(graph, id);
  mica_op op = (mica_op)node->op;
  if (node->region_count == 0 && mica_reference_row(op)->kernel == NULL && !mica_is_custom(op))
    return mica_error_set(work->error, MICA_UNSUPPORTED,
                          "operator %s has no kernel on the reference backend",
                          mica_op_definition(op)->name);
  uint32_t birth = owner_begin(graph, node, id);
  bool loop = op == MICA_OP_WHILE || op == MICA_OP_SCAN;
  uint32_t states = op == MICA_OP_SCAN ? (uint32_t)((const mica_scan_attr *)node->attr)->carry_count
                                       : node->result_count;
  mica_status status = MICA_OK;
  for (uint32_t i = 0; i < node->result_count && status == MICA_OK; i++) {
    mica_type type = mica_node_at(graph, id + i)->type;
    uint32_t death = work->last_use[id + i] > id ? work->last_use[id + i] : id;
    status = want_buffer(work, type, birth, death, &program->offset[id + i]);
    if (status == MICA_OK && loop && i < states)
      status = want_buffer(work, type, birth, id, &program->second[id + i]);
  }
  if (op == MICA_OP_SCAN) {
    const mica_region_data *body = mica_node_region(graph, node, 0);
    for (uint32_t i = states; i < body->declared_count && status == MICA_OK; i++) {
      uint32_t argument = body->arguments[i];
      status = want_buffer(work, mica_node_at(graph, argument)->type, birth, id,
                           &program->offset[argument]);
    }
  }
  if (node->operand_count > program->widest) program->widest = node->operand_count;
  return status;
}

/* ---- placing ---------------------------------------------------------------------------------- */

typedef struct {
  size_t begin, end;
  uint32_t death;
} placed_buffer;

/* The lowest gap among the live buffers, which are sorted by place. */
static bool place_buffer(placed_buffer *live, size_t *live_count, const planned_buffer *buffer,
                         size_t *arena_bytes) {
  size_t begin = 0, at = 0, end;
  while (at < *live_count && live[at].begin - begin < buffer->size) begin = live[at++].end;
  if (!mica_size_add(begin, buffer->size, &end)) return false;
  memmove(live + at + 1, live + at, (*live_count - at) * sizeof(*live));
  live[at] = (placed_buffer){begin, end, buffer->death};
  (*live_count)++;
  *buffer->out_offset = begin + 1;
  if (end > *arena_bytes) *arena_bytes = end;
  return true;
}

/* Buffers in the order of their births, and for each time the dead ones go first. */
static mica_status place_buffers(plan_work *work) {
  reference_program *program = work->program;
  uint32_t count = work->graph->count;
  size_t total = work->buffer_count, live_count = 0;
  uint32_t *begin = mica_arena_allocate_zeroed(&program->memory, (size_t)count + 2, sizeof(*begin));
  planned_buffer **sorted = mica_arena_allocate_zeroed(&program->memory, total, sizeof(*sorted));
  placed_buffer *live = mica_arena_allocate_zeroed(&program->memory, total + 1, sizeof(*live));
  if (begin == NULL || sorted == NULL || live == NULL) return plan_memory_error(work->error);
  for (size_t i = 0; i < total; i++) begin[work->buffers[i].birth + 1]++;
  for (uint32_t time = 1; time <= count + 1; time++) begin[time] += begin[time - 1];
  for (size_t i = 0; i < total; i++) {
    planned_buffer *buffer = &work->buffers[i];
    sorted[begin[buffer->birth]++] = buffer;
  }
  uint32_t now = 0;
  for (size_t i = 0; i < total; i++) {
    if (sorted[i]->birth > now) {
      now = sorted[i]->birth;
      size_t kept = 0;
      for (size_t k = 0; k < live_count; k++)
        if (live[k].death >= now) live[kept++] = live[k];
      live_count = kept;
    }
    if (!place_buffer(live, &live_count, sorted[i], &program->arena_bytes))
      return mica_error_set(work->error, MICA_OUT_OF_MEMORY, "the values are too large");
  }
  return MICA_OK;
}

static mica_status plan_scratch(plan_work *work) {
  reference_program *program = work->program;
  size_t most = 0;
  for (uint32_t id = 1; id < work->graph->count; id++) {
    size_t size;
    const mica_node *node = mica_node_at(work->graph, id);
    if (!is_step(work, id) || node->region_count > 0 || mica_is_custom((mica_op)node->op)) continue;
    if (!mica_reference_scratch(work->graph, id, &size))
      return mica_error_set(work->error, MICA_OUT_OF_MEMORY, "a value is too large");
    if (size > most) most = size;
  }
  program->scratch = program->arena_bytes;
  if (!mica_size_add(program->arena_bytes, most, &program->arena_bytes))
    return mica_error_set(work->error, MICA_OUT_OF_MEMORY, "the values are too large");
  return MICA_OK;
}

/* ---- the whole -------------------------------------------------------------------------------- */

/* Inputs and outputs in the order of the call: parameters and variables read; outputs and assigned. */
static mica_status list_call(plan_work *work) {
  reference_program *program = work->program;
  const mica_graph *graph = work->graph;
  size_t inputs = (size_t)graph->parameter_count + graph->variable_count;
  size_t outputs = (size_t)graph->output_count + graph->variable_count;
  program->inputs = mica_arena_allocate_zeroed(&program->memory, inputs, sizeof(uint32_t));
  program->outputs = mica_arena_allocate_zeroed(&program->memory, outputs, sizeof(uint32_t));
  program->staging = mica_arena_allocate_zeroed(&program->memory, outputs, sizeof(size_t));
  program->offset = mica_arena_allocate_zeroed(&program->memory, graph->count, sizeof(size_t));
  program->second = mica_arena_allocate_zeroed(&program->memory, graph->count, sizeof(size_t));
  work->needed = mica_arena_allocate_zeroed(&program->memory, graph->count, sizeof(bool));
  work->last_use = mica_arena_allocate_zeroed(&program->memory, graph->count, sizeof(uint32_t));
  if (program->inputs == NULL || program->outputs == NULL || program->staging == NULL ||
      program->offset == NULL || program->second == NULL || work->needed == NULL ||
      work->last_use == NULL)
    return plan_memory_error(work->error);
  for (uint32_t i = 0; i < graph->parameter_count; i++)
    program->inputs[program->in_count++] = graph->parameters[i];
  for (uint32_t i = 0; i < graph->variable_count; i++)
    if (graph->variables[i].read != 0)
      program->inputs[program->in_count++] = graph->variables[i].read;
  for (uint32_t i = 0; i < graph->output_count; i++)
    program->outputs[program->out_count++] = graph->outputs[i];
  for (uint32_t i = 0; i < graph->variable_count; i++)
    if (graph->variables[i].assign != 0)
      program->outputs[program->out_count++] = graph->variables[i].assign;
  return MICA_OK;
}

static mica_status check_depth(const mica_graph *graph, mica_error *error) {
  for (uint32_t i = 0; i < graph->region_count; i++) {
    int depth = 0;
    for (uint32_t region = i; region != 0; region = graph->regions[region].parent)
      if (++depth > MICA_REFERENCE_DEPTH)
        return mica_error_set(error, MICA_UNSUPPORTED, "blocks are nested more than %d deep",
                              MICA_REFERENCE_DEPTH);
  }
  return MICA_OK;
}

mica_status mica_reference_plan(reference_program *program, mica_error *error) {
  const mica_graph *graph = &program->graph;
  plan_work work = {.program = program, .graph = graph, .error = error};
  mica_status status = check_depth(graph, error);
  if (status == MICA_OK) status = list_call(&work);
  if (status != MICA_OK) return status;
  mark_needed_steps(&work);
  status = list_steps(&work);
  for (uint32_t id = 1; id < graph->count && status == MICA_OK; id++)
    if (is_step(&work, id)) status = plan_node(&work, id);
  for (uint32_t i = 0; i < program->out_count && status == MICA_OK; i++) {
    mica_op op = (mica_op)mica_node_at(graph, program->outputs[i])->op;
    if (op != MICA_OP_PARAMETER && op != MICA_OP_VARIABLE) continue;
    mica_type type = mica_node_at(graph, program->outputs[i])->type;
    status = want_buffer(&work, type, graph->count, graph->count, &program->staging[i]);
  }
  if (status == MICA_OK) status = place_buffers(&work);
  if (status == MICA_OK) status = plan_scratch(&work);
  return status;
}
