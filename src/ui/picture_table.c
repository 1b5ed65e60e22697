/* SPDX-License-Identifier: Apache-2.0 */
/* picture_table.c: a model's layers as a table: what leaves each, its parameters, what it computes. */
#include <stdlib.h>
#include <string.h>

#include "ui/picture_internal.h"

enum { TABLE_COLUMNS = 4, TABLE_CELL = 320 };

typedef struct {
  const mica_picture *picture;
  int32_t depth; /* 0: all */
  char (*texts)[TABLE_CELL];
  size_t rows;
} layer_table;

static void layer_row(layer_table *t, const mica_picture_item *item) {
  char(*line)[TABLE_CELL] = t->texts + t->rows++ * TABLE_COLUMNS;
  snprintf(line[0], TABLE_CELL, "%*s%s", 2 * (item->depth - 1), "", item->name);
  mica_picture_type(item, line[1], TABLE_CELL);
  if (item->kind != MICA_ITEM_SCOPE) return;
  mica_picture_count(item->parameters, line[2], TABLE_CELL);
  snprintf(line[3], TABLE_CELL, "%s", item->does);
}

/* What is directly in an item, as it is computed. */
static void layer_rows(layer_table *t, int32_t parent) {
  uint32_t after = 0;
  for (;;) {
    int32_t next = -1;
    for (int32_t i = 1; i < t->picture->count; i++) {
      const mica_picture_item *item = &t->picture->items[i];
      if (item->parent != parent || item->kind == MICA_ITEM_OPERATOR || item->order < after)
        continue;
      if (item->kind == MICA_ITEM_OUTPUT) continue;
      if (next < 0 || item->order < t->picture->items[next].order) next = i;
    }
    if (next < 0) return;
    const mica_picture_item *item = &t->picture->items[next];
    layer_row(t, item);
    if (item->kind == MICA_ITEM_SCOPE && (t->depth == 0 || item->depth < t->depth))
      layer_rows(t, next);
    after = item->order + 1;
  }
}

mica_status mica_picture_table(FILE *out, const mica_graph *graph,
                               const mica_picture_options *options, mica_error *error) {
  mica_picture picture;
  mica_picture_options o = mica_picture_options_of(options);
  if (!out) return mica_error_set(error, MICA_INVALID, "picture: there is no file for the table");
  mica_status status = mica_picture_build(graph, &o, &picture, error);
  if (status != MICA_OK) return status;
  static const char *const heads[TABLE_COLUMNS] = {"layer", "output", "parameters", "computes"};
  size_t most = (size_t)picture.count + 1;
  layer_table t = {.picture = &picture, .depth = o.depth, .rows = 1};
  t.texts = calloc(most * TABLE_COLUMNS, TABLE_CELL);
  const char **cells = calloc(most * TABLE_COLUMNS, sizeof *cells);
  if (t.texts && cells) {
    char count[40];
    for (int i = 0; i < TABLE_COLUMNS; i++) snprintf(t.texts[i], TABLE_CELL, "%s", heads[i]);
    layer_rows(&t, 0);
    for (size_t i = 0; i < t.rows * TABLE_COLUMNS; i++) cells[i] = t.texts[i];
    mica_report_table(out, cells, t.rows, TABLE_COLUMNS);
    mica_picture_count(picture.items[0].parameters, count, sizeof count);
    fprintf(out, "%s parameters in %d variables\n\n", count, (int)picture.variables);
  } else {
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "picture: out of memory");
  }
  free(t.texts), free(cells);
  mica_picture_free(&picture);
  return status;
}
