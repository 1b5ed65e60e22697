/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_kernels.h: the inner loops of factorizations, for f32 and f64. Arrays are of the element
 * type, strides count elements. Sums run in an order that depends on sizes alone. */
#ifndef MICA_BACKEND_CPU_KERNELS_LINALG_KERNELS_H
#define MICA_BACKEND_CPU_KERNELS_LINALG_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

/* Rotations of rows (first, first + 1), (first + 1, first + 2), .., or in the opposite order: cosines
 * and sines in the order of rows. Row i becomes c row_i + s row_(i + 1), row i + 1 becomes c row_(i +
 * 1) - s row_i. */
typedef struct mica_linalg_rotation_run {
  int64_t first, count;
  const double *pairs;
  bool backward;
} mica_linalg_rotation_run;

typedef struct mica_linalg_kernels {
  int32_t element_size;
  int32_t strip; /* columns that `rotate` keeps in registers */
  void (*axpy)(int64_t n, double a, const void *x, void *y); /* y += a x */
  double (*dot)(int64_t n, const void *x, const void *y);    /* sum of x y */
  void (*scale)(int64_t n, double a, void *x);               /* x *= a */
  void (*negate)(int64_t n, const void *x, void *y);         /* y = -x */
  /* U with a = U' U in the upper triangle of a small matrix; false: not positive definite. */
  bool (*cholesky)(int64_t n, void *a, int64_t row);
  /* b [n, m] becomes the solution of L x = b for a small lower triangle L, whose element (i, j) is
   * a[i * row + j * column]; strides may be negative. */
  void (*solve)(int64_t n, int64_t m, const void *a, int64_t row, int64_t column, bool unit,
                void *b, int64_t b_row);
  /* All runs on a strip of rows, `width` <= strip columns wide. */
  void (*rotate)(const mica_linalg_rotation_run *runs, int64_t run_count, void *rows, int64_t row,
                 int64_t width);
} mica_linalg_kernels;

#endif
