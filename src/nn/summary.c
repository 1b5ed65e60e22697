/* SPDX-License-Identifier: Apache-2.0 */
/* summary.c: the table of a model's variables, and what they amount to. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nn/store_internal.h"

/* 1234567 as "1,234,567". */
static void grouped_count(int64_t count, char out[32]) {
  char plain[24];
  int length = snprintf(plain, sizeof plain, "%" PRId64, count), at = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) out[at++] = ',';
    out[at++] = plain[i];
  }
  out[at] = 0;
}

static void byte_text(int64_t bytes, char out[32]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double size = (double)bytes;
  int unit = 0;
  while (size >= 1024 && unit < 4) size /= 1024, unit++;
  snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

static void summary_rule(mica_text *text, int width) {
  for (int i = 0; i < width; i++) mica_text_append(text, "-");
  mica_text_append(text, "\n");
}

static void summary_lines(const mica_store *store, mica_text *text, int path_width) {
  mica_store_entry entry;
  int width = path_width + 52;
  mica_text_format(text, "%-*s  %-26s %12s  %s\n", path_width, "variable", "type", "elements",
                   "trained");
  summary_rule(text, width);
  for (size_t i = 0; mica_store_get(store, i, &entry); i++) {
    char type[96], count[32];
    mica_type_format(entry.type, type, sizeof type);
    grouped_count(mica_shape_count(entry.type.shape), count);
    mica_text_format(text, "%-*s  %-26s %12s  %s%s%s\n", path_width, entry.path, type, count,
                     entry.trainable ? "yes" : "no", *entry.group ? "  " : "", entry.group);
  }
  summary_rule(text, width);
}

static void summary_totals(const mica_store *store, mica_text *text) {
  const char *const names[3] = {"all", "trained", "not trained"};
  int64_t counts[3] = {mica_store_parameter_count(store, false),
                       mica_store_parameter_count(store, true), 0};
  int64_t bytes[3] = {mica_store_byte_count(store, false), mica_store_byte_count(store, true), 0};
  counts[2] = counts[0] - counts[1], bytes[2] = bytes[0] - bytes[1];
  for (int i = 0; i < 3; i++) {
    char count[32], size[32];
    grouped_count(counts[i], count);
    byte_text(bytes[i], size);
    mica_text_format(text, "%-12s %12s elements, %s\n", names[i], count, size);
  }
}

int64_t mica_store_summary(const mica_store *store, char *text, size_t size) {
  if (size > 0) text[0] = 0;
  if (store == NULL) return 0;
  int path_width = 24;
  mica_store_entry entry;
  for (size_t i = 0; mica_store_get(store, i, &entry); i++) {
    int length = (int)strlen(entry.path);
    if (length > path_width) path_width = length > 72 ? 72 : length;
  }
  mica_text list;
  mica_text_init(&list, &store->allocator);
  summary_lines(store, &list, path_width);
  summary_totals(store, &list);
  return mica_text_deliver(&list, text, size);
}
