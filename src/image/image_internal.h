/* SPDX-License-Identifier: Apache-2.0 */
/* image_internal.h: pixels between the codecs and tensors. */
#ifndef MICA_IMAGE_INTERNAL_H
#define MICA_IMAGE_INTERNAL_H
#include "mica/image.h"

typedef struct {
  int64_t height, width, channels;
  uint8_t *pixels; /* from malloc */
} image_pixels;

/* Each fills *out, whose pixels the caller frees, also after a failure. channels: 0 for the file's own. */
mica_status mica_image_decode_png(const uint8_t *bytes, size_t size, int32_t channels,
                                  int64_t largest, image_pixels *out, mica_error *error);
mica_status mica_image_decode_jpeg(const uint8_t *bytes, size_t size, int32_t channels,
                                   int64_t largest, image_pixels *out, mica_error *error);
mica_status mica_image_encode_png(const image_pixels *image, uint8_t **out_bytes, size_t *out_size,
                                  mica_error *error);
mica_status mica_image_encode_jpeg(const image_pixels *image, int32_t quality, uint8_t **out_bytes,
                                   size_t *out_size, mica_error *error);
mica_status mica_image_resize(image_pixels *image, int64_t height, int64_t width,
                              mica_error *error);
/* A whole file into memory from malloc. */
mica_status mica_image_read_file(const char *path, uint8_t **out_bytes, size_t *out_size,
                                 mica_error *error);

#endif
