/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in text: what is read and written again reads as the same bits, and stays inside of the
 * bytes. */
#include "fuzz.h"

#include "core/text.h"

#include <string.h>

FUZZ_TARGET(number) {
  const char *begin = (const char *)bytes, *end = begin + size, *cursor = begin;
  double value, again;
  int64_t integer;
  if (size == 0) return;
  if (mica_parse_double(&cursor, end, &value)) {
    FUZZ_REQUIRE(cursor > begin && cursor <= end);
    char text[32];
    int length = mica_format_double(value, text, sizeof(text));
    FUZZ_REQUIRE(length > 0 && length < (int)sizeof(text));
    cursor = text;
    FUZZ_REQUIRE(mica_parse_double(&cursor, text + length, &again) && cursor == text + length);
    FUZZ_REQUIRE(memcmp(&value, &again, sizeof(value)) == 0);
  } else {
    FUZZ_REQUIRE(cursor == begin);
  }
  cursor = begin;
  if (mica_parse_i64(&cursor, end, &integer)) FUZZ_REQUIRE(cursor > begin && cursor <= end);
}
