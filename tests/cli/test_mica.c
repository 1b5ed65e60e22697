/* SPDX-License-Identifier: Apache-2.0 */
/* The command-line tool as somebody calls it: help, messages, exit codes, running and training a model file. */
#include "cli/command_testing.h"
#include "mica/mica.h"

static int call(const char *arguments) { return call_tool("", arguments, "&1"); }

TEST(helps) {
  if (!is_built()) return;
  CHECK_EQ_INT(call(""), 2);
  CHECK_STR_CONTAINS(output, "mica COMMAND");
  CHECK_EQ_INT(call("--version"), 0);
  CHECK_EQ_INT(call("--help"), 0);
  CHECK_STR_CONTAINS(output, "run a program of a model file");
  CHECK_EQ_INT(call("run --help"), 0);
  CHECK_STR_CONTAINS(output, "--input [NAME=]FILE");
  CHECK_EQ_INT(call("help info"), 0);
  CHECK_STR_CONTAINS(output, "[PATH...]");
  CHECK_EQ_INT(call("dance"), 2);
  CHECK_STR_CONTAINS(output, "no command 'dance'");
  CHECK_EQ_INT(call("run --inptu x"), 2);
  CHECK_STR_CONTAINS(output, "--inptu: unknown");
  CHECK_EQ_INT(call("run m --input"), 2);
  CHECK_STR_CONTAINS(output, "needs a value");
  CHECK_EQ_INT(call("run no-such.mica"), 1);
  CHECK_STR_CONTAINS(output, "no-such.mica");
  CHECK_EQ_INT(call("info"), 0);
  CHECK_STR_CONTAINS(output, "Mica ");
  CHECK_EQ_INT(call("info --json"), 0);
  CHECK_STR_CONTAINS(output, "\"backend\": \"cpu\"");
}

/* y = x w, and a step of w by the gradient of mean (y - t)^2. */
static void save_model(void) {
  mica_tensor *initial = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 1), (double[]){1, 2});
  mica_variable *w = mica_variable_create("w", initial);
  mica_graph *predict = mica_graph_create(NULL), *train = mica_graph_create(NULL);
  mica_value x = mica_parameter(predict, (mica_type){MICA_F32, MICA_DIMS(3, 2)});
  mica_value y = mica_matmul(x, mica_variable_read(predict, w));
  mica_graph_set_outputs(predict, &y, 1);
  x = mica_parameter(train, (mica_type){MICA_F32, MICA_DIMS(3, 2)});
  mica_value t = mica_parameter(train, (mica_type){MICA_F32, MICA_DIMS(3, 1)}),
             read = mica_variable_read(train, w), gradient;
  mica_value difference = mica_sub(mica_matmul(x, read), t),
             loss = mica_reduce_mean(mica_mul(difference, difference), MICA_ALL);
  mica_gradients(loss, &read, 1, &gradient);
  mica_variable_assign(w, mica_sub(read, mica_mul(mica_full_like(read, 0.125), gradient)));
  mica_graph_set_outputs(train, &loss, 1);
  static const char *const in[] = {"x", "t"}, *const out[] = {"y"}, *const losses[] = {"loss"};
  const mica_model_program programs[] = {{"predict", predict, in, out},
                                         {"train", train, in, losses}};
  mica_error error = {0};
  CHECK_OK_ERROR(mica_model_save("model.mica", programs, 2, NULL, 0, &error), &error);
  mica_tensor *values =
                  mica_tensor_from_doubles(MICA_F64, MICA_DIMS(3, 2), (double[]){1, 0, 0, 1, 1, 1}),
              *targets = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3, 1), (double[]){3, -1, 2});
  CHECK_OK(mica_npy_save("x.npy", values, NULL));
  CHECK_OK(mica_npy_save("t.npy", targets, NULL));
  mica_tensor_release(values), mica_tensor_release(targets), mica_tensor_release(initial);
  mica_graph_destroy(predict), mica_graph_destroy(train);
  mica_variable_release(w);
}

TEST(runs_and_trains) {
  if (!is_built()) return;
  save_model();
  CHECK_EQ_INT(call("info model.mica"), 0);
  CHECK_STR_CONTAINS(output, "program train");
  CHECK_STR_CONTAINS(output, "f32[3, 2]");
  CHECK_EQ_INT(call("info --json model.mica"), 0);
  CHECK_STR_CONTAINS(output, "\"parameters\": 2");
  CHECK_EQ_INT(call("run model.mica --input x.npy"), 0);
  CHECK_STR_CONTAINS(output, "y: f32[3, 1]");
  for (int backend = 0; backend < 2; backend++) {
    CHECK_EQ_INT(call(backend ? "run model.mica --input x=x.npy --json --backend reference"
                              : "run model.mica --input x=x.npy --json --backend cpu --threads 1"),
                 0);
    CHECK_STR_CONTAINS(output, "\"values\": [1, 2, 3]");
  }
  CHECK_EQ_INT(call("run model.mica --program train --input t=t.npy --input x.npy --steps 200 "
                    "--save trained.mica --json"),
               0);
  CHECK_EQ_INT(call("run trained.mica --input x.npy --output y.npy"), 0);
  CHECK_EQ_STR(output, "");
  mica_tensor *y = NULL;
  double values[3];
  if (CHECK_OK(mica_npy_load("y.npy", &y, NULL)) &&
      CHECK_OK(mica_tensor_read_doubles(y, values, 3, NULL))) {
    CHECK_NEAR(values[0], 3, 1e-5);
    CHECK_NEAR(values[1], -1, 1e-5);
    CHECK_NEAR(values[2], 2, 1e-5);
  }
  mica_tensor_release(y);
  CHECK_EQ_INT(call("info y.npy trained.mica --json"), 0);
  CHECK_EQ_INT(call("run model.mica"), 2);
  CHECK_STR_CONTAINS(output, "input 'x' is missing: --input x=FILE.npy with f32[3, 2]");
  CHECK_EQ_INT(call("run model.mica --input t.npy"), 2);
  CHECK_STR_CONTAINS(output, "t.npy is f32[3, 1], and the program wants f32[3, 2]");
  CHECK_EQ_INT(call("run model.mica --input x.npy --output z=q.npy"), 1);
  CHECK_STR_CONTAINS(output, "there is no output 'z'");
  CHECK_EQ_INT(call("run model.mica --input q=x.npy"), 2);
  CHECK_STR_CONTAINS(output, "the program's inputs: x");
  CHECK_EQ_INT(call("run model.mica --program dance"), 2);
  CHECK_STR_CONTAINS(output, "programs: predict train");
  CHECK_EQ_INT(call("run x.npy"), 1);
  CHECK_STR_CONTAINS(output, "x.npy: no safetensors file");
  CHECK_EQ_INT(call("run model.mica --input x.npy --steps 0"), 2);
  CHECK_EQ_INT(call("info ."), 0);
  CHECK_STR_CONTAINS(output, "0 checkpoints");
}

static void save_step(int64_t step, double value, double loss) {
  mica_tensor *w = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(3), (double[]){value, 0, -value}),
              *m = mica_tensor_scalar(MICA_F64, (double)step);
  const mica_named_tensor model[] = {{"dense/w", w}}, optimizer[] = {{"adam/m", m}};
  const mica_checkpoint_part parts[] = {
      {.tensors = model, .tensor_count = 1},
      {.file = "optimizer", .tensors = optimizer, .tensor_count = 1}};
  mica_error error = {0};
  CHECK_OK_ERROR(
      mica_checkpoint_save(
          &(mica_checkpoint_save_options){.struct_size = sizeof(mica_checkpoint_save_options),
                                          .folder = "run",
                                          .step = step,
                                          .parts = parts,
                                          .part_count = 2,
                                          .state = "{\"epoch\": 3}",
                                          .metric_name = "loss",
                                          .metric = loss},
          &error),
      &error);
  mica_tensor_release(w), mica_tensor_release(m);
}

TEST(looks_at_checkpoints) {
  if (!is_built()) return;
  CHECK_EQ_INT(system("rm -rf run"), 0);
  save_step(1, 2, 0.5), save_step(2, 4, 0.25), save_step(3, 6, 0.75);
  CHECK_EQ_INT(call("info run"), 0);
  CHECK_STR_CONTAINS(output, "run: 3 checkpoints");
  CHECK_STR_CONTAINS(output, "loss 0.25");
  CHECK_EQ_INT(call("checkpoint run"), 0);
  CHECK_STR_CONTAINS(output, "run: step 3, loss 0.75");
  CHECK_STR_CONTAINS(output, "optimizer");
  CHECK_EQ_INT(call("checkpoint run --step best --variables --state"), 0);
  CHECK_STR_CONTAINS(output, "step 2");
  CHECK_STR_CONTAINS(output, "dense.w");
  CHECK_STR_CONTAINS(output, "3.266");
  CHECK_STR_CONTAINS(output, "{\"epoch\": 3}");
  CHECK_EQ_INT(call("checkpoint run --json --variables"), 0);
  CHECK_STR_CONTAINS(output, "\"state\": {\"epoch\": 3}");
  CHECK_STR_CONTAINS(output, "\"largest\": 6");
  CHECK_EQ_INT(call("checkpoint run --export mean.safetensors --average 2"), 0);
  CHECK_EQ_INT(call("checkpoint mean.safetensors --variables"), 0);
  CHECK_STR_CONTAINS(output, "5");
  CHECK_EQ_INT(call("checkpoint run --step 3 --export three.safetensors"), 0);
  CHECK_EQ_INT(call("checkpoint run three.safetensors --compare"), 0);
  CHECK_STR_CONTAINS(output, "0 tensors differ");
  CHECK_EQ_INT(call("checkpoint run --export moved.safetensors --perturb 0.01"), 0);
  CHECK_EQ_INT(call("checkpoint three.safetensors moved.safetensors --compare"), 1);
  CHECK_STR_CONTAINS(output, "1 tensor differs");
  CHECK_EQ_INT(call("checkpoint run --step 3 --export half.safetensors --convert bf16"), 0);
  CHECK_STR_CONTAINS(output, "half.safetensors: step 3, 2 tensors");
  CHECK_EQ_INT(call("checkpoint half.safetensors --variables --state"), 0);
  CHECK_STR_CONTAINS(output, "bf16[");
  CHECK_STR_CONTAINS(output, "step 3, loss 0.75"); /* step, metric and state stay */
  CHECK_STR_CONTAINS(output, "{\"epoch\": 3}");
  /* Links stay links, and a device is written to. */
  CHECK_EQ_INT(system("ln -sf three.safetensors link.safetensors"), 0);
  CHECK_EQ_INT(call("checkpoint run --export link.safetensors --convert f64"), 0);
  CHECK_EQ_INT(call("checkpoint three.safetensors --variables && test -L link.safetensors"), 0);
  CHECK_STR_CONTAINS(output, "f64[");
  CHECK_EQ_INT(call("checkpoint run --export /dev/stdout | head -c 9 | tail -c 1"), 0);
  CHECK_STR_CONTAINS(output, "{");
  CHECK_EQ_INT(call("checkpoint run --step no"), 2);
  CHECK_EQ_INT(call("checkpoint run --export half.safetensors --convert i32"), 2);
  CHECK_EQ_INT(call("checkpoint run --convert bf16"), 2);
  CHECK_EQ_INT(call("checkpoint run mean.safetensors --compare --json"), 1);
  CHECK_STR_CONTAINS(output, "only in the first");
  CHECK_EQ_INT(call("checkpoint run --delete 3 --delete 1"), 0);
  CHECK_STR_CONTAINS(output, "2 checkpoints deleted, 1 left");
  CHECK_EQ_INT(call("checkpoint run"), 0);
  CHECK_STR_CONTAINS(output, "step 2");
  CHECK_EQ_INT(call("checkpoint run --delete 2 --delete 3"), 1);
  CHECK_STR_CONTAINS(output, "no checkpoint of step 3; nothing is deleted");
  CHECK_EQ_INT(call("checkpoint run/step-000000000002"), 0);
  CHECK_STR_CONTAINS(output, "step 2, loss 0.25");
  CHECK_EQ_INT(call("checkpoint run --average 2"), 2);
  CHECK_EQ_INT(call("checkpoint no-such"), 1);
  FILE *log = fopen("metrics.jsonl", "w");
  if (CHECK(log != NULL)) {
    fputs(
        "{\"step\":1,\"seconds\":1,\"kind\":\"train\",\"metrics\":{\"loss\":0.5}}\n"
        "{\"step\":2,\"seconds\":2,\"kind\":\"train\",\"metrics\":{\"loss\":0.25}}\n",
        log);
    fclose(log);
  }
  CHECK_EQ_INT(call("checkpoint metrics.jsonl --metrics"), 0);
  CHECK_STR_CONTAINS(output, "loss");
  CHECK_EQ_INT(call("checkpoint metrics.jsonl --metrics --json"), 0);
  CHECK_STR_CONTAINS(output, "\"name\": \"loss\", \"count\": 2, \"step\": 2, \"last\": 0.25");
  CHECK_EQ_INT(call("checkpoint"), 2);
}

TEST(completes_and_documents) {
  if (!is_built()) return;
  static const char *const shells[] = {"bash", "zsh", "fish"};
  for (int i = 0; i < 3; i++) {
    char arguments[64];
    snprintf(arguments, sizeof arguments, "completion %s", shells[i]);
    CHECK_EQ_INT(call(arguments), 0);
    CHECK_STR_CONTAINS(output, "checkpoint");
    CHECK_STR_CONTAINS(output, "perturb");
  }
  CHECK_EQ_INT(call("completion bash | bash -n"), 0);
  CHECK_EQ_STR(output, "");
  for (int i = 0; i < 3; i++) { /* names of examples too */
    char arguments[64];
    snprintf(arguments, sizeof arguments, "completion %s", shells[i]);
    CHECK_EQ_INT(call(arguments), 0);
    CHECK_STR_CONTAINS(output, "mnist");
    CHECK_STR_CONTAINS(output, "bash zsh fish");
  }
  CHECK_EQ_INT(call("completion tcsh"), 2);
  CHECK_EQ_INT(call("manual --json"), 0);
  CHECK_STR_CONTAINS(output, "{\"name\": \"--perturb\", \"value\": \"X\"");
  CHECK_EQ_INT(call("chekpoint"), 2);
  CHECK_STR_CONTAINS(output, "is 'checkpoint' meant?");
  CHECK_EQ_INT(call("checkpoint run --variable"), 2);
  CHECK_STR_CONTAINS(output, "is --variables meant?");
  CHECK_EQ_INT(call("manual"), 0);
  CHECK_STR_CONTAINS(output, ".TH MICA 1");
  CHECK_STR_CONTAINS(output, "mica run MODEL");
  FILE *table = fopen("table.csv", "w");
  fputs("age,job\n3,x\n4,y\n", table);
  fclose(table);
  CHECK_EQ_INT(call("info table.csv"), 0);
  CHECK_STR_CONTAINS(output, "category of 2 words");
  CHECK_EQ_INT(call("info table.csv --json"), 0);
  CHECK_STR_CONTAINS(output, "\"kind\": \"integer\"");
}

TEST_MAIN(TEST_CASE(helps), TEST_CASE(runs_and_trains), TEST_CASE(looks_at_checkpoints),
          TEST_CASE(completes_and_documents))
