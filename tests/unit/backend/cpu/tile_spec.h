/* SPDX-License-Identifier: Apache-2.0 */
/* tile_spec.h: a tile spec in the making, with room for its nodes and arrays, and short ways to add nodes. */
#ifndef TILE_SPEC_H
#define TILE_SPEC_H
#include "tile_oracle.h"

enum { MAX_BUFFERS = 24, MAX_NODES = 64 };

typedef struct {
  uint64_t state;
  mica_tile_spec spec;
  mica_tile_node nodes[MAX_NODES];
  mica_tile_access accesses[MAX_BUFFERS];
  int64_t low[MAX_BUFFERS], high[MAX_BUFFERS]; /* addresses used, relative to the first element */
  char *data[3][MAX_BUFFERS];                  /* the oracle's, the program's, another run's */
  void *first[3][MAX_BUFFERS];
  int32_t stores;
} fuzz;

static inline int32_t fuzz_add(fuzz *f, mica_tile_node node) {
  f->nodes[f->spec.node_count] = node;
  return f->spec.node_count++;
}

static inline int32_t fuzz_binary(fuzz *f, mica_tile_op op, int32_t x, int32_t y) {
  return fuzz_add(f, (mica_tile_node){.op = op, .dtype = f->nodes[x].dtype, .source = {x, y}});
}
static inline int32_t fuzz_unary(fuzz *f, mica_tile_op op, mica_dtype dtype, int32_t x) {
  return fuzz_add(f, (mica_tile_node){.op = op, .dtype = dtype, .source = {x}});
}
static inline int32_t fuzz_number(fuzz *f, mica_dtype dtype, int32_t number) {
  mica_tile_number value = {.as_integer = number};
  if (mica_dtype_is_float(dtype)) value.as_double = number;
  return fuzz_add(f, (mica_tile_node){.op = MICA_TILE_NUMBER, .dtype = dtype, .number = value});
}

#endif
