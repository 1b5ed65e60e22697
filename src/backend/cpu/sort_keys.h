/* SPDX-License-Identifier: Apache-2.0 */
/* sort_keys.h: lines of elements as unsigned integers in the same order, and sorting those.
 *
 * A key keeps an element's order and nothing else: all NaN have the largest key, -0 that of 0.
 * Narrow keys are of dtypes up to 32 bits, wide ones of 64. Sorted along with its place in the line,
 * a narrow key is the upper half of a word, a wide one has a pair. All sorts are stable, so that
 * every way to cut the work gives the same result. */
#ifndef MICA_BACKEND_CPU_SORT_KEYS_H
#define MICA_BACKEND_CPU_SORT_KEYS_H
#include "backend/cpu/kernels/kernels.h"
#include "mica/core.h"

typedef struct {
  uint64_t key, place;
} mica_sort_pair;

/* Bits of the keys of a dtype: 8, 16, 32 or 64; 0: it has no order. */
int32_t mica_sort_key_bits(mica_dtype dtype);
/* Keys of `count` elements; `backwards` turns the order around. False: some elements have the key
 * of others, so that they cannot be made from it again. */
bool mica_sort_load_narrow(mica_dtype dtype, const void *line, int64_t count, bool backwards,
                           uint32_t *keys);
bool mica_sort_load_wide(mica_dtype dtype, const void *line, int64_t count, bool backwards,
                         uint64_t *keys);
/* The elements that have those keys. */
void mica_sort_store_narrow(mica_dtype dtype, const uint32_t *keys, int64_t count, bool backwards,
                            void *line);
void mica_sort_store_wide(mica_dtype dtype, const uint64_t *keys, int64_t count, bool backwards,
                          void *line);

/* Radix sorts (Knuth, The Art of Computer Programming 3, 5.2.5) of a[count] by the lowest `bits` of
 * its keys, with b[count] to move to. The result is in the array that is returned. A long line is
 * cut into `parts` that the threads share; `counts` has room for parts * 256 numbers (NULL with one
 * part). Fewer than 2^32 elements. */
enum { MICA_SORT_PARTS = 16 };
uint32_t *mica_sort_narrow(const mica_parallel *parallel, int64_t parts, uint32_t *a, uint32_t *b,
                           int64_t count, int32_t bits, uint32_t *counts);
uint64_t *mica_sort_wide(const mica_parallel *parallel, int64_t parts, uint64_t *a, uint64_t *b,
                         int64_t count, int32_t bits, uint32_t *counts);
/* Words whose upper halves are the keys. */
uint64_t *mica_sort_placed(const mica_parallel *parallel, int64_t parts, uint64_t *a, uint64_t *b,
                           int64_t count, int32_t bits, uint32_t *counts);
mica_sort_pair *mica_sort_pairs(const mica_parallel *parallel, int64_t parts, mica_sort_pair *a,
                                mica_sort_pair *b, int64_t count, int32_t bits, uint32_t *counts);
/* By key, then place; on one thread. */
mica_sort_pair *mica_sort_order_pairs(mica_sort_pair *a, mica_sort_pair *b, int64_t count);

/* Moves the `k` least of a[count] (by key, then place; all differ) to the front, in any order, in
 * time linear in count; b[count] is scratch. */
void mica_sort_select_placed(uint64_t *a, uint64_t *b, int64_t count, int64_t k);
void mica_sort_select_pairs(mica_sort_pair *a, mica_sort_pair *b, int64_t count, int64_t k);

#endif
