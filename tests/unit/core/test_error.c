/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses, errors and the version. */
#include "check.h"
#include "mica/core.h"

#include <stdio.h>
#include <string.h>

TEST(version_is_the_headers) {
  char text[32];
  snprintf(text, sizeof(text), "%d.%d.%d", MICA_VERSION_MAJOR, MICA_VERSION_MINOR,
           MICA_VERSION_PATCH);
  CHECK_EQ_STR(mica_version(), text);
}

TEST(statuses_have_texts) {
  CHECK_EQ_STR(mica_status_text(MICA_OK), "ok");
  CHECK_EQ_STR(mica_status_text(MICA_INTERNAL), "internal error");
  CHECK_EQ_STR(mica_status_text((mica_status)77), "unknown status");
}

TEST(the_first_failure_stays) {
  mica_error error = {0};
  CHECK_STATUS(mica_error_set(&error, MICA_OK, "nothing"), MICA_OK);
  CHECK_EQ_STR(error.message, "");
  CHECK_STATUS(mica_error_set(&error, MICA_INVALID, "%d and %s", 1, "two"), MICA_INVALID);
  CHECK_STATUS(mica_error_set(&error, MICA_IO, "later"), MICA_IO);
  CHECK_STATUS(error.status, MICA_INVALID);
  CHECK_EQ_STR(error.message, "1 and two");
  CHECK_STATUS(mica_error_set(NULL, MICA_IO, "nobody listens"), MICA_IO);
}

/* A message that is too long is cut, and not inside of a character. */
TEST(long_messages_are_cut) {
  char text[1200];
  for (size_t shift = 0; shift < 4; shift++) {
    memset(text, 'a', sizeof(text));
    for (size_t i = shift; i + 4 < sizeof(text); i += 4) memcpy(text + i, "\xF0\x9F\x99\x82", 4);
    text[sizeof(text) - 1] = '\0';
    mica_error error = {0};
    mica_error_set(&error, MICA_INVALID, "%s", text);
    size_t length = strlen(error.message);
    CHECK(length > sizeof(error.message) - 6 && length < sizeof(error.message));
    CHECK_EQ_INT((length - shift) % 4, 0);
    CHECK_EQ_BYTES(error.message, text, length);
  }
}

TEST_MAIN(TEST_CASE(version_is_the_headers), TEST_CASE(statuses_have_texts),
          TEST_CASE(the_first_failure_stays), TEST_CASE(long_messages_are_cut))
