/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and drives matrix products.
 *
 * C is cut into blocks, the unit of parallel work. A block walks k in blocks of `depth` (cut by k
 * and the row alone); for each it walks strips of up to tile_rows rows: the strip's A, copied side
 * by side where its strides would hurt, stays in L1 while the tiles pass over B, which stays in L2.
 * B is read where it lies, or from panels packed by the block itself (few rows: one block has them
 * all), by all threads together beforehand, or by the caller long ago.
 *
 * A plan may look at the number of threads: no choice it makes changes the order of the sums. */
#include <string.h>

#include "backend/cpu/kernels/gemm_internal.h"

const double mica_gemm_task_work = 1 << 16;
static const double gemm_stream_bytes = 16 << 20; /* of C: gone from the caches before it is read */
static const double gemm_near_bytes = 128 << 10;  /* what is smaller stays close to the core */
static const int64_t gemm_group_bytes = 8 << 20;  /* of B packed at a time: stays in L3 */

void mica_gemm_reserve(size_t *bytes, int64_t count, int64_t unit, int64_t size) {
  int64_t total;
  if (*bytes == SIZE_MAX) return;
  if (__builtin_mul_overflow(count, unit, &total) || __builtin_mul_overflow(total, size, &total) ||
      __builtin_add_overflow(total, 64 + (int64_t)*bytes, &total) || total > INT64_MAX / 4 ||
      (uint64_t)total > SIZE_MAX / 4) {
    *bytes = SIZE_MAX;
    return;
  }
  *bytes = (size_t)total & ~(size_t)63;
}

int64_t mica_gemm_depth(const mica_gemm_kernels *kernels, int64_t k, int64_t *blocks) {
  *blocks = mica_kernel_max(1, mica_kernel_ceil(k, kernels->block_depth));
  const int64_t depth = mica_kernel_max(1, mica_kernel_round(mica_kernel_ceil(k, *blocks), 4));
  *blocks = mica_kernel_max(1, mica_kernel_ceil(k, depth));
  return depth;
}

/* A double: only compared with thresholds. */
double mica_gemm_work(const mica_gemm *g) {
  return (double)g->m * (double)g->n * (double)mica_kernel_max(g->k, 1);
}

bool mica_gemm_streams(const mica_gemm_kernels *kernels, const mica_gemm_finish *finish,
                       const void *c, int64_t row_bytes, double bytes) {
  return kernels->stream_end && !finish->epilogue && bytes >= gemm_stream_bytes &&
         (uintptr_t)c % 64 == 0 && row_bytes % 64 == 0;
}

int64_t mica_gemm_items(const mica_gemm *g) {
  int64_t items = 1;
  for (int32_t i = 0; i < g->batch_rank; i++) items *= g->batch[i];
  return items;
}

static bool gemm_is_batch_shared(const mica_gemm *g, const int64_t *strides) {
  for (int32_t i = 0; i < g->batch_rank; i++) {
    if (g->batch[i] > 1 && strides[i] != 0) return false;
  }
  return true;
}

/* The length of blocks, between `low` and `high` units, that lets `threads` finish `units` soonest;
 * the longest of those that come close. */
static int64_t gemm_balance(int64_t units, int64_t threads, int64_t low, int64_t high) {
  int64_t best = 1, best_time = INT64_MAX / 2;
  high = mica_kernel_max(1, mica_kernel_min(high, units));
  low = mica_kernel_max(1, mica_kernel_min(low, high));
  for (int64_t length = low; length <= high; length++) {
    const int64_t rounds = mica_kernel_ceil(mica_kernel_ceil(units, length), threads);
    if (rounds * length <= best_time + best_time / 32) best = length;
    best_time = mica_kernel_min(best_time, rounds * length);
  }
  return best;
}

/* How many parts of `length`, not shorter than `shortest` where that leaves `threads` their share,
 * make `blocks` times as many even tasks of about `wanted`. */
static int64_t gemm_parts(int64_t length, int64_t shortest, int64_t blocks, int64_t threads,
                          int64_t wanted) {
  int64_t unit = 1;
  while (unit < threads && unit * blocks % threads != 0) unit++;
  int64_t parts = unit;
  while ((parts + unit) * blocks <= wanted && length >= (parts + unit) * shortest) parts += unit;
  return parts;
}

/* Where the blocks read B. A few strips do not pay for packing it, unless its rows would all fall
 * into one set of the cache. */
static mica_gemm_b_source gemm_choose_b(const mica_gemm_plan *plan, const mica_gemm *g) {
  const int64_t tile_rows = plan->kernels->tile_rows;
  const bool crowded = g->b_row * plan->kernels->element_size % 4096 == 0;
  if (g->b_packed && plan->b_shared) return MICA_GEMM_B_READY;
  if (g->b_column != 1) return MICA_GEMM_B_BLOCK;
  return g->m <= (crowded ? 2 : 6) * tile_rows || (double)g->k * (double)g->n <= 32768
             ? MICA_GEMM_B_DIRECT
             : MICA_GEMM_B_BLOCK;
}

/* Blocks of C: columns so that their share of B fits L2, and enough blocks for the threads. */
static void gemm_plan_blocks(mica_gemm_plan *plan, const mica_gemm *g, int32_t threads) {
  const mica_gemm_kernels *kernels = plan->kernels;
  const double work = mica_gemm_work(g);
  const int64_t panels = mica_kernel_ceil(g->n, plan->panel);
  const int64_t strips = mica_kernel_ceil(g->m, kernels->tile_rows);
  int64_t widest = kernels->block_bytes / (plan->depth * kernels->element_size) / plan->panel;
  widest = mica_kernel_max(widest, 1);
  int64_t columns = mica_kernel_ceil(panels, mica_kernel_ceil(panels, widest)), row_blocks = 1;
  plan->items_per_task = 1;
  plan->b_source = gemm_choose_b(plan, g);

  double wanted = work * (double)plan->items / mica_gemm_task_work;
  if (wanted > 4.0 * threads) wanted = 4.0 * threads;
  if (threads > 1 && wanted > 1 && (double)plan->items < wanted) {
    const int64_t each = mica_kernel_ceil((int64_t)wanted, plan->items);
    /* Threads that one product should feed. */
    const int64_t shares = mica_kernel_ceil(threads, plan->items);
    if (plan->b_source == MICA_GEMM_B_BLOCK) {
      /* Column blocks alone need no second phase, as long as they stay wide. */
      columns = gemm_balance(panels, shares, 4, mica_kernel_min(widest, panels / shares));
      if (mica_kernel_ceil(panels, columns) < shares || panels < 4 * shares) {
        plan->b_source = MICA_GEMM_B_SHARED;
        columns = mica_kernel_ceil(panels, mica_kernel_ceil(panels, widest));
      }
    }
    if (plan->b_source != MICA_GEMM_B_BLOCK) {
      row_blocks =
          mica_kernel_min(strips, gemm_parts(g->m, 2 * kernels->tile_rows,
                                             mica_kernel_ceil(panels, columns), shares, each));
      if (row_blocks * mica_kernel_ceil(panels, columns) < shares) {
        columns = gemm_balance(panels, mica_kernel_ceil(shares, row_blocks), 1, columns);
      }
    }
  } else if (plan->items > 1) {
    const double alone = mica_gemm_task_work / work;
    plan->items_per_task = alone > 1 ? mica_kernel_min((int64_t)alone, plan->items) : 1;
  }
  plan->row_block = mica_kernel_ceil(g->m, row_blocks);
  plan->row_blocks = mica_kernel_ceil(g->m, plan->row_block);
  plan->column_block = columns * plan->panel;
  plan->column_blocks = mica_kernel_ceil(g->n, plan->column_block);
}

static void gemm_plan_a(mica_gemm_plan *plan, const mica_gemm *g) {
  const int64_t panels = mica_kernel_ceil(mica_kernel_min(plan->column_block, g->n), plan->panel);
  if (g->a_column == 1 || g->k <= 1) {
    plan->a_source = panels <= 3 ? MICA_GEMM_A_DIRECT : MICA_GEMM_A_ROWS;
  } else if (g->a_row == 1 || g->m <= 1) {
    plan->a_source = panels <= 1 ? MICA_GEMM_A_DIRECT : MICA_GEMM_A_COLUMNS;
  } else {
    plan->a_source = MICA_GEMM_A_ANY;
  }
}

/* False: nothing to do. */
static bool gemm_make_plan(mica_gemm_plan *plan, const mica_cpu_kernels *table, const mica_gemm *g,
                           int32_t threads) {
  *plan = (mica_gemm_plan){.kernels = table->gemm[g->type], .items = mica_gemm_items(g)};
  if (plan->items <= 0 || g->m <= 0 || g->n <= 0) return false;
  const mica_gemm_kernels *kernels = plan->kernels;
  plan->panel = 2 * kernels->vector;
  plan->b_shared = gemm_is_batch_shared(g, g->b_batch);
  plan->depth = mica_gemm_depth(kernels, g->k, &plan->depth_blocks);
  gemm_plan_blocks(plan, g, threads);
  gemm_plan_a(plan, g);
  const double bytes = (double)kernels->element_size * (double)plan->items;
  plan->fetch = (double)g->m * (double)g->n * (double)kernels->element_size > gemm_near_bytes;
  plan->fetch_a = (double)g->m * (double)g->k * bytes > 2 * gemm_near_bytes;
  plan->fetch_b = (double)g->k * (double)g->n * bytes > 2 * gemm_near_bytes;

  const int64_t size = kernels->element_size;
  if (plan->a_source == MICA_GEMM_A_COLUMNS) {
    mica_gemm_reserve(&plan->copy_bytes, MICA_GEMM_STRIPS * kernels->tile_rows, plan->depth, size);
  } else if (plan->a_source != MICA_GEMM_A_DIRECT) {
    mica_gemm_reserve(&plan->copy_bytes, kernels->tile_rows, mica_gemm_copy_row(plan), size);
  }
  plan->worker_bytes = plan->copy_bytes;
  if (plan->b_source == MICA_GEMM_B_BLOCK) {
    mica_gemm_reserve(&plan->worker_bytes, plan->depth, plan->column_block, size);
  } else if (plan->b_source == MICA_GEMM_B_DIRECT && g->n % kernels->vector != 0) {
    mica_gemm_reserve(&plan->worker_bytes, plan->depth, kernels->vector, size);
  } else if (plan->b_source == MICA_GEMM_B_SHARED) {
    const int64_t block = plan->depth * size;
    const int64_t columns = gemm_group_bytes / (block * plan->depth_blocks);
    plan->group_columns =
        mica_kernel_min(mica_kernel_max(1, columns / plan->column_block) * plan->column_block,
                        mica_kernel_round(g->n, plan->panel));
    const int64_t depth_blocks = gemm_group_bytes / (block * plan->group_columns);
    plan->group_depth_blocks =
        mica_kernel_min(mica_kernel_max(1, depth_blocks), plan->depth_blocks);
    mica_gemm_reserve(&plan->shared_bytes, plan->group_columns,
                      plan->depth * plan->group_depth_blocks, size);
  }
  return true;
}

size_t mica_gemm_scratch_size(const mica_cpu_kernels *kernels, const mica_gemm *problem,
                              int32_t threads) {
  mica_gemm_plan plan;
  if (mica_gemm_is_thin(kernels, problem)) {
    return mica_gemm_thin_scratch_size(kernels, problem, threads);
  }
  if (!gemm_make_plan(&plan, kernels, problem, threads)) return 0;
  size_t bytes = plan.shared_bytes;
  if (plan.worker_bytes == SIZE_MAX) return SIZE_MAX;
  mica_gemm_reserve(&bytes, (int64_t)plan.worker_bytes, threads, 1);
  return bytes;
}

int64_t mica_gemm_item_offset(const mica_gemm *g, const int64_t *strides, int64_t item) {
  int64_t offset = 0;
  for (int32_t i = g->batch_rank - 1; i >= 0; i--) {
    offset += item % g->batch[i] * strides[i];
    item /= g->batch[i];
  }
  return offset;
}

/* Task: one block of C, or some whole products of the batch. */
static void gemm_block_task(void *context, int64_t index, int32_t worker) {
  const mica_gemm_job *run = context;
  const mica_gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  char *scratch = run->workers + plan->worker_bytes * (size_t)worker;
  const int64_t column_block = index % plan->column_blocks;
  const int64_t row_block = index / plan->column_blocks % plan->row_blocks;
  const int64_t unit = index / plan->column_blocks / plan->row_blocks;
  mica_gemm_block block = {.row = row_block * plan->row_block,
                           .column = column_block * plan->column_block,
                           .depth_block = 0,
                           .depth_blocks = plan->depth_blocks};
  block.rows = mica_kernel_min(plan->row_block, g->m - block.row);
  block.columns = mica_kernel_min(plan->column_block, g->n - block.column);
  const int64_t first = unit * plan->items_per_task;
  const int64_t end = mica_kernel_min(first + plan->items_per_task, plan->items);
  for (block.item = first; block.item < end; block.item++)
    mica_gemm_run_block(run, &block, scratch);
}

/* Task: one block of C within the group of B's columns and depth blocks that is packed now. */
static void gemm_group_task(void *context, int64_t index, int32_t worker) {
  const mica_gemm_job *run = context;
  const mica_gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  const int64_t column_blocks = mica_kernel_ceil(run->columns, plan->column_block);
  mica_gemm_block block = {.item = run->item + index / column_blocks / plan->row_blocks,
                           .row = index / column_blocks % plan->row_blocks * plan->row_block,
                           .column = run->column + index % column_blocks * plan->column_block,
                           .depth_block = run->depth_block,
                           .depth_blocks = run->depth_blocks};
  block.rows = mica_kernel_min(plan->row_block, g->m - block.row);
  block.columns = mica_kernel_min(plan->column_block, run->column + run->columns - block.column);
  mica_gemm_run_block(run, &block, run->workers + plan->worker_bytes * (size_t)worker);
}

enum { GEMM_PACK_PANELS = 4 };

/* Task: packs a few panels of one depth block into run->panels. */
static void gemm_pack_task(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const mica_gemm_job *run = context;
  const mica_gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  const int64_t size = plan->kernels->element_size;
  const int64_t step = GEMM_PACK_PANELS * plan->panel;
  const int64_t column_tasks = mica_kernel_ceil(run->columns, step);
  const int64_t column = run->column + index % column_tasks * step;
  const int64_t columns = mica_kernel_min(step, run->column + run->columns - column);
  const int64_t d = run->depth_block + index / column_tasks, k = d * plan->depth;
  const char *b = mica_gemm_at(g->b, mica_gemm_item_offset(g, g->b_batch, run->item), size);
  char *to =
      run->shared + (mica_gemm_panel_at(plan, &run->panels, g->k, d, column) - run->panels.base);
  const int64_t depth = mica_gemm_depth_of(plan, g->k, d);
  plan->kernels->pack(depth, columns, mica_gemm_at(b, k * g->b_row + column * g->b_column, size),
                      g->b_row, g->b_column, to, depth, 0);
}

static int64_t gemm_pack_task_count(const mica_gemm_job *run) {
  return mica_kernel_ceil(run->columns, GEMM_PACK_PANELS * run->plan->panel) * run->depth_blocks;
}

/* B in groups that fit L3: all threads pack one, then all multiply by it. */
static void gemm_run_shared(mica_gemm_job *run, const mica_parallel *parallel) {
  const mica_gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  const int64_t items = plan->b_shared ? plan->items : 1;
  for (run->item = 0; run->item < plan->items; run->item += items) {
    for (run->column = 0; run->column < g->n; run->column += plan->group_columns) {
      run->columns = mica_kernel_min(plan->group_columns, g->n - run->column);
      for (run->depth_block = 0; run->depth_block < plan->depth_blocks;
           run->depth_block += plan->group_depth_blocks) {
        run->depth_blocks =
            mica_kernel_min(plan->group_depth_blocks, plan->depth_blocks - run->depth_block);
        run->panels =
            (mica_gemm_panels){run->shared, mica_kernel_round(run->columns, plan->kernels->vector),
                               run->column, run->depth_block};
        parallel->run(parallel->self, gemm_pack_task_count(run), gemm_pack_task, run);
        parallel->run(parallel->self,
                      items * plan->row_blocks * mica_kernel_ceil(run->columns, plan->column_block),
                      gemm_group_task, run);
      }
    }
  }
}

void mica_gemm_run(const mica_cpu_kernels *kernels, const mica_gemm *problem,
                   const mica_parallel *parallel, void *scratch) {
  if (mica_gemm_is_thin(kernels, problem)) {
    mica_gemm_thin_run(kernels, problem, parallel, scratch);
    return;
  }
  mica_gemm_plan plan;
  if (!gemm_make_plan(&plan, kernels, problem, parallel->threads)) return;
  mica_gemm_job run = {.plan = &plan,
                       .g = problem,
                       .shared = scratch,
                       .workers = (char *)scratch + plan.shared_bytes};
  if (plan.depth_blocks == 1 && !problem->accumulate) {
    const int64_t size = plan.kernels->element_size;
    int64_t rows = problem->c_row;
    for (int32_t i = 0; i < problem->batch_rank; i++) rows |= problem->c_batch[i];
    run.stream = mica_gemm_streams(
        plan.kernels, &problem->finish, problem->c, rows * size,
        (double)plan.items * (double)problem->m * (double)problem->n * (double)size);
  }
  if (plan.b_source == MICA_GEMM_B_SHARED) {
    gemm_run_shared(&run, parallel);
    return;
  }
  if (plan.b_source == MICA_GEMM_B_READY) {
    run.panels = (mica_gemm_panels){problem->b_packed,
                                    mica_kernel_round(problem->n, plan.kernels->vector), 0, 0};
  }
  parallel->run(
      parallel->self,
      plan.column_blocks * plan.row_blocks * mica_kernel_ceil(plan.items, plan.items_per_task),
      gemm_block_task, &run);
}

bool mica_gemm_is_packed(const mica_cpu_kernels *kernels, const mica_gemm *problem) {
  mica_gemm plain = *problem;
  plain.b_packed = NULL;
  const mica_gemm_plan plan = {.kernels = kernels->gemm[problem->type]};
  return gemm_is_batch_shared(problem, problem->b_batch) && !mica_gemm_is_thin(kernels, &plain) &&
         gemm_choose_b(&plan, &plain) != MICA_GEMM_B_DIRECT;
}

size_t mica_gemm_any_scratch_size(const mica_cpu_kernels *kernels, const mica_gemm *problem,
                                  int32_t threads) {
  mica_gemm g = *problem;
  g.b_packed = NULL;
  const size_t plain = mica_gemm_scratch_size(kernels, &g, threads);
  if (!mica_gemm_is_packed(kernels, problem)) return plain;
  g.b_packed = &g; /* only that it is given matters */
  const size_t packed = mica_gemm_scratch_size(kernels, &g, threads);
  return packed > plain ? packed : plain;
}

size_t mica_gemm_packed_size(const mica_cpu_kernels *kernels, const mica_gemm *problem) {
  const mica_gemm_kernels *own = kernels->gemm[problem->type];
  size_t bytes = 0;
  mica_gemm_reserve(&bytes, mica_kernel_max(problem->k, 0),
                    mica_kernel_round(mica_kernel_max(problem->n, 0), own->vector),
                    own->element_size);
  return bytes;
}

void mica_gemm_pack(const mica_cpu_kernels *kernels, const mica_gemm *problem,
                    const mica_parallel *parallel, void *packed) {
  if (problem->k <= 0 || problem->n <= 0) return;
  mica_gemm_plan plan = {.kernels = kernels->gemm[problem->type]};
  plan.panel = 2 * plan.kernels->vector;
  plan.depth = mica_gemm_depth(plan.kernels, problem->k, &plan.depth_blocks);
  mica_gemm single = *problem;
  single.batch_rank = 0;
  mica_gemm_job run = {.plan = &plan,
                       .g = &single,
                       .shared = packed,
                       .columns = problem->n,
                       .depth_blocks = plan.depth_blocks};
  run.panels =
      (mica_gemm_panels){packed, mica_kernel_round(problem->n, plan.kernels->vector), 0, 0};
  parallel->run(parallel->self, gemm_pack_task_count(&run), gemm_pack_task, &run);
}
