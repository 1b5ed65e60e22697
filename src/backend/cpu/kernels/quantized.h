/* SPDX-License-Identifier: Apache-2.0 */
/* quantized.h: floats times weights of 8 or 4 bits, which are widened in registers. Weights lie row by row;
 * two of 4 bits share a byte, the first in its low half, and a row of them has an even number of columns.
 * Every kernel does whole ranges of columns, so that the bits do not depend on how columns are cut. */
#ifndef MICA_BACKEND_CPU_KERNELS_QUANTIZED_H
#define MICA_BACKEND_CPU_KERNELS_QUANTIZED_H
#include <stdbool.h>
#include <stdint.h>

typedef enum {
  MICA_WEIGHT_I8,
  MICA_WEIGHT_U8,
  MICA_WEIGHT_I4,
  MICA_WEIGHT_U4,
  MICA_WEIGHT_KINDS
} mica_weight_kind;

/* Bytes of `columns` weights of a row, even for 4 bits. */
static inline int64_t mica_weight_bytes(mica_weight_kind kind, int64_t columns) {
  return kind == MICA_WEIGHT_I4 || kind == MICA_WEIGHT_U4 ? columns / 2 : columns;
}

/* mica_weight_depth: rows of weights that are walked side by side, few enough for the ways of a cache set
 * that all share when a row is a power of two; MICA_WEIGHT_COLUMNS: rows of sums have room for a multiple. */
enum { MICA_WEIGHT_MOST_DEPTH = 8, MICA_WEIGHT_COLUMNS = 64 };
static inline int64_t mica_weight_depth(mica_weight_kind kind) {
  return kind == MICA_WEIGHT_I8 || kind == MICA_WEIGHT_U8 ? 4 : MICA_WEIGHT_MOST_DEPTH;
}

/* sum [rows, columns] += x [rows, depth] * (w - zero) [depth, columns], depth at most mica_weight_depth. */
typedef struct {
  int64_t rows, depth, columns;
  const float *x;
  int64_t x_row;
  const uint8_t *w;
  int64_t w_row; /* bytes */
  const float
      *zero; /* [columns] in the order that `zeros` gives, with room as sums have; NULL: 0 */
  float *sum;
  int64_t sum_row;
} mica_weight_dot;

typedef struct mica_quantized_kernels {
  void (*dot[MICA_WEIGHT_KINDS])(const mica_weight_dot *dot);
  /* to[i] = the number of weight i, in order or in that in which `dot` meets them. */
  void (*widen[MICA_WEIGHT_KINDS])(const uint8_t *from, int64_t count, float *to);
  void (*zeros[MICA_WEIGHT_KINDS])(const uint8_t *from, int64_t count, float *to);
  /* to[j] = scale[j] * (weight j - zero[j]); `to` has room as sums have, zero may be NULL. */
  void (*panel[MICA_WEIGHT_KINDS])(const uint8_t *from, int64_t columns, const float *scale,
                                   const float *zero, float *to);
  /* y[j] = (add: y[j] +) scale[j] * sum[j] */
  void (*finish)(int64_t columns, const float *sum, const float *scale, bool add, float *y);
  /* y[j] = (add: y[j] +) sum[j], which is a whole number; wraps. */
  void (*finish_whole)(int64_t columns, const float *sum, bool add, int32_t *y);
} mica_quantized_kernels;

#endif
