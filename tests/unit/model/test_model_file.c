/* SPDX-License-Identifier: Apache-2.0 */
/* Model files: a program of inference and one training step, saved and run again on every backend with the same
 * bits, without a layer of nn; damage is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "mica/model.h"
#include "mica/ops.h"

static mica_variable *make_variable(const char *name, mica_shape shape, double first) {
  double values[64];
  for (int i = 0; i < 64; i++) values[i] = first + i * 0.125;
  mica_tensor *initial = mica_tensor_from_doubles(MICA_F32, shape, values);
  mica_variable *variable = mica_variable_create(name, initial);
  mica_tensor_release(initial);
  return variable;
}

static mica_value forward(mica_graph *graph, mica_variable *w, mica_variable *b, mica_value x) {
  mica_value y = mica_matmul(x, mica_variable_read(graph, w));
  return mica_tanh(mica_add(y, mica_variable_read(graph, b)));
}

static void build_predict(mica_graph *graph, mica_variable *w, mica_variable *b) {
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(2, 3)});
  mica_value y = forward(graph, w, b, x);
  mica_graph_set_outputs(graph, &y, 1);
}

static void build_train(mica_graph *graph, mica_variable *w, mica_variable *b) {
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(2, 3)});
  mica_value target = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(2, 4)});
  mica_value difference = mica_sub(forward(graph, w, b, x), target);
  mica_value loss = mica_reduce_mean(mica_mul(difference, difference), MICA_ALL);
  mica_value read[2] = {mica_variable_read(graph, w), mica_variable_read(graph, b)}, gradient[2];
  mica_gradients(loss, read, 2, gradient);
  mica_variable_assign(w, mica_sub(read[0], mica_mul(mica_full_like(read[0], 0.5), gradient[0])));
  mica_variable_assign(b, mica_sub(read[1], mica_mul(mica_full_like(read[1], 0.5), gradient[1])));
  mica_graph_set_outputs(graph, &loss, 1);
}

static const double input_values[] = {0.5, -1, 0.25, 1, 2, -0.5},
                    target_values[8] = {0.1, 0.2, 0.3, 0.4, -0.1, -0.2, -0.3, -0.4};

/* Two steps, then inference, of what is saved or what was loaded. */
static void run_programs(mica_executable *predict, mica_executable *train, mica_tensor **out) {
  mica_tensor *x = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 3), input_values),
              *target = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 4), target_values);
  mica_tensor *const inputs[] = {x, target};
  mica_error error = {0};
  for (int i = 0; i < 2; i++) {
    mica_tensor *loss = NULL;
    CHECK_OK_ERROR(mica_executable_run(train, inputs, 2, &loss, 1, &error), &error);
    mica_tensor_release(loss);
  }
  CHECK_OK_ERROR(mica_executable_run(predict, inputs, 1, out, 1, &error), &error);
  mica_tensor_release(x), mica_tensor_release(target);
}

static const char *const predict_inputs[] = {"x"}, *const predict_outputs[] = {"y"};

static void save_pair(const char *path, mica_variable **w, mica_variable **b, mica_graph **predict,
                      mica_graph **train) {
  mica_error error = {0};
  *w = make_variable("dense/weights", MICA_DIMS(3, 4), -0.5),
  *b = make_variable("dense/bias", MICA_DIMS(4), 0.25);
  *predict = mica_graph_create(NULL), *train = mica_graph_create(NULL);
  build_predict(*predict, *w, *b), build_train(*train, *w, *b);
  const mica_model_program programs[] = {{"predict", *predict, predict_inputs, predict_outputs},
                                         {"train", *train, NULL, NULL}};
  const mica_named_text metadata[] = {{"license", "none"}};
  CHECK_OK_ERROR(mica_model_save(path, programs, 2, metadata, 1, &error), &error);
}

TEST(runs_again) {
  static const char *const backends[] = {"cpu", "reference"};
  for (int i = 0; i < 2; i++) {
    char path[1024], second[1024];
    mica_variable *w, *b;
    mica_graph *predict, *train;
    mica_error error = {0};
    snprintf(path, sizeof path, "%s", check_temporary_path("model.mica"));
    snprintf(second, sizeof second, "%s", check_temporary_path("second.mica"));
    save_pair(path, &w, &b, &predict, &train);
    mica_device_options options = {.struct_size = sizeof options, .backend = backends[i]};
    mica_device *device = mica_device_open(&options, &error);
    mica_executable *p, *t;
    mica_tensor *wanted = NULL, *given = NULL;
    CHECK_OK_ERROR(mica_compile(device, predict, 0, &p, &error), &error);
    CHECK_OK_ERROR(mica_compile(device, train, 0, &t, &error), &error);
    run_programs(p, t, &wanted);
    mica_executable_release(p), mica_executable_release(t);
    mica_graph_destroy(predict), mica_graph_destroy(train);
    mica_model *model = NULL;
    if (!CHECK_OK_ERROR(mica_model_open(path, &model, &error), &error)) return;
    CHECK_EQ_INT(mica_model_program_count(model), 2);
    CHECK_EQ_INT(mica_model_program_index(model, "train"), 1);
    CHECK_EQ_STR(mica_model_program_at(model, 0).input_names[0], "x");
    CHECK_EQ_STR(mica_model_program_at(model, 1).input_names[1], "input1");
    CHECK_EQ_STR(mica_model_program_at(model, 0).output_names[0], "y");
    CHECK_EQ_STR(mica_model_metadata(model, "license"), "none");
    CHECK(mica_model_metadata(model, "mica.model") == NULL);
    CHECK_EQ_INT(mica_model_input_count(model, 1), 2);
    CHECK_EQ_INT(mica_model_output_count(model, 1), 1);
    CHECK(mica_shape_equal(mica_model_input_type(model, 1, 1).shape, MICA_DIMS(2, 4)));
    CHECK(mica_shape_equal(mica_model_output_type(model, 0, 0).shape, MICA_DIMS(2, 4)));
    CHECK_EQ_INT(mica_model_variable_count(model), 2);
    CHECK_EQ_STR(mica_variable_name(mica_model_variable(model, 0)), "dense/weights");
    CHECK_OK_ERROR(mica_model_compile(model, 0, device, &p, &error), &error);
    CHECK_OK_ERROR(mica_model_compile(model, 1, device, &t, &error), &error);
    run_programs(p, t, &given);
    CHECK(mica_tensor_equal(given, wanted));
    /* what was learnt is written and read */
    CHECK_OK_ERROR(mica_model_write(model, second, &error), &error);
    mica_executable_release(p), mica_executable_release(t);
    mica_tensor *learnt = mica_variable_snapshot(mica_model_variable(model, 0)),
                *original = mica_variable_snapshot(w);
    CHECK(mica_tensor_equal(learnt, original));
    mica_model_destroy(model);
    if (CHECK_OK_ERROR(mica_model_open(second, &model, &error), &error)) {
      mica_tensor *again = mica_variable_snapshot(mica_model_variable(model, 0));
      CHECK(mica_tensor_equal(learnt, again));
      CHECK_EQ_STR(mica_model_metadata(model, "license"), "none");
      mica_tensor_release(again);
    }
    mica_model_destroy(model);
    mica_tensor_release(learnt), mica_tensor_release(original), mica_tensor_release(wanted),
        mica_tensor_release(given);
    mica_variable_release(w), mica_variable_release(b);
    mica_device_release(device);
  }
}

TEST(refuses) {
  char path[1024];
  mica_variable *w, *b;
  mica_graph *predict, *train;
  mica_model *model = NULL;
  mica_error error = {0};
  snprintf(path, sizeof path, "%s", check_temporary_path("refused.mica"));
  save_pair(path, &w, &b, &predict, &train);
  FILE *file = fopen(path, "rb");
  static unsigned char bytes[1 << 16];
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  CHECK_OK(mica_model_parse(bytes, size, &model, &error));
  mica_model_destroy(model);
  CHECK_STATUS(mica_model_parse(bytes, size - 1, &model, &(mica_error){0}), MICA_DATA_LOSS);
  for (size_t at = 8; at < size;
       at += 7) { /* any byte: no crash, and NULL with an error or a model */
    bytes[at] ^= 4;
    mica_error why = {0};
    mica_status status = mica_model_parse(bytes, size, &model, &why);
    CHECK((status == MICA_OK) == (model != NULL) && why.status == status);
    mica_model_destroy(model);
    bytes[at] ^= 4;
  }
  mica_tensor *one = mica_tensor_scalar(MICA_F32, 1);
  const mica_named_tensor plain[] = {{"a", one}};
  CHECK_OK(mica_safetensors_save(path, plain, 1, NULL, 0, &error));
  CHECK_STATUS(mica_model_open(path, &model, &error), MICA_DATA_LOSS);
  CHECK_STR_CONTAINS(error.message, "no programs");
  CHECK_OK(mica_safetensors_save(path, plain, 1,
                                 (mica_named_text[]){{"mica.model", "9"}, {"mica.programs", "[]"}},
                                 2, &(mica_error){0}));
  CHECK_STATUS(mica_model_open(path, &model, &(mica_error){0}), MICA_UNSUPPORTED);
  /* the tensor of a variable is missing */
  const mica_named_text lacking[] = {
      {"mica.model", "1"},
      {"mica.programs", "[{\"name\":\"p\",\"input\":[],\"output\":[\"y\"]}]"},
      {"mica.graph.p",
       "mica 1\n%0 = variable() {name=\"q\", dtype=f32, shape=[]} : f32[]\nreturn %0\n"}};
  CHECK_OK(mica_safetensors_save(path, plain, 1, lacking, 3, &(mica_error){0}));
  error = (mica_error){0};
  mica_status status = mica_model_open(path, &model, &error);
  CHECK(status != MICA_OK && model == NULL);
  mica_graph *empty = mica_graph_create(NULL);
  const struct {
    mica_model_program programs[2];
    size_t count;
    const char *message;
  } rows[] = {{{{"a", predict, NULL, NULL}, {"a", train, NULL, NULL}}, 2, "two programs"},
              {{{"a b", predict, NULL, NULL}}, 1, "name"},
              {{{"a", NULL, NULL, NULL}}, 1, "program 'a'"},
              {{{"a", predict, NULL, NULL}}, 0, "no program"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    error = (mica_error){0};
    CHECK_STATUS(mica_model_save(path, rows[i].programs, rows[i].count, NULL, 0, &error),
                 MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, rows[i].message);
  }
  mica_graph_destroy(empty), mica_graph_destroy(predict), mica_graph_destroy(train);
  mica_variable_release(w), mica_variable_release(b);
  mica_tensor_release(one);
}

TEST_MAIN(TEST_CASE(runs_again), TEST_CASE(refuses))
