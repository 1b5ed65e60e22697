/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler's view of a tile program: checked, with as few axes as possible. */
#include "backend/cpu/tile_plan_internal.h"

#include <string.h>

#include "backend/cpu/kernels/tile_kernels.h"

int32_t mica_tile_arity(mica_tile_op op) {
  static const int8_t arity[MICA_TILE_OP_COUNT] = {
#define TILE_ARITY(NAME, count) [MICA_TILE_##NAME] = count,
      MICA_TILE_OP_LIST(TILE_ARITY)
#undef TILE_ARITY
  };
  return arity[op];
}

mica_dtype mica_tile_class_dtype(mica_tile_class type) {
  static const mica_dtype dtypes[MICA_TILE_CLASS_COUNT] = {MICA_F32, MICA_F64, MICA_I32, MICA_U32,
                                                           MICA_I64, MICA_U64, MICA_BOOL};
  return dtypes[type];
}

static bool is_comparison(mica_tile_op op) { return op >= MICA_TILE_EQ && op <= MICA_TILE_GE; }

/* Whether the operator sees bits that a narrow dtype does not have, or has elsewhere, in its class. */
static bool sees_class_bits(mica_tile_op op, mica_dtype dtype) {
  const bool is_signed = mica_dtype_is_signed(dtype);
  switch ((int)op) {
    case MICA_TILE_COUNT_LEADING_ZEROS:
    case MICA_TILE_NEXTAFTER:
    case MICA_TILE_BITCAST: return true;
    case MICA_TILE_POPCOUNT:
    case MICA_TILE_SHIFT_RIGHT_LOGICAL: return is_signed;
    case MICA_TILE_SHIFT_RIGHT_ARITHMETIC: return !is_signed;
    default: return false;
  }
}

bool mica_tile_supports(mica_tile_op op, mica_dtype dtype, mica_dtype source_dtype) {
  const mica_tile_kernels *kernels = mica_cpu_kernels_baseline.tile;
  const mica_tile_class type = mica_tile_class_of(dtype), source = mica_tile_class_of(source_dtype);
  const bool known = type < MICA_TILE_CLASS_COUNT, source_known = source < MICA_TILE_CLASS_COUNT;
  switch ((int)op) {
    case MICA_TILE_LOAD:
    case MICA_TILE_NUMBER: return known;
    case MICA_TILE_INDEX: return known && dtype != MICA_BOOL;
    case MICA_TILE_STORE: return source_known;
    case MICA_TILE_CONVERT: return known && source_known;
    case MICA_TILE_BITCAST:
      return known && source_known && dtype != MICA_BOOL && source_dtype != MICA_BOOL &&
             mica_dtype_bits(dtype) >= 32 &&
             mica_dtype_bits(dtype) == mica_dtype_bits(source_dtype);
    default: break;
  }
  if (!source_known) return false;
  if (mica_dtype_bits(dtype) < 32 && sees_class_bits(op, dtype)) return false;
  if (is_comparison(op) || op == MICA_TILE_IS_FINITE)
    return dtype == MICA_BOOL && kernels->compute[op][source] != NULL;
  if (dtype != source_dtype) return false;
  return mica_tile_is_reduction(op) ? kernels->reduce[op][type] != NULL
                                    : kernels->compute[op][type] != NULL;
}

mica_tile_number mica_tile_neutral(mica_tile_op op, mica_dtype dtype) {
  const bool is_float = mica_dtype_is_float(dtype);
  const int64_t bits = mica_dtype_bits(dtype);
  const int64_t most = dtype == MICA_BOOL || dtype == MICA_U64 ? -1
                       : mica_dtype_is_signed(dtype)           ? INT64_MAX >> (64 - bits)
                                                     : (int64_t)(UINT64_MAX >> (64 - bits));
  const int64_t least = !mica_dtype_is_signed(dtype) ? 0 : -most - 1;
  mica_tile_number number = {.as_integer = 0};
  switch ((int)op) {
    case MICA_TILE_REDUCE_PROD:
      if (is_float) number.as_double = 1;
      if (!is_float) number.as_integer = 1;
      break;
    case MICA_TILE_REDUCE_MAX:
      if (is_float) number.as_double = -__builtin_inf();
      if (!is_float) number.as_integer = least;
      break;
    case MICA_TILE_REDUCE_MIN:
      if (is_float) number.as_double = __builtin_inf();
      if (!is_float) number.as_integer = most;
      break;
    case MICA_TILE_REDUCE_AND: number.as_integer = dtype == MICA_BOOL ? 1 : -1; break;
    default: break; /* zero in either form */
  }
  return number;
}

/* ---- checks ---------------------------------------------------------------------------------------- */

static mica_status check_space(const mica_tile_spec *spec, mica_error *error) {
  if (spec->rank < 0 || spec->rank > MICA_TILE_RANK || spec->reduce_begin < 0 ||
      spec->reduce_begin > spec->reduce_end || spec->reduce_end > spec->rank)
    return mica_error_set(error, MICA_INVALID, "tile program: axes [%d, %d) of %d are no reduction",
                          (int)spec->reduce_begin, (int)spec->reduce_end, (int)spec->rank);
  int64_t elements = 1;
  for (int32_t i = 0; i < spec->rank; i++)
    if (spec->size[i] < 0 ||
        !mica_i64_multiply(elements, spec->size[i] > 0 ? spec->size[i] : 1, &elements))
      return mica_error_set(error, MICA_INVALID, "tile program: size of axis %d", (int)i);
  if (elements > INT64_MAX / 64) /* room for rounding up and for counting bytes */
    return mica_error_set(error, MICA_UNSUPPORTED, "tile program: too many elements");
  if (spec->block && (spec->rank != 2 || spec->reduce_begin != spec->reduce_end))
    return mica_error_set(error, MICA_INVALID,
                          "tile program: blocks need two axes and no reduction");
  if (spec->node_count > MICA_TILE_MAX_NODES || spec->access_count > MICA_TILE_MAX_ACCESSES)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "tile program: %d nodes and %d arrays are too many",
                          (int)spec->node_count, (int)spec->access_count);
  for (int32_t i = 0; i < spec->access_count; i++)
    if (spec->accesses[i].buffer < 0 || spec->accesses[i].buffer >= spec->buffer_count)
      return mica_error_set(error, MICA_INVALID, "tile program: access %d has no buffer", (int)i);
  return MICA_OK;
}

/* Axes with more than one element along which an access moves. */
static uint32_t access_mask(const mica_tile_spec *spec, int32_t access) {
  uint32_t mask = 0;
  for (int32_t axis = 0; axis < spec->rank; axis++)
    if (spec->size[axis] != 1 && spec->accesses[access].stride[axis] != 0) mask |= 1U << axis;
  return mask;
}

static mica_status check_store(const mica_tile_spec *spec, int32_t i, uint32_t value_mask,
                               uint32_t reduced, mica_error *error) {
  const mica_tile_node *node = &spec->nodes[i];
  uint32_t all = 0;
  for (int32_t axis = 0; axis < spec->rank; axis++)
    if (spec->size[axis] != 1) all |= 1U << axis;
  const uint32_t mask = access_mask(spec, node->access);
  const bool rows = (mask & reduced) == 0;
  if (mask != (rows ? all & ~reduced : all) || (rows && (value_mask & reduced) != 0))
    return mica_error_set(error, MICA_INVALID,
                          "tile program: store %d does not reach each place once", (int)i);
  if (spec->accesses[node->access].dtype != spec->nodes[node->source[0]].dtype)
    return mica_error_set(error, MICA_INVALID,
                          "tile program: store %d has another dtype than its value", (int)i);
  return MICA_OK;
}

static mica_status check_node(const mica_tile_spec *spec, int32_t i, mica_error *error) {
  const mica_tile_node *node = &spec->nodes[i];
  if ((int)node->op < 0 || node->op >= MICA_TILE_OP_COUNT)
    return mica_error_set(error, MICA_INVALID, "tile program: node %d has no operator", (int)i);
  const int32_t arity = mica_tile_arity(node->op);
  for (int32_t k = 0; k < arity; k++) {
    const int32_t source = node->source[k];
    if (source < 0 || source >= i || spec->nodes[source].op == MICA_TILE_STORE)
      return mica_error_set(error, MICA_INVALID, "tile program: source %d of node %d is no value",
                            (int)k, (int)i);
  }
  const mica_dtype source = arity == 0                     ? MICA_DTYPE_NONE
                            : node->op == MICA_TILE_SELECT ? spec->nodes[node->source[1]].dtype
                                                           : spec->nodes[node->source[0]].dtype;
  if (!mica_tile_supports(node->op, node->dtype, source))
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "tile program: operator %d of %s to %s at node %d", (int)node->op,
                          mica_dtype_name(source), mica_dtype_name(node->dtype), (int)i);
  const bool two =
      (arity == 2 && spec->nodes[node->source[1]].dtype != source) ||
      (node->op == MICA_TILE_BETAINC && (spec->nodes[node->source[1]].dtype != source ||
                                         spec->nodes[node->source[2]].dtype != source));
  const bool three =
      node->op == MICA_TILE_SELECT && (spec->nodes[node->source[2]].dtype != source ||
                                       spec->nodes[node->source[0]].dtype != MICA_BOOL);
  if (two || three)
    return mica_error_set(error, MICA_INVALID, "tile program: dtypes of node %d differ", (int)i);
  const bool memory = node->op == MICA_TILE_LOAD || node->op == MICA_TILE_STORE;
  if (memory && (node->access < 0 || node->access >= spec->access_count))
    return mica_error_set(error, MICA_INVALID, "tile program: node %d has no array", (int)i);
  if (node->op == MICA_TILE_LOAD && spec->accesses[node->access].dtype != node->dtype)
    return mica_error_set(error, MICA_INVALID,
                          "tile program: load %d has another dtype than its array", (int)i);
  if (node->op == MICA_TILE_INDEX && (node->access < 0 || node->access >= spec->rank))
    return mica_error_set(error, MICA_INVALID, "tile program: node %d counts along no axis",
                          (int)i);
  if (mica_tile_is_reduction(node->op) && spec->reduce_begin == spec->reduce_end)
    return mica_error_set(error, MICA_INVALID, "tile program: node %d reduces over no axis",
                          (int)i);
  return MICA_OK;
}

mica_status mica_tile_check(const mica_tile_spec *spec, mica_error *error) {
  mica_status status = check_space(spec, error);
  uint32_t masks[MICA_TILE_MAX_NODES], reduced = 0;
  int32_t reductions = 0;
  for (int32_t axis = spec->reduce_begin; status == MICA_OK && axis < spec->reduce_end; axis++)
    reduced |= 1U << axis;
  for (int32_t i = 0; i < spec->node_count && status == MICA_OK; i++) {
    const mica_tile_node *node = &spec->nodes[i];
    status = check_node(spec, i, error);
    if (status != MICA_OK) break;
    masks[i] = 0;
    if (node->op == MICA_TILE_LOAD) masks[i] = access_mask(spec, node->access);
    if (node->op == MICA_TILE_INDEX) masks[i] = 1U << node->access;
    for (int32_t k = 0; k < mica_tile_arity(node->op); k++) masks[i] |= masks[node->source[k]];
    if (mica_tile_is_reduction(node->op)) {
      masks[i] &= ~reduced;
      reductions++;
    }
    if (node->op == MICA_TILE_STORE) status = check_store(spec, i, masks[i], reduced, error);
  }
  if (status == MICA_OK && reductions > MICA_TILE_MAX_REDUCTIONS)
    return mica_error_set(error, MICA_UNSUPPORTED, "tile program: %d reductions are too many",
                          (int)reductions);
  return status;
}

/* ---- graphs ---------------------------------------------------------------------------------------- */

bool mica_tile_stores_rows(const mica_tile_graph *graph, int32_t node) {
  const int64_t *stride = graph->streams[graph->nodes[node].access].access.stride;
  if (graph->reduce_begin == graph->reduce_end) return false;
  for (int32_t axis = graph->reduce_begin; axis < graph->reduce_end; axis++)
    if (stride[axis] != 0) return false;
  return true;
}

void mica_tile_masks(const mica_tile_graph *graph, uint32_t reductions, uint32_t *masks) {
  uint32_t reduced = 0;
  for (int32_t axis = graph->reduce_begin; axis < graph->reduce_end; axis++) reduced |= 1U << axis;
  for (int32_t i = 0; i < graph->node_count; i++) {
    const mica_tile_node *node = &graph->nodes[i];
    masks[i] = 0;
    if (node->op == MICA_TILE_LOAD || node->op == MICA_TILE_INDEX)
      for (int32_t axis = 0; axis < graph->rank; axis++)
        if (graph->streams[node->access].access.stride[axis] != 0) masks[i] |= 1U << axis;
    for (int32_t k = 0; k < mica_tile_arity(node->op); k++) masks[i] |= masks[node->source[k]];
    if (mica_tile_is_reduction(node->op)) masks[i] = (masks[i] & ~reduced) | reductions;
  }
}

void mica_tile_levels(const mica_tile_graph *graph, int32_t *levels) {
  for (int32_t i = 0; i < graph->node_count; i++) {
    const mica_tile_node *node = &graph->nodes[i];
    levels[i] = 0;
    for (int32_t k = 0; k < mica_tile_arity(node->op); k++)
      if (levels[node->source[k]] > levels[i]) levels[i] = levels[node->source[k]];
    if (mica_tile_is_reduction(node->op)) levels[i]++;
  }
}

static void remove_axis(mica_tile_graph *graph, int32_t axis) {
  const int32_t behind = graph->rank - axis - 1;
  memmove(graph->size + axis, graph->size + axis + 1, (size_t)behind * sizeof(int64_t));
  for (int32_t i = 0; i < graph->stream_count; i++) {
    int64_t *stride = graph->streams[i].access.stride;
    memmove(stride + axis, stride + axis + 1, (size_t)behind * sizeof(int64_t));
    stride[graph->rank - 1] = 0;
  }
  graph->rank--;
  if (axis < graph->reduce_begin) graph->reduce_begin--;
  if (axis < graph->reduce_end) graph->reduce_end--;
}

static bool same_role(const mica_tile_graph *graph, int32_t axis, int32_t next) {
  const int32_t begin = graph->reduce_begin, end = graph->reduce_end;
  return (axis < begin) == (next < begin) && (axis < end) == (next < end);
}

void mica_tile_merge_axes(mica_tile_graph *graph) {
  const bool reduces = graph->reduce_begin < graph->reduce_end;
  for (int32_t axis = graph->rank - 1; axis >= 0; axis--) {
    if (graph->size[axis] != 1) continue;
    for (int32_t i = 0; i < graph->stream_count; i++) graph->streams[i].access.stride[axis] = 0;
    const bool last_reduced = axis >= graph->reduce_begin && axis < graph->reduce_end &&
                              graph->reduce_end - graph->reduce_begin == 1;
    if (!(reduces && last_reduced)) remove_axis(graph, axis);
  }
  for (int32_t axis = graph->rank - 2; axis >= 0; axis--) {
    bool merges = same_role(graph, axis, axis + 1);
    for (int32_t i = 0; i < graph->stream_count && merges; i++) {
      const int64_t *stride = graph->streams[i].access.stride;
      int64_t span;
      merges =
          mica_i64_multiply(stride[axis + 1], graph->size[axis + 1], &span) && stride[axis] == span;
    }
    if (!merges) continue;
    for (int32_t i = 0; i < graph->stream_count; i++) {
      int64_t *stride = graph->streams[i].access.stride;
      stride[axis] = stride[axis + 1];
    }
    graph->size[axis] *= graph->size[axis + 1];
    remove_axis(graph, axis + 1);
  }
  if (graph->rank > 0) return;
  graph->rank = 1;
  graph->size[0] = 1;
  for (int32_t i = 0; i < graph->node_count; i++)
    if (graph->nodes[i].op == MICA_TILE_STORE)
      graph->streams[graph->nodes[i].access].access.stride[0] = 1;
}

mica_tile_graph *mica_tile_graph_copy(mica_arena *arena, const mica_tile_graph *graph,
                                      int32_t nodes, int32_t streams) {
  mica_tile_graph *copy = mica_arena_copy(arena, graph, sizeof *graph);
  if (!copy) return NULL;
  copy->nodes =
      mica_arena_allocate_zeroed(arena, (size_t)(graph->node_count + nodes), sizeof *copy->nodes);
  copy->streams = mica_arena_allocate_zeroed(arena, (size_t)(graph->stream_count + streams),
                                             sizeof *copy->streams);
  if (!copy->nodes || !copy->streams) return NULL;
  if (graph->node_count > 0)
    memcpy(copy->nodes, graph->nodes, (size_t)graph->node_count * sizeof *copy->nodes);
  if (graph->stream_count > 0)
    memcpy(copy->streams, graph->streams, (size_t)graph->stream_count * sizeof *copy->streams);
  return copy;
}

static void become_number(mica_tile_node *node, mica_tile_number number) {
  *node = (mica_tile_node){.op = MICA_TILE_NUMBER, .dtype = node->dtype, .number = number};
  if (node->dtype == MICA_DTYPE_NONE) node->dtype = MICA_F32;
}

bool mica_tile_prune(mica_arena *arena, mica_tile_graph *graph, const bool *keep) {
  bool *needed = mica_arena_allocate_zeroed(arena, (size_t)graph->node_count, sizeof *needed);
  if (!needed) return false;
  for (int32_t i = graph->node_count - 1; i >= 0; i--) {
    mica_tile_node *node = &graph->nodes[i];
    if (node->op == MICA_TILE_STORE) needed[i] = keep[i];
    if (!needed[i]) {
      become_number(node, (mica_tile_number){.as_integer = 0});
      continue;
    }
    for (int32_t k = 0; k < mica_tile_arity(node->op); k++) needed[node->source[k]] = true;
  }
  return true;
}

/* With no element along some reduced axis, results are neutral elements and only rows are stored. */
static void reduce_nothing(mica_tile_graph *graph) {
  for (int32_t i = 0; i < graph->node_count; i++) {
    mica_tile_node *node = &graph->nodes[i];
    if (mica_tile_is_reduction(node->op))
      become_number(node, mica_tile_neutral(node->op, node->dtype));
    if (node->op == MICA_TILE_STORE && !mica_tile_stores_rows(graph, i))
      become_number(node, (mica_tile_number){.as_integer = 0});
  }
  while (graph->reduce_begin < graph->reduce_end) remove_axis(graph, graph->reduce_begin);
}

mica_tile_graph *mica_tile_graph_create(mica_arena *arena, const mica_tile_spec *spec) {
  mica_tile_graph whole = {.rank = spec->rank,
                           .reduce_begin = spec->reduce_begin,
                           .reduce_end = spec->reduce_end,
                           .buffer_count = spec->buffer_count,
                           .block = spec->block};
  mica_tile_graph *graph =
      mica_tile_graph_copy(arena, &whole, spec->node_count, spec->access_count + MICA_TILE_RANK);
  if (!graph) return NULL;
  memcpy(graph->size, spec->size, sizeof graph->size);
  memcpy(graph->nodes, spec->nodes, (size_t)spec->node_count * sizeof *graph->nodes);
  graph->node_count = spec->node_count;
  graph->stream_count = spec->access_count + spec->rank;
  for (int32_t i = 0; i < spec->access_count; i++) graph->streams[i].access = spec->accesses[i];
  for (int32_t axis = 0; axis < spec->rank;
       axis++) { /* positions: arrays whose addresses are their values */
    mica_tile_access *access = &graph->streams[spec->access_count + axis].access;
    *access = (mica_tile_access){.buffer = -1, .dtype = MICA_I64};
    access->stride[axis] = 1;
  }
  bool used[MICA_TILE_RANK] = {false}, reduces = false, empty = false;
  for (int32_t i = 0; i < graph->node_count; i++) {
    mica_tile_node *node = &graph->nodes[i];
    reduces |= mica_tile_is_reduction(node->op);
    if (node->op != MICA_TILE_INDEX) continue;
    used[node->access] = true;
    node->access += spec->access_count;
  }
  for (int32_t axis = 0; axis < spec->rank;
       axis++) /* what nobody counts must not keep axes apart */
    if (!used[axis]) graph->streams[spec->access_count + axis].access.stride[axis] = 0;
  if (!reduces) graph->reduce_begin = graph->reduce_end = 0;
  for (int32_t axis = graph->reduce_begin; axis < graph->reduce_end; axis++)
    empty |= graph->size[axis] == 0;
  if (empty) reduce_nothing(graph);
  if (!graph->block) mica_tile_merge_axes(graph);
  return graph;
}
