/* SPDX-License-Identifier: Apache-2.0 */
/* Long lines, which the engine cuts into parts: order and running folds against the reference, and the same
 * bits for any number of threads. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"

enum { LONG_RESULTS = 3 };

typedef struct {
  const char *name;
  mica_build *build;
  size_t out_count;
  mica_shape shape;
  mica_dtype dtype;
  bool odd; /* with NaN and -0 */
  double tolerance;
} long_case;

#define BUILD(name, ...)                                                                      \
  static void long_##name(mica_graph *g, const mica_value *in, mica_value *out, void *user) { \
    (void)g, (void)user;                                                                      \
    __VA_ARGS__;                                                                              \
  }
BUILD(sort, out[0] = mica_sort(in[0], 0, false))
BUILD(sort_down, out[0] = mica_sort(in[0], -1, true); out[1] = mica_arg_sort(in[0], -1, true))
BUILD(sort_columns, out[0] = mica_arg_sort(in[0], 0, false))
BUILD(lexicographic, mica_value keys[3] = {mica_convert(mica_mul(in[0], 3), MICA_I8), in[0], in[0]};
      mica_sort_together(keys, 3, 2, 0, true, out))
BUILD(top, mica_top_k(in[0], 300, -1, false, &out[0], &out[1]))
BUILD(top_all, mica_top_k(in[0], mica_dim_of(in[0], 0), 0, true, &out[0], &out[1]))
BUILD(top_rising, mica_top_k(mica_sort(in[0], 0, false), 50, 0, false, &out[0], &out[1]))
BUILD(search, out[0] = mica_search_sorted(mica_sort(in[0], 0, false), mica_add(in[0], 1), true))
BUILD(sum, out[0] = mica_cumulative_sum(in[0], 0))
BUILD(sum_back, out[0] = mica_cumulative(in[0], .axis = 0, .reverse = true, .exclusive = true))
BUILD(prod, out[0] = mica_cumulative_prod(mica_add(mica_mul(in[0], 1e-3), 1), 0))
BUILD(extremes, out[0] = mica_cumulative_max(in[0], 0);
      out[1] = mica_cumulative(in[0], .kind = MICA_CUMULATIVE_MIN, .axis = 0, .reverse = true))
BUILD(logsumexp, out[0] = mica_cumulative_logsumexp(in[0], 0))
BUILD(recurrence, out[0] = mica_linear_recurrence(mica_mul(in[0], 0.2), in[0], 0, false))

static const long_case *long_cases(size_t *out_count) {
  static const long_case cases[] = {
      {"sort", long_sort, 1, {1, {140001}}, MICA_F32, false, 0},
      {"sort odd", long_sort, 1, {1, {140001}}, MICA_F32, true, 0},
      {"sort f64", long_sort, 1, {1, {140001}}, MICA_F64, false, 0},
      {"sort f64 odd", long_sort, 1, {1, {140001}}, MICA_F64, true, 0},
      {"sort i16", long_sort, 1, {1, {140001}}, MICA_I16, false, 0},
      {"sort bf16", long_sort, 1, {1, {140001}}, MICA_BF16, true, 0},
      {"sort rows", long_sort_down, 2, {2, {3, 70001}}, MICA_F32, true, 0},
      {"sort many rows", long_sort_down, 2, {2, {900, 300}}, MICA_F32, true, 0},
      {"sort columns", long_sort_columns, 1, {2, {300, 90}}, MICA_F64, true, 0},
      {"lexicographic", long_lexicographic, 3, {1, {140001}}, MICA_F32, true, 0},
      {"lexicographic f64", long_lexicographic, 3, {1, {140001}}, MICA_F64, true, 0},
      {"top", long_top, 2, {2, {3, 70001}}, MICA_F32, true, 0},
      {"top f64", long_top, 2, {2, {3, 70001}}, MICA_F64, true, 0},
      {"top u8", long_top, 2, {2, {30, 7001}}, MICA_U8, false, 0},
      {"top all", long_top_all, 2, {1, {5000}}, MICA_F32, true, 0},
      {"top rising", long_top_rising, 2, {1, {140001}}, MICA_F32, true, 0},
      {"top rising f64", long_top_rising, 2, {1, {140001}}, MICA_F64, true, 0},
      {"search", long_search, 1, {1, {20001}}, MICA_F32, true, 0},
      {"search f64", long_search, 1, {1, {20001}}, MICA_F64, true, 0},
      {"search i64", long_search, 1, {1, {20001}}, MICA_I32, false, 0},
      {"sum", long_sum, 1, {1, {140001}}, MICA_F32, false, 1e-4},
      {"sum i32", long_sum, 1, {1, {140001}}, MICA_I32, false, 0},
      {"sum f64", long_sum, 1, {2, {40001, 5}}, MICA_F64, false, 1e-10},
      {"sum back", long_sum_back, 1, {1, {140001}}, MICA_F64, false, 1e-10},
      {"sum back columns", long_sum_back, 1, {2, {3001, 530}}, MICA_F32, false, 1e-3},
      {"prod", long_prod, 1, {1, {140001}}, MICA_F64, false, 1e-9},
      {"extremes", long_extremes, 2, {1, {140001}}, MICA_F32, true, 0},
      {"extremes i32", long_extremes, 2, {2, {40001, 5}}, MICA_I32, false, 0},
      {"logsumexp", long_logsumexp, 1, {1, {140001}}, MICA_F32, false, 1e-4},
      {"recurrence", long_recurrence, 1, {2, {7, 3001}}, MICA_F32, false, 1e-5},
  };
  *out_count = sizeof cases / sizeof cases[0];
  return cases;
}

/* Normal-ish numbers around 0, with many ties; integers when the dtype is one. */
static mica_tensor *long_values(const long_case *c) {
  int64_t count = mica_shape_count(c->shape);
  double *values = malloc((size_t)count * sizeof *values);
  uint64_t state = 12345;
  for (int64_t i = 0; values && i < count; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    double uniform = (double)(state >> 40) / 16777216.0;
    values[i] = (uniform - 0.5) * 8;
    if (i % 3 == 0) values[i] = floor(values[i]);
    if (c->odd && i % 97 == 0) values[i] = i % 2 ? (double)NAN : -0.0;
    if (!mica_dtype_is_float(c->dtype)) values[i] = floor(uniform * 100);
  }
  mica_tensor *tensor = values ? mica_tensor_from_doubles(c->dtype, c->shape, values) : NULL;
  free(values);
  return tensor;
}

static mica_device *open_device(const char *backend, int32_t threads) {
  mica_error error = {0};
  mica_device_options options = {
      .struct_size = sizeof options, .backend = backend, .threads = threads};
  mica_device *device = mica_device_open(&options, &error);
  if (!device) CHECK_FAIL("%s", error.message);
  return device;
}

static void run_long(mica_device *device, const long_case *c, mica_tensor *x, mica_tensor **out) {
  mica_error error = {0};
  if (mica_call_once(device, c->build, NULL, &x, 1, out, c->out_count, &error))
    CHECK_FAIL("%s: %s", c->name, error.message);
}

TEST(long_lines) {
  mica_device *reference = open_device("reference", 1), *one = open_device("cpu", 1);
  mica_device *some[2] = {open_device("cpu", 2), open_device("cpu", 3)};
  size_t count = 0;
  const long_case *cases = long_cases(&count);
  for (size_t k = 0; k < count; k++) {
    const long_case *c = &cases[k];
    mica_tensor *x = long_values(c), *wanted[LONG_RESULTS] = {NULL}, *got[LONG_RESULTS] = {NULL};
    run_long(reference, c, x, wanted);
    run_long(one, c, x, got);
    for (size_t i = 0; i < c->out_count && wanted[i] && got[i]; i++) {
      mica_closeness closeness = {0};
      if (mica_tensor_compare(got[i], wanted[i], c->tolerance, c->tolerance, &closeness, NULL) ||
          !closeness.close)
        CHECK_FAIL("%s: output %zu differs from the reference: %g", c->name, i,
                   closeness.worst_error);
      /* Order moves elements bit by bit. */
      if (c->tolerance == 0 && c->build != long_extremes)
        CHECK_EQ_BYTES(mica_tensor_data(got[i]), mica_tensor_data(wanted[i]),
                       mica_tensor_byte_size(wanted[i]));
    }
    for (int t = 0; t < 2; t++) {
      mica_tensor *again[LONG_RESULTS] = {NULL};
      run_long(some[t], c, x, again);
      for (size_t i = 0; i < c->out_count && again[i] && got[i]; i++) {
        CHECK_EQ_BYTES(mica_tensor_data(again[i]), mica_tensor_data(got[i]),
                       mica_tensor_byte_size(got[i]));
        mica_tensor_release(again[i]);
      }
    }
    for (size_t i = 0; i < LONG_RESULTS; i++)
      mica_tensor_release(wanted[i]), mica_tensor_release(got[i]);
    mica_tensor_release(x);
  }
  for (int t = 0; t < 2; t++) mica_device_release(some[t]);
  mica_device_release(one);
  mica_device_release(reference);
}

TEST_MAIN(TEST_CASE(long_lines))
