/* SPDX-License-Identifier: Apache-2.0 */
/* numerics.h: how exact elementwise functions are, as docs/numerics.md says it: the largest error of each on each
 * dtype, in units in the last place, and the bound that it stays below. Programs are compiled for cpu on each
 * of its rows of instructions.
 *
 * f16 and bf16: every value. f32: every STEP-th, from a place that moves from day to day. f64: random values. Oracles
 * of f16, bf16 and f32 are functions of f64 whose own error does not matter there: the C library's, and
 * core/special.h's, which test_special_golden.c holds against mpmath. Oracles of f64 are long double's, or mpmath's
 * values in tests/golden/special.npz. */
#ifndef UNIT_BACKEND_CPU_NUMERICS_H
#define UNIT_BACKEND_CPU_NUMERICS_H
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "check.h"
#include "core/special.h"
#include "mica/jit.h"

enum { NUMERICS_BLOCK = 1 << 16, NUMERICS_ROWS = 4, NUMERICS_DTYPES = 4 };
static const mica_dtype numerics_dtypes[NUMERICS_DTYPES] = {MICA_F16, MICA_BF16, MICA_F32,
                                                            MICA_F64};

/* ---- oracles that no library has ----------------------------------------------------------------------------- */

static inline double exact_logistic(double x) { return 1 / (1 + exp(-x)); }
static inline double exact_rsqrt(double x) { return 1 / sqrt(x); }
static inline double exact_softplus(double x) {
  return isnan(x) ? x : (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}
static inline double exact_sinc(double x) {
  if (isinf(x)) return 0;
  double whole = rint(x), sine = sin(3.14159265358979324 * (x - whole));
  if (x == 0) return 1;
  return (fmod(whole, 2) == 0 ? sine : -sine) / (3.14159265358979324 * x);
}
static inline double exact_logit(double x) {
  return fabs(x - 0.5) < 0.2 ? 2 * atanh(2 * x - 1) : log(x / (1 - x));
}
static inline double exact_trigamma(double x) { return mica_special_polygamma(1, x); }
static inline double exact_i0(double x) {
  return isinf(x) ? (double)INFINITY : mica_special_bessel_i0e(x) * exp(fabs(x));
}
static inline double exact_i1(double x) {
  return isinf(x) ? x : mica_special_bessel_i1e(x) * exp(fabs(x));
}
static inline long double long_logistic(long double x) { return 1 / (1 + expl(-x)); }
static inline long double long_rsqrt(long double x) { return 1 / sqrtl(x); }
static inline long double long_softplus(long double x) {
  return isnan(x) ? x : (x > 0 ? x : 0) + log1pl(expl(-fabsl(x)));
}
static inline long double long_sinc(long double x) {
  if (isinf(x)) return 0;
  const long double pi = 3.14159265358979323846264338327950288L;
  long double whole = rintl(x), sine = sinl(pi * (x - whole));
  if (x == 0) return 1;
  return (fmodl(whole, 2) == 0 ? sine : -sine) / (pi * x);
}
static inline long double long_logit(long double x) {
  return fabsl(x - 0.5L) < 0.2L ? 2 * atanhl(2 * x - 1) : logl(x / (1 - x));
}
static mica_value numerics_trigamma(mica_value x) { return mica_polygamma(1, x); }

/* ---- the table ------------------------------------------------------------------------------------------------ */

/* Bounds in units in the last place of f16, bf16, f32, f64; 0.5 is correct rounding. */
typedef struct {
  const char *name;
  mica_value (*build)(mica_value x);
  double (*exact)(double x);
  long double (*exact_long)(long double x); /* NULL: by `golden` */
  const char *golden;                       /* in special.npz */
  double bounds[NUMERICS_DTYPES];
  /* Near zeros of the function no fixed number of digits is enough: errors count as those of results of at
   * least this size for f64, and of at least 2^-10 for f32 at arguments less than `below`. */
  double least, below;
} numerics_row;
#define LIBM(name, half, f32, f64) \
  { #name, mica_##name, name, name##l, NULL, {half, half, f32, f64 }, 0, 0 }
#define OWN(name, half, f32, f64) \
  { #name, mica_##name, exact_##name, long_##name, NULL, {half, half, f32, f64 }, 0, 0 }
#define GOLDEN(name, exact, half, f32, f64, least, below) \
  { #name, mica_##name, exact, NULL, #name, {half, half, f32, f64 }, least, below }
static const numerics_row numerics_rows[] = {
    LIBM(exp, 0.51, 1.1, 1),
    LIBM(exp2, 0.51, 0.51, 1),
    LIBM(expm1, 0.51, 1.6, 1),
    LIBM(log, 0.51, 1.2, 1),
    LIBM(log2, 0.51, 0.51, 1),
    LIBM(log10, 0.51, 0.51, 2),
    LIBM(log1p, 0.51, 1.5, 1),
    OWN(softplus, 0.51, 0.51, 2),
    OWN(logistic, 0.51, 1.5, 3),
    OWN(logit, 0.51, 3, 3),
    LIBM(sqrt, 0.5, 0.5, 0.5),
    OWN(rsqrt, 0.51, 1.5, 1.5),
    LIBM(cbrt, 0.51, 0.51, 4),
    LIBM(sin, 0.51, 1.7, 1),
    LIBM(cos, 0.51, 1.7, 1),
    LIBM(tan, 0.51, 1.7, 1),
    LIBM(asin, 0.51, 0.51, 1),
    LIBM(acos, 0.51, 0.51, 1),
    LIBM(atan, 0.51, 0.51, 1),
    OWN(sinc, 0.51, 4, 4),
    LIBM(sinh, 0.51, 0.51, 2),
    LIBM(cosh, 0.51, 0.51, 2),
    LIBM(tanh, 0.51, 1.6, 2.5),
    LIBM(asinh, 0.51, 0.51, 2),
    LIBM(acosh, 0.51, 0.51, 2.5),
    LIBM(atanh, 0.51, 0.51, 2),
    LIBM(erf, 0.51, 1.5, 1.5),
    LIBM(erfc, 0.51, 0.51, 5),
    GOLDEN(erf_inv, mica_special_erf_inv, 0.51, 0.51, 3, 0, 0),
    GOLDEN(lgamma, mica_special_lgamma, 0.51, 0.52, 4, 1, 0),
    GOLDEN(digamma, mica_special_digamma, 0.51, 0.51, 12, 1, 2),
    {"polygamma (order 1)",
     numerics_trigamma,
     exact_trigamma,
     NULL,
     "polygamma_1",
     {0.51, 0.51, 0.51, 8},
     0,
     0},
    GOLDEN(bessel_i0, exact_i0, 0.51, 6, 16, 0, 0),
    GOLDEN(bessel_i1, exact_i1, 0.51, 6, 16, 0, 0),
    GOLDEN(bessel_i0e, mica_special_bessel_i0e, 0.51, 0.51, 12, 0, 0),
    GOLDEN(bessel_i1e, mica_special_bessel_i1e, 0.51, 0.51, 12, 0, 0),
};
#undef LIBM
#undef OWN
#undef GOLDEN
enum { NUMERICS_COUNT = sizeof numerics_rows / sizeof numerics_rows[0] };

/* ---- devices and programs ------------------------------------------------------------------------------------- */

typedef struct {
  mica_device *device[NUMERICS_ROWS];
  const char *name[NUMERICS_ROWS];
  int32_t count;
  mica_npz *golden;
} numerics_devices;

static inline bool numerics_open(numerics_devices *all) {
  *all = (numerics_devices){.count = 0};
  mica_error error = {0};
  const mica_cpu_kernels *row;
  const char *given = getenv("MICA_CPU_ISA");
  char *kept = given ? strdup(given) : NULL;
  for (; all->count < NUMERICS_ROWS && (row = mica_cpu_kernels_at(all->count)) != NULL;
       all->count++) {
    setenv("MICA_CPU_ISA", row->name, 1);
    all->name[all->count] = row->name;
    all->device[all->count] = mica_device_open(
        &(mica_device_options){
            .struct_size = sizeof(mica_device_options), .backend = "cpu", .threads = 1},
        &error);
    if (!all->device[all->count]) CHECK_FAIL("row %s: %s", row->name, error.message);
  }
  unsetenv("MICA_CPU_ISA");
  if (kept) setenv("MICA_CPU_ISA", kept, 1);
  free(kept);
  return CHECK_OK_ERROR(
      mica_npz_load(check_source_path("tests/golden/special.npz"), &all->golden, &error), &error);
}
static inline void numerics_close(numerics_devices *all) {
  for (int32_t i = 0; i < all->count; i++) mica_device_release(all->device[i]);
  mica_npz_destroy(all->golden);
}

static inline mica_executable *numerics_compile(mica_device *device, const numerics_row *row,
                                                mica_dtype dtype) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){dtype, MICA_DIMS(NUMERICS_BLOCK)});
  mica_value y = row->build(x);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  mica_error error = {0};
  if (mica_compile(device, graph, 0, &executable, &error) != MICA_OK)
    CHECK_FAIL("%s: %s", row->name, error.message);
  mica_graph_destroy(graph);
  return executable;
}

/* ---- errors --------------------------------------------------------------------------------------------------- */

/* Digits, and the exponent of the smallest number. */
typedef struct {
  int digits, smallest;
  double largest;
} numerics_format;
static inline numerics_format numerics_format_of(mica_dtype dtype) {
  switch (dtype) {
    case MICA_F16: return (numerics_format){11, -24, 65504};
    case MICA_BF16: return (numerics_format){8, -133, 0x1.fep127};
    case MICA_F32: return (numerics_format){24, -149, 0x1.fffffep127};
    default: return (numerics_format){53, -1074, DBL_MAX};
  }
}

/* |got - exact| in units in the last place of exact; infinity where one is NaN or infinite and the other is not, or a
 * zero has the wrong sign. Rounding an exact value beyond the largest number to infinity is right. */
static inline double numerics_error(double got, long double exact, numerics_format format,
                                    double least) {
  if (isnan(exact) || isnan(got)) return isnan(exact) && isnan(got) ? 0 : (double)INFINITY;
  if (isinf(exact)) return isinf(got) && (got > 0) == (exact > 0) ? 0 : (double)INFINITY;
  if (exact == 0 && got == 0) return !signbit(exact) == !signbit(got) ? 0 : (double)INFINITY;
  if (isinf(got))
    return (got > 0) == (exact > 0) && fabsl(exact) >= (long double)format.largest
               ? 0
               : (double)INFINITY;
  int exponent;
  frexpl(fmaxl(fabsl(exact), (long double)least), &exponent);
  int last =
      exponent - format.digits < format.smallest ? format.smallest : exponent - format.digits;
  return (double)ldexpl(fabsl((long double)got - exact), -last);
}

typedef struct {
  double error, at; /* the largest error and where */
  const char *row;
} numerics_worst;

/* One block of values, count of them real. */
static inline void numerics_block(const numerics_row *row, mica_dtype dtype,
                                  const numerics_devices *all, mica_executable *const *programs,
                                  const void *bytes, const double *x, const long double *exact,
                                  int64_t count, numerics_worst *worst) {
  mica_tensor *in = mica_tensor_from(dtype, MICA_DIMS(NUMERICS_BLOCK), bytes);
  numerics_format format = numerics_format_of(dtype);
  double *got = malloc(NUMERICS_BLOCK * sizeof *got);
  if (!CHECK(in && got)) return;
  for (int32_t r = 0; r < all->count; r++) {
    mica_tensor *out = NULL;
    mica_error error = {0};
    if (!CHECK_OK_ERROR(mica_executable_run(programs[r], &in, 1, &out, 1, &error), &error)) break;
    mica_convert_elements(MICA_F64, got, dtype, mica_tensor_data(out), NUMERICS_BLOCK);
    for (int64_t i = 0; i < count; i++) {
      /* A correctly rounded result says no more once one of half a unit was seen. */
      if (dtype == MICA_F32 && got[i] == (double)(float)exact[i] && got[i] != 0 &&
          (worst->error >= 0.5 || i % 64 != 0))
        continue;
      double least = dtype == MICA_F64                                          ? row->least
                     : dtype == MICA_F32 && row->least > 0 && x[i] < row->below ? 0x1p-10
                                                                                : 0;
      double units = numerics_error(got[i], exact[i], format, least);
      if (!(units <= worst->error)) *worst = (numerics_worst){units, x[i], all->name[r]};
    }
    mica_tensor_release(out);
  }
  free(got);
  mica_tensor_release(in);
}

/* Element `index` of the sweep over a dtype: its bits; random ones for f64. */
static inline uint64_t numerics_bits(mica_dtype dtype, uint64_t index) {
  if (dtype != MICA_F64) return index;
  uint64_t z = index + 0x9E3779B97F4A7C15u * (uint64_t)(check_rotation() + 1); /* splitmix64 */
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  double plain = ((double)(z >> 11) * 0x1p-53 - 0.5) * (index % 3 == 1 ? 2 : 40);
  if (index % 3 == 0) return z; /* any exponent */
  memcpy(&z, &plain, sizeof z);
  return z;
}

/* The largest error over `total` bit patterns from `first` on, every `step`-th. */
static inline numerics_worst numerics_sweep(const numerics_row *row, mica_dtype dtype,
                                            const numerics_devices *all, uint64_t first,
                                            uint64_t total, uint64_t step) {
  numerics_worst worst = {.row = ""};
  mica_executable *programs[NUMERICS_ROWS] = {NULL};
  for (int32_t r = 0; r < all->count; r++) {
    programs[r] = numerics_compile(all->device[r], row, dtype);
    if (!programs[r]) return worst;
  }
  size_t size = (size_t)mica_dtype_bits(dtype) / 8;
  unsigned char *bytes = calloc(NUMERICS_BLOCK, size);
  double *x = malloc(NUMERICS_BLOCK * sizeof *x);
  long double *exact = malloc(NUMERICS_BLOCK * sizeof *exact);
  bool wide = dtype == MICA_F64;
  for (uint64_t at = first; bytes && x && exact && at < total;) {
    int64_t count = 0;
    for (; count < NUMERICS_BLOCK && at < total; count++, at += step) {
      uint64_t bits = numerics_bits(dtype, at);
      memcpy(bytes + (size_t)count * size, &bits, size); /* little end first */
    }
    mica_convert_elements(MICA_F64, x, dtype, bytes, count);
    for (int64_t i = 0; i < count; i++)
      exact[i] = wide ? row->exact_long((long double)x[i]) : (long double)row->exact(x[i]);
    numerics_block(row, dtype, all, programs, bytes, x, exact, count, &worst);
  }
  free(bytes), free(x), free(exact);
  for (int32_t r = 0; r < all->count; r++) mica_executable_release(programs[r]);
  return worst;
}

/* f64 at the golden points. */
static inline numerics_worst numerics_golden(const numerics_row *row, const numerics_devices *all) {
  numerics_worst worst = {.row = ""};
  char name[80];
  snprintf(name, sizeof name, "%s.x", row->golden);
  mica_tensor *x = mica_npz_find(all->golden, name);
  snprintf(name, sizeof name, "%s.y", row->golden);
  mica_tensor *y = mica_npz_find(all->golden, name);
  if (!CHECK(x && y)) return worst;
  int64_t count = mica_shape_count(mica_tensor_type(y).shape);
  double *in = calloc(NUMERICS_BLOCK, sizeof *in);
  long double *exact = calloc(NUMERICS_BLOCK, sizeof *exact);
  for (int64_t i = 0; in && exact && i < count; i++) {
    in[i] = ((const double *)mica_tensor_data(x))[i];
    exact[i] = (long double)((const double *)mica_tensor_data(y))[i];
  }
  mica_executable *programs[NUMERICS_ROWS] = {NULL};
  for (int32_t r = 0; r < all->count; r++)
    programs[r] = numerics_compile(all->device[r], row, MICA_F64);
  numerics_block(row, MICA_F64, all, programs, in, in, exact, count, &worst);
  for (int32_t r = 0; r < all->count; r++) mica_executable_release(programs[r]);
  free(in), free(exact);
  return worst;
}

static inline void numerics_check(const numerics_row *row, mica_dtype dtype, double bound,
                                  numerics_worst worst) {
  if (!(worst.error <= bound))
    CHECK_FAIL("%s of %s on %s: error %.4g at %a (%.9g), expected at most %g", row->name,
               mica_dtype_name(dtype), worst.row, worst.error, worst.at, worst.at, bound);
}

/* All floats, or one in 61 under sanitizers. Program `part` of
 * `parts` takes every parts-th float from there; MICA_TEST_PART=K/N cuts the work into N instead. */
static inline void numerics_exhaust(int32_t part, int32_t parts) {
  const char *given = getenv("MICA_TEST_PART");
  if (given && sscanf(given, "%" SCNd32 "/%" SCNd32, &part, &parts) != 2)
    CHECK_FAIL("MICA_TEST_PART=%s is not K/N", given);
  const bool thin = !check_all_values();
  numerics_devices all;
  if (!numerics_open(&all)) return;
  for (int32_t i = 0; i < NUMERICS_COUNT; i++) {
    const numerics_row *row = &numerics_rows[i];
    uint64_t step = thin ? 61 : 1,
             first = (uint64_t)part + (uint64_t)parts * ((uint64_t)check_rotation() % step);
    numerics_worst worst =
        numerics_sweep(row, MICA_F32, &all, first, UINT64_C(1) << 32, step * (uint64_t)parts);
    printf("%s: %.3f at %a on %s\n", row->name, worst.error, worst.at, worst.row);
    numerics_check(row, MICA_F32, row->bounds[2], worst);
  }
  numerics_close(&all);
}

#endif
