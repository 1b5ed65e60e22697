/* SPDX-License-Identifier: Apache-2.0 */
/* csv_scan.c: cuts CSV (RFC 4180) into fields. */
#include "data/sources/csv_scan.h"

#include <inttypes.h>
#include <string.h>

void mica_csv_scan_begin(mica_csv_scan *scan, const char *text, size_t size,
                         const mica_csv_options *options) {
  *scan = (mica_csv_scan){.at = text, .end = text + size, .line = 1};
  scan->separator = options->separator != 0 ? options->separator : ',';
  scan->comment = options->comment;
  scan->keep_blanks = options->keep_blanks;
  scan->no_quotes = options->no_quotes;
  scan->strip = options->strip;
  scan->missing = options->missing;
  mica_text_init(&scan->unquoted, NULL);
  if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) scan->at += 3; /* a byte order mark */
}

void mica_csv_scan_end(mica_csv_scan *scan) { mica_text_deinit(&scan->unquoted); }

static bool is_blank_character(char c) { return c == ' ' || c == '\t'; }

static void skip_line(mica_csv_scan *scan) {
  const char *end = memchr(scan->at, '\n', (size_t)(scan->end - scan->at));
  scan->at = end != NULL ? end + 1 : scan->end;
  scan->line++;
}

bool mica_csv_scan_row(mica_csv_scan *scan) {
  while (scan->at < scan->end) {
    const char *at = scan->at;
    while (at < scan->end && is_blank_character(*at) && *at != scan->separator) at++;
    if (at == scan->end) return false;
    bool empty = *at == '\n' || (*at == '\r' && (at + 1 == scan->end || at[1] == '\n'));
    if (!empty && (scan->comment == 0 || *at != scan->comment)) return true;
    skip_line(scan);
  }
  return false;
}

static mica_status scan_fail(const mica_csv_scan *scan, mica_error *error, const char *what) {
  return mica_error_set(error, MICA_DATA_LOSS, "csv: line %" PRId64 ": %s", scan->line, what);
}

/* Behind a field: the separator, or the end of the row. */
static mica_status finish_field(mica_csv_scan *scan, mica_csv_field *out, mica_error *error) {
  out->last = true;
  if (scan->at == scan->end) return MICA_OK;
  if (*scan->at == scan->separator) {
    scan->at++;
    out->last = false;
    return MICA_OK;
  }
  if (*scan->at == '\r' && scan->at + 1 < scan->end && scan->at[1] == '\n') scan->at++;
  if (*scan->at != '\n' && !(*scan->at == '\r' && scan->at + 1 == scan->end))
    return scan_fail(scan, error, "something follows a closing quote");
  scan->at++;
  scan->line++;
  return MICA_OK;
}

static mica_status quoted_field(mica_csv_scan *scan, mica_csv_field *out, mica_error *error) {
  const char *first = ++scan->at;
  bool doubled = false;
  mica_text_clear(&scan->unquoted);
  for (;;) {
    const char *quote = memchr(scan->at, '"', (size_t)(scan->end - scan->at));
    if (quote == NULL) return scan_fail(scan, error, "a quote does not end");
    for (const char *c = scan->at; c < quote; c++) scan->line += *c == '\n';
    scan->at = quote + 1;
    if (scan->at == scan->end || *scan->at != '"') break;
    doubled = true;
    mica_text_append_bytes(&scan->unquoted, first, (size_t)(quote + 1 - first));
    first = ++scan->at;
  }
  out->text = first, out->size = (size_t)(scan->at - 1 - first);
  if (doubled) {
    mica_text_append_bytes(&scan->unquoted, first, out->size);
    if (scan->unquoted.failed)
      return mica_error_set(error, MICA_OUT_OF_MEMORY, "csv: out of memory");
    out->text = scan->unquoted.data, out->size = scan->unquoted.size;
  }
  while (scan->at < scan->end && is_blank_character(*scan->at) && *scan->at != scan->separator)
    scan->at++;
  return finish_field(scan, out, error);
}

mica_status mica_csv_scan_field(mica_csv_scan *scan, mica_csv_field *out, mica_error *error) {
  const char *first = scan->at;
  mica_status status;
  while (first < scan->end && is_blank_character(*first) && *first != scan->separator) first++;
  if (first < scan->end && *first == '"' && !scan->no_quotes) {
    scan->at = first;
    status = quoted_field(scan, out, error);
  } else {
    if (scan->keep_blanks) first = scan->at;
    while (scan->at < scan->end && *scan->at != scan->separator && *scan->at != '\n') scan->at++;
    const char *end = scan->at;
    if (end > first && end < scan->end && *end == '\n' && end[-1] == '\r') end--;
    if (end > first && end == scan->end && end[-1] == '\r') end--;
    while (!scan->keep_blanks && end > first && is_blank_character(end[-1])) end--;
    if (first > end) first = end;
    out->text = first, out->size = (size_t)(end - first);
    status = finish_field(scan, out, error);
  }
  if (status != MICA_OK) return status;
  while (scan->strip != NULL && out->size > 0 &&
         strchr(scan->strip, out->text[out->size - 1]) != NULL && out->text[out->size - 1] != 0)
    out->size--;
  if (out->size > 0 && memchr(out->text, 0, out->size) != NULL)
    return scan_fail(scan, error, "a field has a zero byte");
  out->missing = out->size == 0 || (scan->missing != NULL && strlen(scan->missing) == out->size &&
                                    memcmp(scan->missing, out->text, out->size) == 0);
  return MICA_OK;
}
