/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c: batches joined to whole tensors: parts are kept until their rows are known, so that each is copied once. */
#include "core/tensor.h"
#include "data/dataset.h"

#include <inttypes.h>

mica_tensor *mica_tensor_on_host(mica_tensor *tensor, mica_error *error) {
  mica_tensor *copy = NULL;
  if (tensor == NULL || tensor->storage != MICA_TENSOR_DEVICE) return mica_tensor_retain(tensor);
  if (mica_tensor_create_uninitialized(NULL, tensor->type, &copy, error) != MICA_OK) return NULL;
  if (mica_tensor_read(tensor, mica_tensor_mutable_data(copy), tensor->byte_size, error) == MICA_OK)
    return copy;
  mica_tensor_release(copy);
  return NULL;
}

mica_status mica_row_parts_add(mica_row_parts *parts, mica_tensor *part, const char *what,
                               mica_error *error) {
  mica_type type = mica_tensor_type(part), first = type;
  bool fits = type.shape.rank > 0 && mica_dtype_bits(type.dtype) >= 8;
  if (parts->count > 0) { /* alike but for the rows */
    first = mica_tensor_type(parts->part[0]);
    if (fits) first.shape.dim[0] = type.shape.dim[0];
  }
  if (!fits || !mica_type_equal(first, type) ||
      !mica_i64_add(parts->rows, type.shape.dim[0], &parts->rows)) {
    char text[160];
    mica_type_format(type, text, sizeof text);
    return mica_error_set(error, MICA_INVALID,
                          "%s: expected [rows, ...], alike but for the rows, not %s", what, text);
  }
  if (!mica_grow(NULL, &parts->part, &parts->capacity, parts->count + 1u, sizeof(mica_tensor *)))
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "%s: out of memory", what);
  mica_tensor *here = mica_tensor_on_host(part, error); /* a device's memory is not to fill up */
  if (here == NULL) return MICA_OUT_OF_MEMORY;
  parts->part[parts->count++] = here;
  return MICA_OK;
}

mica_status mica_row_parts_join(mica_row_parts *parts, mica_tensor **out, mica_error *error) {
  *out = NULL;
  if (parts->count == 0) return mica_error_set(error, MICA_INVALID, "an epoch without batches");
  mica_type type = mica_tensor_type(parts->part[0]);
  type.shape.dim[0] = parts->rows;
  mica_status status = mica_tensor_create_uninitialized(NULL, type, out, error);
  char *at = status == MICA_OK ? mica_tensor_mutable_data(*out) : NULL;
  for (uint32_t i = 0; i < parts->count && status == MICA_OK; i++) {
    size_t bytes = mica_tensor_byte_size(parts->part[i]);
    if (bytes > 0) status = mica_tensor_read(parts->part[i], at, bytes, error);
    at += bytes;
    mica_tensor_release(parts->part[i]);
    parts->part[i] = NULL;
  }
  if (status == MICA_OK) return MICA_OK;
  mica_tensor_release(*out);
  *out = NULL;
  return status;
}

void mica_row_parts_clear(mica_row_parts *parts) {
  for (uint32_t i = 0; i < parts->count; i++) mica_tensor_release(parts->part[i]);
  mica_free(NULL, parts->part, parts->capacity * sizeof(mica_tensor *));
  *parts = (mica_row_parts){0};
}

mica_status mica_dataset_collect(mica_dataset *dataset, mica_batch *out, mica_error *error) {
  if (out == NULL) return mica_error_set(error, MICA_INVALID, "collect: there is no place for it");
  mica_batch_clear(out);
  if (dataset == NULL) return mica_error_set(error, MICA_INVALID, "collect: the data set is NULL");
  mica_row_parts parts[MICA_BATCH_TENSORS] = {{0}};
  mica_batch batch = {0};
  int32_t count = -1;
  mica_status status = mica_dataset_begin(dataset, 0, error);
  while (status == MICA_OK) {
    status = mica_dataset_next(dataset, &batch, error);
    if (status != MICA_OK || batch.count == 0) break;
    if (count >= 0 && batch.count != count)
      status = mica_error_set(error, MICA_INVALID,
                              "collect: batches of %" PRId32 " and of %" PRId32 " tensors", count,
                              batch.count);
    count = batch.count;
    for (int32_t i = 0; i < batch.count && status == MICA_OK; i++)
      status = mica_row_parts_add(&parts[i], batch.tensor[i], "collect", error);
  }
  mica_batch_clear(&batch);
  if (status == MICA_OK && count < 0)
    status = mica_error_set(error, MICA_INVALID, "an epoch without batches");
  for (int32_t i = 0; i < count && status == MICA_OK; i++) {
    status = mica_row_parts_join(&parts[i], &out->tensor[i], error);
    if (status == MICA_OK) out->count = i + 1;
  }
  for (int32_t i = 0; i < MICA_BATCH_TENSORS; i++) mica_row_parts_clear(&parts[i]);
  if (status != MICA_OK) mica_batch_clear(out);
  return status;
}
