/* SPDX-License-Identifier: Apache-2.0 */
/* A hundred steps of a small convolutional network on XLA's CPU plugin and on cpu: the losses of both are
 * those of the same program. In f64 they agree to 1e-7 all the way; in f32 rounding grows from step to
 * step, and the first 20 agree to 1e-4. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"

enum { STEPS = 100, IMAGES = 16, SIDE = 8, CLASSES = 4, PARAMETERS = 4 };

typedef struct {
  mica_dtype dtype;
  mica_variable *weight[PARAMETERS], *speed[PARAMETERS];
} network;

static const mica_shape shapes[PARAMETERS] = {{.rank = 4, .dim = {3, 3, 1, 6}},
                                              {.rank = 1, .dim = {6}},
                                              {.rank = 2, .dim = {4 * 4 * 6, CLASSES}},
                                              {.rank = 1, .dim = {CLASSES}}};

/* A convolution, pooling, a dense layer with dropout, cross-entropy; momentum. in: images, labels, step. */
static void train(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  network *net = user;
  mica_value p[PARAMETERS], gradient[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++) p[i] = mica_variable_read(graph, net->weight[i]);
  mica_value x = mica_relu(mica_add(mica_conv(in[0], p[0]), p[1]));
  x = mica_flatten(mica_max_pool(x, .window = {2, 2}), 1);
  mica_value key = mica_random_fold(mica_random_key(graph, 5), in[2]);
  mica_value kept = mica_random_bernoulli(key, 0.8, mica_shape_of(x));
  x = mica_select(kept, mica_div(x, 0.8), mica_zeros_like(x));
  x = mica_add(mica_matmul(x, p[2]), p[3]);
  out[0] = mica_reduce_mean(mica_softmax_cross_entropy(x, in[1]), MICA_ALL);
  mica_gradients(out[0], p, PARAMETERS, gradient);
  for (int i = 0; i < PARAMETERS; i++) {
    mica_value speed = mica_variable_read(graph, net->speed[i]);
    speed = mica_add(mica_mul(speed, 0.9), gradient[i]);
    mica_variable_assign(net->speed[i], speed);
    mica_variable_assign(net->weight[i], mica_sub(p[i], mica_mul(speed, 0.05)));
  }
}

static double noise(uint64_t *state) { /* in [-1, 1) */
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * (2.0 / 9007199254740992.0) - 1;
}

static mica_tensor *drawn(mica_dtype dtype, mica_shape shape, double scale, uint64_t seed) {
  static double values[4096];
  for (int64_t i = 0; i < mica_shape_count(shape); i++) values[i] = scale * noise(&seed);
  return mica_tensor_from_doubles(dtype, shape, values);
}

static bool losses_of(const char *backend, mica_dtype dtype, double losses[STEPS]) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = backend},
      &error);
  if (!device && strstr(error.message, "no plugin in")) {
    CHECK_SKIP(error.message);
    return false;
  }
  network net = {.dtype = dtype};
  for (int i = 0; i < PARAMETERS; i++) {
    mica_tensor *weight = drawn(dtype, shapes[i], i % 2 == 0 ? 0.3 : 0, (uint64_t)i + 1);
    mica_tensor *speed = drawn(dtype, shapes[i], 0, 1);
    net.weight[i] = mica_variable_create("weight", weight);
    net.speed[i] = mica_variable_create("speed", speed);
    mica_tensor_release(weight), mica_tensor_release(speed);
  }
  mica_jit *jit = mica_jit_create(device, train, .user = &net, .inputs = 3, .outputs = 1);
  bool fine = true;
  for (int step = 0; step < STEPS && fine; step++) {
    int32_t labels[IMAGES];
    for (int i = 0; i < IMAGES; i++) labels[i] = (i * 7 + step) % CLASSES;
    mica_tensor *in[3] = {
        drawn(dtype, (mica_shape){.rank = 4, .dim = {IMAGES, SIDE, SIDE, 1}}, 1,
              (uint64_t)step % 8 + 100),
        mica_tensor_from(MICA_I32, (mica_shape){.rank = 1, .dim = {IMAGES}}, labels),
        mica_tensor_from(MICA_I32, MICA_SCALAR, &step)};
    mica_tensor *out = NULL;
    fine = CHECK_EQ_INT(mica_jit_call(jit, in, 3, &out, 1, &error), MICA_OK);
    if (fine) mica_tensor_read_doubles(out, &losses[step], 1, NULL);
    for (int i = 0; i < 3; i++) mica_tensor_release(in[i]);
    mica_tensor_release(out);
  }
  if (!fine) CHECK_EQ_STR(error.message, "");
  for (int i = 0; i < PARAMETERS; i++)
    mica_variable_release(net.weight[i]), mica_variable_release(net.speed[i]);
  mica_jit_destroy(jit);
  mica_device_release(device);
  return fine;
}

static void compare(mica_dtype dtype, int steps, double tolerance) {
  static double xla[STEPS], cpu[STEPS];
  if (!losses_of("xla:cpu", dtype, xla) || !losses_of("cpu", dtype, cpu)) return;
  double worst = 0;
  for (int i = 0; i < steps; i++) {
    worst = fmax(worst, fabs(xla[i] - cpu[i]) / fabs(cpu[i]));
    CHECK_NEAR_RELATIVE(xla[i], cpu[i], tolerance);
  }
  CHECK(cpu[STEPS - 1] < cpu[0]); /* it learns something */
  printf("%s: %d losses differ by %.1e at most\n", mica_dtype_name(dtype), steps, worst);
}

TEST(f64_losses_are_those_of_cpu) { compare(MICA_F64, STEPS, 1e-7); }
TEST(f32_losses_are_those_of_cpu) { compare(MICA_F32, 20, 1e-4); }

TEST_MAIN(TEST_CASE(f64_losses_are_those_of_cpu), TEST_CASE(f32_losses_are_those_of_cpu))
