/* SPDX-License-Identifier: Apache-2.0 */
/* complex.h: complex numbers, c64 of f32 and c128 of f64. Arithmetic, equality, neg, abs (which is real), sign
 * (x / |x|), exp, expm1, log, log1p, sqrt, rsqrt, pow, sin, cos, tan, sinh, cosh, tanh and logistic
 * of elementwise.h take them too, on the principal branches.
 *
 * Derivatives: tangents are complex. A cotangent pairs with a tangent as the real part of their product,
 * without conjugation, as in JAX: the gradient of a real loss by z = x + iy is d loss / dx - i d loss / dy,
 * and a step downhill goes along its conjugate. */
#ifndef MICA_OPS_COMPLEX_H
#define MICA_OPS_COMPLEX_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* f32 or f64 [a...], both broadcast -> c64 or c128: x + i y. */
MICA_API mica_value mica_complex(mica_value x, mica_value y);
/* The parts of complex numbers [a...] -> f32 or f64 [a...]; real x gives x and 0. */
MICA_API mica_value mica_real(mica_value x);
MICA_API mica_value mica_imag(mica_value x);
MICA_API mica_value mica_conj(mica_value x);  /* x - i y; real x gives x */
MICA_API mica_value mica_angle(mica_value x); /* real, in [-pi, pi]: atan2(y, x) */

#ifdef __cplusplus
}
#endif
#endif
