/* SPDX-License-Identifier: Apache-2.0 */
/* loop_hooks.c: hooks that programs add to a loop: evaluation, early stopping. */
#include <math.h>

#include "train/loop_internal.h"

/* ---- evaluation ------------------------------------------------------------------------------------------------ */

mica_status mica_evaluation_hook(mica_training_state *state, void *user, mica_error *error) {
  mica_evaluation *e = user;
  mica_trainer *trainer = state->trainer;
  mica_status status = MICA_OK, back = MICA_OK;
  if (e->averaged) status = mica_trainer_swap_average(trainer, error);
  bool swapped = e->averaged && status == MICA_OK;
  if (status == MICA_OK) status = mica_trainer_evaluate_dataset(trainer, e->dataset, error);
  if (status == MICA_OK) {
    e->result = mica_trainer_evaluation(trainer);
    status = mica_trainer_metric_numbers(trainer, false, e->metrics,
                                         mica_trainer_metric_count(trainer), error);
  }
  if (swapped) back = mica_trainer_swap_average(trainer, status == MICA_OK ? error : NULL);
  if (status == MICA_OK) status = back;
  if (status != MICA_OK) return status;
  e->step = state->step;
  status = mica_training_loop_evaluated(state->loop, e, error);
  if (status != MICA_OK) return status;
  return e->then == NULL ? MICA_OK : e->then(state, e->then_user, error);
}

mica_status mica_evaluation_measure(mica_training_state *state, double *out, void *user,
                                    mica_error *error) {
  const mica_evaluation *e = user;
  (void)error;
  (void)state;
  *out = e->result.loss;
  if (e->watch > 0 && e->watch <= MICA_TRAINER_MOST_METRICS) *out = e->metrics[e->watch - 1];
  if (e->watch < 0 && e->watch >= -MICA_TRAINER_MOST_MEASURES)
    *out = e->result.measures[-e->watch - 1];
  return MICA_OK;
}

/* ---- early stopping -------------------------------------------------------------------------------------------- */

mica_status mica_early_stopping_hook(mica_training_state *state, void *user, mica_error *error) {
  mica_early_stopping *e = user;
  double now = NAN;
  mica_status status = e->measure(state, &now, e->user, error);
  if (status != MICA_OK) return status;
  double gain = e->maximize ? now - e->best : e->best - now;
  if (!e->begun || gain > e->least_change) { /* NaN is no gain */
    e->best = now;
    e->best_step = state->step;
    e->bad = 0;
    e->begun = e->begun || now == now;
    return MICA_OK;
  }
  if (++e->bad >= (e->patience < 1 ? 1 : e->patience)) {
    state->stop = true;
    state->reason = "the measure has not become better";
  }
  return MICA_OK;
}
