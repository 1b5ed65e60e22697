/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs: the first 100 losses of a convolutional network and of a transformer against JAX
 * and optax (tests/golden/training.py), in f64 and f32, from the same weights and data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/train/losses.h"
#include "mica/train/trainer.h"

/* ---- numbers by splitmix64 (Steele et al. 2014) --------------------------------------------------------- */

static double formula(uint64_t seed, uint64_t index) {
  uint64_t z = index + (seed << 32) + UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return (double)((z ^ z >> 31) >> 40) / 8388608 - 1;
}

static mica_tensor *numbers(uint64_t seed, mica_dtype dtype, mica_shape shape, double scale,
                            double shift) {
  int64_t count = mica_shape_count(shape);
  double *values = malloc((size_t)count * sizeof *values);
  for (int64_t i = 0; i < count; i++) values[i] = formula(seed, (uint64_t)i) * scale + shift;
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, shape, values);
  free(values);
  return tensor;
}

static mica_tensor *classes(uint64_t seed, int count, mica_shape shape) {
  int64_t size = mica_shape_count(shape);
  int32_t *values = malloc((size_t)size * sizeof *values);
  for (int64_t i = 0; i < size; i++)
    values[i] = (int32_t)floor((formula(seed, (uint64_t)i) + 1) / 2 * count);
  mica_tensor *tensor = mica_tensor_from(MICA_I32, shape, values);
  free(values);
  return tensor;
}

/* The weight of that number, as the script makes it. */
static void put_weight(mica_store *store, const char *path, uint64_t seed, mica_dtype dtype,
                       mica_shape shape, double shift) {
  double fan = 1;
  for (int32_t i = 0; i < shape.rank - 1; i++) fan *= (double)shape.dim[i];
  mica_tensor *tensor = numbers(seed, dtype, shape, shape.rank > 1 ? sqrt(3 / fan) : 0.01, shift);
  mica_error error = {0};
  CHECK_OK_ERROR(mica_store_put(store, path, tensor, true, &error), &error);
  mica_tensor_release(tensor);
}

/* ---- the models ------------------------------------------------------------------------------------------ */

static mica_value cnn(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value x = mica_relu(mica_nn_conv(mica_scope_in(scope, "conv1"), in[0], .channels = 8));
  x = mica_max_pool(x, .window = {2, 2});
  x = mica_max_pool(mica_relu(mica_nn_conv(mica_scope_in(scope, "conv2"), x, .channels = 16)),
                    .window = {2, 2});
  x = mica_relu(mica_nn_dense(mica_scope_in(scope, "hidden"), mica_flatten(x, 1), .units = 32));
  return mica_nn_dense(mica_scope_in(scope, "logits"), x, .units = 10);
}

static mica_value cross_entropy(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0]);
}

static mica_value transformer(mica_scope *scope, const mica_value *in, void *user) {
  mica_value x = mica_nn_embedding(mica_scope_in(scope, "tokens"), in[0], .count = 11, .units = 16,
                                   .dtype = *(const mica_dtype *)user);
  x = mica_nn_learned_positions(mica_scope_in(scope, "at"), x, 12, (mica_value){0});
  for (int i = 0; i < 2; i++)
    x = mica_nn_transformer_block(mica_scope_in_index(scope, "block", i), x,
                                  .attention = {.heads = 2, .causal = true}, .recompute = i == 1);
  x = mica_nn_layer_norm(mica_scope_in(scope, "norm"), x);
  return mica_nn_dense(mica_scope_in(scope, "logits"), x, .units = 11);
}

static void put_cnn(mica_store *store, mica_dtype dtype) {
  put_weight(store, "conv1/kernel", 0, dtype, MICA_DIMS(3, 3, 1, 8), 0);
  put_weight(store, "conv1/bias", 1, dtype, MICA_DIMS(8), 0);
  put_weight(store, "conv2/kernel", 2, dtype, MICA_DIMS(3, 3, 8, 16), 0);
  put_weight(store, "conv2/bias", 3, dtype, MICA_DIMS(16), 0);
  put_weight(store, "hidden/kernel", 4, dtype, MICA_DIMS(144, 32), 0);
  put_weight(store, "hidden/bias", 5, dtype, MICA_DIMS(32), 0);
  put_weight(store, "logits/kernel", 6, dtype, MICA_DIMS(32, 10), 0);
  put_weight(store, "logits/bias", 7, dtype, MICA_DIMS(10), 0);
}

static void put_transformer(mica_store *store, mica_dtype dtype) {
  static const char *const parts[16] = {"norm1/scale",     "norm1/bias",
                                        "attention/query", "attention/query_bias",
                                        "attention/key",   "attention/key_bias",
                                        "attention/value", "attention/value_bias",
                                        "attention/out",   "attention/out_bias",
                                        "norm2/scale",     "norm2/bias",
                                        "up/kernel",       "up/bias",
                                        "down/kernel",     "down/bias"};
  put_weight(store, "tokens/table", 100, dtype, MICA_DIMS(11, 16), 0);
  put_weight(store, "at/positions", 101, dtype, MICA_DIMS(12, 16), 0);
  for (int b = 0; b < 2; b++)
    for (int i = 0; i < 16; i++) {
      char path[64] = "block0/";
      path[5] = (char)('0' + b);
      strcat(path, parts[i]);
      bool scale = i == 0 || i == 10, vector = scale || i % 2 == 1;
      mica_shape shape = i == 12   ? MICA_DIMS(16, 64)
                         : i == 13 ? MICA_DIMS(64)
                         : i == 14 ? MICA_DIMS(64, 16)
                         : vector  ? MICA_DIMS(16)
                                   : MICA_DIMS(16, 16);
      put_weight(store, path, (uint64_t)(102 + 16 * b + i), dtype, shape, scale ? 1 : 0);
    }
  put_weight(store, "norm/scale", 134, dtype, MICA_DIMS(16), 1);
  put_weight(store, "norm/bias", 135, dtype, MICA_DIMS(16), 0);
  put_weight(store, "logits/kernel", 136, dtype, MICA_DIMS(16, 11), 0);
  put_weight(store, "logits/bias", 137, dtype, MICA_DIMS(11), 0);
}

static void batch_of(bool network, int step, mica_dtype dtype, mica_tensor *batch[2]) {
  if (network) {
    batch[0] = numbers((uint64_t)(1000 + step), dtype, MICA_DIMS(16, 14, 14, 1), 1, 0);
    batch[1] = classes((uint64_t)(2000 + step), 10, MICA_DIMS(16));
    return;
  }
  mica_tensor *tokens = classes((uint64_t)(3000 + step), 11, MICA_DIMS(4, 13));
  const int32_t *all = mica_tensor_data(tokens);
  int32_t parts[2][48];
  for (int i = 0; i < 48; i++)
    for (int k = 0; k < 2; k++) parts[k][i] = all[i / 12 * 13 + i % 12 + k];
  for (int k = 0; k < 2; k++) batch[k] = mica_tensor_from(MICA_I32, MICA_DIMS(4, 12), parts[k]);
  mica_tensor_release(tokens);
}

static void check_run(bool network, mica_dtype dtype, int steps, double tolerance) {
  mica_error error = {0};
  mica_npz *golden = NULL;
  CHECK_OK_ERROR(mica_npz_load(check_source_path("tests/golden/training.npz"), &golden, &error),
                 &error);
  mica_tensor *losses = golden ? mica_npz_find(golden, network ? "cnn" : "transformer") : NULL;
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  mica_device *device = mica_device_open(&options, &error);
  mica_store *store = mica_store_create(device, 1);
  if (network)
    put_cnn(store, dtype);
  else
    put_transformer(store, dtype);
  size_t variables = mica_store_count(store);
  mica_optimizer adam =
      network ? mica_optimizer_adam(.beta1 = 0.9) : mica_optimizer_adamw(.weight_decay = 0.1);
  mica_trainer *trainer = mica_trainer_create(
      store, network ? cnn : transformer, cross_entropy, .user = &dtype, .optimizer = adam,
      .learning_rate = network ? 1e-3 : 3e-3, .clip_norm = network ? 0 : 1);
  const double *wanted = losses ? mica_tensor_data(losses) : NULL;
  for (int step = 0; step < steps && wanted; step++) {
    mica_tensor *batch[2];
    batch_of(network, step, dtype, batch);
    mica_status status = mica_trainer_step(trainer, batch, 2, &error);
    mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
    if (!CHECK_OK_ERROR(status, &error)) break;
    double loss = mica_trainer_last(trainer).loss;
    if (!(fabs(loss - wanted[step]) <= tolerance * fabs(wanted[step]))) {
      CHECK_FAIL("%s in %s, step %d: loss %.12g, expected %.12g", network ? "cnn" : "transformer",
                 mica_dtype_name(dtype), step, loss, wanted[step]);
      break;
    }
  }
  CHECK_EQ_INT(mica_store_count(store), variables); /* all were found by their paths */
  mica_trainer_destroy(trainer);
  mica_store_destroy(store);
  mica_device_release(device);
  mica_npz_destroy(golden);
}

TEST(cnn) {
  check_run(true, MICA_F64, 100, 1e-7);
  check_run(true, MICA_F32, 20, 1e-4);
}
TEST(transformer) {
  check_run(false, MICA_F64, 100, 1e-7);
  check_run(false, MICA_F32, 20, 1e-4);
}

#if defined(__SANITIZE_THREAD__)
/* A step holds a lock for each of its variables; ThreadSanitizer's search for deadlocks ends the process at 64. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "detect_deadlocks=0"; }
#endif

TEST_MAIN(TEST_CASE(cnn), TEST_CASE(transformer))
