/* SPDX-License-Identifier: Apache-2.0 */
/* What XLA's CPU plugins do with denormals, measured: arithmetic takes them for zeros and gives zeros for them, in f32,
 * f64 and bf16 (docs/xla.md says so); what only moves values keeps them; f16 is computed in f32 and has its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"

enum { RESULTS = 5 };

static void arithmetic(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = mica_mul(in[0], in[1]);
  out[1] = mica_add(in[0], mica_mul(in[1], 0));
  out[2] = mica_reduce_sum(in[0], MICA_ALL);
  out[3] = mica_sqrt(in[0]);
  out[4] = mica_reverse(in[0], MICA_ALL);
}

TEST(arithmetic_flushes_and_moves_keep) {
  static const struct {
    mica_dtype dtype;
    double x, y;
    bool flushed;
  } rows[] = {{MICA_F32, 0x1p-140, 1, true},   {MICA_F32, 0x1p-126, .5, true},
              {MICA_F64, 0x1p-1070, 1, true},  {MICA_F64, 0x1p-1022, .5, true},
              {MICA_BF16, 0x1p-130, 1, true},  {MICA_F16, 0x1p-20, .5, false},
              {MICA_F32, 0x1p-125, .5, false}, {MICA_F64, 0x1p-1021, .5, false}};
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "xla:cpu"},
      &error);
  if (device == NULL) {
    CHECK_SKIP(error.message);
    return;
  }
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    bool denormal_in = rows[i].flushed && rows[i].y == 1;
    mica_tensor *in[2], *out[RESULTS] = {NULL};
    double x[2] = {rows[i].x, rows[i].x}, y[2] = {rows[i].y, rows[i].y}, value[2];
    in[0] = mica_tensor_from_doubles(rows[i].dtype, MICA_DIMS(2), x);
    in[1] = mica_tensor_from_doubles(rows[i].dtype, MICA_DIMS(2), y);
    mica_jit *jit = mica_jit_create(device, arithmetic, .inputs = 2, .outputs = RESULTS);
    if (CHECK_OK_ERROR(mica_jit_call(jit, in, 2, out, RESULTS, &error), &error)) {
      for (int k = 0; k < RESULTS; k++) {
        int64_t count = mica_shape_count(mica_tensor_type(out[k]).shape);
        CHECK_OK(mica_tensor_read_doubles(out[k], value, count, NULL));
        bool zero = k == 0 ? rows[i].flushed : k < 4 && denormal_in;
        if ((value[0] == 0) != zero)
          CHECK_FAIL("%s: row %zu, result %d is %g", mica_dtype_name(rows[i].dtype), i, k,
                     value[0]);
      }
    }
    mica_jit_destroy(jit);
    for (int k = 0; k < RESULTS; k++) mica_tensor_release(out[k]);
    mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  }
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(arithmetic_flushes_and_moves_keep))
