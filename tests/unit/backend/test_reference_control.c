/* SPDX-License-Identifier: Apache-2.0 */
/* test_reference_control.c: regions on the oracle, against the same loops in C: states that change places,
 * loops that run never, once, an even or odd number of times, nested captures, 4-bit items. */
#include "core/tensor.h"
#include "unit/backend/reference_support.h"

static mica_value number_i32(double value) { return constant_of(MICA_I32, MICA_SCALAR, &value); }

/* (a, b) -> (b, a + b), n times. */
static void fibonacci(mica_value n, int64_t limit, mica_value *out) {
  mica_value start[3] = {number_i32(0), number_i32(1), number_i32(0)}, end[3];
  mica_region loop = mica_while_begin(oracle_graph, start, 3, limit);
  mica_while_body(loop, mica_less(mica_argument(loop, 2), n));
  mica_value a = mica_argument(loop, 0), b = mica_argument(loop, 1);
  mica_value next[3] = {b, mica_add(a, b), mica_add(mica_argument(loop, 2), 1)};
  mica_while_end(loop, next, end);
  memcpy(out, end, 2 * sizeof(*out));
}

TEST(states_change_places) {
  oracle_begin();
  double a = 0, b = 1;
  for (int n = 0; n < 8; n++) {
    mica_value end[2];
    fibonacci(number_i32(n), 0, end);
    EXPECT(end[0], MICA_I32, MICA_SCALAR, a);
    EXPECT(end[1], MICA_I32, MICA_SCALAR, b);
    double sum = a + b;
    a = b;
    b = sum;
  }
  mica_value bounded[2];
  fibonacci(number_i32(100), 6, bounded); /* stopped by max_iterations */
  EXPECT(bounded[0], MICA_I32, MICA_SCALAR, 8);
  EXPECT(bounded[1], MICA_I32, MICA_SCALAR, 13);
  oracle_end();
}

/* Two states that are swapped without any arithmetic: the results are the arguments themselves. */
TEST(arguments_may_be_results) {
  oracle_begin();
  for (int n = 0; n < 4; n++) {
    mica_value start[3] = {constant_of(MICA_F32, MICA_DIMS(2), NUMBERS(1, 2)),
                           constant_of(MICA_F32, MICA_DIMS(2), NUMBERS(3, 4)), number_i32(0)};
    mica_value end[3];
    mica_region loop = mica_while_begin(oracle_graph, start, 3, 0);
    mica_while_body(loop, mica_less(mica_argument(loop, 2), n));
    mica_value next[3] = {mica_argument(loop, 1), mica_argument(loop, 0),
                          mica_add(mica_argument(loop, 2), 1)};
    mica_while_end(loop, next, end);
    EXPECT(end[0], MICA_F32, MICA_DIMS(2), n % 2 == 0 ? 1 : 3, n % 2 == 0 ? 2 : 4);
    EXPECT(end[1], MICA_F32, MICA_DIMS(2), n % 2 == 0 ? 3 : 1, n % 2 == 0 ? 4 : 2);
  }
  oracle_end();
}

/* for i < n: for j < i: total += i * scale, with everything captured from further out. */
TEST(loops_nest) {
  oracle_begin();
  mica_value n = number_i32(5), scale = number_i32(3);
  mica_value start[2] = {number_i32(0), number_i32(0)}, end[2];
  mica_region outer = mica_while_begin(oracle_graph, start, 2, 0);
  mica_while_body(outer, mica_less(mica_argument(outer, 0), n));
  mica_value i = mica_argument(outer, 0);
  mica_value inner_start[2] = {mica_argument(outer, 1), number_i32(0)}, inner_end[2];
  mica_region inner = mica_while_begin(oracle_graph, inner_start, 2, 0);
  mica_while_body(inner, mica_less(mica_argument(inner, 1), i));
  mica_value grown = mica_add(mica_argument(inner, 0), mica_mul(i, scale));
  mica_while_end(inner, (mica_value[]){grown, mica_add(mica_argument(inner, 1), 1)}, inner_end);
  mica_while_end(outer, (mica_value[]){mica_add(i, 1), inner_end[0]}, end);
  double total = 0;
  for (int k = 0; k < 5; k++) total += (double)(k * k * 3);
  EXPECT(end[1], MICA_I32, MICA_SCALAR, total);
  oracle_end();
}

TEST(switches_take_the_last_block_outside) {
  oracle_begin();
  mica_value x = constant_of(MICA_F32, MICA_DIMS(2), NUMBERS(1, 2));
  for (int index = -2; index <= 4; index++) {
    mica_region region = mica_switch_begin(number_i32(index));
    mica_value result = mica_mul(x, 10), out;
    mica_switch_next(region, &result, 1);
    result = x; /* a captured value as it is */
    mica_switch_next(region, &result, 1);
    result = mica_neg(x);
    mica_switch_end(region, &result, 1, &out);
    double factor = index == 0 ? 10 : index == 1 ? 1 : -1;
    EXPECT(out, MICA_F32, MICA_DIMS(2), factor, 2 * factor);
  }
  for (int truth = 0; truth < 2; truth++) {
    mica_region region = mica_if_begin(constant_of(MICA_BOOL, MICA_SCALAR, NUMBERS(truth)));
    mica_value result = mica_add(x, 5), out;
    mica_if_else(region, &result, 1);
    result = mica_sub(x, 5);
    mica_if_end(region, &result, 1, &out);
    EXPECT(out, MICA_F32, MICA_DIMS(2), truth != 0 ? 6 : -4, truth != 0 ? 7 : -3);
  }
  oracle_end();
}

/* carry = carry * 2 + item; emits the carry before and the item. */
static void scan_items(mica_dtype dtype, int64_t length, int64_t width, bool reverse) {
  double items[64], carry[4] = {1, 1, 1, 1}, before[64], last[64];
  for (int64_t i = 0; i < length * width; i++) items[i] = (double)(i % 3);
  int wrap = dtype == MICA_U4 ? 16 : 0;
  for (int64_t step = 0; step < length; step++) {
    int64_t t = reverse ? length - 1 - step : step;
    for (int64_t k = 0; k < width; k++) {
      before[t * width + k] = carry[k];
      carry[k] = carry[k] * 2 + items[t * width + k];
      if (wrap > 0) carry[k] = fmod(carry[k], wrap);
      last[k] = carry[k];
    }
  }
  for (int64_t k = 0; length == 0 && k < width; k++) last[k] = 1;
  mica_value xs = constant_of(dtype, MICA_DIMS(length, width), items);
  mica_value start = constant_of(dtype, MICA_DIMS(width), NUMBERS(1, 1, 1, 1)), end, stacked[2];
  mica_region scan = mica_scan_begin_count(oracle_graph, &start, 1, &xs, 1, length, reverse);
  mica_value old = mica_argument(scan, 0), item = mica_argument(scan, 1);
  mica_value wide =
      mica_add(mica_mul(mica_convert(old, MICA_I32), 2), mica_convert(item, MICA_I32));
  mica_value next = mica_convert(wide, dtype), emit[2] = {old, item};
  mica_scan_end(scan, &next, emit, 2, &end, stacked);
  expect_at(end, dtype, MICA_DIMS(width), last, 0, __FILE__, __LINE__);
  expect_at(stacked[0], dtype, MICA_DIMS(length, width), before, 0, __FILE__, __LINE__);
  expect_at(stacked[1], dtype, MICA_DIMS(length, width), items, 0, __FILE__, __LINE__);
}

TEST(scans_carry_and_stack) {
  oracle_begin();
  for (int reverse = 0; reverse < 2; reverse++)
    for (int64_t length = 0; length <= 5; length++) {
      scan_items(MICA_F32, length, 2, reverse == 1);
      scan_items(MICA_U4, length, 3, reverse == 1); /* rows begin in the middle of bytes */
      scan_items(MICA_I64, length, 1, reverse == 1);
    }
  oracle_end();
}

/* call, recompute and custom gradients compute their first block. */
TEST(blocks_that_run_once) {
  oracle_begin();
  mica_value x = constant_of(MICA_F32, MICA_DIMS(2), NUMBERS(3, 4)), scale = mica_full_like(x, 10),
             out[2];
  mica_region call = mica_call_begin(oracle_graph, &x, 1);
  mica_value inside[2] = {mica_mul(mica_argument(call, 0), scale), mica_argument(call, 0)};
  mica_call_end(call, inside, 2, out);
  EXPECT(out[0], MICA_F32, MICA_DIMS(2), 30, 40);
  EXPECT(out[1], MICA_F32, MICA_DIMS(2), 3, 4);
  mica_region again = mica_recompute_begin(oracle_graph, &x, 1);
  mica_value square = mica_square(mica_argument(again, 0)), result;
  mica_recompute_end(again, &square, 1, &result);
  EXPECT(result, MICA_F32, MICA_DIMS(2), 9, 16);
  mica_region custom = mica_custom_gradient_begin(oracle_graph, &x, 1);
  mica_value forward = mica_add(mica_argument(custom, 0), scale);
  mica_custom_gradient_backward(custom, &forward, 1);
  mica_value gradient = mica_mul(mica_argument(custom, 1), 7);
  mica_custom_gradient_end(custom, &gradient, &result, 1);
  EXPECT(result, MICA_F32, MICA_DIMS(2), 13, 14);
  mica_value slope;
  mica_gradients(mica_reduce_sum(result, MICA_ALL), &x, 1, &slope);
  EXPECT(slope, MICA_F32, MICA_DIMS(2), 7, 7);
  oracle_end();
}

/* Values that live across a loop keep theirs while the loop uses the memory of others. */
TEST(memory_is_shared_rightly) {
  oracle_begin();
  mica_value x = constant_of(MICA_F64, MICA_DIMS(8), NUMBERS(1, 2, 3, 4, 5, 6, 7, 8));
  mica_value kept[6], sum = mica_zeros_like(x);
  for (int i = 0; i < 6; i++) kept[i] = mica_mul(x, i + 1);
  mica_value start[2] = {mica_add(x, 1), number_i32(0)}, end[2];
  mica_region loop = mica_while_begin(oracle_graph, start, 2, 0);
  mica_while_body(loop, mica_less(mica_argument(loop, 1), 3));
  mica_value state = mica_argument(loop, 0);
  for (int i = 0; i < 5; i++)
    state = mica_sub(mica_add(mica_mul(state, 2), kept[0]), mica_mul(state, 1));
  state = mica_add(mica_sub(state, mica_mul(kept[0], 5)), kept[5]);
  mica_while_end(loop, (mica_value[]){state, mica_add(mica_argument(loop, 1), 1)}, end);
  for (int i = 0; i < 6; i++) sum = mica_add(sum, kept[i]);
  mica_value all = mica_add(sum, end[0]); /* 21 x + x + 1 + 3 * 6 x */
  double expected[8];
  for (int i = 0; i < 8; i++) expected[i] = 40 * (i + 1) + 1;
  expect_at(all, MICA_F64, MICA_DIMS(8), expected, 0, __FILE__, __LINE__);
  oracle_end();
}

TEST(deep_nesting_is_refused) {
  oracle_begin();
  enum { DEPTH = 600 };
  static mica_region regions[DEPTH];
  mica_value x = constant_of(MICA_F32, MICA_SCALAR, NUMBERS(1));
  mica_value one = number_i32(1);
  for (int i = 0; i < DEPTH; i++) {
    regions[i] = mica_while_begin(oracle_graph, (mica_value[]){x, one}, 2, 1);
    mica_while_body(regions[i], mica_equal(mica_argument(regions[i], 1), 1));
    x = mica_argument(regions[i], 0);
  }
  for (int i = DEPTH; i-- > 0;) {
    mica_value end[2];
    mica_while_end(regions[i], (mica_value[]){mica_add(x, 1), mica_argument(regions[i], 1)}, end);
    x = end[0];
  }
  mica_error error = {0};
  mica_tensor *out = NULL;
  mica_status status = mica_evaluate(oracle_device, x, &out, &error);
  CHECK(status != MICA_OK);
  CHECK_STR_CONTAINS(error.message, "nested");
  mica_tensor_release(out);
  oracle_end();
}

TEST_MAIN(TEST_CASE(states_change_places), TEST_CASE(arguments_may_be_results),
          TEST_CASE(loops_nest), TEST_CASE(switches_take_the_last_block_outside),
          TEST_CASE(scans_carry_and_stack), TEST_CASE(blocks_that_run_once),
          TEST_CASE(memory_is_shared_rightly), TEST_CASE(deep_nesting_is_refused))
