/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise_internal.h: blocks of wide elements, and the kernels that have files of their own. */
#ifndef MICA_REFERENCE_ELEMENTWISE_INTERNAL_H
#define MICA_REFERENCE_ELEMENTWISE_INTERNAL_H
#include "backend/reference/reference_internal.h"

enum { WIDE_BLOCK = 256 }; /* elements, an even number for 4-bit dtypes */

typedef union {
  int64_t i64[WIDE_BLOCK];
  uint64_t u64[WIDE_BLOCK];
  double f64[WIDE_BLOCK];
  reference_complex c128[WIDE_BLOCK];
} wide_block;

static inline int64_t wide_block_size(int64_t begin, int64_t count) {
  return count - begin < WIDE_BLOCK ? count - begin : WIDE_BLOCK;
}

/* bits.c */
reference_kernel mica_reference_shift, mica_reference_count_bits, mica_reference_bitcast,
    mica_reference_nextafter;
/* parts.c: complex numbers from and to real ones; functions of three operands or with attributes */
reference_kernel mica_reference_part, mica_reference_complex_of, mica_reference_polygamma,
    mica_reference_betainc;

#endif
