/* SPDX-License-Identifier: Apache-2.0 */
/* execute.c: running a program. A call takes a resting context or makes one, fills in the addresses of its
 * inputs and outputs, runs the steps, and puts the context back. The second call on allocates nothing. */
#include "backend/cpu/manual.h"

#include <string.h>

enum {
  PAGES_SIZE = 1 << 20,       /* arenas from here on are maps of their own */
  PARALLEL_COST = 8000,       /* nanoseconds: cheaper programs leave the other threads asleep */
  KEEP_SPINNING_COST = 100000 /* dearer ones keep them awake from step to step */
};

/* ---- contexts --------------------------------------------------------------------------------- */

static void run_serially(void *self, int64_t count, mica_task *task, void *context) {
  (void)self;
  for (int64_t i = 0; i < count; i++) task(context, i, 0);
}

const mica_parallel mica_cpu_serial = {run_serially, NULL, 1};

static void run_on_pool(void *self, int64_t count, mica_task *task, void *context) {
  mica_thread_pool_run(self, count, task, context);
}

static bool arena_has_pages(const mica_cpu_program *program) {
  return program->arena_bytes >= PAGES_SIZE && program->allocator.allocate == NULL;
}

/* Bytes of the struct with its tables; each begins aligned to 8. */
static bool context_size(const mica_cpu_program *program, size_t *out_size) {
  size_t size = sizeof(mica_cpu_context), part;
  size_t counts[] = {program->slot_count, program->counter_count, program->pointer_count,
                     program->device->device->profile ? 3 * (size_t)program->step_count : 0};
  for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
    if (!mica_size_multiply(counts[i], 8, &part) || !mica_size_add(size, part, &size)) return false;
  *out_size = size;
  return true;
}

mica_cpu_context *mica_cpu_context_create(const mica_cpu_program *program) {
  size_t size = 0;
  if (!context_size(program, &size)) return NULL;
  char *memory = mica_allocate_zeroed(&program->allocator, 1, size);
  if (memory == NULL) return NULL;
  mica_cpu_context *context = (mica_cpu_context *)(void *)memory;
  context->program = program;
  context->device = program->device;
  char *at = memory + sizeof(*context);
  context->base = (char **)(void *)at;
  at += program->slot_count * sizeof(char *);
  context->counters = (int64_t *)(void *)at;
  at += program->counter_count * sizeof(int64_t);
  context->pointers = (void **)(void *)at;
  at += program->pointer_count * sizeof(void *);
  if (program->device->device->profile) {
    context->step_nanoseconds = (int64_t *)(void *)at;
    context->step_begin = context->step_nanoseconds + program->step_count;
    context->step_runs = (uint32_t *)(void *)(context->step_begin + program->step_count);
  }
  size_t arena_bytes = program->arena_bytes == 0 ? MICA_ALIGNMENT : program->arena_bytes;
  context->arena = arena_has_pages(program)
                       ? mica_pages_map(arena_bytes)
                       : mica_allocate_aligned(&program->allocator, arena_bytes, MICA_ALIGNMENT);
  if (context->arena == NULL) {
    mica_free(&program->allocator, memory, size);
    return NULL;
  }
  context->base[MICA_CPU_ARENA_SLOT] = context->arena;
  uint32_t slot = 1 + program->in_count + program->out_count;
  for (uint32_t i = 0; i < program->constant_count; i++)
    context->base[slot + i] = (char *)(uintptr_t)program->constants[i];
  context->parallel = mica_cpu_serial;
  if (program->device->pool != NULL && program->cost >= PARALLEL_COST)
    context->parallel = (mica_parallel){run_on_pool, program->device->pool,
                                        mica_thread_pool_size(program->device->pool)};
  return context;
}

void mica_cpu_context_destroy(mica_cpu_context *context) {
  if (context == NULL) return;
  const mica_cpu_program *program = context->program;
  size_t size = 0, arena_bytes = program->arena_bytes == 0 ? MICA_ALIGNMENT : program->arena_bytes;
  if (arena_has_pages(program))
    mica_pages_unmap(context->arena, arena_bytes);
  else
    mica_free_aligned(&program->allocator, context->arena, arena_bytes, MICA_ALIGNMENT);
  context_size(program, &size);
  mica_free(&program->allocator, context, size);
}

static mica_cpu_context *take_context(mica_cpu_program *program) {
  for (int i = 0; i < MICA_CPU_CONTEXT_LIMIT; i++) {
    if (atomic_load_explicit(&program->contexts[i], memory_order_relaxed) == NULL) continue;
    mica_cpu_context *context =
        atomic_exchange_explicit(&program->contexts[i], NULL, memory_order_acquire);
    if (context != NULL) return context;
  }
  return mica_cpu_context_create(program);
}

static void give_context(mica_cpu_program *program, mica_cpu_context *context) {
  for (int i = 0; i < MICA_CPU_CONTEXT_LIMIT; i++) {
    mica_cpu_context *none = NULL;
    if (atomic_compare_exchange_strong_explicit(&program->contexts[i], &none, context,
                                                memory_order_release, memory_order_relaxed))
      return;
  }
  mica_cpu_context_destroy(context);
}

/* ---- the loops -------------------------------------------------------------------------------- */

static mica_status run_steps(mica_cpu_context *context) {
  const mica_cpu_step *steps = context->program->steps;
  const uint32_t count = context->program->step_count;
  const mica_device *device = context->device->device;
  while (context->next < count) {
    const mica_cpu_step *step = &steps[context->next++];
    mica_status status = step->run(step, context);
    if (status != MICA_OK) return status;
    if (mica_device_is_cancelled(device)) return mica_device_cancelled_error(context->error);
  }
  return MICA_OK;
}

static bool reads_finite(const mica_cpu_program *program, const mica_cpu_context *context,
                         uint32_t index) {
  const mica_cpu_step_info *info = &program->infos[index];
  const mica_cpu_step *step = &program->steps[index];
  for (uint32_t i = 0; i < info->reference_count; i++) {
    const mica_cpu_reference_info *reference = &program->reference_infos[info->reference_first + i];
    if (!reference->reads || reference->value == 0) continue;
    mica_type type = program->graph.nodes[reference->value].type;
    if (mica_find_not_finite(type, mica_cpu_address(step, context, i)) >= 0) return false;
  }
  return true;
}

/* The first NaN or infinity in what the step wrote, if it had finite operands. */
static mica_status check_finite(const mica_cpu_program *program, const mica_cpu_context *context,
                                uint32_t index) {
  const mica_cpu_step_info *info = &program->infos[index];
  const mica_cpu_step *step = &program->steps[index];
  for (uint32_t i = 0; i < info->reference_count; i++) {
    const mica_cpu_reference_info *reference = &program->reference_infos[info->reference_first + i];
    if (reference->reads || reference->value == 0) continue;
    mica_type type = program->graph.nodes[reference->value].type;
    const void *values = mica_cpu_address(step, context, i);
    int64_t at = mica_find_not_finite(type, values);
    if (at < 0 || !reads_finite(program, context, index)) continue;
    uint32_t result = 0, owner = mica_owner_of_result(&program->graph, reference->value, &result);
    return mica_not_finite_error(&program->graph, owner, result, values, at, context->error);
  }
  return MICA_OK;
}

/* The same loop with clocks and checks, for devices that asked for them. */
static mica_status run_steps_watched(mica_cpu_context *context) {
  const mica_cpu_program *program = context->program;
  const mica_device *device = context->device->device;
  while (context->next < program->step_count) {
    uint32_t index = context->next++;
    const mica_cpu_step *step = &program->steps[index];
    int64_t begin = device->profile ? mica_clock_nanoseconds() : 0;
    mica_status status = step->run(step, context);
    if (device->profile) {
      context->step_nanoseconds[index] += mica_clock_nanoseconds() - begin;
      context->step_begin[index] = begin;
      context->step_runs[index]++;
    }
    if (status == MICA_OK && device->find_nan) status = check_finite(program, context, index);
    if (status != MICA_OK) return status;
    if (mica_device_is_cancelled(device)) return mica_device_cancelled_error(context->error);
  }
  return MICA_OK;
}

mica_status mica_cpu_context_run(mica_cpu_context *context) {
  const mica_device *device = context->device->device;
  return device->profile || device->find_nan ? run_steps_watched(context) : run_steps(context);
}

/* ---- a call ----------------------------------------------------------------------------------- */

/* An output in the memory of a donated input that it is not paired with: the plan may write it while the
 * input is still wanted, so that the call works on a copy of the input. */
static mica_status move_input_away(const mica_cpu_program *program, mica_cpu_context *context,
                                   uint32_t in, void **out_copy, mica_error *error) {
  void *copy = mica_allocate_aligned(&program->allocator, program->in_bytes[in], MICA_ALIGNMENT);
  if (copy == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a donated input");
  memcpy(copy, context->base[1 + in], program->in_bytes[in]);
  context->base[1 + in] = copy;
  *out_copy = copy;
  return MICA_OK;
}

static mica_status settle_donations(const mica_cpu_program *program, mica_cpu_context *context,
                                    const mica_call *call, mica_error *error) {
  for (uint32_t in = 0; in < program->in_count; in++) {
    if (program->in_bytes[in] == 0) continue;
    for (uint32_t out = 0; out < program->out_count; out++) {
      if (call->out[out] != call->in[in] || program->out_pair[out] == in) continue;
      void *copy = NULL;
      mica_status status = move_input_away(program, context, in, &copy, error);
      if (status != MICA_OK) return status;
      context->moved[context->moved_count++] = (mica_cpu_moved){copy, program->in_bytes[in]};
      break;
    }
    if (context->moved_count == MICA_CPU_MOVED_LIMIT) break;
  }
  return MICA_OK;
}

static mica_status fill_addresses(const mica_cpu_program *program, mica_cpu_context *context,
                                  const mica_call *call, mica_error *error) {
  char **base = context->base + 1;
  bool donated = false;
  for (uint32_t i = 0; i < program->in_count; i++) {
    base[i] = (char *)(uintptr_t)call->in[i];
    donated |= call->donated != NULL && call->donated[i];
  }
  base += program->in_count;
  for (uint32_t i = 0; i < program->out_count; i++) base[i] = call->out[i];
  return donated && program->donates ? settle_donations(program, context, call, error) : MICA_OK;
}

static void keep_profile(mica_cpu_program *program, mica_cpu_context **context) {
  mica_mutex_lock(&program->mutex);
  mica_cpu_context *older = program->last;
  program->last = *context;
  *context = older;
  mica_mutex_unlock(&program->mutex);
}

mica_status mica_cpu_execute(void *state, void *program_pointer, const mica_call *call,
                             mica_error *error) {
  (void)state;
  mica_cpu_program *program = program_pointer;
  const mica_device *device = program->device->device;
  mica_cpu_context *context = take_context(program);
  if (context == NULL) {
    if (call->out_intact != NULL) *call->out_intact = true;
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for an arena of %zu bytes",
                          program->arena_bytes);
  }
  context->call = call;
  context->error = error;
  mica_status status = fill_addresses(program, context, call, error);
  if (status == MICA_OK && mica_device_is_cancelled(device))
    status = mica_device_cancelled_error(error);
  if (status != MICA_OK && call->out_intact != NULL) *call->out_intact = true;
  if (status == MICA_OK) {
    bool spin = context->parallel.threads > 1 && program->cost >= KEEP_SPINNING_COST;
    if (spin) mica_thread_pool_begin(program->device->pool);
    if (device->profile)
      memset(context->step_nanoseconds, 0, 3 * sizeof(int64_t) * (size_t)program->step_count);
    context->next = 0;
    status = mica_cpu_context_run(context);
    if (spin) mica_thread_pool_end(program->device->pool);
  }
  while (context->moved_count > 0) {
    const mica_cpu_moved *moved = &context->moved[--context->moved_count];
    mica_free_aligned(&program->allocator, moved->memory, moved->size, MICA_ALIGNMENT);
  }
  if (device->profile && status == MICA_OK) keep_profile(program, &context);
  if (context != NULL) give_context(program, context);
  return status;
}

/* ---- contexts of a part, which stop and go on (manual.h) --------------------------------------- */

mica_cpu_context *mica_cpu_context_take(mica_cpu_program *program) { return take_context(program); }

mica_status mica_cpu_context_begin(const mica_cpu_program *program, mica_cpu_context *context,
                                   const mica_call *call, mica_error *error) {
  context->call = call;
  context->error = error;
  return fill_addresses(program, context, call, error);
}

void mica_cpu_context_end(mica_cpu_program *program, mica_cpu_context *context) {
  give_context(program, context);
}

void mica_cpu_program_destroy(void *state, void *program_pointer) {
  (void)state;
  mica_cpu_program *program = program_pointer;
  if (program == NULL) return;
  for (int i = 0; i < MICA_CPU_CONTEXT_LIMIT; i++)
    mica_cpu_context_destroy(atomic_load(&program->contexts[i]));
  mica_cpu_context_destroy(program->last);
  for (mica_cpu_cleanup *cleanup = program->cleanups; cleanup != NULL; cleanup = cleanup->next)
    cleanup->release(cleanup->object);
  mica_graph_deinit(&program->graph);
  mica_mutex_deinit(&program->mutex);
  mica_arena_deinit(&program->memory);
  mica_allocator allocator = program->allocator;
  mica_free(&allocator, program, sizeof(*program));
}
