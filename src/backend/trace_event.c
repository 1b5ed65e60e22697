/* SPDX-License-Identifier: Apache-2.0 */
/* trace_event.c: the trace event format of Chrome and Perfetto, in which backends write down where a run spent
 * its time: complete events, times in microseconds. */
#include "backend/backend_internal.h"
#include "core/json.h"

void mica_trace_begin(mica_json_writer *writer, mica_text *out) {
  mica_json_begin(writer, out);
  mica_json_object_begin(writer);
  mica_json_key(writer, "traceEvents");
  mica_json_array_begin(writer);
}

void mica_trace_event_begin(mica_json_writer *writer, const mica_trace_event *event) {
  mica_json_object_begin(writer);
  mica_json_key(writer, "name"), mica_json_string(writer, event->name);
  mica_json_key(writer, "ph"), mica_json_string(writer, "X");
  mica_json_key(writer, "pid"), mica_json_integer(writer, 1);
  mica_json_key(writer, "tid"), mica_json_integer(writer, 1);
  mica_json_key(writer, "ts"), mica_json_double(writer, event->begin);
  mica_json_key(writer, "dur"), mica_json_double(writer, event->duration);
  mica_json_key(writer, "args"), mica_json_object_begin(writer);
  mica_json_key(writer, "scope"), mica_json_string(writer, event->scope);
  mica_json_key(writer, "runs"), mica_json_integer(writer, event->runs);
}

void mica_trace_event_end(mica_json_writer *writer) {
  mica_json_object_end(writer);
  mica_json_object_end(writer);
}

void mica_trace_end(mica_json_writer *writer) {
  mica_json_array_end(writer);
  mica_json_object_end(writer);
}

void mica_profile_nothing(mica_text *out, bool trace) {
  mica_text_append(out,
                   trace ? "{\"traceEvents\": []}"
                         : "no profile: open the device with `profile` and run the executable\n");
}
