/* SPDX-License-Identifier: Apache-2.0 */
/* table.c: tables for people: aligned columns, and the summaries that are printed as such. */
#include <stdlib.h>
#include <string.h>

#include "ui/plot_internal.h"
#include "ui/ui_internal.h"

/* Digits with what belongs to numbers, possibly a unit behind: aligned on the right. */
static bool looks_like_number(const char *text) {
  const char *c = text + (*text == '-' || *text == '+');
  return (*c >= '0' && *c <= '9') || !strcmp(c, "nan") || !strcmp(c, "inf");
}

void mica_report_table(FILE *out, const char *const *cells, size_t rows, size_t columns) {
  size_t *widths = out && cells && columns ? calloc(columns, sizeof *widths) : NULL;
  mica_ui_text text = {0};
  if (!widths) return;
  for (size_t i = 0; i < rows * columns; i++) {
    size_t width = cells[i] ? mica_ui_columns(cells[i]) : 0;
    if (width > widths[i % columns]) widths[i % columns] = width;
  }
  for (size_t r = 0; r < rows; r++) {
    size_t blanks = 0; /* owed: none are written at a line's end */
    for (size_t c = 0; c < columns; c++) {
      const char *cell = cells[r * columns + c] ? cells[r * columns + c] : "";
      bool right = rows > 1;
      for (size_t k = 1; k < rows && right; k++) {
        const char *other = cells[k * columns + c];
        right = !other || !*other || looks_like_number(other);
      }
      size_t pad = widths[c] - mica_ui_columns(cell);
      if (right) blanks += pad;
      for (; *cell && blanks > 0; blanks--) mica_ui_string(&text, " ");
      mica_ui_string(&text, cell);
      blanks += (right ? 0 : pad) + 2;
    }
    mica_ui_string(&text, "\n");
    if (r > 0 || rows < 2) continue;
    size_t rule = columns * 2 - 2;
    for (size_t c = 0; c < columns; c++) rule += widths[c];
    for (; rule > 0; rule--) mica_ui_string(&text, mica_ui_wants_unicode() ? "─" : "-");
    mica_ui_string(&text, "\n");
  }
  if (!text.failed && text.bytes) fwrite(text.bytes, 1, text.size, out);
  mica_ui_free(&text);
  free(widths);
}

void mica_report_metrics(FILE *out, const char *title, const mica_metric *metrics, size_t count) {
  mica_ui_text text = {0};
  size_t widest = 0;
  if (!out || (count && !metrics)) return;
  for (size_t i = 0; i < count; i++)
    if (metrics[i].name && mica_ui_columns(metrics[i].name) > widest)
      widest = mica_ui_columns(metrics[i].name);
  if (title && *title) mica_ui_format(&text, "%s\n", title);
  for (size_t i = 0; i < count; i++) {
    const char *name = metrics[i].name ? metrics[i].name : "";
    mica_ui_format(&text, "  %s%*s  ", name, (int)(widest - mica_ui_columns(name)), "");
    mica_ui_number(&text, metrics[i].value, 6);
    mica_ui_string(&text, "\n");
  }
  if (!text.failed && text.bytes) fwrite(text.bytes, 1, text.size, out);
  mica_ui_free(&text);
}

enum { CELL = 300, SUMMARY_COLUMNS = 6 };

static void value_cell(const mica_runs_curve *curve, int64_t at, char *out) {
  char value[64], step[64];
  *out = 0;
  if (at < 0) return;
  mica_ui_number_text(curve->value[at], 6, value, sizeof value);
  mica_ui_number_text(curve->step[at], 12, step, sizeof step);
  snprintf(out, CELL, "%s at %s", value, step);
}

void mica_report_runs(FILE *out, const mica_runs *runs) {
  mica_report_metrics_of_runs(out, runs, NULL);
}

void mica_report_metrics_of_runs(FILE *out, const mica_runs *runs, const char *words) {
  const mica_plot_options wanted = {.struct_size = sizeof wanted, .metrics = words};
  static const char *const heads[SUMMARY_COLUMNS] = {"run",  "metric", "on",
                                                     "last", "least",  "greatest"};
  size_t rows = 1;
  for (size_t r = 0; r < mica_runs_count(runs); r++) rows += mica_runs_curve_count(runs, r);
  char(*texts)[CELL] = calloc(rows * SUMMARY_COLUMNS, CELL);
  const char **cells = calloc(rows * SUMMARY_COLUMNS, sizeof *cells);
  size_t row = 1;
  for (size_t i = 0; texts && cells && i < SUMMARY_COLUMNS; i++) cells[i] = heads[i];
  for (size_t r = 0; texts && cells && r < mica_runs_count(runs); r++)
    for (size_t i = 0; i < mica_runs_curve_count(runs, r); i++) {
      mica_runs_curve c = mica_runs_curve_at(runs, r, i);
      int64_t least, most;
      if (!mica_plot_wants(&wanted, c.name)) continue;
      mica_ui_extremes(c.value, 0, c.count, &least, &most);
      char(*line)[CELL] = texts + row * SUMMARY_COLUMNS;
      snprintf(line[0], CELL, "%s", mica_runs_name(runs, r));
      snprintf(line[1], CELL, "%s", c.name);
      snprintf(line[2], CELL, "%s",
               *c.set                              ? c.set
               : c.kind == MICA_METRICS_EVALUATION ? "evaluation"
                                                   : "training");
      value_cell(&c, c.count - 1, line[3]);
      value_cell(&c, least, line[4]);
      value_cell(&c, most, line[5]);
      for (size_t k = 0; k < SUMMARY_COLUMNS; k++) cells[row * SUMMARY_COLUMNS + k] = line[k];
      row++;
    }
  if (texts && cells) mica_report_table(out, cells, row, SUMMARY_COLUMNS);
  free(texts), free(cells);
}
