/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of rearrange: the first byte says the rank, whether sizes are given and how to fold. */
#include "fuzz_notation.h"

FUZZ_TARGET(rearrange) {
  if (size == 0) return;
  char text[FUZZ_TEXT];
  fuzz_text(bytes + 1, size - 1, text);
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = fuzz_array(graph, bytes[0] % 9);
  mica_rearrange_kind kind = (mica_rearrange_kind)(bytes[0] / 9 % 6);
  if (bytes[0] / 54 % 2)
    x = mica_rearrange(x, text, .sizes = {{"a", 2}, {"b", 3}}, .reduce = kind);
  else
    x = mica_rearrange(x, text, .reduce = kind);
  fuzz_built(graph, x);
  mica_graph_destroy(graph);
}
