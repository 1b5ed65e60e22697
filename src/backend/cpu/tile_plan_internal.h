/* SPDX-License-Identifier: Apache-2.0 */
/* Between tile_plan.c, which decides on passes, and tile_graph.c, which makes and changes their graphs. */
#ifndef MICA_BACKEND_CPU_TILE_PLAN_INTERNAL_H
#define MICA_BACKEND_CPU_TILE_PLAN_INTERNAL_H
#include "backend/cpu/tile_internal.h"

/* Checks the rules of tile.h; on failure the message says which node breaks which. */
mica_status mica_tile_check(const mica_tile_spec *spec, mica_error *error);

/* The spec as a graph: positions become streams, axes are merged, a reduction over nothing becomes its
 * neutral element. NULL when memory runs out. */
mica_tile_graph *mica_tile_graph_create(mica_arena *arena, const mica_tile_spec *spec);

/* Drops axes of size 1 and merges those that every stream walks as one. */
void mica_tile_merge_axes(mica_tile_graph *graph);

/* A copy with room for `nodes` and `streams` more. NULL when memory runs out. */
mica_tile_graph *mica_tile_graph_copy(mica_arena *arena, const mica_tile_graph *graph,
                                      int32_t nodes, int32_t streams);

/* Whether node i stores one element for each row. */
bool mica_tile_stores_rows(const mica_tile_graph *graph, int32_t node);

/* How many reductions lie behind each other up to each node. */
void mica_tile_levels(const mica_tile_graph *graph, int32_t *levels);

/* Replaces what no store needs by numbers, which nothing reads. `keep[i]`: store i stays. False when
 * memory runs out. */
bool mica_tile_prune(mica_arena *arena, mica_tile_graph *graph, const bool *keep);

#endif
