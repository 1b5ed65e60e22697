/* SPDX-License-Identifier: Apache-2.0 */
/* fft.h: kernels of Fourier transforms. As many transforms as a vector has lanes run side by side: a
 * block [n][2][lanes] holds element j of all of them as a vector of real and one of imaginary parts, so
 * that butterflies of any radix are plain arithmetic. The inverse is the transform with the two parts
 * in each other's place. Steps and offsets of arrays in memory are in numbers (two make a complex one). */
#ifndef MICA_BACKEND_CPU_KERNELS_FFT_H
#define MICA_BACKEND_CPU_KERNELS_FFT_H
#include <stdbool.h>
#include <stdint.h>

enum { MICA_FFT_PASS_LIMIT = 48, MICA_FFT_LANE_LIMIT = 16, MICA_FFT_PRIME_LIMIT = 61 };

/* One pass of a transform that sorts itself (Stockham; Cochran et al. 1967, decimation in frequency):
 * with n = radix * m * s, y[q + s (radix p + k)] = w^(p k) sum over j of x[q + s (p + m j)] e^(-2 pi i
 * j k / radix), w = e^(-2 pi i / (radix m)). */
typedef struct mica_fft_pass {
  int64_t radix, m, s;
  const void *twiddles; /* w^(p k): [m][radix - 1] complex */
  const void *roots;    /* e^(-2 pi i j / radix): [radix] complex, of primes without a butterfly */
} mica_fft_pass;

/* Length n; with a chirp as a convolution of length `padded`, which the passes are for. */
typedef struct mica_fft_plan {
  int64_t n, padded; /* padded: n without a chirp */
  int32_t pass_count;
  mica_fft_pass pass[MICA_FFT_PASS_LIMIT];
  const void *chirp;  /* e^(-pi i j^2 / n): [n] complex, or NULL */
  const void *filter; /* transform of the conjugate chirp, by 1 / padded: [padded] complex */
} mica_fft_plan;

/* Where the lanes of a block lie in memory: element j of lane l at memory + offset[l] + j * step. */
typedef struct mica_fft_place {
  void *memory;
  int64_t count, step; /* elements */
  int32_t lanes;       /* at most the vector's; the others are zero, or not stored */
  bool real;           /* single numbers: imaginary parts are zero, or not stored */
  const int64_t *offset;
} mica_fft_place;

/* Row functions work on interleaved complex rows, elements [begin, end). */
typedef struct mica_fft_kernels {
  int32_t lanes, element_size;
  void (*load)(const mica_fft_place *from, void *block);
  void (*store)(const mica_fft_place *to, const void *block);
  /* Transforms a block; a and b [padded][2][lanes]. Returns the one that holds the result. */
  void *(*run)(const mica_fft_plan *plan, bool inverse, void *a, void *b);
  /* Element j of the block by turn[j], both [n][2][lanes]. */
  void (*turn)(int64_t n, bool inverse, const void *turn, void *block);
  void (*scale)(int64_t n, double scale, void *block);
  /* From the transform of length h of even and odd elements as one to frequencies 0 .. h, in place;
   * and back, not divided. w^k = e^(-pi i k / h), k <= h / 2. */
  void (*real_after)(int64_t h, const void *w, void *block);
  void (*real_before)(int64_t h, const void *w, void *block);
  void (*mirror)(int64_t n, void *block); /* element n - k is the conjugate of k */
  /* to[j] = from[j] chirp[j], 0 from n on; `real`: from holds single numbers. */
  void (*row_chirp)(const mica_fft_plan *plan, bool inverse, const void *from, void *to,
                    int64_t begin, int64_t end);
  void (*row_filter)(const mica_fft_plan *plan, void *row, int64_t begin, int64_t end);
  void (*row_unchirp)(const mica_fft_plan *plan, bool inverse, double scale, const void *from,
                      void *to, int64_t begin, int64_t end);
  /* As above, for k in [begin, end) and h - k; from [h] or [h + 1], to [h + 1] or [h]. */
  void (*row_after)(int64_t h, const void *w, const void *from, void *to, int64_t begin,
                    int64_t end);
  void (*row_before)(int64_t h, const void *w, const void *from, void *to, int64_t begin,
                     int64_t end);
  void (*row_widen)(const void *from, void *to, int64_t begin, int64_t end);  /* real to complex */
  void (*row_narrow)(const void *from, void *to, int64_t begin, int64_t end); /* and back */
  void (*row_mirror)(int64_t n, const void *from, void *to, int64_t begin, int64_t end);
} mica_fft_kernels;

#endif
