/* SPDX-License-Identifier: Apache-2.0 */
/* arrange.c: repeating, shifting, diagonals and triangles, made of the primitives that move
 * elements. A diagonal is a slice with a stride: in the elements of [m, n] in order, one step down
 * and to the right is n + 1 elements. */
#include <inttypes.h>

#include "core/memory.h"
#include "core/text.h"
#include "graph/ops/rules.h"

/* ---- axes ------------------------------------------------------------------------------------- */

mica_value mica_move_axis(mica_value x, int32_t from, int32_t to) {
  MICA_ENTRY(x.graph);
  int64_t source, target;
  if (!mica_operands_usable("move_axis", &x, 1) ||
      !mica_builder_axis("move_axis", x, from, &source) ||
      !mica_builder_axis("move_axis", x, to, &target))
    return mica_no_value(x.graph);
  int32_t rank = mica_rank_of(x), next = 0;
  mica_ints permutation = {.count = rank};
  for (int32_t i = 0; i < rank; i++) {
    if (i != target && next == source) next++;
    permutation.at[i] = i == target ? source : next++;
  }
  return mica_transpose_if_needed(x, &permutation);
}

void mica_unstack(mica_value x, int32_t axis, size_t count, mica_value *out) {
  MICA_ENTRY(x.graph);
  int64_t at;
  mica_results_clear(x.graph, "unstack", &x, 1, out, count);
  if (!mica_operands_usable("unstack", &x, 1) || !mica_builder_axis("unstack", x, axis, &at))
    return;
  int64_t size = mica_dim_of(x, (int32_t)at);
  if ((uint64_t)count != (uint64_t)size) {
    mica_fail_operator(x.graph, "unstack", &x, 1,
                       "%zu %s of axis %" PRId64 ": expected %" PRId64 ", its size", count,
                       mica_noun(count, "value", "values"), at, size);
    return;
  }
  mica_shape shape = mica_shape_remove(mica_shape_of(x), (int32_t)at);
  for (size_t i = 0; i < count; i++)
    out[i] = mica_reshape_if_needed(mica_slice_axis(x, (int32_t)at, (int64_t)i, (int64_t)i + 1, 1),
                                    shape);
}

void mica_split_sizes(mica_value x, int32_t axis, const int64_t *sizes, size_t count,
                      mica_value *out) {
  MICA_ENTRY(x.graph);
  int64_t at, sum = 0;
  mica_results_clear(x.graph, "split_sizes", &x, 1, out, count);
  if (!mica_operands_usable("split_sizes", &x, 1) ||
      !mica_builder_axis("split_sizes", x, axis, &at))
    return;
  int64_t size = mica_dim_of(x, (int32_t)at);
  bool fits = sizes || !count;
  for (size_t i = 0; fits && i < count; i++)
    fits = sizes[i] >= 0 && mica_i64_add(sum, sizes[i], &sum);
  if (!fits || sum != size) {
    mica_fail_operator(x.graph, "split_sizes", &x, 1,
                       "axis %" PRId64 " has size %" PRId64
                       ": expected %zu %s of at least 0 that add up to it",
                       at, size, count, mica_noun(count, "size", "sizes"));
    return;
  }
  for (size_t i = 0, from = 0; i < count; from += (size_t)sizes[i++])
    out[i] = mica_slice_axis(x, (int32_t)at, (int64_t)from, (int64_t)from + sizes[i], 1);
}

/* ---- places ------------------------------------------------------------------------------------- */

mica_value mica_tri(mica_graph *graph, mica_dtype dtype, int64_t rows, int64_t columns,
                    int64_t offset) {
  MICA_ENTRY(graph);
  mica_type type = {dtype, {.rank = 2, .dim = {rows, columns}}};
  return mica_tril(mica_ones(graph, type), offset);
}

mica_value mica_indices(mica_graph *graph, mica_dtype dtype, mica_shape shape) {
  MICA_ENTRY(graph);
  mica_value along[MICA_MAX_RANK];
  mica_type type = {dtype, shape};
  if (!mica_dtype_is_integer(dtype) || shape.rank < 0 || shape.rank >= MICA_MAX_RANK)
    return mica_fail_operator(graph, "indices", NULL, 0,
                              "dtype %s and rank %" PRId32
                              ": expected an integer dtype and a rank below %d",
                              mica_dtype_name(dtype), shape.rank, MICA_MAX_RANK);
  if (shape.rank == 0) return mica_zeros(graph, (mica_type){dtype, {.rank = 1, .dim = {0}}});
  for (int32_t axis = 0; axis < shape.rank; axis++) along[axis] = mica_iota(graph, type, axis);
  return mica_stack(along, (size_t)shape.rank, -1);
}

/* ---- repeating and shifting -------------------------------------------------------------------- */

mica_value mica_roll(mica_value x, int64_t shift, int32_t axis) {
  MICA_ENTRY(x.graph);
  int64_t at;
  if (!mica_operands_usable("roll", &x, 1) || !mica_builder_axis("roll", x, axis, &at))
    return mica_no_value(x.graph);
  int64_t size = mica_dim_of(x, (int32_t)at), behind = size ? shift % size : 0;
  if (behind < 0) behind += size;
  if (behind == 0) return x;
  int64_t cut = size - behind;
  mica_value parts[2] = {mica_slice_axis(x, (int32_t)at, cut, size, 1),
                         mica_slice_axis(x, (int32_t)at, 0, cut, 1)};
  return mica_concatenate(parts, 2, (int32_t)at);
}

mica_value mica_shift(mica_value x, mica_value filling, int64_t shift, int32_t axis) {
  MICA_ENTRY_OF(x, filling);
  int64_t at, low[MICA_MAX_RANK] = {0}, high[MICA_MAX_RANK] = {0};
  if (!mica_operands_usable("shift", &x, 1) || !mica_builder_axis("shift", x, axis, &at))
    return mica_no_value(x.graph);
  if (!filling.graph) filling = mica_scalar(x.graph, mica_dtype_of(x), 0);
  int64_t size = mica_dim_of(x, (int32_t)at);
  if (shift > size) shift = size;
  if (shift < -size) shift = -size;
  low[at] = shift;
  high[at] = -shift;
  return mica_pad(x, filling, low, high, NULL);
}

/* `times` over along some axes: x is cut in front of each of them, gets a new axis there, and
 * axes that stay together are one. Three axes at once need 7 in between. */
static mica_value tile_some(mica_value x, const int64_t *times, int32_t first, int32_t *out_next) {
  enum { AT_ONCE = 3 };
  mica_shape from = mica_shape_of(x), result = from, cut = {.rank = 1, .dim = {1}}, whole = cut;
  mica_axes axes = {.count = 1};
  int32_t cuts = 0, axis = first;
  for (int32_t i = 0; i < first; i++) {
    cut.dim[0] *= from.dim[i];
    whole.dim[0] *= from.dim[i];
  }
  for (; axis < from.rank && (times[axis] == 1 || cuts < AT_ONCE); axis++) {
    if (times[axis] != 1) {
      cuts++;
      whole.dim[whole.rank++] = times[axis];
      axes.axis[axes.count++] = whole.rank;
      whole.dim[whole.rank++] = 1;
      cut.dim[cut.rank++] = 1;
      if (!mica_i64_multiply(result.dim[axis], times[axis], &result.dim[axis]))
        result.dim[axis] = INT64_MAX; /* refused with the shape */
    }
    cut.dim[cut.rank - 1] *= from.dim[axis];
    whole.dim[whole.rank - 1] *= from.dim[axis];
  }
  for (int32_t i = axis; i < from.rank; i++) {
    cut.dim[cut.rank - 1] *= from.dim[i];
    whole.dim[whole.rank - 1] *= from.dim[i];
  }
  *out_next = axis;
  if (!cuts) return x;
  x = mica_broadcast_in_dim(mica_reshape_if_needed(x, cut), whole, axes);
  return mica_reshape_if_needed(x, result);
}

mica_value mica_tile(mica_value x, mica_shape times) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("tile", &x, 1)) return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  char text[MICA_SHAPE_TEXT];
  bool fits = times.rank >= 0 && times.rank <= MICA_MAX_RANK;
  for (int32_t i = 0; fits && i < times.rank; i++) fits = times.dim[i] >= 0;
  if (!fits)
    return mica_fail_operator(x.graph, "tile", &x, 1,
                              "times %s: expected at most %d numbers of at least 0",
                              mica_shape_text(times, text), MICA_MAX_RANK);
  while (shape.rank < times.rank) shape = mica_shape_insert(shape, 0, 1);
  while (times.rank < shape.rank) times = mica_shape_insert(times, 0, 1);
  x = mica_reshape_if_needed(x, shape);
  for (int32_t axis = 0; axis < shape.rank && mica_has_value(x);)
    x = tile_some(x, times.dim, axis, &axis);
  return x;
}

mica_value mica_repeat(mica_value x, int64_t times, int32_t axis) {
  MICA_ENTRY(x.graph);
  int64_t at;
  if (!mica_operands_usable("repeat", &x, 1) || !mica_builder_axis("repeat", x, axis, &at))
    return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x), cut = {.rank = 2, .dim = {1, 1}};
  for (int32_t i = 0; i < shape.rank; i++) cut.dim[i > at] *= shape.dim[i];
  if (times < 0 || !mica_i64_multiply(shape.dim[at], times, &shape.dim[at]))
    return mica_fail_operator(x.graph, "repeat", &x, 1,
                              "%" PRId64 " times: expected at least 0, and no overflow", times);
  mica_shape whole = {.rank = 3, .dim = {cut.dim[0], times, cut.dim[1]}};
  x = mica_broadcast_in_dim(mica_reshape_if_needed(x, cut), whole,
                            (mica_axes){.count = 2, .axis = {0, 2}});
  return mica_reshape_if_needed(x, shape);
}

/* ---- diagonals and triangles ------------------------------------------------------------------- */

mica_value mica_diagonal(mica_value x, int64_t offset, int32_t axis_a, int32_t axis_b) {
  MICA_ENTRY(x.graph);
  int64_t a, b;
  if (!mica_operands_usable("diagonal", &x, 1) || !mica_builder_axis("diagonal", x, axis_a, &a) ||
      !mica_builder_axis("diagonal", x, axis_b, &b))
    return mica_no_value(x.graph);
  if (a == b)
    return mica_fail_operator(x.graph, "diagonal", &x, 1,
                              "axis %" PRId64 " is given twice: expected two axes", a);
  mica_shape shape = mica_shape_of(x), flat = {0};
  mica_ints permutation = {0};
  for (int32_t i = 0; i < shape.rank; i++)
    if (i != a && i != b) {
      permutation.at[permutation.count++] = i;
      flat.dim[flat.rank++] = shape.dim[i];
    }
  permutation.at[permutation.count++] = a;
  permutation.at[permutation.count++] = b;
  int64_t rows = shape.dim[a], columns = shape.dim[b], length = 0, start = 0;
  if (offset > -rows && offset < columns) {
    int64_t below = offset < 0 ? rows + offset : rows,
            beside = offset > 0 ? columns - offset : columns;
    length = below < beside ? below : beside;
    start = offset < 0 ? -offset * columns : offset;
  }
  flat.dim[flat.rank++] = rows * columns;
  x = mica_reshape_if_needed(mica_transpose_if_needed(x, &permutation), flat);
  int64_t limit = length ? start + (length - 1) * (columns + 1) + 1 : start;
  return mica_slice_axis(x, -1, start, limit, columns + 1);
}

mica_value mica_diag_embed(mica_value x, int64_t offset) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("diag_embed", &x, 1)) return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  if (shape.rank < 1 || shape.rank >= MICA_MAX_RANK)
    return mica_fail_operator(x.graph, "diag_embed", &x, 1, "expected rank 1 to %d",
                              MICA_MAX_RANK - 1);
  int64_t length = shape.dim[shape.rank - 1], size, all;
  int64_t away = offset >= 0 ? offset : offset == INT64_MIN ? INT64_MAX : -offset;
  if (offset == INT64_MIN || !mica_i64_add(length, away, &size) || size == INT64_MAX ||
      !mica_i64_multiply(size, size + 1, &all))
    return mica_fail_operator(x.graph, "diag_embed", &x, 1,
                              "offset %" PRId64 ": the matrix is too large", offset);
  int64_t low[MICA_MAX_RANK] = {0}, high[MICA_MAX_RANK] = {0}, interior[MICA_MAX_RANK] = {0};
  int32_t last = shape.rank - 1;
  low[last] = length == 0 ? 0 : offset < 0 ? away * size : away;
  interior[last] = size;
  high[last] = size * size - low[last] - (length ? (length - 1) * (size + 1) + 1 : 0);
  mica_value flat = mica_pad(x, mica_number_for("diag_embed", x, 0), low, high, interior);
  shape.dim[last] = size;
  return mica_reshape_if_needed(flat, mica_shape_insert(shape, shape.rank, size));
}

mica_value mica_diag(mica_value x, int64_t offset) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("diag", &x, 1)) return mica_no_value(x.graph);
  int32_t rank = mica_rank_of(x);
  if (rank == 1) return mica_diag_embed(x, offset);
  if (rank == 2) return mica_diagonal(x, offset, 0, 1);
  return mica_fail_operator(x.graph, "diag", &x, 1,
                            "expected rank 1 or 2 (mica_diagonal and mica_diag_embed take more)");
}

static mica_value keep_triangle(const char *op, mica_value x, int64_t offset, bool lower) {
  if (!mica_operands_usable(op, &x, 1)) return mica_no_value(x.graph);
  mica_shape shape = mica_shape_of(x);
  if (shape.rank < 2)
    return mica_fail_operator(x.graph, op, &x, 1, "expected a rank of at least 2");
  int64_t rows = shape.dim[shape.rank - 2], columns = shape.dim[shape.rank - 1];
  bool wide = rows >= INT32_MAX / 2 || columns >= INT32_MAX / 2;
  if (offset < -rows) offset = -rows;
  if (offset > columns) offset = columns;
  mica_type matrix = {wide ? MICA_I64 : MICA_I32, {.rank = 2, .dim = {rows, columns}}};
  mica_value row = mica_iota(x.graph, matrix, 0), column = mica_iota(x.graph, matrix, 1);
  mica_value edge = mica_add(row, (double)offset);
  mica_value kept = lower ? (mica_less_equal)(column, edge) : (mica_greater_equal)(column, edge);
  return mica_select(mica_broadcast_if_needed(kept, shape), x, mica_zeros_like(x));
}

mica_value mica_tril(mica_value x, int64_t offset) {
  MICA_ENTRY(x.graph);
  return keep_triangle("tril", x, offset, true);
}
mica_value mica_triu(mica_value x, int64_t offset) {
  MICA_ENTRY(x.graph);
  return keep_triangle("triu", x, offset, false);
}

/* ---- indices along an axis --------------------------------------------------------------------- */

static mica_value scatter_along(const char *op, mica_scatter_kind kind, mica_value x,
                                mica_value indices, mica_value updates, int32_t axis) {
  mica_value in[3] = {x, indices, updates};
  mica_graph *graph = mica_graph_of(in, 3);
  int64_t along;
  if (!mica_operands_usable(op, in, 3) || !mica_builder_axis(op, x, axis, &along))
    return mica_no_value(graph);
  mica_shape shape = mica_shape_of(x), from = mica_shape_of(indices);
  bool fits = shape.rank == from.rank;
  mica_scatter_attr attr = {.kind = (int32_t)kind,
                            .inserted_window_axes = {.count = 1, .at = {along}},
                            .index_map = {.count = 1, .at = {along}},
                            .index_vector_axis = from.rank};
  for (int32_t i = 0; fits && i < shape.rank; i++) {
    if (i == along) continue;
    fits = shape.dim[i] == from.dim[i];
    attr.operand_batch_axes.at[attr.operand_batch_axes.count++] = i;
  }
  if (!fits)
    return mica_fail_operator(
        graph, op, in, 3,
        "expected indices of the operand's rank, with equal sizes but along axis %" PRId64, along);
  if (!mica_shape_equal(from, mica_shape_of(updates)))
    return mica_fail_operator(graph, op, in, 3, "expected updates of the indices' shape");
  attr.index_batch_axes = attr.operand_batch_axes;
  return mica_emit(graph, MICA_OP_SCATTER, in, 3, &attr);
}

mica_value mica_put_along_axis(mica_value x, mica_value indices, mica_value updates, int32_t axis) {
  MICA_ENTRY_OF(x, indices, updates);
  return scatter_along("put_along_axis", MICA_SCATTER_SET, x, indices, updates, axis);
}
mica_value mica_add_along_axis(mica_value x, mica_value indices, mica_value updates, int32_t axis) {
  MICA_ENTRY_OF(x, indices, updates);
  return scatter_along("add_along_axis", MICA_SCATTER_ADD, x, indices, updates, axis);
}
