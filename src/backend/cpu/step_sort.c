/* SPDX-License-Identifier: Apache-2.0 */
/* step_sort.c: sort and top_k, on keys (sort_keys.h).
 *
 * Lines lie densely: where the axis is another than the last, operands are copied so, and the
 * results are views of arrays that lie so. Many lines are shared out among the threads, of few long
 * ones each is sorted by all of them. One operand without -0 and NaN is sorted as keys alone;
 * otherwise keys are sorted with their places, by which the operands are gathered. */
#include <string.h>

#include "backend/cpu/moves_internal.h"
#include "backend/cpu/sort_keys.h"

enum {
  SORT_LONG = 1 << 16,  /* elements from which on a line is cut into parts, */
  SORT_FEW_LINES = 8,   /* when there are fewer lines, */
  SORT_HUGE = 1 << 20,  /* or when each thread would need so much memory */
  SORT_TASK_COST = 4096 /* elements of a task at least */
};

typedef struct {
  mica_dtype dtype;
  int32_t element; /* bytes */
  int32_t bits;    /* of its key */
} sort_operand;

typedef struct {
  uint32_t operands, keys;
  bool backwards, wide; /* wide: some key has 64 bits */
  int64_t lines, size;
  int64_t group, parts;   /* lines of a task; parts of a line */
  size_t scratch;         /* of a worker */
  const sort_operand *of; /* [operands] */
} sort_argument;

/* What a line's parts share. */
typedef struct {
  const sort_argument *argument;
  void *const *base; /* operands, then results */
  int64_t line, part;
  uint32_t operand;
  uint32_t *narrow; /* [size] keys */
  uint64_t *wide;   /* the same memory */
  uint64_t *placed, *placed_before;
  mica_sort_pair *pairs, *pairs_before;
  bool exact[MICA_SORT_PARTS];
} sort_line;

static const char *line_of(const sort_line *l, uint32_t operand) {
  const sort_argument *a = l->argument;
  return (const char *)l->base[operand] +
         (size_t)(l->line * a->size) * (size_t)a->of[operand].element;
}
static char *result_line(const sort_line *l, uint32_t operand) {
  const sort_argument *a = l->argument;
  return (char *)l->base[a->operands + operand] +
         (size_t)(l->line * a->size) * (size_t)a->of[operand].element;
}
static int64_t part_end(const sort_line *l, int64_t index) {
  int64_t end = (index + 1) * l->part;
  return end < l->argument->size ? end : l->argument->size;
}

/* ---- the parts of a line ---------------------------------------------------------------------- */

static void load_part(void *context, int64_t index, int32_t worker) {
  sort_line *l = context;
  const sort_argument *a = l->argument;
  const sort_operand *of = &a->of[l->operand];
  (void)worker;
  int64_t begin = index * l->part, count = part_end(l, index) - begin;
  l->exact[index] = true;
  if (count <= 0) return;
  const char *line = line_of(l, l->operand) + (size_t)begin * (size_t)of->element;
  l->exact[index] =
      of->bits == 64
          ? mica_sort_load_wide(of->dtype, line, count, a->backwards, l->wide + begin)
          : mica_sort_load_narrow(of->dtype, line, count, a->backwards, l->narrow + begin);
}

/* Keys with their places, in the order that a later key has made (none: that of the line). */
static void place_part(void *context, int64_t index, int32_t worker) {
  const sort_line *l = context;
  (void)worker;
  int64_t begin = index * l->part, end = part_end(l, index);
  if (!l->argument->wide) {
    for (int64_t i = begin; i < end; i++) {
      uint32_t place = l->placed_before ? (uint32_t)l->placed_before[i] : (uint32_t)i;
      l->placed[i] = (uint64_t)l->narrow[place] << 32 | place;
    }
    return;
  }
  bool narrow = l->argument->of[l->operand].bits < 64;
  for (int64_t i = begin; i < end; i++) {
    uint64_t place = l->pairs_before ? l->pairs_before[i].place : (uint64_t)i;
    l->pairs[i] = (mica_sort_pair){narrow ? l->narrow[place] : l->wide[place], place};
  }
}

#define GATHER_PLACES(type)                                      \
  if (l->argument->wide)                                         \
    for (int64_t i = begin; i < end; i++)                        \
      ((type *)to)[i] = ((const type *)from)[l->pairs[i].place]; \
  else                                                           \
    for (int64_t i = begin; i < end; i++)                        \
      ((type *)to)[i] = ((const type *)from)[(uint32_t)l->placed[i]];
typedef struct {
  uint64_t low, high;
} sort_sixteen;

static void gather_part(void *context, int64_t index, int32_t worker) {
  const sort_line *l = context;
  (void)worker;
  int64_t begin = index * l->part, end = part_end(l, index);
  for (uint32_t operand = 0; operand < l->argument->operands; operand++) {
    const void *from = line_of(l, operand);
    void *to = result_line(l, operand);
    switch (l->argument->of[operand].element) {
      case 1: GATHER_PLACES(uint8_t) break;
      case 2: GATHER_PLACES(uint16_t) break;
      case 4: GATHER_PLACES(uint32_t) break;
      case 8: GATHER_PLACES(uint64_t) break;
      default: GATHER_PLACES(sort_sixteen) break;
    }
  }
}
#undef GATHER_PLACES

static void store_part(void *context, int64_t index, int32_t worker) {
  const sort_line *l = context;
  const sort_operand *of = &l->argument->of[0];
  (void)worker;
  int64_t begin = index * l->part, count = part_end(l, index) - begin;
  if (count <= 0) return;
  char *line = result_line(l, 0) + (size_t)begin * (size_t)of->element;
  if (of->bits == 64)
    mica_sort_store_wide(of->dtype, l->wide + begin, count, l->argument->backwards, line);
  else
    mica_sort_store_narrow(of->dtype, l->narrow + begin, count, l->argument->backwards, line);
}

/* ---- lines ------------------------------------------------------------------------------------ */

static size_t align_size(size_t size) { return (size + 63) / 64 * 64; }

/* Keys, and two arrays of keys with places; counts of parts. */
static size_t sort_scratch_size(bool wide, int64_t size, int64_t parts) {
  size_t count = (size_t)size, placed = wide ? sizeof(mica_sort_pair) : sizeof(uint64_t);
  size_t keys = wide ? sizeof(uint64_t) : sizeof(uint32_t), total;
  size_t counts = (size_t)parts * 256 * sizeof(uint32_t) + 4 * 64;
  if (!mica_size_multiply(count, keys + 2 * placed, &total) ||
      !mica_size_add(total, counts, &total))
    return SIZE_MAX;
  return align_size(total);
}

static void sort_one_line(const sort_argument *a, void *const *base, int64_t line, char *scratch,
                          const mica_parallel *parallel) {
  sort_line l = {.argument = a,
                 .base = base,
                 .line = line,
                 .part = (a->size + a->parts - 1) / a->parts,
                 .operand = a->keys - 1};
  size_t count = (size_t)a->size;
  uint32_t *counts = (void *)scratch;
  scratch += align_size((size_t)a->parts * 256 * sizeof(uint32_t));
  l.narrow = (void *)scratch;
  l.wide = (void *)scratch;
  scratch += align_size(count * (a->wide ? sizeof(uint64_t) : sizeof(uint32_t)));
  char *first = scratch;
  char *second =
      scratch + align_size(count * (a->wide ? sizeof(mica_sort_pair) : sizeof(uint64_t)));
  parallel->run(parallel->self, a->parts, load_part, &l);
  bool exact = a->operands == 1;
  for (int64_t part = 0; part < a->parts; part++) exact = exact && l.exact[part];
  int32_t bits = a->of[l.operand].bits;
  if (exact) {
    if (bits == 64)
      l.wide = mica_sort_wide(parallel, a->parts, l.wide, (void *)first, a->size, bits, counts);
    else
      l.narrow =
          mica_sort_narrow(parallel, a->parts, l.narrow, (void *)first, a->size, bits, counts);
    parallel->run(parallel->self, a->parts, store_part, &l);
    return;
  }
  for (;;) { /* from the last key to the first: each sort is stable */
    bits = a->of[l.operand].bits;
    l.placed = l.placed_before == (void *)first ? (void *)second : (void *)first;
    l.pairs = l.pairs_before == (void *)first ? (void *)second : (void *)first;
    parallel->run(parallel->self, a->parts, place_part, &l);
    if (a->wide) {
      mica_sort_pair *other = l.pairs == (void *)first ? (void *)second : (void *)first;
      l.pairs = mica_sort_pairs(parallel, a->parts, l.pairs, other, a->size, bits, counts);
    } else {
      uint64_t *other = l.placed == (void *)first ? (void *)second : (void *)first;
      l.placed = mica_sort_placed(parallel, a->parts, l.placed, other, a->size, bits, counts);
    }
    if (l.operand == 0) break;
    l.operand--;
    l.placed_before = a->wide ? NULL : l.placed;
    l.pairs_before = a->wide ? l.pairs : NULL;
    parallel->run(parallel->self, a->parts, load_part, &l);
  }
  parallel->run(parallel->self, a->parts, gather_part, &l);
}

typedef struct {
  const sort_argument *argument;
  void *const *base;
  char *scratch;
} sort_job;

static void sort_group(void *context, int64_t index, int32_t worker) {
  const sort_job *job = context;
  const sort_argument *a = job->argument;
  int64_t end = (index + 1) * a->group;
  if (end > a->lines) end = a->lines;
  for (int64_t line = index * a->group; line < end; line++)
    sort_one_line(a, job->base, line, job->scratch + (size_t)worker * a->scratch, &mica_cpu_serial);
}

static mica_status run_sort(const mica_cpu_step *step, mica_cpu_context *context) {
  const sort_argument *a = step->argument;
  for (uint32_t i = 0; i < 2 * a->operands; i++)
    context->pointers[i] = mica_cpu_address(step, context, i);
  sort_job job = {a, context->pointers, mica_cpu_address(step, context, 2 * a->operands)};
  const mica_parallel *parallel = &context->parallel;
  int64_t groups = (a->lines + a->group - 1) / a->group;
  if (a->parts > 1)
    for (int64_t line = 0; line < a->lines; line++)
      sort_one_line(a, job.base, line, job.scratch, parallel);
  else if (groups == 1)
    sort_group(&job, 0, 0);
  else
    parallel->run(parallel->self, groups, sort_group, &job);
  return MICA_OK;
}

/* ---- top_k ------------------------------------------------------------------------------------ */

typedef struct {
  mica_dtype dtype;
  int32_t element;
  bool backwards, wide, wide_places;
  int64_t lines, size, k;
  int64_t parts, part; /* of a line */
  int64_t room;        /* candidates that are kept before the best k of them are picked */
  size_t scratch;      /* of a worker */
} top_argument;

typedef struct {
  const top_argument *argument;
  const char *x;
  char *values;
  void *places;
  char *found; /* with parts: [lines][parts][k] */
  char *scratch;
} top_job;

enum { TOP_BLOCK = 256 };

/* The best k of line elements [begin, end) in front of `kept`, in no order; returns how many. The
 * worst of k candidates bars most of what follows. */
#define DEFINE_TOP(name, element_type, key_type, JOIN, LESS, WORST, width)                      \
  static int64_t keep_best_##name(const top_argument *a, const char *line, int64_t begin,       \
                                  int64_t end, element_type *kept, element_type *spare) {       \
    key_type keys[TOP_BLOCK];                                                                   \
    element_type bar = WORST;                                                                   \
    int64_t count = 0;                                                                          \
    for (int64_t at = begin; at < end; at += TOP_BLOCK) {                                       \
      int64_t n = end - at < TOP_BLOCK ? end - at : TOP_BLOCK;                                  \
      mica_sort_load_##width(a->dtype, line + (size_t)at * (size_t)a->element, n, a->backwards, \
                             keys);                                                             \
      for (int64_t i = 0; i < n; i++) {                                                         \
        element_type candidate = JOIN(keys[i], at + i);                                         \
        if (!LESS(candidate, bar)) continue;                                                    \
        kept[count++] = candidate;                                                              \
        if (count < a->room) continue;                                                          \
        mica_sort_select_##name(kept, spare, count, a->k);                                      \
        bar = kept[0];                                                                          \
        for (int64_t j = 1; j < a->k; j++)                                                      \
          if (LESS(bar, kept[j])) bar = kept[j];                                                \
        count = a->k;                                                                           \
      }                                                                                         \
    }                                                                                           \
    if (count <= a->k) return count;                                                            \
    mica_sort_select_##name(kept, spare, count, a->k);                                          \
    return a->k;                                                                                \
  }
#define JOIN_WORD(key, at) ((uint64_t)(key) << 32 | (uint64_t)(at))
#define JOIN_PAIR(key, at) ((mica_sort_pair){(key), (uint64_t)(at)})
#define WORD_BEFORE(x, y)  ((x) < (y))
#define PAIR_BEFORE(x, y)  ((x).key < (y).key || ((x).key == (y).key && (x).place < (y).place))
#define WORST_PAIR         ((mica_sort_pair){UINT64_MAX, UINT64_MAX})
DEFINE_TOP(placed, uint64_t, uint32_t, JOIN_WORD, WORD_BEFORE, UINT64_MAX, narrow)
DEFINE_TOP(pairs, mica_sort_pair, uint64_t, JOIN_PAIR, PAIR_BEFORE, WORST_PAIR, wide)
#undef DEFINE_TOP

static size_t candidate_size(const top_argument *a) {
  return a->wide ? sizeof(mica_sort_pair) : sizeof(uint64_t);
}

/* Orders `count` candidates and writes the first k. */
static void finish_top(const top_job *job, int64_t line, void *found, void *spare, int64_t count) {
  const top_argument *a = job->argument;
  const char *x = job->x + (size_t)(line * a->size) * (size_t)a->element;
  const uint64_t *words = NULL;
  const mica_sort_pair *pairs = NULL;
  if (a->wide)
    pairs = mica_sort_order_pairs(found, spare, count);
  else
    words = mica_sort_wide(NULL, 1, found, spare, count, 64, NULL);
  for (int64_t i = 0; i < a->k; i++) {
    uint64_t place = a->wide ? pairs[i].place : (uint32_t)words[i];
    int64_t to = line * a->k + i;
    size_t size = (size_t)a->element;
    memcpy(job->values + (size_t)to * size, x + (size_t)place * size, size);
    if (a->wide_places)
      ((int64_t *)job->places)[to] = (int64_t)place;
    else
      ((int32_t *)job->places)[to] = (int32_t)place;
  }
}

static void top_task(void *context, int64_t index, int32_t worker) {
  const top_job *job = context;
  const top_argument *a = job->argument;
  int64_t line = index / a->parts, begin = index % a->parts * a->part;
  int64_t end = begin + a->part < a->size ? begin + a->part : a->size;
  char *kept = job->scratch + (size_t)worker * a->scratch;
  char *spare = kept + align_size((size_t)a->room * candidate_size(a));
  const char *x = job->x + (size_t)(line * a->size) * (size_t)a->element;
  int64_t count = a->wide ? keep_best_pairs(a, x, begin, end, (void *)kept, (void *)spare)
                          : keep_best_placed(a, x, begin, end, (void *)kept, (void *)spare);
  if (a->parts == 1)
    finish_top(job, line, kept, spare, count);
  else
    memcpy(job->found + (size_t)(index * a->k) * candidate_size(a), kept,
           (size_t)count * candidate_size(a));
}

static mica_status run_top(const mica_cpu_step *step, mica_cpu_context *context) {
  const top_argument *a = step->argument;
  top_job job = {.argument = a,
                 .x = mica_cpu_address(step, context, 0),
                 .values = mica_cpu_address(step, context, 1),
                 .places = mica_cpu_address(step, context, 2),
                 .scratch = mica_cpu_address(step, context, 3),
                 .found = mica_cpu_address(step, context, 4)};
  const mica_parallel *parallel = &context->parallel;
  if (a->lines * a->size < SORT_TASK_COST) parallel = &mica_cpu_serial;
  parallel->run(parallel->self, a->lines * a->parts, top_task, &job);
  if (a->parts == 1) return MICA_OK;
  size_t of_line = (size_t)(a->parts * a->k) * candidate_size(a);
  char *spare = job.found + (size_t)a->lines * of_line;
  for (int64_t line = 0; line < a->lines; line++) {
    char *found = job.found + (size_t)line * of_line;
    if (a->wide)
      mica_sort_select_pairs((void *)found, (void *)spare, a->parts * a->k, a->k);
    else
      mica_sort_select_placed((void *)found, (void *)spare, a->parts * a->k, a->k);
    finish_top(&job, line, found, spare, a->k);
  }
  return MICA_OK;
}

/* ---- lowering --------------------------------------------------------------------------------- */

static mica_shape shape_with_last(mica_shape shape, int64_t axis) {
  int64_t size = shape.dim[axis];
  for (int32_t i = (int32_t)axis; i + 1 < shape.rank; i++) shape.dim[i] = shape.dim[i + 1];
  shape.dim[shape.rank - 1] = size;
  return shape;
}

/* The value with `axis` as the last one, densely; may append a copy. */
static mica_view lines_of_value(mica_plan *plan, uint32_t node, uint32_t id, int64_t axis) {
  mica_type type = mica_plan_type(plan, id);
  if (axis == type.shape.rank - 1) return mica_plan_dense(plan, id);
  mica_shape shape = shape_with_last(type.shape, axis);
  mica_view view = mica_plan_place(plan, id), dense;
  int64_t stride = view.stride[axis];
  for (int32_t i = (int32_t)axis; i + 1 < shape.rank; i++) view.stride[i] = view.stride[i + 1];
  view.stride[shape.rank - 1] = stride;
  if (!mica_plan_good(plan) || mica_view_is_dense(&view, shape)) return view;
  mica_view_dense(
      &dense, mica_plan_storage(plan, MICA_STORAGE_ARENA, 0, mica_plan_bytes(plan, type)), shape);
  mica_plan_copy(plan, node, type.dtype, shape, view, dense);
  return dense;
}

static void read_lines(mica_plan *plan, uint32_t id, mica_view view) {
  size_t element = (size_t)mica_dtype_bits(mica_plan_type(plan, id).dtype) / 8;
  mica_plan_reference_add(plan, view.storage, (size_t)view.offset * element, MICA_PLAN_READ);
}

/* A result that the last step writes with `axis` as the last one. */
static void write_lines(mica_plan *plan, uint32_t id, int64_t axis) {
  mica_plan_reference *reference = mica_plan_result(plan, id);
  mica_type type = mica_plan_type(plan, id);
  int32_t last = type.shape.rank - 1;
  if (axis == last || !mica_plan_good(plan)) return;
  reference->value = 0;
  mica_view *view = &plan->values[id].view, dense;
  mica_view_dense(&dense, view->storage, shape_with_last(type.shape, axis));
  for (int32_t i = 0; i < last; i++) view->stride[i < axis ? i : i + 1] = dense.stride[i];
  view->stride[axis] = dense.stride[last];
}

static bool lower_sort(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_sort_attr *attr = node->attr;
  uint32_t count = node->operand_count;
  mica_shape shape = node->type.shape;
  if (shape.dim[attr->axis] > INT32_MAX) return false;
  for (uint32_t i = 0; i < count; i++)
    if (mica_dtype_bits(mica_plan_type(plan, operands[i]).dtype) < 8) return false;
  sort_argument *a = mica_plan_allocate(plan, 1, sizeof(*a));
  sort_operand *of = mica_plan_allocate(plan, count, sizeof(*of));
  mica_view *views = mica_arena_allocate(&plan->arena, ((size_t)count + 1) * sizeof(*views));
  if (views == NULL) mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for a plan");
  if (!mica_plan_good(plan)) return true;
  *a = (sort_argument){.operands = count,
                       .keys = (uint32_t)attr->keys,
                       .backwards = attr->descending,
                       .size = shape.dim[attr->axis],
                       .of = of};
  a->lines = mica_shape_count(shape) / a->size;
  for (uint32_t i = 0; i < count; i++) {
    mica_dtype dtype = mica_plan_type(plan, operands[i]).dtype;
    of[i] = (sort_operand){dtype, mica_dtype_bits(dtype) / 8, mica_sort_key_bits(dtype)};
    a->wide = a->wide || (i < a->keys && of[i].bits == 64);
  }
  bool shared = a->size >= SORT_LONG && (a->lines < SORT_FEW_LINES || a->size >= SORT_HUGE);
  a->parts = shared ? MICA_SORT_PARTS : 1;
  a->group = SORT_TASK_COST / a->size + 1;
  a->scratch = sort_scratch_size(a->wide, a->size, a->parts);
  size_t scratch = a->scratch, workers = shared ? 1 : (size_t)plan->device->device->threads;
  if (!mica_size_multiply(scratch, workers, &scratch)) scratch = SIZE_MAX;
  if (2 * count > plan->pointer_count) plan->pointer_count = 2 * count;
  for (uint32_t i = 0; i < count; i++) views[i] = lines_of_value(plan, id, operands[i], attr->axis);
  mica_plan_step_add(plan, run_sort, a, id);
  for (uint32_t i = 0; i < count; i++) read_lines(plan, operands[i], views[i]);
  for (uint32_t i = 0; i < count; i++) write_lines(plan, id + i, attr->axis);
  mica_plan_scratch(plan, scratch);
  int64_t bytes = 0, elements = mica_shape_count(shape);
  for (uint32_t i = 0; i < count; i++) bytes += elements * of[i].element;
  mica_plan_cost(plan, 8 * (double)elements, 2 * bytes, 50 + elements * 10 * count);
  return true;
}

static bool lower_top(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  const mica_top_k_attr *attr = node->attr;
  mica_type type = mica_plan_type(plan, operand);
  int64_t size = type.shape.dim[attr->axis];
  if (size > INT32_MAX || attr->k == 0) return false;
  top_argument *a = mica_plan_allocate(plan, 1, sizeof(*a));
  if (a == NULL) return true;
  *a = (top_argument){.dtype = type.dtype,
                      .element = mica_dtype_bits(type.dtype) / 8,
                      .backwards = !attr->smallest,
                      .wide = mica_sort_key_bits(type.dtype) == 64,
                      .wide_places = mica_plan_type(plan, id + 1).dtype == MICA_I64,
                      .lines = mica_shape_count(type.shape) / size,
                      .size = size,
                      .k = attr->k,
                      .parts = 1,
                      .part = size,
                      .room = 2 * attr->k + 1024};
  if (a->room > size) a->room = size + 1; /* never full */
  if (a->lines < SORT_FEW_LINES && size >= SORT_LONG && a->k <= size / MICA_SORT_PARTS / 4) {
    a->parts = MICA_SORT_PARTS;
    a->part = (size + a->parts - 1) / a->parts;
  }
  /* Every part has k elements at least: the last one is the smallest. */
  while (a->parts > 1 && size - (a->parts - 1) * a->part < a->k) {
    a->parts--;
    a->part = (size + a->parts - 1) / a->parts;
  }
  a->scratch = 2 * align_size((size_t)a->room * candidate_size(a));
  size_t scratch = SIZE_MAX, found = 0;
  if (!mica_size_multiply(a->scratch, (size_t)plan->device->device->threads, &scratch))
    scratch = SIZE_MAX;
  if (a->parts > 1) found = (size_t)((a->lines + 1) * a->parts * a->k) * candidate_size(a);
  mica_view view = lines_of_value(plan, id, operand, attr->axis);
  mica_plan_step_add(plan, run_top, a, id);
  read_lines(plan, operand, view);
  write_lines(plan, id, attr->axis);
  write_lines(plan, id + 1, attr->axis);
  mica_plan_scratch(plan, scratch);
  mica_plan_scratch(plan, found);
  int64_t bytes = (int64_t)mica_plan_bytes(plan, type), elements = mica_shape_count(type.shape);
  mica_plan_cost(plan, (double)elements, bytes, 50 + 2 * elements);
  return true;
}

bool mica_plan_sort(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_SORT && node->op != MICA_OP_TOP_K) return false;
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  if (mica_shape_count(mica_plan_type(plan, operand).shape) == 0) return false;
  return node->op == MICA_OP_SORT ? lower_sort(plan, id) : lower_top(plan, id);
}
