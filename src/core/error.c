/* SPDX-License-Identifier: Apache-2.0 */
/* error.c: the texts of statuses, and the one door through which failures are recorded: a
 * breakpoint on mica_error_set stops at every error of the library. */
#include "mica/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define VERSION_TEXT(major, minor, patch)   #major "." #minor "." #patch
#define VERSION_EXPAND(major, minor, patch) VERSION_TEXT(major, minor, patch)

const char *mica_version(void) {
  return VERSION_EXPAND(MICA_VERSION_MAJOR, MICA_VERSION_MINOR, MICA_VERSION_PATCH);
}

#undef VERSION_EXPAND
#undef VERSION_TEXT

const char *mica_status_text(mica_status status) {
  switch (status) {
#define STATUS_CASE(NAME, value, text) \
  case MICA_##NAME: return text;
    MICA_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
  }
  return "unknown status";
}

/* Drops a UTF-8 character that the end of the buffer cut in two. */
static void trim_cut_character(char *text, size_t length) {
  size_t start = length;
  while (start > 0 && length - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
    start--;
  if (start == 0) return;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t wanted = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (wanted > length - (start - 1)) text[start - 1] = '\0';
}

mica_status mica_error_set(mica_error *error, mica_status status, const char *format, ...) {
  if (error == NULL || error->status != MICA_OK || status == MICA_OK) return status;
  error->status = status;
  error->caller = NULL;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  if (length < 0) error->message[0] = '\0';
  if (length >= (int)sizeof(error->message))
    trim_cut_character(error->message, sizeof(error->message) - 1);
  return status;
}
