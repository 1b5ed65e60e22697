/* SPDX-License-Identifier: Apache-2.0 */
/* Checked sizes, the allocator's calls, growing arrays and the arena. */
#include "check.h"
#include "core/memory.h"
#include "testing_allocator.h"

TEST(checked_sizes) {
  size_t size = 7;
  CHECK(mica_size_multiply(SIZE_MAX / 3, 3, &size));
  CHECK(!mica_size_multiply(SIZE_MAX / 3 + 1, 3, &size));
  CHECK_EQ_BITS(size, SIZE_MAX / 3 * 3);
  CHECK(mica_size_add(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
  CHECK(!mica_size_add(SIZE_MAX, 1, &size) && size == SIZE_MAX);
  CHECK(mica_size_align(65, 64, &size) && size == 128);
  CHECK(mica_size_align(64, 64, &size) && size == 64);
  CHECK(!mica_size_align(SIZE_MAX, 64, &size) && size == 64);
  int64_t number = 5;
  CHECK(!mica_i64_multiply(INT64_MAX, 2, &number) && number == 5);
  CHECK(!mica_i64_multiply(INT64_MIN, -1, &number) && number == 5);
  CHECK(mica_i64_multiply(INT64_MIN, 1, &number) && number == INT64_MIN);
  CHECK(!mica_i64_add(INT64_MAX, 1, &number) && number == INT64_MIN);
}

static void check_calls(const mica_allocator *allocator) {
  unsigned char *a = mica_allocate(allocator, 100);
  unsigned char *z = mica_allocate_zeroed(allocator, 10, 10);
  unsigned char *l = mica_allocate_aligned(allocator, 100, 256);
  if (!CHECK(a != NULL && z != NULL && l != NULL)) return;
  CHECK_EQ_INT((uintptr_t)a % _Alignof(max_align_t), 0);
  CHECK_EQ_INT((uintptr_t)l % 256, 0);
  for (int i = 0; i < 100; i++) CHECK_EQ_INT(z[i], 0);
  memset(a, 7, 100);
  a = mica_reallocate(allocator, a, 100, 1000);
  if (!CHECK(a != NULL)) return;
  CHECK(a[0] == 7 && a[99] == 7);
  a = mica_reallocate(allocator, a, 1000, 10);
  CHECK(a != NULL && a[9] == 7);
  mica_free(allocator, a, 10);
  mica_free(allocator, z, 100);
  mica_free_aligned(allocator, l, 100, 256);
  void *nothing = mica_allocate(allocator, 0);
  CHECK(nothing != NULL);
  mica_free(allocator, nothing, 0);
  mica_free(allocator, NULL, 0);
  CHECK(mica_allocate_zeroed(allocator, SIZE_MAX, 2) == NULL);
}

TEST(allocator_calls) {
  testing_allocator state = {0};
  mica_allocator own = testing_allocator_value(&state), libc = {0};
  check_calls(NULL);
  check_calls(&libc);
  check_calls(&own);
  CHECK(state.calls > 0);
  CHECK_EQ_INT(state.live, 0);
  CHECK_EQ_INT(state.live_bytes, 0);
}

static bool grow_array(const mica_allocator *allocator, void *context) {
  int64_t *items = NULL;
  uint32_t capacity = 0;
  bool worked = true;
  int64_t count = *(const int64_t *)context;
  for (int64_t i = 0; i < count && worked; i++) {
    worked = mica_grow(allocator, &items, &capacity, (size_t)i + 1, sizeof(*items));
    if (worked) items[i] = i;
  }
  for (int64_t i = 0; i < count && worked; i++) CHECK_EQ_INT(items[i], i);
  mica_free(allocator, items, capacity * sizeof(*items));
  return worked;
}

TEST(arrays_grow) {
  int64_t count = 1000;
  /* 8, 16, ... 1024: doubling, not one at a time. */
  CHECK_EQ_INT(testing_sweep(grow_array, &count), 8);
  void *items = NULL;
  uint32_t capacity = 0;
  CHECK(!mica_grow(NULL, &items, &capacity, (size_t)UINT32_MAX + 1, 1));
  CHECK(!mica_grow(NULL, &items, &capacity, UINT32_MAX, SIZE_MAX / 2));
  CHECK(items == NULL && capacity == 0);
}

static bool fill_arena(const mica_allocator *allocator, void *context) {
  (void)context;
  mica_arena arena;
  mica_arena_init(&arena, allocator);
  bool worked = true;
  unsigned char *pieces[200];
  size_t sizes[200];
  for (size_t i = 0; i < 200 && worked; i++) {
    sizes[i] = i * i % 977;
    pieces[i] = mica_arena_allocate(&arena, sizes[i]);
    worked = pieces[i] != NULL;
    if (!worked) break;
    CHECK_EQ_INT((uintptr_t)pieces[i] % 16, 0);
    memset(pieces[i], (int)i, sizes[i]);
  }
  for (size_t i = 0; i < 200 && worked; i++)
    for (size_t j = 0; j < sizes[i]; j++)
      if (pieces[i][j] != (unsigned char)i) worked = CHECK_FAIL("piece %zu was overwritten", i);
  char *text = worked ? mica_arena_text(&arena, "mica") : NULL;
  unsigned char *zeros = worked ? mica_arena_allocate_zeroed(&arena, 50, 3) : NULL;
  void *large = worked ? mica_arena_allocate(&arena, 3 << 20) : NULL;
  worked = worked && text != NULL && zeros != NULL && large != NULL;
  if (worked) {
    CHECK_EQ_STR(text, "mica");
    for (int i = 0; i < 150; i++) CHECK_EQ_INT(zeros[i], 0);
  }
  mica_arena_deinit(&arena);
  mica_arena_deinit(&arena); /* again is harmless */
  return worked;
}

TEST(arena) {
  CHECK(testing_sweep(fill_arena, NULL) >= 3);
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  CHECK(mica_arena_allocate(&arena, SIZE_MAX - 8) == NULL);
  CHECK(mica_arena_allocate_zeroed(&arena, SIZE_MAX, SIZE_MAX) == NULL);
  CHECK(mica_arena_text(&arena, NULL) == NULL);
  CHECK(mica_arena_copy(&arena, NULL, 0) != NULL);
  mica_arena_deinit(&arena);
}

TEST(arena_reset_keeps_one_block) {
  testing_allocator state = {0};
  mica_allocator own = testing_allocator_value(&state);
  mica_arena arena;
  mica_arena_init(&arena, &own);
  mica_arena_reset(&arena); /* of an empty one */
  for (int i = 0; i < 1000; i++) CHECK(mica_arena_allocate(&arena, 100) != NULL);
  mica_arena_reset(&arena);
  CHECK_EQ_INT(state.live, 1);
  int64_t calls = state.calls;
  for (int i = 0; i < 100; i++) CHECK(mica_arena_allocate(&arena, 100) != NULL);
  CHECK_EQ_INT(state.calls, calls);
  mica_arena_deinit(&arena);
  CHECK_EQ_INT(state.live, 0);
}

TEST_MAIN(TEST_CASE(checked_sizes), TEST_CASE(allocator_calls), TEST_CASE(arrays_grow),
          TEST_CASE(arena), TEST_CASE(arena_reset_keeps_one_block))
