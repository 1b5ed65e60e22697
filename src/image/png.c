/* SPDX-License-Identifier: Apache-2.0 */
/* png.c: PNG through libspng. */
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "image_internal.h"

/* DEFLATE makes at most 1032 bytes of one, so a larger image cannot be in the file. */
enum { PNG_LARGEST_RATIO = 1032, PNG_CHUNK = 1 << 22 };

static mica_status png_fail(int code, mica_error *error) {
  if (code == SPNG_EMEM) return mica_error_set(error, MICA_OUT_OF_MEMORY, "png: out of memory");
  return mica_error_set(error, MICA_DATA_LOSS, "png: %s", spng_strerror(code));
}

static int file_channels(const struct spng_ihdr *header, bool transparent) {
  switch (header->color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE: return transparent ? 4 : 1;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA: return 4;
    default: return transparent ? 4 : 3;
  }
}

/* libspng gives RGB8, RGBA8, or G8 of gray of at most 8 bits; the rest is made of RGBA. */
static mica_status decode(spng_ctx *context, size_t size, int32_t channels, int64_t largest,
                          image_pixels *out, mica_error *error) {
  struct spng_ihdr header;
  struct spng_trns transparency;
  size_t bytes = 0;
  int code = spng_get_ihdr(context, &header);
  if (code != 0) return png_fail(code, error);
  int64_t pixels = (int64_t)header.width * (int64_t)header.height;
  if (pixels > largest)
    return mica_error_set(error, MICA_DATA_LOSS, "png: %u by %u pixels are above the limit",
                          (unsigned)header.width, (unsigned)header.height);
  /* one bit a pixel at least */
  if (pixels / 8 / PNG_LARGEST_RATIO > (int64_t)size)
    return mica_error_set(error, MICA_DATA_LOSS, "png: %u by %u pixels cannot be in %zu bytes",
                          (unsigned)header.width, (unsigned)header.height, size);
  code = spng_get_trns(context, &transparency);
  if (code != 0 && code != SPNG_ECHUNKAVAIL) return png_fail(code, error);
  if (channels == 0) channels = file_channels(&header, code == 0);
  int format = channels == 3 ? SPNG_FMT_RGB8 : SPNG_FMT_RGBA8;
  code = spng_decoded_image_size(context, format, &bytes);
  if (code != 0) return png_fail(code, error);
  out->pixels = malloc(bytes == 0 ? 1 : bytes);
  if (out->pixels == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "png: out of memory");
  code =
      spng_decode_image(context, out->pixels, bytes, format, channels == 4 ? SPNG_DECODE_TRNS : 0);
  if (code != 0) return png_fail(code, error);
  out->height = header.height, out->width = header.width, out->channels = channels;
  bool color = (header.color_type & 2) != 0;
  for (int64_t i = 0; channels == 1 && i < pixels; i++) { /* luma of BT.601 */
    const uint8_t *p = out->pixels + 4 * i;
    out->pixels[i] = color ? (uint8_t)((299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000) : p[0];
  }
  return MICA_OK;
}

mica_status mica_image_decode_png(const uint8_t *bytes, size_t size, int32_t channels,
                                  int64_t largest, image_pixels *out, mica_error *error) {
  spng_ctx *context = spng_ctx_new(0);
  if (context == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "png: out of memory");
  int code = spng_set_image_limits(context, 1 << 20, 1 << 20);
  if (code == 0) code = spng_set_chunk_limits(context, PNG_CHUNK, 2 * PNG_CHUNK);
  if (code == 0) code = spng_set_png_buffer(context, bytes, size);
  mica_status status =
      code == 0 ? decode(context, size, channels, largest, out, error) : png_fail(code, error);
  spng_ctx_free(context);
  return status;
}

mica_status mica_image_encode_png(const image_pixels *image, uint8_t **out_bytes, size_t *out_size,
                                  mica_error *error) {
  spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
  if (context == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "png: out of memory");
  struct spng_ihdr header = {.width = (uint32_t)image->width,
                             .height = (uint32_t)image->height,
                             .bit_depth = 8,
                             .color_type = image->channels == 1 ? SPNG_COLOR_TYPE_GRAYSCALE
                                           : image->channels == 3
                                               ? SPNG_COLOR_TYPE_TRUECOLOR
                                               : SPNG_COLOR_TYPE_TRUECOLOR_ALPHA};
  int code = spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
  if (code == 0) code = spng_set_ihdr(context, &header);
  if (code == 0)
    code = spng_encode_image(context, image->pixels,
                             (size_t)(image->height * image->width * image->channels), SPNG_FMT_PNG,
                             SPNG_ENCODE_FINALIZE);
  if (code == 0) *out_bytes = spng_get_png_buffer(context, out_size, &code);
  spng_ctx_free(context);
  return code == 0 ? MICA_OK : png_fail(code, error);
}
