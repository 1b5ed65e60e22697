/* SPDX-License-Identifier: Apache-2.0 */
/* collective.c: sums and movement between the devices of a group. Sums go member by member in the order
 * of the group for each element, so that all members get the same bits, whoever computes them. */
#include "backend/collective.h"
#include "backend/reference.h"

#include <string.h>

void mica_collective_read(const mica_graph *graph, uint32_t id, mica_collective *out) {
  const mica_node *node = mica_node_at(graph, id);
  char message[MICA_MESSAGE_SIZE];
  mica_shape in = {0};
  if (node->operand_count > 0)
    in = mica_node_at(graph, mica_node_operands(graph, node)[0])->type.shape;
  *out = (mica_collective){.op = (mica_op)node->op,
                           .dtype = node->type.dtype,
                           .item = (size_t)mica_dtype_bits(node->type.dtype) / 8,
                           .in = in,
                           .out = node->type.shape};
  (void)mica_collective_group(node->attr, &out->mesh, &out->group, message);
  switch (out->op) {
    case MICA_OP_ALL_REDUCE:
      out->kind = (mica_reduce_kind)((const mica_all_reduce_attr *)node->attr)->kind;
      break;
    case MICA_OP_ALL_GATHER:
    case MICA_OP_REDUCE_SCATTER:
      out->axis = ((const mica_all_gather_attr *)node->attr)->axis;
      break;
    case MICA_OP_ALL_TO_ALL:
      out->axis = ((const mica_all_to_all_attr *)node->attr)->split_axis;
      out->concat_axis = ((const mica_all_to_all_attr *)node->attr)->concat_axis;
      break;
    case MICA_OP_COLLECTIVE_PERMUTE:
      out->pairs = ((const mica_permute_attr *)node->attr)->pairs;
      break;
    default: break;
  }
}

/* ---- sums ------------------------------------------------------------------------------------- */

/* out[at + i] = fold over members of in[m][from + i]. */
static void fold_members(const mica_collective *c, mica_reduce_kind kind, const void *const *in,
                         int64_t from, int64_t count, void *out, int64_t at) {
  if (kind == MICA_REDUCE_SUM && c->dtype == MICA_F32) {
    float *sum = (float *)out + at;
    memcpy(sum, (const float *)in[0] + from, (size_t)count * sizeof(float));
    for (int64_t m = 1; m < c->group.size; m++) {
      const float *x = (const float *)in[m] + from;
      for (int64_t i = 0; i < count; i++) sum[i] += x[i];
    }
  } else if (kind == MICA_REDUCE_SUM && c->dtype == MICA_F64) {
    double *sum = (double *)out + at;
    memcpy(sum, (const double *)in[0] + from, (size_t)count * sizeof(double));
    for (int64_t m = 1; m < c->group.size; m++) {
      const double *x = (const double *)in[m] + from;
      for (int64_t i = 0; i < count; i++) sum[i] += x[i];
    }
  } else {
    mica_reference_fold(kind, c->dtype, in, (size_t)c->group.size, from, count, out, at);
  }
}

static void run_all_reduce(const mica_collective *c, const void *const *in, void *const *out,
                           int64_t piece, int64_t pieces) {
  int64_t count = mica_shape_count(c->in), begin = count * piece / pieces,
          end = count * (piece + 1) / pieces;
  if (begin == end) return;
  fold_members(c, c->kind, in, begin, end - begin, out[0], begin);
  size_t offset = (size_t)begin * c->item, bytes = (size_t)(end - begin) * c->item;
  for (int64_t m = 1; m < c->group.size; m++)
    memcpy((char *)out[m] + offset, (const char *)out[0] + offset, bytes);
}

static void scatter_to(const mica_collective *c, const void *const *in, void *out, int64_t member) {
  int64_t outer = 1, inner = 1, own = c->out.dim[c->axis], all = c->in.dim[c->axis];
  for (int32_t i = 0; i < c->in.rank; i++)
    *(i < c->axis ? &outer : &inner) *= i == c->axis ? 1 : c->in.dim[i];
  for (int64_t row = 0; row < outer && own * inner > 0; row++)
    fold_members(c, MICA_REDUCE_SUM, in, (row * all + member * own) * inner, own * inner, out,
                 row * own * inner);
}

/* ---- movement --------------------------------------------------------------------------------- */

/* A box of sizes `box`, from one array into another. */
static void copy_box(const mica_collective *c, mica_shape box, const void *from, int64_t from_axis,
                     int64_t from_begin, void *to, int64_t to_axis, int64_t to_begin) {
  int64_t index[MICA_MAX_RANK] = {0}, run = 1;
  int32_t outer = box.rank;
  if (mica_shape_count(box) <= 0) return;
  while (outer > 0 && (outer == box.rank ||
                       (box.dim[outer] == c->in.dim[outer] && box.dim[outer] == c->out.dim[outer])))
    run *= box.dim[--outer];
  for (;;) {
    int64_t source = 0, target = 0;
    for (int32_t i = 0; i < box.rank; i++) {
      source = source * c->in.dim[i] + index[i] + (i == from_axis ? from_begin : 0);
      target = target * c->out.dim[i] + index[i] + (i == to_axis ? to_begin : 0);
    }
    memcpy((char *)to + (size_t)target * c->item, (const char *)from + (size_t)source * c->item,
           (size_t)run * c->item);
    int32_t axis = outer;
    while (axis > 0 && ++index[axis - 1] == box.dim[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

static void permute_to(const mica_collective *c, const void *const *in, void *out, int64_t member) {
  int32_t source[MICA_MESH_DEVICES];
  char message[MICA_MESSAGE_SIZE];
  size_t bytes = (size_t)mica_shape_count(c->out) * c->item;
  if (bytes == 0 || !mica_permute_sources(c->pairs, c->group.size, source, message)) return;
  if (source[member] >= 0)
    memcpy(out, in[source[member]], bytes);
  else
    memset(out, 0, bytes);
}

/* What one member receives. */
static void receive(const mica_collective *c, const void *const *in, void *out, int64_t member) {
  mica_shape box = c->in;
  switch (c->op) {
    case MICA_OP_ALL_GATHER:
      for (int64_t m = 0; m < c->group.size; m++)
        copy_box(c, box, in[m], c->axis, 0, out, c->axis, m * box.dim[c->axis]);
      return;
    case MICA_OP_ALL_TO_ALL:
      box.dim[c->axis] /= c->group.size;
      for (int64_t m = 0; m < c->group.size; m++)
        copy_box(c, box, in[m], c->axis, member * box.dim[c->axis], out, c->concat_axis,
                 m * box.dim[c->concat_axis]);
      return;
    case MICA_OP_REDUCE_SCATTER: scatter_to(c, in, out, member); return;
    case MICA_OP_COLLECTIVE_PERMUTE: permute_to(c, in, out, member); return;
    default: return;
  }
}

void mica_collective_run(const mica_collective *c, const void *const *in, void *const *out,
                         int64_t piece, int64_t pieces) {
  if (c->op == MICA_OP_ALL_REDUCE) {
    run_all_reduce(c, in, out, piece, pieces);
    return;
  }
  for (int64_t m = piece; m < c->group.size; m += pieces) receive(c, in, out[m], m);
}
