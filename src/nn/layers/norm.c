/* SPDX-License-Identifier: Apache-2.0 */
/* norm.c: normalization by statistics of a batch, an example, a group of channels, or by none. */
#include "mica/nn/norm.h"

#include <inttypes.h>

#include "nn/layers/layer.h"

static bool norm_begin(mica_nn_norm_args *args, int32_t least_rank, double epsilon,
                       const char *name) {
  if (!mica_nn_enter(args->scope, args->x, name)) return false;
  if (args->epsilon == 0) args->epsilon = epsilon;
  if (mica_rank_of(args->x) >= least_rank && mica_dtype_is_float(mica_dtype_of(args->x)) &&
      args->epsilon > 0)
    return true;
  mica_fail(mica_scope_graph(args->scope), MICA_INVALID,
            "%s \"%s\": expected floats of rank %d at least and epsilon above 0, not %s of rank %d "
            "and %g",
            name, mica_scope_path(args->scope), (int)least_rank,
            mica_dtype_name(mica_dtype_of(args->x)), (int)mica_rank_of(args->x), args->epsilon);
  return false;
}

/* The scale [n] and the bias [n] of a layer, {0} where there is none, in the dtype of y. */
static mica_value layer_scale(const mica_nn_norm_args *args, mica_dtype dtype, int64_t n) {
  if (args->no_scale) return (mica_value){0};
  mica_value scale =
      mica_nn_parameter(args->scope, "scale", dtype, MICA_DIMS(n), args->scale_initializer,
                        args->zero_centered ? mica_init_zeros() : mica_init_ones());
  return args->zero_centered ? mica_add(scale, 1) : scale;
}
static mica_value layer_bias(const mica_nn_norm_args *args, mica_dtype dtype, int64_t n) {
  if (args->no_bias) return (mica_value){0};
  return mica_nn_parameter(args->scope, "bias", dtype, MICA_DIMS(n), (mica_initializer){0},
                           mica_init_zeros());
}

/* y scale + bias, in the dtype of the input. */
static mica_value norm_end(const mica_nn_norm_args *args, mica_value y) {
  int64_t n = mica_dim_of(args->x, -1);
  mica_dtype dtype = mica_dtype_of(y);
  mica_value scale = layer_scale(args, dtype, n), bias = layer_bias(args, dtype, n);
  if (mica_is_valid(scale)) y = mica_mul(y, scale);
  if (mica_is_valid(bias)) y = mica_add(y, bias);
  return mica_nn_leave(args->scope, mica_convert(y, mica_dtype_of(args->x)));
}

/* ---- batch norm ------------------------------------------------------------------------------------- */

typedef struct {
  mica_value mean, variance; /* [n] */
  mica_value unbiased;       /* the variance that the running one takes in */
} nn_statistics;

static nn_statistics batch_statistics(const mica_nn_norm_args *args, mica_value x) {
  mica_axes axes = {.count = mica_rank_of(x) - 1};
  double count = 1;
  for (int32_t i = 0; i < axes.count; i++) {
    axes.axis[i] = i;
    count *= (double)mica_dim_of(x, i);
  }
  nn_statistics out;
  if (args->mask.graph == NULL) {
    out.mean = mica_reduce_mean(x, axes);
    out.variance = mica_reduce_mean(mica_square(mica_sub(x, out.mean)), axes);
    out.unbiased = mica_mul(out.variance, count > 1 ? count / (count - 1) : 1);
    return out;
  }
  mica_value weight = mica_convert(mica_expand_dims(args->mask, -1), mica_dtype_of(x));
  mica_value sum = mica_max(mica_reduce_sum(weight, MICA_ALL), 1);
  out.mean = mica_div(mica_reduce_sum(mica_mul(x, weight), axes), sum);
  mica_value apart = mica_mul(mica_sub(x, out.mean), weight);
  mica_value squares = mica_reduce_sum(mica_square(apart), axes);
  out.variance = mica_div(squares, sum);
  out.unbiased = mica_div(squares, mica_max(mica_sub(sum, 1), 1));
  return out;
}

/* momentum old + (1 - momentum) new; or the mean of all so far. */
static void update_averages(const mica_nn_norm_args *args, nn_statistics batch, mica_value mean,
                            mica_value variance, mica_value count) {
  mica_scope *scope = args->scope;
  double momentum = args->momentum == 0 ? 0.9 : args->momentum;
  mica_value share = mica_full_like(count, 1 - momentum);
  if (mica_scope_get_flag(scope, "average_all", false)) share = mica_reciprocal(mica_add(count, 1));
  mica_scope_assign(scope, "mean", mica_add(mean, mica_mul(mica_sub(batch.mean, mean), share)));
  mica_scope_assign(scope, "variance",
                    mica_add(variance, mica_mul(mica_sub(batch.unbiased, variance), share)));
  mica_scope_assign(scope, "count", mica_add(count, 1));
}

mica_value mica_nn_batch_norm_with(const mica_nn_norm_args *given) {
  MICA_NN_ARGS(mica_nn_norm_args, args, given);
  if (!norm_begin(&args, 2, 1e-5, "batch_norm")) return (mica_value){0};
  mica_scope *scope = args.scope;
  if (args.momentum < 0 || args.momentum > 1)
    return mica_nn_leave(scope,
                         mica_fail(mica_scope_graph(scope), MICA_INVALID,
                                   "batch_norm \"%s\": expected a momentum from 0 to 1, not %g",
                                   mica_scope_path(scope), args.momentum));
  mica_value x = mica_widen(args.x);
  mica_dtype dtype = mica_dtype_of(x);
  mica_type type = {dtype, MICA_DIMS(mica_dim_of(x, -1))};
  mica_value mean = mica_scope_state(scope, "mean", type, mica_init_zeros());
  mica_value variance = mica_scope_state(scope, "variance", type, mica_init_ones());
  mica_value count =
      mica_scope_state(scope, "count", (mica_type){dtype, MICA_SCALAR}, mica_init_zeros());
  if (mica_scope_is_training(scope) && !args.frozen_averages) {
    nn_statistics batch = batch_statistics(&args, x);
    update_averages(&args, batch, mean, variance, count);
    mean = batch.mean;
    variance = batch.variance;
  }
  mica_value y = mica_mul(mica_sub(x, mean), mica_rsqrt(mica_add(variance, args.epsilon)));
  return norm_end(&args, y);
}

mica_status mica_store_reset_averages(mica_store *store, mica_error *error) {
  mica_store_entry entry;
  mica_status status = MICA_OK;
  for (size_t i = 0; status == MICA_OK && mica_store_get(store, i, &entry); i++) {
    if (!mica_path_matches("**/count", entry.path) || entry.type.shape.rank != 0) continue;
    mica_tensor *zero = mica_tensor_scalar(entry.type.dtype, 0);
    status = zero == NULL ? mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a count")
                          : mica_variable_set(entry.variable, zero, error);
    mica_tensor_release(zero);
  }
  return status;
}

/* ---- by example --------------------------------------------------------------------------------------- */

mica_value mica_nn_layer_norm_with(const mica_nn_norm_args *given) {
  MICA_NN_ARGS(mica_nn_norm_args, args, given);
  if (!norm_begin(&args, 1, 1e-5, "layer_norm")) return (mica_value){0};
  int64_t n = mica_dim_of(args.x, -1);
  mica_dtype dtype = mica_dtype_of(args.x);
  mica_value scale = layer_scale(&args, dtype, n), bias = layer_bias(&args, dtype, n);
  return mica_nn_leave(args.scope, mica_layer_norm(args.x, scale, bias, args.epsilon));
}

mica_value mica_nn_rms_norm_with(const mica_nn_norm_args *given) {
  MICA_NN_ARGS(mica_nn_norm_args, args, given);
  args.no_bias = true;
  if (!norm_begin(&args, 1, 1e-6, "rms_norm")) return (mica_value){0};
  mica_value x = mica_widen(args.x);
  mica_value square = mica_reduce_mean(mica_square(x), MICA_KEEP(-1));
  return norm_end(&args, mica_mul(x, mica_rsqrt(mica_add(square, args.epsilon))));
}

/* Of x [batch, cells, groups, n / groups]. */
static mica_value normalize_groups(const mica_nn_norm_args *args, int64_t groups,
                                   const char *name) {
  mica_value x = mica_widen(args->x);
  mica_shape shape = mica_shape_of(x);
  int64_t n = shape.dim[shape.rank - 1];
  if (groups < 1 || n % groups != 0)
    return mica_nn_leave(
        args->scope, mica_fail(mica_scope_graph(args->scope), MICA_INVALID,
                               "%s \"%s\": %" PRId64 " groups do not divide %" PRId64 " channels",
                               name, mica_scope_path(args->scope), groups, n));
  int64_t cells = 1;
  for (int32_t i = 1; i < shape.rank - 1; i++) cells *= shape.dim[i];
  mica_value parts = mica_reshape(x, MICA_DIMS(shape.dim[0], cells, groups, n / groups));
  mica_value mean = mica_reduce_mean(parts, MICA_KEEP(1, 3));
  mica_value apart = mica_sub(parts, mean);
  mica_value variance = mica_reduce_mean(mica_square(apart), MICA_KEEP(1, 3));
  mica_value y = mica_mul(apart, mica_rsqrt(mica_add(variance, args->epsilon)));
  return norm_end(args, mica_reshape(y, shape));
}

mica_value mica_nn_group_norm_with(const mica_nn_norm_args *given) {
  MICA_NN_ARGS(mica_nn_norm_args, args, given);
  if (!norm_begin(&args, 2, 1e-5, "group_norm")) return (mica_value){0};
  return normalize_groups(&args, args.groups == 0 ? 32 : args.groups, "group_norm");
}

mica_value mica_nn_instance_norm_with(const mica_nn_norm_args *given) {
  MICA_NN_ARGS(mica_nn_norm_args, args, given);
  if (!norm_begin(&args, 3, 1e-5, "instance_norm")) return (mica_value){0};
  return normalize_groups(&args, mica_dim_of(args.x, -1), "instance_norm");
}

/* ---- by no statistics ------------------------------------------------------------------------------------ */

mica_value mica_nn_dynamic_tanh(mica_scope *scope, mica_value x, double alpha) {
  mica_nn_norm_args args = {.scope = scope, .x = x};
  if (!norm_begin(&args, 1, 1e-5, "dynamic_tanh")) return (mica_value){0};
  mica_value factor =
      mica_nn_parameter(scope, "alpha", mica_dtype_of(x), MICA_SCALAR, (mica_initializer){0},
                        mica_init_constant(alpha == 0 ? 0.5 : alpha));
  return norm_end(&args, mica_tanh(mica_mul(x, factor)));
}

mica_value mica_nn_norm_by_name(mica_scope *scope, mica_value x, const char *name) {
  mica_nn_norm_args args = {.struct_size = sizeof args, .scope = scope, .x = x};
  if (name == NULL || strcmp(name, "none") == 0) return x;
  if (strcmp(name, "batch") == 0) return mica_nn_batch_norm_with(&args);
  if (strcmp(name, "layer") == 0) return mica_nn_layer_norm_with(&args);
  if (strcmp(name, "rms") == 0) return mica_nn_rms_norm_with(&args);
  if (strcmp(name, "group") == 0) return mica_nn_group_norm_with(&args);
  if (strcmp(name, "instance") == 0) return mica_nn_instance_norm_with(&args);
  if (strcmp(name, "dyt") == 0) return mica_nn_dynamic_tanh(scope, x, 0);
  return mica_fail(
      x.graph, MICA_INVALID,
      "normalization \"%.60s\" is unknown: expected none, batch, layer, rms, group, instance "
      "or dyt",
      name);
}
