/* SPDX-License-Identifier: Apache-2.0 */
/* All 361 pairs of dtypes: single elements and arrays, against long double. */
#include "check.h"
#include "core/dtype.h"
#include "core/memory.h"
#include "number_oracle.h"
#include "platform/platform.h"

#include <fenv.h>

enum { ELEMENT_LIMIT = 700 };

/* A number as the oracle sees it. */
typedef struct {
  mica_element_class kind;
  long double real, imaginary;
} oracle_number;

static const struct {
  mica_dtype dtype;
  int bits;
  bool is_signed;
} integers[] = {{MICA_I4, 4, true},   {MICA_U4, 4, false},   {MICA_I8, 8, true},
                {MICA_U8, 8, false},  {MICA_I16, 16, true},  {MICA_U16, 16, false},
                {MICA_I32, 32, true}, {MICA_U32, 32, false}, {MICA_I64, 64, true},
                {MICA_U64, 64, false}};

static narrow_format formats[4];

static const narrow_format *format_of(mica_dtype dtype) {
  for (int i = 0; i < 4; i++)
    if (formats[i].dtype == dtype) return &formats[i];
  return NULL;
}

/* ---- raw elements ---------------------------------------------------------------------------- */

static uint64_t raw_get(mica_dtype dtype, const uint8_t *data, int64_t index) {
  int bits = mica_dtype_bits(dtype);
  uint64_t value = 0;
  if (bits == 4) return data[index / 2] >> (index % 2 == 0 ? 0 : 4) & 15;
  memcpy(&value, data + index * (bits / 8), bits == 128 ? 8 : (size_t)bits / 8);
  return value;
}

static oracle_number decode_float(mica_dtype dtype, uint64_t raw) {
  oracle_number number = {.kind = MICA_ELEMENT_FLOAT};
  const narrow_format *format = format_of(dtype);
  if (format != NULL) {
    uint32_t code = (uint32_t)raw, magnitude = code & ~narrow_sign(format, true);
    long double value = narrow_is_nan(format, code) ? NAN
                        : magnitude < format->count ? (long double)format->value[magnitude]
                                                    : INFINITY;
    number.real = code == magnitude ? value : -value;
  } else if (dtype == MICA_F32) {
    number.real = (long double)mica_f32_from_bits((uint32_t)raw);
  } else {
    number.real = (long double)mica_f64_from_bits(raw);
  }
  return number;
}

static oracle_number decode(mica_dtype dtype, const uint8_t *data, int64_t index) {
  if (mica_dtype_is_complex(dtype)) {
    mica_dtype part = dtype == MICA_C64 ? MICA_F32 : MICA_F64;
    oracle_number number = decode_float(part, raw_get(part, data, 2 * index));
    number.imaginary = decode_float(part, raw_get(part, data, 2 * index + 1)).real;
    number.kind = MICA_ELEMENT_COMPLEX;
    return number;
  }
  uint64_t raw = raw_get(dtype, data, index);
  if (mica_dtype_is_float(dtype)) return decode_float(dtype, raw);
  oracle_number number = {.kind = dtype == MICA_U64 ? MICA_ELEMENT_UNSIGNED : MICA_ELEMENT_SIGNED,
                          .real = (long double)raw};
  if (dtype == MICA_BOOL) number.real = raw != 0;
  for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
    if (integers[i].dtype == dtype && integers[i].is_signed && raw >> (integers[i].bits - 1) != 0)
      number.real -= ldexpl(1, integers[i].bits);
  return number;
}

/* ---- expected elements ----------------------------------------------------------------------- */

static bool expect_integer(int bits, bool is_signed, oracle_number in, uint64_t actual) {
  long double modulus = ldexpl(1, bits), value = in.real;
  long double high = is_signed ? modulus / 2 - 1 : modulus - 1, low = is_signed ? -modulus / 2 : 0;
  if (in.kind >= MICA_ELEMENT_FLOAT) {
    value = isnan(value) ? 0 : truncl(value);
    if (value > high) value = high;
    if (value < low) value = low;
  }
  /* As a residue modulo 2^bits, which is what the bits say. */
  value = fmodl(value, modulus);
  if (value < 0) value += modulus;
  return (long double)actual == value;
}

static bool expect_float(mica_dtype dtype, long double value, uint64_t actual) {
  const narrow_format *format = format_of(dtype);
  if (format != NULL)
    return isnan(value) ? narrow_is_nan(format, (uint32_t)actual)
                        : actual == narrow_expected(format, value);
  if (dtype == MICA_F32) {
    float expected = (float)value;
    return isnan(value) ? isnan(mica_f32_from_bits((uint32_t)actual))
                        : actual == mica_f32_bits(expected);
  }
  double expected = (double)value;
  return isnan(value) ? isnan(mica_f64_from_bits(actual)) : actual == mica_f64_bits(expected);
}

static bool expect(mica_dtype dtype, oracle_number in, const uint8_t *data, int64_t index) {
  if (mica_dtype_is_complex(dtype)) {
    mica_dtype part = dtype == MICA_C64 ? MICA_F32 : MICA_F64;
    long double imaginary = in.kind == MICA_ELEMENT_COMPLEX ? in.imaginary : 0;
    return expect_float(part, in.real, raw_get(part, data, 2 * index)) &&
           expect_float(part, imaginary, raw_get(part, data, 2 * index + 1));
  }
  uint64_t actual = raw_get(dtype, data, index);
  if (dtype == MICA_BOOL)
    return actual == (in.real != 0 || (in.kind == MICA_ELEMENT_COMPLEX && in.imaginary != 0));
  for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
    if (integers[i].dtype == dtype)
      return expect_integer(integers[i].bits, integers[i].is_signed, in, actual);
  return expect_float(dtype, in.real, actual);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Doubles at which some conversion changes its mind. */
static double interesting_double(int64_t i, uint64_t *state) {
  static const double fixed[] = {0.0,
                                 -0.0,
                                 0.5,
                                 -0.5,
                                 0.999,
                                 1,
                                 -1,
                                 1.5,
                                 2.5,
                                 7,
                                 7.5,
                                 8,
                                 -8,
                                 -8.5,
                                 -9,
                                 15,
                                 16,
                                 127,
                                 128,
                                 -128,
                                 -129,
                                 255,
                                 256,
                                 32767,
                                 32768,
                                 -32769,
                                 65504,
                                 65519.9,
                                 65520,
                                 65535,
                                 65536,
                                 448,
                                 464,
                                 464.0001,
                                 57344,
                                 61440,
                                 2147483647,
                                 2147483648,
                                 -2147483649.0,
                                 4294967295,
                                 4294967296,
                                 0x1p63,
                                 -0x1p63,
                                 0x1.fffffffffffffp62,
                                 0x1p64,
                                 0x1.fffffffffffffp63,
                                 1e300,
                                 -1e300,
                                 0x1p-24,
                                 0x1p-25,
                                 0x1.8p-25,
                                 0x1p-149,
                                 0x1p-150,
                                 0x1.8p-150,
                                 0x1p-1074,
                                 0x1p-9,
                                 0x1p-10,
                                 0x1p-16,
                                 0x1p-17,
                                 3.4028234663852886e38,
                                 3.4028235677973366e38,
                                 3.3953138e38,
                                 1e308};
  int64_t count = (int64_t)(sizeof(fixed) / sizeof(fixed[0]));
  if (i < count) return fixed[i];
  if (i == count) return INFINITY;
  if (i == count + 1) return -INFINITY;
  if (i == count + 2) return NAN;
  uint64_t bits = oracle_random(state);
  if (i % 3 == 0) return mica_f64_from_bits(bits); /* of any size */
  /* Of moderate size, and near ties of short formats. */
  double value = ldexp(1 + (double)(bits >> 12) * 0x1p-52, (int)(bits % 70) - 20);
  if (i % 3 == 1) value = ldexp(nearbyint(ldexp(value, 20)), -20);
  return (bits & 1024) != 0 ? -value : value;
}

/* Integers whose rounding to 8, 11, 24 or 53 bits is a tie or just not. */
static uint64_t interesting_integer(int64_t i, uint64_t *state) {
  uint64_t bits = oracle_random(state);
  switch (i % 4) {
    case 0: return bits >> (bits % 64);
    case 1: return -(bits >> (bits % 64));
    case 2: {
      int top = 30 + (int)(bits % 34);
      uint64_t value = UINT64_C(1) << top | UINT64_C(1) << (top - (int)(bits >> 8 & 31) % top);
      return value + (bits >> 16 & 3) - 1;
    }
    default: return bits % 5 == 0 ? UINT64_MAX - (bits & 7) : bits;
  }
}

/* All encodings where they are few, else a mixture. Returns how many elements. */
static int64_t fill_inputs(mica_dtype dtype, uint8_t *data) {
  uint64_t state = (uint64_t)dtype;
  int bits = mica_dtype_bits(dtype);
  for (int64_t i = 0; i < ELEMENT_LIMIT; i++) {
    if (dtype == MICA_BOOL) {
      data[i] = (uint8_t)(i % 3);
    } else if (bits == 4) {
      if (i % 2 == 0) data[i / 2] = (uint8_t)(i / 2);
    } else if (bits == 8) {
      data[i] = (uint8_t)i;
    } else if (dtype == MICA_F32 || dtype == MICA_C64) {
      for (int part = 0; part < (dtype == MICA_C64 ? 2 : 1); part++)
        ((float *)(void *)data)[dtype == MICA_C64 ? 2 * i + part : i] =
            (float)interesting_double((i + 31 * part) % ELEMENT_LIMIT, &state);
    } else if (dtype == MICA_F64 || dtype == MICA_C128) {
      for (int part = 0; part < (dtype == MICA_C128 ? 2 : 1); part++)
        ((double *)(void *)data)[dtype == MICA_C128 ? 2 * i + part : i] =
            interesting_double((i + 31 * part) % ELEMENT_LIMIT, &state);
    } else {
      uint64_t value = interesting_integer(i, &state);
      memcpy(data + i * (bits / 8), &value, (size_t)bits / 8);
    }
  }
  return ELEMENT_LIMIT - 1; /* odd, for 4-bit elements; two whole blocks and a rest */
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void check_pair(mica_dtype out_dtype, mica_dtype in_dtype) {
  static _Alignas(16) uint8_t in[16 * ELEMENT_LIMIT], out[16 * ELEMENT_LIMIT],
      single[16 * ELEMENT_LIMIT];
  int64_t count = fill_inputs(in_dtype, in);
  memset(out, 0xA5, sizeof(out));
  memset(single, 0, sizeof(single));
  if (!CHECK_OK(mica_convert_elements(out_dtype, out, in_dtype, in, count))) return;
  size_t bytes = ((size_t)count * (size_t)mica_dtype_bits(out_dtype) + 7) / 8;
  if (out[bytes] != 0xA5)
    CHECK_FAIL("%s to %s wrote too much", mica_dtype_name(in_dtype), mica_dtype_name(out_dtype));
  int failures = 0;
  for (int64_t i = 0; i < count && failures < 3; i++) {
    oracle_number number = decode(in_dtype, in, i);
    mica_element_store(out_dtype, single, i, mica_element_load(in_dtype, in, i));
    if (!expect(out_dtype, number, out, i) || !expect(out_dtype, number, single, i)) {
      CHECK_FAIL("%s to %s of %.21Lg + %.21Lg i: array 0x%llx, element 0x%llx",
                 mica_dtype_name(in_dtype), mica_dtype_name(out_dtype), number.real,
                 number.imaginary, (unsigned long long)raw_get(out_dtype, out, i),
                 (unsigned long long)raw_get(out_dtype, single, i));
      failures++;
    }
  }
  /* Both ways agree to the bit, but for a NaN's payload; what is unused of the last byte is 0. */
  for (int64_t i = 0; i < count && failures < 3; i++) {
    oracle_number number = decode(in_dtype, in, i);
    bool part_of_complex = mica_dtype_is_complex(out_dtype);
    if (isnan(number.real) || isnan(number.imaginary) || part_of_complex) continue;
    failures += !CHECK_EQ_BITS(raw_get(out_dtype, out, i), raw_get(out_dtype, single, i));
  }
  if (mica_dtype_bits(out_dtype) == 4) CHECK_EQ_INT(out[bytes - 1] >> 4, 0);
}

TEST(all_pairs) {
  static const mica_dtype narrow[] = {MICA_F16, MICA_BF16, MICA_F8E5M2, MICA_F8E4M3FN};
  for (int i = 0; i < 4; i++) formats[i] = narrow_format_make(narrow[i]);
  for (int out = 1; out < MICA_DTYPE_COUNT; out++)
    for (int in = 1; in < MICA_DTYPE_COUNT; in++) check_pair((mica_dtype)out, (mica_dtype)in);
  for (int i = 0; i < 4; i++) free(formats[i].value);
}

TEST(refuses_what_it_cannot_do) {
  float in = 1, out = 0;
  CHECK_STATUS(mica_convert_elements(MICA_DTYPE_NONE, &out, MICA_F32, &in, 1), MICA_INVALID);
  CHECK_STATUS(mica_convert_elements(MICA_F32, &out, (mica_dtype)99, &in, 1), MICA_INVALID);
  CHECK_STATUS(mica_convert_elements(MICA_F32, &out, MICA_F32, &in, -1), MICA_INVALID);
  CHECK_STATUS(mica_convert_elements(MICA_F32, NULL, MICA_F32, &in, 1), MICA_INVALID);
  CHECK_STATUS(mica_convert_elements(MICA_F32, &out, MICA_F32, NULL, 1), MICA_INVALID);
  CHECK_OK(mica_convert_elements(MICA_F32, NULL, MICA_F64, NULL, 0));
}

/* The host's rounding mode is neither used nor changed. */
TEST(ignores_the_rounding_mode) {
#if defined(FE_UPWARD) && (defined(__x86_64__) || defined(__aarch64__))
  const double in[2] = {1 + 0x1p-40, -1 - 0x1p-40};
  float out[2] = {0, 0};
  int before = fegetround();
  fesetround(FE_UPWARD);
  mica_status status = mica_convert_elements(MICA_F32, out, MICA_F64, in, 2);
  int after = fegetround();
  fesetround(before);
  CHECK_OK(status);
  CHECK_EQ_INT(after, FE_UPWARD);
  CHECK_NEAR(out[0], 1, 0);
  CHECK_NEAR(out[1], -1, 0);
#else
  CHECK_SKIP("no rounding modes here");
#endif
}

TEST_MAIN(TEST_CASE(all_pairs), TEST_CASE(refuses_what_it_cannot_do),
          TEST_CASE(ignores_the_rounding_mode))
