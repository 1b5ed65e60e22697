/* SPDX-License-Identifier: Apache-2.0 */
/* misuse_testing.h: what the tests of users' mistakes are written with. */
#ifndef MISUSE_TESTING_H
#define MISUSE_TESTING_H
#include "unit/graph/ops_testing.h"

/* The graph has failed in the name of `name`, and says `why`, what was expected and where. */
static inline void check_message(mica_graph *graph, const char *name, const char *const *parts) {
  mica_error error = {0};
  CHECK_STATUS(mica_graph_status(graph, &error), MICA_INVALID);
  bool complete = !strncmp(error.message, name, strlen(name)) &&
                  strstr(error.message, "expected ") && strstr(error.message, "in scope net/part");
  for (; *parts; parts++) complete = complete && strstr(error.message, *parts);
  if (!complete) CHECK_FAIL("%s..: the message is \"%s\"", name, error.message);
}

/* A small program that is wrong, and what its message has to begin with and contain. */
#define MISTAKE(name, starts, contains, ...)                                      \
  TEST(name) {                                                                    \
    mica_graph *g = scoped_graph();                                               \
    mica_value x = F32(2), y = F32(3), n = SCALAR(I32), c = SCALAR(BOOL), out[4]; \
    mica_region block = {0}, inner = {0};                                         \
    (void)x, (void)y, (void)n, (void)c, (void)out, (void)block, (void)inner;      \
    __VA_ARGS__;                                                                  \
    check_message(g, starts, (const char *const[]){contains, NULL});              \
    mica_graph_destroy(g);                                                        \
  }
#define BEGIN_WHILE block = mica_while_begin(g, (mica_value[]){x, n}, 2, 5)

static inline mica_value sum_of(mica_value x) { return mica_reduce_sum(x, MICA_ALL); }

/* Memory that never is. */
static inline void *no_memory(void *self, void *old, size_t old_size, size_t new_size,
                              size_t alignment) {
  (void)self, (void)old, (void)old_size, (void)new_size, (void)alignment;
  return NULL;
}

#endif
