/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h: the state of the graph parser. */
#ifndef MICA_GRAPH_PARSE_H
#define MICA_GRAPH_PARSE_H
#include "graph/graph_internal.h"

typedef struct {
  mica_graph *graph;
  const char *text, *at, *end;
  mica_value *values; /* by number; id 0: not defined */
  uint32_t value_count, value_capacity;
} mica_graph_parser;

void mica_parse_begin(mica_graph_parser *p, mica_graph *graph, const char *text, size_t size);
/* Makes the graph fail with line and column; returns false. */
bool mica_parse_fail(mica_graph_parser *p, const char *format, ...) MICA_PRINTF(2, 3);
void mica_parse_space(mica_graph_parser *p);
bool mica_parse_word(mica_graph_parser *p, char *word, size_t size);
bool mica_parse_quoted(mica_graph_parser *p, char **out_text); /* in the graph's arena */
bool mica_parse_list(mica_graph_parser *p, mica_ints *out);
/* "axes=[0], kind=sum" up to `close` ("": the end of the text) into a zeroed attribute struct. */
bool mica_parse_attributes(mica_graph_parser *p, const mica_op_def *def, void *attr,
                           const char *close);

#endif
