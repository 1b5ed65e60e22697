/* SPDX-License-Identifier: Apache-2.0 */
/* window.c: windows that slide over an array: folding them, and the two operators that carry the
 * derivatives of a maximum. Cell w of window o lies at o * stride + w * window_dilation - low of the
 * operand that is spread by base_dilation; padding and the gaps of the spread hold nothing. */
#include "backend/reference/reference_internal.h"

/* For one window: how it lies on each axis. */
typedef struct {
  const mica_window_attr *a;
  mica_shape x;
  int64_t strides[MICA_MAX_RANK];
} window_walk;

/* Where cell `cell` of window `window` lies in the operand; false when it is padding or a gap. */
static bool cell_place(const window_walk *walk, const int64_t *window, const int64_t *cell,
                       int64_t *out_place) {
  const mica_window_attr *a = walk->a;
  int64_t place = 0;
  for (int32_t axis = 0; axis < walk->x.rank; axis++) {
    /* Wrapping: a padding near the ends of the integers gives a negative place, as it should. */
    uint64_t spread = (uint64_t)window[axis] * (uint64_t)a->stride.at[axis] +
                      (uint64_t)cell[axis] * (uint64_t)a->window_dilation.at[axis] -
                      (uint64_t)a->low.at[axis];
    int64_t at = (int64_t)spread, base = a->base_dilation.at[axis];
    if (at < 0 || at % base != 0 || at / base >= walk->x.dim[axis]) return false;
    place += at / base * walk->strides[axis];
  }
  *out_place = place;
  return true;
}

static window_walk begin_walk(const reference_step *step) {
  window_walk walk = {.a = step->attr, .x = reference_in_type(step, 0).shape};
  mica_reference_strides(walk.x, walk.strides);
  return walk;
}

static void reduce_window_kernel(const reference_step *step) {
  window_walk walk = begin_walk(step);
  mica_type type = step->node->type;
  mica_reduce_kind kind = (mica_reduce_kind)walk.a->kind;
  int64_t count = mica_shape_count(type.shape), window[MICA_MAX_RANK] = {0};
  mica_reference_widen(type.dtype, step->in[0], 0, mica_shape_count(walk.x), step->scratch);
  for (int64_t i = 0; i < count; i++) {
    reference_complex total;
    mica_reference_neutral(kind, type.dtype, &total);
    int64_t cell[MICA_MAX_RANK] = {0}, place;
    do {
      if (cell_place(&walk, window, cell, &place))
        mica_reference_combine(kind, type.dtype, &total, 0, step->scratch, place);
    } while (mica_reference_next(walk.a->window.at, walk.x.rank, cell));
    mica_reference_narrow(type.dtype, step->out[0], i, 1, &total);
    mica_reference_next(type.shape.dim, type.shape.rank, window);
  }
}

static bool operand_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  mica_type type = reference_operand_type(graph, id, 0);
  return mica_reference_wide_bytes(type.dtype, mica_shape_count(type.shape), out_size);
}

/* ---- selection -------------------------------------------------------------------------------- */

/* The place of the window's first extreme (of its first NaN, if it has one); -1: all is padding. */
static int64_t selected_place(const window_walk *walk, const reference_step *step,
                              const int64_t *window) {
  mica_dtype dtype = reference_in_type(step, 0).dtype;
  bool largest = walk->a->kind == MICA_REDUCE_MAX;
  int64_t cell[MICA_MAX_RANK] = {0}, place, best_place = -1;
  mica_element best = {.kind = MICA_ELEMENT_SIGNED};
  do {
    if (!cell_place(walk, window, cell, &place)) continue;
    mica_element element = mica_element_load(dtype, step->in[0], place);
    if (best_place >= 0 && !mica_reference_beats(element, best, largest)) continue;
    best = element;
    best_place = place;
  } while (mica_reference_next(walk->a->window.at, walk->x.rank, cell));
  return best_place;
}

static void select_and_scatter_kernel(const reference_step *step) {
  window_walk walk = begin_walk(step);
  mica_type source = reference_in_type(step, 1), type = step->node->type;
  int64_t count = mica_shape_count(source.shape), out_count = mica_shape_count(type.shape);
  int64_t window[MICA_MAX_RANK] = {0};
  size_t size = reference_wide_size(type.dtype);
  for (int64_t i = 0; i < out_count; i++)
    mica_reference_neutral(MICA_REDUCE_SUM, type.dtype, (char *)step->scratch + (size_t)i * size);
  for (int64_t i = 0; i < count; i++) {
    int64_t place = selected_place(&walk, step, window);
    if (place >= 0) {
      reference_complex value;
      mica_reference_widen_one(source.dtype, step->in[1], i, &value);
      mica_reference_combine(MICA_REDUCE_SUM, type.dtype, step->scratch, place, &value, 0);
    }
    mica_reference_next(source.shape.dim, source.shape.rank, window);
  }
  mica_reference_narrow(type.dtype, step->out[0], 0, out_count, step->scratch);
}

static void select_and_gather_kernel(const reference_step *step) {
  window_walk walk = begin_walk(step);
  mica_type type = step->node->type;
  int64_t count = mica_shape_count(type.shape), window[MICA_MAX_RANK] = {0};
  for (int64_t i = 0; i < count; i++) {
    int64_t place = selected_place(&walk, step, window);
    mica_element element = {.kind = MICA_ELEMENT_SIGNED}; /* 0 */
    if (place >= 0) element = mica_element_load(type.dtype, step->in[1], place);
    mica_element_store(type.dtype, step->out[0], i, element);
    mica_reference_next(type.shape.dim, type.shape.rank, window);
  }
}

const reference_row mica_reference_window[MICA_OP_COUNT] = {
    [MICA_OP_REDUCE_WINDOW] = {reduce_window_kernel, operand_scratch},
    [MICA_OP_SELECT_AND_SCATTER] = {select_and_scatter_kernel, operand_scratch},
    [MICA_OP_SELECT_AND_GATHER] = {select_and_gather_kernel, NULL},
};
