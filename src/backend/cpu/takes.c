/* SPDX-License-Identifier: Apache-2.0 */
/* takes.c: which composites the engine runs whole. The others are better off expanded, since their parts
 * become one tile program. */
#include "backend/cpu/products_internal.h"
#include "backend/cpu/tile.h"

bool mica_plan_takes(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  mica_dtype dtype = node->type.dtype;
  if (mica_shape_count(node->type.shape) == 0) return false; /* nothing to fuse or to run */
  switch ((mica_op)node->op) {
    case MICA_OP_RELU: return mica_tile_supports(MICA_TILE_RELU, dtype, dtype);
    case MICA_OP_GELU: return mica_tile_supports(MICA_TILE_GELU, dtype, dtype);
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
    case MICA_OP_CONVOLUTION_BACKWARD_KERNEL: return mica_convolution_fits(graph, id);
    default: return false;
  }
}
