/* SPDX-License-Identifier: Apache-2.0 */
/* What only a device with memory of its own shows: $MICA_TEST_BACKEND names one (xla:cuda), else the test is
 * skipped. Memory that runs out, the device's counts, profiles, programs from the disk, calls that do not wait. */
#include <stdlib.h>

#include "core/tensor.h"
#include "mica/xla.h"
#include "unit/backend/xla/real.h"

static mica_device *open_accelerator(const char *options) {
  const char *backend = getenv("MICA_TEST_BACKEND");
  char name[1400];
  mica_error error = {0};
  if (!backend || strncmp(backend, "xla:", 4) || !strncmp(backend, "xla:cpu", 7)) {
    CHECK_SKIP("$MICA_TEST_BACKEND names no accelerator");
    return NULL;
  }
  snprintf(name, sizeof name, "%s%s", backend, options);
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  if (!device) CHECK_FAIL("%s", error.message);
  return device;
}

static mica_executable *squared(mica_device *device, int64_t n, bool products) {
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, {.rank = 2, .dim = {n, n}}}), y = x;
  for (int i = 0; i < 8 && products; i++) y = mica_tanh(mica_matmul(y, x));
  if (!products) y = mica_add(mica_mul(x, x), 1);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
  mica_graph_destroy(graph);
  return executable;
}

/* f32 [n, n] of ones, made on the device. */
static mica_tensor *ones(mica_device *device, int64_t n, mica_error *error) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value y = mica_full(graph, (mica_type){MICA_F32, {.rank = 2, .dim = {n, n}}}, 1);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  mica_tensor *out = NULL;
  if (mica_compile(device, graph, 0, &executable, error) == MICA_OK &&
      mica_executable_run(executable, NULL, 0, &out, 1, error) == MICA_OK &&
      mica_tensor_wait(out, error) != MICA_OK) {
    mica_tensor_release(out);
    out = NULL;
  }
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  return out;
}

/* Tensors of 4 GiB until there is no room. */
TEST(memory_runs_out) {
  enum { MOST = 128, SIDE = 32768 };
  mica_device *device = open_accelerator("");
  if (!device) return;
  mica_error error = {0};
  mica_tensor *held[MOST] = {NULL};
  int count = 0;
  while (count < MOST && (held[count] = ones(device, SIDE, &error))) count++;
  printf("%d tensors of 4 GiB, then: %s\n", count, error.message);
  CHECK(count < MOST);
  CHECK_EQ_INT(error.status, MICA_OUT_OF_MEMORY);
  CHECK_STR_CONTAINS(error.message, "no memory on the device for ");
  CHECK_STR_CONTAINS(error.message, "4294967296");
  CHECK_STR_CONTAINS(error.message, "are in use");
  mica_xla_memory memory = {.struct_size = sizeof memory};
  error = (mica_error){0};
  CHECK_OK_ERROR(mica_xla_device_memory(device, &memory, &error), &error);
  printf("in use %lld, peak %lld, limit %lld\n", (long long)memory.in_use, (long long)memory.peak,
         (long long)memory.limit);
  CHECK(memory.in_use >= (int64_t)count << 32 && memory.limit >= memory.in_use);
  /* The next call works, first a small one, then one in the room that is given back. */
  mica_tensor *small = ones(device, 64, &error);
  CHECK_OK_ERROR(error.status, &error);
  mica_tensor_release(small);
  if (count > 0) mica_tensor_release(held[--count]);
  mica_tensor *again = ones(device, SIDE, &error);
  CHECK_OK_ERROR(error.status, &error);
  mica_tensor_release(again);
  while (count > 0) mica_tensor_release(held[--count]);
  mica_device_release(device);
}

TEST(counts_and_profile) {
  mica_device *device = open_accelerator("");
  if (!device) return;
  mica_error error = {0};
  mica_executable *executable = squared(device, 1024, true);
  mica_xla_cost cost = {.struct_size = sizeof cost};
  CHECK_OK_ERROR(mica_xla_executable_cost(executable, &cost, &error), &error);
  printf("flops %g, bytes %g, temporary %lld, peak %lld\n", cost.flops, cost.bytes_accessed,
         (long long)cost.temporary, (long long)cost.peak);
  /* XLA does not count what a library computes: all eight products or none of them. */
  CHECK(cost.flops == -1 || cost.flops >= 0);
  CHECK(cost.arguments == 4 << 20 && cost.outputs == 4 << 20);
  static char text[1 << 20];
  CHECK_OK_ERROR(mica_xla_optimized_format(executable, text, sizeof text, NULL, &error), &error);
  CHECK_STR_CONTAINS(text, "f32[1024, 1024]");
  mica_tensor *in = ones(device, 1024, &error), *out = NULL;
  mica_status begun = mica_xla_profile_begin(device, &error);
  CHECK_OK_ERROR(begun, &error);
  for (int i = 0; i < 3; i++)
    CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
  CHECK_OK_ERROR(mica_tensor_wait(out, &error), &error);
  const char *path = check_temporary_path("accelerator.json");
  CHECK_OK_ERROR(mica_xla_profile_end(device, path, &error), &error);
  FILE *stream = fopen(path, "rb");
  size_t size = stream ? fread(text, 1, sizeof text - 1, stream) : 0;
  if (stream) fclose(stream);
  text[size] = '\0';
  printf("a profile of %zu bytes: %.300s\n", size, text);
  /* Without CUPTI the device tells nothing: then the trace says so. */
  if (strstr(text, "\"otherData\":{\"events\":0,"))
    CHECK_SKIP(strstr(text, "\"remarks\":"));
  else
    CHECK_STR_CONTAINS(text, "\"ph\":\"X\"");
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_device_release(device);
}

TEST(programs_come_from_the_disk) {
  char options[1300], command[1300];
  snprintf(options, sizeof options, ",cache=%s", check_temporary_path("accelerator_cache"));
  snprintf(command, sizeof command, "rm -rf '%s'", check_temporary_path("accelerator_cache"));
  CHECK_EQ_INT(system(command), 0);
  for (int i = 0; i < 2; i++) {
    mica_device *device = open_accelerator(options);
    if (!device) return;
    mica_error error = {0};
    mica_executable *executable = squared(device, 512, true);
    mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(512, 512), NULL), *out = NULL;
    CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
    CHECK(mica_tensor_data(out) != NULL);
    mica_xla_counts counts = {.struct_size = sizeof counts};
    CHECK_OK(mica_xla_device_counts(device, &counts, &error));
    CHECK_EQ_INT(counts.loaded, i);
    mica_tensor_release(in);
    mica_tensor_release(out);
    mica_executable_release(executable);
    mica_device_release(device);
  }
}

TEST(a_call_does_not_wait) {
  mica_device *device = open_accelerator("");
  if (!device) return;
  mica_error error = {0};
  mica_executable *executable = squared(device, 8192, true);
  mica_tensor *in = ones(device, 8192, &error), *out = NULL;
  bool pending = false;
  for (int i = 0; i < 3; i++) {
    CHECK_OK_ERROR(mica_executable_run(executable, &in, 1, &out, 1, &error), &error);
    pending = pending || !mica_tensor_is_ready(out);
    CHECK_OK_ERROR(mica_tensor_wait(out, &error), &error);
  }
  CHECK(pending);
  float part[2];
  CHECK_OK_ERROR(mica_tensor_read_part(out, 4 * 8192, part, sizeof part, &error), &error);
  CHECK_NEAR(part[1], 1, 1e-6); /* tanh of 8192 */
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(memory_runs_out), TEST_CASE(counts_and_profile),
          TEST_CASE(programs_come_from_the_disk), TEST_CASE(a_call_does_not_wait))
