/* SPDX-License-Identifier: Apache-2.0 */
/* lower.c: operators that StableHLO lacks, made of those that it has.
 *
 * One replay over the whole graph, regions included: a node that has a row here is built from others.
 * Composites are expanded before and after, since an expansion may need a row and a row may use a
 * composite, until every node can be written. */
#include "backend/xla/lower_internal.h"
#include "backend/xla/writer_internal.h"

#include <math.h>
#include <string.h>

/* ---- small ones ------------------------------------------------------------------------------ */

static void lower_same(const mica_rule *rule, mica_value *out) {
  for (size_t i = 0; i < rule->out_count; i++) out[i] = rule->in[i];
}

static void lower_unsigned_sign(const mica_rule *rule, mica_value *out) {
  out[0] = mica_min(rule->in[0], mica_ones_like(rule->in[0]));
}

static void lower_conj(const mica_rule *rule, mica_value *out) {
  out[0] = mica_complex(mica_real(rule->in[0]), mica_neg(mica_imag(rule->in[0])));
}

/* Of complex numbers the real part, but for bool: anything but zero is true. */
static void lower_convert(const mica_rule *rule, mica_value *out) {
  mica_value x = rule->in[0];
  mica_dtype to = ((const mica_convert_attr *)rule->attr)->dtype;
  if (to == MICA_BOOL) {
    out[0] = mica_not_equal(x, mica_zeros_like(x));
    return;
  }
  if (mica_dtype_is_complex(mica_dtype_of(x))) x = mica_real(x);
  mica_dtype from = mica_dtype_of(x);
  if (mica_dtype_bits(from) == 4) {
    out[0] = mica_convert(mica_convert(x, MICA_I8), to);
  } else if (mica_dtype_bits(to) == 4) {
    /* Not every plugin converts between 4 bits and floats, none to the nearest that there is. */
    mica_value whole = mica_convert(x, MICA_I32);
    if (mica_dtype_is_float(from))
      whole = mica_clamp_numbers(whole, to == MICA_I4 ? -8 : 0, to == MICA_I4 ? 7 : 15);
    out[0] = mica_convert(whole, to);
  } else {
    out[0] = mica_convert(x, to);
  }
}

/* Complex numbers by way of their parts: StableHLO casts no complex bits to others. */
static void lower_bitcast(const mica_rule *rule, mica_value *out) {
  mica_value x = rule->in[0];
  mica_dtype to = ((const mica_bitcast_attr *)rule->attr)->dtype, from = mica_dtype_of(x);
  if (mica_dtype_is_complex(from)) {
    int32_t axis = mica_rank_of(x);
    mica_value pair[2] = {mica_expand_dims(mica_real(x), -1), mica_expand_dims(mica_imag(x), -1)};
    mica_value parts = mica_concatenate(pair, 2, axis); /* [a..., 2] */
    int32_t half = mica_dtype_bits(from) / 2, width = mica_dtype_bits(to);
    if (width > half) {
      out[0] = mica_bitcast(parts, to);
      return;
    }
    mica_value bits = mica_bitcast(parts, to);
    mica_shape shape = mica_shape_of(x);
    shape.dim[shape.rank++] = mica_dtype_bits(from) / width;
    out[0] = mica_reshape(bits, shape);
    return;
  }
  mica_dtype part = to == MICA_C64 ? MICA_F32 : MICA_F64;
  int32_t width = mica_dtype_bits(from);
  mica_shape shape = mica_shape_of(x);
  if (width < mica_dtype_bits(part)) { /* [a..., n] -> [a..., 2, n / 2] */
    int64_t n = shape.dim[shape.rank - 1];
    shape.dim[shape.rank - 1] = 2;
    shape.dim[shape.rank++] = n / 2;
    x = mica_reshape(x, shape);
  }
  mica_value parts = mica_bitcast(x, part); /* [a..., 2] */
  int32_t last = mica_rank_of(parts) - 1;
  mica_value re = mica_squeeze(mica_slice_axis(parts, last, 0, 1, 1), MICA_AXES(last));
  mica_value im = mica_squeeze(mica_slice_axis(parts, last, 1, 2, 1), MICA_AXES(last));
  out[0] = mica_complex(re, im);
}

/* XLA's own loses digits in f32. */
static void lower_polygamma(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_convert(rule->in[0], MICA_F64);
  x = mica_emit(rule->graph, MICA_OP_POLYGAMMA, &x, 1, rule->attr);
  out[0] = mica_convert(x, mica_dtype_of(rule->in[0]));
}

static void lower_exp2(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]);
  out[0] = mica_convert(mica_pow(mica_full_like(x, 2), x), mica_dtype_of(rule->in[0]));
}

static void lower_log2(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]);
  out[0] = mica_convert(mica_div(mica_log(x), mica_full_like(x, 0.69314718055994530942)),
                        mica_dtype_of(rule->in[0]));
}

static void lower_log10(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_widen(rule->in[0]);
  out[0] = mica_convert(mica_div(mica_log(x), mica_full_like(x, 2.30258509299404568402)),
                        mica_dtype_of(rule->in[0]));
}

/* The larger one times sqrt(1 + ratio^2); an infinity wins over NaN. */
static void lower_hypot(const mica_rule *rule, mica_value *out) {
  mica_value x = mica_abs(mica_widen(rule->in[0])), y = mica_abs(mica_widen(rule->in[1]));
  mica_value most = mica_max(x, y), least = mica_min(x, y);
  mica_value infinity = mica_full_like(x, (double)INFINITY), zero = mica_zeros_like(x);
  mica_value ratio = mica_div(least, mica_select(mica_equal(most, zero), mica_ones_like(x), most));
  mica_value size = mica_mul(most, mica_sqrt(mica_add(mica_mul(ratio, ratio), 1)));
  mica_value infinite = mica_or(mica_equal(x, infinity), mica_equal(y, infinity));
  out[0] = mica_convert(mica_select(infinite, infinity, size), mica_dtype_of(rule->in[0]));
}

/* ---- floats by their bits -------------------------------------------------------------------- */

static mica_dtype bits_of_float(mica_dtype dtype) {
  return dtype == MICA_F64 ? MICA_U64 : dtype == MICA_F32 ? MICA_U32 : MICA_U16;
}

/* A pattern in the shape of x, an unsigned integer. */
static mica_value pattern_like(mica_value x, uint64_t bits) {
  uint16_t half = (uint16_t)bits;
  uint32_t word = (uint32_t)bits;
  mica_dtype dtype = mica_dtype_of(x);
  const void *data = dtype == MICA_U64   ? (const void *)&bits
                     : dtype == MICA_U32 ? (const void *)&word
                                         : (const void *)&half;
  mica_tensor *tensor = mica_tensor_from(dtype, MICA_SCALAR, data);
  if (tensor == NULL) return mica_fail(x.graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value value = mica_constant(x.graph, tensor);
  mica_tensor_release(tensor);
  return mica_broadcast_to(value, mica_shape_of(x));
}

static void lower_copysign(const mica_rule *rule, mica_value *out) {
  mica_dtype dtype = mica_dtype_of(rule->in[0]), bits = bits_of_float(dtype);
  uint64_t sign = UINT64_C(1) << (mica_dtype_bits(dtype) - 1);
  mica_value x = mica_bitcast(rule->in[0], bits), y = mica_bitcast(rule->in[1], bits);
  out[0] = mica_bitcast(
      mica_or(mica_and(x, pattern_like(x, sign - 1)), mica_and(y, pattern_like(y, sign))), dtype);
}

/* Bits count up away from 0 on both sides. */
static void lower_nextafter(const mica_rule *rule, mica_value *out) {
  mica_dtype dtype = mica_dtype_of(rule->in[0]);
  uint64_t sign = UINT64_C(1) << (mica_dtype_bits(dtype) - 1);
  uint64_t infinity = dtype == MICA_F64   ? UINT64_C(0x7FF0000000000000)
                      : dtype == MICA_F32 ? 0x7F800000
                      : dtype == MICA_F16 ? 0x7C00
                                          : 0x7F80;
  mica_value x = mica_bitcast(rule->in[0], bits_of_float(dtype));
  mica_value y = mica_bitcast(rule->in[1], bits_of_float(dtype));
  mica_value low = pattern_like(x, sign - 1), zero = pattern_like(x, 0), one = pattern_like(x, 1);
  mica_value size_x = mica_and(x, low), size_y = mica_and(y, low);
  mica_value sign_x = mica_and(x, pattern_like(x, sign)),
             sign_y = mica_and(y, pattern_like(x, sign));
  mica_value outwards = mica_and(mica_equal(sign_x, sign_y), mica_greater(size_y, size_x));
  mica_value next = mica_select(outwards, mica_add(x, one), mica_sub(x, one));
  mica_value x_is_zero = mica_equal(size_x, zero), y_is_zero = mica_equal(size_y, zero);
  next = mica_select(x_is_zero, mica_or(sign_y, one), next);
  mica_value stays = mica_or(mica_equal(x, y), mica_and(x_is_zero, y_is_zero));
  stays = mica_or(stays, mica_greater(size_y, pattern_like(x, infinity)));
  next = mica_select(stays, y, next);
  next = mica_select(mica_greater(size_x, pattern_like(x, infinity)), x, next);
  out[0] = mica_bitcast(next, dtype);
}

/* ---- random bits ----------------------------------------------------------------------------- */

/* The two halves of the 64-bit product with a constant. */
static void multiply_wide(mica_value x, uint32_t factor, mica_value *high, mica_value *low) {
  mica_value wide = mica_convert(x, MICA_U64);
  wide = mica_mul(wide, pattern_like(wide, factor));
  *low = mica_convert(wide, MICA_U32);
  *high = mica_convert(mica_shift_right_logical(wide, pattern_like(wide, 32)), MICA_U32);
}

/* Philox4x32-10 (Salmon et al., SC 2011), as mica_philox: all blocks at once. */
static void lower_random_bits(const mica_rule *rule, mica_value *out) {
  const mica_random_bits_attr *attr = rule->attr;
  mica_graph *graph = rule->graph;
  mica_value key = rule->in[0];
  mica_shape keys = mica_shape_of(key), result = keys;
  int64_t each = mica_shape_count(attr->shape), blocks = (each + 3) / 4;
  int64_t many = mica_shape_count(keys) / 2;
  result.rank--;
  result.dim[keys.rank - 1] = 0;
  for (int32_t axis = 0; axis < attr->shape.rank; axis++)
    result.dim[result.rank++] = attr->shape.dim[axis];
  mica_type type = {MICA_U32, {.rank = 2, .dim = {many, blocks}}};
  if (each == 0 || many == 0) {
    out[0] = mica_zeros(graph, (mica_type){MICA_U32, result});
    return;
  }
  mica_value words[2], x[4];
  key = mica_reshape(key, (mica_shape){.rank = 2, .dim = {many, 2}});
  for (int64_t i = 0; i < 2; i++)
    words[i] = mica_broadcast_to(mica_slice_axis(key, 1, i, i + 1, 1), type.shape);
  mica_value block = mica_iota(graph, (mica_type){MICA_U64, type.shape}, 1);
  x[0] = mica_convert(block, MICA_U32);
  x[1] = mica_convert(mica_shift_right_logical(block, pattern_like(block, 32)), MICA_U32);
  x[2] = x[3] = mica_zeros(graph, type);
  for (int round = 0; round < 10; round++) {
    mica_value a_high, a_low, b_high, b_low;
    multiply_wide(x[0], 0xD2511F53, &a_high, &a_low);
    multiply_wide(x[2], 0xCD9E8D57, &b_high, &b_low);
    x[0] = mica_xor(mica_xor(b_high, x[1]), words[0]);
    x[1] = b_low;
    x[2] = mica_xor(mica_xor(a_high, x[3]), words[1]);
    x[3] = a_low;
    words[0] = mica_add(words[0], pattern_like(words[0], 0x9E3779B9));
    words[1] = mica_add(words[1], pattern_like(words[1], 0xBB67AE85));
  }
  mica_value all = mica_stack(x, 4, 2); /* [many, blocks, 4] */
  all = mica_reshape(all, (mica_shape){.rank = 2, .dim = {many, 4 * blocks}});
  if (4 * blocks != each) all = mica_slice_axis(all, 1, 0, each, 1);
  out[0] = mica_reshape(all, result);
}

/* ---- order ----------------------------------------------------------------------------------- */

static void lower_top_k(const mica_rule *rule, mica_value *out) {
  const mica_top_k_attr *attr = rule->attr;
  mica_value x = rule->in[0], pair[2] = {x, {0}};
  mica_shape shape = mica_shape_of(x);
  mica_dtype places = shape.dim[attr->axis] > INT32_MAX ? MICA_I64 : MICA_I32;
  pair[1] = mica_iota(rule->graph, (mica_type){places, shape}, (int32_t)attr->axis);
  mica_sort_attr sort = {.axis = attr->axis, .keys = 1, .descending = !attr->smallest};
  mica_value sorted[2];
  mica_emit_results(rule->graph, MICA_OP_SORT, pair, 2, &sort, sorted, 2);
  for (int i = 0; i < 2; i++)
    out[i] = mica_slice_axis(sorted[i], (int32_t)attr->axis, 0, attr->k, 1);
}

/* Whether element x stands in front of value v (right: or is equal); NaN above all numbers. */
static mica_value stands_before(mica_value x, mica_value v, bool right) {
  mica_value holds = right ? mica_less_equal(x, v) : mica_less(x, v);
  if (!mica_dtype_is_float(mica_dtype_of(x))) return holds;
  mica_value nan_v = mica_is_nan(v);
  return mica_or(holds, right ? nan_v : mica_and(nan_v, mica_not(mica_is_nan(x))));
}

/* Binary search of all values at once: the count grows by powers of two, from the highest. */
static void lower_search_sorted(const mica_rule *rule, mica_value *out) {
  const mica_search_sorted_attr *attr = rule->attr;
  mica_value sorted = rule->in[0], values = rule->in[1];
  mica_shape shape = mica_shape_of(sorted), whole = mica_shape_of(values);
  int64_t n = shape.dim[shape.rank - 1], lines = 1, each = 1;
  for (int32_t axis = 0; axis < whole.rank; axis++)
    *(axis < shape.rank - 1 ? &lines : &each) *= whole.dim[axis];
  mica_dtype dtype = n > INT32_MAX ? MICA_I64 : MICA_I32;
  mica_shape flat = {.rank = 2, .dim = {lines, each}};
  if (n == 0 || lines * each == 0) {
    out[0] = mica_zeros(rule->graph, (mica_type){dtype, whole});
    return;
  }
  sorted = mica_reshape(sorted, (mica_shape){.rank = 2, .dim = {lines, n}});
  values = mica_reshape(values, flat);
  mica_value count = mica_zeros(rule->graph, (mica_type){dtype, flat});
  int64_t power = 1;
  while (power <= n / 2) power *= 2;
  for (; power > 0; power /= 2) {
    mica_value more = mica_add(count, mica_full_like(count, (double)power));
    mica_value place =
        mica_sub(mica_min(more, mica_full_like(more, (double)n)), mica_ones_like(more));
    mica_value before = stands_before(mica_take_along_axis(sorted, place, 1), values, attr->right);
    before = mica_and(before, mica_less_equal(more, mica_full_like(more, (double)n)));
    count = mica_select(before, more, count);
  }
  out[0] = mica_reshape(count, whole);
}

/* ---- scatter --------------------------------------------------------------------------------- */

/* SET where the order of updates is not kept (GPUs): every element looks for the highest number among the
 * update elements that meet it, which is deterministic, and takes that one. */
static void lower_scatter_set(const mica_rule *rule, mica_value *out) {
  mica_scatter_attr attr = *(const mica_scatter_attr *)rule->attr;
  mica_value x = rule->in[0], updates = rule->in[2];
  mica_shape shape = mica_shape_of(updates), moved = {.rank = shape.rank};
  int64_t count = mica_shape_count(shape);
  if (count == 0) {
    out[0] = x;
    return;
  }
  mica_axes order = {.count = 0}, back = {.count = shape.rank};
  for (int window = 0; window < 2; window++) /* index axes first, then those of windows */
    for (int32_t axis = 0; axis < shape.rank; axis++)
      if (mica_ints_contain(&attr.update_window_axes, axis) == (window == 1))
        order.axis[order.count++] = axis;
  for (int32_t i = 0; i < shape.rank; i++) {
    moved.dim[i] = shape.dim[order.axis[i]];
    back.axis[order.axis[i]] = i;
  }
  mica_dtype dtype = count > INT32_MAX ? MICA_I64 : MICA_I32;
  mica_shape line = {.rank = 1, .dim = {count}};
  mica_value number = mica_reshape(mica_iota(rule->graph, (mica_type){dtype, line}, 0), moved);
  mica_value flat = updates;
  if (shape.rank > 1) {
    number = mica_transpose(number, back);
    flat = mica_transpose(updates, order);
  }
  flat = mica_reshape(flat, line);
  mica_value nothing = mica_sub(mica_zeros(rule->graph, (mica_type){dtype, mica_shape_of(x)}), 1);
  attr.kind = MICA_SCATTER_MAX;
  mica_value in[3] = {nothing, rule->in[1], number};
  mica_value winner = mica_emit(rule->graph, MICA_OP_SCATTER, in, 3, &attr);
  mica_value taken = mica_take(flat, mica_max(winner, mica_zeros_like(winner)), 0);
  out[0] = mica_select(mica_less(winner, mica_zeros_like(winner)), x, taken);
}

/* ---- the rule -------------------------------------------------------------------------------- */

typedef void lowering(const mica_rule *rule, mica_value *out);

static lowering *const lowerings[MICA_OP_COUNT] = {
    [MICA_OP_STOP_GRADIENT] = lower_same,
    [MICA_OP_CONJ] = lower_conj,
    [MICA_OP_EXP2] = lower_exp2,
    [MICA_OP_LOG2] = lower_log2,
    [MICA_OP_LOG10] = lower_log10,
    [MICA_OP_HYPOT] = lower_hypot,
    [MICA_OP_COPYSIGN] = lower_copysign,
    [MICA_OP_NEXTAFTER] = lower_nextafter,
    [MICA_OP_RANDOM_BITS] = lower_random_bits,
    [MICA_OP_TOP_K] = lower_top_k,
    [MICA_OP_SEARCH_SORTED] = lower_search_sorted,
    [MICA_OP_CUMULATIVE] = mica_xla_lower_cumulative,
    [MICA_OP_LINEAR_RECURRENCE] = mica_xla_lower_recurrence,
};

/* What becomes of node `id`, NULL: it stays. */
static lowering *lowering_of(const mica_graph *graph, uint32_t id, xla_lowering how) {
  const mica_node *node = mica_node_at(graph, id);
  mica_dtype from = MICA_DTYPE_NONE, to = node->type.dtype;
  if (node->operand_count > 0)
    from = mica_node_at(graph, mica_node_operands(graph, node)[0])->type.dtype;
  bool natural = mica_dtype_is_integer(to) && !mica_dtype_is_signed(to);
  switch ((mica_op)node->op) {
    case MICA_OP_MARK: return how.marks ? NULL : lower_same;
    case MICA_OP_ABS: return natural ? lower_same : NULL;
    case MICA_OP_SIGN: return natural ? lower_unsigned_sign : NULL;
    case MICA_OP_SCATTER: {
      bool set = ((const mica_scatter_attr *)node->attr)->kind == MICA_SCATTER_SET;
      return set && how.unordered ? lower_scatter_set : NULL;
    }
    case MICA_OP_POLYGAMMA: return to == MICA_F64 ? NULL : lower_polygamma;
    case MICA_OP_BITCAST:
      if (to == from) return lower_same;
      return mica_dtype_is_complex(from) != mica_dtype_is_complex(to) ? lower_bitcast : NULL;
    case MICA_OP_CONVERT: {
      if (to == from) return lower_same;
      bool narrow = (mica_dtype_bits(from) == 4 && to != MICA_I8) ||
                    (mica_dtype_bits(to) == 4 && from != MICA_I8 && from != MICA_I32);
      bool complex_to_real = mica_dtype_is_complex(from) && !mica_dtype_is_complex(to);
      return to == MICA_BOOL || narrow || complex_to_real ? lower_convert : NULL;
    }
    default: return lowerings[node->op];
  }
}

static bool lower_one(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                      const mica_value *in, size_t in_count, mica_value *out) {
  const xla_lowering *how = context;
  lowering *lower = lowering_of(from, id, *how);
  if (lower == NULL) return false;
  const mica_node *node = mica_node_at(from, id);
  mica_rule rule = {.graph = to,
                    .def = mica_op_definition((mica_op)node->op),
                    .attr = node->attr,
                    .in = in,
                    .in_count = in_count,
                    .out_count = node->result_count};
  lower(&rule, out);
  return true;
}

static bool stays_whole(void *context, const mica_graph *graph, uint32_t id) {
  const xla_lowering *how = context;
  mica_op op = (mica_op)mica_node_at(graph, id)->op;
  return mica_xla_writes(op) ||
         (op == MICA_OP_ATTENTION && how->flash && mica_xla_is_flash_attention(graph, id));
}

/* Whether nothing is left to be lowered or expanded. */
static bool is_lowered(const mica_graph *graph, xla_lowering how) {
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = mica_node_at(graph, id);
    if (node->op == MICA_OP_RESULT) continue;
    if (lowering_of(graph, id, how) != NULL) return false;
    if (mica_op_is_composite(mica_op_definition((mica_op)node->op)) &&
        !stays_whole(&how, graph, id))
      return false;
  }
  return true;
}

/* `graph` becomes what `step` makes of it. */
static mica_status replace(mica_graph *graph, int step, xla_lowering how, mica_error *error) {
  mica_graph once = *graph; /* a graph has no pointers into itself */
  mica_status status = MICA_OK;
  if (mica_graph_init(graph, &once.allocator)) {
    switch (step) {
      case 0: status = mica_rewrite(&once, graph, lower_one, &how, error); break;
      case 1: status = mica_pass_expand(&once, graph, stays_whole, &how, error); break;
      case 2: status = mica_pass_share(&once, graph, error); break;
      default: status = mica_pass_drop(&once, graph, error); break;
    }
  } else {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  }
  mica_graph_deinit(&once);
  return status;
}

mica_status mica_xla_lower(const mica_graph *from, mica_graph *to, xla_lowering how,
                           mica_error *error) {
  enum { MAX_ROUNDS = 12 };
  mica_status status = mica_pass_expand(from, to, stays_whole, &how, error);
  for (int round = 0; status == MICA_OK && !is_lowered(to, how); round++) {
    if (round == MAX_ROUNDS)
      return mica_error_set(error, MICA_INTERNAL, "xla: lowering does not come to an end");
    status = replace(to, 0, how, error);
    if (status == MICA_OK) status = replace(to, 1, how, error);
  }
  if (status == MICA_OK) status = replace(to, 2, how, error);
  if (status == MICA_OK) status = replace(to, 3, how, error);
  return status;
}
