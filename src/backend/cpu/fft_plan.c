/* SPDX-License-Identifier: Apache-2.0 */
/* fft_plan.c: tables of Fourier transforms: the passes of a length and their roots, the chirp of lengths
 * with a large prime factor, and the parts of a long transform. Roots are reduced to the first octant in
 * whole numbers and rounded once. */
#include <string.h>

#include "backend/cpu/fft_internal.h"
#include "core/fourier.h"

enum { FFT_BLOCK_BYTES = 1 << 19 }; /* of one block; two should stay in the L2 cache */

/* ---- roots ------------------------------------------------------------------------------------ */

/* All roots of order n from those of the first octant, when n is a multiple of 8. */
typedef struct {
  int64_t n;
  const double *octant; /* [n / 8 + 1] pairs, or NULL: each by itself */
} root_source;

/* False without memory: roots by themselves would do, but have other last bits. */
static bool make_roots(int64_t n, int64_t wanted, mica_arena *scratch, root_source *out) {
  *out = (root_source){.n = n};
  if (n % 8 != 0 || wanted < n / 4) return true;
  double *octant = mica_arena_allocate(scratch, ((size_t)n / 8 + 1) * 2 * sizeof(*octant));
  if (octant == NULL) return false;
  for (int64_t k = 0; k <= n / 8; k++) mica_unit_root(k, n, &octant[2 * k], &octant[2 * k + 1]);
  out->octant = octant;
  return true;
}

/* e^(-2 pi i k / n), 0 <= k < n. */
static void take_root(const root_source *source, int64_t k, double out[2]) {
  if (source->octant == NULL) {
    mica_unit_root(-k, source->n, &out[0], &out[1]);
    return;
  }
  int64_t eighth = source->n / 8, quarter = k / (2 * eighth), rest = k - 2 * quarter * eighth;
  bool upper = rest > eighth;
  const double *root = source->octant + 2 * (upper ? 2 * eighth - rest : rest);
  double c = upper ? root[1] : root[0], s = upper ? root[0] : root[1];
  switch (quarter) {
    case 0: out[0] = c, out[1] = -s; break;
    case 1: out[0] = -s, out[1] = -c; break;
    case 2: out[0] = -c, out[1] = s; break;
    default: out[0] = s, out[1] = c; break;
  }
}

static void put_number(bool twice, void *table, int64_t at, double value) {
  if (twice)
    ((double *)table)[at] = value;
  else
    ((float *)table)[at] = (float)value;
}
static void put_root(bool twice, void *table, int64_t at, const double root[2]) {
  put_number(twice, table, 2 * at, root[0]);
  put_number(twice, table, 2 * at + 1, root[1]);
}

/* Memory for complex numbers, aligned as vectors like it. */
static void *allocate_table(bool twice, int64_t count, mica_arena *memory) {
  size_t bytes;
  if (!mica_size_multiply((size_t)count, twice ? 16 : 8, &bytes) ||
      !mica_size_add(bytes, MICA_ALIGNMENT, &bytes))
    return NULL;
  char *table = mica_arena_allocate(memory, bytes);
  if (table == NULL) return NULL;
  return table + (MICA_ALIGNMENT - (uintptr_t)table % MICA_ALIGNMENT) % MICA_ALIGNMENT;
}

void *mica_fft_roots(bool twice, int64_t n, int64_t count, mica_arena *memory) {
  void *table = allocate_table(twice, count, memory);
  for (int64_t k = 0; table != NULL && k < count; k++) {
    double root[2];
    mica_unit_root(-k, n, &root[0], &root[1]);
    put_root(twice, table, k, root);
  }
  return table;
}

/* ---- passes ----------------------------------------------------------------------------------- */

/* The radices of n, product n; 0 when a prime factor is above the limit. */
static int32_t find_radices(int64_t n, int64_t radices[MICA_FFT_PASS_LIMIT]) {
  static const int64_t odd[] = {13, 11, 7, 5, 3};
  int32_t count = 0, twos = 0;
  for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
    for (; n % odd[i] == 0; n /= odd[i]) radices[count++] = odd[i];
  for (; n % 2 == 0; n /= 2) twos++;
  for (int64_t prime = 17; prime <= MICA_FFT_PRIME_LIMIT; prime += 2)
    for (; n % prime == 0; n /= prime) radices[count++] = prime;
  if (n != 1) return 0;
  int32_t fours = twos % 3 == 2 ? 1 : twos % 3 == 1 && twos > 1 ? 2 : 0;
  if (twos == 1) radices[count++] = 2;
  for (int32_t i = 0; i < fours; i++) radices[count++] = 4;
  for (int32_t i = 0; i < (twos - 2 * fours) / 3; i++) radices[count++] = 8;
  return count;
}

static bool has_radices(int64_t n) {
  int64_t radices[MICA_FFT_PASS_LIMIT];
  return n == 1 || find_radices(n, radices) > 0;
}

/* A length of small factors that holds a convolution of n. */
static int64_t find_padded(int64_t n) {
  static const int64_t odd[] = {1, 3, 5, 9, 15};
  int64_t best = 0;
  for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
    int64_t m = odd[i];
    while (m < 2 * n - 1) m *= 2;
    if (best == 0 || m < best) best = m;
  }
  return best;
}

static bool build_passes(bool twice, int64_t n, mica_arena *memory, mica_arena *scratch,
                         mica_fft_plan *plan) {
  int64_t radices[MICA_FFT_PASS_LIMIT], s = 1;
  int32_t count = find_radices(n, radices);
  root_source source;
  if (!make_roots(n, n, scratch, &source)) return false;
  for (int32_t i = 0; i < count; i++) {
    int64_t r = radices[i], m = n / (s * r);
    void *table = allocate_table(twice, m * (r - 1), memory);
    if (table == NULL) return false;
    for (int64_t p = 0; p < m; p++) {
      for (int64_t k = 1; k < r; k++) {
        double root[2];
        take_root(&source, p * k * s, root); /* p k < r m = n / s */
        put_root(twice, table, p * (r - 1) + k - 1, root);
      }
    }
    void *roots = r > 13 ? mica_fft_roots(twice, r, r, memory) : NULL;
    if (r > 13 && roots == NULL) return false;
    plan->pass[plan->pass_count++] = (mica_fft_pass){r, m, s, table, roots};
    s *= r;
  }
  return true;
}

/* The chirp as f64, and as the plan's table. */
static double *build_chirp(bool twice, int64_t n, mica_arena *memory, mica_arena *scratch,
                           mica_fft_plan *plan) {
  double *chirp = allocate_table(true, n, scratch);
  void *table = allocate_table(twice, n, memory);
  root_source source;
  if (chirp == NULL || table == NULL || !make_roots(2 * n, n, scratch, &source)) return NULL;
  for (int64_t j = 0, square = 0; j < n; j++) {
    take_root(&source, square, chirp + 2 * j);
    put_root(twice, table, j, chirp + 2 * j);
    square = (square + 2 * j + 1) % (2 * n);
  }
  plan->chirp = table;
  return chirp;
}

/* The transform of the conjugate chirp laid around 0, by 1 / m, from its f64 transform. */
static bool finish_filter(bool twice, int64_t m, const double *transformed, mica_arena *memory,
                          mica_fft_plan *plan) {
  void *table = allocate_table(twice, m, memory);
  for (int64_t k = 0; table != NULL && k < 2 * m; k++)
    put_number(twice, table, k, transformed[k] / (double)m);
  plan->filter = table;
  return table != NULL;
}

static double *lay_filter(int64_t n, int64_t m, const double *chirp, mica_arena *scratch) {
  double *around = allocate_table(true, m, scratch);
  if (around == NULL) return NULL;
  memset(around, 0, (size_t)m * 2 * sizeof(double));
  for (int64_t j = 0; j < n; j++) {
    int64_t mirror = j == 0 ? 0 : m - j;
    around[2 * j] = around[2 * mirror] = chirp[2 * j];
    around[2 * j + 1] = around[2 * mirror + 1] = -chirp[2 * j + 1];
  }
  return around;
}

bool mica_fft_plan_build(const mica_cpu_kernels *kernels, bool twice, int64_t n, mica_arena *memory,
                         mica_arena *scratch, mica_fft_plan *out) {
  (void)kernels;
  *out = (mica_fft_plan){.n = n, .padded = n};
  if (has_radices(n)) return build_passes(twice, n, memory, scratch, out);
  out->padded = find_padded(n);
  double *chirp = build_chirp(twice, n, memory, scratch, out);
  double *around = chirp == NULL ? NULL : lay_filter(n, out->padded, chirp, scratch);
  size_t doubles;
  if (around == NULL || !mica_fourier_scratch(out->padded, &doubles)) return false;
  double *work = mica_arena_allocate(scratch, doubles * sizeof(double));
  double *transformed = allocate_table(true, out->padded, scratch);
  if (work == NULL || transformed == NULL) return false;
  mica_fourier_prepare(out->padded, work);
  mica_fourier(out->padded, false, around, transformed, work);
  return finish_filter(twice, out->padded, transformed, memory, out) &&
         build_passes(twice, out->padded, memory, scratch, out);
}

/* ---- long transforms -------------------------------------------------------------------------- */

/* How much longer work in lanes takes because blocks of the other side are not full. */
static double lane_waste(const mica_fft_kernels *kernels, int64_t count) {
  int64_t lanes = kernels->lanes;
  return (double)((count + lanes - 1) / lanes * lanes) / (double)count;
}

static double side_cost(const mica_fft_kernels *kernels, int64_t side) {
  int64_t bytes = side * 2 * kernels->lanes * kernels->element_size;
  double rounds = 1.5; /* moving a block, and a pass for each factor of about 6 */
  for (int64_t left = side; left > 1; left /= 6) rounds++;
  return bytes > FFT_BLOCK_BYTES ? 3 * rounds : rounds;
}

bool mica_fft_core_fits(const mica_fft_kernels *kernels, int64_t n, int64_t *out_m,
                        int64_t *out_n1) {
  int64_t m = has_radices(n) ? n : find_padded(n), best = 0;
  double best_cost = 0;
  for (int64_t a = 2; a <= m / a; a++) {
    if (m % a != 0) continue;
    for (int swap = 0; swap < 2; swap++) {
      int64_t n1 = swap ? m / a : a, n2 = m / n1;
      double cost = side_cost(kernels, n1) * lane_waste(kernels, n2) +
                    side_cost(kernels, n2) * lane_waste(kernels, n1);
      if (best == 0 || cost < best_cost) best = n1, best_cost = cost;
    }
  }
  *out_m = m;
  *out_n1 = best;
  return best != 0;
}

static bool build_turns(bool twice, mica_arena *memory, mica_arena *scratch, mica_fft_core *core) {
  int64_t lanes = core->kernels->lanes, blocks = (core->n2 + lanes - 1) / lanes;
  void *table = allocate_table(twice, blocks * lanes * core->n1, memory);
  root_source source;
  if (table == NULL || !make_roots(core->m, core->m, scratch, &source)) return false;
  for (int64_t block = 0; block < blocks; block++) {
    for (int64_t k = 0; k < core->n1; k++) {
      int64_t at = (block * core->n1 + k) * 2 * lanes;
      for (int64_t l = 0; l < lanes; l++) {
        double root[2];
        take_root(&source, k * (block * lanes + l) % core->m, root);
        put_number(twice, table, at + l, root[0]);
        put_number(twice, table, at + lanes + l, root[1]);
      }
    }
  }
  core->turns = table;
  return true;
}

bool mica_fft_core_build(const mica_cpu_kernels *kernels, bool twice, int64_t n, mica_arena *memory,
                         mica_arena *scratch, mica_fft_core *out) {
  *out = (mica_fft_core){.kernels = kernels->fft[twice], .n = n};
  if (!mica_fft_core_fits(out->kernels, n, &out->m, &out->n1)) return false;
  out->n2 = out->m / out->n1;
  if (!mica_fft_plan_build(kernels, twice, out->n1, memory, scratch, &out->first) ||
      !mica_fft_plan_build(kernels, twice, out->n2, memory, scratch, &out->second) ||
      !build_turns(twice, memory, scratch, out))
    return false;
  if (out->m == n) return true;
  /* The filter by the engine's own transform in f64. */
  out->chirp = (mica_fft_plan){.n = n, .padded = out->m};
  double *chirp = build_chirp(twice, n, memory, scratch, &out->chirp);
  double *around = chirp == NULL ? NULL : lay_filter(n, out->m, chirp, scratch);
  char *matrix = allocate_table(true, out->m, scratch);
  mica_fft_core accurate;
  if (around == NULL || matrix == NULL ||
      !mica_fft_core_build(kernels, true, out->m, scratch, scratch, &accurate))
    return false;
  mica_fft_rows rows = {
      .core = &accurate,
      .parallel = &mica_cpu_serial,
      .worker_bytes = mica_fft_worker_bytes(accurate.kernels,
                                            accurate.n1 > accurate.n2 ? accurate.n1 : accurate.n2),
      .matrix = matrix,
      .scale = 1};
  rows.blocks = allocate_table(true, (int64_t)rows.worker_bytes / 16 + 1, scratch);
  if (rows.blocks == NULL) return false;
  mica_fft_rows_run(&rows, 1, (const char *)around, 2 * out->m, (char *)around, 2 * out->m);
  return finish_filter(twice, out->m, around, memory, &out->chirp);
}

size_t mica_fft_worker_bytes(const mica_fft_kernels *kernels, int64_t elements) {
  size_t bytes, each = (size_t)(4 * kernels->lanes * kernels->element_size);
  if (!mica_size_multiply((size_t)elements + 1, each, &bytes) ||
      !mica_size_align(bytes, 2 * MICA_ALIGNMENT, &bytes))
    return SIZE_MAX;
  return bytes;
}
