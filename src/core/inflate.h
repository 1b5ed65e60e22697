/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.h: the two algorithms that zip archives need: DEFLATE's inverse (RFC 1951) and CRC-32
 * (ISO 3309, the polynomial of zip and gzip). */
#ifndef MICA_CORE_INFLATE_H
#define MICA_CORE_INFLATE_H
#include "mica/core.h"

/* No DEFLATE stream unpacks to more than this many times its size: what claims more is refused
 * before memory is taken for it. */
enum { MICA_INFLATE_LARGEST_RATIO = 1032 };

/* Unpacks a stream whose unpacked size is known: exactly out_size bytes, or MICA_DATA_LOSS. What
 * follows the stream's end in `in` is ignored. Allocates nothing. */
mica_status mica_inflate(const void *in, size_t in_size, void *out, size_t out_size,
                         mica_error *error);

/* CRC-32 of bytes that follow others with the checksum `crc`, 0 at first. */
uint32_t mica_crc32(uint32_t crc, const void *bytes, size_t size);

#endif
