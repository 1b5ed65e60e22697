/* SPDX-License-Identifier: Apache-2.0 */
/* sha256.h: SHA-256 of bytes that come in pieces. */
#ifndef MICA_CORE_SHA256_H
#define MICA_CORE_SHA256_H
#include "mica/core.h"

typedef struct {
  uint32_t state[8];
  uint64_t size;
  unsigned char tail[64]; /* the bytes behind the last whole block */
} mica_sha256_state;
void mica_sha256_begin(mica_sha256_state *sum);
void mica_sha256_add(mica_sha256_state *sum, const void *bytes, size_t size);
void mica_sha256_end(mica_sha256_state *sum, char out_hex[65]);

#endif
