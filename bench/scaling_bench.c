/* SPDX-License-Identifier: Apache-2.0 */
/* scaling_bench.c: how the time of an operator grows with its size.
 *
 *   scaling_bench [--threads N] [--only TEXT] [--most N] [--seconds S]
 *
 * prints a JSON line for each workload and size: {"workload": W, "size": n, "ms": t, "exponent": e},
 * with e from the size before: 1 is linear, a little more n log n. bench/peers/scaling.py runs the
 * same workloads in numpy, SciPy, JAX and PyTorch beside this program. A workload is a row of the
 * table and a function of its inputs; sizes grow by 8. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mica/mica.h"

enum { SCALING_INPUTS = 3, SCALING_OUTPUTS = 2, SCALING_GROWTH = 8 };

/* One input for a size n: uniform in [-1, 1), or integers below `limit` (0: below n). */
typedef struct {
  mica_shape (*shape)(int64_t n); /* NULL: no input */
  mica_dtype dtype;               /* NONE: f32 */
  int64_t limit;
} scaling_input;

typedef struct {
  const char *name;
  mica_build *build;
  int64_t least, most;
  int32_t outputs; /* 0: 1 */
  scaling_input in[SCALING_INPUTS];
} scaling_workload;

/* ---- shapes ---------------------------------------------------------------------------------- */

static mica_shape line(int64_t n) { return MICA_DIMS(n); }
static mica_shape rows_of_1024(int64_t n) { return MICA_DIMS(n / 1024, 1024); }

/* ---- workloads ------------------------------------------------------------------------------- */

#define BUILD(name, ...)                                                                       \
  static void build_##name(mica_graph *g, const mica_value *in, mica_value *out, void *user) { \
    (void)g, (void)user;                                                                       \
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

enum { SMALL = 1 << 14, LARGE = 1 << 20, LARGER = 1 << 23 };
#define OF(...) \
  { .shape = __VA_ARGS__ }
static const scaling_workload workloads[] = {
    {"sort", build_sort, SMALL, LARGER, 1, {OF(line)}},
    {"sort.f64", build_sort, SMALL, LARGER, 1, {OF(line, .dtype = MICA_F64)}},
    {"sort.rows", build_sort, SMALL, LARGER, 1, {OF(rows_of_1024)}},
    {"arg_sort", build_arg_sort, SMALL, LARGER, 1, {OF(line)}},
    {"top_k", build_top_k, SMALL, LARGER, 2, {OF(line)}},
    {"top_k.rows", build_top_k, SMALL, LARGER, 2, {OF(rows_of_1024)}},
    {"search_sorted", build_search, SMALL, LARGE, 1, {OF(line)}},
    {"unique", build_unique, SMALL, LARGE, 2, {OF(line, .dtype = MICA_I32, .limit = 1000)}},
    {"median.rows", build_median, SMALL, LARGE, 1, {OF(rows_of_1024)}},
    {"histogram", build_histogram, SMALL, LARGE, 1, {OF(line)}},
    {"segment_sum",
     build_segment_sum,
     SMALL,
     LARGE,
     1,
     {OF(line), OF(line, .dtype = MICA_I32, .limit = 1024)}},
    {"segment_max",
     build_segment_max,
     SMALL,
     LARGE,
     1,
     {OF(line), OF(line, .dtype = MICA_I32, .limit = 1024)}},
    {"cumulative_sum", build_sum, SMALL, LARGER, 1, {OF(line)}},
    {"cumulative_sum.f64", build_sum, SMALL, LARGER, 1, {OF(line, .dtype = MICA_F64)}},
    {"cumulative_sum.rows", build_sum, SMALL, LARGER, 1, {OF(rows_of_1024)}},
    {"cumulative_sum.columns", build_sum_columns, SMALL, LARGER, 1, {OF(rows_of_1024)}},
    {"cumulative_max", build_max, SMALL, LARGER, 1, {OF(line)}},
    {"cumulative_logsumexp", build_logsumexp, SMALL, LARGE, 1, {OF(line)}},
    {"linear_recurrence.rows",
     build_recurrence,
     SMALL,
     LARGE,
     1,
     {OF(rows_of_1024), OF(rows_of_1024)}},
    {"reduce.block", build_reduce_block, SMALL, LARGE, 1, {OF(line)}},
    {"associative_scan.block", build_scan_block, SMALL, LARGE, 1, {OF(line)}},
    {"scatter.block",
     build_scatter_block,
     SMALL,
     LARGE,
     1,
     {OF(line), OF(line, .dtype = MICA_I32, .limit = 1024)}},
    {"sort.block", build_sort_block, SMALL, LARGE, 1, {OF(line)}},
};

/* ---- running --------------------------------------------------------------------------------- */

static double clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static mica_tensor *make_input(const scaling_input *input, int64_t n, uint64_t seed) {
  mica_shape shape = input->shape(n);
  int64_t count = mica_shape_count(shape), limit = input->limit ? input->limit : n;
  double *values = malloc((size_t)count * sizeof *values);
  uint64_t state = seed;
  for (int64_t i = 0; values && i < count; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    double uniform = (double)(state >> 40) / 16777216.0;
    bool integer = mica_dtype_is_integer(input->dtype);
    values[i] = integer ? floor(uniform * (double)limit) : 2 * uniform - 1;
  }
  mica_dtype dtype = input->dtype == MICA_DTYPE_NONE ? MICA_F32 : input->dtype;
  mica_tensor *tensor = values ? mica_tensor_from_doubles(dtype, shape, values) : NULL;
  free(values);
  return tensor;
}

/* The best time of a run in about `seconds`; negative on failure. */
static double time_workload(mica_device *device, const scaling_workload *w, int64_t n,
                            double seconds, mica_error *error) {
  mica_tensor *in[SCALING_INPUTS] = {NULL}, *out[SCALING_OUTPUTS] = {NULL};
  mica_value values[SCALING_INPUTS], results[SCALING_OUTPUTS] = {{0}};
  size_t in_count = 0, out_count = (size_t)(w->outputs ? w->outputs : 1);
  mica_graph *graph = mica_graph_create(NULL);
  mica_executable *executable = NULL;
  double best = -1;
  for (; in_count < SCALING_INPUTS && w->in[in_count].shape; in_count++) {
    in[in_count] = make_input(&w->in[in_count], n, 17 + in_count);
    values[in_count] = mica_parameter(graph, mica_tensor_type(in[in_count]));
  }
  w->build(graph, values, results, NULL);
  mica_graph_set_outputs(graph, results, out_count);
  if (mica_compile(device, graph, 0, &executable, error) == MICA_OK) {
    double begin = clock_ms();
    for (int run = 0; run < 3 || clock_ms() - begin < seconds * 1e3; run++) {
      double start = clock_ms();
      if (mica_executable_run(executable, in, in_count, out, out_count, error) != MICA_OK) {
        best = -1;
        break;
      }
      double took = clock_ms() - start;
      if (run > 0 && (best < 0 || took < best)) best = took;
    }
  }
  for (size_t i = 0; i < SCALING_INPUTS; i++) mica_tensor_release(in[i]);
  for (size_t i = 0; i < SCALING_OUTPUTS; i++) mica_tensor_release(out[i]);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  return best;
}

int main(int count, char **arguments) {
  int32_t threads = 2;
  const char *only = "";
  int64_t most = INT64_MAX;
  double seconds = 0.3;
  for (int i = 1; i + 1 < count; i += 2) {
    if (!strcmp(arguments[i], "--threads")) threads = (int32_t)strtol(arguments[i + 1], NULL, 10);
    if (!strcmp(arguments[i], "--only")) only = arguments[i + 1];
    if (!strcmp(arguments[i], "--most")) most = strtoll(arguments[i + 1], NULL, 10);
    if (!strcmp(arguments[i], "--seconds")) seconds = strtod(arguments[i + 1], NULL);
  }
  mica_error error = {0};
  mica_device_options options = {.struct_size = sizeof options, .threads = threads};
  mica_device *device = mica_device_open(&options, &error);
  int failed = device == NULL;
  if (!device) fprintf(stderr, "%s\n", error.message);
  for (size_t k = 0; device && k < sizeof workloads / sizeof workloads[0]; k++) {
    const scaling_workload *w = &workloads[k];
    if (!strstr(w->name, only)) continue;
    double before = 0;
    for (int64_t n = w->least; n <= w->most && n <= most; n *= SCALING_GROWTH) {
      double ms = time_workload(device, w, n, seconds, &error);
      if (ms < 0) {
        fprintf(stderr, "%s: %s\n", w->name, error.message);
        failed = 1;
        break;
      }
      printf("{\"workload\": \"%s\", \"size\": %lld, \"ms\": %.4f", w->name, (long long)n, ms);
      if (before > 0) printf(", \"exponent\": %.2f", log(ms / before) / log(SCALING_GROWTH));
      printf("}\n");
      fflush(stdout);
      before = ms;
    }
  }
  mica_device_release(device);
  return failed;
}
