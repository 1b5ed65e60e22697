/* SPDX-License-Identifier: Apache-2.0 */
/* The pool: every index once, whoever runs it, from any number of callers, woken or asleep. */
#include "check.h"
#include "core/thread_pool.h"
#include "platform/platform.h"
#include "testing_allocator.h"

#include <stdatomic.h>

enum { INDEX_LIMIT = 5000 };

typedef struct {
  int32_t size; /* of the pool */
  _Atomic int32_t runs[INDEX_LIMIT];
  _Atomic int32_t inside[64]; /* threads that are some worker at the moment */
  _Atomic int32_t wrong;
  int64_t work;
} job;

static void run_index(void *context, int64_t index, int32_t worker) {
  job *state = context;
  bool valid =
      worker >= 0 && worker < state->size && atomic_fetch_add(&state->inside[worker], 1) == 0;
  if (!valid) atomic_fetch_add(&state->wrong, 1);
  for (volatile int64_t i = 0; i < state->work; i++) {}
  atomic_fetch_add(&state->runs[index], 1);
  if (valid) atomic_fetch_sub(&state->inside[worker], 1);
}

static mica_thread_pool *make_pool(int32_t threads, int64_t spin) {
  mica_thread_pool *pool;
  mica_error error = {0};
  mica_thread_pool_options options = {.threads = threads, .spin_nanoseconds = spin};
  return CHECK_OK_ERROR(mica_thread_pool_create(NULL, &options, &pool, &error), &error) ? pool
                                                                                        : NULL;
}

static void check_run(mica_thread_pool *pool, job *state, int64_t count) {
  for (int64_t i = 0; i < count; i++) atomic_store(&state->runs[i], 0);
  mica_thread_pool_run(pool, count, run_index, state);
  for (int64_t i = 0; i < count; i++)
    if (atomic_load(&state->runs[i]) != 1) {
      CHECK_FAIL("index %lld of %lld ran %d times", (long long)i, (long long)count,
                 (int)atomic_load(&state->runs[i]));
      return;
    }
  CHECK_EQ_INT(atomic_load(&state->wrong), 0);
}

static job shared_job;

TEST(every_index_once) {
  static const int64_t counts[] = {0, 1, 2, 3, 7, 8, 64, 1000, INDEX_LIMIT};
  static const int32_t sizes[] = {1, 2, 3, 4, 8};
  for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
    for (int64_t spin = -1; spin <= 1; spin++) { /* never, by default, for a nanosecond */
      mica_thread_pool *pool = make_pool(sizes[s], spin);
      if (pool == NULL) return;
      CHECK_EQ_INT(mica_thread_pool_size(pool), sizes[s]);
      shared_job = (job){.size = sizes[s]};
      for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++)
        for (int round = 0; round < 10; round++) check_run(pool, &shared_job, counts[c]);
      mica_thread_pool_destroy(pool);
    }
}

/* Between begin and end, and after both, when workers have gone to sleep. */
TEST(short_tasks_in_a_row) {
  mica_thread_pool *pool = make_pool(4, 100000);
  if (pool == NULL) return;
  shared_job = (job){.size = 4};
  for (int step = 0; step < 20; step++) {
    mica_thread_pool_begin(pool);
    mica_thread_pool_begin(pool); /* nests */
    for (int i = 0; i < 50; i++) check_run(pool, &shared_job, 1 + i % 9);
    mica_thread_pool_end(pool);
    mica_thread_pool_end(pool);
    int64_t until = mica_clock_nanoseconds() + 300000;
    while (mica_clock_nanoseconds() < until) mica_thread_yield();
    check_run(pool, &shared_job, 10);
  }
  mica_thread_pool_destroy(pool);
}

/* Unequal work: the shares of slow indices are taken by others. The sum of what each did is still
 * right. */
static void run_unequal(void *context, int64_t index, int32_t worker) {
  job *state = context;
  if (index == 0)
    for (volatile int64_t i = 0; i < 2000000; i++) {}
  run_index(state, index, worker);
}

TEST(unequal_work) {
  mica_thread_pool *pool = make_pool(3, 0);
  if (pool == NULL) return;
  shared_job = (job){.size = 3};
  mica_thread_pool_run(pool, 300, run_unequal, &shared_job);
  for (int i = 0; i < 300; i++) CHECK_EQ_INT(atomic_load(&shared_job.runs[i]), 1);
  mica_thread_pool_destroy(pool);
}

/* ---- a busy pool ----------------------------------------------------------------------------- */

typedef struct {
  mica_thread_pool *pool;
  _Atomic int64_t inner;
} nested_job;

static void run_inner(void *context, int64_t index, int32_t worker) {
  nested_job *state = context;
  (void)index;
  if (worker == 0) atomic_fetch_add(&state->inner, 1); /* a caller alone is worker 0 of its run */
}

static void run_outer(void *context, int64_t index, int32_t worker) {
  nested_job *state = context;
  (void)index;
  (void)worker;
  mica_thread_pool_run(state->pool, 5, run_inner, state);
}

TEST(a_task_may_call_the_pool) {
  nested_job state = {.pool = make_pool(4, 0)};
  if (state.pool == NULL) return;
  for (int round = 1; round <= 20; round++) {
    mica_thread_pool_run(state.pool, 8, run_outer, &state);
    CHECK_EQ_INT(atomic_load(&state.inner), round * 40);
  }
  mica_thread_pool_destroy(state.pool);
}

typedef struct {
  mica_thread_pool *pool;
  job own;
  bool right;
} caller;

static void call_often(void *context) {
  caller *self = context;
  self->right = true;
  for (int round = 0; round < 200; round++) {
    int64_t count = 1 + round % 13;
    for (int64_t i = 0; i < count; i++) atomic_store(&self->own.runs[i], 0);
    mica_thread_pool_begin(self->pool);
    mica_thread_pool_run(self->pool, count, run_index, &self->own);
    mica_thread_pool_end(self->pool);
    for (int64_t i = 0; i < count; i++)
      if (atomic_load(&self->own.runs[i]) != 1) self->right = false;
  }
}

TEST(callers_at_once) {
  static caller callers[4];
  mica_thread_handle threads[4];
  mica_thread_pool *pool = make_pool(3, 0);
  if (pool == NULL) return;
  for (int i = 0; i < 4; i++) {
    callers[i] = (caller){.pool = pool, .own = {.size = 3}};
    CHECK_EQ_INT(mica_thread_start(&threads[i], call_often, &callers[i]), 0);
  }
  for (int i = 0; i < 4; i++) {
    mica_thread_join(threads[i]);
    CHECK(callers[i].right);
    CHECK_EQ_INT(atomic_load(&callers[i].own.wrong), 0);
  }
  mica_thread_pool_destroy(pool);
}

/* ---- creation -------------------------------------------------------------------------------- */

TEST(options) {
  mica_thread_pool *pool;
  mica_error error = {0};
  CHECK_OK(mica_thread_pool_create(NULL, NULL, &pool, &error));
  CHECK_EQ_INT(mica_thread_pool_size(pool), mica_thread_core_count());
  mica_thread_pool_destroy(pool);
  CHECK_OK(mica_thread_pool_create(NULL, &(mica_thread_pool_options){.threads = 3, .pin = true},
                                   &pool, &error));
  shared_job = (job){.size = 3};
  check_run(pool, &shared_job, 100);
  mica_thread_pool_destroy(pool);
  CHECK_STATUS(
      mica_thread_pool_create(NULL, &(mica_thread_pool_options){.threads = -1}, &pool, &error),
      MICA_INVALID);
  CHECK(pool == NULL);
  CHECK_STR_CONTAINS(error.message, "-1 threads");
  CHECK_STATUS(
      mica_thread_pool_create(NULL, &(mica_thread_pool_options){.threads = 1000000}, &pool, NULL),
      MICA_INVALID);
  mica_thread_pool_destroy(NULL);
  CHECK_EQ_INT(mica_thread_pool_size(NULL), 1);
  mica_thread_pool_begin(NULL);
  mica_thread_pool_end(NULL);
  shared_job = (job){.size = 1};
  check_run(NULL, &shared_job, 20);
}

static bool create_pool(const mica_allocator *allocator, void *context) {
  mica_thread_pool *pool;
  mica_status status =
      mica_thread_pool_create(allocator, &(mica_thread_pool_options){.threads = 2}, &pool, NULL);
  (void)context;
  if (status != MICA_OK) CHECK_STATUS(status, MICA_OUT_OF_MEMORY);
  mica_thread_pool_destroy(pool);
  return status == MICA_OK;
}

TEST(failing_allocations) { CHECK_EQ_INT(testing_sweep(create_pool, NULL), 1); }

TEST_MAIN(TEST_CASE(every_index_once), TEST_CASE(short_tasks_in_a_row), TEST_CASE(unequal_work),
          TEST_CASE(a_task_may_call_the_pool), TEST_CASE(callers_at_once), TEST_CASE(options),
          TEST_CASE(failing_allocations))
