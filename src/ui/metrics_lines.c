/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_lines.c: reading metrics.jsonl, whoever wrote it. A line is scanned once, without a tree:
 * members that are not known are stepped over, and a line that is no record is left out and counted,
 * but for an unfinished last one, which a kill leaves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ui/ui_internal.h"

typedef struct {
  const char *begin, *at, *end;
  const char *wrong; /* what was expected where the scan stopped */
} line_scan;

enum { NAME_SIZE = 256, LINE_DEPTH = 32 };

static bool scan_fails(line_scan *s, const char *expected) {
  if (!s->wrong) s->wrong = expected;
  return false;
}

static void skip_blanks(line_scan *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

static bool scan_char(line_scan *s, char c, const char *expected) {
  skip_blanks(s);
  if (s->at == s->end || *s->at != c) return scan_fails(s, expected);
  s->at++;
  return true;
}

static bool next_is(line_scan *s, char c) {
  skip_blanks(s);
  return s->at < s->end && *s->at == c;
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

static size_t put_utf8(unsigned code, char out[4]) {
  if (code < 0x80) return out[0] = (char)code, 1;
  if (code < 0x800)
    return out[0] = (char)(0xC0 | code >> 6), out[1] = (char)(0x80 | (code & 63)), 2;
  if (code < 0x10000)
    return out[0] = (char)(0xE0 | code >> 12), out[1] = (char)(0x80 | (code >> 6 & 63)),
           out[2] = (char)(0x80 | (code & 63)), 3;
  return out[0] = (char)(0xF0 | code >> 18), out[1] = (char)(0x80 | (code >> 12 & 63)),
         out[2] = (char)(0x80 | (code >> 6 & 63)), out[3] = (char)(0x80 | (code & 63)), 4;
}

static bool scan_unicode(line_scan *s, unsigned *out) {
  if (s->end - s->at < 4) return scan_fails(s, "four hexadecimal digits");
  *out = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(s->at[i]);
    if (digit < 0) return scan_fails(s, "four hexadecimal digits");
    *out = *out * 16 + (unsigned)digit;
  }
  s->at += 4;
  return true;
}

static bool scan_escape(line_scan *s, char out[4], size_t *out_size) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (s->at == s->end) return scan_fails(s, "the end of a string");
  char c = *s->at++;
  const char *found = c ? strchr(names, c) : NULL;
  if (found) return out[0] = values[found - names], *out_size = 1, true;
  unsigned code, low;
  if (c != 'u') return scan_fails(s, "an escape");
  if (!scan_unicode(s, &code)) return false;
  if (code >= 0xD800 && code < 0xE000) { /* a pair of surrogates */
    if (code >= 0xDC00 || s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
      return scan_fails(s, "a second surrogate");
    s->at += 2;
    if (!scan_unicode(s, &low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return scan_fails(s, "a second surrogate");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  *out_size = put_utf8(code, out);
  return true;
}

/* A string; out NULL: it is stepped over. A longer one than the buffer becomes empty. */
static bool scan_string(line_scan *s, char *out) {
  size_t used = 0;
  bool fits = true;
  if (!scan_char(s, '"', "a string")) return false;
  for (;;) {
    char piece[4];
    size_t size;
    if (s->at == s->end) return scan_fails(s, "the end of a string");
    if (*s->at == '"') break;
    if (*s->at == '\\') {
      s->at++;
      if (!scan_escape(s, piece, &size)) return false;
    } else {
      size = mica_ui_utf8(s->at, (size_t)(s->end - s->at));
      if (size == 0 || (unsigned char)*s->at < 0x20) return scan_fails(s, "UTF-8 in a string");
      memcpy(piece, s->at, size);
      s->at += size;
    }
    fits = fits && used + size < NAME_SIZE && piece[0];
    if (out && fits) memcpy(out + used, piece, size), used += size;
  }
  s->at++;
  if (out) out[fits ? used : 0] = 0;
  return true;
}

static bool scan_number(line_scan *s, double *out) {
  skip_blanks(s);
  const char *from = s->at;
  while (s->at < s->end &&
         (hex_digit(*s->at) >= 0 || *s->at == '+' || *s->at == '-' || *s->at == '.'))
    s->at++;
  if (mica_ui_parse_number(from, (size_t)(s->at - from), out) && *from != '+') return true;
  s->at = from;
  return scan_fails(s, "a number");
}

static bool scan_word(line_scan *s, const char *word) {
  size_t size = strlen(word);
  if ((size_t)(s->end - s->at) < size || memcmp(s->at, word, size)) return false;
  s->at += size;
  return true;
}

/* Steps over any value. */
static bool skip_value(line_scan *s) {
  char open[LINE_DEPTH];
  int depth = 0;
  double unused;
  for (;;) {
    skip_blanks(s);
    if (s->at == s->end) return scan_fails(s, "a value");
    char c = *s->at;
    if (c == '{' || c == '[') {
      if (depth == LINE_DEPTH) return scan_fails(s, "less nesting");
      open[depth++] = c, s->at++;
      if (next_is(s, c == '{' ? '}' : ']'))
        s->at++, depth--;
      else if (c == '{') {
        if (!scan_string(s, NULL) || !scan_char(s, ':', "\":\"")) return false;
        continue;
      } else
        continue;
    } else if (c == '"' ? !scan_string(s, NULL)
                        : !scan_word(s, "true") && !scan_word(s, "false") &&
                              !scan_word(s, "null") && !scan_number(s, &unused)) {
      return false;
    }
    while (depth > 0 && next_is(s, open[depth - 1] == '{' ? '}' : ']')) s->at++, depth--;
    if (depth == 0) return true;
    if (!scan_char(s, ',', "\",\"")) return false;
    if (open[depth - 1] == '{' && (!scan_string(s, NULL) || !scan_char(s, ':', "\":\"")))
      return false;
  }
}

/* A metric's value: a number, or what stands for one that JSON lacks. */
static bool scan_metric(line_scan *s, double *out) {
  char word[NAME_SIZE];
  skip_blanks(s);
  if (scan_word(s, "null")) return *out = NAN, true;
  if (!next_is(s, '"')) return scan_number(s, out);
  const char *from = s->at;
  if (!scan_string(s, word)) return false;
  if (!strcmp(word, "NaN")) return *out = NAN, true;
  if (!strcmp(word, "Infinity")) return *out = INFINITY, true;
  if (!strcmp(word, "-Infinity")) return *out = -INFINITY, true;
  s->at = from;
  return scan_fails(s, "a number, \"NaN\" or \"Infinity\"");
}

typedef struct {
  mica_ui_point point;
  bool has_step;
  char set[NAME_SIZE];
  const char *metrics; /* where the object begins; NULL: none */
} line_record;

static bool scan_member(line_scan *s, line_record *r) {
  char key[NAME_SIZE], kind[NAME_SIZE];
  skip_blanks(s);
  if (!scan_string(s, key) || !scan_char(s, ':', "\":\"")) return false;
  if (!strcmp(key, "step")) return r->has_step = scan_number(s, &r->point.step);
  if (!strcmp(key, "epoch")) return scan_metric(s, &r->point.epoch);
  if (!strcmp(key, "seconds")) return scan_metric(s, &r->point.seconds);
  if (!strcmp(key, "set")) return scan_string(s, r->set);
  if (!strcmp(key, "kind")) {
    if (!scan_string(s, kind)) return false;
    r->point.kind = strcmp(kind, "evaluation") ? MICA_METRICS_TRAIN : MICA_METRICS_EVALUATION;
    return !strcmp(kind, "evaluation") || !strcmp(kind, "train") ||
           scan_fails(s, "\"train\" or \"evaluation\"");
  }
  if (!strcmp(key, "metrics")) {
    if (!next_is(s, '{')) return scan_fails(s, "an object of metrics");
    r->metrics = s->at;
  }
  return skip_value(s);
}

/* The whole line first, so that half a record leaves nothing behind; then its metrics. */
static bool scan_record(line_scan *s, line_record *r) {
  if (!scan_char(s, '{', "an object")) return false;
  bool more = !next_is(s, '}');
  while (more) {
    if (!scan_member(s, r)) return false;
    more = next_is(s, ',');
    if (more) s->at++;
  }
  if (!scan_char(s, '}', "\",\" or \"}\"")) return false;
  skip_blanks(s);
  if (s->at != s->end) return scan_fails(s, "the end of the line");
  if (!r->has_step || !isfinite(r->point.step)) return scan_fails(s, "a \"step\"");
  if (!r->metrics) return true;
  s->at = r->metrics + 1;
  while (!next_is(s, '}')) {
    double value;
    if (!scan_string(s, NULL) || !scan_char(s, ':', "\":\"") || !scan_metric(s, &value))
      return false;
    if (next_is(s, ',')) s->at++;
  }
  return true;
}

static mica_status keep_record(mica_runs *runs, line_scan *s, line_record *r, mica_error *error) {
  mica_status status = MICA_OK;
  if (!r->metrics) return status;
  s->at = r->metrics + 1;
  r->point.set = r->set;
  while (status == MICA_OK && !next_is(s, '}')) {
    char name[NAME_SIZE];
    skip_blanks(s);
    if (!scan_string(s, name) || !scan_char(s, ':', "") || !scan_metric(s, &r->point.value)) break;
    r->point.name = name;
    if (mica_ui_is_name(name, strlen(name))) status = mica_ui_run_point(runs, &r->point, error);
    if (next_is(s, ',')) s->at++;
  }
  return status;
}

mica_status mica_ui_read_lines(mica_runs *runs, const char *bytes, size_t size, mica_error *error) {
  const char *at = bytes, *end = bytes + size;
  size_t number = 0, left_out = 0, first = 0, records = 0, column = 0;
  const char *wrong = "";
  while (at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    bool whole = stop != NULL;
    if (!stop) stop = end;
    line_scan s = {at, at, stop, NULL};
    line_record r = {.point = {.epoch = NAN, .seconds = NAN}};
    number++;
    skip_blanks(&s);
    if (s.at == stop) { /* an empty line */
    } else if (scan_record(&s, &r)) {
      records++;
      mica_status status = keep_record(runs, &s, &r, error);
      if (status != MICA_OK) return status;
    } else if (whole && left_out++ == 0) { /* a torn last line says nothing */
      first = number, wrong = s.wrong ? s.wrong : "a record";
      column = (size_t)(s.at - s.begin) + 1;
    }
    at = whole ? stop + 1 : end;
  }
  if (left_out && !records)
    return mica_error_set(error, MICA_DATA_LOSS,
                          "runs: this is no log of metrics: line %zu, column %zu: expected %s",
                          first, column, wrong);
  if (left_out)
    mica_ui_run_note(runs, "%zu %s left out; line %zu, column %zu: expected %s", left_out,
                     left_out == 1 ? "line was" : "lines were", first, column, wrong);
  return MICA_OK;
}
