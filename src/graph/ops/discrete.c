/* SPDX-License-Identifier: Apache-2.0 */
/* discrete.c: random integers, choices and orders. What is drawn is an integer, so that backends
 * agree to the bit wherever no function of floats decides. */
#include <inttypes.h>
#include <math.h>

#include "graph/ops/drawing.h"

/* ---- whole numbers in a range --------------------------------------------------------------------- */

static mica_value shift_down(mica_value x) { return mica_shift_right_logical(x, 32); }
static mica_value low_half(mica_value x) { return mica_and(x, mica_full_like(x, 4294967295.0)); }

/* x s of 64 bits each, x = high 2^32 + low in words: the upper 64 bits, and the lower ones. */
static mica_value multiply_long(mica_value high, mica_value low, uint64_t s, mica_value *out_low) {
  double s_high = (double)(s >> 32), s_low = (double)(s & 0xFFFFFFFFu);
  mica_value ll = mica_mul(low, s_low), lh = mica_mul(low, s_high), hl = mica_mul(high, s_low),
             hh = mica_mul(high, s_high);
  mica_value middle = (mica_add)((mica_add)(shift_down(ll), low_half(lh)), low_half(hl));
  if (out_low) *out_low = mica_or(mica_shift_left(middle, 32), low_half(ll));
  return (mica_add)((mica_add)(hh, shift_down(lh)), (mica_add)(shift_down(hl), shift_down(middle)));
}

/* floor(w span / 2^64) of 64 bits w, or of 128 bits / 2^128: u64. */
static mica_value scale_words(mica_value key, int64_t count, uint64_t span) {
  mica_value word[4];
  bool narrow = span <= (uint64_t)1 << 32;
  mica_draw_words(key, count, narrow ? 2 : 4, word);
  for (int i = 0; i < (narrow ? 2 : 4); i++) word[i] = mica_convert(word[i], MICA_U64);
  if (narrow) {
    /* (2^32 - 1) 2^32 + 2^32 - 1 just fits. */
    mica_value below = shift_down(mica_mul(word[1], (double)span));
    return shift_down((mica_add)(mica_mul(word[0], (double)span), below));
  }
  mica_value low, high = multiply_long(word[0], word[1], span, &low);
  mica_value carried = multiply_long(word[2], word[3], span, NULL);
  mica_value sum = (mica_add)(low, carried);
  return (mica_add)(high, mica_convert((mica_less)(sum, carried), MICA_U64));
}

/* A constant i64 [] that a double might not hold. */
static mica_value exact_number(mica_graph *graph, int64_t number) {
  mica_tensor *tensor = NULL;
  if (mica_tensor_create(&graph->allocator, (mica_type){MICA_I64, {0}}, &number, &tensor, NULL) !=
      MICA_OK)
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return value;
}

/* Whether an integer dtype holds the number. */
static bool dtype_holds(mica_dtype dtype, int64_t number) {
  int32_t bits = mica_dtype_bits(dtype);
  if (mica_dtype_is_signed(dtype))
    return bits == 64 ||
           (number >= -((int64_t)1 << (bits - 1)) && number < (int64_t)1 << (bits - 1));
  return number >= 0 && (bits == 64 || number < (int64_t)1 << bits);
}

/* Keys, and a shape whose elements can be counted. */
static bool can_draw_shape(const char *op, mica_value key, mica_shape shape, int64_t *out_count) {
  return mica_can_draw(op, key, (mica_type){MICA_F32, shape}, out_count);
}

mica_value mica_random_integers(mica_value key, mica_type type, int64_t low, int64_t high) {
  MICA_ENTRY(key.graph);
  int64_t count;
  const char *op = "random_integers", *expected = "";
  if (!can_draw_shape(op, key, type.shape, &count)) return mica_no_value(key.graph);
  if (!mica_class_accepts(MICA_CLASS_INTEGER, type.dtype, &expected))
    return mica_fail_operator(key.graph, op, &key, 1, "dtype %s: expected %s",
                              mica_dtype_name(type.dtype), expected);
  if (low >= high || !dtype_holds(type.dtype, low) || !dtype_holds(type.dtype, high - 1))
    return mica_fail_operator(key.graph, op, &key, 1,
                              "%" PRId64 " to below %" PRId64 ": expected a range within %s", low,
                              high, mica_dtype_name(type.dtype));
  uint64_t span = (uint64_t)high - (uint64_t)low;
  mica_value drawn = mica_convert(scale_words(key, count, span), MICA_I64);
  drawn = (mica_add)(drawn, exact_number(key.graph, low));
  return mica_in_draw_shape(mica_convert(drawn, type.dtype), type.shape);
}

mica_value mica_random_rademacher(mica_value key, mica_type type) {
  MICA_ENTRY(key.graph);
  int64_t count;
  const char *op = "random_rademacher", *expected = "";
  if (!can_draw_shape(op, key, type.shape, &count)) return mica_no_value(key.graph);
  if (!mica_class_accepts(MICA_CLASS_NUMBER, type.dtype, &expected) ||
      (mica_dtype_is_integer(type.dtype) && !mica_dtype_is_signed(type.dtype)))
    return mica_fail_operator(key.graph, op, &key, 1, "dtype %s: expected a signed number",
                              mica_dtype_name(type.dtype));
  mica_value word = mica_random_bits(key, type.shape);
  mica_value one = mica_full(key.graph, (mica_type){type.dtype, mica_shape_of(word)}, 1);
  return mica_with_sign(one, word);
}

/* ---- by probabilities ------------------------------------------------------------------------------ */

/* On whole words, in f64 which holds them. */
mica_value mica_random_bernoulli_each(mica_value key, mica_value p, mica_shape shape) {
  MICA_ENTRY_OF(key, p);
  if (!mica_spread_parameter("random_bernoulli_each", key, &p, shape))
    return mica_no_value(mica_graph_of((mica_value[]){key, p}, 2));
  mica_value word = mica_convert(mica_random_bits(key, shape), MICA_F64);
  return (mica_less)(word, mica_mul(mica_convert(p, MICA_F64), ldexp(1, 32)));
}

/* logits + gumbel, wide, [a..., logits...]. */
static bool disturb_logits(const char *op, mica_value key, mica_value logits, mica_value *out) {
  mica_value in[2] = {key, logits};
  const char *expected = "";
  if (!mica_operands_usable(op, in, 2) || !mica_is_key(op, key)) return false;
  if (!mica_class_accepts(MICA_CLASS_FLOAT, mica_dtype_of(logits), &expected) ||
      mica_rank_of(logits) < 1) {
    mica_fail_operator(key.graph, op, in, 2, "operand 1 is the logits: expected %s [..., n]",
                       *expected ? expected : "floats");
    return false;
  }
  mica_value wide = mica_widen(logits);
  *out = (mica_add)(mica_random_gumbel(key, mica_type_of(wide)), wide);
  return true;
}

mica_value mica_random_categorical(mica_value key, mica_value logits) {
  MICA_ENTRY_OF(key, logits);
  mica_value disturbed;
  if (!disturb_logits("random_categorical", key, logits, &disturbed))
    return mica_no_value(mica_graph_of((mica_value[]){key, logits}, 2));
  return mica_arg_max(disturbed, -1);
}

/* ---- orders ------------------------------------------------------------------------------------------ */

static bool can_order(const char *op, mica_value key, int64_t n, int64_t count) {
  if (!mica_operands_usable(op, &key, 1) || !mica_is_key(op, key)) return false;
  if (n >= 0 && n <= INT32_MAX && count >= 0 && count <= INT32_MAX) return true;
  mica_fail_operator(key.graph, op, &key, 1,
                     "%" PRId64 " of %" PRId64 ": expected numbers of 0 to 2^31 - 1", count, n);
  return false;
}

/* u64 [a..., n]. Two of n are equal with a probability of n^2 / 2^65. */
static mica_value order_words(mica_value key, int64_t n) {
  mica_value word[2];
  mica_draw_words(key, n, 2, word);
  return mica_join_words(word[0], word[1]);
}

mica_value mica_random_permutation(mica_value key, int64_t n) {
  MICA_ENTRY(key.graph);
  if (!can_order("random_permutation", key, n, n)) return mica_no_value(key.graph);
  int32_t bits = 0;
  while (((int64_t)1 << bits) < n) bits++;
  mica_value words = order_words(key, n);
  if (bits > 22) return mica_arg_sort(words, -1, false);
  /* Each place in the lower bits of its word: one array is sorted faster than two. */
  words = mica_shift_left(mica_shift_right_logical(words, bits), bits);
  words = (mica_or)(words, mica_iota(key.graph, mica_type_of(words), mica_rank_of(words) - 1));
  mica_value mask = mica_number_for("random_permutation", words, ldexp(1, bits) - 1);
  words = (mica_and)(mica_sort(words, -1, false), mask);
  return mica_convert(words, MICA_I32);
}

mica_value mica_random_shuffle(mica_value key, mica_value x, int32_t axis) {
  MICA_ENTRY_OF(key, x);
  mica_value in[2] = {key, x};
  int64_t at;
  if (!mica_operands_usable("random_shuffle", in, 2) || !mica_is_key("random_shuffle", key) ||
      !mica_builder_axis("random_shuffle", x, axis, &at))
    return mica_no_value(mica_graph_of(in, 2));
  if (mica_rank_of(key) != 1)
    return mica_fail_operator(key.graph, "random_shuffle", in, 2,
                              "operand 0 is the key: expected one, u32[2] (vmap takes many)");
  return mica_take(x, mica_random_permutation(key, mica_dim_of(x, (int32_t)at)), (int32_t)at);
}

mica_value mica_random_choice(mica_value key, int64_t n, int64_t count, bool replace) {
  MICA_ENTRY(key.graph);
  if (!can_order("random_choice", key, n, count)) return mica_no_value(key.graph);
  if (count > 0 && (n == 0 || (!replace && count > n)))
    return mica_fail_operator(key.graph, "random_choice", &key, 1,
                              "%" PRId64 " of %" PRId64 ": expected no more than there are", count,
                              n);
  mica_shape shape = {.rank = 1, .dim = {count}};
  if (replace || count == 0)
    return mica_random_integers(key, (mica_type){MICA_I32, shape}, 0, n ? n : 1);
  mica_value places;
  mica_top_k(order_words(key, n), count, -1, true, NULL, &places);
  return places;
}

mica_value mica_random_choice_by(mica_value key, mica_value logits, int64_t count) {
  MICA_ENTRY_OF(key, logits);
  mica_value disturbed, places, in[2] = {key, logits};
  if (!disturb_logits("random_choice_by", key, logits, &disturbed))
    return mica_no_value(mica_graph_of(in, 2));
  if (count < 0 || count > mica_dim_of(logits, -1))
    return mica_fail_operator(key.graph, "random_choice_by", in, 2,
                              "%" PRId64 " of %" PRId64 ": expected no more than there are", count,
                              mica_dim_of(logits, -1));
  mica_top_k(disturbed, count, -1, false, NULL, &places);
  return places;
}
