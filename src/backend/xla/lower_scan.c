/* SPDX-License-Identifier: Apache-2.0 */
/* lower_scan.c: running folds as trees: 2 n applications of the operator in 2 log n rounds (Blelloch
 * 1990, Prefix sums and their applications). Pairs of neighbors are joined, the half as long line is
 * folded in the same way, and what lies between its results is one application away. */
#include "backend/xla/lower_internal.h"

#include <math.h>

enum { SCAN_PARTS = 2 };

/* out = left joined with right, `left` being in front. */
typedef void scan_join(const mica_value *left, const mica_value *right, mica_value *out);

typedef struct {
  scan_join *join;
  int32_t parts, axis;
} scan_plan;

static mica_value second_places(mica_value x, int32_t axis, int64_t start, int64_t count) {
  return mica_slice_axis(x, axis, start, start + 2 * count - (count > 0 ? 1 : 0), 2);
}

/* even[0], odd[0], even[1], ..: even has as many elements or one more. */
static mica_value interleaved(mica_value even, mica_value odd, int32_t axis) {
  int64_t evens = mica_dim_of(even, axis), odds = mica_dim_of(odd, axis);
  mica_value last = {0}, both[2] = {even, odd};
  if (evens > odds) {
    last = mica_slice_axis(even, axis, odds, evens, 1);
    both[0] = mica_slice_axis(even, axis, 0, odds, 1);
  }
  mica_shape shape = mica_shape_of(both[0]);
  shape.dim[axis] *= 2;
  mica_value out;
  if (mica_rank_of(even) < MICA_MAX_RANK) {
    out = mica_reshape(mica_stack(both, 2, axis + 1), shape);
  } else { /* no room for one more axis: spread by padding, and laid over each other */
    int64_t none[MICA_MAX_RANK] = {0}, one[MICA_MAX_RANK] = {0};
    one[axis] = 1;
    mica_value zero = mica_scalar(even.graph, mica_dtype_of(even), 0);
    mica_value spread = mica_pad(both[0], zero, none, one, one);
    mica_value moved = mica_pad(both[1], zero, one, none, one);
    mica_value place = mica_iota(even.graph, (mica_type){MICA_I64, shape}, axis);
    out = mica_select(mica_equal(mica_rem(place, 2), 0), spread, moved);
  }
  if (!mica_has_value(last)) return out;
  return mica_concatenate((mica_value[]){out, last}, 2, axis);
}

static void fold_line(const scan_plan *plan, const mica_value *x, mica_value *out) {
  int64_t n = mica_dim_of(x[0], plan->axis), half = n / 2;
  int32_t axis = plan->axis;
  for (int32_t i = 0; i < plan->parts; i++) out[i] = x[i];
  if (n < 2 || x[0].graph->status != MICA_OK) return;
  mica_value even[SCAN_PARTS], odd[SCAN_PARTS], joined[SCAN_PARTS], inner[SCAN_PARTS];
  for (int32_t i = 0; i < plan->parts; i++) {
    even[i] = second_places(x[i], axis, 0, half);
    odd[i] = second_places(x[i], axis, 1, half);
  }
  plan->join(even, odd, joined);
  fold_line(plan, joined, inner); /* element k: the fold of 0 .. 2 k + 1 */
  int64_t rest = n - half - 1;    /* even places behind the first one */
  mica_value before[SCAN_PARTS], own[SCAN_PARTS], between[SCAN_PARTS];
  if (rest > 0) {
    for (int32_t i = 0; i < plan->parts; i++) {
      before[i] = mica_slice_axis(inner[i], axis, 0, rest, 1);
      own[i] = second_places(x[i], axis, 2, rest);
    }
    plan->join(before, own, between);
  }
  for (int32_t i = 0; i < plan->parts; i++) {
    mica_value first = mica_slice_axis(x[i], axis, 0, 1, 1), evens = first;
    if (rest > 0) evens = mica_concatenate((mica_value[]){first, between[i]}, 2, axis);
    out[i] = interleaved(evens, inner[i], axis);
  }
}

/* ---- the operators --------------------------------------------------------------------------- */

static void join_sum(const mica_value *left, const mica_value *right, mica_value *out) {
  out[0] = mica_add(left[0], right[0]);
}
static void join_prod(const mica_value *left, const mica_value *right, mica_value *out) {
  out[0] = mica_mul(left[0], right[0]);
}
static void join_max(const mica_value *left, const mica_value *right, mica_value *out) {
  out[0] = mica_max(left[0], right[0]);
}
static void join_min(const mica_value *left, const mica_value *right, mica_value *out) {
  out[0] = mica_min(left[0], right[0]);
}
static void join_logsumexp(const mica_value *left, const mica_value *right, mica_value *out) {
  out[0] = mica_logaddexp(left[0], right[0]);
}
/* y -> a y + b, first the left one: (a, b). */
static void join_lines(const mica_value *left, const mica_value *right, mica_value *out) {
  out[0] = mica_mul(left[0], right[0]);
  out[1] = mica_add(mica_mul(right[0], left[1]), right[1]);
}

/* What a fold of `kind` is over nothing. */
static mica_value empty_fold(mica_value x, int32_t kind) {
  mica_dtype dtype = mica_dtype_of(x);
  double infinity = (double)INFINITY;
  if (kind == MICA_CUMULATIVE_SUM) return mica_scalar(x.graph, dtype, 0);
  if (kind == MICA_CUMULATIVE_PROD) return mica_scalar(x.graph, dtype, 1);
  if (mica_dtype_is_float(dtype))
    return mica_scalar(x.graph, dtype, kind == MICA_CUMULATIVE_MIN ? infinity : -infinity);
  mica_axes all = MICA_ALL; /* over nothing: the neutral element */
  mica_value none = mica_zeros(x.graph, (mica_type){dtype, {.rank = 1, .dim = {0}}});
  return kind == MICA_CUMULATIVE_MIN ? mica_reduce_min(none, all) : mica_reduce_max(none, all);
}

void mica_xla_lower_cumulative(const mica_rule *rule, mica_value *out) {
  static scan_join *const joins[] = {join_sum, join_prod, join_max, join_min, join_logsumexp};
  const mica_cumulative_attr *attr = rule->attr;
  scan_plan plan = {joins[attr->kind], 1, (int32_t)attr->axis};
  mica_value x = mica_widen(rule->in[0]), y;
  mica_axes axis = {.count = 1, .axis = {plan.axis}};
  if (mica_shape_count(mica_shape_of(x)) == 0) {
    out[0] = rule->in[0];
    return;
  }
  if (attr->reverse) x = mica_reverse(x, axis);
  fold_line(&plan, &x, &y);
  if (attr->exclusive) {
    int64_t low[MICA_MAX_RANK] = {0}, high[MICA_MAX_RANK] = {0};
    low[plan.axis] = 1;
    high[plan.axis] = -1;
    y = mica_pad(y, empty_fold(y, attr->kind), low, high, NULL);
  }
  if (attr->reverse) y = mica_reverse(y, axis);
  out[0] = mica_convert(y, mica_dtype_of(rule->in[0]));
}

void mica_xla_lower_recurrence(const mica_rule *rule, mica_value *out) {
  const mica_linear_recurrence_attr *attr = rule->attr;
  scan_plan plan = {join_lines, 2, (int32_t)attr->axis};
  mica_axes axis = {.count = 1, .axis = {plan.axis}};
  mica_value x[2], y[2];
  if (mica_shape_count(mica_shape_of(rule->in[0])) == 0) {
    out[0] = rule->in[1];
    return;
  }
  for (int i = 0; i < 2; i++) {
    x[i] = mica_widen(rule->in[i]);
    if (attr->reverse) x[i] = mica_reverse(x[i], axis);
  }
  if (!mica_dtype_is_integer(mica_dtype_of(x[0]))) { /* the first a counts where it is not finite */
    mica_value place =
        mica_iota(rule->graph, (mica_type){MICA_I64, mica_shape_of(x[0])}, plan.axis);
    mica_value first = mica_equal(place, 0), none = mica_zeros_like(x[0]);
    x[1] = mica_add(x[1], mica_select(first, mica_mul(x[0], none), none));
  }
  fold_line(&plan, x, y);
  if (attr->reverse) y[1] = mica_reverse(y[1], axis);
  out[0] = mica_convert(y[1], mica_dtype_of(rule->in[1]));
}
