/* SPDX-License-Identifier: Apache-2.0 */
/* ensemble.h: several classifiers in one model, for the examples spam and income: logits [batch, members, classes], labels i32
 * [batch]. */
#ifndef EXAMPLES_ENSEMBLE_H
#define EXAMPLES_ENSEMBLE_H
#include "common.h"

/* Each member learns by itself: the sum of their losses. */
static inline mica_value ensemble_loss(mica_value prediction, const mica_value *targets,
                                       void *user) {
  (void)user;
  mica_shape shape = mica_shape_of(prediction);
  mica_value target =
      mica_broadcast_to(mica_expand_dims(targets[0], 1), MICA_DIMS(shape.dim[0], shape.dim[1]));
  return mica_mul(mica_loss_cross_entropy_logits(prediction, target), (double)shape.dim[1]);
}

/* The mean of the members' logarithms of probabilities decides. */
static inline mica_value ensemble_decision(mica_value prediction) {
  return mica_reduce_mean(mica_log_softmax(prediction, -1), MICA_AXES(1));
}

/* The part of right decisions. */
static inline void ensemble_accuracy(mica_value prediction, const mica_value *targets,
                                     mica_value *out, void *user) {
  (void)user;
  mica_value right = mica_equal(mica_arg_max(ensemble_decision(prediction), -1), targets[0]);
  out[0] = mica_reduce_mean(mica_convert(right, MICA_F32), MICA_ALL);
}
static const char *const ensemble_accuracy_names[] = {"accuracy"};

#endif
