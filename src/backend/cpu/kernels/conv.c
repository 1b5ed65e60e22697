/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution as a product that never forms its left matrix: rows are output pixels, k runs over the
 * window and the input channels, columns are output channels; w is packed into B's panels.
 *
 * Two ways to read x, chosen by shape. Rows (wide images): neighboring output pixels are a constant
 * stride apart in a slab of x that has its padding written out, so register tiles read the slab
 * itself, one segment for each row of the window. Gathered (narrow images): the runs of a strip of
 * pixels are copied side by side, then multiplied by all output channels. */
#include <string.h>

#include "backend/cpu/kernels/conv_internal.h"

typedef struct conv_plan {
  const mica_conv *conv;
  const mica_cpu_kernels *table;
  const mica_gemm_kernels *kernels;
  mica_conv_view view;
  mica_conv_slab slab;
  int64_t channels, columns; /* of one group: k is taps * channels */
  int64_t k, depth, depth_blocks;
  int64_t padded; /* columns rounded up to vectors */
  int64_t column_block, column_blocks;
  bool gathered, slab_filled, strided; /* strided: the view's pixels are not all of y's */
  int64_t unit;                        /* output rows or, gathered, pixels of a task */
  int64_t units;                       /* tasks along the pixels */
  int64_t piece_count;                 /* of all depth blocks */
  size_t pieces_bytes, segments_bytes, starts_bytes, packed_bytes, worker_bytes;
} conv_plan;

static int64_t conv_copy_row(const conv_plan *plan) {
  return mica_kernel_ceil(plan->depth, 16) * 16 + 16;
}

static const int64_t conv_slab_bytes = 256 << 10; /* half of a small L2 cache */
static const double conv_task_work = 1 << 17;     /* multiply-adds that are worth a task */

static void conv_plan_tasks(conv_plan *plan, int32_t threads) {
  const mica_conv *conv = plan->conv;
  const mica_conv_view *view = &plan->view;
  const double pixel_work =
      (double)mica_kernel_max(plan->k, 1) * (double)plan->columns * (double)conv->groups;
  const double work = pixel_work * (double)mica_conv_pixels(view) * (double)conv->batch;
  double wanted = 4.0 * threads;
  if (wanted > work / conv_task_work) wanted = work / conv_task_work;
  const int64_t tasks = threads > 1 ? (int64_t)wanted + 1 : 1;
  if (plan->gathered) {
    const int64_t total = conv->batch * mica_conv_pixels(view);
    int64_t units = mica_kernel_ceil(tasks, plan->column_blocks);
    units = mica_kernel_max(
        1, mica_kernel_min(units, mica_kernel_ceil(total, plan->kernels->tile_rows)));
    plan->unit = mica_kernel_ceil(total, units);
    plan->units = mica_kernel_ceil(total, plan->unit);
    return;
  }
  /* As many output rows as keep the slab in L2, fewer if the images alone do not feed the threads. */
  const int64_t planes = conv->batch * view->outputs[0];
  const int64_t row_bytes = mica_kernel_max(plan->slab.row_step, 1) *
                            mica_kernel_max(plan->slab.planes, 1) * (int64_t)sizeof(float);
  const int64_t halo = (view->taps[1] - 1) * view->dilation[1];
  int64_t rows = (conv_slab_bytes / row_bytes - halo) / view->stride[1];
  rows = mica_kernel_max(1, mica_kernel_min(rows, view->outputs[1]));
  const int64_t blocks = mica_kernel_ceil(tasks, mica_kernel_max(planes * plan->column_blocks, 1));
  if (blocks > 1) rows = mica_kernel_min(rows, mica_kernel_ceil(view->outputs[1], blocks));
  rows = mica_kernel_ceil(view->outputs[1], mica_kernel_ceil(view->outputs[1], rows));
  plan->unit = rows;
  plan->units = planes * mica_kernel_ceil(view->outputs[1], rows);
}

/* False: the view has no outputs. */
static bool conv_make_plan(conv_plan *plan, const mica_cpu_kernels *table, const mica_conv *conv,
                           int64_t view_index, int32_t threads) {
  *plan = (conv_plan){.conv = conv, .table = table, .kernels = table->gemm[MICA_GEMM_F32]};
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t size = sizeof(float);
  mica_conv_view_make(conv, view_index, &plan->view);
  const mica_conv_view *view = &plan->view;
  plan->channels = conv->input_channels / conv->groups;
  plan->columns = conv->output_channels / conv->groups;
  if (conv->batch <= 0 || mica_conv_pixels(view) <= 0 || plan->columns <= 0) return false;
  plan->k = view->taps[0] * view->taps[1] * view->taps[2] * plan->channels;
  plan->strided = mica_conv_view_count(conv) > 1;
  plan->padded = mica_kernel_ceil(plan->columns, kernels->vector) * kernels->vector;

  /* One pass over k where B as a whole stays in L2. */
  const bool one_pass = plan->k * plan->padded * size <= kernels->block_bytes;
  const int64_t longest = one_pass ? mica_kernel_max(plan->k, 1) : kernels->block_depth;
  plan->depth_blocks = mica_kernel_max(1, mica_kernel_ceil(plan->k, longest));
  plan->depth =
      mica_kernel_max(1, mica_kernel_ceil(mica_kernel_ceil(plan->k, plan->depth_blocks), 4) * 4);
  plan->depth_blocks = mica_kernel_max(1, mica_kernel_ceil(plan->k, plan->depth));

  const int64_t panel = 2 * kernels->vector;
  int64_t widest = kernels->block_bytes / (plan->depth * size) / panel * panel;
  widest = mica_kernel_max(widest, panel);
  plan->column_blocks = mica_kernel_ceil(plan->columns, widest);
  plan->column_block =
      mica_kernel_ceil(mica_kernel_ceil(plan->columns, plan->column_blocks), panel) * panel;
  plan->column_blocks = mica_kernel_ceil(plan->columns, plan->column_block);

  const int64_t width = view->outputs[2], rows = kernels->tile_rows;
  const int64_t strips = mica_kernel_ceil(width, rows);
  plan->gathered = width * 4 < strips * rows * 3 && view->outputs[1] > 1 &&
                   mica_kernel_ceil(plan->columns, panel) > 1;
  mica_conv_slab_make(conv, view, 1, &plan->slab);
  plan->slab_filled = plan->slab.planes > 0;
  conv_plan_tasks(plan, threads);
  if (!plan->gathered) mica_conv_slab_make(conv, view, plan->unit, &plan->slab);

  for (int64_t d = 0; d < plan->depth_blocks; d++) {
    plan->piece_count += mica_conv_pieces(conv, view, d * plan->depth,
                                          mica_kernel_min(plan->k, (d + 1) * plan->depth), NULL);
  }
  mica_gemm_reserve(&plan->pieces_bytes, plan->piece_count, 1, (int64_t)sizeof(mica_conv_piece));
  mica_gemm_reserve(&plan->segments_bytes, plan->piece_count, 1,
                    (int64_t)sizeof(mica_gemm_segment));
  mica_gemm_reserve(&plan->starts_bytes, plan->depth_blocks + 1, 1, (int64_t)sizeof(int64_t));
  int64_t group_elements;
  if (__builtin_mul_overflow(plan->k, plan->padded, &group_elements)) return false;
  mica_gemm_reserve(&plan->packed_bytes, group_elements, conv->groups, size);
  if (plan->gathered) {
    mica_gemm_reserve(&plan->worker_bytes, conv_copy_row(plan), rows, size);
  } else if (plan->slab_filled) {
    mica_gemm_reserve(&plan->worker_bytes, plan->slab.planes, plan->slab.plane_step, size);
  }
  return true;
}

/* A flat convolution without groups is one product. */
static bool conv_as_product(const mica_conv *conv, mica_gemm *g) {
  if (!mica_conv_is_flat(conv) || conv->groups != 1) return false;
  *g = (mica_gemm){.type = MICA_GEMM_F32,
                   .m = conv->batch * conv->input[0] * conv->input[1] * conv->input[2],
                   .n = conv->output_channels,
                   .k = conv->input_channels,
                   .a_row = conv->input_channels,
                   .a_column = 1,
                   .b_row = conv->weights.input,
                   .b_column = conv->weights.output,
                   .c_row = conv->output_channels};
  return true;
}

static size_t conv_shared_bytes(const conv_plan *plan) {
  return plan->pieces_bytes + plan->segments_bytes + plan->starts_bytes + plan->packed_bytes;
}

size_t mica_conv_forward_scratch_size(const mica_cpu_kernels *kernels, const mica_conv *conv,
                                      int32_t threads) {
  mica_gemm product;
  if (mica_conv_is_depthwise(conv)) return 0;
  if (conv_as_product(conv, &product))
    return mica_gemm_any_scratch_size(kernels, &product, threads);
  size_t most = 0;
  for (int64_t i = 0; i < mica_conv_view_count(conv); i++) {
    conv_plan plan;
    if (!conv_make_plan(&plan, kernels, conv, i, threads)) continue;
    if (plan.packed_bytes == SIZE_MAX || plan.worker_bytes == SIZE_MAX) return SIZE_MAX;
    size_t bytes = conv_shared_bytes(&plan);
    mica_gemm_reserve(&bytes, (int64_t)plan.worker_bytes, threads, 1);
    if (bytes > most) most = bytes;
  }
  return most;
}

typedef struct conv_run {
  const conv_plan *plan;
  const float *x, *w;
  float *y;
  bool accumulate, stream;
  mica_gemm_finish finish;
  mica_conv_piece *pieces;
  mica_gemm_segment *segments; /* the pieces as offsets into the slab */
  int64_t *starts;             /* first piece of each depth block */
  const float *packed;         /* [group][depth block] panels */
  float *to;                   /* ... where they are written */
  char *workers;
} conv_run;

static int64_t conv_depth_of(const conv_plan *plan, int64_t depth_block) {
  return mica_kernel_max(0, mica_kernel_min(plan->depth, plan->k - depth_block * plan->depth));
}

static int64_t conv_panel_offset(const conv_plan *plan, int64_t group, int64_t depth_block,
                                 int64_t column) {
  return (group * plan->k + depth_block * plan->depth) * plan->padded +
         conv_depth_of(plan, depth_block) * column;
}

/* Task: packs one depth block of one group's w. */
static void conv_pack_task(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const conv_run *run = context;
  const conv_plan *plan = run->plan;
  const mica_conv_view *view = &plan->view;
  const mica_conv_weights *weights = &plan->conv->weights;
  const int64_t group = index / plan->depth_blocks, d = index % plan->depth_blocks;
  const int64_t begin = d * plan->depth, depth = conv_depth_of(plan, d);
  float *to = run->to + conv_panel_offset(plan, group, d, 0);
  for (int64_t k = begin; k < begin + depth;) {
    const int64_t tap = k / plan->channels, channel = k % plan->channels;
    const int64_t length = mica_kernel_min(plan->channels - channel, begin + depth - k);
    const int64_t row_taps = view->taps[1] * view->taps[2];
    const float *from = run->w + view->w_offset + group * weights->group +
                        tap / row_taps * view->w_tap[0] +
                        tap % row_taps / view->taps[2] * view->w_tap[1] +
                        tap % view->taps[2] * view->w_tap[2] + channel * weights->input;
    plan->kernels->pack(length, plan->columns, from, weights->input, weights->output, to, depth,
                        k - begin);
    k += length;
  }
}

/* A strip of output pixels whose A the tile describes, times the columns of a column block. */
typedef struct conv_strip {
  int64_t group, depth_block, column, columns;
  int64_t rows;  /* of the tile */
  int64_t pixel; /* in y, of the whole batch */
  int64_t step;  /* pixels of y between the rows */
} conv_strip;

static void conv_multiply(const conv_run *run, const conv_strip *strip, mica_gemm_tile *tile) {
  const conv_plan *plan = run->plan;
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t channels = plan->conv->output_channels;
  const int64_t first = strip->group * plan->columns;
  const bool last = strip->depth_block == plan->depth_blocks - 1;
  const float *bias = last ? run->finish.bias : NULL;
  float *y = run->y + strip->pixel * channels + first;
  tile->c_row = strip->step * channels;
  tile->accumulate = run->accumulate || strip->depth_block > 0;
  tile->relu = last && run->finish.relu;
  tile->stream = run->stream;
  const int64_t end = strip->column + strip->columns;
  for (int64_t column = strip->column; column < end;) {
    const int64_t width = mica_kernel_min(2 * kernels->vector, end - column);
    tile->b = run->packed + conv_panel_offset(plan, strip->group, strip->depth_block, column);
    tile->b_step = width > kernels->vector ? 2 * kernels->vector : kernels->vector;
    tile->c = y + column;
    tile->columns = width;
    tile->bias = bias ? bias + first + column : NULL;
    kernels->tile[strip->rows - 1][width > kernels->vector](tile);
    column += width;
  }
}

static void conv_epilogue(const conv_run *run, const conv_strip *strip, int64_t rows) {
  const conv_plan *plan = run->plan;
  const mica_gemm_finish *finish = &run->finish;
  if (!finish->epilogue || strip->depth_block < plan->depth_blocks - 1) return;
  const int64_t channels = plan->conv->output_channels;
  const int64_t column = strip->group * plan->columns + strip->column;
  const int64_t step = strip->step == 1 ? rows : 1;
  for (int64_t r = 0; r < rows; r += step) {
    const int64_t pixel = strip->pixel + r * strip->step;
    finish->epilogue(finish->context, pixel, column, step, strip->columns,
                     run->y + pixel * channels + column, channels);
  }
}

/* The pixel of y that output (depth, row, column) of the view is, in the image. */
static int64_t conv_pixel(const mica_conv_view *view, int64_t depth, int64_t row, int64_t column) {
  return view->y_pixel + depth * view->y_step[0] + row * view->y_step[1] + column * view->y_step[2];
}

/* Task: some output rows of one plane, read from the slab. */
static void conv_rows_task(void *context, int64_t index, int32_t worker) {
  const conv_run *run = context;
  const conv_plan *plan = run->plan;
  const mica_conv *conv = plan->conv;
  const mica_conv_view *view = &plan->view;
  const mica_conv_slab *slab = &plan->slab;
  const int64_t column_index = index % plan->column_blocks, unit = index / plan->column_blocks;
  const int64_t row_blocks = mica_kernel_ceil(view->outputs[1], plan->unit);
  const int64_t first_row = unit % row_blocks * plan->unit;
  const int64_t rows = mica_kernel_min(plan->unit, view->outputs[1] - first_row);
  const int64_t depth = unit / row_blocks % view->outputs[0];
  const int64_t image = unit / row_blocks / view->outputs[0];
  const int64_t x_pixels = conv->input[0] * conv->input[1] * conv->input[2];
  const int64_t y_pixels = conv->output[0] * conv->output[1] * conv->output[2];
  const float *x = run->x + image * x_pixels * conv->input_channels;
  if (plan->slab_filled) {
    float *own = (float *)(void *)(run->workers + (size_t)worker * plan->worker_bytes);
    mica_conv_slab_fill(conv, view, slab, x, depth, first_row, rows, own);
    x = own;
  } else {
    x += (depth * view->stride[0] - view->padding[0]) * slab->plane_step +
         (first_row * view->stride[1] - view->padding[1]) * slab->row_step -
         view->padding[2] * conv->input_channels;
  }
  const int64_t width = view->outputs[2];
  const int64_t strips = mica_kernel_ceil(width, plan->kernels->tile_rows);
  conv_strip strip = {.column = column_index * plan->column_block, .step = view->y_step[2]};
  strip.columns = mica_kernel_min(plan->column_block, plan->columns - strip.column);
  for (strip.group = 0; strip.group < conv->groups; strip.group++) {
    for (int64_t d = 0; d < plan->depth_blocks; d++) {
      strip.depth_block = d;
      mica_gemm_tile tile = {.a_row = view->stride[2] * conv->input_channels,
                             .a_step = 1,
                             .segments = run->segments + run->starts[d],
                             .segment_count = run->starts[d + 1] - run->starts[d]};
      for (int64_t row = 0; row < rows; row++) {
        const float *from =
            x + row * view->stride[1] * slab->row_step + strip.group * plan->channels;
        const int64_t pixel = image * y_pixels + conv_pixel(view, depth, first_row + row, 0);
        int64_t column = 0;
        for (int64_t s = 0; s < strips; s++) {
          strip.rows = (width + s) / strips;
          strip.pixel = pixel + column * strip.step;
          tile.a = from + column * tile.a_row;
          conv_multiply(run, &strip, &tile);
          column += strip.rows;
        }
        strip.pixel = pixel;
        conv_epilogue(run, &strip, width);
      }
    }
  }
  if (run->stream) plan->kernels->stream_end();
}

/* Copies the runs of one output pixel side by side, zeros for what lies outside of x. */
static void conv_gather(const conv_plan *plan, const mica_conv_piece *pieces, int64_t count,
                        const float *x, const int64_t *at, int64_t group, float *to) {
  const mica_conv *conv = plan->conv;
  const mica_conv_view *view = &plan->view;
  const int64_t row_elements = conv->input[2] * conv->input_channels;
  const int64_t first = (at[2] * view->stride[2] - view->padding[2]) * conv->input_channels;
  for (int64_t i = 0; i < count; i++) {
    const mica_conv_piece *piece = &pieces[i];
    const int64_t plane =
        at[0] * view->stride[0] - view->padding[0] + piece->depth_tap * view->dilation[0];
    const int64_t row =
        at[1] * view->stride[1] - view->padding[1] + piece->row_tap * view->dilation[1];
    /* Whole pixels are cut off at the ends of the row, so the group's offset does not matter. */
    int64_t begin = first + piece->element, end = begin + piece->length;
    if (plane < 0 || plane >= conv->input[0] || row < 0 || row >= conv->input[1] || end <= 0 ||
        begin >= row_elements) {
      memset(to, 0, (size_t)piece->length * sizeof *to);
    } else {
      const int64_t left = mica_kernel_max(-begin, 0),
                    right = mica_kernel_max(end - row_elements, 0);
      const int64_t inside = piece->length - left - right;
      const float *from =
          x + (plane * conv->input[1] + row) * row_elements + begin + left + group * plan->channels;
      memset(to, 0, (size_t)left * sizeof *to);
      memcpy(to + left, from, (size_t)inside * sizeof *to);
      memset(to + left + inside, 0, (size_t)right * sizeof *to);
    }
    to += piece->length;
  }
}

/* Task: some output pixels of the batch, gathered strip by strip. */
static void conv_gather_task(void *context, int64_t index, int32_t worker) {
  const conv_run *run = context;
  const conv_plan *plan = run->plan;
  const mica_conv *conv = plan->conv;
  const mica_conv_view *view = &plan->view;
  const int64_t column_index = index % plan->column_blocks, unit = index / plan->column_blocks;
  const int64_t first = unit * plan->unit;
  const int64_t total = conv->batch * mica_conv_pixels(view);
  const int64_t end = mica_kernel_min(first + plan->unit, total);
  const int64_t x_pixels = conv->input[0] * conv->input[1] * conv->input[2];
  const int64_t y_pixels = conv->output[0] * conv->output[1] * conv->output[2];
  float *own = (float *)(void *)(run->workers + (size_t)worker * plan->worker_bytes);
  conv_strip strip = {.column = column_index * plan->column_block, .step = view->y_step[2]};
  strip.columns = mica_kernel_min(plan->column_block, plan->columns - strip.column);
  for (strip.group = 0; strip.group < conv->groups; strip.group++) {
    for (int64_t d = 0; d < plan->depth_blocks; d++) {
      const mica_conv_piece *pieces = run->pieces + run->starts[d];
      const int64_t count = run->starts[d + 1] - run->starts[d];
      const mica_gemm_segment segment = {0, conv_depth_of(plan, d)};
      mica_gemm_tile tile = {.a = own,
                             .a_row = conv_copy_row(plan),
                             .a_step = 1,
                             .segments = &segment,
                             .segment_count = 1};
      strip.depth_block = d;
      for (int64_t pixel = first; pixel < end;) {
        /* A view's rows in y lie apart: its strips end where a row does. */
        const int64_t width = view->outputs[2];
        const int64_t left =
            plan->strided ? mica_kernel_min(width - pixel % width, end - pixel) : end - pixel;
        strip.rows = left / mica_kernel_ceil(left, plan->kernels->tile_rows);
        for (int64_t r = 0; r < strip.rows; r++) {
          const int64_t p = pixel + r, image = p / mica_conv_pixels(view);
          const int64_t at[3] = {p / width / view->outputs[1] % view->outputs[0],
                                 p / width % view->outputs[1], p % width};
          if (r == 0) { strip.pixel = image * y_pixels + conv_pixel(view, at[0], at[1], at[2]); }
          conv_gather(plan, pieces, count, run->x + image * x_pixels * conv->input_channels, at,
                      strip.group, own + r * tile.a_row);
        }
        conv_multiply(run, &strip, &tile);
        conv_epilogue(run, &strip, strip.rows);
        pixel += strip.rows;
      }
    }
  }
  if (run->stream) plan->kernels->stream_end();
}

/* Lists the pieces of each depth block and their places in the slab. */
static void conv_list_pieces(conv_run *run) {
  const conv_plan *plan = run->plan;
  int64_t count = 0;
  for (int64_t d = 0; d < plan->depth_blocks; d++) {
    run->starts[d] = count;
    count += mica_conv_pieces(plan->conv, &plan->view, d * plan->depth,
                              d * plan->depth + conv_depth_of(plan, d), run->pieces + count);
  }
  run->starts[plan->depth_blocks] = count;
  for (int64_t i = 0; i < count; i++) {
    const mica_conv_piece *piece = &run->pieces[i];
    run->segments[i] = (mica_gemm_segment){piece->depth_tap * plan->slab.tap_plane +
                                               piece->row_tap * plan->slab.tap_row + piece->element,
                                           piece->length};
  }
}

size_t mica_conv_packed_size(const mica_cpu_kernels *kernels, const mica_conv *conv) {
  mica_gemm product;
  conv_plan plan;
  if (mica_conv_is_depthwise(conv)) return 0;
  if (conv_as_product(conv, &product))
    return mica_gemm_is_packed(kernels, &product) ? mica_gemm_packed_size(kernels, &product) : 0;
  if (mica_conv_view_count(conv) != 1 || !conv_make_plan(&plan, kernels, conv, 0, 1)) return 0;
  return plan.packed_bytes;
}

void mica_conv_pack(const mica_cpu_kernels *kernels, const mica_conv *conv, const float *w,
                    const mica_parallel *parallel, void *packed) {
  mica_gemm product;
  conv_plan plan;
  if (conv_as_product(conv, &product)) {
    product.b = w + conv->weights.offset;
    mica_gemm_pack(kernels, &product, parallel, packed);
    return;
  }
  if (!conv_make_plan(&plan, kernels, conv, 0, parallel->threads) || plan.k == 0) return;
  conv_run run = {.plan = &plan, .w = w, .to = packed};
  parallel->run(parallel->self, conv->groups * plan.depth_blocks, conv_pack_task, &run);
}

void mica_conv_forward(const mica_cpu_kernels *kernels, const mica_conv *conv, const float *x,
                       const float *w, float *y, bool accumulate, const mica_gemm_finish *finish,
                       const mica_parallel *parallel, void *scratch) {
  if (mica_conv_is_depthwise(conv)) {
    mica_conv_depthwise_forward(kernels, conv, x, w, y, accumulate, finish, parallel);
    return;
  }
  mica_gemm product;
  if (conv_as_product(conv, &product)) {
    product.a = x;
    product.b = w + conv->weights.offset;
    product.c = y;
    product.b_packed = conv->weights.packed;
    product.accumulate = accumulate;
    if (finish) product.finish = *finish;
    mica_gemm_run(kernels, &product, parallel, scratch);
    return;
  }
  for (int64_t i = 0; i < mica_conv_view_count(conv); i++) {
    conv_plan plan;
    if (!conv_make_plan(&plan, kernels, conv, i, parallel->threads)) continue;
    char *next = scratch;
    conv_run run = {.plan = &plan, .x = x, .w = w, .y = y, .accumulate = accumulate};
    if (finish) run.finish = *finish;
    run.pieces = (mica_conv_piece *)(void *)next;
    next += plan.pieces_bytes;
    run.segments = (mica_gemm_segment *)(void *)next;
    next += plan.segments_bytes;
    run.starts = (int64_t *)(void *)next;
    next += plan.starts_bytes;
    run.packed = conv->weights.packed ? conv->weights.packed : (const float *)(const void *)next;
    run.to = (float *)(void *)next;
    next += plan.packed_bytes;
    run.workers = next;
    conv_list_pieces(&run);
    const int64_t size = sizeof(float);
    const double y_bytes = (double)conv->batch * (double)mica_conv_pixels(&plan.view) *
                           (double)(conv->output_channels * size);
    run.stream = plan.depth_blocks == 1 && !accumulate &&
                 mica_gemm_streams(plan.kernels, &run.finish, y,
                                   (conv->output_channels | plan.columns) * size, y_bytes);
    if (plan.k > 0 && !conv->weights.packed) {
      parallel->run(parallel->self, conv->groups * plan.depth_blocks, conv_pack_task, &run);
    }
    parallel->run(parallel->self, plan.units * plan.column_blocks,
                  plan.gathered ? conv_gather_task : conv_rows_task, &run);
  }
}

void mica_conv_backward_data(const mica_cpu_kernels *kernels, const mica_conv *conv,
                             const float *dy, const float *w, float *dx, bool accumulate,
                             const mica_gemm_finish *finish, const mica_parallel *parallel,
                             void *scratch) {
  const mica_conv transposed = mica_conv_transposed(conv);
  mica_conv_forward(kernels, &transposed, dy, w, dx, accumulate, finish, parallel, scratch);
}
