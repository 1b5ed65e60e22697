/* SPDX-License-Identifier: Apache-2.0 */
/* npz.c: .npz archives: zip files (PKWARE's APPNOTE 6.3) of .npy members, read from untrusted
 * bytes.
 *
 * Only the central directory at the end is believed, as every zip reader does, and of it nothing
 * that the file's size contradicts: members' bytes may not add up to more than the file (so that a
 * few bytes cannot stand for many members), nor unpack to more than DEFLATE can. Each member's
 * checksum is verified. */
#include "core/inflate.h"
#include "core/memory.h"
#include "core/npy.h"
#include "core/text.h"
#include "platform/platform.h"

#include <inttypes.h>
#include <string.h>

enum {
  ZIP_LOCAL_SIZE = 30,
  ZIP_CENTRAL_SIZE = 46,
  ZIP_END_SIZE = 22,
  ZIP_END64_SIZE = 56,
  ZIP_LOCATOR_SIZE = 20,
  ZIP_COMMENT_LIMIT = 65535,
  ZIP_EXTRA64 = 1, /* id of the extra field with 64-bit sizes */
  ZIP_ENCRYPTED = 1,
  ZIP_UTF8_NAME = 1 << 11,
  ZIP_STORED = 0,
  ZIP_DEFLATED = 8,
  ZIP_DATE = 1 << 5 | 1 /* 1980-01-01: the same arrays make the same file */
};
static const uint32_t zip_local_mark = 0x04034B50, zip_central_mark = 0x02014B50;
static const uint32_t zip_end_mark = 0x06054B50, zip_end64_mark = 0x06064B50,
                      zip_locator_mark = 0x07064B50;

struct mica_npz {
  mica_arena arena;   /* of the names */
  const char **names; /* without ".npy" */
  mica_tensor **tensors;
  uint32_t name_capacity, tensor_capacity;
  int64_t count;
};

/* ---- little-endian numbers ------------------------------------------------------------------- */

static uint64_t get_little(const uint8_t *bytes, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; i--) value = value << 8 | bytes[i];
  return value;
}

static uint8_t *put_little(uint8_t *at, uint64_t value, int size) {
  for (int i = 0; i < size; i++, value >>= 8) *at++ = (uint8_t)value;
  return at;
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct {
  uint64_t offset, size, count; /* of the central directory */
} zip_directory;

typedef struct {
  uint32_t method, flags, crc;
  uint64_t packed_size, size, local_offset;
} zip_member;

static mica_status npz_damaged(mica_error *error, const char *what) {
  return mica_error_set(error, MICA_DATA_LOSS, ".npz: %s", what);
}

static mica_status npz_memory(mica_error *error) {
  return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a .npz archive");
}

/* The 64-bit form of the end record, when a locator for it stands before the plain one at
 * `end_offset`. */
static mica_status find_directory64(const mica_byte_source *source, uint64_t end_offset,
                                    zip_directory *directory, mica_error *error) {
  uint8_t locator[ZIP_LOCATOR_SIZE], end[ZIP_END64_SIZE];
  if (end_offset < sizeof(locator)) return MICA_OK;
  mica_status status =
      mica_byte_source_read(source, end_offset - sizeof(locator), locator, sizeof(locator), error);
  if (status != MICA_OK || get_little(locator, 4) != zip_locator_mark) return status;
  status = mica_byte_source_read(source, get_little(locator + 8, 8), end, sizeof(end), error);
  if (status != MICA_OK) return status;
  if (get_little(end, 4) != zip_end64_mark)
    return npz_damaged(error, "the 64-bit end record is missing");
  *directory = (zip_directory){.count = get_little(end + 32, 8),
                               .size = get_little(end + 40, 8),
                               .offset = get_little(end + 48, 8)};
  return MICA_OK;
}

/* The end record is the last thing in the file but for a comment of any length. */
static mica_status find_directory(const mica_byte_source *source, zip_directory *directory,
                                  mica_error *error) {
  enum { TAIL_LIMIT = ZIP_END_SIZE + ZIP_COMMENT_LIMIT };
  size_t size = source->size < TAIL_LIMIT ? (size_t)source->size : TAIL_LIMIT;
  if (size < ZIP_END_SIZE) return npz_damaged(error, "not a zip archive");
  uint8_t *tail = mica_allocate(NULL, size);
  if (tail == NULL) return npz_memory(error);
  mica_status status = mica_byte_source_read(source, source->size - size, tail, size, error);
  size_t at = size - ZIP_END_SIZE;
  while (at > 0 && get_little(tail + at, 4) != zip_end_mark) at--;
  if (status == MICA_OK && get_little(tail + at, 4) != zip_end_mark)
    status = npz_damaged(error, "not a zip archive");
  if (status == MICA_OK) {
    *directory = (zip_directory){.count = get_little(tail + at + 10, 2),
                                 .size = get_little(tail + at + 12, 4),
                                 .offset = get_little(tail + at + 16, 4)};
    status = find_directory64(source, source->size - size + at, directory, error);
  }
  mica_free(NULL, tail, size);
  if (status != MICA_OK) return status;
  if (directory->size > source->size || directory->offset > source->size - directory->size ||
      directory->count > directory->size / ZIP_CENTRAL_SIZE)
    return npz_damaged(error, "the directory is not inside of the file");
  return MICA_OK;
}

/* Sizes of all ones stand in the extra field, in this order, those alone. */
static bool read_extra64(const uint8_t *extra, size_t size, zip_member *member) {
  uint64_t *wide[] = {&member->size, &member->packed_size, &member->local_offset};
  while (size >= 4) {
    size_t id = (size_t)get_little(extra, 2), length = (size_t)get_little(extra + 2, 2);
    if (length > size - 4) return false;
    if (id == ZIP_EXTRA64) {
      const uint8_t *at = extra + 4;
      for (int i = 0; i < 3; i++) {
        if (*wide[i] != UINT32_MAX) continue;
        if ((size_t)(at - extra) + 8 > length + 4) return false;
        *wide[i] = get_little(at, 8);
        at += 8;
      }
      return true;
    }
    extra += 4 + length;
    size -= 4 + length;
  }
  return true;
}

/* Where a member's data begins: behind its local header, whose name and extra field may have other
 * sizes than those in the directory. */
static mica_status find_data(const mica_byte_source *source, const zip_member *member,
                             uint64_t *out_offset, mica_error *error) {
  uint8_t local[ZIP_LOCAL_SIZE];
  mica_status status =
      mica_byte_source_read(source, member->local_offset, local, sizeof(local), error);
  if (status != MICA_OK) return status;
  if (get_little(local, 4) != zip_local_mark)
    return npz_damaged(error, "a member's header is missing");
  *out_offset =
      member->local_offset + sizeof(local) + get_little(local + 26, 2) + get_little(local + 28, 2);
  if (*out_offset > source->size || member->packed_size > source->size - *out_offset)
    return npz_damaged(error, "a member is not inside of the file");
  return MICA_OK;
}

static mica_status check_member(const zip_member *member, mica_error *error) {
  if ((member->flags & ZIP_ENCRYPTED) != 0)
    return mica_error_set(error, MICA_UNSUPPORTED, ".npz: encrypted members are not supported");
  if (member->method != ZIP_STORED && member->method != ZIP_DEFLATED)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          ".npz: compression method %" PRIu32 " is not supported", member->method);
  if (member->method == ZIP_STORED && member->size != member->packed_size)
    return npz_damaged(error, "a stored member has two sizes");
  if (member->size / MICA_INFLATE_LARGEST_RATIO > member->packed_size)
    return npz_damaged(error, "a member is larger than its data can unpack to");
  if (member->size > PTRDIFF_MAX || member->packed_size > PTRDIFF_MAX) return npz_memory(error);
  return MICA_OK;
}

/* The member's bytes in memory of their own, checked. */
static mica_status unpack_member(const mica_byte_source *source, const zip_member *member,
                                 uint8_t **out_bytes, mica_error *error) {
  *out_bytes = NULL;
  uint64_t offset = 0;
  mica_status status = check_member(member, error);
  if (status == MICA_OK) status = find_data(source, member, &offset, error);
  if (status != MICA_OK) return status;
  size_t size = (size_t)member->size, packed_size = (size_t)member->packed_size;
  uint8_t *bytes = mica_allocate(NULL, size), *packed = NULL;
  if (bytes == NULL) return npz_memory(error);
  if (member->method == ZIP_STORED) {
    status = mica_byte_source_read(source, offset, bytes, size, error);
  } else {
    packed = mica_allocate(NULL, packed_size);
    status = packed == NULL ? npz_memory(error)
                            : mica_byte_source_read(source, offset, packed, packed_size, error);
    if (status == MICA_OK) status = mica_inflate(packed, packed_size, bytes, size, error);
    mica_free(NULL, packed, packed_size);
  }
  if (status == MICA_OK && mica_crc32(0, bytes, size) != member->crc)
    status = npz_damaged(error, "a member's checksum is wrong");
  if (status == MICA_OK)
    *out_bytes = bytes;
  else
    mica_free(NULL, bytes, size);
  return status;
}

/* The name without ".npy" in the archive's arena; NULL in *out_name for members that are no
 * arrays. */
static mica_status member_name(mica_npz *npz, const uint8_t *bytes, size_t size, char **out_name,
                               mica_error *error) {
  *out_name = NULL;
  if (size < 4 || memcmp(bytes + size - 4, ".npy", 4) != 0) return MICA_OK;
  if (memchr(bytes, '\0', size) != NULL) return npz_damaged(error, "a name has a zero byte");
  char *name = mica_arena_copy(&npz->arena, bytes, size);
  if (name == NULL) return npz_memory(error);
  name[size - 4] = '\0';
  *out_name = name;
  return MICA_OK;
}

static mica_status npz_add_member(mica_npz *npz, const mica_byte_source *source,
                                  const zip_member *member, char *name, mica_error *error) {
  size_t needed = (size_t)npz->count + 1;
  if (!mica_grow(NULL, &npz->names, &npz->name_capacity, needed, sizeof(*npz->names)) ||
      !mica_grow(NULL, &npz->tensors, &npz->tensor_capacity, needed, sizeof(*npz->tensors)))
    return npz_memory(error);
  uint8_t *bytes;
  mica_tensor *tensor = NULL;
  mica_status status = unpack_member(source, member, &bytes, error);
  if (status == MICA_OK) {
    mica_error inner = {0};
    status = mica_npy_parse(bytes, (size_t)member->size, &tensor, &inner);
    mica_free(NULL, bytes, (size_t)member->size);
    if (status != MICA_OK)
      return mica_error_set(error, status, "array '%.200s': %s", name, inner.message);
  }
  if (status != MICA_OK) return status;
  npz->names[npz->count] = name;
  npz->tensors[npz->count++] = tensor;
  return MICA_OK;
}

static mica_status read_members(mica_npz *npz, const mica_byte_source *source,
                                const uint8_t *directory, size_t size, mica_error *error) {
  uint64_t packed_total = 0;
  for (size_t at = 0; at + ZIP_CENTRAL_SIZE <= size;) {
    const uint8_t *record = directory + at;
    if (get_little(record, 4) != zip_central_mark)
      return npz_damaged(error, "the directory is damaged");
    zip_member member = {.flags = (uint32_t)get_little(record + 8, 2),
                         .method = (uint32_t)get_little(record + 10, 2),
                         .crc = (uint32_t)get_little(record + 16, 4),
                         .packed_size = get_little(record + 20, 4),
                         .size = get_little(record + 24, 4),
                         .local_offset = get_little(record + 42, 4)};
    size_t name_size = (size_t)get_little(record + 28, 2),
           extra_size = (size_t)get_little(record + 30, 2);
    size_t comment_size = (size_t)get_little(record + 32, 2);
    at += ZIP_CENTRAL_SIZE;
    if (name_size + extra_size + comment_size > size - at ||
        !read_extra64(directory + at + name_size, extra_size, &member))
      return npz_damaged(error, "the directory is damaged");
    char *name;
    mica_status status = member_name(npz, directory + at, name_size, &name, error);
    at += name_size + extra_size + comment_size;
    if (status != MICA_OK) return status;
    if (name == NULL) continue;
    if (member.packed_size > source->size - packed_total)
      return npz_damaged(error, "members overlap");
    packed_total += member.packed_size;
    status = npz_add_member(npz, source, &member, name, error);
    if (status != MICA_OK) return status;
  }
  return MICA_OK;
}

static mica_status check_duplicates(const char *const *names, int64_t count, mica_status status,
                                    mica_error *error) {
  size_t entries = (size_t)count, bytes = entries * sizeof(*names);
  if (entries < 2) return MICA_OK;
  const char **sorted = mica_allocate(NULL, bytes);
  if (sorted == NULL) return npz_memory(error);
  memcpy(sorted, names, bytes);
  const char *duplicate = mica_find_duplicate(sorted, entries);
  mica_free(NULL, sorted, bytes);
  if (duplicate == NULL) return MICA_OK;
  return mica_error_set(error, status, ".npz: two arrays are named '%s'", duplicate);
}

static mica_status npz_read(const mica_byte_source *source, mica_npz **out_npz, mica_error *error) {
  *out_npz = NULL;
  zip_directory directory = {0};
  mica_status status = find_directory(source, &directory, error);
  if (status != MICA_OK) return status;
  size_t size = (size_t)directory.size;
  uint8_t *bytes = mica_allocate(NULL, size);
  mica_npz *npz = mica_allocate_zeroed(NULL, 1, sizeof(*npz));
  if (npz != NULL) mica_arena_init(&npz->arena, NULL);
  if (bytes == NULL || npz == NULL) status = npz_memory(error);
  if (status == MICA_OK)
    status = mica_byte_source_read(source, directory.offset, bytes, size, error);
  if (status == MICA_OK) status = read_members(npz, source, bytes, size, error);
  mica_free(NULL, bytes, size);
  if (status == MICA_OK) status = check_duplicates(npz->names, npz->count, MICA_DATA_LOSS, error);
  if (status == MICA_OK && npz->count > (int64_t)directory.count)
    status = npz_damaged(error, "the directory has more members than it announces");
  if (status == MICA_OK)
    *out_npz = npz;
  else
    mica_npz_destroy(npz);
  return status;
}

mica_status mica_npz_parse(const void *bytes, size_t byte_size, mica_npz **out_npz,
                           mica_error *error) {
  mica_byte_source source = {.bytes = bytes, .size = bytes == NULL ? 0 : byte_size};
  return npz_read(&source, out_npz, error);
}

mica_status mica_npz_load(const char *path, mica_npz **out_npz, mica_error *error) {
  *out_npz = NULL;
  mica_byte_source source;
  mica_status status = mica_byte_source_open(path, &source, error);
  if (status != MICA_OK) return status;
  mica_error inner = {0};
  status = npz_read(&source, out_npz, &inner);
  return mica_file_content_error(error, status, path, &inner);
}

int64_t mica_npz_count(const mica_npz *npz) { return npz == NULL ? 0 : npz->count; }

const char *mica_npz_name(const mica_npz *npz, int64_t index) {
  return index >= 0 && index < mica_npz_count(npz) ? npz->names[index] : NULL;
}

mica_tensor *mica_npz_tensor(const mica_npz *npz, int64_t index) {
  return index >= 0 && index < mica_npz_count(npz) ? npz->tensors[index] : NULL;
}

mica_tensor *mica_npz_find(const mica_npz *npz, const char *name) {
  for (int64_t i = 0; name != NULL && i < mica_npz_count(npz); i++)
    if (strcmp(npz->names[i], name) == 0) return npz->tensors[i];
  return NULL;
}

void mica_npz_destroy(mica_npz *npz) {
  if (npz == NULL) return;
  for (int64_t i = 0; i < npz->count; i++) mica_tensor_release(npz->tensors[i]);
  mica_free(NULL, npz->names, npz->name_capacity * sizeof(*npz->names));
  mica_free(NULL, npz->tensors, npz->tensor_capacity * sizeof(*npz->tensors));
  mica_arena_deinit(&npz->arena);
  mica_free(NULL, npz, sizeof(*npz));
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct {
  mica_npy_parts npy;
  uint32_t crc;
  uint64_t size, local_offset;
  size_t name_size; /* with ".npy" */
  const char *name;
} npz_output;

/* Sizes that do not fit 32 bits go into an extra field. */
static bool needs_64(uint64_t value) { return value >= UINT32_MAX; }
static uint64_t low_32(uint64_t value) { return needs_64(value) ? UINT32_MAX : value; }

/* The fields that both headers of a member share: from the version to the extra field's size. */
static uint8_t *put_common(uint8_t *at, const npz_output *output, size_t extra_size) {
  at = put_little(at, needs_64(output->size) || needs_64(output->local_offset) ? 45 : 20, 2);
  at = put_little(at, ZIP_UTF8_NAME, 2);
  at = put_little(at, ZIP_STORED, 2);
  at = put_little(at, 0, 2);
  at = put_little(at, ZIP_DATE, 2);
  at = put_little(at, output->crc, 4);
  at = put_little(at, low_32(output->size), 4);
  at = put_little(at, low_32(output->size), 4);
  at = put_little(at, output->name_size, 2);
  return put_little(at, extra_size, 2);
}

static uint8_t *put_name(uint8_t *at, const npz_output *output) {
  memcpy(at, output->name, output->name_size - 4);
  memcpy(at + output->name_size - 4, ".npy", 4);
  return at + output->name_size;
}

static uint8_t *put_extra64(uint8_t *at, const npz_output *output, bool with_offset) {
  size_t values = (needs_64(output->size) ? 2u : 0u) + (with_offset ? 1u : 0u);
  if (values == 0) return at;
  at = put_little(at, ZIP_EXTRA64, 2);
  at = put_little(at, 8 * values, 2);
  for (int i = 0; i < 2 && needs_64(output->size); i++) at = put_little(at, output->size, 8);
  return with_offset ? put_little(at, output->local_offset, 8) : at;
}

static uint8_t *put_local_header(uint8_t *at, const npz_output *output) {
  at = put_little(at, zip_local_mark, 4);
  at = put_common(at, output, needs_64(output->size) ? 20 : 0);
  at = put_name(at, output);
  return put_extra64(at, output, false);
}

static uint8_t *put_central_header(uint8_t *at, const npz_output *output) {
  bool far = needs_64(output->local_offset);
  size_t values = (needs_64(output->size) ? 2u : 0u) + (far ? 1u : 0u);
  at = put_little(at, zip_central_mark, 4);
  at = put_little(at, 45, 2);
  at = put_common(at, output, values == 0 ? 0 : 4 + 8 * values);
  at = put_little(at, 0, 2 + 2 + 2); /* no comment, first disk, binary */
  at = put_little(at, 0, 4);
  at = put_little(at, low_32(output->local_offset), 4);
  at = put_name(at, output);
  return put_extra64(at, output, far);
}

static uint8_t *put_end(uint8_t *at, uint64_t count, uint64_t offset, uint64_t size) {
  if (needs_64(offset) || needs_64(size) || count >= UINT16_MAX) {
    uint64_t end64 = offset + size;
    at = put_little(at, zip_end64_mark, 4);
    at = put_little(at, ZIP_END64_SIZE - 12, 8);
    at = put_little(at, 45, 2);
    at = put_little(at, 45, 2);
    at = put_little(at, 0, 8);
    at = put_little(at, count, 8);
    at = put_little(at, count, 8);
    at = put_little(at, size, 8);
    at = put_little(at, offset, 8);
    at = put_little(at, zip_locator_mark, 4);
    at = put_little(at, 0, 4);
    at = put_little(at, end64, 8);
    at = put_little(at, 1, 4);
  }
  uint64_t low_count = count >= UINT16_MAX ? UINT16_MAX : count;
  at = put_little(at, zip_end_mark, 4);
  at = put_little(at, 0, 4);
  at = put_little(at, low_count, 2);
  at = put_little(at, low_count, 2);
  at = put_little(at, low_32(size), 4);
  at = put_little(at, low_32(offset), 4);
  return put_little(at, 0, 2);
}

/* Lays the archive out: `headers` gets all headers, `parts` the pieces of the file in order. */
static size_t npz_lay_out(npz_output *outputs, int64_t count, uint8_t *headers,
                          mica_file_part *parts) {
  uint64_t offset = 0;
  size_t pieces = 0;
  uint8_t *at = headers;
  for (int64_t i = 0; i < count; i++) {
    npz_output *output = &outputs[i];
    output->local_offset = offset;
    uint8_t *end = put_local_header(at, output);
    parts[pieces++] = (mica_file_part){at, (size_t)(end - at)};
    parts[pieces++] = (mica_file_part){output->npy.header, output->npy.header_size};
    parts[pieces++] = (mica_file_part){output->npy.body, output->npy.body_size};
    offset += (uint64_t)(end - at) + output->size;
    at = end;
  }
  uint8_t *directory = at;
  for (int64_t i = 0; i < count; i++) at = put_central_header(at, &outputs[i]);
  at = put_end(at, (uint64_t)count, offset, (uint64_t)(at - directory));
  parts[pieces++] = (mica_file_part){directory, (size_t)(at - directory)};
  return pieces;
}

static mica_status check_names(const char *const *names, int64_t count, size_t *out_bytes,
                               mica_error *error) {
  size_t total = 0;
  for (int64_t i = 0; i < count; i++) {
    if (names[i] == NULL || names[i][0] == '\0' || strlen(names[i]) > UINT16_MAX - 4)
      return mica_error_set(error, MICA_INVALID,
                            "the name of array %" PRId64 " is empty or too long", i);
    total += strlen(names[i]) + 4;
  }
  *out_bytes = total;
  return check_duplicates(names, count, MICA_INVALID, error);
}

mica_status mica_npz_save(const char *path, const char *const *names, mica_tensor *const *tensors,
                          int64_t count, mica_error *error) {
  if (path == NULL || count < 0 || (count > 0 && (names == NULL || tensors == NULL)))
    return mica_error_set(error, MICA_INVALID, "the path, the names or the tensors are NULL");
  size_t name_bytes = 0;
  mica_status status = check_names(names, count, &name_bytes, error);
  if (status != MICA_OK) return status;
  mica_arena arena;
  mica_arena_init(&arena, NULL);
  size_t entries = (size_t)count;
  size_t header_bytes = entries * (ZIP_LOCAL_SIZE + ZIP_CENTRAL_SIZE + 20 + 28) + 2 * name_bytes +
                        ZIP_END_SIZE + ZIP_END64_SIZE + ZIP_LOCATOR_SIZE;
  npz_output *outputs = mica_arena_allocate_zeroed(&arena, entries, sizeof(*outputs));
  uint8_t *headers = mica_arena_allocate(&arena, header_bytes);
  mica_file_part *parts = mica_arena_allocate_zeroed(&arena, 3 * entries + 1, sizeof(*parts));
  if (outputs == NULL || headers == NULL || parts == NULL) status = npz_memory(error);
  int64_t made = 0;
  for (; made < count && status == MICA_OK; made++) {
    npz_output *output = &outputs[made];
    status = mica_npy_parts_make(tensors[made], &output->npy, error);
    output->name = names[made];
    output->name_size = strlen(names[made]) + 4;
    output->size = (uint64_t)output->npy.header_size + output->npy.body_size;
    if (status == MICA_OK) {
      output->crc = mica_crc32(0, output->npy.header, output->npy.header_size);
      output->crc = mica_crc32(output->crc, output->npy.body, output->npy.body_size);
    }
  }
  if (status == MICA_OK) {
    size_t pieces = npz_lay_out(outputs, count, headers, parts);
    status = mica_file_status(mica_file_write_parts(path, parts, pieces), path, "write", error);
  }
  while (made-- > 0) mica_npy_parts_free(&outputs[made].npy);
  mica_arena_deinit(&arena);
  return status;
}
