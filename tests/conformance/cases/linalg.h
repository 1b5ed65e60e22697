/* SPDX-License-Identifier: Apache-2.0 */
/* linalg.h: well-conditioned matrices for the rows of linalg.def. */
#ifndef CONFORMANCE_CASES_LINALG_H
#define CONFORMANCE_CASES_LINALG_H
#include <math.h>

#include "mica/ops.h"

static mica_value square_eye(mica_value x) {
  mica_type type = {MICA_I32, {.rank = 2, .dim = {mica_dim_of(x, -2), mica_dim_of(x, -1)}}};
  return mica_convert(mica_equal(mica_iota(x.graph, type, 0), mica_iota(x.graph, type, 1)),
                      mica_dtype_of(x));
}
/* x + n I: far from singular for x in [-1, 1), without symmetry. */
static mica_value regular(mica_value x) {
  return mica_add(x, mica_mul(square_eye(x), (double)mica_dim_of(x, -1)));
}
/* The same with its rows in the opposite order, so that each step moves a row. */
static mica_value upside_down(mica_value x) { return mica_reverse(regular(x), MICA_AXES(-2)); }
static mica_value lu_of(mica_value x) {
  mica_value out[3];
  mica_lu(x, out);
  return out[0];
}
static void slogdet_of(mica_value x, mica_value *out) { mica_slogdet(x, &out[0], &out[1]); }
static mica_value plus_product(mica_value x) { /* x + x x' + n I: its symmetric part counts */
  return mica_add(regular(x), mica_matmul(x, mica_swap_axes(x, -1, -2)));
}
/* Distinct eigenvalues or singular values: 1, 2, .. on the diagonal of a small matrix. */
static mica_value spread(mica_value x) {
  mica_type type = {MICA_I32, {.rank = 2, .dim = {mica_dim_of(x, -2), mica_dim_of(x, -1)}}};
  mica_value place = mica_convert(mica_iota(x.graph, type, 0), mica_dtype_of(x));
  return mica_add(mica_mul(x, 0.1), mica_mul(square_eye(x), mica_add(place, 1)));
}
static void qr_of(mica_value x, bool full, mica_value *out) { mica_qr(x, full, &out[0], &out[1]); }
/* What does not depend on the signs of vectors. */
static void eigh_of(mica_value x, mica_value *out) {
  mica_eigh(x, &out[0], &out[1]);
  out[1] = mica_square(out[1]);
}
static void svd_of(mica_value x, bool full, mica_value *out) {
  mica_value u, vt, s;
  mica_svd(x, full, &u, &s, &vt);
  out[0] = mica_square(u);
  out[1] = s;
  out[2] = mica_square(vt);
  if (full) return;
  mica_value row = mica_expand_dims(mica_square(s), -2);
  out[3] = mica_matmul(mica_mul(u, row), vt);
}
#endif
