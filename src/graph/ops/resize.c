/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c: other sizes for images, an axis after the other. Each cell of the result is a weighted sum of
 * a few cells of x (taps): where they are many against the size, or the axis is short, the weights are a
 * matrix to multiply with; else the taps are read and weighed. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/image.h"
#include "mica/ops/image.h"

typedef struct {
  mica_resize_method method;
  bool antialias, align_corners, asymmetric;
} resize_form;

/* The taps of all cells: place and weight [count, taps]. */
typedef struct {
  int64_t taps;
  int64_t *places;
  double *weights;
} resize_taps;

static double cubic_weight(double t, double a) {
  t = fabs(t);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  if (t < 2) return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return 0;
}

/* Where cell i of m lies among n. */
static double source_place(const resize_form *form, int64_t i, int64_t n, int64_t m) {
  if (form->align_corners) return m == 1 ? 0 : (double)i * (double)(n - 1) / (double)(m - 1);
  if (form->asymmetric) return (double)i * (double)n / (double)m;
  return ((double)i + 0.5) * (double)n / (double)m - 0.5;
}

static int64_t inside(int64_t place, int64_t n) {
  return place < 0 ? 0 : place >= n ? n - 1 : place;
}

static void plain_taps(const resize_form *form, int64_t n, int64_t m, resize_taps *t) {
  for (int64_t i = 0; i < m; i++) {
    double at = source_place(form, i, n, m), below = floor(at), rest = at - below;
    int64_t first = (int64_t)below - (t->taps == 4 ? 1 : 0);
    for (int64_t k = 0; k < t->taps; k++) {
      double distance = (t->taps == 4 ? 1 : 0) + rest - (double)k;
      t->places[i * t->taps + k] = inside(first + k, n);
      t->weights[i * t->taps + k] =
          t->taps == 4 ? cubic_weight(distance, -0.75) : 1 - fabs(distance);
    }
  }
}

/* The kernel is as wide as n / m cells of x; it is cut at the border and made to sum to 1. */
static void wide_taps(const resize_form *form, int64_t n, int64_t m, resize_taps *t) {
  double scale = (double)n / (double)m, wide = scale < 1 ? 1 : scale;
  double support = (form->method == MICA_RESIZE_CUBIC ? 2 : 1) * wide;
  for (int64_t i = 0; i < m; i++) {
    double center = ((double)i + 0.5) * scale, sum = 0;
    int64_t first = inside((int64_t)floor(center - support + 0.5), n);
    for (int64_t k = 0; k < t->taps; k++) {
      double distance = ((double)(first + k) + 0.5 - center) / wide;
      double weight = form->method == MICA_RESIZE_CUBIC ? cubic_weight(distance, -0.5)
                                                        : fmax(0, 1 - fabs(distance));
      if (first + k >= n) weight = 0;
      t->places[i * t->taps + k] = inside(first + k, n);
      t->weights[i * t->taps + k] = weight;
      sum += weight;
    }
    for (int64_t k = 0; k < t->taps; k++) t->weights[i * t->taps + k] /= sum;
  }
}

static bool make_taps(mica_graph *graph, const resize_form *form, int64_t n, int64_t m,
                      resize_taps *t) {
  bool wide = form->antialias && !form->align_corners;
  t->taps = form->method == MICA_RESIZE_CUBIC ? 4 : 2;
  if (wide && n > m) t->taps = (int64_t)ceil((double)t->taps * (double)n / (double)m) + 1;
  if (wide && n <= m) t->taps++;
  if (t->taps > n && wide) t->taps = n;
  int64_t count;
  if (!mica_i64_multiply(m, t->taps, &count)) count = INT64_MAX;
  t->places = mica_image_list(graph, count, sizeof(*t->places));
  t->weights = t->places ? mica_image_list(graph, count, sizeof(*t->weights)) : NULL;
  if (!t->weights) return false;
  if (wide)
    wide_taps(form, n, m, t);
  else
    plain_taps(form, n, m, t);
  return true;
}

static mica_value multiply_taps(mica_value x, int32_t axis, int64_t m, const resize_taps *t) {
  int64_t n = mica_dim_of(x, axis), count;
  if (!mica_i64_multiply(n, m, &count)) count = INT64_MAX;
  double *matrix = mica_image_list(x.graph, count, sizeof(*matrix));
  if (!matrix) return mica_no_value(x.graph);
  for (int64_t i = 0; i < count; i++) matrix[i] = 0;
  for (int64_t i = 0; i < m; i++)
    for (int64_t k = 0; k < t->taps; k++)
      matrix[t->places[i * t->taps + k] * m + i] += t->weights[i * t->taps + k];
  mica_shape shape = {.rank = 2, .dim = {n, m}};
  return mica_multiply_axis(x, axis, mica_constant_array(x.graph, mica_dtype_of(x), shape, matrix));
}

/* weights [m] or [m, taps] in the place of the axis. */
static mica_value laid_weights(mica_value like, int32_t axis, mica_shape shape,
                               const double *weights) {
  mica_value array = mica_constant_array(like.graph, mica_dtype_of(like), shape, weights);
  mica_axes axes = {.count = shape.rank};
  for (int32_t i = 0; i < shape.rank; i++) axes.axis[i] = axis + i;
  return mica_broadcast_in_dim(array, mica_shape_of(like), axes);
}

/* The sum over taps of x read at their places: one tap at a time when they are few. */
static mica_value weigh_taps(mica_value x, int32_t axis, int64_t m, const resize_taps *t) {
  mica_graph *graph = x.graph;
  if (t->taps > 4 && mica_rank_of(x) < MICA_MAX_RANK) {
    mica_shape shape = {.rank = 2, .dim = {m, t->taps}};
    mica_value read = mica_take(x, mica_places_constant(graph, shape, t->places), axis);
    mica_value weights = laid_weights(read, axis, shape, t->weights);
    return mica_reduce_sum(mica_mul(read, weights), (mica_axes){.count = 1, .axis = {axis + 1}});
  }
  mica_value sum = mica_no_value(graph);
  mica_shape shape = {.rank = 1, .dim = {m}};
  int64_t *places = mica_image_list(graph, m, sizeof(*places));
  double *weights = places ? mica_image_list(graph, m, sizeof(*weights)) : NULL;
  for (int64_t k = 0; weights && k < t->taps; k++) {
    for (int64_t i = 0; i < m; i++) {
      places[i] = t->places[i * t->taps + k];
      weights[i] = t->weights[i * t->taps + k];
    }
    mica_value read = mica_take_places(x, axis, m, places);
    sum = mica_add_values(sum, mica_mul(read, laid_weights(read, axis, shape, weights)));
  }
  return sum;
}

static mica_value resize_nearest(mica_value x, int32_t axis, int64_t m, const resize_form *form) {
  int64_t n = mica_dim_of(x, axis), *places = mica_image_list(x.graph, m, sizeof(*places));
  if (!places) return mica_no_value(x.graph);
  for (int64_t i = 0; i < m; i++)
    places[i] =
        inside((int64_t)floor(source_place(form, i, n, m) + (form->asymmetric ? 0 : 0.5)), n);
  return mica_take_places(x, axis, m, places);
}

static mica_value resize_axis(mica_value x, int32_t axis, int64_t m, const resize_form *form) {
  int64_t n = mica_dim_of(x, axis);
  resize_taps t;
  if (n == m || x.graph->status != MICA_OK) return x;
  if (form->method == MICA_RESIZE_NEAREST) return resize_nearest(x, axis, m, form);
  if (!make_taps(x.graph, form, n, m, &t)) return mica_no_value(x.graph);
  /* A product has many flops for each byte: 64 of them are as dear as reading a tap. */
  return n <= 64 * t.taps ? multiply_taps(x, axis, m, &t) : weigh_taps(x, axis, m, &t);
}

mica_value mica_resize_with(const mica_resize_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  const char *op = "resize";
  mica_resize_args a;
  int32_t spatial;
  if (!mica_copy_args(&a, sizeof(a), args)) return (mica_value){0};
  mica_value x = a.x;
  if (!mica_image_checked(op, x, 6, &spatial) || !mica_image_sizes(op, x, spatial, a.sizes))
    return mica_no_value(x.graph);
  mica_dtype dtype = mica_dtype_of(x);
  if (a.method < MICA_RESIZE_NEAREST || a.method > MICA_RESIZE_AREA)
    return mica_fail_operator(x.graph, op, &x, 1,
                              "method %d is unknown: expected MICA_RESIZE_NEAREST, _LINEAR, _CUBIC "
                              "or _AREA",
                              (int)a.method);
  if (a.method != MICA_RESIZE_NEAREST && !mica_dtype_is_float(dtype))
    return mica_fail_operator(x.graph, op, &x, 1,
                              "dtype %s is not supported: expected f16, bf16, f32 or f64, or the "
                              "nearest cells",
                              mica_dtype_name(dtype));
  if (a.antialias + a.align_corners + a.asymmetric > 1)
    return mica_fail_operator(
        x.graph, op, &x, 1,
        "antialias, align_corners and asymmetric exclude each other: expected one");
  if (a.method == MICA_RESIZE_AREA) return mica_adaptive_mean_pool(x, a.sizes);
  resize_form form = {a.method, a.antialias, a.align_corners, a.asymmetric};
  if (a.method != MICA_RESIZE_NEAREST) x = mica_widen(x);
  for (int32_t i = 0; i < spatial; i++) x = resize_axis(x, i + 1, a.sizes.dim[i], &form);
  return mica_convert(x, dtype);
}
