/* SPDX-License-Identifier: Apache-2.0 */
/* expand.c: composites that a backend does not take whole become simpler operators, and blocks
 * that run exactly once (calls, recomputed and custom-gradient blocks) become the nodes they
 * hold: their meaning for derivatives has been used up when a graph is compiled. A manual region that
 * is refused becomes one program for all of its devices. */
#include "graph/collectives.h"

typedef struct {
  bool (*keep)(void *context, const mica_graph *graph, uint32_t id);
  void *context;
} expansion;

static bool is_refused(const expansion *e, const mica_graph *graph, uint32_t id) {
  const mica_op_def *def = mica_op_definition((mica_op)graph->nodes[id].op);
  bool composite = def->expand || graph->nodes[id].op == MICA_OP_MANUAL;
  return composite && !(e->keep && e->keep(e->context, graph, id));
}

static mica_replay_rule expand_node;

/* The owner's first block, which runs once, in its place. */
static void inline_block(expansion *e, mica_graph *to, const mica_graph *from, uint32_t id,
                         const mica_value *in, mica_value *out) {
  const mica_node *node = &from->nodes[id];
  uint32_t index = from->owned[node->region_first];
  uint32_t count = from->regions[index].argument_count;
  mica_value *arguments = mica_arena_allocate(&to->arena, ((size_t)count + 1) * sizeof(*arguments));
  if (!arguments) {
    mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (uint32_t i = 0; i < node->declared_count; i++) arguments[i] = in[i];
  mica_captured_arguments(from, id, 0, in, arguments);
  mica_replay(to, from, index, arguments, expand_node, e, out);
}

static bool expand_node(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                        const mica_value *in, size_t in_count, mica_value *out) {
  expansion *e = context;
  const mica_node *node = &from->nodes[id];
  switch (node->op) {
    case MICA_OP_CALL:
    case MICA_OP_RECOMPUTE:
    case MICA_OP_CUSTOM_GRADIENT: inline_block(e, to, from, id, in, out); return true;
    default: break;
  }
  if (!is_refused(e, from, id)) return false;
  if (node->op == MICA_OP_MANUAL) {
    mica_manual_expand(to, from, id, in, expand_node, e, out);
    return true;
  }
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  mica_rule rule = {.graph = to,
                    .def = def,
                    .attr = node->attr,
                    .in = in,
                    .in_count = in_count,
                    .out_count = node->result_count};
  def->expand(&rule, out);
  return true;
}

static bool has_refused(const expansion *e, const mica_graph *graph) {
  for (uint32_t id = 1; id < graph->count; id++)
    if (graph->nodes[id].op != MICA_OP_RESULT && is_refused(e, graph, id)) return true;
  return false;
}

mica_status mica_pass_expand(const mica_graph *from, mica_graph *to,
                             bool (*keep)(void *context, const mica_graph *graph, uint32_t id),
                             void *context, mica_error *error) {
  enum { MAX_DEPTH = 16 };
  expansion e = {keep, context};
  mica_status status = mica_rewrite(from, to, expand_node, &e, error);
  /* An expansion may hold composites itself. A graph has no pointers into itself, so that it can
   * be moved. */
  for (int depth = 0; status == MICA_OK && has_refused(&e, to); depth++) {
    if (depth == MAX_DEPTH)
      return mica_error_set(error, MICA_INTERNAL,
                            "expand: composites still expand into composites at depth %d", depth);
    mica_graph once = *to;
    if (mica_graph_init(to, &once.allocator)) {
      to->epoch = once.epoch;
      status = mica_rewrite(&once, to, expand_node, &e, error);
    } else {
      status = mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
    }
    mica_graph_deinit(&once);
  }
  return status;
}
