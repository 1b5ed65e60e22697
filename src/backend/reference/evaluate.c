/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.c: running a program: node after node, region by region.
 *
 * `place` says where every value lies. Values that nodes make have a fixed place in the arena; arguments
 * of regions are bound to the places of what is handed in before the region runs. A loop's state has two
 * buffers that change roles, since the next state may be made of the present one in any order. */
#include "backend/reference/program_internal.h"
#include "graph/custom.h"

#include <string.h>

static mica_status evaluate_region(const reference_program *program, reference_frame *frame,
                                   uint32_t region);

static void *arena_place(const reference_frame *frame, size_t offset) {
  return frame->arena + (offset - 1);
}

static uint32_t index_of_region(const mica_graph *graph, const mica_node *node, uint32_t which) {
  return graph->owned[node->region_first + which];
}

/* Binds what region number `which` of an owner captures; its operands come behind the declared ones,
 * region by region. */
static void bind_captured_places(const mica_graph *graph, reference_frame *frame,
                                 const mica_node *node, uint32_t which) {
  uint32_t at = node->declared_count;
  for (uint32_t r = 0; r < which; r++) {
    const mica_region_data *earlier = mica_node_region(graph, node, r);
    at += earlier->argument_count - earlier->declared_count;
  }
  const mica_region_data *region = mica_node_region(graph, node, which);
  const uint32_t *operands = mica_node_operands(graph, node);
  for (uint32_t i = region->declared_count; i < region->argument_count; i++)
    frame->place[region->arguments[i]] = frame->place[operands[at++]];
}

static void copy_value(const mica_graph *graph, uint32_t id, const void *from, void *to) {
  mica_reference_copy_all(mica_node_at(graph, id)->type, from, to);
}

/* A region's results to the owner's. */
static void copy_results(const mica_graph *graph, reference_frame *frame, uint32_t id,
                         uint32_t which) {
  const mica_region_data *region = mica_node_region(graph, mica_node_at(graph, id), which);
  for (uint32_t i = 0; i < region->result_count; i++)
    copy_value(graph, id + i, frame->place[region->results[i]], frame->place[id + i]);
}

/* call, recompute, custom_gradient: the first region, on the operands. */
static mica_status evaluate_call(const reference_program *program, reference_frame *frame,
                                 uint32_t id) {
  const mica_graph *graph = &program->graph;
  const mica_node *node = mica_node_at(graph, id);
  const mica_region_data *region = mica_node_region(graph, node, 0);
  bind_captured_places(graph, frame, node, 0);
  for (uint32_t i = 0; i < region->declared_count; i++)
    frame->place[region->arguments[i]] = frame->place[mica_node_operands(graph, node)[i]];
  mica_status status = evaluate_region(program, frame, index_of_region(graph, node, 0));
  if (status == MICA_OK) copy_results(graph, frame, id, 0);
  return status;
}

static mica_status evaluate_switch(const reference_program *program, reference_frame *frame,
                                   uint32_t id) {
  const mica_graph *graph = &program->graph;
  const mica_node *node = mica_node_at(graph, id);
  int32_t index;
  memcpy(&index, frame->place[mica_node_operands(graph, node)[0]], sizeof(index));
  uint32_t which =
      index < 0 || index >= node->region_count ? node->region_count - 1u : (uint32_t)index;
  bind_captured_places(graph, frame, node, which);
  mica_status status = evaluate_region(program, frame, index_of_region(graph, node, which));
  if (status == MICA_OK) copy_results(graph, frame, id, which);
  return status;
}

/* ---- loops ------------------------------------------------------------------------------------ */

/* Where state `i` of loop `id` goes in step `t`: the results and the second buffers in turn. */
static void *state_place(const reference_program *program, const reference_frame *frame,
                         uint32_t id, uint32_t i, int64_t t) {
  return t % 2 == 0 ? frame->place[id + i] : arena_place(frame, program->second[id + i]);
}

/* After `steps` steps: brings the state into the results. */
static void settle_states(const reference_program *program, reference_frame *frame, uint32_t id,
                          uint32_t states, int64_t steps) {
  const mica_graph *graph = &program->graph;
  const uint32_t *operands = mica_node_operands(graph, mica_node_at(graph, id));
  for (uint32_t i = 0; i < states; i++) {
    if (steps == 0)
      copy_value(graph, id + i, frame->place[operands[i]], frame->place[id + i]);
    else if (steps % 2 == 0)
      copy_value(graph, id + i, arena_place(frame, program->second[id + i]), frame->place[id + i]);
  }
}

static mica_status evaluate_while(const reference_program *program, reference_frame *frame,
                                  uint32_t id) {
  const mica_graph *graph = &program->graph;
  const mica_node *node = mica_node_at(graph, id);
  const mica_while_attr *attr = node->attr;
  const mica_region_data *condition = mica_node_region(graph, node, 0);
  const mica_region_data *body = mica_node_region(graph, node, 1);
  uint32_t states = node->declared_count;
  bind_captured_places(graph, frame, node, 0);
  bind_captured_places(graph, frame, node, 1);
  for (uint32_t i = 0; i < states; i++)
    frame->place[condition->arguments[i]] = frame->place[body->arguments[i]] =
        frame->place[mica_node_operands(graph, node)[i]];
  int64_t t = 0;
  for (;; t++) {
    if (attr->max_iterations > 0 && t >= attr->max_iterations) break;
    mica_status status = evaluate_region(program, frame, index_of_region(graph, node, 0));
    if (status != MICA_OK) return status;
    const uint8_t *holds = frame->place[condition->results[0]];
    if (*holds == 0) break;
    status = evaluate_region(program, frame, index_of_region(graph, node, 1));
    if (status != MICA_OK) return status;
    for (uint32_t i = 0; i < states; i++)
      copy_value(graph, id + i, frame->place[body->results[i]],
                 state_place(program, frame, id, i, t));
    for (uint32_t i = 0; i < states; i++)
      frame->place[condition->arguments[i]] = frame->place[body->arguments[i]] =
          state_place(program, frame, id, i, t);
  }
  settle_states(program, frame, id, states, t);
  return MICA_OK;
}

/* A move of one row, `type` elements, between an array and row t of a stack of them. */
static reference_move row_move(mica_type type, int64_t t, bool into_stack) {
  int64_t count = mica_shape_count(type.shape);
  reference_move move = {.rank = 1, .dim = {count}, .in_stride = {1}, .out_stride = {1}};
  if (into_stack)
    move.out_offset = t * count;
  else
    move.in_offset = t * count;
  return move;
}

static mica_status evaluate_scan(const reference_program *program, reference_frame *frame,
                                 uint32_t id) {
  const mica_graph *graph = &program->graph;
  const mica_node *node = mica_node_at(graph, id);
  const mica_scan_attr *attr = node->attr;
  const mica_region_data *body = mica_node_region(graph, node, 0);
  const uint32_t *operands = mica_node_operands(graph, node);
  uint32_t states = (uint32_t)attr->carry_count;
  bind_captured_places(graph, frame, node, 0);
  for (uint32_t i = 0; i < states; i++)
    frame->place[body->arguments[i]] = frame->place[operands[i]];
  for (uint32_t i = states; i < body->declared_count; i++)
    frame->place[body->arguments[i]] = arena_place(frame, program->offset[body->arguments[i]]);
  for (int64_t step = 0; step < attr->length; step++) {
    int64_t t = attr->reverse ? attr->length - 1 - step : step;
    for (uint32_t i = states; i < body->declared_count; i++) {
      mica_type type = mica_node_at(graph, body->arguments[i])->type;
      reference_move move = row_move(type, t, false);
      mica_reference_copy(type.dtype, frame->place[operands[i]], frame->place[body->arguments[i]],
                          &move);
    }
    mica_status status = evaluate_region(program, frame, index_of_region(graph, node, 0));
    if (status != MICA_OK) return status;
    for (uint32_t i = states; i < body->result_count; i++) {
      mica_type type = mica_node_at(graph, body->results[i])->type;
      reference_move move = row_move(type, t, true);
      mica_reference_copy(type.dtype, frame->place[body->results[i]], frame->place[id + i], &move);
    }
    for (uint32_t i = 0; i < states; i++)
      copy_value(graph, id + i, frame->place[body->results[i]],
                 state_place(program, frame, id, i, step));
    for (uint32_t i = 0; i < states; i++)
      frame->place[body->arguments[i]] = state_place(program, frame, id, i, step);
  }
  settle_states(program, frame, id, states, attr->length);
  return MICA_OK;
}

/* ---- nodes ------------------------------------------------------------------------------------ */

static bool operands_finite(const mica_graph *graph, const reference_frame *frame, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  for (uint32_t i = 0; i < node->operand_count; i++)
    if (mica_find_not_finite(mica_node_at(graph, mica_node_operands(graph, node)[i])->type,
                             frame->in[i]) >= 0)
      return false;
  return true;
}

static mica_status find_first_nan(const mica_graph *graph, const reference_frame *frame,
                                  uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  for (uint32_t i = 0; i < node->result_count; i++) {
    int64_t index = mica_find_not_finite(mica_node_at(graph, id + i)->type, frame->place[id + i]);
    if (index < 0) continue;
    if (!operands_finite(graph, frame, id)) return MICA_OK;
    return mica_not_finite_error(graph, id, i, frame->place[id + i], index, frame->error);
  }
  return MICA_OK;
}

static mica_status evaluate_kernel(const reference_program *program, reference_frame *frame,
                                   uint32_t id) {
  const mica_graph *graph = &program->graph;
  const mica_node *node = mica_node_at(graph, id);
  for (uint32_t i = 0; i < node->operand_count; i++)
    frame->in[i] = frame->place[mica_node_operands(graph, node)[i]];
  if (mica_is_custom((mica_op)node->op)) {
    mica_status status = mica_custom_run(graph, id, frame->in, &frame->place[id], frame->error);
    if (status != MICA_OK) return status;
  } else {
    int64_t begin = frame->timing == NULL ? 0 : mica_clock_nanoseconds();
    mica_reference_node(graph, id, frame->in, &frame->place[id], frame->arena + program->scratch);
    if (frame->timing != NULL) {
      frame->timing[id].begin = begin;
      frame->timing[id].nanoseconds += mica_clock_nanoseconds() - begin;
      frame->timing[id].runs++;
    }
  }
  if (node->op == MICA_OP_MARK) {
    const mica_mark_attr *attr = node->attr;
    mica_call_mark(frame->call, attr->label, node->type, frame->place[id]);
  }
  return program->device->find_nan ? find_first_nan(graph, frame, id) : MICA_OK;
}

static mica_status evaluate_node(const reference_program *program, reference_frame *frame,
                                 uint32_t id) {
  switch ((mica_op)mica_node_at(&program->graph, id)->op) {
    case MICA_OP_WHILE: return evaluate_while(program, frame, id);
    case MICA_OP_SWITCH: return evaluate_switch(program, frame, id);
    case MICA_OP_SCAN: return evaluate_scan(program, frame, id);
    case MICA_OP_CALL:
    case MICA_OP_RECOMPUTE:
    case MICA_OP_CUSTOM_GRADIENT: return evaluate_call(program, frame, id);
    default: return evaluate_kernel(program, frame, id);
  }
}

static mica_status evaluate_region(const reference_program *program, reference_frame *frame,
                                   uint32_t region) {
  reference_list list = program->regions[region];
  for (uint32_t i = 0; i < list.count; i++) {
    if (mica_device_is_cancelled(program->device)) return mica_device_cancelled_error(frame->error);
    mica_status status = evaluate_node(program, frame, program->steps[list.first + i]);
    if (status != MICA_OK) return status;
  }
  return MICA_OK;
}

mica_status mica_reference_evaluate(const reference_program *program, reference_frame *frame) {
  return evaluate_region(program, frame, 0);
}
