/* SPDX-License-Identifier: Apache-2.0 */
/* What is faster taken whole than as a tile program: normalizations over the last axis, Adam, transposes,
 * positions of extremes. f32 where no dtype is named.
 *
 * Every kernel does the half-open range [begin, end) of its units, which the caller splits among threads
 * as he likes: the bits do not depend on it. Nothing is allocated. Rows are contiguous: row i of an array
 * begins at i * length. Results may take the place of the operand of the same shape. `stream` writes around
 * the caches, for results that are large and not read next. */
#ifndef MICA_BACKEND_CPU_KERNELS_ROW_KERNELS_H
#define MICA_BACKEND_CPU_KERNELS_ROW_KERNELS_H
#include <stdbool.h>
#include <stdint.h>

/* x [rows, length] -> y [rows, length]: softmax and log_softmax over the last axis. */
typedef struct mica_row_map {
  const float *x;
  float *y;
  int64_t length;
  bool stream;
} mica_row_map;

/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the last axis (Ba, Kiros and Hinton 2016,
 * arXiv 1607.06450). */
typedef struct mica_row_norm {
  const float *x, *scale, *bias; /* scale, bias [length], NULL: 1 and 0 */
  float *y;
  int64_t length;
  float epsilon;
  bool stream;
} mica_row_norm;

/* Its gradient: dx, and the sums over rows of dy * normalized x and of dy, for chunks of rows. Units are
 * chunks. `partial` is [chunks, 2, length]; mica_row_sum makes dscale and dbias of it. */
typedef struct mica_row_norm_gradient {
  const float *x, *scale, *dy; /* scale may be NULL */
  float *dx, *partial;         /* partial may be NULL: no dscale and dbias */
  int64_t rows, length, chunk; /* chunk: rows of one, mica_row_norm_chunk */
  float epsilon;
} mica_row_norm_gradient;

/* Rows of a chunk, by the shape alone; there are (rows + chunk - 1) / chunk of them. */
static inline int64_t mica_row_norm_chunk(int64_t rows) {
  const int64_t chunk = (rows + 63) / 64;
  return chunk < 16 ? 16 : chunk;
}

/* y[j] = sum over i of x[i * step + j], pairwise; units are columns j. */
typedef struct mica_row_sum {
  const float *x;
  float *y;
  int64_t count, step;
} mica_row_sum;

/* loss[i] = log(sum of exp(logits[i])) - logits[i][label], NaN where the label is no class. */
typedef struct mica_row_entropy {
  const float *logits; /* [rows, length] */
  const void *labels;  /* [rows] i32, or i64 if wide_labels */
  float *loss;         /* [rows] */
  int64_t length;
  bool wide_labels;
} mica_row_entropy;

/* dlogits = (softmax(logits) - one_hot(labels)) * slope, slope[i * slope_step] for row i. */
typedef struct mica_row_entropy_gradient {
  const float *logits, *slope;
  const void *labels;
  float *dlogits;
  int64_t length, slope_step; /* 0: one slope for all rows */
  bool wide_labels, stream;
} mica_row_entropy_gradient;

/* Adam (Kingma and Ba 2015, arXiv 1412.6980), units are elements: m = beta1 m + (1 - beta1) g, v = beta2 v +
 * (1 - beta2) g^2, p = p - rate * (m / correction1) / (sqrt(v / correction2) + epsilon). All in place. */
typedef struct mica_row_adam {
  float *p, *m, *v;
  const float *g;
  float rate, beta1, beta2, epsilon, correction1, correction2; /* corrections: 1 - beta^step */
} mica_row_adam;

/* Position of the first NaN or else of the first largest (smallest) element of each row. */
typedef struct mica_row_position {
  const float *x; /* [rows, length], length in [1, 2^31) */
  int32_t *y;     /* [rows] */
  int64_t length;
  bool smallest;
} mica_row_position;

/* to[i * to_step + j] = from[j * from_step + i] for i in [0, rows), j in [0, columns): steps in bytes, elements
 * of 1 << k bytes for entry k. stream: `to` is large and may be written past the caches. */
typedef void mica_transpose_kernel(int64_t rows, int64_t columns, const char *from,
                                   int64_t from_step, char *to, int64_t to_step, bool stream);

struct mica_row_kernels {
  void (*softmax)(const mica_row_map *map, int64_t begin, int64_t end);
  void (*log_softmax)(const mica_row_map *map, int64_t begin, int64_t end);
  void (*layer_norm)(const mica_row_norm *norm, int64_t begin, int64_t end);
  void (*layer_norm_gradient)(const mica_row_norm_gradient *norm, int64_t begin, int64_t end);
  void (*sum_rows)(const mica_row_sum *sum, int64_t begin, int64_t end);
  void (*cross_entropy)(const mica_row_entropy *entropy, int64_t begin, int64_t end);
  void (*cross_entropy_gradient)(const mica_row_entropy_gradient *entropy, int64_t begin,
                                 int64_t end);
  void (*adam)(const mica_row_adam *adam, int64_t begin, int64_t end);
  void (*position)(const mica_row_position *position, int64_t begin, int64_t end);
  mica_transpose_kernel *transpose[4];
};
typedef struct mica_row_kernels mica_row_kernels;

#endif
