/* SPDX-License-Identifier: Apache-2.0 */
/* testing_files.h: a file of the tests as a whole, by the C library. */
#ifndef TESTING_FILES_H
#define TESTING_FILES_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes, with a 0 behind them; NULL when there is no such file. Free them. */
static inline char *testing_read_file(const char *path, size_t *out_size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return NULL;
  char *bytes = NULL;
  long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  rewind(file);
  if (size >= 0) bytes = malloc((size_t)size + 1);
  if (bytes != NULL) {
    size_t got = fread(bytes, 1, (size_t)size, file);
    bytes[got] = '\0';
    if (out_size != NULL) *out_size = got;
  }
  fclose(file);
  return bytes;
}

/* Cuts the next line off *cursor; NULL at the end. */
static inline char *testing_next_line(char **cursor) {
  if (**cursor == '\0') return NULL;
  char *line = *cursor, *end = strchr(line, '\n');
  *cursor = end == NULL ? line + strlen(line) : end + 1;
  if (end != NULL) *end = '\0';
  return line;
}

/* The bytes that `hex` spells, at most `limit`; returns how many. */
static inline size_t testing_from_hex(const char *hex, unsigned char *out, size_t limit) {
  size_t size = strlen(hex) / 2;
  if (size > limit) size = limit;
  for (size_t i = 0; i < size; i++) {
    char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
    out[i] = (unsigned char)strtoul(pair, NULL, 16);
  }
  return size;
}

#endif
