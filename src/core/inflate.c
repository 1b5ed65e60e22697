/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.c: unpacks DEFLATE (RFC 1951) from untrusted bytes into a buffer of known size.
 *
 * A canonical code is decoded by one look-up of its first TABLE_BITS bits, longer words by counting
 * through the lengths as section 3.2.2 of the RFC builds them. Every code is checked to be
 * complete, so each bit pattern means something and no table entry is undefined; the one exception
 * that compressors make use of, a single distance word of one bit, is allowed. */
#include "core/inflate.h"

#include <string.h>

enum {
  WORD_BITS = 15,  /* the longest code word */
  TABLE_BITS = 10, /* found by one look-up */
  SYMBOL_LIMIT = 288,
  LENGTH_SYMBOLS = 286,
  DISTANCE_SYMBOLS = 30,
  END_OF_BLOCK = 256
};

typedef struct {
  const uint8_t *in, *in_end;
  uint8_t *out_begin, *out, *out_end;
  uint64_t bits; /* read ahead, the next one lowest */
  int32_t bit_count;
  int32_t missing; /* zero bits made up behind the input's end */
} inflate_stream;

typedef struct {
  uint16_t table[1 << TABLE_BITS]; /* symbol << 4 | length; length 0: a longer word */
  uint16_t count[WORD_BITS + 1];   /* of words of each length */
  uint16_t symbol[SYMBOL_LIMIT];   /* ordered by length, then by value */
} huffman_code;

/* ---- bits ------------------------------------------------------------------------------------ */

/* At least 32 bits are at hand afterwards; behind the end they are zeros, counted as missing. */
static void refill(inflate_stream *stream) {
  while (stream->bit_count <= 56) {
    if (stream->in < stream->in_end)
      stream->bits |= (uint64_t)*stream->in++ << stream->bit_count;
    else
      stream->missing += 8;
    stream->bit_count += 8;
  }
}

/* Uses up `count` of the bits at hand. */
static uint32_t take_bits(inflate_stream *stream, int32_t count) {
  uint32_t value = (uint32_t)(stream->bits & ((UINT64_C(1) << count) - 1));
  stream->bits >>= count;
  stream->bit_count -= count;
  return value;
}

/* Bits were used that the input does not have. */
static bool ran_out(const inflate_stream *stream) { return stream->missing > stream->bit_count; }

/* ---- codes ----------------------------------------------------------------------------------- */

static uint32_t reverse_bits(uint32_t value, int32_t count) {
  uint32_t reversed = 0;
  for (int32_t i = 0; i < count; i++) reversed |= (value >> i & 1) << (count - 1 - i);
  return reversed;
}

/* Builds the code of the lengths' symbols; false unless it is complete, or has one word of one bit
 * and `may_be_single`, or no word at all and may_be_single. */
static bool build_code(huffman_code *code, const uint8_t *lengths, int32_t symbols,
                       bool may_be_single) {
  uint16_t first[WORD_BITS + 2] = {0}, place[WORD_BITS + 2] = {0};
  memset(code, 0, sizeof(*code));
  for (int32_t i = 0; i < symbols; i++) code->count[lengths[i]]++;
  int32_t used = symbols - code->count[0], left = 1;
  code->count[0] = 0;
  for (int32_t length = 1; length <= WORD_BITS; length++) {
    left = 2 * left - code->count[length];
    if (left < 0) return false; /* more words than bit patterns */
    first[length + 1] = (uint16_t)((first[length] + code->count[length]) << 1);
    place[length + 1] = (uint16_t)(place[length] + code->count[length]);
  }
  if (left > 0 && !(may_be_single && (used == 0 || (used == 1 && code->count[1] == 1))))
    return false;
  for (int32_t i = 0; i < symbols; i++) {
    int32_t length = lengths[i];
    if (length == 0) continue;
    code->symbol[place[length]++] = (uint16_t)i;
    uint32_t word = reverse_bits(first[length]++, length);
    if (length > TABLE_BITS) continue;
    for (uint32_t entry = word; entry < 1 << TABLE_BITS; entry += 1u << length)
      code->table[entry] = (uint16_t)(i << 4 | length);
  }
  return true;
}

/* The next symbol, -1 when the bits are no word. At most WORD_BITS of the bits at hand are used. */
static int32_t take_symbol(inflate_stream *stream, const huffman_code *code) {
  uint32_t entry = code->table[stream->bits & ((1 << TABLE_BITS) - 1)];
  if ((entry & 15) != 0) {
    take_bits(stream, (int32_t)(entry & 15));
    return (int32_t)(entry >> 4);
  }
  int32_t word = 0, first = 0, place = 0;
  for (int32_t length = 1; length <= WORD_BITS; length++) {
    word = word << 1 | (int32_t)take_bits(stream, 1);
    int32_t count = code->count[length];
    if (word - first < count) return code->symbol[place + word - first];
    place += count;
    first = (first + count) << 1;
  }
  return -1;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Each returns NULL or what is wrong. */
static const char *inflate_stored(inflate_stream *stream) {
  take_bits(stream, stream->bit_count % 8);
  refill(stream);
  uint32_t size = take_bits(stream, 16), complement = take_bits(stream, 16);
  if (ran_out(stream)) return "the data ends early";
  if ((size ^ complement) != 0xFFFF) return "a stored block's length is damaged";
  /* Bytes that were read ahead come first. */
  for (; size > 0 && stream->bit_count > stream->missing; size--) {
    if (stream->out == stream->out_end) return "the data is longer than announced";
    *stream->out++ = (uint8_t)take_bits(stream, 8);
  }
  if (size == 0) return NULL;
  if ((size_t)(stream->in_end - stream->in) < size) return "the data ends early";
  if ((size_t)(stream->out_end - stream->out) < size) return "the data is longer than announced";
  memcpy(stream->out, stream->in, size);
  stream->in += size;
  stream->out += size;
  stream->bits = 0;
  stream->bit_count = stream->missing = 0;
  return NULL;
}

static const char *inflate_symbols(inflate_stream *stream, const huffman_code *lengths,
                                   const huffman_code *distances) {
  static const uint16_t length_base[29] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                           15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                           67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                           2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  static const uint16_t distance_base[30] = {
      1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
      193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  for (;;) {
    refill(stream);
    int32_t symbol = take_symbol(stream, lengths);
    if (ran_out(stream)) return "the data ends early";
    if (symbol < 0 || symbol >= LENGTH_SYMBOLS) return "an undefined code";
    if (symbol == END_OF_BLOCK) return NULL;
    if (symbol < END_OF_BLOCK) {
      if (stream->out == stream->out_end) return "the data is longer than announced";
      *stream->out++ = (uint8_t)symbol;
      continue;
    }
    /* 15 bits of the symbol, 5 of the length, 15 and 13 of the distance: 48 of at least 57. */
    symbol -= 257;
    uint32_t length = length_base[symbol] + take_bits(stream, length_extra[symbol]);
    symbol = take_symbol(stream, distances);
    if (symbol < 0 || symbol >= DISTANCE_SYMBOLS) return "an undefined code";
    int32_t extra = symbol < 4 ? 0 : symbol / 2 - 1;
    uint32_t distance = distance_base[symbol] + take_bits(stream, extra);
    if (ran_out(stream)) return "the data ends early";
    if (distance > (size_t)(stream->out - stream->out_begin))
      return "a reference before the beginning";
    if (length > (size_t)(stream->out_end - stream->out))
      return "the data is longer than announced";
    /* Source and destination may overlap: then the last `distance` bytes repeat. */
    if (distance >= length)
      memcpy(stream->out, stream->out - distance, length);
    else
      for (uint32_t i = 0; i < length; i++)
        stream->out[i] = stream->out[(ptrdiff_t)i - (ptrdiff_t)distance];
    stream->out += length;
  }
}

static const char *inflate_fixed(inflate_stream *stream) {
  huffman_code lengths, distances;
  uint8_t bits[SYMBOL_LIMIT];
  for (int32_t i = 0; i < SYMBOL_LIMIT; i++) bits[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  if (!build_code(&lengths, bits, SYMBOL_LIMIT, false)) return "an undefined code";
  memset(bits, 5, 32);
  if (!build_code(&distances, bits, 32, false)) return "an undefined code";
  return inflate_symbols(stream, &lengths, &distances);
}

/* Section 3.2.7: the lengths of both codes, themselves coded, with runs. */
static const char *take_lengths(inflate_stream *stream, uint8_t *lengths, int32_t count) {
  static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                    11, 4,  12, 3, 13, 2, 14, 1, 15};
  uint8_t bits[19] = {0};
  huffman_code code;
  int32_t given = (int32_t)take_bits(stream, 4) + 4;
  for (int32_t i = 0; i < given; i++) {
    refill(stream);
    bits[order[i]] = (uint8_t)take_bits(stream, 3);
  }
  if (!build_code(&code, bits, 19, false)) return "the code of the code lengths is damaged";
  for (int32_t i = 0; i < count;) {
    refill(stream);
    int32_t symbol = take_symbol(stream, &code);
    if (symbol < 0) return "an undefined code";
    if (symbol < 16) {
      lengths[i++] = (uint8_t)symbol;
      continue;
    }
    if (symbol == 16 && i == 0) return "a repetition without a length before it";
    uint8_t value = symbol == 16 ? lengths[i - 1] : 0;
    int32_t extra = symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
    int32_t repeat = (int32_t)take_bits(stream, extra) + (symbol == 18 ? 11 : 3);
    if (repeat > count - i) return "a repetition past the last code length";
    while (repeat-- > 0) lengths[i++] = value;
  }
  return ran_out(stream) ? "the data ends early" : NULL;
}

static const char *inflate_dynamic(inflate_stream *stream) {
  huffman_code lengths, distances;
  uint8_t bits[LENGTH_SYMBOLS + DISTANCE_SYMBOLS];
  int32_t length_count = (int32_t)take_bits(stream, 5) + 257;
  int32_t distance_count = (int32_t)take_bits(stream, 5) + 1;
  if (length_count > LENGTH_SYMBOLS || distance_count > DISTANCE_SYMBOLS) return "too many codes";
  const char *wrong = take_lengths(stream, bits, length_count + distance_count);
  if (wrong != NULL) return wrong;
  if (bits[END_OF_BLOCK] == 0) return "a block without an end";
  if (!build_code(&lengths, bits, length_count, true)) return "the code of the lengths is damaged";
  if (!build_code(&distances, bits + length_count, distance_count, true))
    return "the code of the distances is damaged";
  return inflate_symbols(stream, &lengths, &distances);
}

mica_status mica_inflate(const void *in, size_t in_size, void *out, size_t out_size,
                         mica_error *error) {
  const uint8_t empty = 0;
  inflate_stream stream = {.in = in_size == 0 ? &empty : in, .out_begin = out};
  stream.in_end = stream.in + in_size;
  uint8_t nothing;
  if (out_size == 0) stream.out_begin = &nothing;
  stream.out = stream.out_begin;
  stream.out_end = stream.out_begin + out_size;
  const char *wrong = NULL;
  for (bool last = false; wrong == NULL && !last;) {
    refill(&stream);
    last = take_bits(&stream, 1) != 0;
    switch (take_bits(&stream, 2)) {
      case 0: wrong = inflate_stored(&stream); break;
      case 1: wrong = inflate_fixed(&stream); break;
      case 2: wrong = inflate_dynamic(&stream); break;
      default: wrong = "an undefined kind of block";
    }
    if (wrong == NULL && ran_out(&stream)) wrong = "the data ends early";
  }
  if (wrong == NULL && stream.out < stream.out_end) wrong = "the data is shorter than announced";
  if (wrong != NULL) return mica_error_set(error, MICA_DATA_LOSS, "deflated data: %s", wrong);
  return MICA_OK;
}

/* ---- CRC-32 ---------------------------------------------------------------------------------- */

/* The remainders of the 16 half bytes. */
static const uint32_t crc_nibbles[16] = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};

static uint32_t crc_byte(uint32_t crc, uint8_t byte) {
  crc ^= byte;
  crc = crc >> 4 ^ crc_nibbles[crc & 15];
  return crc >> 4 ^ crc_nibbles[crc & 15];
}

/* Eight bytes a step by eight tables ("slicing", Kounavis and Berry, 2005); `size` is a multiple of
 * 8. */
static uint32_t crc_long(uint32_t crc, const uint8_t *at, size_t size) {
  uint32_t table[8][256];
  for (uint32_t i = 0; i < 256; i++) table[0][i] = crc_byte(i, 0);
  for (uint32_t i = 0; i < 256; i++)
    for (int slice = 1; slice < 8; slice++) {
      uint32_t before = table[slice - 1][i];
      table[slice][i] = before >> 8 ^ table[0][before & 0xFF];
    }
  for (; size > 0; size -= 8, at += 8) {
    uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                          (uint32_t)at[3] << 24);
    crc = table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^
          table[4][low >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^
          table[0][at[7]];
  }
  return crc;
}

uint32_t mica_crc32(uint32_t crc, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  /* Making the tables takes as long as some hundred bytes. */
  size_t by_tables = size < 2048 ? 0 : size & ~(size_t)7;
  crc = ~crc;
  if (by_tables > 0) crc = crc_long(crc, at, by_tables);
  for (size_t i = by_tables; i < size; i++) crc = crc_byte(crc, at[i]);
  return ~crc;
}
