/* SPDX-License-Identifier: Apache-2.0 */
/* A training loop that is looked at: what its view prints, logs and draws. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/ui.h"

static char text[1 << 18];
static const char *contents(FILE *file) {
  if (!file) return "";
  rewind(file);
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  return text;
}

static mica_value model(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  return mica_nn_dense(scope, in[0], .units = 1);
}
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_reduce_mean(mica_square(mica_sub(prediction, targets[0])), MICA_ALL);
}
static void measure(mica_value prediction, const mica_value *targets, mica_value *out, void *user) {
  (void)user;
  out[0] = mica_reduce_mean(mica_abs(mica_sub(prediction, targets[0])), MICA_ALL);
}

/* Epochs of five batches of y = 3 x. */
static mica_status next_batch(void *user, mica_tensor **batch, size_t count, bool *out_end,
                              mica_error *error) {
  int *at = user;
  (void)count, (void)error;
  *out_end = *at == 5;
  if (*out_end) {
    *at = 0;
    return MICA_OK;
  }
  double x[4], y[4];
  for (int i = 0; i < 4; i++) x[i] = sin(*at * 4 + i), y[i] = 3 * x[i];
  batch[0] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(4, 1), x);
  batch[1] = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(4, 1), y);
  ++*at;
  return MICA_OK;
}

/* y = 3 x, for evaluations. */
static mica_dataset *validation_rows(void) {
  double x[8], y[8];
  for (int i = 0; i < 8; i++) x[i] = i / 8.0, y[i] = 3 * x[i];
  mica_tensor *tensors[] = {mica_tensor_from_doubles(MICA_F32, MICA_DIMS(8, 1), x),
                            mica_tensor_from_doubles(MICA_F32, MICA_DIMS(8, 1), y)};
  mica_memory_options rows = {
      .struct_size = sizeof rows, .tensors = tensors, .count = 2, .batch = 4};
  mica_dataset *made = mica_dataset_from_tensors(&rows, NULL);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
  return made;
}

typedef struct {
  mica_device *device;
  mica_store *store;
  mica_trainer *trainer;
  mica_training_loop *loop;
} fixture;

static bool begin(fixture *f) {
  mica_error error = {0};
  f->device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .threads = 1}, &error);
  f->store = mica_store_create(f->device, 1);
  f->trainer = mica_trainer_create(f->store, model, loss, .optimizer = mica_optimizer_sgd(0),
                                   .learning_rate = 0.1, .measures = measure, .measure_count = 1);
  f->loop = mica_training_loop_create(f->trainer);
  return CHECK(f->loop);
}
static void end(fixture *f) {
  mica_training_loop_destroy(f->loop), mica_trainer_destroy(f->trainer);
  mica_store_destroy(f->store), mica_device_release(f->device);
}

static const char *const names[] = {"error"};

TEST(loops_are_shown) {
  fixture f;
  char command[4200], path[4200];
  const char *folder = check_temporary_path("shown");
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (!begin(&f) || !CHECK(system(command) == 0)) return;
  FILE *progress = tmpfile();
  mica_error error = {0};
  mica_training_view *view;
  mica_training_view_options o = {.struct_size = sizeof o,
                                  .title = "a run",
                                  .measures = names,
                                  .measure_count = 1,
                                  .progress = progress,
                                  .folder = folder,
                                  .page_seconds = 1e-6};
  if (!CHECK_OK_ERROR(mica_training_view_open(f.loop, &o, &view, &error), &error)) return;
  int at = 0;
  mica_dataset *valid = validation_rows();
  mica_evaluation evaluation = {.dataset = valid, .name = "valid"};
  CHECK_OK(
      mica_training_loop_on(f.loop, MICA_ON_EPOCH, mica_evaluation_hook, &evaluation, .every = 2));
  CHECK_OK_ERROR(mica_training_loop_run(f.loop, next_batch, &at, 0, 6, &error), &error);
  mica_dataset_destroy(valid);
  snprintf(path, sizeof path, "%s/plot.html.js", folder);
  CHECK_STR_CONTAINS(contents(fopen(path, "rb")),
                     "\"live\":1e-06"); /* it has been drawn on the way */
  CHECK_OK_ERROR(mica_training_view_report(view, "test", &(mica_metric){"error", 0.5}, 1, &error),
                 &error);
  CHECK_OK_ERROR(mica_training_view_close(view, &error), &error);
  CHECK_STR_CONTAINS(contents(fopen(path, "rb")), "\"live\":0,");

  mica_runs *runs;
  CHECK_OK(mica_runs_create(&runs, &error));
  CHECK_OK_ERROR(mica_runs_add(runs, folder, &error), &error);
  mica_runs_curve curve = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "loss");
  CHECK_EQ_INT(curve.count, 30);
  if (curve.count == 30) {
    CHECK(curve.value[29] < curve.value[0] / 10);
    CHECK(isnan(curve.epoch[0]) && curve.epoch[29] > 5.7 && curve.epoch[29] <= 6);
  }
  CHECK_EQ_INT(mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "error").count, 30);
  CHECK_EQ_INT(mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "learning rate").count, 30);
  curve = mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "test", "error");
  CHECK(curve.count == 1 && curve.step[0] == 30 && curve.epoch[0] == 6);
  curve = mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "valid", "error");
  CHECK(curve.count == 3 && curve.step[0] == 10);
  curve = mica_runs_find(runs, 0, MICA_METRICS_EVALUATION, "valid", "loss");
  CHECK(curve.count == 3 && curve.value[2] < curve.value[0]);
  mica_runs_destroy(runs);
  const char *printed = contents(progress);
  CHECK_STR_CONTAINS(printed, "a run ");
  CHECK_STR_CONTAINS(printed, "epoch 6/6  loss ");
  CHECK_STR_CONTAINS(printed, "  error ");
  CHECK_STR_CONTAINS(printed, "100 %");
  end(&f);
}

/* A run that goes on in the same folder goes on in the same log. */
TEST(resumed_runs_go_on) {
  const char *folder = check_temporary_path("resumed");
  char command[4200];
  mica_error error = {0};
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (!CHECK(system(command) == 0)) return;
  for (int life = 0; life < 2; life++) {
    fixture f;
    mica_training_view *view;
    mica_training_view_options o = {.struct_size = sizeof o, .folder = folder, .no_events = true};
    int at = 0;
    if (!begin(&f)) return;
    if (life) mica_training_loop_resume(f.loop, 6, 1); /* of eight steps made */
    CHECK_OK_ERROR(mica_training_view_open(f.loop, &o, &view, &error), &error);
    CHECK_OK_ERROR(mica_training_loop_run(f.loop, next_batch, &at, life ? 12 : 8, 0, &error),
                   &error);
    CHECK_OK(mica_training_view_close(view, &error));
    end(&f);
  }
  mica_runs *runs;
  CHECK_OK(mica_runs_create(&runs, &error));
  CHECK_OK_ERROR(mica_runs_add(runs, folder, &error), &error);
  mica_runs_curve curve = mica_runs_find(runs, 0, MICA_METRICS_TRAIN, NULL, "loss");
  CHECK_EQ_INT(curve.count, 12);
  for (int64_t i = 0; i < curve.count; i++) CHECK_NEAR(curve.step[i], i + 1, 0);
  mica_runs_destroy(runs);
}

TEST(wrong_views_are_refused) {
  fixture f;
  mica_error error = {0};
  mica_training_view *view;
  if (!begin(&f)) return;
  CHECK_STATUS(mica_training_view_open(NULL, NULL, &view, NULL), MICA_INVALID);
  mica_training_view_options o = {.struct_size = sizeof o, .measure_count = 1};
  CHECK_STATUS(mica_training_view_open(f.loop, &o, &view, NULL), MICA_INVALID);
  o = (mica_training_view_options){.struct_size = sizeof o, .folder = "/dev/null/folder"};
  CHECK_STATUS(mica_training_view_open(f.loop, &o, &view, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "/dev/null/folder");
  CHECK(!view);
  CHECK_STATUS(mica_training_view_report(NULL, NULL, NULL, 0, NULL), MICA_INVALID);
  CHECK_OK(mica_training_view_close(NULL, NULL));
  /* Nothing wanted: nothing done. */
  CHECK_OK(mica_training_view_open(f.loop, NULL, &view, NULL));
  int at = 0;
  error = (mica_error){0};
  CHECK_OK(mica_training_loop_run(f.loop, next_batch, &at, 3, 0, &error));
  CHECK_OK(mica_training_view_close(view, NULL));
  end(&f);
}

TEST_MAIN(TEST_CASE(loops_are_shown), TEST_CASE(resumed_runs_go_on),
          TEST_CASE(wrong_views_are_refused))
