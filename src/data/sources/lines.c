/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c: the lines of a file as a data set, read in blocks; a position is the offset of the next line. And the
 * arrays of an .npz file as one. */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/npy.h"
#include "core/tensor.h"
#include "data/dataset.h"
#include "platform/platform.h"

enum { LINE_BLOCK = 1 << 16, LINE_LONGEST = 1 << 20 };

typedef struct {
  char *path;
  size_t path_size;
  char *block; /* [capacity], of which [begin, end) is unread and lies at `offset` of the file */
  size_t capacity, begin, end;
  uint64_t offset;
  int64_t longest;
} line_source;

static void lines_destroy(void *self) {
  line_source *s = self;
  if (s->path != NULL) mica_free(NULL, s->path, s->path_size);
  if (s->block != NULL) mica_free(NULL, s->block, s->capacity);
  mica_free(NULL, s, sizeof *s);
}

static mica_status lines_begin(void *self, int64_t epoch, mica_error *error) {
  (void)epoch, (void)error;
  line_source *s = self;
  s->begin = s->end = 0;
  s->offset = 0;
  return MICA_OK;
}

/* More of the file behind what is unread; *out_more is false at its end. */
static mica_status read_block(line_source *s, bool *out_more, mica_error *error) {
  memmove(s->block, s->block + s->begin, s->end - s->begin);
  s->end -= s->begin;
  s->begin = 0;
  size_t room = s->capacity - s->end, got = 0;
  if (room == 0) { /* a long line */
    size_t wanted = 2 * s->capacity;
    char *grown = mica_reallocate(NULL, s->block, s->capacity, wanted);
    if (grown == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "lines: out of memory");
    s->block = grown;
    room = wanted - s->capacity;
    s->capacity = wanted;
  }
  mica_status status = mica_file_status(
      mica_file_read_some(s->path, s->offset + s->end, s->block + s->end, room, &got), s->path,
      "read", error);
  s->end += got;
  *out_more = got > 0;
  return status;
}

static mica_status lines_next(void *self, mica_batch *batch, mica_error *error) {
  line_source *s = self;
  for (;;) {
    const char *first = s->block + s->begin, *line_end = NULL;
    size_t searched = 0;
    bool more = true;
    for (;;) {
      first = s->block + s->begin;
      size_t unread = s->end - s->begin;
      if (unread > searched) line_end = memchr(first + searched, '\n', unread - searched);
      searched = unread;
      if (line_end != NULL || !more) break;
      if (unread > (size_t)s->longest + 1)
        return mica_error_set(error, MICA_DATA_LOSS,
                              "%.500s: the line at byte %" PRIu64 " is longer than %" PRId64
                              " bytes",
                              s->path, s->offset, s->longest);
      mica_status status = read_block(s, &more, error);
      if (status != MICA_OK) return status;
    }
    size_t size = line_end != NULL ? (size_t)(line_end - first) : s->end - s->begin;
    size_t whole = size + (line_end != NULL);
    if (whole == 0) {
      batch->count = 0;
      return MICA_OK;
    }
    if (size > 0 && first[size - 1] == '\r') size--;
    if (size > (size_t)s->longest)
      return mica_error_set(error, MICA_DATA_LOSS,
                            "%.500s: the line at byte %" PRIu64 " is longer than %" PRId64 " bytes",
                            s->path, s->offset, s->longest);
    s->begin += whole;
    s->offset += whole;
    if (size == 0) continue;
    mica_batch_truncate(batch, batch->count < 1 ? batch->count : 1);
    batch->count = 1;
    batch->tensor[0] =
        mica_batch_reuse(&batch->tensor[0], (mica_type){MICA_U8, MICA_DIMS((int64_t)size)}, error);
    if (batch->tensor[0] == NULL) return MICA_OUT_OF_MEMORY;
    memcpy(mica_tensor_mutable_data(batch->tensor[0]), first, size);
    return MICA_OK;
  }
}

static void lines_save(void *self, mica_dataset_state *state) {
  line_source *s = self;
  mica_dataset_state_put(state, (int64_t)s->offset);
}

static mica_status lines_restore(void *self, mica_dataset_state *state, mica_error *error) {
  line_source *s = self;
  int64_t offset = mica_dataset_state_take(state);
  uint64_t size = 0;
  mica_status status = mica_file_status(mica_file_size(s->path, &size), s->path, "read", error);
  if (status == MICA_OK && (offset < 0 || (uint64_t)offset > size))
    status = mica_error_set(error, MICA_INVALID,
                            "%.500s: the position %" PRId64 " is behind its end", s->path, offset);
  s->begin = s->end = 0;
  s->offset = status == MICA_OK ? (uint64_t)offset : 0;
  return status;
}

mica_dataset *mica_dataset_from_lines(const char *path, int64_t longest, mica_error *error) {
  static const mica_dataset_methods methods = {.struct_size = sizeof methods,
                                               .name = "from_lines",
                                               .next = lines_next,
                                               .begin = lines_begin,
                                               .save = lines_save,
                                               .restore = lines_restore,
                                               .destroy = lines_destroy};
  uint64_t size;
  if (path == NULL || longest < 0 || longest > INT32_MAX) {
    mica_error_set(error, MICA_INVALID, "from_lines: a path and a length of at least 0 are needed");
    return NULL;
  }
  if (mica_file_status(mica_file_size(path, &size), path, "read", error) != MICA_OK) return NULL;
  line_source *s = mica_allocate_zeroed(NULL, 1, sizeof *s);
  if (s != NULL) {
    s->longest = longest > 0 ? longest : LINE_LONGEST;
    s->path_size = strlen(path) + 1;
    s->path = mica_allocate(NULL, s->path_size);
    s->capacity = LINE_BLOCK;
    s->block = mica_allocate(NULL, s->capacity);
  }
  if (s == NULL || s->path == NULL || s->block == NULL) {
    if (s != NULL) lines_destroy(s);
    mica_error_set(error, MICA_OUT_OF_MEMORY, "from_lines: out of memory");
    return NULL;
  }
  memcpy(s->path, path, s->path_size);
  return mica_dataset_create(&methods, s, error);
}

mica_dataset *mica_dataset_from_npz(const char *path, const char *const *names, int32_t count,
                                    const mica_memory_options *options, mica_error *error) {
  mica_npz *npz = NULL;
  mica_tensor *tensors[MICA_BATCH_TENSORS];
  if (path == NULL || names == NULL || count < 1 || count > MICA_BATCH_TENSORS || options == NULL) {
    mica_error_set(error, MICA_INVALID, "from_npz: a path and 1 to %d names are needed",
                   MICA_BATCH_TENSORS);
    return NULL;
  }
  if (mica_npz_load(path, &npz, error) != MICA_OK) return NULL;
  mica_dataset *dataset = NULL;
  int32_t found = 0;
  for (; found < count && (tensors[found] = mica_npz_find(npz, names[found])) != NULL; found++) {}
  if (found == count) {
    mica_memory_options with = *options;
    with.tensors = tensors, with.count = count;
    dataset = mica_dataset_from_tensors(&with, error);
  } else {
    mica_error_set(error, MICA_NOT_FOUND, "%.500s: there is no array '%.200s'", path,
                   names[found] != NULL ? names[found] : "");
  }
  mica_npz_destroy(npz);
  return dataset;
}
