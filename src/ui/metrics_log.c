/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_log.c: writing metrics.jsonl. The file is only ever appended to, by one write for each
 * flush that begins and ends at a line's edge, so what a kill leaves is whole lines. A write that
 * fails half-way, on a full disk, is cut off again. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ui/ui_internal.h"

struct mica_metrics_log {
  char *path;
  int file;
  off_t size; /* up to the last whole record */
  bool durable;
  int64_t began_ns, flushed_ns, flush_ns;
  double began_seconds; /* of the processes before this one */
  mica_ui_text pending; /* whole lines */
};

static mica_status log_failure(const char *path, int code, mica_error *error) {
  return mica_error_set(error, MICA_IO, "metrics_log: \"%s\" cannot be written: %s", path,
                        strerror(code));
}

/* "seconds": the number behind it in the file's last whole line; 0 when there is none. */
static double last_seconds(const char *line, size_t size) {
  static const char key[] = "\"seconds\":";
  double seconds = 0;
  for (size_t i = 0; i + sizeof key - 1 < size; i++) {
    if (memcmp(line + i, key, sizeof key - 1)) continue;
    size_t begin = i + sizeof key - 1, end = begin;
    while (end < size && line[end] != ',' && line[end] != '}') end++;
    if (mica_ui_parse_number(line + begin, end - begin, &seconds) && isfinite(seconds) &&
        seconds > 0)
      return seconds;
  }
  return 0;
}

/* Cuts a torn last line off and finds where the clock of the last one stood. Lines are short: a
 * longer one than the buffer is no record. */
static int continue_file(mica_metrics_log *log) {
  static const size_t most = 65536;
  struct stat about;
  if (fstat(log->file, &about) != 0) return errno;
  if (!S_ISREG(about.st_mode)) return 0; /* a pipe: nothing to look at */
  size_t size = about.st_size < (off_t)most ? (size_t)about.st_size : most;
  log->size = about.st_size;
  if (size == 0) return 0;
  char *tail = malloc(size);
  if (!tail) return ENOMEM;
  off_t from = about.st_size - (off_t)size;
  ssize_t got = pread(log->file, tail, size, from);
  if (got < 0) {
    int code = errno;
    free(tail);
    return code;
  }
  size_t end = (size_t)got;
  while (end > 0 && tail[end - 1] != '\n') end--;
  size_t begin = end > 0 ? end - 1 : 0;
  while (begin > 0 && tail[begin - 1] != '\n') begin--;
  if (end > 0) log->began_seconds = last_seconds(tail + begin, end - begin);
  free(tail);
  if (end == size) return 0;
  log->size = from + (off_t)end;
  if (end > 0 || from == 0) return ftruncate(log->file, log->size) != 0 ? errno : 0;
  log->size = about.st_size; /* one endless line: leave it, and end it */
  return write(log->file, "\n", 1) == 1 ? (log->size++, 0) : errno;
}

mica_status mica_metrics_log_open(const char *path, const mica_metrics_log_options *options,
                                  mica_metrics_log **out_log, mica_error *error) {
  mica_metrics_log_options o = {0};
  *out_log = NULL;
  if (options) {
    size_t size = options->struct_size < sizeof o ? options->struct_size : sizeof o;
    memcpy(&o, options, size);
  }
  if (!path || !*path) return mica_error_set(error, MICA_INVALID, "metrics_log: expected a path");
  mica_metrics_log *log = calloc(1, sizeof *log);
  if (log) log->path = mica_ui_copy(path);
  if (!log || !log->path) {
    free(log);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "metrics_log: out of memory");
  }
  log->durable = o.durable;
  if (o.flush_seconds > 0) log->flush_ns = (int64_t)(fmin(o.flush_seconds, 1e6) * 1e9);
  log->file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (o.replace ? O_TRUNC : 0), 0666);
  int code = log->file < 0 ? errno : continue_file(log);
  if (code) {
    if (log->file >= 0) close(log->file);
    free(log->path), free(log);
    return log_failure(path, code, error);
  }
  log->began_ns = log->flushed_ns = mica_ui_clock();
  *out_log = log;
  return MICA_OK;
}

double mica_metrics_log_seconds(const mica_metrics_log *log) {
  return log ? log->began_seconds + (double)(mica_ui_clock() - log->began_ns) * 1e-9 : 0;
}

mica_status mica_metrics_log_flush(mica_metrics_log *log, mica_error *error) {
  if (!log) return mica_error_set(error, MICA_INVALID, "metrics_log: there is no log");
  log->flushed_ns = mica_ui_clock();
  size_t done, size = log->pending.size;
  int code = mica_ui_write_all(log->file, log->pending.bytes, size, &done);
  log->pending.size = 0;
  if (!code && size > 0 && log->durable && fsync(log->file) != 0 && errno != EINVAL) code = errno;
  if (!code) {
    log->size += (off_t)size;
    return MICA_OK;
  }
  int cut = done > 0 ? ftruncate(log->file, log->size) : 0;
  (void)cut; /* if that fails too, readers leave the torn line out */
  return log_failure(log->path, code, error);
}

static void append_value(mica_ui_text *text, double value) {
  if (isfinite(value))
    mica_ui_number(text, value, 0);
  else
    mica_ui_string(text, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}

mica_status mica_metrics_log_write(mica_metrics_log *log, mica_metrics_kind kind, const char *set,
                                   int64_t step, double epoch, const mica_metric *metrics,
                                   size_t count, mica_error *error) {
  if (!log) return mica_error_set(error, MICA_INVALID, "metrics_log: there is no log");
  if (count > 0 && !metrics)
    return mica_error_set(error, MICA_INVALID, "metrics_log: expected metrics, not NULL");
  if (set && *set && !mica_ui_is_name(set, strlen(set)))
    return mica_error_set(error, MICA_INVALID,
                          "metrics_log: the set's name is longer than 255 bytes or no UTF-8");
  for (size_t i = 0; i < count; i++)
    if (!metrics[i].name || !mica_ui_is_name(metrics[i].name, strlen(metrics[i].name)))
      return mica_error_set(
          error, MICA_INVALID,
          "metrics_log: the name of metric %zu is missing, longer than 255 bytes or no UTF-8", i);
  mica_ui_text *line = &log->pending;
  size_t before = line->size;
  mica_ui_format(line, "{\"step\":%lld", (long long)step);
  if (isfinite(epoch)) mica_ui_string(line, ",\"epoch\":"), mica_ui_number(line, epoch, 9);
  mica_ui_string(line, ",\"seconds\":");
  mica_ui_fixed(line, mica_metrics_log_seconds(log), 3);
  mica_ui_format(line, ",\"kind\":\"%s\"",
                 kind == MICA_METRICS_EVALUATION ? "evaluation" : "train");
  if (set && *set) mica_ui_string(line, ",\"set\":"), mica_ui_json(line, set);
  mica_ui_string(line, ",\"metrics\":{");
  for (size_t i = 0; i < count; i++) {
    if (i) mica_ui_string(line, ",");
    mica_ui_json(line, metrics[i].name);
    mica_ui_string(line, ":");
    append_value(line, metrics[i].value);
  }
  mica_ui_string(line, "}}\n");
  if (line->failed) {
    line->failed = false, line->size = before;
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "metrics_log: out of memory");
  }
  if (mica_ui_clock() - log->flushed_ns < log->flush_ns && line->size < (size_t)1 << 20)
    return MICA_OK;
  return mica_metrics_log_flush(log, error);
}

mica_status mica_metrics_log_close(mica_metrics_log *log, mica_error *error) {
  if (!log) return MICA_OK;
  mica_status status = log->pending.size ? mica_metrics_log_flush(log, error) : MICA_OK;
  if (close(log->file) != 0 && status == MICA_OK) status = log_failure(log->path, errno, error);
  mica_ui_free(&log->pending);
  free(log->path), free(log);
  return status;
}
