/* SPDX-License-Identifier: Apache-2.0 */
/* sliding.h: the geometry of one axis along which a window slides, for windows and convolutions.
 *
 * The operand's `size` cells are spread by base_dilation and padded (negative: cut) by low and
 * high; window cell w of output o lies at o * stride + w * window_dilation - low of the spread
 * operand. */
#ifndef MICA_GRAPH_OPS_SLIDING_H
#define MICA_GRAPH_OPS_SLIDING_H
#include "core/memory.h"

typedef struct {
  int64_t size, window, stride, base_dilation, window_dilation, low, high;
} mica_sliding;

/* (size - 1) * dilation + 1, and 0 for 0; false on overflow. */
bool mica_sliding_spread(int64_t size, int64_t dilation, int64_t *out);
/* Number of places of the window, 0 when it does not fit; false on overflow. */
bool mica_sliding_output(const mica_sliding *s, int64_t *out);
/* The axis of the transposed operator, whose operand has the `output` cells and whose result has
 * `size` again, under a window in reverse order: stride and base dilation change places. False
 * on overflow. */
bool mica_sliding_transpose(const mica_sliding *s, int64_t output, mica_sliding *out);
/* The axis of the operator that finds the window's cells: the `output` cells, spread by the
 * stride, slide over the operand by steps of the window's dilation; its result has `window`
 * cells. */
bool mica_sliding_correlate(const mica_sliding *s, int64_t output, mica_sliding *out);
/* Sets low and high so that the output has ceil(spread size / stride) cells; the odd cell comes
 * last. */
bool mica_sliding_pad_same(mica_sliding *s);

#endif
