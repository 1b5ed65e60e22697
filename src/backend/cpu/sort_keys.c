/* SPDX-License-Identifier: Apache-2.0 */
/* sort_keys.c: elements to keys and back, radix sorts, and selection. */
#include "backend/cpu/sort_keys.h"

#include <string.h>

#include "core/dtype.h"

/* ---- keys ------------------------------------------------------------------------------------- */

int32_t mica_sort_key_bits(mica_dtype dtype) {
  switch (dtype) {
    case MICA_BOOL:
    case MICA_I8:
    case MICA_U8: return 8;
    case MICA_I16:
    case MICA_U16:
    case MICA_F16:
    case MICA_BF16: return 16;
    case MICA_I32:
    case MICA_U32:
    case MICA_F32: return 32;
    case MICA_I64:
    case MICA_U64:
    case MICA_F64: return 64;
    default: return 0;
  }
}

/* Blocks of fixed size become vectors. */
enum { KEY_BLOCK = 32 };

/* Signed: the sign bit is flipped. Floats: negative ones have all bits flipped. */
#define DEFINE_INTEGER_KEYS(name, element, key_type, sign)                                      \
  static void load_##name(const element *line, int64_t count, key_type flip, key_type *keys) {  \
    int64_t i = 0;                                                                              \
    for (; i + KEY_BLOCK <= count; i += KEY_BLOCK)                                              \
      for (int k = 0; k < KEY_BLOCK; k++) keys[i + k] = (key_type)line[i + k] ^ flip;           \
    for (; i < count; i++) keys[i] = (key_type)line[i] ^ flip;                                  \
  }                                                                                             \
  static void store_##name(const key_type *keys, int64_t count, key_type flip, element *line) { \
    for (int64_t i = 0; i < count; i++) line[i] = (element)(keys[i] ^ flip);                    \
  }
DEFINE_INTEGER_KEYS(bytes, uint8_t, uint32_t, 0x80)
DEFINE_INTEGER_KEYS(shorts, uint16_t, uint32_t, 0x8000)
DEFINE_INTEGER_KEYS(words, uint32_t, uint32_t, 0x80000000)
DEFINE_INTEGER_KEYS(longs, uint64_t, uint64_t, 0x8000000000000000)
#undef DEFINE_INTEGER_KEYS

/* `top` is the sign bit, `limit` the bits of infinity, both of the element's width. */
#define DEFINE_FLOAT_KEYS(name, element, key_type)                                           \
  static inline key_type key_of_##name(key_type bits, key_type top, key_type limit) {        \
    key_type size = bits & (top - 1), all = top | (top - 1);                                 \
    key_type key = bits & top ? bits ^ all : bits | top;                                     \
    key = size == 0 ? top : key;                                                             \
    return size > limit ? all : key;                                                         \
  }                                                                                          \
  static bool load_##name(const element *line, int64_t count, key_type top, key_type limit,  \
                          key_type flip, key_type *keys) {                                   \
    int64_t i = 0;                                                                           \
    key_type lost = 0; /* -0 or NaN was seen */                                              \
    for (; i + KEY_BLOCK <= count; i += KEY_BLOCK)                                           \
      for (int k = 0; k < KEY_BLOCK; k++) {                                                  \
        key_type bits = line[i + k];                                                         \
        lost |= (key_type)(bits == top) | (key_type)((bits & (top - 1)) > limit);            \
        keys[i + k] = key_of_##name(bits, top, limit) ^ flip;                                \
      }                                                                                      \
    for (; i < count; i++) {                                                                 \
      key_type bits = line[i];                                                               \
      lost |= (key_type)(bits == top) | (key_type)((bits & (top - 1)) > limit);              \
      keys[i] = key_of_##name(bits, top, limit) ^ flip;                                      \
    }                                                                                        \
    return lost == 0;                                                                        \
  }                                                                                          \
  static void store_##name(const key_type *keys, int64_t count, key_type top, key_type flip, \
                           element *line) {                                                  \
    for (int64_t i = 0; i < count; i++) {                                                    \
      key_type key = keys[i] ^ flip;                                                         \
      line[i] = (element)(key & top ? key ^ top : key ^ (top | (top - 1)));                  \
    }                                                                                        \
  }
DEFINE_FLOAT_KEYS(half_floats, uint16_t, uint32_t)
DEFINE_FLOAT_KEYS(single_floats, uint32_t, uint32_t)
DEFINE_FLOAT_KEYS(double_floats, uint64_t, uint64_t)
#undef DEFINE_FLOAT_KEYS

bool mica_sort_load_narrow(mica_dtype dtype, const void *line, int64_t count, bool backwards,
                           uint32_t *keys) {
  int32_t bits = mica_sort_key_bits(dtype);
  uint32_t flip = backwards ? UINT32_MAX >> (32 - bits) : 0, top = 1u << (bits - 1);
  switch (dtype) {
    case MICA_F32: return load_single_floats(line, count, top, 0x7F800000, flip, keys);
    case MICA_F16: return load_half_floats(line, count, top, 0x7C00, flip, keys);
    case MICA_BF16: return load_half_floats(line, count, top, 0x7F80, flip, keys);
    default: break;
  }
  if (mica_dtype_is_signed(dtype)) flip ^= top;
  if (bits == 8) load_bytes(line, count, flip, keys);
  if (bits == 16) load_shorts(line, count, flip, keys);
  if (bits == 32) load_words(line, count, flip, keys);
  return true;
}

bool mica_sort_load_wide(mica_dtype dtype, const void *line, int64_t count, bool backwards,
                         uint64_t *keys) {
  uint64_t flip = backwards ? UINT64_MAX : 0, top = UINT64_C(1) << 63;
  if (dtype == MICA_F64)
    return load_double_floats(line, count, top, 0x7FF0000000000000, flip, keys);
  load_longs(line, count, mica_dtype_is_signed(dtype) ? flip ^ top : flip, keys);
  return true;
}

void mica_sort_store_narrow(mica_dtype dtype, const uint32_t *keys, int64_t count, bool backwards,
                            void *line) {
  int32_t bits = mica_sort_key_bits(dtype);
  uint32_t flip = backwards ? UINT32_MAX >> (32 - bits) : 0, top = 1u << (bits - 1);
  switch (dtype) {
    case MICA_F32: store_single_floats(keys, count, top, flip, line); return;
    case MICA_F16:
    case MICA_BF16: store_half_floats(keys, count, top, flip, line); return;
    default: break;
  }
  if (mica_dtype_is_signed(dtype)) flip ^= top;
  if (bits == 8) store_bytes(keys, count, flip, line);
  if (bits == 16) store_shorts(keys, count, flip, line);
  if (bits == 32) store_words(keys, count, flip, line);
}

void mica_sort_store_wide(mica_dtype dtype, const uint64_t *keys, int64_t count, bool backwards,
                          void *line) {
  uint64_t flip = backwards ? UINT64_MAX : 0, top = UINT64_C(1) << 63;
  if (dtype == MICA_F64)
    store_double_floats(keys, count, top, flip, line);
  else
    store_longs(keys, count, mica_dtype_is_signed(dtype) ? flip ^ top : flip, line);
}

/* ---- sorts ------------------------------------------------------------------------------------ */

#define RADIX_ELEMENT    uint32_t
#define RADIX_KEY(e)     (e)
#define RADIX_NAME(part) radix_narrow_##part
#define RADIX_FUNCTION   mica_sort_narrow
#define RADIX_FEW        64
#include "backend/cpu/radix.inc"
#define RADIX_ELEMENT    uint64_t
#define RADIX_KEY(e)     (e)
#define RADIX_NAME(part) radix_wide_##part
#define RADIX_FUNCTION   mica_sort_wide
#define RADIX_FEW        96
#include "backend/cpu/radix.inc"
#define RADIX_ELEMENT    uint64_t
#define RADIX_KEY(e)     ((e) >> 32)
#define RADIX_NAME(part) radix_placed_##part
#define RADIX_FUNCTION   mica_sort_placed
#define RADIX_FEW        64
#include "backend/cpu/radix.inc"
#define RADIX_ELEMENT    mica_sort_pair
#define RADIX_KEY(e)     ((e).key)
#define RADIX_NAME(part) radix_pairs_##part
#define RADIX_FUNCTION   mica_sort_pairs
#define RADIX_FEW        96
#include "backend/cpu/radix.inc"

mica_sort_pair *mica_sort_order_pairs(mica_sort_pair *a, mica_sort_pair *b, int64_t count) {
  for (int64_t i = 0; i < count; i++) a[i] = (mica_sort_pair){a[i].place, a[i].key};
  mica_sort_pair *by_place = mica_sort_pairs(NULL, 1, a, b, count, 64, NULL);
  mica_sort_pair *other = by_place == a ? b : a;
  for (int64_t i = 0; i < count; i++)
    by_place[i] = (mica_sort_pair){by_place[i].place, by_place[i].key};
  return mica_sort_pairs(NULL, 1, by_place, other, count, 64, NULL);
}

/* ---- selection -------------------------------------------------------------------------------- */

/* Quickselect (Hoare, Find, 1961) around the median of three; when it does badly a radix sort ends
 * it, so that the time stays linear. `sorted` sorts a[count] into a or b. */
#define DEFINE_SELECTION(name, element, LESS, sorted)                                       \
  void mica_sort_select_##name(element *a, element *b, int64_t count, int64_t k) {          \
    int64_t low = 0, high = count, rounds = 8;                                              \
    for (int64_t n = count; n > 1; n /= 2) rounds++;                                        \
    while (high - low > 16 && low < k && k < high) {                                        \
      if (rounds-- == 0) {                                                                  \
        element *by_key = sorted;                                                           \
        if (by_key != a + low) memcpy(a + low, by_key, (size_t)(high - low) * sizeof(*a));  \
        return;                                                                             \
      }                                                                                     \
      element x = a[low], y = a[low + (high - low) / 2], z = a[high - 1];                   \
      element pivot = LESS(x, y) ? (LESS(y, z)   ? y                                        \
                                    : LESS(x, z) ? z                                        \
                                                 : x)                                       \
                                 : (LESS(x, z)   ? x                                        \
                                    : LESS(y, z) ? z                                        \
                                                 : y);                                      \
      int64_t i = low, j = high - 1;                                                        \
      for (;;) {                                                                            \
        while (LESS(a[i], pivot)) i++;                                                      \
        while (LESS(pivot, a[j])) j--;                                                      \
        if (i >= j) break;                                                                  \
        element swapped = a[i];                                                             \
        a[i++] = a[j];                                                                      \
        a[j--] = swapped;                                                                   \
      }                                                                                     \
      /* All differ: [low, i) is below the pivot or it, [i, high) is the pivot or above. */ \
      if (k <= i)                                                                           \
        high = i;                                                                           \
      else                                                                                  \
        low = i;                                                                            \
    }                                                                                       \
    if (low >= k || k >= high) return;                                                      \
    for (int64_t i = low + 1; i < high; i++) {                                              \
      element e = a[i];                                                                     \
      int64_t j = i;                                                                        \
      for (; j > low && LESS(e, a[j - 1]); j--) a[j] = a[j - 1];                            \
      a[j] = e;                                                                             \
    }                                                                                       \
  }
#define WORD_LESS(x, y) ((x) < (y))
#define PAIR_LESS(x, y) ((x).key < (y).key || ((x).key == (y).key && (x).place < (y).place))
DEFINE_SELECTION(placed, uint64_t, WORD_LESS,
                 mica_sort_wide(NULL, 1, a + low, b, high - low, 64, NULL))
DEFINE_SELECTION(pairs, mica_sort_pair, PAIR_LESS, mica_sort_order_pairs(a + low, b, high - low))
#undef DEFINE_SELECTION
#undef WORD_LESS
#undef PAIR_LESS
