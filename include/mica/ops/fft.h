/* SPDX-License-Identifier: Apache-2.0 */
/* fft.h: discrete Fourier transforms and what is built on them: windows, frames, short-time
 * transforms, convolution. Any length n >= 1 takes O(n log n). c64 goes with f32, c128 with f64. */
#ifndef MICA_OPS_FFT_H
#define MICA_OPS_FFT_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Where the factor 1 / n goes (n: the product of the lengths): to the inverse, 1 / sqrt(n) to both,
 * or to the forward transform. */
typedef enum { MICA_FFT_BACKWARD, MICA_FFT_ORTHO, MICA_FFT_FORWARD } mica_fft_norm;

/* fft:   y[k] = sum over j of x[j] e^(-2 pi i j k / n) over each axis; complex -> the same type (a
 *        real x is taken as complex).
 * ifft:  y[j] = 1 / n sum over k of x[k] e^(+2 pi i j k / n).
 * rfft:  of real x, the last listed axis keeps k = 0 .. n / 2: its size becomes n / 2 + 1.
 * irfft: the inverse of rfft: the last listed axis of size n / 2 + 1 becomes n; of x[0] and, for
 *        even n, x[n / 2] only the real part counts (after the other axes are transformed).
 * Axes may be any; no entry: the last axis; MICA_ALL: all. length: of the transform along each listed
 * axis, 0: as x has it (irfft: 2 (size - 1)); x is cut, or filled with zeros, at the end. */
typedef struct {
  size_t struct_size;
  mica_value x;
  const struct mica_names_only *named_;
  mica_axes axes;
  int64_t length[8];
  mica_fft_norm norm;
} mica_fft_args;
MICA_API mica_value mica_fft_with(const mica_fft_args *args);
MICA_API mica_value mica_ifft_with(const mica_fft_args *args);
MICA_API mica_value mica_rfft_with(const mica_fft_args *args);
MICA_API mica_value mica_irfft_with(const mica_fft_args *args);
#define MICA_FFT_ARGS(...) (&(mica_fft_args){.struct_size = sizeof(mica_fft_args), __VA_ARGS__})
#define mica_fft(...)      mica_fft_with(MICA_FFT_ARGS(__VA_ARGS__))
#define mica_ifft(...)     mica_ifft_with(MICA_FFT_ARGS(__VA_ARGS__))
#define mica_rfft(...)     mica_rfft_with(MICA_FFT_ARGS(__VA_ARGS__))
#define mica_irfft(...)    mica_irfft_with(MICA_FFT_ARGS(__VA_ARGS__))

/* numpy.fft.fftshift: the zero frequency goes to the middle, n / 2, of each axis; and back. */
MICA_API mica_value mica_fftshift(mica_value x, mica_axes axes);
MICA_API mica_value mica_ifftshift(mica_value x, mica_axes axes);
/* The frequencies of fft [n]: 0, 1, .. and the negative ones, over n * spacing; of rfft [n / 2 + 1].
 * A float dtype; n >= 1. */
MICA_API mica_value mica_fftfreq(mica_graph *graph, mica_dtype dtype, int64_t n, double spacing);
MICA_API mica_value mica_rfftfreq(mica_graph *graph, mica_dtype dtype, int64_t n, double spacing);

#ifdef __cplusplus
}
#endif
#endif
