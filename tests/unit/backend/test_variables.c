/* SPDX-License-Identifier: Apache-2.0 */
/* test_variables.c: cells that calls read and assign: a training step, snapshots, values that are lost and
 * mended, and the memory that a step uses. */
#include "core/tensor.h"
#include "backend/device.h"
#include "unit/backend/support.h"

#include <math.h>
#include <stdio.h>

/* ---- a step of gradient descent --------------------------------------------------------------- */

typedef struct {
  mica_variable *w, *b;
} linear;

/* in: x [n, 2], y [n]; out: the loss. */
static void build_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  linear *model = user;
  mica_value p[2] = {mica_variable_read(graph, model->w), mica_variable_read(graph, model->b)};
  mica_value miss = mica_sub(mica_add(mica_matmul(in[0], p[0]), p[1]), in[1]), d[2];
  out[0] = mica_reduce_mean(mica_square(miss), MICA_ALL);
  mica_gradients(out[0], p, 2, d);
  mica_variable_assign(model->w, mica_sub(p[0], mica_mul(d[0], 0.1)));
  mica_variable_assign(model->b, mica_sub(p[1], mica_mul(d[1], 0.1)));
}

enum { EXAMPLES = 4 };
static const double points[EXAMPLES][2] = {{1, 2}, {-1, 0.5}, {0.25, -2}, {3, 1}};
static const double targets[EXAMPLES] = {1, -2, 0.5, 4};

/* The same step by hand. */
static double step_by_hand(double w[2], double *b) {
  double loss = 0, dw[2] = {0, 0}, db = 0;
  for (int i = 0; i < EXAMPLES; i++) {
    double miss = points[i][0] * w[0] + points[i][1] * w[1] + *b - targets[i];
    loss += miss * miss / EXAMPLES;
    for (int k = 0; k < 2; k++) dw[k] += 2 * miss * points[i][k] / EXAMPLES;
    db += 2 * miss / EXAMPLES;
  }
  for (int k = 0; k < 2; k++) w[k] -= 0.1 * dw[k];
  *b -= 0.1 * db;
  return loss;
}

TEST(a_step_trains) {
  mica_device *device = open_device();
  mica_tensor *start = mica_tensor_from(MICA_F64, MICA_DIMS(2), (double[]){0.5, -0.5});
  mica_tensor *zero = mica_tensor_scalar(MICA_F64, 0);
  linear model = {mica_variable_create("w", start), mica_variable_create("b", zero)};
  mica_tensor_release(start);
  mica_tensor_release(zero);
  mica_jit *step = mica_jit_create(device, build_step, .inputs = 2, .outputs = 1, .user = &model);
  mica_tensor *in[2] = {mica_tensor_from(MICA_F64, MICA_DIMS(EXAMPLES, 2), points),
                        mica_tensor_from(MICA_F64, MICA_DIMS(EXAMPLES), targets)};
  mica_tensor *loss = NULL;
  double w[2] = {0.5, -0.5}, b = 0;
  for (int i = 0; i < 20; i++) {
    CHECK_OK(mica_jit_call(step, in, 2, &loss, 1, NULL));
    /* Both sides add four numbers in f64: a few units of 1e-16, amplified by 20 steps. */
    CHECK_NEAR_RELATIVE(first_of(loss), step_by_hand(w, &b), 1e-12);
  }
  CHECK_NEAR_RELATIVE(value_of(model.w), w[0], 1e-12);
  CHECK_NEAR_RELATIVE(value_of(model.b), b, 1e-12);
  CHECK_EQ_INT(mica_jit_cache_count(step), 1);
  CHECK_EQ_STR(mica_variable_name(model.w), "w");
  mica_tensor_release(loss);
  mica_tensor_release(in[0]);
  mica_tensor_release(in[1]);
  mica_jit_destroy(step);
  mica_variable_release(model.w);
  mica_variable_release(model.b);
  mica_device_release(device);
}

/* ---- snapshots and donation ------------------------------------------------------------------- */

static void build_count(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)in, (void)out;
  mica_variable *counter = user;
  mica_variable_assign(counter, mica_add(mica_variable_read(graph, counter), 1));
}

TEST(snapshots_keep_their_value) {
  mica_device *device = open_device();
  mica_tensor *zero = mica_tensor_scalar(MICA_F32, 0);
  mica_variable *counter = mica_variable_create("n", zero);
  mica_jit *jit = mica_jit_create(device, build_count, .user = counter);
  CHECK_OK(mica_jit_call(jit, NULL, 0, NULL, 0, NULL));
  CHECK_NEAR(first_of(zero), 0, 0); /* the initial tensor is the caller's too */
  CHECK_NEAR(value_of(counter), 1, 0);
  mica_tensor *one = mica_variable_snapshot(counter);
  CHECK_OK(mica_jit_call(jit, NULL, 0, NULL, 0, NULL));
  CHECK_NEAR(first_of(one), 1, 0);
  CHECK_NEAR(value_of(counter), 2, 0);
  /* With no snapshot the memory stays the same, and the version tells of the change. */
  mica_tensor *before = mica_variable_snapshot(counter);
  const void *memory = mica_tensor_data(before);
  uint64_t version = mica_tensor_version(before);
  mica_tensor_release(before);
  CHECK_OK(mica_jit_call(jit, NULL, 0, NULL, 0, NULL));
  mica_tensor *after = mica_variable_snapshot(counter);
  CHECK(mica_tensor_data(after) == memory);
  CHECK(mica_tensor_version(after) > version);
  CHECK_NEAR(first_of(after), 3, 0);
  mica_tensor_release(after);
  mica_tensor_release(one);
  mica_tensor_release(zero);
  mica_jit_destroy(jit);
  mica_variable_release(counter);
  mica_device_release(device);
}

typedef struct {
  mica_variable *a, *b;
} cell_pair;

/* Both new values are the other's old one, whose memory is being overwritten. */
static void build_swap(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)in;
  cell_pair *cells = user;
  mica_value a = mica_variable_read(graph, cells->a), b = mica_variable_read(graph, cells->b);
  mica_variable_assign(cells->a, b);
  mica_variable_assign(cells->b, a);
  out[0] = mica_variable_read(graph, cells->a); /* the new value */
  out[1] = mica_sub(a, b);                      /* of the old ones */
}

TEST(variables_change_places) {
  mica_device *device = open_device();
  mica_tensor *x = floats(3, (float[]){1, 2, 3}), *y = floats(3, (float[]){10, 20, 30});
  cell_pair cells = {mica_variable_create("a", x), mica_variable_create("b", y)};
  mica_tensor_release(x);
  mica_tensor_release(y);
  mica_jit *jit = mica_jit_create(device, build_swap, .outputs = 2, .user = &cells);
  mica_tensor *out[2] = {NULL, NULL};
  for (int i = 0; i < 5; i++) {
    CHECK_OK(mica_jit_call(jit, NULL, 0, out, 2, NULL));
    bool odd = i % 2 == 1;
    CHECK_NEAR(value_of(cells.a), odd ? 1 : 10, 0);
    CHECK_NEAR(value_of(cells.b), odd ? 10 : 1, 0);
    CHECK_NEAR(first_of(out[0]), odd ? 1 : 10, 0);
    CHECK_NEAR(first_of(out[1]), odd ? 9 : -9, 0);
  }
  mica_tensor_release(out[0]);
  mica_tensor_release(out[1]);
  mica_jit_destroy(jit);
  mica_variable_release(cells.a);
  mica_variable_release(cells.b);
  mica_device_release(device);
}

static void build_store(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)out;
  mica_variable_assign(user, in[0]);
}

TEST(a_variable_may_be_assigned_only) {
  mica_device *device = open_device();
  mica_tensor *x = mica_tensor_scalar(MICA_F32, 4), *y = mica_tensor_scalar(MICA_F32, 9);
  mica_variable *cell = mica_variable_create("cell", x);
  mica_jit *jit = mica_jit_create(device, build_store, .inputs = 1, .user = cell);
  CHECK_OK(mica_jit_call(jit, &y, 1, NULL, 0, NULL));
  CHECK_NEAR(value_of(cell), 9, 0);
  CHECK_NEAR(first_of(x), 4, 0);
  /* The value that the variable holds may be an input. */
  mica_tensor *held = mica_variable_snapshot(cell);
  CHECK_OK(mica_jit_call(jit, &held, 1, NULL, 0, NULL));
  CHECK_NEAR(value_of(cell), 9, 0);
  CHECK_NEAR(first_of(held), 9, 0);
  mica_tensor_release(held);
  mica_tensor_release(x);
  mica_tensor_release(y);
  mica_jit_destroy(jit);
  mica_variable_release(cell);
  mica_device_release(device);
}

TEST(set_replaces_and_refuses) {
  mica_tensor *x = mica_tensor_scalar(MICA_F32, 1), *y = mica_tensor_scalar(MICA_F32, 2);
  mica_tensor *wrong = mica_tensor_scalar(MICA_F64, 3);
  CHECK(mica_variable_create("v", NULL) == NULL);
  mica_variable *variable = mica_variable_create("v", x);
  mica_error error = {0};
  CHECK_OK(mica_variable_set(variable, y, NULL));
  CHECK_NEAR(value_of(variable), 2, 0);
  CHECK_STATUS(mica_variable_set(variable, wrong, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "'v' is f32[]");
  CHECK_STR_CONTAINS(error.message, "f64[]");
  CHECK_STATUS(mica_variable_set(variable, NULL, NULL), MICA_INVALID);
  CHECK_STATUS(mica_variable_set(NULL, y, NULL), MICA_INVALID);
  CHECK_NEAR(value_of(variable), 2, 0);
  CHECK(mica_variable_retain(variable) == variable);
  mica_variable_release(variable);
  CHECK(mica_variable_snapshot(NULL) == NULL);
  CHECK_EQ_STR(mica_variable_name(NULL), "");
  mica_variable_release(variable);
  mica_variable_release(NULL);
  mica_tensor_release(x);
  mica_tensor_release(y);
  mica_tensor_release(wrong);
}

typedef struct {
  mica_variable *variable;
  double seen;
} wrapped_owner;

static void on_release(void *context) {
  wrapped_owner *owner = context;
  owner->seen = value_of(owner->variable);
}

/* Memory of the host's is never written, and is given back when no lock is held. */
TEST(wrapped_values_are_replaced) {
  mica_device *device = open_device();
  static _Alignas(64) float memory[16] = {41};
  wrapped_owner owner = {0};
  mica_tensor *wrapped = NULL;
  CHECK_OK(mica_tensor_wrap((mica_type){MICA_F32, MICA_SCALAR}, memory, on_release, &owner,
                            &wrapped, NULL));
  owner.variable = mica_variable_create("n", wrapped);
  mica_tensor_release(wrapped);
  mica_jit *jit = mica_jit_create(device, build_count, .user = owner.variable);
  CHECK_OK(mica_jit_call(jit, NULL, 0, NULL, 0, NULL));
  CHECK_NEAR(owner.seen, 42, 0);
  CHECK_NEAR(memory[0], 41, 0);
  mica_jit_destroy(jit);
  mica_variable_release(owner.variable);
  mica_device_release(device);
}

/* ---- failures --------------------------------------------------------------------------------- */

/* The reference, but with calls that fail: before anything is written, or after donated memory was. */
extern const mica_backend mica_backend_reference;
typedef enum { RUNS, FAILS_BEFORE, FAILS_AMID } failing_mode;
static failing_mode failing;

static mica_status failing_execute(void *state, void *program, const mica_call *call,
                                   mica_error *error) {
  if (failing == RUNS) return mica_backend_reference.execute(state, program, call, error);
  if (failing == FAILS_BEFORE) {
    *call->out_intact = true;
  } else {
    for (size_t i = 0; i < call->out_count; i++) memset(call->out[i], 0x55, sizeof(float));
  }
  return mica_error_set(error, MICA_IO, "the abacus fell");
}

TEST(what_was_overwritten_is_lost) {
  mica_backend backend = mica_backend_reference;
  backend.execute = failing_execute;
  mica_error error = {0};
  mica_device *device = mica_device_open_with(&backend, NULL, NULL, &error);
  CHECK_OK_ERROR(error.status, &error);
  mica_tensor *zero = mica_tensor_scalar(MICA_F32, 0);
  mica_variable *counter = mica_variable_create("counter", zero);
  mica_tensor_release(zero);
  mica_jit *jit = mica_jit_create(device, build_count, .user = counter);
  failing = RUNS;
  CHECK_OK(mica_jit_call(jit, NULL, 0, NULL, 0, NULL));
  failing = FAILS_BEFORE;
  CHECK_STATUS(mica_jit_call(jit, NULL, 0, NULL, 0, &error), MICA_IO);
  CHECK_EQ_STR(error.message, "the abacus fell");
  CHECK_NEAR(value_of(counter), 1, 0);
  /* With a snapshot the step writes elsewhere, so that nothing is lost. */
  failing = FAILS_AMID;
  mica_tensor *snapshot = mica_variable_snapshot(counter);
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call(jit, NULL, 0, NULL, 0, &error), MICA_IO);
  CHECK_EQ_STR(error.message, "the abacus fell");
  CHECK_NEAR(value_of(counter), 1, 0);
  mica_tensor_release(snapshot);
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call(jit, NULL, 0, NULL, 0, &error), MICA_IO);
  CHECK_STR_CONTAINS(error.message, "the abacus fell");
  CHECK_STR_CONTAINS(error.message, "'counter'");
  CHECK(mica_variable_snapshot(counter) == NULL);
  failing = RUNS;
  error = (mica_error){0};
  CHECK_STATUS(mica_jit_call(jit, NULL, 0, NULL, 0, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "'counter' is lost");
  mica_tensor *seven = mica_tensor_scalar(MICA_F32, 7);
  CHECK_OK(mica_variable_set(counter, seven, NULL)); /* mends it */
  mica_tensor_release(seven);
  CHECK_OK(mica_jit_call(jit, NULL, 0, NULL, 0, NULL));
  CHECK_NEAR(value_of(counter), 8, 0);
  /* So does a call that assigns without reading. */
  failing = FAILS_AMID;
  CHECK_STATUS(mica_jit_call(jit, NULL, 0, NULL, 0, NULL), MICA_IO);
  failing = RUNS;
  CHECK(mica_variable_snapshot(counter) == NULL);
  mica_jit *store = mica_jit_create(device, build_store, .inputs = 1, .user = counter);
  mica_tensor *three = mica_tensor_scalar(MICA_F32, 3);
  error = (mica_error){0};
  CHECK_OK_ERROR(mica_jit_call(store, &three, 1, NULL, 0, &error), &error);
  CHECK_NEAR(value_of(counter), 3, 0);
  mica_tensor_release(three);
  mica_jit_destroy(store);
  mica_jit_destroy(jit);
  mica_variable_release(counter);
  mica_device_release(device);
}

/* A step whose outputs are given allocates nothing from its second call on. */
TEST(steps_do_not_allocate) {
  counting count = {0};
  mica_device_options options = {.struct_size = sizeof(options),
                                 .allocator = counting_allocator(&count)};
  mica_device *device = mica_device_open(&options, NULL);
  mica_tensor *start = mica_tensor_from(MICA_F64, MICA_DIMS(2), (double[]){0.5, -0.5});
  mica_tensor *zero = mica_tensor_scalar(MICA_F64, 0);
  linear model = {mica_variable_create("w", start), mica_variable_create("b", zero)};
  mica_tensor_release(start);
  mica_tensor_release(zero);
  mica_jit *step = mica_jit_create(device, build_step, .inputs = 2, .outputs = 1, .user = &model);
  mica_tensor *in[2] = {mica_tensor_from(MICA_F64, MICA_DIMS(EXAMPLES, 2), points),
                        mica_tensor_from(MICA_F64, MICA_DIMS(EXAMPLES), targets)};
  mica_tensor *loss = NULL;
  CHECK_OK(mica_jit_call(step, in, 2, &loss, 1, NULL));
  const void *memory = mica_tensor_data(loss);
  uint64_t version = mica_tensor_version(loss);
  int64_t calls = count.calls;
  for (int i = 0; i < 10; i++) CHECK_OK(mica_jit_call(step, in, 2, &loss, 1, NULL));
  CHECK_EQ_INT(count.calls - calls, 0);
  CHECK(mica_tensor_data(loss) == memory);
  CHECK(mica_tensor_version(loss) >= version + 10);
  mica_tensor_release(loss);
  mica_tensor_release(in[0]);
  mica_tensor_release(in[1]);
  mica_jit_destroy(step);
  mica_variable_release(model.w);
  mica_variable_release(model.b);
  mica_device_release(device);
  CHECK_EQ_INT(count.live, 0);
}

/* ---- binding ---------------------------------------------------------------------------------- */

TEST(parsed_variables_are_bound) {
  mica_device *device = open_device();
  mica_graph *graph = mica_graph_create(NULL), *parsed = NULL;
  mica_tensor *two = mica_tensor_scalar(MICA_F32, 2), *five = mica_tensor_scalar(MICA_F32, 5);
  mica_variable *mine = mica_variable_create("w", two), *other = mica_variable_create("w", five);
  mica_value sum = mica_add(mica_variable_read(graph, mine), 1);
  mica_graph_set_outputs(graph, &sum, 1);
  mica_variable_assign(mine, sum);
  char text[2000];
  int64_t length = mica_graph_format(graph, text, sizeof(text));
  CHECK(length > 0 && length < (int64_t)sizeof(text));
  mica_error error = {0};
  CHECK_OK_ERROR(mica_graph_parse(NULL, text, (size_t)length, &parsed, &error), &error);
  mica_executable *executable = NULL;
  CHECK_STATUS(mica_compile(device, parsed, 0, &executable, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "'w' is not bound");
  CHECK_OK(mica_graph_bind(parsed, other, NULL));
  error = (mica_error){0};
  CHECK_OK_ERROR(mica_compile(device, parsed, 0, &executable, &error), &error);
  mica_tensor *out = NULL;
  CHECK_OK(mica_executable_run(executable, NULL, 0, &out, 1, NULL));
  CHECK_NEAR(first_of(out), 6, 0);
  CHECK_NEAR(value_of(other), 6, 0);
  CHECK_NEAR(value_of(mine), 2, 0);
  mica_tensor_release(out);
  mica_executable_release(executable);
  mica_graph_destroy(parsed);
  mica_graph_destroy(graph);
  mica_variable_release(mine);
  mica_variable_release(other);
  mica_tensor_release(two);
  mica_tensor_release(five);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(a_step_trains), TEST_CASE(snapshots_keep_their_value),
          TEST_CASE(variables_change_places), TEST_CASE(a_variable_may_be_assigned_only),
          TEST_CASE(set_replaces_and_refuses), TEST_CASE(wrapped_values_are_replaced),
          TEST_CASE(what_was_overwritten_is_lost), TEST_CASE(steps_do_not_allocate),
          TEST_CASE(parsed_variables_are_bound))
