/* SPDX-License-Identifier: Apache-2.0 */
/* Order, running folds, segments and quantiles against numpy and JAX (tests/golden/sorting.npz, made by
 * tests/golden/sorting.py), on both backends. Order and counts are exact. */
#include "unit/backend/golden.h"

GOLDEN(sort, out[0] = mica_sort(in[0], 1, false); out[1] = mica_arg_sort(in[0], 1, false))
GOLDEN(sort_down, out[0] = mica_sort(in[0], 1, true); out[1] = mica_arg_sort(in[0], -1, true))
GOLDEN(sort_columns, out[0] = mica_sort(in[0], 0, false); out[1] = mica_arg_sort(in[0], 0, false))
GOLDEN(extreme, out[0] = mica_arg_max(in[0], 1); out[1] = mica_arg_min(in[0], 1))
GOLDEN(scatter_set, out[0] = mica_scatter_set(in[0], in[1], in[2]))
GOLDEN(top, mica_top_k(in[0], 5, 1, false, &out[0], &out[1]))
GOLDEN(lexicographic, mica_sort_together(in, 3, 2, 0, false, out))
GOLDEN(search_left, out[0] = mica_search_sorted(in[0], in[1], false))
GOLDEN(search_right, out[0] = mica_search_sorted(in[0], in[1], true))
GOLDEN(unique, mica_unique_result r = mica_unique(in[0], 12, in[1]); out[0] = r.values;
       out[1] = r.places; out[2] = r.inverse; out[3] = r.counts)
GOLDEN(unique_few, mica_unique_result r = mica_unique(in[0], 3, (mica_value){0}); out[0] = r.values;
       out[1] = r.places; out[2] = r.counts)
GOLDEN(bincount, out[0] = mica_bincount(in[0], (mica_value){0}, 12);
       out[1] = mica_bincount(in[0], in[1], 12))
GOLDEN(histogram, out[0] = mica_histogram(in[0], in[1], (mica_value){0});
       out[1] = mica_histogram(in[0], in[1], in[2]))
#define QUANTILES(name, METHOD)                                                      \
  GOLDEN(quantile_##name, out[0] = mica_quantile(in[0], in[1], .axes = MICA_AXES(1), \
                                                 .method = MICA_QUANTILE_##METHOD))  \
  GOLDEN(nan_quantile_##name,                                                        \
         out[0] = mica_quantile(in[0], in[1], .axes = MICA_AXES(1),                  \
                                .method = MICA_QUANTILE_##METHOD, .ignore_nan = true))
QUANTILES(linear, LINEAR)
QUANTILES(lower, LOWER)
QUANTILES(higher, HIGHER)
QUANTILES(nearest, NEAREST)
QUANTILES(midpoint, MIDPOINT)
GOLDEN(median, out[0] = mica_median(in[0], MICA_AXES(0)); out[1] = mica_median(in[0], MICA_ALL))
GOLDEN(quantile_float, out[0] = mica_quantile(in[0], in[1], .axes = MICA_KEEP(0, 1)))
GOLDEN(sum_0, out[0] = mica_cumulative_sum(in[0], 0))
GOLDEN(sum_1, out[0] = mica_cumulative_sum(in[0], 1))
GOLDEN(sum_2, out[0] = mica_cumulative_sum(in[0], 2))
GOLDEN(max_0, out[0] = mica_cumulative_max(in[0], 0))
GOLDEN(max_1, out[0] = mica_cumulative_max(in[0], 1))
GOLDEN(max_2, out[0] = mica_cumulative_max(in[0], 2))
GOLDEN(min_0, out[0] = mica_cumulative_min(in[0], 0))
GOLDEN(min_1, out[0] = mica_cumulative_min(in[0], 1))
GOLDEN(min_2, out[0] = mica_cumulative_min(in[0], 2))
GOLDEN(prod, out[0] = mica_cumulative_prod(in[0], 1))
GOLDEN(cumulative_ints, out[0] = mica_cumulative_sum(in[0], 1);
       out[1] = mica_cumulative_prod(in[0], 1))
GOLDEN(logsumexp, out[0] = mica_cumulative_logsumexp(in[0], 1);
       out[1] = mica_cumulative(in[0], .kind = MICA_CUMULATIVE_LOGSUMEXP, .axis = 1,
                                .reverse = true))
GOLDEN(segments, for (int k = 0; k < 4; k++)
                     out[k] = mica_segment_reduce(in[0], in[1], 7, (mica_segment_kind)k))
/* The gradient of sum(weights * y). */
static void weighted_gradient(mica_value y, const mica_value *in, mica_value *out) {
  mica_value loss = mica_reduce_sum(mica_mul(y, in[1]), MICA_ALL);
  mica_gradients(loss, in, 1, out);
}
GOLDEN(gradient_sort, weighted_gradient(mica_sort(in[0], 0, false), in, out))
GOLDEN(gradient_top, mica_value best; mica_top_k(in[0], 3, 0, false, &best, NULL);
       weighted_gradient(best, in, out))
GOLDEN(gradient_prod, weighted_gradient(mica_cumulative_prod(in[0], 0), in, out))
GOLDEN(gradient_logsumexp, weighted_gradient(mica_cumulative_logsumexp(in[0], 0), in, out))
GOLDEN(gradient_quantile,
       mica_value q = mica_add(mica_mul(mica_iota(g, (mica_type){MICA_F64, MICA_DIMS(2)}, 0), 0.6),
                               0.3);
       weighted_gradient(mica_quantile(in[0], q, .axes = MICA_AXES(0)), in, out))

static const golden_case golden_cases[] = {
    {"sort_odd", build_sort, 1, 2, 0},
    {"sort_rows", build_sort, 1, 2, 0},
    {"sort_ints", build_sort, 1, 2, 0},
    {"sort_empty", build_sort, 1, 2, 0},
    {"sort_down_odd", build_sort_down, 1, 2, 0},
    {"sort_down_rows", build_sort_down, 1, 2, 0},
    {"sort_down_ints", build_sort_down, 1, 2, 0},
    {"sort_columns_odd", build_sort_columns, 1, 2, 0},
    {"sort_columns_rows", build_sort_columns, 1, 2, 0},
    {"sort_columns_ints", build_sort_columns, 1, 2, 0},
    {"top_odd", build_top, 1, 2, 0},
    {"top_rows", build_top, 1, 2, 0},
    {"top_ints", build_top, 1, 2, 0},
    {"extreme_odd", build_extreme, 1, 2, 0},
    {"extreme_rows", build_extreme, 1, 2, 0},
    {"extreme_ints", build_extreme, 1, 2, 0},
    {"scatter_set", build_scatter_set, 3, 1, 0},
    {"lexicographic", build_lexicographic, 3, 3, 0},
    {"search_left", build_search_left, 2, 1, 0},
    {"search_right", build_search_right, 2, 1, 0},
    {"search_empty", build_search_right, 2, 1, 0},
    {"unique", build_unique, 2, 4, 0},
    {"unique_few", build_unique_few, 1, 3, 0},
    {"bincount", build_bincount, 2, 2, 1e-6},
    {"histogram", build_histogram, 3, 2, 0},
    {"quantile_linear", build_quantile_linear, 2, 1, 1e-12},
    {"quantile_lower", build_quantile_lower, 2, 1, 0},
    {"quantile_higher", build_quantile_higher, 2, 1, 0},
    {"quantile_nearest", build_quantile_nearest, 2, 1, 0},
    {"quantile_midpoint", build_quantile_midpoint, 2, 1, 1e-12},
    {"nan_quantile_linear", build_nan_quantile_linear, 2, 1, 1e-12},
    {"nan_quantile_lower", build_nan_quantile_lower, 2, 1, 0},
    {"nan_quantile_higher", build_nan_quantile_higher, 2, 1, 0},
    {"nan_quantile_nearest", build_nan_quantile_nearest, 2, 1, 0},
    {"nan_quantile_midpoint", build_nan_quantile_midpoint, 2, 1, 1e-12},
    {"median", build_median, 1, 2, 1e-12},
    {"quantile_float", build_quantile_float, 2, 1, 1e-5},
    {"cumulative_sum_0", build_sum_0, 1, 1, 1e-5},
    {"cumulative_sum_1", build_sum_1, 1, 1, 1e-5},
    {"cumulative_sum_2", build_sum_2, 1, 1, 1e-5},
    {"cumulative_max_0", build_max_0, 1, 1, 0},
    {"cumulative_max_1", build_max_1, 1, 1, 0},
    {"cumulative_max_2", build_max_2, 1, 1, 0},
    {"cumulative_min_0", build_min_0, 1, 1, 0},
    {"cumulative_min_1", build_min_1, 1, 1, 0},
    {"cumulative_min_2", build_min_2, 1, 1, 0},
    {"cumulative_prod", build_prod, 1, 1, 1e-5},
    {"cumulative_ints", build_cumulative_ints, 1, 2, 0},
    {"cumulative_logsumexp", build_logsumexp, 1, 2, 1e-12},
    {"cumulative_empty", build_sum_1, 1, 1, 0},
    {"segments", build_segments, 2, 4, 1e-5},
    {"gradient_sort", build_gradient_sort, 2, 1, 1e-12},
    {"gradient_top", build_gradient_top, 2, 1, 1e-12},
    {"gradient_prod", build_gradient_prod, 2, 1, 1e-12},
    {"gradient_logsumexp", build_gradient_logsumexp, 2, 1, 1e-12},
    {"gradient_quantile", build_gradient_quantile, 2, 1, 1e-12},
};

TEST(reference_gives_the_golden_values) {
  check_golden_file("reference", "sorting.npz", golden_cases,
                    sizeof golden_cases / sizeof golden_cases[0]);
}
TEST(cpu_gives_the_golden_values) {
  check_golden_file("cpu", "sorting.npz", golden_cases,
                    sizeof golden_cases / sizeof golden_cases[0]);
}

TEST_MAIN(TEST_CASE(reference_gives_the_golden_values), TEST_CASE(cpu_gives_the_golden_values))
