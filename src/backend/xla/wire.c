/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c: protobuf's encoding. */
#include "backend/xla/wire.h"

bool mica_xla_wire_varint(xla_wire *wire, uint64_t *out) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
    unsigned char byte = *wire->at++;
    value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) {
      *out = value;
      return true;
    }
  }
  wire->at = wire->end;
  return false;
}

static bool take_wire_bytes(xla_wire *wire, uint64_t size, xla_wire *out) {
  if (size > (uint64_t)(wire->end - wire->at)) {
    wire->at = wire->end;
    return false;
  }
  *out = (xla_wire){wire->at, wire->at + size};
  wire->at += size;
  return true;
}

bool mica_xla_wire_next(xla_wire *wire, xla_wire_field *out) {
  uint64_t tag, size;
  xla_wire fixed;
  if (wire->at >= wire->end || !mica_xla_wire_varint(wire, &tag)) return false;
  *out = (xla_wire_field){.number = (uint32_t)(tag >> 3), .bytes = {wire->at, wire->at}};
  switch (tag & 7) {
    case 0: return mica_xla_wire_varint(wire, &out->value);
    case 2: return mica_xla_wire_varint(wire, &size) && take_wire_bytes(wire, size, &out->bytes);
    case 1:
    case 5:
      if (!take_wire_bytes(wire, (tag & 7) == 1 ? 8 : 4, &fixed)) return false;
      for (int shift = 0; fixed.at < fixed.end; shift += 8)
        out->value |= (uint64_t)*fixed.at++ << shift;
      return true;
    default: wire->at = wire->end; return false; /* groups are not in use */
  }
}

bool mica_xla_wire_find(xla_wire message, uint32_t number, xla_wire_field *out) {
  while (mica_xla_wire_next(&message, out))
    if (out->number == number) return true;
  return false;
}
