/* SPDX-License-Identifier: Apache-2.0 */
/* shape.h: shapes, data movement and indexing. Negative axes count from the end. */
#ifndef MICA_OPS_SHAPE_H
#define MICA_OPS_SHAPE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* x [a...] -> shape, numpy's rule: axes aligned at the end, sizes of 1 repeated. */
MICA_API mica_value mica_broadcast_to(mica_value x, mica_shape shape);
/* StableHLO's broadcast_in_dim: axis i of x becomes axis axes.axis[i] (increasing) of the
 * result. */
MICA_API mica_value mica_broadcast_in_dim(mica_value x, mica_shape shape, mica_axes axes);
MICA_API mica_value mica_reshape(mica_value x,
                                 mica_shape shape);           /* one size may be -1: what is left */
MICA_API mica_value mica_flatten(mica_value x, int32_t axis); /* axes from `axis` on become one */
MICA_API mica_value mica_expand_dims(mica_value x,
                                     int32_t axis); /* a new axis of size 1 at `axis` */
MICA_API mica_value mica_squeeze(mica_value x,
                                 mica_axes axes); /* drops axes of size 1; MICA_ALL: all of them */
/* Result axis i is x's axis permutation.axis[i]; MICA_ALL reverses the order. */
MICA_API mica_value mica_transpose(mica_value x, mica_axes permutation);
MICA_API mica_value mica_swap_axes(mica_value x, int32_t a, int32_t b);
MICA_API mica_value mica_reverse(mica_value x, mica_axes axes);

/* "1:, ::-2, -1, ..., None": numpy's notation. One part per axis: start:stop:step as in Python
 * (the step may be negative), or an index, which drops the axis; "None" is a new axis of size 1,
 * "..." the axes in between, and missing parts are whole axes. An index out of range is an error
 * that names the part; a range is moved into the axis. */
MICA_API mica_value mica_slice(mica_value x, const char *ranges);
/* [start, limit) by stride along one axis. */
MICA_API mica_value mica_slice_axis(mica_value x, int32_t axis, int64_t start, int64_t limit,
                                    int64_t stride);
/* StableHLO's slice; lists of x's rank. */
MICA_API mica_value mica_slice_with(mica_value x, const int64_t *start, const int64_t *limit,
                                    const int64_t *stride);
/* filling [] of x's dtype; lists of x's rank; low and high may be negative (cut), interior >= 0;
 * NULL: zeros. */
MICA_API mica_value mica_pad(mica_value x, mica_value filling, const int64_t *low,
                             const int64_t *high, const int64_t *interior);
MICA_API mica_value mica_concatenate(const mica_value *x, size_t count, int32_t axis);
MICA_API mica_value mica_stack(const mica_value *x, size_t count,
                               int32_t axis); /* along a new axis */
/* Equal parts along the axis: out[count]. */
MICA_API void mica_split(mica_value x, int32_t axis, size_t count, mica_value *out);

/* x [a...] cut from start (one i32 or i64 [] per axis, clamped into range) -> [sizes...] */
MICA_API mica_value mica_dynamic_slice(mica_value x, const mica_value *start, mica_shape sizes);
MICA_API mica_value mica_dynamic_update_slice(mica_value x, mica_value update,
                                              const mica_value *start);
/* x[index] along an axis, index i32 or i64 [], clamped; the axis is dropped. And its writing
 * counterpart. */
MICA_API mica_value mica_index_axis(mica_value x, mica_value index, int32_t axis);
MICA_API mica_value mica_update_axis(mica_value x, mica_value update, mica_value index,
                                     int32_t axis);

/* 0, 1, 2, ... along `axis` of an array of `type`. */
MICA_API mica_value mica_iota(mica_graph *graph, mica_type type, int32_t axis);

/* numpy.take: x [a..., n, b...], indices [i...] -> [a..., i..., b...]; negative indices are not
 * special; out-of-range ones are clamped. */
MICA_API mica_value mica_take(mica_value x, mica_value indices, int32_t axis);
/* numpy.take_along_axis: indices of x's rank, equal sizes but along `axis`. */
MICA_API mica_value mica_take_along_axis(mica_value x, mica_value indices, int32_t axis);
/* x [n, b...], indices [i...], updates [i..., b...]: x with updates added into (set at) rows;
 * rows out of range are skipped. Equal indices: sums; for set the last one wins. */
MICA_API mica_value mica_scatter_add(mica_value x, mica_value indices, mica_value updates);
MICA_API mica_value mica_scatter_set(mica_value x, mica_value indices, mica_value updates);

/* StableHLO's gather and scatter in full, for parsers and compilers. Lists hold axes; see
 * attributes in src/graph/attributes.h. */
typedef struct {
  size_t struct_size;
  mica_value x, indices;
  const struct mica_names_only *named_;
  mica_axes offset_axes, collapsed_slice_axes, operand_batch_axes, index_batch_axes,
      start_index_map;
  int32_t index_vector_axis;
  mica_shape slice_sizes;
} mica_gather_args;
MICA_API mica_value mica_gather_with(const mica_gather_args *args);
#define mica_gather(...) \
  mica_gather_with(&(mica_gather_args){.struct_size = sizeof(mica_gather_args), __VA_ARGS__})
typedef enum {
  MICA_COMBINE_SET,
  MICA_COMBINE_ADD,
  MICA_COMBINE_MUL,
  MICA_COMBINE_MAX,
  MICA_COMBINE_MIN
} mica_combine;
typedef struct {
  size_t struct_size;
  mica_value x, indices, updates;
  const struct mica_names_only *named_;
  mica_combine combine;
  mica_axes update_window_axes, inserted_window_axes, operand_batch_axes, index_batch_axes,
      index_map;
  int32_t index_vector_axis;
} mica_scatter_args;
MICA_API mica_value mica_scatter_with(const mica_scatter_args *args);
#define mica_scatter(...) \
  mica_scatter_with(&(mica_scatter_args){.struct_size = sizeof(mica_scatter_args), __VA_ARGS__})

#ifdef __cplusplus
}
#endif
#endif
