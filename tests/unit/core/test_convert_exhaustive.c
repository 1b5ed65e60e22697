/* SPDX-License-Identifier: Apache-2.0 */
/* Every f32 against every narrow float format: in order of magnitude, so that the oracle's nearest
 * value only moves on. The normal run takes each 61st f32 and every one near a value or a midpoint
 * between two; with MICA_TEST_ALL=1 it takes all of them. And every narrow value back. */
#include "check.h"
#include "core/dtype.h"
#include "number_oracle.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SAMPLE_STEP 997
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SAMPLE_STEP 997
#endif
#endif
#ifndef SAMPLE_STEP
#define SAMPLE_STEP 61
#endif

static uint32_t convert_f32(mica_dtype dtype, float value) {
  switch (dtype) {
    case MICA_F16: return mica_f32_to_f16(value);
    case MICA_BF16: return mica_f32_to_bf16(value);
    case MICA_F8E5M2: return mica_f32_to_f8e5m2(value);
    default: return mica_f32_to_f8e4m3fn(value);
  }
}

static uint32_t convert_f64(mica_dtype dtype, double value) {
  switch (dtype) {
    case MICA_F16: return mica_f64_to_f16(value);
    case MICA_BF16: return mica_f64_to_bf16(value);
    case MICA_F8E5M2: return mica_f64_to_f8e5m2(value);
    default: return mica_f64_to_f8e4m3fn(value);
  }
}

static float convert_back(mica_dtype dtype, uint32_t code) {
  switch (dtype) {
    case MICA_F16: return mica_f16_to_f32((uint16_t)code);
    case MICA_BF16: return mica_bf16_to_f32((uint16_t)code);
    case MICA_F8E5M2: return mica_f8e5m2_to_f32((uint8_t)code);
    default: return mica_f8e4m3fn_to_f32((uint8_t)code);
  }
}

static bool check_code(const narrow_format *format, double value, uint32_t actual,
                       uint32_t expected) {
  return actual == expected || CHECK_FAIL("%a to %s is 0x%x, expected 0x%x", value,
                                          mica_dtype_name(format->dtype), actual, expected);
}

static void sweep(mica_dtype dtype) {
  narrow_format format = narrow_format_make(dtype);
  if (!CHECK(format.value != NULL)) return;
  const uint32_t step = check_all_values() ? 1 : SAMPLE_STEP, infinity = 0x7F800000;
  uint32_t nearest = 0, failures = 0;
  for (uint32_t bits = 0; bits < infinity && failures < 10; bits += step) {
    double magnitude = (double)mica_f32_from_bits(bits);
    while (nearest + 1 < format.count && format.value[nearest + 1] <= magnitude) nearest++;
    uint32_t code = narrow_choose(&format, magnitude, nearest);
    failures += !check_code(&format, magnitude, convert_f32(dtype, mica_f32_from_bits(bits)), code);
    failures +=
        !check_code(&format, -magnitude, convert_f32(dtype, mica_f32_from_bits(bits | 0x80000000)),
                    code | narrow_sign(&format, true));
  }
  for (uint32_t bits = infinity + 1; bits < 0x80000000 && failures < 10; bits += step)
    for (uint32_t sign = 0; sign < 2; sign++) {
      uint32_t code = convert_f32(dtype, mica_f32_from_bits(bits | sign << 31));
      bool kept = narrow_is_nan(&format, code) && code >> (format.bits - 1) == sign;
      if (!kept)
        failures += !CHECK_FAIL("NaN 0x%x became 0x%x in %s", bits, code, mica_dtype_name(dtype));
    }
  check_code(&format, INFINITY, convert_f32(dtype, INFINITY), format.overflow);
  check_code(&format, -INFINITY, convert_f32(dtype, -INFINITY),
             format.overflow | narrow_sign(&format, true));
  free(format.value);
}

TEST(f32_to_f16) { sweep(MICA_F16); }
TEST(f32_to_bf16) { sweep(MICA_BF16); }
TEST(f32_to_f8e5m2) { sweep(MICA_F8E5M2); }
TEST(f32_to_f8e4m3fn) { sweep(MICA_F8E4M3FN); }

static const mica_dtype narrow_dtypes[] = {MICA_F16, MICA_BF16, MICA_F8E5M2, MICA_F8E4M3FN};

/* The f32 and f64 next to every value and every midpoint, where rounding changes and where rounding
 * twice would go wrong. */
TEST(neighborhoods) {
  for (size_t d = 0; d < 4; d++) {
    narrow_format format = narrow_format_make(narrow_dtypes[d]);
    if (!CHECK(format.value != NULL)) return;
    for (uint32_t code = 0; code < format.count; code++) {
      double low = format.value[code];
      double high = code + 1 < format.count ? format.value[code + 1] : narrow_beyond(&format);
      const double places[] = {low, low + (high - low) / 2};
      for (int p = 0; p < 2; p++) {
        double near64[] = {places[p], nextafter(places[p], 0), nextafter(places[p], INFINITY)};
        for (int i = 0; i < 3; i++)
          check_code(&format, near64[i], convert_f64(format.dtype, near64[i]),
                     narrow_expected(&format, near64[i]));
        uint32_t bits = mica_f32_bits((float)places[p]);
        for (uint32_t near = bits < 2 ? 0 : bits - 2; near <= bits + 2 && near < 0x7F800000;
             near++) {
          float value = mica_f32_from_bits(near);
          uint32_t expected = narrow_expected(&format, (long double)value);
          check_code(&format, (double)value, convert_f32(format.dtype, value), expected);
          check_code(&format, (double)value, convert_f64(format.dtype, (double)value), expected);
        }
      }
    }
    free(format.value);
  }
}

TEST(every_narrow_value_comes_back) {
  for (size_t d = 0; d < 4; d++) {
    narrow_format format = narrow_format_make(narrow_dtypes[d]);
    if (!CHECK(format.value != NULL)) return;
    for (uint32_t code = 0; code < 1u << format.bits; code++) {
      uint32_t magnitude = code & ~narrow_sign(&format, true);
      float value = convert_back(format.dtype, code);
      if (narrow_is_nan(&format, code)) {
        if (!isnan(value) || !narrow_is_nan(&format, convert_f32(format.dtype, value)))
          CHECK_FAIL("0x%x of %s is no NaN", code, mica_dtype_name(format.dtype));
        continue;
      }
      double expected = magnitude < format.count ? format.value[magnitude] : INFINITY;
      bool negative = code != magnitude;
      if ((double)fabsf(value) != expected || (signbit(value) != 0) != negative)
        CHECK_FAIL("0x%x of %s is %a, expected %a", code, mica_dtype_name(format.dtype),
                   (double)value, expected);
      check_code(&format, (double)value, convert_f32(format.dtype, value), code);
      check_code(&format, (double)value, convert_f64(format.dtype, (double)value), code);
    }
    free(format.value);
  }
}

TEST_MAIN(TEST_CASE(f32_to_f16), TEST_CASE(f32_to_bf16), TEST_CASE(f32_to_f8e5m2),
          TEST_CASE(f32_to_f8e4m3fn), TEST_CASE(neighborhoods),
          TEST_CASE(every_narrow_value_comes_back))
