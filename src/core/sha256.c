/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.c: SHA-256 (FIPS 180-4), by which data files are pinned and checkpoints checked. */
#include "core/sha256.h"

#include <string.h>

static uint32_t sha_rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4,
 * 4.2.2). */
static const uint32_t sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void sha_block(uint32_t state[8], const unsigned char *block) {
  uint32_t w[64], s[8];
  for (int t = 0; t < 16; t++)
    w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
           (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
  for (int t = 16; t < 64; t++) {
    uint32_t a = sha_rotate(w[t - 15], 7) ^ sha_rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
    uint32_t b = sha_rotate(w[t - 2], 17) ^ sha_rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
    w[t] = w[t - 16] + a + w[t - 7] + b;
  }
  memcpy(s, state, sizeof s);
  for (int t = 0; t < 64; t++) {
    uint32_t one = s[7] + (sha_rotate(s[4], 6) ^ sha_rotate(s[4], 11) ^ sha_rotate(s[4], 25)) +
                   ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_constants[t] + w[t];
    uint32_t two = (sha_rotate(s[0], 2) ^ sha_rotate(s[0], 13) ^ sha_rotate(s[0], 22)) +
                   ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof s[0]);
    s[4] += one;
    s[0] = one + two;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

void mica_sha256_begin(mica_sha256_state *sum) {
  static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(sum->state, first, sizeof first);
  sum->size = 0;
}

void mica_sha256_add(mica_sha256_state *sum, const void *bytes, size_t size) {
  const unsigned char *data = bytes;
  size_t kept = (size_t)(sum->size % 64);
  sum->size += size;
  if (kept > 0) {
    size_t taken = size < 64 - kept ? size : 64 - kept;
    if (taken > 0) memcpy(sum->tail + kept, data, taken);
    if (kept + taken < 64) return;
    sha_block(sum->state, sum->tail);
    data += taken, size -= taken;
  }
  for (; size >= 64; size -= 64, data += 64) sha_block(sum->state, data);
  if (size > 0) memcpy(sum->tail, data, size);
}

void mica_sha256_end(mica_sha256_state *sum, char out_hex[65]) {
  size_t left = (size_t)(sum->size % 64), size = left < 56 ? 64 : 128;
  unsigned char last[128] = {0};
  memcpy(last, sum->tail, left);
  last[left] = 0x80;
  uint64_t bits = sum->size * 8;
  for (int i = 0; i < 8; i++) last[size - 1 - (size_t)i] = (unsigned char)(bits >> (8 * i));
  sha_block(sum->state, last);
  if (size == 128) sha_block(sum->state, last + 64);
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 64; i++) out_hex[i] = digits[sum->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
  out_hex[64] = 0;
}

void mica_sha256(const void *bytes, size_t byte_size, char out_hex[65]) {
  mica_sha256_state sum;
  mica_sha256_begin(&sum);
  if (byte_size > 0) mica_sha256_add(&sum, bytes, byte_size);
  mica_sha256_end(&sum, out_hex);
}
