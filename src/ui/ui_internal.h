/* SPDX-License-Identifier: Apache-2.0 */
/* ui_internal.h: what the files of this folder share: a growing text, numbers that do not depend on
 * the host's locale, whole files, and what a terminal can do. libmica's insides are out of reach
 * here, since libmica_ui is a library of its own. */
#ifndef MICA_UI_INTERNAL_H
#define MICA_UI_INTERNAL_H
#include <stdio.h>

#include "mica/ui.h"

/* ---- text ------------------------------------------------------------------------------------- */

/* Appending to a failed text does nothing; callers look at `failed` once, at the end. */
typedef struct {
  char *bytes; /* terminated by 0; NULL until something is appended */
  size_t size, capacity;
  bool failed; /* memory ran out */
} mica_ui_text;

void mica_ui_bytes(mica_ui_text *text, const void *bytes, size_t size);
void mica_ui_string(mica_ui_text *text, const char *string);
/* Strings up to NULL: a page or a style in pieces. */
void mica_ui_strings(mica_ui_text *text, const char *const *strings);
/* As printf; no floating point, whose form depends on the locale. */
void mica_ui_format(mica_ui_text *text, const char *format, ...) MICA_PRINTF(2, 3);
/* At most `digits` significant ones, 0: as many as reading the same double back needs; "nan", "inf". */
void mica_ui_number(mica_ui_text *text, double value, int digits);
void mica_ui_fixed(mica_ui_text *text, double value, int decimals);
/* The same into a buffer, as mica_ui_number. */
void mica_ui_number_text(double value, int digits, char *out, size_t size);
/* A JSON string with its quotes: bytes that are not UTF-8 become U+FFFD, and '<' is escaped, so that
 * it can stand in a page's script too. */
void mica_ui_json(mica_ui_text *text, const char *string);
/* A JSON number, or null where JSON has none. */
void mica_ui_json_number(mica_ui_text *text, double value, int digits);
/* For XML and HTML, text and attributes. */
void mica_ui_xml(mica_ui_text *text, const char *string);
void mica_ui_free(mica_ui_text *text);

/* A copy to be freed; NULL: out of memory. */
char *mica_ui_copy(const char *string);
/* Bytes of the well-formed UTF-8 sequence at the front of bytes[size], 0: there is none. */
size_t mica_ui_utf8(const char *bytes, size_t size);
/* Columns that a terminal gives to UTF-8 text, counted as one a character, without color codes. */
size_t mica_ui_columns(const char *text);
/* Parses a whole decimal number at `text` [size] in any locale; false when it is none. */
bool mica_ui_parse_number(const char *text, size_t size, double *out);

/* ---- files ------------------------------------------------------------------------------------ */

/* Writes a whole file: under a temporary name beside it, then renamed, so that a reader never meets
 * half of it; links are followed, and a device or a pipe is written to as it is. `who` begins the message. Frees the text in any case. */
mica_status mica_ui_write_file(const char *who, const char *path, mica_ui_text *text,
                               mica_error *error);
/* A folder and those around it: 0 or an errno value. */
int mica_ui_make_folder(const char *path);
/* Reads a whole file of at most 2 GiB into *out (free). */
mica_status mica_ui_read_file(const char *who, const char *path, char **out, size_t *out_size,
                              mica_error *error);

/* Writes all bytes to a descriptor: 0 or an errno value; *out_done: how many were written. */
int mica_ui_write_all(int file, const void *bytes, size_t size, size_t *out_done);

/* ---- the system ------------------------------------------------------------------------------- */

int64_t mica_ui_clock(void);       /* monotonic nanoseconds */
double mica_ui_wall_seconds(void); /* since 1970 */
bool mica_ui_is_terminal(FILE *file);
int mica_ui_terminal_width(FILE *file); /* columns now; $COLUMNS; 80 when unknown */
bool mica_ui_wants_color(FILE *file);   /* a terminal, no $NO_COLOR, not $TERM dumb */
bool mica_ui_wants_unicode(void); /* $LC_ALL, $LC_CTYPE or $LANG names UTF-8, or none is set */

/* ---- runs ------------------------------------------------------------------------------------- */

/* One number of a run, from whatever kind of file. */
typedef struct {
  mica_metrics_kind kind;
  const char *set, *name;
  double step, epoch, seconds, value;
} mica_ui_point;

/* A new run, whose index is mica_runs_count - 1. */
mica_status mica_ui_run_begin(mica_runs *runs, const char *name, mica_error *error);
/* To the newest run. MICA_INVALID: it has more curves than are kept. */
mica_status mica_ui_run_point(mica_runs *runs, const mica_ui_point *point, mica_error *error);
void mica_ui_run_note(mica_runs *runs, const char *format, ...) MICA_PRINTF(2, 3);
/* Takes the newest run back. */
void mica_ui_run_drop(mica_runs *runs);
/* Reads lines into the newest run; the same for events, whose seconds count from *began (0: not known yet). */
mica_status mica_ui_read_lines(mica_runs *runs, const char *bytes, size_t size, mica_error *error);
mica_status mica_ui_read_events(mica_runs *runs, const unsigned char *bytes, size_t size,
                                double *began, mica_error *error);
/* Where the least and the greatest finite one of values [begin, end) stand first; -1: none is finite. */
void mica_ui_extremes(const double *values, int64_t begin, int64_t end, int64_t *out_least,
                      int64_t *out_most);
/* A non-empty metric's or set's name of at most 255 bytes of UTF-8 without control characters. */
bool mica_ui_is_name(const char *name, size_t size);

#endif
