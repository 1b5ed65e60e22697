/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h: what the definitions of operators share: tables of attribute fields, checks of operands
 * and axes for builders, inference and batching of whole classes of operators.
 *
 * A builder checks in this order: operands usable, axes resolved, operands broadcast, emit. The
 * first three report through mica_fail_operator, so each message has operator, operand types and
 * scope path. Inference checks everything again, since a parsed graph comes without builders. */
#ifndef MICA_GRAPH_OPS_RULES_H
#define MICA_GRAPH_OPS_RULES_H
#include <stdarg.h>

#include "graph/attributes.h"
#include "graph/builder.h"
#include "graph/graph_internal.h"

/* ---- tables of attribute fields: {MICA_FIELD(mica_x_attr, axis, I64), MICA_FIELD_END} -------- */

#define MICA_FIELD(attr_type, member, KIND) \
  { .name = #member, .kind = MICA_ATTR_##KIND, .offset = (uint32_t)offsetof(attr_type, member) }
#define MICA_FIELD_ENUM(attr_type, member, list)                                              \
  {                                                                                           \
    .name = #member, .kind = MICA_ATTR_ENUM, .offset = (uint32_t)offsetof(attr_type, member), \
    .names = (list)                                                                           \
  }
#define MICA_FIELD_END \
  { .name = NULL }

/* ---- shapes and lists ------------------------------------------------------------------------ */

/* The same shape with zeros past its rank, as attributes need it; an invalid rank stays. */
mica_shape mica_shape_clean(mica_shape shape);
/* With a size in front of axis `axis`, or without that axis. A ninth axis gives rank 9 and nothing
 * else, which inference refuses. */
mica_shape mica_shape_insert(mica_shape shape, int32_t axis, int64_t size);
mica_shape mica_shape_remove(mica_shape shape, int32_t axis);
/* numpy's rule for two shapes: false when an axis clashes, `out_axis_from_end` (1: the last)
 * says which. */
bool mica_shape_broadcast(mica_shape a, mica_shape b, mica_shape *out, int32_t *out_axis_from_end);
/* "[2, 3]" into text, which holds any shape in MICA_SHAPE_TEXT bytes; returns text. */
enum { MICA_SHAPE_TEXT = 200 };
const char *mica_shape_text(mica_shape shape, char text[MICA_SHAPE_TEXT]);
bool mica_ints_contain(const mica_ints *list, int64_t number);
mica_axes mica_axes_from(const mica_ints *list); /* for builders called by rules */
mica_axes mica_axes_keeping(const mica_ints *list, bool keep);
/* 0, 1, .. count - 1, each plus `first`. */
mica_ints mica_ints_sequence(int64_t first, int32_t count);
/* `front` and then the entries, each plus `shift`. The list has at most 7 entries
 * (mica_batch_fits). */
mica_ints mica_ints_prepend(int64_t front, const mica_ints *list, int64_t shift);
mica_ints mica_ints_shift(const mica_ints *list, int64_t shift); /* each entry plus `shift` */
/* An axis in 0 .. rank - 1 from one that may count from the end; false when there is none. */
bool mica_resolve_axis(int64_t axis, int32_t rank, int64_t *out_axis);

/* ---- for builders ---------------------------------------------------------------------------- */

/* Copies an argument struct that begins with its struct_size; what an older caller's lacks is
 * zero. False for NULL. */
bool mica_copy_args(void *copy, size_t size, const void *args);

/* Whether all operands can be used here; otherwise the graph fails in the name of `op`. */
bool mica_operands_usable(const char *op, const mica_value *in, size_t count);
/* Whether the dtype of the first of usable operands is of a class; otherwise the graph fails too. */
bool mica_operands_accepted(const char *op, const mica_value *in, size_t count,
                            mica_dtype_class class);
/* Axes of x from a builder's argument: -1 counts from the end, MICA_ALL gives all; each at most
 * once; sorted if asked. On a mistake the graph fails and the result is false. */
bool mica_builder_axis(const char *op, mica_value x, int32_t axis, int64_t *out_axis);
bool mica_builder_axes(const char *op, mica_value x, mica_axes axes, bool sorted,
                       mica_ints *out_axes);
/* Fails with the place in a text that the operator was given: `character 4 of "ij,jk": ...`. */
void mica_fail_in_text(mica_graph *graph, const char *op, const mica_value *in, size_t count,
                       const char *text, const char *at, const char *format, va_list arguments)
    MICA_PRINTF(7, 0);
/* A plain list of an argument struct (operator `op` with operands in[]); MICA_ALL makes no sense
 * there. */
bool mica_builder_list(const char *op, const mica_value *in, size_t count, const char *name,
                       mica_axes axes, mica_ints *out_list);
/* Checks that in[dtype_from .. count) have one dtype, then broadcasts all of them to one shape
 * in place (nodes only where needed). The graph fails otherwise. */
bool mica_broadcast_operands(const char *op, mica_value *in, size_t count, size_t dtype_from);
/* The operator on operands of one dtype, broadcast in place. */
mica_value mica_emit_broadcast(mica_op op, mica_value *in, size_t count, const void *attr);
/* x in `shape`, the value itself when it has that shape already (the public builder appends a
 * node). */
mica_value mica_broadcast_if_needed(mica_value x, mica_shape shape);
mica_value mica_reshape_if_needed(mica_value x, mica_shape shape);
mica_value mica_transpose_if_needed(mica_value x, const mica_ints *permutation);
/* A constant of x's type, or [] of x's dtype, on behalf of `op`; the number fits as in
 * mica_scalar. */
mica_value mica_number_like(const char *op, mica_value x, double number);
mica_value mica_number_for(const char *op, mica_value x, double number);

/* A constant array of `dtype`, the numbers rounded to it. */
mica_value mica_constant_array(mica_graph *graph, mica_dtype dtype, mica_shape shape,
                               const double *numbers);

/* ---- inference ------------------------------------------------------------------------------- */

/* The one result's type, checked for rank, sizes and overflow; rules end with `return`. */
bool mica_infer_one(mica_infer *infer, mica_type type);
bool mica_infer_operand_count(mica_infer *infer, size_t least, size_t most);
bool mica_infer_same(mica_infer *infer);  /* one operand: its type */
bool mica_infer_equal(mica_infer *infer); /* all operands of one type: that type */
/* Operands [from, in_count) have one dtype / one type; the message suggests mica_convert. */
bool mica_infer_equal_dtypes(mica_infer *infer, size_t from);
bool mica_infer_equal_types(mica_infer *infer, size_t from);
/* Operand i is of a class, for operators whose attributes narrow it down; `what` needs it. */
bool mica_infer_class(mica_infer *infer, size_t i, mica_dtype_class class, const char *what);
/* Resolves a negative axis in place; the message says which axes there are. */
bool mica_infer_axis(mica_infer *infer, int64_t *axis, int32_t rank);
/* A list of different axes below `rank`, negative ones resolved in place. */
bool mica_infer_axes(mica_infer *infer, const char *name, mica_ints *axes, int32_t rank,
                     bool increasing);
/* A list with one entry for each of `rank` axes. */
bool mica_infer_list(mica_infer *infer, const char *name, const mica_ints *list, int32_t rank);

/* ---- rules ----------------------------------------------------------------------------------- */

/* Derivative of pointwise operators that are flat wherever they are differentiable, or not of
 * floats. */
mica_value mica_derivative_zero(const mica_rule *rule, size_t operand, mica_value t);
/* d / dx of the identity. */
mica_value mica_derivative_identity(const mica_rule *rule, size_t operand, mica_value t);
/* Whether one more axis fits on a value of `rank`; otherwise the rule fails and out[0] is no
 * value. */
bool mica_batch_fits(const mica_rule *rule, int32_t rank, mica_value *out);
/* Rank and shape of one example of operand i. */
int32_t mica_example_rank(const mica_rule *rule, const bool *batched, size_t i);
mica_shape mica_example_shape(const mica_rule *rule, const bool *batched, size_t i);

#endif
