/* SPDX-License-Identifier: Apache-2.0 */
/* Fourier transforms on every row of instructions: as accurate as pocketfft within a factor of two (values
 * in long double and pocketfft's errors are in tests/golden/fft.npz), in every place a line can have in an
 * array, with the same bits for any number of threads, and the plain transform and roots beside them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "check.h"
#include "core/fourier.h"
#include "core/memory.h"
#include "mica/mica.h"

/* splitmix64, as in fft.py */
static double number_of(uint64_t index, uint64_t seed) {
  uint64_t z = index + (seed << 32) + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return (double)((z ^ (z >> 31)) >> 40) / 8388608.0 - 1;
}

static mica_device *row_device_of(const char *row, int32_t threads) {
  mica_error error = {0};
  setenv("MICA_CPU_ISA", row, 1);
  mica_device *device =
      mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                              .backend = "cpu",
                                              .threads = check_threads(threads)},
                       &error);
  unsetenv("MICA_CPU_ISA");
  if (!device) CHECK_FAIL("row %s: %s", row, error.message);
  return device;
}

/* Where the tested line stands: in [rows, n] as row 0, or in [n, rows] as column 0. */
typedef struct {
  int64_t rows;
  bool column;
} line_place;

/* fft (or its inverse of the conjugate) of the line of length n; NULL on failure. */
static mica_tensor *transform_line(mica_device *device, bool twice, int64_t n, line_place place) {
  mica_error error = {0};
  mica_dtype dtype = twice ? MICA_C128 : MICA_C64;
  mica_shape shape = place.column ? MICA_DIMS(n, place.rows) : MICA_DIMS(place.rows, n);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){dtype, shape});
  mica_value y = mica_fft(x, .axes = place.column ? MICA_AXES(0) : MICA_AXES(1));
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  size_t count = (size_t)(n * place.rows) * 2;
  void *values = calloc(count, sizeof(double));
  for (int64_t j = 0; j < n; j++)
    for (int64_t r = 0; r < place.rows; r++) {
      size_t at = (size_t)(place.column ? j * place.rows + r : r * n + j) * 2;
      for (size_t part = 0; part < 2; part++) {
        double number = number_of((uint64_t)j * 2 + part, (uint64_t)(n + r));
        if (twice)
          ((double *)values)[at + part] = number;
        else
          ((float *)values)[at + part] = (float)number;
      }
    }
  mica_tensor *in = mica_tensor_from(dtype, shape, values), *out = NULL;
  if (CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error))
    CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
  mica_tensor_release(in);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  free(values);
  return out;
}

static double element_part(const mica_tensor *tensor, int64_t at) {
  const void *data = mica_tensor_data(tensor);
  return mica_tensor_type(tensor).dtype == MICA_C128 ? ((const double *)data)[at]
                                                     : (double)((const float *)data)[at];
}

static void check_line(const mica_npz *golden, int64_t index, mica_device *device, bool twice,
                       line_place place, const char *row) {
  int64_t n = ((const int64_t *)mica_tensor_data(mica_npz_find(golden, "lengths")))[index];
  int64_t places = mica_tensor_type(mica_npz_find(golden, "high")).shape.dim[1];
  const double *high = mica_tensor_data(mica_npz_find(golden, "high")),
               *low = mica_tensor_data(mica_npz_find(golden, "low")),
               *errors = mica_tensor_data(mica_npz_find(golden, "errors"));
  mica_tensor *out = transform_line(device, twice, n, place);
  double error = 0, size = 0;
  for (int64_t i = 0; out && i < places * 2; i++) {
    int64_t k = (i / 2 * 7919 + 1) % n, at = (index * places + i / 2) * 2 + i % 2;
    double got = element_part(out, k * (place.column ? place.rows : 1) * 2 + i % 2);
    double difference = got - high[at] - low[at];
    error += difference * difference;
    size += high[at] * high[at];
  }
  error = sqrt(error / size);
  double limit = 2 * errors[2 * index + twice] + (twice ? 0x1p-54 : 0x1p-25);
  if (!(error <= limit))
    CHECK_FAIL("%s, %s, n = %lld in %lld %s: error %.3g, at most %.3g", row, twice ? "f64" : "f32",
               (long long)n, (long long)place.rows, place.column ? "columns" : "rows", error,
               limit);
  mica_tensor_release(out);
}

TEST(as_accurate_as_pocketfft) {
  mica_npz *golden = NULL;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_npz_load(check_source_path("tests/golden/fft.npz"), &golden, &error),
                      &error))
    return;
  const mica_tensor *lengths = mica_npz_find(golden, "lengths");
  int64_t count = mica_shape_count(mica_tensor_type(lengths).shape);
  const int64_t *length = mica_tensor_data(lengths);
  const mica_cpu_kernels *kernels;
  static const line_place many[] = {{1, false}, {5, false}, {37, false},
                                    {1, true},  {3, true},  {21, true}};
  for (int32_t row = 0; (kernels = mica_cpu_kernels_at(row)) != NULL; row++) {
    mica_device *device = row_device_of(kernels->name, 2);
    for (int64_t i = 0; device && i < count; i++) {
      size_t places = length[i] <= 4096 ? 6 : length[i] <= 40000 ? 2 : 1;
      for (size_t p = 0; p < places; p++)
        for (int twice = 0; twice < 2; twice++)
          check_line(golden, i, device, twice, many[p], kernels->name);
    }
    mica_device_release(device);
  }
  mica_npz_destroy(golden);
}

TEST(bits_do_not_depend_on_threads) {
  static const struct {
    int64_t n;
    line_place place;
  } lines[] = {{1000, {100, false}}, {65536, {1, false}}, {10007, {3, false}}, {96, {300, true}}};
  mica_device *devices[3] = {row_device_of("", 1), NULL, NULL};
  devices[1] = row_device_of("", 2), devices[2] = row_device_of("", 4);
  for (size_t i = 0; i < sizeof lines / sizeof lines[0] && devices[2]; i++) {
    mica_tensor *first = transform_line(devices[0], false, lines[i].n, lines[i].place);
    for (int d = 1; d < 3; d++) {
      mica_tensor *other = transform_line(devices[d], false, lines[i].n, lines[i].place);
      CHECK(mica_tensor_equal(first, other));
      mica_tensor_release(other);
    }
    mica_tensor_release(first);
  }
  for (int d = 0; d < 3; d++) mica_device_release(devices[d]);
}

/* irfft(rfft(x)) is x for every small length and for rows of every method. */
TEST(real_transforms_return) {
  mica_device *device = row_device_of("", 2);
  mica_error error = {0};
  for (int64_t n = 1; n < 70000 && device; n = n < 40 ? n + 1 : n * 2 + (n % 3 != 0)) {
    for (int64_t rows = 1; rows < 40; rows += 17) {
      mica_shape shape = MICA_DIMS(rows, n);
      mica_graph *graph = mica_graph_create(NULL);
      mica_value x = mica_parameter(graph, (mica_type){MICA_F64, shape});
      mica_value y = mica_irfft(mica_rfft(x), .length = {n});
      y = mica_reduce_max(mica_abs(mica_sub(y, x)), MICA_ALL);
      mica_graph_set_outputs(graph, &y, 1);
      mica_executable *executable = NULL;
      double *values = malloc((size_t)(rows * n) * sizeof *values), worst = 1;
      for (int64_t i = 0; i < rows * n; i++) values[i] = number_of((uint64_t)i, (uint64_t)n);
      mica_tensor *in = mica_tensor_from_doubles(MICA_F64, shape, values), *out = NULL;
      if (CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error) &&
          CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error))
        mica_tensor_read_doubles(out, &worst, 1, NULL);
      if (!(worst < 4e-15))
        CHECK_FAIL("irfft(rfft(x)) of %lld rows of %lld differs by %g", (long long)rows,
                   (long long)n, worst);
      free(values);
      mica_tensor_release(in), mica_tensor_release(out);
      mica_executable_release(executable), mica_graph_destroy(graph);
    }
  }
  mica_device_release(device);
}

/* Roots by their symmetries and by a known value; the plain transform against its definition. */
TEST(roots_and_plain_transform) {
  double c, s, d, t;
  mica_unit_root(1, 12, &c, &s);
  CHECK_NEAR(c, 0.86602540378443864676, 1.2e-16);
  CHECK_NEAR(s, 0.5, 1e-16);
  for (int64_t n = 1; n < 100; n++) {
    for (int64_t k = -n; k <= 2 * n; k++) {
      mica_unit_root(k, n, &c, &s);
      mica_unit_root(-k, n, &d, &t);
      CHECK(fabs(c - d) < 1.2e-16 && fabs(s + t) < 1.2e-16 && fabs(c * c + s * s - 1) < 4e-16);
    }
  }
  static const int64_t lengths[] = {1, 2, 6, 49, 67, 134, 1003};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    int64_t n = lengths[i];
    size_t doubles = 0;
    CHECK(mica_fourier_scratch(n, &doubles));
    double *scratch = malloc(doubles * sizeof *scratch), *x = malloc((size_t)n * 4 * sizeof *x);
    double *y = x + 2 * n;
    for (int64_t j = 0; j < 2 * n; j++) x[j] = number_of((uint64_t)j, 5);
    mica_fourier_prepare(n, scratch);
    for (int inverse = 0; inverse < 2; inverse++) {
      mica_fourier(n, inverse, x, y, scratch);
      for (int64_t k = 0; k < n; k += n / 5 + 1) {
        double re = 0, im = 0;
        for (int64_t j = 0; j < n; j++) {
          mica_unit_root((inverse ? 1 : -1) * (j * k), n, &c, &s);
          re += x[2 * j] * c - x[2 * j + 1] * s;
          im += x[2 * j] * s + x[2 * j + 1] * c;
        }
        CHECK_NEAR(y[2 * k], re, 1e-13 * (double)n);
        CHECK_NEAR(y[2 * k + 1], im, 1e-13 * (double)n);
      }
    }
    free(scratch), free(x);
  }
  size_t none;
  CHECK(!mica_fourier_scratch(0, &none));
}

TEST_MAIN(TEST_CASE(as_accurate_as_pocketfft), TEST_CASE(bits_do_not_depend_on_threads),
          TEST_CASE(real_transforms_return), TEST_CASE(roots_and_plain_transform))
