/* SPDX-License-Identifier: Apache-2.0 */
/* collective_stack.c: manual regions without devices. The values of all devices are stacked along a new
 * axis 0, the block is batched over it by the rules that vmap has, and a collective moves data along that
 * axis: seen as [rest of the mesh, group, ...], a sum over the group, a transposition, an index. */
#include <string.h>

#include "graph/collectives.h"
#include "graph/ops/collective.h"
#include "graph/ops/rules.h"

/* A collective on stacked values: devices in the order (rest, position in the group). */
typedef struct {
  mica_graph *graph;
  mica_mesh_axes mesh;
  mica_mesh_group group, rest;
  int64_t devices;
} stacked_group;

/* x with the devices of axis 0 taken in another order: `device(i)` says which comes i-th. */
static mica_value reordered(const stacked_group *s, mica_value x, bool back) {
  mica_graph *graph = s->graph;
  mica_shape line = {.rank = 1, .dim = {s->devices}};
  double *order = mica_arena_allocate_zeroed(&graph->arena, (size_t)s->devices + 1, sizeof *order);
  bool same = true;
  if (!order) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (int64_t i = 0; i < s->devices; i++) {
    int64_t first = mica_mesh_group_member(&s->mesh, &s->rest, 0, i / s->group.size);
    int64_t device = mica_mesh_group_member(&s->mesh, &s->group, first, i % s->group.size);
    same = same && device == i;
    if (back)
      order[device] = (double)i;
    else
      order[i] = (double)device;
  }
  return same ? x : mica_take(x, mica_constant_array(graph, MICA_I32, line, order), 0);
}

static mica_value shaped(mica_value x, int32_t rank, const int64_t *dim) {
  mica_shape shape = {.rank = rank};
  for (int32_t i = 0; i < rank; i++) shape.dim[i] = dim[i];
  return mica_reshape_if_needed(x, shape);
}

/* The same for every member of the group: [rest, a, ...] -> [rest, group, a, ...], given as sizes
 * {rest, count of elements}. */
static mica_value for_all_members(const stacked_group *s, mica_value x, int64_t each) {
  int64_t rest = s->devices / s->group.size;
  x = shaped(x, 2, (int64_t[]){rest, each});
  mica_broadcast_attr attr = {.shape = {.rank = 3, .dim = {rest, s->group.size, each}},
                              .axes = {.count = 2, .at = {0, 2}}};
  return mica_emit(s->graph, MICA_OP_BROADCAST, &x, 1, &attr);
}

/* [devices, result...] from values in the group's order. */
static mica_value finished(const stacked_group *s, mica_value x, mica_shape part) {
  return reordered(s, mica_reshape_if_needed(x, mica_shape_insert(part, 0, s->devices)), true);
}

static mica_value stacked_reduce(const stacked_group *s, mica_value x, mica_shape part,
                                 int32_t kind) {
  int64_t rest = s->devices / s->group.size, each = mica_shape_count(part);
  x = shaped(x, 3, (int64_t[]){rest, s->group.size, each});
  mica_reduce_attr attr = {.kind = kind, .axes = {.count = 1, .at = {1}}};
  x = mica_emit(s->graph, MICA_OP_REDUCE, &x, 1, &attr);
  return finished(s, for_all_members(s, x, each), part);
}

/* The sizes of the axes in front of `axis`, of it, and behind it. */
static void split_sizes(mica_shape shape, int64_t axis, int64_t out[3]) {
  out[0] = out[1] = out[2] = 1;
  for (int32_t i = 0; i < shape.rank; i++) out[i < axis ? 0 : i == axis ? 1 : 2] *= shape.dim[i];
}

static mica_value stacked_gather(const stacked_group *s, mica_value x, mica_shape part,
                                 int64_t axis) {
  int64_t rest = s->devices / s->group.size, n[3];
  split_sizes(part, axis, n);
  x = shaped(x, 5, (int64_t[]){rest, s->group.size, n[0], n[1], n[2]});
  x = mica_transpose(x, MICA_AXES(0, 2, 1, 3, 4));
  part.dim[axis] *= s->group.size;
  return finished(s, for_all_members(s, x, mica_shape_count(part)), part);
}

static mica_value stacked_scatter(const stacked_group *s, mica_value x, mica_shape part,
                                  int64_t axis) {
  int64_t rest = s->devices / s->group.size, g = s->group.size, n[3];
  split_sizes(part, axis, n);
  x = shaped(x, 5, (int64_t[]){rest, g, n[0], n[1], n[2]});
  mica_reduce_attr attr = {.kind = MICA_REDUCE_SUM, .axes = {.count = 1, .at = {1}}};
  x = mica_emit(s->graph, MICA_OP_REDUCE, &x, 1, &attr);
  x = shaped(x, 5, (int64_t[]){rest, n[0], g, n[1] / g, n[2]});
  part.dim[axis] /= g;
  return finished(s, mica_transpose(x, MICA_AXES(0, 2, 1, 3, 4)), part);
}

/* The parts along the split axis go to the front, those of the senders to the concat axis. */
static mica_value stacked_all_to_all(const stacked_group *s, mica_value x, mica_shape part,
                                     const mica_all_to_all_attr *a) {
  int64_t rest = s->devices / s->group.size, g = s->group.size, n[3], m[3];
  int64_t split = a->split_axis, concat = a->concat_axis;
  if (split == concat) {
    split_sizes(part, split, n);
    x = shaped(x, 6, (int64_t[]){rest, g, n[0], g, n[1] / g, n[2]});
    return finished(s, mica_transpose(x, MICA_AXES(0, 3, 2, 1, 4, 5)), part);
  }
  mica_shape result = part;
  int64_t low = split < concat ? split : concat, high = split < concat ? concat : split;
  split_sizes(part, low, n);
  m[0] = m[1] = m[2] = 1;
  for (int32_t i = (int32_t)low + 1; i < part.rank; i++)
    m[i < high ? 0 : i == high ? 1 : 2] *= part.dim[i];
  result.dim[split] /= g;
  result.dim[concat] *= g;
  if (split < concat) { /* [rest, from, a, to, s, b, c, d] -> [rest, to, a, s, b, from, c, d] */
    x = shaped(x, 8, (int64_t[]){rest, g, n[0], g, n[1] / g, m[0], m[1], m[2]});
    return finished(s, mica_transpose(x, MICA_AXES(0, 3, 2, 4, 5, 1, 6, 7)), result);
  }
  /* [rest, from, a, c, b, to, s, d] -> [rest, to, a, from, c, b, s, d] */
  x = shaped(x, 8, (int64_t[]){rest, g, n[0], n[1], m[0], g, m[1] / g, m[2]});
  return finished(s, mica_transpose(x, MICA_AXES(0, 5, 2, 1, 3, 4, 6, 7)), result);
}

static mica_value stacked_permute(const stacked_group *s, const mica_rule *rule, mica_value x,
                                  mica_shape part) {
  mica_graph *graph = s->graph;
  int32_t source[MICA_MESH_DEVICES];
  char message[MICA_MESSAGE_SIZE];
  const mica_permute_attr *a = rule->attr;
  if (!mica_permute_sources(a->pairs, s->group.size, source, message))
    return mica_rule_failed(rule, "%s", message);
  double *from = mica_arena_allocate_zeroed(&graph->arena, (size_t)s->devices + 1, sizeof *from);
  double *sent = mica_arena_allocate_zeroed(&graph->arena, (size_t)s->devices + 1, sizeof *sent);
  if (!from || !sent) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (int64_t d = 0; d < s->devices; d++) {
    int32_t sender = source[mica_mesh_group_position(&s->mesh, &s->group, d)];
    sent[d] = sender >= 0;
    if (sender >= 0) from[d] = (double)mica_mesh_group_member(&s->mesh, &s->group, d, sender);
  }
  mica_shape line = {.rank = 1, .dim = {s->devices}},
             whole = mica_shape_insert(part, 0, s->devices);
  mica_value taken = mica_take(x, mica_constant_array(graph, MICA_I32, line, from), 0);
  mica_value holds = mica_constant_array(graph, MICA_BOOL, line, sent);
  mica_broadcast_attr attr = {.shape = whole, .axes = {.count = 1, .at = {0}}};
  holds = mica_emit(graph, MICA_OP_BROADCAST, &holds, 1, &attr);
  return mica_select(holds, taken, mica_zeros_like(taken));
}

static mica_value stacked_index(const stacked_group *s) {
  mica_shape line = {.rank = 1, .dim = {s->devices}};
  double *place =
      mica_arena_allocate_zeroed(&s->graph->arena, (size_t)s->devices + 1, sizeof *place);
  if (!place) return mica_fail(s->graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (int64_t d = 0; d < s->devices; d++)
    place[d] = (double)mica_mesh_group_position(&s->mesh, &s->group, d);
  return mica_constant_array(s->graph, MICA_I32, line, place);
}

void mica_collective_stacked(const mica_rule *rule, const bool *batched, int64_t size,
                             mica_value *out) {
  stacked_group s = {.graph = rule->graph, .devices = size};
  char message[MICA_MESSAGE_SIZE];
  if (!mica_collective_group(rule->attr, &s.mesh, &s.group, message)) {
    mica_rule_failed(rule, "%s", message);
    return;
  }
  mica_op op = mica_op_find(rule->def->name);
  if (op == MICA_OP_AXIS_INDEX) {
    out[0] = stacked_index(&s);
    return;
  }
  s.rest = mica_mesh_group_of_bits(&s.mesh, mica_mesh_all_bits(&s.mesh) & ~s.group.bits);
  mica_value x = mica_batched(rule->in[0], batched[0], size);
  mica_shape part = mica_shape_remove(mica_shape_of(x), 0);
  const mica_all_gather_attr *along = rule->attr;
  if (op == MICA_OP_COLLECTIVE_PERMUTE) {
    out[0] = stacked_permute(&s, rule, x, part);
    return;
  }
  x = reordered(&s, x, false);
  switch (op) {
    case MICA_OP_ALL_REDUCE:
      out[0] = stacked_reduce(&s, x, part, ((const mica_all_reduce_attr *)rule->attr)->kind);
      return;
    case MICA_OP_ALL_GATHER: out[0] = stacked_gather(&s, x, part, along->axis); return;
    case MICA_OP_REDUCE_SCATTER: out[0] = stacked_scatter(&s, x, part, along->axis); return;
    case MICA_OP_ALL_TO_ALL: out[0] = stacked_all_to_all(&s, x, part, rule->attr); return;
    default: mica_rule_failed(rule, "is not known to be a collective"); return;
  }
}

/* ---- the region ------------------------------------------------------------------------------- */

/* The parts of a whole value, [devices, part...]. */
static mica_value stack_parts(mica_graph *graph, const mica_mesh_axes *mesh,
                              const mica_mesh_sharding *sharding, mica_value whole,
                              mica_shape part) {
  size_t count = (size_t)mesh->device_count;
  mica_value *parts = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *parts);
  if (!parts) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (int64_t d = 0; d < mesh->device_count; d++) {
    mica_slice_attr attr = {.start = {.count = part.rank},
                            .limit = {.count = part.rank},
                            .stride = {.count = part.rank}};
    mica_mesh_part_begin(mesh, sharding, part, d, attr.start.at);
    for (int32_t i = 0; i < part.rank; i++) {
      attr.limit.at[i] = attr.start.at[i] + part.dim[i];
      attr.stride.at[i] = 1;
    }
    mica_value slice = mica_emit(graph, MICA_OP_SLICE, &whole, 1, &attr);
    parts[d] = mica_reshape(slice, mica_shape_insert(part, 0, 1));
  }
  return mica_concatenate(parts, count, 0);
}

/* The whole value from [devices, part...]. */
static mica_value join_parts(mica_graph *graph, const mica_mesh_axes *mesh,
                             const mica_mesh_sharding *sharding, mica_value stack,
                             mica_shape part) {
  size_t count = 1;
  for (int32_t i = 0; i < part.rank; i++) count *= (size_t)sharding->axis[i].size;
  mica_value *parts = mica_arena_allocate_zeroed(&graph->arena, count + 1, sizeof *parts);
  if (!parts) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  for (int64_t d = 0; d < mesh->device_count; d++) {
    if (!mica_mesh_is_first(mesh, sharding, d)) continue;
    size_t at = 0;
    for (int32_t i = 0; i < part.rank; i++)
      at = at * (size_t)sharding->axis[i].size +
           (size_t)mica_mesh_group_position(mesh, &sharding->axis[i], d);
    parts[at] = mica_reshape(mica_slice_axis(stack, 0, d, d + 1, 1), part);
  }
  for (int32_t axis = part.rank; axis-- > 0;) { /* innermost axes are joined first */
    size_t size = (size_t)sharding->axis[axis].size;
    if (size == 1) continue;
    count /= size;
    for (size_t i = 0; i < count; i++) parts[i] = mica_concatenate(parts + i * size, size, axis);
  }
  return parts[0];
}

/* The block in `to`, closed and left behind like one of vmap's: its index, 0 after a failure. */
static uint32_t copy_region(mica_graph *to, const mica_graph *from, uint32_t id,
                            const mica_value *in, mica_replay_rule *rule, void *context) {
  const mica_region_data *region = mica_node_region(from, &from->nodes[id], 0);
  uint32_t index = from->owned[from->nodes[id].region_first];
  uint32_t declared = region->declared_count, arguments = region->argument_count,
           results = region->result_count;
  mica_value *values =
      mica_arena_allocate_zeroed(&to->arena, (size_t)arguments + results + 1, sizeof *values);
  mica_type *types = mica_arena_allocate(&to->arena, ((size_t)declared + 1) * sizeof *types);
  if (!values || !types) {
    mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
    return 0;
  }
  for (uint32_t i = 0; i < declared; i++) types[i] = from->nodes[region->arguments[i]].type;
  uint32_t block = mica_block_open(to, MICA_OP_NONE, NULL, 0, NULL);
  if (!block || !mica_block_enter(to, block, types, declared)) return 0;
  for (uint32_t i = 0; i < declared; i++) values[i] = mica_block_argument(to, block, i);
  mica_captured_arguments(from, id, 0, in, values);
  mica_replay(to, from, index, values, rule, context, values + arguments);
  mica_block_leave(to, block, values + arguments, results);
  if (to->status != MICA_OK) return 0;
  uint32_t copy = to->blocks[block - 1].regions[0];
  to->regions[copy].state = MICA_REGION_ABANDONED;
  to->blocks[block - 1].done = true;
  return copy;
}

void mica_manual_expand(mica_graph *to, const mica_graph *from, uint32_t id, const mica_value *in,
                        mica_replay_rule *rule, void *context, mica_value *out) {
  const mica_manual_attr *attr = from->nodes[id].attr;
  mica_mesh_axes mesh;
  mica_mesh_sharding sharding;
  char message[MICA_MESSAGE_SIZE];
  uint32_t copy = copy_region(to, from, id, in, rule, context);
  if (!copy) return;
  if (!mica_mesh_parse(attr->mesh, &mesh, message)) {
    mica_fail(to, MICA_INVALID, "%s", message);
    return;
  }
  uint32_t declared = to->regions[copy].declared_count, all = to->regions[copy].argument_count,
           results = to->regions[copy].result_count;
  size_t most = (size_t)all + results + 1;
  mica_value *arguments = mica_arena_allocate_zeroed(&to->arena, most, sizeof *arguments);
  bool *flags = mica_arena_allocate_zeroed(&to->arena, (size_t)all + 1, sizeof *flags);
  if (!arguments || !flags) {
    mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  const mica_region_data *region = &to->regions[copy];
  for (uint32_t inside = region->begin; inside < region->end; inside++)
    if (to->nodes[inside].type.shape.rank >= MICA_MAX_RANK) {
      mica_fail(
          to, MICA_UNSUPPORTED,
          "manual: without engines of their own the devices are stacked along an axis: expected "
          "ranks below %d in the region",
          MICA_MAX_RANK);
      return;
    }
  for (uint32_t i = 0; i < declared; i++) {
    mica_shape part = to->nodes[to->regions[copy].arguments[i]].type.shape;
    if (!mica_manual_sharding(&mesh, attr->in, i, part.rank, &sharding)) continue;
    flags[i] = sharding.bits != 0;
    arguments[i] = flags[i] ? stack_parts(to, &mesh, &sharding, in[i], part) : in[i];
  }
  for (uint32_t k = declared; k < all; k++)
    arguments[k] = mica_value_of(to, to->regions[copy].captures[k - declared]);
  bool before = to->stacks_devices;
  to->stacks_devices = true;
  mica_batch_region(to, copy, arguments, flags, mesh.device_count, arguments + all, NULL);
  to->stacks_devices = before;
  for (uint32_t j = 0; j < results && to->status == MICA_OK; j++) {
    mica_shape part = mica_shape_remove(mica_shape_of(arguments[all + j]), 0);
    if (mica_manual_sharding(&mesh, attr->out, j, part.rank, &sharding))
      out[j] = join_parts(to, &mesh, &sharding, arguments[all + j], part);
  }
}
