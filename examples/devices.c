/* SPDX-License-Identifier: Apache-2.0 */
/* Two layers on four devices, the batch cut in two and the layers in two: each device computes with its rows of x and its
 * columns and rows of the weights. The gradient goes through the region like through anything else.
 *
 *     cc examples/devices.c -lmica -lm -lpthread */
#include <stdio.h>

#include "mica/mica.h"

/* x [batch, in] "data, -", v [in, hidden] "-, model", w [hidden, out] "model, -" -> loss [] */
static mica_value parallel_loss(mica_mesh *mesh, const mica_value *in) {
  mica_region region = mica_manual_begin(
      NULL, mesh, in, (const char *const[]){"data, -", "-, model", "model, -"}, 3);
  mica_value hidden = mica_tanh(mica_matmul(mica_argument(region, 0), mica_argument(region, 1)));
  mica_value y = mica_all_reduce_sum(mica_matmul(hidden, mica_argument(region, 2)), "model");
  mica_value loss = mica_all_reduce_mean(mica_reduce_mean(mica_square(y), MICA_ALL), "data");
  mica_manual_end(region, &loss, NULL, 1, &loss);
  return loss;
}

static void build(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph;
  out[0] = parallel_loss(user, in);
  mica_gradients(out[0], in + 1, 2, out + 1);
}

/* The same on one device. */
static void build_alone(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  mica_value y = mica_matmul(mica_tanh(mica_matmul(in[0], in[1])), in[2]);
  out[0] = mica_reduce_mean(mica_square(y), MICA_ALL);
  mica_gradients(out[0], in + 1, 2, out + 1);
}

static mica_tensor *numbers(int64_t rows, int64_t columns) {
  double values[64];
  for (int64_t i = 0; i < rows * columns; i++) values[i] = (double)(i * 37 % 23) / 23 - 0.5;
  return mica_tensor_from_doubles(MICA_F64, MICA_DIMS(rows, columns), values);
}

int main(void) {
  mica_error error = {0};
  char text[1000];
  mica_mesh *mesh = mica_mesh_create("data=2, model=2", &error);
  mica_device *device = mica_device_open(NULL, &error);
  mica_tensor *in[3] = {numbers(4, 6), numbers(6, 8), numbers(8, 2)}, *out[3] = {NULL},
              *alone[3] = {NULL};
  mica_sharding_format(mesh, MICA_DIMS(6, 8), "-, model", text, sizeof text);
  printf("%s\n", text);
  mica_status status = mica_call_once(device, build, mesh, in, 3, out, 3, &error);
  if (status == MICA_OK)
    status = mica_call_once(device, build_alone, NULL, in, 3, alone, 3, &error);
  if (status == MICA_OK) {
    for (int i = 0; i < 3; i++) {
      mica_closeness same = {0};
      mica_tensor_compare(out[i], alone[i], 1e-12, 1e-12, &same, NULL);
      printf("%s: %s\n", (const char *const[]){"loss", "gradient of v", "gradient of w"}[i],
             same.close ? "as on one device" : "not as on one device");
    }
  } else {
    printf("%s\n", error.message);
  }
  for (int i = 0; i < 3; i++)
    mica_tensor_release(in[i]), mica_tensor_release(out[i]), mica_tensor_release(alone[i]);
  mica_device_release(device);
  mica_mesh_release(mesh);
  return status != MICA_OK;
}
