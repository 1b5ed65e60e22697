/* SPDX-License-Identifier: Apache-2.0 */
/* xla.h: what only the XLA backend offers. It runs graphs on PJRT plugins (docs/xla.md) and is part of the
 * library where CMake's MICA_XLA is on; devices are opened as any other, by the names "xla:cpu",
 * "xla:cuda", .. or "xla:/path/to/plugin.so". */
#ifndef MICA_XLA_H
#define MICA_XLA_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* The graph as a StableHLO module in MLIR's text form, into text[size], terminated where size > 0;
 * *out_length is what it needs. Needs no plugin. @main takes the parameters that something reads in
 * their order, then the variables that are read (mica_graph_variables), and gives the outputs, then
 * the assigned values. All constants are in the text. The graph stays usable. MICA_UNSUPPORTED names
 * an operator that has no form in StableHLO (custom operators). */
MICA_API mica_status mica_stablehlo_format(mica_graph *graph, char *text, size_t size,
                                           size_t *out_length, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
