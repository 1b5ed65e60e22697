/* SPDX-License-Identifier: Apache-2.0 */
/* step_fft.c: Fourier transforms, an axis after the other. Most run in lanes: a block of as many
 * transforms as a vector has lanes is brought in, transformed in the cache, and put back. Along the last
 * axis, rows that are long or too few to fill the lanes run as matrices (fft_run.c).
 *
 * Real rows of even length are complex rows of half the length, with a step that takes the two halves
 * apart; of odd length, complex rows whose imaginary parts are zero. */
#include "backend/cpu/fft_internal.h"
#include "backend/cpu/moves_internal.h"

#include <math.h>
#include <string.h>

typedef enum {
  FFT_COMPLEX,
  FFT_AFTER,  /* rfft, even length */
  FFT_WIDEN,  /* rfft, odd length */
  FFT_BEFORE, /* irfft, even length */
  FFT_MIRROR  /* irfft, odd length */
} fft_mode;

typedef struct {
  fft_mode mode;
  bool inverse, whole; /* whole: rows as matrices */
  int64_t length;      /* of the complex transform */
  int64_t outer, inner;
  int64_t in_count, out_count, in_step, out_step, in_outer, out_outer; /* steps in numbers */
  double scale;
  const void *halves; /* roots that take even and odd elements apart */
  mica_fft_plan plan;
  mica_fft_core core;
  int64_t group;     /* whole: rows at once */
  size_t line_bytes; /* whole, of a real one: one complex row */
  size_t matrix_bytes, row_bytes;
} fft_axis;

typedef struct {
  const mica_fft_kernels *kernels;
  int32_t axis_count;
  fft_axis axis[3];
  size_t worker_bytes;
  bool first_aside; /* the first axis writes a scratch array, which the last one reads: irfft */
} fft_argument;

/* ---- in lanes --------------------------------------------------------------------------------- */

typedef struct {
  const fft_argument *argument;
  const fft_axis *axis;
  const char *from;
  char *to, *blocks;
  int64_t per_outer; /* blocks of one outer index, 0: lanes run through both */
} lane_job;

/* The transform that lane l of the block has; fills where it lies. */
static int32_t place_lanes(const lane_job *job, int64_t index, int64_t in[MICA_FFT_LANE_LIMIT],
                           int64_t out[MICA_FFT_LANE_LIMIT]) {
  const fft_axis *axis = job->axis;
  int32_t lanes = job->argument->kernels->lanes, used = 0;
  int64_t first, end;
  if (job->per_outer) {
    int64_t outer = index / job->per_outer, begin = index % job->per_outer * lanes;
    first = outer * axis->inner + begin;
    end = outer * axis->inner + (begin + lanes < axis->inner ? begin + lanes : axis->inner);
  } else {
    first = index * lanes;
    int64_t all = axis->outer * axis->inner;
    end = first + lanes < all ? first + lanes : all;
  }
  for (int64_t t = first; t < end; t++, used++) {
    in[used] = t / axis->inner * axis->in_outer + t % axis->inner * 2;
    out[used] = t / axis->inner * axis->out_outer + t % axis->inner * 2;
  }
  return used;
}

static void transform_block(void *context, int64_t index, int32_t worker) {
  const lane_job *job = context;
  const fft_axis *axis = job->axis;
  const mica_fft_kernels *kernels = job->argument->kernels;
  int64_t in[MICA_FFT_LANE_LIMIT], out[MICA_FFT_LANE_LIMIT];
  int32_t lanes = place_lanes(job, index, in, out);
  char *a = job->blocks + (size_t)worker * job->argument->worker_bytes;
  char *b = a + job->argument->worker_bytes / 2;
  kernels->load(&(mica_fft_place){(void *)(uintptr_t)job->from, axis->in_count, axis->in_step,
                                  lanes, axis->mode == FFT_WIDEN, in},
                a);
  if (axis->mode == FFT_BEFORE) kernels->real_before(axis->length, axis->halves, a);
  if (axis->mode == FFT_MIRROR) kernels->mirror(axis->length, a);
  char *done = kernels->run(&axis->plan, axis->inverse, a, b);
  if (axis->mode == FFT_AFTER) kernels->real_after(axis->length, axis->halves, done);
  if (axis->scale != 1) kernels->scale(axis->out_count, axis->scale, done);
  kernels->store(&(mica_fft_place){job->to, axis->out_count, axis->out_step, lanes,
                                   axis->mode == FFT_MIRROR, out},
                 done);
}

static void run_lanes(const fft_argument *argument, const fft_axis *axis,
                      const mica_parallel *parallel, const char *from, char *to, char *blocks) {
  int32_t lanes = argument->kernels->lanes;
  lane_job job = {argument, axis, from, to, blocks, 0};
  if (axis->inner >= lanes) job.per_outer = (axis->inner + lanes - 1) / lanes;
  int64_t count =
      job.per_outer ? axis->outer * job.per_outer : (axis->outer * axis->inner + lanes - 1) / lanes;
  parallel->run(parallel->self, count, transform_block, &job);
}

/* ---- whole rows ------------------------------------------------------------------------------- */

enum { FFT_LINE_PIECE = 1 << 14 };

typedef struct {
  const fft_argument *argument;
  const fft_axis *axis;
  const char *from;
  char *to;
  int64_t count;
} line_job;

static void do_line_piece(void *context, int64_t index, int32_t worker) {
  const line_job *job = context;
  const fft_axis *axis = job->axis;
  const mica_fft_kernels *kernels = job->argument->kernels;
  int64_t begin = index * FFT_LINE_PIECE, end = begin + FFT_LINE_PIECE, n = axis->length;
  (void)worker;
  if (end > job->count) end = job->count;
  switch (axis->mode) {
    case FFT_AFTER: kernels->row_after(n, axis->halves, job->from, job->to, begin, end); break;
    case FFT_BEFORE: kernels->row_before(n, axis->halves, job->from, job->to, begin, end); break;
    case FFT_WIDEN: kernels->row_widen(job->from, job->to, begin, end); break;
    case FFT_MIRROR: kernels->row_mirror(n, job->from, job->to, begin, end); break;
    case FFT_COMPLEX: break;
  }
}

static void run_line(const fft_argument *argument, const fft_axis *axis,
                     const mica_parallel *parallel, int64_t count, const char *from, char *to) {
  line_job job = {argument, axis, from, to, count};
  parallel->run(parallel->self, (count + FFT_LINE_PIECE - 1) / FFT_LINE_PIECE, do_line_piece, &job);
}

static void run_whole(const fft_argument *argument, const fft_axis *axis, mica_fft_rows *rows,
                      char *line, const char *from, char *to) {
  const mica_fft_kernels *kernels = argument->kernels;
  int64_t size = kernels->element_size, h = axis->length;
  rows->core = &axis->core;
  rows->inverse = axis->inverse;
  rows->scale = axis->scale;
  if (axis->mode == FFT_COMPLEX) {
    for (int64_t row = 0; row < axis->outer; row += axis->group) {
      int64_t count = axis->outer - row < axis->group ? axis->outer - row : axis->group;
      mica_fft_rows_run(rows, count, from + row * axis->in_outer * size, axis->in_outer,
                        to + row * axis->out_outer * size, axis->out_outer);
    }
    return;
  }
  for (int64_t row = 0; row < axis->outer; row++) {
    const char *x = from + row * axis->in_outer * size;
    char *y = to + row * axis->out_outer * size;
    switch (axis->mode) {
      case FFT_AFTER:
        mica_fft_rows_run(rows, 1, x, 0, line, 0);
        run_line(argument, axis, rows->parallel, h / 2 + 1, line, y);
        break;
      case FFT_BEFORE:
        run_line(argument, axis, rows->parallel, h / 2 + 1, x, line);
        mica_fft_rows_run(rows, 1, line, 0, y, 0);
        break;
      case FFT_WIDEN:
        run_line(argument, axis, rows->parallel, h, x, line);
        mica_fft_rows_run(rows, 1, line, 0, line, 0);
        memcpy(y, line, (size_t)(axis->out_count * 2 * size));
        break;
      case FFT_MIRROR:
        run_line(argument, axis, rows->parallel, h, x, line);
        mica_fft_rows_run(rows, 1, line, 0, line, 0);
        kernels->row_narrow(line, y, 0, h);
        break;
      case FFT_COMPLEX: break;
    }
  }
}

/* References: x, the result, then scratch: an array, blocks of the workers, a matrix, two rows. */
static mica_status run_fft(const mica_cpu_step *step, mica_cpu_context *context) {
  const fft_argument *argument = step->argument;
  const char *from = mica_cpu_address(step, context, 0);
  char *to = mica_cpu_address(step, context, 1), *aside = mica_cpu_address(step, context, 2);
  mica_fft_rows rows = {.parallel = &context->parallel,
                        .blocks = mica_cpu_address(step, context, 3),
                        .worker_bytes = argument->worker_bytes,
                        .matrix = mica_cpu_address(step, context, 4),
                        .row = mica_cpu_address(step, context, 5)};
  for (int32_t i = 0; i < argument->axis_count; i++) {
    const fft_axis *axis = &argument->axis[i];
    bool last = i == argument->axis_count - 1;
    char *out = argument->first_aside && !last ? aside : to;
    if (axis->whole)
      run_whole(argument, axis, &rows, mica_cpu_address(step, context, 6), from, out);
    else
      run_lanes(argument, axis, &context->parallel, from, out, rows.blocks);
    from = out;
  }
  return MICA_OK;
}

/* ---- lowering --------------------------------------------------------------------------------- */

/* Whether rows run as matrices: when they do not fit the caches, or would leave lanes empty. */
static bool rows_are_whole(const mica_fft_kernels *kernels, int64_t length, int64_t rows) {
  int64_t m, n1;
  if (length < 32 || !mica_fft_core_fits(kernels, length, &m, &n1)) return false;
  int64_t lanes = kernels->lanes, block = m * 2 * lanes * kernels->element_size;
  if (block > 1 << 20) return true;
  int64_t filled = (rows + lanes - 1) / lanes * lanes;
  return 2 * filled > 3 * rows || (m >= 4096 && rows < 2 * lanes);
}

static bool build_axis(mica_plan *plan, bool twice, fft_axis *axis) {
  const mica_cpu_kernels *kernels = plan->device->kernels;
  mica_arena *memory = &plan->program->memory, *scratch = &plan->arena;
  const mica_fft_kernels *fft = kernels->fft[twice];
  if (axis->mode == FFT_AFTER || axis->mode == FFT_BEFORE) {
    axis->halves = mica_fft_roots(twice, 2 * axis->length, axis->length / 2 + 1, memory);
    if (axis->halves == NULL) return false;
  }
  axis->whole = axis->inner == 1 && rows_are_whole(fft, axis->length, axis->outer);
  if (!axis->whole)
    return mica_fft_plan_build(kernels, twice, axis->length, memory, scratch, &axis->plan);
  if (!mica_fft_core_build(kernels, twice, axis->length, memory, scratch, &axis->core))
    return false;
  const mica_fft_core *core = &axis->core;
  size_t row = (size_t)core->m * 2 * (size_t)fft->element_size;
  axis->group = 1;
  if (axis->mode == FFT_COMPLEX && core->m == core->n) {
    axis->group = (1 << 16) / core->m < 1 ? 1 : (1 << 16) / core->m;
    if (axis->group > axis->outer) axis->group = axis->outer;
  }
  axis->row_bytes = core->m == core->n ? 0 : row;
  axis->line_bytes = axis->mode == FFT_COMPLEX ? 0 : row + (size_t)fft->element_size * 2;
  return mica_size_multiply(row, (size_t)axis->group, &axis->matrix_bytes);
}

static int64_t axis_elements(const fft_axis *axis) {
  if (!axis->whole) return axis->plan.padded;
  return axis->core.first.padded > axis->core.second.padded ? axis->core.first.padded
                                                            : axis->core.second.padded;
}

/* The transform along one axis of `shape`, the shape of the complex array that it works on; along the
 * last one of real arrays `n` numbers. */
static fft_axis describe_transform(const mica_fft_attr *attr, mica_shape shape, int32_t axis,
                                   int64_t n) {
  bool last = axis == shape.rank - 1;
  bool inverse = attr->kind == MICA_FFT_IFFT || attr->kind == MICA_FFT_IRFFT;
  fft_axis a = {.mode = FFT_COMPLEX, .inverse = inverse, .scale = 1, .outer = 1, .inner = 1};
  for (int32_t i = 0; i < axis; i++) a.outer *= shape.dim[i];
  for (int32_t i = axis + 1; i < shape.rank; i++) a.inner *= shape.dim[i];
  a.length = a.in_count = a.out_count = n;
  a.in_step = a.out_step = 2 * a.inner;
  a.in_outer = a.out_outer = 2 * n * a.inner;
  if (!last || attr->kind == MICA_FFT_FFT || attr->kind == MICA_FFT_IFFT) return a;
  bool even = n % 2 == 0;
  int64_t half = n / 2 + 1;
  if (attr->kind == MICA_FFT_RFFT) {
    a.mode = even ? FFT_AFTER : FFT_WIDEN;
    a.length = a.in_count = even ? n / 2 : n;
    a.in_step = even ? 2 : 1;
    a.in_outer = n;
    a.out_count = half;
    a.out_outer = 2 * half;
  } else {
    a.mode = even ? FFT_BEFORE : FFT_MIRROR;
    a.length = a.out_count = even ? n / 2 : n;
    a.in_count = half;
    a.in_outer = 2 * half;
    a.out_step = even ? 2 : 1;
    a.out_outer = n;
  }
  return a;
}

bool mica_plan_fourier(mica_plan *plan, uint32_t id) {
  const mica_node *node = mica_node_at(plan->graph, id);
  if (node->op != MICA_OP_FFT) return false;
  uint32_t operand = mica_node_operands(plan->graph, node)[0];
  const mica_fft_attr *attr = node->attr;
  mica_type x = mica_plan_type(plan, operand), y = node->type;
  if (mica_shape_count(y.shape) == 0 || mica_shape_count(x.shape) == 0) return false;
  fft_argument *argument = mica_plan_allocate(plan, 1, sizeof(*argument));
  mica_view view = mica_plan_dense(plan, operand);
  if (argument == NULL) return true;
  bool twice = x.dtype == MICA_F64 || x.dtype == MICA_C128;
  bool real_out = attr->kind == MICA_FFT_IRFFT;
  mica_shape complex = real_out ? x.shape : y.shape;
  int32_t count = attr->lengths.count, rank = x.shape.rank;
  argument->kernels = plan->device->kernels->fft[twice];
  argument->axis_count = count;
  argument->first_aside = real_out && count > 1;
  /* The last axis first, but for irfft, where it is the one that changes the size. */
  for (int32_t i = 0; i < count; i++) {
    int32_t which = real_out ? i : count - 1 - i;
    argument->axis[i] =
        describe_transform(attr, complex, rank - count + which, attr->lengths.at[which]);
  }
  argument->axis[count - 1].scale = attr->scale;
  size_t parts[5] = {0}; /* array, blocks, matrix, row, line */
  int64_t elements = 1;
  double flops = 0;
  for (int32_t i = 0; i < count; i++) {
    fft_axis *axis = &argument->axis[i];
    if (!build_axis(plan, twice, axis)) {
      mica_plan_fail(plan, MICA_OUT_OF_MEMORY, "no memory for the tables of a transform");
      return true;
    }
    if (axis_elements(axis) > elements) elements = axis_elements(axis);
    if (axis->matrix_bytes > parts[2]) parts[2] = axis->matrix_bytes;
    if (axis->row_bytes > parts[3]) parts[3] = axis->row_bytes;
    if (axis->line_bytes > parts[4]) parts[4] = axis->line_bytes;
    flops += 5 * (double)(axis->outer * axis->inner) * (double)axis->length *
             log2((double)axis->length + 1);
  }
  if (argument->first_aside) parts[0] = mica_plan_bytes(plan, x);
  argument->worker_bytes = mica_fft_worker_bytes(argument->kernels, elements);
  size_t workers = (size_t)mica_thread_pool_size(plan->device->pool);
  if (!mica_size_multiply(argument->worker_bytes, workers, &parts[1])) parts[1] = SIZE_MAX;
  mica_plan_step_add(plan, run_fft, argument, id);
  mica_plan_read(plan, operand, view);
  mica_plan_result(plan, id);
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) mica_plan_scratch(plan, parts[i]);
  int64_t bytes = (int64_t)mica_plan_bytes(plan, x) + (int64_t)mica_plan_bytes(plan, y);
  mica_plan_cost(plan, flops, bytes, 200 + (int64_t)(flops / 10));
  return true;
}
