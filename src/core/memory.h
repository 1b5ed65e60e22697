/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h: checked sizes, the allocator calls, and the arena that everything short-lived comes
 * from. */
#ifndef MICA_CORE_MEMORY_H
#define MICA_CORE_MEMORY_H
#include "mica/core.h"

enum { MICA_ALIGNMENT = 64 }; /* of tensor data and arenas: a cache line, the widest vector */

/* Checked arithmetic: false on overflow, *out then unchanged. */
static inline bool mica_size_multiply(size_t a, size_t b, size_t *out) {
  size_t product;
  if (__builtin_mul_overflow(a, b, &product)) return false;
  *out = product;
  return true;
}
static inline bool mica_size_add(size_t a, size_t b, size_t *out) {
  size_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *out = sum;
  return true;
}
static inline bool mica_i64_multiply(int64_t a, int64_t b, int64_t *out) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return false;
  *out = product;
  return true;
}
static inline bool mica_i64_add(int64_t a, int64_t b, int64_t *out) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *out = sum;
  return true;
}
/* Rounds up to a multiple of `alignment`, a power of two; false on overflow. */
static inline bool mica_size_align(size_t size, size_t alignment, size_t *out) {
  size_t sum;
  if (__builtin_add_overflow(size, alignment - 1, &sum)) return false;
  *out = sum & ~(alignment - 1);
  return true;
}

/* The allocator's one function, with NULL or {0} standing for the C library. Each returns NULL when
 * memory runs out; size 0 is rounded up to 1. Alignment is that of max_align_t unless given. */
void *mica_allocate(const mica_allocator *allocator, size_t size);
void *mica_allocate_zeroed(const mica_allocator *allocator, size_t count,
                           size_t size); /* checked product */
void *mica_allocate_aligned(const mica_allocator *allocator, size_t size, size_t alignment);
void *mica_reallocate(const mica_allocator *allocator, void *old, size_t old_size, size_t new_size);
void mica_free(const mica_allocator *allocator, void *memory, size_t size);
void mica_free_aligned(const mica_allocator *allocator, void *memory, size_t size,
                       size_t alignment);

/* Grows an array of `item_size` elements to hold at least `needed`, doubling; false when memory
 * runs out, the array then as it was. `*items` is NULL and *capacity 0 at first. */
bool mica_grow(const mica_allocator *allocator, void *items_pointer, uint32_t *capacity,
               size_t needed, size_t item_size);

/* Copies an options struct that begins with its size_t struct_size, 0 standing for all of it; what an
 * older caller's lacks is zero, and so is everything where `given` is NULL. */
void mica_copy_options(void *copy, size_t size, const void *given);

/* An arena: bump allocation, freed as a whole. Memory is aligned to 16 and not zeroed. */
typedef struct mica_arena_block mica_arena_block;
typedef struct {
  mica_allocator allocator;
  mica_arena_block *head;
  size_t used, capacity; /* of the head block */
} mica_arena;
void mica_arena_init(mica_arena *arena, const mica_allocator *allocator); /* allocates nothing */
void mica_arena_deinit(mica_arena *arena);
void mica_arena_reset(mica_arena *arena); /* frees all but the largest block */
void *mica_arena_allocate(mica_arena *arena,
                          size_t size); /* NULL when memory runs out; size 0 gives a pointer */
void *mica_arena_allocate_zeroed(mica_arena *arena, size_t count, size_t size);
void *mica_arena_copy(mica_arena *arena, const void *bytes, size_t size);
char *mica_arena_text(mica_arena *arena, const char *text); /* copies a string; NULL for NULL */

#endif
