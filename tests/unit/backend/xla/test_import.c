/* SPDX-License-Identifier: Apache-2.0 */
/* Modules of StableHLO to and from others: a transformer block with its gradients that JAX exported
 * (tests/golden/stablehlo_jax.py), as bytecode and as text; modules that are refused; a training step of Mica's
 * that JAX runs. */
#include <stdlib.h>

#include "mica/xla.h"
#include "unit/backend/xla/real.h"

static mica_tensor *array_of(const mica_npz *npz, const char *kind, size_t i, mica_type type) {
  char name[16];
  snprintf(name, sizeof name, "%s%zu", kind, i);
  mica_tensor *stored = mica_npz_find(npz, name);
  if (!CHECK(stored != NULL)) return NULL;
  /* numpy has no bf16: its bits are there as u16. */
  if (type.dtype != MICA_BF16) return mica_tensor_retain(stored);
  return mica_tensor_from(MICA_BF16, type.shape, mica_tensor_data(stored));
}

static void check_block(mica_device *device, const char *file, bool from_memory) {
  enum { INPUTS = 7, OUTPUTS = 7 };
  static const mica_dtype dtypes[INPUTS] = {MICA_I32,  MICA_BOOL, MICA_BF16, MICA_BF16,
                                            MICA_BF16, MICA_BF16, MICA_BF16};
  mica_error error = {0};
  mica_npz *npz = NULL;
  mica_executable *block = NULL;
  mica_tensor *in[INPUTS] = {NULL}, *out[OUTPUTS] = {NULL};
  CHECK_OK_ERROR(mica_npz_load(check_source_path("tests/golden/jax_block.npz"), &npz, &error),
                 &error);
  if (from_memory) {
    static char text[1 << 17];
    FILE *stream = fopen(check_source_path(file), "rb");
    size_t size = stream ? fread(text, 1, sizeof text, stream) : 0;
    if (stream) fclose(stream);
    CHECK_OK_ERROR(mica_stablehlo_compile(device, text, size, 0, &block, &error), &error);
  } else {
    CHECK_OK_ERROR(mica_stablehlo_load(device, check_source_path(file), 0, &block, &error), &error);
  }
  CHECK_EQ_INT(mica_executable_input_count(block), INPUTS);
  CHECK_EQ_INT(mica_executable_output_count(block), OUTPUTS);
  for (size_t i = 0; block && i < INPUTS; i++) {
    CHECK_EQ_INT(mica_executable_input_type(block, i).dtype, dtypes[i]);
    in[i] = array_of(npz, "in", i, mica_executable_input_type(block, i));
  }
  if (block) CHECK_OK_ERROR(mica_executable_run(block, in, INPUTS, out, OUTPUTS, &error), &error);
  for (size_t i = 0; i < OUTPUTS && out[i]; i++) {
    mica_type type = mica_executable_output_type(block, i);
    mica_tensor *wanted = array_of(npz, "out", i, type);
    double tolerance = type.dtype == MICA_BF16 ? 8e-3 : 1e-5;
    mica_closeness closeness = {0};
    CHECK_OK_ERROR(mica_tensor_compare(out[i], wanted, tolerance, tolerance, &closeness, &error),
                   &error);
    if (!closeness.close) {
      char text[256];
      mica_closeness_format(&closeness, type.shape, text, sizeof text);
      CHECK_FAIL("%s, output %zu: %s", file, i, text);
    }
    mica_tensor_release(wanted);
  }
  for (size_t i = 0; i < INPUTS; i++) mica_tensor_release(in[i]);
  for (size_t i = 0; i < OUTPUTS; i++) mica_tensor_release(out[i]);
  mica_executable_release(block);
  mica_npz_destroy(npz);
}

TEST(a_block_of_jax_runs) {
  char options[1300];
  for (int resident = 0; resident < 2; resident++) {
    /* The second time round it comes from the disk. */
    snprintf(options, sizeof options, ",cache=%s%s", check_temporary_path("import"),
             resident ? ",resident=true" : "");
    mica_device *device = open_xla(options);
    if (!device) return;
    check_block(device, "tests/golden/jax_block.mlir", true);
    check_block(device, "tests/golden/jax_block.bc", false);
    mica_device_release(device);
  }
}

/* State that the module lets become its output: in place, in host memory and on the device. */
TEST(imported_state_is_overwritten) {
  static const char module[] =
      "module { func.func public @main(%s: tensor<4xf32> {tf.aliasing_output = 1 : i32}, %x: "
      "tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {\n"
      "  %0 = stablehlo.add %s, %x : tensor<4xf32>\n"
      "  %1 = stablehlo.multiply %0, %x : tensor<4xf32>\n"
      "  return %1, %0 : tensor<4xf32>, tensor<4xf32>\n} }";
  for (int resident = 0; resident < 2; resident++) {
    mica_device *device = open_xla(resident ? ",resident=true" : "");
    if (!device) return;
    mica_error error = {0};
    mica_executable *step = NULL;
    CHECK_OK_ERROR(mica_stablehlo_compile(device, module, strlen(module), 1, &step, &error),
                   &error);
    mica_tensor *in[2] = {NULL, four_numbers(1, 2, 3, 4)}, *out[2] = {NULL, NULL};
    mica_tensor *start = four_numbers(0, 0, 0, 0);
    CHECK_OK(mica_tensor_to_device(device, start, &in[0], &error));
    mica_tensor_release(start);
    out[1] = in[0];
    const void *memory = resident ? NULL : mica_tensor_data(in[0]);
    for (int i = 1; i <= 3; i++)
      CHECK_OK_ERROR(mica_executable_run(step, in, 2, out, 2, &error), &error);
    CHECK_NEAR(((const float *)mica_tensor_data(in[0]))[3], 12, 0);
    CHECK_NEAR(((const float *)mica_tensor_data(out[0]))[3], 48, 0);
    if (!resident) CHECK(mica_tensor_data(in[0]) == memory);
    mica_tensor_release(in[0]), mica_tensor_release(in[1]), mica_tensor_release(out[0]);
    mica_executable_release(step);
    mica_device_release(device);
  }
}

static void expect_refused(mica_device *device, const char *module, mica_status status,
                           const char *part) {
  mica_error error = {0};
  mica_executable *executable = NULL;
  CHECK_EQ_INT(mica_stablehlo_compile(device, module, strlen(module), 0, &executable, &error),
               status);
  CHECK_STR_CONTAINS(error.message, part);
  CHECK(executable == NULL);
}

TEST(what_cannot_be_imported) {
  mica_device *device = open_xla("");
  if (!device) return;
  mica_error error = {0};
  mica_executable *executable = NULL;
  expect_refused(device, "module { nonsense }", MICA_INTERNAL, "Client_Compile");
  expect_refused(device,
                 "module { func.func public @main(%a: tensor<2xi4>) -> tensor<2xi4> { return %a : "
                 "tensor<2xi4> } }",
                 MICA_UNSUPPORTED, "put 0 of the module has 4-bit elements");
  expect_refused(device, "", MICA_INVALID, "the module is NULL");
  CHECK_EQ_INT(mica_stablehlo_load(device, "/no/such/module", 0, &executable, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "/no/such/module: No such file");
  mica_device_release(device);
  device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "cpu"}, &error);
  expect_refused(device, "module {}", MICA_INVALID, "the device is of the backend 'cpu'");
  mica_device_release(device);
}

/* ---- a training step for JAX ------------------------------------------------------------------ */

enum { WEIGHTS = 4, BATCH = 8 };
static const mica_type step_types[WEIGHTS] = {{MICA_F32, {.rank = 4, .dim = {3, 3, 1, 4}}},
                                              {MICA_F32, {.rank = 1, .dim = {4}}},
                                              {MICA_F32, {.rank = 2, .dim = {64, 3}}},
                                              {MICA_F32, {.rank = 1, .dim = {3}}}};

/* Convolution, pooling, dense, cross-entropy, momentum: in order of the variables weight, speed. */
static void step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_variable **variable = user;
  mica_value p[WEIGHTS], gradient[WEIGHTS];
  for (int i = 0; i < WEIGHTS; i++) p[i] = mica_variable_read(graph, variable[i]);
  mica_value x = mica_relu(mica_add(mica_conv(in[0], p[0]), p[1]));
  x = mica_flatten(mica_max_pool(x, .window = {2, 2}), 1);
  x = mica_add(mica_matmul(x, p[2]), p[3]);
  out[0] = mica_reduce_mean(mica_softmax_cross_entropy(x, in[1]), MICA_ALL);
  mica_gradients(out[0], p, WEIGHTS, gradient);
  for (int i = 0; i < WEIGHTS; i++) {
    mica_value speed = mica_variable_read(graph, variable[WEIGHTS + i]);
    speed = mica_add(mica_mul(speed, 0.9), gradient[i]);
    mica_variable_assign(variable[WEIGHTS + i], speed);
    mica_variable_assign(variable[i], mica_sub(p[i], mica_mul(speed, 0.05)));
  }
}

static mica_tensor *drawn(mica_type type, uint64_t seed) {
  static double values[4096];
  for (int64_t i = 0; i < mica_shape_count(type.shape); i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    values[i] = (double)(int32_t)(seed >> 33) / 2147483648.0 - 0.5;
  }
  return mica_tensor_from_doubles(type.dtype, type.shape, values);
}

/* Module, inputs and Mica's own results go to files; a script of two dozen lines runs the module in JAX. */
TEST(a_training_step_runs_in_jax) {
  mica_error error = {0};
  mica_variable *variable[2 * WEIGHTS];
  mica_tensor *array[2 + 4 * WEIGHTS + 1], *in[2], *out = NULL;
  const char *names[2 + 4 * WEIGHTS + 1];
  static char name_room[2 + 4 * WEIGHTS + 1][8];
  mica_type types[2] = {{MICA_F32, {.rank = 4, .dim = {BATCH, 8, 8, 1}}},
                        {MICA_I32, {.rank = 1, .dim = {BATCH}}}};
  int64_t count = 0;
  for (int i = 0; i < 2 * WEIGHTS; i++) {
    mica_tensor *start = drawn(step_types[i % WEIGHTS], 100 + (uint64_t)i);
    snprintf(name_room[i], sizeof name_room[i], "w%d", i);
    variable[i] = mica_variable_create(name_room[i], start);
    mica_tensor_release(start);
  }
  in[0] = drawn(types[0], 7);
  in[1] = mica_tensor_from(MICA_I32, types[1].shape, (int32_t[]){0, 1, 2, 0, 1, 2, 0, 1});
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = "cpu"}, &error);
  mica_jit *jit =
      mica_jit_create(.device = device, .build = step, .user = variable, .inputs = 2, .outputs = 1);
  size_t length = 0;
  CHECK_OK_ERROR(mica_jit_stablehlo(jit, types, 2, NULL, 0, &length, &error), &error);
  char *text = malloc(length + 1);
  CHECK_OK_ERROR(mica_jit_stablehlo(jit, types, 2, text, length + 1, &length, &error), &error);
  CHECK_STR_CONTAINS(text, "stablehlo.convolution");
  CHECK_EQ_INT(mica_jit_cache_count(jit), 0);
  char module_path[1200], arrays_path[1200], command[4000];
  snprintf(module_path, sizeof module_path, "%s", check_temporary_path("step.mlir"));
  snprintf(arrays_path, sizeof arrays_path, "%s", check_temporary_path("step.npz"));
  FILE *stream = fopen(module_path, "wb");
  if (CHECK(stream != NULL)) fwrite(text, 1, length, stream), fclose(stream);
  /* in: inputs, then the variables in the order of the trace; out: loss, then the assigned values. */
  array[count++] = mica_tensor_retain(in[0]);
  array[count++] = mica_tensor_retain(in[1]);
  for (int i = 0; i < 2 * WEIGHTS; i++) array[count++] = mica_variable_snapshot(variable[i]);
  CHECK_OK_ERROR(mica_jit_call(jit, in, 2, &out, 1, &error), &error);
  array[count++] = out;
  for (int i = 0; i < 2 * WEIGHTS; i++) array[count++] = mica_variable_snapshot(variable[i]);
  static const char *const kinds[2] = {"in", "out"};
  static char keys[2 + 4 * WEIGHTS + 1][8];
  for (int64_t i = 0; i < count; i++) {
    int64_t inputs = 2 + 2 * WEIGHTS;
    snprintf(keys[i], sizeof keys[i], "%s%d", kinds[i >= inputs],
             (int)(i >= inputs ? i - inputs : i));
    names[i] = keys[i];
  }
  CHECK_OK_ERROR(mica_npz_save(arrays_path, names, array, count, &error), &error);
  const char *python = getenv("MICA_TEST_JAX_PYTHON");
  if (!python || !*python) python = "python3";
  snprintf(command, sizeof command, "JAX_PLATFORMS=cpu '%s' '%s' '%s' '%s'", python,
           check_source_path("tests/unit/backend/xla/run_in_jax.py"), module_path, arrays_path);
  int result = system(command);
  if (result == 77 << 8)
    CHECK_SKIP("no JAX for $MICA_TEST_JAX_PYTHON (python3)");
  else
    CHECK_EQ_INT(result, 0);
  for (int64_t i = 0; i < count; i++) mica_tensor_release(array[i]);
  for (int i = 0; i < 2 * WEIGHTS; i++) mica_variable_release(variable[i]);
  mica_tensor_release(in[0]), mica_tensor_release(in[1]);
  free(text);
  mica_jit_destroy(jit);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(a_block_of_jax_runs), TEST_CASE(imported_state_is_overwritten),
          TEST_CASE(what_cannot_be_imported), TEST_CASE(a_training_step_runs_in_jax))
