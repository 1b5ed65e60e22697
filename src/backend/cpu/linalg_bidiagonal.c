/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_bidiagonal.c: singular values of an upper bidiagonal matrix by implicit QR steps, with a
 * shift of zero wherever a shift would cost small values their relative accuracy (Demmel and Kahan
 * 1990, "Accurate singular values of bidiagonal matrices"). */
#include "backend/cpu/linalg_rotations.h"

#include <float.h>
#include <math.h>

static double with_sign(double size, double of) { return copysign(size, of); }

/* The smaller singular value of [[f, g], [0, h]]. */
static double smaller_value(double f, double g, double h) {
  double least = fmin(fabs(f), fabs(h)), most = fmax(fabs(f), fabs(h)), side = fabs(g);
  if (least == 0) return 0;
  double sum = 1 + least / most, difference = (most - least) / most;
  if (side < most) {
    double square = side / most * (side / most);
    return least * (2 / (sqrt(sum * sum + square) + sqrt(difference * difference + square)));
  }
  double ratio = most / side;
  if (ratio == 0) return least * most / side;
  double c = 1 / (sqrt(1 + sum * ratio * (sum * ratio)) +
                  sqrt(1 + difference * ratio * (difference * ratio)));
  return 2 * (least * c * ratio);
}

typedef struct {
  double small, large; /* with signs */
  double left_c, left_s, right_c, right_s;
} two_by_two;

/* [[f, g], [0, h]] with full relative accuracy: left [[f, g], [0, h]] right' = diagonal(large,
 * small), rotations as in mica_rotations_add. */
static two_by_two solve_two_by_two(double f, double g, double h) {
  bool swapped = fabs(h) > fabs(f);
  double first = swapped ? h : f, last = swapped ? f : h;
  double fa = fabs(first), ha = fabs(last), ga = fabs(g), cl = 1, cr = 1, sl = 0, sr = 0;
  two_by_two r = {ha, fa, 1, 0, 1, 0};
  int dominant = swapped ? 3 : 1;
  if (ga > 0) {
    if (ga > fa) dominant = 2;
    if (ga > fa && fa / ga < DBL_EPSILON / 2) {
      r.large = ga;
      r.small = ha > 1 ? fa / (ga / ha) : fa / ga * ha;
      sl = last / g;
      sr = 1;
      cr = first / g;
    } else {
      double d = fa - ha, l = d == fa ? 1 : d / fa, m = g / first, t = 2 - l;
      double s = sqrt(t * t + m * m), q = l == 0 ? fabs(m) : sqrt(l * l + m * m);
      double a = 0.5 * (s + q);
      r.small = ha / a;
      r.large = fa * a;
      if (m * m == 0)
        t = l == 0 ? with_sign(2, first) * with_sign(1, g) : g / with_sign(d, first) + m / t;
      else
        t = (m / (s + t) + m / (q + l)) * (1 + a);
      l = sqrt(t * t + 4);
      cr = 2 / l;
      sr = t / l;
      cl = (cr + sr * m) / a;
      sl = last / first * sr / a;
    }
  }
  r.left_c = swapped ? sr : cl, r.left_s = swapped ? cr : sl;
  r.right_c = swapped ? sl : cr, r.right_s = swapped ? cl : sr;
  double sign = dominant == 1 ? with_sign(1, r.right_c) * with_sign(1, r.left_c) * with_sign(1, f)
                : dominant == 2
                    ? with_sign(1, r.right_s) * with_sign(1, r.left_c) * with_sign(1, g)
                    : with_sign(1, r.right_s) * with_sign(1, r.left_s) * with_sign(1, h);
  r.large = with_sign(r.large, sign);
  r.small = with_sign(r.small, sign * with_sign(1, f) * with_sign(1, h));
  return r;
}

typedef struct {
  double *d, *e, tolerance, threshold;
  mica_rotations *left, *right;
} bidiagonal;

static void set_pair(double *pairs, int64_t at, double c, double s) {
  if (pairs) pairs[2 * at] = c, pairs[2 * at + 1] = s;
}

/* One step from row `low` to `high`, or back, with and without a shift. */
static void chase_down(const bidiagonal *b, int64_t low, int64_t high, double shift) {
  double *d = b->d, *e = b->e;
  double *right = mica_rotations_add(b->right, low, high - low, false),
         *left = mica_rotations_add(b->left, low, high - low, false);
  if (shift == 0) {
    double c = 1, s = 0, old_c = 1, old_s = 0, r;
    for (int64_t i = low; i < high; i++) {
      r = mica_plane_rotation(d[i] * c, e[i], &c, &s);
      if (i > low) e[i - 1] = old_s * r;
      d[i] = mica_plane_rotation(old_c * r, d[i + 1] * s, &old_c, &old_s);
      set_pair(right, i - low, c, s);
      set_pair(left, i - low, old_c, old_s);
    }
    double h = d[high] * c;
    d[high] = h * old_c;
    e[high - 1] = h * old_s;
  } else {
    double f = (fabs(d[low]) - shift) * (with_sign(1, d[low]) + shift / d[low]), g = e[low], c, s;
    for (int64_t i = low; i < high; i++) {
      double r = mica_plane_rotation(f, g, &c, &s);
      if (i > low) e[i - 1] = r;
      set_pair(right, i - low, c, s);
      f = c * d[i] + s * e[i];
      e[i] = c * e[i] - s * d[i];
      g = s * d[i + 1];
      d[i + 1] = c * d[i + 1];
      d[i] = mica_plane_rotation(f, g, &c, &s);
      set_pair(left, i - low, c, s);
      f = c * e[i] + s * d[i + 1];
      d[i + 1] = c * d[i + 1] - s * e[i];
      if (i + 1 < high) {
        g = s * e[i + 1];
        e[i + 1] = c * e[i + 1];
      }
    }
    e[high - 1] = f;
  }
  if (fabs(e[high - 1]) <= b->threshold) e[high - 1] = 0;
}

static void chase_up(const bidiagonal *b, int64_t low, int64_t high, double shift) {
  double *d = b->d, *e = b->e;
  double *right = mica_rotations_add(b->right, low, high - low, true),
         *left = mica_rotations_add(b->left, low, high - low, true);
  if (shift == 0) {
    double c = 1, s = 0, old_c = 1, old_s = 0, r;
    for (int64_t i = high; i > low; i--) {
      r = mica_plane_rotation(d[i] * c, e[i - 1], &c, &s);
      if (i < high) e[i] = old_s * r;
      d[i] = mica_plane_rotation(old_c * r, d[i - 1] * s, &old_c, &old_s);
      set_pair(left, i - 1 - low, c, -s);
      set_pair(right, i - 1 - low, old_c, -old_s);
    }
    double h = d[low] * c;
    d[low] = h * old_c;
    e[low] = h * old_s;
  } else {
    double f = (fabs(d[high]) - shift) * (with_sign(1, d[high]) + shift / d[high]), g = e[high - 1],
           c, s;
    for (int64_t i = high; i > low; i--) {
      double r = mica_plane_rotation(f, g, &c, &s);
      if (i < high) e[i] = r;
      set_pair(left, i - 1 - low, c, -s);
      f = c * d[i] + s * e[i - 1];
      e[i - 1] = c * e[i - 1] - s * d[i];
      g = s * d[i - 1];
      d[i - 1] = c * d[i - 1];
      d[i] = mica_plane_rotation(f, g, &c, &s);
      set_pair(right, i - 1 - low, c, -s);
      f = c * e[i - 1] + s * d[i - 1];
      d[i - 1] = c * d[i - 1] - s * e[i - 1];
      if (i > low + 1) {
        g = s * e[i - 2];
        e[i - 2] = c * e[i - 2];
      }
    }
    e[low] = f;
  }
  if (fabs(e[low]) <= b->threshold) e[low] = 0;
}

/* Sets an element of e in [low, high) to zero that changes no value much; true when there was one.
 * Otherwise *out_least bounds the smallest value from below. */
static bool drop_element(const bidiagonal *b, int64_t low, int64_t high, bool down,
                         double *out_least) {
  double *d = b->d, *e = b->e;
  int64_t end = down ? high - 1 : low;
  if (fabs(e[end]) <= b->tolerance * fabs(d[down ? high : low])) {
    e[end] = 0;
    return true;
  }
  double mu = fabs(d[down ? low : high]);
  *out_least = mu;
  for (int64_t k = 0; k < high - low; k++) {
    int64_t i = down ? low + k : high - 1 - k;
    if (fabs(e[i]) <= b->tolerance * mu) {
      e[i] = 0;
      return true;
    }
    mu = fabs(d[down ? i + 1 : i]) * (mu / (mu + fabs(e[i])));
    *out_least = fmin(*out_least, mu);
  }
  return false;
}

static void finish_two(const bidiagonal *b, int64_t at) {
  two_by_two r = solve_two_by_two(b->d[at], b->e[at], b->d[at + 1]);
  b->d[at] = r.large;
  b->d[at + 1] = r.small;
  b->e[at] = 0;
  set_pair(mica_rotations_add(b->right, at, 1, false), 0, r.right_c, r.right_s);
  set_pair(mica_rotations_add(b->left, at, 1, false), 0, r.left_c, r.left_s);
}

static bool iterate_values(const bidiagonal *b, int64_t n) {
  double *d = b->d, *e = b->e;
  int64_t high = n - 1, old_low = -1, old_high = -1;
  double steps = 12.0 * (double)n * (double)n + 100;
  bool down = true;
  while (high > 0) {
    double largest = fabs(d[high]), least = 0;
    int64_t low = high;
    while (low > 0 && fabs(e[low - 1]) > b->threshold) {
      low--;
      largest = fmax(largest, fmax(fabs(d[low]), fabs(e[low])));
    }
    if (low > 0) e[low - 1] = 0;
    if (low == high) {
      high--;
      continue;
    }
    if (low + 1 == high) {
      finish_two(b, low);
      high -= 2;
      continue;
    }
    if (low > old_high || high < old_low || old_high < 0) down = fabs(d[low]) >= fabs(d[high]);
    if (drop_element(b, low, high, down, &least)) continue;
    old_low = low;
    old_high = high;
    double shift = 0;
    if ((double)n * b->tolerance * (least / largest) > fmax(DBL_EPSILON / 2, 0.01 * b->tolerance)) {
      double end = fabs(d[down ? low : high]);
      shift = down ? smaller_value(d[high - 1], e[high - 1], d[high])
                   : smaller_value(d[low], e[low], d[low + 1]);
      if (end > 0 && shift / end * (shift / end) < DBL_EPSILON / 2) shift = 0;
    }
    steps -= (double)(high - low);
    if (steps < 0) return false;
    (down ? chase_down : chase_up)(b, low, high, shift);
  }
  return true;
}

bool mica_bidiagonal_values(int64_t n, double *d, double *e, double epsilon, mica_rotations *left,
                            mica_rotations *right) {
  if (n == 0) return true;
  bidiagonal b = {d, e, 8 * epsilon, 0, left, right};
  double mu = fabs(d[0]), least = mu;
  for (int64_t i = 1; i < n && least > 0; i++) {
    mu = fabs(d[i]) * (mu / (mu + fabs(e[i - 1])));
    least = fmin(least, mu);
  }
  b.threshold = fmax(b.tolerance * least / sqrt((double)n), 6 * (double)n * (double)n * DBL_MIN);
  bool good = iterate_values(&b, n);
  if (left->rows != NULL) mica_rotations_apply(left);
  if (right->rows != NULL) mica_rotations_apply(right);
  return good;
}
