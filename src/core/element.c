/* SPDX-License-Identifier: Apache-2.0 */
/* element.c: one element of an array of any dtype, read and written through the class that holds it
 * exactly. The slow and obvious way: the reference backend and printers use it, bulk work does
 * not. */
#include "core/dtype.h"

mica_element_class mica_dtype_element_class(mica_dtype dtype) {
  if (dtype == MICA_U64) return MICA_ELEMENT_UNSIGNED;
  if (mica_dtype_is_float(dtype)) return MICA_ELEMENT_FLOAT;
  if (mica_dtype_is_complex(dtype)) return MICA_ELEMENT_COMPLEX;
  return MICA_ELEMENT_SIGNED;
}

static mica_element signed_element(int64_t value) {
  return (mica_element){.kind = MICA_ELEMENT_SIGNED, .i64 = value};
}
static mica_element float_element(double value) {
  return (mica_element){.kind = MICA_ELEMENT_FLOAT, .f64 = value};
}

mica_element mica_element_load(mica_dtype dtype, const void *data, int64_t index) {
  int nibble;
  switch (dtype) {
    case MICA_BOOL: return signed_element(((const uint8_t *)data)[index] != 0);
    case MICA_I4:
    case MICA_U4:
      nibble = (((const uint8_t *)data)[index / 2] >> (index % 2 * 4)) & 15;
      return signed_element(dtype == MICA_I4 && nibble > 7 ? (int64_t)nibble - 16
                                                           : (int64_t)nibble);
    case MICA_I8: return signed_element(((const int8_t *)data)[index]);
    case MICA_U8: return signed_element(((const uint8_t *)data)[index]);
    case MICA_I16: return signed_element(((const int16_t *)data)[index]);
    case MICA_U16: return signed_element(((const uint16_t *)data)[index]);
    case MICA_I32: return signed_element(((const int32_t *)data)[index]);
    case MICA_U32: return signed_element(((const uint32_t *)data)[index]);
    case MICA_I64: return signed_element(((const int64_t *)data)[index]);
    case MICA_U64:
      return (mica_element){.kind = MICA_ELEMENT_UNSIGNED, .u64 = ((const uint64_t *)data)[index]};
    case MICA_F8E4M3FN:
      return float_element((double)mica_f8e4m3fn_to_f32(((const uint8_t *)data)[index]));
    case MICA_F8E5M2:
      return float_element((double)mica_f8e5m2_to_f32(((const uint8_t *)data)[index]));
    case MICA_BF16: return float_element((double)mica_bf16_to_f32(((const uint16_t *)data)[index]));
    case MICA_F16: return float_element((double)mica_f16_to_f32(((const uint16_t *)data)[index]));
    case MICA_F32: return float_element((double)((const float *)data)[index]);
    case MICA_F64: return float_element(((const double *)data)[index]);
    case MICA_C64: {
      const float *parts = (const float *)data + 2 * index;
      return (mica_element){
          .kind = MICA_ELEMENT_COMPLEX, .f64 = (double)parts[0], .imaginary = (double)parts[1]};
    }
    case MICA_C128: {
      const double *parts = (const double *)data + 2 * index;
      return (mica_element){.kind = MICA_ELEMENT_COMPLEX, .f64 = parts[0], .imaginary = parts[1]};
    }
    case MICA_DTYPE_NONE:
    case MICA_DTYPE_COUNT: break;
  }
  return signed_element(0);
}

static bool element_is_true(mica_element element) {
  switch (element.kind) {
    case MICA_ELEMENT_SIGNED: return element.i64 != 0;
    case MICA_ELEMENT_UNSIGNED: return element.u64 != 0;
    case MICA_ELEMENT_FLOAT: return element.f64 != 0;
    case MICA_ELEMENT_COMPLEX: return element.f64 != 0 || element.imaginary != 0;
  }
  return false;
}

/* As an integer: integers as they are, for the caller to wrap; floats saturated to low .. high. */
static uint64_t element_integer(mica_element element, int64_t low, int64_t high) {
  if (element.kind == MICA_ELEMENT_SIGNED) return (uint64_t)element.i64;
  if (element.kind == MICA_ELEMENT_UNSIGNED) return element.u64;
  return (uint64_t)mica_f64_to_integer(element.f64, low, high);
}

/* As a double to be rounded again to fewer bits. */
static double element_odd(mica_element element) {
  if (element.kind == MICA_ELEMENT_SIGNED) return mica_i64_to_f64_odd(element.i64);
  if (element.kind == MICA_ELEMENT_UNSIGNED) return mica_u64_to_f64_odd(element.u64);
  return element.f64;
}

static float element_f32(mica_element element) {
  if (element.kind == MICA_ELEMENT_SIGNED) return (float)element.i64;
  if (element.kind == MICA_ELEMENT_UNSIGNED) return (float)element.u64;
  return (float)element.f64;
}

static double element_f64(mica_element element) {
  if (element.kind == MICA_ELEMENT_SIGNED) return (double)element.i64;
  if (element.kind == MICA_ELEMENT_UNSIGNED) return (double)element.u64;
  return element.f64;
}

static void store_nibble(uint8_t *data, int64_t index, uint64_t value) {
  uint32_t shift = index % 2 == 0 ? 0 : 4;
  uint32_t kept = data[index / 2] & (0xF0u >> shift);
  data[index / 2] = (uint8_t)(kept | (uint32_t)(value & 15) << shift);
}

void mica_element_store(mica_dtype dtype, void *data, int64_t index, mica_element element) {
  switch (dtype) {
    case MICA_BOOL: ((uint8_t *)data)[index] = element_is_true(element); break;
    case MICA_I4: store_nibble(data, index, element_integer(element, -8, 7)); break;
    case MICA_U4: store_nibble(data, index, element_integer(element, 0, 15)); break;
    case MICA_I8:
    case MICA_U8: {
      bool is_signed = dtype == MICA_I8;
      ((uint8_t *)data)[index] = (uint8_t)element_integer(element, is_signed ? INT8_MIN : 0,
                                                          is_signed ? INT8_MAX : UINT8_MAX);
      break;
    }
    case MICA_I16:
    case MICA_U16: {
      bool is_signed = dtype == MICA_I16;
      ((uint16_t *)data)[index] = (uint16_t)element_integer(element, is_signed ? INT16_MIN : 0,
                                                            is_signed ? INT16_MAX : UINT16_MAX);
      break;
    }
    case MICA_I32:
    case MICA_U32: {
      bool is_signed = dtype == MICA_I32;
      ((uint32_t *)data)[index] = (uint32_t)element_integer(element, is_signed ? INT32_MIN : 0,
                                                            is_signed ? INT32_MAX : UINT32_MAX);
      break;
    }
    case MICA_I64:
      ((uint64_t *)data)[index] = element_integer(element, INT64_MIN, INT64_MAX);
      break;
    case MICA_U64:
      ((uint64_t *)data)[index] = element.kind >= MICA_ELEMENT_FLOAT
                                      ? mica_f64_to_u64(element.f64)
                                      : element_integer(element, 0, 0);
      break;
    case MICA_F8E4M3FN:
      ((uint8_t *)data)[index] = mica_f64_to_f8e4m3fn(element_odd(element));
      break;
    case MICA_F8E5M2: ((uint8_t *)data)[index] = mica_f64_to_f8e5m2(element_odd(element)); break;
    case MICA_BF16: ((uint16_t *)data)[index] = mica_f64_to_bf16(element_odd(element)); break;
    case MICA_F16: ((uint16_t *)data)[index] = mica_f64_to_f16(element_odd(element)); break;
    case MICA_F32: ((float *)data)[index] = element_f32(element); break;
    case MICA_F64: ((double *)data)[index] = element_f64(element); break;
    case MICA_C64:
      ((float *)data)[2 * index] = element_f32(element);
      ((float *)data)[2 * index + 1] =
          element.kind == MICA_ELEMENT_COMPLEX ? (float)element.imaginary : 0.0f;
      break;
    case MICA_C128:
      ((double *)data)[2 * index] = element_f64(element);
      ((double *)data)[2 * index + 1] =
          element.kind == MICA_ELEMENT_COMPLEX ? element.imaginary : 0.0;
      break;
    case MICA_DTYPE_NONE:
    case MICA_DTYPE_COUNT: break;
  }
}
