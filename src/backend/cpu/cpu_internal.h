/* SPDX-License-Identifier: Apache-2.0 */
/* cpu_internal.h: what a compiled program of the native engine is when it runs.
 *
 * A program is a flat array of steps run by a plain loop. A step is a function, its argument struct and
 * references to memory. A reference is a slot and an offset; slot 0 is the arena, then come inputs,
 * outputs, constants, and the moving windows of scans (a slice of an item, a place in a stacked result).
 * The slots' addresses are one table in the context of the call, so nothing is looked up in a step.
 * Control flow is jumps: a step may set context->next. Regions are inlined, so there is no call stack.
 *
 * Programs are immutable and shared by concurrent calls; all that a call writes lies in its context,
 * which is made by the first call and kept. Time in plans and lifetimes is the index of a step. */
#ifndef MICA_BACKEND_CPU_CPU_INTERNAL_H
#define MICA_BACKEND_CPU_CPU_INTERNAL_H
#include "backend/backend_internal.h"
#include "backend/cpu/kernels/kernels.h"
#include "core/memory.h"
#include "core/thread_pool.h"
#include "graph/attributes.h"

typedef struct mica_cpu_step mica_cpu_step;
typedef struct mica_cpu_context mica_cpu_context;
typedef struct mica_cpu_program mica_cpu_program;

/* The state of an open device. */
typedef struct {
  mica_device *device;
  mica_allocator allocator;
  const mica_cpu_kernels *kernels;
  mica_thread_pool *pool; /* NULL: one thread */
  char dump[512]; /* $MICA_DUMP: a folder that receives the graph after each pass; "": none */
  _Atomic uint32_t dump_count;   /* programs that were written there */
  double peak_flops, peak_bytes; /* a second, measured when the device opens for profiles; else 0 */
  size_t pack_limit;             /* bytes of packed weights, of all programs */
  _Atomic size_t pack_bytes;     /* that exist now */
} mica_cpu_device;

typedef struct {
  uint32_t slot;
  size_t offset; /* bytes */
} mica_cpu_reference;

typedef mica_status mica_cpu_run(const mica_cpu_step *step, mica_cpu_context *context);

struct mica_cpu_step {
  mica_cpu_run *run;
  const void *argument;
  const mica_cpu_reference *references;
};

enum { MICA_CPU_CONTEXT_LIMIT = 16, MICA_CPU_ARENA_SLOT = 0, MICA_CPU_MOVED_LIMIT = 64 };

/* A copy of a donated input, for the length of a call. */
typedef struct {
  void *memory;
  size_t size;
} mica_cpu_moved;

/* What one call writes. */
struct mica_cpu_context {
  char **base; /* [slot_count] */
  const mica_cpu_program *program;
  const mica_cpu_device *device;
  const mica_call *call;
  mica_error *error;
  mica_parallel parallel; /* the device's threads; its `run` is never NULL */
  uint32_t next;          /* step to run after the present one */
  int64_t *counters;      /* [counter_count] of loops */
  void **pointers;        /* [pointer_count] scratch of a step that needs an array of addresses */
  char *arena;
  mica_cpu_moved moved[MICA_CPU_MOVED_LIMIT]; /* only 64 inputs can be donated */
  uint32_t moved_count;
  /* Of a device of a manual region (manual.c): the collective that it waits in, where it goes on, its number. */
  const mica_cpu_step *waits;
  uint32_t resume;
  int64_t mesh_device;
  int64_t *
      step_nanoseconds; /* [step_count] summed over the call, and how often it ran; NULL unless profiling */
  int64_t *step_begin; /* of its last run */
  uint32_t *step_runs;
};

/* What is known of a step for texts, profiles and the search for NaN; not looked at otherwise. */
typedef struct {
  const char *label;                         /* "dot_general f32[64, 128]" */
  uint32_t node;                             /* in program->graph */
  uint32_t reference_first, reference_count; /* in program->reference_infos */
  int64_t bytes;                             /* read and written at least */
  double flops;
} mica_cpu_step_info;

/* How a step uses a reference, and what lies there when it is a whole value. */
typedef struct {
  bool reads;     /* otherwise it is written */
  uint32_t value; /* id whose dense value this is; 0: none or scratch */
} mica_cpu_reference_info;

struct mica_cpu_program {
  mica_allocator allocator;
  const mica_cpu_device *device;
  mica_cpu_device *engine; /* the same: its counters change */
  mica_arena memory;       /* of everything below */
  mica_graph graph;        /* after all passes: holds constants alive, names nodes in messages */
  mica_cpu_step *steps;
  mica_cpu_step_info *infos;
  mica_cpu_reference *references;
  mica_cpu_reference_info *reference_infos;
  uint32_t step_count, slot_count, counter_count, pointer_count;
  uint32_t in_count, out_count, constant_count;
  const void **constants; /* [constant_count] */
  uint32_t *out_pair; /* [out_count] the input whose memory this output may share, or UINT32_MAX */
  size_t *in_bytes;   /* [in_count] */
  size_t arena_bytes;
  size_t evaluated_bytes; /* of constants that were computed by compiling */
  int64_t cost;           /* rough nanoseconds of a run on one thread */
  bool donates; /* some input was donated when compiling, so that addresses may coincide */
  struct mica_cpu_cleanup *cleanups; /* what steps own beside arena memory */
  struct mica_cpu_pack *packs;       /* of weights; guarded by `mutex` */
  _Atomic(mica_cpu_context *) contexts[MICA_CPU_CONTEXT_LIMIT]; /* at rest */
  mica_mutex mutex;       /* guards `last` and what `packs` hold */
  mica_cpu_context *last; /* profile: the times of the last run */
};

typedef struct mica_cpu_cleanup {
  void (*release)(void *object);
  void *object;
  struct mica_cpu_cleanup *next;
} mica_cpu_cleanup;

static inline void *mica_cpu_address(const mica_cpu_step *step, const mica_cpu_context *context,
                                     uint32_t index) {
  return context->base[step->references[index].slot] + step->references[index].offset;
}

/* Steps that cost less (nanoseconds) run on the caller's thread alone. */
enum { MICA_CPU_SERIAL_COST = 20000 };
extern const mica_parallel mica_cpu_serial;

/* execute.c */
mica_status mica_cpu_execute(void *state, void *program, const mica_call *call, mica_error *error);
void mica_cpu_program_destroy(void *state, void *program);
mica_cpu_context *mica_cpu_context_create(const mica_cpu_program *program);
void mica_cpu_context_destroy(mica_cpu_context *context);

/* compile.c */
mica_status mica_cpu_compile(void *state, mica_device *device, const mica_graph *graph,
                             uint64_t donate, void **out_program, mica_error *error);

/* profile.c */
int64_t mica_cpu_format(void *state, const void *program, char *text, size_t size);
int64_t mica_cpu_profile(void *state, void *program, bool trace, char *text, size_t size);
void mica_cpu_measure_limits(mica_cpu_device *device);

#endif
