/* SPDX-License-Identifier: Apache-2.0 */
/* dtype.h: one number of any dtype: exact scalar conversions, and an element as a value.
 *
 * Narrow floats round to nearest, ties to even, once: from f32 and f64 bits by integer arithmetic,
 * so that the thread's rounding mode and denormal flushing do not matter. Formats: f16 is IEEE
 * binary16, bf16 the upper half of f32, f8e5m2 the upper half of f16, f8e4m3fn has no infinity and
 * one NaN (Micikevicius et al., "FP8 formats for deep learning", 2022). */
#ifndef MICA_CORE_DTYPE_H
#define MICA_CORE_DTYPE_H
#include "mica/core.h"

#include <string.h>

static inline uint32_t mica_f32_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}
static inline float mica_f32_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
static inline uint64_t mica_f64_bits(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}
static inline double mica_f64_from_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

/* ---- narrow floats to f32: always exact ------------------------------------------------------ */

static inline float mica_f16_to_f32(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31,
           mantissa = half & 0x3FF;
  if (exponent == 31) {
    uint32_t quiet = mantissa != 0 ? 0x400000 : 0;
    return mica_f32_from_bits(sign | 0x7F800000 | quiet | mantissa << 13);
  }
  if (exponent != 0) return mica_f32_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  if (mantissa == 0) return mica_f32_from_bits(sign);
  /* A denormal, mantissa * 2^-24, is normal in f32: its highest bit becomes the implicit one. */
  uint32_t shift = (uint32_t)__builtin_clz(mantissa) - 21;
  return mica_f32_from_bits(sign | (113 - shift) << 23 | ((mantissa << shift) & 0x3FF) << 13);
}

static inline float mica_bf16_to_f32(uint16_t half) {
  return mica_f32_from_bits((uint32_t)half << 16);
}

static inline float mica_f8e5m2_to_f32(uint8_t value) {
  return mica_f16_to_f32((uint16_t)(value << 8));
}

static inline float mica_f8e4m3fn_to_f32(uint8_t value) {
  uint32_t sign = (uint32_t)(value & 0x80) << 24, exponent = (value >> 3) & 15,
           mantissa = value & 7;
  if ((value & 0x7F) == 0x7F) return mica_f32_from_bits(sign | 0x7FC00000);
  if (exponent != 0) return mica_f32_from_bits(sign | (exponent + 120) << 23 | mantissa << 20);
  if (mantissa == 0) return mica_f32_from_bits(sign);
  uint32_t shift = (uint32_t)__builtin_clz(mantissa) - 28; /* mantissa * 2^-9 */
  return mica_f32_from_bits(sign | (121 - shift) << 23 | ((mantissa << shift) & 7) << 20);
}

/* ---- f64 to narrow floats -------------------------------------------------------------------- */

/* The magnitude of a finite f64 in a format of `exponent_bits` and `mantissa_bits`, rounded to
 * nearest even; beyond the format's largest value the result counts on past its last exponent. */
static inline uint64_t mica_round_magnitude(uint64_t bits, int exponent_bits, int mantissa_bits) {
  int exponent = (int)(bits >> 52 & 0x7FF) - 1023 + (1 << (exponent_bits - 1)) - 1;
  if ((bits >> 52 & 0x7FF) == 0) return 0; /* below 2^-1022 */
  uint64_t mantissa = (bits & 0xFFFFFFFFFFFFF) | UINT64_C(1) << 52;
  int shift = 52 - mantissa_bits + (exponent < 1 ? 1 - exponent : 0);
  if (shift > 53) return 0; /* below half of the smallest denormal */
  uint64_t kept = mantissa >> shift, rest = mantissa & ((UINT64_C(1) << shift) - 1);
  uint64_t half = UINT64_C(1) << (shift - 1);
  if (rest > half || (rest == half && (kept & 1) != 0)) kept++;
  /* The implicit bit of `kept`, or the carry into it, counts the exponent up by itself. */
  return exponent < 1 ? kept : ((uint64_t)(exponent - 1) << mantissa_bits) + kept;
}

static inline uint16_t mica_f64_to_f16(double value) {
  uint64_t bits = mica_f64_bits(value);
  uint32_t sign = (uint32_t)(bits >> 48) & 0x8000;
  if (value != value) return (uint16_t)(sign | 0x7E00 | (uint32_t)(bits >> 42 & 0x3FF));
  uint64_t magnitude = mica_round_magnitude(bits, 5, 10);
  return (uint16_t)(sign | (uint32_t)(magnitude > 0x7C00 ? 0x7C00 : magnitude));
}

static inline uint16_t mica_f64_to_bf16(double value) {
  uint64_t bits = mica_f64_bits(value);
  uint32_t sign = (uint32_t)(bits >> 48) & 0x8000;
  if (value != value) return (uint16_t)(sign | 0x7FC0 | (uint32_t)(bits >> 45 & 0x7F));
  uint64_t magnitude = mica_round_magnitude(bits, 8, 7);
  return (uint16_t)(sign | (uint32_t)(magnitude > 0x7F80 ? 0x7F80 : magnitude));
}

static inline uint8_t mica_f64_to_f8e5m2(double value) {
  uint64_t bits = mica_f64_bits(value);
  uint32_t sign = (uint32_t)(bits >> 56) & 0x80;
  if (value != value) return (uint8_t)(sign | 0x7E);
  uint64_t magnitude = mica_round_magnitude(bits, 5, 2);
  return (uint8_t)(sign | (uint32_t)(magnitude > 0x7C ? 0x7C : magnitude));
}

static inline uint8_t mica_f64_to_f8e4m3fn(double value) {
  uint64_t bits = mica_f64_bits(value);
  uint32_t sign = (uint32_t)(bits >> 56) & 0x80;
  uint64_t magnitude = value != value ? 0x7F : mica_round_magnitude(bits, 4, 3);
  return (uint8_t)(sign | (uint32_t)(magnitude > 0x7E ? 0x7F : magnitude));
}

/* ---- f32 to narrow floats -------------------------------------------------------------------- */

static inline uint16_t mica_f32_to_f16(float value) {
  uint32_t bits = mica_f32_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
  if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7C00); /* 2^16 */
  if (magnitude >= 0x38800000)                                   /* 2^-14, the smallest normal */
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13);
  uint32_t shift = 126 - (magnitude >> 23);
  if (shift > 24) return (uint16_t)sign;
  uint32_t mantissa = (magnitude & 0x7FFFFF) | 0x800000, kept = mantissa >> shift;
  uint32_t rest = mantissa & ((1u << shift) - 1), half = 1u << (shift - 1);
  if (rest > half || (rest == half && (kept & 1) != 0)) kept++;
  return (uint16_t)(sign | kept);
}

static inline uint16_t mica_f32_to_bf16(float value) {
  uint32_t bits = mica_f32_bits(value);
  if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* f64 holds every f32, so these round once. */
static inline uint8_t mica_f32_to_f8e5m2(float value) { return mica_f64_to_f8e5m2((double)value); }
static inline uint8_t mica_f32_to_f8e4m3fn(float value) {
  return mica_f64_to_f8e4m3fn((double)value);
}

/* ---- integers -------------------------------------------------------------------------------- */

/* Truncates, saturates to low .. high; NaN gives 0. */
static inline int64_t mica_f64_to_integer(double value, int64_t low, int64_t high) {
  if (value != value) return 0;
  if (value <= (double)low) return low;
  if (value >= (double)high) return high;
  return (int64_t)value;
}
static inline uint64_t mica_f64_to_u64(double value) {
  if (!(value > 0)) return 0;
  return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

/* A double with which rounding to fewer than 52 bits gives what rounding the integer would: bits
 * that do not fit are or-ed into the last one (round to odd, Boldo and Melquiond, 2008). */
static inline double mica_u64_to_f64_odd(uint64_t value) {
  if (value >> 53 == 0) return (double)value;
  int dropped = 11 - __builtin_clzll(value);
  uint64_t kept = value >> dropped;
  if ((value & ((UINT64_C(1) << dropped) - 1)) != 0) kept |= 1;
  return (double)kept * (double)(1 << dropped);
}
static inline double mica_i64_to_f64_odd(int64_t value) {
  return value < 0 ? -mica_u64_to_f64_odd(-(uint64_t)value) : mica_u64_to_f64_odd((uint64_t)value);
}

/* ---- an element of any dtype ----------------------------------------------------------------- */

typedef enum {
  MICA_ELEMENT_SIGNED,   /* i64: bool (0 or 1) and all integers but u64 */
  MICA_ELEMENT_UNSIGNED, /* u64 */
  MICA_ELEMENT_FLOAT,    /* f64 */
  MICA_ELEMENT_COMPLEX   /* f64 is the real part, imaginary beside it */
} mica_element_class;

/* Holds every value of every dtype exactly. */
typedef struct {
  mica_element_class kind;
  union {
    int64_t i64;
    uint64_t u64;
    double f64;
  };
  double imaginary;
} mica_element;

mica_element_class mica_dtype_element_class(mica_dtype dtype);
/* The element at `index` of an array of `dtype`; 0 for an unknown dtype. */
mica_element mica_element_load(mica_dtype dtype, const void *data, int64_t index);
/* Converts as mica_convert_elements. Two threads must not store to both halves of one byte of i4 or
 * u4. */
void mica_element_store(mica_dtype dtype, void *data, int64_t index, mica_element element);

#endif
