/* SPDX-License-Identifier: Apache-2.0 */
/* Computes a block of C: blocks of k, strips of rows, tiles. */
#include <string.h>

#include "backend/cpu/kernels/gemm_internal.h"

/* Elements between the copied rows of A: no multiple of a page. */
int64_t mica_gemm_copy_row(const mica_gemm_plan *plan) {
  return mica_kernel_round(plan->depth, 16) + 16;
}

int64_t mica_gemm_depth_of(const mica_gemm_plan *plan, int64_t k, int64_t depth_block) {
  return mica_kernel_max(0, mica_kernel_min(plan->depth, k - depth_block * plan->depth));
}

const char *mica_gemm_panel_at(const mica_gemm_plan *plan, const mica_gemm_panels *panels,
                               int64_t k, int64_t depth_block, int64_t column) {
  const int64_t before = (depth_block - panels->first_depth_block) * plan->depth;
  const int64_t inside = mica_gemm_depth_of(plan, k, depth_block) * (column - panels->first_column);
  return panels->base + (before * panels->columns + inside) * plan->kernels->element_size;
}

/* Points the tile at a strip of A, rows [row, row + rows) of columns [k, k + depth). */
static void gemm_strip(const mica_gemm_plan *plan, const mica_gemm *g, const char *a, int64_t row,
                       int64_t rows, int64_t k, int64_t depth, char *copy, mica_gemm_tile *tile) {
  const int64_t size = plan->kernels->element_size;
  const char *from = mica_gemm_at(a, row * g->a_row + k * g->a_column, size);
  tile->a = copy;
  switch (plan->a_source) {
    case MICA_GEMM_A_DIRECT:
      tile->a = from;
      tile->a_row = g->a_row;
      tile->a_step = g->a_column;
      return;
    case MICA_GEMM_A_COLUMNS:
      tile->a_row = 1;
      tile->a_step = plan->kernels->tile_rows;
      return; /* gemm_copy_strips has copied it */
    case MICA_GEMM_A_ROWS:
    case MICA_GEMM_A_ANY: break;
  }
  tile->a_row = mica_gemm_copy_row(plan);
  tile->a_step = 1;
  for (int64_t r = 0; r < rows; r++) {
    const char *from_row = mica_gemm_at(from, r * g->a_row, size);
    char *to = copy + r * tile->a_row * size;
    if (plan->a_source == MICA_GEMM_A_ROWS) {
      memcpy(to, from_row, (size_t)(depth * size));
    } else if (size == 4) {
      for (int64_t p = 0; p < depth; p++) memcpy(to + p * 4, from_row + p * g->a_column * 4, 4);
    } else {
      for (int64_t p = 0; p < depth; p++) memcpy(to + p * 8, from_row + p * g->a_column * 8, 8);
    }
  }
}

/* Copies the columns of MICA_GEMM_STRIPS strips at a time, a few steps of k for each in turn: a line
 * of a transposed A belongs to several strips, and its rows may all fall into one set of the cache. */
enum { GEMM_STRIP_STEPS = 8 };

static void gemm_copy_strips(const mica_gemm_plan *plan, const mica_gemm *g, const char *from,
                             const int64_t *rows, int64_t strips, int64_t depth, char *copy) {
  const int64_t size = plan->kernels->element_size, tile_rows = plan->kernels->tile_rows;
  for (int64_t p = 0; p < depth; p += GEMM_STRIP_STEPS) {
    const int64_t steps = mica_kernel_min(GEMM_STRIP_STEPS, depth - p);
    int64_t row = 0;
    for (int64_t s = 0; s < strips; s++) {
      plan->kernels->copy_columns(rows[s], steps, mica_gemm_at(from, row + p * g->a_column, size),
                                  g->a_column, copy + (s * plan->depth + p) * tile_rows * size);
      row += rows[s];
    }
  }
}

/* The part of an operand that is needed next, asked for a few lines before each tile: rows pages
 * apart are nothing that the hardware foresees, and many lines asked for at once would hold up the
 * tile's own. */
typedef struct gemm_ahead {
  const char *row;
  int64_t row_step, row_bytes, rows; /* bytes; rows that are left */
  int64_t at, each;                  /* bytes asked for of this row; lines before each tile */
} gemm_ahead;

static gemm_ahead gemm_look_ahead(const char *from, int64_t row_step, int64_t row_bytes,
                                  int64_t rows, int64_t tiles) {
  const int64_t lines = rows * mica_kernel_ceil(row_bytes, 64);
  return (gemm_ahead){from, row_step, row_bytes, rows, 0, mica_kernel_ceil(lines, tiles)};
}

static inline void gemm_ask(gemm_ahead *ahead) {
  for (int64_t i = 0; i < ahead->each && ahead->rows > 0; i++) {
    __builtin_prefetch(ahead->row + ahead->at, 0, 2);
    ahead->at += 64;
    if (ahead->at >= ahead->row_bytes) {
      ahead->at = 0;
      ahead->row += ahead->row_step;
      ahead->rows--;
    }
  }
}

/* What gemm_run_block needs at hand for its strips. */
typedef struct gemm_pass {
  const mica_gemm_job *run;
  const mica_gemm_block *block;
  const char *a, *b; /* of the item */
  char *c, *copy, *own;
  mica_gemm_panels panels;
  int64_t tail; /* columns from here on of a direct B are packed */
  int64_t strips;
  gemm_ahead ahead_a, ahead_b;
} gemm_pass;

static int64_t gemm_strip_rows(const gemm_pass *pass, int64_t strip) {
  return (pass->block->rows + strip) / pass->strips;
}

/* The tiles of one strip. */
static void gemm_run_strip(gemm_pass *pass, int64_t depth_block, int64_t row, int64_t rows,
                           mica_gemm_tile *tile) {
  const mica_gemm_plan *plan = pass->run->plan;
  const mica_gemm *g = pass->run->g;
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t size = kernels->element_size, panel = plan->panel, vector = kernels->vector;
  const int64_t end = pass->block->column + pass->block->columns;
  const bool last = depth_block == plan->depth_blocks - 1;
  for (int64_t column = pass->block->column; column < end;) {
    int64_t width = mica_kernel_min(panel, end - column);
    if (plan->b_source != MICA_GEMM_B_DIRECT) {
      tile->b = mica_gemm_panel_at(plan, &pass->panels, g->k, depth_block, column);
      tile->b_step = width > vector ? panel : vector;
    } else if (column < pass->tail) {
      width = mica_kernel_min(width, pass->tail - column);
      tile->b = mica_gemm_at(pass->b, depth_block * plan->depth * g->b_row + column, size);
      tile->b_step = g->b_row;
    } else {
      tile->b = pass->own;
      tile->b_step = vector;
    }
    tile->c = pass->c + (row * g->c_row + column) * size;
    tile->columns = width;
    tile->bias = last && g->finish.bias ? mica_gemm_at(g->finish.bias, column, size) : NULL;
    gemm_ask(&pass->ahead_a);
    gemm_ask(&pass->ahead_b);
    kernels->tile[rows - 1][width > vector](tile);
    column += width;
  }
  if (last && g->finish.epilogue) {
    g->finish.epilogue(g->finish.context, pass->block->item * g->m + row, pass->block->column, rows,
                       pass->block->columns,
                       pass->c + (row * g->c_row + pass->block->column) * size, g->c_row);
  }
}

/* Looks ahead to the strips of A after strip s (to the next group of them, of a transposed A). */
static void gemm_look_at_a(gemm_pass *pass, int64_t s, int64_t next_row, int64_t k, int64_t depth,
                           int64_t panels) {
  const mica_gemm_plan *plan = pass->run->plan;
  const mica_gemm *g = pass->run->g;
  const int64_t size = plan->kernels->element_size;
  if (plan->a_source == MICA_GEMM_A_COLUMNS) {
    if (s % MICA_GEMM_STRIPS != 0) return;
    int64_t rows = 0, row = next_row - gemm_strip_rows(pass, s);
    for (int64_t i = 0; i < 2 * MICA_GEMM_STRIPS && s + i < pass->strips; i++) {
      if (i < MICA_GEMM_STRIPS) {
        row += gemm_strip_rows(pass, s + i);
      } else {
        rows += gemm_strip_rows(pass, s + i);
      }
    }
    pass->ahead_a =
        gemm_look_ahead(mica_gemm_at(pass->a, row + k * g->a_column, size), g->a_column * size,
                        rows * size, rows > 0 ? depth : 0, panels * MICA_GEMM_STRIPS);
  } else if (g->a_column == 1 && s + 1 < pass->strips) {
    pass->ahead_a =
        gemm_look_ahead(mica_gemm_at(pass->a, next_row * g->a_row + k, size), g->a_row * size,
                        depth * size, gemm_strip_rows(pass, s + 1), panels);
  }
}

/* Looks ahead to the B that the block packs next: the next block of k, or the next columns. */
static void gemm_look_at_b(gemm_pass *pass, int64_t depth_block, int64_t tiles) {
  const mica_gemm_plan *plan = pass->run->plan;
  const mica_gemm *g = pass->run->g;
  const int64_t size = plan->kernels->element_size;
  int64_t next = depth_block + 1, column = pass->block->column, columns = pass->block->columns;
  pass->ahead_b.rows = 0;
  if (plan->b_source != MICA_GEMM_B_BLOCK) return;
  if (next == plan->depth_blocks) {
    next = 0;
    column += columns;
    columns = mica_kernel_min(columns, g->n - column);
    if (columns <= 0) return;
  }
  const int64_t depth = mica_gemm_depth_of(plan, g->k, next);
  const char *from =
      mica_gemm_at(pass->b, next * plan->depth * g->b_row + column * g->b_column, size);
  if (g->b_column == 1) {
    pass->ahead_b = gemm_look_ahead(from, g->b_row * size, columns * size, depth, tiles);
  } else if (g->b_row == 1) {
    pass->ahead_b = gemm_look_ahead(from, g->b_column * size, depth * size, columns, tiles);
  }
}

void mica_gemm_run_block(const mica_gemm_job *run, const mica_gemm_block *block, char *worker) {
  const mica_gemm_plan *plan = run->plan;
  const mica_gemm *g = run->g;
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t size = kernels->element_size, vector = kernels->vector;
  gemm_pass pass = {.run = run,
                    .block = block,
                    .copy = worker,
                    .own = worker + plan->copy_bytes,
                    .panels = run->panels};
  pass.a = mica_gemm_at(g->a, mica_gemm_item_offset(g, g->a_batch, block->item), size);
  pass.b = mica_gemm_at(g->b, mica_gemm_item_offset(g, g->b_batch, block->item), size);
  pass.c = (char *)g->c + mica_gemm_item_offset(g, g->c_batch, block->item) * size;
  pass.strips = mica_kernel_ceil(block->rows, kernels->tile_rows);
  const int64_t column_end = block->column + block->columns;
  pass.tail = column_end == g->n ? g->n - g->n % vector : column_end;
  if (plan->b_source == MICA_GEMM_B_BLOCK) {
    pass.panels =
        (mica_gemm_panels){pass.own, mica_kernel_round(block->columns, vector), block->column, 0};
  }
  const int64_t panels = mica_kernel_ceil(block->columns, plan->panel);

  for (int64_t d = block->depth_block; d < block->depth_block + block->depth_blocks; d++) {
    const int64_t k = d * plan->depth, depth = mica_gemm_depth_of(plan, g->k, d);
    const mica_gemm_segment segment = {0, depth};
    mica_gemm_tile tile = {.segments = &segment,
                           .segment_count = 1,
                           .c_row = g->c_row,
                           .accumulate = g->accumulate || d > 0,
                           .relu = d == plan->depth_blocks - 1 && g->finish.relu,
                           .fetch = plan->fetch && !run->stream,
                           .stream = run->stream};
    if (plan->b_source == MICA_GEMM_B_BLOCK) {
      pass.panels.first_depth_block = d;
      kernels->pack(depth, block->columns,
                    mica_gemm_at(pass.b, k * g->b_row + block->column * g->b_column, size),
                    g->b_row, g->b_column, pass.own, depth, 0);
    } else if (plan->b_source == MICA_GEMM_B_DIRECT && pass.tail < column_end) {
      kernels->pack(depth, column_end - pass.tail,
                    mica_gemm_at(pass.b, k * g->b_row + pass.tail, size), g->b_row, 1, pass.own,
                    depth, 0);
    }
    if (plan->fetch_b) gemm_look_at_b(&pass, d, panels * pass.strips);
    int64_t row = block->row;
    for (int64_t s = 0; s < pass.strips; s++) {
      const int64_t rows = gemm_strip_rows(&pass, s);
      char *copy = pass.copy;
      if (plan->a_source == MICA_GEMM_A_COLUMNS) {
        if (s % MICA_GEMM_STRIPS == 0) {
          int64_t heights[MICA_GEMM_STRIPS];
          const int64_t count = mica_kernel_min(MICA_GEMM_STRIPS, pass.strips - s);
          for (int64_t i = 0; i < count; i++) heights[i] = gemm_strip_rows(&pass, s + i);
          gemm_copy_strips(plan, g, mica_gemm_at(pass.a, row + k * g->a_column, size), heights,
                           count, depth, copy);
        }
        copy += s % MICA_GEMM_STRIPS * plan->depth * kernels->tile_rows * size;
      }
      gemm_strip(plan, g, pass.a, row, rows, k, depth, copy, &tile);
      if (plan->fetch_a) gemm_look_at_a(&pass, s, row + rows, k, depth, panels);
      gemm_run_strip(&pass, d, row, rows, &tile);
      row += rows;
    }
  }
  if (run->stream) kernels->stream_end();
}
