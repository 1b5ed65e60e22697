/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets in the training loop, metrics as parts of the trainer's executables, evaluation, predictions, uploads. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mica/data.h"
#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/train.h"

enum { ROWS = 50, WIDTH = 3, CLASSES = 3 };

static mica_device *device;

static mica_value model(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  return mica_nn_dense(mica_scope_in(scope, "d"), in[0], .units = CLASSES);
}
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0]);
}
/* The second metric counts only rows of class 1. */
static void only_ones(size_t index, mica_value prediction, const mica_value *targets,
                      mica_metric_args *out, void *user) {
  (void)prediction, (void)user;
  if (index == 1) out->mask = mica_equal(targets[0], 1);
}

static void make_rows(mica_tensor *tensors[2]) {
  float x[ROWS * WIDTH];
  int32_t y[ROWS];
  for (int i = 0; i < ROWS; i++) {
    y[i] = (i * 7 + i / 3) % CLASSES;
    for (int k = 0; k < WIDTH; k++)
      x[i * WIDTH + k] = (float)(sin(i * 3.7 + k) + (y[i] == k ? 0.8 : 0));
  }
  tensors[0] = mica_tensor_from(MICA_F32, MICA_DIMS(ROWS, WIDTH), x);
  tensors[1] = mica_tensor_from(MICA_I32, MICA_DIMS(ROWS), y);
}

static mica_dataset *rows_of(mica_tensor **tensors, int64_t batch, bool shuffle) {
  mica_error error = {0};
  mica_dataset *d =
      mica_dataset_from_tensors(&(mica_memory_options){.struct_size = sizeof(mica_memory_options),
                                                       .tensors = tensors,
                                                       .count = 2,
                                                       .batch = batch,
                                                       .shuffle = shuffle,
                                                       .seed = 3},
                                &error);
  if (d == NULL) CHECK_FAIL("%s", error.message);
  return d;
}

static mica_trainer *make_trainer(mica_store *store, bool metrics) {
  const mica_metric_definition wanted[] = {mica_metric_accuracy(), mica_metric_accuracy(),
                                           mica_metric_confusion(.classes = CLASSES)};
  return mica_trainer_create(store, model, loss, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                             .learning_rate = 0.05, .ema = 0.9, .metrics = wanted,
                             .metric_count = metrics ? 3 : 0, .metric_inputs = only_ones);
}

typedef struct {
  int calls, epochs;
  double accuracy;
} seen;
static mica_status count_evaluation(mica_training_state *state, void *user, mica_error *error) {
  (void)state, (void)error;
  ((seen *)user)->calls++;
  return MICA_OK;
}
/* At the end of an epoch the confusion matrix of training holds each row once. */
static mica_status check_epoch(mica_training_state *state, void *user, mica_error *error) {
  mica_tensor *out[3] = {NULL};
  double matrix[CLASSES * CLASSES], all = 0;
  CHECK(state->dataset != NULL);
  mica_status status = mica_trainer_metrics(state->trainer, true, out, 3, error);
  if (status == MICA_OK) status = mica_tensor_read_doubles(out[2], matrix, 9, error);
  for (int i = 0; i < 9 && status == MICA_OK; i++) all += matrix[i];
  if (status == MICA_OK) CHECK_NEAR(all, ROWS, 0);
  for (int i = 0; i < 3; i++) mica_tensor_release(out[i]);
  ((seen *)user)->epochs++;
  return status;
}

TEST(loop_over_data) {
  mica_error error = {0};
  mica_tensor *tensors[2];
  seen counts = {0};
  make_rows(tensors);
  mica_store *store = mica_store_create(device, 1);
  mica_trainer *trainer = make_trainer(store, true);
  mica_training_loop *loop = mica_training_loop_create(trainer);
  mica_dataset *train = rows_of(tensors, 8, true), *test = rows_of(tensors, 16, false);
  train = mica_dataset_upload(train, device, 2, &error);
  mica_evaluation evaluation = {.dataset = test,
                                .averaged = true,
                                .then = count_evaluation,
                                .then_user = &counts,
                                .watch = 1};
  mica_early_stopping stopping = {
      .measure = mica_evaluation_measure, .user = &evaluation, .patience = 100, .maximize = true};
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, mica_evaluation_hook, &evaluation,
                                 .name = "evaluation", .every = 10));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_EPOCH, check_epoch, &counts, .name = "epoch"));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_EPOCH, mica_early_stopping_hook, &stopping));
  CHECK_OK_ERROR(mica_training_loop_run_dataset(loop, train, 0, 8, &error), &error);
  CHECK_EQ_INT(mica_training_loop_state(loop)->step, 8 * 7);
  CHECK_EQ_INT(counts.epochs, 8);
  CHECK_EQ_INT(counts.calls, 5);
  CHECK_EQ_INT(evaluation.step, 50);
  CHECK(stopping.best > 0.5);

  /* Metrics of the evaluation against predictions that are counted here. */
  mica_tensor *prediction = NULL;
  double logits[ROWS * CLASSES], labels[ROWS], numbers[3];
  int right = 0, ones = 0, right_ones = 0;
  CHECK_OK_ERROR(mica_trainer_evaluate_dataset(trainer, test, &error), &error);
  CHECK_OK_ERROR(mica_trainer_metric_numbers(trainer, false, numbers, 3, &error), &error);
  CHECK_OK_ERROR(mica_trainer_predict_dataset(trainer, test, &prediction, &error), &error);
  CHECK(mica_shape_equal(mica_tensor_type(prediction).shape, MICA_DIMS(ROWS, CLASSES)));
  CHECK_OK(mica_tensor_read_doubles(prediction, logits, ROWS * CLASSES, &error));
  CHECK_OK(mica_tensor_read_doubles(tensors[1], labels, ROWS, &error));
  for (int i = 0; i < ROWS; i++) {
    int best = 0;
    for (int k = 1; k < CLASSES; k++)
      if (logits[i * CLASSES + k] > logits[i * CLASSES + best]) best = k;
    right += best == (int)labels[i];
    ones += (int)labels[i] == 1;
    right_ones += best == (int)labels[i] && best == 1;
  }
  CHECK_NEAR(numbers[0], right / (double)ROWS, 1e-12);
  CHECK_NEAR(numbers[1], right_ones / (double)ones, 1e-12);
  CHECK(isnan(numbers[2]));
  CHECK_EQ_STR(mica_trainer_metric_name(trainer, 2), "confusion");
  CHECK_EQ_STR(mica_trainer_metric_name(trainer, 3), "");

  /* Cleared: means of nothing. */
  mica_trainer_clear_evaluation(trainer);
  CHECK_OK(mica_trainer_metric_numbers(trainer, false, numbers, 3, &error));
  CHECK(isnan(numbers[0]) && isnan(mica_trainer_evaluation(trainer).loss));

  mica_tensor_release(prediction);
  mica_dataset_destroy(train), mica_dataset_destroy(test);
  mica_training_loop_destroy(loop), mica_trainer_destroy(trainer), mica_store_destroy(store);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
}

/* Metrics do not change what is learned; data in the loop is data given by hand. */
TEST(same_as_by_hand) {
  mica_error error = {0};
  mica_tensor *tensors[2], *values[2] = {NULL};
  make_rows(tensors);
  for (int side = 0; side < 2; side++) {
    mica_store *store = mica_store_create(device, 1);
    mica_trainer *trainer = make_trainer(store, side == 0);
    mica_dataset *train = rows_of(tensors, 8, true);
    mica_store_entry entry;
    if (side == 0) {
      mica_training_loop *loop = mica_training_loop_create(trainer);
      CHECK_OK_ERROR(mica_training_loop_run_dataset(loop, train, 20, 0, &error), &error);
      mica_training_loop_destroy(loop);
    } else {
      mica_batch batch = {0};
      for (int step = 0; step < 20;) {
        CHECK_OK(mica_dataset_next(train, &batch, &error));
        if (batch.count == 0) continue;
        CHECK_OK(mica_trainer_step(trainer, batch.tensor, 2, &error));
        step++;
      }
      mica_batch_clear(&batch);
    }
    if (CHECK(mica_store_find(store, "d/kernel", &entry)))
      values[side] = mica_variable_snapshot(entry.variable);
    mica_dataset_destroy(train), mica_trainer_destroy(trainer), mica_store_destroy(store);
  }
  CHECK(mica_tensor_equal(values[0], values[1]));
  mica_tensor_release(values[0]), mica_tensor_release(values[1]);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
}

static mica_status fail_next(void *self, mica_batch *batch, mica_error *error) {
  int *left = self;
  (void)batch;
  return mica_error_set(error, MICA_IO, "the disk is gone %d", (*left)--);
}
static mica_status begin_nothing(void *self, int64_t epoch, mica_error *error) {
  (void)self, (void)epoch, (void)error;
  return MICA_OK;
}
static mica_status end_at_once(void *self, mica_batch *batch, mica_error *error) {
  (void)self, (void)error;
  mica_batch_clear(batch);
  return MICA_OK;
}

TEST(mistakes) {
  mica_error error = {0};
  int left = 3;
  mica_tensor *tensors[2];
  make_rows(tensors);
  mica_store *store = mica_store_create(device, 1);
  mica_trainer *trainer = make_trainer(store, true);
  mica_training_loop *loop = mica_training_loop_create(trainer);
  mica_dataset_methods methods = {
      .struct_size = sizeof methods, .name = "broken", .next = fail_next, .begin = begin_nothing};
  mica_dataset *broken = mica_dataset_create(&methods, &left, &error);
  methods.next = end_at_once;
  mica_dataset *empty = mica_dataset_create(&methods, &left, &error);
  CHECK_STATUS(mica_training_loop_run_dataset(loop, broken, 1, 0, &error), MICA_IO);
  CHECK(strstr(error.message, "the disk is gone") != NULL);
  error = (mica_error){0};
  CHECK_STATUS(mica_training_loop_run_dataset(loop, empty, 1, 0, &error), MICA_INVALID);
  CHECK(strstr(error.message, "an epoch without batches") != NULL);
  error = (mica_error){0};
  CHECK_STATUS(mica_training_loop_run_dataset(loop, NULL, 1, 0, &error), MICA_INVALID);
  mica_trainer_clear_evaluation(trainer);
  CHECK_STATUS(mica_trainer_evaluate_dataset(trainer, broken, NULL), MICA_IO);
  CHECK(isnan(mica_trainer_evaluation(trainer).loss));
  mica_tensor *none = NULL;
  CHECK_STATUS(mica_trainer_predict_dataset(trainer, empty, &none, NULL), MICA_INVALID);
  double numbers[2];
  CHECK_STATUS(mica_trainer_metric_numbers(trainer, true, numbers, 2, NULL), MICA_INVALID);
  CHECK(mica_dataset_upload(rows_of(tensors, 4, false), NULL, 1, NULL) == NULL);
  mica_dataset_destroy(broken), mica_dataset_destroy(empty);
  mica_trainer_destroy(trainer);

  /* A metric with a mistake in its options is an error of the step. */
  const mica_metric_definition wrong[] = {mica_metric_accuracy(.window = 3)};
  mica_store_destroy(store);
  store = mica_store_create(device, 1);
  trainer = mica_trainer_create(store, model, loss, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                                .learning_rate = 0.1, .metrics = wrong, .metric_count = 1);
  error = (mica_error){0};
  CHECK_STATUS(mica_trainer_step(trainer, tensors, 2, &error), MICA_INVALID);
  CHECK(strstr(error.message, "window is not an option") != NULL);
  mica_trainer_destroy(trainer), mica_store_destroy(store), mica_training_loop_destroy(loop);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
}

int main(int argc, char **argv) {
  static const check_case cases[] = {TEST_CASE(loop_over_data), TEST_CASE(same_as_by_hand),
                                     TEST_CASE(mistakes)};
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  device = mica_device_open(&options, NULL);
  int code = check_main(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
  mica_device_release(device);
  return code;
}
