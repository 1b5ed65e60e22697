/* SPDX-License-Identifier: Apache-2.0 */
/* fake.h: the fake plugin for a test: its control, set back, and what it still holds. */
#ifndef XLA_FAKE_H
#define XLA_FAKE_H
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "unit/backend/xla/fake_plugin.h"

/* Its file, in path[1100], and its control as it is; NULL with a failed check where it is not built. */
static inline fake_control *fake_library(char path[1100]) {
  const char *build = getenv("MICA_BUILD_DIR");
  snprintf(path, 1100, "%s/tests/libmica_fake_plugin.so", build ? build : "build/release");
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbol = NULL;
  if (library) symbol = dlsym(library, FAKE_CONTROL_NAME);
  fake_control_function *function = NULL;
  memcpy(&function, &symbol, sizeof symbol);
  return CHECK(function != NULL) ? function() : NULL;
}

/* The same, set back: it lies about nothing and has one output. */
static inline fake_control *fake_open(char path[1100]) {
  fake_control *control = fake_library(path);
  if (control == NULL) return NULL;
  memset(control, 0, sizeof *control);
  control->minor = 114;
  control->outputs = 1;
  return control;
}

static inline int64_t fake_alive(const fake_control *f) {
  return f->errors + f->events + f->clients + f->buffers + f->executables + f->loaded +
         f->serialized + f->profiles;
}
#endif
