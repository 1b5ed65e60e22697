/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: reads JSON (RFC 8259) from untrusted bytes into an arena, strictly: what another reader
 * could understand differently (a key twice, a zero byte in a key, lone surrogates, bad UTF-8) is
 * an error. */
#include "core/json.h"

#include "core/utf8.h"

#include <inttypes.h>
#include <string.h>

enum { JSON_DEPTH_LIMIT = 64 };

typedef struct {
  mica_arena *arena;
  const char *begin, *cursor, *end;
  int32_t depth;
  mica_error *error;
} json_reader;

static mica_status json_fail(const json_reader *reader, const char *what) {
  int64_t line = 1, column = 1;
  for (const char *at = reader->begin; at < reader->cursor; at++) {
    if (*at == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)*at & 0xC0) != 0x80) {
      column++; /* continuation bytes belong to the character before */
    }
  }
  return mica_error_set(reader->error, MICA_DATA_LOSS,
                        "JSON line %" PRId64 ", column %" PRId64 ": %s", line, column, what);
}

static mica_status json_memory(const json_reader *reader) {
  return mica_error_set(reader->error, MICA_OUT_OF_MEMORY, "no memory for the JSON text");
}

static void skip_space(json_reader *reader) {
  while (reader->cursor < reader->end && (*reader->cursor == ' ' || *reader->cursor == '\n' ||
                                          *reader->cursor == '\t' || *reader->cursor == '\r'))
    reader->cursor++;
}

static bool take_byte(json_reader *reader, char byte) {
  if (reader->cursor == reader->end || *reader->cursor != byte) return false;
  reader->cursor++;
  return true;
}

/* ---- strings --------------------------------------------------------------------------------- */

static bool take_hex4(json_reader *reader, uint32_t *out) {
  if (reader->end - reader->cursor < 4) return false;
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    char c = reader->cursor[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return false;
    value = value << 4 | (uint32_t)digit;
  }
  reader->cursor += 4;
  *out = value;
  return true;
}

/* What follows "\u": four hexadecimal digits, or a pair of surrogates. */
static mica_status take_unicode(json_reader *reader, char **out) {
  uint32_t first, second;
  if (!take_hex4(reader, &first)) return json_fail(reader, "\\u needs four hexadecimal digits");
  if (first >= 0xD800 && first <= 0xDFFF) {
    if (first > 0xDBFF || !take_byte(reader, '\\') || !take_byte(reader, 'u') ||
        !take_hex4(reader, &second) || second < 0xDC00 || second > 0xDFFF)
      return json_fail(reader, "half of a surrogate pair");
    first = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }
  *out += mica_utf8_encode(first, *out);
  return MICA_OK;
}

static mica_status take_escape(json_reader *reader, char **out) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (reader->cursor == reader->end) return json_fail(reader, "the text ends inside of a string");
  char name = *reader->cursor;
  const char *found = name == '\0' ? NULL : strchr(names, name);
  if (found != NULL) {
    reader->cursor++;
    *(*out)++ = values[found - names];
    return MICA_OK;
  }
  if (name != 'u') return json_fail(reader, "unknown escape in a string");
  reader->cursor++;
  return take_unicode(reader, out);
}

/* The cursor stands behind the opening quote. The decoded text is never longer than the encoded
 * one. */
static mica_status read_string(json_reader *reader, const char **out_text, size_t *out_size) {
  const char *close = reader->cursor;
  while (close < reader->end && *close != '"')
    close += *close == '\\' && close + 1 < reader->end ? 2 : 1;
  if (close >= reader->end) {
    reader->cursor = reader->end;
    return json_fail(reader, "the text ends inside of a string");
  }
  char *text = mica_arena_allocate(reader->arena, (size_t)(close - reader->cursor) + 1);
  if (text == NULL) return json_memory(reader);
  char *out = text;
  while (reader->cursor < close) {
    if (*reader->cursor == '\\') {
      reader->cursor++;
      mica_status status = take_escape(reader, &out);
      if (status != MICA_OK) return status;
      continue;
    }
    size_t length = mica_utf8_length(reader->cursor, (size_t)(close - reader->cursor));
    if (length == 0) return json_fail(reader, "bytes that are not UTF-8");
    if ((unsigned char)*reader->cursor < 0x20)
      return json_fail(reader, "a control character in a string");
    memcpy(out, reader->cursor, length);
    out += length;
    reader->cursor += length;
  }
  reader->cursor++;
  *out = '\0';
  *out_text = text;
  *out_size = (size_t)(out - text);
  return MICA_OK;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static bool skip_digits(const char **at, const char *end) {
  const char *begin = *at;
  while (*at < end && **at >= '0' && **at <= '9') (*at)++;
  return *at > begin;
}

static mica_status read_number(json_reader *reader, mica_json *value) {
  const char *at = reader->cursor, *end = reader->end;
  if (at < end && *at == '-') at++;
  const char *digits = at;
  bool valid = skip_digits(&at, end) && (*digits != '0' || at - digits == 1), whole = true;
  if (valid && at < end && *at == '.') {
    at++;
    whole = false;
    valid = skip_digits(&at, end);
  }
  if (valid && at < end && (*at == 'e' || *at == 'E')) {
    at++;
    whole = false;
    if (at < end && (*at == '+' || *at == '-')) at++;
    valid = skip_digits(&at, end);
  }
  if (!valid) return json_fail(reader, "not a JSON number");
  const char *cursor = reader->cursor;
  whole = whole && mica_parse_i64(&cursor, at, &value->integer);
  /* An integer has no negative zero, which a double's text may be. */
  bool negative_zero = whole && value->integer == 0 && *reader->cursor == '-';
  value->kind = whole && !negative_zero ? MICA_JSON_INTEGER : MICA_JSON_NUMBER;
  cursor = reader->cursor;
  if (!mica_parse_double(&cursor, at, &value->number))
    return json_fail(reader, "a number out of range");
  reader->cursor = at;
  return MICA_OK;
}

/* ---- containers ------------------------------------------------------------------------------ */

static mica_status read_value(json_reader *reader, mica_json *value);

static mica_status check_keys(json_reader *reader, const mica_json *object) {
  size_t count = (size_t)object->count, bytes, filled = 0;
  if (count < 2) return MICA_OK;
  if (!mica_size_multiply(count, sizeof(char *), &bytes)) return json_memory(reader);
  const char **keys = mica_allocate(&reader->arena->allocator, bytes);
  if (keys == NULL) return json_memory(reader);
  for (const mica_json *child = object->first; child != NULL; child = child->next)
    keys[filled++] = child->key;
  const char *duplicate = mica_find_duplicate(keys, count);
  mica_free(&reader->arena->allocator, keys, bytes);
  return duplicate == NULL ? MICA_OK : json_fail(reader, "an object has a key twice");
}

static mica_status read_key(json_reader *reader, mica_json *child) {
  size_t size;
  if (!take_byte(reader, '"')) return json_fail(reader, "a key in quotes is missing");
  mica_status status = read_string(reader, &child->key, &size);
  if (status != MICA_OK) return status;
  if (strlen(child->key) != size) return json_fail(reader, "a key with a zero byte");
  skip_space(reader);
  if (!take_byte(reader, ':')) return json_fail(reader, "':' is missing");
  return MICA_OK;
}

/* The cursor stands behind the opening bracket. */
static mica_status read_children(json_reader *reader, mica_json *parent) {
  bool object = parent->kind == MICA_JSON_OBJECT;
  char close = object ? '}' : ']';
  mica_json **link = &parent->first;
  skip_space(reader);
  if (take_byte(reader, close)) return MICA_OK;
  do {
    mica_json *child = mica_arena_allocate_zeroed(reader->arena, 1, sizeof(*child));
    if (child == NULL) return json_memory(reader);
    skip_space(reader);
    mica_status status = object ? read_key(reader, child) : MICA_OK;
    if (status == MICA_OK) status = read_value(reader, child);
    if (status != MICA_OK) return status;
    *link = child;
    link = &child->next;
    parent->count++;
    skip_space(reader);
  } while (take_byte(reader, ','));
  if (!take_byte(reader, close))
    return json_fail(reader, object ? "',' or '}' is missing" : "',' or ']' is missing");
  return object ? check_keys(reader, parent) : MICA_OK;
}

static bool take_literal(json_reader *reader, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(reader->end - reader->cursor) < length || memcmp(reader->cursor, word, length) != 0)
    return false;
  reader->cursor += length;
  return true;
}

static mica_status read_value(json_reader *reader, mica_json *value) {
  skip_space(reader);
  if (reader->cursor == reader->end) return json_fail(reader, "a value is missing");
  switch (*reader->cursor) {
    case '"':
      reader->cursor++;
      value->kind = MICA_JSON_STRING;
      return read_string(reader, &value->string, &value->string_size);
    case '{':
    case '[': {
      value->kind = *reader->cursor == '{' ? MICA_JSON_OBJECT : MICA_JSON_ARRAY;
      if (reader->depth == JSON_DEPTH_LIMIT)
        return json_fail(reader, "nested more than 64 levels deep");
      reader->cursor++;
      reader->depth++;
      mica_status status = read_children(reader, value);
      reader->depth--;
      return status;
    }
    case 't':
    case 'f':
      value->kind = MICA_JSON_BOOL;
      value->boolean = *reader->cursor == 't';
      return take_literal(reader, value->boolean ? "true" : "false")
                 ? MICA_OK
                 : json_fail(reader, "not a JSON value");
    case 'n':
      value->kind = MICA_JSON_NULL;
      return take_literal(reader, "null") ? MICA_OK : json_fail(reader, "not a JSON value");
    default:
      if (*reader->cursor == '-' || (*reader->cursor >= '0' && *reader->cursor <= '9'))
        return read_number(reader, value);
      return json_fail(reader, "not a JSON value");
  }
}

mica_status mica_json_parse(mica_arena *arena, const char *text, size_t size, mica_json **out,
                            mica_error *error) {
  *out = NULL;
  if (text == NULL) text = "";
  json_reader reader = {
      .arena = arena, .begin = text, .cursor = text, .end = text + size, .error = error};
  mica_json *root = mica_arena_allocate_zeroed(arena, 1, sizeof(*root));
  if (root == NULL) return json_memory(&reader);
  mica_status status = read_value(&reader, root);
  if (status != MICA_OK) return status;
  skip_space(&reader);
  if (reader.cursor < reader.end) return json_fail(&reader, "text after the value");
  *out = root;
  return MICA_OK;
}

const mica_json *mica_json_get(const mica_json *object, const char *key) {
  if (object == NULL || object->kind != MICA_JSON_OBJECT) return NULL;
  for (const mica_json *child = object->first; child != NULL; child = child->next)
    if (strcmp(child->key, key) == 0) return child;
  return NULL;
}
