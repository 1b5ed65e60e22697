/* SPDX-License-Identifier: Apache-2.0 */
/* cifar.c: CIFAR-10 and CIFAR-100 in their binary form: rows of label bytes and three planes of 1024 bytes. */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/npy.h"
#include "core/tensor.h"
#include "mica/data.h"
#include "platform/platform.h"

enum { CIFAR_PIXELS = 32 * 32 };

static mica_status cifar_rows(size_t size, int32_t label_bytes, int64_t *out_rows,
                              mica_error *error) {
  size_t row = 3 * CIFAR_PIXELS + (size_t)label_bytes;
  if (size % row != 0)
    return mica_error_set(error, MICA_DATA_LOSS,
                          "cifar: %zu bytes are no whole number of rows of %zu", size, row);
  *out_rows = (int64_t)(size / row);
  return MICA_OK;
}

static mica_status make_cifar(int64_t rows, int32_t label_bytes, mica_tensor **images,
                              mica_tensor **labels, mica_error *error) {
  mica_type image_type = {MICA_U8, MICA_DIMS(rows, 32, 32, 3)},
            label_type = {MICA_I32, MICA_DIMS(rows, 2)};
  if (label_bytes == 1) label_type.shape = MICA_DIMS(rows);
  mica_status status = mica_tensor_create(NULL, image_type, NULL, images, error);
  return status == MICA_OK ? mica_tensor_create(NULL, label_type, NULL, labels, error) : status;
}

static mica_status fill_cifar(const uint8_t *bytes, int64_t rows, int32_t label_bytes,
                              mica_tensor *images, mica_tensor *labels, int64_t first,
                              mica_error *error) {
  uint8_t *pixels = mica_tensor_mutable_data(images);
  int32_t *numbers = mica_tensor_mutable_data(labels);
  pixels += first * 3 * CIFAR_PIXELS;
  numbers += first * label_bytes;
  for (int64_t row = 0; row < rows; row++) {
    for (int32_t i = 0; i < label_bytes; i++) {
      int limit = label_bytes == 1 ? 9 : i == 0 ? 19 : 99;
      if (*bytes > limit)
        return mica_error_set(error, MICA_DATA_LOSS,
                              "cifar: row %" PRId64 " has the label %d, above %d", row, *bytes,
                              limit);
      *numbers++ = *bytes++;
    }
    for (int pixel = 0; pixel < CIFAR_PIXELS; pixel++)
      for (int channel = 0; channel < 3; channel++)
        *pixels++ = bytes[channel * CIFAR_PIXELS + pixel];
    bytes += 3 * CIFAR_PIXELS;
  }
  return MICA_OK;
}

static mica_status check_cifar(int32_t label_bytes, mica_tensor **images, mica_tensor **labels,
                               mica_error *error) {
  *images = *labels = NULL;
  if (label_bytes != 1 && label_bytes != 2)
    return mica_error_set(error, MICA_INVALID, "cifar: 1 label byte (CIFAR-10) or 2 (CIFAR-100)");
  return MICA_OK;
}

static mica_status finish_cifar(mica_status status, mica_tensor **images, mica_tensor **labels) {
  if (status == MICA_OK) return MICA_OK;
  mica_tensor_release(*images), mica_tensor_release(*labels);
  *images = *labels = NULL;
  return status;
}

mica_status mica_cifar_parse(const void *bytes, size_t byte_size, int32_t label_bytes,
                             mica_tensor **out_images, mica_tensor **out_labels,
                             mica_error *error) {
  int64_t rows = 0;
  mica_status status = check_cifar(label_bytes, out_images, out_labels, error);
  if (status == MICA_OK && bytes == NULL && byte_size > 0)
    status = mica_error_set(error, MICA_INVALID, "cifar: the bytes are NULL");
  if (status == MICA_OK) status = cifar_rows(byte_size, label_bytes, &rows, error);
  if (status == MICA_OK) status = make_cifar(rows, label_bytes, out_images, out_labels, error);
  if (status == MICA_OK)
    status = fill_cifar(bytes, rows, label_bytes, *out_images, *out_labels, 0, error);
  return finish_cifar(status, out_images, out_labels);
}

mica_status mica_cifar_load(const char *const *paths, int32_t path_count, int32_t label_bytes,
                            mica_tensor **out_images, mica_tensor **out_labels, mica_error *error) {
  int64_t total = 0, rows = 0, first = 0;
  mica_status status = check_cifar(label_bytes, out_images, out_labels, error);
  if (status == MICA_OK && (paths == NULL || path_count < 1))
    status = mica_error_set(error, MICA_INVALID, "cifar: there is no path");
  for (int32_t i = 0; i < path_count && status == MICA_OK; i++) {
    uint64_t size = 0;
    mica_error inner = {0};
    if (paths[i] == NULL) return mica_error_set(error, MICA_INVALID, "cifar: a path is NULL");
    status = mica_file_status(mica_file_size(paths[i], &size), paths[i], "read", error);
    if (status == MICA_OK && size > SIZE_MAX / 2)
      status = mica_error_set(error, MICA_DATA_LOSS, "%.500s: too large", paths[i]);
    if (status == MICA_OK &&
        (status = cifar_rows((size_t)size, label_bytes, &rows, &inner)) != MICA_OK)
      mica_error_set(error, status, "%.400s: %.500s", paths[i], inner.message);
    total += rows;
  }
  if (status == MICA_OK) status = make_cifar(total, label_bytes, out_images, out_labels, error);
  for (int32_t i = 0; i < path_count && status == MICA_OK; i++) {
    const void *bytes = NULL;
    size_t size = 0;
    mica_error inner = {0};
    status = mica_file_status(mica_file_map(paths[i], &bytes, &size), paths[i], "read", error);
    if (status != MICA_OK) break;
    status = cifar_rows(size, label_bytes, &rows, &inner);
    if (status == MICA_OK && rows > total - first)
      status = mica_error_set(&inner, MICA_DATA_LOSS, "the file grew while it was read");
    if (status == MICA_OK)
      status = fill_cifar(bytes, rows, label_bytes, *out_images, *out_labels, first, &inner);
    if (status != MICA_OK) mica_error_set(error, status, "%.400s: %.500s", paths[i], inner.message);
    mica_file_unmap(bytes, size);
    first += rows;
  }
  return finish_cifar(status, out_images, out_labels);
}
