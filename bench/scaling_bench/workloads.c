/* SPDX-License-Identifier: Apache-2.0 */
/* workloads.c: the table of scaling_bench; bench/peers/scaling.py has the same rows for other libraries. */
#include "workload.h"

#include <stddef.h>

/* ---- shapes: of n elements, or of matrices of n rows ------------------------------------------ */

static mica_shape line(int64_t n) { return MICA_DIMS(n); }
static mica_shape rows_of_1024(int64_t n) { return MICA_DIMS(n / 1024, 1024); }
static mica_shape rows_of_1021(int64_t n) { return MICA_DIMS(n / 1024, 1021); } /* a prime */
static mica_shape rows_of_64(int64_t n) { return MICA_DIMS(n / 64, 64); }
static mica_shape as_rows_of_64(int64_t n) { return MICA_DIMS(n / 64); }
static mica_shape matrix(int64_t n) { return MICA_DIMS(n, n); }
static mica_shape eight_columns(int64_t n) { return MICA_DIMS(n, 8); }
/* The largest prime below n. */
static mica_shape prime_line(int64_t n) {
  for (n--; n > 3; n--) {
    int64_t factor = 2;
    while (factor * factor <= n && n % factor != 0) factor++;
    if (factor * factor > n) break;
  }
  return MICA_DIMS(n);
}

/* ---- programs --------------------------------------------------------------------------------- */

#define BUILD(name, ...)                                                                       \
  static void build_##name(mica_graph *g, const mica_value *in, mica_value *out, void *user) { \
    (void)g, (void)user, (void)in;                                                             \
    __VA_ARGS__;                                                                               \
  }
BUILD(sort, out[0] = mica_sort(in[0], -1, false))
BUILD(arg_sort, out[0] = mica_arg_sort(in[0], -1, false))
BUILD(top_k, mica_top_k(in[0], 64, -1, false, &out[0], &out[1]))
BUILD(search,
      out[0] = mica_search_sorted(mica_iota(g, (mica_type){MICA_F32, mica_shape_of(in[0])}, 0),
                                  mica_mul(mica_abs(in[0]), (double)mica_dim_of(in[0], 0)), false))
BUILD(unique, mica_unique_result r = mica_unique(in[0], 1024, (mica_value){0}); out[0] = r.values;
      out[1] = r.counts)
BUILD(median, out[0] = mica_median(in[0], MICA_AXES(-1)))
BUILD(histogram, mica_value bins = mica_iota(g, (mica_type){MICA_F32, MICA_DIMS(129)}, 0);
      out[0] = mica_histogram(in[0], mica_sub(mica_mul(bins, 1.0 / 64), 1), (mica_value){0}))
BUILD(segment_sum, out[0] = mica_segment_reduce(in[0], in[1], 1024, MICA_SEGMENT_SUM))
BUILD(segment_max, out[0] = mica_segment_reduce(in[0], in[1], 1024, MICA_SEGMENT_MAX))
BUILD(sum, out[0] = mica_cumulative_sum(in[0], -1))
BUILD(sum_columns, out[0] = mica_cumulative_sum(in[0], 0))
BUILD(max, out[0] = mica_cumulative_max(in[0], -1))
BUILD(logsumexp, out[0] = mica_cumulative_logsumexp(in[0], -1))
BUILD(recurrence, out[0] = mica_linear_recurrence(in[0], in[1], -1, false))
/* x + y + x y / 4 */
static mica_value joined(mica_region region) {
  mica_value x = mica_argument(region, 0), y = mica_argument(region, 1);
  return mica_add(mica_add(x, y), mica_mul(mica_mul(x, y), 0.25));
}
BUILD(reduce_block, mica_value init = mica_scalar(g, MICA_F32, 0);
      mica_region region = mica_reduce_begin(in, &init, 1, MICA_ALL); mica_value y = joined(region);
      mica_reduce_end(region, &y, out))
BUILD(scan_block, mica_region region = mica_associative_scan_begin(in, 1, 0, false);
      mica_value y = joined(region); mica_associative_scan_end(region, &y, out))
BUILD(scatter_block, mica_value zeros = mica_full(g, (mica_type){MICA_F32, MICA_DIMS(1024)}, 0);
      mica_region region = mica_scatter_begin(&zeros, in, 1, in[1],
                                              .inserted_window_axes = MICA_AXES(0),
                                              .index_map = MICA_AXES(0), .index_vector_axis = 1);
      mica_value y = joined(region); mica_scatter_end(region, &y, out))
BUILD(sort_block, mica_region region = mica_sort_begin(in, 1, 0); mica_sort_end(
          region, mica_less(mica_abs(mica_argument(region, 0)), mica_abs(mica_argument(region, 1))),
          out))

BUILD(fft, out[0] = mica_fft(in[0]))
BUILD(rfft, out[0] = mica_rfft(in[0]))
BUILD(take, out[0] = mica_take(in[0], in[1], 0))
BUILD(scatter_add, out[0] = mica_scatter_add(in[0], in[1], in[2]))
BUILD(scatter_set, out[0] = mica_scatter_set(in[0], in[1], in[2]))
BUILD(cholesky, out[0] = mica_cholesky(in[0], false))
BUILD(qr, mica_qr(in[0], false, &out[0], &out[1]))
BUILD(svd, mica_svd(in[0], false, &out[0], &out[1], &out[2]))
BUILD(eigh, mica_eigh(in[0], &out[0], &out[1]))
BUILD(solve, out[0] = mica_solve(in[0], in[1]))

/* Keys are constants, draws are not computed when compiling: the rates come from outside. */
static mica_value rates(const mica_value *in, double rate) {
  return mica_add(mica_mul(mica_abs(in[0]), rate), 0.01);
}
#define KEY \
  mica_random_fold(mica_random_key(g, 5), mica_index_axis(in[1], mica_scalar(g, MICA_I32, 0), 0))
BUILD(normal, out[0] = mica_random_normal(KEY, mica_type_of(in[0])))
BUILD(poisson, out[0] = mica_random_poisson(KEY, rates(in, 8), mica_shape_of(in[0])))
BUILD(poisson_large,
      out[0] = mica_random_poisson(KEY, mica_add(rates(in, 90), 10), mica_shape_of(in[0])))
BUILD(gamma, out[0] = mica_random_gamma(KEY, rates(in, 4), mica_shape_of(in[0])))
BUILD(permutation, out[0] = mica_random_permutation(KEY, mica_dim_of(in[0], 0)))

enum { SMALL = 1 << 14, LARGE = 1 << 20, LARGER = 1 << 23 };
#define OF(...) \
  { .shape = __VA_ARGS__ }
#define ROW(text, program, least, most, growth, outputs, ...)            \
  {                                                                      \
    text, build_##program, least, most, growth, outputs, { __VA_ARGS__ } \
  }
#define WHOLE(...) OF(__VA_ARGS__, .dtype = MICA_I32)
const scaling_workload scaling_workloads[] = {
    ROW("sort", sort, SMALL, LARGER, 8, 1, OF(line)),
    ROW("sort.f64", sort, SMALL, LARGER, 8, 1, OF(line, .dtype = MICA_F64)),
    ROW("sort.rows", sort, SMALL, LARGER, 8, 1, OF(rows_of_1024)),
    ROW("sort.block", sort_block, SMALL, LARGE, 8, 1, OF(line)),
    ROW("arg_sort", arg_sort, SMALL, LARGER, 8, 1, OF(line)),
    ROW("top_k", top_k, SMALL, LARGER, 8, 2, OF(line)),
    ROW("top_k.rows", top_k, SMALL, LARGER, 8, 2, OF(rows_of_1024)),
    ROW("search_sorted", search, SMALL, LARGE, 8, 1, OF(line)),
    ROW("unique", unique, SMALL, LARGE, 8, 2, WHOLE(line, .limit = 1000)),
    ROW("median.rows", median, SMALL, LARGE, 8, 1, OF(rows_of_1024)),
    ROW("histogram", histogram, SMALL, LARGE, 8, 1, OF(line)),
    ROW("segment_sum", segment_sum, SMALL, LARGE, 8, 1, OF(line), WHOLE(line, .limit = 1024)),
    ROW("segment_max", segment_max, SMALL, LARGE, 8, 1, OF(line), WHOLE(line, .limit = 1024)),
    ROW("cumulative_sum", sum, SMALL, LARGER, 8, 1, OF(line)),
    ROW("cumulative_sum.f64", sum, SMALL, LARGER, 8, 1, OF(line, .dtype = MICA_F64)),
    ROW("cumulative_sum.rows", sum, SMALL, LARGER, 8, 1, OF(rows_of_1024)),
    ROW("cumulative_sum.columns", sum_columns, SMALL, LARGER, 8, 1, OF(rows_of_1024)),
    ROW("cumulative_max", max, SMALL, LARGER, 8, 1, OF(line)),
    ROW("cumulative_logsumexp", logsumexp, SMALL, LARGE, 8, 1, OF(line)),
    ROW("linear_recurrence.rows", recurrence, SMALL, LARGE, 8, 1, OF(rows_of_1024),
        OF(rows_of_1024)),
    ROW("reduce.block", reduce_block, SMALL, LARGE, 8, 1, OF(line)),
    ROW("associative_scan.block", scan_block, SMALL, LARGE, 8, 1, OF(line)),
    ROW("scatter.block", scatter_block, SMALL, LARGE, 8, 1, OF(line), WHOLE(line, .limit = 1024)),
    ROW("fft", fft, SMALL, LARGE, 8, 1, OF(line, .dtype = MICA_C64)),
    ROW("fft.prime", fft, SMALL, LARGE, 8, 1, OF(prime_line, .dtype = MICA_C64)),
    ROW("fft.prime.c128", fft, SMALL, LARGE, 8, 1, OF(prime_line, .dtype = MICA_C128)),
    ROW("fft.rows", fft, SMALL, LARGE, 8, 1, OF(rows_of_1024, .dtype = MICA_C64)),
    ROW("fft.prime.rows", fft, SMALL, LARGE, 8, 1, OF(rows_of_1021, .dtype = MICA_C64)),
    ROW("rfft", rfft, SMALL, LARGE, 8, 1, OF(line)),
    ROW("take", take, SMALL, LARGER, 8, 1, OF(line), WHOLE(line)),
    ROW("take.rows", take, SMALL, LARGER, 8, 1, OF(rows_of_64), WHOLE(as_rows_of_64, .limit = 256)),
    ROW("scatter_add", scatter_add, SMALL, LARGE, 8, 1, OF(line), WHOLE(line), OF(line)),
    ROW("scatter_add.rows", scatter_add, SMALL, LARGE, 8, 1, OF(rows_of_64),
        WHOLE(as_rows_of_64, .limit = 256), OF(rows_of_64)),
    ROW("scatter_set", scatter_set, SMALL, LARGE, 8, 1, OF(line), WHOLE(line), OF(line)),
    ROW("cholesky", cholesky, 64, 1024, 4, 1, OF(matrix, .dominant = true)),
    ROW("cholesky.f64", cholesky, 64, 1024, 4, 1, OF(matrix, .dominant = true, .dtype = MICA_F64)),
    ROW("solve", solve, 64, 1024, 4, 1, OF(matrix, .dominant = true), OF(eight_columns)),
    ROW("qr", qr, 64, 256, 2, 2, OF(matrix)),
    ROW("qr.f64", qr, 64, 256, 2, 2, OF(matrix, .dtype = MICA_F64)),
    ROW("svd", svd, 64, 256, 2, 3, OF(matrix)),
    ROW("svd.f64", svd, 64, 256, 2, 3, OF(matrix, .dtype = MICA_F64)),
    ROW("eigh", eigh, 64, 256, 2, 2, OF(matrix, .dominant = true)),
    ROW("eigh.f64", eigh, 64, 256, 2, 2, OF(matrix, .dominant = true, .dtype = MICA_F64)),
    ROW("random.normal", normal, SMALL, LARGE, 8, 1, OF(line), WHOLE(line)),
    ROW("random.poisson", poisson, SMALL, LARGE, 8, 1, OF(line), WHOLE(line)),
    ROW("random.poisson.large", poisson_large, SMALL, LARGE, 8, 1, OF(line), WHOLE(line)),
    ROW("random.gamma", gamma, SMALL, LARGE, 8, 1, OF(line), WHOLE(line)),
    ROW("random.permutation", permutation, SMALL, LARGE, 8, 1, OF(line), WHOLE(line)),
};
const size_t scaling_workload_count = sizeof scaling_workloads / sizeof scaling_workloads[0];
