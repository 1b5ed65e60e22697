/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions for one pass of a tile program, on demand from its stores.
 *
 * Each value has a form: one number in the tile (a splat), one for each row, or one for each element.
 * Each instruction stands in a stage: the prologue, rows 0, loop 0, rows 1, loop 1, ... A node is
 * computed in the first stage that has its operands, so that what does not change in a loop leaves it;
 * what a later loop needs element by element is computed again, unless the unit is a single tile. */
#include "backend/cpu/tile_emit_internal.h"

static void fail(tile_emitter *e, mica_status status) {
  if (e->status == MICA_OK) e->status = status;
}

/* ---- values and instructions ------------------------------------------------------------------ */

static int32_t new_value(tile_emitter *e, tile_holder holder, mica_tile_extent extent,
                         mica_dtype dtype) {
  if (e->value_count == e->value_capacity) {
    const int32_t capacity = e->value_capacity == 0 ? 128 : e->value_capacity * 2;
    tile_value *grown = mica_arena_allocate(e->arena, (size_t)capacity * sizeof(*grown));
    if (!grown || capacity > INT16_MAX) {
      fail(e, grown ? MICA_UNSUPPORTED : MICA_OUT_OF_MEMORY);
      return 0;
    }
    if (e->value_count > 0) memcpy(grown, e->values, (size_t)e->value_count * sizeof(*grown));
    e->values = grown;
    e->value_capacity = capacity;
  }
  e->values[e->value_count] =
      (tile_value){.holder = holder,
                   .extent = extent,
                   .size_log2 = mica_tile_class_size_log2(mica_tile_class_of(dtype)),
                   .cursor = -1,
                   .direct = -1,
                   .index = -1,
                   .defined = -1,
                   .last_use = -1};
  return e->value_count++;
}

static mica_tile_instruction *new_instruction(tile_emitter *e, mica_tile_kind kind, int32_t stage) {
  if (e->code_count == e->code_capacity) {
    const int32_t capacity = e->code_capacity == 0 ? 128 : e->code_capacity * 2;
    tile_staged *grown = mica_arena_allocate(e->arena, (size_t)capacity * sizeof(*grown));
    if (!grown || capacity > INT16_MAX) {
      fail(e, grown ? MICA_UNSUPPORTED : MICA_OUT_OF_MEMORY);
      return &e->discarded.code;
    }
    if (e->code_count > 0) memcpy(grown, e->code, (size_t)e->code_count * sizeof(*grown));
    e->code = grown;
    e->code_capacity = capacity;
  }
  tile_staged *staged = &e->code[e->code_count++];
  *staged = (tile_staged){.stage = stage,
                          .code = {.kind = (uint8_t)kind,
                                   .out = -1,
                                   .in = {-1, -1, -1},
                                   .access = -1,
                                   .direct = -1,
                                   .op = -1}};
  return &staged->code;
}

static void add_input(const tile_emitter *e, mica_tile_instruction *code, int32_t index,
                      int32_t value) {
  code->in[index] = (int16_t)value;
  if (e->values[value].extent == MICA_TILE_ONE) code->splat |= (uint8_t)(1U << index);
}

/* A new value of `dtype`, computed by `kernel`; the caller adds the inputs. */
static mica_tile_instruction *compute(tile_emitter *e, tile_place at, mica_tile_kernel *kernel,
                                      mica_dtype dtype, int32_t *out_value) {
  const int32_t value =
      new_value(e, at.extent == MICA_TILE_ONE ? TILE_IN_SPLAT : TILE_IN_REGISTER, at.extent, dtype);
  mica_tile_instruction *code = new_instruction(e, MICA_TILE_COMPUTE, at.stage);
  code->extent = (uint8_t)at.extent;
  code->kernel = kernel;
  code->out = (int16_t)value;
  code->size_log2 = e->status == MICA_OK ? e->values[value].size_log2 : 0;
  *out_value = value;
  if (!kernel) fail(e, MICA_UNSUPPORTED);
  return code;
}

static int32_t compute_unary(tile_emitter *e, tile_place at, mica_tile_kernel *kernel,
                             mica_dtype dtype, int32_t in) {
  int32_t value;
  mica_tile_instruction *code = compute(e, at, kernel, dtype, &value);
  if (e->status == MICA_OK) add_input(e, code, 0, in);
  return value;
}

/* ---- where a node is computed ----------------------------------------------------------------- */

static mica_tile_extent extent_of(const tile_emitter *e, int32_t node, bool final) {
  const uint32_t inside = e->masks[node] & e->geometry->inside;
  if (inside == 0) return MICA_TILE_ONE;
  if (final) return MICA_TILE_ROWS;
  return e->by_rows && (inside & e->reduced) == 0 ? MICA_TILE_ROWS : MICA_TILE_ALL;
}

/* `loop` is the loop that asks; `final`: what comes after the columns' loop does. */
static tile_place place_of(const tile_emitter *e, int32_t node, int32_t loop, bool final) {
  const mica_tile_extent extent = extent_of(e, node, final);
  const int32_t level = e->levels[node];
  /* In a single tile values last, whoever asks first. */
  tile_place place = {.extent = extent,
                      .stage = TILE_LOOP(e->single_tile ? level : loop),
                      .world = TILE_WORLD_LOOP};
  if (extent == MICA_TILE_ONE && e->masks[node] == 0 && level == 0) {
    place.stage = TILE_PROLOGUE;
    place.world = TILE_WORLD_ROWS;
  } else if (extent == MICA_TILE_ONE && level == 0 && (e->masks[node] & e->geometry->walked) == 0) {
    place.stage = TILE_ROWS(0);
    place.world = TILE_WORLD_ROWS;
  } else if (final) {
    place.stage = TILE_ROWS(e->loop_count);
    place.world = TILE_WORLD_FINAL;
  } else if (extent != MICA_TILE_ALL && (e->masks[node] & e->geometry->walked) == 0) {
    place.stage = TILE_ROWS(level);
    place.world = TILE_WORLD_ROWS;
  }
  return place;
}

static int32_t *cached(tile_emitter *e, int32_t node, tile_place place) {
  tile_cache *cache = &e->cache[node];
  if (place.world == TILE_WORLD_FINAL) return &cache->final_value;
  if (place.world == TILE_WORLD_ROWS) return &cache->row_value;
  if (!e->single_tile && cache->loop != place.stage) {
    cache->loop = place.stage;
    cache->loop_value = cache->whole_value = -1;
  }
  return &cache->loop_value;
}

/* ---- cursors ------------------------------------------------------------------------------------ */

static void cursor_steps(const tile_emitter *e, const mica_tile_stream *stream,
                         const mica_tile_walk *walk, const uint32_t *axes, int32_t which,
                         int64_t size, int64_t *steps) {
  const mica_tile_geometry *g = e->geometry;
  for (int32_t dim = 0; dim < walk->rank; dim++) {
    steps[dim] = stream->access.stride[axes[dim]] * size;
    if (g->block_walk == which && g->block_dim == dim) steps[dim] *= g->block;
  }
}

/* The lines of a tile, merged where their elements follow each other. */
static void cursor_lines(const tile_emitter *e, const mica_tile_stream *stream,
                         mica_tile_cursor *cursor) {
  const mica_tile_geometry *g = e->geometry;
  int64_t count[MICA_TILE_RANK + 1], stride[MICA_TILE_RANK + 1];
  int32_t rank = 0; /* innermost first */
  for (int32_t axis = e->graph->rank - 1; axis >= g->block_axis; axis--) {
    if (cursor->rows && (e->reduced >> axis & 1)) continue;
    const bool block = axis == g->block_axis && g->block_walk != 0;
    if (block && g->block == 1) continue;
    const int64_t size = block ? 1 : e->graph->size[axis], step = stream->access.stride[axis];
    if (block) cursor->variable = true;
    if (rank > 0 && step == stride[rank - 1] * count[rank - 1]) {
      count[rank - 1] *= size;
    } else {
      count[rank] = size;
      stride[rank++] = step;
    }
  }
  if (rank == 0) count[0] = stride[0] = 1, rank = 1;
  cursor->line_rank = rank;
  for (int32_t i = 0; i < rank; i++) {
    cursor->count[i] = count[rank - 1 - i];
    cursor->stride[i] = stride[rank - 1 - i];
  }
  cursor->dense = rank == 1 && stride[0] == 1;
}

static int32_t cursor_of(tile_emitter *e, int32_t access, bool rows) {
  int32_t *known = &e->cursor_of[2 * access + (rows ? 1 : 0)];
  if (*known >= 0) return *known;
  const mica_tile_stream *stream = &e->graph->streams[access];
  mica_tile_cursor *cursor = &e->cursors[e->cursor_count];
  const bool position = stream->access.buffer < 0;
  const int64_t size = position ? 1 : mica_dtype_bits(stream->access.dtype) / 8;
  *cursor = (mica_tile_cursor){.buffer = stream->access.buffer,
                               .dtype = (uint8_t)stream->access.dtype,
                               .size_log2 = (uint8_t)__builtin_ctz((unsigned)size),
                               .rows = rows,
                               .stream = stream->access.stream,
                               .offset = stream->access.offset * size,
                               .chunk_step = stream->chunk_stride * size};
  cursor_steps(e, stream, &e->geometry->unit, e->geometry->unit_axis, 1, size, cursor->unit_step);
  cursor_steps(e, stream, &e->geometry->tile, e->geometry->tile_axis, 2, size, cursor->tile_step);
  if (e->graph->block) {
    cursor->line_rank = 2;
    memcpy(cursor->stride, stream->access.stride, 2 * sizeof(int64_t));
  } else {
    cursor_lines(e, stream, cursor);
  }
  *known = e->cursor_count;
  return e->cursor_count++;
}

/* ---- loads --------------------------------------------------------------------------------------- */

static int32_t emit_load(tile_emitter *e, const mica_tile_node *node, tile_place at) {
  const mica_dtype dtype = node->dtype;
  const bool position = node->op == MICA_TILE_INDEX;
  const int32_t access = node->access, cursor = cursor_of(e, access, at.extent == MICA_TILE_ROWS);
  mica_tile_kernel *widen = position ? NULL : e->kernels->widen[dtype];
  const bool dense = e->cursors[cursor].dense && !position;
  if (at.extent != MICA_TILE_ONE && dense) {
    const int32_t direct = new_value(e, TILE_IN_MEMORY, at.extent, dtype);
    if (e->status != MICA_OK) return 0;
    e->values[direct].cursor = cursor;
    return widen ? compute_unary(e, at, widen, dtype, direct) : direct;
  }
  /* The same lines for every tile are gathered once. */
  const bool invariant = !position && at.extent == MICA_TILE_ALL && !e->graph->block &&
                         (e->access_masks[access] & (e->outside | e->block_mask)) == 0;
  const mica_tile_kind kind = position                     ? MICA_TILE_POSITION
                              : at.extent == MICA_TILE_ONE ? MICA_TILE_BROADCAST
                                                           : MICA_TILE_GATHER;
  const int32_t value =
      new_value(e, at.extent == MICA_TILE_ONE ? TILE_IN_SPLAT : TILE_IN_REGISTER, at.extent, dtype);
  mica_tile_instruction *code = new_instruction(e, kind, invariant ? TILE_PROLOGUE : at.stage);
  if (e->status != MICA_OK) return 0;
  e->values[value].lasting = invariant;
  code->whole = invariant;
  code->extent = (uint8_t)at.extent;
  code->access = (int16_t)cursor;
  code->kernel = widen;
  code->out = (int16_t)value;
  code->size_log2 = e->values[value].size_log2;
  code->to = (uint8_t)mica_tile_class_of(dtype);
  if (!position || !e->kernels->round[dtype]) return value;
  return compute_unary(e, at, e->kernels->round[dtype], dtype, value);
}

static int32_t emit_number(tile_emitter *e, const mica_tile_node *node) {
  const int32_t value = new_value(e, TILE_IN_SPLAT, MICA_TILE_ONE, node->dtype);
  if (e->status != MICA_OK) return 0;
  union {
    float f32;
    double f64;
    int32_t i32;
    int64_t i64;
    uint64_t bits;
  } number = {.bits = 0};
  switch (mica_tile_class_of(node->dtype)) {
    case MICA_TILE_CLASS_F32: /* rounded to the dtype as any constant of it is */
      number.f32 = (float)node->number.as_double;
      if (node->dtype == MICA_BF16)
        number.f32 = mica_bf16_to_f32(mica_f64_to_bf16(node->number.as_double));
      if (node->dtype == MICA_F16)
        number.f32 = mica_f16_to_f32(mica_f64_to_f16(node->number.as_double));
      break;
    case MICA_TILE_CLASS_F64: number.f64 = node->number.as_double; break;
    case MICA_TILE_CLASS_I32:
    case MICA_TILE_CLASS_U32:
      number.i32 = (int32_t)(uint32_t)(uint64_t)node->number.as_integer;
      break;
    case MICA_TILE_CLASS_BOOL: number.bits = node->number.as_integer != 0; break;
    default: number.i64 = node->number.as_integer; break;
  }
  e->constants[e->constant_count++] = (mica_tile_constant){
      .place = (int16_t)value, .size_log2 = e->values[value].size_log2, .bits = number.bits};
  return value;
}

/* ---- operators ------------------------------------------------------------------------------------ */

static int32_t emit_node(tile_emitter *e, int32_t node, int32_t loop, bool final);

/* The node's value as an operand of something of extent `extent`: rows are repeated where each element
 * is wanted, splats stay. */
static int32_t operand(tile_emitter *e, int32_t node, tile_place at, int32_t loop, bool final) {
  const int32_t value = emit_node(e, node, loop, final);
  if (e->status != MICA_OK || at.extent != MICA_TILE_ALL ||
      e->values[value].extent != MICA_TILE_ROWS)
    return value;
  tile_cache *cache = &e->cache[node];
  if (!e->single_tile && cache->loop != at.stage) {
    cache->loop = at.stage;
    cache->loop_value = cache->whole_value = -1;
  }
  if (cache->whole_value >= 0) return cache->whole_value;
  const int32_t whole = new_value(e, TILE_IN_REGISTER, MICA_TILE_ALL, e->graph->nodes[node].dtype);
  mica_tile_instruction *code =
      new_instruction(e, MICA_TILE_EXPAND, e->single_tile ? TILE_LOOP(e->levels[node]) : at.stage);
  if (e->status != MICA_OK) return 0;
  code->extent = MICA_TILE_ALL;
  code->out = (int16_t)whole;
  code->size_log2 = e->values[whole].size_log2;
  code->in[0] = (int16_t)value;
  e->cache[node].whole_value = whole;
  return whole;
}

/* The value in memory or a register, one for each element. */
static int32_t spread(tile_emitter *e, int32_t value, mica_dtype dtype, int32_t stage) {
  if (e->status != MICA_OK || e->values[value].extent != MICA_TILE_ONE) return value;
  const tile_place at = {.extent = MICA_TILE_ALL, .stage = stage};
  return compute_unary(e, at, e->kernels->copy[e->values[value].size_log2], dtype, value);
}

/* By mica_convert_elements, for pairs without a kernel. */
static int32_t emit_cast(tile_emitter *e, tile_place at, int32_t in, mica_dtype from,
                         mica_dtype to) {
  const int32_t value =
      new_value(e, at.extent == MICA_TILE_ONE ? TILE_IN_SPLAT : TILE_IN_REGISTER, at.extent, to);
  mica_tile_instruction *code = new_instruction(e, MICA_TILE_CAST, at.stage);
  if (e->status != MICA_OK) return 0;
  code->extent = (uint8_t)at.extent;
  code->out = (int16_t)value;
  code->size_log2 = e->values[value].size_log2;
  code->from = (uint8_t)mica_tile_class_dtype(mica_tile_class_of(from));
  code->to = (uint8_t)to;
  code->kernel = e->kernels->widen[to];
  add_input(e, code, 0, in);
  return value;
}

static int32_t emit_convert(tile_emitter *e, tile_place at, int32_t in, mica_dtype from,
                            mica_dtype to) {
  const mica_tile_class from_class = mica_tile_class_of(from), to_class = mica_tile_class_of(to);
  if (from == to) return in;
  mica_tile_kernel *round = e->kernels->round[to],
                   *convert = e->kernels->convert[from_class][to_class];
  if (from_class == to_class) return round ? compute_unary(e, at, round, to, in) : in;
  /* Floats saturate at the narrow dtype's own limits; integers round to a narrow float once. */
  const bool exact = !round || from_class == MICA_TILE_CLASS_BOOL ||
                     (!mica_dtype_is_float(from) && !mica_dtype_is_float(to));
  if (!convert || !exact) return emit_cast(e, at, in, from, to);
  const int32_t value = compute_unary(e, at, convert, to, in);
  return round && from_class != MICA_TILE_CLASS_BOOL ? compute_unary(e, at, round, to, value)
                                                     : value;
}

/* Whether an operator can leave the range of a narrow integer dtype. */
static bool can_leave_range(mica_tile_op op) {
  switch ((int)op) {
    case MICA_TILE_NEG:
    case MICA_TILE_ABS:
    case MICA_TILE_NOT:
    case MICA_TILE_ADD:
    case MICA_TILE_SUB:
    case MICA_TILE_MUL:
    case MICA_TILE_SHIFT_LEFT:
    case MICA_TILE_DIV:
    case MICA_TILE_POW:
    case MICA_TILE_REDUCE_SUM:
    case MICA_TILE_REDUCE_PROD: return true;
    default: return false;
  }
}

static int32_t wrap(tile_emitter *e, tile_place at, const mica_tile_node *node, int32_t value) {
  mica_tile_kernel *round = e->kernels->round[node->dtype];
  if (e->status != MICA_OK || !round || mica_dtype_is_float(node->dtype) ||
      !can_leave_range(node->op))
    return value;
  return compute_unary(e, at, round, node->dtype, value);
}

/* Whether `node` is the operator, computed element by element for this one user. */
static bool pairs_with(const tile_emitter *e, int32_t node, mica_tile_op op, bool final) {
  const mica_tile_node *inner = &e->graph->nodes[node];
  return inner->op == op && e->uses[node] == 1 &&
         mica_tile_class_of(inner->dtype) == MICA_TILE_CLASS_F32 &&
         extent_of(e, node, final) == MICA_TILE_ALL;
}

/* Two operators in one pass over the tile: sources a, b of the inner one and c of the outer. */
static bool find_pair(const tile_emitter *e, const mica_tile_node *node, bool final,
                      mica_tile_pair *out_pair, int32_t sources[3]) {
  const mica_tile_node *nodes = e->graph->nodes;
  if (mica_tile_class_of(node->dtype) != MICA_TILE_CLASS_F32) return false;
  const int32_t x = node->source[0], y = node->source[1];
  int32_t inner = x, other = y;
  if (node->op == MICA_TILE_ADD &&
      (pairs_with(e, x, MICA_TILE_MUL, final) || pairs_with(e, y, MICA_TILE_MUL, final))) {
    if (!pairs_with(e, x, MICA_TILE_MUL, final)) inner = y, other = x;
    *out_pair = MICA_TILE_MUL_ADD;
  } else if (node->op == MICA_TILE_SUB && pairs_with(e, x, MICA_TILE_MUL, final)) {
    *out_pair = MICA_TILE_MUL_SUB;
  } else if (node->op == MICA_TILE_MUL &&
             (pairs_with(e, x, MICA_TILE_SUB, final) || pairs_with(e, y, MICA_TILE_SUB, final))) {
    if (!pairs_with(e, x, MICA_TILE_SUB, final)) inner = y, other = x;
    *out_pair = MICA_TILE_SUB_MUL;
  } else if (node->op == MICA_TILE_EXP && pairs_with(e, x, MICA_TILE_SUB, final)) {
    *out_pair = MICA_TILE_SUB_EXP;
    other = -1;
  } else {
    return false;
  }
  sources[0] = nodes[inner].source[0];
  sources[1] = nodes[inner].source[1];
  sources[2] = other;
  return true;
}

static int32_t emit_operator(tile_emitter *e, const mica_tile_node *node, tile_place at,
                             int32_t loop, bool final) {
  const mica_tile_node *nodes = e->graph->nodes;
  int32_t sources[3], values[3], value, count = mica_tile_arity(node->op);
  int32_t op = -1;
  mica_tile_pair pair;
  mica_tile_kernel *kernel;
  if (at.extent == MICA_TILE_ALL && find_pair(e, node, final, &pair, sources)) {
    kernel = e->kernels->pairs[pair];
    op = (int32_t)MICA_TILE_OP_COUNT + (int32_t)pair;
    count = sources[2] < 0 ? 2 : 3;
  } else {
    memcpy(sources, node->source, sizeof sources);
    const mica_tile_class of =
        mica_tile_class_of(nodes[node->source[node->op == MICA_TILE_SELECT ? 1 : 0]].dtype);
    kernel = of < MICA_TILE_CLASS_COUNT ? e->kernels->compute[node->op][of] : NULL;
    if (of == MICA_TILE_CLASS_F32) op = (int32_t)node->op;
  }
  for (int32_t i = 0; i < count; i++) values[i] = operand(e, sources[i], at, loop, final);
  if (e->status != MICA_OK) return 0;
  if (node->op == MICA_TILE_CONVERT)
    return emit_convert(e, at, values[0], nodes[node->source[0]].dtype, node->dtype);
  mica_tile_instruction *code = compute(e, at, kernel, node->dtype, &value);
  code->op = (int16_t)op;
  for (int32_t i = 0; i < count && e->status == MICA_OK; i++) add_input(e, code, i, values[i]);
  return wrap(e, at, node, value);
}

/* ---- reductions ------------------------------------------------------------------------------------- */

static mica_tile_op combining_operator(mica_tile_op reduction) {
  switch ((int)reduction) {
    case MICA_TILE_REDUCE_SUM: return MICA_TILE_ADD;
    case MICA_TILE_REDUCE_PROD: return MICA_TILE_MUL;
    case MICA_TILE_REDUCE_MAX: return MICA_TILE_MAX;
    case MICA_TILE_REDUCE_MIN: return MICA_TILE_MIN;
    case MICA_TILE_REDUCE_AND: return MICA_TILE_AND;
    default: return MICA_TILE_OR;
  }
}

static mica_tile_instruction *reduction_step(tile_emitter *e, mica_tile_kind kind, int32_t stage,
                                             const mica_reduce_kernels *reduce, int32_t out,
                                             int32_t in) {
  mica_tile_instruction *code = new_instruction(e, kind, stage);
  if (e->status != MICA_OK) return code;
  code->reduce = reduce;
  code->out = (int16_t)out;
  code->in[0] = (int16_t)in;
  code->extent = MICA_TILE_ALL;
  code->size_log2 = e->values[out].size_log2;
  return code;
}

static int32_t emit_reduction(tile_emitter *e, const mica_tile_node *node, int32_t id) {
  const int32_t source = node->source[0], loop = e->levels[source], stage = TILE_LOOP(loop);
  const mica_tile_class type = mica_tile_class_of(node->dtype);
  const mica_reduce_kernels *reduce = e->kernels->reduce[node->op][type];
  const tile_place all = {.extent = MICA_TILE_ALL, .stage = stage, .world = TILE_WORLD_LOOP};
  if (!reduce) fail(e, MICA_UNSUPPORTED);
  int32_t in = operand(e, source, all, loop, false);
  in = spread(e, in, node->dtype, stage);
  if (e->status != MICA_OK) return 0;
  tile_place after = {.extent = extent_of(e, id, !e->by_rows), .stage = TILE_ROWS(loop + 1)};
  int32_t value;
  if (!e->by_rows) {
    value = new_value(e, TILE_IN_REGISTER, MICA_TILE_ROWS, node->dtype);
    after.extent = MICA_TILE_ROWS;
    mica_tile_kernel *combine = e->kernels->compute[combining_operator(node->op)][type];
    mica_tile_instruction *code = reduction_step(e, MICA_TILE_ACCUMULATE, stage, reduce, value, in);
    code->kernel = combine;
    code = reduction_step(e, MICA_TILE_FOLD, after.stage, reduce, value, value);
    code->kernel = combine;
    if (e->status == MICA_OK) e->values[value].accumulates = true;
  } else if (!e->single_tile) {
    const int32_t state = new_value(e, TILE_IN_STATE, MICA_TILE_ONE, node->dtype);
    value = new_value(e, TILE_IN_SPLAT, MICA_TILE_ONE, node->dtype);
    reduction_step(e, MICA_TILE_REDUCE_BEGIN, TILE_ROWS(loop), reduce, state, state);
    reduction_step(e, MICA_TILE_REDUCE_PUSH, stage, reduce, state, in);
    reduction_step(e, MICA_TILE_REDUCE_END, after.stage, reduce, value, state);
  } else if (e->geometry->row_capacity == 1) {
    value = new_value(e, TILE_IN_SPLAT, MICA_TILE_ONE, node->dtype);
    after.extent = MICA_TILE_ONE;
    reduction_step(e, MICA_TILE_REDUCE_ONE, stage, reduce, value, in);
  } else {
    value = new_value(e, TILE_IN_REGISTER, MICA_TILE_ROWS, node->dtype);
    after.extent = MICA_TILE_ROWS;
    reduction_step(e, MICA_TILE_REDUCE_EACH, stage, reduce, value, in);
  }
  return wrap(e, after, node, value);
}

static int32_t emit_node(tile_emitter *e, int32_t node, int32_t loop, bool final) {
  if (e->status != MICA_OK) return 0;
  const mica_tile_node *data = &e->graph->nodes[node];
  tile_place at = place_of(e, node, loop, final);
  if (mica_tile_is_reduction(data->op)) at.world = TILE_WORLD_ROWS;
  int32_t *known = cached(e, node, at);
  if (*known >= 0) return *known;
  int32_t value;
  if (mica_tile_is_reduction(data->op)) {
    value = emit_reduction(e, data, node);
  } else if (data->op == MICA_TILE_LOAD || data->op == MICA_TILE_INDEX) {
    value = emit_load(e, data, at);
  } else if (data->op == MICA_TILE_NUMBER) {
    value = emit_number(e, data);
  } else {
    value = emit_operator(e, data, at, loop, final && at.world == TILE_WORLD_FINAL);
  }
  *cached(e, node, at) = value;
  return value;
}

/* ---- stores --------------------------------------------------------------------------------------------- */

/* A store of one element for each row: it does not move along the reduced axes. */
static bool stores_rows(const tile_emitter *e, int32_t node) {
  return e->reduced != 0 && (e->access_masks[e->graph->nodes[node].access] & e->reduced) == 0;
}

/* A loaded value that is stored as it is goes through a register, so that no other store is in between. */
static int32_t held(tile_emitter *e, int32_t value, mica_dtype dtype, int32_t stage) {
  if (e->status != MICA_OK || e->values[value].holder != TILE_IN_MEMORY || e->store_count < 2)
    return value;
  const tile_place at = {.extent = e->values[value].extent, .stage = stage};
  return compute_unary(e, at, e->kernels->copy[e->values[value].size_log2], dtype, value);
}

static void put(tile_emitter *e, int32_t store, int32_t value, int32_t stage,
                mica_tile_extent extent) {
  const mica_tile_node *node = &e->graph->nodes[store];
  const mica_dtype dtype = e->graph->streams[node->access].access.dtype;
  const int32_t cursor = cursor_of(e, node->access, extent == MICA_TILE_ROWS);
  mica_tile_instruction *code = new_instruction(e, MICA_TILE_PUT, stage);
  if (e->status != MICA_OK) return;
  code->extent = (uint8_t)extent;
  code->access = (int16_t)cursor;
  code->kernel = e->kernels->narrow[dtype];
  code->size_log2 = e->cursors[cursor].size_log2;
  add_input(e, code, 0, value);
  tile_value *from = &e->values[value];
  if (extent == MICA_TILE_ALL && e->cursors[cursor].dense && !code->kernel &&
      from->holder == TILE_IN_REGISTER && from->direct < 0 && !from->lasting &&
      e->direct_count < TILE_MAX_DIRECT) {
    from->direct = code->direct = (int16_t)e->direct_count;
    e->direct[e->direct_count++] =
        (mica_tile_direct){.access = (int16_t)cursor, .reg = (int16_t)value};
  }
}

static void emit_stores(tile_emitter *e) {
  const mica_tile_graph *graph = e->graph;
  const int32_t last = e->loop_count - 1;
  const tile_place all = {.extent = MICA_TILE_ALL, .stage = TILE_LOOP(last)};
  for (int32_t pass = 0; pass < 2; pass++) { /* all values, then all stores */
    for (int32_t i = 0; i < graph->node_count && e->status == MICA_OK; i++) {
      const mica_tile_node *node = &graph->nodes[i];
      if (node->op != MICA_TILE_STORE) continue;
      const int32_t source = node->source[0];
      const mica_dtype dtype = graph->nodes[source].dtype;
      if (stores_rows(e, i)) {
        const int32_t stage = TILE_ROWS(e->loop_count);
        if (pass == 0) {
          e->stored[i] = held(e, emit_node(e, source, last, !e->by_rows), dtype, stage);
        } else {
          const bool one = e->by_rows && e->geometry->row_capacity == 1;
          put(e, i, e->stored[i], stage, one ? MICA_TILE_ONE : MICA_TILE_ROWS);
        }
      } else if (pass == 0) {
        e->stored[i] = held(e, operand(e, source, all, last, false), dtype, all.stage);
      } else {
        put(e, i, e->stored[i], all.stage, MICA_TILE_ALL);
      }
    }
  }
}

/* ---- analysis ---------------------------------------------------------------------------------------------- */

static bool analyze(tile_emitter *e) {
  const mica_tile_graph *graph = e->graph;
  const size_t nodes = (size_t)graph->node_count, streams = (size_t)graph->stream_count;
  e->masks = mica_arena_allocate_zeroed(e->arena, nodes, sizeof(*e->masks));
  e->levels = mica_arena_allocate_zeroed(e->arena, nodes, sizeof(*e->levels));
  e->uses = mica_arena_allocate_zeroed(e->arena, nodes, sizeof(*e->uses));
  e->stored = mica_arena_allocate_zeroed(e->arena, nodes, sizeof(*e->stored));
  e->cache = mica_arena_allocate_zeroed(e->arena, nodes, sizeof(*e->cache));
  e->constants = mica_arena_allocate_zeroed(e->arena, nodes, sizeof(*e->constants));
  e->access_masks = mica_arena_allocate_zeroed(e->arena, streams, sizeof(*e->access_masks));
  e->cursor_of = mica_arena_allocate_zeroed(e->arena, 2 * streams, sizeof(*e->cursor_of));
  e->cursors = mica_arena_allocate_zeroed(e->arena, 2 * streams, sizeof(*e->cursors));
  e->direct = mica_arena_allocate_zeroed(e->arena, TILE_MAX_DIRECT, sizeof(*e->direct));
  if (!e->masks || !e->levels || !e->uses || !e->stored || !e->cache || !e->constants ||
      !e->access_masks || !e->cursor_of || !e->cursors || !e->direct) {
    fail(e, MICA_OUT_OF_MEMORY);
    return false;
  }
  for (int32_t axis = graph->reduce_begin; axis < graph->reduce_end; axis++)
    e->reduced |= 1U << axis;
  /* A reduction fills the tile's rows, whether or not they differ. */
  mica_tile_masks(graph, e->geometry->inside & ~e->reduced, e->masks);
  for (size_t i = 0; i < 2 * streams; i++) e->cursor_of[i] = -1;
  for (int32_t i = 0; i < graph->stream_count; i++)
    for (int32_t axis = 0; axis < graph->rank; axis++)
      if (graph->streams[i].access.stride[axis] != 0) e->access_masks[i] |= 1U << axis;
  int32_t loops = 0;
  for (int32_t i = 0; i < graph->node_count; i++) {
    const mica_tile_node *node = &graph->nodes[i];
    e->cache[i] = (tile_cache){-1, -1, -1, -1, -1};
    for (int32_t k = 0; k < mica_tile_arity(node->op); k++) {
      const int32_t source = node->source[k];
      e->uses[source]++;
      if (e->levels[source] > e->levels[i]) e->levels[i] = e->levels[source];
    }
    int32_t needed = 0;
    if (mica_tile_is_reduction(node->op)) needed = ++e->levels[i];
    if (node->op == MICA_TILE_STORE) {
      e->store_count++;
      if (!stores_rows(e, i)) needed = e->levels[i] + 1;
    }
    if (needed > loops) loops = needed;
  }
  e->loop_count = loops > 0 ? loops : 1;
  if (e->loop_count > MICA_TILE_MAX_LOOPS) fail(e, MICA_UNSUPPORTED);
  return e->status == MICA_OK;
}

static void use_geometry(tile_emitter *e) {
  const mica_tile_geometry *g = e->geometry;
  e->single_tile = g->tile.total == 1;
  for (int32_t dim = 0; dim < g->unit.rank; dim++) e->outside |= 1U << g->unit_axis[dim];
  e->outside |= g->walked;
  e->outside &= ~(1U << g->block_axis);
  e->block_mask = g->block_walk != 0 ? 1U << g->block_axis : 0;
}

mica_status mica_tile_emit(mica_arena *arena, const mica_cpu_kernels *kernels,
                           const mica_tile_graph *graph, int64_t chunks, int64_t largest,
                           mica_tile_pass *out, int64_t *out_footprint) {
  mica_tile_pass pass = {.chunks = chunks, .block = graph->block};
  mica_tile_cut(graph, largest, &pass.geometry);
  tile_emitter e = {
      .arena = arena,
      .kernels = kernels->tile,
      .graph = graph,
      .geometry = &pass.geometry,
      .by_rows = graph->reduce_begin < graph->reduce_end && graph->reduce_end == graph->rank};
  pass.columns = graph->reduce_begin < graph->reduce_end && !e.by_rows;
  if (!analyze(&e)) return e.status;
  use_geometry(&e);
  emit_stores(&e);
  if (e.status == MICA_OK) mica_tile_place(&e, &pass, out_footprint);
  if (e.status == MICA_OK) *out = pass;
  return e.status;
}
