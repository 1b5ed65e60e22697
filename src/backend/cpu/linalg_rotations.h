/* SPDX-License-Identifier: Apache-2.0 */
/* linalg_rotations.h: plane rotations that an iteration on a few diagonals has found, to be applied
 * to the rows of a matrix later, many at once: a strip of columns stays in cache for all of them. */
#ifndef MICA_BACKEND_CPU_LINALG_ROTATIONS_H
#define MICA_BACKEND_CPU_LINALG_ROTATIONS_H
#include "backend/cpu/linalg_internal.h"

/* Rotations of rows (first, first + 1), (first + 1, first + 2), .., or in the opposite order. */
typedef mica_linalg_rotation_run mica_rotation_run;

typedef struct {
  mica_linalg *work;
  void *rows; /* [count, columns] of the element type; NULL: nothing is wanted */
  int64_t columns;
  double *pairs; /* cosine, sine: [room] */
  int64_t used, room;
  mica_rotation_run *runs;
  int64_t run_count, run_room;
} mica_rotations;

/* Takes memory for matrices of n rows. */
void mica_rotations_begin(mica_rotations *rotations, mica_linalg *work, int64_t n, void *rows,
                          int64_t columns);
/* Room for a run of `count` rotations: cosine and sine for each in the order of rows. NULL when
 * nothing is wanted. A rotation makes row i c row_i + s row_(i+1), and row i + 1 c row_(i+1) - s
 * row_i. */
double *mica_rotations_add(mica_rotations *rotations, int64_t first, int64_t count, bool backward);
void mica_rotations_apply(mica_rotations *rotations);
/* Returns r and the rotation c f + s g = r, c g - s f = 0. */
double mica_plane_rotation(double f, double g, double *out_c, double *out_s);

/* linalg_tridiagonal.c: the eigenvalues of the symmetric tridiagonal matrix of diagonal d [n] and
 * off-diagonal e [n - 1], in no order; false: no convergence. */
bool mica_tridiagonal_eigenvalues(int64_t n, double *d, double *e, double epsilon,
                                  mica_rotations *rotations);
/* linalg_bidiagonal.c: the singular values of the upper bidiagonal matrix of diagonal d [n] and
 * superdiagonal e [n - 1], in no order and of either sign. */
bool mica_bidiagonal_values(int64_t n, double *d, double *e, double epsilon, mica_rotations *left,
                            mica_rotations *right);

/* order[n]: ascending values, or by size from the largest. */
void mica_sorted_order(int64_t n, const double *values, bool by_size, int64_t *order);

#endif
