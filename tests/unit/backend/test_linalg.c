/* SPDX-License-Identifier: Apache-2.0 */
/* Factorizations of hard matrices (tests/golden/linalg.py): graded, clustered, rank-deficient, tiny and
 * huge ones. Residual and orthogonality are at most twice those of LAPACK. And matrices of many sizes,
 * past the blocks' edges, on 1 and 2 threads. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mica/mica.h"

enum { LARGEST = 320 };

typedef enum { EIGH, SVD, QR, CHOLESKY, SYSTEM, SOLVE } factoring;
static const char *const factoring_names[] = {"eigh", "svd", "qr", "cholesky", "system", "solve"};
enum { SYSTEM_COLUMNS = 3 };

/* In [-1, 1) and exact in f32: splitmix64, as in tests/golden/linalg.py. */
static double golden_number(uint64_t index, uint64_t seed) {
  uint64_t z = index + (seed << 32) + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return (double)((z ^ (z >> 31)) >> 40) / 8388608.0 - 1;
}
static mica_tensor *right_sides(mica_dtype dtype, int64_t n) {
  double *values = malloc((size_t)(n * SYSTEM_COLUMNS) * sizeof *values);
  for (int64_t i = 0; i < n * SYSTEM_COLUMNS; i++) values[i] = golden_number((uint64_t)i, 1);
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, MICA_DIMS(n, SYSTEM_COLUMNS), values);
  free(values);
  return tensor;
}

static mica_device *open_named(const char *backend, int32_t threads) {
  mica_error error = {0};
  mica_device *device =
      mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                              .backend = backend,
                                              .threads = check_threads(threads)},
                       &error);
  if (!device) CHECK_FAIL("device %s: %s", backend, error.message);
  return device;
}

/* out[3] of the factorization of x; for SYSTEM the solutions of x y = right_sides, for SOLVE x^-1 itself. */
static bool factor(mica_device *device, factoring what, mica_tensor *x, mica_tensor *out[3]) {
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value in = mica_parameter(graph, mica_tensor_type(x)), made[3] = {{0}};
  size_t count = what == SVD ? 3 : what == QR || what == EIGH ? 2 : 1;
  switch (what) {
    case EIGH: mica_eigh(in, &made[0], &made[1]); break;
    case SVD: mica_svd(in, false, &made[0], &made[1], &made[2]); break;
    case QR: mica_qr(in, false, &made[0], &made[1]); break;
    case CHOLESKY: made[0] = mica_cholesky(in, false); break;
    case SYSTEM: {
      mica_tensor *sides = right_sides(mica_tensor_type(x).dtype, mica_tensor_type(x).shape.dim[0]);
      made[0] = mica_solve(in, mica_constant(graph, sides));
      mica_tensor_release(sides);
      break;
    }
    case SOLVE: made[0] = mica_inverse(in); break;
  }
  mica_graph_set_outputs(graph, made, count);
  mica_executable *executable = NULL;
  bool good = mica_compile(device, graph, 0, &executable, &error) == MICA_OK &&
              mica_executable_run(executable, &x, 1, out, count, &error) == MICA_OK;
  if (!good) CHECK_FAIL("%s: %s", factoring_names[what], error.message);
  mica_graph_destroy(graph);
  mica_executable_release(executable);
  return good;
}

typedef struct {
  int64_t m, n;
  double *at;
} matrix;

static matrix read_matrix(const mica_tensor *tensor) {
  mica_shape shape = mica_tensor_type(tensor).shape;
  matrix a = {shape.dim[0], shape.rank > 1 ? shape.dim[1] : 1, NULL};
  a.at = calloc((size_t)(a.m * a.n) + 1, sizeof *a.at);
  if (a.at) CHECK_OK(mica_tensor_read_doubles(tensor, a.at, a.m * a.n, NULL));
  return a;
}

/* |a diagonal(scale) b - x| / |x|, b transposed if asked; scale NULL: ones. */
static double residual_of(const matrix *a, const matrix *b, bool transpose, const matrix *scale,
                          const matrix *x) {
  long double sum = 0, norm = 0, largest = 0;
  for (int64_t i = 0; i < x->m * x->n; i++) largest = fmaxl(largest, fabsl(x->at[i]));
  if (largest == 0) largest = 1;
  for (int64_t i = 0; i < x->m; i++)
    for (int64_t j = 0; j < x->n; j++) {
      long double value = -x->at[i * x->n + j] / largest;
      norm += value * value;
      for (int64_t k = 0; k < a->n; k++) {
        long double left = a->at[i * a->n + k];
        if (scale) left *= scale->at[k] / largest;
        value +=
            left * (transpose ? b->at[j * b->n + k] : b->at[k * b->n + j]) / (scale ? 1 : largest);
      }
      sum += value * value;
    }
  return norm > 0 ? (double)sqrtl(sum / norm) : (double)sqrtl(sum);
}

/* |a' a - 1|, or |a a' - 1| */
static double lack_of(const matrix *a, bool rows) {
  int64_t n = rows ? a->m : a->n, length = rows ? a->n : a->m;
  int64_t step = rows ? 1 : a->n, next = rows ? a->n : 1;
  long double sum = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      long double dot = i == j ? -1 : 0;
      for (int64_t k = 0; k < length; k++)
        dot += (long double)a->at[i * next + k * step] * a->at[j * next + k * step];
      sum += dot * dot;
    }
  return (double)sqrtl(sum);
}

static double norm_of(const matrix *a) {
  long double sum = 0;
  for (int64_t i = 0; i < a->m * a->n; i++) sum += (long double)a->at[i] * a->at[i];
  return (double)sqrtl(sum);
}

/* The two figures as multiples of n epsilon. */
static void figures_of(mica_device *device, factoring what, mica_tensor *x, double figures[2]) {
  mica_tensor *out[3] = {NULL};
  matrix given = read_matrix(x), part[3] = {{0, 0, NULL}};
  figures[0] = figures[1] = NAN;
  if (factor(device, what, x, out)) {
    for (int i = 0; i < 3 && out[i]; i++) part[i] = read_matrix(out[i]);
    double unit = (double)(given.m > given.n ? given.m : given.n) *
                  (mica_tensor_type(x).dtype == MICA_F64 ? DBL_EPSILON : (double)FLT_EPSILON);
    figures[1] = 0;
    switch (what) {
      case EIGH:
        figures[0] = residual_of(&part[1], &part[1], true, &part[0], &given) / unit;
        figures[1] = lack_of(&part[1], false) / unit;
        for (int64_t i = 1; i < given.n; i++) CHECK(part[0].at[i] >= part[0].at[i - 1]);
        break;
      case SVD:
        figures[0] = residual_of(&part[0], &part[2], false, &part[1], &given) / unit;
        figures[1] = fmax(lack_of(&part[0], false), lack_of(&part[2], true)) / unit;
        for (int64_t i = 1; i < part[1].m; i++) CHECK(part[1].at[i] <= part[1].at[i - 1]);
        break;
      case QR:
        figures[0] = residual_of(&part[0], &part[1], false, NULL, &given) / unit;
        figures[1] = lack_of(&part[0], false) / unit;
        break;
      case CHOLESKY: figures[0] = residual_of(&part[0], &part[0], true, NULL, &given) / unit; break;
      case SYSTEM: {
        mica_tensor *sides = right_sides(mica_tensor_type(x).dtype, given.n);
        matrix b = read_matrix(sides);
        double size = norm_of(&given) * norm_of(&part[0]) / norm_of(&b);
        figures[0] = residual_of(&given, &part[0], false, NULL, &b) / size / unit;
        free(b.at);
        mica_tensor_release(sides);
        break;
      }
      case SOLVE: {
        matrix one = {given.n, given.n, calloc((size_t)(given.n * given.n) + 1, sizeof(double))};
        for (int64_t i = 0; i < given.n; i++) one.at[i * given.n + i] = 1;
        figures[0] = residual_of(&given, &part[0], false, NULL, &one) / unit;
        free(one.at);
        break;
      }
    }
  }
  for (int i = 0; i < 3; i++) free(part[i].at), mica_tensor_release(out[i]);
  free(given.at);
}

/* ---- hard matrices ---------------------------------------------------------------------------- */

/* `allowed` times LAPACK's figures, and half an epsilon, which rounding the exact results may cost: it
 * counts on the smallest matrices only. */
static void check_figures(const char *backend, const char *name, const double got[2],
                          const double wanted[2], double allowed, double n) {
  if (getenv("MICA_FIGURES"))
    printf("%-10s %-32s residual %.4f of %.4f, orthogonality %.4f of %.4f\n", backend, name, got[0],
           wanted[0], got[1], wanted[1]);
  for (int i = 0; i < 2; i++)
    if (!(got[i] <= allowed * wanted[i] + 0.5 / n))
      CHECK_FAIL("%s %s: %s is %.4f n epsilon, LAPACK's %.4f", backend, name,
                 i ? "orthogonality" : "residual", got[i], wanted[i]);
}

static void hold_to_lapack(const char *backend, double factor_allowed) {
  static const char *const matrices[] = {"random",    "graded",    "scaled", "rows",
                                         "clustered", "deficient", "ones",   "wilkinson",
                                         "tall",      "wide",      "tiny",   "huge"};
  mica_device *device = open_named(backend, 2);
  mica_npz *golden = NULL;
  CHECK_OK(mica_npz_load(check_source_path("tests/golden/linalg.npz"), &golden, NULL));
  int found = 0;
  for (factoring what = EIGH; what <= QR && golden && device; what++)
    for (size_t k = 0; k < sizeof matrices / sizeof *matrices; k++)
      for (int wide = 0; wide < 2; wide++) {
        char name[100], figures_name[100];
        const char *dtype = wide ? "f64" : "f32";
        snprintf(name, sizeof name, "%s/%s/%s/x", what == QR ? "svd" : factoring_names[what],
                 matrices[k], dtype);
        snprintf(figures_name, sizeof figures_name, "%s/%s/%s/figures", factoring_names[what],
                 matrices[k], dtype);
        mica_tensor *x = mica_npz_find(golden, name),
                    *figures = mica_npz_find(golden, figures_name);
        if (!x || !figures) continue;
        double wanted[2], got[2];
        CHECK_OK(mica_tensor_read_doubles(figures, wanted, 2, NULL));
        figures_of(device, what, x, got);
        found++;
        check_figures(backend, figures_name, got, wanted, factor_allowed, 32);
      }
  CHECK_EQ_INT(found, 2 * (9 + 10 + 10));
  mica_npz_destroy(golden);
  mica_device_release(device);
}

/* Of the matrices that graded_matrix of linalg.py makes. */
static mica_tensor *graded_matrix(mica_dtype dtype, factoring what, int64_t n, double decades) {
  double *values = malloc((size_t)(n * n) * sizeof *values);
  bool symmetric = what == EIGH || what == CHOLESKY;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) {
      int64_t row = symmetric && j > i ? j : i, column = symmetric && j > i ? i : j;
      double number = golden_number((uint64_t)(row * n + column), (uint64_t)n);
      if (what == CHOLESKY && i == j) number += (double)n;
      double power = symmetric ? (double)(i + j) / 2 : (double)i;
      values[i * n + j] = number * pow(10, -decades * power / (double)n);
    }
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, MICA_DIMS(n, n), values);
  free(values);
  return tensor;
}

TEST(sizes_and_gradings_are_as_accurate_as_lapack) {
  static const int sizes[] = {5, 33, 100, 190}, decades[] = {0, 3, 6};
  mica_device *device = open_named("cpu", 2);
  mica_npz *golden = NULL;
  CHECK_OK(mica_npz_load(check_source_path("tests/golden/linalg.npz"), &golden, NULL));
  for (factoring what = EIGH; what <= SYSTEM && golden && device; what++)
    for (int size = 0; size < 4; size++)
      for (int grading = 0; grading < 3; grading++)
        for (int wide = 0; wide < 2; wide++) {
          char name[100];
          double wanted[2], got[2];
          snprintf(name, sizeof name, "sizes/%s/%d/%d/%s/figures", factoring_names[what],
                   sizes[size], decades[grading], wide ? "f64" : "f32");
          CHECK_OK(mica_tensor_read_doubles(mica_npz_find(golden, name), wanted, 2, NULL));
          mica_tensor *x = graded_matrix(wide ? MICA_F64 : MICA_F32, what, sizes[size],
                                         decades[grading] * (wide ? 2 : 1));
          figures_of(device, what, x, got);
          check_figures("cpu", name, got, wanted, 2, sizes[size]);
          mica_tensor_release(x);
        }
  mica_npz_destroy(golden);
  mica_device_release(device);
}

TEST(cpu_is_as_accurate_as_lapack) { hold_to_lapack("cpu", 2); }
/* Its Jacobi rotations make more roundings in f64, and in f32 none that count. */
TEST(reference_is_about_as_accurate_as_lapack) { hold_to_lapack("reference", 4); }

/* ---- sizes ------------------------------------------------------------------------------------ */

static double next_number(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * (2.0 / 9007199254740992.0) - 1;
}

static mica_tensor *made_matrix(mica_dtype dtype, int64_t m, int64_t n, double shift) {
  double *values = malloc((size_t)(m * n + 1) * sizeof *values);
  uint64_t state = (uint64_t)(m * 1000 + n);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++)
      values[i * n + j] = i > j && m == n ? values[j * n + i] : next_number(&state);
  for (int64_t i = 0; i < m && i < n; i++) values[i * n + i] += shift;
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, MICA_DIMS(m, n), values);
  free(values);
  return tensor;
}

TEST(all_sizes_factor) {
  static const int64_t sizes[] = {1, 2, 3, 7, 16, 17, 31, 33, 64, 65, 97, 130, 200, LARGEST};
  mica_device *device = open_named("cpu", 2);
  for (factoring what = EIGH; what <= SOLVE && device; what++)
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
      for (int wide = 0; wide < 2; wide++)
        for (int shape = 0; shape < (what == SVD || what == QR ? 3 : 1); shape++) {
          int64_t m = sizes[k] + (shape == 1 ? 13 : 0), n = sizes[k] + (shape == 2 ? 13 : 0);
          if (sizes[k] == LARGEST && shape > 0) continue;
          double figures[2], shift = what == CHOLESKY ? (double)n : what == SOLVE ? 3 : 0;
          mica_tensor *x = made_matrix(wide ? MICA_F64 : MICA_F32, m, n, shift);
          figures_of(device, what, x, figures);
          double limit = what == SOLVE ? 100 * (double)n : 3;
          if (!(figures[0] <= limit && figures[1] <= 3))
            CHECK_FAIL("%s [%d, %d] %s: %.3g and %.3g n epsilon", factoring_names[what], (int)m,
                       (int)n, wide ? "f64" : "f32", figures[0], figures[1]);
          mica_tensor_release(x);
        }
  mica_device_release(device);
}

/* The same bits on 1 and 2 threads. */
TEST(threads_do_not_change_bits) {
  mica_device *one = open_named("cpu", 1), *two = open_named("cpu", 2);
  for (factoring what = EIGH; what <= SOLVE && one && two; what++) {
    mica_tensor *x = made_matrix(MICA_F64, 150, 150, 150), *a[3] = {NULL}, *b[3] = {NULL};
    if (factor(one, what, x, a) && factor(two, what, x, b))
      for (int i = 0; i < 3 && a[i]; i++) {
        size_t bytes = (size_t)mica_shape_count(mica_tensor_type(a[i]).shape) * 8;
        if (memcmp(mica_tensor_data(a[i]), mica_tensor_data(b[i]), bytes) != 0)
          CHECK_FAIL("%s: result %d depends on the threads", factoring_names[what], i);
      }
    for (int i = 0; i < 3; i++) mica_tensor_release(a[i]), mica_tensor_release(b[i]);
    mica_tensor_release(x);
  }
  mica_device_release(one), mica_device_release(two);
}

TEST_MAIN(TEST_CASE(cpu_is_as_accurate_as_lapack),
          TEST_CASE(sizes_and_gradings_are_as_accurate_as_lapack),
          TEST_CASE(reference_is_about_as_accurate_as_lapack), TEST_CASE(all_sizes_factor),
          TEST_CASE(threads_do_not_change_bits))
