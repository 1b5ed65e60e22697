/* SPDX-License-Identifier: Apache-2.0 */
/* ui/training.h: a training loop to look at: a progress line, a log, a page that an open browser
 * follows, TensorBoard. Ownership: open/close; the loop does not outlive the view, or does not run
 * after it. Threads: that of the loop. Example: docs/plots.md. */
#ifndef MICA_UI_TRAINING_H
#define MICA_UI_TRAINING_H
#include <stdio.h>

#include "mica/train/loop.h"
#include "mica/ui/metrics.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_training_view mica_training_view;

typedef struct {
  size_t struct_size;
  const char *title; /* of the progress and the page; NULL: "training" */
  const char *const
      *measures;        /* [measure_count] names of the trainer's measures, kept by the caller */
  size_t measure_count; /* unnamed ones are left out */
  FILE *progress;       /* a bar or lines there; NULL: none */
  /* Made if it is missing: metrics.jsonl, which goes on where there is one, plot.html, and an event
   * file. NULL: nothing is written. */
  const char *folder;
  int64_t log_every;   /* steps; 0: each */
  double page_seconds; /* how often the page is written, and read again by who looks; 0: 2 */
  bool no_events;      /* no file for TensorBoard */
} mica_training_view_options;

/* Adds hooks to the loop, evaluations of mica_evaluation_hook among them: numbers of the step (loss, measures, learning rate, norm of the gradients) go
 * to the log, means over about 50 steps to the progress line. The page takes at most a twentieth of the
 * time, however long the log is. After a failure the loop is not to be run. */
MICA_API mica_status mica_training_view_open(mica_training_loop *loop,
                                             const mica_training_view_options *options,
                                             mica_training_view **out_view, mica_error *error);
/* Numbers of an evaluation at the present step, on the data called `set` ("test"), for log, page and
 * TensorBoard; call it from a hook or after the run. */
MICA_API mica_status mica_training_view_report(mica_training_view *view, const char *set,
                                               const mica_metric *metrics, size_t count,
                                               mica_error *error);
/* Writes the page once more, as final, and frees; NULL is fine. */
MICA_API mica_status mica_training_view_close(mica_training_view *view, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
