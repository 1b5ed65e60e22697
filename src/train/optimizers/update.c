/* SPDX-License-Identifier: Apache-2.0 */
/* update.c: the update of all parameters as one piece of graph: each is widened, handed to the optimizer's rule with its
 * slots, and rounded back; f16 and bf16 go on from their f32 copy. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "train/optimizers/rules.h"

/* ---- options --------------------------------------------------------------------------------------- */

/* Texts, since a mistake is kept as a pointer. */
static const char *const option_names[MICA_OPTION_COUNT] = {
    "momentum is not an option of this optimizer",
    "nesterov is not an option of this optimizer",
    "beta1 is not an option of this optimizer",
    "beta2 is not an option of this optimizer",
    "rho is not an option of this optimizer",
    "epsilon is not an option of this optimizer",
    "weight_decay is not an option of this optimizer",
    "initial_accumulator is not an option of this optimizer",
    "centered is not an option of this optimizer",
    "factor_from is not an option of this optimizer",
    "clipping_threshold is not an option of this optimizer",
    "no_parameter_scale is not an option of this optimizer",
    "iterations is not an option of this optimizer",
    "",
};

static const char *option_range_mistake(const mica_optimizer *o) {
  const double *n = o->number;
  const mica_optimizer_option below_one[] = {MICA_OPTION_MOMENTUM, MICA_OPTION_BETA1,
                                             MICA_OPTION_BETA2};
  for (size_t i = 0; i < sizeof below_one / sizeof below_one[0]; i++)
    if (n[below_one[i]] >= 1) return "momentum, beta1 and beta2 have to be less than 1";
  for (int i = 0; i < MICA_OPTION_COUNT; i++)
    if (!isfinite(n[i])) return "an option is not a finite number";
  if (n[MICA_OPTION_NESTEROV] != 0 && n[MICA_OPTION_MOMENTUM] == 0)
    return "nesterov needs a momentum";
  if (n[MICA_OPTION_ITERATIONS] > 100) return "iterations has to be at most 100";
  return NULL;
}

mica_optimizer mica_optimizer_make(const mica_optimizer_rule *rule,
                                   const mica_optimizer_standard *standard,
                                   const mica_optimizer_args *args) {
  mica_optimizer_args a;
  mica_optimizer o = {.rule = rule};
  if (!mica_copy_args(&a, sizeof a, args)) o.mistake = "there are no arguments";
  const double given[MICA_OPTION_COUNT] = {a.momentum,
                                           a.nesterov,
                                           a.beta1,
                                           a.beta2,
                                           a.rho,
                                           a.epsilon,
                                           a.weight_decay,
                                           a.initial_accumulator,
                                           a.centered,
                                           (double)a.factor_from,
                                           a.clipping_threshold,
                                           a.no_parameter_scale,
                                           (double)a.iterations,
                                           0};
  for (int i = 0; i < MICA_OPTION_COUNT; i++) {
    bool taken = (standard->takes | MICA_TAKES(WEIGHT_DECAY)) >> i & 1;
    if (given[i] != 0 && !taken && !o.mistake) o.mistake = option_names[i];
    o.number[i] = given[i] == 0 ? standard->number[i] : given[i] < 0 ? 0 : given[i];
  }
  if (!o.mistake) o.mistake = option_range_mistake(&o);
  return o;
}

/* ---- parts of several rules -------------------------------------------------------------------------- */

mica_value mica_next_slot(const mica_optimizer_step *step, mica_value next, mica_value old) {
  return step->apply.graph ? mica_select(step->apply, next, old) : next;
}
/* Whether a rule has chosen between the new value and the old one itself. */
static bool is_next_slot(mica_value next, mica_value old) {
  if (!mica_is_valid(next) || !mica_is_valid(old)) return false;
  const mica_node *node = mica_node_at(next.graph, next.id);
  return node->op == MICA_OP_SELECT && mica_node_operands(next.graph, node)[2] == old.id;
}
mica_value mica_running_mean(mica_value old, mica_value x, double beta) {
  return mica_add(mica_mul(x, 1 - beta), mica_mul(old, beta));
}
mica_value mica_bias_correction(mica_value count, double beta) {
  if (beta == 0) return mica_ones_like(count);
  return mica_neg(mica_expm1(mica_mul(count, log(beta))));
}
mica_value mica_add_decay(const mica_optimizer *optimizer, const mica_optimizer_step *step,
                          mica_value x) {
  double decay = mica_option(optimizer, MICA_OPTION_WEIGHT_DECAY) * step->decay_factor;
  return decay == 0 ? x : mica_add(x, mica_mul(step->parameter, decay));
}
mica_value mica_decayed_gradient(const mica_optimizer *optimizer, const mica_optimizer_step *step) {
  return mica_add_decay(optimizer, step, step->gradient);
}
mica_value mica_stepped(const mica_optimizer_step *step, mica_value x) {
  return mica_sub(step->parameter, mica_mul(x, step->learning_rate));
}
mica_value mica_length_of(mica_value x) {
  return mica_sqrt(mica_reduce_sum(mica_square(x), MICA_ALL));
}

/* ---- slots --------------------------------------------------------------------------------------------- */

/* NULL, or what is wrong. */
static const char *optimizer_mistake(const mica_optimizer *optimizer) {
  if (!optimizer || !optimizer->rule) return "there is no optimizer";
  return optimizer->mistake;
}

static size_t slots_of(const mica_optimizer *optimizer, mica_type parameter,
                       mica_optimizer_slot *out) {
  mica_type type = {mica_wide_dtype(parameter.dtype), parameter.shape};
  size_t count = 0;
  if (type.dtype != parameter.dtype)
    out[count++] = (mica_optimizer_slot){.name = "master", .type = type, .is_parameter = true};
  return count + optimizer->rule->slots(optimizer, type, out + count);
}

static bool trains(mica_dtype dtype) {
  return dtype == MICA_F16 || dtype == MICA_BF16 || dtype == MICA_F32 || dtype == MICA_F64;
}

size_t mica_optimizer_slots(const mica_optimizer *optimizer, mica_type parameter,
                            mica_optimizer_slot *out, mica_error *error) {
  const char *mistake = optimizer_mistake(optimizer);
  if (mistake)
    mica_error_set(error, MICA_INVALID, "%s: %s",
                   optimizer && optimizer->rule ? optimizer->rule->name : "optimizer", mistake);
  else if (!trains(parameter.dtype) || mica_shape_count(parameter.shape) < 0)
    mica_error_set(error, MICA_INVALID,
                   "%s: a parameter has dtype %s: expected f16, bf16, f32 or f64",
                   optimizer->rule->name, mica_dtype_name(parameter.dtype));
  else
    return slots_of(optimizer, parameter, out);
  return 0;
}

mica_value mica_optimizer_slot_value(mica_optimizer_slot slot, mica_value parameter) {
  MICA_ENTRY(parameter.graph);
  return slot.is_parameter ? mica_convert(parameter, slot.type.dtype)
                           : mica_full(parameter.graph, slot.type, slot.initial);
}

mica_tensor *mica_optimizer_slot_tensor(mica_optimizer_slot slot, const mica_tensor *parameter) {
  mica_tensor *tensor = mica_tensor_from(slot.type.dtype, slot.type.shape, NULL);
  size_t bytes;
  if (!tensor || (!slot.is_parameter && slot.initial == 0)) return tensor;
  int64_t count = mica_shape_count(slot.type.shape);
  char *host = mica_type_byte_size(slot.type, &bytes) ? malloc(bytes ? bytes : 1) : NULL;
  bool done = host != NULL;
  if (done && slot.is_parameter) {
    mica_type type = mica_tensor_type(parameter);
    done = mica_shape_equal(type.shape, slot.type.shape) &&
           !mica_convert_elements(slot.type.dtype, host, type.dtype, mica_tensor_data(parameter),
                                  count);
  } else if (done) {
    size_t one = bytes / (size_t)(count ? count : 1);
    for (int64_t i = 0; done && i < count; i++)
      done = !mica_convert_elements(slot.type.dtype, host + (size_t)i * one, MICA_F64,
                                    &slot.initial, 1);
  }
  done = done && !mica_tensor_write(tensor, host, bytes, NULL);
  free(host);
  if (done) return tensor;
  mica_tensor_release(tensor);
  return NULL;
}

/* ---- update -------------------------------------------------------------------------------------------- */

typedef struct {
  const mica_optimizer *optimizer;
  const mica_optimizer_update_args *a;
  mica_graph *graph;
  const char *name;
} update_call;

static bool update_failed(const update_call *call, const mica_value *in, size_t count,
                          const char *format, ...) MICA_PRINTF(4, 5);
static bool update_failed(const update_call *call, const mica_value *in, size_t count,
                          const char *format, ...) {
  char why[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  mica_fail_operator(call->graph, call->name, in, count, "%s", why);
  return false;
}

static bool update_checked(const update_call *call) {
  const mica_optimizer_update_args *a = call->a;
  mica_value numbers[3] = {a->step, a->learning_rate, a->apply};
  if (!mica_operands_usable(call->name, numbers, a->apply.graph ? 3 : 2)) return false;
  const char *mistake = optimizer_mistake(call->optimizer);
  if (mistake) return update_failed(call, NULL, 0, "%s", mistake);
  if (mica_rank_of(a->step) != 0 || !mica_dtype_is_integer(mica_dtype_of(a->step)))
    return update_failed(call, numbers, 1, "the step: expected integers []");
  if (mica_rank_of(a->learning_rate) != 0 || !mica_dtype_is_float(mica_dtype_of(a->learning_rate)))
    return update_failed(call, numbers + 1, 1, "the learning rate: expected floats []");
  if (a->apply.graph && (mica_rank_of(a->apply) != 0 || mica_dtype_of(a->apply) != MICA_BOOL))
    return update_failed(call, numbers + 2, 1, "apply: expected bool []");
  return true;
}

/* The learning rate beside it has a graph, which a missing value has not. */
static bool update_usable(const update_call *call, mica_value value) {
  mica_value in[2] = {call->a->learning_rate, value};
  return mica_operands_usable(call->name, in, 2);
}

/* Parameter i with its slots; false when the graph failed. */
static bool update_one(const update_call *call, size_t i, const mica_optimizer_slot *slots,
                       size_t slot_count, const mica_value *old, mica_value *out_parameter,
                       mica_value *out_slots) {
  const mica_optimizer_update_args *a = call->a;
  mica_optimizer_group group = a->groups ? a->groups[i] : (mica_optimizer_group){1, 1, false};
  mica_value parameter = a->parameters[i], gradient = {0};
  mica_type type = mica_type_of(parameter);
  for (size_t k = 0; k < slot_count; k++) {
    if (!update_usable(call, old ? old[k] : (mica_value){0})) return false;
    if (!mica_type_equal(mica_type_of(old[k]), slots[k].type))
      return update_failed(call, &old[k], 1,
                           "slot %s of parameter %zu: expected the type that "
                           "mica_optimizer_slots gives",
                           slots[k].name, i);
    out_slots[k] = old[k];
  }
  *out_parameter = parameter;
  if (group.frozen) return true;
  if (!isfinite(group.rate_factor) || !isfinite(group.decay_factor))
    return update_failed(call, &parameter, 1, "factors of parameter %zu: expected finite numbers",
                         i);
  gradient = a->gradients ? a->gradients[i] : gradient;
  if (!update_usable(call, gradient)) return false;
  mica_dtype wide = mica_wide_dtype(type.dtype), given = mica_dtype_of(gradient);
  if (!mica_shape_equal(mica_shape_of(gradient), type.shape) || !trains(given) ||
      (given == MICA_F64 && wide != MICA_F64)) {
    mica_value in[2] = {parameter, gradient};
    return update_failed(call, in, 2,
                         "gradient %zu: expected the parameter's shape and floats "
                         "no wider than that",
                         i);
  }
  size_t master = wide != type.dtype;
  mica_value rate = mica_convert(a->learning_rate, wide);
  if (group.rate_factor != 1) rate = mica_mul(rate, group.rate_factor);
  mica_optimizer_step step = {
      .struct_size = sizeof step,
      .parameter = master ? old[0] : parameter,
      .gradient = mica_convert(gradient, wide),
      .count = mica_convert(mica_add(mica_convert(a->step, MICA_I64), 1), wide),
      .learning_rate = rate,
      .decay_factor = group.decay_factor,
      .apply = a->apply};
  mica_value next = call->optimizer->rule->update(call->optimizer, &step, out_slots + master);
  if (master) out_slots[0] = next;
  if (a->apply.graph)
    for (size_t k = 0; k < slot_count; k++)
      if (!is_next_slot(out_slots[k], old[k]))
        out_slots[k] = mica_select(a->apply, out_slots[k], old[k]);
  if (master)
    *out_parameter = mica_convert(out_slots[0], type.dtype);
  else
    *out_parameter = a->apply.graph ? mica_select(a->apply, next, parameter) : next;
  return call->graph->status == MICA_OK;
}

void mica_optimizer_update_with(const mica_optimizer *optimizer,
                                const mica_optimizer_update_args *args, mica_value *out_parameters,
                                mica_value *out_slots) {
  MICA_ENTRY(args ? args->learning_rate.graph : NULL);
  mica_optimizer_update_args a;
  if (!mica_copy_args(&a, sizeof a, args)) return;
  update_call call = {.optimizer = optimizer,
                      .a = &a,
                      .graph = a.learning_rate.graph ? a.learning_rate.graph : a.step.graph,
                      .name = optimizer && optimizer->rule ? optimizer->rule->name : "optimizer"};
  bool well = update_checked(&call);
  size_t at = 0;
  for (size_t i = 0; i < a.count; i++) {
    mica_optimizer_slot slots[MICA_OPTIMIZER_MOST_SLOTS];
    well = well && update_usable(&call, a.parameters[i]);
    mica_type type = mica_type_of(a.parameters[i]);
    if (well && !trains(type.dtype))
      well = update_failed(&call, &a.parameters[i], 1,
                           "parameter %zu has dtype %s: expected f16, bf16, f32 or f64", i,
                           mica_dtype_name(type.dtype));
    size_t count = well ? slots_of(optimizer, type, slots) : 0;
    well = well && update_one(&call, i, slots, count, a.slots ? a.slots + at : NULL,
                              &out_parameters[i], out_slots + at);
    if (!well) out_parameters[i] = mica_no_value(call.graph);
    at += count;
  }
}
