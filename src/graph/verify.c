/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c: the invariants that every graph keeps (docs/architecture.md). Building cannot break
 * them; the
 * check runs after each pass in debug builds and on every graph that is compiled.
 *
 *  1. Operands stand in front of their node, in the same region.
 * 2. Regions nest: a closed region lies in its parent's interval, directly or not in front of its
 * owner.
 * 3. An owner's operands are the declared ones and then, region by region, what the regions
 * captured, of
 *     the same types as the captured arguments.
 *  4. Further results follow their node.
 *  5. Every type is what inference gives for the operands and attributes.
 *  6. Outputs, parameters and assigned values stand in the root.
 *  7. Collectives stand in a manual region of their mesh. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/collectives.h"
#include "graph/graph_internal.h"

static mica_status broken(mica_error *error, const mica_graph *graph, uint32_t id,
                          const char *what) {
  const char *name =
      id && id < graph->count ? mica_op_definition((mica_op)graph->nodes[id].op)->name : "graph";
  return mica_error_set(error, MICA_INTERNAL, "verify: node %u (%s): %s", id, name, what);
}

static mica_status verify_region(const mica_graph *graph, uint32_t index, mica_error *error) {
  const mica_region_data *region = &graph->regions[index];
  if (region->state != MICA_REGION_CLOSED || !region->owner) return MICA_OK;
  const mica_region_data *parent = &graph->regions[region->parent];
  if (region->parent >= index || region->begin > region->end || region->end > region->owner ||
      region->begin < parent->begin || region->owner >= graph->count ||
      (region->parent && parent->state == MICA_REGION_CLOSED && region->owner >= parent->end))
    return broken(error, graph, region->owner, "its region does not nest");
  for (uint32_t i = 0; i < region->argument_count; i++) {
    uint32_t id = region->arguments[i];
    if (id < region->begin || id >= region->end || graph->nodes[id].op != MICA_OP_ARGUMENT ||
        graph->nodes[id].region != index ||
        ((const mica_argument_attr *)graph->nodes[id].attr)->index != i)
      return broken(error, graph, region->owner, "an argument of its region is not in place");
  }
  for (uint32_t i = 0; i < region->result_count; i++)
    if (region->results[i] >= region->end || graph->nodes[region->results[i]].region != index)
      return broken(error, graph, region->owner, "a result of its region stands elsewhere");
  return MICA_OK;
}

static mica_status verify_types(const mica_graph *graph, uint32_t id, mica_error *error) {
  const mica_node *node = &graph->nodes[id];
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  mica_allocator allocator = graph->allocator;
  size_t count = (size_t)node->operand_count + node->result_count + 1, bytes;
  if (!mica_size_multiply(count, sizeof(mica_type), &bytes))
    return broken(error, graph, id, "it is too large");
  mica_type *types = mica_allocate(&allocator, bytes);
  if (!types) return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
  for (uint32_t i = 0; i < node->operand_count; i++)
    types[i] = graph->nodes[mica_node_operands(graph, node)[i]].type;
  union {
    max_align_t align;
    char bytes[MICA_MAX_ATTR_SIZE];
  } attr;
  if (def->attr_size) memcpy(attr.bytes, node->attr, def->attr_size);
  char message[MICA_MESSAGE_SIZE] = "";
  mica_infer infer = {.def = def,
                      .graph = graph,
                      .in = types,
                      .in_count = node->operand_count,
                      .attr = attr.bytes,
                      .regions = node->region_count ? graph->owned + node->region_first : NULL,
                      .region_count = node->region_count,
                      .declared_count = node->declared_count,
                      .out = types + node->operand_count,
                      .out_count = node->result_count,
                      .message = message};
  memset(infer.out, 0, (node->result_count + 1u) * sizeof *types);
  mica_status status = MICA_OK;
  if (!def->infer(&infer))
    status = infer.no_memory ? mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory")
                             : broken(error, graph, id, message);
  for (uint32_t i = 0; i < node->result_count && status == MICA_OK; i++)
    if (!mica_type_equal(infer.out[i], graph->nodes[id + i].type))
      status = broken(error, graph, id, "its type is not what inference gives");
  mica_free(&allocator, types, bytes);
  return status;
}

static mica_status verify_node(const mica_graph *graph, uint32_t id, mica_error *error) {
  const mica_node *node = &graph->nodes[id];
  if (!mica_op_definition((mica_op)node->op)) return broken(error, graph, 0, "an unknown operator");
  if (node->region >= graph->region_count ||
      (uint64_t)node->operand_first + node->operand_count > graph->operand_count)
    return broken(error, graph, id, "its operands or region are outside of the graph");
  if (node->op == MICA_OP_RESULT) {
    uint32_t owner = id - node->result_count;
    bool follows = node->result_count && node->result_count < id &&
                   graph->nodes[owner].op != MICA_OP_RESULT &&
                   node->result_count < graph->nodes[owner].result_count &&
                   graph->nodes[owner].region == node->region;
    return follows ? MICA_OK : broken(error, graph, id, "a further result without its node");
  }
  for (uint32_t i = 0; i < node->operand_count; i++) {
    uint32_t operand = mica_node_operands(graph, node)[i];
    if (!operand || operand >= id)
      return broken(error, graph, id, "an operand does not stand in front of it");
    if (graph->nodes[operand].region != node->region)
      return broken(error, graph, id, "an operand stands in another region");
  }
  uint32_t at = node->declared_count;
  for (uint32_t r = 0; r < node->region_count; r++) {
    const mica_region_data *region = mica_node_region(graph, node, r);
    if (region->owner != id || region->parent != node->region)
      return broken(error, graph, id, "it does not own its region");
    for (uint32_t k = region->declared_count; k < region->argument_count; k++, at++) {
      if (at >= node->operand_count)
        return broken(error, graph, id, "a captured value is missing in its operands");
      if (!mica_type_equal(graph->nodes[region->arguments[k]].type,
                           graph->nodes[mica_node_operands(graph, node)[at]].type))
        return broken(error, graph, id, "a captured value has another type than its argument");
    }
  }
  if (at != node->operand_count)
    return broken(error, graph, id, "it has operands that no region captured");
  if (node->op == MICA_OP_ARGUMENT) return MICA_OK;
  return verify_types(graph, id, error);
}

mica_status mica_graph_verify(const mica_graph *graph, mica_error *error) {
  mica_status status = mica_graph_status(graph, error);
  for (uint32_t r = 1; status == MICA_OK && r < graph->region_count; r++)
    status = verify_region(graph, r, error);
  for (uint32_t id = 1; status == MICA_OK && id < graph->count; id++) {
    const mica_region_data *region = &graph->regions[graph->nodes[id].region];
    if (region->state == MICA_REGION_ABANDONED) continue;
    status = verify_node(graph, id, error);
    if (status == MICA_OK) status = mica_collective_check(graph, id, error);
  }
  if (status != MICA_OK) return status;
  for (uint32_t i = 0; i < graph->output_count; i++)
    if (!graph->outputs[i] || graph->outputs[i] >= graph->count ||
        graph->nodes[graph->outputs[i]].region)
      return broken(error, graph, graph->outputs[i], "an output does not stand in the root");
  for (uint32_t i = 0; i < graph->parameter_count; i++)
    if (graph->nodes[graph->parameters[i]].op != MICA_OP_PARAMETER)
      return broken(error, graph, graph->parameters[i], "not a parameter");
  for (uint32_t i = 0; i < graph->variable_count; i++) {
    uint32_t assign = graph->variables[i].assign;
    if (assign && graph->nodes[assign].region)
      return broken(error, graph, assign, "an assigned value does not stand in the root");
  }
  return MICA_OK;
}
