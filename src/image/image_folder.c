/* SPDX-License-Identifier: Apache-2.0 */
/* image_folder.c: a folder of folders of images as a data set of files' bytes and classes. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "image_internal.h"

typedef struct {
  char *name; /* of a file: "class/file" */
  int32_t label;
} folder_entry;

typedef struct {
  folder_entry *items;
  size_t count, capacity;
} folder_list;

typedef struct {
  char *path;
  folder_list files;
  int64_t *order, position, epoch;
  bool shuffle;
  uint64_t seed;
} image_folder;

static bool append(folder_list *list, const char *folder, const char *name, int32_t label) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
    folder_entry *grown = realloc(list->items, capacity * sizeof *grown);
    if (grown == NULL) return false;
    list->items = grown, list->capacity = capacity;
  }
  size_t size = strlen(folder) + strlen(name) + 2;
  char *whole = malloc(size);
  if (whole == NULL) return false;
  snprintf(whole, size, "%s%s%s", folder, *folder ? "/" : "", name);
  list->items[list->count++] = (folder_entry){whole, label};
  return true;
}

static void free_list(folder_list *list) {
  for (size_t i = 0; i < list->count; i++) free(list->items[i].name);
  free(list->items);
  *list = (folder_list){0};
}

static int compare_entries(const void *a, const void *b) {
  const folder_entry *x = a, *y = b;
  return x->label != y->label ? (x->label > y->label) - (x->label < y->label)
                              : strcmp(x->name, y->name);
}

static bool is_image(const char *name) {
  static const char *const endings[] = {".png", ".jpg", ".jpeg"};
  size_t length = strlen(name);
  for (int i = 0; i < 3; i++) {
    size_t end = strlen(endings[i]);
    if (length > end && strcasecmp(name + length - end, endings[i]) == 0) return true;
  }
  return false;
}

/* Names in `root`/`folder`: folders, or images. */
static mica_status list_names(const char *root, const char *folder, int32_t label, bool folders,
                              folder_list *list, mica_error *error) {
  char path[4096], entry_path[4096 + 300];
  if (snprintf(path, sizeof path, "%s%s%s", root, *folder ? "/" : "", folder) >= (int)sizeof path)
    return mica_error_set(error, MICA_INVALID, "image_folder: a path is too long");
  DIR *directory = opendir(path);
  if (directory == NULL)
    return mica_error_set(error, errno == ENOENT ? MICA_NOT_FOUND : MICA_IO,
                          "cannot read the folder '%.500s'", path);
  bool good = true;
  for (struct dirent *entry; good && (entry = readdir(directory)) != NULL;) {
    struct stat status;
    if (entry->d_name[0] == '.') continue;
    snprintf(entry_path, sizeof entry_path, "%s/%s", path, entry->d_name);
    if (stat(entry_path, &status) != 0) continue;
    if (folders ? S_ISDIR(status.st_mode) : S_ISREG(status.st_mode) && is_image(entry->d_name))
      good = append(list, folder, entry->d_name, label);
  }
  closedir(directory);
  return good ? MICA_OK : mica_error_set(error, MICA_OUT_OF_MEMORY, "image_folder: out of memory");
}

static void folder_destroy(void *self) {
  image_folder *f = self;
  free_list(&f->files);
  free(f->path);
  free(f->order);
  free(f);
}

static mica_status folder_begin(void *self, int64_t epoch, mica_error *error) {
  (void)error;
  image_folder *f = self;
  f->position = 0, f->epoch = epoch;
  if (f->shuffle) mica_shuffle(f->seed, (uint64_t)epoch, (int64_t)f->files.count, f->order);
  return MICA_OK;
}

static mica_status folder_next(void *self, mica_batch *batch, mica_error *error) {
  image_folder *f = self;
  mica_batch_clear(batch);
  if (f->position >= (int64_t)f->files.count) return MICA_OK;
  const folder_entry *entry = &f->files.items[f->shuffle ? f->order[f->position] : f->position];
  char path[4096];
  uint8_t *bytes;
  size_t size;
  if (snprintf(path, sizeof path, "%s/%s", f->path, entry->name) >= (int)sizeof path)
    return mica_error_set(error, MICA_INVALID, "image_folder: a path is too long");
  mica_status status = mica_image_read_file(path, &bytes, &size, error);
  if (status != MICA_OK) return status;
  batch->count = 2;
  batch->tensor[0] = mica_tensor_from(MICA_U8, MICA_DIMS((int64_t)size), bytes);
  batch->tensor[1] = mica_tensor_from(MICA_I32, MICA_SCALAR, &entry->label);
  free(bytes);
  if (batch->tensor[0] == NULL || batch->tensor[1] == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "image_folder: out of memory");
  f->position++;
  return MICA_OK;
}

static void folder_save(void *self, mica_dataset_state *state) {
  image_folder *f = self;
  mica_dataset_state_put(state, (int64_t)f->files.count);
  mica_dataset_state_put(state, f->epoch);
  mica_dataset_state_put(state, f->position);
}

static mica_status folder_restore(void *self, mica_dataset_state *state, mica_error *error) {
  image_folder *f = self;
  int64_t count = mica_dataset_state_take(state), epoch = mica_dataset_state_take(state),
          position = mica_dataset_state_take(state);
  if (count != (int64_t)f->files.count || epoch < 0 || position < 0 || position > count)
    return mica_error_set(error, MICA_INVALID,
                          "image_folder: the position is of %" PRId64 " images, and there are %zu",
                          count, f->files.count);
  mica_status status = folder_begin(f, epoch, error);
  f->position = position;
  return status;
}

static mica_status list_images(image_folder *f, mica_vocabulary *classes, mica_error *error) {
  folder_list folders = {0};
  mica_status status = list_names(f->path, "", 0, true, &folders, error);
  if (folders.count > 1)
    qsort(folders.items, folders.count, sizeof *folders.items, compare_entries);
  for (size_t i = 0; i < folders.count && status == MICA_OK; i++) {
    const char *name = folders.items[i].name;
    status = list_names(f->path, name, (int32_t)i, false, &f->files, error);
    if (status == MICA_OK) status = mica_vocabulary_add(classes, name, strlen(name), NULL, error);
  }
  free_list(&folders);
  if (status == MICA_OK && f->files.count == 0)
    status =
        mica_error_set(error, MICA_NOT_FOUND, "'%.500s' has no folder with images in it", f->path);
  if (f->files.count > 1)
    qsort(f->files.items, f->files.count, sizeof *f->files.items, compare_entries);
  return status;
}

mica_dataset *mica_image_folder(const mica_image_folder_options *options,
                                mica_vocabulary **out_classes, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "image_folder",
                                               .next = folder_next,
                                               .begin = folder_begin,
                                               .save = folder_save,
                                               .restore = folder_restore,
                                               .destroy = folder_destroy};
  if (out_classes != NULL) *out_classes = NULL;
  if (options == NULL || options->path == NULL) {
    mica_error_set(error, MICA_INVALID, "image_folder: the path is NULL");
    return NULL;
  }
  mica_vocabulary *classes = mica_vocabulary_create();
  image_folder *f = calloc(1, sizeof *f);
  size_t size = strlen(options->path) + 1;
  mica_status status = MICA_OK;
  if (f != NULL && (f->path = malloc(size)) != NULL) memcpy(f->path, options->path, size);
  if (classes == NULL || f == NULL || f->path == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "image_folder: out of memory");
  if (status == MICA_OK) {
    f->shuffle = options->shuffle, f->seed = options->seed;
    status = list_images(f, classes, error);
  }
  if (status == MICA_OK && (f->order = malloc(f->files.count * sizeof *f->order)) == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "image_folder: out of memory");
  mica_dataset *dataset = NULL;
  if (status == MICA_OK)
    dataset = mica_dataset_create(&methods, f, error);
  else if (f != NULL)
    folder_destroy(f);
  if (dataset != NULL && out_classes != NULL)
    *out_classes = classes;
  else
    mica_vocabulary_destroy(classes);
  return dataset;
}
