/* SPDX-License-Identifier: Apache-2.0 */
/* csv_scan.h: the fields of a CSV text, one after the other. */
#ifndef MICA_DATA_SOURCES_CSV_SCAN_H
#define MICA_DATA_SOURCES_CSV_SCAN_H
#include "core/text.h"
#include "mica/data.h"

typedef struct {
  const char *at, *end;
  char separator, comment;
  bool keep_blanks, no_quotes;
  const char *strip, *missing;
  int64_t line;       /* of the present field, from 1 */
  mica_text unquoted; /* where fields with doubled quotes are put together */
} mica_csv_scan;

/* A field: text[size] within the file or the scan, valid until the next. */
typedef struct {
  const char *text;
  size_t size;
  bool last;    /* of its row */
  bool missing; /* empty, or the text for what is missing */
} mica_csv_field;

void mica_csv_scan_begin(mica_csv_scan *scan, const char *text, size_t size,
                         const mica_csv_options *options);
/* At the start of a row: over empty lines and comments. False at the end of the file. */
bool mica_csv_scan_row(mica_csv_scan *scan);
mica_status mica_csv_scan_field(mica_csv_scan *scan, mica_csv_field *out, mica_error *error);
void mica_csv_scan_end(mica_csv_scan *scan);

#endif
