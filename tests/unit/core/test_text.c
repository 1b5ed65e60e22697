/* SPDX-License-Identifier: Apache-2.0 */
/* The growing string. */
#include "check.h"
#include "core/text.h"
#include "testing_allocator.h"

static bool build_text(const mica_allocator *allocator, void *context) {
  (void)context;
  mica_text text;
  mica_text_init(&text, allocator);
  for (int i = 0; i < 100; i++) {
    mica_text_append(&text, "abc");
    mica_text_format(
        &text, "%d:%s;", i,
        i == 50 ? "a string that is longer than what a text has at first, by some" : "x");
    mica_text_append_bytes(&text, "\0z", 2);
    mica_text_double(&text, i / 4.0);
  }
  bool worked = !text.failed;
  if (worked) {
    CHECK_EQ_BYTES(text.data, "abc0:x;\0z0abc1:x;\0z0.25abc2", 27);
    CHECK_EQ_INT(text.data[text.size], 0);
  }
  mica_text_deinit(&text);
  CHECK(text.data == NULL && text.size == 0);
  return worked;
}

TEST(grows_or_fails_for_good) { CHECK(testing_sweep(build_text, NULL) >= 5); }

TEST(clears) {
  mica_text text;
  mica_text_init(&text, NULL);
  mica_text_clear(&text);
  mica_text_append(&text, "one");
  const char *before = text.data;
  mica_text_clear(&text);
  CHECK_EQ_STR(text.data, "");
  mica_text_append(&text, "two");
  CHECK_EQ_STR(text.data, "two");
  CHECK(text.data == before);
  mica_text_deinit(&text);
}

TEST(what_failed_stays_a_prefix) {
  testing_allocator state = {.fail_at = 2};
  mica_allocator allocator = testing_allocator_value(&state);
  mica_text text;
  mica_text_init(&text, &allocator);
  mica_text_append(&text, "kept");
  for (int i = 0; i < 100; i++) mica_text_append(&text, "0123456789");
  CHECK(text.failed);
  size_t size = text.size;
  mica_text_append(&text, "x"); /* would fit, but comes after something that is missing */
  CHECK_EQ_INT(text.size, size);
  CHECK_EQ_INT(strncmp(text.data, "kept0123456789", 14), 0);
  mica_text_deinit(&text);
  CHECK_EQ_INT(state.live, 0);
}

TEST(duplicates) {
  const char *none[] = {"b", "a", "", "aa", "c"}, *two[] = {"x", "b", "a", "b"};
  CHECK(mica_find_duplicate(none, 5) == NULL);
  CHECK_EQ_STR(none[0], "");
  CHECK_EQ_STR(none[4], "c");
  CHECK_EQ_STR(mica_find_duplicate(two, 4), "b");
  CHECK(mica_find_duplicate(two, 1) == NULL);
  CHECK(mica_find_duplicate(NULL, 0) == NULL);
  /* Sorted for every order of seven. */
  const char *letters[] = {"a", "b", "c", "d", "e", "f", "g"};
  for (int order = 0; order < 5040; order++) {
    const char *left[7], *mixed[7];
    memcpy(left, letters, sizeof(letters));
    for (int i = 0, rest = order; i < 7; i++) {
      int pick = rest % (7 - i);
      rest /= 7 - i;
      mixed[i] = left[pick];
      for (int j = pick; j + 1 < 7 - i; j++) left[j] = left[j + 1];
    }
    CHECK(mica_find_duplicate(mixed, 7) == NULL);
    for (int i = 0; i < 7; i++) CHECK(mixed[i] == letters[i]);
  }
}

TEST_MAIN(TEST_CASE(grows_or_fails_for_good), TEST_CASE(clears),
          TEST_CASE(what_failed_stays_a_prefix), TEST_CASE(duplicates))
