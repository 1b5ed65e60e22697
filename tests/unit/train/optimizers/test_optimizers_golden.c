/* SPDX-License-Identifier: Apache-2.0 */
/* Optimizers against optax (tests/golden/optimizers.npz, made by tests/golden/optimizers.py): the first 100 losses and
 * the parameters after them within 1e-7 in f64, the first 20 losses within 1e-4 in f32. All of a step (forward,
 * gradients, clipping, update) is one executable. */
#include "mica/train/optimizers.h"
#include "unit/train/train_testing.h"

enum { PARAMETERS = 4, MOST_TENSORS = 3 + PARAMETERS * (1 + MICA_OPTIMIZER_MOST_SLOTS) };

typedef struct {
  const char *name;
  double rate;
  mica_optimizer optimizer;
  double clip;
  bool matrices_only; /* decay the matrices only */
} optimizer_case;

static mica_value network_loss(const mica_value *p, mica_value x, mica_value y) {
  mica_value hidden = mica_tanh(mica_add(mica_matmul(x, p[0]), p[1]));
  mica_value error = mica_sub(mica_matmul(hidden, p[2]), y);
  mica_value far = mica_square(mica_square(mica_sub(p[3], 0.5)));
  return mica_add(mica_reduce_mean(mica_square(error), MICA_ALL),
                  mica_mul(mica_reduce_mean(far, MICA_ALL), 0.1));
}

/* in: x, y, step, parameters, slots; out: loss, parameters, slots. */
static void build_step(mica_graph *g, const mica_value *in, mica_value *out, void *user) {
  const optimizer_case *c = user;
  const mica_value *p = in + 3;
  mica_value gradients[PARAMETERS];
  out[0] = network_loss(p, in[0], in[1]);
  mica_gradients(out[0], p, PARAMETERS, gradients);
  if (c->clip > 0) mica_clip_by_global_norm(gradients, PARAMETERS, c->clip, gradients, NULL);
  mica_optimizer_group groups[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++)
    groups[i] = (mica_optimizer_group){1, i % 2 && c->matrices_only ? 0 : 1, false};
  mica_optimizer_update_with(
      &c->optimizer,
      &(mica_optimizer_update_args){.struct_size = sizeof(mica_optimizer_update_args),
                                    .parameters = p,
                                    .gradients = gradients,
                                    .slots = p + PARAMETERS,
                                    .count = PARAMETERS,
                                    .step = in[2],
                                    .learning_rate = mica_scalar(g, MICA_F64, c->rate),
                                    .groups = groups},
      out + 1, out + 1 + PARAMETERS);
}

static mica_tensor *array_of(const mica_npz *npz, const char *name, mica_dtype dtype) {
  mica_tensor *tensor = mica_npz_find(npz, name);
  mica_type type = mica_tensor_type(tensor);
  double numbers[256];
  int64_t count = mica_shape_count(type.shape);
  if (!tensor || count > 256 || mica_tensor_read_doubles(tensor, numbers, count, NULL)) {
    CHECK_FAIL("no array %s", name);
    return NULL;
  }
  return mica_tensor_from_doubles(dtype, type.shape, numbers);
}

static void check_numbers(const char *name, const char *what, const mica_tensor *got,
                          const mica_npz *npz, const char *key, double tolerance) {
  mica_tensor *wanted = mica_npz_find(npz, key);
  mica_closeness closeness;
  mica_error error = {0};
  if (mica_tensor_compare(got, wanted, tolerance, tolerance * 1e-3, &closeness, &error) ||
      !closeness.close)
    CHECK_FAIL("%s: %s: %.12g against %.12g %s", name, what, closeness.worst_a, closeness.worst_b,
               error.message);
}

static void check_optimizer(const mica_npz *npz, mica_device *device, optimizer_case *c,
                            mica_dtype dtype, int steps) {
  mica_tensor *in[MOST_TENSORS] = {NULL}, *out[MOST_TENSORS] = {NULL};
  mica_error error = {0};
  char key[64];
  double losses[100];
  size_t slots = 0;
  in[0] = array_of(npz, "x", dtype);
  in[1] = array_of(npz, "y", dtype);
  for (int i = 0; i < PARAMETERS; i++) {
    mica_optimizer_slot slot[MICA_OPTIMIZER_MOST_SLOTS];
    snprintf(key, sizeof key, "parameter%d", i);
    in[3 + i] = array_of(npz, key, dtype);
    size_t count = mica_optimizer_slots(&c->optimizer, mica_tensor_type(in[3 + i]), slot, &error);
    for (size_t k = 0; k < count; k++)
      in[3 + PARAMETERS + slots++] = mica_optimizer_slot_tensor(slot[k], in[3 + i]);
  }
  size_t kept = PARAMETERS + slots;
  mica_jit *jit = mica_jit_create(.device = device, .build = build_step, .inputs = 3 + kept,
                                  .outputs = 1 + kept, .user = c);
  bool well = !error.status;
  for (int step = 0; well && step < steps; step++) {
    mica_tensor_release(in[2]);
    in[2] = mica_tensor_scalar(MICA_I32, step);
    well = !mica_jit_call(jit, in, 3 + kept, out, 1 + kept, &error) &&
           !mica_tensor_read_doubles(out[0], &losses[step], 1, &error);
    for (size_t i = 0; well && i < kept; i++) {
      mica_tensor_release(in[3 + i]);
      in[3 + i] = out[1 + i];
      out[1 + i] = NULL;
    }
  }
  if (well) {
    mica_tensor *all = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(steps), losses);
    bool f64 = dtype == MICA_F64;
    snprintf(key, sizeof key, "%s.losses%s", c->name, f64 ? "" : "_f32");
    check_numbers(c->name, f64 ? "f64 losses" : "f32 losses", all, npz, key, f64 ? 1e-7 : 1e-4);
    mica_tensor_release(all);
    for (int i = 0; f64 && i < PARAMETERS; i++) {
      snprintf(key, sizeof key, "%s.parameter%d", c->name, i);
      check_numbers(c->name, "parameters", in[3 + i], npz, key, 1e-7);
    }
  } else {
    CHECK_FAIL("%s: %s", c->name, error.message);
  }
  mica_jit_destroy(jit);
  for (size_t i = 0; i < MOST_TENSORS; i++) mica_tensor_release(in[i]), mica_tensor_release(out[i]);
}

static void check_all_optimizers(mica_dtype dtype, int steps) {
  optimizer_case cases[] = {
      {"sgd", 0.1, mica_optimizer_sgd(.momentum = 0), 0, false},
      {"sgd_momentum", 0.05, mica_optimizer_sgd(.momentum = 0.9, .weight_decay = 0.05), 0, false},
      {"sgd_nesterov", 0.05, mica_optimizer_sgd(.momentum = 0.8, .nesterov = true), 0, false},
      {"adam", 0.02, mica_optimizer_adam(.beta1 = 0), 0, false},
      {"adam_options", 0.02,
       mica_optimizer_adam(.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .weight_decay = 0.1), 0,
       false},
      {"adamw", 0.02, mica_optimizer_adamw(.weight_decay = 0.05), 0, false},
      {"adamw_mask", 0.02, mica_optimizer_adamw(.weight_decay = 0.2), 0, true},
      {"adamax", 0.02, mica_optimizer_adamax(.beta1 = 0), 0, false},
      {"nadam", 0.02, mica_optimizer_nadam(.beta1 = 0), 0, false},
      {"amsgrad", 0.02, mica_optimizer_amsgrad(.beta1 = 0), 0, false},
      {"rmsprop", 0.01, mica_optimizer_rmsprop(.rho = 0), 0, false},
      {"rmsprop_options", 0.005,
       mica_optimizer_rmsprop(.rho = 0.95, .epsilon = 1e-6, .centered = true, .momentum = 0.7,
                              .nesterov = true),
       0, false},
      {"adagrad", 0.1, mica_optimizer_adagrad(.epsilon = 0), 0, false},
      {"adadelta", 1, mica_optimizer_adadelta(.rho = 0.8), 0, false},
      {"lion", 0.005, mica_optimizer_lion(.weight_decay = 0.1), 0, false},
      {"lamb", 0.02, mica_optimizer_lamb(.weight_decay = 0.05), 0, false},
      {"adafactor", 0.05, mica_optimizer_adafactor(.factor_from = 3), 0, false},
      {"adafactor_options", 0.05,
       mica_optimizer_adafactor(.factor_from = 3, .momentum = 0.9, .weight_decay = 0.001), 0,
       false},
      {"adafactor_plain", 0.05,
       mica_optimizer_adafactor(.factor_from = 3, .clipping_threshold = 0.3,
                                .no_parameter_scale = true),
       0, false},
      {"muon_short", 0.02, mica_optimizer_muon(.iterations = 3), 0, false},
      {"muon", 0.02, mica_optimizer_muon(.weight_decay = 0.1), 0, false},
      {"clipped", 0.2, mica_optimizer_sgd(.momentum = 0), 0.25, false},
  };
  mica_npz *npz = golden_open("optimizers.npz");
  mica_device *device = testing_device("cpu");
  for (size_t i = 0; npz && device && i < sizeof cases / sizeof cases[0]; i++)
    check_optimizer(npz, device, &cases[i], dtype, steps);
  mica_device_release(device);
  mica_npz_destroy(npz);
}

TEST(f64_losses_are_those_of_optax) { check_all_optimizers(MICA_F64, 100); }
TEST(f32_losses_are_those_of_optax) { check_all_optimizers(MICA_F32, 20); }

TEST_MAIN(TEST_CASE(f64_losses_are_those_of_optax), TEST_CASE(f32_losses_are_those_of_optax))
