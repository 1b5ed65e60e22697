/* SPDX-License-Identifier: Apache-2.0 */
/* space.c: iteration spaces of fused groups. Shapes that have the same elements in the same order are cut
 * into common axes: [64, 3136] and [64, 7, 7, 64] both run over 64 x 7 x 7 x 64. */
#include "backend/cpu/fusion_internal.h"

/* Splits axis `at` into an outer part of `outer` and the rest. */
static bool split_axis(mica_fusion_space *space, int32_t at, int64_t outer) {
  if (space->rank == MICA_MAX_RANK) return false;
  for (int32_t i = space->rank; i > at; i--) {
    space->size[i] = space->size[i - 1];
    space->reduced[i] = space->reduced[i - 1];
  }
  space->rank++;
  space->size[at + 1] /= outer;
  space->size[at] = outer;
  return true;
}

bool mica_space_refine(mica_fusion_space *space, mica_shape shape, bool kept_only) {
  mica_fusion_space result = *space;
  int32_t axis = 0, dim = 0;
  int64_t left = 1; /* of shape.dim[dim - 1], not yet covered by axes */
  for (;;) {
    while (axis < result.rank && kept_only && result.reduced[axis]) axis++;
    while (left == 1 && dim < shape.rank) left = shape.dim[dim++];
    if (axis == result.rank || left == 1) break;
    int64_t size = result.size[axis];
    if (size > left) {
      if (size % left != 0 || !split_axis(&result, axis, left)) return false;
      left = 1;
    } else {
      if (left % size != 0) return false;
      left /= size;
    }
    axis++;
  }
  if (axis != result.rank || left != 1) return false;
  *space = result;
  return true;
}

mica_shape mica_space_shape(const mica_fusion_space *space, bool kept_only) {
  mica_shape shape = {0};
  for (int32_t axis = 0; axis < space->rank; axis++)
    if (!kept_only || !space->reduced[axis]) shape.dim[shape.rank++] = space->size[axis];
  return shape;
}

bool mica_space_reduced_axes(const mica_fusion_space *space, mica_shape shape,
                             const mica_ints *axes, bool reduced[MICA_MAX_RANK]) {
  int32_t axis = 0;
  for (int32_t dim = 0; dim < shape.rank; dim++) {
    bool is_reduced = false;
    for (int32_t i = 0; i < axes->count; i++) is_reduced |= axes->at[i] == dim;
    for (int64_t size = 1; size < shape.dim[dim]; axis++) {
      if (axis == space->rank) return false;
      size *= space->size[axis];
      reduced[axis] = is_reduced;
    }
  }
  return axis == space->rank;
}

bool mica_space_repeats(const mica_fusion_space *space, const bool reduced[MICA_MAX_RANK],
                        const mica_view *view, mica_shape shape) {
  mica_view along;
  if (!mica_view_reshape(view, shape, mica_space_shape(space, false), &along)) return false;
  int64_t stride = 1;
  for (int32_t axis = space->rank - 1; axis >= 0; axis--) {
    if (along.stride[axis] != (reduced[axis] ? 0 : stride)) return false;
    if (!reduced[axis]) stride *= space->size[axis];
  }
  return along.offset == 0;
}

enum { TRACE_DEPTH = 32 };

uint32_t mica_plan_trace(const mica_plan *plan, uint32_t id, mica_view *out_view) {
  const mica_graph *graph = plan->graph;
  uint32_t chain[TRACE_DEPTH], at = id;
  int32_t depth = 0;
  while (depth < TRACE_DEPTH && mica_op_is_view((mica_op)graph->nodes[at].op)) {
    chain[depth++] = at;
    at = mica_node_operands(graph, &graph->nodes[at])[0];
  }
  mica_view_dense(out_view, MICA_PLAN_NONE, graph->nodes[at].type.shape);
  while (depth-- > 0) {
    if (mica_view_apply(graph, chain[depth], out_view, out_view)) continue;
    at = chain[depth];
    mica_view_dense(out_view, MICA_PLAN_NONE, graph->nodes[at].type.shape);
  }
  return at;
}
