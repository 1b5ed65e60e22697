/* SPDX-License-Identifier: Apache-2.0 */
/* composite.h: what networks are made of. Each is one operator that a backend may run whole, and
 * expands into simpler ones elsewhere. */
#ifndef MICA_OPS_COMPOSITE_H
#define MICA_OPS_COMPOSITE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

MICA_API mica_value mica_relu(mica_value x); /* max(x, 0); derivative 0 at 0 */
/* Gaussian error linear unit (Hendrycks and Gimpel 2016, arXiv 1606.08415): x * Phi(x), by erf. */
MICA_API mica_value mica_gelu(mica_value x);
MICA_API mica_value mica_gelu_tanh(mica_value x); /* its tanh approximation, as in GPT-2 */
MICA_API mica_value mica_silu(mica_value x);      /* x * logistic(x) */
MICA_API mica_value mica_softmax(mica_value x,
                                 int32_t axis); /* exp(x - max) / sum, along the axis */
MICA_API mica_value mica_log_softmax(mica_value x,
                                     int32_t axis); /* x - max - log(sum(exp(x - max))) */
MICA_API mica_value mica_logsumexp(mica_value x, mica_axes axes);
/* x [..., n], scale [n], bias [n] (either may be {0}: none); over the last axis (Ba et al.
 * 2016). */
MICA_API mica_value mica_layer_norm(mica_value x, mica_value scale, mica_value bias,
                                    double epsilon);
/* x [a..., n, b...], n along `axis`; scale, bias, mean, variance [n]: (x - mean) / sqrt(variance + epsilon) scale
 * + bias (Ioffe and Szegedy 2015); scale and bias may be {0}. Training takes mean and variance (biased) over all
 * other axes, with gradients through them, and gives both; either may be NULL. Floats; f16 and bf16 are computed in
 * f32. */
MICA_API mica_value mica_batch_norm_inference(mica_value x, mica_value scale, mica_value bias,
                                              mica_value mean, mica_value variance, int32_t axis,
                                              double epsilon);
MICA_API mica_value mica_batch_norm_training(mica_value x, mica_value scale, mica_value bias,
                                             int32_t axis, double epsilon, mica_value *out_mean,
                                             mica_value *out_variance);
/* logits [..., classes], labels i32 or i64 [...] -> [...]: -log softmax(logits)[label]. A label
 * out of range gives NaN. */
MICA_API mica_value mica_softmax_cross_entropy(mica_value logits, mica_value labels);
/* indices [i...] -> [i..., depth] of dtype, 1 at the index, else 0 (everywhere when out of
 * range). */
MICA_API mica_value mica_one_hot(mica_value indices, int64_t depth, mica_dtype dtype);

/* Scaled dot-product attention (Vaswani et al. 2017): softmax(q k' * scale + mask) v.
 * q [..., tq, d], k [..., tk, d], v [..., tk, dv] -> [..., tq, dv]; leading axes equal. */
typedef struct {
  size_t struct_size;
  mica_value q, k, v;
  const struct mica_names_only *named_;
  mica_value mask; /* bool, broadcast to [..., tq, tk]; true: may look; {0}: everything */
  bool causal;     /* query i sees keys 0 .. i + tk - tq */
  double scale;    /* 0: 1 / sqrt(d) */
} mica_attention_args;
MICA_API mica_value mica_attention_with(const mica_attention_args *args);
#define mica_attention(...) \
  mica_attention_with(      \
      &(mica_attention_args){.struct_size = sizeof(mica_attention_args), __VA_ARGS__})

#ifdef __cplusplus
}
#endif
#endif
