/* SPDX-License-Identifier: Apache-2.0 */
/* step_linalg_orthogonal.c: QR, the symmetric eigenproblem and singular values, for f32 and f64. */
#include "backend/cpu/linalg_internal.h"
#include "backend/cpu/linalg_rotations.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define E    float
#define L(x) x##_f32
#include "backend/cpu/linalg_qr.inc"
#include "backend/cpu/linalg_eigh.inc"
#include "backend/cpu/linalg_svd.inc"
#undef E
#undef L

#define E    double
#define L(x) x##_f64
#include "backend/cpu/linalg_qr.inc"
#include "backend/cpu/linalg_eigh.inc"
#include "backend/cpu/linalg_svd.inc"
#undef E
#undef L
