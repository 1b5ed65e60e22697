/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions and windows: shapes, messages, and the nodes that their derivatives are made of. */
#include "unit/graph/ops_testing.h"

#include "graph/attributes.h"

TEST(reductions) {
  CHECK_TYPE(mica_reduce_sum(F32(2, 3, 4), MICA_AXES(0, -1)), "f32[3]");
  CHECK_TYPE(mica_reduce_sum(F32(2, 3, 4), MICA_AXES(2, 0)), "f32[3]");
  CHECK_TYPE(mica_reduce_sum(F32(2, 3, 4), MICA_KEEP(1)), "f32[2, 1, 4]");
  CHECK_TYPE(mica_reduce_max(F32(2, 3), MICA_ALL), "f32[]");
  CHECK_TYPE(mica_reduce_min(I32(2, 0), ((mica_axes){.count = -1, .keep = true})), "i32[1, 1]");
  CHECK_TYPE(mica_reduce_prod(input(g, MICA_C64, MICA_DIMS(2)), MICA_AXES(0)), "c64[]");
  CHECK_TYPE(mica_reduce_and(BOOL(2, 3), MICA_AXES(1)), "bool[2]");
  CHECK_TYPE(mica_reduce_or(I32(2, 3), MICA_AXES(1)), "i32[2]");
  CHECK_TYPE(mica_reduce_sum(SCALAR(F32), MICA_ALL), "f32[]");
  CHECK_TYPE(mica_reduce_sum(F32(2), (mica_axes){0}), "f32[2]");
  CHECK_TYPE(mica_reduce_mean(F32(2, 3), MICA_AXES(1)), "f32[2]");
  CHECK_TYPE(mica_reduce_mean(input(g, MICA_F16, MICA_DIMS(100000)), MICA_KEEP(0)), "f16[1]");
  CHECK_TYPE(mica_reduce_mean(F32(0, 3), MICA_AXES(0)), "f32[3]");
  CHECK_FAILS(mica_reduce_sum(F32(2), MICA_AXES(1)), "reduce_sum(f32[2])", "axis 1 does not exist");
  CHECK_FAILS(mica_reduce_sum(F32(2, 3), MICA_AXES(1, -1)), "axis 1 is listed twice");
  CHECK_FAILS(mica_reduce_sum(BOOL(2), MICA_ALL), "reduce(bool[2])",
              "dtype bool is not supported by sum", "mica_convert first");
  CHECK_FAILS(mica_reduce_max(input(g, MICA_C64, MICA_DIMS(2)), MICA_ALL),
              "dtype c64 is not supported by max");
  CHECK_FAILS(mica_reduce_prod(input(g, MICA_F8E5M2, MICA_DIMS(2)), MICA_ALL), "dtype f8e5m2");
  CHECK_FAILS(mica_reduce_and(F32(2), MICA_ALL),
              "dtype f32 is not supported by and: expected bool or integers");
  CHECK_FAILS(mica_reduce_mean(I32(2), MICA_ALL), "reduce_mean(i32[2])", "dtype i32");
  CHECK_FAILS(mica_reduce_mean(F32(2), MICA_AXES(3)), "reduce_mean(f32[2])", "axis 3");
}

TEST(positions) {
  CHECK_TYPE(mica_arg_max(F32(2, 3), 1), "i32[2]");
  CHECK_TYPE(mica_arg_min(I32(2, 3), -2), "i32[3]");
  CHECK_TYPE(mica_arg_max(F32(0, 3), 1), "i32[0]");
  CHECK_FAILS(mica_arg_max(F32(2, 3), 2), "arg_max(f32[2, 3])", "axis 2 does not exist");
  CHECK_FAILS(mica_arg_max(F32(2, 0), 1), "arg_reduce(f32[2, 0])", "axis 1 is empty");
  CHECK_FAILS(mica_arg_max(F32((int64_t)1 << 32), 0), "positions need dtype i64");
  CHECK_FAILS(mica_arg_min(BOOL(2), 0), "arg_reduce(bool[2])", "dtype bool");
}

TEST(windows) {
  CHECK_TYPE(mica_reduce_window(F32(10), .window = {3}), "f32[8]");
  CHECK_TYPE(
      mica_reduce_window(F32(10, 4), .window = {3}, .stride = {2}, .low = {1, 0}, .high = {1, 2}),
      "f32[5, 6]");
  CHECK_TYPE(
      mica_reduce_window(F32(4), .window = {2}, .base_dilation = {3}, .window_dilation = {4}),
      "f32[6]");
  CHECK_TYPE(mica_reduce_window(F32(4), .window = {2}, .low = {-1}, .high = {-2}), "f32[0]");
  CHECK_TYPE(mica_reduce_window(F32(4), .window = {2}, .low = {-9}), "f32[0]");
  CHECK_TYPE(mica_reduce_window(F32(0), .window = {2}, .low = {2}, .high = {1}), "f32[2]");
  CHECK_TYPE(mica_reduce_window(SCALAR(F32)), "f32[]");
  CHECK_TYPE(mica_reduce_window(I32(4), .kind = MICA_WINDOW_MIN, .window = {9}), "i32[0]");
  CHECK_FAILS(mica_reduce_window(F32(4), .window = {-1}), "reduce_window(f32[4])",
              "window is -1 along axis 0: expected at least 1");
  CHECK_FAILS(mica_reduce_window(F32(4), .stride = {-3}), "stride is -3 along axis 0");
  CHECK_FAILS(mica_reduce_window(F32(4), .window = {1, 2}),
              "window has an entry for axis 1: expected 1 entries");
  CHECK_FAILS(mica_reduce_window(F32(4), .kind = (mica_window_kind)4),
              "kind 4: expected sum to min");
  CHECK_FAILS(mica_reduce_window(F32(4), .low = {INT64_MAX}, .high = {INT64_MAX}),
              "along axis 0 reaches too far");
  CHECK_FAILS(mica_reduce_window(F32(4), .window = {INT64_MAX}, .window_dilation = {2}),
              "reaches too far");
  CHECK_FAILS(mica_reduce_window(F32(4), .high = {INT64_MAX - 4}), "larger than the address space");
  CHECK_FAILS(mica_reduce_window(BOOL(4)), "dtype bool");
  CHECK_FAILS(mica_reduce_window(input(g, MICA_C64, MICA_DIMS(4)), .kind = MICA_WINDOW_MAX),
              "dtype c64", "supported by max");
  CHECK(!mica_has_value(mica_reduce_window_with(NULL)));
}

TEST(pools) {
  CHECK_TYPE(mica_max_pool(F32(2, 8, 6, 3)), "f32[2, 4, 3, 3]");
  CHECK_TYPE(mica_max_pool(F32(2, 9, 3), .window = {3}, .stride = {2}), "f32[2, 4, 3]");
  CHECK_TYPE(mica_max_pool(F32(2, 9, 3), .window = {3}, .stride = {2}, .padding = MICA_SAME),
             "f32[2, 5, 3]");
  CHECK_TYPE(mica_mean_pool(F32(2, 9, 8, 7, 3), .window = {3, 2}), "f32[2, 3, 4, 2, 3]");
  CHECK_TYPE(mica_mean_pool(input(g, MICA_BF16, MICA_DIMS(2, 5, 3)), .padding = MICA_SAME),
             "bf16[2, 3, 3]");
  CHECK_TYPE(mica_mean_pool(F32(0, 5, 3)), "f32[0, 2, 3]");
  CHECK_TYPE(mica_max_pool(F32(2, 0, 3), .padding = MICA_SAME), "f32[2, 0, 3]");
  CHECK_FAILS(mica_max_pool(F32(2, 8)), "max_pool(f32[2, 8])", "rank 2", "1 to 3 spatial axes");
  CHECK_FAILS(mica_mean_pool(F32(2, 8, 3), .window = {2, 2}), "mean_pool(f32[2, 8, 3])",
              "spatial axis 1", "expected at most 1");
  CHECK_FAILS(mica_max_pool(F32(2, 8, 3), .window = {-2}), "window is -2 along spatial axis 0");
  CHECK_FAILS(mica_max_pool(F32(2, 8, 3), .padding = (mica_padding)7), "padding 7 is unknown");
  CHECK_FAILS(mica_mean_pool(I32(2, 8, 3)), "mean_pool(i32[2, 8, 3])", "dtype i32");
  CHECK(!mica_has_value(mica_max_pool_with(NULL)));
  CHECK(!mica_has_value(mica_mean_pool_with(NULL)));
}

static mica_value select_pair(mica_op op, mica_value x, mica_value y, int32_t kind,
                              int64_t window) {
  mica_window_attr attr = {.kind = kind,
                           .window = {1, {window}},
                           .stride = {1, {2}},
                           .base_dilation = {1, {1}},
                           .window_dilation = {1, {1}},
                           .low = {1, {0}},
                           .high = {1, {0}}};
  return mica_emit(x.graph, op, (mica_value[]){x, y}, 2, &attr);
}

TEST(selecting_windows) {
  CHECK_TYPE(select_pair(MICA_OP_SELECT_AND_SCATTER, F32(6), F32(3), MICA_REDUCE_MAX, 2), "f32[6]");
  CHECK_TYPE(select_pair(MICA_OP_SELECT_AND_GATHER, F32(6), F32(6), MICA_REDUCE_MIN, 2), "f32[3]");
  CHECK_FAILS(select_pair(MICA_OP_SELECT_AND_SCATTER, F32(6), F32(2), MICA_REDUCE_MAX, 2),
              "select_and_scatter(f32[6], f32[2])", "expected shape [3]");
  CHECK_FAILS(select_pair(MICA_OP_SELECT_AND_GATHER, F32(6), F32(3), MICA_REDUCE_MAX, 2),
              "different shapes");
  CHECK_FAILS(select_pair(MICA_OP_SELECT_AND_GATHER, F32(6), I32(6), MICA_REDUCE_MAX, 2),
              "different dtypes");
  CHECK_FAILS(select_pair(MICA_OP_SELECT_AND_GATHER, F32(6), F32(6), MICA_REDUCE_SUM, 2),
              "kind 0: expected max to min");
  CHECK_FAILS(select_pair(MICA_OP_SELECT_AND_GATHER, F32(6), F32(6), MICA_REDUCE_MAX, 0),
              "window is 0");
}

/* The gradient of a product is a tree: its size grows with the logarithm of the length. */
TEST(product_gradient_is_logarithmic) {
  uint32_t count[3];
  for (int i = 0; i < 3; i++) {
    mica_graph *g = mica_graph_create(NULL);
    mica_value x = F32((int64_t)16 << (4 * i)), gradient;
    mica_gradients(mica_reduce_prod(x, MICA_ALL), &x, 1, &gradient);
    CHECK_OK(mica_graph_verify(g, NULL));
    count[i] = g->count;
    mica_graph_destroy(g);
  }
  CHECK_EQ_INT(count[1] - count[0], count[2] - count[1]); /* 16 -> 256 -> 4096 */
}

TEST(gradients_of_windows) {
  static const struct {
    mica_window_kind kind;
    mica_op op;
    int expected;
  } cases[] = {{MICA_WINDOW_SUM, MICA_OP_REDUCE_WINDOW, 2},
               {MICA_WINDOW_MAX, MICA_OP_SELECT_AND_SCATTER, 1},
               {MICA_WINDOW_MIN, MICA_OP_SELECT_AND_SCATTER, 1},
               {MICA_WINDOW_PROD, MICA_OP_GATHER, 2}};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    mica_graph *g = mica_graph_create(NULL);
    mica_value x = F32(9, 8), gradient;
    mica_value y = mica_reduce_window(x, .kind = cases[i].kind, .window = {3, 2}, .stride = {2, 1});
    mica_gradients(mica_reduce_sum(y, MICA_ALL), &x, 1, &gradient);
    check_type_text(g, gradient, "f32[9, 8]", "gradient of a window", __FILE__, __LINE__);
    CHECK_EQ_INT(count_nodes(g, cases[i].op), cases[i].expected);
    CHECK_OK(mica_graph_verify(g, NULL));
    mica_graph_destroy(g);
  }
}

/* Nothing to differentiate: zeros, and no node with impossible sizes. */
TEST(gradients_of_nothing) {
  for (int kind = MICA_WINDOW_SUM; kind <= MICA_WINDOW_MIN; kind++)
    for (int64_t size = 0; size < 2; size++) {
      mica_graph *g = mica_graph_create(NULL);
      mica_value x = F32(size), gradient, tangent = F32(size), out;
      mica_value y = mica_reduce_window(x, .kind = (mica_window_kind)kind, .window = {3});
      mica_gradients(mica_reduce_sum(y, MICA_ALL), &x, 1, &gradient);
      mica_jvp(&y, 1, &x, &tangent, 1, &out);
      check_type_text(g, out, "f32[0]", "tangent of no window", __FILE__, __LINE__);
      check_type_text(g, gradient, size ? "f32[1]" : "f32[0]", "gradient of no window", __FILE__,
                      __LINE__);
      mica_value whole = mica_reduce_prod(x, MICA_ALL);
      mica_gradients(whole, &x, 1, &gradient);
      CHECK_OK(mica_graph_verify(g, NULL));
      mica_graph_destroy(g);
    }
}

TEST(misuse) {
  mica_graph *other = mica_graph_create(NULL);
  mica_value foreign = mica_parameter(other, (mica_type){MICA_F32, MICA_DIMS(3)}), none = {0};
  static mica_value (*const reducers[])(mica_value, mica_axes) = {
      mica_reduce_sum,  mica_reduce_mean, mica_reduce_max, mica_reduce_min,
      mica_reduce_prod, mica_reduce_and,  mica_reduce_or};
  for (size_t i = 0; i < sizeof(reducers) / sizeof(reducers[0]); i++) {
    mica_graph *g = scoped_graph();
    CHECK(!mica_has_value(reducers[i](none, MICA_ALL)));
    mica_value stale = F32(2);
    mica_graph_reset(g);
    mica_scope_push(g, "net");
    CHECK(!mica_has_value(reducers[i](stale, MICA_ALL)));
    mica_error error = {0};
    CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "reduce_");
    CHECK_STR_CONTAINS(error.message, "stale");
    CHECK_STR_CONTAINS(error.message, "in scope net");
    mica_graph_destroy(g);
  }
  CHECK(!mica_has_value(mica_arg_max(none, 0)));
  CHECK(!mica_has_value(mica_max_pool(none)));
  CHECK(!mica_has_value(mica_reduce_window(none)));
  CHECK(mica_has_value(mica_reduce_sum(foreign, MICA_ALL))); /* it builds in its own graph */
  mica_graph_destroy(other);
}

TEST_MAIN(TEST_CASE(reductions), TEST_CASE(positions), TEST_CASE(windows), TEST_CASE(pools),
          TEST_CASE(selecting_windows), TEST_CASE(product_gradient_is_logarithmic),
          TEST_CASE(gradients_of_windows), TEST_CASE(gradients_of_nothing), TEST_CASE(misuse))
