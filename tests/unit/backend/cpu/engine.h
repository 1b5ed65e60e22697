/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h: one graph on the reference backend and on the native engine with 1 to 4 threads. */
#ifndef ENGINE_TEST_H
#define ENGINE_TEST_H
#include "backend/device.h"
#include "check.h"
#include "mica/mica.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const mica_backend mica_backend_cpu, mica_backend_reference;

enum { ENGINE_VALUES = 16, ENGINE_THREADS = 4 };

typedef struct {
  mica_type in[ENGINE_VALUES];
  size_t in_count, out_count;
  double low, high; /* of floats; both 0: -2 .. 2 */
  int64_t integers; /* integers are 0 .. integers - 1; 0: -5 .. 5 */
  double
      tolerance; /* 0: 2e-5, relative to the largest magnitude of an output, see engine_compare */
  uint64_t donate;
} engine_case;

typedef void engine_build(mica_graph *graph, const mica_value *in, mica_value *out);

static uint64_t engine_random_state = 88172645463325252u;
static inline double engine_uniform(void) { /* xorshift64 (Marsaglia 2003) */
  engine_random_state ^= engine_random_state << 13;
  engine_random_state ^= engine_random_state >> 7;
  engine_random_state ^= engine_random_state << 17;
  return (double)(engine_random_state >> 11) * 0x1p-53;
}

static inline mica_tensor *engine_tensor(mica_type type, const engine_case *test) {
  int64_t count = mica_shape_count(type.shape);
  double *values = malloc((size_t)(count + 1) * sizeof(*values));
  double low = test->low == test->high ? -2 : test->low,
         high = test->low == test->high ? 2 : test->high;
  for (int64_t i = 0; i < count; i++) {
    double u = engine_uniform();
    if (mica_dtype_is_float(type.dtype) || mica_dtype_is_complex(type.dtype))
      values[i] = low + u * (high - low);
    else if (type.dtype == MICA_BOOL)
      values[i] = u < 0.5 ? 0 : 1;
    else
      values[i] = test->integers != 0 ? floor(u * (double)test->integers) : floor(u * 11) - 5;
  }
  mica_tensor *tensor = mica_tensor_from_doubles(type.dtype, type.shape, values);
  free(values);
  return tensor;
}

static inline mica_device *engine_device(const mica_backend *backend, int32_t threads) {
  mica_device_options options = {.struct_size = sizeof(options), .threads = threads};
  mica_error error = {0};
  mica_device *device = mica_device_open_with(backend, NULL, &options, &error);
  if (device == NULL) CHECK_FAIL("no device: %s", error.message);
  return device;
}

static inline mica_executable *engine_compile(mica_device *device, const engine_case *test,
                                              engine_build *build) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[ENGINE_VALUES], out[ENGINE_VALUES];
  for (size_t i = 0; i < test->in_count; i++) in[i] = mica_parameter(graph, test->in[i]);
  build(graph, in, out);
  mica_graph_set_outputs(graph, out, test->out_count);
  mica_executable *executable = NULL;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_compile(device, graph, test->donate, &executable, &error), &error) &&
      getenv("ENGINE_SHOW") != NULL) {
    int64_t size = mica_graph_format(graph, NULL, 0);
    char *text = malloc((size_t)size + 1);
    mica_graph_format(graph, text, (size_t)size + 1);
    fprintf(stderr, "%s\n", text);
    free(text);
  }
  if (executable != NULL && getenv("ENGINE_SHOW") != NULL) {
    int64_t size = mica_executable_format(executable, NULL, 0);
    char *text = malloc((size_t)size + 1);
    mica_executable_format(executable, text, (size_t)size + 1);
    fprintf(stderr, "%s\n", text);
    free(text);
  }
  mica_graph_destroy(graph);
  return executable;
}

/* Differences count against the largest magnitude of the output, so that sums that cancel do not. */
static inline void engine_compare(const char *name, size_t index, const mica_tensor *actual,
                                  const mica_tensor *expected, double tolerance) {
  int64_t count = mica_shape_count(mica_tensor_type(expected).shape);
  double *a = malloc((size_t)(count + 1) * sizeof(*a)),
         *b = malloc((size_t)(count + 1) * sizeof(*b));
  mica_error error = {0};
  CHECK_OK_ERROR(mica_tensor_read_doubles(actual, a, count, &error), &error);
  CHECK_OK_ERROR(mica_tensor_read_doubles(expected, b, count, &error), &error);
  double largest = 0;
  for (int64_t i = 0; i < count; i++)
    if (isfinite(b[i]) && fabs(b[i]) > largest) largest = fabs(b[i]);
  for (int64_t i = 0; i < count; i++) {
    bool same = a[i] == b[i] || (isnan(a[i]) && isnan(b[i])) ||
                fabs(a[i] - b[i]) <= tolerance * (largest + 1e-30);
    if (same) continue;
    CHECK_FAIL("%s: output %zu, element %lld: %.9g, the reference has %.9g (largest %g)", name,
               index, (long long)i, a[i], b[i], largest);
    break;
  }
  free(a);
  free(b);
}

static inline void engine_check(const char *name, const engine_case *test, engine_build *build) {
  mica_tensor *in[ENGINE_VALUES] = {NULL}, *expected[ENGINE_VALUES] = {NULL},
              *first[ENGINE_VALUES] = {NULL};
  mica_error error = {0};
  double tolerance = test->tolerance == 0 ? 2e-5 : test->tolerance;
  for (size_t i = 0; i < test->in_count; i++) in[i] = engine_tensor(test->in[i], test);
  for (int32_t threads = 0; threads <= ENGINE_THREADS; threads++) {
    mica_device *device = engine_device(threads == 0 ? &mica_backend_reference : &mica_backend_cpu,
                                        threads == 0 ? 1 : threads);
    if (device == NULL) continue;
    mica_executable *executable = engine_compile(device, test, build);
    for (int run = 0; run < 2 && executable != NULL; run++) {
      mica_tensor *out[ENGINE_VALUES] = {NULL}, *given[ENGINE_VALUES];
      /* What is donated may be overwritten, so each run gets its own. */
      for (size_t i = 0; i < test->in_count; i++)
        given[i] = mica_tensor_from(test->in[i].dtype, test->in[i].shape, mica_tensor_data(in[i]));
      mica_status status =
          mica_executable_run(executable, given, test->in_count, out, test->out_count, &error);
      if (CHECK_OK_ERROR(status, &error))
        for (size_t i = 0; i < test->out_count; i++) {
          if (threads == 0) {
            if (run == 0) expected[i] = mica_tensor_retain(out[i]);
            continue;
          }
          if (expected[i] != NULL) engine_compare(name, i, out[i], expected[i], tolerance);
          if (first[i] == NULL) first[i] = mica_tensor_retain(out[i]);
          if (!mica_tensor_equal(out[i], first[i]))
            CHECK_FAIL("%s: output %zu has other bits with %d threads, run %d", name, i,
                       (int)threads, run);
        }
      for (size_t i = 0; i < test->in_count; i++) mica_tensor_release(given[i]);
      for (size_t i = 0; i < test->out_count; i++) mica_tensor_release(out[i]);
    }
    mica_executable_release(executable);
    mica_device_release(device);
  }
  for (size_t i = 0; i < ENGINE_VALUES; i++) {
    mica_tensor_release(in[i]);
    mica_tensor_release(expected[i]);
    mica_tensor_release(first[i]);
  }
}

#define ENGINE_F32(...) \
  { MICA_F32, MICA_DIMS(__VA_ARGS__) }
#define ENGINE_SCALAR(dtype) \
  { dtype, MICA_SCALAR }

/* How many steps of the program have a label that begins with `label`; NULL: all steps. */
static inline int engine_count_steps(const engine_case *test, engine_build *build,
                                     const char *label) {
  mica_device *device = engine_device(&mica_backend_cpu, 2);
  mica_executable *executable = engine_compile(device, test, build);
  int64_t size = executable == NULL ? -1 : mica_executable_format(executable, NULL, 0);
  int count = 0;
  if (CHECK(size >= 0)) {
    char *text = malloc((size_t)size + 1);
    mica_executable_format(executable, text, (size_t)size + 1);
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
      line += *line == '\n';
      char *at = line + strspn(line, " ");
      size_t digits = strspn(at, "0123456789");
      if (digits == 0 || line == text) continue; /* the first line says how many */
      at += digits + strspn(at + digits, ": ");
      if (label == NULL || strncmp(at, label, strlen(label)) == 0) count++;
    }
    free(text);
  }
  mica_executable_release(executable);
  mica_device_release(device);
  return count;
}

#endif
