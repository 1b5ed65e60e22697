/* SPDX-License-Identifier: Apache-2.0 */
/* test_jit.c: when a jit traces and when it does not: keys, limit, least recent use, variants, failures,
 * traces without a callback, and values that outlive their trace. */
#include "unit/backend/support.h"

#include <stdio.h>

/* x * factor; counts traces. */
typedef struct {
  int traces;
  double factor;
  bool fail;
  mica_jit *self;     /* call it from inside of the trace */
  mica_status inside; /* what that gave */
  mica_value kept;    /* a value of an earlier trace, taken as an operand */
  bool use_kept;
} scaling;

static void build_scaling(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  scaling *work = user;
  work->traces++;
  if (work->self != NULL) {
    mica_tensor *x = floats(2, (float[]){1, 2}), *y = NULL;
    work->inside = mica_jit_call(work->self, &x, 1, &y, 1, NULL);
    mica_tensor_release(x);
    mica_tensor_release(y);
  }
  mica_scope_push(graph, "scaling");
  out[0] = mica_mul(work->use_kept ? work->kept : in[0], work->factor);
  if (work->fail) mica_fail(graph, MICA_INVALID, "no scaling today");
  mica_scope_pop(graph, "scaling");
  work->kept = in[0];
}

static double call_scaling(mica_jit *jit, int64_t size, mica_error *error) {
  float values[64] = {3, 4};
  mica_tensor *x = floats(size, values), *y = NULL;
  mica_status status = mica_jit_call(jit, &x, 1, &y, 1, error);
  double result = status == MICA_OK ? first_of(y) : -(double)status;
  mica_tensor_release(x);
  mica_tensor_release(y);
  return result;
}

TEST(traces_once_for_each_type) {
  mica_device *device = open_device();
  scaling work = {.factor = 2};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work);
  CHECK_EQ_INT(mica_jit_cache_count(jit), 0);
  for (int round = 0; round < 3; round++)
    for (int64_t size = 1; size <= 4; size++) CHECK_NEAR(call_scaling(jit, size, NULL), 6, 0);
  CHECK_EQ_INT(work.traces, 4);
  CHECK_EQ_INT(mica_jit_cache_count(jit), 4);
  /* The same sizes in another shape or dtype are other keys. */
  mica_tensor *x = mica_tensor_from(MICA_F32, MICA_DIMS(2, 2), (float[]){1, 2, 3, 4}), *y = NULL;
  CHECK_OK(mica_jit_call(jit, &x, 1, &y, 1, NULL));
  mica_tensor_release(x);
  mica_tensor_release(y);
  x = mica_tensor_from(MICA_F64, MICA_DIMS(4), (double[]){1, 2, 3, 4}), y = NULL;
  CHECK_OK(mica_jit_call(jit, &x, 1, &y, 1, NULL));
  CHECK_EQ_INT(mica_tensor_type(y).dtype, MICA_F64);
  mica_tensor_release(x);
  mica_tensor_release(y);
  CHECK_EQ_INT(work.traces, 6);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST(least_recently_used_goes_first) {
  mica_device *device = open_device();
  scaling work = {.factor = 2};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work,
                                  .cache_limit = 3);
  for (int64_t size = 1; size <= 3; size++) call_scaling(jit, size, NULL);
  call_scaling(jit, 1, NULL); /* now 2 is the oldest */
  call_scaling(jit, 4, NULL); /* and goes */
  CHECK_EQ_INT(mica_jit_cache_count(jit), 3);
  CHECK_EQ_INT(work.traces, 4);
  call_scaling(jit, 1, NULL);
  call_scaling(jit, 3, NULL);
  call_scaling(jit, 4, NULL);
  CHECK_EQ_INT(work.traces, 4);
  call_scaling(jit, 2, NULL); /* pushes out 1 */
  CHECK_EQ_INT(work.traces, 5);
  call_scaling(jit, 3, NULL);
  CHECK_EQ_INT(work.traces, 5);
  call_scaling(jit, 1, NULL);
  CHECK_EQ_INT(work.traces, 6);
  for (int64_t size = 1; size <= 64; size++) CHECK_NEAR(call_scaling(jit, size, NULL), 6, 0);
  CHECK_EQ_INT(mica_jit_cache_count(jit), 3);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

/* An executable that is pushed out while somebody holds it stays usable. */
TEST(pushed_out_executables_live_on) {
  mica_device *device = open_device();
  scaling work = {.factor = 5};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work,
                                  .cache_limit = 1);
  mica_executable *first = NULL;
  mica_type type = {MICA_F32, MICA_DIMS(2)};
  CHECK_OK(mica_jit_compile(jit, &type, 1, &first, NULL));
  call_scaling(jit, 3, NULL);
  mica_jit_destroy(jit);
  mica_device_release(device); /* the executable still holds it */
  mica_tensor *x = floats(2, (float[]){2, 3}), *y = NULL;
  CHECK_OK(mica_executable_run(first, &x, 1, &y, 1, NULL));
  CHECK_NEAR(first_of(y), 10, 0);
  mica_tensor_release(x);
  mica_tensor_release(y);
  mica_executable_release(first);
}

TEST(variants_are_part_of_the_key) {
  mica_device *device = open_device();
  scaling work = {.factor = 2};
  char name[] = "train";
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work,
                                  .variant = name);
  memset(name, 'x', 5); /* the jit has its own copy */
  CHECK_NEAR(call_scaling(jit, 1, NULL), 6, 0);
  work.factor = 10;
  CHECK_OK(mica_jit_set_variant(jit, "eval", NULL));
  CHECK_NEAR(call_scaling(jit, 1, NULL), 30, 0);
  CHECK_OK(mica_jit_set_variant(jit, "train", NULL));
  CHECK_NEAR(call_scaling(jit, 1, NULL), 6, 0); /* traced with the factor of that time */
  CHECK_OK(mica_jit_set_variant(jit, NULL, NULL));
  CHECK_NEAR(call_scaling(jit, 1, NULL), 30, 0);
  CHECK_EQ_INT(work.traces, 3);
  CHECK_EQ_INT(mica_jit_cache_count(jit), 3);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST(failed_traces_are_not_kept) {
  mica_device *device = open_device();
  scaling work = {.factor = 2, .fail = true};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work);
  mica_error error = {0};
  CHECK_NEAR(call_scaling(jit, 1, &error), -MICA_INVALID, 0);
  CHECK_STR_CONTAINS(error.message, "no scaling today");
  CHECK_EQ_INT(mica_jit_cache_count(jit), 0);
  work.fail = false;
  CHECK_NEAR(call_scaling(jit, 1, NULL), 6, 0);
  CHECK_EQ_INT(work.traces, 2);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

/* A value of an earlier trace has no meaning in a later one, though the graph's memory is the same. */
TEST(stale_values_are_errors) {
  mica_device *device = open_device();
  scaling work = {.factor = 2};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work);
  call_scaling(jit, 1, NULL);
  CHECK(!mica_is_valid(work.kept));
  CHECK_EQ_INT(mica_rank_of(work.kept), 0);
  CHECK_EQ_INT(mica_dim_of(work.kept, 0), 1);
  work.use_kept = true;
  mica_error error = {0};
  CHECK_NEAR(call_scaling(jit, 2, &error), -MICA_INVALID, 0);
  CHECK_STR_CONTAINS(error.message, "stale");
  CHECK_STR_CONTAINS(error.message, "mul");
  CHECK_STR_CONTAINS(error.message, "scaling");
  /* The graph belongs to the device, so the value stays harmless when the jit is gone. */
  mica_jit_destroy(jit);
  mica_tensor *out = NULL;
  CHECK_STATUS(mica_evaluate(device, work.kept, &out, NULL), MICA_INVALID);
  mica_device_release(device);
}

TEST(a_trace_may_not_call_itself) {
  mica_device *device = open_device();
  scaling work = {.factor = 2};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work);
  work.self = jit;
  CHECK_NEAR(call_scaling(jit, 2, NULL), 6, 0);
  CHECK_STATUS(work.inside, MICA_INVALID);
  CHECK_EQ_INT(work.traces, 1);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST(compiles_ahead_of_time) {
  mica_device *device = open_device();
  scaling work = {.factor = 2};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work);
  mica_type type = {MICA_F32, MICA_DIMS(2)};
  mica_executable *executable = NULL;
  CHECK_OK(mica_jit_compile(jit, &type, 1, NULL, NULL));
  CHECK_OK(mica_jit_compile(jit, &type, 1, &executable, NULL));
  CHECK_EQ_INT(work.traces, 1);
  CHECK_EQ_INT(mica_executable_input_count(executable), 1);
  CHECK_EQ_INT(mica_executable_output_count(executable), 1);
  CHECK(mica_type_equal(mica_executable_output_type(executable, 0), type));
  CHECK_EQ_INT(mica_executable_output_type(executable, 1).dtype, MICA_DTYPE_NONE);
  call_scaling(jit, 2, NULL);
  CHECK_EQ_INT(work.traces, 1);
  mica_executable_release(executable);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

/* ---- without a callback ----------------------------------------------------------------------- */

TEST(finds_and_finishes) {
  mica_device *device = open_device();
  mica_jit *jit = mica_jit_create(device, NULL, .inputs = 1, .outputs = 1);
  mica_type type = {MICA_F32, MICA_DIMS(2)};
  mica_executable *ready = NULL, *again = NULL;
  mica_graph *trace = NULL, *twin = NULL, *third = NULL;
  CHECK_OK(mica_jit_find(jit, &type, 1, &ready, &trace, NULL));
  CHECK(ready == NULL && trace != NULL);
  /* A second trace of the same key does not wait for the first one. */
  CHECK_OK(mica_jit_find(jit, &type, 1, &ready, &twin, NULL));
  CHECK(ready == NULL && twin != NULL && twin != trace);
  mica_value y = mica_add(mica_jit_parameter(trace, 0), 1);
  CHECK_OK(mica_jit_finish(jit, trace, &y, 1, &ready, NULL));
  y = mica_add(mica_jit_parameter(twin, 0), 2);
  CHECK_OK(mica_jit_finish(jit, twin, &y, 1, &again, NULL));
  CHECK(again == ready); /* the first to be finished stays */
  mica_executable_release(again);
  CHECK_EQ_INT(mica_jit_cache_count(jit), 1);
  CHECK_OK(mica_jit_find(jit, &type, 1, &again, &third, NULL));
  CHECK(again == ready && third == NULL);
  mica_tensor *x = floats(2, (float[]){2, 3}), *out = NULL;
  CHECK_OK(mica_jit_call(jit, &x, 1, &out, 1, NULL)); /* what is ready may be called */
  CHECK_NEAR(first_of(out), 3, 0);
  mica_tensor_release(out);
  mica_tensor_release(x);
  mica_executable_release(again);
  mica_executable_release(ready);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST(traces_end_on_failure_too) {
  mica_device *device = open_device();
  mica_jit *jit = mica_jit_create(device, NULL, .inputs = 1, .outputs = 1);
  mica_type type = {MICA_F32, MICA_DIMS(2)};
  mica_executable *ready = NULL;
  mica_graph *trace = NULL;
  mica_error error = {0};
  mica_value none = {0};
  CHECK_OK(mica_jit_find(jit, &type, 1, &ready, &trace, NULL));
  CHECK(!mica_is_valid(mica_jit_parameter(trace, 1)));
  CHECK_STATUS(mica_graph_status(trace, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "no input 1");
  CHECK_STATUS(mica_jit_finish(jit, trace, &none, 1, &ready, NULL), MICA_INVALID);
  CHECK(ready == NULL);
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_finish(jit, trace, &none, 1, &ready, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "not an open one");
  /* A wrong number of outputs, and {0}. */
  CHECK_OK(mica_jit_find(jit, &type, 1, &ready, &trace, NULL));
  mica_value two[2] = {mica_jit_parameter(trace, 0), mica_jit_parameter(trace, 0)};
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_finish(jit, trace, two, 2, &ready, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "2 outputs, expected 1");
  CHECK_OK(mica_jit_find(jit, &type, 1, &ready, &trace, NULL));
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_finish(jit, trace, &none, 1, &ready, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "output 0");
  CHECK_EQ_INT(mica_jit_cache_count(jit), 0);
  /* Abandoned ones, by hand and by the jit's end. */
  CHECK_OK(mica_jit_find(jit, &type, 1, &ready, &trace, NULL));
  mica_jit_abandon(jit, trace);
  mica_jit_abandon(jit, trace);
  CHECK_OK(mica_jit_find(jit, &type, 1, &ready, &trace, NULL));
  mica_tensor *x = floats(2, (float[]){2, 3}), *out = NULL;
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call(jit, &x, 1, &out, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "mica_jit_find");
  mica_tensor_release(x);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

/* ---- what is kept by nobody ------------------------------------------------------------------- */

TEST(calls_once) {
  mica_device *device = open_device();
  scaling work = {.factor = 7};
  mica_tensor *x = floats(2, (float[]){2, 3}), *y = NULL;
  CHECK_OK(mica_call_once(device, build_scaling, &work, &x, 1, &y, 1, NULL));
  CHECK_NEAR(first_of(y), 14, 0);
  CHECK_OK(mica_call_once(device, build_scaling, &work, &x, 1, &y, 1, NULL));
  CHECK_EQ_INT(work.traces, 2);
  CHECK_STATUS(mica_call_once(device, NULL, &work, &x, 1, &y, 1, NULL), MICA_INVALID);
  mica_tensor *nothing = NULL;
  mica_error error = {0};
  CHECK_STATUS(mica_call_once(device, build_scaling, &work, &nothing, 1, &y, 1, &error),
               MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "input 0 is NULL");
  mica_tensor_release(x);
  mica_tensor_release(y);
  mica_device_release(device);
}

TEST(evaluates_single_values) {
  mica_device *device = open_device();
  mica_graph *graph = mica_graph_create(NULL);
  mica_tensor *start = mica_tensor_scalar(MICA_F32, 5), *out = NULL;
  mica_variable *variable = mica_variable_create("v", start);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_SCALAR});
  mica_value two = mica_scalar(graph, MICA_F32, 2), read = mica_variable_read(graph, variable);
  mica_value sum = mica_add(mica_mul(two, 3), read);
  CHECK_OK(mica_evaluate(device, sum, &out, NULL));
  CHECK_NEAR(first_of(out), 11, 0);
  mica_tensor_release(out);
  mica_error error = {0};
  CHECK_STATUS(mica_evaluate(device, mica_add(sum, x), &out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "input 0");
  CHECK(out == NULL);
  /* Inside of an open block: what is captured has a value, an argument has none. */
  mica_region call = mica_call_begin(graph, &two, 1);
  mica_value inside = mica_mul(sum, 2), argument = mica_argument(call, 0);
  CHECK_OK(mica_evaluate(device, inside, &out, NULL));
  CHECK_NEAR(first_of(out), 22, 0);
  mica_tensor_release(out);
  error = (mica_error){0};
  CHECK_STATUS(mica_evaluate(device, mica_add(argument, 1), &out, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "argument of a block");
  mica_value result;
  inside = mica_add(inside, argument);
  mica_call_end(call, &inside, 1, &result);
  CHECK_OK(mica_evaluate(device, result, &out, NULL));
  CHECK_NEAR(first_of(out), 24, 0);
  mica_tensor_release(out);
  /* A later result of a node with several. */
  mica_value pair[2] = {two, sum}, swapped[2];
  mica_region both = mica_call_begin(graph, pair, 2);
  mica_value back[2] = {mica_argument(both, 1), mica_argument(both, 0)};
  mica_call_end(both, back, 2, swapped);
  CHECK_OK(mica_evaluate(device, swapped[1], &out, NULL));
  CHECK_NEAR(first_of(out), 2, 0);
  mica_tensor_release(out);
  CHECK_OK(mica_graph_status(graph, NULL)); /* the graph stays usable */
  CHECK_STATUS(mica_evaluate(device, (mica_value){0}, &out, NULL), MICA_INVALID);
  CHECK_STATUS(mica_evaluate(NULL, two, &out, NULL), MICA_INVALID);
  mica_variable_release(variable);
  mica_tensor_release(start);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

/* ---- what is missing -------------------------------------------------------------------------- */

TEST(a_missing_device_is_reported_by_the_call) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "abacus"},
      &error);
  CHECK(device == NULL);
  CHECK_STATUS(error.status, MICA_NOT_FOUND);
  scaling work = {.factor = 2};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work);
  CHECK(jit != NULL);
  CHECK_NEAR(call_scaling(jit, 1, &error), -MICA_NOT_FOUND, 0); /* the first failure stays */
  CHECK_STR_CONTAINS(error.message, "abacus");
  error = (mica_error){0};
  CHECK_NEAR(call_scaling(jit, 1, &error), -MICA_INVALID, 0);
  CHECK_STR_CONTAINS(error.message, "device of the jit is NULL");
  mica_jit_destroy(jit);
  error = (mica_error){0};
  CHECK_NEAR(call_scaling(NULL, 1, &error), -MICA_INVALID, 0);
  CHECK_STR_CONTAINS(error.message, "the jit is NULL");
  CHECK_EQ_INT(mica_jit_cache_count(NULL), 0);
  CHECK(mica_jit_create_with(NULL) == NULL);
  mica_jit_destroy(NULL);
}

TEST(wrong_inputs_are_named) {
  mica_device *device = open_device();
  scaling work = {.factor = 2};
  mica_jit *jit = mica_jit_create(device, build_scaling, .inputs = 1, .outputs = 1, .user = &work);
  mica_tensor *x[2] = {NULL, NULL}, *y[2] = {NULL, NULL};
  mica_error error = {0};
  CHECK_STATUS(mica_jit_call(jit, x, 1, y, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "input 0 is NULL");
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call(jit, x, 2, y, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "2 inputs are given, expected 1");
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call(jit, NULL, 1, y, 1, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "list of inputs is NULL");
  x[0] = floats(2, (float[]){1, 2});
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call(jit, x, 1, y, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "2 outputs are given, expected 1");
  mica_tensor_release(x[0]);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(traces_once_for_each_type), TEST_CASE(least_recently_used_goes_first),
          TEST_CASE(pushed_out_executables_live_on), TEST_CASE(variants_are_part_of_the_key),
          TEST_CASE(failed_traces_are_not_kept), TEST_CASE(stale_values_are_errors),
          TEST_CASE(a_trace_may_not_call_itself), TEST_CASE(compiles_ahead_of_time),
          TEST_CASE(finds_and_finishes), TEST_CASE(traces_end_on_failure_too),
          TEST_CASE(calls_once), TEST_CASE(evaluates_single_values),
          TEST_CASE(a_missing_device_is_reported_by_the_call), TEST_CASE(wrong_inputs_are_named))
