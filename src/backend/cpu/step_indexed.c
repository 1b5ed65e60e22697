/* SPDX-License-Identifier: Apache-2.0 */
/* step_indexed.c: gather and scatter. Both walk over the index vectors; each names the corner of a window
 * of the operand, whose elements correspond to a block of the slices (the gather's result, the scatter's
 * updates). Gathers run side by side by vectors. Scatters give each task a part of the operand's corners
 * and let it look at all vectors, so that updates of one place keep their order whatever the threads.
 * Windows of one element at one index each, such as those of sorts and segments, go in plain loops
 * along the last axis of vectors; only batches of such lines are scattered side by side. */
#include "backend/cpu/copy.h"
#include "backend/cpu/moves_internal.h"

#include <string.h>

enum { INDEXED_TASK_BYTES = 1 << 16, SCATTER_RANGES = 16, SCATTER_PARALLEL_BYTES = 1 << 18 };

/* Vectors that follow each other: element j of the slices is at from or to + j * slice_step, that of
 * the operand at operand + j * batch_step + index j * operand_step. */
typedef struct {
  const char *indices, *slices; /* scatter: the updates, from the line's first on */
  int64_t slice;                /* offset of the line in the slices */
  char *result;                 /* gather: slices; scatter: the operand's begin */
  const char *operand;          /* gather: the operand */
  int64_t offset;               /* scatter: of the line in the operand */
  int64_t count, index_step, slice_step, batch_step, operand_step, last;
  bool wide;
} indexed_line;

typedef struct {
  int32_t vector_rank;                /* axes of the indices without the vector's */
  int64_t vector_size[MICA_MAX_RANK]; /* and the number of vectors behind each of them */
  int64_t vector_count;
  int64_t index_stride[MICA_MAX_RANK]; /* bytes, along those axes */
  int64_t slice_stride[MICA_MAX_RANK]; /* bytes, of the slices along them */
  int32_t batch_axis[MICA_MAX_RANK];   /* the operand's axis that a batch axis steps along, or -1 */
  int32_t component_count;
  int64_t component_stride; /* bytes between the components of an index vector */
  int32_t component_axis[MICA_MAX_RANK];
  int32_t rank;                          /* of the operand */
  int64_t last[MICA_MAX_RANK];           /* largest corner */
  int64_t operand_stride[MICA_MAX_RANK]; /* bytes */
  bool wide_index;
  mica_dtype dtype;
  size_t whole_size;      /* scatter: bytes of the operand */
  int64_t run;            /* bytes of a window when it is one run on both sides, else 0 */
  bool apart;             /* two windows that overlap are at the same place */
  mica_strided_copy copy; /* of a window: gather from the operand, scatter to it */
  void (*combine)(const mica_strided_copy *copy, const char *update, char *to);
  /* Windows of one element at one index each go line by line, a line being the last axis of vectors. */
  void (*gather_line)(const indexed_line *line);
  void (*scatter_line)(const indexed_line *line);
} indexed_argument;

/* ---- lines of single elements ------------------------------------------------------------------ */

/* Lines are taken by value: what is stored could be the structure otherwise, which would be read again for
 * each element. */
static inline int64_t index_of_line(const char *indices, int64_t place, bool wide) {
  int64_t long_index;
  int32_t index;
  if (wide) {
    memcpy(&long_index, indices + place, sizeof(long_index));
    return long_index;
  }
  memcpy(&index, indices + place, sizeof(index));
  return index;
}

#define GATHER_ELEMENTS(size, wide)                                                                \
  for (int64_t j = 0; j < l.count; j++) {                                                          \
    int64_t at = index_of_line(l.indices, j * l.index_step, wide);                                 \
    at = at < 0 ? 0 : at > l.last ? l.last : at;                                                   \
    memcpy(l.result + j * l.slice_step, l.operand + j * l.batch_step + at * l.operand_step, size); \
  }
#define GATHER_LINE(size)                                    \
  static void gather_line_##size(const indexed_line *line) { \
    const indexed_line l = *line;                            \
    if (l.wide)                                              \
      GATHER_ELEMENTS(size, true)                            \
    else                                                     \
      GATHER_ELEMENTS(size, false)                           \
  }
GATHER_LINE(1)
GATHER_LINE(2)
GATHER_LINE(4)
GATHER_LINE(8)
#undef GATHER_LINE
#undef GATHER_ELEMENTS

#define SCATTER_ELEMENTS(type, expression, wide)                     \
  for (int64_t j = 0; j < l.count; j++) {                            \
    int64_t at = index_of_line(l.indices, j * l.index_step, wide);   \
    if (at < 0 || at > l.last) continue;                             \
    char *place = l.result + j * l.batch_step + at * l.operand_step; \
    type x, y;                                                       \
    memcpy(&x, place, sizeof(x));                                    \
    memcpy(&y, l.slices + j * l.slice_step, sizeof(y));              \
    x = (expression);                                                \
    memcpy(place, &x, sizeof(x));                                    \
  }
#define SCATTER_LINE(name, type, expression)                  \
  static void scatter_line_##name(const indexed_line *line) { \
    indexed_line l = *line;                                   \
    l.result += l.offset;                                     \
    if (l.wide)                                               \
      SCATTER_ELEMENTS(type, expression, true)                \
    else                                                      \
      SCATTER_ELEMENTS(type, expression, false)               \
  }
SCATTER_LINE(set_4, uint32_t, y)
SCATTER_LINE(set_8, uint64_t, y)
SCATTER_LINE(add_float, float, x + y)
SCATTER_LINE(add_double, double, x + y)
SCATTER_LINE(add_int, uint32_t, x + y)
SCATTER_LINE(add_long, uint64_t, x + y)
SCATTER_LINE(max_float, float, x >= y || x != x ? x : y)
SCATTER_LINE(max_double, double, x >= y || x != x ? x : y)
SCATTER_LINE(max_int, int32_t, x >= y ? x : y)
SCATTER_LINE(min_float, float, x <= y || x != x ? x : y)
SCATTER_LINE(min_double, double, x <= y || x != x ? x : y)
SCATTER_LINE(min_int, int32_t, x <= y ? x : y)
#undef SCATTER_LINE
#undef SCATTER_ELEMENTS

static void (*scatter_line_of(int32_t kind, mica_dtype dtype))(const indexed_line *) {
  int32_t bits = mica_dtype_bits(dtype);
  if (kind == MICA_SCATTER_SET)
    return bits == 32 ? scatter_line_set_4 : bits == 64 ? scatter_line_set_8 : NULL;
  bool add = kind == MICA_SCATTER_ADD, max = kind == MICA_SCATTER_MAX;
  if (!add && !max && kind != MICA_SCATTER_MIN) return NULL;
  switch (dtype) {
    case MICA_F32:
      return add ? scatter_line_add_float : max ? scatter_line_max_float : scatter_line_min_float;
    case MICA_F64:
      return add   ? scatter_line_add_double
             : max ? scatter_line_max_double
                   : scatter_line_min_double;
    case MICA_I32:
      return add ? scatter_line_add_int : max ? scatter_line_max_int : scatter_line_min_int;
    case MICA_U32: return add ? scatter_line_add_int : NULL;
    case MICA_I64:
    case MICA_U64: return add ? scatter_line_add_long : NULL;
    default: return NULL;
  }
}

/* The line that begins with vector `index`, of `most` vectors or up to the end of its axis. */
static indexed_line line_of_vectors(const indexed_argument *a, const char *indices, int64_t index,
                                    int64_t most) {
  int32_t inner = a->vector_rank - 1;
  int64_t j = index % a->vector_size[inner], left = a->vector_size[inner] - j;
  int64_t place = index / a->vector_size[inner], slice = j * a->slice_stride[inner];
  int64_t offset = 0, batch = 0;
  indices += j * a->index_stride[inner];
  if (a->batch_axis[inner] >= 0) batch = a->operand_stride[a->batch_axis[inner]];
  offset += j * batch;
  for (int32_t axis = inner - 1; axis >= 0; axis--) {
    int64_t at = place % a->vector_size[axis];
    place /= a->vector_size[axis];
    indices += at * a->index_stride[axis];
    slice += at * a->slice_stride[axis];
    if (a->batch_axis[axis] >= 0) offset += at * a->operand_stride[a->batch_axis[axis]];
  }
  int32_t axis = a->component_axis[0];
  return (indexed_line){.indices = indices,
                        .slice = slice,
                        .offset = offset,
                        .count = left < most ? left : most,
                        .index_step = a->index_stride[inner],
                        .slice_step = a->slice_stride[inner],
                        .batch_step = batch,
                        .operand_step = a->operand_stride[axis],
                        .last = a->last[axis],
                        .wide = a->wide_index};
}

/* ---- walking over index vectors --------------------------------------------------------------- */

/* Where vector number `index` leads: offsets in the slices and the operand; false when the window does
 * not lie in the operand as a whole and may not be clamped. */
static bool window_of_vector(const indexed_argument *argument, const char *indices, int64_t index,
                             bool clamp, int64_t *out_slice, int64_t *out_operand) {
  int64_t corner[MICA_MAX_RANK] = {0}, slice = 0, operand = 0;
  for (int32_t axis = argument->vector_rank - 1; axis >= 0; axis--) {
    int64_t at = index % argument->vector_size[axis];
    index /= argument->vector_size[axis];
    indices += at * argument->index_stride[axis];
    slice += at * argument->slice_stride[axis];
    if (argument->batch_axis[axis] >= 0) corner[argument->batch_axis[axis]] = at;
  }
  for (int32_t i = 0; i < argument->component_count; i++) {
    const char *component = indices + i * argument->component_stride;
    if (argument->wide_index) {
      memcpy(&corner[argument->component_axis[i]], component, sizeof(int64_t));
    } else {
      int32_t narrow;
      memcpy(&narrow, component, sizeof(narrow));
      corner[argument->component_axis[i]] = narrow;
    }
  }
  for (int32_t axis = 0; axis < argument->rank; axis++) {
    int64_t at = corner[axis], last = argument->last[axis];
    if (at < 0 || at > last) {
      if (!clamp) return false;
      at = at < 0 ? 0 : last;
    }
    operand += at * argument->operand_stride[axis];
  }
  *out_slice = slice;
  *out_operand = operand;
  return true;
}

typedef struct {
  const indexed_argument *argument;
  const char *indices, *from;
  char *to;
  int64_t group; /* gather: vectors a task takes */
  int64_t
      range; /* scatter: of lines, how many a task takes; of windows, how many tasks there are, or 0 */
} indexed_job;

static void copy_window(const indexed_argument *argument, const char *from, char *to) {
  if (argument->run == 4) {
    memcpy(to, from, 4);
  } else if (argument->run == 8) {
    memcpy(to, from, 8);
  } else if (argument->run > 0) {
    memcpy(to, from, (size_t)argument->run);
  } else {
    for (int64_t task = 0; task < argument->copy.tasks; task++)
      mica_strided_copy_task(&argument->copy, task, from, to);
  }
}

static void gather_group(void *context, int64_t index, int32_t worker) {
  const indexed_job *job = context;
  const indexed_argument *argument = job->argument;
  (void)worker;
  int64_t end = (index + 1) * job->group;
  if (end > argument->vector_count) end = argument->vector_count;
  if (argument->gather_line != NULL) {
    for (int64_t i = index * job->group; i < end;) {
      indexed_line line = line_of_vectors(argument, job->indices, i, end - i);
      line.result = job->to + line.slice;
      line.operand = job->from + line.offset;
      argument->gather_line(&line);
      i += line.count;
    }
    return;
  }
  for (int64_t i = index * job->group; i < end; i++) {
    int64_t slice, operand;
    window_of_vector(argument, job->indices, i, true, &slice, &operand);
    copy_window(argument, job->from + operand, job->to + slice);
  }
}

static mica_status run_indexed_gather(const mica_cpu_step *step, mica_cpu_context *context) {
  const indexed_argument *argument = step->argument;
  indexed_job job = {.argument = argument,
                     .from = mica_cpu_address(step, context, 0),
                     .indices = mica_cpu_address(step, context, 1),
                     .to = mica_cpu_address(step, context, 2)};
  /* A short window costs its look-up, about what 64 bytes cost to copy. */
  int64_t each = argument->copy.bytes + 64;
  job.group = INDEXED_TASK_BYTES / each + 1;
  int64_t count = (argument->vector_count + job.group - 1) / job.group;
  if (count <= 4) {
    for (int64_t i = 0; i < count; i++) gather_group(&job, i, 0);
    return MICA_OK;
  }
  context->parallel.run(context->parallel.self, count, gather_group, &job);
  return MICA_OK;
}

/* ---- scatter ---------------------------------------------------------------------------------- */

static void scatter_range(void *context, int64_t index, int32_t worker) {
  const indexed_job *job = context;
  const indexed_argument *argument = job->argument;
  (void)worker;
  for (int64_t i = 0; i < argument->vector_count; i++) {
    int64_t slice, operand;
    if (!window_of_vector(argument, job->indices, i, false, &slice, &operand)) continue;
    if (job->range > 0 && operand / argument->run % job->range != index) continue;
    argument->combine(&argument->copy, job->from + slice, job->to + operand);
  }
}

/* Lines whose number is a batch's stand apart from each other; `range` is how many a task takes. */
static void scatter_lines(void *context, int64_t index, int32_t worker) {
  const indexed_job *job = context;
  const indexed_argument *argument = job->argument;
  (void)worker;
  int64_t first = index * job->range * argument->vector_size[argument->vector_rank - 1];
  int64_t end = first + job->range * argument->vector_size[argument->vector_rank - 1];
  if (end > argument->vector_count) end = argument->vector_count;
  for (int64_t i = first; i < end;) {
    indexed_line line = line_of_vectors(argument, job->indices, i, end - i);
    line.slices = job->from + line.slice;
    line.result = job->to;
    argument->scatter_line(&line);
    i += line.count;
  }
}

static mica_status run_scatter_lines(const indexed_argument *argument, indexed_job *job,
                                     const mica_parallel *parallel) {
  int64_t size = argument->vector_size[argument->vector_rank - 1];
  int64_t lines = argument->vector_count / size;
  bool alone = argument->vector_count < INDEXED_TASK_BYTES / 4;
  for (int32_t axis = 0; axis + 1 < argument->vector_rank; axis++)
    alone = alone || argument->batch_axis[axis] < 0;
  job->range = alone ? lines : INDEXED_TASK_BYTES / 8 / size + 1;
  int64_t tasks = (lines + job->range - 1) / job->range;
  if (tasks <= 1)
    scatter_lines(job, 0, 0);
  else
    parallel->run(parallel->self, tasks, scatter_lines, job);
  return MICA_OK;
}

static mica_status run_scatter(const mica_cpu_step *step, mica_cpu_context *context) {
  const indexed_argument *argument = step->argument;
  const char *whole = mica_cpu_address(step, context, 0);
  indexed_job job = {.argument = argument,
                     .indices = mica_cpu_address(step, context, 1),
                     .from = mica_cpu_address(step, context, 2),
                     .to = mica_cpu_address(step, context, 3)};
  if (job.to != whole) mica_copy_bytes(job.to, whole, argument->whole_size, &context->parallel);
  if (argument->scatter_line != NULL) return run_scatter_lines(argument, &job, &context->parallel);
  int64_t bytes = argument->vector_count * argument->copy.bytes;
  /* Only windows that stand apart, such as rows, surely lie in one range. */
  if (context->parallel.threads == 1 || bytes < SCATTER_PARALLEL_BYTES || !argument->apart) {
    scatter_range(&job, 0, 0);
    return MICA_OK;
  }
  /* Rows in turn: where indices are few, tasks have as much to do all the same. */
  job.range =
      context->parallel.threads < SCATTER_RANGES ? context->parallel.threads : SCATTER_RANGES;
  context->parallel.run(context->parallel.self, job.range, scatter_range, &job);
  return MICA_OK;
}

enum { COMBINE_BLOCK = 16 }; /* elements that become vectors */
/* The window's elements one by one, innermost axis in a plain loop. */
#define COMBINE_WINDOWS(name, type, expression)                                             \
  static inline void combine_block_##name(type *restrict to, const type *restrict from) {   \
    for (int k = 0; k < COMBINE_BLOCK; k++) {                                               \
      type x = to[k], y = from[k];                                                          \
      to[k] = (expression);                                                                 \
    }                                                                                       \
  }                                                                                         \
  static void combine_##name(const mica_strided_copy *copy, const char *update, char *to) { \
    int64_t at[MICA_MAX_RANK] = {0};                                                        \
    const int32_t last = copy->rank - 1;                                                    \
    for (;;) {                                                                              \
      const char *from = update;                                                            \
      char *place = to;                                                                     \
      for (int32_t axis = 0; axis < last; axis++) {                                         \
        from += at[axis] * copy->from[axis];                                                \
        place += at[axis] * copy->to[axis];                                                 \
      }                                                                                     \
      int64_t i = 0, count = copy->size[last];                                              \
      const int64_t each = sizeof(type);                                                    \
      if (copy->to[last] == each && copy->from[last] == each)                               \
        for (; i + COMBINE_BLOCK <= count; i += COMBINE_BLOCK)                              \
          combine_block_##name((type *)(void *)(place + i * each),                          \
                               (const type *)(const void *)(from + i * each));              \
      for (; i < count; i++) {                                                              \
        type x, y;                                                                          \
        memcpy(&x, place + i * copy->to[last], sizeof(x));                                  \
        memcpy(&y, from + i * copy->from[last], sizeof(y));                                 \
        x = (expression);                                                                   \
        memcpy(place + i * copy->to[last], &x, sizeof(x));                                  \
      }                                                                                     \
      int32_t axis = last - 1;                                                              \
      while (axis >= 0 && ++at[axis] == copy->size[axis]) at[axis--] = 0;                   \
      if (axis < 0) return;                                                                 \
    }                                                                                       \
  }

COMBINE_WINDOWS(add_float, float, x + y)
COMBINE_WINDOWS(add_double, double, x + y)
COMBINE_WINDOWS(add_int, uint32_t, x + y)
COMBINE_WINDOWS(add_long, uint64_t, x + y)
COMBINE_WINDOWS(mul_float, float, x *y)
COMBINE_WINDOWS(mul_double, double, x *y)
COMBINE_WINDOWS(mul_int, uint32_t, x *y)
COMBINE_WINDOWS(mul_long, uint64_t, x *y)
/* NaN wins. */
COMBINE_WINDOWS(max_float, float, x >= y || x != x ? x : y)
COMBINE_WINDOWS(max_double, double, x >= y || x != x ? x : y)
COMBINE_WINDOWS(max_int, int32_t, x >= y ? x : y)
COMBINE_WINDOWS(max_long, int64_t, x >= y ? x : y)
COMBINE_WINDOWS(min_float, float, x <= y || x != x ? x : y)
COMBINE_WINDOWS(min_double, double, x <= y || x != x ? x : y)
COMBINE_WINDOWS(min_int, int32_t, x <= y ? x : y)
COMBINE_WINDOWS(min_long, int64_t, x <= y ? x : y)
#undef COMBINE_WINDOWS

static void combine_set(const mica_strided_copy *copy, const char *update, char *to) {
  for (int64_t task = 0; task < copy->tasks; task++) mica_strided_copy_task(copy, task, update, to);
}

static void (*combiner(int32_t kind, mica_dtype dtype))(const mica_strided_copy *, const char *,
                                                        char *) {
  typedef void combine_windows(const mica_strided_copy *, const char *, char *);
  static combine_windows *const table[][4] = {
      [MICA_SCATTER_ADD] = {combine_add_float, combine_add_double, combine_add_int,
                            combine_add_long},
      [MICA_SCATTER_MUL] = {combine_mul_float, combine_mul_double, combine_mul_int,
                            combine_mul_long},
      [MICA_SCATTER_MAX] = {combine_max_float, combine_max_double, combine_max_int,
                            combine_max_long},
      [MICA_SCATTER_MIN] = {combine_min_float, combine_min_double, combine_min_int,
                            combine_min_long}};
  if (kind == MICA_SCATTER_SET) return combine_set;
  bool ordered = kind == MICA_SCATTER_MAX || kind == MICA_SCATTER_MIN;
  switch (dtype) {
    case MICA_F32: return table[kind][0];
    case MICA_F64: return table[kind][1];
    case MICA_I32: return table[kind][2];
    case MICA_U32: return ordered ? NULL : table[kind][2];
    case MICA_I64: return table[kind][3];
    case MICA_U64: return ordered ? NULL : table[kind][3];
    default: return NULL;
  }
}

/* ---- lowering --------------------------------------------------------------------------------- */

static bool ints_contain(const mica_ints *list, int64_t axis) {
  for (int32_t i = 0; i < list->count; i++)
    if (list->at[i] == axis) return true;
  return false;
}

/* What gather and scatter call by different names. */
typedef struct {
  mica_ints window_axes, dropped_axes, operand_batch, index_batch, map;
  int64_t vector_axis;
} indexed_axes;

static bool fill_indexed(const mica_cpu_kernels *kernels, const indexed_axes *axes,
                         mica_type operand, const mica_view *operand_view, mica_type indices,
                         const mica_view *index_view, mica_shape slices,
                         const mica_view *slice_view, bool gather, indexed_argument *out) {
  int64_t element = mica_dtype_bits(operand.dtype) / 8;
  if (indices.dtype != MICA_I32 && indices.dtype != MICA_I64) return false;
  *out = (indexed_argument){.rank = operand.shape.rank,
                            .dtype = operand.dtype,
                            .vector_count = 1,
                            .wide_index = indices.dtype == MICA_I64,
                            .component_count = axes->map.count};
  int64_t index_size = out->wide_index ? 8 : 4;
  bool implicit = axes->vector_axis >= indices.shape.rank;
  out->component_stride = implicit ? 0 : index_view->stride[axes->vector_axis] * index_size;
  for (int32_t i = 0; i < axes->map.count; i++) out->component_axis[i] = (int32_t)axes->map.at[i];
  int32_t slice_axis = 0;
  for (int32_t axis = 0; axis < indices.shape.rank; axis++) {
    if (axis == axes->vector_axis) continue;
    while (ints_contain(&axes->window_axes, slice_axis)) slice_axis++;
    int32_t at = out->vector_rank++;
    out->vector_size[at] = indices.shape.dim[axis];
    out->vector_count *= indices.shape.dim[axis];
    out->index_stride[at] = index_view->stride[axis] * index_size;
    out->slice_stride[at] = slice_view->stride[slice_axis++] * element;
    out->batch_axis[at] = -1;
    for (int32_t i = 0; i < axes->index_batch.count; i++)
      if (axes->index_batch.at[i] == axis) out->batch_axis[at] = (int32_t)axes->operand_batch.at[i];
  }
  mica_shape window = {.rank = operand.shape.rank};
  int64_t along_slice[MICA_MAX_RANK] = {0};
  int32_t kept = 0;
  for (int32_t axis = 0; axis < operand.shape.rank; axis++) {
    bool gone = ints_contain(&axes->dropped_axes, axis) || ints_contain(&axes->operand_batch, axis);
    int64_t from = gone ? 0 : axes->window_axes.at[kept++];
    window.dim[axis] = gone ? 1 : slices.dim[from];
    along_slice[axis] = gone ? 0 : slice_view->stride[from];
    out->last[axis] = operand.shape.dim[axis] - window.dim[axis];
    out->operand_stride[axis] = operand_view->stride[axis] * element;
    if (out->last[axis] < 0) return false;
  }
  if (gather)
    mica_strided_copy_init(&out->copy, kernels, (size_t)element, window, operand_view->stride,
                           along_slice);
  else
    mica_strided_copy_init(&out->copy, kernels, (size_t)element, window, along_slice,
                           operand_view->stride);
  bool run = out->copy.rank == 1 && out->copy.from[0] == element && out->copy.to[0] == element;
  out->run = run ? out->copy.bytes : 0;
  out->apart = run;
  for (int32_t axis = 0; axis < out->rank && run; axis++)
    if (out->last[axis] > 0 && out->operand_stride[axis] % out->run != 0) out->apart = false;
  return true;
}

/* Every axis of the operand is the component's, a batch axis or of one element. */
static bool goes_by_lines(const indexed_argument *a) {
  return a->vector_rank > 0 && a->component_count == 1 &&
         a->copy.bytes == mica_dtype_bits(a->dtype) / 8;
}

static bool lower_gather(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_gather_attr *attr = node->attr;
  mica_type operand = mica_plan_type(plan, operands[0]),
            indices = mica_plan_type(plan, operands[1]);
  indexed_axes axes = {attr->offset_axes,      attr->collapsed_slice_axes, attr->operand_batch_axes,
                       attr->index_batch_axes, attr->start_index_map,      attr->index_vector_axis};
  mica_view from = mica_plan_place(plan, operands[0]),
            index_view = mica_plan_place(plan, operands[1]), to;
  indexed_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  mica_view_dense(&to, 0, node->type.shape);
  if (!fill_indexed(plan->device->kernels, &axes, operand, &from, indices, &index_view,
                    node->type.shape, &to, true, argument))
    return false;
  if (goes_by_lines(argument)) {
    static void (*const lines[])(const indexed_line *) = {
        [1] = gather_line_1, [2] = gather_line_2, [4] = gather_line_4, [8] = gather_line_8};
    int64_t size = argument->copy.bytes;
    if (size == 1 || size == 2 || size == 4 || size == 8) argument->gather_line = lines[size];
  }
  mica_plan_step_add(plan, run_indexed_gather, argument, id);
  mica_plan_read(plan, operands[0], from);
  mica_plan_read(plan, operands[1], index_view);
  mica_plan_result(plan, id);
  int64_t bytes = argument->vector_count * argument->copy.bytes;
  mica_plan_cost(plan, 0, 2 * bytes, 50 + argument->vector_count * 15 + bytes / 10);
  return true;
}

static bool lower_scatter(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_scatter_attr *attr = node->attr;
  mica_type type = node->type, indices = mica_plan_type(plan, operands[1]),
            updates = mica_plan_type(plan, operands[2]);
  indexed_axes axes = {attr->update_window_axes, attr->inserted_window_axes,
                       attr->operand_batch_axes, attr->index_batch_axes,
                       attr->index_map,          attr->index_vector_axis};
  if (combiner(attr->kind, type.dtype) == NULL) return false;
  mica_view index_view = mica_plan_place(plan, operands[1]),
            update_view = mica_plan_place(plan, operands[2]), to;
  indexed_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  mica_view_dense(&to, 0, type.shape);
  if (!fill_indexed(plan->device->kernels, &axes, type, &to, indices, &index_view, updates.shape,
                    &update_view, false, argument))
    return false;
  mica_view whole = mica_plan_dense(plan, operands[0]);
  argument->combine = combiner(attr->kind, type.dtype);
  argument->whole_size = mica_plan_bytes(plan, type);
  if (goes_by_lines(argument)) argument->scatter_line = scatter_line_of(attr->kind, type.dtype);
  mica_plan_step_add(plan, run_scatter, argument, id);
  mica_plan_read(plan, operands[0], whole);
  mica_plan_read(plan, operands[1], index_view);
  mica_plan_read(plan, operands[2], update_view);
  mica_plan_result(plan, id);
  if (mica_plan_good(plan) && whole.offset == 0 && whole.storage != update_view.storage &&
      whole.storage != index_view.storage)
    mica_plan_meet(plan, whole.storage, plan->values[id].view.storage, true);
  int64_t bytes = argument->vector_count * argument->copy.bytes;
  mica_plan_cost(plan, 0, 3 * bytes, 50 + argument->vector_count * 15 + bytes / 5);
  return true;
}

bool mica_plan_indexed(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  if (node->op != MICA_OP_GATHER && node->op != MICA_OP_SCATTER) return false;
  if (mica_dtype_bits(node->type.dtype) < 8) return false;
  for (uint32_t i = 0; i < node->operand_count; i++)
    if (mica_shape_count(mica_plan_type(plan, operands[i]).shape) == 0) return false;
  if (mica_shape_count(node->type.shape) == 0) return false;
  return node->op == MICA_OP_GATHER ? lower_gather(plan, id) : lower_scatter(plan, id);
}
