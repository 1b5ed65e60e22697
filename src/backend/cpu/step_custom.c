/* SPDX-License-Identifier: Apache-2.0 */
/* step_custom.c: custom operators, host callbacks and assertions: functions of the host's on dense operands. */
#include "backend/cpu/plan_internal.h"
#include "graph/custom.h"

typedef struct {
  uint32_t node, in_count, out_count;
} custom_argument;

static mica_status run_custom(const mica_cpu_step *step, mica_cpu_context *context) {
  const custom_argument *argument = step->argument;
  void **pointers = context->pointers;
  for (uint32_t i = 0; i < argument->in_count + argument->out_count; i++)
    pointers[i] = mica_cpu_address(step, context, i);
  return mica_custom_run(&context->program->graph, argument->node, (const void *const *)pointers,
                         pointers + argument->in_count, context->error);
}

bool mica_plan_custom(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  if (!mica_is_custom((mica_op)node->op)) return false;
  custom_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view views[MICA_CUSTOM_MOST];
  if (!mica_plan_good(plan)) return true;
  *argument = (custom_argument){id, node->operand_count, node->result_count};
  if (node->operand_count + node->result_count > plan->pointer_count)
    plan->pointer_count = node->operand_count + node->result_count;
  int64_t bytes = 0;
  for (uint32_t i = 0; i < node->operand_count; i++) {
    views[i] = mica_plan_dense(plan, operands[i]);
    bytes += (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, operands[i]));
  }
  mica_plan_step_add(plan, run_custom, argument, id);
  for (uint32_t i = 0; i < node->operand_count; i++) mica_plan_read(plan, operands[i], views[i]);
  for (uint32_t i = 0; i < node->result_count; i++) {
    mica_plan_result(plan, id + i);
    bytes += (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, id + i));
  }
  mica_plan_cost(plan, 0, bytes, 1000 + bytes);
  return true;
}
