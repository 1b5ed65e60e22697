/* SPDX-License-Identifier: Apache-2.0 */
/* An operator of your own: a kernel in C, its gradient as graph, an assertion, and a look at values while
 * the graph runs. Here: softsign, y = x / (1 + |x|).
 *
 *     cc examples/custom_operator.c -lmica -lm -lpthread */
#include <math.h>
#include <stdio.h>

#include "mica/mica.h"

static mica_status softsign_run(void *user, const mica_custom_call *call, mica_error *error) {
  (void)user, (void)error;
  const float *x = call->in[0];
  float *y = call->out[0];
  int64_t count = mica_shape_count(call->in_types[0].shape);
  for (int64_t i = 0; i < count; i++) y[i] = x[i] / (1 + fabsf(x[i]));
  return MICA_OK;
}

static mica_status softsign_types(void *user, const mica_type *in, size_t in_count,
                                  const char *config, mica_type *out, size_t out_count,
                                  mica_error *error) {
  (void)user, (void)config, (void)out_count;
  if (in_count != 1 || in[0].dtype != MICA_F32) {
    if (error) snprintf(error->message, sizeof error->message, "expected one operand of f32");
    return MICA_INVALID;
  }
  out[0] = in[0];
  return MICA_OK;
}

/* d y / d x = (1 - |y|)^2, built as graph: it can be fused, batched and differentiated again. */
static void softsign_gradient(void *user, const char *config, const mica_value *in, size_t in_count,
                              const mica_value *out, const mica_value *cotangent, size_t out_count,
                              mica_value *in_cotangent) {
  (void)user, (void)config, (void)in, (void)in_count, (void)out_count;
  mica_value rest = mica_sub(mica_ones_like(out[0]), mica_abs(out[0]));
  in_cotangent[0] = mica_mul(cotangent[0], mica_square(rest));
}

static mica_status look(void *user, const mica_custom_call *call, mica_error *error) {
  (void)user, (void)error;
  printf("the loss is %.4f\n", (double)*(const float *)call->in[0]);
  return MICA_OK;
}

int main(void) {
  mica_error error = {0};
  mica_custom_operator *softsign =
      mica_custom_create(&(mica_custom_options){.struct_size = sizeof(mica_custom_options),
                                                .name = "softsign",
                                                .infer = softsign_types,
                                                .run = softsign_run,
                                                .gradient = softsign_gradient,
                                                .batched = true},
                         &error);
  mica_device *device = mica_device_open(NULL, &error);
  mica_graph *graph = mica_graph_create(NULL);

  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(3)}), y, gradient;
  mica_assert(mica_is_finite(x), "the input is finite");
  mica_custom(softsign, &x, 1, NULL, &y, 1);
  mica_value loss = mica_reduce_sum(y, MICA_ALL);
  mica_host_callback(&loss, 1, look, NULL);
  mica_gradients(loss, &x, 1, &gradient);
  mica_graph_set_outputs(graph, &gradient, 1);
  mica_custom_release(softsign); /* the graph keeps it alive */

  mica_executable *step = NULL;
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(3), (float[]){-1, 0, 3}), *out = NULL;
  if (mica_compile(device, graph, 0, &step, &error) == MICA_OK &&
      mica_executable_run(step, &in, 1, &out, 1, &error) == MICA_OK) {
    char text[128];
    mica_tensor_format(out, NULL, text, sizeof text);
    printf("its gradient is %s\n", text);
  }
  mica_tensor *bad = mica_tensor_from(MICA_F32, MICA_DIMS(3), (float[]){0, INFINITY, 1});
  mica_error refused = {0};
  mica_tensor *nothing = NULL;
  if (mica_executable_run(step, &bad, 1, &nothing, 1, &refused) != MICA_OK)
    printf("refused: %s\n", refused.message);
  if (error.status) fprintf(stderr, "%s\n", error.message);

  mica_tensor_release(in), mica_tensor_release(bad), mica_tensor_release(out);
  mica_executable_release(step), mica_graph_destroy(graph), mica_device_release(device);
  return error.status != MICA_OK;
}
