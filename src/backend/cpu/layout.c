/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c: where values lie. A view is a storage with a stride for each axis, so that reshape, transpose,
 * broadcast, slice and reverse cost nothing: they change the view, and who reads it follows the strides
 * or asks for a dense copy. Elements of 4 bits have no address of their own: their views are dense. */
#include "backend/cpu/plan_internal.h"

#include <string.h>

size_t mica_plan_bytes(mica_plan *plan, mica_type type) {
  size_t bytes = 0;
  if (!mica_type_byte_size(type, &bytes))
    mica_plan_fail(plan, MICA_INVALID, "an array is too large");
  return bytes;
}

void mica_view_dense(mica_view *view, uint32_t storage, mica_shape shape) {
  *view = (mica_view){.storage = storage};
  int64_t stride = 1;
  for (int32_t axis = shape.rank - 1; axis >= 0; axis--) {
    view->stride[axis] = stride;
    stride *= shape.dim[axis];
  }
}

bool mica_view_is_dense(const mica_view *view, mica_shape shape) {
  int64_t stride = 1;
  for (int32_t axis = 0; axis < shape.rank; axis++)
    if (shape.dim[axis] == 0) return true;
  for (int32_t axis = shape.rank - 1; axis >= 0; axis--) {
    if (shape.dim[axis] != 1 && view->stride[axis] != stride) return false;
    stride *= shape.dim[axis];
  }
  return true;
}

/* Both shapes are cut into the shortest runs of equal size; a run of `from` must be one axis in memory. */
bool mica_view_reshape(const mica_view *view, mica_shape from, mica_shape to, mica_view *out) {
  mica_view result = {.storage = view->storage, .offset = view->offset};
  if (mica_shape_count(from) == 0) {
    mica_view_dense(out, view->storage, to);
    return true;
  }
  int32_t i = 0, j = 0;
  while (i < from.rank || j < to.rank) {
    /* Axes of size 1 have no stride worth keeping. */
    if (i < from.rank && from.dim[i] == 1) {
      i++;
      continue;
    }
    if (j < to.rank && to.dim[j] == 1) {
      result.stride[j++] = 0;
      continue;
    }
    if (i == from.rank || j == to.rank) return false;
    int32_t first = j;
    int64_t from_size = from.dim[i], to_size = to.dim[j];
    int64_t last_stride = view->stride[i];
    while (from_size != to_size) {
      if (from_size < to_size) {
        do i++;
        while (i < from.rank && from.dim[i] == 1);
        if (i == from.rank) return false;
        if (last_stride != view->stride[i] * from.dim[i]) return false;
        last_stride = view->stride[i];
        from_size *= from.dim[i];
      } else {
        if (++j == to.rank) return false;
        to_size *= to.dim[j];
      }
    }
    int64_t stride = last_stride;
    for (int32_t axis = j; axis >= first; axis--) {
      result.stride[axis] = stride;
      stride *= to.dim[axis];
    }
    i++;
    j++;
  }
  *out = result;
  return true;
}

/* ---- values ----------------------------------------------------------------------------------- */

mica_plan_reference *mica_plan_result(mica_plan *plan, uint32_t id) {
  mica_type type = mica_plan_type(plan, id);
  uint32_t storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
  mica_view_dense(&plan->values[id].view, storage, type.shape);
  mica_plan_reference *reference = mica_plan_reference_add(plan, storage, 0, MICA_PLAN_WRITE);
  reference->value = id;
  return reference;
}

mica_view mica_plan_place(mica_plan *plan, uint32_t id) {
  if (plan->values[id].view.storage == MICA_PLAN_NONE) {
    mica_plan_fail(plan, MICA_INTERNAL, "value %u (%s) has no memory", (unsigned)id,
                   mica_op_definition((mica_op)plan->graph->nodes[id].op)->name);
    mica_view nowhere;
    mica_view_dense(&nowhere, 0, mica_plan_type(plan, id).shape);
    return nowhere;
  }
  return plan->values[id].view;
}

/* Whether what a nest made is there in the present one: it is the same or lies around it. */
static bool nest_is_visible(const mica_plan *plan, uint32_t nest) {
  uint32_t at = plan->nest;
  while (at != nest && at != 0) at = plan->nests[at].parent;
  return at == nest;
}

mica_view mica_plan_dense(mica_plan *plan, uint32_t id) {
  mica_view view = mica_plan_place(plan, id), dense;
  mica_type type = mica_plan_type(plan, id);
  if (!mica_plan_good(plan) || mica_view_is_dense(&view, type.shape)) return view;
  uint32_t storage = plan->values[id].dense;
  if (storage == MICA_PLAN_NONE || !nest_is_visible(plan, plan->storages[storage].nest)) {
    storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
    mica_view_dense(&dense, storage, type.shape);
    mica_plan_copy(plan, id, type.dtype, type.shape, view, dense);
    plan->values[id].dense = storage;
  }
  mica_view_dense(&dense, storage, type.shape);
  return dense;
}

mica_plan_reference *mica_plan_read(mica_plan *plan, uint32_t id, mica_view view) {
  mica_type type = mica_plan_type(plan, id);
  size_t element = (size_t)mica_dtype_bits(type.dtype) / 8;
  mica_plan_reference *reference =
      mica_plan_reference_add(plan, view.storage, (size_t)view.offset * element, MICA_PLAN_READ);
  if (mica_view_is_dense(&view, type.shape)) reference->value = id;
  return reference;
}

/* ---- operators that only change the view ------------------------------------------------------ */

static void view_transpose(const mica_view *in, const mica_transpose_attr *attr, mica_view *out) {
  for (int32_t axis = 0; axis < attr->permutation.count; axis++)
    out->stride[axis] = in->stride[attr->permutation.at[axis]];
}

static void view_broadcast(const mica_view *in, mica_shape shape, const mica_broadcast_attr *attr,
                           mica_view *out) {
  for (int32_t axis = 0; axis < attr->shape.rank; axis++) out->stride[axis] = 0;
  for (int32_t axis = 0; axis < attr->axes.count; axis++)
    if (shape.dim[axis] != 1) out->stride[attr->axes.at[axis]] = in->stride[axis];
}

static void view_slice(const mica_view *in, mica_shape result, const mica_slice_attr *attr,
                       mica_view *out) {
  for (int32_t axis = 0; axis < result.rank; axis++) {
    if (mica_shape_count(result) != 0) out->offset += attr->start.at[axis] * in->stride[axis];
    out->stride[axis] = in->stride[axis] * attr->stride.at[axis];
  }
}

static void view_reverse(mica_shape shape, const mica_reverse_attr *attr, mica_view *out) {
  if (mica_shape_count(shape) == 0) return;
  for (int32_t i = 0; i < attr->axes.count; i++) {
    int64_t axis = attr->axes.at[i];
    out->offset += (shape.dim[axis] - 1) * out->stride[axis];
    out->stride[axis] = -out->stride[axis];
  }
}

bool mica_op_is_view(mica_op op) {
  switch (op) {
    case MICA_OP_STOP_GRADIENT:
    case MICA_OP_RESHAPE:
    case MICA_OP_TRANSPOSE:
    case MICA_OP_BROADCAST:
    case MICA_OP_SLICE:
    case MICA_OP_REVERSE: return true;
    default: return false;
  }
}

bool mica_view_apply(const mica_graph *graph, uint32_t id, const mica_view *in, mica_view *out) {
  const mica_node *node = mica_node_at(graph, id);
  mica_op op = (mica_op)node->op;
  mica_shape shape = graph->nodes[mica_node_operands(graph, node)[0]].type.shape;
  if (op == MICA_OP_RESHAPE) return mica_view_reshape(in, shape, node->type.shape, out);
  bool packed = mica_dtype_bits(node->type.dtype) < 8;
  if (!mica_op_is_view(op) || (packed && op != MICA_OP_STOP_GRADIENT)) return false;
  mica_view result = *in;
  if (op == MICA_OP_TRANSPOSE) view_transpose(in, node->attr, &result);
  if (op == MICA_OP_BROADCAST) view_broadcast(in, shape, node->attr, &result);
  if (op == MICA_OP_SLICE) view_slice(in, node->type.shape, node->attr, &result);
  if (op == MICA_OP_REVERSE) view_reverse(shape, node->attr, &result);
  *out = result;
  return true;
}

bool mica_plan_view(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  mica_op op = (mica_op)node->op;
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  if (op == MICA_OP_BARRIER) {
    for (uint32_t i = 0; i < node->operand_count && i < node->result_count; i++)
      plan->values[id + i].view = mica_plan_place(plan, operands[i]);
    return true;
  }
  if (!mica_op_is_view(op)) return false;
  mica_view in = mica_plan_place(plan, operands[0]), out;
  if (!mica_view_apply(plan->graph, id, &in, &out)) {
    in = mica_plan_dense(plan, operands[0]);
    if (!mica_view_apply(plan->graph, id, &in, &out)) return false;
  }
  plan->values[id].view = out;
  return true;
}
