/* SPDX-License-Identifier: Apache-2.0 */
/* What the measured tolerance says: a function that jumps is not compared where rounding decides on which side it
 * stands, and away from there the slightest wrong result is caught; so it is in most results of random programs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "random/checks.h"

/* ---- one function at its jump and away ------------------------------------------------------------------ */

/* `in`: a, b, c, f64 []. `r` is (a + b) - c: 0.05, or with c = 0.3 a remainder of rounding, 5.6e-17. */
typedef struct {
  const char *name;
  mica_value (*build)(const mica_value *in, mica_value r);
} jump;

static mica_value join(const mica_value *parts, size_t count) {
  mica_value rows[4];
  for (size_t i = 0; i < count; i++) rows[i] = mica_reshape(parts[i], MICA_DIMS(1));
  return mica_concatenate(rows, count, 0);
}
static mica_value number(mica_value like, double value) {
  return mica_scalar(like.graph, MICA_F64, value);
}
static mica_value matrix(mica_value a, mica_value b, mica_value c, mica_value d) {
  return mica_reshape(join((mica_value[]){a, b, c, d}, 4), MICA_DIMS(2, 2));
}
static mica_value phase(mica_value z) { return mica_imag(mica_log(z)); }

#define JUMP(name, ...)                                               \
  static mica_value jump_##name(const mica_value *in, mica_value r) { \
    mica_value a = in[0], b = in[1], c = in[2];                       \
    (void)a, (void)b, (void)c, (void)r;                               \
    __VA_ARGS__                                                       \
  }
JUMP(sign, return mica_sign(r);)
JUMP(floor, return mica_floor(r);)
JUMP(ceil, return mica_ceil(r);)
JUMP(round, return mica_round(mica_add(mica_mul(r, 4096), 0.5));)
JUMP(convert, return mica_convert(mica_div(mica_add(a, b), c), MICA_I32);)
JUMP(equal, return mica_equal(mica_add(a, b), c);)
JUMP(less, return mica_less(c, mica_add(a, b));)
JUMP(select, return mica_select(mica_greater(r, 0), a, b);)
JUMP(rem, return mica_rem(mica_add(a, b), c);)
JUMP(copysign, return mica_copysign(number(a, 3), r);)
JUMP(arg_max, return mica_arg_max(join((mica_value[]){a, mica_add(a, b), c}, 3), 0);)
JUMP(arg_min, return mica_arg_min(join((mica_value[]){number(a, 9), mica_add(a, b), c}, 3), 0);)
JUMP(arg_sort, return mica_arg_sort(join((mica_value[]){mica_add(a, b), c, a}, 3), 0, false);)
JUMP(top_k, mica_value most; mica_value index;
     mica_top_k(join((mica_value[]){mica_add(a, b), c, a}, 3), 1, 0, false, &most, &index);
     return index;)
JUMP(search, return mica_search_sorted(join((mica_value[]){a, c}, 2),
                                       join((mica_value[]){mica_add(a, b)}, 1), false);)
JUMP(atan2, return mica_atan2(r, mica_neg(a));)
JUMP(log_on_cut, return phase(mica_complex(mica_neg(b), r));)
JUMP(log_of_nothing, return phase(mica_complex(r, mica_mul(r, 3)));)
JUMP(complex_root, return mica_imag(mica_sqrt(mica_complex(mica_neg(b), r)));)
JUMP(complex_power, mica_value half = mica_complex(number(a, 0.25), number(a, 0));
     return mica_imag(mica_pow(mica_complex(mica_neg(b), r), half));)
JUMP(transform,
     mica_value wave = mica_mul(join((mica_value[]){a, b, c}, 3), mica_ceil(mica_sub(r, 0.01)));
     return phase(mica_slice(mica_rfft(mica_add(wave, 0.25)), "1:"));)
JUMP(qr, mica_value q; mica_value t;
     mica_qr(matrix(number(a, 1), r, r, number(a, 2)), false, &q, &t); return q;)
JUMP(eigh, mica_value values; mica_value vectors;
     mica_eigh(matrix(number(a, 2), r, r, mica_add(mica_mul(r, 3), 2)), &values, &vectors);
     return vectors;)
JUMP(svd, mica_value u; mica_value s; mica_value v;
     mica_svd(matrix(number(a, 2), r, mica_mul(r, 2), number(a, 2)), false, &u, &s, &v);
     return mica_square(u);)
JUMP(lu, mica_value out[3]; mica_lu(matrix(mica_add(a, b), a, c, b), out); return out[1];)
JUMP(nextafter_sign, return mica_sign(mica_nextafter(r, number(a, 0)));)
#define JUMP_ROW(name) \
  { #name, jump_##name }
static const jump jumps[] = {
    JUMP_ROW(sign),       JUMP_ROW(floor),         JUMP_ROW(ceil),           JUMP_ROW(round),
    JUMP_ROW(convert),    JUMP_ROW(equal),         JUMP_ROW(less),           JUMP_ROW(select),
    JUMP_ROW(rem),        JUMP_ROW(copysign),      JUMP_ROW(arg_max),        JUMP_ROW(arg_min),
    JUMP_ROW(arg_sort),   JUMP_ROW(top_k),         JUMP_ROW(search),         JUMP_ROW(atan2),
    JUMP_ROW(log_on_cut), JUMP_ROW(transform),     JUMP_ROW(log_of_nothing), JUMP_ROW(complex_root),
    JUMP_ROW(qr),         JUMP_ROW(eigh),          JUMP_ROW(complex_power),  JUMP_ROW(svd),
    JUMP_ROW(lu),         JUMP_ROW(nextafter_sign)};

static bool measure_jump(const jump *row, double c, noise_result *out) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_type scalar = {MICA_F64, MICA_SCALAR};
  mica_value in[3];
  mica_tensor *given[3];
  noise_probe probe = {0};
  mica_error error = {0};
  double values[3] = {0.1, 0.2, c};
  for (int i = 0; i < 3; i++) in[i] = mica_parameter(graph, scalar);
  for (int i = 0; i < 3; i++) given[i] = mica_tensor_scalar(MICA_F64, values[i]);
  mica_value y = row->build(in, mica_sub(mica_add(in[0], in[1]), in[2]));
  mica_graph_set_outputs(graph, &y, 1);
  bool ok = mica_graph_status(graph, &error) == MICA_OK &&
            noise_compile(random_reference(), graph, NOISE_GRAPHS, &probe, &error) == MICA_OK &&
            noise_run(&probe, given, 3, out, &error) == MICA_OK;
  if (!ok) CHECK_FAIL("%s: %s", row->name, error.message);
  for (int i = 0; i < 3; i++) mica_tensor_release(given[i]);
  noise_release(&probe);
  mica_graph_destroy(graph);
  return ok;
}

TEST(jumps_are_not_compared) {
  for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
    noise_result result;
    if (!measure_jump(&jumps[i], 0.3, &result)) continue;
    const noise_output *o = &result.out[0];
    bool seen = o->chaotic;
    for (int64_t k = 0; k < o->count; k++) seen |= o->tolerance[k] < 0;
    if (!seen) CHECK_FAIL("%s is compared at its jump", jumps[i].name);
    noise_result_release(&result);
  }
}
TEST(wrong_results_are_caught_elsewhere) {
  for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
    noise_result result;
    if (!measure_jump(&jumps[i], 0.25, &result)) continue;
    const noise_output *o = &result.out[0];
    bool whole = noise_unit(mica_tensor_type(o->tensor).dtype) == 0;
    for (int64_t k = 0; k < o->count; k++) {
      double right = o->value[k];
      const double wrong[] = {right + (whole ? 1 : 1e-9), -right, right + 2 * 3.14159265358979};
      for (int w = 0; w < 3; w++) {
        if (wrong[w] == right) continue;
        o->value[k] = wrong[w]; /* as if it were what the engine gave */
        double *got = malloc((size_t)o->count * sizeof *got);
        for (int64_t j = 0; j < o->count; j++) got[j] = o->value[j];
        o->value[k] = right;
        if (noise_compare(o, got, 3) != k)
          CHECK_FAIL("%s, element %lld: %.17g passes for %.17g +- %g", jumps[i].name, (long long)k,
                     wrong[w], right, o->tolerance[k]);
        free(got);
      }
    }
    noise_result_release(&result);
  }
}

/* ---- random programs -------------------------------------------------------------------------------- */

static void count_caught(const noise_output *o, int64_t *tried, int64_t *caught) {
  double unit = noise_unit(mica_tensor_type(o->tensor).dtype);
  if (!o->count || unit > 1e-5) return;
  double *got = malloc((size_t)o->count * sizeof *got);
  for (int64_t k = 0; k < o->count; k++) {
    if (!isfinite(o->value[k])) continue;
    for (int64_t j = 0; j < o->count; j++) got[j] = o->value[j];
    got[k] =
        unit == 0 ? o->value[k] + 1 : o->value[k] + fmax(fabs(o->value[k]), o->largest / 16) / 1024;
    if (got[k] == o->value[k]) continue; /* all zero */
    ++*tried;
    *caught += noise_compare(o, got, 1) == k;
  }
  free(got);
}
TEST(wrong_results_of_programs_are_caught) {
  random_tape *tape = malloc(sizeof *tape);
  int64_t tried = 0, caught = 0;
  for (uint64_t seed = 0; seed < 150; seed++) {
    random_plan plan;
    random_program program;
    random_failure failure;
    noise_probe probe = {0};
    noise_result result = {0};
    mica_error error = {0};
    mica_tensor *in[PROGRAM_INPUTS];
    random_tape_begin(tape, seed + 1);
    mica_graph *graph = random_graph(tape, &plan, &program, &failure);
    if (!CHECK(graph)) continue;
    for (size_t i = 0; i < plan.in_count; i++) in[i] = random_input(&plan, i, 0);
    if (noise_compile(random_reference(), graph, NOISE_GRAPHS, &probe, &error) == MICA_OK &&
        noise_run(&probe, in, plan.in_count, &result, &error) == MICA_OK)
      for (size_t j = 0; j < result.count; j++) count_caught(&result.out[j], &tried, &caught);
    else
      CHECK_FAIL("seed %llu: %s", (unsigned long long)seed, error.message);
    for (size_t i = 0; i < plan.in_count; i++) mica_tensor_release(in[i]);
    noise_result_release(&result);
    noise_release(&probe);
    mica_graph_destroy(graph);
  }
  free(tape);
  printf("%lld of %lld wrong elements are caught\n", (long long)caught, (long long)tried);
  CHECK(tried > 1000);
  CHECK(caught * 20 >= tried * 17);
}
TEST(end) { random_end(); }
TEST_MAIN(TEST_CASE(jumps_are_not_compared), TEST_CASE(wrong_results_are_caught_elsewhere),
          TEST_CASE(wrong_results_of_programs_are_caught), TEST_CASE(end))
