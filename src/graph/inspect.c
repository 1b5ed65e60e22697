/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c: the nodes of a graph for whoever draws or counts them, without its data structures. */
#include <inttypes.h>
#include <stdio.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"
#include "graph/ops/rules.h"

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

mica_value mica_expect_shape(mica_value x, mica_shape shape) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("expect_shape", &x, 1)) return mica_no_value(x.graph);
  mica_shape own = mica_shape_of(x);
  bool fits = own.rank == shape.rank;
  for (int32_t i = 0; fits && i < own.rank; i++)
    fits = shape.dim[i] == -1 || shape.dim[i] == own.dim[i];
  if (fits) return x;
  char text[32 * MICA_MAX_RANK];
  size_t used = 0;
  text[0] = 0;
  for (int32_t i = 0; i < shape.rank && i < MICA_MAX_RANK; i++)
    used +=
        (size_t)snprintf(text + used, sizeof(text) - used,
                         shape.dim[i] == -1 ? "%sany" : "%s%" PRId64, i ? ", " : "", shape.dim[i]);
  return mica_fail_operator(x.graph, "expect_shape", &x, 1, "expected the shape [%s]", text);
}

const mica_tensor *mica_constant_value(mica_value x) {
  if (!mica_is_valid(x) || mica_node_at(x.graph, x.id)->op != MICA_OP_CONSTANT) return NULL;
  return ((const mica_constant_attr *)mica_node_at(x.graph, x.id)->attr)->value;
}

/* Downwards from x: what it is made of has smaller ids. What it captured of outer blocks is followed outwards. */
bool mica_is_constant(mica_value x) {
  if (!mica_is_valid(x)) return false;
  mica_graph *graph = x.graph;
  bool *wanted = mica_allocate_zeroed(&graph->allocator, (size_t)x.id + 1, sizeof(*wanted)),
       constant = wanted != NULL;
  if (wanted) wanted[x.id] = true;
  for (uint32_t id = x.id; id > 0 && constant; id--) {
    const mica_node *node = &graph->nodes[id];
    if (!wanted[id]) continue;
    if (node->op == MICA_OP_RESULT) {
      wanted[id - node->result_count] = true;
      continue;
    }
    switch ((mica_op)node->op) {
      case MICA_OP_PARAMETER:
      case MICA_OP_VARIABLE:
      case MICA_OP_CUSTOM:
      case MICA_OP_CUSTOM_EFFECT: constant = false; break;
      case MICA_OP_ARGUMENT: {
        uint32_t outer = mica_node_is_open(graph, id) ? mica_captured_outer(graph, id) : 0;
        if (outer)
          wanted[outer] = true;
        else
          constant = false;
        break;
      }
      default:
        for (uint32_t i = 0; i < node->operand_count; i++)
          wanted[mica_node_operands(graph, node)[i]] = true;
    }
    /* A block may call the host. */
    for (uint32_t r = 0; r < node->region_count && constant; r++) {
      const mica_region_data *region = mica_node_region(graph, node, r);
      for (uint32_t at = region->begin; at < region->end; at++)
        constant = constant && graph->nodes[at].op != MICA_OP_CUSTOM &&
                   graph->nodes[at].op != MICA_OP_CUSTOM_EFFECT &&
                   graph->nodes[at].op != MICA_OP_VARIABLE;
    }
  }
  mica_free(&graph->allocator, wanted, wanted ? (size_t)x.id + 1 : 0);
  return constant;
}
