/* SPDX-License-Identifier: Apache-2.0 */
/* The geometry of convolutions: views, runs of the window, padded slabs. */
#include <string.h>

#include "backend/cpu/kernels/conv_internal.h"

void mica_conv_dense_weights(mica_conv *conv) {
  const int64_t groups = mica_kernel_max(conv->groups, 1);
  mica_conv_weights *w = &conv->weights;
  w->offset = 0;
  w->output = 1;
  w->input = conv->output_channels;
  w->group = conv->output_channels / groups;
  w->tap[2] = conv->input_channels / groups * w->input;
  w->tap[1] = conv->kernel[2] * w->tap[2];
  w->tap[0] = conv->kernel[1] * w->tap[1];
}

mica_conv mica_conv_transposed(const mica_conv *conv) {
  mica_conv to = *conv;
  to.input_channels = conv->output_channels;
  to.output_channels = conv->input_channels;
  to.weights.input = conv->weights.output;
  to.weights.output = conv->weights.input;
  to.weights.packed = NULL;
  for (int32_t i = 0; i < 3; i++) {
    to.input[i] = conv->output[i];
    to.output[i] = conv->input[i];
    to.stride[i] = conv->base_dilation[i];
    to.base_dilation[i] = conv->stride[i];
    to.padding[i] = (conv->kernel[i] - 1) * conv->window_dilation[i] - conv->padding[i];
    to.weights.offset += (conv->kernel[i] - 1) * conv->weights.tap[i];
    to.weights.tap[i] = -conv->weights.tap[i];
  }
  return to;
}

static int64_t conv_gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* Outputs a period apart have the same residue modulo the dilation of the input. */
static int64_t conv_period(const mica_conv *conv, int32_t axis) {
  const int64_t dilation = conv->base_dilation[axis];
  return dilation / conv_gcd(conv->stride[axis], dilation);
}

int64_t mica_conv_view_count(const mica_conv *conv) {
  int64_t count = 1;
  for (int32_t i = 0; i < 3; i++) {
    count *= mica_kernel_min(conv_period(conv, i), mica_kernel_max(conv->output[i], 1));
  }
  return count;
}

void mica_conv_view_make(const mica_conv *conv, int64_t index, mica_conv_view *view) {
  int64_t pixel = 1;
  view->y_pixel = 0;
  view->w_offset = conv->weights.offset;
  for (int32_t i = 2; i >= 0; i--) {
    const int64_t base = conv->base_dilation[i], window = conv->window_dilation[i];
    const int64_t period = conv_period(conv, i);
    const int64_t classes = mica_kernel_min(period, mica_kernel_max(conv->output[i], 1));
    const int64_t first = index % classes;
    index /= classes;
    /* Taps that meet an element rather than a gap: the first of them, and how far to the next. */
    const int64_t tap_step = base / conv_gcd(window, base);
    const int64_t position = first * conv->stride[i] - conv->padding[i];
    int64_t tap = 0;
    while (tap < tap_step && (position + tap * window) % base != 0) tap++;
    view->outputs[i] = mica_kernel_ceil(conv->output[i] - first, period);
    view->taps[i] = tap < tap_step && tap < conv->kernel[i]
                        ? mica_kernel_ceil(conv->kernel[i] - tap, tap_step)
                        : 0;
    view->stride[i] = period * conv->stride[i] / base;
    view->dilation[i] = tap_step * window / base;
    view->padding[i] = view->taps[i] > 0 ? -((position + tap * window) / base) : 0;
    view->w_offset += view->taps[i] > 0 ? tap * conv->weights.tap[i] : 0;
    view->w_tap[i] = tap_step * conv->weights.tap[i];
    view->y_pixel += first * pixel;
    view->y_step[i] = classes * pixel; /* classes < period: one output, no step */
    pixel *= conv->output[i];
  }
}

bool mica_conv_view_is_padded(const mica_conv *conv, const mica_conv_view *view) {
  if (mica_conv_pixels(view) <= 0 || view->taps[0] * view->taps[1] * view->taps[2] <= 0) {
    return false;
  }
  for (int32_t i = 0; i < 3; i++) {
    const int64_t last = (view->outputs[i] - 1) * view->stride[i] - view->padding[i] +
                         (view->taps[i] - 1) * view->dilation[i];
    if (view->padding[i] > 0 || last >= conv->input[i]) return true;
  }
  return false;
}

int64_t mica_conv_pieces(const mica_conv *conv, const mica_conv_view *view, int64_t begin,
                         int64_t end, mica_conv_piece *pieces) {
  const int64_t channels = conv->input_channels / conv->groups;
  /* Without gaps between columns and channels a whole row of the window is one run. */
  const bool whole = conv->groups == 1 && view->dilation[2] == 1;
  const int64_t run = whole ? view->taps[2] * channels : channels;
  const int64_t row_runs = whole ? 1 : view->taps[2];
  int64_t count = 0;
  for (int64_t k = begin; k < end;) {
    const int64_t index = k / run, inside = k % run;
    const int64_t length = mica_kernel_min(run - inside, end - k);
    if (pieces) {
      const int64_t row = index / row_runs;
      pieces[count] = (mica_conv_piece){
          row / view->taps[1], row % view->taps[1],
          index % row_runs * view->dilation[2] * conv->input_channels + inside, length};
    }
    count++;
    k += length;
  }
  return count;
}

void mica_conv_slab_make(const mica_conv *conv, const mica_conv_view *view, int64_t output_rows,
                         mica_conv_slab *slab) {
  const int64_t channels = conv->input_channels;
  if (mica_conv_view_is_padded(conv, view)) {
    slab->planes = mica_kernel_max(view->taps[0], 0);
    slab->rows = (output_rows - 1) * view->stride[1] + (view->taps[1] - 1) * view->dilation[1] + 1;
    slab->columns =
        (view->outputs[2] - 1) * view->stride[2] + (view->taps[2] - 1) * view->dilation[2] + 1;
    slab->row_step = slab->columns * channels;
    slab->plane_step = slab->rows * slab->row_step;
    slab->tap_plane = slab->plane_step;
  } else {
    slab->planes = 0;
    slab->rows = conv->input[1];
    slab->columns = conv->input[2];
    slab->row_step = slab->columns * channels;
    slab->plane_step = slab->rows * slab->row_step;
    slab->tap_plane = view->dilation[0] * slab->plane_step;
  }
  slab->tap_row = view->dilation[1] * slab->row_step;
}

void mica_conv_slab_fill(const mica_conv *conv, const mica_conv_view *view,
                         const mica_conv_slab *slab, const float *x, int64_t depth, int64_t row,
                         int64_t output_rows, float *to) {
  const int64_t channels = conv->input_channels;
  const int64_t rows =
      (output_rows - 1) * view->stride[1] + (view->taps[1] - 1) * view->dilation[1] + 1;
  const int64_t first_column = -view->padding[2];
  const int64_t left = mica_kernel_min(mica_kernel_max(-first_column, 0), slab->columns);
  const int64_t inside =
      mica_kernel_max(mica_kernel_min(conv->input[2] - first_column, slab->columns) - left, 0);
  const size_t left_bytes = (size_t)(left * channels) * sizeof(float);
  const size_t inside_bytes = (size_t)(inside * channels) * sizeof(float);
  const size_t right_bytes = (size_t)((slab->columns - left - inside) * channels) * sizeof(float);
  for (int64_t plane = 0; plane < slab->planes; plane++) {
    const int64_t x_plane = depth * view->stride[0] - view->padding[0] + plane * view->dilation[0];
    for (int64_t i = 0; i < rows; i++) {
      const int64_t x_row = row * view->stride[1] - view->padding[1] + i;
      float *out = to + plane * slab->plane_step + i * slab->row_step;
      if (x_plane < 0 || x_plane >= conv->input[0] || x_row < 0 || x_row >= conv->input[1]) {
        memset(out, 0, (size_t)slab->row_step * sizeof(float));
        continue;
      }
      const float *from =
          x +
          ((x_plane * conv->input[1] + x_row) * conv->input[2] + first_column + left) * channels;
      memset(out, 0, left_bytes);
      if (inside_bytes > 0) memcpy(out + left * channels, from, inside_bytes);
      memset(out + (left + inside) * channels, 0, right_bytes);
    }
  }
}

bool mica_conv_is_flat(const mica_conv *conv) {
  for (int32_t i = 0; i < 3; i++) {
    if (conv->kernel[i] != 1 || conv->stride[i] != 1 || conv->padding[i] != 0 ||
        conv->base_dilation[i] != 1 || conv->input[i] != conv->output[i]) {
      return false;
    }
  }
  return true;
}

void mica_conv_zero_weights(const mica_conv *conv, float *dw) {
  const mica_conv_weights *w = &conv->weights;
  const int64_t inputs = conv->input_channels / conv->groups;
  const int64_t outputs = conv->output_channels / conv->groups;
  const int64_t taps = conv->kernel[0] * conv->kernel[1] * conv->kernel[2];
  for (int64_t i = 0; i < conv->groups * taps * inputs; i++) {
    const int64_t tap = i / inputs % taps;
    float *to = dw + w->offset + i / inputs / taps * w->group + i % inputs * w->input +
                tap / (conv->kernel[1] * conv->kernel[2]) * w->tap[0] +
                tap / conv->kernel[2] % conv->kernel[1] * w->tap[1] +
                tap % conv->kernel[2] * w->tap[2];
    for (int64_t j = 0; j < outputs; j++) to[j * w->output] = 0;
  }
}

/* Four lanes written out: -O2 of gcc 12 leaves plain loops scalar. */
typedef float conv_lanes __attribute__((vector_size(16), aligned(4), may_alias));

void mica_conv_add_chunks(const float *sums, int64_t chunks, int64_t chunk_step, int64_t count,
                          float *dw, int64_t dw_step, bool accumulate) {
  int64_t i = 0;
  if (dw_step == 1) {
    for (; i + 4 <= count; i += 4) {
      conv_lanes sum = *(const conv_lanes *)(sums + i);
      for (int64_t c = 1; c < chunks; c++) {
        sum = sum + *(const conv_lanes *)(sums + c * chunk_step + i);
      }
      if (accumulate) sum = *(conv_lanes *)(dw + i) + sum;
      *(conv_lanes *)(dw + i) = sum;
    }
  }
  for (; i < count; i++) {
    float sum = sums[i];
    for (int64_t c = 1; c < chunks; c++) sum += sums[c * chunk_step + i];
    dw[i * dw_step] = accumulate ? dw[i * dw_step] + sum : sum;
  }
}
