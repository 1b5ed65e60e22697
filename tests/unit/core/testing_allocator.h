/* SPDX-License-Identifier: Apache-2.0 */
/* testing_allocator.h: a mica_allocator that checks what it is told (sizes and alignments of the
 * blocks it gets back), counts, and fails on request: the n-th call that takes memory, or all from
 * the n-th on. */
#ifndef TESTING_ALLOCATOR_H
#define TESTING_ALLOCATOR_H
#include "check.h"
#include "mica/core.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  int64_t calls;   /* that took memory */
  int64_t fail_at; /* 0: never */
  bool fail_after; /* all calls after it as well */
  int64_t live;    /* blocks */
  size_t live_bytes;
} testing_allocator;

/* Stands before each block, at the block's alignment. */
typedef struct {
  void *base;
  size_t size, alignment;
} testing_block;

static inline void *testing_block_new(size_t size, size_t alignment) {
  size_t room = (sizeof(testing_block) + alignment - 1) / alignment * alignment;
  char *base = NULL;
  if (posix_memalign((void **)&base, alignment < 16 ? 16 : alignment, room + size) != 0)
    return NULL;
  testing_block block = {base, size, alignment};
  memcpy(base + room - sizeof(block), &block, sizeof(block));
  memset(base + room, 0xCD, size);
  return base + room;
}

static inline void *testing_allocate(void *self, void *old, size_t old_size, size_t new_size,
                                     size_t alignment) {
  testing_allocator *state = self;
  testing_block block = {0};
  CHECK(alignment > 0 && (alignment & (alignment - 1)) == 0);
  if (old != NULL) {
    memcpy(&block, (char *)old - sizeof(block), sizeof(block));
    CHECK_EQ_INT(block.size, old_size);
    CHECK_EQ_INT(block.alignment, alignment);
  }
  void *memory = NULL;
  if (new_size > 0) {
    state->calls++;
    bool fails = state->fail_at > 0 && (state->calls == state->fail_at ||
                                        (state->fail_after && state->calls > state->fail_at));
    if (fails) return NULL;
    memory = testing_block_new(new_size, alignment);
    if (memory == NULL) return NULL;
    if (old != NULL) memcpy(memory, old, block.size < new_size ? block.size : new_size);
    state->live++;
    state->live_bytes += new_size;
  }
  if (old != NULL) {
    state->live--;
    state->live_bytes -= block.size;
    free(block.base);
  }
  return memory;
}

static inline mica_allocator testing_allocator_value(testing_allocator *state) {
  return (mica_allocator){.allocate = testing_allocate, .self = state};
}

/* Calls `work` with the n-th allocation failing, alone and with all after it, for every n until it
 * needs fewer. `work` returns whether it succeeded and must clean up; it must fail when an
 * allocation did, leave nothing behind, and succeed with the same allocator afterwards. */
static inline int64_t testing_sweep(bool (*work)(const mica_allocator *allocator, void *context),
                                    void *context) {
  int64_t needed = 0;
  for (int64_t n = 1; n < 100000; n++) {
    bool reached = false;
    for (int after = 0; after < 2; after++) {
      testing_allocator state = {.fail_at = n, .fail_after = after == 1};
      mica_allocator allocator = testing_allocator_value(&state);
      bool worked = work(&allocator, context);
      reached = state.calls >= n;
      if (worked == reached)
        CHECK_FAIL("failure of allocation %lld was not reported", (long long)n);
      CHECK_EQ_INT(state.live, 0);
      state.fail_at = 0;
      CHECK(work(&allocator, context));
      CHECK_EQ_INT(state.live, 0);
    }
    if (!reached) break;
    needed = n;
  }
  return needed;
}

#endif
