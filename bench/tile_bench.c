/* SPDX-License-Identifier: Apache-2.0 */
/* tile_bench: what is bound by memory or by the vector functions, as tile programs and as whole kernels,
 * against the rate of copying that the machine has at that moment.
 *
 *   tile_bench [--isa NAME] [--threads N] [--only TEXT] [--rounds N] [--seconds S] [--show]
 *
 * Each round takes every variant of a workload in turn, and before and after them the rate of a copy of
 * the same size (streamed, when it is larger than the caches). The table shows medians over rounds: time,
 * bytes that must move over time, and that as a share of the copy. Buffers have huge pages and are
 * written before they are timed. --show prints the programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "backend/cpu/kernels/row_kernels.h"
#include "backend/cpu/kernels/tile_kernels.h"
#include "backend/cpu/tile.h"
#include "core/thread_pool.h"

/* One thread is timed by its own clock, which stands while a neighbor has the core. */
static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now_seconds(void) {
  struct timespec t;
  clock_gettime(bench_clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *pages(size_t size) {
  const size_t huge = (size_t)2 << 20;
  size = (size + huge - 1) & ~(huge - 1);
  char *memory =
      mmap(NULL, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(1);
  memory = (char *)(((uintptr_t)memory + huge - 1) & ~(uintptr_t)(huge - 1));
  madvise(memory, size, MADV_HUGEPAGE);
  memset(memory, 0, size);
  return memory;
}

/* ---- threads ---------------------------------------------------------------------------------------- */

typedef struct {
  mica_parallel parallel;
  mica_thread_pool *pool;
} bench_pool;

static void pool_run(void *self, int64_t count,
                     void (*task)(void *context, int64_t index, int32_t worker), void *context) {
  mica_thread_pool_run(((bench_pool *)self)->pool, count, task, context);
}

/* ---- workloads -------------------------------------------------------------------------------------- */

enum { MOST_BUFFERS = 6, MOST_VARIANTS = 3, COLUMNS = 1024 };

typedef struct bench_case bench_case;
struct bench_case {
  const char *name;
  int64_t rows;
  int32_t arrays; /* of rows x COLUMNS that are read or written: what the limit counts */
  int32_t buffers;
  float *data[MOST_BUFFERS];
  mica_tile_program *program;
  void *scratch;
};

/* A spec under construction. */
typedef struct {
  mica_tile_node nodes[64];
  mica_tile_access accesses[8];
  mica_tile_spec spec;
} builder;

static int32_t add_node(builder *b, mica_tile_node node) {
  node.dtype = node.op == MICA_TILE_STORE ? MICA_DTYPE_NONE : MICA_F32;
  b->nodes[b->spec.node_count] = node;
  return b->spec.node_count++;
}
static int32_t add_access(builder *b, int32_t buffer, int64_t row, int64_t column, bool stream) {
  b->accesses[b->spec.access_count] = (mica_tile_access){
      .buffer = buffer, .dtype = MICA_F32, .stride = {row, column}, .stream = stream};
  return b->spec.access_count++;
}
static int32_t load(builder *b, int32_t buffer, int64_t row, int64_t column) {
  return add_node(b, (mica_tile_node){.op = MICA_TILE_LOAD,
                                      .access = add_access(b, buffer, row, column, false)});
}
static int32_t number(builder *b, double value) {
  return add_node(b, (mica_tile_node){.op = MICA_TILE_NUMBER, .number = {.as_double = value}});
}
static int32_t op(builder *b, mica_tile_op code, int32_t x, int32_t y) {
  return add_node(b, (mica_tile_node){.op = code, .source = {x, y}});
}
static void store(builder *b, int32_t buffer, int32_t value, bool stream) {
  const int32_t access = add_access(b, buffer, COLUMNS, 1, stream);
  add_node(b, (mica_tile_node){.op = MICA_TILE_STORE, .source = {value}, .access = access});
}

static void build_gelu(builder *b, bool large) { /* gelu(x * w + bias) */
  const int32_t y =
      op(b, MICA_TILE_ADD, op(b, MICA_TILE_MUL, load(b, 0, COLUMNS, 1), load(b, 2, 0, 1)),
         load(b, 3, 0, 1));
  store(b, 1, op(b, MICA_TILE_GELU_TANH, y, 0), large);
}
static void build_softmax(builder *b, bool large) {
  const int32_t x = load(b, 0, COLUMNS, 1), most = op(b, MICA_TILE_REDUCE_MAX, x, 0);
  const int32_t e = op(b, MICA_TILE_EXP, op(b, MICA_TILE_SUB, x, most), 0);
  store(b, 1, op(b, MICA_TILE_DIV, e, op(b, MICA_TILE_REDUCE_SUM, e, 0)), large);
}
static void build_layer_norm(builder *b, bool large) {
  const int32_t x = load(b, 0, COLUMNS, 1), share = number(b, 1.0 / COLUMNS);
  const int32_t mean = op(b, MICA_TILE_MUL, op(b, MICA_TILE_REDUCE_SUM, x, 0), share);
  const int32_t centered = op(b, MICA_TILE_SUB, x, mean);
  const int32_t squares = op(b, MICA_TILE_REDUCE_SUM, op(b, MICA_TILE_MUL, centered, centered), 0);
  const int32_t variance = op(b, MICA_TILE_MUL, squares, share);
  const int32_t scale = op(b, MICA_TILE_RSQRT, op(b, MICA_TILE_ADD, variance, number(b, 1e-5)), 0);
  const int32_t y = op(b, MICA_TILE_MUL, op(b, MICA_TILE_MUL, centered, scale), load(b, 2, 0, 1));
  store(b, 1, op(b, MICA_TILE_ADD, y, load(b, 3, 0, 1)), large);
}
static void build_adam(builder *b, bool large) { /* buffers: p, m, v, g */
  (void)large;
  const double c1 = 1 - pow(0.9, 10), c2 = 1 - pow(0.999, 10);
  const int32_t p = load(b, 0, COLUMNS, 1), m = load(b, 1, COLUMNS, 1), v = load(b, 2, COLUMNS, 1),
                g = load(b, 3, COLUMNS, 1);
  const int32_t m2 = op(b, MICA_TILE_ADD, op(b, MICA_TILE_MUL, m, number(b, 0.9)),
                        op(b, MICA_TILE_MUL, g, number(b, 0.1)));
  const int32_t gg = op(b, MICA_TILE_MUL, g, g);
  const int32_t v2 = op(b, MICA_TILE_ADD, op(b, MICA_TILE_MUL, v, number(b, 0.999)),
                        op(b, MICA_TILE_MUL, gg, number(b, 0.001)));
  const int32_t mh = op(b, MICA_TILE_MUL, m2, number(b, 1e-3 / c1));
  const int32_t root = op(b, MICA_TILE_SQRT, op(b, MICA_TILE_MUL, v2, number(b, 1 / c2)), 0);
  const int32_t step = op(b, MICA_TILE_DIV, mh, op(b, MICA_TILE_ADD, root, number(b, 1e-8)));
  const int32_t p2 = op(b, MICA_TILE_SUB, p, step);
  store(b, 1, m2, false);
  store(b, 2, v2, false);
  store(b, 0, p2, false);
}

static const struct {
  const char *name;
  void (*build)(builder *b, bool large);
  int32_t reduce_begin, arrays;
  bool in_place;
} workloads[] = {
    {"gelu", build_gelu, 2, 2, false},
    {"softmax", build_softmax, 1, 2, false},
    {"layer_norm", build_layer_norm, 1, 2, false},
    {"adam", build_adam, 2, 7, true},
};

/* ---- timing ----------------------------------------------------------------------------------------- */

typedef struct {
  bench_case *item;
  const mica_tile_kernels *kernels;
  int64_t bytes;
} copy_task;

static void copy_part(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const copy_task *task = context;
  const int64_t part = 1 << 16, at = index * part, left = task->bytes - at;
  const int64_t count = (left < part ? left : part) / 4;
  mica_tile_kernel *copy =
      task->bytes > (int64_t)8 << 20 ? task->kernels->stream[2] : task->kernels->copy[2];
  copy(count, (char *)task->item->data[1] + at, (char *)task->item->data[0] + at, NULL, NULL, 0);
}

static void run_copy(bench_case *item, const mica_cpu_kernels *kernels,
                     const mica_parallel *parallel) {
  copy_task task = {.item = item, .kernels = kernels->tile, .bytes = item->rows * COLUMNS * 4};
  parallel->run(parallel->self, (task.bytes + (1 << 16) - 1) >> 16, copy_part, &task);
}

/* The whole kernel of the workload; gelu has none. */
typedef struct {
  const bench_case *item;
  const mica_row_kernels *kernels;
  int64_t rows; /* of one task */
} kernel_task;

static void kernel_part(void *context, int64_t index, int32_t worker) {
  (void)worker;
  const kernel_task *task = context;
  const bench_case *item = task->item;
  const int64_t begin = index * task->rows, left = item->rows - begin,
                end = begin + (left < task->rows ? left : task->rows);
  const bool large = item->rows > 64;
  if (!strncmp(item->name, "softmax", 7)) {
    task->kernels->softmax(
        &(mica_row_map){.x = item->data[0], .y = item->data[1], .length = COLUMNS, .stream = large},
        begin, end);
  } else if (!strncmp(item->name, "layer_norm", 10)) {
    const mica_row_norm norm = {.x = item->data[0],
                                .scale = item->data[2],
                                .bias = item->data[3],
                                .y = item->data[1],
                                .length = COLUMNS,
                                .epsilon = 1e-5F,
                                .stream = large};
    task->kernels->layer_norm(&norm, begin, end);
  } else {
    const mica_row_adam adam = {.p = item->data[0],
                                .m = item->data[1],
                                .v = item->data[2],
                                .g = item->data[3],
                                .rate = 1e-3F,
                                .beta1 = 0.9F,
                                .beta2 = 0.999F,
                                .epsilon = 1e-8F,
                                .correction1 = 0.65F,
                                .correction2 = 0.01F};
    task->kernels->adam(&adam, begin * COLUMNS, end * COLUMNS);
  }
}

static void run_kernel(bench_case *item, const mica_cpu_kernels *kernels,
                       const mica_parallel *parallel) {
  kernel_task task = {.item = item, .kernels = kernels->rows, .rows = item->rows > 64 ? 64 : 8};
  parallel->run(parallel->self, (item->rows + task.rows - 1) / task.rows, kernel_part, &task);
}

static void run_variant(bench_case *item, int32_t variant, const mica_cpu_kernels *kernels,
                        const mica_parallel *parallel) {
  if (variant < 0) {
    run_copy(item, kernels, parallel);
  } else if (variant == 1) {
    run_kernel(item, kernels, parallel);
  } else {
    mica_tile_run(item->program, (void *const *)(void *)item->data, parallel, item->scratch);
  }
}

/* Seconds of one run: as many as fill `seconds`. */
static double time_variant(bench_case *item, int32_t variant, const mica_cpu_kernels *kernels,
                           const mica_parallel *parallel, double seconds) {
  run_variant(item, variant, kernels, parallel);
  int64_t runs = 0;
  const double begin = now_seconds();
  double end;
  do {
    run_variant(item, variant, kernels, parallel);
    runs++;
    end = now_seconds();
  } while (end - begin < seconds);
  return (end - begin) / (double)runs;
}

static int compare_doubles(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}
static double median(double *values, int32_t count) {
  qsort(values, (size_t)count, sizeof *values, compare_doubles);
  return values[count / 2];
}

int main(int argc, char **argv) {
  const char *isa = NULL, *only = "";
  int32_t threads = 1, rounds = 7;
  double seconds = 0.05;
  bool show = false;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--show")) show = true;
    if (i + 1 == argc) break;
    if (!strcmp(argv[i], "--isa"))
      isa = argv[++i];
    else if (!strcmp(argv[i], "--threads"))
      threads = (int32_t)strtol(argv[++i], NULL, 10);
    else if (!strcmp(argv[i], "--only"))
      only = argv[++i];
    else if (!strcmp(argv[i], "--rounds"))
      rounds = (int32_t)strtol(argv[++i], NULL, 10);
    else if (!strcmp(argv[i], "--seconds"))
      seconds = strtod(argv[++i], NULL);
  }
  if (threads == 1) bench_clock = CLOCK_THREAD_CPUTIME_ID;
  const mica_cpu_kernels *kernels = mica_cpu_kernels_select(isa);
  bench_pool pool = {.parallel = {.run = pool_run, .threads = threads}};
  mica_error error = {0};
  if (!kernels || rounds < 1 || rounds > 100 ||
      mica_thread_pool_create(NULL, &(mica_thread_pool_options){.threads = threads}, &pool.pool,
                              &error) != MICA_OK) {
    fprintf(stderr, "tile_bench: %s\n", error.message);
    return 1;
  }
  pool.parallel.self = &pool;
  printf("row %s, %d threads; medians of %d rounds\n%-16s %-8s %10s %9s %14s\n", kernels->name,
         (int)threads, (int)rounds, "workload", "variant", "ms", "GB/s", "share of copy");
  const size_t largest = (size_t)16384 * COLUMNS * sizeof(float);
  bench_case item = {.buffers = 4};
  for (int32_t i = 0; i < 4; i++) {
    item.data[i] = pages(largest);
    for (size_t k = 0; k < largest / sizeof(float); k++)
      item.data[i][k] = (float)((k * 2654435761U) % 4096) / 1024 - (i == 2 ? 0 : 2);
  }
  for (size_t w = 0; w < sizeof workloads / sizeof workloads[0]; w++) {
    for (int large = 0; large < 2; large++) {
      char name[64];
      snprintf(name, sizeof name, "%s.%s", workloads[w].name, large ? "16m" : "64k");
      if (!strstr(name, only)) continue;
      item.rows = large ? 16384 : 64;
      item.name = name;
      builder b = {.spec = {.rank = 2,
                            .size = {item.rows, COLUMNS},
                            .reduce_begin = workloads[w].reduce_begin,
                            .reduce_end = 2,
                            .buffer_count = 4}};
      b.spec.nodes = b.nodes;
      b.spec.accesses = b.accesses;
      workloads[w].build(&b, large && !workloads[w].in_place);
      if (mica_tile_compile(kernels, &b.spec, NULL, &item.program, &error) != MICA_OK) {
        fprintf(stderr, "tile_bench: %s\n", error.message);
        return 1;
      }
      if (show) {
        char text[4000];
        mica_tile_format(item.program, text, sizeof text);
        printf("%s", text);
      }
      item.scratch = pages(mica_tile_scratch_size(item.program, threads));
      double times[MOST_VARIANTS][100], copies[100];
      const int32_t variants = workloads[w].build == build_gelu ? 1 : 2;
      mica_thread_pool_begin(pool.pool);
      for (int32_t round = 0; round < rounds; round++) {
        const double before = time_variant(&item, -1, kernels, &pool.parallel, seconds);
        for (int32_t v = 0; v < variants; v++)
          times[v][round] = time_variant(&item, v, kernels, &pool.parallel, seconds);
        copies[round] = (before + time_variant(&item, -1, kernels, &pool.parallel, seconds)) / 2;
      }
      mica_thread_pool_end(pool.pool);
      const double array = (double)item.rows * COLUMNS * sizeof(float),
                   limit = 2 * array / median(copies, rounds);
      for (int32_t v = 0; v < variants; v++) {
        const double time = median(times[v], rounds), rate = workloads[w].arrays * array / time;
        printf("%-16s %-8s %10.4f %9.1f %14.2f\n", name, v == 0 ? "tiles" : "kernel", time * 1e3,
               rate * 1e-9, rate / limit);
      }
      fflush(stdout);
      mica_tile_destroy(item.program);
    }
  }
  mica_thread_pool_destroy(pool.pool);
  return 0;
}
