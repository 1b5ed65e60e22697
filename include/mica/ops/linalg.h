/* SPDX-License-Identifier: Apache-2.0 */
/* linalg.h: linear algebra with gradients, on matrices in the last two axes; leading axes are a
 * batch. f32 and f64 (mica_convert others first). Numbers that are not finite give NaN, never an
 * endless loop; sizes may be 0. Derivatives of all orders and vmap work, unless said otherwise.
 * Sources: Golub and Van Loan, Matrix Computations; derivatives: Giles 2008 (collected matrix
 * derivative results), Seeger et al. 2017 (arXiv 1710.08717). */
#ifndef MICA_OPS_LINALG_H
#define MICA_OPS_LINALG_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- factors --------------------------------------------------------------------------------- */

/* x [..., n, n] -> L [..., n, n], lower triangular with a positive diagonal: L L' is x, or rather
 * its symmetric part (x + x') / 2, which is all that counts. `upper`: L'. A matrix that is not
 * positive definite gives NaN in the whole triangle. */
MICA_API mica_value mica_cholesky(mica_value x, bool upper);

/* Solves op(a) x = b for x [..., n, m], a [..., n, n] triangular, b [..., n, m] or a vector [n];
 * leading axes broadcast. The other triangle of `a` is not read (nor the diagonal, when it is
 * unit). A zero on the diagonal gives infinities or NaN. */
typedef struct {
  size_t struct_size;
  mica_value a, b;
  const struct mica_names_only *named_;
  bool upper;         /* `a` is upper triangular; otherwise lower */
  bool transpose;     /* op(a) is a', which for real numbers is the adjoint too */
  bool unit_diagonal; /* ones on the diagonal, whatever lies there */
  bool right;         /* x op(a) = b, with b [..., m, n] */
} mica_triangular_solve_args;
MICA_API mica_value mica_triangular_solve_with(const mica_triangular_solve_args *args);
#define mica_triangular_solve(...)                          \
  mica_triangular_solve_with(&(mica_triangular_solve_args){ \
      .struct_size = sizeof(mica_triangular_solve_args), __VA_ARGS__})

/* x [..., n, n] = P' L U by partial pivoting: out[0] [..., n, n] holds U and, below the diagonal,
 * L, whose own diagonal is ones; out[1] i32 [..., n] the row that was exchanged with row i in step
 * i; out[2] i32 [..., n] the permutation: row i of L U is row out[2][i] of x. Ties take the first
 * row. */
MICA_API void mica_lu(mica_value x, mica_value out[3]);

/* x [..., m, n] -> Q [..., m, k], R [..., k, n], k = min(m, n), or with `full` k = m: x = Q R, Q' Q =
 * 1, R upper triangular, by Householder reflections with LAPACK's signs (R's diagonal may be
 * negative). Derivatives need the first min(m, n) columns to be independent; with `full` and m > n
 * there are none. Not finite: NaN throughout Q and R's triangle. Either of
 * the results may be NULL. */
MICA_API void mica_qr(mica_value x, bool full, mica_value *out_q, mica_value *out_r);

/* x [..., n, n] -> w [..., n] ascending, V [..., n, n] with eigenvectors as columns: V' (x + x') / 2 V
 * = diagonal(w). Vectors are determined up to sign (and rotation where values are equal).
 * Derivatives of V take a reciprocal gap of two equal values as 0. Vectors that nobody uses cost
 * nothing; either of the results may be NULL. Not finite: NaN. */
MICA_API void mica_eigh(mica_value x, mica_value *out_values, mica_value *out_vectors);
MICA_API mica_value mica_eigvalsh(mica_value x);

/* x [..., m, n] -> U [..., m, k], s [..., k] descending, V' [..., k, n], k = min(m, n): x = U
 * diagonal(s) V'. `full`: U [..., m, m], V' [..., n, n]; the columns added carry no derivative.
 * Signs, equal values, NaN and NULL as in mica_eigh. */
MICA_API void mica_svd(mica_value x, bool full, mica_value *out_u, mica_value *out_values,
                       mica_value *out_vt);
MICA_API mica_value mica_svdvals(mica_value x);

/* ---- systems, determinants ------------------------------------------------------------------- */

/* a [..., n, n], b [..., n, m] or a vector [n] -> a^-1 b of b's shape, by LU; leading axes
 * broadcast. A singular `a` gives infinities or NaN. */
MICA_API mica_value mica_solve(mica_value a, mica_value b);
MICA_API mica_value mica_inverse(mica_value x); /* [..., n, n] -> [..., n, n] */
/* [..., n, n] -> [...]; 1 for n = 0. The gradient is det(x) x'^-1, not finite for a singular x. */
MICA_API mica_value mica_det(mica_value x);
/* [..., n, n] -> sign [...] (-1, 0, 1) and log |det| [...] (-infinity for a singular matrix);
 * either may be NULL. */
MICA_API void mica_slogdet(mica_value x, mica_value *out_sign, mica_value *out_log);

/* ---- least squares --------------------------------------------------------------------------- */

/* x [..., m, n] -> x^+ [..., n, m] (Moore and Penrose) by singular values; those of at most rcond times
 * the largest count as 0. rcond < 0: epsilon max(m, n). Differentiable where the rank stays, equal
 * values or not (Golub and Pereyra 1973). */
MICA_API mica_value mica_pinv(mica_value x, double rcond);
/* a [..., m, n], b [..., m, k] or a vector [m] -> the shortest x [..., n, k] (or [n]) that makes
 * |a x - b| least: x = a^+ b. rcond as in mica_pinv. */
MICA_API mica_value mica_lstsq(mica_value a, mica_value b, double rcond);
/* [..., m, n] -> i32 [...]: singular values above rcond times the largest; rcond as in mica_pinv. */
MICA_API mica_value mica_matrix_rank(mica_value x, double rcond);

/* ---- functions of matrices ------------------------------------------------------------------- */

MICA_API mica_value
mica_matrix_trace(mica_value x); /* [..., m, n] -> [...]; numbers of any dtype */
typedef enum {
  MICA_NORM_FROBENIUS, /* square root of the sum of squares */
  MICA_NORM_NUCLEAR,   /* sum of the singular values */
  MICA_NORM_SPECTRAL,  /* the largest singular value */
  MICA_NORM_ONE,       /* largest sum of sizes in a column */
  MICA_NORM_INFINITY   /* ... in a row */
} mica_matrix_norm_kind;
MICA_API mica_value mica_matrix_norm(mica_value x,
                                     mica_matrix_norm_kind kind); /* [..., m, n] -> [...] */
/* |x| |x^-1|; for MICA_NORM_SPECTRAL the ratio of the extreme singular values, of any [..., m, n].
 * Infinite (or NaN) for a singular matrix. */
MICA_API mica_value mica_condition_number(mica_value x, mica_matrix_norm_kind kind);
/* x [..., n, n] to an integer power, by squaring; a negative one inverts first. */
MICA_API mica_value mica_matrix_power(mica_value x, int64_t exponent);
/* exp(x) [..., n, n] by scaling and squaring (Higham 2005); NaN where the norm of x exceeds 2^30 or x
 * is not finite. */
MICA_API mica_value mica_matrix_exp(mica_value x);

#ifdef __cplusplus
}
#endif
#endif
