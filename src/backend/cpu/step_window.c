/* SPDX-License-Identifier: Apache-2.0 */
/* step_window.c: reduce_window and select_and_scatter of f32 as spans of pixels with channels innermost.
 *
 * Along each axis, the cells of window o that lie in the operand are evenly spaced: a first place, a
 * count, and one step for the whole axis. So the cells of a window are a product of such runs, and
 * neighboring windows along the last windowed axis mostly have the same ones: a span. Tasks are slabs of
 * the leading axes. */
#include "backend/cpu/moves_internal.h"

#include <string.h>

enum { WINDOW_CELLS = 1024, WINDOW_TASK_BYTES = 1 << 16 };

/* The cells of window `o` along an axis: places first, first + step, ... of the operand. */
typedef struct {
  int64_t first, count;
} axis_cells;

typedef struct {
  int32_t rank;                    /* axes in front of the channels; the last one has the spans */
  int64_t out_size[MICA_MAX_RANK]; /* windows */
  int64_t x_stride[MICA_MAX_RANK], y_stride[MICA_MAX_RANK]; /* elements */
  int64_t cell_step[MICA_MAX_RANK];
  const axis_cells *cells[MICA_MAX_RANK]; /* [out_size] */
  int64_t channels;
  int32_t slab_rank;             /* leading axes that a task fixes */
  int64_t slabs, x_slab, y_slab; /* their number; elements of each */
  bool overlaps, covers;         /* windows share cells; every cell is in a window */
  float neutral;                 /* of a window without a cell */
  void (*kernel)(const mica_window_kernels *kernels, const mica_window_span *span);
} window_plan_argument;

typedef struct {
  const window_plan_argument *argument;
  const mica_window_kernels *kernels;
  const float *x, *source;
  float *out;
} window_job;

/* ---- running ---------------------------------------------------------------------------------- */

/* Offsets of the cells of window at[], relative to the operand's origin; their number. */
static int64_t list_cells(const window_plan_argument *argument, const int64_t *at,
                          int64_t *offsets) {
  int64_t count = 1;
  offsets[0] = 0;
  for (int32_t axis = 0; axis < argument->rank; axis++) {
    const axis_cells *cells = &argument->cells[axis][at[axis]];
    int64_t stride = argument->x_stride[axis], step = argument->cell_step[axis] * stride;
    /* Backwards, so that the products can be made in place: later axes vary fastest. */
    for (int64_t i = count - 1; i >= 0; i--) {
      int64_t base = offsets[i] + cells->first * stride;
      for (int64_t k = cells->count - 1; k >= 0; k--)
        offsets[i * cells->count + k] = base + k * step;
    }
    count *= cells->count;
  }
  return count;
}

/* Windows [begin, end) of the last axis have as many cells, each one `step` further on than before. */
static int64_t span_end(const window_plan_argument *argument, int64_t begin, int64_t *out_step) {
  int32_t last = argument->rank - 1;
  const axis_cells *cells = argument->cells[last];
  int64_t end = begin + 1, size = argument->out_size[last];
  *out_step = end < size ? cells[end].first - cells[begin].first : 0;
  while (end < size && cells[end].count == cells[begin].count &&
         cells[end].first - cells[end - 1].first == *out_step)
    end++;
  return end;
}

/* The row of windows at[0 .. rank - 1), reading x, and source or out at row `y`. */
static void run_row(const window_job *job, int64_t *at, const float *x, float *out,
                    const float *source, float *y) {
  const window_plan_argument *argument = job->argument;
  int64_t offsets[WINDOW_CELLS];
  int32_t last = argument->rank - 1;
  for (int64_t begin = 0; begin < argument->out_size[last];) {
    int64_t step, end = span_end(argument, begin, &step);
    at[last] = begin;
    mica_window_span span = {.cells = offsets,
                             .cell_count = list_cells(argument, at, offsets),
                             .x = x,
                             .x_step = step * argument->x_stride[last],
                             .y_step = argument->y_stride[last],
                             .pixels = end - begin,
                             .channels = argument->channels,
                             .add = argument->overlaps};
    if (source != NULL) {
      span.source = source + begin * argument->y_stride[last];
      span.out = out;
    } else {
      span.out = y + begin * argument->y_stride[last];
    }
    if (span.cell_count > 0) {
      argument->kernel(job->kernels, &span);
    } else if (source == NULL) {
      for (int64_t p = 0; p < span.pixels; p++)
        for (int64_t c = 0; c < span.channels; c++)
          span.out[p * span.y_step + c] = argument->neutral;
    }
    begin = end;
  }
}

static void window_slab(void *context, int64_t slab, int32_t worker) {
  const window_job *job = context;
  const window_plan_argument *argument = job->argument;
  (void)worker;
  const bool select = job->source != NULL;
  int64_t at[MICA_MAX_RANK] = {0}, y = 0, rest = slab;
  for (int32_t axis = argument->slab_rank - 1; axis >= 0; axis--) {
    at[axis] = rest % argument->out_size[axis];
    rest /= argument->out_size[axis];
    y += at[axis] * argument->y_stride[axis];
  }
  if (select && (argument->overlaps || !argument->covers))
    memset(job->out + slab * argument->x_slab, 0, (size_t)argument->x_slab * sizeof(float));
  int32_t last = argument->rank - 1;
  for (;;) {
    int64_t row = y;
    for (int32_t axis = argument->slab_rank; axis < last; axis++)
      row += at[axis] * argument->y_stride[axis];
    run_row(job, at, job->x, job->out, select ? job->source + row : NULL,
            select ? NULL : job->out + row);
    int32_t axis = last - 1;
    while (axis >= argument->slab_rank && ++at[axis] == argument->out_size[axis]) at[axis--] = 0;
    if (axis < argument->slab_rank) return;
  }
}

static mica_status run_window(const mica_cpu_step *step, mica_cpu_context *context) {
  const window_plan_argument *argument = step->argument;
  window_job job = {.argument = argument,
                    .kernels = context->device->kernels->window,
                    .x = mica_cpu_address(step, context, 0),
                    .out = mica_cpu_address(step, context, 1)};
  context->parallel.run(context->parallel.self, argument->slabs, window_slab, &job);
  return MICA_OK;
}

static mica_status run_select(const mica_cpu_step *step, mica_cpu_context *context) {
  const window_plan_argument *argument = step->argument;
  window_job job = {.argument = argument,
                    .kernels = context->device->kernels->window,
                    .x = mica_cpu_address(step, context, 0),
                    .source = mica_cpu_address(step, context, 2),
                    .out = mica_cpu_address(step, context, 1)};
  context->parallel.run(context->parallel.self, argument->slabs, window_slab, &job);
  return MICA_OK;
}

static void fold_max(const mica_window_kernels *kernels, const mica_window_span *span) {
  kernels->max(span);
}
static void fold_min(const mica_window_kernels *kernels, const mica_window_span *span) {
  kernels->min(span);
}
static void fold_sum(const mica_window_kernels *kernels, const mica_window_span *span) {
  kernels->sum(span);
}
static void take_max(const mica_window_kernels *kernels, const mica_window_span *span) {
  kernels->select_max(span);
}
static void take_min(const mica_window_kernels *kernels, const mica_window_span *span) {
  kernels->select_min(span);
}

/* ---- lowering --------------------------------------------------------------------------------- */

static int64_t common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* The cells along an axis for each window. Padding may be anything an attribute can hold, so sizes are
 * limited first. */
static bool find_cells(mica_plan *plan, const mica_window_attr *attr, int32_t axis, int64_t size,
                       int64_t windows, window_plan_argument *out) {
  int64_t window = attr->window.at[axis], base = attr->base_dilation.at[axis];
  int64_t dilation = attr->window_dilation.at[axis], stride = attr->stride.at[axis],
          low = attr->low.at[axis];
  const int64_t limit = INT64_C(1) << 28;
  if (window > WINDOW_CELLS || base > limit || dilation > limit || stride > limit || low > limit ||
      low < -limit || windows > limit || size > limit)
    return false;
  int64_t divisor = common_divisor(base, dilation), every = base / divisor;
  axis_cells *cells = mica_plan_allocate(plan, (size_t)windows, sizeof(*cells));
  if (cells == NULL) return true;
  out->cell_step[axis] = every * dilation / base;
  for (int64_t o = 0; o < windows; o++) {
    for (int64_t w = 0; w < window; w++) {
      int64_t place = o * stride + w * dilation - low;
      if (place < 0 || place % base != 0 || place / base >= size) continue;
      if (cells[o].count++ == 0) cells[o].first = place / base;
    }
  }
  out->cells[axis] = cells;
  return true;
}

/* Whether windows along the axis share cells, and whether they leave none out. */
static void find_cover(const window_plan_argument *argument, int32_t axis, int64_t size,
                       bool *overlaps, bool *covers) {
  int64_t next = 0;
  for (int64_t o = 0; o < argument->out_size[axis]; o++) {
    const axis_cells *cells = &argument->cells[axis][o];
    if (cells->count == 0) continue;
    if (cells->first < next) *overlaps = true;
    if (cells->first != next || (cells->count > 1 && argument->cell_step[axis] != 1))
      *covers = false;
    next = cells->first + (cells->count - 1) * argument->cell_step[axis] + 1;
  }
  if (next != size) *covers = false;
}

static bool is_trivial(const mica_window_attr *attr, int32_t axis, int64_t in, int64_t out) {
  return in == out && attr->window.at[axis] == 1 && attr->stride.at[axis] == 1 &&
         attr->low.at[axis] == 0 && attr->base_dilation.at[axis] == 1;
}

static bool fill_window_plan(mica_plan *plan, const mica_window_attr *attr, mica_shape x,
                             mica_shape y, window_plan_argument *out) {
  int32_t rank = x.rank;
  out->channels = 1;
  while (rank > 1 && is_trivial(attr, rank - 1, x.dim[rank - 1], y.dim[rank - 1]))
    out->channels *= x.dim[--rank];
  out->rank = rank;
  int64_t x_stride = out->channels, y_stride = out->channels, cell_limit = 1;
  for (int32_t axis = rank - 1; axis >= 0; axis--) {
    out->out_size[axis] = y.dim[axis];
    out->x_stride[axis] = x_stride;
    out->y_stride[axis] = y_stride;
    x_stride *= x.dim[axis];
    y_stride *= y.dim[axis];
    cell_limit *= attr->window.at[axis];
    if (cell_limit > WINDOW_CELLS) return false;
    if (!find_cells(plan, attr, axis, x.dim[axis], y.dim[axis], out)) return false;
  }
  if (!mica_plan_good(plan)) return true;
  out->covers = true;
  for (int32_t axis = 0; axis < rank; axis++)
    find_cover(out, axis, x.dim[axis], &out->overlaps, &out->covers);
  out->slabs = 1;
  out->x_slab = x_stride;
  out->y_slab = y_stride;
  while (out->slab_rank + 1 < rank &&
         is_trivial(attr, out->slab_rank, x.dim[out->slab_rank], y.dim[out->slab_rank])) {
    out->slabs *= x.dim[out->slab_rank];
    out->x_slab /= x.dim[out->slab_rank];
    out->y_slab /= y.dim[out->slab_rank++];
  }
  return true;
}

bool mica_plan_window(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  bool select = node->op == MICA_OP_SELECT_AND_SCATTER;
  if (!select && node->op != MICA_OP_REDUCE_WINDOW) return false;
  const uint32_t *operands = mica_node_operands(plan->graph, node);
  const mica_window_attr *attr = node->attr;
  mica_type x = mica_plan_type(plan, operands[0]),
            y = select ? mica_plan_type(plan, operands[1]) : node->type;
  if (x.dtype != MICA_F32 || mica_shape_count(x.shape) == 0 || mica_shape_count(y.shape) == 0)
    return false;
  if (x.shape.rank == 0) return false;
  window_plan_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  if (argument == NULL) return true;
  switch (attr->kind) {
    case MICA_REDUCE_MAX:
      argument->kernel = select ? take_max : fold_max;
      argument->neutral = -__builtin_inff();
      break;
    case MICA_REDUCE_MIN:
      argument->kernel = select ? take_min : fold_min;
      argument->neutral = __builtin_inff();
      break;
    case MICA_REDUCE_SUM: argument->kernel = fold_sum; break;
    default: return false;
  }
  if (!fill_window_plan(plan, attr, x.shape, y.shape, argument)) return false;
  mica_view x_view = mica_plan_dense(plan, operands[0]), source = x_view;
  if (select) source = mica_plan_dense(plan, operands[1]);
  mica_plan_step_add(plan, select ? run_select : run_window, argument, id);
  mica_plan_read(plan, operands[0], x_view);
  mica_plan_result(plan, id);
  if (select) mica_plan_read(plan, operands[1], source);
  int64_t bytes = (int64_t)mica_plan_bytes(plan, x) + (int64_t)mica_plan_bytes(plan, y);
  if (select) bytes += (int64_t)mica_plan_bytes(plan, x);
  mica_plan_cost(plan, (double)bytes / 4, bytes, 200 + bytes / 8);
  return true;
}
