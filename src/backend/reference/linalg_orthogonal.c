/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_orthogonal.c: QR by Householder reflections, eigenvalues by cyclic Jacobi rotations,
 * singular values by one-sided ones (Golub and Van Loan, 5.2, 8.5 and 8.6), in f64. A matrix that
 * is not finite gives NaN throughout. */
#include "backend/reference/reference_internal.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { JACOBI_SWEEPS = 60 };

static bool all_finite(const double *x, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(x[i])) return false;
  return true;
}

static void fill_with(double *x, int64_t count, double value) {
  for (int64_t i = 0; i < count; i++) x[i] = value;
}

static double largest_size(const double *x, int64_t count) {
  double largest = 0;
  for (int64_t i = 0; i < count; i++)
    if (fabs(x[i]) > largest) largest = fabs(x[i]);
  return largest;
}

/* Room for `count` squares of the larger size. */
static bool squares_scratch(const mica_graph *graph, uint32_t id, int64_t squares,
                            size_t *out_size) {
  reference_matrices s = reference_matrices_of(reference_operand_type(graph, id, 0).shape);
  int64_t n = s.m > s.n ? s.m : s.n, count;
  return !__builtin_mul_overflow(n, n, &count) && !__builtin_add_overflow(count, n, &count) &&
         !__builtin_mul_overflow(count, squares, &count) &&
         mica_reference_wide_bytes(MICA_F64, count, out_size);
}

/* ---- QR --------------------------------------------------------------------------------------- */

/* a [m, n] becomes R, q [m, m] (its first `columns` columns are right) the product of the
 * reflections; v [m] is scratch. */
static void reflect_columns(double *a, double *q, double *v, int64_t m, int64_t n) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < m; j++) q[i * m + j] = i == j;
  for (int64_t k = 0; k < n && k < m; k++) {
    double size = 0, norm = 0, below = 0;
    for (int64_t i = k; i < m; i++) {
      if (!(fabs(a[i * n + k]) <= size)) size = fabs(a[i * n + k]);
      if (i > k && a[i * n + k] != 0) below = 1;
    }
    if (below == 0) continue;
    for (int64_t i = k; i < m; i++) norm += a[i * n + k] / size * (a[i * n + k] / size);
    norm = sqrt(norm); /* of the column over its size, which may be subnormal */
    double head = a[k * n + k] / size, beta = head < 0 ? norm : -norm, tau = (beta - head) / beta;
    for (int64_t i = k + 1; i < m; i++) v[i] = a[i * n + k] / size / (head - beta);
    v[k] = 1;
    for (int64_t j = k; j < n; j++) {
      double along = 0;
      for (int64_t i = k; i < m; i++) along += v[i] * a[i * n + j];
      for (int64_t i = k; i < m; i++) a[i * n + j] -= tau * along * v[i];
    }
    a[k * n + k] = beta * size;
    for (int64_t i = k + 1; i < m; i++) a[i * n + k] = size == size ? 0 : NAN;
    for (int64_t i = 0; i < m; i++) { /* q H */
      double along = 0;
      for (int64_t j = k; j < m; j++) along += q[i * m + j] * v[j];
      for (int64_t j = k; j < m; j++) q[i * m + j] -= tau * along * v[j];
    }
  }
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < i && j < n; j++) a[i * n + j] = 0;
}

static bool qr_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  return squares_scratch(graph, id, 2, out_size);
}
static void qr_kernel(const reference_step *step) {
  mica_type type = reference_in_type(step, 0);
  const mica_qr_attr *attr = step->attr;
  reference_matrices s = reference_matrices_of(type.shape);
  int64_t inner = attr->full || s.m < s.n ? s.m : s.n;
  double *a = step->scratch, *q = a + s.m * s.n, *v = q + s.m * s.m;
  for (int64_t i = 0; i < s.batch; i++) {
    mica_reference_widen(type.dtype, step->in[0], i * s.m * s.n, s.m * s.n, a);
    bool good = all_finite(a, s.m * s.n);
    reflect_columns(a, q, v, s.m, s.n);
    if (!good) fill_with(q, s.m * s.m, NAN);
    for (int64_t row = 0; row < s.m && !good; row++)
      for (int64_t j = row; j < s.n; j++) a[row * s.n + j] = NAN;
    for (int64_t row = 0; row < s.m; row++)
      mica_reference_narrow(type.dtype, step->out[0], (i * s.m + row) * inner, inner,
                            q + row * s.m);
    mica_reference_narrow(type.dtype, step->out[1], i * inner * s.n, inner * s.n, a);
  }
}

/* ---- eigenvalues ------------------------------------------------------------------------------ */

/* Cosine and sine of the rotation that takes the element g out of [[a, g], [g, b]]. */
static void jacobi_rotation(double a, double g, double b, double *out_c, double *out_s) {
  double theta = (b - a) / (2 * g);
  double t = (theta < 0 ? -1 : 1) / (fabs(theta) + hypot(1, theta));
  *out_c = 1 / hypot(1, t);
  *out_s = t * *out_c;
}

/* Columns i and j of x [rows, n] turn. */
static void turn_columns(double *x, int64_t rows, int64_t n, int64_t i, int64_t j, double c,
                         double s) {
  for (int64_t k = 0; k < rows; k++) {
    double left = x[k * n + i], right = x[k * n + j];
    x[k * n + i] = c * left - s * right;
    x[k * n + j] = s * left + c * right;
  }
}
static void turn_rows(double *x, int64_t columns, int64_t i, int64_t j, double c, double s) {
  for (int64_t k = 0; k < columns; k++) {
    double left = x[i * columns + k], right = x[j * columns + k];
    x[i * columns + k] = c * left - s * right;
    x[j * columns + k] = s * left + c * right;
  }
}

static void rotate_symmetric(double *a, double *v, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) v[i * n + j] = i == j;
  bool moved = true;
  for (int sweep = 0; sweep < JACOBI_SWEEPS && moved; sweep++) {
    moved = false;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = i + 1; j < n; j++) {
        double g = a[i * n + j], bound = sqrt(fabs(a[i * n + i])) * sqrt(fabs(a[j * n + j]));
        if (g == 0 || fabs(g) <= DBL_EPSILON * bound / 4 || fabs(g) < DBL_MIN) continue;
        double c, s;
        jacobi_rotation(a[i * n + i], g, a[j * n + j], &c, &s);
        turn_columns(a, n, n, i, j, c, s);
        turn_rows(a, n, i, j, c, s);
        a[i * n + j] = a[j * n + i] = 0;
        turn_columns(v, n, n, i, j, c, s);
        moved = true;
      }
  }
}

static bool eigh_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  return squares_scratch(graph, id, 3, out_size);
}
static void eigh_kernel(const reference_step *step) {
  mica_type type = reference_in_type(step, 0);
  reference_matrices s = reference_matrices_of(type.shape);
  int64_t n = s.n;
  double *a = step->scratch, *v = a + n * n, *sorted = v + n * n, *w = sorted + n * n;
  for (int64_t item = 0; item < s.batch; item++) {
    mica_reference_widen(type.dtype, step->in[0], item * n * n, n * n, a);
    bool good = all_finite(a, n * n);
    int exponent = 0;
    frexp(largest_size(a, n * n), &exponent);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j <= i; j++)
        a[i * n + j] = a[j * n + i] =
            ldexp(a[i * n + j], -exponent) / 2 + ldexp(a[j * n + i], -exponent) / 2;
    if (good) rotate_symmetric(a, v, n);
    for (int64_t k = 0; k < n && good; k++) { /* the next smallest */
      int64_t best = -1;
      for (int64_t i = 0; i < n; i++)
        if (!isnan(a[i * n + i]) && (best < 0 || a[i * n + i] < a[best * n + best])) best = i;
      w[k] = ldexp(a[best * n + best], exponent);
      a[best * n + best] = NAN;
      for (int64_t i = 0; i < n; i++) sorted[i * n + k] = v[i * n + best];
    }
    if (!good) fill_with(sorted, n * n + n, NAN);
    mica_reference_narrow(type.dtype, step->out[0], item * n, n, w);
    mica_reference_narrow(type.dtype, step->out[1], item * n * n, n * n, sorted);
  }
}

/* ---- singular values -------------------------------------------------------------------------- */

/* The columns of a [m, n], m >= n, become orthogonal: a is the given one times v [n, n]. */
static void rotate_columns(double *a, double *v, int64_t m, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) v[i * n + j] = i == j;
  bool moved = true;
  for (int sweep = 0; sweep < JACOBI_SWEEPS && moved; sweep++) {
    moved = false;
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = i + 1; j < n; j++) {
        double left = 0, right = 0, g = 0;
        for (int64_t k = 0; k < m; k++) {
          left += a[k * n + i] * a[k * n + i];
          right += a[k * n + j] * a[k * n + j];
          g += a[k * n + i] * a[k * n + j];
        }
        if (fabs(g) <= DBL_EPSILON * 4 * sqrt(left) * sqrt(right) || fabs(g) < DBL_MIN) continue;
        double c, s;
        jacobi_rotation(left, g, right, &c, &s);
        turn_columns(a, m, n, i, j, c, s);
        turn_columns(v, n, n, i, j, c, s);
        moved = true;
      }
  }
}

/* Of a [m, n], m >= n: its columns sorted by their lengths s [n], v along with them. The left
 * vectors are Q of the sorted columns, which is orthogonal even where lengths are zero. */
static void sort_columns(double *a, double *v, double *s, int64_t m, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    s[j] = 0;
    for (int64_t i = 0; i < m; i++) s[j] += a[i * n + j] * a[i * n + j];
    s[j] = sqrt(s[j]);
  }
  for (int64_t j = 0; j < n; j++) {
    int64_t best = j;
    for (int64_t k = j + 1; k < n; k++)
      if (s[k] > s[best]) best = k;
    double kept = s[j];
    s[j] = s[best];
    s[best] = kept;
    if (best == j) continue;
    for (int64_t i = 0; i < m + n; i++) {
      double *row = i < m ? a + i * n : v + (i - m) * n, other = row[j];
      row[j] = row[best];
      row[best] = other;
    }
  }
}

static bool svd_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  return squares_scratch(graph, id, 4, out_size);
}
static void svd_kernel(const reference_step *step) {
  mica_type type = reference_in_type(step, 0);
  reference_matrices sizes = reference_matrices_of(type.shape);
  bool wide = sizes.m < sizes.n;
  int64_t m = wide ? sizes.n : sizes.m, n = wide ? sizes.m : sizes.n, all = m * n;
  double *a = step->scratch, *v = a + m * m, *q = v + m * m, *work = q + m * m, *s = work + m;
  for (int64_t item = 0; item < sizes.batch; item++) {
    mica_reference_widen(type.dtype, step->in[0], item * all, all, q);
    bool good = all_finite(q, all);
    int exponent = 0;
    frexp(largest_size(q, all), &exponent);
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < n; j++)
        a[i * n + j] = ldexp(wide ? q[j * m + i] : q[i * n + j], -exponent);
    if (good) {
      rotate_columns(a, v, m, n);
      sort_columns(a, v, s, m, n);
      reflect_columns(a, q, work, m, n);
    } else {
      fill_with(step->scratch, 3 * m * m + 2 * m, NAN);
    }
    for (int64_t k = 0; k < n; k++) s[k] = ldexp(s[k], exponent);
    mica_reference_narrow(type.dtype, step->out[1], item * n, n, s);
    for (int64_t i = 0; i < m; i++)
      for (int64_t k = 0; k < n; k++) { /* long vectors: q's columns with R's signs */
        double value = q[i * m + k] * (a[k * n + k] < 0 ? -1 : 1);
        if (wide)
          mica_reference_narrow(type.dtype, step->out[2], item * all + k * m + i, 1, &value);
        else
          mica_reference_narrow(type.dtype, step->out[0], item * all + i * n + k, 1, &value);
      }
    for (int64_t i = 0; i < n; i++)
      for (int64_t k = 0; k < n; k++) {
        if (wide)
          mica_reference_narrow(type.dtype, step->out[0], (item * n + i) * n + k, 1, &v[i * n + k]);
        else
          mica_reference_narrow(type.dtype, step->out[2], (item * n + k) * n + i, 1, &v[i * n + k]);
      }
  }
}

const reference_row mica_reference_linalg_orthogonal[MICA_OP_COUNT] = {
    [MICA_OP_QR] = {qr_kernel, qr_scratch},
    [MICA_OP_EIGH] = {eigh_kernel, eigh_scratch},
    [MICA_OP_SVD] = {svd_kernel, svd_scratch},
};
