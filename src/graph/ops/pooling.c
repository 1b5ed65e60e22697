/* SPDX-License-Identifier: Apache-2.0 */
/* pooling.c: pools over the spatial axes of images, built of reduce_window; adaptive ones axis by axis: a
 * mean is a product with a narrow matrix, a maximum one over the places of each cell. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/image.h"
#include "graph/ops/sliding.h"

typedef struct {
  mica_window_attr attr;
  int64_t left_over[MICA_MAX_RANK]; /* of attr.high: beyond all padding, by ceil_mode */
} pool_form;

static bool pool_failed(const char *op, const mica_pool_args *a, const char *name, int32_t axis,
                        int64_t given, const char *expected) {
  mica_fail_operator(a->x.graph, op, &a->x, 1,
                     "%s is %" PRId64 " along spatial axis %" PRId32 ": expected %s", name, given,
                     axis, expected);
  return false;
}

/* Another window at the end when the last one leaves cells; not one that would begin behind them. */
static int64_t ceil_padding(const mica_sliding *s) {
  int64_t reach, total;
  if (!mica_sliding_spread(s->window, s->window_dilation, &reach) ||
      !mica_i64_add(s->size, s->low, &total) || !mica_i64_add(total, s->high, &total) ||
      total < reach || total > INT64_C(1) << 60 || s->stride > INT64_C(1) << 60)
    return 0;
  int64_t last = (total - reach + s->stride - 1) / s->stride * s->stride;
  if (last >= s->size + s->low || last + reach <= total) return 0;
  return last + reach - total;
}

/* Entries of one spatial axis; false when the graph failed. */
static bool pool_axis(const char *op, const mica_pool_args *a, mica_shape x, int32_t i,
                      pool_form *form) {
  mica_window_attr *attr = &form->attr;
  int32_t axis = i + 1;
  int64_t window = mica_image_entry(a->window, i, mica_image_entry(a->window, 0, 2));
  mica_sliding s = {.size = x.dim[axis],
                    .window = window,
                    .stride = mica_image_entry(a->stride, i, window),
                    .base_dilation = 1,
                    .window_dilation = mica_image_entry(a->dilation, i, 1)};
  if (s.window < 1) return pool_failed(op, a, "window", i, s.window, "at least 1");
  if (s.stride < 1) return pool_failed(op, a, "stride", i, s.stride, "at least 1");
  if (s.window_dilation < 1)
    return pool_failed(op, a, "dilation", i, s.window_dilation, "at least 1");
  if (a->padding == MICA_SAME) {
    mica_sliding_pad_same(&s);
  } else if (a->padding == MICA_EXPLICIT) {
    if (a->low[i] < 0) return pool_failed(op, a, "low", i, a->low[i], "at least 0");
    if (a->high[i] < 0) return pool_failed(op, a, "high", i, a->high[i], "at least 0");
    s.low = a->low[i];
    s.high = a->high[i];
  }
  form->left_over[axis] = a->ceil_mode ? ceil_padding(&s) : 0;
  attr->window.at[axis] = s.window;
  attr->stride.at[axis] = s.stride;
  attr->window_dilation.at[axis] = s.window_dilation;
  attr->low.at[axis] = s.low;
  attr->high.at[axis] = s.high + form->left_over[axis];
  return true;
}

/* The windows of a pool; false when the graph failed. */
static bool pool_windows(const char *op, const mica_pool_args *a, pool_form *form) {
  int32_t spatial;
  if (!mica_image_checked(op, a->x, 3, &spatial)) return false;
  mica_shape x = mica_shape_of(a->x);
  if (a->padding < MICA_DEFAULT_PADDING || a->padding > MICA_EXPLICIT) {
    mica_fail_operator(a->x.graph, op, &a->x, 1,
                       "padding %d is unknown: expected MICA_VALID, MICA_SAME or MICA_EXPLICIT",
                       (int)a->padding);
    return false;
  }
  mica_ints ones = {.count = x.rank}, zeros = ones;
  for (int32_t axis = 0; axis < x.rank; axis++) ones.at[axis] = 1;
  *form = (pool_form){.attr = {.kind = form->attr.kind,
                               .window = ones,
                               .stride = ones,
                               .base_dilation = ones,
                               .window_dilation = ones,
                               .low = zeros,
                               .high = zeros}};
  for (int32_t i = 0; i < 3; i++) {
    if (i < spatial) {
      if (!pool_axis(op, a, x, i, form)) return false;
    } else if (a->window[i] || a->stride[i] || a->dilation[i] || a->low[i] || a->high[i]) {
      mica_fail_operator(
          a->x.graph, op, &a->x, 1,
          "there is an entry for spatial axis %" PRId32 ": expected at most %" PRId32, i, spatial);
      return false;
    }
    if ((a->low[i] || a->high[i]) && a->padding != MICA_EXPLICIT)
      return pool_failed(op, a, a->low[i] ? "low" : "high", i, a->low[i] ? a->low[i] : a->high[i],
                         ".padding = MICA_EXPLICIT with it");
  }
  return true;
}

/* The arguments with channels last; what comes out is to be given back by turned_back. */
static bool pool_arguments(const char *op, const mica_pool_args *args, mica_pool_args *out) {
  if (!mica_copy_args(out, sizeof(*out), args)) return false;
  if (!out->channels_first) return true;
  if (!mica_operands_usable(op, &out->x, 1)) return false;
  if (mica_rank_of(out->x) >= 3) out->x = mica_move_axis(out->x, 1, -1); /* else refused */
  return true;
}
static mica_value turned_back(const mica_pool_args *a, mica_value y) {
  return a->channels_first && y.id ? mica_move_axis(y, -1, 1) : y;
}

static mica_value plain_pool(const mica_pool_args *args, const char *op, mica_reduce_kind kind) {
  mica_pool_args a = {0};
  if (!pool_arguments(op, args, &a)) return mica_no_value(a.x.graph);
  pool_form form = {.attr = {.kind = (int32_t)kind}};
  if (!pool_windows(op, &a, &form)) return mica_no_value(a.x.graph);
  return turned_back(&a, mica_emit(a.x.graph, MICA_OP_REDUCE_WINDOW, &a.x, 1, &form.attr));
}
mica_value mica_max_pool_with(const mica_pool_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  return plain_pool(args, "max_pool", MICA_REDUCE_MAX);
}
mica_value mica_min_pool_with(const mica_pool_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  return plain_pool(args, "min_pool", MICA_REDUCE_MIN);
}
mica_value mica_sum_pool_with(const mica_pool_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  return plain_pool(args, "sum_pool", MICA_REDUCE_SUM);
}

/* How many elements each window counts: [1, windows..., 1]. */
static mica_value count_pooled(mica_value x, const pool_form *form, bool padding) {
  pool_form f = *form;
  mica_type one = {mica_dtype_of(x), mica_shape_of(x)};
  int32_t last = one.shape.rank - 1;
  one.shape.dim[0] = one.shape.dim[last] = 1;
  for (int32_t axis = 1; padding && axis < last; axis++) {
    one.shape.dim[axis] += f.attr.low.at[axis] + f.attr.high.at[axis] - f.left_over[axis];
    f.attr.low.at[axis] = 0;
    f.attr.high.at[axis] = f.left_over[axis];
  }
  mica_value real = mica_full(x.graph, one, 1);
  return mica_emit(x.graph, MICA_OP_REDUCE_WINDOW, &real, 1, &f.attr);
}

mica_value mica_mean_pool_with(const mica_pool_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_pool_args a = {0};
  if (!pool_arguments("mean_pool", args, &a)) return mica_no_value(a.x.graph);
  pool_form form = {.attr = {.kind = MICA_REDUCE_SUM}};
  if (!pool_windows("mean_pool", &a, &form)) return mica_no_value(a.x.graph);
  if (!mica_operands_accepted("mean_pool", &a.x, 1, MICA_CLASS_INEXACT))
    return mica_no_value(a.x.graph);
  mica_dtype dtype = mica_dtype_of(a.x);
  bool padded = false;
  double cells = 1;
  for (int32_t axis = 1; axis < mica_rank_of(a.x) - 1; axis++) {
    cells *= (double)form.attr.window.at[axis];
    padded = padded || form.left_over[axis] ||
             (!a.count_padding && (form.attr.low.at[axis] || form.attr.high.at[axis]));
  }
  mica_value x = mica_widen(a.x); /* a sum may overflow where the mean does not */
  mica_value mean = mica_emit(x.graph, MICA_OP_REDUCE_WINDOW, &x, 1, &form.attr);
  mean = padded ? mica_div(mean, count_pooled(x, &form, a.count_padding))
                : mica_div_number(mean, cells);
  return turned_back(&a, mica_convert(mean, dtype));
}

mica_value mica_lp_pool_with(const mica_pool_args *args) {
  MICA_ENTRY(args ? args->x.graph : NULL);
  mica_pool_args a = {0};
  if (!pool_arguments("lp_pool", args, &a)) return mica_no_value(a.x.graph);
  pool_form form = {.attr = {.kind = MICA_REDUCE_SUM}};
  if (!pool_windows("lp_pool", &a, &form)) return mica_no_value(a.x.graph);
  if (!mica_operands_accepted("lp_pool", &a.x, 1, MICA_CLASS_FLOAT))
    return mica_no_value(a.x.graph);
  double power = a.power == 0 ? 2 : a.power;
  if (!(power > 0) || !isfinite(power))
    return mica_fail_operator(a.x.graph, "lp_pool", &a.x, 1,
                              "power %g: expected a finite number above 0", power);
  mica_value x = mica_widen(a.x);
  mica_value raised = power == 2   ? mica_square(x)
                      : power == 1 ? mica_abs(x)
                                   : mica_pow(mica_abs(x), power);
  mica_value sum = mica_emit(x.graph, MICA_OP_REDUCE_WINDOW, &raised, 1, &form.attr);
  /* The root's slope at 0 is infinite: what select discards must stay finite. */
  mica_value some = mica_greater(sum, 0);
  mica_value safe = mica_select(some, sum, mica_ones_like(sum));
  mica_value root = power == 2 ? mica_sqrt(safe) : power == 1 ? safe : mica_pow(safe, 1 / power);
  return turned_back(&a, mica_convert(mica_select(some, root, sum), mica_dtype_of(a.x)));
}

/* ---- adaptive --------------------------------------------------------------------------------- */

static void adaptive_cell(int64_t n, int64_t m, int64_t i, int64_t *begin, int64_t *end) {
  *begin = i * n / m;
  *end = ((i + 1) * n + m - 1) / m;
}

/* A reduction of equal parts, when the sizes allow it. */
static mica_value reduce_parts(mica_value x, int32_t axis, int64_t m, bool mean) {
  mica_shape shape = mica_shape_of(x);
  shape.dim[axis] = m;
  shape = mica_shape_insert(shape, axis + 1, mica_dim_of(x, axis) / m);
  mica_value parts = mica_reshape(x, shape);
  mica_axes axes = {.count = 1, .axis = {axis + 1}};
  return mean ? mica_reduce_mean(parts, axes) : mica_reduce_max(parts, axes);
}

static mica_value adaptive_mean_axis(mica_value x, int32_t axis, int64_t m) {
  int64_t n = mica_dim_of(x, axis), cells;
  double *weights =
      mica_i64_multiply(n, m, &cells) ? mica_image_list(x.graph, cells, sizeof(double)) : NULL;
  if (!weights) return mica_no_value(x.graph);
  for (int64_t i = 0; i < cells; i++) weights[i] = 0;
  for (int64_t i = 0; i < m; i++) {
    int64_t begin, end;
    adaptive_cell(n, m, i, &begin, &end);
    for (int64_t j = begin; j < end; j++) weights[j * m + i] = 1 / (double)(end - begin);
  }
  mica_shape shape = {.rank = 2, .dim = {n, m}};
  return mica_multiply_axis(x, axis,
                            mica_constant_array(x.graph, mica_dtype_of(x), shape, weights));
}

/* Each cell's places, the last one again where another cell has one more: [m, longest]. */
static mica_value adaptive_max_axis(mica_value x, int32_t axis, int64_t m) {
  int64_t n = mica_dim_of(x, axis), longest = 0, begin, end;
  for (int64_t i = 0; i < m; i++) {
    adaptive_cell(n, m, i, &begin, &end);
    if (end - begin > longest) longest = end - begin;
  }
  int64_t *places = mica_image_list(x.graph, m * longest, sizeof(int64_t));
  if (!places) return mica_no_value(x.graph);
  for (int64_t i = 0; i < m; i++) {
    adaptive_cell(n, m, i, &begin, &end);
    for (int64_t j = 0; j < longest; j++)
      places[i * longest + j] = begin + j < end ? begin + j : end - 1;
  }
  mica_shape shape = {.rank = 2, .dim = {m, longest}};
  mica_value cells = mica_take(x, mica_places_constant(x.graph, shape, places), axis);
  return mica_reduce_max(cells, (mica_axes){.count = 1, .axis = {axis + 1}});
}

/* Size m of the axis, on [what is before, n, what is after]: lists of cells need an axis of their own. */
static mica_value adaptive_axis(const char *op, mica_value x, int32_t axis, int64_t m, bool mean) {
  mica_shape shape = mica_shape_of(x), lines = {.rank = 3, .dim = {1, shape.dim[axis], 1}};
  for (int32_t i = 0; i < shape.rank; i++) {
    int64_t *side = &lines.dim[i < axis ? 0 : 2];
    if (i != axis && !mica_i64_multiply(*side, shape.dim[i], side))
      return mica_fail(x.graph, MICA_INVALID, "%s: the sizes around axis %d overflow", op, axis),
             mica_no_value(x.graph);
  }
  mica_value flat = mica_reshape(x, lines);
  flat = lines.dim[1] % m == 0 ? reduce_parts(flat, 1, m, mean)
         : mean                ? adaptive_mean_axis(flat, 1, m)
                               : adaptive_max_axis(flat, 1, m);
  shape.dim[axis] = m;
  return mica_reshape(flat, shape);
}

static mica_value adaptive_pool(const char *op, mica_value x, mica_shape sizes, bool mean) {
  int32_t spatial;
  if (!mica_image_checked(op, x, 6, &spatial) || !mica_image_sizes(op, x, spatial, sizes) ||
      !mica_operands_accepted(op, &x, 1, mean ? MICA_CLASS_FLOAT : MICA_CLASS_REAL))
    return mica_no_value(x.graph);
  mica_dtype dtype = mica_dtype_of(x);
  if (mean) x = mica_widen(x);
  for (int32_t axis = 1; axis <= spatial; axis++) {
    int64_t n = mica_dim_of(x, axis), m = sizes.dim[axis - 1];
    if (x.graph->status != MICA_OK || n > INT64_C(1) << 30 || m > INT64_C(1) << 30) break;
    if (n == m) continue;
    x = adaptive_axis(op, x, axis, m, mean);
  }
  return mica_convert(x, dtype);
}
mica_value mica_adaptive_mean_pool(mica_value x, mica_shape sizes) {
  MICA_ENTRY(x.graph);
  return adaptive_pool("adaptive_mean_pool", x, sizes, true);
}
mica_value mica_adaptive_max_pool(mica_value x, mica_shape sizes) {
  MICA_ENTRY(x.graph);
  return adaptive_pool("adaptive_max_pool", x, sizes, false);
}

static mica_axes spatial_axes(int32_t spatial) {
  mica_axes axes = {.count = spatial};
  for (int32_t i = 0; i < spatial; i++) axes.axis[i] = i + 1;
  return axes;
}
mica_value mica_global_mean_pool(mica_value x) {
  MICA_ENTRY(x.graph);
  int32_t spatial;
  if (!mica_image_checked("global_mean_pool", x, 6, &spatial)) return mica_no_value(x.graph);
  return mica_reduce_mean(x, spatial_axes(spatial));
}
mica_value mica_global_max_pool(mica_value x) {
  MICA_ENTRY(x.graph);
  int32_t spatial;
  if (!mica_image_checked("global_max_pool", x, 6, &spatial)) return mica_no_value(x.graph);
  return mica_reduce_max(x, spatial_axes(spatial));
}
