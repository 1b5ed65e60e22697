/* SPDX-License-Identifier: Apache-2.0 */
/* What the convolution files share. A convolution with dilated input falls apart into views, one for
 * each residue of the output's position: within a view every tap meets the input at each of its
 * outputs, so the work has no multiplications by the zeros between the elements. Without dilated
 * input there is one view. */
#ifndef MICA_BACKEND_CPU_KERNELS_CONV_INTERNAL_H
#define MICA_BACKEND_CPU_KERNELS_CONV_INTERNAL_H

#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/gemm_internal.h"

/* Output j, tap t of an axis: x index j * stride - padding + t * dilation. Offsets and steps in
 * elements; w and y begin at theirs. */
typedef struct mica_conv_view {
  int64_t outputs[3], taps[3], stride[3], dilation[3], padding[3];
  int64_t w_offset, w_tap[3];
  int64_t y_pixel, y_step[3]; /* in pixels of y */
} mica_conv_view;

int64_t mica_conv_view_count(const mica_conv *conv);
void mica_conv_view_make(const mica_conv *conv, int64_t index, mica_conv_view *view);

/* Whether a tap of the view falls outside of x for some output. */
bool mica_conv_view_is_padded(const mica_conv *conv, const mica_conv_view *view);

/* A run of the k axis, in the order depth tap, row tap, column tap, channel, whose elements of x lie
 * side by side: `element` after the first channel of the window's first column. */
typedef struct mica_conv_piece {
  int64_t depth_tap, row_tap, element, length;
} mica_conv_piece;

/* Writes the pieces of k in [begin, end) and returns their number, at most
 * taps + 1; `pieces` NULL: counts only. */
int64_t mica_conv_pieces(const mica_conv *conv, const mica_conv_view *view, int64_t begin,
                         int64_t end, mica_conv_piece *pieces);

/* x of one image around some output rows of one output plane, with its padding written out:
 * [depth taps][rows][columns][channels]. */
typedef struct mica_conv_slab {
  int64_t planes, rows, columns; /* sizes */
  int64_t row_step, plane_step;  /* elements */
  int64_t tap_row, tap_plane;    /* elements between taps */
} mica_conv_slab;

/* The slab for `output_rows` rows; for a view without padding, x itself described as a slab. */
void mica_conv_slab_make(const mica_conv *conv, const mica_conv_view *view, int64_t output_rows,
                         mica_conv_slab *slab);

/* Fills `slab` for the output rows from `row` on of output plane `depth`, image `x`. */
void mica_conv_slab_fill(const mica_conv *conv, const mica_conv_view *view,
                         const mica_conv_slab *slab, const float *x, int64_t depth, int64_t row,
                         int64_t output_rows, float *to);

/* One window of one pixel, stride 1, no padding or dilation: a product of pixels and channels. */
bool mica_conv_is_flat(const mica_conv *conv);

/* dw over all taps and channels = 0. */
void mica_conv_zero_weights(const mica_conv *conv, float *dw);

/* dw[i * dw_step] = (dw +) the sum over chunks c, in order, of sums[c * chunk_step + i]. */
void mica_conv_add_chunks(const float *sums, int64_t chunks, int64_t chunk_step, int64_t count,
                          float *dw, int64_t dw_step, bool accumulate);

/* conv_depthwise.c: one input and one output channel in each group, channels side by side in w. */
bool mica_conv_is_depthwise(const mica_conv *conv);
size_t mica_conv_depthwise_filter_scratch_size(const mica_conv *conv);
void mica_conv_depthwise_forward(const mica_cpu_kernels *kernels, const mica_conv *conv,
                                 const float *x, const float *w, float *y, bool accumulate,
                                 const mica_gemm_finish *finish, const mica_parallel *parallel);
void mica_conv_depthwise_filter(const mica_cpu_kernels *kernels, const mica_conv *conv,
                                const float *x, const float *dy, float *dw, bool accumulate,
                                const mica_parallel *parallel, void *scratch);

static inline int64_t mica_conv_pixels(const mica_conv_view *view) {
  return view->outputs[0] * view->outputs[1] * view->outputs[2];
}

#endif
