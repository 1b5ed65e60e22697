/* SPDX-License-Identifier: Apache-2.0 */
/* counted.h: how often a device calls each function of its plugin. The plugin's table is given functions that
 * count and go on to its own. One device at a time. */
#ifndef XLA_COUNTED_H
#define XLA_COUNTED_H
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "backend/xla/xla_internal.h"

static _Atomic int64_t counted_calls[PJRT_SLOT_COUNT];
static pjrt_function *counted_own[PJRT_SLOT_COUNT];

#define COUNTED_FUNCTION(NAME, number, text)             \
  static inline pjrt_error *counted_##NAME(void *args) { \
    atomic_fetch_add(&counted_calls[number], 1);         \
    return counted_own[number](args);                    \
  }
PJRT_SLOT_LIST(COUNTED_FUNCTION)
#undef COUNTED_FUNCTION

static inline pjrt_api *counted_table(mica_device *device) {
  const pjrt_api *api = ((xla_client *)device->state)->plugin.api;
  pjrt_api *table;
  memcpy(&table, &api, sizeof table); /* plugins build it in memory of theirs */
  return table;
}

static inline void counted_begin(mica_device *device) {
  pjrt_api *table = counted_table(device);
#define COUNTED_ROW(NAME, number, text)                                                   \
  if (mica_xla_has(&((xla_client *)device->state)->plugin, PJRT_##NAME)) {                \
    if (table->slot[number] != counted_##NAME) counted_own[number] = table->slot[number]; \
    table->slot[number] = counted_##NAME;                                                 \
  }
  PJRT_SLOT_LIST(COUNTED_ROW)
#undef COUNTED_ROW
}

static inline void counted_end(mica_device *device) {
  pjrt_api *table = counted_table(device);
  for (int i = 0; i < PJRT_SLOT_COUNT; i++)
    if (counted_own[i] != NULL) table->slot[i] = counted_own[i];
  memset(counted_own, 0, sizeof counted_own);
}

static inline void counted_reset(void) {
  for (int i = 0; i < PJRT_SLOT_COUNT; i++) atomic_store(&counted_calls[i], 0);
}

static inline int64_t counted(pjrt_slot slot) { return atomic_load(&counted_calls[slot]); }

static inline int64_t counted_all(void) {
  int64_t sum = 0;
  for (int i = 0; i < PJRT_SLOT_COUNT; i++) sum += atomic_load(&counted_calls[i]);
  return sum;
}

/* "2 LOADED_EXECUTE, 1 ..", of `calls` calls of an executable. */
static inline void counted_print(const char *what, int64_t calls) {
  printf("%s:", what);
#define COUNTED_PRINT(NAME, number, text)      \
  if (atomic_load(&counted_calls[number]) > 0) \
    printf(" %.4g %s", (double)atomic_load(&counted_calls[number]) / (double)calls, text);
  PJRT_SLOT_LIST(COUNTED_PRINT)
#undef COUNTED_PRINT
  printf(" = %.4g\n", (double)counted_all() / (double)calls);
}
#endif
