/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles tile programs: decides on passes.
 *
 * Most specs are one pass. A reduction whose few rows are very long is cut into chunks, each of which
 * leaves a partial result in the shared scratch; a second pass reduces these. When such a reduction has
 * more phases, each phase is two passes and what the phases have in common is computed again. Column
 * reductions whose results meet unreduced values are cut the same way. The number of chunks follows
 * from the shape alone. */
#include "backend/cpu/tile_plan_internal.h"

#include <string.h>

#include "backend/cpu/kernels/tile_kernels.h"

enum {
  CHUNK_ELEMENTS = 32768, /* of a reduction that is cut */
  ENOUGH_UNITS = 32,      /* rows or columns that keep all threads busy without chunks */
  MAX_CHUNKS = 256,
  TILE_BYTES = 24 << 10,    /* live tiles and streams: most of a small L1 */
  ROW_BYTES_MAX = 96 << 10, /* of a row that stays whole: part of L2 */
  ROW_TILE = 1024
};

typedef struct {
  mica_tile_program *program;
  mica_arena *scratch; /* for the compiler only */
  mica_status status;
  size_t shared;
} tile_planner;

static void planner_fail(tile_planner *planner, mica_status status) {
  if (planner->status == MICA_OK) planner->status = status;
}

/* ---- passes ---------------------------------------------------------------------------------------- */

static int64_t extent(const mica_tile_graph *graph, int32_t begin, int32_t end) {
  int64_t product = 1;
  for (int32_t axis = begin; axis < end; axis++) product *= graph->size[axis];
  return product;
}

static bool has_work(const mica_tile_graph *graph) {
  for (int32_t i = 0; i < graph->node_count; i++)
    if (graph->nodes[i].op == MICA_TILE_STORE) return extent(graph, 0, graph->rank) > 0;
  return false;
}

/* Emits one pass with the largest tile whose registers fit. */
static void add_pass(tile_planner *planner, mica_tile_graph *graph, int64_t chunks) {
  if (planner->status != MICA_OK || !has_work(graph)) return;
  const bool rows = graph->reduce_begin < graph->reduce_end && graph->reduce_end == graph->rank;
  const int64_t row = rows ? extent(graph, graph->reduce_begin, graph->rank) : 0;
  int64_t largest =
      rows && row > ROW_TILE && row <= MICA_TILE_LARGEST && chunks == 1 ? row : ROW_TILE;
  mica_tile_pass *pass = &planner->program->passes[planner->program->pass_count];
  for (;; largest = largest > ROW_TILE ? ROW_TILE : largest / 2) {
    int64_t footprint;
    planner->status = mica_tile_emit(&planner->program->arena, planner->program->kernels, graph,
                                     chunks, largest, pass, &footprint);
    if (planner->status != MICA_OK) return;
    const bool whole_row = rows && row <= largest && pass->geometry.row_capacity == 1;
    if (footprint <= (whole_row ? ROW_BYTES_MAX : TILE_BYTES) || largest <= 64) break;
  }
  planner->program->pass_count++;
}

/* ---- chunks ------------------------------------------------------------------------------------------ */

/* An array in the shared scratch with dense strides along outer and inner axes; `piece` is the distance
 * between the elements of neighboring chunks (0: there are none), `behind` that of the outer axes. */
static mica_tile_stream shared_stream(const mica_tile_graph *graph, mica_dtype dtype, size_t offset,
                                      int64_t chunks) {
  const int64_t inner = extent(graph, graph->reduce_end, graph->rank);
  const mica_dtype held = mica_tile_class_dtype(mica_tile_class_of(dtype));
  mica_tile_stream stream = {.access = {.buffer = graph->buffer_count,
                                        .dtype = held,
                                        .offset = (int64_t)offset / (mica_dtype_bits(held) / 8)},
                             .chunk_stride = chunks > 0 ? inner : 0};
  int64_t stride = 1;
  for (int32_t axis = graph->rank - 1; axis >= graph->reduce_end; axis--) {
    stream.access.stride[axis] = stride;
    stride *= graph->size[axis];
  }
  if (chunks > 0) stride *= chunks;
  for (int32_t axis = graph->reduce_begin - 1; axis >= 0; axis--) {
    stream.access.stride[axis] = stride;
    stride *= graph->size[axis];
  }
  return stream;
}

static size_t reserve_shared(tile_planner *planner, const mica_tile_graph *graph, mica_dtype dtype,
                             int64_t chunks) {
  const int64_t kept =
      extent(graph, 0, graph->reduce_begin) * extent(graph, graph->reduce_end, graph->rank);
  const size_t at = planner->shared;
  size_t bytes, total;
  const size_t element = (size_t)1 << mica_tile_class_size_log2(mica_tile_class_of(dtype));
  if (!mica_size_multiply((size_t)kept, (size_t)(chunks > 0 ? chunks : 1), &bytes) ||
      !mica_size_multiply(bytes, element, &bytes) ||
      !mica_size_align(bytes, MICA_ALIGNMENT, &bytes) || !mica_size_add(at, bytes, &total)) {
    planner_fail(planner, MICA_UNSUPPORTED);
    return 0;
  }
  planner->shared = total;
  return at;
}

/* Loads of finished reductions take the place of those up to `level`. */
static void load_finished(mica_tile_graph *graph, const int32_t *levels, int32_t level,
                          const size_t *finished) {
  for (int32_t i = 0; i < graph->node_count; i++) {
    mica_tile_node *node = &graph->nodes[i];
    if (!mica_tile_is_reduction(node->op) || levels[i] > level) continue;
    graph->streams[graph->stream_count] = shared_stream(graph, node->dtype, finished[i], 0);
    *node = (mica_tile_node){.op = MICA_TILE_LOAD,
                             .dtype = mica_tile_class_dtype(mica_tile_class_of(node->dtype)),
                             .access = graph->stream_count++};
  }
}

/* Removes the reduced axes but for `chunks` (0: none), which take the place of the first. */
static void replace_reduced(mica_tile_graph *graph, int64_t chunks) {
  const int32_t begin = graph->reduce_begin,
                removed = graph->reduce_end - begin - (chunks > 0 ? 1 : 0);
  const int32_t from = graph->reduce_end, to = from - removed;
  memmove(graph->size + to, graph->size + from, (size_t)(graph->rank - from) * sizeof(int64_t));
  for (int32_t i = 0; i < graph->stream_count; i++) {
    mica_tile_stream *stream = &graph->streams[i];
    int64_t *stride = stream->access.stride;
    memmove(stride + to, stride + from, (size_t)(graph->rank - from) * sizeof(int64_t));
    for (int32_t axis = graph->rank - removed; axis < graph->rank; axis++) stride[axis] = 0;
    if (chunks > 0) stride[begin] = stream->chunk_stride;
    stream->chunk_stride = 0;
  }
  if (chunks > 0) graph->size[begin] = chunks;
  graph->rank -= removed;
  graph->reduce_end = to;
  if (chunks == 0) graph->reduce_begin = graph->reduce_end = 0;
}

/* The pass that leaves partial results of the reductions of one level; `stores`: stores of the graph that
 * it does as well. */
static void add_partial_pass(tile_planner *planner, const mica_tile_graph *whole,
                             const int32_t *levels, int32_t level, const size_t *partial,
                             const size_t *finished, int64_t chunks, const bool *stores) {
  mica_tile_graph *graph = mica_tile_graph_copy(planner->scratch, whole, MICA_TILE_MAX_REDUCTIONS,
                                                2 * MICA_TILE_MAX_REDUCTIONS);
  bool keep[MICA_TILE_MAX_NODES + MICA_TILE_MAX_REDUCTIONS];
  if (!graph) {
    planner_fail(planner, MICA_OUT_OF_MEMORY);
    return;
  }
  load_finished(graph, levels, level - 1, finished);
  for (int32_t i = 0; i < whole->node_count; i++) keep[i] = stores[i];
  for (int32_t i = 0; i < whole->node_count; i++) {
    if (!mica_tile_is_reduction(whole->nodes[i].op) || levels[i] != level) continue;
    graph->streams[graph->stream_count] =
        shared_stream(graph, whole->nodes[i].dtype, partial[i], chunks);
    graph->nodes[graph->node_count] =
        (mica_tile_node){.op = MICA_TILE_STORE, .source = {i}, .access = graph->stream_count++};
    keep[graph->node_count++] = true;
  }
  if (!mica_tile_prune(planner->scratch, graph, keep)) planner_fail(planner, MICA_OUT_OF_MEMORY);
  add_pass(planner, graph, chunks);
}

/* The pass that reduces the partial results of one level. `stores`: row stores of the graph to finish
 * with, or NULL: the results go to the shared scratch. */
static void add_finish_pass(tile_planner *planner, const mica_tile_graph *whole,
                            const int32_t *levels, int32_t level, const size_t *partial,
                            const size_t *finished, int64_t chunks, const bool *stores) {
  /* In front of all nodes a load for each reduction, so that the order stays topological. */
  mica_tile_graph *graph = mica_tile_graph_copy(
      planner->scratch, whole, 2 * MICA_TILE_MAX_REDUCTIONS, 2 * MICA_TILE_MAX_REDUCTIONS);
  bool keep[MICA_TILE_MAX_NODES + 2 * MICA_TILE_MAX_REDUCTIONS] = {false};
  if (!graph) {
    planner_fail(planner, MICA_OUT_OF_MEMORY);
    return;
  }
  int32_t front = 0;
  for (int32_t i = 0; i < whole->node_count; i++)
    if (mica_tile_is_reduction(whole->nodes[i].op) && levels[i] == level) front++;
  graph->node_count += front;
  int32_t next = 0;
  for (int32_t i = 0; i < whole->node_count; i++) {
    mica_tile_node node = whole->nodes[i];
    for (int32_t k = 0; k < mica_tile_arity(node.op); k++) node.source[k] += front;
    if (mica_tile_is_reduction(node.op) && levels[i] == level) {
      graph->streams[graph->stream_count] = shared_stream(graph, node.dtype, partial[i], chunks);
      graph->nodes[next] =
          (mica_tile_node){.op = MICA_TILE_LOAD,
                           .dtype = mica_tile_class_dtype(mica_tile_class_of(node.dtype)),
                           .access = graph->stream_count++};
      node.source[0] = next++;
    }
    graph->nodes[front + i] = node;
    keep[front + i] = stores && stores[i];
  }
  for (int32_t i = 0; i < whole->node_count && !stores; i++) {
    const mica_tile_node *node = &whole->nodes[i];
    if (!mica_tile_is_reduction(node->op) || levels[i] != level) continue;
    graph->streams[graph->stream_count] = shared_stream(graph, node->dtype, finished[i], 0);
    graph->nodes[graph->node_count] = (mica_tile_node){
        .op = MICA_TILE_STORE, .source = {front + i}, .access = graph->stream_count++};
    keep[graph->node_count++] = true;
  }
  if (!mica_tile_prune(planner->scratch, graph, keep)) planner_fail(planner, MICA_OUT_OF_MEMORY);
  replace_reduced(graph, chunks);
  mica_tile_merge_axes(graph);
  add_pass(planner, graph, 1);
}

/* What is left when all reductions are finished: stores of elements, or of rows. */
static void add_last_pass(tile_planner *planner, const mica_tile_graph *whole,
                          const int32_t *levels, const size_t *finished, bool rows) {
  mica_tile_graph *graph =
      mica_tile_graph_copy(planner->scratch, whole, 0, MICA_TILE_MAX_REDUCTIONS);
  bool keep[MICA_TILE_MAX_NODES], any = false;
  if (!graph) {
    planner_fail(planner, MICA_OUT_OF_MEMORY);
    return;
  }
  for (int32_t i = 0; i < whole->node_count; i++) {
    keep[i] = whole->nodes[i].op == MICA_TILE_STORE && mica_tile_stores_rows(whole, i) == rows;
    any |= keep[i];
  }
  if (!any) return;
  load_finished(graph, levels, INT32_MAX, finished);
  if (!mica_tile_prune(planner->scratch, graph, keep)) planner_fail(planner, MICA_OUT_OF_MEMORY);
  if (rows) replace_reduced(graph, 0);
  graph->reduce_begin = graph->reduce_end = 0;
  mica_tile_merge_axes(graph);
  add_pass(planner, graph, 1);
}

static void plan_chunks(tile_planner *planner, const mica_tile_graph *graph, const int32_t *levels,
                        int32_t depth, bool elements_need_results, int64_t chunks) {
  size_t partial[MICA_TILE_MAX_NODES] = {0}, finished[MICA_TILE_MAX_NODES] = {0};
  bool elements[MICA_TILE_MAX_NODES] = {false}, rows[MICA_TILE_MAX_NODES] = {false};
  const bool none[MICA_TILE_MAX_NODES] = {false};
  for (int32_t i = 0; i < graph->node_count; i++) {
    if (graph->nodes[i].op == MICA_TILE_STORE)
      *(mica_tile_stores_rows(graph, i) ? &rows[i] : &elements[i]) = true;
    if (!mica_tile_is_reduction(graph->nodes[i].op)) continue;
    partial[i] = reserve_shared(planner, graph, graph->nodes[i].dtype, chunks);
    finished[i] = reserve_shared(planner, graph, graph->nodes[i].dtype, 0);
  }
  if (depth == 1 && !elements_need_results) {
    add_partial_pass(planner, graph, levels, 1, partial, finished, chunks, elements);
    add_finish_pass(planner, graph, levels, 1, partial, finished, chunks, rows);
    return;
  }
  for (int32_t level = 1; level <= depth; level++) {
    add_partial_pass(planner, graph, levels, level, partial, finished, chunks, none);
    add_finish_pass(planner, graph, levels, level, partial, finished, chunks, NULL);
  }
  add_last_pass(planner, graph, levels, finished, true);
  add_last_pass(planner, graph, levels, finished, false);
}

/* ---- the program ---------------------------------------------------------------------------------------- */

static int64_t limited(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

static void plan(tile_planner *planner, mica_tile_graph *graph) {
  int32_t levels[MICA_TILE_MAX_NODES], depth = 0;
  bool elements_need_results = false;
  mica_tile_levels(graph, levels);
  for (int32_t i = 0; i < graph->node_count; i++) {
    if (mica_tile_is_reduction(graph->nodes[i].op) && levels[i] > depth) depth = levels[i];
    if (graph->nodes[i].op == MICA_TILE_STORE && levels[i] > 0 && !mica_tile_stores_rows(graph, i))
      elements_need_results = true;
  }
  if (depth == 0 || extent(graph, 0, graph->rank) == 0) {
    graph->reduce_begin = graph->reduce_end = 0;
    add_pass(planner, graph, 1);
    return;
  }
  const int64_t outer = extent(graph, 0, graph->reduce_begin),
                inner = extent(graph, graph->reduce_end, graph->rank);
  const int64_t reduced = extent(graph, graph->reduce_begin, graph->reduce_end);
  if (graph->reduce_end == graph->rank) {
    if (reduced > 2 * CHUNK_ELEMENTS && outer < ENOUGH_UNITS) {
      plan_chunks(planner, graph, levels, depth, elements_need_results,
                  limited(reduced / CHUNK_ELEMENTS, 1, MAX_CHUNKS));
    } else {
      add_pass(planner, graph, 1);
    }
    return;
  }
  const int64_t blocks = (inner + ROW_TILE - 1) / ROW_TILE, units = outer * blocks;
  const int64_t wanted = reduced * (inner < ROW_TILE ? inner : ROW_TILE) / CHUNK_ELEMENTS;
  const int64_t chunks =
      units >= ENOUGH_UNITS ? 1 : limited(wanted, 1, MAX_CHUNKS / (units > 4 ? 4 : units));
  if (chunks > 1 || depth > 1 || elements_need_results) {
    plan_chunks(planner, graph, levels, depth, elements_need_results, chunks);
  } else {
    add_pass(planner, graph, 1);
  }
}

mica_status mica_tile_compile(const mica_cpu_kernels *kernels, const mica_tile_spec *spec,
                              const mica_allocator *allocator, mica_tile_program **out_program,
                              mica_error *error) {
  *out_program = NULL;
  mica_status status = mica_tile_check(spec, error);
  if (status != MICA_OK) return status;
  mica_tile_program *program = mica_allocate(allocator, sizeof *program);
  if (!program) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a tile program");
  memset(program, 0, sizeof *program);
  program->kernels = kernels;
  program->buffer_count = spec->buffer_count;
  if (allocator) program->allocator = *allocator;
  mica_arena_init(&program->arena, allocator);
  mica_arena scratch;
  mica_arena_init(&scratch, allocator);
  tile_planner planner = {.program = program, .scratch = &scratch};
  program->passes = mica_arena_allocate_zeroed(&program->arena, 2 * MICA_TILE_MAX_REDUCTIONS + 2,
                                               sizeof *program->passes);
  mica_tile_graph *graph = program->passes ? mica_tile_graph_create(&scratch, spec) : NULL;
  if (!graph) planner_fail(&planner, MICA_OUT_OF_MEMORY);
  if (graph && graph->block) {
    add_pass(&planner, graph, 1);
  } else if (graph) {
    plan(&planner, graph);
  }
  mica_arena_deinit(&scratch);
  program->shared_size = planner.shared;
  for (int32_t i = 0; i < program->pass_count; i++)
    if (program->passes[i].scratch_size > program->thread_size)
      program->thread_size = program->passes[i].scratch_size;
  if (planner.status != MICA_OK) {
    mica_tile_destroy(program);
    return mica_error_set(error, planner.status,
                          planner.status == MICA_OUT_OF_MEMORY ? "no memory for a tile program"
                                                               : "tile program: too large a group");
  }
  *out_program = program;
  return MICA_OK;
}

void mica_tile_destroy(mica_tile_program *program) {
  if (!program) return;
  mica_arena_deinit(&program->arena);
  const mica_allocator allocator = program->allocator;
  mica_free(&allocator, program, sizeof *program);
}
