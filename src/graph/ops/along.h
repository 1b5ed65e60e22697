/* SPDX-License-Identifier: Apache-2.0 */
/* along.h: what running folds and sorts build their rules from: values moved by one place, and
 * sums into places along an axis. */
#ifndef MICA_GRAPH_OPS_ALONG_H
#define MICA_GRAPH_OPS_ALONG_H
#include "graph/ops/rules.h"

/* Element i is x[i - 1] along the axis, the first one `filling`; backwards: x[i + 1], the last. */
mica_value mica_shift_along(mica_value x, int64_t axis, bool backwards, double filling);
/* 0, 1, 2, .. along the axis in the shape of x: i32, or i64 for more than 2^31 - 1 elements. */
mica_value mica_places_along(mica_value x, int64_t axis);
/* Zeros of `type` with updates [.., m, ..] added at indices [.., m, ..] along the axis: the
 * transpose of mica_take_along_axis. */
mica_value mica_add_along(mica_graph *graph, mica_type type, mica_value indices, mica_value updates,
                          int64_t axis);
/* The value [] that `kind` starts with: 0, 1, or the least or largest of a real dtype or bool. */
mica_value mica_neutral_number(mica_graph *graph, mica_dtype dtype, mica_reduce_kind kind);
#endif
