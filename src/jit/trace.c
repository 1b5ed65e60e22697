/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: one trace from its parameters to an executable, and the calls that keep nothing. */
#include "graph/attributes.h"
#include "jit/jit_internal.h"

#include <inttypes.h>

mica_status mica_jit_trace_begin(mica_device *device, const jit_key *key, mica_graph **out_graph,
                                 mica_error *error) {
  mica_graph *graph;
  *out_graph = NULL;
  mica_status status = mica_device_trace_begin(device, &graph, error);
  if (status != MICA_OK) return status;
  mica_type storage;
  for (size_t i = 0; i < key->count; i++)
    mica_parameter(graph, *mica_jit_key_type(key, i, &storage));
  status = mica_graph_status(graph, error);
  if (status == MICA_OK)
    *out_graph = graph;
  else
    mica_device_trace_end(device, graph);
  return status;
}

mica_value mica_jit_parameter(mica_graph *trace, size_t index) {
  MICA_ENTRY(trace);
  if (trace == NULL || trace->status != MICA_OK) return mica_no_value(trace);
  if (index >= trace->parameter_count)
    return mica_fail(trace, MICA_INVALID, "jit_parameter: there is no input %zu, only %" PRIu32,
                     index, trace->parameter_count);
  return mica_value_of(trace, trace->parameters[index]);
}

/* The whole trace; on success it is to be ended. */
static mica_status build_trace(mica_device *device, const jit_key *key, mica_build *build,
                               void *user, size_t outputs, mica_graph **out_graph,
                               mica_error *error) {
  mica_graph *graph;
  mica_status status = mica_jit_trace_begin(device, key, &graph, error);
  if (status != MICA_OK) return status;
  mica_allocator allocator = mica_device_allocator(device);
  size_t count;
  mica_value *values = NULL;
  if (mica_size_add(key->count, outputs, &count))
    values = mica_allocate_zeroed(&allocator, count, sizeof(mica_value));
  if (values == NULL) {
    mica_device_trace_end(device, graph);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a trace");
  }
  for (size_t i = 0; i < key->count; i++) values[i] = mica_jit_parameter(graph, i);
  build(graph, values, values + key->count, user);
  graph->caller = (const void *)(uintptr_t)build; /* what is found missing now is missing there */
  mica_graph_set_outputs(graph, values + key->count, outputs);
  mica_free(&allocator, values, count * sizeof(mica_value));
  *out_graph = graph;
  return MICA_OK;
}

mica_status mica_jit_trace_build(mica_device *device, const jit_key *key, mica_build *build,
                                 void *user, size_t outputs, uint64_t donate,
                                 mica_executable **out_executable, mica_error *error) {
  *out_executable = NULL;
  mica_graph *graph;
  mica_status status = build_trace(device, key, build, user, outputs, &graph, error);
  if (status != MICA_OK) return status;
  status = mica_compile(device, graph, donate, out_executable, error);
  mica_device_trace_end(device, graph);
  return status;
}

mica_status mica_jit_stablehlo(mica_jit *jit, const mica_type *in, size_t count, char *text,
                               size_t size, size_t *out_length, mica_error *error) {
  jit_key key = {.types = in, .count = count};
  mica_graph *graph;
  if (out_length != NULL) *out_length = 0;
  if (size > 0) text[0] = '\0';
  mica_status status = mica_jit_check(jit, &key, error);
  if (status != MICA_OK) return status;
  if (jit->build == NULL) return mica_null_error(error, "the function that builds");
  status = build_trace(jit->device, &key, jit->build, jit->user, jit->outputs, &graph, error);
  if (status != MICA_OK) return status;
  status = mica_graph_status(graph, error);
  if (status == MICA_OK) status = mica_backend_stablehlo(graph, text, size, out_length, error);
  mica_device_trace_end(jit->device, graph);
  return status;
}

mica_status mica_call_once(mica_device *device, mica_build *build, void *user,
                           mica_tensor *const *in, size_t in_count, mica_tensor **out,
                           size_t out_count, mica_error *error) {
  if (build == NULL) return mica_null_error(error, "the function that builds");
  jit_key key = {.tensors = in, .count = in_count};
  mica_jit jit = {.device = device, .inputs = in_count}; /* for the check alone */
  mica_status status = mica_jit_check(&jit, &key, error);
  if (status != MICA_OK) return status;
  mica_executable *executable;
  status = mica_jit_trace_build(device, &key, build, user, out_count, 0, &executable, error);
  if (status != MICA_OK) return status;
  status = mica_executable_run(executable, in, in_count, out, out_count, error);
  mica_executable_release(executable);
  return status;
}

/* ---- one value -------------------------------------------------------------------------------- */

typedef struct {
  const mica_graph *from;
  mica_graph *to;
  bool *needed;       /* [id] */
  mica_value *values; /* [id] what stands for it in `to` */
  mica_error *error;
} evaluation;

/* The index of an argument among its open region's captures, -1 for a declared one. */
static int64_t capture_index(const mica_graph *graph, uint32_t id) {
  const mica_region_data *region = &graph->regions[mica_node_at(graph, id)->region];
  for (uint32_t i = region->declared_count; i < region->argument_count; i++)
    if (region->arguments[i] == id) return (int64_t)i - region->declared_count;
  return -1;
}

static mica_status need_operands(const evaluation *work, uint32_t id) {
  const mica_graph *graph = work->from;
  const mica_node *node = mica_node_at(graph, id);
  switch ((mica_op)node->op) {
    case MICA_OP_RESULT: work->needed[id - node->result_count] = true; return MICA_OK;
    case MICA_OP_PARAMETER:
      return mica_error_set(work->error, MICA_INVALID,
                            "the value depends on input %" PRId64 ", which has no value here",
                            ((const mica_parameter_attr *)node->attr)->index);
    case MICA_OP_ARGUMENT: {
      int64_t capture = capture_index(graph, id);
      if (capture < 0)
        return mica_error_set(work->error, MICA_INVALID,
                              "the value depends on an argument of a block that is not closed");
      work->needed[graph->regions[node->region].captures[capture]] = true;
      return MICA_OK;
    }
    default: break;
  }
  for (uint32_t i = 0; i < node->operand_count; i++)
    work->needed[mica_node_operands(graph, node)[i]] = true;
  return MICA_OK;
}

static mica_status rebuild_node(const evaluation *work, uint32_t id, mica_value *operands) {
  const mica_graph *graph = work->from;
  const mica_node *node = mica_node_at(graph, id);
  if (node->op == MICA_OP_RESULT) return MICA_OK;
  if (node->op == MICA_OP_ARGUMENT) {
    const mica_region_data *region = &graph->regions[node->region];
    int64_t capture = capture_index(graph, id);
    mica_variable *variable = region->capture_variables[capture];
    work->values[id] = variable != NULL ? mica_variable_read(work->to, variable)
                                        : work->values[region->captures[capture]];
    return MICA_OK;
  }
  if (node->op == MICA_OP_VARIABLE) {
    const mica_variable_attr *attr = node->attr;
    if (attr->variable == NULL)
      return mica_error_set(work->error, MICA_INVALID, "variable '%s' is not bound", attr->name);
    work->values[id] = mica_variable_read(work->to, attr->variable);
    return MICA_OK;
  }
  for (uint32_t i = 0; i < node->operand_count; i++)
    operands[i] = work->values[mica_node_operands(graph, node)[i]];
  mica_replay_node(work->to, graph, id, operands, NULL, NULL, &work->values[id]);
  return MICA_OK;
}

/* Rebuilds what `id` depends on in the empty graph. */
static mica_status rebuild_value(const evaluation *work, uint32_t id) {
  const mica_graph *graph = work->from;
  uint32_t most = 0;
  work->needed[id] = true;
  for (uint32_t i = id; i > 0; i--) {
    if (!work->needed[i]) continue;
    mica_status status = need_operands(work, i);
    if (status != MICA_OK) return status;
    if (mica_node_at(graph, i)->operand_count > most) most = mica_node_at(graph, i)->operand_count;
  }
  mica_allocator allocator = work->to->allocator;
  mica_value *operands = mica_allocate_zeroed(&allocator, most, sizeof(mica_value));
  if (operands == NULL)
    return mica_error_set(work->error, MICA_OUT_OF_MEMORY, "no memory to evaluate a value");
  mica_status status = MICA_OK;
  for (uint32_t i = 1; i <= id && status == MICA_OK; i++)
    if (work->needed[i]) status = rebuild_node(work, i, operands);
  mica_free(&allocator, operands, most * sizeof(mica_value));
  return status;
}

static mica_status check_value(mica_value value, mica_error *error) {
  if (value.graph == NULL)
    return mica_error_set(error, MICA_INVALID, "the value to evaluate is {0}");
  if (value.graph->status != MICA_OK) return mica_graph_status(value.graph, error);
  char why[MICA_MESSAGE_SIZE];
  if (!mica_value_usable(value.graph, value, why, sizeof(why)))
    return mica_error_set(error, MICA_INVALID, "the value to evaluate: %s", why);
  return MICA_OK;
}

mica_status mica_evaluate(mica_device *device, mica_value value, mica_tensor **out,
                          mica_error *error) {
  if (out == NULL) return mica_null_error(error, "out");
  *out = NULL;
  mica_graph *trace = NULL;
  mica_status status = check_value(value, error);
  if (status == MICA_OK) status = mica_device_trace_begin(device, &trace, error);
  if (status != MICA_OK) return status;
  mica_allocator allocator = mica_device_allocator(device);
  /* A node's results lie behind it: the last one may have a higher id than the value. */
  size_t count = value.graph->count;
  evaluation work = {.from = value.graph, .to = trace, .error = error};
  work.needed = mica_allocate_zeroed(&allocator, count, sizeof(bool));
  work.values = mica_allocate_zeroed(&allocator, count, sizeof(mica_value));
  if (work.needed == NULL || work.values == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to evaluate a value");
  if (status == MICA_OK) status = rebuild_value(&work, value.id);
  mica_executable *executable = NULL;
  if (status == MICA_OK) {
    mica_graph_set_outputs(trace, &work.values[value.id], 1);
    status = mica_compile(device, trace, 0, &executable, error);
  }
  mica_free(&allocator, work.needed, count * sizeof(bool));
  mica_free(&allocator, work.values, count * sizeof(mica_value));
  mica_device_trace_end(device, trace);
  if (status == MICA_OK) status = mica_executable_run(executable, NULL, 0, out, 1, error);
  mica_executable_release(executable);
  return status;
}
