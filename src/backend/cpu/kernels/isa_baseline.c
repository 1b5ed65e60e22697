/* SPDX-License-Identifier: Apache-2.0 */
/* The row that every machine has: 128-bit vectors, compiled for whatever the compiler's command line
 * allows (SSE2, NEON, simd128, or plain code made of the vector types by the compiler). */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/tile_row.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#define ROW_TILE_ROWS 8
#else
#define ROW_TILE_ROWS 4
#endif
#define ROW       baseline
#define ROW_BYTES 16
#define ROW_X86   0
#include "backend/cpu/kernels/isa_row.inc"
