/* SPDX-License-Identifier: Apache-2.0 */
/* Layers and their gradients against PyTorch in f64 (tests/golden/nn_layers.py). */
#include "nn_golden.h"

#define LAYER(name, ...)                                                \
  static mica_value layer_##name(mica_scope *s, const mica_value *in) { \
    (void)s, (void)in;                                                  \
    return (__VA_ARGS__);                                               \
  }

LAYER(dense, mica_nn_dense(s, in[0], .units = 5))
LAYER(dense_weight_norm, mica_nn_dense(s, in[0], .units = 5, .weight_norm = true))
static mica_value layer_embedding(mica_scope *s, const mica_value *in) {
  return mica_nn_embedding(s, in[0], .count = 7, .units = 3, .dtype = MICA_F64);
}
static mica_value layer_tied(mica_scope *s, const mica_value *in) {
  mica_value rows = mica_nn_embedding(mica_scope_shared(s, "e"), in[0], .count = 7, .units = 3,
                                      .dtype = MICA_F64);
  return mica_nn_embedding_logits(mica_scope_shared(s, "e"), mica_tanh(rows), 7);
}
LAYER(conv1, mica_nn_conv(s, in[0], .channels = 4))
LAYER(conv2, mica_nn_conv(s, in[0], .channels = 6, .kernel = {3, 2}, .stride = {2, 1},
                          .dilation = {1, 2}, .groups = 2, .padding = MICA_VALID))
LAYER(conv3,
      mica_nn_conv(s, in[0], .channels = 3, .kernel = {2}, .padding = MICA_VALID, .no_bias = true))
LAYER(conv_weight_norm, mica_nn_conv(s, in[0], .channels = 4, .weight_norm = true))
LAYER(depthwise, mica_nn_depthwise_conv(s, in[0], .multiplier = 2, .padding = MICA_VALID))
LAYER(separable, mica_nn_separable_conv(s, in[0], .channels = 4, .kernel = {3, 2}, .multiplier = 2,
                                        .padding = MICA_VALID))
LAYER(transpose_valid,
      mica_nn_conv_transpose(s, in[0], .channels = 5, .stride = {2}, .padding = MICA_VALID))
LAYER(transpose_same, mica_nn_conv_transpose(s, in[0], .channels = 5, .kernel = {4}, .stride = {2}))
LAYER(transpose_explicit,
      mica_nn_conv_transpose(s, in[0], .channels = 6, .kernel = {3}, .stride = {3}, .dilation = {2},
                             .groups = 2, .padding = MICA_EXPLICIT, .low = {1}, .high = {-1}))
LAYER(batch_norm, mica_nn_batch_norm(s, in[0], .momentum = 0.8, .epsilon = 1e-3))
LAYER(batch_norm_eval, mica_nn_batch_norm(s, in[0]))
LAYER(layer_norm, mica_nn_layer_norm(s, in[0]))
LAYER(rms_norm, mica_nn_rms_norm(s, in[0]))
LAYER(rms_norm_centered, mica_nn_rms_norm(s, in[0], .zero_centered = true, .epsilon = 1e-2))
LAYER(group_norm, mica_nn_group_norm(s, in[0], .groups = 3))
LAYER(instance_norm, mica_nn_instance_norm(s, in[0]))
LAYER(dynamic_tanh, mica_nn_dynamic_tanh(s, in[0], 0))
LAYER(celu2, mica_nn_celu(in[0], 1.7))
LAYER(maxout, mica_nn_maxout(in[0], 2))
LAYER(prelu, mica_nn_prelu(s, in[0]))

LAYER(batch_norm_mask, mica_nn_batch_norm(s, in[0], .mask = in[1]))
LAYER(batch_norm_frozen, mica_nn_batch_norm(s, in[0], .frozen_averages = true, .no_scale = true))
LAYER(layer_norm_plain,
      mica_nn_layer_norm(s, in[0], .no_scale = true, .no_bias = true, .epsilon = 1e-3))
LAYER(layer_norm_scale, mica_nn_layer_norm(s, in[0], .no_bias = true))
LAYER(rms_norm_plain, mica_nn_rms_norm(s, in[0], .no_scale = true))
LAYER(group_norm_plain,
      mica_nn_group_norm(s, in[0], .groups = 2, .no_scale = true, .no_bias = true))
LAYER(conv_lora, mica_nn_conv(s, in[0], .channels = 4))
static mica_value layer_regularized(mica_scope *s, const mica_value *in) {
  mica_value d = mica_nn_dense(mica_scope_in(s, "d"), in[0], .units = 3, .l1 = 0.3, .l2 = 0.2);
  mica_value c = mica_nn_conv(mica_scope_in(s, "c"), in[1], .channels = 2, .l2 = 0.7);
  return mica_add(mica_add(mica_reduce_mean(d, MICA_ALL), mica_reduce_mean(c, MICA_ALL)),
                  mica_convert(mica_scope_losses(s), MICA_F64));
}

#define ACTIVATION(name, kind) LAYER(act_##name, mica_nn_activate(in[0], MICA_NN_##kind))
ACTIVATION(none, IDENTITY)
ACTIVATION(relu, RELU)
ACTIVATION(leaky_relu, LEAKY_RELU)
ACTIVATION(sigmoid, SIGMOID)
ACTIVATION(hard_sigmoid, HARD_SIGMOID)
ACTIVATION(tanh, TANH)
ACTIVATION(silu, SILU)
ACTIVATION(hard_silu, HARD_SILU)
ACTIVATION(selu, SELU)
ACTIVATION(gelu, GELU)
ACTIVATION(gelu_tanh, GELU_TANH)
ACTIVATION(swiglu, SWIGLU)
ACTIVATION(mish, MISH)
ACTIVATION(softplus, SOFTPLUS)
ACTIVATION(elu, ELU)
ACTIVATION(celu, CELU)
ACTIVATION(glu, GLU)
ACTIVATION(geglu, GEGLU)
ACTIVATION(reglu, REGLU)
ACTIVATION(relu6, RELU6)

#define CASE(name) \
  { #name, layer_##name, 1, false, NULL, 0 }
#define TRAIN(name) \
  { #name, layer_##name, 1, true, NULL, 0 }

TEST(products) {
  static const nn_golden_case cases[] = {
      CASE(dense),
      CASE(dense_weight_norm),
      CASE(embedding),
      CASE(tied),
      CASE(conv1),
      CASE(conv2),
      CASE(conv3),
      CASE(conv_weight_norm),
      CASE(depthwise),
      CASE(separable),
      CASE(transpose_valid),
      CASE(transpose_same),
      CASE(transpose_explicit),
      {"dense_lora", layer_dense, 1, false, "lora_rank=2,lora_alpha=3", 0},
      {"conv_lora", layer_conv_lora, 1, false, "lora_rank=2", 0},
      {"regularized", layer_regularized, 2, true, NULL, 0}};
  nn_golden_file("nn_layers.npz", cases, sizeof cases / sizeof cases[0]);
}

TEST(norms) {
  static const nn_golden_case cases[] = {
      TRAIN(batch_norm),
      CASE(batch_norm_eval),
      CASE(layer_norm),
      CASE(rms_norm),
      CASE(rms_norm_centered),
      CASE(group_norm),
      CASE(instance_norm),
      CASE(dynamic_tanh),
      {"batch_norm_mask", layer_batch_norm_mask, 2, true, NULL, 0},
      TRAIN(batch_norm_frozen),
      CASE(layer_norm_plain),
      CASE(layer_norm_scale),
      CASE(rms_norm_plain),
      CASE(group_norm_plain)};
  nn_golden_file("nn_layers.npz", cases, sizeof cases / sizeof cases[0]);
}

TEST(activations) {
  static const nn_golden_case cases[] = {CASE(act_none),
                                         CASE(act_relu),
                                         CASE(act_leaky_relu),
                                         CASE(act_sigmoid),
                                         CASE(act_hard_sigmoid),
                                         CASE(act_tanh),
                                         CASE(act_silu),
                                         CASE(act_hard_silu),
                                         CASE(act_selu),
                                         CASE(act_gelu),
                                         CASE(act_gelu_tanh),
                                         CASE(act_swiglu),
                                         CASE(act_mish),
                                         CASE(act_softplus),
                                         CASE(act_elu),
                                         CASE(act_celu),
                                         CASE(act_glu),
                                         CASE(act_geglu),
                                         CASE(act_reglu),
                                         CASE(act_relu6),
                                         CASE(celu2),
                                         CASE(maxout),
                                         CASE(prelu)};
  nn_golden_file("nn_layers.npz", cases, sizeof cases / sizeof cases[0]);
  for (int i = 0; i < MICA_NN_ACTIVATION_COUNT; i++) {
    mica_nn_activation found = MICA_NN_ACTIVATION_COUNT;
    CHECK(mica_nn_activation_from_name(mica_nn_activation_name((mica_nn_activation)i), &found));
    CHECK_EQ_INT(found, i);
  }
  CHECK(!mica_nn_activation_from_name("relu7", NULL));
  CHECK(mica_nn_activation_from_name("swish", NULL));
}

TEST_MAIN(TEST_CASE(products), TEST_CASE(norms), TEST_CASE(activations))
