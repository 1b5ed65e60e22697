/* SPDX-License-Identifier: Apache-2.0 */
/* Special functions, bits and complex numbers against values of mpmath, numpy, scipy and JAX
 * (tests/golden/make_special.py), at ordinary arguments and at zeros, infinities, NaN, denormals and the extreme
 * integers; on both backends. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"

static mica_npz *golden;
static mica_device *devices[2];
static const char *const device_names[2] = {"reference", "cpu"};

static bool open_all(void) {
  mica_error error = {0};
  for (int i = 0; i < 2; i++)
    devices[i] = mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                         .backend = device_names[i],
                                                         .threads = check_threads(2)},
                                  &error);
  return CHECK_OK_ERROR(
             mica_npz_load(check_source_path("tests/golden/special.npz"), &golden, &error),
             &error) &&
         CHECK(devices[0] && devices[1]);
}
static void close_all(void) {
  mica_npz_destroy(golden);
  for (int i = 0; i < 2; i++) mica_device_release(devices[i]);
}

static mica_tensor *array_of(const char *name, const char *part) {
  char full[80];
  snprintf(full, sizeof full, "%s.%s", name, part);
  mica_tensor *tensor = mica_npz_find(golden, full);
  if (!tensor) CHECK_FAIL("special.npz has no %s", full);
  return tensor;
}

typedef mica_value golden_build(const mica_value *in);

/* Runs the function on arrays; the result is released by the caller. */
static mica_tensor *run_on(int device, const char *name, golden_build *build,
                           mica_tensor *const *in, size_t count) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x[3] = {{0}};
  for (size_t i = 0; i < count; i++) x[i] = mica_parameter(graph, mica_tensor_type(in[i]));
  mica_value out = build(x);
  mica_graph_set_outputs(graph, &out, 1);
  mica_error error = {0};
  mica_executable *executable = NULL;
  mica_tensor *result = NULL;
  if (mica_compile(devices[device], graph, 0, &executable, &error) ||
      mica_executable_run(executable, in, count, &result, 1, &error))
    CHECK_FAIL("%s on %s: %s", name, device_names[device], error.message);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  return result;
}

/* ---- f64 against the nearest double to the exact value --------------------------------------------------- */

#define UNARY(name, expression) \
  static mica_value golden_##name(const mica_value *in) { return expression; }
UNARY(lgamma, mica_lgamma(in[0]))
UNARY(digamma, mica_digamma(in[0]))
UNARY(polygamma_1, mica_polygamma(1, in[0]))
UNARY(polygamma_4, mica_polygamma(4, in[0]))
UNARY(erf_inv, mica_erf_inv(in[0]))
UNARY(erfc, mica_erfc(in[0]))
UNARY(bessel_i0, mica_bessel_i0(in[0]))
UNARY(bessel_i1, mica_bessel_i1(in[0]))
UNARY(bessel_i0e, mica_bessel_i0e(in[0]))
UNARY(bessel_i1e, mica_bessel_i1e(in[0]))
UNARY(igamma, mica_igamma(in[0], in[1]))
UNARY(igammac, mica_igammac(in[0], in[1]))
UNARY(betainc, mica_betainc(in[0], in[1], in[2]))
UNARY(sinc, mica_sinc(in[0]))
UNARY(logit, mica_logit(in[0]))
UNARY(logaddexp, mica_logaddexp(in[0], in[1]))
UNARY(xlogy, mica_xlogy(in[0], in[1]))
UNARY(softplus, mica_softplus(in[0]))
UNARY(atan2, mica_atan2(in[0], in[1]))
UNARY(hypot, mica_hypot(in[0], in[1]))
UNARY(cbrt, mica_cbrt(in[0]))
UNARY(mod, mica_mod(in[0], in[1]))
UNARY(floor_divide, mica_floor_divide(in[0], in[1]))

/* Relative error, or absolute near zeros of the function: |got - y| <= relative |y| + absolute. Without the
 * latter the sign of a zero has to be right as well. */
typedef struct {
  const char *name;
  golden_build *build;
  double relative, absolute;
} golden_case;
#define CASE(name, relative, absolute) \
  { #name, golden_##name, relative, absolute }
static const golden_case golden_cases[] = {
    CASE(lgamma, 1e-15, 2e-15),  CASE(digamma, 1e-15, 2e-14),
    CASE(polygamma_1, 1e-14, 0), CASE(polygamma_4, 2e-14, 0),
    CASE(erf_inv, 5e-16, 0),     CASE(erfc, 1e-15, 5e-324),
    CASE(bessel_i0, 5e-14, 0),   CASE(bessel_i1, 5e-14, 0),
    CASE(bessel_i0e, 2e-15, 0),  CASE(bessel_i1e, 2e-15, 5e-324),
    CASE(igamma, 1e-13, 0),      CASE(igammac, 1e-12, 5e-324),
    CASE(betainc, 1e-12, 0),     CASE(sinc, 1e-15, 5e-17),
    CASE(logit, 1e-15, 0),       CASE(logaddexp, 5e-16, 1e-16),
    CASE(xlogy, 5e-16, 5e-324),  CASE(softplus, 5e-16, 5e-324),
    CASE(atan2, 4e-16, 5e-324),  CASE(hypot, 3e-16, 5e-324),
    CASE(cbrt, 3e-16, 0),        CASE(mod, 3e-16, 0),
    CASE(floor_divide, 0, 0),
};

static bool is_right(double got, double wanted, const golden_case *c) {
  if (isnan(wanted) || isnan(got)) return isnan(wanted) && isnan(got);
  if (isinf(wanted) || isinf(got)) return got == wanted;
  if (got == 0 && wanted == 0 && c->absolute == 0) return !signbit(got) == !signbit(wanted);
  return fabs(got - wanted) <= c->relative * fabs(wanted) + c->absolute;
}

static void check_golden(const golden_case *c) {
  mica_tensor *x = array_of(c->name, "x"), *y = array_of(c->name, "y"), *in[3] = {NULL};
  if (!x || !y) return;
  mica_type type = mica_tensor_type(x);
  int64_t operands = type.shape.dim[0], count = type.shape.dim[1];
  const double *values = mica_tensor_data(x), *wanted = mica_tensor_data(y);
  for (int64_t i = 0; i < operands; i++)
    in[i] = mica_tensor_from(MICA_F64, MICA_DIMS(count), values + i * count);
  for (int device = 0; device < 2; device++) {
    mica_tensor *result = run_on(device, c->name, c->build, in, (size_t)operands);
    if (!result) continue;
    const double *got = mica_tensor_data(result);
    for (int64_t i = 0; i < count; i++)
      if (!is_right(got[i], wanted[i], c))
        CHECK_FAIL("%s(%.17g, %.17g, %.17g) on %s is %.17g, expected %.17g: relative error %g",
                   c->name, values[i], operands > 1 ? values[count + i] : 0,
                   operands > 2 ? values[2 * count + i] : 0, device_names[device], got[i],
                   wanted[i], fabs(got[i] / wanted[i] - 1));
    mica_tensor_release(result);
  }
  for (int64_t i = 0; i < operands; i++) mica_tensor_release(in[i]);
}

TEST(functions_of_f64) {
  if (!open_all()) return;
  for (size_t i = 0; i < sizeof golden_cases / sizeof golden_cases[0]; i++)
    check_golden(&golden_cases[i]);
  close_all();
}

/* ---- bits: equal -------------------------------------------------------------------------------------------- */

/* Floats that are NaN may differ in which NaN they are. */
static bool same_bits(mica_type type, const void *a, const void *b, int64_t i) {
  size_t size = (size_t)mica_dtype_bits(type.dtype) / 8;
  const char *at = (const char *)a + (size_t)i * size, *other = (const char *)b + (size_t)i * size;
  if (memcmp(at, other, size) == 0) return true;
  double x, y;
  return mica_dtype_is_float(type.dtype) &&
         mica_convert_elements(MICA_F64, &x, type.dtype, at, 1) == MICA_OK &&
         mica_convert_elements(MICA_F64, &y, type.dtype, other, 1) == MICA_OK && isnan(x) &&
         isnan(y);
}

static void check_equal(const char *name, const char *result, golden_build *build,
                        mica_tensor *const *in, size_t count) {
  mica_tensor *wanted = array_of(name, result);
  if (!wanted) return;
  mica_type type = mica_tensor_type(wanted);
  for (int device = 0; device < 2; device++) {
    mica_tensor *got = run_on(device, name, build, in, count);
    if (!got) continue;
    if (!CHECK(mica_type_equal(mica_tensor_type(got), type))) continue;
    for (int64_t i = 0; i < mica_shape_count(type.shape); i++)
      if (!same_bits(type, mica_tensor_data(got), mica_tensor_data(wanted), i))
        CHECK_FAIL("%s.%s on %s differs at %lld", name, result, device_names[device], (long long)i);
    mica_tensor_release(got);
  }
}

UNARY(shift_left, mica_shift_left(in[0], in[1]))
UNARY(shift_right_logical, mica_shift_right_logical(in[0], in[1]))
UNARY(shift_right_arithmetic, mica_shift_right_arithmetic(in[0], in[1]))
UNARY(popcount, mica_popcount(in[0]))
UNARY(count_leading_zeros, mica_count_leading_zeros(in[0]))
UNARY(nextafter, mica_nextafter(in[0], in[1]))
UNARY(copysign, mica_copysign(in[0], in[1]))
UNARY(reduce_5_10, mica_reduce_precision(in[0], 5, 10))
UNARY(reduce_4_3, mica_reduce_precision(in[0], 4, 3))
UNARY(reduce_5_2, mica_reduce_precision(in[0], 5, 2))
UNARY(reduce_8_7, mica_reduce_precision(in[0], 8, 7))
UNARY(reduce_2_0, mica_reduce_precision(in[0], 2, 0))
UNARY(reduce_8_23, mica_reduce_precision(in[0], 8, 23))
UNARY(reduce_11_52, mica_reduce_precision(in[0], 11, 52))
typedef struct {
  const char *name;
  golden_build *build;
} equal_case;
#define EQUAL(name) \
  { #name, golden_##name }

TEST(bits_of_integers) {
  if (!open_all()) return;
  static const equal_case cases[] = {EQUAL(shift_left), EQUAL(shift_right_logical),
                                     EQUAL(shift_right_arithmetic), EQUAL(popcount),
                                     EQUAL(count_leading_zeros)};
  static const char *const dtypes[] = {"int8",  "uint8",  "int16", "uint16",
                                       "int32", "uint32", "int64", "uint64"};
  for (size_t d = 0; d < 8; d++) {
    char name[40];
    snprintf(name, sizeof name, "bits.%s", dtypes[d]);
    mica_tensor *in[2] = {array_of(name, "x"), array_of(name, "y")};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
      check_equal(name, cases[i].name, cases[i].build, in, i < 3 ? 2 : 1);
  }
  mica_tensor *whole = mica_npz_find(golden, "bits.whole"), *in[2];
  int64_t count = mica_tensor_type(whole).shape.dim[1];
  const int32_t *values = mica_tensor_data(whole);
  for (int64_t i = 0; i < 2; i++)
    in[i] = mica_tensor_from(MICA_I32, MICA_DIMS(count), values + i * count);
  check_equal("bits", "mod", golden_mod, in, 2);
  check_equal("bits", "floor_divide", golden_floor_divide, in, 2);
  mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  close_all();
}

TEST(bits_of_floats) {
  if (!open_all()) return;
  static const equal_case cases[] = {EQUAL(reduce_5_10), EQUAL(reduce_4_3), EQUAL(reduce_5_2),
                                     EQUAL(reduce_8_7),  EQUAL(reduce_2_0), EQUAL(reduce_8_23),
                                     EQUAL(reduce_11_52)};
  static const char *const dtypes[] = {"float16", "float32", "float64"};
  for (size_t d = 0; d < 3; d++) {
    char name[40];
    snprintf(name, sizeof name, "bits.%s", dtypes[d]);
    mica_tensor *x = array_of(name, "x"), *in[2] = {array_of(name, "from"), array_of(name, "to")};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
      check_equal(name, cases[i].name, cases[i].build, &x, 1);
    check_equal(name, "nextafter", golden_nextafter, in, 2);
    check_equal(name, "copysign", golden_copysign, in, 2);
  }
  close_all();
}

/* ---- complex numbers, relative to their size ---------------------------------------------------------------- */

#define COMPLEX(name) UNARY(complex_##name, mica_##name(in[0]))
COMPLEX(exp)
COMPLEX(log)
COMPLEX(sqrt)
COMPLEX(sin)
COMPLEX(cos)
COMPLEX(tan)
COMPLEX(sinh)
COMPLEX(cosh)
COMPLEX(tanh)
COMPLEX(abs)
COMPLEX(angle)
COMPLEX(conj)
COMPLEX(expm1)
COMPLEX(log1p)
COMPLEX(sign)
UNARY(complex_pow, mica_pow(in[0], in[1]))
#define PART(name) \
  { #name, golden_complex_##name }

TEST(complex_numbers) {
  if (!open_all()) return;
  static const equal_case cases[] = {PART(exp),   PART(log),   PART(sqrt),  PART(sin),
                                     PART(cos),   PART(tan),   PART(sinh),  PART(cosh),
                                     PART(tanh),  PART(abs),   PART(angle), PART(conj),
                                     PART(expm1), PART(log1p), PART(sign),  PART(pow)};
  mica_tensor *in[2] = {array_of("complex", "z"), array_of("complex", "exponent")};
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    mica_tensor *wanted = array_of("complex", cases[c].name);
    if (!wanted) continue;
    mica_type type = mica_tensor_type(wanted);
    int64_t parts = mica_dtype_is_complex(type.dtype) ? 2 : 1;
    const double *exact = mica_tensor_data(wanted);
    for (int device = 0; device < 2; device++) {
      mica_tensor *result =
          run_on(device, cases[c].name, cases[c].build, in, strcmp(cases[c].name, "pow") ? 1 : 2);
      if (!result || !CHECK(mica_type_equal(mica_tensor_type(result), type))) continue;
      const double *got = mica_tensor_data(result);
      for (int64_t i = 0; i < mica_shape_count(type.shape); i++) {
        double size = 0, error = 0;
        for (int64_t k = i * parts; k < (i + 1) * parts; k++)
          size = hypot(size, exact[k]), error = hypot(error, got[k] - exact[k]);
        bool equal = memcmp(got + i * parts, exact + i * parts, (size_t)parts * sizeof *got) == 0;
        if (!equal && !(error <= 2e-15 * size))
          CHECK_FAIL("%s on %s at %lld: error %g of %g", cases[c].name, device_names[device],
                     (long long)i, error, size);
      }
      mica_tensor_release(result);
    }
  }
  close_all();
}

TEST_MAIN(TEST_CASE(functions_of_f64), TEST_CASE(bits_of_integers), TEST_CASE(bits_of_floats),
          TEST_CASE(complex_numbers))
