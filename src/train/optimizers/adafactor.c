/* SPDX-License-Identifier: Apache-2.0 */
/* adafactor.c: Adafactor (Shazeer and Stern 2018): mean squares of a matrix as the product of those of its rows and
 * columns, by their common mean. */
#include <math.h>

#include "train/optimizers/rules.h"

/* The two largest axes, *small <= *large in size, later ones first among equals; false: the squares are kept whole. */
static bool factored_axes(const mica_optimizer *o, mica_shape shape, int32_t *small,
                          int32_t *large) {
  if (shape.rank < 2) return false;
  *large = 0;
  for (int32_t i = 1; i < shape.rank; i++)
    if (shape.dim[i] >= shape.dim[*large]) *large = i;
  *small = *large ? 0 : 1;
  for (int32_t i = *small + 1; i < shape.rank; i++)
    if (i != *large && shape.dim[i] >= shape.dim[*small]) *small = i;
  return (double)shape.dim[*small] >= mica_option(o, MICA_OPTION_FACTOR_FROM);
}

static size_t adafactor_slots(const mica_optimizer *o, mica_type type, mica_optimizer_slot *out) {
  int32_t small, large;
  size_t count = 0;
  if (factored_axes(o, type.shape, &small, &large)) {
    mica_type row = {type.dtype, mica_shape_remove(type.shape, large)};
    mica_type column = {type.dtype, mica_shape_remove(type.shape, small)};
    out[count++] = (mica_optimizer_slot){.name = "row", .type = row};
    out[count++] = (mica_optimizer_slot){.name = "column", .type = column};
  } else {
    out[count++] = (mica_optimizer_slot){.name = "square", .type = type};
  }
  if (mica_option(o, MICA_OPTION_MOMENTUM) != 0)
    out[count++] = (mica_optimizer_slot){.name = "momentum", .type = type};
  return count;
}

static mica_axes one_axis(int32_t axis) { return (mica_axes){.count = 1, .axis = {axis}}; }

/* beta old + (1 - beta) x, beta a value. */
static mica_value blend(mica_value old, mica_value x, mica_value rest) {
  return mica_add(old, mica_mul(mica_sub(x, old), rest));
}

static mica_value root_mean_square(mica_value x) {
  return mica_sqrt(mica_reduce_mean(mica_square(x), MICA_ALL));
}

static mica_value adafactor_update(const mica_optimizer *o, const mica_optimizer_step *step,
                                   mica_value *slots) {
  mica_value g = step->gradient, u;
  mica_value square = mica_add(mica_square(g), mica_option(o, MICA_OPTION_EPSILON));
  /* The weight of the new square: t^-rho. */
  mica_value rest = mica_pow(step->count, -mica_option(o, MICA_OPTION_RHO));
  int32_t small, large;
  size_t used = 1;
  if (factored_axes(o, mica_shape_of(g), &small, &large)) {
    mica_value row = slots[0] = blend(slots[0], mica_reduce_mean(square, one_axis(large)), rest);
    mica_value column = slots[1] = blend(slots[1], mica_reduce_mean(square, one_axis(small)), rest);
    mica_axes left = one_axis(small > large ? small - 1 : small);
    left.keep = true;
    mica_value by_row = mica_rsqrt(mica_div(row, mica_reduce_mean(row, left)));
    u = mica_mul(mica_mul(g, mica_expand_dims(by_row, large)),
                 mica_expand_dims(mica_rsqrt(column), small));
    used = 2;
  } else {
    slots[0] = mica_next_slot(step, blend(slots[0], square, rest), slots[0]);
    u = mica_mul(g, mica_rsqrt(slots[0]));
  }
  double threshold = mica_option(o, MICA_OPTION_CLIPPING_THRESHOLD);
  u = mica_div(u, mica_max(mica_div(root_mean_square(u), threshold), 1));
  u = mica_mul(u, step->learning_rate);
  if (mica_option(o, MICA_OPTION_NO_PARAMETER_SCALE) == 0)
    u = mica_mul(u, mica_max(root_mean_square(step->parameter), 1e-3));
  double momentum = mica_option(o, MICA_OPTION_MOMENTUM);
  if (momentum != 0)
    u = slots[used] =
        mica_next_slot(step, mica_running_mean(slots[used], u, momentum), slots[used]);
  return mica_sub(step->parameter, mica_add_decay(o, step, u));
}
static const mica_optimizer_rule adafactor_rule = {"adafactor", adafactor_slots, adafactor_update};
static const mica_optimizer_standard adafactor_standard = {
    MICA_TAKES(MOMENTUM) | MICA_TAKES(RHO) | MICA_TAKES(EPSILON) | MICA_TAKES(FACTOR_FROM) |
        MICA_TAKES(CLIPPING_THRESHOLD) | MICA_TAKES(NO_PARAMETER_SCALE),
    {[MICA_OPTION_RHO] = 0.8,
     [MICA_OPTION_EPSILON] = 1e-30,
     [MICA_OPTION_FACTOR_FROM] = 128,
     [MICA_OPTION_CLIPPING_THRESHOLD] = 1}};
mica_optimizer mica_optimizer_adafactor_with(const mica_optimizer_args *args) {
  return mica_optimizer_make(&adafactor_rule, &adafactor_standard, args);
}
