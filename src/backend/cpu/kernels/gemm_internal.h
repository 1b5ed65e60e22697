/* SPDX-License-Identifier: Apache-2.0 */
/* What the drivers of products and convolutions share. */
#ifndef MICA_BACKEND_CPU_KERNELS_GEMM_INTERNAL_H
#define MICA_BACKEND_CPU_KERNELS_GEMM_INTERNAL_H

#include "backend/cpu/kernels/gemm.h"
#include "backend/cpu/kernels/kernels.h"

static inline int64_t mica_kernel_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t mica_kernel_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t mica_kernel_ceil(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit;
}
static inline int64_t mica_kernel_round(int64_t value, int64_t unit) {
  return mica_kernel_ceil(value, unit) * unit;
}

/* *bytes += count * unit * size, rounded up to 64 bytes; SIZE_MAX where that overflows, and from
 * then on. */
void mica_gemm_reserve(size_t *bytes, int64_t count, int64_t unit, int64_t size);

/* k in equal blocks, at most kernels->block_depth long; *blocks is at least one, for k = 0 too. */
int64_t mica_gemm_depth(const mica_gemm_kernels *kernels, int64_t k, int64_t *blocks);

/* Multiply-adds of one product of the batch, and how many are worth a task. */
double mica_gemm_work(const mica_gemm *g);
extern const double mica_gemm_task_work;

/* Whether C, of `bytes` in all and written once, is better written past the caches. */
bool mica_gemm_streams(const mica_gemm_kernels *kernels, const mica_gemm_finish *finish,
                       const void *c, int64_t row_bytes, double bytes);

int64_t mica_gemm_items(const mica_gemm *g);
int64_t mica_gemm_item_offset(const mica_gemm *g, const int64_t *strides, int64_t item);

/* gemm_thin.c: at most four rows or columns, and the other operand long and contiguous. */
bool mica_gemm_is_thin(const mica_cpu_kernels *kernels, const mica_gemm *g);
size_t mica_gemm_thin_scratch_size(const mica_cpu_kernels *kernels, const mica_gemm *g,
                                   int32_t threads);
void mica_gemm_thin_run(const mica_cpu_kernels *kernels, const mica_gemm *g,
                        const mica_parallel *parallel, void *scratch);

#endif
