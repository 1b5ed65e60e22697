/* SPDX-License-Identifier: Apache-2.0 */
/* widen.c: convolutions and windows of f16 and bf16 are computed in f32, for which there are kernels, and rounded once. The
 * conversions are nodes of the graph: they fuse with what is around them, and one that several readers need is made once. */
#include "backend/cpu/products_internal.h"
#include "graph/attributes.h"
#include "graph/graph_internal.h"

static bool is_half_float(mica_dtype dtype) { return dtype == MICA_F16 || dtype == MICA_BF16; }

bool mica_cpu_widens(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  switch ((mica_op)node->op) {
    case MICA_OP_CONVOLUTION:
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
    case MICA_OP_CONVOLUTION_BACKWARD_KERNEL: break;
    case MICA_OP_REDUCE_WINDOW:
    case MICA_OP_SELECT_AND_SCATTER:
      if (((const mica_window_attr *)node->attr)->kind == MICA_REDUCE_PROD) return false;
      break;
    default: return false;
  }
  if (!is_half_float(node->type.dtype)) return false;
  const uint32_t *operands = mica_node_operands(graph, node);
  for (uint32_t i = 0; i < node->operand_count; i++)
    if (graph->nodes[operands[i]].type.dtype != node->type.dtype) return false;
  return true;
}

bool mica_cpu_has_halves(const mica_graph *graph) {
  for (uint32_t id = 1; id < graph->count; id++)
    if (mica_cpu_widens(graph, id)) return true;
  return false;
}

static bool widen_node(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                       const mica_value *in, size_t in_count, mica_value *out) {
  (void)context;
  if (!mica_cpu_widens(from, id)) return false;
  const mica_node *node = mica_node_at(from, id);
  mica_value wide[2];
  for (size_t i = 0; i < in_count && i < 2; i++) wide[i] = mica_convert(in[i], MICA_F32);
  mica_dtype dtype = node->type.dtype;
  out[0] = mica_convert(mica_emit(to, (mica_op)node->op, wide, in_count, node->attr), dtype);
  return true;
}

mica_status mica_cpu_pass_widen(const mica_graph *from, mica_graph *to, mica_error *error) {
  return mica_rewrite(from, to, widen_node, NULL, error);
}
