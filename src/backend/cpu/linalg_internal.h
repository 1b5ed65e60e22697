/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_internal.h: factorizations of the native engine.
 *
 * An algorithm is one function of a `mica_linalg`, which lends it memory and runs its products. With
 * `measure` set it only counts the memory: it takes the same path through its blocks, whose sizes do
 * not depend on numbers, and touches no element. So the plan knows the scratch of a step exactly.
 *
 * Each algorithm is written once, in an .inc file over the element type E, with names L(x). */
#ifndef MICA_BACKEND_CPU_LINALG_INTERNAL_H
#define MICA_BACKEND_CPU_LINALG_INTERNAL_H
#include "backend/cpu/plan_internal.h"

typedef struct {
  const mica_cpu_kernels *kernels;
  const mica_linalg_kernels *vector;
  const mica_parallel *parallel;
  mica_gemm_type type;
  bool measure;
  char *memory;
  size_t used, need; /* bytes; SIZE_MAX: they overflow */
} mica_linalg;

/* `count` elements of `size` bytes, aligned to 64; NULL when measuring. Given back by restoring
 * `used`. */
void *mica_linalg_take(mica_linalg *work, int64_t count, size_t size);

/* A matrix or a transposed one, wherever it lies. */
typedef struct {
  const void *at;
  int64_t row, column; /* strides in elements */
} mica_linalg_matrix;
/* C [m, n] = (C +) A [m, k] B [k, n], or C -= A B. Rows of C are contiguous. When measuring, no
 * pointer is looked at. */
typedef enum { MICA_LINALG_SET, MICA_LINALG_ADD, MICA_LINALG_SUBTRACT } mica_linalg_sum;
void mica_linalg_product(mica_linalg *work, mica_linalg_sum sum, int64_t m, int64_t n, int64_t k,
                         mica_linalg_matrix a, mica_linalg_matrix b, void *c, int64_t c_row);

/* One item of a step's batch. */
typedef struct {
  int64_t m, n; /* of the last operand that is a matrix */
  const void *attr;
  bool wanted[4]; /* results that somebody reads */
} mica_linalg_task;
/* in[], out[] are NULL when measuring. */
typedef void mica_linalg_algorithm(mica_linalg *work, const mica_linalg_task *task,
                                   const void *const *in, void *const *out);

/* step_linalg_factor.c */
mica_linalg_algorithm mica_linalg_cholesky_f32, mica_linalg_cholesky_f64;
mica_linalg_algorithm mica_linalg_triangular_f32, mica_linalg_triangular_f64;
mica_linalg_algorithm mica_linalg_lu_f32, mica_linalg_lu_f64;

/* step_linalg_orthogonal.c */
mica_linalg_algorithm mica_linalg_qr_f32, mica_linalg_qr_f64;
mica_linalg_algorithm mica_linalg_eigh_f32, mica_linalg_eigh_f64;
mica_linalg_algorithm mica_linalg_svd_f32, mica_linalg_svd_f64;

bool mica_plan_linalg(mica_plan *plan, uint32_t id);

#endif
