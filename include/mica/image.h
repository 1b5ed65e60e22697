/* SPDX-License-Identifier: Apache-2.0 */
/* image.h: PNG and JPEG files as tensors, and folders of them as data sets: libmica_image, a library of its own, which
 * needs libspng and libturbojpeg. Files are hostile: sizes are limited before memory is taken. Example:
 * docs/data.md. */
#ifndef MICA_IMAGE_H
#define MICA_IMAGE_H
#include "mica/data.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  size_t struct_size;
  int32_t channels; /* 1 gray, 3 RGB, 4 RGB and alpha; 0: as the file has it */
  int32_t size[2];  /* [height, width] to which it is resized; {0, 0}: as it is */
  int64_t largest;  /* pixels that a file may have; 0: 2^26 */
} mica_image_options;

/* A PNG (8 or 16 bits, which become 8, all color types, interlaced too) or JPEG (baseline and progressive, gray and
 * color) as u8 [height, width, channels]. Resizing is by a triangle filter that widens when it shrinks. NULL options
 * mean defaults. MICA_DATA_LOSS: damaged, cut off, or larger than the limit; MICA_UNSUPPORTED: neither format, or
 * CMYK. */
MICA_API mica_status mica_image_parse(const void *bytes, size_t byte_size,
                                      const mica_image_options *options, mica_tensor **out_image,
                                      mica_error *error);
MICA_API mica_status mica_image_load(const char *path, const mica_image_options *options,
                                     mica_tensor **out_image, mica_error *error);
/* u8 [height, width, 1, 3 or 4] as PNG, or with `quality` 1 .. 100 and 1 or 3 channels as JPEG; quality 0: PNG. */
MICA_API mica_status mica_image_save(const char *path, const mica_tensor *image, int32_t quality,
                                     mica_error *error);

/* The images of a folder whose folders are the classes: elements of the file's bytes, u8 [n], and the class, i32 []. Files
 * end in .png, .jpg or .jpeg, in any case; classes and files are in order of their names. A file above 2^28 bytes
 * is an error. Images are decoded by mica_image_map, so that a parallel map can do it. *out_classes, if wanted, is the
 * caller's. */
typedef struct {
  size_t struct_size;
  const char *path;
  bool shuffle; /* by mica_shuffle(seed, epoch) */
  uint64_t seed;
} mica_image_folder_options;
MICA_API mica_dataset *mica_image_folder(const mica_image_folder_options *options,
                                         mica_vocabulary **out_classes, mica_error *error);
/* A mica_map_callback: decodes tensor 0 by the mica_image_options * that `user` is (NULL: defaults). */
MICA_API mica_status mica_image_map(void *user, mica_map_position position, const mica_batch *in,
                                    mica_batch *out, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
