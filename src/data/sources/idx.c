/* SPDX-License-Identifier: Apache-2.0 */
/* idx.c: IDX files, the format of MNIST (LeCun, "The MNIST database", its section on file formats):
 * two zero
 * bytes, a type, a rank, the sizes as big-endian words, the elements in big-endian. gzip (RFC 1952)
 * around it
 * is unpacked. Every size is checked against what the file holds before memory is taken for it. */
#include <string.h>

#include "core/inflate.h"
#include "core/memory.h"
#include "core/tensor.h"
#include "mica/data.h"
#include "platform/platform.h"

static uint32_t big_endian(const unsigned char *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static mica_dtype idx_dtype(unsigned char code) {
  switch (code) {
    case 0x08: return MICA_U8;
    case 0x09: return MICA_I8;
    case 0x0b: return MICA_I16;
    case 0x0c: return MICA_I32;
    case 0x0d: return MICA_F32;
    case 0x0e: return MICA_F64;
    default: return MICA_DTYPE_NONE;
  }
}

static mica_status parse_plain(const unsigned char *bytes, size_t size, mica_tensor **out,
                               mica_error *error) {
  if (size < 4 || bytes[0] || bytes[1])
    return mica_error_set(error, MICA_DATA_LOSS,
                          "idx: the file does not begin as an IDX file does");
  mica_type type = {.dtype = idx_dtype(bytes[2]), .shape = {.rank = bytes[3]}};
  if (!type.dtype)
    return mica_error_set(error, MICA_DATA_LOSS, "idx: unknown element type 0x%02x", bytes[2]);
  if (type.shape.rank < 1 || type.shape.rank > MICA_MAX_RANK)
    return mica_error_set(error, MICA_DATA_LOSS, "idx: rank %d: expected 1 to %d", type.shape.rank,
                          MICA_MAX_RANK);
  size_t head = 4 + 4 * (size_t)type.shape.rank, body;
  if (size < head)
    return mica_error_set(error, MICA_DATA_LOSS, "idx: the file ends within its header");
  for (int32_t i = 0; i < type.shape.rank; i++) type.shape.dim[i] = big_endian(bytes + 4 + 4 * i);
  if (!mica_type_byte_size(type, &body) || body != size - head)
    return mica_error_set(
        error, MICA_DATA_LOSS,
        "idx: the header asks for another number of elements than the %zu bytes that follow",
        size - head);
  mica_status status = mica_tensor_create(NULL, type, NULL, out, error);
  if (status != MICA_OK) return status;
  unsigned char *data = mica_tensor_mutable_data(*out);
  size_t width = (size_t)mica_dtype_bits(type.dtype) / 8;
  if (body) memcpy(data, bytes + head, body);
  const uint16_t probe = 1;
  if (width > 1 && *(const unsigned char *)&probe)
    for (size_t i = 0; i < body; i += width)
      for (size_t k = 0; k < width / 2; k++) {
        unsigned char kept = data[i + k];
        data[i + k] = data[i + width - 1 - k];
        data[i + width - 1 - k] = kept;
      }
  return MICA_OK;
}

/* The DEFLATE stream inside a gzip file of one member; false when it is none. */
static bool gzip_stream(const unsigned char *b, size_t size, size_t *out_begin, size_t *out_size) {
  if (size < 18 || b[2] != 8 || b[3] & 0xe0) return false;
  size_t at = 10;
  if (b[3] & 4) { /* extra field */
    if (size - at < 2) return false;
    size_t extra = (size_t)b[at] | (size_t)b[at + 1] << 8;
    if (size - at - 2 < extra) return false;
    at += 2 + extra;
  }
  for (int text = 8; text <= 16; text *= 2) { /* name, comment */
    if (!(b[3] & text)) continue;
    const unsigned char *end = memchr(b + at, 0, size - at);
    if (!end) return false;
    at = (size_t)(end - b) + 1;
  }
  if (b[3] & 2) at += 2;
  if (at > size - 8) return false;
  *out_begin = at;
  *out_size = size - 8 - at;
  return true;
}

static mica_status parse_any(const unsigned char *bytes, size_t size, char sha256[65],
                             mica_tensor **out, mica_error *error) {
  *out = NULL;
  if (!bytes) return mica_error_set(error, MICA_INVALID, "idx: the bytes are NULL");
  if (size < 2 || bytes[0] != 0x1f || bytes[1] != 0x8b) {
    if (sha256) mica_sha256(bytes, size, sha256);
    return parse_plain(bytes, size, out, error);
  }
  size_t begin, packed;
  if (!gzip_stream(bytes, size, &begin, &packed))
    return mica_error_set(error, MICA_DATA_LOSS, "idx: the gzip header is broken");
  const unsigned char *tail = bytes + size - 8;
  uint32_t crc = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
                 (uint32_t)tail[3] << 24;
  size_t plain =
      (size_t)tail[4] | (size_t)tail[5] << 8 | (size_t)tail[6] << 16 | (size_t)tail[7] << 24;
  if (plain / MICA_INFLATE_LARGEST_RATIO > packed)
    return mica_error_set(error, MICA_DATA_LOSS, "idx: the gzip file claims %zu bytes from %zu",
                          plain, packed);
  unsigned char *unpacked = mica_allocate(NULL, plain);
  if (!unpacked) return mica_error_set(error, MICA_OUT_OF_MEMORY, "idx: out of memory");
  mica_status status = mica_inflate(bytes + begin, packed, unpacked, plain, error);
  if (status == MICA_OK && mica_crc32(0, unpacked, plain) != crc)
    status =
        mica_error_set(error, MICA_DATA_LOSS, "idx: the checksum of the gzip file does not match");
  if (status == MICA_OK && sha256) mica_sha256(unpacked, plain, sha256);
  if (status == MICA_OK) status = parse_plain(unpacked, plain, out, error);
  mica_free(NULL, unpacked, plain);
  return status;
}

mica_status mica_idx_parse(const void *bytes, size_t byte_size, mica_tensor **out_tensor,
                           mica_error *error) {
  return parse_any(bytes, byte_size, NULL, out_tensor, error);
}

mica_status mica_idx_load_checked(const char *path, char out_sha256[65], mica_tensor **out_tensor,
                                  mica_error *error) {
  *out_tensor = NULL;
  if (out_sha256) out_sha256[0] = 0;
  uint64_t size = 0;
  char why[128];
  int code = path ? mica_file_size(path, &size) : 2;
  unsigned char *bytes = NULL;
  if (!code && (size > SIZE_MAX || !(bytes = mica_allocate(NULL, (size_t)size))))
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "%s: out of memory for its %llu bytes", path,
                          (unsigned long long)size);
  if (!code) code = mica_file_read(path, 0, bytes, (size_t)size);
  mica_status status;
  if (code) {
    status = mica_error_set(error, MICA_IO, "%s: %s", path ? path : "NULL",
                            mica_errno_text(code, why, sizeof why));
  } else {
    mica_error inner = {0};
    status = parse_any(bytes, (size_t)size, out_sha256, out_tensor, &inner);
    if (status != MICA_OK) mica_error_set(error, status, "%s: %.900s", path, inner.message);
  }
  mica_free(NULL, bytes, (size_t)size);
  return status;
}

mica_status mica_idx_load(const char *path, mica_tensor **out_tensor, mica_error *error) {
  return mica_idx_load_checked(path, NULL, out_tensor, error);
}
