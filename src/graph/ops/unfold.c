/* SPDX-License-Identifier: Apache-2.0 */
/* unfold.c: the cells of sliding windows as channels, and back. An axis at a time, the last one first: its
 * windows are read by their places, and the cells of a window join the channels in front, so that no
 * step needs more than two further axes. */
#include <inttypes.h>

#include "graph/ops/image.h"
#include "graph/ops/sliding.h"
#include "mica/ops/image.h"

/* The windows along one spatial axis. */
typedef struct {
  int64_t size, window, stride, dilation, low, high, places;
} unfold_axis;

static bool unfold_axes(const char *op, const mica_unfold_args *a, int32_t spatial,
                        mica_shape sizes, unfold_axis axes[3]) {
  for (int32_t i = 0; i < 3; i++) {
    const char *problem = NULL;
    if (i >= spatial) {
      if (a->window[i] || a->stride[i] || a->dilation[i] || a->low[i] || a->high[i])
        problem = "x has no such spatial axis, expected 0";
    } else {
      axes[i] = (unfold_axis){sizes.dim[i],
                              a->window[i],
                              mica_image_entry(a->stride, i, 1),
                              mica_image_entry(a->dilation, i, 1),
                              a->low[i],
                              a->high[i],
                              0};
      mica_sliding s = {axes[i].size,     axes[i].window, axes[i].stride, 1,
                        axes[i].dilation, axes[i].low,    axes[i].high};
      if (axes[i].window < 1 || axes[i].stride < 1 || axes[i].dilation < 1 || axes[i].low < 0 ||
          axes[i].high < 0)
        problem = "expected window, stride and dilation of at least 1 and padding of at least 0";
      else if (!mica_sliding_output(&s, &axes[i].places) || axes[i].places > INT64_C(1) << 40)
        problem = "the windows reach too far: sizes overflow";
    }
    if (problem) {
      mica_fail_operator(a->x.graph, op, &a->x, 1, "spatial axis %" PRId32 ": %s", i, problem);
      return false;
    }
  }
  return true;
}

/* The places [places, window] that the windows read of the padded axis. */
static mica_value window_places(mica_graph *graph, const unfold_axis *axis) {
  int64_t count;
  if (!mica_i64_multiply(axis->places, axis->window, &count)) count = INT64_MAX;
  int64_t *places = mica_image_list(graph, count, sizeof(*places));
  if (!places) return mica_no_value(graph);
  for (int64_t i = 0; i < count; i++)
    places[i] = i / axis->window * axis->stride + i % axis->window * axis->dilation;
  return mica_places_constant(graph, MICA_DIMS(axis->places, axis->window), places);
}

static mica_value unfold_along(mica_value x, int32_t at, const unfold_axis *axis) {
  int64_t low[MICA_MAX_RANK] = {0}, high[MICA_MAX_RANK] = {0};
  low[at] = axis->low;
  high[at] = axis->high;
  if (axis->low || axis->high)
    x = mica_pad(x, mica_scalar(x.graph, mica_dtype_of(x), 0), low, high, NULL);
  int32_t rank = mica_rank_of(x);
  /* [.., places, window, .., c] -> [.., places, .., window, c] -> [.., places, .., window c] */
  mica_value read =
      mica_move_axis(mica_take(x, window_places(x.graph, axis), at), at + 1, rank - 1);
  return mica_flatten(read, rank - 1);
}

mica_value mica_unfold_with(const mica_unfold_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_unfold_args a;
  int32_t spatial;
  unfold_axis axes[3];
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  if (!mica_image_checked("unfold", a.x, 3, &spatial)) return mica_no_value(a.x.graph);
  mica_shape sizes = {.rank = spatial};
  for (int32_t i = 0; i < spatial; i++) sizes.dim[i] = mica_dim_of(a.x, i + 1);
  if (!unfold_axes("unfold", &a, spatial, sizes, axes)) return mica_no_value(a.x.graph);
  mica_value x = a.x;
  for (int32_t i = spatial - 1; i >= 0; i--) x = unfold_along(x, i + 1, &axes[i]);
  return x;
}

/* The transpose of unfold_along. */
static mica_value fold_along(mica_value x, int32_t at, const unfold_axis *axis) {
  int32_t rank = mica_rank_of(x);
  mica_shape split = mica_shape_of(x);
  if (x.graph->status != MICA_OK) return mica_no_value(x.graph);
  split.dim[rank - 1] /= axis->window;
  split = mica_shape_insert(split, rank - 1, axis->window);
  /* [places, window, .., .., c] added to the rows of [size, .., .., c] */
  mica_value cells = mica_move_axis(mica_reshape(x, split), rank - 1, at + 1);
  cells = mica_move_axis(mica_move_axis(cells, at, 0), at + 1, 1);
  mica_shape shape = mica_shape_remove(mica_shape_of(cells), 1);
  shape.dim[0] = axis->low + axis->size + axis->high;
  mica_value sum = mica_scatter_add(mica_zeros(x.graph, (mica_type){mica_dtype_of(x), shape}),
                                    window_places(x.graph, axis), cells);
  sum = mica_slice_axis(sum, 0, axis->low, axis->low + axis->size, 1);
  return mica_move_axis(sum, 0, at);
}

mica_value mica_fold_with(const mica_unfold_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_unfold_args a;
  int32_t spatial;
  unfold_axis axes[3];
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  if (!mica_image_checked("fold", a.x, 3, &spatial) ||
      !mica_image_sizes("fold", a.x, spatial, a.sizes) ||
      !unfold_axes("fold", &a, spatial, a.sizes, axes))
    return mica_no_value(a.x.graph);
  int64_t cells = 1;
  bool fits = true;
  for (int32_t i = 0; i < spatial; i++) {
    cells *= axes[i].window;
    fits = fits && axes[i].places == mica_dim_of(a.x, i + 1);
  }
  if (!fits || mica_dim_of(a.x, spatial + 1) % cells != 0) {
    mica_shape places = {.rank = spatial};
    for (int32_t i = 0; i < spatial; i++) places.dim[i] = axes[i].places;
    char text[MICA_SHAPE_TEXT];
    return mica_fail_operator(a.x.graph, "fold", &a.x, 1,
                              "expected %s places and a multiple of %" PRId64
                              " channels for these windows",
                              mica_shape_text(places, text), cells);
  }
  mica_value x = a.x;
  for (int32_t i = 0; i < spatial; i++) x = fold_along(x, i + 1, &axes[i]);
  return x;
}

/* ---- pixel shuffle ---------------------------------------------------------------------------- */

static bool shuffle_checked(const char *op, mica_value x, int32_t r, bool back, int32_t *spatial) {
  if (!mica_image_checked(op, x, 3, spatial)) return false;
  int64_t cells = 1;
  bool fits = r >= 1 && r <= 1 << 20;
  for (int32_t i = 0; fits && i < *spatial; i++) {
    cells *= r;
    if (back) fits = mica_dim_of(x, i + 1) % r == 0;
  }
  if (fits && (back || mica_dim_of(x, *spatial + 1) % cells == 0)) return true;
  mica_fail_operator(x.graph, op, &x, 1, "r %" PRId32 ": expected %s", r,
                     back ? "at least 1, a divisor of each spatial size"
                          : "at least 1, whose power for the spatial axes divides the channels");
  return false;
}

mica_value mica_pixel_shuffle(mica_value x, int32_t r) {
  MICA_ENTRY(x.graph);
  int32_t spatial;
  if (!shuffle_checked("pixel_shuffle", x, r, false, &spatial)) return mica_no_value(x.graph);
  for (int32_t axis = spatial; axis >= 1;
       axis--) { /* the channels' last factor is the last axis's */
    mica_shape shape = mica_shape_of(x), split = shape;
    if (x.graph->status != MICA_OK) break;
    split.dim[spatial + 1] /= r;
    split = mica_shape_insert(split, spatial + 2, r);
    shape.dim[axis] *= r;
    shape.dim[spatial + 1] /= r;
    x = mica_reshape(mica_move_axis(mica_reshape(x, split), spatial + 2, axis + 1), shape);
  }
  return x;
}

mica_value mica_pixel_unshuffle(mica_value x, int32_t r) {
  MICA_ENTRY(x.graph);
  int32_t spatial;
  if (!shuffle_checked("pixel_unshuffle", x, r, true, &spatial)) return mica_no_value(x.graph);
  for (int32_t axis = 1; axis <= spatial; axis++) {
    mica_shape shape = mica_shape_of(x), split = shape;
    if (x.graph->status != MICA_OK) break;
    split.dim[axis] /= r;
    split = mica_shape_insert(split, axis + 1, r);
    shape.dim[axis] /= r;
    shape.dim[spatial + 1] *= r;
    x = mica_reshape(mica_move_axis(mica_reshape(x, split), axis + 1, spatial + 2), shape);
  }
  return x;
}
