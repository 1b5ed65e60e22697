/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_kernels.h: the inner loops of factorizations, for f32 and f64. Arrays are of the element
 * type, strides count elements. Sums run in an order that depends on sizes alone. */
#ifndef MICA_BACKEND_CPU_KERNELS_LINALG_KERNELS_H
#define MICA_BACKEND_CPU_KERNELS_LINALG_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct mica_linalg_kernels {
  int32_t element_size;
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
} mica_linalg_kernels;

#endif
