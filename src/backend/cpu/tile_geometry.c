/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts an iteration space into units and tiles.
 *
 * A tile is a block of one axis with all axes inside it. What is outside is walked over: by units, or,
 * in a reduction that is longer than a tile, by the tiles of one unit. */
#include "backend/cpu/tile_internal.h"

enum {
  ROW_ALONE = 256, /* rows of this length are tiles of their own */
  ROUND_BLOCK =
      64 /* blocks of the innermost axis are multiples of this, so that tiles stay aligned */
};

static int64_t span(const mica_tile_graph *graph, int32_t begin, int32_t end) {
  int64_t product = 1;
  for (int32_t axis = begin; axis < end; axis++) product *= graph->size[axis];
  return product;
}

static void add_dim(mica_tile_walk *walk, uint32_t *axes, int32_t axis, int64_t count) {
  axes[walk->rank] = (uint32_t)axis;
  walk->count[walk->rank++] = count;
  walk->total *= count;
}

/* The outermost axis in [begin, end] inside of which everything fits into a tile: `end` if not even the
 * axes from there on do. */
static int32_t outermost_fitting(const mica_tile_graph *graph, int32_t begin, int32_t end,
                                 int64_t largest) {
  int32_t axis = end;
  while (axis > begin && span(graph, axis, graph->rank) <= largest) axis--;
  return axis;
}

/* The tile is a block of `axis`, counted by the last dim of `walk`. */
static void cut_axis(const mica_tile_graph *graph, mica_tile_geometry *g, int32_t axis,
                     int64_t largest, bool of_unit) {
  const int64_t inner = span(graph, axis + 1, graph->rank), size = graph->size[axis];
  int64_t block = largest / inner;
  if (block < 1) block = 1;
  if (block > size) block = size;
  block = (size + (size + block - 1) / block - 1) / ((size + block - 1) / block);
  if (inner == 1) block = (block + ROUND_BLOCK - 1) / ROUND_BLOCK * ROUND_BLOCK;
  if (block > size) block = size;
  const int64_t blocks = (size + block - 1) / block;
  g->block_axis = axis;
  g->block = block;
  g->block_last = size - (blocks - 1) * block;
  g->block_walk = of_unit ? 1 : 2;
  g->block_dim = of_unit ? g->unit.rank : g->tile.rank;
  if (of_unit) {
    add_dim(&g->unit, g->unit_axis, axis, blocks);
  } else {
    add_dim(&g->tile, g->tile_axis, axis, blocks);
  }
}

/* Everything from `axis` on is in each tile. */
static void keep_whole(mica_tile_geometry *g, int32_t axis) {
  g->block_axis = axis;
  g->block = g->block_last = 1;
  g->block_walk = 0;
}

static void walk_units(const mica_tile_graph *graph, mica_tile_geometry *g, int32_t begin,
                       int32_t end) {
  for (int32_t axis = begin; axis < end; axis++)
    add_dim(&g->unit, g->unit_axis, axis, graph->size[axis]);
}

static void walk_tiles(const mica_tile_graph *graph, mica_tile_geometry *g, int32_t begin,
                       int32_t end) {
  for (int32_t axis = begin; axis < end; axis++)
    add_dim(&g->tile, g->tile_axis, axis, graph->size[axis]);
}

static void cut_elements(const mica_tile_graph *graph, int64_t largest, mica_tile_geometry *g) {
  const int32_t axis = outermost_fitting(graph, 0, graph->rank - 1, largest);
  walk_units(graph, g, 0, axis);
  cut_axis(graph, g, axis, largest, true);
}

static void cut_rows(const mica_tile_graph *graph, int64_t largest, mica_tile_geometry *g) {
  const int32_t begin = graph->reduce_begin;
  const int64_t length = span(graph, begin, graph->rank);
  if (length > largest) { /* tiles of one row */
    walk_units(graph, g, 0, begin);
    const int32_t axis = outermost_fitting(graph, begin, graph->rank - 1, largest);
    walk_tiles(graph, g, begin, axis);
    cut_axis(graph, g, axis, largest, false);
  } else if (length >= ROW_ALONE || begin == 0) {
    walk_units(graph, g, 0, begin);
    keep_whole(g, begin);
  } else { /* some rows in a tile */
    const int32_t axis = outermost_fitting(graph, 0, begin - 1, largest);
    walk_units(graph, g, 0, axis);
    cut_axis(graph, g, axis, largest, true);
  }
}

static void cut_columns(const mica_tile_graph *graph, int64_t largest, mica_tile_geometry *g) {
  const int32_t begin = graph->reduce_begin, end = graph->reduce_end;
  walk_units(graph, g, 0, begin);
  if (span(graph, end, graph->rank) <= largest) { /* some rows of all columns */
    const int32_t axis = outermost_fitting(graph, begin, end - 1, largest);
    walk_tiles(graph, g, begin, axis);
    cut_axis(graph, g, axis, largest, false);
  } else { /* a block of columns, row by row */
    const int32_t axis = outermost_fitting(graph, end, graph->rank - 1, largest);
    walk_units(graph, g, end, axis);
    cut_axis(graph, g, axis, largest, true);
    walk_tiles(graph, g, begin, end);
  }
}

void mica_tile_cut(const mica_tile_graph *graph, int64_t largest, mica_tile_geometry *out) {
  mica_tile_geometry g = {.unit = {.total = 1}, .tile = {.total = 1}};
  const bool reduces = graph->reduce_begin < graph->reduce_end;
  if (graph->block) { /* run_block brings the sizes */
    g.block_axis = 0;
    g.block = g.block_last = 1;
    g.inside = 3;
    g.elements = g.rows = g.capacity = g.row_capacity = largest;
    *out = g;
    return;
  }
  if (!reduces) {
    cut_elements(graph, largest, &g);
  } else if (graph->reduce_end == graph->rank) {
    cut_rows(graph, largest, &g);
  } else {
    cut_columns(graph, largest, &g);
  }
  const int32_t first_whole = g.block_walk == 0 ? g.block_axis : g.block_axis + 1;
  g.elements = span(graph, first_whole, graph->rank);
  g.rows = 1;
  for (int32_t axis = first_whole; axis < graph->rank; axis++)
    if (axis < graph->reduce_begin || axis >= graph->reduce_end) g.rows *= graph->size[axis];
  g.block_is_row = g.block_walk != 0 && reduces &&
                   (g.block_axis < graph->reduce_begin || g.block_axis >= graph->reduce_end);
  for (int32_t axis = g.block_axis; axis < graph->rank; axis++) g.inside |= 1U << axis;
  for (int32_t dim = 0; dim < g.tile.rank; dim++) g.walked |= 1U << g.tile_axis[dim];
  g.capacity = g.elements * g.block;
  g.row_capacity = g.block_is_row ? g.rows * g.block : g.rows;
  *out = g;
}
