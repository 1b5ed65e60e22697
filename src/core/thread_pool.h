/* SPDX-License-Identifier: Apache-2.0 */
/* thread_pool.h: a fixed set of workers for one device. The caller works too, so a pool of size 1
 * has no thread at all. Workers spin for a short time after a task, then sleep. */
#ifndef MICA_CORE_THREAD_POOL_H
#define MICA_CORE_THREAD_POOL_H
#include "mica/core.h"

typedef struct mica_thread_pool mica_thread_pool;

/* `index` of the task, 0 .. count - 1; `worker` 0 .. size - 1 is the executing thread, for scratch
 * memory. */
typedef void mica_task(void *context, int64_t index, int32_t worker);

typedef struct {
  int32_t threads; /* 0: one for each core that the process may use; 1: no threads are made */
  int64_t spin_nanoseconds; /* an idle worker spins that long, then sleeps; 0: 50,000; -1: never */
  bool pin; /* worker i is pinned to the i-th allowed core; the caller, worker 0, stays free */
} mica_thread_pool_options;

/* Thread creation may fail like an allocation: an error, and nothing is left behind. */
mica_status mica_thread_pool_create(const mica_allocator *allocator,
                                    const mica_thread_pool_options *options,
                                    mica_thread_pool **out_pool, mica_error *error);
void mica_thread_pool_destroy(mica_thread_pool *pool);
int32_t mica_thread_pool_size(const mica_thread_pool *pool); /* 1 for NULL */

/* Runs task(context, i, worker) for every i and returns when all are done. Each worker has a
 * contiguous share of equal size, then idle workers take from the others'; results must not depend
 * on who does what. When the pool is busy (another caller, or a task calls it) the caller does
 * everything itself, as worker 0 of this run. A pool of NULL does that too. Allocates nothing. */
void mica_thread_pool_run(mica_thread_pool *pool, int64_t count, mica_task *task, void *context);

/* Keeps workers spinning between the two calls, so that the many short tasks of one step start in a
 * fraction of a microsecond; nested and concurrent use is counted. */
void mica_thread_pool_begin(mica_thread_pool *pool);
void mica_thread_pool_end(mica_thread_pool *pool);

#endif
