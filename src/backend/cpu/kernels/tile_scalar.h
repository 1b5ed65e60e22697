/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of the tile VM that work element by element, the same in every row: f64 through the C library,
 * division, remainder and power of integers. X(operator, type) names mica_tile_<operator>_<type>. */
#ifndef MICA_BACKEND_CPU_KERNELS_TILE_SCALAR_H
#define MICA_BACKEND_CPU_KERNELS_TILE_SCALAR_H
#include "backend/cpu/kernels/tile_kernels.h"

/* clang-format off */
#define MICA_TILE_SCALAR_LIST(X)                                                               \
  X(tan, f64)                                                                                  \
  X(asin, f64)                                                                                 \
  X(acos, f64)                                                                                 \
  X(atan, f64)                                                                                 \
  X(sinh, f64)                                                                                 \
  X(cosh, f64)                                                                                 \
  X(asinh, f64)                                                                                \
  X(acosh, f64)                                                                                \
  X(atanh, f64)                                                                                \
  X(exp2, f64)                                                                                 \
  X(log2, f64)                                                                                 \
  X(log10, f64)                                                                                \
  X(cbrt, f64)                                                                                 \
  X(softplus, f64)                                                                             \
  X(erfc, f64)                                                                                 \
  X(erf_inv, f64)                                                                              \
  X(lgamma, f64)                                                                               \
  X(digamma, f64)                                                                              \
  X(atan2, f64)                                                                                \
  X(hypot, f64)                                                                                \
  X(nextafter, f64)                                                                            \
  X(bessel_i0e, f32) X(bessel_i0e, f64)                                                        \
  X(bessel_i1e, f32) X(bessel_i1e, f64)                                                        \
  X(igamma, f32) X(igamma, f64)                                                                \
  X(igammac, f32) X(igammac, f64)                                                              \
  X(igamma_slope, f32) X(igamma_slope, f64)                                                    \
  X(betainc, f32) X(betainc, f64)                                                              \
  X(exp, f64)                                                                                  \
  X(expm1, f64)                                                                                \
  X(log, f64)                                                                                  \
  X(log1p, f64)                                                                                \
  X(tanh, f64)                                                                                 \
  X(logistic, f64)                                                                             \
  X(erf, f64)                                                                                  \
  X(sin, f64)                                                                                  \
  X(cos, f64)                                                                                  \
  X(floor, f64)                                                                                \
  X(ceil, f64)                                                                                 \
  X(round, f64) X(gelu, f64) X(gelu_tanh, f64) X(rem, f64) X(pow, f64) X(rem, f32) X(div, i32) \
      X(rem, i32) X(pow, i32) X(div, u32) X(rem, u32) X(pow, u32) X(div, i64) X(rem, i64)      \
          X(pow, i64) X(div, u64) X(rem, u64) X(pow, u64)
/* clang-format on */

#define MICA_TILE_SCALAR_DECLARE(name, type) extern mica_tile_kernel mica_tile_##name##_##type;
MICA_TILE_SCALAR_LIST(MICA_TILE_SCALAR_DECLARE)
#undef MICA_TILE_SCALAR_DECLARE

#endif
