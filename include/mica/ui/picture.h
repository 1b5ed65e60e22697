/* SPDX-License-Identifier: Apache-2.0 */
/* ui/picture.h: a picture of a model: its scopes as boxes with what they compute, their parameters and
 * shapes, and the values between them. Threads: any, while nobody builds the graph.
 * Example: examples/common.h (--log); docs/plots.md. */
#ifndef MICA_UI_PICTURE_H
#define MICA_UI_PICTURE_H
#include <stdio.h>

#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  size_t struct_size;
  const char *title; /* NULL: "model" */
  /* Scopes are open down to this depth; 0: all that hold other scopes. The page opens and closes each
   * by a click. */
  int32_t depth;
  bool backward; /* with what derivatives add, which is left out otherwise */
} mica_picture_options;

/* Boxes are scopes (mica_scope_push, blocks such as scan) and, between scopes, operators; what depends
 * on constants only is left out, broadcasts are passed through. A variable's elements count as
 * parameters of the innermost box that holds all its uses. NULL options are defaults. To picture a
 * model, build what it does for one batch into a graph (mica_graph_create, mica_parameter, the model's
 * function, mica_graph_set_outputs): nothing is compiled or run. */
MICA_API mica_status mica_picture_svg(const char *path, const mica_graph *graph,
                                      const mica_picture_options *options, mica_error *error);
MICA_API mica_status mica_picture_html(const char *path, const mica_graph *graph,
                                       const mica_picture_options *options, mica_error *error);
/* The same as a table of layers: what leaves each, with the shape, its parameters, those of the layers in it included, and what
 * it computes; down to options->depth, 0: all. Variables alone, before there is a graph: mica_store_summary. */
MICA_API mica_status mica_picture_table(FILE *out, const mica_graph *graph,
                                        const mica_picture_options *options, mica_error *error);

#ifdef __cplusplus
}
#endif
#endif
