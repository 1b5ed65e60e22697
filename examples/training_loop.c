/* SPDX-License-Identifier: Apache-2.0 */
/* training_loop.c: a network learns to tell two spirals apart: a store of parameters, layers, a trainer, a loop with hooks. The
 * command line sets hyper-parameters: training_loop fnn_units=32,lr=0.01 */
#include <math.h>
#include <stdio.h>

#include "mica/mica.h"

enum { POINTS = 512, BATCH = 64, STEPS = 600 };

/* ---- the model: functions that build graphs ----------------------------------------------------- */

static mica_value model(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  return mica_nn_fnn(scope, inputs[0], .out = 2, .residual = true, .activation = "silu");
}

static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0], .label_smoothing = 0.02);
}

/* ---- the data: rows in memory, in an order that changes with each epoch ------------------------- */

static mica_dataset *make_spiral(int64_t batch, bool shuffle, mica_error *error) {
  float points[POINTS][2];
  int32_t labels[POINTS];
  for (int i = 0; i < POINTS; i++) {
    double along = (double)(i / 2) / (POINTS / 2), angle = along * 10 + (i % 2) * 3.14159;
    double noise = 0.02 * sin(i * 12.9898) * cos(i * 78.233);
    points[i][0] = (float)((along + noise) * cos(angle));
    points[i][1] = (float)((along - noise) * sin(angle));
    labels[i] = i % 2;
  }
  mica_tensor *tensors[] = {mica_tensor_from(MICA_F32, MICA_DIMS(POINTS, 2), points),
                            mica_tensor_from(MICA_I32, MICA_DIMS(POINTS), labels)};
  mica_memory_options rows = {.struct_size = sizeof rows,
                              .tensors = tensors,
                              .count = 2,
                              .batch = batch,
                              .shuffle = shuffle,
                              .seed = 1};
  mica_dataset *data = mica_dataset_from_tensors(&rows, error);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
  return data;
}

/* ---- training -------------------------------------------------------------------------------------- */

/* Called behind each evaluation. */
static mica_status report(mica_training_state *state, void *user, mica_error *error) {
  const mica_evaluation *all = user;
  (void)error;
  printf("step %4lld: right %.0f %%\n", (long long)state->step, 100 * all->metrics[0]);
  return MICA_OK;
}

int main(int argument_count, char **arguments) {
  mica_error error = {0};
  mica_dataset *shuffled = make_spiral(BATCH, true, &error);
  mica_dataset *points = make_spiral(POINTS, false, &error);
  mica_device *device = mica_device_open(NULL, &error);
  mica_store *store = mica_store_create(device, 42); /* 42: the seed */

  /* Settings and what they are unless the command line says otherwise. */
  mica_store_set_number(store, "lr", 0.01, &error);
  mica_store_set_integer(store, "fnn_units", 64, &error);
  mica_store_set_integer(store, "fnn_layers", 3, &error);
  mica_store_set_number(store, "fnn_dropout", 0, &error);
  if (argument_count > 1) mica_store_set(store, arguments[1], &error);
  mica_store_group(store, "**bias", .no_decay = true); /* biases do not decay */

  mica_schedule *rate =
      mica_schedule_cosine(.start = mica_store_get_number(store, "lr", 0), .steps = STEPS);
  const mica_metric_definition accuracy = mica_metric_accuracy();
  mica_trainer *trainer = mica_trainer_create(
      store, model, loss, .optimizer = mica_optimizer_adamw(.weight_decay = 1e-3),
      .rate = mica_schedule_rate, .rate_user = rate, .clip_norm = 1, .ema = 0.98,
      .metrics = &accuracy, .metric_count = 1);

  /* Four times in a run the averaged parameters are tested on all points. */
  mica_evaluation all = {.dataset = points, .averaged = true, .then = report, .then_user = &all};
  mica_training_loop *loop = mica_training_loop_create(trainer);
  mica_training_loop_on(loop, MICA_ON_STEP, mica_evaluation_hook, &all, .name = "evaluation",
                        .times = 4);
  if (error.status == MICA_OK) mica_training_loop_run_dataset(loop, shuffled, STEPS, 0, &error);
  if (error.status == MICA_OK) {
    char table[2048];
    mica_store_summary(store, table, sizeof table);
    printf("\n%s", table);
  } else {
    fprintf(stderr, "training_loop: %s\n", error.message);
  }

  mica_training_loop_destroy(loop);
  mica_trainer_destroy(trainer);
  mica_schedule_destroy(rate);
  mica_store_destroy(store);
  mica_device_release(device);
  mica_dataset_destroy(shuffled), mica_dataset_destroy(points);
  return error.status != MICA_OK;
}
