/* SPDX-License-Identifier: Apache-2.0 */
/* Equality by bits, closeness with the worst element. */
#include "check.h"
#include "mica/core.h"

#include <float.h>
#include <math.h>
#include <string.h>

static mica_tensor *doubles(mica_dtype dtype, int64_t count, const double *values) {
  return mica_tensor_from_doubles(dtype, MICA_DIMS(count), values);
}

TEST(equality) {
  const double values[] = {1, -2, NAN, 0}, other[] = {1, -2, NAN, -0.0};
  mica_tensor *a = doubles(MICA_F32, 4, values), *b = doubles(MICA_F32, 4, values);
  mica_tensor *c = doubles(MICA_F32, 4, other), *d = doubles(MICA_F64, 4, values);
  mica_tensor *e = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 2), values);
  CHECK(mica_tensor_equal(a, b));
  CHECK(mica_tensor_equal(a, a));
  CHECK(!mica_tensor_equal(a, c)); /* 0 and -0 */
  CHECK(!mica_tensor_equal(a, d));
  CHECK(!mica_tensor_equal(a, e));
  CHECK(mica_tensor_equal(NULL, NULL) && !mica_tensor_equal(a, NULL) &&
        !mica_tensor_equal(NULL, a));
  mica_tensor *all[] = {a, b, c, d, e};
  for (int i = 0; i < 5; i++) mica_tensor_release(all[i]);
}

/* The unused half of a wrapped tensor's last byte does not count. */
TEST(equality_of_packed_elements) {
  _Alignas(64) static uint8_t bytes[64] = {0x21, 0xF3}, same[64] = {0x21, 0x03},
                              other[64] = {0x21, 0x04}, first[64] = {0x22, 3};
  uint8_t *memory[] = {bytes, same, other, first};
  mica_tensor *t[4];
  for (int i = 0; i < 4; i++)
    CHECK_OK(
        mica_tensor_wrap((mica_type){MICA_U4, MICA_DIMS(3)}, memory[i], NULL, NULL, &t[i], NULL));
  CHECK(mica_tensor_equal(t[0], t[1]));
  CHECK(!mica_tensor_equal(t[0], t[2]));
  CHECK(!mica_tensor_equal(t[0], t[3]));
  for (int i = 0; i < 4; i++) mica_tensor_release(t[i]);
}

typedef struct {
  mica_dtype a_dtype, b_dtype;
  double a[4], b[4], relative, absolute;
  bool close;
  int64_t mismatches, worst;
  double error;
} closeness_case;

TEST(closeness) {
  const double inf = INFINITY;
  const closeness_case cases[] = {
      {MICA_F32, MICA_F32, {1, 2, 3, 4}, {1, 2, 3, 4}, 0, 0, true, 0, -1, 0},
      {MICA_F64, MICA_F64, {1, 2, 3, 4}, {1, 2.5, 3, 4.25}, 0, 0, false, 2, 1, 0.5},
      {MICA_F64, MICA_F64, {1, 2, 3, 4}, {1, 2.5, 3, 4.25}, 0, 0.25, false, 1, 1, 0.5},
      {MICA_F64, MICA_F64, {1, 2, 3, 4}, {1, 2.5, 3, 4.25}, 0, 0.5, true, 0, 1, 0.5},
      /* Relative to b: 0.5 of 100 is less than 0.125 of 1. */
      {MICA_F64, MICA_F64, {1.125, 100.5, 0, 0}, {1, 100, 0, 0}, 0.01, 0, false, 1, 0, 0.125},
      {MICA_F64, MICA_F64, {-1, 0, 0, 0}, {1, 0, 0, 0}, 0, 1.75, false, 1, 0, 2},
      {MICA_F64, MICA_F64, {NAN, inf, -inf, 1}, {NAN, inf, -inf, 1}, 0, 0, true, 0, -1, 0},
      {MICA_F64, MICA_F64, {NAN, 1, 1, 1}, {1, 1, 1, 1}, 9, 9, false, 1, 0, inf},
      {MICA_F64, MICA_F64, {1, 1, 1, 1}, {1, 1, 1, NAN}, 9, 9, false, 1, 3, inf},
      {MICA_F64, MICA_F64, {1, 1, inf, 1}, {1, 1, -inf, 1}, 9, 9, false, 1, 2, inf},
      {MICA_F64, MICA_F64, {1, 1, 5, 1}, {1, 1, inf, 1}, 9, 9, false, 1, 2, inf},
      {MICA_F64, MICA_F64, {DBL_MAX, 0, 0, 0}, {-DBL_MAX, 0, 0, 0}, 0.5, 0, false, 1, 0, inf},
      {MICA_I32, MICA_F32, {1, 2, 3, 4}, {1, 2, 3.5, 4}, 0, 0.25, false, 1, 2, 0.5},
      {MICA_BOOL, MICA_U8, {1, 0, 1, 0}, {1, 0, 0, 0}, 0, 0, false, 1, 2, 1},
      {MICA_BF16, MICA_F32, {1, 2, 3, 4}, {1.0078125, 2, 3, 4}, 1e-2, 0, true, 0, 0, 0.0078125},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const closeness_case *row = &cases[i];
    mica_tensor *a = doubles(row->a_dtype, 4, row->a), *b = doubles(row->b_dtype, 4, row->b);
    mica_closeness result;
    CHECK_OK(mica_tensor_compare(a, b, row->relative, row->absolute, &result, NULL));
    bool same = result.close == row->close && result.mismatch_count == row->mismatches &&
                result.worst_index == row->worst && result.worst_error == row->error;
    if (!same)
      CHECK_FAIL("case %zu: close %d, %lld mismatches, worst %lld, error %g", i, result.close,
                 (long long)result.mismatch_count, (long long)result.worst_index,
                 result.worst_error);
    if (row->worst >= 0) {
      CHECK_NEAR(result.worst_a, row->a[row->worst], 0);
      CHECK_NEAR(result.worst_b, row->b[row->worst], 0);
    }
    mica_tensor_release(a);
    mica_tensor_release(b);
  }
}

/* Differences that vanish in doubles. */
TEST(closeness_of_64_bit_integers) {
  const int64_t a[] = {INT64_MAX, INT64_MIN, 5}, b[] = {INT64_MAX - 1, INT64_MIN + 1, -5};
  const uint64_t u[] = {UINT64_MAX, 0, 5}, v[] = {UINT64_MAX - 1, 1, 5};
  mica_closeness result;
  mica_tensor *x = mica_tensor_from(MICA_I64, MICA_DIMS(3), a),
              *y = mica_tensor_from(MICA_I64, MICA_DIMS(3), b);
  CHECK_OK(mica_tensor_compare(x, y, 0, 1, &result, NULL));
  CHECK_EQ_INT(result.mismatch_count, 1);
  CHECK_EQ_INT(result.worst_index, 2);
  CHECK_NEAR(result.worst_error, 10, 0);
  CHECK_OK(mica_tensor_compare(x, y, 0, 0.5, &result, NULL));
  CHECK_EQ_INT(result.mismatch_count, 3);
  mica_tensor_release(x);
  x = mica_tensor_from(MICA_U64, MICA_DIMS(3), u);
  mica_tensor *z = mica_tensor_from(MICA_U64, MICA_DIMS(3), v);
  CHECK_OK(mica_tensor_compare(x, z, 0, 0, &result, NULL));
  CHECK_EQ_INT(result.mismatch_count, 2);
  CHECK_NEAR(result.worst_error, 1, 0);
  CHECK_OK(mica_tensor_compare(x, y, 0, 0, &result, NULL)); /* u64 against i64, of either sign */
  CHECK_EQ_INT(result.mismatch_count, 3);
  CHECK_NEAR(result.worst_error, 0x1p63, 0);
  mica_tensor_release(x);
  mica_tensor_release(y);
  mica_tensor_release(z);
}

TEST(closeness_of_complex_numbers) {
  const float a[] = {1, 2, 3, 4}, b[] = {1, 2, 6, 8};
  mica_tensor *x = mica_tensor_from(MICA_C64, MICA_DIMS(2), a),
              *y = mica_tensor_from(MICA_C64, MICA_DIMS(2), b);
  mica_closeness result;
  CHECK_OK(mica_tensor_compare(x, y, 0.5, 0, &result, NULL)); /* |3 + 4i| is half of |6 + 8i| */
  CHECK(result.close);
  CHECK_NEAR(result.worst_error, 5, 0);
  CHECK_OK(mica_tensor_compare(x, y, 0.49, 0, &result, NULL));
  CHECK(!result.close);
  mica_tensor_release(x);
  mica_tensor_release(y);
}

TEST(closeness_refuses) {
  mica_tensor *a = mica_tensor_from(MICA_F32, MICA_DIMS(2, 3), NULL),
              *b = mica_tensor_from(MICA_F32, MICA_DIMS(3, 2), NULL);
  mica_closeness result;
  mica_error error = {0};
  CHECK_STATUS(mica_tensor_compare(a, b, 0, 0, &result, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "f32[2, 3] and f32[3, 2] have different shapes");
  CHECK_STATUS(mica_tensor_compare(a, NULL, 0, 0, &result, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_compare(NULL, b, 0, 0, &result, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_compare(a, a, -1, 0, &result, NULL), MICA_INVALID);
  CHECK_STATUS(mica_tensor_compare(a, a, 0, NAN, &result, NULL), MICA_INVALID);
  mica_tensor_release(a);
  mica_tensor_release(b);
}

TEST(closeness_as_text) {
  const double a[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0.5, 0, 2},
               b[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25, 1.0 / 3, 2};
  mica_tensor *x = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(2, 6), a);
  mica_tensor *y = mica_tensor_from_doubles(MICA_F64, MICA_DIMS(2, 6), b);
  mica_closeness result;
  char text[200];
  CHECK_OK(mica_tensor_compare(x, y, 0, 0, &result, NULL));
  mica_closeness_format(&result, MICA_DIMS(2, 6), text, sizeof(text));
  CHECK_EQ_STR(text,
               "worst at [1, 4]: 0 against 0.333333333 (error 0.333, 2 of 12 elements differ)");
  CHECK_OK(mica_tensor_compare(x, x, 0, 0, &result, NULL));
  int length = mica_closeness_format(&result, MICA_DIMS(2, 6), text, 4);
  CHECK_EQ_STR(text, "all");
  CHECK_EQ_INT(length, strlen("all 12 elements are equal"));
  mica_tensor_release(x);
  mica_tensor_release(y);
}

TEST_MAIN(TEST_CASE(equality), TEST_CASE(equality_of_packed_elements), TEST_CASE(closeness),
          TEST_CASE(closeness_of_64_bit_integers), TEST_CASE(closeness_of_complex_numbers),
          TEST_CASE(closeness_refuses), TEST_CASE(closeness_as_text))
