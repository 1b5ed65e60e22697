/* SPDX-License-Identifier: Apache-2.0 */
/* backend_internal.h: what backends share: the inside of a device, and helpers for marked values and for
 * the search for the first NaN. */
#ifndef MICA_BACKEND_INTERNAL_H
#define MICA_BACKEND_INTERNAL_H
#include "backend/device.h"
#include "core/json.h"
#include "core/text.h"
#include "graph/graph_internal.h"
#include "platform/platform.h"

#include <stdatomic.h>

typedef struct mica_trace mica_trace;

/* Options are resolved: `threads` is at least 1. A backend's `open` sees everything but `state`. */
struct mica_device {
  _Atomic uint32_t reference_count;
  _Atomic bool cancelled;
  mica_backend backend; /* a copy: slots that an older backend lacks are NULL */
  void *state;
  mica_allocator allocator;
  int32_t threads;
  bool pin_threads, find_nan, profile;
  bool expand; /* composites run by their expansions, whatever the backend could take whole */
  mica_log_callback *log;
  void *log_user;
  uint64_t process; /* that opened it: no other can use it, threads do not survive a fork */
  char description[160];
  mica_mutex mutex;                     /* guards the two lists */
  mica_trace *all_traces, *free_traces; /* graphs, kept until the device closes */
};

/* Every backend in the library, best first; NULL when no name fits. */
const mica_backend *mica_backend_find(const char *name, size_t length);
const mica_backend *mica_backend_default(void);
void mica_backend_list(char *text, size_t size); /* "cpu, reference" */

/* Profiles (trace_event.c). Of the text for a trace: the begin, for each event its begin, further members of its
 * "args", its end, and the end. */
typedef struct {
  const char *name, *scope;
  double begin, duration; /* microseconds */
  int64_t runs;
} mica_trace_event;
void mica_trace_begin(mica_json_writer *writer, mica_text *out);
void mica_trace_event_begin(mica_json_writer *writer, const mica_trace_event *event);
void mica_trace_event_end(mica_json_writer *writer);
void mica_trace_end(mica_json_writer *writer);
/* What a profile says where nothing was timed. */
void mica_profile_nothing(mica_text *out, bool trace);

/* To be looked at between two steps. */
static inline bool mica_device_is_cancelled(const mica_device *device) {
  return atomic_load_explicit(&device->cancelled, memory_order_relaxed);
}
mica_status mica_device_cancelled_error(mica_error *error); /* MICA_CANCELLED */

/* What marked values leave in a call: texts that reach the log callback when the run has ended and no
 * lock is held, so that the callback may use the library. */
struct mica_call_marks {
  mica_text text; /* each terminated by 0 */
};
/* "label: values"; nothing when nobody listens. `values` is a dense array of `type`. */
void mica_call_mark(const mica_call *call, const char *label, mica_type type, const void *values);
void mica_call_marks_report(struct mica_call_marks *marks, const mica_device *device);

/* find_nan: the row-major index of the first NaN or infinity; -1: none (or no floating dtype). */
int64_t mica_find_not_finite(mica_type type, const void *values);
/* The error for node `id` of `graph`, whose operands were finite: operator, types, scope path. */
mica_status mica_not_finite_error(const mica_graph *graph, uint32_t id, uint32_t result,
                                  const void *values, int64_t index, mica_error *error);

#endif
