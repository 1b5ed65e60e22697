/* SPDX-License-Identifier: Apache-2.0 */
/* jpeg.c: JPEG through libturbojpeg. */
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "image_internal.h"

static mica_status jpeg_fail(tjhandle handle, mica_error *error) {
  return mica_error_set(error, MICA_DATA_LOSS, "jpeg: %.300s", tjGetErrorStr2(handle));
}

static mica_status decode(tjhandle handle, const uint8_t *bytes, size_t size, int32_t channels,
                          int64_t largest, image_pixels *out, mica_error *error) {
  static const int formats[] = {[1] = TJPF_GRAY, [3] = TJPF_RGB, [4] = TJPF_RGBA};
  /* Of a file with tables alone the library says that all went well, and sets nothing. */
  int width = 0, height = 0, subsampling = -1, colors = -1;
  if (tjDecompressHeader3(handle, bytes, (unsigned long)size, &width, &height, &subsampling,
                          &colors) != 0)
    return jpeg_fail(handle, error);
  if (width <= 0 || height <= 0)
    return mica_error_set(error, MICA_DATA_LOSS, "jpeg: there is no image in the file");
  if (colors == TJCS_CMYK || colors == TJCS_YCCK)
    return mica_error_set(error, MICA_UNSUPPORTED, "jpeg: CMYK images are not read");
  if ((int64_t)width * height > largest)
    return mica_error_set(error, MICA_DATA_LOSS, "jpeg: %d by %d pixels are above the limit", width,
                          height);
  if (channels == 0) channels = colors == TJCS_GRAY ? 1 : 3;
  out->height = height, out->width = width, out->channels = channels;
  out->pixels = malloc((size_t)width * (size_t)height * (size_t)channels);
  if (out->pixels == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "jpeg: out of memory");
  /* A file of few bytes may ask for thousands of passes over the image. */
  if (tjDecompress2(handle, bytes, (unsigned long)size, out->pixels, width, 0, height,
                    formats[channels], TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0) {
    /* Warnings stand for gray areas where data is missing, or for bytes between parts, which harm nothing. */
    if (tjGetErrorCode(handle) != TJERR_WARNING ||
        strstr(tjGetErrorStr2(handle), "extraneous") == NULL)
      return jpeg_fail(handle, error);
  }
  return MICA_OK;
}

mica_status mica_image_decode_jpeg(const uint8_t *bytes, size_t size, int32_t channels,
                                   int64_t largest, image_pixels *out, mica_error *error) {
  tjhandle handle = tjInitDecompress();
  if (handle == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "jpeg: out of memory");
  mica_status status = decode(handle, bytes, size, channels, largest, out, error);
  tjDestroy(handle);
  return status;
}

mica_status mica_image_encode_jpeg(const image_pixels *image, int32_t quality, uint8_t **out_bytes,
                                   size_t *out_size, mica_error *error) {
  tjhandle handle = tjInitCompress();
  if (handle == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "jpeg: out of memory");
  bool gray = image->channels == 1;
  unsigned char *made = NULL;
  unsigned long size = 0;
  mica_status status = MICA_OK;
  if (tjCompress2(handle, image->pixels, (int)image->width, 0, (int)image->height,
                  gray ? TJPF_GRAY : TJPF_RGB, &made, &size, gray ? TJSAMP_GRAY : TJSAMP_444,
                  quality, TJFLAG_ACCURATEDCT) != 0)
    status = jpeg_fail(handle, error);
  if (status == MICA_OK) { /* into malloc's memory, as for the other format */
    *out_bytes = malloc(size);
    *out_size = size;
    if (*out_bytes != NULL)
      memcpy(*out_bytes, made, size);
    else
      status = mica_error_set(error, MICA_OUT_OF_MEMORY, "jpeg: out of memory");
  }
  tjFree(made);
  tjDestroy(handle);
  return status;
}
