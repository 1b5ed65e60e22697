/* SPDX-License-Identifier: Apache-2.0 */
/* Inflating what zlib deflated (tests/golden/make_deflated.py), damaged data, and CRC-32. */
#include "check.h"
#include "core/inflate.h"
#include "number_oracle.h"
#include "testing_files.h"

enum { PLAIN_LIMIT = 1 << 17, PACKED_LIMIT = 1 << 14 };

/* As make_deflated.py makes them. */
static void make_data(const char *name, unsigned char *out, size_t size) {
  unsigned char random[4096];
  uint64_t state = 1;
  for (size_t i = 0; i < sizeof(random); i++) random[i] = (unsigned char)oracle_random(&state);
  for (size_t i = 0; i < size; i++) {
    unsigned b = random[i % sizeof(random)];
    out[i] = 0;
    if (strcmp(name, "random") == 0) out[i] = (unsigned char)b;
    if (strcmp(name, "squares") == 0) out[i] = (unsigned char)(i * i >> 3);
    if (strcmp(name, "skewed") == 0)
      out[i] = (unsigned char)(b == 0 ? 77 : 31 & ((unsigned)__builtin_ffs((int)b) * 3 + (b >> 6)));
    if (strcmp(name, "far") == 0 && i < 100) out[i] = random[i];
    if (strcmp(name, "far") == 0 && i >= size - 100) out[i] = random[i - (size - 100)];
  }
}

typedef struct {
  char name[16];
  size_t size, packed_size;
  uint32_t crc;
  unsigned char plain[PLAIN_LIMIT], packed[PACKED_LIMIT];
} deflated_case;

static bool next_case(char **cursor, deflated_case *out) {
  char *line = testing_next_line(cursor), *save = NULL;
  if (line == NULL) return false;
  snprintf(out->name, sizeof(out->name), "%s", strtok_r(line, " ", &save));
  out->size = strtoull(strtok_r(NULL, " ", &save), NULL, 10);
  out->crc = (uint32_t)strtoul(strtok_r(NULL, " ", &save), NULL, 16);
  out->packed_size = testing_from_hex(strtok_r(NULL, " ", &save), out->packed, PACKED_LIMIT);
  make_data(out->name, out->plain, out->size);
  return true;
}

static deflated_case current;
static unsigned char unpacked[PLAIN_LIMIT];

/* Into memory that ends where it should, so that AddressSanitizer sees a byte too much. */
static mica_status inflate_tightly(const unsigned char *packed, size_t packed_size, size_t size,
                                   mica_error *error) {
  unsigned char *in = malloc(packed_size == 0 ? 1 : packed_size),
                *out = malloc(size == 0 ? 1 : size);
  mica_status status = MICA_OUT_OF_MEMORY;
  if (in != NULL && out != NULL) {
    if (packed_size > 0) memcpy(in, packed, packed_size);
    status = mica_inflate(in, packed_size, out, size, error);
    if (status == MICA_OK) memcpy(unpacked, out, size);
  }
  free(in);
  free(out);
  return status;
}

TEST(what_zlib_deflated) {
  char *text = testing_read_file(check_source_path("tests/golden/deflated.golden"), NULL);
  if (!CHECK(text != NULL)) return;
  char *cursor = text;
  int count = 0;
  for (; next_case(&cursor, &current); count++) {
    mica_error error = {0};
    CHECK_EQ_BITS(mica_crc32(0, current.plain, current.size), current.crc);
    if (!CHECK_OK_ERROR(inflate_tightly(current.packed, current.packed_size, current.size, &error),
                        &error))
      continue;
    CHECK_EQ_BYTES(unpacked, current.plain, current.size);
    /* A size that is wrong by one is noticed. */
    CHECK_STATUS(inflate_tightly(current.packed, current.packed_size, current.size + 1, NULL),
                 MICA_DATA_LOSS);
    if (current.size > 0)
      CHECK_STATUS(inflate_tightly(current.packed, current.packed_size, current.size - 1, NULL),
                   MICA_DATA_LOSS);
    CHECK_OK(inflate_tightly(current.packed, current.packed_size + 3, current.size,
                             NULL)); /* what follows is ignored */
  }
  CHECK(count > 30);
  free(text);
}

/* Cut anywhere, it is refused; with any bit flipped, it may pass but stays inside of its memory. */
TEST(damaged_data) {
  char *text = testing_read_file(check_source_path("tests/golden/deflated.golden"), NULL);
  if (!CHECK(text != NULL)) return;
  char *cursor = text;
  int64_t refused = 0, harmless = 0, flipped = 0;
  while (next_case(&cursor, &current)) {
    if (current.size > 3000) continue;
    for (size_t cut = 0; cut < current.packed_size; cut += 1 + cut / 16)
      CHECK_STATUS(inflate_tightly(current.packed, cut, current.size, NULL), MICA_DATA_LOSS);
    for (size_t bit = 0; bit < 8 * current.packed_size && bit < 1200; bit++) {
      current.packed[bit / 8] ^= (unsigned char)(1 << bit % 8);
      mica_status status = inflate_tightly(current.packed, current.packed_size, current.size, NULL);
      if (status != MICA_OK) refused++;
      /* Bits that say nothing exist, as in the padding before a stored block, but few. */
      else if (memcmp(unpacked, current.plain, current.size) == 0)
        harmless++;
      flipped++;
      current.packed[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
  }
  CHECK(flipped > 10000 && refused > flipped / 10 && harmless < flipped / 50);
  free(text);
}

/* Streams that are wrong in a way of their own, and what is said about each. Bits go lowest
 * first. */
TEST(wrong_streams) {
  static const struct {
    const char *hex, *message;
    size_t size;
  } cases[] = {
      {"07", "undefined kind of block", 0},
      {"0100000000", "length is damaged", 0},
      {"010100feff", "data ends early", 1},
      {"010100feff41", "longer than announced", 0},
      {"0300", "shorter than announced", 1},
      {"030000", "shorter than announced", 1},
      {"4b04", "data ends early", 2},
      {"1b0300", "undefined code", 3},           /* fixed codes: symbol 286 */
      {"0302", "before the beginning", 3},       /* fixed codes: a match as the first symbol */
      {"fd00000000000000", "too many codes", 0}, /* 288 length codes */
      {"0500000000000000", "code of the code lengths", 0},
      {"", "data ends early", 0},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    unsigned char packed[32];
    mica_error error = {0};
    size_t size = testing_from_hex(cases[i].hex, packed, sizeof(packed));
    mica_status status = inflate_tightly(packed, size, cases[i].size, &error);
    if (status != MICA_DATA_LOSS || strstr(error.message, cases[i].message) == NULL)
      CHECK_FAIL("%s: status %d, %s", cases[i].hex, (int)status, error.message);
  }
}

TEST(crc_vectors) {
  CHECK_EQ_BITS(mica_crc32(0, NULL, 0), 0);
  CHECK_EQ_BITS(mica_crc32(0, "123456789", 9), 0xCBF43926); /* the catalogs' check value */
  static unsigned char bytes[5000];
  for (int i = 0; i < 5000; i++) bytes[i] = (unsigned char)(i * 37);
  uint32_t whole = 0;
  for (int i = 0; i < 5000; i += 50) whole = mica_crc32(whole, bytes + i, 50);
  for (size_t cut = 0; cut <= 5000; cut += 7)
    CHECK_EQ_BITS(mica_crc32(mica_crc32(0, bytes, cut), bytes + cut, 5000 - cut), whole);
}

TEST_MAIN(TEST_CASE(what_zlib_deflated), TEST_CASE(damaged_data), TEST_CASE(wrong_streams),
          TEST_CASE(crc_vectors))
