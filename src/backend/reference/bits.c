/* SPDX-License-Identifier: Apache-2.0 */
/* bits.c: shifts, counts of bits, neighbors of floats, and the same bytes under another dtype. */
#include "backend/reference/elementwise_internal.h"

#include <math.h>
#include <string.h>

static uint64_t low_bits(uint64_t x, int32_t width) {
  return width == 64 ? x : x & ((UINT64_C(1) << width) - 1);
}

/* The amount is read as an unsigned number of the dtype. */
static uint64_t shifted(mica_op op, uint64_t x, uint64_t amount, int32_t width) {
  bool negative = (x >> (width - 1) & 1) != 0;
  uint64_t whole = low_bits(UINT64_MAX, width);
  bool copies = op == MICA_OP_SHIFT_RIGHT_ARITHMETIC && negative;
  if (amount >= (uint64_t)width) return copies ? whole : 0;
  if (op == MICA_OP_SHIFT_LEFT) return low_bits(x << amount, width);
  uint64_t moved = x >> amount;
  return copies ? moved | (whole & ~(whole >> amount)) : moved;
}

/* The bits of an integer of `width` as a wide element: signed ones get copies of their highest bit. */
static uint64_t extended(uint64_t bits, mica_dtype dtype) {
  int32_t width = mica_dtype_bits(dtype);
  bool negative = mica_dtype_is_signed(dtype) && (bits >> (width - 1) & 1) != 0;
  return negative && width < 64 ? bits | ~((UINT64_C(1) << width) - 1) : bits;
}

void mica_reference_shift(const reference_step *step) {
  mica_type type = step->node->type;
  int32_t width = mica_dtype_bits(type.dtype);
  int64_t count = mica_shape_count(type.shape);
  wide_block x, y;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = wide_block_size(begin, count);
    mica_reference_widen(type.dtype, step->in[0], begin, n, &x);
    mica_reference_widen(type.dtype, step->in[1], begin, n, &y);
    for (int64_t i = 0; i < n; i++) {
      uint64_t bits = shifted((mica_op)step->node->op, low_bits(x.u64[i], width),
                              low_bits(y.u64[i], width), width);
      x.u64[i] = extended(bits, type.dtype);
    }
    mica_reference_narrow(type.dtype, step->out[0], begin, n, &x);
  }
}

static uint64_t counted_bits(mica_op op, uint64_t x, int32_t width) {
  uint64_t count = 0;
  for (int32_t i = width - 1; i >= 0; i--) {
    bool set = (x >> i & 1) != 0;
    if (op == MICA_OP_COUNT_LEADING_ZEROS && set) return count;
    count += set == (op == MICA_OP_POPCOUNT);
  }
  return count;
}

void mica_reference_count_bits(const reference_step *step) {
  mica_type type = step->node->type;
  int32_t width = mica_dtype_bits(type.dtype);
  int64_t count = mica_shape_count(type.shape);
  wide_block x;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = wide_block_size(begin, count);
    mica_reference_widen(type.dtype, step->in[0], begin, n, &x);
    for (int64_t i = 0; i < n; i++)
      x.u64[i] = counted_bits((mica_op)step->node->op, low_bits(x.u64[i], width), width);
    mica_reference_narrow(type.dtype, step->out[0], begin, n, &x);
  }
}

void mica_reference_bitcast(const reference_step *step) {
  mica_type type = step->node->type;
  int64_t bits = mica_shape_count(type.shape) * mica_dtype_bits(type.dtype);
  if (bits > 0) memcpy(step->out[0], step->in[0], (size_t)((bits + 7) / 8));
}

/* Among floats of `width` bits the bits count up away from 0 on both sides. NaN stays NaN; from 0 the way
 * leads to the smallest number of y's sign. */
static uint64_t beside(uint64_t x, uint64_t y, int32_t width, uint64_t infinity) {
  uint64_t sign = UINT64_C(1) << (width - 1), size_x = x & (sign - 1), size_y = y & (sign - 1);
  if (size_x > infinity) return x;
  if (size_y > infinity || x == y || (size_x == 0 && size_y == 0)) return y;
  if (size_x == 0) return (y & sign) | 1;
  bool negative = (x & sign) != 0, other = (y & sign) != 0;
  bool outwards = negative == other && size_y > size_x;
  return outwards ? x + 1 : x - 1;
}

static uint64_t load_bits(const void *data, int64_t index, int32_t width) {
  uint16_t half;
  uint32_t word;
  uint64_t whole;
  const char *at = (const char *)data + index * (width / 8);
  switch (width) {
    case 16: memcpy(&half, at, 2); return half;
    case 32: memcpy(&word, at, 4); return word;
    default: memcpy(&whole, at, 8); return whole;
  }
}

void mica_reference_nextafter(const reference_step *step) {
  mica_dtype dtype = step->node->type.dtype;
  int32_t width = mica_dtype_bits(dtype);
  uint64_t infinity = dtype == MICA_F16    ? 0x7C00
                      : dtype == MICA_BF16 ? 0x7F80
                      : dtype == MICA_F32  ? 0x7F800000
                                           : UINT64_C(0x7FF0000000000000);
  int64_t count = mica_shape_count(step->node->type.shape);
  for (int64_t i = 0; i < count; i++) {
    uint64_t bits =
        beside(load_bits(step->in[0], i, width), load_bits(step->in[1], i, width), width, infinity);
    uint16_t half = (uint16_t)bits;
    uint32_t word = (uint32_t)bits;
    char *at = (char *)step->out[0] + i * (width / 8);
    if (width == 16) memcpy(at, &half, 2);
    if (width == 32) memcpy(at, &word, 4);
    if (width == 64) memcpy(at, &bits, 8);
  }
}
