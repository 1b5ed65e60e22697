/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: the allocator's one function behind small calls, growing arrays, and the arena.
 *
 * The default allocator is the C library's; alignments above max_align_t go through posix_memalign,
 * whose memory free() takes as well. Under AddressSanitizer an arena keeps a poisoned gap behind
 * each allocation, so that running off the end of one is found as it would be with malloc. */
#include "core/memory.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define MICA_ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MICA_ARENA_POISONS 1
#endif
#endif
#ifdef MICA_ARENA_POISONS
#include <sanitizer/asan_interface.h>
#endif

enum { NATURAL_ALIGNMENT = _Alignof(max_align_t) };

/* Nothing in the library resizes a block of larger alignment. */
static void *allocate_from_libc(void *old, size_t new_size, size_t alignment) {
  if (new_size == 0) {
    free(old);
    return NULL;
  }
  if (alignment <= NATURAL_ALIGNMENT) return realloc(old, new_size);
  void *memory = NULL;
  return old == NULL && posix_memalign(&memory, alignment, new_size) == 0 ? memory : NULL;
}

static void *allocator_call(const mica_allocator *allocator, void *old, size_t old_size,
                            size_t new_size, size_t alignment) {
  if (allocator == NULL || allocator->allocate == NULL)
    return allocate_from_libc(old, new_size, alignment);
  return allocator->allocate(allocator->self, old, old_size, new_size, alignment);
}

void *mica_allocate(const mica_allocator *allocator, size_t size) {
  return allocator_call(allocator, NULL, 0, size == 0 ? 1 : size, NATURAL_ALIGNMENT);
}

void *mica_allocate_zeroed(const mica_allocator *allocator, size_t count, size_t size) {
  size_t bytes;
  if (!mica_size_multiply(count, size, &bytes)) return NULL;
  void *memory = mica_allocate(allocator, bytes);
  if (memory != NULL) memset(memory, 0, bytes);
  return memory;
}

void *mica_allocate_aligned(const mica_allocator *allocator, size_t size, size_t alignment) {
  return allocator_call(allocator, NULL, 0, size == 0 ? 1 : size, alignment);
}

void *mica_reallocate(const mica_allocator *allocator, void *old, size_t old_size,
                      size_t new_size) {
  if (old == NULL) return mica_allocate(allocator, new_size);
  return allocator_call(allocator, old, old_size == 0 ? 1 : old_size, new_size == 0 ? 1 : new_size,
                        NATURAL_ALIGNMENT);
}

void mica_free(const mica_allocator *allocator, void *memory, size_t size) {
  mica_free_aligned(allocator, memory, size, NATURAL_ALIGNMENT);
}

void mica_free_aligned(const mica_allocator *allocator, void *memory, size_t size,
                       size_t alignment) {
  if (memory != NULL) allocator_call(allocator, memory, size == 0 ? 1 : size, 0, alignment);
}

bool mica_grow(const mica_allocator *allocator, void *items_pointer, uint32_t *capacity,
               size_t needed, size_t item_size) {
  if (needed <= *capacity) return true;
  if (needed > UINT32_MAX) return false;
  size_t wanted = *capacity == 0 ? 8 : (size_t)*capacity;
  while (wanted < needed) wanted = wanted > UINT32_MAX / 2 ? UINT32_MAX : wanted * 2;
  size_t bytes;
  if (!mica_size_multiply(wanted, item_size, &bytes)) return false;
  /* The array's pointer has the caller's own type: copying its bytes keeps to the aliasing
   * rules. */
  void *items;
  memcpy(&items, items_pointer, sizeof(items));
  void *grown = mica_reallocate(allocator, items, *capacity * item_size, bytes);
  if (grown == NULL) return false;
  memcpy(items_pointer, &grown, sizeof(grown));
  *capacity = (uint32_t)wanted;
  return true;
}

void mica_copy_options(void *copy, size_t size, const void *given) {
  memset(copy, 0, size);
  if (given == NULL) return;
  size_t given_size;
  memcpy(&given_size, given, sizeof(given_size));
  memcpy(copy, given, given_size == 0 || given_size > size ? size : given_size);
}

/* ---- arena ----------------------------------------------------------------------------------- */

enum {
  ARENA_ALIGNMENT = 16,
  ARENA_FIRST_BLOCK = 4096,
  ARENA_LARGEST_BLOCK = 1 << 20, /* blocks double up to here; a larger request gets its own */
#ifdef MICA_ARENA_POISONS
  ARENA_GAP = 16
#else
  ARENA_GAP = 0
#endif
};

struct mica_arena_block {
  mica_arena_block *next; /* older */
  size_t size;            /* of the whole block, this header included */
};

enum {
  ARENA_HEADER =
      (sizeof(mica_arena_block) + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT
};

static void arena_poison(mica_arena_block *block) {
#ifdef MICA_ARENA_POISONS
  ASAN_POISON_MEMORY_REGION((char *)block + ARENA_HEADER, block->size - ARENA_HEADER);
#else
  (void)block;
#endif
}

static void arena_block_free(mica_arena *arena, mica_arena_block *block) {
#ifdef MICA_ARENA_POISONS
  ASAN_UNPOISON_MEMORY_REGION(block, block->size);
#endif
  mica_free(&arena->allocator, block, block->size);
}

void mica_arena_init(mica_arena *arena, const mica_allocator *allocator) {
  *arena = (mica_arena){0};
  if (allocator != NULL) arena->allocator = *allocator;
}

void mica_arena_deinit(mica_arena *arena) {
  for (mica_arena_block *block = arena->head; block != NULL;) {
    mica_arena_block *next = block->next;
    arena_block_free(arena, block);
    block = next;
  }
  arena->head = NULL;
  arena->used = arena->capacity = 0;
}

void mica_arena_reset(mica_arena *arena) {
  mica_arena_block *largest = arena->head;
  for (mica_arena_block *block = arena->head; block != NULL; block = block->next)
    if (block->size > largest->size) largest = block;
  for (mica_arena_block *block = arena->head; block != NULL;) {
    mica_arena_block *next = block->next;
    if (block != largest) arena_block_free(arena, block);
    block = next;
  }
  arena->head = largest;
  arena->used = largest == NULL ? 0 : ARENA_HEADER;
  arena->capacity = largest == NULL ? 0 : largest->size;
  if (largest != NULL) {
    largest->next = NULL;
    arena_poison(largest);
  }
}

/* A new head block with room for `needed` bytes (a multiple of the alignment). */
static bool arena_grow(mica_arena *arena, size_t needed) {
  size_t size = arena->capacity == 0 ? ARENA_FIRST_BLOCK : arena->capacity;
  if (arena->capacity != 0 && size < ARENA_LARGEST_BLOCK) size *= 2;
  if (size > ARENA_LARGEST_BLOCK) size = ARENA_LARGEST_BLOCK;
  size_t least;
  if (!mica_size_add(needed, ARENA_HEADER, &least)) return false;
  if (size < least) size = least;
  mica_arena_block *block = mica_allocate(&arena->allocator, size);
  if (block == NULL) return false;
  *block = (mica_arena_block){.next = arena->head, .size = size};
  arena_poison(block);
  arena->head = block;
  arena->used = ARENA_HEADER;
  arena->capacity = size;
  return true;
}

void *mica_arena_allocate(mica_arena *arena, size_t size) {
  size_t padded, needed;
  if (!mica_size_add(size == 0 ? 1 : size, ARENA_GAP, &padded)) return NULL;
  if (!mica_size_align(padded, ARENA_ALIGNMENT, &needed)) return NULL;
  if (needed > arena->capacity - arena->used && !arena_grow(arena, needed)) return NULL;
  void *memory = (char *)arena->head + arena->used;
  arena->used += needed;
#ifdef MICA_ARENA_POISONS
  ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
  return memory;
}

void *mica_arena_allocate_zeroed(mica_arena *arena, size_t count, size_t size) {
  size_t bytes;
  if (!mica_size_multiply(count, size, &bytes)) return NULL;
  void *memory = mica_arena_allocate(arena, bytes);
  if (memory != NULL) memset(memory, 0, bytes);
  return memory;
}

void *mica_arena_copy(mica_arena *arena, const void *bytes, size_t size) {
  void *memory = mica_arena_allocate(arena, size);
  if (memory != NULL && size > 0) memcpy(memory, bytes, size);
  return memory;
}

char *mica_arena_text(mica_arena *arena, const char *text) {
  return text == NULL ? NULL : mica_arena_copy(arena, text, strlen(text) + 1);
}

#undef MICA_ARENA_POISONS
