/* SPDX-License-Identifier: Apache-2.0 */
/* windows.h: windows of a whole array, for what folds them by a block (window.c). */
#ifndef MICA_GRAPH_OPS_WINDOWS_H
#define MICA_GRAPH_OPS_WINDOWS_H
#include "graph/ops/rules.h"

/* Lists of an argument struct, checked, into *out; false when the graph failed. */
bool mica_window_lists(const char *op, mica_value x, const int64_t window[8],
                       const int64_t stride[8], const int64_t base_dilation[8],
                       const int64_t window_dilation[8], const int64_t low[8],
                       const int64_t high[8], mica_window_attr *out);
/* How many windows lie along each axis of x; false when the graph failed. */
bool mica_window_sizes(const char *op, mica_value x, const mica_window_attr *attr, mica_shape *out);
/* x, not empty -> [cells of a window, windows], cells and windows in row-major order; padding and
 * holes are `filling` []. */
mica_value mica_window_patches(const char *op, const mica_window_attr *attr, mica_value x,
                               mica_value filling, mica_shape windows);
#endif
