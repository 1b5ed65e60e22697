/* SPDX-License-Identifier: Apache-2.0 */
/* losses.h: what all losses begin and end with. A loss checks its arguments and takes masked places out of its operands
 * (mica_loss_begin), makes elements, and reduces them (mica_loss_end). */
#ifndef MICA_TRAIN_LOSSES_LOSSES_H
#define MICA_TRAIN_LOSSES_LOSSES_H
#include "graph/ops/rules.h"
#include "mica/train/losses.h"

/* Options that a loss takes. */
typedef enum {
  MICA_TAKES_CLASS_WEIGHTS = 1 << 0,
  MICA_TAKES_LABEL_SMOOTHING = 1 << 1,
  MICA_TAKES_POSITIVE_WEIGHT = 1 << 2,
  MICA_TAKES_EPSILON = 1 << 3,
  MICA_TAKES_DELTA = 1 << 4,
  MICA_TAKES_GAMMA = 1 << 5,
  MICA_TAKES_ALPHA = 1 << 6,
  MICA_TAKES_MARGIN = 1 << 7,
  MICA_TAKES_TEMPERATURE = 1 << 8,
  MICA_TAKES_SMOOTH = 1 << 9,
  MICA_TAKES_POWERS = 1 << 10,
  MICA_TAKES_LOG_PREDICTION = 1 << 11,
  MICA_TAKES_LOG_TARGET = 1 << 12,
  MICA_TAKES_SYMMETRIC = 1 << 13,
  MICA_TAKES_DISTANCE = 1 << 14,
  MICA_TAKES_MINING = 1 << 15,
  MICA_TAKES_LABELS = 1 << 16,
  MICA_TAKES_NEGATIVE = 1 << 17,
  MICA_TAKES_CTC = 1 << 18,
  MICA_KEEPS_MASKED = 1 << 19 /* masked elements still matter to others: their operands stay */
} mica_loss_takes;

typedef enum {
  MICA_TARGET_SAME,             /* the prediction's shape */
  MICA_TARGET_CLASS,            /* integers of the elements' shape */
  MICA_TARGET_CLASS_OR_WEIGHTS, /* either */
  MICA_TARGET_FREE              /* integers that the loss checks itself */
} mica_loss_target;

typedef struct {
  const char *name; /* "loss_huber" */
  mica_loss_args a;
  mica_graph *graph;
  mica_dtype dtype; /* that it is computed in: f32, f64 */
  mica_value x,
      t; /* prediction, and target (converted unless it is a class), with 0 where masked */
  mica_shape elements; /* the prediction's without its last `dropped` axes */
  bool classes;        /* t holds classes */
  mica_value extra;    /* further weights, which broadcast to the elements; {0}: none */
} mica_loss_call;

/* False when the graph failed. dropped -1: elements are [batch], the first axis. */
bool mica_loss_begin(mica_loss_call *call, const char *name, const mica_loss_args *args,
                     uint32_t takes, mica_loss_target target, int32_t dropped);
mica_value mica_loss_end(const mica_loss_call *call, mica_value elements);
mica_value mica_loss_failed(const mica_loss_call *call, const char *format, ...) MICA_PRINTF(2, 3);

/* v with axes of size 1 behind its own up to to.rank; its own have the leading sizes of `to`, or 1. {0} on failure. */
mica_value mica_leading_axes(const char *op, const char *what, mica_value v, mica_shape to);

/* x with 0 where the mask (of its leading axes) does not hold. */
mica_value mica_zero_where_masked(const mica_loss_call *call, mica_value x, mica_value mask);

/* An option, or its default where it is 0; it must be a positive number. */
bool mica_loss_positive(const mica_loss_call *call, const char *option, double *number,
                        double standard);

/* y t, and 0 where t is 0 even if y is not finite. */
mica_value mica_times_or_zero(mica_value t, mica_value y);
/* Distances of vectors along the last axis, which is dropped. */
mica_value mica_vector_distance(mica_value x, mica_value y, mica_distance distance, double epsilon);
/* Whether integers t [b...] are in 0 .. classes - 1. */
mica_value mica_class_exists(mica_value t, int64_t classes);

#endif
