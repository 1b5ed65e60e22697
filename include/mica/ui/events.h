/* SPDX-License-Identifier: Apache-2.0 */
/* ui/events.h: TensorBoard event files: scalars, images, histograms and graphs, written without
 * protobuf, and opened by `tensorboard --logdir DIR`. Reading scalars back: mica_runs_add.
 * Ownership: open/close. Threads: one at a time for each log. Example: examples/plots.c. */
#ifndef MICA_UI_EVENTS_H
#define MICA_UI_EVENTS_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct mica_event_log mica_event_log;

/* A new file events.out.tfevents.SECONDS.HOST.PROCESS.NUMBER.mica in `folder`, which is made if it
 * is missing. One folder is one run of TensorBoard's. Records are kept in memory for up to two
 * seconds; a kill tears at most the last one, which readers leave out. */
MICA_API mica_status mica_events_open(const char *folder, mica_event_log **out_log,
                                      mica_error *error);
/* Its path; valid while the log lives. */
MICA_API const char *mica_events_path(const mica_event_log *log);
/* `tag` is the curve's name; what stands in front of its first '/' is its group. Stored as f32. */
MICA_API mica_status mica_events_scalar(mica_event_log *log, const char *tag, int64_t step,
                                        double value, mica_error *error);
/* image [height, width, channels] or [height, width]; 1 (gray), 3 (RGB) or 4 (RGBA) channels; u8 as
 * it is, float dtypes from 0 to 1 (outside: the nearer end; NaN: 0). Stored as PNG. */
MICA_API mica_status mica_events_image(mica_event_log *log, const char *tag, int64_t step,
                                       const mica_tensor *image, mica_error *error);
/* How the elements of a real tensor of any shape are distributed: `buckets` (0: 30) equal ones from
 * the least to the greatest finite value; what is not finite is left out. */
MICA_API mica_status mica_events_histogram(mica_event_log *log, const char *tag, int64_t step,
                                           const mica_tensor *values, int64_t buckets,
                                           mica_error *error);
/* The graph with its scopes as groups, for the tab "Graphs"; at most one for each log counts. */
MICA_API mica_status mica_events_graph(mica_event_log *log, const mica_graph *graph,
                                       mica_error *error);
MICA_API mica_status mica_events_flush(mica_event_log *log, mica_error *error);
/* Flushes, closes and frees; NULL is fine. */
MICA_API mica_status mica_events_close(mica_event_log *log, mica_error *error);

/* A PNG file (ISO/IEC 15948) of an image as above, uncompressed. */
MICA_API mica_status mica_png_save(const char *path, const mica_tensor *image, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
