/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: steps of a trainer over batches, with hooks. Progress, evaluation, checkpoints, plots and stopping are hooks.
 *
 * Ownership: create/destroy; trainer and what hooks point to outlive the loop. Threads: one at a time. */
#ifndef MICA_TRAIN_LOOP_H
#define MICA_TRAIN_LOOP_H
#include "mica/train/trainer.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_training_loop mica_training_loop;

/* Gives the next batch: retained tensors into batch[count], which the loop releases; or *out_end at the end of an epoch, after
 * which the next call begins the next one. */
typedef mica_status mica_next_batch(void *user, mica_tensor **batch, size_t count, bool *out_end,
                                    mica_error *error);

/* What hooks see and say. */
typedef struct {
  mica_training_loop *loop;
  mica_trainer *trainer;
  int64_t step, epoch;       /* steps made, epochs finished, since the loop was made or resumed */
  int64_t steps, epochs;     /* wanted; 0: without end */
  int64_t run_step;          /* steps made by this run */
  mica_tensor *const *batch; /* of the last step, borrowed; NULL outside of step hooks */
  size_t batch_count;
  mica_trainer_result last; /* of the last step */
  double mean_loss;         /* exponential mean of losses (0.98), debiased */
  double mean_measures[MICA_TRAINER_MOST_MEASURES];
  double seconds;        /* of this run */
  double step_seconds;   /* the median of the last 63 steps, without hooks */
  bool stop;             /* set it to end after this step's hooks */
  const char *reason;    /* why, if set: static text */
  mica_dataset *dataset; /* that the run goes over, borrowed; NULL: a function gives the batches */
  const struct mica_evaluation *evaluation; /* MICA_ON_EVALUATION: which; NULL elsewhere */
} mica_training_state;
typedef mica_status mica_training_hook(mica_training_state *state, void *user, mica_error *error);
/* A number by which runs are judged, from an evaluation for instance. */
typedef mica_status mica_training_measure(mica_training_state *state, double *out, void *user,
                                          mica_error *error);

typedef enum {
  MICA_ON_START,     /* of a run */
  MICA_ON_STEP,      /* after a step */
  MICA_ON_EPOCH,     /* after the last batch of an epoch */
  MICA_ON_END,       /* of a run, after a failure too */
  MICA_ON_EVALUATION /* behind each mica_evaluation_hook, in front of its `then` */
} mica_training_event;
typedef struct {
  size_t struct_size;
  mica_training_loop *loop;
  mica_training_event event;
  mica_training_hook *hook;
  void *user;
  const struct mica_names_only *named_;
  const char *name; /* in front of its errors; NULL: none */
  int32_t priority; /* lower first; equal ones in the order of being added */
  /* Of steps or epochs: only every n-th; at most once in so many seconds; only n times over the run, spread evenly; or at steps
   * first, first factor, first factor^2, .. Always at the last one as well. One of them. */
  int64_t every;
  double every_seconds;
  int64_t times;
  double exponential; /* the factor, above 1 */
  int64_t first;      /* 0: 1 */
} mica_training_hook_args;

/* NULL without memory. */
MICA_API mica_training_loop *mica_training_loop_create(mica_trainer *trainer);
MICA_API void mica_training_loop_destroy(mica_training_loop *loop); /* NULL is fine */
MICA_API mica_status mica_training_loop_on_with(const mica_training_hook_args *args);
#define mica_training_loop_on(...) \
  mica_training_loop_on_with(      \
      &(mica_training_hook_args){.struct_size = sizeof(mica_training_hook_args), __VA_ARGS__})

/* Runs until `steps` steps and `epochs` epochs are made altogether (0: not limited), a hook stops it, the batches fail, or the
 * device is cancelled. A step that is not finite fails with what mica_trainer_locate says, after `patience` of them in a row
 * (mica_training_loop_tolerate). */
MICA_API mica_status mica_training_loop_run(mica_training_loop *loop, mica_next_batch *next,
                                            void *user, int64_t steps, int64_t epochs,
                                            mica_error *error);
/* The same over the batches of a data set, which are the trainer's inputs, then targets. It goes on from where the data set
 * stands, which is the caller's, and metrics of training begin anew with each epoch. */
MICA_API mica_status mica_training_loop_run_dataset(mica_training_loop *loop, mica_dataset *dataset,
                                                    int64_t steps, int64_t epochs,
                                                    mica_error *error);
/* How many steps in a row may be skipped; 0 at first (f16: 20). */
MICA_API void mica_training_loop_tolerate(mica_training_loop *loop, int64_t patience);
/* Step and epoch from which a resumed run counts on. */
MICA_API void mica_training_loop_resume(mica_training_loop *loop, int64_t step, int64_t epoch);
MICA_API const mica_training_state *mica_training_loop_state(const mica_training_loop *loop);

/* A hook that evaluates on a data set (mica_trainer_evaluate_dataset), and the measure of its last call. A plain value; {0}
 * its results to begin with.
 *   mica_evaluation test = {.dataset = images, .then = report, .then_user = &test};
 *   mica_training_loop_on(loop, MICA_ON_EPOCH, mica_evaluation_hook, &test);
 * A view of the training (mica/ui/training.h) shows its numbers. */
typedef struct mica_evaluation {
  mica_dataset *dataset;
  bool averaged;            /* with the averages of the parameters in their place (`ema`) */
  mica_training_hook *then; /* called behind each; may be NULL */
  void *then_user;
  int32_t watch; /* mica_evaluation_measure: 0 the loss, i the metric i - 1, -i the measure i - 1 */
  mica_trainer_result result; /* of the last one, and its metrics and step */
  double metrics[MICA_TRAINER_MOST_METRICS];
  int64_t step;
  const char *name; /* of the data, in logs and plots; NULL: "evaluation" */
} mica_evaluation;
MICA_API mica_status mica_evaluation_hook(mica_training_state *state, void *user,
                                          mica_error *error);
MICA_API mica_training_measure mica_evaluation_measure;

/* A hook that stops when a number has not become better for `patience` of its calls. `measure` gives the number, from an
 * evaluation for instance. A plain value; {0} its state to begin with. */
typedef struct {
  mica_training_measure *measure;
  void *user;
  int64_t patience;
  double least_change; /* what counts as better: above 0 */
  bool maximize;
  double best; /* state */
  int64_t best_step, bad;
  bool begun;
} mica_early_stopping;
MICA_API mica_status mica_early_stopping_hook(mica_training_state *state, void *user,
                                              mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
