/* SPDX-License-Identifier: Apache-2.0 */
/* runs.c: the curves of one or many runs, point by point from whatever file they come from. A run
 * that was stopped and resumed goes back to an earlier step: what lies beyond it is forgotten, so a
 * curve's steps always ascend. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ui/ui_internal.h"

/* More curves than anybody draws; a hostile file of names only gets so far. */
enum { MOST_CURVES = 4096, HASH_SIZE = 8192, MOST_DEPTH = 3 };

typedef struct {
  mica_metrics_kind kind;
  char *set, *name;
  size_t count, capacity;
  double *points; /* [capacity] steps, then epochs, seconds, values */
} stored_curve;

typedef struct {
  char *name, note[256];
  stored_curve *curves;
  size_t count, capacity;
  uint16_t *hash; /* [HASH_SIZE] index + 1 */
} stored_run;

struct mica_runs {
  stored_run *runs;
  size_t count, capacity;
};

static mica_status no_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "runs: out of memory");
}

bool mica_ui_is_name(const char *name, size_t size) {
  if (size == 0 || size > 255) return false;
  for (size_t i = 0, length; i < size; i += length) {
    length = mica_ui_utf8(name + i, size - i);
    if (length == 0 || (unsigned char)name[i] < 0x20 || name[i] == 0x7F) return false;
  }
  return true;
}

void mica_ui_extremes(const double *values, int64_t begin, int64_t end, int64_t *out_least,
                      int64_t *out_most) {
  int64_t least = -1, most = -1;
  for (int64_t i = begin; i < end; i++) {
    if (!isfinite(values[i])) continue;
    if (least < 0 || values[i] < values[least]) least = i;
    if (most < 0 || values[i] > values[most]) most = i;
  }
  *out_least = least, *out_most = most;
}

mica_status mica_runs_create(mica_runs **out_runs, mica_error *error) {
  *out_runs = calloc(1, sizeof **out_runs);
  return *out_runs ? MICA_OK : no_memory(error);
}

static void free_run(stored_run *run) {
  for (size_t i = 0; i < run->count; i++)
    free(run->curves[i].set), free(run->curves[i].name), free(run->curves[i].points);
  free(run->name), free(run->curves), free(run->hash);
}

void mica_runs_destroy(mica_runs *runs) {
  if (!runs) return;
  for (size_t i = 0; i < runs->count; i++) free_run(&runs->runs[i]);
  free(runs->runs), free(runs);
}

static bool is_taken(const mica_runs *runs, const char *name) {
  for (size_t i = 0; i < runs->count; i++)
    if (!strcmp(runs->runs[i].name, name)) return true;
  return false;
}

mica_status mica_ui_run_begin(mica_runs *runs, const char *name, mica_error *error) {
  if (runs->count == runs->capacity) {
    size_t capacity = runs->capacity ? runs->capacity * 2 : 8;
    stored_run *grown = realloc(runs->runs, capacity * sizeof *grown);
    if (!grown) return no_memory(error);
    runs->runs = grown, runs->capacity = capacity;
  }
  char unique[300];
  snprintf(unique, sizeof unique, "%.255s", name && *name ? name : "run");
  for (int n = 2; is_taken(runs, unique); n++)
    snprintf(unique, sizeof unique, "%.255s (%d)", name && *name ? name : "run", n);
  stored_run run = {.name = mica_ui_copy(unique), .hash = calloc(HASH_SIZE, sizeof(uint16_t))};
  if (!run.name || !run.hash) {
    free_run(&run);
    return no_memory(error);
  }
  runs->runs[runs->count++] = run;
  return MICA_OK;
}

void mica_ui_run_drop(mica_runs *runs) { free_run(&runs->runs[--runs->count]); }

void mica_ui_run_note(mica_runs *runs, const char *format, ...) {
  stored_run *run = &runs->runs[runs->count - 1];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(run->note, sizeof run->note, format, arguments);
  va_end(arguments);
}

/* Its place in the hash: FNV-1a (Fowler, Noll and Vo), then linear probing. */
static uint16_t *curve_slot(const stored_run *run, mica_metrics_kind kind, const char *set,
                            const char *name) {
  uint32_t hash = 2166136261u ^ (uint32_t)kind;
  for (const char *c = set; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  hash = (hash ^ 255) * 16777619u;
  for (const char *c = name; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  for (uint32_t i = hash % HASH_SIZE;; i = (i + 1) % HASH_SIZE) {
    if (!run->hash[i]) return &run->hash[i];
    const stored_curve *curve = &run->curves[run->hash[i] - 1];
    if (curve->kind == kind && !strcmp(curve->name, name) && !strcmp(curve->set, set))
      return &run->hash[i];
  }
}

static stored_curve *find_or_make(stored_run *run, const mica_ui_point *p) {
  const char *set = p->set ? p->set : "";
  uint16_t *slot = curve_slot(run, p->kind, set, p->name);
  if (*slot) return &run->curves[*slot - 1];
  if (run->count == run->capacity) {
    size_t capacity = run->capacity ? run->capacity * 2 : 8;
    stored_curve *grown = realloc(run->curves, capacity * sizeof *grown);
    if (!grown) return NULL;
    run->curves = grown, run->capacity = capacity;
  }
  stored_curve curve = {.kind = p->kind, .set = mica_ui_copy(set), .name = mica_ui_copy(p->name)};
  if (!curve.set || !curve.name) {
    free(curve.set), free(curve.name);
    return NULL;
  }
  run->curves[run->count++] = curve;
  *slot = (uint16_t)run->count;
  return &run->curves[run->count - 1];
}

static bool grow_curve(stored_curve *curve) {
  size_t capacity = curve->capacity ? curve->capacity * 2 : 16;
  if (capacity > SIZE_MAX / 64) return false;
  double *points = malloc(capacity * 4 * sizeof *points);
  if (!points) return false;
  for (size_t i = 0; i < 4 && curve->count; i++)
    memcpy(points + i * capacity, curve->points + i * curve->capacity,
           curve->count * sizeof *points);
  free(curve->points);
  curve->points = points, curve->capacity = capacity;
  return true;
}

mica_status mica_ui_run_point(mica_runs *runs, const mica_ui_point *p, mica_error *error) {
  stored_run *run = &runs->runs[runs->count - 1];
  if (run->count == MOST_CURVES && !*curve_slot(run, p->kind, p->set ? p->set : "", p->name))
    return mica_error_set(error, MICA_INVALID, "runs: \"%s\" has more than %d curves", run->name,
                          MOST_CURVES);
  stored_curve *curve = find_or_make(run, p);
  if (!curve) return no_memory(error);
  if (curve->count && p->step < curve->points[curve->count - 1]) /* resumed */
    for (size_t i = 0; i < run->count; i++) {
      stored_curve *other = &run->curves[i];
      while (other->count && other->points[other->count - 1] > p->step) other->count--;
    }
  size_t at = curve->count;
  if (at && curve->points[at - 1] == p->step)
    at--;
  else if (at == curve->capacity && !grow_curve(curve))
    return no_memory(error);
  double *point = curve->points + at;
  size_t stride = curve->capacity;
  point[0] = p->step, point[stride] = p->epoch;
  point[2 * stride] = p->seconds, point[3 * stride] = p->value;
  curve->count = at + 1;
  return MICA_OK;
}

/* ---- what is there ---------------------------------------------------------------------------- */

size_t mica_runs_count(const mica_runs *runs) { return runs ? runs->count : 0; }
const char *mica_runs_name(const mica_runs *runs, size_t run) {
  return run < mica_runs_count(runs) ? runs->runs[run].name : "";
}
const char *mica_runs_note(const mica_runs *runs, size_t run) {
  return run < mica_runs_count(runs) ? runs->runs[run].note : "";
}
size_t mica_runs_curve_count(const mica_runs *runs, size_t run) {
  return run < mica_runs_count(runs) ? runs->runs[run].count : 0;
}

mica_runs_curve mica_runs_curve_at(const mica_runs *runs, size_t run, size_t index) {
  if (index >= mica_runs_curve_count(runs, run)) return (mica_runs_curve){0};
  const stored_curve *c = &runs->runs[run].curves[index];
  size_t stride = c->capacity;
  return (mica_runs_curve){.kind = c->kind,
                           .set = c->set,
                           .name = c->name,
                           .count = (int64_t)c->count,
                           .step = c->points,
                           .epoch = c->points + stride,
                           .seconds = c->points + 2 * stride,
                           .value = c->points + 3 * stride};
}

mica_runs_curve mica_runs_find(const mica_runs *runs, size_t run, mica_metrics_kind kind,
                               const char *set, const char *name) {
  if (run >= mica_runs_count(runs) || !name) return (mica_runs_curve){0};
  uint16_t slot = *curve_slot(&runs->runs[run], kind, set ? set : "", name);
  return slot ? mica_runs_curve_at(runs, run, slot - 1u) : (mica_runs_curve){0};
}

/* ---- files and folders ------------------------------------------------------------------------ */

mica_status mica_runs_add_lines(mica_runs *runs, const char *name, const void *bytes, size_t size,
                                mica_error *error) {
  mica_status status = mica_ui_run_begin(runs, name, error);
  if (status != MICA_OK) return status;
  status = mica_ui_read_lines(runs, bytes, size, error);
  if (status != MICA_OK) mica_ui_run_drop(runs);
  return status;
}

mica_status mica_runs_add_events(mica_runs *runs, const char *name, const void *bytes, size_t size,
                                 mica_error *error) {
  double began = 0;
  mica_status status = mica_ui_run_begin(runs, name, error);
  if (status != MICA_OK) return status;
  status = mica_ui_read_events(runs, bytes, size, &began, error);
  if (status != MICA_OK) mica_ui_run_drop(runs);
  return status;
}

static bool is_event_file(const char *name) { return strstr(name, "tfevents") != NULL; }

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The entries of a folder, sorted, without hidden ones. 0 or an errno value. */
static int folder_names(const char *path, char ***out, size_t *out_count) {
  char **names = NULL;
  size_t count = 0, capacity = 0;
  errno = 0;
  DIR *folder = opendir(path);
  int code = folder ? 0 : errno;
  for (struct dirent *entry; !code && (entry = readdir(folder)) && count < 100000;) {
    if (entry->d_name[0] == '.') continue;
    if (count == capacity) {
      capacity = capacity ? capacity * 2 : 64;
      char **grown = realloc(names, capacity * sizeof *names);
      if (grown) names = grown;
      if (!grown) code = ENOMEM;
    }
    if (!code && !(names[count++] = mica_ui_copy(entry->d_name))) count--, code = ENOMEM;
  }
  if (folder) closedir(folder);
  if (count) qsort(names, count, sizeof *names, compare_names);
  *out = names, *out_count = count;
  return code;
}

#ifdef __wasi__
static bool whole_path(const char *path, char *out) { return (void)path, (void)out, false; }
#else
static bool whole_path(const char *path, char *out) { return realpath(path, out) != NULL; }
#endif

/* The last part of a path that names something: "logs/adam/" gives "adam", "." the folder's own. */
static void run_name_of(const char *path, char *out, size_t size) {
  char whole[4096];
  if ((!strcmp(path, ".") || !strcmp(path, "./")) && whole_path(path, whole)) path = whole;
  size_t end = strlen(path);
  while (end > 1 && path[end - 1] == '/') end--;
  size_t begin = end;
  while (begin > 0 && path[begin - 1] != '/') begin--;
  snprintf(out, size, "%.*s", (int)(end - begin > 255 ? 255 : end - begin), path + begin);
}

static mica_status add_file(mica_runs *runs, const char *path, mica_error *error) {
  char *bytes, name[300], parent[4096];
  size_t size;
  mica_status status = mica_ui_read_file("runs", path, &bytes, &size, error);
  if (status != MICA_OK) return status;
  run_name_of(path, name, sizeof name);
  const char *slash = strrchr(path, '/');
  if (!strcmp(name, "metrics.jsonl") || is_event_file(name)) { /* called after the folder */
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    run_name_of(parent, name, sizeof name);
  }
  char *dot = strrchr(name, '.');
  if (dot && dot > name && !strcmp(dot, ".jsonl")) *dot = 0;
  const char *file_name = slash ? slash + 1 : path;
  mica_error inner = {0};
  status = is_event_file(file_name) ? mica_runs_add_events(runs, name, bytes, size, &inner)
                                    : mica_runs_add_lines(runs, name, bytes, size, &inner);
  free(bytes);
  return status == MICA_OK ? status
                           : mica_error_set(error, status, "\"%s\": %s", path, inner.message);
}

/* All event files of a folder are one run, as TensorBoard reads them. */
static mica_status add_event_folder(mica_runs *runs, const char *path, char **names, size_t count,
                                    bool *found, mica_error *error) {
  mica_status status = MICA_OK;
  double began = 0;
  for (size_t i = 0; i < count && status == MICA_OK; i++) {
    char inner[4096], name[300], *bytes;
    size_t size;
    if (!is_event_file(names[i])) continue;
    snprintf(inner, sizeof inner, "%s/%s", path, names[i]);
    if (!*found) {
      run_name_of(path, name, sizeof name);
      status = mica_ui_run_begin(runs, name, error);
      if (status != MICA_OK) return status;
      *found = true;
    }
    status = mica_ui_read_file("runs", inner, &bytes, &size, error);
    if (status != MICA_OK) break;
    status = mica_ui_read_events(runs, (const unsigned char *)bytes, size, &began, error);
    free(bytes);
  }
  if (status != MICA_OK && *found) mica_ui_run_drop(runs);
  return status;
}

static mica_status add_folder(mica_runs *runs, const char *path, int depth, mica_error *error) {
  char inner[4096];
  struct stat about;
  snprintf(inner, sizeof inner, "%s/metrics.jsonl", path);
  if (stat(inner, &about) == 0 && S_ISREG(about.st_mode)) return add_file(runs, inner, error);
  size_t count;
  char **names;
  bool found = false;
  int code = folder_names(path, &names, &count);
  mica_status status = MICA_OK;
  if (code == ENOMEM)
    status = no_memory(error);
  else if (code && depth == 0) /* further down it is somebody else's */
    status =
        mica_error_set(error, MICA_IO, "runs: \"%s\" cannot be read: %s", path, strerror(code));
  if (status == MICA_OK) status = add_event_folder(runs, path, names, count, &found, error);
  for (size_t i = 0; i < count && !found && depth < MOST_DEPTH && status == MICA_OK; i++) {
    int length = snprintf(inner, sizeof inner, "%s/%s", path, names[i]);
    if (length > 0 && (size_t)length < sizeof inner && stat(inner, &about) == 0 &&
        S_ISDIR(about.st_mode))
      status = add_folder(runs, inner, depth + 1, error);
  }
  for (size_t i = 0; i < count; i++) free(names[i]);
  free(names);
  return status;
}

mica_status mica_runs_add(mica_runs *runs, const char *path, mica_error *error) {
  struct stat about;
  if (!runs || !path || !*path)
    return mica_error_set(error, MICA_INVALID, "runs: expected runs and a path");
  size_t before = runs->count;
  if (strlen(path) > 3000 || stat(path, &about) != 0)
    return mica_error_set(error, MICA_NOT_FOUND, "runs: there is no \"%.500s\"", path);
  if (!S_ISDIR(about.st_mode)) return add_file(runs, path, error);
  mica_status status = add_folder(runs, path, 0, error);
  if (status == MICA_OK && runs->count == before)
    return mica_error_set(error, MICA_NOT_FOUND,
                          "runs: \"%s\" holds no metrics.jsonl and no TensorBoard event file, and "
                          "neither do its folders",
                          path);
  return status;
}
