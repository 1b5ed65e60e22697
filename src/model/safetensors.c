/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors.c: a safetensors file that is open: mapped bytes, shared by the tensors that are made of them.
 *
 * Eight bytes of little-endian size, a JSON header, the data. Tensors of which Mica can use the bytes in place
 * wrap them and hold the map by a reference count. */
#include "model/safetensors.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "core/memory.h"
#include "core/npy.h"
#include "core/tensor.h"
#include "platform/platform.h"

static const uint64_t safetensors_header_limit = 100 * 1000 * 1000;

/* The bytes of a file, for as long as somebody looks at them. */
typedef struct {
  _Atomic uint32_t reference_count;
  const void *bytes;
  size_t size;
  bool mapped;
} shared_bytes;

struct mica_safetensors {
  shared_bytes *shared;
  const uint8_t *data;
  mica_safetensors_header header;
};

static void shared_release(void *context) {
  shared_bytes *shared = context;
  if (atomic_fetch_sub_explicit(&shared->reference_count, 1, memory_order_acq_rel) != 1) return;
  if (shared->mapped) mica_file_unmap(shared->bytes, shared->size);
  mica_free(NULL, shared, sizeof *shared);
}

static mica_status open_shared(shared_bytes *shared, mica_safetensors **out, mica_error *error) {
  const uint8_t *bytes = shared->bytes;
  uint64_t size = 0;
  if (shared->size < 8)
    return mica_error_set(error, MICA_DATA_LOSS, "safetensors: %zu bytes are no file",
                          shared->size);
  for (int i = 7; i >= 0; i--) size = size << 8 | bytes[i];
  if ((size > safetensors_header_limit || size > shared->size - 8) &&
      (shared->size < 9 || bytes[8] != '{'))
    return mica_error_set(error, MICA_DATA_LOSS,
                          "no safetensors file: it does not begin with the size of a header");
  if (size > safetensors_header_limit || size > shared->size - 8)
    return mica_error_set(error, MICA_DATA_LOSS,
                          "safetensors: a header of %" PRIu64 " bytes in a file of %zu", size,
                          shared->size);
  mica_safetensors *file = mica_allocate_zeroed(NULL, 1, sizeof *file);
  if (file == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "safetensors: out of memory");
  mica_status status = mica_safetensors_header_parse(
      (const char *)bytes + 8, (size_t)size, shared->size - 8 - (size_t)size, &file->header, error);
  if (status != MICA_OK) {
    mica_free(NULL, file, sizeof *file);
    return status;
  }
  file->shared = shared;
  file->data = bytes + 8 + size;
  *out = file;
  return MICA_OK;
}

static mica_status open_bytes(const void *bytes, size_t size, bool mapped, mica_safetensors **out,
                              mica_error *error) {
  shared_bytes *shared = mica_allocate_zeroed(NULL, 1, sizeof *shared);
  if (shared == NULL) {
    if (mapped) mica_file_unmap(bytes, size);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "safetensors: out of memory");
  }
  *shared = (shared_bytes){.bytes = bytes, .size = size, .mapped = mapped};
  atomic_init(&shared->reference_count, 1);
  mica_status status = open_shared(shared, out, error);
  if (status != MICA_OK) shared_release(shared);
  return status;
}

mica_status mica_safetensors_parse(const void *bytes, size_t byte_size, mica_safetensors **out_file,
                                   mica_error *error) {
  *out_file = NULL;
  if (bytes == NULL) return mica_error_set(error, MICA_INVALID, "safetensors: the bytes are NULL");
  return open_bytes(bytes, byte_size, false, out_file, error);
}

mica_status mica_safetensors_open(const char *path, mica_safetensors **out_file,
                                  mica_error *error) {
  *out_file = NULL;
  const void *bytes;
  size_t size;
  if (path == NULL) return mica_error_set(error, MICA_INVALID, "safetensors: the path is NULL");
  mica_status status = mica_file_status(mica_file_map(path, &bytes, &size), path, "read", error);
  if (status != MICA_OK) return status;
  mica_error inner = {0};
  status = open_bytes(bytes, size, true, out_file, &inner);
  if (status != MICA_OK) mica_error_set(error, status, "%.300s: %.700s", path, inner.message);
  return status;
}

void mica_safetensors_destroy(mica_safetensors *file) {
  if (file == NULL) return;
  shared_release(file->shared);
  mica_safetensors_header_deinit(&file->header);
  mica_free(NULL, file, sizeof *file);
}

const void *mica_safetensors_bytes(const mica_safetensors *file, size_t *out_size) {
  *out_size = file->shared->size;
  return file->shared->bytes;
}

int64_t mica_safetensors_count(const mica_safetensors *file) {
  return file == NULL ? 0 : (int64_t)file->header.count;
}

static const mica_safetensors_entry *entry_at(const mica_safetensors *file, int64_t index) {
  if (file == NULL || index < 0 || (uint64_t)index >= file->header.count) return NULL;
  return &file->header.entries[index];
}

const char *mica_safetensors_name(const mica_safetensors *file, int64_t index) {
  const mica_safetensors_entry *entry = entry_at(file, index);
  return entry == NULL ? NULL : entry->name;
}

mica_type mica_safetensors_type(const mica_safetensors *file, int64_t index) {
  const mica_safetensors_entry *entry = entry_at(file, index);
  return entry == NULL || entry->type.dtype == MICA_DTYPE_NONE ? (mica_type){0} : entry->type;
}

int64_t mica_safetensors_index(const mica_safetensors *file, const char *name) {
  if (file == NULL || name == NULL) return -1;
  size_t low = 0, high = file->header.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    uint32_t index = file->header.by_name[middle];
    int order = strcmp(file->header.entries[index].name, name);
    if (order == 0) return index;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return -1;
}

static bool bools_are_plain(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (bytes[i] > 1) return false;
  return true;
}

/* The half byte behind an odd count of 4-bit elements is 0. */
static bool half_is_plain(mica_type type, const uint8_t *bytes, size_t size) {
  return mica_shape_count(type.shape) % 2 == 0 || size == 0 || bytes[size - 1] >> 4 == 0;
}

mica_status mica_safetensors_tensor(const mica_safetensors *file, int64_t index,
                                    mica_tensor **out_tensor, mica_error *error) {
  *out_tensor = NULL;
  const mica_safetensors_entry *entry = entry_at(file, index);
  if (entry == NULL)
    return mica_error_set(error, MICA_NOT_FOUND, "safetensors: there is no tensor %" PRId64, index);
  if (entry->type.dtype == MICA_DTYPE_NONE)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "safetensors: '%.200s' is of a type that Mica does not have (%s)",
                          entry->name, entry->stored);
  const uint8_t *bytes = file->data + entry->begin;
  size_t size = (size_t)(entry->end - entry->begin);
  mica_dtype dtype = entry->type.dtype;
  bool plain = (dtype != MICA_BOOL || bools_are_plain(bytes, size)) &&
               (mica_dtype_bits(dtype) != 4 || half_is_plain(entry->type, bytes, size));
  mica_status status;
  if ((uintptr_t)bytes % MICA_ALIGNMENT == 0 && size > 0 && plain) {
    atomic_fetch_add_explicit(&file->shared->reference_count, 1, memory_order_relaxed);
    status = mica_tensor_wrap(entry->type, bytes, shared_release, file->shared, out_tensor, error);
    if (status != MICA_OK) shared_release(file->shared);
    return status;
  }
  status = mica_tensor_create_uninitialized(NULL, entry->type, out_tensor, error);
  if (status != MICA_OK) return status;
  if (size > 0) memcpy(mica_tensor_mutable_data(*out_tensor), bytes, size);
  if (!plain) mica_tensor_normalize(*out_tensor);
  return MICA_OK;
}

const char *mica_safetensors_metadata(const mica_safetensors *file, const char *key) {
  for (size_t i = 0; file != NULL && key != NULL && i < file->header.metadata_count; i++)
    if (!strcmp(file->header.metadata[i].key, key)) return file->header.metadata[i].value;
  return NULL;
}

int64_t mica_safetensors_metadata_count(const mica_safetensors *file) {
  return file == NULL ? 0 : (int64_t)file->header.metadata_count;
}

mica_named_text mica_safetensors_metadata_at(const mica_safetensors *file, int64_t index) {
  if (file == NULL || index < 0 || (uint64_t)index >= file->header.metadata_count)
    return (mica_named_text){0};
  return file->header.metadata[index];
}
