/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: a JSON reader into an arena and a writer onto a text (RFC 8259). Integers that fit 64
 * bits stay exact; nesting is limited; duplicate keys, bad UTF-8, trailing text and lone surrogates
 * are errors. */
#ifndef MICA_CORE_JSON_H
#define MICA_CORE_JSON_H
#include "core/memory.h"
#include "core/text.h"

typedef enum {
  MICA_JSON_NULL,
  MICA_JSON_BOOL,
  MICA_JSON_INTEGER,
  MICA_JSON_NUMBER,
  MICA_JSON_STRING,
  MICA_JSON_ARRAY,
  MICA_JSON_OBJECT
} mica_json_kind;

typedef struct mica_json {
  mica_json_kind kind;
  bool boolean;
  int64_t integer;    /* INTEGER: exact; -0 and what 64 bits cannot hold are NUMBER */
  double number;      /* INTEGER and NUMBER */
  const char *string; /* STRING: terminated UTF-8, may hold zero bytes inside */
  size_t string_size;
  const char *key;                /* of a member of an object */
  struct mica_json *first, *next; /* children of ARRAY and OBJECT, and the next sibling */
  int64_t count;                  /* of children */
} mica_json;

/* Everything lies in `arena`; at most 64 levels deep. The message names line and column. */
mica_status mica_json_parse(mica_arena *arena, const char *text, size_t size, mica_json **out,
                            mica_error *error);
const mica_json *mica_json_get(const mica_json *object,
                               const char *key); /* NULL if missing or no object */

/* The writer keeps commas and nesting right; values are written in order. */
typedef struct {
  mica_text *text;
  int32_t depth;
  bool comma, after_key;
} mica_json_writer;
void mica_json_begin(mica_json_writer *writer, mica_text *text);
void mica_json_object_begin(mica_json_writer *writer);
void mica_json_object_end(mica_json_writer *writer);
void mica_json_array_begin(mica_json_writer *writer);
void mica_json_array_end(mica_json_writer *writer);
void mica_json_key(mica_json_writer *writer, const char *key);
void mica_json_string(mica_json_writer *writer, const char *value); /* NULL writes null */
void mica_json_integer(mica_json_writer *writer, int64_t value);
void mica_json_double(mica_json_writer *writer, double value); /* NaN and infinities write null */
void mica_json_bool(mica_json_writer *writer, bool value);
void mica_json_null(mica_json_writer *writer);

#endif
