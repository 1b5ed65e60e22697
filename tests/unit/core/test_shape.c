/* SPDX-License-Identifier: Apache-2.0 */
/* Dtypes and shapes: names, counts, sizes, overflow. */
#include "check.h"
#include "core/tensor.h"

#include <string.h>

TEST(dtypes) {
  CHECK_EQ_STR(mica_dtype_name(MICA_F8E4M3FN), "f8e4m3fn");
  CHECK_EQ_STR(mica_dtype_name(MICA_DTYPE_NONE), "none");
  CHECK_EQ_STR(mica_dtype_name((mica_dtype)99), "none");
  CHECK_EQ_INT(mica_dtype_from_name(NULL), MICA_DTYPE_NONE);
  CHECK_EQ_INT(mica_dtype_from_name("none"), MICA_DTYPE_NONE);
  CHECK_EQ_INT(mica_dtype_from_name("F32"), MICA_DTYPE_NONE);
  CHECK_EQ_INT(mica_dtype_bits((mica_dtype)99), 0);
  for (int d = 1; d < MICA_DTYPE_COUNT; d++) {
    mica_dtype dtype = (mica_dtype)d;
    const char *name = mica_dtype_name(dtype);
    CHECK_EQ_INT(mica_dtype_from_name(name), d);
    /* Names say what the classes must: i, u, f or bf or f8, c, and the bits. */
    bool integer = (name[0] == 'i' || name[0] == 'u'), complex = name[0] == 'c';
    bool real = name[0] == 'f' || strncmp(name, "bf", 2) == 0;
    CHECK_EQ_INT(mica_dtype_is_integer(dtype), integer);
    CHECK_EQ_INT(mica_dtype_is_signed(dtype), name[0] == 'i');
    CHECK_EQ_INT(mica_dtype_is_complex(dtype), complex);
    CHECK_EQ_INT(mica_dtype_is_float(dtype), real);
    CHECK_EQ_INT(integer + complex + real + (dtype == MICA_BOOL), 1);
    int64_t bits = 0;
    for (const char *at = name; *at != '\0' && *at != 'e'; at++)
      if (*at >= '0' && *at <= '9') bits = bits * 10 + (*at - '0');
    CHECK_EQ_INT(mica_dtype_bits(dtype), dtype == MICA_BOOL ? 8 : bits);
  }
}

TEST(counts) {
  CHECK_EQ_INT(mica_shape_count(MICA_SCALAR), 1);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(2, 3, 4)), 24);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(2, 0, 4)), 0);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(1, 2, 1, 2, 1, 2, 1, 2)), 16);
  CHECK_EQ_INT(mica_shape_count((mica_shape){.rank = 9}), -1);
  CHECK_EQ_INT(mica_shape_count((mica_shape){.rank = -1}), -1);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(2, -1)), -1);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(0, -1)), -1);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(INT64_MAX)), INT64_MAX);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(INT64_MAX, 2)), -1);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS(INT64_MAX, 0, 2)), -1);
  CHECK_EQ_INT(mica_shape_count(MICA_DIMS((int64_t)1 << 32, (int64_t)1 << 31)), -1);
}

TEST(equality) {
  mica_shape a = MICA_DIMS(2, 3), b = MICA_DIMS(2, 3);
  b.dim[5] = 77; /* past the rank: does not count */
  CHECK(mica_shape_equal(a, b));
  CHECK(!mica_shape_equal(a, MICA_DIMS(3, 2)));
  CHECK(!mica_shape_equal(a, MICA_DIMS(2, 3, 1)));
  CHECK(!mica_shape_equal((mica_shape){.rank = 9}, (mica_shape){.rank = 9}));
  CHECK(mica_type_equal((mica_type){MICA_F32, a}, (mica_type){MICA_F32, b}));
  CHECK(!mica_type_equal((mica_type){MICA_F32, a}, (mica_type){MICA_I32, b}));
}

TEST(byte_sizes) {
  size_t size = 1;
  CHECK(mica_type_byte_size((mica_type){MICA_C128, MICA_DIMS(3)}, &size) && size == 48);
  CHECK(mica_type_byte_size((mica_type){MICA_I4, MICA_DIMS(3, 3)}, &size) && size == 5);
  CHECK(mica_type_byte_size((mica_type){MICA_U4, MICA_SCALAR}, &size) && size == 1);
  CHECK(mica_type_byte_size((mica_type){MICA_F32, MICA_DIMS(0)}, &size) && size == 0);
  size = 9;
  CHECK(!mica_type_byte_size((mica_type){MICA_F64, MICA_DIMS(INT64_MAX / 4)}, &size));
  CHECK(!mica_type_byte_size((mica_type){MICA_DTYPE_NONE, MICA_SCALAR}, &size));
  CHECK_EQ_INT(size, 9);
}

static void check_type_text(mica_type type, const char *expected) {
  char text[300], small[6];
  CHECK_EQ_INT(mica_type_format(type, text, sizeof(text)), strlen(expected));
  CHECK_EQ_STR(text, expected);
  CHECK_EQ_INT(mica_type_format(type, small, sizeof(small)), strlen(expected));
  CHECK_EQ_INT(strncmp(small, expected, 5), 0);
}

TEST(texts) {
  check_type_text((mica_type){MICA_F32, MICA_DIMS(2, 3)}, "f32[2, 3]");
  check_type_text((mica_type){MICA_BOOL, MICA_SCALAR}, "bool[]");
  check_type_text((mica_type){MICA_DTYPE_NONE, {.rank = 12}}, "none[rank 12]");
  const int64_t m = INT64_MIN;
  check_type_text(
      (mica_type){MICA_F8E4M3FN, MICA_DIMS(m, m, m, m, m, m, m, m)},
      "f8e4m3fn[-9223372036854775808, -9223372036854775808, -9223372036854775808, "
      "-9223372036854775808, "
      "-9223372036854775808, -9223372036854775808, -9223372036854775808, -9223372036854775808]");
}

static void check_refusal(mica_type type, const char *part) {
  mica_error error = {0};
  CHECK_STATUS(mica_type_check(type, NULL, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, part);
}

TEST(checks) {
  size_t size = 0;
  CHECK_OK(mica_type_check((mica_type){MICA_I16, MICA_DIMS(4)}, &size, NULL));
  CHECK_EQ_INT(size, 8);
  check_refusal((mica_type){(mica_dtype)42, MICA_SCALAR}, "dtype 42");
  check_refusal((mica_type){MICA_F32, {.rank = 9}}, "rank 9");
  check_refusal((mica_type){MICA_F32, MICA_DIMS(2, -3)},
                "f32[2, -3] has a negative size at axis 1");
  check_refusal((mica_type){MICA_F32, MICA_DIMS(INT64_MAX, 4)}, "address space");
}

TEST_MAIN(TEST_CASE(dtypes), TEST_CASE(counts), TEST_CASE(equality), TEST_CASE(byte_sizes),
          TEST_CASE(texts), TEST_CASE(checks))
