/* SPDX-License-Identifier: Apache-2.0 */
/* convert.c: arrays of one dtype into arrays of another.
 *
 * 19 dtypes make 361 pairs. Frequent pairs have a loop of their own in one table; every other pair
 * goes in blocks through the class that holds the input exactly (i64, u64, f64, complex), one tight
 * loop to load and one to store. element.c does the same for single elements; a test holds the two
 * together. */
#include "core/dtype.h"

#include "core/memory.h"
#include "platform/platform.h"

enum { BLOCK_ELEMENTS = 256 }; /* even, so that a block of packed 4-bit elements begins at a byte */

typedef struct {
  mica_element_class kind;
  union {
    int64_t i64[BLOCK_ELEMENTS];
    uint64_t u64[BLOCK_ELEMENTS];
    double f64[BLOCK_ELEMENTS];
  };
  double imaginary[BLOCK_ELEMENTS];
} element_block;

/* ---- loading --------------------------------------------------------------------------------- */

#define LOAD(member, expression) \
  for (int64_t i = 0; i < count; i++) block->member[i] = (expression)
#define IN(type) ((const type *)in)[i]

static void load_nibbles(element_block *block, const uint8_t *in, int64_t count, bool is_signed) {
  for (int64_t i = 0; i < count; i++) {
    int64_t nibble = (in[i / 2] >> (i % 2 * 4)) & 15;
    block->i64[i] = is_signed && nibble > 7 ? nibble - 16 : nibble;
  }
}

static void load_block(element_block *block, mica_dtype dtype, const void *in, int64_t count) {
  block->kind = mica_dtype_element_class(dtype);
  switch (dtype) {
    case MICA_BOOL: LOAD(i64, IN(uint8_t) != 0); break;
    case MICA_I4: load_nibbles(block, in, count, true); break;
    case MICA_U4: load_nibbles(block, in, count, false); break;
    case MICA_I8: LOAD(i64, IN(int8_t)); break;
    case MICA_U8: LOAD(i64, IN(uint8_t)); break;
    case MICA_I16: LOAD(i64, IN(int16_t)); break;
    case MICA_U16: LOAD(i64, IN(uint16_t)); break;
    case MICA_I32: LOAD(i64, IN(int32_t)); break;
    case MICA_U32: LOAD(i64, IN(uint32_t)); break;
    case MICA_I64: LOAD(i64, IN(int64_t)); break;
    case MICA_U64: LOAD(u64, IN(uint64_t)); break;
    case MICA_F8E4M3FN: LOAD(f64, (double)mica_f8e4m3fn_to_f32(IN(uint8_t))); break;
    case MICA_F8E5M2: LOAD(f64, (double)mica_f8e5m2_to_f32(IN(uint8_t))); break;
    case MICA_BF16: LOAD(f64, (double)mica_bf16_to_f32(IN(uint16_t))); break;
    case MICA_F16: LOAD(f64, (double)mica_f16_to_f32(IN(uint16_t))); break;
    case MICA_F32: LOAD(f64, (double)IN(float)); break;
    case MICA_F64: LOAD(f64, IN(double)); break;
    case MICA_C64:
      LOAD(f64, (double)((const float *)in)[2 * i]);
      LOAD(imaginary, (double)((const float *)in)[2 * i + 1]);
      break;
    case MICA_C128:
      LOAD(f64, ((const double *)in)[2 * i]);
      LOAD(imaginary, ((const double *)in)[2 * i + 1]);
      break;
    case MICA_DTYPE_NONE:
    case MICA_DTYPE_COUNT: break;
  }
}

#undef LOAD
#undef IN

/* ---- storing --------------------------------------------------------------------------------- */

#define STORE(type, expression) \
  for (int64_t i = 0; i < count; i++) ((type *)out)[i] = (type)(expression)

/* Floats become saturated integers in place, so that integer dtypes need only wrap. */
static void block_to_integers(element_block *block, mica_dtype dtype, int64_t count) {
  if (block->kind < MICA_ELEMENT_FLOAT) return;
  if (dtype == MICA_U64) {
    for (int64_t i = 0; i < count; i++) block->u64[i] = mica_f64_to_u64(block->f64[i]);
    return;
  }
  int32_t bits = mica_dtype_bits(dtype);
  int64_t high =
      mica_dtype_is_signed(dtype) ? INT64_MAX >> (64 - bits) : (int64_t)(UINT64_MAX >> (64 - bits));
  int64_t low = mica_dtype_is_signed(dtype) ? -high - 1 : 0;
  for (int64_t i = 0; i < count; i++) block->i64[i] = mica_f64_to_integer(block->f64[i], low, high);
}

/* Integers become doubles in place, which round to any narrower float as the integers would. */
static void block_to_odd_floats(element_block *block, int64_t count) {
  if (block->kind == MICA_ELEMENT_SIGNED)
    for (int64_t i = 0; i < count; i++) block->f64[i] = mica_i64_to_f64_odd(block->i64[i]);
  else if (block->kind == MICA_ELEMENT_UNSIGNED)
    for (int64_t i = 0; i < count; i++) block->f64[i] = mica_u64_to_f64_odd(block->u64[i]);
}

/* Integers become the nearest doubles in place. */
static void block_to_floats(element_block *block, int64_t count) {
  if (block->kind == MICA_ELEMENT_SIGNED)
    for (int64_t i = 0; i < count; i++) block->f64[i] = (double)block->i64[i];
  else if (block->kind == MICA_ELEMENT_UNSIGNED)
    for (int64_t i = 0; i < count; i++) block->f64[i] = (double)block->u64[i];
}

static void store_bools(const element_block *block, void *out, int64_t count) {
  switch (block->kind) {
    case MICA_ELEMENT_SIGNED: STORE(uint8_t, block->i64[i] != 0); break;
    case MICA_ELEMENT_UNSIGNED: STORE(uint8_t, block->u64[i] != 0); break;
    case MICA_ELEMENT_FLOAT: STORE(uint8_t, block->f64[i] != 0); break;
    case MICA_ELEMENT_COMPLEX:
      STORE(uint8_t, block->f64[i] != 0 || block->imaginary[i] != 0);
      break;
  }
}

static void store_nibbles(const element_block *block, uint8_t *out, int64_t count) {
  for (int64_t i = 0; i < count; i += 2) {
    uint64_t high = i + 1 < count ? block->u64[i + 1] & 15 : 0;
    out[i / 2] = (uint8_t)((block->u64[i] & 15) | high << 4);
  }
}

static void store_integers(element_block *block, mica_dtype dtype, void *out, int64_t count) {
  block_to_integers(block, dtype, count);
  switch (mica_dtype_bits(dtype)) {
    case 4: store_nibbles(block, out, count); break;
    case 8: STORE(uint8_t, block->u64[i]); break;
    case 16: STORE(uint16_t, block->u64[i]); break;
    case 32: STORE(uint32_t, block->u64[i]); break;
    default: STORE(uint64_t, block->u64[i]); break;
  }
}

static void store_narrow_floats(element_block *block, mica_dtype dtype, void *out, int64_t count) {
  block_to_odd_floats(block, count);
  switch (dtype) {
    case MICA_F8E4M3FN: STORE(uint8_t, mica_f64_to_f8e4m3fn(block->f64[i])); break;
    case MICA_F8E5M2: STORE(uint8_t, mica_f64_to_f8e5m2(block->f64[i])); break;
    case MICA_BF16: STORE(uint16_t, mica_f64_to_bf16(block->f64[i])); break;
    case MICA_F16: STORE(uint16_t, mica_f64_to_f16(block->f64[i])); break;
    default: STORE(float, block->f64[i]); break;
  }
}

static void store_complex(element_block *block, mica_dtype dtype, void *out, int64_t count) {
  bool real = block->kind != MICA_ELEMENT_COMPLEX;
  if (dtype == MICA_C64) {
    block_to_odd_floats(block, count);
    for (int64_t i = 0; i < count; i++) {
      ((float *)out)[2 * i] = (float)block->f64[i];
      ((float *)out)[2 * i + 1] = real ? 0.0f : (float)block->imaginary[i];
    }
  } else {
    block_to_floats(block, count);
    for (int64_t i = 0; i < count; i++) {
      ((double *)out)[2 * i] = block->f64[i];
      ((double *)out)[2 * i + 1] = real ? 0.0 : block->imaginary[i];
    }
  }
}

static void store_block(element_block *block, mica_dtype dtype, void *out, int64_t count) {
  if (dtype == MICA_BOOL) {
    store_bools(block, out, count);
  } else if (mica_dtype_is_integer(dtype)) {
    store_integers(block, dtype, out, count);
  } else if (mica_dtype_is_complex(dtype)) {
    store_complex(block, dtype, out, count);
  } else if (dtype == MICA_F64) {
    block_to_floats(block, count);
    STORE(double, block->f64[i]);
  } else {
    store_narrow_floats(block, dtype, out, count);
  }
}

#undef STORE

/* ---- frequent pairs -------------------------------------------------------------------------- */

#define PAIR_LOOP(name, out_type, in_type, expression)                     \
  static void name(void *out_bytes, const void *in_bytes, int64_t count) { \
    out_type *out = out_bytes;                                             \
    const in_type *in = in_bytes;                                          \
    for (int64_t i = 0; i < count; i++) out[i] = (expression);             \
  }
PAIR_LOOP(convert_f32_to_f16, uint16_t, float, mica_f32_to_f16(in[i]))
PAIR_LOOP(convert_f32_to_bf16, uint16_t, float, mica_f32_to_bf16(in[i]))
PAIR_LOOP(convert_f32_to_f64, double, float, (double)in[i])
PAIR_LOOP(convert_f32_to_i32, int32_t, float,
          (int32_t)mica_f64_to_integer((double)in[i], INT32_MIN, INT32_MAX))
PAIR_LOOP(convert_f16_to_f32, float, uint16_t, mica_f16_to_f32(in[i]))
PAIR_LOOP(convert_bf16_to_f32, float, uint16_t, mica_bf16_to_f32(in[i]))
PAIR_LOOP(convert_f64_to_f32, float, double, (float)in[i])
PAIR_LOOP(convert_bool_to_f32, float, uint8_t, in[i] != 0 ? 1.0f : 0.0f)
PAIR_LOOP(convert_u8_to_f32, float, uint8_t, (float)in[i])
PAIR_LOOP(convert_i32_to_f32, float, int32_t, (float)in[i])
PAIR_LOOP(convert_i32_to_i64, int64_t, int32_t, in[i])
PAIR_LOOP(convert_i64_to_i32, uint32_t, uint64_t, (uint32_t)in[i])
PAIR_LOOP(convert_u8_to_i32, int32_t, uint8_t, in[i])
#undef PAIR_LOOP

static const struct {
  mica_dtype out, in;
  void (*convert)(void *out, const void *in, int64_t count);
} frequent_pairs[] = {
    {MICA_F16, MICA_F32, convert_f32_to_f16}, {MICA_BF16, MICA_F32, convert_f32_to_bf16},
    {MICA_F64, MICA_F32, convert_f32_to_f64}, {MICA_I32, MICA_F32, convert_f32_to_i32},
    {MICA_F32, MICA_F16, convert_f16_to_f32}, {MICA_F32, MICA_BF16, convert_bf16_to_f32},
    {MICA_F32, MICA_F64, convert_f64_to_f32}, {MICA_F32, MICA_BOOL, convert_bool_to_f32},
    {MICA_F32, MICA_U8, convert_u8_to_f32},   {MICA_F32, MICA_I32, convert_i32_to_f32},
    {MICA_I64, MICA_I32, convert_i32_to_i64}, {MICA_I32, MICA_I64, convert_i64_to_i32},
    {MICA_I32, MICA_U8, convert_u8_to_i32},
};

static void copy_elements(mica_dtype dtype, void *out, const void *in, int64_t count) {
  int32_t bits = mica_dtype_bits(dtype);
  size_t whole_bytes = bits == 4 ? (size_t)(count / 2) : (size_t)count * (size_t)(bits / 8);
  if (whole_bytes > 0) memcpy(out, in, whole_bytes);
  if (bits == 4 && count % 2 == 1)
    ((uint8_t *)out)[whole_bytes] = ((const uint8_t *)in)[whole_bytes] & 15;
}

static void convert_blocks(mica_dtype out_dtype, char *out, mica_dtype in_dtype, const char *in,
                           int64_t count) {
  size_t out_step = (size_t)mica_dtype_bits(out_dtype) * BLOCK_ELEMENTS / 8;
  size_t in_step = (size_t)mica_dtype_bits(in_dtype) * BLOCK_ELEMENTS / 8;
  element_block block;
  for (int64_t first = 0; first < count; first += BLOCK_ELEMENTS) {
    int64_t length = count - first < BLOCK_ELEMENTS ? count - first : BLOCK_ELEMENTS;
    load_block(&block, in_dtype, in, length);
    store_block(&block, out_dtype, out, length);
    in += in_step;
    out += out_step;
  }
}

mica_status mica_convert_elements(mica_dtype out_dtype, void *out, mica_dtype in_dtype,
                                  const void *in, int64_t count) {
  if (mica_dtype_bits(out_dtype) == 0 || mica_dtype_bits(in_dtype) == 0 || count < 0)
    return MICA_INVALID;
  if (count == 0) return MICA_OK;
  if (out == NULL || in == NULL) return MICA_INVALID;
  if (out_dtype == in_dtype && out_dtype != MICA_BOOL) {
    copy_elements(out_dtype, out, in, count);
    return MICA_OK;
  }
  uint64_t float_state = mica_float_state_enter();
  size_t pair = 0;
  const size_t pair_count = sizeof(frequent_pairs) / sizeof(frequent_pairs[0]);
  while (pair < pair_count &&
         (frequent_pairs[pair].out != out_dtype || frequent_pairs[pair].in != in_dtype))
    pair++;
  if (pair < pair_count)
    frequent_pairs[pair].convert(out, in, count);
  else
    convert_blocks(out_dtype, out, in_dtype, in, count);
  mica_float_state_leave(float_state);
  return MICA_OK;
}
