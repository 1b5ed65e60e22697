/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_bench: matrix products and convolutions of one row of kernels, as shares of what the machine
 * can do at that moment.
 *
 *   kernel_bench [--isa NAME] [--threads N] [--only TEXT] [--rounds N] [--seconds S]
 *
 * Each round samples the multiply-add rate of the row (all operands in registers) or, for what memory
 * bounds, the rate of reading a large array, right before and after the kernel; the share is the
 * kernel's rate over their mean, the table shows medians over rounds. With N threads the limit is N
 * times that of one for multiply-adds, measured with N for memory. Every buffer is written before it
 * is timed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "backend/cpu/kernels/conv.h"
#include "backend/cpu/kernels/kernels.h"
#include "core/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* One thread is timed by its own clock, which stands while a neighbor has the core. */
static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now_seconds(void) {
  struct timespec t;
  clock_gettime(bench_clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- limits ---- */

static volatile float bench_sink;

/* Ten named sums: a compiler keeps an array in memory. Returns multiply-adds done. */
#define PEAK_EACH(f)  f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9)
#define PEAK_LET(i)   V s##i = start;
#define PEAK_STEP(i)  s##i = FMA(s##i, x, y);
#define PEAK_PIN(i)   __asm__ volatile("" : "+" PIN(s##i));
#define PEAK_TOTAL(i) total = total + s##i;
#define PEAK_BODY                                                                   \
  V total = start;                                                                  \
  PEAK_EACH(PEAK_LET)                                                               \
  for (int64_t r = 0; r < rounds; r++) { PEAK_EACH(PEAK_STEP) PEAK_EACH(PEAK_PIN) } \
  PEAK_EACH(PEAK_TOTAL)                                                             \
  bench_sink = ((float *)&total)[0];                                                \
  return (double)rounds * 10 * (double)(sizeof(V) / sizeof(float));

typedef float bench_vector __attribute__((vector_size(16)));
#if defined(__x86_64__) || defined(__aarch64__)
#define PIN(s) PIN_CONSTRAINT(s)
#endif
#if defined(__aarch64__)
#define PIN_CONSTRAINT(s) "w"(s)
#elif defined(__x86_64__)
#define PIN_CONSTRAINT(s) "x"(s)
#else
#define PIN(s) "m"(s)
#endif

static double peak_baseline(int64_t rounds) {
  typedef bench_vector V;
  const V start = {1, 1, 1, 1}, x = {0.99f, 0.99f, 0.99f, 0.99f}, y = {1e-4f, 1e-4f, 1e-4f, 1e-4f};
#define FMA(a, b, c) ((a) * (b) + (c))
  PEAK_BODY
#undef FMA
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static double peak_avx2(int64_t rounds) {
  typedef __m256 V;
  const V start = _mm256_set1_ps(1), x = _mm256_set1_ps(0.99f), y = _mm256_set1_ps(1e-4f);
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
  PEAK_BODY
#undef FMA
}

#undef PIN_CONSTRAINT
#define PIN_CONSTRAINT(s) "v"(s)
__attribute__((target("avx512f"))) static double peak_avx512(int64_t rounds) {
  typedef __m512 V;
  const V start = _mm512_set1_ps(1), x = _mm512_set1_ps(0.99f), y = _mm512_set1_ps(1e-4f);
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
  PEAK_BODY
#undef FMA
}
#endif

/* Multiply-add rate of one thread, flop/s, from about half a millisecond. */
static double sample_peak(const mica_cpu_kernels *kernels) {
  double (*loop)(int64_t) = peak_baseline;
#if defined(__x86_64__)
  if (kernels == &mica_cpu_kernels_avx2) loop = peak_avx2;
  if (kernels == &mica_cpu_kernels_avx512) loop = peak_avx512;
#endif
  (void)kernels;
  const double begin = now_seconds();
  double done = 0;
  do { done += loop(20000); } while (now_seconds() - begin < 0.0005);
  return 2 * done / (now_seconds() - begin);
}

enum { READ_FLOATS = 1 << 24, READ_TASKS = 64 };
static float *read_array;

static void read_task(void *context, int64_t index, int32_t worker) {
  (void)context;
  (void)worker;
  const bench_vector *from =
      (const bench_vector *)(read_array + index * (READ_FLOATS / READ_TASKS));
  bench_vector a = {0}, b = {0}, c = {0}, d = {0};
  for (int64_t i = 0; i < READ_FLOATS / READ_TASKS / 4; i += 4) {
    a = a + from[i];
    b = b + from[i + 1];
    c = c + from[i + 2];
    d = d + from[i + 3];
  }
  a = (a + b) + (c + d);
  bench_sink = a[0];
}

/* Bytes a second read by all threads. */
static double sample_read(const mica_parallel *parallel) {
  const double begin = now_seconds();
  parallel->run(parallel->self, READ_TASKS, read_task, NULL);
  return READ_FLOATS * 4.0 / (now_seconds() - begin);
}

/* ---- workloads ---- */

typedef enum { GEMM, CONV_FORWARD, CONV_DATA, CONV_FILTER } bench_kind;

typedef struct {
  const char *name;
  bench_kind kind;
  int64_t m, n, k, batch; /* products */
  bool a_transposed, b_transposed, packed;
  int64_t size, channels, outputs, window, stride,
      groups;  /* convolutions: [batch, size, size, ..] */
  bool memory; /* bound by memory, not by multiply-adds */
} workload;

static const workload workloads[] = {
    {.name = "gemm.64", .m = 64, .n = 64, .k = 64},
    {.name = "gemm.128", .m = 128, .n = 128, .k = 128},
    {.name = "gemm.256", .m = 256, .n = 256, .k = 256},
    {.name = "gemm.512", .m = 512, .n = 512, .k = 512},
    {.name = "gemm.1024", .m = 1024, .n = 1024, .k = 1024},
    {.name = "gemm.2048", .m = 2048, .n = 2048, .k = 2048},
    {.name = "gemm.32x512x784", .m = 32, .n = 512, .k = 784},
    {.name = "gemm.128x3072x768", .m = 128, .n = 3072, .k = 768},
    {.name = "gemm.128x768x3072", .m = 128, .n = 768, .k = 3072},
    {.name = "gemm.4096x16x32", .m = 4096, .n = 16, .k = 32},
    {.name = "gemm.13x32x13", .m = 13, .n = 32, .k = 13},
    {.name = "gemm.100", .m = 100, .n = 100, .k = 100},
    {.name = "gemm.333", .m = 333, .n = 333, .k = 333},
    {.name = "gemm.1024.nt", .m = 1024, .n = 1024, .k = 1024, .b_transposed = true},
    {.name = "gemm.1024.tn", .m = 1024, .n = 1024, .k = 1024, .a_transposed = true},
    {.name = "gemm.1024.packed", .m = 1024, .n = 1024, .k = 1024, .packed = true},
    {.name = "gemm.mlp.forward", .m = 128, .n = 512, .k = 784},
    {.name = "gemm.mlp.data", .m = 128, .n = 784, .k = 512, .b_transposed = true},
    {.name = "gemm.mlp.filter", .m = 784, .n = 512, .k = 128, .a_transposed = true},
    {.name = "gemm.mlp.logits", .m = 128, .n = 10, .k = 512},
    {.name = "gemm.mlp.logits.data", .m = 128, .n = 512, .k = 10, .b_transposed = true},
    {.name = "gemm.mlp.logits.filter", .m = 512, .n = 10, .k = 128, .a_transposed = true},
    {.name = "gemm_batched.64", .m = 128, .n = 64, .k = 128, .batch = 64},
    {.name = "gemm_batched.32.nt", .m = 128, .n = 128, .k = 64, .batch = 32, .b_transposed = true},
    {.name = "gemv.4096", .m = 1, .n = 4096, .k = 4096, .memory = true},
    {.name = "gemv.4096.nt", .m = 1, .n = 4096, .k = 4096, .b_transposed = true, .memory = true},
    {.name = "gemv.4096.packed", .m = 1, .n = 4096, .k = 4096, .packed = true, .memory = true},
    {.name = "gemm.4x4096x4096", .m = 4, .n = 4096, .k = 4096, .memory = true},
    {.name = "gemm.4096x1x4096", .m = 4096, .n = 1, .k = 4096, .memory = true},
    {.name = "conv3x3.forward",
     .kind = CONV_FORWARD,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 3},
    {.name = "conv3x3.data",
     .kind = CONV_DATA,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 3},
    {.name = "conv3x3.filter",
     .kind = CONV_FILTER,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 3},
    {.name = "conv1x1.forward",
     .kind = CONV_FORWARD,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 1},
    {.name = "conv1x1.data",
     .kind = CONV_DATA,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 1},
    {.name = "conv1x1.filter",
     .kind = CONV_FILTER,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 1},
    {.name = "depthwise3x3.forward",
     .kind = CONV_FORWARD,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 3,
     .groups = 64,
     .memory = true},
    {.name = "depthwise3x3.data",
     .kind = CONV_DATA,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 3,
     .groups = 64,
     .memory = true},
    {.name = "depthwise3x3.filter",
     .kind = CONV_FILTER,
     .batch = 32,
     .size = 56,
     .channels = 64,
     .outputs = 64,
     .window = 3,
     .groups = 64,
     .memory = true},
    {.name = "cnn.conv1.forward",
     .kind = CONV_FORWARD,
     .batch = 64,
     .size = 28,
     .channels = 1,
     .outputs = 32,
     .window = 3},
    {.name = "cnn.conv1.filter",
     .kind = CONV_FILTER,
     .batch = 64,
     .size = 28,
     .channels = 1,
     .outputs = 32,
     .window = 3},
    {.name = "cnn.conv2.forward",
     .kind = CONV_FORWARD,
     .batch = 64,
     .size = 14,
     .channels = 32,
     .outputs = 64,
     .window = 3},
    {.name = "cnn.conv2.data",
     .kind = CONV_DATA,
     .batch = 64,
     .size = 14,
     .channels = 32,
     .outputs = 64,
     .window = 3},
    {.name = "cnn.conv2.filter",
     .kind = CONV_FILTER,
     .batch = 64,
     .size = 14,
     .channels = 32,
     .outputs = 64,
     .window = 3},
    {.name = "cnn.dense.forward", .m = 64, .n = 128, .k = 3136},
    {.name = "cnn.dense.data", .m = 64, .n = 3136, .k = 128, .b_transposed = true},
    {.name = "cnn.dense.filter", .m = 3136, .n = 128, .k = 64, .a_transposed = true},
    {.name = "resnet.4x4.forward",
     .kind = CONV_FORWARD,
     .batch = 64,
     .size = 4,
     .channels = 512,
     .outputs = 512,
     .window = 3},
    {.name = "resnet.4x4.data",
     .kind = CONV_DATA,
     .batch = 64,
     .size = 4,
     .channels = 512,
     .outputs = 512,
     .window = 3},
    {.name = "resnet.4x4.filter",
     .kind = CONV_FILTER,
     .batch = 64,
     .size = 4,
     .channels = 512,
     .outputs = 512,
     .window = 3},
    {.name = "resnet.stem.forward",
     .kind = CONV_FORWARD,
     .batch = 64,
     .size = 32,
     .channels = 3,
     .outputs = 64,
     .window = 3},
    {.name = "resnet.stem.filter",
     .kind = CONV_FILTER,
     .batch = 64,
     .size = 32,
     .channels = 3,
     .outputs = 64,
     .window = 3},
    {.name = "stride2.forward",
     .kind = CONV_FORWARD,
     .batch = 16,
     .size = 56,
     .channels = 64,
     .outputs = 128,
     .window = 3,
     .stride = 2},
    {.name = "stride2.data",
     .kind = CONV_DATA,
     .batch = 16,
     .size = 56,
     .channels = 64,
     .outputs = 128,
     .window = 3,
     .stride = 2},
    {.name = "stride2.filter",
     .kind = CONV_FILTER,
     .batch = 16,
     .size = 56,
     .channels = 64,
     .outputs = 128,
     .window = 3,
     .stride = 2},
};

typedef struct {
  const workload *w;
  const mica_cpu_kernels *kernels;
  const mica_parallel *parallel;
  mica_gemm gemm;
  mica_conv conv;
  float *x, *weights, *y;
  void *scratch;
  double flops, bytes;
} bench_case;

/* Huge pages where the system grants them, as the engine's arena asks for them. */
static float *bench_buffer(size_t floats) {
  const size_t page = floats > 1 << 16 ? (size_t)2 << 20 : 64;
  const size_t bytes = (floats * sizeof(float) + 4096 + page - 1) / page * page;
  float *buffer = aligned_alloc(page, bytes);
  if (!buffer) exit(1);
#if defined(MADV_HUGEPAGE)
  if (page > 64) (void)madvise(buffer, bytes, MADV_HUGEPAGE);
#endif
  for (size_t i = 0; i < floats; i++) buffer[i] = (float)((i * 2654435761u >> 8) & 1023) / 512 - 1;
  return buffer;
}

static void prepare(bench_case *b) {
  const workload *w = b->w;
  const int32_t threads = b->parallel->threads;
  const int64_t batch = w->batch ? w->batch : 1;
  size_t bytes = 0;
  if (w->kind == GEMM) {
    b->x = bench_buffer((size_t)(batch * w->m * w->k));
    b->weights = bench_buffer((size_t)(batch * w->k * w->n));
    b->y = bench_buffer((size_t)(batch * w->m * w->n));
    b->gemm = (mica_gemm){.type = MICA_GEMM_F32,
                          .m = w->m,
                          .n = w->n,
                          .k = w->k,
                          .batch_rank = w->batch ? 1 : 0,
                          .batch = {w->batch},
                          .a = b->x,
                          .a_row = w->a_transposed ? 1 : w->k,
                          .a_column = w->a_transposed ? w->m : 1,
                          .a_batch = {w->m * w->k},
                          .b = b->weights,
                          .b_row = w->b_transposed ? 1 : w->n,
                          .b_column = w->b_transposed ? w->k : 1,
                          .b_batch = {w->k * w->n},
                          .c = b->y,
                          .c_row = w->n,
                          .c_batch = {w->m * w->n}};
    if (w->packed) {
      float *packed = bench_buffer(mica_gemm_packed_size(b->kernels, &b->gemm) / sizeof(float));
      mica_gemm_pack(b->kernels, &b->gemm, b->parallel, packed);
      b->gemm.b_packed = packed;
    }
    bytes = mica_gemm_scratch_size(b->kernels, &b->gemm, threads);
    b->flops = 2.0 * (double)batch * (double)w->m * (double)w->n * (double)w->k;
    b->bytes = 4.0 * (double)batch * (double)(w->m * w->k + w->k * w->n + w->m * w->n);
  } else {
    const int64_t stride = w->stride ? w->stride : 1, pad = w->window / 2;
    const int64_t out = (w->size + 2 * pad - w->window) / stride + 1;
    b->conv = (mica_conv){.batch = batch,
                          .groups = w->groups ? w->groups : 1,
                          .input_channels = w->channels,
                          .output_channels = w->outputs,
                          .input = {1, w->size, w->size},
                          .kernel = {1, w->window, w->window},
                          .output = {1, out, out},
                          .stride = {1, stride, stride},
                          .base_dilation = {1, 1, 1},
                          .window_dilation = {1, 1, 1},
                          .padding = {0, pad, pad}};
    mica_conv_dense_weights(&b->conv);
    const int64_t x = batch * w->size * w->size * w->channels, y = batch * out * out * w->outputs;
    const int64_t terms = w->window * w->window * w->channels / b->conv.groups;
    b->x = bench_buffer((size_t)x);
    b->weights = bench_buffer((size_t)(terms * w->outputs));
    b->y = bench_buffer((size_t)y);
    const mica_conv transposed = mica_conv_transposed(&b->conv);
    bytes = w->kind == CONV_FILTER
                ? mica_conv_filter_scratch_size(b->kernels, &b->conv, threads)
                : mica_conv_forward_scratch_size(
                      b->kernels, w->kind == CONV_FORWARD ? &b->conv : &transposed, threads);
    b->flops = 2.0 * (double)y * (double)terms;
    b->bytes = 4.0 * (double)(x + y);
  }
  b->scratch = bench_buffer(bytes / sizeof(float) + 1);
}

static void run_once(const bench_case *b) {
  switch (b->w->kind) {
    case GEMM: mica_gemm_run(b->kernels, &b->gemm, b->parallel, b->scratch); return;
    case CONV_FORWARD:
      mica_conv_forward(b->kernels, &b->conv, b->x, b->weights, b->y, false, NULL, b->parallel,
                        b->scratch);
      return;
    case CONV_DATA:
      mica_conv_backward_data(b->kernels, &b->conv, b->y, b->weights, b->x, false, NULL,
                              b->parallel, b->scratch);
      return;
    case CONV_FILTER:
      mica_conv_backward_filter(b->kernels, &b->conv, b->x, b->y, b->weights, false, b->parallel,
                                b->scratch);
      return;
  }
}

static int compare_doubles(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}
static double median(double *values, int count) {
  qsort(values, (size_t)count, sizeof *values, compare_doubles);
  return values[count / 2];
}

static void run_workload(const workload *w, const mica_cpu_kernels *kernels,
                         const mica_parallel *parallel, int rounds, double seconds) {
  bench_case b = {.w = w, .kernels = kernels, .parallel = parallel};
  double shares[101], times[101], limits[101];
  prepare(&b);
  run_once(&b);
  const double begin = now_seconds();
  int64_t calls = 0;
  do {
    run_once(&b);
    calls++;
  } while (now_seconds() - begin < seconds);
  for (int r = 0; r < rounds; r++) {
    const double before = w->memory ? sample_read(parallel) : sample_peak(kernels);
    run_once(&b); /* warm again */
    const double start = now_seconds();
    for (int64_t i = 0; i < calls; i++) run_once(&b);
    times[r] = (now_seconds() - start) / (double)calls;
    const double after = w->memory ? sample_read(parallel) : sample_peak(kernels);
    limits[r] = (before + after) / 2 * (w->memory ? 1 : parallel->threads);
    shares[r] = (w->memory ? b.bytes : b.flops) / times[r] / limits[r];
  }
  const double time = median(times, rounds), share = median(shares, rounds);
  printf(
      "%-24s %8s %d %10.4f ms %8.1f GFLOP/s %7.1f GB/s  share of %s %.2f best %.2f (limit %.1f)\n",
      w->name, kernels->name, parallel->threads, time * 1e3, b.flops / time * 1e-9,
      b.bytes / time * 1e-9, w->memory ? "read rate" : "peak", share, shares[rounds - 1],
      median(limits, rounds) * 1e-9);
  fflush(stdout);
  free((void *)(uintptr_t)b.gemm.b_packed);
  free(b.x);
  free(b.weights);
  free(b.y);
  free(b.scratch);
}

static void pool_run(void *self, int64_t count, void (*task)(void *, int64_t, int32_t),
                     void *context) {
  mica_thread_pool_run(self, count, task, context);
}

int main(int argc, char **argv) {
  const char *isa = NULL, *only = "";
  int rounds = 9;
  mica_thread_pool_options options = {.threads = 1, .pin = true};
  double seconds = 0.01;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--isa") == 0) isa = argv[i + 1];
    if (strcmp(argv[i], "--only") == 0) only = argv[i + 1];
    if (strcmp(argv[i], "--threads") == 0) options.threads = atoi(argv[i + 1]);
    if (strcmp(argv[i], "--rounds") == 0) rounds = atoi(argv[i + 1]);
    if (strcmp(argv[i], "--seconds") == 0) seconds = atof(argv[i + 1]);
  }
  if (rounds < 1 || rounds > 101) rounds = 9;
  const mica_cpu_kernels *kernels = mica_cpu_kernels_select(isa);
  mica_thread_pool *pool = NULL;
  mica_error error;
  if (!kernels) return fprintf(stderr, "no such row of kernels here\n"), 1;
  if (mica_thread_pool_create(NULL, &options, &pool, &error) != MICA_OK) {
    return fprintf(stderr, "%s\n", error.message), 1;
  }
  const mica_parallel parallel = {pool_run, pool, mica_thread_pool_size(pool)};
  if (parallel.threads == 1) bench_clock = CLOCK_THREAD_CPUTIME_ID;
  read_array = bench_buffer(READ_FLOATS);
  mica_thread_pool_begin(pool);
  for (size_t i = 0; i < sizeof workloads / sizeof workloads[0]; i++) {
    if (!strstr(workloads[i].name, only)) continue;
    run_workload(&workloads[i], kernels, &parallel, rounds, seconds);
  }
  mica_thread_pool_end(pool);
  mica_thread_pool_destroy(pool);
  free(read_array);
  return 0;
}
