/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions and windows of f16 and bf16: computed by the kernels of f32, against the reference. */
#include "unit/backend/cpu/engine.h"

static void build_layers(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  mica_value y = mica_conv(in[0], in[1], .stride = {2, 1}, .padding = MICA_SAME);
  out[0] = y;
  out[1] = mica_max_pool(in[0], .window = {2, 2});
  out[2] = mica_mean_pool(in[0], .window = {3, 3}, .stride = {2, 2}, .padding = MICA_SAME);
  out[3] = mica_conv(in[0], in[2], .groups = 2, .dilation = {2, 2});
  mica_vjp(&y, &in[3], 1, in, 2, out + 4);
  mica_vjp(out + 1, &in[4], 1, in, 1, out + 6);
}

static engine_case layers_case(mica_dtype dtype) {
  return (engine_case){.in = {{dtype, MICA_DIMS(3, 9, 8, 4)},
                              {dtype, MICA_DIMS(3, 3, 4, 6)},
                              {dtype, MICA_DIMS(2, 2, 2, 8)},
                              {dtype, MICA_DIMS(3, 5, 8, 6)},
                              {dtype, MICA_DIMS(3, 4, 4, 4)}},
                       .in_count = 5,
                       .out_count = 7,
                       .tolerance = dtype == MICA_F16 ? 0x1p-10 : 0x1p-7};
}

TEST(layers) {
  engine_case f16 = layers_case(MICA_F16), bf16 = layers_case(MICA_BF16);
  engine_check("f16", &f16, build_layers);
  engine_check("bf16", &bf16, build_layers);
}

TEST(no_step_of_halves) {
  static const mica_dtype dtypes[] = {MICA_F16, MICA_BF16};
  static const char *const operators[] = {"convolution", "reduce_window", "select_and_scatter"};
  for (int i = 0; i < 2; i++) {
    engine_case test = layers_case(dtypes[i]);
    for (int k = 0; k < 3; k++) {
      char label[64];
      snprintf(label, sizeof label, "%s %s", operators[k], mica_dtype_name(dtypes[i]));
      CHECK_EQ_INT(engine_count_steps(&test, build_layers, label), 0);
    }
    CHECK_EQ_INT(engine_count_steps(&test, build_layers, "convolution f32"), 2);
    CHECK_EQ_INT(engine_count_steps(&test, build_layers, "convolution_backward_data f32"), 1);
    CHECK_EQ_INT(engine_count_steps(&test, build_layers, "convolution_backward_kernel f32"), 1);
  }
}

/* A convolution of whole numbers is exact in f16 up to 2048 only when sums are not rounded on the way. */
static void build_sum(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_conv(in[0], in[1], .padding = MICA_VALID);
}
static void build_products_alone(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_reduce_window(in[0], .kind = MICA_WINDOW_PROD, .window = {1, 2, 2, 1});
}
TEST(sums_are_rounded_once) {
  engine_case test = {
      .in = {{MICA_F16, MICA_DIMS(1, 8, 8, 16)}, {MICA_F16, MICA_DIMS(8, 8, 16, 1)}},
      .in_count = 2,
      .out_count = 1,
      .low = 0.99,
      .high = 1.01,
      .tolerance = 0x1p-11};
  engine_check("sum of 1024 products", &test, build_sum);
  engine_case windows = {.in = {{MICA_BF16, MICA_DIMS(2, 6, 6, 3)}},
                         .in_count = 1,
                         .out_count = 1,
                         .tolerance = 0x1p-7};
  engine_check("products of a window", &windows, build_products_alone);
}

TEST_MAIN(TEST_CASE(layers), TEST_CASE(no_step_of_halves), TEST_CASE(sums_are_rounded_once))
