/* SPDX-License-Identifier: Apache-2.0 */
/* manual_varying.c: along which axes of the mesh the values of a manual region may differ. Arguments
 * do along the axes that cut them; sums and gathered values no longer do along theirs. Bodies of loops
 * are gone through until nothing changes. It shows that a result which is said to be the same on
 * some devices is, and saves sums of what is equal everywhere. */
#include <string.h>

#include "graph/ops/collective.h"

typedef struct {
  const mica_graph *graph;
  uint32_t begin;
  uint32_t *bits; /* by id - begin */
} varying_walk;

static uint32_t bits_of(const varying_walk *w, uint32_t id) { return w->bits[id - w->begin]; }

static void vary_nodes(varying_walk *w, uint32_t region, uint32_t end);

/* Region r of an owner, whose declared arguments have their bits; captured ones are what they are outside. */
static void vary_region(varying_walk *w, const mica_node *node, uint32_t r) {
  const mica_graph *graph = w->graph;
  const mica_region_data *region = mica_node_region(graph, node, r);
  const uint32_t *captured = mica_node_operands(graph, node) + node->declared_count;
  for (uint32_t k = 0; k < r; k++) {
    const mica_region_data *earlier = mica_node_region(graph, node, k);
    captured += earlier->argument_count - earlier->declared_count;
  }
  for (uint32_t i = region->declared_count; i < region->argument_count; i++)
    w->bits[region->arguments[i] - w->begin] = bits_of(w, *captured++);
  vary_nodes(w, graph->owned[node->region_first + r], region->end);
}

/* while and scan: state and what the body makes of it are one thing. */
static void vary_loop(varying_walk *w, uint32_t id, const mica_node *node) {
  const mica_graph *graph = w->graph;
  const uint32_t *operands = mica_node_operands(graph, node);
  bool scan = node->op == MICA_OP_SCAN;
  uint32_t states =
      scan ? (uint32_t)((const mica_scan_attr *)node->attr)->carry_count : node->declared_count;
  const mica_region_data *body = mica_node_region(graph, node, scan ? 0 : 1);
  for (uint32_t i = 0; i < states; i++) w->bits[id + i - w->begin] = bits_of(w, operands[i]);
  for (bool changed = true; changed;) {
    for (uint32_t r = 0; r < node->region_count; r++) {
      const mica_region_data *region = mica_node_region(graph, node, r);
      for (uint32_t i = 0; i < region->declared_count; i++)
        w->bits[region->arguments[i] - w->begin] = bits_of(w, i < states ? id + i : operands[i]);
      vary_region(w, node, r);
    }
    uint32_t condition = scan ? 0 : bits_of(w, mica_node_region(graph, node, 0)->results[0]);
    changed = false;
    for (uint32_t i = 0; i < states; i++) {
      uint32_t bits = bits_of(w, id + i) | bits_of(w, body->results[i]) | condition;
      changed = changed || bits != bits_of(w, id + i);
      w->bits[id + i - w->begin] = bits;
    }
  }
  for (uint32_t i = states; i < node->result_count; i++)
    w->bits[id + i - w->begin] = bits_of(w, body->results[i]);
}

/* The others run a block once: the first, or one of several by an index. */
static void vary_owner(varying_walk *w, uint32_t id, const mica_node *node) {
  const mica_graph *graph = w->graph;
  const uint32_t *operands = mica_node_operands(graph, node);
  bool choice = node->op == MICA_OP_SWITCH;
  if (node->op == MICA_OP_WHILE || node->op == MICA_OP_SCAN) {
    vary_loop(w, id, node);
    return;
  }
  for (uint32_t i = 0; i < node->result_count; i++)
    w->bits[id + i - w->begin] = choice ? bits_of(w, operands[0]) : 0;
  for (uint32_t r = 0; r < (choice ? node->region_count : 1u); r++) {
    const mica_region_data *region = mica_node_region(graph, node, r);
    for (uint32_t i = 0; i < region->declared_count; i++)
      w->bits[region->arguments[i] - w->begin] = bits_of(w, operands[i]);
    vary_region(w, node, r);
    for (uint32_t i = 0; i < node->result_count; i++)
      w->bits[id + i - w->begin] |= bits_of(w, region->results[i]);
  }
}

static uint32_t collective_bits(mica_op op, const void *attr, uint32_t operand) {
  mica_mesh_axes mesh;
  mica_mesh_group group;
  char message[MICA_MESSAGE_SIZE];
  if (!mica_collective_group(attr, &mesh, &group, message)) return UINT32_MAX;
  bool joins = op == MICA_OP_ALL_REDUCE || op == MICA_OP_ALL_GATHER;
  return joins ? operand & ~group.bits : operand | group.bits;
}

static void vary_nodes(varying_walk *w, uint32_t region, uint32_t end) {
  const mica_graph *graph = w->graph;
  for (uint32_t id = graph->regions[region].begin; id < end; id++) {
    const mica_node *node = &graph->nodes[id];
    mica_op op = (mica_op)node->op;
    if (node->region != region || op == MICA_OP_ARGUMENT || op == MICA_OP_RESULT) continue;
    if (node->region_count) {
      vary_owner(w, id, node);
      continue;
    }
    const uint32_t *operands = mica_node_operands(graph, node);
    uint32_t bits = 0;
    for (uint32_t i = 0; i < node->operand_count; i++) bits |= bits_of(w, operands[i]);
    switch (op) {
      case MICA_OP_ALL_REDUCE:
      case MICA_OP_ALL_GATHER:
      case MICA_OP_REDUCE_SCATTER:
      case MICA_OP_ALL_TO_ALL:
      case MICA_OP_COLLECTIVE_PERMUTE:
      case MICA_OP_AXIS_INDEX: bits = collective_bits(op, node->attr, bits); break;
      default: break;
    }
    uint32_t results = node->result_count ? node->result_count : 1;
    for (uint32_t i = 0; i < results; i++)
      w->bits[id + i - w->begin] = op == MICA_OP_BARRIER ? bits_of(w, operands[i]) : bits;
  }
}

static bool walk_begin(varying_walk *w, const mica_graph *graph, uint32_t region, uint32_t end) {
  *w = (varying_walk){.graph = graph, .begin = graph->regions[region].begin};
  w->bits = mica_allocate_zeroed(&graph->allocator, (size_t)(end - w->begin) + 1, sizeof *w->bits);
  return w->bits != NULL;
}
static void walk_end(varying_walk *w, uint32_t end) {
  mica_free(&w->graph->allocator, w->bits, ((size_t)(end - w->begin) + 1) * sizeof *w->bits);
}

bool mica_varying_results(const mica_graph *graph, uint32_t region, const uint32_t *argument_bits,
                          uint32_t *out_bits) {
  const mica_region_data *data = &graph->regions[region];
  varying_walk w;
  if (!walk_begin(&w, graph, region, data->end)) return false;
  for (uint32_t i = 0; i < data->declared_count; i++)
    w.bits[data->arguments[i] - w.begin] = argument_bits[i];
  vary_nodes(&w, region, data->end);
  for (uint32_t i = 0; i < data->result_count; i++) out_bits[i] = bits_of(&w, data->results[i]);
  walk_end(&w, data->end);
  return true;
}

uint32_t mica_varying_here(mica_graph *graph, mica_value x) {
  const mica_manual_attr *attr = mica_open_manual(graph);
  const mica_region_data *data = &graph->regions[graph->current];
  mica_mesh_axes mesh;
  char message[MICA_MESSAGE_SIZE];
  bool own = false;
  for (uint32_t b = 0; b < graph->block_count; b++)
    own = own || (!graph->blocks[b].done && graph->blocks[b].attr == (const void *)attr &&
                  graph->blocks[b].current_region == graph->current && graph->current);
  if (!attr || !own || graph->nodes[x.id].region != graph->current ||
      !mica_mesh_parse(attr->mesh, &mesh, message))
    return UINT32_MAX;
  varying_walk w;
  uint32_t end = graph->count, bits;
  if (!walk_begin(&w, graph, graph->current, end)) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return UINT32_MAX;
  }
  for (uint32_t i = 0; i < data->declared_count; i++) {
    mica_mesh_sharding sharding;
    int32_t rank = graph->nodes[data->arguments[i]].type.shape.rank;
    bool read = mica_manual_sharding(&mesh, attr->in, i, rank, &sharding);
    w.bits[data->arguments[i] - w.begin] = read ? sharding.bits : UINT32_MAX;
  }
  vary_nodes(&w, graph->current, end);
  bits = bits_of(&w, x.id);
  walk_end(&w, end);
  return bits;
}
