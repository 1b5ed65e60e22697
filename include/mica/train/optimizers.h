/* SPDX-License-Identifier: Apache-2.0 */
/* optimizers.h: how gradients become new parameters, and what is done with gradients before that.
 *
 * An optimizer is a plain value with its options. For each parameter it has some slots (moments, ..) whose types and first
 * values follow from the parameter's type; mica_optimizer_update builds the update of all parameters into one graph,
 * as functions of parameters, gradients, slots, step and learning rate: whoever keeps them (a trainer, a test) gives the
 * results back at the next step. f16 and bf16 parameters have an f32 copy as their first slot, which is what is
 * updated; moments are f32 then, and f64 for f64.
 *
 * Below g is the gradient, p the parameter, r the learning rate, t the number of the update from 1, m^ = m / (1 - beta1^t).
 * Options: 0 is the default, a negative number means 0, and one that an optimizer does not list is an error of the first
 * function that takes it. weight_decay d is coupled (g + d p is the gradient) unless told. Formulas and defaults are
 * optax's. Example: examples/training_functions.c. */
#ifndef MICA_TRAIN_OPTIMIZERS_H
#define MICA_TRAIN_OPTIMIZERS_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- optimizers ------------------------------------------------------------------------------------ */

typedef struct mica_optimizer_rule mica_optimizer_rule;
typedef struct {
  const mica_optimizer_rule *rule;
  double number[16];   /* the options, as the rule lays them out */
  const char *mistake; /* in the options; NULL: none */
} mica_optimizer;

typedef struct {
  size_t struct_size;
  const struct mica_names_only *named_;
  double momentum; /* 0: none */
  bool nesterov;
  double beta1, beta2;
  double rho; /* of a running mean of squares */
  double epsilon;
  double weight_decay; /* 0: none, but for AdamW */
  double initial_accumulator;
  bool centered;
  int64_t factor_from;       /* 0: 128 */
  double clipping_threshold; /* 0: 1 */
  bool no_parameter_scale;
  int64_t iterations; /* 0: 5 */
} mica_optimizer_args;
#define MICA_OPTIMIZER_ARGS(...) \
  (&(mica_optimizer_args){.struct_size = sizeof(mica_optimizer_args), __VA_ARGS__})

/* p - r g; with momentum b = g + momentum b, p - r b; nesterov: p - r (g + momentum b) (Sutskever et al. 2013). Options
 * momentum, nesterov, weight_decay. Slot, with momentum: momentum. */
MICA_API mica_optimizer mica_optimizer_sgd_with(const mica_optimizer_args *args);
/* m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, p - r m^ / (sqrt(v^) + epsilon) (Kingma and Ba 2015,
 * arXiv 1412.6980). Options beta1 0.9, beta2 0.999, epsilon 1e-8, weight_decay. Slots mean, square. */
MICA_API mica_optimizer mica_optimizer_adam_with(const mica_optimizer_args *args);
/* Adam less r d p, the decay decoupled (Loshchilov and Hutter 2019, arXiv 1711.05101). weight_decay 0.01. */
MICA_API mica_optimizer mica_optimizer_adamw_with(const mica_optimizer_args *args);
/* u = max(beta2 u, |g| + epsilon), p - r m^ / u (Kingma and Ba, section 7). As Adam; slots mean, largest. */
MICA_API mica_optimizer mica_optimizer_adamax_with(const mica_optimizer_args *args);
/* Adam with beta1 m / (1 - beta1^(t + 1)) + (1 - beta1) g / (1 - beta1^t) in place of m^ (Dozat 2016). */
MICA_API mica_optimizer mica_optimizer_nadam_with(const mica_optimizer_args *args);
/* Adam with the largest v^ so far in place of v^ (Reddi et al. 2018, arXiv 1904.09237). Slots mean, square, largest. */
MICA_API mica_optimizer mica_optimizer_amsgrad_with(const mica_optimizer_args *args);
/* v = rho v + (1 - rho) g^2, u = r g / sqrt(v + epsilon), p - u (Tieleman and Hinton 2012); centered: v less the square of
 * the running mean of g (Graves 2013, arXiv 1308.0850); with momentum as SGD's, u in place of r g. Options rho 0.9,
 * epsilon 1e-8, momentum, nesterov, centered, weight_decay. Slots square, mean, momentum. */
MICA_API mica_optimizer mica_optimizer_rmsprop_with(const mica_optimizer_args *args);
/* v = v + g^2, p - r g / sqrt(v + epsilon) (Duchi et al. 2011). Options epsilon 1e-7, initial_accumulator 0.1,
 * weight_decay. Slot square. */
MICA_API mica_optimizer mica_optimizer_adagrad_with(const mica_optimizer_args *args);
/* v = rho v + (1 - rho) g^2, u = g sqrt(w + epsilon) / sqrt(v + epsilon), w = rho w + (1 - rho) u^2, p - r u (Zeiler 2012,
 * arXiv 1212.5701). Options rho 0.9, epsilon 1e-6, weight_decay. Slots square, update. */
MICA_API mica_optimizer mica_optimizer_adadelta_with(const mica_optimizer_args *args);
/* p - r (sign(beta1 m + (1 - beta1) g) + d p), m = beta2 m + (1 - beta2) g (Chen et al. 2023, arXiv 2302.06675). Options
 * beta1 0.9, beta2 0.99, weight_decay. Slot mean. */
MICA_API mica_optimizer mica_optimizer_lion_with(const mica_optimizer_args *args);
/* u = Adam's + d p, p - r u |p| / |u|, without the ratio where a norm is 0 (You et al. 2020, arXiv 1904.00962). As Adam,
 * epsilon 1e-6. */
MICA_API mica_optimizer mica_optimizer_lamb_with(const mica_optimizer_args *args);
/* Mean squares over rows and columns in place of each element's, where the two largest axes have factor_from elements at
 * least; the update is scaled down to a root mean square of clipping_threshold and scaled by that of p, at least 1e-3
 * (not with no_parameter_scale) (Shazeer and Stern 2018, arXiv 1804.04235). Options rho 0.8 (the mean's weight at
 * step t is 1 - t^-rho), epsilon 1e-30, momentum (a running mean of updates), weight_decay (p less d p, without r).
 * Slots row and column or square, momentum. */
MICA_API mica_optimizer mica_optimizer_adafactor_with(const mica_optimizer_args *args);
/* Matrices [in, out]: the running mean of g (with nesterov's correction, as in NAdam) brought near an orthogonal one by
 * Newton and Schulz's iteration, times sqrt(max(1, out / in)), less r d p (Jordan 2024). All others get NAdam with
 * decoupled decay. Options beta1 0.95 (others 0.9), beta2 0.999, epsilon 1e-8, iterations, weight_decay. Slots mean, or mean and square. */
MICA_API mica_optimizer mica_optimizer_muon_with(const mica_optimizer_args *args);
#ifndef __cplusplus
#define mica_optimizer_sgd(...)      mica_optimizer_sgd_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_adam(...)     mica_optimizer_adam_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_adamw(...)    mica_optimizer_adamw_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_adamax(...)   mica_optimizer_adamax_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_nadam(...)    mica_optimizer_nadam_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_amsgrad(...)  mica_optimizer_amsgrad_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_rmsprop(...)  mica_optimizer_rmsprop_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_adagrad(...)  mica_optimizer_adagrad_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_adadelta(...) mica_optimizer_adadelta_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_lion(...)     mica_optimizer_lion_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_lamb(...)     mica_optimizer_lamb_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_adafactor(...) \
  mica_optimizer_adafactor_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#define mica_optimizer_muon(...) mica_optimizer_muon_with(MICA_OPTIMIZER_ARGS(__VA_ARGS__))
#endif

typedef mica_optimizer mica_optimizer_function(const mica_optimizer_args *args);
/* "adamw" gives mica_optimizer_adamw_with, and so on; NULL: unknown. */
MICA_API mica_optimizer_function *mica_optimizer_find(const char *name);
MICA_API const char *mica_optimizer_name(
    size_t index); /* in alphabetical order; NULL behind the last */

/* ---- slots and updates -------------------------------------------------------------------------------- */

enum { MICA_OPTIMIZER_MOST_SLOTS = 8 };
typedef struct {
  const char *name; /* "mean" */
  mica_type type;
  bool
      is_parameter; /* starts as a copy of the parameter, converted; otherwise filled with `initial` */
  double initial;
} mica_optimizer_slot;
/* The slots of a parameter of that type into out[MICA_OPTIMIZER_MOST_SLOTS]; returns how many. *error, if given, says what
 * is wrong with the optimizer or the type (f16, bf16, f32, f64), and there are none. */
MICA_API size_t mica_optimizer_slots(const mica_optimizer *optimizer, mica_type parameter,
                                     mica_optimizer_slot *out, mica_error *error);
/* A slot's first value in a graph, and as a tensor (NULL: no memory). */
MICA_API mica_value mica_optimizer_slot_value(mica_optimizer_slot slot, mica_value parameter);
MICA_API mica_tensor *mica_optimizer_slot_tensor(mica_optimizer_slot slot,
                                                 const mica_tensor *parameter);

/* How one parameter is treated; factors are numbers as they are (0 is none). */
typedef struct {
  double rate_factor, decay_factor;
  bool frozen; /* parameter and slots stay; the gradient may be {0} */
} mica_optimizer_group;

/* The update of all parameters. gradients[i] have parameters[i]'s shape and are floats no wider than what is computed in.
 * slots: those of the first parameter, then of the second, .. out_parameters[count], out_slots likewise. */
typedef struct {
  size_t struct_size;
  const mica_value *parameters, *gradients, *slots;
  size_t count;
  mica_value step;          /* integers []: updates made before, 0 at first */
  mica_value learning_rate; /* floats [] */
  const struct mica_names_only *named_;
  const mica_optimizer_group *groups; /* [count]; NULL: {1, 1} each */
  mica_value apply;                   /* bool []: false: everything stays; {0}: true */
} mica_optimizer_update_args;
MICA_API void mica_optimizer_update_with(const mica_optimizer *optimizer,
                                         const mica_optimizer_update_args *args,
                                         mica_value *out_parameters, mica_value *out_slots);

/* An optimizer of one's own: a static table of functions. `type` and the values are of the dtype that is computed in. */
typedef struct {
  size_t struct_size;
  mica_value parameter, gradient; /* of one type */
  mica_value count;               /* t [], from 1 */
  mica_value learning_rate;       /* [], times the rate_factor */
  double decay_factor;
  mica_value
      apply; /* bool [], {0}: true. Whoever calls a rule keeps what it replaces where this is false */
} mica_optimizer_step;
struct mica_optimizer_rule {
  const char *name;
  /* At most MICA_OPTIMIZER_MOST_SLOTS - 1 of them; returns how many. */
  size_t (*slots)(const mica_optimizer *optimizer, mica_type type, mica_optimizer_slot *out);
  /* The new parameter; slots[] are replaced by the new ones. */
  mica_value (*update)(const mica_optimizer *optimizer, const mica_optimizer_step *step,
                       mica_value *slots);
};

/* ---- gradients ------------------------------------------------------------------------------------------ */

/* sqrt of the sum of all squares, f32 (f64 if one is). */
MICA_API mica_value mica_global_norm(const mica_value *x, size_t count);
/* Each times limit / norm where the global norm is above the limit (Pascanu et al. 2013, arXiv 1211.5063). *out_norm, if
 * wanted: that norm before. NaN in one makes all NaN (mica_all_finite tells). */
MICA_API void mica_clip_by_global_norm(const mica_value *x, size_t count, double limit,
                                       mica_value *out, mica_value *out_norm);
MICA_API mica_value mica_clip_by_norm(mica_value x, double limit); /* by its own norm */
MICA_API mica_value mica_clip_by_value(mica_value x,
                                       double limit); /* into -limit .. limit; NaN stays */
MICA_API mica_value mica_all_finite(const mica_value *x,
                                    size_t count);      /* bool []; true of nothing */
MICA_API mica_value mica_zero_non_finite(mica_value x); /* 0 where x is NaN or infinite */

/* Gradients over several small batches: total = sums + gradients. At the last of each `every` calls *out_ready (bool []) is
 * true and the sums begin anew. out_means [count]: total / every. place: integers [], calls made before. Sums
 * have the gradients' types (keep f32 ones for f16 and bf16: gradients are converted). */
MICA_API void mica_accumulate_gradients(const mica_value *sums, const mica_value *gradients,
                                        size_t count, mica_value place, int64_t every,
                                        mica_value *out_sums, mica_value *out_means,
                                        mica_value *out_ready);

/* decay average + (1 - decay) value, for averaged weights (Polyak and Juditsky 1992). With a step (integers [], updates
 * made before; {0}: none) the decay is at most (1 + step) / (10 + step), so that the first values are forgotten. */
MICA_API mica_value mica_moving_average(mica_value average, mica_value x, double decay,
                                        mica_value step);

/* The sequence along the axis that is nearest to x (least squares) and rises by at least the margin from element to element
 * (isotonic regression), for parameters that must be in order: apply it after an update. n^2 in the axis' size. */
MICA_API mica_value mica_monotonic_projection(mica_value x, double margin, int32_t axis);

/* Dynamic loss scaling (Micikevicius et al. 2018, arXiv 1710.03740): the loss is multiplied by `scale`, gradients are
 * divided by it, and a step whose gradients are not finite is left out. */
typedef struct {
  mica_value scale;  /* f32 []; 65536 at first */
  mica_value streak; /* i32 []: finite steps since the scale changed; 0 at first */
} mica_loss_scale;
typedef struct {
  size_t struct_size;
  const struct mica_names_only *named_;
  double growth;    /* 0: 2; after `interval` finite steps in a row */
  double backoff;   /* 0: 0.5; after a step that is not */
  int64_t interval; /* 0: 2000 */
  double least;     /* 0: 1 */
  double most;      /* 0: 2^24 */
} mica_loss_scale_args;
/* The state after a step whose gradients were finite (bool []) or not. */
MICA_API mica_loss_scale
mica_loss_scale_update(mica_loss_scale state, mica_value finite,
                       const mica_loss_scale_args *args); /* NULL: defaults */
/* x / scale, f32 for f16 and bf16. */
MICA_API mica_value mica_unscale(mica_value x, mica_value scale);

#ifdef __cplusplus
}
#endif
#endif
