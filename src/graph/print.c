/* SPDX-License-Identifier: Apache-2.0 */
/* print.c: a graph as text, which parse.c reads back (docs/text-form.md).
 *
 *   mica 1
 *   %0 = parameter() {index=0, dtype=f32, shape=[3]} : f32[3]
 *   %1, %2 = while(%0; %0; ) {max_iterations=5} : f32[3] @"solve" {
 *     region(%3: f32[3]; %4: f32[3]) {
 *       ...
 *       return %7
 *     }
 *     ...
 *   }
 *   return %1
 *   assign "w" = %2
 *
 * Values are numbered in the order in which they are printed. Behind an owner's declared operands,
 * each
 * `;` begins what one of its regions captured; in a region's list the captured arguments stand
 * behind `;`. */
#include <stdio.h>
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

typedef struct {
  const mica_graph *graph;
  mica_text *text;
  uint32_t *number; /* by id; 0: not printed yet, else its number + 1 */
  uint32_t next;
} graph_printer;

static void define(graph_printer *p, uint32_t id) {
  if (!p->number[id]) p->number[id] = ++p->next;
  mica_text_format(p->text, "%%%u", p->number[id] - 1);
}
static void use(graph_printer *p, uint32_t id) {
  if (p->number[id])
    mica_text_format(p->text, "%%%u", p->number[id] - 1);
  else
    mica_text_append(p->text, "%?"); /* only in a graph that the verifier refuses */
}
static void print_type(graph_printer *p, uint32_t id) {
  char type[160];
  mica_type_format(p->graph->nodes[id].type, type, sizeof type);
  mica_text_append(p->text, type);
}
static void indent(graph_printer *p, int depth) {
  for (int i = 0; i < depth; i++) mica_text_append(p->text, "  ");
}

static void print_nodes(graph_printer *p, uint32_t region, int depth);

static void print_region(graph_printer *p, uint32_t index, int depth) {
  const mica_region_data *region = &p->graph->regions[index];
  indent(p, depth);
  mica_text_append(p->text, "region(");
  for (uint32_t i = 0; i < region->argument_count; i++) {
    if (i == region->declared_count)
      mica_text_append(p->text, "; ");
    else if (i)
      mica_text_append(p->text, ", ");
    define(p, region->arguments[i]);
    mica_text_append(p->text, ": ");
    print_type(p, region->arguments[i]);
  }
  mica_text_append(p->text, ") {\n");
  print_nodes(p, index, depth + 1);
  indent(p, depth + 1);
  mica_text_append(p->text, "return");
  for (uint32_t i = 0; i < region->result_count; i++) {
    mica_text_append(p->text, i ? ", " : " ");
    use(p, region->results[i]);
  }
  mica_text_append(p->text, "\n");
  indent(p, depth);
  mica_text_append(p->text, "}\n");
}

static void print_operands(graph_printer *p, const mica_node *node) {
  const uint32_t *operands = mica_node_operands(p->graph, node);
  uint32_t at = 0;
  for (; at < node->declared_count; at++) {
    if (at) mica_text_append(p->text, ", ");
    use(p, operands[at]);
  }
  for (uint32_t r = 0; r < node->region_count; r++) {
    const mica_region_data *region = mica_node_region(p->graph, node, r);
    mica_text_append(p->text, ";");
    for (uint32_t k = region->declared_count; k < region->argument_count; k++) {
      mica_text_append(p->text, k > region->declared_count ? ", " : " ");
      use(p, operands[at++]);
    }
  }
}

static void print_node(graph_printer *p, uint32_t id, int depth) {
  const mica_node *node = &p->graph->nodes[id];
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  indent(p, depth);
  /* The results get their numbers after the regions' values, where they come to be; so note the
   * place. */
  size_t start = p->text->size;
  mica_text_format(p->text, "%s(", def->name);
  print_operands(p, node);
  mica_text_append(p->text, ")");
  if (def->fields && def->fields[0].name) {
    mica_text_append(p->text, " {");
    mica_attr_print(def, node->attr, p->text);
    mica_text_append(p->text, "}");
  }
  for (uint32_t i = 0; i < node->result_count; i++) {
    mica_text_append(p->text, i ? ", " : " : ");
    print_type(p, id + i);
  }
  if (node->scope) {
    mica_text_append(p->text, " @");
    mica_print_quoted(mica_scope_text(p->graph, node->scope), p->text);
  }
  if (node->region_count) {
    mica_text_append(p->text, " {\n");
    for (uint32_t r = 0; r < node->region_count; r++)
      print_region(p, p->graph->owned[node->region_first + r], depth + 1);
    indent(p, depth);
    mica_text_append(p->text, "}");
  }
  mica_text_append(p->text, "\n");
  if (!node->result_count) return;
  /* Move "%a, %b = " in front of what was printed. */
  size_t end = p->text->size;
  for (uint32_t i = 0; i < node->result_count; i++) {
    if (i) mica_text_append(p->text, ", ");
    define(p, id + i);
  }
  mica_text_append(p->text, " = ");
  size_t length = p->text->size - end;
  char prefix[256],
      *moved = length <= sizeof prefix ? prefix : mica_allocate(&p->text->allocator, length);
  if (!moved || p->text->failed) {
    p->text->failed = true;
    if (moved && moved != prefix) mica_free(&p->text->allocator, moved, length);
    return;
  }
  memcpy(moved, p->text->data + end, length);
  memmove(p->text->data + start + length, p->text->data + start, end - start);
  memcpy(p->text->data + start, moved, length);
  if (moved != prefix) mica_free(&p->text->allocator, moved, length);
}

static void print_nodes(graph_printer *p, uint32_t index, int depth) {
  const mica_region_data *region = &p->graph->regions[index];
  uint32_t end = region->state == MICA_REGION_OPEN ? p->graph->count : region->end;
  for (uint32_t id = region->begin; id < end; id++) {
    const mica_node *node = &p->graph->nodes[id];
    if (node->region == index && node->op != MICA_OP_ARGUMENT && node->op != MICA_OP_RESULT)
      print_node(p, id, depth);
  }
}

void mica_graph_print(const mica_graph *graph, mica_text *text) {
  graph_printer p = {.graph = graph, .text = text};
  p.number = mica_allocate_zeroed(&graph->allocator, graph->count + 1u, sizeof *p.number);
  if (!p.number) {
    text->failed = true;
    return;
  }
  mica_text_append(text, "mica 1\n");
  print_nodes(&p, 0, 0);
  mica_text_append(text, "return");
  for (uint32_t i = 0; i < graph->output_count; i++) {
    mica_text_append(text, i ? ", " : " ");
    use(&p, graph->outputs[i]);
  }
  mica_text_append(text, "\n");
  for (uint32_t i = 0; i < graph->variable_count; i++) {
    const mica_graph_variable *variable = &graph->variables[i];
    if (!variable->assign) continue;
    mica_text_append(text, "assign ");
    const char *name = variable->variable ? mica_variable_name(variable->variable) : "";
    if (!variable->variable && variable->read)
      name = ((const mica_variable_attr *)graph->nodes[variable->read].attr)->name;
    mica_print_quoted(name, text);
    mica_text_append(text, " = ");
    use(&p, variable->assign);
    mica_text_append(text, "\n");
  }
  mica_free(&graph->allocator, p.number, (graph->count + 1u) * sizeof *p.number);
}

int64_t mica_graph_format(const mica_graph *graph, char *text, size_t size) {
  mica_text printed;
  mica_text_init(&printed, graph ? &graph->allocator : NULL);
  if (graph && graph->nodes) mica_graph_print(graph, &printed);
  return mica_text_deliver(&printed, text, size);
}
