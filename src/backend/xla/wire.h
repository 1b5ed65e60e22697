/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: reading protobuf's encoding (protobuf.dev/programming-guides/encoding): what plugins tell about
 * programs and profiles comes in it. Every read is checked; a malformed message ends early. */
#ifndef MICA_XLA_WIRE_H
#define MICA_XLA_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  const unsigned char *at, *end;
} xla_wire;

typedef struct {
  uint32_t number;
  uint64_t value; /* of a varint or a fixed number */
  xla_wire bytes; /* of a message, a string or packed numbers; empty otherwise */
} xla_wire_field;

static inline xla_wire xla_wire_of(const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  return (xla_wire){at, at + size};
}

bool mica_xla_wire_varint(xla_wire *wire, uint64_t *out);
/* The next field of a message; false at its end. */
bool mica_xla_wire_next(xla_wire *wire, xla_wire_field *out);
/* The first field of that number; false where there is none. */
bool mica_xla_wire_find(xla_wire message, uint32_t number, xla_wire_field *out);

#endif
