/* SPDX-License-Identifier: Apache-2.0 */
/* Products with at most four rows or columns: out [thin, count] = t [thin, depth] * big [depth,
 * count], where big is B, or A transposed. Each element of big is used at most four times, so big
 * passes through once, in the order in which it lies, and memory sets the pace: either its rows
 * pass by running sums, or its columns are dot products.
 *
 * Rows give the same bits as tiles do (a chain over each block of k); dot products sum in lanes, and
 * are chosen by shape and strides alone. */
#include <string.h>

#include "backend/cpu/kernels/gemm_internal.h"

typedef struct thin_plan {
  const mica_gemm *g;
  const mica_gemm_kernels *kernels;
  bool swapped; /* t is B transposed, big is A transposed */
  bool dots;
  int64_t thin, count;
  const char *t;
  int64_t t_row, t_step; /* elements between rows of t, and along k */
  const char *big;
  int64_t big_step; /* between rows of big, or between columns for dots */
  int64_t depth, depth_blocks;
  int64_t chunk, chunks; /* of count, a task's */
  int64_t out_row;
  int64_t items, items_per_task;
  char *workers;
  size_t t_bytes, worker_bytes;
} thin_plan;

enum { THIN_ROWS = 4, THIN_CHUNK = 1024 };

/* Fills in what depends on the operands' strides. False: not a thin product. */
static bool thin_choose(thin_plan *plan, const mica_cpu_kernels *table, const mica_gemm *g) {
  *plan = (thin_plan){.g = g, .kernels = table->gemm[g->type]};
  const int64_t vector = plan->kernels->vector, size = plan->kernels->element_size;
  if (g->b_packed || g->m <= 0 || g->n <= 0 || g->k <= 0) return false;
  if (g->m <= THIN_ROWS) {
    plan->thin = g->m;
    plan->count = g->n;
    plan->t_row = g->a_row;
    plan->t_step = g->a_column;
    if (g->b_row == 1 && g->k >= 2 * vector) {
      plan->dots = true;
      plan->big_step = g->b_column;
      return true;
    }
    plan->big_step = g->b_row;
    /* With several rows and B in cache, a tile's sums in registers win. */
    const bool large = (double)g->k * (double)g->n * (double)size > (double)(256 << 10);
    return g->b_column == 1 && g->n >= 2 * vector && (g->m == 1 || large);
  }
  if (g->n <= THIN_ROWS) {
    plan->swapped = true;
    plan->thin = g->n;
    plan->count = g->m;
    plan->t_row = g->b_column;
    plan->t_step = g->b_row;
    if (g->a_column == 1 && g->k >= 2 * vector) {
      plan->dots = true;
      plan->big_step = g->a_row;
      return true;
    }
    plan->big_step = g->a_column;
    return g->a_row == 1 && g->m >= 2 * vector;
  }
  return false;
}

bool mica_gemm_is_thin(const mica_cpu_kernels *kernels, const mica_gemm *g) {
  thin_plan plan;
  return thin_choose(&plan, kernels, g);
}

static bool thin_make_plan(thin_plan *plan, const mica_cpu_kernels *table, const mica_gemm *g,
                           int32_t threads) {
  if (!thin_choose(plan, table, g)) return false;
  plan->items = mica_gemm_items(g);
  if (plan->items <= 0) return false;
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t unit = 4 * kernels->vector;
  plan->depth = plan->dots ? g->k : mica_gemm_depth(kernels, g->k, &plan->depth_blocks);
  if (plan->dots) plan->depth_blocks = 1;

  const double work = mica_gemm_work(g);
  double wanted = threads > 1 ? 4.0 * threads : 1;
  if (wanted > work * (double)plan->items * 2 / mica_gemm_task_work) {
    wanted = work * (double)plan->items * 2 / mica_gemm_task_work;
  }
  const int64_t each = (int64_t)(wanted / (double)plan->items) + 1;
  plan->chunk = mica_kernel_round(mica_kernel_ceil(plan->count, each), unit);
  plan->chunk = mica_kernel_min(plan->chunk, THIN_CHUNK);
  plan->chunks = mica_kernel_ceil(plan->count, plan->chunk);
  const double alone = mica_gemm_task_work / 2 / work;
  plan->items_per_task =
      plan->chunks > 1 || alone < 1 ? 1 : mica_kernel_min((int64_t)alone, plan->items);

  plan->out_row = plan->chunk;
  mica_gemm_reserve(&plan->t_bytes, plan->thin, g->k, kernels->element_size);
  plan->worker_bytes = plan->t_bytes;
  mica_gemm_reserve(&plan->worker_bytes, plan->thin, plan->out_row, kernels->element_size);
  return true;
}

size_t mica_gemm_thin_scratch_size(const mica_cpu_kernels *kernels, const mica_gemm *g,
                                   int32_t threads) {
  thin_plan plan;
  size_t bytes = 0;
  if (!thin_make_plan(&plan, kernels, g, threads)) return 0;
  if (plan.worker_bytes == SIZE_MAX) return SIZE_MAX;
  mica_gemm_reserve(&bytes, (int64_t)plan.worker_bytes, threads, 1);
  return bytes;
}

/* Adds out to C, element (i, j) of out at i * c_thin + j * c_long, and finishes it. */
typedef struct thin_finish {
  int64_t thin, count, out_row, c_thin, c_long;
  bool accumulate, relu, bias_long; /* bias runs along count, or along thin */
} thin_finish;

#define THIN_FINISH(name, E)                                                             \
  static void name(const thin_finish *f, const void *from, const void *bias, void *to) { \
    for (int64_t i = 0; i < f->thin; i++) {                                              \
      const E *out = (const E *)from + i * f->out_row, *b = bias;                        \
      E *c = (E *)to + i * f->c_thin;                                                    \
      for (int64_t j = 0; j < f->count; j++) {                                           \
        E value = out[j];                                                                \
        if (f->accumulate) value = c[j * f->c_long] + value;                             \
        if (b) value = value + b[f->bias_long ? j : i];                                  \
        if (f->relu && value < 0) value = 0;                                             \
        c[j * f->c_long] = value;                                                        \
      }                                                                                  \
    }                                                                                    \
  }
THIN_FINISH(thin_finish_f32, float)
THIN_FINISH(thin_finish_f64, double)

static void thin_finish_i32(const thin_finish *f, const void *from, const void *bias, void *to) {
  for (int64_t i = 0; i < f->thin; i++) {
    const uint32_t *out = (const uint32_t *)from + i * f->out_row, *b = bias;
    uint32_t *c = (uint32_t *)to + i * f->c_thin;
    for (int64_t j = 0; j < f->count; j++) {
      uint32_t value = out[j];
      if (f->accumulate) value += c[j * f->c_long];
      if (b) value += b[f->bias_long ? j : i];
      if (f->relu && value > INT32_MAX) value = 0;
      c[j * f->c_long] = value;
    }
  }
}
#undef THIN_FINISH

static void (*const thin_finishers[MICA_GEMM_TYPE_COUNT])(const thin_finish *, const void *,
                                                          const void *, void *) = {
    [MICA_GEMM_F32] = thin_finish_f32,
    [MICA_GEMM_F64] = thin_finish_f64,
    [MICA_GEMM_I32] = thin_finish_i32,
};

/* t side by side: [thin][k]. */
static void thin_copy(const thin_plan *plan, const char *from, char *to) {
  const int64_t k = plan->g->k, size = plan->kernels->element_size;
  for (int64_t i = 0; i < plan->thin; i++) {
    const char *row = from + i * plan->t_row * size;
    if (plan->t_step == 1) {
      memcpy(to + i * k * size, row, (size_t)(k * size));
    } else if (size == 4) {
      for (int64_t p = 0; p < k; p++) memcpy(to + (i * k + p) * 4, row + p * plan->t_step * 4, 4);
    } else {
      for (int64_t p = 0; p < k; p++) memcpy(to + (i * k + p) * 8, row + p * plan->t_step * 8, 8);
    }
  }
}

static void thin_run_chunk(const thin_plan *plan, int64_t item, int64_t first, char *worker) {
  const mica_gemm *g = plan->g;
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t size = kernels->element_size;
  const int64_t count = mica_kernel_min(plan->chunk, plan->count - first);
  const char *a = (const char *)g->a + mica_gemm_item_offset(g, g->a_batch, item) * size;
  const char *b = (const char *)g->b + mica_gemm_item_offset(g, g->b_batch, item) * size;
  char *c = (char *)g->c + mica_gemm_item_offset(g, g->c_batch, item) * size;
  const char *big = plan->swapped ? a : b;
  const int64_t c_long = plan->swapped ? g->c_row : 1;
  char *out = worker + plan->t_bytes, *to = c + first * c_long * size;
  thin_copy(plan, plan->swapped ? b : a, worker);
  big += first * (plan->dots ? plan->big_step : 1) * size;

  thin_finish finish = {.thin = plan->thin,
                        .count = count,
                        .out_row = plan->out_row,
                        .c_thin = plan->swapped ? 1 : g->c_row,
                        .c_long = c_long,
                        .bias_long = !plan->swapped};
  for (int64_t d = 0; d < plan->depth_blocks; d++) {
    const int64_t k = d * plan->depth, depth = mica_kernel_min(plan->depth, g->k - k);
    const char *t = worker + k * size;
    if (plan->dots) {
      kernels->thin_dots(plan->thin, count, depth, t, g->k, big, plan->big_step, out,
                         plan->out_row);
    } else {
      kernels->thin_rows(plan->thin, count, depth, t, g->k, big + k * plan->big_step * size,
                         plan->big_step, out, plan->out_row);
    }
    const bool last = d == plan->depth_blocks - 1;
    const char *bias = last ? g->finish.bias : NULL;
    finish.accumulate = g->accumulate || d > 0;
    finish.relu = last && g->finish.relu;
    if (bias && !plan->swapped) bias += first * size;
    thin_finishers[g->type](&finish, out, bias, to);
  }
  if (!g->finish.epilogue) return;
  if (plan->swapped) {
    g->finish.epilogue(g->finish.context, item * g->m + first, 0, count, g->n, to, g->c_row);
  } else {
    g->finish.epilogue(g->finish.context, item * g->m, first, g->m, count, to, g->c_row);
  }
}

static void thin_task(void *context, int64_t index, int32_t worker) {
  const thin_plan *plan = context;
  const int64_t first = index / plan->chunks * plan->items_per_task;
  const int64_t end = mica_kernel_min(first + plan->items_per_task, plan->items);
  for (int64_t item = first; item < end; item++) {
    thin_run_chunk(plan, item, index % plan->chunks * plan->chunk,
                   plan->workers + (size_t)worker * plan->worker_bytes);
  }
}

void mica_gemm_thin_run(const mica_cpu_kernels *kernels, const mica_gemm *g,
                        const mica_parallel *parallel, void *scratch) {
  thin_plan plan;
  if (!thin_make_plan(&plan, kernels, g, parallel->threads)) return;
  plan.workers = scratch;
  parallel->run(parallel->self, plan.chunks * mica_kernel_ceil(plan.items, plan.items_per_task),
                thin_task, &plan);
}
