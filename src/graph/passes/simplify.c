/* SPDX-License-Identifier: Apache-2.0 */
/* simplify.c: what can be computed with less, and with the same bits. Each node is looked at
 * once, when it is rebuilt, and its operands have been simplified before it; what replaces it is
 * simplified again. Floats keep their signed zeros, infinities and NaN: x * 0 and x + 0 stay as
 * they are, while x * 1 and x - 0 do not (a square by pow may get better bits: it becomes a
 * product). Movement of data is in movement.c, constants in fold.c. */
#include <math.h>
#include <string.h>

#include "graph/passes/passes_internal.h"

const mica_node *mica_made_by(const mica_graph *graph, mica_value value, mica_op op) {
  if (graph->status != MICA_OK || !mica_has_value(value)) return NULL;
  const mica_node *node = &graph->nodes[mica_captured_source(graph, value.id)];
  return node->op == op ? node : NULL;
}

mica_value mica_operand_of(mica_graph *graph, const mica_node *node, uint32_t index) {
  return mica_value_of(graph, mica_captured_source(graph, mica_node_operands(graph, node)[index]));
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

/* Equal with its sign: 0 is not -0. */
static bool is_number(const mica_graph *graph, mica_value value, double number) {
  double found;
  return mica_has_value(value) &&
         mica_is_constant_number(graph, mica_captured_source(graph, value.id), &found) &&
         found == number && signbit(found) == signbit(number);
}

static mica_value simplify_add(mica_graph *graph, const mica_value *in) {
  bool floating = mica_dtype_is_float(mica_dtype_of(in[0]));
  for (int i = 0; i < 2; i++) {
    mica_value x = in[i], y = in[1 - i];
    if (is_number(graph, y, floating ? -0.0 : 0.0)) return x;
    const mica_node *neg = mica_made_by(graph, y, MICA_OP_NEG);
    if (neg)
      return mica_emit_simplified(graph, MICA_OP_SUB,
                                  (mica_value[]){x, mica_operand_of(graph, neg, 0)}, 2, NULL);
  }
  return mica_no_value(graph);
}

static mica_value simplify_sub(mica_graph *graph, const mica_value *in) {
  bool floating = mica_dtype_is_float(mica_dtype_of(in[0]));
  if (is_number(graph, in[1], 0)) return in[0];
  if (is_number(graph, in[0], floating ? -0.0 : 0.0))
    return mica_emit_simplified(graph, MICA_OP_NEG, &in[1], 1, NULL);
  const mica_node *neg = mica_made_by(graph, in[1], MICA_OP_NEG);
  if (neg)
    return mica_emit_simplified(graph, MICA_OP_ADD,
                                (mica_value[]){in[0], mica_operand_of(graph, neg, 0)}, 2, NULL);
  return mica_no_value(graph);
}

static mica_value simplify_mul(mica_graph *graph, const mica_value *in) {
  bool integer = mica_dtype_is_integer(mica_dtype_of(in[0]));
  for (int i = 0; i < 2; i++) {
    mica_value x = in[i], y = in[1 - i];
    if (is_number(graph, y, 1)) return x;
    if (integer && is_number(graph, y, 0)) return y;
    if (!integer && is_number(graph, y, -1))
      return mica_emit_simplified(graph, MICA_OP_NEG, &x, 1, NULL);
  }
  const mica_node *a = mica_made_by(graph, in[0], MICA_OP_NEG),
                  *b = mica_made_by(graph, in[1], MICA_OP_NEG);
  if (!a || !b) return mica_no_value(graph);
  mica_value plain[2] = {mica_operand_of(graph, a, 0), mica_operand_of(graph, b, 0)};
  return mica_emit_simplified(graph, MICA_OP_MUL, plain, 2, NULL);
}

/* Division by a power of two is multiplication by another one, if both are normal numbers of the
 * dtype. */
static bool reciprocal_is_exact(mica_dtype dtype, double number) {
  int exponent;
  if (frexp(fabs(number), &exponent) != 0.5) return false;
  int range = dtype == MICA_F64                         ? 1021
              : dtype == MICA_F32 || dtype == MICA_BF16 ? 125
              : dtype == MICA_F16                       ? 13
                                                        : 0;
  return exponent - 1 <= range && exponent - 1 >= -range;
}

static mica_value simplify_div(mica_graph *graph, const mica_value *in) {
  mica_dtype dtype = mica_dtype_of(in[0]);
  double number;
  if (is_number(graph, in[1], 1)) return in[0];
  if (!mica_dtype_is_float(dtype) || !mica_is_constant_number(graph, in[1].id, &number) ||
      !reciprocal_is_exact(dtype, number))
    return mica_no_value(graph);
  mica_value factor =
      mica_repeat_constant(graph, mica_scalar(graph, dtype, 1 / number), mica_shape_of(in[1]));
  return mica_emit_simplified(graph, MICA_OP_MUL, (mica_value[]){in[0], factor}, 2, NULL);
}

static mica_value simplify_pow(mica_graph *graph, const mica_value *in) {
  if (is_number(graph, in[1], 1)) return in[0];
  if (is_number(graph, in[1], 2))
    return mica_emit_simplified(graph, MICA_OP_MUL, (mica_value[]){in[0], in[0]}, 2, NULL);
  return mica_no_value(graph);
}

/* and, or, xor with a constant; bool or integers bit by bit. */
static mica_value simplify_logical(mica_graph *graph, mica_op op, const mica_value *in) {
  bool truth = mica_dtype_of(in[0]) == MICA_BOOL;
  if (op != MICA_OP_XOR && in[0].id == in[1].id) return in[0];
  for (int i = 0; i < 2; i++) {
    mica_value x = in[i], y = in[1 - i];
    bool zero = is_number(graph, y, 0), one = truth && is_number(graph, y, 1);
    if (zero) return op == MICA_OP_AND ? y : x;
    if (one && op == MICA_OP_AND) return x;
    if (one && op == MICA_OP_OR) return y;
    if (one && op == MICA_OP_XOR) return mica_emit_simplified(graph, MICA_OP_NOT, &x, 1, NULL);
  }
  return mica_no_value(graph);
}

static mica_value simplify_not(mica_graph *graph, mica_value x) {
  const mica_node *not = mica_made_by(graph, x, MICA_OP_NOT),
                  *compare = mica_made_by(graph, x, MICA_OP_COMPARE);
  if (not ) return mica_operand_of(graph, not, 0);
  if (!compare) return mica_no_value(graph);
  mica_compare_attr attr = *(const mica_compare_attr *)compare->attr;
  if (attr.kind != MICA_COMPARE_EQ && attr.kind != MICA_COMPARE_NE)
    return mica_no_value(graph); /* NaN */
  attr.kind = attr.kind == MICA_COMPARE_EQ ? MICA_COMPARE_NE : MICA_COMPARE_EQ;
  mica_value in[2] = {mica_operand_of(graph, compare, 0), mica_operand_of(graph, compare, 1)};
  return mica_emit_simplified(graph, MICA_OP_COMPARE, in, 2, &attr);
}

static mica_value simplify_select(mica_graph *graph, const mica_value *in) {
  double condition;
  if (in[1].id == in[2].id) return in[1];
  if (mica_is_constant_number(graph, in[0].id, &condition)) return condition != 0 ? in[1] : in[2];
  const mica_node *not = mica_made_by(graph, in[0], MICA_OP_NOT);
  if (!not ) return mica_no_value(graph);
  return mica_emit_simplified(
      graph, MICA_OP_SELECT, (mica_value[]){mica_operand_of(graph, not, 0), in[2], in[1]}, 3, NULL);
}

/* Digits of the significand, and the powers of two between which a float's normal numbers lie. */
typedef struct {
  int digits, least, most;
} float_range;
static float_range range_of(mica_dtype dtype) {
  switch (dtype) {
    case MICA_F8E4M3FN: return (float_range){4, -6, 8};
    case MICA_F8E5M2: return (float_range){3, -14, 15};
    case MICA_BF16: return (float_range){8, -126, 127};
    case MICA_F16: return (float_range){11, -14, 15};
    case MICA_F32: return (float_range){24, -126, 127};
    case MICA_F64: return (float_range){53, -1022, 1023};
    default: return (float_range){0};
  }
}

/* Whether every element of `from` is one of `to`. */
static bool holds_all_of(mica_dtype to, mica_dtype from) {
  if (mica_dtype_is_complex(to) || mica_dtype_is_complex(from)) return false;
  if (from == MICA_BOOL || to == from) return true;
  if (to == MICA_BOOL) return false;
  int bits = mica_dtype_bits(from) - (mica_dtype_is_signed(from) ? 1 : 0);
  if (mica_dtype_is_float(from)) {
    float_range a = range_of(from), b = range_of(to);
    /* Subnormal numbers of `from` need b's exponents to reach further down. */
    return mica_dtype_is_float(to) && to != MICA_F8E4M3FN && b.digits >= a.digits &&
           b.most >= a.most && b.least - b.digits <= a.least - a.digits;
  }
  if (mica_dtype_is_float(to)) return bits <= range_of(to).digits && bits <= range_of(to).most;
  if (mica_dtype_is_signed(from) && !mica_dtype_is_signed(to)) return false;
  return bits <= mica_dtype_bits(to) - (mica_dtype_is_signed(to) ? 1 : 0);
}

static mica_value simplify_convert(mica_graph *graph, mica_value x, mica_dtype to) {
  if (mica_dtype_of(x) == to) return x;
  const mica_node *inner = mica_made_by(graph, x, MICA_OP_CONVERT);
  if (!inner) return mica_no_value(graph);
  mica_value source = mica_operand_of(graph, inner, 0);
  mica_dtype from = mica_dtype_of(source), middle = mica_dtype_of(x);
  /* An integer that takes the way through a float saturates at the end where it would wrap. */
  bool same_kind = from == MICA_BOOL || mica_dtype_is_float(from) == mica_dtype_is_float(middle) ||
                   mica_dtype_is_float(to);
  if (!same_kind || !holds_all_of(middle, from)) return mica_no_value(graph);
  mica_convert_attr attr = {.dtype = to};
  return mica_emit_simplified(graph, MICA_OP_CONVERT, &source, 1, &attr);
}

mica_value mica_simplify_arithmetic(mica_graph *graph, mica_op op, const mica_value *in,
                                    size_t in_count, const void *attr) {
  const mica_node *inner;
  (void)in_count;
  switch (op) {
    case MICA_OP_STOP_GRADIENT: return in[0]; /* no derivative is taken behind this pass */
    case MICA_OP_ADD: return simplify_add(graph, in);
    case MICA_OP_SUB: return simplify_sub(graph, in);
    case MICA_OP_MUL: return simplify_mul(graph, in);
    case MICA_OP_DIV: return simplify_div(graph, in);
    case MICA_OP_POW: return simplify_pow(graph, in);
    case MICA_OP_MAX:
    case MICA_OP_MIN: return in[0].id == in[1].id ? in[0] : mica_no_value(graph);
    case MICA_OP_AND:
    case MICA_OP_OR:
    case MICA_OP_XOR: return simplify_logical(graph, op, in);
    case MICA_OP_NOT: return simplify_not(graph, in[0]);
    case MICA_OP_SELECT: return simplify_select(graph, in);
    case MICA_OP_CONVERT:
      return simplify_convert(graph, in[0], ((const mica_convert_attr *)attr)->dtype);
    case MICA_OP_NEG:
      inner = mica_made_by(graph, in[0], MICA_OP_NEG);
      return inner ? mica_operand_of(graph, inner, 0) : mica_no_value(graph);
    case MICA_OP_ABS:
      if (mica_made_by(graph, in[0], MICA_OP_ABS)) return in[0];
      if (mica_dtype_is_integer(mica_dtype_of(in[0])) &&
          !mica_dtype_is_signed(mica_dtype_of(in[0])))
        return in[0]; /* not |-x| = |x|: -x wraps */
      inner = mica_made_by(graph, in[0], MICA_OP_NEG);
      if (!inner) return mica_no_value(graph);
      return mica_emit_simplified(graph, MICA_OP_ABS,
                                  (mica_value[]){mica_operand_of(graph, inner, 0)}, 1, NULL);
    default: return mica_no_value(graph);
  }
}

/* ---- the pass -------------------------------------------------------------------------------- */

mica_value mica_simplify(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                         const void *attr) {
  if (graph->status != MICA_OK || in_count == 0) return mica_no_value(graph);
  mica_value simpler = mica_simplify_constants(graph, op, in, in_count, attr);
  if (!mica_has_value(simpler)) simpler = mica_simplify_arithmetic(graph, op, in, in_count, attr);
  if (!mica_has_value(simpler)) simpler = mica_simplify_movement(graph, op, in, in_count, attr);
  return simpler;
}

mica_value mica_emit_simplified(mica_graph *graph, mica_op op, const mica_value *in,
                                size_t in_count, const void *attr) {
  mica_value simpler = mica_simplify(graph, op, in, in_count, attr);
  return mica_has_value(simpler) ? simpler : mica_emit(graph, op, in, in_count, attr);
}

typedef struct {
  uint32_t *uses; /* by id of the graph that is simplified; results of regions count, too */
} simplification;

static mica_replay_rule simplify_node;

/* A switch whose index is known is the block that it picks. */
static bool pick_case(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                      const mica_value *in, mica_value *out) {
  const mica_node *node = &from->nodes[id];
  double index;
  if (node->op != MICA_OP_SWITCH || !mica_is_constant_number(to, in[0].id, &index)) return false;
  uint32_t last = (uint32_t)node->region_count - 1;
  uint32_t picked = index >= 0 && index < last ? (uint32_t)index : last;
  uint32_t region = from->owned[node->region_first + picked];
  mica_value *arguments = mica_arena_allocate(
      &to->arena, ((size_t)from->regions[region].argument_count + 1) * sizeof(*arguments));
  if (arguments) {
    mica_captured_arguments(from, id, picked, in, arguments);
    mica_replay(to, from, region, arguments, simplify_node, context, out);
  } else {
    mica_fail(to, MICA_OUT_OF_MEMORY, "out of memory");
  }
  return true;
}

/* A dot whose only use exchanges the free axes of its operands: the dot of the operands
 * exchanged. */
static bool exchange_dot(const simplification *s, mica_graph *to, const mica_graph *from,
                         uint32_t id, const mica_value *in, mica_value *out) {
  const mica_node *node = &from->nodes[id];
  uint32_t source = node->operand_count == 1 ? mica_node_operands(from, node)[0] : 0;
  if (node->op != MICA_OP_TRANSPOSE || s->uses[source] != 1 ||
      from->nodes[source].op != MICA_OP_DOT_GENERAL)
    return false;
  const mica_node *dot = mica_made_by(to, in[0], MICA_OP_DOT_GENERAL);
  if (!dot) return false;
  const mica_dot_attr *a = dot->attr;
  const mica_ints *permutation = &((const mica_transpose_attr *)node->attr)->permutation;
  mica_value lhs = mica_operand_of(to, dot, 0), rhs = mica_operand_of(to, dot, 1);
  int32_t batch = a->lhs_batch.count, left = mica_rank_of(lhs) - batch - a->lhs_contract.count,
          right = mica_rank_of(rhs) - batch - a->rhs_contract.count;
  for (int32_t i = 0; i < permutation->count; i++) {
    int64_t expected = i < batch ? i : i < batch + right ? i + left : i - right;
    if (permutation->at[i] != expected) return false;
  }
  mica_dot_attr attr = {.lhs_batch = a->rhs_batch,
                        .rhs_batch = a->lhs_batch,
                        .lhs_contract = a->rhs_contract,
                        .rhs_contract = a->lhs_contract,
                        .dtype = a->dtype};
  out[0] = mica_emit_simplified(to, MICA_OP_DOT_GENERAL, (mica_value[]){rhs, lhs}, 2, &attr);
  return true;
}

static bool simplify_node(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                          const mica_value *in, size_t in_count, mica_value *out) {
  const mica_node *node = &from->nodes[id];
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  if (def->effect || def->barrier) return false;
  if (node->region_count) return pick_case(context, to, from, id, in, out);
  if (node->result_count != 1 || in_count == 0) return false;
  if (exchange_dot(context, to, from, id, in, out)) return true;
  mica_value simpler = mica_simplify(to, (mica_op)node->op, in, in_count, node->attr);
  if (!mica_has_value(simpler)) return false;
  out[0] = simpler;
  return true;
}

static void count_uses(const mica_graph *graph, uint32_t *uses) {
  for (uint32_t i = 0; i < graph->operand_count; i++) uses[graph->operands[i]]++;
  for (uint32_t i = 0; i < graph->output_count; i++) uses[graph->outputs[i]]++;
  for (uint32_t i = 0; i < graph->variable_count; i++) uses[graph->variables[i].assign]++;
  for (uint32_t r = 1; r < graph->region_count; r++)
    for (uint32_t i = 0; i < graph->regions[r].result_count; i++)
      uses[graph->regions[r].results[i]]++;
}

mica_status mica_pass_simplify(const mica_graph *from, mica_graph *to, mica_error *error) {
  mica_status status = mica_graph_status(from, error);
  if (status != MICA_OK) return status;
  simplification s = {.uses = mica_allocate_zeroed(&to->allocator, from->count, sizeof(*s.uses))};
  if (!s.uses) return mica_error_set(error, MICA_OUT_OF_MEMORY, "out of memory");
  count_uses(from, s.uses);
  status = mica_rewrite(from, to, simplify_node, &s, error);
  mica_free(&to->allocator, s.uses, from->count * sizeof(*s.uses));
  return status;
}
