/* SPDX-License-Identifier: Apache-2.0 */
/* trainer_metrics.c: metrics as parts of a trainer. Their states are variables of its own store, metrics/training/accuracy0/total,
 * which the executables of steps and evaluations update; another executable makes results of them when somebody asks. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/builder.h"
#include "train/trainer_internal.h"

static const char *rule_name(const mica_metric_definition *metric) {
  const char *name = metric->rule == NULL ? "metric" : metric->rule->name, *head = "metric_";
  return strncmp(name, head, strlen(head)) == 0 ? name + strlen(head) : name;
}

static mica_scope *metric_scope(const trainer_metrics *which, mica_scope *state, size_t index) {
  mica_scope *scope = mica_scope_shared(mica_scope_shared(state, "metrics"), which->scope);
  char name[96];
  snprintf(name, sizeof name, "%.80s%zu", rule_name(&which->trainer->metrics[index]), index);
  return mica_scope_shared(scope, name);
}

/* The state of a metric as a trace sees it; returns of how many values it is. */
static size_t read_metric(const mica_metric_definition *metric, mica_scope *scope,
                          mica_metric_slot *slots, mica_value *values) {
  mica_error error = {0};
  size_t count = mica_metric_state(metric, slots, &error);
  if (count == 0)
    mica_fail(mica_scope_graph(scope), MICA_INVALID, "trainer: %.500s",
              error.status == MICA_OK ? "a metric without a state" : error.message);
  for (size_t i = 0; i < count; i++)
    values[i] =
        mica_scope_state(scope, slots[i].name, slots[i].type, mica_init_constant(slots[i].initial));
  return count;
}

void mica_trainer_update_metrics(const trainer_metrics *which, mica_scope *state,
                                 mica_value prediction, const mica_value *targets,
                                 mica_value apply) {
  const mica_trainer_args *a = &which->trainer->args;
  if (!mica_is_valid(prediction)) return;
  for (size_t i = 0; i < a->metric_count; i++) {
    const mica_metric_definition *metric = &which->trainer->metrics[i];
    mica_metric_slot slots[MICA_METRIC_MOST_STATES];
    mica_value now[MICA_METRIC_MOST_STATES], next[MICA_METRIC_MOST_STATES];
    mica_scope *scope = metric_scope(which, state, i);
    mica_metric_args in = {
        .struct_size = sizeof in, .prediction = prediction, .target = targets[0]};
    if (a->metric_inputs != NULL) a->metric_inputs(i, prediction, targets, &in, a->user);
    size_t count = read_metric(metric, scope, slots, now);
    if (count == 0) return;
    mica_metric_update_with(metric, &in, now, next);
    for (size_t k = 0; k < count; k++) {
      if (apply.graph != NULL) next[k] = mica_select(apply, next[k], now[k]);
      mica_scope_assign(scope, slots[k].name, next[k]);
    }
  }
}

static void build_results(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const trainer_metrics *which = user;
  mica_scope *state = mica_scope_open(which->trainer->state, graph, false);
  (void)in;
  for (size_t i = 0; i < which->trainer->args.metric_count; i++) {
    const mica_metric_definition *metric = &which->trainer->metrics[i];
    mica_metric_slot slots[MICA_METRIC_MOST_STATES];
    mica_value now[MICA_METRIC_MOST_STATES];
    size_t count = read_metric(metric, metric_scope(which, state, i), slots, now);
    out[i] = count == 0 ? (mica_value){.graph = graph} : mica_metric_result(metric, now);
  }
  mica_scope_close(state);
}

mica_status mica_trainer_reset_metrics(const trainer_metrics *which, mica_error *error) {
  const mica_trainer *trainer = which->trainer;
  mica_status status = MICA_OK;
  for (size_t i = 0; i < trainer->args.metric_count; i++) {
    mica_metric_slot slots[MICA_METRIC_MOST_STATES];
    size_t count = mica_metric_state(&trainer->metrics[i], slots, NULL);
    for (size_t k = 0; k < count && status == MICA_OK; k++) {
      char path[256];
      mica_store_entry entry;
      snprintf(path, sizeof path, "metrics/%s/%.80s%zu/%.80s", which->scope,
               rule_name(&trainer->metrics[i]), i, slots[k].name);
      if (!mica_store_find(trainer->state, path, &entry)) continue; /* it is yet to be made */
      int64_t size = mica_shape_count(slots[k].type.shape);
      double *values = mica_allocate_zeroed(&trainer->allocator, (size_t)size, sizeof *values);
      for (int64_t j = 0; values != NULL && j < size; j++) values[j] = slots[k].initial;
      mica_tensor *tensor = values == NULL ? NULL
                                           : mica_tensor_from_doubles(slots[k].type.dtype,
                                                                      slots[k].type.shape, values);
      status = tensor == NULL ? mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for metrics")
                              : mica_variable_set(entry.variable, tensor, error);
      mica_tensor_release(tensor);
      if (values != NULL) mica_free(&trainer->allocator, values, (size_t)size * sizeof *values);
    }
  }
  return status;
}

mica_status mica_trainer_clear_metrics(mica_trainer *trainer, mica_error *error) {
  if (trainer == NULL) return mica_error_set(error, MICA_INVALID, "the trainer is NULL");
  return mica_trainer_reset_metrics(&trainer->training, error);
}

size_t mica_trainer_metric_count(const mica_trainer *trainer) {
  return trainer == NULL ? 0 : trainer->args.metric_count;
}
const char *mica_trainer_metric_name(const mica_trainer *trainer, size_t index) {
  return index < mica_trainer_metric_count(trainer) ? rule_name(&trainer->metrics[index]) : "";
}

mica_status mica_trainer_metrics(mica_trainer *trainer, bool training, mica_tensor **out,
                                 size_t count, mica_error *error) {
  if (trainer == NULL || out == NULL)
    return mica_error_set(error, MICA_INVALID, "the %s is NULL",
                          trainer == NULL ? "trainer" : "list of results");
  if (count != trainer->args.metric_count)
    return mica_error_set(error, MICA_INVALID, "%zu results are asked for, expected %zu", count,
                          trainer->args.metric_count);
  if (count == 0) return MICA_OK;
  if (count > MICA_TRAINER_MOST_METRICS || trainer->args.metrics == NULL)
    return mica_error_set(error, MICA_INVALID, "expected at most %d metrics",
                          MICA_TRAINER_MOST_METRICS);
  trainer_metrics *which = training ? &trainer->training : &trainer->evaluation;
  if (!training && trainer->evaluation_begins) {
    mica_status status = mica_trainer_reset_metrics(which, error);
    if (status != MICA_OK) return status;
    trainer->evaluation_begins = false;
  }
  if (which->results == NULL)
    which->results = mica_jit_create(mica_store_device(trainer->state), build_results,
                                     .outputs = count, .user = which);
  if (which->results == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for metrics");
  return mica_jit_call(which->results, NULL, 0, out, count, error);
}

mica_status mica_trainer_metric_numbers(mica_trainer *trainer, bool training, double *out,
                                        size_t count, mica_error *error) {
  mica_tensor *results[MICA_TRAINER_MOST_METRICS] = {NULL};
  mica_status status = count > MICA_TRAINER_MOST_METRICS
                           ? mica_error_set(error, MICA_INVALID, "expected at most %d metrics",
                                            MICA_TRAINER_MOST_METRICS)
                           : mica_trainer_metrics(trainer, training, results, count, error);
  for (size_t i = 0; i < count && status == MICA_OK; i++) {
    out[i] = NAN;
    if (mica_shape_count(mica_tensor_type(results[i]).shape) == 1)
      status = mica_tensor_read_doubles(results[i], &out[i], 1, error);
  }
  for (size_t i = 0; i < count && i < MICA_TRAINER_MOST_METRICS; i++)
    mica_tensor_release(results[i]);
  return status;
}
