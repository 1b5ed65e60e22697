/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_factor.c: Cholesky, triangular systems and LU by their definitions, one matrix of the
 * batch after the other, in f64. */
#include "backend/reference/reference_internal.h"

#include <math.h>
#include <string.h>

/* Room for one matrix of each operand. */
static bool factor_scratch(const mica_graph *graph, uint32_t id, size_t *out_size) {
  const mica_node *node = mica_node_at(graph, id);
  *out_size = 0;
  for (uint32_t i = 0; i < node->operand_count; i++) {
    mica_type type = reference_operand_type(graph, id, i);
    reference_matrices sizes = reference_matrices_of(type.shape);
    int64_t count;
    size_t bytes;
    if (__builtin_mul_overflow(sizes.m, sizes.n, &count) ||
        !mica_reference_wide_bytes(type.dtype, count, &bytes) ||
        !mica_size_add(*out_size, bytes, out_size))
      return false;
  }
  return true;
}

/* ---- Cholesky --------------------------------------------------------------------------------- */

/* In place, row by row: l[i][j] = (a[i][j] - sum over k < j of l[i][k] l[j][k]) / l[j][j]. */
static void factor_rows(double *a, int64_t n) {
  bool good = true;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) {
      double sum = (a[i * n + j] + a[j * n + i]) / 2;
      for (int64_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
      if (i == j && !(sum > 0 && isfinite(sum))) good = false;
      a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
    }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      if (j > i)
        a[i * n + j] = 0;
      else if (!good)
        a[i * n + j] = NAN;
    }
}

static void cholesky_kernel(const reference_step *step) {
  mica_type type = reference_in_type(step, 0);
  reference_matrices s = reference_matrices_of(type.shape);
  double *a = step->scratch;
  for (int64_t i = 0; i < s.batch; i++) {
    mica_reference_widen(type.dtype, step->in[0], i * s.n * s.n, s.n * s.n, a);
    factor_rows(a, s.n);
    mica_reference_narrow(type.dtype, step->out[0], i * s.n * s.n, s.n * s.n, a);
  }
}

/* ---- triangular systems ----------------------------------------------------------------------- */

static void solve_rows(const mica_triangular_solve_attr *attr, const double *a, double *x,
                       int64_t n, int64_t m) {
  bool lower = attr->lower != attr->transpose;
  int64_t row = attr->transpose ? 1 : n, column = attr->transpose ? n : 1;
  for (int64_t step = 0; step < n; step++) {
    int64_t i = lower ? step : n - 1 - step;
    for (int64_t j = 0; j < m; j++) {
      double sum = x[i * m + j];
      for (int64_t before = 0; before < step; before++) {
        int64_t k = lower ? before : n - 1 - before;
        sum -= a[i * row + k * column] * x[k * m + j];
      }
      x[i * m + j] = attr->unit_diagonal ? sum : sum / a[i * (n + 1)];
    }
  }
}

static void triangular_kernel(const reference_step *step) {
  mica_type type = reference_in_type(step, 0);
  reference_matrices sa = reference_matrices_of(type.shape),
                     sb = reference_matrices_of(reference_in_type(step, 1).shape);
  double *a = step->scratch, *x = a + sa.n * sa.n;
  for (int64_t i = 0; i < sb.batch; i++) {
    mica_reference_widen(type.dtype, step->in[0], i * sa.n * sa.n, sa.n * sa.n, a);
    mica_reference_widen(type.dtype, step->in[1], i * sb.m * sb.n, sb.m * sb.n, x);
    solve_rows(step->attr, a, x, sb.m, sb.n);
    mica_reference_narrow(type.dtype, step->out[0], i * sb.m * sb.n, sb.m * sb.n, x);
  }
}

/* ---- LU --------------------------------------------------------------------------------------- */

static void swap_rows(double *a, int64_t n, int64_t i, int64_t j) {
  for (int64_t k = 0; k < n; k++) {
    double kept = a[i * n + k];
    a[i * n + k] = a[j * n + k];
    a[j * n + k] = kept;
  }
}

static void factor_pivoted(double *a, int32_t *pivots, int32_t *permutation, int64_t n) {
  for (int64_t i = 0; i < n; i++) permutation[i] = (int32_t)i;
  for (int64_t k = 0; k < n; k++) {
    int64_t pivot = k;
    double largest = -1;
    for (int64_t i = k; i < n; i++)
      if (fabs(a[i * n + k]) > largest) largest = fabs(a[(pivot = i) * n + k]);
    pivots[k] = (int32_t)pivot;
    swap_rows(a, n, k, pivot);
    int32_t kept = permutation[k];
    permutation[k] = permutation[pivot];
    permutation[pivot] = kept;
    double head = a[k * n + k];
    for (int64_t i = k + 1; i < n; i++) {
      if (head != 0) a[i * n + k] /= head; /* a column of zeros is left as it is */
      for (int64_t j = k + 1; j < n; j++) a[i * n + j] -= a[i * n + k] * a[k * n + j];
    }
  }
}

static void lu_kernel(const reference_step *step) {
  mica_type type = reference_in_type(step, 0);
  reference_matrices s = reference_matrices_of(type.shape);
  double *a = step->scratch;
  for (int64_t i = 0; i < s.batch; i++) {
    mica_reference_widen(type.dtype, step->in[0], i * s.n * s.n, s.n * s.n, a);
    factor_pivoted(a, (int32_t *)step->out[1] + i * s.n, (int32_t *)step->out[2] + i * s.n, s.n);
    mica_reference_narrow(type.dtype, step->out[0], i * s.n * s.n, s.n * s.n, a);
  }
}

const reference_row mica_reference_linalg_factor[MICA_OP_COUNT] = {
    [MICA_OP_CHOLESKY] = {cholesky_kernel, factor_scratch},
    [MICA_OP_TRIANGULAR_SOLVE] = {triangular_kernel, factor_scratch},
    [MICA_OP_LU] = {lu_kernel, factor_scratch},
};
