/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c: building nodes again on other operands. One routine serves calls, recomputation,
 * jvp, vmap, inlining and every pass: they differ in the rule that is asked for each node, and
 * in whether the target is the same graph. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

/* A region's values by id - begin. */
typedef struct {
  mica_graph *to;
  const mica_graph *from;
  uint32_t region, begin, end;
  mica_value *map;
  mica_replay_rule *rule;
  void *context;
  mica_value *in, *out; /* scratch for the widest node */
  /* replay_early: nodes that wait for their operands, and which ones ever did; NULL: none */
  uint32_t *early;
  bool *waited;
} replay;

static bool copy_scope(mica_graph *to, const mica_graph *from, uint32_t scope) {
  if (to == from) {
    to->scope = scope;
    return true;
  }
  const char *path = mica_scope_text(from, scope);
  return !strcmp(path, mica_scope_text(to, to->scope)) || mica_set_scope(to, path);
}

void mica_captured_arguments(const mica_graph *graph, uint32_t id, uint32_t index,
                             const mica_value *in, mica_value *out) {
  const mica_node *node = &graph->nodes[id];
  size_t at = node->declared_count;
  for (uint32_t r = 0; r < index; r++) {
    const mica_region_data *region = mica_node_region(graph, node, r);
    at += region->argument_count - region->declared_count;
  }
  const mica_region_data *region = mica_node_region(graph, node, index);
  for (uint32_t k = region->declared_count; k < region->argument_count; k++) out[k] = in[at++];
}

static void replay_owner(mica_graph *to, const mica_graph *from, uint32_t id, const mica_value *in,
                         mica_replay_rule *rule, void *context, mica_value *out) {
  mica_op op = (mica_op)from->nodes[id].op;
  uint32_t declared = from->nodes[id].declared_count, regions = from->nodes[id].region_count;
  uint32_t block = mica_block_open(to, op, in, declared, from->nodes[id].attr);
  for (uint32_t r = 0; r < regions && to->status == MICA_OK; r++) {
    const mica_region_data *region = mica_node_region(from, &from->nodes[id], r);
    uint32_t index = from->owned[from->nodes[id].region_first + r];
    uint32_t arguments = region->argument_count, region_declared = region->declared_count;
    uint32_t results = region->result_count;
    size_t width = (size_t)arguments + results + 1;
    mica_value *values = mica_arena_allocate(&to->arena, width * sizeof *values);
    mica_type *types =
        mica_arena_allocate(&to->arena, ((size_t)region_declared + 1) * sizeof *types);
    if (!values || !types) {
      mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
      break;
    }
    for (uint32_t i = 0; i < region_declared; i++)
      types[i] = from->nodes[region->arguments[i]].type;
    if (!mica_block_enter(to, block, types, region_declared)) break;
    for (uint32_t i = 0; i < region_declared; i++) values[i] = mica_block_argument(to, block, i);
    mica_captured_arguments(from, id, r, in, values);
    mica_replay(to, from, index, values, rule, context, values + arguments);
    mica_block_leave(to, block, values + arguments, results);
  }
  mica_block_close(to, block, out, from->nodes[id].result_count);
}

void mica_replay_node(mica_graph *to, const mica_graph *from, uint32_t id, const mica_value *in,
                      mica_replay_rule *rule, void *context, mica_value *out) {
  const mica_node *node = &from->nodes[id];
  if (!copy_scope(to, from, node->scope)) return;
  if (mica_op_definition((mica_op)node->op)->kind == MICA_KIND_REGION && node->region_count)
    replay_owner(to, from, id, in, rule, context, out);
  else
    mica_emit_results(to, (mica_op)node->op, in, node->operand_count, node->attr, out,
                      node->result_count);
}

static void replay_one(replay *r, uint32_t id) {
  uint32_t count = r->from->nodes[id].operand_count, results = r->from->nodes[id].result_count;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t operand = mica_node_operands(r->from, &r->from->nodes[id])[i];
    r->in[i] = r->map[operand - r->begin];
  }
  for (uint32_t i = 0; i < results; i++) r->out[i] = mica_no_value(r->to);
  if (!copy_scope(r->to, r->from, r->from->nodes[id].scope)) return;
  if (!r->rule || !r->rule(r->context, r->to, r->from, id, r->in, count, r->out))
    mica_replay_node(r->to, r->from, id, r->in, r->rule, r->context, r->out);
  for (uint32_t i = 0; i < results; i++) r->map[id + i - r->begin] = r->out[i];
}

uint32_t mica_stand_in(const mica_graph *graph, uint32_t id) {
  uint32_t index, owner = mica_owner_of_result(graph, id, &index);
  while (graph->nodes[owner].superseded_by) owner = graph->nodes[owner].superseded_by;
  return owner + index;
}

/* Takes what stands in for node `id` as its results. */
static void take_stand_in(replay *r, uint32_t id, uint32_t better) {
  for (uint32_t i = 0; i < r->from->nodes[id].result_count; i++)
    r->map[id + i - r->begin] = r->map[better + i - r->begin];
}

/* What has to be there before node `id` and was not waited for yet: what stands in for it, or the node that
 * gives its first missing operand; 0: none. */
static uint32_t missing_node(const replay *r, uint32_t id) {
  const mica_node *node = &r->from->nodes[id];
  uint32_t better = mica_stand_in(r->from, id);
  if (better != id)
    return r->map[better - r->begin].id || r->waited[better - r->begin] ? 0 : better;
  for (uint32_t i = 0; i < node->operand_count; i++) {
    uint32_t index, operand = mica_node_operands(r->from, node)[i],
                    owner = mica_owner_of_result(r->from, operand, &index);
    if (!r->map[operand - r->begin].id && !r->waited[owner - r->begin]) return owner;
  }
  return 0;
}

/* A node that stands in for an earlier one is rebuilt in its place, and before it what it needs and the
 * earlier one did not: counters and empty buffers of loops, tangents. What a pass leaves out stays missing. */
static void replay_early(replay *r, uint32_t id) {
  size_t nodes = (size_t)(r->end - r->begin) + 1;
  uint32_t count = 0;
  if (!r->early) {
    r->early = mica_arena_allocate(&r->to->arena, nodes * sizeof *r->early);
    r->waited = mica_arena_allocate_zeroed(&r->to->arena, nodes, sizeof *r->waited);
  }
  if (!r->early || !r->waited) {
    mica_fail(r->to, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  r->early[count++] = id;
  while (count && r->to->status == MICA_OK) {
    uint32_t at = r->early[count - 1], missing = missing_node(r, at),
             better = mica_stand_in(r->from, at);
    if (missing) {
      r->waited[missing - r->begin] = true;
      r->early[count++] = missing;
      continue;
    }
    if (better != at)
      take_stand_in(r, at, better);
    else if (!r->map[at - r->begin].id)
      replay_one(r, at);
    count--;
  }
}

static void replay_nodes(replay *r) {
  for (uint32_t id = r->begin; id < r->end && r->to->status == MICA_OK; id++) {
    const mica_node *node = &r->from->nodes[id];
    if (node->region != r->region || node->op == MICA_OP_ARGUMENT || node->op == MICA_OP_RESULT)
      continue;
    if (r->map[id - r->begin].id) continue; /* stood in for an earlier node already */
    uint32_t better = mica_stand_in(r->from, id);
    if (better != id) {
      replay_early(r, better);
      take_stand_in(r, id, better);
    } else {
      replay_one(r, id);
    }
  }
}

/* Allocates the map and scratch of a region; the arena frees them with the graph. */
static bool replay_begin(replay *r) {
  size_t widest = 1;
  for (uint32_t id = r->begin; id < r->end; id++) {
    const mica_node *node = &r->from->nodes[id];
    if (node->region != r->region || node->op == MICA_OP_RESULT) continue;
    if (node->operand_count > widest) widest = node->operand_count;
    if (node->result_count > widest) widest = node->result_count;
  }
  r->map =
      mica_arena_allocate_zeroed(&r->to->arena, (size_t)(r->end - r->begin) + 1, sizeof *r->map);
  r->in = mica_arena_allocate(&r->to->arena, 2 * widest * sizeof *r->in);
  if (r->map && r->in) {
    r->out = r->in + widest;
    return true;
  }
  mica_fail(r->to, MICA_OUT_OF_MEMORY, "out of memory");
  return false;
}

void mica_replay(mica_graph *to, const mica_graph *from, uint32_t region,
                 const mica_value *arguments, mica_replay_rule *rule, void *context,
                 mica_value *results) {
  uint32_t result_count = from->regions[region].result_count;
  for (uint32_t i = 0; i < result_count; i++) results[i] = mica_no_value(to);
  if (to->status != MICA_OK) return;
  uint32_t scope = to->scope;
  replay r = {.to = to,
              .from = from,
              .region = region,
              .begin = from->regions[region].begin,
              .end = from->regions[region].end,
              .rule = rule,
              .context = context};
  if (!replay_begin(&r)) return;
  for (uint32_t i = 0; i < from->regions[region].argument_count; i++)
    r.map[from->regions[region].arguments[i] - r.begin] = arguments[i];
  replay_nodes(&r);
  for (uint32_t i = 0; i < result_count; i++)
    results[i] = r.map[from->regions[region].results[i] - r.begin];
  if (to == from) to->scope = scope;
}

mica_status mica_rewrite(const mica_graph *from, mica_graph *to, mica_replay_rule *rule,
                         void *context, mica_error *error) {
  mica_status status = mica_graph_status(from, error);
  if (status == MICA_OK) status = mica_graph_status(to, error);
  if (status != MICA_OK) return status;
  replay r = {.to = to,
              .from = from,
              .region = 0,
              .begin = 1,
              .end = from->count,
              .rule = rule,
              .context = context};
  const mica_allocator *a = &to->allocator;
  if (replay_begin(&r)) {
    for (uint32_t i = 0; i < from->parameter_count; i++) {
      uint32_t id = from->parameters[i];
      r.map[id - 1] = mica_parameter(to, from->nodes[id].type);
    }
    if (!mica_grow(a, &to->variables, &to->variable_capacity, from->variable_count,
                   sizeof *to->variables) ||
        !mica_grow(a, &to->outputs, &to->output_capacity, from->output_count,
                   sizeof *to->outputs)) {
      mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
    } else {
      for (uint32_t i = 0; i < from->variable_count; i++) {
        const mica_graph_variable *variable = &from->variables[i];
        to->variables[to->variable_count++] =
            (mica_graph_variable){.variable = mica_variable_retain(variable->variable)};
        if (variable->read) replay_one(&r, variable->read);
        to->variables[i].read = variable->read ? r.map[variable->read - 1].id : 0;
      }
      replay_nodes(&r);
    }
  }
  if (to->status == MICA_OK) {
    for (uint32_t i = 0; i < from->output_count; i++)
      to->outputs[i] = r.map[from->outputs[i] - 1].id;
    to->output_count = from->output_count;
    for (uint32_t i = 0; i < from->variable_count; i++)
      if (from->variables[i].assign)
        to->variables[i].assign = r.map[from->variables[i].assign - 1].id;
  }
  return mica_graph_status(to, error);
}
