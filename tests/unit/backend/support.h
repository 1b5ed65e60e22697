/* SPDX-License-Identifier: Apache-2.0 */
/* support.h: what the tests of devices, executables and jits share: a device whose allocations are counted
 * and can be made to fail, and short ways to make and read tensors. */
#ifndef UNIT_BACKEND_SUPPORT_H
#define UNIT_BACKEND_SUPPORT_H
#include "check.h"
#include "mica/jit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Counts requests for memory; number `fail_at` of them fails, and with fail_on all that follow. */
typedef struct {
  _Atomic int64_t calls, live;
  int64_t fail_at;
  bool fail_on;
} counting;

static inline void *counting_allocate(void *self, void *old, size_t old_size, size_t new_size,
                                      size_t alignment) {
  counting *count = self;
  if (new_size == 0) {
    if (old != NULL) atomic_fetch_sub(&count->live, 1);
    free(old);
    return NULL;
  }
  int64_t call = atomic_fetch_add(&count->calls, 1) + 1;
  if (call == count->fail_at || (count->fail_on && count->fail_at > 0 && call > count->fail_at))
    return NULL;
  if (alignment < sizeof(void *)) alignment = sizeof(void *);
  void *memory = NULL;
  if (posix_memalign(&memory, alignment, new_size) != 0) return NULL;
  if (old != NULL) {
    memcpy(memory, old, old_size < new_size ? old_size : new_size);
    free(old);
  } else {
    atomic_fetch_add(&count->live, 1);
  }
  return memory;
}

static inline mica_allocator counting_allocator(counting *count) {
  return (mica_allocator){counting_allocate, count};
}

static inline mica_device *open_device(void) {
  mica_error error = {0};
  mica_device *device = mica_device_open(NULL, &error);
  if (device == NULL) CHECK_FAIL("%s", error.message);
  return device;
}

static inline mica_tensor *floats(int64_t count, const float *values) {
  return mica_tensor_from(MICA_F32, MICA_DIMS(count), values);
}

static inline double first_of(const mica_tensor *tensor) {
  double value = -12345;
  mica_type type = mica_tensor_type(tensor);
  if (tensor != NULL)
    mica_convert_elements(MICA_F64, &value, type.dtype, mica_tensor_data(tensor), 1);
  return value;
}

static inline double value_of(mica_variable *variable) {
  mica_tensor *snapshot = mica_variable_snapshot(variable);
  double value = first_of(snapshot);
  mica_tensor_release(snapshot);
  return value;
}

#endif
