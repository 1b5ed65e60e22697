/* SPDX-License-Identifier: Apache-2.0 */
/* Which memory a step reads and writes: operands that are one array, so that no result may lie over it, and
 * counters that are in no memory until a view cannot be followed. */
#include "unit/backend/cpu/engine.h"

/* The first `count` elements of x, as one axis. */
static mica_value head_of(mica_value x, int64_t count) {
  int64_t all = mica_shape_count(mica_shape_of(x));
  return mica_slice_axis(mica_reshape(x, MICA_DIMS(all)), 0, 0, count, 1);
}

static void build_norm_of_itself(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value x = mica_tanh(in[0]), row = head_of(x, mica_dim_of(x, 1));
  mica_value operands[3] = {x, row, x};
  out[0] = mica_build_operator(graph, "layer_norm_gradient", operands, 3, "epsilon=0.01");
  x = mica_sin(in[0]);
  out[1] = mica_layer_norm(x, head_of(x, mica_dim_of(x, 1)), (mica_value){0}, 0.01);
}
static void build_entropy_of_itself(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value x = mica_tanh(in[0]);
  mica_value operands[3] = {x, in[1], head_of(x, mica_dim_of(x, 0))};
  out[0] = mica_build_operator(graph, "softmax_cross_entropy_gradient", operands, 3, NULL);
}
TEST(rows_whose_operands_are_one_array) {
  const int64_t shapes[][2] = {{2, 2}, {3, 5}, {40, 33}, {300, 64}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const int64_t rows = shapes[i][0], length = shapes[i][1];
    engine_case test = {.in = {ENGINE_F32(rows, length), {MICA_I32, MICA_DIMS(rows)}},
                        .in_count = 2,
                        .out_count = 2,
                        .integers = length};
    engine_check("layer_norm", &test, build_norm_of_itself);
    test.out_count = 1;
    engine_check("cross entropy", &test, build_entropy_of_itself);
  }
}

/* The group that finishes a product reads the product's own factor. */
static void build_product_and_factor(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value x = mica_tanh(in[0]);
  out[0] = mica_sin(mica_add(mica_mul(mica_matmul(x, in[0]), 0.01), x));
  x = mica_tanh(in[0]);
  out[1] = mica_sin(mica_sub(mica_mul(mica_matmul(in[0], x), 0.01), x));
}
TEST(products_and_their_factors) {
  const int64_t sizes[] = {3, 64, 200};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    engine_case test = {.in = {ENGINE_F32(sizes[i], sizes[i])}, .in_count = 1, .out_count = 2};
    engine_check("product", &test, build_product_and_factor);
  }
}

/* A reshape that joins the counted axis with another one is no affine view of the counter. */
static void build_counters(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value counter = mica_iota(graph, mica_type_of(in[0]), 0);
  out[0] = mica_mul(head_of(counter, 3), 0.0625);
  counter = mica_iota(graph, mica_type_of(in[0]), 1);
  out[1] = mica_add(mica_exp(mica_mul(counter, 0.0625)), in[0]);
  out[2] = mica_mul(mica_transpose(mica_reshape(counter, MICA_DIMS(3, 4)), MICA_AXES(1, 0)), 0.5);
  out[3] = mica_softmax(mica_broadcast_to(mica_mul(head_of(counter, 1), 2), MICA_DIMS(2, 1)), 1);
}
TEST(counters_behind_views) {
  engine_case test = {.in = {{MICA_F64, MICA_DIMS(2, 6)}}, .in_count = 1, .out_count = 4};
  engine_check("f64", &test, build_counters);
  test.in[0].dtype = MICA_F32;
  engine_check("f32", &test, build_counters);
}

/* Carries that the condition computes with and the body does not read come out as they are. */
static void build_condition(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value half = mica_mul(in[0], 0.5), last = mica_scalar(graph, MICA_I32, 0);
  mica_value start[3] = {mica_scalar(graph, MICA_I32, 0), half, mica_mul(in[0], 0.5)}, end[3];
  mica_region loop = mica_while_begin(graph, start, 3, 4);
  mica_value i = mica_argument(loop, 0), a = mica_argument(loop, 1), b = mica_argument(loop, 2);
  mica_value operands[3] = {mica_add(mica_abs(b), 0.25), mica_add(mica_abs(a), 0.25),
                            mica_add(mica_mul(mica_logistic(b), 0.75), 0.125)};
  mica_value slope = mica_build_operator(graph, "betainc_slope", operands, 3, "parameter=0");
  mica_while_body(loop, mica_and(mica_less(i, last), mica_greater(slope, 0)));
  mica_value other = mica_neg(mica_argument(loop, 2));
  mica_while_end(loop,
                 (mica_value[]){mica_add(mica_argument(loop, 0), 1), mica_mul(other, 0.5),
                                mica_mul(other, 0.5)},
                 end);
  out[0] = end[2], out[1] = end[1];
}
TEST(carries_that_the_condition_reads) {
  engine_case test = {.in = {{MICA_F64, MICA_SCALAR}}, .in_count = 1, .out_count = 2};
  engine_check("f64", &test, build_condition);
}

TEST_MAIN(TEST_CASE(carries_that_the_condition_reads), TEST_CASE(rows_whose_operands_are_one_array),
          TEST_CASE(products_and_their_factors), TEST_CASE(counters_behind_views))
