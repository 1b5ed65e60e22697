/* SPDX-License-Identifier: Apache-2.0 */
/* rows_shape.c: leaves, conversions, movement and indexing. */
#include <math.h>
#include <string.h>

#include "random/generator.h"

static int64_t size_at(mica_value x, int32_t axis) { return mica_shape_of(x).dim[axis]; }
static int32_t some_axis(generator *g, mica_value x) {
  return (int32_t)random_draw(g, (uint32_t)mica_rank_of(x));
}

/* ---- leaves --------------------------------------------------------------------------------------- */

static bool make_constant(generator *g) {
  mica_type type = {random_dtype(g, ANY_DTYPE), random_shape(g, 0, 3)};
  random_plan one = {.in_count = 2, .in = {type}, .in_seed = {random_draw(g, 1 << 20)}};
  one.in_kind[0] = random_draw(g, 2) ? INPUT_GRID : INPUT_UNIFORM;
  mica_tensor *tensor = random_input(&one, 0, 0);
  random_push(g, mica_constant(g->graph, tensor), 4);
  mica_tensor_release(tensor);
  return true;
}
static bool make_iota(generator *g) {
  mica_type type = {random_dtype(g, ANY_NUMBER), random_shape(g, 1, 3)};
  random_push(g, mica_iota(g->graph, type, (int32_t)random_draw(g, (uint32_t)type.shape.rank)), 99);
  return true;
}
static bool make_variable(generator *g) {
  mica_variable *variable = random_variable(g->plan->smooth ? 0 : random_draw(g, SHARED_VARIABLES));
  random_push(g, mica_variable_read(g->graph, variable), 4);
  return true;
}

/* ---- one element at a time ------------------------------------------------------------------------ */

static bool make_convert(generator *g) {
  pool_entry x = random_pick(g, ANY_DTYPE);
  mica_dtype dtype = random_dtype(g, ANY_DTYPE), from = mica_dtype_of(x.value);
  if (!g->plan->smooth && random_chance(g, 6))
    dtype = (mica_dtype[]){MICA_F8E5M2, MICA_F8E4M3FN, MICA_I4, MICA_U4}[random_draw(g, 4)];
  if (dtype == from) return false;
  bool real = mica_dtype_is_float(from) || mica_dtype_is_complex(from);
  random_push(g, mica_convert(x.value, dtype), real ? x.bound : (double)INFINITY);
  return true;
}
static bool make_select(generator *g) {
  pool_entry c = random_pick_as(g, MICA_BOOL), x = random_pick(g, ANY_DTYPE);
  pool_entry y = random_pick_as(g, mica_dtype_of(x.value));
  mica_shape shape = mica_shape_of(x.value);
  random_push(g, mica_select(random_fit(g, c.value, shape), x.value, random_fit(g, y.value, shape)),
              fmax(x.bound, y.bound));
  return true;
}
static bool make_bitcast(generator *g) {
  pool_entry x = random_pick(g, ANY_REAL);
  static const mica_dtype to[][2] = {
      [MICA_F64] = {MICA_I64, MICA_U64},  [MICA_I64] = {MICA_U64, MICA_F64},
      [MICA_U64] = {MICA_I64, MICA_F64},  [MICA_F32] = {MICA_I32, MICA_U32},
      [MICA_I32] = {MICA_U32, MICA_F32},  [MICA_U32] = {MICA_I32, MICA_F32},
      [MICA_F16] = {MICA_I16, MICA_U16},  [MICA_BF16] = {MICA_I16, MICA_U16},
      [MICA_I16] = {MICA_U16, MICA_BF16}, [MICA_U16] = {MICA_I16, MICA_F16},
      [MICA_I8] = {MICA_U8, MICA_U8},     [MICA_U8] = {MICA_I8, MICA_I8}};
  mica_dtype dtype = to[mica_dtype_of(x.value)][random_draw(g, 2)];
  /* The bits of NaN and the sign of zero are nobody's promise; nor are those of halves that an engine kept in
   * f32 on the way. */
  if (mica_dtype_of(x.value) == MICA_F16 || mica_dtype_of(x.value) == MICA_BF16)
    x.value = mica_round(random_mild(g, x).value);
  if (mica_dtype_is_float(mica_dtype_of(x.value)))
    x.value = mica_select(mica_greater(mica_abs(x.value), 0), x.value, mica_ones_like(x.value));
  random_push(g, random_build(g, "bitcast", &x.value, 1, "dtype=%s", mica_dtype_name(dtype)),
              (double)INFINITY);
  return true;
}
static bool make_reduce_precision(generator *g) {
  pool_entry x = random_pick(g, ANY_FLOAT);
  g->program->rounds_derivatives = true;
  random_push(g,
              random_build(g, "reduce_precision", &x.value, 1, "exponent_bits=%d, mantissa_bits=%d",
                           (int)random_between(g, 5, 8), (int)random_between(g, 7, 3)),
              x.bound + 1);
  return true;
}
/* The dtypes of operand and result differ: what is found for all operands alike does not find it. */
static bool make_complex(generator *g) {
  pool_entry x = random_pick(g, WIDE_FLOAT);
  pool_entry y = random_pick_typed(g, mica_type_of(x.value));
  mica_value in[2] = {x.value, y.value};
  random_push(g, mica_build_operator(g->graph, "complex", in, 2, NULL), x.bound + 8);
  return true;
}

/* ---- movement -------------------------------------------------------------------------------------- */

static bool make_broadcast(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 0, 3);
  mica_shape from = mica_shape_of(x.value), to = {.rank = 0};
  mica_axes axes = {.count = from.rank};
  for (int32_t i = 0; i <= from.rank; i++) {
    if (random_draw(g, 3) == 0 && to.rank < 4) to.dim[to.rank++] = random_size(g);
    if (i == from.rank) break;
    axes.axis[i] = to.rank;
    to.dim[to.rank++] = from.dim[i] == 1 ? random_size(g) : from.dim[i];
  }
  if (!random_has_room(g, to)) return false;
  random_push(g, mica_broadcast_in_dim(x.value, to, axes), x.bound);
  return true;
}
static bool make_reshape(generator *g) {
  pool_entry x = random_pick(g, ANY_DTYPE);
  int64_t left = mica_shape_count(mica_shape_of(x.value));
  mica_shape to = {.rank = 0};
  if (left == 0) return false;
  while (to.rank < 4 && random_draw(g, 4)) {
    int64_t size = random_size(g);
    if (size < 1 || left % size) size = 1;
    to.dim[to.rank++] = size;
    left /= size;
  }
  if (left > 1) to.dim[to.rank++] = left;
  random_push(g, mica_reshape(x.value, to), x.bound);
  return true;
}
static bool make_transpose(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 2, 4);
  mica_axes order = {.count = mica_rank_of(x.value)};
  for (int32_t i = 0; i < order.count; i++) order.axis[i] = i;
  for (int32_t i = order.count - 1; i > 0; i--) {
    int32_t j = (int32_t)random_draw(g, (uint32_t)i + 1), kept = order.axis[i];
    order.axis[i] = order.axis[j];
    order.axis[j] = kept;
  }
  random_push(g, mica_transpose(x.value, order), x.bound);
  return true;
}
static mica_axes some_axes(generator *g, int32_t rank) {
  mica_axes axes = {.count = 0};
  for (int32_t i = 0; i < rank; i++)
    if (random_draw(g, 2) == 0) axes.axis[axes.count++] = i;
  return axes;
}
static bool make_reverse(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 4);
  random_push(g, mica_reverse(x.value, some_axes(g, mica_rank_of(x.value))), x.bound);
  return true;
}
static bool make_slice(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 4);
  int64_t start[8], limit[8], stride[8];
  for (int32_t i = 0; i < mica_rank_of(x.value); i++) {
    int64_t n = size_at(x.value, i);
    start[i] = random_draw(g, 2) ? random_between(g, 0, n) : 0;
    limit[i] = random_between(g, n, start[i]);
    stride[i] = random_between(g, 1, 3);
  }
  random_push(g, mica_slice_with(x.value, start, limit, stride), x.bound);
  return true;
}
static bool make_pad(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 4);
  mica_shape to = mica_shape_of(x.value);
  int64_t low[8], high[8], interior[8];
  for (int32_t i = 0; i < to.rank; i++) {
    low[i] = random_between(g, 0, 2), high[i] = random_between(g, 0, 2);
    interior[i] = random_chance(g, 20);
    if (random_chance(g, 15)) low[i] = -1;
    if (random_chance(g, 15)) high[i] = -1;
    to.dim[i] += low[i] + high[i] + (to.dim[i] ? (to.dim[i] - 1) * interior[i] : 0);
    if (to.dim[i] < 0) return false;
  }
  if (!random_has_room(g, to)) return false;
  random_push(g, mica_pad(x.value, random_number(g, mica_dtype_of(x.value)), low, high, interior),
              x.bound + 2);
  return true;
}
static bool make_concatenate(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 4);
  mica_value in[3] = {x.value};
  int32_t axis = some_axis(g, x.value);
  size_t count = 1 + random_draw(g, 3);
  mica_shape to = mica_shape_of(x.value);
  for (size_t i = 1; i < count; i++) {
    pool_entry y = random_pick_as(g, mica_dtype_of(x.value));
    mica_shape shape = mica_shape_of(x.value);
    shape.dim[axis] = random_between(g, 1, 3);
    to.dim[axis] += shape.dim[axis];
    in[i] = random_fit(g, y.value, shape);
    x.bound = fmax(x.bound, y.bound);
  }
  if (!random_has_room(g, to)) return false;
  random_push(g, mica_concatenate(in, count, axis), x.bound);
  return true;
}
/* Where a part of x begins, and its sizes. */
static mica_shape draw_part(generator *g, mica_value x, mica_value *start) {
  mica_shape sizes = mica_shape_of(x);
  for (int32_t i = 0; i < sizes.rank; i++) {
    start[i] = random_index(g, MICA_SCALAR, sizes.dim[i]);
    if (random_draw(g, 3)) sizes.dim[i] = random_between(g, (sizes.dim[i] + 1) / 2, 0);
  }
  return sizes;
}
static bool make_dynamic_slice(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 3);
  mica_value start[8];
  mica_shape sizes = draw_part(g, x.value, start);
  random_push(g, mica_dynamic_slice(x.value, start, sizes), x.bound);
  return true;
}
static bool make_dynamic_update_slice(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 3);
  mica_value start[8];
  mica_shape sizes = draw_part(g, x.value, start);
  pool_entry update = random_pick_as(g, mica_dtype_of(x.value));
  random_push(g, mica_dynamic_update_slice(x.value, random_fit(g, update.value, sizes), start),
              fmax(x.bound, update.bound));
  return true;
}

/* ---- indexing --------------------------------------------------------------------------------------- */

static bool gather_windows(generator *g, pool_entry x, bool batched) {
  mica_shape shape = mica_shape_of(x.value), sizes = shape;
  int32_t rank = shape.rank, first = batched ? 1 : 0,
          mapped = 1 + (int32_t)random_draw(g, (uint32_t)(rank - first));
  mica_gather_args args = {.struct_size = sizeof args, .x = x.value};
  mica_shape indices = {.rank = 0};
  if (batched) {
    sizes.dim[0] = 1;
    indices.dim[indices.rank++] = shape.dim[0];
    args.operand_batch_axes = args.index_batch_axes = MICA_AXES(0);
  }
  if (random_draw(g, 3)) indices.dim[indices.rank++] = 1 + random_draw(g, 4);
  args.index_vector_axis = indices.rank;
  args.start_index_map.count = mapped;
  for (int32_t i = 0; i < mapped; i++) args.start_index_map.axis[i] = first + mapped - 1 - i;
  int32_t offsets = 0;
  for (int32_t i = first; i < rank; i++) {
    if (random_draw(g, 2)) sizes.dim[i] = random_between(g, sizes.dim[i] > 0, sizes.dim[i]);
    if (sizes.dim[i] == 1 && random_draw(g, 2))
      args.collapsed_slice_axes.axis[args.collapsed_slice_axes.count++] = i;
    else
      offsets++;
  }
  for (int32_t i = 0; i < offsets; i++)
    args.offset_axes.axis[args.offset_axes.count++] = indices.rank + i;
  mica_shape result = {.rank = 1, .dim = {mica_shape_count(indices) * mica_shape_count(sizes)}};
  if (!random_has_room(g, result) || indices.rank + offsets > 6) return false;
  indices.dim[indices.rank++] = mapped;
  args.slice_sizes = sizes;
  args.indices = random_index(g, indices, 4);
  random_push(g, mica_gather_with(&args), x.bound);
  return true;
}
static bool make_gather(generator *g) {
  pool_entry x = random_pick_ranked(g, ANY_DTYPE, 1, 3);
  mica_shape shape = mica_shape_of(x.value), indices = random_shape(g, 0, 2);
  if (mica_shape_count(shape) == 0) return false;
  int32_t axis = some_axis(g, x.value);
  uint32_t form = random_draw(g, 4);
  if (form == 2) return gather_windows(g, x, false);
  if (form == 3 && shape.rank > 1) return gather_windows(g, x, true);
  if (form == 1) {
    indices = shape;
    indices.dim[axis] = random_size(g);
    if (!random_has_room(g, indices)) return false;
    random_push(g, mica_take_along_axis(x.value, random_index(g, indices, shape.dim[axis]), axis),
                x.bound);
    return true;
  }
  int64_t count = mica_shape_count(shape) / shape.dim[axis] * mica_shape_count(indices);
  if (!random_has_room(g, MICA_DIMS(count))) return false;
  random_push(g, mica_take(x.value, random_index(g, indices, shape.dim[axis]), axis), x.bound);
  return true;
}

static bool make_scatter(generator *g) {
  uint32_t kind = random_draw(g, 5);
  pool_entry x = random_pick_ranked(g, kind ? ANY_REAL : ANY_DTYPE, 1, 3);
  mica_shape shape = mica_shape_of(x.value), updates = {.rank = 0};
  if (mica_shape_count(shape) == 0) return false;
  int32_t mapped = 1 + (int32_t)random_draw(g, (uint32_t)shape.rank);
  mica_scatter_args args = {.struct_size = sizeof args, .combine = (mica_combine)kind};
  mica_shape indices = {.rank = 0};
  bool batched = shape.rank > mapped && random_chance(g, 25);
  if (batched) {
    indices.dim[indices.rank++] = shape.dim[0];
    args.operand_batch_axes = args.index_batch_axes = MICA_AXES(0);
  }
  if (random_draw(g, 4)) indices.dim[indices.rank++] = random_between(g, 2, 7);
  args.index_vector_axis = indices.rank;
  updates = indices;
  indices.dim[indices.rank++] = mapped;
  args.index_map.count = mapped;
  for (int32_t i = 0; i < shape.rank; i++) {
    if (batched && i == 0) continue;
    bool indexed = i - batched < mapped;
    if (indexed) args.index_map.axis[i - batched] = i;
    if (indexed && random_draw(g, 3)) {
      args.inserted_window_axes.axis[args.inserted_window_axes.count++] = i;
      continue;
    }
    args.update_window_axes.axis[args.update_window_axes.count++] = updates.rank;
    updates.dim[updates.rank++] = indexed ? (shape.dim[i] + 1) / 2 : shape.dim[i];
  }
  if (!random_has_room(g, updates)) return false;
  pool_entry y = random_pick_as(g, mica_dtype_of(x.value));
  args.x = random_mild(g, x).value;
  args.updates = random_fit(g, random_mild(g, y).value, updates);
  args.indices = random_index(g, indices, 4);
  double most = (double)mica_shape_count(updates) + 1;
  random_push(g, mica_scatter_with(&args), kind == 2 ? (double)INFINITY : 8 * most);
  return true;
}

const random_row random_shape_rows[] = {{"constant", make_constant, 0, 0},
                                        {"iota", make_iota, 0, 0},
                                        {"variable", make_variable, 0, 0},
                                        {"convert", make_convert, 0, 4},
                                        {"select", make_select, 0, 0},
                                        {"bitcast", make_bitcast, ROW_ROUGH, 0},
                                        {"reduce_precision", make_reduce_precision, ROW_ROUGH, 0},
                                        {"complex", make_complex, 0, 0},
                                        {"broadcast", make_broadcast, 0, 0},
                                        {"reshape", make_reshape, 0, 0},
                                        {"transpose", make_transpose, 0, 0},
                                        {"reverse", make_reverse, 0, 0},
                                        {"slice", make_slice, 0, 0},
                                        {"pad", make_pad, 0, 0},
                                        {"concatenate", make_concatenate, 0, 0},
                                        {"dynamic_slice", make_dynamic_slice, 0, 0},
                                        {"dynamic_update_slice", make_dynamic_update_slice, 0, 0},
                                        {"gather", make_gather, 0, 4},
                                        {"scatter", make_scatter, 0, 4},
                                        {NULL, NULL, 0, 0}};
