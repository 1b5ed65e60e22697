/* SPDX-License-Identifier: Apache-2.0 */
/* fold_region.h: blocks of single elements that are applied to whole arrays (fold_region.c). */
#ifndef MICA_GRAPH_OPS_FOLD_REGION_H
#define MICA_GRAPH_OPS_FOLD_REGION_H
#include "graph/ops/rules.h"

/* A closed block. It leaves no node: wherever it is applied, its nodes are built for a batch. */
typedef struct {
  mica_graph *graph;
  uint32_t region;
} mica_fold;

/* Opens a block `name` over `in`, whose arguments have those types. `plan` is what its end needs to
 * know; memory of the graph's arena. Without success the handle is a failed one that remembers
 * `results`. */
mica_region mica_fold_open(mica_graph *graph, const char *name, const mica_value *in, size_t count,
                           const mica_type *arguments, size_t argument_count, void *plan,
                           size_t results);
mica_region mica_fold_failed(mica_graph *graph, size_t results);
/* The plan of a block `name`, open or failed since; NULL: no such block. */
void *mica_fold_plan(mica_region region, const char *name);
/* How many results the end of a failed handle is asked for. */
size_t mica_fold_failed_results(mica_region region);
/* Closes the open region with results of the types expected; `last`: and the block. */
bool mica_fold_close(mica_region region, const char *function, const char *name,
                     const mica_value *result, const mica_type *expected, size_t count, bool last,
                     mica_fold *out);
/* Operand i of the block, as its surroundings know it. */
mica_value mica_fold_operand(mica_region region, size_t i);
/* in[] are the declared arguments of `size` elements each, along axis 0; so are out[]. */
void mica_fold_apply(const mica_fold *fold, const mica_value *in, int64_t size, mica_value *out);

/* The operator that the block's one result is of its first two arguments, in either order;
 * MICA_OP_NONE: it is something else. *out_attr: its attributes; *out_swapped: the second argument
 * is the first operand. */
mica_op mica_fold_operator(const mica_fold *fold, size_t left, size_t right, const void **out_attr,
                           bool *out_swapped);
/* Whether result i is argument `argument` itself. */
bool mica_fold_gives(const mica_fold *fold, size_t i, size_t argument);
/* The reduction that a recognized operator on that dtype is. */
bool mica_fold_kind(const mica_fold *fold, mica_dtype dtype, mica_reduce_kind *out);
/* x kind y */
mica_value mica_join_values(mica_reduce_kind kind, mica_value x, mica_value y);

/* Joins `size` pairs of elements. */
typedef void mica_join_pairs(void *context, const mica_value *left, const mica_value *right,
                             size_t count, int64_t size, mica_value *out);
/* x[count] [rows, columns] with its rows joined into one, in their order: out[count] [columns]; rows
 * > 0. */
void mica_fold_rows(mica_graph *graph, const mica_value *x, size_t count, int64_t rows,
                    int64_t columns, mica_join_pairs *join, void *context, mica_value *out);
/* Running folds of x[count] [n, rest...] along axis 0. */
void mica_scan_pairs(mica_graph *graph, const mica_value *x, size_t count, int64_t n,
                     mica_join_pairs *join, void *context, mica_value *out);
/* One whose context is a mica_fold. */
void mica_fold_pairs(void *context, const mica_value *left, const mica_value *right, size_t count,
                     int64_t size, mica_value *out);

/* [count] values of the arena; the graph fails without memory. */
mica_value *mica_fold_values(mica_graph *graph, size_t count);
#endif
