/* SPDX-License-Identifier: Apache-2.0 */
/* gradients.c: what is done with gradients and weights around an update: norms, clipping, sums over small batches, moving
 * averages, dynamic loss scaling. */
#include <inttypes.h>
#include <math.h>

#include "train/optimizers/rules.h"

static bool floats_given(const char *op, const mica_value *x, size_t count) {
  if (!mica_operands_usable(op, x, count)) return false;
  for (size_t i = 0; i < count; i++) {
    mica_dtype dtype = mica_dtype_of(x[i]);
    if (mica_dtype_is_float(dtype) && mica_dtype_bits(dtype) >= 16) continue;
    mica_fail_operator(x[i].graph, op, &x[i], 1, "value %zu: expected f16, bf16, f32 or f64", i);
    return false;
  }
  return true;
}
static bool limit_given(const char *op, mica_value x, double limit) {
  if (limit > 0) return true;
  mica_fail_operator(x.graph, op, &x, 1, "limit %g: expected a number above 0", limit);
  return false;
}
/* An integer [] as a float of x's dtype. */
static bool step_given(const char *op, mica_value step) {
  if (!mica_operands_usable(op, &step, 1)) return false;
  if (mica_rank_of(step) == 0 && mica_dtype_is_integer(mica_dtype_of(step))) return true;
  mica_fail_operator(step.graph, op, &step, 1, "expected integers []");
  return false;
}

/* ---- norms ----------------------------------------------------------------------------------------------- */

static mica_value norm_of_all(const mica_value *x, size_t count) {
  mica_dtype dtype = MICA_F32;
  for (size_t i = 0; i < count; i++)
    if (mica_dtype_of(x[i]) == MICA_F64) dtype = MICA_F64;
  mica_value sum = {0};
  for (size_t i = 0; i < count; i++) {
    /* Of |x|: the square of x itself may be one that an optimizer takes as well, and what two steps read is stored. */
    mica_value square = mica_reduce_sum(mica_square(mica_abs(mica_widen(x[i]))), MICA_ALL);
    sum = mica_add_values(sum, mica_convert(square, dtype));
  }
  return mica_sqrt(sum);
}

mica_value mica_global_norm(const mica_value *x, size_t count) {
  mica_graph *graph = mica_graph_of(x, count);
  MICA_ENTRY(graph);
  if (!floats_given("global_norm", x, count)) return mica_no_value(graph);
  return norm_of_all(x, count);
}

void mica_clip_by_global_norm(const mica_value *x, size_t count, double limit, mica_value *out,
                              mica_value *out_norm) {
  mica_graph *graph = mica_graph_of(x, count);
  MICA_ENTRY(graph);
  mica_value norm = mica_no_value(graph), values[1];
  bool well = count > 0 && floats_given("clip_by_global_norm", x, count) &&
              limit_given("clip_by_global_norm", x[0], limit);
  if (well) norm = norm_of_all(x, count);
  for (size_t i = 0; i < count; i++) {
    values[0] = x[i];
    if (well) {
      mica_value wide = mica_widen(x[i]), n = mica_convert(norm, mica_dtype_of(wide));
      mica_value clipped = mica_mul(mica_div(wide, n), limit);
      clipped = mica_select(mica_less_equal(n, limit), wide, clipped);
      values[0] = mica_convert(clipped, mica_dtype_of(x[i]));
    }
    out[i] = well ? values[0] : mica_no_value(graph);
  }
  if (out_norm) *out_norm = norm;
}

mica_value mica_clip_by_norm(mica_value x, double limit) {
  MICA_ENTRY(x.graph);
  mica_value out;
  if (!floats_given("clip_by_norm", &x, 1) || !limit_given("clip_by_norm", x, limit))
    return mica_no_value(x.graph);
  mica_clip_by_global_norm(&x, 1, limit, &out, NULL);
  return out;
}
mica_value mica_clip_by_value(mica_value x, double limit) {
  MICA_ENTRY(x.graph);
  if (!floats_given("clip_by_value", &x, 1) || !limit_given("clip_by_value", x, limit))
    return mica_no_value(x.graph);
  return mica_clamp_numbers(x, -limit, limit);
}

mica_value mica_all_finite(const mica_value *x, size_t count) {
  mica_graph *graph = mica_graph_of(x, count);
  MICA_ENTRY(graph);
  if (!floats_given("all_finite", x, count)) return mica_no_value(graph);
  mica_value all = {0};
  for (size_t i = 0; i < count; i++) {
    mica_value finite = mica_all(mica_is_finite(x[i]), MICA_ALL);
    all = i ? mica_and(all, finite) : finite;
  }
  return all;
}
mica_value mica_zero_non_finite(mica_value x) {
  MICA_ENTRY(x.graph);
  if (!floats_given("zero_non_finite", &x, 1)) return mica_no_value(x.graph);
  return mica_select(mica_is_finite(x), x, mica_zeros_like(x));
}

/* ---- several batches ---------------------------------------------------------------------------------------- */

void mica_accumulate_gradients(const mica_value *sums, const mica_value *gradients, size_t count,
                               mica_value place, int64_t every, mica_value *out_sums,
                               mica_value *out_means, mica_value *out_ready) {
  static const char op[] = "accumulate_gradients";
  MICA_ENTRY(place.graph);
  *out_ready = mica_no_value(place.graph);
  bool well = step_given(op, place) &&
              (count == 0 || (floats_given(op, sums, count) && floats_given(op, gradients, count)));
  if (well && (every < 1 || every > INT32_MAX)) {
    mica_fail_operator(place.graph, op, &place, 1, "every %" PRId64 ": expected at least 1", every);
    well = false;
  }
  if (well) {
    mica_value next = mica_add(mica_convert(place, MICA_I64), 1);
    *out_ready = mica_equal(mica_mod(next, (double)every), 0);
  }
  for (size_t i = 0; i < count; i++) {
    out_sums[i] = out_means[i] = mica_no_value(place.graph);
    if (well && !mica_shape_equal(mica_shape_of(sums[i]), mica_shape_of(gradients[i]))) {
      mica_value both[2] = {sums[i], gradients[i]};
      mica_fail_operator(place.graph, op, both, 2, "gradient %zu: expected the sum's shape", i);
      well = false;
    }
    if (!well) continue;
    mica_value total = mica_add(sums[i], mica_convert(gradients[i], mica_dtype_of(sums[i])));
    out_means[i] = mica_div(total, (double)every);
    out_sums[i] = mica_select(*out_ready, mica_zeros_like(total), total);
  }
}

mica_value mica_moving_average(mica_value average, mica_value x, double decay, mica_value step) {
  static const char op[] = "moving_average";
  MICA_ENTRY_OF(average, x);
  mica_value both[2] = {average, x};
  if (!floats_given(op, both, 2) || (step.graph && !step_given(op, step)))
    return mica_no_value(average.graph);
  if (!mica_shape_equal(mica_shape_of(average), mica_shape_of(x)))
    return mica_fail_operator(average.graph, op, both, 2, "expected equal shapes");
  if (!(decay >= 0 && decay <= 1))
    return mica_fail_operator(average.graph, op, both, 2, "decay %g: expected a number in 0 .. 1",
                              decay);
  mica_dtype dtype = mica_dtype_of(average);
  mica_value wide = mica_widen(average);
  mica_value from = mica_convert(x, mica_dtype_of(wide));
  mica_value rest = mica_scalar(average.graph, mica_dtype_of(wide), 1 - decay);
  if (step.graph) { /* 1 - (1 + n) / (10 + n) = 9 / (10 + n) */
    mica_value n = mica_convert(mica_add(mica_convert(step, MICA_I64), 10), mica_dtype_of(wide));
    rest = mica_max(rest, mica_div(mica_full_like(n, 9), n));
  }
  return mica_convert(mica_add(wide, mica_mul(mica_sub(from, wide), rest)), dtype);
}

/* ---- loss scaling --------------------------------------------------------------------------------------------- */

mica_loss_scale mica_loss_scale_update(mica_loss_scale state, mica_value finite,
                                       const mica_loss_scale_args *args) {
  static const char op[] = "loss_scale_update";
  MICA_ENTRY_OF(state.scale, finite);
  mica_value in[3] = {state.scale, state.streak, finite};
  mica_graph *graph = state.scale.graph;
  mica_loss_scale failed = {mica_no_value(graph), mica_no_value(graph)};
  mica_loss_scale_args a;
  mica_copy_args(&a, sizeof a, args);
  if (!mica_operands_usable(op, in, 3)) return failed;
  if (mica_rank_of(in[0]) || mica_rank_of(in[1]) || mica_rank_of(in[2]) ||
      mica_dtype_of(in[0]) != MICA_F32 || mica_dtype_of(in[1]) != MICA_I32 ||
      mica_dtype_of(in[2]) != MICA_BOOL) {
    mica_fail_operator(graph, op, in, 3, "expected f32[], i32[], bool[]");
    return failed;
  }
  double growth = a.growth == 0 ? 2 : a.growth, backoff = a.backoff == 0 ? 0.5 : a.backoff;
  double least = a.least == 0 ? 1 : a.least, most = a.most == 0 ? 16777216 : a.most;
  int64_t interval = a.interval == 0 ? 2000 : a.interval;
  if (!(growth >= 1) || !(backoff > 0 && backoff <= 1) || interval < 1 || interval > INT32_MAX ||
      !(least > 0 && least <= most)) {
    mica_fail_operator(graph, op, in, 3,
                       "expected growth >= 1, 0 < backoff <= 1, interval >= 1, 0 < least <= most");
    return failed;
  }
  mica_value streak = mica_add(state.streak, 1);
  mica_value full = mica_greater_equal(streak, (double)interval);
  mica_value grown = mica_min(mica_mul(state.scale, growth), most);
  mica_value shrunk = mica_max(mica_mul(state.scale, backoff), least);
  mica_value zero = mica_scalar(graph, MICA_I32, 0);
  mica_loss_scale next;
  next.scale = mica_select(finite, mica_select(full, grown, state.scale), shrunk);
  next.streak = mica_select(mica_and(finite, mica_not(full)), streak, zero);
  return next;
}

mica_value mica_unscale(mica_value x, mica_value scale) {
  MICA_ENTRY_OF(x, scale);
  mica_value both[2] = {x, scale};
  if (!floats_given("unscale", both, 2)) return mica_no_value(x.graph);
  if (mica_rank_of(scale) != 0)
    return mica_fail_operator(x.graph, "unscale", both, 2, "the scale: expected []");
  mica_value wide = mica_widen(x);
  return mica_div(wide, mica_convert(scale, mica_dtype_of(wide)));
}
