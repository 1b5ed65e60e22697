/* SPDX-License-Identifier: Apache-2.0 */
/* helpers.c: what derivative and batching rules are written with, and jacobians on top of vmap. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

#ifdef MICA_MUTATION
mica_mutation mica_mutate;

/* The mutants of a value: -x, 2 x (both not x for bool), and none or zero. */
static mica_value mutant_of(const mica_mutation *m, mica_value value) {
  bool negate = m->kind == MICA_MUTATE_NEGATE, truth = mica_dtype_of(value) == MICA_BOOL;
  if (m->kind == MICA_MUTATE_DROP)
    return m->rule == MICA_RULE_VJP ? mica_no_value(value.graph) : mica_zeros_like(value);
  return truth ? mica_not(value) : negate ? mica_neg(value) : mica_add_values(value, value);
}

mica_value mica_mutated(mica_op op, mica_rule_kind rule, size_t operand, mica_value value) {
  mica_mutation *m = &mica_mutate;
  mica_dtype dtype = mica_dtype_of(value);
  bool spoilt =
      rule == MICA_RULE_BATCH || mica_dtype_is_float(dtype) || mica_dtype_is_complex(dtype);
  if (!value.id || !spoilt || operand > 63) return value;
  if (m->recording) m->seen[op][rule] |= (uint64_t)1 << operand;
  if (m->op != (int32_t)op || m->rule != (int32_t)rule || (size_t)m->operand != operand)
    return value;
  m->hits++;
  int32_t op_kept = m->op;
  m->op = 0; /* the spoiling nodes are not spoiled themselves */
  value = mutant_of(m, value);
  m->op = op_kept;
  return value;
}
#endif

/* Values of f8 have no sums: cotangents of them are summed in f32 and rounded once. */
mica_dtype mica_sum_dtype(mica_dtype dtype) {
  return dtype == MICA_F8E4M3FN || dtype == MICA_F8E5M2 ? MICA_F32 : dtype;
}
mica_value mica_add_values(mica_value x, mica_value y) {
  if (!x.id) return y;
  if (!y.id) return x;
  if (x.graph->status != MICA_OK) return (mica_add)(x, y);
  mica_dtype dtype = mica_dtype_of(x), wide = mica_sum_dtype(dtype);
  return mica_convert((mica_add)(mica_convert(x, wide), mica_convert(y, wide)), dtype);
}
mica_value mica_sum_values(mica_value x, mica_axes axes) {
  mica_dtype dtype = mica_dtype_of(x);
  return mica_convert(mica_reduce_sum(mica_convert(x, mica_sum_dtype(dtype)), axes), dtype);
}

mica_value mica_rule_failed(const mica_rule *rule, const char *format, ...) {
  char why[MICA_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  return mica_fail_operator(rule->graph, rule->def->name, rule->in, rule->in_count, "%s", why);
}

bool mica_is_constant_number(const mica_graph *graph, uint32_t id, double *out_number) {
  const mica_node *node = &graph->nodes[id];
  while (node->op == MICA_OP_BROADCAST || node->op == MICA_OP_RESHAPE)
    node = &graph->nodes[mica_node_operands(graph, node)[0]];
  if (node->op != MICA_OP_CONSTANT) return false;
  const mica_constant_attr *attr = node->attr;
  mica_type type = mica_tensor_type(attr->value);
  if (mica_shape_count(type.shape) != 1 || mica_dtype_is_complex(type.dtype)) return false;
  return mica_tensor_read_doubles(attr->value, out_number, 1, NULL) == MICA_OK;
}

/* ---- jacobians ------------------------------------------------------------------------------- */

/* The n unit vectors of `type` as one value [n, type...]. */
static mica_value unit_vectors(mica_graph *graph, mica_type type, int64_t count) {
  mica_type wide = {MICA_I32, {.rank = 2, .dim = {count, count}}};
  mica_value eye =
      mica_convert((mica_equal)(mica_iota(graph, wide, 0), mica_iota(graph, wide, 1)), type.dtype);
  mica_shape shape = {.rank = type.shape.rank + 1, .dim = {count}};
  for (int32_t i = 0; i < type.shape.rank; i++) shape.dim[i + 1] = type.shape.dim[i];
  return mica_reshape(eye, shape);
}

static bool jacobian_checked(const char *name, mica_value y, mica_value x, int64_t *y_count,
                             int64_t *x_count) {
  mica_graph *graph = y.graph ? y.graph : x.graph;
  if (!graph || graph->status != MICA_OK) return false;
  char why[MICA_MESSAGE_SIZE];
  mica_value both[2] = {y, x};
  for (int i = 0; i < 2; i++)
    if (!mica_value_usable(graph, both[i], why, sizeof why)) {
      mica_fail_operator(graph, name, both, 2, "operand %d: %s", i, why);
      return false;
    }
  mica_type ty = mica_type_of(y), tx = mica_type_of(x);
  if (!mica_dtype_is_float(ty.dtype) || !mica_dtype_is_float(tx.dtype)) {
    mica_fail_operator(graph, name, both, 2, "expected float dtypes");
    return false;
  }
  if (ty.shape.rank + tx.shape.rank > MICA_MAX_RANK || ty.shape.rank == MICA_MAX_RANK ||
      tx.shape.rank == MICA_MAX_RANK) {
    mica_fail_operator(graph, name, both, 2,
                       "the result would have rank %d: expected at most %d (reshape first)",
                       ty.shape.rank + tx.shape.rank, MICA_MAX_RANK);
    return false;
  }
  *y_count = mica_shape_count(ty.shape);
  *x_count = mica_shape_count(tx.shape);
  return true;
}

static mica_shape joined_shape(mica_shape a, mica_shape b) {
  for (int32_t i = 0; i < b.rank; i++) a.dim[a.rank++] = b.dim[i];
  return a;
}

mica_value mica_jacobian(mica_value y, mica_value x) {
  MICA_ENTRY_OF(y, x);
  int64_t y_count, x_count;
  mica_graph *graph = y.graph ? y.graph : x.graph;
  if (!jacobian_checked("jacobian", y, x, &y_count, &x_count)) return mica_no_value(graph);
  mica_shape shape = joined_shape(mica_shape_of(y), mica_shape_of(x));
  if (!y_count) return mica_zeros(graph, (mica_type){mica_dtype_of(x), shape});
  mica_value units = unit_vectors(graph, mica_type_of(y), y_count), row, rows;
  mica_region each = mica_vmap_begin(graph, &units, NULL, 1);
  mica_value cotangent = mica_argument(each, 0);
  mica_vjp(&y, &cotangent, 1, &x, 1, &row);
  mica_vmap_end(each, &row, 1, &rows);
  return mica_reshape(rows, shape);
}

mica_value mica_jacobian_forward(mica_value y, mica_value x) {
  MICA_ENTRY_OF(y, x);
  int64_t y_count, x_count;
  mica_graph *graph = y.graph ? y.graph : x.graph;
  if (!jacobian_checked("jacobian_forward", y, x, &y_count, &x_count)) return mica_no_value(graph);
  mica_shape y_shape = mica_shape_of(y), x_shape = mica_shape_of(x);
  if (!x_count)
    return mica_zeros(graph, (mica_type){mica_dtype_of(y), joined_shape(y_shape, x_shape)});
  mica_value units = unit_vectors(graph, mica_type_of(x), x_count), column, columns;
  mica_region each = mica_vmap_begin(graph, &units, NULL, 1);
  mica_value tangent = mica_argument(each, 0);
  mica_jvp(&y, 1, &x, &tangent, 1, &column);
  mica_vmap_end(each, &column, 1, &columns); /* [x count, y...] */
  columns = mica_move_axis(columns, 0, mica_rank_of(columns) - 1);
  return mica_reshape(columns, joined_shape(y_shape, x_shape));
}

mica_value mica_hessian(mica_value loss, mica_value x) {
  MICA_ENTRY_OF(loss, x);
  mica_value gradient;
  mica_gradients(loss, &x, 1, &gradient);
  return mica_jacobian_forward(gradient, x);
}
