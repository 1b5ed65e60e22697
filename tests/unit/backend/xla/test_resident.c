/* SPDX-License-Identifier: Apache-2.0 */
/* Values that stay on the device, on a real CPU plugin that is treated as one with memory of its own
 * (resident=true): tensors and variables, donation, asynchronous calls and uploads, reads of parts. */
#include <pthread.h>

#include "core/tensor.h"
#include "mica/custom.h"
#include "mica/xla.h"
#include "unit/backend/xla/real.h"

static void count_up(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_variable *variable = user;
  mica_value next = mica_add(mica_variable_read(graph, variable), in[0]);
  mica_variable_assign(variable, next);
  out[0] = mica_reduce_sum(next, MICA_ALL);
}

static bool on_device(const mica_tensor *tensor) {
  return tensor && tensor->storage == MICA_TENSOR_DEVICE;
}

TEST(variables_stay_on_the_device) {
  mica_device *device = open_xla(",resident=true");
  if (!device) return;
  mica_error error = {0};
  mica_tensor *start = four_numbers(0, 0, 0, 0);
  mica_variable *variable = mica_variable_create("count", start);
  mica_tensor_release(start);
  mica_jit *jit = mica_jit_create(.device = device, .build = count_up, .user = variable,
                                  .inputs = 1, .outputs = 1);
  mica_tensor *in = four_numbers(1, 2, 3, 4), *out = NULL, *kept = NULL;
  for (int i = 1; i <= 5; i++) {
    CHECK_OK_ERROR(mica_jit_call(jit, &in, 1, &out, 1, &error), &error);
    CHECK(on_device(out));
    CHECK_NEAR(*(const float *)mica_tensor_data(out), 10 * i, 0);
    mica_tensor *value = mica_variable_snapshot(variable);
    CHECK(on_device(value));
    float at[4];
    CHECK_OK(mica_tensor_read(value, at, sizeof at, &error));
    CHECK_NEAR(at[3], 4 * i, 0);
    if (i == 3) kept = mica_tensor_retain(value); /* the next step must not consume it */
    mica_tensor_release(value);
  }
  CHECK_NEAR(((const float *)mica_tensor_data(kept))[0], 3, 0);
  mica_tensor_release(kept);
  /* Another device reads it from a copy, and what that one stores comes back. */
  mica_device *cpu = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "cpu"}, &error);
  mica_jit *other = mica_jit_create(.device = cpu, .build = count_up, .user = variable, .inputs = 1,
                                    .outputs = 1);
  mica_tensor *sum = NULL;
  CHECK_OK_ERROR(mica_jit_call(other, &in, 1, &sum, 1, &error), &error);
  CHECK_NEAR(*(const float *)mica_tensor_data(sum), 60, 0);
  CHECK_OK_ERROR(mica_jit_call(jit, &in, 1, &out, 1, &error), &error);
  CHECK_NEAR(*(const float *)mica_tensor_data(out), 70, 0);
  mica_tensor_release(sum);
  /* A result of a device as an input elsewhere. */
  mica_tensor *value = mica_variable_snapshot(variable);
  CHECK_OK_ERROR(mica_jit_call(other, &value, 1, &out, 1, &error), &error);
  mica_tensor_release(value);
  mica_jit_destroy(other);
  mica_device_release(cpu);
  mica_tensor_release(in);
  mica_jit_destroy(jit);
  mica_device_release(device);
  mica_variable_release(variable); /* its value holds the device until now */
  mica_tensor_release(out);
}

static mica_executable *tripled(mica_device *device, mica_type type, uint64_t donate) {
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, type), y = mica_mul(x, 3);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_OK_ERROR(mica_compile(device, graph, donate, &executable, &error), &error);
  mica_graph_destroy(graph);
  return executable;
}

TEST(outputs_and_donation) {
  mica_device *device = open_xla(",resident=true");
  if (!device) return;
  mica_error error = {0};
  mica_executable *executable = tripled(device, real_four, 1);
  mica_tensor *in = four_numbers(1, 2, 3, 4), *out = NULL, *host = four_numbers(0, 0, 0, 0);
  /* A host tensor that is given is filled. */
  CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &host, 1, &error), &error);
  CHECK(!on_device(host));
  CHECK_NEAR(((const float *)mica_tensor_data(host))[3], 12, 0);
  /* One on the device is its own next value, again and again. */
  CHECK_OK_ERROR(mica_executable_run(executable, &host, 1, &out, 1, &error), &error);
  for (int i = 0; i < 3; i++)
    CHECK_OK_ERROR(mica_executable_run(executable, &out, 1, &out, 1, &error), &error);
  CHECK(on_device(out));
  CHECK_NEAR(((const float *)mica_tensor_data(out))[0], 243, 0);
  /* A second reference: the input is not consumed. */
  mica_tensor *second = mica_tensor_retain(out), *next = NULL;
  CHECK_OK_ERROR(mica_executable_run(executable, &out, 1, &next, 1, &error), &error);
  CHECK_NEAR(((const float *)mica_tensor_data(second))[1], 486, 0);
  CHECK_NEAR(((const float *)mica_tensor_data(next))[1], 1458, 0);
  mica_tensor_release(second);
  /* Writing moves a tensor to the host. */
  CHECK_OK(mica_tensor_write(next, (float[]){1, 1, 1, 1}, 16, &error));
  CHECK(!on_device(next));
  mica_tensor_release(next);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_tensor_release(host);
  mica_executable_release(executable);
  mica_device_release(device);
}

static void count_release(void *context) { ++*(_Atomic int *)context; }

TEST(uploads_and_parts) {
  mica_device *device = open_xla(",resident=true");
  if (!device) return;
  enum { COUNT = 1 << 16 };
  mica_error error = {0};
  static _Alignas(64) float values[COUNT];
  for (int i = 0; i < COUNT; i++) values[i] = (float)i;
  mica_type type = {MICA_F32, {.rank = 2, .dim = {256, 256}}};
  _Atomic int released = 0;
  mica_tensor *host = NULL, *there = NULL, *again = NULL;
  CHECK_OK(mica_tensor_wrap(type, values, count_release, &released, &host, &error));
  CHECK_OK_ERROR(mica_tensor_to_device(device, host, &there, &error), &error);
  mica_tensor_release(host);
  CHECK_OK_ERROR(mica_tensor_wait(there, &error), &error);
  CHECK(mica_tensor_is_ready(there) && on_device(there));
  CHECK_OK_ERROR(mica_tensor_to_device(device, there, &again, &error), &error);
  CHECK(again == there);
  mica_tensor_release(again);
  float part[4];
  CHECK_OK_ERROR(mica_tensor_read_part(there, 4 * 1000, part, sizeof part, &error), &error);
  CHECK_NEAR(part[3], 1003, 0);
  CHECK_OK_ERROR(mica_tensor_read_part(there, sizeof values - 4, part, 4, &error), &error);
  CHECK_NEAR(part[0], COUNT - 1, 0);
  CHECK_EQ_INT(mica_tensor_read_part(there, sizeof values - 4, part, 8, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "8 bytes from 262140 on are not in a tensor of 262144");
  mica_tensor_release(there);
  mica_device_release(device);
  CHECK_EQ_INT(released, 1);
}

/* A call comes back while the device computes; the wait is for the rest. */
TEST(calls_do_not_wait) {
  mica_device *device = open_xla(",resident=true");
  if (!device) return;
  mica_error error = {0};
  mica_type type = {MICA_F32, {.rank = 2, .dim = {1024, 1024}}};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, type), y = x;
  for (int i = 0; i < 6; i++) y = mica_tanh(mica_matmul(y, x));
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
  mica_graph_destroy(graph);
  mica_tensor *host = mica_tensor_from(MICA_F32, type.shape, NULL), *in = NULL, *out = NULL;
  CHECK_OK_ERROR(mica_tensor_to_device(device, host, &in, &error), &error);
  CHECK_OK_ERROR(mica_tensor_wait(in, &error), &error);
  bool was_pending = false;
  for (int i = 0; i < 5 && !was_pending; i++) {
    CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
    was_pending = !mica_tensor_is_ready(out);
    CHECK_OK_ERROR(mica_tensor_wait(out, &error), &error);
    CHECK(mica_tensor_is_ready(out));
  }
  CHECK(was_pending);
  mica_tensor_release(host);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_device_release(device);
}

static void guarded(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)user;
  mica_assert(mica_reduce_and(mica_greater(in[0], 0), MICA_ALL), "all of them are positive");
  out[0] = mica_sqrt(in[0]);
  (void)graph;
}

/* What fails on the device is reported by the call or by whoever waits, and the next call works. */
TEST(a_late_failure_surfaces) {
  mica_device *device = open_xla(",resident=true");
  if (!device) return;
  mica_error error = {0};
  mica_jit *jit = mica_jit_create(.device = device, .build = guarded, .inputs = 1, .outputs = 1);
  mica_tensor *bad = four_numbers(1, -2, 3, 4), *good = four_numbers(1, 4, 9, 16), *out = NULL;
  mica_status status = mica_jit_call(jit, &bad, 1, &out, 1, &error);
  if (status == MICA_OK) status = mica_tensor_wait(out, &error);
  CHECK(status != MICA_OK);
  CHECK_STR_CONTAINS(error.message, "all of them are positive");
  if (out) CHECK(mica_tensor_data(out) == NULL);
  CHECK_OK_ERROR(mica_jit_call(jit, &good, 1, &out, 1, &error), &error);
  CHECK_NEAR(((const float *)mica_tensor_data(out))[3], 4, 1e-6);
  mica_tensor_release(bad);
  mica_tensor_release(good);
  mica_tensor_release(out);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

/* Four threads share one executable and one variable that each call adds to. */
enum { THREADS = 4, THREAD_CALLS = 200 };
typedef struct {
  mica_executable *tripled;
  mica_jit *counting;
  float number;
  int wrong;
} worker;

static void *work(void *context) {
  worker *w = context;
  mica_error error = {0};
  float n = w->number;
  mica_tensor *in = four_numbers(n, n, n, n), *out = NULL, *sum = NULL;
  mica_tensor *one = four_numbers(1, 1, 1, 1);
  for (int i = 0; i < THREAD_CALLS; i++) {
    float got[4] = {0};
    if (mica_executable_run(w->tripled, &in, 1, &out, 1, &error) ||
        mica_jit_call(w->counting, &one, 1, &sum, 1, &error) ||
        mica_tensor_read(out, got, sizeof got, &error) || got[2] != 3 * n)
      w->wrong++;
  }
  mica_tensor_release(in);
  mica_tensor_release(one);
  mica_tensor_release(out);
  mica_tensor_release(sum);
  return NULL;
}

TEST(threads_share_an_executable) {
  for (int resident = 0; resident < 2; resident++) {
    mica_device *device = open_xla(resident ? ",resident=true" : "");
    if (!device) return;
    mica_tensor *start = four_numbers(0, 0, 0, 0);
    mica_variable *variable = mica_variable_create("count", start);
    mica_tensor_release(start);
    mica_executable *executable = tripled(device, real_four, 0);
    mica_jit *jit = mica_jit_create(.device = device, .build = count_up, .user = variable,
                                    .inputs = 1, .outputs = 1);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
      workers[i] = (worker){executable, jit, (float)i, 0};
      CHECK_EQ_INT(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
      pthread_join(threads[i], NULL);
      CHECK_EQ_INT(workers[i].wrong, 0);
    }
    mica_tensor *value = mica_variable_snapshot(variable);
    CHECK_NEAR(((const float *)mica_tensor_data(value))[1], THREADS * THREAD_CALLS, 0);
    mica_tensor_release(value);
    mica_jit_destroy(jit);
    mica_executable_release(executable);
    mica_variable_release(variable);
    mica_device_release(device);
  }
}

TEST(a_program_tells_about_itself) {
  mica_device *device = open_xla("");
  if (!device) return;
  mica_error error = {0};
  mica_executable *executable = tripled(device, real_four, 0);
  mica_xla_cost cost = {.struct_size = sizeof cost};
  CHECK_OK_ERROR(mica_xla_executable_cost(executable, &cost, &error), &error);
  CHECK_EQ_INT(cost.arguments, 16);
  CHECK_EQ_INT(cost.outputs, 16);
  char text[4096];
  size_t length = 0;
  CHECK_OK_ERROR(mica_xla_optimized_format(executable, text, sizeof text, &length, &error), &error);
  CHECK_EQ_INT(length, strlen(text));
  CHECK_STR_CONTAINS(text, "f32[4] parameter()");
  CHECK_STR_CONTAINS(text, "f32[4] multiply(%");
  mica_xla_memory memory = {.struct_size = sizeof memory};
  CHECK_EQ_INT(mica_xla_device_memory(device, &memory, &error), MICA_UNSUPPORTED);
  mica_executable_release(executable);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(variables_stay_on_the_device), TEST_CASE(outputs_and_donation),
          TEST_CASE(uploads_and_parts), TEST_CASE(calls_do_not_wait),
          TEST_CASE(a_late_failure_surfaces), TEST_CASE(threads_share_an_executable),
          TEST_CASE(a_program_tells_about_itself))
