/* SPDX-License-Identifier: Apache-2.0 */
/* linalg.h: what the operators of linear algebra share: checks of matrices, triangles and
 * diagonals as graph, and batching by more leading axes. A matrix is the last two axes. */
#ifndef MICA_GRAPH_OPS_LINALG_H
#define MICA_GRAPH_OPS_LINALG_H
#include "graph/ops/rules.h"

/* ---- checks ---------------------------------------------------------------------------------- */

/* Operand i has dtype f32 or f64 and at least two axes; `square`: the last two are equal. */
bool mica_infer_matrix(mica_infer *infer, size_t i, bool square);
/* The same for functions without a node; the graph fails otherwise. */
bool mica_builder_matrix(const char *op, mica_value x, bool square);
/* Types for `count` results. */
bool mica_infer_types(mica_infer *infer, const mica_type *types, size_t count);

/* The operands of a linear system, a [..., n, n] and b [..., n, m] (or [n]), made to have the same
 * leading axes. Right-hand sides that share one matrix become columns of one b. */
typedef struct {
  mica_value a, b;
  mica_shape shape; /* of the result */
  bool folded;      /* b's leading axes are columns */
} mica_linear_system;
bool mica_system_begin(const char *op, mica_value a, mica_value b, mica_linear_system *system);
mica_value mica_system_end(const mica_linear_system *system, mica_value x);

/* ---- matrices as graph ----------------------------------------------------------------------- */

mica_value mica_matrix_transpose(mica_value x);
mica_value mica_matrix_symmetric(mica_value x); /* (x + x') / 2 */
/* x with zeros where column - row > diagonal (lower), or < diagonal (upper). */
mica_value mica_matrix_lower(mica_value x, int64_t diagonal);
mica_value mica_matrix_upper(mica_value x, int64_t diagonal);
/* bool [m, n]: column - row is, is at most, is at least `diagonal`. */
typedef enum { MICA_BAND_ON, MICA_BAND_LOWER, MICA_BAND_UPPER } mica_band;
mica_value mica_matrix_band(mica_graph *graph, int64_t m, int64_t n, mica_band band,
                            int64_t diagonal);
mica_value mica_matrix_diagonal(mica_value x);      /* [..., m, n] -> [..., min(m, n)] */
mica_value mica_matrix_from_diagonal(mica_value x); /* [..., n] -> [..., n, n] */
mica_value mica_matrix_identity_like(mica_value x); /* of x's type [..., n, n] */
mica_value mica_matrix_rows(mica_value x);          /* x [..., n] -> [..., 1, n] */
mica_value mica_matrix_columns(mica_value x);       /* x [..., n] -> [..., n, 1] */

/* a with a's axis -2 permuted by i32 [..., n]: row i of the result is row permutation[i]. */
mica_value mica_matrix_permute_rows(mica_value a, mica_value permutation);
mica_value mica_inverse_permutation(mica_value permutation);
mica_value mica_ascending_order(mica_value w);    /* [..., n] -> i32 [..., n], stable; no NaN */
mica_value mica_reciprocal_or_zero(mica_value x); /* 1 / x, 0 where x is */
mica_value mica_reciprocal_gaps(
    mica_value difference); /* the same of [..., n, n], 0 on the diagonal */

/* ---- rules ----------------------------------------------------------------------------------- */

/* Batching of an operator all of whose operands share their leading axes. */
void mica_batch_leading(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);
/* Batching of op(a [..., n, n], b [..., n, m]): examples of b alone become columns. */
void mica_batch_system(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out);

/* ---- for expansions -------------------------------------------------------------------------- */

/* x [..., m, n] as [batch, m, n], and a result [batch, ...] with x's leading axes again. */
mica_value mica_fold_leading(mica_value x, int32_t kept);
mica_value mica_unfold_leading(mica_value x, mica_value like, int32_t kept);
/* A loop over k = 0 .. count - 1 (or back) with states; mica_argument(loop, state_count) is k, i32. */
mica_region mica_counting_loop(mica_graph *graph, const mica_value *state, size_t state_count,
                               int64_t count, bool reverse);
/* Index k (i32 []) along an axis of size 1, kept: x[:, k:k+1]. */
mica_value mica_matrix_at(mica_value x, mica_value k, int32_t axis);
/* The largest size in each matrix of [batch, m, n] as [batch, 1, 1], 1 where that is 0 or not finite;
 * *out_good: whether it is finite. */
mica_value mica_matrix_scale(mica_value x, mica_value *out_good);
/* [batch, 1, 1] with as many axes as `like`. */
mica_value mica_batch_flag(mica_value x, mica_value like);
/* Jacobi rotations of all pairs at once (linalg_eigh.c): entry i of an axis of size 2 h meets entry h +
 * i. Cosine, and sine, of the one that takes g out of [[a, g], [g, b]]; `still`: none. */
mica_value mica_jacobi_turn(mica_value a, mica_value g, mica_value b, mica_value still,
                            mica_value *out_sine);
/* Rows of x [batch, 2 h, n] turned by c and s [batch, h, 1]. */
mica_value mica_turned_rows(mica_value x, mica_value c, mica_value s);
/* Who meets whom in the next round: after 2 h - 1 rounds all pairs have met, and order is restored. */
mica_value mica_jacobi_next(mica_value x, int32_t axis);

#endif
