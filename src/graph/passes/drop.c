/* SPDX-License-Identifier: Apache-2.0 */
/* drop.c: leaves out what nothing needs: nodes, results and operands of blocks, and with them
 * what the blocks captured. A loop's state is needed when its final value is, or when it feeds a
 * state that is needed; so a counter that only counts itself goes. Parameters, variables and
 * effects stay.
 *
 * First everything that is needed is marked, through a list of marked values whose sources are
 * still to be marked; then the graph is rebuilt from what is marked. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/mesh.h"

typedef struct {
  const mica_graph *graph;
  mica_allocator allocator;
  /* By id: what is needed, where each result and each argument has an entry of its own; owners
   * that run; and the results of rebuilt owners, since one that replaces an earlier one is met
   * twice. */
  bool *needed, *runs;
  mica_value **made;
  uint32_t *pending;
  uint32_t pending_count, pending_capacity;
  bool failed; /* out of memory */
} need_marking;

/* ---- marking --------------------------------------------------------------------------------- */

/* The entry that stands for `id` in the rebuilt graph. */
static uint32_t current_entry(const mica_graph *graph, uint32_t id) {
  uint32_t index, owner = mica_owner_of_result(graph, id, &index);
  while (graph->nodes[owner].superseded_by) owner = graph->nodes[owner].superseded_by;
  return owner + index;
}

static void need(need_marking *m, uint32_t id) {
  id = current_entry(m->graph, id);
  if (m->needed[id] || m->failed) return;
  m->needed[id] = true;
  if (!mica_grow(&m->allocator, &m->pending, &m->pending_capacity, m->pending_count + 1u,
                 sizeof(*m->pending))) {
    m->failed = true;
    return;
  }
  m->pending[m->pending_count++] = id;
}

static const mica_region_data *owner_region(const need_marking *m, uint32_t owner, uint32_t index) {
  return mica_node_region(m->graph, &m->graph->nodes[owner], index);
}
static uint32_t owner_operand(const need_marking *m, uint32_t owner, uint32_t index) {
  return mica_node_operands(m->graph, &m->graph->nodes[owner])[index];
}

/* What makes an owner run as it does, and the owners around it. */
static void need_owner(need_marking *m, uint32_t owner) {
  while (owner && !m->runs[owner]) {
    m->runs[owner] = true;
    const mica_node *node = &m->graph->nodes[owner];
    if (node->op == MICA_OP_WHILE) need(m, owner_region(m, owner, 0)->results[0]);
    if (node->op == MICA_OP_SWITCH) need(m, owner_operand(m, owner, 0));
    owner = node->region ? m->graph->regions[node->region].owner : 0;
  }
}

/* State `index` of a loop from outside, from inside or at the end: all of it is one thing. */
static void need_state(need_marking *m, uint32_t owner, uint32_t index) {
  const mica_node *node = &m->graph->nodes[owner];
  m->needed[owner + index] = true;
  need(m, owner_operand(m, owner, index));
  need(m, owner_region(m, owner, node->op == MICA_OP_WHILE ? 1 : 0)->results[index]);
}

static void need_result(need_marking *m, uint32_t owner, uint32_t index) {
  const mica_node *node = &m->graph->nodes[owner];
  need_owner(m, owner);
  switch (node->op) {
    case MICA_OP_WHILE: need_state(m, owner, index); return;
    case MICA_OP_SCAN:
      if (index < ((const mica_scan_attr *)node->attr)->carry_count)
        need_state(m, owner, index);
      else
        need(m, owner_region(m, owner, 0)->results[index]);
      return;
    case MICA_OP_SWITCH:
      for (uint32_t r = 0; r < node->region_count; r++)
        need(m, owner_region(m, owner, r)->results[index]);
      return;
    case MICA_OP_CALL:
    case MICA_OP_MANUAL:
    case MICA_OP_RECOMPUTE: need(m, owner_region(m, owner, 0)->results[index]); return;
    case MICA_OP_CUSTOM_GRADIENT: /* both blocks as they are: they must go on to fit each other */
      for (uint32_t r = 0; r < node->region_count; r++)
        for (uint32_t i = 0; i < owner_region(m, owner, r)->result_count; i++)
          need(m, owner_region(m, owner, r)->results[i]);
      for (uint32_t i = 0; i < node->declared_count; i++) need(m, owner_operand(m, owner, i));
      for (uint32_t i = 0; i < node->result_count; i++) m->needed[owner + i] = true;
      return;
    default:
      for (uint32_t i = 0; i < node->operand_count; i++) need(m, owner_operand(m, owner, i));
  }
}

static void need_argument(need_marking *m, uint32_t id) {
  const mica_graph *graph = m->graph;
  const mica_region_data *region = &graph->regions[graph->nodes[id].region];
  const mica_node *owner = &graph->nodes[region->owner];
  uint32_t index = (uint32_t)((const mica_argument_attr *)graph->nodes[id].attr)->index;
  if (!region->owner) return;
  if (index >= region->declared_count) {
    uint32_t at = owner->declared_count + index - region->declared_count;
    for (uint32_t r = 0; &graph->regions[graph->owned[owner->region_first + r]] != region; r++) {
      const mica_region_data *before = mica_node_region(graph, owner, r);
      at += before->argument_count - before->declared_count;
    }
    need(m, owner_operand(m, region->owner, at));
    return;
  }
  bool state =
      owner->op == MICA_OP_WHILE ||
      (owner->op == MICA_OP_SCAN && index < ((const mica_scan_attr *)owner->attr)->carry_count);
  if (state)
    need_state(m, region->owner, index);
  else if (index < owner->declared_count)
    need(m, owner_operand(m, region->owner, index));
}

/* Whether the node is rebuilt at all: not in a block that was replaced or left behind by vmap. */
static bool stands(const mica_graph *graph, uint32_t id) {
  if (graph->nodes[id].superseded_by) return false;
  for (uint32_t region = graph->nodes[id].region; region; region = graph->regions[region].parent) {
    uint32_t owner = graph->regions[region].owner;
    if (!owner || graph->nodes[owner].superseded_by) return false;
  }
  return true;
}

static void mark_needed(need_marking *m) {
  const mica_graph *graph = m->graph;
  for (uint32_t i = 0; i < graph->output_count; i++) need(m, graph->outputs[i]);
  for (uint32_t i = 0; i < graph->variable_count; i++) {
    /* A read that nothing uses stays, too: it is an input of the executable. */
    if (graph->variables[i].read) need(m, graph->variables[i].read);
    if (graph->variables[i].assign) need(m, graph->variables[i].assign);
  }
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = &graph->nodes[id];
    if (node->op == MICA_OP_RESULT || !mica_op_definition((mica_op)node->op)->effect ||
        !stands(graph, id))
      continue;
    need(m, id);
    /* Owners around it run, and keep a result to be known by. */
    for (uint32_t region = node->region; region; region = graph->regions[region].parent) {
      uint32_t owner = graph->regions[region].owner;
      need_owner(m, owner);
      if (graph->nodes[owner].result_count) need(m, owner);
    }
  }
  while (m->pending_count && !m->failed) {
    uint32_t id = m->pending[--m->pending_count], index,
             owner = mica_owner_of_result(graph, id, &index);
    if (graph->nodes[id].op == MICA_OP_ARGUMENT)
      need_argument(m, id);
    else
      need_result(m, owner, index);
  }
}

/* ---- rebuilding ------------------------------------------------------------------------------ */

/* Whether result `index` of a region is needed: what the owner does with it is. */
static bool region_result_needed(const need_marking *m, uint32_t owner, uint32_t region,
                                 uint32_t index) {
  bool condition = m->graph->nodes[owner].op == MICA_OP_WHILE && region == 0;
  return condition || m->needed[owner + index];
}

/* Whether declared operand `index` (and its argument in each region) is needed. */
static bool operand_needed(const need_marking *m, uint32_t owner, uint32_t index) {
  const mica_node *node = &m->graph->nodes[owner];
  switch (node->op) {
    case MICA_OP_SWITCH: return true;
    case MICA_OP_WHILE: return m->needed[owner + index];
    case MICA_OP_SCAN:
      if (index < ((const mica_scan_attr *)node->attr)->carry_count)
        return m->needed[owner + index];
      break;
    default: break;
  }
  return m->needed[owner_region(m, owner, 0)->arguments[index]];
}

static mica_replay_rule drop_node;

/* One region of the owner that is being rebuilt, with the arguments and results that are needed. */
static void drop_in_region(need_marking *m, mica_graph *to, uint32_t block, uint32_t owner,
                           uint32_t index, const mica_value *in) {
  const mica_graph *from = m->graph;
  const mica_region_data *region = owner_region(m, owner, index);
  uint32_t arguments = region->argument_count, declared = region->declared_count,
           results = region->result_count;
  size_t width = (size_t)arguments + 2 * (size_t)results + 1;
  mica_value *values = mica_arena_allocate(&to->arena, width * sizeof(*values));
  mica_type *types = mica_arena_allocate(&to->arena, ((size_t)declared + 1) * sizeof(*types));
  if (!values || !types) {
    mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  size_t count = 0;
  for (uint32_t i = 0; i < declared; i++)
    if (operand_needed(m, owner, i)) types[count++] = from->nodes[region->arguments[i]].type;
  if (!mica_block_enter(to, block, types, count)) return;
  count = 0;
  for (uint32_t i = 0; i < declared; i++)
    values[i] =
        operand_needed(m, owner, i) ? mica_block_argument(to, block, count++) : mica_no_value(to);
  mica_captured_arguments(from, owner, index, in, values);
  mica_value *all = values + arguments, *kept = all + results;
  mica_replay(to, from, from->owned[from->nodes[owner].region_first + index], values, drop_node, m,
              all);
  count = 0;
  for (uint32_t i = 0; i < results; i++)
    if (region_result_needed(m, owner, index, i)) kept[count++] = all[i];
  mica_block_leave(to, block, kept, count);
}

/* The shardings of what stays of `count` operands or results. */
static const char *drop_in_list(need_marking *m, mica_graph *to, uint32_t owner, const char *list,
                                uint32_t count, bool operands) {
  mica_text kept;
  mica_text_init(&kept, &to->allocator);
  bool first = true;
  for (uint32_t i = 0; i < count; i++) {
    const char *text;
    size_t length;
    if (!(operands ? operand_needed(m, owner, i) : m->needed[owner + i])) continue;
    if (!mica_mesh_list_at(list, i, &text, &length)) break;
    if (!first) mica_text_append(&kept, ";");
    first = false;
    mica_text_append_bytes(&kept, text, length);
  }
  const char *out = kept.failed ? NULL : mica_arena_text(&to->arena, kept.data ? kept.data : "");
  mica_text_deinit(&kept);
  if (!out) mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
  return out ? out : "";
}

static void drop_in_owner(need_marking *m, mica_graph *to, uint32_t owner, const mica_value *in,
                          mica_value *out) {
  const mica_node *node = &m->graph->nodes[owner];
  uint32_t declared = node->declared_count, results = node->result_count;
  size_t width = (size_t)declared + 2 * (size_t)results + 1, count = 0;
  mica_value *values = mica_arena_allocate(&to->arena, width * sizeof(*values));
  if (m->made[owner]) {
    for (uint32_t i = 0; i < results; i++) out[i] = m->made[owner][i];
    return;
  }
  if (!values) {
    mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  mica_scan_attr scan;
  const void *attr = node->attr;
  if (node->op == MICA_OP_SCAN) {
    scan = *(const mica_scan_attr *)attr;
    int64_t carries = scan.carry_count;
    for (uint32_t i = 0; i < carries; i++) scan.carry_count -= !m->needed[owner + i];
    attr = &scan;
  }
  mica_manual_attr manual;
  if (node->op == MICA_OP_MANUAL) {
    manual = *(const mica_manual_attr *)attr;
    manual.in = drop_in_list(m, to, owner, manual.in, declared, true);
    manual.out = drop_in_list(m, to, owner, manual.out, results, false);
    attr = &manual;
  }
  for (uint32_t i = 0; i < declared; i++)
    if (operand_needed(m, owner, i)) values[count++] = in[i];
  uint32_t block = mica_block_open(to, (mica_op)node->op, values, count, attr);
  for (uint32_t r = 0; r < node->region_count && to->status == MICA_OK; r++)
    drop_in_region(m, to, block, owner, r, in);
  mica_value *kept = values + declared;
  count = 0;
  for (uint32_t i = 0; i < results; i++) count += m->needed[owner + i];
  mica_block_close(to, block, kept, count);
  count = 0;
  for (uint32_t i = 0; i < results; i++)
    if (m->needed[owner + i]) out[i] = kept[count++];
  m->made[owner] = kept + results;
  for (uint32_t i = 0; i < results; i++) m->made[owner][i] = out[i];
}

static bool drop_node(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                      const mica_value *in, size_t in_count, mica_value *out) {
  need_marking *m = context;
  const mica_node *node = &from->nodes[id];
  (void)in_count;
  if (node->region_count) {
    if (m->runs[id] && node->op != MICA_OP_CUSTOM_GRADIENT) drop_in_owner(m, to, id, in, out);
    return !m->runs[id] || node->op != MICA_OP_CUSTOM_GRADIENT;
  }
  for (uint32_t i = 0; i < node->result_count; i++)
    if (m->needed[id + i]) return false;
  return true;
}

mica_status mica_pass_drop(const mica_graph *from, mica_graph *to, mica_error *error) {
  mica_status status = mica_graph_status(from, error);
  if (status != MICA_OK) return status;
  need_marking m = {.graph = from, .allocator = to->allocator};
  m.needed = mica_allocate_zeroed(&m.allocator, from->count, 2 * sizeof(*m.needed));
  m.made = mica_allocate_zeroed(&m.allocator, from->count, sizeof(*m.made));
  m.failed = !m.needed || !m.made;
  if (!m.failed) {
    m.runs = m.needed + from->count;
    mark_needed(&m);
  }
  status = m.failed ? mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory")
                    : mica_rewrite(from, to, drop_node, &m, error);
  mica_free(&m.allocator, m.needed, (size_t)from->count * 2 * sizeof(*m.needed));
  mica_free(&m.allocator, m.made, from->count * sizeof(*m.made));
  mica_free(&m.allocator, m.pending, (size_t)m.pending_capacity * sizeof(*m.pending));
  return status;
}
