/* SPDX-License-Identifier: Apache-2.0 */
/* region.c: blocks, from their first value to the node that owns them.
 *
 * While a region is open, operands from outside are captured where they are used first: an
 * `argument` node is appended to the region and remembers the outer value. At the close, the
 * remembered values become operands of the owner, and are captured by the owner's own region in
 * turn when they come from further out. So a value that is used five blocks deep is handed down
 * through all five. */
#include <stdio.h>
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

static bool region_add_argument(mica_graph *graph, uint32_t region_index, uint32_t id,
                                uint32_t outer, mica_variable *variable) {
  mica_region_data *region = &graph->regions[region_index];
  const mica_allocator *a = &graph->allocator;
  if (region->argument_count == region->argument_capacity) {
    uint32_t old = region->argument_capacity, capacity = old ? 2 * old : 8;
    uint32_t *arguments = mica_allocate(a, capacity * sizeof *arguments);
    uint32_t *captures = mica_allocate(a, capacity * sizeof *captures);
    mica_variable **variables = mica_allocate(a, capacity * sizeof *variables);
    if (!arguments || !captures || !variables) {
      mica_free(a, arguments, capacity * sizeof *arguments);
      mica_free(a, captures, capacity * sizeof *captures);
      mica_free(a, variables, capacity * sizeof *variables);
      mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
      return false;
    }
    if (old) {
      memcpy(arguments, region->arguments, old * sizeof *arguments);
      memcpy(captures, region->captures, old * sizeof *captures);
      memcpy(variables, region->capture_variables, old * sizeof *variables);
    }
    mica_free(a, region->arguments, old * sizeof *arguments);
    mica_free(a, region->captures, old * sizeof *captures);
    mica_free(a, region->capture_variables, old * sizeof *variables);
    region->arguments = arguments;
    region->captures = captures;
    region->capture_variables = variables;
    region->argument_capacity = capacity;
  }
  if (outer || variable) {
    uint32_t k = region->argument_count - region->declared_count;
    region->captures[k] = outer;
    region->capture_variables[k] = variable;
  } else {
    region->declared_count++;
  }
  region->arguments[region->argument_count++] = id;
  return true;
}

static uint32_t emit_argument(mica_graph *graph, mica_type type) {
  mica_argument_attr attr = {.dtype = type.dtype, .shape = type.shape};
  attr.index = graph->regions[graph->current].argument_count;
  return mica_emit(graph, MICA_OP_ARGUMENT, NULL, 0, &attr).id;
}

mica_value mica_canonical(const mica_graph *graph, mica_value value) {
  const mica_node *node = &graph->nodes[value.id];
  if (node->op != MICA_OP_ARGUMENT || graph->regions[node->region].state != MICA_REGION_CLOSED)
    return value;
  int64_t index = ((const mica_argument_attr *)node->attr)->index;
  if (index >= graph->regions[node->region].declared_count || graph->regions[node->region].owner)
    return value;
  for (uint32_t b = graph->block_count; b-- > 0;) {
    const mica_block *block = &graph->blocks[b];
    if (block->done || block->current_region == 0 || block->region_count < 2) continue;
    if (block->regions[0] != node->region) continue;
    const mica_region_data *open = &graph->regions[block->current_region];
    if (index < open->declared_count) value.id = open->arguments[index];
  }
  return value;
}

/* What a value is in the outermost block that knows it: blocks in between capture it as well, and a name of
 * theirs is the same value. A variable is itself, wherever it is read. */
typedef struct {
  uint32_t id;
  const mica_variable *variable;
} capture_origin;
static capture_origin captured_origin(const mica_graph *graph, uint32_t id,
                                      const mica_variable *variable) {
  while (id && !variable && graph->nodes[id].op == MICA_OP_ARGUMENT) {
    const mica_region_data *region = &graph->regions[graph->nodes[id].region];
    int64_t index = ((const mica_argument_attr *)graph->nodes[id].attr)->index;
    if (region->state != MICA_REGION_OPEN || index < region->declared_count) break;
    variable = region->capture_variables[index - region->declared_count];
    id = region->captures[index - region->declared_count];
  }
  if (id && graph->nodes[id].op == MICA_OP_SHARD) /* as a variable with a sharding is read */
    for (uint32_t i = 0; i < graph->variable_count; i++)
      if (graph->variables[i].seen == id) id = graph->variables[i].read;
  if (id && graph->nodes[id].op == MICA_OP_VARIABLE)
    variable = ((const mica_variable_attr *)graph->nodes[id].attr)->variable;
  return variable ? (capture_origin){0, variable} : (capture_origin){id, NULL};
}
/* The argument of the current region that captured it already, or 0. */
static uint32_t captured_already(const mica_graph *graph, capture_origin wanted) {
  const mica_region_data *region = &graph->regions[graph->current];
  for (uint32_t k = 0; k < region->argument_count - region->declared_count; k++) {
    capture_origin held = captured_origin(graph, region->captures[k], region->capture_variables[k]);
    if (held.id == wanted.id && held.variable == wanted.variable)
      return region->arguments[region->declared_count + k];
  }
  return 0;
}

uint32_t mica_resolve(mica_graph *graph, mica_value value) {
  value = mica_canonical(graph, value);
  if (graph->nodes[value.id].region == graph->current) return value.id;
  uint32_t before = captured_already(graph, captured_origin(graph, value.id, NULL));
  if (before) return before;
  uint32_t id = emit_argument(graph, graph->nodes[value.id].type);
  return id && region_add_argument(graph, graph->current, id, value.id, NULL) ? id : 0;
}

uint32_t mica_capture_variable(mica_graph *graph, mica_variable *variable, mica_type type) {
  uint32_t before = captured_already(graph, (capture_origin){0, variable});
  if (before) return before;
  uint32_t id = emit_argument(graph, type);
  return id && region_add_argument(graph, graph->current, id, 0, variable) ? id : 0;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

uint32_t mica_block_open(mica_graph *graph, mica_op op, const mica_value *in, size_t count,
                         const void *attr) {
  if (!graph || graph->status != MICA_OK) return 0;
  const mica_op_def *def = op ? mica_op_definition(op) : NULL;
  const char *name = def ? def->name : "vmap";
  char why[MICA_MESSAGE_SIZE];
  if (!mica_list_given(graph, name, "operand", in, count)) return 0;
  for (size_t i = 0; i < count; i++)
    if (!mica_value_usable(graph, in[i], why, sizeof why)) {
      mica_fail_operator(graph, name, in, count, "operand %zu: %s", i, why);
      return 0;
    }
  mica_block block = {.op = op,
                      .parent_region = graph->current,
                      .operand_count = (uint32_t)count,
                      .scope = graph->scope,
                      .scope_depth = graph->scope_depth,
                      .caller = graph->caller};
  block.operands = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *block.operands);
  if (def && def->attr_size) block.attr = mica_arena_copy(&graph->arena, attr, def->attr_size);
  if (!block.operands || (def && def->attr_size && !block.attr) ||
      !mica_grow(&graph->allocator, &graph->blocks, &graph->block_capacity, graph->block_count + 1u,
                 sizeof *graph->blocks)) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return 0;
  }
  for (size_t i = 0; i < count; i++)
    if (!(block.operands[i] = mica_resolve(graph, in[i]))) return 0;
  graph->blocks[graph->block_count++] = block;
  return graph->block_count;
}

bool mica_block_enter(mica_graph *graph, uint32_t block_id, const mica_type *arguments,
                      size_t count) {
  if (!graph || graph->status != MICA_OK || !block_id) return false;
  mica_block *block = &graph->blocks[block_id - 1];
  if (graph->region_count == UINT16_MAX ||
      !mica_grow(&graph->allocator, &graph->regions, &graph->region_capacity,
                 graph->region_count + 1u, sizeof *graph->regions) ||
      !mica_grow(&graph->allocator, &block->regions, &block->region_capacity,
                 block->region_count + 1u, sizeof *block->regions)) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return false;
  }
  uint32_t index = graph->region_count++;
  graph->regions[index] = (mica_region_data){.parent = graph->current, .begin = graph->count};
  block->regions[block->region_count++] = index;
  block->current_region = graph->current = index;
  for (size_t i = 0; i < count; i++) {
    uint32_t id = emit_argument(graph, arguments[i]);
    if (!id || !region_add_argument(graph, index, id, 0, NULL)) return false;
  }
  return true;
}

void mica_block_leave(mica_graph *graph, uint32_t block_id, const mica_value *results,
                      size_t count) {
  if (!graph || graph->status != MICA_OK || !block_id) return;
  mica_block *block = &graph->blocks[block_id - 1];
  const char *name = mica_block_name(block);
  if (graph->scope_depth > block->scope_depth) {
    mica_fail(
        graph, MICA_INVALID,
        "%s: scope \"%.200s\" was opened in this block and is still open at its end: expected "
        "mica_scope_pop before",
        name, mica_scope_text(graph, graph->scope));
    return;
  }
  if (!mica_list_given(graph, name, "result", results, count)) return;
  uint32_t *ids = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *ids);
  if (!ids) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  char why[MICA_MESSAGE_SIZE];
  for (size_t i = 0; i < count; i++) {
    if (!mica_value_usable(graph, results[i], why, sizeof why)) {
      mica_fail_operator(graph, name, results, count, "result %zu of the block: %s", i, why);
      return;
    }
    if (!(ids[i] = mica_resolve(graph, results[i]))) return;
  }
  mica_region_data *region = &graph->regions[graph->current];
  region->results = ids;
  region->result_count = (uint32_t)count;
  region->end = graph->count;
  region->state = MICA_REGION_CLOSED;
  graph->current = region->parent;
  block = &graph->blocks[block_id - 1];
  block->current_region = 0;
}

/* Moves what the regions captured to the operands of the owner. */
static mica_value *owner_operands(mica_graph *graph, const mica_block *block, size_t *out_count) {
  size_t count = block->operand_count;
  for (uint32_t r = 0; r < block->region_count; r++) {
    const mica_region_data *region = &graph->regions[block->regions[r]];
    count += region->argument_count - region->declared_count;
  }
  mica_value *in = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *in);
  if (!in) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return NULL;
  }
  size_t at = 0;
  for (; at < block->operand_count; at++) in[at] = mica_value_of(graph, block->operands[at]);
  for (uint32_t r = 0; r < block->region_count; r++) {
    uint32_t index = block->regions[r];
    uint32_t captured = graph->regions[index].argument_count - graph->regions[index].declared_count;
    for (uint32_t k = 0; k < captured; k++) {
      mica_variable *variable = graph->regions[index].capture_variables[k];
      if (variable) { /* read inside before anything outside did */
        in[at] = mica_variable_read(graph, variable);
        if (!in[at].id) return NULL;
        graph->regions[index].captures[k] = in[at].id;
        graph->regions[index].capture_variables[k] = NULL;
      } else {
        in[at] = mica_value_of(graph, graph->regions[index].captures[k]);
      }
      at++;
    }
  }
  *out_count = count;
  return in;
}

void mica_block_close(mica_graph *graph, uint32_t block_id, mica_value *out, size_t out_count) {
  const char *name = graph && block_id ? mica_block_name(&graph->blocks[block_id - 1]) : "block";
  mica_results_clear(graph, name, NULL, 0, out, out_count);
  if (!graph || graph->status != MICA_OK || !block_id) return;
  mica_block block = graph->blocks[block_id - 1];
  size_t count = 0;
  mica_value *in = owner_operands(graph, &block, &count);
  if (!in) return;
  uint32_t scope = graph->scope;
  graph->scope = block.scope;
  mica_emit_node(graph, block.op, in, count, block.operand_count, block.regions, block.region_count,
                 block.attr, out, out_count);
  graph->scope = scope;
  graph->blocks[block_id - 1].done = true;
}

mica_value mica_block_argument(mica_graph *graph, uint32_t block_id, size_t index) {
  if (!graph || graph->status != MICA_OK || !block_id) return mica_no_value(graph);
  const mica_block *block = &graph->blocks[block_id - 1];
  const mica_region_data *region = &graph->regions[block->current_region];
  if (!block->current_region || index >= region->declared_count)
    return mica_fail(graph, MICA_INTERNAL, "argument %zu of a block that has %u", index,
                     region->declared_count);
  return mica_value_of(graph, region->arguments[index]);
}

const char *mica_block_name(const mica_block *block) {
  if (!block) return "block";
  return block->op ? mica_op_definition(block->op)->name : block->name ? block->name : "vmap";
}

static bool check_block(mica_region region, const char *function, mica_op op,
                        const char *own_name) {
  mica_graph *graph = region.graph;
  if (!graph || graph->status != MICA_OK) return false;
  if (!region.id || region.epoch != graph->epoch || region.id > graph->block_count) {
    mica_fail_block(region, function, "expected an open block of this trace, not %s",
                    region.id ? "one of a trace that has ended"
                              : "{0} (the call that begins it failed or is missing)");
    return false;
  }
  const mica_block *block = &graph->blocks[region.id - 1];
  const char *name = mica_block_name(block);
  mica_block wanted = {.op = op, .name = own_name};
  if (block->op != op || block->done || strcmp(name, mica_block_name(&wanted)) != 0) {
    mica_fail_block(region, function, "the block belongs to %s%s: expected an open block of %s",
                    name, block->done ? " and is closed already" : "", mica_block_name(&wanted));
    return false;
  }
  if (block->current_region == 0 || block->current_region != graph->current) {
    mica_fail_block(region, function,
                    "another block inside of this %s is still open: expected its end first", name);
    return false;
  }
  return true;
}

bool mica_region_check(mica_region region, const char *function, mica_op op) {
  return check_block(region, function, op, NULL);
}
bool mica_region_check_named(mica_region region, const char *function, const char *name) {
  return check_block(region, function, MICA_OP_NONE, name);
}

mica_value mica_argument(mica_region region, size_t index) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  if (!region.id || region.epoch != graph->epoch || region.id > graph->block_count)
    return mica_fail_block(region, "argument", "expected an open block of this trace, not %s",
                           region.id ? "one of a trace that has ended"
                                     : "{0} (the call that begins it failed or is missing)");
  const mica_block *block = &graph->blocks[region.id - 1];
  const char *name = mica_block_name(block);
  if (block->done || !block->current_region)
    return mica_fail_block(region, "argument",
                           "the block of %s is closed already: expected an open one", name);
  const mica_region_data *data = &graph->regions[block->current_region];
  if (index >= data->declared_count)
    return mica_fail_block(region, "argument",
                           "the block of %s has %u %s: expected an index below that, not %zu", name,
                           data->declared_count,
                           mica_noun(data->declared_count, "argument", "arguments"), index);
  return mica_value_of(graph, data->arguments[index]);
}
