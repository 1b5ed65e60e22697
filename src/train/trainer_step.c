/* SPDX-License-Identifier: Apache-2.0 */
/* trainer_step.c: the graph of one step. Variables of the model come from its store; all else that has to be kept from step to
 * step is a state of the trainer's own store. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/builder.h"
#include "nn/guard.h"
#include "train/trainer_internal.h"

/* ---- the model ----------------------------------------------------------------------------------------- */

typedef struct {
  mica_value prediction, loss, total; /* floats; loss and total [] */
  mica_value measures[MICA_TRAINER_MOST_MEASURES];
} model_outcome;

static mica_value run_model(const mica_trainer *trainer, mica_scope *scope, const mica_value *in) {
  const mica_trainer_args *a = &trainer->args;
  mica_value inputs[MICA_TRAINER_MOST_ARRAYS];
  for (size_t i = 0; i < a->inputs; i++) {
    inputs[i] = in[i];
    if (a->compute != MICA_DTYPE_NONE && mica_dtype_is_float(mica_dtype_of(in[i])))
      inputs[i] = mica_convert(in[i], a->compute);
  }
  return a->model(scope, inputs, a->user);
}

static void run_loss(const mica_trainer *trainer, mica_scope *scope, const mica_value *in,
                     model_outcome *out) {
  const mica_trainer_args *a = &trainer->args;
  mica_graph *graph = mica_scope_graph(scope);
  out->prediction = mica_widen(run_model(trainer, scope, in));
  out->loss = a->loss(out->prediction, in + a->inputs, a->user);
  if (mica_is_valid(out->loss) &&
      (mica_rank_of(out->loss) != 0 || !mica_dtype_is_float(mica_dtype_of(out->loss)))) {
    char type[160];
    mica_type_format(mica_type_of(out->loss), type, sizeof type);
    mica_fail(graph, MICA_INVALID, "trainer: the loss is %s: expected a float []", type);
  }
  out->loss = mica_widen(out->loss);
  out->total = out->loss;
  mica_value others = mica_scope_losses(scope);
  if (others.graph != NULL)
    out->total = mica_add(out->loss, mica_convert(others, mica_dtype_of(out->loss)));
  for (size_t i = 0; i < a->measure_count; i++) out->measures[i] = (mica_value){0};
  if (a->measure_count > 0) a->measures(out->prediction, in + a->inputs, out->measures, a->user);
}

/* total, norm, finite, measures: f32 [3 + measures]. */
static mica_value number_vector(const mica_trainer *trainer, const model_outcome *outcome,
                                mica_value norm, mica_value finite) {
  mica_graph *graph = outcome->total.graph;
  mica_value parts[TRAINER_MEASURES + MICA_TRAINER_MOST_MEASURES];
  mica_value zero = mica_scalar(graph, MICA_F32, 0);
  parts[TRAINER_TOTAL] = mica_convert(outcome->total, MICA_F32);
  parts[TRAINER_NORM] = norm.graph == NULL ? zero : mica_convert(norm, MICA_F32);
  parts[TRAINER_FINITE] = finite.graph == NULL ? zero : mica_convert(finite, MICA_F32);
  for (size_t i = 0; i < trainer->args.measure_count; i++)
    parts[TRAINER_MEASURES + i] = mica_convert(outcome->measures[i], MICA_F32);
  return mica_stack(parts, TRAINER_MEASURES + trainer->args.measure_count, 0);
}

void mica_trainer_build_evaluation(mica_graph *graph, const mica_value *in, mica_value *out,
                                   void *user) {
  const mica_trainer *trainer = user;
  mica_scope *scope = mica_scope_open(trainer->args.store, graph, false);
  mica_scope *state = mica_scope_open(trainer->state, graph, false);
  model_outcome outcome;
  run_loss(trainer, scope, in, &outcome);
  mica_trainer_update_metrics(&trainer->evaluation, state, outcome.prediction,
                              in + trainer->args.inputs, (mica_value){0});
  out[0] = outcome.loss;
  out[1] = number_vector(trainer, &outcome, (mica_value){0}, (mica_value){0});
  mica_scope_close(scope);
  mica_scope_close(state);
}

void mica_trainer_build_prediction(mica_graph *graph, const mica_value *in, mica_value *out,
                                   void *user) {
  const mica_trainer *trainer = user;
  mica_scope *scope = mica_scope_open(trainer->args.store, graph, false);
  out[0] = mica_widen(run_model(trainer, scope, in));
  mica_scope_close(scope);
}

/* ---- the step ------------------------------------------------------------------------------------------- */

/* All parameters of a step; arrays of `count`, in one block of memory. */
typedef struct {
  const mica_trainer *trainer;
  mica_scope *state;
  size_t count, slot_count;
  mica_value *parameters, *gradients, *updated; /* [count] */
  mica_value *slots, *new_slots;                /* [count MICA_OPTIMIZER_MOST_SLOTS] */
  mica_variable **variables;
  mica_store_entry *entries;
  mica_optimizer_group *groups;
  void *memory;
  size_t bytes;
} step_work;

static bool make_work(step_work *w, mica_scope *scope) {
  w->count = mica_scope_trainable(scope, 0, NULL, NULL, NULL);
  size_t most = w->count * MICA_OPTIMIZER_MOST_SLOTS;
  w->bytes = w->count * (3 * sizeof(mica_value) + sizeof(mica_variable *) +
                         sizeof(mica_store_entry) + sizeof(mica_optimizer_group)) +
             2 * most * sizeof(mica_value);
  char *memory = mica_allocate_zeroed(&w->trainer->allocator, 1, w->bytes);
  if (memory == NULL) return false;
  w->memory = memory;
  w->parameters = (mica_value *)(void *)memory;
  w->gradients = w->parameters + w->count;
  w->updated = w->gradients + w->count;
  w->slots = w->updated + w->count;
  w->new_slots = w->slots + most;
  w->entries = (mica_store_entry *)(void *)(w->new_slots + most);
  w->groups = (mica_optimizer_group *)(void *)(w->entries + w->count);
  w->variables = (mica_variable **)(void *)(w->groups + w->count);
  mica_scope_trainable(scope, w->count, w->parameters, w->variables, w->entries);
  for (size_t i = 0; i < w->count; i++)
    w->groups[i] = (mica_optimizer_group){.rate_factor = w->entries[i].rate_factor,
                                          .decay_factor = w->entries[i].decay_factor};
  return true;
}

/* The scope first/<path of a parameter> of the trainer's state. */
static mica_scope *parameter_scope(mica_scope *state, const char *first, const char *path) {
  mica_scope *scope = mica_scope_shared(state, first);
  char name[512];
  while (*path != 0) {
    size_t size = strcspn(path, "/");
    if (size >= sizeof name) return scope;
    memcpy(name, path, size);
    name[size] = 0;
    scope = mica_scope_shared(scope, name);
    path += size + (path[size] == '/');
  }
  return scope;
}

/* A state of the trainer's that starts as a parameter is. */
static mica_value copy_of_parameter(mica_value key, mica_type type, void *user) {
  mica_value value = mica_variable_read(key.graph, user);
  return mica_is_valid(value) ? mica_convert(value, type.dtype) : value;
}
static mica_initializer init_as(mica_variable *variable) {
  mica_initializer initializer = {.kind = MICA_INITIALIZER_BUILD};
  initializer.build = copy_of_parameter;
  initializer.user = variable;
  return initializer;
}

static mica_value counter(mica_scope *state, const char *name) {
  return mica_scope_state(state, name, (mica_type){MICA_I64, {0}}, mica_init_zeros());
}

/* The sum over batches; *ready says whether it is complete, and gradients are then its mean. */
static void accumulate(step_work *w, mica_value batches, mica_value finite, mica_value *ready) {
  const mica_trainer_args *a = &w->trainer->args;
  mica_value *sums = w->slots, *next = w->new_slots; /* not in use yet */
  for (size_t i = 0; i < w->count; i++) {
    mica_type type = mica_type_of(w->gradients[i]);
    mica_scope *scope = parameter_scope(w->state, "sums", w->entries[i].path);
    sums[i] = mica_scope_state(scope, "sum", type, mica_init_zeros());
    if (finite.graph != NULL) /* one that is not finite adds nothing */
      w->gradients[i] = mica_select(finite, w->gradients[i], mica_zeros_like(w->gradients[i]));
  }
  mica_accumulate_gradients(sums, w->gradients, w->count, batches, a->accumulate, next, w->updated,
                            ready);
  for (size_t i = 0; i < w->count; i++) w->gradients[i] = w->updated[i];
  for (size_t i = 0; i < w->count; i++)
    mica_scope_assign(parameter_scope(w->state, "sums", w->entries[i].path), "sum", next[i]);
}

static void read_slots(step_work *w) {
  mica_error error = {0};
  w->slot_count = 0;
  for (size_t i = 0; i < w->count; i++) {
    mica_optimizer_slot slots[MICA_OPTIMIZER_MOST_SLOTS];
    size_t count =
        mica_optimizer_slots(&w->trainer->args.optimizer, w->entries[i].type, slots, &error);
    if (error.status != MICA_OK) {
      mica_fail(mica_scope_graph(w->state), error.status, "trainer: %s", error.message);
      return;
    }
    mica_scope *scope = parameter_scope(w->state, "slots", w->entries[i].path);
    for (size_t k = 0; k < count; k++)
      w->slots[w->slot_count++] = mica_scope_state(
          scope, slots[k].name, slots[k].type,
          slots[k].is_parameter ? init_as(w->variables[i]) : mica_init_constant(slots[k].initial));
  }
}

static void store_slots(const step_work *w) {
  size_t at = 0;
  for (size_t i = 0; i < w->count; i++) {
    mica_optimizer_slot slots[MICA_OPTIMIZER_MOST_SLOTS];
    size_t count =
        mica_optimizer_slots(&w->trainer->args.optimizer, w->entries[i].type, slots, NULL);
    mica_scope *scope = parameter_scope(w->state, "slots", w->entries[i].path);
    for (size_t k = 0; k < count; k++) mica_scope_assign(scope, slots[k].name, w->new_slots[at++]);
  }
}

static void update_ema(const step_work *w, mica_value updates, mica_value apply) {
  double decay = w->trainer->args.ema;
  for (size_t i = 0; decay > 0 && i < w->count; i++) {
    mica_scope *scope = parameter_scope(w->state, "average", w->entries[i].path);
    mica_value average =
        mica_scope_state(scope, "value", w->entries[i].type, init_as(w->variables[i]));
    mica_value next = mica_moving_average(average, w->updated[i], decay, updates);
    if (apply.graph != NULL) next = mica_select(apply, next, average);
    mica_scope_assign(scope, "value", next);
  }
}

/* Gradients of the loss, by way of a scaled one for f16; *finite and the state of the scale. */
static void take_gradients(step_work *w, mica_scope *scope, const model_outcome *outcome,
                           mica_value *norm, mica_value *finite) {
  const mica_trainer_args *a = &w->trainer->args;
  mica_value loss = outcome->total;
  bool scaled = a->compute == MICA_F16;
  mica_loss_scale scale = {{0}, {0}};
  if (scaled) {
    scale.scale =
        mica_scope_state(w->state, "scale", (mica_type){MICA_F32, {0}}, mica_init_constant(65536));
    scale.streak =
        mica_scope_state(w->state, "streak", (mica_type){MICA_I32, {0}}, mica_init_zeros());
    loss = mica_mul(loss, mica_convert(scale.scale, mica_dtype_of(loss)));
  }
  mica_gradients(loss, w->parameters, w->count, w->gradients);
  for (size_t i = 0; scaled && i < w->count; i++)
    w->gradients[i] = mica_unscale(w->gradients[i], scale.scale);
  for (size_t i = 0; a->zero_non_finite && i < w->count; i++)
    w->gradients[i] = mica_zero_non_finite(w->gradients[i]);
  *norm = mica_global_norm(w->gradients, w->count);
  if (scaled || !a->no_guard) {
    /* A norm of numbers that are all finite may overflow: then they are not to be used either. */
    *finite = mica_is_finite(outcome->total);
    if (norm->graph != NULL) *finite = mica_and(*finite, mica_is_finite(*norm));
    *finite = mica_nn_guard_states(scope, *finite);
  }
  if (scaled) {
    scale = mica_loss_scale_update(scale, *finite, NULL);
    mica_scope_assign(w->state, "scale", scale.scale);
    mica_scope_assign(w->state, "streak", scale.streak);
  }
}

static void clip_gradients(step_work *w) {
  const mica_trainer_args *a = &w->trainer->args;
  for (size_t i = 0; a->clip_value > 0 && i < w->count; i++)
    w->gradients[i] = mica_clip_by_value(w->gradients[i], a->clip_value);
  if (a->clip_norm > 0)
    mica_clip_by_global_norm(w->gradients, w->count, a->clip_norm, w->gradients, NULL);
}

/* No further than clip_step, and to what the constraint makes of it, unless the update is left out. */
static void constrain_updates(step_work *w, mica_value apply) {
  const mica_trainer_args *a = &w->trainer->args;
  for (size_t i = 0; i < w->count; i++) {
    mica_value now = w->parameters[i], next = w->updated[i];
    if (a->clip_step > 0)
      next = mica_add(now, mica_clip_by_value(mica_sub(next, now), a->clip_step));
    if (a->constrain != NULL) {
      next = a->constrain(w->entries[i].path, next, a->user);
      if (mica_is_valid(next) && !mica_type_equal(mica_type_of(next), w->entries[i].type))
        mica_fail(next.graph, MICA_INVALID,
                  "trainer: the constraint of \"%.200s\" gives another type than the parameter has",
                  w->entries[i].path);
      if (apply.graph != NULL) next = mica_select(apply, next, now);
    }
    w->updated[i] = next;
  }
}

static void train_parameters(step_work *w, mica_value rate, mica_value apply, mica_value updates) {
  read_slots(w);
  mica_optimizer_update_args update = {.struct_size = sizeof update,
                                       .parameters = w->parameters,
                                       .gradients = w->gradients,
                                       .slots = w->slots,
                                       .count = w->count,
                                       .step = updates,
                                       .learning_rate = rate,
                                       .groups = w->groups,
                                       .apply = apply};
  mica_optimizer_update_with(&w->trainer->args.optimizer, &update, w->updated, w->new_slots);
  constrain_updates(w, apply);
  for (size_t i = 0; i < w->count; i++) mica_variable_assign(w->variables[i], w->updated[i]);
  store_slots(w);
  update_ema(w, updates, apply);
}

static void nothing_to_train(mica_graph *graph, const mica_store *store) {
  mica_error groups = {0};
  bool frozen = mica_store_parameter_count(store, false) > 0;
  bool unmatched = mica_store_check_groups(store, &groups) != MICA_OK;
  mica_fail(graph, MICA_INVALID, "trainer: the model has no variables to train%s%s%s",
            frozen ? "; all that it has are states or frozen" : "", unmatched ? "; " : "",
            unmatched ? groups.message : "");
}

void mica_trainer_build_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const mica_trainer *trainer = user;
  const mica_trainer_args *a = &trainer->args;
  mica_scope *scope = mica_scope_open(a->store, graph, true);
  mica_scope *state = mica_scope_open(trainer->state, graph, false);
  step_work w = {.trainer = trainer, .state = state};
  model_outcome outcome;
  mica_value rate = in[a->inputs + a->targets], norm = {0}, finite = {0}, ready = {0};
  run_loss(trainer, scope, in, &outcome);
  if (!make_work(&w, scope))
    mica_fail(graph, MICA_OUT_OF_MEMORY, "trainer: out of memory");
  else if (w.count == 0 && mica_is_valid(outcome.total))
    nothing_to_train(graph, a->store);
  mica_value updates = counter(state, "updates"), batches = counter(state, "batches");
  if (mica_is_valid(outcome.total) && w.count > 0) {
    mica_scope_push(graph, "trainer");
    take_gradients(&w, scope, &outcome, &norm, &finite);
    if (a->accumulate > 1) accumulate(&w, batches, finite, &ready);
    clip_gradients(&w);
    mica_value apply = ready.graph != NULL ? ready : finite;
    train_parameters(&w, rate, apply, updates);
    mica_value one = mica_scalar(graph, MICA_I64, 1);
    if (apply.graph != NULL) one = mica_convert(apply, MICA_I64);
    mica_scope_assign(state, "updates", mica_add(updates, one));
    mica_scope_assign(state, "batches", mica_add(batches, 1));
    mica_trainer_update_metrics(&trainer->training, state, outcome.prediction, in + a->inputs,
                                finite);
    mica_scope_pop(graph, "trainer");
  }
  out[0] = outcome.loss;
  out[1] = number_vector(trainer, &outcome, norm,
                         finite.graph != NULL ? finite : mica_is_finite(outcome.total));
  mica_free(&trainer->allocator, w.memory, w.bytes);
  mica_scope_close(scope); /* first: states may start as copies of parameters */
  mica_scope_close(state);
}
