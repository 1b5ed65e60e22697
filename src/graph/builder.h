/* SPDX-License-Identifier: Apache-2.0 */
/* builder.h: what layers above need of a graph that they build into. */
#ifndef MICA_GRAPH_BUILDER_H
#define MICA_GRAPH_BUILDER_H
#include "mica/graph.h"

/* Whether building has failed; unlike mica_graph_status it asks for no closed blocks. True for NULL. */
bool mica_graph_has_failed(const mica_graph *graph);

/* What a variable held when the call began, at the root of the graph, whatever has been assigned since; and whether
 * something has been assigned there. */
mica_value mica_variable_before(mica_graph *graph, mica_variable *variable);
bool mica_variable_is_assigned(const mica_graph *graph, const mica_variable *variable);

/* f32 for f16 and bf16, else the dtype itself: what a composite computes in. */
mica_dtype mica_wide_dtype(mica_dtype dtype);
mica_value mica_widen(mica_value x); /* converted to it */

/* As MICA_ENTRY of graph_internal.h: notes the caller of a public builder until it returns. */
mica_graph *mica_note_caller(mica_graph *graph, const void *caller);
void mica_forget_caller(mica_graph **noted);
#if defined(__GNUC__) && !defined(__wasm__)
#define MICA_BUILDER_ENTRY(of_graph)                                             \
  __attribute__((cleanup(mica_forget_caller), unused)) mica_graph *noted_entry = \
      mica_note_caller((of_graph), __builtin_return_address(0))
#else
#define MICA_BUILDER_ENTRY(of_graph) ((void)(of_graph))
#endif

#endif
