/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of the native engine: C [m, n] = (C +) A [m, k] * B [k, n], for f32, f64 and i32.
 *
 * gemm.c plans and drives; the inner parts (register tiles, packing, bandwidth-bound products) come
 * from the row of the instruction set in use. Nothing here allocates: the caller asks for the size
 * of the scratch memory and passes it. Nothing here starts threads: the caller passes a
 * mica_parallel.
 *
 * Same bits for any number of threads: each element of C is the sum over blocks of k (cut by k and
 * the row alone) of a chain of fused multiply-adds in the order of k, whatever the tile, the path or
 * the packing. The bandwidth-bound paths for k-contiguous operands sum in lanes instead; they are
 * chosen by shape and strides alone. */
#ifndef MICA_BACKEND_CPU_KERNELS_GEMM_H
#define MICA_BACKEND_CPU_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a kernel runs tasks side by side. `run` calls task(context, index, worker) once for each index
 * in [0, count), on at most `threads` threads, worker in [0, threads) naming the thread's scratch,
 * and returns when all are done. */
typedef struct mica_parallel {
  void (*run)(void *self, int64_t count, void (*task)(void *context, int64_t index, int32_t worker),
              void *context);
  void *self;
  int32_t threads;
} mica_parallel;

/* Called on a finished block C[row .. row + rows, column .. column + columns) while it is in cache;
 * c points at its first element, rows are c_row elements apart. `row` counts through the batch (for
 * a product: batch index * m + row; for a convolution: output pixels of the whole batch). Called
 * exactly once for each element, from any worker. */
typedef void mica_gemm_epilogue(void *context, int64_t row, int64_t column, int64_t rows,
                                int64_t columns, void *c, int64_t c_row);

/* What happens to a block of the result after the sum, in this order. {0}: nothing. */
typedef struct mica_gemm_finish {
  const void *bias; /* [n], added to each row; NULL: none */
  bool relu;        /* max(c, 0), NaN kept */
  mica_gemm_epilogue *epilogue;
  void *context;
} mica_gemm_finish;

typedef enum mica_gemm_type {
  MICA_GEMM_F32,
  MICA_GEMM_F64,
  MICA_GEMM_I32, /* wraps; also serves u32 */
  MICA_GEMM_TYPE_COUNT
} mica_gemm_type;

enum { MICA_GEMM_BATCH_RANK = 4 };

/* One product or a batch of them. All strides count elements; any stride of A and B may be zero or
 * negative, rows of C are contiguous and do not overlap each other nor A, B. */
typedef struct mica_gemm {
  mica_gemm_type type;
  int64_t m, n, k;
  int32_t batch_rank; /* 0: one product */
  int64_t batch[MICA_GEMM_BATCH_RANK];
  const void *a;
  int64_t a_row, a_column, a_batch[MICA_GEMM_BATCH_RANK];
  const void *b; /* may be NULL when b_packed is given */
  int64_t b_row, b_column, b_batch[MICA_GEMM_BATCH_RANK];
  const void *b_packed; /* from mica_gemm_pack of the same row, type, n, k; shared by the batch */
  void *c;
  int64_t c_row, c_batch[MICA_GEMM_BATCH_RANK];
  bool accumulate; /* add to C instead of overwriting it */
  mica_gemm_finish finish;
} mica_gemm;

struct mica_cpu_kernels;

/* Bytes of scratch (64-byte aligned) that mica_gemm_run needs; SIZE_MAX when that overflows.
 * Reads sizes, strides and whether b_packed is set; no other pointer. */
size_t mica_gemm_scratch_size(const struct mica_cpu_kernels *kernels, const mica_gemm *problem,
                              int32_t threads);

/* Computes the product. `scratch` has mica_gemm_scratch_size(kernels, problem, parallel->threads)
 * bytes. Safe to call from many threads at once with scratch of their own. */
void mica_gemm_run(const struct mica_cpu_kernels *kernels, const mica_gemm *problem,
                   const mica_parallel *parallel, void *scratch);

/* Whether B packed beforehand serves the product: it is one for the batch, and would be packed otherwise. The
 * bits of the result are the same. */
bool mica_gemm_is_packed(const struct mica_cpu_kernels *kernels, const mica_gemm *problem);
/* Scratch that is enough with b_packed and without. */
size_t mica_gemm_any_scratch_size(const struct mica_cpu_kernels *kernels, const mica_gemm *problem,
                                  int32_t threads);

/* Weights packed once: bytes for B [k, n], SIZE_MAX on overflow, and the packing itself (64-byte
 * aligned destination). Only type, n, k and B's strides of `problem` are read. */
size_t mica_gemm_packed_size(const struct mica_cpu_kernels *kernels, const mica_gemm *problem);
void mica_gemm_pack(const struct mica_cpu_kernels *kernels, const mica_gemm *problem,
                    const mica_parallel *parallel, void *packed);

#endif
