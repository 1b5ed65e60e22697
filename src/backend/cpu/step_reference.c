/* SPDX-License-Identifier: Apache-2.0 */
/* step_reference.c: operators and dtypes without a fast kernel run by the reference's plain loops, on dense
 * operands; and marked values, which are reported and passed on. */
#include "backend/cpu/plan_internal.h"
#include "backend/reference.h"

typedef struct {
  uint32_t node, in_count, out_count;
} reference_argument;

static mica_status run_reference(const mica_cpu_step *step, mica_cpu_context *context) {
  const reference_argument *argument = step->argument;
  uint32_t count = argument->in_count + argument->out_count;
  void **pointers = context->pointers;
  for (uint32_t i = 0; i < count; i++) pointers[i] = mica_cpu_address(step, context, i);
  mica_reference_node(&context->program->graph, argument->node, (const void *const *)pointers,
                      pointers + argument->in_count, mica_cpu_address(step, context, count));
  return MICA_OK;
}

bool mica_plan_reference_node(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  if (!mica_reference_has((mica_op)node->op)) return false;
  size_t scratch = 0;
  if (!mica_reference_scratch(plan->graph, id, &scratch)) return false;
  reference_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view *views =
      mica_arena_allocate(&plan->arena, ((size_t)node->operand_count + 1) * sizeof(*views));
  if (views == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  if (!mica_plan_good(plan)) return true;
  *argument = (reference_argument){id, node->operand_count, node->result_count};
  if (node->operand_count + node->result_count > plan->pointer_count)
    plan->pointer_count = node->operand_count + node->result_count;
  int64_t bytes = 0, elements = 0;
  for (uint32_t i = 0; i < node->operand_count; i++) {
    views[i] = mica_plan_dense(plan, operands[i]);
    bytes += (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, operands[i]));
    elements += mica_shape_count(mica_plan_type(plan, operands[i]).shape);
  }
  mica_plan_step_add(plan, run_reference, argument, id);
  for (uint32_t i = 0; i < node->operand_count; i++) mica_plan_read(plan, operands[i], views[i]);
  for (uint32_t i = 0; i < node->result_count; i++) {
    mica_plan_result(plan, id + i);
    bytes += (int64_t)mica_plan_bytes(plan, mica_plan_type(plan, id + i));
    elements += mica_shape_count(mica_plan_type(plan, id + i).shape);
  }
  mica_plan_scratch(plan, scratch);
  mica_plan_cost(plan, (double)elements, bytes, 100 + 10 * elements);
  return true;
}

/* ---- marked values ---------------------------------------------------------------------------- */

typedef struct {
  const char *label;
  mica_type type;
} mark_argument;

static mica_status run_mark(const mica_cpu_step *step, mica_cpu_context *context) {
  const mark_argument *argument = step->argument;
  mica_call_mark(context->call, argument->label, argument->type,
                 mica_cpu_address(step, context, 0));
  return MICA_OK;
}

bool mica_plan_mark(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_MARK) return false;
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  const mica_mark_attr *attr = node->attr;
  mark_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view view = mica_plan_dense(plan, operand);
  if (!mica_plan_good(plan)) return true;
  *argument = (mark_argument){attr->label, node->type}; /* the label lives in the program's graph */
  mica_plan_step_add(plan, run_mark, argument, id);
  mica_plan_read(plan, operand, view);
  plan->values[id].view = view;
  return true;
}
