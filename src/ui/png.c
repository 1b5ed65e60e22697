/* SPDX-License-Identifier: Apache-2.0 */
/* png.c: images as PNG (ISO/IEC 15948), 8 bits a channel. The pixels stand in stored blocks of
 * DEFLATE (RFC 1951, 3.2.4): nothing is compressed, so that no compressor is needed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ui/events_internal.h"

static void big_endian(mica_ui_text *out, uint32_t value) {
  unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                            (unsigned char)(value >> 8), (unsigned char)value};
  mica_ui_bytes(out, bytes, 4);
}

/* CRC-32 of ISO 3309, the one of PNG, a nibble at a time: the files are small. */
static uint32_t png_crc(const char *bytes, size_t size) {
  static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                     0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                     0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < size; i++) {
    crc ^= (unsigned char)bytes[i];
    crc = table[crc & 15] ^ (crc >> 4);
    crc = table[crc & 15] ^ (crc >> 4);
  }
  return ~crc;
}

/* Length, type, contents, checksum of the last two. */
static void png_chunk(mica_ui_text *out, const char type[4], const void *bytes, size_t size) {
  big_endian(out, (uint32_t)size);
  size_t begin = out->size;
  mica_ui_bytes(out, type, 4);
  mica_ui_bytes(out, bytes, size);
  if (!out->failed) big_endian(out, png_crc(out->bytes + begin, out->size - begin));
}

/* zlib (RFC 1950): two bytes, stored blocks, Adler-32. */
static void stored_stream(mica_ui_text *out, const unsigned char *bytes, size_t size) {
  uint32_t a = 1, b = 0;
  mica_ui_bytes(out, "\x78\x01", 2);
  for (size_t at = 0; at < size;) {
    size_t piece = size - at < 65535 ? size - at : 65535;
    unsigned char head[5] = {at + piece == size, (unsigned char)piece, (unsigned char)(piece >> 8),
                             (unsigned char)~piece, (unsigned char)(~piece >> 8)};
    mica_ui_bytes(out, head, 5);
    mica_ui_bytes(out, bytes + at, piece);
    at += piece;
  }
  for (size_t i = 0; i < size; i++) a = (a + bytes[i]) % 65521, b = (b + a) % 65521;
  big_endian(out, b << 16 | a);
}

bool mica_ui_image_shape(const mica_tensor *image, int64_t out_shape[3]) {
  mica_type type = mica_tensor_type(image);
  int64_t channels = type.shape.rank == 3 ? type.shape.dim[2] : 1;
  out_shape[0] = type.shape.dim[0], out_shape[1] = type.shape.dim[1], out_shape[2] = channels;
  return (type.shape.rank == 2 || type.shape.rank == 3) && out_shape[0] >= 1 && out_shape[1] >= 1 &&
         out_shape[0] <= 32768 && out_shape[1] <= 32768 &&
         (channels == 1 || channels == 3 || channels == 4) &&
         (type.dtype == MICA_U8 || mica_dtype_is_float(type.dtype));
}

mica_status mica_ui_png(const char *who, const mica_tensor *image, mica_ui_text *out,
                        mica_error *error) {
  static const unsigned char kinds[5] = {0, 0, 0, 2, 6}; /* color type by channels */
  int64_t shape[3];
  if (!image || !mica_ui_image_shape(image, shape)) {
    char text[160] = "NULL";
    if (image) mica_type_format(mica_tensor_type(image), text, sizeof text);
    return mica_error_set(error, MICA_INVALID,
                          "%s: %s is no image: expected u8 or floats [height, width] or [height, "
                          "width, 1, 3 or 4], of 1 to 32768 pixels a side",
                          who, text);
  }
  size_t row = (size_t)(shape[1] * shape[2]), count = (size_t)shape[0] * row;
  unsigned char *lines = malloc(count + (size_t)shape[0]);
  double *values = NULL;
  mica_status status = MICA_OK;
  if (mica_tensor_type(image).dtype != MICA_U8) {
    values = count <= SIZE_MAX / sizeof *values ? malloc(count * sizeof *values) : NULL;
    if (lines && values)
      status = mica_tensor_read_doubles(image, values, (int64_t)count, error);
    else
      status = MICA_OUT_OF_MEMORY;
  }
  if (lines && status == MICA_OK) {
    const unsigned char *bytes = mica_tensor_data(image);
    unsigned char *at = lines;
    for (size_t i = 0; i < count; i++) {
      if (i % row == 0) *at++ = 0; /* filter: none */
      double v = values ? values[i] : 0;
      *at++ = values ? (unsigned char)(v > 0 ? (v < 1 ? floor(v * 255 + 0.5) : 255) : 0) : bytes[i];
    }
    mica_ui_text stream = {0}, header = {0};
    stored_stream(&stream, lines, (size_t)(at - lines));
    big_endian(&header, (uint32_t)shape[1]), big_endian(&header, (uint32_t)shape[0]);
    mica_ui_bytes(&header, (unsigned char[]){8, kinds[shape[2]], 0, 0, 0}, 5);
    mica_ui_bytes(out, "\x89PNG\r\n\x1a\n", 8);
    if (stream.failed || header.failed) out->failed = true;
    png_chunk(out, "IHDR", header.bytes, header.failed ? 0 : header.size);
    png_chunk(out, "IDAT", stream.bytes, stream.failed ? 0 : stream.size);
    png_chunk(out, "IEND", "", 0);
    mica_ui_free(&stream), mica_ui_free(&header);
  }
  if (!lines || out->failed) status = MICA_OUT_OF_MEMORY;
  free(lines), free(values);
  return status == MICA_OUT_OF_MEMORY
             ? mica_error_set(error, MICA_OUT_OF_MEMORY, "%s: out of memory", who)
             : status;
}

mica_status mica_png_save(const char *path, const mica_tensor *image, mica_error *error) {
  mica_ui_text png = {0};
  mica_status status = mica_ui_png("png_save", image, &png, error);
  if (status == MICA_OK) return mica_ui_write_file("png_save", path, &png, error);
  mica_ui_free(&png);
  return status;
}
