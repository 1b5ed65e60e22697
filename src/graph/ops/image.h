/* SPDX-License-Identifier: Apache-2.0 */
/* image.h: what the builders for images [batch, spatial..., channels] and signals share: arrays of
 * places along an axis, and reading by them. */
#ifndef MICA_GRAPH_OPS_IMAGE_H
#define MICA_GRAPH_OPS_IMAGE_H
#include "graph/ops/rules.h"

/* Whether x has a batch, 1 to `most` spatial axes and channels; otherwise the graph fails. */
bool mica_image_checked(const char *op, mica_value x, int32_t most, int32_t *out_spatial);
/* One size of at least 1 for each spatial axis; otherwise the graph fails. */
bool mica_image_sizes(const char *op, mica_value x, int32_t spatial, mica_shape sizes);
/* Entry `i` of a list of an argument struct, `missing` for 0. */
static inline int64_t mica_image_entry(const int32_t *list, int32_t i, int64_t missing) {
  return list[i] ? list[i] : missing;
}
/* Memory for `count` numbers that lives as long as the graph; fails it, NULL, when there is none. */
void *mica_image_list(mica_graph *graph, int64_t count, size_t size);
/* i64 constant of a shape. */
mica_value mica_places_constant(mica_graph *graph, mica_shape shape, const int64_t *places);
/* x read at places[count] along the axis: [..., count, ...]. */
mica_value mica_take_places(mica_value x, int32_t axis, int64_t count, const int64_t *places);
/* x [..., n, ...] times matrix [n, m] over the axis: [..., m, ...]. */
mica_value mica_multiply_axis(mica_value x, int32_t axis, mica_value matrix);

#endif
