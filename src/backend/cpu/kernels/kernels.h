/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch table of the native engine: one row of kernels for each instruction set.
 *
 * Kernel sources (.inc) are written once over vectors of the row's width and included once by each
 * isa_<row>.c between target pragmas; all they define is static and carries the row's suffix, so
 * nothing compiled for AVX can leak into other files. A row is chosen by the CPU's feature bits,
 * never by model numbers. */
#ifndef MICA_BACKEND_CPU_KERNELS_KERNELS_H
#define MICA_BACKEND_CPU_KERNELS_KERNELS_H

#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/linalg_kernels.h"
#include "backend/cpu/kernels/quantized.h"
#include "backend/cpu/kernels/window.h"

/* A run of the k axis inside one register tile: A's elements start at `offset` and `length` of them
 * follow, a_step apart. A plain product has one; a convolution one for each row of its window. */
typedef struct mica_gemm_segment {
  int64_t offset, length;
} mica_gemm_segment;

/* One register tile: C[rows, columns] (+)= A[rows, k] * B[k, columns]. Strides in elements. */
typedef struct mica_gemm_tile {
  const void *a;
  int64_t a_row, a_step; /* between rows of the tile; between steps of k */
  const mica_gemm_segment *segments;
  int64_t segment_count;
  const void *b; /* row p of B at b + p * b_step, one or two vectors readable */
  int64_t b_step;
  void *c;
  int64_t c_row;
  int64_t columns; /* stored; fewer than the tile's width at the right edge */
  bool fetch;      /* C is large: ask for its lines before the sum */
  const void *bias;
  bool accumulate, relu;
  bool stream; /* C is aligned to vectors and large: write it past the caches */
} mica_gemm_tile;

/* The kernels of one element type. */
typedef struct mica_gemm_kernels {
  int32_t element_size;
  int32_t tile_rows;   /* tallest tile, at most 14 */
  int32_t vector;      /* lanes; a tile is one or two vectors wide */
  int32_t block_depth; /* longest block of k */
  int64_t block_bytes; /* of B that a thread keeps in its L2 cache */
  /* [rows - 1][vectors - 1] */
  void (*const (*tile)[2])(const mica_gemm_tile *tile);
  /* After tiles with `stream`, before another thread reads; NULL where there is no such store. */
  void (*stream_end)(void);
  /* Packs `depth` rows of `columns` columns into panels of 2 vectors (the last may have 1), each
   * [panel_depth][width], zero-filled on the right, from row `first_row` of the panels on. */
  void (*pack)(int64_t depth, int64_t columns, const void *b, int64_t b_row, int64_t b_column,
               void *packed, int64_t panel_depth, int64_t first_row);
  /* Copies A[rows, depth] to [depth][tile_rows] when a_row is 1. */
  void (*copy_columns)(int64_t rows, int64_t depth, const void *a, int64_t a_column, void *copy);
  /* Long thin products, thin <= 4: out [thin, count] = t [thin, depth] * big, where big's element
   * (p, j) lies at p * big_row + j (rows pass by; out_row >= count rounded up to vectors) ... */
  void (*thin_rows)(int64_t thin, int64_t count, int64_t depth, const void *t, int64_t t_row,
                    const void *big, int64_t big_row, void *out, int64_t out_row);
  /* ... or at p + j * big_column (dot products, summed in lanes). */
  void (*thin_dots)(int64_t thin, int64_t count, int64_t depth, const void *t, int64_t t_row,
                    const void *big, int64_t big_column, void *out, int64_t out_row);
} mica_gemm_kernels;

/* A run of pixels in a row of a depthwise convolution, all of which meet the same taps. Forward:
 * y[p][c] = (y +) sum over taps of x[offset_x + p * x_step + c] * w[offset_w + c]. Filter: dw[offset_w
 * + c] += sum over p of x * y. The taps' offsets are elements of x and w. */
typedef struct mica_depthwise_tap {
  int64_t x, w;
} mica_depthwise_tap;

typedef struct mica_depthwise_span {
  const mica_depthwise_tap *taps;
  int64_t tap_count;
  const float *x;
  float *y;               /* filter: read only */
  float *w;               /* forward: read only */
  int64_t x_step, y_step; /* elements between pixels */
  int64_t pixels, channels;
  const float *bias;            /* forward */
  const float *fetch, *fetch_y; /* the parts of x and, for the filter, y that the next row needs */
  bool triples;                 /* taps come in threes, x_step apart in x */
  bool accumulate, relu;
  bool stream; /* y is aligned and whole vectors: write it past the caches */
} mica_depthwise_span;

typedef struct mica_conv_kernels {
  void (*depthwise)(const mica_depthwise_span *span);
  void (*depthwise_filter)(const mica_depthwise_span *span);
} mica_conv_kernels;

typedef struct mica_cpu_kernels {
  const char *name;
  const mica_conv_kernels *conv;
  const mica_gemm_kernels *gemm[MICA_GEMM_TYPE_COUNT];
  const struct mica_tile_kernels *tile; /* tile_kernels.h */
  const struct mica_row_kernels *rows;  /* row_kernels.h */
  const mica_window_kernels *window;
  const mica_quantized_kernels *quantized;
  const mica_linalg_kernels *linalg[MICA_GEMM_TYPE_COUNT]; /* NULL for integers */
  /* Words of Philox blocks [block, block + count), four each (core.h). */
  void (*philox)(const uint32_t key[2], uint64_t block, int64_t count, uint32_t *out);
  const struct mica_fft_kernels *fft[2]; /* fft.h: f32, f64 */
  double (*limit_fma)(int64_t rounds,
                      float *sink); /* multiply-adds in registers: returns how many flops */
} mica_cpu_kernels;

extern const mica_cpu_kernels mica_cpu_kernels_baseline;
#if defined(__x86_64__)
extern const mica_cpu_kernels mica_cpu_kernels_avx2;
extern const mica_cpu_kernels mica_cpu_kernels_avx512;
#endif

/* What CPUID says in ecx of leaf 1 and ebx of leaf 7, and XGETBV in XCR0 (0 without OSXSAVE); and the best
 * row that it allows: 0 baseline, 1 avx2, 2 avx512. */
typedef struct mica_cpu_x86_features {
  uint32_t leaf1_ecx, leaf7_ebx, xcr0;
} mica_cpu_x86_features;
int32_t mica_cpu_x86_row(const mica_cpu_x86_features *features);

/* The row called `name`, or, when NULL, the one named by MICA_CPU_ISA in the environment, or else
 * the best that this CPU and its operating system support. NULL when the name is unknown or the CPU
 * lacks it. Reads the environment at each call: call it when a device opens. */
const mica_cpu_kernels *mica_cpu_kernels_select(const char *name);

/* Row `index` of those that this CPU supports, best last; NULL past the end. */
const mica_cpu_kernels *mica_cpu_kernels_at(int32_t index);

#endif
