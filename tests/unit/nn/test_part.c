/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a model that are computed again: the same gradients, with dropout, batch norm and terms of the loss in
 * them, and less memory. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"
#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/train.h"

enum { ROWS = 256, WIDTH = 64, BLOCKS = 8 };

static mica_device *device;

/* A block keeps what is wide: its inside is four times its width. */
static mica_value blocks(mica_scope *scope, const mica_value *in, void *user) {
  mica_value x = in[0];
  (void)user;
  for (int i = 0; i < BLOCKS; i++) {
    mica_scope *block = mica_scope_in_index(scope, "block", i);
    mica_scope_part part = mica_scope_part_begin(block);
    mica_value y = mica_nn_dense(mica_scope_in(block, "up"), x, .units = 4 * WIDTH, .l2 = 1e-3);
    y = mica_nn_batch_norm(mica_scope_in(block, "norm"), mica_gelu(y));
    y = mica_nn_dropout(mica_scope_in(block, "drop"), mica_tanh(y), 0.2);
    y = mica_nn_dense(mica_scope_in(block, "down"), y, .units = WIDTH);
    x = mica_scope_part_end(part, mica_add(x, y));
  }
  return mica_nn_dense(mica_scope_in(scope, "out"), x, .units = 1);
}
static mica_value square(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_reduce_mean(mica_square(mica_sub(prediction, targets[0])), MICA_ALL);
}

/* The same as a jit of its own, whose executable tells its memory. */
static void build_gradients(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  mica_scope *scope = mica_scope_open(user, graph, true);
  mica_value values[BLOCKS * 8], gradients[BLOCKS * 8];
  mica_value loss = square(blocks(scope, in, NULL), in + 1, NULL);
  size_t count = mica_scope_trainable(scope, BLOCKS * 8, values, NULL, NULL);
  mica_gradients(loss, values, count, gradients);
  out[0] = loss;
  out[1] = mica_global_norm(gradients, count);
  mica_scope_close(scope);
}

static void make_batch(mica_dtype dtype, mica_tensor *batch[2]) {
  static double x[ROWS * WIDTH];
  for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (double)(i * 7919 % 1000) / 1000 - 0.5;
  batch[0] = mica_tensor_from_doubles(dtype, MICA_DIMS(ROWS, WIDTH), x);
  batch[1] = mica_tensor_from_doubles(dtype, MICA_DIMS(ROWS, 1), x);
}

static mica_store *make_store(const char *recompute) {
  mica_store *store = mica_store_create(device, 4);
  if (recompute) CHECK_OK(mica_store_set_flag(store, recompute, true, NULL));
  return store;
}

static size_t arena_of(const char *recompute) {
  mica_error error = {0};
  mica_tensor *batch[2], *out[2] = {NULL};
  make_batch(MICA_F32, batch);
  mica_store *store = make_store(recompute);
  mica_jit *jit =
      mica_jit_create(device, build_gradients, .inputs = 2, .outputs = 2, .user = store);
  mica_executable *executable = NULL;
  const mica_type types[] = {mica_tensor_type(batch[0]), mica_tensor_type(batch[1])};
  CHECK_OK_ERROR(mica_jit_call(jit, batch, 2, out, 2, &error), &error);
  CHECK_OK_ERROR(mica_jit_compile(jit, types, 2, &executable, &error), &error);
  size_t bytes = executable ? mica_executable_arena_bytes(executable) : 0;
  mica_executable_release(executable);
  for (int i = 0; i < 2; i++) mica_tensor_release(batch[i]), mica_tensor_release(out[i]);
  mica_jit_destroy(jit);
  mica_store_destroy(store);
  return bytes;
}

TEST(less_memory) {
  size_t kept = arena_of(NULL), one = arena_of("block3/recompute"), all = arena_of("recompute");
  printf("  bytes of the arena: kept %zu, one block again %zu, all %zu\n", kept, one, all);
  CHECK(one < kept && all < one);
  CHECK(all < kept / 2);
}

TEST(same_training) {
  static const char *const ways[] = {NULL, "recompute", "block2/recompute"};
  mica_tensor *batch[2];
  mica_store *stores[3];
  double losses[3][5];
  make_batch(MICA_F64, batch);
  for (int way = 0; way < 3; way++) {
    mica_error error = {0};
    stores[way] = make_store(ways[way]);
    mica_trainer *trainer = mica_trainer_create(stores[way], blocks, square, .learning_rate = 1e-3,
                                                .optimizer = mica_optimizer_adam());
    for (int step = 0; step < 5; step++) {
      CHECK_OK_ERROR(mica_trainer_step(trainer, batch, 2, &error), &error);
      losses[way][step] = mica_trainer_last(trainer).total;
    }
    CHECK(mica_trainer_last(trainer).total > mica_trainer_last(trainer).loss); /* with l2 */
    mica_trainer_destroy(trainer);
  }
  for (int way = 1; way < 3; way++) {
    mica_store_entry a, b;
    for (int step = 0; step < 5; step++)
      CHECK_NEAR_RELATIVE(losses[way][step], losses[0][step], 1e-11);
    CHECK_EQ_INT(mica_store_count(stores[way]), mica_store_count(stores[0]));
    for (size_t i = 0; mica_store_get(stores[0], i, &a); i++) {
      mica_closeness closeness = {0};
      if (!CHECK(mica_store_find(stores[way], a.path, &b))) continue;
      mica_tensor *x = mica_variable_snapshot(a.variable), *y = mica_variable_snapshot(b.variable);
      if (mica_tensor_compare(x, y, 1e-9, 1e-11, &closeness, NULL) || !closeness.close)
        CHECK_FAIL("%s differs by %g when computed again", a.path, closeness.worst_error);
      mica_tensor_release(x), mica_tensor_release(y);
    }
  }
  for (int way = 0; way < 3; way++) mica_store_destroy(stores[way]);
  mica_tensor_release(batch[0]), mica_tensor_release(batch[1]);
}

int main(int argc, char **argv) {
  static const check_case cases[] = {TEST_CASE(less_memory), TEST_CASE(same_training)};
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  device = mica_device_open(&options, NULL);
  int code = check_main(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
  mica_device_release(device);
  return code;
}
