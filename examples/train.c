/* SPDX-License-Identifier: Apache-2.0 */
/* train.c: a network of 16 units learns y = sin(3 x) by gradient descent: variables, their gradients, and a
 * step that is compiled once. */
#include <math.h>
#include <stdio.h>

#include "mica/mica.h"

enum { POINTS = 64, UNITS = 16, PARAMETERS = 4, STEPS = 2000 };

/* in: x, y [points, 1]; out: the loss before the step. */
static void train(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_variable **cell = user;
  mica_value p[PARAMETERS], slope[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++) p[i] = mica_variable_read(graph, cell[i]);
  mica_value hidden = mica_tanh(mica_add(mica_matmul(in[0], p[0]), p[1])); /* [points, units] */
  mica_value guess = mica_add(mica_matmul(hidden, p[2]), p[3]);            /* [points, 1] */
  out[0] = mica_reduce_mean(mica_square(mica_sub(guess, in[1])), MICA_ALL);
  mica_gradients(out[0], p, PARAMETERS, slope);
  for (int i = 0; i < PARAMETERS; i++)
    mica_variable_assign(cell[i], mica_sub(p[i], mica_mul(slope[i], 0.1)));
}

int main(void) {
  float x[POINTS], y[POINTS], start[UNITS], loss = 0;
  for (int i = 0; i < POINTS; i++) x[i] = (float)i / 32 - 1, y[i] = sinf(3 * x[i]);
  for (int i = 0; i < UNITS; i++) start[i] = sinf((float)(5 * i + 1)); /* any numbers that differ */

  const char *name[PARAMETERS] = {"hidden/weights", "hidden/bias", "out/weights", "out/bias"};
  mica_shape shape[PARAMETERS] = {MICA_DIMS(1, UNITS), MICA_DIMS(UNITS), MICA_DIMS(UNITS, 1),
                                  MICA_DIMS(1)};
  mica_variable *cell[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++) {
    mica_tensor *first =
        mica_tensor_from(MICA_F32, shape[i], i % 2 == 0 ? start : NULL); /* NULL: zeros */
    cell[i] = mica_variable_create(name[i], first);
    mica_tensor_release(first);
  }

  mica_error error = {0};
  mica_device *device = mica_device_open(NULL, &error);
  mica_jit *step = mica_jit_create(device, train, .inputs = 2, .outputs = 1, .user = cell);
  mica_tensor *data[2] = {mica_tensor_from(MICA_F32, MICA_DIMS(POINTS, 1), x),
                          mica_tensor_from(MICA_F32, MICA_DIMS(POINTS, 1), y)};
  mica_tensor *out = NULL; /* made by the first call, overwritten by the others */
  mica_status status = MICA_OK;
  for (int i = 0; i <= STEPS && status == MICA_OK; i++) {
    status = mica_jit_call(step, data, 2, &out, 1, &error);
    if (status == MICA_OK) status = mica_tensor_read(out, &loss, sizeof loss, &error);
    if (status == MICA_OK && i % 500 == 0) printf("step %4d: loss %.4f\n", i, loss);
  }
  if (status != MICA_OK) fprintf(stderr, "%s\n", error.message);

  mica_tensor_release(out), mica_tensor_release(data[0]), mica_tensor_release(data[1]);
  mica_jit_destroy(step);
  for (int i = 0; i < PARAMETERS; i++) mica_variable_release(cell[i]);
  mica_device_release(device);
  return status != MICA_OK;
}
