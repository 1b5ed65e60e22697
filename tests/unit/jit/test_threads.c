/* SPDX-License-Identifier: Apache-2.0 */
/* test_threads.c: one jit, its executables and variables under many threads. Run with ThreadSanitizer. */
#include "platform/platform.h"
#include "unit/backend/support.h"

#include <errno.h>

enum { THREADS = 8, ROUNDS = 60, SIZES = 5 };

typedef struct {
  mica_jit *jit;
  mica_variable *counter;
  _Atomic int traces, wrong;
} shared_work;

typedef struct {
  shared_work *shared;
  mica_thread_handle thread;
  int index;
} worker;

/* Whether all threads ran; a build without threads skips. */
static bool run_workers(shared_work *shared, void (*run)(void *context)) {
  worker workers[THREADS];
  int started = 0, code = 0;
  while (started < THREADS && code == 0) {
    workers[started] = (worker){.shared = shared, .index = started};
    code = mica_thread_start(&workers[started].thread, run, &workers[started]);
    if (code == 0) started++;
  }
  for (int i = 0; i < started; i++) mica_thread_join(workers[i].thread);
  if (code == ENOSYS) CHECK_SKIP("there are no threads here");
  return code != ENOSYS && CHECK_EQ_INT(code, 0);
}

/* out[0] = sum(in[0]) * 2, out[1] = in[0] + 1. */
static void build_sums(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  shared_work *shared = user;
  (void)graph;
  atomic_fetch_add(&shared->traces, 1);
  for (int i = 0; i < 20; i++) mica_thread_yield(); /* lets others come for the same key */
  out[0] = mica_mul(mica_reduce_sum(in[0], MICA_ALL), 2);
  out[1] = mica_add(in[0], 1);
}

static void call_sums(void *context) {
  worker *self = context;
  shared_work *shared = self->shared;
  float values[SIZES + 1];
  mica_tensor *reused[SIZES + 1] = {0};
  for (int round = 0; round < ROUNDS; round++) {
    int64_t size = 1 + (round + self->index) % SIZES;
    double sum = 0;
    for (int64_t i = 0; i < size; i++) {
      values[i] = (float)(self->index * 100 + round + i);
      sum += (double)values[i];
    }
    mica_tensor *in = floats(size, values), *out[2] = {NULL, reused[size]};
    if (mica_jit_call(shared->jit, &in, 1, out, 2, NULL) != MICA_OK ||
        first_of(out[0]) != 2 * sum || first_of(out[1]) != (double)values[0] + 1)
      atomic_fetch_add(&shared->wrong, 1);
    reused[size] = out[1];
    mica_tensor_release(out[0]);
    mica_tensor_release(in);
  }
  for (int64_t size = 1; size <= SIZES; size++) mica_tensor_release(reused[size]);
}

TEST(each_key_is_compiled_once) {
  mica_device *device = open_device();
  shared_work shared = {0};
  shared.jit = mica_jit_create(device, build_sums, .inputs = 1, .outputs = 2, .user = &shared);
  if (run_workers(&shared, call_sums)) {
    CHECK_EQ_INT(shared.wrong, 0);
    CHECK_EQ_INT(shared.traces, SIZES);
    CHECK_EQ_INT(mica_jit_cache_count(shared.jit), SIZES);
  }
  mica_jit_destroy(shared.jit);
  mica_device_release(device);
}

/* With a limit below the number of keys, executables go while others still run them. */
TEST(a_small_cache_is_only_slower) {
  mica_device *device = open_device();
  shared_work shared = {0};
  shared.jit = mica_jit_create(device, build_sums, .inputs = 1, .outputs = 2, .user = &shared,
                               .cache_limit = 2);
  if (run_workers(&shared, call_sums)) {
    CHECK_EQ_INT(shared.wrong, 0);
    CHECK(shared.traces >= SIZES);
    CHECK_EQ_INT(mica_jit_cache_count(shared.jit), 2);
  }
  mica_jit_destroy(shared.jit);
  mica_device_release(device);
}

/* ---- variables -------------------------------------------------------------------------------- */

static void build_increment(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  shared_work *shared = user;
  (void)in;
  mica_value next = mica_add(mica_variable_read(graph, shared->counter), 1);
  mica_variable_assign(shared->counter, next);
  out[0] = next;
}

/* Even threads count, odd ones look. What they see never goes back. */
static void count_up(void *context) {
  worker *self = context;
  shared_work *shared = self->shared;
  double last = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double now;
    if (self->index % 2 == 0) {
      mica_tensor *out = NULL;
      if (mica_jit_call(shared->jit, NULL, 0, &out, 1, NULL) != MICA_OK)
        atomic_fetch_add(&shared->wrong, 1);
      now = first_of(out);
      mica_tensor_release(out);
      if (now <= last) atomic_fetch_add(&shared->wrong, 1);
    } else {
      now = value_of(shared->counter);
      if (now < last) atomic_fetch_add(&shared->wrong, 1);
    }
    last = now;
  }
}

TEST(steps_run_one_after_the_other) {
  mica_device *device = open_device();
  shared_work shared = {0};
  mica_tensor *zero = mica_tensor_scalar(MICA_F64, 0);
  shared.counter = mica_variable_create("counter", zero);
  shared.jit = mica_jit_create(device, build_increment, .outputs = 1, .user = &shared);
  if (run_workers(&shared, count_up)) {
    CHECK_EQ_INT(shared.wrong, 0);
    CHECK_NEAR(value_of(shared.counter), THREADS / 2 * ROUNDS, 0);
  }
  mica_tensor_release(zero);
  mica_jit_destroy(shared.jit);
  mica_variable_release(shared.counter);
  mica_device_release(device);
}

/* Two jits that assign the same two variables in the opposite order: locks are taken by address. */
typedef struct {
  mica_variable *a, *b;
} crossing;

static void build_move(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  crossing *pair = user;
  (void)in, (void)out;
  mica_value a = mica_variable_read(graph, pair->a), b = mica_variable_read(graph, pair->b);
  mica_variable_assign(pair->a, mica_sub(a, 1));
  mica_variable_assign(pair->b, mica_add(b, 1));
}

typedef struct {
  shared_work shared;
  mica_jit *back;
} crossing_work;

static void move_to_and_fro(void *context) {
  worker *self = context;
  crossing_work *work = (crossing_work *)(void *)self->shared;
  for (int round = 0; round < ROUNDS; round++) {
    mica_jit *jit = self->index % 2 == 0 ? work->shared.jit : work->back;
    if (mica_jit_call(jit, NULL, 0, NULL, 0, NULL) != MICA_OK)
      atomic_fetch_add(&work->shared.wrong, 1);
  }
}

TEST(crossing_steps_do_not_lock_up) {
  mica_device *device = open_device();
  mica_tensor *start = mica_tensor_scalar(MICA_F64, 1000);
  crossing forth = {mica_variable_create("a", start), mica_variable_create("b", start)};
  crossing back = {forth.b, forth.a};
  crossing_work work = {0};
  work.shared.jit = mica_jit_create(device, build_move, .user = &forth);
  work.back = mica_jit_create(device, build_move, .user = &back);
  if (run_workers(&work.shared, move_to_and_fro)) {
    CHECK_EQ_INT(work.shared.wrong, 0);
    CHECK_NEAR(value_of(forth.a), 1000, 0);
    CHECK_NEAR(value_of(forth.b), 1000, 0);
  }
  mica_tensor_release(start);
  mica_jit_destroy(work.shared.jit);
  mica_jit_destroy(work.back);
  mica_variable_release(forth.a);
  mica_variable_release(forth.b);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(each_key_is_compiled_once), TEST_CASE(a_small_cache_is_only_slower),
          TEST_CASE(steps_run_one_after_the_other), TEST_CASE(crossing_steps_do_not_lock_up))
