/* SPDX-License-Identifier: Apache-2.0 */
/* ui/metrics.h: the numbers of training runs: a log that is written while training, metrics.jsonl,
 * and reading one or many of them back, for plots and tables. Ownership: create/destroy; what is
 * borrowed from an object lives as long as it. Threads: one at a time for each object.
 * Example: examples/plots.c. */
#ifndef MICA_UI_METRICS_H
#define MICA_UI_METRICS_H
#include "mica/core.h"
#ifdef __cplusplus
extern "C" {
#endif

/* What a number was measured on. Values never change. */
typedef enum { MICA_METRICS_TRAIN = 0, MICA_METRICS_EVALUATION = 1 } mica_metrics_kind;

typedef struct {
  const char *name; /* "loss", "accuracy": 1 to 255 bytes of UTF-8 */
  double value;     /* NaN and infinities are kept */
} mica_metric;

/* ---- writing ---------------------------------------------------------------------------------- */

/* A log is a text file of one JSON object a line:
 *
 *   {"step":20,"epoch":0.5,"seconds":1.25,"kind":"train","metrics":{"loss":0.312,"accuracy":0.88}}
 *   {"step":20,"seconds":1.3,"kind":"evaluation","set":"test","metrics":{"accuracy":0.9}}
 *
 * Numbers that JSON lacks are the strings "NaN", "Infinity" and "-Infinity". Each record is handed
 * to the system in one piece, so a process that is killed leaves whole lines, and at most the last
 * one torn, which readers leave out and the next open of the file cuts off. */
typedef struct mica_metrics_log mica_metrics_log;

typedef struct {
  size_t struct_size;
  /* Records are kept in memory for up to this long, which spares calls of the system where steps take
   * microseconds; 0: none are, and a kill loses none. */
  double flush_seconds;
  bool durable; /* each flush waits until the disk has it: a power cut loses none either */
  bool replace; /* begin the file anew instead of appending */
} mica_metrics_log_options;

/* Opens `path` for appending, making it if need be (its folder must exist). `seconds` go on from the
 * last record's. A run that resumes at an earlier step than the log has reached simply appends: see
 * mica_runs. NULL options are defaults. */
MICA_API mica_status mica_metrics_log_open(const char *path,
                                           const mica_metrics_log_options *options,
                                           mica_metrics_log **out_log, mica_error *error);
/* One record. `epoch` may be fractional; NaN: none. `set` names the data that was measured, such as
 * "test"; NULL: none. When the disk is full the record is left out as a whole, MICA_IO says so, and
 * later records can still be written. */
MICA_API mica_status mica_metrics_log_write(mica_metrics_log *log, mica_metrics_kind kind,
                                            const char *set, int64_t step, double epoch,
                                            const mica_metric *metrics, size_t count,
                                            mica_error *error);
MICA_API mica_status mica_metrics_log_flush(mica_metrics_log *log, mica_error *error);
/* Since the log was begun, over all its processes. */
MICA_API double mica_metrics_log_seconds(const mica_metrics_log *log);
/* Flushes, closes and frees; NULL is fine. */
MICA_API mica_status mica_metrics_log_close(mica_metrics_log *log, mica_error *error);

/* ---- reading ---------------------------------------------------------------------------------- */

/* A collection of runs, each a set of curves. */
typedef struct mica_runs mica_runs;

/* One curve of a run: one value for each step, steps ascending. When a run went back to an earlier
 * step s, since it was stopped and resumed from a checkpoint, what it had logged beyond s is left
 * out; of values of one step the newest stays. */
typedef struct {
  mica_metrics_kind kind;
  const char *set;  /* "" for none */
  const char *name; /* of the metric */
  int64_t count;
  const double *step, *epoch, *seconds, *value; /* [count]; epoch NaN where there is none */
} mica_runs_curve;

MICA_API mica_status mica_runs_create(mica_runs **out_runs, mica_error *error);
MICA_API void mica_runs_destroy(mica_runs *runs); /* NULL is fine */
/* Adds what is found at `path`: a log (any file), a TensorBoard event file (its name holds
 * "tfevents"), or a folder: its metrics.jsonl, else its event files; and if it has neither, the
 * folders in it, three deep, in the order of their names. Runs are called after their folders; equal
 * names get a number. MICA_NOT_FOUND when there is nothing. */
MICA_API mica_status mica_runs_add(mica_runs *runs, const char *path, mica_error *error);
/* The same from memory: the lines of a log. */
MICA_API mica_status mica_runs_add_lines(mica_runs *runs, const char *name, const void *bytes,
                                         size_t size, mica_error *error);
/* The scalars of a TensorBoard event file (simple_value, and tensors of one f32 or f64). A tag whose
 * first or last part is "train", "training", "test", "valid", "validation", "val", "eval",
 * "evaluation" or "dev" tells what it was measured on ("test/accuracy", "Loss/train"); all others are
 * training. A file that ends in the middle of a record is read up to there. */
MICA_API mica_status mica_runs_add_events(mica_runs *runs, const char *name, const void *bytes,
                                          size_t size, mica_error *error);

MICA_API size_t mica_runs_count(const mica_runs *runs);
MICA_API const char *mica_runs_name(const mica_runs *runs, size_t run); /* "" outside */
/* What was left out when reading: "2 lines are no records; line 7: expected a number at column 9";
 * "" when nothing was. */
MICA_API const char *mica_runs_note(const mica_runs *runs, size_t run);
MICA_API size_t mica_runs_curve_count(const mica_runs *runs, size_t run);
/* In the order of first appearance; all zero outside. */
MICA_API mica_runs_curve mica_runs_curve_at(const mica_runs *runs, size_t run, size_t index);
/* `set` NULL: none; .name is NULL when there is no such curve. */
MICA_API mica_runs_curve mica_runs_find(const mica_runs *runs, size_t run, mica_metrics_kind kind,
                                        const char *set, const char *name);

#ifdef __cplusplus
}
#endif
#endif
