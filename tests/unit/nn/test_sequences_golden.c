/* SPDX-License-Identifier: Apache-2.0 */
/* Attention, positions, transformer blocks and recurrent layers against PyTorch in f64 (tests/golden/nn_sequences.py); a
 * cache against the whole sequence. */
#include "nn_golden.h"

#define LAYER(name, ...)                                                \
  static mica_value layer_##name(mica_scope *s, const mica_value *in) { \
    (void)s, (void)in;                                                  \
    return __VA_ARGS__;                                                 \
  }
#define ROPE(...) ((mica_rope){.use = true, __VA_ARGS__})

LAYER(rope, mica_nn_rope(in[0], in[1], ROPE(.factor = 0)))
LAYER(rope_each, mica_nn_rope(in[0], in[1], ROPE(.base = 500)))
LAYER(rope_interleaved, mica_nn_rope(in[0], in[1], ROPE(.interleaved = true)))
LAYER(rope_part, mica_nn_rope(in[0], in[1], ROPE(.size = 4)))
#define SCALED(KIND) ROPE(.base = 100, .scaling = MICA_ROPE_##KIND, .factor = 4, .original = 64)
LAYER(rope_linear, mica_nn_rope(in[0], in[1], SCALED(LINEAR)))
LAYER(rope_ntk, mica_nn_rope(in[0], in[1], SCALED(NTK)))
LAYER(rope_yarn, mica_nn_rope(in[0], in[1], SCALED(YARN)))
LAYER(rope_llama3, mica_nn_rope(in[0], in[1], SCALED(LLAMA3)))
LAYER(sinusoidal, mica_nn_sinusoidal(in[0], 6, MICA_F64))
static mica_value layer_learned(mica_scope *s, const mica_value *in) {
  return mica_nn_learned_positions(s, in[0], 6, (mica_value){0});
}

LAYER(attention, mica_nn_attention(s, in[0], .heads = 2))
LAYER(attention_causal, mica_nn_attention(s, in[0], .heads = 2, .causal = true))
LAYER(attention_gqa, mica_nn_attention(s, in[0], .heads = 4, .kv_heads = 2, .causal = true))
LAYER(attention_mqa, mica_nn_attention(s, in[0], .heads = 4, .kv_heads = 1, .head_size = 3,
                                       .out = 6, .scale = 0.3))
LAYER(attention_window, mica_nn_attention(s, in[0], .heads = 2, .causal = true, .window = 2))
LAYER(attention_key_mask, mica_nn_attention(s, in[0], .heads = 2, .key_mask = in[1]))
LAYER(attention_cap, mica_nn_attention(s, in[0], .heads = 2, .causal = true, .soft_cap = 2))
LAYER(attention_bias, mica_nn_attention(s, in[0], .heads = 2, .bias = in[1]))
LAYER(attention_alibi, mica_nn_attention(s, in[0], .heads = 4, .causal = true, .alibi = true))
LAYER(attention_rope, mica_nn_attention(s, in[0], .heads = 2, .causal = true, .qk_norm = true,
                                        .rope = ROPE(.base = 0)))
LAYER(attention_cross, mica_nn_attention(s, in[0], .heads = 2, .memory = in[1]))

LAYER(attention_mask, mica_nn_attention(s, in[0], .heads = 2, .mask = in[1]))
LAYER(attention_mixed,
      mica_nn_attention(s, in[0], .heads = 4, .kv_heads = 2, .causal = true, .window = 3,
                        .qk_norm = true, .soft_cap = 3, .scale = 0.4, .bias = in[1], .mask = in[2]))
LAYER(attention_cross_mask,
      mica_nn_attention(s, in[0], .heads = 2, .memory = in[1], .key_mask = in[2]))
LAYER(attention_sinks,
      mica_nn_attention(s, in[0], .heads = 2, .causal = true, .window = 2, .sinks = 1))
static mica_value layer_attention_weights(mica_scope *s, const mica_value *in) {
  mica_value seen;
  mica_nn_attention(s, in[0], .heads = 2, .causal = true, .weights = &seen);
  return seen;
}

LAYER(block, mica_nn_transformer_block(s, in[0], .attention = {.heads = 2, .causal = true}))
LAYER(block_recompute,
      mica_nn_transformer_block(s, in[0], .attention = {.heads = 2, .causal = true},
                                .recompute = true))
LAYER(block_post, mica_nn_transformer_block(s, in[0], .attention = {.heads = 2, .causal = true},
                                            .hidden = 12, .post_norm = true))
LAYER(block_cross,
      mica_nn_transformer_block(s, in[0],
                                .attention = {.heads = 2, .causal = true, .memory = in[1]},
                                .hidden = 12))
LAYER(block_modern,
      mica_nn_transformer_block(s, in[0],
                                .attention = {.heads = 2, .causal = true, .rope = ROPE(.base = 0)},
                                .hidden = 12, .activation = MICA_NN_SWIGLU, .norm = "rms",
                                .no_bias = true))

LAYER(rnn, mica_nn_rnn(s, in[0], .units = 4))
LAYER(rnn_relu, mica_nn_rnn(s, in[0], .units = 4, .relu = true))
LAYER(gru, mica_nn_gru(s, in[0], .units = 4))
LAYER(gru_both, mica_nn_gru(s, in[0], .units = 4, .bidirectional = true, .lengths = in[1]))
LAYER(lstm, mica_nn_lstm(s, in[0], .units = 4))
LAYER(lstm_both, mica_nn_lstm(s, in[0], .units = 4, .bidirectional = true, .lengths = in[1]))
LAYER(lstm_state, mica_nn_lstm(s, in[0], .units = 4, .initial = in[1], .initial_cell = in[2]))
LAYER(lstm_peephole,
      mica_nn_lstm(s, in[0], .units = 4, .reverse = true, .peephole = true, .forget_bias = 1))
static mica_value layer_lstm_final(mica_scope *s, const mica_value *in) {
  mica_value last[2];
  mica_nn_lstm(s, in[0], .units = 4, .bidirectional = true, .lengths = in[1], .final = &last[0],
               .final_cell = &last[1]);
  return mica_concatenate(last, 2, 1);
}

#define CASE(name, inputs) \
  { #name, layer_##name, inputs, false, NULL, 0 }

TEST(positions) {
  static const nn_golden_case cases[] = {
      CASE(rope, 2),        CASE(rope_each, 2), CASE(rope_interleaved, 2), CASE(rope_part, 2),
      CASE(rope_linear, 2), CASE(rope_ntk, 2),  CASE(rope_yarn, 2),        CASE(rope_llama3, 2),
      CASE(sinusoidal, 1),  CASE(learned, 1)};
  nn_golden_file("nn_sequences.npz", cases, sizeof cases / sizeof cases[0]);
}

TEST(attention) {
  static const nn_golden_case cases[] = {
      CASE(attention, 1),        CASE(attention_causal, 1),     CASE(attention_gqa, 1),
      CASE(attention_mqa, 1),    CASE(attention_window, 1),     CASE(attention_key_mask, 2),
      CASE(attention_cap, 1),    CASE(attention_bias, 2),       CASE(attention_alibi, 1),
      CASE(attention_rope, 1),   CASE(attention_cross, 2),      CASE(attention_mask, 2),
      CASE(attention_mixed, 3),  CASE(attention_cross_mask, 3), CASE(attention_sinks, 1),
      CASE(attention_weights, 1)};
  nn_golden_file("nn_sequences.npz", cases, sizeof cases / sizeof cases[0]);
}

TEST(blocks) {
  static const nn_golden_case cases[] = {CASE(block, 1), CASE(block_recompute, 1),
                                         CASE(block_post, 1), CASE(block_cross, 2),
                                         CASE(block_modern, 1)};
  nn_golden_file("nn_sequences.npz", cases, sizeof cases / sizeof cases[0]);
}

TEST(recurrent) {
  static const nn_golden_case cases[] = {
      CASE(rnn, 1),        CASE(rnn_relu, 1),   CASE(gru, 1),
      CASE(gru_both, 2),   CASE(lstm, 1),       CASE(lstm_both, 2),
      CASE(lstm_final, 2), CASE(lstm_state, 3), CASE(lstm_peephole, 1)};
  nn_golden_file("nn_sequences.npz", cases, sizeof cases / sizeof cases[0]);
}

/* ---- decoding ------------------------------------------------------------------------------------------ */

typedef struct {
  mica_store *store;
  int64_t cache, window, sinks;
} decoder;

/* in: x [batch, time, width] and, with a cache, its first position. */
static void build_decoder(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const decoder *d = user;
  mica_scope *scope = mica_scope_open(d->store, graph, false);
  mica_nn_attention_args options = {.heads = 4,
                                    .kv_heads = 2,
                                    .causal = true,
                                    .window = d->window,
                                    .sinks = d->sinks,
                                    .rope = ROPE(.base = 0),
                                    .cache = d->cache};
  if (d->cache > 0) options.position = in[1];
  out[0] = mica_nn_transformer_block(mica_scope_in(scope, "block"), in[0], .attention = options,
                                     .norm = "rms");
  mica_scope_close(scope);
}

/* Positions in pieces through a cache give what the whole sequence gives. */
static void check_cache(mica_device *device, int64_t cache, int64_t window, int64_t sinks) {
  enum { TIME = 12, WIDTH = 16 };
  static const int64_t pieces[] = {3, 1, 2, 1, 1, 3, 1};
  decoder d = {mica_store_create(device, 5), 0, window, sinks};
  float numbers[2 * TIME * WIDTH], part[2 * TIME * WIDTH];
  for (int i = 0; i < 2 * TIME * WIDTH; i++) numbers[i] = (float)((i * 7919) % 1000) / 500 - 1;
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(2, TIME, WIDTH), numbers), *whole = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_call_once(device, build_decoder, &d, &x, 1, &whole, 1, &error), &error);
  d.cache = cache;
  const float *wanted = mica_tensor_data(whole);
  for (int64_t k = 0, at = 0; k < 7 && wanted; at += pieces[k++]) {
    int64_t count = pieces[k];
    for (int64_t b = 0; b < 2; b++)
      memcpy(part + b * count * WIDTH, numbers + (b * TIME + at) * WIDTH,
             (size_t)(count * WIDTH) * sizeof(float));
    mica_tensor *in[2] = {mica_tensor_from(MICA_F32, MICA_DIMS(2, count, WIDTH), part),
                          mica_tensor_scalar(MICA_I32, (double)at)};
    mica_tensor *out = NULL;
    CHECK_OK_ERROR(mica_call_once(device, build_decoder, &d, in, 2, &out, 1, &error), &error);
    const float *got = mica_tensor_data(out);
    for (int64_t i = 0; got && i < 2 * count * WIDTH; i++) {
      int64_t b = i / (count * WIDTH), rest = i % (count * WIDTH);
      float expected = wanted[(b * TIME + at) * WIDTH + rest];
      if (!CHECK_NEAR(got[i], expected, 2e-5)) break;
    }
    mica_tensor_release(out), mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  }
  mica_tensor_release(x), mica_tensor_release(whole);
  mica_store_destroy(d.store);
}

TEST(cache) {
  mica_device *device = mica_device_open(NULL, NULL);
  check_cache(device, 12, 0, 0);
  check_cache(device, 20, 0, 0);
  check_cache(device, 12, 3, 0);
  check_cache(device, 6, 3, 0); /* rolls: a window of 3 and pieces of up to 3 need 5 positions */
  check_cache(device, 8, 3, 2); /* the first two stay */
  check_cache(device, 20, 3, 1);
  check_cache(device, 14, 0, 2);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(positions), TEST_CASE(attention), TEST_CASE(blocks), TEST_CASE(recurrent),
          TEST_CASE(cache))
