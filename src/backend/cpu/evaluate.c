/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.c: what depends on constants alone is computed once, when the program is compiled.
 *
 * Chosen are the values at the rim: those that something reads which is not itself such a value. Views are
 * looked through, since they cost nothing. What a tile program makes from nothing or from less memory about
 * as fast as it would load the result (a causal mask: two counters and a comparison) stays where it is;
 * then the rim runs through its operands. So does what is too large to keep. The chosen values become a
 * graph without inputs, which is compiled and run like any other, and then constants of the program, so
 * that calls share them without a lock, and products keep them packed. */
#include "backend/cpu/evaluate.h"

#include "core/tensor.h"
#include "graph/collectives.h"

#include <string.h>

enum {
  EVALUATE_BYTES = 64 << 20,  /* of all values of a program */
  EVALUATE_SMALL = 4096,      /* elements: kept whatever they cost */
  EVALUATE_CACHED = 4 << 20,  /* bytes that may be in a cache when they are loaded */
  EVALUATE_NEAR_COST = 6,     /* of an element: as dear as loading it from a cache */
  EVALUATE_FAR_COST = 24,     /* ... from memory */
  EVALUATE_UNTILED_COST = 100 /* what no tile program computes */
};

enum { READ_BY_TILE = 1, READ_WHOLE = 2 };

typedef struct {
  const mica_graph *graph;
  mica_arena arena; /* of the arrays, each [graph->count] */
  bool *constant;   /* depends on constants alone */
  uint8_t *cost;    /* of an element, computed from constants and counters in a tile; saturates */
  uint8_t *read;    /* how what stays reads it */
  bool *chosen, *needed;
  mica_value *made;      /* in the graph of the chosen ones */
  mica_tensor **tensors; /* of the chosen ones */
  uint32_t chosen_count;
  size_t bytes;
  bool no_memory; /* why something failed */
} constant_evaluation;

/* ---- what is constant, and what it costs ------------------------------------------------------ */

/* Of an element in a tile program, in additions. */
static uint32_t tile_cost(mica_op op) {
  switch (op) {
    case MICA_OP_DIV:
    case MICA_OP_REM:
    case MICA_OP_SQRT:
    case MICA_OP_RSQRT: return 4;
    case MICA_OP_EXP:
    case MICA_OP_EXPM1:
    case MICA_OP_LOG:
    case MICA_OP_LOG1P:
    case MICA_OP_TANH:
    case MICA_OP_LOGISTIC:
    case MICA_OP_ERF:
    case MICA_OP_SIN:
    case MICA_OP_COS:
    case MICA_OP_GELU: return 10;
    case MICA_OP_POW: return 20;
    case MICA_OP_COMPARE:
    case MICA_OP_CONVERT:
    case MICA_OP_RELU: return 1;
    default: break;
  }
  return mica_op_definition(op)->kind == MICA_KIND_POINTWISE ? 1 : EVALUATE_UNTILED_COST;
}

static bool may_evaluate(const mica_graph *graph, const mica_node *node) {
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  (void)graph;
  if (node->op == MICA_OP_CONSTANT || node->op == MICA_OP_IOTA) return true;
  return def->kind != MICA_KIND_LEAF && def->kind != MICA_KIND_RESULT &&
         def->kind != MICA_KIND_REGION && !def->effect && !def->barrier &&
         !mica_is_collective((mica_op)node->op) && node->region_count == 0 &&
         node->operand_count > 0;
}

static void find_constants(constant_evaluation *e) {
  const mica_graph *graph = e->graph;
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = &graph->nodes[id];
    if (node->op == MICA_OP_RESULT || !may_evaluate(graph, node)) continue;
    const uint32_t *operands = mica_node_operands(graph, node);
    bool constant = true;
    uint32_t cost = node->op == MICA_OP_CONSTANT || mica_op_is_view((mica_op)node->op)
                        ? 0
                        : tile_cost((mica_op)node->op);
    if (node->op == MICA_OP_IOTA) cost = 1;
    for (uint32_t i = 0; i < node->operand_count; i++) {
      constant = constant && e->constant[operands[i]];
      cost += e->cost[operands[i]];
    }
    for (uint32_t i = 0; i < node->result_count; i++) {
      e->constant[id + i] = constant;
      e->cost[id + i] = (uint8_t)(cost < UINT8_MAX ? cost : UINT8_MAX);
    }
  }
}

/* ---- the rim ---------------------------------------------------------------------------------- */

/* Whether a tile program computes the node, so that an operand need not be in memory. */
static bool reads_in_tile(const mica_node *node) {
  return node->op == MICA_OP_REDUCE || tile_cost((mica_op)node->op) < EVALUATE_UNTILED_COST;
}

static void read_operands(constant_evaluation *e, const mica_node *node, uint8_t how) {
  const uint32_t *operands = mica_node_operands(e->graph, node);
  for (uint32_t i = 0; i < node->operand_count; i++) e->read[operands[i]] |= how;
}

static void read_by_what_stays(constant_evaluation *e) {
  const mica_graph *graph = e->graph;
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = &graph->nodes[id];
    if (node->op == MICA_OP_RESULT || e->constant[id]) continue;
    /* A view that is not constant has no constant operand; other movement wants its operands whole. */
    read_operands(e, node, reads_in_tile(node) ? READ_BY_TILE : READ_WHOLE);
  }
  for (uint32_t i = 0; i < graph->output_count; i++) e->read[graph->outputs[i]] |= READ_WHOLE;
  for (uint32_t i = 0; i < graph->variable_count; i++)
    e->read[graph->variables[i].assign] |= READ_WHOLE;
  for (uint32_t r = 1; r < graph->region_count; r++)
    for (uint32_t i = 0; i < graph->regions[r].result_count; i++)
      e->read[graph->regions[r].results[i]] |= READ_WHOLE;
}

/* Bytes of all results; SIZE_MAX where that is too much in any case. */
static size_t node_bytes(const mica_graph *graph, uint32_t id) {
  size_t bytes = 0, one = 0;
  for (uint32_t i = 0; i < graph->nodes[id].result_count; i++)
    if (!mica_type_byte_size(graph->nodes[id + i].type, &one) || !mica_size_add(bytes, one, &bytes))
      return SIZE_MAX;
  return bytes;
}

/* Whether a call had better load the value than compute it. */
static bool worth_keeping(const constant_evaluation *e, uint32_t id, uint8_t read, size_t bytes) {
  const mica_graph *graph = e->graph;
  if (bytes == 0 || bytes > EVALUATE_BYTES - e->bytes) return false;
  if ((read & READ_WHOLE) != 0) return true;
  if (graph->nodes[id].op == MICA_OP_IOTA) return false;
  if (mica_shape_count(graph->nodes[id].type.shape) <= EVALUATE_SMALL) return true;
  return e->cost[id] >= (bytes <= EVALUATE_CACHED ? EVALUATE_NEAR_COST : EVALUATE_FAR_COST);
}

static void choose_values(constant_evaluation *e) {
  const mica_graph *graph = e->graph;
  for (uint32_t id = graph->count; --id > 0;) {
    const mica_node *node = &graph->nodes[id];
    uint8_t read = 0;
    if (node->op == MICA_OP_RESULT || node->op == MICA_OP_CONSTANT || !e->constant[id]) continue;
    for (uint32_t i = 0; i < node->result_count; i++) read |= e->read[id + i];
    if (read == 0) continue;
    size_t bytes = node_bytes(graph, id);
    if (mica_op_is_view((mica_op)node->op)) {
      read_operands(e, node, read);
    } else if (worth_keeping(e, id, read, bytes)) {
      e->chosen[id] = true;
      e->chosen_count += node->result_count;
      e->bytes += bytes;
    } else {
      read_operands(e, node, reads_in_tile(node) ? READ_BY_TILE : READ_WHOLE);
    }
  }
}

/* ---- computing them --------------------------------------------------------------------------- */

static void need_sources(constant_evaluation *e) {
  const mica_graph *graph = e->graph;
  for (uint32_t id = graph->count; --id > 0;) {
    uint32_t index, owner = mica_owner_of_result(graph, id, &index);
    if (e->chosen[id]) e->needed[id] = true;
    if (!e->needed[id]) continue;
    e->needed[owner] = true;
    if (owner != id) continue;
    const uint32_t *operands = mica_node_operands(graph, &graph->nodes[id]);
    for (uint32_t i = 0; i < graph->nodes[id].operand_count; i++) e->needed[operands[i]] = true;
  }
}

static bool without_memory(constant_evaluation *e) {
  e->no_memory = true;
  return false;
}

static bool came_to(constant_evaluation *e, mica_status status) {
  if (status == MICA_OUT_OF_MEMORY) return without_memory(e);
  return status == MICA_OK;
}

/* A graph whose outputs are the chosen values, by increasing id. */
static bool build_graph(constant_evaluation *e, mica_graph *to) {
  const mica_graph *graph = e->graph;
  mica_value *outputs = mica_arena_allocate(&e->arena, e->chosen_count * sizeof(*outputs));
  if (outputs == NULL) return without_memory(e);
  size_t count = 0;
  for (uint32_t id = 1; id < graph->count && to->status == MICA_OK; id++) {
    const mica_node *node = &graph->nodes[id];
    if (node->op == MICA_OP_RESULT || !e->needed[id]) continue;
    const uint32_t *operands = mica_node_operands(graph, node);
    mica_value *in = mica_arena_allocate(&e->arena, (node->operand_count + 1) * sizeof(*in));
    if (in == NULL) return without_memory(e);
    for (uint32_t i = 0; i < node->operand_count; i++) in[i] = e->made[operands[i]];
    mica_replay_node(to, graph, id, in, NULL, NULL, &e->made[id]);
    for (uint32_t i = 0; e->chosen[id] && i < node->result_count; i++)
      outputs[count++] = e->made[id + i];
  }
  mica_graph_set_outputs(to, outputs, count);
  return came_to(e, to->status);
}

static bool run_graph(constant_evaluation *e, mica_cpu_device *engine, const mica_graph *graph) {
  void *program = NULL;
  mica_error reason = {0};
  void **out = mica_arena_allocate(&e->arena, e->chosen_count * sizeof(*out));
  if (out == NULL) return without_memory(e);
  size_t count = 0;
  for (uint32_t id = 1; id < e->graph->count; id++) {
    const mica_node *node = &e->graph->nodes[id];
    for (uint32_t i = 0; e->chosen[id] && i < node->result_count; i++) {
      mica_tensor **tensor = &e->tensors[id + i];
      if (!came_to(e, mica_tensor_create_uninitialized(
                          &engine->allocator, e->graph->nodes[id + i].type, tensor, &reason)))
        return false;
      out[count++] = mica_tensor_mutable_data(*tensor);
    }
  }
  if (!came_to(e, mica_cpu_compile_plain(engine, graph, &program, &reason))) return false;
  mica_call call = {.struct_size = sizeof(call), .out = out, .out_count = count};
  uint64_t float_state = mica_float_state_enter();
  mica_status status = mica_cpu_execute(engine, program, &call, &reason);
  mica_float_state_leave(float_state);
  mica_cpu_program_destroy(engine, program);
  for (uint32_t id = 1; id < e->graph->count && status == MICA_OK; id++)
    if (e->tensors[id] != NULL) mica_tensor_normalize(e->tensors[id]);
  return came_to(e, status);
}

static bool compute_values(constant_evaluation *e, mica_cpu_device *engine) {
  mica_graph graph;
  need_sources(e);
  bool good = mica_graph_init(&graph, &engine->allocator) || without_memory(e);
  good = good && build_graph(e, &graph) && run_graph(e, engine, &graph);
  mica_graph_deinit(&graph);
  return good;
}

/* ---- the graph afterwards --------------------------------------------------------------------- */

static bool put_constant(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                         const mica_value *in, size_t in_count, mica_value *out) {
  const constant_evaluation *e = context;
  (void)in;
  (void)in_count;
  if (!e->chosen[id]) return false;
  for (uint32_t i = 0; i < from->nodes[id].result_count; i++)
    out[i] = mica_constant(to, e->tensors[id + i]);
  return true;
}

static bool allocate_arrays(constant_evaluation *e) {
  uint32_t count = e->graph->count;
  e->constant = mica_arena_allocate_zeroed(&e->arena, count, sizeof(*e->constant));
  e->cost = mica_arena_allocate_zeroed(&e->arena, count, sizeof(*e->cost));
  e->read = mica_arena_allocate_zeroed(&e->arena, count, sizeof(*e->read));
  e->chosen = mica_arena_allocate_zeroed(&e->arena, count, sizeof(*e->chosen));
  e->needed = mica_arena_allocate_zeroed(&e->arena, count, sizeof(*e->needed));
  e->made = mica_arena_allocate_zeroed(&e->arena, count, sizeof(*e->made));
  e->tensors = mica_arena_allocate_zeroed(&e->arena, count, sizeof(*e->tensors));
  bool good = e->constant != NULL && e->cost != NULL && e->read != NULL && e->chosen != NULL &&
              e->needed != NULL && e->made != NULL && e->tensors != NULL;
  return good || without_memory(e);
}

mica_status mica_cpu_evaluate(mica_cpu_device *engine, const mica_graph *from, mica_graph *to,
                              size_t *out_bytes, mica_error *error) {
  *out_bytes = 0;
  /* Who looks for NaN wants to hear of it from a call. */
  if (engine->device->find_nan) return MICA_OK;
  constant_evaluation e = {.graph = from};
  mica_status status = MICA_OK;
  mica_arena_init(&e.arena, &engine->allocator);
  bool found = allocate_arrays(&e);
  if (found) {
    find_constants(&e);
    read_by_what_stays(&e);
    choose_values(&e);
    found = e.chosen_count > 0;
  }
  /* What cannot be computed now is left to the calls, with its error. */
  if (found && compute_values(&e, engine)) {
    status = mica_rewrite(from, to, put_constant, &e, error);
    if (status == MICA_OK) *out_bytes = e.bytes;
  } else if (e.no_memory) {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compute constants");
  }
  if (e.tensors != NULL)
    for (uint32_t id = 1; id < from->count; id++) mica_tensor_release(e.tensors[id]);
  mica_arena_deinit(&e.arena);
  return status;
}
