/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the tile VM, shared by its compiler (tile_plan.c, tile_emit.c) and its driver (tile.c).
 *
 * A program is a list of passes. A pass walks over units (what threads share out); in each unit it walks
 * over tiles, once for each loop, and before, between and after the loops it works on rows: values that
 * are one for each row (or column) of the unit. Most passes have one tile a unit and one loop.
 *
 * All instructions name places: entries of a table of pointers that each thread has. A place is the
 * current element of an access, a splat (one vector of equal elements), a register or a state. */
#ifndef MICA_BACKEND_CPU_TILE_INTERNAL_H
#define MICA_BACKEND_CPU_TILE_INTERNAL_H

#include "backend/cpu/tile.h"
#include "core/memory.h"

enum {
  MICA_TILE_DIMS = MICA_TILE_RANK + 1, /* of a walk: axes and the blocks of one */
  MICA_TILE_LARGEST = 4096,            /* elements of a tile */
  MICA_TILE_MAX_LOOPS = MICA_TILE_MAX_REDUCTIONS + 1,
  MICA_TILE_SLOT = 64 /* bytes of a splat: the widest vector */
};

/* How many elements an instruction works on. */
typedef enum {
  MICA_TILE_ONE,  /* one vector of equal elements */
  MICA_TILE_ROWS, /* one element for each row of the tile (columns: for each column) */
  MICA_TILE_ALL   /* every element of the tile */
} mica_tile_extent;

typedef enum {
  MICA_TILE_COMPUTE,      /* kernel(count, out, in) */
  MICA_TILE_CAST,         /* from `from` to `to` by mica_convert_elements */
  MICA_TILE_GATHER,       /* out = the access's lines, densely; widened by kernel if it has one */
  MICA_TILE_BROADCAST,    /* out = one vector of the access's one element, widened by kernel */
  MICA_TILE_POSITION,     /* out = positions along an axis */
  MICA_TILE_PUT,          /* the access = in, narrowed by kernel; dense or as lines */
  MICA_TILE_REDUCE_EACH,  /* out[row] = reduction of the row's elements in the tile */
  MICA_TILE_REDUCE_ONE,   /* out = one vector of the reduction of the whole tile */
  MICA_TILE_REDUCE_BEGIN, /* state in place out = nothing */
  MICA_TILE_REDUCE_PUSH,  /* state in place out takes the tile */
  MICA_TILE_REDUCE_END,   /* out = one vector of the result of the state in[0] */
  MICA_TILE_ACCUMULATE,   /* register out (first tile: =, then by kernel) the tile */
  MICA_TILE_FOLD,         /* register out: its rows combined into the first by kernel */
  MICA_TILE_EXPAND,       /* out[row, i] = in[row] */
  MICA_TILE_CHAIN         /* steps on a few vectors at a time */
} mica_tile_kind;

typedef struct mica_tile_instruction {
  uint8_t kind;      /* mica_tile_kind */
  uint8_t extent;    /* mica_tile_extent */
  uint8_t splat;     /* bit i: in[i] is a splat */
  uint8_t size_log2; /* of an element of `out` */
  int16_t out, in[3];
  int16_t access;   /* cursor of GATHER, BROADCAST, POSITION, PUT */
  int16_t direct;   /* PUT: the value may have been computed in place: index into `direct`, or -1 */
  bool whole;       /* GATHER: a whole block, for tiles to come too */
  uint8_t from, to; /* CAST: dtypes */
  int16_t op;       /* COMPUTE of f32: mica_tile_op, MICA_TILE_OP_COUNT + a pair; else -1 */
  int32_t step, step_count; /* CHAIN: in the pass's steps */
  mica_tile_kernel *kernel;
  const mica_reduce_kernels *reduce;
} mica_tile_instruction;

/* An access in one pass: how its pointer moves, and which elements of it a tile has. */
typedef struct mica_tile_cursor {
  int32_t buffer; /* -1: positions, whose "pointer" is a number; buffer_count: the shared scratch */
  uint8_t dtype, size_log2;
  bool rows; /* one element a row */
  bool stream;
  bool dense;                 /* the tile's elements follow each other */
  bool variable;              /* the block's length counts in count[0] */
  int64_t offset, chunk_step; /* bytes */
  int64_t unit_step[MICA_TILE_DIMS], tile_step[MICA_TILE_DIMS]; /* bytes for one more along a dim */
  int32_t line_rank;                                     /* lines of the tile, outermost first */
  int64_t count[MICA_TILE_RANK], stride[MICA_TILE_RANK]; /* elements */
} mica_tile_cursor;

typedef struct mica_tile_walk {
  int32_t rank;
  int64_t count[MICA_TILE_DIMS];
  int64_t total;
} mica_tile_walk;

/* A value that is computed in place of a stored array, unless a later read of the tile might see it. */
typedef struct mica_tile_direct {
  int16_t access, place, reg;
  uint64_t hazards; /* cursors that are read after it is written */
} mica_tile_direct;

/* How a space is cut into units and tiles. */
typedef struct mica_tile_geometry {
  mica_tile_walk unit, tile;
  uint32_t unit_axis[MICA_TILE_DIMS], tile_axis[MICA_TILE_DIMS]; /* which axis a dim of a walk is */
  int32_t block_walk; /* 0: the tile is fixed; 1: a dim of `unit`, 2: of `tile` counts its blocks */
  int32_t block_dim;
  int32_t block_axis;             /* outermost axis in the tile; inner ones are there whole */
  int64_t block, block_last;      /* length along it, and of the last block */
  int64_t elements;               /* of the tile for one index along block_axis */
  int64_t rows;                   /* rows (columns) of the tile, the same way */
  bool block_is_row;              /* rows count the block's length */
  uint32_t inside;                /* mask of axes in the tile */
  uint32_t walked;                /* mask of axes that `tile` walks over, the block's axis too */
  int64_t capacity, row_capacity; /* elements of the largest tile; rows */
} mica_tile_geometry;

typedef struct mica_tile_code {
  const mica_tile_instruction *instructions;
  int32_t count;
} mica_tile_code;

typedef struct mica_tile_pass {
  mica_tile_geometry geometry;
  int64_t chunks; /* pieces of the tile walk; a unit is one of them */
  int32_t cursor_count, splat_count, register_count, state_count, direct_count, slot_count,
      place_count;
  int32_t loop_count;
  mica_tile_cursor *cursors;
  mica_tile_direct *direct;
  const struct mica_chain_step *steps;
  mica_tile_code prologue;                      /* once for each call */
  mica_tile_code rows[MICA_TILE_MAX_LOOPS + 1]; /* before loop i, and after the last */
  mica_tile_code loops[MICA_TILE_MAX_LOOPS];
  bool columns, block;
  bool streams; /* some store goes around the caches */
  /* The thread's scratch: bytes from its start. */
  size_t register_bytes, splats_at, registers_at, states_at, slots_at, staging_at, scratch_size;
  /* Numbers: splats that are written once for each call. */
  const struct mica_tile_constant *constants;
  int32_t constant_count;
  int64_t unit_cost; /* nanoseconds, roughly */
} mica_tile_pass;

typedef struct mica_tile_constant {
  int16_t place;
  uint8_t size_log2;
  uint64_t bits;
} mica_tile_constant;

struct mica_tile_program {
  mica_arena arena;
  mica_allocator allocator;
  const mica_cpu_kernels *kernels;
  int32_t buffer_count;
  int32_t pass_count;
  mica_tile_pass *passes;
  size_t shared_size, thread_size;
};

/* ---- the compiler's own view of a spec ---- */

typedef struct mica_tile_stream {
  mica_tile_access access;
  int64_t chunk_stride; /* elements from one chunk's partial result to the next */
} mica_tile_stream;

/* A spec with merged axes; positions are accesses too (buffer -1). */
typedef struct mica_tile_graph {
  int32_t rank;
  int64_t size[MICA_TILE_RANK];
  int32_t reduce_begin, reduce_end;
  mica_tile_node *nodes;
  int32_t node_count;
  mica_tile_stream *streams;
  int32_t stream_count;
  int32_t buffer_count;
  bool block;
} mica_tile_graph;

static inline mica_tile_class mica_tile_class_of(mica_dtype dtype) {
  switch ((int)dtype) {
    case MICA_F32:
    case MICA_F16:
    case MICA_BF16: return MICA_TILE_CLASS_F32;
    case MICA_F64: return MICA_TILE_CLASS_F64;
    case MICA_I8:
    case MICA_I16:
    case MICA_I32: return MICA_TILE_CLASS_I32;
    case MICA_U8:
    case MICA_U16:
    case MICA_U32: return MICA_TILE_CLASS_U32;
    case MICA_I64: return MICA_TILE_CLASS_I64;
    case MICA_U64: return MICA_TILE_CLASS_U64;
    case MICA_BOOL: return MICA_TILE_CLASS_BOOL;
    default: return MICA_TILE_CLASS_COUNT;
  }
}
static inline uint8_t mica_tile_class_size_log2(mica_tile_class type) {
  if (type == MICA_TILE_CLASS_BOOL) return 0;
  const bool wide =
      type == MICA_TILE_CLASS_F64 || type == MICA_TILE_CLASS_I64 || type == MICA_TILE_CLASS_U64;
  return wide ? 3 : 2;
}
mica_dtype mica_tile_class_dtype(mica_tile_class type); /* F32 for MICA_TILE_CLASS_F32, .. */
int32_t mica_tile_arity(mica_tile_op op);
static inline bool mica_tile_is_reduction(mica_tile_op op) {
  return op >= MICA_TILE_REDUCE_SUM && op <= MICA_TILE_REDUCE_OR;
}
/* Axes along which each node's value changes; those of `reductions` too for what reductions give. */
void mica_tile_masks(const mica_tile_graph *graph, uint32_t reductions, uint32_t *masks);
/* The element that a reduction starts from. */
mica_tile_number mica_tile_neutral(mica_tile_op op, mica_dtype dtype);

/* tile_geometry.c: `largest` bounds the tile's elements. Never fails. */
void mica_tile_cut(const mica_tile_graph *graph, int64_t largest, mica_tile_geometry *out);

/* tile_emit.c: one pass of a graph that needs no further cutting, with tiles of at most `largest` elements;
 * `chunks` pieces of its tile walk are units of their own. Allocates in `arena`. The footprint is the bytes
 * that a tile touches. */
mica_status mica_tile_emit(mica_arena *arena, const mica_cpu_kernels *kernels,
                           const mica_tile_graph *graph, int64_t chunks, int64_t largest,
                           mica_tile_pass *out, int64_t *out_footprint);

#endif
