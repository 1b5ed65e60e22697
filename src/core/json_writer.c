/* SPDX-License-Identifier: Apache-2.0 */
/* json_writer.c: JSON onto a text, on one line. What it writes is valid whatever it is given: bytes
 * that are not UTF-8 become U+FFFD, numbers that JSON lacks become null. */
#include "core/json.h"

#include "core/utf8.h"

#include <inttypes.h>
#include <string.h>

void mica_json_begin(mica_json_writer *writer, mica_text *text) {
  *writer = (mica_json_writer){.text = text};
}

/* Before every key and value. */
static void separate(mica_json_writer *writer) {
  if (writer->comma && !writer->after_key) mica_text_append(writer->text, ",");
  writer->comma = true;
  writer->after_key = false;
}

static void open_bracket(mica_json_writer *writer, const char *bracket) {
  separate(writer);
  mica_text_append(writer->text, bracket);
  writer->comma = false;
  writer->depth++;
}

static void close_bracket(mica_json_writer *writer, const char *bracket) {
  mica_text_append(writer->text, bracket);
  writer->comma = true;
  writer->depth--;
}

void mica_json_object_begin(mica_json_writer *writer) { open_bracket(writer, "{"); }
void mica_json_object_end(mica_json_writer *writer) { close_bracket(writer, "}"); }
void mica_json_array_begin(mica_json_writer *writer) { open_bracket(writer, "["); }
void mica_json_array_end(mica_json_writer *writer) { close_bracket(writer, "]"); }

static void append_quoted(mica_text *text, const char *value) {
  static const char names[] = "\"\\bfnrt", values[] = "\"\\\b\f\n\r\t";
  mica_text_append(text, "\"");
  for (size_t left = strlen(value); left > 0;) {
    size_t plain = 0; /* bytes that are written as they are */
    for (size_t length = 1; plain < left && length > 0; plain += length) {
      unsigned char byte = (unsigned char)value[plain];
      bool special = byte < 0x20 || byte == '"' || byte == '\\';
      length = special ? 0 : mica_utf8_length(value + plain, left - plain);
    }
    mica_text_append_bytes(text, value, plain);
    value += plain;
    left -= plain;
    if (left == 0) break;
    const char *found = strchr(values, *value);
    if (found != NULL)
      mica_text_append_bytes(text, (char[]){'\\', names[found - values]}, 2);
    else if ((unsigned char)*value < 0x20)
      mica_text_format(text, "\\u%04x", (unsigned)*value);
    else
      mica_text_append(text, "\xEF\xBF\xBD");
    value++;
    left--;
  }
  mica_text_append(text, "\"");
}

void mica_json_key(mica_json_writer *writer, const char *key) {
  separate(writer);
  append_quoted(writer->text, key);
  mica_text_append(writer->text, ":");
  writer->after_key = true;
}

void mica_json_string(mica_json_writer *writer, const char *value) {
  separate(writer);
  if (value == NULL)
    mica_text_append(writer->text, "null");
  else
    append_quoted(writer->text, value);
}

void mica_json_integer(mica_json_writer *writer, int64_t value) {
  separate(writer);
  mica_text_format(writer->text, "%" PRId64, value);
}

void mica_json_double(mica_json_writer *writer, double value) {
  separate(writer);
  if (value - value == 0)
    mica_text_double(writer->text, value);
  else
    mica_text_append(writer->text, "null");
}

void mica_json_bool(mica_json_writer *writer, bool value) {
  separate(writer);
  mica_text_append(writer->text, value ? "true" : "false");
}

void mica_json_null(mica_json_writer *writer) {
  separate(writer);
  mica_text_append(writer->text, "null");
}
