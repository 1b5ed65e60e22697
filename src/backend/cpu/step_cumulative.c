/* SPDX-License-Identifier: Apache-2.0 */
/* step_cumulative.c: running folds, and linear recurrences.
 *
 * Lines along the axis are shared out among the threads; where it is not the last axis, a task folds
 * a group of neighboring columns row by row. Few long lines are cut into blocks: the folds of all
 * blocks come first, then each block starts from the fold of those before it. How work is cut
 * depends on shapes alone, so that results have the same bits for any number of threads. */
#include "backend/cpu/moves_internal.h"
#include "core/dtype.h"

#include <math.h>
#include <string.h>

enum {
  FOLD_COLUMNS = 512, /* of a task: their states stay in L1 */
  FOLD_BLOCK_ELEMENTS = 1 << 15,
  FOLD_FEW_TASKS = 16,         /* fewer lines than that are cut into blocks, */
  FOLD_LONG_ELEMENTS = 1 << 17 /* if there is so much to do */
};

/* `count` rows, `inner` elements apart, of `columns` columns. */
typedef struct {
  int64_t count, inner, columns;
  bool reverse, exclusive;
} fold_block;

typedef struct {
  size_t state_size;
  void (*run)(const fold_block *block, const void *in, void *out, void *states);
  void (*prefix)(void *states, int64_t count, int64_t columns);
  void (*neutral)(void *states, int64_t count);
} fold_kernels;

/* ---- kernels ---------------------------------------------------------------------------------- */

#define FOLD_ADD(a, b)      ((a) + (b))
#define FOLD_MULTIPLY(a, b) ((a) * (b))
/* NaN wins: the first one stays. */
#define FOLD_LARGER(a, b)  ((a) >= (b) || (a) != (a) ? (a) : (b))
#define FOLD_SMALLER(a, b) ((a) <= (b) || (a) != (a) ? (a) : (b))

#define FOLD_ELEMENT    float
#define FOLD_STATE      float
#define FOLD_LOAD(v)    (v)
#define FOLD_STORE(s)   (s)
#define FOLD_NAME(part) fold_sum_float_##part
#define FOLD_JOIN       FOLD_ADD
#define FOLD_NEUTRAL    0
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_prod_float_##part
#define FOLD_JOIN       FOLD_MULTIPLY
#define FOLD_NEUTRAL    1
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_max_float_##part
#define FOLD_JOIN       FOLD_LARGER
#define FOLD_NEUTRAL    (-INFINITY)
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_min_float_##part
#define FOLD_JOIN       FOLD_SMALLER
#define FOLD_NEUTRAL    INFINITY
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE

#define FOLD_ELEMENT    double
#define FOLD_STATE      double
#define FOLD_NAME(part) fold_sum_double_##part
#define FOLD_JOIN       FOLD_ADD
#define FOLD_NEUTRAL    0
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_prod_double_##part
#define FOLD_JOIN       FOLD_MULTIPLY
#define FOLD_NEUTRAL    1
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_max_double_##part
#define FOLD_JOIN       FOLD_LARGER
#define FOLD_NEUTRAL    ((double)-INFINITY)
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_min_double_##part
#define FOLD_JOIN       FOLD_SMALLER
#define FOLD_NEUTRAL    ((double)INFINITY)
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE

/* Two's complement: sums and products of signed integers are those of unsigned ones. */
#define FOLD_ELEMENT    uint32_t
#define FOLD_STATE      uint32_t
#define FOLD_NAME(part) fold_sum_word_##part
#define FOLD_JOIN       FOLD_ADD
#define FOLD_NEUTRAL    0
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_prod_word_##part
#define FOLD_JOIN       FOLD_MULTIPLY
#define FOLD_NEUTRAL    1
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE

#define FOLD_ELEMENT    uint64_t
#define FOLD_STATE      uint64_t
#define FOLD_NAME(part) fold_sum_long_##part
#define FOLD_JOIN       FOLD_ADD
#define FOLD_NEUTRAL    0
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_prod_long_##part
#define FOLD_JOIN       FOLD_MULTIPLY
#define FOLD_NEUTRAL    1
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE

#define FOLD_TOP(a, b)    ((a) >= (b) ? (a) : (b))
#define FOLD_BOTTOM(a, b) ((a) <= (b) ? (a) : (b))
#define FOLD_ELEMENT      int32_t
#define FOLD_STATE        int32_t
#define FOLD_NAME(part)   fold_max_int_##part
#define FOLD_JOIN         FOLD_TOP
#define FOLD_NEUTRAL      INT32_MIN
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_min_int_##part
#define FOLD_JOIN       FOLD_BOTTOM
#define FOLD_NEUTRAL    INT32_MAX
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE
#define FOLD_ELEMENT    int64_t
#define FOLD_STATE      int64_t
#define FOLD_NAME(part) fold_max_long_##part
#define FOLD_JOIN       FOLD_TOP
#define FOLD_NEUTRAL    INT64_MIN
#include "backend/cpu/cumulative.inc"
#define FOLD_NAME(part) fold_min_long_##part
#define FOLD_JOIN       FOLD_BOTTOM
#define FOLD_NEUTRAL    INT64_MAX
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE

/* exp(most) * sum; NaN stays in the sum. */
typedef struct {
  float most, sum;
} log_sum_float;
typedef struct {
  double most, sum;
} log_sum_double;
#define DEFINE_LOG_SUMS(type, exponential)                                           \
  static log_sum_##type join_log_sums_##type(log_sum_##type a, log_sum_##type b) {   \
    log_sum_##type large = a.most < b.most ? b : a, small = a.most < b.most ? a : b; \
    if (large.most == small.most)                                                    \
      large.sum += small.sum;                                                        \
    else                                                                             \
      large.sum += small.sum * exponential(small.most - large.most);                 \
    return large;                                                                    \
  }
DEFINE_LOG_SUMS(float, expf)
DEFINE_LOG_SUMS(double, exp)
#undef DEFINE_LOG_SUMS
#undef FOLD_LOAD
#undef FOLD_STORE
#define FOLD_ELEMENT    float
#define FOLD_STATE      log_sum_float
#define FOLD_LOAD(v)    ((log_sum_float){(v), 1})
#define FOLD_STORE(s)   ((s).most + logf((s).sum))
#define FOLD_NAME(part) fold_log_float_##part
#define FOLD_JOIN       join_log_sums_float
#define FOLD_NEUTRAL    ((log_sum_float){-INFINITY, 0})
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE
#undef FOLD_LOAD
#undef FOLD_STORE
#define FOLD_ELEMENT    double
#define FOLD_STATE      log_sum_double
#define FOLD_LOAD(v)    ((log_sum_double){(v), 1})
#define FOLD_STORE(s)   ((s).most + log((s).sum))
#define FOLD_NAME(part) fold_log_double_##part
#define FOLD_JOIN       join_log_sums_double
#define FOLD_NEUTRAL    ((log_sum_double){(double)-INFINITY, 0})
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE
#undef FOLD_LOAD
#undef FOLD_STORE

/* Narrow floats fold in f32. */
#define FOLD_ELEMENT    uint16_t
#define FOLD_STATE      float
#define FOLD_LOAD(v)    mica_f16_to_f32(v)
#define FOLD_STORE(s)   mica_f32_to_f16(s)
#define FOLD_NAME(part) fold_sum_half_##part
#define FOLD_JOIN       FOLD_ADD
#define FOLD_NEUTRAL    0
#include "backend/cpu/cumulative.inc"
#undef FOLD_LOAD
#undef FOLD_STORE
#define FOLD_LOAD(v)    mica_bf16_to_f32(v)
#define FOLD_STORE(s)   mica_f32_to_bf16(s)
#define FOLD_NAME(part) fold_sum_brain_##part
#define FOLD_JOIN       FOLD_ADD
#define FOLD_NEUTRAL    0
#include "backend/cpu/cumulative.inc"
#undef FOLD_ELEMENT
#undef FOLD_STATE
#undef FOLD_LOAD
#undef FOLD_STORE

static const fold_kernels *kernels_of_fold(int32_t kind, mica_dtype dtype) {
  switch ((mica_cumulative_kind)kind) {
    case MICA_CUMULATIVE_SUM:
      switch (dtype) {
        case MICA_F32: return &fold_sum_float_kernels;
        case MICA_F64: return &fold_sum_double_kernels;
        case MICA_F16: return &fold_sum_half_kernels;
        case MICA_BF16: return &fold_sum_brain_kernels;
        case MICA_I32:
        case MICA_U32: return &fold_sum_word_kernels;
        case MICA_I64:
        case MICA_U64: return &fold_sum_long_kernels;
        default: return NULL;
      }
    case MICA_CUMULATIVE_PROD:
      switch (dtype) {
        case MICA_F32: return &fold_prod_float_kernels;
        case MICA_F64: return &fold_prod_double_kernels;
        case MICA_I32:
        case MICA_U32: return &fold_prod_word_kernels;
        case MICA_I64:
        case MICA_U64: return &fold_prod_long_kernels;
        default: return NULL;
      }
    case MICA_CUMULATIVE_MAX:
      switch (dtype) {
        case MICA_F32: return &fold_max_float_kernels;
        case MICA_F64: return &fold_max_double_kernels;
        case MICA_I32: return &fold_max_int_kernels;
        case MICA_I64: return &fold_max_long_kernels;
        default: return NULL;
      }
    case MICA_CUMULATIVE_MIN:
      switch (dtype) {
        case MICA_F32: return &fold_min_float_kernels;
        case MICA_F64: return &fold_min_double_kernels;
        case MICA_I32: return &fold_min_int_kernels;
        case MICA_I64: return &fold_min_long_kernels;
        default: return NULL;
      }
    case MICA_CUMULATIVE_LOGSUMEXP:
      return dtype == MICA_F32   ? &fold_log_float_kernels
             : dtype == MICA_F64 ? &fold_log_double_kernels
                                 : NULL;
  }
  return NULL;
}

/* ---- folds ------------------------------------------------------------------------------------ */

typedef struct {
  const fold_kernels *kernels;
  int64_t outer, size, inner; /* axes in front, the axis, axes behind */
  int64_t groups, columns;    /* of columns, and how many one has */
  int64_t blocks, block;      /* of a line, and rows of one */
  size_t element;
  bool reverse, exclusive;
} fold_argument;

typedef struct {
  const fold_argument *argument;
  const char *x;
  char *y; /* NULL: find the folds of the blocks */
  char *states;
  bool started; /* the states hold what came before each block */
} fold_job;

static void fold_task(void *context, int64_t index, int32_t worker) {
  const fold_job *job = context;
  const fold_argument *a = job->argument;
  (void)worker;
  int64_t block = index % a->blocks, group = index / a->blocks % a->groups;
  int64_t outer = index / (a->blocks * a->groups);
  int64_t first = block * a->block, column = group * a->columns;
  fold_block rows = {.count = a->size - first < a->block ? a->size - first : a->block,
                     .inner = a->inner,
                     .columns = a->inner - column < a->columns ? a->inner - column : a->columns,
                     .reverse = a->reverse,
                     .exclusive = a->exclusive};
  if (a->reverse) first = a->size - first - rows.count;
  size_t offset = (size_t)((outer * a->size + first) * a->inner + column) * a->element;
  /* One block's states are the thread's own; several blocks each have theirs. */
  char own[FOLD_COLUMNS * sizeof(log_sum_double)];
  size_t place = (size_t)(index * a->columns) * a->kernels->state_size;
  char *states = a->blocks > 1 ? job->states + place : own;
  if (!job->started) a->kernels->neutral(states, a->columns);
  a->kernels->run(&rows, job->x + offset, job->y == NULL ? NULL : job->y + offset, states);
}

static void prefix_task(void *context, int64_t index, int32_t worker) {
  const fold_job *job = context;
  const fold_argument *a = job->argument;
  (void)worker;
  size_t place = (size_t)(index * a->blocks * a->columns) * a->kernels->state_size;
  a->kernels->prefix(job->states + place, a->blocks, a->columns);
}

static mica_status run_cumulative(const mica_cpu_step *step, mica_cpu_context *context) {
  const fold_argument *a = step->argument;
  fold_job job = {.argument = a,
                  .x = mica_cpu_address(step, context, 0),
                  .y = mica_cpu_address(step, context, 1),
                  .states = mica_cpu_address(step, context, 2)};
  int64_t lines = a->outer * a->groups;
  const mica_parallel *parallel = &context->parallel;
  if (lines * a->size * a->columns < 1 << 13) parallel = &mica_cpu_serial;
  if (a->blocks > 1) {
    fold_job totals = job;
    totals.y = NULL;
    parallel->run(parallel->self, lines * a->blocks, fold_task, &totals);
    parallel->run(parallel->self, lines, prefix_task, &totals);
    job.started = true;
  }
  parallel->run(parallel->self, lines * a->blocks, fold_task, &job);
  return MICA_OK;
}

static void axes_around(mica_shape shape, int64_t along, int64_t *outer, int64_t *size,
                        int64_t *inner) {
  *outer = *inner = 1;
  *size = shape.dim[along];
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    if (axis < along) *outer *= shape.dim[axis];
    if (axis > along) *inner *= shape.dim[axis];
  }
}

static bool lower_fold(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  const mica_cumulative_attr *attr = node->attr;
  mica_type type = node->type;
  const fold_kernels *kernels = kernels_of_fold(attr->kind, type.dtype);
  if (kernels == NULL) return false;
  fold_argument *a = mica_plan_allocate(plan, 1, sizeof(*a));
  mica_view view = mica_plan_dense(plan, operand);
  if (a == NULL) return true;
  *a = (fold_argument){.kernels = kernels,
                       .element = (size_t)mica_dtype_bits(type.dtype) / 8,
                       .reverse = attr->reverse,
                       .exclusive = attr->exclusive};
  axes_around(type.shape, attr->axis, &a->outer, &a->size, &a->inner);
  a->columns = a->inner < FOLD_COLUMNS ? a->inner : FOLD_COLUMNS;
  a->groups = (a->inner + a->columns - 1) / a->columns;
  a->blocks = 1;
  a->block = a->size;
  int64_t elements = mica_shape_count(type.shape), lines = a->outer * a->groups;
  if (lines < FOLD_FEW_TASKS && elements >= FOLD_LONG_ELEMENTS) {
    a->block = FOLD_BLOCK_ELEMENTS / a->columns;
    a->blocks = (a->size + a->block - 1) / a->block;
  }
  size_t states = 0;
  if (a->blocks > 1) states = (size_t)(lines * a->blocks * a->columns) * kernels->state_size;
  mica_plan_step_add(plan, run_cumulative, a, id);
  mica_plan_read(plan, operand, view);
  mica_plan_result(plan, id);
  mica_plan_scratch(plan, states);
  /* Each block of elements is read before it is written. */
  if (mica_plan_good(plan) && view.offset == 0)
    mica_plan_meet(plan, view.storage, plan->values[id].view.storage, false);
  int64_t bytes = (int64_t)mica_plan_bytes(plan, type);
  bool slow = attr->kind == MICA_CUMULATIVE_LOGSUMEXP;
  mica_plan_cost(plan, (double)elements, 2 * bytes, 50 + elements * (slow ? 15 : 1));
  return true;
}

/* ---- linear recurrences ----------------------------------------------------------------------- */

enum { RECUR_LINES = 4 }; /* lines that one task steps through side by side */

typedef struct {
  int64_t outer, size, inner, groups, columns;
  bool reverse, twice; /* f64 */
} recur_argument;

typedef struct {
  const recur_argument *argument;
  const char *a, *b;
  char *y;
} recur_job;

/* columns of `rows` elements: neighbors when the axis is not the last one, else whole lines. */
#define DEFINE_RECUR(type)                                                                       \
  static void recur_row_##type(const type *a, const type *b, type *y, const type *before,        \
                               int64_t columns) {                                                \
    int64_t j = 0;                                                                               \
    for (; j + 16 <= columns; j += 16) {                                                         \
      type next[16];                                                                             \
      for (int i = 0; i < 16; i++) next[i] = a[j + i] * before[j + i] + b[j + i];                \
      for (int i = 0; i < 16; i++) y[j + i] = next[i];                                           \
    }                                                                                            \
    for (; j < columns; j++) y[j] = a[j] * before[j] + b[j];                                     \
  }                                                                                              \
  static void recur_rows_##type(const type *a, const type *b, type *y, int64_t count,            \
                                int64_t step, int64_t columns) {                                 \
    static const type nothing[FOLD_COLUMNS];                                                     \
    for (int64_t k = 0; k < count; k++)                                                          \
      recur_row_##type(a + k * step, b + k * step, y + k * step,                                 \
                       k == 0 ? nothing : y + (k - 1) * step, columns);                          \
  }                                                                                              \
  static void recur_lines_##type(const type *a, const type *b, type *y, int64_t count,           \
                                 int64_t step, int64_t lines, int64_t apart) {                   \
    if (lines == RECUR_LINES) {                                                                  \
      type now[RECUR_LINES] = {0};                                                               \
      for (int64_t k = 0; k < count; k++)                                                        \
        for (int i = 0; i < RECUR_LINES; i++) {                                                  \
          int64_t at = k * step + i * apart;                                                     \
          y[at] = now[i] = a[at] * now[i] + b[at];                                               \
        }                                                                                        \
      return;                                                                                    \
    }                                                                                            \
    for (int64_t i = 0; i < lines; i++) {                                                        \
      type now = 0;                                                                              \
      for (int64_t k = 0; k < count; k++)                                                        \
        y[k * step + i * apart] = now = a[k * step + i * apart] * now + b[k * step + i * apart]; \
    }                                                                                            \
  }
DEFINE_RECUR(float)
DEFINE_RECUR(double)
#undef DEFINE_RECUR

static void recur_task(void *context, int64_t index, int32_t worker) {
  const recur_job *job = context;
  const recur_argument *r = job->argument;
  (void)worker;
  int64_t step = r->reverse ? -r->inner : r->inner;
  int64_t begin = r->reverse ? (r->size - 1) * r->inner : 0;
  if (r->inner == 1) {
    int64_t first = index * RECUR_LINES;
    int64_t lines = r->outer - first < RECUR_LINES ? r->outer - first : RECUR_LINES;
    int64_t at = begin + first * r->size;
    if (r->twice)
      recur_lines_double((const double *)(const void *)job->a + at,
                         (const double *)(const void *)job->b + at, (double *)(void *)job->y + at,
                         r->size, step, lines, r->size);
    else
      recur_lines_float((const float *)(const void *)job->a + at,
                        (const float *)(const void *)job->b + at, (float *)(void *)job->y + at,
                        r->size, step, lines, r->size);
    return;
  }
  int64_t column = index % r->groups * r->columns;
  int64_t at = begin + index / r->groups * r->size * r->inner + column;
  int64_t columns = r->inner - column < r->columns ? r->inner - column : r->columns;
  if (r->twice)
    recur_rows_double((const double *)(const void *)job->a + at,
                      (const double *)(const void *)job->b + at, (double *)(void *)job->y + at,
                      r->size, step, columns);
  else
    recur_rows_float((const float *)(const void *)job->a + at,
                     (const float *)(const void *)job->b + at, (float *)(void *)job->y + at,
                     r->size, step, columns);
}

static mica_status run_recur(const mica_cpu_step *step, mica_cpu_context *context) {
  const recur_argument *r = step->argument;
  recur_job job = {r, mica_cpu_address(step, context, 0), mica_cpu_address(step, context, 1),
                   mica_cpu_address(step, context, 2)};
  int64_t tasks = r->inner == 1 ? (r->outer + RECUR_LINES - 1) / RECUR_LINES : r->outer * r->groups;
  const mica_parallel *parallel = &context->parallel;
  if (r->outer * r->size * r->inner < 1 << 13) parallel = &mica_cpu_serial;
  parallel->run(parallel->self, tasks, recur_task, &job);
  return MICA_OK;
}

static bool lower_recur(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_linear_recurrence_attr *attr = node->attr;
  mica_type type = node->type;
  if (type.dtype != MICA_F32 && type.dtype != MICA_F64) return false;
  recur_argument *r = mica_plan_allocate(plan, 1, sizeof(*r));
  mica_view a = mica_plan_dense(plan, operands[0]), b = mica_plan_dense(plan, operands[1]);
  if (r == NULL) return true;
  *r = (recur_argument){.reverse = attr->reverse, .twice = type.dtype == MICA_F64};
  axes_around(type.shape, attr->axis, &r->outer, &r->size, &r->inner);
  r->columns = r->inner < FOLD_COLUMNS ? r->inner : FOLD_COLUMNS;
  r->groups = (r->inner + r->columns - 1) / r->columns;
  mica_plan_step_add(plan, run_recur, r, id);
  mica_plan_read(plan, operands[0], a);
  mica_plan_read(plan, operands[1], b);
  mica_plan_result(plan, id);
  int64_t bytes = (int64_t)mica_plan_bytes(plan, type), elements = mica_shape_count(type.shape);
  mica_plan_cost(plan, 2 * (double)elements, 3 * bytes, 50 + elements);
  return true;
}

bool mica_plan_cumulative(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_CUMULATIVE && node->op != MICA_OP_LINEAR_RECURRENCE) return false;
  if (mica_shape_count(node->type.shape) == 0) return false;
  return node->op == MICA_OP_CUMULATIVE ? lower_fold(plan, id) : lower_recur(plan, id);
}
