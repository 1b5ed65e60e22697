/* SPDX-License-Identifier: Apache-2.0 */
/* program_internal.h: a compiled program of the reference backend, and what one call of it uses. */
#ifndef MICA_REFERENCE_PROGRAM_INTERNAL_H
#define MICA_REFERENCE_PROGRAM_INTERNAL_H
#include "backend/reference/reference_internal.h"

enum { MICA_REFERENCE_NOWHERE = 0, MICA_REFERENCE_DEPTH = 500 };

typedef struct {
  uint32_t first, count;
} reference_list;

/* What the runs of a node in one call took. */
typedef struct {
  int64_t begin, nanoseconds, runs; /* begin: of the last one */
} reference_timing;

/* The memory of one call: places of all values, the arena behind them. */
typedef struct reference_frame {
  struct reference_frame *next;
  char *arena;
  void **place;             /* [graph.count] where each value lies */
  const void **in;          /* [widest] operands of the node that runs */
  reference_timing *timing; /* [graph.count], NULL: nobody wants to know */
  const mica_call *call;
  mica_error *error;
} reference_frame;

/* Offsets count from the arena's begin plus 1, so that 0 is "nowhere". */
typedef struct reference_program {
  mica_allocator allocator;
  const mica_device *device;
  mica_graph graph;        /* composites expanded, calls inlined */
  mica_arena memory;       /* of the arrays */
  uint32_t *steps;         /* ids in order, region by region */
  reference_list *regions; /* [region_count] their parts of `steps` */
  size_t *offset;          /* [count] */
  size_t *second;          /* [count] results of loops: the other buffer of the state */
  uint32_t *inputs;        /* [in_count] ids, in the order of the call */
  uint32_t *outputs;       /* [out_count] */
  size_t *
      staging; /* [out_count] outputs that are inputs: where they are kept while outputs are written */
  uint32_t in_count, out_count, widest;
  size_t arena_bytes, scratch; /* scratch: its offset */
  reference_timing *timing;    /* [graph.count] of the last call, on a device that profiles */
  bool timed;                  /* there was one */
  mica_mutex mutex;            /* guards `frames`, `timing` and `timed` */
  reference_frame *frames;     /* at rest */
  size_t frame_size;
} reference_program;

/* The row of an operator; kernel NULL when there is none. */
const reference_row *mica_reference_row(mica_op op);

/* plan.c: fills steps, lists and offsets of a program whose graph stands. */
mica_status mica_reference_plan(reference_program *program, mica_error *error);
/* profile.c: the text of the last call's profile. */
int64_t mica_reference_profile(void *state, void *pointer, bool trace, char *text, size_t size);
/* evaluate.c: runs the root region. */
mica_status mica_reference_evaluate(const reference_program *program, reference_frame *frame);

#endif
