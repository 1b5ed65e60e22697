/* SPDX-License-Identifier: Apache-2.0 */
/* decimal.h: the decimal digits of binary floats, exactly and in every locale. */
#ifndef MICA_CORE_DECIMAL_H
#define MICA_CORE_DECIMAL_H
#include "mica/core.h"

enum { MICA_DECIMAL_LIMIT = 40 }; /* digits at most */

/* 0.d1 d2 d3 ... * 10^point, without trailing zeros; zero has no digit and point 0. */
typedef struct {
  int32_t count, point;
  char digit[MICA_DECIMAL_LIMIT]; /* '0' .. '9', not terminated */
} mica_decimal;

/* A finite, positive binary float: mantissa * 2^exponent. */
typedef struct {
  uint64_t mantissa;
  int32_t exponent;
  bool lower_is_closer; /* a power of two: its lower neighbor is half as far as its upper one */
} mica_binary_float;

/* What `value` (its sign ignored) is in the format of `dtype`, a float dtype that holds it;
 * mantissa 0 for zero. Neighbors are the format's, so that f32 0.1 needs one digit. */
mica_binary_float mica_binary_float_of(double value, mica_dtype dtype);

/* The shortest digits that read back as `value` among its neighbors, and of those the closest to
 * it; but `least_count` digits of the exact value where that is more, and none past 10^-last_place,
 * the last one then rounded to nearest even. */
mica_decimal mica_decimal_shortest(mica_binary_float value, int32_t least_count,
                                   int32_t last_place);

#endif
