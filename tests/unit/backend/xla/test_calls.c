/* SPDX-License-Identifier: Apache-2.0 */
/* How often a call of a compiled function calls the plugin, once it has run before: limits that must not creep up.
 * On the fake plugin always, on a real CPU plugin where there is one; with values on the host and on the device. */
#include <stdlib.h>

#include "mica/xla.h"
#include "unit/backend/xla/counted.h"
#include "unit/backend/xla/fake.h"
#include "unit/backend/xla/real.h"

enum { CALLS = 20, VARIABLES = 3 };

static mica_device *open_fake(size_t outputs, bool accelerator, const char *options) {
  char path[1100], name[1300];
  mica_error error = {0};
  fake_control *control = fake_open(path);
  if (!control) return NULL;
  control->outputs = outputs, control->shows_memory = true;
  control->accelerator = accelerator;
  snprintf(name, sizeof name, "xla:%s,cache=off%s", path, options);
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  CHECK_OK_ERROR(error.status, &error);
  return device;
}

static mica_device *open_counted(bool fake, size_t outputs, const char *options) {
  mica_device *device = fake ? open_fake(outputs, false, options) : open_xla(options);
  if (device) counted_begin(device);
  return device;
}

static void close_counted(mica_device *device) {
  counted_end(device);
  mica_device_release(device);
}

static void ten_operators(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  mica_value x = in[0], a = mica_tanh(mica_add(mica_mul(x, 0.5), 0.25));
  mica_value b = mica_sqrt(mica_add(mica_mul(a, x), 4));
  out[0] = mica_sub(mica_div(b, mica_exp(mica_neg(a))), x);
}

static void expect_at_most(const char *what, bool fake, double most) {
  char title[100];
  snprintf(title, sizeof title, "%s, %s plugin", what, fake ? "fake" : "real");
  counted_print(title, CALLS);
  CHECK((double)counted_all() <= most * CALLS);
}

/* Where values lie on the host: started, awaited, the result found and copied, its buffer destroyed. */
TEST(ten_operators_on_the_host) {
  for (int fake = 1; fake >= 0; fake--) {
    mica_device *device = open_counted(fake, 1, "");
    if (!device) return;
    mica_error error = {0};
    mica_jit *jit =
        mica_jit_create(.device = device, .build = ten_operators, .inputs = 1, .outputs = 1);
    mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(16), NULL), *out = NULL;
    for (int i = 0; i < 2; i++) CHECK_OK_ERROR(mica_jit_call(jit, &in, 1, &out, 1, &error), &error);
    counted_reset();
    for (int i = 0; i < CALLS; i++) CHECK_OK(mica_jit_call(jit, &in, 1, &out, 1, &error));
    expect_at_most("ten operators on the host", fake, 5);
    CHECK_EQ_INT(counted(PJRT_LOADED_EXECUTE), CALLS);
    mica_tensor_release(in);
    mica_tensor_release(out);
    mica_jit_destroy(jit);
    close_counted(device);
  }
}

/* On the device: started, and the former result's buffer destroyed; who waits or reads has three calls more. */
TEST(ten_operators_on_the_device) {
  for (int fake = 1; fake >= 0; fake--) {
    mica_device *device = open_counted(fake, 1, ",resident=true");
    if (!device) return;
    mica_error error = {0};
    mica_jit *jit =
        mica_jit_create(.device = device, .build = ten_operators, .inputs = 1, .outputs = 1);
    mica_tensor *host = mica_tensor_from(MICA_F32, MICA_DIMS(16), NULL), *in = NULL, *out = NULL;
    mica_tensor *result = mica_tensor_from(MICA_F32, MICA_DIMS(16), NULL);
    CHECK_OK(mica_tensor_to_device(device, host, &in, &error));
    CHECK_OK_ERROR(mica_jit_call(jit, &in, 1, &out, 1, &error), &error);
    counted_reset();
    for (int i = 0; i < CALLS; i++) CHECK_OK(mica_jit_call(jit, &in, 1, &out, 1, &error));
    expect_at_most("ten operators on the device", fake, 2);
    counted_reset();
    for (int i = 0; i < CALLS; i++) CHECK_OK(mica_tensor_wait(out, &error));
    expect_at_most("a wait", fake, 3);
    counted_reset();
    float values[16];
    for (int i = 0; i < CALLS; i++) CHECK_OK(mica_tensor_read(out, values, sizeof values, &error));
    expect_at_most("a read", fake, 3);
    CHECK_OK(mica_tensor_read_part(out, 8, values, 4, &error));
    counted_reset();
    for (int i = 0; i < CALLS; i++) CHECK_OK(mica_tensor_read_part(out, 8, values, 4, &error));
    expect_at_most("a read of a part", fake, 3);
    /* An argument comes from the host, the result goes there: nobody waits for the upload. */
    counted_reset();
    for (int i = 0; i < CALLS; i++) CHECK_OK(mica_jit_call(jit, &host, 1, &result, 1, &error));
    expect_at_most("from the host and back", fake, 8);
    CHECK_EQ_INT(counted(PJRT_EVENT_AWAIT), CALLS);
    mica_tensor_release(host);
    mica_tensor_release(in);
    mica_tensor_release(out);
    mica_tensor_release(result);
    mica_jit_destroy(jit);
    close_counted(device);
  }
}

static void descend(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_variable **variables = user;
  out[0] = mica_reduce_sum(in[0], MICA_ALL);
  for (int i = 0; i < VARIABLES; i++) {
    mica_value next = mica_add(mica_variable_read(graph, variables[i]), mica_mul(in[0], i + 1));
    mica_variable_assign(variables[i], next);
    out[0] = mica_add(out[0], mica_reduce_sum(next, MICA_ALL));
  }
}

static void add_to_one(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_variable **variables = user;
  mica_value next = mica_add(mica_variable_read(graph, variables[0]), in[0]);
  mica_variable_assign(variables[0], next);
  out[0] = mica_neg(next);
}

/* A step that updates variables where they lie: two calls for each on the host, one on the device; no upload. */
TEST(variables) {
  for (int resident = 0; resident < 2; resident++) {
    mica_device *device = open_counted(false, 0, resident ? ",resident=true" : "");
    if (!device) return;
    mica_error error = {0};
    mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(64), NULL), *out = NULL;
    mica_variable *variables[VARIABLES];
    for (int i = 0; i < VARIABLES; i++) variables[i] = mica_variable_create("w", in);
    mica_jit *jit = mica_jit_create(.device = device, .build = descend, .user = variables,
                                    .inputs = 1, .outputs = 1);
    float ones[64];
    for (int i = 0; i < 64; i++) ones[i] = 1;
    mica_tensor *there = NULL, *one = mica_tensor_from(MICA_F32, MICA_DIMS(64), ones);
    CHECK_OK(mica_tensor_to_device(device, one, &there, &error));
    mica_tensor_release(one);
    for (int i = 0; i < 2; i++)
      CHECK_OK_ERROR(mica_jit_call(jit, &there, 1, &out, 1, &error), &error);
    counted_reset();
    for (int i = 0; i < CALLS; i++) CHECK_OK(mica_jit_call(jit, &there, 1, &out, 1, &error));
    if (resident)
      expect_at_most("variables on the device", false, 2 + VARIABLES);
    else
      expect_at_most("variables on the host", false, 5 + 2 * VARIABLES);
    CHECK_EQ_INT(counted(PJRT_BUFFER_FROM_HOST), 0);
    for (int i = 0; i < VARIABLES; i++) {
      mica_tensor *value = mica_variable_snapshot(variables[i]);
      CHECK_NEAR(((const float *)mica_tensor_data(value))[63], (CALLS + 2) * (i + 1), 0);
      mica_tensor_release(value);
    }
    mica_tensor_release(in);
    mica_tensor_release(there);
    mica_tensor_release(out);
    mica_jit_destroy(jit);
    for (int i = 0; i < VARIABLES; i++) mica_variable_release(variables[i]);
    close_counted(device);
  }
}

/* A call that was given a variable's memory and put the value elsewhere has used up the buffer: the next one makes
 * another. */
TEST(donated_and_not_taken) {
  char path[1100];
  mica_device *device = open_fake(2, false, "");
  if (!device) return;
  fake_control *control = fake_library(path);
  mica_error error = {0};
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(16), NULL), *out = NULL;
  mica_variable *variables[VARIABLES] = {mica_variable_create("w", in)};
  mica_jit *jit = mica_jit_create(.device = device, .build = add_to_one, .user = variables,
                                  .inputs = 1, .outputs = 1);
  CHECK_OK_ERROR(mica_jit_call(jit, &in, 1, &out, 1, &error), &error);
  mica_tensor *value = mica_variable_snapshot(variables[0]);
  memcpy(&control->where, &(const void *){mica_tensor_data(value)}, sizeof control->where);
  mica_tensor_release(value);
  int64_t *given = &control->host_semantics[PJRT_HOST_MUTABLE_ZERO_COPY];
  for (int i = 0; i < 2; i++) CHECK_OK(mica_jit_call(jit, &in, 1, &out, 1, &error));
  int64_t before = *given;
  CHECK_OK(mica_jit_call(jit, &in, 1, &out, 1, &error));
  CHECK_EQ_INT(*given, before); /* what became of the one is the next */
  control->shows_memory = false;
  CHECK_OK(mica_jit_call(jit, &in, 1, &out, 1, &error));
  CHECK_EQ_INT(*given, before);
  CHECK_OK(mica_jit_call(jit, &in, 1, &out, 1, &error));
  CHECK_EQ_INT(*given, before + 1);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_jit_destroy(jit);
  mica_variable_release(variables[0]);
  mica_device_release(device);
  CHECK_EQ_INT(control->buffers, 0);
}

/* Who waits for an accelerator asks before it sleeps, for a while. */
TEST(waiting_for_an_accelerator) {
  char path[1100];
  mica_device *device = open_fake(1, true, "");
  if (!device) return;
  counted_begin(device);
  mica_error error = {0};
  mica_tensor *host = mica_tensor_from(MICA_F32, MICA_DIMS(16), NULL), *there = NULL;
  CHECK_OK(mica_tensor_to_device(device, host, &there, &error));
  counted_reset();
  CHECK_OK(mica_tensor_wait(there, &error));
  CHECK_EQ_INT(counted_all(), 4);
  CHECK_EQ_INT(counted(PJRT_EVENT_IS_READY), 1);
  fake_library(path)->never_ready = true;
  CHECK_OK(mica_tensor_wait(there, &error));
  CHECK(counted(PJRT_EVENT_IS_READY) > 2);
  CHECK_EQ_INT(counted(PJRT_EVENT_AWAIT), 2);
  mica_tensor_release(host);
  mica_tensor_release(there);
  close_counted(device);
}

TEST_MAIN(TEST_CASE(waiting_for_an_accelerator), TEST_CASE(donated_and_not_taken),
          TEST_CASE(ten_operators_on_the_host), TEST_CASE(ten_operators_on_the_device),
          TEST_CASE(variables))
