/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine_constants.c: what depends on constants alone is computed by compiling: against the reference
 * backend, with the choice of what is kept, its bound, and what a search for NaN still sees. */
#include "engine.h"

static mica_value counter(mica_graph *graph, int64_t rows, int64_t columns, int32_t axis) {
  return mica_convert(mica_iota(graph, (mica_type){MICA_I32, MICA_DIMS(rows, columns)}, axis),
                      MICA_F32);
}

/* Sine positions [rows, columns], dear; a causal mask [rows, columns], cheap. */
static mica_value positions(mica_graph *graph, int64_t rows, int64_t columns) {
  mica_value rate = mica_exp(mica_mul(counter(graph, rows, columns, 1), -0.1));
  return mica_sin(mica_mul(counter(graph, rows, columns, 0), rate));
}
static mica_value mask(mica_graph *graph, int64_t rows, int64_t columns) {
  return mica_less_equal(counter(graph, rows, columns, 1), counter(graph, rows, columns, 0));
}

static void build_tables(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value table = positions(graph, 70, 90);
  out[0] = mica_add(in[0], table);
  out[1] = table;
  out[2] = mica_matmul(in[0], mica_transpose(mica_cos(table), MICA_ALL));
  out[3] = mica_select(mask(graph, 70, 90), in[0], mica_full_like(in[0], -1e9));
  out[4] = mica_take(
      in[0],
      mica_convert(mica_floor(mica_mul(mica_square(mica_reduce_mean(table, MICA_AXES(1))), 60)),
                   MICA_I32),
      0);
  /* A product of constants, seen through views only. */
  mica_value square = mica_matmul(table, mica_transpose(table, MICA_ALL));
  out[5] = mica_mul(mica_reduce_sum(in[0], MICA_ALL), mica_reshape(square, MICA_DIMS(10, 490)));
  out[6] = mica_random_uniform(mica_random_key(graph, 7), (mica_type){MICA_F32, MICA_DIMS(5000)});
  out[7] = mica_add(
      mica_random_uniform(mica_random_key(graph, 7), (mica_type){MICA_F32, MICA_DIMS(5000)}),
      mica_reduce_sum(in[0], MICA_ALL));
  /* Inside of a loop, and what it captures. */
  mica_value start = mica_mul(in[0], 1e-3);
  mica_region loop = mica_scan_begin_count(graph, &start, 1, NULL, 0, 3, false);
  mica_value next = mica_add(mica_mul(mica_argument(loop, 0), positions(graph, 70, 90)), table);
  mica_scan_end(loop, &next, NULL, 0, &out[8], NULL);
  mica_gradients(mica_reduce_sum(mica_square(out[0]), MICA_ALL), in, 1, &out[9]);
}
TEST(values) {
  engine_case test = {.in = {ENGINE_F32(70, 90)}, .in_count = 1, .out_count = 10};
  engine_check("tables", &test, build_tables);
}

static const mica_dtype widths[] = {MICA_BOOL, MICA_I4, MICA_I8, MICA_BF16, MICA_F64, MICA_C64};
enum { WIDTHS = sizeof widths / sizeof widths[0] };

static void build_widths(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value count = mica_iota(graph, (mica_type){MICA_I32, MICA_DIMS(33)}, 0);
  mica_value wave = mica_mul(mica_sin(mica_convert(count, MICA_F32)), 5);
  for (int i = 0; i < WIDTHS; i++) out[i] = mica_convert(wave, widths[i]);
  out[WIDTHS] = mica_add(in[0], 1);
}
TEST(element_sizes) {
  engine_case test = {.in = {ENGINE_F32(3)}, .in_count = 1, .out_count = WIDTHS + 1};
  engine_check("element sizes", &test, build_widths);
}

/* Text of the program that `build` gives on `in`, in `text`. */
static void describe(engine_build *build, const engine_case *test, char *text, size_t size) {
  mica_device *device = engine_device(&mica_backend_cpu, 1);
  mica_executable *executable = engine_compile(device, test, build);
  text[0] = '\0';
  if (executable != NULL) mica_executable_format(executable, text, size);
  mica_executable_release(executable);
  mica_device_release(device);
}

static void build_dear(mica_graph *graph, const mica_value *in, mica_value *out) {
  out[0] = mica_add(in[0], positions(graph, 300, 400));
}
static void build_cheap(mica_graph *graph, const mica_value *in, mica_value *out) {
  out[0] = mica_select(mask(graph, 300, 400), in[0], mica_full_like(in[0], -1e9));
}
/* 17 million elements. */
static void build_huge(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value side = mica_reshape(mica_slice(positions(graph, 1, 4200), ":, :"), MICA_DIMS(4200, 1));
  out[0] = mica_mul(mica_matmul(side, mica_reshape(side, MICA_DIMS(1, 4200))), in[0]);
}
TEST(choices) {
  char text[8192];
  engine_case test = {.in = {ENGINE_F32(300, 400)}, .in_count = 1, .out_count = 1};
  describe(build_dear, &test, text, sizeof(text));
  CHECK_STR_CONTAINS(text, "480000 bytes of constants, computed when compiled");
  CHECK_STR_CONTAINS(text, "1 steps");
  describe(build_cheap, &test, text, sizeof(text));
  CHECK(strstr(text, "of constants") == NULL);
  CHECK_STR_CONTAINS(text, "1 steps");
  engine_case scalar = {.in = {ENGINE_SCALAR(MICA_F32)}, .in_count = 1, .out_count = 1};
  describe(build_huge, &scalar, text, sizeof(text));
  CHECK_STR_CONTAINS(text, "16800 bytes of constants"); /* the factors, not the product */
}

/* 0 / 0 of constants is a call's error where somebody looks for it, and a value elsewhere. */
static void build_nan(mica_graph *graph, const mica_value *in, mica_value *out) {
  mica_value zero = mica_mul(mica_sin(mica_scalar(graph, MICA_F32, 0)), 2);
  out[0] = mica_add(in[0], mica_div(zero, zero));
}
TEST(nan_is_still_found) {
  engine_case test = {.in = {ENGINE_SCALAR(MICA_F32)}, .in_count = 1, .out_count = 1};
  for (int find = 0; find < 2; find++) {
    mica_device_options options = {
        .struct_size = sizeof(options), .threads = 1, .find_nan = find == 1};
    mica_error error = {0};
    mica_device *device = mica_device_open_with(&mica_backend_cpu, NULL, &options, &error);
    mica_executable *executable = engine_compile(device, &test, build_nan);
    mica_tensor *in = mica_tensor_scalar(MICA_F32, 1), *out = NULL;
    mica_status status = mica_executable_run(executable, &in, 1, &out, 1, &error);
    if (find == 1) {
      CHECK(status != MICA_OK);
      CHECK_STR_CONTAINS(error.message, "div");
    } else {
      CHECK_OK_ERROR(status, &error);
    }
    mica_tensor_release(in);
    mica_tensor_release(out);
    mica_executable_release(executable);
    mica_device_release(device);
  }
}

TEST_MAIN(TEST_CASE(values), TEST_CASE(element_sizes), TEST_CASE(choices),
          TEST_CASE(nan_is_still_found))
