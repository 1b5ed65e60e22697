/* SPDX-License-Identifier: Apache-2.0 */
/* functions.c: workloads that are pure functions: products, convolutions, rows, calls, attention.
 * */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

#define BUILD(name) \
  static void name(mica_graph *graph, const mica_value *in, mica_value *out, void *user)
#define UNUSED (void)graph, (void)user

BUILD(product) {
  UNUSED;
  out[0] = mica_matmul(in[0], in[1]);
}
BUILD(square_plus_one) {
  UNUSED;
  out[0] = mica_add(mica_mul(in[0], in[0]), 1);
}

BUILD(chain22) {
  UNUSED;
  mica_value x = in[0], y = in[1];
  mica_value d = mica_sub(mica_tanh(mica_add(mica_mul(x, y), x)), y);
  mica_value f = mica_mul(mica_exp(mica_neg(mica_mul(d, d))), x);
  mica_value g = mica_sub(f, mica_reduce_mean(f, MICA_ALL));
  mica_value h =
      mica_mul(g, mica_rsqrt(mica_add(mica_reduce_mean(mica_mul(g, g), MICA_ALL), 1e-5)));
  mica_value j = mica_add(mica_mul(mica_max(h, 0), y), x);
  out[0] = mica_div(j, mica_add(mica_abs(mica_reduce_sum(j, MICA_ALL)), 1));
}

/* Ten operators on sixteen floats: what a call costs. */
BUILD(ten_operators) {
  UNUSED;
  mica_value x = in[0]; /* bench/peers/check_calls.py has the same ten */
  mica_value a = mica_tanh(mica_add(mica_mul(x, 0.5), 0.25));
  mica_value b = mica_sqrt(mica_add(mica_mul(a, x), 4));
  out[0] = mica_sub(mica_div(b, mica_exp(mica_neg(a))), x);
}

BUILD(gelu_rows) {
  UNUSED;
  out[0] = mica_gelu_tanh(mica_add(mica_mul(in[0], in[1]), in[2]));
}
BUILD(softmax_rows) {
  UNUSED;
  out[0] = mica_softmax(in[0], -1);
}
BUILD(layer_norm_rows) {
  UNUSED;
  out[0] = mica_layer_norm(in[0], in[1], in[2], 1e-5);
}

/* in: p, m, v, g, step; out: p, m, v */
BUILD(adam_update) {
  UNUSED;
  mica_value g = in[3], step = in[4], one = mica_ones_like(step);
  mica_value m = mica_add(mica_mul(in[1], 0.9), mica_mul(g, 0.1));
  mica_value v = mica_add(mica_mul(in[2], 0.999), mica_mul(mica_mul(g, 0.001), g));
  mica_value m_hat = mica_div(m, mica_sub(one, mica_exp(mica_mul(step, log(0.9)))));
  mica_value v_hat = mica_div(v, mica_sub(one, mica_exp(mica_mul(step, log(0.999)))));
  out[0] = mica_sub(in[0], mica_div(mica_mul(m_hat, 1e-3), mica_add(mica_sqrt(v_hat), 1e-8)));
  out[1] = m;
  out[2] = v;
}

static mica_value grouped_conv(mica_value x, mica_value w, void *user) {
  return mica_conv(x, w, .groups = user ? 64 : 1);
}
BUILD(conv_forward) {
  (void)graph;
  out[0] = grouped_conv(in[0], in[1], user);
}
BUILD(conv_backward) {
  (void)graph;
  out[0] = grouped_conv(in[0], in[1], user);
  mica_vjp(&out[0], &in[2], 1, in, 2, &out[1]);
}

BUILD(attention_forward) {
  (void)graph;
  out[0] = mica_attention(in[0], in[1], in[2], .causal = user != NULL, .scale = 0.125);
}
BUILD(attention_backward) {
  (void)graph;
  out[0] = mica_attention(in[0], in[1], in[2], .causal = user != NULL, .scale = 0.125);
  mica_vjp(&out[0], &in[3], 1, in, 3, &out[1]);
}

BUILD(transposed) {
  UNUSED;
  out[0] = mica_transpose(in[0], MICA_ALL);
}
BUILD(gathered) {
  UNUSED;
  out[0] = mica_take(in[0], in[1], 0);
}
BUILD(scattered) {
  (void)user;
  out[0] = mica_scatter_add(mica_full(graph, (mica_type){MICA_F32, MICA_DIMS(100000, 64)}, 0),
                            in[0], in[1]);
}
BUILD(largest_column) {
  UNUSED;
  out[0] = mica_arg_max(in[0], -1);
}
BUILD(row_sums) {
  UNUSED;
  out[0] = mica_reduce_sum(in[0], MICA_AXES(-1));
}
BUILD(mlp_inference) {
  UNUSED;
  out[0] =
      mica_add(mica_matmul(mica_relu(mica_add(mica_matmul(in[4], in[0]), in[1])), in[2]), in[3]);
}

BUILD(lstm_inference) {
  UNUSED;
  out[0] = bench_lstm_outputs(in + 1, in[0]);
}

static int flag; /* an address that says "yes" as a build function's user pointer */

static void add(bench_workload *table, int32_t capacity, int32_t *count, bench_workload w) {
  if (*count < capacity) table[(*count)++] = w;
}

int32_t bench_functions(bench_workload *table, int32_t capacity) {
  int32_t count = 0;
#define ADD(...) add(table, capacity, &count, (bench_workload){__VA_ARGS__})
#define NORMAL(s, ...)                                                       \
  {                                                                          \
    .seed = s, .shape = {                                                    \
      .rank = (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
      .dim = {__VA_ARGS__}                                                   \
    }                                                                        \
  }
  static const struct {
    const char *name;
    int64_t m, n, k;
  } products[] = {{"gemm.64", 64, 64, 64},           {"gemm.128", 128, 128, 128},
                  {"gemm.256", 256, 256, 256},       {"gemm.512", 512, 512, 512},
                  {"gemm.1024", 1024, 1024, 1024},   {"gemm.2048", 2048, 2048, 2048},
                  {"gemm.32x512x784", 32, 512, 784}, {"gemm.128x3072x768", 128, 3072, 768},
                  {"gemm.4096x16x32", 4096, 16, 32}, {"gemm.13x32x13", 13, 32, 13},
                  {"gemv.4096", 1, 4096, 4096}};
  for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
    ADD(.name = products[i].name, .build = product, .input_count = 2, .output_count = 1,
        .in = {NORMAL(1, products[i].m, products[i].k), NORMAL(2, products[i].k, products[i].n)});
  ADD(.name = "gemm_batched.64", .build = product, .input_count = 2, .output_count = 1,
      .in = {NORMAL(1, 64, 128, 128), NORMAL(2, 64, 128, 64)});
  ADD(.name = "call.square_plus_one_16", .build = square_plus_one, .input_count = 1,
      .output_count = 1, .in = {NORMAL(1, 16)});
  ADD(.name = "call.chain22_1k", .build = chain22, .input_count = 2, .output_count = 1,
      .in = {NORMAL(1, 1024), NORMAL(2, 1024)});
  ADD(.name = "call.ten_16", .build = ten_operators, .input_count = 1, .output_count = 1,
      .in = {NORMAL(1, 16)});
  static const char *const rows_names[3][2] = {{"gelu.64k", "gelu.16m"},
                                               {"softmax.64k", "softmax.16m"},
                                               {"layer_norm.64k", "layer_norm.16m"}};
  static mica_build *const rows_builds[3] = {gelu_rows, softmax_rows, layer_norm_rows};
  for (int size = 0; size < 2; size++) {
    int64_t rows = size ? 16384 : 64;
    for (int i = 0; i < 3; i++)
      ADD(.name = rows_names[i][size], .build = rows_builds[i], .input_count = i == 1 ? 1 : 3,
          .output_count = 1, .in = {NORMAL(1, rows, 1024), NORMAL(2, 1024), NORMAL(3, 1024)});
    bench_input second = NORMAL(3, rows * 1024);
    second.squared = true;
    ADD(.name = size ? "adam.16m" : "adam.64k", .build = adam_update, .input_count = 5,
        .output_count = 3, .in_place = true, .checked = 2,
        .in = {NORMAL(1, rows * 1024),
               NORMAL(2, rows * 1024),
               second,
               NORMAL(4, rows * 1024),
               {.number = 10}});
  }
  static const struct {
    const char *forward, *backward;
    int64_t size, in;
    double scale;
    void *user;
  } convs[3] = {
      {"conv3x3.forward", "conv3x3.forward_backward", 3, 64, 0.041666666666666664, NULL},
      {"conv1x1.forward", "conv1x1.forward_backward", 1, 64, 0.125, NULL},
      {"depthwise3x3.forward", "depthwise3x3.forward_backward", 3, 1, 0.3333333333333333, &flag}};
  for (int i = 0; i < 3; i++) {
    bench_input x = NORMAL(1, 32, 56, 56, 64),
                w = NORMAL(2, convs[i].size, convs[i].size, convs[i].in, 64),
                g = NORMAL(3, 32, 56, 56, 64);
    w.scale = convs[i].scale;
    ADD(.name = convs[i].forward, .build = conv_forward, .user = convs[i].user, .input_count = 2,
        .output_count = 1, .in = {x, w});
    ADD(.name = convs[i].backward, .build = conv_backward, .user = convs[i].user, .input_count = 3,
        .output_count = 3, .in = {x, w, g});
  }
  static char names[12][48];
  static const int64_t times[3] = {128, 512, 2048};
  for (int i = 0; i < 12; i++) {
    int64_t t = times[i / 4];
    bool causal = i & 1, backward = i & 2;
    snprintf(names[i], sizeof names[i], "attention.%s.t%lld%s",
             backward ? "forward_backward" : "forward", (long long)t, causal ? ".causal" : "");
    ADD(.name = names[i], .build = backward ? attention_backward : attention_forward,
        .user = causal ? &flag : NULL, .input_count = backward ? 4 : 3,
        .output_count = backward ? 4 : 1,
        .in = {NORMAL(1, 4, 8, t, 64), NORMAL(2, 4, 8, t, 64), NORMAL(3, 4, 8, t, 64),
               NORMAL(4, 4, 8, t, 64)});
  }
  bench_input picks = {.seed = 2, .limit = 100000, .shape = {1, {1 << 20}}};
  ADD(.name = "transpose.4096", .build = transposed, .input_count = 1, .output_count = 1,
      .in = {NORMAL(1, 4096, 4096)});
  ADD(.name = "gather.1m_x64", .build = gathered, .input_count = 2, .output_count = 1,
      .in = {NORMAL(1, 100000, 64), picks});
  ADD(.name = "scatter_add.1m_x64", .build = scattered, .input_count = 2, .output_count = 1,
      .in = {picks, NORMAL(3, 1 << 20, 64)});
  ADD(.name = "argmax.16m", .build = largest_column, .input_count = 1, .output_count = 1,
      .in = {NORMAL(1, 16384, 1024)});
  ADD(.name = "reduce_sum.16m", .build = row_sums, .input_count = 1, .output_count = 1,
      .in = {NORMAL(1, 16384, 1024)});
  bench_input w1 = NORMAL(11, 784, 512), w2 = NORMAL(12, 512, 10), b1 = NORMAL(11, 512),
              b2 = NORMAL(11, 10);
  w1.scale = 1.0 / 28, w2.scale = 0.04419417382415922;
  b1.scale = b2.scale = 1e-300; /* zeros, in f32 */
  ADD(.name = "infer.mlp", .build = mlp_inference, .input_count = 5, .output_count = 1,
      .in = {w1, b1, w2, b2, NORMAL(13, 128, 784)});
  bench_input wx = NORMAL(61, 256, 1024), wh = NORMAL(62, 256, 1024), gates = NORMAL(61, 1024);
  wx.scale = wh.scale = 1.0 / 16, gates.scale = 1e-300;
  ADD(.name = "lstm.forward", .build = lstm_inference, .input_count = 4, .output_count = 1,
      .in = {NORMAL(63, 128, 32, 256), wx, wh, gates});
  return count;
}
