/* SPDX-License-Identifier: Apache-2.0 */
/* step_search.c: search_sorted: binary search without branches, several values side by side, so that
 * their misses in the caches overlap. */
#include <string.h>

#include "backend/cpu/moves_internal.h"
#include "backend/cpu/sort_keys.h"

enum { SEARCH_GROUP = 512, SEARCH_SIDE = 8, SEARCH_SERIAL = 2048 };

typedef struct {
  mica_dtype dtype;
  int32_t element;
  bool right, wide_places;
  int64_t size, lines, values; /* sorted elements of a line; lines; values of a line */
  int64_t groups;              /* of values of a line */
} search_argument;

typedef struct {
  const search_argument *argument;
  const char *sorted, *values;
  void *places;
} search_job;

/* Places of `count` <= SEARCH_GROUP keys in a line; the order of two elements is that of their
 * keys. */
#define DEFINE_SEARCH(name, element, key_type, KEY_OF)                                        \
  static void search_##name(const search_argument *a, const void *line, const key_type *keys, \
                            int64_t count, int64_t *places) {                                 \
    const element *sorted = line;                                                             \
    for (int64_t first = 0; first < count; first += SEARCH_SIDE) {                            \
      int side = (int)(count - first < SEARCH_SIDE ? count - first : SEARCH_SIDE);            \
      int64_t base[SEARCH_SIDE] = {0}, length = a->size;                                      \
      key_type key[SEARCH_SIDE] = {0};                                                        \
      for (int i = 0; i < side; i++) key[i] = keys[first + i];                                \
      while (length > 0) { /* base is the answer or less than `length` below it */            \
        int64_t half = (length + 1) / 2;                                                      \
        for (int i = 0; i < SEARCH_SIDE; i++) {                                               \
          key_type probe = KEY_OF(sorted[base[i] + half - 1]);                                \
          bool below = a->right ? probe <= key[i] : probe < key[i];                           \
          base[i] += below ? half : 0;                                                        \
        }                                                                                     \
        length -= half;                                                                       \
      }                                                                                       \
      for (int i = 0; i < side; i++) places[first + i] = base[i];                             \
    }                                                                                         \
  }

static inline uint32_t search_single(uint32_t bits) {
  uint32_t size = bits & 0x7FFFFFFF;
  if (size > 0x7F800000) return UINT32_MAX;
  return size == 0 ? 0x80000000 : bits ^ ((uint32_t) - (int32_t)(bits >> 31) | 0x80000000);
}
static inline uint64_t search_double(uint64_t bits) {
  uint64_t size = bits & 0x7FFFFFFFFFFFFFFF, top = UINT64_C(1) << 63;
  if (size > 0x7FF0000000000000) return UINT64_MAX;
  return size == 0 ? top : bits ^ ((uint64_t) - (int64_t)(bits >> 63) | top);
}
#define SEARCH_SAME(v) (v)
#define SEARCH_INT(v)  ((v) ^ 0x80000000)
#define SEARCH_LONG(v) ((v) ^ UINT64_C(0x8000000000000000))
DEFINE_SEARCH(single_floats, uint32_t, uint32_t, search_single)
DEFINE_SEARCH(double_floats, uint64_t, uint64_t, search_double)
DEFINE_SEARCH(ints, uint32_t, uint32_t, SEARCH_INT)
DEFINE_SEARCH(longs, uint64_t, uint64_t, SEARCH_LONG)
DEFINE_SEARCH(words, uint32_t, uint32_t, SEARCH_SAME)
#undef DEFINE_SEARCH

static void search_task(void *context, int64_t index, int32_t worker) {
  const search_job *job = context;
  const search_argument *a = job->argument;
  (void)worker;
  int64_t line = index / a->groups, first = index % a->groups * SEARCH_GROUP;
  int64_t count = a->values - first < SEARCH_GROUP ? a->values - first : SEARCH_GROUP;
  int64_t places[SEARCH_GROUP], begin = line * a->values + first;
  uint32_t narrow[SEARCH_GROUP];
  uint64_t wide[SEARCH_GROUP];
  const char *sorted = job->sorted + (size_t)(line * a->size) * (size_t)a->element;
  const char *values = job->values + (size_t)begin * (size_t)a->element;
  if (a->element == 8)
    mica_sort_load_wide(a->dtype, values, count, false, wide);
  else
    mica_sort_load_narrow(a->dtype, values, count, false, narrow);
  switch (a->dtype) {
    case MICA_F32: search_single_floats(a, sorted, narrow, count, places); break;
    case MICA_F64: search_double_floats(a, sorted, wide, count, places); break;
    case MICA_I32: search_ints(a, sorted, narrow, count, places); break;
    case MICA_I64: search_longs(a, sorted, wide, count, places); break;
    default: search_words(a, sorted, narrow, count, places); break;
  }
  for (int64_t i = 0; i < count; i++)
    if (a->wide_places)
      ((int64_t *)job->places)[begin + i] = places[i];
    else
      ((int32_t *)job->places)[begin + i] = (int32_t)places[i];
}

static mica_status run_search(const mica_cpu_step *step, mica_cpu_context *context) {
  const search_argument *a = step->argument;
  search_job job = {a, mica_cpu_address(step, context, 0), mica_cpu_address(step, context, 1),
                    mica_cpu_address(step, context, 2)};
  const mica_parallel *parallel = &context->parallel;
  if (a->lines * a->values < SEARCH_SERIAL) parallel = &mica_cpu_serial;
  parallel->run(parallel->self, a->lines * a->groups, search_task, &job);
  return MICA_OK;
}

bool mica_plan_search(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_SEARCH_SORTED) return false;
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  mica_type type = mica_plan_type(plan, operands[0]);
  const mica_search_sorted_attr *attr = node->attr;
  switch (type.dtype) {
    case MICA_F32:
    case MICA_F64:
    case MICA_I32:
    case MICA_I64:
    case MICA_U32: break;
    default: return false;
  }
  int64_t count = mica_shape_count(node->type.shape);
  if (count == 0) return false;
  search_argument *a = mica_plan_allocate(plan, 1, sizeof(*a));
  mica_view sorted = mica_plan_dense(plan, operands[0]),
            values = mica_plan_dense(plan, operands[1]);
  if (a == NULL) return true;
  *a = (search_argument){.dtype = type.dtype,
                         .element = mica_dtype_bits(type.dtype) / 8,
                         .right = attr->right,
                         .wide_places = node->type.dtype == MICA_I64,
                         .size = type.shape.dim[type.shape.rank - 1],
                         .lines = 1};
  for (int32_t axis = 0; axis + 1 < type.shape.rank; axis++) a->lines *= type.shape.dim[axis];
  a->values = count / a->lines;
  a->groups = (a->values + SEARCH_GROUP - 1) / SEARCH_GROUP;
  mica_plan_step_add(plan, run_search, a, id);
  mica_plan_read(plan, operands[0], sorted);
  mica_plan_read(plan, operands[1], values);
  mica_plan_result(plan, id);
  int64_t bytes = (int64_t)mica_plan_bytes(plan, type);
  mica_plan_cost(plan, 20 * (double)count, bytes, 50 + 40 * count);
  return true;
}
