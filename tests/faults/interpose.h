/* SPDX-License-Identifier: Apache-2.0 */
/* interpose.h: makes allocations, memory maps and thread creations of this process fail on purpose.
 *
 * A program that is linked with interpose.c has its own malloc, calloc, realloc, aligned_alloc,
 * posix_memalign, free, mmap and pthread_create, which pass every call on to the originals (the C
 * library's, or a sanitizer's) and between fault_begin and fault_end count those of all threads and let
 * chosen ones fail, including what the C library allocates for itself (fopen, qsort, ...), but not what a
 * new thread allocates before its function is called. So a count of 0 means that nothing was allocated.
 *
 *   fault_begin(FAULT_NONE, 0);  work();  fault_end();  int64_t total = fault_count();
 *   for (int64_t n = 1; n <= total; n++) { fault_begin(FAULT_ONE, n); work(); fault_end(); ... }
 *
 * Between begin and end nothing may be printed or checked that allocates by itself. Not nested; one
 * thread calls begin and end. */
#ifndef INTERPOSE_H
#define INTERPOSE_H
#include <stdint.h>

typedef enum {
  FAULT_NONE, /* only count */
  FAULT_ONE,  /* the n-th call fails, the others go through */
  FAULT_FROM  /* the n-th call and all after it fail */
} fault_mode;

typedef enum {
  FAULT_MEMORY = 1, /* malloc, calloc, realloc, aligned_alloc, posix_memalign */
  FAULT_MAP = 2,    /* mmap */
  FAULT_THREAD = 4, /* pthread_create */
  FAULT_ALL = 7
} fault_kind;

/* Calls are numbered from 1, over all kinds. */
void fault_begin(fault_mode mode, int64_t n);
/* The same for some kinds (fault_kind values, or-ed): the others are neither counted nor failed. */
void fault_begin_kinds(fault_mode mode, int64_t n, int kinds);
/* Chooses anew which calls fail, numbered from here on; blocks that live go on being counted. */
void fault_again(fault_mode mode, int64_t n);
void fault_end(void);

/* Since the last fault_begin, also after fault_end: how many calls were counted, how many of them were
 * made to fail, and how many blocks of memory were allocated and not freed again (a block that was there
 * before and is freed counts as -1). */
int64_t fault_count(void);
int64_t fault_failed_count(void);
int64_t fault_live_blocks(void);
#endif
