/* SPDX-License-Identifier: Apache-2.0 */
/* Values at the edges that tables of generic points do not reach: ties, zeros and infinities,
 * indices wider than their dtype, queries that see nothing, and random numbers against Philox
 * itself. */
#include <math.h>

#include "mica/backend.h"
#include "unit/graph/ops_testing.h"

enum { MOST = 8192 };

/* Computes `value` of a graph without parameters as doubles; returns how many, -1 on failure. */
static int64_t values_of(mica_graph *graph, mica_value value, double *out) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){
          .struct_size = sizeof(mica_device_options), .backend = "reference", .threads = 1},
      &error);
  mica_executable *executable = NULL;
  mica_tensor *result = NULL;
  leave_scopes(graph);
  mica_graph_set_outputs(graph, &value, 1);
  mica_status status = device ? mica_compile(device, graph, 0, &executable, &error) : error.status;
  if (status == MICA_OK) status = mica_executable_run(executable, NULL, 0, &result, 1, &error);
  int64_t count = status == MICA_OK ? mica_shape_count(mica_tensor_type(result).shape) : -1;
  if (count > MOST) count = -1;
  if (count >= 0) status = mica_tensor_read_doubles(result, out, count, &error);
  CHECK_OK_ERROR(status, &error);
  mica_tensor_release(result);
  mica_executable_release(executable);
  mica_device_release(device);
  return status == MICA_OK ? count : -1;
}

static mica_value array(mica_graph *graph, mica_dtype dtype, mica_shape shape,
                        const double *numbers) {
  mica_tensor *tensor = mica_tensor_from_doubles(dtype, shape, numbers);
  mica_value value = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return value;
}
#define ROW(DTYPE, ...)                                                                          \
  array(g, MICA_##DTYPE, MICA_DIMS((int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))), \
        (double[]){__VA_ARGS__})

/* `expression`, built in graph g, gives these numbers to within the tolerance (relative). */
static void check_values(mica_graph *graph, mica_value value, const double *expected, int64_t count,
                         double tolerance, const char *text, int line) {
  static double actual[MOST];
  if (!check_int(values_of(graph, value, actual), count, text, "count", __FILE__, line)) return;
  for (int64_t i = 0; i < count; i++)
    if (!check_near(actual[i], expected[i], tolerance, true, text, __FILE__, line))
      CHECK_FAIL("the element is number %d", (int)i);
}
#define CHECK_VALUES(expression, tolerance, ...)                                         \
  do {                                                                                   \
    mica_graph *g = scoped_graph();                                                      \
    check_values(g, (expression), (double[]){__VA_ARGS__},                               \
                 (int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), tolerance, \
                 #expression, __LINE__);                                                 \
    mica_graph_destroy(g);                                                               \
  } while (0)

/* d sum(f(x)) / dx */
static mica_value slope(mica_value y, mica_value x) {
  mica_value gradient;
  mica_gradients(mica_reduce_sum(y, MICA_ALL), &x, 1, &gradient);
  return gradient;
}
static mica_value slope_of(mica_value (*f)(mica_value), mica_value x) { return slope(f(x), x); }
static mica_value max_slope(mica_value x, mica_value y) { return slope(mica_max(x, y), x); }
static mica_value min_slope(mica_value x, mica_value y) { return slope(mica_min(y, x), x); }
static mica_value base_slope(mica_value x, mica_value y) { return slope(mica_pow(x, y), x); }
static mica_value base_curve(mica_value x, mica_value y) { return slope(base_slope(x, y), x); }
static mica_value exponent_slope(mica_value x, mica_value y) { return slope(mica_pow(x, y), y); }
static mica_value rem_slope(mica_value x, mica_value y) { return slope(mica_rem(x, y), y); }

TEST(derivatives_at_kinks) {
  CHECK_VALUES(slope_of(mica_relu, ROW(F64, -1, 0, 2, NAN)), 0, 0, 0, 1, 0);
  CHECK_VALUES(slope_of(mica_abs, ROW(F64, -3, 0, 2)), 0, -1, 0, 1);
  CHECK_VALUES(max_slope(ROW(F64, 1, 2, 3), ROW(F64, 2, 2, 2)), 0, 0, 0.5, 1);
  CHECK_VALUES(min_slope(ROW(F64, 1, 2, 3), ROW(F64, 2, 2, 2)), 0, 1, 0.5, 0);
  CHECK_VALUES(base_slope(ROW(F64, 0, 0, 0, 0, 2), ROW(F64, 0, 1, 2, 3, 0)), 0, 0, 1, 0, 0, 0);
  CHECK_VALUES(base_slope(ROW(F64, -2, -2), ROW(F64, 3, -1)), 1e-15, 12, -0.25);
  CHECK_VALUES(base_curve(ROW(F64, 0, 0, 0, 2), ROW(F64, 1, 2, 3, 0)), 0, 0, 2, 0, 0);
  CHECK_VALUES(exponent_slope(ROW(F64, 0, 0, 2, 1), ROW(F64, 2, 0, 3, 5)), 1e-15, 0, 0, 8 * log(2),
               0);
  CHECK_VALUES(rem_slope(ROW(F64, 7, -7), ROW(F64, 2, 2)), 0, -3, 3);
  /* The quotient 2^52 + 0.5000000000000001 rounds up to a whole number that x / y does not
   * reach. */
  CHECK_VALUES(rem_slope(ROW(F64, 4503599627370496), ROW(F64, nextafter(1, 0))), 0,
               -4503599627370496);
}

/* The short cuts for a constant exponent give what the rule for any exponent gives. */
TEST(constant_exponents) {
  mica_graph *g = scoped_graph();
  static double general[4], constant[4];
  static const double exponents[] = {0, 1, 2, 3, -1, -2};
  for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
    mica_value x = ROW(F64, 0.5, -1.5, 2, -3), y = mica_full_like(x, exponents[i]);
    /* Behind arithmetic the exponent is no constant any more. */
    mica_value hidden = mica_mul(y, mica_exp(mica_zeros_like(x)));
    values_of(g, base_slope(x, hidden), general);
    values_of(g, base_slope(x, y), constant);
    for (int k = 0; k < 4; k++) CHECK_NEAR_RELATIVE(constant[k], general[k], 1e-15);
  }
  mica_graph_destroy(g);
}

static mica_value entropy_slope(mica_value logits, mica_value labels) {
  return slope(mica_softmax_cross_entropy(logits, labels), logits);
}

TEST(probabilities_at_the_edges) {
  CHECK_VALUES(mica_softmax(ROW(F64, 1000, 1000, -INFINITY), 0), 1e-15, 0.5, 0.5, 0);
  CHECK_VALUES(mica_log_softmax(ROW(F64, 1000, 0), 0), 1e-15, 0, -1000);
  CHECK_VALUES(mica_logsumexp(ROW(F64, 1000, 1000), MICA_ALL), 1e-15, 1000 + log(2));
  CHECK_VALUES(mica_logsumexp(ROW(F64, -INFINITY, -INFINITY), MICA_ALL), 0, -INFINITY);
  CHECK_VALUES(mica_logsumexp(ROW(F64, 1, INFINITY), MICA_ALL), 0, INFINITY);
  /* bf16 has 8 bits: rounded once at the end, not at each step. */
  CHECK_VALUES(mica_gelu(ROW(BF16, -2)), 0, -0.04541015625);
  mica_graph *g = scoped_graph();
  mica_value logits =
      array(g, MICA_F64, MICA_DIMS(4, 2), (double[]){0, 0, 0, 0, 0, 0, -INFINITY, 0});
  mica_value labels = ROW(I32, 1, 2, -1, 1);
  check_values(g, mica_softmax_cross_entropy(logits, labels), (double[]){log(2), NAN, NAN, 0}, 4,
               1e-15, "cross entropy with labels that are no class", __LINE__);
  check_values(g, entropy_slope(logits, labels), (double[]){0.5, -0.5, 0.5, 0.5, 0.5, 0.5, 0, 0}, 8,
               1e-15, "its gradient", __LINE__);
  mica_graph_destroy(g);
}

TEST(indices_wider_than_their_dtype) {
  CHECK_VALUES(mica_one_hot(ROW(I32, -1, 0, 2, 3), 3, MICA_I32), 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0,
               0);
  CHECK_VALUES(mica_one_hot(ROW(I64, 4294967296.0, 1), 2, MICA_F32), 0, 0, 0, 0, 1);
  CHECK_VALUES(mica_one_hot(ROW(U32, 4294967295.0, 1), 2, MICA_F32), 0, 0, 0, 0, 1);
  CHECK_VALUES(mica_one_hot(ROW(U64, 18446744073709549568.0, 0), 2, MICA_BOOL), 0, 0, 0, 1, 0);
  /* 256 positions, but only 200 of them can be an i8 or u8 index: -56 is not 200. */
  CHECK_VALUES(mica_reduce_sum(mica_one_hot(ROW(I8, -56, 127, 0), 300, MICA_F32), MICA_AXES(1)), 0,
               0, 1, 1);
}

/* q, k and v [3, 1] (v also the identity of what is seen), each query's keys in a mask. */
TEST(queries_that_see_nothing) {
  mica_graph *g = scoped_graph();
  mica_value q = array(g, MICA_F64, MICA_DIMS(3, 1), (double[]){1, 2, 3});
  mica_value k = array(g, MICA_F64, MICA_DIMS(2, 1), (double[]){0.5, -0.5});
  mica_value v = array(g, MICA_F64, MICA_DIMS(2, 1), (double[]){10, 20});
  mica_value mask = array(g, MICA_BOOL, MICA_DIMS(3, 2), (double[]){1, 0, 0, 0, 0, 1});
  check_values(g, mica_attention(q, k, v, .mask = mask), (double[]){10, 0, 20}, 3, 1e-15, "masked",
               __LINE__);
  /* Query i sees keys 0 .. i - 1: the first sees none. */
  double p = exp(1.5) / (exp(1.5) + exp(-1.5));
  check_values(g, mica_attention(q, k, v, .causal = true), (double[]){0, 10, p * 10 + (1 - p) * 20},
               3, 1e-15, "causal", __LINE__);
  mica_value x[3] = {q, k, v}, gradient[3];
  mica_gradients(mica_reduce_sum(mica_attention(q, k, v, .mask = mask), MICA_ALL), x, 3, gradient);
  check_values(g, gradient[0], (double[]){0, 0, 0}, 3, 0, "d q", __LINE__);
  check_values(g, gradient[1], (double[]){0, 0}, 2, 0, "d k", __LINE__);
  check_values(g, gradient[2], (double[]){1, 1}, 2, 0, "d v", __LINE__);
  mica_graph_destroy(g);
}

/* ---- random numbers: word i of a key is word i % 4 of Philox block i / 4 --------------------- */

static uint32_t word(const uint32_t key[2], uint64_t i) {
  uint64_t block = i / 4;
  uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0}, out[4];
  mica_philox(counter, key, out);
  return out[i % 4];
}
static void fold(uint32_t key[2], uint64_t number) {
  uint32_t apart[2] = {key[0], key[1] ^ 0x666F6C64u};
  key[0] = word(apart, 0) ^ (uint32_t)number;
  key[1] = word(apart, 1) ^ (uint32_t)(number >> 32);
}

static const uint64_t SEED = 0x0123456789ABCDEFu;

TEST(bits_and_keys_are_philox) {
  uint32_t key[2] = {(uint32_t)SEED, (uint32_t)(SEED >> 32)};
  double expected[21];
  for (uint64_t i = 0; i < 21; i++) expected[i] = word(key, i);
  mica_graph *g = scoped_graph();
  mica_value k = mica_random_key(g, SEED);
  check_values(g, mica_random_bits(k, MICA_DIMS(3, 7)), expected, 21, 0, "bits", __LINE__);
  fold(key, 5);
  check_values(g, mica_random_fold_number(k, 5), (double[]){key[0], key[1]}, 2, 0,
               "fold by a number", __LINE__);
  check_values(g, mica_random_fold(k, mica_scalar(g, MICA_U8, 5)), (double[]){key[0], key[1]}, 2, 0,
               "fold u8", __LINE__);
  check_values(g, mica_random_fold(k, mica_scalar(g, MICA_I64, 5)), (double[]){key[0], key[1]}, 2,
               0, "fold i64", __LINE__);
  uint32_t other[2] = {(uint32_t)SEED, (uint32_t)(SEED >> 32)};
  fold(other, (uint64_t)-3);
  check_values(g, mica_random_fold(k, mica_scalar(g, MICA_I16, -3)), (double[]){other[0], other[1]},
               2, 0, "fold -3", __LINE__);
  fold(other, 77);
  mica_value twice = mica_random_fold_number(mica_random_fold(k, mica_scalar(g, MICA_I32, -3)), 77);
  check_values(g, twice, (double[]){other[0], other[1]}, 2, 0, "fold twice", __LINE__);
  mica_graph_destroy(g);
}

/* Many keys at once draw what each draws alone. */
TEST(each_key_draws_its_own) {
  enum { KEYS = 3, COUNT = 5 };
  mica_graph *g = scoped_graph();
  double keys[2 * KEYS], expected[KEYS * COUNT];
  for (int k = 0; k < KEYS; k++) {
    uint32_t key[2] = {11u * (uint32_t)k, 7};
    keys[2 * k] = key[0], keys[2 * k + 1] = key[1];
    for (int i = 0; i < COUNT; i++)
      expected[k * COUNT + i] = (word(key, (uint64_t)i) >> 8) * ldexp(1, -24);
  }
  mica_value many = array(g, MICA_U32, MICA_DIMS(KEYS, 2), keys);
  check_values(g, mica_random_uniform(many, (mica_type){MICA_F32, MICA_DIMS(COUNT)}), expected,
               KEYS * COUNT, 0, "uniforms of many keys", __LINE__);
  mica_graph_destroy(g);
}

TEST(examples_that_share_a_key) {
  enum { EXAMPLES = 3, COUNT = 5 };
  mica_graph *g = scoped_graph();
  mica_value x = ROW(F32, 0, 0, 0), out;
  mica_region each = mica_vmap_begin(g, &x, NULL, 1);
  mica_value bits = mica_random_bits(mica_random_key(g, SEED), MICA_DIMS(COUNT));
  mica_vmap_end(each, &bits, 1, &out);
  double expected[EXAMPLES * COUNT];
  for (int e = 0; e < EXAMPLES; e++) {
    uint32_t key[2] = {(uint32_t)SEED, (uint32_t)(SEED >> 32)};
    fold(key, (uint64_t)e);
    for (int i = 0; i < COUNT; i++) expected[e * COUNT + i] = word(key, (uint64_t)i);
  }
  check_values(g, out, expected, EXAMPLES * COUNT, 0, "bits of examples", __LINE__);
  mica_graph_destroy(g);
}

TEST(uniforms_normals_and_chances) {
  enum { N = 1000 };
  static double expected[N];
  uint32_t key[2] = {(uint32_t)SEED, (uint32_t)(SEED >> 32)};
  mica_graph *g = scoped_graph();
  mica_value k = mica_random_key(g, SEED);
  static const struct {
    mica_dtype dtype;
    int digits;
  } narrow[] = {{MICA_F32, 24}, {MICA_F16, 11}, {MICA_BF16, 8}};
  for (size_t d = 0; d < 3; d++) {
    for (uint64_t i = 0; i < N; i++)
      expected[i] = ldexp(word(key, i) >> (32 - narrow[d].digits), -narrow[d].digits);
    check_values(g, mica_random_uniform(k, (mica_type){narrow[d].dtype, MICA_DIMS(N)}), expected, N,
                 0, mica_dtype_name(narrow[d].dtype), __LINE__);
  }
  for (uint64_t i = 0; i < N; i++)
    expected[i] = ((double)(word(key, i) >> 5) * 67108864.0 + (double)(word(key, N + i) >> 6)) /
                  9007199254740992.0;
  check_values(g, mica_random_uniform(k, (mica_type){MICA_F64, MICA_DIMS(10, 100)}), expected, N, 0,
               "f64", __LINE__);
  double mean = 0, square = 0;
  for (uint64_t i = 0; i < N; i++) {
    double u = 1 - (word(key, i) >> 8) * ldexp(1, -24),
           turn = (word(key, N + i) >> 8) * ldexp(1, -24);
    expected[i] = sqrt(-2 * log(u)) * cos(6.283185307179586 * turn);
    mean += expected[i] / N, square += expected[i] * expected[i] / N;
  }
  /* Of 1000 normals: standard errors 0.032 and 0.045, so five of them are no accident. */
  CHECK_NEAR(mean, 0, 0.16);
  CHECK_NEAR(square, 1, 0.23);
  static double actual[N];
  CHECK_EQ_INT(values_of(g, mica_random_normal(k, (mica_type){MICA_F32, MICA_DIMS(N)}), actual), N);
  for (int i = 0; i < N; i++)
    CHECK_NEAR(actual[i], expected[i], 2e-6); /* f32: 2 pi w is off by 2^-22 */
  static const double chances[] = {0, 0.3, 1};
  for (size_t c = 0; c < 3; c++) {
    for (uint64_t i = 0; i < N; i++)
      expected[i] = (double)word(key, i) < nearbyint(ldexp(chances[c], 32));
    check_values(g, mica_random_bernoulli(k, chances[c], MICA_DIMS(N)), expected, N, 0, "bernoulli",
                 __LINE__);
  }
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(derivatives_at_kinks), TEST_CASE(constant_exponents),
          TEST_CASE(probabilities_at_the_edges), TEST_CASE(indices_wider_than_their_dtype),
          TEST_CASE(queries_that_see_nothing), TEST_CASE(bits_and_keys_are_philox),
          TEST_CASE(each_key_draws_its_own), TEST_CASE(examples_that_share_a_key),
          TEST_CASE(uniforms_normals_and_chances))
