/* SPDX-License-Identifier: Apache-2.0 */
/* scaling_bench.c: how the time of an operator grows with its size.
 *
 *   scaling_bench [--threads N] [--only TEXT] [--most N] [--seconds S]
 *
 * prints a JSON line for each workload and size: {"workload": W, "size": n, "ms": t, "exponent": e},
 * t the median, e from the size before: 1 is linear, a little more n log n.
 *
 *   scaling_bench --list
 *   scaling_bench --serve [--threads N]
 *
 * are for bench/peers/scaling.py, which times the same workloads in other libraries in turns: --list
 * prints {"workload": W, "sizes": [...]} for each, --serve reads lines "W n S" and answers each with the
 * times of runs during S seconds, {"ms": [...]}, or {"error": "..."}. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scaling_bench/workload.h"

enum { MOST_RUNS = 1000 };

static double clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static mica_tensor *make_input(const scaling_input *input, int64_t n, uint64_t seed) {
  mica_dtype dtype = input->dtype == MICA_DTYPE_NONE ? MICA_F32 : input->dtype;
  bool integer = mica_dtype_is_integer(dtype), complex = mica_dtype_is_complex(dtype);
  mica_shape shape = input->shape(n);
  int64_t count = mica_shape_count(shape) * (complex ? 2 : 1),
          limit = input->limit ? input->limit : n;
  double *values = malloc((size_t)count * sizeof *values);
  if (!values) return NULL;
  uint64_t state = seed;
  for (int64_t i = 0; i < count; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    double uniform = (double)(state >> 40) / 16777216.0;
    values[i] = integer ? floor(uniform * (double)limit) : 2 * uniform - 1;
  }
  for (int64_t i = 0; i < n && input->dominant; i++)
    for (int64_t j = 0; j <= i; j++)
      values[i * n + j] = values[j * n + i] += i == j ? (double)n : 0;
  mica_tensor *tensor = NULL;
  if (dtype == MICA_C128) {
    tensor = mica_tensor_from(dtype, shape, values);
  } else if (dtype == MICA_C64) {
    float *narrow = malloc((size_t)count * sizeof *narrow);
    for (int64_t i = 0; narrow && i < count; i++) narrow[i] = (float)values[i];
    tensor = mica_tensor_from(dtype, shape, narrow);
    free(narrow);
  } else {
    tensor = mica_tensor_from_doubles(dtype, shape, values);
  }
  free(values);
  return tensor;
}

/* ---- a workload of a size, ready to run ------------------------------------------------------- */

typedef struct {
  const scaling_workload *workload;
  mica_tensor *in[SCALING_INPUTS], *out[SCALING_OUTPUTS];
  size_t in_count, out_count;
  mica_executable *executable;
} scaling_program;

static void end_program(scaling_program *p) {
  for (size_t i = 0; i < SCALING_INPUTS; i++) mica_tensor_release(p->in[i]);
  for (size_t i = 0; i < SCALING_OUTPUTS; i++) mica_tensor_release(p->out[i]);
  mica_executable_release(p->executable);
  *p = (scaling_program){0};
}

static mica_status begin_program(mica_device *device, const scaling_workload *w, int64_t n,
                                 scaling_program *p, mica_error *error) {
  mica_value values[SCALING_INPUTS], results[SCALING_OUTPUTS] = {{0}};
  mica_graph *graph = mica_graph_create(NULL);
  *p = (scaling_program){.workload = w, .out_count = (size_t)(w->outputs ? w->outputs : 1)};
  for (; p->in_count < SCALING_INPUTS && w->in[p->in_count].shape; p->in_count++) {
    p->in[p->in_count] = make_input(&w->in[p->in_count], n, 17 + p->in_count);
    values[p->in_count] = mica_parameter(graph, mica_tensor_type(p->in[p->in_count]));
  }
  w->build(graph, values, results, NULL);
  mica_graph_set_outputs(graph, results, p->out_count);
  mica_status status = mica_compile(device, graph, 0, &p->executable, error);
  mica_graph_destroy(graph);
  return status;
}

/* Times of runs in about `seconds`, at least one, after one that does not count; how many, 0 on failure. */
static int time_program(scaling_program *p, double seconds, double *ms, mica_error *error) {
  double begin = clock_ms();
  int count = -1;
  while (count < 1 || (count < MOST_RUNS && clock_ms() - begin < seconds * 1e3)) {
    double start = clock_ms();
    if (mica_executable_run(p->executable, p->in, p->in_count, p->out, p->out_count, error) !=
        MICA_OK)
      return 0;
    if (count >= 0) ms[count] = clock_ms() - start;
    count++;
  }
  return count;
}

/* ---- the three ways to be called -------------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static int list_workloads(void) {
  for (size_t k = 0; k < scaling_workload_count; k++) {
    const scaling_workload *w = &scaling_workloads[k];
    printf("{\"workload\": \"%s\", \"sizes\": [", w->name);
    for (int64_t n = w->least; n <= w->most; n *= w->growth)
      printf("%s%lld", n > w->least ? ", " : "", (long long)n);
    printf("]}\n");
  }
  return 0;
}

static int serve(mica_device *device) {
  static double ms[MOST_RUNS];
  scaling_program program = {0};
  char name[64];
  long long n, now = 0;
  double seconds;
  while (scanf("%63s %lld %lf", name, &n, &seconds) == 3) {
    mica_error error = {.message = "no such workload"};
    mica_status status = MICA_OK;
    if (!program.workload || strcmp(program.workload->name, name) != 0 || n != now) {
      end_program(&program);
      status = MICA_INVALID;
      for (size_t k = 0; k < scaling_workload_count; k++)
        if (!strcmp(scaling_workloads[k].name, name))
          status = begin_program(device, &scaling_workloads[k], n, &program, &error);
      now = n;
    }
    int count = status == MICA_OK ? time_program(&program, seconds, ms, &error) : 0;
    if (count == 0) printf("{\"error\": \"%s\"}\n", error.message);
    for (int i = 0; i < count; i++) printf("%s%.5f", i ? ", " : "{\"ms\": [", ms[i]);
    if (count) printf("]}\n");
    fflush(stdout);
  }
  end_program(&program);
  return 0;
}

static int measure(mica_device *device, const char *only, int64_t most, double seconds) {
  static double ms[MOST_RUNS];
  int failed = 0;
  for (size_t k = 0; k < scaling_workload_count; k++) {
    const scaling_workload *w = &scaling_workloads[k];
    if (!strstr(w->name, only)) continue;
    double before = 0;
    for (int64_t n = w->least; n <= w->most && n <= most; n *= w->growth) {
      mica_error error = {0};
      scaling_program program;
      int count = begin_program(device, w, n, &program, &error) == MICA_OK
                      ? time_program(&program, seconds, ms, &error)
                      : 0;
      end_program(&program);
      if (count == 0) {
        fprintf(stderr, "%s: %s\n", w->name, error.message);
        failed = 1;
        break;
      }
      qsort(ms, (size_t)count, sizeof *ms, by_time);
      printf("{\"workload\": \"%s\", \"size\": %lld, \"ms\": %.4f", w->name, (long long)n,
             ms[count / 2]);
      if (before > 0)
        printf(", \"exponent\": %.2f", log(ms[count / 2] / before) / log((double)w->growth));
      printf("}\n");
      fflush(stdout);
      before = ms[count / 2];
    }
  }
  return failed;
}

int main(int count, char **arguments) {
  int32_t threads = 2;
  const char *only = "";
  int64_t most = INT64_MAX;
  double seconds = 0.3;
  bool serves = false;
  for (int i = 1; i < count; i++) {
    const char *next = i + 1 < count ? arguments[i + 1] : "";
    if (!strcmp(arguments[i], "--list")) return list_workloads();
    if (!strcmp(arguments[i], "--serve")) serves = true;
    if (!strcmp(arguments[i], "--threads")) threads = (int32_t)strtol(next, NULL, 10);
    if (!strcmp(arguments[i], "--only")) only = next;
    if (!strcmp(arguments[i], "--most")) most = strtoll(next, NULL, 10);
    if (!strcmp(arguments[i], "--seconds")) seconds = strtod(next, NULL);
  }
  mica_error error = {0};
  mica_device_options options = {.struct_size = sizeof options, .threads = threads};
  mica_device *device = mica_device_open(&options, &error);
  if (!device) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  int failed = serves ? serve(device) : measure(device, only, most, seconds);
  mica_device_release(device);
  return failed;
}
