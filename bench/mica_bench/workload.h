/* SPDX-License-Identifier: Apache-2.0 */
/* workload.h: what the benchmark worker runs: named workloads over inputs that are made by formula,
 * so that
 * every framework gets the same numbers. */
#ifndef MICA_BENCH_WORKLOAD_H
#define MICA_BENCH_WORKLOAD_H
#include "mica/mica.h"

enum { BENCH_INPUTS = 8, BENCH_OUTPUTS = 8 };

/* Deterministic inputs: normal numbers times scale, integers below limit, or squares of normal
 * numbers. */
typedef struct {
  mica_shape shape;
  uint32_t seed;
  double scale;  /* 0: 1 */
  int64_t limit; /* > 0: i32 below it */
  bool squared;
  double number; /* with seed 0: an f32 [] of this value */
} bench_input;

typedef struct bench_workload {
  const char *name;
  mica_build *build;
  void *user;
  int32_t input_count, output_count;
  bench_input in[BENCH_INPUTS];
  bool in_place;   /* output i overwrites input i, which is donated, for i < output_count */
  int32_t checked; /* which output the check value comes from */
} bench_workload;

/* Fills a table of workloads that are functions of their inputs; returns how many. */
int32_t bench_functions(bench_workload *table, int32_t capacity);

/* Training steps keep their state in variables. */
typedef struct bench_model bench_model;
bench_model *bench_model_create(const char *name,
                                mica_error *error); /* "mlp", "cnn", "resnet9", "gpt2", "lstm" */
void bench_model_destroy(bench_model *model);
/* The step: inputs as bench_model_input, one output, the loss. */
void bench_model_step(mica_graph *graph, const mica_value *in, mica_value *out, void *model);
/* One LSTM layer: p is wx [256, 1024], wh [256, 1024], b [1024]; x [time, 32, 256]; every h. */
mica_value bench_lstm_outputs(const mica_value *p, mica_value x);
int32_t bench_model_inputs(const bench_model *model, mica_tensor **in); /* retained */
/* Mean magnitude of each parameter, by the order of creation; returns how many. */
int32_t bench_model_magnitudes(const bench_model *model, double *out, int32_t capacity,
                               const char **names);

mica_tensor *bench_tensor(const bench_input *input);
mica_tensor *bench_normal(uint32_t seed, mica_shape shape, double scale);
mica_tensor *bench_integers(uint32_t seed, int64_t limit, mica_shape shape);
double bench_magnitude(const mica_tensor *tensor); /* mean of |x| */
#endif
