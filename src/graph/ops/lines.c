/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c: products of vectors, and what is computed along a line: convolution, integral by
 * trapezoids, interpolation. */
#include <inttypes.h>

#include "core/memory.h"
#include "graph/ops/rules.h"

/* ---- products of vectors --------------------------------------------------------------------------- */

static bool one_dtype(const char *op, const mica_value *in, size_t count) {
  if (!mica_operands_usable(op, in, count)) return false;
  for (size_t i = 1; i < count; i++)
    if (mica_dtype_of(in[i]) != mica_dtype_of(in[0])) {
      mica_fail_operator(mica_graph_of(in, count), op, in, count,
                         "operands 0 and %zu have different dtypes: expected one dtype "
                         "(mica_convert(x, MICA_...) makes it)",
                         i);
      return false;
    }
  return true;
}

mica_value mica_outer(mica_value x, mica_value y) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  if (!one_dtype("outer", in, 2)) return mica_no_value(mica_graph_of(in, 2));
  mica_shape column = {.rank = 2, .dim = {mica_shape_count(mica_shape_of(x)), 1}},
             row = {.rank = 1, .dim = {mica_shape_count(mica_shape_of(y))}};
  return (mica_mul)(mica_reshape_if_needed(x, column), mica_reshape_if_needed(y, row));
}

/* Each axis becomes one of x beside one of y; axes of size 1 on both sides of an axis vanish. */
mica_value mica_kron(mica_value x, mica_value y) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  if (!one_dtype("kron", in, 2)) return mica_no_value(mica_graph_of(in, 2));
  mica_shape a = mica_shape_of(x), b = mica_shape_of(y);
  while (a.rank < b.rank) a = mica_shape_insert(a, 0, 1);
  while (b.rank < a.rank) b = mica_shape_insert(b, 0, 1);
  mica_shape wide_a = {0}, wide_b = {0}, result = {.rank = a.rank};
  bool fits = true;
  for (int32_t axis = 0; fits && axis < a.rank; axis++) {
    fits = mica_i64_multiply(a.dim[axis], b.dim[axis], &result.dim[axis]);
    for (int32_t part = 0; part < 2; part++) {
      int64_t size = part ? b.dim[axis] : a.dim[axis];
      if (size == 1) continue;
      if (wide_a.rank == MICA_MAX_RANK)
        return mica_fail_operator(x.graph, "kron", in, 2,
                                  "expected at most %d axes larger than 1 in both together",
                                  MICA_MAX_RANK);
      wide_a.dim[wide_a.rank++] = part ? 1 : size;
      wide_b.dim[wide_b.rank++] = part ? size : 1;
    }
  }
  if (!fits) return mica_fail_operator(x.graph, "kron", in, 2, "the result is too large");
  mica_value product =
      (mica_mul)(mica_reshape_if_needed(x, wide_a), mica_reshape_if_needed(y, wide_b));
  return mica_reshape_if_needed(product, result);
}

mica_value mica_cross(mica_value x, mica_value y, int32_t axis) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y}, part[2][3];
  int64_t at;
  if (!mica_broadcast_operands("cross", in, 2, 0) || !mica_builder_axis("cross", in[0], axis, &at))
    return mica_no_value(mica_graph_of(in, 2));
  if (mica_dim_of(in[0], (int32_t)at) != 3)
    return mica_fail_operator(x.graph, "cross", in, 2,
                              "axis %" PRId64 " has size %" PRId64 ": expected 3", at,
                              mica_dim_of(in[0], (int32_t)at));
  for (int i = 0; i < 2; i++) mica_split(in[i], (int32_t)at, 3, part[i]);
  mica_value component[3];
  for (int i = 0; i < 3; i++) {
    int j = (i + 1) % 3, k = (i + 2) % 3;
    component[i] = mica_sub((mica_mul)(part[0][j], part[1][k]), (mica_mul)(part[0][k], part[1][j]));
  }
  return mica_concatenate(component, 3, (int32_t)at);
}

/* ---- along a line ---------------------------------------------------------------------------------- */

static bool is_line(const char *op, const mica_value *in, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (mica_rank_of(in[i]) != 1 || mica_dim_of(in[i], 0) < 1) {
      mica_fail_operator(mica_graph_of(in, count), op, in, count,
                         "operand %zu: expected [n], n at least 1", i);
      return false;
    }
  return true;
}

/* As a convolution of one channel with the shorter one turned round. */
mica_value mica_convolve(mica_value x, mica_value y, mica_padding padding) {
  MICA_ENTRY_OF(x, y);
  mica_value in[2] = {x, y};
  if (!one_dtype("convolve", in, 2) || !is_line("convolve", in, 2))
    return mica_no_value(mica_graph_of(in, 2));
  if (padding != MICA_DEFAULT_PADDING && padding != MICA_SAME && padding != MICA_VALID)
    return mica_fail_operator(x.graph, "convolve", in, 2,
                              "padding %d: expected MICA_DEFAULT_PADDING, MICA_SAME or MICA_VALID",
                              (int)padding);
  bool swapped = mica_dim_of(y, 0) > mica_dim_of(x, 0);
  mica_value line = swapped ? y : x, kernel = swapped ? x : y;
  int64_t n = mica_dim_of(line, 0), k = mica_dim_of(kernel, 0), low = 0, high = 0;
  if (n > INT32_MAX - k)
    return mica_fail_operator(x.graph, "convolve", in, 2, "expected lengths below 2^31 together");
  if (padding == MICA_DEFAULT_PADDING) low = high = k - 1;
  if (padding == MICA_SAME) {
    low = k / 2;
    high = k - 1 - low;
  }
  kernel = mica_reshape(mica_reverse(kernel, (mica_axes){.count = 1}),
                        (mica_shape){.rank = 3, .dim = {k, 1, 1}});
  mica_value out =
      mica_conv(mica_reshape(line, (mica_shape){.rank = 3, .dim = {1, n, 1}}), kernel,
                .padding = MICA_EXPLICIT, .low = {(int32_t)low}, .high = {(int32_t)high});
  return mica_reshape_if_needed(out, (mica_shape){.rank = 1, .dim = {n + low + high - k + 1}});
}

static mica_value neighbors_sum_or_difference(mica_value x, int32_t axis, bool difference) {
  int64_t n = mica_dim_of(x, axis);
  mica_value after = mica_slice_axis(x, axis, 1, n, 1),
             before = mica_slice_axis(x, axis, 0, n - 1, 1);
  return difference ? mica_sub(after, before) : mica_add(after, before);
}

mica_value mica_trapezoid(mica_value y, mica_value x, double spacing, int32_t axis) {
  MICA_ENTRY_OF(y, x);
  mica_value in[2] = {y, x};
  size_t count = x.graph ? 2 : 1;
  int64_t at;
  if (!one_dtype("trapezoid", in, count) || !mica_builder_axis("trapezoid", y, axis, &at) ||
      !mica_operands_accepted("trapezoid", in, count, MICA_CLASS_FLOAT))
    return mica_no_value(mica_graph_of(in, count));
  mica_shape shape = mica_shape_of(y);
  int64_t n = shape.dim[at];
  if (x.graph && (mica_rank_of(x) != 1 || mica_dim_of(x, 0) != n))
    return mica_fail_operator(y.graph, "trapezoid", in, 2,
                              "operand 1 is the points: expected [%" PRId64 "]", n);
  mica_dtype dtype = mica_dtype_of(y);
  mica_axes along = {.count = 1, .axis = {(int32_t)at}};
  if (n < 2) return mica_reduce_sum(mica_mul(y, 0), along);
  mica_value area = mica_mul(neighbors_sum_or_difference(mica_widen(y), (int32_t)at, false), 0.5);
  if (x.graph) {
    mica_shape beside = {.rank = shape.rank};
    for (int32_t i = 0; i < shape.rank; i++) beside.dim[i] = i == at ? n - 1 : 1;
    mica_value step = neighbors_sum_or_difference(mica_widen(x), 0, true);
    area = (mica_mul)(area, mica_reshape_if_needed(step, beside));
  }
  mica_value sum = mica_reduce_sum(area, along);
  return mica_convert(x.graph ? sum : mica_mul(sum, spacing), dtype);
}

mica_value mica_interp(mica_value x, mica_value xs, mica_value ys) {
  MICA_ENTRY_OF(x, xs, ys);
  mica_value in[3] = {x, xs, ys};
  if (!one_dtype("interp", in, 3) || !mica_operands_accepted("interp", in, 3, MICA_CLASS_FLOAT))
    return mica_no_value(mica_graph_of(in, 3));
  mica_dtype dtype = mica_dtype_of(x);
  int64_t n = mica_dim_of(xs, 0);
  if (mica_rank_of(xs) != 1 || n < 1 || !mica_shape_equal(mica_shape_of(xs), mica_shape_of(ys)))
    return mica_fail_operator(
        x.graph, "interp", in, 3,
        "operands 1 and 2 are the points: expected [n] and [n], n at least 1");
  mica_value first = mica_widen(mica_slice(ys, "0")), last = mica_widen(mica_slice(ys, "-1"));
  mica_value at = mica_widen(x), line = first;
  if (n > 1) {
    /* The piece that ends at the first point beyond x. */
    mica_value right = mica_search_sorted(xs, x, true);
    right = mica_min(mica_max(right, 1), (double)(n - 1));
    mica_value left = mica_sub(right, 1);
    mica_value x0 = mica_widen(mica_take(xs, left, 0)), y0 = mica_widen(mica_take(ys, left, 0));
    mica_value dx = mica_sub(mica_widen(mica_take(xs, right, 0)), x0),
               dy = mica_sub(mica_widen(mica_take(ys, right, 0)), y0);
    mica_value no_width = mica_equal(dx, 0);
    mica_value slope = mica_div(dy, mica_select(no_width, mica_ones_like(dx), dx));
    line = mica_add(y0, mica_mul((mica_sub)(at, x0), slope));
  }
  mica_value low = mica_widen(mica_slice(xs, "0")), high = mica_widen(mica_slice(xs, "-1"));
  mica_value y = mica_select((mica_less)(at, low), first, line);
  return mica_convert(mica_select((mica_greater)(at, high), last, y), dtype);
}
