/* SPDX-License-Identifier: Apache-2.0 */
/* number_oracle.h: what conversions between dtypes should give, worked out without the library's
 * bit tricks: narrow floats by a sorted table of all their values and exact arithmetic, integers by
 * long double, which holds every i64, u64 and f64 exactly wherever the tests run. */
#ifndef NUMBER_ORACLE_H
#define NUMBER_ORACLE_H
#include "mica/core.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LDBL_MANT_DIG >= 64, "long double holds 64-bit integers");

/* A narrow float format: codes 0 .. count - 1 are its finite values from 0 upwards. */
typedef struct {
  mica_dtype dtype;
  int bits, mantissa_bits, bias;
  uint32_t count;    /* of finite codes without sign */
  uint32_t overflow; /* the code of what is too large: infinity, or NaN */
  double *value;     /* [count] */
} narrow_format;

static inline narrow_format narrow_format_make(mica_dtype dtype) {
  narrow_format format = {.dtype = dtype};
  switch (dtype) {
    case MICA_F16: format = (narrow_format){dtype, 16, 10, 15, 0x7C00, 0x7C00, NULL}; break;
    case MICA_BF16: format = (narrow_format){dtype, 16, 7, 127, 0x7F80, 0x7F80, NULL}; break;
    case MICA_F8E5M2: format = (narrow_format){dtype, 8, 2, 15, 0x7C, 0x7C, NULL}; break;
    case MICA_F8E4M3FN: format = (narrow_format){dtype, 8, 3, 7, 0x7F, 0x7F, NULL}; break;
    default: break;
  }
  format.value = malloc(format.count * sizeof(double));
  for (uint32_t code = 0; format.value != NULL && code < format.count; code++) {
    int exponent = (int)(code >> format.mantissa_bits);
    double fraction =
        ldexp((double)(code & ((1u << format.mantissa_bits) - 1)), -format.mantissa_bits);
    format.value[code] = exponent == 0 ? ldexp(fraction, 1 - format.bias)
                                       : ldexp(1 + fraction, exponent - format.bias);
  }
  return format;
}

/* The first value beyond the format's, if its exponents went on. */
static inline double narrow_beyond(const narrow_format *format) {
  double last = format->value[format->count - 1];
  return last + (last - format->value[format->count - 2]);
}

/* The nearest code of a magnitude, ties to the even one, given that `code` is the largest whose
 * value is not above it. */
static inline uint32_t narrow_choose(const narrow_format *format, long double magnitude,
                                     uint32_t code) {
  bool last = code + 1 == format->count;
  long double low = format->value[code];
  long double high = last ? narrow_beyond(format) : format->value[code + 1];
  long double middle = low + (high - low) / 2; /* exact: it has one bit more */
  bool up = magnitude > middle || (magnitude == middle && code % 2 == 1);
  return !up ? code : last ? format->overflow : code + 1;
}

static inline uint32_t narrow_sign(const narrow_format *format, bool negative) {
  return negative ? 1u << (format->bits - 1) : 0;
}

/* The code of any number but NaN. */
static inline uint32_t narrow_expected(const narrow_format *format, long double value) {
  long double magnitude = fabsl(value);
  uint32_t low = 0, high = format->count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if ((long double)format->value[middle] <= magnitude)
      low = middle;
    else
      high = middle;
  }
  uint32_t code = magnitude > LDBL_MAX ? format->overflow : narrow_choose(format, magnitude, low);
  return code | narrow_sign(format, signbit(value) != 0);
}

/* A code that is no number. */
static inline bool narrow_is_nan(const narrow_format *format, uint32_t code) {
  uint32_t magnitude = code & ~narrow_sign(format, true);
  return format->dtype == MICA_F8E4M3FN ? magnitude == 0x7F : magnitude > format->overflow;
}

/* Numbers that sit where conversions go wrong, without a pattern; the same each time. */
static inline uint64_t oracle_random(uint64_t *state) {
  *state += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64, Steele, Lea and Flood 2014 */
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

#endif
