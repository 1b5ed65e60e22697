/* SPDX-License-Identifier: Apache-2.0 */
/* text.h: a growing string for printers, and numbers to and from text that do not depend on the
 * locale. */
#ifndef MICA_CORE_TEXT_H
#define MICA_CORE_TEXT_H
#include "mica/core.h"

/* Appending to a failed text does nothing, so callers check `failed` once at the end. */
typedef struct {
  mica_allocator allocator;
  char *data;      /* terminated by 0; NULL until something is appended */
  size_t size;     /* without the terminator */
  size_t capacity; /* bytes allocated */
  bool failed;     /* memory ran out: what is in `data` is a prefix */
} mica_text;

void mica_text_init(mica_text *text, const mica_allocator *allocator);
void mica_text_deinit(mica_text *text);
void mica_text_clear(mica_text *text); /* keeps the memory */
void mica_text_append(mica_text *text, const char *string);
void mica_text_append_bytes(mica_text *text, const void *bytes, size_t size);
void mica_text_format(mica_text *text, const char *format, ...) MICA_PRINTF(2, 3);
/* Copies a finished text to a caller's buffer as snprintf would; -1 when memory ran out. */
int64_t mica_text_copy(const mica_text *text, char *out, size_t size);
int64_t mica_text_deliver(mica_text *text, char *out, size_t size); /* the same, and frees it */
/* The shortest decimal that reads back as the same double ("0.1", "1e+30", "nan", "inf",
 * "-inf"). */
void mica_text_double(mica_text *text, double value);
int mica_format_double(double value, char *out,
                       size_t size); /* the same into a buffer of >= 32 bytes */
/* The same with at most `digits` significant digits, rounded to nearest: what messages show. */
int mica_format_double_rounded(double value, int32_t digits, char *out, size_t size);

/* The noun behind a number in a message: 1 entry, 0 or 2 entries. */
static inline const char *mica_noun(size_t count, const char *one, const char *many) {
  return count == 1 ? one : many;
}

/* Sorts the strings, by strcmp, and returns one that occurs twice, or NULL. Takes n log n
 * comparisons however a file's author chose the names (a heap sort: hashes and quicksort have
 * inputs that make them quadratic). */
const char *mica_find_duplicate(const char **strings, size_t count);

/* Parses at *cursor up to `end`, advances it; false when there is no number or it does not fit. */
bool mica_parse_i64(const char **cursor, const char *end, int64_t *out);
bool mica_parse_double(const char **cursor, const char *end, double *out);

#endif
