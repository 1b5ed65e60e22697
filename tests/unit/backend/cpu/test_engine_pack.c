/* SPDX-License-Identifier: Apache-2.0 */
/* test_engine_pack.c: weights that are kept packed from call to call: the same bits as without, fresh after
 * every kind of write, none for what a program assigns, within the device's bound, from many threads. */
#include "engine.h"
#include "platform/platform.h"

#include <stdatomic.h>

enum { ROWS = 100, INNER = 96, COLUMNS = 80, CHANNELS = 16, WEIGHTS = 3 };

static mica_type weight_type(int index) {
  switch (index) {
    case 0: return (mica_type)ENGINE_F32(INNER, COLUMNS);
    case 1: return (mica_type)ENGINE_F32(3, 3, 1, CHANNELS);
    default: return (mica_type)ENGINE_F32(1, 1, CHANNELS, 2 * CHANNELS);
  }
}

typedef struct {
  mica_variable *weights[WEIGHTS];
} model;

static mica_tensor *random_tensor(mica_type type) {
  const engine_case test = {.in_count = 0};
  return engine_tensor(type, &test);
}

static model create_model(void) {
  model m;
  for (int i = 0; i < WEIGHTS; i++) {
    mica_tensor *value = random_tensor(weight_type(i));
    m.weights[i] = mica_variable_create("w", value);
    mica_tensor_release(value);
  }
  return m;
}

static void destroy_model(model *m) {
  for (int i = 0; i < WEIGHTS; i++) mica_variable_release(m->weights[i]);
}

static mica_device *open_with(const char *text, int32_t threads) {
  mica_device_options options = {.struct_size = sizeof(options), .threads = threads};
  mica_error error = {0};
  mica_device *device = mica_device_open_with(&mica_backend_cpu, text, &options, &error);
  if (device == NULL) CHECK_FAIL("no device: %s", error.message);
  return device;
}

/* x [ROWS, INNER] times the first weights, and an image through two convolutions; `assign` writes the first
 * weights back, halved. */
static mica_executable *compile_model(mica_device *device, const model *m, bool assign) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type)ENGINE_F32(ROWS, INNER));
  mica_value image = mica_parameter(graph, (mica_type)ENGINE_F32(2, 12, 9, 1));
  mica_value w = mica_variable_read(graph, m->weights[0]);
  mica_value out[2] = {mica_relu(mica_matmul(x, w))};
  out[1] = mica_conv(mica_conv(image, mica_variable_read(graph, m->weights[1])),
                     mica_variable_read(graph, m->weights[2]));
  if (assign) mica_variable_assign(m->weights[0], mica_mul(w, 0.5));
  mica_graph_set_outputs(graph, out, 2);
  mica_executable *executable = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
  mica_graph_destroy(graph);
  return executable;
}

static bool run_model(mica_executable *executable, mica_tensor *const *in, mica_tensor **out) {
  mica_error error = {0};
  out[0] = out[1] = NULL;
  return CHECK_OK_ERROR(mica_executable_run(executable, in, 2, out, 2, &error), &error);
}

static void release_two(mica_tensor **tensors) {
  mica_tensor_release(tensors[0]);
  mica_tensor_release(tensors[1]);
}

static bool holds_packs(const mica_executable *executable) {
  char text[4096];
  mica_executable_format(executable, text, sizeof(text));
  return strstr(text, "bytes of packed weights") != NULL;
}

/* Runs both and compares. */
static void check_same(mica_executable *kept, mica_executable *plain, mica_tensor *const *in,
                       const char *what) {
  mica_tensor *a[2], *b[2];
  if (run_model(kept, in, a) && run_model(plain, in, b)) {
    for (int i = 0; i < 2; i++)
      if (!mica_tensor_equal(a[i], b[i])) CHECK_FAIL("%s: output %d has other bits", what, i);
    release_two(b);
  }
  release_two(a);
}

static void write_value(mica_variable *variable) {
  mica_tensor *value = mica_variable_snapshot(variable),
              *fresh = random_tensor(mica_tensor_type(value));
  CHECK_OK(mica_tensor_write(value, mica_tensor_data(fresh), mica_tensor_byte_size(fresh), NULL));
  mica_tensor_release(value);
  mica_tensor_release(fresh);
}

static void set_value(mica_variable *variable) {
  mica_tensor *fresh = random_tensor(mica_variable_type(variable));
  CHECK_OK(mica_variable_set(variable, fresh, NULL));
  mica_tensor_release(fresh);
}

TEST(every_write_is_seen) {
  for (int32_t threads = 1; threads <= 3; threads++) {
    mica_device *device = open_with(NULL, threads), *none = open_with("pack_cache=0", 1);
    model m = create_model();
    mica_executable *kept = compile_model(device, &m, false),
                    *plain = compile_model(none, &m, false);
    mica_executable *step = compile_model(device, &m, true);
    mica_tensor *in[2] = {random_tensor((mica_type)ENGINE_F32(ROWS, INNER)),
                          random_tensor((mica_type)ENGINE_F32(2, 12, 9, 1))};
    check_same(kept, plain, in, "first call");
    CHECK(!holds_packs(kept));
    check_same(kept, plain, in, "second call");
    CHECK(holds_packs(kept));
    check_same(kept, plain, in, "third call");
    for (int turn = 0; turn < 3; turn++) {
      for (int i = 0; i < WEIGHTS; i++) {
        set_value(m.weights[i]);
        check_same(kept, plain, in, "after a value is set");
        if (turn == 1) check_same(kept, plain, in, "and again");
        write_value(m.weights[i]);
        check_same(kept, plain, in, "after the value is written");
        if (turn == 1) check_same(kept, plain, in, "and again");
      }
      mica_tensor *out[2];
      if (run_model(step, in, out)) release_two(out);
      check_same(kept, plain, in, "after another program assigned");
      check_same(kept, plain, in, "and again");
    }
    CHECK(!holds_packs(plain));
    release_two(in);
    mica_executable_release(kept);
    mica_executable_release(plain);
    mica_executable_release(step);
    destroy_model(&m);
    mica_device_release(device);
    mica_device_release(none);
  }
}

/* The first weights are assigned: only the others are kept. */
TEST(what_is_assigned_is_not_kept) {
  mica_device *device = open_with(NULL, 1);
  mica_graph *graph = mica_graph_create(NULL);
  model m = create_model();
  mica_value x = mica_parameter(graph, (mica_type)ENGINE_F32(ROWS, INNER));
  mica_value w = mica_variable_read(graph, m.weights[0]), y = mica_matmul(x, w);
  mica_variable_assign(m.weights[0], mica_mul(w, 0.5));
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_OK(mica_compile(device, graph, 0, &executable, NULL));
  mica_graph_destroy(graph);
  mica_tensor *in = random_tensor((mica_type)ENGINE_F32(ROWS, INNER));
  for (int run = 0; run < 4; run++) {
    mica_tensor *out = NULL;
    CHECK_OK(mica_executable_run(executable, &in, 1, &out, 1, NULL));
    mica_tensor_release(out);
    CHECK(!holds_packs(executable));
  }
  mica_tensor_release(in);
  mica_executable_release(executable);
  destroy_model(&m);
  mica_device_release(device);
}

/* The bound is the device's, over all programs; what is released is free for others. */
TEST(bounded) {
  mica_device *device = open_with("pack_cache=1", 2);
  const mica_type type = ENGINE_F32(512, 400); /* 0.8 MB */
  mica_tensor *value = random_tensor(type), *in = random_tensor((mica_type)ENGINE_F32(128, 512));
  mica_variable *w = mica_variable_create("w", value);
  mica_executable *executable[2] = {NULL, NULL};
  for (int i = 0; i < 2; i++) {
    mica_graph *graph = mica_graph_create(NULL);
    mica_value x = mica_parameter(graph, (mica_type)ENGINE_F32(128, 512));
    mica_value y = mica_matmul(x, mica_variable_read(graph, w));
    mica_graph_set_outputs(graph, &y, 1);
    CHECK_OK(mica_compile(device, graph, 0, &executable[i], NULL));
    mica_graph_destroy(graph);
  }
  for (int i = 0; i < 6; i++) {
    mica_tensor *out = NULL;
    CHECK_OK(mica_executable_run(executable[i % 2], &in, 1, &out, 1, NULL));
    mica_tensor_release(out);
  }
  CHECK(holds_packs(executable[0]));
  CHECK(!holds_packs(executable[1]));
  mica_executable_release(executable[0]);
  mica_tensor *out = NULL;
  CHECK_OK(mica_executable_run(executable[1], &in, 1, &out, 1, NULL));
  CHECK(holds_packs(executable[1]));
  mica_tensor_release(out);
  mica_tensor_release(in);
  mica_tensor_release(value);
  mica_variable_release(w);
  mica_executable_release(executable[1]);
  mica_device_release(device);
}

/* ---- threads ---------------------------------------------------------------------------------- */

enum { CALLERS = 4, CALLS = 60 };

typedef struct {
  mica_executable *executable;
  mica_tensor *in[2];
  mica_tensor *expected[2][2]; /* for each of two values of the weights */
  _Atomic int wrong;
} shared_calls;

static void call_often(void *context) {
  shared_calls *shared = context;
  for (int i = 0; i < CALLS; i++) {
    mica_tensor *out[2] = {NULL, NULL};
    if (mica_executable_run(shared->executable, shared->in, 2, out, 2, NULL) != MICA_OK) {
      atomic_fetch_add(&shared->wrong, 1);
      continue;
    }
    bool one = mica_tensor_equal(out[0], shared->expected[0][0]);
    if (!one && !mica_tensor_equal(out[0], shared->expected[1][0]))
      atomic_fetch_add(&shared->wrong, 1);
    if (!mica_tensor_equal(out[1], shared->expected[0][1])) atomic_fetch_add(&shared->wrong, 1);
    release_two(out);
  }
}

TEST(many_callers) {
  mica_device *device = open_with(NULL, 2);
  model m = create_model();
  shared_calls shared = {.executable = compile_model(device, &m, false),
                         .in = {random_tensor((mica_type)ENGINE_F32(ROWS, INNER)),
                                random_tensor((mica_type)ENGINE_F32(2, 12, 9, 1))}};
  mica_tensor *values[2] = {mica_variable_snapshot(m.weights[0]), random_tensor(weight_type(0))};
  for (int i = 0; i < 2; i++) {
    CHECK_OK(mica_variable_set(m.weights[0], values[i], NULL));
    run_model(shared.executable, shared.in, shared.expected[i]);
  }
  mica_thread_handle threads[CALLERS];
  int started = 0;
  while (started < CALLERS && mica_thread_start(&threads[started], call_often, &shared) == 0)
    started++;
  for (int i = 0; i < 2 * CALLS; i++) {
    CHECK_OK(mica_variable_set(m.weights[0], values[i % 2], NULL));
    for (int pause = 0; pause < 2000; pause++) mica_thread_pause();
  }
  for (int i = 0; i < started; i++) mica_thread_join(threads[i]);
  CHECK_EQ_INT(atomic_load(&shared.wrong), 0);
  for (int i = 0; i < 2; i++) {
    release_two(shared.expected[i]);
    mica_tensor_release(values[i]);
  }
  release_two(shared.in);
  mica_executable_release(shared.executable);
  destroy_model(&m);
  mica_device_release(device);
}

TEST(the_option_is_checked) {
  static const char *const wrong[] = {"cpu,pack_cache=", "cpu,pack_cache=-1", "cpu,pack_cache=all",
                                      "cpu,pack_cache=2x", "cpu,pack_cache=1048577"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    mica_device_options options = {.struct_size = sizeof(options), .backend = wrong[i]};
    mica_error error = {0};
    mica_device *device = mica_device_open(&options, &error);
    CHECK(device == NULL);
    CHECK_STATUS(error.status, MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "not a number of MiB in 0 to 1048576");
    mica_device_release(device);
  }
  mica_device_options options = {.struct_size = sizeof(options),
                                 .backend = "cpu, pack_cache=3, threads=2, abacus"};
  mica_error error = {0};
  CHECK(mica_device_open(&options, &error) == NULL);
  CHECK_STR_CONTAINS(error.message, "backend 'cpu' has no option 'abacus'");
}

TEST_MAIN(TEST_CASE(every_write_is_seen), TEST_CASE(what_is_assigned_is_not_kept),
          TEST_CASE(bounded), TEST_CASE(many_callers), TEST_CASE(the_option_is_checked))
