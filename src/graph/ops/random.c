/* SPDX-License-Identifier: Apache-2.0 */
/* random.c: random numbers as pure functions of a key (Philox4x32-10; Salmon et al., SC 2011). One
 * operator makes bits; everything else is arithmetic on them, exact for bits and uniforms on every
 * backend.
 *
 * Bits are cut by `and` before they become a float, so that each conversion is exact: the upper
 * 24 bits of a word as f32 are (word & ~255) * 2^-32. Where an element needs several words, n
 * elements take word i of the first n words, of the next n, and so on, so that each part is one
 * contiguous piece. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/drawing.h"

static bool infer_random_bits(mica_infer *infer) {
  const mica_random_bits_attr *attr = infer->attr;
  mica_type key = infer->in[0];
  if (key.dtype != MICA_U32 || key.shape.rank < 1 || key.shape.dim[key.shape.rank - 1] != 2)
    return mica_infer_fail(infer,
                           "operand 0 is the key: expected u32[2] (mica_random_key makes it)");
  mica_type bits = {MICA_U32, mica_shape_remove(key.shape, key.shape.rank - 1)};
  if (mica_shape_count(attr->shape) < 0)
    return mica_infer_one(infer, (mica_type){MICA_U32, attr->shape});
  for (int32_t axis = 0; axis < attr->shape.rank; axis++)
    bits.shape = mica_shape_insert(bits.shape, bits.shape.rank, attr->shape.dim[axis]);
  return mica_infer_one(infer, bits);
}

/* What separates the words that make new keys from those that a key is drawn with: "fold" in
 * ASCII. */
#define FOLD_DOMAIN  0x666F6C64u
#define SPLIT_DOMAIN 0x73706C74u /* and "splt" */

static mica_value words_constant(mica_graph *graph, uint32_t first, uint32_t second) {
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  mica_tensor *tensor = NULL;
  mica_type type = {MICA_U32, {.rank = 1, .dim = {2}}};
  if (mica_tensor_create(&graph->allocator, type, (uint32_t[]){first, second}, &tensor, NULL) !=
      MICA_OK)
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return value;
}

/* The first two words that (key[0], key[1] ^ FOLD_DOMAIN) draws, xor number (u32 [..., 2]: low,
 * high). The key is hashed before the number comes in, so that neighboring keys and numbers do
 * not meet. */
static mica_value fold_words(mica_value key, mica_value number) {
  mica_random_bits_attr two = {.shape = {.rank = 1, .dim = {2}}};
  mica_value apart = mica_xor(key, words_constant(key.graph, 0, FOLD_DOMAIN));
  return mica_xor(mica_emit(key.graph, MICA_OP_RANDOM_BITS, &apart, 1, &two), number);
}

/* A key that all examples share is folded with the number of the example. */
static void batch_random_bits(const mica_rule *rule, const bool *batched, int64_t size,
                              mica_value *out) {
  mica_value key = rule->in[0];
  if (!batched[0]) {
    mica_shape shape = mica_shape_of(key), column = {.rank = shape.rank + 1};
    if (!mica_batch_fits(rule, shape.rank, out)) return;
    for (int32_t axis = 0; axis < column.rank; axis++) column.dim[axis] = axis == 0 ? size : 1;
    mica_value example = mica_iota(rule->graph, (mica_type){MICA_U32, column}, 0);
    mica_value number[2] = {example, mica_zeros_like(example)};
    key = fold_words(key, mica_concatenate(number, 2, -1));
  }
  out[0] = mica_emit(rule->graph, MICA_OP_RANDOM_BITS, &key, 1, rule->attr);
}

static const mica_attr_field random_bits_fields[] = {
    MICA_FIELD(mica_random_bits_attr, shape, SHAPE), MICA_FIELD_END};
const mica_op_def mica_op_random_bits = {
    .name = "random_bits",
    .kind = MICA_KIND_CONSTANT,
    .dtypes = MICA_CLASS_KEY,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_random_bits_attr),
    .fields = random_bits_fields,
    .formula =
        "key u32 [a..., 2] -> u32 [a..., shape...]: word i % 4 of Philox block i / 4 of each key, "
        "i row-major in shape",
    .infer = infer_random_bits,
    .batch = batch_random_bits,
};

/* ---- keys ------------------------------------------------------------------------------------ */

mica_value mica_random_key(mica_graph *graph, uint64_t seed) {
  MICA_ENTRY(graph);
  return words_constant(graph, (uint32_t)seed, (uint32_t)(seed >> 32));
}

/* Keys have the words in the last axis; more axes in front are many keys. */
bool mica_is_key(const char *op, mica_value key) {
  mica_type type = mica_type_of(key);
  if (type.dtype == MICA_U32 && type.shape.rank >= 1 && type.shape.dim[type.shape.rank - 1] == 2)
    return true;
  mica_fail_operator(key.graph, op, &key, 1,
                     "operand 0 is the key: expected u32[2] (mica_random_key makes it)");
  return false;
}

mica_value mica_random_fold(mica_value key, mica_value number) {
  MICA_ENTRY_OF(key, number);
  mica_value in[2] = {key, number};
  if (!mica_operands_usable("random_fold", in, 2) || !mica_is_key("random_fold", key))
    return mica_no_value(mica_graph_of(in, 2));
  mica_dtype dtype = mica_dtype_of(number);
  if (!mica_dtype_is_integer(dtype) || mica_rank_of(number) != 0)
    return mica_fail_operator(key.graph, "random_fold", in, 2,
                              "operand 1 is the number: expected an integer []");
  /* Negative numbers count as their 64-bit two's complement, whatever their width. */
  mica_value wide = mica_convert(number, MICA_U64), words[2];
  words[0] = mica_convert(wide, MICA_U32);
  words[1] = mica_convert(mica_div(wide, 4294967296.0), MICA_U32);
  return fold_words(key, mica_stack(words, 2, 0));
}

mica_value mica_random_fold_number(mica_value key, uint32_t number) {
  MICA_ENTRY(key.graph);
  if (!mica_operands_usable("random_fold_number", &key, 1) ||
      !mica_is_key("random_fold_number", key))
    return mica_no_value(key.graph);
  return fold_words(key, words_constant(key.graph, number, 0));
}

mica_value mica_random_split(mica_value key, int64_t count) {
  MICA_ENTRY(key.graph);
  if (!mica_operands_usable("random_split", &key, 1) || !mica_is_key("random_split", key))
    return mica_no_value(key.graph);
  mica_random_bits_attr words = {.shape = {.rank = 2, .dim = {count, 2}}};
  mica_value apart = mica_xor(key, words_constant(key.graph, 0, SPLIT_DOMAIN));
  return mica_emit(key.graph, MICA_OP_RANDOM_BITS, &apart, 1, &words);
}
#undef FOLD_DOMAIN
#undef SPLIT_DOMAIN

/* ---- bits and what is made of them ----------------------------------------------------------- */

mica_value mica_random_bits(mica_value key, mica_shape shape) {
  MICA_ENTRY(key.graph);
  mica_random_bits_attr attr = {.shape = mica_shape_clean(shape)};
  return mica_emit(key.graph, MICA_OP_RANDOM_BITS, &key, 1, &attr);
}

void mica_draw_words(mica_value key, int64_t n, int32_t count, mica_value *out) {
  mica_value words = mica_random_bits(key, (mica_shape){.rank = 2, .dim = {count, n}});
  int32_t axis = mica_rank_of(words) - 2;
  for (int32_t i = 0; i < count; i++) {
    mica_shape shape = mica_shape_remove(mica_shape_of(words), axis);
    out[i] = mica_has_value(words)
                 ? mica_reshape_if_needed(mica_slice_axis(words, axis, i, i + 1, 1), shape)
                 : words;
  }
}

/* The word with all but its upper `digits` bits cleared. */
static mica_value upper_bits(mica_value word, int32_t digits) {
  double kept = ldexp(1, 32) - ldexp(1, 32 - digits);
  return mica_and(word, mica_number_for("random_bits", word, kept));
}

/* [0, 1) of f32 from one word: its upper `digits` bits. */
static mica_value fraction(mica_value word, int32_t digits) {
  return mica_mul(mica_convert(upper_bits(word, digits), MICA_F32), ldexp(1, -32));
}

/* [0, 1) of f64 from two words: 27 bits of the first, then 26 of the second. */
static mica_value fraction_of_two(mica_value high, mica_value low) {
  high = mica_mul(mica_convert(upper_bits(high, 27), MICA_F64), ldexp(1, -32));
  low = mica_mul(mica_convert(upper_bits(low, 26), MICA_F64), ldexp(1, -59));
  return mica_add(high, low);
}

mica_value mica_in_draw_shape(mica_value x, mica_shape shape) {
  if (!mica_has_value(x)) return x;
  mica_shape whole = mica_shape_remove(mica_shape_of(x), mica_rank_of(x) - 1);
  for (int32_t axis = 0; axis < shape.rank; axis++)
    whole = mica_shape_insert(whole, whole.rank, shape.dim[axis]);
  return mica_reshape_if_needed(x, whole);
}

/* f32: the word as it is rounds to 24 digits; f64: it and the upper 26 bits of a second one. Half a
 * step more keeps 0 out, and what rounds to 1 is moved below it. */
static mica_value open_fraction(mica_value high, const mica_value *low) {
  if (!low) {
    mica_value v = mica_mul(mica_convert(high, MICA_F32), ldexp(1, -32));
    return mica_min(mica_add(v, ldexp(1, -33)), 1 - ldexp(1, -24));
  }
  mica_value rest = mica_mul(mica_convert(upper_bits(*low, 26), MICA_F64), ldexp(1, -64));
  mica_value v = mica_mul(mica_convert(high, MICA_F64), ldexp(1, -32));
  return mica_min(mica_add(v, mica_add(rest, ldexp(1, -59))), 1 - ldexp(1, -53));
}

void mica_draw_open(mica_value key, mica_dtype wide, mica_shape shape, int32_t count, bool sign,
                    mica_value *out) {
  enum { MOST = 8 };
  mica_value words[MOST];
  int32_t each = wide == MICA_F64 ? 2 : 1, total = count * each + (sign ? 1 : 0);
  mica_draw_words(key, mica_shape_count(shape), total, words);
  for (int32_t i = 0; i < count; i++)
    out[i] = open_fraction(words[i * each], each == 2 ? &words[i * each + 1] : NULL);
  if (sign) out[count] = words[total - 1];
  for (int32_t i = 0; i < count + (sign ? 1 : 0); i++) out[i] = mica_in_draw_shape(out[i], shape);
}

mica_value mica_with_sign(mica_value x, mica_value word) {
  return mica_select(mica_less(word, ldexp(1, 31)), mica_neg(x), x);
}

mica_value mica_join_words(mica_value high, mica_value low) {
  return mica_or(mica_shift_left(mica_convert(high, MICA_U64), 32), mica_convert(low, MICA_U64));
}

bool mica_can_draw(const char *op, mica_value key, mica_type type, int64_t *out_count) {
  if (!mica_operands_usable(op, &key, 1) || !mica_is_key(op, key)) return false;
  *out_count = mica_shape_count(type.shape);
  char text[MICA_SHAPE_TEXT];
  if (*out_count < 0) {
    mica_fail_operator(key.graph, op, &key, 1,
                       "the shape %s: expected sizes >= 0, rank 0 to %d and no overflow",
                       mica_shape_text(type.shape, text), MICA_MAX_RANK);
    return false;
  }
  if (type.dtype == MICA_F16 || type.dtype == MICA_BF16 || type.dtype == MICA_F32 ||
      type.dtype == MICA_F64)
    return true;
  mica_fail_operator(key.graph, op, &key, 1, "dtype %s: expected f16, bf16, f32 or f64",
                     mica_dtype_name(type.dtype));
  return false;
}

mica_value mica_random_uniform(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  int64_t count;
  if (!mica_can_draw("random_uniform", key, type, &count)) return mica_no_value(key.graph);
  if (type.dtype == MICA_F64) {
    mica_value words[2];
    mica_draw_words(key, count, 2, words);
    return mica_in_draw_shape(fraction_of_two(words[0], words[1]), type.shape);
  }
  int32_t digits = type.dtype == MICA_F16 ? 11 : type.dtype == MICA_BF16 ? 8 : 24;
  return mica_convert(fraction(mica_random_bits(key, type.shape), digits), type.dtype);
}

mica_value mica_random_normal(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  const double two_pi = 6.283185307179586;
  int64_t count;
  if (!mica_can_draw("random_normal", key, type, &count)) return mica_no_value(key.graph);
  mica_value words[4], u, turn;
  if (type.dtype == MICA_F64) {
    mica_draw_words(key, count, 4, words);
    u = fraction_of_two(words[0], words[1]);
    turn = fraction_of_two(words[2], words[3]);
  } else {
    mica_draw_words(key, count, 2, words);
    u = fraction(words[0], 24);
    turn = fraction(words[1], 24);
  }
  /* 1 - u is exact and in (0, 1], so the logarithm is finite. */
  mica_value radius = mica_sqrt(mica_mul(mica_log(mica_sub(mica_ones_like(u), u)), -2));
  mica_value normal = mica_mul(radius, mica_cos(mica_mul(turn, two_pi)));
  return mica_in_draw_shape(mica_convert(normal, type.dtype), type.shape);
}

/* Decided on whole words: p is rounded to a multiple of 2^-32. */
mica_value mica_random_bernoulli(mica_value key, double p, mica_shape shape) {
  MICA_ENTRY(key.graph);
  int64_t count;
  if (!mica_can_draw("random_bernoulli", key, (mica_type){MICA_F32, shape}, &count))
    return mica_no_value(key.graph);
  if (!(p >= 0 && p <= 1))
    return mica_fail_operator(key.graph, "random_bernoulli", &key, 1,
                              "probability %g: expected 0 to 1", p);
  double threshold = nearbyint(ldexp(p, 32));
  mica_value bits = mica_random_bits(key, shape);
  return threshold < ldexp(1, 32) ? mica_less(bits, threshold)
                                  : mica_less_equal(bits, threshold - 1);
}

bool mica_spread_parameter(const char *op, mica_value key, mica_value *parameter,
                           mica_shape shape) {
  mica_value in[2] = {key, *parameter};
  const char *expected = "";
  int32_t axis;
  mica_shape both;
  char text[MICA_SHAPE_TEXT];
  if (!mica_operands_usable(op, in, 2) || !mica_is_key(op, key)) return false;
  if (!mica_class_accepts(MICA_CLASS_FLOAT, mica_dtype_of(*parameter), &expected)) {
    mica_fail_operator(key.graph, op, in, 2, "operand 1 is a parameter: expected %s", expected);
    return false;
  }
  if (mica_shape_count(shape) < 0 ||
      !mica_shape_broadcast(mica_shape_of(*parameter), shape, &both, &axis) ||
      !mica_shape_equal(both, mica_shape_clean(shape))) {
    mica_fail_operator(key.graph, op, in, 2,
                       "operand 1 is a parameter: expected it to broadcast to the shape %s",
                       mica_shape_text(shape, text));
    return false;
  }
  *parameter = mica_broadcast_if_needed(*parameter, shape);
  return true;
}
