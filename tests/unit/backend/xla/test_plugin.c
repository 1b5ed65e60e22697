/* SPDX-License-Identifier: Apache-2.0 */
/* The XLA backend on a real CPU plugin, where there is one (docs/xla.md says how to get it): variables that
 * are updated in place, large constants, donated inputs, errors of the compiler, several devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mica/custom.h"
#include "unit/backend/xla/real.h"

static void count_up(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_variable *variable = user;
  mica_value next = mica_add(mica_variable_read(graph, variable), in[0]);
  mica_variable_assign(variable, next);
  out[0] = mica_reduce_sum(next, MICA_ALL);
}

TEST(variables_stay_where_they_are) {
  mica_device *device = open_xla("");
  if (!device) return;
  mica_error error = {0};
  mica_tensor *start = mica_tensor_from(MICA_F32, real_four.shape, (float[]){0, 0, 0, 0});
  mica_variable *variable = mica_variable_create("count", start);
  mica_tensor_release(start);
  mica_jit *jit = mica_jit_create(.device = device, .build = count_up, .user = variable,
                                  .inputs = 1, .outputs = 1);
  mica_tensor *in = four_numbers(1, 2, 3, 4), *out = NULL;
  const void *memory = NULL;
  for (int i = 1; i <= 5; i++) {
    if (!CHECK_EQ_INT(mica_jit_call(jit, &in, 1, &out, 1, &error), MICA_OK))
      CHECK_EQ_STR(error.message, "");
    mica_tensor *value = mica_variable_snapshot(variable);
    const float *at = mica_tensor_data(value);
    CHECK_NEAR(at[3], 4 * i, 0);
    CHECK_NEAR(*(const float *)mica_tensor_data(out), 10 * i, 0);
    if (i > 1) CHECK(at == memory);
    memory = at;
    mica_tensor_release(value);
  }
  /* A snapshot that is kept: the next value goes elsewhere. */
  mica_tensor *kept = mica_variable_snapshot(variable);
  CHECK_EQ_INT(mica_jit_call(jit, &in, 1, &out, 1, &error), MICA_OK);
  CHECK_NEAR(((const float *)mica_tensor_data(kept))[0], 5, 0);
  mica_tensor_release(kept);
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_jit_destroy(jit);
  mica_variable_release(variable);
  mica_device_release(device);
}

TEST(donated_input_is_overwritten) {
  mica_device *device = open_xla("");
  if (!device) return;
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, real_four), y = mica_mul(x, 3);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_EQ_INT(mica_compile(device, graph, 1, &executable, &error), MICA_OK);
  mica_tensor *in = four_numbers(1, 2, 3, 4), *out = in;
  CHECK_EQ_INT(mica_executable_run(executable, &in, 1, &out, 1, &error), MICA_OK);
  CHECK_NEAR(((const float *)mica_tensor_data(in))[3], 12, 0);
  mica_tensor_release(in);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

TEST(large_constants_are_arguments) {
  mica_device *device = open_xla("");
  if (!device) return;
  enum { COUNT = 40000 };
  mica_error error = {0};
  float *values = malloc(COUNT * sizeof *values);
  for (int i = 0; i < COUNT; i++) values[i] = (float)i;
  mica_type type = {MICA_F32, {.rank = 1, .dim = {COUNT}}};
  mica_tensor *table = mica_tensor_from(MICA_F32, type.shape, values);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, type);
  mica_value y = mica_reduce_max(mica_add(x, mica_constant(graph, table)), MICA_ALL);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_EQ_INT(mica_compile(device, graph, 0, &executable, &error), MICA_OK);
  CHECK(mica_executable_format(executable, NULL, 0) < 2000);
  for (int i = 0; i < 2; i++) {
    mica_tensor *out = NULL;
    CHECK_EQ_INT(mica_executable_run(executable, &table, 1, &out, 1, &error), MICA_OK);
    CHECK_NEAR(*(const float *)mica_tensor_data(out), 2 * (COUNT - 1), 0);
    mica_tensor_release(out);
  }
  free(values);
  mica_tensor_release(table);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

TEST(each_device_computes) {
  for (int i = 0; i < 3; i++) {
    char options[64];
    snprintf(options, sizeof options, ",devices=3,device=%d", i);
    mica_device *device = open_xla(options);
    if (!device) return;
    snprintf(options, sizeof options, "device %d of 3", i);
    CHECK_STR_CONTAINS(mica_device_description(device), options);
    mica_error error = {0};
    mica_graph *graph = mica_graph_create(NULL);
    mica_value x = mica_parameter(graph, real_four), y = mica_add(x, 1);
    mica_graph_set_outputs(graph, &y, 1);
    mica_executable *executable = NULL;
    CHECK_EQ_INT(mica_compile(device, graph, 0, &executable, &error), MICA_OK);
    mica_tensor *in = four_numbers(1, 2, 3, 4), *out = NULL;
    if (!CHECK_EQ_INT(mica_executable_run(executable, &in, 1, &out, 1, &error), MICA_OK))
      CHECK_EQ_STR(error.message, "");
    else
      CHECK_NEAR(((const float *)mica_tensor_data(out))[2], 4, 0);
    mica_tensor_release(in);
    mica_tensor_release(out);
    mica_executable_release(executable);
    mica_graph_destroy(graph);
    mica_device_release(device);
  }
}

/* Assertions and marked values are calls of the host from inside of the program. */
static char lines[1024];
static void log_line(void *user, const char *text) {
  (void)user;
  snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s|", text);
}

TEST(the_host_is_called) {
  mica_error error = {0};
  mica_device *device = open_xla("");
  if (!device) return;
  mica_device_release(device);
  device = mica_device_open(
      &(mica_device_options){
          .struct_size = sizeof(mica_device_options), .backend = "xla:cpu", .log = log_line},
      &error);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, real_four);
  mica_value fine = mica_assert(mica_less(mica_mark(x, "x"), 10), "x stays below 10");
  mica_value y = mica_select(fine, mica_neg(x), x);
  mica_graph_set_outputs(graph, &y, 1);
  mica_executable *executable = NULL;
  CHECK_EQ_INT(mica_compile(device, graph, 0, &executable, &error), MICA_OK);
  for (int i = 0; i < 3; i++) {
    mica_tensor *in = four_numbers(1, 2, 3, i == 1 ? 11 : 4), *out = NULL;
    error = (mica_error){0};
    mica_status status = mica_executable_run(executable, &in, 1, &out, 1, &error);
    CHECK_EQ_INT(status == MICA_OK, i != 1);
    if (i == 1) CHECK_STR_CONTAINS(error.message, "x stays below 10");
    if (i != 1) CHECK_NEAR(((const float *)mica_tensor_data(out))[3], -4, 0);
    mica_tensor_release(in);
    mica_tensor_release(out);
  }
  CHECK_STR_CONTAINS(lines, "x: ");
  CHECK_STR_CONTAINS(lines, "11");
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

TEST(many_inputs_and_outputs) {
  enum { MANY = 40 };
  mica_device *device = open_xla("");
  if (!device) return;
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x[MANY], y[MANY];
  mica_tensor *in[MANY], *out[MANY] = {NULL};
  for (int i = 0; i < MANY; i++) {
    x[i] = mica_parameter(graph, real_four);
    in[i] = four_numbers((float)i, 0, 0, 1);
  }
  for (int i = 0; i < MANY; i++) y[i] = i == 7 ? x[7] : mica_add(x[i], x[MANY - 1 - i]);
  mica_graph_set_outputs(graph, y, MANY);
  mica_executable *executable = NULL;
  CHECK_EQ_INT(mica_compile(device, graph, 0, &executable, &error), MICA_OK);
  CHECK_EQ_INT(mica_executable_run(executable, in, MANY, out, MANY, &error), MICA_OK);
  for (int i = 0; i < MANY && out[i]; i++)
    CHECK_NEAR(((const float *)mica_tensor_data(out[i]))[0], i == 7 ? 7 : MANY - 1, 0);
  for (int i = 0; i < MANY; i++) mica_tensor_release(in[i]), mica_tensor_release(out[i]);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(the_host_is_called), TEST_CASE(many_inputs_and_outputs),
          TEST_CASE(variables_stay_where_they_are), TEST_CASE(donated_input_is_overwritten),
          TEST_CASE(large_constants_are_arguments), TEST_CASE(each_device_computes))
