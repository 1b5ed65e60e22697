/* SPDX-License-Identifier: Apache-2.0 */
/* linear.c: linear regression by stochastic gradient descent: a line through points of a known one, and how near it comes. README.md
 * beside it tells more. */
#include "../common.h"

enum { FEATURES = 8, BATCH = 64 };

static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  return mica_nn_dense(mica_scope_in(scope, "line"), inputs[0], .units = 1);
}

static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_squared_error(prediction, targets[0]);
}

/* Numbers that are the same everywhere: standard normal ones by the method of Box and Muller. */
static double normal_number(uint64_t seed, int64_t index) {
  uint32_t words[4];
  mica_map_random(seed, (mica_map_position){.index = index}, 0, words);
  return sqrt(-2 * log((words[0] + 0.5) / 4294967296.0)) *
         cos(6.283185307179586 * (words[1] / 4294967296.0));
}

/* x [rows, 8] normal, y [rows, 1] = x w + b + noise. */
static bool make_rows(example *ex, int64_t rows, const double *weights, double bias, double noise,
                      mica_tensor **out) {
  double *x = malloc((size_t)rows * FEATURES * sizeof *x), *y = malloc((size_t)rows * sizeof *y);
  for (int64_t i = 0; x && y && i < rows; i++) {
    y[i] = bias + noise * normal_number(ex->seed + 1, i);
    for (int64_t k = 0; k < FEATURES; k++) {
      x[i * FEATURES + k] = normal_number(ex->seed, i * FEATURES + k);
      y[i] += weights[k] * x[i * FEATURES + k];
    }
  }
  out[0] = x && y ? mica_tensor_from_doubles(MICA_F32, MICA_DIMS(rows, FEATURES), x) : NULL;
  out[1] = x && y ? mica_tensor_from_doubles(MICA_F32, MICA_DIMS(rows, 1), y) : NULL;
  free(x), free(y);
  if (!out[0] || !out[1]) mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  return example_good(ex);
}

/* Learned numbers beside true ones. */
static bool compare(example *ex, const double *weights, double bias) {
  mica_store_entry kernel, offset;
  double found[FEATURES + 1] = {0}, far = 0;
  if (!mica_store_find(ex->store, "line/kernel", &kernel) ||
      !mica_store_find(ex->store, "line/bias", &offset))
    return false;
  mica_tensor *w = mica_variable_snapshot(kernel.variable),
              *b = mica_variable_snapshot(offset.variable);
  if (w && b && mica_tensor_read_doubles(w, found, FEATURES, &ex->error) == MICA_OK)
    mica_tensor_read_doubles(b, found + FEATURES, 1, &ex->error);
  mica_tensor_release(w), mica_tensor_release(b);
  if (!example_good(ex)) return false;
  printf("\n  true     learned\n");
  for (int i = 0; i <= FEATURES; i++) {
    double expected = i < FEATURES ? weights[i] : bias;
    printf("%7.3f   %7.3f\n", expected, found[i]);
    far = fmax(far, fabs(found[i] - expected));
  }
  printf("linear: farthest apart %.4f\n", far);
  return example_report(ex, "parameters", &(mica_metric){"farthest", far}, 1);
}

static int run(int count, char **arguments) {
  example ex = {.name = "linear", .summary = "linear regression on made numbers", .epochs = 20};
  const double weights[FEATURES] = {1.5, -2, 0.25, 0, 3, -0.75, 0.5, -1}, bias = 4;
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_number(ex.store, "lr", 0.05, &ex.error);
  mica_store_set_number(ex.store, "noise", 0.1, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);

  int64_t rows = ex.limit ? ex.limit : 4096;
  mica_tensor *data[2] = {NULL, NULL};
  make_rows(&ex, rows, weights, bias, mica_store_get_number(ex.store, "noise", 0), data);
  mica_memory_options options = {.struct_size = sizeof options,
                                 .tensors = data,
                                 .count = 2,
                                 .batch = BATCH,
                                 .shuffle = true,
                                 .drop_last = true,
                                 .seed = ex.seed};
  mica_dataset *training =
      example_good(&ex) ? mica_dataset_from_tensors(&options, &ex.error) : NULL;
  example_batches(&ex, rows, BATCH);
  mica_schedule *rate = mica_schedule_cosine(.start = mica_store_get_number(ex.store, "lr", 0),
                                             .steps = example_total_steps(&ex), .error = &ex.error);
  ex.trainer =
      mica_trainer_create(ex.store, model, loss, .optimizer = mica_optimizer_sgd(.momentum = 0.9),
                          .rate = mica_schedule_rate, .rate_user = rate);
  example_picture(&ex, model, NULL, &(mica_type){MICA_F32, {2, {BATCH, FEATURES}}}, 1);
  if (example_train(&ex, training)) compare(&ex, weights, bias);

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(training);
  mica_tensor_release(data[0]), mica_tensor_release(data[1]);
  return code;
}

EXAMPLE(linear, "linear regression on made numbers", run)
