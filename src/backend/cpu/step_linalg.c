/* SPDX-License-Identifier: Apache-2.0 */
/* step_linalg.c: steps that factor matrices. One matrix is worked on by all threads, through the
 * products of its blocks; of a batch each thread takes matrices of its own. Either way the numbers
 * are the same. */
#include "backend/cpu/fusion_internal.h"
#include "backend/cpu/linalg_internal.h"

#include <string.h>

/* ---- memory, products ------------------------------------------------------------------------- */

void *mica_linalg_take(mica_linalg *work, int64_t count, size_t size) {
  size_t at = work->used, bytes;
  if (count < 0 || (uint64_t)count > SIZE_MAX || !mica_size_multiply((size_t)count, size, &bytes) ||
      !mica_size_align(bytes, MICA_ALIGNMENT, &bytes) || !mica_size_add(at, bytes, &work->used))
    work->used = work->need = SIZE_MAX;
  if (work->used > work->need) work->need = work->used;
  return work->measure ? NULL : work->memory + at;
}

static void copy_negated(mica_linalg *work, int64_t rows, int64_t columns,
                         const mica_linalg_matrix *from, char *to) {
  size_t size = (size_t)work->vector->element_size;
  for (int64_t i = 0; i < rows; i++)
    work->vector->negate(columns, (const char *)from->at + (ptrdiff_t)size * i * from->row,
                         to + size * (size_t)(i * columns));
}

/* Makes -x of x [m, n], which has contiguous rows or columns. */
static mica_linalg_matrix negated(mica_linalg *work, int64_t m, int64_t n, mica_linalg_matrix x) {
  bool by_columns = x.column != 1 && x.row == 1;
  char *copy = mica_linalg_take(work, m * n, (size_t)work->vector->element_size);
  mica_linalg_matrix source = by_columns ? (mica_linalg_matrix){x.at, x.column, 1} : x;
  if (!work->measure) copy_negated(work, by_columns ? n : m, by_columns ? m : n, &source, copy);
  return (mica_linalg_matrix){copy, by_columns ? 1 : n, by_columns ? m : 1};
}

void mica_linalg_product(mica_linalg *work, mica_linalg_sum sum, int64_t m, int64_t n, int64_t k,
                         mica_linalg_matrix a, mica_linalg_matrix b, void *c, int64_t c_row) {
  size_t mark = work->used;
  if (m <= 0 || n <= 0) return;
  if (k <= 0 && sum != MICA_LINALG_SET) return;
  if (sum == MICA_LINALG_SUBTRACT) { /* the smaller factor's sign turns */
    if (m < n)
      a = negated(work, m, k, a);
    else
      b = negated(work, k, n, b);
  }
  mica_gemm problem = {.type = work->type,
                       .m = m,
                       .n = n,
                       .k = k,
                       .a = a.at,
                       .a_row = a.row,
                       .a_column = a.column,
                       .b = b.at,
                       .b_row = b.row,
                       .b_column = b.column,
                       .c = c,
                       .c_row = c_row,
                       .accumulate = sum != MICA_LINALG_SET};
  size_t bytes = mica_gemm_scratch_size(work->kernels, &problem, work->parallel->threads);
  if (bytes > SIZE_MAX / 4) {
    work->used = work->need = SIZE_MAX;
    return;
  }
  void *scratch = mica_linalg_take(work, (int64_t)bytes, 1);
  if (!work->measure) mica_gemm_run(work->kernels, &problem, work->parallel, scratch);
  work->used = mark;
}

/* ---- the step --------------------------------------------------------------------------------- */

enum { LINALG_POINTERS = 8 };

typedef struct {
  mica_linalg_task task;
  mica_linalg_algorithm *run;
  mica_gemm_type type;
  int64_t batch, group; /* items; items a task takes, or 0: one after the other, by all threads */
  uint32_t in_count, out_count;
  size_t stride[LINALG_POINTERS]; /* bytes from item to item */
  size_t worker_bytes;
} linalg_argument;

typedef struct {
  const linalg_argument *argument;
  const mica_cpu_kernels *kernels;
  char *base[LINALG_POINTERS + 1];
} linalg_job;

static void run_linalg_item(const linalg_job *job, int64_t item, const mica_parallel *parallel,
                            char *memory) {
  const linalg_argument *argument = job->argument;
  const void *in[LINALG_POINTERS];
  void *out[LINALG_POINTERS];
  for (uint32_t i = 0; i < argument->in_count; i++)
    in[i] = job->base[i] + argument->stride[i] * (size_t)item;
  for (uint32_t i = 0; i < argument->out_count; i++)
    out[i] =
        job->base[argument->in_count + i] + argument->stride[argument->in_count + i] * (size_t)item;
  mica_linalg work = {.kernels = job->kernels,
                      .vector = job->kernels->linalg[argument->type],
                      .parallel = parallel,
                      .type = argument->type,
                      .memory = memory};
  argument->run(&work, &argument->task, in, out);
}

static void run_linalg_items(void *context, int64_t index, int32_t worker) {
  const linalg_job *job = context;
  const linalg_argument *argument = job->argument;
  int64_t end = (index + 1) * argument->group;
  if (end > argument->batch) end = argument->batch;
  char *memory = job->base[LINALG_POINTERS] + argument->worker_bytes * (size_t)worker;
  for (int64_t item = index * argument->group; item < end; item++)
    run_linalg_item(job, item, &mica_cpu_serial, memory);
}

static mica_status run_linalg(const mica_cpu_step *step, mica_cpu_context *context) {
  const linalg_argument *argument = step->argument;
  linalg_job job = {.argument = argument, .kernels = context->device->kernels};
  uint32_t count = argument->in_count + argument->out_count;
  for (uint32_t i = 0; i < count; i++) job.base[i] = mica_cpu_address(step, context, i);
  job.base[LINALG_POINTERS] = mica_cpu_address(step, context, count);
  if (argument->group == 0) {
    for (int64_t item = 0; item < argument->batch; item++)
      run_linalg_item(&job, item, &context->parallel, job.base[LINALG_POINTERS]);
  } else {
    int64_t tasks = (argument->batch + argument->group - 1) / argument->group;
    if (tasks == 1)
      run_linalg_items(&job, 0, 0);
    else
      context->parallel.run(context->parallel.self, tasks, run_linalg_items, &job);
  }
  return MICA_OK;
}

/* ---- lowering --------------------------------------------------------------------------------- */

/* Rough multiply-adds of one item, in units of the sizes' products. */
static mica_linalg_algorithm *algorithm_of(mica_op op, mica_dtype dtype, double *out_factor) {
  bool wide = dtype == MICA_F64;
  switch (op) {
    case MICA_OP_CHOLESKY:
      *out_factor = 0.2;
      return wide ? mica_linalg_cholesky_f64 : mica_linalg_cholesky_f32;
    case MICA_OP_TRIANGULAR_SOLVE:
      *out_factor = 0.5;
      return wide ? mica_linalg_triangular_f64 : mica_linalg_triangular_f32;
    case MICA_OP_LU: *out_factor = 0.4; return wide ? mica_linalg_lu_f64 : mica_linalg_lu_f32;
    case MICA_OP_QR: *out_factor = 2; return wide ? mica_linalg_qr_f64 : mica_linalg_qr_f32;
    case MICA_OP_EIGH: *out_factor = 8; return wide ? mica_linalg_eigh_f64 : mica_linalg_eigh_f32;
    case MICA_OP_SVD: *out_factor = 16; return wide ? mica_linalg_svd_f64 : mica_linalg_svd_f32;
    default: return NULL;
  }
}

/* Results that nobody reads need not be made, unless all that is written is searched for NaN. */
static bool is_read(const mica_plan *plan, uint32_t id) {
  return !plan->fuse || plan->fusion->user_first[id] < plan->fusion->user_first[id + 1];
}

static size_t measure_item(const mica_plan *plan, const linalg_argument *argument,
                           const mica_parallel *parallel) {
  const void *in[LINALG_POINTERS] = {NULL};
  void *out[LINALG_POINTERS] = {NULL};
  mica_linalg work = {.kernels = plan->device->kernels,
                      .vector = plan->device->kernels->linalg[argument->type],
                      .parallel = parallel,
                      .type = argument->type,
                      .measure = true};
  argument->run(&work, &argument->task, in, out);
  return work.need;
}

/* How the batch is cut, and the scratch for that; false when it is too large. */
static bool share_batch(mica_plan *plan, linalg_argument *argument, double item_cost,
                        size_t *out_scratch) {
  int32_t threads = mica_thread_pool_size(plan->device->pool);
  mica_parallel all = {.threads = threads};
  bool inside = argument->batch == 1 || (argument->batch < threads && item_cost > 1e6);
  double items = 30000 / (item_cost + 1);
  argument->group = inside ? 0 : items < 1 ? 1 : items > 4096 ? 4096 : (int64_t)items;
  argument->worker_bytes = measure_item(plan, argument, inside ? &all : &mica_cpu_serial);
  if (argument->worker_bytes == SIZE_MAX) return false;
  return mica_size_multiply(argument->worker_bytes, inside ? 1 : (size_t)threads, out_scratch);
}

bool mica_plan_linalg(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  double factor = 0;
  if (node->operand_count == 0) return false;
  mica_type first = mica_plan_type(plan, operands[0]);
  mica_linalg_algorithm *run = algorithm_of((mica_op)node->op, first.dtype, &factor);
  uint32_t count = node->operand_count + node->result_count;
  if (run == NULL || count > LINALG_POINTERS) return false;
  mica_shape shape = mica_plan_type(plan, operands[node->operand_count - 1]).shape;
  linalg_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  *argument = (linalg_argument){.run = run,
                                .type = first.dtype == MICA_F64 ? MICA_GEMM_F64 : MICA_GEMM_F32,
                                .batch = 1,
                                .in_count = node->operand_count,
                                .out_count = node->result_count};
  argument->task = (mica_linalg_task){
      .m = shape.dim[shape.rank - 2], .n = shape.dim[shape.rank - 1], .attr = node->attr};
  for (int32_t i = 0; i < shape.rank - 2; i++) argument->batch *= shape.dim[i];
  for (uint32_t i = 0; i < node->result_count; i++)
    argument->task.wanted[i] = is_read(plan, id + i);
  if (argument->batch == 0) argument->batch = 1, argument->task.m = argument->task.n = 0;
  double m = (double)argument->task.m, n = (double)argument->task.n, scratch_cost;
  scratch_cost = 50 + factor * m * n * (m < n ? m : n) * 0.5;
  size_t scratch = 0;
  if (!share_batch(plan, argument, scratch_cost, &scratch)) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "the matrices are too large");
    return true;
  }
  mica_view views[LINALG_POINTERS];
  int64_t bytes = 0;
  for (uint32_t i = 0; i < node->operand_count; i++) views[i] = mica_plan_dense(plan, operands[i]);
  mica_plan_step_add(plan, run_linalg, argument, id);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t value = i < node->operand_count ? operands[i] : id + i - node->operand_count;
    size_t size = mica_plan_bytes(plan, mica_plan_type(plan, value));
    argument->stride[i] = size / (size_t)argument->batch;
    bytes += (int64_t)size;
    if (i < node->operand_count)
      mica_plan_read(plan, value, views[i]);
    else
      mica_plan_result(plan, value);
  }
  mica_plan_scratch(plan, scratch);
  double cost = scratch_cost * (double)argument->batch;
  mica_plan_cost(plan, 4 * cost, bytes, cost > 1e15 ? INT64_MAX / 4 : (int64_t)cost);
  return true;
}
