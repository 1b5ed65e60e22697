/* SPDX-License-Identifier: Apache-2.0 */
/* ops_testing.h: what the tests of operators' types and messages are written with. Values are
 * judged elsewhere (tests/conformance); here it is what inference accepts, gives and says. */
#ifndef OPS_TESTING_H
#define OPS_TESTING_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "graph/graph_internal.h"
#include "mica/graph.h"

/* A graph inside of the scope "net/part", which every message must name. */
static inline mica_graph *scoped_graph(void) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_scope_push(graph, "net");
  mica_scope_push(graph, "part");
  return graph;
}

/* Closes its scopes again, before the outputs are named. */
static inline void leave_scopes(mica_graph *graph) {
  if (graph->scope_depth == 0) return;
  mica_scope_pop(graph, "part");
  mica_scope_pop(graph, "net");
}

static inline mica_value input(mica_graph *graph, mica_dtype dtype, mica_shape shape) {
  return mica_parameter(graph, (mica_type){dtype, shape});
}
#define F32(...)      input(g, MICA_F32, MICA_DIMS(__VA_ARGS__))
#define I32(...)      input(g, MICA_I32, MICA_DIMS(__VA_ARGS__))
#define BOOL(...)     input(g, MICA_BOOL, MICA_DIMS(__VA_ARGS__))
#define SCALAR(DTYPE) input(g, MICA_##DTYPE, MICA_SCALAR)

/* `expression`, built in graph g, has this type and the graph is well. */
static inline void check_type_text(mica_graph *graph, mica_value value, const char *expected,
                                   const char *text, const char *file, int line) {
  char type[256];
  mica_error error = {0};
  check_status((int)mica_graph_status(graph, &error), 0, error.message, text, file, line);
  mica_type_format(mica_type_of(value), type, sizeof(type));
  check_str(type, expected, text, file, line);
}
#define CHECK_TYPE(expression, expected)                                           \
  do {                                                                             \
    mica_graph *g = scoped_graph();                                                \
    check_type_text(g, (expression), (expected), #expression, __FILE__, __LINE__); \
    CHECK_OK(mica_graph_verify(g, NULL));                                          \
    mica_graph_destroy(g);                                                         \
  } while (0)

/* `expression`, built in graph g, fails, gives no value, and the message has every part, and the
 * scope. */
static inline void check_failure(mica_graph *graph, mica_value value, const char *const *parts,
                                 const char *text, const char *file, int line) {
  mica_error error = {0};
  check_status((int)mica_graph_status(graph, &error), MICA_INVALID, error.message, text, file,
               line);
  check_true(!mica_is_valid(value) && mica_rank_of(value) == 0 && mica_dim_of(value, 0) == 1 &&
                 mica_dtype_of(value) == MICA_DTYPE_NONE,
             text, file, line);
  for (; *parts; parts++) check_contains(error.message, *parts, text, file, line);
  check_contains(error.message, "in scope net/part", text, file, line);
}
#define CHECK_FAILS(expression, ...)                                                          \
  do {                                                                                        \
    mica_graph *g = scoped_graph();                                                           \
    mica_value failed = (expression);                                                         \
    check_failure(g, failed, (const char *const[]){__VA_ARGS__, NULL}, #expression, __FILE__, \
                  __LINE__);                                                                  \
    mica_graph_destroy(g);                                                                    \
  } while (0)

/* The text form of a graph; free it. */
static inline char *graph_text(const mica_graph *graph) {
  int64_t size = mica_graph_format(graph, NULL, 0);
  char *text = size < 0 ? NULL : malloc((size_t)size + 1);
  if (text) mica_graph_format(graph, text, (size_t)size + 1);
  return text;
}

/* How many nodes of an operator stand in the graph. */
static inline int count_nodes(const mica_graph *graph, mica_op op) {
  int count = 0;
  for (uint32_t id = 1; id < graph->count; id++) count += graph->nodes[id].op == op;
  return count;
}

#endif
