/* SPDX-License-Identifier: Apache-2.0 */
/* events_internal.h: event files from inside: protobuf by hand, checksums, images, graphs.
 *
 * Protobuf (its documentation, "Encoding"): a message is a row of fields, each a varint of
 * number * 8 + wire type and then a varint (type 0), 8 bytes (1), a length and bytes (2) or 4 bytes
 * (5). A message inside of another is bytes. The messages and their field numbers are those of
 * tensorflow/core/util/event.proto, framework/summary.proto and framework/graph.proto. */
#ifndef MICA_EVENTS_INTERNAL_H
#define MICA_EVENTS_INTERNAL_H
#include "ui/ui_internal.h"

void mica_proto_varint(mica_ui_text *out, uint32_t field, uint64_t value);
void mica_proto_double(mica_ui_text *out, uint32_t field, double value);
void mica_proto_float(mica_ui_text *out, uint32_t field, float value);
void mica_proto_bytes(mica_ui_text *out, uint32_t field, const void *bytes, size_t size);
void mica_proto_string(mica_ui_text *out, uint32_t field, const char *string);
/* A message made apart, which is freed. */
void mica_proto_message(mica_ui_text *out, uint32_t field, mica_ui_text *message);

/* One field of a message. */
typedef struct {
  uint32_t field;
  int type;       /* wire type */
  uint64_t value; /* types 0, 1 and 5 */
  const unsigned char *bytes;
  size_t size; /* type 2 */
} mica_proto_field;
/* The next one of the message that lies at *at; false at its end and where it is malformed. */
bool mica_proto_next(const unsigned char **at, const unsigned char *end, mica_proto_field *out);
double mica_proto_as_double(uint64_t bits);
float mica_proto_as_float(uint64_t bits);

/* CRC-32C (Castagnoli; RFC 3720, B.4), rotated and shifted as TFRecord files store it. */
uint32_t mica_ui_masked_crc(const void *bytes, size_t size);

/* [height, width, channels] of an image; false when it is none. */
bool mica_ui_image_shape(const mica_tensor *image, int64_t out_shape[3]);
mica_status mica_ui_png(const char *who, const mica_tensor *image, mica_ui_text *out,
                        mica_error *error);
/* The graph as a GraphDef. */
void mica_ui_graph_def(const mica_graph *graph, mica_ui_text *out);

#endif
