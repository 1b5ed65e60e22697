/* SPDX-License-Identifier: Apache-2.0 */
/* creation.c: arrays made of numbers. They are counted out by iota rather than stored, so that they
 * cost no memory in a graph and melt into what uses them. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/rules.h"

mica_value mica_zeros(mica_graph *graph, mica_type type) {
  MICA_ENTRY(graph);
  return mica_full(graph, type, 0);
}
mica_value mica_ones(mica_graph *graph, mica_type type) {
  MICA_ENTRY(graph);
  return mica_full(graph, type, 1);
}

static bool creates(mica_graph *graph) { return graph && graph->status == MICA_OK; }

mica_value mica_eye(mica_graph *graph, mica_dtype dtype, int64_t rows, int64_t columns,
                    int64_t offset) {
  MICA_ENTRY(graph);
  if (!creates(graph)) return mica_no_value(graph);
  bool wide = rows >= INT32_MAX / 2 || columns >= INT32_MAX / 2;
  if (rows < 0 || columns < 0)
    return mica_fail_operator(graph, "eye", NULL, 0,
                              "%" PRId64 " rows and %" PRId64 " columns: expected at least 0", rows,
                              columns);
  if (offset < -rows) offset = -rows;
  if (offset > columns) offset = columns;
  mica_type matrix = {wide ? MICA_I64 : MICA_I32, {.rank = 2, .dim = {rows, columns}}};
  mica_value row = mica_iota(graph, matrix, 0), column = mica_iota(graph, matrix, 1);
  return mica_convert((mica_equal)(mica_add(row, (double)offset), column), dtype);
}

/* 0, 1, 2, ... [count] in f64. */
static mica_value count_up(mica_graph *graph, mica_dtype dtype, int64_t count) {
  return mica_iota(graph, (mica_type){dtype, {.rank = 1, .dim = {count}}}, 0);
}

static bool is_plain_float(mica_dtype dtype) {
  const char *expected = "";
  return mica_class_accepts(MICA_CLASS_FLOAT, dtype, &expected);
}

mica_value mica_arange(mica_graph *graph, mica_dtype dtype, double start, double stop,
                       double step) {
  MICA_ENTRY(graph);
  if (!creates(graph)) return mica_no_value(graph);
  const char *expected = "";
  if (!mica_class_accepts(MICA_CLASS_REAL, dtype, &expected))
    return mica_fail_operator(graph, "arange", NULL, 0, "dtype %s is not supported: expected %s",
                              mica_dtype_name(dtype), expected);
  double count = ceil((stop - start) / step);
  if (!isfinite(start) || !isfinite(stop) || !isfinite(step) || step == 0 || !(count < 0x1p53))
    return mica_fail_operator(graph, "arange", NULL, 0,
                              "%g to %g by %g: expected finite numbers, a step that is not 0, and "
                              "fewer than 2^53 of them",
                              start, stop, step);
  if (!(count > 0)) count = 0;
  if (mica_dtype_is_integer(dtype)) {
    if (start != nearbyint(start) || step != nearbyint(step))
      return mica_fail_operator(graph, "arange", NULL, 0,
                                "%s from %g by %g: expected whole numbers", mica_dtype_name(dtype),
                                start, step);
    /* Counted in 64 bits, where nothing wraps that does not in the dtype. */
    mica_value number = mica_add(mica_mul(count_up(graph, MICA_I64, (int64_t)count), step), start);
    return mica_convert(number, dtype);
  }
  mica_value number = mica_mul(count_up(graph, MICA_F64, (int64_t)count), step);
  return mica_convert(mica_add(number, start), dtype);
}

mica_value mica_linspace(mica_graph *graph, mica_dtype dtype, double start, double stop,
                         int64_t count) {
  MICA_ENTRY(graph);
  if (!creates(graph)) return mica_no_value(graph);
  if (!is_plain_float(dtype) || !isfinite(start) || !isfinite(stop) || count < 0)
    return mica_fail_operator(graph, "linspace", NULL, 0,
                              "%" PRId64
                              " of %s from %g to %g: expected at least 0 of f16, bf16, "
                              "f32 or f64, and finite ends",
                              count, mica_dtype_name(dtype), start, stop);
  mica_value i = count_up(graph, MICA_F64, count);
  double last = count > 1 ? (double)(count - 1) : 1;
  mica_value number = mica_add(mica_mul(i, (stop - start) / last), start);
  if (count > 1) number = mica_select(mica_equal(i, last), mica_full_like(i, stop), number);
  return mica_convert(number, dtype);
}

void mica_meshgrid(const mica_value *x, size_t count, bool xy, mica_value *out) {
  MICA_ENTRY(mica_graph_of(x, count));
  mica_graph *graph = mica_graph_of(x, count);
  mica_results_clear(graph, "meshgrid", x, count, out, count);
  if (!mica_operands_usable("meshgrid", x, count)) return;
  mica_shape whole = {.rank = (int32_t)count};
  if (count > MICA_MAX_RANK) {
    mica_fail_operator(graph, "meshgrid", x, count, "%zu values: expected at most %d", count,
                       MICA_MAX_RANK);
    return;
  }
  mica_value made[MICA_MAX_RANK] = {{0}};
  int32_t axis[MICA_MAX_RANK];
  for (int32_t i = 0; i < whole.rank; i++) {
    if (mica_rank_of(x[i]) > 1) {
      mica_fail_operator(graph, "meshgrid", x, count,
                         "operand %" PRId32 " has rank %" PRId32 ": expected 0 or 1", i,
                         mica_rank_of(x[i]));
      return;
    }
    axis[i] = xy && i < 2 && count > 1 ? 1 - i : i;
    whole.dim[axis[i]] = mica_rank_of(x[i]) ? mica_dim_of(x[i], 0) : 1;
  }
  for (int32_t i = 0; i < whole.rank; i++) {
    mica_value column =
        mica_reshape_if_needed(x[i], (mica_shape){.rank = 1, .dim = {whole.dim[axis[i]]}});
    made[i] = mica_broadcast_in_dim(column, whole, (mica_axes){.count = 1, .axis = {axis[i]}});
  }
  for (int32_t i = 0; i < whole.rank; i++) out[i] = made[i];
}
