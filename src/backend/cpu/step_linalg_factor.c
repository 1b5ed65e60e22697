/* SPDX-License-Identifier: Apache-2.0 */
/* step_linalg_factor.c: Cholesky, triangular systems and LU, blocked, for f32 and f64. */
#include "backend/cpu/linalg_internal.h"

#include <math.h>
#include <string.h>

#define E    float
#define L(x) x##_f32
#include "backend/cpu/linalg_factor.inc"
#undef E
#undef L

#define E    double
#define L(x) x##_f64
#include "backend/cpu/linalg_factor.inc"
#undef E
#undef L
