/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c: threads, locks and sleeping on a word, by POSIX threads and Linux futexes. A build for
 * WASI has one thread: starting another fails, locks do nothing. */
#include "platform/platform.h"

#include <errno.h>

#ifdef __wasi__

int mica_mutex_init(mica_mutex *mutex) {
  *mutex = (mica_mutex){{0}};
  return 0;
}
void mica_mutex_deinit(mica_mutex *mutex) { (void)mutex; }
void mica_mutex_lock(mica_mutex *mutex) { (void)mutex; }
void mica_mutex_unlock(mica_mutex *mutex) { (void)mutex; }
int mica_condition_init(mica_condition *condition) {
  *condition = (mica_condition){{0}};
  return 0;
}
void mica_condition_deinit(mica_condition *condition) { (void)condition; }
void mica_condition_wait(mica_condition *condition, mica_mutex *mutex) {
  (void)condition;
  (void)mutex;
}
void mica_condition_signal_all(mica_condition *condition) { (void)condition; }
int mica_thread_start(mica_thread_handle *handle, void (*run)(void *context), void *context) {
  *handle = (mica_thread_handle){.run = run, .context = context};
  return ENOSYS;
}
void mica_thread_join(mica_thread_handle handle) { (void)handle; }
uintptr_t mica_thread_self(void) { return 1; }
int32_t mica_thread_core_count(void) { return 1; }
void mica_thread_pin(int32_t allowed_core_index) { (void)allowed_core_index; }
void mica_thread_pause(void) {}
void mica_thread_yield(void) {}
void mica_wait_word(uint32_t *word, uint32_t expected) {
  (void)word;
  (void)expected;
}
void mica_wake_all(uint32_t *word) { (void)word; }

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(mica_mutex), "mica_mutex holds a pthread_mutex_t");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(mica_condition),
               "mica_condition holds a pthread_cond_t");
_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "a thread's id fits its handle");

/* ---- locks ----------------------------------------------------------------------------------- */

static pthread_mutex_t *mutex_of(mica_mutex *mutex) {
  return (pthread_mutex_t *)(void *)mutex->state;
}
static pthread_cond_t *condition_of(mica_condition *condition) {
  return (pthread_cond_t *)(void *)condition->state;
}

int mica_mutex_init(mica_mutex *mutex) { return pthread_mutex_init(mutex_of(mutex), NULL); }
void mica_mutex_deinit(mica_mutex *mutex) { (void)pthread_mutex_destroy(mutex_of(mutex)); }
void mica_mutex_lock(mica_mutex *mutex) { (void)pthread_mutex_lock(mutex_of(mutex)); }
void mica_mutex_unlock(mica_mutex *mutex) { (void)pthread_mutex_unlock(mutex_of(mutex)); }
int mica_condition_init(mica_condition *condition) {
  return pthread_cond_init(condition_of(condition), NULL);
}
void mica_condition_deinit(mica_condition *condition) {
  (void)pthread_cond_destroy(condition_of(condition));
}
void mica_condition_wait(mica_condition *condition, mica_mutex *mutex) {
  (void)pthread_cond_wait(condition_of(condition), mutex_of(mutex));
}
void mica_condition_signal_all(mica_condition *condition) {
  (void)pthread_cond_broadcast(condition_of(condition));
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *thread_main(void *pointer) {
  const mica_thread_handle *handle = pointer;
  handle->run(handle->context);
  return NULL;
}

int mica_thread_start(mica_thread_handle *handle, void (*run)(void *context), void *context) {
  *handle = (mica_thread_handle){.run = run, .context = context};
  sigset_t all, before;
  sigfillset(&all);
  int code = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (code != 0) return code;
  pthread_t thread;
  code = pthread_create(&thread, NULL, thread_main, handle);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  /* The new thread reads run and context only, so the id may be stored while it runs. */
  if (code == 0) memcpy(&handle->id, &thread, sizeof(thread));
  return code;
}

void mica_thread_join(mica_thread_handle handle) {
  pthread_t thread;
  memcpy(&thread, &handle.id, sizeof(thread));
  (void)pthread_join(thread, NULL);
}

uintptr_t mica_thread_self(void) {
  pthread_t thread = pthread_self();
  uintptr_t self = 0;
  memcpy(&self, &thread, sizeof(thread));
  return self;
}

void mica_thread_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

void mica_thread_yield(void) { (void)sched_yield(); }

/* ---- cores ----------------------------------------------------------------------------------- */

#ifdef __linux__

enum { CORE_LIMIT = 8192 }; /* what a kernel is built for at most */
typedef struct {
  unsigned long bits[CORE_LIMIT / (8 * sizeof(unsigned long))];
} core_set;

/* The cores that the calling thread may run on: glibc's cpu_set_t stops at 1024, the system call
 * does not. Returns how many, 0 when unknown. */
static int32_t allowed_cores(core_set *set) {
  memset(set, 0, sizeof(*set));
  if (syscall(SYS_sched_getaffinity, 0, sizeof(*set), set) < 0) return 0;
  int32_t count = 0;
  for (size_t i = 0; i < sizeof(set->bits) / sizeof(set->bits[0]); i++)
    count += __builtin_popcountl(set->bits[i]);
  return count;
}

/* Reads two numbers of a small file, as of cgroup's cpu.max; "max" is -1. */
static bool read_numbers(const char *path, int64_t number[2]) {
  char text[128];
  uint64_t size = 0;
  while (size < sizeof(text) - 1 && mica_file_read(path, size, text + size, 1) == 0) size++;
  text[size] = '\0';
  const char *cursor = text;
  for (int i = 0; i < 2; i++) {
    while (*cursor == ' ' || *cursor == '\n') cursor++;
    if (strncmp(cursor, "max", 3) == 0) {
      number[i] = -1;
      cursor += 3;
      continue;
    }
    if (*cursor < '0' || *cursor > '9') return i == 1;
    number[i] = 0;
    while (*cursor >= '0' && *cursor <= '9' && number[i] < INT64_MAX / 16)
      number[i] = number[i] * 10 + (*cursor++ - '0');
  }
  return true;
}

/* A container limited to 2 cores' worth of time still sees all 64 of the machine; as many spinning
 * threads would use the quota up and stop dead for the rest of each period. 0: no limit known. */
static int32_t quota_cores(void) {
  int64_t number[2] = {-1, 0};
  if (!read_numbers("/sys/fs/cgroup/cpu.max", number)) {
    int64_t period[2] = {0, 0};
    if (!read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", number)) return 0;
    if (!read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period)) return 0;
    number[1] = period[0];
  }
  if (number[0] <= 0 || number[1] <= 0) return 0;
  int64_t cores = (number[0] + number[1] - 1) / number[1];
  return cores > CORE_LIMIT ? CORE_LIMIT : (int32_t)cores;
}

int32_t mica_thread_core_count(void) {
  core_set set;
  int32_t count = allowed_cores(&set);
  if (count == 0) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    count = online > 0 && online <= CORE_LIMIT ? (int32_t)online : 1;
  }
  int32_t quota = quota_cores();
  return quota > 0 && quota < count ? quota : count;
}

void mica_thread_pin(int32_t allowed_core_index) {
  core_set set, one = {{0}};
  int32_t count = allowed_cores(&set);
  if (count == 0 || allowed_core_index < 0) return;
  int32_t wanted = allowed_core_index % count;
  for (size_t core = 0; core < CORE_LIMIT; core++) {
    size_t word = core / (8 * sizeof(unsigned long));
    unsigned long bit = 1ul << (core % (8 * sizeof(unsigned long)));
    if ((set.bits[word] & bit) == 0 || wanted-- > 0) continue;
    one.bits[word] = bit;
    (void)syscall(SYS_sched_setaffinity, 0, sizeof(one), &one);
    return;
  }
}

#else

int32_t mica_thread_core_count(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 && online <= 8192 ? (int32_t)online : 1;
}

void mica_thread_pin(int32_t allowed_core_index) { (void)allowed_core_index; }

#endif

/* ---- sleeping on a word ---------------------------------------------------------------------- */

#ifdef __linux__

void mica_wait_word(uint32_t *word, uint32_t expected) {
  (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void mica_wake_all(uint32_t *word) {
  (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

#else

void mica_wait_word(uint32_t *word, uint32_t expected) {
  (void)word;
  (void)expected;
}

void mica_wake_all(uint32_t *word) { (void)word; }

#endif

#endif
