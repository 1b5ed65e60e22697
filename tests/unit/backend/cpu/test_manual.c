/* SPDX-License-Identifier: Apache-2.0 */
/* Manual regions on the native engine: the values against plain loops in this file, equal bits whatever the
 * threads, failures of one device, devices that disagree, loops, reports, calls from many threads. */
#include <pthread.h>

#include "engine.h"
#include "mica/mesh.h"

static mica_device *cpu(const char *options) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = options},
      &error);
  if (!device) CHECK_FAIL("%s: %s", options, error.message);
  return device;
}

typedef void region_build(mica_graph *graph, const mica_value *part, mica_value *out);
typedef struct {
  const char *mesh, *shardings[6]; /* of `in` inputs, then of `out` results */
  int in, out;
  region_build *build;
} region_program;

static void build_region(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const region_program *p = user;
  mica_value part[4], made[4];
  mica_mesh *mesh = mica_mesh_create(p->mesh, NULL);
  mica_region region = mica_manual_begin(graph, mesh, in, p->shardings, (size_t)p->in);
  for (int i = 0; i < p->in; i++) part[i] = mica_argument(region, (size_t)i);
  p->build(graph, part, made);
  mica_manual_end(region, made, p->shardings + p->in, (size_t)p->out, out);
  mica_mesh_release(mesh);
}

static mica_status run_region(mica_device *device, const region_program *p, mica_tensor *const *in,
                              mica_tensor **out, mica_error *error) {
  for (int i = 0; i < p->out; i++) out[i] = NULL;
  return mica_call_once(device, build_region, (void *)(uintptr_t)p, in, (size_t)p->in, out,
                        (size_t)p->out, error);
}

static mica_tensor *counted_up(mica_dtype dtype, mica_shape shape, double first, double step) {
  double values[2048];
  for (int64_t i = 0; i < mica_shape_count(shape); i++) values[i] = first + step * (double)i;
  return mica_tensor_from_doubles(dtype, shape, values);
}

/* Runs on cpu with 1 and 3 threads, stacked, and on the reference: out[] of the first one, the others are equal. */
static bool run_everywhere(const region_program *p, mica_tensor *const *in, mica_tensor **out) {
  static const char *const devices[] = {"cpu, threads=1", "cpu, threads=3", "cpu, expand",
                                        "reference"};
  bool good = true;
  for (size_t d = 0; d < sizeof devices / sizeof devices[0]; d++) {
    mica_error error = {0};
    mica_tensor *other[4];
    mica_device *device = cpu(devices[d]);
    good = CHECK_OK_ERROR(run_region(device, p, in, d ? other : out, &error), &error) && good;
    for (int i = 0; good && d && i < p->out; i++) {
      if (!CHECK(mica_tensor_equal(out[i], other[i]))) good = false;
      mica_tensor_release(other[i]);
    }
    mica_device_release(device);
  }
  return good;
}

static void check_values(mica_tensor *tensor, const double *expected, int64_t count) {
  double values[2048];
  CHECK_EQ_INT(mica_shape_count(mica_tensor_type(tensor).shape), count);
  CHECK_OK(mica_tensor_read_doubles(tensor, values, count, NULL));
  for (int64_t i = 0; i < count; i++) CHECK_NEAR(values[i], expected[i], 0);
  mica_tensor_release(tensor);
}

/* ---- values ----------------------------------------------------------------------------------- */

static void all_of_them(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  out[0] = mica_all_reduce_sum(part[0], "b");
  out[1] = mica_all_reduce_max(part[0], NULL);
  out[2] = mica_all_gather(part[0], "b", 1);
  out[3] = mica_reduce_scatter(part[0], "a", 0);
}

TEST(sums_and_gathering) {
  /* x [4, 6] is cut in 2 rows and 3 columns: parts [2, 2]. */
  region_program p = {"a=2, b=3", {"a, b", "a, -", "", "a, -", "a, b"}, 1, 4, all_of_them};
  mica_tensor *x = counted_up(MICA_F32, MICA_DIMS(4, 6), 1, 1), *out[4];
  if (run_everywhere(&p, &x, out)) {
    double value[4][6], sum[8], most[4], scattered[12];
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 6; j++) value[i][j] = 1 + 6 * i + j;
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 2; j++) sum[2 * i + j] = value[i][j] + value[i][j + 2] + value[i][j + 4];
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++) most[2 * i + j] = value[i + 2][j + 4];
    for (int i = 0; i < 2; i++) /* rows i of both parts, of which device i of `a` keeps the sum */
      for (int j = 0; j < 6; j++) scattered[6 * i + j] = value[i][j] + value[i + 2][j];
    check_values(out[0], sum, 8);
    check_values(out[1], most, 4);
    check_values(out[2], &value[0][0], 24);
    check_values(out[3], scattered, 12);
  }
  mica_tensor_release(x);
}

static void movement(mica_graph *graph, const mica_value *part, mica_value *out) {
  mica_value index = mica_axis_index(graph, "b+a");
  out[0] = mica_all_to_all(part[0], "b", 0, 1);
  out[1] = mica_collective_shift(part[0], "b", 1);
  out[2] = mica_collective_permute(part[0], NULL, (const int64_t[][2]){{0, 5}, {5, 0}, {2, 3}}, 3);
  out[3] = mica_reshape(index, MICA_DIMS(1));
}

TEST(movement_between_devices) {
  /* x [3, 12], cut along its columns over a (outer) and b: parts [3, 2], device d has columns 2d, 2d + 1. */
  region_program p = {"a=2, b=3", {"-, a+b", "b, a", "-, a+b", "-, a+b", "a+b"}, 1, 4, movement};
  mica_tensor *x = counted_up(MICA_I32, MICA_DIMS(3, 12), 0, 1), *out[4];
  if (run_everywhere(&p, &x, out)) {
    double exchanged[36], shifted[36], permuted[36] = {0};
    static const int to_of[6] = {5, -1, 3, -1, -1, 0};
    for (int row = 0; row < 3; row++)
      for (int device = 0; device < 6; device++)
        for (int j = 0; j < 2; j++) {
          double value = 12 * row + 2 * device + j;
          int a = device / 3, b = device % 3;
          /* row r goes to b = r of the same a, and lies there at columns 2b.. of its [1, 6] */
          exchanged[12 * row + 6 * a + 2 * b + j] = value;
          shifted[12 * row + 2 * (3 * a + (b + 1) % 3) + j] = value;
          if (to_of[device] >= 0) permuted[12 * row + 2 * to_of[device] + j] = value;
        }
    check_values(out[0], exchanged, 36);
    check_values(out[1], shifted, 36);
    check_values(out[2], permuted, 36);
    check_values(out[3], (double[]){0, 2, 4, 1, 3, 5}, 6);
  }
  mica_tensor_release(x);
}

/* ---- loops ------------------------------------------------------------------------------------ */

/* Three rounds of a ring inside of a while: everybody has everybody's sum. */
static void ring_of_while(mica_graph *graph, const mica_value *part, mica_value *out) {
  mica_value state[3] = {part[0], part[0], mica_scalar(graph, MICA_I32, 0)}, last[3];
  mica_region loop = mica_while_begin(graph, state, 3, 0);
  mica_while_body(loop, mica_less(mica_argument(loop, 2), 2));
  mica_value next[3] = {mica_collective_shift(mica_argument(loop, 0), "r", -1)};
  next[1] = mica_add(mica_argument(loop, 1), next[0]);
  next[2] = mica_add(mica_argument(loop, 2), 1);
  mica_while_end(loop, next, last);
  out[0] = last[1];
}

TEST(a_ring_in_a_loop) {
  region_program p = {"r=3", {"r", "r"}, 1, 1, ring_of_while};
  mica_tensor *x = counted_up(MICA_F64, MICA_DIMS(6), 1, 1), *out[1];
  if (run_everywhere(&p, &x, out)) check_values(out[0], (double[]){9, 12, 9, 12, 9, 12}, 6);
  mica_tensor_release(x);
}

/* Every device goes around its loop as often as its number says, and sums inside. */
static void unequal_loops(mica_graph *graph, const mica_value *part, mica_value *out) {
  mica_value state[2] = {part[0], mica_axis_index(graph, "r")}, last[2];
  mica_scope_push(graph, "uneven");
  mica_region loop = mica_while_begin(graph, state, 2, 0);
  mica_while_body(loop, mica_greater(mica_argument(loop, 1), 0));
  mica_value next[2] = {mica_all_reduce_sum(mica_argument(loop, 0), "r"),
                        mica_sub(mica_argument(loop, 1), 1)};
  mica_while_end(loop, next, last);
  mica_scope_pop(graph, "uneven");
  out[0] = last[0];
}

TEST(devices_that_disagree) {
  region_program p = {"r=3", {"r", "r"}, 1, 1, unequal_loops};
  mica_tensor *x = counted_up(MICA_F32, MICA_DIMS(3), 1, 1), *out[1];
  mica_device *device = cpu("cpu, threads=2");
  for (int time = 0; time < 2; time++) { /* the device and its contexts are as good as before */
    mica_error error = {0};
    CHECK_STATUS(run_region(device, &p, &x, out, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "the devices of a manual region disagree");
    CHECK_STR_CONTAINS(error.message, "all_reduce of uneven");
    CHECK_STR_CONTAINS(error.message, "device 0 has ended");
  }
  mica_tensor_release(x);
  mica_device_release(device);
}

/* ---- failures, reports ------------------------------------------------------------------------- */

static void assertion(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  mica_value fine = mica_assert(mica_less(part[0], 3), "below three");
  out[0] = mica_all_reduce_sum(mica_select(fine, part[0], mica_zeros_like(part[0])), "r");
}

TEST(one_device_fails) {
  region_program p = {"r=4", {"r", ""}, 1, 1, assertion};
  mica_tensor *x = counted_up(MICA_F32, MICA_DIMS(4), 0, 1),
              *fine = counted_up(MICA_F32, MICA_DIMS(4), 0, 0), *out[1];
  mica_device *device = cpu("cpu, threads=2");
  mica_error error = {0};
  CHECK_STATUS(run_region(device, &p, &x, out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "device 3 of a mesh: ");
  CHECK_STR_CONTAINS(error.message, "below three");
  error = (mica_error){0};
  if (CHECK_OK_ERROR(run_region(device, &p, &fine, out, &error), &error))
    check_values(out[0], (double[]){0}, 1);
  mica_tensor_release(x);
  mica_tensor_release(fine);
  mica_device_release(device);
}

static char report[400];
static void keep_report(void *user, const char *text) {
  (void)user;
  snprintf(report + strlen(report), sizeof report - strlen(report), "%s;", text);
}
static void marking(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  out[0] = mica_mark(part[0], "part");
}

TEST(marked_values_come_in_order) {
  region_program p = {"r=3", {"r", "r"}, 1, 1, marking};
  mica_tensor *x = counted_up(MICA_I32, MICA_DIMS(3), 5, 1), *out[1];
  mica_error error = {0};
  mica_device *device =
      mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                              .backend = "cpu, threads=3",
                                              .log = keep_report},
                       &error);
  if (CHECK_OK_ERROR(run_region(device, &p, &x, out, &error), &error)) mica_tensor_release(out[0]);
  CHECK_EQ_STR(report, "part: [5];part: [6];part: [7];");
  mica_tensor_release(x);
  mica_device_release(device);
}

static void not_a_number(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  out[0] = mica_all_reduce_sum(mica_log(part[0]), "r");
}

TEST(nan_is_found_in_a_region) {
  region_program p = {"r=2", {"r", ""}, 1, 1, not_a_number};
  mica_tensor *x = counted_up(MICA_F32, MICA_DIMS(2), 1, -2),
              *fine = counted_up(MICA_F32, MICA_DIMS(2), 1, 0), *out[1];
  mica_error error = {0};
  mica_device *device = cpu("cpu, find_nan, profile");
  CHECK_STATUS(run_region(device, &p, &x, out, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "device 1 of a mesh");
  CHECK_STR_CONTAINS(error.message, "log");
  error = (mica_error){0};
  if (CHECK_OK_ERROR(run_region(device, &p, &fine, out, &error), &error))
    check_values(out[0], (double[]){0}, 1);
  mica_tensor_release(x);
  mica_tensor_release(fine);
  mica_device_release(device);
}

TEST(cancelled) {
  region_program p = {"r=3", {"r", "r"}, 1, 1, ring_of_while};
  mica_tensor *x = counted_up(MICA_F32, MICA_DIMS(3), 1, 1), *out[1];
  mica_device *device = cpu("cpu");
  mica_error error = {0};
  mica_device_cancel(device, true);
  CHECK_STATUS(run_region(device, &p, &x, out, &error), MICA_CANCELLED);
  mica_tensor_release(x);
  mica_device_release(device);
}

/* ---- large, many ------------------------------------------------------------------------------ */

static void large_sum(mica_graph *graph, const mica_value *part, mica_value *out) {
  (void)graph;
  out[0] = mica_all_reduce_sum(mica_mul(part[0], 1.1), "r");
}

/* 2 MiB a device: the sum is cut into pieces; the bits are the same for any number of threads. */
TEST(equal_bits_for_any_threads) {
  enum { ROWS = 5, COLUMNS = 1 << 19 };
  region_program p = {"r=5", {"r, -", ""}, 1, 1, large_sum};
  float *values = malloc(ROWS * COLUMNS * sizeof *values);
  for (int i = 0; i < ROWS * COLUMNS; i++)
    values[i] = (float)(((uint32_t)i * 2654435761u) >> 8) * 1e-3f;
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(ROWS, COLUMNS), values), *first = NULL;
  for (int threads = 1; threads <= 4; threads++) {
    char options[40];
    snprintf(options, sizeof options, "cpu, threads=%d", threads);
    mica_device *device = cpu(options);
    for (int time = 0; time < 3; time++) {
      mica_error error = {0};
      mica_tensor *out[1];
      if (!CHECK_OK_ERROR(run_region(device, &p, &x, out, &error), &error)) continue;
      if (first) CHECK(mica_tensor_equal(first, out[0]));
      if (first)
        mica_tensor_release(out[0]);
      else
        first = out[0];
    }
    mica_device_release(device);
  }
  const float *sum = mica_tensor_data(first);
  bool right = true;
  for (int j = 0; j < COLUMNS; j += 997) {
    float expected = values[j] * 1.1f;
    for (int i = 1; i < ROWS; i++) expected += values[i * COLUMNS + j] * 1.1f;
    right = right && sum[j] == expected;
  }
  CHECK(right);
  mica_tensor_release(first);
  mica_tensor_release(x);
  free(values);
}

typedef struct {
  mica_executable *executable;
  mica_tensor *x;
  bool good;
} many_calls;

static void *call_often(void *pointer) {
  many_calls *calls = pointer;
  calls->good = true;
  for (int i = 0; i < 200 && calls->good; i++) {
    mica_tensor *out[1] = {NULL};
    double values[6];
    calls->good = mica_executable_run(calls->executable, &calls->x, 1, out, 1, NULL) == MICA_OK &&
                  mica_tensor_read_doubles(out[0], values, 6, NULL) == MICA_OK && values[0] == 9 &&
                  values[5] == 12;
    mica_tensor_release(out[0]);
  }
  return NULL;
}

TEST(calls_from_many_threads) {
  region_program p = {"r=3", {"r", "r"}, 1, 1, ring_of_while};
  mica_device *device = cpu("cpu, threads=2");
  mica_error error = {0};
  mica_jit *jit = mica_jit_create(device, build_region, .inputs = 1, .outputs = 1, .user = &p);
  mica_tensor *x = counted_up(MICA_F64, MICA_DIMS(6), 1, 1);
  mica_executable *executable = NULL;
  mica_type type = mica_tensor_type(x);
  if (CHECK_OK_ERROR(mica_jit_compile(jit, &type, 1, &executable, &error), &error)) {
    pthread_t threads[3];
    many_calls calls[3];
    for (int i = 0; i < 3; i++) {
      calls[i] = (many_calls){executable, x, false};
      pthread_create(&threads[i], NULL, call_often, &calls[i]);
    }
    for (int i = 0; i < 3; i++) {
      pthread_join(threads[i], NULL);
      CHECK(calls[i].good);
    }
  }
  mica_executable_release(executable);
  mica_jit_destroy(jit);
  mica_tensor_release(x);
  mica_device_release(device);
}

/* ---- the derivative ---------------------------------------------------------------------------- */

static void squares(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)user;
  mica_mesh *mesh = mica_mesh_create("r=2", NULL);
  mica_region region = mica_manual_begin(graph, mesh, in, (const char *const[]){"r"}, 1);
  mica_value loss =
      mica_all_reduce_sum(mica_reduce_sum(mica_square(mica_argument(region, 0)), MICA_ALL), "r");
  mica_manual_end(region, &loss, NULL, 1, &out[0]);
  mica_gradients(out[0], in, 1, &out[1]);
  mica_mesh_release(mesh);
}

/* Loss and gradient are one region: its block runs once. */
TEST(the_derivative_takes_the_place) {
  mica_device *device = cpu("cpu");
  mica_error error = {0};
  mica_jit *jit = mica_jit_create(device, squares, .inputs = 1, .outputs = 2);
  mica_tensor *x = counted_up(MICA_F32, MICA_DIMS(4), 1, 1), *out[2] = {NULL, NULL};
  mica_executable *executable = NULL;
  mica_type type = mica_tensor_type(x);
  if (CHECK_OK_ERROR(mica_jit_compile(jit, &type, 1, &executable, &error), &error)) {
    char text[4000];
    mica_executable_format(executable, text, sizeof text);
    const char *first = strstr(text, " manual ");
    CHECK(first != NULL && strstr(first + 1, " manual ") == NULL);
    CHECK_OK_ERROR(mica_executable_run(executable, &x, 1, out, 2, &error), &error);
    check_values(out[0], (double[]){30}, 1);
    check_values(out[1], (double[]){2, 4, 6, 8}, 4);
  }
  mica_executable_release(executable);
  mica_jit_destroy(jit);
  mica_tensor_release(x);
  mica_device_release(device);
}

static mica_value region_of_squares(mica_value x) {
  mica_mesh *mesh = mica_mesh_create("r=2", NULL);
  mica_region region = mica_manual_begin(x.graph, mesh, &x, (const char *const[]){"r"}, 1);
  mica_value out = mica_square(mica_argument(region, 0));
  mica_manual_end(region, &out, (const char *const[]){"r"}, 1, &out);
  mica_mesh_release(mesh);
  return out;
}
/* The derivative of each region reads the other's results, so that they cannot both take the places. */
static void product_of_regions(mica_graph *graph, const mica_value *in, mica_value *out,
                               void *user) {
  (void)graph;
  const int *order = user; /* {which first, -1: both at once} */
  mica_value loss =
      mica_reduce_sum(mica_mul(region_of_squares(in[0]), region_of_squares(in[1])), MICA_ALL);
  if (*order < 0) mica_gradients(loss, in, 2, out);
  for (int i = 0; i < 2 && *order >= 0; i++)
    mica_gradients(loss, &in[i ^ *order], 1, &out[i ^ *order]);
}
TEST(regions_that_read_each_other) {
  mica_tensor *in[2] = {counted_up(MICA_F64, MICA_DIMS(4), 1, 1),
                        counted_up(MICA_F64, MICA_DIMS(4), 2, 1)};
  static const char *const devices[] = {"cpu, threads=2", "reference"};
  for (int d = 0; d < 2; d++) {
    mica_device *device = cpu(devices[d]);
    for (int order = -1; order < 2; order++) {
      mica_error error = {0};
      mica_tensor *out[2] = {NULL};
      mica_status status =
          mica_call_once(device, product_of_regions, &order, in, 2, out, 2, &error);
      if (!CHECK_OK_ERROR(status, &error)) continue;
      check_values(out[0], (double[]){8, 36, 96, 200}, 4); /* 2 x y^2 */
      check_values(out[1], (double[]){4, 24, 72, 160}, 4); /* 2 y x^2 */
    }
    mica_device_release(device);
  }
  mica_tensor_release(in[0]), mica_tensor_release(in[1]);
}

TEST_MAIN(TEST_CASE(sums_and_gathering), TEST_CASE(movement_between_devices),
          TEST_CASE(a_ring_in_a_loop), TEST_CASE(devices_that_disagree),
          TEST_CASE(one_device_fails), TEST_CASE(marked_values_come_in_order),
          TEST_CASE(nan_is_found_in_a_region), TEST_CASE(cancelled),
          TEST_CASE(equal_bits_for_any_threads), TEST_CASE(calls_from_many_threads),
          TEST_CASE(the_derivative_takes_the_place), TEST_CASE(regions_that_read_each_other))
