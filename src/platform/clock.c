/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: the monotonic clock and the environment, by POSIX. */
#include "platform/platform.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifndef __wasi__
#include <unistd.h>
#endif

int64_t mica_clock_nanoseconds(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
  return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

bool mica_environment(const char *name, char *text, size_t size) {
  const char *value = getenv(name);
  if (value == NULL) return false;
  size_t length = strlen(value);
  if (length >= size) return false;
  memcpy(text, value, length + 1);
  return true;
}

uint64_t mica_process_id(void) {
#ifdef __wasi__
  return 1;
#else
  return (uint64_t)getpid();
#endif
}
