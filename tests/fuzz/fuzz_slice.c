/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of slice: the first byte says the rank. */
#include "fuzz_notation.h"

FUZZ_TARGET(slice) {
  if (size == 0) return;
  char text[FUZZ_TEXT];
  fuzz_text(bytes + 1, size - 1, text);
  mica_graph *graph = mica_graph_create(NULL);
  fuzz_built(graph, mica_slice(fuzz_array(graph, bytes[0] % 9), text));
  mica_graph_destroy(graph);
}
