/* SPDX-License-Identifier: Apache-2.0 */
/* Threads, locks, sleeping on a word, pages, the clock, the environment, the floating-point
 * state. */
#include "check.h"
#include "platform/platform.h"

#include <fenv.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  mica_mutex mutex;
  mica_condition condition;
  int64_t sum;
  int ready;
} shared_state;

static void add_often(void *context) {
  shared_state *state = context;
  mica_mutex_lock(&state->mutex);
  while (state->ready == 0) mica_condition_wait(&state->condition, &state->mutex);
  mica_mutex_unlock(&state->mutex);
  for (int i = 0; i < 2000; i++) {
    mica_mutex_lock(&state->mutex);
    state->sum++;
    mica_mutex_unlock(&state->mutex);
  }
}

TEST(locks_and_conditions) {
  shared_state state = {.sum = 0};
  mica_thread_handle threads[4];
  CHECK_EQ_INT(mica_mutex_init(&state.mutex), 0);
  CHECK_EQ_INT(mica_condition_init(&state.condition), 0);
  for (int i = 0; i < 4; i++) CHECK_EQ_INT(mica_thread_start(&threads[i], add_often, &state), 0);
  mica_mutex_lock(&state.mutex);
  CHECK_EQ_INT(state.sum, 0);
  state.ready = 1;
  mica_condition_signal_all(&state.condition);
  mica_mutex_unlock(&state.mutex);
  for (int i = 0; i < 4; i++) mica_thread_join(threads[i]);
  CHECK_EQ_INT(state.sum, 8000);
  mica_condition_deinit(&state.condition);
  mica_mutex_deinit(&state.mutex);
}

static void read_mask(void *context) { pthread_sigmask(SIG_SETMASK, NULL, context); }

TEST(threads_block_signals) {
  sigset_t mine, before, its;
  mica_thread_handle thread;
  sigemptyset(&its);
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  CHECK_EQ_INT(mica_thread_start(&thread, read_mask, &its), 0);
  mica_thread_join(thread);
  CHECK(sigismember(&its, SIGINT) && sigismember(&its, SIGTERM));
  pthread_sigmask(SIG_SETMASK, NULL, &mine);
  CHECK_EQ_INT(sigismember(&mine, SIGINT), sigismember(&before, SIGINT));
}

/* A sleeper misses no wake: it is told a number, and tells the next. */
static void echo(void *context) {
  _Atomic uint32_t *words = context;
  for (uint32_t i = 1; i <= 500; i++) {
    while (atomic_load(&words[0]) != i) mica_wait_word((uint32_t *)(void *)&words[0], i - 1);
    atomic_store(&words[1], i);
    mica_wake_all((uint32_t *)(void *)&words[1]);
  }
}

static void note_self(void *context) { *(uintptr_t *)context = mica_thread_self(); }

TEST(threads_tell_themselves_apart) {
  uintptr_t other = 0, mine = mica_thread_self();
  mica_thread_handle thread;
  CHECK_EQ_INT(mica_thread_self(), mine);
  CHECK_EQ_INT(mica_thread_start(&thread, note_self, &other), 0);
  mica_thread_join(thread);
  CHECK(other != 0 && other != mine);
}

TEST(sleeping_on_a_word) {
  static _Atomic uint32_t words[2];
  mica_thread_handle thread;
  CHECK_EQ_INT(mica_thread_start(&thread, echo, words), 0);
  for (uint32_t i = 1; i <= 500; i++) {
    atomic_store(&words[0], i);
    mica_wake_all((uint32_t *)(void *)&words[0]);
    while (atomic_load(&words[1]) != i) mica_wait_word((uint32_t *)(void *)&words[1], i - 1);
  }
  mica_thread_join(thread);
  CHECK_EQ_INT(atomic_load(&words[1]), 500);
  mica_wait_word((uint32_t *)(void *)&words[1], 499); /* another value: returns at once */
}

static void pin_and_count(void *context) {
  mica_thread_pin(1);
  *(int32_t *)context = mica_thread_core_count();
}

TEST(cores) {
  int32_t cores = mica_thread_core_count(), pinned = 0;
  CHECK(cores >= 1 && cores <= sysconf(_SC_NPROCESSORS_CONF));
  mica_thread_handle thread;
  CHECK_EQ_INT(mica_thread_start(&thread, pin_and_count, &pinned), 0);
  mica_thread_join(thread);
#ifdef __linux__
  CHECK_EQ_INT(pinned, 1);
#endif
  CHECK_EQ_INT(mica_thread_core_count(), cores); /* the other thread only */
  mica_thread_pin(-1);
  CHECK_EQ_INT(mica_thread_core_count(), cores);
  mica_thread_pause();
  mica_thread_yield();
}

TEST(pages) {
  static const size_t sizes[] = {0, 1, 4096, 1 << 20, 2 << 20, (2 << 20) + 1, 5 << 20, 9000001};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    unsigned char *pages = mica_pages_map(sizes[i]);
    if (!CHECK(pages != NULL)) continue;
    CHECK_EQ_INT((uintptr_t)pages % 64, 0);
#ifdef __linux__
    if (sizes[i] >= 2 << 20) CHECK_EQ_INT((uintptr_t)pages % (2 << 20), 0);
#endif
    for (size_t at = 0; at < sizes[i]; at += 4093)
      if (pages[at] != 0) CHECK_FAIL("byte %zu of %zu is not 0", at, sizes[i]);
    if (sizes[i] > 0) pages[0] = pages[sizes[i] - 1] = 1;
    mica_pages_unmap(pages, sizes[i]);
  }
  CHECK(mica_pages_map(SIZE_MAX) == NULL);
  CHECK(mica_pages_map(SIZE_MAX / 2 - 1) == NULL);
  mica_pages_unmap(NULL, 100);
}

TEST(clock_and_environment) {
  int64_t before = mica_clock_nanoseconds();
  usleep(2000);
  CHECK(mica_clock_nanoseconds() - before >= 2000000);
  char text[8] = "kept";
  unsetenv("MICA_TEST_VARIABLE");
  CHECK(!mica_environment("MICA_TEST_VARIABLE", text, sizeof(text)));
  setenv("MICA_TEST_VARIABLE", "12345678", 1);
  CHECK(!mica_environment("MICA_TEST_VARIABLE", text, sizeof(text))); /* one too long */
  CHECK_EQ_STR(text, "kept");
  setenv("MICA_TEST_VARIABLE", "1234567", 1);
  CHECK(mica_environment("MICA_TEST_VARIABLE", text, sizeof(text)));
  CHECK_EQ_STR(text, "1234567");
  CHECK_EQ_INT(mica_process_id(), getpid());
}

/* Under a host's odd state: rounding upwards, denormals flushed, a raised flag. */
TEST(float_state) {
#if defined(__SSE__) || defined(__aarch64__)
  const int upward = FE_UPWARD;
  volatile double one = 1, tiny = 0x1p-60, least = 0x1p-1074;
  fesetround(upward);
  feclearexcept(FE_ALL_EXCEPT);
#if defined(__SSE__)
  __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); /* flush results and operands */
#endif
  uint64_t previous = mica_float_state_enter();
  volatile double sum = one + tiny, third = one / 3, kept = least * 2;
  mica_float_state_leave(previous);
  int after = fegetround();
  bool raised = fetestexcept(FE_INEXACT) != 0;
#if defined(__SSE__)
  unsigned control = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(0x1F80);
  CHECK_EQ_BITS(control & 0x8040, 0x8040);
#endif
  fesetround(FE_TONEAREST);
  CHECK_EQ_INT(after, upward);
  CHECK(!raised); /* by the sum and the quotient, which were both rounded */
  CHECK_NEAR(sum, 1, 0);
  CHECK_NEAR(third, 0x1.5555555555555p-2, 0);
  CHECK(kept == 0x1p-1073);
#else
  CHECK_EQ_INT(mica_float_state_enter(), 0);
  mica_float_state_leave(0);
#endif
}

TEST_MAIN(TEST_CASE(locks_and_conditions), TEST_CASE(threads_block_signals),
          TEST_CASE(threads_tell_themselves_apart), TEST_CASE(sleeping_on_a_word), TEST_CASE(cores),
          TEST_CASE(pages), TEST_CASE(clock_and_environment), TEST_CASE(float_state))
