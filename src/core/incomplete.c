/* SPDX-License-Identifier: Apache-2.0 */
/* incomplete.c: the regularized incomplete gamma and beta functions and their derivatives by a parameter.
 *
 * Both are a density times a series or a continued fraction (NIST's DLMF 8.7.1, 8.9.2, 8.17.22). Those are
 * computed with numbers that carry a derivative along, so that value and slope come from one loop. The
 * density of large parameters is written by what its logarithm is beyond its maximum, since
 * logarithms of gamma would cancel. Loops need about 6 sqrt(parameter) rounds; they end after LIMIT, that is
 * for parameters above 10^7 near the middle of the distribution. */
#include "core/special.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

enum { INCOMPLETE_LIMIT = 20000 };
#define LARGE_PARAMETER 10

/* ---- numbers with a derivative ---------------------------------------------------------------- */

typedef struct {
  double v, d;
} dual;
static dual dual_number(double v, double d) { return (dual){v, d}; }
static dual dual_add(dual x, dual y) { return (dual){x.v + y.v, x.d + y.d}; }
static dual dual_mul(dual x, dual y) { return (dual){x.v * y.v, x.d * y.v + x.v * y.d}; }
static dual dual_div(dual x, dual y) {
  double v = x.v / y.v;
  return (dual){v, (x.d - v * y.d) / y.v};
}
/* Not 0, which a continued fraction would divide by. */
static dual dual_nonzero(dual x) { return fabs(x.v) < 1e-290 ? (dual){1e-290, x.d} : x; }
static bool dual_settled(dual factor) { /* a factor of 1 that changes neither part */
  return fabs(factor.v - 1) <= DBL_EPSILON && fabs(factor.d) <= DBL_EPSILON;
}

/* One round of the modified method of Lentz (Thompson and Barnett, 1986) for y = b0 + a1 / (b1 + a2 / ..):
 * c and d are the ratios of neighboring numerators and denominators. */
typedef struct {
  dual y, c, d;
} lentz_fraction;
static dual lentz_round(lentz_fraction *f, dual a, dual b) {
  const dual one = {1, 0};
  f->d = dual_div(one, dual_nonzero(dual_add(b, dual_mul(a, f->d))));
  f->c = dual_nonzero(dual_add(b, dual_div(a, f->c)));
  dual factor = dual_mul(f->c, f->d);
  f->y = dual_mul(f->y, factor);
  return factor;
}

/* x - log(1 + x) without cancellation: with r = x / (2 + x) it is x r - 2 (r^3 / 3 + r^5 / 5 + ..). `whole` is
 * 1 + x without the rounding of x. */
static double excess_of_log(double x, double whole) {
  if (!(fabs(x) < 0.5)) return x - log(whole);
  double r = x / (2 + x), square = r * r, power = r * square, sum = 0;
  for (int k = 3; k < 60 && fabs(power) > fabs(sum) * 0x1p-56; k += 2) {
    sum += power / k;
    power *= square;
  }
  return x * r - 2 * sum;
}

/* ---- gamma ------------------------------------------------------------------------------------ */

/* x^a e^-x / gamma(a + 1) */
static dual gamma_weight(double a, double x) {
  double size;
  if (a < LARGE_PARAMETER) {
    size = exp(a * log(x) - x - mica_special_lgamma(a + 1));
  } else {
    double off = excess_of_log((x - a) / a, x / a);
    size = exp(-a * off - mica_special_stirling_rest(a)) / sqrt(6.28318530717958647693 * a);
  }
  return dual_number(size, size * (log(x) - mica_special_digamma(a + 1)));
}

/* igamma, by a series of positive terms. */
static dual lower_gamma(double a, double x) {
  dual term = {1, 0}, sum = {1, 0};
  for (int n = 1; n < INCOMPLETE_LIMIT; n++) {
    term = dual_mul(term, dual_div(dual_number(x, 0), dual_number(a + n, 1)));
    sum = dual_add(sum, term);
    if (term.v <= sum.v * 0x1p-55 && fabs(term.d) <= fabs(sum.d) * 0x1p-55) break;
  }
  return dual_mul(gamma_weight(a, x), sum);
}

/* igammac, by a continued fraction. */
static dual upper_gamma(double a, double x) {
  dual b = {x + 1 - a, -1}, tiny = {1e-290, 0};
  lentz_fraction f = {.y = tiny, .c = tiny, .d = {0, 0}};
  lentz_round(&f, dual_number(1, 0), b);
  for (int n = 1; n < INCOMPLETE_LIMIT; n++) {
    b.v += 2;
    if (dual_settled(lentz_round(&f, dual_number(-n * (n - a), n), b))) break;
  }
  return dual_mul(dual_mul(gamma_weight(a, x), dual_number(a, 1)), f.y);
}

/* igammac for small a, where 1 - igamma would cancel: x^a / gamma(1 + a) is nearly 1, and what is left is
 * a x^a / gamma(1 + a) times the sum of (-x)^n / (n! (a + n)) (DLMF 8.7.1). */
static double upper_gamma_small(double a, double x) {
  double power = a * log(x) - mica_special_lgamma_1p(a), sum = 0, term = 1;
  for (int n = 1; n < 60; n++) {
    term *= -x / n;
    sum += term / (a + n);
    if (fabs(term) <= fabs(sum) * 0x1p-56) break;
  }
  return -expm1(power) - a * exp(power) * sum;
}

/* The smaller of the two is computed, of which *out_upper says which. */
static bool incomplete_gamma(double a, double x, dual *out, bool *out_upper) {
  *out_upper = false;
  *out = dual_number((double)NAN, (double)NAN);
  if (!(a > 0) || !(x >= 0) || (isinf(a) && isinf(x))) return true;
  if (x == 0 || isinf(a)) {
    *out = dual_number(0, 0);
    return true;
  }
  *out_upper = x > a + 1 || isinf(x);
  if (isinf(x)) {
    *out = dual_number(0, 0);
    return true;
  }
  *out = *out_upper ? upper_gamma(a, x) : lower_gamma(a, x);
  return false;
}

double mica_special_igamma(double a, double x) {
  dual y;
  bool upper;
  incomplete_gamma(a, x, &y, &upper);
  return upper ? 1 - y.v : fmin(y.v, 1 + 0 * y.v);
}
double mica_special_igammac(double a, double x) {
  dual y;
  bool upper, special = incomplete_gamma(a, x, &y, &upper);
  if (!special && !upper && a < 0.5 && x < 1.5) return upper_gamma_small(a, x);
  return upper ? y.v : 1 - y.v;
}
double mica_special_igamma_slope(double a, double x) {
  dual y;
  bool upper;
  incomplete_gamma(a, x, &y, &upper);
  return upper ? -y.d : y.d;
}

/* ---- beta ------------------------------------------------------------------------------------- */

/* lgamma(a + b) - lgamma(b) for b >= LARGE_PARAMETER, without cancellation. */
static double log_gamma_step(double a, double b) {
  double rest = mica_special_stirling_rest(a + b) - mica_special_stirling_rest(b);
  return (b - 0.5) * log1p(a / b) + a * log(a + b) - a + rest;
}

/* x^a y^b gamma(a + b) / (gamma(a) gamma(b)), y = 1 - x */
static double beta_weight(double a, double b, double x, double y) {
  double small = fmin(a, b), large = fmax(a, b);
  if (small >= LARGE_PARAMETER) {
    double mean = a / (a + b), off = a - (a + b) * x; /* how far x is below the mean, times a + b */
    if (a > b) off = (a + b) * y - b;
    double down = excess_of_log(-off / a, x / mean);
    double up = excess_of_log(off / b, y / (b / (a + b)));
    double rest = mica_special_stirling_rest(a) + mica_special_stirling_rest(b) -
                  mica_special_stirling_rest(a + b);
    return sqrt(b * mean / 6.28318530717958647693) * exp(-(a * down + b * up) - rest);
  }
  double power = a * log(x) + b * log(y);
  if (x < 0.5) power = a * log(x) + b * log1p(-x);
  double scale = large >= LARGE_PARAMETER
                     ? log_gamma_step(small, large) - mica_special_lgamma(small)
                     : mica_special_lgamma(a + b) - mica_special_lgamma(a) - mica_special_lgamma(b);
  return exp(power + scale);
}

/* The integral from 0, x below the mean; da and db say by what to differentiate. */
static dual lower_beta(double a_value, double da, double b_value, double db, double x, double y) {
  dual a = {a_value, da}, b = {b_value, db}, sum = dual_add(a, b);
  double weight = beta_weight(a_value, b_value, x, y), both = mica_special_digamma(sum.v);
  double slope = 0;
  if (da != 0) slope += log(x) - mica_special_digamma(a_value) + both;
  if (db != 0) slope += (x < 0.5 ? log1p(-x) : log(y)) - mica_special_digamma(b_value) + both;
  const dual one = {1, 0}, tiny = {1e-290, 0};
  lentz_fraction f = {.y = tiny, .c = tiny, .d = {0, 0}};
  lentz_round(&f, one, one);
  for (int m = 0; m < INCOMPLETE_LIMIT; m++) {
    dual at = dual_add(a, dual_number(2 * m, 0)), up = dual_add(at, one);
    dual odd = dual_mul(dual_add(a, dual_number(m, 0)), dual_add(sum, dual_number(m, 0)));
    odd = dual_div(dual_mul(odd, dual_number(-x, 0)), dual_mul(at, up));
    dual change = lentz_round(&f, odd, one);
    dual even = dual_mul(dual_number((m + 1) * x, 0), dual_add(b, dual_number(-m - 1, 0)));
    even = dual_div(even, dual_mul(up, dual_add(up, one)));
    change = dual_mul(change, lentz_round(&f, even, one));
    if (dual_settled(change)) break;
  }
  return dual_div(dual_mul(dual_number(weight, weight * slope), f.y), a);
}

static dual incomplete_beta(double a, double da, double b, double db, double x) {
  bool valid = a > 0 && b > 0 && !isinf(a) && !isinf(b) && x >= 0 && x <= 1;
  if (!valid) return dual_number((double)NAN, (double)NAN);
  if (x == 0 || x == 1) return dual_number(x, 0);
  if (x <= (a + 1) / (a + b + 2)) return lower_beta(a, da, b, db, x, 1 - x);
  dual rest = lower_beta(b, db, a, da, 1 - x, x);
  return dual_number(1 - rest.v, -rest.d);
}

double mica_special_betainc(double a, double b, double x) {
  return incomplete_beta(a, 0, b, 0, x).v;
}
double mica_special_betainc_slope(double a, double b, double x, int32_t parameter) {
  return incomplete_beta(a, parameter == 0, b, parameter == 1, x).d;
}

#undef LARGE_PARAMETER
