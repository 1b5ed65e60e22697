/* SPDX-License-Identifier: Apache-2.0 */
/* adam.c: Adam and its relatives, which differ in how the running means become an update. */
#include <math.h>

#include "train/optimizers/rules.h"

typedef enum { KIND_ADAM, KIND_ADAMW, KIND_ADAMAX, KIND_NADAM, KIND_AMSGRAD, KIND_LAMB } adam_kind;

static adam_kind kind_of(const mica_optimizer *o) {
  return (adam_kind)mica_option(o, MICA_OPTION_KIND);
}

static size_t adam_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  bool largest = kind_of(o) == KIND_AMSGRAD;
  out[0] = (mica_optimizer_slot){.name = "mean", .type = type};
  out[1] =
      (mica_optimizer_slot){.name = kind_of(o) == KIND_ADAMAX ? "largest" : "square", .type = type};
  out[2] = (mica_optimizer_slot){.name = "largest", .type = type};
  return largest ? 3 : 2;
}

/* u, without decay and rate. */
static mica_value adam_direction(const mica_optimizer *o, const mica_optimizer_step *step,
                                 mica_value g, mica_value *slots) {
  adam_kind kind = kind_of(o);
  double beta1 = mica_option(o, MICA_OPTION_BETA1), beta2 = mica_option(o, MICA_OPTION_BETA2);
  double epsilon = mica_option(o, MICA_OPTION_EPSILON);
  mica_value mean = slots[0] =
      mica_next_slot(step, mica_running_mean(slots[0], g, beta1), slots[0]);
  mica_value correction = mica_reciprocal(mica_bias_correction(step->count, beta1));
  if (kind == KIND_NADAM) {
    mica_value next = mica_reciprocal(mica_bias_correction(mica_add(step->count, 1), beta1));
    mean = mica_add(mica_mul(mean, mica_mul(next, beta1)),
                    mica_mul(g, mica_mul(correction, 1 - beta1)));
  } else {
    mean = mica_mul(mean, correction);
  }
  if (kind == KIND_ADAMAX) {
    mica_value largest = mica_max(mica_add(mica_abs(g), epsilon), mica_mul(slots[1], beta2));
    slots[1] = mica_next_slot(step, largest, slots[1]);
    return mica_div(mean, slots[1]);
  }
  slots[1] = mica_next_slot(step, mica_running_mean(slots[1], mica_square(g), beta2), slots[1]);
  mica_value square = mica_mul(slots[1], mica_reciprocal(mica_bias_correction(step->count, beta2)));
  if (kind == KIND_AMSGRAD)
    square = slots[2] = mica_next_slot(step, mica_max(slots[2], square), slots[2]);
  return mica_div(mean, mica_add(mica_sqrt(square), epsilon));
}

static mica_value adam_update(const mica_optimizer *o, const mica_optimizer_step *step,
                              mica_value *slots) {
  bool decoupled = kind_of(o) == KIND_ADAMW || kind_of(o) == KIND_LAMB;
  mica_value g = decoupled ? step->gradient : mica_decayed_gradient(o, step);
  mica_value u = adam_direction(o, step, g, slots);
  if (decoupled) u = mica_add_decay(o, step, u);
  if (kind_of(o) != KIND_LAMB) return mica_stepped(step, u);
  mica_value p_length = mica_length_of(step->parameter), u_length = mica_length_of(u);
  mica_value some = mica_and(mica_greater(p_length, 0), mica_greater(u_length, 0));
  mica_value one = mica_ones_like(u_length);
  mica_value ratio = mica_select(some, mica_div(p_length, mica_select(some, u_length, one)), one);
  return mica_stepped(step, mica_mul(u, ratio));
}

#define ADAM_TAKES (MICA_TAKES(BETA1) | MICA_TAKES(BETA2) | MICA_TAKES(EPSILON))
#define ADAM_OPTIMIZER(NAME, name, least, decay)                                                 \
  static const mica_optimizer_rule name##_rule = {#name, adam_slots, adam_update};               \
  static const mica_optimizer_standard name##_standard = {ADAM_TAKES,                            \
                                                          {[MICA_OPTION_BETA1] = 0.9,            \
                                                           [MICA_OPTION_BETA2] = 0.999,          \
                                                           [MICA_OPTION_EPSILON] = (least),      \
                                                           [MICA_OPTION_WEIGHT_DECAY] = (decay), \
                                                           [MICA_OPTION_KIND] = KIND_##NAME}};   \
  mica_optimizer mica_optimizer_##name##_with(const mica_optimizer_args *args) {                 \
    return mica_optimizer_make(&name##_rule, &name##_standard, args);                            \
  }
ADAM_OPTIMIZER(ADAM, adam, 1e-8, 0)
ADAM_OPTIMIZER(ADAMW, adamw, 1e-8, 0.01)
ADAM_OPTIMIZER(ADAMAX, adamax, 1e-8, 0)
ADAM_OPTIMIZER(NADAM, nadam, 1e-8, 0)
ADAM_OPTIMIZER(AMSGRAD, amsgrad, 1e-8, 0)
ADAM_OPTIMIZER(LAMB, lamb, 1e-6, 0)
#undef ADAM_OPTIMIZER
#undef ADAM_TAKES

/* ---- Muon ------------------------------------------------------------------------------------------------ */

static size_t muon_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  (void)o;
  out[0] = (mica_optimizer_slot){.name = "mean", .type = type};
  out[1] = (mica_optimizer_slot){.name = "square", .type = type};
  return type.shape.rank == 2 ? 1 : 2;
}

/* x [m, n] brought near the closest matrix with orthonormal rows (columns): each step maps a singular value s to
 * 3.4445 s - 4.775 s^3 + 2.0315 s^5, which drives all of them to about 1 (Jordan 2024). */
static mica_value near_orthogonal(mica_value x, int64_t iterations, double epsilon) {
  bool tall = mica_dim_of(x, 0) > mica_dim_of(x, 1);
  if (tall) x = mica_swap_axes(x, 0, 1); /* the products are of the smaller size */
  x = mica_div(x, mica_add(mica_length_of(x), epsilon));
  for (int64_t i = 0; i < iterations; i++) {
    mica_value a = mica_matmul(x, mica_swap_axes(x, 0, 1));
    mica_value b = mica_add(mica_mul(a, -4.775), mica_mul(mica_matmul(a, a), 2.0315));
    x = mica_add(mica_mul(x, 3.4445), mica_matmul(b, x));
  }
  return tall ? mica_swap_axes(x, 0, 1) : x;
}

static mica_value muon_update(const mica_optimizer *o, const mica_optimizer_step *step,
                              mica_value *slots) {
  mica_value g = step->gradient, p = step->parameter;
  if (mica_rank_of(p) != 2) {
    mica_optimizer nadam = *o;
    nadam.number[MICA_OPTION_KIND] = KIND_NADAM;
    nadam.number[MICA_OPTION_BETA1] = 0.9;
    return mica_stepped(step, mica_add_decay(o, step, adam_direction(&nadam, step, g, slots)));
  }
  double beta = mica_option(o, MICA_OPTION_BETA1);
  slots[0] = mica_next_slot(step, mica_running_mean(slots[0], g, beta), slots[0]);
  mica_value next = mica_bias_correction(mica_add(step->count, 1), beta);
  mica_value now = mica_bias_correction(step->count, beta);
  mica_value mean =
      mica_add(mica_mul(mica_div(slots[0], next), beta), mica_mul(mica_div(g, now), 1 - beta));
  double rows = (double)mica_dim_of(p, 0), columns = (double)mica_dim_of(p, 1);
  mica_value u = near_orthogonal(mean, (int64_t)mica_option(o, MICA_OPTION_ITERATIONS),
                                 mica_option(o, MICA_OPTION_EPSILON));
  if (columns > rows && rows > 0) u = mica_mul(u, sqrt(columns / rows));
  return mica_stepped(step, mica_add_decay(o, step, u));
}
static const mica_optimizer_rule muon_rule = {"muon", muon_slots, muon_update};
static const mica_optimizer_standard muon_standard = {
    MICA_TAKES(BETA1) | MICA_TAKES(BETA2) | MICA_TAKES(EPSILON) | MICA_TAKES(ITERATIONS),
    {[MICA_OPTION_BETA1] = 0.95,
     [MICA_OPTION_BETA2] = 0.999,
     [MICA_OPTION_EPSILON] = 1e-8,
     [MICA_OPTION_ITERATIONS] = 5}};
mica_optimizer mica_optimizer_muon_with(const mica_optimizer_args *args) {
  return mica_optimizer_make(&muon_rule, &muon_standard, args);
}
