/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts on several devices: of a jit's inputs and outputs, of variables, of a trainer with repeated and with cut
 * parameters, and of what a checkpoint restores onto another mesh. On `cpu` they change nothing, bit by bit; on
 * a CPU plugin of XLA four devices give what one gives. */
#include "check.h"
#include "mica/mica.h"

static mica_device *open_named(const char *name) {
  mica_error error = {0};
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  if (!device && error.status != MICA_NOT_FOUND && error.status != MICA_UNSUPPORTED)
    CHECK_FAIL("%s: %s", name, error.message);
  return device;
}

/* ---- jit and variables ------------------------------------------------------------------------ */

typedef struct {
  mica_variable *weight;
} linear;

/* One step of a linear model on a variable; the sum of the weights before. */
static void linear_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  linear *model = user;
  mica_value w = mica_variable_read(graph, model->weight), slope;
  CHECK(mica_variable_read(graph, model->weight).id ==
        w.id); /* one value, however often it is read */
  mica_value miss = mica_sub(mica_matmul(in[0], w), in[1]);
  out[0] = mica_reduce_mean(mica_square(miss), MICA_ALL);
  mica_gradients(out[0], &w, 1, &slope);
  mica_variable_assign(model->weight, mica_sub(w, mica_mul(slope, 0.1)));
  out[1] = mica_variable_read(graph, model->weight);
}

static mica_tensor *noise(mica_shape shape, uint32_t seed) {
  float values[4096];
  for (int64_t i = 0; i < mica_shape_count(shape); i++) {
    uint32_t counter[4] = {(uint32_t)i, seed, 0, 0}, key[2] = {3, 5}, bits[4];
    mica_philox(counter, key, bits);
    values[i] = (float)bits[0] / 4294967296.0f - 0.5f;
  }
  return mica_tensor_from(MICA_F32, shape, values);
}

/* Three steps; the variable's value at the end. */
static mica_tensor *three_steps(mica_device *device, const mica_mesh *mesh, const char *weight,
                                char *text, size_t size) {
  mica_error error = {0};
  mica_tensor *in[2] = {noise(MICA_DIMS(8, 12), 1), noise(MICA_DIMS(8, 4), 2)},
              *start = noise(MICA_DIMS(12, 4), 3);
  linear model = {mica_variable_create("weight", start)};
  if (mesh) CHECK_OK_ERROR(mica_variable_shard(model.weight, mesh, weight, &error), &error);
  mica_jit *jit =
      mica_jit_create(device, linear_step, .inputs = 2, .outputs = 2, .user = &model, .mesh = mesh,
                      .shardings = (const char *const[]){"data, ...", "data, -"},
                      .output_shardings = (const char *const[]){NULL, "data, -"});
  for (int step = 0; step < 3; step++) {
    mica_tensor *out[2] = {NULL, NULL}, *now;
    if (!CHECK_OK_ERROR(mica_jit_call(jit, in, 2, out, 2, &error), &error)) break;
    now = mica_variable_snapshot(model.weight);
    mica_closeness same = {0};
    CHECK_OK(mica_tensor_compare(out[1], now, 0, 0, &same, NULL));
    CHECK(same.close);
    mica_tensor_release(now), mica_tensor_release(out[0]), mica_tensor_release(out[1]);
  }
  mica_executable *executable = NULL;
  mica_type types[2] = {mica_tensor_type(in[0]), mica_tensor_type(in[1])};
  if (text && CHECK_OK_ERROR(mica_jit_compile(jit, types, 2, &executable, &error), &error))
    mica_executable_format(executable, text, size);
  mica_executable_release(executable);
  mica_tensor *end = mica_variable_snapshot(model.weight);
  mica_jit_destroy(jit);
  mica_variable_release(model.weight);
  mica_tensor_release(in[0]), mica_tensor_release(in[1]), mica_tensor_release(start);
  return end;
}

TEST(a_jit_on_a_mesh) {
  mica_device *cpu = open_named("cpu"), *xla = open_named("xla:cpu,devices=4");
  mica_mesh *mesh = mica_mesh_create("data=4", NULL);
  mica_tensor *alone = three_steps(cpu, NULL, NULL, NULL, 0),
              *laid = three_steps(cpu, mesh, "data, -", NULL, 0);
  CHECK(mica_tensor_equal(alone, laid));
  for (int cut = 0; xla && cut < 2; cut++) {
    static char text[20000];
    mica_tensor *many = three_steps(xla, mesh, cut ? "data, -" : NULL, text, sizeof text);
    mica_closeness same = {0};
    CHECK_OK(mica_tensor_compare(many, alone, 1e-5, 1e-5, &same, NULL));
    CHECK(same.close);
    CHECK_STR_CONTAINS(text, "sdy.mesh @mesh_0 = <[\"data\"=4]>");
    CHECK_STR_CONTAINS(
        text, "tensor<8x12xf32> {sdy.sharding = #sdy.sharding<@mesh_0, [{\"data\"}, {}]>}");
    CHECK_STR_CONTAINS(
        text, cut ? "tensor<12x4xf32> {sdy.sharding = #sdy.sharding<@mesh_0, [{\"data\"}, {}]>}"
                  : "tensor<12x4xf32> {sdy.sharding = #sdy.sharding<@mesh_0, [{}, {}]>}");
    mica_tensor_release(many);
  }
  mica_tensor_release(alone), mica_tensor_release(laid);
  mica_mesh_release(mesh);
  mica_device_release(cpu), mica_device_release(xla);
}

TEST(mistakes) {
  mica_error error = {0};
  mica_mesh *mesh = mica_mesh_create("data=4", NULL);
  mica_tensor *start = noise(MICA_DIMS(6, 4), 3);
  mica_variable *variable = mica_variable_create("w", start);
  CHECK_STATUS(mica_variable_shard(variable, mesh, "data, -", &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "variable 'w': axis 0 of size 6 does not divide");
  CHECK_OK(mica_variable_shard(variable, mesh, "-, data", NULL));
  CHECK_OK(mica_variable_shard(variable, NULL, NULL, NULL));
  CHECK_STATUS(mica_variable_shard(NULL, mesh, NULL, NULL), MICA_INVALID);
  error = (mica_error){0};
  mica_device *device = open_named("cpu");
  mica_store *store = mica_store_create(device, 1);
  CHECK_STATUS(mica_store_shard(store, mesh, "model", &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "\"model\" is no axis");
  CHECK_OK(mica_store_shard(store, mesh, "data", NULL));
  CHECK_OK(mica_store_shard(store, NULL, NULL, NULL));
  mica_store_destroy(store);
  mica_device_release(device);
  mica_variable_release(variable);
  mica_tensor_release(start);
  mica_mesh_release(mesh);
}

/* ---- the trainer -------------------------------------------------------------------------------- */

enum { ROWS = 16, WIDTH = 12, CLASSES = 4, STEPS = 8 };

static mica_value network(mica_scope *scope, const mica_value *inputs, void *user) {
  (void)user;
  mica_value x = mica_relu(mica_nn_dense(mica_scope_in(scope, "hidden"), inputs[0], .units = 32));
  x = mica_nn_layer_norm(mica_scope_in(scope, "norm"), x);
  return mica_nn_dense(mica_scope_in(scope, "classes"), x, .units = CLASSES);
}
static mica_value entropy(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_reduce_mean(mica_softmax_cross_entropy(prediction, targets[0]), MICA_ALL);
}

typedef struct {
  const char *backend, *mesh, *batch_axes, *parameter_axes;
} way;

static mica_tensor *labels_of_rows(int rows) {
  int32_t labels[ROWS];
  for (int i = 0; i < rows; i++) labels[i] = (i * 7) % CLASSES;
  return mica_tensor_from(MICA_I32, MICA_DIMS(rows), labels);
}

/* Trains; with a folder it saves after half of the steps, or goes on from there. False: no such device. */
static bool train(way w, const char *folder, bool restore, double losses[STEPS]) {
  mica_error error = {0};
  mica_device *device = open_named(w.backend);
  if (!device) return false;
  mica_store *store = mica_store_create(device, 7);
  mica_mesh *mesh = w.mesh ? mica_mesh_create(w.mesh, &error) : NULL;
  mica_trainer *trainer = mica_trainer_create(
      store, network, entropy, .optimizer = mica_optimizer_adam(0), .learning_rate = 0.01,
      .mesh = mesh, .batch_axes = w.batch_axes, .parameter_axes = w.parameter_axes);
  mica_mesh_release(mesh); /* the trainer has it */
  mica_training_loop *loop = mica_training_loop_create(trainer);
  mica_training_checkpoints saved = {.struct_size = sizeof saved, .folder = folder};
  int first = restore ? STEPS / 2 : 0;
  bool found = false;
  if (restore) {
    CHECK_OK_ERROR(
        mica_training_restore(loop, NULL, &saved, MICA_CHECKPOINT_NEWEST, &found, &error), &error);
    CHECK(found);
  }
  for (int step = first; step < STEPS; step++) {
    int rows = step == 2 ? ROWS - 1 : ROWS; /* one batch does not divide */
    mica_tensor *batch[2] = {noise(MICA_DIMS(rows, WIDTH), 100u + (uint32_t)step),
                             labels_of_rows(rows)};
    if (folder && !restore && step == STEPS / 2)
      CHECK_OK_ERROR(mica_training_save(loop, NULL, &saved, &error), &error);
    CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
    losses[step] = mica_trainer_last(trainer).loss;
    mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
  }
  mica_tensor *batch[2] = {noise(MICA_DIMS(ROWS, WIDTH), 1), labels_of_rows(ROWS)};
  CHECK_OK_ERROR(mica_trainer_evaluate(trainer, batch, 2, &error), &error);
  mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
  mica_training_loop_destroy(loop);
  mica_trainer_destroy(trainer);
  mica_store_destroy(store);
  mica_device_release(device);
  return true;
}

TEST(trainers_on_a_mesh) {
  static const way ways[] = {{"cpu", "data=4", NULL, NULL},
                             {"cpu", "data=2, model=2", "data", "data+model"},
                             {"xla:cpu,devices=4", "data=4", NULL, NULL},
                             {"xla:cpu,devices=4", "data=4", NULL, "data"},
                             {"xla:cpu,devices=4", "data=2, model=2", "data+model", "model"}};
  double alone[STEPS], many[STEPS];
  CHECK(train((way){"cpu", NULL, NULL, NULL}, NULL, false, alone));
  CHECK(alone[0] > 0 && alone[STEPS - 1] != alone[0]);
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
    if (train(ways[i], NULL, false, many))
      for (int step = 0; step < STEPS; step++)
        CHECK_NEAR_RELATIVE(many[step], alone[step], i < 2 ? 0 : 1e-4);
}

TEST(wrong_axes_are_reported_by_the_step) {
  mica_device *device = open_named("cpu");
  mica_store *store = mica_store_create(device, 7);
  mica_mesh *mesh = mica_mesh_create("data=2", NULL);
  mica_tensor *batch[2] = {noise(MICA_DIMS(ROWS, WIDTH), 1), labels_of_rows(ROWS)};
  for (int which = 0; which < 2; which++) {
    mica_error error = {0};
    mica_trainer *trainer =
        mica_trainer_create(store, network, entropy, .optimizer = mica_optimizer_sgd(0),
                            .learning_rate = 0.1, .mesh = mesh, .batch_axes = which ? NULL : "rows",
                            .parameter_axes = which ? "columns" : NULL);
    CHECK_STATUS(mica_trainer_step(trainer, batch, 2, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, which ? "parameter_axes: \"columns\" is no axis"
                                            : "batch_axes: \"rows\" is no axis");
    mica_trainer_destroy(trainer);
  }
  mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
  mica_mesh_release(mesh);
  mica_store_destroy(store);
  mica_device_release(device);
}

/* Saved with parameters cut on four devices, and gone on from on two by two, repeated, and on one. */
TEST(a_checkpoint_goes_to_another_mesh) {
  const char *folder = check_temporary_path("mesh");
  double whole[STEPS], rest[STEPS];
  static const way first[] = {{"cpu", "data=4", NULL, "data"},
                              {"xla:cpu,devices=4", "data=4", NULL, "data"}};
  static const way then[] = {{"cpu", NULL, NULL, NULL},
                             {"cpu", "data=2, model=2", NULL, "model"},
                             {"xla:cpu,devices=4", "data=2, model=2", NULL, "model"},
                             {"xla:cpu,devices=4", "data=2, model=2", "data+model", NULL}};
  for (size_t f = 0; f < 2; f++) {
    if (!train(first[f], folder, false, whole)) continue;
    for (size_t t = 0; t < sizeof then / sizeof then[0]; t++)
      if (train(then[t], folder, true, rest))
        for (int step = STEPS / 2; step < STEPS; step++)
          CHECK_NEAR_RELATIVE(rest[step], whole[step], 1e-4);
  }
}

TEST_MAIN(TEST_CASE(a_jit_on_a_mesh), TEST_CASE(mistakes), TEST_CASE(trainers_on_a_mesh),
          TEST_CASE(wrong_axes_are_reported_by_the_step),
          TEST_CASE(a_checkpoint_goes_to_another_mesh))
