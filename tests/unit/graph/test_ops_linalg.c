/* SPDX-License-Identifier: Apache-2.0 */
/* Linear algebra: types and messages. Values are judged in tests/conformance and in
 * tests/unit/backend/test_linalg.c. */
#include <math.h>

#include "unit/graph/ops_testing.h"

#define F64(...) input(g, MICA_F64, MICA_DIMS(__VA_ARGS__))
#define F16(...) input(g, MICA_F16, MICA_DIMS(__VA_ARGS__))

static mica_value lu_result(mica_value x, int which) {
  mica_value out[3];
  mica_lu(x, out);
  return out[which];
}
static mica_value slogdet_result(mica_value x, bool sign) {
  mica_value out[2];
  mica_slogdet(x, &out[0], &out[1]);
  return out[sign ? 0 : 1];
}

TEST(factors) {
  CHECK_TYPE(mica_cholesky(F32(3, 3), false), "f32[3, 3]");
  CHECK_TYPE(mica_cholesky(F64(2, 0, 4, 4), true), "f64[2, 0, 4, 4]");
  CHECK_TYPE(lu_result(F64(2, 3, 3), 0), "f64[2, 3, 3]");
  CHECK_TYPE(lu_result(F64(2, 3, 3), 1), "i32[2, 3]");
  CHECK_TYPE(lu_result(F32(0, 0), 2), "i32[0]");
  CHECK_FAILS(mica_cholesky(F32(2, 3), false), "cholesky(f32[2, 3])", "2 rows and 3 columns",
              "square");
  CHECK_FAILS(mica_cholesky(F32(3), false), "rank 1", "[..., n, n]");
  CHECK_FAILS(mica_cholesky(F16(3, 3), false), "dtype f16", "mica_convert");
  CHECK_FAILS(mica_cholesky(I32(3, 3), false), "cholesky(i32[3, 3])", "mica_convert");
  CHECK_FAILS(lu_result(F32(3, 4), 0), "lu(f32[3, 4])", "square");
}

TEST(systems) {
  CHECK_TYPE(mica_solve(F32(3, 3), F32(3)), "f32[3]");
  CHECK_TYPE(mica_solve(F32(3, 3), F32(3, 2)), "f32[3, 2]");
  CHECK_TYPE(mica_solve(F32(5, 3, 3), F32(3)), "f32[5, 3]");
  CHECK_TYPE(mica_solve(F32(3, 3), F32(5, 3, 2)), "f32[5, 3, 2]");
  CHECK_TYPE(mica_solve(F32(4, 1, 3, 3), F32(5, 3, 2)), "f32[4, 5, 3, 2]");
  CHECK_TYPE(mica_triangular_solve(F32(3, 3), F32(4, 2, 3), .right = true), "f32[4, 2, 3]");
  CHECK_TYPE(mica_triangular_solve(F32(3, 3), F32(3), .right = true), "f32[3]");
  CHECK_TYPE(mica_inverse(F64(2, 3, 3)), "f64[2, 3, 3]");
  CHECK_FAILS(mica_solve(F32(3, 3), F64(3)), "solve(f32[3, 3], f64[3])", "different dtypes");
  CHECK_FAILS(mica_solve(F32(3, 2), F32(3)), "operand 0", "square matrix");
  CHECK_FAILS(mica_solve(F32(3, 3), F32(4, 2)), "operand 1", "[..., 3, m]", "[3]");
  CHECK_FAILS(mica_solve(F32(2, 3, 3), F32(4, 3, 2)), "leading axis -3 clashes");
  CHECK_FAILS(mica_solve(F16(3, 3), F16(3)), "expected f32 or f64");
  CHECK_FAILS(mica_triangular_solve(F32(3), F32(3)), "triangular_solve(f32[3], f32[3])");
  CHECK_FAILS(mica_triangular_solve(F32(3, 3), F32(3, 4), .right = true), "operand 1",
              "[..., 3, m]");
  CHECK_FAILS(mica_inverse(F32(3, 2)), "inverse(f32[3, 2])", "square");
  CHECK_FAILS(mica_build_operator(g, "solve", (mica_value[]){F32(3, 3), F32(2, 3, 1)}, 2, ""),
              "operand 1");
  CHECK_FAILS(
      mica_build_operator(g, "triangular_solve", (mica_value[]){F32(3, 3), F32(4, 3)}, 2, ""),
      "operand 1");
}

TEST(determinants) {
  CHECK_TYPE(mica_det(F32(3, 3)), "f32[]");
  CHECK_TYPE(mica_det(F64(2, 0, 0)), "f64[2]");
  CHECK_TYPE(slogdet_result(F64(2, 3, 3), true), "f64[2]");
  CHECK_TYPE(slogdet_result(F64(2, 3, 3), false), "f64[2]");
  CHECK_FAILS(mica_det(F32(3, 2)), "det(f32[3, 2])", "square");
  CHECK_FAILS(slogdet_result(I32(3, 3), true), "slogdet(i32[3, 3])", "f32 or f64");
}

static mica_value qr_result(mica_value x, bool full, bool q) {
  mica_value out[2];
  mica_qr(x, full, &out[0], &out[1]);
  return out[q ? 0 : 1];
}
static mica_value eigh_result(mica_value x, int which) {
  mica_value out[2];
  mica_eigh(x, &out[0], &out[1]);
  return out[which];
}
static mica_value svd_result(mica_value x, bool full, int which) {
  mica_value out[3];
  mica_svd(x, full, &out[0], &out[1], &out[2]);
  return out[which];
}
static mica_value full_gradient(mica_value x) {
  mica_value q = qr_result(x, true, true), gradient;
  mica_gradients(mica_reduce_sum(q, MICA_ALL), &x, 1, &gradient);
  return gradient;
}

TEST(orthogonal_factors) {
  CHECK_TYPE(qr_result(F32(2, 5, 3), false, true), "f32[2, 5, 3]");
  CHECK_TYPE(qr_result(F32(2, 5, 3), true, true), "f32[2, 5, 5]");
  CHECK_TYPE(qr_result(F64(5, 3), true, false), "f64[5, 3]");
  CHECK_TYPE(qr_result(F64(3, 5), true, false), "f64[3, 5]");
  CHECK_TYPE(qr_result(F64(3, 0), false, true), "f64[3, 0]");
  CHECK_TYPE(eigh_result(F32(2, 3, 3), 0), "f32[2, 3]");
  CHECK_TYPE(eigh_result(F32(2, 3, 3), 1), "f32[2, 3, 3]");
  CHECK_TYPE(mica_eigvalsh(F64(0, 0)), "f64[0]");
  CHECK_TYPE(svd_result(F32(2, 5, 3), false, 0), "f32[2, 5, 3]");
  CHECK_TYPE(svd_result(F32(2, 5, 3), true, 0), "f32[2, 5, 5]");
  CHECK_TYPE(svd_result(F32(2, 5, 3), false, 2), "f32[2, 3, 3]");
  CHECK_TYPE(svd_result(F64(3, 5), true, 2), "f64[5, 5]");
  CHECK_TYPE(mica_svdvals(F64(2, 3, 5)), "f64[2, 3]");
  CHECK_FAILS(qr_result(F32(3), false, true), "qr(f32[3])", "rank 1", "[..., m, n]");
  CHECK_FAILS(qr_result(F16(3, 3), false, true), "dtype f16", "mica_convert");
  CHECK_FAILS(eigh_result(F32(2, 3), 0), "eigh(f32[2, 3])", "square");
  CHECK_FAILS(svd_result(I32(2, 3), false, 1), "svd(i32[2, 3])");
  CHECK_FAILS(full_gradient(F32(3, 2)), "qr(f32[3, 2])", "full Q cannot be differentiated");
}

TEST(functions_of_matrices) {
  CHECK_TYPE(mica_pinv(F32(2, 5, 3), -1), "f32[2, 3, 5]");
  CHECK_TYPE(mica_lstsq(F32(5, 3), F32(5, 2), -1), "f32[3, 2]");
  CHECK_TYPE(mica_lstsq(F32(5, 3), F32(5), 0.1), "f32[3]");
  CHECK_TYPE(mica_matrix_rank(F32(2, 5, 3), -1), "i32[2]");
  CHECK_TYPE(mica_matrix_trace(I32(2, 5, 3)), "i32[2]");
  CHECK_TYPE(mica_matrix_norm(F32(2, 5, 3), MICA_NORM_NUCLEAR), "f32[2]");
  CHECK_TYPE(mica_condition_number(F32(5, 3), MICA_NORM_SPECTRAL), "f32[]");
  CHECK_TYPE(mica_matrix_power(F32(2, 3, 3), -3), "f32[2, 3, 3]");
  CHECK_TYPE(mica_matrix_exp(F64(2, 3, 3)), "f64[2, 3, 3]");
  CHECK_TYPE(mica_matrix_exp(F64(0, 0)), "f64[0, 0]");
  CHECK_FAILS(mica_pinv(F32(3, 3), (double)INFINITY), "pinv(f32[3, 3])", "rcond inf");
  CHECK_FAILS(mica_lstsq(F32(5, 3), F32(4, 2), -1), "lstsq(f32[5, 3], f32[4, 2])", "operand 1",
              "[..., 5, k]");
  CHECK_FAILS(mica_lstsq(F32(5, 3), F64(5), -1), "different dtypes");
  CHECK_FAILS(mica_matrix_trace(F32(3)), "matrix_trace(f32[3])", "[..., m, n]");
  CHECK_FAILS(mica_matrix_norm(F32(3, 3), (mica_matrix_norm_kind)9), "kind 9");
  CHECK_FAILS(mica_condition_number(F32(3, 2), MICA_NORM_ONE), "square");
  CHECK_FAILS(mica_matrix_power(F32(3, 2), 2), "matrix_power(f32[3, 2])", "square");
  CHECK_FAILS(mica_matrix_exp(F32(3, 2)), "matrix_exp(f32[3, 2])", "square");
}

/* One of the results; the others are not wanted. */
static mica_value one_result(mica_value x, int which) {
  mica_value y = x;
  if (which < 2)
    mica_eigh(x, which == 0 ? &y : NULL, which == 1 ? &y : NULL);
  else if (which < 4)
    mica_qr(x, false, which == 2 ? &y : NULL, which == 3 ? &y : NULL);
  else if (which < 7)
    mica_svd(x, true, which == 4 ? &y : NULL, which == 5 ? &y : NULL, which == 6 ? &y : NULL);
  else
    mica_slogdet(x, which == 7 ? &y : NULL, which == 8 ? &y : NULL);
  return y;
}
TEST(results_that_nobody_wants) {
  static const char *const types[] = {"f32[3]", "f32[3, 3]", "f32[3, 3]", "f32[3, 3]", "f32[3, 3]",
                                      "f32[3]", "f32[3, 3]", "f32[]",     "f32[]"};
  for (int i = 0; i < 9; i++) CHECK_TYPE(one_result(F32(3, 3), i), types[i]);
}

/* Derivatives with one of the lists missing. */
static mica_value derivative_without(mica_value x, int what) {
  mica_value loss = mica_reduce_sum(x, MICA_ALL), out = x;
  if (what == 0)
    mica_gradients(loss, NULL, 1, &out);
  else if (what == 1)
    mica_gradients(loss, &x, 1, NULL);
  else if (what == 2)
    mica_jvp(&loss, 1, &x, NULL, 1, &out);
  else
    mica_jvp(&loss, 1, &x, &x, 1, NULL);
  return out;
}
TEST(lists_that_are_missing) {
  CHECK_FAILS(derivative_without(F32(3), 0), "gradients", "is NULL", "expected 1");
  CHECK_FAILS(derivative_without(F32(3), 1), "gradients(f32[3])", "is NULL");
  CHECK_FAILS(derivative_without(F32(3), 2), "jvp", "is NULL", "expected 1 results");
  CHECK_FAILS(derivative_without(F32(3), 3), "jvp(f32[])", "is NULL");
}

TEST_MAIN(TEST_CASE(factors), TEST_CASE(systems), TEST_CASE(determinants),
          TEST_CASE(orthogonal_factors), TEST_CASE(functions_of_matrices),
          TEST_CASE(results_that_nobody_wants), TEST_CASE(lists_that_are_missing))
