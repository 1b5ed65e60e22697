/* SPDX-License-Identifier: Apache-2.0 */
/* proto.c: the little of protobuf's encoding that event files need, and their checksum. */
#include <string.h>

#include "ui/events_internal.h"

static void raw_varint(mica_ui_text *out, uint64_t value) {
  unsigned char bytes[10];
  size_t size = 0;
  do {
    bytes[size] = (unsigned char)(value & 127);
    value >>= 7;
    if (value) bytes[size] |= 128;
    size++;
  } while (value);
  mica_ui_bytes(out, bytes, size);
}

/* Little-endian, whatever the machine is. */
static void raw_fixed(mica_ui_text *out, uint64_t bits, size_t size) {
  unsigned char bytes[8];
  for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(bits >> 8 * i);
  mica_ui_bytes(out, bytes, size);
}

void mica_proto_varint(mica_ui_text *out, uint32_t field, uint64_t value) {
  raw_varint(out, (uint64_t)field << 3);
  raw_varint(out, value);
}

void mica_proto_double(mica_ui_text *out, uint32_t field, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  raw_varint(out, (uint64_t)field << 3 | 1);
  raw_fixed(out, bits, 8);
}

void mica_proto_float(mica_ui_text *out, uint32_t field, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  raw_varint(out, (uint64_t)field << 3 | 5);
  raw_fixed(out, bits, 4);
}

void mica_proto_bytes(mica_ui_text *out, uint32_t field, const void *bytes, size_t size) {
  raw_varint(out, (uint64_t)field << 3 | 2);
  raw_varint(out, size);
  mica_ui_bytes(out, bytes, size);
}

void mica_proto_string(mica_ui_text *out, uint32_t field, const char *string) {
  mica_proto_bytes(out, field, string, strlen(string));
}

void mica_proto_message(mica_ui_text *out, uint32_t field, mica_ui_text *message) {
  if (message->failed) out->failed = true;
  mica_proto_bytes(out, field, message->bytes, message->failed ? 0 : message->size);
  mica_ui_free(message);
}

static bool read_varint(const unsigned char **at, const unsigned char *end, uint64_t *out) {
  *out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (*at == end) return false;
    unsigned char byte = *(*at)++;
    *out |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

bool mica_proto_next(const unsigned char **at, const unsigned char *end, mica_proto_field *out) {
  uint64_t key, length;
  *out = (mica_proto_field){0};
  if (*at == end || !read_varint(at, end, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
    return false;
  out->field = (uint32_t)(key >> 3), out->type = (int)(key & 7);
  size_t left = (size_t)(end - *at);
  if (out->type == 0) return read_varint(at, end, &out->value);
  if (out->type == 1 || out->type == 5) {
    size_t size = out->type == 1 ? 8 : 4;
    if (left < size) return false;
    for (size_t i = 0; i < size; i++) out->value |= (uint64_t)(*at)[i] << 8 * i;
    *at += size;
    return true;
  }
  if (out->type != 2 || !read_varint(at, end, &length) || length > (uint64_t)(end - *at))
    return false;
  out->bytes = *at, out->size = (size_t)length;
  *at += length;
  return true;
}

double mica_proto_as_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

float mica_proto_as_float(uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  float value;
  memcpy(&value, &low, sizeof value);
  return value;
}

uint32_t mica_ui_masked_crc(const void *bytes, size_t size) {
  /* A nibble at a time: the table of the reflected polynomial 0x82f63b78. */
  static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                     0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                     0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                     0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
  uint32_t crc = 0xffffffffu;
  for (const unsigned char *b = bytes, *end = b + size; b < end; b++) {
    crc ^= *b;
    crc = table[crc & 15] ^ (crc >> 4);
    crc = table[crc & 15] ^ (crc >> 4);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}
