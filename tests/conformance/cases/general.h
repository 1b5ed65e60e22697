/* SPDX-License-Identifier: Apache-2.0 */
/* general.h: operators whose operator is a block, for general.def. */
#ifndef CONFORMANCE_CASES_GENERAL_H
#define CONFORMANCE_CASES_GENERAL_H
#include "mica/graph.h"

/* x + y + w x y, associative; w comes from outside. */
static mica_value circle(mica_value x, mica_value y, mica_value w) {
  return mica_add(mica_add(x, y), mica_mul(w, mica_mul(x, y)));
}

/* Affine maps a x + b, the left one first: neither commutative nor one value. */
static void compose(const mica_value *left, const mica_value *right, mica_value *out) {
  out[0] = mica_mul(left[0], right[0]);
  out[1] = mica_add(mica_mul(left[1], right[0]), right[1]);
}
static void compose_arguments(mica_region region, mica_value *out) {
  mica_value in[4];
  for (size_t i = 0; i < 4; i++) in[i] = mica_argument(region, i);
  compose(in, in + 2, out);
}

static mica_value reduce_circle(mica_value x, mica_value init, mica_value w, mica_axes axes) {
  mica_value out;
  mica_region region = mica_reduce_begin(&x, &init, 1, axes);
  mica_value y = circle(mica_argument(region, 0), mica_argument(region, 1), w);
  mica_reduce_end(region, &y, &out);
  return out;
}
static void reduce_maps(const mica_value *in, mica_axes axes, mica_value *out) {
  mica_value init[2] = {mica_scalar(in[0].graph, mica_dtype_of(in[0]), 0.5),
                        mica_scalar(in[0].graph, mica_dtype_of(in[0]), 0.25)};
  mica_region region = mica_reduce_begin(in, init, 2, axes);
  mica_value y[2];
  compose_arguments(region, y);
  mica_reduce_end(region, y, out);
}
typedef mica_value binary_builder(mica_value x, mica_value y);
static mica_value reduce_by(mica_value x, double number, binary_builder *operator, mica_axes axes) {
  mica_value init = mica_scalar(x.graph, mica_dtype_of(x), number), out;
  mica_region region = mica_reduce_begin(&x, &init, 1, axes);
  mica_value y = operator(mica_argument(region, 1), mica_argument(region, 0));
  mica_reduce_end(region, &y, &out);
  return out;
}
/* The largest element and where it is. */
static void reduce_place(mica_value x, mica_value *out) {
  mica_graph *g = x.graph;
  mica_value in[2] = {x, mica_iota(g, (mica_type){MICA_I32, mica_shape_of(x)}, 1)};
  mica_value init[2] = {mica_scalar(g, mica_dtype_of(x), -100), mica_scalar(g, MICA_I32, -1)};
  mica_region region = mica_reduce_begin(in, init, 2, MICA_AXES(1));
  mica_value keep = mica_greater_equal(mica_argument(region, 0), mica_argument(region, 2)), y[2];
  for (size_t i = 0; i < 2; i++)
    y[i] = mica_select(keep, mica_argument(region, i), mica_argument(region, 2 + i));
  mica_reduce_end(region, y, out);
}

static mica_value window_circle(mica_value x, mica_value init, mica_value w) {
  mica_value out;
  mica_region region = mica_reduce_window_begin(&x, &init, 1, .window = {2, 3}, .stride = {1, 2},
                                                .base_dilation = {2, 1}, .window_dilation = {1, 2},
                                                .low = {1, 0}, .high = {0, 2});
  mica_value y = circle(mica_argument(region, 0), mica_argument(region, 1), w);
  mica_reduce_window_end(region, &y, &out);
  return out;
}
static void window_maps(const mica_value *in, mica_value *out) {
  mica_value init[2] = {mica_scalar(in[0].graph, mica_dtype_of(in[0]), 1),
                        mica_scalar(in[0].graph, mica_dtype_of(in[0]), 0)};
  mica_region region = mica_reduce_window_begin(in, init, 2, .window = {3}, .low = {1});
  mica_value y[2];
  compose_arguments(region, y);
  mica_reduce_window_end(region, y, out);
}
static mica_value window_known(mica_value x) {
  mica_value init = mica_scalar(x.graph, mica_dtype_of(x), 0), out;
  mica_region region = mica_reduce_window_begin(&x, &init, 1, .window = {2, 2}, .low = {1, 1});
  mica_value y = mica_add(mica_argument(region, 0), mica_argument(region, 1));
  mica_reduce_window_end(region, &y, &out);
  return out;
}

/* By magnitude; what the cells get is joined by circle. */
static mica_value select_by_size(mica_value x, mica_value source, mica_value init, mica_value w) {
  mica_region region = mica_select_and_scatter_begin(
      x, source, init, .window = {2, 3}, .stride = {1, 2}, .low = {1, 0}, .high = {0, 1});
  mica_select_and_scatter_combine(region, mica_greater_equal(mica_abs(mica_argument(region, 0)),
                                                             mica_abs(mica_argument(region, 1))));
  return mica_select_and_scatter_end(region,
                                     circle(mica_argument(region, 0), mica_argument(region, 1), w));
}
static mica_value select_known(mica_value x, mica_value source, double number, bool least) {
  mica_value init = mica_scalar(x.graph, mica_dtype_of(x), number);
  mica_region region =
      mica_select_and_scatter_begin(x, source, init, .window = {2, 2}, .stride = {1, 2});
  mica_value a = mica_argument(region, 0), b = mica_argument(region, 1);
  mica_select_and_scatter_combine(region, least ? mica_less_equal(a, b) : mica_less_equal(b, a));
  return mica_select_and_scatter_end(region,
                                     mica_add(mica_argument(region, 0), mica_argument(region, 1)));
}

static mica_value scatter_circle(mica_value x, mica_value indices, mica_value updates,
                                 mica_value w) {
  mica_value out;
  mica_region region = mica_scatter_begin(
      &x, &updates, 1, indices, .inserted_window_axes = MICA_AXES(0), .index_map = MICA_AXES(0),
      .index_vector_axis = 1, .update_window_axes = MICA_AXES(1));
  mica_value y = circle(mica_argument(region, 0), mica_argument(region, 1), w);
  mica_scatter_end(region, &y, &out);
  return out;
}
/* in: two operands, indices, two updates. */
static void scatter_maps(const mica_value *in, mica_value *out) {
  mica_region region =
      mica_scatter_begin(in, in + 3, 2, in[2], .inserted_window_axes = MICA_AXES(0),
                         .index_map = MICA_AXES(0), .index_vector_axis = 1);
  mica_value y[2];
  compose_arguments(region, y);
  mica_scatter_end(region, y, out);
}
static mica_value scatter_by(mica_value x, mica_value indices, mica_value updates,
                             binary_builder *operator) {
  mica_value out;
  mica_region region =
      mica_scatter_begin(&x, &updates, 1, indices, .inserted_window_axes = MICA_AXES(0),
                         .index_map = MICA_AXES(0), .index_vector_axis = 1);
  mica_value y = operator? operator(mica_argument(region, 0), mica_argument(region, 1))
                         : mica_argument(region, 1);
  mica_scatter_end(region, &y, &out);
  return out;
}

static void scan_maps(const mica_value *in, int32_t axis, bool reverse, mica_value *out) {
  mica_region region = mica_associative_scan_begin(in, 2, axis, reverse);
  mica_value y[2];
  compose_arguments(region, y);
  mica_associative_scan_end(region, y, out);
}
/* Elements are matrices. */
static mica_value scan_products(mica_value x) {
  mica_value out;
  mica_region region = mica_associative_scan_begin(&x, 1, 0, false);
  mica_value y = mica_matmul(mica_argument(region, 0), mica_argument(region, 1));
  mica_associative_scan_end(region, &y, &out);
  return out;
}

/* By the distance from w, the nearest first; the second operand is moved along. */
static void sort_by_distance(const mica_value *in, mica_value w, int32_t axis, mica_value *out) {
  mica_region region = mica_sort_begin(in, 2, axis);
  mica_value x = mica_abs(mica_sub(mica_argument(region, 0), w)),
             y = mica_abs(mica_sub(mica_argument(region, 1), w));
  mica_sort_end(region, mica_less(x, y), out);
}
/* By the first in[0] ascending, where equal by in[1] descending. */
static void sort_by_two(const mica_value *in, mica_value *out) {
  mica_region region = mica_sort_begin(in, 2, 1);
  mica_value a = mica_argument(region, 0), b = mica_argument(region, 1),
             c = mica_argument(region, 2), d = mica_argument(region, 3);
  mica_sort_end(region, mica_or(mica_less(a, b), mica_and(mica_equal(a, b), mica_greater(c, d))),
                out);
}
static void sort_known(const mica_value *in, size_t count, bool swapped, mica_value *out) {
  mica_region region = mica_sort_begin(in, count, 0);
  mica_value a = mica_argument(region, 2), b = mica_argument(region, 3);
  mica_sort_end(region, swapped ? mica_less(b, a) : mica_less(a, b), out);
}
#endif
