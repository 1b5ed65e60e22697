/* SPDX-License-Identifier: Apache-2.0 */
/* plan_internal.h: a program while it is being compiled.
 *
 * Lowering walks the graph and appends steps whose references name storages, pieces of memory without an
 * address yet. Each storage lives in one interval of steps. Where a step could write over what it reads,
 * or a copy could be saved, it says so; memory_plan.c then joins storages into classes that share their
 * address wherever the intervals allow, drops the copies that became empty, and gives the classes that
 * live in the arena their offsets.
 *
 * Loops: a storage of outside that is read in a loop lives until the loop ends. A loop's carry is one
 * class from the start: the copy of the initial value, the argument in the body, the copy of the next
 * value, and the result are storages with intervals of their own, so that what the body computes between
 * the argument's last use and the loop's end can be computed in place. */
#ifndef MICA_BACKEND_CPU_PLAN_INTERNAL_H
#define MICA_BACKEND_CPU_PLAN_INTERNAL_H
#include "backend/cpu/cpu_internal.h"

enum { MICA_PLAN_READ = 1, MICA_PLAN_WRITE = 2 };
#define MICA_PLAN_NONE UINT32_MAX

typedef enum {
  MICA_STORAGE_ARENA,
  MICA_STORAGE_INPUT,
  MICA_STORAGE_OUTPUT,
  MICA_STORAGE_CONSTANT,
  MICA_STORAGE_ITEM, /* a slot that a scan moves over what it reads */
  MICA_STORAGE_EMIT  /* ... over what it writes */
} mica_storage_kind;

typedef struct {
  mica_storage_kind kind;
  uint32_t index;       /* of the input, output, constant or window (items and emits) */
  uint32_t nest;        /* loop or branch in which it lives */
  uint32_t first, last; /* steps; first > last: never touched */
  uint32_t parent;      /* union-find: the class */
  uint32_t next_member; /* circular list of the class */
  size_t size;          /* bytes; of a class's root: the largest */
  size_t offset;        /* of a class's root in the arena */
} mica_storage;

/* How a value lies in a storage: element (i, j, ..) at offset + i * stride[0] + j * stride[1] + ... */
typedef struct {
  uint32_t storage;              /* MICA_PLAN_NONE: no memory (yet) */
  int64_t offset;                /* elements */
  int64_t stride[MICA_MAX_RANK]; /* elements; 0 where it is repeated */
} mica_view;

typedef struct {
  mica_view view;
  uint32_t dense; /* storage of a dense copy made for a consumer, or NONE */
} mica_plan_value;

typedef struct {
  uint32_t storage;
  size_t offset; /* bytes */
  uint8_t mode;  /* MICA_PLAN_READ, _WRITE */
  /* Read where the result is written, row by row or element by element, and never after that. */
  bool in_place;
  uint32_t value; /* id that lies here densely; 0: none */
} mica_plan_reference;

typedef struct {
  mica_cpu_run *run;
  void *argument;
  uint32_t node, nest;
  uint32_t reference_first, reference_count;
  uint32_t meeting_first, meeting_count;
  bool copies; /* all of reference 0 to all of reference 1: empty when they are at one address */
  bool dropped;
  const char *label;
  double flops;
  int64_t bytes, cost; /* cost: rough nanoseconds on one thread */
} mica_plan_step;

/* A step may write one storage in the place of another one that it reads. */
typedef struct {
  uint32_t step, reader, writer;
  bool strong; /* saves a copy, not only memory */
} mica_plan_meeting;

/* A loop body, a condition, or a branch. */
typedef struct {
  uint32_t parent, first, last; /* steps */
  bool loop;                    /* runs many times: what outside is read in it lives to its end */
} mica_plan_nest;

/* A use that no reference stands for. */
typedef struct {
  uint32_t storage, step;
  bool exactly; /* not to the end of the loop around the step */
} mica_plan_touch_record;

struct mica_fusion;

typedef struct {
  mica_cpu_program *program;
  const mica_graph *graph;
  const mica_cpu_device *device;
  mica_allocator allocator;
  mica_arena arena; /* of the compilation */
  mica_status status;
  mica_error *error;
  bool
      fuse; /* off when a device looks for NaN: then every operator is a step and leaves its operands alone */

  mica_storage *storages;
  uint32_t storage_count, storage_capacity;
  mica_plan_step *steps;
  uint32_t step_count, step_capacity;
  mica_plan_reference *references;
  uint32_t reference_count, reference_capacity;
  mica_plan_meeting *meetings;
  uint32_t meeting_count, meeting_capacity;
  mica_plan_nest *nests;
  uint32_t nest_count, nest_capacity, nest;
  mica_plan_touch_record *touches;
  uint32_t touch_count, touch_capacity;
  uint32_t **targets; /* step indices in arguments of jumps, to be moved when steps are dropped */
  uint32_t target_count, target_capacity;
  mica_plan_value *values; /* [graph->count] */
  bool *in_kept;           /* [in_count] a variable that the program does not assign */
  bool *done;              /* [graph->count] the node's steps stand */
  struct mica_fusion *fusion;
  uint32_t window_count, counter_count, pointer_count;
  mica_plan_reference nowhere; /* where references go after a failure */
} mica_plan;

/* ---- plan.c: building. After a failure all of these do nothing. ------------------------------------- */

bool mica_plan_init(mica_plan *plan, mica_cpu_program *program, mica_error *error);
void mica_plan_deinit(mica_plan *plan);
mica_status mica_plan_fail(mica_plan *plan, mica_status status, const char *format, ...)
    MICA_PRINTF(3, 4);
static inline bool mica_plan_good(const mica_plan *plan) { return plan->status == MICA_OK; }
/* Memory that lives as long as the program, zeroed; NULL after a failure. */
void *mica_plan_allocate(mica_plan *plan, size_t count, size_t size);
const char *mica_plan_text(mica_plan *plan, const char *format, ...) MICA_PRINTF(2, 3);
/* Has the program release `object` when it is destroyed; on failure releases it now. */
bool mica_plan_own(mica_plan *plan, void (*release)(void *object), void *object);

uint32_t mica_plan_storage(mica_plan *plan, mica_storage_kind kind, uint32_t index, size_t size);
/* A storage at the same address as `other`, with an interval of its own. */
uint32_t mica_plan_alias(mica_plan *plan, uint32_t other);
uint32_t mica_plan_class(const mica_plan *plan, uint32_t storage);
/* Extends the storage's life to a step; when it is from outside of a loop around the step, to the loop's
 * end, unless `exactly`. */
void mica_plan_touch(mica_plan *plan, uint32_t storage, uint32_t step, bool exactly);

/* Appends a step; its references follow by the calls below. Returns its index. */
uint32_t mica_plan_step_add(mica_plan *plan, mica_cpu_run *run, void *argument, uint32_t node);
mica_plan_reference *mica_plan_reference_add(mica_plan *plan, uint32_t storage, size_t offset,
                                             uint8_t mode);
/* Says of the last step that it may write `writer` over `reader`, at the same offset. */
void mica_plan_meet(mica_plan *plan, uint32_t reader, uint32_t writer, bool strong);
/* Scratch for one step, aligned to 64 bytes. */
void mica_plan_scratch(mica_plan *plan, size_t size);
void mica_plan_cost(mica_plan *plan, double flops, int64_t bytes,
                    int64_t nanoseconds); /* of the last step */
void mica_plan_target(mica_plan *plan, uint32_t *target);

uint32_t mica_plan_nest_begin(mica_plan *plan,
                              bool loop); /* returns the nest; starts at the next step */
void mica_plan_nest_end(mica_plan *plan); /* ends with the last step */

/* ---- layout.c: views ---------------------------------------------------------------------------------- */

static inline mica_type mica_plan_type(const mica_plan *plan, uint32_t id) {
  return plan->graph->nodes[id].type;
}
size_t mica_plan_bytes(mica_plan *plan, mica_type type); /* checked; fails the plan */
void mica_view_dense(mica_view *view, uint32_t storage, mica_shape shape);
bool mica_view_is_dense(const mica_view *view, mica_shape shape); /* whatever its offset */
bool mica_view_reshape(const mica_view *view, mica_shape from, mica_shape to, mica_view *out);
/* A value made by the last step: dense storage in the arena, and the reference that writes it. */
mica_plan_reference *mica_plan_result(mica_plan *plan, uint32_t id);
/* The value's memory; a failed plan when it has none. */
mica_view mica_plan_place(mica_plan *plan, uint32_t id);
/* The same, dense; appends a copying step when it does not lie densely. Call it before the step that reads
 * the view is added, and then mica_plan_read. */
mica_view mica_plan_dense(mica_plan *plan, uint32_t id);
/* A reference of the last step to the view's first element. */
mica_plan_reference *mica_plan_read(mica_plan *plan, uint32_t id, mica_view view);
/* Operators that need no step where elements have addresses: reshape, transpose, broadcast, slice, reverse. */
bool mica_op_is_view(mica_op op);
/* The view of such a node from its operand's; false: not without a copy. */
bool mica_view_apply(const mica_graph *graph, uint32_t id, const mica_view *in, mica_view *out);
bool mica_plan_view(mica_plan *plan, uint32_t id);

/* ---- step_copy.c ----------------------------------------------------------------------------------------- */

/* Copies `from` to `to`, both views of `shape`. Returns the step. */
uint32_t mica_plan_copy(mica_plan *plan, uint32_t node, mica_dtype dtype, mica_shape shape,
                        mica_view from, mica_view to);

/* ---- lowering: each appends the steps of node `id`; false: not this way (nothing was appended) -------------- */

bool mica_plan_reference_node(mica_plan *plan,
                              uint32_t id); /* step_reference.c: whatever has no regions */
bool mica_plan_mark(mica_plan *plan, uint32_t id);
bool mica_plan_custom(mica_plan *plan, uint32_t id);
bool mica_plan_control(mica_plan *plan, uint32_t id); /* control.c: while, switch, scan */
bool mica_plan_takes(const mica_graph *graph,
                     uint32_t id); /* takes.c: composites that are not expanded */

/* ---- fusion.c: which nodes run together ------------------------------------------------------------------- */

void mica_plan_fuse(mica_plan *plan);

/* ---- schedule.c: the order of steps --------------------------------------------------------------------- */

/* Appends the steps of a value, and first of all that it depends on. */
void mica_plan_ensure(mica_plan *plan, uint32_t id);
void mica_plan_region(mica_plan *plan, uint32_t region); /* all nodes of a region */
uint32_t mica_plan_window_slot(const mica_plan *plan, uint32_t window);

/* ---- memory_plan.c ------------------------------------------------------------------------------------------- */

void mica_plan_join(mica_plan *plan);   /* joins storages into classes, drops copies */
void mica_plan_assign(mica_plan *plan); /* offsets in the arena */

#endif
