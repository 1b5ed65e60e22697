/* SPDX-License-Identifier: Apache-2.0 */
/* npy.h: what the .npy and .npz code share: bytes that lie in memory or in a file, and both halves
 * of a .npy file, its header and its body. */
#ifndef MICA_CORE_NPY_H
#define MICA_CORE_NPY_H
#include "mica/core.h"

/* `path` or `bytes` is set. */
typedef struct {
  const char *path;
  const uint8_t *bytes;
  uint64_t size;
} mica_byte_source;

mica_status mica_byte_source_open(const char *path, mica_byte_source *out_source,
                                  mica_error *error);
/* Reads all of [offset, offset + size), or fails with MICA_DATA_LOSS when it is not inside. */
mica_status mica_byte_source_read(const mica_byte_source *source, uint64_t offset, void *out,
                                  size_t size, mica_error *error);

mica_status mica_npy_read(const mica_byte_source *source, mica_tensor **out_tensor,
                          mica_error *error);

enum { MICA_NPY_HEADER_LIMIT = 512 }; /* of what is written */
/* A tensor as the two parts of a .npy file. The body may belong to the tensor or be a copy. */
typedef struct {
  char header[MICA_NPY_HEADER_LIMIT];
  size_t header_size;
  const void *body;
  size_t body_size;
  void *copy; /* NULL, or body_size bytes to free */
} mica_npy_parts;
mica_status mica_npy_parts_make(const mica_tensor *tensor, mica_npy_parts *out_parts,
                                mica_error *error);
void mica_npy_parts_free(mica_npy_parts *parts);

/* Fails with the path and the system's reason for `code`, an errno value; MICA_OK for 0. */
mica_status mica_file_status(int code, const char *path, const char *verb, mica_error *error);
/* What is wrong in a file, with its name in front; MICA_OK passes. */
mica_status mica_file_content_error(mica_error *error, mica_status status, const char *path,
                                    const mica_error *inner);

#endif
