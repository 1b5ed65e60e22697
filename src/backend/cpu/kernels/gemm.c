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

typedef enum gemm_b_source {
  GEMM_B_DIRECT, /* rows where they lie; the last columns, less than a vector, packed by the block */
  GEMM_B_BLOCK,  /* packed by the block */
  GEMM_B_SHARED, /* packed by all threads, then used by all */
  GEMM_B_READY   /* packed by the caller */
} gemm_b_source;

typedef enum gemm_a_source { GEMM_A_DIRECT, GEMM_A_ROWS, GEMM_A_COLUMNS, GEMM_A_ANY } gemm_a_source;

typedef struct gemm_plan {
  const mica_gemm_kernels *kernels;
  int64_t items; /* products in the batch */
  bool b_shared;          /* one B for the whole batch */
  gemm_b_source b_source;
  gemm_a_source a_source;
  int64_t panel;          /* columns of the widest tile */
  int64_t depth;          /* of a block of k; the last may be shorter */
  int64_t depth_blocks;   /* at least one, for k = 0 too */
  int64_t row_block, row_blocks;
  int64_t column_block, column_blocks; /* a multiple of panel */
  int64_t items_per_task;              /* more than one: a task takes whole products */
  int64_t group_columns, group_depth_blocks; /* GEMM_B_SHARED: packed at a time */
  bool fetch;                          /* C does not stay in cache */
  size_t copy_bytes;                   /* a worker's A */
  size_t worker_bytes;                 /* a worker's A and B */
  size_t shared_bytes;
} gemm_plan;

const double mica_gemm_task_work = 1 << 16;
enum { GEMM_STRIPS = 4, GEMM_STRIP_STEPS = 8 }; /* of a transposed A, copied at a time */
static const double gemm_stream_bytes = 16 << 20; /* of C: gone from the caches before it is read */
static const int64_t gemm_group_bytes = 8 << 20; /* of B packed at a time: stays in L3 */

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

/* Blocks of C: columns so that their share of B fits L2, then enough of them for the threads. */
static void gemm_plan_blocks(gemm_plan *plan, const mica_gemm *g, int32_t threads) {
  const mica_gemm_kernels *kernels = plan->kernels;
  const double work = mica_gemm_work(g);
  int64_t widest = kernels->block_bytes / (plan->depth * kernels->element_size);
  widest = mica_kernel_max(widest / plan->panel, 1) * plan->panel;
  plan->column_blocks = mica_kernel_ceil(g->n, widest);
  plan->row_blocks = 1;
  plan->items_per_task = 1;

  double wanted = threads > 1 ? 4.0 * threads : 1;
  if (wanted > work * (double)plan->items / mica_gemm_task_work) {
    wanted = work * (double)plan->items / mica_gemm_task_work;
  }
  const bool split = threads > 1 && wanted > 1 && (double)plan->items < wanted;
  if (g->b_packed && plan->b_shared) {
    plan->b_source = GEMM_B_READY;
  } else if (g->b_column == 1 &&
             (g->m <= 2 * kernels->tile_rows || (double)g->k * (double)g->n <= 32768)) {
    plan->b_source = GEMM_B_DIRECT;
  } else {
    plan->b_source = GEMM_B_BLOCK;
  }
  if (split) {
    const int64_t each = (int64_t)(wanted / (double)plan->items) + 1;
    if (plan->b_source == GEMM_B_BLOCK) {
      /* Column blocks alone need no second phase, while they stay wide enough. */
      const int64_t narrow = mica_kernel_max(1, g->n / (4 * plan->panel));
      if (narrow >= threads) {
        plan->column_blocks = mica_kernel_max(plan->column_blocks, mica_kernel_min(each, narrow));
      } else {
        plan->b_source = GEMM_B_SHARED;
      }
    }
    if (plan->b_source != GEMM_B_BLOCK && plan->column_blocks < each) {
      const int64_t strips = mica_kernel_ceil(g->m, kernels->tile_rows);
      plan->row_blocks = mica_kernel_min(mica_kernel_ceil(each, plan->column_blocks), strips);
      if (plan->row_blocks * plan->column_blocks < each) {
        const int64_t panels = mica_kernel_ceil(g->n, plan->panel);
        plan->column_blocks = mica_kernel_min(mica_kernel_ceil(each, plan->row_blocks), panels);
      }
    }
  } else if (plan->items > 1 && threads > 0) {
    const double alone = mica_gemm_task_work / work;
    plan->items_per_task = alone > 1 ? mica_kernel_min((int64_t)alone, plan->items) : 1;
  }
  plan->row_block = mica_kernel_ceil(g->m, plan->row_blocks);
  plan->row_blocks = mica_kernel_ceil(g->m, plan->row_block);
  plan->column_block = mica_kernel_round(mica_kernel_ceil(g->n, plan->column_blocks), plan->panel);
  plan->column_blocks = mica_kernel_ceil(g->n, plan->column_block);
}

static void gemm_plan_a(gemm_plan *plan, const mica_gemm *g) {
  const int64_t panels = mica_kernel_ceil(mica_kernel_min(plan->column_block, g->n), plan->panel);
  if (g->a_column == 1 || g->k <= 1) {
    plan->a_source = panels <= 3 ? GEMM_A_DIRECT : GEMM_A_ROWS;
  } else if (g->a_row == 1 || g->m <= 1) {
    plan->a_source = panels <= 1 ? GEMM_A_DIRECT : GEMM_A_COLUMNS;
  } else {
    plan->a_source = GEMM_A_ANY;
  }
}

/* Elements between the copied rows of A: no multiple of a page. */
static int64_t gemm_copy_row(const gemm_plan *plan) { return mica_kernel_round(plan->depth, 16) + 16; }

/* False: nothing to do. */
static bool gemm_make_plan(gemm_plan *plan, const mica_cpu_kernels *table, const mica_gemm *g,
                           int32_t threads) {
  *plan = (gemm_plan){.kernels = table->gemm[g->type], .items = mica_gemm_items(g)};
  if (plan->items <= 0 || g->m <= 0 || g->n <= 0) return false;
  const mica_gemm_kernels *kernels = plan->kernels;
  plan->panel = 2 * kernels->vector;
  plan->b_shared = gemm_is_batch_shared(g, g->b_batch);
  plan->depth = mica_gemm_depth(kernels, g->k, &plan->depth_blocks);
  gemm_plan_blocks(plan, g, threads);
  gemm_plan_a(plan, g);
  plan->fetch = (double)g->m * (double)g->n * kernels->element_size > (double)(128 << 10);

  const int64_t size = kernels->element_size;
  if (plan->a_source == GEMM_A_COLUMNS) {
    mica_gemm_reserve(&plan->copy_bytes, GEMM_STRIPS * kernels->tile_rows, plan->depth, size);
  } else if (plan->a_source != GEMM_A_DIRECT) {
    mica_gemm_reserve(&plan->copy_bytes, kernels->tile_rows, gemm_copy_row(plan), size);
  }
  plan->worker_bytes = plan->copy_bytes;
  if (plan->b_source == GEMM_B_BLOCK) {
    mica_gemm_reserve(&plan->worker_bytes, plan->depth, plan->column_block, size);
  } else if (plan->b_source == GEMM_B_DIRECT && g->n % kernels->vector != 0) {
    mica_gemm_reserve(&plan->worker_bytes, plan->depth, kernels->vector, size);
  } else if (plan->b_source == GEMM_B_SHARED) {
    const int64_t block = plan->depth * size;
    const int64_t columns = gemm_group_bytes / (block * plan->depth_blocks);
    plan->group_columns =
        mica_kernel_min(mica_kernel_max(1, columns / plan->column_block) * plan->column_block,
                 mica_kernel_round(g->n, plan->panel));
    const int64_t depth_blocks = gemm_group_bytes / (block * plan->group_columns);
    plan->group_depth_blocks = mica_kernel_min(mica_kernel_max(1, depth_blocks), plan->depth_blocks);
    mica_gemm_reserve(&plan->shared_bytes, plan->group_columns,
                 plan->depth * plan->group_depth_blocks, size);
  }
  return true;
}

size_t mica_gemm_scratch_size(const mica_cpu_kernels *kernels, const mica_gemm *problem,
                              int32_t threads) {
  gemm_plan plan;
  if (mica_gemm_is_thin(kernels, problem)) {
    return mica_gemm_thin_scratch_size(kernels, problem, threads);
  }
  if (!gemm_make_plan(&plan, kernels, problem, threads)) return 0;
  size_t bytes = plan.shared_bytes;
  if (plan.worker_bytes == SIZE_MAX) return SIZE_MAX;
  mica_gemm_reserve(&bytes, (int64_t)plan.worker_bytes, threads, 1);
  return bytes;
}

/* Where the panels of a block of k begin: element of (depth block d, column c). */
typedef struct gemm_panels {
  const char *base;
  int64_t columns; /* padded, of each depth block */
  int64_t first_column, first_depth_block;
} gemm_panels;

typedef struct gemm_run {
  const gemm_plan *plan;
  const mica_gemm *g;
  char *workers, *shared;
  gemm_panels panels; /* GEMM_B_SHARED, GEMM_B_READY */
  bool stream;
  int64_t item;       /* first item of the tasks */
  int64_t column, columns, depth_block, depth_blocks; /* GEMM_B_SHARED: the group */
} gemm_run;

static int64_t gemm_depth_of(const gemm_plan *plan, int64_t k, int64_t depth_block) {
  return mica_kernel_max(0, mica_kernel_min(plan->depth, k - depth_block * plan->depth));
}

static const char *gemm_panel_at(const gemm_plan *plan, const gemm_panels *panels, int64_t k,
                                 int64_t depth_block, int64_t column) {
  const int64_t before = (depth_block - panels->first_depth_block) * plan->depth;
  const int64_t inside = gemm_depth_of(plan, k, depth_block) * (column - panels->first_column);
  return panels->base + (before * panels->columns + inside) * plan->kernels->element_size;
}

int64_t mica_gemm_item_offset(const mica_gemm *g, const int64_t *strides, int64_t item) {
  int64_t offset = 0;
  for (int32_t i = g->batch_rank - 1; i >= 0; i--) {
    offset += item % g->batch[i] * strides[i];
    item /= g->batch[i];
  }
  return offset;
}

static const char *gemm_at(const void *base, int64_t element, int64_t size) {
  return (const char *)base + element * size;
}

/* Points the tile at a strip of A, rows [row, row + rows) of columns [k, k + depth). */
static void gemm_strip(const gemm_plan *plan, const mica_gemm *g, const char *a, int64_t row,
                       int64_t rows, int64_t k, int64_t depth, char *copy, mica_gemm_tile *tile) {
  const int64_t size = plan->kernels->element_size;
  const char *from = gemm_at(a, row * g->a_row + k * g->a_column, size);
  tile->a = copy;
  switch (plan->a_source) {
    case GEMM_A_DIRECT:
      tile->a = from;
      tile->a_row = g->a_row;
      tile->a_step = g->a_column;
      return;
    case GEMM_A_COLUMNS:
      tile->a_row = 1;
      tile->a_step = plan->kernels->tile_rows;
      return; /* gemm_copy_strips has copied it */
    case GEMM_A_ROWS:
    case GEMM_A_ANY: break;
  }
  tile->a_row = gemm_copy_row(plan);
  tile->a_step = 1;
  for (int64_t r = 0; r < rows; r++) {
    const char *from_row = gemm_at(from, r * g->a_row, size);
    char *to = copy + r * tile->a_row * size;
    if (plan->a_source == GEMM_A_ROWS) {
      memcpy(to, from_row, (size_t)(depth * size));
    } else if (size == 4) {
      for (int64_t p = 0; p < depth; p++) memcpy(to + p * 4, from_row + p * g->a_column * 4, 4);
    } else {
      for (int64_t p = 0; p < depth; p++) memcpy(to + p * 8, from_row + p * g->a_column * 8, 8);
    }
  }
}

/* Copies the columns of GEMM_STRIPS strips at a time, a few steps of k for each in turn: a line of a
 * transposed A belongs to several strips, and its rows may all fall into one set of the cache. */
static void gemm_copy_strips(const gemm_plan *plan, const mica_gemm *g, const char *from,
                             const int64_t *rows, int64_t strips, int64_t depth, char *copy) {
  const int64_t size = plan->kernels->element_size, tile_rows = plan->kernels->tile_rows;
  for (int64_t p = 0; p < depth; p += GEMM_STRIP_STEPS) {
    const int64_t steps = mica_kernel_min(GEMM_STRIP_STEPS, depth - p);
    int64_t row = 0;
    for (int64_t s = 0; s < strips; s++) {
      plan->kernels->copy_columns(rows[s], steps, gemm_at(from, row + p * g->a_column, size),
                                  g->a_column, copy + (s * plan->depth + p) * tile_rows * size);
      row += rows[s];
    }
  }
}

typedef struct gemm_block {
  int64_t item, row, rows, column, columns;
  int64_t depth_block, depth_blocks; /* to add in this pass */
} gemm_block;

static void gemm_run_block(const gemm_run *run, const gemm_block *block, char *worker) {
  const gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t size = kernels->element_size, panel = plan->panel, vector = kernels->vector;
  const char *a = gemm_at(g->a, mica_gemm_item_offset(g, g->a_batch, block->item), size);
  const char *b = gemm_at(g->b, mica_gemm_item_offset(g, g->b_batch, block->item), size);
  char *c = (char *)g->c + mica_gemm_item_offset(g, g->c_batch, block->item) * size;
  char *own = worker + plan->copy_bytes;
  gemm_panels panels = run->panels;
  if (plan->b_source == GEMM_B_BLOCK) {
    panels = (gemm_panels){own, mica_kernel_round(block->columns, vector), block->column, 0};
  }
  const int64_t column_end = block->column + block->columns;
  const int64_t tail = plan->b_source == GEMM_B_DIRECT && column_end == g->n
                           ? g->n - g->n % vector
                           : column_end; /* from here on a direct B is packed */
  const int64_t strips = mica_kernel_ceil(block->rows, kernels->tile_rows);

  for (int64_t d = block->depth_block; d < block->depth_block + block->depth_blocks; d++) {
    const int64_t k = d * plan->depth, depth = gemm_depth_of(plan, g->k, d);
    const bool last = d == plan->depth_blocks - 1;
    const mica_gemm_segment segment = {0, depth};
    mica_gemm_tile tile = {.segments = &segment, .segment_count = 1, .c_row = g->c_row,
                           .accumulate = g->accumulate || d > 0, .relu = last && g->finish.relu};
    if (plan->b_source == GEMM_B_BLOCK) {
      panels.first_depth_block = d;
      kernels->pack(depth, block->columns, gemm_at(b, k * g->b_row + block->column * g->b_column, size),
                    g->b_row, g->b_column, own, depth, 0);
    } else if (tail < column_end) {
      kernels->pack(depth, column_end - tail, gemm_at(b, k * g->b_row + tail, size), g->b_row, 1, own, depth, 0);
    }
    tile.fetch = plan->fetch && !run->stream;
    tile.stream = run->stream;
    int64_t row = block->row;
    for (int64_t s = 0; s < strips; s++) {
      const int64_t rows = (block->rows + s) / strips;
      char *copy = worker;
      if (plan->a_source == GEMM_A_COLUMNS) {
        if (s % GEMM_STRIPS == 0) {
          int64_t heights[GEMM_STRIPS], count = mica_kernel_min(GEMM_STRIPS, strips - s);
          for (int64_t i = 0; i < count; i++) heights[i] = (block->rows + s + i) / strips;
          gemm_copy_strips(plan, g, gemm_at(a, row + k * g->a_column, size), heights, count, depth,
                           worker);
        }
        copy += s % GEMM_STRIPS * plan->depth * kernels->tile_rows * size;
      }
      gemm_strip(plan, g, a, row, rows, k, depth, copy, &tile);
      for (int64_t column = block->column; column < column_end;) {
        int64_t width = mica_kernel_min(panel, column_end - column);
        if (plan->b_source == GEMM_B_DIRECT) {
          if (column < tail) {
            width = mica_kernel_min(width, tail - column);
            tile.b = gemm_at(b, k * g->b_row + column, size);
            tile.b_step = g->b_row;
          } else {
            tile.b = own;
            tile.b_step = vector;
          }
        } else {
          tile.b = gemm_panel_at(plan, &panels, g->k, d, column);
          tile.b_step = width > vector ? panel : vector;
        }
        tile.c = c + (row * g->c_row + column) * size;
        tile.columns = width;
        tile.bias = last && g->finish.bias ? gemm_at(g->finish.bias, column, size) : NULL;
        kernels->tile[rows - 1][width > vector](&tile);
        column += width;
      }
      if (last && g->finish.epilogue) {
        g->finish.epilogue(g->finish.context, block->item * g->m + row, block->column, rows,
                           block->columns, c + (row * g->c_row + block->column) * size, g->c_row);
      }
      row += rows;
    }
  }
  if (run->stream) kernels->stream_end();
}

/* Task: one block of C, or some whole products of the batch. */
static void gemm_block_task(void *context, int64_t index, int32_t worker) {
  const gemm_run *run = context;
  const gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  char *scratch = run->workers + plan->worker_bytes * (size_t)worker;
  const int64_t column_block = index % plan->column_blocks;
  const int64_t row_block = index / plan->column_blocks % plan->row_blocks;
  const int64_t unit = index / plan->column_blocks / plan->row_blocks;
  gemm_block block = {.row = row_block * plan->row_block,
                      .column = column_block * plan->column_block,
                      .depth_block = 0,
                      .depth_blocks = plan->depth_blocks};
  block.rows = mica_kernel_min(plan->row_block, g->m - block.row);
  block.columns = mica_kernel_min(plan->column_block, g->n - block.column);
  const int64_t first = unit * plan->items_per_task;
  const int64_t end = mica_kernel_min(first + plan->items_per_task, plan->items);
  for (block.item = first; block.item < end; block.item++) gemm_run_block(run, &block, scratch);
}

/* Task: one block of C within the group of B's columns and depth blocks that is packed now. */
static void gemm_group_task(void *context, int64_t index, int32_t worker) {
  const gemm_run *run = context;
  const gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  const int64_t column_blocks = mica_kernel_ceil(run->columns, plan->column_block);
  gemm_block block = {.item = run->item + index / column_blocks / plan->row_blocks,
                      .row = index / column_blocks % plan->row_blocks * plan->row_block,
                      .column = run->column + index % column_blocks * plan->column_block,
                      .depth_block = run->depth_block,
                      .depth_blocks = run->depth_blocks};
  block.rows = mica_kernel_min(plan->row_block, g->m - block.row);
  block.columns = mica_kernel_min(plan->column_block, run->column + run->columns - block.column);
  gemm_run_block(run, &block, run->workers + plan->worker_bytes * (size_t)worker);
}

enum { GEMM_PACK_PANELS = 4 };

/* Task: packs a few panels of one depth block into run->panels. */
static void gemm_pack_task(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const gemm_run *run = context;
  const gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  const int64_t size = plan->kernels->element_size;
  const int64_t step = GEMM_PACK_PANELS * plan->panel;
  const int64_t column_tasks = mica_kernel_ceil(run->columns, step);
  const int64_t column = run->column + index % column_tasks * step;
  const int64_t columns = mica_kernel_min(step, run->column + run->columns - column);
  const int64_t d = run->depth_block + index / column_tasks, k = d * plan->depth;
  const char *b = gemm_at(g->b, mica_gemm_item_offset(g, g->b_batch, run->item), size);
  char *to = run->shared + (gemm_panel_at(plan, &run->panels, g->k, d, column) - run->panels.base);
  const int64_t depth = gemm_depth_of(plan, g->k, d);
  plan->kernels->pack(depth, columns, gemm_at(b, k * g->b_row + column * g->b_column, size),
                      g->b_row, g->b_column, to, depth, 0);
}

static int64_t gemm_pack_task_count(const gemm_run *run) {
  return mica_kernel_ceil(run->columns, GEMM_PACK_PANELS * run->plan->panel) * run->depth_blocks;
}

/* B in groups that fit L3: all threads pack one, then all multiply by it. */
static void gemm_run_shared(gemm_run *run, const mica_parallel *parallel) {
  const gemm_plan *plan = run->plan;
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
            (gemm_panels){run->shared, mica_kernel_round(run->columns, plan->kernels->vector), run->column,
                          run->depth_block};
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
  gemm_plan plan;
  if (!gemm_make_plan(&plan, kernels, problem, parallel->threads)) return;
  gemm_run run = {.plan = &plan, .g = problem, .shared = scratch,
                  .workers = (char *)scratch + plan.shared_bytes};
  if (plan.depth_blocks == 1 && !problem->accumulate) {
    const int64_t size = plan.kernels->element_size;
    int64_t rows = problem->c_row;
    for (int32_t i = 0; i < problem->batch_rank; i++) rows |= problem->c_batch[i];
    run.stream = mica_gemm_streams(plan.kernels, &problem->finish, problem->c, rows * size,
                                   (double)plan.items * (double)problem->m * (double)problem->n *
                                       (double)size);
  }
  if (plan.b_source == GEMM_B_SHARED) {
    gemm_run_shared(&run, parallel);
    return;
  }
  if (plan.b_source == GEMM_B_READY) {
    run.panels =
        (gemm_panels){problem->b_packed, mica_kernel_round(problem->n, plan.kernels->vector), 0, 0};
  }
  parallel->run(parallel->self,
                plan.column_blocks * plan.row_blocks * mica_kernel_ceil(plan.items, plan.items_per_task),
                gemm_block_task, &run);
}

size_t mica_gemm_packed_size(const mica_cpu_kernels *kernels, const mica_gemm *problem) {
  const mica_gemm_kernels *own = kernels->gemm[problem->type];
  size_t bytes = 0;
  mica_gemm_reserve(&bytes, mica_kernel_max(problem->k, 0), mica_kernel_round(mica_kernel_max(problem->n, 0), own->vector),
               own->element_size);
  return bytes;
}

void mica_gemm_pack(const mica_cpu_kernels *kernels, const mica_gemm *problem,
                    const mica_parallel *parallel, void *packed) {
  if (problem->k <= 0 || problem->n <= 0) return;
  gemm_plan plan = {.kernels = kernels->gemm[problem->type]};
  plan.panel = 2 * plan.kernels->vector;
  plan.depth = mica_gemm_depth(plan.kernels, problem->k, &plan.depth_blocks);
  mica_gemm single = *problem;
  single.batch_rank = 0;
  gemm_run run = {.plan = &plan, .g = &single, .shared = packed, .columns = problem->n,
                  .depth_blocks = plan.depth_blocks};
  run.panels = (gemm_panels){packed, mica_kernel_round(problem->n, plan.kernels->vector), 0, 0};
  parallel->run(parallel->self, gemm_pack_task_count(&run), gemm_pack_task, &run);
}
