/* SPDX-License-Identifier: Apache-2.0 */
/* fft_run.c: long rows: the two halves of a transform as tasks over blocks of columns and of rows of its
 * matrix, and the convolution around them. How the work is cut depends on lengths alone. */
#include "backend/cpu/fft_internal.h"

enum { ROW_PIECE = 1 << 14 }; /* elements of a task on a row */

typedef struct {
  const mica_fft_rows *rows;
  const char *from;
  char *to;
  int64_t from_row, to_row; /* numbers */
  int64_t blocks;           /* of one row */
  bool inverse, last;
} half_job;

/* Lanes [first, first + lanes) of something, `apart` numbers from each other. */
static int32_t lay_lanes(int64_t first, int64_t count, int32_t lanes, int64_t apart,
                         int64_t offset[MICA_FFT_LANE_LIMIT]) {
  int32_t used = count - first < lanes ? (int32_t)(count - first) : lanes;
  for (int32_t l = 0; l < used; l++) offset[l] = (first + l) * apart;
  return used;
}

/* Columns of the matrix: x[j1 n2 + j2] over j1, by the root of k1 j2. */
static void transform_columns(void *context, int64_t index, int32_t worker) {
  const half_job *job = context;
  const mica_fft_rows *rows = job->rows;
  const mica_fft_core *core = rows->core;
  const mica_fft_kernels *kernels = core->kernels;
  int64_t row = index / job->blocks, block = index % job->blocks, size = kernels->element_size;
  int64_t offset[MICA_FFT_LANE_LIMIT];
  int32_t lanes = lay_lanes(block * kernels->lanes, core->n2, kernels->lanes, 2, offset);
  char *a = rows->blocks + (size_t)worker * rows->worker_bytes, *b = a + rows->worker_bytes / 2;
  mica_fft_place place = {.memory = (void *)(uintptr_t)(job->from + row * job->from_row * size),
                          .count = core->n1,
                          .step = 2 * core->n2,
                          .lanes = lanes,
                          .offset = offset};
  kernels->load(&place, a);
  char *done = kernels->run(&core->first, job->inverse, a, b);
  int64_t turned = block * core->n1 * 2 * kernels->lanes * size;
  kernels->turn(core->n1, job->inverse, (const char *)core->turns + turned, done);
  place.memory = job->to + row * job->to_row * size;
  kernels->store(&place, done);
}

/* Rows of the matrix: the result's element k2 n1 + k1 is element k2 of row k1. */
static void transform_rows(void *context, int64_t index, int32_t worker) {
  const half_job *job = context;
  const mica_fft_rows *rows = job->rows;
  const mica_fft_core *core = rows->core;
  const mica_fft_kernels *kernels = core->kernels;
  int64_t row = index / job->blocks, block = index % job->blocks, size = kernels->element_size;
  int64_t offset[MICA_FFT_LANE_LIMIT];
  int32_t lanes = lay_lanes(block * kernels->lanes, core->n1, kernels->lanes, 2 * core->n2, offset);
  char *a = rows->blocks + (size_t)worker * rows->worker_bytes, *b = a + rows->worker_bytes / 2;
  mica_fft_place place = {.memory = (void *)(uintptr_t)(job->from + row * job->from_row * size),
                          .count = core->n2,
                          .step = 2,
                          .lanes = lanes,
                          .offset = offset};
  kernels->load(&place, a);
  char *done = kernels->run(&core->second, job->inverse, a, b);
  if (job->last && rows->scale != 1) kernels->scale(core->n2, rows->scale, done);
  lay_lanes(block * kernels->lanes, core->n1, kernels->lanes, 2, offset);
  place.memory = job->to + row * job->to_row * size;
  place.step = 2 * core->n1;
  kernels->store(&place, done);
}

static void run_halves(const mica_fft_rows *rows, int64_t count, bool inverse, bool last,
                       const char *from, int64_t from_row, char *to, int64_t to_row) {
  const mica_fft_core *core = rows->core;
  int64_t lanes = core->kernels->lanes;
  half_job job = {.rows = rows,
                  .from = from,
                  .to = rows->matrix,
                  .from_row = from_row,
                  .to_row = 2 * core->m,
                  .blocks = (core->n2 + lanes - 1) / lanes,
                  .inverse = inverse,
                  .last = last};
  rows->parallel->run(rows->parallel->self, count * job.blocks, transform_columns, &job);
  job.from = rows->matrix;
  job.from_row = 2 * core->m;
  job.to = to;
  job.to_row = to_row;
  job.blocks = (core->n1 + lanes - 1) / lanes;
  rows->parallel->run(rows->parallel->self, count * job.blocks, transform_rows, &job);
}

/* ---- convolutions ----------------------------------------------------------------------------- */

typedef enum { ROW_CHIRP, ROW_FILTER, ROW_UNCHIRP } row_stage;
typedef struct {
  const mica_fft_rows *rows;
  row_stage stage;
  const char *from;
  char *to;
  int64_t count;
} row_job;

static void do_row_piece(void *context, int64_t index, int32_t worker) {
  const row_job *job = context;
  const mica_fft_rows *rows = job->rows;
  const mica_fft_kernels *kernels = rows->core->kernels;
  const mica_fft_plan *plan = &rows->core->chirp;
  int64_t begin = index * ROW_PIECE, end = begin + ROW_PIECE;
  (void)worker;
  if (end > job->count) end = job->count;
  switch (job->stage) {
    case ROW_CHIRP: kernels->row_chirp(plan, rows->inverse, job->from, job->to, begin, end); break;
    case ROW_FILTER: kernels->row_filter(plan, job->to, begin, end); break;
    case ROW_UNCHIRP:
      kernels->row_unchirp(plan, rows->inverse, rows->scale, job->from, job->to, begin, end);
      break;
  }
}

static void run_stage(const mica_fft_rows *rows, row_stage stage, int64_t count, const char *from,
                      char *to) {
  row_job job = {rows, stage, from, to, count};
  rows->parallel->run(rows->parallel->self, (count + ROW_PIECE - 1) / ROW_PIECE, do_row_piece,
                      &job);
}

void mica_fft_rows_run(const mica_fft_rows *rows, int64_t count, const char *from, int64_t from_row,
                       char *to, int64_t to_row) {
  const mica_fft_core *core = rows->core;
  if (core->chirp.chirp == NULL) {
    run_halves(rows, count, rows->inverse, true, from, from_row, to, to_row);
    return;
  }
  int64_t size = core->kernels->element_size;
  for (int64_t row = 0; row < count; row++) {
    run_stage(rows, ROW_CHIRP, core->m, from + row * from_row * size, rows->row);
    run_halves(rows, 1, false, false, rows->row, 0, rows->row, 0);
    run_stage(rows, ROW_FILTER, core->m, NULL, rows->row);
    run_halves(rows, 1, true, false, rows->row, 0, rows->row, 0);
    run_stage(rows, ROW_UNCHIRP, core->n, rows->row, to + row * to_row * size);
  }
}
