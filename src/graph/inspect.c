/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c: the nodes of a graph for whoever draws or counts them, without its data structures. */
#include "graph/attributes.h"
#include "graph/graph_internal.h"

uint32_t mica_graph_result_count(const mica_graph *graph) {
  return graph && graph->count ? graph->count - 1 : 0;
}

bool mica_graph_result_at(const mica_graph *graph, uint32_t id, mica_graph_result *out) {
  *out = (mica_graph_result){.op = "", .scope = "", .variable = ""};
  if (!id || id > mica_graph_result_count(graph)) return false;
  const mica_region_data *region = &graph->regions[graph->nodes[id].region];
  /* A block whose end made nodes elsewhere, or that is still being built, has no owner. */
  if (graph->nodes[id].region && !region->owner) return false;
  out->node = mica_owner_of_result(graph, id, &out->index);
  const mica_node *node = mica_node_at(graph, out->node);
  out->op = mica_op_definition((mica_op)node->op)->name;
  out->scope = mica_scope_text(graph, node->scope);
  out->type = graph->nodes[id].type;
  out->owner = region->owner;
  out->operands = mica_node_operands(graph, node);
  out->operand_count = node->operand_count;
  if (node->op == MICA_OP_VARIABLE) out->variable = ((const mica_variable_attr *)node->attr)->name;
  return true;
}

size_t mica_graph_output_ids(const mica_graph *graph, uint32_t *out, size_t capacity) {
  if (!graph) return 0;
  for (uint32_t i = 0; i < graph->output_count && i < capacity; i++) out[i] = graph->outputs[i];
  return graph->output_count;
}
