/* SPDX-License-Identifier: Apache-2.0 */
/* The f32 functions of every row of kernels against the C library's f64, in units in the last place:
 * every 4099th float in the normal run, all of them with MICA_TEST_ALL=1. The oracle's own error is
 * below 2^-50, so that it does not matter here. */
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/tile_kernels.h"
#include "check.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 1000 }; /* not a multiple of a vector, so that each block has a tail */

static double exact_logistic(double x) { return 1 / (1 + exp(-x)); }
static double exact_rsqrt(double x) { return 1 / sqrt(x); }
static double exact_gelu(double x) { return 0.5 * x * erfc(x * -0.70710678118654752440); }
static double exact_gelu_tanh(double x) {
  return x / (1 + exp(-2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

/* Largest error allowed. 0.5 is correct rounding, +0.001 for the double that it is measured with. gelu
 * promises an absolute error instead: 2^-23 of |x|. */
typedef struct {
  const char *name;
  mica_tile_op op;
  double (*exact)(double x);
  double ulps;
  bool absolute;
} function_case;

static const function_case functions[] = {
    {"exp", MICA_TILE_EXP, exp, 1.1, false},
    {"expm1", MICA_TILE_EXPM1, expm1, 1.6, false},
    {"log", MICA_TILE_LOG, log, 1.2, false},
    {"log1p", MICA_TILE_LOG1P, log1p, 1.5, false},
    {"tanh", MICA_TILE_TANH, tanh, 1.6, false},
    {"logistic", MICA_TILE_LOGISTIC, exact_logistic, 1.5, false},
    {"erf", MICA_TILE_ERF, erf, 1.5, false},
    {"sin", MICA_TILE_SIN, sin, 1.7, false},
    {"cos", MICA_TILE_COS, cos, 1.7, false},
    {"sqrt", MICA_TILE_SQRT, sqrt, 0.501, false},
    {"rsqrt", MICA_TILE_RSQRT, exact_rsqrt, 1.5, false}, /* two correct roundings */
    {"gelu", MICA_TILE_GELU, exact_gelu, 1, true},
    {"gelu_tanh", MICA_TILE_GELU_TANH, exact_gelu_tanh, 1, true},
};

/* |actual - exact| in units of the float nearest to exact. Infinity where one is NaN or infinite and the
 * other is not, or where the sign of a zero differs. */
static double ulp_error(float actual, double exact) {
  if (isnan(exact) || isnan(actual)) return isnan(exact) && isnan(actual) ? 0 : INFINITY;
  const float nearest = (float)exact;
  if (isinf(exact)) return actual == nearest ? 0 : INFINITY;
  if (exact == 0) return actual == 0 && !signbit(actual) == !signbit(exact) ? 0 : INFINITY;
  if (isinf(actual))
    return (actual > 0) == (exact > 0) && fabs(exact) >= 0x1.ffffffp127 ? 0 : INFINITY;
  int exponent;
  frexp(exact, &exponent);
  const int last = exponent - 24 < -149 ? -149 : exponent - 24;
  return ldexp(fabs((double)actual - exact), -last);
}

static void check_function(const function_case *f, uint64_t step) {
  double worst[8] = {0};
  float worst_at[8] = {0};
  for (uint64_t first = check_all_values() ? 0 : (uint64_t)check_rotation() % step;
       first <= UINT32_MAX;) {
    float in[BLOCK], out[BLOCK];
    double expected[BLOCK];
    int64_t count = 0;
    for (; count < BLOCK && first <= UINT32_MAX; count++, first += step) {
      const uint32_t bits = (uint32_t)first;
      memcpy(&in[count], &bits, sizeof bits);
      expected[count] = f->exact((double)in[count]);
    }
    const mica_cpu_kernels *row;
    for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
      row->tile->compute[f->op][MICA_TILE_CLASS_F32](count, out, in, NULL, NULL, 0);
      for (int64_t i = 0; i < count; i++) {
        /* Correct rounding is half a unit at most, which the bounds allow anyway. */
        if (!f->absolute && step == 1 && out[i] != 0 && out[i] == (float)expected[i]) continue;
        double error = ulp_error(out[i], expected[i]);
        if (f->absolute && isfinite(expected[i])) {
          error = fabs((double)out[i] - expected[i]) / (fabs((double)in[i]) * 0x1p-23 + 0x1p-149);
        }
        if (!(error <= worst[r])) worst[r] = error, worst_at[r] = in[i];
      }
    }
  }
  for (int32_t r = 0; mica_cpu_kernels_at(r) != NULL; r++) {
    if (!(worst[r] <= f->ulps)) {
      CHECK_FAIL("%s, row %s: error %g at %a, expected at most %g", f->name,
                 mica_cpu_kernels_at(r)->name, worst[r], (double)worst_at[r], f->ulps);
    }
  }
}

TEST(functions_of_one_float) {
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    check_function(&functions[i], check_all_values() ? 1 : 4099);
  }
}

static const float awkward[] = {0.0F,
                                -0.0F,
                                1.0F,
                                -1.0F,
                                2.0F,
                                -2.0F,
                                3.0F,
                                -3.0F,
                                0.5F,
                                -0.5F,
                                1.5F,
                                -1.5F,
                                0x1p-149F,
                                -0x1p-149F,
                                0x1p-126F,
                                -0x1p-126F,
                                0x1.fffffep127F,
                                -0x1.fffffep127F,
                                INFINITY,
                                -INFINITY,
                                NAN,
                                16777215.0F,
                                16777216.0F,
                                16777217.0F,
                                -16777215.0F,
                                33554431.0F,
                                0x1.fffffep-1F,
                                0x1.000002p0F,
                                -0x1.fffffep-1F,
                                -0x1.000002p0F,
                                88.5F,
                                -103.5F,
                                1e10F,
                                -1e10F,
                                1e-10F,
                                8388607.5F,
                                -8388607.5F};
enum { AWKWARD = sizeof awkward / sizeof awkward[0] };

static void check_pow(const float *x, const float *y, int64_t count) {
  float out[BLOCK];
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    row->tile->compute[MICA_TILE_POW][MICA_TILE_CLASS_F32](count, out, x, y, NULL, 0);
    for (int64_t i = 0; i < count; i++) {
      const double error = ulp_error(out[i], pow((double)x[i], (double)y[i]));
      if (error <= 0.6) continue;
      CHECK_FAIL("pow(%a, %a) = %a in row %s: error %g", (double)x[i], (double)y[i], (double)out[i],
                 row->name, error);
    }
  }
}

TEST(powers) {
  float x[BLOCK], y[BLOCK];
  for (int i = 0; i < AWKWARD; i++) {
    for (int j = 0; j < AWKWARD; j++) x[j] = awkward[i], y[j] = awkward[j];
    check_pow(x, y, AWKWARD);
  }
  /* Bases of all sizes, exponents that keep the result in range, and near 1 with large exponents. */
  uint64_t state = 88172645463325252ULL + (uint64_t)check_rotation();
  const int blocks = check_all_values() ? 20000 : 300;
  for (int block = 0; block < blocks; block++) {
    for (int i = 0; i < BLOCK; i++) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17; /* Marsaglia's xorshift */
      const uint32_t bits = (uint32_t)(state >> 32) & 0x7fffffff;
      memcpy(&x[i], &bits, sizeof bits);
      if (block % 3 == 1) x[i] = 1 + ((float)(bits & 0xffff) - 32768) * 0x1p-20F;
      const double limit = 150 / (fabs(log2((double)x[i])) + 1e-9);
      y[i] = (float)(((double)(uint32_t)state * 0x1p-31 - 1) * fmin(limit, 1e30));
      if (block % 3 == 2) y[i] = roundf(y[i]), x[i] = -x[i];
    }
    check_pow(x, y, BLOCK);
  }
}

/* Pairs of random bits, and of the awkward floats. */
TEST(angles_and_distances) {
  static const struct {
    mica_tile_op op;
    double (*exact)(double x, double y);
  } pairs[] = {{MICA_TILE_ATAN2, atan2}, {MICA_TILE_HYPOT, hypot}};
  float x[BLOCK], y[BLOCK], out[BLOCK];
  uint64_t state = 88172645463325252ULL + (uint64_t)check_rotation();
  const int blocks = check_all_values() ? 20000 : 300;
  for (int block = 0; block < AWKWARD + blocks; block++) {
    for (int i = 0; i < BLOCK; i++) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17; /* Marsaglia's xorshift */
      uint32_t bits[2] = {(uint32_t)(state >> 32), (uint32_t)state};
      if (block % 2) bits[1] = (bits[1] & 0x83ffffff) | (bits[0] & 0x7c000000); /* of like size */
      memcpy(&x[i], &bits[0], sizeof x[i]);
      memcpy(&y[i], &bits[1], sizeof y[i]);
      if (block < AWKWARD) x[i] = awkward[block], y[i] = awkward[i % AWKWARD];
    }
    const mica_cpu_kernels *row;
    for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
      for (int p = 0; p < 2; p++) {
        row->tile->compute[pairs[p].op][MICA_TILE_CLASS_F32](BLOCK, out, x, y, NULL, 0);
        for (int i = 0; i < BLOCK; i++) {
          const double error = ulp_error(out[i], pairs[p].exact((double)x[i], (double)y[i]));
          if (!(error <= 0.51))
            CHECK_FAIL("%s(%a, %a) = %a in row %s: error %g", p ? "hypot" : "atan2", (double)x[i],
                       (double)y[i], (double)out[i], row->name, error);
        }
      }
    }
  }
}

/* The same bits wherever an element lies and however many follow: what lets tiles start anywhere. */
TEST(position_does_not_matter) {
  enum { COUNT = 200 };
  float in[COUNT], whole[COUNT], part[COUNT];
  for (int i = 0; i < COUNT; i++) in[i] = sinf((float)i) * expf((float)(i % 13) - 4);
  in[7] = 3e7F; /* beyond the vectors' reduction of angles */
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    for (int32_t op = MICA_TILE_NEG; op < MICA_TILE_ADD; op++) {
      mica_tile_kernel *kernel = row->tile->compute[op][MICA_TILE_CLASS_F32];
      if (kernel == NULL || op == MICA_TILE_IS_FINITE) continue;
      kernel(COUNT, whole, in, NULL, NULL, 0);
      for (int64_t begin = 0; begin < 40; begin++) {
        for (int64_t count = 1; count < 40; count++) {
          memset(part, 0xa5, sizeof part);
          kernel(count, part, in + begin, NULL, NULL, 0);
          CHECK_EQ_BYTES(part, whole + begin, (size_t)count * sizeof(float));
          uint32_t beyond;
          memcpy(&beyond, &part[count], sizeof beyond);
          CHECK_EQ_BITS(beyond, 0xa5a5a5a5);
        }
      }
    }
  }
}

TEST_MAIN(TEST_CASE(functions_of_one_float), TEST_CASE(powers), TEST_CASE(angles_and_distances),
          TEST_CASE(position_does_not_matter))
