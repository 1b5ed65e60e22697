/* SPDX-License-Identifier: Apache-2.0 */
/* attention.h: attention over sequences [batch, time, width], positions, and blocks made of it. */
#ifndef MICA_NN_ATTENTION_H
#define MICA_NN_ATTENTION_H
#include "mica/nn/activation.h"
#include "mica/nn/store.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- positions --------------------------------------------------------------------------------- */

/* Rotary positions (Su et al. 2021, arXiv 2104.09864): pairs of numbers of a head are turned by position / base^(2 i / d). The
 * scalings reach beyond the trained length `original`: linear divides all angles by factor (Chen et al. 2023, arXiv
 * 2306.15595); ntk enlarges the base to base factor^(d / (d - 2)); yarn keeps fast pairs and divides slow ones, and scales
 * by 1 + 0.1 log(factor) (Peng et al. 2023, arXiv 2309.00071); llama3 is that of Llama 3.1 (low 1, high 4). */
typedef enum {
  MICA_ROPE_PLAIN,
  MICA_ROPE_LINEAR,
  MICA_ROPE_NTK,
  MICA_ROPE_YARN,
  MICA_ROPE_LLAMA3
} mica_rope_scaling;
typedef struct {
  bool use;         /* for attention; mica_nn_rope takes it as true */
  double base;      /* 0: 10000 */
  int32_t size;     /* how many numbers of a head are turned; 0: all */
  bool interleaved; /* pairs are neighbours; else i and i + size / 2 */
  mica_rope_scaling scaling;
  double factor;   /* 0: 1 */
  double original; /* yarn, llama3: 0: 8192 */
} mica_rope;
/* x [batch, time, heads, d], positions integers [time] or [batch, time] -> the same. */
MICA_API mica_value mica_nn_rope(mica_value x, mica_value positions, mica_rope rope);
/* sin and cos of position / 10000^(2 i / width), all sines first (Vaswani et al. 2017): positions [time...] -> [time...,
 * width] of dtype. */
MICA_API mica_value mica_nn_sinusoidal(mica_value positions, int64_t width, mica_dtype dtype);
/* x [batch, time, width] plus rows `first`, first + 1, .. (an integer [], {0}: 0) of the variable positions [length, width]. */
MICA_API mica_value mica_nn_learned_positions(mica_scope *scope, mica_value x, int64_t length,
                                              mica_value first);

/* ---- attention ---------------------------------------------------------------------------------- */

/* Multi-head attention (Vaswani et al. 2017): x [batch, tq, width] -> [batch, tq, out]. Keys and values come from x, or from
 * `memory` [batch, tk, any]. Variables query, key, value (kernels [in, heads head_size]) and out [heads head_size, out], each
 * with a bias unless told, and with qk_norm the scales query_norm and key_norm [head_size]. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  mica_value memory;
  int64_t heads;
  int64_t
      kv_heads; /* groups of heads that share keys and values (Ainslie et al. 2023, arXiv 2305.13245); 0: heads; 1: MQA */
  int64_t head_size; /* 0: width / heads */
  int64_t out;       /* 0: width */
  bool causal;       /* query i sees keys up to its own position */
  int64_t window;    /* ... and only the last `window` of them; 0: all */
  int64_t
      sinks; /* ... and the first `sinks`, whatever the window (Xiao et al. 2023, arXiv 2309.17453) */
  mica_value mask;     /* bool, broadcast to [batch, heads, tq, tk]: true: may look */
  mica_value key_mask; /* bool [batch, tk] */
  mica_value bias;     /* floats, broadcast to [batch, heads, tq, tk], added to the scores */
  bool
      alibi; /* a bias of -slope distance, slopes 2^(-8 h / heads) (Press et al. 2022, arXiv 2108.12409) */
  double soft_cap; /* scores become cap tanh(score / cap); 0: not */
  double scale;    /* 0: 1 / sqrt(head_size) */
  bool qk_norm;    /* RMS norm of queries and keys (Henry et al. 2020) before positions */
  mica_rope rope;
  double dropout; /* of attention weights, while training */
  bool no_bias;
  /* Keys and values of positions seen before, for decoding: states cache_key and cache_value [batch, cache, kv_heads,
   * head_size]; `position`, an integer [], says where x begins ({0}: 0). Older ones than `cache` positions are overwritten, but for the
   * sinks; x has at most cache - sinks times. */
  int64_t cache;
  mica_value position;
  mica_value
      *weights; /* if wanted: what each query looks at, [batch, heads, tq, tk], before dropout */
  mica_initializer initializer; /* Glorot uniform */
} mica_nn_attention_args;
MICA_API mica_value mica_nn_attention_with(const mica_nn_attention_args *args);
#define mica_nn_attention(...) \
  mica_nn_attention_with(      \
      &(mica_nn_attention_args){.struct_size = sizeof(mica_nn_attention_args), __VA_ARGS__})

/* ---- blocks ---------------------------------------------------------------------------------------- */

/* x + attention(norm(x)), with cross attention to `attention.memory` behind it if that is given, then x + feed-forward of
 * norm(x): dense to hidden, activation, dense to width. Scopes attention, cross, up, down, norm1, norm2, norm3. post_norm:
 * norm(x + f(x)) (the order of 2017). Gated activations have an up kernel of twice the size. */
typedef struct {
  size_t struct_size;
  mica_scope *scope;
  mica_value x;
  const struct mica_names_only *named_;
  mica_nn_attention_args
      attention;                 /* options of the self attention; memory: of the cross attention */
  int64_t hidden;                /* 0: 4 width */
  mica_nn_activation activation; /* 0 (identity) means gelu */
  const char *norm;              /* NULL: "layer"; mica_nn_norm_by_name */
  bool post_norm;
  bool no_bias;
  double dropout;   /* of each branch */
  double drop_path; /* of each branch */
  bool recompute;   /* what the setting "recompute" is unless it is set (mica_scope_part_begin) */
} mica_nn_transformer_args;
MICA_API mica_value mica_nn_transformer_block_with(const mica_nn_transformer_args *args);
#define mica_nn_transformer_block(...) \
  mica_nn_transformer_block_with(      \
      &(mica_nn_transformer_args){.struct_size = sizeof(mica_nn_transformer_args), __VA_ARGS__})

#ifdef __cplusplus
}
#endif
#endif
