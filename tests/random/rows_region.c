/* SPDX-License-Identifier: Apache-2.0 */
/* rows_region.c: folds, scatters and sorts whose operator is a block (ops/region.h). The blocks are random
 * statements on single elements; no law is asked of them, since an engine joins in the order that the graph says. */
#include <math.h>
#include <string.h>

#include "random/generator.h"

enum { FOLDED = 2, FOLD_ELEMENTS = 64 };

typedef struct {
  size_t count, base;
  int64_t batch;
} block_frame;
/* A block for `examples` elements at once. */
static block_frame enter_block(generator *g, int64_t examples) {
  block_frame f = {g->count, g->base, g->batch};
  g->depth++;
  g->batch *= examples > 1 ? examples : 1;
  return f;
}
static void leave_block(generator *g, block_frame f) {
  g->depth--;
  g->count = f.count, g->base = f.base, g->batch = f.batch;
}

/* One result of the block of the type that it has to be: the newest value, joined with the arguments in most cases. */
static mica_value block_result(generator *g, block_frame f, mica_value left, mica_value right) {
  mica_type type = mica_type_of(left);
  uint32_t form = random_draw(g, 4);
  if (form == 0)
    return mica_dtype_is_float(type.dtype) ? mica_add(left, right) : mica_max(left, right);
  if (form == 1) return mica_min(left, right); /* these two are recognized */
  pool_entry x = g->count > f.count ? g->pool[g->count - 1] : random_pick_as(g, type.dtype);
  x.value = random_as(g, x.value, type.dtype);
  if (mica_dtype_of(x.value) != type.dtype) x = random_pick_as(g, type.dtype);
  x = random_mild(g, x);
  x.value = random_fit(g, x.value, type.shape);
  if (!mica_dtype_is_float(type.dtype)) return form == 2 ? mica_max(x.value, right) : right;
  mica_value both = mica_add(mica_mul(left, 0.5), mica_mul(right, 0.25));
  return form == 2 ? mica_add(both, mica_mul(mica_tanh(x.value), 0.5))
                   : mica_tanh(mica_sub(both, left));
}
static void block_results(generator *g, block_frame f, mica_region block, size_t count,
                          mica_value *out) {
  for (size_t i = 0; i < 2 * count; i++) random_push(g, mica_argument(block, i), 8);
  random_statements(g, random_draw(g, 3));
  for (size_t i = 0; i < count; i++)
    out[i] = block_result(g, f, mica_argument(block, i), mica_argument(block, count + i));
}

/* Few values of one shape, real numbers. */
static size_t pick_folded(generator *g, mica_value *x, int64_t *out_elements) {
  pool_entry first = random_mild(g, random_pick_ranked(g, ANY_REAL, 1, 3));
  size_t count = 1 + random_draw(g, FOLDED);
  x[0] = first.value;
  mica_shape shape = mica_shape_of(x[0]);
  *out_elements = mica_shape_count(shape);
  for (size_t i = 1; i < count; i++)
    x[i] = random_pick_typed(g, (mica_type){random_dtype(g, ANY_REAL), shape}).value;
  return *out_elements * g->batch > FOLD_ELEMENTS ? 0 : count;
}
static void pick_starts(generator *g, const mica_value *x, size_t count, mica_value *init) {
  for (size_t i = 0; i < count; i++) {
    mica_dtype dtype = mica_dtype_of(x[i]);
    init[i] = random_draw(g, 2) ? random_pick_typed(g, (mica_type){dtype, MICA_SCALAR}).value
                                : mica_scalar(g->graph, dtype, 0);
  }
}
static void push_all(generator *g, const mica_value *out, size_t count) {
  for (size_t i = 0; i < count; i++)
    random_push(g, out[i], mica_dtype_is_float(mica_dtype_of(out[i])) ? (double)INFINITY : 0);
}

static bool make_reduce_block(generator *g) {
  mica_value x[FOLDED], init[FOLDED], result[FOLDED], out[FOLDED] = {{0}};
  int64_t elements;
  size_t count = pick_folded(g, x, &elements);
  if (!count) return false;
  mica_axes axes = {.count = 0, .keep = random_draw(g, 4) == 3};
  for (int32_t i = 0; i < mica_rank_of(x[0]); i++)
    if (random_draw(g, 2) == 0) axes.axis[axes.count++] = i;
  pick_starts(g, x, count, init);
  mica_region block = mica_reduce_begin(x, init, count, axes);
  block_frame f = enter_block(g, elements);
  block_results(g, f, block, count, result);
  mica_reduce_end(block, result, out);
  leave_block(g, f);
  push_all(g, out, count);
  return true;
}

/* Windows of the first axis alone; the others have size 1. */
static void draw_window(generator *g, mica_shape shape, int64_t *window, int64_t *stride,
                        int64_t *low, int64_t *high) {
  for (int32_t i = 0; i < shape.rank; i++) {
    bool slides = i == 0 || random_draw(g, 3) == 2;
    window[i] = slides && shape.dim[i] > 1 ? 2 : 1;
    stride[i] = slides ? random_between(g, 1, 2) : 1;
    low[i] = slides ? random_between(g, 0, 1) : 0;
    high[i] = slides ? random_between(g, 0, 1) : 0;
  }
}
static bool make_reduce_window_block(generator *g) {
  mica_value x[FOLDED], init[FOLDED], result[FOLDED], out[FOLDED] = {{0}};
  int64_t elements;
  size_t count = pick_folded(g, x, &elements);
  if (!count) return false;
  mica_shape shape = mica_shape_of(x[0]);
  pick_starts(g, x, count, init);
  mica_reduce_window_block_args args = {
      .struct_size = sizeof args, .x = x, .init = init, .count = count};
  draw_window(g, shape, args.window, args.stride, args.low, args.high);
  for (int32_t i = 0; i < shape.rank; i++) {
    args.base_dilation[i] = 1 + random_chance(g, 15);
    args.window_dilation[i] = 1 + random_chance(g, 15);
  }
  mica_region block = mica_reduce_window_begin_with(&args);
  block_frame f = enter_block(g, 2 * elements);
  block_results(g, f, block, count, result);
  mica_reduce_window_end(block, result, out);
  leave_block(g, f);
  push_all(g, out, count);
  return true;
}

static bool make_select_and_scatter_block(generator *g) {
  pool_entry x = random_mild(g, random_pick_ranked(g, ANY_REAL, 1, 3));
  mica_type type = mica_type_of(x.value);
  int64_t elements = mica_shape_count(type.shape);
  if (elements * g->batch > FOLD_ELEMENTS) return false;
  mica_select_and_scatter_args args = {.struct_size = sizeof args, .x = x.value};
  draw_window(g, type.shape, args.window, args.stride, args.low, args.high);
  for (int32_t i = 0; i < type.shape.rank; i++) {
    int64_t padded = type.shape.dim[i] + args.low[i] + args.high[i];
    type.shape.dim[i] =
        padded < args.window[i] ? 0 : (padded - args.window[i]) / args.stride[i] + 1;
  }
  args.source = random_pick_typed(g, type).value;
  args.init =
      random_draw(g, 2) ? random_number(g, type.dtype) : mica_scalar(g->graph, type.dtype, 0);
  mica_region block = mica_select_and_scatter_begin_with(&args);
  block_frame f = enter_block(g, 2 * elements);
  mica_value a = mica_argument(block, 0), b = mica_argument(block, 1), result;
  mica_value stays = random_draw(g, 2) ? mica_greater_equal(a, b) : mica_less(mica_mul(a, a), b);
  mica_select_and_scatter_combine(block, stays);
  block_results(g, f, block, 1, &result);
  mica_value out = mica_select_and_scatter_end(block, result);
  leave_block(g, f);
  push_all(g, &out, 1);
  return true;
}

static bool make_scatter_block(generator *g) {
  mica_value x[FOLDED], updates[FOLDED], result[FOLDED], out[FOLDED] = {{0}};
  int64_t elements;
  size_t count = pick_folded(g, x, &elements);
  if (!count || !elements) return false;
  mica_shape shape = mica_shape_of(x[0]), update = shape,
             indices = MICA_DIMS(random_between(g, 2, 5), 1);
  update.dim[0] = indices.dim[0];
  if (!random_has_room(g, update) || mica_shape_count(update) * g->batch > FOLD_ELEMENTS)
    return false;
  for (size_t i = 0; i < count; i++)
    updates[i] = random_pick_typed(g, (mica_type){mica_dtype_of(x[i]), update}).value;
  mica_scatter_block_args args = {
      .struct_size = sizeof args, .x = x, .updates = updates, .count = count};
  args.indices = random_index(g, indices, shape.dim[0]);
  args.inserted_window_axes = args.index_map = MICA_AXES(0);
  args.index_vector_axis = 1;
  for (int32_t i = 1; i < shape.rank; i++)
    args.update_window_axes.axis[args.update_window_axes.count++] = i;
  mica_region block = mica_scatter_begin_with(&args);
  block_frame f = enter_block(g, elements + mica_shape_count(update));
  block_results(g, f, block, count, result);
  mica_scatter_end(block, result, out);
  leave_block(g, f);
  push_all(g, out, count);
  return true;
}

static bool make_associative_scan(generator *g) {
  mica_value x[FOLDED], result[FOLDED], out[FOLDED] = {{0}};
  int64_t elements;
  size_t count = pick_folded(g, x, &elements);
  if (!count) return false;
  int32_t axis = (int32_t)random_draw(g, (uint32_t)mica_rank_of(x[0]));
  mica_region block = mica_associative_scan_begin(x, count, axis, random_draw(g, 2));
  block_frame f = enter_block(g, mica_dim_of(x[0], axis));
  block_results(g, f, block, count, result);
  mica_associative_scan_end(block, result, out);
  leave_block(g, f);
  push_all(g, out, count);
  return true;
}

/* By one element alone, by its distance from a number, or as a fixed sort does. */
static bool make_sort_block(generator *g) {
  mica_value in[FOLDED], out[FOLDED] = {{0}};
  int64_t elements;
  size_t count = pick_folded(g, in, &elements);
  if (!count || elements > 16) return false;
  int32_t axis = (int32_t)random_draw(g, (uint32_t)mica_rank_of(in[0]));
  mica_region block = mica_sort_begin(in, count, axis);
  block_frame f = enter_block(g, elements);
  mica_value a = mica_argument(block, 0), b = mica_argument(block, 1);
  switch (random_draw(g, 3)) {
    case 0: a = mica_less(a, b); break;
    case 1: a = mica_greater(a, b); break;
    default: a = mica_less(mica_abs(mica_sub(a, 1)), mica_abs(mica_sub(b, 1))); break;
  }
  mica_sort_end(block, a, out);
  leave_block(g, f);
  push_all(g, out, count);
  return true;
}

const random_row random_region_rows[] = {
    {"reduce_block", make_reduce_block, ROW_REGION, 0},
    {"reduce_window_block", make_reduce_window_block, ROW_REGION, 0},
    {"select_and_scatter_block", make_select_and_scatter_block, ROW_REGION, 0},
    {"scatter_block", make_scatter_block, ROW_REGION, 0},
    {"associative_scan", make_associative_scan, ROW_REGION, 0},
    {"sort_block", make_sort_block, ROW_REGION, 0},
    {NULL, NULL, 0, 0}};
