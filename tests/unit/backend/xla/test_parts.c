/* SPDX-License-Identifier: Apache-2.0 */
/* Values that lie in parts on the devices of a mesh between calls: variables, arguments and results on four devices of a
 * CPU plugin. Transfers between host and devices are counted. */
#include <math.h>

#include "core/tensor.h"
#include "mica/xla.h"
#include "unit/backend/xla/counted.h"
#include "unit/backend/xla/real.h"

enum { ROWS = 8, IN = 16, HIDDEN = 32, STEPS = 4, WEIGHTS = 2 };

static mica_tensor *mixed_numbers(int64_t rows, int64_t columns, double scale) {
  double values[HIDDEN * HIDDEN];
  for (int64_t i = 0; i < rows * columns; i++)
    values[i] = ((double)(i * 37 % 101) / 101 - 0.5) * scale;
  return mica_tensor_from_doubles(MICA_F32, MICA_DIMS(rows, columns), values);
}

/* Two layers and momentum: all variables are read and assigned. */
typedef struct {
  mica_variable *weight[WEIGHTS], *trace[WEIGHTS];
} small_model;

static small_model make_model(void) {
  small_model m;
  for (int i = 0; i < WEIGHTS; i++) {
    mica_tensor *w = mixed_numbers(i ? HIDDEN : IN, i ? IN : HIDDEN, 0.7),
                *z = mixed_numbers(i ? HIDDEN : IN, i ? IN : HIDDEN, 0);
    m.weight[i] = mica_variable_create("weight", w);
    m.trace[i] = mica_variable_create("trace", z);
    mica_tensor_release(w);
    mica_tensor_release(z);
  }
  return m;
}

static void end_model(small_model *m) {
  for (int i = 0; i < WEIGHTS; i++)
    mica_variable_release(m->weight[i]), mica_variable_release(m->trace[i]);
}

static void step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  small_model *m = user;
  mica_value w[WEIGHTS], g[WEIGHTS];
  for (int i = 0; i < WEIGHTS; i++) w[i] = mica_variable_read(graph, m->weight[i]);
  mica_value y = mica_matmul(mica_tanh(mica_matmul(in[0], w[0])), w[1]);
  out[0] = mica_reduce_mean(mica_square(mica_sub(y, in[0])), MICA_ALL);
  mica_gradients(out[0], w, WEIGHTS, g);
  for (int i = 0; i < WEIGHTS; i++) {
    mica_value trace = mica_add(mica_mul(mica_variable_read(graph, m->trace[i]), 0.9), g[i]);
    mica_variable_assign(m->trace[i], trace);
    mica_variable_assign(m->weight[i], mica_sub(w[i], mica_mul(trace, 0.5)));
  }
}

static mica_device *open_native(void) {
  return mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "cpu"}, NULL);
}

/* The weights after STEPS steps on `device`. */
static void train(mica_device *device, small_model *m, mica_mesh *mesh, bool count) {
  mica_error error = {0};
  static const char *const batch[] = {"d, -"}, *const loss[] = {NULL};
  mica_jit *jit = mica_jit_create(.device = device, .build = step, .user = m, .inputs = 1,
                                  .outputs = 1, .mesh = mesh, .shardings = mesh ? batch : NULL,
                                  .output_shardings = mesh ? loss : NULL);
  mica_tensor *x = mixed_numbers(ROWS, IN, 2), *out = NULL;
  for (int i = 0; i < STEPS; i++) {
    if (count && i == 1) counted_reset();
    CHECK_OK_ERROR(mica_jit_call(jit, &x, 1, &out, 1, &error), &error);
  }
  if (count) {
    /* Of the batch a part for each device; the variables stay. */
    counted_print("a step on four devices", STEPS - 1);
    CHECK_EQ_INT(counted(PJRT_BUFFER_FROM_HOST), (STEPS - 1) * 4);
    CHECK_EQ_INT(counted(PJRT_BUFFER_TO_HOST), 0);
    mica_executable *executable = NULL;
    mica_type type = mica_tensor_type(x);
    mica_xla_cost cost = {.struct_size = sizeof cost};
    CHECK_OK(mica_jit_compile(jit, &type, 1, &executable, &error));
    CHECK_OK(mica_xla_executable_cost(executable, &cost, &error));
    /* All variables are updated where they lie. */
    CHECK(cost.aliased >= 2 * WEIGHTS * IN * HIDDEN * 4 / 4);
    mica_executable_release(executable);
    /* Read: once, though all four have the loss. */
    float value;
    CHECK_OK(mica_tensor_read(out, &value, sizeof value, &error));
    CHECK_EQ_INT(counted(PJRT_BUFFER_TO_HOST), 1);
  }
  mica_tensor_release(x);
  mica_tensor_release(out);
  mica_jit_destroy(jit);
}

static void compare_models(small_model *a, small_model *b, const char *what) {
  for (int i = 0; i < 2 * WEIGHTS; i++) {
    mica_tensor *one = mica_variable_snapshot(i % 2 ? a->trace[i / 2] : a->weight[i / 2]),
                *other = mica_variable_snapshot(i % 2 ? b->trace[i / 2] : b->weight[i / 2]);
    mica_closeness same = {0};
    mica_tensor_compare(one, other, 1e-5, 1e-5, &same, NULL);
    if (!same.close) CHECK_FAIL("%s: variable %d differs", what, i);
    mica_tensor_release(one);
    mica_tensor_release(other);
  }
}

static void lay_model(small_model *m, mica_mesh *mesh, const char *first, const char *second) {
  mica_error error = {0};
  for (int i = 0; i < WEIGHTS; i++) {
    CHECK_OK(mica_variable_shard(m->weight[i], mesh, i ? second : first, &error));
    CHECK_OK(mica_variable_shard(m->trace[i], mesh, i ? second : first, &error));
  }
}

static bool in_parts(const mica_tensor *tensor) {
  return tensor && tensor->storage == MICA_TENSOR_DEVICE && tensor->device->part != NULL;
}

TEST(variables_stay_in_parts) {
  static const struct {
    const char *mesh, *first, *second, *options;
  } ways[] = {{"d=4", NULL, NULL, ""},          {"d=4", "d, -", "d, -", ""},
              {"d=4", "-, d", "-, d", ""},      {"d=2, m=2", "-, m", "m, -", ""},
              {"d=2, m=2", "d, m", "m, d", ""}, {"d=4", "d, -", "-, d", ",resident=true"}};
  small_model alone = make_model();
  mica_device *native = open_native();
  train(native, &alone, NULL, false);
  mica_device_release(native);
  for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
    char options[64];
    snprintf(options, sizeof options, ",devices=4%s", ways[w].options);
    mica_device *device = open_xla(options);
    if (!device) break;
    counted_begin(device);
    mica_mesh *mesh = mica_mesh_create(ways[w].mesh, NULL);
    small_model m = make_model();
    lay_model(&m, mesh, ways[w].first, ways[w].second);
    train(device, &m, mesh, true);
    mica_tensor *weight = mica_variable_snapshot(m.weight[0]);
    CHECK(in_parts(weight));
    mica_tensor_release(weight);
    compare_models(&m, &alone, ways[w].mesh);
    end_model(&m);
    mica_mesh_release(mesh);
    counted_end(device);
    mica_device_release(device);
  }
  end_model(&alone);
}

/* Who holds a value keeps it; a program without a mesh reads and writes the same variables. */
TEST(values_that_others_hold) {
  mica_device *device = open_xla(",devices=4");
  if (!device) return;
  mica_error error = {0};
  mica_mesh *mesh = mica_mesh_create("d=4", NULL);
  small_model m = make_model(), alone = make_model();
  mica_device *native = open_native();
  lay_model(&m, mesh, "d, -", "-, d");
  train(device, &m, mesh, false), train(native, &alone, NULL, false);
  mica_tensor *held = mica_variable_snapshot(m.weight[1]);
  mica_sharded_tensor *parts = NULL;
  CHECK_OK_ERROR(mica_tensor_shard(held, mesh, "-, d", &parts, &error), &error);
  mica_tensor *part = mica_sharded_tensor_part(parts, 2), *wanted = NULL;
  CHECK(part->storage == MICA_TENSOR_DEVICE);
  mica_tensor *before = mica_variable_snapshot(alone.weight[1]);
  mica_tensor_release(held); /* the parts hold it as well */
  train(device, &m, mesh, false), train(native, &alone, NULL, false);
  CHECK_OK(mica_sharded_tensor_merge(parts, &wanted, &error));
  mica_closeness same = {0};
  mica_tensor_compare(wanted, before, 1e-5, 1e-5, &same, NULL);
  CHECK(same.close);
  mica_sharded_tensor_release(parts);
  mica_tensor_release(wanted);
  mica_tensor_release(before);
  compare_models(&m, &alone, "after it was held");
  /* On one device, on another mesh and on another backend in turn. */
  lay_model(&m, NULL, NULL, NULL);
  train(device, &m, NULL, false), train(native, &alone, NULL, false);
  compare_models(&m, &alone, "on one device");
  mica_mesh *other = mica_mesh_create("d=2, m=2", NULL);
  lay_model(&m, other, "d, m", "m, -");
  train(device, &m, other, false), train(native, &alone, NULL, false);
  compare_models(&m, &alone, "on another mesh");
  lay_model(&m, NULL, NULL, NULL);
  train(native, &m, NULL, false), train(native, &alone, NULL, false);
  compare_models(&m, &alone, "on another backend");
  end_model(&m), end_model(&alone);
  mica_mesh_release(mesh);
  mica_mesh_release(other);
  mica_device_release(native);
  mica_device_release(device);
}

static void two_results(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = mica_matmul(in[0], in[1]);
  out[1] = mica_add(in[1], 1);
}

/* Arguments and results in parts: results that are the next arguments do not meet the host. */
TEST(arrays_in_parts) {
  static const char *const shardings[] = {"d, -", "-, m"};
  static const char *const backends[] = {"", "cpu", "reference"};
  for (int b = 0; b < 3; b++) {
    bool xla = b == 0;
    mica_error error = {0};
    mica_device *device =
        xla ? open_xla(",devices=4")
            : mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                                      .backend = backends[b]},
                               &error);
    if (!device) continue;
    if (xla) counted_begin(device);
    mica_mesh *mesh = mica_mesh_create("d=2, m=2", NULL);
    mica_jit *jit = mica_jit_create(.device = device, .build = two_results, .inputs = 2,
                                    .outputs = 2, .donate = 3, .mesh = mesh, .shardings = shardings,
                                    .output_shardings = shardings);
    mica_tensor *x = mixed_numbers(ROWS, IN, 1), *w = mixed_numbers(IN, IN, 0.5), *whole = NULL;
    mica_sharded_tensor *in[2] = {NULL}, *out[2] = {NULL};
    CHECK_OK(mica_tensor_shard(x, mesh, shardings[0], &in[0], &error));
    CHECK_OK(mica_tensor_shard(w, mesh, shardings[1], &in[1], &error));
    for (int i = 0; i < STEPS; i++) {
      if (xla && i == 1) counted_reset();
      CHECK_OK_ERROR(mica_jit_call_sharded(jit, in, 2, out, 2, &error), &error);
      CHECK_EQ_STR(mica_sharded_tensor_sharding(out[1]), "-, m");
      for (int k = 0; k < 2; k++) {
        mica_sharded_tensor_release(in[k]);
        in[k] = out[k];
      }
    }
    if (xla) {
      counted_print("arrays in parts", STEPS - 1);
      CHECK_EQ_INT(counted(PJRT_BUFFER_FROM_HOST), 0);
      CHECK_EQ_INT(counted(PJRT_BUFFER_TO_HOST), 0);
    }
    /* x (w)(w + 1)(w + 2).. */
    CHECK_OK(mica_sharded_tensor_merge(in[1], &whole, &error));
    double first[IN * IN], now[IN * IN], y[ROWS * IN], next[ROWS * IN];
    CHECK_OK(mica_tensor_read_doubles(w, first, IN * IN, &error));
    CHECK_OK(mica_tensor_read_doubles(whole, now, IN * IN, &error));
    CHECK_NEAR(now[17], first[17] + STEPS, 1e-6);
    mica_tensor_release(whole);
    CHECK_OK(mica_tensor_read_doubles(x, y, ROWS * IN, &error));
    for (int i = 0; i < STEPS; i++) {
      for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < IN; c++) {
          next[r * IN + c] = 0;
          for (int k = 0; k < IN; k++) next[r * IN + c] += y[r * IN + k] * (first[k * IN + c] + i);
        }
      memcpy(y, next, sizeof y);
    }
    CHECK_OK(mica_sharded_tensor_merge(in[0], &whole, &error));
    CHECK_OK(mica_tensor_read_doubles(whole, next, ROWS * IN, &error));
    for (int i = 0; i < ROWS * IN; i++) CHECK_NEAR(next[i], y[i], 1e-4 * (1 + fabs(y[i])));
    mica_tensor_release(whole);
    mica_sharded_tensor_release(in[0]), mica_sharded_tensor_release(in[1]);
    mica_tensor_release(x), mica_tensor_release(w);
    mica_jit_destroy(jit);
    mica_mesh_release(mesh);
    if (xla) counted_end(device);
    mica_device_release(device);
  }
}

static void plus_one(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  mica_dtype dtype = mica_type_of(in[0]).dtype;
  out[0] = mica_convert(mica_add(mica_convert(in[0], MICA_F32), 1), dtype);
}

/* Wherever an array lies, as it should or otherwise, of every kind of width. */
TEST(arguments_that_lie_otherwise) {
  static const mica_dtype dtypes[] = {MICA_F32, MICA_F64, MICA_I8, MICA_BF16, MICA_I4};
  static const char *const wanted[] = {"d, m"}, *const given[] = {NULL, "d, -", "-, d", "d+m, -",
                                                                  "-, m+d"};
  mica_device *device = open_xla(",devices=4");
  mica_mesh *mesh = mica_mesh_create("d=2, m=2", NULL);
  for (size_t t = 0; device && t < sizeof dtypes / sizeof dtypes[0]; t++) {
    mica_error error = {0};
    mica_jit *jit = mica_jit_create(.device = device, .build = plus_one, .inputs = 1, .outputs = 1,
                                    .mesh = mesh, .shardings = wanted, .output_shardings = wanted);
    double values[16], got[16];
    for (int i = 0; i < 16; i++) values[i] = i % 7 - 3;
    mica_tensor *x = mica_tensor_from_doubles(dtypes[t], MICA_DIMS(4, 4), values);
    for (size_t g = 0; g < sizeof given / sizeof given[0]; g++) {
      mica_sharded_tensor *in = NULL, *out = NULL;
      mica_tensor *whole = NULL;
      CHECK_OK(mica_tensor_shard(x, mesh, given[g], &in, &error));
      CHECK_OK_ERROR(mica_jit_call_sharded(jit, &in, 1, &out, 1, &error), &error);
      CHECK_OK(mica_sharded_tensor_merge(out, &whole, &error));
      CHECK_OK(mica_tensor_read_doubles(whole, got, 16, &error));
      for (int i = 0; i < 16; i++) CHECK_NEAR(got[i], values[i] + 1, 0);
      mica_sharded_tensor_release(in);
      mica_sharded_tensor_release(out);
      mica_tensor_release(whole);
    }
    mica_tensor_release(x);
    mica_jit_destroy(jit);
  }
  mica_mesh_release(mesh);
  mica_device_release(device);
}

TEST(misuse) {
  mica_device *native = open_native();
  mica_error error = {0};
  mica_jit *plain = mica_jit_create(.device = native, .build = plus_one, .inputs = 1, .outputs = 1);
  mica_sharded_tensor *in = NULL, *out = NULL;
  mica_tensor *there = NULL;
  CHECK_STATUS(mica_jit_call_sharded(plain, &in, 1, &out, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "a jit with a mesh");
  mica_jit_destroy(plain);
  mica_mesh *mesh = mica_mesh_create("d=8", NULL);
  mica_jit *jit =
      mica_jit_create(.device = native, .build = plus_one, .inputs = 1, .outputs = 1, .mesh = mesh);
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call_sharded(jit, &in, 2, &out, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "2 inputs and 1 outputs given, expected 1 and 1");
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call_sharded(jit, &in, 1, &out, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "the sharded tensor is NULL");
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call_sharded(NULL, &in, 1, &out, 1, &error), MICA_INVALID);
  mica_jit_destroy(jit);
  mica_device *device = open_xla(",devices=4");
  mica_tensor *x = mixed_numbers(8, 4, 1);
  error = (mica_error){0};
  CHECK_OK(mica_tensor_shard(x, mesh, "d, -", &in, &error));
  if (device) {
    CHECK_STATUS(mica_sharded_tensor_to_device(device, in, &there, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "the mesh \"d=8\" needs 8 devices, and there are 4");
  }
  mica_sharded_tensor_release(in);
  mica_tensor_release(x);
  mica_mesh_release(mesh);
  mica_device_release(device);
  mica_device_release(native);
}

TEST_MAIN(TEST_CASE(variables_stay_in_parts), TEST_CASE(values_that_others_hold),
          TEST_CASE(arrays_in_parts), TEST_CASE(arguments_that_lie_otherwise), TEST_CASE(misuse))
