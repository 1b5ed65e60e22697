/* SPDX-License-Identifier: Apache-2.0 */
/* Sliding windows over f32 with channels innermost: pooling and its gradient; and places of extremes. A span is a run of output
 * pixels whose windows have the same cells; a cell is an offset from the pixel's place in x. */
#ifndef MICA_BACKEND_CPU_KERNELS_WINDOW_H
#define MICA_BACKEND_CPU_KERNELS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mica_window_span {
  const int64_t *cells;   /* elements, in the order of the window */
  int64_t cell_count;     /* 1 at least */
  const float *x;         /* of the first pixel */
  const float *source;    /* select: one value for each pixel and channel */
  float *out;             /* fold: the pixels; select: where x's place is in the gradient */
  int64_t x_step, y_step; /* elements between pixels: in x, in source or the folded pixels */
  int64_t pixels, channels;
  bool add; /* select: windows overlap, so add to what is there; otherwise all cells are written */
} mica_window_span;

typedef struct mica_window_kernels {
  /* out[p][c] = the largest (smallest, sum) of the cells; NaN wins, 0 is above -0. */
  void (*max)(const mica_window_span *span);
  void (*min)(const mica_window_span *span);
  void (*sum)(const mica_window_span *span);
  /* out[cell] (+)= source where the cell is its window's first NaN, else its first extreme, else 0. */
  void (*select_max)(const mica_window_span *span);
  void (*select_min)(const mica_window_span *span);
  /* The position of the first NaN, else of the first largest (smallest), of x[0 .. count); and the same for
   * each of `columns` neighbors, rows `row` elements apart. count is below 2^31. */
  int32_t (*arg_max)(const float *x, int64_t count);
  int32_t (*arg_min)(const float *x, int64_t count);
  void (*arg_max_columns)(const float *x, int64_t count, int64_t row, int64_t columns,
                          int32_t *out);
  void (*arg_min_columns)(const float *x, int64_t count, int64_t row, int64_t columns,
                          int32_t *out);
} mica_window_kernels;

#endif
