/* SPDX-License-Identifier: Apache-2.0 */
/* step_finish.c: a group that works on the result of a product, or of a normalization of rows, runs on each
 * block of it as soon as it is complete. A bias and a relu are the kernels' own; anything else elementwise is a tile program, which
 * mostly takes over the product's memory. */
#include "backend/cpu/products_internal.h"

#include <stdalign.h>
#include <string.h>

/* ---- running ---------------------------------------------------------------------------------- */

static void finish_block(void *context, int64_t row, int64_t column, int64_t rows, int64_t columns,
                         void *c, int64_t c_row) {
  const mica_finish_call *call = context;
  alignas(64) char scratch[MICA_FINISH_SCRATCH];
  (void)c;
  (void)c_row;
  mica_tile_run_block(call->program, call->buffers, row, column, rows, columns, scratch);
}

const mica_gemm_finish *mica_finish_begin(const mica_finish *finish, const mica_cpu_step *step,
                                          const mica_cpu_context *context, mica_finish_call *call) {
  if (!finish->any) return NULL;
  call->finish = (mica_gemm_finish){.relu = finish->relu};
  if (finish->bias) call->finish.bias = mica_cpu_address(step, context, MICA_PRODUCT_REFERENCES);
  if (finish->program != NULL) {
    call->program = finish->program;
    for (uint32_t i = 0; i < finish->buffer_count; i++)
      call->buffers[i] = mica_cpu_address(step, context, MICA_PRODUCT_REFERENCES + i);
    call->finish.epilogue = finish_block;
    call->finish.context = call;
  }
  return &call->finish;
}

/* ---- references ------------------------------------------------------------------------------- */

void mica_plan_product_result(mica_plan *plan, uint32_t id, const mica_finish_plan *finish) {
  if (finish == NULL)
    mica_plan_result(plan, id);
  else
    mica_plan_reference_add(plan, finish->storage, 0, MICA_PLAN_WRITE)->value = finish->result;
}

void mica_plan_finish_references(mica_plan *plan, const mica_finish_plan *finish) {
  if (finish->argument.bias) mica_plan_read(plan, finish->bias_value, finish->bias);
  if (finish->block == NULL) return;
  const mica_block_program *block = finish->block;
  for (uint32_t i = 0; i < block->count; i++) {
    if (i < block->loads)
      mica_plan_read(plan, block->value[i], block->place[i])->in_place = true;
    else
      mica_plan_result(plan, block->value[i]);
  }
  /* The product's own memory first: then the sum is not written to memory at all. */
  for (uint32_t i = block->loads; i < block->count && mica_plan_good(plan); i++) {
    uint32_t value = block->value[i];
    if (mica_dtype_bits(mica_plan_type(plan, value).dtype) == 32)
      mica_plan_meet(plan, finish->storage, plan->values[value].view.storage, false);
    mica_plan_meet_loads(plan, block, i, plan->values[value].view.storage);
  }
}

/* ---- planning --------------------------------------------------------------------------------- */

bool mica_product_fits(const mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->type.dtype != MICA_F32) return false;
  if (mica_rows_finish(plan->graph, id)) return true;
  if (node->op == MICA_OP_DOT_GENERAL) return mica_dot_fits(plan->graph, id);
  return (node->op == MICA_OP_CONVOLUTION || node->op == MICA_OP_CONVOLUTION_BACKWARD_DATA) &&
         mica_convolution_fits(plan->graph, id);
}

/* Rows and columns of the host's result, as its kernel walks them. */
static void host_blocks(const mica_plan *plan, uint32_t id, int64_t *rows, int64_t *columns) {
  const mica_node *node = mica_node_at(plan->graph, id);
  int64_t count = mica_shape_count(node->type.shape);
  *columns = 1;
  if (node->op == MICA_OP_DOT_GENERAL) {
    const mica_dot_attr *attr = node->attr;
    mica_shape y = mica_plan_type(plan, mica_node_operands(plan->graph, node)[1]).shape;
    int32_t kept = y.rank - attr->rhs_batch.count - attr->rhs_contract.count;
    for (int32_t i = 0; i < kept; i++)
      *columns *= node->type.shape.dim[node->type.shape.rank - 1 - i];
  } else {
    *columns = node->type.shape.dim[node->type.shape.rank - 1];
  }
  *rows = count / *columns;
}

/* Whether the value is one number a column, dense. */
static bool is_bias(const mica_plan *plan, uint32_t operand, int64_t rows, int64_t columns,
                    mica_view *out) {
  mica_type type = mica_plan_type(plan, operand);
  if (type.dtype != MICA_F32 || columns == 1 || rows == 1) return false;
  if (plan->values[operand].view.storage == MICA_PLAN_NONE) return false; /* a counter */
  mica_view view = plan->values[operand].view, blocks;
  if (!mica_view_reshape(&view, type.shape, (mica_shape){2, {rows, columns}}, &blocks))
    return false;
  *out = view;
  return blocks.stride[0] == 0 && blocks.stride[1] == 1;
}

/* host + bias, relu of that, or relu of the host. */
static bool match_bias_relu(const mica_plan *plan, uint32_t index, int64_t rows, int64_t columns,
                            mica_finish_plan *out) {
  const mica_fusion *fusion = plan->fusion;
  const mica_fusion_group *group = &fusion->groups[index];
  uint32_t at = group->host, id = group->first;
  if (group->count > 2 || group->keeps_host) return false;
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_view view;
  if (node->op == MICA_OP_ADD) {
    uint32_t side = mica_plan_trace(plan, operands[0], &view) == at ? 0 : 1;
    if (mica_plan_trace(plan, operands[side], &view) != at ||
        mica_plan_trace(plan, operands[1 - side], &view) == at)
      return false;
    if (!is_bias(plan, operands[1 - side], rows, columns, &out->bias)) return false;
    out->bias_value = operands[1 - side];
    out->argument.bias = true;
    at = id;
    id = fusion->next[id];
  }
  if (id != 0) {
    node = mica_node_at(plan->graph, id);
    if (node->op != MICA_OP_RELU ||
        mica_plan_trace(plan, mica_node_operands(plan->graph, node)[0], &view) != at)
      return false;
    if (at != group->host && fusion->stored[at]) return false;
    out->argument.relu = true;
    at = id;
    id = fusion->next[id];
  }
  out->result = at;
  return id == 0 && at != group->host;
}

static void release_finish(void *program) { mica_tile_destroy(program); }

bool mica_plan_finish_group(mica_plan *plan, uint32_t index) {
  const mica_fusion_group *group = &plan->fusion->groups[index];
  uint32_t host = group->host;
  int64_t rows, columns;
  host_blocks(plan, host, &rows, &columns);
  mica_finish_plan finish = {.argument = {.any = true}};
  mica_block_program *block = mica_arena_allocate_zeroed(&plan->arena, 1, sizeof(*block));
  if (block == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return false;
  }
  mica_type type = mica_plan_type(plan, host);
  bool by_rows = mica_rows_finish(plan->graph, host);
  bool plain = !by_rows && match_bias_relu(plan, index, rows, columns, &finish);
  if (!plain) {
    finish = (mica_finish_plan){.argument = {.any = true}, .result = host, .block = block};
    /* The program loads the host's result where the product leaves it. */
    finish.storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
    mica_view_dense(&plan->values[host].view, finish.storage, type.shape);
    bool fits = mica_plan_block(plan, index, rows, columns, block);
    if (fits && mica_tile_thread_size(block->program) > MICA_FINISH_SCRATCH) {
      mica_tile_destroy(block->program);
      fits = false;
    }
    if (!fits || !mica_plan_own(plan, release_finish, block->program)) {
      plan->values[host].view.storage = MICA_PLAN_NONE;
      return false;
    }
    finish.argument.program = block->program;
    finish.argument.buffer_count = block->count;
  } else {
    finish.storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
  }
  mica_view_dense(&plan->values[finish.result].view, finish.storage,
                  mica_plan_type(plan, finish.result).shape);
  bool done = by_rows ? mica_plan_rows_finished(plan, host, &finish)
              : plan->graph->nodes[host].op == MICA_OP_DOT_GENERAL
                  ? mica_plan_dot_finished(plan, host, &finish)
                  : mica_plan_convolution_finished(plan, host, &finish);
  if (!done) {
    plan->values[host].view.storage = plan->values[finish.result].view.storage = MICA_PLAN_NONE;
    return false;
  }
  if (mica_plan_good(plan)) plan->steps[plan->step_count - 1].label = mica_group_label(plan, index);
  return true;
}
