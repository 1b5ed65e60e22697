/* SPDX-License-Identifier: Apache-2.0 */
/* test_reference_elementwise.c: the oracle's own arithmetic, against the definitions: what integers do
 * where C would trap, what floats do with NaN, infinities and signed zeros, that each result is rounded
 * once, and complex functions against each other. */
#include "backend/reference.h"
#include "graph/collectives.h"
#include "graph/custom.h"
#include "unit/backend/reference_support.h"

/* Every operator is computed, expanded into others, or handled by the evaluator. */
TEST(no_operator_is_missing) {
  int holes = 0, kernels = 0;
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    const mica_op_def *def = mica_op_definition((mica_op)op);
    bool leaf = def->kind == MICA_KIND_LEAF || def->kind == MICA_KIND_RESULT;
    bool has = mica_reference_has((mica_op)op);
    kernels += has;
    bool collective =
        mica_is_collective((mica_op)op); /* runs on the devices stacked in one array */
    if (has || leaf || def->kind == MICA_KIND_REGION || mica_op_is_composite(def) ||
        mica_is_custom((mica_op)op) || collective)
      continue;
    holes++;
    CHECK_FAIL("the reference has no kernel for %s", def->name);
  }
  CHECK_EQ_INT(holes, 0);
  CHECK(kernels > 50);
  CHECK(!mica_reference_has(MICA_OP_NONE));
  CHECK(!mica_reference_has(MICA_OP_WHILE));
}

/* ---- integers --------------------------------------------------------------------------------- */

TEST(integers_never_trap) {
  oracle_begin();
  mica_shape four = MICA_DIMS(4);
  int8_t x8[4] = {-128, 7, -7, 100}, y8[4] = {-1, 0, 2, 3};
  mica_value x = raw_constant(MICA_I8, four, x8), y = raw_constant(MICA_I8, four, y8);
  EXPECT(mica_div(x, y), MICA_I8, four, -128, -1, -3, 33);
  EXPECT(mica_rem(x, y), MICA_I8, four, 0, 7, -1, 1);
  EXPECT(mica_mul(x, y), MICA_I8, four, -128, 0, -14, 44); /* 300 - 256 */
  EXPECT(mica_add(x, y), MICA_I8, four, 127, 7, -5, 103);
  EXPECT(mica_neg(x), MICA_I8, four, -128, -7, 7, -100);
  EXPECT(mica_abs(x), MICA_I8, four, -128, 7, 7, 100);
  EXPECT(mica_sign(x), MICA_I8, four, -1, 1, -1, 1);
  EXPECT(mica_not(x), MICA_I8, four, 127, -8, 6, -101);
  uint8_t xu[4] = {200, 7, 255, 0}, yu[4] = {100, 0, 2, 5};
  x = raw_constant(MICA_U8, four, xu), y = raw_constant(MICA_U8, four, yu);
  EXPECT(mica_div(x, y), MICA_U8, four, 2, 255, 127, 0);
  EXPECT(mica_rem(x, y), MICA_U8, four, 0, 7, 1, 0);
  EXPECT(mica_add(x, y), MICA_U8, four, 44, 7, 1, 5);
  EXPECT(mica_sub(x, y), MICA_U8, four, 100, 7, 253, 251);
  EXPECT(mica_neg(x), MICA_U8, four, 56, 249, 1, 0);
  EXPECT(mica_abs(x), MICA_U8, four, 200, 7, 255, 0);
  EXPECT(mica_sign(x), MICA_U8, four, 1, 1, 1, 0);
  EXPECT(mica_max(x, y), MICA_U8, four, 200, 7, 255, 5);
  EXPECT(mica_min(x, y), MICA_U8, four, 100, 0, 2, 0);
  EXPECT(mica_less(x, y), MICA_BOOL, four, 0, 0, 0, 1);
  oracle_end();
}

TEST(sixty_four_bits_are_exact) {
  oracle_begin();
  mica_shape three = MICA_DIMS(3);
  int64_t x[3] = {INT64_MIN, INT64_MAX, (INT64_C(1) << 53) + 1}, y[3] = {-1, 0, 1};
  mica_value vx = raw_constant(MICA_I64, three, x), vy = raw_constant(MICA_I64, three, y);
  EXPECT_RAW(mica_div(vx, vy), MICA_I64, three, ((int64_t[]){INT64_MIN, -1, x[2]}));
  EXPECT_RAW(mica_rem(vx, vy), MICA_I64, three, ((int64_t[]){0, INT64_MAX, 0}));
  EXPECT_RAW(mica_add(vx, vy), MICA_I64, three, ((int64_t[]){INT64_MAX, INT64_MAX, x[2] + 1}));
  EXPECT_RAW(mica_abs(vx), MICA_I64, three, ((int64_t[]){INT64_MIN, INT64_MAX, x[2]}));
  EXPECT_RAW(mica_mul(vx, vx), MICA_I64, three,
             ((int64_t[]){0, 1, (INT64_C(1) << 54) + 1})); /* modulo 2^64 */
  uint64_t u[3] = {UINT64_MAX, UINT64_C(1) << 63, 5}, v[3] = {2, UINT64_MAX, 0};
  mica_value vu = raw_constant(MICA_U64, three, u), vv = raw_constant(MICA_U64, three, v);
  EXPECT_RAW(mica_div(vu, vv), MICA_U64, three, ((uint64_t[]){UINT64_MAX / 2, 0, UINT64_MAX}));
  EXPECT_RAW(mica_rem(vu, vv), MICA_U64, three, ((uint64_t[]){1, u[1], 5}));
  EXPECT_RAW(mica_max(vu, vv), MICA_U64, three, ((uint64_t[]){UINT64_MAX, UINT64_MAX, 5}));
  EXPECT(mica_greater(vu, vv), MICA_BOOL, three, 1, 0, 1);
  EXPECT_RAW(mica_sign(vu), MICA_U64, three, ((uint64_t[]){1, 1, 1}));
  EXPECT_RAW(mica_reduce_max(vu, MICA_ALL), MICA_U64, MICA_SCALAR, ((uint64_t[]){UINT64_MAX}));
  EXPECT_RAW(mica_reduce_min(vx, MICA_ALL), MICA_I64, MICA_SCALAR, ((int64_t[]){INT64_MIN}));
  EXPECT_RAW(mica_reduce_sum(vx, MICA_ALL), MICA_I64, MICA_SCALAR,
             ((int64_t[]){(INT64_C(1) << 53)}));
  oracle_end();
}

TEST(integer_powers_wrap) {
  oracle_begin();
  mica_shape six = MICA_DIMS(6);
  mica_value x = constant_of(MICA_I32, six, NUMBERS(3, -2, 2, -1, 1, 10));
  mica_value y = constant_of(MICA_I32, six, NUMBERS(4, 3, -1, -3, -5, 10));
  EXPECT(mica_pow(x, y), MICA_I32, six, 81, -8, 0, -1, 1, 1410065408); /* 10^10 modulo 2^32 */
  mica_value zero = constant_of(MICA_U16, MICA_SCALAR, NUMBERS(0));
  EXPECT(mica_pow(zero, 0), MICA_U16, MICA_SCALAR, 1);
  oracle_end();
}

TEST(logic_by_bits_and_by_truth) {
  oracle_begin();
  mica_shape four = MICA_DIMS(4);
  mica_value p = constant_of(MICA_BOOL, four, NUMBERS(0, 0, 1, 1));
  mica_value q = constant_of(MICA_BOOL, four, NUMBERS(0, 1, 0, 1));
  EXPECT_RAW(mica_and(p, q), MICA_BOOL, four, ((uint8_t[]){0, 0, 0, 1}));
  EXPECT_RAW(mica_or(p, q), MICA_BOOL, four, ((uint8_t[]){0, 1, 1, 1}));
  EXPECT_RAW(mica_xor(p, q), MICA_BOOL, four, ((uint8_t[]){0, 1, 1, 0}));
  EXPECT_RAW(mica_not(p), MICA_BOOL, four, ((uint8_t[]){1, 1, 0, 0}));
  EXPECT_RAW(mica_equal(p, q), MICA_BOOL, four, ((uint8_t[]){1, 0, 0, 1}));
  EXPECT_RAW(mica_select(p, q, mica_not(q)), MICA_BOOL, four, ((uint8_t[]){1, 0, 0, 1}));
  mica_value a = constant_of(MICA_U16, MICA_DIMS(2), NUMBERS(0xF0F0, 0x00FF));
  mica_value b = constant_of(MICA_U16, MICA_DIMS(2), NUMBERS(0xFF00, 0x0F0F));
  EXPECT(mica_and(a, b), MICA_U16, MICA_DIMS(2), 0xF000, 0x000F);
  EXPECT(mica_or(a, b), MICA_U16, MICA_DIMS(2), 0xFFF0, 0x0FFF);
  EXPECT(mica_xor(a, b), MICA_U16, MICA_DIMS(2), 0x0FF0, 0x0FF0);
  EXPECT(mica_not(a), MICA_U16, MICA_DIMS(2), 0x0F0F, 0xFF00);
  oracle_end();
}

/* ---- floats ----------------------------------------------------------------------------------- */

TEST(nan_and_zeros) {
  oracle_begin();
  mica_shape six = MICA_DIMS(6);
  for (int i = 0; i < 4; i++) {
    mica_dtype dtype = (const mica_dtype[]){MICA_BF16, MICA_F16, MICA_F32, MICA_F64}[i];
    mica_value x = constant_of(dtype, six, NUMBERS(NAN, 1, -0.0, 0, -INFINITY, 2));
    mica_value y = constant_of(dtype, six, NUMBERS(1, NAN, 0, -0.0, 5, 2));
    EXPECT(mica_max(x, y), dtype, six, NAN, NAN, 0, 0, 5, 2);
    EXPECT(mica_min(x, y), dtype, six, NAN, NAN, -0.0, -0.0, -INFINITY, 2);
    EXPECT(mica_equal(x, y), MICA_BOOL, six, 0, 0, 1, 1, 0, 1);
    EXPECT(mica_not_equal(x, y), MICA_BOOL, six, 1, 1, 0, 0, 1, 0);
    EXPECT(mica_less(x, y), MICA_BOOL, six, 0, 0, 0, 0, 1, 0);
    EXPECT(mica_less_equal(x, y), MICA_BOOL, six, 0, 0, 1, 1, 1, 1);
    EXPECT(mica_greater(x, y), MICA_BOOL, six, 0, 0, 0, 0, 0, 0);
    EXPECT(mica_greater_equal(x, y), MICA_BOOL, six, 0, 0, 1, 1, 0, 1);
    EXPECT(mica_is_finite(x), MICA_BOOL, six, 0, 1, 1, 1, 0, 1);
    EXPECT(mica_is_nan(x), MICA_BOOL, six, 1, 0, 0, 0, 0, 0);
    EXPECT(mica_sign(x), dtype, six, NAN, 1, -0.0, 0, -1, 1);
    EXPECT(mica_neg(x), dtype, six, NAN, -1, 0, -0.0, INFINITY, -2);
    EXPECT(mica_abs(x), dtype, six, NAN, 1, 0, 0, INFINITY, 2);
    EXPECT(mica_logistic(mica_mul(x, 4096)), dtype, six, NAN, 1, 0.5, 0.5, 0, 1);
  }
  mica_value x = constant_of(MICA_F32, six, NUMBERS(0.5, 1.5, 2.5, -0.5, -1.5, -2.5));
  EXPECT(mica_round(x), MICA_F32, six, 0, 2, 2, -0.0, -2, -2);
  EXPECT(mica_floor(x), MICA_F32, six, 0, 1, 2, -1, -2, -3);
  EXPECT(mica_ceil(x), MICA_F32, six, 1, 2, 3, -0.0, -1, -2);
  mica_value y = constant_of(MICA_F32, six, NUMBERS(0.3, -1, 2, 0.3, 0, INFINITY));
  float r = (float)fmod(0.5, (double)0.3f);
  EXPECT(mica_rem(x, y), MICA_F32, six, (double)r, 0.5, 0.5, -(double)r, NAN, -2.5);
  mica_value special = constant_of(MICA_F32, six, NUMBERS(0, -1, INFINITY, -INFINITY, NAN, 1));
  EXPECT(mica_log(special), MICA_F32, six, -INFINITY, NAN, INFINITY, NAN, NAN, 0);
  EXPECT(mica_sqrt(special), MICA_F32, six, 0, NAN, INFINITY, NAN, NAN, 1);
  EXPECT(mica_rsqrt(special), MICA_F32, six, INFINITY, NAN, 0, NAN, NAN, 1);
  EXPECT(mica_exp(special), MICA_F32, six, 1, (double)(float)exp(-1), INFINITY, 0, NAN,
         (double)(float)exp(1));
  EXPECT(mica_tanh(special), MICA_F32, six, 0, (double)(float)tanh(-1), 1, -1, NAN,
         (double)(float)tanh(1));
  EXPECT(mica_pow(special, 0), MICA_F32, six, 1, 1, 1, 1, 1, 1);
  oracle_end();
}

/* Results in narrow dtypes are those of f64, rounded once. */
TEST(each_result_is_rounded_once) {
  oracle_begin();
  enum { COUNT = 300 }; /* more than one block */
  mica_shape shape = MICA_DIMS(COUNT);
  double x[COUNT], y[COUNT], expected[COUNT];
  for (int i = 0; i < COUNT; i++) {
    x[i] = ldexp(1 + (i * 37 % 101) / 128.0, i % 7 - 3);
    y[i] = ldexp(1 + (i * 53 % 97) / 128.0, i % 5 - 2);
  }
  for (int k = 0; k < 3; k++) {
    mica_dtype dtype = (const mica_dtype[]){MICA_BF16, MICA_F16, MICA_F32}[k];
    mica_value vx = constant_of(dtype, shape, x), vy = constant_of(dtype, shape, y);
    double rx[COUNT], ry[COUNT];
    for (int i = 0; i < COUNT; i++) {
      uint8_t narrow[8];
      mica_convert_elements(dtype, narrow, MICA_F64, &x[i], 1);
      mica_convert_elements(MICA_F64, &rx[i], dtype, narrow, 1);
      mica_convert_elements(dtype, narrow, MICA_F64, &y[i], 1);
      mica_convert_elements(MICA_F64, &ry[i], dtype, narrow, 1);
    }
    for (int op = 0; op < 4; op++) {
      for (int i = 0; i < COUNT; i++) {
        double exact = op == 0   ? rx[i] / ry[i]
                       : op == 1 ? exp(rx[i])
                       : op == 2 ? rx[i] * ry[i]
                                 : erf(rx[i]);
        uint8_t narrow[8];
        mica_convert_elements(dtype, narrow, MICA_F64, &exact, 1);
        mica_convert_elements(MICA_F64, &expected[i], dtype, narrow, 1);
      }
      mica_value result = op == 0   ? mica_div(vx, vy)
                          : op == 1 ? mica_exp(vx)
                          : op == 2 ? mica_mul(vx, vy)
                                    : mica_erf(vx);
      expect_at(result, dtype, shape, expected, 0, __FILE__, __LINE__);
    }
  }
  oracle_end();
}

TEST(conversions_saturate_and_wrap) {
  oracle_begin();
  mica_shape five = MICA_DIMS(5);
  mica_value x = constant_of(MICA_F32, five, NUMBERS(NAN, 300, -300, 1.9, -1.9));
  EXPECT(mica_convert(x, MICA_I8), MICA_I8, five, 0, 127, -128, 1, -1);
  EXPECT(mica_convert(x, MICA_U8), MICA_U8, five, 0, 255, 0, 1, 0);
  EXPECT(mica_convert(x, MICA_I4), MICA_I4, five, 0, 7, -8, 1, -1);
  EXPECT(mica_convert(x, MICA_BOOL), MICA_BOOL, five, 1, 1, 1, 1, 1);
  mica_value n = constant_of(MICA_I32, five, NUMBERS(300, -1, 0, 65536, 127));
  EXPECT(mica_convert(n, MICA_U8), MICA_U8, five, 44, 255, 0, 0, 127);
  EXPECT(mica_convert(n, MICA_C64), MICA_C64, five, 300, -1, 0, 65536, 127);
  EXPECT(mica_convert(mica_convert(n, MICA_F8E5M2), MICA_F32), MICA_F32, five, 320, -1, 0, INFINITY,
         128);
  oracle_end();
}

/* ---- complex ---------------------------------------------------------------------------------- */

typedef struct {
  double re, im;
} number;

static void expect_complex(mica_value value, int64_t count, const number *expected,
                           double tolerance, int line) {
  mica_tensor *out = evaluated(value, __FILE__, line);
  const number *values = mica_tensor_data(out);
  for (int64_t i = 0; values != NULL && i < count; i++) {
    double error = hypot(values[i].re - expected[i].re, values[i].im - expected[i].im);
    double size = hypot(expected[i].re, expected[i].im);
    if (!(error <= tolerance * (size > 1e-300 ? size : 1)))
      check_fail(__FILE__, line, "element %lld is %.17g + %.17gi, expected %.17g + %.17gi",
                 (long long)i, values[i].re, values[i].im, expected[i].re, expected[i].im);
  }
  mica_tensor_release(out);
}

TEST(complex_functions_agree_with_each_other) {
  oracle_begin();
  enum { COUNT = 9 };
  const number z[COUNT] = {{1, 2},       {-0.5, 1},  {0.25, -3},    {-2, -0.125}, {3, 0.5},
                           {1e-9, 1e-9}, {0.6, 0.8}, {-1e-3, 2e-3}, {2, -1e-8}};
  mica_shape shape = MICA_DIMS(COUNT);
  mica_value x = raw_constant(MICA_C128, shape, z);
  mica_value one = mica_ones_like(x), two = mica_full_like(x, 2);
  const double tight = 1e-14; /* a few roundings */
  expect_complex(mica_exp(mica_log(x)), COUNT, z, tight, __LINE__);
  expect_complex(mica_mul(mica_sqrt(x), mica_sqrt(x)), COUNT, z, tight, __LINE__);
  expect_complex(mica_div(one, mica_mul(mica_rsqrt(x), mica_rsqrt(x))), COUNT, z, tight, __LINE__);
  expect_complex(mica_mul(mica_div(x, mica_add(x, two)), mica_add(x, two)), COUNT, z, tight,
                 __LINE__);
  expect_complex(mica_log1p(mica_expm1(x)), COUNT, z, 1e-13, __LINE__);
  expect_complex(mica_pow(x, one), COUNT, z, tight, __LINE__);
  expect_complex(mica_sub(mica_add(x, two), two), COUNT, z, 1e-6, __LINE__); /* 1e-9 + 2 - 2 */
  expect_complex(mica_neg(mica_neg(x)), COUNT, z, 0, __LINE__);
  /* logistic(z) = 1 / (1 + e^-z) and tanh(z) = 2 logistic(2 z) - 1. */
  mica_value logistic = mica_logistic(x);
  expect_complex(mica_log(mica_div(logistic, mica_sub(one, logistic))), COUNT, z, 1e-7, __LINE__);
  mica_value tanh_there = mica_sub(mica_mul(two, mica_logistic(mica_mul(x, two))), one);
  mica_tensor *t = evaluated(tanh_there, __FILE__, __LINE__);
  if (t != NULL) expect_complex(mica_tanh(x), COUNT, mica_tensor_data(t), 1e-6, __LINE__);
  mica_tensor_release(t);
  /* sin^2 + cos^2 = 1, and e^(iz) = cos z + i sin z. */
  number ones[COUNT], i_unit[COUNT];
  for (int i = 0; i < COUNT; i++) ones[i] = (number){1, 0}, i_unit[i] = (number){0, 1};
  mica_value s = mica_sin(x), c = mica_cos(x), unit = raw_constant(MICA_C128, shape, i_unit);
  expect_complex(mica_add(mica_mul(s, s), mica_mul(c, c)), COUNT, ones, 1e-12, __LINE__);
  t = evaluated(mica_exp(mica_mul(unit, x)), __FILE__, __LINE__);
  if (t != NULL)
    expect_complex(mica_add(c, mica_mul(unit, s)), COUNT, mica_tensor_data(t), 1e-12, __LINE__);
  mica_tensor_release(t);
  EXPECT(mica_equal(x, mica_mul(x, one)), MICA_BOOL, shape, 1, 1, 1, 1, 1, 1, 1, 1, 1);
  oracle_end();
}

TEST(complex_branches) {
  oracle_begin();
  const number z[4] = {{-4, 0}, {-4, -0.0}, {0, 2}, {0, 0}};
  mica_value x = raw_constant(MICA_C128, MICA_DIMS(4), z);
  expect_complex(mica_sqrt(x), 4, (number[]){{0, 2}, {0, -2}, {1, 1}, {0, 0}}, 1e-15, __LINE__);
  mica_value first = mica_slice(x, "0:3");
  const double pi = acos(-1.0);
  expect_complex(mica_log(first), 3, (number[]){{log(4), pi}, {log(4), -pi}, {log(2), pi / 2}},
                 1e-15, __LINE__);
  expect_complex(mica_pow(x, mica_zeros_like(x)), 4, (number[]){{1, 0}, {1, 0}, {1, 0}, {1, 0}}, 0,
                 __LINE__);
  const number far[2] = {{800, 1}, {-800, 1}};
  x = raw_constant(MICA_C128, MICA_DIMS(2), far);
  expect_complex(mica_tanh(x), 2, (number[]){{1, 0}, {-1, 0}}, 1e-15, __LINE__);
  expect_complex(mica_logistic(x), 2, (number[]){{1, 0}, {0, 0}}, 1e-15, __LINE__);
  /* c64: the same, rounded once. */
  float pairs[4] = {1, 2, 3, -1}, squares[4] = {-3, 4, 8, -6};
  mica_value narrow = raw_constant(MICA_C64, MICA_DIMS(2), pairs);
  EXPECT_RAW(mica_mul(narrow, narrow), MICA_C64, MICA_DIMS(2), squares);
  EXPECT_RAW(mica_reduce_prod(narrow, MICA_ALL), MICA_C64, MICA_SCALAR, ((float[]){5, 5}));
  EXPECT_RAW(mica_reduce_sum(narrow, MICA_ALL), MICA_C64, MICA_SCALAR, ((float[]){4, 1}));
  oracle_end();
}

TEST_MAIN(TEST_CASE(no_operator_is_missing), TEST_CASE(integers_never_trap),
          TEST_CASE(sixty_four_bits_are_exact), TEST_CASE(integer_powers_wrap),
          TEST_CASE(logic_by_bits_and_by_truth), TEST_CASE(nan_and_zeros),
          TEST_CASE(each_result_is_rounded_once), TEST_CASE(conversions_saturate_and_wrap),
          TEST_CASE(complex_functions_agree_with_each_other), TEST_CASE(complex_branches))
