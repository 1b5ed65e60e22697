/* SPDX-License-Identifier: Apache-2.0 */
/* A run that is stopped in the middle of an epoch and goes on from its checkpoint, in objects of its own or in another process,
 * equals the run that was not stopped, bit for bit: with shuffling, a parallel map, reading ahead, dropout, batch
 * norm, accumulation, averages, scaled losses of f16, metrics, a plateau and early stopping, all at once. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "mica/data.h"
#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/train.h"

enum { ROWS = 70, WIDTH = 6, BATCH = 8, STEPS = 41, STOP = 20 };

static mica_value model(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value x = mica_nn_dense(mica_scope_in(scope, "one"), in[0], .units = 16);
  x = mica_nn_batch_norm(mica_scope_in(scope, "norm"), mica_relu(x));
  x = mica_nn_dropout(mica_scope_in(scope, "drop"), x, 0.3);
  return mica_nn_dense(mica_scope_in(scope, "two"), x, .units = 3, .l2 = 0.001);
}
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0]);
}
static void measures(mica_value prediction, const mica_value *targets, mica_value *out,
                     void *user) {
  (void)user;
  mica_value right = mica_equal(mica_arg_max(prediction, -1), targets[0]);
  out[0] = mica_reduce_mean(mica_convert(right, MICA_F32), MICA_ALL);
}

/* Noise by position: what a map on threads draws has to be the same when the epoch is read again from its middle. */
static mica_status add_noise(void *user, mica_map_position position, const mica_batch *in,
                             mica_batch *out, mica_error *error) {
  (void)user;
  float x[BATCH * WIDTH];
  mica_type type = mica_tensor_type(in->tensor[0]);
  int64_t count = mica_shape_count(type.shape);
  mica_status status = mica_tensor_read(in->tensor[0], x, (size_t)count * sizeof x[0], error);
  for (int64_t i = 0; i < count && status == MICA_OK; i++) {
    uint32_t words[4];
    mica_map_random(11, position, (uint32_t)i, words);
    x[i] += 0.1f * ((float)(words[0] >> 8) / 16777216.0f - 0.5f);
  }
  out->count = 2;
  out->tensor[0] = mica_tensor_from(MICA_F32, type.shape, x);
  out->tensor[1] = mica_tensor_retain(in->tensor[1]);
  return status;
}

/* One run with all that belongs to it. */
typedef struct {
  mica_device *device;
  mica_store *store;
  mica_trainer *trainer;
  mica_training_loop *loop;
  mica_dataset *data;
  mica_plateau plateau;
  mica_early_stopping stopping;
  mica_training_checkpoints saved;
  double losses[STEPS]; /* with their measures and scale: all that is seen of a step */
  double scores[STEPS];
} run;

static mica_status mean_loss(mica_training_state *state, double *out, void *user,
                             mica_error *error) {
  (void)user, (void)error;
  *out = state->mean_loss;
  return MICA_OK;
}
static mica_status watch_step(mica_training_state *state, void *user, mica_error *error) {
  run *r = user;
  double accuracy = 0;
  r->losses[state->step - 1] = state->last.loss;
  mica_status status = mica_trainer_metric_numbers(state->trainer, true, &accuracy, 1, error);
  r->scores[state->step - 1] = accuracy + 10 * state->mean_loss + 100 * state->last.measures[0] +
                               1e4 * state->last.learning_rate + 1e6 * state->last.gradient_norm;
  if (state->step % 5 == 0)
    mica_trainer_scale_rate(
        state->trainer,
        mica_plateau_update(&r->plateau, state->mean_loss,
                            &(mica_plateau_args){.struct_size = sizeof(mica_plateau_args),
                                                 .factor = 0.5,
                                                 .patience = 1,
                                                 .threshold = 0.2}));
  return status;
}

static bool open_run(run *r, const char *folder) {
  mica_error error = {0};
  float x[ROWS * WIDTH];
  int32_t y[ROWS];
  for (int i = 0; i < ROWS; i++) {
    y[i] = (i * 7 + i / 3) % 3;
    for (int k = 0; k < WIDTH; k++)
      x[i * WIDTH + k] = (float)(sin(i * 3.7 + k * 1.3) + (y[i] == k ? 1 : 0));
  }
  mica_tensor *tensors[] = {mica_tensor_from(MICA_F32, MICA_DIMS(ROWS, WIDTH), x),
                            mica_tensor_from(MICA_I32, MICA_DIMS(ROWS), y)};
  *r = (run){.saved = {.struct_size = sizeof r->saved, .folder = folder, .keep = 3}};
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  r->device = mica_device_open(&options, &error);
  r->store = mica_store_create(r->device, 5);
  const mica_metric_definition metrics[] = {mica_metric_accuracy()};
  r->trainer = mica_trainer_create(
      r->store, model, loss, .optimizer = mica_optimizer_adamw(.weight_decay = 0.01),
      .learning_rate = 0.02, .measures = measures, .measure_count = 1, .accumulate = 3,
      .clip_norm = 1, .compute = MICA_F16, .ema = 0.95, .metrics = metrics, .metric_count = 1);
  r->loop = mica_training_loop_create(r->trainer);
  r->data =
      mica_dataset_from_tensors(&(mica_memory_options){.struct_size = sizeof(mica_memory_options),
                                                       .tensors = tensors,
                                                       .count = 2,
                                                       .batch = BATCH,
                                                       .shuffle = true,
                                                       .seed = 9},
                                &error);
  r->data = mica_dataset_parallel_map(r->data, add_noise, NULL, 3, true, &error);
  r->data = mica_dataset_upload(r->data, r->device, 3, &error);
  r->stopping = (mica_early_stopping){.measure = mean_loss, .patience = 1000};
  r->saved.plateau = &r->plateau;
  r->saved.stopping = &r->stopping;
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
  return CHECK_OK_ERROR(error.status, &error) &&
         CHECK_OK(mica_training_loop_on(r->loop, MICA_ON_STEP, watch_step, r)) &&
         CHECK_OK(mica_training_loop_on(r->loop, MICA_ON_STEP, mica_early_stopping_hook,
                                        &r->stopping, .every = 4));
}
static void close_run(run *r) {
  mica_dataset_destroy(r->data);
  mica_training_loop_destroy(r->loop);
  mica_trainer_destroy(r->trainer);
  mica_store_destroy(r->store);
  mica_device_release(r->device);
}

/* All variables of both stores, the same names and bits. */
static void check_stores(const mica_store *a, const mica_store *b) {
  mica_store_entry x, y;
  CHECK_EQ_INT(mica_store_count(a), mica_store_count(b));
  CHECK(mica_store_count(a) > 0);
  for (size_t i = 0; mica_store_get(a, i, &x); i++) {
    if (!mica_store_find(b, x.path, &y)) {
      CHECK_FAIL("%s is missing", x.path);
      continue;
    }
    mica_tensor *v = mica_variable_snapshot(x.variable), *w = mica_variable_snapshot(y.variable);
    if (!mica_tensor_equal(v, w)) CHECK_FAIL("%s differs", x.path);
    CHECK_EQ_INT(x.trainable, y.trainable);
    mica_tensor_release(v), mica_tensor_release(w);
  }
}
static void check_runs(const run *whole, const run *parts, int from) {
  for (int i = from; i < STEPS; i++)
    if (memcmp(&whole->losses[i], &parts->losses[i], sizeof(double)) != 0 ||
        memcmp(&whole->scores[i], &parts->scores[i], sizeof(double)) != 0)
      CHECK_FAIL("step %d: loss %.17g, resumed %.17g, scores %.17g, %.17g", i + 1, whole->losses[i],
                 parts->losses[i], whole->scores[i], parts->scores[i]);
  check_stores(whole->store, parts->store);
  check_stores(mica_trainer_state(whole->trainer), mica_trainer_state(parts->trainer));
  CHECK_EQ_BYTES(&whole->plateau, &parts->plateau, sizeof whole->plateau);
  CHECK(whole->stopping.best == parts->stopping.best && whole->stopping.bad == parts->stopping.bad);
  CHECK_EQ_INT(mica_training_loop_state(whole->loop)->epoch,
               mica_training_loop_state(parts->loop)->epoch);
}

/* Up to a step, saved there. */
static void first_part(const char *folder, int64_t steps) {
  mica_error error = {0};
  run r;
  if (open_run(&r, folder)) {
    CHECK_OK_ERROR(mica_training_loop_run_dataset(r.loop, r.data, steps, 0, &error), &error);
    CHECK_OK_ERROR(mica_training_save(r.loop, r.data, &r.saved, &error), &error);
  }
  close_run(&r);
}

/* Goes on from there in objects of its own, and compares with the whole run. */
static void second_part(const run *whole, const char *folder, int64_t steps) {
  mica_error error = {0};
  bool found = false;
  run r;
  if (open_run(&r, folder) &&
      CHECK_OK_ERROR(
          mica_training_restore(r.loop, r.data, &r.saved, MICA_CHECKPOINT_NEWEST, &found, &error),
          &error) &&
      CHECK(found)) {
    CHECK_EQ_INT(mica_training_loop_state(r.loop)->step, steps);
    CHECK_OK_ERROR(mica_training_loop_run_dataset(r.loop, r.data, STEPS, 0, &error), &error);
    check_runs(whole, &r, (int)steps);
  }
  close_run(&r);
}

static void whole_run(run *whole) {
  mica_error error = {0};
  if (!open_run(whole, NULL)) return;
  CHECK_OK_ERROR(mica_training_loop_run_dataset(whole->loop, whole->data, STEPS, 0, &error),
                 &error);
  CHECK(whole->losses[STEPS - 1] < whole->losses[0]);
  CHECK(whole->plateau.scale < 1); /* the rate has fallen: there is something to restore */
}

/* Stopped within an epoch of nine batches, at its end and at its beginning, within accumulation and between. */
TEST(resumed_in_new_objects) {
  static const int64_t stops[] = {1, 9, 18, 20, 23};
  run whole;
  whole_run(&whole);
  for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s-%d", check_temporary_path("objects"), (int)stops[i]);
    first_part(folder, stops[i]);
    second_part(&whole, folder, stops[i]);
  }
  close_run(&whole);
}

/* The first part runs in a process of its own, whose save is the hook's, and which then ends without a word. */
TEST(resumed_in_another_process) {
  const char *folder = check_temporary_path("process");
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    run r;
    mica_error error = {0};
    bool good = open_run(&r, folder) &&
                !mica_training_loop_on(r.loop, MICA_ON_STEP, mica_training_save_hook, &r.saved,
                                       .every = STOP, .priority = 1000) &&
                !mica_training_loop_run_dataset(r.loop, r.data, STOP + 7, 0, &error);
    /* The last step is saved as well: that one is taken away, as if the process had died before. */
    good = good && !mica_checkpoint_delete(folder, STOP + 7, &error);
    if (good && check_failure_count() == 0) raise(SIGKILL);
    _exit(1);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
        WTERMSIG(status) == SIGKILL);
  run whole;
  whole_run(&whole);
  second_part(&whole, folder, STOP);
  close_run(&whole);
}

static void hear(void *user, const char *line) {
  char *all = user;
  strncat(all, line, 999 - strlen(all));
  strncat(all, "\n", 999 - strlen(all));
}

/* A damaged checkpoint that is passed over and settings that are others now are told. */
TEST(what_is_told) {
  const char *folder = check_temporary_path("told");
  char command[1200], heard[1000] = "";
  mica_error error = {0};
  bool found = false;
  run r;
  snprintf(command, sizeof command, "rm -rf '%.900s'", folder);
  if (!CHECK(system(command) == 0) || !open_run(&r, folder)) return;
  mica_store *store = mica_trainer_store(r.trainer);
  CHECK_OK(mica_store_set_number(store, "pace", 0.5, &error));
  CHECK_OK(mica_store_set_text(store, "kind", "plain", &error));
  CHECK_OK_ERROR(mica_training_loop_run_dataset(r.loop, r.data, 1, 0, &error), &error);
  CHECK_OK_ERROR(mica_training_save(r.loop, r.data, &r.saved, &error), &error);
  CHECK_OK_ERROR(mica_training_loop_run_dataset(r.loop, r.data, 2, 0, &error), &error);
  CHECK_OK_ERROR(mica_training_save(r.loop, r.data, &r.saved, &error), &error);
  snprintf(command, sizeof command, "truncate -s -9 '%.900s'/step-000000000002*/model.safetensors",
           folder);
  CHECK(system(command) == 0);
  CHECK_OK(mica_store_set_number(store, "pace", 0.25, &error));
  r.saved.report = hear, r.saved.report_user = heard;
  CHECK_OK_ERROR(
      mica_training_restore(r.loop, r.data, &r.saved, MICA_CHECKPOINT_NEWEST, &found, &error),
      &error);
  CHECK(found);
  CHECK_EQ_INT(mica_training_loop_state(r.loop)->step, 1);
  CHECK_STR_CONTAINS(heard, "passed over: ");
  CHECK_STR_CONTAINS(heard, "step-000000000002/model.safetensors: ");
  CHECK_STR_CONTAINS(heard, "setting pace=0.25, saved with 0.5\n");
  CHECK(strstr(heard, "kind") == NULL);
  close_run(&r);
}

/* What does not fit is refused, and nothing has changed. */
TEST(foreign_checkpoints) {
  const char *folder = check_temporary_path("foreign");
  mica_error error = {0};
  bool found = true;
  run r;
  (void)mica_checkpoint_delete(folder, 3, NULL); /* of an earlier run of this test */
  if (!open_run(&r, folder)) return;
  CHECK_OK(mica_training_restore(r.loop, r.data, &r.saved, MICA_CHECKPOINT_NEWEST, &found, &error));
  CHECK(!found);
  CHECK_STATUS(mica_training_restore(r.loop, r.data, &r.saved, 7, &found, NULL), MICA_NOT_FOUND);
  CHECK_OK_ERROR(mica_training_loop_run_dataset(r.loop, r.data, 3, 0, &error), &error);
  CHECK_OK(mica_training_save(r.loop, NULL, &r.saved, &error));
  CHECK_STATUS(mica_training_restore(r.loop, r.data, &r.saved, 3, &found, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "no position of a data set");
  error = (mica_error){0};

  mica_store *store = mica_store_create(r.device, 1);
  mica_trainer *other = mica_trainer_create(store, model, loss, .learning_rate = 1,
                                            .optimizer = mica_optimizer_sgd(.momentum = 0));
  mica_training_loop *loop = mica_training_loop_create(other);
  mica_tensor *extra = mica_tensor_scalar(MICA_F32, 4);
  CHECK_OK(mica_store_put(store, "extra/head", extra, true, &error));
  CHECK_STATUS(mica_training_restore(loop, NULL, &r.saved, 3, &found, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "has no variable \"extra.head\"");
  CHECK_EQ_INT(mica_store_count(store), 1);
  error = (mica_error){0};
  mica_training_checkpoints nowhere = {.struct_size = sizeof nowhere};
  CHECK_STATUS(mica_training_save(loop, NULL, &nowhere, &error), MICA_INVALID);
  CHECK_STATUS(mica_training_save(NULL, NULL, &nowhere, NULL), MICA_INVALID);
  mica_tensor_release(extra);
  mica_training_loop_destroy(loop), mica_trainer_destroy(other), mica_store_destroy(store);
  close_run(&r);
}

/* The disk is full when a checkpoint is saved: the run ends with what was wrong, the checkpoint before is whole, and the same
 * objects go on to what the undisturbed run comes to. */
TEST(full_disk) {
  const char *folder = check_temporary_path("full");
  mica_error error = {0};
  struct rlimit all, few;
  bool found = false;
  run whole, r;
  whole_run(&whole);
  if (open_run(&r, folder)) {
    CHECK_OK(mica_training_loop_on(r.loop, MICA_ON_STEP, mica_training_save_hook, &r.saved,
                                   .name = "checkpoints", .every = STOP, .priority = 1000));
    CHECK_OK_ERROR(mica_training_loop_run_dataset(r.loop, r.data, STOP, 0, &error), &error);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ_INT(getrlimit(RLIMIT_FSIZE, &all), 0);
    few = all;
    few.rlim_cur = 600;
    CHECK_EQ_INT(setrlimit(RLIMIT_FSIZE, &few), 0);
    mica_status status = mica_training_loop_run_dataset(r.loop, r.data, 30, 0, &error);
    CHECK_EQ_INT(setrlimit(RLIMIT_FSIZE, &all), 0);
    CHECK_STATUS(status, MICA_IO);
    CHECK_STR_CONTAINS(error.message, "cannot write");
    CHECK_EQ_INT(mica_training_loop_state(r.loop)->step, 30);
    error = (mica_error){0};
    CHECK_OK_ERROR(mica_training_loop_run_dataset(r.loop, r.data, STEPS, 0, &error), &error);
    check_runs(&whole, &r, 0);
    CHECK_OK(mica_checkpoint_delete(folder, STEPS, &error));
    CHECK_OK(mica_checkpoint_delete(folder, 40, &error));
    close_run(&r);
    if (open_run(&r, folder)) {
      CHECK_OK_ERROR(
          mica_training_restore(r.loop, r.data, &r.saved, MICA_CHECKPOINT_NEWEST, &found, &error),
          &error);
      CHECK(found && mica_training_loop_state(r.loop)->step == STOP);
    }
  }
  close_run(&r);
  close_run(&whole);
}

TEST_MAIN(TEST_CASE(resumed_in_another_process), TEST_CASE(full_disk),
          TEST_CASE(resumed_in_new_objects), TEST_CASE(what_is_told),
          TEST_CASE(foreign_checkpoints))
