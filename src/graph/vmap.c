/* SPDX-License-Identifier: Apache-2.0 */
/* vmap.c: one block for many examples. The block's nodes are rebuilt in the parent region, where
 * a value that differs between examples is "batched": it has the examples as axis 0. A node
 * without a batched operand is rebuilt as it is, once for all examples; others go through their
 * operator's batching rule. No loop is built, and the block itself leaves nothing behind. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/collectives.h"
#include "graph/graph_internal.h"
#include "graph/ops/rules.h"

typedef struct {
  int64_t size;
  uint32_t begin; /* of the region */
  bool *batched;  /* by id - begin */
} batching;

mica_value mica_batched(mica_value x, bool batched, int64_t size) {
  if (batched || !x.id || x.graph->status != MICA_OK) return x;
  mica_type type = mica_type_of(x);
  if (type.shape.rank >= MICA_MAX_RANK)
    return mica_fail_operator(x.graph, "vmap", &x, 1,
                              "the examples need an axis of their own: expected a rank below %d",
                              MICA_MAX_RANK);
  mica_broadcast_attr attr = {.shape = {.rank = type.shape.rank + 1, .dim = {size}}};
  attr.axes.count = type.shape.rank;
  for (int32_t i = 0; i < type.shape.rank; i++) {
    attr.shape.dim[i + 1] = type.shape.dim[i];
    attr.axes.at[i] = i + 1;
  }
  return mica_emit(x.graph, MICA_OP_BROADCAST, &x, 1, &attr);
}

static void batch_pointwise(const mica_rule *rule, const bool *batched, int64_t size,
                            mica_value *out) {
  mica_value in[4] = {{0}};
  for (size_t i = 0; i < rule->in_count && i < 4; i++)
    in[i] = mica_batched(rule->in[i], batched[i], size);
  out[0] = mica_emit(rule->graph, mica_op_find(rule->def->name), in, rule->in_count, rule->attr);
}

/* Of no example nothing is computed: each result is empty. The graphs may be one, so that nodes move as
 * results are built. */
static void batch_nothing(const mica_graph *from, uint32_t id, uint32_t result_count,
                          mica_graph *to, mica_value *out) {
  for (uint32_t i = 0; i < result_count; i++) {
    mica_type type = from->nodes[id + i].type;
    type.shape = mica_shape_insert(type.shape, 0, 0);
    out[i] = mica_zeros(to, type);
  }
}

/* Random bits differ between examples even where the key does not; so does what a block makes of
 * them. */
static bool draws_bits(const mica_graph *from, const mica_node *node) {
  if (node->op == MICA_OP_RANDOM_BITS) return true;
  for (uint32_t r = 0; r < node->region_count; r++) {
    const mica_region_data *region = mica_node_region(from, node, r);
    for (uint32_t id = region->begin; id < region->end; id++)
      if (from->nodes[id].op == MICA_OP_RANDOM_BITS) return true;
  }
  return false;
}

static bool batch_node(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                       const mica_value *in, size_t in_count, mica_value *out) {
  batching *b = context;
  const mica_node *node = &from->nodes[id];
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  uint32_t result_count = node->result_count;
  bool *batched = mica_arena_allocate(&to->arena, in_count + 1), any = false;
  if (!batched) {
    mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
    return true;
  }
  for (size_t i = 0; i < in_count; i++) {
    batched[i] =
        b->batched[mica_stand_in(from, mica_node_operands(from, &from->nodes[id])[i]) - b->begin];
    any = any || batched[i];
  }
  /* Devices that draw with one key draw the same. */
  bool collective = to->stacks_devices && mica_is_collective((mica_op)node->op);
  if (!any && !collective && (to->stacks_devices || !draws_bits(from, node))) return false;
  node = &from->nodes[id];
  to->scope = from->nodes[id].scope;
  mica_rule rule = {.graph = to,
                    .def = def,
                    .id = id,
                    .attr = node->attr,
                    .in = in,
                    .in_count = in_count,
                    .out_count = result_count};
  if (collective)
    mica_collective_stacked(&rule, batched, b->size, out);
  else if (b->size == 0)
    batch_nothing(from, id, result_count, to, out);
  else if (def->batch)
    def->batch(&rule, batched, b->size, out);
  else if (def->kind == MICA_KIND_POINTWISE || def->kind == MICA_KIND_CONSTANT)
    batch_pointwise(&rule, batched, b->size, out);
  else
    mica_rule_failed(&rule, "has no batching rule");
  for (uint32_t i = 0; i < result_count; i++) {
    b->batched[id + i - b->begin] = true;
    if (collective) continue; /* no batching rule */
    out[i] = mica_mutated((mica_op)from->nodes[id].op, MICA_RULE_BATCH, i, out[i]);
  }
  return true;
}

void mica_batch_region(mica_graph *graph, uint32_t region, const mica_value *arguments,
                       const bool *batched, int64_t size, mica_value *results, bool *out_batched) {
  if (graph->status != MICA_OK) return;
  const mica_region_data *data = &graph->regions[region];
  uint32_t begin = data->begin, result_count = data->result_count;
  batching b = {.size = size, .begin = begin};
  b.batched =
      mica_arena_allocate_zeroed(&graph->arena, (size_t)(data->end - begin) + 1, sizeof *b.batched);
  if (!b.batched) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (uint32_t i = 0; i < data->argument_count; i++)
    b.batched[data->arguments[i] - begin] = batched[i];
  mica_replay(graph, graph, region, arguments, batch_node, &b, results);
  for (uint32_t i = 0; i < result_count && graph->status == MICA_OK; i++) {
    bool is = b.batched[mica_stand_in(graph, graph->regions[region].results[i]) - begin];
    if (out_batched)
      out_batched[i] = is;
    else
      results[i] = mica_batched(results[i], is, size);
  }
}

/* ---- the public block ------------------------------------------------------------------------ */

static mica_region failed_region(mica_graph *graph) {
  return (mica_region){graph, 0, graph ? graph->epoch : 0};
}

mica_region mica_vmap_begin(mica_graph *graph, const mica_value *in, const int32_t *axis,
                            size_t count) {
  MICA_ENTRY(graph ? graph : mica_graph_of(in, count));
  if (!graph) graph = mica_graph_of(in, count);
  if (!graph || graph->status != MICA_OK) return failed_region(graph);
  int32_t *axes = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *axes);
  mica_type *types = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *types);
  if (!axes || !types) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return failed_region(graph);
  }
  if (!mica_list_given(graph, "vmap", "operand", in, count)) return failed_region(graph);
  int64_t size = -1;
  char why[MICA_MESSAGE_SIZE];
  for (size_t i = 0; i < count; i++) {
    if (!mica_value_usable(graph, in[i], why, sizeof why)) {
      mica_fail_operator(graph, "vmap", in, count, "operand %zu: %s", i, why);
      return failed_region(graph);
    }
    mica_type type = mica_type_of(in[i]);
    int32_t a = axis ? axis[i] : 0;
    axes[i] = a;
    types[i] = type;
    if (a == -1) continue;
    if (a < 0 || a >= type.shape.rank) {
      mica_fail_operator(graph, "vmap", in, count,
                         "operand %zu has no axis %d: expected 0 to its rank - 1, or -1 for "
                         "a value that all examples share",
                         i, a);
      return failed_region(graph);
    }
    if (size >= 0 && type.shape.dim[a] != size) {
      mica_fail_operator(
          graph, "vmap", in, count,
          "operand %zu has %lld examples along axis %d: expected %lld as the operands before it", i,
          (long long)type.shape.dim[a], a, (long long)size);
      return failed_region(graph);
    }
    size = type.shape.dim[a];
    for (int32_t k = a; k + 1 < type.shape.rank; k++) types[i].shape.dim[k] = type.shape.dim[k + 1];
    types[i].shape.dim[--types[i].shape.rank] = 0;
  }
  if (size < 0) {
    mica_fail_operator(graph, "vmap", in, count,
                       "expected at least one operand with an axis of examples");
    return failed_region(graph);
  }
  uint32_t block = mica_block_open(graph, MICA_OP_NONE, in, count, NULL);
  if (!block) return failed_region(graph);
  graph->blocks[block - 1].vmap_axis = axes;
  if (!mica_block_enter(graph, block, types, count)) return failed_region(graph);
  return (mica_region){graph, block, graph->epoch};
}

void mica_vmap_end(mica_region region, const mica_value *result, size_t count, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  bool right = mica_region_check(region, "vmap_end", MICA_OP_NONE);
  mica_value *results =
      right ? mica_arena_allocate(&graph->arena, (count + 1) * sizeof *results) : NULL;
  if (right && !results) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  if (results) mica_block_leave(graph, region.id, result, count);
  mica_results_clear(graph, "vmap_end", result, count, out, count);
  if (!results || graph->status != MICA_OK) return;
  mica_block block = graph->blocks[region.id - 1];
  uint32_t index = block.regions[0];
  graph->regions[index].state = MICA_REGION_ABANDONED;
  graph->blocks[region.id - 1].done = true;
  uint32_t declared = graph->regions[index].declared_count,
           all = graph->regions[index].argument_count;
  mica_value *arguments = mica_arena_allocate(&graph->arena, ((size_t)all + 1) * sizeof *arguments);
  bool *batched = mica_arena_allocate_zeroed(&graph->arena, (size_t)all + 1, sizeof *batched);
  if (!arguments || !batched) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  int64_t size = 0;
  for (uint32_t i = 0; i < declared; i++) {
    mica_value whole = mica_value_of(graph, block.operands[i]);
    batched[i] = block.vmap_axis[i] >= 0;
    if (batched[i]) size = mica_dim_of(whole, block.vmap_axis[i]);
    arguments[i] = batched[i] ? mica_move_axis(whole, block.vmap_axis[i], 0) : whole;
  }
  for (uint32_t k = 0; k < all - declared; k++) {
    mica_variable *variable = graph->regions[index].capture_variables[k];
    arguments[declared + k] = variable ? mica_variable_read(graph, variable)
                                       : mica_value_of(graph, graph->regions[index].captures[k]);
  }
  mica_batch_region(graph, index, arguments, batched, size, results, NULL);
  for (size_t i = 0; i < count && graph->status == MICA_OK; i++) out[i] = results[i];
}
