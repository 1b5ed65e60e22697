/* SPDX-License-Identifier: Apache-2.0 */
/* IDX files as they are and damaged, SHA-256 against the standard's vectors, shuffling, gathering
 * of rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/inflate.h"
#include "mica/data.h"

static const unsigned char small[] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6};

TEST(idx_parses) {
  mica_tensor *t = NULL;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_idx_parse(small, sizeof small, &t, &error), &error)) return;
  mica_type type = mica_tensor_type(t);
  CHECK_EQ_INT(type.dtype, MICA_U8);
  CHECK(mica_shape_equal(type.shape, MICA_DIMS(2, 3)));
  CHECK_EQ_BYTES(mica_tensor_data(t), small + 12, 6);
  mica_tensor_release(t);
  /* big-endian words of 4 bytes */
  const unsigned char words[] = {0, 0, 0x0c, 1, 0, 0, 0, 2, 0, 0, 1, 2, 0xff, 0xff, 0xff, 0xfe};
  if (!CHECK_OK_ERROR(mica_idx_parse(words, sizeof words, &t, &error), &error)) return;
  double values[2];
  CHECK_OK(mica_tensor_read_doubles(t, values, 2, &error));
  CHECK_NEAR(values[0], 258, 0);
  CHECK_NEAR(values[1], -2, 0);
  mica_tensor_release(t);
}

/* Every prefix, and every byte changed in turn: refused with a message or read as what it then
 * says. */
TEST(idx_survives_damage) {
  for (size_t size = 0; size < sizeof small; size++) {
    mica_tensor *t = NULL;
    mica_error error = {0};
    CHECK(mica_idx_parse(small, size, &t, &error) == MICA_DATA_LOSS && !t && *error.message);
  }
  for (size_t at = 0; at < sizeof small; at++)
    for (int bit = 0; bit < 8; bit++) {
      unsigned char bytes[sizeof small];
      memcpy(bytes, small, sizeof small);
      bytes[at] ^= (unsigned char)(1 << bit);
      mica_tensor *t = NULL;
      mica_error error = {0};
      mica_status status = mica_idx_parse(bytes, sizeof bytes, &t, &error);
      CHECK((status == MICA_OK) == (t != NULL));
      CHECK(at >= 12 ? status == MICA_OK : true);
      mica_tensor_release(t);
    }
  mica_tensor *t = NULL;
  mica_error error = {0};
  const unsigned char huge[] = {0,    0,    8,    3,    0xff, 0xff, 0xff, 0xff,
                                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  CHECK_STATUS(mica_idx_parse(huge, sizeof huge, &t, &error), MICA_DATA_LOSS);
  CHECK_STATUS(mica_idx_parse(NULL, 0, &t, &(mica_error){0}), MICA_INVALID);
}

/* gzip around a stored DEFLATE block, made by hand (RFC 1951, 3.2.4; RFC 1952). */
TEST(idx_reads_gzip) {
  unsigned char file[64] = {
      0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, 'n', 0, 1, sizeof small, 0, (unsigned char)~sizeof small,
      0xff};
  size_t at = 17;
  memcpy(file + at, small, sizeof small);
  at += sizeof small;
  uint32_t crc = mica_crc32(0, small, sizeof small);
  for (int i = 0; i < 4; i++) file[at++] = (unsigned char)(crc >> (8 * i));
  file[at++] = sizeof small;
  at += 3;
  mica_tensor *t = NULL;
  mica_error error = {0};
  if (!CHECK_OK_ERROR(mica_idx_parse(file, at, &t, &error), &error)) return;
  CHECK_EQ_BYTES(mica_tensor_data(t), small + 12, 6);
  mica_tensor_release(t);
  for (size_t k = 0; k < at;
       k++) { /* each byte spoiled: never a crash; the contents are covered by the checksum */
    unsigned char kept = file[k];
    file[k] ^= 0x55;
    mica_error why = {0};
    mica_status status = mica_idx_parse(file, at, &t, &why);
    if (k >= 17 && k < 17 + sizeof small) CHECK(status == MICA_DATA_LOSS);
    mica_tensor_release(t);
    file[k] = kept;
  }
  for (size_t size = 0; size < at; size++)
    CHECK(mica_idx_parse(file, size, &t, &(mica_error){0}) != MICA_OK);
}

TEST(files_that_are_missing) {
  mica_tensor *t = NULL;
  mica_error error = {0};
  CHECK_STATUS(mica_idx_load("no/such/file", &t, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "no/such/file");
  CHECK_STATUS(mica_idx_load(NULL, &t, &(mica_error){0}), MICA_IO);
}

TEST(sha256_of_the_standard) { /* FIPS 180-4 example values, NIST */
  char hex[65];
  mica_sha256("abc", 3, hex);
  CHECK_EQ_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  mica_sha256("", 0, hex);
  CHECK_EQ_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  mica_sha256(two, strlen(two), hex);
  CHECK_EQ_STR(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  char *million = malloc(1000000);
  memset(million, 'a', 1000000);
  mica_sha256(million, 1000000, hex);
  CHECK_EQ_STR(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  free(million);
}

TEST(shuffles_are_permutations) {
  enum { N = 1000 };
  int64_t a[N], b[N], c[N];
  mica_shuffle(7, 0, N, a), mica_shuffle(7, 0, N, b), mica_shuffle(7, 1, N, c);
  CHECK_EQ_BYTES(a, b, sizeof a);
  CHECK(memcmp(a, c, sizeof a) != 0);
  bool seen[N] = {false};
  int64_t in_place = 0;
  for (int i = 0; i < N; i++) {
    CHECK(a[i] >= 0 && a[i] < N && !seen[a[i]]);
    seen[a[i]] = true;
    in_place += a[i] == i;
  }
  CHECK(in_place < 10); /* about 1 is expected; 10 or more has a probability below 1e-6 */
  mica_shuffle(7, 0, 0, a), mica_shuffle(7, 0, 1, a);
  CHECK_EQ_INT(a[0], 0);
}

TEST(rows_are_gathered) {
  mica_tensor *source =
      mica_tensor_from(MICA_U8, MICA_DIMS(4, 2), (unsigned char[]){1, 2, 3, 4, 5, 6, 7, 8});
  mica_tensor *batch = mica_tensor_from(MICA_F32, MICA_DIMS(2, 2), NULL);
  mica_error error = {0};
  CHECK_OK_ERROR(mica_gather_rows(source, (int64_t[]){3, 0}, 2, batch, &error), &error);
  CHECK_EQ_BYTES(mica_tensor_data(batch), ((float[]){7, 8, 1, 2}), 16);
  CHECK_STATUS(mica_gather_rows(source, (int64_t[]){4, 0}, 2, batch, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "row 4 of 4");
  CHECK_STATUS(mica_gather_rows(source, (int64_t[]){0}, 1, batch, &(mica_error){0}), MICA_INVALID);
  CHECK_STATUS(mica_gather_rows(NULL, (int64_t[]){0}, 1, batch, &(mica_error){0}), MICA_INVALID);
  mica_tensor_release(source), mica_tensor_release(batch);
}

TEST_MAIN(TEST_CASE(idx_parses), TEST_CASE(idx_survives_damage), TEST_CASE(idx_reads_gzip),
          TEST_CASE(files_that_are_missing), TEST_CASE(sha256_of_the_standard),
          TEST_CASE(shuffles_are_permutations), TEST_CASE(rows_are_gathered))
