/* SPDX-License-Identifier: Apache-2.0 */
/* control_effects.c: effects in blocks that derivatives build again. What stands in a block runs once, in the block
 * itself: a copy leaves effects out. Where its numbers come from the results of one, forward mode builds a block that
 * computes both values and tangents, and that one takes the place of the first (superseded_by). */
#include <string.h>

#include "graph/graph_internal.h"
#include "graph/ops/control.h"

/* Some node or result of the region reads a result of node `id`. */
static bool result_is_read(const mica_graph *graph, uint32_t id) {
  uint32_t index = graph->nodes[id].region, end = id + graph->nodes[id].result_count;
  const mica_region_data *region = &graph->regions[index];
  for (uint32_t j = 0; j < region->result_count; j++)
    if (region->results[j] >= id && region->results[j] < end) return true;
  for (uint32_t at = end; at < region->end; at++) {
    const mica_node *node = &graph->nodes[at];
    if (node->region != index || node->op == MICA_OP_RESULT) continue;
    const uint32_t *operands = mica_node_operands(graph, node);
    for (uint32_t i = 0; i < node->operand_count; i++)
      if (operands[i] >= id && operands[i] < end) return true;
  }
  return false;
}

bool mica_leave_out_effects(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                            const mica_value *in, size_t in_count, mica_value *out) {
  const mica_node *node = &from->nodes[id];
  (void)context, (void)to, (void)in_count;
  if (!mica_op_definition((mica_op)node->op)->effect) return false;
  if (node->op == MICA_OP_MARK ||
      node->op == MICA_OP_ASSERT) { /* what they give is what they take */
    out[0] = in[0];
    return true;
  }
  return !result_is_read(from, id); /* nobody asks for `out` then */
}

static bool reads_effects(const mica_graph *graph, uint32_t index) {
  const mica_region_data *region = &graph->regions[index];
  for (uint32_t id = region->begin; id < region->end; id++) {
    const mica_node *node = &graph->nodes[id];
    if (node->region != index || node->op == MICA_OP_RESULT) continue;
    if (node->op == MICA_OP_CUSTOM_EFFECT && result_is_read(graph, id)) return true;
    for (uint32_t r = 0; r < node->region_count; r++)
      if (reads_effects(graph, graph->owned[node->region_first + r])) return true;
  }
  return false;
}

/* Whether one of the values is made of results of node `id`. */
static bool made_of(mica_graph *graph, uint32_t id, const mica_value *values, size_t count) {
  uint32_t begin = id + graph->nodes[id].result_count, end = begin;
  for (size_t i = 0; i < count; i++)
    if (values[i].id >= end) end = values[i].id + 1;
  bool *wanted = mica_arena_allocate_zeroed(&graph->arena, (size_t)(end - id) + 1, sizeof *wanted);
  if (!wanted) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return true;
  }
  for (size_t i = 0; i < count; i++)
    if (values[i].id >= id) wanted[values[i].id - id] = true;
  for (uint32_t at = end; at-- > begin;) {
    if (!wanted[at - id]) continue;
    const mica_node *node = &graph->nodes[at];
    if (node->op == MICA_OP_RESULT) {
      wanted[at - node->result_count - id] = true;
      continue;
    }
    if (node->superseded_by) return true; /* of what stands in for it, who knows */
    const uint32_t *operands = mica_node_operands(graph, node);
    for (uint32_t i = 0; i < node->operand_count; i++)
      if (operands[i] >= id) wanted[operands[i] - id] = true;
  }
  for (uint32_t at = id; at < begin; at++)
    if (wanted[at - id]) return true;
  return false;
}

bool mica_takes_the_place(const mica_rule *rule, const mica_value *tangents) {
  mica_graph *graph = rule->graph;
  const mica_node *node = &graph->nodes[rule->id];
  bool reads = false;
  if (node->superseded_by || graph->current != node->region) return false;
  for (uint32_t r = 0; r < node->region_count && !reads; r++)
    reads = reads_effects(graph, graph->owned[node->region_first + r]);
  return reads && !made_of(graph, rule->id, tangents, rule->in_count);
}
