/* SPDX-License-Identifier: Apache-2.0 */
/* After it has warmed up, training allocates nothing: neither a step of the trainer, whatever it does besides, nor a step of a loop
 * over a data set that is read ahead, nor an evaluation. Counted by standing in for malloc and its kin. */
#include <math.h>
#include <stdio.h>

#include "check.h"
#include "interpose.h"
#include "mica/data.h"
#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/train.h"

enum { ROWS = 256, WIDTH = 20, BATCH = 8, WARM = 38, STEPS = 60 }; /* 32 batches in an epoch */

static mica_value network(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value x = mica_relu(mica_nn_dense(mica_scope_in(scope, "one"), in[0], .units = 32));
  x = mica_nn_dropout(mica_scope_in(scope, "drop"), x, 0.1);
  return mica_nn_dense(mica_scope_in(scope, "two"), x, .units = 4);
}
static mica_value convolutions(mica_scope *scope, const mica_value *in, void *user) {
  mica_value x = mica_reshape(in[0], MICA_DIMS(mica_dim_of(in[0], 0), 5, 4, 1));
  x = mica_relu(mica_nn_conv(mica_scope_in(scope, "conv"), x, .channels = 4));
  x = mica_nn_batch_norm(mica_scope_in(scope, "norm"), x);
  x = mica_reshape(x, MICA_DIMS(mica_dim_of(x, 0), 80));
  (void)user;
  return mica_nn_dense(mica_scope_in(scope, "out"), x, .units = 4);
}
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_cross_entropy_logits(prediction, targets[0]);
}

static mica_dataset *make_data(bool upload, mica_device *device, mica_error *error) {
  float x[ROWS * WIDTH];
  int32_t y[ROWS];
  for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)sin(i * 0.37);
  for (int i = 0; i < ROWS; i++) y[i] = i % 4;
  mica_tensor *tensors[] = {mica_tensor_from(MICA_F32, MICA_DIMS(ROWS, WIDTH), x),
                            mica_tensor_from(MICA_I32, MICA_DIMS(ROWS), y)};
  mica_memory_options options = {.struct_size = sizeof options,
                                 .tensors = tensors,
                                 .count = 2,
                                 .batch = BATCH,
                                 .shuffle = true,
                                 .seed = 1};
  mica_dataset *data = mica_dataset_from_tensors(&options, error);
  if (upload) data = mica_dataset_upload(data, device, 2, error);
  mica_tensor_release(tensors[0]), mica_tensor_release(tensors[1]);
  return data;
}

typedef struct {
  int64_t counted;
} counts;
/* Counting begins when all is warm, within the run, and ends with its last step. */
static mica_status count_steps(mica_training_state *state, void *user, mica_error *error) {
  counts *c = user;
  (void)error;
  if (state->step == WARM) fault_begin_kinds(FAULT_NONE, 0, FAULT_MEMORY | FAULT_MAP);
  if (state->step == state->steps) {
    fault_end();
    c->counted = fault_count();
  }
  return MICA_OK;
}

static void train(const char *name, mica_trainer_args *args, bool upload) {
  mica_error error = {0};
  mica_device_options options = {.struct_size = sizeof options, .threads = check_threads(2)};
  mica_device *device = mica_device_open(&options, &error);
  mica_store *store = mica_store_create(device, 3);
  args->struct_size = sizeof *args;
  args->store = store;
  args->loss = loss;
  args->learning_rate = 1e-3;
  mica_trainer *trainer = mica_trainer_create_with(args);
  mica_training_loop *loop = mica_training_loop_create(trainer);
  mica_dataset *data = make_data(upload, device, &error), *test = make_data(false, device, &error);
  counts c = {.counted = -1};
  CHECK_OK(mica_training_loop_on(loop, MICA_ON_STEP, count_steps, &c));
  /* Within an epoch: the first batch of one is a new tensor, and reading ahead begins a thread. */
  CHECK_OK_ERROR(mica_training_loop_run_dataset(loop, data, STEPS, 0, &error), &error);
  if (c.counted != 0)
    CHECK_FAIL("%s: %d allocations in %d steps of a loop", name, (int)c.counted, STEPS - WARM);

  mica_batch batch = {0};
  CHECK_OK(mica_dataset_begin(test, 0, &error));
  CHECK_OK(mica_dataset_next(test, &batch, &error));
  for (int kind = 0; kind < 2;
       kind++) { /* weights are packed for the kernels by the first two evaluations */
    mica_status status = MICA_OK;
    for (int step = 0; step < 9 && status == MICA_OK; step++) {
      if (step == 4) fault_begin_kinds(FAULT_NONE, 0, FAULT_MEMORY | FAULT_MAP);
      status = kind == 0 ? mica_trainer_step(trainer, batch.tensor, 2, &error)
                         : mica_trainer_evaluate(trainer, batch.tensor, 2, &error);
    }
    fault_end();
    CHECK_OK_ERROR(status, &error);
    if (fault_count() != 0)
      CHECK_FAIL("%s: %d allocations in 5 %s", name, (int)fault_count(),
                 kind ? "evaluations" : "steps");
  }
  mica_batch_clear(&batch);
  mica_dataset_destroy(data), mica_dataset_destroy(test);
  mica_training_loop_destroy(loop), mica_trainer_destroy(trainer), mica_store_destroy(store);
  mica_device_release(device);
}

TEST(plain) {
  mica_trainer_args args = {.model = network, .optimizer = mica_optimizer_adam()};
  train("plain", &args, false);
}
TEST(read_ahead) {
  mica_trainer_args args = {.model = network, .optimizer = mica_optimizer_adam()};
  train("read ahead", &args, true);
}
TEST(convolution) {
  mica_trainer_args args = {.model = convolutions,
                            .optimizer = mica_optimizer_sgd(.momentum = 0.9)};
  train("convolution", &args, false);
}
TEST(everything) {
  const mica_metric_definition metrics[] = {mica_metric_accuracy(),
                                            mica_metric_confusion(.classes = 4)};
  mica_trainer_args args = {.model = network,
                            .optimizer = mica_optimizer_adamw(.weight_decay = 0.01),
                            .accumulate = 3,
                            .clip_norm = 1,
                            .compute = MICA_F16,
                            .ema = 0.99,
                            .metrics = metrics,
                            .metric_count = 2};
  train("everything", &args, false);
}

TEST_MAIN(TEST_CASE(plain), TEST_CASE(read_ahead), TEST_CASE(convolution), TEST_CASE(everything))
