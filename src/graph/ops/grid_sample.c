/* SPDX-License-Identifier: Apache-2.0 */
/* grid_sample.c: images read at real places, and the grids that affine maps make. The cells of an example
 * are one axis, from which whole pixels are gathered; the weights carry the gradient of the grid. */
#include <inttypes.h>

#include "graph/ops/image.h"
#include "mica/ops/image.h"

enum { SAMPLE_AXES = 3 };

/* (g + 1) / 2 scaled to the cells' places. */
static mica_value unnormalized(mica_value g, int64_t n, bool align_corners) {
  if (align_corners) return mica_mul(mica_add(g, 1), (double)(n - 1) / 2);
  return mica_mul(mica_sub(mica_mul(mica_add(g, 1), (double)n), 1), 0.5);
}

static mica_value clipped(mica_value at, int64_t n) {
  return mica_min(mica_max(at, 0), (double)(n - 1));
}

/* Folded back between `low` and low + span as often as needed. */
static mica_value reflected_place(mica_value at, int64_t n, bool align_corners) {
  double low = align_corners ? 0 : -0.5, span = (double)(align_corners ? n - 1 : n);
  if (span == 0) return mica_zeros_like(at);
  mica_value distance = mica_abs(mica_sub(at, low));
  mica_value folds = mica_floor(mica_div(distance, span));
  mica_value rest = mica_sub(distance, mica_mul(folds, span));
  mica_value odd = mica_sub(folds, mica_mul(mica_floor(mica_mul(folds, 0.5)), 2));
  return mica_add(
      mica_select(mica_greater(odd, 0.5), mica_sub(mica_full_like(rest, span), rest), rest), low);
}

typedef struct {
  int32_t spatial;
  mica_shape x;               /* [batch, spatial..., channels] */
  int64_t points;             /* of an example */
  mica_value at[SAMPLE_AXES]; /* place along each spatial axis, [batch, points] */
  mica_value cells;           /* [batch, all cells, channels] */
} sample_form;

/* The pixels at whole places (floats) [batch, points] -> [batch, points, channels]; those outside are
 * clamped, and *out_within is 1 where none is and else 0. */
static mica_value read_pixels(const sample_form *s, const mica_value *place,
                              mica_value *out_within) {
  mica_value index = mica_no_value(s->cells.graph), all = index;
  for (int32_t i = 0; i < s->spatial; i++) {
    int64_t n = s->x.dim[i + 1];
    mica_value within = mica_and(mica_greater_equal(place[i], 0), mica_less(place[i], (double)n));
    mica_value whole = mica_convert(clipped(place[i], n), MICA_I64);
    all = all.id ? mica_and(all, within) : within;
    index = index.id ? mica_add(mica_mul(index, (double)n), whole) : whole;
  }
  *out_within = mica_convert(all, mica_dtype_of(place[0]));
  mica_shape column = mica_shape_insert(mica_shape_of(index), 2, 1);
  return mica_gather(s->cells, mica_reshape(index, column), .offset_axes = MICA_AXES(2),
                     .collapsed_slice_axes = MICA_AXES(1), .operand_batch_axes = MICA_AXES(0),
                     .index_batch_axes = MICA_AXES(0), .start_index_map = MICA_AXES(1),
                     .index_vector_axis = 2,
                     .slice_sizes = MICA_DIMS(1, 1, s->x.dim[s->spatial + 1]));
}

static mica_value weighed(mica_value pixels, mica_value weight) {
  return mica_mul(pixels, mica_reshape(weight, mica_shape_insert(mica_shape_of(weight), 2, 1)));
}

/* The 2^k cells around, each by the product of its nearness along the axes. */
static mica_value sample_linear(const sample_form *s) {
  mica_value below[SAMPLE_AXES], rest[SAMPLE_AXES], sum = mica_no_value(s->cells.graph);
  for (int32_t i = 0; i < s->spatial; i++) {
    below[i] = mica_floor(s->at[i]);
    rest[i] = mica_sub(s->at[i], below[i]);
  }
  for (int32_t corner = 0; corner < 1 << s->spatial; corner++) {
    mica_value place[SAMPLE_AXES], weight = mica_no_value(s->cells.graph), within;
    for (int32_t i = 0; i < s->spatial; i++) {
      bool above = corner >> i & 1;
      place[i] = above ? mica_add(below[i], 1) : below[i];
      mica_value near = above ? rest[i] : mica_sub(mica_ones_like(rest[i]), rest[i]);
      weight = weight.id ? mica_mul(weight, near) : near;
    }
    mica_value pixels = read_pixels(s, place, &within);
    sum = mica_add_values(sum, weighed(pixels, mica_mul(weight, within)));
  }
  return sum;
}

static bool sample_checked(const char *op, const mica_grid_sample_args *a, int32_t *spatial) {
  mica_value in[2] = {a->x, a->grid};
  mica_graph *graph = mica_graph_of(in, 2);
  if (!mica_operands_usable(op, in, 2)) return false;
  mica_shape x = mica_shape_of(a->x), grid = mica_shape_of(a->grid);
  int32_t k = x.rank - 2;
  mica_dtype dtype = mica_dtype_of(a->x);
  const char *problem = NULL;
  if ((k != 2 && k != 3) || grid.rank != x.rank || grid.dim[k + 1] != k || grid.dim[0] != x.dim[0])
    problem =
        "expected x [batch, h, w, channels] and grid [batch, a, b, 2], or a third spatial axis and "
        "grid [batch, a, b, c, 3]";
  else if (!mica_dtype_is_float(dtype) || mica_dtype_of(a->grid) != dtype)
    problem = "expected one float dtype of both (mica_convert first)";
  else if (a->method < MICA_SAMPLE_LINEAR || a->method > MICA_SAMPLE_NEAREST)
    problem = "the method is unknown: expected MICA_SAMPLE_LINEAR or MICA_SAMPLE_NEAREST";
  else if (a->outside < MICA_OUTSIDE_ZEROS || a->outside > MICA_OUTSIDE_REFLECTION)
    problem = "outside is unknown: expected MICA_OUTSIDE_ZEROS, _BORDER or _REFLECTION";
  for (int32_t i = 1; !problem && i <= k; i++)
    if (x.dim[i] == 0) problem = "a spatial axis of x is empty: expected at least one cell";
  if (problem) mica_fail_operator(graph, op, in, 2, "%s", problem);
  *spatial = k;
  return !problem;
}

mica_value mica_grid_sample_with(const mica_grid_sample_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_grid_sample_args a;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  sample_form s = {0};
  if (!sample_checked("grid_sample", &a, &s.spatial))
    return mica_no_value(mica_graph_of((mica_value[]){a.x, a.grid}, 2));
  s.x = mica_shape_of(a.x);
  mica_dtype dtype = mica_dtype_of(a.x);
  mica_shape out = mica_shape_of(a.grid), points = out;
  points.rank = 2;
  points.dim[1] = 1;
  int64_t cells = 1;
  for (int32_t i = 1; i <= s.spatial; i++) {
    points.dim[1] *= out.dim[i];
    cells *= s.x.dim[i];
  }
  s.cells = mica_reshape(mica_widen(a.x), MICA_DIMS(s.x.dim[0], cells, s.x.dim[s.spatial + 1]));
  mica_value grid = mica_widen(a.grid);
  for (int32_t i = 0; i < s.spatial; i++) {
    int32_t component = s.spatial - 1 - i; /* x is the last axis */
    mica_value g =
        mica_reshape(mica_slice_axis(grid, s.spatial + 1, component, component + 1, 1), points);
    mica_value at = unnormalized(g, s.x.dim[i + 1], a.align_corners);
    if (a.outside == MICA_OUTSIDE_REFLECTION)
      at = reflected_place(at, s.x.dim[i + 1], a.align_corners);
    if (a.outside != MICA_OUTSIDE_ZEROS) at = clipped(at, s.x.dim[i + 1]);
    s.at[i] = a.method == MICA_SAMPLE_NEAREST ? mica_round(at) : at;
  }
  mica_value sampled, within;
  if (a.method == MICA_SAMPLE_LINEAR) {
    sampled = sample_linear(&s);
  } else {
    sampled = read_pixels(&s, s.at, &within);
    if (a.outside == MICA_OUTSIDE_ZEROS) sampled = weighed(sampled, within);
  }
  out.dim[s.spatial + 1] = s.x.dim[s.spatial + 1];
  return mica_convert(mica_reshape(sampled, out), dtype);
}

mica_value mica_affine_grid(mica_value theta, mica_shape sizes, bool align_corners) {
  MICA_ENTRY(theta.graph);
  const char *op = "affine_grid";
  if (!mica_operands_usable(op, &theta, 1)) return mica_no_value(theta.graph);
  mica_shape shape = mica_shape_of(theta);
  int32_t k = sizes.rank;
  bool fits = (k == 2 || k == 3) && shape.rank == 3 && shape.dim[1] == k && shape.dim[2] == k + 1;
  int64_t cells = 1;
  for (int32_t i = 0; fits && i < k; i++)
    fits = sizes.dim[i] >= 1 && mica_i64_multiply(cells, sizes.dim[i], &cells);
  if (!fits || !mica_dtype_is_float(mica_dtype_of(theta)))
    return mica_fail_operator(
        theta.graph, op, &theta, 1,
        "expected a float theta [batch, 2, 3] and sizes [h, w], or [batch, 3, "
        "4] and [d, h, w]");
  double *places = mica_i64_multiply(cells, k + 1, &(int64_t){0})
                       ? mica_image_list(theta.graph, cells * (k + 1), sizeof(*places))
                       : NULL;
  if (!places) return mica_no_value(theta.graph);
  for (int64_t cell = 0; cell < cells; cell++) {
    double *row = places + cell * (k + 1);
    int64_t left = cell;
    for (int32_t i = k - 1; i >= 0; i--) {
      int64_t n = sizes.dim[i], at = left % n;
      left /= n;
      row[k - 1 - i] = align_corners ? n == 1 ? 0 : 2 * (double)at / (double)(n - 1) - 1
                                     : (2 * (double)at + 1) / (double)n - 1;
    }
    row[k] = 1;
  }
  mica_value base =
      mica_constant_array(theta.graph, mica_dtype_of(theta), MICA_DIMS(cells, k + 1), places);
  mica_value grid = mica_dot_general(theta, base, .x_contract = MICA_AXES(2),
                                     .y_contract = MICA_AXES(1)); /* [batch, k, cells] */
  mica_shape out = {.rank = k + 2, .dim = {shape.dim[0]}};
  for (int32_t i = 0; i < k; i++) out.dim[i + 1] = sizes.dim[i];
  out.dim[k + 1] = k;
  return mica_reshape(mica_swap_axes(grid, 1, 2), out);
}
