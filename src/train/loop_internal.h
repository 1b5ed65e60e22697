/* SPDX-License-Identifier: Apache-2.0 */
/* loop_internal.h: the inside of a training loop. */
#ifndef MICA_TRAIN_LOOP_INTERNAL_H
#define MICA_TRAIN_LOOP_INTERNAL_H
#include "mica/train/loop.h"
#include "train/trainer_internal.h"

enum { LOOP_TIMES = 63 };

typedef struct {
  mica_training_hook_args args;
  int64_t due;     /* the next step of an exponential one */
  int64_t last_ns; /* when it ran */
  int64_t ran_at;  /* step or epoch of the last call; -1: none */
} loop_hook;

struct mica_training_loop {
  mica_allocator allocator;
  mica_training_state state;
  loop_hook *hooks; /* by priority */
  uint32_t hook_count, hook_capacity;
  int64_t tolerated, skipped;
  double loss_sum, weight, measure_sums[MICA_TRAINER_MOST_MEASURES];
  double times[LOOP_TIMES];
  int64_t began_ns;
  /* Of an epoch: the next step clears metrics of training, and an end is an empty one. */
  bool at_beginning;
};

/* Behind an evaluation: hooks of MICA_ON_EVALUATION. */
mica_status mica_training_loop_evaluated(mica_training_loop *loop,
                                         const mica_evaluation *evaluation, mica_error *error);

#endif
