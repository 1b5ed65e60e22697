/* SPDX-License-Identifier: Apache-2.0 */
/* Equations of einsum: the first byte says how many operands there are and of what rank. */
#include "fuzz_notation.h"

FUZZ_TARGET(einsum) {
  if (size == 0) return;
  char text[FUZZ_TEXT];
  fuzz_text(bytes + 1, size - 1, text);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x[12];
  size_t count = 1 + bytes[0] % 12u;
  for (size_t i = 0; i < count; i++) x[i] = fuzz_array(graph, (bytes[0] / 12 + (int32_t)i / 4) % 9);
  fuzz_built(graph, mica_einsum(text, x, count));
  mica_graph_destroy(graph);
}
