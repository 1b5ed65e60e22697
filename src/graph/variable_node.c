/* SPDX-License-Identifier: Apache-2.0 */
/* variable_node.c: variables inside of a trace. A variable is read once at the root of the graph,
 * where its
 * value is a side input; blocks capture that value like any other. An assigned value replaces it
 * for the
 * rest of the trace and becomes a side output. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/builder.h"
#include "graph/graph_internal.h"
#include "graph/variable.h"

uint32_t mica_capture_variable(mica_graph *graph, mica_variable *variable,
                               mica_type type); /* region.c */

static mica_graph_variable *find_variable(mica_graph *graph, mica_variable *variable) {
  for (uint32_t i = 0; i < graph->variable_count; i++)
    if (graph->variables[i].variable == variable) return &graph->variables[i];
  if (!mica_grow(&graph->allocator, &graph->variables, &graph->variable_capacity,
                 graph->variable_count + 1u, sizeof *graph->variables)) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return NULL;
  }
  graph->variables[graph->variable_count] =
      (mica_graph_variable){.variable = mica_variable_retain(variable)};
  return &graph->variables[graph->variable_count++];
}

/* The newest value assigned inside a block that is still open, 0 if none. One that has been left and is about to close
 * takes what it captured from around it, not from within. */
static uint32_t pending_value(const mica_graph *graph, const mica_variable *variable) {
  for (uint32_t b = graph->block_count; b-- > 0;) {
    const mica_block *block = &graph->blocks[b];
    bool open = !block->done && block->current_region;
    for (const mica_pending_assign *p = open ? block->assigns : NULL; p; p = p->next)
      if (p->variable == variable) return p->value;
  }
  return 0;
}

/* The value as the variable's sharding wants it. */
static mica_value laid_out(mica_variable *variable, mica_value value) {
  mica_mutex_lock(&variable->mutex);
  if (variable->mesh) value = mica_shard(value, variable->mesh, variable->sharding);
  mica_mutex_unlock(&variable->mutex);
  return value;
}

/* The node of what the variable holds when the call begins; in the root. */
static mica_value read_at_root(mica_graph *graph, mica_variable *variable) {
  mica_type type = mica_variable_type(variable);
  mica_variable_attr attr = {.variable = variable,
                             .name = mica_variable_name(variable),
                             .dtype = type.dtype,
                             .shape = type.shape};
  mica_value value = mica_emit(graph, MICA_OP_VARIABLE, NULL, 0, &attr);
  mica_graph_variable *entry = find_variable(graph, variable);
  if (entry) entry->read = value.id;
  value = laid_out(variable, value);
  entry = find_variable(graph, variable);
  if (entry) entry->seen = value.id;
  return value;
}

mica_value mica_variable_read(mica_graph *graph, mica_variable *variable) {
  MICA_ENTRY(graph);
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  if (!variable)
    return mica_fail_operator(graph, "variable_read", NULL, 0,
                              "the variable is NULL: expected one that was created");
  mica_graph_variable *entry = find_variable(graph, variable);
  if (!entry) return mica_no_value(graph);
  uint32_t id = pending_value(graph, variable);
  if (!id) id = entry->assign ? entry->assign : entry->seen;
  if (id) return mica_value_of(graph, mica_resolve(graph, mica_value_of(graph, id)));
  if (!graph->current) return read_at_root(graph, variable);
  return mica_value_of(graph, mica_capture_variable(graph, variable, mica_variable_type(variable)));
}

mica_value mica_variable_before(mica_graph *graph, mica_variable *variable) {
  if (!graph || graph->status != MICA_OK || !variable || graph->current)
    return mica_no_value(graph);
  mica_graph_variable *entry = find_variable(graph, variable);
  if (!entry) return mica_no_value(graph);
  if (!entry->read) return read_at_root(graph, variable);
  return mica_value_of(graph, mica_resolve(graph, mica_value_of(graph, entry->seen)));
}
bool mica_variable_is_assigned(const mica_graph *graph, const mica_variable *variable) {
  for (uint32_t i = 0; graph && i < graph->variable_count; i++)
    if (graph->variables[i].variable == variable) return graph->variables[i].assign != 0;
  return false;
}

/* Whether an assign may stand in region `index`: root, call and recompute regions all the way up.
 * */
static bool assignable(const mica_graph *graph, const char **out_name) {
  for (uint32_t b = 0; b < graph->block_count; b++) {
    const mica_block *block = &graph->blocks[b];
    if (block->done || block->op == MICA_OP_CALL || block->op == MICA_OP_RECOMPUTE) continue;
    *out_name = block->op ? mica_op_definition(block->op)->name : "vmap";
    return false;
  }
  return true;
}

void mica_variable_assign(mica_variable *variable, mica_value value) {
  MICA_ENTRY(value.graph);
  mica_graph *graph = value.graph;
  if (!graph || graph->status != MICA_OK) return;
  if (!variable) {
    mica_fail_operator(graph, "variable_assign", &value, 1,
                       "the variable is NULL: expected one that was created");
    return;
  }
  char why[MICA_MESSAGE_SIZE], wanted[160];
  const char *name = mica_variable_name(variable), *inside = "";
  if (!mica_value_usable(graph, value, why, sizeof why)) {
    mica_fail_operator(graph, "variable_assign", &value, 1, "variable \"%s\": %s", name, why);
    return;
  }
  if (!assignable(graph, &inside)) {
    mica_fail_operator(graph, "variable_assign", &value, 1,
                       "variable \"%s\" cannot be assigned inside a block of %s: expected an "
                       "assign outside of it, "
                       "of a value that it returns",
                       name, inside);
    return;
  }
  if (!mica_type_equal(mica_type_of(value), mica_variable_type(variable))) {
    mica_type_format(mica_variable_type(variable), wanted, sizeof wanted);
    mica_fail_operator(graph, "variable_assign", &value, 1,
                       "variable \"%s\" has type %s: expected a value of it", name, wanted);
    return;
  }
  mica_graph_variable *entry = find_variable(graph, variable);
  if (!entry) return;
  if (!graph->current) {
    if (!entry->read) read_at_root(graph, variable); /* every variable of a graph has a node */
    value = laid_out(variable, value);
    find_variable(graph, variable)->assign = value.id;
    return;
  }
  mica_block *block = NULL;
  for (uint32_t b = graph->block_count; b-- > 0 && !block;)
    if (!graph->blocks[b].done && graph->blocks[b].current_region == graph->current)
      block = &graph->blocks[b];
  if (!block) return;
  for (mica_pending_assign *p = block->assigns; p; p = p->next)
    if (p->variable == variable) {
      p->value = value.id;
      return;
    }
  mica_pending_assign *pending = mica_arena_allocate(&graph->arena, sizeof *pending);
  if (!pending) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  *pending = (mica_pending_assign){variable, value.id, block->assigns};
  block->assigns = pending;
}

mica_status mica_graph_bind(mica_graph *graph, mica_variable *variable, mica_error *error) {
  mica_status status = mica_graph_status(graph, error);
  if (status != MICA_OK) return status;
  if (!variable) return mica_error_set(error, MICA_INVALID, "graph_bind: the variable is NULL");
  const char *name = mica_variable_name(variable);
  for (uint32_t id = 1; id < graph->count; id++) {
    if (graph->nodes[id].op != MICA_OP_VARIABLE) continue;
    mica_variable_attr attr;
    memcpy(&attr, graph->nodes[id].attr, sizeof attr);
    if (attr.variable || strcmp(attr.name, name)) continue;
    if (!mica_type_equal(graph->nodes[id].type, mica_variable_type(variable)))
      return mica_error_set(error, MICA_INVALID,
                            "graph_bind: variable \"%s\" has another type than in the graph", name);
    attr.variable = variable;
    void *copy = mica_arena_copy(&graph->arena, &attr, sizeof attr);
    if (!copy) return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
    for (uint32_t i = 0; i < graph->variable_count; i++)
      if (graph->variables[i].read == id)
        graph->variables[i].variable = mica_variable_retain(variable);
    graph->nodes[id].attr = copy;
    return MICA_OK;
  }
  return mica_error_set(error, MICA_NOT_FOUND,
                        "graph_bind: the graph has no unbound variable \"%s\"", name);
}
