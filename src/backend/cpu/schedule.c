/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c: the order of steps: that of the graph, but for what a fused group needs earlier. Values that
 * only change a view are made when somebody reads them. */
#include "backend/cpu/fusion_internal.h"
#include "backend/cpu/linalg_internal.h"
#include "backend/cpu/manual.h"
#include "backend/cpu/moves_internal.h"
#include "backend/cpu/products_internal.h"

/* The ways to lower a node, best first. What none of them takes is computed by the reference's loops. */
/* clang-format off */
static bool (*const lowerings[])(mica_plan *plan, uint32_t id) = {
    mica_plan_view,
    mica_plan_control,
    mica_plan_devices,
    mica_plan_mark,
    mica_plan_bytes_dot,
    mica_plan_dot,
    mica_plan_convolution,
    mica_plan_rows,
    mica_plan_quantized,
    mica_plan_conversion,
    mica_plan_move,
    mica_plan_indexed,
    mica_plan_window,
    mica_plan_draw,
    mica_plan_cumulative,
    mica_plan_sort,
    mica_plan_search,
    mica_plan_linalg,
    mica_plan_fourier,
    mica_plan_custom,
    mica_plan_reference_node,
};
/* clang-format on */

static void lower_node(mica_plan *plan, uint32_t id) {
  for (size_t i = 0; i < sizeof(lowerings) / sizeof(lowerings[0]); i++)
    if (lowerings[i](plan, id) || !mica_plan_good(plan)) return;
  mica_plan_fail(plan, MICA_UNSUPPORTED, "the native engine cannot run %s",
                 mica_op_definition((mica_op)plan->graph->nodes[id].op)->name);
}

/* The node that makes a value. */
static uint32_t node_of(const mica_plan *plan, uint32_t id) {
  uint32_t result;
  return plan->graph->nodes[id].op == MICA_OP_RESULT
             ? mica_owner_of_result(plan->graph, id, &result)
             : id;
}

static bool is_done(const mica_plan *plan, uint32_t id) {
  switch ((mica_op)plan->graph->nodes[id].op) {
    case MICA_OP_PARAMETER:
    case MICA_OP_ARGUMENT:
    case MICA_OP_CONSTANT:
    case MICA_OP_VARIABLE: return true;
    default: return plan->done[node_of(plan, id)];
  }
}

/* An operand of `id` that has to be there first and is not; 0: none. `group` is the node's, if any. */
static uint32_t missing_operand(const mica_plan *plan, uint32_t id, uint32_t group) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  for (uint32_t i = 0; i < node->operand_count; i++) {
    if (is_done(plan, operands[i])) continue;
    if (group != MICA_PLAN_NONE) {
      mica_view view;
      uint32_t source = mica_plan_trace(plan, operands[i], &view);
      if (plan->fusion->group[source] == group || plan->fusion->hosted[source] == group) continue;
      if (mica_fusion_generates(plan, source) && plan->fusion->group[source] == MICA_PLAN_NONE)
        continue;
    }
    return operands[i];
  }
  return 0;
}

static uint32_t missing_in_unit(const mica_plan *plan, uint32_t id) {
  const mica_fusion *fusion = plan->fusion;
  uint32_t group = fusion->hosted[id] != MICA_PLAN_NONE ? fusion->hosted[id] : fusion->group[id];
  if (group == MICA_PLAN_NONE) return missing_operand(plan, id, group);
  uint32_t host = fusion->groups[group].host;
  uint32_t missing = host == 0 ? 0 : missing_operand(plan, host, MICA_PLAN_NONE);
  for (uint32_t member = fusion->groups[group].first; member != 0 && missing == 0;
       member = fusion->next[member])
    missing = missing_operand(plan, member, group);
  return missing;
}

/* A product that its group does not finish stands alone: the group then reads it through views that nobody
 * has placed, since a finished product needs none. */
static void place_views_of_host(mica_plan *plan, uint32_t group, uint32_t host) {
  mica_view view;
  uint32_t member = plan->fusion->groups[group].first;
  for (; member != 0 && mica_plan_good(plan); member = plan->fusion->next[member]) {
    const mica_node *node = mica_node_at(plan->graph, member);
    for (uint32_t i = 0; i < node->operand_count; i++) {
      uint32_t operand = mica_node_operands(plan->graph, node)[i];
      if (!is_done(plan, operand) && mica_plan_trace(plan, operand, &view) == host)
        mica_plan_ensure(plan, operand);
    }
  }
}

/* All that `id` waits for is there. */
static void make_unit(mica_plan *plan, uint32_t id) {
  mica_fusion *fusion = plan->fusion;
  /* A counter that somebody wants in memory after all. */
  if (fusion->group[id] == MICA_PLAN_NONE && mica_fusion_generates(plan, id)) {
    mica_tile_op op;
    if (mica_fusion_operator(plan, id, &op)) mica_fusion_begin(plan, id);
  }
  uint32_t group = fusion->hosted[id] != MICA_PLAN_NONE ? fusion->hosted[id] : fusion->group[id];
  if (group == MICA_PLAN_NONE) {
    plan->done[id] = true;
    lower_node(plan, id);
    return;
  }
  uint32_t host = fusion->groups[group].host;
  if (host != 0) {
    plan->done[host] = true;
    if (!mica_plan_finish_group(plan, group)) {
      if (!mica_plan_good(plan)) return;
      fusion->groups[group].host = 0;
      lower_node(plan, host);
      place_views_of_host(plan, group, host);
      host = 0;
    }
  }
  for (uint32_t member = fusion->groups[group].first; member != 0; member = fusion->next[member])
    plan->done[member] = true;
  if (host == 0) mica_plan_group(plan, group);
}

/* Groups that wait for each other do so by way of a node that one of them would finish: that node is then
 * made alone, before its group. Whether there was one among the waiting. */
static bool break_cycle(mica_plan *plan, const uint32_t *stack, uint32_t count) {
  mica_fusion *fusion = plan->fusion;
  for (uint32_t i = count; i-- > 0;) {
    uint32_t group = fusion->hosted[stack[i]];
    if (group == MICA_PLAN_NONE || fusion->groups[group].host == 0) continue;
    fusion->groups[group].host = 0;
    fusion->hosted[stack[i]] = MICA_PLAN_NONE;
    return true;
  }
  return false;
}

/* With a stack of its own: graphs come from files too, and may be chains of any length. What is on it bears
 * the walk's mark. */
void mica_plan_ensure(mica_plan *plan, uint32_t id) {
  mica_fusion *fusion = plan->fusion;
  uint32_t *stack = NULL, capacity = 0, count = 0;
  uint32_t next = id;
  if (!mica_plan_good(plan) || is_done(plan, id)) return;
  uint32_t walk = ++fusion->walk;
  for (;;) {
    if (next != 0 && fusion->mark[node_of(plan, next)] == walk) { /* it waits for itself */
      if (!break_cycle(plan, stack, count)) {
        mica_plan_fail(plan, MICA_INTERNAL, "groups of operators wait for each other");
        break;
      }
      count = 0;
      next = id;
      walk = ++fusion->walk;
    }
    if (next != 0) {
      if (!mica_grow(&plan->allocator, &stack, &capacity, (size_t)count + 1, sizeof(*stack))) {
        mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
        break;
      }
      stack[count] = node_of(plan, next);
      fusion->mark[stack[count++]] = walk;
    }
    if (count == 0 || !mica_plan_good(plan)) break;
    uint32_t top = stack[count - 1];
    next = is_done(plan, top) ? 0 : missing_in_unit(plan, top);
    if (next != 0) continue;
    fusion->mark[top] = 0;
    count--;
    if (!is_done(plan, top)) make_unit(plan, top);
  }
  mica_free(&plan->allocator, stack, capacity * sizeof(*stack));
}

/* Whether a node waits until somebody reads it. */
static bool is_lazy(const mica_plan *plan, uint32_t id) {
  const mica_fusion *fusion = plan->fusion;
  if (mica_op_is_view((mica_op)plan->graph->nodes[id].op)) return true;
  if (fusion->hosted[id] != MICA_PLAN_NONE) return true;
  if (fusion->group[id] != MICA_PLAN_NONE) return !fusion->stored[id];
  mica_tile_op op; /* fusible, but in no group: a counter, or dead */
  return mica_fusion_operator(plan, id, &op);
}

void mica_plan_region(mica_plan *plan, uint32_t region) {
  const mica_graph *graph = plan->graph;
  uint32_t begin = region == 0 ? 1 : graph->regions[region].begin;
  uint32_t end = region == 0 ? graph->count : graph->regions[region].end;
  for (uint32_t id = begin; id < end && mica_plan_good(plan); id++) {
    const mica_node *node = &graph->nodes[id];
    if (node->region == region && node->op != MICA_OP_RESULT && !is_lazy(plan, id))
      mica_plan_ensure(plan, id);
  }
  if (region != 0)
    for (uint32_t i = 0; i < graph->regions[region].result_count; i++)
      mica_plan_ensure(plan, graph->regions[region].results[i]);
}
