/* SPDX-License-Identifier: Apache-2.0 */
/* wide.c: elements in the wide type of their class, and the few operations that several families share. */
#include "backend/reference/reference_internal.h"

#include <math.h>
#include <string.h>

mica_dtype mica_reference_wide(mica_dtype dtype) {
  switch (mica_dtype_element_class(dtype)) {
    case MICA_ELEMENT_SIGNED: return MICA_I64;
    case MICA_ELEMENT_UNSIGNED: return MICA_U64;
    case MICA_ELEMENT_FLOAT: return MICA_F64;
    case MICA_ELEMENT_COMPLEX: return MICA_C128;
  }
  return MICA_I64;
}

bool mica_reference_wide_bytes(mica_dtype dtype, int64_t count, size_t *out_size) {
  size_t bytes;
  if ((uint64_t)count > SIZE_MAX) return false;
  return mica_size_multiply((size_t)count, reference_wide_size(dtype), &bytes) &&
         mica_size_align(bytes, MICA_ALIGNMENT, out_size);
}

static size_t byte_offset(mica_dtype dtype, int64_t index) {
  return (size_t)index * (size_t)mica_dtype_bits(dtype) / 8;
}

void mica_reference_widen(mica_dtype dtype, const void *data, int64_t begin, int64_t count,
                          void *wide) {
  mica_convert_elements(mica_reference_wide(dtype), wide, dtype,
                        (const char *)data + byte_offset(dtype, begin), count);
}

void mica_reference_narrow(mica_dtype dtype, void *data, int64_t begin, int64_t count,
                           const void *wide) {
  mica_dtype from = mica_reference_wide(dtype);
  if (mica_dtype_bits(dtype) == 4) { /* may begin and end in the middle of a byte */
    for (int64_t i = 0; i < count; i++)
      mica_element_store(dtype, data, begin + i, mica_element_load(from, wide, i));
    return;
  }
  mica_convert_elements(dtype, (char *)data + byte_offset(dtype, begin), from, wide, count);
}

void mica_reference_widen_one(mica_dtype dtype, const void *data, int64_t index, void *wide) {
  mica_element element = mica_element_load(dtype, data, index);
  switch (element.kind) {
    case MICA_ELEMENT_SIGNED: memcpy(wide, &element.i64, sizeof(int64_t)); break;
    case MICA_ELEMENT_UNSIGNED: memcpy(wide, &element.u64, sizeof(uint64_t)); break;
    case MICA_ELEMENT_FLOAT: memcpy(wide, &element.f64, sizeof(double)); break;
    case MICA_ELEMENT_COMPLEX: {
      reference_complex value = {element.f64, element.imaginary};
      memcpy(wide, &value, sizeof(value));
      break;
    }
  }
}

/* ---- arithmetic ------------------------------------------------------------------------------- */

reference_complex mica_reference_complex_mul(reference_complex x, reference_complex y) {
  return (reference_complex){x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}

double mica_reference_max(double x, double y) {
  if (isnan(x)) return x;
  if (isnan(y)) return y;
  if (x == y) return signbit(x) ? y : x;
  return x > y ? x : y;
}

double mica_reference_min(double x, double y) {
  if (isnan(x)) return x;
  if (isnan(y)) return y;
  if (x == y) return signbit(x) ? x : y;
  return x < y ? x : y;
}

bool mica_reference_beats(mica_element challenger, mica_element best, bool largest) {
  switch (challenger.kind) {
    case MICA_ELEMENT_SIGNED:
      return largest ? challenger.i64 > best.i64 : challenger.i64 < best.i64;
    case MICA_ELEMENT_UNSIGNED:
      return largest ? challenger.u64 > best.u64 : challenger.u64 < best.u64;
    case MICA_ELEMENT_FLOAT:
      if (isnan(best.f64)) return false;
      if (isnan(challenger.f64)) return true;
      return largest ? challenger.f64 > best.f64 : challenger.f64 < best.f64;
    case MICA_ELEMENT_COMPLEX: break;
  }
  return false;
}

/* ---- reducers --------------------------------------------------------------------------------- */

/* The least or largest value of an integer dtype of the signed class. */
static int64_t integer_limit(mica_dtype dtype, bool largest) {
  if (dtype == MICA_BOOL) return largest ? 1 : 0;
  int32_t bits = mica_dtype_bits(dtype);
  if (!mica_dtype_is_signed(dtype))
    return largest ? (int64_t)((UINT64_C(1) << bits) - 1) : 0; /* u64 is of another class */
  int64_t top = (int64_t)((UINT64_C(1) << (bits - 1)) - 1);
  return largest ? top : -top - 1;
}

void mica_reference_neutral(mica_reduce_kind kind, mica_dtype dtype, void *wide) {
  bool low = kind == MICA_REDUCE_MAX, high = kind == MICA_REDUCE_MIN;
  bool one = kind == MICA_REDUCE_PROD;
  switch (mica_dtype_element_class(dtype)) {
    case MICA_ELEMENT_SIGNED: {
      int64_t value = low || high ? integer_limit(dtype, high) : one;
      if (kind == MICA_REDUCE_AND) value = -1; /* all bits; true for bool */
      memcpy(wide, &value, sizeof(value));
      break;
    }
    case MICA_ELEMENT_UNSIGNED: {
      uint64_t value = high || kind == MICA_REDUCE_AND ? UINT64_MAX : one;
      memcpy(wide, &value, sizeof(value));
      break;
    }
    case MICA_ELEMENT_FLOAT: {
      double value = low ? -(double)INFINITY : high ? (double)INFINITY : one;
      memcpy(wide, &value, sizeof(value));
      break;
    }
    case MICA_ELEMENT_COMPLEX: {
      reference_complex value = {one, 0};
      memcpy(wide, &value, sizeof(value));
      break;
    }
  }
}

/* Two's complement wraps as unsigned numbers do, so both integer classes share all but the order. */
static uint64_t combine_integers(mica_reduce_kind kind, uint64_t x, uint64_t y, bool x_is_less) {
  switch (kind) {
    case MICA_REDUCE_SUM: return x + y;
    case MICA_REDUCE_PROD: return x * y;
    case MICA_REDUCE_MAX: return x_is_less ? y : x;
    case MICA_REDUCE_MIN: return x_is_less ? x : y;
    case MICA_REDUCE_AND: return x & y;
    case MICA_REDUCE_OR: return x | y;
  }
  return x;
}

static double combine_reals(mica_reduce_kind kind, double x, double y) {
  switch (kind) {
    case MICA_REDUCE_SUM: return x + y;
    case MICA_REDUCE_PROD: return x * y;
    case MICA_REDUCE_MAX: return mica_reference_max(x, y);
    case MICA_REDUCE_MIN: return mica_reference_min(x, y);
    default: return x;
  }
}

void mica_reference_combine(mica_reduce_kind kind, mica_dtype dtype, void *accumulator, int64_t at,
                            const void *value, int64_t from) {
  switch (mica_dtype_element_class(dtype)) {
    case MICA_ELEMENT_SIGNED: {
      int64_t *x = (int64_t *)accumulator + at, y = ((const int64_t *)value)[from];
      *x = (int64_t)combine_integers(kind, (uint64_t)*x, (uint64_t)y, *x < y);
      break;
    }
    case MICA_ELEMENT_UNSIGNED: {
      uint64_t *x = (uint64_t *)accumulator + at, y = ((const uint64_t *)value)[from];
      *x = combine_integers(kind, *x, y, *x < y);
      break;
    }
    case MICA_ELEMENT_FLOAT: {
      double *x = (double *)accumulator + at;
      *x = combine_reals(kind, *x, ((const double *)value)[from]);
      break;
    }
    case MICA_ELEMENT_COMPLEX: {
      reference_complex *x = (reference_complex *)accumulator + at;
      reference_complex y = ((const reference_complex *)value)[from];
      if (kind == MICA_REDUCE_PROD) {
        *x = mica_reference_complex_mul(*x, y);
      } else {
        x->re += y.re;
        x->im += y.im;
      }
      break;
    }
  }
}
