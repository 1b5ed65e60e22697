/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of graphs: what parses is a graph that verifies, and prints a text that reads back to the same text. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "mica/graph.h"

static char *print_graph(const mica_graph *graph, size_t *out_size) {
  int64_t length = mica_graph_format(graph, NULL, 0);
  FUZZ_REQUIRE(length >= 0);
  char *text = malloc((size_t)length + 1);
  FUZZ_REQUIRE(text != NULL && mica_graph_format(graph, text, (size_t)length + 1) == length);
  *out_size = (size_t)length;
  return text;
}

FUZZ_TARGET(graph) {
  mica_graph *graph = NULL, *again = NULL;
  mica_error error = {0};
  mica_status status = mica_graph_parse(NULL, (const char *)bytes, size, &graph, &error);
  FUZZ_REQUIRE((status == MICA_OK) == (graph != NULL) && error.status == status);
  if (graph == NULL) return;
  FUZZ_REQUIRE(mica_graph_verify(graph, NULL) == MICA_OK);
  size_t first_size = 0, second_size = 0;
  char *first = print_graph(graph, &first_size);
  status = mica_graph_parse(NULL, first, first_size, &again, &error);
  FUZZ_REQUIRE(status == MICA_OK && again != NULL);
  char *second = print_graph(again, &second_size);
  FUZZ_REQUIRE(first_size == second_size && memcmp(first, second, first_size) == 0);
  free(first), free(second);
  mica_graph_destroy(graph), mica_graph_destroy(again);
}
