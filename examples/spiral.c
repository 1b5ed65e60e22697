/* SPDX-License-Identifier: Apache-2.0 */
/* spiral.c: a network learns to tell two spirals apart: a store of parameters, layers, a trainer, a loop with hooks. The
 * command line sets hyper-parameters: spiral fnn_units=32,lr=0.01 */
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

/* Measures are means over a batch: here, how many were right. */
static void measures(mica_value prediction, const mica_value *targets, mica_value *out,
                     void *user) {
  (void)user;
  mica_value right = mica_equal(mica_arg_max(prediction, -1), targets[0]);
  out[0] = mica_reduce_mean(mica_convert(right, MICA_F32), MICA_ALL);
}

/* ---- the data: batches in an order that changes with each epoch --------------------------------- */

typedef struct {
  mica_tensor *points, *labels; /* f32 [points, 2], i32 [points] */
  int64_t order[POINTS], at;
  uint64_t epoch;
} spiral;

static void make_spiral(spiral *data) {
  float points[POINTS][2];
  int32_t labels[POINTS];
  for (int i = 0; i < POINTS; i++) {
    double along = (double)(i / 2) / (POINTS / 2), angle = along * 10 + (i % 2) * 3.14159;
    double noise = 0.02 * sin(i * 12.9898) * cos(i * 78.233);
    points[i][0] = (float)((along + noise) * cos(angle));
    points[i][1] = (float)((along - noise) * sin(angle));
    labels[i] = i % 2;
  }
  data->points = mica_tensor_from(MICA_F32, MICA_DIMS(POINTS, 2), points);
  data->labels = mica_tensor_from(MICA_I32, MICA_DIMS(POINTS), labels);
}

static mica_status next(void *user, mica_tensor **batch, size_t count, bool *out_end,
                        mica_error *error) {
  spiral *data = user;
  (void)count;
  if (data->at == 0) mica_shuffle(1, data->epoch, POINTS, data->order);
  *out_end = data->at == POINTS;
  if (*out_end) {
    data->at = 0, data->epoch++;
    return MICA_OK;
  }
  batch[0] = mica_tensor_from(MICA_F32, MICA_DIMS(BATCH, 2), NULL);
  batch[1] = mica_tensor_from(MICA_I32, MICA_DIMS(BATCH), NULL);
  mica_status status =
      mica_gather_rows(data->points, data->order + data->at, BATCH, batch[0], error);
  if (status == MICA_OK)
    status = mica_gather_rows(data->labels, data->order + data->at, BATCH, batch[1], error);
  data->at += BATCH;
  return status;
}

/* ---- training -------------------------------------------------------------------------------------- */

static mica_status report(mica_training_state *state, void *user, mica_error *error) {
  (void)user, (void)error;
  printf("step %4lld: right %.0f %%\n", (long long)state->step, 100 * state->mean_measures[0]);
  return MICA_OK;
}

int main(int argument_count, char **arguments) {
  mica_error error = {0};
  spiral data = {.at = 0};
  make_spiral(&data);
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
  mica_trainer *trainer = mica_trainer_create(
      store, model, loss, .optimizer = mica_optimizer_adamw(.weight_decay = 1e-3),
      .rate = mica_schedule_rate, .rate_user = rate, .clip_norm = 1, .ema = 0.98,
      .measures = measures, .measure_count = 1);
  mica_training_loop *loop = mica_training_loop_create(trainer);
  mica_training_loop_on(loop, MICA_ON_STEP, report, NULL, .times = 4);
  if (error.status == MICA_OK) mica_training_loop_run(loop, next, &data, STEPS, 0, &error);

  /* The averaged parameters are tested on all points. */
  mica_tensor *all[2] = {data.points, data.labels};
  if (error.status == MICA_OK) mica_trainer_swap_average(trainer, &error);
  if (error.status == MICA_OK) mica_trainer_evaluate(trainer, all, 2, &error);
  if (error.status == MICA_OK) {
    char table[2048];
    mica_store_summary(store, table, sizeof table);
    printf("all points: right %.0f %%\n\n%s", 100 * mica_trainer_evaluation(trainer).measures[0],
           table);
  } else {
    fprintf(stderr, "spiral: %s\n", error.message);
  }

  mica_training_loop_destroy(loop);
  mica_trainer_destroy(trainer);
  mica_schedule_destroy(rate);
  mica_store_destroy(store);
  mica_device_release(device);
  mica_tensor_release(data.points), mica_tensor_release(data.labels);
  return error.status != MICA_OK;
}
