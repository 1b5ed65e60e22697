/* SPDX-License-Identifier: Apache-2.0 */
/* forward.c: forward mode. One sweep up carries tangents from x to y by the rule of each node's
 * kind. */
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

typedef struct {
  mica_graph *graph;
  uint32_t floor, limit;
  mica_value *tangent;                 /* by id; id 0: zero */
  mica_value *in, *given, *out, *made; /* scratch */
} forward_sweep;

static void forward_expansion(const mica_rule *rule, const mica_value *tangents,
                              mica_value *out_tangents) {
  uint32_t floor;
  mica_value *in, *out;
  if (mica_expand_here(rule, &floor, &in, &out))
    mica_forward_mode(rule->graph, floor, out, rule->out_count, in, tangents, rule->in_count,
                      out_tangents);
}

/* op(.., t_i, ..) summed over i; linear in all operands together: op(t_0, t_1, ..) at once. */
static mica_value forward_linear(const forward_sweep *s, const mica_rule *rule, mica_op op) {
  mica_graph *graph = s->graph;
  const mica_op_def *def = rule->def;
  mica_value sum = mica_no_value(graph);
  mica_value *operands =
      mica_arena_allocate(&graph->arena, (rule->in_count + 1) * sizeof *operands);
  if (!operands) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (size_t i = 0; i < rule->in_count; i++) {
    bool linear = def->linear_operands >> (i < 31 ? i : 31) & 1;
    if (!linear || !s->given[i].id) continue;
    for (size_t k = 0; k < rule->in_count; k++) {
      bool k_linear = def->linear_operands >> (k < 31 ? k : 31) & 1;
      operands[k] = rule->in[k];
      if (k == i)
        operands[k] = mica_mutated(op, MICA_RULE_JVP, k, s->given[k]);
      else if (def->linear_jointly && k_linear)
        operands[k] = mica_mutated(op, MICA_RULE_JVP, k, s->given[k]);
      if (!operands[k].id) operands[k] = mica_zeros(graph, mica_type_of(rule->in[k]));
    }
    sum = mica_add_values(sum, mica_emit(graph, op, operands, rule->in_count, rule->attr));
    if (def->linear_jointly) break;
  }
  return sum;
}

static void forward_node(forward_sweep *s, uint32_t id) {
  mica_graph *graph = s->graph;
  mica_node node = graph->nodes[id];
  const mica_op_def *def = mica_op_definition((mica_op)node.op);
  bool reached = false;
  for (uint32_t i = 0; i < node.operand_count; i++) {
    uint32_t operand = mica_node_operands(graph, &node)[i];
    s->in[i] = mica_value_of(graph, operand);
    s->given[i] = s->tangent[operand];
    reached = reached || s->given[i].id;
  }
  if (!reached || def->kind == MICA_KIND_CONSTANT) return;
  for (uint32_t i = 0; i < node.result_count; i++) {
    s->out[i] = mica_value_of(graph, id + i);
    s->made[i] = mica_no_value(graph);
  }
  mica_rule rule = {.graph = graph,
                    .def = def,
                    .id = id,
                    .attr = node.attr,
                    .in = s->in,
                    .in_count = node.operand_count,
                    .out = s->out,
                    .out_count = node.result_count};
  graph->scope = node.scope;
  if (def->derivative) {
    for (uint32_t i = 0; i < node.operand_count; i++)
      if (s->given[i].id)
        s->made[0] =
            mica_add_values(s->made[0], mica_mutated((mica_op)node.op, MICA_RULE_JVP, i,
                                                     def->derivative(&rule, i, s->given[i])));
  } else if (def->kind == MICA_KIND_LINEAR) {
    s->made[0] = forward_linear(s, &rule, (mica_op)node.op);
  } else if (def->jvp || def->expand) {
    for (uint32_t i = 0; i < node.operand_count; i++)
      s->given[i] = mica_mutated((mica_op)node.op, MICA_RULE_JVP, i, s->given[i]);
    if (def->jvp)
      def->jvp(&rule, s->given, s->made);
    else
      forward_expansion(&rule, s->given, s->made);
  } else {
    mica_rule_failed(
        &rule, "cannot be differentiated in forward mode: expected mica_gradients or mica_vjp");
  }
  for (uint32_t i = 0; i < node.result_count; i++)
    s->tangent[id + i] = mica_add_values(s->tangent[id + i], s->made[i]);
}

/* Spreads the marks to all that the marked values are made of: what else depends on x needs no tangent,
 * and may have none. */
static void mark_wanted(const mica_graph *graph, uint32_t floor, uint32_t limit, bool *wanted) {
  for (uint32_t id = limit + 1; id-- > floor;) {
    const mica_node *node = &graph->nodes[id];
    if (!wanted[id]) continue;
    if (node->op == MICA_OP_RESULT) {
      wanted[id - node->result_count] = true;
    } else if (node->op == MICA_OP_ARGUMENT) {
      if (mica_node_is_open(graph, id)) wanted[mica_captured_outer(graph, id)] = true;
    } else {
      const uint32_t *operands = mica_node_operands(graph, node);
      for (uint32_t i = 0; i < node->operand_count; i++) wanted[operands[i]] = true;
    }
  }
}

void mica_forward_mode(mica_graph *graph, uint32_t floor, const mica_value *y, size_t y_count,
                       const mica_value *x, const mica_value *x_tangent, size_t x_count,
                       mica_value *out) {
  for (size_t j = 0; j < y_count; j++) out[j] = mica_no_value(graph);
  if (!graph || graph->status != MICA_OK || !y_count) return;
  uint32_t scope = graph->scope;
  forward_sweep s = {.graph = graph, .floor = floor ? floor : 1};
  for (size_t j = 0; j < y_count; j++)
    if (y[j].id > s.limit) s.limit = y[j].id;
  for (size_t i = 0; i < x_count; i++)
    if (x[i].id > s.limit) s.limit = x[i].id;
  size_t widest = 1;
  while (s.limit + 1 < graph->count && graph->nodes[s.limit + 1].op == MICA_OP_RESULT) s.limit++;
  for (uint32_t id = s.floor; id <= s.limit; id++) {
    const mica_node *node = &graph->nodes[id];
    if (node->op == MICA_OP_RESULT) continue;
    if (node->operand_count > widest) widest = node->operand_count;
    if (node->result_count > widest) widest = node->result_count;
  }
  s.tangent = mica_arena_allocate_zeroed(&graph->arena, (size_t)s.limit + 1, sizeof *s.tangent);
  s.in = mica_arena_allocate(&graph->arena, 4 * widest * sizeof *s.in);
  bool *wanted = mica_arena_allocate_zeroed(&graph->arena, (size_t)s.limit + 1, sizeof *wanted);
  if (!s.tangent || !s.in || !wanted) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t j = 0; j < y_count; j++) wanted[y[j].id] = true;
  mark_wanted(graph, s.floor, s.limit, wanted);
  s.given = s.in + widest;
  s.out = s.given + widest;
  s.made = s.out + widest;
  for (size_t i = 0; i < x_count; i++) {
    bool repeated = false; /* with a floor, equal operands have one tangent between them */
    for (size_t k = 0; k < i && floor; k++) repeated = repeated || x[k].id == x[i].id;
    mica_dtype dtype = graph->nodes[x[i].id].type.dtype;
    if (!repeated && (mica_dtype_is_float(dtype) || mica_dtype_is_complex(dtype)))
      s.tangent[x[i].id] = mica_add_values(s.tangent[x[i].id], x_tangent[i]);
  }
  for (uint32_t id = s.floor; id <= s.limit && graph->status == MICA_OK; id++) {
    const mica_node *node = &graph->nodes[id];
    if (!wanted[id] || node->op == MICA_OP_RESULT || !mica_node_is_open(graph, id)) continue;
    if (node->op == MICA_OP_ARGUMENT) {
      uint32_t outer = mica_captured_outer(graph, id);
      if (outer) s.tangent[id] = mica_add_values(s.tangent[id], s.tangent[outer]);
    } else {
      forward_node(&s, id);
    }
  }
  for (size_t j = 0; j < y_count; j++) out[j] = s.tangent[y[j].id];
  graph->scope = scope;
}

static bool tangents_fit(mica_graph *graph, const mica_value *y, size_t y_count,
                         const mica_value *x, const mica_value *x_tangent, size_t x_count) {
  char why[MICA_MESSAGE_SIZE];
  if ((!y && y_count) || ((!x || !x_tangent) && x_count)) {
    mica_fail_operator(graph, "jvp", NULL, 0,
                       "a list is NULL: expected %zu results, %zu inputs and their tangents",
                       y_count, x_count);
    return false;
  }
  for (size_t j = 0; j < y_count; j++)
    if (!mica_value_usable(graph, y[j], why, sizeof why)) {
      mica_fail_operator(graph, "jvp", y, y_count, "result %zu: %s", j, why);
      return false;
    }
  for (size_t i = 0; i < x_count; i++) {
    if (!mica_value_usable(graph, x[i], why, sizeof why) ||
        !mica_value_usable(graph, x_tangent[i], why, sizeof why)) {
      mica_fail_operator(graph, "jvp", x, x_count, "input or tangent %zu: %s", i, why);
      return false;
    }
    if (!mica_type_equal(mica_type_of(x[i]), mica_type_of(x_tangent[i]))) {
      mica_fail_operator(graph, "jvp", (mica_value[]){x[i], x_tangent[i]}, 2,
                         "tangent %zu: expected the first type, not the second", i);
      return false;
    }
  }
  return true;
}

void mica_jvp(const mica_value *y, size_t y_count, const mica_value *x, const mica_value *x_tangent,
              size_t x_count, mica_value *out) {
  MICA_ENTRY(mica_graph_of(y, y_count));
  mica_graph *graph = mica_graph_of(y, y_count);
  if (!graph) graph = mica_graph_of(x, x_count);
  mica_value *made = mica_results_room(graph, y_count);
  if (made && tangents_fit(graph, y, y_count, x, x_tangent, x_count))
    mica_forward_mode(graph, 0, y, y_count, x, x_tangent, x_count, made);
  mica_results_hand_over(graph, "jvp", y, made, y_count, out);
}
