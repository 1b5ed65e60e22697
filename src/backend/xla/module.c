/* SPDX-License-Identifier: Apache-2.0 */
/* module.c: what goes into a module and comes out: inputs that something reads, outputs, constants
 * that are too large for a text, and which output may take an input's memory. */
#include "backend/xla/mesh.h"
#include "graph/attributes.h"

#include <string.h>

mica_type mica_xla_boundary_type(mica_type type) {
  if (type.dtype == MICA_I4) type.dtype = MICA_I8;
  if (type.dtype == MICA_U4) type.dtype = MICA_U8;
  return type;
}

/* Marks what something in the graph uses. */
static void mark_module_uses(const mica_graph *graph, bool *used) {
  for (uint32_t i = 0; i < graph->operand_count; i++) used[graph->operands[i]] = true;
  for (uint32_t i = 0; i < graph->output_count; i++) used[graph->outputs[i]] = true;
  for (uint32_t i = 0; i < graph->variable_count; i++) used[graph->variables[i].assign] = true;
  for (uint32_t r = 0; r < graph->region_count; r++)
    for (uint32_t i = 0; i < graph->regions[r].result_count; i++)
      used[graph->regions[r].results[i]] = true;
}

static void add_module_input(xla_module *module, uint32_t id, int32_t index, bool used,
                             int32_t alias) {
  if (!used) return;
  module->inputs[module->input_count] = id;
  module->call_index[module->input_count] = index;
  bool packed = mica_dtype_bits(mica_node_at(module->graph, id)->type.dtype) == 4;
  module->alias[module->input_count++] = packed ? -1 : alias;
}

/* The output that takes the memory of donated parameter `index`: as executable.c deals them out, each
 * output gets the first donated input of its type that no other one has. */
static void alias_parameters(const xla_module *module, int32_t *alias) {
  const mica_graph *graph = module->graph;
  for (uint32_t i = 0; i < graph->parameter_count; i++) alias[i] = -1;
  for (uint32_t k = 0; k < graph->output_count; k++) {
    mica_type type = mica_node_at(graph, graph->outputs[k])->type;
    for (uint32_t i = 0; i < graph->parameter_count && i < 64; i++) {
      if ((module->donate >> i & 1) == 0 || alias[i] >= 0) continue;
      if (!mica_type_equal(mica_node_at(graph, graph->parameters[i])->type, type)) continue;
      alias[i] = (int32_t)k;
      break;
    }
  }
}

static void list_inputs(xla_module *module, const bool *used, int32_t *alias) {
  const mica_graph *graph = module->graph;
  int32_t index = 0, output = (int32_t)graph->output_count;
  alias_parameters(module, alias);
  for (uint32_t i = 0; i < graph->parameter_count; i++, index++)
    add_module_input(module, graph->parameters[i], index, used[graph->parameters[i]], alias[i]);
  for (uint32_t i = 0; i < graph->output_count; i++)
    module->outputs[module->output_count++] = graph->outputs[i];
  for (uint32_t i = 0; i < graph->variable_count; i++) {
    const mica_graph_variable *variable = &graph->variables[i];
    if (variable->read != 0) {
      add_module_input(module, variable->read, index, used[variable->read],
                       variable->assign != 0 ? output : -1);
      index++;
    }
    if (variable->assign != 0) {
      module->outputs[module->output_count++] = variable->assign;
      output++;
    }
  }
}

static bool too_large_for_text(const xla_module *module, uint32_t id) {
  const mica_node *node = mica_node_at(module->graph, id);
  if (node->op != MICA_OP_CONSTANT || module->hoist_from == 0) return false;
  return mica_tensor_byte_size(((const mica_constant_attr *)node->attr)->value) >=
         module->hoist_from;
}

mica_status mica_xla_module_begin(xla_module *module, mica_arena *arena, mica_error *error) {
  const mica_graph *graph = module->graph;
  size_t inputs = (size_t)graph->parameter_count + graph->variable_count, constants = 0;
  size_t outputs = (size_t)graph->output_count + graph->variable_count;
  for (uint32_t id = 1; id < graph->count; id++) constants += too_large_for_text(module, id);
  module->inputs = mica_arena_allocate_zeroed(arena, inputs, sizeof(*module->inputs));
  module->call_index = mica_arena_allocate_zeroed(arena, inputs, sizeof(*module->call_index));
  module->alias = mica_arena_allocate_zeroed(arena, inputs, sizeof(*module->alias));
  module->outputs = mica_arena_allocate_zeroed(arena, outputs, sizeof(*module->outputs));
  module->hoisted = mica_arena_allocate_zeroed(arena, constants, sizeof(*module->hoisted));
  bool *used = mica_arena_allocate_zeroed(arena, graph->count, sizeof(bool));
  int32_t *alias = mica_arena_allocate_zeroed(arena, graph->parameter_count, sizeof(*alias));
  if (module->inputs == NULL || module->call_index == NULL || module->alias == NULL ||
      module->outputs == NULL || module->hoisted == NULL || used == NULL || alias == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  mark_module_uses(graph, used);
  list_inputs(module, used, alias);
  mica_status status = mica_xla_find_meshes(module, arena, error);
  if (status != MICA_OK || module->meshes != NULL) return status; /* all constants in the text */
  for (uint32_t id = 1; id < graph->count; id++)
    if (too_large_for_text(module, id)) module->hoisted[module->hoisted_count++] = id;
  return MICA_OK;
}
