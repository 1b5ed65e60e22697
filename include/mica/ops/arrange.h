/* SPDX-License-Identifier: Apache-2.0 */
/* arrange.h: arrays made of numbers, and arrays made of others by repeating, shifting, cutting out
 * diagonals and triangles. All are built of the operators of shape.h. Negative axes count from the
 * end; mica_reverse (shape.h) is numpy.flip. */
#ifndef MICA_OPS_ARRANGE_H
#define MICA_OPS_ARRANGE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- made of numbers ------------------------------------------------------------------------- */

MICA_API mica_value mica_zeros(mica_graph *graph, mica_type type);
MICA_API mica_value mica_ones(mica_graph *graph, mica_type type);
/* [rows, columns]: 1 where column - row is `offset`, else 0. */
MICA_API mica_value mica_eye(mica_graph *graph, mica_dtype dtype, int64_t rows, int64_t columns,
                             int64_t offset);
/* [rows, columns]: 1 where column - row is at most `offset`, else 0: numpy.tri. */
MICA_API mica_value mica_tri(mica_graph *graph, mica_dtype dtype, int64_t rows, int64_t columns,
                             int64_t offset);
/* The place of each element of an array of that shape: [shape..., rank], the last axis by axes. Integer
 * dtypes. */
MICA_API mica_value mica_indices(mica_graph *graph, mica_dtype dtype, mica_shape shape);
/* start, start + step, ... as long as stop is not reached: [ceil((stop - start) / step)], at least
 * []: [0]. Numbers are computed in f64 and rounded once to a float dtype (exact in integers, which
 * take whole start and step). The step is not 0. */
MICA_API mica_value mica_arange(mica_graph *graph, mica_dtype dtype, double start, double stop,
                                double step);
/* [count] numbers at equal distances, from start to stop with both ends; count 1 gives start.
 * Float dtypes. */
MICA_API mica_value mica_linspace(mica_graph *graph, mica_dtype dtype, double start, double stop,
                                  int64_t count);
/* x[i] [n_i] (or [], of size 1) -> out[i] [n_0, n_1, ...], which changes along axis i only. With
 * `xy`, numpy's default, the first two axes are exchanged: [n_1, n_0, ...]. At most 8. */
MICA_API void mica_meshgrid(const mica_value *x, size_t count, bool xy, mica_value *out);

/* ---- axes ------------------------------------------------------------------------------------ */

/* Axis `from` becomes axis `to`; the others keep their order. */
MICA_API mica_value mica_move_axis(mica_value x, int32_t from, int32_t to);
/* x [a..., n, b...] -> n values [a..., b...]; `count` must be n. */
MICA_API void mica_unstack(mica_value x, int32_t axis, size_t count, mica_value *out);
/* Parts of these sizes along the axis, which they add up to: out[count]. */
MICA_API void mica_split_sizes(mica_value x, int32_t axis, const int64_t *sizes, size_t count,
                               mica_value *out);

/* ---- repeating and shifting ------------------------------------------------------------------ */

/* numpy.roll along one axis: element i goes to (i + shift) mod n. */
MICA_API mica_value mica_roll(mica_value x, int64_t shift, int32_t axis);
/* The same with what comes in from outside filled: element i goes to i + shift, what leaves is dropped,
 * `filling` [] of x's dtype takes the places left ({0}: zeros). */
MICA_API mica_value mica_shift(mica_value x, mica_value filling, int64_t shift, int32_t axis);
/* numpy.tile: the whole array `times` over along each axis, aligned at the end; a longer list
 * gives x new axes in front. */
MICA_API mica_value mica_tile(mica_value x, mica_shape times);
/* numpy.repeat: each element `times` over, [a..., n, b...] -> [a..., n times, b...]. */
MICA_API mica_value mica_repeat(mica_value x, int64_t times, int32_t axis);

/* ---- diagonals and triangles ----------------------------------------------------------------- */

/* The elements with b = a + offset of axes a and b, as a last axis: x [..., m, n] -> [..., length]
 * (numpy.diagonal). Costs no more than what it gives. */
MICA_API mica_value mica_diagonal(mica_value x, int64_t offset, int32_t axis_a, int32_t axis_b);
/* x [..., n] -> [..., n + |offset|, n + |offset|], x on the diagonal, zeros elsewhere. */
MICA_API mica_value mica_diag_embed(mica_value x, int64_t offset);
/* numpy.diag: [n] -> the matrix with that diagonal, [m, n] -> its diagonal. */
MICA_API mica_value mica_diag(mica_value x, int64_t offset);
/* x [..., m, n] with zeros above (below) the diagonal that lies `offset` to the right of the main
 * one. What becomes zero may be NaN. */
MICA_API mica_value mica_tril(mica_value x, int64_t offset);
MICA_API mica_value mica_triu(mica_value x, int64_t offset);

/* ---- indices along an axis ------------------------------------------------------------------- */

/* The counterpart of mica_take_along_axis: x [a..., n, b...] with updates [a..., k, b...] written
 * to (added at) indices i32 or i64 [a..., k, b...] of the axis. Those out of range are skipped; of
 * equal ones the last update wins. */
MICA_API mica_value mica_put_along_axis(mica_value x, mica_value indices, mica_value updates,
                                        int32_t axis);
MICA_API mica_value mica_add_along_axis(mica_value x, mica_value indices, mica_value updates,
                                        int32_t axis);

#ifdef __cplusplus
}
#endif
#endif
