/* SPDX-License-Identifier: Apache-2.0 */
/* What layers say about wrong shapes, sizes and names, with the scope; the noise of training. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"
#include "mica/nn.h"

static mica_device *device;
static mica_store *store;

/* `expression`, of the scope s (path "net/part") in graph g, fails with a message that has the text. */
#define CHECK_SAYS(expression, text)                                                    \
  do {                                                                                  \
    mica_graph *g = mica_graph_create(NULL);                                            \
    mica_scope *root = mica_scope_open(store, g, true);                                 \
    mica_scope *s = mica_scope_in(mica_scope_in(root, "net"), "part");                  \
    mica_value lines = mica_parameter(g, (mica_type){MICA_F32, MICA_DIMS(2, 5, 8)});    \
    mica_value image = mica_parameter(g, (mica_type){MICA_F32, MICA_DIMS(2, 6, 6, 4)}); \
    mica_value ids = mica_parameter(g, (mica_type){MICA_I32, MICA_DIMS(2, 5)});         \
    mica_error error = {0};                                                             \
    (void)s, (void)lines, (void)image, (void)ids;                                       \
    CHECK(!mica_is_valid(expression));                                                  \
    CHECK(mica_graph_status(g, &error) == MICA_INVALID);                                \
    CHECK_STR_CONTAINS(error.message, text);                                            \
    mica_scope_close(root);                                                             \
    mica_graph_destroy(g);                                                              \
  } while (0)

TEST(messages) {
  CHECK_SAYS(mica_nn_dense(s, lines),
             "dense \"net/part\": expected floats x [..., in] and units above 0");
  CHECK_SAYS(mica_nn_dense(s, ids, .units = 3), "not rank 2 of i32");
  CHECK_SAYS(mica_nn_dense(NULL, lines, .units = 3), "dense: the scope is NULL");
  CHECK_SAYS(mica_nn_dense(s, (mica_value){0}, .units = 3), "the input is no value of this graph");
  CHECK_SAYS(mica_nn_embedding(s, ids, .count = 5),
             "embedding \"net/part\": expected a count and units above 0");
  CHECK_SAYS(mica_nn_conv(s, image), "conv \"net/part\" of f32[2, 6, 6, 4]: expected floats");
  CHECK_SAYS(mica_nn_conv(s, image, .channels = 3, .groups = 3),
             "groups (3) that divide the channels");
  CHECK_SAYS(mica_nn_depthwise_conv(s, ids), "depthwise_conv \"net/part\"");
  CHECK_SAYS(mica_nn_conv_transpose(s, image, .channels = 3, .stride = {-1}),
             "conv_transpose \"net/part\"");
  CHECK_SAYS(mica_nn_dropout(s, lines, 1.5), "expected a rate in [0, 1), not 1.5");
  CHECK_SAYS(mica_nn_dropout(s, ids, 0.5),
             "dropout in scope \"net/part\": expected floats, not i32");
  CHECK_SAYS(mica_nn_drop_block(s, mica_nn_dropout(s, ids, 0.5), 0.5, 2), "expected floats");
  CHECK_SAYS(mica_nn_drop_block(s, image, 0.5, 0), "a size above 0");
  CHECK_SAYS(mica_nn_batch_norm(s, lines, .momentum = 2), "expected a momentum from 0 to 1, not 2");
  CHECK_SAYS(mica_nn_layer_norm(s, ids), "layer_norm \"net/part\": expected floats");
  CHECK_SAYS(mica_nn_group_norm(s, image, .groups = 3), "3 groups do not divide 4 channels");
  CHECK_SAYS(mica_nn_norm_by_name(s, lines, "spectral"), "normalization \"spectral\" is unknown");
  CHECK_SAYS(mica_nn_glu(mica_slice(lines, "..., :5")), "glu: expected an even last axis, not 5");
  CHECK_SAYS(mica_nn_maxout(lines, 3),
             "maxout: expected pieces that divide the last axis, not 3 of 8");
  CHECK_SAYS(mica_nn_activate(lines, (mica_nn_activation)99), "activation 99 is unknown");
  CHECK_SAYS(mica_nn_attention(s, lines, .heads = 3, .kv_heads = 2),
             "heads (3) that kv_heads (2) divide");
  CHECK_SAYS(mica_nn_attention(s, lines, .heads = 2, .cache = 3),
             "at most as many times as the cache has");
  CHECK_SAYS(mica_nn_transformer_block(s, image),
             "transformer_block \"net/part\": expected x [batch, time, width]");
  CHECK_SAYS(mica_nn_rope(lines, ids, (mica_rope){.use = true}),
             "rope: expected x [batch, time, heads, d]");
  CHECK_SAYS(mica_nn_sinusoidal(ids, 5, MICA_F32), "sinusoidal: expected an even width");
  CHECK_SAYS(mica_nn_learned_positions(s, lines, 3, (mica_value){0}), "of at most 3 times");
  CHECK_SAYS(mica_nn_lstm(s, image, .units = 3),
             "lstm \"net/part\": expected floats [batch, time, in]");
  CHECK_SAYS(mica_nn_gru(s, lines, .units = 3, .reverse = true, .bidirectional = true),
             "not reverse and bidirectional");
  CHECK_SAYS(mica_nn_fnn(s, lines, .out = 2, .activation = "sine"),
             "activation \"sine\" is unknown");
  CHECK_SAYS(mica_nn_fnn(s, lines, .out = 2, .activation = "glu"), "is a gated one");
  CHECK_SAYS(mica_nn_fnn(s, lines, .out = 2, .layers = -5), "layers of -1 (none) or more, not -5");
  CHECK_SAYS(mica_nn_fnn(s, lines), "expected out and units above 0, not 0 and 64");
  CHECK_SAYS(mica_nn_fnn(s, lines, .out = 2, .ensemble = 2), "expected x [batch, in]");
  CHECK_SAYS(mica_nn_experts(s, lines, .experts = 2, .chosen = 3), "of which some (3) are chosen");
  CHECK_SAYS(mica_nn_rational(s, lines, .groups = 3), "groups (3) that divide the channels (8)");
  CHECK_SAYS(mica_nn_kan(s, lines, .units = 2, .low = 2, .high = 1), "low below high");
  CHECK_SAYS(mica_nn_bsplines(ids, 3, 5, 0, 1), "bsplines: expected floats");
  CHECK_SAYS(mica_nn_calibration(s, lines, NULL, 0, 1, false),
             "expected keypoints, floats [8, 2 or more]");
  CHECK_SAYS(mica_nn_vector_dense(s, lines, 3),
             "expected floats [..., channels, 3], not f32[2, 5, 8]");
  CHECK_SAYS(mica_scope_variable(s, "a", (mica_type){MICA_I32, MICA_DIMS(2)}, mica_init_zeros()),
             "expected floats");
  CHECK_SAYS(mica_scope_variable(s, "a/b", (mica_type){MICA_F32, MICA_DIMS(2)}, mica_init_zeros()),
             "\"a/b\"");
  CHECK_EQ_INT(mica_store_count(store), 0); /* nothing is left of failed traces */
}

/* ---- noise ---------------------------------------------------------------------------------------------- */

static void build_noise(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)user;
  mica_scope *s = mica_scope_open(store, graph, true);
  out[0] = mica_nn_drop_path(s, in[0], 0.4);
  out[1] = mica_nn_drop_block(s, in[0], 0.2, 3);
  out[2] = mica_nn_gaussian_noise(s, in[0], 0.5);
  mica_scope_close(s);
}

TEST(noise) {
  enum { N = 200, SIDE = 12, CELLS = SIDE * SIDE * 2, ALL = N * CELLS };
  float *ones = malloc(ALL * sizeof *ones);
  for (int i = 0; i < ALL; i++) ones[i] = 1;
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(N, SIDE, SIDE, 2), ones), *out[3] = {NULL};
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_call_once(device, build_noise, NULL, &in, 1, out, 3, &error), &error))
    return;
  const float *path = mica_tensor_data(out[0]), *block = mica_tensor_data(out[1]),
              *noise = mica_tensor_data(out[2]);
  int dropped = 0, mixed = 0;
  double zeros = 0, sum = 0, squares = 0, whole = 0;
  for (int n = 0; n < N; n++) {
    dropped += path[n * CELLS] == 0;
    for (int i = 0; i < CELLS; i++) {
      mixed += path[n * CELLS + i] != path[n * CELLS];
      zeros += block[n * CELLS + i] == 0;
      whole += (double)block[n * CELLS + i];
      mixed += block[n * CELLS + i / 2 * 2] != block[n * CELLS + i]; /* channels go together */
      sum += (double)noise[n * CELLS + i];
      squares += pow((double)noise[n * CELLS + i] - 1, 2);
    }
  }
  CHECK_EQ_INT(mixed, 0);
  CHECK(dropped > 55 && dropped < 105); /* 80 of 200, four deviations */
  CHECK_NEAR(zeros / ALL, 0.19, 0.03);  /* blocks overlap: a little less than 0.2 */
  CHECK_NEAR(whole / ALL, 1, 1e-4);     /* scaled by what is left */
  CHECK_NEAR(sum / ALL, 1, 0.01);
  CHECK_NEAR(sqrt(squares / ALL), 0.5, 0.01);
  for (int i = 0; i < 3; i++) mica_tensor_release(out[i]);
  mica_tensor_release(in);
  free(ones);
}

/* Dropout and vectors: [rows, channels, 3]; and the gradients of sum(w y) by x, which are what the noise does to w. */
static void build_dropped(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)user;
  mica_scope *s = mica_scope_open(store, graph, true);
  mica_value y[4] = {mica_nn_dropout(s, in[0], 0.3), mica_nn_vector_dropout(s, in[0], 0.3),
                     mica_nn_drop_path(s, in[0], 0.3), mica_nn_gaussian_noise(s, in[0], 0.5)};
  for (int i = 0; i < 4; i++) {
    out[2 * i] = y[i];
    mica_gradients(mica_reduce_sum(mica_mul(y[i], 2), MICA_ALL), in, 1, &out[2 * i + 1]);
  }
  mica_scope_close(s);
}

TEST(dropped) {
  enum { ROWS = 4000, ALL = ROWS * 6 };
  float *ones = malloc(ALL * sizeof *ones);
  for (int i = 0; ones && i < ALL; i++) ones[i] = 1;
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(ROWS, 2, 3), ones), *out[8] = {NULL};
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_call_once(device, build_dropped, NULL, &in, 1, out, 8, &error), &error))
    return;
  const double kept = 1 / 0.7;
  for (int k = 0; k < 4; k++) {
    const float *y = mica_tensor_data(out[2 * k]), *g = mica_tensor_data(out[2 * k + 1]);
    int zeros = 0, wrong = 0;
    for (int i = 0; i < ALL; i++) {
      double scale =
          k == 3 ? 1 : (double)y[i]; /* noise that is added leaves gradients as they are */
      wrong += fabs((double)g[i] - 2 * scale) > 1e-6;
      if (k == 3) continue;
      zeros += y[i] == 0;
      wrong += y[i] != 0 && fabs((double)y[i] - kept) > 1e-6;
      if (k == 1) wrong += y[i / 3 * 3] != y[i]; /* whole vectors */
      if (k == 2) wrong += y[i / 6 * 6] != y[i]; /* whole examples */
    }
    CHECK_EQ_INT(wrong, 0);
    if (k < 3) CHECK_NEAR(zeros / (double)ALL, 0.3, 0.03); /* four deviations of 4000 draws */
  }
  for (int i = 0; i < 8; i++) mica_tensor_release(out[i]);
  mica_tensor_release(in);
  free(ones);
}

/* Weights of attention over equal scores and values of 1, dropped: shares of 1 / (T (1 - rate)); and branches of a block that give
 * 1 each: dropped by element and by example. */
enum { LOOKS = 2000, TIMES = 5 };
static void build_branches(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_scope *s = mica_scope_open(store, graph, *(const bool *)user);
  mica_value x = mica_mul(in[0], 0);
  out[0] = mica_nn_attention(mica_scope_in(s, "looks"), x, .heads = 1, .dropout = 0.4,
                             .initializer = mica_init_constant(1));
  mica_nn_attention_args looks = {.heads = 1, .initializer = mica_init_zeros()};
  out[1] = mica_nn_transformer_block(mica_scope_in(s, "elements"), x, .attention = looks,
                                     .hidden = 2, .dropout = 0.25);
  out[2] = mica_nn_transformer_block(mica_scope_in(s, "examples"), x, .attention = looks,
                                     .hidden = 2, .drop_path = 0.25);
  mica_scope_close(s);
}

static void put_values(const char *path, int64_t size, double value) {
  double values[4] = {value, value, value, value};
  mica_tensor *tensor = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(size), values);
  CHECK_OK(mica_store_put(store, path, tensor, true, NULL));
  mica_tensor_release(tensor);
}

TEST(branches) {
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(LOOKS, TIMES, 2), NULL);
  mica_error error = {0};
  put_values("looks/value_bias", 2, 0.5); /* through an output kernel of ones: 1 */
  put_values("elements/attention/out_bias", 2, 1);
  put_values("examples/attention/out_bias", 2, 1);
  mica_tensor *nothing =
      mica_tensor_from(MICA_F32, MICA_DIMS(2, 2), NULL); /* of the feed-forward branch */
  CHECK_OK(mica_store_put(store, "elements/down/kernel", nothing, true, NULL));
  CHECK_OK(mica_store_put(store, "examples/down/kernel", nothing, true, NULL));
  mica_tensor_release(nothing);
  for (int training = 0; training < 2; training++) {
    mica_tensor *out[3] = {NULL};
    bool trains = training == 1;
    if (!CHECK_OK_ERROR(mica_call_once(device, build_branches, &trains, &in, 1, out, 3, &error),
                        &error))
      break;
    double sums[3] = {0}, unit = 1 / (TIMES * 0.6);
    int wrong = 0, zeros[3] = {0};
    for (int k = 0; k < 3; k++) {
      const float *y = mica_tensor_data(out[k]);
      for (int i = 0; i < LOOKS * TIMES * 2; i++) {
        double v = (double)y[i];
        sums[k] += v / (LOOKS * TIMES * 2);
        zeros[k] += v == 0;
        if (!trains) wrong += fabs(v - 1) > 1e-5;
        if (trains && k == 0) wrong += fabs(v / unit - round(v / unit)) > 1e-4;
        if (trains && k > 0) wrong += v != 0 && fabs(v - 1 / 0.75) > 1e-5;
        if (k == 2) wrong += y[i] != y[i / (TIMES * 2) * (TIMES * 2)]; /* whole examples */
      }
      CHECK_NEAR(sums[k], 1, trains ? 0.05 : 1e-5);
      if (trains && k > 0) CHECK_NEAR(zeros[k] / (double)(LOOKS * TIMES * 2), 0.25, 0.04);
      mica_tensor_release(out[k]);
    }
    CHECK_EQ_INT(wrong, 0);
  }
  mica_tensor_release(in);
}

int main(int argc, char **argv) {
  static const check_case cases[] = {TEST_CASE(messages), TEST_CASE(noise), TEST_CASE(dropped),
                                     TEST_CASE(branches)};
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  device = mica_device_open(&options, NULL);
  store = mica_store_create(device, 1);
  int code = check_main(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
  mica_store_destroy(store);
  mica_device_release(device);
  return code;
}
