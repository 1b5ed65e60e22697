/* SPDX-License-Identifier: Apache-2.0 */
/* train_testing.h: cases against golden files as in unit/backend/golden.h, and gradients against differences. */
#ifndef TRAIN_TESTING_H
#define TRAIN_TESTING_H
#include <math.h>

#include "unit/backend/golden.h"

typedef struct {
  const golden_case *c;
  size_t value, input; /* the output that is a scalar, and the input that is varied */
} difference_case;

/* The scalar output, and its gradient by the input, of a case's build function. */
static void build_with_gradient(mica_graph *g, const mica_value *in, mica_value *out, void *user) {
  const difference_case *d = user;
  mica_value all[GOLDEN_MOST] = {{0}};
  d->c->build(g, in, all, NULL);
  out[0] = all[d->value];
  mica_gradients(out[0], &in[d->input], 1, &out[1]);
}

/* Central differences of an f64 input against the gradient: their error is about 1e-9 of the scale of the values. */
static inline void check_differences(const mica_npz *npz, mica_device *device, const golden_case *c,
                                     size_t value, size_t input) {
  enum { MOST = 512 };
  static double x[MOST], gradient[MOST];
  difference_case d = {c, value, input};
  mica_tensor *in[GOLDEN_MOST] = {NULL}, *out[2] = {NULL};
  mica_error error = {0};
  for (size_t i = 0; i < c->in_count; i++)
    if (!(in[i] = golden_array(npz, c->name, "in", i))) return;
  mica_type type = mica_tensor_type(in[input]);
  int64_t count = mica_shape_count(type.shape);
  mica_jit *jit = mica_jit_create(.device = device, .build = build_with_gradient,
                                  .inputs = c->in_count, .outputs = 2, .user = &d);
  if (type.dtype != MICA_F64 || count > MOST)
    CHECK_FAIL("%s: no input to differentiate", c->name);
  else if (mica_tensor_read_doubles(in[input], x, count, &error) ||
           mica_jit_call(jit, in, c->in_count, out, 2, &error) ||
           mica_tensor_read_doubles(out[1], gradient, count, &error))
    CHECK_FAIL("%s: %s", c->name, error.message);
  else
    for (int64_t i = 0; i < count; i++) {
      double kept = x[i], h = 1e-6 * fmax(1, fabs(kept)), at[2];
      for (int side = 0; side < 2; side++) {
        x[i] = side ? kept + h : kept - h;
        mica_tensor *moved = mica_tensor_from(MICA_F64, type.shape, x), *original = in[input];
        in[input] = moved;
        if (mica_jit_call(jit, in, c->in_count, out, 2, &error) ||
            mica_tensor_read_doubles(out[0], &at[side], 1, &error))
          CHECK_FAIL("%s: %s", c->name, error.message);
        in[input] = original;
        mica_tensor_release(moved);
      }
      x[i] = kept;
      double slope = (at[1] - at[0]) / (2 * h);
      if (!(fabs(slope - gradient[i]) <= 2e-7 * fmax(1, fabs(gradient[i]))))
        CHECK_FAIL("%s: the gradient at %d is %.10g, differences say %.10g", c->name, (int)i,
                   gradient[i], slope);
    }
  mica_jit_destroy(jit);
  for (size_t i = 0; i < GOLDEN_MOST; i++) mica_tensor_release(in[i]);
  mica_tensor_release(out[0]), mica_tensor_release(out[1]);
}

/* Runs a build function on tensors (released here); all numbers of output i in out[i], at most 64 each. */
static inline bool run_numbers(mica_build *build, void *user, mica_tensor **in, size_t in_count,
                               double (*out)[64], size_t out_count) {
  mica_error error = {0};
  mica_device_options options = {.struct_size = sizeof options, .backend = "cpu", .threads = 1};
  mica_device *device = mica_device_open(&options, &error);
  mica_tensor *results[16] = {NULL};
  bool done = !mica_call_once(device, build, user, in, in_count, results, out_count, &error);
  for (size_t i = 0; done && i < out_count; i++) {
    int64_t count = mica_shape_count(mica_tensor_type(results[i]).shape);
    done = count <= 64 && !mica_tensor_read_doubles(results[i], out[i], count, &error);
  }
  if (!done) CHECK_FAIL("%s", error.message);
  for (size_t i = 0; i < out_count; i++) mica_tensor_release(results[i]);
  for (size_t i = 0; i < in_count; i++) mica_tensor_release(in[i]);
  mica_device_release(device);
  return done;
}
#define NUMBERS(DTYPE, shape, ...) \
  mica_tensor_from_doubles(MICA_##DTYPE, (shape), (const double[]){__VA_ARGS__})

static inline mica_device *testing_device(const char *backend) {
  mica_error error = {0};
  mica_device_options options = {.struct_size = sizeof options, .backend = backend, .threads = 1};
  mica_device *device = mica_device_open(&options, &error);
  if (!device) CHECK_FAIL("%s", error.message);
  return device;
}
#endif
