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

/* The node that gives value `id`, or what stands in for it. */
static uint32_t maker_of(const mica_graph *graph, uint32_t id) {
  uint32_t index;
  return mica_owner_of_result(graph, mica_stand_in(graph, id), &index);
}

bool mica_is_made_of(mica_graph *graph, uint32_t id, const mica_value *values, size_t count) {
  enum { UNSEEN, WAITING, SEEN };
  size_t size = graph->count;
  uint8_t *state = mica_allocate_zeroed(&graph->allocator, size, sizeof *state);
  uint32_t at = 0, waiting = 0;
  bool found = false;
  if (!state) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return true;
  }
  for (size_t i = 0; i < count; i++) {
    uint32_t maker = values[i].id ? maker_of(graph, values[i].id) : 0;
    if (!maker || state[maker] != UNSEEN) continue;
    state[maker] = WAITING, waiting++;
    if (maker >= at) at = maker + 1;
  }
  while (waiting > 0 && !found) {
    if (state[--at] != WAITING) continue;
    state[at] = SEEN, waiting--;
    found = at == id;
    const uint32_t *operands = mica_node_operands(graph, &graph->nodes[at]);
    uint32_t next = at;
    for (uint32_t i = 0; i < graph->nodes[at].operand_count; i++) {
      uint32_t maker = maker_of(graph, operands[i]);
      if (state[maker] != UNSEEN) continue;
      state[maker] = WAITING, waiting++;
      if (maker >= next) next = maker + 1; /* a stand-in comes later than what it stands for */
    }
    at = next;
  }
  mica_free(&graph->allocator, state, size);
  return found;
}

bool mica_takes_the_place(const mica_rule *rule, const mica_value *tangents) {
  mica_graph *graph = rule->graph;
  const mica_node *node = &graph->nodes[rule->id];
  bool reads = false;
  if (node->superseded_by || graph->current != node->region) return false;
  for (uint32_t r = 0; r < node->region_count && !reads; r++)
    reads = reads_effects(graph, graph->owned[node->region_first + r]);
  return reads && !mica_is_made_of(graph, rule->id, tangents, rule->in_count);
}
