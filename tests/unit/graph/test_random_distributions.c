/* SPDX-License-Identifier: Apache-2.0 */
/* Draws against the distributions that they are said to have: Kolmogorov and Smirnov's test against
 * the exact distribution function, chi-square against exact probabilities, 10^5 draws of a fixed key
 * (10^6 with MICA_TEST_ALL=1) in f32 and f64; the derivative of gamma draws against quantiles; and
 * integers to the bit on both backends. */
#include <math.h>

#include "mica/backend.h"
#include "unit/graph/ops_testing.h"

static int64_t draw_count(void) { return check_all_values() ? 1000000 : 100000; }

/* ---- exact distributions -------------------------------------------------------------------------- */

/* P(a, x) by its series or its continued fraction (DLMF 8.7.3, 8.9.2). */
static double gamma_below(double a, double x) {
  if (x <= 0) return 0;
  double front = exp(a * log(x) - x - lgamma(a));
  if (x < a + 1) {
    double term = 1 / a, sum = term;
    for (int k = 1; k < 10000 && term > sum * 1e-17; k++) sum += term *= x / (a + k);
    return front * sum;
  }
  double b = x + 1 - a, c = 1e300, d = 1 / b, fraction = d; /* Lentz */
  for (int k = 1; k < 10000; k++) {
    double n = -k * (k - a);
    b += 2;
    d = 1 / (n * d + b);
    c = b + n / c;
    fraction *= c * d;
    if (fabs(c * d - 1) < 1e-16) break;
  }
  return 1 - front * fraction;
}

/* I_x(a, b) by its continued fraction (DLMF 8.17.22). */
static double beta_below(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - beta_below(b, a, 1 - x);
  double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a;
  double c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m < 10000; m++) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d), c = 1 + even / c, fraction *= c * d;
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d), c = 1 + odd / c, fraction *= c * d;
    if (fabs(c * d - 1) < 1e-16) break;
  }
  return front * fraction;
}

static double normal_below(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }
static double below_uniform(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static double below_range(double x) { return below_uniform((x + 2) / 5); }
static double below_exponential(double x) { return -expm1(-x); }
static double below_gumbel(double x) { return exp(-exp(-x)); }
static double below_laplace(double x) { return x < 0 ? 0.5 * exp(x) : 1 - 0.5 * exp(-x); }
static double below_logistic(double x) { return 1 / (1 + exp(-x)); }
static double below_cauchy(double x) { return 0.5 + atan(x) / 3.14159265358979323846; }
static double truncated_below(double x, double low, double high) {
  double from = normal_below(low);
  return (normal_below(x) - from) / (normal_below(high) - from);
}
static double below_middle(double x) { return truncated_below(x, -2, 1.5); }
static double below_half(double x) { return truncated_below(x, 0.5, (double)INFINITY); }
static double below_tail(double x) { /* on the other side, where digits are */
  return 1 - truncated_below(-x, -6, -4);
}
static double below_all(double x) { return normal_below(x); }
static double below_gamma_small(double x) { return gamma_below(0.2, x); }
static double below_gamma_one(double x) { return gamma_below(1, x); }
static double below_gamma(double x) { return gamma_below(2.5, x); }
static double below_gamma_large(double x) { return gamma_below(1000, x); }
static double below_log_gamma(double x) { /* of 0.01: P is exp(a x) / gamma(a + 1) far down */
  return x < -40 ? exp(0.01 * x - lgamma(1.01)) : gamma_below(0.01, exp(x));
}
static double below_beta(double x) { return beta_below(2, 3.5, x); }
static double below_beta_small(double x) { return beta_below(0.3, 1.2, x); }
/* An entry x of an orthogonal matrix [4, 4]: (x + 1) / 2 is beta(3 / 2, 3 / 2). */
static double below_orthogonal(double x) { return beta_below(1.5, 1.5, (x + 1) / 2); }
static double below_dirichlet(double x) { return beta_below(0.5, 3.5, x); } /* 0.5 of 0.5, 1, 2.5 */

/* ---- draws ---------------------------------------------------------------------------------------- */

static mica_value draw_key(mica_graph *g, uint64_t seed) { return mica_random_key(g, seed); }
static mica_value parameter(mica_graph *g, mica_dtype dtype, double number) {
  return mica_scalar(g, dtype, number);
}

#define DRAWS(X)                                                                                \
  X(uniform, below_uniform, mica_random_uniform(k, t))                                          \
  X(range, below_range, mica_random_uniform_range(k, t, -2, 3))                                 \
  X(normal, below_all, mica_random_normal(k, t))                                                \
  X(exponential, below_exponential, mica_random_exponential(k, t))                              \
  X(gumbel, below_gumbel, mica_random_gumbel(k, t))                                             \
  X(laplace, below_laplace, mica_random_laplace(k, t))                                          \
  X(logistic, below_logistic, mica_random_logistic(k, t))                                       \
  X(cauchy, below_cauchy, mica_random_cauchy(k, t))                                             \
  X(truncated, below_middle, mica_random_truncated_normal(k, t, -2, 1.5))                       \
  X(truncated_half, below_half, mica_random_truncated_normal(k, t, 0.5, (double)INFINITY))      \
  X(truncated_tail, below_tail, mica_random_truncated_normal(k, t, 4, 6))                       \
  X(truncated_not, below_all,                                                                   \
    mica_random_truncated_normal(k, t, -(double)INFINITY, (double)INFINITY))                    \
  X(gamma_small, below_gamma_small, mica_random_gamma(k, parameter(g, t.dtype, 0.2), t.shape))  \
  X(gamma_one, below_gamma_one, mica_random_gamma(k, parameter(g, t.dtype, 1), t.shape))        \
  X(gamma, below_gamma, mica_random_gamma(k, parameter(g, t.dtype, 2.5), t.shape))              \
  X(gamma_large, below_gamma_large, mica_random_gamma(k, parameter(g, t.dtype, 1000), t.shape)) \
  X(log_gamma, below_log_gamma, mica_random_log_gamma(k, parameter(g, t.dtype, 0.01), t.shape)) \
  X(beta, below_beta,                                                                           \
    mica_random_beta(k, parameter(g, t.dtype, 2), parameter(g, t.dtype, 3.5), t.shape))         \
  X(beta_small, below_beta_small,                                                               \
    mica_random_beta(k, parameter(g, t.dtype, 0.3), parameter(g, t.dtype, 1.2), t.shape))       \
  X(orthogonal_first, below_orthogonal, entry_of_orthogonal(k, t, "..., 0, 0"))                 \
  X(orthogonal_last, below_orthogonal, entry_of_orthogonal(k, t, "..., 3, 3"))                  \
  X(orthogonal_beside, below_orthogonal, entry_of_orthogonal(k, t, "..., 1, 2"))                \
  X(dirichlet, below_dirichlet, first_of_dirichlet(g, k, t))

static mica_value entry_of_orthogonal(mica_value key, mica_type type, const char *which) {
  mica_type four = {type.dtype, MICA_DIMS(type.shape.dim[0], 4, 4)};
  return mica_slice(mica_random_orthogonal(key, four, 1), which);
}
static mica_value first_of_dirichlet(mica_graph *g, mica_value key, mica_type type) {
  mica_tensor *tensor = mica_tensor_from_doubles(type.dtype, MICA_DIMS(3), (double[]){0.5, 1, 2.5});
  mica_value a = mica_constant(g, tensor);
  mica_tensor_release(tensor);
  mica_shape shape = {.rank = 2, .dim = {type.shape.dim[0], 3}};
  return mica_slice(mica_random_dirichlet(key, a, shape), "..., 0");
}

#define DEFINE_DRAW(name, below, expression)                                \
  static mica_value draw_##name(mica_graph *g, mica_value k, mica_type t) { \
    (void)g;                                                                \
    return expression;                                                      \
  }
DRAWS(DEFINE_DRAW)
typedef struct {
  const char *name;
  double (*below)(double x);
  mica_value (*draw)(mica_graph *graph, mica_value key, mica_type type);
} draw_case;
#define LIST_DRAW(name, below, expression) {#name, below, draw_##name},
static const draw_case draw_cases[] = {DRAWS(LIST_DRAW)};

static mica_tensor *run_value(const char *backend, mica_graph *graph, mica_value value) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = backend},
      &error);
  mica_executable *executable = NULL;
  mica_tensor *result = NULL;
  mica_graph_set_outputs(graph, &value, 1);
  mica_status status = device ? mica_compile(device, graph, 0, &executable, &error) : error.status;
  if (status == MICA_OK) status = mica_executable_run(executable, NULL, 0, &result, 1, &error);
  CHECK_OK_ERROR(status, &error);
  mica_executable_release(executable);
  mica_device_release(device);
  return result;
}

/* The draws as doubles; free them. */
static double *read_draws(mica_tensor *tensor, int64_t *out_count) {
  *out_count = mica_shape_count(mica_tensor_type(tensor).shape);
  double *values = malloc((size_t)(*out_count + 1) * sizeof(*values));
  if (values && mica_tensor_read_doubles(tensor, values, *out_count, NULL) != MICA_OK)
    *out_count = 0;
  return values;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* sqrt(n) times the largest distance of the distribution functions exceeds 1.95 once in 1000. */
static void check_distribution(const draw_case *c, mica_dtype dtype) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = c->draw(g, draw_key(g, 20240607), (mica_type){dtype, MICA_DIMS(draw_count())});
  mica_tensor *tensor = run_value("cpu", g, x);
  int64_t n;
  double *draws = read_draws(tensor, &n), distance = 0;
  if (CHECK(draws && n == draw_count())) {
    qsort(draws, (size_t)n, sizeof(*draws), compare_doubles);
    for (int64_t i = 0; i < n; i++) {
      if (!isfinite(draws[i])) {
        CHECK_FAIL("%s %s: drew %g", c->name, mica_dtype_name(dtype), draws[i]);
        break;
      }
      double below = c->below(draws[i]);
      distance = fmax(distance, fabs(below - (double)i / (double)n));
      distance = fmax(distance, fabs(below - (double)(i + 1) / (double)n));
    }
    if (distance * sqrt((double)n) > 1.95)
      CHECK_FAIL("%s %s: the distance is %g / sqrt(n)", c->name, mica_dtype_name(dtype),
                 distance * sqrt((double)n));
  }
  free(draws);
  mica_tensor_release(tensor);
  mica_graph_destroy(g);
}

TEST(distributions_in_f32) {
  for (size_t i = 0; i < sizeof(draw_cases) / sizeof(draw_cases[0]); i++)
    check_distribution(&draw_cases[i], MICA_F32);
}
TEST(distributions_in_f64) {
  for (size_t i = 0; i < sizeof(draw_cases) / sizeof(draw_cases[0]); i++)
    check_distribution(&draw_cases[i], MICA_F64);
}

/* ---- chi-square ------------------------------------------------------------------------------------ */

/* Counts of draws 0 .. cells - 1 against their probabilities, by Wilson and Hilferty's normal
 * approximation of chi-square. */
static void check_cells(const char *name, mica_graph *g, mica_value x, const double *probability,
                        int cells) {
  mica_tensor *tensor = run_value("cpu", g, x);
  int64_t n;
  double *draws = read_draws(tensor, &n), counted[64] = {0}, square = 0;
  for (int64_t i = 0; draws && i < n; i++) {
    int64_t cell = (int64_t)draws[i];
    if (cell < 0 || cell >= cells || probability[cell] == 0) {
      CHECK_FAIL("%s: drew %g", name, draws[i]);
      break;
    }
    counted[cell]++;
  }
  int freedom = -1;
  for (int i = 0; i < cells; i++) {
    if (probability[i] == 0) continue;
    double expected = probability[i] * (double)n;
    square += (counted[i] - expected) * (counted[i] - expected) / expected;
    freedom++;
  }
  double f = freedom, z = (cbrt(square / f) - 1 + 2 / (9 * f)) / sqrt(2 / (9 * f));
  if (n == 0 || !(z < 3.3 && z > -3.3)) CHECK_FAIL("%s: chi-square is off by %g sigma", name, z);
  free(draws);
  mica_tensor_release(tensor);
  mica_graph_destroy(g);
}

static mica_value probabilities(mica_graph *g, mica_dtype dtype, int64_t n, const double *p) {
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, MICA_DIMS(n), p);
  mica_value value = mica_constant(g, tensor);
  mica_tensor_release(tensor);
  return value;
}

TEST(integers) {
  static const double seventh[] = {1 / 7., 1 / 7., 1 / 7., 1 / 7., 1 / 7., 1 / 7., 1 / 7.};
  mica_graph *g = mica_graph_create(NULL);
  mica_type type = {MICA_I8, MICA_DIMS(draw_count())};
  mica_value x = mica_random_integers(draw_key(g, 3), type, -3, 4);
  check_cells("integers", g, mica_add(x, 3), seventh, 7);
  /* A range of 7 * 2^60, which a modulus of 64 bits would fill unevenly. */
  g = mica_graph_create(NULL);
  int64_t part = (int64_t)1 << 60;
  type.dtype = MICA_I64;
  x = mica_random_integers(draw_key(g, 4), type, -3 * part, 4 * part);
  x = mica_add(mica_shift_right_arithmetic(x, 60), 3);
  check_cells("wide integers", g, x, seventh, 7);
  /* 3 2^33, and a low end that no double holds. */
  g = mica_graph_create(NULL);
  int64_t low = -((int64_t)1 << 62) - 1;
  x = mica_random_integers(draw_key(g, 5), type, low, low + 3 * ((int64_t)1 << 33));
  mica_tensor *tensor = run_value("cpu", g, x);
  const int64_t *drawn = mica_tensor_data(tensor);
  double third[3] = {0};
  for (int64_t i = 0; drawn && i < draw_count(); i++) {
    if (!CHECK(drawn[i] >= low && drawn[i] < low + 3 * ((int64_t)1 << 33))) break;
    third[(drawn[i] - low) >> 33] += 3.0 / (double)draw_count();
  }
  for (int i = 0; i < 3; i++) CHECK_NEAR(third[i], 1, 0.02);
  mica_tensor_release(tensor);
  mica_graph_destroy(g);
}

TEST(truths_and_categories) {
  static const double p[] = {0.25, 0, 0.5, 0.0625, 0.1875}, half[] = {0.5, 0, 0.5};
  mica_graph *g = mica_graph_create(NULL);
  mica_type type = {MICA_I32, MICA_DIMS(draw_count())};
  check_cells("rademacher", g, mica_add(mica_random_rademacher(draw_key(g, 6), type), 1), half, 3);
  g = mica_graph_create(NULL);
  mica_value x = mica_random_bernoulli(draw_key(g, 7), 0.25, type.shape);
  check_cells("bernoulli", g, x, (double[]){0.75, 0.25}, 2);
  g = mica_graph_create(NULL);
  x = mica_random_bernoulli_each(draw_key(g, 7), mica_scalar(g, MICA_F32, 0.25), type.shape);
  check_cells("bernoulli each", g, x, (double[]){0.75, 0.25}, 2);
  for (int wide = 0; wide < 2; wide++) {
    g = mica_graph_create(NULL);
    mica_value logits = mica_log(probabilities(g, wide ? MICA_F64 : MICA_F32, 5, p));
    logits = mica_add(mica_broadcast_to(logits, MICA_DIMS(draw_count(), 5)), 3);
    check_cells("categorical", g, mica_random_categorical(draw_key(g, 8), logits), p, 5);
  }
}

TEST(poisson) {
  static const double rates[] = {0.5, 3, 9.9, 10, 25};
  for (int i = 0; i < 5; i++) {
    double p[50], left = 1;
    for (int k = 0; k < 49; k++) left -= p[k] = exp(k * log(rates[i]) - rates[i] - lgamma(k + 1.));
    int cells = 49;
    while (cells > 2 && p[cells - 1] * (double)draw_count() < 5) left += p[--cells];
    p[cells] = left;
    mica_graph *g = mica_graph_create(NULL);
    mica_value x = mica_random_poisson(draw_key(g, 9), mica_scalar(g, MICA_F32, rates[i]),
                                       MICA_DIMS(draw_count()));
    int first = 0; /* rare small counts are one cell */
    double few = 0;
    while (p[first] * (double)draw_count() < 5) few += p[first++];
    p[first] += few;
    x = mica_sub(mica_min(mica_max(x, first), cells), first);
    char name[40];
    snprintf(name, sizeof(name), "poisson of %g", rates[i]);
    check_cells(name, g, x, p + first, cells + 1 - first);
  }
  /* Mean and variance of large rates, to 4 standard errors. */
  for (double rate = 1e3; rate < 1e8; rate *= 100) {
    mica_graph *g = mica_graph_create(NULL);
    mica_value x = mica_random_poisson(draw_key(g, 10), mica_scalar(g, MICA_F32, rate),
                                       MICA_DIMS(draw_count()));
    mica_tensor *tensor = run_value("cpu", g, x);
    int64_t n;
    double *draws = read_draws(tensor, &n), mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++) mean += (draws[i] - rate) / (double)n;
    for (int64_t i = 0; i < n; i++) square += (draws[i] - rate) * (draws[i] - rate) / (double)n;
    CHECK(fabs(mean) < 4 * sqrt(rate / (double)n));
    CHECK(fabs(square / rate - 1) < 4 * sqrt(2 / (double)n));
    free(draws);
    mica_tensor_release(tensor);
    mica_graph_destroy(g);
  }
}

/* Which of the orders of 4 (or of the ordered pairs of 5) each of many keys gives. */
static mica_value many_orders(mica_graph *g, int which) {
  mica_value keys = mica_random_split(draw_key(g, 11 + (uint64_t)which), draw_count()), code;
  static const double logs[] = {0.5, 0.25, 0.25};
  mica_value logits = mica_log(probabilities(g, MICA_F32, 3, logs));
  mica_region each = mica_vmap_begin(g, &keys, NULL, 1);
  mica_value key = mica_argument(each, 0);
  mica_value order = which == 0   ? mica_random_permutation(key, 4)
                     : which == 1 ? mica_random_choice(key, 5, 2, false)
                     : which == 2 ? mica_random_choice(key, 5, 2, true)
                     : which == 3 ? mica_random_choice_by(key, logits, 2)
                                  : mica_random_shuffle(key, mica_arange(g, MICA_I32, 0, 3, 1), 0);
  int64_t n = mica_dim_of(order, 0);
  mica_value digit = mica_arange(g, MICA_I32, 0, (double)n, 1);
  mica_value base = mica_pow(mica_full_like(digit, which == 1 || which == 2 ? 5 : 4), digit);
  mica_value number = mica_reduce_sum((mica_mul)(order, base), MICA_ALL);
  mica_vmap_end(each, &number, 1, &code);
  return code;
}

TEST(orders) {
  mica_graph *g;
  static double p[256];
  mica_tensor *tensor;
  /* Numbers of 4 digits to the base 4 that are permutations, counted as 0 .. 23. */
  int place[256], found = 0;
  for (int code = 0; code < 256; code++) {
    int seen = 0;
    for (int i = 0, rest = code; i < 4; i++, rest /= 4) seen |= 1 << rest % 4;
    place[code] = seen == 15 ? found++ : -1;
  }
  CHECK_EQ_INT(found, 24);
  g = mica_graph_create(NULL);
  tensor = run_value("cpu", g, many_orders(g, 0));
  const int32_t *codes = mica_tensor_data(tensor);
  for (int64_t i = 0; codes && i < draw_count(); i++)
    if (!CHECK(codes[i] >= 0 && codes[i] < 256 && place[codes[i]] >= 0)) break;
  mica_graph_destroy(g);
  g = mica_graph_create(NULL);
  double table[256];
  for (int i = 0; i < 256; i++) table[i] = place[i] < 0 ? 63 : place[i];
  mica_value names = mica_convert(probabilities(g, MICA_F64, 256, table), MICA_I32);
  for (int i = 0; i < 24; i++) p[i] = 1 / 24.;
  check_cells("permutation", g, mica_take(names, many_orders(g, 0), 0), p, 24);
  mica_tensor_release(tensor);
  for (int i = 0; i < 25; i++) p[i] = i % 6 == 0 ? 0 : 1 / 20.;
  g = mica_graph_create(NULL);
  check_cells("choice", g, many_orders(g, 1), p, 25);
  for (int i = 0; i < 25; i++) p[i] = 1 / 25.;
  g = mica_graph_create(NULL);
  check_cells("choice with replacement", g, many_orders(g, 2), p, 25);
  for (int i = 0; i < 16; i++) p[i] = 0;
  p[0 + 4 * 1] = p[0 + 4 * 2] = 0.25; /* 1/2 and then 1/4 of 1/2 */
  p[1 + 4 * 0] = p[2 + 4 * 0] = 0.25 * 0.5 / 0.75;
  p[1 + 4 * 2] = p[2 + 4 * 1] = 0.25 * 0.25 / 0.75;
  g = mica_graph_create(NULL);
  check_cells("choice by logits", g, many_orders(g, 3), p, 16);
  for (int i = 0; i < 64; i++) {
    int a = i % 4, b = i / 4 % 4, c = i / 16;
    p[i] = a < 3 && b < 3 && c < 3 && a != b && b != c && a != c ? 1 / 6. : 0;
  }
  g = mica_graph_create(NULL);
  check_cells("shuffle", g, many_orders(g, 4), p, 64);
}

/* ---- the same everywhere ------------------------------------------------------------------------- */

static mica_value integer_draws(mica_graph *g, int which) {
  mica_value key = draw_key(g, 20);
  mica_type type = {MICA_I64, MICA_DIMS(1000)};
  switch (which) {
    case 0: return mica_random_integers(key, type, -7, 1000);
    case 1: return mica_random_integers(key, type, -((int64_t)1 << 50), (int64_t)1 << 61);
    case 2: return mica_random_permutation(key, 1000);
    case 3: return mica_random_choice(key, 1000, 100, false);
    case 4: return mica_random_split(key, 1000);
    case 5: return mica_random_rademacher(key, type);
    default: return mica_random_bernoulli_each(key, mica_scalar(g, MICA_F32, 0.3), MICA_DIMS(1000));
  }
}

TEST(integers_have_the_same_bits_on_both_backends) {
  for (int which = 0; which < 7; which++) {
    mica_tensor *tensor[2];
    for (int i = 0; i < 2; i++) {
      mica_graph *g = mica_graph_create(NULL);
      tensor[i] = run_value(i ? "cpu" : "reference", g, integer_draws(g, which));
      mica_graph_destroy(g);
    }
    if (!CHECK(mica_tensor_equal(tensor[0], tensor[1]))) CHECK_FAIL("draw %d differs", which);
    mica_tensor_release(tensor[0]), mica_tensor_release(tensor[1]);
  }
}

/* Examples that share a key draw different numbers, rejection included. */
TEST(examples_differ) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value key = draw_key(g, 21), rates = mica_full(g, (mica_type){MICA_F64, MICA_DIMS(100)}, 50),
             out;
  mica_region each = mica_vmap_begin(g, &rates, NULL, 1);
  mica_value x = mica_random_gamma(key, mica_argument(each, 0), MICA_SCALAR);
  mica_vmap_end(each, &x, 1, &out);
  mica_tensor *tensor = run_value("cpu", g, mica_sort(out, 0, false));
  const double *sorted = mica_tensor_data(tensor);
  for (int i = 1; sorted && i < 100; i++) CHECK(sorted[i] > sorted[i - 1]);
  mica_tensor_release(tensor);
  mica_graph_destroy(g);
}

/* ---- derivative of gamma draws -------------------------------------------------------------------- */

/* The quantile of gamma(a) by bisection in log x. */
static double gamma_quantile(double a, double p) {
  double low = -800, high = 10;
  for (int i = 0; i < 200; i++) {
    double middle = 0.5 * (low + high);
    double below = middle < -50 ? exp(a * middle - lgamma(a + 1)) : gamma_below(a, exp(middle));
    *(below < p ? &low : &high) = middle;
  }
  return 0.5 * (low + high);
}

TEST(gamma_draws_move_with_their_parameter) {
  static const double at[] = {0.05, 0.3, 0.9, 1, 2.5, 20, 200};
  enum { EACH = 20, ALL = 7 * EACH };
  for (int way = 0; way < 4; way++) {
    bool wants_log = way % 2, forward = way >= 2;
    mica_graph *g = mica_graph_create(NULL);
    mica_value a = mica_repeat(probabilities(g, MICA_F64, 7, at), EACH, 0), slope;
    mica_value x = wants_log ? mica_random_log_gamma(draw_key(g, 22), a, MICA_DIMS(ALL))
                             : mica_random_gamma(draw_key(g, 22), a, MICA_DIMS(ALL));
    mica_value ones = mica_ones_like(a);
    if (forward) /* each draw by its own a */
      mica_jvp(&x, 1, &a, &ones, 1, &slope);
    else
      mica_gradients(mica_reduce_sum(x, MICA_ALL), &a, 1, &slope);
    mica_tensor *tensor = run_value("cpu", g, mica_stack((mica_value[]){x, slope}, 2, 0));
    const double *got = mica_tensor_data(tensor);
    for (int i = 0; got && i < ALL; i++) {
      double alpha = at[i / EACH], h = alpha * 1e-4, draw = wants_log ? got[i] : log(got[i]);
      double below =
          draw < -50 ? exp(alpha * draw - lgamma(alpha + 1)) : gamma_below(alpha, exp(draw));
      if (below > 0.999 || below < 1e-200) continue; /* no digits to invert */
      double up = gamma_quantile(alpha + h, below), down = gamma_quantile(alpha - h, below);
      double expected = (up - down) / (2 * h);
      if (!wants_log) expected *= exp(draw);
      if (!CHECK_NEAR_RELATIVE(got[ALL + i], expected, 2e-5))
        CHECK_FAIL("at a = %g, log x = %g, P = %g", alpha, draw, below);
    }
    mica_tensor_release(tensor);
    mica_graph_destroy(g);
  }
}

/* Beta and Dirichlet draws: what forward mode says, reverse mode says too. */
TEST(draws_move_alike_in_both_modes) {
  for (int which = 0; which < 2; which++) {
    mica_graph *g = mica_graph_create(NULL);
    mica_type type = {MICA_F64, MICA_DIMS(50, 3)};
    mica_value p[2], t[2], moved, back[2];
    for (int i = 0; i < 2; i++) {
      mica_value spread = mica_random_uniform(mica_random_key(g, 30 + (uint64_t)i), type);
      p[i] = mica_add(mica_mul(spread, 3), 0.3);
      t[i] = mica_random_normal(mica_random_key(g, 40 + (uint64_t)i), type);
    }
    size_t count = which ? 1 : 2;
    mica_value y = which ? mica_random_dirichlet(draw_key(g, 23), p[0], type.shape)
                         : mica_random_beta(draw_key(g, 23), p[0], p[1], type.shape);
    mica_value weights = mica_random_normal(mica_random_key(g, 50), type);
    mica_jvp(&y, 1, p, t, count, &moved);
    mica_vjp(&y, &weights, 1, p, count, back);
    mica_value one = mica_reduce_sum(mica_mul(moved, weights), MICA_ALL);
    mica_value other = mica_reduce_sum(mica_mul(back[0], t[0]), MICA_ALL);
    if (count == 2) other = mica_add(other, mica_reduce_sum(mica_mul(back[1], t[1]), MICA_ALL));
    mica_tensor *tensor = run_value("cpu", g, mica_stack((mica_value[]){one, other}, 2, 0));
    const double *sums = mica_tensor_data(tensor);
    if (CHECK(sums != NULL))
      CHECK(fabs(sums[0]) > 1e-3), CHECK_NEAR_RELATIVE(sums[0], sums[1], 1e-10);
    mica_tensor_release(tensor);
    mica_graph_destroy(g);
  }
}

/* ---- orthogonal matrices -------------------------------------------------------------------------- */

TEST(orthogonal_matrices) {
  static const int64_t sizes[][2] = {{5, 5}, {7, 3}, {3, 7}, {1, 4}, {4, 1}, {80, 60}};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    mica_graph *g = mica_graph_create(NULL);
    mica_type type = {MICA_F64, MICA_DIMS(3, sizes[i][0], sizes[i][1])};
    mica_value x = mica_random_orthogonal(draw_key(g, 24), type, 2),
               turned = mica_swap_axes(x, 1, 2);
    bool tall = sizes[i][0] >= sizes[i][1];
    mica_value gram = tall ? mica_matmul(turned, x) : mica_matmul(x, turned);
    int64_t n = mica_dim_of(gram, 1);
    mica_value unit = mica_mul(mica_eye(g, MICA_F64, n, n, 0), 4);
    mica_tensor *tensor =
        run_value("cpu", g, mica_reduce_max(mica_abs(mica_sub(gram, unit)), MICA_ALL));
    const double *worst = mica_tensor_data(tensor);
    if (!CHECK(worst && *worst < 1e-13))
      CHECK_FAIL("of %lld x %lld", (long long)sizes[i][0], (long long)sizes[i][1]);
    mica_tensor_release(tensor);
    mica_graph_destroy(g);
  }
}

/* ---- edges ---------------------------------------------------------------------------------------- */

static double reduced(mica_graph *g, mica_value x) {
  mica_tensor *tensor = run_value("cpu", g, mica_convert(x, MICA_F64));
  double number = NAN;
  CHECK_OK(mica_tensor_read_doubles(tensor, &number, 1, NULL));
  mica_tensor_release(tensor);
  mica_graph_destroy(g);
  return number;
}

TEST(edges) {
  mica_type half = {MICA_BF16, MICA_DIMS(20000)};
  mica_graph *g = mica_graph_create(NULL);
  CHECK(reduced(g, mica_reduce_max(mica_random_uniform_range(draw_key(g, 1), half, 1, 1.03),
                                   MICA_ALL)) < 1.03);
  g = mica_graph_create(NULL);
  CHECK(reduced(g, mica_reduce_max(mica_random_uniform_range(draw_key(g, 1), half, -3, 0),
                                   MICA_ALL)) < 0);
  g = mica_graph_create(NULL);
  CHECK(reduced(g, mica_reduce_max(mica_random_truncated_normal(draw_key(g, 1), half, -1, 0.5),
                                   MICA_ALL)) <= 0.5);
  static const double bad[] = {0, -1, NAN, INFINITY};
  for (int i = 0; i < 4; i++) {
    g = mica_graph_create(NULL);
    CHECK(isnan(reduced(
        g, mica_random_gamma(draw_key(g, 1), mica_scalar(g, MICA_F32, bad[i]), MICA_SCALAR))));
  }
  static const double rate[] = {0, -1, NAN, INFINITY, 2e9},
                      count[] = {0, -1, -1, INT32_MAX, INT32_MAX};
  for (int i = 0; i < 5; i++) {
    g = mica_graph_create(NULL);
    CHECK_EQ_INT(reduced(g, mica_random_poisson(draw_key(g, 1), mica_scalar(g, MICA_F32, rate[i]),
                                                MICA_SCALAR)),
                 count[i]);
  }
  g = mica_graph_create(NULL); /* certain and impossible */
  mica_value sure =
      mica_random_bernoulli_each(draw_key(g, 1), mica_scalar(g, MICA_F32, 1), MICA_DIMS(1000));
  CHECK_EQ_INT(reduced(g, mica_all(sure, MICA_ALL)), 1);
  g = mica_graph_create(NULL);
  mica_value never =
      mica_random_bernoulli_each(draw_key(g, 1), mica_scalar(g, MICA_F32, 0), MICA_DIMS(1000));
  CHECK_EQ_INT(reduced(g, mica_any(never, MICA_ALL)), 0);
}

TEST_MAIN(TEST_CASE(distributions_in_f32), TEST_CASE(distributions_in_f64), TEST_CASE(integers),
          TEST_CASE(truths_and_categories), TEST_CASE(poisson), TEST_CASE(orders),
          TEST_CASE(integers_have_the_same_bits_on_both_backends), TEST_CASE(examples_differ),
          TEST_CASE(gamma_draws_move_with_their_parameter),
          TEST_CASE(draws_move_alike_in_both_modes), TEST_CASE(orthogonal_matrices),
          TEST_CASE(edges))
