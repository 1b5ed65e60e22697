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

/* ---- systems, determinants ------------------------------------------------------------------- */

/* a [..., n, n], b [..., n, m] or a vector [n] -> a^-1 b of b's shape, by LU; leading axes
 * broadcast. A singular `a` gives infinities or NaN. */
MICA_API mica_value mica_solve(mica_value a, mica_value b);
MICA_API mica_value mica_inverse(mica_value x); /* [..., n, n] -> [..., n, n] */
/* [..., n, n] -> [...]; 1 for n = 0. The gradient is det(x) x'^-1, not finite for a singular x. */
MICA_API mica_value mica_det(mica_value x);
/* [..., n, n] -> sign [...] (-1, 0, 1) and log |det| [...] (-infinity for a singular matrix). */
MICA_API void mica_slogdet(mica_value x, mica_value *out_sign, mica_value *out_log);

#ifdef __cplusplus
}
#endif
#endif
