/* SPDX-License-Identifier: Apache-2.0 */
/* thread_pool.c: workers that take shares of an index range, for tasks of microseconds.
 *
 * A job lies in the pool itself. The `gate` guards it: its high bit says that the job may be
 * entered, its low bits count the workers inside. A worker enters by adding one to an open gate;
 * the caller, when no index is left to take, closes the gate and waits for the count to reach 0. So
 * a worker that wakes late finds the gate closed and costs nobody anything, and the job's fields
 * are written only while the gate is closed and nobody is inside.
 *
 * Every thread has a share [next, end) of the indices in a cache line of its own and takes from it
 * by one atomic addition; when it is empty, it takes from the others' in the same way.
 *
 * `signal` counts up with each job; idle workers watch it, spinning first, then asleep on it. The
 * sleepers' count and the signal are sequentially consistent: either the caller sees the sleeper
 * and wakes it, or the sleeper sees the new signal and does not sleep. */
#include "core/thread_pool.h"

#include "core/memory.h"
#include "platform/platform.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#define GATE_OPEN          UINT32_C(0x80000000)
#define GATE_CALLER_SLEEPS UINT32_C(0x40000000)
#define GATE_COUNT         UINT32_C(0x3FFFFFFF)

enum {
  CACHE_LINE = 64,
  POOL_SIZE_LIMIT = 4096,
  DEFAULT_SPIN_NANOSECONDS = 50000,
  PAUSES_PER_CLOCK = 64,     /* reading the clock costs about as much as a pause */
  CLOCKS_PER_YIELD = 32,     /* now and then let others have the core */
  CALLER_SPIN_PAUSES = 20000 /* then the caller sleeps: a worker may have lost its core */
};

typedef struct {
  _Alignas(CACHE_LINE) _Atomic int64_t next;
  int64_t end;
} pool_share;

typedef struct {
  mica_thread_pool *pool;
  mica_thread_handle thread;
  int32_t index;
} pool_worker;

struct mica_thread_pool {
  mica_allocator allocator;
  int32_t size;
  int32_t started; /* threads that run */
  bool pin;
  int64_t spin_nanoseconds;
  mica_task *task; /* the job: written while the gate is closed and empty */
  void *context;
  pool_share *shares;   /* [size] */
  pool_worker *workers; /* [size]; the first, the caller's, is unused */
  size_t allocation_size;
  _Alignas(CACHE_LINE) _Atomic uint32_t gate;
  _Alignas(CACHE_LINE) _Atomic uint32_t signal;
  _Atomic uint32_t sleepers;
  _Atomic int32_t keep_spinning; /* nesting of begin and end */
  _Atomic bool stop;
  _Alignas(CACHE_LINE) _Atomic bool busy; /* a caller has the pool */
#if !MICA_HAS_WAIT_WORD
  mica_mutex mutex;
  mica_condition condition;
#endif
};

/* ---- sleeping -------------------------------------------------------------------------------- */

#if MICA_HAS_WAIT_WORD

static int sleep_init(mica_thread_pool *pool) {
  (void)pool;
  return 0;
}
static void sleep_deinit(mica_thread_pool *pool) { (void)pool; }

/* Sleeps while *word == expected; may return early. */
static void sleep_on(mica_thread_pool *pool, _Atomic uint32_t *word, uint32_t expected) {
  (void)pool;
  mica_wait_word((uint32_t *)(void *)word, expected);
}
static void wake_sleepers(mica_thread_pool *pool, _Atomic uint32_t *word) {
  (void)pool;
  mica_wake_all((uint32_t *)(void *)word);
}

#else

static int sleep_init(mica_thread_pool *pool) {
  int code = mica_mutex_init(&pool->mutex);
  if (code != 0) return code;
  code = mica_condition_init(&pool->condition);
  if (code != 0) mica_mutex_deinit(&pool->mutex);
  return code;
}
static void sleep_deinit(mica_thread_pool *pool) {
  mica_condition_deinit(&pool->condition);
  mica_mutex_deinit(&pool->mutex);
}
static void sleep_on(mica_thread_pool *pool, _Atomic uint32_t *word, uint32_t expected) {
  mica_mutex_lock(&pool->mutex);
  while (atomic_load(word) == expected) mica_condition_wait(&pool->condition, &pool->mutex);
  mica_mutex_unlock(&pool->mutex);
}
static void wake_sleepers(mica_thread_pool *pool, _Atomic uint32_t *word) {
  (void)word;
  mica_mutex_lock(&pool->mutex);
  mica_condition_signal_all(&pool->condition);
  mica_mutex_unlock(&pool->mutex);
}

#endif

static void raise_signal(mica_thread_pool *pool) {
  atomic_fetch_add(&pool->signal, 1);
  if (atomic_load(&pool->sleepers) > 0) wake_sleepers(pool, &pool->signal);
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Returns the new signal once it differs from `seen`. */
static uint32_t await_signal(mica_thread_pool *pool, uint32_t seen) {
  int64_t idle_since = -1;
  for (uint32_t clocks = 1; pool->spin_nanoseconds > 0 || atomic_load(&pool->keep_spinning) > 0;
       clocks++) {
    for (int pause = 0; pause < PAUSES_PER_CLOCK; pause++) {
      uint32_t now = atomic_load_explicit(&pool->signal, memory_order_acquire);
      if (now != seen) return now;
      mica_thread_pause();
    }
    if (clocks % CLOCKS_PER_YIELD == 0) mica_thread_yield();
    int64_t time = mica_clock_nanoseconds();
    if (idle_since < 0 || atomic_load(&pool->keep_spinning) > 0) idle_since = time;
    if (time - idle_since >= pool->spin_nanoseconds && atomic_load(&pool->keep_spinning) == 0)
      break;
  }
  atomic_fetch_add(&pool->sleepers, 1);
  uint32_t now;
  while ((now = atomic_load(&pool->signal)) == seen) sleep_on(pool, &pool->signal, seen);
  atomic_fetch_sub(&pool->sleepers, 1);
  return now;
}

/* Takes indices until none is left: first the thread's own share, then the rest of the others'. */
static void take_indices(mica_thread_pool *pool, int32_t worker) {
  for (int32_t turn = 0; turn < pool->size; turn++) {
    int32_t owner = worker + turn;
    if (owner >= pool->size) owner -= pool->size;
    pool_share *share = &pool->shares[owner];
    /* Looking first keeps a drained share's cache line shared among those who come to steal. */
    while (atomic_load_explicit(&share->next, memory_order_relaxed) < share->end) {
      int64_t index = atomic_fetch_add_explicit(&share->next, 1, memory_order_relaxed);
      if (index >= share->end) break;
      pool->task(pool->context, index, worker);
    }
  }
}

static bool enter_gate(mica_thread_pool *pool) {
  uint32_t gate = atomic_load_explicit(&pool->gate, memory_order_relaxed);
  while ((gate & GATE_OPEN) != 0)
    if (atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1, memory_order_acquire,
                                              memory_order_relaxed))
      return true;
  return false;
}

static void leave_gate(mica_thread_pool *pool) {
  uint32_t before = atomic_fetch_sub(&pool->gate, 1);
  if (before - 1 == GATE_CALLER_SLEEPS) wake_sleepers(pool, &pool->gate);
}

static void worker_main(void *context) {
  pool_worker *self = context;
  mica_thread_pool *pool = self->pool;
  if (pool->pin) mica_thread_pin(self->index);
  uint64_t float_state = mica_float_state_enter();
  uint32_t seen = 0;
  while (!atomic_load(&pool->stop)) {
    if (enter_gate(pool)) {
      take_indices(pool, self->index);
      leave_gate(pool);
    }
    seen = await_signal(pool, seen);
  }
  mica_float_state_leave(float_state);
}

/* ---- creation -------------------------------------------------------------------------------- */

static void pool_free(mica_thread_pool *pool) {
  mica_allocator allocator = pool->allocator;
  mica_free_aligned(&allocator, pool, pool->allocation_size, CACHE_LINE);
}

/* The pool, its shares and its workers in one allocation; NULL when memory runs out. */
static mica_thread_pool *pool_allocate(const mica_allocator *allocator, int32_t size) {
  size_t shares_at, workers_at, whole = 0;
  if (!mica_size_align(sizeof(mica_thread_pool), CACHE_LINE, &shares_at) ||
      !mica_size_multiply((size_t)size, sizeof(pool_share), &workers_at) ||
      !mica_size_add(shares_at, workers_at, &workers_at) ||
      !mica_size_multiply((size_t)size, sizeof(pool_worker), &whole) ||
      !mica_size_add(workers_at, whole, &whole))
    return NULL;
  char *memory = mica_allocate_aligned(allocator, whole, CACHE_LINE);
  if (memory == NULL) return NULL;
  mica_thread_pool *pool = (mica_thread_pool *)(void *)memory;
  *pool = (mica_thread_pool){.size = size, .allocation_size = whole};
  if (allocator != NULL) pool->allocator = *allocator;
  pool->shares = (pool_share *)(void *)(memory + shares_at);
  pool->workers = (pool_worker *)(void *)(memory + workers_at);
  for (int32_t i = 0; i < size; i++) {
    atomic_init(&pool->shares[i].next, 0);
    pool->shares[i].end = 0;
    pool->workers[i] = (pool_worker){.pool = pool, .index = i};
  }
  return pool;
}

mica_status mica_thread_pool_create(const mica_allocator *allocator,
                                    const mica_thread_pool_options *options,
                                    mica_thread_pool **out_pool, mica_error *error) {
  *out_pool = NULL;
  mica_thread_pool_options chosen = options == NULL ? (mica_thread_pool_options){0} : *options;
  if (chosen.threads < 0 || chosen.threads > POOL_SIZE_LIMIT)
    return mica_error_set(error, MICA_INVALID, "%" PRId32 " threads are outside of 0 to %d",
                          chosen.threads, POOL_SIZE_LIMIT);
  if (chosen.threads == 0) chosen.threads = mica_thread_core_count();
  if (chosen.threads > POOL_SIZE_LIMIT) chosen.threads = POOL_SIZE_LIMIT;
  if (chosen.spin_nanoseconds == 0) chosen.spin_nanoseconds = DEFAULT_SPIN_NANOSECONDS;
  mica_thread_pool *pool = pool_allocate(allocator, chosen.threads);
  if (pool == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a thread pool");
  pool->spin_nanoseconds = chosen.spin_nanoseconds < 0 ? 0 : chosen.spin_nanoseconds;
  pool->pin = chosen.pin;
  int code = sleep_init(pool);
  if (code != 0) {
    pool_free(pool);
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no lock for a thread pool");
  }
  pool->started = 1; /* the caller */
  while (code == 0 && pool->started < pool->size) {
    pool_worker *worker = &pool->workers[pool->started];
    code = mica_thread_start(&worker->thread, worker_main, worker);
    if (code == 0) pool->started++;
  }
  if (code != 0) {
    char reason[128];
    mica_status status = code == ENOSYS ? MICA_UNSUPPORTED : MICA_OUT_OF_MEMORY;
    mica_error_set(error, status, "thread %" PRId32 " of %" PRId32 " cannot be started: %s",
                   pool->started, pool->size, mica_errno_text(code, reason, sizeof(reason)));
    mica_thread_pool_destroy(pool);
    return status;
  }
  *out_pool = pool;
  return MICA_OK;
}

void mica_thread_pool_destroy(mica_thread_pool *pool) {
  if (pool == NULL) return;
  atomic_store(&pool->stop, true);
  raise_signal(pool);
  for (int32_t i = 1; i < pool->started; i++) mica_thread_join(pool->workers[i].thread);
  sleep_deinit(pool);
  pool_free(pool);
}

int32_t mica_thread_pool_size(const mica_thread_pool *pool) {
  return pool == NULL ? 1 : pool->size;
}

/* ---- running --------------------------------------------------------------------------------- */

/* Closes the gate and returns when nobody is inside. */
static void drain_gate(mica_thread_pool *pool) {
  uint32_t gate = atomic_fetch_and(&pool->gate, ~GATE_OPEN) & ~GATE_OPEN;
  for (int pause = 0; gate != 0 && pause < CALLER_SPIN_PAUSES; pause++) {
    mica_thread_pause();
    gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
  }
  if (gate == 0) return;
  gate = atomic_fetch_or(&pool->gate, GATE_CALLER_SLEEPS) | GATE_CALLER_SLEEPS;
  while ((gate & GATE_COUNT) != 0) {
    sleep_on(pool, &pool->gate, gate);
    gate = atomic_load(&pool->gate);
  }
  atomic_store(&pool->gate, 0);
}

void mica_thread_pool_run(mica_thread_pool *pool, int64_t count, mica_task *task, void *context) {
  bool alone = pool == NULL || pool->size == 1 || count <= 1;
  if (!alone) alone = atomic_exchange_explicit(&pool->busy, true, memory_order_acquire);
  if (alone) {
    for (int64_t i = 0; i < count; i++) task(context, i, 0);
    return;
  }
  pool->task = task;
  pool->context = context;
  int64_t begin = 0, each = count / pool->size, left_over = count % pool->size;
  for (int32_t i = 0; i < pool->size; i++) {
    int64_t end = begin + each + (i < left_over ? 1 : 0);
    atomic_store_explicit(&pool->shares[i].next, begin, memory_order_relaxed);
    pool->shares[i].end = end;
    begin = end;
  }
  atomic_store_explicit(&pool->gate, GATE_OPEN, memory_order_release);
  raise_signal(pool);
  take_indices(pool, 0);
  drain_gate(pool);
  atomic_store_explicit(&pool->busy, false, memory_order_release);
}

void mica_thread_pool_begin(mica_thread_pool *pool) {
  if (pool == NULL || pool->size == 1) return;
  atomic_fetch_add(&pool->keep_spinning, 1);
  /* Wakes sleepers now, so that they are spinning when the first task comes. */
  if (atomic_load(&pool->sleepers) > 0) raise_signal(pool);
}

void mica_thread_pool_end(mica_thread_pool *pool) {
  if (pool != NULL && pool->size > 1) atomic_fetch_sub(&pool->keep_spinning, 1);
}

#undef GATE_OPEN
#undef GATE_CALLER_SLEEPS
#undef GATE_COUNT
