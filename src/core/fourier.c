/* SPDX-License-Identifier: Apache-2.0 */
/* fourier.c: roots of one by reduction to the first octant in whole numbers, and the plain transform:
 * recursive decimation in time over a table of all roots, in which a root never carries the rounding of
 * another one. */
#include "core/fourier.h"

#include <math.h>

#include "core/memory.h"

enum { FOURIER_RADIX = 64 }; /* larger prime factors go through a convolution */

void mica_unit_root(int64_t k, int64_t n, double *out_cosine, double *out_sine) {
  /* pi / 4 in two parts; the quotient too, so that the angle is right beyond its last place. */
  const double high = 0x1.921fb54442d18p-1, low = 0x1.1a62633145c07p-55;
  k %= n;
  if (k < 0) k += n;
  int64_t octant = 8 * k / n, rest = 8 * k - octant * n;
  bool odd = octant % 2 == 1;
  if (odd) rest = n - rest;
  double quotient = (double)rest / (double)n;
  double quotient_low = fma(-quotient, (double)n, (double)rest) / (double)n;
  double angle = quotient * high;
  double angle_low = fma(quotient, high, -angle) + quotient * low + quotient_low * high;
  double c = cos(angle), s = sin(angle);
  double x = c - s * angle_low, y = s + c * angle_low;
  if (odd) y = -y;
  switch ((octant + odd) / 2 % 4) {
    case 0: *out_cosine = x, *out_sine = y; break;
    case 1: *out_cosine = -y, *out_sine = x; break;
    case 2: *out_cosine = -x, *out_sine = -y; break;
    default: *out_cosine = y, *out_sine = -x; break;
  }
}

static int64_t smallest_factor(int64_t n) {
  for (int64_t p = 2; p <= n / p; p++)
    if (n % p == 0) return p;
  return n;
}

int64_t mica_largest_factor(int64_t n) {
  int64_t largest = 1;
  while (n > 1) {
    largest = smallest_factor(n);
    while (n % largest == 0) n /= largest;
  }
  return largest;
}

static bool is_direct(int64_t n) { return mica_largest_factor(n) <= FOURIER_RADIX; }

/* The convolution's length: a power of two that holds 2 n - 1. */
static int64_t padded_length(int64_t n) {
  int64_t m = 1;
  while (m < 2 * n - 1) m *= 2;
  return m;
}

bool mica_fourier_scratch(int64_t n, size_t *out_doubles) {
  if (n < 1 || n > INT64_C(1) << 55) return false;
  size_t count = (size_t)n;
  if (is_direct(n)) return mica_size_multiply(count, 2, out_doubles);
  size_t m = (size_t)padded_length(n), parts;
  return mica_size_multiply(m, 8, &parts) && mica_size_multiply(count, 2, &count) &&
         mica_size_add(parts, count, out_doubles);
}

static void fill_roots(int64_t n, double *roots) {
  for (int64_t k = 0; k < n; k++) mica_unit_root(-k, n, &roots[2 * k], &roots[2 * k + 1]);
}

/* ---- mixed radix ------------------------------------------------------------------------------ */

typedef struct {
  int64_t n;           /* of the table */
  const double *roots; /* e^(-2 pi i k / n) */
  double sign;         /* of the imaginary parts: -1 for the inverse */
} fourier_table;

/* One output column of a radix-r step: out[k + q m] for all q from r values `step` apart. */
static void combine(const fourier_table *table, int64_t r, int64_t m, int64_t k, double *out) {
  double value[2 * FOURIER_RADIX];
  int64_t every = table->n / (r * m); /* the table's step for roots of order r m */
  for (int64_t i = 0; i < r; i++) {
    const double *root = table->roots + 2 * (i * k * every), *x = out + 2 * (i * m + k);
    double im = table->sign * root[1];
    value[2 * i] = x[0] * root[0] - x[1] * im;
    value[2 * i + 1] = x[0] * im + x[1] * root[0];
  }
  for (int64_t q = 0; q < r; q++) {
    double re = value[0], im = value[1];
    for (int64_t i = 1; i < r; i++) {
      const double *root = table->roots + 2 * (i * q % r * (table->n / r));
      double root_im = table->sign * root[1];
      re += value[2 * i] * root[0] - value[2 * i + 1] * root_im;
      im += value[2 * i] * root_im + value[2 * i + 1] * root[0];
    }
    out[2 * (k + q * m)] = re;
    out[2 * (k + q * m) + 1] = im;
  }
}

static void transform(const fourier_table *table, int64_t n, const double *in, int64_t step,
                      double *out) {
  if (n == 1) {
    out[0] = in[0];
    out[1] = in[1];
    return;
  }
  int64_t r = n % 4 == 0 ? 4 : smallest_factor(n), m = n / r;
  for (int64_t i = 0; i < r; i++) transform(table, m, in + 2 * i * step, step * r, out + 2 * i * m);
  for (int64_t k = 0; k < m; k++) combine(table, r, m, k, out);
}

/* ---- any length ------------------------------------------------------------------------------- */

/* The scratch of a convolution: chirp [n], roots, filter, two arrays [m]. */
typedef struct {
  int64_t m;
  double *chirp, *roots, *filter, *a, *b;
} chirp_parts;

static chirp_parts cut_scratch(int64_t n, double *scratch) {
  chirp_parts p = {.m = padded_length(n), .chirp = scratch, .roots = scratch + 2 * n};
  p.filter = p.roots + 2 * p.m;
  p.a = p.filter + 2 * p.m;
  p.b = p.a + 2 * p.m;
  return p;
}

void mica_fourier_prepare(int64_t n, double *scratch) {
  if (is_direct(n)) {
    fill_roots(n, scratch);
    return;
  }
  /* jk = (j^2 + k^2 - (k - j)^2) / 2, so the transform is a convolution with e^(pi i j^2 / n). */
  chirp_parts p = cut_scratch(n, scratch);
  fill_roots(p.m, p.roots);
  for (int64_t j = 0; j < 2 * p.m; j++) p.a[j] = 0;
  for (int64_t j = 0, square = 0; j < n; j++) {
    double *c = p.chirp + 2 * j;
    mica_unit_root(-square, 2 * n, &c[0], &c[1]);
    int64_t mirror = j == 0 ? 0 : p.m - j;
    p.a[2 * j] = p.a[2 * mirror] = c[0];
    p.a[2 * j + 1] = p.a[2 * mirror + 1] = -c[1];
    square = (square + 2 * j + 1) % (2 * n);
  }
  transform(&(fourier_table){p.m, p.roots, 1}, p.m, p.a, 1, p.filter);
}

static void transform_chirped(int64_t n, double sign, const double *in, double *out,
                              double *scratch) {
  chirp_parts p = cut_scratch(n, scratch);
  for (int64_t j = 0; j < 2 * p.m; j++) p.a[j] = 0;
  for (int64_t j = 0; j < n; j++) {
    double re = in[2 * j], im = sign * in[2 * j + 1], c = p.chirp[2 * j], s = p.chirp[2 * j + 1];
    p.a[2 * j] = re * c - im * s;
    p.a[2 * j + 1] = re * s + im * c;
  }
  transform(&(fourier_table){p.m, p.roots, 1}, p.m, p.a, 1, p.b);
  for (int64_t k = 0; k < p.m; k++) {
    double re = p.b[2 * k], im = p.b[2 * k + 1], c = p.filter[2 * k], s = p.filter[2 * k + 1];
    p.b[2 * k] = re * c - im * s;
    p.b[2 * k + 1] = re * s + im * c;
  }
  transform(&(fourier_table){p.m, p.roots, -1}, p.m, p.b, 1, p.a);
  for (int64_t k = 0; k < n; k++) {
    double re = p.a[2 * k], im = p.a[2 * k + 1], c = p.chirp[2 * k], s = p.chirp[2 * k + 1];
    out[2 * k] = (re * c - im * s) / (double)p.m;
    out[2 * k + 1] = sign * ((re * s + im * c) / (double)p.m);
  }
}

void mica_fourier(int64_t n, bool inverse, const double *in, double *out, double *scratch) {
  double sign = inverse ? -1 : 1;
  if (is_direct(n))
    transform(&(fourier_table){n, scratch, sign}, n, in, 1, out);
  else
    transform_chirped(n, sign, in, out, scratch);
}
