/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics, norms and products of vectors: types, messages, and derivatives where a root or a NaN
 * would spoil them. */
#include <math.h>

#include "mica/backend.h"
#include "unit/graph/ops_testing.h"

#define NONE ((mica_value){0})

TEST(statistics_types) {
  CHECK_TYPE(mica_any(F32(2, 3), MICA_AXES(1)), "bool[2]");
  CHECK_TYPE(mica_all(BOOL(2, 3), MICA_KEEP(1)), "bool[2, 1]");
  CHECK_TYPE(mica_count_nonzero(F32(2, 3), MICA_ALL), "i32[]");
  CHECK_TYPE(mica_count_nonzero(BOOL((int64_t)1 << 33, 1), MICA_ALL), "i64[]");
  CHECK_TYPE(mica_nonzero(F32(2, 3), 4, -1), "i32[2, 4]");
  CHECK_TYPE(mica_nonzero(SCALAR(F32), 4, -1), "i32[0, 4]");
  CHECK_TYPE(mica_nonzero(F32(0, 2), 4, -1), "i32[2, 4]");
  CHECK_TYPE(mica_variance(input(g, MICA_BF16, MICA_DIMS(2, 3)), MICA_ALL, 0), "bf16[]");
  CHECK_TYPE(mica_std(F32(2, 3), MICA_KEEP(0), 1), "f32[1, 3]");
  CHECK_TYPE(mica_average(F32(2, 3), F32(3), MICA_AXES(0)), "f32[3]");
  CHECK_TYPE(mica_covariance(F32(4, 2, 3), 1), "f32[4, 2, 2]");
  CHECK_TYPE(mica_corrcoef(input(g, MICA_F16, MICA_DIMS(2, 3))), "f16[2, 2]");
  CHECK_TYPE(mica_ptp(I32(2, 3), MICA_AXES(0)), "i32[3]");
  CHECK_TYPE(mica_nanstd(input(g, MICA_F16, MICA_DIMS(2, 3)), MICA_KEEP(1), 0), "f16[2, 1]");
  CHECK_TYPE(mica_norm(F32(2, 3), 2.5, MICA_KEEP(1)), "f32[2, 1]");
  CHECK_TYPE(mica_norm(input(g, MICA_F16, MICA_DIMS(2, 3)), 2, MICA_ALL), "f16[]");
  CHECK_TYPE(mica_outer(F32(2, 3), F32(4)), "f32[6, 4]");
  CHECK_TYPE(mica_kron(F32(1, 3, 1, 2), F32(2, 1, 3)), "f32[1, 6, 1, 6]");
  CHECK_TYPE(mica_cross(F32(2, 1, 3), F32(4, 3), -1), "f32[2, 4, 3]");
  CHECK_TYPE(mica_convolve(F32(5), F32(3), MICA_DEFAULT_PADDING), "f32[7]");
  CHECK_TYPE(mica_convolve(F32(3), F32(5), MICA_SAME), "f32[5]");
  CHECK_TYPE(mica_convolve(F32(3), F32(5), MICA_VALID), "f32[3]");
  CHECK_TYPE(mica_trapezoid(F32(3, 5), F32(3), 1, 0), "f32[5]");
  CHECK_TYPE(mica_trapezoid(F32(1, 5), NONE, 2, 0), "f32[5]");
  CHECK_TYPE(mica_interp(F32(3, 5), F32(4), F32(4)), "f32[3, 5]");
}

TEST(statistics_messages) {
  CHECK_FAILS(mica_any(F32(2), MICA_AXES(1)), "any(f32[2])", "axis 1 does not exist");
  CHECK_FAILS(mica_nonzero(F32(2), -1, 0), "nonzero(f32[2])", "size -1 and filling 0");
  CHECK_FAILS(mica_nonzero(F32(2), 1, INT64_MAX), "places that i32 holds");
  CHECK_FAILS(mica_variance(I32(2), MICA_ALL, 0), "variance(i32[2])", "dtype i32 is not supported");
  CHECK_FAILS(mica_std(F32(2), MICA_AXES(0, 0), 0), "std(f32[2])", "listed twice");
  CHECK_FAILS(mica_average(F32(2), F32(3), MICA_ALL), "average(f32[2], f32[3])");
  CHECK_FAILS(mica_average(F32(2), F32(3, 2), MICA_ALL), "expected them to broadcast to operand 0");
  CHECK_FAILS(mica_average(F32(2), I32(2), MICA_ALL), "average(f32[2], i32[2])", "mica_convert");
  CHECK_FAILS(mica_covariance(F32(2), 0), "covariance(f32[2])", "a rank of at least 2");
  CHECK_FAILS(mica_corrcoef(I32(2, 2)), "corrcoef(i32[2, 2])", "dtype i32");
  CHECK_FAILS(mica_ptp(BOOL(2), MICA_ALL), "ptp(bool[2])", "dtype bool");
  CHECK_FAILS(mica_nansum(I32(2), MICA_ALL), "nansum(i32[2])");
  CHECK_FAILS(mica_nanmax(I32(2), MICA_ALL), "nanmax(i32[2])");
  CHECK_FAILS(mica_nanvariance(F32(2), MICA_AXES(2), 0), "nanvariance(f32[2])");
  CHECK_FAILS(mica_norm(F32(2), NAN, MICA_ALL), "norm(f32[2])", "p is NaN");
  CHECK_FAILS(mica_norm(I32(2), 2, MICA_ALL), "norm(i32[2])", "dtype i32");
  CHECK_FAILS(mica_outer(F32(2), I32(2)), "outer(f32[2], i32[2])", "different dtypes");
  CHECK_FAILS(mica_kron(F32(2), I32(2)), "kron(f32[2], i32[2])", "different dtypes");
  CHECK_FAILS(mica_kron(F32(2, 2, 2, 2, 2), F32(2, 2, 2, 2)), "at most 8 axes larger than 1");
  CHECK_FAILS(mica_kron(BOOL((int64_t)1 << 40), BOOL((int64_t)1 << 40)), "the result is too large");
  CHECK_FAILS(mica_cross(F32(2), F32(2), 0), "cross(f32[2], f32[2])", "size 2: expected 3");
  CHECK_FAILS(mica_cross(F32(3), F32(3), 1), "axis 1 does not exist");
  CHECK_FAILS(mica_convolve(F32(3, 2), F32(3), MICA_SAME), "convolve(f32[3, 2], f32[3])",
              "operand 0: expected [n]");
  CHECK_FAILS(mica_convolve(F32(3), F32(0), MICA_SAME), "operand 1: expected [n], n at least 1");
  CHECK_FAILS(mica_convolve(F32(3), F32(3), MICA_EXPLICIT), "padding 3: expected");
  CHECK_FAILS(mica_trapezoid(F32(3), F32(4), 1, 0), "trapezoid(f32[3], f32[4])",
              "operand 1 is the points: expected [3]");
  CHECK_FAILS(mica_trapezoid(I32(3), NONE, 1, 0), "trapezoid(i32[3])", "dtype i32");
  CHECK_FAILS(mica_interp(F32(3), F32(4), F32(5)), "interp(f32[3], f32[4], f32[5])",
              "operands 1 and 2 are the points");
  CHECK_FAILS(mica_interp(F32(3), F32(0), F32(0)), "n at least 1");
  CHECK_FAILS(mica_interp(I32(3), I32(2), I32(2)), "dtype i32");
}

/* d sum(f(x)) / dx at these numbers. */
static void check_slopes(const char *name, mica_value (*f)(mica_value), int64_t count,
                         const double *at, const double *expected) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = input(g, MICA_F64, MICA_DIMS(count)), slope;
  mica_gradients(mica_reduce_sum(f(x), MICA_ALL), &x, 1, &slope);
  mica_graph_set_outputs(g, &slope, 1);
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "cpu"}, &error);
  mica_executable *executable = NULL;
  mica_tensor *in = mica_tensor_from(MICA_F64, MICA_DIMS(count), at), *out = NULL;
  mica_status status = mica_compile(device, g, 0, &executable, &error);
  if (status == MICA_OK) status = mica_executable_run(executable, &in, 1, &out, 1, &error);
  if (CHECK_OK_ERROR(status, &error)) {
    const double *slopes = mica_tensor_data(out);
    for (int64_t i = 0; i < count; i++)
      if (!CHECK_NEAR(slopes[i], expected[i], 1e-14)) CHECK_FAIL("%s, element %d", name, (int)i);
  }
  mica_tensor_release(in), mica_tensor_release(out);
  mica_executable_release(executable);
  mica_device_release(device);
  mica_graph_destroy(g);
}
static mica_value length_of(mica_value x) { return mica_norm(x, 2, MICA_ALL); }
static mica_value third_norm(mica_value x) { return mica_norm(x, 3, MICA_ALL); }
static mica_value spread_of(mica_value x) { return mica_std(x, MICA_ALL, 0); }
static mica_value known_sum(mica_value x) { return mica_nansum(x, MICA_ALL); }
static mica_value known_mean(mica_value x) { return mica_nanmean(x, MICA_ALL); }
static mica_value known_spread(mica_value x) { return mica_nanstd(x, MICA_ALL, 0); }
static mica_value known_most(mica_value x) { return mica_nanmax(x, MICA_ALL); }

TEST(slopes_at_zero_and_beside_nan) {
#define SLOPES(f, count, at, ...) check_slopes(#f, f, count, (double[])at, (double[]){__VA_ARGS__})
#define AT(...)                   {__VA_ARGS__}
  SLOPES(length_of, 3, AT(0, 0, 0), 0, 0, 0);
  SLOPES(length_of, 2, AT(3, -4), 0.6, -0.8);
  SLOPES(third_norm, 2, AT(0, 0), 0, 0);
  SLOPES(third_norm, 2, AT(0, -2), 0, -1);
  SLOPES(spread_of, 3, AT(7, 7, 7), 0, 0, 0);
  SLOPES(known_sum, 3, AT(1, NAN, 3), 1, 0, 1);
  SLOPES(known_mean, 3, AT(1, NAN, 3), 0.5, 0, 0.5);
  SLOPES(known_spread, 3, AT(1, NAN, 3), -0.5, 0, 0.5);
  SLOPES(known_spread, 3, AT(NAN, NAN, 3), 0, 0, 0);
  SLOPES(known_most, 3, AT(1, NAN, 3), 0, 0, 1);
#undef AT
#undef SLOPES
}

TEST_MAIN(TEST_CASE(statistics_types), TEST_CASE(statistics_messages),
          TEST_CASE(slopes_at_zero_and_beside_nan))
