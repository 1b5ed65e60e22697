/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of every row of kernels against plain loops in f64 (i64 for integers).
 *
 * Tolerance: a sum of k products of values in [-1, 1], each rounded once or twice, is off by at most
 * about k * eps * sum |a b|; 4 eps (k + 4) covers order and the lack of a fused multiply-add. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kernels.h"
#include "check.h"

enum { GUARD = 64 }; /* bytes after each scratch that must not change */

/* Runs tasks in a scrambled order and gives each another worker: a kernel must not mind. */
static void run_scrambled(void *self, int64_t count, void (*task)(void *, int64_t, int32_t),
                          void *context) {
  const int32_t threads = *(const int32_t *)self;
  for (int64_t i = 0; i < count; i++) {
    const int64_t index = count - 1 - i;
    task(context, index, (int32_t)((index * 7 + 3) % threads));
  }
}

static uint64_t random_state = 1;
static uint64_t random_bits(void) {
  random_state += 0x9E3779B97F4A7C15u;
  uint64_t z = random_state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
static int64_t random_below(int64_t limit) { return (int64_t)(random_bits() % (uint64_t)limit); }
static double random_unit(void) { return (double)(random_bits() >> 11) * 0x1p-52 - 1.0; }

static const int64_t type_sizes[] = {4, 8, 4};

static void element_set(mica_gemm_type type, void *base, int64_t index) {
  if (type == MICA_GEMM_F32) ((float *)base)[index] = (float)random_unit();
  if (type == MICA_GEMM_F64) ((double *)base)[index] = random_unit();
  if (type == MICA_GEMM_I32) ((uint32_t *)base)[index] = (uint32_t)random_bits();
}
static double element_get(mica_gemm_type type, const void *base, int64_t index) {
  if (type == MICA_GEMM_F32) return (double)((const float *)base)[index];
  if (type == MICA_GEMM_F64) return ((const double *)base)[index];
  return (double)((const int32_t *)base)[index];
}

/* A buffer of `count` elements of random values. */
static void *random_buffer(mica_gemm_type type, int64_t count) {
  void *base = malloc((size_t)((count > 0 ? count : 1) * type_sizes[type]));
  for (int64_t i = 0; i < count; i++) element_set(type, base, i);
  return base;
}

static void *guarded_scratch(size_t bytes) {
  unsigned char *base = aligned_alloc(64, (bytes + GUARD + 63) & ~(size_t)63);
  memset(base, 0xA5, (bytes + GUARD + 63) & ~(size_t)63);
  return base;
}
static bool guard_intact(const void *base, size_t bytes) {
  for (size_t i = 0; i < GUARD; i++) {
    if (((const unsigned char *)base)[bytes + i] != 0xA5) return false;
  }
  return true;
}

/* The epilogue under test: c = 2 c + row + 3 column, counting each element. */
typedef struct {
  mica_gemm_type type;
  int64_t columns;
  unsigned char *seen;
} epilogue_check;

static void epilogue_scale(void *context, int64_t row, int64_t column, int64_t rows,
                           int64_t columns, void *c, int64_t c_row) {
  const epilogue_check *check = context;
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < columns; j++) {
      const int64_t at = i * c_row + j, add = row + i + 3 * (column + j);
      if (check->type == MICA_GEMM_F32) ((float *)c)[at] = 2 * ((float *)c)[at] + (float)add;
      if (check->type == MICA_GEMM_F64) ((double *)c)[at] = 2 * ((double *)c)[at] + (double)add;
      if (check->type == MICA_GEMM_I32) {
        ((uint32_t *)c)[at] = 2 * ((uint32_t *)c)[at] + (uint32_t)add;
      }
      check->seen[(row + i) * check->columns + column + j]++;
    }
  }
}

typedef struct {
  mica_gemm_type type;
  int64_t m, n, k, batch, batch2;
  bool a_transposed, b_transposed, a_spread, b_spread, b_broadcast, accumulate, bias, relu,
      epilogue;
  bool packed;
} gemm_case;

static int64_t offset_of(const mica_gemm *g, const int64_t *strides, int64_t item) {
  int64_t offset = 0;
  for (int32_t i = g->batch_rank - 1; i >= 0; i--) {
    offset += item % g->batch[i] * strides[i];
    item /= g->batch[i];
  }
  return offset;
}

static void check_gemm_case(const mica_cpu_kernels *kernels, const gemm_case *t) {
  const mica_gemm_type type = t->type;
  const int64_t items = t->batch * t->batch2;
  mica_gemm g = {.type = type, .m = t->m, .n = t->n, .k = t->k, .accumulate = t->accumulate};
  const int64_t a_spread = t->a_spread ? 3 : 1, b_spread = t->b_spread ? 2 : 1;
  g.a_row = t->a_transposed ? a_spread : (t->k + 5) * a_spread;
  g.a_column = t->a_transposed ? (t->m + 1) * a_spread : a_spread;
  g.b_row = t->b_transposed ? b_spread : (t->n + 3) * b_spread;
  g.b_column = t->b_transposed ? (t->k + 2) * b_spread : b_spread;
  g.c_row = t->n + 7;
  const int64_t a_size = ((t->m + 1) * (t->k + 5) + 5) * a_spread;
  const int64_t b_size = ((t->n + 3) * (t->k + 2) + 3) * b_spread;
  const int64_t c_size = t->m * g.c_row;
  if (items != 1) {
    g.batch_rank = 2;
    g.batch[0] = t->batch;
    g.batch[1] = t->batch2;
    g.a_batch[0] = a_size;
    g.a_batch[1] = a_size * t->batch;
    g.b_batch[0] = t->b_broadcast ? 0 : b_size * t->batch2;
    g.b_batch[1] = t->b_broadcast ? 0 : b_size;
    g.c_batch[0] = c_size * t->batch2;
    g.c_batch[1] = c_size;
  }
  const int64_t buffers = items > 0 ? items : 1;
  void *a = random_buffer(type, a_size * buffers), *b = random_buffer(type, b_size * buffers);
  void *c = random_buffer(type, c_size * buffers), *bias = random_buffer(type, t->n);
  const size_t c_bytes = (size_t)(c_size * buffers * type_sizes[type]);
  void *before = malloc(c_bytes + 1), *first = malloc(c_bytes + 1);
  if (c_bytes > 0) memcpy(before, c, c_bytes);
  unsigned char *seen = calloc(1, (size_t)(items * t->m * t->n + 1));
  epilogue_check check = {type, t->n, seen};
  g.a = a;
  g.b = b;
  g.c = c;
  if (t->bias) g.finish.bias = bias;
  g.finish.relu = t->relu;
  if (t->epilogue) {
    g.finish.epilogue = epilogue_scale;
    g.finish.context = &check;
  }

  for (int32_t threads = 1; threads <= 4; threads++) {
    mica_parallel parallel = {run_scrambled, &threads, threads};
    void *packed = NULL;
    /* Packed beforehand in every second run, where that may not change the bits. */
    const bool may_pack = threads % 2 == 0 && items > 0 && mica_gemm_is_packed(kernels, &g);
    g.b_packed = NULL;
    if (t->packed || may_pack) {
      const size_t bytes = mica_gemm_packed_size(kernels, &g);
      packed = guarded_scratch(bytes);
      mica_gemm_pack(kernels, &g, &parallel, packed);
      CHECK(guard_intact(packed, bytes));
      g.b_packed = packed;
    }
    const size_t bytes = may_pack ? mica_gemm_any_scratch_size(kernels, &g, threads)
                                  : mica_gemm_scratch_size(kernels, &g, threads);
    void *scratch = guarded_scratch(bytes);
    if (c_bytes > 0) memcpy(c, before, c_bytes);
    memset(seen, 0, (size_t)(items * t->m * t->n + 1));
    mica_gemm_run(kernels, &g, &parallel, scratch);
    CHECK(guard_intact(scratch, bytes));
    free(scratch);
    free(packed);
    if (threads == 1) {
      if (c_bytes > 0) memcpy(first, c, c_bytes);
    } else if (c_bytes > 0 && memcmp(first, c, c_bytes) != 0) {
      CHECK_FAIL("%s: type %d, %lld x %lld x %lld: other bits with %d threads", kernels->name, type,
                 (long long)t->m, (long long)t->n, (long long)t->k, threads);
    }
  }

  const double epsilon = type == MICA_GEMM_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
  int64_t wrong = 0;
  for (int64_t item = 0; item < items; item++) {
    const int64_t ao = offset_of(&g, g.a_batch, item), bo = offset_of(&g, g.b_batch, item);
    const int64_t co = offset_of(&g, g.c_batch, item);
    for (int64_t i = 0; i < t->m; i++) {
      for (int64_t j = 0; j < t->n; j++) {
        const int64_t at = co + i * g.c_row + j;
        double sum = 0, magnitude = 0;
        uint32_t wrapped = 0;
        for (int64_t p = 0; p < t->k; p++) {
          const int64_t ai = ao + i * g.a_row + p * g.a_column;
          const int64_t bi = bo + p * g.b_row + j * g.b_column;
          if (type == MICA_GEMM_I32) {
            wrapped += ((uint32_t *)a)[ai] * ((uint32_t *)b)[bi];
          } else {
            const double product = element_get(type, a, ai) * element_get(type, b, bi);
            sum += product;
            magnitude += fabs(product);
          }
        }
        const double add = (double)(item * t->m + i + 3 * j);
        if (type == MICA_GEMM_I32) {
          if (t->accumulate) wrapped += ((uint32_t *)before)[at];
          if (t->bias) wrapped += ((uint32_t *)bias)[j];
          if (t->relu && (int32_t)wrapped < 0) wrapped = 0;
          if (t->epilogue) wrapped = 2 * wrapped + (uint32_t)add;
          if (((uint32_t *)c)[at] != wrapped) wrong++;
        } else {
          if (t->accumulate) sum += element_get(type, before, at);
          if (t->bias) sum += element_get(type, bias, j);
          if (t->relu && sum < 0) sum = 0;
          if (t->epilogue) sum = 2 * sum + add;
          const double tolerance =
              4 * epsilon * ((double)(t->k + 4) * (magnitude + 2) + (t->epilogue ? add : 0));
          if (!(fabs(element_get(type, c, at) - sum) <= tolerance)) wrong++;
        }
        if (t->epilogue && seen[(item * t->m + i) * t->n + j] != 1) wrong++;
      }
      for (int64_t j = t->n; j < g.c_row; j++) { /* between the rows nothing is written */
        const int64_t at = co + i * g.c_row + j;
        if (memcmp((char *)c + at * type_sizes[type], (char *)before + at * type_sizes[type],
                   (size_t)type_sizes[type]) != 0) {
          wrong++;
        }
      }
    }
  }
  if (wrong > 0) {
    CHECK_FAIL(
        "%s: type %d, batch %lld x %lld, %lld x %lld x %lld, transposed %d %d, spread %d %d, "
        "broadcast %d, accumulate %d, bias %d, relu %d, epilogue %d, packed %d: %lld wrong",
        kernels->name, type, (long long)t->batch, (long long)t->batch2, (long long)t->m,
        (long long)t->n, (long long)t->k, t->a_transposed, t->b_transposed, t->a_spread,
        t->b_spread, t->b_broadcast, t->accumulate, t->bias, t->relu, t->epilogue, t->packed,
        (long long)wrong);
  }
  free(a);
  free(b);
  free(c);
  free(bias);
  free(before);
  free(first);
  free(seen);
}

static void check_gemm_all(const gemm_case *t) {
  const mica_cpu_kernels *kernels;
  for (int32_t row = 0; (kernels = mica_cpu_kernels_at(row)) != NULL; row++) {
    check_gemm_case(kernels, t);
  }
}

static gemm_case random_case(void) {
  const uint64_t bits = random_bits();
  return (gemm_case){.type = random_below(4) < 2 ? MICA_GEMM_F32 : (mica_gemm_type)random_below(3),
                     .batch = 1,
                     .batch2 = 1,
                     .a_transposed = bits & 1,
                     .b_transposed = bits & 2,
                     .a_spread = (bits & 0x1C) == 0,
                     .b_spread = (bits & 0xE0) == 0,
                     .accumulate = bits & 0x100,
                     .bias = bits & 0x200,
                     .relu = bits & 0x400,
                     .epilogue = bits & 0x800,
                     .packed = (bits & 0x3000) == 0};
}

TEST(small_shapes) {
  static const int64_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 32, 33, 48, 65};
  const int64_t count = (int64_t)(sizeof sizes / sizeof sizes[0]);
  for (int64_t i = 0; i < count * count * count; i++) {
    gemm_case t = random_case();
    t.m = sizes[i % count];
    t.n = sizes[i / count % count];
    t.k = sizes[i / count / count];
    check_gemm_all(&t);
  }
}

TEST(random_shapes) {
  for (int32_t i = 0; i < 150; i++) {
    gemm_case t = random_case();
    t.m = 1 + random_below(i % 3 == 0 ? 6 : 180);
    t.n = 1 + random_below(i % 4 == 1 ? 6 : 300);
    t.k = 1 + random_below(i % 5 == 0 ? 1000 : 90);
    check_gemm_all(&t);
  }
}

/* Long sides: more than one block of k, of columns and of rows, and thin products. */
TEST(large_shapes) {
  static const int64_t shapes[][3] = {{61, 1100, 300}, {260, 300, 810}, {3, 700, 1500},
                                      {1, 2100, 900},  {700, 1, 1300},  {2000, 3, 500},
                                      {500, 40, 1153}, {9, 900, 770},   {40, 10, 3000},
                                      {1500, 16, 32},  {32, 512, 784},  {300, 4, 4}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    for (int32_t variant = 0; variant < 6; variant++) {
      gemm_case t = random_case();
      t.type = variant == 4 ? MICA_GEMM_F64 : variant == 5 ? MICA_GEMM_I32 : MICA_GEMM_F32;
      t.a_spread = t.b_spread = false;
      t.a_transposed = variant & 1;
      t.b_transposed = variant & 2;
      t.m = shapes[i][0];
      t.n = shapes[i][1];
      t.k = shapes[i][2];
      check_gemm_all(&t);
    }
  }
}

TEST(batches) {
  for (int32_t i = 0; i < 120; i++) {
    gemm_case t = random_case();
    t.batch = random_below(5);
    t.batch2 = 1 + random_below(4);
    t.b_broadcast = random_below(3) == 0;
    if (!t.b_broadcast) t.packed = false;
    t.m = 1 + random_below(i % 3 == 0 ? 5 : 70);
    t.n = 1 + random_below(i % 4 == 1 ? 5 : 90);
    t.k = random_below(60);
    check_gemm_all(&t);
  }
}

/* NaN and infinities go through the sums and the relu as IEEE has them. */
TEST(special_values) {
  const mica_cpu_kernels *kernels;
  for (int32_t row = 0; (kernels = mica_cpu_kernels_at(row)) != NULL; row++) {
    float a[20][3], b[3][40], c[20][40];
    for (int i = 0; i < 60; i++) a[i / 3][i % 3] = 1;
    for (int i = 0; i < 120; i++) b[i / 40][i % 40] = -1;
    a[2][1] = NAN;
    a[5][0] = INFINITY;
    a[6][0] = -INFINITY;
    mica_gemm g = {.type = MICA_GEMM_F32,
                   .m = 20,
                   .n = 40,
                   .k = 3,
                   .a = a,
                   .a_row = 3,
                   .a_column = 1,
                   .b = b,
                   .b_row = 40,
                   .b_column = 1,
                   .c = c,
                   .c_row = 40,
                   .finish.relu = true};
    int32_t threads = 1;
    mica_parallel parallel = {run_scrambled, &threads, 1};
    void *scratch = guarded_scratch(mica_gemm_scratch_size(kernels, &g, 1));
    mica_gemm_run(kernels, &g, &parallel, scratch);
    free(scratch);
    for (int j = 0; j < 40; j++) {
      CHECK(isnan(c[2][j]));
      CHECK(c[5][j] == 0 && c[0][j] == 0);
      CHECK(c[6][j] == INFINITY);
    }
  }
}

TEST(rows_of_kernels) {
  CHECK(mica_cpu_kernels_at(0) == &mica_cpu_kernels_baseline);
  CHECK(mica_cpu_kernels_at(1000) == NULL);
  CHECK(mica_cpu_kernels_select("baseline") == &mica_cpu_kernels_baseline);
  CHECK(mica_cpu_kernels_select("no such row") == NULL);
  const char *environment = getenv("MICA_CPU_ISA");
  char *kept = environment ? strdup(environment) : NULL;
  const mica_cpu_kernels *kernels;
  for (int32_t row = 0; (kernels = mica_cpu_kernels_at(row)) != NULL; row++) {
    CHECK(mica_cpu_kernels_select(kernels->name) == kernels);
    setenv("MICA_CPU_ISA", kernels->name, 1);
    CHECK(mica_cpu_kernels_select(NULL) == kernels);
    unsetenv("MICA_CPU_ISA");
    if (!mica_cpu_kernels_at(row + 1)) CHECK(mica_cpu_kernels_select(NULL) == kernels);
  }
  if (kept) setenv("MICA_CPU_ISA", kept, 1);
  free(kept);
}

/* The size of a problem that no memory can hold is not a small number. */
TEST(sizes_overflow) {
  mica_gemm g = {.type = MICA_GEMM_F64, .m = 2, .n = INT64_MAX / 2, .k = INT64_MAX / 2};
  CHECK(mica_gemm_packed_size(&mica_cpu_kernels_baseline, &g) == SIZE_MAX);
}

TEST_MAIN(TEST_CASE(small_shapes), TEST_CASE(random_shapes), TEST_CASE(large_shapes),
          TEST_CASE(batches), TEST_CASE(special_values), TEST_CASE(rows_of_kernels),
          TEST_CASE(sizes_overflow))
