/* SPDX-License-Identifier: Apache-2.0 */
/* Normalizations over rows that run whole, against the reference: shapes around a vector's and a task's,
 * operands that are views, what is done to their results, and when a tile program is the better choice. */
#include "unit/backend/cpu/engine.h"

static void build_forward(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_softmax(in[0], -1);
  out[1] = mica_log_softmax(in[0], -1);
  out[2] = mica_layer_norm(in[0], in[1], in[2], 1e-5);
  out[3] = mica_softmax_cross_entropy(in[0], in[3]);
}
TEST(forward) {
  const int64_t shapes[][2] = {{1, 1},   {1, 5},     {7, 1},    {3, 16},   {5, 33},
                               {64, 10}, {17, 1025}, {300, 64}, {9, 4099}, {20, 70000}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const int64_t rows = shapes[i][0], length = shapes[i][1];
    engine_case test = {.in = {ENGINE_F32(rows, length),
                               ENGINE_F32(length),
                               ENGINE_F32(length),
                               {i % 2 == 0 ? MICA_I32 : MICA_I64, MICA_DIMS(rows)}},
                        .in_count = 4,
                        .out_count = 4,
                        .integers = length + 1}; /* some labels are no class */
    char name[64];
    snprintf(name, sizeof name, "rows [%d, %d]", (int)rows, (int)length);
    engine_check(name, &test, build_forward);
    CHECK_EQ_INT(engine_count_steps(&test, build_forward, NULL), 4);
    CHECK_EQ_INT(engine_count_steps(&test, build_forward, "softmax f32"), 1);
    CHECK_EQ_INT(engine_count_steps(&test, build_forward, "log_softmax"), 1);
    CHECK_EQ_INT(engine_count_steps(&test, build_forward, "layer_norm"), 1);
    CHECK_EQ_INT(engine_count_steps(&test, build_forward, "softmax_cross_entropy"), 1);
  }
}

static void build_gradients(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value y = mica_layer_norm(in[0], in[1], in[2], 1e-5);
  mica_value loss = mica_softmax_cross_entropy(in[0], in[3]), cotangents[2] = {in[4], in[5]};
  mica_vjp(&y, cotangents, 1, in, 3, out);
  mica_vjp(&loss, cotangents + 1, 1, in, 1, out + 3);
  mica_gradients(mica_reduce_mean(loss, MICA_ALL), in, 1, out + 4);
}
static void build_gradient_of_x(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value y = mica_layer_norm(in[0], (mica_value){0}, in[2], 0.1);
  mica_vjp(&y, in + 4, 1, in, 1, out);
}
TEST(gradients) {
  const int64_t shapes[][2] = {{1, 1},   {1, 5},     {7, 1},    {3, 16},    {5, 33},
                               {64, 10}, {17, 1025}, {2000, 6}, {40, 4099}, {20, 70000}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const int64_t rows = shapes[i][0], length = shapes[i][1];
    engine_case test = {.in = {ENGINE_F32(rows, length),
                               ENGINE_F32(length),
                               ENGINE_F32(length),
                               {i % 2 == 0 ? MICA_I64 : MICA_I32, MICA_DIMS(rows)},
                               ENGINE_F32(rows, length),
                               ENGINE_F32(rows)},
                        .in_count = 6,
                        .out_count = 5,
                        .integers = length + 1,
                        .tolerance = length == 1 ? 1 : 1e-4}; /* the variance of one is 0 */
    char name[64];
    snprintf(name, sizeof name, "gradients [%d, %d]", (int)rows, (int)length);
    engine_check(name, &test, build_gradients);
    CHECK_EQ_INT(engine_count_steps(&test, build_gradients, "layer_norm_gradient"), 1);
    CHECK_EQ_INT(engine_count_steps(&test, build_gradients, "softmax_cross_entropy_gradient"), 2);
    CHECK_EQ_INT(engine_count_steps(&test, build_gradients, NULL), 3);
    test.out_count = 1;
    engine_check(name, &test, build_gradient_of_x);
    CHECK_EQ_INT(engine_count_steps(&test, build_gradient_of_x, NULL), 1);
  }
}

/* A residual block: the gradient of x joins on the rows. In the other one what joins needs a sum over all
 * rows first, so that it has to wait. */
static void build_residual(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value y = mica_layer_norm(in[0], in[1], in[2], 1e-5), d[3];
  mica_vjp(&y, in + 3, 1, in, 3, d);
  out[0] = mica_add(d[0], in[3]);
  out[1] = d[1];
}
static void build_waiting(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value y = mica_layer_norm(in[0], in[1], in[2], 1e-5), d[3];
  mica_vjp(&y, in + 3, 1, in, 3, d);
  out[0] = mica_mul(mica_add(d[0], in[3]), d[1]);
  out[1] = mica_sub(mica_mul(d[0], in[0]), mica_reduce_sum(mica_square(d[2]), MICA_ALL));
}
TEST(finished_gradients) {
  engine_case test = {
      .in = {ENGINE_F32(50, 70), ENGINE_F32(70), ENGINE_F32(70), ENGINE_F32(50, 70)},
      .in_count = 4,
      .out_count = 2,
      .tolerance = 1e-4,
      .donate = 8};
  engine_check("residual", &test, build_residual);
  CHECK_EQ_INT(engine_count_steps(&test, build_residual, NULL), 1);
  engine_check("waiting", &test, build_waiting);
}

/* Results that go around the caches. */
static void build_large(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_softmax(in[0], -1);
  out[1] = mica_log_softmax(in[0], -1);
  out[2] = mica_layer_norm(in[0], (mica_value){0}, (mica_value){0}, 1e-3);
}
TEST(large) {
  engine_case test = {.in = {ENGINE_F32(1100, 2048)}, .in_count = 1, .out_count = 3};
  engine_check("large", &test, build_large);
  engine_case odd = {.in = {ENGINE_F32(451, 5001)}, .in_count = 1, .out_count = 3};
  engine_check("large, odd", &odd, build_large);
}

/* Other axes, dtypes and empty arrays stay with the general ways. */
static void build_others(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_softmax(in[0], 0);
  out[1] = mica_log_softmax(in[0], 1);
  out[2] = mica_convert(mica_softmax(in[1], -1), MICA_F32);
  out[3] = mica_softmax(in[2], -1);
  out[4] = mica_softmax(mica_transpose(in[0], MICA_AXES(2, 0, 1)), -1); /* a copy, then rows */
  out[5] = mica_layer_norm(mica_slice(in[0], "1:, ::2"), in[3], mica_mul(in[3], 0), 0.1);
  out[6] = mica_softmax(mica_broadcast_to(in[3], MICA_DIMS(3, 6)), -1);
}
TEST(others) {
  engine_case test = {
      .in = {ENGINE_F32(4, 5, 6), {MICA_F16, MICA_DIMS(3, 9)}, ENGINE_F32(0, 4), ENGINE_F32(6)},
      .in_count = 4,
      .out_count = 7,
      .tolerance = 1e-3};
  engine_check("others", &test, build_others);
}

/* What is computed element by element from the result runs on the rows, in their memory; also when it reads
 * the operand or the result itself is wanted. */
static void build_finished(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value p = mica_softmax(in[0], -1), n = mica_layer_norm(in[0], in[1], in[2], 1e-5);
  out[0] = mica_add(mica_mul(p, in[0]), in[1]);
  out[1] = mica_relu(mica_add(n, in[0]));
  out[2] = mica_convert(mica_mul(mica_log_softmax(in[0], -1), 2), MICA_F16);
  out[3] = mica_add(mica_softmax(mica_stop_gradient(in[3]), -1), in[3]);
}
static void build_finished_and_kept(mica_graph *graph, const mica_value *in, mica_value *out) {
  build_finished(graph, in, out);
  out[4] = mica_softmax(in[0], 1);
  out[5] = mica_tanh(out[4]);
}
TEST(finished) {
  engine_case test = {
      .in = {ENGINE_F32(70, 130), ENGINE_F32(130), ENGINE_F32(130), ENGINE_F32(9, 3, 40)},
      .in_count = 4,
      .out_count = 4,
      .tolerance = 1e-3,
      .donate = 8};
  engine_check("finished", &test, build_finished);
  CHECK_EQ_INT(engine_count_steps(&test, build_finished, NULL), 4);
  test.out_count = 6;
  engine_check("finished and kept", &test, build_finished_and_kept);
  CHECK_EQ_INT(engine_count_steps(&test, build_finished_and_kept, NULL), 5);
}

/* A tile program makes the operand as it goes, and goes on with reductions; products make it on blocks. */
static void build_operand_made(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_softmax(mica_mul(in[0], 2), -1);
}
static void build_reduced(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value t = mica_mul(mica_log_softmax(in[0], -1), in[1]);
  out[0] = mica_neg(mica_reduce_sum(t, MICA_AXES(-1)));
}
static void build_behind_product(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value scores = mica_mul(mica_matmul(in[0], mica_transpose(in[1], MICA_AXES(1, 0))), 0.125);
  out[0] = mica_softmax(scores, -1);
}
TEST(choices) {
  engine_case test = {
      .in = {ENGINE_F32(64, 100), ENGINE_F32(64, 100)}, .in_count = 2, .out_count = 1};
  engine_check("operand made", &test, build_operand_made);
  CHECK_EQ_INT(engine_count_steps(&test, build_operand_made, NULL), 1);
  engine_check("reduced", &test, build_reduced);
  CHECK_EQ_INT(engine_count_steps(&test, build_reduced, NULL), 1);
  engine_check("behind a product", &test, build_behind_product);
  CHECK_EQ_INT(engine_count_steps(&test, build_behind_product, NULL), 2);
  CHECK_EQ_INT(engine_count_steps(&test, build_behind_product, "softmax"), 1);
}

/* Rows with infinities and NaN. */
static void build_special(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)in;
  const float x[4][5] = {{0, -INFINITY, 1, 2, -INFINITY},
                         {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY},
                         {0, NAN, 1, 2, 3},
                         {1e30F, -1e30F, 3e38F, 0, INFINITY}};
  mica_tensor *tensor = mica_tensor_from(MICA_F32, MICA_DIMS(4, 5), x);
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  value = mica_add(value, in[0]); /* so that nothing is folded */
  out[3] = value;
  out[0] = mica_softmax(value, -1);
  out[1] = mica_log_softmax(value, -1);
  out[2] = mica_layer_norm(value, (mica_value){0}, (mica_value){0}, 0);
}
TEST(special) {
  engine_case test = {
      .in = {ENGINE_F32(4, 5)}, .in_count = 1, .out_count = 4, .low = 0, .high = 1e-30};
  engine_check("special values", &test, build_special);
}

/* What works on a kept result must leave it alone, products' results too. */
static void build_kept(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value y = mica_matmul(in[0], in[1]), n = mica_layer_norm(in[0], in[2], in[2], 1e-5);
  out[0] = y;
  out[1] = mica_mul(y, 2);
  out[2] = n;
  out[3] = mica_mul(n, 2);
  out[4] = mica_reduce_sum(mica_square(mica_mul(n, 2)), MICA_AXES(0));
}
TEST(kept_results) {
  for (int64_t n = 40; n < 3000; n *= 5) {
    engine_case test = {.in = {ENGINE_F32(50, n), ENGINE_F32(n, 300), ENGINE_F32(n)},
                        .in_count = 3,
                        .out_count = 5,
                        .tolerance = 1e-4};
    engine_check("kept results", &test, build_kept);
  }
}

TEST_MAIN(TEST_CASE(kept_results), TEST_CASE(forward), TEST_CASE(gradients),
          TEST_CASE(finished_gradients), TEST_CASE(large), TEST_CASE(others), TEST_CASE(finished),
          TEST_CASE(choices), TEST_CASE(special))
