/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoint.h: what the files about checkpoints share. */
#ifndef MICA_MODEL_CHECKPOINT_H
#define MICA_MODEL_CHECKPOINT_H
#include "core/json.h"
#include "core/memory.h"
#include "core/text.h"
#include "mica/model.h"

enum { MICA_CHECKPOINT_PATH = 4096, MICA_CHECKPOINT_NAME = 64 };

typedef struct {
  const char *name, *file; /* dotted; the part */
  mica_tensor *tensor;
} mica_checkpoint_entry;

struct mica_checkpoint {
  mica_arena arena; /* of names and texts */
  mica_checkpoint_entry *entries;
  uint32_t *by_name;
  uint32_t entry_capacity, name_capacity;
  size_t count;
  int64_t step;
  const char *state, *metric_name;
  double metric;
  bool larger_is_better;
  mica_text warning;
};

mica_status mica_checkpoint_create(mica_checkpoint **out_checkpoint, mica_error *error);
/* Copies the names, retains the tensor. */
mica_status mica_checkpoint_add(mica_checkpoint *checkpoint, const char *file, const char *name,
                                mica_tensor *tensor, mica_error *error);
/* Sorts the entries; an error for a name that occurs twice. */
mica_status mica_checkpoint_close(mica_checkpoint *checkpoint, mica_error *error);
/* All tensors of an open file. */
mica_status mica_checkpoint_add_file(mica_checkpoint *checkpoint, const char *file,
                                     const mica_safetensors *from, mica_error *error);

/* A checkpoint's folder by its name, step-<12 digits> and, where a step was saved again, .<turn>. */
typedef struct {
  int64_t step;
  int32_t turn;
  char name[MICA_CHECKPOINT_NAME];
} mica_checkpoint_folder;
typedef struct {
  mica_checkpoint_folder *items; /* rising */
  uint32_t capacity;
  size_t count;
  bool failed;
} mica_checkpoint_folders;
mica_status mica_checkpoint_folders_read(const char *folder, mica_checkpoint_folders *out,
                                         mica_error *error);
void mica_checkpoint_folders_deinit(mica_checkpoint_folders *folders);
bool mica_checkpoint_folder_parse(const char *name, mica_checkpoint_folder *out);

/* "<folder>/<name>" into path[MICA_CHECKPOINT_PATH]. */
mica_status mica_checkpoint_join(const char *folder, const char *name, char *path,
                                 mica_error *error);

/* What checkpoint.json says; texts lie in the arena. */
typedef struct {
  const char *name;
  uint64_t size;
  char sha256[65];
} mica_manifest_file;
typedef struct {
  int64_t step;
  const char *metric_name; /* NULL: none */
  double metric;           /* NaN: never the best */
  bool larger_is_better;
  mica_manifest_file *files;
  size_t file_count;
} mica_manifest;
mica_status mica_manifest_read(const char *checkpoint_path, mica_arena *arena, mica_manifest *out,
                               mica_error *error);
/* The members of a metric, where they are: texts are those of the JSON. */
void mica_manifest_metric(const mica_json *json, mica_manifest *out);
void mica_manifest_write(mica_text *text, const mica_manifest *manifest);

/* a is better than b; a NaN is worse than anything. */
bool mica_metric_better(double a, double b, bool larger_is_better);

/* A copy of the name with dots for slashes; NULL without memory. */
char *mica_dotted_name(mica_arena *arena, const char *name);

/* '/' and '.' are equal. With captures, pieces of `path` that the wildcards matched. */
enum { MICA_PATTERN_WILDCARDS = 8 };
typedef struct {
  const char *begin[MICA_PATTERN_WILDCARDS];
  size_t size[MICA_PATTERN_WILDCARDS];
  int count;
} mica_pattern_captures;
/* MICA_INVALID for more wildcards than that, or where `to` has more than `from`; `to` may be NULL. */
mica_status mica_pattern_check(const char *from, const char *to, mica_error *error);
bool mica_pattern_match(const char *pattern, const char *path, mica_pattern_captures *captures);
/* `to` with its wildcards replaced. */
void mica_pattern_substitute(const char *to, const mica_pattern_captures *captures, mica_text *out);

/* Unlinks the folder of a checkpoint under a name that nobody takes for one. */
int mica_checkpoint_remove(const char *folder, const char *name);

#endif
