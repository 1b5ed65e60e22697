/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h: a fuzz target is one file, fuzz_<name>.c, that defines
 *
 *   FUZZ_TARGET(name) { ... uses `bytes` and `size` ... }
 *
 * The bytes lie in memory of their own, so that AddressSanitizer sees a read past them. The target
 * returns nothing: a wrong answer ends the process (FUZZ_REQUIRE), as libFuzzer expects. The tests
 * replay tests/fuzz/corpus/<name>/ through each (test_corpus.c lists them); to search for more,
 * with clang:
 *
 *   clang -DMICA_FUZZER -g -O1 -fsanitize=fuzzer,address,undefined -std=c17 -D_GNU_SOURCE \
 *     -Iinclude -Isrc tests/fuzz/fuzz_json.c $(cat core.sources) -lm -lpthread -o fuzz_json
 *   ./fuzz_json tests/fuzz/corpus/json
 *
 * Targets of ui (events, metrics) need $(cat src/ui/ui.sources) as well. */
#ifndef FUZZ_H
#define FUZZ_H
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef MICA_FUZZER
#define FUZZ_TARGET(name)                                         \
  static void fuzz_##name(const uint8_t *bytes, size_t size);     \
  int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);  \
  int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) { \
    fuzz_##name(bytes, size);                                     \
    return 0;                                                     \
  }                                                               \
  static void fuzz_##name(const uint8_t *bytes, size_t size)
#else
#define FUZZ_TARGET(name)                              \
  void fuzz_##name(const uint8_t *bytes, size_t size); \
  void fuzz_##name(const uint8_t *bytes, size_t size)
#endif

/* What must hold whatever the input is. */
#define FUZZ_REQUIRE(condition) \
  do {                          \
    if (!(condition)) abort();  \
  } while (0)
#endif
