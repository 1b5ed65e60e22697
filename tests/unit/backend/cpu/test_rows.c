/* SPDX-License-Identifier: Apache-2.0 */
/* The row kernels of every row against their formulas in f64, at lengths around a vector's; and the same
 * bits for every split of the work, in place, and around the caches. */
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/row_kernels.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t lengths[] = {1,  2,  3,   7,   10,  16,   17,   31,
                                  64, 65, 100, 128, 200, 1000, 1024, 5000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0], ROWS = 7 };

/* Deterministic numbers in [-limit, limit). */
static void fill(float *out, int64_t count, double limit, uint64_t seed) {
  uint64_t state = seed * 2654435761U + 88172645463325252U;
  for (int64_t i = 0; i < count; i++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    out[i] = (float)(((double)(state >> 11) * 0x1p-53 * 2 - 1) * limit);
  }
}

/* 64-byte aligned, with room that must stay untouched behind it. */
static float *room(int64_t count) {
  const size_t size = ((size_t)count * sizeof(float) + 127) & ~(size_t)63;
  float *memory = aligned_alloc(64, size);
  if (!CHECK(memory)) exit(1);
  memset(memory, 0xa5, size);
  return memory;
}
static bool untouched(const float *array, int64_t count) {
  uint32_t bits;
  memcpy(&bits, array + count, sizeof bits);
  return CHECK_EQ_BITS(bits, 0xa5a5a5a5);
}

/* Errors are relative, but to `terms` where the result is smaller: what it is a difference of. */
static bool near(const float *actual, const double *expected, int64_t count, double tolerance,
                 double terms, const char *what, const char *row, int64_t length) {
  for (int64_t i = 0; i < count; i++) {
    const double error = fabs((double)actual[i] - expected[i]);
    if (error <= tolerance * fmax(fabs(expected[i]), terms) ||
        (isnan(actual[i]) && isnan(expected[i])))
      continue;
    return CHECK_FAIL("%s, row %s, length %lld, element %lld: %.9g, expected %.9g", what, row,
                      (long long)length, (long long)i, (double)actual[i], expected[i]);
  }
  return true;
}

/* ---- softmax ------------------------------------------------------------------------------------------ */

static void exact_softmax(const float *x, int64_t n, bool logarithm, double *y) {
  double most = -INFINITY, sum = 0;
  for (int64_t i = 0; i < n; i++) most = fmax(most, (double)x[i]);
  for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
  for (int64_t i = 0; i < n; i++)
    y[i] = logarithm ? (double)x[i] - most - log(sum) : exp((double)x[i] - most) / sum;
}

static void check_map(void (*kernel)(const mica_row_map *map, int64_t begin, int64_t end),
                      bool logarithm, const char *name, const char *row) {
  for (int32_t k = 0; k < LENGTHS; k++) {
    const int64_t n = lengths[k], count = n * ROWS;
    float *x = room(count), *y = room(count), *z = room(count);
    double *expected = calloc((size_t)count, sizeof *expected);
    if (!CHECK(expected)) return;
    fill(x, count, 8, (uint64_t)n);
    for (int64_t i = 0; i < n; i++) x[i] = -100 * (float)i; /* mostly underflows */
    for (int64_t i = 0; i < ROWS; i++) exact_softmax(x + i * n, n, logarithm, expected + i * n);
    kernel(&(mica_row_map){.x = x, .y = y, .length = n}, 0, ROWS);
    near(y, expected, count, 2e-6, logarithm ? 1 : 1e-37, name, row, n);
    untouched(y, count);
    for (int64_t i = ROWS - 1; i >= 0; i--)
      kernel(&(mica_row_map){.x = x, .y = z, .length = n, .stream = true}, i, i + 1);
    CHECK_EQ_BYTES(z, y, (size_t)count * sizeof(float));
    untouched(z, count);
    kernel(&(mica_row_map){.x = x, .y = x, .length = n, .stream = true}, 0, ROWS);
    CHECK_EQ_BYTES(x, y, (size_t)count * sizeof(float));
    free(x), free(y), free(z), free(expected);
  }
}

TEST(softmax) {
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    check_map(row->rows->softmax, false, "softmax", row->name);
    check_map(row->rows->log_softmax, true, "log_softmax", row->name);
    float nan[40] = {0}, infinite[40] = {0}, out[40];
    nan[33] = NAN;
    infinite[3] = -INFINITY;
    row->rows->softmax(&(mica_row_map){.x = nan, .y = out, .length = 40}, 0, 1);
    for (int i = 0; i < 40; i++) CHECK(isnan(out[i]));
    row->rows->softmax(&(mica_row_map){.x = infinite, .y = out, .length = 40}, 0, 1);
    for (int i = 0; i < 40; i++) CHECK_NEAR(out[i], i == 3 ? 0 : 1.0 / 39, 1e-8);
  }
}

/* ---- layer norm --------------------------------------------------------------------------------------- */

static const double epsilon = 1e-3;

static double statistics(const float *x, int64_t n, double *out_factor) {
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
  for (int64_t i = 0; i < n; i++)
    variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
  *out_factor = 1 / sqrt(variance + (double)(float)epsilon);
  return mean;
}

static void check_norm(const mica_cpu_kernels *row, int64_t n, bool scaled, bool biased) {
  const int64_t count = n * ROWS;
  float *x = room(count), *w = room(n), *b = room(n), *y = room(count), *z = room(count);
  double *expected = calloc((size_t)count, sizeof *expected);
  if (!CHECK(expected)) return;
  fill(x, count, 3, (uint64_t)n);
  fill(w, n, 2, (uint64_t)n + 1);
  fill(b, n, 2, (uint64_t)n + 2);
  for (int64_t i = 0; i < ROWS; i++) {
    double factor;
    const double mean = statistics(x + i * n, n, &factor);
    for (int64_t k = 0; k < n; k++)
      expected[i * n + k] = ((double)x[i * n + k] - mean) * factor * (scaled ? (double)w[k] : 1) +
                            (biased ? (double)b[k] : 0);
  }
  mica_row_norm norm = {.x = x,
                        .scale = scaled ? w : NULL,
                        .bias = biased ? b : NULL,
                        .y = y,
                        .length = n,
                        .epsilon = (float)epsilon};
  row->rows->layer_norm(&norm, 0, ROWS);
  near(y, expected, count, 2e-6, 1, "layer_norm", row->name, n);
  untouched(y, count);
  norm.y = z;
  norm.stream = true;
  for (int64_t i = ROWS - 1; i >= 0; i--) row->rows->layer_norm(&norm, i, i + 1);
  CHECK_EQ_BYTES(z, y, (size_t)count * sizeof(float));
  free(x), free(w), free(b), free(y), free(z), free(expected);
}

TEST(layer_norm) {
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    for (int32_t k = 0; k < LENGTHS; k++) {
      for (int parts = 0; parts < 4; parts++) check_norm(row, lengths[k], parts & 1, parts & 2);
    }
  }
}

/* Of sum(y * dy) by differences in f64: for x at a few places, for scale and bias at all of them. */
static double norm_objective(const double *x, const double *w, const float *dy, int64_t n) {
  double mean = 0, variance = 0, sum = 0;
  for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
  for (int64_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)n;
  for (int64_t i = 0; i < n; i++)
    sum += (x[i] - mean) / sqrt(variance + (double)(float)epsilon) * w[i] * (double)dy[i];
  return sum;
}

static void check_norm_gradient(const mica_cpu_kernels *row, int64_t rows, int64_t n) {
  const int64_t count = rows * n, chunk = mica_row_norm_chunk(rows),
                chunks = (rows + chunk - 1) / chunk;
  float *x = room(count), *dy = room(count), *w = room(n), *dx = room(count), *again = room(count);
  float *partial = room(chunks * 2 * n), *sums = room(2 * n);
  double *dw = calloc((size_t)n * 2, sizeof *dw), *db = dw ? dw + n : NULL,
         *wide = calloc((size_t)n * 2, sizeof *wide);
  if (!CHECK(dw && wide)) return;
  fill(x, count, 3, (uint64_t)n);
  fill(dy, count, 1, (uint64_t)n + 1);
  fill(w, n, 2, (uint64_t)n + 2);
  mica_row_norm_gradient norm = {.x = x,
                                 .scale = w,
                                 .dy = dy,
                                 .dx = dx,
                                 .partial = partial,
                                 .rows = rows,
                                 .length = n,
                                 .chunk = chunk,
                                 .epsilon = (float)epsilon};
  for (int64_t i = chunks - 1; i >= 0; i--) row->rows->layer_norm_gradient(&norm, i, i + 1);
  untouched(dx, count);
  untouched(partial, chunks * 2 * n);
  row->rows->sum_rows(&(mica_row_sum){.x = partial, .y = sums, .count = chunks, .step = 2 * n}, 0,
                      2 * n);
  untouched(sums, 2 * n);
  for (int64_t i = 0; i < rows; i++) {
    double factor;
    const double mean = statistics(x + i * n, n, &factor);
    for (int64_t k = 0; k < n; k++) {
      dw[k] += ((double)x[i * n + k] - mean) * factor * (double)dy[i * n + k];
      db[k] += (double)dy[i * n + k];
    }
  }
  near(sums, dw, 2 * n, 2e-6 * sqrt((double)rows), 1, "dscale and dbias", row->name, n);
  for (int64_t trial = 0; trial < 12 && n > 1; trial++) {
    const int64_t i = trial * 31 % rows, k = trial * 17 % n;
    for (int64_t c = 0; c < n; c++) wide[c] = (double)x[i * n + c], wide[n + c] = (double)w[c];
    const double step = 1e-5, at = wide[k];
    wide[k] = at + step;
    const double above = norm_objective(wide, wide + n, dy + i * n, n);
    wide[k] = at - step;
    const double below = norm_objective(wide, wide + n, dy + i * n, n);
    CHECK_NEAR(dx[i * n + k], (above - below) / (2 * step), 2e-4);
  }
  norm.dx = again, norm.partial = NULL;
  row->rows->layer_norm_gradient(&norm, 0, chunks);
  CHECK_EQ_BYTES(again, dx, (size_t)count * sizeof(float));
  free(x), free(dy), free(w), free(dx), free(again), free(partial), free(sums), free(dw),
      free(wide);
}

TEST(layer_norm_gradient) {
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    for (int32_t k = 0; k < LENGTHS; k++) check_norm_gradient(row, ROWS, lengths[k]);
    check_norm_gradient(row, 300, 33);
    check_norm_gradient(row, 1100, 20);
  }
}

/* ---- cross entropy ------------------------------------------------------------------------------------ */

static void check_entropy(const mica_cpu_kernels *row, int64_t n, bool wide) {
  float *x = room(ROWS * n), *loss = room(ROWS), *dx = room(ROWS * n), *again = room(ROWS * n),
        slopes[ROWS];
  double *expected = calloc((size_t)(ROWS * n), sizeof *expected), losses[ROWS];
  int32_t narrow[ROWS];
  int64_t labels[ROWS];
  if (!CHECK(expected)) return;
  fill(x, ROWS * n, 5, (uint64_t)n);
  fill(slopes, ROWS, 2, (uint64_t)n + 1);
  for (int64_t i = 0; i < ROWS; i++) {
    labels[i] = i == 1 ? -1 : i == 2 ? n : i == 3 ? n - 1 : i * 13 % n;
    narrow[i] = (int32_t)labels[i];
    const bool known = labels[i] >= 0 && labels[i] < n;
    exact_softmax(x + i * n, n, true, expected + i * n);
    losses[i] = known ? -expected[i * n + labels[i]] : NAN;
    for (int64_t k = 0; k < n; k++)
      expected[i * n + k] =
          (exp(expected[i * n + k]) - (known && k == labels[i] ? 1 : 0)) * (double)slopes[i];
  }
  const void *given = wide ? (const void *)labels : (const void *)narrow;
  row->rows->cross_entropy(
      &(mica_row_entropy){
          .logits = x, .labels = given, .loss = loss, .length = n, .wide_labels = wide},
      0, ROWS);
  near(loss, losses, ROWS, 2e-6, 1, "cross_entropy", row->name, n);
  untouched(loss, ROWS);
  mica_row_entropy_gradient gradient = {.logits = x,
                                        .slope = slopes,
                                        .labels = given,
                                        .dlogits = dx,
                                        .length = n,
                                        .slope_step = 1,
                                        .wide_labels = wide};
  row->rows->cross_entropy_gradient(&gradient, 0, ROWS);
  near(dx, expected, ROWS * n, 2e-6, 1, "cross_entropy_gradient", row->name, n);
  untouched(dx, ROWS * n);
  gradient.dlogits = again, gradient.stream = true;
  for (int64_t i = ROWS - 1; i >= 0; i--) row->rows->cross_entropy_gradient(&gradient, i, i + 1);
  CHECK_EQ_BYTES(again, dx, (size_t)(ROWS * n) * sizeof(float));
  gradient.dlogits = x;
  row->rows->cross_entropy_gradient(&gradient, 0, ROWS);
  CHECK_EQ_BYTES(x, dx, (size_t)(ROWS * n) * sizeof(float));
  free(x), free(loss), free(dx), free(again), free(expected);
}

TEST(cross_entropy) {
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++)
    for (int32_t k = 0; k < LENGTHS; k++) check_entropy(row, lengths[k], k % 2 == 0);
}

/* ---- Adam ----------------------------------------------------------------------------------------------- */

TEST(adam) {
  enum { COUNT = 1003 };
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    float p[COUNT], m[COUNT], v[COUNT], g[COUNT], p2[COUNT], m2[COUNT], v2[COUNT];
    fill(p, COUNT, 1, 1), fill(m, COUNT, 1, 2), fill(v, COUNT, 1, 3), fill(g, COUNT, 1, 4);
    for (int i = 0; i < COUNT; i++) v[i] = fabsf(v[i]);
    memcpy(p2, p, sizeof p), memcpy(m2, m, sizeof m), memcpy(v2, v, sizeof v);
    const float b1 = 0.9F, b2 = 0.999F, rate = 1e-2F, c1 = 0.3F, c2 = 0.02F, small = 1e-6F;
    mica_row_adam update = {.p = p2,
                            .m = m2,
                            .v = v2,
                            .g = g,
                            .rate = rate,
                            .beta1 = b1,
                            .beta2 = b2,
                            .epsilon = small,
                            .correction1 = c1,
                            .correction2 = c2};
    row->rows->adam(&update, 500, COUNT);
    row->rows->adam(&update, 0, 500);
    for (int i = 0; i < COUNT; i++) {
      const double dm = (double)b1 * (double)m[i] + (1 - (double)b1) * (double)g[i];
      const double dv = (double)b2 * (double)v[i] + (1 - (double)b2) * (double)g[i] * (double)g[i];
      const double dp =
          (double)p[i] - (double)rate * (dm / (double)c1) / (sqrt(dv / (double)c2) + (double)small);
      CHECK_NEAR(m2[i], dm, 2e-7);
      CHECK_NEAR(v2[i], dv, 2e-7);
      CHECK_NEAR(p2[i], dp, 3e-6);
    }
    update.p = p, update.m = m, update.v = v;
    row->rows->adam(&update, 0, COUNT);
    CHECK_EQ_BYTES(p2, p, sizeof p);
    CHECK_EQ_BYTES(m2, m, sizeof m);
    CHECK_EQ_BYTES(v2, v, sizeof v);
  }
}

/* ---- positions and transposes ------------------------------------------------------------------------------ */

static int32_t first_extreme(const float *x, int64_t n, bool smallest) {
  int64_t best = 0;
  for (int64_t i = 0; i < n; i++) {
    if (isnan(x[i])) return (int32_t)i;
    if (smallest ? x[i] < x[best] : x[i] > x[best]) best = i;
  }
  return (int32_t)best;
}

TEST(positions) {
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    for (int32_t k = 0; k < LENGTHS; k++) {
      const int64_t n = lengths[k];
      float *x = room(ROWS * n);
      int32_t y[ROWS];
      fill(x, ROWS * n, 4, (uint64_t)n);
      for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(i % 5);                                /* many equal ones */
        x[n + i] = i == n / 2 || i == n - 1 ? NAN : x[n + i]; /* NaN counts as the extreme */
        x[2 * n + i] = i % 2 == 0 ? -0.0F : 0.0F;             /* equal zeros */
        x[3 * n + i] = i == n - 1 ? INFINITY : -INFINITY;
      }
      for (int smallest = 0; smallest < 2; smallest++) {
        const mica_row_position position = {.x = x, .y = y, .length = n, .smallest = smallest};
        row->rows->position(&position, 3, ROWS);
        row->rows->position(&position, 0, 3);
        for (int64_t i = 0; i < ROWS; i++)
          CHECK_EQ_INT(y[i], first_extreme(x + i * n, n, smallest));
      }
      free(x);
    }
  }
}

TEST(transposes) {
  static const int64_t sides[] = {1, 2, 5, 8, 15, 16, 17, 33, 70};
  enum { SIDES = sizeof sides / sizeof sides[0], MOST = 70 };
  static unsigned char from[(MOST + 3) * MOST * 8 + 8], to[(MOST + 3) * MOST * 8 + 8];
  for (size_t i = 0; i < sizeof from; i++) from[i] = (unsigned char)(i * 7 + i / 251);
  const mica_cpu_kernels *row;
  for (int32_t r = 0; (row = mica_cpu_kernels_at(r)) != NULL; r++) {
    for (int32_t k = 0; k < 4; k++) {
      const int64_t size = 1 << k;
      for (int32_t a = 0; a < SIDES * SIDES; a++) {
        const int64_t rows = sides[a % SIDES], columns = sides[a / SIDES];
        const int64_t from_step = (rows + 3) * size, to_step = (columns + 1) * size;
        memset(to, 0xee, sizeof to);
        row->rows->transpose[k](rows, columns, (const char *)from, from_step, (char *)to, to_step,
                                a % 2 == 0);
        for (int64_t i = 0; i < rows; i++) {
          for (int64_t j = 0; j < columns; j++)
            if (!CHECK_EQ_BYTES(to + i * to_step + j * size, from + j * from_step + i * size,
                                (size_t)size))
              return;
          if (!CHECK_EQ_INT(to[i * to_step + columns * size], 0xee)) return;
        }
      }
    }
  }
}

TEST_MAIN(TEST_CASE(softmax), TEST_CASE(layer_norm), TEST_CASE(layer_norm_gradient),
          TEST_CASE(cross_entropy), TEST_CASE(adam), TEST_CASE(positions), TEST_CASE(transposes))
