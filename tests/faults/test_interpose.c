/* SPDX-License-Identifier: Apache-2.0 */
/* The interposer itself: that it sees every kind of call, from here and from inside the C library, and
 * that exactly the chosen ones fail. Sweeps rest on it, so it is tested before them. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "interpose.h"

static void *nothing(void *argument) { return argument; }

/* One call of each kind; bit i of the result says whether call i worked. Volatile pointers keep the
 * compiler from leaving out allocations that nobody uses. */
static unsigned call_each(void) {
  unsigned worked = 0;
  void *volatile block = malloc(10);
  if (block) worked |= 1u;
  free(block);
  block = calloc(3, 5);
  if (block) worked |= 2u;
  void *volatile grown = realloc(block, 100);
  if (grown) worked |= 4u;
  free(grown ? grown : block);
  block = aligned_alloc(64, 128);
  if (block) worked |= 8u;
  free(block);
  void *aligned = NULL;
  if (posix_memalign(&aligned, 64, 100) == 0) worked |= 16u;
  free(aligned);
  void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map != MAP_FAILED) {
    worked |= 32u;
    munmap(map, 4096);
  }
  return worked;
}

TEST(every_kind_is_counted) {
  fault_begin(FAULT_NONE, 0);
  unsigned worked = call_each();
  fault_end();
  CHECK_EQ_BITS(worked, 63u);
  CHECK_EQ_INT(fault_count(), 6);
  CHECK_EQ_INT(fault_failed_count(), 0);
  CHECK_EQ_INT(fault_live_blocks(), 0);
}

TEST(one_call_fails_alone) {
  for (int n = 1; n <= 7; n++) {
    fault_begin(FAULT_ONE, n);
    unsigned worked = call_each();
    fault_end();
    unsigned expected = 63u & ~(1u << (n - 1));
    CHECK_EQ_BITS(worked, expected);
    CHECK_EQ_INT(fault_count(), 6);
    CHECK_EQ_INT(fault_failed_count(), n <= 6 ? 1 : 0);
    CHECK_EQ_INT(fault_live_blocks(), 0);
  }
}

TEST(all_calls_fail_from_one_on) {
  for (int n = 1; n <= 7; n++) {
    fault_begin(FAULT_FROM, n);
    unsigned worked = call_each();
    fault_end();
    CHECK_EQ_BITS(worked, (1u << (n - 1)) - 1u);
    CHECK_EQ_INT(fault_failed_count(), 7 - n);
    CHECK_EQ_INT(fault_live_blocks(), 0);
  }
}

TEST(failures_set_errno_and_keep_the_block) {
  char *volatile block =
      malloc(8); /* volatile: gcc takes every realloc for one that moved the block */
  if (!CHECK(block)) return;
  memcpy(block, "kept", 5);
  errno = 0;
  fault_begin(FAULT_FROM, 1);
  char *volatile grown = realloc(block, 1 << 20);
  int number = errno;
  fault_end();
  CHECK(!grown);
  CHECK_EQ_INT(number, ENOMEM);
  CHECK_EQ_STR(block, "kept");
  free(block);
}

TEST(kinds_are_chosen) {
  fault_begin_kinds(FAULT_FROM, 1, FAULT_MAP);
  unsigned worked = call_each();
  fault_end();
  CHECK_EQ_BITS(worked, 31u);
  CHECK_EQ_INT(fault_count(), 1);
}

TEST(thread_creation_fails) {
  pthread_t thread;
  fault_begin_kinds(FAULT_ONE, 1, FAULT_THREAD);
  int first = pthread_create(&thread, NULL, nothing, NULL);
  int second = pthread_create(&thread, NULL, nothing, NULL);
  fault_end();
  CHECK_EQ_INT(first, EAGAIN);
  if (CHECK_EQ_INT(second, 0)) pthread_join(thread, NULL);
  CHECK_EQ_INT(fault_count(), 2);
}

static void *allocate_in_thread(void *argument) {
  void *volatile block = malloc(32);
  int64_t missing = block ? 0 : 1;
  free(block);
  memcpy(argument, &missing, sizeof missing);
  return NULL;
}

TEST(other_threads_are_seen) {
  pthread_t thread;
  int64_t missing = 0;
  fault_begin_kinds(FAULT_FROM, 1, FAULT_MEMORY);
  fault_end();
  if (!CHECK_EQ_INT(pthread_create(&thread, NULL, nothing, NULL), 0)) return;
  pthread_join(thread, NULL);
  /* The thread's own stack is mapped before the faults begin in the thread: only its malloc counts. */
  fault_begin_kinds(FAULT_NONE, 0, FAULT_MEMORY);
  int status = pthread_create(&thread, NULL, allocate_in_thread, &missing);
  if (status == 0) pthread_join(thread, NULL);
  fault_end();
  int64_t total = fault_count();
  CHECK_EQ_INT(status, 0);
  CHECK(total >= 1);
  fault_begin_kinds(FAULT_ONE, total, FAULT_MEMORY);
  status = pthread_create(&thread, NULL, allocate_in_thread, &missing);
  if (status == 0) pthread_join(thread, NULL);
  fault_end();
  CHECK_EQ_INT(status, 0);
  CHECK_EQ_INT(missing, 1);
}

TEST(the_c_library_is_seen) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  CHECK_SKIP("a sanitizer allocates for the C library by itself");
#else
  fault_begin(FAULT_FROM, 1);
  FILE *file = fopen("/dev/null", "r");
  fault_end();
  CHECK(!file);
  CHECK(fault_failed_count() >= 1);
  if (file) fclose(file);
#endif
}

TEST(nothing_is_counted_outside) {
  fault_begin(FAULT_FROM, 1);
  fault_end();
  CHECK_EQ_BITS(call_each(), 63u);
  CHECK_EQ_INT(fault_count(), 0);
}

TEST_MAIN(TEST_CASE(every_kind_is_counted), TEST_CASE(one_call_fails_alone),
          TEST_CASE(all_calls_fail_from_one_on), TEST_CASE(failures_set_errno_and_keep_the_block),
          TEST_CASE(kinds_are_chosen), TEST_CASE(thread_creation_fails),
          TEST_CASE(other_threads_are_seen), TEST_CASE(the_c_library_is_seen),
          TEST_CASE(nothing_is_counted_outside))
