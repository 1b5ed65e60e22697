/* SPDX-License-Identifier: Apache-2.0 */
/* reference_support.h: evaluating single values on the reference backend against numbers. */
#ifndef UNIT_BACKEND_REFERENCE_SUPPORT_H
#define UNIT_BACKEND_REFERENCE_SUPPORT_H
#include "unit/backend/support.h"

#include <math.h>
#include <stdio.h>

#define NUMBERS(...) ((const double[]){__VA_ARGS__})

static mica_device *oracle_device;
static mica_graph *oracle_graph;

static inline void oracle_begin(void) {
  mica_error error = {0};
  mica_device_options options = {.struct_size = sizeof(options), .backend = "reference"};
  oracle_device = mica_device_open(&options, &error);
  if (oracle_device == NULL) CHECK_FAIL("%s", error.message);
  oracle_graph = mica_graph_create(NULL);
}

static inline void oracle_end(void) {
  mica_graph_destroy(oracle_graph);
  mica_device_release(oracle_device);
}

/* A constant from doubles, and from elements of the dtype itself. */
static inline mica_value constant_of(mica_dtype dtype, mica_shape shape, const double *values) {
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, shape, values);
  mica_value value = mica_constant(oracle_graph, tensor);
  mica_tensor_release(tensor);
  return value;
}
static inline mica_value raw_constant(mica_dtype dtype, mica_shape shape, const void *values) {
  mica_tensor *tensor = mica_tensor_from(dtype, shape, values);
  mica_value value = mica_constant(oracle_graph, tensor);
  mica_tensor_release(tensor);
  return value;
}

static inline mica_tensor *evaluated(mica_value value, const char *file, int line) {
  mica_error error = {0};
  mica_tensor *out = NULL;
  if (mica_evaluate(oracle_device, value, &out, &error) != MICA_OK)
    check_fail(file, line, "%s", error.message);
  return out;
}

/* Type and elements (real parts) within a relative tolerance; 0 asks for equal ones, signs of zeros too. */
static inline void expect_at(mica_value value, mica_dtype dtype, mica_shape shape,
                             const double *expected, double tolerance, const char *file, int line) {
  mica_tensor *out = evaluated(value, file, line);
  if (out == NULL) return;
  mica_type type = mica_tensor_type(out), wanted = {dtype, shape};
  char text[160], wanted_text[160];
  mica_type_format(type, text, sizeof(text));
  mica_type_format(wanted, wanted_text, sizeof(wanted_text));
  if (!mica_type_equal(type, wanted)) {
    check_fail(file, line, "the result is %s, expected %s", text, wanted_text);
    mica_tensor_release(out);
    return;
  }
  int64_t count = mica_shape_count(shape);
  double *values = calloc((size_t)count + 1, sizeof(double));
  mica_tensor_read_doubles(out, values, count, NULL);
  for (int64_t i = 0; i < count; i++) {
    char name[60];
    snprintf(name, sizeof(name), "element %lld", (long long)i);
    check_near(values[i], expected[i], tolerance, true, name, file, line);
    if (tolerance == 0 && values[i] == 0 && signbit(values[i]) != signbit(expected[i]))
      check_fail(file, line, "%s: a zero of the wrong sign", name);
  }
  free(values);
  mica_tensor_release(out);
}

static inline void expect_raw_at(mica_value value, mica_dtype dtype, mica_shape shape,
                                 const void *expected, const char *file, int line) {
  mica_tensor *out = evaluated(value, file, line);
  mica_tensor *wanted = mica_tensor_from(dtype, shape, expected);
  if (out != NULL && !mica_tensor_equal(out, wanted)) {
    char text[600], wanted_text[600];
    mica_format_options options = {.struct_size = sizeof(options), .precision = -1};
    mica_tensor_format(out, &options, text, sizeof(text));
    mica_tensor_format(wanted, &options, wanted_text, sizeof(wanted_text));
    check_fail(file, line, "the result is %s, expected %s", text, wanted_text);
  }
  mica_tensor_release(out);
  mica_tensor_release(wanted);
}

#define EXPECT(value, dtype, shape, ...) \
  expect_at((value), (dtype), (shape), NUMBERS(__VA_ARGS__), 0, __FILE__, __LINE__)
#define EXPECT_NEAR(value, dtype, shape, tolerance, ...) \
  expect_at((value), (dtype), (shape), NUMBERS(__VA_ARGS__), (tolerance), __FILE__, __LINE__)
#define EXPECT_RAW(value, dtype, shape, expected) \
  expect_raw_at((value), (dtype), (shape), (expected), __FILE__, __LINE__)

#endif
