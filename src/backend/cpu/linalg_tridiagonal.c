/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_tridiagonal.c: eigenvalues of a symmetric tridiagonal matrix by implicit QL or QR steps
 * with Wilkinson's shift (Parlett, The Symmetric Eigenvalue Problem, 8.9 to 8.13). Each block is
 * walked from its larger end to the smaller one, which keeps graded matrices accurate. */
#include "backend/cpu/linalg_rotations.h"

#include <float.h>
#include <math.h>

/* The eigenvalues of [[a, b], [b, c]], the larger in size first, and (c, s), its eigenvector. */
static void eigen_pair(double a, double b, double c, double *out_first, double *out_second,
                       double *out_c, double *out_s) {
  double sum = a + c, difference = a - c, twice = 2 * b;
  double root = hypot(difference, twice);
  double large = fabs(a) > fabs(c) ? a : c, little = fabs(a) > fabs(c) ? c : a;
  bool negative = sum < 0;
  if (sum == 0) {
    *out_first = 0.5 * root;
    *out_second = -0.5 * root;
  } else {
    *out_first = 0.5 * (negative ? sum - root : sum + root);
    *out_second = (large / *out_first) * little - (b / *out_first) * b;
  }
  bool falls = difference < 0;
  double side = falls ? difference - root : difference + root, cosine, sine;
  if (fabs(side) > fabs(twice)) {
    double cotangent = -twice / side;
    sine = 1 / sqrt(1 + cotangent * cotangent);
    cosine = cotangent * sine;
  } else if (twice == 0) {
    cosine = 1;
    sine = 0;
  } else {
    double tangent = -side / twice;
    cosine = 1 / sqrt(1 + tangent * tangent);
    sine = tangent * cosine;
  }
  *out_c = negative == falls ? -sine : cosine;
  *out_s = negative == falls ? cosine : sine;
}

typedef struct {
  double *d, *e, epsilon;
  mica_rotations *rotations;
  int64_t left; /* steps that may still be made */
} tridiagonal;

static bool splits_at(const tridiagonal *t, int64_t m) {
  double off = fabs(t->e[m]);
  return off * off <= t->epsilon * t->epsilon * fabs(t->d[m]) * fabs(t->d[m + 1]) + DBL_MIN;
}

static void finish_pair(tridiagonal *t, int64_t at, bool backward) {
  double c, s, first, second;
  eigen_pair(t->d[at], t->e[at], t->d[at + 1], &first, &second, &c, &s);
  t->d[at] = first;
  t->d[at + 1] = second;
  t->e[at] = 0;
  double *pair = mica_rotations_add(t->rotations, at, 1, backward);
  if (pair) pair[0] = c, pair[1] = s;
}

/* What the shifted matrix of the end (d0, e0, d1) leaves of d_far. */
static double shifted_start(double d0, double e0, double d1, double d_far) {
  double g = (d1 - d0) / (2 * e0), r = hypot(g, 1);
  return d_far - d0 + e0 / (g + (g < 0 ? -r : r));
}

/* Rows l .. m, up from m. */
static void step_up(tridiagonal *t, int64_t l, int64_t m) {
  double *d = t->d, *e = t->e, s = 1, c = 1, p = 0;
  double g = shifted_start(d[l], e[l], d[l + 1], d[m]);
  double *pairs = mica_rotations_add(t->rotations, l, m - l, true);
  for (int64_t i = m - 1; i >= l; i--) {
    double f = s * e[i], b = c * e[i], r = mica_plane_rotation(g, f, &c, &s);
    if (i != m - 1) e[i + 1] = r;
    g = d[i + 1] - p;
    r = (d[i] - g) * s + 2 * c * b;
    p = s * r;
    d[i + 1] = g + p;
    g = c * r - b;
    if (pairs) pairs[2 * (i - l)] = c, pairs[2 * (i - l) + 1] = -s;
  }
  d[l] -= p;
  e[l] = g;
}

/* Rows m .. l, down from m. */
static void step_down(tridiagonal *t, int64_t l, int64_t m) {
  double *d = t->d, *e = t->e, s = 1, c = 1, p = 0;
  double g = shifted_start(d[l], e[l - 1], d[l - 1], d[m]);
  double *pairs = mica_rotations_add(t->rotations, m, l - m, false);
  for (int64_t i = m; i < l; i++) {
    double f = s * e[i], b = c * e[i], r = mica_plane_rotation(g, f, &c, &s);
    if (i != m) e[i - 1] = r;
    g = d[i] - p;
    r = (d[i + 1] - g) * s + 2 * c * b;
    p = s * r;
    d[i] = g + p;
    g = c * r - b;
    if (pairs) pairs[2 * (i - m)] = c, pairs[2 * (i - m) + 1] = s;
  }
  d[l] -= p;
  e[l - 1] = g;
}

static bool solve_upwards(tridiagonal *t, int64_t l, int64_t end) {
  while (l <= end) {
    int64_t m = l;
    while (m < end && !splits_at(t, m)) m++;
    if (m < end) t->e[m] = 0;
    if (m == l) {
      l++;
    } else if (m == l + 1) {
      finish_pair(t, l, true);
      l += 2;
    } else {
      if (t->left-- <= 0) return false;
      step_up(t, l, m);
    }
  }
  return true;
}

static bool solve_downwards(tridiagonal *t, int64_t l, int64_t end) {
  while (l >= end) {
    int64_t m = l;
    while (m > end && !splits_at(t, m - 1)) m--;
    if (m > end) t->e[m - 1] = 0;
    if (m == l) {
      l--;
    } else if (m == l - 1) {
      finish_pair(t, l - 1, false);
      l -= 2;
    } else {
      if (t->left-- <= 0) return false;
      step_down(t, l, m);
    }
  }
  return true;
}

bool mica_tridiagonal_eigenvalues(int64_t n, double *d, double *e, double epsilon,
                                  mica_rotations *rotations) {
  tridiagonal t = {d, e, epsilon, rotations, 40 * n};
  for (int64_t from = 0; from < n;) {
    int64_t end = from;
    while (end + 1 < n && fabs(e[end]) > epsilon * sqrt(fabs(d[end])) * sqrt(fabs(d[end + 1])))
      end++;
    if (end + 1 < n) e[end] = 0;
    bool good = fabs(d[end]) < fabs(d[from]) ? solve_downwards(&t, end, from)
                                             : solve_upwards(&t, from, end);
    if (!good) return false;
    from = end + 1;
  }
  if (rotations->rows != NULL) mica_rotations_apply(rotations);
  return true;
}
