/* SPDX-License-Identifier: Apache-2.0 */
/* ctc.c: connectionist temporal classification (Graves et al. 2006). Alignments are paths through the states
 *   blank, target[0], blank, target[1], .., blank
 * that stay, go on by one, or leave out a blank between two different classes. alpha[s] is the logarithm of the
 * probability of all paths that are in state s after t steps; the scan over the time carries it. A finite number stands
 * for log 0, so that no difference of infinities reaches the gradient. */
#include <inttypes.h>
#include <math.h>

#include "train/losses/losses.h"

static const double log_zero = -1e30;

typedef struct {
  mica_loss_call call;
  int64_t batch, time, classes, length, states;
  mica_value zero;          /* log 0 [] */
  mica_value ids;           /* i32 [batch, states]: the class of each state */
  mica_value skips;         /* bool [batch, states]: may be entered from two states before */
  mica_value steps, labels; /* i32 [batch, 1]: lengths */
} ctc_form;

static mica_value ctc_number(const ctc_form *f, int64_t number) {
  return mica_scalar(f->call.graph, MICA_I32, (double)number);
}

/* Integers [batch] as i32 [batch, 1] in 0 .. most; without any: most. */
static bool ctc_lengths(const ctc_form *f, const char *what, mica_value given, int64_t most,
                        mica_value *out) {
  mica_type type = {MICA_I32, MICA_DIMS(f->batch, 1)};
  if (!given.graph) {
    *out = mica_full(f->call.graph, type, (double)most);
    return true;
  }
  if (mica_rank_of(given) != 1 || mica_dim_of(given, 0) != f->batch ||
      !mica_dtype_is_integer(mica_dtype_of(given))) {
    mica_loss_failed(&f->call, "%s: expected integers [%" PRId64 "]", what, f->batch);
    return false;
  }
  *out =
      mica_reshape(mica_clamp_numbers(mica_convert(given, MICA_I32), 0, (double)most), type.shape);
  return true;
}

static bool ctc_begin(ctc_form *f, const mica_loss_args *args) {
  mica_loss_call *call = &f->call;
  if (!mica_loss_begin(call, "loss_ctc", args, MICA_TAKES_CTC | MICA_KEEPS_MASKED, MICA_TARGET_FREE,
                       -1))
    return false;
  mica_shape x = mica_shape_of(call->x), t = mica_shape_of(call->t);
  if (x.rank != 3 || t.rank != 2 || t.dim[0] != x.dim[0]) {
    mica_loss_failed(call, "expected logits [batch, time, classes] and targets [batch, length]");
    return false;
  }
  f->batch = x.dim[0], f->time = x.dim[1], f->classes = x.dim[2], f->length = t.dim[1];
  if (f->length > INT32_MAX / 2 - 1 || f->time > INT32_MAX || f->classes > INT32_MAX) {
    mica_loss_failed(call, "a size is too large: expected less than 2^30");
    return false;
  }
  f->states = 2 * f->length + 1;
  if (call->a.blank < 0 || call->a.blank >= f->classes) {
    mica_loss_failed(call, "blank %" PRId64 ": expected a class in 0 .. %" PRId64, call->a.blank,
                     f->classes - 1);
    return false;
  }
  return ctc_lengths(f, "prediction_lengths", call->a.prediction_lengths, f->time, &f->steps) &&
         ctc_lengths(f, "target_lengths", call->a.target_lengths, f->length, &f->labels);
}

/* The states' classes, and which may be entered over a blank. */
static void ctc_states(ctc_form *f) {
  mica_graph *g = f->call.graph;
  mica_value blank = ctc_number(f, f->call.a.blank), t = mica_convert(f->call.t, MICA_I32);
  int64_t low[2] = {0, 1}, high[2] = {0, 1}, interior[2] = {0, 1};
  if (f->length == 0) high[1] = 0;
  f->ids = mica_pad(t, blank, low, high, interior);
  /* The class two states before, blank in front. */
  int64_t shift[2] = {0, 2}, cut[2] = {0, -2};
  mica_value before = mica_pad(f->ids, blank, shift, cut, NULL);
  mica_type type = {MICA_I32, MICA_DIMS(1, f->states)};
  mica_value place = mica_iota(g, type, 1);
  f->skips = mica_and(mica_and(mica_not_equal(f->ids, blank), mica_not_equal(f->ids, before)),
                      mica_greater_equal(place, 2));
}

/* alpha moved on by `by` states. */
static mica_value ctc_moved(const ctc_form *f, mica_value alpha, int64_t by) {
  int64_t low[2] = {0, by}, high[2] = {0, -by};
  return mica_pad(alpha, f->zero, low, high, NULL);
}

/* log(e^a + e^b + e^c) */
static mica_value ctc_sum(mica_value a, mica_value b, mica_value c) {
  mica_value most = mica_stop_gradient(mica_max(mica_max(a, b), c));
  mica_value sum = mica_add(mica_add(mica_exp(mica_sub(a, most)), mica_exp(mica_sub(b, most))),
                            mica_exp(mica_sub(c, most)));
  return mica_add(most, mica_log(sum));
}

/* alpha after all steps, from the logarithms of probabilities [batch, time, states]. */
static mica_value ctc_forward(const ctc_form *f, mica_value log_p) {
  mica_graph *g = f->call.graph;
  mica_type row = {MICA_I32, MICA_DIMS(1, f->states)};
  /* Before the first step a path is in front of the first state: entering states 0 and 1 is moving on from there. */
  mica_value place = mica_iota(g, row, 1);
  mica_value alpha = mica_broadcast_to(
      mica_select(mica_equal(place, 0), mica_scalar(g, f->call.dtype, 0), f->zero),
      MICA_DIMS(f->batch, f->states));
  mica_value items[2] = {mica_swap_axes(log_p, 0, 1),
                         mica_iota(g, (mica_type){MICA_I32, MICA_DIMS(f->time)}, 0)};
  mica_region scan = mica_scan_begin_count(g, &alpha, 1, items, 2, f->time, false);
  mica_value old = mica_argument(scan, 0), step = mica_argument(scan, 2);
  mica_value over = mica_select(f->skips, ctc_moved(f, old, 2), f->zero);
  mica_value next = mica_add(ctc_sum(old, ctc_moved(f, old, 1), over), mica_argument(scan, 1));
  next = mica_max(next, log_zero);
  next = mica_select(mica_less(step, f->steps), next, old);
  mica_value last;
  mica_scan_end(scan, &next, NULL, 0, &last, NULL);
  return last;
}

/* bool [batch]: all classes of the target exist, up to its length. */
static mica_value ctc_target_exists(const ctc_form *f) {
  mica_type type = {MICA_I32, MICA_DIMS(1, f->length)};
  mica_value place = mica_iota(f->call.graph, type, 1);
  mica_value padding = mica_greater_equal(place, f->labels);
  return mica_all(mica_or(padding, mica_class_exists(f->call.t, f->classes)), MICA_AXES(1));
}

mica_value mica_loss_ctc_with(const mica_loss_args *args) {
  MICA_ENTRY(args ? args->prediction.graph : NULL);
  ctc_form f = {.batch = 0};
  if (!ctc_begin(&f, args)) return mica_no_value(f.call.graph);
  mica_graph *g = f.call.graph;
  f.zero = mica_scalar(g, f.call.dtype, log_zero);
  ctc_states(&f);
  mica_value x = f.call.x;
  if (f.call.a.mask.graph) { /* sequences do not meet: a masked one may hold anything */
    mica_value m = mica_leading_axes(f.call.name, "mask", f.call.a.mask, mica_shape_of(x));
    x = mica_select(m, x, mica_scalar(g, f.call.dtype, 0));
  }
  mica_shape wide = MICA_DIMS(f.batch, f.time, f.states);
  mica_value places = mica_broadcast_to(mica_expand_dims(f.ids, 1), wide);
  mica_value log_p = mica_take_along_axis(mica_log_softmax(x, -1), places, 2);
  mica_value alpha = ctc_forward(&f, log_p);
  /* Paths end in the last class or the blank behind it. */
  mica_value end = mica_mul(f.labels, 2); /* [batch, 1] */
  mica_value at_blank = mica_take_along_axis(alpha, end, 1);
  mica_value at_class = mica_take_along_axis(alpha, mica_max(mica_sub(end, 1), 0), 1);
  at_class = mica_select(mica_greater(f.labels, 0), at_class, f.zero);
  mica_value total = mica_reshape(mica_logaddexp(at_blank, at_class), f.call.elements);
  mica_value possible = mica_greater(total, log_zero / 2);
  mica_value none = mica_full_like(total, f.call.a.zero_infinity ? 0 : INFINITY);
  mica_value elements = mica_select(possible, mica_neg(total), none);
  mica_value unknown = mica_full_like(total, NAN);
  return mica_loss_end(&f.call, mica_select(ctc_target_exists(&f), elements, unknown));
}
