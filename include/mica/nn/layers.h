/* SPDX-License-Identifier: Apache-2.0 */
/* layers.h: dense layers, embeddings, convolutions, dropout.
 *
 * A layer computes in x's dtype and keeps its parameters in f32 (f64 for x of f64), so that x of bf16 or f16
 * means mixed precision. Its parameters are named as listed; `kernel` stands in the order [in..., out]. Every
 * layer with kernels obeys the settings "lora_rank" and "lora_alpha" of its scope (lora.h).
 * Options: 0 and {0} are the defaults. Regularizers l1 and l2 add l1 sum |w| + l2 sum w^2 of the
 * kernel to the losses of the scope. */
#ifndef MICA_NN_LAYERS_H
#define MICA_NN_LAYERS_H
#include "mica/nn/store.h"
#ifdef __cplusplus
extern "C" {
#endif

/* x [..., in] -> [..., units]: x kernel + bias. Variables kernel [in, units], bias [units]. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t units;
  bool no_bias;
  /* kernel = scale [units] v / |v|, the norm of each column (Salimans and Kingma 2016, arXiv 1602.07868);
  * variables kernel and scale (ones). */
  bool weight_norm;
  mica_initializer kernel_initializer; /* Glorot uniform */
  mica_initializer bias_initializer;   /* zeros */
  double l1, l2;
} mica_nn_dense_args;
MICA_API mica_value mica_nn_dense_with(const mica_nn_dense_args *args);
#define mica_nn_dense(...) \
  mica_nn_dense_with(&(mica_nn_dense_args){.struct_size = sizeof(mica_nn_dense_args), __VA_ARGS__})

/* ids i32 or i64 [i...] -> [i..., units] of dtype: rows of the variable table [count, units]. An id out of range takes
 * the nearest row. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value ids;
  const struct mica_names_only *named_;
  int64_t count, units;
  mica_dtype dtype;             /* 0: f32 */
  mica_initializer initializer; /* normal, deviation 1 / sqrt(units) */
} mica_nn_embedding_args;
MICA_API mica_value mica_nn_embedding_with(const mica_nn_embedding_args *args);
#define mica_nn_embedding(...) \
  mica_nn_embedding_with(      \
      &(mica_nn_embedding_args){.struct_size = sizeof(mica_nn_embedding_args), __VA_ARGS__})
/* x [..., units] -> [..., count]: x times the transposed table of a scope that holds an embedding (tied weights;
 * Press and Wolf 2017). The scope has to be a shared one. */
MICA_API mica_value mica_nn_embedding_logits(mica_scope *scope, mica_value x, int64_t count);

/* x [batch, spatial..., in] -> [batch, spatial..., channels], 1 to 3 spatial axes (mica_conv). Variables kernel
 * [spatial..., in / groups, channels], bias [channels]. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t channels;
  int32_t kernel[3];              /* 0: as the first, which is 3 if 0 */
  int32_t stride[3], dilation[3]; /* 0: 1 for the first, further on as the first */
  int32_t groups;                 /* 0: 1 */
  mica_padding padding;           /* 0: same */
  int32_t low[3], high[3];        /* MICA_EXPLICIT */
  bool no_bias, weight_norm;
  mica_initializer kernel_initializer; /* He normal */
  mica_initializer bias_initializer;   /* zeros */
  double l1, l2;
  int64_t multiplier; /* depthwise and separable: channels made of each one; 0: 1 */
} mica_nn_conv_args;
MICA_API mica_value mica_nn_conv_with(const mica_nn_conv_args *args);
#define MICA_NN_CONV_ARGS(...) \
  (&(mica_nn_conv_args){.struct_size = sizeof(mica_nn_conv_args), __VA_ARGS__})
#define mica_nn_conv(...) mica_nn_conv_with(MICA_NN_CONV_ARGS(__VA_ARGS__))
/* Each channel by itself -> [batch, spatial..., in multiplier]; kernel [spatial..., in, multiplier]; without
 * `channels` and `groups`. */
MICA_API mica_value mica_nn_depthwise_conv_with(const mica_nn_conv_args *args);
#define mica_nn_depthwise_conv(...) mica_nn_depthwise_conv_with(MICA_NN_CONV_ARGS(__VA_ARGS__))
/* That, then a product over channels (Chollet 2017, arXiv 1610.02357); variables depthwise, pointwise [in multiplier,
 * channels], bias. */
MICA_API mica_value mica_nn_separable_conv_with(const mica_nn_conv_args *args);
#define mica_nn_separable_conv(...) mica_nn_separable_conv_with(MICA_NN_CONV_ARGS(__VA_ARGS__))
/* Transposed convolution: the gradient of mica_conv by its x. A size n becomes n stride (same), (n - 1) stride +
 * dilation (kernel - 1) + 1 (valid), or that less low and high (explicit, PyTorch's padding; high less by
 * output_padding). Variable kernel [spatial..., in / groups, channels], applied mirrored, as PyTorch's is. */
MICA_API mica_value mica_nn_conv_transpose_with(const mica_nn_conv_args *args);
#define mica_nn_conv_transpose(...) mica_nn_conv_transpose_with(MICA_NN_CONV_ARGS(__VA_ARGS__))

/* ---- only while training; elsewhere x itself ---------------------------------------------------- */

/* Each element becomes 0 with probability rate, else x / (1 - rate) (Srivastava et al. 2014). rate in [0, 1). */
MICA_API mica_value mica_nn_dropout(mica_scope *scope, mica_value x, double rate);
/* The same for whole examples, along axis 0: stochastic depth of residual branches (Huang et al. 2016, arXiv 1603.09382). */
MICA_API mica_value mica_nn_drop_path(mica_scope *scope, mica_value x, double rate);
/* Blocks of size^2 (or size, size^3) cells of x [batch, spatial..., channels] in all channels become 0, about a
 * part `rate` of the cells, the rest is scaled by cells / cells left (Ghiasi et al. 2018, arXiv 1810.12890). */
MICA_API mica_value mica_nn_drop_block(mica_scope *scope, mica_value x, double rate, int32_t size);
/* x + deviation times normal numbers. */
MICA_API mica_value mica_nn_gaussian_noise(mica_scope *scope, mica_value x, double deviation);

#ifdef __cplusplus
}
#endif
#endif
