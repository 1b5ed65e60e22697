/* SPDX-License-Identifier: Apache-2.0 */
/* share.c: equal nodes become one. While the graph is rebuilt, each new node is looked up among
 * those that stand already: the same operator and attributes on the same values of the rebuilt
 * graph.
 *
 * Regions: a node is shared within its region. An expensive one is also taken from a region
 * around it, by capture; a cheap one is not, since computing it again costs less than a captured
 * array, and a captured constant would hide from backends. Owners are shared when their blocks
 * are equal node by node. Effects and barriers are never shared. What depends on a barrier
 * differs by its operands, so that a recomputation stays one. */
#include "graph/passes/passes_internal.h"

typedef struct {
  mica_allocator allocator;
  uint32_t *slots; /* ids of the rebuilt graph, 0: free; a power of two of them */
  uint32_t slot_count, used;
} sharing;

enum { FIRST_SLOTS = 256 };

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio: spreads low bits upwards */
  return hash ^ hash >> 32;
}

static bool commutes(mica_op op, const void *attr) {
  switch (op) {
    case MICA_OP_ADD:
    case MICA_OP_MUL:
    case MICA_OP_MAX:
    case MICA_OP_MIN:
    case MICA_OP_AND:
    case MICA_OP_OR:
    case MICA_OP_XOR: return true;
    case MICA_OP_COMPARE: {
      int32_t kind = ((const mica_compare_attr *)attr)->kind;
      return kind == MICA_COMPARE_EQ || kind == MICA_COMPARE_NE;
    }
    default: return false;
  }
}

/* Worth an array that a block captures. */
static bool is_expensive(mica_op op) {
  switch (op) {
    case MICA_OP_DOT_GENERAL:
    case MICA_OP_CONVOLUTION:
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
    case MICA_OP_CONVOLUTION_BACKWARD_KERNEL:
    case MICA_OP_REDUCE:
    case MICA_OP_ARG_REDUCE:
    case MICA_OP_REDUCE_WINDOW:
    case MICA_OP_SCATTER:
    case MICA_OP_ATTENTION: return true;
    default: return false;
  }
}

uint32_t mica_captured_source(const mica_graph *graph, uint32_t id) {
  while (graph->nodes[id].op == MICA_OP_ARGUMENT && mica_node_is_open(graph, id)) {
    uint32_t outer = mica_captured_outer(graph, id);
    if (!outer) break;
    id = outer;
  }
  return id;
}

/* ---- equal blocks ---------------------------------------------------------------------------- */

/* Ids and regions of two closed regions are compared by their distance from the first of the
 * region. */
static bool regions_equal(const mica_graph *graph, uint32_t a, uint32_t b) {
  const mica_region_data *x = &graph->regions[a], *y = &graph->regions[b];
  if (x->end - x->begin != y->end - y->begin || x->argument_count != y->argument_count ||
      x->declared_count != y->declared_count || x->result_count != y->result_count)
    return false;
  for (uint32_t i = 0; i < x->result_count; i++)
    if (x->results[i] - x->begin != y->results[i] - y->begin) return false;
  for (uint32_t i = 0; i < x->end - x->begin; i++) {
    const mica_node *p = &graph->nodes[x->begin + i], *q = &graph->nodes[y->begin + i];
    const mica_op_def *def = mica_op_definition((mica_op)p->op);
    if (p->op != q->op || p->operand_count != q->operand_count ||
        p->result_count != q->result_count || p->region_count != q->region_count ||
        p->region - a != q->region - b || def->effect || !mica_type_equal(p->type, q->type) ||
        (def->attr_size && p->attr && !mica_attr_equal(def, p->attr, q->attr)))
      return false;
    for (uint32_t k = 0; k < p->operand_count; k++)
      if (mica_node_operands(graph, p)[k] - x->begin != mica_node_operands(graph, q)[k] - y->begin)
        return false;
    for (uint32_t r = 0; r < p->region_count; r++)
      if (graph->owned[p->region_first + r] - a != graph->owned[q->region_first + r] - b)
        return false;
  }
  return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

static uint64_t hash_node(const mica_graph *graph, const mica_node *node) {
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  const uint32_t *operands = mica_node_operands(graph, node);
  uint64_t hash = mix(node->op, node->operand_count), sum = 0;
  if (def->attr_size) hash = mix(hash, mica_attr_hash(def, node->attr));
  bool any_order = commutes((mica_op)node->op, node->attr);
  for (uint32_t i = 0; i < node->operand_count; i++) {
    uint32_t id = mica_captured_source(graph, operands[i]);
    if (any_order)
      sum += mix(0, id);
    else
      hash = mix(hash, id);
  }
  for (uint32_t r = 0; r < node->region_count; r++) {
    const mica_region_data *region = mica_node_region(graph, node, r);
    hash = mix(hash, region->end - region->begin);
  }
  return mix(hash, sum);
}

static bool nodes_equal(const mica_graph *graph, uint32_t x, uint32_t y) {
  const mica_node *a = &graph->nodes[x], *b = &graph->nodes[y];
  const mica_op_def *def = mica_op_definition((mica_op)a->op);
  if (a->op != b->op || a->operand_count != b->operand_count ||
      a->declared_count != b->declared_count || a->result_count != b->result_count ||
      a->region_count != b->region_count || !mica_type_equal(a->type, b->type) ||
      (def->attr_size && !mica_attr_equal(def, a->attr, b->attr)))
    return false;
  const uint32_t *p = mica_node_operands(graph, a), *q = mica_node_operands(graph, b);
  bool same = true;
  for (uint32_t i = 0; i < a->operand_count; i++)
    same = same && mica_captured_source(graph, p[i]) == mica_captured_source(graph, q[i]);
  if (!same && a->operand_count == 2 && commutes((mica_op)a->op, a->attr))
    same = mica_captured_source(graph, p[0]) == mica_captured_source(graph, q[1]) &&
           mica_captured_source(graph, p[1]) == mica_captured_source(graph, q[0]);
  for (uint32_t r = 0; same && r < a->region_count; r++)
    same =
        regions_equal(graph, graph->owned[a->region_first + r], graph->owned[b->region_first + r]);
  return same;
}

static bool grow_table(sharing *s, const mica_graph *graph) {
  if (s->slot_count && s->used < s->slot_count / 2) return true;
  uint32_t count = s->slot_count ? 2 * s->slot_count : FIRST_SLOTS;
  uint32_t *slots =
      count < s->slot_count ? NULL : mica_allocate_zeroed(&s->allocator, count, sizeof(*slots));
  if (!slots) return false;
  for (uint32_t i = 0; i < s->slot_count; i++) {
    if (!s->slots[i]) continue;
    /* A node of a closed region is never asked for again. */
    if (!mica_node_is_open(graph, s->slots[i])) {
      s->used--;
      continue;
    }
    uint64_t at = hash_node(graph, &graph->nodes[s->slots[i]]);
    while (slots[at & (count - 1)]) at++;
    slots[at & (count - 1)] = s->slots[i];
  }
  mica_free(&s->allocator, s->slots, s->slot_count * sizeof(*s->slots));
  s->slots = slots;
  s->slot_count = count;
  return true;
}

/* An earlier node that is equal to the newest one, `id`; 0 when there is none: then it is
 * entered. */
static uint32_t find_or_enter(sharing *s, mica_graph *graph, uint32_t id) {
  if (!grow_table(s, graph)) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return 0;
  }
  bool anywhere = is_expensive((mica_op)graph->nodes[id].op);
  uint64_t at = hash_node(graph, &graph->nodes[id]);
  for (; s->slots[at & (s->slot_count - 1)]; at++) {
    uint32_t other = s->slots[at & (s->slot_count - 1)];
    bool reachable = graph->nodes[other].region == graph->current ||
                     (anywhere && mica_node_is_open(graph, other));
    if (reachable && nodes_equal(graph, other, id)) return other;
  }
  s->slots[at & (s->slot_count - 1)] = id;
  s->used++;
  return 0;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static bool share_node(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                       const mica_value *in, size_t in_count, mica_value *out) {
  sharing *s = context;
  const mica_op_def *def = mica_op_definition((mica_op)from->nodes[id].op);
  uint32_t results = from->nodes[id].result_count;
  (void)in_count;
  if (def->effect || def->barrier || !results) return false;
  mica_replay_node(to, from, id, in, share_node, context, out);
  if (to->status != MICA_OK || !mica_has_value(out[0])) return true;
  uint32_t same = find_or_enter(s, to, out[0].id);
  for (uint32_t i = 0; same && i < results; i++) out[i] = mica_value_of(to, same + i);
  return true;
}

mica_status mica_pass_share(const mica_graph *from, mica_graph *to, mica_error *error) {
  sharing s = {.allocator = to->allocator};
  mica_status status = mica_rewrite(from, to, share_node, &s, error);
  mica_free(&s.allocator, s.slots, s.slot_count * sizeof(*s.slots));
  return status;
}
