/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint_save.c: writes a checkpoint so that it is there as a whole or not at all.
 *
 * Under the folder's lock: a folder with a temporary name, each file written and synced in it, the folder synced,
 * then one rename. A program that dies leaves the temporary folder, which the next save removes; whoever reads
 * never sees it. A step that is there already is not touched: the new one gets the next turn of its name, and the
 * old one goes after that. Only then are older checkpoints removed, each by a rename first. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/npy.h"
#include "core/sha256.h"
#include "model/checkpoint.h"
#include "platform/platform.h"

/* ---- one file -------------------------------------------------------------------------------- */

typedef struct {
  int descriptor;
  char path[MICA_CHECKPOINT_PATH];
  uint64_t size;
  mica_sha256_state sum;
} checkpoint_sink;

static mica_status write_and_sum(void *user, const void *bytes, size_t size, mica_error *error) {
  checkpoint_sink *sink = user;
  if (size == 0) return MICA_OK;
  mica_sha256_add(&sink->sum, bytes, size);
  sink->size += size;
  return mica_file_status(mica_file_append(sink->descriptor, bytes, size), sink->path, "write",
                          error);
}

static mica_status open_sink(checkpoint_sink *sink, const char *folder, const char *name,
                             mica_error *error) {
  sink->size = 0;
  mica_sha256_begin(&sink->sum);
  mica_status status = mica_checkpoint_join(folder, name, sink->path, error);
  if (status != MICA_OK) return status;
  return mica_file_status(mica_file_create(sink->path, &sink->descriptor), sink->path, "write",
                          error);
}

static mica_status close_sink(checkpoint_sink *sink, mica_status status, mica_manifest_file *file,
                              mica_error *error) {
  int code = mica_file_finish(sink->descriptor, status == MICA_OK);
  if (status == MICA_OK) status = mica_file_status(code, sink->path, "write", error);
  if (file != NULL) {
    file->size = sink->size;
    mica_sha256_end(&sink->sum, file->sha256);
  }
  return status;
}

static mica_status save_text(const char *folder, const char *name, const char *text,
                             mica_manifest_file *file, mica_error *error) {
  checkpoint_sink sink;
  mica_status status = open_sink(&sink, folder, name, error);
  if (status != MICA_OK) return status;
  status = write_and_sum(&sink, text, strlen(text), error);
  return close_sink(&sink, status, file, error);
}

static mica_status save_entries(const char *folder, const char *name,
                                const mica_named_tensor *tensors, size_t count,
                                mica_manifest_file *file, mica_error *error) {
  checkpoint_sink sink;
  mica_status status = open_sink(&sink, folder, name, error);
  if (status != MICA_OK) return status;
  status = mica_safetensors_write(tensors, count, &(mica_named_text){"format", "mica"}, 1,
                                  write_and_sum, &sink, error);
  return close_sink(&sink, status, file, error);
}

/* ---- what is to be saved, as a checkpoint in memory ------------------------------------------ */

static const char *part_file(const mica_checkpoint_part *part) {
  return part->file != NULL ? part->file : "model";
}

static bool part_name_is_good(const char *name) {
  size_t length = strlen(name);
  if (length == 0 || length > 40) return false;
  for (size_t i = 0; i < length; i++) {
    char c = name[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
          c == '_'))
      return false;
  }
  return true;
}

static mica_status collect_part(mica_checkpoint *all, const mica_checkpoint_part *part,
                                mica_error *error) {
  const char *file = part_file(part);
  mica_status status = MICA_OK;
  for (size_t i = 0; i < part->variable_count && status == MICA_OK; i++) {
    const mica_named_variable *named = &part->variables[i];
    const char *name = named->name != NULL ? named->name : mica_variable_name(named->variable);
    mica_tensor *value = mica_variable_snapshot(named->variable);
    if (value == NULL)
      return mica_error_set(error, MICA_INVALID,
                            "checkpoint: variable '%.200s' is NULL or lost: nothing is saved",
                            name);
    status = mica_checkpoint_add(all, file, name, value, error);
    mica_tensor_release(value);
  }
  for (size_t i = 0; i < part->tensor_count && status == MICA_OK; i++) {
    const mica_named_tensor *named = &part->tensors[i];
    if (named->name == NULL || named->tensor == NULL)
      return mica_error_set(error, MICA_INVALID, "checkpoint: tensor '%.200s' is NULL",
                            named->name != NULL ? named->name : "");
    status = mica_checkpoint_add(all, file, named->name, named->tensor, error);
  }
  return status;
}

static mica_status check_state(const char *state, mica_error *error) {
  mica_arena arena;
  mica_json *json = NULL;
  mica_error inner = {0};
  mica_arena_init(&arena, NULL);
  mica_status status = mica_json_parse(&arena, state, strlen(state), &json, &inner);
  if (status == MICA_OK && json->kind != MICA_JSON_OBJECT)
    status = mica_error_set(&inner, MICA_INVALID, "no object");
  mica_arena_deinit(&arena);
  if (status == MICA_OK) return MICA_OK;
  return mica_error_set(error, status == MICA_OUT_OF_MEMORY ? status : MICA_INVALID,
                        "checkpoint: the state is no JSON object: %.300s", inner.message);
}

static mica_status collect(const mica_checkpoint_save_options *options, mica_checkpoint *all,
                           mica_error *error) {
  mica_status status = options->state != NULL ? check_state(options->state, error) : MICA_OK;
  for (size_t i = 0; i < options->part_count && status == MICA_OK; i++) {
    const char *file = part_file(&options->parts[i]);
    if (!part_name_is_good(file))
      return mica_error_set(error, MICA_INVALID, "checkpoint: '%.100s' cannot name a part", file);
    for (size_t k = 0; k < i; k++)
      if (!strcmp(file, part_file(&options->parts[k])))
        return mica_error_set(error, MICA_INVALID, "checkpoint: two parts are named '%.100s'",
                              file);
    status = collect_part(all, &options->parts[i], error);
  }
  if (status == MICA_OK) {
    status = mica_checkpoint_close(all, error);
    if (status == MICA_DATA_LOSS) status = MICA_INVALID;
  }
  if (error != NULL && error->status == MICA_DATA_LOSS) error->status = MICA_INVALID;
  return status;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static mica_status fill_folder(const mica_checkpoint_save_options *options,
                               const mica_checkpoint *all, const char *folder, mica_error *error) {
  mica_arena arena;
  mica_text text;
  mica_arena_init(&arena, NULL);
  mica_text_init(&text, NULL);
  mica_manifest manifest = {.step = options->step,
                            .metric_name = options->metric_name,
                            .metric = options->metric,
                            .larger_is_better = options->larger_is_better};
  manifest.files =
      mica_arena_allocate_zeroed(&arena, options->part_count + 1, sizeof *manifest.files);
  mica_named_tensor *tensors = mica_arena_allocate_zeroed(&arena, all->count + 1, sizeof *tensors);
  mica_status status = manifest.files != NULL && tensors != NULL
                           ? MICA_OK
                           : mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
  size_t first = 0;
  for (size_t i = 0; i < options->part_count && status == MICA_OK; i++) {
    const char *file = part_file(&options->parts[i]);
    size_t count = options->parts[i].variable_count + options->parts[i].tensor_count;
    for (size_t k = 0; k < count; k++)
      tensors[k] =
          (mica_named_tensor){all->entries[first + k].name, all->entries[first + k].tensor};
    char name[MICA_CHECKPOINT_NAME];
    snprintf(name, sizeof name, "%.40s.safetensors", file);
    mica_manifest_file *row = &manifest.files[manifest.file_count++];
    row->name = mica_arena_text(&arena, name);
    if (row->name == NULL)
      status = mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
    else
      status = save_entries(folder, name, tensors, count, row, error);
    first += count;
  }
  if (status == MICA_OK) {
    mica_manifest_file *row = &manifest.files[manifest.file_count++];
    row->name = "state.json";
    status =
        save_text(folder, row->name, options->state != NULL ? options->state : "{}", row, error);
  }
  if (status == MICA_OK) mica_manifest_write(&text, &manifest);
  if (status == MICA_OK && text.failed)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
  if (status == MICA_OK) status = save_text(folder, "checkpoint.json", text.data, NULL, error);
  if (status == MICA_OK)
    status = mica_file_status(mica_folder_sync(folder), folder, "write", error);
  mica_text_deinit(&text);
  mica_arena_deinit(&arena);
  return status;
}

/* Under the lock nobody else writes, so what has a temporary name was left by a program that ended. */
static bool remove_left_over(void *context, const char *name) {
  char path[MICA_CHECKPOINT_PATH];
  if ((strncmp(name, ".saving-", 8) == 0 || strncmp(name, ".removing-", 10) == 0) &&
      mica_checkpoint_join(context, name, path, NULL) == MICA_OK)
    (void)mica_folder_remove(path);
  return true;
}

static bool is_kept_as_best(const double *metrics, const bool *known, size_t count, size_t index,
                            int32_t keep_best, bool larger_is_better) {
  int32_t better = 0;
  if (!known[index]) return false;
  for (size_t i = 0; i < count; i++) {
    if (!known[i] || i == index) continue;
    bool beats = mica_metric_better(metrics[i], metrics[index], larger_is_better);
    /* of equal ones the older counts as the better */
    if (beats || (i < index && !mica_metric_better(metrics[index], metrics[i], larger_is_better)))
      better++;
  }
  return better < keep_best;
}

static mica_status remove_old(const mica_checkpoint_save_options *options, mica_error *error) {
  mica_checkpoint_folders folders;
  mica_arena arena;
  mica_status status = mica_checkpoint_folders_read(options->folder, &folders, error);
  if (status != MICA_OK) return status;
  mica_arena_init(&arena, NULL);
  size_t count = folders.count;
  double *metrics = mica_arena_allocate_zeroed(&arena, count + 1, sizeof *metrics);
  bool *known = mica_arena_allocate_zeroed(&arena, count + 1, sizeof *known),
       *stale = mica_arena_allocate_zeroed(&arena, count + 1, sizeof *stale);
  if (metrics == NULL || known == NULL || stale == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "checkpoint: out of memory");
  for (size_t i = 0; i < count && status == MICA_OK; i++) {
    stale[i] = i + 1 < count && folders.items[i + 1].step == folders.items[i].step;
    if (stale[i] || options->keep_best <= 0 || options->keep <= 0) continue;
    char path[MICA_CHECKPOINT_PATH];
    mica_manifest manifest;
    if (mica_checkpoint_join(options->folder, folders.items[i].name, path, NULL) == MICA_OK &&
        mica_manifest_read(path, &arena, &manifest, NULL) == MICA_OK)
      known[i] = manifest.metric == manifest.metric, metrics[i] = manifest.metric;
  }
  int32_t newer = 0;
  for (size_t i = count; i-- > 0 && status == MICA_OK;) {
    bool keep = !stale[i] && (options->keep <= 0 || newer < options->keep ||
                              folders.items[i].step == options->step || /* just saved */
                              is_kept_as_best(metrics, known, count, i, options->keep_best,
                                              options->larger_is_better));
    newer += !stale[i];
    if (!keep)
      status = mica_file_status(mica_checkpoint_remove(options->folder, folders.items[i].name),
                                options->folder, "remove an old checkpoint from", error);
  }
  mica_arena_deinit(&arena);
  mica_checkpoint_folders_deinit(&folders);
  return status;
}

/* The name that the step gets: the next turn of one that is there. */
static mica_status choose_name(const mica_checkpoint_save_options *options, char *name,
                               mica_error *error) {
  mica_checkpoint_folders folders;
  int32_t turn = 0;
  mica_status status = mica_checkpoint_folders_read(options->folder, &folders, error);
  if (status != MICA_OK) return status;
  for (size_t i = 0; i < folders.count; i++)
    if (folders.items[i].step == options->step) turn = folders.items[i].turn + 1;
  mica_checkpoint_folders_deinit(&folders);
  int length = snprintf(name, MICA_CHECKPOINT_NAME, "step-%012" PRId64, options->step);
  if (turn > 0) snprintf(name + length, MICA_CHECKPOINT_NAME - (size_t)length, ".%" PRId32, turn);
  return MICA_OK;
}

static mica_status save_locked(const mica_checkpoint_save_options *options,
                               const mica_checkpoint *all, mica_error *error) {
  char name[MICA_CHECKPOINT_NAME], hidden[MICA_CHECKPOINT_NAME + 16],
      temporary[MICA_CHECKPOINT_PATH], final[MICA_CHECKPOINT_PATH];
  (void)mica_folder_list(options->folder, remove_left_over, (void *)(uintptr_t)options->folder);
  mica_status status = choose_name(options, name, error);
  if (status != MICA_OK) return status;
  snprintf(hidden, sizeof hidden, ".saving-%s", name);
  status = mica_checkpoint_join(options->folder, hidden, temporary, error);
  if (status == MICA_OK) status = mica_checkpoint_join(options->folder, name, final, error);
  if (status == MICA_OK)
    status = mica_file_status(mica_folder_create(temporary), temporary, "write", error);
  if (status != MICA_OK) return status;
  status = fill_folder(options, all, temporary, error);
  if (status == MICA_OK)
    status = mica_file_status(mica_file_rename(temporary, final), final, "write", error);
  if (status != MICA_OK) {
    (void)mica_folder_remove(temporary);
    return status;
  }
  status = mica_file_status(mica_folder_sync(options->folder), options->folder, "sync", error);
  if (status != MICA_OK) return status;
  mica_error inner = {0};
  status = remove_old(options, &inner);
  if (status == MICA_OK) return MICA_OK;
  return mica_error_set(error, status, "step %" PRId64 " is saved, but: %.800s", options->step,
                        inner.message);
}

/* Makes the folder and takes its lock; *out_busy: somebody else has it. */
static mica_status lock_folder(const char *folder, int *out_lock, bool *out_busy,
                               mica_error *error) {
  char path[MICA_CHECKPOINT_PATH];
  mica_status status = mica_file_status(mica_folder_create(folder), folder, "make", error);
  *out_busy = false;
  if (status == MICA_OK) status = mica_checkpoint_join(folder, ".lock", path, error);
  if (status != MICA_OK) return status;
  int code = mica_folder_lock(path, out_lock);
  *out_busy = code == EWOULDBLOCK;
  return *out_busy ? MICA_OK : mica_file_status(code, path, "write", error);
}

mica_status mica_checkpoint_prepare(const char *folder, mica_error *error) {
  int lock = -1;
  bool busy;
  if (folder == NULL || *folder == 0)
    return mica_error_set(error, MICA_INVALID, "checkpoint: a folder is needed");
  mica_status status = lock_folder(folder, &lock, &busy, error);
  mica_folder_unlock(lock);
  return status;
}

mica_status mica_checkpoint_save(const mica_checkpoint_save_options *options, mica_error *error) {
  if (options == NULL || options->folder == NULL || *options->folder == 0 || options->step < 0 ||
      options->step > INT64_C(999999999999999) ||
      (options->parts == NULL && options->part_count > 0))
    return mica_error_set(error, MICA_INVALID,
                          "checkpoint: folder, parts and a step of at least 0 are needed");
  mica_checkpoint *all;
  mica_status status = mica_checkpoint_create(&all, error);
  if (status == MICA_OK) status = collect(options, all, error);
  int lock = -1;
  bool busy = false;
  if (status == MICA_OK) status = lock_folder(options->folder, &lock, &busy, error);
  if (status == MICA_OK && busy)
    status = mica_error_set(error, MICA_IO, "'%.500s': another program saves a checkpoint there",
                            options->folder);
  if (status == MICA_OK) status = save_locked(options, all, error);
  mica_folder_unlock(lock);
  mica_checkpoint_destroy(all);
  return status;
}
