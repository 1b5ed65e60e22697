/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: building a plan: storages, steps, references, nests. The first failure sticks; later calls do
 * nothing and hand out indices that are safe to use. */
#include "backend/cpu/plan_internal.h"
#include "backend/cpu/fusion_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool mica_plan_init(mica_plan *plan, mica_cpu_program *program, mica_error *error) {
  *plan = (mica_plan){.program = program,
                      .graph = &program->graph,
                      .device = program->device,
                      .allocator = program->allocator,
                      .error = error};
  plan->fuse = !program->device->device->find_nan;
  mica_arena_init(&plan->arena, &plan->allocator);
  size_t count = plan->graph->count == 0 ? 1 : plan->graph->count;
  plan->values = mica_arena_allocate_zeroed(&plan->arena, count, sizeof(*plan->values));
  plan->done = mica_arena_allocate_zeroed(&plan->arena, count, sizeof(*plan->done));
  if (plan->values == NULL || plan->done == NULL) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    plan->values[i].view.storage = MICA_PLAN_NONE;
    plan->values[i].dense = MICA_PLAN_NONE;
  }
  /* Index 0 of each list is a place for what comes after a failure; nest 0 is the whole program. */
  mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, 0);
  if (mica_grow(&plan->allocator, &plan->nests, &plan->nest_capacity, 1, sizeof(*plan->nests)))
    plan->nests[plan->nest_count++] = (mica_plan_nest){0};
  else
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  return mica_plan_good(plan);
}

void mica_plan_deinit(mica_plan *plan) {
  const mica_allocator *allocator = &plan->allocator;
  mica_free(allocator, plan->storages, plan->storage_capacity * sizeof(*plan->storages));
  mica_free(allocator, plan->steps, plan->step_capacity * sizeof(*plan->steps));
  mica_free(allocator, plan->references, plan->reference_capacity * sizeof(*plan->references));
  mica_free(allocator, plan->meetings, plan->meeting_capacity * sizeof(*plan->meetings));
  mica_free(allocator, plan->nests, plan->nest_capacity * sizeof(*plan->nests));
  mica_free(allocator, plan->touches, plan->touch_capacity * sizeof(*plan->touches));
  mica_free(allocator, plan->targets, plan->target_capacity * sizeof(*plan->targets));
  if (plan->fusion != NULL) /* itself in the arena */
    mica_free(allocator, plan->fusion->groups,
              plan->fusion->group_capacity * sizeof(*plan->fusion->groups));
  mica_arena_deinit(&plan->arena);
}

mica_status mica_plan_fail(mica_plan *plan, mica_status status, const char *format, ...) {
  if (plan->status != MICA_OK) return plan->status;
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  plan->status = status;
  mica_error_set(plan->error, status, "%s", message);
  return status;
}

void *mica_plan_allocate(mica_plan *plan, size_t count, size_t size) {
  if (!mica_plan_good(plan)) return NULL;
  void *memory = mica_arena_allocate_zeroed(&plan->program->memory, count, size);
  if (memory == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a program");
  return memory;
}

const char *mica_plan_text(mica_plan *plan, const char *format, ...) {
  char text[320];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  const char *copy = mica_arena_text(&plan->program->memory, text);
  if (copy == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a program");
  return copy == NULL ? "" : copy;
}

bool mica_plan_own(mica_plan *plan, void (*release)(void *object), void *object) {
  mica_cpu_cleanup *cleanup = mica_plan_allocate(plan, 1, sizeof(*cleanup));
  if (cleanup == NULL) {
    release(object);
    return false;
  }
  *cleanup = (mica_cpu_cleanup){release, object, plan->program->cleanups};
  plan->program->cleanups = cleanup;
  return true;
}

/* ---- storages --------------------------------------------------------------------------------- */

uint32_t mica_plan_storage(mica_plan *plan, mica_storage_kind kind, uint32_t index, size_t size) {
  if (!mica_plan_good(plan)) return 0;
  if (!mica_grow(&plan->allocator, &plan->storages, &plan->storage_capacity,
                 (size_t)plan->storage_count + 1, sizeof(*plan->storages))) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return 0;
  }
  uint32_t storage = plan->storage_count++;
  plan->storages[storage] = (mica_storage){.kind = kind,
                                           .index = index,
                                           .nest = plan->nest,
                                           .first = UINT32_MAX,
                                           .last = 0,
                                           .parent = storage,
                                           .next_member = storage,
                                           .size = size};
  return storage;
}

uint32_t mica_plan_class(const mica_plan *plan, uint32_t storage) {
  while (plan->storages[storage].parent != storage) storage = plan->storages[storage].parent;
  return storage;
}

uint32_t mica_plan_alias(mica_plan *plan, uint32_t other) {
  uint32_t root = mica_plan_class(plan, other);
  uint32_t storage = mica_plan_storage(plan, plan->storages[root].kind, plan->storages[root].index,
                                       plan->storages[root].size);
  if (storage == 0) return 0;
  plan->storages[storage].parent = root;
  plan->storages[storage].next_member = plan->storages[root].next_member;
  plan->storages[root].next_member = storage;
  return storage;
}

void mica_plan_touch(mica_plan *plan, uint32_t storage, uint32_t step, bool exactly) {
  if (!mica_plan_good(plan)) return;
  if (!mica_grow(&plan->allocator, &plan->touches, &plan->touch_capacity,
                 (size_t)plan->touch_count + 1, sizeof(*plan->touches))) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  plan->touches[plan->touch_count++] = (mica_plan_touch_record){storage, step, exactly};
}

/* ---- steps ------------------------------------------------------------------------------------ */

uint32_t mica_plan_step_add(mica_plan *plan, mica_cpu_run *run, void *argument, uint32_t node) {
  if (!mica_plan_good(plan)) return 0;
  if (!mica_grow(&plan->allocator, &plan->steps, &plan->step_capacity, (size_t)plan->step_count + 1,
                 sizeof(*plan->steps))) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return 0;
  }
  plan->steps[plan->step_count] = (mica_plan_step){.run = run,
                                                   .argument = argument,
                                                   .node = node,
                                                   .nest = plan->nest,
                                                   .reference_first = plan->reference_count,
                                                   .meeting_first = plan->meeting_count};
  return plan->step_count++;
}

mica_plan_reference *mica_plan_reference_add(mica_plan *plan, uint32_t storage, size_t offset,
                                             uint8_t mode) {
  if (mica_plan_good(plan) &&
      !mica_grow(&plan->allocator, &plan->references, &plan->reference_capacity,
                 (size_t)plan->reference_count + 1, sizeof(*plan->references)))
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  if (!mica_plan_good(plan)) return &plan->nowhere;
  mica_plan_reference *reference = &plan->references[plan->reference_count++];
  *reference = (mica_plan_reference){.storage = storage, .offset = offset, .mode = mode};
  plan->steps[plan->step_count - 1].reference_count++;
  return reference;
}

void mica_plan_meet(mica_plan *plan, uint32_t reader, uint32_t writer, bool strong) {
  /* Who looks for NaN wants to see operands after the step too. */
  if (!mica_plan_good(plan) || !plan->fuse) return;
  if (!mica_grow(&plan->allocator, &plan->meetings, &plan->meeting_capacity,
                 (size_t)plan->meeting_count + 1, sizeof(*plan->meetings))) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  uint32_t step = plan->step_count - 1;
  plan->meetings[plan->meeting_count++] = (mica_plan_meeting){step, reader, writer, strong};
  plan->steps[step].meeting_count++;
}

void mica_plan_scratch(mica_plan *plan, size_t size) {
  if (size == SIZE_MAX)
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "a step's scratch memory is too large");
  uint32_t storage = mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, size);
  mica_plan_reference_add(plan, storage, 0, MICA_PLAN_WRITE);
}

void mica_plan_cost(mica_plan *plan, double flops, int64_t bytes, int64_t nanoseconds) {
  if (!mica_plan_good(plan)) return;
  mica_plan_step *step = &plan->steps[plan->step_count - 1];
  step->flops = flops;
  step->bytes = bytes;
  step->cost = nanoseconds;
}

void mica_plan_target(mica_plan *plan, uint32_t *target) {
  if (!mica_plan_good(plan)) return;
  if (!mica_grow(&plan->allocator, &plan->targets, &plan->target_capacity,
                 (size_t)plan->target_count + 1, sizeof(*plan->targets))) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return;
  }
  plan->targets[plan->target_count++] = target;
}

/* ---- nests ------------------------------------------------------------------------------------ */

uint32_t mica_plan_nest_begin(mica_plan *plan, bool loop) {
  if (!mica_plan_good(plan)) return 0;
  if (!mica_grow(&plan->allocator, &plan->nests, &plan->nest_capacity, (size_t)plan->nest_count + 1,
                 sizeof(*plan->nests))) {
    mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
    return 0;
  }
  uint32_t nest = plan->nest_count++;
  plan->nests[nest] =
      (mica_plan_nest){.parent = plan->nest, .first = plan->step_count, .loop = loop};
  plan->nest = nest;
  return nest;
}

void mica_plan_nest_end(mica_plan *plan) {
  if (!mica_plan_good(plan)) return;
  plan->nests[plan->nest].last = plan->step_count - 1;
  plan->nest = plan->nests[plan->nest].parent;
}
