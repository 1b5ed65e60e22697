/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h: what the rules of optimizers share. */
#ifndef MICA_TRAIN_OPTIMIZERS_RULES_H
#define MICA_TRAIN_OPTIMIZERS_RULES_H
#include "graph/ops/rules.h"
#include "mica/train/optimizers.h"

/* Options of the args, by place in mica_optimizer.number; what a rule takes is a mask of them. */
typedef enum {
  MICA_OPTION_MOMENTUM,
  MICA_OPTION_NESTEROV,
  MICA_OPTION_BETA1,
  MICA_OPTION_BETA2,
  MICA_OPTION_RHO,
  MICA_OPTION_EPSILON,
  MICA_OPTION_WEIGHT_DECAY,
  MICA_OPTION_INITIAL_ACCUMULATOR,
  MICA_OPTION_CENTERED,
  MICA_OPTION_FACTOR_FROM,
  MICA_OPTION_CLIPPING_THRESHOLD,
  MICA_OPTION_NO_PARAMETER_SCALE,
  MICA_OPTION_ITERATIONS,
  MICA_OPTION_KIND, /* not an argument: which of several optimizers one rule is */
  MICA_OPTION_COUNT
} mica_optimizer_option;

#define MICA_TAKES(option) (UINT32_C(1) << MICA_OPTION_##option)
/* What an optimizer takes besides weight_decay, and its defaults. */
typedef struct {
  uint32_t takes;
  double number[MICA_OPTION_COUNT];
} mica_optimizer_standard;
/* The options given, the defaults elsewhere. */
mica_optimizer mica_optimizer_make(const mica_optimizer_rule *rule,
                                   const mica_optimizer_standard *standard,
                                   const mica_optimizer_args *args);

static inline double mica_option(const mica_optimizer *optimizer, mica_optimizer_option which) {
  return optimizer->number[which];
}

/* The new value of a slot, or the old one where the step does not apply. Rules that go on from the slot take this one, so that it
 * is computed and written where it is read: chosen behind the rule it would be stored twice. */
mica_value mica_next_slot(const mica_optimizer_step *step, mica_value next, mica_value old);
/* beta old + (1 - beta) x */
mica_value mica_running_mean(mica_value old, mica_value x, double beta);
/* 1 - beta^count, without cancellation; [] */
mica_value mica_bias_correction(mica_value count, double beta);
/* The gradient with coupled decay. */
mica_value mica_decayed_gradient(const mica_optimizer *optimizer, const mica_optimizer_step *step);
/* x + d p, d the decay of this parameter. */
mica_value mica_add_decay(const mica_optimizer *optimizer, const mica_optimizer_step *step,
                          mica_value x);
/* p - r x */
mica_value mica_stepped(const mica_optimizer_step *step, mica_value x);
/* sqrt(sum x^2) [] */
mica_value mica_length_of(mica_value x);

#endif
