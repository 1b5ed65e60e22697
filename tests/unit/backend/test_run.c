/* SPDX-License-Identifier: Apache-2.0 */
/* test_run.c: what one call of an executable accepts, refuses, overwrites and reports. */
#include "unit/backend/support.h"

#include <math.h>
#include <stdio.h>

/* out[0] = a + b [2], out[1] = a * 2 [2]; inputs a, b [2]. */
static mica_executable *compile_pair(mica_device *device, uint64_t donate) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_type type = {MICA_F32, MICA_DIMS(2)};
  mica_value a = mica_parameter(graph, type), b = mica_parameter(graph, type);
  mica_graph_set_outputs(graph, (mica_value[]){mica_add(a, b), mica_mul(a, 2)}, 2);
  mica_executable *executable = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_compile(device, graph, donate, &executable, &error), &error);
  mica_graph_destroy(graph); /* not needed any more */
  return executable;
}

static void release_all(mica_tensor **tensors, size_t count) {
  for (size_t i = 0; i < count; i++) {
    mica_tensor_release(tensors[i]);
    tensors[i] = NULL;
  }
}

/* ---- inputs and outputs ----------------------------------------------------------------------- */

TEST(types_are_checked) {
  mica_device *device = open_device();
  mica_executable *executable = compile_pair(device, 0);
  mica_tensor *in[2] = {floats(2, (float[]){1, 2}), floats(3, (float[]){1, 2, 3})};
  mica_tensor *out[2] = {NULL, NULL};
  mica_error error = {0};
  CHECK_STATUS(mica_executable_run(executable, in, 2, out, 2, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "input 1 is f32[3], expected f32[2]");
  mica_tensor_release(in[1]);
  in[1] = floats(2, (float[]){10, 20});
  out[1] = mica_tensor_from(MICA_F64, MICA_DIMS(2), NULL);
  error = (mica_error){0};
  CHECK_STATUS(mica_executable_run(executable, in, 2, out, 2, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message, "output 1 is f64[2], expected f32[2]");
  CHECK(out[0] == NULL);
  error = (mica_error){0};
  CHECK_STATUS(mica_executable_run(executable, in, 1, out, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "1 input is given, expected 2");
  error = (mica_error){0};
  CHECK_STATUS(mica_executable_run(executable, in, 2, NULL, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "list of outputs is NULL");
  error = (mica_error){0};
  CHECK_STATUS(mica_executable_run(NULL, in, 2, out, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "the executable is NULL");
  release_all(in, 2);
  release_all(out, 2);
  mica_executable_release(executable);
  mica_device_release(device);
}

TEST(outputs_are_made_or_overwritten) {
  mica_device *device = open_device();
  mica_executable *executable = compile_pair(device, 0);
  mica_tensor *in[2] = {floats(2, (float[]){1, 2}), floats(2, (float[]){10, 20})};
  mica_tensor *out[2] = {NULL, floats(2, NULL)}, *given = out[1];
  CHECK_OK(mica_executable_run(executable, in, 2, out, 2, NULL));
  CHECK(out[1] == given);
  CHECK_NEAR(first_of(out[0]), 11, 0);
  CHECK_NEAR(first_of(out[1]), 2, 0);
  CHECK_NEAR(first_of(in[0]), 1, 0);
  /* Memory that the tensor does not own is not written. */
  static _Alignas(64) float memory[16];
  mica_tensor *wrapped = NULL, *bad[2] = {NULL, NULL};
  CHECK_OK(
      mica_tensor_wrap((mica_type){MICA_F32, MICA_DIMS(2)}, memory, NULL, NULL, &wrapped, NULL));
  bad[0] = wrapped;
  mica_error error = {0};
  CHECK_STATUS(mica_executable_run(executable, in, 2, bad, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "output 0 cannot be overwritten");
  bad[0] = bad[1] = given;
  error = (mica_error){0};
  CHECK_STATUS(mica_executable_run(executable, in, 2, bad, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "outputs 0 and 1 are the same tensor");
  /* An input that is not donated may not be an output, nor share its memory. */
  bad[0] = in[1];
  bad[1] = NULL;
  error = (mica_error){0};
  CHECK_STATUS(mica_executable_run(executable, in, 2, bad, 2, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "output 0 is also input 1");
  mica_tensor *view = NULL;
  CHECK_OK(mica_tensor_wrap((mica_type){MICA_F32, MICA_DIMS(2)}, mica_tensor_data(given), NULL,
                            NULL, &view, NULL));
  mica_tensor *viewed[2] = {in[0], view};
  bad[0] = given;
  CHECK_STATUS(mica_executable_run(executable, viewed, 2, bad, 2, NULL), MICA_INVALID);
  CHECK_NEAR(first_of(given), 2, 0);
  mica_tensor_release(view);
  mica_tensor_release(wrapped);
  release_all(in, 2);
  release_all(out, 2);
  mica_executable_release(executable);
  mica_device_release(device);
}

TEST(donated_inputs_become_outputs) {
  mica_device *device = open_device();
  mica_executable *executable =
      compile_pair(device, UINT64_MAX); /* bits without an input say nothing */
  mica_tensor *in[2] = {floats(2, (float[]){1, 2}), floats(2, (float[]){10, 20})};
  mica_tensor *out[2] = {NULL, NULL};
  const void *memory[2] = {mica_tensor_data(in[0]), mica_tensor_data(in[1])};
  CHECK_OK(mica_executable_run(executable, in, 2, out, 2, NULL));
  CHECK(mica_tensor_data(out[0]) == memory[0]);
  CHECK(mica_tensor_data(out[1]) == memory[1]);
  CHECK_NEAR(first_of(out[0]), 11, 0);
  CHECK_NEAR(first_of(out[1]), 2, 0);
  release_all(in, 2);
  /* Given as both, each the other way round. */
  mica_tensor *crossed[2] = {out[1], out[0]};
  CHECK_OK(mica_executable_run(executable, out, 2, crossed, 2, NULL));
  CHECK_NEAR(first_of(crossed[0]), 13, 0);
  CHECK_NEAR(first_of(crossed[1]), 22, 0);
  /* A tensor that somebody else holds, or that is two inputs, is left alone. */
  mica_tensor *held = mica_tensor_retain(out[0]), *fresh[2] = {NULL, NULL};
  mica_tensor *same[2] = {out[1], out[1]};
  CHECK_OK(mica_executable_run(executable, out, 2, fresh, 2, NULL));
  CHECK(mica_tensor_data(fresh[0]) != mica_tensor_data(held));
  CHECK_NEAR(first_of(held), 22, 0);
  release_all(fresh, 2);
  mica_tensor_release(held);
  double before = first_of(out[1]);
  CHECK_OK(mica_executable_run(executable, same, 2, fresh, 2, NULL));
  CHECK_NEAR(first_of(out[1]), before, 0);
  CHECK_NEAR(first_of(fresh[0]), 2 * before, 0);
  release_all(fresh, 2);
  fresh[0] = out[1];
  CHECK_STATUS(mica_executable_run(executable, same, 2, fresh, 2, NULL), MICA_INVALID);
  release_all(out, 2);
  mica_executable_release(executable);
  mica_device_release(device);
}

/* Outputs that are inputs as they came, in the memory of each other. */
TEST(donated_inputs_may_change_places) {
  mica_device *device = open_device();
  mica_graph *graph = mica_graph_create(NULL);
  mica_type type = {MICA_F32, MICA_DIMS(2)};
  mica_value a = mica_parameter(graph, type), b = mica_parameter(graph, type);
  mica_graph_set_outputs(graph, (mica_value[]){b, a, a}, 3);
  mica_executable *executable = NULL;
  CHECK_OK(mica_compile(device, graph, 3, &executable, NULL));
  mica_tensor *in[2] = {floats(2, (float[]){1, 2}), floats(2, (float[]){10, 20})};
  mica_tensor *out[3] = {NULL, NULL, NULL};
  CHECK_OK(mica_executable_run(executable, in, 2, out, 3, NULL));
  CHECK_NEAR(first_of(out[0]), 10, 0);
  CHECK_NEAR(first_of(out[1]), 1, 0);
  CHECK_NEAR(first_of(out[2]), 1, 0);
  release_all(in, 2);
  release_all(out, 3);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

TEST(empty_and_narrow_arrays) {
  mica_device *device = open_device();
  mica_graph *graph = mica_graph_create(NULL);
  mica_value none = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(0, 3)});
  mica_value nibbles = mica_parameter(graph, (mica_type){MICA_I4, MICA_DIMS(3)});
  mica_graph_set_outputs(graph,
                         (mica_value[]){mica_add(none, 1), mica_reduce_sum(none, MICA_AXES(0)),
                                        mica_reverse(nibbles, MICA_AXES(0))},
                         3);
  mica_executable *executable = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_compile(device, graph, 3, &executable, &error), &error);
  mica_tensor *in[2] = {mica_tensor_from(MICA_F32, MICA_DIMS(0, 3), NULL),
                        mica_tensor_from(MICA_I4, MICA_DIMS(3), (uint8_t[]){0x21, 0x03})};
  mica_tensor *expected = mica_tensor_from(MICA_I4, MICA_DIMS(3), (uint8_t[]){0x23, 0x01});
  mica_tensor *out[3] = {NULL, NULL,
                         mica_tensor_from(MICA_I4, MICA_DIMS(3), (uint8_t[]){0xFF, 0xFF})};
  CHECK_OK(mica_executable_run(executable, in, 2, out, 3, NULL));
  CHECK_EQ_INT(mica_tensor_byte_size(out[0]), 0);
  CHECK_NEAR(first_of(out[1]), 0, 0);
  CHECK(mica_tensor_equal(out[2], expected)); /* the unused half of the last byte is 0 */
  release_all(in, 2);
  release_all(out, 3);
  mica_tensor_release(expected);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

/* ---- what may be compiled ---------------------------------------------------------------------- */

TEST(graphs_that_cannot_be_compiled) {
  mica_device *device = open_device();
  mica_executable *executable = NULL;
  mica_error error = {0};
  mica_graph *graph = mica_graph_create(NULL);
  CHECK_STATUS(mica_compile(device, graph, 0, &executable, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "computes nothing");
  error = (mica_error){0};
  CHECK_STATUS(mica_compile(device, NULL, 0, &executable, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "graph is NULL");
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(2)});
  mica_graph_set_outputs(graph, &x, 1);
  mica_scope_push(graph, "outer");
  mica_region call = mica_call_begin(graph, &x, 1);
  (void)call;
  error = (mica_error){0};
  CHECK_STATUS(mica_compile(device, graph, 0, &executable, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "call");
  CHECK_STR_CONTAINS(error.message, "outer");
  mica_graph_destroy(graph);
  graph = mica_graph_create(NULL);
  x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(2)});
  mica_value y = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(3)});
  mica_graph_set_outputs(graph, (mica_value[]){mica_add(x, y)}, 1);
  error = (mica_error){0};
  CHECK_STATUS(mica_compile(device, graph, 0, &executable, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "add(f32[2], f32[3])");
  CHECK(executable == NULL);
  CHECK_STATUS(mica_compile(NULL, graph, 0, &executable, NULL), MICA_INVALID);
  CHECK_STATUS(mica_compile(device, graph, 0, NULL, NULL), MICA_INVALID);
  mica_graph_destroy(graph);
  CHECK_EQ_INT(mica_executable_input_count(NULL), 0);
  CHECK_EQ_INT(mica_executable_arena_bytes(NULL), 0);
  mica_executable_release(NULL);
  mica_device_release(device);
}

/* ---- what is reported -------------------------------------------------------------------------- */

typedef struct {
  int lines;
  char text[8][200];
  mica_variable *variable; /* looked at from inside of the callback */
  double value;
} log_book;

static void keep_line(void *user, const char *text) {
  log_book *book = user;
  if (book->lines < 8) snprintf(book->text[book->lines], sizeof(book->text[0]), "%s", text);
  book->lines++;
  if (book->variable != NULL) book->value = value_of(book->variable);
}

TEST(marked_values_reach_the_log) {
  log_book book = {0};
  mica_device_options options = {
      .struct_size = sizeof(options), .log = keep_line, .log_user = &book};
  mica_device *device = mica_device_open(&options, NULL);
  mica_graph *graph = mica_graph_create(NULL);
  mica_tensor *zero = mica_tensor_scalar(MICA_F32, 0);
  mica_variable *variable = mica_variable_create("n", zero);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(2)});
  mica_value marked = mica_mark(x, "x");
  mica_mark(mica_add(x, 1), "x + 1"); /* used by nobody */
  /* Each step of a loop reports. */
  mica_value start = mica_scalar(graph, MICA_F32, 1), end;
  mica_region loop = mica_while_begin(graph, &start, 1, 3);
  mica_value state = mica_argument(loop, 0);
  mica_while_body(loop, mica_less(state, 100));
  state = mica_mark(mica_mul(state, 2), "state");
  mica_while_end(loop, &state, &end);
  mica_variable_assign(variable, end);
  mica_graph_set_outputs(graph, &marked, 1);
  mica_executable *executable = NULL;
  mica_error error = {0};
  CHECK_OK_ERROR(mica_compile(device, graph, 0, &executable, &error), &error);
  mica_tensor *in = floats(2, (float[]){1.5f, 2}), *out = NULL;
  book.variable = variable; /* the call has ended and holds no lock */
  CHECK_OK(mica_executable_run(executable, &in, 1, &out, 1, NULL));
  CHECK_EQ_INT(book.lines, 5);
  CHECK_NEAR(book.value, 8, 0);
  CHECK_STR_CONTAINS(book.text[0], "x: [");
  CHECK_STR_CONTAINS(book.text[0], "1.5");
  CHECK_STR_CONTAINS(book.text[1], "x + 1: [");
  CHECK_STR_CONTAINS(book.text[1], "2.5");
  CHECK_STR_CONTAINS(book.text[2], "state: 2");
  CHECK_STR_CONTAINS(book.text[3], "state: 4");
  CHECK_STR_CONTAINS(book.text[4], "state: 8");
  mica_tensor_release(in);
  mica_tensor_release(out);
  mica_tensor_release(zero);
  mica_variable_release(variable);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  mica_device_release(device);
}

/* out[0] = log(x) forward; out[1] = its slope at sqrt(x), which is infinite at 0. */
static void build_infinite(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const bool *backward = user;
  mica_scope_push(graph, "layer");
  mica_value y = *backward ? mica_sqrt(in[0]) : mica_log(in[0]);
  mica_scope_pop(graph, "layer");
  mica_value loss = mica_reduce_sum(y, MICA_ALL);
  if (*backward)
    mica_gradients(loss, in, 1, out);
  else
    out[0] = loss;
}

/* On the reference, which computes the operators as they were built. */
TEST(the_first_infinity_is_named) {
  mica_device_options options = {
      .struct_size = sizeof(options), .backend = "reference", .find_nan = true};
  mica_device *device = mica_device_open(&options, NULL);
  for (int backward = 0; backward < 2; backward++) {
    bool flag = backward == 1;
    mica_jit *jit =
        mica_jit_create(device, build_infinite, .inputs = 1, .outputs = 1, .user = &flag);
    mica_tensor *good = floats(3, (float[]){1, 2, 3}), *bad = floats(3, (float[]){1, 0, 3});
    mica_tensor *infinite = floats(3, (float[]){1, INFINITY, 3}), *out = NULL;
    CHECK_OK(mica_jit_call(jit, &good, 1, &out, 1, NULL));
    CHECK_OK(mica_jit_call(jit, &infinite, 1, &out, 1, NULL)); /* made from what was infinite */
    mica_error error = {0};
    CHECK_STATUS(mica_jit_call(jit, &bad, 1, &out, 1, &error), MICA_DATA_LOSS);
    CHECK_STR_CONTAINS(error.message,
                       flag ? "div(f32[3], f32[3]) -> f32[3]" : "log(f32[3]) -> f32[3]");
    CHECK_STR_CONTAINS(error.message, flag ? "made infinity at [1]" : "made -infinity at [1]");
    CHECK_STR_CONTAINS(error.message, flag ? "layer (backward)" : "in layer");
    mica_tensor_release(good);
    mica_tensor_release(bad);
    mica_tensor_release(infinite);
    mica_tensor_release(out);
    mica_jit_destroy(jit);
  }
  mica_device_release(device);
}

static void build_cross_entropy(mica_graph *graph, const mica_value *in, mica_value *out,
                                void *user) {
  (void)graph, (void)user;
  out[0] = mica_softmax_cross_entropy(in[0], in[1]);
}

/* On the cpu, which computes the operator in one step; its expansion selects a NaN that is a constant. */
TEST(a_label_that_is_no_class) {
  mica_device_options options = {
      .struct_size = sizeof(options), .backend = "cpu", .find_nan = true};
  mica_device *device = mica_device_open(&options, NULL);
  mica_jit *jit = mica_jit_create(device, build_cross_entropy, .inputs = 2, .outputs = 1);
  mica_tensor *out = NULL;
  mica_tensor *in[2] = {mica_tensor_from(MICA_F32, MICA_DIMS(2, 3), NULL),
                        mica_tensor_from(MICA_I32, MICA_DIMS(2), (int32_t[]){2, 3})};
  mica_error error = {0};
  CHECK_STATUS(mica_jit_call(jit, in, 2, &out, 1, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "made NaN at [1]");
  CHECK_STR_CONTAINS(error.message, "the label there is none of the classes");
  mica_tensor_release(in[0]);
  mica_tensor_release(in[1]);
  mica_tensor_release(out);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST(executables_describe_themselves) {
  mica_device *device = open_device();
  mica_executable *executable = compile_pair(device, 0);
  char text[4000], little[8];
  int64_t length = mica_executable_format(executable, text, sizeof(text));
  CHECK(length > 0);
  CHECK_STR_CONTAINS(text, "add");
  CHECK_EQ_INT(mica_executable_format(executable, little, sizeof(little)), length);
  CHECK_EQ_INT(little[7], 0);
  mica_executable_profile(executable, text, sizeof(text)); /* not opened for it: no crash */
  mica_executable_trace(executable, text, sizeof(text));
  CHECK(mica_executable_retain(executable) == executable);
  mica_executable_release(executable);
  mica_executable_release(executable);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(types_are_checked), TEST_CASE(outputs_are_made_or_overwritten),
          TEST_CASE(donated_inputs_become_outputs), TEST_CASE(donated_inputs_may_change_places),
          TEST_CASE(empty_and_narrow_arrays), TEST_CASE(graphs_that_cannot_be_compiled),
          TEST_CASE(marked_values_reach_the_log), TEST_CASE(the_first_infinity_is_named),
          TEST_CASE(a_label_that_is_no_class), TEST_CASE(executables_describe_themselves))
