/* SPDX-License-Identifier: Apache-2.0 */
/* write_fold.c: reductions, windows and sorts: operations whose region works on single elements.
 *
 * Sums of f16 and bf16 are kept in f32. Extremes that also tell their place compare pairs (value,
 * place): the first NaN wins, else the extreme, and the lower place among equals; padding has the
 * highest place, so that it never wins. */
#include "backend/xla/writer_internal.h"

#include <stdio.h>

static const char *const reducer_names[] = {"stablehlo.add",     "stablehlo.multiply",
                                            "stablehlo.maximum", "stablehlo.minimum",
                                            "stablehlo.and",     "stablehlo.or"};

static bool is_half(mica_dtype dtype) { return dtype == MICA_F16 || dtype == MICA_BF16; }

/* The dtype that a fold is kept in. */
static mica_dtype fold_dtype(mica_dtype dtype, mica_reduce_kind kind) {
  return is_half(dtype) && kind <= MICA_REDUCE_PROD ? MICA_F32 : dtype;
}

/* A region of one reducer on two elements. */
static void write_reducer(xla_writer *w, mica_reduce_kind kind, mica_dtype dtype, bool first) {
  mica_type element = xla_scalar(dtype);
  mica_xla_region_begin(w, first);
  xla_ref x = mica_xla_argument(w, element, true);
  xla_ref y = mica_xla_argument(w, element, false);
  mica_xla_region_ready(w);
  xla_ref out = mica_xla_emit_2(w, reducer_names[kind], element, x, y);
  mica_xla_region_return(w, &out, 1);
}

static void emit_reduce(xla_writer *w, uint32_t id) {
  const mica_reduce_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  mica_reduce_kind kind = (mica_reduce_kind)attr->kind;
  mica_dtype dtype = fold_dtype(type.dtype, kind);
  mica_type folded = xla_shaped(dtype, type.shape);
  xla_ref in[2] = {mica_xla_convert(w, mica_xla_operand(w, id, 0), dtype),
                   mica_xla_neutral(w, dtype, kind)};
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.reduce", 1, in, 2);
  write_reducer(w, kind, dtype, true);
  mica_xla_attribute_array(w, "dimensions", attr->axes.at, attr->axes.count);
  mica_xla_operation_end(w, in, 2, &folded, 1);
  mica_xla_define(w, id, mica_xla_convert(w, (xla_ref){number, -1, folded}, type.dtype));
}

/* ---- values with their places ---------------------------------------------------------------- */

static xla_ref is_nan(xla_writer *w, xla_ref x) { return mica_xla_compare(w, "NE", x, x); }

static xla_ref both(xla_writer *w, xla_ref x, xla_ref y) {
  return mica_xla_emit_2(w, "stablehlo.and", x.type, x, y);
}
static xla_ref either(xla_writer *w, xla_ref x, xla_ref y) {
  return mica_xla_emit_2(w, "stablehlo.or", x.type, x, y);
}
static xla_ref never(xla_writer *w, xla_ref x) {
  return mica_xla_emit_1(w, "stablehlo.not", x.type, x);
}

/* Whether (x, place_x) is to be taken instead of (y, place_y). */
static xla_ref pair_beats(xla_writer *w, bool largest, xla_ref x, xla_ref place_x, xla_ref y,
                          xla_ref place_y) {
  xla_ref better = mica_xla_compare(w, largest ? "GT" : "LT", x, y);
  xla_ref equal = mica_xla_compare(w, "EQ", x, y);
  if (mica_dtype_is_float(x.type.dtype)) {
    xla_ref nan_x = is_nan(w, x), nan_y = is_nan(w, y);
    better = either(w, better, both(w, nan_x, never(w, nan_y)));
    equal = either(w, equal, both(w, nan_x, nan_y));
  }
  xla_ref lower = mica_xla_compare(w, "LT", place_x, place_y);
  return either(w, better, both(w, equal, lower));
}

/* The region that folds (value, place, carried values ..): `count` in all. */
static void write_pair_reducer(xla_writer *w, bool largest, const mica_dtype *dtypes,
                               size_t count) {
  xla_ref x[3], y[3], out[3];
  mica_xla_region_begin(w, true);
  for (size_t i = 0; i < count; i++) x[i] = mica_xla_argument(w, xla_scalar(dtypes[i]), i == 0);
  for (size_t i = 0; i < count; i++) y[i] = mica_xla_argument(w, xla_scalar(dtypes[i]), false);
  mica_xla_region_ready(w);
  xla_ref taken = pair_beats(w, largest, x[0], x[1], y[0], y[1]);
  for (size_t i = 0; i < count; i++) out[i] = mica_xla_select(w, taken, x[i], y[i]);
  mica_xla_region_return(w, out, count);
}

static void emit_arg_reduce(xla_writer *w, uint32_t id) {
  const mica_arg_reduce_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  xla_ref x = mica_xla_operand(w, id, 0);
  bool largest = attr->kind == MICA_REDUCE_MAX;
  mica_dtype dtypes[2] = {x.type.dtype, type.dtype};
  xla_ref in[4] = {x, mica_xla_iota(w, xla_shaped(type.dtype, x.type.shape), attr->axis),
                   mica_xla_neutral(w, x.type.dtype, (mica_reduce_kind)attr->kind),
                   mica_xla_neutral(w, type.dtype, MICA_REDUCE_MIN)};
  mica_type types[2] = {xla_shaped(x.type.dtype, type.shape), type};
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.reduce", 2, in, 4);
  write_pair_reducer(w, largest, dtypes, 2);
  mica_xla_attribute_array(w, "dimensions", &attr->axis, 1);
  mica_xla_operation_end(w, in, 4, types, 2);
  mica_xla_define(w, id, (xla_ref){number, 1, type});
}

/* ---- windows --------------------------------------------------------------------------------- */

static void window_attributes(xla_writer *w, const mica_window_attr *a) {
  mica_xla_attribute_array(w, "window_dimensions", a->window.at, a->window.count);
  mica_xla_attribute_array(w, "window_strides", a->stride.at, a->stride.count);
  mica_xla_attribute_array(w, "base_dilations", a->base_dilation.at, a->base_dilation.count);
  mica_xla_attribute_array(w, "window_dilations", a->window_dilation.at, a->window_dilation.count);
  mica_xla_attribute_pairs(w, "padding", &a->low, &a->high);
}

static void emit_reduce_window(xla_writer *w, uint32_t id) {
  const mica_window_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  mica_reduce_kind kind = (mica_reduce_kind)attr->kind;
  mica_dtype dtype = fold_dtype(type.dtype, kind);
  mica_type folded = xla_shaped(dtype, type.shape);
  xla_ref in[2] = {mica_xla_convert(w, mica_xla_operand(w, id, 0), dtype),
                   mica_xla_neutral(w, dtype, kind)};
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.reduce_window", 1, in, 2);
  write_reducer(w, kind, dtype, true);
  window_attributes(w, attr);
  mica_xla_operation_end(w, in, 2, &folded, 1);
  mica_xla_define(w, id, mica_xla_convert(w, (xla_ref){number, -1, folded}, type.dtype));
}

static mica_dtype place_dtype(mica_shape shape) {
  return mica_shape_count(shape) > INT32_MAX ? MICA_I64 : MICA_I32;
}

/* Row-major places of the elements of x. */
static xla_ref places_of(xla_writer *w, mica_shape shape) {
  mica_dtype dtype = place_dtype(shape);
  mica_shape line = {.rank = 1, .dim = {mica_shape_count(shape)}};
  return mica_xla_reshape(w, mica_xla_iota(w, xla_shaped(dtype, line), 0), shape);
}

/* For each window the extreme of x, its place (the highest number: all is padding), and what
 * `carried` (if given) has there; returns the number of the operation. */
static uint32_t select_in_windows(xla_writer *w, const mica_window_attr *attr, xla_ref x,
                                  const xla_ref *carried, mica_shape windows) {
  size_t count = carried == NULL ? 2 : 3;
  mica_dtype place = place_dtype(x.type.shape);
  xla_ref in[6];
  mica_dtype dtypes[3] = {x.type.dtype, place, carried == NULL ? place : carried->type.dtype};
  in[0] = x;
  in[1] = places_of(w, x.type.shape);
  if (carried != NULL) in[2] = *carried;
  in[count] = mica_xla_neutral(w, x.type.dtype, (mica_reduce_kind)attr->kind);
  in[count + 1] = mica_xla_neutral(w, place, MICA_REDUCE_MIN);
  if (carried != NULL) in[count + 2] = mica_xla_number(w, carried->type.dtype, 0);
  mica_type types[3];
  for (size_t i = 0; i < count; i++) types[i] = xla_shaped(dtypes[i], windows);
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.reduce_window", count, in, 2 * count);
  write_pair_reducer(w, attr->kind == MICA_REDUCE_MAX, dtypes, count);
  window_attributes(w, attr);
  mica_xla_operation_end(w, in, 2 * count, types, count);
  return number;
}

static void emit_select_and_gather(xla_writer *w, uint32_t id) {
  const mica_window_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  xla_ref t = mica_xla_operand(w, id, 1);
  uint32_t number = select_in_windows(w, attr, mica_xla_operand(w, id, 0), &t, type.shape);
  mica_xla_define(w, id, (xla_ref){number, 2, type});
}

static bool all_ones(const mica_ints *list) {
  for (int32_t i = 0; i < list->count; i++)
    if (list->at[i] != 1) return false;
  return true;
}

/* With holes: sources are added at the places of the extremes; those of padding lie outside. */
static void scatter_to_extremes(xla_writer *w, uint32_t id, xla_ref x, xla_ref source,
                                mica_dtype dtype) {
  const mica_window_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  mica_dtype place = place_dtype(x.type.shape);
  uint32_t windows = select_in_windows(w, attr, x, NULL, source.type.shape);
  mica_shape line = {.rank = 1, .dim = {mica_shape_count(x.type.shape)}};
  mica_shape updates = {.rank = 1, .dim = {mica_shape_count(source.type.shape)}};
  mica_type flat = xla_shaped(dtype, line);
  xla_ref in[3] = {
      mica_xla_filled(w, flat, 0),
      mica_xla_reshape(w, (xla_ref){windows, 1, xla_shaped(place, source.type.shape)}, updates),
      mica_xla_reshape(w, source, updates)};
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.scatter", 1, in, 3);
  write_reducer(w, MICA_REDUCE_SUM, dtype, true);
  mica_xla_attribute_text(w, "scatter_dimension_numbers",
                          "#stablehlo.scatter<inserted_window_dims = [0], "
                          "scatter_dims_to_operand_dims = [0], index_vector_dim = 1>");
  mica_xla_attribute_text(w, "indices_are_sorted", "false");
  mica_xla_attribute_text(w, "unique_indices", "false");
  mica_xla_operation_end(w, in, 3, &flat, 1);
  xla_ref out = mica_xla_reshape(w, (xla_ref){number, -1, flat}, type.shape);
  mica_xla_define(w, id, mica_xla_convert(w, out, type.dtype));
}

static void emit_select_and_scatter(xla_writer *w, uint32_t id) {
  const mica_window_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  mica_dtype dtype = fold_dtype(type.dtype, MICA_REDUCE_SUM);
  xla_ref x = mica_xla_convert(w, mica_xla_operand(w, id, 0), dtype);
  xla_ref source = mica_xla_convert(w, mica_xla_operand(w, id, 1), dtype);
  if (!all_ones(&attr->base_dilation) || !all_ones(&attr->window_dilation)) {
    scatter_to_extremes(w, id, x, source, dtype);
    return;
  }
  mica_type folded = xla_shaped(dtype, type.shape), element = xla_scalar(dtype);
  xla_ref in[3] = {x, source, mica_xla_number(w, dtype, 0)};
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.select_and_scatter", 1, in, 3);
  mica_xla_region_begin(w, true); /* whether the first one stays */
  xla_ref a = mica_xla_argument(w, element, true), b = mica_xla_argument(w, element, false);
  mica_xla_region_ready(w);
  xla_ref stays = mica_xla_compare(w, attr->kind == MICA_REDUCE_MAX ? "GE" : "LE", a, b);
  if (mica_dtype_is_float(dtype)) stays = either(w, stays, is_nan(w, a));
  mica_xla_region_return(w, &stays, 1);
  write_reducer(w, MICA_REDUCE_SUM, dtype, false);
  mica_xla_attribute_array(w, "window_dimensions", attr->window.at, attr->window.count);
  mica_xla_attribute_array(w, "window_strides", attr->stride.at, attr->stride.count);
  mica_xla_attribute_pairs(w, "padding", &attr->low, &attr->high);
  mica_xla_operation_end(w, in, 3, &folded, 1);
  mica_xla_define(w, id, mica_xla_convert(w, (xla_ref){number, -1, folded}, type.dtype));
}

/* ---- sort ------------------------------------------------------------------------------------ */

/* Whether key x stands in front of y, and whether they are equal; NaN is above all numbers. */
static void compare_keys(xla_writer *w, bool descending, xla_ref x, xla_ref y, xla_ref *front,
                         xla_ref *equal) {
  *front = mica_xla_compare(w, descending ? "GT" : "LT", x, y);
  *equal = mica_xla_compare(w, "EQ", x, y);
  if (!mica_dtype_is_float(x.type.dtype)) return;
  xla_ref nan_x = is_nan(w, x), nan_y = is_nan(w, y);
  *front = either(w, *front,
                  descending ? both(w, nan_x, never(w, nan_y)) : both(w, nan_y, never(w, nan_x)));
  *equal = either(w, *equal, both(w, nan_x, nan_y));
}

static void emit_sort(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  const mica_sort_attr *attr = node->attr;
  size_t count = node->operand_count;
  xla_ref *in = mica_allocate_zeroed(&w->module->allocator, 3 * count, sizeof(*in));
  mica_type *types = mica_allocate_zeroed(&w->module->allocator, count, sizeof(*types));
  if (in == NULL || types == NULL) {
    mica_xla_fail(w, MICA_OUT_OF_MEMORY, "no memory to compile");
  } else {
    xla_ref *pairs = in + count;
    for (uint32_t i = 0; i < count; i++) {
      in[i] = mica_xla_operand(w, id, i);
      types[i] = in[i].type;
    }
    uint32_t number = mica_xla_operation_begin(w, "stablehlo.sort", count, in, count);
    mica_xla_region_begin(w, true);
    for (size_t i = 0; i < 2 * count; i++)
      pairs[i] = mica_xla_argument(w, xla_scalar(in[i / 2].type.dtype), i == 0);
    mica_xla_region_ready(w);
    xla_ref result = {0}, equal_so_far = {0};
    for (int64_t k = 0; k < attr->keys; k++) {
      xla_ref front, equal;
      compare_keys(w, attr->descending, pairs[2 * k], pairs[2 * k + 1], &front, &equal);
      result = k == 0 ? front : either(w, result, both(w, equal_so_far, front));
      equal_so_far = k == 0 ? equal : both(w, equal_so_far, equal);
    }
    mica_xla_region_return(w, &result, 1);
    mica_xla_attribute_i64(w, "dimension", attr->axis);
    mica_xla_attribute_text(w, "is_stable", "true");
    mica_xla_operation_end(w, in, count, types, count);
    for (uint32_t i = 0; i < count; i++)
      mica_xla_define(w, id + i, (xla_ref){number, count == 1 ? -1 : (int32_t)i, types[i]});
  }
  mica_free(&w->module->allocator, in, 3 * count * sizeof(*in));
  mica_free(&w->module->allocator, types, count * sizeof(*types));
}

xla_emitter_table mica_xla_fold_emitters = {
    [MICA_OP_REDUCE] = emit_reduce,
    [MICA_OP_ARG_REDUCE] = emit_arg_reduce,
    [MICA_OP_REDUCE_WINDOW] = emit_reduce_window,
    [MICA_OP_SELECT_AND_GATHER] = emit_select_and_gather,
    [MICA_OP_SELECT_AND_SCATTER] = emit_select_and_scatter,
    [MICA_OP_SORT] = emit_sort,
};
