/* SPDX-License-Identifier: Apache-2.0 */
/* device.c: opening a backend with its options, and the life of a device.
 *
 * The name of a backend may carry options behind a comma ("cpu, threads=1"), from the program or from
 * $MICA_BACKEND; those outrank the fields of the struct, these the environment's other defaults. What the
 * device does not know itself is handed to the backend's `open`. */
#include "backend/backend_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DEVICE_THREAD_LIMIT = 4096, DEVICE_TEXT_SIZE = 512 };

/* A graph of the device's, with its place in the lists; the graph comes first. */
struct mica_trace {
  mica_graph graph;
  mica_trace *next, *next_free;
};

/* ---- options ---------------------------------------------------------------------------------- */

typedef struct {
  const char *text;
  size_t length;
} option_part;

static option_part trimmed(const char *text, size_t length) {
  while (length > 0 && (*text == ' ' || *text == '\t')) text++, length--;
  while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
  return (option_part){text, length};
}

/* The next part of a list separated by commas; false at its end. */
static bool next_part(const char **cursor, option_part *out) {
  if (*cursor == NULL || **cursor == '\0') return false;
  const char *comma = strchr(*cursor, ',');
  size_t length = comma == NULL ? strlen(*cursor) : (size_t)(comma - *cursor);
  *out = trimmed(*cursor, length);
  *cursor += length + (comma != NULL ? 1 : 0);
  return true;
}

static bool part_is(option_part part, const char *text) {
  return strlen(text) == part.length && memcmp(part.text, text, part.length) == 0;
}

static mica_status parse_threads(const char *text, size_t length, const char *whence,
                                 int32_t *out_threads, mica_error *error) {
  int64_t number = 0;
  const char *cursor = text, *end = text + length;
  bool fine = length > 0 && mica_parse_i64(&cursor, end, &number) && cursor == end;
  if (!fine || number < 0 || number > DEVICE_THREAD_LIMIT)
    return mica_error_set(error, MICA_INVALID, "%s is '%.*s', not a number of threads in 0 to %d",
                          whence, (int)(length > 100 ? 100 : length), text, DEVICE_THREAD_LIMIT);
  *out_threads = (int32_t)number;
  return MICA_OK;
}

/* "profile", "profile=1", "profile=0" and the same with true and false. */
static bool parse_switch(option_part part, const char *name, bool *out) {
  size_t length = strlen(name);
  if (part.length < length || memcmp(part.text, name, length) != 0) return false;
  option_part value = {part.text + length, part.length - length};
  if (value.length == 0 || part_is(value, "=1") || part_is(value, "=true")) {
    *out = true;
    return true;
  }
  if (!part_is(value, "=0") && !part_is(value, "=false")) return false;
  *out = false;
  return true;
}

/* Takes what every device understands out of `text`; what is left goes to rest[DEVICE_TEXT_SIZE]. */
static mica_status parse_options(mica_device *device, const char *text, char *rest,
                                 mica_error *error) {
  static const char threads_key[] = "threads=";
  size_t used = 0;
  option_part part;
  rest[0] = '\0';
  while (next_part(&text, &part)) {
    if (part.length == 0) continue;
    size_t key = sizeof(threads_key) - 1;
    if (part.length >= key && memcmp(part.text, threads_key, key) == 0) {
      mica_status status = parse_threads(part.text + key, part.length - key, "option 'threads'",
                                         &device->threads, error);
      if (status != MICA_OK) return status;
      continue;
    }
    if (parse_switch(part, "pin_threads", &device->pin_threads)) continue;
    if (parse_switch(part, "find_nan", &device->find_nan)) continue;
    if (parse_switch(part, "profile", &device->profile)) continue;
    if (parse_switch(part, "expand", &device->expand)) continue;
    if (used + part.length + 2 > DEVICE_TEXT_SIZE)
      return mica_error_set(error, MICA_INVALID, "the options of the backend are too long");
    if (used > 0) rest[used++] = ',';
    memcpy(rest + used, part.text, part.length);
    used += part.length;
    rest[used] = '\0';
  }
  return MICA_OK;
}

static mica_status resolve_threads(mica_device *device, mica_error *error) {
  char text[64];
  if (device->threads == 0 && mica_environment("MICA_THREADS", text, sizeof(text))) {
    option_part value = trimmed(text, strlen(text));
    mica_status status =
        parse_threads(value.text, value.length, "$MICA_THREADS", &device->threads, error);
    if (status != MICA_OK) return status;
  }
  if (device->threads == 0) device->threads = mica_thread_core_count();
  if (device->threads > DEVICE_THREAD_LIMIT) device->threads = DEVICE_THREAD_LIMIT;
  return MICA_OK;
}

/* ---- opening and closing ---------------------------------------------------------------------- */

/* Copies the caller's struct, which an older header may have made smaller. */
static mica_status read_options(const mica_device_options *options, mica_device_options *out,
                                mica_error *error) {
  mica_copy_options(out, sizeof(*out), options);
  if (out->threads < 0 || out->threads > DEVICE_THREAD_LIMIT)
    return mica_error_set(error, MICA_INVALID, "%" PRId32 " threads are outside of 0 to %d",
                          out->threads, DEVICE_THREAD_LIMIT);
  return MICA_OK;
}

static mica_status open_state(mica_device *device, const char *text, mica_error *error) {
  char rest[DEVICE_TEXT_SIZE];
  mica_status status = parse_options(device, text, rest, error);
  if (status == MICA_OK) status = resolve_threads(device, error);
  if (status != MICA_OK) return status;
  if (device->backend.open != NULL)
    return device->backend.open(device, rest, &device->state, error);
  if (rest[0] != '\0')
    return mica_error_set(error, MICA_INVALID, "backend '%s' has no option '%s'",
                          device->backend.name, rest);
  return MICA_OK;
}

mica_device *mica_device_open_with(const mica_backend *backend, const char *text,
                                   const mica_device_options *options, mica_error *error) {
  mica_device_options chosen;
  if (read_options(options, &chosen, error) != MICA_OK) return NULL;
  mica_device *device = mica_allocate_zeroed(&chosen.allocator, 1, sizeof(*device));
  if (device == NULL) {
    mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a device");
    return NULL;
  }
  atomic_init(&device->reference_count, 1);
  atomic_init(&device->cancelled, false);
  size_t size = backend->struct_size;
  memcpy(&device->backend, backend, size < sizeof(*backend) ? size : sizeof(*backend));
  device->allocator = chosen.allocator;
  device->threads = chosen.threads;
  device->pin_threads = chosen.pin_threads;
  device->find_nan = chosen.find_nan;
  device->profile = chosen.profile;
  device->log = chosen.log;
  device->log_user = chosen.log_user;
  device->process = mica_process_id();
  mica_status status = MICA_OK;
  if (mica_mutex_init(&device->mutex) != 0)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no lock for a device");
  if (status == MICA_OK) {
    status = open_state(device, text, error);
    if (status != MICA_OK) mica_mutex_deinit(&device->mutex);
  }
  if (status != MICA_OK) {
    mica_free(&chosen.allocator, device, sizeof(*device));
    return NULL;
  }
  if (device->backend.describe != NULL)
    device->backend.describe(device->state, device->description, sizeof(device->description));
  else
    snprintf(device->description, sizeof(device->description), "%s", device->backend.name);
  return device;
}

static void no_backend(option_part name, const char *whence, mica_error *error) {
  char known[256];
  mica_backend_list(known, sizeof(known));
  if (part_is(name, "xla")) /* known, but not in this build */
    mica_error_set(error, MICA_UNSUPPORTED,
                   "%sthis library was built without the backend 'xla' (CMake: -DMICA_XLA=ON); "
                   "there are: %s",
                   whence, known);
  else
    mica_error_set(error, MICA_NOT_FOUND, "%sthere is no backend '%.*s'; there are: %s", whence,
                   (int)(name.length > 200 ? 200 : name.length), name.text, known);
}

mica_device *mica_device_open(const mica_device_options *options, mica_error *error) {
  mica_device_options chosen;
  if (read_options(options, &chosen, error) != MICA_OK) return NULL;
  char environment[DEVICE_TEXT_SIZE];
  const char *text = chosen.backend;
  const char *whence = "";
  if ((text == NULL || *text == '\0') &&
      mica_environment("MICA_BACKEND", environment, sizeof(environment))) {
    text = environment;
    whence = "$MICA_BACKEND: ";
  }
  option_part name = {NULL, 0};
  const mica_backend *backend = mica_backend_default();
  if (next_part(&text, &name) && name.length > 0) {
    /* What stands behind a colon ("xla:cuda") is the backend's first option, colon and all. */
    const char *colon = memchr(name.text, ':', name.length);
    if (colon != NULL) {
      text = colon;
      name = trimmed(name.text, (size_t)(colon - name.text));
    }
    backend = mica_backend_find(name.text, name.length);
    if (backend == NULL) {
      no_backend(name, whence, error);
      return NULL;
    }
  }
  return mica_device_open_with(backend, text, options, error);
}

mica_device *mica_device_retain(mica_device *device) {
  if (device != NULL) atomic_fetch_add_explicit(&device->reference_count, 1, memory_order_relaxed);
  return device;
}

void mica_device_release(mica_device *device) {
  if (device == NULL) return;
  if (atomic_fetch_sub_explicit(&device->reference_count, 1, memory_order_acq_rel) != 1) return;
  /* In a forked child the backend's threads do not exist: waiting for them would never end. */
  if (device->backend.close != NULL && device->process == mica_process_id())
    device->backend.close(device->state);
  mica_allocator allocator = device->allocator;
  for (mica_trace *trace = device->all_traces; trace != NULL;) {
    mica_trace *next = trace->next;
    mica_graph_deinit(&trace->graph);
    mica_free(&allocator, trace, sizeof(*trace));
    trace = next;
  }
  mica_mutex_deinit(&device->mutex);
  mica_free(&allocator, device, sizeof(*device));
}

/* ---- what a device says and is told ----------------------------------------------------------- */

const char *mica_device_backend(const mica_device *device) {
  return device == NULL ? "" : device->backend.name;
}

const char *mica_device_description(const mica_device *device) {
  return device == NULL ? "" : device->description;
}

int32_t mica_device_threads(const mica_device *device) {
  return device == NULL ? 0 : device->threads;
}

void mica_device_cancel(mica_device *device, bool cancel) {
  if (device != NULL) atomic_store(&device->cancelled, cancel);
}

mica_status mica_device_cancelled_error(mica_error *error) {
  return mica_error_set(error, MICA_CANCELLED, "the device was told to cancel");
}

mica_allocator mica_device_allocator(const mica_device *device) {
  return device == NULL ? (mica_allocator){0} : device->allocator;
}

mica_status mica_null_error(mica_error *error, const char *what) {
  if (error != NULL && error->status != MICA_OK) return error->status;
  return mica_error_set(error, MICA_INVALID, "%s is NULL: was it not made?", what);
}

mica_status mica_device_check(const mica_device *device, mica_error *error) {
  if (device == NULL) return mica_null_error(error, "the device");
  if (device->process != mica_process_id())
    return mica_error_set(error, MICA_INVALID,
                          "the device was opened before a fork, in process %" PRIu64
                          "; open one in this process",
                          device->process);
  return MICA_OK;
}

/* ---- traces ----------------------------------------------------------------------------------- */

mica_status mica_device_trace_begin(mica_device *device, mica_graph **out_trace,
                                    mica_error *error) {
  *out_trace = NULL;
  mica_status status = mica_device_check(device, error);
  if (status != MICA_OK) return status;
  mica_mutex_lock(&device->mutex);
  mica_trace *trace = device->free_traces;
  if (trace != NULL) device->free_traces = trace->next_free;
  mica_mutex_unlock(&device->mutex);
  if (trace == NULL) {
    trace = mica_allocate_zeroed(&device->allocator, 1, sizeof(*trace));
    if (trace != NULL && !mica_graph_init(&trace->graph, &device->allocator)) {
      mica_graph_deinit(&trace->graph);
      mica_free(&device->allocator, trace, sizeof(*trace));
      trace = NULL;
    }
    if (trace == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a trace");
    mica_mutex_lock(&device->mutex);
    trace->next = device->all_traces;
    device->all_traces = trace;
    mica_mutex_unlock(&device->mutex);
  }
  *out_trace = &trace->graph;
  return MICA_OK;
}

void mica_device_trace_end(mica_device *device, mica_graph *graph) {
  if (graph == NULL) return;
  mica_graph_reset(graph);
  mica_trace *trace = (mica_trace *)(void *)graph;
  mica_mutex_lock(&device->mutex);
  trace->next_free = device->free_traces;
  device->free_traces = trace;
  mica_mutex_unlock(&device->mutex);
}
