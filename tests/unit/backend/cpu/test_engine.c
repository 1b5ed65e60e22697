/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine.c: elementwise groups, reductions, views and products of the native engine against the
 * reference backend, with the same bits for 1 to 4 threads. */
#include "unit/backend/cpu/engine.h"

/* ---- elementwise ------------------------------------------------------------------------------ */

static void build_chain(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value x = mica_add(mica_mul(in[0], in[1]), 1);
  out[0] = mica_tanh(mica_exp(mica_neg(mica_square(x))));
  out[1] = mica_select(mica_greater(x, 0), x, mica_mul(x, 0.1));
  out[2] = mica_convert(mica_greater(x, in[2]), MICA_I32);
}
TEST(chains) {
  engine_case tiny = {
      .in = {ENGINE_F32(16), ENGINE_F32(16), ENGINE_F32(16)}, .in_count = 3, .out_count = 3};
  engine_check("chain of 16", &tiny, build_chain);
  engine_case row = {.in = {ENGINE_F32(7, 5, 33), ENGINE_F32(33), ENGINE_F32(7, 5, 33)},
                     .in_count = 3,
                     .out_count = 3};
  engine_check("chain with a row", &row, build_chain);
  engine_case column = {.in = {ENGINE_F32(7, 1, 33), ENGINE_F32(7, 5, 1), ENGINE_F32(5, 1)},
                        .in_count = 3,
                        .out_count = 3};
  engine_check("chain with columns", &column, build_chain);
  engine_case large = {.in = {ENGINE_F32(300, 1000), ENGINE_F32(1000), ENGINE_F32(300, 1000)},
                       .in_count = 3,
                       .out_count = 3};
  engine_check("large chain", &large, build_chain);
}

static void build_integers(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_div(in[0], in[1]);
  out[1] = mica_rem(mica_add(in[0], 100), mica_sub(in[1], 7));
  out[2] = mica_max(mica_mul(in[0], in[1]), mica_neg(in[0]));
  out[3] = mica_convert(mica_mul(in[0], in[0]), MICA_F32);
}
TEST(integers) {
  const mica_dtype dtypes[] = {MICA_I8, MICA_U8, MICA_I16, MICA_I32, MICA_U32, MICA_I64, MICA_F64};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    engine_case test = {.in = {{dtypes[i], MICA_DIMS(5, 41)}, {dtypes[i], MICA_DIMS(41)}},
                        .in_count = 2,
                        .out_count = 4};
    if (mica_dtype_is_float(dtypes[i])) {
      test.low = 1;
      test.high = 3;
    }
    engine_check(mica_dtype_name(dtypes[i]), &test, build_integers);
  }
}

static void build_halves(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_add(mica_mul(in[0], in[1]), 1);
  out[1] = mica_exp(mica_neg(in[0]));
  out[2] = mica_convert(in[0], MICA_F32);
  out[3] = mica_reduce_sum(in[0], MICA_AXES(1));
}
TEST(halves) {
  /* Groups keep f32 between their operators, so that results are at most a rounding apart. */
  const mica_dtype dtypes[] = {MICA_F16, MICA_BF16};
  for (size_t i = 0; i < 2; i++) {
    engine_case test = {.in = {{dtypes[i], MICA_DIMS(5, 41)}, {dtypes[i], MICA_DIMS(41)}},
                        .in_count = 2,
                        .out_count = 4,
                        .tolerance = i == 0 ? 0x1p-9 : 0x1p-6};
    engine_check(mica_dtype_name(dtypes[i]), &test, build_halves);
  }
}

/* ---- reductions ------------------------------------------------------------------------------- */

static void build_reductions(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value x = mica_mul(in[0], 0.5);
  out[0] = mica_reduce_sum(x, MICA_AXES(-1));
  out[1] = mica_reduce_mean(mica_square(x), MICA_AXES(0));
  out[2] = mica_reduce_max(x, MICA_ALL);
  out[3] = mica_sqrt(mica_reduce_sum(mica_square(x), MICA_AXES(0, 1)));
  out[4] = mica_reduce_min(x, MICA_AXES(1));
  out[5] = mica_sub(x, mica_reduce_mean(x, MICA_KEEP(1)));
}
TEST(reductions) {
  engine_case small = {.in = {ENGINE_F32(5, 6, 7)}, .in_count = 1, .out_count = 6};
  engine_check("reductions", &small, build_reductions);
  engine_case large = {.in = {ENGINE_F32(64, 50, 129)}, .in_count = 1, .out_count = 6};
  engine_check("large reductions", &large, build_reductions);
}

static void build_rows(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_softmax(in[0], -1);
  out[1] = mica_log_softmax(in[0], 0);
  out[2] = mica_layer_norm(in[0], in[1], in[2], 1e-5);
  out[3] = mica_softmax_cross_entropy(in[0], in[3]);
  mica_value loss = mica_reduce_mean(out[3], MICA_ALL);
  mica_value total = mica_add(loss, mica_reduce_sum(mica_square(out[2]), MICA_ALL));
  mica_gradients(total, in, 3, out + 4);
}
TEST(rows) {
  engine_case test = {
      .in = {ENGINE_F32(13, 37), ENGINE_F32(37), ENGINE_F32(37), {MICA_I32, MICA_DIMS(13)}},
      .in_count = 4,
      .out_count = 7,
      .integers = 37,
      .tolerance = 1e-4};
  engine_check("rows", &test, build_rows);
  engine_case large = {
      .in = {ENGINE_F32(260, 1000), ENGINE_F32(1000), ENGINE_F32(1000), {MICA_I32, MICA_DIMS(260)}},
      .in_count = 4,
      .out_count = 7,
      .integers = 1000,
      .tolerance = 1e-4};
  engine_check("large rows", &large, build_rows);
}

/* ---- views ------------------------------------------------------------------------------------ */

static void build_views(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value t = mica_transpose(in[0], MICA_AXES(2, 0, 1));
  out[0] = mica_add(t, 1);
  out[1] = mica_reshape(t, MICA_DIMS(-1));
  out[2] = mica_slice(in[0], "1:, ::2, 2:");
  out[3] = t;
  out[4] = mica_reverse(mica_mul(in[0], 2), MICA_AXES(0, 2));
  out[5] = mica_concatenate((mica_value[]){in[0], mica_neg(in[0])}, 2, 1);
  out[6] = mica_pad(in[0], mica_scalar(graph, MICA_F32, 3), (int64_t[]){1, 0, -1},
                    (int64_t[]){0, 2, 1}, (int64_t[]){0, 1, 0});
  out[7] = mica_broadcast_to(mica_slice(in[0], "0"), MICA_DIMS(2, 6, 7));
}
TEST(views) {
  engine_case test = {.in = {ENGINE_F32(5, 6, 7)}, .in_count = 1, .out_count = 8};
  engine_check("views", &test, build_views);
}

static void build_reshape_chain(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value x = mica_reshape(mica_mul(in[0], 2), MICA_DIMS(6, 35));
  mica_value y = mica_add(x, in[1]);
  out[0] = mica_reshape(mica_tanh(y), MICA_DIMS(2, 3, 5, 7));
  out[1] = mica_reduce_sum(mica_reshape(y, MICA_DIMS(6, 5, 7)), MICA_AXES(1));
}
TEST(reshapes_in_groups) {
  engine_case test = {.in = {ENGINE_F32(6, 5, 7), ENGINE_F32(35)}, .in_count = 2, .out_count = 2};
  engine_check("reshapes", &test, build_reshape_chain);
}

static void build_counters(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value i = mica_iota(graph, (mica_type){MICA_I32, MICA_DIMS(6, 9)}, 1);
  out[0] = mica_select(mica_less(i, 4), in[0], mica_convert(i, MICA_F32));
  out[1] = i;
  out[2] = mica_one_hot(in[1], 5, MICA_F32);
  out[3] = mica_mul(mica_convert(mica_transpose(i, MICA_ALL), MICA_F32), 0.5);
}
TEST(counters) {
  engine_case test = {.in = {ENGINE_F32(6, 9), {MICA_I32, MICA_DIMS(4)}},
                      .in_count = 2,
                      .out_count = 4,
                      .integers = 6};
  engine_check("counters", &test, build_counters);
}

/* ---- indexing --------------------------------------------------------------------------------- */

static void build_indexed(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_take(in[0], in[1], 0);
  out[1] = mica_take(in[0], in[1], 1);
  out[2] = mica_scatter_add(in[0], in[1], mica_mul(mica_take(in[0], in[1], 0), 0.5));
  out[3] = mica_scatter_set(in[0], in[1], mica_neg(mica_take(in[0], in[1], 0)));
  mica_gradients(mica_reduce_sum(mica_square(out[1]), MICA_ALL), in, 1, &out[4]);
  out[5] = mica_take_along_axis(in[0], in[2], 1);
  mica_gradients(mica_reduce_sum(mica_square(out[5]), MICA_ALL), in, 1, &out[6]);
}
TEST(indexing) {
  engine_case test = {
      .in = {ENGINE_F32(9, 12), {MICA_I32, MICA_DIMS(4, 5)}, {MICA_I32, MICA_DIMS(9, 3)}},
      .in_count = 3,
      .out_count = 7,
      .integers = 9};
  engine_check("indexing", &test, build_indexed);
  test.integers = 0; /* some are out of range */
  engine_check("clamped indexing", &test, build_indexed);
  engine_case large = {
      .in = {ENGINE_F32(700, 128), {MICA_I32, MICA_DIMS(40, 50)}, {MICA_I32, MICA_DIMS(700, 3)}},
      .in_count = 3,
      .out_count = 7,
      .integers = 128};
  engine_check("large indexing", &large, build_indexed);
}

static void build_places(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  for (int axis = 0; axis < 3; axis++) {
    out[axis] = mica_arg_max(in[0], axis);
    out[3 + axis] = mica_arg_min(in[0], axis);
  }
  mica_value nan = mica_div(mica_zeros_like(in[0]), mica_zeros_like(in[0]));
  mica_value holes = mica_select(mica_greater(mica_abs(in[0]), 1.7), nan, in[0]);
  out[6] = mica_arg_max(holes, 2);
  out[7] = mica_arg_min(holes, 1);
  out[8] = mica_arg_max(mica_round(in[0]), 2); /* ties */
  out[9] = mica_arg_min(mica_round(in[0]), 0);
}
TEST(places_of_extremes) {
  engine_case test = {.in = {ENGINE_F32(6, 40, 131)}, .in_count = 1, .out_count = 10};
  engine_check("places", &test, build_places);
  engine_case small = {.in = {ENGINE_F32(3, 5, 7)}, .in_count = 1, .out_count = 10};
  engine_check("places of few", &small, build_places);
}

static void build_random(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_random_bits(in[0], MICA_DIMS(7, 31));
  out[1] = mica_random_bits(in[0], MICA_DIMS(200, 301));
  out[2] = mica_random_uniform(in[0], (mica_type){MICA_F32, MICA_DIMS(1000)});
  out[3] = mica_convert(mica_random_bernoulli(in[0], 0.3, MICA_DIMS(50, 7)), MICA_I32);
  mica_value keys =
      mica_reshape(mica_concatenate((mica_value[]){in[0], mica_random_fold_number(in[0], 3)}, 2, 0),
                   MICA_DIMS(2, 2));
  mica_region each = mica_vmap_begin(graph, &keys, NULL, 1);
  mica_vmap_end(each, (mica_value[]){mica_random_bits(mica_argument(each, 0), MICA_DIMS(13))}, 1,
                &out[4]);
}
TEST(random_bits) {
  engine_case test = {
      .in = {{MICA_U32, MICA_DIMS(2)}}, .in_count = 1, .out_count = 5, .integers = 4000000000};
  engine_check("random bits", &test, build_random);
}

/* ---- products --------------------------------------------------------------------------------- */

static void build_products(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_matmul(in[0], in[1]);
  out[1] = mica_matmul(mica_transpose(in[1], MICA_AXES(0, 2, 1)),
                       mica_transpose(in[0], MICA_AXES(0, 2, 1)));
  out[2] =
      mica_dot_general(in[0], in[1], .x_contract = MICA_AXES(0, 2), .y_contract = MICA_AXES(0, 1));
  out[3] = mica_relu(mica_add(mica_matmul(in[0], mica_slice(in[1], "0")), in[2]));
  out[4] = mica_dot_general(in[0], in[0], .x_contract = MICA_AXES(1), .y_contract = MICA_AXES(1));
}
TEST(products) {
  engine_case test = {.in = {ENGINE_F32(3, 8, 19), ENGINE_F32(3, 19, 6), ENGINE_F32(6)},
                      .in_count = 3,
                      .out_count = 5};
  engine_check("products", &test, build_products);
  engine_case large = {.in = {ENGINE_F32(2, 130, 200), ENGINE_F32(2, 200, 150), ENGINE_F32(150)},
                       .in_count = 3,
                       .out_count = 5};
  engine_check("large products", &large, build_products);
}

static void build_narrow(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_matmul(in[0], in[1]);
  mica_dtype dtype = mica_dtype_of(in[0]), wide = mica_dtype_is_float(dtype) ? MICA_F32 : MICA_I32;
  bool widens = mica_dtype_bits(dtype) == 8 || dtype == MICA_F16 || dtype == MICA_BF16;
  out[1] =
      mica_dot_general(in[0], in[1], .x_contract = MICA_AXES(0, 2), .y_contract = MICA_AXES(0, 1),
                       .dtype = widens ? wide : MICA_DTYPE_NONE);
}
TEST(narrow_products) {
  const mica_dtype dtypes[] = {MICA_BF16, MICA_F16, MICA_I8, MICA_U8, MICA_I16, MICA_F64, MICA_U32};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    engine_case test = {.in = {{dtypes[i], MICA_DIMS(3, 8, 19)}, {dtypes[i], MICA_DIMS(3, 19, 6)}},
                        .in_count = 2,
                        .out_count = 2,
                        .integers = 100};
    if (dtypes[i] == MICA_BF16) test.tolerance = 0x1p-8;
    if (dtypes[i] == MICA_F16) test.tolerance = 0x1p-11;
    engine_check(mica_dtype_name(dtypes[i]), &test, build_narrow);
  }
}

static void build_pools(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_max_pool(in[0], .window = {2, 2});
  out[1] = mica_max_pool(in[0], .window = {3, 3}, .stride = {2, 2}, .padding = MICA_SAME);
  out[2] = mica_mean_pool(in[0], .window = {3, 2}, .stride = {2, 1}, .padding = MICA_SAME);
  out[3] =
      mica_reduce_window(in[0], .kind = MICA_WINDOW_MIN, .window = {1, 2, 2, 3},
                         .stride = {1, 1, 3, 1}, .window_dilation = {1, 2, 1, 1},
                         .base_dilation = {1, 2, 1, 1}, .low = {0, 1, -1, 2}, .high = {0, 2, 1, 0});
  for (int i = 0; i < 3; i++)
    mica_gradients(mica_reduce_sum(mica_mul(mica_square(out[i]), 0.3), MICA_ALL), in, 1,
                   &out[4 + i]);
}
TEST(pools) {
  engine_case test = {.in = {ENGINE_F32(3, 9, 8, 5)}, .in_count = 1, .out_count = 7};
  engine_check("pools", &test, build_pools);
  engine_case wide = {.in = {ENGINE_F32(6, 20, 23, 40)}, .in_count = 1, .out_count = 7};
  engine_check("wide pools", &wide, build_pools);
  engine_case ties = {
      .in = {ENGINE_F32(2, 8, 8, 17)}, .in_count = 1, .out_count = 7, .low = 0, .high = 1e-40};
  engine_check("pools of zeros", &ties, build_pools);
}

static void build_network(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value x = mica_relu(mica_add(mica_conv(in[0], in[1]), in[2]));
  x = mica_max_pool(x, .window = {2, 2});
  x = mica_relu(mica_conv(x, in[3], .stride = {2, 2}));
  x = mica_flatten(x, 1);
  mica_value logits = mica_add(mica_matmul(x, in[4]), in[5]);
  mica_value loss = mica_reduce_mean(mica_softmax_cross_entropy(logits, in[6]), MICA_ALL);
  out[0] = loss;
  mica_gradients(loss, in + 1, 5, out + 1);
}
TEST(networks) {
  engine_case test = {.in = {ENGINE_F32(4, 12, 12, 2),
                             ENGINE_F32(3, 3, 2, 8),
                             ENGINE_F32(8),
                             ENGINE_F32(3, 3, 8, 16),
                             ENGINE_F32(144, 10),
                             ENGINE_F32(10),
                             {MICA_I32, MICA_DIMS(4)}},
                      .in_count = 7,
                      .out_count = 6,
                      .low = -0.5,
                      .high = 0.5,
                      .integers = 10,
                      .tolerance = 1e-4};
  engine_check("network", &test, build_network);
}

TEST_MAIN(TEST_CASE(chains), TEST_CASE(integers), TEST_CASE(halves), TEST_CASE(reductions),
          TEST_CASE(rows), TEST_CASE(views), TEST_CASE(reshapes_in_groups), TEST_CASE(counters),
          TEST_CASE(indexing), TEST_CASE(places_of_extremes), TEST_CASE(random_bits),
          TEST_CASE(products), TEST_CASE(narrow_products), TEST_CASE(pools), TEST_CASE(networks))
