/* SPDX-License-Identifier: Apache-2.0 */
/* registry.c: the list of backends. A backend is one row here and its folder. */
#include "backend/backend_internal.h"
#include "mica/xla.h"

#include <stdio.h>
#include <string.h>

extern const mica_backend mica_backend_reference, mica_backend_cpu;
#ifdef MICA_XLA
extern const mica_backend mica_backend_xla;
#endif

/* Best first: the first one is the default. */
static const mica_backend *const registered_backends[] = {
    &mica_backend_cpu,
#ifdef MICA_XLA
    &mica_backend_xla,
#endif
    &mica_backend_reference,
};

enum { REGISTERED_COUNT = sizeof(registered_backends) / sizeof(registered_backends[0]) };

const mica_backend *mica_backend_find(const char *name, size_t length) {
  for (size_t i = 0; i < REGISTERED_COUNT; i++) {
    const char *known = registered_backends[i]->name;
    if (strlen(known) == length && memcmp(known, name, length) == 0) return registered_backends[i];
  }
  return NULL;
}

mica_status mica_backend_stablehlo(mica_graph *graph, char *text, size_t size, size_t *out_length,
                                   mica_error *error) {
#ifdef MICA_XLA
  return mica_stablehlo_format(graph, text, size, out_length, error);
#else
  (void)graph, (void)text, (void)size, (void)out_length;
  return mica_error_set(error, MICA_UNSUPPORTED,
                        "this library was built without the backend 'xla' (CMake: -DMICA_XLA=ON), "
                        "which writes StableHLO");
#endif
}

const mica_backend *mica_backend_default(void) { return registered_backends[0]; }

void mica_backend_list(char *text, size_t size) {
  size_t used = 0;
  if (size > 0) text[0] = '\0';
  for (size_t i = 0; i < REGISTERED_COUNT && used < size; i++) {
    int length = snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ",
                          registered_backends[i]->name);
    if (length < 0) return;
    used += (size_t)length;
  }
}
