/* SPDX-License-Identifier: Apache-2.0 */
/* pair.h: what a custom operator of the tests computes: y = x^2 w and z = x + 2 w (config "three": 3 w), element by
 * element, on two operands of one type, f64 or f32. */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H
#include <stdio.h>

#include "mica/custom.h"

static mica_status pair_infer(void *user, const mica_type *in, size_t in_count, const char *config,
                              mica_type *out, size_t out_count, mica_error *error) {
  (void)user, (void)config;
  if (in_count != 2 || out_count != 2 || !mica_type_equal(in[0], in[1])) {
    if (error) snprintf(error->message, sizeof error->message, "expected two operands of one type");
    return MICA_INVALID;
  }
  out[0] = in[0], out[1] = in[1];
  return MICA_OK;
}

static mica_status pair_run(void *user, const mica_custom_call *call, mica_error *error) {
  (void)user, (void)error;
  int64_t count = mica_shape_count(call->in_types[0].shape);
  double factor = *call->config == 't' ? 3 : 2;
  for (int64_t i = 0; i < count; i++) {
    if (call->in_types[0].dtype == MICA_F64) {
      const double *x = call->in[0], *w = call->in[1];
      double *y = call->out[0], *z = call->out[1];
      y[i] = x[i] * x[i] * w[i], z[i] = x[i] + factor * w[i];
    } else {
      const float *x = call->in[0], *w = call->in[1];
      float *y = call->out[0], *z = call->out[1];
      y[i] = x[i] * x[i] * w[i], z[i] = x[i] + (float)factor * w[i];
    }
  }
  return MICA_OK;
}

static void pair_gradient(void *user, const char *config, const mica_value *in, size_t in_count,
                          const mica_value *out, const mica_value *cotangent, size_t out_count,
                          mica_value *in_cotangent) {
  (void)user, (void)in_count, (void)out, (void)out_count;
  mica_value x = in[0], w = in[1], dy = cotangent[0], dz = cotangent[1];
  in_cotangent[0] = mica_add(mica_mul(mica_mul(mica_mul(x, 2), w), dy), dz);
  in_cotangent[1] =
      mica_add(mica_mul(mica_square(x), dy), mica_mul(dz, *config == 't' ? 3.0 : 2.0));
}

static void pair_tangent(void *user, const char *config, const mica_value *in,
                         const mica_value *in_tangent, size_t in_count, const mica_value *out,
                         size_t out_count, mica_value *out_tangent) {
  (void)user, (void)in_count, (void)out, (void)out_count;
  mica_value x = in[0], w = in[1], dx = in_tangent[0], dw = in_tangent[1];
  out_tangent[0] =
      mica_add(mica_mul(mica_mul(mica_mul(x, 2), w), dx), mica_mul(mica_square(x), dw));
  out_tangent[1] = mica_add(dx, mica_mul(dw, *config == 't' ? 3.0 : 2.0));
}

#endif
