/* SPDX-License-Identifier: Apache-2.0 */
/* indexing.h: what gather and scatter have in common. Both walk over index vectors; each points
 * at a window of the operand. A scatter is described here by the gather that reads the windows
 * it writes. */
#ifndef MICA_GRAPH_OPS_INDEXING_H
#define MICA_GRAPH_OPS_INDEXING_H
#include "graph/ops/rules.h"

/* Names of the lists as the operator's own attributes have them, for messages. */
typedef struct {
  const char *dropped, *map;
} mica_index_names;

/* Checks everything about x and indices but slice sizes and window axes. *out_batch is the shape
 * of the indices without their vector axis. */
bool mica_infer_indexing(mica_infer *infer, mica_gather_attr *attr, const mica_index_names *names,
                         mica_shape *out_batch);

/* Whether every window fits into x at some place. It does not where x is empty along an axis
 * from which the window takes one element: nothing can be read there, and a scatter skips
 * everything. */
bool mica_windows_fit(const mica_gather_attr *attr, mica_shape x);

/* Index vectors moved to where gather reads: each window clamped into x of that shape. */
mica_value mica_clamp_indices(mica_value indices, const mica_gather_attr *attr, mica_shape x);
/* bool, in the result's shape of the gather: whether the whole window of the element lies in x. */
mica_value mica_window_inside(mica_value indices, const mica_gather_attr *attr, mica_shape x,
                              mica_shape result);

/* The gather of one more axis 0: of examples in x only (`examples` of them), in the indices
 * only, or in both (then it is a batch axis of the gather). */
mica_gather_attr mica_batch_indexing(const mica_gather_attr *attr, bool x_batched,
                                     bool indices_batched, int64_t examples);

/* The scatter that writes what a gather reads. */
mica_scatter_attr mica_scatter_like(const mica_gather_attr *attr, mica_scatter_kind kind);
/* The gather that reads what a scatter writes; sizes from the shapes of x and updates. */
mica_gather_attr mica_gather_like(const mica_scatter_attr *attr, mica_shape x, mica_shape updates);

#endif
