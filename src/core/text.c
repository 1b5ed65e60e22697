/* SPDX-License-Identifier: Apache-2.0 */
/* text.c: a growing string with a sticky failure. */
#include "core/text.h"

#include "core/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void mica_text_init(mica_text *text, const mica_allocator *allocator) {
  *text = (mica_text){0};
  if (allocator != NULL) text->allocator = *allocator;
}

void mica_text_deinit(mica_text *text) {
  mica_free(&text->allocator, text->data, text->capacity);
  mica_text_init(text, &(mica_allocator){text->allocator.allocate, text->allocator.self});
}

void mica_text_clear(mica_text *text) {
  text->size = 0;
  text->failed = false;
  if (text->data != NULL) text->data[0] = '\0';
}

/* Room for `size` more bytes and the terminator. */
static bool text_reserve(mica_text *text, size_t size) {
  if (text->failed) return false;
  size_t needed;
  if (mica_size_add(text->size, size, &needed) && mica_size_add(needed, 1, &needed)) {
    if (needed <= text->capacity) return true;
    size_t wanted = text->capacity < 64 ? 64 : text->capacity;
    while (wanted < needed) wanted = wanted > SIZE_MAX / 2 ? needed : wanted * 2;
    char *data = mica_reallocate(&text->allocator, text->data, text->capacity, wanted);
    if (data != NULL) {
      text->data = data;
      text->capacity = wanted;
      return true;
    }
  }
  text->failed = true;
  return false;
}

void mica_text_append_bytes(mica_text *text, const void *bytes, size_t size) {
  if (!text_reserve(text, size)) return;
  if (size > 0) memcpy(text->data + text->size, bytes, size);
  text->size += size;
  text->data[text->size] = '\0';
}

void mica_text_append(mica_text *text, const char *string) {
  mica_text_append_bytes(text, string, strlen(string));
}

void mica_text_format(mica_text *text, const char *format, ...) {
  if (!text_reserve(text, 64)) return;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text->data + text->size, text->capacity - text->size, format, arguments);
  va_end(arguments);
  if (length >= 0 && (size_t)length >= text->capacity - text->size) {
    text->data[text->size] = '\0';
    if (!text_reserve(text, (size_t)length)) return;
    va_start(arguments, format);
    length = vsnprintf(text->data + text->size, text->capacity - text->size, format, arguments);
    va_end(arguments);
  }
  if (length < 0) {
    text->data[text->size] = '\0';
    text->failed = true;
    return;
  }
  text->size += (size_t)length;
}

int64_t mica_text_copy(const mica_text *text, char *out, size_t size) {
  if (size > 0) {
    size_t copied = text->failed ? 0 : text->size < size - 1 ? text->size : size - 1;
    if (copied > 0) memcpy(out, text->data, copied);
    out[copied] = '\0';
  }
  return text->failed ? -1 : (int64_t)text->size;
}

int64_t mica_text_deliver(mica_text *text, char *out, size_t size) {
  int64_t needed = mica_text_copy(text, out, size);
  mica_text_deinit(text);
  return needed;
}

void mica_text_double(mica_text *text, double value) {
  char digits[32];
  int length = mica_format_double(value, digits, sizeof(digits));
  mica_text_append_bytes(text, digits, (size_t)length);
}

static void sift_down(const char **heap, size_t parent, size_t count) {
  for (size_t child; (child = 2 * parent + 1) < count; parent = child) {
    if (child + 1 < count && strcmp(heap[child], heap[child + 1]) < 0) child++;
    if (strcmp(heap[parent], heap[child]) >= 0) return;
    const char *moved = heap[parent];
    heap[parent] = heap[child];
    heap[child] = moved;
  }
}

const char *mica_find_duplicate(const char **strings, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sift_down(strings, i, count);
  for (size_t last = count; last-- > 1;) {
    const char *largest = strings[0];
    strings[0] = strings[last];
    strings[last] = largest;
    sift_down(strings, 0, last);
  }
  for (size_t i = 1; i < count; i++)
    if (strcmp(strings[i - 1], strings[i]) == 0) return strings[i];
  return NULL;
}
