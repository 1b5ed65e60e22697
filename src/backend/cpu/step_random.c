/* SPDX-License-Identifier: Apache-2.0 */
/* step_random.c: random bits, and the places of extremes. */
#include "backend/cpu/moves_internal.h"

#include <string.h>

/* ---- random bits ------------------------------------------------------------------------------ */

enum { RANDOM_TASK_BLOCKS = 4096 }; /* 64 KiB of words */

typedef struct {
  int64_t keys, words; /* of them, and words for each */
  int64_t tasks;       /* for each key */
} random_argument;

typedef struct {
  const random_argument *argument;
  const mica_cpu_kernels *kernels;
  const uint32_t *keys;
  uint32_t *out;
} random_job;

static void draw_key_words(void *context, int64_t index, int32_t worker) {
  const random_job *job = context;
  const random_argument *argument = job->argument;
  (void)worker;
  int64_t which = index / argument->tasks, block = index % argument->tasks * RANDOM_TASK_BLOCKS;
  uint32_t key[2];
  memcpy(key, job->keys + 2 * which, sizeof(key));
  uint32_t *out = job->out + which * argument->words + 4 * block;
  int64_t words = argument->words - 4 * block;
  if (words > 4 * RANDOM_TASK_BLOCKS) words = 4 * RANDOM_TASK_BLOCKS;
  job->kernels->philox(key, (uint64_t)block, words / 4, out);
  if (words % 4 == 0) return;
  uint32_t last[4];
  job->kernels->philox(key, (uint64_t)(block + words / 4), 1, last);
  memcpy(out + words / 4 * 4, last, (size_t)(words % 4) * sizeof(*last));
}

static mica_status run_random(const mica_cpu_step *step, mica_cpu_context *context) {
  const random_argument *argument = step->argument;
  random_job job = {argument, context->device->kernels, mica_cpu_address(step, context, 0),
                    mica_cpu_address(step, context, 1)};
  int64_t count = argument->keys * argument->tasks;
  if (argument->keys * argument->words < 8192) /* a few microseconds */
    for (int64_t i = 0; i < count; i++) draw_key_words(&job, i, 0);
  else
    context->parallel.run(context->parallel.self, count, draw_key_words, &job);
  return MICA_OK;
}

static void lower_random(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  const mica_random_bits_attr *attr = node->attr;
  random_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view keys = mica_plan_dense(plan, operand);
  if (argument == NULL) return;
  argument->words = mica_shape_count(attr->shape);
  argument->keys = mica_shape_count(node->type.shape) / argument->words;
  argument->tasks = (argument->words + 4 * RANDOM_TASK_BLOCKS - 1) / (4 * RANDOM_TASK_BLOCKS);
  mica_plan_step_add(plan, run_random, argument, id);
  mica_plan_read(plan, operand, keys);
  mica_plan_result(plan, id);
  int64_t words = argument->keys * argument->words;
  mica_plan_cost(plan, 0, 4 * words, 50 + words / 2);
}

/* ---- places of extremes ----------------------------------------------------------------------- */

enum { EXTREME_TASK_BYTES = 1 << 16 };

typedef struct {
  int64_t outer, count, inner; /* axes in front, the axis, axes behind */
  int64_t group;               /* outer positions a task takes */
  bool largest;
} extreme_argument;

typedef struct {
  const extreme_argument *argument;
  const mica_window_kernels *kernels;
  const float *x;
  int32_t *out;
} extreme_job;

static void find_extreme_places(void *context, int64_t index, int32_t worker) {
  const extreme_job *job = context;
  const extreme_argument *argument = job->argument;
  (void)worker;
  int64_t end = (index + 1) * argument->group;
  if (end > argument->outer) end = argument->outer;
  for (int64_t i = index * argument->group; i < end; i++) {
    const float *x = job->x + i * argument->count * argument->inner;
    int32_t *out = job->out + i * argument->inner;
    if (argument->inner > 1)
      (argument->largest ? job->kernels->arg_max_columns : job->kernels->arg_min_columns)(
          x, argument->count, argument->inner, argument->inner, out);
    else
      *out =
          (argument->largest ? job->kernels->arg_max : job->kernels->arg_min)(x, argument->count);
  }
}

static mica_status run_extreme(const mica_cpu_step *step, mica_cpu_context *context) {
  const extreme_argument *argument = step->argument;
  extreme_job job = {argument, context->device->kernels->window, mica_cpu_address(step, context, 0),
                     mica_cpu_address(step, context, 1)};
  int64_t tasks = (argument->outer + argument->group - 1) / argument->group;
  if (tasks == 1)
    find_extreme_places(&job, 0, 0);
  else
    context->parallel.run(context->parallel.self, tasks, find_extreme_places, &job);
  return MICA_OK;
}

static bool lower_extreme(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  const mica_arg_reduce_attr *attr = node->attr;
  mica_type x = mica_plan_type(plan, operand);
  if (x.dtype != MICA_F32 || node->type.dtype != MICA_I32 || x.shape.dim[attr->axis] > INT32_MAX)
    return false;
  extreme_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view view = mica_plan_dense(plan, operand);
  if (argument == NULL) return true;
  *argument = (extreme_argument){1, x.shape.dim[attr->axis], 1, 1, attr->kind == MICA_REDUCE_MAX};
  for (int32_t axis = 0; axis < x.shape.rank; axis++) {
    if (axis < attr->axis) argument->outer *= x.shape.dim[axis];
    if (axis > attr->axis) argument->inner *= x.shape.dim[axis];
  }
  argument->group = EXTREME_TASK_BYTES / 4 / (argument->count * argument->inner) + 1;
  mica_plan_step_add(plan, run_extreme, argument, id);
  mica_plan_read(plan, operand, view);
  mica_plan_result(plan, id);
  int64_t bytes = (int64_t)mica_plan_bytes(plan, x);
  mica_plan_cost(plan, (double)bytes / 4, bytes, 50 + bytes / 20);
  return true;
}

bool mica_plan_draw(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_RANDOM_BITS && node->op != MICA_OP_ARG_REDUCE) return false;
  mica_shape shape = mica_plan_type(plan, mica_node_operands(plan->graph, node)[0]).shape;
  if (mica_shape_count(node->type.shape) == 0 || mica_shape_count(shape) == 0) return false;
  if (node->op == MICA_OP_ARG_REDUCE) return lower_extreme(plan, id);
  lower_random(plan, id);
  return true;
}
