/* SPDX-License-Identifier: Apache-2.0 */
/* Types and messages of operators whose operator is a block. */
#include "unit/graph/ops_testing.h"

#define INIT SCALAR(F32)

static mica_value reduce_of(mica_value x, mica_value init, mica_axes axes) {
  mica_value out;
  mica_region region = mica_reduce_begin(&x, &init, 1, axes);
  mica_value y = mica_div(mica_argument(region, 0), mica_argument(region, 1));
  mica_reduce_end(region, &y, &out);
  return out;
}
static mica_value window_of(mica_value x, mica_value init, int64_t window, int64_t extra) {
  mica_value out;
  mica_region region =
      mica_reduce_window_begin(&x, &init, 1, .window = {window, 2}, .stride = {1, 1, extra});
  mica_value y = mica_div(mica_argument(region, 0), mica_argument(region, 1));
  mica_reduce_window_end(region, &y, &out);
  return out;
}
static mica_value select_of(mica_value x, mica_value source, mica_value init, bool truth) {
  mica_region region = mica_select_and_scatter_begin(x, source, init, .window = {2}, .stride = {2});
  mica_value a = mica_argument(region, 0);
  mica_select_and_scatter_combine(region, truth ? mica_less(a, mica_argument(region, 1)) : a);
  a = mica_sub(mica_argument(region, 0), mica_argument(region, 1));
  return mica_select_and_scatter_end(region, a);
}
static mica_value scatter_of(mica_value x, mica_value indices, mica_value updates) {
  mica_value out;
  mica_region region =
      mica_scatter_begin(&x, &updates, 1, indices, .inserted_window_axes = MICA_AXES(0),
                         .index_map = MICA_AXES(0), .index_vector_axis = 1);
  mica_value y = mica_div(mica_argument(region, 0), mica_argument(region, 1));
  mica_scatter_end(region, &y, &out);
  return out;
}
static mica_value scan_of(mica_value x, mica_value y, int32_t axis) {
  mica_value in[2] = {x, y}, out[2], next[2];
  mica_region region = mica_associative_scan_begin(in, 2, axis, false);
  for (size_t i = 0; i < 2; i++) next[i] = mica_argument(region, i);
  mica_associative_scan_end(region, next, out);
  return out[1];
}
static mica_value sort_of(mica_value x, mica_value y, int32_t axis, bool truth) {
  mica_value in[2] = {x, y}, out[2];
  mica_region region = mica_sort_begin(in, 2, axis);
  mica_value a = mica_argument(region, 0);
  mica_sort_end(region, truth ? mica_less(mica_abs(a), mica_argument(region, 1)) : a, out);
  return out[1];
}

TEST(types) {
  CHECK_TYPE(reduce_of(F32(2, 3, 4), INIT, MICA_AXES(1)), "f32[2, 4]");
  CHECK_TYPE(reduce_of(F32(2, 3, 4), INIT, MICA_KEEP(0, 2)), "f32[1, 3, 1]");
  CHECK_TYPE(reduce_of(F32(2, 0), INIT, MICA_ALL), "f32[]");
  CHECK_TYPE(window_of(F32(5, 4), INIT, 3, 0), "f32[3, 3]");
  CHECK_TYPE(window_of(F32(0, 4), INIT, 3, 0), "f32[0, 3]");
  CHECK_TYPE(select_of(F32(6), F32(3), INIT, true), "f32[6]");
  CHECK_TYPE(scatter_of(F32(6), I32(4), F32(4)), "f32[6]");
  CHECK_TYPE(scatter_of(F32(6), I32(0), F32(0)), "f32[6]");
  CHECK_TYPE(scan_of(F32(2, 5), I32(5, 5), 1), "i32[5, 5]");
  CHECK_TYPE(scan_of(F32(0), I32(0), 0), "i32[0]");
  CHECK_TYPE(sort_of(F32(2, 5), I32(2, 5), 1, true), "i32[2, 5]");
  CHECK_TYPE(sort_of(F32(1), I32(1), 0, true), "i32[1]");
}

TEST(messages) {
  CHECK_FAILS(reduce_of(F32(3), SCALAR(F64), MICA_ALL), "reduce", "expected [] of its dtype");
  CHECK_FAILS(reduce_of(F32(3), F32(1), MICA_ALL), "needs another init: expected []");
  CHECK_FAILS(reduce_of(F32(3), INIT, MICA_AXES(1)), "reduce(f32[3]", "axis 1");
  CHECK_FAILS(reduce_of(F32(3), (mica_value){0}, MICA_ALL), "reduce", "operand 1");
  CHECK_FAILS(window_of(F32(5, 4), INIT, -1, 0), "reduce_window", "expected at least 1");
  CHECK_FAILS(window_of(F32(5, 4), INIT, 2, 3), "stride has an entry for axis 2");
  CHECK_FAILS(select_of(F32(6), F32(2), INIT, true), "select_and_scatter", "expected a source [3]");
  CHECK_FAILS(select_of(F32(6), F32(3), F32(1), true), "expected init []");
  CHECK_FAILS(select_of(F32(6), F32(3), INIT, false), "select_and_scatter_combine",
              "is f32[]: expected bool[]");
  CHECK_FAILS(scatter_of(F32(6), I32(4), F32(3)), "scatter", "the updates have size 3");
  CHECK_FAILS(scatter_of(F32(6), F32(4), F32(4)), "expected indices");
  CHECK_FAILS(scan_of(F32(2, 5), F32(2, 4), 1), "operand 1: expected axis 1 of size 5");
  CHECK_FAILS(scan_of(F32(5), F32(5), 1), "associative_scan", "axis 1");
  CHECK_FAILS(sort_of(F32(5), F32(4), 0, true), "sort", "different shapes");
  CHECK_FAILS(sort_of(F32(5), F32(5), 1, true), "axis 1");
  CHECK_FAILS(sort_of(F32(5), F32(5), 0, false), "sort_end", "is f32[]: expected bool[]");
}

/* Ends of other blocks, ends twice, values of a block behind its end. */
TEST(blocks_are_told_apart) {
  mica_graph *g = scoped_graph();
  mica_value x = F32(4), init = INIT, out = {0};
  mica_region region = mica_reduce_begin(&x, &init, 1, MICA_ALL);
  mica_value y = mica_argument(region, 0);
  mica_vmap_end(region, &y, 1, &out);
  mica_error error = {0};
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "belongs to reduce: expected an open block of vmap");
  mica_reduce_end(region, &y, &out); /* after the failure: no value, no crash */
  CHECK(!mica_is_valid(out));
  mica_graph_destroy(g);

  g = scoped_graph();
  x = F32(4), init = INIT;
  region = mica_reduce_begin(&x, &init, 1, MICA_ALL);
  y = mica_mul(mica_argument(region, 0), mica_argument(region, 1));
  mica_reduce_end(region, &y, &out);
  CHECK(mica_is_valid(out));
  CHECK(!mica_is_valid(y));
  mica_reduce_end(region, &y, &out);
  error = (mica_error){0};
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "is closed already");
  mica_graph_destroy(g);

  g = scoped_graph();
  x = F32(4);
  region = mica_sort_begin(&x, 1, 0);
  mica_reduce_end(region, &x, &out);
  error = (mica_error){0};
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "belongs to sort: expected an open block of reduce");
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(types), TEST_CASE(messages), TEST_CASE(blocks_are_told_apart))
