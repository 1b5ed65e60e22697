/* SPDX-License-Identifier: Apache-2.0 */
/* step_convert.c: conversions that no tile program does, as those of 4-bit integers and 8-bit floats: by
 * mica_convert_elements, in parts that begin with whole bytes. */
#include "backend/cpu/fusion_internal.h"

enum { CONVERT_TASK = 1 << 14 }; /* elements, even */

typedef struct {
  mica_dtype from, to;
  int64_t count;
  bool serial;
} convert_argument;

typedef struct {
  const convert_argument *argument;
  const char *from;
  char *to;
} convert_job;

static size_t convert_bytes(mica_dtype dtype, int64_t count) {
  return (size_t)count * (size_t)mica_dtype_bits(dtype) / 8;
}

static void convert_task(void *context, int64_t index, int32_t worker) {
  const convert_job *job = context;
  const convert_argument *argument = job->argument;
  int64_t begin = index * CONVERT_TASK, count = argument->count - begin;
  (void)worker;
  mica_convert_elements(argument->to, job->to + convert_bytes(argument->to, begin), argument->from,
                        job->from + convert_bytes(argument->from, begin),
                        count < CONVERT_TASK ? count : CONVERT_TASK);
}

static mica_status run_convert(const mica_cpu_step *step, mica_cpu_context *context) {
  const convert_argument *argument = step->argument;
  convert_job job = {argument, mica_cpu_address(step, context, 0),
                     mica_cpu_address(step, context, 1)};
  const mica_parallel *parallel = argument->serial ? &mica_cpu_serial : &context->parallel;
  parallel->run(parallel->self, (argument->count + CONVERT_TASK - 1) / CONVERT_TASK, convert_task,
                &job);
  return MICA_OK;
}

/* The step, without the reference of its result. */
static bool add_conversion(mica_plan *plan, uint32_t id, uint32_t operand, mica_dtype to) {
  mica_type type = mica_plan_type(plan, operand);
  convert_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view view = mica_plan_dense(plan, operand);
  if (!mica_plan_good(plan)) return false;
  int64_t count = mica_shape_count(type.shape);
  *argument = (convert_argument){type.dtype, to, count, count < MICA_CPU_SERIAL_COST};
  mica_plan_step_add(plan, run_convert, argument, id);
  mica_plan_read(plan, operand, view);
  mica_plan_cost(plan, (double)count,
                 (int64_t)(convert_bytes(type.dtype, count) + convert_bytes(to, count)),
                 100 + count);
  return true;
}

bool mica_plan_widened(mica_plan *plan, uint32_t id, uint32_t operand, mica_dtype dtype,
                       mica_view *out) {
  mica_type type = mica_plan_type(plan, operand);
  mica_view place = mica_plan_place(plan, operand);
  uint32_t storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0,
                                       mica_plan_bytes(plan, (mica_type){dtype, type.shape}));
  mica_view_dense(out, storage, type.shape);
  if (mica_plan_convert(plan, id, type.shape, type.dtype, place, dtype, storage)) return true;
  if (!mica_plan_good(plan) || !add_conversion(plan, id, operand, dtype)) return false;
  mica_plan_reference_add(plan, storage, 0, MICA_PLAN_WRITE);
  return true;
}

bool mica_plan_conversion(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_CONVERT || mica_shape_count(node->type.shape) == 0) return false;
  if (add_conversion(plan, id, mica_node_operands(plan->graph, node)[0], node->type.dtype))
    mica_plan_result(plan, id);
  return true;
}
