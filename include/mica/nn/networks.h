/* SPDX-License-Identifier: Apache-2.0 */
/* networks.h: feed-forward networks and their ensembles, mixtures of experts, Kolmogorov-Arnold networks, learned functions of one
 * number, and networks of vectors that turn with space. */
#ifndef MICA_NN_NETWORKS_H
#define MICA_NN_NETWORKS_H
#include "mica/nn/activation.h"
#include "mica/nn/store.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- feed-forward networks ------------------------------------------------------------------------ */

/* x [..., in] -> [..., out]: layers of `units` with activation, normalization and dropout, and a linear one. Options that are
 * 0 or NULL are the settings fnn_layers (2), fnn_units (64), fnn_activation ("relu"), fnn_norm ("none"), fnn_dropout (0) of the
 * scope. residual: layers of equal sizes add their input. Scopes hidden0, hidden1, .., out.
 * ensemble > 1: x [batch, in] -> [batch, ensemble, out], that many networks with parameters of their own (but for
 * normalization, which they share), as batched products. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t out;
  int64_t layers; /* hidden ones; -1: none */
  int64_t units;
  const char *activation, *norm;
  double dropout;
  bool residual;
  int64_t ensemble;
  double l1, l2;
} mica_nn_fnn_args;
MICA_API mica_value mica_nn_fnn_with(const mica_nn_fnn_args *args);
#define mica_nn_fnn(...) \
  mica_nn_fnn_with(&(mica_nn_fnn_args){.struct_size = sizeof(mica_nn_fnn_args), __VA_ARGS__})

/* x [..., width] -> [..., width]: each row goes through the `chosen` best of `experts` networks of one hidden layer, weighed by
 * the softmax of their scores (Shazeer et al. 2017, arXiv 1701.06538). An expert takes at most capacity chosen rows / experts
 * rows, in their order, first choices first; the rest passes by as 0 (Fedus et al. 2022, arXiv 2101.03961, whose loss of balance
 * is added to the scope's times `balance`). Variables router [width, experts], up [experts, width, hidden], up_bias, down,
 * down_bias. Time is that of `chosen capacity` networks. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t experts;
  int64_t chosen;  /* 0: 2 */
  int64_t hidden;  /* 0: 4 width */
  double capacity; /* 0: 1.25; at least as many rows as an expert needs if all come to it: large */
  double balance;  /* 0: 0.01; below 0: none */
  mica_nn_activation activation; /* identity means gelu; not a gated one */
} mica_nn_experts_args;
MICA_API mica_value mica_nn_experts_with(const mica_nn_experts_args *args);
#define mica_nn_experts(...) \
  mica_nn_experts_with(      \
      &(mica_nn_experts_args){.struct_size = sizeof(mica_nn_experts_args), __VA_ARGS__})

/* ---- learned functions of one number ---------------------------------------------------------------- */

/* P(x) / Q(x), P of degree 5 and Q = 1 + |b1 x + .. + b4 x^4| (safe Pade units, version B of Molina et al. 2020, arXiv 1907.06732),
 * version A: 1 + |b1 x| + .. + |b4 x^4|. x [..., n]: `groups` runs of channels share coefficients. Variables numerator [groups, 6]
 * and denominator [groups, 4] start as `like`: identity, relu, leaky_relu, sigmoid, tanh, silu or gelu, fitted on [-3, 3]. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t groups; /* 0: 1 */
  bool version_a;
  mica_nn_activation like; /* 0: identity */
} mica_nn_rational_args;
MICA_API mica_value mica_nn_rational_with(const mica_nn_rational_args *args);
#define mica_nn_rational(...) \
  mica_nn_rational_with(      \
      &(mica_nn_rational_args){.struct_size = sizeof(mica_nn_rational_args), __VA_ARGS__})

/* x [..., n] -> [..., n]: feature i is mapped by straight lines through (keypoints[i, j], outputs[i, j]), constant beyond the ends
 * (Gupta et al. 2016, Monotonic calibrated interpolated look-up tables). keypoints [n, k], ascending (quantiles of the data);
 * variable outputs [n, k], first equally spaced from low to high. monotonic: steps below 0 count as 0. */
MICA_API mica_value mica_nn_calibration(mica_scope *scope, mica_value x, mica_tensor *keypoints,
                                        double low, double high, bool monotonic);

/* Kolmogorov-Arnold networks (Liu et al. 2024, arXiv 2404.19756): x [..., in] -> [..., units], out[j] = sum over i of f_ij(x[i]).
 * Splines: f is a sum of B-splines of `degree` on `intervals` equal ones of [low, high], x clamped to it; variable
 * coefficients [in, intervals + degree, units]. Degree 3: cubic; 1: piecewise linear; 0 with `discrete`: piecewise constant, whose
 * steps are, while training, as soft as a triangular noise of the width softness (in intervals) makes them. A residual path of
 * silu(x) times the variable base [in, units] goes with it unless no_base.
 * rational: instead, f_ij = w_ij r_i, r one rational function for each group of inputs (GR-KAN: Yang and Wang 2024, arXiv
 * 2409.10594), like silu at first; variables kernel, bias. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t units;
  int32_t degree; /* 0: 3, unless discrete */
  bool discrete, rational;
  double softness;
  int64_t intervals; /* 0: 8 */
  double low, high;  /* equal: -1 and 1 */
  bool no_base;
  int64_t groups; /* rational: 0: 8 or as many inputs as there are */
} mica_nn_kan_args;
MICA_API mica_value mica_nn_kan_with(const mica_nn_kan_args *args);
#define mica_nn_kan(...) \
  mica_nn_kan_with(&(mica_nn_kan_args){.struct_size = sizeof(mica_nn_kan_args), __VA_ARGS__})
/* The B-splines themselves: x [...] -> [..., intervals + degree]. */
MICA_API mica_value mica_nn_bsplines(mica_value x, int32_t degree, int64_t intervals, double low,
                                     double high);

/* ---- vector neurons: x [..., channels, 3]; a rotation of x rotates the result (Deng et al. 2021, arXiv 2104.12229) ---------- */

/* Mixes channels: variable kernel [channels, units]. */
MICA_API mica_value mica_nn_vector_dense(mica_scope *scope, mica_value x, int64_t units);
/* The part of each vector that points away from a learned direction k = x kernel is taken off, but for `slope` of it. */
MICA_API mica_value mica_nn_vector_relu(mica_scope *scope, mica_value x, double slope);
/* Lengths are normalized over channels by a layer norm (variables scale and bias), directions stay. */
MICA_API mica_value mica_nn_vector_layer_norm(mica_scope *scope, mica_value x);
MICA_API mica_value mica_nn_vector_dropout(mica_scope *scope, mica_value x,
                                           double rate); /* whole vectors */
/* [..., channels, 3], [..., others, 3] -> [..., channels, others]: scalar products, which no rotation changes. */
MICA_API mica_value mica_nn_vector_products(mica_value x, mica_value y);

#ifdef __cplusplus
}
#endif
#endif
