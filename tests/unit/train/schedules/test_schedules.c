/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules against optax and PyTorch (tests/golden/schedules.npz, made by tests/golden/schedules.py), on the host, and in
 * graphs of f64 and f32. */
#include "mica/train/schedules.h"
#include "unit/graph/ops_testing.h"
#include "unit/train/train_testing.h"

enum { STEPS = 150 };

static bool golden_numbers(const mica_npz *npz, const char *name, double *out) {
  mica_tensor *tensor = mica_npz_find(npz, name);
  if (tensor && !mica_tensor_read_doubles(tensor, out, STEPS, NULL)) return true;
  return CHECK_FAIL("no array %s", name);
}

/* The schedule at every step at once: a batch of steps under vmap. */
static void build_schedule(mica_graph *g, const mica_value *in, mica_value *out, void *user) {
  (void)in;
  const mica_dtype dtypes[] = {MICA_F64, MICA_F32};
  mica_value steps = mica_iota(g, (mica_type){MICA_I32, MICA_DIMS(STEPS)}, 0);
  for (int i = 0; i < 2; i++) {
    mica_region each = mica_vmap_begin(g, &steps, NULL, 1);
    mica_value y = mica_schedule_value(user, mica_argument(each, 0), dtypes[i]);
    mica_vmap_end(each, &y, 1, &out[i]);
  }
}

static void check_schedule(const mica_npz *npz, mica_device *device, const char *name,
                           mica_schedule *schedule) {
  double wanted[STEPS], got[2][STEPS];
  mica_tensor *out[2] = {NULL};
  mica_error error = {0};
  if (!CHECK(schedule != NULL)) return;
  bool well = golden_numbers(npz, name, wanted);
  if (mica_call_once(device, build_schedule, schedule, NULL, 0, out, 2, &error))
    well = CHECK_FAIL("%s: %s", name, error.message);
  for (int i = 0; well && i < 2; i++)
    CHECK_OK(mica_tensor_read_doubles(out[i], got[i], STEPS, NULL));
  for (int t = 0; well && t < STEPS; t++) {
    double at = mica_schedule_at(schedule, t);
    well = fabs(at - wanted[t]) <= 1e-12 && fabs(got[0][t] - at) <= 1e-14 &&
           fabs(got[1][t] - at) <= 1e-6;
    if (!well)
      CHECK_FAIL("%s at %d: %.15g on the host, %.15g in f64, %.8g in f32; wanted %.15g", name, t,
                 at, got[0][t], got[1][t], wanted[t]);
  }
  mica_tensor_release(out[0]), mica_tensor_release(out[1]);
  mica_schedule_destroy(schedule);
}

TEST(numbers_are_those_of_optax_and_pytorch) {
  mica_npz *npz = golden_open("schedules.npz");
  mica_device *device = testing_device("cpu");
  const double levels[] = {0.5, 0.05, 0.025};
  const int64_t edges[] = {40, 100}, joints[] = {30, 90};
  const struct {
    const char *name;
    mica_schedule *schedule;
  } cases[] = {
      {"piecewise", mica_schedule_piecewise(levels, edges, 2)},
      {"exponential", mica_schedule_exponential(.start = 0.3, .steps = 20, .rate = 0.7)},
      {"exponential_stairs", mica_schedule_exponential(.start = 0.3, .steps = 20, .rate = 0.7,
                                                       .staircase = true, .end = 0.05)},
      {"step", mica_schedule_exponential(.start = 1, .steps = 30, .rate = 0.2, .staircase = true)},
      {"linear", mica_schedule_polynomial(.start = 0.1, .end = 0.9, .steps = 70)},
      {"polynomial",
       mica_schedule_polynomial(.start = 0.5, .end = 0.02, .steps = 100, .power = 2.5)},
      {"cosine", mica_schedule_cosine(.start = 0.4, .end = 0.1, .steps = 90)},
      {"cosine_warm", mica_schedule_cosine(.start = 0.4, .end = 0.05, .steps = 95,
                                           .warmup_start = 0.01, .warmup_steps = 25)},
      {"restarts", mica_schedule_cosine(.start = 1, .end = 0.1, .steps = 20, .restarts = true)},
      {"restarts_longer", mica_schedule_cosine(.start = 1, .end = 0.1, .steps = 10,
                                               .restarts = true, .period_factor = 2)},
      {"one_cycle", mica_schedule_one_cycle(.start = 0.8, .steps = 110, .start_divisor = 10,
                                            .end_divisor = 100)},
      {"one_cycle_linear",
       mica_schedule_one_cycle(.start = 0.8, .steps = 110, .start_divisor = 10, .end_divisor = 100,
                               .warmup_part = 0.5, .linear = true)},
      {"inverse_root", mica_schedule_inverse_root(.start = 0.2, .warmup_steps = 30)},
      {"join",
       mica_schedule_join(
           (mica_schedule *[]){mica_schedule_polynomial(.end = 1, .steps = 30),
                               mica_schedule_exponential(.start = 1, .steps = 10, .rate = 0.8),
                               mica_schedule_constant(0.125)},
           joints, 3)},
  };
  for (size_t i = 0; npz && device && i < sizeof cases / sizeof cases[0]; i++)
    check_schedule(npz, device, cases[i].name, cases[i].schedule);
  mica_device_release(device);
  mica_npz_destroy(npz);
}

TEST(schedules_are_made_of_others) {
  mica_schedule *s = mica_schedule_sum(
      mica_schedule_product(mica_schedule_polynomial(.end = 1, .steps = 10),
                            mica_schedule_constant(4)),
      mica_schedule_cosine(.start = 2, .steps = 4, .restarts = true, .peak_factor = 0.5));
  CHECK_NEAR(mica_schedule_at(s, 0), 2, 1e-15);
  CHECK_NEAR(mica_schedule_at(s, -5), 2, 1e-15);
  CHECK_NEAR(mica_schedule_rate(4, s), 2.6, 1e-15);
  CHECK_NEAR(mica_schedule_at(s, 4), 1.6 + 1, 1e-15);
  CHECK_NEAR(mica_schedule_at(s, 40), 4 + 2 * pow(0.5, 10), 1e-15);
  mica_schedule_destroy(s);
  mica_schedule_destroy(NULL);
  CHECK(mica_schedule_join((mica_schedule *[]){mica_schedule_constant(1), NULL}, (int64_t[]){3},
                           2) == NULL);
  CHECK(mica_schedule_product(mica_schedule_constant(1), NULL) == NULL);
  CHECK(mica_schedule_piecewise((double[]){1, 2, 3}, (int64_t[]){5, 4}, 2) == NULL);
  CHECK(isnan(mica_schedule_at(NULL, 3)));
}

/* Periods that grow: host and f32 graph agree on which period a late step is in. */
static void build_late(mica_graph *g, const mica_value *in, mica_value *out, void *user) {
  (void)g;
  out[0] = mica_schedule_value(user, in[0], MICA_F32);
}
TEST(restarts_fall_on_the_same_steps) {
  mica_schedule *s =
      mica_schedule_cosine(.start = 1, .steps = 1000, .restarts = true, .period_factor = 1.5);
  int64_t begin = 0;
  for (int cycle = 1; cycle <= 15; cycle++) {
    int64_t next = (int64_t)floor(1000 * (pow(1.5, cycle) - 1) / 0.5 + 0.5);
    for (int64_t t = next - 1; t <= next; t++) {
      double out[1][64], at = mica_schedule_at(s, t);
      mica_tensor *in[] = {NUMBERS(I64, MICA_SCALAR, (double)t)};
      if (!run_numbers(build_late, s, in, 1, out, 1)) break;
      CHECK_NEAR(out[0][0], at, 1e-5);
      CHECK_NEAR(at, t == next ? 1 : 0, 1e-4);
    }
    CHECK(next > begin);
    begin = next;
  }
  mica_schedule_destroy(s);
}

/* ---- plateaus ----------------------------------------------------------------------------------------------- */

static const mica_plateau_args plateau = {
    .struct_size = sizeof plateau, .factor = 0.5, .patience = 4, .cooldown = 3, .least = 0.01};
static const mica_plateau_args plateau_max = {.struct_size = sizeof plateau_max,
                                              .factor = 0.3,
                                              .patience = 2,
                                              .threshold = 0.01,
                                              .absolute = true,
                                              .maximize = true};
/* All measures by one scan. */
static void build_plateau(mica_graph *g, const mica_value *in, mica_value *out, void *user) {
  mica_value zero = mica_scalar(g, MICA_F64, 0), state[4] = {zero, zero, zero, zero}, next[4];
  mica_region scan = mica_scan_begin(state, 4, in, 1);
  for (size_t i = 0; i < 4; i++) state[i] = mica_argument(scan, i);
  mica_plateau_update_values(state, mica_argument(scan, 4), user, next);
  mica_value last[4];
  mica_scan_end(scan, next, next, 1, last, out);
}
TEST(plateaus_are_those_of_pytorch) {
  mica_npz *npz = golden_open("schedules.npz");
  mica_device *device = testing_device("cpu");
  double measures[STEPS], wanted[STEPS], got[STEPS];
  for (int k = 0; npz && device && k < 2; k++) {
    const mica_plateau_args *args = k ? &plateau_max : &plateau;
    mica_plateau host = {0};
    mica_error error = {0};
    if (!golden_numbers(npz, "measures", measures) ||
        !golden_numbers(npz, k ? "plateau_max" : "plateau", wanted))
      break;
    for (int t = 0; t < STEPS; t++) measures[t] *= k ? -1 : 1;
    mica_tensor *in = mica_tensor_from(MICA_F64, MICA_DIMS(STEPS), measures), *out = NULL;
    mica_plateau_args copy = *args;
    CHECK_OK_ERROR(mica_call_once(device, build_plateau, &copy, &in, 1, &out, 1, &error), &error);
    if (out) CHECK_OK(mica_tensor_read_doubles(out, got, STEPS, NULL));
    for (int t = 0; out && t < STEPS; t++) {
      CHECK_NEAR(mica_plateau_update(&host, measures[t], args), wanted[t], 1e-15);
      CHECK_NEAR(got[t], wanted[t], 1e-15);
    }
    CHECK(wanted[STEPS - 1] < 0.5);
    mica_tensor_release(in), mica_tensor_release(out);
  }
  mica_device_release(device);
  mica_npz_destroy(npz);
}

TEST(mistakes) {
  mica_error error = {0};
  CHECK(mica_schedule_cosine(.start = 1, .error = &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "schedule_cosine: expected steps of at least 1");
  error = (mica_error){0};
  CHECK(mica_schedule_exponential(.start = 1, .steps = 1, .error = &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "a rate above 0");
  CHECK(mica_schedule_polynomial(.start = NAN, .steps = 1) == NULL);
  CHECK(mica_schedule_one_cycle(.start = 1, .steps = 1, .warmup_part = 2) == NULL);
  CHECK(mica_schedule_inverse_root(.start = 1) == NULL);
  mica_schedule *s = mica_schedule_constant(1);
  CHECK_FAILS(mica_schedule_value(NULL, SCALAR(I32), MICA_F32), "there is no schedule");
  CHECK_FAILS(mica_schedule_value(s, SCALAR(F32), MICA_F32), "the step: expected integers []");
  CHECK_FAILS(mica_schedule_value(s, SCALAR(I32), MICA_F16), "expected f32 or f64");
  CHECK_TYPE(mica_schedule_value(s, SCALAR(I32), MICA_F32), "f32[]");
  mica_schedule_destroy(s);
  mica_graph *g = scoped_graph();
  mica_value out[4], x = SCALAR(F32), state[4] = {x, x, x, x};
  mica_plateau_update_values(state, x, NULL, out);
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  mica_graph_destroy(g);
  CHECK(isnan(mica_plateau_update(
      &(mica_plateau){0}, 1,
      &(mica_plateau_args){.struct_size = sizeof(mica_plateau_args), .factor = 2})));
}

TEST_MAIN(TEST_CASE(numbers_are_those_of_optax_and_pytorch),
          TEST_CASE(schedules_are_made_of_others), TEST_CASE(restarts_fall_on_the_same_steps),
          TEST_CASE(plateaus_are_those_of_pytorch), TEST_CASE(mistakes))
