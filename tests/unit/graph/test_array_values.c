/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays, statistics and products of vectors against numpy (tests/golden/make_arrays.py), f64 on
 * both backends. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mica/backend.h"
#include "mica/graph.h"

typedef struct {
  const char *name;
  mica_value (*build)(mica_graph *g, const mica_value *in);
} array_case;

static mica_value meshed(const mica_value *in, size_t count, bool xy, int which) {
  mica_value out[3];
  mica_meshgrid(in, count, xy, out);
  return out[which];
}

#define NONE ((mica_value){0})
#define ARRAY_CASES(X)                                                                           \
  X(eye, mica_eye(g, MICA_F64, 3, 5, 1))                                                         \
  X(eye_below, mica_eye(g, MICA_F64, 3, 5, -2))                                                  \
  X(arange, mica_arange(g, MICA_F64, 0.5, 3, 0.25))                                              \
  X(arange_down, mica_arange(g, MICA_I32, 7, -5, -3))                                            \
  X(linspace, mica_linspace(g, MICA_F64, -1, 2, 11))                                             \
  X(linspace_one, mica_linspace(g, MICA_F64, 3, 9, 1))                                           \
  X(meshgrid, meshed(in, 2, false, 1))                                                           \
  X(meshgrid_xy, meshed(in, 3, true, 0))                                                         \
  X(move_axis, mica_move_axis(in[0], -1, 0))                                                     \
  X(roll, mica_roll(in[0], 2, 0))                                                                \
  X(roll_back, mica_roll(in[0], -11, 1))                                                         \
  X(tile, mica_tile(in[0], MICA_DIMS(2, 1, 3)))                                                  \
  X(tile_short, mica_tile(in[0], MICA_DIMS(2)))                                                  \
  X(tile_many, mica_tile(in[0], MICA_DIMS(2, 3, 1, 2, 2)))                                       \
  X(repeat, mica_repeat(in[0], 3, 1))                                                            \
  X(diagonal, mica_diagonal(in[0], -1, 0, 2))                                                    \
  X(diagonal_beside, mica_diagonal(in[0], 2, 2, 1))                                              \
  X(diag, mica_diag(in[0], -2))                                                                  \
  X(diag_back, mica_diag(in[0], 1))                                                              \
  X(tril, mica_tril(in[0], 1))                                                                   \
  X(triu, mica_triu(in[0], -1))                                                                  \
  X(any, mica_any(in[0], MICA_AXES(1)))                                                          \
  X(all, mica_all(in[0], MICA_AXES(1)))                                                          \
  X(count_nonzero, mica_count_nonzero(in[0], MICA_AXES(0)))                                      \
  X(nonzero, mica_nonzero(in[0], 3, -1))                                                         \
  X(variance, mica_variance(in[0], MICA_AXES(0, 2), 0))                                          \
  X(variance_large_mean, mica_variance(in[0], MICA_AXES(1), 1))                                  \
  X(variance_none, mica_variance(in[0], MICA_AXES(1), 1))                                        \
  X(std, mica_std(in[0], MICA_KEEP(0), 1))                                                       \
  X(average, mica_average(in[0], in[1], MICA_AXES(1)))                                           \
  X(covariance, mica_covariance(in[0], 1))                                                       \
  X(corrcoef, mica_corrcoef(in[0]))                                                              \
  X(ptp, mica_ptp(in[0], MICA_AXES(1)))                                                          \
  X(nansum, mica_nansum(in[0], MICA_AXES(1)))                                                    \
  X(nanprod, mica_nanprod(in[0], MICA_AXES(1)))                                                  \
  X(nanmean, mica_nanmean(in[0], MICA_AXES(1)))                                                  \
  X(nanmax, mica_nanmax(in[0], MICA_AXES(1)))                                                    \
  X(nanmin, mica_nanmin(in[0], MICA_AXES(1)))                                                    \
  X(nanvar, mica_nanvariance(in[0], MICA_AXES(1), 0))                                            \
  X(nanstd, mica_nanstd(in[0], MICA_AXES(1), 0))                                                 \
  X(nanvar_ddof, mica_nanvariance(in[0], MICA_AXES(0), 1))                                       \
  X(norm, mica_norm(in[0], 2, MICA_AXES(1)))                                                     \
  X(norm_frobenius, mica_norm(in[0], 2, MICA_AXES(0, 2)))                                        \
  X(norm_one, mica_norm(in[0], 1, MICA_AXES(0)))                                                 \
  X(norm_most, mica_norm(in[0], (double)INFINITY, MICA_AXES(0)))                                 \
  X(norm_least, mica_norm(in[0], -(double)INFINITY, MICA_AXES(0)))                               \
  X(norm_count, mica_norm(in[0], 0, MICA_AXES(0)))                                               \
  X(norm_p, mica_norm(in[0], 2.5, MICA_AXES(1)))                                                 \
  X(norm_negative, mica_norm(in[0], -1, MICA_AXES(1)))                                           \
  X(outer, mica_outer(in[0], in[1]))                                                             \
  X(kron, mica_kron(in[0], in[1]))                                                               \
  X(kron_ranks, mica_kron(in[0], in[1]))                                                         \
  X(cross, mica_cross(in[0], in[1], -1))                                                         \
  X(cross_first, mica_cross(in[0], in[1], 0))                                                    \
  X(convolve_full, mica_convolve(in[0], in[1], MICA_DEFAULT_PADDING))                            \
  X(convolve_same, mica_convolve(in[0], in[1], MICA_SAME))                                       \
  X(convolve_valid, mica_convolve(in[0], in[1], MICA_VALID))                                     \
  X(convolve_swapped_full, mica_convolve(in[0], in[1], MICA_DEFAULT_PADDING))                    \
  X(convolve_swapped_same, mica_convolve(in[0], in[1], MICA_SAME))                               \
  X(convolve_swapped_valid, mica_convolve(in[0], in[1], MICA_VALID))                             \
  X(convolve_odd_full, mica_convolve(in[0], in[1], MICA_DEFAULT_PADDING))                        \
  X(convolve_odd_same, mica_convolve(in[0], in[1], MICA_SAME))                                   \
  X(convolve_odd_valid, mica_convolve(in[0], in[1], MICA_VALID))                                 \
  X(masked_sum, mica_masked_sum(in[0], in[1], MICA_AXES(1)))                                     \
  X(masked_prod, mica_masked_prod(in[0], in[1], MICA_AXES(0)))                                   \
  X(masked_mean, mica_masked_mean(in[0], in[1], MICA_AXES(1)))                                   \
  X(masked_max, mica_masked_max(in[0], in[1], MICA_AXES(1)))                                     \
  X(masked_min, mica_masked_min(in[0], in[1], MICA_AXES(1)))                                     \
  X(masked_softmax, mica_masked_softmax(in[0], in[1], 1))                                        \
  X(masked_log_softmax, mica_masked_log_softmax(in[0], in[1], -1))                               \
  X(segment_softmax, mica_segment_softmax(in[0], in[1], 3))                                      \
  X(l2_normalize, mica_l2_normalize(in[0], MICA_AXES(1), 0))                                     \
  X(l2_normalize_least, mica_l2_normalize(in[0], MICA_AXES(0), 2.5))                             \
  X(cosine, mica_cosine_similarity(in[0], in[1], 0))                                             \
  X(cross_cosine, mica_cross_cosine_similarity(in[0], in[1]))                                    \
  X(skewness, mica_skewness(in[0], MICA_AXES(1)))                                                \
  X(kurtosis, mica_kurtosis(in[0], MICA_AXES(0)))                                                \
  X(diff, mica_diff(in[0], 1, 0))                                                                \
  X(diff_twice, mica_diff(in[0], 2, 1))                                                          \
  X(tri, mica_tri(g, MICA_F64, 3, 5, 1))                                                         \
  X(tri_below, mica_tri(g, MICA_F64, 4, 3, -2))                                                  \
  X(indices, mica_indices(g, MICA_I32, MICA_DIMS(2, 3)))                                         \
  X(shift, mica_shift(in[0], NONE, 2, 0))                                                        \
  X(shift_back, mica_shift(in[0], mica_scalar(g, MICA_F64, 7), -1, 1))                           \
  X(shift_out, mica_shift(in[0], NONE, 9, 1))                                                    \
  X(top_k_mask, mica_top_k_mask(in[0], 2, 1, false))                                             \
  X(bottom_k_mask, mica_top_k_mask(in[0], 2, 0, true))                                           \
  X(reduce_xor, mica_reduce_xor(in[0], MICA_AXES(1)))                                            \
  X(total_order, mica_arg_sort(mica_total_order(in[0]), 0, false))                               \
  X(batch_norm, mica_batch_norm_training(in[0], in[1], in[2], 1, 0.1, NULL, NULL))               \
  X(batch_norm_variance, norm_variance(in[0]))                                                   \
  X(batch_norm_inference, mica_batch_norm_inference(in[0], in[1], NONE, in[2], in[3], -1, 0.01)) \
  X(trapezoid, mica_trapezoid(in[0], in[1], 1, 1))                                               \
  X(trapezoid_even, mica_trapezoid(in[0], NONE, 0.5, 0))                                         \
  X(interp, mica_interp(in[0], in[1], in[2]))                                                    \
  X(interp_one, mica_interp(in[0], in[1], in[2]))

static mica_value norm_variance(mica_value x) {
  mica_value mean, variance;
  mica_batch_norm_training(x, NONE, NONE, 1, 0.1, &mean, &variance);
  return variance;
}
#define DEFINE_ARRAY(name, expression)                                  \
  static mica_value array_##name(mica_graph *g, const mica_value *in) { \
    (void)g, (void)in;                                                  \
    return expression;                                                  \
  }
ARRAY_CASES(DEFINE_ARRAY)
#define LIST_ARRAY(name, expression) {#name, array_##name},
static const array_case array_cases[] = {ARRAY_CASES(LIST_ARRAY)};
enum { ARRAY_COUNT = sizeof(array_cases) / sizeof(array_cases[0]) };

static void check_array(mica_device *device, const mica_npz *npz, const array_case *c) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_tensor *in[4], *result = NULL;
  mica_value x[4];
  char name[80];
  size_t count = 0;
  for (; count < 4; count++) {
    snprintf(name, sizeof(name), "%s.%zu", c->name, count);
    in[count] = mica_npz_find(npz, name);
    if (!in[count]) break;
    x[count] = mica_parameter(graph, mica_tensor_type(in[count]));
  }
  snprintf(name, sizeof(name), "%s.out", c->name);
  mica_tensor *expected = mica_npz_find(npz, name);
  mica_value value = mica_convert(c->build(graph, x), MICA_F64);
  mica_graph_set_outputs(graph, &value, 1);
  mica_error error = {0};
  mica_closeness closeness = {0};
  mica_executable *executable = NULL;
  mica_status status = mica_graph_verify(graph, &error);
  if (status == MICA_OK) status = mica_compile(device, graph, 0, &executable, &error);
  if (status == MICA_OK) status = mica_executable_run(executable, in, count, &result, 1, &error);
  if (status == MICA_OK)
    status = mica_tensor_compare(result, expected, 1e-12, 1e-13, &closeness, &error);
  if (status != MICA_OK || !closeness.close)
    CHECK_FAIL("%s: %s, %d elements differ: %g, expected %g", c->name, error.message,
               (int)closeness.mismatch_count, closeness.worst_a, closeness.worst_b);
  mica_tensor_release(result);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
}

static void check_arrays_on(const char *backend) {
  mica_npz *npz = NULL;
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){
          .struct_size = sizeof(mica_device_options), .backend = backend, .threads = 1},
      &error);
  CHECK_OK_ERROR(mica_npz_load(check_source_path("tests/golden/arrays.npz"), &npz, &error), &error);
  int wanted = 0;
  for (int64_t i = 0; i < mica_npz_count(npz); i++)
    wanted += strstr(mica_npz_name(npz, i), ".out") != NULL;
  CHECK_EQ_INT(wanted, ARRAY_COUNT);
  for (int i = 0; i < ARRAY_COUNT && npz && device; i++) check_array(device, npz, &array_cases[i]);
  mica_npz_destroy(npz);
  mica_device_release(device);
}

TEST(numpys_arrays_on_reference) { check_arrays_on("reference"); }
TEST(numpys_arrays_on_cpu) { check_arrays_on("cpu"); }

TEST_MAIN(TEST_CASE(numpys_arrays_on_reference), TEST_CASE(numpys_arrays_on_cpu))
