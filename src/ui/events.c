/* SPDX-License-Identifier: Apache-2.0 */
/* events.c: writing event files. A file is a row of records, each one Event framed as TFRecord: its
 * length in 8 bytes, their checksum, the message, its checksum. The first says "brain.Event:2". */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ui/events_internal.h"

enum { EVENT_WALL_TIME = 1, EVENT_STEP, EVENT_VERSION, EVENT_GRAPH, EVENT_SUMMARY };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE, VALUE_IMAGE = 4, VALUE_HISTOGRAM };

#ifdef __wasi__
static long process_number(void) { return 1; } /* a sandbox knows one process */
#else
static long process_number(void) { return (long)getpid(); }
#endif

struct mica_event_log {
  char *path;
  int file;
  int64_t flushed_ns;
  mica_ui_text pending; /* whole records */
};

static void little_endian(unsigned char *out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) out[i] = (unsigned char)(value >> 8 * i);
}

/* Frames the message, which is freed, and flushes now and then. */
static mica_status put_event(mica_event_log *log, mica_ui_text *event, bool now,
                             mica_error *error) {
  mica_ui_text *out = &log->pending;
  size_t before = out->size;
  unsigned char head[12], tail[4];
  if (!event->failed) {
    little_endian(head, event->size, 8);
    little_endian(head + 8, mica_ui_masked_crc(head, 8), 4);
    little_endian(tail, mica_ui_masked_crc(event->bytes, event->size), 4);
    mica_ui_bytes(out, head, 12);
    mica_ui_bytes(out, event->bytes, event->size);
    mica_ui_bytes(out, tail, 4);
  }
  bool failed = event->failed || out->failed;
  mica_ui_free(event);
  if (failed) {
    out->failed = false, out->size = before;
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "events: out of memory");
  }
  if (!now && out->size < (size_t)1 << 20 && mica_ui_clock() - log->flushed_ns < 2000000000)
    return MICA_OK;
  return mica_events_flush(log, error);
}

mica_status mica_events_flush(mica_event_log *log, mica_error *error) {
  if (!log) return mica_error_set(error, MICA_INVALID, "events: there is no log");
  log->flushed_ns = mica_ui_clock();
  size_t done;
  struct stat about;
  off_t before = fstat(log->file, &about) == 0 ? about.st_size : -1;
  int code = mica_ui_write_all(log->file, log->pending.bytes, log->pending.size, &done);
  log->pending.size = 0;
  if (!code) return MICA_OK;
  int cut = done > 0 && before >= 0 ? ftruncate(log->file, before) : 0;
  (void)cut;
  return mica_error_set(error, MICA_IO, "events: \"%s\" cannot be written: %s", log->path,
                        strerror(code));
}

/* Names differ by second, host, process and, within a second of one process, a number. */
static int open_new(const char *folder, char **out_path) {
  char host[128] = "localhost";
  if (gethostname(host, sizeof host) != 0 || !host[0]) snprintf(host, sizeof host, "localhost");
  host[sizeof host - 1] = 0;
  for (char *c = host; *c; c++)
    if (*c == '/') *c = '_';
  for (int number = 0; number < 10000; number++) {
    mica_ui_text path = {0};
    mica_ui_format(&path, "%s/events.out.tfevents.%010lld.%s.%ld.%d.mica", folder,
                   (long long)mica_ui_wall_seconds(), host, process_number(), number);
    *out_path = path.bytes;
    if (path.failed) {
      mica_ui_free(&path);
      *out_path = NULL;
      return errno = ENOMEM, -1;
    }
    int file = open(path.bytes, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EEXIST) return file;
    mica_ui_free(&path);
  }
  *out_path = NULL;
  return -1;
}

mica_status mica_events_open(const char *folder, mica_event_log **out_log, mica_error *error) {
  *out_log = NULL;
  if (!folder || !*folder)
    return mica_error_set(error, MICA_INVALID, "events: expected the path of a folder");
  mica_event_log *log = calloc(1, sizeof *log);
  if (!log) return mica_error_set(error, MICA_OUT_OF_MEMORY, "events: out of memory");
  log->file = -1;
  int code = mica_ui_make_folder(folder);
  if (!code) log->file = open_new(folder, &log->path), code = errno;
  if (log->file < 0) {
    free(log->path), free(log);
    return mica_error_set(error, MICA_IO, "events: no file can be made in \"%s\": %s", folder,
                          strerror(code));
  }
  mica_ui_text event = {0};
  mica_proto_double(&event, EVENT_WALL_TIME, mica_ui_wall_seconds());
  mica_proto_string(&event, EVENT_VERSION, "brain.Event:2");
  mica_status status = put_event(log, &event, true, error);
  if (status != MICA_OK)
    mica_events_close(log, NULL);
  else
    *out_log = log;
  return status;
}

const char *mica_events_path(const mica_event_log *log) { return log ? log->path : ""; }

mica_status mica_events_close(mica_event_log *log, mica_error *error) {
  if (!log) return MICA_OK;
  mica_status status = log->pending.size ? mica_events_flush(log, error) : MICA_OK;
  if (close(log->file) != 0 && status == MICA_OK)
    status = mica_error_set(error, MICA_IO, "events: \"%s\" cannot be written: %s", log->path,
                            strerror(errno));
  mica_ui_free(&log->pending);
  free(log->path), free(log);
  return status;
}

/* What every summary begins with; the value's message gets its tag. */
static mica_status check_event(const mica_event_log *log, const char *tag, mica_ui_text *value,
                               mica_error *error) {
  if (!log) return mica_error_set(error, MICA_INVALID, "events: there is no log");
  if (!tag || !mica_ui_is_name(tag, strlen(tag)))
    return mica_error_set(error, MICA_INVALID, "events: expected a tag of 1 to 255 bytes of UTF-8");
  mica_proto_string(value, VALUE_TAG, tag);
  return MICA_OK;
}

static mica_status put_summary(mica_event_log *log, int64_t step, mica_ui_text *value,
                               mica_error *error) {
  mica_ui_text summary = {0}, event = {0};
  mica_proto_message(&summary, SUMMARY_VALUE, value);
  mica_proto_double(&event, EVENT_WALL_TIME, mica_ui_wall_seconds());
  mica_proto_varint(&event, EVENT_STEP, (uint64_t)step);
  mica_proto_message(&event, EVENT_SUMMARY, &summary);
  return put_event(log, &event, false, error);
}

mica_status mica_events_scalar(mica_event_log *log, const char *tag, int64_t step, double number,
                               mica_error *error) {
  mica_ui_text value = {0};
  mica_status status = check_event(log, tag, &value, error);
  if (status != MICA_OK) return status;
  mica_proto_float(&value, VALUE_SIMPLE, (float)number);
  return put_summary(log, step, &value, error);
}

mica_status mica_events_image(mica_event_log *log, const char *tag, int64_t step,
                              const mica_tensor *image, mica_error *error) {
  enum { HEIGHT = 1, WIDTH, CHANNELS, ENCODED };
  mica_ui_text value = {0}, message = {0}, png = {0};
  int64_t shape[3];
  mica_status status = check_event(log, tag, &value, error);
  if (status == MICA_OK) status = mica_ui_png("events_image", image, &png, error);
  if (status != MICA_OK || !mica_ui_image_shape(image, shape)) {
    mica_ui_free(&value), mica_ui_free(&png);
    return status;
  }
  mica_proto_varint(&message, HEIGHT, (uint64_t)shape[0]);
  mica_proto_varint(&message, WIDTH, (uint64_t)shape[1]);
  mica_proto_varint(&message, CHANNELS, (uint64_t)shape[2]);
  mica_proto_message(&message, ENCODED, &png);
  mica_proto_message(&value, VALUE_IMAGE, &message);
  return put_summary(log, step, &value, error);
}

static void put_histogram(mica_ui_text *out, const double *values, int64_t count, int64_t buckets,
                          double *counts) {
  enum { LEAST = 1, MOST, NUMBER, SUM, SQUARES, LIMITS, COUNTS };
  double least = INFINITY, most = -INFINITY, sum = 0, squares = 0, number = 0;
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) continue;
    least = fmin(least, values[i]), most = fmax(most, values[i]);
    sum += values[i], squares += values[i] * values[i], number++;
  }
  if (number == 0) least = most = 0;
  if (least == most) buckets = 1;
  double width = most / (double)buckets - least / (double)buckets;
  memset(counts, 0, (size_t)buckets * sizeof *counts);
  for (int64_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) continue;
    double at = width > 0 ? floor((values[i] - least) / width) : 0;
    int64_t bucket = at < (double)buckets ? (int64_t)at : buckets - 1; /* the greatest: the last */
    counts[bucket]++;
  }
  mica_proto_double(out, LEAST, least), mica_proto_double(out, MOST, most);
  mica_proto_double(out, NUMBER, number), mica_proto_double(out, SUM, sum);
  mica_proto_double(out, SQUARES, squares);
  for (int part = 0; part < 2; part++) { /* packed: one field that holds them all */
    mica_ui_text packed = {0};
    for (int64_t i = 0; i < buckets; i++) {
      double v = part ? counts[i] : i + 1 == buckets ? most : least + width * (double)(i + 1);
      unsigned char bytes[8];
      uint64_t bits;
      memcpy(&bits, &v, sizeof bits);
      little_endian(bytes, bits, 8);
      mica_ui_bytes(&packed, bytes, 8);
    }
    mica_proto_message(out, part ? COUNTS : LIMITS, &packed);
  }
}

mica_status mica_events_histogram(mica_event_log *log, const char *tag, int64_t step,
                                  const mica_tensor *tensor, int64_t buckets, mica_error *error) {
  mica_ui_text value = {0}, message = {0};
  mica_status status = check_event(log, tag, &value, error);
  if (status != MICA_OK) return status;
  if (buckets == 0) buckets = 30;
  mica_type type = mica_tensor_type(tensor);
  int64_t count = mica_shape_count(type.shape);
  if (!tensor || mica_dtype_is_complex(type.dtype) || buckets < 1 || buckets > 100000) {
    mica_ui_free(&value);
    return mica_error_set(error, MICA_INVALID,
                          "events_histogram: expected a real tensor and 1 to 100000 buckets");
  }
  double *values =
      (uint64_t)count < SIZE_MAX / 16 ? malloc((size_t)(count + buckets) * sizeof *values) : NULL;
  if (!values)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "events_histogram: out of memory");
  else
    status = mica_tensor_read_doubles(tensor, values + buckets, count, error);
  if (status == MICA_OK) {
    put_histogram(&message, values + buckets, count, buckets, values);
    mica_proto_message(&value, VALUE_HISTOGRAM, &message);
    status = put_summary(log, step, &value, error);
  }
  mica_ui_free(&value);
  free(values);
  return status;
}

mica_status mica_events_graph(mica_event_log *log, const mica_graph *graph, mica_error *error) {
  mica_ui_text event = {0}, definition = {0};
  if (!log || !graph)
    return mica_error_set(error, MICA_INVALID, "events: expected a log and a graph");
  mica_ui_graph_def(graph, &definition);
  mica_proto_double(&event, EVENT_WALL_TIME, mica_ui_wall_seconds());
  mica_proto_message(&event, EVENT_GRAPH, &definition);
  return put_event(log, &event, false, error);
}
