/* SPDX-License-Identifier: Apache-2.0 */
/* step_rows.c: softmax, log_softmax, layer_norm and cross-entropy in f32 over the last axis, each as one
 * walk over rows that lie together, and the gradients of the last two.
 *
 * A task takes some rows, by the shape alone; the kernels give the same bits for every cut. What is done
 * element by element to the result runs on a task's rows while they are in cache (step_finish.c). */
#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/products_internal.h"

enum {
  ROWS_TASK_BYTES = 1 << 14,
  ROWS_STREAM_BYTES = 1 << 23, /* results from here on go around the caches */
  ROWS_SERIAL_COST = 5000,     /* nanoseconds */
  ROWS_SUM_COLUMNS = 256
};

typedef struct {
  mica_op op;
  int64_t rows, length;
  int64_t chunk, tasks; /* rows of a task */
  int64_t slope_step;
  float epsilon;
  bool scale, bias, wide_labels, stream, serial;
  bool sums;           /* layer_norm_gradient: dscale and dbias are wanted */
  uint32_t sums_first; /* their references, and that of the partial sums */
  mica_finish finish;
} rows_argument;

/* References: x, the second operand, the result, the third operand, the finish's, the sums'. */
enum { ROWS_X, ROWS_SECOND, ROWS_RESULT, ROWS_THIRD };

typedef struct {
  const rows_argument *argument;
  const mica_row_kernels *kernels;
  const mica_gemm_finish *finish;
  const float *x, *third;
  const void *second;
  float *y, *partial, *dscale, *dbias;
  bool stream;
} rows_job;

/* ---- running ---------------------------------------------------------------------------------- */

static void rows_task(void *context, int64_t index, int32_t worker) {
  const rows_job *job = context;
  const rows_argument *argument = job->argument;
  const mica_row_kernels *kernels = job->kernels;
  int64_t begin = index * argument->chunk, end = begin + argument->chunk;
  (void)worker;
  if (end > argument->rows) end = argument->rows;
  switch (argument->op) {
    case MICA_OP_SOFTMAX:
    case MICA_OP_LOG_SOFTMAX: {
      const mica_row_map map = {job->x, job->y, argument->length, job->stream};
      (argument->op == MICA_OP_SOFTMAX ? kernels->softmax : kernels->log_softmax)(&map, begin, end);
      break;
    }
    case MICA_OP_LAYER_NORM:
      kernels->layer_norm(&(mica_row_norm){.x = job->x,
                                           .scale = argument->scale ? job->second : NULL,
                                           .bias = argument->bias ? job->third : NULL,
                                           .y = job->y,
                                           .length = argument->length,
                                           .epsilon = argument->epsilon,
                                           .stream = job->stream},
                          begin, end);
      break;
    case MICA_OP_SOFTMAX_CROSS_ENTROPY_GRADIENT:
      kernels->cross_entropy_gradient(
          &(mica_row_entropy_gradient){.logits = job->x,
                                       .slope = job->third,
                                       .labels = job->second,
                                       .dlogits = job->y,
                                       .length = argument->length,
                                       .slope_step = argument->slope_step,
                                       .wide_labels = argument->wide_labels,
                                       .stream = job->stream},
          begin, end);
      break;
    case MICA_OP_LAYER_NORM_GRADIENT: /* whose units are the tasks */
      kernels->layer_norm_gradient(
          &(mica_row_norm_gradient){.x = job->x,
                                    .scale = argument->scale ? job->second : NULL,
                                    .dy = job->third,
                                    .dx = job->y,
                                    .partial = job->partial,
                                    .rows = argument->rows,
                                    .length = argument->length,
                                    .chunk = argument->chunk,
                                    .epsilon = argument->epsilon},
          index, index + 1);
      break;
    default: /* softmax_cross_entropy */
      kernels->cross_entropy(&(mica_row_entropy){.logits = job->x,
                                                 .labels = job->second,
                                                 .loss = job->y,
                                                 .length = argument->length,
                                                 .wide_labels = argument->wide_labels},
                             begin, end);
      break;
  }
  if (job->finish != NULL)
    job->finish->epilogue(job->finish->context, begin, 0, end - begin, argument->length,
                          job->y + begin * argument->length, argument->length);
}

/* dscale and dbias: the sums of the tasks' sums, some columns of one of them. */
static void sum_columns_task(void *context, int64_t index, int32_t worker) {
  const rows_job *job = context;
  const rows_argument *argument = job->argument;
  const bool bias = index % 2 == 1;
  const int64_t begin = index / 2 * ROWS_SUM_COLUMNS, end = begin + ROWS_SUM_COLUMNS;
  const mica_row_sum sum = {.x = job->partial + (bias ? argument->length : 0),
                            .y = bias ? job->dbias : job->dscale,
                            .count = argument->tasks,
                            .step = 2 * argument->length};
  (void)worker;
  job->kernels->sum_rows(&sum, begin, end < argument->length ? end : argument->length);
}

static void run_tasks(const rows_argument *argument, const mica_cpu_context *context, int64_t count,
                      mica_task *task, void *job) {
  const mica_parallel *parallel = argument->serial ? &mica_cpu_serial : &context->parallel;
  parallel->run(parallel->self, count, task, job);
}

static mica_status run_rows(const mica_cpu_step *step, mica_cpu_context *context) {
  const rows_argument *argument = step->argument;
  mica_finish_call call;
  rows_job job = {.argument = argument,
                  .kernels = context->device->kernels->rows,
                  .finish = mica_finish_begin(&argument->finish, step, context, &call),
                  .x = mica_cpu_address(step, context, ROWS_X),
                  .second = mica_cpu_address(step, context, ROWS_SECOND),
                  .third = mica_cpu_address(step, context, ROWS_THIRD),
                  .y = mica_cpu_address(step, context, ROWS_RESULT)};
  /* What is in the caches already is better overwritten there. */
  job.stream = argument->stream && job.x != job.y;
  if (argument->sums) {
    job.dscale = mica_cpu_address(step, context, argument->sums_first);
    job.dbias = mica_cpu_address(step, context, argument->sums_first + 1);
    job.partial = mica_cpu_address(step, context, argument->sums_first + 2);
  }
  run_tasks(argument, context, argument->tasks, rows_task, &job);
  if (argument->sums)
    run_tasks(argument, context, 2 * ((argument->length + ROWS_SUM_COLUMNS - 1) / ROWS_SUM_COLUMNS),
              sum_columns_task, &job);
  return MICA_OK;
}

/* ---- lowering --------------------------------------------------------------------------------- */

bool mica_rows_fit(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  mica_type type;
  switch ((mica_op)node->op) {
    case MICA_OP_SOFTMAX:
    case MICA_OP_LOG_SOFTMAX:
      if (((const mica_softmax_attr *)node->attr)->axis != node->type.shape.rank - 1) return false;
      break;
    case MICA_OP_LAYER_NORM:
    case MICA_OP_LAYER_NORM_GRADIENT:
    case MICA_OP_SOFTMAX_CROSS_ENTROPY:
    case MICA_OP_SOFTMAX_CROSS_ENTROPY_GRADIENT: break;
    default: return false;
  }
  type = graph->nodes[mica_node_operands(graph, node)[0]].type;
  return type.dtype == MICA_F32 && mica_shape_count(type.shape) > 0;
}

bool mica_rows_finish(const mica_graph *graph, uint32_t id) {
  return mica_node_at(graph, id)->op != MICA_OP_SOFTMAX_CROSS_ENTROPY && mica_rows_fit(graph, id);
}

/* Rough picoseconds an element on one thread. */
static int64_t rows_element_cost(mica_op op) {
  switch (op) {
    case MICA_OP_LAYER_NORM: return 150;
    case MICA_OP_SOFTMAX_CROSS_ENTROPY: return 200;
    case MICA_OP_LAYER_NORM_GRADIENT: return 400;
    default: return 300;
  }
}

/* Whether an operand is `number` everywhere, so that the kernel does without it. */
static bool is_all(const mica_plan *plan, uint32_t id, double number) {
  double found;
  return mica_is_constant_number(plan->graph, id, &found) && found == number;
}

static bool has_users(const mica_plan *plan, uint32_t id) {
  return plan->fusion->user_first[id] < plan->fusion->user_first[id + 1];
}

static void fill_rows(const mica_plan *plan, uint32_t id, rows_argument *out) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_shape shape = mica_plan_type(plan, operands[0]).shape;
  *out = (rows_argument){.op = (mica_op)node->op, .length = shape.dim[shape.rank - 1]};
  out->rows = mica_shape_count(shape) / out->length;
  out->chunk = ROWS_TASK_BYTES / 4 / out->length;
  if (out->chunk < 1) out->chunk = 1;
  if (out->op == MICA_OP_LAYER_NORM) {
    out->epsilon = (float)((const mica_layer_norm_attr *)node->attr)->epsilon;
    out->scale = !is_all(plan, operands[1], 1);
    out->bias = !is_all(plan, operands[2], 0);
  }
  if (out->op == MICA_OP_LAYER_NORM_GRADIENT) {
    out->epsilon = (float)((const mica_layer_norm_attr *)node->attr)->epsilon;
    out->scale = !is_all(plan, operands[1], 1);
    out->chunk = mica_row_norm_chunk(out->rows);
    out->sums = has_users(plan, id + 1) || has_users(plan, id + 2);
  }
  if (out->op == MICA_OP_SOFTMAX_CROSS_ENTROPY || out->op == MICA_OP_SOFTMAX_CROSS_ENTROPY_GRADIENT)
    out->wide_labels = mica_plan_type(plan, operands[1]).dtype == MICA_I64;
  out->tasks = (out->rows + out->chunk - 1) / out->chunk;
}

/* The slope of each row, or one for all. */
static mica_view slope_view(mica_plan *plan, uint32_t id, int64_t *out_step) {
  mica_view view = mica_plan_place(plan, id);
  mica_shape shape = mica_plan_type(plan, id).shape;
  bool one = true;
  for (int32_t axis = 0; axis < shape.rank; axis++)
    one = one && (shape.dim[axis] == 1 || view.stride[axis] == 0);
  *out_step = one ? 0 : 1;
  return one ? view : mica_plan_dense(plan, id);
}

/* The references of dscale, dbias and the tasks' sums. */
static void add_sums(mica_plan *plan, uint32_t id, rows_argument *argument) {
  size_t size = 0;
  if (!argument->sums || !mica_plan_good(plan)) return;
  argument->sums_first = plan->steps[plan->step_count - 1].reference_count;
  mica_plan_result(plan, id + 1);
  mica_plan_result(plan, id + 2);
  if (!mica_size_multiply((size_t)argument->tasks * 2 * sizeof(float), (size_t)argument->length,
                          &size))
    size = SIZE_MAX;
  mica_plan_scratch(plan, size);
}

/* Whether the finish reads storage `reader` itself, so that the kernel must leave it alone. */
static bool finish_reads(const mica_finish_plan *finish, uint32_t reader) {
  for (uint32_t i = 0; finish != NULL && finish->block != NULL && i < finish->block->loads; i++)
    if (finish->block->place[i].storage == reader) return true;
  return false;
}

bool mica_plan_rows_finished(mica_plan *plan, uint32_t id, const mica_finish_plan *finish) {
  if (!mica_rows_fit(plan->graph, id)) return false;
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  rows_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  fill_rows(plan, id, argument);
  /* Operands that the kernel does without are the first one again. */
  uint32_t second = node->operand_count > 1 ? operands[1] : operands[0];
  uint32_t third = node->operand_count > 2 ? operands[2] : operands[0];
  bool norm = argument->op == MICA_OP_LAYER_NORM || argument->op == MICA_OP_LAYER_NORM_GRADIENT;
  if (norm && !argument->scale) second = operands[0];
  if (argument->op == MICA_OP_LAYER_NORM && !argument->bias) third = operands[0];
  mica_view x = mica_plan_dense(plan, operands[0]), second_view = mica_plan_dense(plan, second),
            third_view = argument->op == MICA_OP_SOFTMAX_CROSS_ENTROPY_GRADIENT
                             ? slope_view(plan, third, &argument->slope_step)
                             : mica_plan_dense(plan, third);
  if (!mica_plan_good(plan)) return true;
  int64_t elements = argument->rows * argument->length;
  int64_t bytes = (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, operands[0])) +
                  (int64_t)mica_plan_bytes(plan, node->type);
  int64_t cost = 60 + elements / 1000 * rows_element_cost(argument->op);
  argument->serial = cost < ROWS_SERIAL_COST;
  argument->stream =
      finish == NULL && (int64_t)mica_plan_bytes(plan, node->type) >= ROWS_STREAM_BYTES;
  if (finish != NULL) argument->finish = finish->argument;
  mica_plan_step_add(plan, run_rows, argument, id);
  mica_plan_read(plan, operands[0], x)->in_place = true;
  mica_plan_read(plan, second, second_view)->in_place = !norm || !argument->scale;
  mica_plan_product_result(plan, id, finish);
  mica_plan_read(plan, third, third_view)->in_place =
      argument->op != MICA_OP_SOFTMAX_CROSS_ENTROPY_GRADIENT &&
      (argument->op != MICA_OP_LAYER_NORM || !argument->bias);
  if (finish != NULL) mica_plan_finish_references(plan, finish);
  add_sums(plan, id, argument);
  uint32_t result = finish != NULL ? finish->storage : plan->values[id].view.storage;
  if (x.offset == 0 && argument->op != MICA_OP_SOFTMAX_CROSS_ENTROPY &&
      !finish_reads(finish, x.storage))
    mica_plan_meet(plan, x.storage, result, false);
  if (third_view.offset == 0 && argument->op == MICA_OP_LAYER_NORM_GRADIENT &&
      !finish_reads(finish, third_view.storage))
    mica_plan_meet(plan, third_view.storage, result, false);
  mica_plan_cost(plan, 8.0 * (double)elements, bytes, cost);
  return true;
}

bool mica_plan_rows(mica_plan *plan, uint32_t id) {
  return mica_plan_rows_finished(plan, id, NULL);
}
