/* SPDX-License-Identifier: Apache-2.0 */
/* test_marks.c: marked values that fill many lines, and the search for what is not finite in every dtype. */
#include "backend/backend_internal.h"
#include "support.h"

#include <math.h>
#include <stdio.h>

typedef struct {
  char text[8192];
  int lines;
} heard;

static void listen(void *user, const char *line) {
  heard *h = user;
  snprintf(h->text, sizeof h->text, "%s", line);
  h->lines++;
}

static void build_marked(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = mica_mark(in[0], "weights");
}

/* As mica_tensor_format prints it, however long that is; on every backend. */
TEST(long_values_are_printed_whole) {
  float values[12 * 12];
  for (int i = 0; i < 12 * 12; i++) values[i] = (float)i / 8;
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(12, 12), values);
  char whole[8192], expected[8400];
  CHECK(mica_tensor_format(x, NULL, whole, sizeof whole) > 256);
  snprintf(expected, sizeof expected, "weights: %s", whole);
  static const char *const backends[] = {"reference", "cpu"};
  for (int i = 0; i < 2; i++) {
    heard h = {.lines = 0};
    mica_device_options options = {
        .struct_size = sizeof options, .backend = backends[i], .log = listen, .log_user = &h};
    mica_device *device = mica_device_open(&options, NULL);
    mica_tensor *y = NULL;
    CHECK_OK(mica_call_once(device, build_marked, NULL, &x, 1, &y, 1, NULL));
    CHECK_EQ_INT(h.lines, 1);
    CHECK_EQ_STR(h.text, expected);
    mica_tensor_release(y);
    mica_device_release(device);
  }
  mica_tensor_release(x);
}

/* Element 5 of 7 is bad, in the real or in the imaginary part, and in no dtype of integers. */
TEST(what_is_not_finite_is_found) {
  static const mica_dtype dtypes[] = {MICA_F16, MICA_BF16, MICA_F32,    MICA_F64,
                                      MICA_C64, MICA_C128, MICA_F8E5M2, MICA_F8E4M3FN};
  for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
    bool complex = mica_dtype_is_complex(dtypes[d]);
    mica_dtype part = dtypes[d] == MICA_C64    ? MICA_F32
                      : dtypes[d] == MICA_C128 ? MICA_F64
                                               : dtypes[d];
    int64_t count = complex ? 14 : 7;
    for (int64_t at = -1; at < count; at++)
      for (int kind = 0; kind < 3; kind++) {
        if (dtypes[d] == MICA_F8E4M3FN && kind > 0) continue; /* it has NaN only */
        double values[14];
        char bytes[14 * 8];
        for (int64_t i = 0; i < count; i++) values[i] = i % 2 == 0 ? 1.5 : -0.0;
        if (at >= 0) values[at] = kind == 0 ? (double)NAN : kind == 1 ? INFINITY : -INFINITY;
        CHECK_OK(mica_convert_elements(part, bytes, MICA_F64, values, count));
        CHECK_EQ_INT(mica_find_not_finite((mica_type){dtypes[d], MICA_DIMS(7)}, bytes), at);
      }
  }
  int32_t whole[2] = {-1, INT32_MAX};
  CHECK_EQ_INT(mica_find_not_finite((mica_type){MICA_I32, MICA_DIMS(2)}, whole), -1);
}

TEST_MAIN(TEST_CASE(long_values_are_printed_whole), TEST_CASE(what_is_not_finite_is_found))
