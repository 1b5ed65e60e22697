/* SPDX-License-Identifier: Apache-2.0 */
/* trainer_internal.h: the inside of a trainer. */
#ifndef MICA_TRAIN_TRAINER_INTERNAL_H
#define MICA_TRAIN_TRAINER_INTERNAL_H
#include "core/memory.h"
#include "mica/jit.h"
#include "mica/train/trainer.h"

/* Outputs of the executables: the loss in its own dtype, the others as one f32 vector. */
enum { TRAINER_TOTAL, TRAINER_NORM, TRAINER_FINITE, TRAINER_MEASURES };

/* The metrics of training, or those of evaluation. */
typedef struct {
  const struct mica_trainer *trainer;
  const char *scope; /* of the trainer's state: "training" */
  mica_jit *results;
} trainer_metrics;

struct mica_trainer {
  mica_trainer_args args;
  mica_allocator allocator;
  mica_store *state;
  mica_jit *step, *evaluate, *predict;
  mica_tensor *rate32, *rate64; /* inputs of a step */
  mica_tensor *loss, *numbers;  /* outputs of a step, overwritten by each */
  mica_tensor *evaluated_loss, *evaluated_numbers;
  double rate_scale;
  bool rate_was_set; /* by mica_trainer_set_rate: a checkpoint keeps it */
  int64_t updates;   /* mirrors the state; -1: not known */
  mica_trainer_result last;
  double sums[2 + MICA_TRAINER_MOST_MEASURES], weight; /* of evaluation */
  mica_metric_definition metrics[MICA_TRAINER_MOST_METRICS];
  trainer_metrics training, evaluation; /* whose jits are NULL until they are asked for */
  bool evaluation_begins;               /* its metrics are cleared by the next batch */
};

/* The states of all metrics after a batch, where `apply` holds ({0}: always). */
void mica_trainer_update_metrics(const trainer_metrics *which, mica_scope *state,
                                 mica_value prediction, const mica_value *targets,
                                 mica_value apply);
/* All states begin anew. */
mica_status mica_trainer_reset_metrics(const trainer_metrics *which, mica_error *error);

/* trainer_mesh.c: parameters and states on the trainer's mesh; the same functions on batches that lie there. */
mica_status mica_trainer_lay_out(mica_trainer *trainer, mica_error *error);
void mica_trainer_mesh_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user);
void mica_trainer_mesh_evaluation(mica_graph *graph, const mica_value *in, mica_value *out,
                                  void *user);
void mica_trainer_mesh_prediction(mica_graph *graph, const mica_value *in, mica_value *out,
                                  void *user);

/* The functions that the jits trace; user: the trainer. */
void mica_trainer_build_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user);
void mica_trainer_build_evaluation(mica_graph *graph, const mica_value *in, mica_value *out,
                                   void *user);
void mica_trainer_build_prediction(mica_graph *graph, const mica_value *in, mica_value *out,
                                   void *user);

#endif
