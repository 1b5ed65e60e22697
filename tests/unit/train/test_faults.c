/* SPDX-License-Identifier: Apache-2.0 */
/* Store, scopes, trainer and loop when the n-th request to the device's allocator fails, alone or with all that follow: an
 * error comes back, nothing is left behind, and the same work succeeds afterwards. All n with MICA_TEST_ALL=1, else some. */
#include "unit/core/testing_allocator.h"

#include "mica/nn.h"
#include "mica/ops.h"
#include "mica/train.h"

static mica_value model(mica_scope *scope, const mica_value *in, void *user) {
  (void)user;
  mica_value x = mica_nn_batch_norm(mica_scope_in(scope, "norm"), in[0]);
  x = mica_nn_dropout(scope, x, mica_scope_get_number(scope, "rate", 0.1));
  return mica_nn_dense(mica_scope_in(scope, "out"), x, .units = 1, .l2 = 0.1);
}
static mica_value loss(mica_value prediction, const mica_value *targets, void *user) {
  (void)user;
  return mica_loss_squared_error(prediction, targets[0]);
}
static mica_status next(void *user, mica_tensor **batch, size_t count, bool *out_end,
                        mica_error *error) {
  mica_tensor **all = user;
  (void)error;
  for (size_t i = 0; i < count; i++) batch[i] = mica_tensor_retain(all[i]);
  *out_end = false;
  return MICA_OK;
}
static mica_status hook(mica_training_state *state, void *user, mica_error *error) {
  (void)state, (void)user, (void)error;
  return MICA_OK;
}

static bool train(const mica_allocator *allocator, mica_tensor **data) {
  mica_error error = {0};
  mica_device_options options = {
      .struct_size = sizeof options, .threads = 1, .allocator = *allocator};
  mica_device *device = mica_device_open(&options, &error);
  mica_store *store = device ? mica_store_create(device, 1) : NULL;
  bool well = store && mica_store_set_number(store, "rate", 0.2, &error) == MICA_OK &&
              mica_store_set(store, "rate=0.3", &error) == MICA_OK &&
              mica_store_group(store, "**bias", .no_decay = true, .error = &error) == MICA_OK;
  mica_trainer *trainer =
      well ? mica_trainer_create(store, model, loss, .optimizer = mica_optimizer_adam(.beta1 = 0.9),
                                 .learning_rate = 0.1, .clip_norm = 1, .ema = 0.9, .accumulate = 2)
           : NULL;
  mica_training_loop *loop = mica_training_loop_create(trainer);
  well = loop && mica_training_loop_on(loop, MICA_ON_STEP, hook, NULL) == MICA_OK &&
         mica_training_loop_run(loop, next, data, 3, 0, &error) == MICA_OK;
  char text[2048];
  well = well && mica_store_summary(store, text, sizeof text) > 0;
  mica_training_loop_destroy(loop);
  mica_trainer_destroy(trainer);
  mica_store_destroy(store);
  mica_device_release(device);
  return well;
}

TEST(allocations) {
  float x[12], y[4] = {1, 2, 3, 4};
  for (int i = 0; i < 12; i++) x[i] = (float)((i * 5) % 7) - 3;
  mica_tensor *data[2] = {mica_tensor_from(MICA_F32, MICA_DIMS(4, 3), x),
                          mica_tensor_from(MICA_F32, MICA_DIMS(4, 1), y)};
  testing_allocator counted = {.fail_at = 0};
  mica_allocator plain = testing_allocator_value(&counted);
  CHECK(train(&plain, data));
  CHECK_EQ_INT(counted.live, 0);
  int64_t step = check_all() ? 1 : counted.calls / 60 + 1;
  for (int64_t n = 1 + check_rotation() % step; n <= counted.calls; n += step)
    for (int after = 0; after < 2; after++) {
      testing_allocator state = {.fail_at = n, .fail_after = after == 1};
      mica_allocator allocator = testing_allocator_value(&state);
      bool worked = train(&allocator, data), reached = state.calls >= n;
      if (worked && reached && after)
        CHECK_FAIL("failure of allocation %lld was not reported", (long long)n);
      if (state.live != 0)
        CHECK_FAIL("allocation %lld: %lld blocks are left", (long long)n, (long long)state.live);
    }
  mica_tensor_release(data[0]), mica_tensor_release(data[1]);
}

TEST_MAIN(TEST_CASE(allocations))
