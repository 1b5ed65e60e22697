/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c: what a plugin's profiler measures, as a trace file.
 *
 * The profiler is an extension with a table of functions of its own (xla/backends/profiler/plugin), declared
 * anew here. It gives an XSpace message (tsl/profiler/protobuf/xplane.proto): planes (a device, the host) of
 * lines (a stream, a thread) of events, whose names stand in a table of the plane. */
#include "backend/xla/wire.h"
#include "backend/xla/xla_internal.h"
#include "mica/xla.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PJRT_EXTENSION_PROFILER = 1, PROFILE_NAMES_MOST = 1 << 20 };

typedef struct profiler_error profiler_error;
typedef struct profiler_session profiler_session;
typedef profiler_error *profiler_function(void *args);

typedef struct {
  size_t struct_size;
  void *own;
  profiler_function *error_destroy, *error_message, *error_code, *create, *destroy, *start, *stop,
      *collect;
} profiler_api;

typedef struct {
  pjrt_extension base;
  profiler_api *api; /* NULL: the extension is there for another reason */
} profiler_extension;

typedef struct {
  size_t struct_size;
  void *own;
  profiler_error *error;
} profiler_error_args;

typedef struct {
  size_t struct_size;
  void *own;
  profiler_error *error;
  const char *message; /* out */
  size_t size;         /* out */
} profiler_message_args;

typedef struct {
  size_t struct_size;
  const char *options; /* a serialized ProfileOptions; empty: its defaults */
  size_t options_size;
  profiler_session *session; /* out */
} profiler_create_args;

typedef struct {
  size_t struct_size;
  profiler_session *session;
} profiler_session_args;

typedef struct {
  size_t struct_size;
  profiler_session *session;
  unsigned char *bytes; /* in: NULL; out: the session's, or NULL: call again with memory */
  size_t size;          /* out */
} profiler_collect_args;

PJRT_CHECK(profiler_api, collect, 80);
PJRT_CHECK(profiler_extension, api, 32);
PJRT_CHECK(profiler_create_args, session, 32);
PJRT_CHECK(profiler_collect_args, size, 32);

static const profiler_api *profiler_of(const xla_client *client) {
  const pjrt_extension *extension =
      mica_xla_extension(&client->plugin, PJRT_EXTENSION_PROFILER, sizeof(profiler_extension));
  if (extension == NULL) return NULL;
  const profiler_api *api = ((const profiler_extension *)(const void *)extension)->api;
  return api != NULL && api->struct_size >= PJRT_END(profiler_api, collect) &&
                 api->create != NULL && api->destroy != NULL && api->start != NULL &&
                 api->stop != NULL && api->collect != NULL && api->error_destroy != NULL
             ? api
             : NULL;
}

static mica_status profiler_status(const xla_client *client, const profiler_api *api,
                                   profiler_error *problem, const char *what, mica_error *error) {
  if (problem == NULL) return MICA_OK;
  profiler_message_args args = {PJRT_SIZE_OF(profiler_message_args, size), .error = problem};
  if (api->error_message != NULL) (void)api->error_message(&args);
  mica_status status = mica_error_set(error, MICA_INTERNAL, "xla:%s: the profiler's %s: %.*s",
                                      client->plugin.name, what,
                                      (int)(args.message == NULL ? 0
                                            : args.size > 800    ? 800
                                                                 : args.size),
                                      args.message == NULL ? "" : args.message);
  profiler_error_args end = {PJRT_SIZE_OF(profiler_error_args, error), .error = problem};
  (void)api->error_destroy(&end);
  return status;
}

static mica_status profiler_step(const xla_client *client, const profiler_api *api,
                                 profiler_function *function, const char *what, mica_error *error) {
  profiler_session_args args = {PJRT_SIZE_OF(profiler_session_args, session),
                                .session = client->profile};
  return profiler_status(client, api, function(&args), what, error);
}

mica_status mica_xla_profile_begin(mica_device *device, mica_error *error) {
  xla_client *client = NULL;
  mica_status status = mica_xla_client_of(device, &client, error);
  if (status != MICA_OK) return status;
  const profiler_api *api = profiler_of(client);
  if (api == NULL)
    return mica_error_set(error, MICA_UNSUPPORTED, "xla:%s: the plugin has no profiler",
                          client->plugin.name);
  if (client->profile != NULL)
    return mica_error_set(error, MICA_INVALID, "a profile of this device is under way");
  profiler_create_args args = {PJRT_SIZE_OF(profiler_create_args, session), .options = ""};
  status = profiler_status(client, api, api->create(&args), "start", error);
  if (status != MICA_OK) return status;
  client->profile = args.session;
  status = profiler_step(client, api, api->start, "start", error);
  if (status != MICA_OK) mica_xla_profile_drop(client);
  return status;
}

void mica_xla_profile_drop(xla_client *client) {
  if (client->profile == NULL) return;
  const profiler_api *api = profiler_of(client);
  if (api != NULL) (void)profiler_step(client, api, api->destroy, "end", NULL);
  client->profile = NULL;
}

/* ---- as a trace ------------------------------------------------------------------------------ */

enum { /* numbers of fields */
       SPACE_PLANE = 1,
       SPACE_ERROR = 2, /* texts of what could not be measured, and why */
       SPACE_WARNING = 3,
       PLANE_NAME = 2,
       PLANE_LINE = 3,
       PLANE_EVENT_NAMES = 4, /* a map: 1 the id, 2 the metadata with its name as 2 */
       LINE_NAME = 2,
       LINE_BEGIN = 3, /* ns */
       LINE_EVENT = 4,
       LINE_DISPLAY_NAME = 11,
       EVENT_NAME_ID = 1,
       EVENT_OFFSET = 2,  /* ps behind the line's begin */
       EVENT_DURATION = 3 /* ps */
};

/* The names of a plane's events by id; ids count up from 1, so an array serves. */
typedef struct {
  xla_wire *names;
  uint32_t capacity;
  size_t count;
} event_names;

static bool read_event_names(xla_wire plane, const mica_allocator *allocator, event_names *out) {
  xla_wire_field field, id, value, name;
  while (mica_xla_wire_next(&plane, &field)) {
    if (field.number != PLANE_EVENT_NAMES) continue;
    if (!mica_xla_wire_find(field.bytes, 1, &id) || !mica_xla_wire_find(field.bytes, 2, &value) ||
        !mica_xla_wire_find(value.bytes, 2, &name) || id.value >= PROFILE_NAMES_MOST)
      continue;
    size_t needed = (size_t)id.value + 1;
    if (!mica_grow(allocator, &out->names, &out->capacity, needed, sizeof(*out->names)))
      return false;
    while (out->count < needed) out->names[out->count++] = (xla_wire){0};
    out->names[id.value] = name.bytes;
  }
  return true;
}

static void append_json_text(mica_text *out, xla_wire text) {
  mica_text_append(out, "\"");
  for (; text.at < text.end; text.at++) {
    unsigned char c = *text.at;
    if (c == '"' || c == '\\')
      mica_text_format(out, "\\%c", c);
    else if (c < 32)
      mica_text_format(out, "\\u%04x", c);
    else
      mica_text_append_bytes(out, text.at, 1);
  }
  mica_text_append(out, "\"");
}

static void append_row_name(mica_text *out, const char *what, int plane, int line, xla_wire name,
                            bool *first) {
  mica_text_format(out,
                   "%s\n{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":",
                   *first ? "" : ",", what, plane, line);
  *first = false;
  append_json_text(out, name);
  mica_text_append(out, "}}");
}

/* Returns how many events it had. */
static int64_t append_line(mica_text *out, const event_names *names, xla_wire line, int plane,
                           int number, bool *first) {
  xla_wire_field field, name;
  uint64_t begin = mica_xla_wire_find(line, LINE_BEGIN, &field) ? field.value : 0;
  if (mica_xla_wire_find(line, LINE_DISPLAY_NAME, &name) ||
      mica_xla_wire_find(line, LINE_NAME, &name))
    append_row_name(out, "thread_name", plane, number, name.bytes, first);
  int64_t count = 0;
  while (mica_xla_wire_next(&line, &field)) {
    if (field.number != LINE_EVENT) continue;
    xla_wire_field id, offset, duration;
    if (!mica_xla_wire_find(field.bytes, EVENT_NAME_ID, &id) || id.value >= names->count) continue;
    if (!mica_xla_wire_find(field.bytes, EVENT_OFFSET, &offset)) offset.value = 0;
    if (!mica_xla_wire_find(field.bytes, EVENT_DURATION, &duration)) duration.value = 0;
    mica_text_format(
        out, "%s\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"ts\":%.6f,\"dur\":%.6f,\"name\":",
        *first ? "" : ",", plane, number, (double)begin / 1e3 + (double)offset.value / 1e6,
        (double)duration.value / 1e6);
    *first = false;
    append_json_text(out, names->names[id.value]);
    mica_text_append(out, "}");
    count++;
  }
  return count;
}

/* A device that lets nobody look (without CUPTI, or without the right to use it) leaves a trace without events: it
 * says so, with what the plugin's profiler says. */
static void append_remarks(mica_text *out, xla_wire space, int64_t events) {
  xla_wire_field field;
  bool first = true;
  mica_text_format(out, "\n],\"otherData\":{\"events\":%" PRId64 ",\"remarks\":[", events);
  while (mica_xla_wire_next(&space, &field)) {
    if (field.number != SPACE_ERROR && field.number != SPACE_WARNING) continue;
    if (!first) mica_text_append(out, ",");
    append_json_text(out, field.bytes);
    first = false;
  }
  if (events == 0) mica_text_format(out, "%s\"the device told no events\"", first ? "" : ",");
  mica_text_append(out, "]}}\n");
}

/* The trace event format that chrome://tracing and Perfetto read. */
static bool append_trace(xla_wire space, const mica_allocator *allocator, mica_text *out) {
  xla_wire_field plane, field, name;
  xla_wire all = space;
  bool first = true, fine = true;
  int64_t events = 0;
  mica_text_append(out, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
  for (int number = 1; fine && mica_xla_wire_next(&space, &plane);) {
    if (plane.number != SPACE_PLANE) continue;
    event_names names = {0};
    fine = read_event_names(plane.bytes, allocator, &names);
    if (mica_xla_wire_find(plane.bytes, PLANE_NAME, &name))
      append_row_name(out, "process_name", number, 0, name.bytes, &first);
    int line = 0;
    for (xla_wire rest = plane.bytes; fine && mica_xla_wire_next(&rest, &field);)
      if (field.number == PLANE_LINE)
        events += append_line(out, &names, field.bytes, number, ++line, &first);
    mica_free(allocator, names.names, names.capacity * sizeof(*names.names));
    number++;
  }
  append_remarks(out, all, events);
  return fine && !out->failed;
}

static bool wants_json(const char *path) {
  size_t length = strlen(path);
  return length > 5 && strcmp(path + length - 5, ".json") == 0;
}

static mica_status write_profile(const xla_client *client, xla_wire space, const char *path,
                                 mica_error *error) {
  mica_text text;
  char reason[128];
  mica_text_init(&text, &client->allocator);
  int code = 0;
  mica_status status = MICA_OK;
  if (!wants_json(path))
    code = mica_file_write_atomic(path, space.at, (size_t)(space.end - space.at));
  else if (append_trace(space, &client->allocator, &text))
    code = mica_file_write_atomic(path, text.data, text.size);
  else
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a profile");
  mica_text_deinit(&text);
  if (code != 0)
    status = mica_error_set(error, MICA_IO, "%s: %s", path,
                            mica_errno_text(code, reason, sizeof(reason)));
  return status;
}

mica_status mica_xla_profile_end(mica_device *device, const char *path, mica_error *error) {
  xla_client *client = NULL;
  mica_status status = mica_xla_client_of(device, &client, error);
  if (status != MICA_OK) return status;
  if (path == NULL) return mica_null_error(error, "the path");
  if (client->profile == NULL)
    return mica_error_set(error, MICA_INVALID, "no profile of this device was begun");
  const profiler_api *api = profiler_of(client);
  profiler_collect_args args = {PJRT_SIZE_OF(profiler_collect_args, size),
                                .session = client->profile};
  unsigned char *own = NULL;
  size_t own_size = 0;
  status = profiler_step(client, api, api->stop, "end", error);
  if (status == MICA_OK) status = profiler_status(client, api, api->collect(&args), "data", error);
  if (status == MICA_OK && args.bytes == NULL && args.size > 0) {
    own_size = args.size;
    own = args.bytes = mica_allocate(&client->allocator, own_size);
    status = own == NULL ? mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a profile")
                         : profiler_status(client, api, api->collect(&args), "data", error);
    if (args.size > own_size) args.size = own_size;
  }
  if (status == MICA_OK)
    status = write_profile(client,
                           xla_wire_of(args.bytes == NULL ? (unsigned char *)"" : args.bytes,
                                       args.bytes == NULL ? 0 : args.size),
                           path, error);
  if (own != NULL) mica_free(&client->allocator, own, own_size);
  mica_xla_profile_drop(client);
  return status;
}
