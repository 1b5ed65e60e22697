/* SPDX-License-Identifier: Apache-2.0 */
/* region.h: reductions, scans, scatters and sorts whose operator is a block of the caller's.
 *
 * As in graph.h, what is built between begin and end belongs to the block, and values from outside
 * may be used freely. The block is built for single elements and applied to whole arrays at once; no
 * node of its own is left, so that derivatives, vmap and every backend are those of what it is made
 * of. A block that is one plain operator (add, mul, max, min, and, or; for sorts a comparison) is
 * recognized and becomes the fixed operator, which is faster: then NaN wins in max and min, and a
 * sort is by the total order of sort.h.
 *
 * Blocks that fold have to be associative (not commutative): elements are joined pair by pair in
 * their order, in log n rounds and n applications altogether. With count values x[0 .. count - 1],
 * argument(i) is the left element of x[i], argument(count + i) the right one; the results are
 * `count` values of the same types. */
#ifndef MICA_OPS_REGION_H
#define MICA_OPS_REGION_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* StableHLO's reduce: x[count] of one shape [a...], init[count] [] -> out[count] [kept axes]: init
 * joined with the elements in row-major order; init alone over nothing. */
MICA_API mica_region mica_reduce_begin(const mica_value *x, const mica_value *init, size_t count,
                                       mica_axes axes);
MICA_API void mica_reduce_end(mica_region region, const mica_value *result, mica_value *out);

/* StableHLO's reduce_window: the same for each window. Padding and holes are init. Lists as in
 * mica_reduce_window. Takes memory for all windows' cells, but for a recognized block whose init is
 * its neutral number. */
typedef struct {
  size_t struct_size;
  const mica_value *x, *init;
  size_t count;
  const struct mica_names_only *named_;
  int64_t window[8], stride[8], base_dilation[8], window_dilation[8];
  int64_t low[8], high[8];
} mica_reduce_window_block_args;
MICA_API mica_region mica_reduce_window_begin_with(const mica_reduce_window_block_args *args);
#define mica_reduce_window_begin(...)                             \
  mica_reduce_window_begin_with(&(mica_reduce_window_block_args){ \
      .struct_size = sizeof(mica_reduce_window_block_args), __VA_ARGS__})
MICA_API void mica_reduce_window_end(mica_region region, const mica_value *result, mica_value *out);

/* StableHLO's select_and_scatter: x [a...], source [windows...], init [] -> [a...]. The first block
 * says of two cells of a window, argument(0) in front of argument(1), whether the first one stays
 * (bool); the second, opened by _combine, joins what the cells get, init first. `init` elsewhere.
 * Padding is never selected. With x >= and add it is the gradient of max-pooling, and recognized. */
typedef struct {
  size_t struct_size;
  mica_value x, source, init;
  const struct mica_names_only *named_;
  int64_t window[8], stride[8], low[8], high[8];
} mica_select_and_scatter_args;
MICA_API mica_region mica_select_and_scatter_begin_with(const mica_select_and_scatter_args *args);
#define mica_select_and_scatter_begin(...)                            \
  mica_select_and_scatter_begin_with(&(mica_select_and_scatter_args){ \
      .struct_size = sizeof(mica_select_and_scatter_args), __VA_ARGS__})
MICA_API void mica_select_and_scatter_combine(mica_region region, mica_value stays);
MICA_API mica_value mica_select_and_scatter_end(mica_region region, mica_value result);

/* StableHLO's scatter: count operands x[i] [a...] and updates[i] at the same indices, lists as in
 * mica_scatter. An element of x is joined with its updates in their order; n log n time. A block
 * that gives argument(count + i) sets: the last update stays. */
typedef struct {
  size_t struct_size;
  const mica_value *x, *updates;
  size_t count;
  mica_value indices;
  const struct mica_names_only *named_;
  mica_axes update_window_axes, inserted_window_axes, operand_batch_axes, index_batch_axes,
      index_map;
  int32_t index_vector_axis;
} mica_scatter_block_args;
MICA_API mica_region mica_scatter_begin_with(const mica_scatter_block_args *args);
#define mica_scatter_begin(...) \
  mica_scatter_begin_with(      \
      &(mica_scatter_block_args){.struct_size = sizeof(mica_scatter_block_args), __VA_ARGS__})
MICA_API void mica_scatter_end(mica_region region, const mica_value *result, mica_value *out);

/* Each x[i] [.., n, ..] with element k along `axis` replaced by the fold of elements 0 .. k (reverse:
 * n - 1 .. k, the last one first). An element is the rest of the axes: the block's arguments are
 * slices without `axis`. Other axes may differ. Twice n applications, 2 log n rounds (Blelloch 1990,
 * Prefix sums and their applications). */
MICA_API mica_region mica_associative_scan_begin(const mica_value *x, size_t count, int32_t axis,
                                                 bool reverse);
MICA_API void mica_associative_scan_end(mica_region region, const mica_value *result,
                                        mica_value *out);

/* StableHLO's sort with a comparator: in[count] of one shape, moved together along `axis`.
 * argument(2 i) and argument(2 i + 1) are two elements of in[i]; the result, bool [], says whether
 * the first must stand in front: a strict weak order. Stable; n log n applications, in
 * (log n)^2 rounds. */
MICA_API mica_region mica_sort_begin(const mica_value *in, size_t count, int32_t axis);
MICA_API void mica_sort_end(mica_region region, mica_value precedes, mica_value *out);

#ifdef __cplusplus
}
#endif
#endif
