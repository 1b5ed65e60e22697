/* SPDX-License-Identifier: Apache-2.0 */
/* test_jacobians.c: Jacobians by both modes and Hessians against derivatives written down by hand. */
#include "unit/graph/ops_testing.h"

#include <math.h>

#include "mica/jit.h"

enum { MOST = 64 };

/* y[i] = x[0]^2 x[1] and sin(x[1]): J = [2 x0 x1, x0^2; 0, cos(x1)]. */
static void build_jacobians(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  mica_value x0 = mica_slice(in[0], "0:1"), x1 = mica_slice(in[0], "1:2");
  mica_value parts[2] = {mica_mul(mica_square(x0), x1), mica_sin(x1)};
  mica_value y = mica_concatenate(parts, 2, 0);
  out[0] = mica_jacobian(y, in[0]);
  out[1] = mica_jacobian_forward(y, in[0]);
  /* loss = y0 + y1: H = [2 x1, 2 x0; 2 x0, -sin(x1)]. */
  out[2] = mica_hessian(mica_reduce_sum(y, MICA_ALL), in[0]);
  /* Of a matrix by a vector and of a scalar by a matrix: the axes of y, then those of x. */
  mica_value outer =
      mica_mul(mica_reshape(in[0], MICA_DIMS(2, 1)), mica_reshape(in[0], MICA_DIMS(1, 2)));
  out[3] = mica_jacobian(outer, in[0]);
  out[4] = mica_jacobian_forward(outer, in[0]);
  out[5] = mica_jacobian(mica_reduce_sum(outer, MICA_ALL), outer);
}

TEST(values) {
  static const double a = 0.75, b = -0.5;
  const double first[] = {2 * a * b, a * a, 0, cos(b)}, second[] = {2 * b, 2 * a, 2 * a, -sin(b)};
  /* d (x_i x_j) / d x_k */
  const double cube[] = {2 * a, 0, b, a, b, a, 0, 2 * b}, ones[] = {1, 1, 1, 1};
  const double *expected[6] = {first, first, second, cube, cube, ones};
  static const char *const types[6] = {"f64[2, 2]",    "f64[2, 2]",    "f64[2, 2]",
                                       "f64[2, 2, 2]", "f64[2, 2, 2]", "f64[2, 2]"};
  mica_device *device = mica_device_open(NULL, NULL);
  mica_tensor *x = mica_tensor_from(MICA_F64, MICA_DIMS(2), (double[]){a, b}), *out[6] = {NULL};
  mica_error error = {0};
  CHECK_OK_ERROR(mica_call_once(device, build_jacobians, NULL, &x, 1, out, 6, &error), &error);
  for (int i = 0; i < 6; i++) {
    char type[64];
    double values[MOST];
    if (!out[i]) continue;
    mica_type_format(mica_tensor_type(out[i]), type, sizeof type);
    CHECK_EQ_STR(type, types[i]);
    int64_t count = mica_shape_count(mica_tensor_type(out[i]).shape);
    CHECK_OK(mica_tensor_read_doubles(out[i], values, count, NULL));
    for (int64_t k = 0; k < count; k++)
      if (fabs(values[k] - expected[i][k]) > 1e-14)
        CHECK_FAIL("result %d, element %lld: %.17g, expected %.17g", i, (long long)k, values[k],
                   expected[i][k]);
    mica_tensor_release(out[i]);
  }
  mica_tensor_release(x);
  mica_device_release(device);
}

/* Nothing by something, and something by nothing: the shapes stay right. */
TEST(empty_arrays) {
  CHECK_TYPE(mica_jacobian(F32(0, 3), F32(2)), "f32[0, 3, 2]");
  CHECK_TYPE(mica_jacobian(F32(2), F32(0, 3)), "f32[2, 0, 3]");
  CHECK_TYPE(mica_jacobian_forward(F32(0, 3), F32(2)), "f32[0, 3, 2]");
  CHECK_TYPE(mica_jacobian_forward(F32(2), F32(0, 3)), "f32[2, 0, 3]");
  CHECK_TYPE(mica_hessian(mica_reduce_sum(F32(2), MICA_ALL), F32(0)), "f32[0, 0]");
}

TEST_MAIN(TEST_CASE(values), TEST_CASE(empty_arrays))
