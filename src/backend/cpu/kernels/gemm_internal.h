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

/* ---- gemm.c plans, gemm_block.c computes blocks of C ---- */

typedef enum mica_gemm_b_source {
  MICA_GEMM_B_DIRECT, /* rows where they lie; the last columns, less than a vector, packed by the block */
  MICA_GEMM_B_BLOCK,  /* packed by the block */
  MICA_GEMM_B_SHARED, /* packed by all threads, then used by all */
  MICA_GEMM_B_READY   /* packed by the caller */
} mica_gemm_b_source;

typedef enum mica_gemm_a_source {
  MICA_GEMM_A_DIRECT,
  MICA_GEMM_A_ROWS,
  MICA_GEMM_A_COLUMNS,
  MICA_GEMM_A_ANY
} mica_gemm_a_source;

typedef struct mica_gemm_plan {
  const mica_gemm_kernels *kernels;
  int64_t items; /* products in the batch */
  bool b_shared; /* one B for the whole batch */
  mica_gemm_b_source b_source;
  mica_gemm_a_source a_source;
  int64_t panel;        /* columns of the widest tile */
  int64_t depth;        /* of a block of k; the last may be shorter */
  int64_t depth_blocks; /* at least one, for k = 0 too */
  int64_t row_block, row_blocks;
  int64_t column_block, column_blocks;       /* a multiple of panel */
  int64_t items_per_task;                    /* more than one: a task takes whole products */
  int64_t group_columns, group_depth_blocks; /* MICA_GEMM_B_SHARED: packed at a time */
  bool fetch, fetch_a, fetch_b;              /* C, A, B do not stay in cache */
  size_t copy_bytes;                         /* a worker's A */
  size_t worker_bytes;                       /* a worker's A and B */
  size_t shared_bytes;
} mica_gemm_plan;

enum { MICA_GEMM_STRIPS = 4 }; /* of a transposed A, copied at a time */

/* Where the panels of a block of k begin: element of (depth block d, column c). */
typedef struct mica_gemm_panels {
  const char *base;
  int64_t columns; /* padded, of each depth block */
  int64_t first_column, first_depth_block;
} mica_gemm_panels;

typedef struct mica_gemm_job {
  const mica_gemm_plan *plan;
  const mica_gemm *g;
  char *workers, *shared;
  mica_gemm_panels panels; /* MICA_GEMM_B_SHARED, MICA_GEMM_B_READY */
  bool stream;
  int64_t item;                                       /* first item of the tasks */
  int64_t column, columns, depth_block, depth_blocks; /* MICA_GEMM_B_SHARED: the group */
} mica_gemm_job;

typedef struct mica_gemm_block {
  int64_t item, row, rows, column, columns;
  int64_t depth_block, depth_blocks; /* to add in this pass */
} mica_gemm_block;

/* Elements between the copied rows of A. */
int64_t mica_gemm_copy_row(const mica_gemm_plan *plan);

int64_t mica_gemm_depth_of(const mica_gemm_plan *plan, int64_t k, int64_t depth_block);
const char *mica_gemm_panel_at(const mica_gemm_plan *plan, const mica_gemm_panels *panels,
                               int64_t k, int64_t depth_block, int64_t column);
static inline const char *mica_gemm_at(const void *base, int64_t element, int64_t size) {
  return (const char *)base + element * size;
}

/* Adds the block's depth blocks to C, in a worker's scratch memory. */
void mica_gemm_run_block(const mica_gemm_job *run, const mica_gemm_block *block, char *worker);

/* gemm_thin.c: at most four rows or columns, and the other operand long and contiguous. */
bool mica_gemm_is_thin(const mica_cpu_kernels *kernels, const mica_gemm *g);
size_t mica_gemm_thin_scratch_size(const mica_cpu_kernels *kernels, const mica_gemm *g,
                                   int32_t threads);
void mica_gemm_thin_run(const mica_cpu_kernels *kernels, const mica_gemm *g,
                        const mica_parallel *parallel, void *scratch);

#endif
