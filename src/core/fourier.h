/* SPDX-License-Identifier: Apache-2.0 */
/* fourier.h: roots of one, and a plain discrete Fourier transform in f64, for tables that are made
 * once and as an oracle. O(n log n) for every length: mixed radix where all prime factors are small,
 * else as a convolution (Bluestein, "A linear filtering approach to the computation of discrete
 * Fourier transform", IEEE Trans. Audio Electroacoust. 18, 1970). */
#ifndef MICA_CORE_FOURIER_H
#define MICA_CORE_FOURIER_H
#include "mica/core.h"

/* cos and sin of 2 pi k / n within one unit in the last place, for any k and 0 < n < 2^59. */
void mica_unit_root(int64_t k, int64_t n, double *out_cosine, double *out_sine);
/* The largest prime factor of n >= 1. */
int64_t mica_largest_factor(int64_t n);

/* How many doubles of scratch a length needs; false on overflow. prepare fills what all transforms
 * of that length share, so it is called once for a scratch; the others overwrite the rest. */
bool mica_fourier_scratch(int64_t n, size_t *out_doubles);
void mica_fourier_prepare(int64_t n, double *scratch);
/* out[k] = sum over j of in[j] e^(-2 pi i j k / n), or +2 pi when inverse (not divided by n). Complex
 * numbers as pairs; in, out [n] and scratch do not overlap. */
void mica_fourier(int64_t n, bool inverse, const double *in, double *out, double *scratch);

#endif
