/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine_copies.c: copies between views that lie differently, against the reference backend, of elements
 * of every size: transposes small, odd, batched, and too large for the caches. */
#include "engine.h"

static void build_transposes(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_transpose(in[0], MICA_ALL);
  out[1] = mica_transpose(in[0], MICA_AXES(0, 2, 1));
  out[2] = mica_transpose(in[0], MICA_AXES(1, 0, 2));
  out[3] = mica_transpose(in[0], MICA_AXES(2, 0, 1));
  out[4] = mica_reverse(mica_transpose(in[0], MICA_ALL), MICA_AXES(1));
  out[5] = mica_transpose(mica_slice(in[0], "0:2, 1:11, 1:14"), MICA_ALL);
}
TEST(element_sizes) {
  const mica_dtype dtypes[] = {MICA_BOOL, MICA_I8,  MICA_BF16, MICA_F16, MICA_F32,
                               MICA_I32,  MICA_F64, MICA_I64,  MICA_C64, MICA_C128};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    engine_case test = {
        .in = {{dtypes[i], MICA_DIMS(2, 11, 14)}}, .in_count = 1, .out_count = 6, .integers = 100};
    engine_check(mica_dtype_name(dtypes[i]), &test, build_transposes);
    test.in[0].shape = MICA_DIMS(3, 33, 130);
    engine_check(mica_dtype_name(dtypes[i]), &test, build_transposes);
  }
}

static void build_large(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = mica_transpose(in[0], MICA_ALL);
}
/* Aligned rows are written past the caches, others are not; a few long rows, many short ones. */
TEST(large) {
  const struct {
    mica_dtype dtype;
    int64_t rows, columns;
  } cases[] = {{MICA_F32, 1040, 2064}, {MICA_F32, 1037, 2051}, {MICA_F64, 1100, 1040},
               {MICA_F32, 70000, 33},  {MICA_F32, 33, 70000},  {MICA_F32, 16, 140000},
               {MICA_BF16, 2080, 2060}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    engine_case test = {.in = {{cases[i].dtype, MICA_DIMS(cases[i].rows, cases[i].columns)}},
                        .in_count = 1,
                        .out_count = 1};
    engine_check("large", &test, build_large);
  }
}

TEST_MAIN(TEST_CASE(element_sizes), TEST_CASE(large))
