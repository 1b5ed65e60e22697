/* SPDX-License-Identifier: Apache-2.0 */
/* mica_bench.c: a benchmark worker. It stays up and takes turns with other frameworks over the same inputs:
 *
 * mica_bench --serve --threads N           one JSON request a line on standard input, one answer a line
 * mica_bench [--threads N] [--only TEXT] [--seconds S]    times every workload and prints JSON lines
 *
 * Requests: {"command": "prepare", "workload": W}, "first" for the same without warming up, {"command": "time", "seconds": S},
 * {"command": "drop"}, and for training {"command": "parameters", "steps": N}, which answers the mean magnitudes of all
 * parameters after N steps from the start. Inputs are run-time arguments or variables; nothing is packed or folded
 * beforehand; what is timed is one call of a compiled executable, or one compilation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mica_bench/workload.h"

enum { MOST_WORKLOADS = 80 };

typedef struct {
  mica_device *device;
  bench_workload table[MOST_WORKLOADS];
  int32_t count;
  /* what is prepared */
  char workload[64];
  bool compile_only;
  bench_model *model;
  mica_executable *executable;
  mica_tensor *in[BENCH_INPUTS], *out[BENCH_OUTPUTS];
  size_t in_count, out_count;
} worker;

static const char *const models[] = {"mlp", "cnn", "resnet9", "gpt2"};
static const char *const compiled[] = {"compile.mlp", "compile.cnn", "compile.gpt2"};

static double clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void drop(worker *w) {
  for (int i = 0; i < BENCH_INPUTS; i++) mica_tensor_release(w->in[i]), w->in[i] = NULL;
  for (int i = 0; i < BENCH_OUTPUTS; i++) mica_tensor_release(w->out[i]), w->out[i] = NULL;
  mica_executable_release(w->executable), w->executable = NULL;
  bench_model_destroy(w->model), w->model = NULL;
  w->compile_only = false;
  w->in_count = w->out_count = 0;
}

/* Traces and compiles a build function on the types of in[]. */
static mica_status compile(worker *w, mica_build *build, void *user, uint64_t donate,
                           mica_executable **out, mica_error *error) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in[BENCH_INPUTS], results[BENCH_OUTPUTS] = {{0}};
  for (size_t i = 0; i < w->in_count; i++)
    in[i] = mica_parameter(graph, mica_tensor_type(w->in[i]));
  build(graph, in, results, user);
  mica_graph_set_outputs(graph, results, w->out_count);
  mica_status status = mica_compile(w->device, graph, donate, out, error);
  mica_graph_destroy(graph);
  return status;
}

/* Moves the inputs to the device: what the peers do before they measure. */
static mica_status place(worker *w, mica_error *error) {
  for (size_t i = 0; i < w->in_count; i++) {
    mica_tensor *placed = NULL;
    mica_status status = mica_tensor_to_device(w->device, w->in[i], &placed, error);
    if (status != MICA_OK) return status;
    mica_tensor_release(w->in[i]);
    w->in[i] = placed;
  }
  return MICA_OK;
}

static mica_status run(worker *w, mica_error *error) {
  return mica_executable_run(w->executable, w->in, w->in_count, w->out, w->out_count, error);
}

/* The model that a training or compiling workload is of, or NULL. */
static const char *model_of(const char *workload) {
  static char name[16];
  if (!strcmp(workload, "lstm.train")) return "lstm";
  if (sscanf(workload, "train.%15s", name) == 1 || sscanf(workload, "compile.%15s", name) == 1)
    return name;
  return NULL;
}

static mica_status prepare(worker *w, const char *workload, double *check, mica_error *error) {
  drop(w);
  snprintf(w->workload, sizeof w->workload, "%s", workload);
  const char *model = model_of(workload);
  if (model) {
    w->model = bench_model_create(model, error);
    if (!w->model) return error->status;
    w->in_count = (size_t)bench_model_inputs(w->model, w->in);
    w->out_count = 1;
    w->compile_only = !strncmp(workload, "compile.", 8);
    mica_status status = compile(w, bench_model_step, w->model, 0, &w->executable, error);
    if (status == MICA_OK) status = place(w, error);
    if (status == MICA_OK) status = run(w, error);
    if (status == MICA_OK) *check = bench_magnitude(w->out[0]);
    return status;
  }
  for (int32_t i = 0; i < w->count; i++) {
    const bench_workload *b = &w->table[i];
    if (strcmp(b->name, workload)) continue;
    w->in_count = (size_t)b->input_count, w->out_count = (size_t)b->output_count;
    for (size_t k = 0; k < w->in_count; k++) w->in[k] = bench_tensor(&b->in[k]);
    uint64_t donate = b->in_place ? (1u << b->output_count) - 1 : 0;
    mica_status status = compile(w, b->build, b->user, donate, &w->executable, error);
    if (status == MICA_OK) status = place(w, error);
    for (size_t k = 0; b->in_place && k < w->out_count; k++)
      w->out[k] = mica_tensor_retain(w->in[k]);
    if (status == MICA_OK) status = run(w, error);
    if (status == MICA_OK) *check = bench_magnitude(w->out[b->checked]);
    return status;
  }
  return mica_error_set(error, MICA_NOT_FOUND, "not done by this peer");
}

static int by_value(const void *p, const void *q) {
  double x = *(const double *)p, y = *(const double *)q;
  return (x > y) - (x < y);
}

/* Median milliseconds of one call, over calls that fill `seconds`: as the other peers measure. */
static mica_status measure(worker *w, double seconds, double *ms, long *calls, mica_error *error) {
  if (w->compile_only) {
    mica_executable *fresh = NULL;
    double begin = clock_ms();
    mica_status status = compile(w, bench_model_step, w->model, 0, &fresh, error);
    *ms = clock_ms() - begin, *calls = 1;
    mica_executable_release(fresh);
    return status;
  }
  enum { SAMPLES = 100000 };
  static double samples[SAMPLES];
  double begin = clock_ms();
  mica_status status = run(w, error);
  double one = clock_ms() - begin;
  *ms = one, *calls = 1;
  if (status != MICA_OK || one > 5000 * seconds) return status;
  long inner = (long)(0.2 / (one > 1e-6 ? one : 1e-6)), count = 0;
  if (inner < 1) inner = 1;
  double end = clock_ms() + seconds * 1e3;
  for (;;) {
    begin = clock_ms();
    for (long i = 0; i < inner && status == MICA_OK; i++) status = run(w, error);
    if (status == MICA_OK) status = mica_tensor_wait(w->out[0], error);
    double stop = clock_ms();
    samples[count++] = (stop - begin) / (double)inner;
    if (status != MICA_OK || count == SAMPLES ||
        (stop >= end && (count >= 3 || samples[0] > seconds * 1e3)))
      break;
  }
  qsort(samples, (size_t)count, sizeof samples[0], by_value);
  *ms = samples[count / 2];
  *calls = count * inner;
  return status;
}

static void say_parameters(worker *w, long steps) {
  mica_error error = {0};
  double check, magnitudes[256];
  const char *names[256];
  char workload[64];
  snprintf(workload, sizeof workload, "%s", w->workload);
  mica_status status =
      prepare(w, workload, &check, &error); /* from the start; it has made one step */
  for (long i = 1; i < steps && status == MICA_OK; i++) status = run(w, &error);
  if (status != MICA_OK || !w->model) {
    printf("{\"skip\": \"no training workload is prepared\"}\n");
    return;
  }
  int32_t count = bench_model_magnitudes(w->model, magnitudes, 256, names);
  printf("{\"loss\": %.9g, \"parameters\": [", bench_magnitude(w->out[0]));
  for (int32_t i = 0; i < count; i++)
    printf("%s[\"%s\", %.9g]", i ? ", " : "", names[i], magnitudes[i]);
  printf("]}\n");
}

/* A member of a one-line JSON object of plain values: enough for the requests of the harness. */
static bool text_member(const char *line, const char *key, char *out, size_t size) {
  char pattern[64];
  snprintf(pattern, sizeof pattern, "\"%s\"", key);
  const char *at = strstr(line, pattern);
  if (!at) return false;
  at += strlen(pattern);
  at += strspn(at, " :");
  bool quoted = *at == '"';
  at += quoted;
  size_t length = strcspn(at, quoted ? "\"" : ",} \n");
  if (length >= size) return false;
  memcpy(out, at, length);
  out[length] = 0;
  return true;
}

static void say_skip(const mica_error *error) {
  printf("{\"skip\": \"");
  for (const char *c = error->message; *c; c++)
    if (*c != '"' && *c != '\\' && (unsigned char)*c >= ' ') putchar(*c);
  printf("\"}\n");
}

static void serve(worker *w) {
  printf(
      "{\"hello\": true, \"info\": {\"mica\": \"%s\", \"device\": \"%s\"}, \"workloads\": "
      "[\"lstm.train\"",
      mica_version(), mica_device_description(w->device));
  for (int32_t i = 0; i < w->count; i++) printf(", \"%s\"", w->table[i].name);
  for (size_t i = 0; i < 4; i++) printf(", \"train.%s\"", models[i]);
  for (size_t i = 0; i < 3; i++) printf(", \"%s\"", compiled[i]);
  printf("]}\n");
  fflush(stdout);
  char line[512], command[32], text[64];
  while (fgets(line, sizeof line, stdin)) {
    mica_error error = {0};
    if (!text_member(line, "command", command, sizeof command)) break;
    bool first = !strcmp(command, "first");
    if ((first || !strcmp(command, "prepare")) &&
        text_member(line, "workload", text, sizeof text)) {
      double check = 0, ms;
      long calls;
      if (prepare(w, text, &check, &error) != MICA_OK)
        say_skip(&error);
      else if (!first && !w->compile_only && measure(w, 0.05, &ms, &calls, &error) != MICA_OK)
        say_skip(&error);
      else
        printf("{\"ok\": true, \"variant\": \"\", \"check\": %.9g}\n", check);
    } else if (!strcmp(command, "time") && text_member(line, "seconds", text, sizeof text)) {
      double ms = 0;
      long calls = 0;
      if (!w->executable)
        printf("{\"skip\": \"nothing is prepared\"}\n");
      else if (measure(w, atof(text), &ms, &calls, &error) != MICA_OK)
        say_skip(&error);
      else
        printf("{\"ms\": %.7g, \"calls\": %ld}\n", ms, calls);
    } else if (!strcmp(command, "parameters") && text_member(line, "steps", text, sizeof text)) {
      say_parameters(w, atol(text));
    } else if (!strcmp(command, "drop")) {
      drop(w);
      printf("{\"ok\": true}\n");
    } else
      break;
    fflush(stdout);
  }
}

static void time_one(worker *w, const char *name, const char *only, double seconds, int threads) {
  if (only && !strstr(name, only)) return;
  mica_error error = {0};
  double check = 0, ms = 0;
  long calls = 0;
  if (prepare(w, name, &check, &error) == MICA_OK &&
      measure(w, seconds, &ms, &calls, &error) == MICA_OK)
    printf("{\"workload\": \"%s\", \"threads\": %d, \"ms\": %.7g, \"check\": %.9g}\n", name,
           threads, ms, check);
  else
    fprintf(stderr, "%s: %s\n", name, error.message);
  fflush(stdout);
}

int main(int argument_count, char **arguments) {
  static worker w;
  bool serving = false;
  const char *only = NULL, *backend = NULL;
  double seconds = 0.5;
  int threads = 0;
  for (int i = 1; i < argument_count; i++) {
    if (!strcmp(arguments[i], "--serve"))
      serving = true;
    else if (!strcmp(arguments[i], "--threads") && i + 1 < argument_count)
      threads = atoi(arguments[++i]);
    else if (!strcmp(arguments[i], "--only") && i + 1 < argument_count)
      only = arguments[++i];
    else if (!strcmp(arguments[i], "--seconds") && i + 1 < argument_count)
      seconds = atof(arguments[++i]);
    else if (!strcmp(arguments[i], "--backend") && i + 1 < argument_count)
      backend = arguments[++i];
    else {
      fprintf(stderr,
              "usage: %s [--serve] [--threads N] [--only TEXT] [--seconds S] [--backend NAME]\n",
              arguments[0]);
      return 2;
    }
  }
  mica_error error = {0};
  /* Peers pack their operands at each call: so does this. */
  if (backend == NULL) backend = "cpu,pack_cache=0";
  w.device = mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                     .backend = backend,
                                                     .threads = threads,
                                                     .pin_threads = true},
                              &error);
  if (!w.device) {
    fprintf(stderr, "mica_bench: %s\n", error.message);
    return 1;
  }
  w.count = bench_functions(w.table, MOST_WORKLOADS);
  if (serving)
    serve(&w);
  else {
    for (int32_t i = 0; i < w.count; i++) time_one(&w, w.table[i].name, only, seconds, threads);
    time_one(&w, "lstm.train", only, seconds, threads);
    for (size_t i = 0; i < 4; i++) {
      char name[32];
      snprintf(name, sizeof name, "train.%s", models[i]);
      time_one(&w, name, only, seconds, threads);
    }
    for (size_t i = 0; i < 3; i++) time_one(&w, compiled[i], only, seconds, threads);
  }
  drop(&w);
  mica_device_release(w.device);
  return 0;
}
