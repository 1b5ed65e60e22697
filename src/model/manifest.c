/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c: checkpoint.json, which says what a checkpoint consists of, and the names of the folders. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/npy.h"
#include "model/checkpoint.h"
#include "platform/platform.h"

enum { MANIFEST_LIMIT = 1 << 20 };

bool mica_metric_better(double a, double b, bool larger_is_better) {
  if (a != a) return false;
  return b != b || (larger_is_better ? a > b : a < b);
}

mica_status mica_checkpoint_join(const char *folder, const char *name, char *path,
                                 mica_error *error) {
  int length = snprintf(path, MICA_CHECKPOINT_PATH, "%s/%s", folder, name);
  if (length < 0 || length >= MICA_CHECKPOINT_PATH)
    return mica_error_set(error, MICA_INVALID, "checkpoint: the path is too long");
  return MICA_OK;
}

/* ---- names of folders ------------------------------------------------------------------------ */

bool mica_checkpoint_folder_parse(const char *name, mica_checkpoint_folder *out) {
  size_t length = strlen(name), at = 5;
  int64_t step = 0, turn = 0;
  if (length >= MICA_CHECKPOINT_NAME || strncmp(name, "step-", 5) != 0) return false;
  for (; name[at] >= '0' && name[at] <= '9'; at++) {
    if (step > (INT64_MAX - 9) / 10) return false;
    step = step * 10 + (name[at] - '0');
  }
  if (at < 17) return false;
  if (name[at] == '.') {
    for (at++; name[at] >= '0' && name[at] <= '9' && turn < 100000000; at++)
      turn = turn * 10 + (name[at] - '0');
    if (turn == 0) return false;
  }
  if (name[at] != 0) return false;
  out->step = step, out->turn = (int32_t)turn;
  memcpy(out->name, name, length + 1);
  return true;
}

static bool collect_folder(void *context, const char *name) {
  mica_checkpoint_folders *folders = context;
  mica_checkpoint_folder item;
  if (!mica_checkpoint_folder_parse(name, &item)) return true;
  if (!mica_grow(NULL, &folders->items, &folders->capacity, folders->count + 1, sizeof item)) {
    folders->failed = true;
    return false;
  }
  folders->items[folders->count++] = item;
  return true;
}

static int compare_folders(const void *a, const void *b) {
  const mica_checkpoint_folder *first = a, *second = b;
  if (first->step != second->step) return first->step < second->step ? -1 : 1;
  return (first->turn > second->turn) - (first->turn < second->turn);
}

mica_status mica_checkpoint_folders_read(const char *folder, mica_checkpoint_folders *out,
                                         mica_error *error) {
  *out = (mica_checkpoint_folders){0};
  int code = mica_folder_list(folder, collect_folder, out);
  if (code == ENOENT) return MICA_OK;
  mica_status status = mica_file_status(code, folder, "read", error);
  if (status == MICA_OK && out->failed)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
  if (status != MICA_OK)
    mica_checkpoint_folders_deinit(out);
  else if (out->count > 1)
    qsort(out->items, out->count, sizeof *out->items, compare_folders);
  return status;
}

void mica_checkpoint_folders_deinit(mica_checkpoint_folders *folders) {
  if (folders->items != NULL)
    mica_free(NULL, folders->items, folders->capacity * sizeof *folders->items);
  *folders = (mica_checkpoint_folders){0};
}

int mica_checkpoint_remove(const char *folder, const char *name) {
  char from[MICA_CHECKPOINT_PATH], to[MICA_CHECKPOINT_PATH];
  int a = snprintf(from, sizeof from, "%s/%s", folder, name),
      b = snprintf(to, sizeof to, "%s/.removing-%s", folder, name);
  if (a < 0 || b < 0 || b >= MICA_CHECKPOINT_PATH) return ENAMETOOLONG;
  int code = mica_file_rename(from, to);
  return code != 0 ? code : mica_folder_remove(to);
}

/* ---- checkpoint.json ------------------------------------------------------------------------- */

void mica_manifest_write(mica_text *text, const mica_manifest *manifest) {
  mica_json_writer json;
  mica_json_begin(&json, text);
  mica_json_object_begin(&json);
  mica_json_key(&json, "mica_checkpoint"), mica_json_integer(&json, 1);
  mica_json_key(&json, "step"), mica_json_integer(&json, manifest->step);
  if (manifest->metric_name != NULL) {
    mica_json_key(&json, "metric_name"), mica_json_string(&json, manifest->metric_name);
    mica_json_key(&json, "metric"), mica_json_double(&json, manifest->metric);
    mica_json_key(&json, "larger_is_better"), mica_json_bool(&json, manifest->larger_is_better);
  }
  mica_json_key(&json, "files"), mica_json_array_begin(&json);
  for (size_t i = 0; i < manifest->file_count; i++) {
    mica_json_object_begin(&json);
    mica_json_key(&json, "name"), mica_json_string(&json, manifest->files[i].name);
    mica_json_key(&json, "size"), mica_json_integer(&json, (int64_t)manifest->files[i].size);
    mica_json_key(&json, "sha256"), mica_json_string(&json, manifest->files[i].sha256);
    mica_json_object_end(&json);
  }
  mica_json_array_end(&json);
  mica_json_object_end(&json);
  mica_text_append(text, "\n");
}

static bool integer_member(const mica_json *object, const char *key, int64_t *out) {
  const mica_json *member = mica_json_get(object, key);
  if (member == NULL || member->kind != MICA_JSON_INTEGER || member->integer < 0) return false;
  *out = member->integer;
  return true;
}

/* A file's name has no '/', so that a manifest reads nothing outside of its folder. */
static bool file_member(const mica_json *object, mica_manifest_file *out) {
  const mica_json *name = mica_json_get(object, "name"), *sum = mica_json_get(object, "sha256");
  int64_t size;
  if (name == NULL || name->kind != MICA_JSON_STRING || name->string_size == 0 ||
      strlen(name->string) != name->string_size || strchr(name->string, '/') != NULL ||
      name->string[0] == '.')
    return false;
  if (sum == NULL || sum->kind != MICA_JSON_STRING || sum->string_size != 64) return false;
  if (!integer_member(object, "size", &size)) return false;
  out->name = name->string;
  out->size = (uint64_t)size;
  memcpy(out->sha256, sum->string, 65);
  return true;
}

void mica_manifest_metric(const mica_json *json, mica_manifest *out) {
  const mica_json *name = mica_json_get(json, "metric_name"),
                  *metric = mica_json_get(json, "metric"),
                  *larger = mica_json_get(json, "larger_is_better");
  out->metric = NAN;
  if (name == NULL || name->kind != MICA_JSON_STRING) return;
  out->metric_name = name->string;
  if (metric != NULL && (metric->kind == MICA_JSON_INTEGER || metric->kind == MICA_JSON_NUMBER))
    out->metric = metric->number;
  out->larger_is_better = larger != NULL && larger->boolean;
}

static bool fill_manifest(mica_arena *arena, const mica_json *json, mica_manifest *out) {
  int64_t version;
  if (!integer_member(json, "mica_checkpoint", &version) || version != 1) return false;
  if (!integer_member(json, "step", &out->step)) return false;
  mica_manifest_metric(json, out);
  const mica_json *files = mica_json_get(json, "files");
  if (files == NULL || files->kind != MICA_JSON_ARRAY) return false;
  out->files = mica_arena_allocate_zeroed(arena, (size_t)files->count + 1, sizeof *out->files);
  if (out->files == NULL) return false;
  for (const mica_json *file = files->first; file != NULL; file = file->next)
    if (!file_member(file, &out->files[out->file_count++])) return false;
  return true;
}

mica_status mica_manifest_read(const char *checkpoint_path, mica_arena *arena, mica_manifest *out,
                               mica_error *error) {
  char path[MICA_CHECKPOINT_PATH];
  uint64_t size = 0;
  mica_json *json = NULL;
  *out = (mica_manifest){0};
  mica_status status = mica_checkpoint_join(checkpoint_path, "checkpoint.json", path, error);
  if (status == MICA_OK)
    status = mica_file_status(mica_file_size(path, &size), path, "read", error);
  if (status != MICA_OK) return status;
  if (size > MANIFEST_LIMIT)
    return mica_error_set(error, MICA_DATA_LOSS, "%.600s: too large", path);
  char *text = mica_arena_allocate(arena, (size_t)size + 1);
  if (text == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
  status = mica_file_status(mica_file_read(path, 0, text, (size_t)size), path, "read", error);
  if (status != MICA_OK) return status;
  mica_error inner = {0};
  status = mica_json_parse(arena, text, (size_t)size, &json, &inner);
  if (status == MICA_OUT_OF_MEMORY)
    return mica_error_set(error, status, "checkpoint: out of memory");
  if (status != MICA_OK || !fill_manifest(arena, json, out))
    return mica_error_set(error, MICA_DATA_LOSS, "%.500s: not what a checkpoint says (%.300s)",
                          path, inner.message);
  return MICA_OK;
}
