/* SPDX-License-Identifier: Apache-2.0 */
/* text.c: a growing text and numbers in it. The C library prints and reads numbers with the decimal
 * point of the host's locale; here it is always '.'. */
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ui/ui_internal.h"

static bool text_room(mica_ui_text *text, size_t more) {
  if (text->failed) return false;
  if (more < SIZE_MAX / 4 && text->size < SIZE_MAX / 4) {
    size_t needed = text->size + more + 1;
    if (needed <= text->capacity) return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < needed) capacity *= 2;
    char *grown = realloc(text->bytes, capacity);
    if (grown) {
      text->bytes = grown, text->capacity = capacity;
      return true;
    }
  }
  text->failed = true;
  return false;
}

void mica_ui_bytes(mica_ui_text *text, const void *bytes, size_t size) {
  if (!text_room(text, size)) return;
  if (size) memcpy(text->bytes + text->size, bytes, size);
  text->size += size;
  text->bytes[text->size] = 0;
}

void mica_ui_string(mica_ui_text *text, const char *string) {
  mica_ui_bytes(text, string, strlen(string));
}

void mica_ui_strings(mica_ui_text *text, const char *const *strings) {
  for (; *strings; strings++) mica_ui_string(text, *strings);
}

void mica_ui_format(mica_ui_text *text, const char *format, ...) {
  char small[512];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(small, sizeof small, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if ((size_t)length < sizeof small) {
    mica_ui_bytes(text, small, (size_t)length);
  } else if (text_room(text, (size_t)length)) {
    va_start(arguments, format);
    vsnprintf(text->bytes + text->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)length;
  }
}

/* The locale's decimal point, one or more bytes, becomes '.'. */
static void with_point(char *text) {
  char *out = text;
  bool inside = false;
  for (const char *c = text; *c; c++) {
    bool plain = (*c >= '0' && *c <= '9') || *c == '-' || *c == '+' || *c == '.' ||
                 (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
    if (plain)
      *out++ = *c;
    else if (!inside)
      *out++ = '.';
    inside = !plain;
  }
  *out = 0;
}

bool mica_ui_parse_number(const char *text, size_t size, double *out) {
  char copy[400];
  const char *point = localeconv()->decimal_point;
  size_t used = 0, length = strlen(point);
  if (size == 0 || size > 300) return false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (!((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'))
      return false; /* no hexadecimal, no "inf" */
    if (c == '.') {
      if (length == 0 || length > 8 || used + length >= sizeof copy - 1) return false;
      memcpy(copy + used, point, length);
      used += length;
    } else if (used < sizeof copy - 1) {
      copy[used++] = c;
    }
  }
  copy[used] = 0;
  char *end = NULL;
  *out = strtod(copy, &end);
  return end == copy + used;
}

void mica_ui_number_text(double value, int digits, char *out, size_t size) {
  if (isnan(value)) { /* printf may show a sign */
    snprintf(out, size, "nan");
    return;
  }
  for (int tried = digits ? digits : 15; tried <= 17; tried++) {
    double again = 0;
    snprintf(out, size, "%.*g", tried, value);
    with_point(out);
    if (digits || !isfinite(value)) return;
    if (mica_ui_parse_number(out, strlen(out), &again) && again == value) return;
  }
}

void mica_ui_number(mica_ui_text *text, double value, int digits) {
  char number[64];
  mica_ui_number_text(value, digits, number, sizeof number);
  mica_ui_string(text, number);
}

void mica_ui_fixed(mica_ui_text *text, double value, int decimals) {
  char number[400];
  snprintf(number, sizeof number, "%.*f", decimals, value);
  with_point(number);
  mica_ui_string(text, number);
}

char *mica_ui_copy(const char *string) {
  size_t size = strlen(string) + 1;
  char *copy = malloc(size);
  if (copy) memcpy(copy, string, size);
  return copy;
}

size_t mica_ui_utf8(const char *text, size_t size) {
  const unsigned char *b = (const unsigned char *)text;
  if (size == 0) return 0;
  if (b[0] < 0x80) return 1;
  size_t length = b[0] >= 0xC2 && b[0] <= 0xDF   ? 2
                  : b[0] >= 0xE0 && b[0] <= 0xEF ? 3
                  : b[0] >= 0xF0 && b[0] <= 0xF4 ? 4
                                                 : 0;
  if (length == 0 || length > size) return 0;
  for (size_t i = 1; i < length; i++)
    if ((b[i] & 0xC0) != 0x80) return 0;
  if ((b[0] == 0xE0 && b[1] < 0xA0) || (b[0] == 0xED && b[1] > 0x9F) || /* overlong, surrogates */
      (b[0] == 0xF0 && b[1] < 0x90) || (b[0] == 0xF4 && b[1] > 0x8F))
    return 0;
  return length;
}

size_t mica_ui_columns(const char *text) {
  size_t columns = 0;
  for (const char *c = text; *c; c++) {
    if (*c == '\033') { /* a color: ESC [ ... m */
      while (*c && *c != 'm') c++;
      if (!*c) break;
    } else if (((unsigned char)*c & 0xC0) != 0x80) {
      columns++;
    }
  }
  return columns;
}

void mica_ui_json(mica_ui_text *text, const char *string) {
  mica_ui_string(text, "\"");
  for (size_t left = strlen(string); left > 0;) {
    size_t length = mica_ui_utf8(string, left);
    unsigned char c = (unsigned char)*string;
    if (length == 0) {
      mica_ui_string(text, "\xEF\xBF\xBD");
      length = 1;
    } else if (c == '"' || c == '\\') {
      mica_ui_bytes(text, (char[]){'\\', *string}, 2);
    } else if (c < 0x20 || c == 0x7F || c == '<' || c == '>' || c == '&') {
      mica_ui_format(text, "\\u%04x", (unsigned)c);
    } else {
      mica_ui_bytes(text, string, length);
    }
    string += length;
    left -= length;
  }
  mica_ui_string(text, "\"");
}

void mica_ui_json_number(mica_ui_text *text, double value, int digits) {
  if (isfinite(value))
    mica_ui_number(text, value, digits);
  else
    mica_ui_string(text, "null");
}

void mica_ui_xml(mica_ui_text *text, const char *string) {
  for (size_t left = string ? strlen(string) : 0; left > 0;) {
    size_t length = mica_ui_utf8(string, left);
    if (length == 0) {
      mica_ui_string(text, "\xEF\xBF\xBD");
      length = 1;
    } else if (*string == '<') {
      mica_ui_string(text, "&lt;");
    } else if (*string == '>') {
      mica_ui_string(text, "&gt;");
    } else if (*string == '&') {
      mica_ui_string(text, "&amp;");
    } else if (*string == '"') {
      mica_ui_string(text, "&quot;");
    } else if ((unsigned char)*string >= ' ') {
      mica_ui_bytes(text, string, length);
    }
    string += length;
    left -= length;
  }
}

void mica_ui_free(mica_ui_text *text) {
  free(text->bytes);
  *text = (mica_ui_text){0};
}
