/* SPDX-License-Identifier: Apache-2.0 */
/* bits.h: the bits of integers and floats. */
#ifndef MICA_OPS_BITS_H
#define MICA_OPS_BITS_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Integers, x and y broadcast. The amount y is read as an unsigned number, and one that is not below the width
 * (or is negative) shifts everything out: left and logical give 0, arithmetic copies of x's highest
 * bit, which unsigned dtypes have too. */
MICA_API mica_value mica_shift_left(mica_value x, mica_value y);
MICA_API mica_value mica_shift_right_logical(mica_value x, mica_value y);    /* zeros from above */
MICA_API mica_value mica_shift_right_arithmetic(mica_value x, mica_value y); /* the highest bit */
MICA_API mica_value mica_shift_left_number(mica_value x, double y);
MICA_API mica_value mica_shift_right_logical_number(mica_value x, double y);
MICA_API mica_value mica_shift_right_arithmetic_number(mica_value x, double y);
#ifndef __cplusplus
#define mica_shift_left(x, y) \
  _Generic((y), mica_value : mica_shift_left, default : mica_shift_left_number)((x), (y))
#define mica_shift_right_logical(x, y)         \
  _Generic((y), mica_value                     \
           : mica_shift_right_logical, default \
           : mica_shift_right_logical_number)((x), (y))
#define mica_shift_right_arithmetic(x, y)         \
  _Generic((y), mica_value                        \
           : mica_shift_right_arithmetic, default \
           : mica_shift_right_arithmetic_number)((x), (y))
#endif

/* Integers: how many bits are 1, and how many are 0 above the highest 1 (the width for 0). */
MICA_API mica_value mica_popcount(mica_value x);
MICA_API mica_value mica_count_leading_zeros(mica_value x);

/* The same bytes as another dtype (not bool). Of equal width: the same shape. To a narrower one [a...] gets one
 * more axis [a..., n] of the parts, the lowest first; to a wider one the last axis, which has to be
 * such a one, goes. Derivative 0. */
MICA_API mica_value mica_bitcast(mica_value x, mica_dtype dtype);

/* Floats: rounded to nearest even to a float of 1 to 11 bits of exponent and 0 to 52 of mantissa, and back to
 * x's dtype. Beyond its largest number infinity, below its smallest normal one 0, both of x's sign; NaN
 * stays. No effect of what is not below x's own bits. Derivatives are rounded in the same way. */
MICA_API mica_value mica_reduce_precision(mica_value x, int32_t exponent_bits,
                                          int32_t mantissa_bits);

/* Floats -> the signed integer of their width that stands in the same order, IEEE 754's totalOrder: -NaN < -inf
 * < .. < -0 < 0 < .. < inf < NaN. Comparing, sorting and searching by it is StableHLO's TOTALORDER. */
MICA_API mica_value mica_total_order(mica_value x);
/* Floats: |x| with the sign of y, which 0 and NaN have too. The derivative by y is 0. */
MICA_API mica_value mica_copysign(mica_value x, mica_value y);
MICA_API mica_value mica_sign_bit(mica_value x); /* -> bool: of -0 and -NaN too */
/* The float of x's dtype beside x towards y; y where they are equal; NaN if either is. The derivative by x
 * is 1. */
MICA_API mica_value mica_nextafter(mica_value x, mica_value y);

#ifdef __cplusplus
}
#endif
#endif
