/* SPDX-License-Identifier: Apache-2.0 */
/* real.h: a device on a real CPU plugin, where there is one (docs/xla.md says how to get it); the tests that
 * need it are skipped with the reason where there is none. */
#ifndef XLA_REAL_H
#define XLA_REAL_H
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mica/jit.h"

static inline mica_device *open_xla(const char *options) {
  char name[1400];
  mica_error error = {0};
  snprintf(name, sizeof name, "xla:cpu%s", options);
  mica_device *device = mica_device_open(
      &(mica_device_options){.struct_size = sizeof(mica_device_options), .backend = name}, &error);
  if (device) return device;
  if (error.status == MICA_NOT_FOUND && strstr(error.message, "no plugin in"))
    CHECK_SKIP(error.message);
  else
    CHECK_FAIL("%s", error.message);
  return NULL;
}

static const mica_type real_four = {MICA_F32, {.rank = 1, .dim = {4}}};

static inline mica_tensor *four_numbers(float a, float b, float c, float d) {
  return mica_tensor_from(MICA_F32, real_four.shape, (float[]){a, b, c, d});
}
#endif
