/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c: steps over batches, and the hooks between them. */
#include "mica/train/loop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/device.h"
#include "core/memory.h"
#include "platform/platform.h"
#include "train/loop_internal.h"

static const char no_name[] = "";

/* ---- life ------------------------------------------------------------------------------------------------- */

mica_training_loop *mica_training_loop_create(mica_trainer *trainer) {
  if (trainer == NULL) return NULL;
  mica_allocator allocator = mica_device_allocator(mica_store_device(mica_trainer_store(trainer)));
  mica_training_loop *loop = mica_allocate_zeroed(&allocator, 1, sizeof *loop);
  if (loop == NULL) return NULL;
  loop->allocator = allocator;
  loop->state.loop = loop;
  loop->state.trainer = trainer;
  loop->tolerated = -1;
  loop->at_beginning = true;
  return loop;
}

void mica_training_loop_destroy(mica_training_loop *loop) {
  if (loop == NULL) return;
  mica_allocator allocator = loop->allocator;
  mica_free(&allocator, loop->hooks, loop->hook_capacity * sizeof(loop_hook));
  mica_free(&allocator, loop, sizeof *loop);
}

mica_status mica_training_loop_on_with(const mica_training_hook_args *given) {
  if (given == NULL || given->loop == NULL || given->hook == NULL) return MICA_INVALID;
  mica_training_loop *loop = given->loop;
  loop_hook hook = {.ran_at = -1};
  mica_copy_options(&hook.args, sizeof hook.args, given);
  const mica_training_hook_args *a = &hook.args;
  int rules = (a->every != 0) + (a->every_seconds != 0) + (a->times != 0) + (a->exponential != 0);
  if (rules > 1 || a->every < 0 || a->every_seconds < 0 || a->times < 0 || a->first < 0 ||
      (a->exponential != 0 && !(a->exponential > 1)) || (unsigned)a->event > MICA_ON_EVALUATION)
    return MICA_INVALID;
  if (hook.args.name == NULL) hook.args.name = no_name;
  hook.due = a->first == 0 ? 1 : a->first;
  if (!mica_grow(&loop->allocator, &loop->hooks, &loop->hook_capacity, loop->hook_count + 1u,
                 sizeof hook))
    return MICA_OUT_OF_MEMORY;
  uint32_t at = loop->hook_count++;
  for (; at > 0 && loop->hooks[at - 1].args.priority > a->priority; at--)
    loop->hooks[at] = loop->hooks[at - 1];
  loop->hooks[at] = hook;
  return MICA_OK;
}

void mica_training_loop_tolerate(mica_training_loop *loop, int64_t patience) {
  loop->tolerated = patience < 0 ? 0 : patience;
}
void mica_training_loop_resume(mica_training_loop *loop, int64_t step, int64_t epoch) {
  loop->state.step = step;
  loop->state.epoch = epoch;
  loop->at_beginning = false; /* not known */
}
const mica_training_state *mica_training_loop_state(const mica_training_loop *loop) {
  return &loop->state;
}

/* ---- hooks -------------------------------------------------------------------------------------------------- */

static void next_due(loop_hook *hook) {
  double next = ceil((double)hook->due * hook->args.exponential);
  hook->due = next > (double)hook->due ? (int64_t)next : hook->due + 1;
}

/* Whether a hook of steps or epochs is due at number `at` of `all` (0: without end). */
static bool hook_due(loop_hook *hook, int64_t at, int64_t all, bool last, int64_t now) {
  const mica_training_hook_args *a = &hook->args;
  if (last) return hook->ran_at != at;
  if (a->every > 0) return at % a->every == 0;
  if (a->every_seconds > 0) return (double)(now - hook->last_ns) * 1e-9 >= a->every_seconds;
  if (a->times > 0) return all > 0 && (at * a->times) / all != ((at - 1) * a->times) / all;
  if (a->exponential > 0) {
    if (at < hook->due) return false;
    while (hook->due <= at) next_due(hook);
  }
  return true;
}

static mica_status call_hook(mica_training_hook_args args, mica_training_state *state,
                             mica_error *error) {
  mica_error inner = {0};
  mica_status status = args.hook(state, args.user, &inner);
  if (status == MICA_OK) return MICA_OK;
  const char *why = *inner.message ? inner.message : mica_status_text(status);
  bool named = args.name != no_name;
  return mica_error_set(error, status, named ? "%.60s: %.900s" : "%s%.900s", named ? args.name : "",
                        why);
}

static mica_status call_hooks(mica_training_loop *loop, mica_training_event event, bool last,
                              mica_error *error) {
  mica_training_state *s = &loop->state;
  mica_status status = MICA_OK;
  for (uint32_t i = 0; i < loop->hook_count && status == MICA_OK; i++) {
    loop_hook *hook = &loop->hooks[i];
    if (hook->args.event != event) continue;
    int64_t at = event == MICA_ON_EPOCH ? s->epoch : s->step, now = mica_clock_nanoseconds();
    int64_t all = event == MICA_ON_EPOCH ? s->epochs : s->steps;
    bool timed = event == MICA_ON_STEP || event == MICA_ON_EPOCH;
    if (timed && !hook_due(hook, at, all, last, now)) continue;
    hook->ran_at = at;
    s->seconds = (double)(now - loop->began_ns) * 1e-9;
    status = call_hook(hook->args, s, error);
    /* The list may have moved: a hook may add others. */
    if (i < loop->hook_count) loop->hooks[i].last_ns = mica_clock_nanoseconds();
  }
  return status;
}

mica_status mica_training_loop_evaluated(mica_training_loop *loop,
                                         const mica_evaluation *evaluation, mica_error *error) {
  loop->state.evaluation = evaluation;
  mica_status status = call_hooks(loop, MICA_ON_EVALUATION, false, error);
  loop->state.evaluation = NULL;
  return status;
}

/* ---- what a step leaves -------------------------------------------------------------------------------------- */

static void take_means(mica_training_loop *loop) {
  mica_training_state *s = &loop->state;
  const double decay = 0.98;
  if (s->last.skipped) return;
  loop->weight = decay * loop->weight + (1 - decay);
  loop->loss_sum = decay * loop->loss_sum + (1 - decay) * s->last.loss;
  s->mean_loss = loop->loss_sum / loop->weight;
  for (int i = 0; i < MICA_TRAINER_MOST_MEASURES; i++) {
    loop->measure_sums[i] = decay * loop->measure_sums[i] + (1 - decay) * s->last.measures[i];
    s->mean_measures[i] = loop->measure_sums[i] / loop->weight;
  }
}

/* The median of the last times, by rank: there are few. */
static void take_time(mica_training_loop *loop, int64_t nanoseconds) {
  mica_training_state *s = &loop->state;
  int64_t at = (s->run_step - 1) % LOOP_TIMES,
          count = s->run_step < LOOP_TIMES ? s->run_step : LOOP_TIMES;
  loop->times[at] = (double)nanoseconds * 1e-9;
  for (int64_t i = 0; i < count; i++) {
    int64_t less = 0, equal = 0;
    for (int64_t k = 0; k < count; k++) {
      less += loop->times[k] < loop->times[i];
      equal += loop->times[k] == loop->times[i];
    }
    if (less <= count / 2 && count / 2 < less + equal) {
      s->step_seconds = loop->times[i];
      return;
    }
  }
}

/* "array 0 of the batch holds NaN at [3, 2]" into text[size]; false: all floats of the batch are finite. */
static bool find_in_batch(const mica_training_state *s, const mica_allocator *allocator, char *text,
                          size_t size) {
  for (size_t i = 0; i < s->batch_count; i++) {
    mica_type type = mica_tensor_type(s->batch[i]);
    int64_t count = mica_shape_count(type.shape), at = 0;
    if (!mica_dtype_is_float(type.dtype) || count == 0) continue;
    double *values = mica_allocate_zeroed(allocator, (size_t)count, sizeof(double));
    if (values == NULL) return false;
    bool read = mica_tensor_read_doubles(s->batch[i], values, count, NULL) == MICA_OK;
    while (read && at < count && isfinite(values[at])) at++;
    double value = read && at < count ? values[at] : 0;
    mica_free(allocator, values, (size_t)count * sizeof(double));
    if (isfinite(value)) continue;
    int length = snprintf(text, size, "array %zu of the batch holds %s at [", i,
                          isnan(value) ? "NaN" : "infinity");
    for (int32_t axis = 0; axis < type.shape.rank && length > 0 && (size_t)length < size; axis++) {
      count /= type.shape.dim[axis];
      length += snprintf(text + length, size - (size_t)length, "%s%" PRId64, axis > 0 ? ", " : "",
                         at / count);
      at %= count;
    }
    if (length > 0 && (size_t)length + 1 < size) memcpy(text + length, "]", 2);
    return true;
  }
  return false;
}

/* A step that was not finite: goes on as long as that is tolerated, else says where it comes from. */
static mica_status judge_step(mica_training_loop *loop, mica_error *error) {
  mica_training_state *s = &loop->state;
  loop->skipped = s->last.skipped ? loop->skipped + 1 : 0;
  if (loop->skipped <= (loop->tolerated < 0 ? 0 : loop->tolerated)) return MICA_OK;
  loop->skipped = 0;
  mica_error where = {0};
  char given[256];
  bool held = find_in_batch(s, &loop->allocator, given, sizeof given);
  bool located = mica_trainer_locate(s->trainer, s->batch, s->batch_count, &where) != MICA_OK;
  if (held) /* it may be what stands for a missing number, and another the cause */
    return mica_error_set(error, MICA_INVALID,
                          "step %" PRId64 ": the loss is not finite: %s%s%.600s", s->step, given,
                          located ? "; " : "", located ? where.message : "");
  if (located)
    return mica_error_set(error, MICA_INVALID, "step %" PRId64 ": the loss is %g: %.800s", s->step,
                          s->last.loss, where.message);
  return mica_error_set(error, MICA_INVALID,
                        "step %" PRId64 ": the loss is %g, the norm of the gradients %g", s->step,
                        s->last.loss, s->last.gradient_norm);
}

static mica_status one_step(mica_training_loop *loop, mica_tensor **batch, size_t count,
                            mica_error *error) {
  mica_training_state *s = &loop->state;
  int64_t begin = mica_clock_nanoseconds();
  mica_status status = MICA_OK;
  if (loop->at_beginning) status = mica_trainer_clear_metrics(s->trainer, error);
  loop->at_beginning = false;
  if (status == MICA_OK) status = mica_trainer_step(s->trainer, batch, count, error);
  if (status != MICA_OK) return status;
  s->step++;
  s->run_step++;
  take_time(loop, mica_clock_nanoseconds() - begin);
  s->last = mica_trainer_last(s->trainer);
  s->batch = batch;
  s->batch_count = count;
  take_means(loop);
  status = judge_step(loop, error);
  if (status == MICA_OK) {
    bool last = s->steps > 0 && s->step >= s->steps;
    status = call_hooks(loop, MICA_ON_STEP, last, error);
  }
  s->batch = NULL;
  s->batch_count = 0;
  return status;
}

static bool loop_finished(const mica_training_state *s) {
  return s->stop || (s->steps > 0 && s->step >= s->steps) ||
         (s->epochs > 0 && s->epoch >= s->epochs);
}

/* Where batches come from: a function, whose tensors the loop releases, or a data set, which writes them anew. */
typedef struct {
  mica_next_batch *next;
  void *user;
  mica_dataset *dataset;
  mica_batch batch;
} batch_source;

static mica_status take_batch(batch_source *source, size_t count, bool *out_end,
                              mica_error *error) {
  mica_batch *batch = &source->batch;
  *out_end = false;
  if (source->dataset == NULL) {
    mica_batch_clear(batch);
    batch->count = (int32_t)count;
    return source->next(source->user, batch->tensor, count, out_end, error);
  }
  mica_status status = mica_dataset_next(source->dataset, batch, error);
  *out_end = batch->count == 0;
  return status;
}

static mica_status steps_until_end(mica_training_loop *loop, batch_source *source,
                                   mica_error *error) {
  mica_training_state *s = &loop->state;
  size_t count = s->trainer->args.inputs + s->trainer->args.targets;
  mica_status status = MICA_OK;
  if (count > MICA_TRAINER_MOST_ARRAYS) count = MICA_TRAINER_MOST_ARRAYS; /* the step refuses it */
  while (status == MICA_OK && !loop_finished(s)) {
    bool end = false;
    status = take_batch(source, count, &end, error);
    if (status == MICA_OK && end) {
      if (loop->at_beginning) {
        status = mica_error_set(error, MICA_INVALID, "an epoch without batches");
      } else {
        s->epoch++;
        loop->at_beginning = true;
        status = call_hooks(loop, MICA_ON_EPOCH, s->epochs > 0 && s->epoch >= s->epochs, error);
      }
    } else if (status == MICA_OK) {
      status = one_step(loop, source->batch.tensor, (size_t)source->batch.count, error);
    }
  }
  mica_batch_clear(&source->batch);
  return status;
}

static mica_status run_training(mica_training_loop *loop, batch_source *source, int64_t steps,
                                int64_t epochs, mica_error *error) {
  mica_training_state *s = &loop->state;
  s->dataset = source->dataset;
  s->steps = steps;
  s->epochs = epochs;
  s->run_step = 0;
  s->stop = false;
  s->reason = NULL;
  if (loop->tolerated < 0 && s->trainer->args.compute == MICA_F16) loop->tolerated = 20;
  loop->began_ns = mica_clock_nanoseconds();
  for (uint32_t i = 0; i < loop->hook_count; i++) {
    loop->hooks[i].last_ns = loop->began_ns;
    while (loop->hooks[i].args.exponential > 0 && loop->hooks[i].due <= s->step)
      next_due(&loop->hooks[i]); /* a run that goes on */
  }
  mica_status status = call_hooks(loop, MICA_ON_START, false, error);
  if (status == MICA_OK) status = steps_until_end(loop, source, error);
  s->seconds = (double)(mica_clock_nanoseconds() - loop->began_ns) * 1e-9;
  mica_error later = {0};
  mica_status ended = call_hooks(loop, MICA_ON_END, false, status == MICA_OK ? error : &later);
  return status == MICA_OK ? ended : status;
}

mica_status mica_training_loop_run(mica_training_loop *loop, mica_next_batch *next, void *user,
                                   int64_t steps, int64_t epochs, mica_error *error) {
  if (loop == NULL || next == NULL)
    return mica_error_set(error, MICA_INVALID, "the %s is NULL",
                          loop == NULL ? "loop" : "function that gives batches");
  batch_source source = {.next = next, .user = user};
  return run_training(loop, &source, steps, epochs, error);
}

mica_status mica_training_loop_run_dataset(mica_training_loop *loop, mica_dataset *dataset,
                                           int64_t steps, int64_t epochs, mica_error *error) {
  if (loop == NULL || dataset == NULL)
    return mica_error_set(error, MICA_INVALID, "the %s is NULL",
                          loop == NULL ? "loop" : "data set");
  batch_source source = {.dataset = dataset};
  return run_training(loop, &source, steps, epochs, error);
}
