/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of the tile VM: walks over units and tiles, keeps the cursors' pointers, and calls kernels. */
#include "backend/cpu/tile_internal.h"

#include <string.h>

#include "backend/cpu/kernels/tile_kernels.h"

typedef struct {
  const mica_tile_program *program;
  const mica_tile_pass *pass;
  const mica_tile_kernels *kernels;
  void **places;
  uintptr_t *bases; /* of cursors: at the first tile of the unit */
  char *scratch, *staging;
  uint32_t staged; /* bit i: direct value i goes through its register */
  int64_t unit_index[MICA_TILE_DIMS], tile_index[MICA_TILE_DIMS];
  int64_t elements, rows, block; /* of the tile at hand */
  int64_t block_columns;         /* programs with blocks: `block` rows of so many elements */
  int64_t accumulated;           /* elements of an accumulator */
  bool first;                    /* the first tile of a loop */
} tile_run;

/* ---- single elements -------------------------------------------------------------------------------- */

static void fill_slot(void *slot, const void *element, uint8_t size_log2) {
  char *bytes = slot;
  const size_t size = (size_t)1 << size_log2;
  char value[8];
  memcpy(value, element, size);
  for (size_t at = 0; at < MICA_TILE_SLOT; at += size) memcpy(bytes + at, value, size);
}

static void store_position(void *out, uint8_t class_of, int64_t position) {
  switch (class_of) {
    case MICA_TILE_CLASS_F32: memcpy(out, &(float){(float)position}, sizeof(float)); break;
    case MICA_TILE_CLASS_F64: memcpy(out, &(double){(double)position}, sizeof(double)); break;
    case MICA_TILE_CLASS_I32:
    case MICA_TILE_CLASS_U32:
      memcpy(out, &(uint32_t){(uint32_t)(uint64_t)position}, sizeof(uint32_t));
      break;
    default: memcpy(out, &position, sizeof position); break;
  }
}

/* ---- lines ------------------------------------------------------------------------------------------- */

typedef struct {
  int32_t rank; /* outer lines to walk over; the two innermost are in `inner` */
  int64_t count[MICA_TILE_RANK], stride[MICA_TILE_RANK];
  mica_tile_lines inner;
} tile_area;

static tile_area area_of(const tile_run *run, const mica_tile_cursor *cursor, int64_t block) {
  tile_area area = {.inner = {.lines = 1, .length = 1}};
  int64_t count[MICA_TILE_RANK];
  const int32_t rank = cursor->line_rank;
  memcpy(count, cursor->count, sizeof count);
  if (cursor->variable) count[0] *= block;
  if (run->pass->block) count[0] = block, count[1] = run->block_columns;
  area.inner.length = count[rank - 1];
  area.inner.stride = cursor->stride[rank - 1];
  if (rank > 1) {
    area.inner.lines = count[rank - 2];
    area.inner.line_stride = cursor->stride[rank - 2];
    if (area.inner.lines == 1) area.inner.line_stride = 0;
  }
  for (int32_t i = 0; i < rank - 2; i++) {
    area.count[i] = count[i];
    area.stride[i] = cursor->stride[i];
  }
  area.rank = rank > 2 ? rank - 2 : 0;
  return area;
}

/* Calls body with the address of each pair of innermost axes and its offset in the dense tile. */
#define FOR_EACH_LINES(area, offset, dense, body)                \
  do {                                                           \
    int64_t index_[MICA_TILE_RANK] = {0}, offset = 0, dense = 0; \
    for (;;) {                                                   \
      body;                                                      \
      dense += (area).inner.lines * (area).inner.length;         \
      int32_t axis_ = (area).rank - 1;                           \
      for (; axis_ >= 0; axis_--) {                              \
        offset += (area).stride[axis_];                          \
        if (++index_[axis_] < (area).count[axis_]) break;        \
        offset -= (area).stride[axis_] * (area).count[axis_];    \
        index_[axis_] = 0;                                       \
      }                                                          \
      if (axis_ < 0) break;                                      \
    }                                                            \
  } while (0)

static void gather_area(const tile_run *run, const mica_tile_cursor *cursor, int64_t block,
                        char *out, const char *in) {
  const tile_area area = area_of(run, cursor, block);
  const uint8_t size = cursor->size_log2;
  FOR_EACH_LINES(area, offset, dense,
                 run->kernels->gather[size](&area.inner, out + dense * (1 << size),
                                            in + offset * (1 << size)));
}

static void scatter_area(const tile_run *run, const mica_tile_cursor *cursor, char *out,
                         const char *in) {
  const tile_area area = area_of(run, cursor, run->block);
  const uint8_t size = cursor->size_log2;
  FOR_EACH_LINES(area, offset, dense,
                 run->kernels->scatter[size](&area.inner, out + offset * (1 << size),
                                             in + dense * (1 << size)));
}

static void number_area(const tile_run *run, const mica_tile_cursor *cursor,
                        const mica_tile_instruction *code, char *out, int64_t base) {
  const tile_area area = area_of(run, cursor, run->block);
  FOR_EACH_LINES(area, offset, dense, {
    for (int64_t line = 0; line < area.inner.lines; line++) {
      int64_t position = base + offset + line * area.inner.line_stride;
      char *to = out + ((dense + line * area.inner.length) << code->size_log2);
      for (int64_t i = 0; i < area.inner.length;
           i++, position += area.inner.stride, to += 1 << code->size_log2)
        store_position(to, code->to, position);
    }
  });
}

/* ---- instructions ------------------------------------------------------------------------------------ */

static int64_t count_of(const tile_run *run, const mica_tile_instruction *code) {
  switch (code->extent) {
    case MICA_TILE_ONE: return run->kernels->vector_bytes >> code->size_log2;
    case MICA_TILE_ROWS: return run->rows;
    default: return run->elements;
  }
}

static void run_gather(tile_run *run, const mica_tile_instruction *code) {
  const mica_tile_pass *pass = run->pass;
  const mica_tile_cursor *cursor = &pass->cursors[code->access];
  const char *in = run->places[code->access];
  int64_t block = run->block, count = count_of(run, code);
  if (code->whole) {
    block = pass->geometry.block;
    count = pass->geometry.capacity;
  }
  if (pass->block && !code->kernel) {
    /* One dense line is read where it lies. */
    if (block == 1 && cursor->stride[1] == 1) {
      run->places[code->out] = run->places[code->access];
      return;
    }
    const int32_t first = pass->cursor_count + pass->splat_count;
    run->places[code->out] =
        run->scratch + pass->registers_at + (size_t)(code->out - first) * pass->register_bytes;
  }
  if (!code->kernel) {
    gather_area(run, cursor, block, run->places[code->out], in);
    return;
  }
  gather_area(run, cursor, block, run->staging, in);
  code->kernel(count, run->places[code->out], run->staging, NULL, NULL, 0);
}

static void run_broadcast(tile_run *run, const mica_tile_instruction *code) {
  const uint8_t size = run->pass->cursors[code->access].size_log2;
  void *out = run->places[code->out];
  if (!code->kernel) {
    fill_slot(out, run->places[code->access], size);
    return;
  }
  char narrow[MICA_TILE_SLOT];
  fill_slot(narrow, run->places[code->access], size);
  code->kernel(count_of(run, code), out, narrow, NULL, NULL, 1);
}

static void run_position(tile_run *run, const mica_tile_instruction *code) {
  const int64_t base = (int64_t)(uintptr_t)run->places[code->access];
  char *out = run->places[code->out];
  if (code->extent == MICA_TILE_ONE) {
    char element[8] = {0};
    store_position(element, code->to, base);
    fill_slot(out, element, code->size_log2);
  } else {
    number_area(run, &run->pass->cursors[code->access], code, out, base);
  }
}

static void run_put(tile_run *run, const mica_tile_instruction *code) {
  const mica_tile_cursor *cursor = &run->pass->cursors[code->access];
  const mica_tile_kernels *kernels = run->kernels;
  const uint8_t size = cursor->size_log2;
  char *out = run->places[code->access];
  const char *in = run->places[code->in[0]];
  if (code->direct >= 0 && !(run->staged >> code->direct & 1)) return;
  if (code->extent == MICA_TILE_ONE) {
    if (code->kernel) {
      code->kernel(1, out, in, NULL, NULL, 1);
    } else {
      memcpy(out, in, (size_t)1 << size);
    }
    return;
  }
  const int64_t count = count_of(run, code);
  if (cursor->dense && (!code->kernel || !cursor->stream)) {
    mica_tile_kernel *move = cursor->stream ? kernels->stream[size] : kernels->copy[size];
    (code->kernel ? code->kernel : move)(count, out, in, NULL, NULL, code->splat);
    return;
  }
  if (code->kernel || (code->splat & 1)) {
    (code->kernel ? code->kernel : kernels->copy[size])(count, run->staging, in, NULL, NULL,
                                                        code->splat);
    in = run->staging;
  }
  if (cursor->dense) {
    kernels->stream[size](count, out, in, NULL, NULL, 0);
  } else {
    scatter_area(run, cursor, out, in);
  }
}

static void run_cast(tile_run *run, const mica_tile_instruction *code) {
  void *out = run->places[code->out];
  const void *in = run->places[code->in[0]];
  const bool one = code->extent == MICA_TILE_ONE;
  char element[MICA_TILE_SLOT];
  void *narrow = one ? element : code->kernel ? run->staging : out;
  (void)mica_convert_elements((mica_dtype)code->to, narrow, (mica_dtype)code->from, in,
                              one ? 1 : count_of(run, code));
  if (!one) {
    if (code->kernel) code->kernel(count_of(run, code), out, narrow, NULL, NULL, 0);
    return;
  }
  fill_slot(element, element,
            (uint8_t)__builtin_ctz((unsigned)mica_dtype_bits((mica_dtype)code->to) / 8));
  if (code->kernel) {
    code->kernel(count_of(run, code), out, element, NULL, NULL, 1);
  } else {
    memcpy(out, element, sizeof element);
  }
}

static void run_accumulate(tile_run *run, const mica_tile_instruction *code) {
  void *sum = run->places[code->out];
  const void *in = run->places[code->in[0]];
  if (run->first) {
    run->kernels->copy[code->size_log2](run->elements, sum, in, NULL, NULL, 0);
    run->accumulated = run->elements;
  } else {
    code->kernel(run->elements, sum, sum, in, NULL, 0);
  }
}

/* Combines the rows of an accumulator as a tree: halves on top of each other. */
static void run_fold(tile_run *run, const mica_tile_instruction *code) {
  char *sum = run->places[code->out];
  for (int64_t left = run->accumulated / run->rows; left > 1;) {
    const int64_t kept = (left + 1) / 2;
    code->kernel((left - kept) * run->rows, sum, sum, sum + ((kept * run->rows) << code->size_log2),
                 NULL, 0);
    left = kept;
  }
}

static void run_code(tile_run *run, mica_tile_code part) {
  void **places = run->places;
  char element[8] = {0};
  for (const mica_tile_instruction *code = part.instructions, *end = code + part.count; code < end;
       code++) {
    switch (code->kind) {
      case MICA_TILE_COMPUTE:
        code->kernel(count_of(run, code), places[code->out],
                     code->in[0] < 0 ? NULL : places[code->in[0]],
                     code->in[1] < 0 ? NULL : places[code->in[1]],
                     code->in[2] < 0 ? NULL : places[code->in[2]], code->splat);
        break;
      case MICA_TILE_CAST: run_cast(run, code); break;
      case MICA_TILE_GATHER: run_gather(run, code); break;
      case MICA_TILE_BROADCAST: run_broadcast(run, code); break;
      case MICA_TILE_POSITION: run_position(run, code); break;
      case MICA_TILE_PUT: run_put(run, code); break;
      case MICA_TILE_REDUCE_EACH:
        code->reduce->rows(run->rows, run->elements / run->rows, places[code->out],
                           places[code->in[0]]);
        break;
      case MICA_TILE_REDUCE_ONE:
        code->reduce->rows(1, run->elements, element, places[code->in[0]]);
        fill_slot(places[code->out], element, code->size_log2);
        break;
      case MICA_TILE_REDUCE_BEGIN: ((mica_reduce_state *)places[code->out])->count = 0; break;
      case MICA_TILE_REDUCE_PUSH:
        code->reduce->push(places[code->out], run->elements, places[code->in[0]]);
        break;
      case MICA_TILE_REDUCE_END:
        code->reduce->finish(places[code->in[0]], element);
        fill_slot(places[code->out], element, code->size_log2);
        break;
      case MICA_TILE_ACCUMULATE: run_accumulate(run, code); break;
      case MICA_TILE_FOLD: run_fold(run, code); break;
      case MICA_TILE_EXPAND:
        run->kernels->expand[code->size_log2](run->rows, run->elements / run->rows,
                                              places[code->out], places[code->in[0]]);
        break;
      case MICA_TILE_CHAIN:
        run->kernels->chain(run->elements, run->pass->steps + code->step, code->step_count, places);
        break;
      default: break;
    }
  }
}

/* ---- walks --------------------------------------------------------------------------------------------- */

/* The index of step `at` of a walk; pointers move along. */
static void walk_to(const mica_tile_walk *walk, int64_t at, int64_t *index) {
  for (int32_t dim = walk->rank - 1; dim >= 0; dim--) {
    index[dim] = at % walk->count[dim];
    at /= walk->count[dim];
  }
}

static void set_block(tile_run *run) {
  const mica_tile_geometry *g = &run->pass->geometry;
  run->block = g->block;
  if (g->block_walk == 1 && run->unit_index[g->block_dim] == g->unit.count[g->block_dim] - 1)
    run->block = g->block_last;
  if (g->block_walk == 2 && run->tile_index[g->block_dim] == g->tile.count[g->block_dim] - 1)
    run->block = g->block_last;
  run->elements = g->elements * run->block;
  run->rows = g->block_is_row ? g->rows * run->block : g->rows;
}

static void set_direct(tile_run *run) {
  const mica_tile_pass *pass = run->pass;
  for (int32_t i = 0; i < pass->direct_count; i++)
    if (!(run->staged >> i & 1))
      run->places[pass->direct[i].place] = run->places[pass->direct[i].access];
}

static void to_unit_start(tile_run *run) {
  for (int32_t i = 0; i < run->pass->cursor_count; i++) run->places[i] = (void *)run->bases[i];
}

static void run_loop(tile_run *run, mica_tile_code code, int64_t begin, int64_t end) {
  const mica_tile_pass *pass = run->pass;
  const mica_tile_walk *walk = &pass->geometry.tile;
  walk_to(walk, begin, run->tile_index);
  for (int32_t i = 0; i < pass->cursor_count; i++) {
    uintptr_t at = run->bases[i];
    for (int32_t dim = 0; dim < walk->rank; dim++)
      at += (uintptr_t)(run->tile_index[dim] * pass->cursors[i].tile_step[dim]);
    run->places[i] = (void *)at;
  }
  run->first = true;
  for (int64_t tile = begin; tile < end; tile++) {
    set_block(run);
    set_direct(run);
    run_code(run, code);
    run->first = false;
    for (int32_t dim = walk->rank - 1; dim >= 0; dim--) {
      const bool wraps = ++run->tile_index[dim] == walk->count[dim];
      const int64_t steps = wraps ? 1 - walk->count[dim] : 1;
      for (int32_t i = 0; i < pass->cursor_count; i++)
        run->places[i] = (void *)((uintptr_t)run->places[i] +
                                  (uintptr_t)(steps * pass->cursors[i].tile_step[dim]));
      if (!wraps) break;
      run->tile_index[dim] = 0;
    }
  }
}

static void run_unit(tile_run *run, int64_t chunk) {
  const mica_tile_pass *pass = run->pass;
  const int64_t tiles = pass->geometry.tile.total, each = tiles / pass->chunks,
                more = tiles % pass->chunks;
  const int64_t begin = chunk * each + (chunk < more ? chunk : more);
  const int64_t end = begin + each + (chunk < more ? 1 : 0);
  for (int32_t loop = 0; loop < pass->loop_count; loop++) {
    if (pass->rows[loop].count > 0) {
      to_unit_start(run);
      set_block(run);
      run_code(run, pass->rows[loop]);
    }
    run_loop(run, pass->loops[loop], begin, end);
  }
  if (pass->rows[pass->loop_count].count == 0) return;
  to_unit_start(run);
  run_code(run, pass->rows[pass->loop_count]);
}

/* ---- setting up ------------------------------------------------------------------------------------------ */

static uintptr_t origin_of(const mica_tile_program *program, const mica_tile_cursor *cursor,
                           void *const *buffers, void *shared) {
  if (cursor->buffer < 0) return 0;
  void *buffer = cursor->buffer == program->buffer_count ? shared : buffers[cursor->buffer];
  return (uintptr_t)buffer + (uintptr_t)cursor->offset;
}

static void prepare(tile_run *run, const mica_tile_program *program, const mica_tile_pass *pass,
                    void *const *buffers, void *shared, void *thread) {
  memset(run, 0, sizeof *run);
  run->program = program;
  run->pass = pass;
  run->kernels = program->kernels->tile;
  run->scratch = thread;
  run->staging = run->scratch + pass->staging_at;
  run->places = thread;
  run->bases = (uintptr_t *)(void *)(run->places + pass->place_count);
  int32_t place = 0;
  for (; place < pass->cursor_count; place++)
    run->bases[place] = origin_of(program, &pass->cursors[place], buffers, shared);
  for (int32_t i = 0; i < pass->splat_count; i++)
    run->places[place++] = run->scratch + pass->splats_at + (size_t)i * MICA_TILE_SLOT;
  for (int32_t i = 0; i < pass->register_count; i++)
    run->places[place++] = run->scratch + pass->registers_at + (size_t)i * pass->register_bytes;
  for (int32_t i = 0; i < pass->state_count; i++)
    run->places[place++] = run->scratch + pass->states_at + (size_t)i * sizeof(mica_reduce_state);
  for (int32_t i = 0; i < pass->direct_count;
       i++) { /* in place, unless something read later lies there */
    const mica_tile_direct *direct = &pass->direct[i];
    run->places[direct->place] = run->places[direct->reg];
    for (int32_t k = 0; k < pass->cursor_count; k++)
      if ((direct->hazards >> (k & 63) & 1) && run->bases[k] == run->bases[direct->access])
        run->staged |= 1U << i;
  }
  place += pass->direct_count;
  for (int32_t i = 0; i < pass->slot_count; i++)
    run->places[place++] = run->scratch + pass->slots_at + (size_t)i * MICA_CHAIN_BYTES;
  for (int32_t i = 0; i < pass->constant_count; i++)
    fill_slot(run->places[pass->constants[i].place], &pass->constants[i].bits,
              pass->constants[i].size_log2);
}

static void fence(const mica_tile_pass *pass) {
#if defined(__SSE2__)
  if (pass->streams)
    __builtin_ia32_sfence(); /* streamed stores become visible before what follows */
#else
  (void)pass;
#endif
}

void mica_tile_run_units(const mica_tile_program *program, int32_t pass_index, int64_t begin,
                         int64_t end, void *const *buffers, void *shared, void *thread) {
  const mica_tile_pass *pass = &program->passes[pass_index];
  const mica_tile_walk *walk = &pass->geometry.unit;
  tile_run run;
  if (begin >= end) return;
  prepare(&run, program, pass, buffers, shared, thread);
  int64_t chunk = begin % pass->chunks;
  walk_to(walk, begin / pass->chunks, run.unit_index);
  for (int32_t i = 0; i < pass->cursor_count; i++) {
    const mica_tile_cursor *cursor = &pass->cursors[i];
    for (int32_t dim = 0; dim < walk->rank; dim++)
      run.bases[i] += (uintptr_t)(run.unit_index[dim] * cursor->unit_step[dim]);
    run.bases[i] += (uintptr_t)(chunk * cursor->chunk_step);
  }
  to_unit_start(&run);
  set_block(&run);
  run_code(&run, pass->prologue);
  for (int64_t unit = begin; unit < end; unit++) {
    run_unit(&run, chunk);
    if (++chunk < pass->chunks) {
      for (int32_t i = 0; i < pass->cursor_count; i++)
        run.bases[i] += (uintptr_t)pass->cursors[i].chunk_step;
      continue;
    }
    chunk = 0;
    for (int32_t i = 0; i < pass->cursor_count; i++)
      run.bases[i] -= (uintptr_t)((pass->chunks - 1) * pass->cursors[i].chunk_step);
    for (int32_t dim = walk->rank - 1; dim >= 0; dim--) {
      const bool wraps = ++run.unit_index[dim] == walk->count[dim];
      const int64_t steps = wraps ? 1 - walk->count[dim] : 1;
      for (int32_t i = 0; i < pass->cursor_count; i++)
        run.bases[i] += (uintptr_t)(steps * pass->cursors[i].unit_step[dim]);
      if (!wraps) break;
      run.unit_index[dim] = 0;
    }
  }
  fence(pass);
}

void mica_tile_run_block(const mica_tile_program *program, void *const *buffers, int64_t row,
                         int64_t column, int64_t rows, int64_t columns, void *thread) {
  if (program->pass_count == 0 || rows <= 0 || columns <= 0) return;
  const mica_tile_pass *pass = &program->passes[0];
  const int64_t most = pass->geometry.capacity;
  tile_run run;
  prepare(&run, program, pass, buffers, NULL, thread);
  to_unit_start(&run);
  run_code(&run, pass->prologue);
  /* Long lines one by one, where they lie; short ones together. */
  const int64_t width = columns < most ? columns : most, height = width >= 128 ? 1 : most / width;
  for (int64_t y = 0; y < rows; y += height) {
    for (int64_t x = 0; x < columns; x += width) {
      run.block = rows - y < height ? rows - y : height;
      run.block_columns = columns - x < width ? columns - x : width;
      run.elements = run.block * run.block_columns;
      for (int32_t i = 0; i < pass->cursor_count; i++) {
        const mica_tile_cursor *cursor = &pass->cursors[i];
        const int64_t at = (row + y) * cursor->stride[0] + (column + x) * cursor->stride[1];
        run.places[i] = (void *)(run.bases[i] + (uintptr_t)(at * (1 << cursor->size_log2)));
      }
      run_code(&run, pass->rows[0]);
      run_code(&run, pass->loops[0]);
    }
  }
  fence(pass);
}

/* ---- whole programs ---------------------------------------------------------------------------------------- */

int32_t mica_tile_pass_count(const mica_tile_program *program) { return program->pass_count; }

int64_t mica_tile_unit_count(const mica_tile_program *program, int32_t pass) {
  return program->passes[pass].geometry.unit.total * program->passes[pass].chunks;
}

int64_t mica_tile_unit_cost(const mica_tile_program *program, int32_t pass) {
  return program->passes[pass].unit_cost;
}

size_t mica_tile_shared_size(const mica_tile_program *program) { return program->shared_size; }
size_t mica_tile_thread_size(const mica_tile_program *program) { return program->thread_size; }

size_t mica_tile_scratch_size(const mica_tile_program *program, int32_t threads) {
  size_t total;
  if (!mica_size_multiply(program->thread_size, (size_t)(threads > 0 ? threads : 1), &total) ||
      !mica_size_add(total, program->shared_size, &total))
    return SIZE_MAX;
  return total;
}

typedef struct {
  const mica_tile_program *program;
  int32_t pass;
  int64_t units, grain;
  void *const *buffers;
  char *shared, *threads;
} tile_task;

static void run_task(void *context, int64_t index, int32_t worker) {
  const tile_task *task = context;
  const int64_t begin = index * task->grain, end = begin + task->grain;
  mica_tile_run_units(task->program, task->pass, begin, end < task->units ? end : task->units,
                      task->buffers, task->shared,
                      task->threads + (size_t)worker * task->program->thread_size);
}

void mica_tile_run(const mica_tile_program *program, void *const *buffers,
                   const mica_parallel *parallel, void *scratch) {
  enum { TASK_NANOSECONDS = 10000, TASKS_PER_THREAD = 8 };
  tile_task task = {.program = program, .buffers = buffers, .shared = scratch};
  task.threads = task.shared + program->shared_size;
  for (task.pass = 0; task.pass < program->pass_count; task.pass++) {
    task.units = mica_tile_unit_count(program, task.pass);
    task.grain = TASK_NANOSECONDS / program->passes[task.pass].unit_cost + 1;
    const int64_t most = (task.units + parallel->threads * TASKS_PER_THREAD - 1) /
                         (parallel->threads * TASKS_PER_THREAD);
    if (task.grain < most) task.grain = most;
    const int64_t tasks = (task.units + task.grain - 1) / task.grain;
    if (parallel->threads == 1 || tasks == 1) {
      mica_tile_run_units(program, task.pass, 0, task.units, buffers, task.shared, task.threads);
    } else {
      parallel->run(parallel->self, tasks, run_task, &task);
    }
  }
}
