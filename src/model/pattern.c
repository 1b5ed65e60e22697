/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.c: names with dots, patterns of them, and names made from what wildcards matched. */
#include <string.h>

#include "model/checkpoint.h"

static bool is_separator(char c) { return c == '.' || c == '/'; }
static char plain_separator(char c) { return c == '/' ? '.' : c; }

char *mica_dotted_name(mica_arena *arena, const char *name) {
  char *dotted = mica_arena_text(arena, name);
  for (char *c = dotted; c != NULL && *c; c++) *c = plain_separator(*c);
  return dotted;
}

static int count_wildcards(const char *pattern) {
  int count = 0;
  for (; *pattern; pattern++) {
    if (*pattern == '?') count++;
    if (*pattern != '*') continue;
    count++;
    if (pattern[1] == '*') pattern++;
  }
  return count;
}

mica_status mica_pattern_check(const char *from, const char *to, mica_error *error) {
  if (from == NULL || *from == 0 || (to != NULL && *to == 0))
    return mica_error_set(error, MICA_INVALID, "a pattern is empty");
  if (count_wildcards(from) > MICA_PATTERN_WILDCARDS)
    return mica_error_set(error, MICA_INVALID, "pattern '%.200s' has more than %d wildcards", from,
                          MICA_PATTERN_WILDCARDS);
  if (to != NULL && count_wildcards(to) > count_wildcards(from))
    return mica_error_set(error, MICA_INVALID, "'%.200s' has more wildcards than '%.200s'", to,
                          from);
  return MICA_OK;
}

/* `used`: wildcards that have matched so far. */
static bool match_from(const char *pattern, const char *path, mica_pattern_captures *captures,
                       int used) {
  for (; *pattern && *pattern != '*'; pattern++, path++) {
    if (*path == 0) return false;
    if (*pattern == '?') {
      if (is_separator(*path) || used >= MICA_PATTERN_WILDCARDS) return false;
      captures->begin[used] = path, captures->size[used] = 1;
      used++;
    } else if (plain_separator(*pattern) != plain_separator(*path)) {
      return false;
    }
  }
  if (*pattern == 0) {
    captures->count = used;
    return *path == 0;
  }
  if (used >= MICA_PATTERN_WILDCARDS) return false;
  bool whole = pattern[1] == '*';
  const char *rest = pattern + (whole ? 2 : 1);
  for (const char *end = path;; end++) {
    captures->begin[used] = path, captures->size[used] = (size_t)(end - path);
    if (match_from(rest, end, captures, used + 1)) return true;
    if (*end == 0 || (!whole && is_separator(*end))) return false;
  }
}

bool mica_pattern_match(const char *pattern, const char *path, mica_pattern_captures *captures) {
  mica_pattern_captures unused;
  return match_from(pattern, path, captures != NULL ? captures : &unused, 0);
}

void mica_pattern_substitute(const char *to, const mica_pattern_captures *captures,
                             mica_text *out) {
  int used = 0;
  for (; *to; to++) {
    if (*to != '*' && *to != '?') {
      mica_text_append_bytes(out, to, 1);
      continue;
    }
    if (*to == '*' && to[1] == '*') to++;
    if (used < captures->count)
      mica_text_append_bytes(out, captures->begin[used], captures->size[used]);
    used++;
  }
}
