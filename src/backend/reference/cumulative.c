/* SPDX-License-Identifier: Apache-2.0 */
/* cumulative.c: running folds, one element after the other, on one wide accumulator. */
#include "backend/reference/reference_internal.h"

#include <math.h>

/* The lines along one axis of an array: element k of line l is at mica_line_begin + k * inner. */
typedef struct {
  int64_t outer, size, inner;
} reference_lines;

static reference_lines lines_along(mica_shape shape, int64_t along) {
  reference_lines lines = {1, shape.dim[along], 1};
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    if (axis < along) lines.outer *= shape.dim[axis];
    if (axis > along) lines.inner *= shape.dim[axis];
  }
  return lines;
}

static int64_t line_begin(const reference_lines *lines, int64_t line) {
  return line / lines->inner * lines->size * lines->inner + line % lines->inner;
}

/* log(exp(x) + exp(y)) */
static double log_add_exp(double x, double y) {
  double most = mica_reference_max(x, y), least = mica_reference_min(x, y);
  if (most == -(double)INFINITY || most == (double)INFINITY) return most;
  return most + log1p(exp(least - most));
}

static void cumulative_kernel(const reference_step *step) {
  const mica_cumulative_attr *a = step->attr;
  mica_type type = step->node->type;
  bool logsumexp = a->kind == MICA_CUMULATIVE_LOGSUMEXP;
  reference_lines lines = lines_along(type.shape, a->axis);
  for (int64_t line = 0; line < lines.outer * lines.inner; line++) {
    reference_complex fold, value; /* room for any wide element */
    double log_fold = -(double)INFINITY, x = 0;
    /* The first kinds are those of reductions. */
    if (!logsumexp) mica_reference_neutral((mica_reduce_kind)a->kind, type.dtype, &fold);
    for (int64_t k = 0; k < lines.size; k++) {
      int64_t place = a->reverse ? lines.size - 1 - k : k;
      int64_t at = line_begin(&lines, line) + place * lines.inner;
      void *wide = logsumexp ? (void *)&log_fold : (void *)&fold;
      if (a->exclusive) mica_reference_narrow(type.dtype, step->out[0], at, 1, wide);
      if (logsumexp) {
        mica_reference_widen_one(type.dtype, step->in[0], at, &x);
        log_fold = log_add_exp(log_fold, x);
      } else {
        mica_reference_widen_one(type.dtype, step->in[0], at, &value);
        mica_reference_combine((mica_reduce_kind)a->kind, type.dtype, &fold, 0, &value, 0);
      }
      if (!a->exclusive) mica_reference_narrow(type.dtype, step->out[0], at, 1, wide);
    }
  }
}

static void linear_recurrence_kernel(const reference_step *step) {
  const mica_linear_recurrence_attr *a = step->attr;
  mica_type type = step->node->type;
  reference_lines lines = lines_along(type.shape, a->axis);
  for (int64_t line = 0; line < lines.outer * lines.inner; line++) {
    reference_complex y, factor, term;
    mica_reference_neutral(MICA_REDUCE_SUM, type.dtype, &y);
    for (int64_t k = 0; k < lines.size; k++) {
      int64_t place = a->reverse ? lines.size - 1 - k : k;
      int64_t at = line_begin(&lines, line) + place * lines.inner;
      mica_reference_widen_one(type.dtype, step->in[0], at, &factor);
      mica_reference_widen_one(type.dtype, step->in[1], at, &term);
      mica_reference_combine(MICA_REDUCE_PROD, type.dtype, &y, 0, &factor, 0);
      mica_reference_combine(MICA_REDUCE_SUM, type.dtype, &y, 0, &term, 0);
      mica_reference_narrow(type.dtype, step->out[0], at, 1, &y);
    }
  }
}

const reference_row mica_reference_cumulative[MICA_OP_COUNT] = {
    [MICA_OP_CUMULATIVE] = {cumulative_kernel, NULL},
    [MICA_OP_LINEAR_RECURRENCE] = {linear_recurrence_kernel, NULL},
};
