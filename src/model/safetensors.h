/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors.h: the header of a safetensors file as a table. */
#ifndef MICA_MODEL_SAFETENSORS_H
#define MICA_MODEL_SAFETENSORS_H
#include "mica/model.h"

typedef struct {
  const char *name;
  mica_type type;      /* of Mica; dtype none: not supported, and `stored` says why */
  char stored[16];     /* the file's dtype, cut off */
  uint64_t begin, end; /* within the data */
} mica_safetensors_entry;

typedef struct {
  mica_safetensors_entry *entries; /* in the order of their bytes */
  uint32_t *by_name;               /* indices of entries, sorted by name */
  mica_named_text *metadata;       /* in the file's order */
  size_t count, metadata_count;
  char *texts; /* where names and metadata lie */
  size_t texts_size;
} mica_safetensors_header;

/* `data_size`: the bytes behind the header. Whatever it gives satisfies the format's rules. */
mica_status mica_safetensors_header_parse(const char *text, size_t size, uint64_t data_size,
                                          mica_safetensors_header *out, mica_error *error);
void mica_safetensors_header_deinit(mica_safetensors_header *header);

/* The whole file's bytes, as long as the file is open. */
const void *mica_safetensors_bytes(const mica_safetensors *file, size_t *out_size);

/* Row i of the format's dtypes; NULL behind the last. */
typedef struct {
  const char *name;
  mica_dtype dtype;
  int32_t bits;
} mica_safetensors_dtype;
const mica_safetensors_dtype *mica_safetensors_dtype_row(size_t index);

/* Sorts `count` indices so that before(context, a, b) never holds for a later and an earlier one: a heap sort,
 * n log n whatever the file's author chose. */
void mica_sort_indices(uint32_t *indices, size_t count,
                       bool (*before)(const void *context, uint32_t a, uint32_t b),
                       const void *context);

#endif
