/* SPDX-License-Identifier: Apache-2.0 */
/* takes.c: which composites the engine runs whole. The others are better off expanded, since their parts
 * become one tile program.
 *
 * The kernels for rows are faster than tile programs, but a tile program can make the operand element by
 * element as it goes and go on with reductions of the result, where a kernel needs both in memory. So a
 * composite over rows is expanded when that would cost an array: when its operand is made elementwise for
 * it alone and no product in front can do that on its blocks (step_finish.c), or when reductions are all
 * that follows. */
#include "backend/cpu/manual.h"
#include "backend/cpu/products_internal.h"
#include "backend/cpu/tile.h"

enum {
  TAKES_LOOK = 12,          /* nodes of a chain that are looked at */
  TAKES_USERS = 8,          /* of a value */
  TAKES_DISTANCE = 4096,    /* users are looked for among so many later nodes */
  TAKES_LARGE = 1 << 23,    /* bytes: beyond the caches */
  TAKES_LONG_ROW = 1 << 16, /* elements; a few longer rows are better cut up */
  TAKES_MANY_ROWS = 16
};

static bool is_elementwise(const mica_graph *graph, uint32_t id) {
  mica_op op = (mica_op)graph->nodes[id].op;
  if (mica_op_is_view(op) || op == MICA_OP_MARK) return false;
  return mica_op_definition(op)->kind == MICA_KIND_POINTWISE || op == MICA_OP_COMPARE;
}

static int64_t elements_of(const mica_graph *graph, uint32_t id) {
  return mica_shape_count(graph->nodes[id].type.shape);
}

static uint32_t behind_views(const mica_graph *graph, uint32_t id) {
  while (mica_op_is_view((mica_op)graph->nodes[id].op))
    id = mica_node_operands(graph, mica_node_at(graph, id))[0];
  return id;
}

typedef struct {
  uint32_t at[TAKES_USERS], count;
  bool others; /* more than fit, or it is a result of something */
} node_users;

static void find_node_users(const mica_graph *graph, uint32_t value, node_users *out) {
  *out = (node_users){0};
  for (uint32_t i = 0; i < graph->output_count; i++) out->others |= graph->outputs[i] == value;
  for (uint32_t i = 0; i < graph->variable_count; i++)
    out->others |= graph->variables[i].assign == value;
  uint32_t region = graph->nodes[value].region;
  for (uint32_t i = 0; region != 0 && i < graph->regions[region].result_count; i++)
    out->others |= graph->regions[region].results[i] == value;
  for (uint32_t id = value + 1; id < graph->count && id - value < TAKES_DISTANCE; id++) {
    if (graph->nodes[id].op == MICA_OP_RESULT) continue;
    const uint32_t *operands = mica_node_operands(graph, &graph->nodes[id]);
    bool reads = false;
    for (uint32_t i = 0; i < graph->nodes[id].operand_count; i++) reads |= operands[i] == value;
    if (!reads) continue;
    if (out->count == TAKES_USERS) {
      out->others = true;
      return;
    }
    out->at[out->count++] = id;
  }
}

/* Whether `id` is computed element by element for one reader, and not from a product as large. */
static bool is_made_for_one(const mica_graph *graph, uint32_t id) {
  uint32_t waiting[TAKES_LOOK], count = 0, looked = 0, at = id;
  int64_t elements = elements_of(graph, id);
  node_users users;
  for (;;) { /* each view in front of the reader, too, has one user */
    find_node_users(graph, at, &users);
    if (users.others || users.count != 1) return false;
    if (!mica_op_is_view((mica_op)graph->nodes[at].op)) break;
    at = mica_node_operands(graph, mica_node_at(graph, at))[0];
  }
  if (!is_elementwise(graph, at) || elements_of(graph, at) != elements) return false;
  waiting[count++] = at;
  bool product = false;
  while (count > 0 && looked++ < TAKES_LOOK) {
    const mica_node *node = mica_node_at(graph, waiting[--count]);
    const uint32_t *operands = mica_node_operands(graph, node);
    for (uint32_t i = 0; i < node->operand_count; i++) {
      uint32_t source = behind_views(graph, operands[i]);
      mica_op op = (mica_op)graph->nodes[source].op;
      if (op == MICA_OP_IOTA) return true; /* blocks of a product do not count */
      bool whole = elements_of(graph, source) == elements;
      product |= whole && (op == MICA_OP_DOT_GENERAL || op == MICA_OP_CONVOLUTION);
      if (is_elementwise(graph, source) && count < TAKES_LOOK) waiting[count++] = source;
    }
  }
  return !product;
}

/* Whether only reductions, directly or through what is computed element by element, read the value; or, if
 * it is large, anything elementwise. */
static bool is_reduced_at_once(const mica_graph *graph, uint32_t id) {
  uint32_t waiting[TAKES_LOOK] = {id}, count = 1, looked = 0;
  int64_t elements = elements_of(graph, id);
  bool large = elements >= TAKES_LARGE / 4, reduced = false;
  while (count > 0 && looked++ < TAKES_LOOK) {
    uint32_t at = waiting[--count];
    bool same = behind_views(graph, at) == id;
    node_users users;
    find_node_users(graph, at, &users);
    if (same && users.others) return false; /* it is stored anyway */
    for (uint32_t i = 0; i < users.count; i++) {
      mica_op op = (mica_op)graph->nodes[users.at[i]].op;
      bool elementwise = is_elementwise(graph, users.at[i]);
      if (op == MICA_OP_REDUCE || (elementwise && large))
        reduced = true;
      else if (!elementwise && !mica_op_is_view(op) && same)
        return false;
      else if ((elementwise || mica_op_is_view(op)) && count < TAKES_LOOK &&
               elements_of(graph, users.at[i]) == elements)
        waiting[count++] = users.at[i];
    }
  }
  return reduced;
}

static bool takes_rows(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  uint32_t x = mica_node_operands(graph, node)[0];
  if (!mica_rows_fit(graph, id)) return false;
  mica_shape shape = graph->nodes[x].type.shape;
  int64_t length = shape.dim[shape.rank - 1];
  if (length > TAKES_LONG_ROW && mica_shape_count(shape) / length < TAKES_MANY_ROWS) return false;
  if (is_made_for_one(graph, x)) return false;
  switch ((mica_op)node->op) {
    case MICA_OP_SOFTMAX:
    case MICA_OP_LOG_SOFTMAX:
    case MICA_OP_LAYER_NORM: return !is_reduced_at_once(graph, id);
    default: return true; /* tile programs go over the operands of gradients more than once */
  }
}

bool mica_plan_takes(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  mica_dtype dtype = node->type.dtype;
  if (node->op == MICA_OP_MANUAL) return mica_manual_fits(graph, id);
  if (mica_shape_count(node->type.shape) == 0) return false; /* nothing to fuse or to run */
  switch ((mica_op)node->op) {
    case MICA_OP_CHOLESKY:
    case MICA_OP_TRIANGULAR_SOLVE:
    case MICA_OP_LU:
    case MICA_OP_QR:
    case MICA_OP_EIGH:
    case MICA_OP_SVD: return true;
    case MICA_OP_RELU: return mica_tile_supports(MICA_TILE_RELU, dtype, dtype);
    case MICA_OP_SOFTPLUS: return mica_tile_supports(MICA_TILE_SOFTPLUS, dtype, dtype);
    case MICA_OP_GELU: return mica_tile_supports(MICA_TILE_GELU, dtype, dtype);
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
    case MICA_OP_CONVOLUTION_BACKWARD_KERNEL: return mica_convolution_taken(graph, id);
    case MICA_OP_QUANTIZED_DENSE: return mica_quantized_fits(graph, id);
    default: return takes_rows(graph, id);
  }
}
