/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.h: what the command `mica` and the examples do before they open a device, since the library prints nothing
 * and changes no variable of the environment. */
#ifndef EXAMPLES_PREPARE_H
#define EXAMPLES_PREPARE_H
#include <stdio.h>
#include <stdlib.h>

#include "mica/plugin.h"

/* Keeps XLA's messages off stderr and libtpu from asking the network. XLA reads these when it is loaded; a user's own
 * values stay. */
static inline void prepare_environment(void) {
  setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
  setenv("TPU_SKIP_MDS_QUERY", "1", 0);
}

static inline void prepare_say(void *user, const char *line) {
  (void)user;
  fprintf(stderr, "mica: %s\n", line);
}

/* `backend`: NULL is $MICA_BACKEND. The plugin is installed if it is missing, after a line on stderr that says so. */
static inline mica_status prepare_device(const char *backend, mica_error *error) {
  prepare_environment();
  return mica_plugin_prepare(backend, prepare_say, NULL, error);
}

#endif
