/* SPDX-License-Identifier: Apache-2.0 */
/* manual.c: manual regions on N engines in one process.
 *
 * The region's block is compiled to a program of its own, and every device of the mesh is a context of it: an
 * arena, counters, a place in the steps. A context that comes to a collective stops there, which costs nothing,
 * since the state of a run is its context. When all contexts have stopped or ended, the groups whose members
 * all stand at the same collective exchange, and go on. So there is no thread that waits: the device's threads run
 * as many contexts as they can, nothing depends on timing, and contexts that would wait for each other forever
 * are seen at once and are an error. A failure of one device ends the region. */
#include "backend/cpu/manual.h"
#include "backend/collective.h"

#include <inttypes.h>
#include <string.h>

/* An operand or a result: the whole array and a device's part of it. */
typedef struct {
  mica_shape whole, part;
  mica_mesh_sharding sharding;
  size_t item, part_bytes;
} manual_value;

typedef struct {
  void *program; /* of the block */
  mica_cpu_device *engine;
  mica_mesh_axes mesh;
  manual_value *in, *out;
  uint32_t in_count, out_count;
  size_t device_bytes; /* of scratch for each device: the parts, and what manual_device describes */
} manual_argument;

typedef struct {
  mica_collective collective;
} collective_argument;

/* One device of a run, at the begin of its scratch memory; behind it lie its addresses and parts. */
typedef struct {
  mica_cpu_context *context; /* NULL: none, or ended */
  mica_status status;
  mica_call call;
  struct mica_call_marks marks;
  mica_error error;
  const void **in;
  void **out;
} manual_device;

typedef struct {
  const manual_argument *argument;
  const mica_cpu_step *step;
  mica_cpu_context *outer;
  char *scratch;
} manual_run;

static manual_device *device_at(const manual_run *run, int64_t index) {
  return (manual_device *)(void *)(run->scratch + (size_t)index * run->argument->device_bytes);
}

/* ---- the steps of collectives ----------------------------------------------------------------- */

/* Stops here: the loop of steps ends, and goes on behind this step when the group has exchanged. */
static mica_status run_collective_step(const mica_cpu_step *step, mica_cpu_context *context) {
  context->waits = step;
  context->resume = context->next;
  context->next = context->program->step_count;
  return MICA_OK;
}

static mica_status run_axis_index(const mica_cpu_step *step, mica_cpu_context *context) {
  const collective_argument *argument = step->argument;
  int32_t position = (int32_t)mica_mesh_group_position(
      &argument->collective.mesh, &argument->collective.group, context->mesh_device);
  memcpy(mica_cpu_address(step, context, 0), &position, sizeof(position));
  return MICA_OK;
}

static void plan_collective(mica_plan *plan, uint32_t id) {
  collective_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  const mica_node *node = mica_node_at(plan->graph, id);
  if (argument == NULL) return;
  mica_collective_read(plan->graph, id, &argument->collective);
  if (node->op == MICA_OP_AXIS_INDEX) {
    mica_plan_step_add(plan, run_axis_index, argument, id);
    mica_plan_result(plan, id);
    return;
  }
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  mica_view view = mica_plan_dense(plan, operand);
  mica_plan_step_add(plan, run_collective_step, argument, id);
  mica_plan_read(plan, operand, view);
  mica_plan_result(plan, id)->value = 0; /* it comes later: nobody looks for NaN in it here */
  mica_plan_cost(plan, 0, (int64_t)mica_plan_bytes(plan, node->type), 1000);
}

/* ---- running ---------------------------------------------------------------------------------- */

/* Where a part is cut to, or comes from: in the scratch of its device. */
static void *part_place(const manual_run *run, int64_t device, uint32_t index) {
  const manual_argument *argument = run->argument;
  char *at = run->scratch + (size_t)device * argument->device_bytes +
             mica_manual_header(argument->in_count, argument->out_count);
  for (uint32_t i = 0; i < index; i++)
    at += i < argument->in_count ? argument->in[i].part_bytes
                                 : argument->out[i - argument->in_count].part_bytes;
  return at;
}

/* The part lies in the whole array as it is: no copy. */
static bool lies_there(const manual_value *value, const int64_t *begin, size_t *out_offset) {
  int64_t first;
  bool run = mica_mesh_is_run(value->whole, value->part, begin, &first);
  *out_offset = (size_t)first * value->item;
  return run && *out_offset % MICA_ALIGNMENT == 0;
}

/* Gives device `index` its context and its parts. */
static void begin_device(void *pointer, int64_t index, int32_t worker) {
  const manual_run *run = pointer;
  const manual_argument *argument = run->argument;
  manual_device *device = device_at(run, index);
  int64_t begin[MICA_MAX_RANK];
  size_t offset;
  (void)worker;
  memset(device, 0, sizeof(*device));
  device->in = (const void **)(void *)(device + 1);
  device->out = (void **)(void *)(device->in + argument->in_count);
  for (uint32_t i = 0; i < argument->in_count; i++) {
    const manual_value *value = &argument->in[i];
    const char *whole = mica_cpu_address(run->step, run->outer, i);
    mica_mesh_part_begin(&argument->mesh, &value->sharding, value->part, index, begin);
    if (lies_there(value, begin, &offset)) {
      device->in[i] = whole + offset;
      continue;
    }
    void *part = part_place(run, index, i);
    mica_mesh_cut(value->whole, value->part, begin, value->item, whole, part);
    device->in[i] = part;
  }
  for (uint32_t i = 0; i < argument->out_count; i++) {
    const manual_value *value = &argument->out[i];
    char *whole = mica_cpu_address(run->step, run->outer, argument->in_count + i);
    mica_mesh_part_begin(&argument->mesh, &value->sharding, value->part, index, begin);
    bool own = mica_mesh_is_first(&argument->mesh, &value->sharding, index);
    device->out[i] = own && lies_there(value, begin, &offset)
                         ? whole + offset
                         : part_place(run, index, argument->in_count + i);
  }
  const mica_call *outer = run->outer->call;
  mica_text_init(&device->marks.text, &argument->engine->allocator);
  device->call =
      (mica_call){.struct_size = sizeof(mica_call),
                  .in = device->in,
                  .out = device->out,
                  .in_count = argument->in_count,
                  .out_count = argument->out_count,
                  .marks = outer != NULL && outer->marks != NULL ? &device->marks : NULL};
  device->context = mica_cpu_context_take(argument->program);
  if (device->context == NULL) {
    device->status = mica_error_set(&device->error, MICA_OUT_OF_MEMORY, "no memory for an arena");
    return;
  }
  device->context->mesh_device = index;
  device->context->waits = NULL;
  device->context->next = 0;
  device->status =
      mica_cpu_context_begin(argument->program, device->context, &device->call, &device->error);
}

/* To its next collective, or to its end. */
static void advance_device(void *pointer, int64_t index, int32_t worker) {
  const manual_run *run = pointer;
  manual_device *device = device_at(run, index);
  (void)worker;
  if (device->status != MICA_OK || device->context->waits != NULL) return;
  if (device->context->next >= device->context->program->step_count) return;
  device->status = mica_cpu_context_run(device->context);
}

typedef struct {
  const mica_collective *collective;
  const void *const *in;
  void *const *out;
  int64_t pieces;
} exchange_job;

static void exchange_piece(void *pointer, int64_t piece, int32_t worker) {
  const exchange_job *job = pointer;
  (void)worker;
  mica_collective_run(job->collective, job->in, job->out, piece, job->pieces);
}

/* The group of a device that waits: exchanges when every member waits at the same step. */
static bool exchange_group(const manual_run *run, int64_t index) {
  enum { EXCHANGE_BYTES = 1 << 16 };
  const mica_cpu_step *step = device_at(run, index)->context->waits;
  const mica_collective *collective = &((const collective_argument *)step->argument)->collective;
  const void *in[MICA_MESH_DEVICES];
  void *out[MICA_MESH_DEVICES];
  int64_t size = collective->group.size;
  for (int64_t m = 0; m < size; m++) {
    int64_t member = mica_mesh_group_member(&collective->mesh, &collective->group, index, m);
    mica_cpu_context *context = device_at(run, member)->context;
    if (context->waits != step) return false;
    in[m] = mica_cpu_address(step, context, 0);
    out[m] = mica_cpu_address(step, context, 1);
  }
  exchange_job job = {collective, in, out, size};
  size_t bytes = (size_t)mica_shape_count(collective->in) * collective->item;
  if (collective->op == MICA_OP_ALL_REDUCE)
    job.pieces = bytes <= EXCHANGE_BYTES ? 1 : (int64_t)(bytes / EXCHANGE_BYTES) + 1;
  const mica_parallel *parallel =
      bytes <= EXCHANGE_BYTES ? &mica_cpu_serial : &run->outer->parallel;
  parallel->run(parallel->self, job.pieces, exchange_piece, &job);
  for (int64_t m = 0; m < size; m++) {
    int64_t member = mica_mesh_group_member(&collective->mesh, &collective->group, index, m);
    mica_cpu_context *context = device_at(run, member)->context;
    context->waits = NULL;
    context->next = context->resume;
  }
  return true;
}

/* "all_reduce in encoder/layer1", where a device stands. */
static void describe_wait(const manual_run *run, int64_t index, mica_text *text) {
  const mica_cpu_context *context = device_at(run, index)->context;
  if (context->waits == NULL) {
    mica_text_format(text, "device %" PRId64 " has ended", index);
    return;
  }
  const mica_cpu_program *program = context->program;
  const mica_node *node =
      mica_node_at(&program->graph, program->infos[context->waits - program->steps].node);
  const char *scope = mica_scope_text(&program->graph, node->scope);
  mica_text_format(text, "device %" PRId64 " waits in %s%s%.100s", index,
                   mica_op_definition((mica_op)node->op)->name, scope[0] != '\0' ? " of " : "",
                   scope);
}

static mica_status disagreement(const manual_run *run, int64_t waiting, mica_error *error) {
  const mica_mesh_axes *mesh = &run->argument->mesh;
  const mica_cpu_step *step = device_at(run, waiting)->context->waits;
  const mica_collective *collective = &((const collective_argument *)step->argument)->collective;
  mica_text text;
  mica_text_init(&text, &run->argument->engine->allocator);
  describe_wait(run, waiting, &text);
  for (int64_t m = 0; m < collective->group.size; m++) {
    int64_t member = mica_mesh_group_member(mesh, &collective->group, waiting, m);
    if (device_at(run, member)->context->waits == step) continue;
    mica_text_append(&text, ", but ");
    describe_wait(run, member, &text);
    break;
  }
  mica_status status = mica_error_set(error, MICA_INVALID,
                                      "the devices of a manual region disagree: %.400s; every "
                                      "device of a group has to come to the same collectives",
                                      text.data == NULL ? "" : text.data);
  mica_text_deinit(&text);
  return status;
}

/* All groups that are complete exchange. Sets *out_more when somebody can go on. */
static mica_status exchange_all(const manual_run *run, bool *out_more, mica_error *error) {
  int64_t count = run->argument->mesh.device_count, waiting = -1;
  *out_more = false;
  for (int64_t d = 0; d < count; d++) {
    const manual_device *device = device_at(run, d);
    if (device->status != MICA_OK)
      return mica_error_set(error, device->status, "device %" PRId64 " of a mesh: %.900s", d,
                            device->error.message);
  }
  for (int64_t d = 0; d < count; d++) {
    if (device_at(run, d)->context->waits == NULL) continue;
    if (exchange_group(run, d))
      *out_more = true;
    else
      waiting = d;
  }
  return waiting >= 0 && !*out_more ? disagreement(run, waiting, error) : MICA_OK;
}

/* What lies in scratch memory goes to its place; contexts rest again. */
static void end_device(void *pointer, int64_t index, int32_t worker) {
  const manual_run *run = pointer;
  const manual_argument *argument = run->argument;
  manual_device *device = device_at(run, index);
  (void)worker;
  for (uint32_t i = 0; i < argument->out_count; i++) {
    const manual_value *value = &argument->out[i];
    int64_t begin[MICA_MAX_RANK];
    size_t offset;
    if (!mica_mesh_is_first(&argument->mesh, &value->sharding, index)) continue;
    mica_mesh_part_begin(&argument->mesh, &value->sharding, value->part, index, begin);
    if (lies_there(value, begin, &offset)) continue;
    mica_mesh_paste(value->whole, value->part, begin, value->item, device->out[i],
                    mica_cpu_address(run->step, run->outer, argument->in_count + i));
  }
}

static void clean_up(const manual_run *run) {
  const manual_argument *argument = run->argument;
  for (int64_t d = 0; d < argument->mesh.device_count; d++) {
    manual_device *device = device_at(run, d);
    const mica_call *outer = run->outer->call;
    if (device->context != NULL) mica_cpu_context_end(argument->program, device->context);
    const mica_text *text = &device->marks.text;
    if (outer != NULL && outer->marks != NULL && text->size > 0)
      mica_text_append_bytes(&outer->marks->text, text->data, text->size);
    mica_text_deinit(&device->marks.text);
  }
}

static mica_status run_manual(const mica_cpu_step *step, mica_cpu_context *context) {
  const manual_argument *argument = step->argument;
  manual_run run = {argument, step, context,
                    mica_cpu_address(step, context, argument->in_count + argument->out_count)};
  const mica_parallel *parallel = &context->parallel;
  int64_t count = argument->mesh.device_count;
  parallel->run(parallel->self, count, begin_device, &run);
  mica_status status = MICA_OK;
  for (bool more = true; more && status == MICA_OK;) {
    parallel->run(parallel->self, count, advance_device, &run);
    status = exchange_all(&run, &more, context->error);
  }
  if (status == MICA_OK) parallel->run(parallel->self, count, end_device, &run);
  clean_up(&run);
  return status;
}

/* ---- planning --------------------------------------------------------------------------------- */

size_t mica_manual_header(uint32_t in_count, uint32_t out_count) {
  size_t size = sizeof(manual_device) + ((size_t)in_count + out_count) * sizeof(void *);
  return (size + MICA_ALIGNMENT - 1) / MICA_ALIGNMENT * MICA_ALIGNMENT;
}

static void release_program(void *object) {
  mica_cpu_program *program = object;
  mica_cpu_program_destroy(program->engine, program);
}

/* The block as a graph: its arguments are parameters, its results outputs. */
static mica_status compile_block(mica_plan *plan, uint32_t id, manual_argument *argument) {
  const mica_graph *from = plan->graph;
  const mica_node *node = mica_node_at(from, id);
  const mica_region_data *region = mica_node_region(from, node, 0);
  mica_graph block;
  mica_status status = MICA_OUT_OF_MEMORY;
  if (mica_graph_init(&block, &plan->allocator)) {
    size_t count = (size_t)region->argument_count + region->result_count + 1;
    mica_value *values = mica_arena_allocate_zeroed(&block.arena, count, sizeof(*values));
    if (values != NULL) {
      for (uint32_t i = 0; i < region->argument_count; i++)
        values[i] = mica_parameter(&block, from->nodes[region->arguments[i]].type);
      mica_value *results = values + region->argument_count;
      mica_replay(&block, from, from->owned[node->region_first], values, NULL, NULL, results);
      mica_graph_set_outputs(&block, results, region->result_count);
      status = mica_graph_status(&block, plan->error);
      if (status == MICA_OK)
        status = mica_cpu_compile_block(argument->engine, &block, &argument->program, plan->error);
    }
  }
  mica_graph_deinit(&block);
  if (status != MICA_OK) return mica_plan_fail(plan, status, "a manual region cannot be compiled");
  if (!mica_plan_own(plan, release_program, argument->program)) return MICA_OUT_OF_MEMORY;
  return MICA_OK;
}

/* Of operand or result `index`, whose part has a type; "" as the list: whole on every device. */
static bool describe_value(mica_plan *plan, const manual_argument *argument, const char *list,
                           size_t index, mica_type whole, mica_shape part, manual_value *out) {
  *out = (manual_value){
      .whole = whole.shape, .part = part, .item = (size_t)mica_dtype_bits(whole.dtype) / 8};
  if (!mica_manual_sharding(&argument->mesh, list, index, whole.shape.rank, &out->sharding)) {
    mica_plan_fail(plan, MICA_INTERNAL, "a manual region lacks a sharding");
    return false;
  }
  size_t bytes = mica_plan_bytes(plan, (mica_type){whole.dtype, part});
  if (!mica_size_align(bytes, MICA_ALIGNMENT, &out->part_bytes))
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "a part is too large");
  return mica_plan_good(plan);
}

static bool describe_values(mica_plan *plan, uint32_t id, manual_argument *argument) {
  const mica_graph *graph = plan->graph;
  const mica_node *node = mica_node_at(graph, id);
  const mica_manual_attr *attr = node->attr;
  const mica_region_data *region = mica_node_region(graph, node, 0);
  const uint32_t *operands = mica_node_operands(graph, node);
  size_t all = mica_manual_header(argument->in_count, argument->out_count);
  char message[MICA_MESSAGE_SIZE];
  if (!mica_mesh_parse(attr->mesh, &argument->mesh, message)) {
    mica_plan_fail(plan, MICA_INVALID, "%s", message);
    return false;
  }
  for (uint32_t i = 0; i < argument->in_count; i++) {
    bool declared = i < node->declared_count;
    mica_shape part = mica_plan_type(plan, region->arguments[i]).shape;
    if (!describe_value(plan, argument, declared ? attr->in : "", declared ? i : 0,
                        mica_plan_type(plan, operands[i]), part, &argument->in[i]) ||
        !mica_size_add(all, argument->in[i].part_bytes, &all))
      return false;
  }
  for (uint32_t i = 0; i < argument->out_count; i++) {
    mica_shape part = mica_plan_type(plan, region->results[i]).shape;
    if (!describe_value(plan, argument, attr->out, i, mica_plan_type(plan, id + i), part,
                        &argument->out[i]) ||
        !mica_size_add(all, argument->out[i].part_bytes, &all))
      return false;
  }
  argument->device_bytes = all;
  return true;
}

static void plan_manual(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  manual_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view *views =
      mica_arena_allocate(&plan->arena, ((size_t)node->operand_count + 1) * sizeof(*views));
  if (views == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  if (!mica_plan_good(plan)) return;
  argument->engine = plan->program->engine;
  argument->in_count = node->operand_count;
  argument->out_count = mica_node_region(plan->graph, node, 0)->result_count;
  argument->in = mica_plan_allocate(plan, (size_t)argument->in_count + 1, sizeof(manual_value));
  argument->out = mica_plan_allocate(plan, (size_t)argument->out_count + 1, sizeof(manual_value));
  if (!mica_plan_good(plan) || !describe_values(plan, id, argument)) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  if (compile_block(plan, id, argument) != MICA_OK) return;
  size_t scratch;
  if (!mica_size_multiply((size_t)argument->mesh.device_count, argument->device_bytes, &scratch))
    scratch = SIZE_MAX;
  for (uint32_t i = 0; i < argument->in_count; i++) views[i] = mica_plan_dense(plan, operands[i]);
  mica_plan_step_add(plan, run_manual, argument, id);
  for (uint32_t i = 0; i < argument->in_count; i++) mica_plan_read(plan, operands[i], views[i]);
  for (uint32_t i = 0; i < argument->out_count; i++) mica_plan_result(plan, id + i);
  mica_plan_scratch(plan, scratch);
  const mica_cpu_program *program = argument->program;
  mica_plan_cost(plan, 0, 0, argument->mesh.device_count * (program->cost + 1000));
}

bool mica_plan_devices(mica_plan *plan, uint32_t id) {
  mica_op op = (mica_op)mica_node_at(plan->graph, id)->op;
  if (op == MICA_OP_MANUAL)
    plan_manual(plan, id);
  else if (mica_is_collective(op))
    plan_collective(plan, id);
  else
    return false;
  return true;
}

static bool has_whole_bytes(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  for (uint32_t i = 0; i < node->operand_count; i++)
    if (mica_dtype_bits(graph->nodes[mica_node_operands(graph, node)[i]].type.dtype) < 8)
      return false;
  for (uint32_t i = 0; i < node->result_count; i++)
    if (mica_dtype_bits(graph->nodes[id + i].type.dtype) < 8) return false;
  return true;
}

/* Parts of 4-bit elements could begin inside of a byte: then the region is expanded. */
bool mica_manual_fits(const mica_graph *graph, uint32_t id) {
  const mica_region_data *region = mica_node_region(graph, mica_node_at(graph, id), 0);
  for (uint32_t inside = region->begin; inside < region->end; inside++)
    if (mica_is_collective((mica_op)graph->nodes[inside].op) && !has_whole_bytes(graph, inside))
      return false;
  return has_whole_bytes(graph, id);
}
