/* SPDX-License-Identifier: Apache-2.0 */
/* Replays the corpora through every fuzz target, without a fuzzer: each file as it is, cut short,
 * and with bytes changed in a way that is the same each time. A new target is a line in the table
 * and its file fuzz_<name>.c. */
#include "check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_TARGETS(X) \
  X(cifar)              \
  X(csv)                \
  X(einsum)             \
  X(events)             \
  X(graph)              \
  X(idx) X(json) X(metrics) X(model) X(npy) X(npz) X(number) X(rearrange) X(safetensors) X(slice)

#define DECLARE(name) void fuzz_##name(const uint8_t *bytes, size_t size);
FUZZ_TARGETS(DECLARE)
#undef DECLARE

enum { FILE_LIMIT = 1 << 20, VARIANTS = 60 };

static uint32_t next_random(uint32_t *state) {
  *state = *state * 1664525 + 1013904223; /* Knuth's and Lewis's */
  return *state >> 8;
}

/* In memory of exactly its size. */
static void feed(void (*target)(const uint8_t *, size_t), const uint8_t *bytes, size_t size) {
  uint8_t *tight = malloc(size == 0 ? 1 : size);
  if (tight == NULL) return;
  memcpy(tight, bytes, size);
  target(tight, size);
  free(tight);
}

static void feed_variants(void (*target)(const uint8_t *, size_t), uint8_t *bytes, size_t size) {
  uint32_t state = (uint32_t)size;
  feed(target, bytes, size);
  if (size == 0) return;
  for (int i = 0; i < VARIANTS; i++) {
    size_t at = next_random(&state) % size;
    uint8_t kept = bytes[at];
    uint32_t changed = i % 3 == 0 ? next_random(&state) : kept ^ 1u << i % 8;
    bytes[at] = (uint8_t)changed;
    feed(target, bytes, i % 5 == 4 ? at : size);
    bytes[at] = kept;
  }
}

/* The file's bytes; 0 and a failure when it cannot be read. */
static size_t read_input(const char *path, uint8_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!CHECK(file != NULL)) return 0;
  size_t size = fread(bytes, 1, FILE_LIMIT, file);
  fclose(file);
  return size;
}

static void replay(const char *name, void (*target)(const uint8_t *, size_t)) {
  static uint8_t bytes[FILE_LIMIT];
  char relative[256], path[2048];
  snprintf(relative, sizeof(relative), "tests/fuzz/corpus/%s", name);
  snprintf(path, sizeof(path), "%s", check_source_path(relative));
  DIR *folder = opendir(path);
  if (!CHECK(folder != NULL)) return;
  int count = 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    char file[4096];
    if (entry->d_name[0] == '.') continue;
    snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
    feed_variants(target, bytes, read_input(file, bytes));
    count++;
  }
  closedir(folder);
  CHECK(count > 0);
}

#define DEFINE(name) \
  TEST(name) { replay(#name, fuzz_##name); }
FUZZ_TARGETS(DEFINE)
#undef DEFINE

#define ROW(name) TEST_CASE(name),
TEST_MAIN(FUZZ_TARGETS(ROW))
