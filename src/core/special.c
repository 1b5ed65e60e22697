/* SPDX-License-Identifier: Apache-2.0 */
/* special.c: the error function's inverse, the gamma function's logarithm and its derivatives, modified Bessel
 * functions. By series where they converge, asymptotic series where those end below 2^-53, and
 * reflection below 1/2 (NIST's DLMF, chapters 5, 7, 10 and 25). */
#include "core/special.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#define PI           3.14159265358979323846
#define HALF_LOG_2PI 0.918938533204672741780

/* c[0] + c[1] x + .. */
static double horner(const double *c, size_t count, double x) {
  double y = c[count - 1];
  for (size_t i = count - 1; i-- > 0;) y = y * x + c[i];
  return y;
}
#define HORNER(c, x) horner(c, sizeof(c) / sizeof((c)[0]), x)

/* ---- the inverse of erf ----------------------------------------------------------------------- */

double mica_special_erf_inv(double x) {
  double a = fabs(x);
  if (!(a < 1)) return a == 1 ? x * (double)INFINITY : (double)NAN;
  if (a < 0x1p-27) return x * 0.886226925452758013649; /* sqrt(pi) / 2 */
  /* Within 2^-8 (Winitzki, 2008), then Halley's method on erf, or on erfc where that has the digits. */
  double w = log1p(-a * a), u = 2 / (PI * 0.147) + w / 2;
  double y = sqrt(sqrt(u * u - w / 0.147) - u);
  for (int step = 0; step < 3; step++) {
    double error = a < 0.5 ? erf(y) - a : (1 - a) - erfc(y);
    double slope = 1.12837916709551257390 * exp(-y * y); /* 2 / sqrt(pi) */
    double newton = error / slope;
    y -= newton / (1 + y * newton);
  }
  return copysign(y, x);
}

/* ---- log gamma -------------------------------------------------------------------------------- */

/* lgamma(2 + d) for |d| <= 1/2: d (1 - gamma) + sum of (-d)^k (zeta(k) - 1) / k (DLMF 5.7.3). */
static double lgamma_near_2(double d) {
  static const double c[] = {
      0.42278433509846713,     0.3224670334241132,     -0.0673523010531981,
      0.020580808427784546,    -0.007385551028673986,  0.0028905103307415234,
      -0.001192753911703261,   0.0005096695247430425,  -0.00022315475845357939,
      9.945751278180853e-05,   -4.492623673813314e-05, 2.050721277567069e-05,
      -9.439488275268397e-06,  4.374866789907488e-06,  -2.039215753801366e-06,
      9.55141213040742e-07,    -4.492469198764566e-07, 2.1207184805554665e-07,
      -1.0043224823968099e-07, 4.7698101693639804e-08, -2.2711094608943164e-08,
      1.0838659214896955e-08,  -5.183475041970047e-09, 2.4836745438024785e-09,
      -1.1921401405860912e-09, 5.731367241678862e-10,  -2.7595228851242334e-10,
      1.330476437424449e-10,   -6.4229645638381e-11,   3.1044247747322276e-11};
  return d * HORNER(c, d);
}

double mica_special_lgamma_1p(double x) { return lgamma_near_2(x) - log1p(x); }

/* DLMF 5.11.1; at 8 the first term left out is 2^-58. */
double mica_special_stirling_rest(double x) {
  static const double c[] = {0.08333333333333333,    -0.002777777777777778, 0.0007936507936507937,
                             -0.0005952380952380953, 0.0008417508417508417, -0.0019175269175269176,
                             0.00641025641025641,    -0.029550653594771242, 0.17964437236883057};
  double r = 1 / x;
  return r * HORNER(c, r * r);
}

static double lgamma_positive(double x) {
  if (x < 0.5) return mica_special_lgamma_1p(x) - log(x);
  if (x < 1.5) return mica_special_lgamma_1p(x - 1);
  if (x < 8) {
    double product = 1;
    while (x >= 2.5) product *= --x;
    return lgamma_near_2(x - 2) + log(product);
  }
  if (x > 0x1p1014) return x * (log(x) - 1); /* (x - 1/2) log(x) may overflow first */
  return (x - 0.5) * log(x) - x + HALF_LOG_2PI + mica_special_stirling_rest(x);
}

double mica_special_lgamma(double x) {
  if (isnan(x)) return x;
  if (isinf(x)) return (double)INFINITY;
  if (x > 0) return lgamma_positive(x);
  double from_whole = x - rint(x);
  if (from_whole == 0) return (double)INFINITY;
  if (x > -0.5) return mica_special_lgamma_1p(x) - log(-x);
  /* gamma(x) gamma(-x) = -pi / (x sin(pi x)), DLMF 5.5.3 */
  return log(PI / fabs(x * sin(PI * from_whole))) - lgamma_positive(-x);
}

/* ---- its derivatives -------------------------------------------------------------------------- */

double mica_special_digamma(double x) {
  static const double c[] = {0.08333333333333333,   -0.008333333333333333, 0.003968253968253968,
                             -0.004166666666666667, 0.007575757575757576,  -0.021092796092796094,
                             0.08333333333333333,   -0.4432598039215686};
  if (x == 0) return -1 / x;
  if (x == -(double)INFINITY) return (double)NAN;
  double y = 0;
  if (x < 0) {
    double from_whole = x - rint(x);
    if (from_whole == 0) return (double)NAN;
    y = -PI / tan(PI * from_whole);
    x = 1 - x;
  }
  for (; x < 10; x++) y -= 1 / x;
  if (x > 0x1p500) return y + log(x);
  double r = 1 / (x * x);
  return y + ((log(x) - 0.5 / x) - r * HORNER(c, r));
}

/* sum of (q + k)^-s for k = 0, 1, .. by the formula of Euler and Maclaurin (DLMF 25.11.5); q > 0. */
static double hurwitz_zeta(double s, double q) {
  static const double c[] = {
      0.08333333333333333,    -0.001388888888888889,   3.306878306878307e-05,
      -8.267195767195768e-07, 2.08767569878681e-08,    -5.284190138687493e-10,
      1.3382536530684679e-11, -3.3896802963225827e-13, 8.586062056277845e-15,
      -2.174868698558062e-16, 5.5090028283602295e-18,  -1.3954464685812522e-19};
  double sum = 0, far = 10 + s / 2;
  for (; q < far; q++) {
    double term = pow(q, -s);
    sum += term;
    if (term < sum * 0x1p-60) return sum;
  }
  double tail = pow(q, -s), rest = tail * (q / (s - 1) + 0.5), factor = s / q;
  for (int j = 0; j < 12; j++) {
    double term = c[j] * factor * tail;
    rest += term;
    if (fabs(term) < (sum + rest) * 0x1p-60) break;
    factor *= (s + 2 * j + 1) / q * ((s + 2 * j + 2) / q);
  }
  return sum + rest;
}

enum { POLYGAMMA_LIMIT = 128 };

/* The derivative of that order of cot(pi x) over pi^order, as a polynomial in c = cot(pi x): each is
 * -(1 + c^2) times the derivative of the one before. */
static double cotangent_derivative(int32_t order, double c) {
  double p[POLYGAMMA_LIMIT + 2] = {0, 1};
  for (int32_t n = 1; n <= order; n++) {
    double next[POLYGAMMA_LIMIT + 2] = {0};
    for (int32_t i = 1; i <= n; i++) {
      next[i - 1] -= i * p[i];
      next[i + 1] -= i * p[i];
    }
    for (int32_t i = 0; i <= n + 1; i++) p[i] = next[i];
  }
  return horner(p, (size_t)order + 2, c);
}

/* (-1)^(n + 1) n! zeta(n + 1, x) (DLMF 5.15.1, 25.11.12). */
static double polygamma_positive(int32_t order, double x) {
  double factorial = tgamma(order + 1.0);
  double size = factorial * hurwitz_zeta(order + 1.0, x);
  return order % 2 == 0 ? -size : size;
}

double mica_special_polygamma(int32_t order, double x) {
  if (isnan(x) || order < 1 || order > POLYGAMMA_LIMIT) return (double)NAN;
  bool even = order % 2 == 0;
  if (x == (double)INFINITY) return even ? -0.0 : 0;
  if (x > 0) return polygamma_positive(order, x);
  if (isinf(x)) return (double)NAN;
  double from_whole = x - rint(x);
  if (from_whole == 0) return even ? -(double)INFINITY : (double)INFINITY;
  /* DLMF 5.15.6 */
  double turn = pow(PI, order + 1.0) * cotangent_derivative(order, 1 / tan(PI * from_whole));
  double mirrored = polygamma_positive(order, 1 - x);
  return (even ? mirrored : -mirrored) - turn;
}

/* ---- Bessel functions ------------------------------------------------------------------------- */

/* e^-x I_n(x) for n = 0, 1 and x >= 0: the power series (DLMF 10.25.2), whose terms are all positive, or for
 * large x the asymptotic one (10.40.1), whose terms fall to e^-2x. */
static double bessel_scaled(int32_t n, double x) {
  if (x <= 20) {
    double quarter = x * x / 4, term = n == 0 ? 1 : x / 2, sum = term;
    for (int32_t k = 1; k < 200 && term > sum * 0x1p-56; k++) {
      term *= quarter / ((double)k * (k + n));
      sum += term;
    }
    return sum * exp(-x);
  }
  if (isinf(x)) return 0;
  double square = 4.0 * n * n, term = 1, sum = 1;
  for (int32_t k = 1; k < 60 && fabs(term) > 0x1p-56; k++) {
    double odd = 2.0 * k - 1;
    term *= (odd * odd - square) / (k * 8 * x);
    sum += term;
  }
  return sum / (sqrt(2 * PI) * sqrt(x));
}

double mica_special_bessel_i0e(double x) { return isnan(x) ? x : bessel_scaled(0, fabs(x)); }
double mica_special_bessel_i1e(double x) {
  return isnan(x) ? x : copysign(bessel_scaled(1, fabs(x)), x);
}

#undef PI
#undef HALF_LOG_2PI
#undef HORNER
