/* SPDX-License-Identifier: Apache-2.0 */
/* spiral.c: the arms of a spiral told apart by a feed-forward network, for which --set chooses size, activation, normalization and
 * more. README.md beside it tells more. */
#include "../common.h"

enum { POINTS = 3000, TEST_POINTS = 3000, BATCH = 100, ARMS = 3 };

static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  return mica_nn_fnn(scope, inputs[0], .out = ARMS, .residual = true);
}

static mica_value loss(mica_value logits, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(logits, targets[0]);
}

/* A uniform number in [0, 1) of a draw. */
static double drawn(uint64_t seed, int64_t index, uint32_t draw) {
  uint32_t words[4];
  mica_map_random(seed, (mica_map_position){.index = index}, draw, words);
  return words[0] / 4294967296.0;
}

/* Points f32 [count, 2] and arms i32 [count], shuffled and in whole batches where they are to be learned from. */
static mica_dataset *make_points(example *ex, uint64_t seed, int64_t count, bool training) {
  float *points = malloc((size_t)count * 2 * sizeof *points);
  int32_t *arms = malloc((size_t)count * sizeof *arms);
  double noise = mica_store_get_number(ex->store, "noise", 0);
  for (int64_t i = 0; points && arms && i < count; i++) {
    double along = sqrt(drawn(seed, i, 0)),
           away = noise * (drawn(seed, i, 1) + drawn(seed, i, 2) - 1);
    double angle = 6.283185307179586 * ((double)(i % ARMS) / ARMS + 1.25 * along);
    points[2 * i] = (float)((along + away) * cos(angle)),
               points[2 * i + 1] = (float)((along + away) * sin(angle));
    arms[i] = (int32_t)(i % ARMS);
  }
  mica_tensor *tensors[2] = {NULL, NULL};
  if (points && arms) {
    tensors[0] = mica_tensor_from(MICA_F32, MICA_DIMS(count, 2), points);
    tensors[1] = mica_tensor_from(MICA_I32, MICA_DIMS(count), arms);
  }
  if (!tensors[0] || !tensors[1]) mica_error_set(&ex->error, MICA_OUT_OF_MEMORY, "out of memory");
  mica_memory_options rows = {.struct_size = sizeof rows,
                              .tensors = tensors,
                              .count = 2,
                              .batch = BATCH,
                              .shuffle = training,
                              .drop_last = training,
                              .seed = ex->seed};
  mica_dataset *data = example_good(ex) ? mica_dataset_from_tensors(&rows, &ex->error) : NULL;
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
  free(points), free(arms);
  return data;
}

static int run(int count, char **arguments) {
  example ex = {
      .name = "spiral", .summary = "the arms of a spiral told apart by dense layers", .epochs = 40};
  if (!example_begin(&ex, count, arguments)) return example_end(&ex);
  mica_store_set_number(ex.store, "lr", 0.01, &ex.error);
  mica_store_set_number(ex.store, "noise", 0.1, &ex.error);
  char optimizers[400] = "";
  for (size_t i = 0, at = 0; mica_optimizer_name(i) && at < sizeof optimizers; i++)
    at += (size_t)snprintf(optimizers + at, sizeof optimizers - at, "%s%s", i ? ", " : "",
                           mica_optimizer_name(i));
  mica_store_set_choice(ex.store, "optimizer", "adamw", optimizers, &ex.error);
  mica_store_set_integer(ex.store, "fnn_units", 64, &ex.error);
  mica_store_set_integer(ex.store, "fnn_layers", 3, &ex.error);
  mica_store_set_text(ex.store, "fnn_activation", "silu", &ex.error);
  mica_store_set_text(ex.store, "fnn_norm", "none", &ex.error);
  mica_store_set_number(ex.store, "fnn_dropout", 0, &ex.error);
  if (!example_settings(&ex)) return example_end(&ex);
  mica_optimizer_function *optimizer =
      mica_optimizer_find(mica_store_get_text(ex.store, "optimizer", ""));

  int64_t rows = ex.limit ? ex.limit : POINTS;
  mica_dataset *train = NULL, *test = NULL;
  mica_schedule *rate = NULL;
  const mica_metric_definition metrics[] = {mica_metric_accuracy()};
  if (example_batches(&ex, rows, BATCH)) {
    train = make_points(&ex, ex.seed, rows, true);
    test = make_points(&ex, ex.seed + 1000, TEST_POINTS, false);
    rate = mica_schedule_cosine(.start = mica_store_get_number(ex.store, "lr", 0),
                                .steps = example_total_steps(&ex), .error = &ex.error);
    ex.trainer = mica_trainer_create(
        ex.store, model, loss, .optimizer = optimizer(MICA_OPTIMIZER_ARGS()),
        .rate = mica_schedule_rate, .rate_user = rate, .metrics = metrics, .metric_count = 1);
    example_picture(&ex, model, NULL, &(mica_type){MICA_F32, {2, {BATCH, 2}}}, 1);
  }
  double accuracy = 0;
  if (example_train(&ex, train) && example_evaluate(&ex, test, "test") &&
      mica_trainer_metric_numbers(ex.trainer, false, &accuracy, 1, &ex.error) == MICA_OK)
    printf("spiral: test accuracy %.2f %%\n", 100 * accuracy);

  int code = example_end(&ex);
  mica_schedule_destroy(rate);
  mica_dataset_destroy(train), mica_dataset_destroy(test);
  return code;
}

EXAMPLE(spiral, "the arms of a spiral told apart by dense layers", run)
