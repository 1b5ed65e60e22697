/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.c: a checkpoint in memory: named tensors of parts, a step, a metric, a state; read from its folder,
 * with every checksum verified, from one file, or from bytes. */
#include "model/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/npy.h"
#include "core/tensor.h"
#include "model/safetensors.h"
#include "platform/platform.h"

static mica_status no_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
}

mica_status mica_checkpoint_create(mica_checkpoint **out_checkpoint, mica_error *error) {
  mica_checkpoint *checkpoint = mica_allocate_zeroed(NULL, 1, sizeof *checkpoint);
  *out_checkpoint = checkpoint;
  if (checkpoint == NULL) return no_memory(error);
  mica_arena_init(&checkpoint->arena, NULL);
  mica_text_init(&checkpoint->warning, NULL);
  checkpoint->state = "{}";
  checkpoint->metric = NAN;
  return MICA_OK;
}

void mica_checkpoint_destroy(mica_checkpoint *checkpoint) {
  if (checkpoint == NULL) return;
  for (size_t i = 0; i < checkpoint->count; i++) mica_tensor_release(checkpoint->entries[i].tensor);
  if (checkpoint->entries != NULL)
    mica_free(NULL, checkpoint->entries, checkpoint->entry_capacity * sizeof *checkpoint->entries);
  if (checkpoint->by_name != NULL)
    mica_free(NULL, checkpoint->by_name, checkpoint->name_capacity * sizeof *checkpoint->by_name);
  mica_arena_deinit(&checkpoint->arena);
  mica_text_deinit(&checkpoint->warning);
  mica_free(NULL, checkpoint, sizeof *checkpoint);
}

mica_status mica_checkpoint_add(mica_checkpoint *checkpoint, const char *file, const char *name,
                                mica_tensor *tensor, mica_error *error) {
  char *copy = mica_dotted_name(&checkpoint->arena, name);
  const char *part = checkpoint->count > 0 ? checkpoint->entries[checkpoint->count - 1].file : NULL;
  if (part == NULL || strcmp(part, file) != 0) part = mica_arena_text(&checkpoint->arena, file);
  if (copy == NULL || part == NULL ||
      !mica_grow(NULL, &checkpoint->entries, &checkpoint->entry_capacity, checkpoint->count + 1,
                 sizeof *checkpoint->entries) ||
      !mica_grow(NULL, &checkpoint->by_name, &checkpoint->name_capacity, checkpoint->count + 1,
                 sizeof *checkpoint->by_name))
    return no_memory(error);
  checkpoint->entries[checkpoint->count++] =
      (mica_checkpoint_entry){copy, part, mica_tensor_retain(tensor)};
  return MICA_OK;
}

static bool checkpoint_name_before(const void *context, uint32_t a, uint32_t b) {
  const mica_checkpoint_entry *entries = context;
  return strcmp(entries[a].name, entries[b].name) < 0;
}

mica_status mica_checkpoint_close(mica_checkpoint *checkpoint, mica_error *error) {
  uint32_t *order = checkpoint->by_name;
  for (size_t i = 0; i < checkpoint->count; i++) order[i] = (uint32_t)i;
  mica_sort_indices(order, checkpoint->count, checkpoint_name_before, checkpoint->entries);
  for (size_t i = 1; i < checkpoint->count; i++)
    if (!strcmp(checkpoint->entries[order[i - 1]].name, checkpoint->entries[order[i]].name))
      return mica_error_set(error, MICA_DATA_LOSS,
                            "checkpoint: '%.200s' occurs twice ('/' counts as '.')",
                            checkpoint->entries[order[i]].name);
  return MICA_OK;
}

mica_status mica_checkpoint_add_file(mica_checkpoint *checkpoint, const char *file,
                                     const mica_safetensors *from, mica_error *error) {
  mica_status status = MICA_OK;
  for (int64_t i = 0; i < mica_safetensors_count(from) && status == MICA_OK; i++) {
    mica_tensor *tensor = NULL;
    mica_error inner = {0};
    status = mica_safetensors_tensor(from, i, &tensor, &inner);
    if (status == MICA_UNSUPPORTED) { /* the others are of use all the same */
      mica_text_format(&checkpoint->warning, "%s\n", inner.message);
      status = MICA_OK;
      continue;
    }
    if (status != MICA_OK) return mica_error_set(error, status, "%s", inner.message);
    status = mica_checkpoint_add(checkpoint, file, mica_safetensors_name(from, i), tensor, error);
    mica_tensor_release(tensor);
  }
  return status;
}

/* ---- one file or bytes ----------------------------------------------------------------------- */

static void set_metric(mica_checkpoint *checkpoint, const mica_manifest *manifest) {
  checkpoint->metric_name = manifest->metric_name;
  checkpoint->metric = manifest->metric;
  checkpoint->larger_is_better = manifest->larger_is_better;
}

/* What mica_checkpoint_export left in the metadata; a file from elsewhere has none of it. */
static void take_export(mica_checkpoint *checkpoint, const mica_safetensors *file) {
  const char *text = mica_safetensors_metadata(file, "mica.checkpoint"),
             *state = mica_safetensors_metadata(file, "mica.state");
  mica_json *json = NULL;
  if (state != NULL) {
    char *copy = mica_arena_text(&checkpoint->arena, state);
    if (copy != NULL) checkpoint->state = copy;
  }
  if (text == NULL || strlen(text) > 1 << 16 ||
      mica_json_parse(&checkpoint->arena, text, strlen(text), &json, NULL) != MICA_OK)
    return;
  const mica_json *step = mica_json_get(json, "step");
  mica_manifest manifest = {0};
  if (step != NULL && step->kind == MICA_JSON_INTEGER) checkpoint->step = step->integer;
  mica_manifest_metric(json, &manifest);
  set_metric(checkpoint, &manifest);
}

static mica_status from_file(mica_safetensors *file, mica_checkpoint **out, mica_error *error) {
  mica_status status = mica_checkpoint_create(out, error);
  if (status != MICA_OK) return status;
  take_export(*out, file);
  status = mica_checkpoint_add_file(*out, "model", file, error);
  if (status == MICA_OK) status = mica_checkpoint_close(*out, error);
  if (status == MICA_OK) return status;
  mica_checkpoint_destroy(*out);
  *out = NULL;
  return status;
}

mica_status mica_checkpoint_parse(const void *bytes, size_t byte_size,
                                  mica_checkpoint **out_checkpoint, mica_error *error) {
  *out_checkpoint = NULL;
  mica_safetensors *file;
  mica_status status = mica_safetensors_parse(bytes, byte_size, &file, error);
  if (status == MICA_OK) status = from_file(file, out_checkpoint, error);
  mica_safetensors_destroy(file);
  return status;
}

mica_status mica_checkpoint_replace(mica_checkpoint *checkpoint, int64_t index, mica_tensor *tensor,
                                    mica_error *error) {
  if (checkpoint == NULL || tensor == NULL || index < 0 || (uint64_t)index >= checkpoint->count)
    return mica_error_set(error, MICA_INVALID, "checkpoint: there is no %s",
                          checkpoint == NULL ? "checkpoint"
                          : tensor == NULL   ? "tensor to put in the place of one"
                                             : "tensor of that index");
  mica_tensor *old = checkpoint->entries[index].tensor;
  checkpoint->entries[index].tensor = mica_tensor_retain(tensor);
  mica_tensor_release(old);
  return MICA_OK;
}

mica_status mica_checkpoint_export(const mica_checkpoint *checkpoint, const char *path,
                                   mica_error *error) {
  if (checkpoint == NULL)
    return mica_error_set(error, MICA_INVALID, "checkpoint: the checkpoint is NULL");
  mica_text text;
  mica_text_init(&text, NULL);
  mica_manifest_write(&text, &(mica_manifest){.step = checkpoint->step,
                                              .metric_name = checkpoint->metric_name,
                                              .metric = checkpoint->metric,
                                              .larger_is_better = checkpoint->larger_is_better});
  size_t size = (checkpoint->count + 1) * sizeof(mica_named_tensor);
  mica_named_tensor *tensors = mica_allocate(NULL, size);
  mica_status status = text.failed || tensors == NULL ? no_memory(error) : MICA_OK;
  if (status == MICA_OK) {
    for (size_t i = 0; i < checkpoint->count; i++)
      tensors[i] = (mica_named_tensor){checkpoint->entries[i].name, checkpoint->entries[i].tensor};
    const mica_named_text metadata[] = {{"mica.checkpoint", text.data},
                                        {"mica.state", checkpoint->state}};
    status = mica_safetensors_save(path, tensors, checkpoint->count, metadata, 2, error);
  }
  if (tensors != NULL) mica_free(NULL, tensors, size);
  mica_text_deinit(&text);
  return status;
}

/* ---- a checkpoint's folder ------------------------------------------------------------------- */

static mica_status check_sum(const mica_manifest_file *file, const void *bytes, size_t size,
                             const char *path, mica_error *error) {
  char sum[65];
  if (size != file->size)
    return mica_error_set(error, MICA_DATA_LOSS,
                          "%.500s has %zu bytes, of %" PRIu64 " that were saved", path, size,
                          file->size);
  mica_sha256(bytes, size, sum);
  if (strcmp(sum, file->sha256) != 0)
    return mica_error_set(error, MICA_DATA_LOSS,
                          "%.500s is damaged: its SHA-256 is not that of what was saved", path);
  return MICA_OK;
}

static mica_status load_state(mica_checkpoint *checkpoint, const mica_manifest_file *file,
                              const char *path, mica_error *error) {
  const void *bytes;
  size_t size;
  mica_status status = mica_file_status(mica_file_map(path, &bytes, &size), path, "read", error);
  if (status != MICA_OK) return status;
  status = check_sum(file, bytes, size, path, error);
  char *text = status == MICA_OK ? mica_arena_allocate(&checkpoint->arena, size + 1) : NULL;
  if (text != NULL) {
    memcpy(text, bytes, size);
    text[size] = 0;
    checkpoint->state = text;
  } else if (status == MICA_OK) {
    status = no_memory(error);
  }
  mica_file_unmap(bytes, size);
  return status;
}

static mica_status load_part_file(mica_checkpoint *checkpoint, const mica_manifest_file *file,
                                  const char *path, mica_error *error) {
  static const char suffix[] = ".safetensors";
  char part[MICA_CHECKPOINT_NAME];
  size_t length = strlen(file->name), end = sizeof suffix - 1, size;
  if (length <= end || length - end >= sizeof part ||
      strcmp(file->name + length - end, suffix) != 0)
    return mica_error_set(error, MICA_DATA_LOSS, "%.500s: not a file of a checkpoint", path);
  memcpy(part, file->name, length - end);
  part[length - end] = 0;
  mica_safetensors *open = NULL;
  mica_status status = mica_safetensors_open(path, &open, error);
  if (status != MICA_OK) return status;
  const void *bytes = mica_safetensors_bytes(open, &size);
  status = check_sum(file, bytes, size, path, error);
  if (status == MICA_OK) status = mica_checkpoint_add_file(checkpoint, part, open, error);
  mica_safetensors_destroy(open);
  return status;
}

static mica_status load_folder(const char *path, int64_t step, mica_checkpoint **out,
                               mica_error *error) {
  mica_status status = mica_checkpoint_create(out, error);
  if (status != MICA_OK) return status;
  mica_checkpoint *checkpoint = *out;
  mica_manifest manifest;
  status = mica_manifest_read(path, &checkpoint->arena, &manifest, error);
  if (status == MICA_OK && step >= 0 && manifest.step != step)
    status = mica_error_set(error, MICA_DATA_LOSS, "%.500s: checkpoint.json is of step %" PRId64,
                            path, manifest.step);
  for (size_t i = 0; i < manifest.file_count && status == MICA_OK; i++) {
    char file[MICA_CHECKPOINT_PATH];
    status = mica_checkpoint_join(path, manifest.files[i].name, file, error);
    if (status != MICA_OK) break;
    status = strcmp(manifest.files[i].name, "state.json") == 0
                 ? load_state(checkpoint, &manifest.files[i], file, error)
                 : load_part_file(checkpoint, &manifest.files[i], file, error);
  }
  if (status == MICA_OK) {
    checkpoint->step = manifest.step;
    set_metric(checkpoint, &manifest);
    status = mica_checkpoint_close(checkpoint, error);
  }
  if (status == MICA_OK) return MICA_OK;
  mica_checkpoint_destroy(checkpoint);
  *out = NULL;
  return status;
}

/* The index of the best by its metric, or -1. */
static int64_t best_folder(const char *folder, const mica_checkpoint_folders *folders) {
  int64_t best = -1;
  double best_metric = NAN;
  for (size_t i = 0; i < folders->count; i++) {
    char path[MICA_CHECKPOINT_PATH];
    mica_arena arena;
    mica_manifest manifest;
    mica_arena_init(&arena, NULL);
    if (mica_checkpoint_join(folder, folders->items[i].name, path, NULL) == MICA_OK &&
        mica_manifest_read(path, &arena, &manifest, NULL) == MICA_OK &&
        mica_metric_better(manifest.metric, best_metric, manifest.larger_is_better))
      best = (int64_t)i, best_metric = manifest.metric;
    mica_arena_deinit(&arena);
  }
  return best;
}

/* The wanted one, or the newest that is whole, counting down from the last. */
static mica_status open_one(const char *folder, const mica_checkpoint_folders *folders,
                            int64_t step, mica_checkpoint **out, mica_error *error) {
  mica_text passed;
  mica_error first = {0};
  int64_t best = step == MICA_CHECKPOINT_BEST ? best_folder(folder, folders) : -1;
  mica_status status = MICA_NOT_FOUND;
  mica_text_init(&passed, NULL);
  for (size_t i = folders->count; i-- > 0 && *out == NULL;) {
    const mica_checkpoint_folder *item = &folders->items[i];
    char path[MICA_CHECKPOINT_PATH];
    mica_error inner = {0};
    if (step >= 0 ? item->step != step : step == MICA_CHECKPOINT_BEST && best != (int64_t)i)
      continue;
    status = mica_checkpoint_join(folder, item->name, path, &inner);
    if (status == MICA_OK) status = load_folder(path, item->step, out, &inner);
    if (status == MICA_OUT_OF_MEMORY) {
      first = inner;
      break;
    }
    if (status != MICA_OK) {
      if (first.status == MICA_OK) first = inner;
      mica_text_format(&passed, "%s\n", inner.message);
    }
  }
  if (*out != NULL && passed.size > 0) mica_text_append(&(*out)->warning, passed.data);
  mica_text_deinit(&passed);
  if (*out != NULL) return MICA_OK;
  if (first.status != MICA_OK)
    return mica_error_set(error, first.status == MICA_NOT_FOUND ? MICA_DATA_LOSS : first.status,
                          "%s", first.message);
  if (step >= 0)
    return mica_error_set(error, MICA_NOT_FOUND, "%.500s: no checkpoint of step %" PRId64, folder,
                          step);
  return mica_error_set(error, MICA_NOT_FOUND, "%.500s: no checkpoint%s", folder,
                        step == MICA_CHECKPOINT_BEST ? " with a metric" : "");
}

mica_status mica_checkpoint_open(const char *path, int64_t step, mica_checkpoint **out_checkpoint,
                                 mica_error *error) {
  *out_checkpoint = NULL;
  if (path == NULL || step < MICA_CHECKPOINT_BEST)
    return mica_error_set(error, MICA_INVALID, "checkpoint: the path is NULL or the step negative");
  uint64_t size;
  if (mica_file_size(path, &size) == 0) {
    mica_safetensors *file;
    mica_status status = mica_safetensors_open(path, &file, error);
    if (status == MICA_OK) status = from_file(file, out_checkpoint, error);
    mica_safetensors_destroy(file);
    return status;
  }
  char manifest[MICA_CHECKPOINT_PATH]; /* of the folder of one checkpoint */
  if (mica_checkpoint_join(path, "checkpoint.json", manifest, NULL) == MICA_OK &&
      mica_file_size(manifest, &size) == 0)
    return load_folder(path, -1, out_checkpoint, error);
  mica_checkpoint_folders folders;
  mica_status status = mica_checkpoint_folders_read(path, &folders, error);
  if (status == MICA_OK) status = open_one(path, &folders, step, out_checkpoint, error);
  mica_checkpoint_folders_deinit(&folders);
  return status;
}

/* ---- what is in it --------------------------------------------------------------------------- */

int64_t mica_checkpoint_step(const mica_checkpoint *checkpoint) {
  return checkpoint == NULL ? 0 : checkpoint->step;
}
const char *mica_checkpoint_state(const mica_checkpoint *checkpoint) {
  return checkpoint == NULL ? "{}" : checkpoint->state;
}
bool mica_checkpoint_metric(const mica_checkpoint *checkpoint, const char **out_name,
                            double *out_value, bool *out_larger_is_better) {
  if (checkpoint == NULL || checkpoint->metric_name == NULL) return false;
  if (out_name) *out_name = checkpoint->metric_name;
  if (out_value) *out_value = checkpoint->metric;
  if (out_larger_is_better) *out_larger_is_better = checkpoint->larger_is_better;
  return true;
}
const char *mica_checkpoint_warning(const mica_checkpoint *checkpoint) {
  return checkpoint == NULL || checkpoint->warning.data == NULL ? "" : checkpoint->warning.data;
}
int64_t mica_checkpoint_count(const mica_checkpoint *checkpoint) {
  return checkpoint == NULL ? 0 : (int64_t)checkpoint->count;
}

static const mica_checkpoint_entry *checkpoint_entry(const mica_checkpoint *checkpoint,
                                                     int64_t index) {
  if (checkpoint == NULL || index < 0 || (uint64_t)index >= checkpoint->count) return NULL;
  return &checkpoint->entries[index];
}
const char *mica_checkpoint_name(const mica_checkpoint *checkpoint, int64_t index) {
  const mica_checkpoint_entry *entry = checkpoint_entry(checkpoint, index);
  return entry == NULL ? NULL : entry->name;
}
const char *mica_checkpoint_file(const mica_checkpoint *checkpoint, int64_t index) {
  const mica_checkpoint_entry *entry = checkpoint_entry(checkpoint, index);
  return entry == NULL ? NULL : entry->file;
}
mica_tensor *mica_checkpoint_tensor(const mica_checkpoint *checkpoint, int64_t index) {
  const mica_checkpoint_entry *entry = checkpoint_entry(checkpoint, index);
  return entry == NULL ? NULL : entry->tensor;
}

/* strcmp of a sorted, dotted name with one that may have slashes. */
static int compare_paths(const char *dotted, const char *name) {
  for (;; dotted++, name++) {
    unsigned char a = (unsigned char)*dotted, b = (unsigned char)(*name == '/' ? '.' : *name);
    if (a != b) return a < b ? -1 : 1;
    if (a == 0) return 0;
  }
}

mica_tensor *mica_checkpoint_find(const mica_checkpoint *checkpoint, const char *name) {
  if (checkpoint == NULL || name == NULL) return NULL;
  for (size_t low = 0, high = checkpoint->count; low < high;) {
    size_t middle = low + (high - low) / 2;
    const mica_checkpoint_entry *entry = &checkpoint->entries[checkpoint->by_name[middle]];
    int order = compare_paths(entry->name, name);
    if (order == 0) return entry->tensor;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

mica_status mica_checkpoint_list(const char *folder, int64_t *out_steps, size_t capacity,
                                 size_t *out_count, mica_error *error) {
  *out_count = 0;
  if (folder == NULL) return mica_error_set(error, MICA_INVALID, "checkpoint: the folder is NULL");
  mica_checkpoint_folders folders;
  mica_status status = mica_checkpoint_folders_read(folder, &folders, error);
  if (status != MICA_OK) return status;
  for (size_t i = 0; i < folders.count; i++) {
    if (i > 0 && folders.items[i].step == folders.items[i - 1].step) continue;
    if (*out_count < capacity) out_steps[*out_count] = folders.items[i].step;
    ++*out_count;
  }
  mica_checkpoint_folders_deinit(&folders);
  return MICA_OK;
}

mica_status mica_checkpoint_delete(const char *folder, int64_t step, mica_error *error) {
  if (folder == NULL) return mica_error_set(error, MICA_INVALID, "checkpoint: the folder is NULL");
  mica_checkpoint_folders folders;
  mica_status status = mica_checkpoint_folders_read(folder, &folders, error);
  if (status != MICA_OK) return status;
  size_t removed = 0;
  for (size_t i = 0; i < folders.count && status == MICA_OK; i++) {
    if (folders.items[i].step != step) continue;
    status = mica_file_status(mica_checkpoint_remove(folder, folders.items[i].name), folder,
                              "remove a checkpoint from", error);
    removed++;
  }
  mica_checkpoint_folders_deinit(&folders);
  if (status == MICA_OK && removed == 0)
    return mica_error_set(error, MICA_NOT_FOUND, "%.500s: no checkpoint of step %" PRId64, folder,
                          step);
  return status;
}
