/* SPDX-License-Identifier: Apache-2.0 */
/* The trainer and its loop: accumulation, averages, scaled losses, steps that are not finite, evaluation, hooks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/train.h"

enum { ROWS = 8, WIDTH = 4 };

static mica_device *device;

static mica_value linear(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  return mica_nn_dense(mica_scope_in(scope, "d"), in[0], .units = 1,
                       .kernel_initializer = mica_init_constant(0.5));
}
static mica_value with_norm(mica_scope *scope, const mica_value *in, void *user) {
  mica_value x = mica_nn_batch_norm(mica_scope_in(scope, "n"), in[0]);
  x = mica_nn_dropout(scope, x, 0.2);
  (void)user;
  return mica_nn_dense(mica_scope_in(scope, "d"), x, .units = 1, .l2 = 0.01);
}
static mica_value square(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_reduce_mean(
      mica_square(mica_sub(prediction, mica_convert(targets[0], mica_dtype_of(prediction)))),
      MICA_ALL);
}
static void measure(mica_value prediction, const mica_value *targets, mica_value *out, void *user) {
  (void)user;
  out[0] = mica_reduce_mean(mica_abs(mica_sub(prediction, targets[0])), MICA_ALL);
}

/* x [rows, 4], y [rows, 1] = x (1, 2, 3, 4) + 1; `row` of all data first. */
static void make_batch(int64_t row, int64_t rows, mica_tensor *batch[2]) {
  float x[64 * WIDTH], y[64];
  for (int64_t i = 0; i < rows; i++) {
    y[i] = 1;
    for (int64_t k = 0; k < WIDTH; k++) {
      x[i * WIDTH + k] = (float)sin((double)((row + i) * 7 + k * 3 + 1));
      y[i] += x[i * WIDTH + k] * (float)(k + 1);
    }
  }
  batch[0] = mica_tensor_from(MICA_F32, MICA_DIMS(rows, WIDTH), x);
  batch[1] = mica_tensor_from(MICA_F32, MICA_DIMS(rows, 1), y);
}
static void drop(mica_tensor *batch[2]) {
  mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
}

static bool step_on(mica_trainer *trainer, int64_t row, int64_t rows) {
  mica_tensor *batch[2];
  mica_error error = {0};
  make_batch(row, rows, batch);
  mica_status status = mica_trainer_step(trainer, batch, 2, &error);
  drop(batch);
  return CHECK_OK_ERROR(status, &error);
}

static mica_tensor *value_of(const mica_store *store, const char *path) {
  mica_store_entry entry;
  if (!mica_store_find(store, path, &entry)) {
    CHECK_FAIL("no variable %s", path);
    return NULL;
  }
  return mica_variable_snapshot(entry.variable);
}
static void check_same(const mica_store *a, const mica_store *b, const char *path,
                       double tolerance) {
  mica_tensor *x = value_of(a, path), *y = value_of(b, path);
  mica_closeness closeness = {0};
  if (x && y &&
      (mica_tensor_compare(x, y, tolerance, tolerance, &closeness, NULL) || !closeness.close))
    CHECK_FAIL("%s differs by %g", path, closeness.worst_error);
  mica_tensor_release(x), mica_tensor_release(y);
}

/* Four batches of two are a batch of eight. */
TEST(accumulation) {
  mica_store *one = mica_store_create(device, 1), *four = mica_store_create(device, 1);
  mica_trainer *whole =
      mica_trainer_create(one, linear, square, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                          .learning_rate = 0.1, .clip_norm = 1);
  mica_trainer *parts =
      mica_trainer_create(four, linear, square, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                          .learning_rate = 0.1, .clip_norm = 1, .accumulate = 4);
  for (int step = 0; step < 5; step++) {
    step_on(whole, step * 8, 8);
    for (int part = 0; part < 4; part++) {
      CHECK_EQ_INT(mica_trainer_updates(parts), step);
      step_on(parts, step * 8 + part * 2, 2);
    }
    check_same(one, four, "d/kernel", 1e-5);
    check_same(one, four, "d/bias", 1e-5);
  }
  CHECK_EQ_INT(mica_trainer_updates(parts), 5);
  CHECK_EQ_INT(mica_trainer_batches(parts), 20);
  mica_trainer_destroy(whole), mica_trainer_destroy(parts);
  mica_store_destroy(one), mica_store_destroy(four);
}

static double halving(int64_t step, void *user) { return *(double *)user * pow(0.5, (double)step); }

TEST(rates) {
  double first = 0.1;
  mica_store *a = mica_store_create(device, 1), *b = mica_store_create(device, 1);
  mica_trainer *by_function =
      mica_trainer_create(a, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0.9),
                          .rate = halving, .rate_user = &first);
  mica_trainer *by_hand =
      mica_trainer_create(b, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0.9));
  for (int step = 0; step < 4; step++) {
    mica_trainer_set_rate(by_hand, 2 * halving(step, &first));
    mica_trainer_scale_rate(by_hand, 0.5);
    step_on(by_function, step, 8), step_on(by_hand, step, 8);
    CHECK_NEAR(mica_trainer_last(by_function).learning_rate, halving(step, &first), 1e-12);
    check_same(a, b, "d/kernel", 1e-6);
  }
  /* Groups: a frozen bias, a kernel at half the rate. */
  mica_tensor *bias = value_of(a, "d/bias"), *kernel = value_of(a, "d/kernel");
  mica_trainer_destroy(by_function);
  CHECK_OK(mica_store_group(a, "**bias", .frozen = true));
  CHECK_OK(mica_store_group(a, "**kernel", .rate_factor = 0.5));
  by_function = mica_trainer_create(
      a, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0), .learning_rate = 0.1);
  step_on(by_function, 0, 8);
  mica_tensor *bias_now = value_of(a, "d/bias"), *kernel_now = value_of(a, "d/kernel");
  CHECK(mica_tensor_equal(bias, bias_now));
  CHECK(!mica_tensor_equal(kernel, kernel_now));
  mica_tensor_release(bias), mica_tensor_release(bias_now), mica_tensor_release(kernel),
      mica_tensor_release(kernel_now);
  mica_trainer_destroy(by_function), mica_trainer_destroy(by_hand);
  mica_store_destroy(a), mica_store_destroy(b);
}

TEST(averages) {
  mica_store *store = mica_store_create(device, 1);
  mica_trainer *trainer =
      mica_trainer_create(store, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0),
                          .learning_rate = 0.1, .ema = 0.9);
  double average = 0, now = 0;
  for (int step = 0; step < 6; step++) {
    step_on(trainer, step, 8);
    mica_tensor *bias = value_of(store, "d/bias");
    mica_tensor_read_doubles(bias, &now, 1, NULL);
    mica_tensor_release(bias);
    double decay = fmin(0.9, (1.0 + step) / (10 + step));
    average = decay * average + (1 - decay) * now; /* the bias starts at 0 */
  }
  mica_error error = {0};
  CHECK_OK_ERROR(mica_trainer_swap_average(trainer, &error), &error);
  mica_tensor *bias = value_of(store, "d/bias");
  double found = 0;
  mica_tensor_read_doubles(bias, &found, 1, NULL);
  CHECK_NEAR(found, average, 1e-6);
  mica_tensor_release(bias);
  CHECK_OK(mica_trainer_swap_average(trainer, NULL));
  bias = value_of(store, "d/bias");
  mica_tensor_read_doubles(bias, &found, 1, NULL);
  CHECK_NEAR(found, now, 0);
  mica_tensor_release(bias);
  mica_trainer_destroy(trainer);
  mica_store_destroy(store);
}

/* A batch that is not finite leaves everything as it was, and what it came from can be told. */
TEST(guard) {
  mica_store *store = mica_store_create(device, 1);
  mica_trainer *trainer =
      mica_trainer_create(store, with_norm, square, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                          .learning_rate = 0.1);
  step_on(trainer, 0, 8);
  CHECK(mica_trainer_last(trainer).total > mica_trainer_last(trainer).loss); /* l2 */
  mica_tensor *kernel = value_of(store, "d/kernel"), *mean = value_of(store, "n/mean"),
              *slot = value_of(mica_trainer_state(trainer), "slots/d/kernel/square");
  mica_tensor *batch[2];
  mica_error error = {0};
  make_batch(0, 8, batch);
  float bad[32];
  memcpy(bad, mica_tensor_data(batch[0]), sizeof bad);
  bad[5] = 3e38f;
  mica_tensor_write(batch[0], bad, sizeof bad, NULL);
  CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
  CHECK(mica_trainer_last(trainer).skipped);
  CHECK_EQ_INT(mica_trainer_updates(trainer), 1);
  CHECK_EQ_INT(mica_trainer_batches(trainer), 2);
  mica_tensor *kernel_now = value_of(store, "d/kernel"), *mean_now = value_of(store, "n/mean"),
              *slot_now = value_of(mica_trainer_state(trainer), "slots/d/kernel/square");
  CHECK(mica_tensor_equal(kernel, kernel_now));
  CHECK(mica_tensor_equal(mean, mean_now));
  CHECK(mica_tensor_equal(slot, slot_now));
  CHECK(mica_trainer_locate(trainer, batch, 2, &error) != MICA_OK);
  CHECK_STR_CONTAINS(error.message, "made infinity");
  CHECK_STR_CONTAINS(error.message, "in n");
  error = (mica_error){0};
  drop(batch);
  make_batch(0, 8, batch);
  CHECK_OK_ERROR(mica_trainer_locate(trainer, batch, 2, &error), &error);
  mica_tensor *again = value_of(store, "d/kernel");
  CHECK(mica_tensor_equal(kernel, again));
  drop(batch);
  mica_tensor_release(again);
  mica_tensor_release(kernel), mica_tensor_release(kernel_now), mica_tensor_release(mean),
      mica_tensor_release(mean_now);
  mica_tensor_release(slot), mica_tensor_release(slot_now);
  mica_trainer_destroy(trainer);
  mica_store_destroy(store);
}

/* Halves: the parameters stay f32, and the loss falls. */
TEST(halves) {
  const mica_dtype dtypes[2] = {MICA_F16, MICA_BF16};
  for (int i = 0; i < 2; i++) {
    mica_store *store = mica_store_create(device, 1);
    mica_trainer *trainer =
        mica_trainer_create(store, linear, square, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                            .learning_rate = 0.1, .compute = dtypes[i]);
    double first = 0;
    for (int step = 0; step < 150; step++) {
      step_on(trainer, step, 8);
      if (step == 0) first = mica_trainer_last(trainer).loss;
    }
    CHECK(mica_trainer_last(trainer).loss < 0.01 * first);
    mica_tensor *kernel = value_of(store, "d/kernel");
    CHECK_EQ_INT(mica_tensor_type(kernel).dtype, MICA_F32);
    mica_tensor_release(kernel);
    CHECK(mica_store_find(mica_trainer_state(trainer), "scale", NULL) == (dtypes[i] == MICA_F16));
    mica_trainer_destroy(trainer);
    mica_store_destroy(store);
  }
}

/* ---- the loop ------------------------------------------------------------------------------------------- */

typedef struct {
  int64_t at, batches;
} source;
static mica_status next_batch(void *user, mica_tensor **batch, size_t count, bool *out_end,
                              mica_error *error) {
  source *s = user;
  (void)count, (void)error;
  *out_end = s->at == s->batches;
  if (*out_end)
    s->at = 0;
  else
    make_batch(s->at++ * 8, 8, batch);
  return MICA_OK;
}

typedef struct {
  char text[400];
} record;
static void note(record *r, const char *what, int64_t number) {
  size_t length = strlen(r->text);
  snprintf(r->text + length, sizeof r->text - length, "%s%lld ", what, (long long)number);
}
#define HOOK(name, letter, field)                                                      \
  static mica_status name(mica_training_state *state, void *user, mica_error *error) { \
    (void)error;                                                                       \
    note(user, letter, state->field);                                                  \
    return MICA_OK;                                                                    \
  }
HOOK(on_start, "start", step)
HOOK(on_three, "s", step)
HOOK(on_times, "t", step)
HOOK(on_growing, "x", step)
HOOK(on_epoch, "epoch", epoch)
HOOK(on_end, "end", step)

static mica_status evaluated(mica_training_state *state, double *out, void *user,
                             mica_error *error) {
  mica_tensor *batch[2];
  (void)user;
  make_batch(1000, 16, batch);
  mica_trainer_clear_evaluation(state->trainer);
  mica_status status = mica_trainer_evaluate(state->trainer, batch, 2, error);
  drop(batch);
  *out = floor(mica_trainer_evaluation(state->trainer).loss * 10); /* coarse: it will stand still */
  return status;
}

TEST(loop) {
  mica_store *store = mica_store_create(device, 1);
  mica_trainer *trainer =
      mica_trainer_create(store, linear, square, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                          .learning_rate = 0.1, .measures = measure, .measure_count = 1);
  mica_training_loop *loop = mica_training_loop_create(trainer);
  record r = {""};
  source s = {0, 5};
  mica_error error = {0};
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, on_three, &r, .every = 3, .priority = 2));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, on_times, &r, .times = 2, .priority = 1));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, on_growing, &r, .exponential = 2));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_START, on_start, &r));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_EPOCH, on_epoch, &r));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_END, on_end, &r));
  CHECK_STATUS(mica_training_loop_on(loop, MICA_ON_STEP, on_end, &r, .every = 1, .times = 2),
               MICA_INVALID);
  CHECK_OK_ERROR(mica_training_loop_run(loop, next_batch, &s, 10, 0, &error), &error);
  CHECK_EQ_STR(r.text, "start0 x1 x2 s3 x4 t5 epoch1 s6 x8 s9 x10 t10 s10 end10 ");
  const mica_training_state *state = mica_training_loop_state(loop);
  CHECK(state->step_seconds > 0 && state->seconds >= state->step_seconds);
  CHECK(state->mean_loss > 0 && state->mean_measures[0] > 0);
  r.text[0] = 0;
  s.at = 0;
  mica_training_loop_resume(loop, 0, 0);
  CHECK_OK_ERROR(mica_training_loop_run(loop, next_batch, &s, 0, 2, &error), &error);
  CHECK_STR_CONTAINS(r.text, "epoch2 ");
  CHECK_EQ_INT(state->step, 10);
  mica_training_loop_destroy(loop);

  /* It stops when the evaluation no longer becomes better. */
  loop = mica_training_loop_create(trainer);
  mica_early_stopping stopping = {.measure = evaluated, .patience = 5};
  CHECK_OK(
      mica_training_loop_on(loop, MICA_ON_STEP, mica_early_stopping_hook, &stopping, .every = 10));
  CHECK_OK_ERROR(mica_training_loop_run(loop, next_batch, &s, 100000, 0, &error), &error);
  state = mica_training_loop_state(loop);
  CHECK(state->step < 20000 && state->step == stopping.best_step + 50);
  CHECK_NEAR(stopping.best, 0, 0);
  CHECK_EQ_STR(state->reason, "the measure has not become better");
  mica_training_loop_destroy(loop);

  /* Prediction and evaluation agree. */
  mica_tensor *batch[2], *out = NULL;
  make_batch(40, 16, batch);
  CHECK_OK_ERROR(mica_trainer_predict(trainer, batch, 1, &out, &error), &error);
  mica_trainer_clear_evaluation(trainer);
  CHECK(isnan(mica_trainer_evaluation(trainer).loss));
  CHECK_OK_ERROR(mica_trainer_evaluate(trainer, batch, 2, &error), &error);
  double squares = 0, sizes = 0;
  const float *p = mica_tensor_data(out), *y = mica_tensor_data(batch[1]);
  for (int i = 0; p && i < 16; i++)
    squares += pow((double)(p[i] - y[i]), 2) / 16, sizes += fabs((double)(p[i] - y[i])) / 16;
  CHECK_NEAR(mica_trainer_evaluation(trainer).loss, squares, 1e-6);
  CHECK_NEAR(mica_trainer_evaluation(trainer).measures[0], sizes, 1e-6);
  mica_tensor_release(out);
  drop(batch);
  mica_trainer_destroy(trainer);
  mica_store_destroy(store);
}

static mica_value explodes(mica_scope *scope, const mica_value *in, void *user) {
  mica_value x = linear(scope, in, user);
  mica_scope_push(mica_scope_graph(scope), "bang");
  x = mica_log(mica_sub(x, mica_abs(x))); /* of nothing or less */
  mica_scope_pop(mica_scope_graph(scope), "bang");
  return x;
}

static mica_status refuses(mica_training_state *state, void *user, mica_error *error) {
  (void)user;
  if (state->step < 2) return MICA_OK;
  return user ? MICA_IO : mica_error_set(error, MICA_INVALID, "I do not like step 2");
}
/* The second batch holds NaN. */
static mica_status next_with_nan(void *user, mica_tensor **batch, size_t count, bool *out_end,
                                 mica_error *error) {
  mica_status status = next_batch(user, batch, count, out_end, error);
  float x[32];
  if (status != MICA_OK || *out_end || ((source *)user)->at != 2) return status;
  memcpy(x, mica_tensor_data(batch[0]), sizeof x);
  x[4 * 2 + 1] = NAN;
  return mica_tensor_write(batch[0], x, sizeof x, error);
}

static mica_value positive_bias(const char *path, mica_value updated, void *user) {
  (void)user;
  return strcmp(path, "d/bias") == 0 ? mica_max(updated, 0.25) : updated;
}

/* The gradient by r is infinite, those by w are not. */
static mica_value with_root(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value w =
      mica_scope_variable(scope, "w", (mica_type){MICA_F32, MICA_DIMS(4, 1)}, mica_init_ones());
  mica_value r =
      mica_scope_variable(scope, "r", (mica_type){MICA_F32, MICA_DIMS(1)}, mica_init_zeros());
  return mica_add(mica_matmul(in[0], w), mica_sqrt(r)); /* the root has no derivative at 0 */
}

/* NaN is what is missing, and no harm; the root is the cause. */
static mica_value without_missing(mica_scope *scope, const mica_value *in, void *user) {
  mica_value there = mica_equal(in[0], in[0]);
  mica_value x = mica_select(there, in[0], mica_zeros_like(in[0]));
  return mica_add(linear(scope, &x, user), mica_sqrt(mica_scalar(x.graph, MICA_F32, -1)));
}

/* Values of options count: what is clipped, what may go wrong how often, and when time has passed. */
TEST(options) {
  mica_store *store = mica_store_create(device, 1);
  mica_error error = {0};
  mica_tensor *batch[2];
  source s = {0, 5};
  mica_trainer *trainer =
      mica_trainer_create(store, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0));
  make_batch(0, 8, batch);
  CHECK_STATUS(mica_trainer_step(trainer, batch, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "no learning rate");
  error = (mica_error){0};
  mica_trainer_set_rate(trainer, 0);
  CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
  mica_trainer_destroy(trainer);

  /* Each gradient is cut to 1e-3: a step of SGD moves by the rate times that. */
  trainer =
      mica_trainer_create(store, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0),
                          .learning_rate = 1, .clip_value = 1e-3);
  mica_tensor *before = value_of(store, "d/kernel");
  CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
  CHECK(mica_trainer_last(trainer).gradient_norm > 1e-2);
  mica_tensor *after = value_of(store, "d/kernel");
  const float *a = mica_tensor_data(before), *b = mica_tensor_data(after);
  for (int i = 0; a && b && i < 4; i++) CHECK_NEAR(fabsf(a[i] - b[i]), 1e-3, 1e-6);
  mica_tensor_release(before), mica_tensor_release(after);
  mica_trainer_destroy(trainer);

  /* The same of steps, whatever the optimizer; and a constraint, which has the last word. */
  trainer = mica_trainer_create(store, linear, square,
                                .optimizer = mica_optimizer_adam(.beta1 = 0.9), .learning_rate = 1,
                                .clip_step = 0.01, .constrain = positive_bias, .ema = 0.5);
  for (int i = 0; i < 6; i++) {
    before = value_of(store, "d/kernel");
    CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
    after = value_of(store, "d/kernel");
    a = mica_tensor_data(before), b = mica_tensor_data(after);
    for (int k = 0; a && b && k < 4; k++) CHECK_NEAR(fabsf(a[k] - b[k]), 0.01, 1e-6);
    mica_tensor_release(before), mica_tensor_release(after);
    after = value_of(store, "d/bias");
    CHECK(after && *(const float *)mica_tensor_data(after) >= 0.25F);
    mica_tensor_release(after);
  }
  after =
      value_of(mica_trainer_state(trainer), "average/d/bias/value"); /* of what was constrained */
  CHECK(after && *(const float *)mica_tensor_data(after) >= 0.1F);
  mica_tensor_release(after);
  mica_trainer_destroy(trainer);

  /* Without the guard a step that is not finite is made. */
  float bad[32];
  memcpy(bad, mica_tensor_data(batch[0]), sizeof bad);
  bad[3] = INFINITY;
  for (int i = 0; i < 2; i++) {
    mica_store *own = mica_store_create(device, 1);
    trainer =
        mica_trainer_create(own, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0),
                            .learning_rate = 1, .no_guard = i == 1);
    CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
    CHECK_OK(mica_tensor_write(batch[0], bad, sizeof bad, NULL));
    CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
    CHECK(mica_trainer_last(trainer).skipped);
    after = value_of(own, "d/kernel");
    b = mica_tensor_data(after);
    CHECK((b && isfinite(b[3])) == (i == 0));
    CHECK_EQ_INT(mica_trainer_updates(trainer), 1 + i);
    mica_tensor_release(after);
    mica_trainer_destroy(trainer), mica_store_destroy(own);
    bad[3] = i == 0 ? bad[2] : bad[3];
    CHECK_OK(mica_tensor_write(batch[0], bad, sizeof bad, NULL));
    bad[3] = INFINITY;
  }
  drop(batch);

  /* Gradients that are not finite may count as 0. */
  mica_store *roots = mica_store_create(device, 1);
  make_batch(0, 8, batch);
  trainer =
      mica_trainer_create(roots, with_root, square, .optimizer = mica_optimizer_sgd(.momentum = 0),
                          .learning_rate = 0.1, .zero_non_finite = true);
  CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
  CHECK(!mica_trainer_last(trainer).skipped);
  after = value_of(roots, "r");
  CHECK(after && *(const float *)mica_tensor_data(after) == 0);
  mica_tensor_release(after);
  after = value_of(roots, "w");
  b = mica_tensor_data(after);
  CHECK(b && isfinite(b[0]) && b[0] != 1);
  mica_tensor_release(after);
  mica_trainer_destroy(trainer), mica_store_destroy(roots);
  drop(batch);

  /* What is wrong with the data is said, unless so many steps are tolerated. */
  trainer = mica_trainer_create(
      store, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0), .learning_rate = 0.01);
  mica_training_loop *loop = mica_training_loop_create(trainer);
  CHECK_STATUS(mica_training_loop_run(loop, next_with_nan, &s, 10, 0, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message,
                     "step 2: the loss is not finite: array 0 of the batch holds NaN at [2, 1]");
  error = (mica_error){0};
  s = (source){0, 5};
  mica_training_loop_resume(loop, 0, 0);
  mica_training_loop_tolerate(loop, 1);
  CHECK_OK_ERROR(mica_training_loop_run(loop, next_with_nan, &s, 10, 0, &error), &error);
  mica_training_loop_destroy(loop);
  mica_trainer *missing =
      mica_trainer_create(store, without_missing, square,
                          .optimizer = mica_optimizer_sgd(.momentum = 0), .learning_rate = 0.01);
  loop = mica_training_loop_create(missing);
  s = (source){0, 5};
  mica_training_loop_tolerate(loop, 1);
  CHECK_STATUS(mica_training_loop_run(loop, next_with_nan, &s, 10, 0, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "array 0 of the batch holds NaN at [2, 1]; ");
  CHECK_STR_CONTAINS(error.message, "sqrt");
  error = (mica_error){0};
  mica_training_loop_destroy(loop);
  mica_trainer_destroy(missing);

  /* Hooks by time, and what their failures are called. */
  loop = mica_training_loop_create(trainer);
  record often = {""}, seldom = {""};
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, on_three, &often, .every_seconds = 1e-9));
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, on_three, &seldom, .every_seconds = 1e6));
  s = (source){0, 5};
  CHECK_OK_ERROR(mica_training_loop_run(loop, next_batch, &s, 3, 0, &error), &error);
  CHECK_EQ_STR(often.text, "s1 s2 s3 ");
  CHECK_EQ_STR(seldom.text, "s3 "); /* the last step counts for all */
  mica_training_loop_destroy(loop);
  for (int i = 0; i < 2; i++) {
    loop = mica_training_loop_create(trainer);
    CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, refuses, i ? &s : NULL, .name = "critic"));
    s = (source){0, 5};
    error = (mica_error){0};
    CHECK(mica_training_loop_run(loop, next_batch, &s, 3, 0, &error) != MICA_OK);
    CHECK_EQ_STR(error.message, i ? "critic: input/output error" : "critic: I do not like step 2");
    mica_training_loop_destroy(loop);
  }
  mica_trainer_destroy(trainer);

  /* Mistakes in options are told one by one. */
  trainer =
      mica_trainer_create(store, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0),
                          .learning_rate = 1, .ema = 2);
  make_batch(0, 8, batch);
  error = (mica_error){0};
  CHECK_STATUS(mica_trainer_step(trainer, batch, 2, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "the trainer's option ema: expected a number in (0, 1)");
  mica_trainer_destroy(trainer);
  CHECK_OK(mica_store_group(store, "**", .frozen = true));
  CHECK_OK(mica_store_group(store, "**_lora_?", .trained = true));
  trainer = mica_trainer_create(store, linear, square,
                                .optimizer = mica_optimizer_sgd(.momentum = 0), .learning_rate = 1);
  error = (mica_error){0};
  CHECK_STATUS(mica_trainer_step(trainer, batch, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message,
                     "no variables to train; all that it has are states or frozen; "
                     "groups that no variable belongs to: \"**_lora_?\"");
  drop(batch);
  mica_trainer_destroy(trainer);
  mica_store_destroy(store);
}

/* 1, 2, 2.05, 2.1, .. 2.35 */
static mica_status rising(mica_training_state *state, double *out, void *user, mica_error *error) {
  (void)user, (void)error;
  *out = state->step < 3 ? (double)state->step : 2 + 0.05 * (double)(state->step - 2);
  return MICA_OK;
}
TEST(stopping) {
  mica_store *store = mica_store_create(device, 1);
  mica_error error = {0};
  mica_trainer *trainer = mica_trainer_create(
      store, linear, square, .optimizer = mica_optimizer_sgd(.momentum = 0), .learning_rate = 0.01);
  /* Larger is better, by more than 0.12: steps 1 and 2, then not for two; by anything: it never ends. The smallest: the first. */
  const struct {
    mica_early_stopping rule;
    int64_t best_step, end;
  } rows[] = {{{.measure = rising, .patience = 2, .maximize = true, .least_change = 0.12}, 2, 4},
              {{.measure = rising, .patience = 3, .maximize = true}, 30, 30},
              {{.measure = rising, .patience = 3}, 1, 4}};
  for (int i = 0; i < 3; i++) {
    mica_training_loop *loop = mica_training_loop_create(trainer);
    mica_early_stopping rule = rows[i].rule;
    source s = {0, 5};
    CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, mica_early_stopping_hook, &rule));
    CHECK_OK_ERROR(mica_training_loop_run(loop, next_batch, &s, 30, 0, &error), &error);
    CHECK_EQ_INT(rule.best_step, rows[i].best_step);
    CHECK_EQ_INT(mica_training_loop_state(loop)->step, rows[i].end);
    mica_training_loop_destroy(loop);
  }
  mica_trainer_destroy(trainer), mica_store_destroy(store);
}

TEST(mistakes) {
  mica_store *store = mica_store_create(device, 1);
  mica_trainer *trainer =
      mica_trainer_create(store, explodes, square, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                          .learning_rate = 0.1);
  mica_training_loop *loop = mica_training_loop_create(trainer);
  source s = {0, 5};
  mica_error error = {0};
  CHECK_STATUS(mica_training_loop_run(loop, next_batch, &s, 10, 0, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "step 1: the loss is ");
  CHECK_STR_CONTAINS(error.message, "log");
  CHECK_STR_CONTAINS(error.message, "bang");
  s.batches = 0;
  s.at = 0;
  error = (mica_error){0};
  CHECK_STATUS(mica_training_loop_run(loop, next_batch, &s, 0, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "without batches");
  mica_training_loop_destroy(loop);
  mica_tensor *batch[2];
  make_batch(0, 8, batch);
  error = (mica_error){0};
  CHECK_STATUS(mica_trainer_step(trainer, batch, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "a batch of 1 arrays, expected 2");
  CHECK_STATUS(mica_trainer_step(NULL, batch, 2, NULL), MICA_INVALID);
  error = (mica_error){0};
  CHECK_STATUS(mica_trainer_swap_average(trainer, &error), MICA_INVALID);
  drop(batch);
  mica_trainer_destroy(trainer);
  CHECK(mica_trainer_create(NULL, linear, square) == NULL);
  mica_trainer_destroy(NULL), mica_training_loop_destroy(NULL);
  mica_store_destroy(store);
}

int main(int argc, char **argv) {
  static const check_case cases[] = {
      TEST_CASE(accumulation), TEST_CASE(rates),    TEST_CASE(averages),
      TEST_CASE(guard),        TEST_CASE(halves),   TEST_CASE(loop),
      TEST_CASE(options),      TEST_CASE(stopping), TEST_CASE(mistakes)};
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  device = mica_device_open(&options, NULL);
  int code = check_main(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
  mica_device_release(device);
  return code;
}
