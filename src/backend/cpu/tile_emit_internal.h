/* SPDX-License-Identifier: Apache-2.0 */
/* What tile_emit.c, which chooses instructions, hands to tile_place.c, which gives their values places. */
#ifndef MICA_BACKEND_CPU_TILE_EMIT_INTERNAL_H
#define MICA_BACKEND_CPU_TILE_EMIT_INTERNAL_H

#include <string.h>

#include "backend/cpu/kernels/tile_kernels.h"
#include "backend/cpu/tile_internal.h"
#include "core/dtype.h"

enum { TILE_MAX_DIRECT = 32 };

/* Stages in the order in which they run. */
#define TILE_PROLOGUE 0
#define TILE_ROWS(i)  (1 + 2 * (i)) /* before loop i; i = loop_count: after the last */
#define TILE_LOOP(i)  (2 + 2 * (i))

/* A slot is for values that live within one round of a chain; what a chain keeps in its accumulator has no
 * place. */
typedef enum {
  TILE_IN_MEMORY,
  TILE_IN_SPLAT,
  TILE_IN_REGISTER,
  TILE_IN_STATE,
  TILE_IN_SLOT,
  TILE_IN_ACCUMULATOR
} tile_holder;

typedef struct tile_value {
  tile_holder holder;
  mica_tile_extent extent;
  uint8_t size_log2;
  bool lasting;     /* written in the prologue, needed in every tile */
  bool accumulates; /* over the tiles of a loop */
  int32_t cursor;   /* IN_MEMORY */
  int16_t direct;
  int32_t defined, last_use; /* positions in the sorted code */
  int32_t index;             /* of the splat, register or state */
} tile_value;

typedef struct tile_staged {
  int32_t stage;
  mica_tile_instruction code; /* places are still indices of values */
} tile_staged;

/* A step of a chain while its operands are values, or -1. */
typedef struct tile_step {
  int32_t op; /* mica_chain_op */
  int32_t value[2];
} tile_step;
static inline bool tile_step_writes(const tile_step *step) {
  return step->op == MICA_CHAIN_STORE || step->op == MICA_CHAIN_STREAM ||
         step->op == MICA_CHAIN_STORE_TRUTH;
}

/* Values of a node: once for rows and splats, for each loop, and after the columns' loop. */
typedef struct tile_cache {
  int32_t row_value, final_value, loop_value, whole_value, loop;
} tile_cache;

typedef enum { TILE_WORLD_LOOP, TILE_WORLD_ROWS, TILE_WORLD_FINAL } tile_world;

typedef struct tile_place {
  mica_tile_extent extent;
  int32_t stage;
  tile_world world;
} tile_place;

typedef struct tile_emitter {
  mica_arena *arena;
  const mica_tile_kernels *kernels;
  const mica_tile_graph *graph;
  const mica_tile_geometry *geometry;
  mica_status status;
  bool by_rows;     /* a reduction of trailing axes */
  bool single_tile; /* a unit is one tile, so that values last through all stages */
  uint32_t reduced, outside,
      block_mask; /* masks of axes; outside: walked over and not in the tile */
  int32_t loop_count, store_count;

  uint32_t *masks, *access_masks; /* [nodes], [streams]: axes along which it changes */
  int32_t *levels, *uses, *stored;
  tile_cache *cache;

  int32_t *cursor_of; /* [2 * streams]: for elements and for rows; -1: none yet */
  mica_tile_cursor *cursors;
  int32_t cursor_count;
  tile_value *values;
  int32_t value_count, value_capacity;
  tile_staged *code, discarded;
  int32_t code_count, code_capacity;
  mica_tile_constant *constants; /* places are still indices of values */
  int32_t constant_count;
  mica_tile_direct *direct; /* reg is still an index of a value */
  int32_t direct_count;
  tile_step *steps;
  int32_t step_count, slot_count;
} tile_emitter;

/* tile_chain.c: joins runs of f32 operators of one stage, in code sorted by stages, into chains. Returns the
 * new count of instructions; false when memory runs out. */
bool mica_tile_join(tile_emitter *emitter, tile_staged *sorted, int32_t *count);

/* Sorts the code by stages, allocates registers and fills the pass. The footprint is the bytes that a
 * tile touches. */
void mica_tile_place(tile_emitter *emitter, mica_tile_pass *pass, int64_t *out_footprint);

#endif
