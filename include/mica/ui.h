/* SPDX-License-Identifier: Apache-2.0 */
/* ui.h: what a person sees: progress, reports, plots. A library of its own (libmica_ui), the
 * only one that prints. Nothing here keeps state between calls but what the caller
 * owns; one thread at a time. */
#ifndef MICA_UI_H
#define MICA_UI_H
#include <stdio.h>

#include "mica/core.h"
#include "mica/ui/events.h"
#include "mica/ui/metrics.h"
#include "mica/ui/picture.h"
#include "mica/ui/plots.h"
#include "mica/ui/training.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- progress -------------------------------------------------------------------------------- */

/* A line that is redrawn on a terminal, cut to its width at that moment, and printed at every tenth of
 * the way elsewhere. Colors only on a terminal, without $NO_COLOR and unless $TERM is dumb; an ASCII
 * bar where the locale is not UTF-8. A plain value: begin fills it, nothing to free. */
typedef struct {
  FILE *out;
  bool terminal, color;
  int64_t total, printed_tenth, began_ns, drawn_ns, paused_ns, pause_began_ns;
  char title[64];
} mica_progress;
/* `total` steps, 0: not known, then it tells how many are done; out NULL: nothing is shown. */
MICA_API void mica_progress_begin(mica_progress *progress, FILE *out, const char *title,
                                  int64_t total);
/* After step `done` of total; `metrics` is text such as "loss 0.312 accuracy 88.1 %". */
MICA_API void mica_progress_update(mica_progress *progress, int64_t done, const char *metrics);
MICA_API void mica_progress_end(mica_progress *progress);
/* Time between pause and resume does not count. */
MICA_API void mica_progress_pause(mica_progress *progress);
MICA_API void mica_progress_resume(mica_progress *progress);
MICA_API double mica_progress_seconds(
    const mica_progress *progress); /* since begin, without pauses */

/* ---- reports --------------------------------------------------------------------------------- */

/* Accuracy by class and the confusion matrix. confusion [classes, classes], row: true class,
 * column: predicted; names [classes]. */
MICA_API void mica_report_classes(FILE *out, const char *const *names, const int64_t *confusion,
                                  int64_t classes);
/* A title and aligned lines "  loss      0.312". */
MICA_API void mica_report_metrics(FILE *out, const char *title, const mica_metric *metrics,
                                  size_t count);
/* Last, least and greatest value of every curve, as a table. */
MICA_API void mica_report_runs(FILE *out, const mica_runs *runs);
/* The same of metrics whose names contain one of the words ("loss,accuracy"); NULL: all. */
MICA_API void mica_report_metrics_of_runs(FILE *out, const mica_runs *runs, const char *words);
/* cells [rows, columns] of UTF-8, the first row the head; NULL is empty. Columns of numbers are aligned
 * on the right. */
MICA_API void mica_report_table(FILE *out, const char *const *cells, size_t rows, size_t columns);

#ifdef __cplusplus
}
#endif
#endif
