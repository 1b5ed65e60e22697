/* SPDX-License-Identifier: Apache-2.0 */
/* step_quantized.c: quantized_dense on x of f32, f16 or bf16. Each task takes some columns of the weights.
 *
 * Few rows of x: bound by memory, so that weights are widened in registers on their way through, some
 * rows of weights at a time, and the sums of a block are scaled at its end. Many rows: the task's columns
 * become floats, as many rows of weights as lie in the cache, and a matrix product adds them up; a row of x
 * is multiplied the same way however many there are with it in either case. */
#include "backend/cpu/products_internal.h"

#include <string.h>

enum {
  QUANTIZED_FEW_ROWS = 24,
  QUANTIZED_COLUMNS = 512, /* of a task of few rows */
  QUANTIZED_PANEL =
      256, /* columns of a task of many rows, and the floats that are widened at once */
  QUANTIZED_PANEL_FLOATS = 1 << 17
};

typedef struct {
  mica_weight_kind kind;
  int64_t rows, k, n, blocks;
  int64_t columns, depth; /* of a task; rows of weights that are widened at once */
  bool has_zero, many, serial;
  mica_gemm problem; /* many: without addresses; of the widest panel */
  size_t worker_bytes;
} quantized_argument;

typedef struct {
  const quantized_argument *argument;
  const mica_cpu_kernels *kernels;
  const float *x, *scale;
  const uint8_t *w, *zero;
  float *y;
  char *scratch;
} quantized_job;

static int64_t weight_room(int64_t columns) {
  return (columns + MICA_WEIGHT_COLUMNS - 1) / MICA_WEIGHT_COLUMNS * MICA_WEIGHT_COLUMNS;
}

/* Columns [begin, begin + columns) of the result from sums over blocks: scratch holds zeros, then sums. */
static void few_rows(const quantized_job *job, int64_t begin, int64_t columns, float *scratch) {
  const quantized_argument *argument = job->argument;
  const mica_quantized_kernels *kernels = job->kernels->quantized;
  const int64_t n = argument->n, k = argument->k, room = weight_room(columns);
  const int64_t block = k / argument->blocks, row_bytes = mica_weight_bytes(argument->kind, n);
  const int64_t first = mica_weight_bytes(argument->kind, begin);
  const int64_t most = mica_weight_depth(argument->kind);
  float *zeros = scratch, *sums = scratch + room;
  for (int64_t b = 0; b < argument->blocks; b++) {
    if (argument->has_zero)
      kernels->zeros[argument->kind](job->zero + b * row_bytes + first, columns, zeros);
    memset(sums, 0, (size_t)(argument->rows * room) * sizeof(*sums));
    for (int64_t p = b * block; p < (b + 1) * block; p += most) {
      const int64_t left = (b + 1) * block - p;
      kernels->dot[argument->kind](&(mica_weight_dot){.rows = argument->rows,
                                                      .depth = left < most ? left : most,
                                                      .columns = columns,
                                                      .x = job->x + p,
                                                      .x_row = k,
                                                      .w = job->w + p * row_bytes + first,
                                                      .w_row = row_bytes,
                                                      .zero = argument->has_zero ? zeros : NULL,
                                                      .sum = sums,
                                                      .sum_row = room});
    }
    for (int64_t row = 0; row < argument->rows; row++)
      kernels->finish(columns, sums + row * room, job->scale + b * n + begin, b > 0,
                      job->y + row * n + begin);
  }
}

/* The same by products with floats: scratch holds a row of zeros, the floats, the product's own. */
static void many_rows(const quantized_job *job, int64_t begin, int64_t columns, char *scratch) {
  const quantized_argument *argument = job->argument;
  const mica_quantized_kernels *kernels = job->kernels->quantized;
  const int64_t n = argument->n, k = argument->k, block = k / argument->blocks;
  const int64_t row_bytes = mica_weight_bytes(argument->kind, n);
  const int64_t first = mica_weight_bytes(argument->kind, begin);
  float *zeros = (float *)(void *)scratch, *panel = zeros + QUANTIZED_PANEL;
  void *product = panel + argument->depth * QUANTIZED_PANEL;
  for (int64_t p = 0; p < k; p += argument->depth) {
    const int64_t depth = k - p < argument->depth ? k - p : argument->depth;
    int64_t widened = -1; /* the block whose zeros are there */
    for (int64_t i = 0; i < depth; i++) {
      const int64_t b = (p + i) / block;
      if (argument->has_zero && b != widened)
        kernels->widen[argument->kind](job->zero + b * row_bytes + first, columns, zeros);
      widened = b;
      kernels->panel[argument->kind](job->w + (p + i) * row_bytes + first, columns,
                                     job->scale + b * n + begin, argument->has_zero ? zeros : NULL,
                                     panel + i * QUANTIZED_PANEL);
    }
    mica_gemm problem = argument->problem;
    problem.k = depth;
    problem.n = columns;
    problem.a = job->x + p;
    problem.b = panel;
    problem.c = job->y + begin;
    problem.accumulate = p > 0;
    mica_gemm_run(job->kernels, &problem, &mica_cpu_serial, product);
  }
}

static void quantized_task(void *context, int64_t index, int32_t worker) {
  const quantized_job *job = context;
  const quantized_argument *argument = job->argument;
  const int64_t begin = index * argument->columns, left = argument->n - begin;
  const int64_t columns = left < argument->columns ? left : argument->columns;
  char *scratch = job->scratch + argument->worker_bytes * (size_t)worker;
  if (argument->many)
    many_rows(job, begin, columns, scratch);
  else
    few_rows(job, begin, columns, (float *)(void *)scratch);
}

/* References: x, weights, result, scale, zero (or the scale again), scratch. */
static mica_status run_quantized(const mica_cpu_step *step, mica_cpu_context *context) {
  const quantized_argument *argument = step->argument;
  quantized_job job = {.argument = argument,
                       .kernels = context->device->kernels,
                       .x = mica_cpu_address(step, context, 0),
                       .w = mica_cpu_address(step, context, 1),
                       .y = mica_cpu_address(step, context, 2),
                       .scale = mica_cpu_address(step, context, 3),
                       .zero = mica_cpu_address(step, context, 4),
                       .scratch = mica_cpu_address(step, context, 5)};
  const mica_parallel *parallel = argument->serial ? &mica_cpu_serial : &context->parallel;
  parallel->run(parallel->self, (argument->n + argument->columns - 1) / argument->columns,
                quantized_task, &job);
  return MICA_OK;
}

/* ---- lowering --------------------------------------------------------------------------------- */

bool mica_quantized_fits(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  if (node->op != MICA_OP_QUANTIZED_DENSE) return false;
  mica_type w = graph->nodes[mica_node_operands(graph, node)[1]].type;
  bool narrow = mica_dtype_bits(w.dtype) == 4;
  return (node->type.dtype == MICA_F32 || node->type.dtype == MICA_F16 ||
          node->type.dtype == MICA_BF16) &&
         mica_shape_count(node->type.shape) > 0 && mica_shape_count(w.shape) > 0 &&
         !(narrow && w.shape.dim[1] % 2 != 0);
}

/* How the work is cut depends on shapes alone. */
static void plan_quantized(const mica_plan *plan, uint32_t id, quantized_argument *out) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_type w = mica_plan_type(plan, operands[1]);
  *out = (quantized_argument){.k = w.shape.dim[0], .n = w.shape.dim[1]};
  mica_weight_kind_of(w.dtype, &out->kind);
  out->rows = mica_shape_count(node->type.shape) / out->n;
  out->blocks = mica_plan_type(plan, operands[2]).shape.dim[0];
  out->has_zero = node->operand_count == 4;
  out->many = out->rows > QUANTIZED_FEW_ROWS;
  out->columns = out->many ? QUANTIZED_PANEL : QUANTIZED_COLUMNS;
  out->depth = QUANTIZED_PANEL_FLOATS / QUANTIZED_PANEL;
  if (out->depth > out->k) out->depth = out->k;
  size_t floats = 0;
  if (!out->many) {
    floats = (size_t)((out->rows + 1) * weight_room(QUANTIZED_COLUMNS));
  } else {
    out->problem = (mica_gemm){.type = MICA_GEMM_F32,
                               .m = out->rows,
                               .n = out->n < QUANTIZED_PANEL ? out->n : QUANTIZED_PANEL,
                               .k = out->depth,
                               .a_row = out->k,
                               .a_column = 1,
                               .b_row = QUANTIZED_PANEL,
                               .b_column = 1,
                               .c_row = out->n,
                               .accumulate = true};
    floats = (size_t)((out->depth + 1) * QUANTIZED_PANEL);
    out->worker_bytes =
        mica_parts_scratch(plan->device->kernels, &out->problem, out->rows, out->n, out->k);
  }
  if (!mica_size_add(out->worker_bytes, floats * sizeof(float), &out->worker_bytes) ||
      !mica_size_align(out->worker_bytes, MICA_ALIGNMENT, &out->worker_bytes))
    out->worker_bytes = SIZE_MAX;
}

bool mica_plan_quantized(mica_plan *plan, uint32_t id) {
  if (!mica_quantized_fits(plan->graph, id)) return false;
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  quantized_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  plan_quantized(plan, id, argument);
  bool half = node->type.dtype != MICA_F32;
  mica_view x, wide = {0}, views[3];
  if (half) {
    if (!mica_plan_widened(plan, id, operands[0], MICA_F32, &x)) return true;
    mica_view_dense(
        &wide,
        mica_plan_storage(plan, MICA_STORAGE_ARENA, 0,
                          mica_plan_bytes(plan, (mica_type){MICA_F32, node->type.shape})),
        node->type.shape);
  } else {
    x = mica_plan_dense(plan, operands[0]);
  }
  for (uint32_t i = 1; i < node->operand_count; i++)
    views[i - 1] = mica_plan_dense(plan, operands[i]);
  if (!mica_plan_good(plan)) return true;
  double flops = 2.0 * (double)argument->rows * (double)argument->k * (double)argument->n;
  int64_t bytes = (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, operands[0])) +
                  (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, operands[1])) +
                  (int64_t)mica_plan_bytes(plan, node->type);
  int64_t cost = 100 + (int64_t)(flops / 50) + bytes / 20;
  argument->serial = cost < MICA_CPU_SERIAL_COST;
  size_t threads = argument->serial ? 1 : (size_t)mica_thread_pool_size(plan->device->pool),
         scratch;
  if (!mica_size_multiply(argument->worker_bytes, threads, &scratch)) scratch = SIZE_MAX;
  mica_plan_step_add(plan, run_quantized, argument, id);
  if (half)
    mica_plan_reference_add(plan, x.storage, 0, MICA_PLAN_READ);
  else
    mica_plan_read(plan, operands[0], x);
  mica_plan_read(plan, operands[1], views[0]);
  if (half)
    mica_plan_reference_add(plan, wide.storage, 0, MICA_PLAN_WRITE);
  else
    mica_plan_result(plan, id);
  mica_plan_read(plan, operands[2], views[1]);
  mica_plan_read(plan, operands[argument->has_zero ? 3 : 2], views[argument->has_zero ? 2 : 1]);
  mica_plan_scratch(plan, scratch);
  mica_plan_cost(plan, flops, bytes, cost);
  if (!half) return true;
  uint32_t result =
      mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, node->type));
  mica_view_dense(&plan->values[id].view, result, node->type.shape);
  mica_plan_convert(plan, id, node->type.shape, MICA_F32, wide, node->type.dtype, result);
  return true;
}
