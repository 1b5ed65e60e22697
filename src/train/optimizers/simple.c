/* SPDX-License-Identifier: Apache-2.0 */
/* simple.c: optimizers without Adam's moments: SGD, RMSProp, Adagrad, Adadelta, Lion. */
#include <math.h>

#include "train/optimizers/rules.h"

static size_t zero_slots(mica_type type, mica_optimizer_slot *out, size_t count,
                         const char *const *names) {
  for (size_t i = 0; i < count; i++) out[i] = (mica_optimizer_slot){.name = names[i], .type = type};
  return count;
}

/* ---- SGD --------------------------------------------------------------------------------------------- */

static size_t sgd_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  size_t count = mica_option(o, MICA_OPTION_MOMENTUM) != 0;
  return zero_slots(type, out, count, (const char *const[]){"momentum"});
}
/* x, or with momentum what it has grown to in *slot. */
static mica_value with_momentum(const mica_optimizer *o, const mica_optimizer_step *step,
                                mica_value x, mica_value *slot) {
  double momentum = mica_option(o, MICA_OPTION_MOMENTUM);
  if (momentum == 0) return x;
  *slot = mica_next_slot(step, mica_add(x, mica_mul(*slot, momentum)), *slot);
  return mica_option(o, MICA_OPTION_NESTEROV) != 0 ? mica_add(x, mica_mul(*slot, momentum)) : *slot;
}
static mica_value sgd_update(const mica_optimizer *o, const mica_optimizer_step *step,
                             mica_value *slots) {
  return mica_stepped(step, with_momentum(o, step, mica_decayed_gradient(o, step), slots));
}
static const mica_optimizer_rule sgd_rule = {"sgd", sgd_slots, sgd_update};
static const mica_optimizer_standard sgd_standard = {MICA_TAKES(MOMENTUM) | MICA_TAKES(NESTEROV),
                                                     {0}};
mica_optimizer mica_optimizer_sgd_with(const mica_optimizer_args *args) {
  return mica_optimizer_make(&sgd_rule, &sgd_standard, args);
}

/* ---- RMSProp ------------------------------------------------------------------------------------------- */

static size_t rmsprop_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  const char *names[3] = {"square"};
  size_t count = 1;
  if (mica_option(o, MICA_OPTION_CENTERED) != 0) names[count++] = "mean";
  if (mica_option(o, MICA_OPTION_MOMENTUM) != 0) names[count++] = "momentum";
  return zero_slots(type, out, count, names);
}
static mica_value rmsprop_update(const mica_optimizer *o, const mica_optimizer_step *step,
                                 mica_value *slots) {
  mica_value g = mica_decayed_gradient(o, step);
  double rho = mica_option(o, MICA_OPTION_RHO);
  bool centered = mica_option(o, MICA_OPTION_CENTERED) != 0;
  mica_value square = slots[0] =
      mica_next_slot(step, mica_running_mean(slots[0], mica_square(g), rho), slots[0]);
  if (centered) {
    slots[1] = mica_next_slot(step, mica_running_mean(slots[1], g, rho), slots[1]);
    square = mica_sub(square, mica_square(slots[1]));
  }
  mica_value u = mica_mul(g, mica_rsqrt(mica_add(square, mica_option(o, MICA_OPTION_EPSILON))));
  u = with_momentum(o, step, mica_mul(u, step->learning_rate), slots + 1 + centered);
  return mica_sub(step->parameter, u);
}
static const mica_optimizer_rule rmsprop_rule = {"rmsprop", rmsprop_slots, rmsprop_update};
static const mica_optimizer_standard rmsprop_standard = {
    MICA_TAKES(MOMENTUM) | MICA_TAKES(NESTEROV) | MICA_TAKES(RHO) | MICA_TAKES(EPSILON) |
        MICA_TAKES(CENTERED),
    {[MICA_OPTION_RHO] = 0.9, [MICA_OPTION_EPSILON] = 1e-8}};
mica_optimizer mica_optimizer_rmsprop_with(const mica_optimizer_args *args) {
  return mica_optimizer_make(&rmsprop_rule, &rmsprop_standard, args);
}

/* ---- Adagrad -------------------------------------------------------------------------------------------- */

static size_t adagrad_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  out[0] = (mica_optimizer_slot){
      .name = "square", .type = type, .initial = mica_option(o, MICA_OPTION_INITIAL_ACCUMULATOR)};
  return 1;
}
static mica_value adagrad_update(const mica_optimizer *o, const mica_optimizer_step *step,
                                 mica_value *slots) {
  mica_value g = mica_decayed_gradient(o, step);
  slots[0] = mica_next_slot(step, mica_add(slots[0], mica_square(g)), slots[0]);
  mica_value scale = mica_rsqrt(mica_add(slots[0], mica_option(o, MICA_OPTION_EPSILON)));
  /* Without an epsilon a gradient that was always 0 moves nothing. */
  scale = mica_select(mica_greater(slots[0], 0), scale, mica_zeros_like(scale));
  return mica_stepped(step, mica_mul(g, scale));
}
static const mica_optimizer_rule adagrad_rule = {"adagrad", adagrad_slots, adagrad_update};
static const mica_optimizer_standard adagrad_standard = {
    MICA_TAKES(EPSILON) | MICA_TAKES(INITIAL_ACCUMULATOR),
    {[MICA_OPTION_EPSILON] = 1e-7, [MICA_OPTION_INITIAL_ACCUMULATOR] = 0.1}};
mica_optimizer mica_optimizer_adagrad_with(const mica_optimizer_args *args) {
  return mica_optimizer_make(&adagrad_rule, &adagrad_standard, args);
}

/* ---- Adadelta ------------------------------------------------------------------------------------------- */

static size_t adadelta_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  (void)o;
  return zero_slots(type, out, 2, (const char *const[]){"square", "update"});
}
static mica_value adadelta_update(const mica_optimizer *o, const mica_optimizer_step *step,
                                  mica_value *slots) {
  mica_value g = mica_decayed_gradient(o, step);
  double rho = mica_option(o, MICA_OPTION_RHO), epsilon = mica_option(o, MICA_OPTION_EPSILON);
  slots[0] = mica_next_slot(step, mica_running_mean(slots[0], mica_square(g), rho), slots[0]);
  mica_value ratio =
      mica_div(mica_sqrt(mica_add(slots[1], epsilon)), mica_sqrt(mica_add(slots[0], epsilon)));
  mica_value u = mica_mul(ratio, g);
  slots[1] = mica_running_mean(slots[1], mica_square(u), rho);
  return mica_stepped(step, u);
}
static const mica_optimizer_rule adadelta_rule = {"adadelta", adadelta_slots, adadelta_update};
static const mica_optimizer_standard adadelta_standard = {
    MICA_TAKES(RHO) | MICA_TAKES(EPSILON), {[MICA_OPTION_RHO] = 0.9, [MICA_OPTION_EPSILON] = 1e-6}};
mica_optimizer mica_optimizer_adadelta_with(const mica_optimizer_args *args) {
  return mica_optimizer_make(&adadelta_rule, &adadelta_standard, args);
}

/* ---- Lion ------------------------------------------------------------------------------------------------ */

static size_t lion_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  (void)o;
  return zero_slots(type, out, 1, (const char *const[]){"mean"});
}
static mica_value lion_update(const mica_optimizer *o, const mica_optimizer_step *step,
                              mica_value *slots) {
  mica_value g = step->gradient;
  mica_value u = mica_sign(mica_running_mean(slots[0], g, mica_option(o, MICA_OPTION_BETA1)));
  slots[0] = mica_running_mean(slots[0], g, mica_option(o, MICA_OPTION_BETA2));
  return mica_stepped(step, mica_add_decay(o, step, u));
}
static const mica_optimizer_rule lion_rule = {"lion", lion_slots, lion_update};
static const mica_optimizer_standard lion_standard = {
    MICA_TAKES(BETA1) | MICA_TAKES(BETA2), {[MICA_OPTION_BETA1] = 0.9, [MICA_OPTION_BETA2] = 0.99}};
mica_optimizer mica_optimizer_lion_with(const mica_optimizer_args *args) {
  return mica_optimizer_make(&lion_rule, &lion_standard, args);
}
