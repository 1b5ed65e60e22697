/* SPDX-License-Identifier: Apache-2.0 */
/* interpose.c: see interpose.h. The definitions below win over those of shared libraries by the rules of
 * ELF, also for calls from inside the C library. The originals have other names by which they are reached:
 * __interceptor_malloc where a sanitizer's runtime is present (a weak reference says so), else
 * __libc_malloc in glibc. Compile this file without sanitizers: ThreadSanitizer allocates before its
 * instrumentation can run. */
#include "interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

static atomic_bool active;
static atomic_int active_mode, active_kinds;
static atomic_llong target, counted, failed, live_blocks;
/* This thread runs the program's own code. Before that, a sanitizer's runtime allocates for a new thread and
 * gives up when it cannot. */
static _Thread_local bool entered;

void fault_begin_kinds(fault_mode mode, int64_t n, int kinds) {
  atomic_store(&active_mode, (int)mode);
  atomic_store(&active_kinds, kinds);
  atomic_store(&target, (long long)n);
  atomic_store(&counted, 0);
  atomic_store(&failed, 0);
  atomic_store(&live_blocks, 0);
  entered = true;
  atomic_store(&active, true);
}

void fault_begin(fault_mode mode, int64_t n) { fault_begin_kinds(mode, n, FAULT_ALL); }
void fault_again(fault_mode mode, int64_t n) {
  atomic_store(&active_mode, FAULT_NONE); /* the rest is not changed all at once */
  atomic_store(&counted, 0);
  atomic_store(&failed, 0);
  atomic_store(&target, (long long)n);
  atomic_store(&active_mode, (int)mode);
}
void fault_end(void) { atomic_store(&active, false); }
int64_t fault_count(void) { return (int64_t)atomic_load(&counted); }
int64_t fault_failed_count(void) { return (int64_t)atomic_load(&failed); }
int64_t fault_live_blocks(void) { return (int64_t)atomic_load(&live_blocks); }

/* Counts a call; true: it has to fail. */
static bool must_fail(fault_kind kind) {
  if (!atomic_load(&active) || !(atomic_load(&active_kinds) & (int)kind) || !entered) return false;
  long long number = atomic_fetch_add(&counted, 1) + 1;
  long long n = atomic_load(&target);
  int mode = atomic_load(&active_mode);
  bool fail = n > 0 && (mode == FAULT_ONE ? number == n : mode == FAULT_FROM && number >= n);
  if (fail) atomic_fetch_add(&failed, 1);
  return fail;
}

static void *born(void *block) {
  if (block && atomic_load(&active)) atomic_fetch_add(&live_blocks, 1);
  return block;
}

/* ---- the originals --------------------------------------------------------------------------- */

#define ORIGINAL(result, name, ...)                                      \
  extern result __interceptor_##name(__VA_ARGS__) __attribute__((weak)); \
  extern result __libc_##name(__VA_ARGS__)
ORIGINAL(void *, malloc, size_t);
ORIGINAL(void *, calloc, size_t, size_t);
ORIGINAL(void *, realloc, void *, size_t);
ORIGINAL(void *, memalign, size_t, size_t);
ORIGINAL(void, free, void *);
#undef ORIGINAL
extern int __interceptor_posix_memalign(void **, size_t, size_t) __attribute__((weak));
extern void *__interceptor_mmap(void *, size_t, int, int, int, off_t) __attribute__((weak));
extern int __interceptor_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                                        void *) __attribute__((weak));

static void *original_malloc(size_t size) {
  return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

static void *original_aligned(size_t alignment, size_t size) {
  if (!__interceptor_posix_memalign) return __libc_memalign(alignment, size);
  void *block = NULL;
  if (alignment < sizeof(void *)) alignment = sizeof(void *);
  return __interceptor_posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static void original_free(void *block) {
  if (__interceptor_free) {
    __interceptor_free(block);
  } else {
    __libc_free(block);
  }
}

typedef struct {
  void *(*start)(void *);
  void *argument;
} thread_start;

static void *enter_thread(void *context) {
  thread_start call = *(thread_start *)context;
  original_free(context);
  entered = true;
  return call.start(call.argument);
}

/* ---- what the program and its libraries call ------------------------------------------------- */

/* Hidden, they would stand in for this program's calls only, not for those of the C library. */
#pragma GCC visibility push(default)

static void *refuse(void) {
  errno = ENOMEM;
  return NULL;
}

void *malloc(size_t size) {
  if (must_fail(FAULT_MEMORY)) return refuse();
  return born(original_malloc(size));
}

void *calloc(size_t count, size_t size) {
  if (must_fail(FAULT_MEMORY)) return refuse();
  return born(__interceptor_calloc ? __interceptor_calloc(count, size)
                                   : __libc_calloc(count, size));
}

void *realloc(void *old, size_t size) {
  if (must_fail(FAULT_MEMORY)) return refuse();
  bool frees = old && size == 0;
  void *block =
      __interceptor_realloc ? __interceptor_realloc(old, size) : __libc_realloc(old, size);
  if (!old) return born(block);
  if (frees && !block && atomic_load(&active)) atomic_fetch_sub(&live_blocks, 1);
  return block;
}

void *aligned_alloc(size_t alignment, size_t size) {
  if (must_fail(FAULT_MEMORY)) return refuse();
  return born(original_aligned(alignment, size));
}

int posix_memalign(void **out_block, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
  if (must_fail(FAULT_MEMORY)) return ENOMEM;
  void *block = born(original_aligned(alignment, size));
  if (!block) return ENOMEM;
  *out_block = block;
  return 0;
}

void free(void *block) {
  if (block && atomic_load(&active)) atomic_fetch_sub(&live_blocks, 1);
  original_free(block);
}

/* The next definition of a symbol after this program's. ISO C has no cast from object to function
 * pointers, hence the copy. */
static void find_next(const char *name, void *out_function, size_t size) {
  void *found = dlsym(RTLD_NEXT, name);
  memcpy(out_function, &found, size);
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  if (must_fail(FAULT_MAP)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  if (__interceptor_mmap) {
    return __interceptor_mmap(address, size, protection, flags, file, offset);
  }
  void *(*next)(void *, size_t, int, int, int, off_t) = NULL;
  find_next("mmap", &next, sizeof next);
  return next(address, size, protection, flags, file, offset);
}

/* The name that mmap has where off_t is asked to have 64 bits. */
void *mmap64(void *address, size_t size, int protection, int flags, int file, off64_t offset) {
  return mmap(address, size, protection, flags, file, (off_t)offset);
}

int pthread_create(pthread_t *out_thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument) {
  if (must_fail(FAULT_THREAD)) return EAGAIN;
  thread_start *call = original_malloc(sizeof *call);
  if (!call) return EAGAIN;
  *call = (thread_start){start, argument};
  int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
      __interceptor_pthread_create;
  if (!create) find_next("pthread_create", &create, sizeof create);
  int code = create(out_thread, attributes, enter_thread, call);
  if (code != 0) original_free(call);
  return code;
}

#pragma GCC visibility pop
