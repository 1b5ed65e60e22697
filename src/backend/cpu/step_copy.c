/* SPDX-License-Identifier: Apache-2.0 */
/* step_copy.c: strided copies. The innermost axis is the destination's dense one; a source that is dense
 * along another axis is transposed by the row's kernel, in parts that are one cache line wide and long: the
 * lines of a few rows of the source are read side by side and used up, and each line of the result is written
 * whole, past the caches where the result is large. */
#include "backend/cpu/copy.h"

#include "backend/cpu/plan_internal.h"

#include <string.h>

enum {
  COPY_LINE = 64,            /* bytes */
  COPY_TASK_BYTES = 1 << 16, /* about what one task moves */
  COPY_PARALLEL_BYTES = 1 << 18,
  COPY_STREAM_BYTES = 1 << 23
};

/* ---- preparation ------------------------------------------------------------------------------ */

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

static void drop_axis(mica_strided_copy *copy, int32_t axis) {
  copy->rank--;
  for (int32_t i = axis; i < copy->rank; i++) {
    copy->size[i] = copy->size[i + 1];
    copy->from[i] = copy->from[i + 1];
    copy->to[i] = copy->to[i + 1];
  }
}

static void swap_axes(mica_strided_copy *copy, int32_t a, int32_t b) {
  int64_t size = copy->size[a], from = copy->from[a], to = copy->to[a];
  copy->size[a] = copy->size[b];
  copy->from[a] = copy->from[b];
  copy->to[a] = copy->to[b];
  copy->size[b] = size;
  copy->from[b] = from;
  copy->to[b] = to;
}

static int64_t outer_count(const mica_strided_copy *copy) {
  int64_t count = 1;
  for (int32_t axis = 0; axis + 1 < copy->rank; axis++)
    if (axis != copy->across) count *= copy->size[axis];
  return count;
}

static int64_t at_most(int64_t x, int64_t limit) { return x < limit ? x : limit; }
static int64_t parts_of(int64_t size, int64_t part) { return (size + part - 1) / part; }

/* What one task takes: a run of the innermost axis, or a block that is as long as possible across it. */
static void plan_parts(mica_strided_copy *copy) {
  int32_t last = copy->rank - 1;
  int64_t line = copy->element_size >= COPY_LINE ? 1 : COPY_LINE / copy->element_size;
  int64_t wanted = COPY_TASK_BYTES / copy->element_size;
  if (wanted < line) wanted = line;
  copy->rows = copy->across < 0 ? 1 : at_most(copy->size[copy->across], wanted / line);
  copy->columns = parts_of(wanted / copy->rows, line) * line;
  copy->tasks = outer_count(copy) * parts_of(copy->size[last], copy->columns);
  if (copy->across >= 0) copy->tasks *= parts_of(copy->size[copy->across], copy->rows);
}

static mica_transpose_kernel *transpose_of(const mica_cpu_kernels *kernels, int32_t element_size) {
  switch (element_size) {
    case 1: return kernels->rows->transpose[0];
    case 2: return kernels->rows->transpose[1];
    case 4: return kernels->rows->transpose[2];
    case 8: return kernels->rows->transpose[3];
    default: return NULL;
  }
}

void mica_strided_copy_init(mica_strided_copy *copy, const mica_cpu_kernels *kernels,
                            size_t element_size, mica_shape shape, const int64_t *from_stride,
                            const int64_t *to_stride) {
  int64_t element = (int64_t)element_size;
  *copy = (mica_strided_copy){.element_size = (int32_t)element_size, .across = -1};
  copy->bytes = element;
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    copy->bytes *= shape.dim[axis];
    if (shape.dim[axis] == 1) continue;
    copy->size[copy->rank] = shape.dim[axis];
    copy->from[copy->rank] = from_stride[axis] * element;
    copy->to[copy->rank++] = to_stride[axis] * element;
  }
  if (copy->bytes == 0) return; /* no tasks */
  for (int32_t i = 1; i < copy->rank; i++)
    for (int32_t j = i; j > 0 && magnitude(copy->to[j]) > magnitude(copy->to[j - 1]); j--)
      swap_axes(copy, j, j - 1);
  for (int32_t i = 0; i + 1 < copy->rank;) {
    if (copy->from[i] == copy->from[i + 1] * copy->size[i + 1] &&
        copy->to[i] == copy->to[i + 1] * copy->size[i + 1]) {
      copy->size[i + 1] *= copy->size[i];
      drop_axis(copy, i);
    } else {
      i++;
    }
  }
  if (copy->rank == 0) {
    copy->size[0] = 1;
    copy->from[0] = copy->to[0] = element;
    copy->rank = 1;
  }
  int32_t last = copy->rank - 1;
  if (copy->from[last] != element && copy->to[last] == element)
    for (int32_t axis = 0; axis < last; axis++)
      if (copy->from[axis] == element) copy->across = axis;
  if (copy->across >= 0) copy->transpose = transpose_of(kernels, copy->element_size);
  copy->stream = copy->bytes >= COPY_STREAM_BYTES;
  plan_parts(copy);
}

/* ---- the inner loops -------------------------------------------------------------------------- */

typedef struct {
  uint64_t low, high;
} copy_sixteen;

#define COPY_LOOPS(name, type)                                                               \
  static void copy_line_##name(int64_t count, const char *from, int64_t from_step, char *to, \
                               int64_t to_step) {                                            \
    if (from_step == 0 && to_step == (int64_t)sizeof(type)) {                                \
      type value;                                                                            \
      memcpy(&value, from, sizeof(value));                                                   \
      for (int64_t i = 0; i < count; i++)                                                    \
        memcpy(to + i * (int64_t)sizeof(value), &value, sizeof(value));                      \
      return;                                                                                \
    }                                                                                        \
    for (int64_t i = 0; i < count; i++)                                                      \
      memcpy(to + i * to_step, from + i * from_step, sizeof(type));                          \
  }

COPY_LOOPS(one, uint8_t)
COPY_LOOPS(two, uint16_t)
COPY_LOOPS(four, uint32_t)
COPY_LOOPS(eight, uint64_t)
COPY_LOOPS(sixteen, copy_sixteen)
#undef COPY_LOOPS

static void copy_line(int32_t element_size, int64_t count, const char *from, int64_t from_step,
                      char *to, int64_t to_step) {
  if (from_step == element_size && to_step == element_size) {
    memcpy(to, from, (size_t)(count * element_size));
    return;
  }
  switch (element_size) {
    case 1: copy_line_one(count, from, from_step, to, to_step); return;
    case 2: copy_line_two(count, from, from_step, to, to_step); return;
    case 4: copy_line_four(count, from, from_step, to, to_step); return;
    case 8: copy_line_eight(count, from, from_step, to, to_step); return;
    default: copy_line_sixteen(count, from, from_step, to, to_step); return;
  }
}

/* to[i][j] = from[j][i]: `from_step` bytes between j, `to_step` between i. */
static void copy_across(const mica_strided_copy *copy, int64_t rows, int64_t columns,
                        const char *from, char *to) {
  int64_t element = copy->element_size;
  int64_t from_step = copy->from[copy->rank - 1], to_step = copy->to[copy->across];
  if (copy->transpose != NULL) {
    copy->transpose(rows, columns, from, from_step, to, to_step, copy->stream);
    return;
  }
  for (int64_t i = 0; i < rows; i++)
    copy_line(copy->element_size, columns, from + i * element, from_step, to + i * to_step,
              element);
}

void mica_strided_copy_task(const mica_strided_copy *copy, int64_t task, const char *from,
                            char *to) {
  int32_t last = copy->rank - 1;
  int64_t column_parts = parts_of(copy->size[last], copy->columns);
  int64_t column = task % column_parts * copy->columns;
  int64_t columns = at_most(copy->size[last] - column, copy->columns);
  int64_t rows = 1, outer = task / column_parts;
  if (copy->across >= 0) {
    int64_t row_parts = parts_of(copy->size[copy->across], copy->rows);
    int64_t row = outer % row_parts * copy->rows;
    outer /= row_parts;
    rows = at_most(copy->size[copy->across] - row, copy->rows);
    from += row * copy->from[copy->across];
    to += row * copy->to[copy->across];
  }
  for (int32_t axis = last - 1; axis >= 0; axis--) {
    if (axis == copy->across) continue;
    int64_t at = outer % copy->size[axis];
    outer /= copy->size[axis];
    from += at * copy->from[axis];
    to += at * copy->to[axis];
  }
  from += column * copy->from[last];
  to += column * copy->to[last];
  if (copy->across >= 0)
    copy_across(copy, rows, columns, from, to);
  else
    copy_line(copy->element_size, columns, from, copy->from[last], to, copy->to[last]);
}

/* ---- all of it -------------------------------------------------------------------------------- */

typedef struct {
  const mica_strided_copy *copy;
  const char *from;
  char *to;
  int64_t group; /* tasks a call of `copy_group` does */
} copy_job;

static void copy_group(void *context, int64_t index, int32_t worker) {
  const copy_job *job = context;
  (void)worker;
  int64_t end = (index + 1) * job->group;
  if (end > job->copy->tasks) end = job->copy->tasks;
  for (int64_t task = index * job->group; task < end; task++)
    mica_strided_copy_task(job->copy, task, job->from, job->to);
}

void mica_strided_copy_run(const mica_strided_copy *copy, const void *from, void *to,
                           const mica_parallel *parallel) {
  copy_job job = {.copy = copy, .from = from, .to = to, .group = copy->tasks};
  if (copy->tasks == 0) return;
  if (parallel->threads == 1 || copy->bytes < COPY_PARALLEL_BYTES) {
    copy_group(&job, 0, 0);
    return;
  }
  int64_t pieces = copy->bytes / COPY_TASK_BYTES;
  job.group = (copy->tasks + pieces - 1) / pieces;
  parallel->run(parallel->self, (copy->tasks + job.group - 1) / job.group, copy_group, &job);
}

void mica_copy_bytes(void *to, const void *from, size_t size, const mica_parallel *parallel) {
  if (size < COPY_PARALLEL_BYTES) {
    memcpy(to, from, size);
    return;
  }
  mica_strided_copy copy;
  mica_strided_copy_init(&copy, NULL, 1, (mica_shape){1, {(int64_t)size}}, (int64_t[]){1},
                         (int64_t[]){1});
  mica_strided_copy_run(&copy, from, to, parallel);
}

/* ---- steps ------------------------------------------------------------------------------------ */

static mica_status run_copy(const mica_cpu_step *step, mica_cpu_context *context) {
  mica_strided_copy_run(step->argument, mica_cpu_address(step, context, 0),
                        mica_cpu_address(step, context, 1), &context->parallel);
  return MICA_OK;
}

/* Bytes that lie side by side, whatever they are. */
typedef struct {
  size_t size;
} copy_bytes_argument;

static mica_status run_copy_bytes(const mica_cpu_step *step, mica_cpu_context *context) {
  const copy_bytes_argument *argument = step->argument;
  const char *from = mica_cpu_address(step, context, 0);
  char *to = mica_cpu_address(step, context, 1);
  if (from == to) return MICA_OK; /* a donated input that is the output too */
  mica_copy_bytes(to, from, argument->size, &context->parallel);
  return MICA_OK;
}

uint32_t mica_plan_copy(mica_plan *plan, uint32_t node, mica_dtype dtype, mica_shape shape,
                        mica_view from, mica_view to) {
  size_t bytes = mica_plan_bytes(plan, (mica_type){dtype, shape});
  size_t element = (size_t)mica_dtype_bits(dtype) / 8;
  bool dense = mica_view_is_dense(&from, shape) && mica_view_is_dense(&to, shape);
  uint32_t step;
  if (dense) {
    copy_bytes_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
    if (argument != NULL) argument->size = bytes;
    step = mica_plan_step_add(plan, run_copy_bytes, argument, node);
  } else {
    mica_strided_copy *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
    if (argument != NULL)
      mica_strided_copy_init(argument, plan->device->kernels, element, shape, from.stride,
                             to.stride);
    step = mica_plan_step_add(plan, run_copy, argument, node);
  }
  mica_plan_reference_add(plan, from.storage, (size_t)from.offset * element, MICA_PLAN_READ);
  mica_plan_reference_add(plan, to.storage, (size_t)to.offset * element, MICA_PLAN_WRITE);
  mica_plan_cost(plan, 0, 2 * (int64_t)bytes, 20 + (int64_t)bytes / 10);
  if (mica_plan_good(plan)) {
    plan->steps[step].copies = dense && from.offset == 0 && to.offset == 0;
    plan->steps[step].label = "copy";
  }
  return step;
}
