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
 * axis, 0: as x has it (irfft: 2 (size - 1)); x is cut, or filled with zeros, at the end. A line with
 * an infinity or NaN has some in its transform; which, is not specified. */
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

/* ---- signals: over the last axis ---------------------------------------------------------------- */

/* Windows [n] of a float dtype; x = i / n for the periodic one (for transforms), i / (n - 1) for the
 * symmetric one (for filters); a single element is 1. Hann 1/2 - 1/2 cos(2 pi x), Hamming 0.54 - 0.46 cos(2
 * pi x), Blackman 0.42 - 1/2 cos(2 pi x) + 0.08 cos(4 pi x), Bartlett 1 - |2 x - 1|. */
MICA_API mica_value mica_hann_window(mica_graph *graph, mica_dtype dtype, int64_t n, bool periodic);
MICA_API mica_value mica_hamming_window(mica_graph *graph, mica_dtype dtype, int64_t n,
                                        bool periodic);
MICA_API mica_value mica_blackman_window(mica_graph *graph, mica_dtype dtype, int64_t n,
                                         bool periodic);
MICA_API mica_value mica_bartlett_window(mica_graph *graph, mica_dtype dtype, int64_t n,
                                         bool periodic);

/* x [..., n] -> [..., frames, length], frame i begins at i * hop; frames = 1 + (n - length) / hop, what is
 * left over is dropped; n >= length. overlap_add is its transpose: x [..., frames, length] -> [...,
 * (frames - 1) hop + length], sums where frames overlap. */
MICA_API mica_value mica_frame(mica_value x, int64_t length, int64_t hop);
MICA_API mica_value mica_overlap_add(mica_value x, int64_t hop);

/* The short-time transform of real x [..., n] -> complex [..., frames, length / 2 + 1]: rfft of each
 * frame times the window. Frame i is centered on element i * hop: x is continued by length / 2 at both
 * ends, reflected (n > length / 2) or with zeros; or frames only lie where x is (MICA_STFT_INSIDE). istft
 * takes it back by the least squares of Griffin and Lim (1984): frames times the window, added up,
 * divided by the sum of squared windows (0 where that is below 1e-11); without what x was continued by,
 * or `samples` of it. It has to be given the length, hop, window and border of the stft. */
typedef enum { MICA_STFT_REFLECT, MICA_STFT_ZEROS, MICA_STFT_INSIDE } mica_stft_border;
typedef struct {
  size_t struct_size;
  mica_value x;
  const struct mica_names_only *named_;
  int64_t length, hop; /* of a frame; hop 0: length / 4, at least 1 */
  mica_value window;   /* [length] of the real dtype; none: ones */
  mica_stft_border border;
  int64_t samples; /* istft */
} mica_stft_args;
MICA_API mica_value mica_stft_with(const mica_stft_args *args);
MICA_API mica_value mica_istft_with(const mica_stft_args *args);
#define MICA_STFT_ARGS(...) (&(mica_stft_args){.struct_size = sizeof(mica_stft_args), __VA_ARGS__})
#define mica_stft(...)      mica_stft_with(MICA_STFT_ARGS(__VA_ARGS__))
#define mica_istft(...)     mica_istft_with(MICA_STFT_ARGS(__VA_ARGS__))

/* The convolution of x [..., n] and y [..., m], leading axes broadcast, by transforms in O((n + m) log (n
 * + m)): full [..., n + m - 1], same: its n middle ones from (m - 1) / 2 on, valid [..., n - m + 1] where y
 * lies within x (n >= m). f32, f64, c64, c128; n, m >= 1. */
typedef enum { MICA_CONVOLVE_FULL, MICA_CONVOLVE_SAME, MICA_CONVOLVE_VALID } mica_convolve_mode;
MICA_API mica_value mica_fft_convolve(mica_value x, mica_value y, mica_convolve_mode mode);

#ifdef __cplusplus
}
#endif
#endif
