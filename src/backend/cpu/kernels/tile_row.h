/* SPDX-License-Identifier: Apache-2.0 */
/* What tile_row.inc needs from outside, included before the target of a row is set, so that nothing of
 * it is compiled for that target only. */
#ifndef MICA_BACKEND_CPU_KERNELS_TILE_ROW_H
#define MICA_BACKEND_CPU_KERNELS_TILE_ROW_H
#include <string.h>

#include "backend/cpu/kernels/reduce_angle.h"
#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/kernels/tile_kernels.h"
#include "backend/cpu/kernels/tile_scalar.h"
#include "core/dtype.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#endif
