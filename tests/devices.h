/* SPDX-License-Identifier: Apache-2.0 */
/* devices.h: the devices of a suite's programs, opened once; for one source of a suite. */
#ifndef TESTS_DEVICES_H
#define TESTS_DEVICES_H
#include <stdlib.h>

#include "check.h"
#include "mica/backend.h"

enum { TEST_DEVICES = 8 };
static mica_device *test_devices[TEST_DEVICES];

/* 0: the reference; n: the backend under test with n threads, cpu or what $MICA_TEST_BACKEND names. */
static mica_device *test_device(int32_t threads) {
  if (test_devices[threads]) return test_devices[threads];
  const char *name = getenv("MICA_TEST_BACKEND"), *tested = name && *name ? name : "cpu";
  const char *backend = threads ? tested : "reference";
  mica_error error = {0};
  test_devices[threads] =
      mica_device_open(&(mica_device_options){.struct_size = sizeof(mica_device_options),
                                              .backend = backend,
                                              .threads = check_threads(threads ? threads : 1)},
                       &error);
  if (!test_devices[threads]) CHECK_FAIL("device %s: %s", backend, error.message);
  return test_devices[threads];
}

static void test_devices_close(void) {
  for (int i = 0; i < TEST_DEVICES; i++)
    mica_device_release(test_devices[i]), test_devices[i] = NULL;
}
#endif
