/* SPDX-License-Identifier: Apache-2.0 */
/* special.h: special functions of f64 that the C library lacks, or has with a global variable (lgamma and
 * its signgam). Pure functions without state; NaN in gives NaN out. What they are and where they are infinite
 * is said in include/mica/ops/special.h, how exact they are in docs/numerics.md. */
#ifndef MICA_CORE_SPECIAL_H
#define MICA_CORE_SPECIAL_H
#include <stdint.h>

double mica_special_erf_inv(double x);
double mica_special_lgamma(double x);
double mica_special_lgamma_1p(double x); /* lgamma(1 + x) for |x| <= 1/2, without rounding 1 + x */
double mica_special_digamma(double x);
double mica_special_polygamma(int32_t order, double x); /* order >= 1 */
double mica_special_bessel_i0e(double x);
double mica_special_bessel_i1e(double x);
/* lgamma(x) - (x - 1/2) log(x) + x - log(2 pi) / 2 for x >= 8 */
double mica_special_stirling_rest(double x);

/* incomplete.c. By parameter 0 (a) or 1 (b) for the slope of betainc. */
double mica_special_igamma(double a, double x);
double mica_special_igammac(double a, double x);
double mica_special_igamma_slope(double a, double x);
double mica_special_betainc(double a, double b, double x);
double mica_special_betainc_slope(double a, double b, double x, int32_t parameter);

#endif
