/* SPDX-License-Identifier: Apache-2.0 */
/* export.c: a graph as text, for other programs that take StableHLO. */
#include "backend/xla/xla_internal.h"
#include "mica/xla.h"

mica_status mica_stablehlo_format(mica_graph *graph, char *text, size_t size, size_t *out_length,
                                  mica_error *error) {
  if (out_length != NULL) *out_length = 0;
  if (size > 0) text[0] = '\0';
  if (graph == NULL) return mica_error_set(error, MICA_INVALID, "the graph is NULL");
  mica_status status = mica_graph_verify(graph, error);
  if (status != MICA_OK) return status;
  mica_graph lowered;
  mica_arena arena;
  mica_text out;
  mica_text_init(&out, &graph->allocator);
  mica_arena_init(&arena, &graph->allocator);
  if (mica_graph_init(&lowered, &graph->allocator))
    status = mica_xla_lower(graph, &lowered, (xla_lowering){0}, error);
  else
    status = mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a text");
  xla_module module = {.graph = &lowered, .allocator = graph->allocator};
  if (status == MICA_OK) status = mica_xla_module_begin(&module, &arena, error);
  if (status == MICA_OK) status = mica_xla_module_write(&module, &out, error);
  if (status == MICA_OK) {
    (void)mica_text_copy(&out, text, size);
    if (out_length != NULL) *out_length = out.size;
  }
  mica_graph_deinit(&lowered);
  mica_arena_deinit(&arena);
  mica_text_deinit(&out);
  return status;
}
