/* SPDX-License-Identifier: Apache-2.0 */
/* Payne and Hanek's reduction (SIGNUM Newsletter 18, 1983) for one float: only those 96 bits of 2 / pi
 * matter that meet the 24 bits of x between the weights 2 and 2^-64; higher ones give multiples of 4
 * quadrants. */
#include "backend/cpu/kernels/reduce_angle.h"

#include <string.h>

double mica_reduce_angle(float x, int32_t *quadrant) {
  /* 2 / pi = 0.A2F9836E 4E441529 ... */
  static const uint32_t two_over_pi[8] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0,
                                          0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint64_t mantissa = (bits & 0x7fffff) | 0x800000;
  /* x = mantissa * 2^exponent, exponent in [-22, 104]. The window begins at the bit of weight
   * 2^(1 - exponent), or at the first. */
  const int32_t exponent = (int32_t)(bits >> 23 & 255) - 150;
  const int32_t skip = exponent > 2 ? exponent - 2 : 0;
  uint32_t window[4];
  for (int32_t i = 0; i < 4; i++) {
    const int32_t word = skip / 32 + i, shift = skip % 32;
    window[i] = two_over_pi[word];
    if (shift > 0) window[i] = window[i] << shift | two_over_pi[word + 1] >> (32 - shift);
  }
  /* mantissa * window, of which the integer part's low two bits and 94 bits of fraction are wanted:
   * the product has its binary point 96 - (exponent - skip) bits from the right. */
  const uint64_t low = mantissa * window[2], middle = mantissa * window[1] + (low >> 32);
  const uint64_t high = mantissa * window[0] + (middle >> 32);
  /* high:32 bits of middle:32 bits of low, the point 32 * 3 + skip - exponent bits from the right. */
  const int32_t point = 64 + 32 + skip - exponent; /* 94 .. 118 */
  const uint64_t upper = high, lower = middle << 32 | (low & 0xffffffff);
  /* Shift the point to bit 64 + 62, so that the top two bits are the quadrant. */
  const int32_t left = 126 - point; /* 8 .. 32 */
  uint64_t top = upper << left | lower >> (64 - left);
  uint64_t rest = lower << left;
  uint32_t q = (uint32_t)(top >> 62);
  /* The fraction of a quadrant in units of 2^-126, made signed by rounding to the nearest quadrant. */
  top &= 0x3fffffffffffffff;
  const int negative = top >= 0x2000000000000000;
  if (negative) {
    q++;
    rest = ~rest + 1;
    top = (~top + (rest == 0)) & 0x3fffffffffffffff;
  }
  double fraction = ((double)top + (double)rest * 0x1p-64) * 0x1p-62 * 0x1.921fb54442d18p+0;
  if (negative) fraction = -fraction;
  if (bits >> 31) {
    fraction = -fraction;
    q = 0 - q;
  }
  *quadrant = (int32_t)(q & 3);
  return fraction;
}
