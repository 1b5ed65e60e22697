/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c: folds by number and counts, all of them scatters into an array of starting values. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph/ops/along.h"

mica_value mica_neutral_number(mica_graph *graph, mica_dtype dtype, mica_reduce_kind kind) {
  if (kind == MICA_REDUCE_SUM || kind == MICA_REDUCE_OR) return mica_scalar(graph, dtype, 0);
  if (kind == MICA_REDUCE_PROD || (kind == MICA_REDUCE_AND && dtype == MICA_BOOL))
    return mica_scalar(graph, dtype, 1);
  bool largest = kind != MICA_REDUCE_MAX;
  if (mica_dtype_is_float(dtype))
    return mica_scalar(graph, dtype, largest ? (double)INFINITY : -(double)INFINITY);
  if (dtype == MICA_BOOL) return mica_scalar(graph, dtype, largest);
  int32_t bits = mica_dtype_bits(dtype);
  if (bits < 8 || bits > 64)
    return mica_fail(graph, MICA_INTERNAL, "dtype %s has no largest value", mica_dtype_name(dtype));
  uint64_t all = UINT64_MAX >> (64 - bits), top = UINT64_C(1) << (bits - 1);
  uint64_t value = largest ? all : 0;
  if (mica_dtype_is_signed(dtype))
    value = kind == MICA_REDUCE_AND ? all : largest ? all ^ top : top;
  uint8_t byte = (uint8_t)value;
  uint16_t half = (uint16_t)value;
  uint32_t word = (uint32_t)value;
  const void *data = bits == 8    ? (const void *)&byte
                     : bits == 16 ? (const void *)&half
                     : bits == 32 ? (const void *)&word
                                  : (const void *)&value;
  mica_tensor *tensor = NULL;
  if (mica_tensor_create(&graph->allocator, (mica_type){dtype, {0}}, data, &tensor, NULL) !=
      MICA_OK)
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value constant = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return constant;
}

/* Rows of updates folded into rows of x by their numbers. */
static mica_value fold_rows(mica_value x, mica_value ids, mica_value updates,
                            mica_scatter_kind kind) {
  int32_t rank = mica_rank_of(x);
  mica_scatter_attr attr = {.kind = (int32_t)kind,
                            .update_window_axes = mica_ints_sequence(1, rank - 1),
                            .inserted_window_axes = {.count = 1},
                            .index_map = {.count = 1},
                            .index_vector_axis = 1};
  return mica_emit(x.graph, MICA_OP_SCATTER, (mica_value[]){x, ids, updates}, 3, &attr);
}

static bool check_length(const char *op, const mica_value *in, size_t count, const char *name,
                         int64_t length) {
  if (length >= 0) return true;
  mica_fail_operator(in[0].graph, op, in, count, "%s is %" PRId64 ": expected 0 or more", name,
                     length);
  return false;
}

mica_value mica_segment_reduce(mica_value x, mica_value ids, int64_t segments,
                               mica_segment_kind kind) {
  MICA_ENTRY_OF(x, ids);
  static const char op[] = "segment_reduce";
  mica_value in[2] = {x, ids};
  mica_graph *graph = mica_graph_of(in, 2);
  if (!mica_operands_usable(op, in, 2) || !check_length(op, in, 2, "segments", segments))
    return mica_no_value(graph);
  mica_type type = mica_type_of(x);
  mica_shape of_ids = mica_shape_of(ids);
  if (kind < MICA_SEGMENT_SUM || kind > MICA_SEGMENT_MEAN)
    return mica_fail_operator(graph, op, in, 2, "kind %d is unknown", (int)kind);
  if (type.shape.rank < 1 || of_ids.rank != 1 || of_ids.dim[0] != type.shape.dim[0])
    return mica_fail_operator(graph, op, in, 2, "expected x [n, b...] and ids [n]");
  bool mean = kind == MICA_SEGMENT_MEAN;
  mica_dtype_class class = mean                        ? MICA_CLASS_INEXACT
                           : kind <= MICA_SEGMENT_PROD ? MICA_CLASS_NUMBER
                                                       : MICA_CLASS_REAL;
  if (!mica_operands_accepted(op, in, 2, class)) return mica_no_value(graph);
  static const mica_scatter_kind combine[] = {MICA_SCATTER_ADD, MICA_SCATTER_MUL, MICA_SCATTER_MAX,
                                              MICA_SCATTER_MIN, MICA_SCATTER_ADD};
  static const mica_reduce_kind start[] = {MICA_REDUCE_SUM, MICA_REDUCE_PROD, MICA_REDUCE_MAX,
                                           MICA_REDUCE_MIN, MICA_REDUCE_SUM};
  if (mean) x = mica_widen(x); /* a sum may overflow where the mean does not */
  mica_dtype dtype = mica_dtype_of(x);
  mica_shape shape = type.shape;
  shape.dim[0] = segments;
  mica_value begin =
      mica_broadcast_if_needed(mica_neutral_number(graph, dtype, start[kind]), shape);
  mica_value out = fold_rows(begin, ids, x, combine[kind]);
  if (!mean) return out;
  mica_type counts = {dtype, {.rank = 1, .dim = {segments}}}, ones = {dtype, of_ids};
  mica_value count =
      fold_rows(mica_full(graph, counts, 0), ids, mica_full(graph, ones, 1), MICA_SCATTER_ADD);
  out = mica_div(out, mica_broadcast_in_dim(count, shape, (mica_axes){1, {0}, false}));
  return dtype == type.dtype ? out : mica_convert(out, type.dtype);
}

/* Counts, or sums of weights, of flat numbers. */
static mica_value count_numbers(mica_value ids, mica_value weights, int64_t length) {
  mica_graph *graph = ids.graph;
  mica_dtype dtype = mica_has_value(weights) ? mica_dtype_of(weights) : MICA_I32;
  mica_type type = {dtype, {.rank = 1, .dim = {length}}};
  mica_value updates = mica_has_value(weights)
                           ? mica_reshape(weights, MICA_DIMS(-1))
                           : mica_full(graph, (mica_type){dtype, mica_shape_of(ids)}, 1);
  return fold_rows(mica_full(graph, type, 0), ids, updates, MICA_SCATTER_ADD);
}

static mica_value flat(mica_value x) {
  return mica_reshape_if_needed(
      x, (mica_shape){.rank = 1, .dim = {mica_shape_count(mica_shape_of(x))}});
}

static bool check_weights(const char *op, const mica_value *in, size_t count, mica_value x,
                          mica_value weights) {
  if (!weights.graph || mica_shape_equal(mica_shape_of(x), mica_shape_of(weights))) return true;
  mica_fail_operator(x.graph, op, in, count, "expected weights of the shape of x");
  return false;
}

mica_value mica_bincount(mica_value x, mica_value weights, int64_t length) {
  MICA_ENTRY_OF(x, weights);
  mica_value in[2] = {x, weights};
  size_t count = weights.graph ? 2 : 1;
  if (!mica_operands_usable("bincount", in, count) ||
      !check_length("bincount", in, count, "length", length) ||
      !check_weights("bincount", in, count, x, weights))
    return mica_no_value(mica_graph_of(in, count));
  return count_numbers(flat(x), weights, length);
}

mica_value mica_histogram(mica_value x, mica_value edges, mica_value weights) {
  MICA_ENTRY_OF(x, edges, weights);
  mica_value in[3] = {x, edges, weights};
  size_t count = weights.graph ? 3 : 2;
  mica_graph *graph = mica_graph_of(in, count);
  if (!mica_operands_usable("histogram", in, count) ||
      !check_weights("histogram", in, count, x, weights))
    return mica_no_value(graph);
  if (mica_rank_of(edges) != 1 || mica_dim_of(edges, 0) < 2)
    return mica_fail_operator(graph, "histogram", in, count,
                              "expected edges [m + 1] of at least one bin");
  int64_t bins = mica_dim_of(edges, 0) - 1;
  mica_value all = flat(x), last = mica_slice_axis(edges, 0, bins, bins + 1, 1);
  mica_value bin = mica_sub(mica_search_sorted(edges, all, true), 1);
  bin = mica_select(mica_equal(all, last), mica_full_like(bin, (double)(bins - 1)), bin);
  return count_numbers(bin, weights, bins);
}
