/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors for philox4x32 with 10 rounds in Random123's kat_vectors. */
#include "check.h"
#include "mica/core.h"

TEST(published_vectors) {
  static const struct {
    uint32_t counter[4], key[2], expected[4];
  } cases[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    uint32_t out[4];
    mica_philox(cases[i].counter, cases[i].key, out);
    CHECK_EQ_BYTES(out, cases[i].expected, sizeof(out));
  }
}

TEST_MAIN(TEST_CASE(published_vectors))
