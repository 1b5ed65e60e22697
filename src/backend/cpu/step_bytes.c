/* SPDX-License-Identifier: Apache-2.0 */
/* step_bytes.c: x [m, k] times y [k, n] of integers of 8 or 4 bits into i32. The sum of 256 products of
 * them is below 2^24, so that f32 holds it exactly in any order: some rows of y at a time become floats in
 * registers (few rows of x) or in the cache (many), and each part of the sum is added up in integers. */
#include "backend/cpu/products_internal.h"

#include <string.h>

enum {
  BYTES_EXACT = 256, /* 256 * 255 * 255 < 2^24 */
  BYTES_FEW_ROWS = 24,
  BYTES_COLUMNS = 512, /* of a task of few rows */
  BYTES_PANEL = 256 /* columns of a task of many rows, and rows of x that are multiplied at once */
};

typedef struct {
  mica_weight_kind kind;
  int64_t rows, k, n, columns, row_bytes;
  bool many, serial;
  size_t worker_bytes;
} bytes_argument;

typedef struct {
  const bytes_argument *argument;
  const mica_cpu_kernels *kernels;
  const float *x;
  const uint8_t *w;
  int32_t *y;
  char *scratch;
} bytes_job;

static int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }

static mica_gemm bytes_problem(const bytes_argument *argument) {
  return (mica_gemm){.type = MICA_GEMM_F32,
                     .m = least_of(argument->rows, BYTES_PANEL),
                     .n = least_of(argument->n, BYTES_PANEL),
                     .k = least_of(argument->k, BYTES_EXACT),
                     .a_row = argument->k,
                     .a_column = 1,
                     .b_row = BYTES_PANEL,
                     .b_column = 1,
                     .c_row = BYTES_PANEL};
}

/* The sums over `depth` rows of y from p on, for all rows of x. */
static void few_byte_rows(const bytes_job *job, int64_t p, int64_t depth, int64_t begin,
                          int64_t columns, float *sums) {
  const bytes_argument *argument = job->argument;
  const mica_quantized_kernels *kernels = job->kernels->quantized;
  const int64_t most = mica_weight_depth(argument->kind);
  memset(sums, 0, (size_t)(argument->rows * BYTES_COLUMNS) * sizeof(*sums));
  for (int64_t i = 0; i < depth; i += most)
    kernels->dot[argument->kind](&(mica_weight_dot){
        .rows = argument->rows,
        .depth = least_of(most, depth - i),
        .columns = columns,
        .x = job->x + p + i,
        .x_row = argument->k,
        .w = job->w + (p + i) * argument->row_bytes + mica_weight_bytes(argument->kind, begin),
        .w_row = argument->row_bytes,
        .sum = sums,
        .sum_row = BYTES_COLUMNS});
  for (int64_t row = 0; row < argument->rows; row++)
    kernels->finish_whole(columns, sums + row * BYTES_COLUMNS, p > 0,
                          job->y + row * argument->n + begin);
}

/* The same by products with floats: scratch holds those, a block of the result, the product's own. */
static void many_byte_rows(const bytes_job *job, int64_t p, int64_t depth, int64_t begin,
                           int64_t columns, float *panel) {
  const bytes_argument *argument = job->argument;
  const mica_quantized_kernels *kernels = job->kernels->quantized;
  float *block = panel + BYTES_EXACT * BYTES_PANEL;
  for (int64_t i = 0; i < depth; i++)
    kernels->widen[argument->kind](
        job->w + (p + i) * argument->row_bytes + mica_weight_bytes(argument->kind, begin), columns,
        panel + i * BYTES_PANEL);
  for (int64_t row = 0; row < argument->rows; row += BYTES_PANEL) {
    mica_gemm problem = bytes_problem(argument);
    problem.m = least_of(BYTES_PANEL, argument->rows - row);
    problem.n = columns;
    problem.k = depth;
    problem.a = job->x + row * argument->k + p;
    problem.b = panel;
    problem.c = block;
    mica_gemm_run(job->kernels, &problem, &mica_cpu_serial, block + BYTES_PANEL * BYTES_PANEL);
    for (int64_t i = 0; i < problem.m; i++)
      kernels->finish_whole(columns, block + i * BYTES_PANEL, p > 0,
                            job->y + (row + i) * argument->n + begin);
  }
}

static void bytes_task(void *context, int64_t index, int32_t worker) {
  const bytes_job *job = context;
  const bytes_argument *argument = job->argument;
  const int64_t begin = index * argument->columns;
  const int64_t columns = least_of(argument->columns, argument->n - begin);
  float *scratch = (float *)(void *)(job->scratch + argument->worker_bytes * (size_t)worker);
  for (int64_t p = 0; p < argument->k; p += BYTES_EXACT)
    (argument->many ? many_byte_rows : few_byte_rows)(
        job, p, least_of(BYTES_EXACT, argument->k - p), begin, columns, scratch);
}

/* References: x as floats, y, the result, scratch. */
static mica_status run_bytes(const mica_cpu_step *step, mica_cpu_context *context) {
  const bytes_argument *argument = step->argument;
  bytes_job job = {.argument = argument,
                   .kernels = context->device->kernels,
                   .x = mica_cpu_address(step, context, 0),
                   .w = mica_cpu_address(step, context, 1),
                   .y = mica_cpu_address(step, context, 2),
                   .scratch = mica_cpu_address(step, context, 3)};
  const mica_parallel *parallel = argument->serial ? &mica_cpu_serial : &context->parallel;
  parallel->run(parallel->self, (argument->n + argument->columns - 1) / argument->columns,
                bytes_task, &job);
  return MICA_OK;
}

size_t mica_parts_scratch(const mica_cpu_kernels *kernels, const mica_gemm *part, int64_t m,
                          int64_t n, int64_t k) {
  size_t most = 0;
  for (int rest = 0; rest < 8; rest++) { /* each size in full or what is left at the end */
    mica_gemm problem = *part;
    if (rest & 1 && m % part->m) problem.m = m % part->m;
    if (rest & 2 && n % part->n) problem.n = n % part->n;
    if (rest & 4 && k % part->k) problem.k = k % part->k;
    size_t size = mica_gemm_any_scratch_size(kernels, &problem, 1);
    if (size > most) most = size;
    problem.accumulate = !problem.accumulate;
    size = mica_gemm_any_scratch_size(kernels, &problem, 1);
    if (size > most) most = size;
  }
  return most;
}

/* ---- lowering --------------------------------------------------------------------------------- */

bool mica_weight_kind_of(mica_dtype dtype, mica_weight_kind *out) {
  switch (dtype) {
    case MICA_I8: *out = MICA_WEIGHT_I8; return true;
    case MICA_U8: *out = MICA_WEIGHT_U8; return true;
    case MICA_I4: *out = MICA_WEIGHT_I4; return true;
    case MICA_U4: *out = MICA_WEIGHT_U4; return true;
    default: return false;
  }
}

/* x [..., k] times y [k, n]; rows of 4 bits begin with whole bytes. */
static bool is_byte_product(const mica_plan *plan, uint32_t id, bytes_argument *out) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const mica_dot_attr *attr = node->attr;
  if (node->op != MICA_OP_DOT_GENERAL || node->type.dtype != MICA_I32) return false;
  mica_type x = mica_plan_type(plan, mica_node_operands(plan->graph, node)[0]),
            y = mica_plan_type(plan, mica_node_operands(plan->graph, node)[1]);
  mica_weight_kind kind;
  if (!mica_weight_kind_of(x.dtype, &kind) || !mica_weight_kind_of(y.dtype, &kind) ||
      attr->lhs_batch.count != 0 || attr->lhs_contract.count != 1 || y.shape.rank != 2 ||
      attr->lhs_contract.at[0] != x.shape.rank - 1 || attr->rhs_contract.at[0] != 0 ||
      mica_shape_count(x.shape) == 0 || mica_shape_count(y.shape) == 0 ||
      (mica_dtype_bits(y.dtype) == 4 && y.shape.dim[1] % 2 != 0))
    return false;
  int64_t k = y.shape.dim[0], n = y.shape.dim[1], rows = mica_shape_count(x.shape) / k;
  bool many = rows > BYTES_FEW_ROWS;
  *out = (bytes_argument){.kind = kind,
                          .rows = rows,
                          .k = k,
                          .n = n,
                          .columns = many ? BYTES_PANEL : BYTES_COLUMNS,
                          .row_bytes = mica_weight_bytes(kind, n),
                          .many = many};
  size_t floats =
      many ? BYTES_EXACT * BYTES_PANEL + BYTES_PANEL * BYTES_PANEL : (size_t)(rows * BYTES_COLUMNS);
  mica_gemm problem = bytes_problem(out);
  if (many) out->worker_bytes = mica_parts_scratch(plan->device->kernels, &problem, rows, n, k);
  if (!mica_size_add(out->worker_bytes, floats * sizeof(float), &out->worker_bytes) ||
      !mica_size_align(out->worker_bytes, MICA_ALIGNMENT, &out->worker_bytes))
    out->worker_bytes = SIZE_MAX;
  return true;
}

bool mica_plan_bytes_dot(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  bytes_argument found;
  mica_view x;
  if (!is_byte_product(plan, id, &found)) return false;
  bytes_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL || !mica_plan_widened(plan, id, operands[0], MICA_F32, &x)) return true;
  mica_view w = mica_plan_dense(plan, operands[1]);
  if (!mica_plan_good(plan)) return true;
  double flops = 2.0 * (double)found.rows * (double)found.k * (double)found.n;
  int64_t bytes = (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, operands[0])) +
                  (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, operands[1])) +
                  (int64_t)mica_plan_bytes(plan, node->type);
  int64_t cost = 100 + (int64_t)(flops / 50) + bytes / 20;
  found.serial = cost < MICA_CPU_SERIAL_COST;
  *argument = found;
  size_t threads = found.serial ? 1 : (size_t)mica_thread_pool_size(plan->device->pool), scratch;
  if (!mica_size_multiply(found.worker_bytes, threads, &scratch)) scratch = SIZE_MAX;
  mica_plan_step_add(plan, run_bytes, argument, id);
  mica_plan_reference_add(plan, x.storage, 0, MICA_PLAN_READ);
  mica_plan_read(plan, operands[1], w);
  mica_plan_result(plan, id);
  mica_plan_scratch(plan, scratch);
  mica_plan_cost(plan, flops, bytes, cost);
  return true;
}
