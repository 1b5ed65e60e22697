/* SPDX-License-Identifier: Apache-2.0 */
/* activation.h: functions between layers, elementwise on floats unless told. relu, gelu, gelu_tanh, silu, tanh,
 * logistic and softplus are operators (ops/). f16 and bf16 are computed as their operators are. */
#ifndef MICA_NN_ACTIVATION_H
#define MICA_NN_ACTIVATION_H
#include "mica/nn/store.h"
#ifdef __cplusplus
extern "C" {
#endif

MICA_API mica_value mica_nn_leaky_relu(mica_value x, double slope); /* x above 0, else slope x */
/* x above 0, else alpha (e^x - 1) (Clevert et al. 2016, arXiv 1511.07289). */
MICA_API mica_value mica_nn_elu(mica_value x, double alpha);
/* x above 0, else alpha (e^(x / alpha) - 1) (Barron 2017, arXiv 1704.07483). */
MICA_API mica_value mica_nn_celu(mica_value x, double alpha);
/* 1.0507.. times elu of 1.6732.. (Klambauer et al. 2017, arXiv 1706.02515). */
MICA_API mica_value mica_nn_selu(mica_value x);
/* x tanh(softplus(x)) (Misra 2019, arXiv 1908.08681). */
MICA_API mica_value mica_nn_mish(mica_value x);
/* min(max(x + 3, 0), 6) / 6, and x times that (Howard et al. 2019, arXiv 1905.02244). */
MICA_API mica_value mica_nn_hard_sigmoid(mica_value x);
MICA_API mica_value mica_nn_hard_silu(mica_value x);
MICA_API mica_value mica_nn_relu6(mica_value x); /* min(max(x, 0), 6) */
/* Gated linear units (Dauphin et al. 2017; Shazeer 2020, arXiv 2002.05202): x [..., 2 n] -> [..., n], the first
 * half times a gate of the second: logistic, gelu, silu, relu. */
MICA_API mica_value mica_nn_glu(mica_value x);
MICA_API mica_value mica_nn_geglu(mica_value x);
MICA_API mica_value mica_nn_swiglu(mica_value x);
MICA_API mica_value mica_nn_reglu(mica_value x);
/* x [..., n] -> [..., n / pieces]: the largest of `pieces` neighbours (Goodfellow et al. 2013, arXiv 1302.4389). */
MICA_API mica_value mica_nn_maxout(mica_value x, int64_t pieces);
/* x above 0, else slope x, with a trained slope for each channel [n] of x [..., n], first 0.25 (He et al. 2015,
 * arXiv 1502.01852). */
MICA_API mica_value mica_nn_prelu(mica_scope *scope, mica_value x);

typedef enum {
  MICA_NN_IDENTITY,
  MICA_NN_RELU,
  MICA_NN_LEAKY_RELU, /* slope 0.3 */
  MICA_NN_SIGMOID,
  MICA_NN_HARD_SIGMOID,
  MICA_NN_TANH,
  MICA_NN_SILU, /* also "swish" */
  MICA_NN_HARD_SILU,
  MICA_NN_SELU,
  MICA_NN_GELU,
  MICA_NN_GELU_TANH, /* also "gelu_approx" */
  MICA_NN_SWIGLU,
  MICA_NN_MISH,
  MICA_NN_SOFTPLUS,
  MICA_NN_ELU,  /* alpha 1 */
  MICA_NN_CELU, /* alpha 1 */
  MICA_NN_GLU,
  MICA_NN_GEGLU,
  MICA_NN_REGLU,
  MICA_NN_RELU6,
  MICA_NN_ACTIVATION_COUNT
} mica_nn_activation;
MICA_API mica_value mica_nn_activate(mica_value x, mica_nn_activation activation);
MICA_API const char *mica_nn_activation_name(
    mica_nn_activation activation); /* "relu"; NULL outside */
/* By its name, "none" for the identity; false if unknown. */
MICA_API bool mica_nn_activation_from_name(const char *name, mica_nn_activation *out);
/* Whether it halves the last axis. */
MICA_API bool mica_nn_activation_is_gated(mica_nn_activation activation);

#ifdef __cplusplus
}
#endif
#endif
