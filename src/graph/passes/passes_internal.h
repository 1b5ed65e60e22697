/* SPDX-License-Identifier: Apache-2.0 */
/* passes_internal.h: what the passes share. */
#ifndef MICA_GRAPH_PASSES_INTERNAL_H
#define MICA_GRAPH_PASSES_INTERNAL_H
#include "graph/attributes.h"
#include "graph/graph_internal.h"

/* The value that `id` stands for: what an argument of an open block captured, all the way out. */
uint32_t mica_captured_source(const mica_graph *graph, uint32_t id);

/* simplify.c: a simpler value of the same type and bits for operator `op` on `in`, or no value. */
mica_value mica_simplify(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                         const void *attr);
/* The same, and the node itself where there is nothing simpler. */
mica_value mica_emit_simplified(mica_graph *graph, mica_op op, const mica_value *in,
                                size_t in_count, const void *attr);

/* Its parts: elementwise operators on constants; arithmetic; data movement and what it reaches
 * into. */
mica_value mica_simplify_constants(mica_graph *graph, mica_op op, const mica_value *in,
                                   size_t in_count, const void *attr);
mica_value mica_simplify_arithmetic(mica_graph *graph, mica_op op, const mica_value *in,
                                    size_t in_count, const void *attr);
mica_value mica_simplify_movement(mica_graph *graph, mica_op op, const mica_value *in,
                                  size_t in_count, const void *attr);

/* The node behind a value if it is of operator `op`, else NULL; and one of its operands. */
const mica_node *mica_made_by(const mica_graph *graph, mica_value value, mica_op op);
mica_value mica_operand_of(mica_graph *graph, const mica_node *node, uint32_t index);
/* A constant of one element repeated to `shape`; no value if it is not one. */
mica_value mica_repeat_constant(mica_graph *graph, mica_value value, mica_shape shape);

#endif
