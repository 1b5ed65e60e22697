/* SPDX-License-Identifier: Apache-2.0 */
/* Networks, experts, learned functions, KAN and vector neurons against PyTorch in f64 (tests/golden/nn_networks.py); what they
 * start as; that rotations pass through vector neurons. */
#include <math.h>

#include "nn_golden.h"

#define LAYER(name, ...)                                                \
  static mica_value layer_##name(mica_scope *s, const mica_value *in) { \
    (void)s, (void)in;                                                  \
    return __VA_ARGS__;                                                 \
  }

LAYER(fnn, mica_nn_fnn(s, in[0], .out = 2, .residual = true, .activation = "tanh"))
LAYER(ensemble, mica_nn_fnn(s, in[0], .out = 2, .layers = 1, .units = 5, .ensemble = 6))
LAYER(experts, mica_nn_experts(s, in[0], .experts = 3, .hidden = 6, .capacity = 100))
LAYER(experts_full, mica_nn_experts(s, in[0], .experts = 3, .hidden = 6, .capacity = 0.8))
LAYER(experts_switch,
      mica_nn_experts(s, in[0], .experts = 3, .chosen = 1, .hidden = 6, .capacity = 1))
static mica_value layer_fnn_norm(mica_scope *s, const mica_value *in) {
  mica_value y =
      mica_nn_fnn(s, in[0], .out = 2, .activation = "gelu", .norm = "layer", .l1 = 0.1, .l2 = 0.05);
  return mica_add(y, mica_convert(mica_scope_losses(s), MICA_F64));
}
static mica_value layer_experts_balance(mica_scope *s, const mica_value *in) {
  mica_nn_experts(s, in[0], .experts = 3, .hidden = 6, .balance = 0.5);
  return mica_reshape(mica_convert(mica_scope_losses(s), MICA_F64), MICA_DIMS(1));
}
LAYER(rational_a, mica_nn_rational(s, in[0], .groups = 2, .version_a = true))
LAYER(rational_b, mica_nn_rational(s, in[0], .groups = 3))
LAYER(bsplines, mica_nn_bsplines(in[0], 3, 5, -1, 1))
LAYER(kan, mica_nn_kan(s, in[0], .units = 3))
LAYER(kan_linear, mica_nn_kan(s, in[0], .units = 3, .degree = 1, .intervals = 5, .low = -2,
                              .high = 2, .no_base = true))
LAYER(kan_discrete,
      mica_nn_kan(s, in[0], .units = 3, .discrete = true, .intervals = 5, .low = -2, .high = 2))
LAYER(kan_soft, mica_nn_kan(s, in[0], .units = 3, .discrete = true, .intervals = 5, .low = -2,
                            .high = 2, .no_base = true, .softness = 0.3))
LAYER(kan_rational, mica_nn_kan(s, in[0], .units = 3, .rational = true, .groups = 2))
LAYER(vector_dense, mica_nn_vector_dense(s, in[0], 5))
LAYER(vector_relu, mica_nn_vector_relu(s, in[0], 0.2))
LAYER(vector_layer_norm, mica_nn_vector_layer_norm(s, in[0]))
LAYER(vector_products, mica_nn_vector_products(in[0], in[1]))

static mica_tensor *keypoints; /* of the calibration: what the file has as input 1 */
static mica_value layer_calibration(mica_scope *s, const mica_value *in) {
  /* The keypoints have no gradient, which the file knows nothing of: they are an input all the same. */
  return mica_add(mica_nn_calibration(s, in[0], keypoints, 0, 1, false),
                  mica_mul(mica_reduce_sum(in[1], MICA_ALL), 0));
}
static mica_value layer_calibration_monotonic(mica_scope *s, const mica_value *in) {
  return mica_add(mica_nn_calibration(s, in[0], keypoints, 0, 1, true),
                  mica_mul(mica_reduce_sum(in[1], MICA_ALL), 0));
}

#define CASE(name, inputs) \
  { #name, layer_##name, inputs, false, NULL, 0 }
#define TRAIN(name, inputs) \
  { #name, layer_##name, inputs, true, NULL, 0 }

TEST(networks) {
  static const nn_golden_case cases[] = {
      {"fnn", layer_fnn, 1, false, "fnn_units=5,fnn_layers=2", 0},
      CASE(ensemble, 1),
      CASE(experts, 1),
      CASE(experts_full, 1),
      CASE(experts_switch, 1),
      {"fnn_norm", layer_fnn_norm, 1, true, "fnn_units=5,fnn_layers=2", 0},
      TRAIN(experts_balance, 1)};
  nn_golden_file("nn_networks.npz", cases, sizeof cases / sizeof cases[0]);
}

TEST(learned) {
  mica_npz *npz = NULL;
  CHECK_OK(mica_npz_load(check_source_path("tests/golden/nn_networks.npz"), &npz, NULL));
  keypoints = npz ? mica_npz_find(npz, "calibration.in1") : NULL;
  static const nn_golden_case cases[] = {CASE(rational_a, 1), CASE(rational_b, 1),
                                         CASE(calibration, 2), CASE(calibration_monotonic, 2)};
  nn_golden_file("nn_networks.npz", cases, sizeof cases / sizeof cases[0]);
  mica_npz_destroy(npz);
}

TEST(splines) {
  static const nn_golden_case cases[] = {CASE(bsplines, 1),   CASE(kan, 1),
                                         CASE(kan_linear, 1), CASE(kan_discrete, 1),
                                         TRAIN(kan_soft, 1),  CASE(kan_rational, 1)};
  nn_golden_file("nn_networks.npz", cases, sizeof cases / sizeof cases[0]);
}

TEST(vectors) {
  static const nn_golden_case cases[] = {CASE(vector_dense, 1), CASE(vector_relu, 1),
                                         CASE(vector_layer_norm, 1), CASE(vector_products, 2)};
  nn_golden_file("nn_networks.npz", cases, sizeof cases / sizeof cases[0]);
}

/* ---- what rational functions start as ---------------------------------------------------------------------- */

static const mica_nn_activation likes[] = {MICA_NN_IDENTITY, MICA_NN_RELU, MICA_NN_LEAKY_RELU,
                                           MICA_NN_SIGMOID,  MICA_NN_TANH, MICA_NN_SILU,
                                           MICA_NN_GELU};

static void build_fits(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_scope *scope = mica_scope_open(user, graph, false);
  for (int i = 0; i < 7; i++)
    for (int version = 0; version < 2; version++) {
      mica_scope *s = mica_scope_in_index(mica_scope_shared(scope, version ? "a" : "b"), "like", i);
      mica_value y = mica_nn_rational(s, in[0], .like = likes[i], .version_a = version == 1);
      mica_value wanted = mica_nn_activate(in[0], likes[i]);
      out[2 * i + version] = mica_reduce_max(mica_abs(mica_sub(y, wanted)), MICA_ALL);
    }
  mica_scope_close(scope);
}

TEST(fits) {
  mica_device *device = mica_device_open(NULL, NULL);
  mica_store *store = mica_store_create(device, 1);
  double x[61];
  for (int i = 0; i < 61; i++) x[i] = -3 + i * 0.1;
  mica_tensor *in = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(61, 1), x), *out[14] = {NULL};
  mica_error error = {0};
  CHECK_OK_ERROR(mica_call_once(device, build_fits, store, &in, 1, out, 14, &error), &error);
  for (int i = 0; i < 14; i++) {
    double most = 1;
    if (out[i]) mica_tensor_read_doubles(out[i], &most, 1, NULL);
    double allowed = i / 2 == 1 ? 0.035 : i / 2 == 2 ? 0.025 : 0.003;
    if (!(most <= allowed))
      CHECK_FAIL("%s: off by %g", mica_nn_activation_name(likes[i / 2]), most);
    mica_tensor_release(out[i]);
  }
  mica_tensor_release(in);
  mica_store_destroy(store);
  mica_device_release(device);
}

/* ---- rotations, and experts' balance -------------------------------------------------------------------------- */

static void build_vectors(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_scope *scope = mica_scope_open(user, graph, false);
  for (int i = 0; i < 2; i++) { /* turned before, turned behind */
    mica_value x = i == 0 ? mica_matmul(in[0], in[1]) : in[0];
    x = mica_nn_vector_dense(mica_scope_shared(scope, "dense"), x, 6);
    x = mica_nn_vector_relu(mica_scope_shared(scope, "relu"), x, 0.1);
    x = mica_nn_vector_layer_norm(mica_scope_shared(scope, "norm"), x);
    out[i] = i == 0 ? x : mica_matmul(x, in[1]);
  }
  mica_scope_close(scope);
}

TEST(rotations) {
  mica_device *device = mica_device_open(NULL, NULL);
  mica_store *store = mica_store_create(device, 1);
  double x[24], c = cos(0.7), s = sin(0.7);
  for (int i = 0; i < 24; i++) x[i] = sin(3.0 * i + 1);
  const double turn[9] = {c, -s, 0, s * c, c * c, -s, s * s, s * c, c}; /* about z, then about x */
  mica_tensor *in[2] = {mica_tensor_from_doubles(MICA_F64, MICA_DIMS(2, 4, 3), x),
                        mica_tensor_from_doubles(MICA_F64, MICA_DIMS(3, 3), turn)};
  mica_tensor *out[2] = {NULL, NULL};
  mica_error error = {0};
  CHECK_OK_ERROR(mica_call_once(device, build_vectors, store, in, 2, out, 2, &error), &error);
  mica_closeness closeness = {0};
  CHECK_OK(mica_tensor_compare(out[0], out[1], 1e-10, 1e-10, &closeness, NULL));
  CHECK(closeness.close);
  for (int i = 0; i < 2; i++) mica_tensor_release(in[i]), mica_tensor_release(out[i]);
  mica_store_destroy(store);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(networks), TEST_CASE(learned), TEST_CASE(splines), TEST_CASE(vectors),
          TEST_CASE(fits), TEST_CASE(rotations))
