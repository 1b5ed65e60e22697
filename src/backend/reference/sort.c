/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c: order along an axis: a merge sort of places by comparing elements, and binary search. */
#include "backend/reference/reference_internal.h"

#include <string.h>

/* Less than 0, 0 or more: as x is below, equal to or above y; NaN is above all numbers. */
static int order_elements(mica_element x, mica_element y) {
  switch (x.kind) {
    case MICA_ELEMENT_SIGNED: return (x.i64 > y.i64) - (x.i64 < y.i64);
    case MICA_ELEMENT_UNSIGNED: return (x.u64 > y.u64) - (x.u64 < y.u64);
    default: break;
  }
  int x_is_nan = x.f64 != x.f64, y_is_nan = y.f64 != y.f64;
  if (x_is_nan || y_is_nan) return x_is_nan - y_is_nan;
  return (x.f64 > y.f64) - (x.f64 < y.f64);
}

/* The lines of a step's operands along an axis. */
typedef struct {
  const reference_step *step;
  uint32_t keys;
  bool descending;
  int64_t lines, size, inner;
  int64_t begin; /* of the line at hand */
} ordered_lines;

static ordered_lines order_along(const reference_step *step, int64_t along, uint32_t keys,
                                 bool descending) {
  mica_shape shape = reference_in_type(step, 0).shape;
  ordered_lines lines = {.step = step,
                         .keys = keys,
                         .descending = descending,
                         .lines = 1,
                         .size = shape.dim[along],
                         .inner = 1};
  for (int32_t axis = 0; axis < shape.rank; axis++) {
    if (axis != along) lines.lines *= shape.dim[axis];
    if (axis > along) lines.inner *= shape.dim[axis];
  }
  return lines;
}

static void enter_line(ordered_lines *lines, int64_t line) {
  lines->begin = line / lines->inner * lines->size * lines->inner + line % lines->inner;
}

/* Whether place b must stand in front of place a, which is in front of it now. */
static bool place_precedes(const ordered_lines *lines, int64_t b, int64_t a) {
  for (uint32_t i = 0; i < lines->keys; i++) {
    mica_dtype dtype = reference_in_type(lines->step, i).dtype;
    int order = order_elements(
        mica_element_load(dtype, lines->step->in[i], lines->begin + b * lines->inner),
        mica_element_load(dtype, lines->step->in[i], lines->begin + a * lines->inner));
    if (order != 0) return lines->descending ? order > 0 : order < 0;
  }
  return false;
}

/* The places of the line in order, in one of the two halves of the scratch memory. */
static const int64_t *ordered_places(const ordered_lines *lines, int64_t *scratch) {
  int64_t size = lines->size, *from = scratch, *to = scratch + size;
  for (int64_t i = 0; i < size; i++) from[i] = i;
  for (int64_t width = 1; width < size; width *= 2) {
    for (int64_t first = 0; first < size; first += 2 * width) {
      int64_t middle = first + width < size ? first + width : size;
      int64_t last = middle + width < size ? middle + width : size;
      for (int64_t a = first, b = middle, i = first; i < last; i++) {
        bool second = a == middle || (b < last && place_precedes(lines, from[b], from[a]));
        to[i] = second ? from[b++] : from[a++];
      }
    }
    int64_t *swapped = from;
    from = to;
    to = swapped;
  }
  return from;
}

static void copy_one(mica_dtype dtype, const void *in, int64_t from, void *out, int64_t to) {
  reference_move move = {.rank = 1,
                         .dim = {1},
                         .in_stride = {1},
                         .out_stride = {1},
                         .in_offset = from,
                         .out_offset = to};
  mica_reference_copy(dtype, in, out, &move);
}

static void sort_kernel(const reference_step *step) {
  const mica_sort_attr *a = step->attr;
  ordered_lines lines = order_along(step, a->axis, (uint32_t)a->keys, a->descending);
  for (int64_t line = 0; line < lines.lines; line++) {
    enter_line(&lines, line);
    const int64_t *places = ordered_places(&lines, step->scratch);
    for (uint32_t i = 0; i < step->node->operand_count; i++)
      for (int64_t k = 0; k < lines.size; k++)
        copy_one(reference_in_type(step, i).dtype, step->in[i],
                 lines.begin + places[k] * lines.inner, step->out[i],
                 lines.begin + k * lines.inner);
  }
}

static void top_k_kernel(const reference_step *step) {
  const mica_top_k_attr *a = step->attr;
  mica_dtype dtype = reference_in_type(step, 0).dtype;
  mica_dtype place_dtype = mica_node_at(step->graph, step->id + 1)->type.dtype;
  ordered_lines lines = order_along(step, a->axis, 1, !a->smallest);
  for (int64_t line = 0; line < lines.lines; line++) {
    enter_line(&lines, line);
    const int64_t *places = ordered_places(&lines, step->scratch);
    int64_t begin = line / lines.inner * a->k * lines.inner + line % lines.inner;
    for (int64_t k = 0; k < a->k; k++) {
      mica_element place = {.kind = MICA_ELEMENT_SIGNED, .i64 = places[k]};
      copy_one(dtype, step->in[0], lines.begin + places[k] * lines.inner, step->out[0],
               begin + k * lines.inner);
      mica_element_store(place_dtype, step->out[1], begin + k * lines.inner, place);
    }
  }
}

static bool places_scratch(const mica_graph *graph, uint32_t id, int64_t axis, size_t *out_size) {
  int64_t size = reference_operand_type(graph, id, 0).shape.dim[axis];
  return mica_size_multiply((size_t)size, 2 * sizeof(int64_t), out_size);
}
static bool sort_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  const mica_sort_attr *a = mica_node_at(graph, id)->attr;
  return places_scratch(graph, id, a->axis, out_size);
}
static bool top_k_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  const mica_top_k_attr *a = mica_node_at(graph, id)->attr;
  return places_scratch(graph, id, a->axis, out_size);
}

static void search_kernel(const reference_step *step) {
  const mica_search_sorted_attr *a = step->attr;
  mica_type sorted = reference_in_type(step, 0), values = reference_in_type(step, 1);
  int64_t size = sorted.shape.dim[sorted.shape.rank - 1], lines = 1;
  for (int32_t axis = 0; axis + 1 < sorted.shape.rank; axis++) lines *= sorted.shape.dim[axis];
  int64_t count = mica_shape_count(values.shape), of_line = lines > 0 ? count / lines : 0;
  for (int64_t i = 0; i < count; i++) {
    mica_element value = mica_element_load(values.dtype, step->in[1], i);
    int64_t begin = i / of_line * size, low = 0, high = size;
    while (low < high) {
      int64_t middle = low + (high - low) / 2;
      int order =
          order_elements(mica_element_load(sorted.dtype, step->in[0], begin + middle), value);
      if (a->right ? order <= 0 : order < 0)
        low = middle + 1;
      else
        high = middle;
    }
    mica_element_store(step->node->type.dtype, step->out[0], i,
                       (mica_element){.kind = MICA_ELEMENT_SIGNED, .i64 = low});
  }
}

const reference_row mica_reference_sort[MICA_OP_COUNT] = {
    [MICA_OP_SORT] = {sort_kernel, sort_scratch},
    [MICA_OP_TOP_K] = {top_k_kernel, top_k_scratch},
    [MICA_OP_SEARCH_SORTED] = {search_kernel, NULL},
};
