/* SPDX-License-Identifier: Apache-2.0 */
/* test_faults.c: the n-th request to the device's allocator fails, alone or with all that follow, for every
 * n: each time an error comes back, nothing is left behind, variables keep their values, and the same work
 * succeeds afterwards. */
#include "unit/backend/support.h"

#include <stdio.h>

/* A training step of a small network with a loop in it; in: x [4, 3]; out: loss, and the loop's count. */
typedef struct {
  mica_variable *w, *b;
} network;

static void build_network(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  network *model = user;
  mica_value p[2] = {mica_variable_read(graph, model->w), mica_variable_read(graph, model->b)},
             d[2];
  mica_value y = mica_softmax(mica_relu(mica_add(mica_matmul(in[0], p[0]), p[1])), -1);
  mica_value start[2] = {y, mica_scalar(graph, MICA_I32, 0)}, end[2];
  mica_region loop = mica_while_begin(graph, start, 2, 3);
  mica_while_body(loop, mica_less(mica_argument(loop, 1), 2));
  mica_value next[2] = {mica_mul(mica_argument(loop, 0), p[1]),
                        mica_add(mica_argument(loop, 1), 1)};
  mica_while_end(loop, next, end);
  out[0] = mica_reduce_sum(end[0], MICA_ALL);
  out[1] = end[1];
  mica_gradients(out[0], p, 2, d);
  for (int i = 0; i < 2; i++)
    mica_variable_assign(i == 0 ? model->w : model->b, mica_sub(p[i], mica_mul(d[i], 0.5)));
}

static const float weights[12] = {0.5f, -1, 2, 1, 0.25f, 3, -2, 1, 1, 0, -0.5f, 1};
static const float biases[4] = {0.5f, 1, -1, 2};
static const float inputs[12] = {1, 2, 3, -1, 0, 1, 0.5f, 0.5f, 0.5f, 2, -2, 1};

/* Opens, traces, compiles and runs twice. Returns the first failure; *out_loss is the second step's. */
static mica_status do_all(counting *count, network *model, double *out_loss, mica_error *error) {
  mica_device_options options = {
      .struct_size = sizeof(options), .threads = 1, .allocator = counting_allocator(count)};
  mica_device *device = mica_device_open(&options, error);
  mica_jit *jit = mica_jit_create(device, build_network, .inputs = 1, .outputs = 2, .user = model);
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(4, 3), inputs), *out[2] = {NULL, NULL};
  mica_status status = MICA_OK;
  /* A jit has no other reason to be missing, so its constructor takes no error. */
  if (device != NULL && jit == NULL)
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a jit");
  for (int i = 0; i < 2 && status == MICA_OK; i++)
    status = mica_jit_call(jit, &in, 1, out, 2, error);
  if (status == MICA_OK) *out_loss = first_of(out[0]);
  mica_tensor_release(out[0]);
  mica_tensor_release(out[1]);
  mica_tensor_release(in);
  mica_jit_destroy(jit);
  mica_device_release(device);
  return status;
}

static network new_network(void) {
  mica_tensor *w = mica_tensor_from(MICA_F32, MICA_DIMS(3, 4), weights);
  mica_tensor *b = mica_tensor_from(MICA_F32, MICA_DIMS(4), biases);
  network model = {mica_variable_create("w", w), mica_variable_create("b", b)};
  mica_tensor_release(w);
  mica_tensor_release(b);
  return model;
}

static void free_network(network *model) {
  mica_variable_release(model->w);
  mica_variable_release(model->b);
}

static void sweep(bool fail_on) {
  counting clean = {0};
  network model = new_network();
  double loss = 0, again = 0;
  mica_error error = {0};
  CHECK_OK_ERROR(do_all(&clean, &model, &loss, &error), &error);
  free_network(&model);
  CHECK_EQ_INT(clean.live, 0);
  int64_t total = clean.calls, step = check_all() ? 1 : 10;
  int failures = check_failure_count();
  for (int64_t n = check_all() ? 1 : 1 + check_rotation() % 10; n <= total; n += step) {
    counting count = {.fail_at = n, .fail_on = fail_on};
    model = new_network();
    error = (mica_error){0};
    mica_status status = do_all(&count, &model, &again, &error);
    CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
    CHECK_STATUS(error.status, MICA_OUT_OF_MEMORY);
    CHECK(error.message[0] != '\0');
    free_network(&model);
    CHECK_EQ_INT(count.live, 0);
    if (check_failure_count() != failures) {
      CHECK_FAIL("request %lld of %lld failed%s", (long long)n, (long long)total,
                 fail_on ? " and all after it" : "");
      return;
    }
  }
  model = new_network();
  counting later = {0};
  CHECK_OK(do_all(&later, &model, &again, NULL));
  CHECK_NEAR(again, loss, 0);
  free_network(&model);
}

TEST(one_request_fails) { sweep(false); }
TEST(all_requests_from_one_on_fail) { sweep(true); }

/* While the outputs of a call are made: the call harms nothing, and its next try succeeds. */
TEST(a_call_that_fails_changes_nothing) {
  counting count = {0};
  mica_device_options options = {
      .struct_size = sizeof(options), .threads = 1, .allocator = counting_allocator(&count)};
  mica_device *device = mica_device_open(&options, NULL);
  network model = new_network();
  mica_jit *jit = mica_jit_create(device, build_network, .inputs = 1, .outputs = 2, .user = &model);
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(4, 3), inputs), *out[2] = {NULL, NULL};
  CHECK_OK(mica_jit_call(jit, &in, 1, out, 2, NULL));
  for (int64_t n = 1; n <= 4; n++) {
    /* Two outputs are wanted anew, and a snapshot keeps the variables from being written over. */
    mica_tensor_release(out[0]);
    mica_tensor_release(out[1]);
    out[0] = out[1] = NULL;
    mica_tensor *w = mica_variable_snapshot(model.w), *b = mica_variable_snapshot(model.b);
    count.fail_at = count.calls + n;
    CHECK_STATUS(mica_jit_call(jit, &in, 1, out, 2, NULL), MICA_OUT_OF_MEMORY);
    count.fail_at = 0;
    CHECK(out[0] == NULL && out[1] == NULL);
    mica_tensor *w_now = mica_variable_snapshot(model.w), *b_now = mica_variable_snapshot(model.b);
    CHECK(w_now == w && b_now == b);
    mica_tensor_release(w_now);
    mica_tensor_release(b_now);
    mica_tensor_release(w);
    mica_tensor_release(b);
    CHECK_OK(mica_jit_call(jit, &in, 1, out, 2, NULL));
  }
  mica_tensor_release(out[0]);
  mica_tensor_release(out[1]);
  mica_tensor_release(in);
  mica_jit_destroy(jit);
  free_network(&model);
  mica_device_release(device);
  CHECK_EQ_INT(count.live, 0);
}

TEST_MAIN(TEST_CASE(one_request_fails), TEST_CASE(all_requests_from_one_on_fail),
          TEST_CASE(a_call_that_fails_changes_nothing))
