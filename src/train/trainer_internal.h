/* SPDX-License-Identifier: Apache-2.0 */
/* trainer_internal.h: the inside of a trainer. */
#ifndef MICA_TRAIN_TRAINER_INTERNAL_H
#define MICA_TRAIN_TRAINER_INTERNAL_H
#include "core/memory.h"
#include "mica/jit.h"
#include "mica/train/trainer.h"

/* Outputs of the executables: the loss in its own dtype, the others as one f32 vector. */
enum { TRAINER_TOTAL, TRAINER_NORM, TRAINER_FINITE, TRAINER_MEASURES };

struct mica_trainer {
  mica_trainer_args args;
  mica_allocator allocator;
  mica_store *state;
  mica_jit *step, *evaluate, *predict;
  mica_tensor *rate32, *rate64; /* inputs of a step */
  mica_tensor *loss, *numbers;  /* outputs of a step, overwritten by each */
  mica_tensor *evaluated_loss, *evaluated_numbers;
  double rate_scale;
  int64_t updates; /* mirrors the state; -1: not known */
  mica_trainer_result last;
  double sums[2 + MICA_TRAINER_MOST_MEASURES], weight; /* of evaluation */
};

/* The functions that the jits trace; user: the trainer. */
void mica_trainer_build_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user);
void mica_trainer_build_evaluation(mica_graph *graph, const mica_value *in, mica_value *out,
                                   void *user);
void mica_trainer_build_prediction(mica_graph *graph, const mica_value *in, mica_value *out,
                                   void *user);

#endif
