/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of a convolution for its weights: dw [taps * channels, columns] = the transpose of
 * the windows of x, times dy, summed over all output pixels.
 *
 * The pixels are the k axis, read from the padded slab of x without a copy: a strip of dw's rows is a
 * run of channels, a step of k moves to the next output column, a segment is an output row. Sums
 * over pixels are cut into chunks by the shape alone; each chunk sums into a dw of its own, and
 * these are added in order at the end, so that many threads share the pixels and still give the
 * same bits. */
#include <string.h>

#include "backend/cpu/kernels/conv_internal.h"

enum {
  FILTER_DEPTH = 256,        /* pixels of a block of k; at most one segment for each */
  FILTER_CHUNKS = 16,        /* most chunks of pixels, and fewest tasks where dw has the rows */
  FILTER_CHUNK_PIXELS = 256, /* fewest in a chunk: adding the chunks up must stay cheap */
  FILTER_DIRECT_STRIPS = 6   /* most strips of a task that read dy where it lies */
};
static const int64_t filter_slab_bytes = 256 << 10;
static const int64_t filter_sum_bytes = 16 << 20; /* of all chunks' dw together */

typedef struct filter_plan {
  const mica_conv *conv;
  const mica_gemm_kernels *kernels;
  mica_conv_view view;
  mica_conv_slab slab;
  bool strided;      /* the view's pixels are not all of y's */
  bool strip_copied; /* a strip of x is copied for all panels to share */
  bool y_direct;     /* dy is read where it lies: few strips do not pay for packing */
  int64_t images, x_image, y_image;  /* number; elements of x, pixels of y between them */
  int64_t slab_image;                /* elements between images of a group, in the slab or x */
  int64_t last_width;                /* output columns of an image's last row */
  int64_t channels, rows, columns;   /* dw of one group: [rows, columns] */
  int64_t padded;                    /* columns rounded up to vectors */
  int64_t group_images;              /* small images share a block of k */
  int64_t unit, row_units, units;    /* output rows of a slab; slabs of a plane; of the batch */
  int64_t block_rows, block_columns; /* of y, in a block of k */
  int64_t run, runs;                 /* rows of dw that lie side by side in x */
  int64_t run_strips;                /* strips of a run */
  int64_t strips, strip_blocks;      /* of all rows of dw; tasks along them */
  int64_t chunks;
  int64_t chunk_elements;
  size_t sum_bytes, slab_bytes, copy_bytes, worker_bytes;
} filter_plan;

/* A window of one pixel without stride, padding or dilation: x and y are two lists of pixels. They
 * are cut into rows of `width`, the last one shorter. */
static void filter_flatten(filter_plan *plan, int64_t depth) {
  const int64_t pixels = plan->images * mica_conv_pixels(&plan->view);
  int64_t *outputs = plan->view.outputs;
  outputs[0] = 1;
  outputs[2] = mica_kernel_ceil(pixels, mica_kernel_ceil(pixels, depth));
  outputs[1] = mica_kernel_ceil(pixels, outputs[2]);
  plan->last_width = pixels - (outputs[1] - 1) * outputs[2];
  plan->images = 1;
  plan->view.y_step[1] = outputs[2];
  plan->slab.row_step = outputs[2] * plan->conv->input_channels;
}

/* How the pixels are cut: into blocks of k, slabs, and chunks of these. */
static void filter_plan_pixels(filter_plan *plan) {
  const mica_conv *conv = plan->conv;
  const mica_conv_view *view = &plan->view;
  int64_t depth = plan->kernels->block_bytes / (plan->padded * (int64_t)sizeof(float));
  depth = mica_kernel_max(64, mica_kernel_min(depth, FILTER_DEPTH));
  mica_conv_slab_make(conv, view, 1, &plan->slab);
  plan->images = conv->batch;
  plan->x_image = conv->input[0] * conv->input[1] * conv->input[2] * conv->input_channels;
  plan->y_image = conv->output[0] * conv->output[1] * conv->output[2];
  plan->last_width = view->outputs[2];
  if (mica_conv_is_flat(conv)) filter_flatten(plan, depth);
  plan->block_columns =
      mica_kernel_ceil(view->outputs[2], mica_kernel_ceil(view->outputs[2], depth));
  plan->block_rows = plan->strided || plan->block_columns < view->outputs[2]
                         ? 1
                         : mica_kernel_max(1, depth / plan->block_columns);
  plan->group_images = 1;
  if (!plan->strided && view->outputs[0] == 1 && plan->block_rows > view->outputs[1]) {
    plan->group_images = mica_kernel_min(plan->block_rows / view->outputs[1], plan->images);
  }

  const int64_t groups = mica_kernel_ceil(plan->images, plan->group_images);
  const int64_t planes = groups * view->outputs[0];
  const int64_t pixels = plan->images * mica_conv_pixels(view);
  plan->chunks = mica_kernel_max(1, mica_kernel_min(FILTER_CHUNKS, pixels / FILTER_CHUNK_PIXELS));
  int64_t unit = view->outputs[1];
  if (plan->group_images == 1) {
    unit = mica_kernel_ceil(unit, mica_kernel_ceil(plan->chunks, planes));
    if (plan->slab.planes > 0) {
      const int64_t row_bytes =
          mica_kernel_max(plan->slab.row_step * plan->slab.planes, 1) * (int64_t)sizeof(float);
      const int64_t halo = (view->taps[1] - 1) * view->dilation[1];
      const int64_t fitting = (filter_slab_bytes / row_bytes - halo) / view->stride[1];
      unit = mica_kernel_max(1, mica_kernel_min(unit, fitting));
    }
  }
  plan->unit = mica_kernel_ceil(view->outputs[1], mica_kernel_ceil(view->outputs[1], unit));
  plan->row_units = mica_kernel_ceil(view->outputs[1], plan->unit);
  plan->units = planes * plan->row_units;
  plan->slab_image = plan->x_image;
  if (plan->slab.planes > 0) {
    mica_conv_slab_make(conv, view, plan->unit, &plan->slab);
    plan->slab_image = plan->slab.planes * plan->slab.plane_step;
  }
}

/* How dw's rows are cut: into strips, the height of a tile. */
static void filter_plan_rows(filter_plan *plan) {
  const mica_conv_view *view = &plan->view;
  const int64_t panels = mica_kernel_ceil(plan->columns, 2 * plan->kernels->vector);
  const bool whole = plan->conv->groups == 1 && view->dilation[2] == 1;
  plan->run = whole ? view->taps[2] * plan->channels : plan->channels;
  plan->runs = plan->rows / plan->run;
  plan->run_strips = mica_kernel_ceil(plan->run, plan->kernels->tile_rows);
  plan->strips = plan->runs * plan->run_strips;
  /* Short rows of y are short segments: one copy makes a long one of them. */
  plan->strip_copied = view->outputs[2] <= 8 && panels >= 3;
}

/* False: the view has no taps or no outputs, its part of dw is zero. */
static bool filter_make_plan(filter_plan *plan, const mica_cpu_kernels *table,
                             const mica_conv *conv, int64_t view_index) {
  *plan = (filter_plan){.conv = conv, .kernels = table->gemm[MICA_GEMM_F32]};
  const mica_conv_view *view = &plan->view;
  const int64_t size = sizeof(float), vector = plan->kernels->vector;
  mica_conv_view_make(conv, view_index, &plan->view);
  plan->channels = conv->input_channels / conv->groups;
  plan->columns = conv->output_channels / conv->groups;
  plan->rows = view->taps[0] * view->taps[1] * view->taps[2] * plan->channels;
  if (plan->rows <= 0 || plan->columns <= 0) return false;
  if (conv->batch <= 0 || mica_conv_pixels(view) <= 0) return false;
  plan->padded = mica_kernel_round(plan->columns, vector);
  plan->strided = mica_conv_view_count(conv) > 1;
  filter_plan_pixels(plan);
  filter_plan_rows(plan);

  plan->chunk_elements = conv->groups * plan->rows * plan->columns;
  const int64_t most = filter_sum_bytes / size / mica_kernel_max(plan->chunk_elements, 1);
  plan->chunks = mica_kernel_max(1, mica_kernel_min(plan->chunks, most));
  plan->chunks = mica_kernel_min(plan->chunks, plan->units);
  plan->strip_blocks = mica_kernel_min(plan->strips, mica_kernel_ceil(FILTER_CHUNKS, plan->chunks));
  plan->y_direct =
      plan->columns % vector == 0 && plan->strips <= FILTER_DIRECT_STRIPS * plan->strip_blocks;
  mica_gemm_reserve(&plan->sum_bytes, plan->chunk_elements, plan->chunks, size);

  const int64_t block = plan->block_rows * plan->block_columns;
  if (plan->slab.planes > 0) {
    mica_gemm_reserve(&plan->slab_bytes, plan->group_images, plan->slab_image, size);
  }
  if (plan->strip_copied) {
    mica_gemm_reserve(&plan->copy_bytes, block, plan->kernels->tile_rows, size);
  }
  mica_gemm_reserve(&plan->worker_bytes, block, plan->padded, size); /* dy packed */
  mica_gemm_reserve(&plan->worker_bytes, (int64_t)plan->slab_bytes, 1, 1);
  mica_gemm_reserve(&plan->worker_bytes, (int64_t)plan->copy_bytes, 1, 1);
  return true;
}

size_t mica_conv_filter_scratch_size(const mica_cpu_kernels *kernels, const mica_conv *conv,
                                     int32_t threads) {
  if (mica_conv_is_depthwise(conv)) return mica_conv_depthwise_filter_scratch_size(conv);
  size_t most = 0;
  for (int64_t i = 0; i < mica_conv_view_count(conv); i++) {
    filter_plan plan;
    if (!filter_make_plan(&plan, kernels, conv, i)) continue;
    if (plan.worker_bytes == SIZE_MAX) return SIZE_MAX;
    size_t bytes = plan.sum_bytes;
    mica_gemm_reserve(&bytes, (int64_t)plan.worker_bytes, threads, 1);
    if (bytes > most) most = bytes;
  }
  return most;
}

typedef struct filter_run {
  const filter_plan *plan;
  const float *x, *dy;
  float *sums; /* [chunk][group][rows][columns] */
  char *workers;
  float *dw;
  bool accumulate;
} filter_run;

/* Offset in the slab of row `row` of dw, for the first output. */
static int64_t filter_row_offset(const filter_plan *plan, int64_t row) {
  mica_conv_piece piece;
  (void)mica_conv_pieces(plan->conv, &plan->view, row, row + 1, &piece);
  return piece.depth_tap * plan->slab.tap_plane + piece.row_tap * plan->slab.tap_row +
         piece.element;
}

/* A block of k: runs of output columns of some rows and images, one segment each. */
typedef struct filter_block {
  const float *x; /* of the first pixel and group */
  int64_t count, depth;
  bool first; /* of the chunk */
  mica_gemm_segment segments[FILTER_DEPTH];
} filter_block;

static void filter_add_segment(filter_block *block, int64_t offset, int64_t length) {
  block->segments[block->count++] = (mica_gemm_segment){offset, length};
  block->depth += length;
}

/* Copies a strip of the block's pixels, [depth][tile rows]. */
static void filter_copy_strip(const filter_plan *plan, const filter_block *block, int64_t rows,
                              const float *from, float *to) {
  const int64_t step = plan->view.stride[2] * plan->conv->input_channels;
  for (int64_t s = 0; s < block->count; s++) {
    const mica_gemm_segment *segment = &block->segments[s];
    plan->kernels->copy_columns(rows, segment->length, from + segment->offset, step, to);
    to += segment->length * plan->kernels->tile_rows;
  }
}

/* Adds a block of k to the strips [strip, strip_end) of dw; dy in panels, or where it lies. */
static void filter_add_block(const filter_plan *plan, const filter_block *block, int64_t strip,
                             int64_t strip_end, const float *dy, float *copy, float *sum) {
  const mica_gemm_kernels *kernels = plan->kernels;
  const int64_t panel = 2 * kernels->vector;
  const mica_gemm_segment whole = {0, block->depth};
  mica_gemm_tile tile = {.a_row = 1,
                         .a_step = plan->view.stride[2] * plan->conv->input_channels,
                         .segments = block->segments,
                         .segment_count = block->count,
                         .c_row = plan->columns,
                         .accumulate = !block->first};
  if (plan->strip_copied) {
    tile.a = copy;
    tile.a_step = kernels->tile_rows;
    tile.segments = &whole;
    tile.segment_count = 1;
  }
  for (; strip < strip_end; strip++) {
    const int64_t first = strip / plan->run_strips * plan->run, s = strip % plan->run_strips;
    const int64_t row = first + plan->run * s / plan->run_strips;
    const int64_t rows = first + plan->run * (s + 1) / plan->run_strips - row;
    const float *from = block->x + filter_row_offset(plan, row);
    if (plan->strip_copied) {
      filter_copy_strip(plan, block, rows, from, copy);
    } else {
      tile.a = from;
    }
    for (int64_t column = 0; column < plan->columns; column += panel) {
      const int64_t width = mica_kernel_min(panel, plan->columns - column);
      tile.b = dy + (plan->y_direct ? column : column * block->depth);
      tile.b_step = width > kernels->vector ? panel : kernels->vector;
      if (plan->y_direct) tile.b_step = plan->view.y_step[2] * plan->conv->output_channels;
      tile.c = sum + row * plan->columns + column;
      tile.columns = width;
      kernels->tile[rows - 1][width > kernels->vector](&tile);
    }
  }
}

/* Output rows [row, row + rows) of `images` images, in the slab at x; y_pixel is the first image's
 * first pixel in this plane. */
typedef struct filter_part {
  const float *x;
  int64_t y_pixel, row, rows, images;
  int64_t strip, strip_end;
  bool first;
} filter_part;

/* All blocks of k of a part, for one group. */
static void filter_add_part(const filter_run *run, const filter_part *part, int64_t group,
                            char *worker) {
  const filter_plan *plan = run->plan;
  const mica_conv_view *view = &plan->view;
  const int64_t outputs = plan->conv->output_channels, inputs = plan->conv->input_channels;
  const int64_t row_step = view->stride[1] * plan->slab.row_step;
  float *copy = (float *)(void *)(worker + plan->slab_bytes);
  float *panels = (float *)(void *)(worker + plan->slab_bytes + plan->copy_bytes);
  float *sum = run->sums + group * plan->rows * plan->columns;
  bool first = part->first;
  for (int64_t r = 0; r < part->rows; r += plan->block_rows) {
    const int64_t rows = mica_kernel_min(plan->block_rows, part->rows - r);
    for (int64_t column = 0; column < view->outputs[2]; column += plan->block_columns) {
      filter_block block;
      block.first = first;
      block.count = block.depth = 0;
      block.x = part->x + r * row_step + column * view->stride[2] * inputs + group * plan->channels;
      for (int64_t image = 0; image < part->images; image++) {
        for (int64_t i = 0; i < rows; i++) {
          const bool last = part->row + r + i == view->outputs[1] - 1;
          const int64_t width = (last ? plan->last_width : view->outputs[2]) - column;
          filter_add_segment(&block, image * plan->slab_image + i * row_step,
                             mica_kernel_min(plan->block_columns, width));
        }
      }
      const int64_t pixel =
          part->y_pixel + (part->row + r) * view->y_step[1] + column * view->y_step[2];
      const float *dy = run->dy + pixel * outputs + group * plan->columns;
      if (!plan->y_direct) {
        plan->kernels->pack(block.depth, plan->columns, dy, view->y_step[2] * outputs, 1, panels,
                            block.depth, 0);
        dy = panels;
      }
      filter_add_block(plan, &block, part->strip, part->strip_end, dy, copy, sum);
      first = false;
    }
  }
}

/* Task: one chunk of the pixels, some strips of dw. */
static void filter_task(void *context, int64_t index, int32_t worker) {
  filter_run run = *(const filter_run *)context;
  const filter_plan *plan = run.plan;
  const mica_conv *conv = plan->conv;
  const mica_conv_view *view = &plan->view;
  const int64_t chunk = index / plan->strip_blocks, block = index % plan->strip_blocks;
  const int64_t begin = plan->units * chunk / plan->chunks;
  const int64_t end = plan->units * (chunk + 1) / plan->chunks;
  char *own = run.workers + (size_t)worker * plan->worker_bytes;
  filter_part part = {.strip = plan->strips * block / plan->strip_blocks,
                      .strip_end = plan->strips * (block + 1) / plan->strip_blocks};
  run.sums += chunk * plan->chunk_elements;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t depth = unit / plan->row_units % view->outputs[0];
    const int64_t image = unit / plan->row_units / view->outputs[0] * plan->group_images;
    const float *x = run.x + image * plan->x_image;
    part.first = unit == begin;
    part.row = unit % plan->row_units * plan->unit;
    part.rows = mica_kernel_min(plan->unit, view->outputs[1] - part.row);
    part.images = mica_kernel_min(plan->group_images, plan->images - image);
    part.y_pixel = image * plan->y_image + view->y_pixel + depth * view->y_step[0];
    if (plan->slab.planes > 0) {
      float *slab = (float *)(void *)own;
      for (int64_t i = 0; i < part.images; i++) {
        mica_conv_slab_fill(conv, view, &plan->slab, x + i * plan->x_image, depth, part.row,
                            part.rows, slab + i * plan->slab_image);
      }
      part.x = slab;
    } else {
      part.x = x + (depth * view->stride[0] - view->padding[0]) * plan->slab.plane_step +
               (part.row * view->stride[1] - view->padding[1]) * plan->slab.row_step -
               view->padding[2] * conv->input_channels;
    }
    for (int64_t group = 0; group < conv->groups; group++) {
      filter_add_part(&run, &part, group, own);
    }
  }
}

/* Task: adds the chunks in order and writes one row of dw (a tap and channel of one group). */
static void filter_sum_task(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const filter_run *run = context;
  const filter_plan *plan = run->plan;
  const mica_conv_view *view = &plan->view;
  const mica_conv_weights *weights = &plan->conv->weights;
  const int64_t group = index / plan->rows, row = index % plan->rows;
  const int64_t tap = row / plan->channels, row_taps = view->taps[1] * view->taps[2];
  float *dw = run->dw + view->w_offset + group * weights->group + tap / row_taps * view->w_tap[0] +
              tap % row_taps / view->taps[2] * view->w_tap[1] +
              tap % view->taps[2] * view->w_tap[2] + row % plan->channels * weights->input;
  mica_conv_add_chunks(run->sums + index * plan->columns, plan->chunks, plan->chunk_elements,
                       plan->columns, dw, weights->output, run->accumulate);
}

void mica_conv_backward_filter(const mica_cpu_kernels *kernels, const mica_conv *conv,
                               const float *x, const float *dy, float *dw, bool accumulate,
                               const mica_parallel *parallel, void *scratch) {
  const int64_t views = mica_conv_view_count(conv);
  const int64_t *base = conv->base_dilation;
  if (base[0] * base[1] * base[2] != 1 && !accumulate) {
    mica_conv_zero_weights(conv, dw); /* some taps may belong to no view */
    accumulate = true;
  }
  if (mica_conv_is_depthwise(conv)) {
    mica_conv_depthwise_filter(kernels, conv, x, dy, dw, accumulate, parallel, scratch);
    return;
  }
  for (int64_t i = 0; i < views; i++) {
    filter_plan plan;
    if (!filter_make_plan(&plan, kernels, conv, i)) {
      if (!accumulate) mica_conv_zero_weights(conv, dw);
      continue;
    }
    filter_run run = {.plan = &plan, .x = x, .dy = dy, .dw = dw, .accumulate = accumulate};
    run.sums = (float *)scratch;
    run.workers = (char *)scratch + plan.sum_bytes;
    parallel->run(parallel->self, plan.chunks * plan.strip_blocks, filter_task, &run);
    parallel->run(parallel->self, conv->groups * plan.rows, filter_sum_task, &run);
  }
}
