/* SPDX-License-Identifier: Apache-2.0 */
/* special.h: special functions, elementwise on f16, bf16, f32 and f64; f16 and bf16 are computed in f32 or
 * f64 and rounded once. NaN gives NaN. All have derivatives of every order. docs/numerics.md says
 * how exact they are. Source of definitions: NIST Digital Library of Mathematical Functions (DLMF). */
#ifndef MICA_OPS_SPECIAL_H
#define MICA_OPS_SPECIAL_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Error functions (DLMF 7.2). erf: 2 / sqrt(pi) * integral of e^(-u^2) for u = 0 .. x. */
MICA_API mica_value mica_erf(mica_value x);
MICA_API mica_value mica_erfc(mica_value x); /* 1 - erf(x), with all its digits where x is large */
MICA_API mica_value mica_erf_inv(mica_value x); /* erf(y) = x; infinite at -1, 1, NaN beyond */

/* log |gamma(x)| (DLMF 5.2); infinity at 0, -1, -2 .. and at both infinities. */
MICA_API mica_value mica_lgamma(mica_value x);
/* Its derivative: -infinity at 0, infinity at -0; NaN at -1, -2 .. and -infinity. */
MICA_API mica_value mica_digamma(mica_value x);
/* The derivative of digamma of an order from 1 to 64 (0: digamma itself). At 0, -1, -2 .. infinity for odd
 * orders and -infinity for even ones; NaN at -infinity. */
MICA_API mica_value mica_polygamma(int32_t order, mica_value x);

/* Regularized incomplete gamma function (DLMF 8.2): integral of u^(a - 1) e^-u for u = 0 .. x, over gamma(a),
 * and for u = x .. infinity. a [..] and x [..] are broadcast. NaN unless a > 0 and x >= 0. The derivative by a
 * comes from its series; once more by a it is a central difference (2^-16 of its size in f32, 2^-34 in
 * f64). */
MICA_API mica_value mica_igamma(mica_value a, mica_value x);
MICA_API mica_value mica_igammac(mica_value a, mica_value x);
/* Regularized incomplete beta function (DLMF 8.17): integral of u^(a - 1) (1 - u)^(b - 1) for u = 0 .. x, over
 * that for 0 .. 1. NaN unless a and b are positive and finite and 0 <= x <= 1. Derivatives by a and b
 * as for igamma. */
MICA_API mica_value mica_betainc(mica_value a, mica_value b, mica_value x);

/* Modified Bessel functions of the first kind of order 0 and 1 (DLMF 10.25), and times e^-|x|. */
MICA_API mica_value mica_bessel_i0(mica_value x);
MICA_API mica_value mica_bessel_i1(mica_value x);
MICA_API mica_value mica_bessel_i0e(mica_value x);
MICA_API mica_value mica_bessel_i1e(mica_value x);

#ifdef __cplusplus
}
#endif
#endif
