/* SPDX-License-Identifier: Apache-2.0 */
/* norm.h: normalization. Statistics of f16 and bf16 are computed in f32. Variables scale [n] (ones) and bias [n]
 * (zeros), n the size of the last axis. */
#ifndef MICA_NN_NORM_H
#define MICA_NN_NORM_H
#include "mica/nn/store.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  double epsilon;  /* 0: 1e-5; RMS: 1e-6 */
  double momentum; /* batch norm: of the running averages; 0: 0.9 */
  bool no_scale, no_bias;
  bool zero_centered;   /* the factor is 1 + scale, which starts at zero (Gemma's RMS norm) */
  bool frozen_averages; /* batch norm: normalize by the running averages while training too */
  int64_t groups;       /* group norm; 0: 32 */
  mica_value mask;      /* batch norm: bool [batch, spatial...], true: counts; {0}: all */
  mica_initializer scale_initializer;
} mica_nn_norm_args;
#define MICA_NN_NORM_ARGS(...) \
  (&(mica_nn_norm_args){.struct_size = sizeof(mica_nn_norm_args), __VA_ARGS__})

/* x [batch, spatial..., n]: (x - mean) / sqrt(variance + epsilon) scale + bias, of the batch while training, of
 * running averages elsewhere (Ioffe and Szegedy 2015, arXiv 1502.03167). States mean [n] and variance [n]: momentum
 * times the old one plus the rest of the batch's (with the unbiased variance), and count [], of batches since
 * mica_store_reset_averages. With the setting "average_all" (flag) the averages are the plain means over all batches
 * since then: one pass over the data, training but without an optimizer, computes them anew for final weights. */
MICA_API mica_value mica_nn_batch_norm_with(const mica_nn_norm_args *args);
#define mica_nn_batch_norm(...) mica_nn_batch_norm_with(MICA_NN_NORM_ARGS(__VA_ARGS__))
/* Sets the count of each batch norm to 0. */
MICA_API mica_status mica_store_reset_averages(mica_store *store, mica_error *error);

/* x [..., n], over the last axis (Ba et al. 2016, arXiv 1607.06450). */
MICA_API mica_value mica_nn_layer_norm_with(const mica_nn_norm_args *args);
#define mica_nn_layer_norm(...) mica_nn_layer_norm_with(MICA_NN_NORM_ARGS(__VA_ARGS__))
/* x / sqrt(mean(x^2) + epsilon) scale over the last axis, no bias (Zhang and Sennrich 2019, arXiv 1910.07467). */
MICA_API mica_value mica_nn_rms_norm_with(const mica_nn_norm_args *args);
#define mica_nn_rms_norm(...) mica_nn_rms_norm_with(MICA_NN_NORM_ARGS(__VA_ARGS__))
/* x [batch, spatial..., n]: each example and each of `groups` runs of channels by itself (Wu and He 2018, arXiv
 * 1803.08494). groups divides n. */
MICA_API mica_value mica_nn_group_norm_with(const mica_nn_norm_args *args);
#define mica_nn_group_norm(...) mica_nn_group_norm_with(MICA_NN_NORM_ARGS(__VA_ARGS__))
/* Each example and channel by itself (Ulyanov et al. 2016, arXiv 1607.08022). */
MICA_API mica_value mica_nn_instance_norm_with(const mica_nn_norm_args *args);
#define mica_nn_instance_norm(...) mica_nn_instance_norm_with(MICA_NN_NORM_ARGS(__VA_ARGS__))
/* scale tanh(alpha x) + bias, alpha [] trained from `alpha` (0: 0.5): dynamic tanh (Zhu et al. 2025, arXiv
 * 2503.10622). */
MICA_API mica_value mica_nn_dynamic_tanh(mica_scope *scope, mica_value x, double alpha);
/* By name: "none", "batch", "layer", "rms", "group", "instance", "dyt". */
MICA_API mica_value mica_nn_norm_by_name(mica_scope *scope, mica_value x, const char *name);

#ifdef __cplusplus
}
#endif
#endif
