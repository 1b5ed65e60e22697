/* SPDX-License-Identifier: Apache-2.0 */
/* fft_internal.h: tables of Fourier transforms, made once for a program, and running them on rows. */
#ifndef MICA_BACKEND_CPU_FFT_INTERNAL_H
#define MICA_BACKEND_CPU_FFT_INTERNAL_H
#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/kernels/fft.h"

/* One transform of length n for blocks in lanes; every n. Memory of the tables is the arena's; the
 * `scratch` arena may be freed afterwards. False without memory. */
bool mica_fft_plan_build(const mica_cpu_kernels *kernels, bool twice, int64_t n, mica_arena *memory,
                         mica_arena *scratch, mica_fft_plan *out);
/* e^(-2 pi i k / n) for k < count, complex numbers of f64 (twice) or f32; NULL without memory. */
void *mica_fft_roots(bool twice, int64_t n, int64_t count, mica_arena *memory);

/* One long transform as a matrix [n1, n2]: transforms down its columns, a root for each element,
 * transforms along its rows, which leave the result transposed (Bailey, "FFTs in external or
 * hierarchical memory", 1990). Where n has a large prime factor it is a convolution of length m. */
typedef struct {
  const mica_fft_kernels *kernels;
  int64_t n, m, n1, n2;               /* m = n1 n2; m = n without a chirp */
  mica_fft_plan first, second, chirp; /* chirp.chirp NULL: none */
  const void *turns;                  /* for each block of columns [n1][2][lanes] */
} mica_fft_core;
/* Whether a length is worth it; its parts. */
bool mica_fft_core_fits(const mica_fft_kernels *kernels, int64_t n, int64_t *out_m,
                        int64_t *out_n1);
bool mica_fft_core_build(const mica_cpu_kernels *kernels, bool twice, int64_t n, mica_arena *memory,
                         mica_arena *scratch, mica_fft_core *out);
/* Bytes of two blocks for one worker, whose longest plan has `elements`; SIZE_MAX on overflow. */
size_t mica_fft_worker_bytes(const mica_fft_kernels *kernels, int64_t elements);

/* Rows of a core, in numbers apart. `matrix` has room for rows * m complex numbers, `row` for m with a
 * chirp; `blocks` for each worker. `from` may be `to`. */
typedef struct {
  const mica_fft_core *core;
  const mica_parallel *parallel;
  char *blocks;
  size_t worker_bytes;
  char *matrix, *row;
  bool inverse;
  double scale;
} mica_fft_rows;
void mica_fft_rows_run(const mica_fft_rows *rows, int64_t count, const char *from, int64_t from_row,
                       char *to, int64_t to_row);

#endif
