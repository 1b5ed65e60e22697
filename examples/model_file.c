/* SPDX-License-Identifier: Apache-2.0 */
/* A model file: a program of inference and one of a training step with their variables in one file; a program that knows
 * nothing of the model trains and runs it.
 *
 *     cc examples/model_file.c -lmica -lm -lpthread */
#include <stdio.h>

#include "mica/mica.h"

static const char *const path = "/tmp/mica-line.mica";

/* y = w x + b, and a step down the gradient of the mean squared error */
static mica_status save_model(mica_error *error) {
  mica_tensor *zero = mica_tensor_scalar(MICA_F32, 0);
  mica_variable *w = mica_variable_create("line/w", zero),
                *b = mica_variable_create("line/b", zero);
  mica_graph *predict = mica_graph_create(NULL), *train = mica_graph_create(NULL);

  mica_value x = mica_parameter(predict, (mica_type){MICA_F32, MICA_DIMS(4)});
  mica_value y =
      mica_add(mica_mul(x, mica_variable_read(predict, w)), mica_variable_read(predict, b));
  mica_graph_set_outputs(predict, &y, 1);

  x = mica_parameter(train, (mica_type){MICA_F32, MICA_DIMS(4)});
  mica_value target = mica_parameter(train, (mica_type){MICA_F32, MICA_DIMS(4)});
  mica_value read[] = {mica_variable_read(train, w), mica_variable_read(train, b)}, gradient[2];
  mica_value error_of = mica_sub(mica_add(mica_mul(x, read[0]), read[1]), target);
  mica_value loss = mica_reduce_mean(mica_square(error_of), MICA_ALL);
  mica_gradients(loss, read, 2, gradient);
  mica_variable_assign(w,
                       mica_sub(read[0], mica_mul(gradient[0], mica_full_like(gradient[0], 0.1))));
  mica_variable_assign(b,
                       mica_sub(read[1], mica_mul(gradient[1], mica_full_like(gradient[1], 0.1))));
  mica_graph_set_outputs(train, &loss, 1);

  const mica_model_program programs[] = {
      {"predict", predict, (const char *const[]){"x"}, (const char *const[]){"y"}},
      {"train", train, (const char *const[]){"x", "target"}, (const char *const[]){"loss"}}};
  mica_status status = mica_model_save(path, programs, 2, NULL, 0, error);
  mica_graph_destroy(predict), mica_graph_destroy(train);
  mica_variable_release(w), mica_variable_release(b);
  mica_tensor_release(zero);
  return status;
}

int main(void) {
  mica_error error = {0};
  mica_model *model = NULL;
  mica_executable *predict = NULL, *train = NULL;
  mica_device *device = mica_device_open(NULL, &error);
  mica_status status = device ? save_model(&error) : error.status;
  if (status == MICA_OK) status = mica_model_open(path, &model, &error);
  if (status == MICA_OK)
    status = mica_model_compile(model, mica_model_program_index(model, "predict"), device, &predict,
                                &error);
  if (status == MICA_OK)
    status =
        mica_model_compile(model, mica_model_program_index(model, "train"), device, &train, &error);

  mica_tensor *in[] = {
      mica_tensor_from_doubles(MICA_F32, MICA_DIMS(4), (double[]){-1, 0, 1, 2}),
      mica_tensor_from_doubles(MICA_F32, MICA_DIMS(4), (double[]){-1, 1, 3, 5})}; /* 2 x + 1 */
  mica_tensor *loss = NULL, *y = NULL;
  for (int step = 0; step < 200 && status == MICA_OK; step++)
    status = mica_executable_run(train, in, 2, &loss, 1, &error);
  if (status == MICA_OK) status = mica_executable_run(predict, in, 1, &y, 1, &error);
  if (status == MICA_OK) {
    char text[128];
    mica_tensor_format(y, NULL, text, sizeof text);
    printf("y = %s\n", text);
    status = mica_model_write(model, path, &error); /* with what it has learned */
  }
  for (int64_t i = 0; i < mica_model_variable_count(model); i++)
    printf("variable %s\n", mica_variable_name(mica_model_variable(model, i)));
  if (status != MICA_OK) printf("error: %s\n", error.message);

  mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  mica_tensor_release(loss), mica_tensor_release(y);
  mica_executable_release(predict), mica_executable_release(train);
  mica_model_destroy(model);
  mica_device_release(device);
  return status != MICA_OK;
}
