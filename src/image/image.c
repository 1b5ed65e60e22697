/* SPDX-License-Identifier: Apache-2.0 */
/* image.c: files and bytes of either format to tensors and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_internal.h"

static const int64_t largest_file = (int64_t)1 << 28, largest_image = (int64_t)1 << 26;

static mica_status check_options(const mica_image_options *o, mica_error *error) {
  bool channels = o->channels == 0 || o->channels == 1 || o->channels == 3 || o->channels == 4;
  bool size = (o->size[0] == 0 && o->size[1] == 0) ||
              (o->size[0] > 0 && o->size[1] > 0 && o->size[0] <= 1 << 14 && o->size[1] <= 1 << 14);
  if (channels && size && o->largest >= 0) return MICA_OK;
  return mica_error_set(error, MICA_INVALID,
                        "image: channels are 0, 1, 3 or 4, both sizes 0 or 1 to 16384");
}

mica_status mica_image_parse(const void *bytes, size_t byte_size, const mica_image_options *options,
                             mica_tensor **out_image, mica_error *error) {
  static const mica_image_options plain = {.struct_size = sizeof plain};
  static const uint8_t png[] = {0x89, 'P', 'N', 'G'}, jpeg[] = {0xff, 0xd8, 0xff};
  *out_image = NULL;
  if (bytes == NULL) return mica_error_set(error, MICA_INVALID, "image: the bytes are NULL");
  if (options == NULL) options = &plain;
  mica_status status = check_options(options, error);
  if (status != MICA_OK) return status;
  int64_t largest = options->largest > 0 && options->largest < (int64_t)1 << 34 ? options->largest
                                                                                : largest_image;
  image_pixels image = {0};
  if (byte_size >= 4 && memcmp(bytes, png, 4) == 0)
    status = mica_image_decode_png(bytes, byte_size, options->channels, largest, &image, error);
  else if (byte_size >= 3 && memcmp(bytes, jpeg, 3) == 0)
    status = mica_image_decode_jpeg(bytes, byte_size, options->channels, largest, &image, error);
  else
    status = mica_error_set(error, MICA_UNSUPPORTED, "image: neither PNG nor JPEG");
  if (status == MICA_OK && options->size[0] > 0)
    status = mica_image_resize(&image, options->size[0], options->size[1], error);
  if (status == MICA_OK)
    status = mica_tensor_create(
        NULL, (mica_type){MICA_U8, MICA_DIMS(image.height, image.width, image.channels)},
        image.pixels, out_image, error);
  free(image.pixels);
  return status;
}

mica_status mica_image_read_file(const char *path, uint8_t **out_bytes, size_t *out_size,
                                 mica_error *error) {
  *out_bytes = NULL;
  FILE *file = fopen(path, "rb");
  mica_status status = MICA_OK;
  long size = 0;
  if (file == NULL)
    return mica_error_set(error, errno == ENOENT ? MICA_NOT_FOUND : MICA_IO,
                          "cannot read '%.500s': %s", path,
                          errno == ENOENT ? "No such file or directory" : "it cannot be opened");
  if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
    status = mica_error_set(error, MICA_IO, "cannot read '%.500s'", path);
  else if (size > largest_file)
    status = mica_error_set(error, MICA_DATA_LOSS, "'%.500s' has %ld bytes, above the limit", path,
                            size);
  else if ((*out_bytes = malloc((size_t)size + 1)) == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "image: out of memory");
  else if (fread(*out_bytes, 1, (size_t)size, file) != (size_t)size)
    status = mica_error_set(error, MICA_IO, "cannot read '%.500s' to its end", path);
  fclose(file);
  *out_size = (size_t)size;
  if (status == MICA_OK) return MICA_OK;
  free(*out_bytes);
  *out_bytes = NULL;
  return status;
}

mica_status mica_image_load(const char *path, const mica_image_options *options,
                            mica_tensor **out_image, mica_error *error) {
  *out_image = NULL;
  uint8_t *bytes;
  size_t size;
  if (path == NULL) return mica_error_set(error, MICA_INVALID, "image: the path is NULL");
  mica_status status = mica_image_read_file(path, &bytes, &size, error);
  if (status != MICA_OK) return status;
  mica_error inner = {0};
  status = mica_image_parse(bytes, size, options, out_image, &inner);
  if (status != MICA_OK) mica_error_set(error, status, "%.500s: %.400s", path, inner.message);
  free(bytes);
  return status;
}

mica_status mica_image_save(const char *path, const mica_tensor *image, int32_t quality,
                            mica_error *error) {
  mica_type type = mica_tensor_type(image);
  int64_t channels = type.shape.rank == 3 ? type.shape.dim[2] : 0;
  bool good = path != NULL && type.dtype == MICA_U8 &&
              (channels == 1 || channels == 3 || (channels == 4 && quality == 0)) && quality >= 0 &&
              quality <= 100 && type.shape.dim[0] > 0 && type.shape.dim[1] > 0 &&
              type.shape.dim[0] < 65500 && type.shape.dim[1] < 65500;
  if (!good)
    return mica_error_set(
        error, MICA_INVALID,
        "image: u8 [height, width, 1, 3 or 4 (PNG)] and a quality of 0 to 100 are needed");
  size_t byte_size = mica_tensor_byte_size(image), size = 0;
  image_pixels pixels = {type.shape.dim[0], type.shape.dim[1], channels, malloc(byte_size)};
  uint8_t *bytes = NULL;
  mica_status status = pixels.pixels != NULL
                           ? mica_tensor_read(image, pixels.pixels, byte_size, error)
                           : mica_error_set(error, MICA_OUT_OF_MEMORY, "image: out of memory");
  if (status == MICA_OK)
    status = quality > 0 ? mica_image_encode_jpeg(&pixels, quality, &bytes, &size, error)
                         : mica_image_encode_png(&pixels, &bytes, &size, error);
  if (status == MICA_OK) {
    FILE *file = fopen(path, "wb");
    bool written = file != NULL && fwrite(bytes, 1, size, file) == size;
    if (file != NULL && fclose(file) != 0) written = false;
    if (!written) status = mica_error_set(error, MICA_IO, "cannot write '%.500s'", path);
  }
  free(bytes);
  free(pixels.pixels);
  return status;
}

mica_status mica_image_map(void *user, mica_map_position position, const mica_batch *in,
                           mica_batch *out, mica_error *error) {
  (void)position;
  mica_type type = in->count > 0 ? mica_tensor_type(in->tensor[0]) : (mica_type){0};
  if (type.dtype != MICA_U8 || type.shape.rank != 1)
    return mica_error_set(error, MICA_INVALID,
                          "image: tensor 0 has to be the bytes of a file, u8 [n]");
  mica_status status =
      mica_image_parse(mica_tensor_data(in->tensor[0]), mica_tensor_byte_size(in->tensor[0]), user,
                       &out->tensor[0], error);
  if (status != MICA_OK) return status;
  out->count = in->count;
  for (int32_t i = 1; i < in->count; i++) out->tensor[i] = mica_tensor_retain(in->tensor[i]);
  return MICA_OK;
}
