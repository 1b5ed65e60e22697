/* SPDX-License-Identifier: Apache-2.0 */
/* Depthwise convolution: every channel has a window of its own, so there is no product to form and
 * memory sets the pace. Rows are read where they lie; the pixels of a row whose windows are whole
 * make one long span, those at the border one span each, with the taps that fall outside left out. */
#include <string.h>

#include "backend/cpu/kernels/conv_internal.h"

enum { DEPTHWISE_TAPS_MAX = 512, DEPTHWISE_CHUNKS = 16 };
static const double depthwise_task_work = 1 << 16; /* multiply-adds that are worth a task */

bool mica_conv_is_depthwise(const mica_conv *conv) {
  return conv->groups > 1 && conv->groups == conv->input_channels &&
         conv->groups == conv->output_channels && conv->weights.group == 1 &&
         (double)conv->kernel[0] * (double)conv->kernel[1] * (double)conv->kernel[2] <=
             (double)DEPTHWISE_TAPS_MAX;
}

typedef struct depthwise_run {
  const mica_conv *conv;
  const mica_conv_kernels *kernels;
  mica_conv_view view;
  const float *x;
  float *y, *w; /* the operand that is only read is not written through these */
  bool accumulate, stream;
  mica_gemm_finish finish;
  int64_t rows, tasks; /* output rows of the batch; tasks, or chunks of the filter's sum */
  float *sums;         /* filter: [chunk][taps][channels] */
} depthwise_run;

/* Runs `kernel` over output row `row` of the batch; tap (d, h, w) is w_taps apart in span->w. */
static void depthwise_row(const depthwise_run *run, int64_t row, const int64_t *w_taps,
                          mica_depthwise_span span, void (*kernel)(const mica_depthwise_span *)) {
  const mica_conv *conv = run->conv;
  const mica_conv_view *view = &run->view;
  const int64_t *in = conv->input;
  const int64_t channels = conv->input_channels;
  const int64_t image = row / view->outputs[1] / view->outputs[0];
  const int64_t plane = row / view->outputs[1] % view->outputs[0], line = row % view->outputs[1];
  const int64_t first_plane = plane * view->stride[0] - view->padding[0];
  const int64_t first_line = line * view->stride[1] - view->padding[1];
  const int64_t width = view->outputs[2], stride = view->stride[2], padding = view->padding[2];
  const int64_t reach = in[2] - 1 + padding - (view->taps[2] - 1) * view->dilation[2];
  int64_t whole = padding > 0 ? mica_kernel_ceil(padding, stride) : 0;
  int64_t whole_end = reach >= 0 ? reach / stride + 1 : 0;
  whole = mica_kernel_min(whole, width);
  whole_end = mica_kernel_max(whole, mica_kernel_min(whole_end, width));

  mica_depthwise_tap taps[DEPTHWISE_TAPS_MAX];
  float *y = span.y;
  span.taps = taps;
  for (int64_t column = 0; column < width; column += span.pixels) {
    const bool inside = column >= whole && column < whole_end;
    const int64_t first_column = column * stride - padding;
    span.pixels = inside ? whole_end - column : 1;
    span.tap_count = 0;
    for (int64_t d = 0; d < view->taps[0]; d++) {
      const int64_t x_plane = first_plane + d * view->dilation[0];
      if (x_plane < 0 || x_plane >= in[0]) continue;
      for (int64_t h = 0; h < view->taps[1]; h++) {
        const int64_t x_line = first_line + h * view->dilation[1];
        if (x_line < 0 || x_line >= in[1]) continue;
        for (int64_t w = 0; w < view->taps[2]; w++) {
          const int64_t x_column = first_column + w * view->dilation[2];
          if (x_column < 0 || x_column >= in[2]) continue;
          taps[span.tap_count++] = (mica_depthwise_tap){
              (((image * in[0] + x_plane) * in[1] + x_line) * in[2] + x_column) * channels,
              d * w_taps[0] + h * w_taps[1] + w * w_taps[2]};
        }
      }
    }
    const int64_t next_line =
        first_line + (view->taps[1] - 1) * view->dilation[1] + view->stride[1];
    span.fetch = run->x;
    if (next_line >= 0 && next_line < in[1] && first_plane >= 0 && first_plane < in[0]) {
      span.fetch += (((image * in[0] + first_plane) * in[1] + next_line) * in[2] +
                     mica_kernel_max(first_column, 0)) *
                    channels;
    }
    span.triples = inside && view->taps[2] == 3 && view->dilation[2] * channels == span.x_step;
    span.y = y + column * span.y_step;
    span.fetch_y = span.y + width * span.y_step;
    kernel(&span);
  }
}

/* The first pixel of an output row in y, of the whole batch. */
static int64_t depthwise_pixel(const depthwise_run *run, int64_t row) {
  const mica_conv *conv = run->conv;
  const mica_conv_view *view = &run->view;
  return row / view->outputs[1] / view->outputs[0] * conv->output[0] * conv->output[1] *
             conv->output[2] +
         view->y_pixel + row / view->outputs[1] % view->outputs[0] * view->y_step[0] +
         row % view->outputs[1] * view->y_step[1];
}

static void depthwise_forward_task(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const depthwise_run *run = context;
  const mica_gemm_finish *finish = &run->finish;
  const int64_t channels = run->conv->output_channels, step = run->view.y_step[2];
  mica_depthwise_span span = {.x = run->x,
                              .w = run->w + run->view.w_offset,
                              .x_step = run->view.stride[2] * channels,
                              .y_step = step * channels,
                              .channels = channels,
                              .bias = finish->bias,
                              .accumulate = run->accumulate,
                              .relu = finish->relu,
                              .stream = run->stream};
  const int64_t end = run->rows * (index + 1) / run->tasks;
  for (int64_t row = run->rows * index / run->tasks; row < end; row++) {
    const int64_t pixel = depthwise_pixel(run, row), width = run->view.outputs[2];
    span.y = run->y + pixel * channels;
    depthwise_row(run, row, run->view.w_tap, span, run->kernels->depthwise);
    if (!finish->epilogue) continue;
    const int64_t count = step == 1 ? width : 1;
    for (int64_t column = 0; column < width; column += count) {
      finish->epilogue(finish->context, pixel + column * step, 0, count, channels,
                       run->y + (pixel + column * step) * channels, channels);
    }
  }
}

void mica_conv_depthwise_forward(const mica_cpu_kernels *kernels, const mica_conv *conv,
                                 const float *x, const float *w, float *y, bool accumulate,
                                 const mica_gemm_finish *finish, const mica_parallel *parallel) {
  for (int64_t i = 0; i < mica_conv_view_count(conv); i++) {
    depthwise_run run = {
        .conv = conv, .kernels = kernels->conv, .x = x, .y = y, .accumulate = accumulate};
    run.w = (float *)(uintptr_t)w;
    if (finish) run.finish = *finish;
    mica_conv_view_make(conv, i, &run.view);
    const mica_conv_view *view = &run.view;
    if (conv->batch <= 0 || mica_conv_pixels(view) <= 0) continue;
    run.rows = conv->batch * view->outputs[0] * view->outputs[1];
    const int64_t size = sizeof(float);
    run.stream =
        !accumulate && mica_gemm_streams(kernels->gemm[MICA_GEMM_F32], &run.finish, y,
                                         conv->output_channels * size,
                                         (double)conv->batch * (double)mica_conv_pixels(view) *
                                             (double)(conv->output_channels * size));
    const double work = (double)conv->batch * (double)mica_conv_pixels(view) *
                        (double)conv->output_channels *
                        (double)(view->taps[0] * view->taps[1] * view->taps[2] + 1);
    double tasks = parallel->threads > 1 ? 8.0 * parallel->threads : 1;
    if (tasks > work / depthwise_task_work) tasks = work / depthwise_task_work;
    run.tasks = mica_kernel_max(1, mica_kernel_min((int64_t)tasks, run.rows));
    parallel->run(parallel->self, run.tasks, depthwise_forward_task, &run);
  }
}

static int64_t depthwise_sum_elements(const mica_conv *conv) {
  return conv->kernel[0] * conv->kernel[1] * conv->kernel[2] * conv->input_channels;
}

size_t mica_conv_depthwise_filter_scratch_size(const mica_conv *conv) {
  size_t bytes = 0;
  mica_gemm_reserve(&bytes, depthwise_sum_elements(conv), DEPTHWISE_CHUNKS, (int64_t)sizeof(float));
  return bytes;
}

static void depthwise_filter_task(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const depthwise_run *run = context;
  const mica_conv_view *view = &run->view;
  const int64_t channels = run->conv->output_channels;
  const int64_t w_taps[3] = {view->taps[1] * view->taps[2] * channels, view->taps[2] * channels,
                             channels};
  const int64_t elements = view->taps[0] * w_taps[0];
  mica_depthwise_span span = {.x = run->x,
                              .w = run->sums + index * elements,
                              .x_step = view->stride[2] * channels,
                              .y_step = view->y_step[2] * channels,
                              .channels = channels};
  memset(span.w, 0, (size_t)elements * sizeof(float));
  const int64_t end = run->rows * (index + 1) / run->tasks;
  for (int64_t row = run->rows * index / run->tasks; row < end; row++) {
    span.y = run->y + depthwise_pixel(run, row) * channels;
    depthwise_row(run, row, w_taps, span, run->kernels->depthwise_filter);
  }
}

void mica_conv_depthwise_filter(const mica_cpu_kernels *kernels, const mica_conv *conv,
                                const float *x, const float *dy, float *dw, bool accumulate,
                                const mica_parallel *parallel, void *scratch) {
  for (int64_t i = 0; i < mica_conv_view_count(conv); i++) {
    depthwise_run run = {.conv = conv, .kernels = kernels->conv, .x = x, .sums = scratch};
    run.y = (float *)(uintptr_t)dy;
    mica_conv_view_make(conv, i, &run.view);
    const mica_conv_view *view = &run.view;
    const int64_t taps = view->taps[0] * view->taps[1] * view->taps[2];
    if (conv->batch <= 0 || mica_conv_pixels(view) <= 0 || taps <= 0) {
      if (!accumulate) mica_conv_zero_weights(conv, dw);
      continue;
    }
    run.rows = conv->batch * view->outputs[0] * view->outputs[1];
    run.tasks = mica_kernel_min(DEPTHWISE_CHUNKS, run.rows);
    parallel->run(parallel->self, run.tasks, depthwise_filter_task, &run);
    for (int64_t tap = 0; tap < taps; tap++) {
      float *to = dw + view->w_offset + tap / view->taps[2] / view->taps[1] * view->w_tap[0] +
                  tap / view->taps[2] % view->taps[1] * view->w_tap[1] +
                  tap % view->taps[2] * view->w_tap[2];
      mica_conv_add_chunks(run.sums + tap * conv->input_channels, run.tasks,
                           taps * conv->input_channels, conv->input_channels, to, 1, accumulate);
    }
  }
}
