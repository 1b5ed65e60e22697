/* SPDX-License-Identifier: Apache-2.0 */
/* quickstart.c: a function and its gradient, compiled once and called. */
#include <stdio.h>

#include "mica/mica.h"

/* y = sum(tanh(x)^2) and dy/dx, for x [n] */
static void energy(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = mica_reduce_sum(mica_square(mica_tanh(in[0])), MICA_ALL);
  mica_gradients(out[0], in, 1, &out[1]);
}

int main(void) {
  mica_error error = {0};
  mica_device *device = mica_device_open(NULL, &error);
  mica_jit *f = mica_jit_create(device, energy, .inputs = 1, .outputs = 2);
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(3), (float[]){.1f, -.4f, .7f}), *y[2] = {0};
  float value, gradient[3];
  mica_status status = mica_jit_call(f, &x, 1, y, 2, &error);
  if (status == MICA_OK) status = mica_tensor_read(y[0], &value, sizeof value, &error);
  if (status == MICA_OK) status = mica_tensor_read(y[1], gradient, sizeof gradient, &error);
  if (status == MICA_OK)
    printf("y = %.5f, dy/dx = [%.5f, %.5f, %.5f]\n", value, gradient[0], gradient[1], gradient[2]);
  else
    fprintf(stderr, "%s\n", error.message);
  mica_tensor_release(y[0]), mica_tensor_release(y[1]), mica_tensor_release(x);
  mica_jit_destroy(f);
  mica_device_release(device);
  return status != MICA_OK;
}
