/* SPDX-License-Identifier: Apache-2.0 */
/* quantized_bench.c: dense layers of 8- and 4-bit weights beside the same layer in f32.
 *
 *   quantized_bench [--threads N] [--size N]
 *
 * prints a JSON line for each number of rows and kind: {"rows": m, "kind": K, "ms": t, "f32": r}, with r
 * the time of the f32 layer, measured in turns with it, divided by t (with one thread, of the processor). Weights are [size, size], with blocks of 32 for 4 bits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mica/mica.h"

typedef struct {
  const char *name;
  mica_dtype dtype; /* of the weights; F32: a plain product */
  int64_t block;
  bool asymmetric, dynamic;
} bench_kind;

static const bench_kind kinds[] = {{"f32", MICA_F32, 0, false, false},
                                   {"i8", MICA_I8, 0, false, false},
                                   {"u8 blocks", MICA_U8, 32, true, false},
                                   {"i4", MICA_I4, 32, false, false},
                                   {"u4", MICA_U4, 32, true, false},
                                   {"i4 dynamic", MICA_I4, 32, false, true},
                                   {"i8 x i8", MICA_DTYPE_NONE, 0, false, false}};

static bool processor_time; /* one thread: what other programs take does not count */
static double now_seconds(void) {
  struct timespec t;
  clock_gettime(processor_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Weights as inputs: values, scale, zero point. */
static size_t quantized_inputs(const bench_kind *kind, mica_graph *g, int64_t size,
                               mica_quantized *out) {
  int64_t blocks = kind->block ? size / kind->block : 1;
  out->values = mica_parameter(g, (mica_type){kind->dtype, MICA_DIMS(size, size)});
  out->scale = mica_parameter(g, (mica_type){MICA_F32, MICA_DIMS(blocks, size)});
  if (!kind->asymmetric) return 3;
  out->zero_point = mica_parameter(g, (mica_type){kind->dtype, MICA_DIMS(blocks, size)});
  return 4;
}

typedef struct {
  mica_executable *executable;
  mica_tensor *in[4];
  size_t count;
  double best;
} layer;

static layer make_layer(mica_device *device, const bench_kind *kind, int64_t rows, int64_t size) {
  mica_graph *g = mica_graph_create(NULL);
  mica_error error = {0};
  layer made = {.count = 2, .best = 1e9};
  mica_quantized weights = {{0}, {0}, {0}};
  bool integers = kind->dtype == MICA_DTYPE_NONE;
  mica_value x = mica_parameter(g,
                                (mica_type){integers ? MICA_I8 : MICA_F32, MICA_DIMS(rows, size)}),
             y;
  if (kind->dtype == MICA_F32 || integers) {
    y = mica_parameter(g, (mica_type){integers ? MICA_I8 : MICA_F32, MICA_DIMS(size, size)});
    y = mica_matmul_typed(x, y, integers ? MICA_I32 : MICA_F32);
  } else {
    made.count = quantized_inputs(kind, g, size, &weights);
    y = mica_quantized_dense(x, weights, .dynamic = kind->dynamic);
  }
  mica_graph_set_outputs(g, &y, 1);
  if (mica_compile(device, g, 0, &made.executable, &error) != MICA_OK) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  for (size_t i = 0; i < made.count; i++) {
    mica_type type = i == 0   ? mica_type_of(x)
                     : i == 2 ? mica_type_of(weights.scale)
                     : i == 3 ? mica_type_of(weights.zero_point)
                     : weights.values.graph
                         ? mica_type_of(weights.values)
                         : (mica_type){integers ? MICA_I8 : MICA_F32, MICA_DIMS(size, size)};
    size_t bytes = (size_t)mica_shape_count(type.shape) * (size_t)mica_dtype_bits(type.dtype) / 8;
    unsigned char *values = malloc(bytes);
    uint32_t state = 1;
    for (size_t b = 0; values && b < bytes; b++) {
      state = state * 1664525 + 1013904223;
      values[b] = (unsigned char)(state >> 24);
      if (type.dtype == MICA_F32 && b % 4 == 3) values[b] = values[b] & 1 ? 0x3d : 0xbd;
    }
    made.in[i] = mica_tensor_from(type.dtype, type.shape, values);
    free(values);
  }
  mica_graph_destroy(g);
  return made;
}
static void release_layer(layer *l) {
  for (size_t i = 0; i < l->count; i++) mica_tensor_release(l->in[i]);
  mica_executable_release(l->executable);
}
static void run_layer(layer *l) {
  mica_tensor *out = NULL;
  double begin = now_seconds();
  if (mica_executable_run(l->executable, l->in, l->count, &out, 1, NULL) != MICA_OK) exit(1);
  double took = now_seconds() - begin;
  if (took < l->best) l->best = took;
  mica_tensor_release(out);
}

/* Both layers in turns, so that what else the machine does meets both. */
static void compare_layers(mica_device *device, const bench_kind *kind, int64_t rows,
                           int64_t size) {
  layer plain = make_layer(device, &kinds[0], rows, size),
        other = make_layer(device, kind, rows, size);
  for (int turn = 0; turn < 40; turn++) {
    run_layer(&plain);
    run_layer(&other);
  }
  printf("{\"rows\": %d, \"kind\": \"%s\", \"ms\": %.3f, \"f32\": %.2f}\n", (int)rows, kind->name,
         1e3 * other.best, plain.best / other.best);
  fflush(stdout);
  release_layer(&plain);
  release_layer(&other);
}

int main(int argc, char **argv) {
  int threads = 2, size = 4096;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--threads") == 0) threads = atoi(argv[i + 1]);
    if (strcmp(argv[i], "--size") == 0) size = atoi(argv[i + 1]);
  }
  processor_time = threads == 1;
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){
          .struct_size = sizeof(mica_device_options), .backend = "cpu", .threads = threads},
      &error);
  if (device == NULL) return 1;
  const int64_t rows[] = {1, 4, 16, 32, 64, 128};
  for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
    for (size_t k = 1; k < sizeof kinds / sizeof kinds[0]; k++)
      compare_layers(device, &kinds[k], rows[r], size);
  mica_device_release(device);
  return 0;
}
