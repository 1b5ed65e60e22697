/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_notation.h: what holds of an operator that reads a text: it fails with a message and no
 * value, or it builds a graph that passes the verifier. */
#ifndef FUZZ_NOTATION_H
#define FUZZ_NOTATION_H
#include <string.h>

#include "fuzz.h"
#include "mica/graph.h"

enum { FUZZ_TEXT = 512 };

/* The bytes as a text, cut where they hold a 0. */
static inline void fuzz_text(const uint8_t *bytes, size_t size, char text[FUZZ_TEXT]) {
  if (size > FUZZ_TEXT - 1) size = FUZZ_TEXT - 1;
  memcpy(text, bytes, size);
  text[size] = '\0';
}

static inline mica_value fuzz_array(mica_graph *graph, int32_t rank) {
  mica_shape shape = {.rank = rank};
  for (int32_t axis = 0; axis < rank; axis++) shape.dim[axis] = axis == 1 ? 1 : 6;
  return mica_parameter(graph, (mica_type){MICA_F32, shape});
}

static inline void fuzz_built(mica_graph *graph, mica_value value) {
  mica_error error = {0};
  bool built = mica_graph_status(graph, &error) == MICA_OK;
  FUZZ_REQUIRE(built == mica_is_valid(value));
  FUZZ_REQUIRE(built ? mica_graph_verify(graph, NULL) == MICA_OK
                     : error.status == MICA_INVALID && error.message[0]);
}
#endif
