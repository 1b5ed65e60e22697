/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c: what a program says about itself: its steps, and where the last run spent its time, against
 * what the machine can do: the multiply-adds of the row of kernels, and the memory's bandwidth, both
 * measured on the device's threads when it opens for profiles. */
#include "backend/cpu/cpu_internal.h"
#include "backend/cpu/pack.h"
#include "core/json.h"

#include <inttypes.h>
#include <string.h>

/* ---- texts ------------------------------------------------------------------------------------ */

static void append_step_name(mica_text *out, const mica_cpu_program *program, uint32_t index) {
  const mica_cpu_step_info *info = &program->infos[index];
  const mica_node *node = mica_node_at(&program->graph, info->node);
  char type[160];
  mica_type_format(node->type, type, sizeof(type));
  if (info->label != NULL) mica_text_format(out, "%s ", info->label);
  mica_text_format(out, "%s %s", mica_op_definition((mica_op)node->op)->name, type);
}

static void append_reference(mica_text *out, const mica_cpu_program *program,
                             const mica_cpu_reference *reference) {
  uint32_t slot = reference->slot;
  if (slot == MICA_CPU_ARENA_SLOT) {
    mica_text_format(out, " arena+%zu", reference->offset);
    return;
  }
  const struct {
    const char *name;
    uint32_t count;
  } kinds[] = {{"in", program->in_count},
               {"out", program->out_count},
               {"constant", program->constant_count},
               {"window", program->slot_count}};
  slot--;
  size_t kind = 0;
  while (slot >= kinds[kind].count) slot -= kinds[kind++].count;
  mica_text_format(out, " %s%" PRIu32, kinds[kind].name, slot);
  if (reference->offset != 0) mica_text_format(out, "+%zu", reference->offset);
}

int64_t mica_cpu_format(void *state, const void *program_pointer, char *text, size_t size) {
  (void)state;
  const mica_cpu_program *program = program_pointer;
  mica_text out;
  mica_text_init(&out, &program->allocator);
  mica_text_format(&out,
                   "%" PRIu32 " steps, arena of %zu bytes, about %" PRId64 " us on one thread\n",
                   program->step_count, program->arena_bytes, program->cost / 1000);
  if (program->evaluated_bytes > 0)
    mica_text_format(&out, "%zu bytes of constants, computed when compiled\n",
                     program->evaluated_bytes);
  size_t packed = mica_cpu_pack_bytes(program);
  if (packed > 0) mica_text_format(&out, "%zu bytes of packed weights\n", packed);
  for (uint32_t i = 0; i < program->step_count; i++) {
    const mica_cpu_step_info *info = &program->infos[i];
    mica_text_format(&out, "%4" PRIu32 " ", i);
    append_step_name(&out, program, i);
    for (int writes = 0; writes < 2; writes++) {
      bool first = true;
      for (uint32_t k = 0; k < info->reference_count; k++) {
        if (program->reference_infos[info->reference_first + k].reads != (writes == 0)) continue;
        if (first) mica_text_append(&out, writes == 0 ? " :" : " =>");
        first = false;
        append_reference(&out, program, &program->steps[i].references[k]);
      }
    }
    mica_text_append(&out, "\n");
  }
  return mica_text_deliver(&out, text, size);
}

/* ---- the machine's limits --------------------------------------------------------------------- */

typedef struct {
  const mica_cpu_kernels *kernels;
  char *memory; /* `size` bytes for each task, half copied to half */
  size_t size;
  double flops; /* of a task */
} limit_job;

enum { LIMIT_ROUNDS = 1 << 18, LIMIT_BYTES = 1 << 26, LIMIT_TIMES = 3 };

static void limit_flops(void *context, int64_t index, int32_t worker) {
  limit_job *job = context;
  float sink;
  double flops = job->kernels->limit_fma(LIMIT_ROUNDS, &sink);
  if (index == 0) job->flops = flops;
  (void)worker;
}

static void limit_bytes(void *context, int64_t index, int32_t worker) {
  const limit_job *job = context;
  char *memory = job->memory + (size_t)index * job->size;
  memcpy(memory, memory + job->size / 2, job->size / 2);
  (void)worker;
}

/* The shortest of a few runs of one task a thread. */
static double limit_seconds(const mica_cpu_device *device, mica_task *task, limit_job *job) {
  int32_t threads = mica_thread_pool_size(device->pool);
  double best = 1e9;
  mica_thread_pool_begin(device->pool);
  for (int time = 0; time < LIMIT_TIMES; time++) {
    int64_t begin = mica_clock_nanoseconds();
    mica_thread_pool_run(device->pool, threads, task, job);
    double seconds = (double)(mica_clock_nanoseconds() - begin) * 1e-9;
    if (seconds > 0 && seconds < best) best = seconds;
  }
  mica_thread_pool_end(device->pool);
  return best;
}

void mica_cpu_measure_limits(mica_cpu_device *device) {
  int32_t threads = mica_thread_pool_size(device->pool);
  limit_job job = {.kernels = device->kernels, .size = LIMIT_BYTES};
  device->peak_flops = threads / limit_seconds(device, limit_flops, &job) * job.flops;
  size_t bytes = 0;
  if (!mica_size_multiply((size_t)threads, job.size, &bytes)) return;
  job.memory = mica_allocate_zeroed(&device->allocator, 1, bytes);
  if (job.memory == NULL) return; /* profiles then have no share of the bandwidth */
  memset(job.memory, 1, bytes);
  device->peak_bytes = (double)bytes / limit_seconds(device, limit_bytes, &job);
  mica_free(&device->allocator, job.memory, bytes);
}

/* ---- profiles --------------------------------------------------------------------------------- */

/* The larger of the shares of both limits, in percent; 0 where nothing is known. */
static double share_of_limit(const mica_cpu_device *device, const mica_cpu_step_info *info,
                             double runs, double seconds) {
  if (seconds <= 0) return 0;
  double share = 0;
  if (device->peak_flops > 0) share = info->flops * runs / seconds / device->peak_flops;
  double bytes =
      device->peak_bytes > 0 ? (double)info->bytes * runs / seconds / device->peak_bytes : 0;
  return 100 * (bytes > share ? bytes : share);
}

static void profile_table(mica_text *out, const mica_cpu_program *program,
                          const mica_cpu_context *run) {
  const mica_cpu_device *device = program->device;
  int64_t total = 0;
  for (uint32_t i = 0; i < program->step_count; i++) total += run->step_nanoseconds[i];
  mica_text_format(out,
                   "%.1f us in %" PRIu32 " steps on %" PRId32
                   " threads; the machine does %.0f GFLOP/s and %.1f GB/s\n",
                   (double)total * 1e-3, program->step_count, mica_thread_pool_size(device->pool),
                   device->peak_flops * 1e-9, device->peak_bytes * 1e-9);
  mica_text_append(out,
                   "step      us     %  runs      MB    GB/s  GFLOP/s  % of limit  what, scope\n");
  for (uint32_t i = 0; i < program->step_count; i++) {
    const mica_cpu_step_info *info = &program->infos[i];
    double runs = run->step_runs[i], seconds = (double)run->step_nanoseconds[i] * 1e-9;
    double per_second = seconds > 0 ? 1 / seconds : 0;
    mica_text_format(
        out, "%4" PRIu32 " %7.1f %5.1f %5.0f %7.2f %7.1f %8.1f %11.0f  ", i, seconds * 1e6,
        total > 0 ? 100.0 * (double)run->step_nanoseconds[i] / (double)total : 0.0, runs,
        (double)info->bytes * runs * 1e-6, (double)info->bytes * runs * per_second * 1e-9,
        info->flops * runs * per_second * 1e-9, share_of_limit(device, info, runs, seconds));
    append_step_name(out, program, i);
    const char *scope = mica_scope_text(&program->graph, program->graph.nodes[info->node].scope);
    if (*scope != '\0') mica_text_format(out, ", %s", scope);
    mica_text_append(out, "\n");
  }
}

/* A step of a loop stands where it ran last. */
static void profile_trace(mica_text *out, const mica_cpu_program *program,
                          const mica_cpu_context *run) {
  mica_json_writer writer;
  mica_text name;
  mica_text_init(&name, &program->allocator);
  mica_trace_begin(&writer, out);
  int64_t origin = program->step_count > 0 ? run->step_begin[0] : 0;
  for (uint32_t i = 0; i < program->step_count; i++)
    if (run->step_runs[i] > 0 && run->step_begin[i] < origin) origin = run->step_begin[i];
  for (uint32_t i = 0; i < program->step_count; i++) {
    const mica_cpu_step_info *info = &program->infos[i];
    if (run->step_runs[i] == 0) continue;
    mica_text_clear(&name);
    append_step_name(&name, program, i);
    mica_trace_event_begin(
        &writer,
        &(mica_trace_event){
            .name = name.data == NULL ? "" : name.data,
            .begin = (double)(run->step_begin[i] - origin) * 1e-3,
            .duration = (double)run->step_nanoseconds[i] / run->step_runs[i] * 1e-3,
            .scope = mica_scope_text(&program->graph, program->graph.nodes[info->node].scope),
            .runs = run->step_runs[i]});
    mica_json_key(&writer, "bytes");
    mica_json_integer(&writer, info->bytes);
    mica_json_key(&writer, "flops");
    mica_json_double(&writer, info->flops);
    mica_trace_event_end(&writer);
  }
  mica_trace_end(&writer);
  if (name.failed) out->failed = true;
  mica_text_deinit(&name);
}

int64_t mica_cpu_profile(void *state, void *program_pointer, bool trace, char *text, size_t size) {
  (void)state;
  mica_cpu_program *program = program_pointer;
  mica_text out;
  mica_text_init(&out, &program->allocator);
  mica_mutex_lock(&program->mutex);
  const mica_cpu_context *run = program->last;
  if (run == NULL) {
    mica_profile_nothing(&out, trace);
  } else if (trace) {
    profile_trace(&out, program, run);
  } else {
    profile_table(&out, program, run);
  }
  mica_mutex_unlock(&program->mutex);
  return mica_text_deliver(&out, text, size);
}
