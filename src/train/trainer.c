/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.c: the life of a trainer and what is called of it; the graphs are in trainer_step.c. */
#include "train/trainer_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/device.h"
#include "core/tensor.h"
#include "data/dataset.h"

/* ---- life ------------------------------------------------------------------------------------------------ */

mica_trainer *mica_trainer_create_with(const mica_trainer_args *given) {
  if (given == NULL || given->store == NULL) return NULL;
  mica_device *device = mica_store_device(given->store);
  mica_allocator allocator = mica_device_allocator(device);
  mica_trainer *trainer = mica_allocate_zeroed(&allocator, 1, sizeof *trainer);
  if (trainer == NULL) return NULL;
  mica_copy_options(&trainer->args, sizeof trainer->args, given);
  mica_trainer_args *a = &trainer->args;
  if (a->inputs == 0) a->inputs = 1;
  if (a->targets == 0) a->targets = 1;
  trainer->allocator = allocator;
  trainer->rate_scale = 1;
  trainer->updates = -1;
  trainer->evaluation_begins = true;
  trainer->training = (trainer_metrics){.trainer = trainer, .scope = "training"};
  trainer->evaluation = (trainer_metrics){.trainer = trainer, .scope = "evaluation"};
  for (size_t i = 0; i < a->metric_count && i < MICA_TRAINER_MOST_METRICS && a->metrics != NULL;
       i++)
    trainer->metrics[i] = a->metrics[i];
  trainer->state = mica_store_create(device, mica_store_seed(a->store));
  trainer->rate32 = mica_tensor_scalar(MICA_F32, 0);
  trainer->rate64 = mica_tensor_scalar(MICA_F64, 0);
  size_t arrays = a->inputs + a->targets;
  trainer->step =
      mica_jit_create(device, a->mesh != NULL ? mica_trainer_mesh_step : mica_trainer_build_step,
                      .inputs = arrays + 1, .outputs = 2, .user = trainer);
  trainer->evaluate = mica_jit_create(
      device, a->mesh != NULL ? mica_trainer_mesh_evaluation : mica_trainer_build_evaluation,
      .inputs = arrays, .outputs = 2, .user = trainer);
  trainer->predict = mica_jit_create(
      device, a->mesh != NULL ? mica_trainer_mesh_prediction : mica_trainer_build_prediction,
      .inputs = a->inputs, .outputs = 1, .user = trainer);
  mica_mesh_retain((mica_mesh *)(uintptr_t)a->mesh);              /* only counted */
  if (a->mesh != NULL) (void)mica_trainer_lay_out(trainer, NULL); /* the first step says why not */
  if (trainer->state != NULL && trainer->rate32 != NULL && trainer->rate64 != NULL &&
      trainer->step != NULL && trainer->evaluate != NULL && trainer->predict != NULL)
    return trainer;
  mica_trainer_destroy(trainer);
  return NULL;
}

void mica_trainer_destroy(mica_trainer *trainer) {
  if (trainer == NULL) return;
  mica_mesh_release((mica_mesh *)(uintptr_t)trainer->args.mesh);
  mica_jit_destroy(trainer->step);
  mica_jit_destroy(trainer->evaluate);
  mica_jit_destroy(trainer->predict);
  mica_jit_destroy(trainer->training.results);
  mica_jit_destroy(trainer->evaluation.results);
  mica_tensor_release(trainer->rate32);
  mica_tensor_release(trainer->rate64);
  mica_tensor_release(trainer->loss);
  mica_tensor_release(trainer->numbers);
  mica_tensor_release(trainer->evaluated_loss);
  mica_tensor_release(trainer->evaluated_numbers);
  mica_store_destroy(trainer->state);
  mica_allocator allocator = trainer->allocator;
  mica_free(&allocator, trainer, sizeof *trainer);
}

mica_store *mica_trainer_state(const mica_trainer *trainer) {
  return trainer == NULL ? NULL : trainer->state;
}
mica_store *mica_trainer_store(const mica_trainer *trainer) {
  return trainer == NULL ? NULL : trainer->args.store;
}
mica_trainer_result mica_trainer_last(const mica_trainer *trainer) { return trainer->last; }

void mica_trainer_set_rate(mica_trainer *trainer, double rate) {
  trainer->args.learning_rate = rate;
  trainer->args.rate = NULL;
  trainer->rate_was_set = true;
}
void mica_trainer_scale_rate(mica_trainer *trainer, double factor) { trainer->rate_scale = factor; }

static int64_t read_counter(const mica_trainer *trainer, const char *name) {
  mica_store_entry entry;
  if (!mica_store_find(trainer->state, name, &entry)) return 0;
  mica_tensor *now = mica_variable_snapshot(entry.variable);
  int64_t count = 0;
  if (now != NULL) mica_tensor_read(now, &count, sizeof count, NULL);
  mica_tensor_release(now);
  return count;
}
int64_t mica_trainer_updates(const mica_trainer *trainer) {
  return read_counter(trainer, "updates");
}
int64_t mica_trainer_batches(const mica_trainer *trainer) {
  return read_counter(trainer, "batches");
}

/* ---- steps ------------------------------------------------------------------------------------------------- */

/* What is wrong with the options; NULL: nothing. */
static const char *wrong_option(const mica_trainer_args *a) {
  if (a->inputs + a->targets > MICA_TRAINER_MOST_ARRAYS)
    return "inputs and targets: expected at most 16 arrays";
  if (a->measure_count > MICA_TRAINER_MOST_MEASURES) return "measure_count: expected at most 16";
  if (a->measure_count > 0 && a->measures == NULL) return "measures: expected a function";
  if (a->metric_count > MICA_TRAINER_MOST_METRICS) return "metric_count: expected at most 16";
  if (a->metric_count > 0 && a->metrics == NULL) return "metrics: expected an array";
  if (a->accumulate < 0) return "accumulate: expected 0 or more";
  if (a->ema != 0 && !(a->ema > 0 && a->ema < 1)) return "ema: expected a number in (0, 1)";
  if (!(a->clip_norm >= 0) || !(a->clip_value >= 0) || !(a->clip_step >= 0))
    return "clip_norm, clip_value or clip_step: expected 0 or more";
  if (a->compute != MICA_DTYPE_NONE && !mica_dtype_is_float(a->compute))
    return "compute: expected a float dtype";
  return NULL;
}

static mica_status check_batch(const mica_trainer *trainer, mica_tensor *const *batch, size_t count,
                               size_t expected, mica_error *error) {
  if (trainer == NULL) return mica_error_set(error, MICA_INVALID, "the trainer is NULL");
  const mica_trainer_args *a = &trainer->args;
  if (a->model == NULL || (a->loss == NULL && expected > a->inputs))
    return mica_error_set(error, MICA_INVALID, "the trainer has no %s",
                          a->model == NULL ? "model" : "loss");
  const char *wrong = wrong_option(a);
  if (wrong != NULL) return mica_error_set(error, MICA_INVALID, "the trainer's option %s", wrong);
  if (count != expected)
    return mica_error_set(error, MICA_INVALID, "a batch of %zu arrays, expected %zu", count,
                          expected);
  for (size_t i = 0; i < count; i++)
    if (batch == NULL || batch[i] == NULL)
      return mica_error_set(error, MICA_INVALID, "array %zu of the batch is NULL", i);
  return MICA_OK;
}

static double next_rate(mica_trainer *trainer) {
  const mica_trainer_args *a = &trainer->args;
  double rate = a->learning_rate;
  if (a->rate != NULL) {
    if (trainer->updates < 0) trainer->updates = mica_trainer_updates(trainer);
    rate = a->rate(trainer->updates, a->rate_user);
  }
  return rate * trainer->rate_scale;
}

/* Numbers of a step or an evaluation into a result. */
static mica_status read_step_result(const mica_trainer *trainer, const mica_tensor *loss,
                                    const mica_tensor *numbers, mica_trainer_result *out,
                                    mica_error *error) {
  float values[TRAINER_MEASURES + MICA_TRAINER_MOST_MEASURES];
  size_t count = TRAINER_MEASURES + trainer->args.measure_count;
  mica_status status = mica_tensor_read_doubles(loss, &out->loss, 1, error);
  if (status == MICA_OK) status = mica_tensor_read(numbers, values, count * sizeof(float), error);
  if (status != MICA_OK) return status;
  out->total = (double)values[TRAINER_TOTAL];
  out->gradient_norm = (double)values[TRAINER_NORM];
  out->skipped = values[TRAINER_FINITE] == 0;
  for (size_t i = 0; i < trainer->args.measure_count; i++)
    out->measures[i] = (double)values[TRAINER_MEASURES + i];
  return MICA_OK;
}

/* The batch and the rate, of the widest dtype that the batch has. */
static mica_status step_inputs(mica_trainer *trainer, mica_tensor *const *batch, size_t count,
                               double rate, mica_tensor **in, mica_error *error) {
  bool wide = false;
  for (size_t i = 0; i < count; i++) {
    in[i] = batch[i];
    wide = wide || mica_tensor_type(batch[i]).dtype == MICA_F64;
  }
  in[count] = wide ? trainer->rate64 : trainer->rate32;
  float narrow = (float)rate;
  return wide ? mica_tensor_write(trainer->rate64, &rate, sizeof rate, error)
              : mica_tensor_write(trainer->rate32, &narrow, sizeof narrow, error);
}

mica_status mica_trainer_step(mica_trainer *trainer, mica_tensor *const *batch, size_t count,
                              mica_error *error) {
  mica_tensor *in[MICA_TRAINER_MOST_ARRAYS + 1], *out[2];
  size_t expected = trainer == NULL ? 0 : trainer->args.inputs + trainer->args.targets;
  mica_status status = check_batch(trainer, batch, count, expected, error);
  if (status != MICA_OK) return status;
  if (trainer->args.rate == NULL && trainer->args.learning_rate == 0 && !trainer->rate_was_set)
    return mica_error_set(error, MICA_INVALID,
                          "the trainer has no learning rate: expected .learning_rate or .rate "
                          "(mica_trainer_set_rate(trainer, 0) to train with none)");
  double rate = next_rate(trainer);
  status = step_inputs(trainer, batch, count, rate, in, error);
  out[0] = trainer->loss;
  out[1] = trainer->numbers;
  if (status == MICA_OK) status = mica_jit_call(trainer->step, in, count + 1, out, 2, error);
  if (status != MICA_OK) return status;
  trainer->loss = out[0];
  trainer->numbers = out[1];
  trainer->last.learning_rate = rate;
  status = read_step_result(trainer, out[0], out[1], &trainer->last, error);
  /* The count of updates is kept by the state; where it may differ from the batches it is read again. */
  bool counted = trainer->updates >= 0 && trainer->args.accumulate <= 1 && !trainer->last.skipped;
  trainer->updates = counted ? trainer->updates + 1 : -1;
  return status;
}

mica_status mica_trainer_evaluate(mica_trainer *trainer, mica_tensor *const *batch, size_t count,
                                  mica_error *error) {
  size_t expected = trainer == NULL ? 0 : trainer->args.inputs + trainer->args.targets;
  mica_status status = check_batch(trainer, batch, count, expected, error);
  if (status != MICA_OK) return status;
  if (trainer->evaluation_begins) status = mica_trainer_reset_metrics(&trainer->evaluation, error);
  if (status != MICA_OK) return status;
  trainer->evaluation_begins = false;
  mica_tensor *out[2] = {trainer->evaluated_loss, trainer->evaluated_numbers};
  status = mica_jit_call(trainer->evaluate, batch, count, out, 2, error);
  if (status != MICA_OK) return status;
  trainer->evaluated_loss = out[0];
  trainer->evaluated_numbers = out[1];
  mica_trainer_result result = {0};
  status = read_step_result(trainer, out[0], out[1], &result, error);
  if (status != MICA_OK) return status;
  mica_type type = mica_tensor_type(batch[0]);
  double weight = type.shape.rank > 0 ? (double)type.shape.dim[0] : 1;
  trainer->weight += weight;
  trainer->sums[0] += weight * result.loss;
  trainer->sums[1] += weight * result.total;
  for (size_t i = 0; i < trainer->args.measure_count; i++)
    trainer->sums[2 + i] += weight * result.measures[i];
  return MICA_OK;
}

mica_status mica_trainer_evaluate_dataset(mica_trainer *trainer, mica_dataset *dataset,
                                          mica_error *error) {
  if (trainer == NULL || dataset == NULL)
    return mica_error_set(error, MICA_INVALID, "the %s is NULL",
                          trainer == NULL ? "trainer" : "data set");
  mica_batch batch = {0};
  mica_trainer_clear_evaluation(trainer);
  mica_status status = mica_dataset_begin(dataset, 0, error);
  while (status == MICA_OK) {
    status = mica_dataset_next(dataset, &batch, error);
    if (status != MICA_OK || batch.count == 0) break;
    status = mica_trainer_evaluate(trainer, batch.tensor, (size_t)batch.count, error);
  }
  mica_batch_clear(&batch);
  return status;
}

mica_status mica_trainer_predict_dataset(mica_trainer *trainer, mica_dataset *dataset,
                                         mica_tensor **out, mica_error *error) {
  if (out != NULL) *out = NULL;
  if (trainer == NULL || dataset == NULL || out == NULL)
    return mica_error_set(error, MICA_INVALID, "the %s is NULL",
                          trainer == NULL   ? "trainer"
                          : dataset == NULL ? "data set"
                                            : "prediction");
  mica_batch batch = {0};
  mica_row_parts parts = {0};
  mica_status status = mica_dataset_begin(dataset, 0, error);
  while (status == MICA_OK) {
    mica_tensor *part = NULL;
    status = mica_dataset_next(dataset, &batch, error);
    if (status != MICA_OK || batch.count == 0) break;
    size_t given = (size_t)batch.count, inputs = trainer->args.inputs;
    status =
        mica_trainer_predict(trainer, batch.tensor, given < inputs ? given : inputs, &part, error);
    if (status == MICA_OK)
      status = mica_row_parts_add(&parts, part, "predictions of a data set", error);
    mica_tensor_release(part);
  }
  mica_batch_clear(&batch);
  if (status == MICA_OK) status = mica_row_parts_join(&parts, out, error);
  mica_row_parts_clear(&parts);
  return status;
}

mica_trainer_result mica_trainer_evaluation(const mica_trainer *trainer) {
  mica_trainer_result result = {0};
  double weight = trainer->weight == 0 ? NAN : trainer->weight;
  result.loss = trainer->sums[0] / weight;
  result.total = trainer->sums[1] / weight;
  for (size_t i = 0; i < trainer->args.measure_count; i++)
    result.measures[i] = trainer->sums[2 + i] / weight;
  return result;
}
void mica_trainer_clear_evaluation(mica_trainer *trainer) {
  memset(trainer->sums, 0, sizeof trainer->sums);
  trainer->weight = 0;
  trainer->evaluation_begins = true;
}

mica_status mica_trainer_predict(mica_trainer *trainer, mica_tensor *const *inputs, size_t count,
                                 mica_tensor **out, mica_error *error) {
  size_t expected = trainer == NULL ? 0 : trainer->args.inputs;
  mica_status status = check_batch(trainer, inputs, count, expected, error);
  if (status != MICA_OK) return status;
  return mica_jit_call(trainer->predict, inputs, count, out, 1, error);
}

/* ---- averages -------------------------------------------------------------------------------------------------- */

mica_status mica_trainer_swap_average(mica_trainer *trainer, mica_error *error) {
  if (trainer == NULL) return mica_error_set(error, MICA_INVALID, "the trainer is NULL");
  mica_store_entry average, parameter;
  mica_status status = MICA_OK;
  size_t swapped = 0;
  for (size_t i = 0; status == MICA_OK && mica_store_get(trainer->state, i, &average); i++) {
    char path[512];
    size_t head = strlen("average/"), tail = strlen("/value"), size = strlen(average.path);
    if (strncmp(average.path, "average/", head) != 0 || size >= sizeof path) continue;
    snprintf(path, sizeof path, "%.*s", (int)(size - head - tail), average.path + head);
    if (!mica_store_find(trainer->args.store, path, &parameter)) continue;
    mica_tensor *mean = mica_variable_snapshot(average.variable);
    mica_tensor *now = mica_variable_snapshot(parameter.variable);
    status = mica_variable_set(parameter.variable, mean, error);
    if (status == MICA_OK) status = mica_variable_set(average.variable, now, error);
    mica_tensor_release(mean);
    mica_tensor_release(now);
    swapped++;
  }
  if (status == MICA_OK && swapped == 0)
    return mica_error_set(
        error, MICA_INVALID,
        "there are no averages: expected a trainer with ema, after its first step");
  return status;
}

/* ---- where a NaN comes from --------------------------------------------------------------------------------------- */

/* The values of all variables of a store, which another device may then read, or (restore) back again. */
static mica_status keep_values(mica_store *store, mica_tensor **values, size_t count, bool restore,
                               mica_error *error) {
  mica_status status = MICA_OK;
  mica_store_entry entry;
  for (size_t i = 0; i < count && mica_store_get(store, i, &entry); i++) {
    if (!restore) {
      values[i] = mica_variable_snapshot(entry.variable);
      mica_tensor *here = mica_tensor_on_host(values[i], error);
      if (values[i] != NULL && here == NULL) status = MICA_OUT_OF_MEMORY;
      if (here != NULL && here != values[i] && status == MICA_OK)
        status = mica_variable_set(entry.variable, here, error);
      mica_tensor_release(here);
      continue;
    }
    if (values[i] != NULL && mica_variable_set(entry.variable, values[i], error) != MICA_OK)
      status = MICA_INTERNAL;
    mica_tensor_release(values[i]);
  }
  return status;
}

mica_status mica_trainer_locate(mica_trainer *trainer, mica_tensor *const *batch, size_t count,
                                mica_error *error) {
  size_t expected = trainer == NULL ? 0 : trainer->args.inputs + trainer->args.targets;
  mica_status status = check_batch(trainer, batch, count, expected, error);
  if (status != MICA_OK) return status;
  mica_device *own = mica_store_device(trainer->args.store);
  const char *backend = mica_device_backend(own);
  /* Not every backend runs step by step; cpu does. */
  if (strcmp(backend, "reference") != 0) backend = "cpu";
  mica_device_options options = {.struct_size = sizeof options,
                                 .backend = backend,
                                 .threads = mica_device_threads(own),
                                 .find_nan = true};
  mica_device *device = mica_device_open(&options, error);
  if (device == NULL) return MICA_INVALID;
  size_t kept = mica_store_count(trainer->args.store), more = mica_store_count(trainer->state);
  mica_tensor **values =
      mica_allocate_zeroed(&trainer->allocator, kept + more, sizeof(mica_tensor *));
  mica_tensor *in[MICA_TRAINER_MOST_ARRAYS + 1] = {NULL}, *out[2] = {NULL, NULL};
  mica_tensor *here[MICA_TRAINER_MOST_ARRAYS] = {NULL};
  status = values == NULL ? mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to look for a NaN")
                          : MICA_OK;
  for (size_t i = 0; i < count && status == MICA_OK; i++)
    if ((here[i] = mica_tensor_on_host(batch[i], error)) == NULL) status = MICA_OUT_OF_MEMORY;
  if (status == MICA_OK) status = step_inputs(trainer, here, count, next_rate(trainer), in, error);
  if (status == MICA_OK) {
    status = keep_values(trainer->args.store, values, kept, false, error);
    mica_status other = keep_values(trainer->state, values + kept, more, false, error);
    if (status == MICA_OK) status = other;
    if (status == MICA_OK)
      status =
          mica_call_once(device, mica_trainer_build_step, trainer, in, count + 1, out, 2, error);
    keep_values(trainer->args.store, values, kept, true, NULL);
    keep_values(trainer->state, values + kept, more, true, NULL);
  }
  for (size_t i = 0; i < count; i++) mica_tensor_release(here[i]);
  mica_tensor_release(out[0]);
  mica_tensor_release(out[1]);
  mica_free(&trainer->allocator, values, (kept + more) * sizeof(mica_tensor *));
  mica_device_release(device);
  return status;
}
