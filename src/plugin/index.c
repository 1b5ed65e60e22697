/* SPDX-License-Identifier: Apache-2.0 */
/* index.c: the page that a simple index of packages has for a project, as JSON (PEP 691) or HTML (PEP 503): finds one
 * file of it. A page is a stranger's text: it is read once from front to back, never further than its end. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "plugin_internal.h"

typedef struct {
  const char *at, *end;
} page_cursor;

typedef struct {
  const char *file;
  char name[PLUGIN_FILE], url[PLUGIN_URL], sha256[80];
} index_entry;

/* ---- JSON ------------------------------------------------------------------------------------ */

static void skip_blanks(page_cursor *c) {
  while (c->at < c->end && strchr(" \t\r\n", *c->at) != NULL && *c->at != 0) c->at++;
}

static bool take(page_cursor *c, char wanted) {
  skip_blanks(c);
  if (c->at >= c->end || *c->at != wanted) return false;
  c->at++;
  return true;
}

static int hex_digit(char digit) {
  const char *digits = "0123456789abcdef", *at = strchr(digits, tolower((unsigned char)digit));
  return digit != 0 && at != NULL ? (int)(at - digits) : -1;
}

/* "\u0041": the character, or -1; what is not ASCII is no part of a file's name or url. */
static int unicode_escape(page_cursor *c) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int digit = c->at < c->end ? hex_digit(*c->at) : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
    c->at++;
  }
  return value > 0 && value < 128 ? value : '?';
}

/* A string, cut off where it is longer than out[size]; false if there is none, or it does not end. */
static bool take_string(page_cursor *c, char *out, size_t size) {
  size_t used = 0;
  if (!take(c, '"')) return false;
  while (c->at < c->end && *c->at != '"') {
    int character = (unsigned char)*c->at++;
    if (character == '\\') {
      if (c->at >= c->end) return false;
      character = (unsigned char)*c->at++;
      if (character == 'u' && (character = unicode_escape(c)) < 0) return false;
      if (character == 'n' || character == 'r' || character == 't') character = ' ';
    }
    if (used + 1 < size) out[used++] = (char)character;
  }
  if (size > 0) out[used] = 0;
  return take(c, '"');
}

static bool skip_value(page_cursor *c, int depth) {
  char unused[8];
  skip_blanks(c);
  if (c->at >= c->end || depth > 32) return false;
  if (*c->at == '"') return take_string(c, unused, sizeof unused);
  if (*c->at != '{' && *c->at != '[') { /* a number, true, false, null */
    const char *begin = c->at;
    while (c->at < c->end && (isalnum((unsigned char)*c->at) || strchr("+-.", *c->at) != NULL) &&
           *c->at != 0)
      c->at++;
    return c->at > begin;
  }
  bool object = *c->at == '{';
  char close = object ? '}' : ']';
  c->at++;
  if (take(c, close)) return true;
  do {
    if (object && (!take_string(c, unused, sizeof unused) || !take(c, ':'))) return false;
    if (!skip_value(c, depth + 1)) return false;
  } while (take(c, ','));
  return take(c, close);
}

/* {"sha256": "..", ..} */
static bool take_hashes(page_cursor *c, index_entry *entry) {
  char key[16];
  if (!take(c, '{')) return skip_value(c, 2);
  if (take(c, '}')) return true;
  do {
    if (!take_string(c, key, sizeof key) || !take(c, ':')) return false;
    if (strcmp(key, "sha256") == 0 ? !take_string(c, entry->sha256, sizeof entry->sha256)
                                   : !skip_value(c, 3))
      return false;
  } while (take(c, ','));
  return take(c, '}');
}

/* One of "files"; false where the text ends or is no JSON. */
static bool take_file(page_cursor *c, index_entry *entry) {
  char key[32];
  entry->name[0] = entry->url[0] = entry->sha256[0] = 0;
  if (!take(c, '{')) return false;
  if (take(c, '}')) return true;
  do {
    if (!take_string(c, key, sizeof key) || !take(c, ':')) return false;
    bool good = strcmp(key, "filename") == 0 ? take_string(c, entry->name, sizeof entry->name)
                : strcmp(key, "url") == 0    ? take_string(c, entry->url, sizeof entry->url)
                : strcmp(key, "hashes") == 0 ? take_hashes(c, entry)
                                             : skip_value(c, 2);
    if (!good) return false;
  } while (take(c, ','));
  return take(c, '}');
}

static bool find_in_json(page_cursor *c, index_entry *entry) {
  char key[32];
  if (!take(c, '{')) return false;
  do {
    if (!take_string(c, key, sizeof key) || !take(c, ':')) return false;
    if (strcmp(key, "files") != 0) {
      if (!skip_value(c, 1)) return false;
      continue;
    }
    if (!take(c, '[')) return false;
    while (take_file(c, entry)) {
      if (strcmp(entry->name, entry->file) == 0) return true;
      if (!take(c, ',')) break;
    }
    return false;
  } while (take(c, ','));
  return false;
}

/* ---- HTML ------------------------------------------------------------------------------------ */

/* href="..": its value with the references for '&' undone. */
static bool take_link(const char *begin, const char *end, char *url, size_t size) {
  for (const char *at = begin; end - at > 6; at++) {
    if (!isspace((unsigned char)*at) || strncasecmp(at + 1, "href", 4) != 0) continue;
    const char *value = at + 5;
    while (value < end && isspace((unsigned char)*value)) value++;
    if (value >= end || *value++ != '=') continue;
    while (value < end && isspace((unsigned char)*value)) value++;
    if (value >= end || (*value != '"' && *value != '\'')) continue;
    char quote = *value++;
    size_t used = 0;
    for (; value < end && *value != quote; value++) {
      if (used + 1 >= size) return false;
      url[used++] = *value;
      if (end - value > 5 && strncmp(value, "&amp;", 5) == 0) value += 4;
    }
    url[used] = 0;
    return value < end;
  }
  return false;
}

/* The last part of a url's path, with %XX undone. */
static void name_of_url(const char *url, char *name, size_t size) {
  size_t length = strcspn(url, "?#"), used = 0, begin = 0;
  for (size_t i = 0; i < length; i++)
    if (url[i] == '/') begin = i + 1;
  for (size_t i = begin; i < length && used + 1 < size; i++) {
    int high = i + 2 < length && url[i] == '%' ? hex_digit(url[i + 1]) : -1;
    int low = high >= 0 ? hex_digit(url[i + 2]) : -1;
    if (low >= 0) i += 2;
    name[used++] = low >= 0 ? (char)(high * 16 + low) : url[i];
  }
  name[used] = 0;
}

static bool find_in_html(page_cursor *c, index_entry *entry) {
  while (c->at < c->end) {
    const char *begin = memchr(c->at, '<', (size_t)(c->end - c->at));
    if (begin == NULL || c->end - begin < 4) return false;
    c->at = begin + 1;
    if (tolower((unsigned char)begin[1]) != 'a' || !isspace((unsigned char)begin[2])) continue;
    const char *end = memchr(begin, '>', (size_t)(c->end - begin));
    if (end == NULL) return false;
    c->at = end;
    if (!take_link(begin, end, entry->url, sizeof entry->url)) continue;
    name_of_url(entry->url, entry->name, sizeof entry->name);
    if (strcmp(entry->name, entry->file) != 0) continue;
    char *fragment = strchr(entry->url, '#');
    entry->sha256[0] = 0;
    if (fragment != NULL && strncmp(fragment, "#sha256=", 8) == 0)
      snprintf(entry->sha256, sizeof entry->sha256, "%.64s", fragment + 8);
    return true;
  }
  return false;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* A url of the page made whole; "../" is left to the transfer. False where it does not fit. */
static bool resolve_url(const char *page, const char *url, char *out) {
  size_t length = strcspn(page, "?#");
  const char *host = strstr(page, "://");
  int written;
  if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0) {
    written = snprintf(out, PLUGIN_URL, "%s", url);
  } else if (host == NULL || (size_t)(host - page) > length || strstr(url, "://") != NULL) {
    return false; /* file: and the like */
  } else if (url[0] == '/' && url[1] == '/') {
    written = snprintf(out, PLUGIN_URL, "%.*s%s", (int)(host - page + 1), page, url);
  } else {
    size_t keep = (size_t)(host - page) + 3, root = keep;
    while (root < length && page[root] != '/') root++;
    keep = root;
    for (size_t i = root; i < length && url[0] != '/'; i++)
      if (page[i] == '/') keep = i;
    written = snprintf(out, PLUGIN_URL, "%.*s%s%s", (int)keep, page, url[0] == '/' ? "" : "/", url);
  }
  if (written < 0 || written >= PLUGIN_URL) return false;
  out[strcspn(out, "#")] = 0;
  return true;
}

mica_status mica_plugin_index_find(const char *page, size_t size, const char *page_url,
                                   const char *file, char url[PLUGIN_URL], char sha256[65],
                                   mica_error *error) {
  page_cursor cursor = {page, page + size};
  index_entry entry = {.file = file};
  skip_blanks(&cursor);
  bool json = cursor.at < cursor.end && *cursor.at == '{';
  bool found = json ? find_in_json(&cursor, &entry) : find_in_html(&cursor, &entry);
  if (!found) return mica_error_set(error, MICA_NOT_FOUND, "the index does not list %s", file);
  if (!resolve_url(page_url, entry.url, url))
    return mica_error_set(error, MICA_DATA_LOSS, "the index has no good address for %s", file);
  snprintf(sha256, 65, "%.64s", entry.sha256);
  return MICA_OK;
}
