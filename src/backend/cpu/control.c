/* SPDX-License-Identifier: Apache-2.0 */
/* control.c: while, switch and scan as jumps between steps.
 *
 *   while:  init copies; first: condition steps; test (-> exit); body steps; update copies; jump first; exit:
 *   scan:   init copies; begin; first: head (-> exit, moves the windows); body steps; update and emit
 *           copies; jump first; exit:
 *   switch: choose; branch k: its steps; result copies; jump exit; ... exit:
 *
 * A carry is one class of storages (see plan_internal.h), so that the copies mostly vanish in
 * memory_plan.c: the body then updates the carry in place. An item of a scan is read through a window
 * that the head moves, and an emitted value is written through one: neither is copied. */
#include "backend/cpu/plan_internal.h"

#include <string.h>

typedef struct {
  uint32_t target;
} jump_argument;

typedef struct {
  uint32_t exit;
  uint32_t counter;
  int64_t max_iterations; /* 0: unbounded */
} test_argument;

typedef struct {
  uint32_t counter;
} counter_argument;

/* A slot that moves over reference `reference` of the head. */
typedef struct {
  uint32_t slot, reference;
  int64_t byte_stride;
} scan_window;

typedef struct {
  uint32_t exit, counter, window_count;
  int64_t length;
  bool reverse;
  scan_window *windows;
} scan_argument;

typedef struct {
  uint32_t count;
  uint32_t *targets;
} switch_argument;

/* ---- running ---------------------------------------------------------------------------------- */

static mica_status run_jump(const mica_cpu_step *step, mica_cpu_context *context) {
  const jump_argument *argument = step->argument;
  context->next = argument->target;
  return MICA_OK;
}

static mica_status run_counter_reset(const mica_cpu_step *step, mica_cpu_context *context) {
  const counter_argument *argument = step->argument;
  context->counters[argument->counter] = 0;
  return MICA_OK;
}

static mica_status run_while_test(const mica_cpu_step *step, mica_cpu_context *context) {
  const test_argument *argument = step->argument;
  const unsigned char *condition = mica_cpu_address(step, context, 0);
  bool stay = *condition != 0;
  if (stay && argument->max_iterations > 0)
    stay = context->counters[argument->counter]++ < argument->max_iterations;
  if (!stay) context->next = argument->exit;
  return MICA_OK;
}

static mica_status run_scan_head(const mica_cpu_step *step, mica_cpu_context *context) {
  const scan_argument *argument = step->argument;
  int64_t t = context->counters[argument->counter]++;
  if (t >= argument->length) {
    context->next = argument->exit;
    return MICA_OK;
  }
  if (argument->reverse) t = argument->length - 1 - t;
  for (uint32_t i = 0; i < argument->window_count; i++) {
    const scan_window *window = &argument->windows[i];
    char *whole = mica_cpu_address(step, context, window->reference);
    context->base[window->slot] = whole + t * window->byte_stride;
  }
  return MICA_OK;
}

static mica_status run_switch(const mica_cpu_step *step, mica_cpu_context *context) {
  const switch_argument *argument = step->argument;
  int32_t index;
  memcpy(&index, mica_cpu_address(step, context, 0), sizeof(index));
  uint32_t last = argument->count - 1;
  uint32_t chosen = index < 0 || (uint32_t)index > last ? last : (uint32_t)index;
  context->next = argument->targets[chosen];
  return MICA_OK;
}

/* ---- carries ---------------------------------------------------------------------------------- */

/* The state of a loop while its body is lowered. */
typedef struct {
  uint32_t count;
  uint32_t *cells;     /* [count] the carries' storages as the outside sees them before the loop */
  uint32_t *arguments; /* [count] the same inside of an iteration */
} loop_carries;

static void label_step(mica_plan *plan, uint32_t step, const char *label) {
  if (mica_plan_good(plan)) plan->steps[step].label = label;
}

/* Copies the initial values and opens the loop. */
static bool carries_begin(mica_plan *plan, uint32_t id, uint32_t count, loop_carries *carries) {
  const uint32_t *operands = mica_node_operands(plan->graph, mica_node_at(plan->graph, id));
  carries->count = count;
  carries->cells = mica_arena_allocate_zeroed(&plan->arena, (size_t)count + 1, sizeof(uint32_t));
  carries->arguments =
      mica_arena_allocate_zeroed(&plan->arena, (size_t)count + 1, sizeof(uint32_t));
  if (carries->cells == NULL || carries->arguments == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    mica_type type = mica_plan_type(plan, operands[i]);
    mica_view from = mica_plan_place(plan, operands[i]), to;
    if (mica_dtype_bits(type.dtype) < 8) from = mica_plan_dense(plan, operands[i]);
    carries->cells[i] = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
    mica_view_dense(&to, carries->cells[i], type.shape);
    mica_plan_copy(plan, id, type.dtype, type.shape, from, to);
  }
  return mica_plan_good(plan);
}

static void carries_enter(mica_plan *plan, loop_carries *carries) {
  for (uint32_t i = 0; i < carries->count; i++) {
    mica_plan_touch(plan, carries->cells[i], plan->step_count, true);
    carries->arguments[i] = mica_plan_alias(plan, carries->cells[i]);
    mica_plan_touch(plan, carries->arguments[i], plan->step_count, true);
  }
}

/* Whether `view` lies in one of the carries' arguments, and in which. */
static bool carry_of_view(const mica_plan *plan, const loop_carries *carries, const mica_view *view,
                          uint32_t *out_index) {
  uint32_t root = mica_plan_class(plan, view->storage);
  for (uint32_t i = 0; i < carries->count; i++)
    if (mica_plan_class(plan, carries->cells[i]) == root) {
      *out_index = i;
      return true;
    }
  return false;
}

/* Puts the next values in their places and jumps back. What reads another carry's argument is saved
 * first, so that the copies do not depend on their order. */
static void carries_next(mica_plan *plan, uint32_t id, const mica_region_data *body,
                         const loop_carries *carries, uint32_t first) {
  size_t size = ((size_t)carries->count + 1) * sizeof(mica_view);
  mica_view *next = mica_arena_allocate(&plan->arena, size);
  uint32_t *updates =
      mica_arena_allocate_zeroed(&plan->arena, (size_t)carries->count + 1, sizeof(*updates));
  if (next == NULL || updates == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  for (uint32_t i = 0; i < carries->count && mica_plan_good(plan); i++) {
    mica_type type = mica_plan_type(plan, body->results[i]);
    next[i] = mica_plan_place(plan, body->results[i]);
    if (mica_dtype_bits(type.dtype) < 8) next[i] = mica_plan_dense(plan, body->results[i]);
    uint32_t from = 0;
    if (!carry_of_view(plan, carries, &next[i], &from)) continue;
    if (from == i && next[i].offset == 0 && mica_view_is_dense(&next[i], type.shape)) continue;
    mica_view saved;
    mica_view_dense(&saved,
                    mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type)),
                    type.shape);
    mica_plan_copy(plan, id, type.dtype, type.shape, next[i], saved);
    next[i] = saved;
  }
  for (uint32_t i = 0; i < carries->count && mica_plan_good(plan); i++) {
    mica_type type = mica_plan_type(plan, body->results[i]);
    uint32_t from = 0;
    if (carry_of_view(plan, carries, &next[i], &from)) {
      updates[i] = carries->arguments[i]; /* stays as it is, and alive */
      continue;
    }
    updates[i] = mica_plan_alias(plan, carries->cells[i]);
    mica_view to;
    mica_view_dense(&to, updates[i], type.shape);
    mica_plan_copy(plan, id, type.dtype, type.shape, next[i], to);
  }
  jump_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return;
  argument->target = first;
  mica_plan_target(plan, &argument->target);
  uint32_t jump = mica_plan_step_add(plan, run_jump, argument, id);
  label_step(plan, jump, "repeat");
  for (uint32_t i = 0; i < carries->count; i++) mica_plan_touch(plan, updates[i], jump, true);
}

/* The carries after the loop: results [0, count) of the node. */
static void carries_end(mica_plan *plan, uint32_t id, const loop_carries *carries) {
  for (uint32_t i = 0; i < carries->count && mica_plan_good(plan); i++) {
    uint32_t result = mica_plan_alias(plan, carries->cells[i]);
    mica_plan_touch(plan, result, plan->step_count - 1, true);
    mica_view_dense(&plan->values[id + i].view, result, mica_plan_type(plan, id + i).shape);
  }
}

/* Captured values of a region are seen where they lie. `at` counts the owner's operands. */
static void bind_captures(mica_plan *plan, uint32_t id, uint32_t index, uint32_t *at) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_region_data *region = mica_node_region(plan->graph, node, index);
  for (uint32_t k = region->declared_count; k < region->argument_count; k++)
    plan->values[region->arguments[k]].view = mica_plan_place(plan, operands[(*at)++]);
}

static uint32_t region_index(const mica_plan *plan, uint32_t id, uint32_t index) {
  return plan->graph->owned[mica_node_at(plan->graph, id)->region_first + index];
}

/* ---- while ------------------------------------------------------------------------------------ */

static void bind_carries(mica_plan *plan, const mica_region_data *region,
                         const loop_carries *carries) {
  for (uint32_t i = 0; i < carries->count; i++)
    mica_view_dense(&plan->values[region->arguments[i]].view, carries->arguments[i],
                    mica_plan_type(plan, region->arguments[i]).shape);
}

static void add_counter(mica_plan *plan, uint32_t id, uint32_t counter) {
  counter_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return;
  argument->counter = counter;
  label_step(plan, mica_plan_step_add(plan, run_counter_reset, argument, id), "begin");
}

static void lower_while(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const mica_while_attr *attr = node->attr;
  const mica_region_data *condition = mica_node_region(plan->graph, node, 0);
  const mica_region_data *body = mica_node_region(plan->graph, node, 1);
  loop_carries carries;
  if (!carries_begin(plan, id, node->declared_count, &carries)) return;
  test_argument *test = mica_plan_allocate(plan, 1, sizeof(*test));
  if (test == NULL) return;
  test->max_iterations = attr->max_iterations;
  test->counter = plan->counter_count++;
  add_counter(plan, id, test->counter);
  uint32_t first = plan->step_count, at = node->declared_count;
  mica_plan_nest_begin(plan, true);
  carries_enter(plan, &carries);
  bind_carries(plan, condition, &carries);
  bind_captures(plan, id, 0, &at);
  mica_plan_region(plan, region_index(plan, id, 0));
  if (!mica_plan_good(plan)) return;
  mica_view stay = mica_plan_dense(plan, condition->results[0]);
  uint32_t tested = mica_plan_step_add(plan, run_while_test, test, id);
  label_step(plan, tested, "while");
  /* Here the carries may become the results: what the condition computes leaves them alone, though the body
   * may not read them. */
  for (uint32_t i = 0; i < carries.count; i++)
    mica_plan_touch(plan, carries.arguments[i], tested, true);
  mica_plan_read(plan, condition->results[0], stay);
  mica_plan_target(plan, &test->exit);
  bind_carries(plan, body, &carries);
  bind_captures(plan, id, 1, &at);
  mica_plan_region(plan, region_index(plan, id, 1));
  if (!mica_plan_good(plan)) return;
  carries_next(plan, id, body, &carries, first);
  mica_plan_nest_end(plan);
  test->exit = plan->step_count;
  carries_end(plan, id, &carries);
}

/* ---- scan ------------------------------------------------------------------------------------- */

/* Bytes from one step's part to the next; fails when 4-bit elements make it begin inside of a byte. */
static int64_t byte_stride(mica_plan *plan, mica_dtype dtype, int64_t stride) {
  int64_t bits = stride * mica_dtype_bits(dtype);
  if (bits % 8 != 0)
    mica_plan_fail(plan, MICA_UNSUPPORTED,
                   "scan over parts of an odd number of 4-bit elements: convert first");
  return bits / 8;
}

/* The items of one step are windows on the operands; what is emitted, on the results. */
static void bind_items(mica_plan *plan, uint32_t id, scan_argument *head, uint32_t carry_count,
                       const mica_view *items) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_region_data *body = mica_node_region(plan->graph, node, 0);
  for (uint32_t i = carry_count; i < node->declared_count && mica_plan_good(plan); i++) {
    mica_type type = mica_plan_type(plan, operands[i]);
    mica_view item = items[i - carry_count];
    mica_plan_read(plan, operands[i], item);
    mica_view *inside = &plan->values[body->arguments[i]].view;
    *inside =
        (mica_view){.storage = mica_plan_storage(plan, MICA_STORAGE_ITEM, plan->window_count++, 0)};
    for (int32_t axis = 1; axis < type.shape.rank; axis++)
      inside->stride[axis - 1] = item.stride[axis];
    head->windows[i - carry_count] =
        (scan_window){mica_plan_window_slot(plan, plan->storages[inside->storage].index),
                      i - carry_count, byte_stride(plan, type.dtype, item.stride[0])};
    head->window_count++;
  }
}

static void lower_scan(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const mica_scan_attr *attr = node->attr;
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_region_data *body = mica_node_region(plan->graph, node, 0);
  uint32_t carry_count = (uint32_t)attr->carry_count;
  uint32_t item_count = node->declared_count - carry_count;
  uint32_t emit_count = body->result_count - carry_count;
  loop_carries carries;
  scan_argument *head = mica_plan_allocate(plan, 1, sizeof(*head));
  size_t window_count = (size_t)item_count + emit_count + 1;
  scan_window *windows = mica_plan_allocate(plan, window_count, sizeof(*windows));
  mica_view *views = mica_arena_allocate_zeroed(&plan->arena, window_count, sizeof(*views));
  if (views == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  if (!mica_plan_good(plan) || !carries_begin(plan, id, carry_count, &carries)) return;
  *head = (scan_argument){.counter = plan->counter_count++,
                          .length = attr->length,
                          .reverse = attr->reverse,
                          .windows = windows};
  for (uint32_t i = 0; i < item_count; i++) {
    uint32_t operand = operands[carry_count + i];
    bool packed = mica_dtype_bits(mica_plan_type(plan, operand).dtype) < 8;
    views[i] = packed ? mica_plan_dense(plan, operand) : mica_plan_place(plan, operand);
  }
  for (uint32_t i = 0; i < emit_count; i++) {
    uint32_t result = id + carry_count + i;
    mica_type type = mica_plan_type(plan, result);
    uint32_t storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type));
    mica_view_dense(&plan->values[result].view, storage, type.shape);
  }
  add_counter(plan, id, head->counter);
  uint32_t first = plan->step_count, at = node->declared_count;
  mica_plan_nest_begin(plan, true);
  carries_enter(plan, &carries);
  label_step(plan, mica_plan_step_add(plan, run_scan_head, head, id), "scan");
  mica_plan_target(plan, &head->exit);
  bind_items(plan, id, head, carry_count, views);
  for (uint32_t i = 0; i < emit_count && mica_plan_good(plan); i++) {
    uint32_t result = id + carry_count + i;
    mica_type type = mica_plan_type(plan, result);
    mica_plan_reference_add(plan, plan->values[result].view.storage, 0, MICA_PLAN_WRITE);
    int64_t stride = byte_stride(plan, type.dtype, plan->values[result].view.stride[0]);
    views[item_count + i].storage =
        mica_plan_storage(plan, MICA_STORAGE_EMIT, plan->window_count++, (size_t)stride);
    windows[item_count + i] = (scan_window){
        mica_plan_window_slot(plan, plan->storages[views[item_count + i].storage].index),
        item_count + i, stride};
    head->window_count++;
  }
  bind_carries(plan, body, &carries);
  bind_captures(plan, id, 0, &at);
  mica_plan_region(plan, region_index(plan, id, 0));
  for (uint32_t i = 0; i < emit_count && mica_plan_good(plan); i++) {
    uint32_t result = body->results[carry_count + i];
    mica_type type = mica_plan_type(plan, result);
    mica_view to;
    mica_view_dense(&to, views[item_count + i].storage, type.shape);
    mica_plan_copy(plan, id, type.dtype, type.shape, mica_plan_place(plan, result), to);
  }
  if (!mica_plan_good(plan)) return;
  carries_next(plan, id, body, &carries, first);
  mica_plan_nest_end(plan);
  head->exit = plan->step_count;
  carries_end(plan, id, &carries);
}

/* ---- switch ----------------------------------------------------------------------------------- */

static void lower_switch(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  uint32_t count = node->region_count, at = node->declared_count;
  switch_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  uint32_t *targets = mica_plan_allocate(plan, count, sizeof(*targets));
  jump_argument *leave = mica_plan_allocate(plan, 1, sizeof(*leave));
  /* What each result is outside, and in the branch at hand. */
  uint32_t *results = mica_arena_allocate_zeroed(&plan->arena, 2 * (size_t)node->result_count + 1,
                                                 sizeof(*results));
  uint32_t *places = results == NULL ? NULL : results + node->result_count;
  if (results == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  if (!mica_plan_good(plan)) return;
  *argument = (switch_argument){.count = count, .targets = targets};
  mica_view index = mica_plan_dense(plan, operands[0]);
  label_step(plan, mica_plan_step_add(plan, run_switch, argument, id), "switch");
  mica_plan_read(plan, operands[0], index);
  for (uint32_t i = 0; i < node->result_count; i++)
    results[i] = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0,
                                   mica_plan_bytes(plan, mica_plan_type(plan, id + i)));
  for (uint32_t r = 0; r < count && mica_plan_good(plan); r++) {
    const mica_region_data *region = mica_node_region(plan->graph, node, r);
    targets[r] = plan->step_count;
    mica_plan_target(plan, &targets[r]);
    mica_plan_nest_begin(plan, false);
    bind_captures(plan, id, r, &at);
    mica_plan_region(plan, region_index(plan, id, r));
    for (uint32_t i = 0; i < node->result_count && mica_plan_good(plan); i++) {
      mica_type type = mica_plan_type(plan, id + i);
      mica_view from = mica_plan_place(plan, region->results[i]), to;
      if (mica_dtype_bits(type.dtype) < 8) from = mica_plan_dense(plan, region->results[i]);
      places[i] = mica_plan_alias(plan, results[i]);
      mica_view_dense(&to, places[i], type.shape);
      mica_plan_copy(plan, id, type.dtype, type.shape, from, to);
    }
    label_step(plan, mica_plan_step_add(plan, run_jump, leave, id), "leave");
    for (uint32_t i = 0; i < node->result_count && mica_plan_good(plan); i++)
      mica_plan_touch(plan, places[i], plan->step_count - 1, true);
    mica_plan_nest_end(plan);
  }
  mica_plan_target(plan, &leave->target);
  leave->target = plan->step_count;
  for (uint32_t i = 0; i < node->result_count && mica_plan_good(plan); i++) {
    mica_plan_touch(plan, results[i], plan->step_count - 1, true);
    mica_view_dense(&plan->values[id + i].view, results[i], mica_plan_type(plan, id + i).shape);
  }
}

bool mica_plan_control(mica_plan *plan, uint32_t id) {
  switch ((mica_op)plan->graph->nodes[id].op) {
    case MICA_OP_WHILE: lower_while(plan, id); return true;
    case MICA_OP_SWITCH: lower_switch(plan, id); return true;
    case MICA_OP_SCAN: lower_scan(plan, id); return true;
    default: return false;
  }
}
