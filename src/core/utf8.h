/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h: one character of UTF-8, strictly (Unicode 15, table 3-7: no overlong forms, no
 * surrogates). */
#ifndef MICA_CORE_UTF8_H
#define MICA_CORE_UTF8_H
#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character that `text` begins with, 1 to 4; 0 if there is none in
 * `size`. */
static inline size_t mica_utf8_length(const char *text, size_t size) {
  const unsigned char *byte = (const unsigned char *)text;
  if (size == 0) return 0;
  if (byte[0] < 0x80) return 1;
  if (byte[0] < 0xC2 || byte[0] > 0xF4) return 0;
  size_t length = byte[0] < 0xE0 ? 2 : byte[0] < 0xF0 ? 3 : 4;
  if (size < length) return 0;
  unsigned char low = byte[0] == 0xE0 ? 0xA0 : byte[0] == 0xF0 ? 0x90 : 0x80;
  unsigned char high = byte[0] == 0xED ? 0x9F : byte[0] == 0xF4 ? 0x8F : 0xBF;
  if (byte[1] < low || byte[1] > high) return 0;
  for (size_t i = 2; i < length; i++)
    if ((byte[i] & 0xC0) != 0x80) return 0;
  return length;
}

/* Writes `character`, a Unicode scalar value, as 1 to 4 bytes and returns how many. */
static inline size_t mica_utf8_encode(uint32_t character, char *out) {
  if (character < 0x80) {
    out[0] = (char)character;
    return 1;
  }
  size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
  static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = length - 1; i > 0; i--, character >>= 6)
    out[i] = (char)(0x80 | (character & 0x3F));
  out[0] = (char)(lead[length] | character);
  return length;
}

#endif
