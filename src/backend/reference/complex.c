/* SPDX-License-Identifier: Apache-2.0 */
/* complex.c: functions of a complex number by real ones. <complex.h> is not used: its macros named
 * `complex` and `I` would reach into every file of the amalgamation. */
#include "backend/reference/complex_internal.h"

#include <math.h>

reference_complex mica_reference_complex_neg(reference_complex z) {
  return (reference_complex){-z.re, -z.im};
}

reference_complex mica_reference_complex_add(reference_complex x, reference_complex y) {
  return (reference_complex){x.re + y.re, x.im + y.im};
}

reference_complex mica_reference_complex_sub(reference_complex x, reference_complex y) {
  return (reference_complex){x.re - y.re, x.im - y.im};
}

/* Scaled by the larger part of y (Smith, "Algorithm 116: complex division", CACM 1962). */
reference_complex mica_reference_complex_div(reference_complex x, reference_complex y) {
  if (fabs(y.re) >= fabs(y.im)) {
    double ratio = y.re == 0 && y.im == 0 ? 0 : y.im / y.re;
    double scale = y.re + y.im * ratio;
    return (reference_complex){(x.re + x.im * ratio) / scale, (x.im - x.re * ratio) / scale};
  }
  double ratio = y.re / y.im, scale = y.re * ratio + y.im;
  return (reference_complex){(x.re * ratio + x.im) / scale, (x.im * ratio - x.re) / scale};
}

reference_complex mica_reference_complex_exp(reference_complex z) {
  double size = exp(z.re);
  if (z.im == 0) return (reference_complex){size, z.im};
  return (reference_complex){size * cos(z.im), size * sin(z.im)};
}

/* e^x cos y - 1 = expm1(x) cos y - 2 sin(y / 2)^2, which has no cancellation near 0. */
reference_complex mica_reference_complex_expm1(reference_complex z) {
  double half = sin(z.im / 2);
  return (reference_complex){expm1(z.re) * cos(z.im) - 2 * half * half, exp(z.re) * sin(z.im)};
}

/* log |x + iy|; near the unit circle by log1p(|z|^2 - 1) / 2 with the square split into factors. */
static double log_of_size(double x, double y) {
  double large = fmax(fabs(x), fabs(y)), small = fmin(fabs(x), fabs(y));
  double size = hypot(x, y);
  if (size > 0.5 && size < 2) return log1p((large - 1) * (large + 1) + small * small) / 2;
  return log(size);
}

reference_complex mica_reference_complex_log(reference_complex z) {
  return (reference_complex){log_of_size(z.re, z.im), atan2(z.im, z.re)};
}

/* |1 + z|^2 - 1 = x (2 + x) + y^2. */
reference_complex mica_reference_complex_log1p(reference_complex z) {
  double angle = atan2(z.im, 1 + z.re);
  if (fabs(z.re) < 0.5 && fabs(z.im) < 0.5)
    return (reference_complex){log1p(z.re * (2 + z.re) + z.im * z.im) / 2, angle};
  return (reference_complex){log_of_size(1 + z.re, z.im), angle};
}

/* Kahan, "Branch cuts for complex elementary functions", 1987. */
reference_complex mica_reference_complex_tanh(reference_complex z) {
  if (z.im == 0) return (reference_complex){tanh(z.re), z.im};
  if (isnan(z.im) && !isinf(z.re)) return (reference_complex){z.im, z.im};
  if (fabs(z.re) > 20) { /* 1 - |tanh| is below 2^-57 */
    double small = 4 * sin(z.im) * cos(z.im) * exp(-2 * fabs(z.re));
    return (reference_complex){copysign(1, z.re), small};
  }
  double t = tan(z.im), beta = 1 + t * t, s = sinh(z.re), rho = sqrt(1 + s * s);
  double scale = 1 + beta * s * s;
  return (reference_complex){beta * rho * s / scale, t / scale};
}

reference_complex mica_reference_complex_logistic(reference_complex z) {
  bool left = z.re < 0;
  reference_complex e = mica_reference_complex_exp(left ? z : mica_reference_complex_neg(z));
  reference_complex one = {1, 0}, sum = {1 + e.re, e.im};
  return mica_reference_complex_div(left ? e : one, sum);
}

/* The half of larger size comes from the half-angle formula, the other one by division. */
reference_complex mica_reference_complex_sqrt(reference_complex z) {
  if (z.re == 0 && z.im == 0) return (reference_complex){0, z.im};
  if (isinf(z.im)) return (reference_complex){(double)INFINITY, z.im};
  double size = hypot(z.re / 2, z.im / 2), half = sqrt(size + fabs(z.re) / 2);
  if (z.re >= 0) return (reference_complex){half, z.im / (2 * half)};
  return (reference_complex){fabs(z.im) / (2 * half), copysign(half, z.im)};
}

reference_complex mica_reference_complex_rsqrt(reference_complex z) {
  if (isinf(z.re) || isinf(z.im)) return (reference_complex){0, copysign(0, -z.im)};
  return mica_reference_complex_div((reference_complex){1, 0}, mica_reference_complex_sqrt(z));
}

reference_complex mica_reference_complex_sin(reference_complex z) {
  return (reference_complex){sin(z.re) * cosh(z.im), cos(z.re) * sinh(z.im)};
}

reference_complex mica_reference_complex_cos(reference_complex z) {
  return (reference_complex){cos(z.re) * cosh(z.im), -sin(z.re) * sinh(z.im)};
}

/* f(iz) = i f(z) for sin and sinh, tan and tanh; cosh(z) = cos(iz). */
reference_complex mica_reference_complex_tan(reference_complex z) {
  reference_complex y = mica_reference_complex_tanh((reference_complex){-z.im, z.re});
  return (reference_complex){y.im, -y.re};
}

reference_complex mica_reference_complex_sinh(reference_complex z) {
  return (reference_complex){sinh(z.re) * cos(z.im), cosh(z.re) * sin(z.im)};
}

reference_complex mica_reference_complex_cosh(reference_complex z) {
  return (reference_complex){cosh(z.re) * cos(z.im), sinh(z.re) * sin(z.im)};
}

reference_complex mica_reference_complex_conj(reference_complex z) {
  return (reference_complex){z.re, -z.im};
}

reference_complex mica_reference_complex_pow(reference_complex x, reference_complex y) {
  if (y.re == 0 && y.im == 0) return (reference_complex){1, 0};
  if (x.re == 0 && x.im == 0 && y.re > 0) return (reference_complex){0, 0};
  return mica_reference_complex_exp(mica_reference_complex_mul(y, mica_reference_complex_log(x)));
}
