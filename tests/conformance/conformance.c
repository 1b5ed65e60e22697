/* SPDX-License-Identifier: Apache-2.0 */
/* conformance.c: values, devices and programs for the table of cases. */
#include "conformance/conformance.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "devices.h"

extern mica_dtype case_now;
void release_case_variables(void);

mica_dtype case_dtype(uint32_t bit) {
  switch (bit) {
    case F64: return MICA_F64;
    case F32: return MICA_F32;
    case F16: return MICA_F16;
    case BF16: return MICA_BF16;
    case I32: return MICA_I32;
    case I64: return MICA_I64;
    case U8: return MICA_U8;
    case U32: return MICA_U32;
    case BOOL: return MICA_BOOL;
    case I8: return MICA_I8;
    case C64: return MICA_C64;
    case C128: return MICA_C128;
    case I16: return MICA_I16;
    case U16: return MICA_U16;
    case U64: return MICA_U64;
    case I4: return MICA_I4;
    case U4: return MICA_U4;
    case F8E4M3FN: return MICA_F8E4M3FN;
    case F8E5M2: return MICA_F8E5M2;
    default: return MICA_DTYPE_NONE;
  }
}

bool case_is_float(mica_type type) {
  return mica_dtype_is_float(type.dtype) || mica_dtype_is_complex(type.dtype);
}

mica_dtype case_input_type(const conformance_case *c, int32_t input, mica_dtype dtype,
                           mica_type *out_type) {
  const case_input *in = &c->in[input];
  mica_dtype own = in->kind == INDICES ? MICA_I32
                   : in->kind == TRUTH ? MICA_BOOL
                   : in->kind == WORDS ? MICA_U32
                                       : dtype;
  *out_type = (mica_type){own, in->shape};
  return own;
}

static uint64_t mixed(uint64_t z) { /* splitmix64 (Steele et al. 2014) */
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
double case_random(uint64_t seed, uint64_t index) {
  return (double)(mixed(mixed(seed) + index) >> 11) * (2.0 / 9007199254740992.0) - 1;
}

mica_tensor *case_values(const conformance_case *c, int32_t input, mica_dtype dtype,
                         uint64_t seed) {
  mica_type type;
  case_input_type(c, input, dtype, &type);
  const case_input *in = &c->in[input];
  int64_t count = mica_shape_count(in->shape);
  uint64_t name = 1469598103934665603u;
  for (const char *s = c->name; *s; s++) name = (name ^ (unsigned char)*s) * 1099511628211u;
  seed += name + (uint64_t)input * 7919;
  double *values = calloc((size_t)(count ? count : 1), 2 * sizeof *values);
  if (!values) return NULL;
  int parts = mica_dtype_is_complex(type.dtype) ? 2 : 1;
  for (int64_t i = 0; i < count * parts; i++) {
    double u = 0.5 + 0.5 * case_random(seed, (uint64_t)i);
    switch (in->kind) {
      case RANGE: values[i] = in->low + (in->high - in->low) * u; break;
      case SPACED: values[i] = in->low + (in->high - in->low) * (double)i / (double)count; break;
      case INDICES:
        values[i] = (double)(int64_t)(in->low + (in->high - in->low) * u + 1000) - 1000;
        break;
      case TRUTH: values[i] = u < 0.5; break;
      case WORDS: values[i] = (double)(uint32_t)(u * 4294967295.0); break;
    }
    if (dtype == MICA_BOOL) values[i] = u < 0.5;
  }
  for (int64_t i = in->kind == SPACED ? count - 1 : 0; i > 0; i--) { /* shuffled */
    int64_t j = (int64_t)(mixed(seed + 77 + (uint64_t)i) % (uint64_t)(i + 1));
    double kept = values[i];
    values[i] = values[j];
    values[j] = kept;
  }
  mica_tensor *tensor = NULL;
  if (parts == 2) {
    char *bytes = calloc((size_t)count + 1, 16);
    mica_dtype half = type.dtype == MICA_C64 ? MICA_F32 : MICA_F64;
    if (bytes && mica_convert_elements(half, bytes, MICA_F64, values, 2 * count) == MICA_OK)
      tensor = mica_tensor_from(type.dtype, type.shape, bytes);
    free(bytes);
  } else {
    tensor = mica_tensor_from_doubles(type.dtype, type.shape, values);
  }
  free(values);
  return tensor;
}

static double tolerance_of(mica_dtype dtype, uint32_t flags) {
  double unit = dtype == MICA_F64 || dtype == MICA_C128  ? 2.3e-16
                : dtype == MICA_F32 || dtype == MICA_C64 ? 1.2e-7
                : dtype == MICA_F16                      ? 9.8e-4
                : dtype == MICA_BF16                     ? 7.9e-3
                                                         : 0;
  return unit * (flags & LOOSE ? 32 : 8);
}

static bool compare_below(const conformance_case *c, mica_dtype dtype, const mica_tensor *got,
                          const mica_tensor *wanted, int output, const char *where, double most) {
  mica_type type = mica_tensor_type(wanted);
  if (!mica_type_equal(mica_tensor_type(got), type)) {
    CHECK_FAIL("%s %s%s: output %d has another type", c->name, mica_dtype_name(dtype), where,
               output);
    return false;
  }
  mica_closeness closeness;
  mica_error error = {0};
  double largest = 0;
  int64_t count = mica_shape_count(type.shape);
  double *values = malloc((size_t)(count + 1) * sizeof *values);
  if (values && mica_tensor_read_doubles(wanted, values, count, NULL) == MICA_OK)
    for (int64_t i = 0; i < count; i++)
      if (fabs(values[i]) <= most) largest = fmax(largest, fabs(values[i]));
  free(values);
  double tolerance = tolerance_of(type.dtype, c->flags);
  mica_status status =
      mica_tensor_compare(got, wanted, tolerance, tolerance * largest, &closeness, &error);
  if (status != MICA_OK || !closeness.close) {
    char text[256] = "";
    if (status == MICA_OK) mica_closeness_format(&closeness, type.shape, text, sizeof text);
    CHECK_FAIL("%s %s%s output %d: cpu against reference: %s%s", c->name, mica_dtype_name(dtype),
               where, output, text, error.message);
    return false;
  }
  return true;
}

bool case_compare(const conformance_case *c, mica_dtype dtype, const mica_tensor *got,
                  const mica_tensor *wanted, int output, const char *where) {
  return compare_below(c, dtype, got, wanted, output, where, DBL_MAX);
}

bool case_compare_specials(const conformance_case *c, mica_dtype dtype, const mica_tensor *got,
                           const mica_tensor *wanted, int output, const char *where) {
  bool each = mica_op_definition(c->op)->kind == MICA_KIND_POINTWISE;
  return compare_below(c, dtype, got, wanted, output, where, each ? 1e4 : DBL_MAX);
}

mica_device *reference_device(void) { return test_device(0); }
mica_device *cpu_device(int32_t threads) { return test_device(threads); }
void close_devices(void) {
  test_devices_close();
  release_case_variables();
}

mica_executable *case_compile(mica_device *device, const conformance_case *c, mica_dtype dtype,
                              const mica_type *extra, size_t extra_count, case_program *program,
                              void *context, size_t out_count, mica_error *error) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[32], out[64] = {{0}};
  size_t count = 0;
  for (int32_t i = 0; i < c->input_count; i++) {
    mica_type type;
    case_input_type(c, i, dtype, &type);
    in[count++] = mica_parameter(graph, type);
  }
  for (size_t i = 0; i < extra_count; i++) in[count++] = mica_parameter(graph, extra[i]);
  case_now = dtype;
  program(c, graph, in, out, out_count, context);
  mica_graph_set_outputs(graph, out, out_count);
  mica_executable *executable = NULL;
  mica_status status = mica_graph_verify(graph, error);
  if (status == MICA_OK) status = mica_compile(device, graph, 0, &executable, error);
  mica_graph_destroy(graph);
  return status == MICA_OK ? executable : NULL;
}

void forward_program(const conformance_case *c, mica_graph *graph, const mica_value *in,
                     mica_value *out, size_t out_count, void *context) {
  (void)out_count, (void)context;
  c->build(graph, in, out);
}

static int64_t matched_cases;

/* $MICA_TEST_PART=K/N: every N-th case of the table, from the K-th on. */
static bool in_part(const conformance_case *c) {
  const char *given = getenv("MICA_TEST_PART");
  int32_t part = 0, parts = 1;
  if (!given || !*given) return true;
  if (sscanf(given, "%" SCNd32 "/%" SCNd32, &part, &parts) != 2 || parts < 1 || part < 0 ||
      part >= parts) {
    CHECK_FAIL("MICA_TEST_PART=%s is not K/N", given);
    return false;
  }
  uintptr_t table = (uintptr_t)conformance_cases, at = (uintptr_t)c;
  if (at < table || at >= (uintptr_t)(conformance_cases + conformance_case_count)) return true;
  return (int32_t)(c - conformance_cases) % parts == part;
}

bool case_wanted(const conformance_case *c) {
  const char *filter = getenv("MICA_CASE");
  if (!in_part(c)) return false;
  if (filter && *filter && !strstr(c->name, filter)) return false;
  matched_cases++;
  return true;
}

void check_case_filter(void) {
  const char *filter = getenv("MICA_CASE");
  if (filter && *filter && matched_cases == 0)
    CHECK_FAIL("MICA_CASE=%s is part of no case's name", filter);
}
