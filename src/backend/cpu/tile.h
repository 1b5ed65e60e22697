/* SPDX-License-Identifier: Apache-2.0 */
/* The tile VM: a fused group of elementwise operators and reductions, run tile by tile in L1.
 *
 * A mica_tile_spec says what is computed: an iteration space of up to 8 axes, arrays with a stride for
 * each axis (accesses), and nodes in topological order, node i being value i. mica_tile_compile turns it
 * into a program: it merges axes, chooses a tile of 64 to 1024 elements so that the live tiles stay in
 * L1, allocates registers, cuts reductions into passes. mica_tile_run executes it, or, where the caller
 * splits the work himself, mica_tile_run_units.
 *
 * Reductions. The axes [reduce_begin, reduce_end) of the space are reduced (empty: purely elementwise);
 * all reductions of a program go over these. Since accesses carry strides, the caller orders the axes as
 * he likes. Two forms:
 *   rows     reduce_end == rank: trailing axes. Any number of phases: a reduced value may be used
 *            with unreduced ones (it is repeated along the row), and the result reduced again; the row
 *            stays in cache between phases. softmax: m = reduce_max(x); e = exp(x - m);
 *            s = reduce_sum(e); store(e / s).
 *   columns  reduce_end < rank: leading or middle axes, unreduced axes behind them (column sums). One
 *            phase: reduced values meet other reduced values, numbers and loads that do not move along
 *            the reduced axes, never an unreduced value.
 * A node is "reduced" when it depends on reductions, numbers and accesses with stride 0 along all
 * reduced axes only, and at least on one reduction; it is computed once for each row or column.
 *
 * The same bits for any split among threads: chunks and their tree of partial sums follow from the spec
 * and the row of kernels. No value depends on where its tile starts.
 *
 * Dtypes: bool, i8 .. i64, u8 .. u64, f16, bf16, f32, f64. f16 and bf16 are f32 inside a program; a
 * CONVERT to them rounds. Integers wrap. Semantics of the operators: include/mica/ops/elementwise.h.
 *
 * Aliasing: a stored array may be a loaded one if both have the same strides, offset and element size
 * (in-place update); otherwise stored arrays overlap nothing.
 * Threads: a program is immutable; any number of threads may run it with scratch of their own. */
#ifndef MICA_BACKEND_CPU_TILE_H
#define MICA_BACKEND_CPU_TILE_H

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/tile_kernels.h" /* mica_tile_op */
#include "mica/core.h"

enum {
  MICA_TILE_RANK = 8,
  MICA_TILE_MAX_NODES = 512, /* a larger group is MICA_UNSUPPORTED: cut it */
  MICA_TILE_MAX_ACCESSES = 64,
  MICA_TILE_MAX_REDUCTIONS = 8
};

/* One array as the space sees it. Element (i0, i1, ...) is at offset + i0 * stride[0] + ... ; any stride
 * of a load may be zero or negative; a store reaches every place once. */
typedef struct mica_tile_access {
  int32_t buffer; /* index into the pointers that a run is given */
  mica_dtype dtype;
  int64_t offset;                 /* elements */
  int64_t stride[MICA_TILE_RANK]; /* elements; a store of a reduced value: 0 along reduced axes */
  bool stream;                    /* store: large and not read next, so written around the caches */
} mica_tile_access;

typedef union mica_tile_number {
  double as_double;
  int64_t as_integer;
} mica_tile_number;

typedef struct mica_tile_node {
  mica_tile_op op;
  mica_dtype dtype;  /* of the value; STORE: NONE */
  int32_t source[3]; /* earlier nodes */
  int32_t access;    /* LOAD, STORE: the access; INDEX: the axis */
  mica_tile_number number;
} mica_tile_node;

typedef struct mica_tile_spec {
  int32_t rank; /* 0: one element */
  int64_t size[MICA_TILE_RANK];
  int32_t reduce_begin, reduce_end; /* equal: nothing is reduced */
  const mica_tile_node *nodes;
  int32_t node_count;
  const mica_tile_access *accesses;
  int32_t access_count;
  int32_t buffer_count;
  bool block; /* for mica_tile_run_block: rank 2, no reductions, axes stay as they are */
} mica_tile_spec;

typedef struct mica_tile_program mica_tile_program;

/* Whether a node of this operator may have this dtype (source_dtype: of source 0, or of source 1 for
 * SELECT; NONE where there is none). */
bool mica_tile_supports(mica_tile_op op, mica_dtype dtype, mica_dtype source_dtype);

/* Compiles; reads `spec` during the call only. MICA_UNSUPPORTED with the reason in `error` for what the
 * VM cannot do (the caller cuts the group or takes another way), MICA_INVALID for a spec that breaks the
 * rules above, MICA_OUT_OF_MEMORY. `kernels` outlives the program. */
mica_status mica_tile_compile(const mica_cpu_kernels *kernels, const mica_tile_spec *spec,
                              const mica_allocator *allocator, mica_tile_program **out_program,
                              mica_error *error);
void mica_tile_destroy(mica_tile_program *program); /* NULL is fine */

/* Scratch of a run with that many threads (64-byte aligned); SIZE_MAX on overflow. Nothing of it needs
 * to be kept or cleared between runs. */
size_t mica_tile_scratch_size(const mica_tile_program *program, int32_t threads);

/* Runs everything. buffers[buffer_count]: the arrays' first elements. */
void mica_tile_run(const mica_tile_program *program, void *const *buffers,
                   const mica_parallel *parallel, void *scratch);

/* The same in the caller's own loop: pass after pass, each in units whose order and grouping are free,
 * all units of a pass before the next pass. Scratch is one shared part and one part for each thread. */
int32_t mica_tile_pass_count(const mica_tile_program *program);
int64_t mica_tile_unit_count(const mica_tile_program *program, int32_t pass);
/* Rough nanoseconds of one unit, for choosing how many units a task takes. */
int64_t mica_tile_unit_cost(const mica_tile_program *program, int32_t pass);
size_t mica_tile_shared_size(const mica_tile_program *program);
size_t mica_tile_thread_size(const mica_tile_program *program);
void mica_tile_run_units(const mica_tile_program *program, int32_t pass, int64_t begin, int64_t end,
                         void *const *buffers, void *shared, void *thread);

/* Programs with spec.block: the part [row, row + rows) x [column, column + columns) of the space, as an
 * epilogue of a product needs it. */
void mica_tile_run_block(const mica_tile_program *program, void *const *buffers, int64_t row,
                         int64_t column, int64_t rows, int64_t columns, void *thread);

/* Text of the program for dumps ("rows, tile 512, 3 registers" and one line an instruction), always
 * terminated; returns the length it needs. */
int mica_tile_format(const mica_tile_program *program, char *text, size_t size);

#endif
