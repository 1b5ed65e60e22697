/* SPDX-License-Identifier: Apache-2.0 */
/* models.c: training steps as users write them: parameters and optimizer state are variables, a
 * step reads and
 * assigns them. Shapes, seeds and optimizers are those of the peers' harness. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload.h"

enum { MOST_PARAMETERS = 200 };
typedef enum { SGD, MOMENTUM, ADAM, ADAMW } optimizer_kind;

typedef struct {
  char name[40];
  mica_variable *value, *first, *second;
} bench_parameter;

struct bench_model {
  char name[16];
  optimizer_kind optimizer;
  double rate;
  bench_parameter p[MOST_PARAMETERS];
  int32_t count;
  mica_variable *step; /* Adam: f32 [], steps done */
  int layers;          /* of gpt2: 12, or what "gpt2-N" says */
  bool failed;
};

static bool is_gpt2(const char *name) {
  return !strcmp(name, "gpt2") || !strncmp(name, "gpt2-", 5);
}

/* ---- parameters ------------------------------------------------------------------------------ */

static void add_parameter(bench_model *m, const char *name, mica_tensor *start) {
  if (m->count == MOST_PARAMETERS || !start) {
    m->failed = true;
    mica_tensor_release(start);
    return;
  }
  bench_parameter *p = &m->p[m->count++];
  snprintf(p->name, sizeof p->name, "%s", name);
  p->value = mica_variable_create(p->name, start);
  if (m->optimizer != SGD) {
    mica_tensor *zero = mica_tensor_from(MICA_F32, mica_tensor_type(start).shape, NULL);
    p->first = mica_variable_create("first", zero);
    if (m->optimizer != MOMENTUM) p->second = mica_variable_create("second", zero);
    mica_tensor_release(zero);
  }
  if (!p->value) m->failed = true;
  mica_tensor_release(start);
}

static mica_shape dims(int32_t rank, int64_t a, int64_t b, int64_t c, int64_t d) {
  return (mica_shape){rank, {a, b, c, d}};
}
static void weights(bench_model *m, const char *name, uint32_t seed, mica_shape shape,
                    double scale) {
  add_parameter(m, name, bench_normal(seed, shape, scale));
}
static void filled(bench_model *m, const char *name, int64_t size, double value) {
  double *values = malloc((size_t)size * sizeof *values);
  for (int64_t i = 0; values && i < size; i++) values[i] = value;
  add_parameter(m, name,
                values ? mica_tensor_from_doubles(MICA_F32, dims(1, size, 0, 0, 0), values) : NULL);
  free(values);
}

static const struct {
  const char *name;
  int64_t in, out;
} resnet9[8] = {{"prep", 3, 64},     {"layer1", 64, 128},  {"res1a", 128, 128},
                {"res1b", 128, 128}, {"layer2", 128, 256}, {"layer3", 256, 512},
                {"res3a", 512, 512}, {"res3b", 512, 512}};

static void gpt2_parameters(bench_model *m) {
  weights(m, "tokens", 51, dims(2, 50257, 768, 0, 0), 0.02),
      weights(m, "positions", 52, dims(2, 64, 768, 0, 0), 0.02);
  filled(m, "norm_scale", 768, 1), filled(m, "norm_bias", 768, 0);
  for (uint32_t layer = 0; layer < (uint32_t)m->layers; layer++) {
    uint32_t s = 100 + 10 * layer;
    filled(m, "norm1_scale", 768, 1), filled(m, "norm1_bias", 768, 0);
    weights(m, "qkv", s, dims(2, 768, 3 * 768, 0, 0), 0.02), filled(m, "qkv_bias", 3 * 768, 0);
    weights(m, "out", s + 1, dims(2, 768, 768, 0, 0), 0.02), filled(m, "out_bias", 768, 0);
    filled(m, "norm2_scale", 768, 1), filled(m, "norm2_bias", 768, 0);
    weights(m, "up", s + 2, dims(2, 768, 4 * 768, 0, 0), 0.02), filled(m, "up_bias", 4 * 768, 0);
    weights(m, "down", s + 3, dims(2, 4 * 768, 768, 0, 0), 0.02), filled(m, "down_bias", 768, 0);
  }
}

bench_model *bench_model_create(const char *name, mica_error *error) {
  bench_model *m = calloc(1, sizeof *m);
  if (!m) return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory"), NULL;
  snprintf(m->name, sizeof m->name, "%s", name);
  if (!strcmp(name, "mlp")) {
    m->optimizer = SGD, m->rate = 0.1;
    weights(m, "w1", 11, dims(2, 784, 512, 0, 0), 1.0 / 28), filled(m, "b1", 512, 0);
    weights(m, "w2", 12, dims(2, 512, 10, 0, 0), pow(512, -0.5)), filled(m, "b2", 10, 0);
  } else if (!strcmp(name, "cnn")) {
    m->optimizer = ADAM, m->rate = 1e-3;
    weights(m, "c1", 21, dims(4, 3, 3, 1, 32), 1.0 / 3), filled(m, "cb1", 32, 0);
    weights(m, "c2", 22, dims(4, 3, 3, 32, 64), pow(288, -0.5)), filled(m, "cb2", 64, 0);
    weights(m, "w1", 23, dims(2, 3136, 128, 0, 0), 1.0 / 56), filled(m, "b1", 128, 0);
    weights(m, "w2", 24, dims(2, 128, 10, 0, 0), pow(128, -0.5)), filled(m, "b2", 10, 0);
  } else if (!strcmp(name, "resnet9")) {
    m->optimizer = MOMENTUM, m->rate = 0.01;
    for (uint32_t i = 0; i < 8; i++) {
      weights(m, resnet9[i].name, 31 + i, dims(4, 3, 3, resnet9[i].in, resnet9[i].out),
              sqrt(2.0 / (9.0 * (double)resnet9[i].in)));
      filled(m, "scale", resnet9[i].out, 1), filled(m, "bias", resnet9[i].out, 0);
    }
    weights(m, "head", 40, dims(2, 512, 10, 0, 0), pow(512, -0.5)), filled(m, "head_bias", 10, 0);
  } else if (is_gpt2(name)) {
    m->layers = name[4] == '-' ? atoi(name + 5) : 12;
    if (m->layers < 1 || m->layers > 12) m->failed = true, m->layers = 0;
    m->optimizer = ADAMW, m->rate = 3e-4;
    gpt2_parameters(m);
  } else if (!strcmp(name, "lstm")) {
    m->optimizer = SGD, m->rate = 0.01;
    weights(m, "wx", 61, dims(2, 256, 1024, 0, 0), 1.0 / 16),
        weights(m, "wh", 62, dims(2, 256, 1024, 0, 0), 1.0 / 16), filled(m, "b", 1024, 0);
  } else {
    m->failed = true;
  }
  if (m->optimizer >= ADAM) {
    mica_tensor *zero = mica_tensor_scalar(MICA_F32, 0);
    m->step = mica_variable_create("step", zero);
    mica_tensor_release(zero);
  }
  if (!m->failed) return m;
  bench_model_destroy(m);
  mica_error_set(error, MICA_INVALID, "the model %s cannot be made", name);
  return NULL;
}

void bench_model_destroy(bench_model *m) {
  if (!m) return;
  for (int32_t i = 0; i < m->count; i++)
    mica_variable_release(m->p[i].value), mica_variable_release(m->p[i].first),
        mica_variable_release(m->p[i].second);
  mica_variable_release(m->step);
  free(m);
}

int32_t bench_model_inputs(const bench_model *m, mica_tensor **in) {
  if (!strcmp(m->name, "mlp"))
    in[0] = bench_normal(13, dims(2, 128, 784, 0, 0), 1),
    in[1] = bench_integers(14, 10, dims(1, 128, 0, 0, 0));
  else if (!strcmp(m->name, "cnn"))
    in[0] = bench_normal(25, dims(4, 64, 28, 28, 1), 1),
    in[1] = bench_integers(26, 10, dims(1, 64, 0, 0, 0));
  else if (!strcmp(m->name, "resnet9"))
    in[0] = bench_normal(41, dims(4, 64, 32, 32, 3), 1),
    in[1] = bench_integers(42, 10, dims(1, 64, 0, 0, 0));
  else if (is_gpt2(m->name))
    in[0] = bench_integers(53, 50257, dims(2, 4, 65, 0, 0));
  else
    in[0] = bench_normal(63, dims(3, 128, 32, 256, 0), 1);
  return is_gpt2(m->name) || !strcmp(m->name, "lstm") ? 1 : 2;
}

int32_t bench_model_magnitudes(const bench_model *m, double *out, int32_t capacity,
                               const char **names) {
  int32_t count = m->count < capacity ? m->count : capacity;
  for (int32_t i = 0; i < count; i++) {
    mica_tensor *value = mica_variable_snapshot(m->p[i].value);
    out[i] = bench_magnitude(value);
    names[i] = m->p[i].name;
    mica_tensor_release(value);
  }
  return count;
}

/* ---- forward passes: p is the list of parameters in order ------------------------------------ */

static mica_value mean_cross_entropy(mica_value logits, mica_value labels) {
  return mica_reduce_mean(mica_softmax_cross_entropy(logits, labels), MICA_ALL);
}

static mica_value mlp_loss(const mica_value *p, const mica_value *in) {
  mica_value h = mica_relu(mica_add(mica_matmul(in[0], p[0]), p[1]));
  return mean_cross_entropy(mica_add(mica_matmul(h, p[2]), p[3]), in[1]);
}

static mica_value cnn_loss(const mica_value *p, const mica_value *in) {
  mica_value x = mica_max_pool(mica_relu(mica_add(mica_conv(in[0], p[0]), p[1])), .window = {2, 2});
  x = mica_max_pool(mica_relu(mica_add(mica_conv(x, p[2]), p[3])), .window = {2, 2});
  x = mica_relu(mica_add(mica_matmul(mica_flatten(x, 1), p[4]), p[5]));
  return mean_cross_entropy(mica_add(mica_matmul(x, p[6]), p[7]), in[1]);
}

/* conv, batch norm with the batch's statistics, relu; p: kernel, scale, bias */
static mica_value conv_block(const mica_value *p, mica_value x) {
  x = mica_conv(x, p[0]);
  mica_value centered = mica_sub(x, mica_reduce_mean(x, MICA_AXES(0, 1, 2)));
  mica_value variance = mica_reduce_mean(mica_square(centered), MICA_AXES(0, 1, 2));
  return mica_relu(
      mica_add(mica_mul(mica_mul(centered, mica_rsqrt(mica_add(variance, 1e-5))), p[1]), p[2]));
}
static mica_value resnet9_loss(const mica_value *p, const mica_value *in) {
  mica_value x = conv_block(p, in[0]);
  x = mica_max_pool(conv_block(p + 3, x), .window = {2, 2});
  x = mica_add(x, conv_block(p + 9, conv_block(p + 6, x)));
  x = mica_max_pool(conv_block(p + 12, x), .window = {2, 2});
  x = mica_max_pool(conv_block(p + 15, x), .window = {2, 2});
  x = mica_add(x, conv_block(p + 21, conv_block(p + 18, x)));
  x = mica_flatten(mica_max_pool(x, .window = {4, 4}), 1);
  return mean_cross_entropy(mica_add(mica_matmul(x, p[24]), p[25]), in[1]);
}

static mica_value heads(mica_value x) { /* [4, 64, 768] -> [4, 12, 64, 64] */
  return mica_transpose(mica_reshape(x, MICA_DIMS(4, 64, 12, 64)), MICA_AXES(0, 2, 1, 3));
}
static mica_value gpt2_loss(const mica_value *p, const mica_value *in, int layers) {
  mica_value tokens = mica_slice_axis(in[0], 1, 0, 64, 1),
             targets = mica_slice_axis(in[0], 1, 1, 65, 1);
  mica_value x = mica_add(mica_take(p[0], tokens, 0), p[1]);
  for (int layer = 0; layer < layers; layer++) {
    const mica_value *b = p + 4 + 12 * layer;
    mica_value h = mica_add(mica_matmul(mica_layer_norm(x, b[0], b[1], 1e-5), b[2]), b[3]), qkv[3];
    mica_split(h, -1, 3, qkv);
    h = mica_attention(heads(qkv[0]), heads(qkv[1]), heads(qkv[2]), .causal = true, .scale = 0.125);
    h = mica_reshape(mica_transpose(h, MICA_AXES(0, 2, 1, 3)), MICA_DIMS(4, 64, 768));
    x = mica_add(x, mica_add(mica_matmul(h, b[4]), b[5]));
    h = mica_gelu_tanh(mica_add(mica_matmul(mica_layer_norm(x, b[6], b[7], 1e-5), b[8]), b[9]));
    x = mica_add(x, mica_add(mica_matmul(h, b[10]), b[11]));
  }
  x = mica_layer_norm(x, p[2], p[3], 1e-5);
  return mean_cross_entropy(mica_matmul(x, mica_transpose(p[0], MICA_ALL)), targets);
}

mica_value bench_lstm_outputs(const mica_value *p, mica_value x) {
  mica_graph *graph = x.graph;
  mica_value projected = mica_add(mica_matmul(x, p[0]), p[2]);
  mica_value state[2], final[2], all;
  state[0] = state[1] = mica_full(graph, (mica_type){MICA_F32, MICA_DIMS(32, 256)}, 0);
  mica_region scan = mica_scan_begin(state, 2, &projected, 1);
  mica_value gates = mica_add(mica_argument(scan, 2), mica_matmul(mica_argument(scan, 0), p[1])),
             part[4];
  mica_split(gates, -1, 4, part);
  mica_value cell = mica_add(mica_mul(mica_logistic(part[1]), mica_argument(scan, 1)),
                             mica_mul(mica_logistic(part[0]), mica_tanh(part[2])));
  mica_value next[2] = {mica_mul(mica_logistic(part[3]), mica_tanh(cell)), cell};
  mica_scan_end(scan, next, next, 1, final, &all);
  return all;
}

/* ---- the step -------------------------------------------------------------------------------- */

static void update(mica_graph *graph, bench_model *m, const mica_value *p, const mica_value *g) {
  mica_value step = {0}, correct1 = {0}, correct2 = {0};
  if (m->optimizer >= ADAM) {
    step = mica_add(mica_variable_read(graph, m->step), 1);
    mica_variable_assign(m->step, step);
    correct1 = mica_sub(mica_ones_like(step), mica_exp(mica_mul(step, log(0.9))));
    correct2 = mica_sub(mica_ones_like(step), mica_exp(mica_mul(step, log(0.999))));
  }
  for (int32_t i = 0; i < m->count; i++) {
    bench_parameter *q = &m->p[i];
    mica_value change;
    if (m->optimizer == SGD)
      change = mica_mul(g[i], m->rate);
    else if (m->optimizer == MOMENTUM) {
      mica_value trace = mica_add(g[i], mica_mul(mica_variable_read(graph, q->first), 0.9));
      mica_variable_assign(q->first, trace);
      change = mica_mul(trace, m->rate);
    } else {
      mica_value first =
          mica_add(mica_mul(mica_variable_read(graph, q->first), 0.9), mica_mul(g[i], 0.1));
      mica_value second = mica_add(mica_mul(mica_variable_read(graph, q->second), 0.999),
                                   mica_mul(mica_mul(g[i], g[i]), 0.001));
      mica_variable_assign(q->first, first), mica_variable_assign(q->second, second);
      change = mica_div(mica_div(first, correct1),
                        mica_add(mica_sqrt(mica_div(second, correct2)), 1e-8));
      if (m->optimizer == ADAMW) change = mica_add(change, mica_mul(p[i], 0.1));
      change = mica_mul(change, m->rate);
    }
    mica_variable_assign(q->value, mica_sub(p[i], change));
  }
}

void bench_model_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  bench_model *m = user;
  mica_value p[MOST_PARAMETERS], g[MOST_PARAMETERS];
  for (int32_t i = 0; i < m->count; i++) p[i] = mica_variable_read(graph, m->p[i].value);
  if (!strcmp(m->name, "mlp"))
    out[0] = mlp_loss(p, in);
  else if (!strcmp(m->name, "cnn"))
    out[0] = cnn_loss(p, in);
  else if (!strcmp(m->name, "resnet9"))
    out[0] = resnet9_loss(p, in);
  else if (is_gpt2(m->name))
    out[0] = gpt2_loss(p, in, m->layers);
  else
    out[0] = mica_reduce_mean(mica_square(bench_lstm_outputs(p, in[0])), MICA_ALL);
  mica_gradients(out[0], p, (size_t)m->count, g);
  update(graph, m, p, g);
}
