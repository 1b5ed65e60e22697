/* SPDX-License-Identifier: Apache-2.0 */
/* The row for AVX2, FMA and F16C. Nothing on other machines. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/tile_row.h"

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#define ROW           avx2
#define ROW_BYTES     32
#define ROW_TILE_ROWS 6
#define ROW_X86       2
#include "backend/cpu/kernels/isa_row.inc"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
