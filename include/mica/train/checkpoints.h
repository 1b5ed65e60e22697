/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoints.h: a training run in a folder of checkpoints, and going on from one, bit for bit.
 *
 *   mica_training_checkpoints saved = {.struct_size = sizeof saved, .folder = "runs/mnist", .keep = 3};
 *   bool found;
 *   status = mica_training_restore(loop, dataset, &saved, MICA_CHECKPOINT_NEWEST, &found, &error);
 *   mica_training_loop_on(loop, MICA_ON_STEP, mica_training_save_hook, &saved, .every_seconds = 60);
 *   status = mica_training_loop_run_dataset(loop, dataset, 0, 10, &error);
 *
 * A checkpoint holds the store as the part "model", the trainer's state as the part "trainer" (its names begin with
 * "trainer."), and as JSON the position of the data set, step, epoch, means and factors of the rate, and hyper-parameters
 * to be looked at (`mica checkpoint --state`). What else a program changes while it trains is its own. Ownership: the
 * struct and what it points to are the caller's. */
#ifndef MICA_TRAIN_CHECKPOINTS_H
#define MICA_TRAIN_CHECKPOINTS_H
#include "mica/model.h"
#include "mica/train/loop.h"
#include "mica/train/schedules.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  size_t struct_size;
  const char *folder;      /* made if it is missing */
  int32_t keep, keep_best; /* as in mica_checkpoint_save_options; keep 0: all */
  const char *metric_name; /* of the figure for keep_best; NULL: "loss" if there is a measure */
  bool larger_is_better;
  mica_training_measure *measure; /* mica_evaluation_measure; NULL: there is no figure */
  void *measure_user;
  mica_early_stopping *stopping; /* saved with it, and restored; NULL: none */
  mica_plateau *plateau;
  /* Restoring: a line for each checkpoint that is damaged and passed over, and for each setting that the run was saved with another
   * value of. NULL: none. */
  mica_log_callback *report;
  void *report_user;
} mica_training_checkpoints;

/* Saves what the loop has come to. `dataset` may be NULL. */
MICA_API mica_status mica_training_save(mica_training_loop *loop, mica_dataset *dataset,
                                        const mica_training_checkpoints *options,
                                        mica_error *error);
/* A hook of any event that does so; user: mica_training_checkpoints *. */
MICA_API mica_status mica_training_save_hook(mica_training_state *state, void *user,
                                             mica_error *error);
/* Gives store, trainer, loop, data set and the states of the options what a checkpoint holds: that of `step`, or NEWEST, or
 * BEST (mica/model.h). The data set is one that was made in the same way. Steps that follow equal those of the run that was
 * saved. *out_found false with MICA_OK: there is no checkpoint yet. After an error the parts may be of different states. */
MICA_API mica_status mica_training_restore(mica_training_loop *loop, mica_dataset *dataset,
                                           const mica_training_checkpoints *options, int64_t step,
                                           bool *out_found, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
