/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.h: what the builders of quantized arrays share. */
#ifndef MICA_GRAPH_OPS_QUANTIZE_H
#define MICA_GRAPH_OPS_QUANTIZE_H
#include "graph/ops/rules.h"

/* The ends of i8, u8, i4 or u4; false for other dtypes. */
bool mica_quantized_ends(mica_dtype dtype, double *least, double *most);
/* Shapes with each axis of blocks cut into [blocks, elements] and [blocks, 1]; false where the
 * scale does not fit. */
bool mica_quantize_cut(mica_shape values, mica_shape scale, mica_shape *out_values,
                       mica_shape *out_scale);
mica_quantized mica_no_quantized(mica_graph *graph);
/* Whether `in` can be used and q is a quantized array; otherwise the graph fails in the name of
 * `op`. */
bool mica_quantized_usable(const char *op, const mica_value *in, size_t count, mica_quantized q);

#endif
