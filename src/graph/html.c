/* SPDX-License-Identifier: Apache-2.0 */
/* html.c: a graph as one HTML page without scripts: a tree of scopes and regions that open and
 * close
 * (<details>), each node with its operands, types and attributes; links lead from a use to its
 * definition. */
#include <stdio.h>
#include <string.h>

#include "graph/attributes.h"
#include "graph/graph_internal.h"

typedef struct {
  const mica_graph *graph;
  mica_text *text;
  char open[512]; /* scope path whose <details> are open */
} html_printer;

static void html_escaped(mica_text *text, const char *string, size_t size) {
  for (size_t i = 0; i < size; i++) {
    char c = string[i];
    if (c == '<')
      mica_text_append(text, "&lt;");
    else if (c == '>')
      mica_text_append(text, "&gt;");
    else if (c == '&')
      mica_text_append(text, "&amp;");
    else if (c == '"')
      mica_text_append(text, "&quot;");
    else
      mica_text_append_bytes(text, &c, 1);
  }
}

/* Closes and opens <details> until those of `path` are open. Scopes are cut at '/'. */
static void html_scope(html_printer *p, const char *path) {
  size_t common = 0, i = 0;
  while (p->open[i] && p->open[i] == path[i]) {
    i++;
    if ((p->open[i] == '/' || !p->open[i]) && (path[i] == '/' || !path[i])) common = i;
  }
  const char *rest = p->open + common;
  for (size_t k = 0; rest[k]; k++)
    if (rest[k] == '/' || (k == 0 && common == 0)) mica_text_append(p->text, "</details>\n");
  const char *at = path + common;
  while (*at) {
    if (*at == '/') at++;
    size_t length = strcspn(at, "/");
    mica_text_append(p->text, "<details open><summary class=\"scope\">");
    html_escaped(p->text, at, length);
    mica_text_append(p->text, "</summary>\n");
    at += length;
  }
  snprintf(p->open, sizeof p->open, "%s", path);
}

static void html_nodes(html_printer *p, uint32_t region);

static void html_value(html_printer *p, uint32_t id, bool definition) {
  char type[160];
  mica_type_format(p->graph->nodes[id].type, type, sizeof type);
  if (definition)
    mica_text_format(p->text,
                     "<span class=\"id\" id=\"v%u\">%%%u</span> <span class=\"type\">%s</span>", id,
                     id, type);
  else
    mica_text_format(p->text, "<a href=\"#v%u\" title=\"%s\">%%%u</a>", id, type, id);
}

static void html_node(html_printer *p, uint32_t id) {
  const mica_graph *graph = p->graph;
  const mica_node *node = &graph->nodes[id];
  const mica_op_def *def = mica_op_definition((mica_op)node->op);
  mica_text_append(p->text, "<div class=\"node\">");
  for (uint32_t i = 0; i < node->result_count; i++) {
    if (i) mica_text_append(p->text, ", ");
    html_value(p, id + i, true);
  }
  mica_text_format(p->text, " = <b class=\"%s\">%s</b>(",
                   node->region_count ? "owner"
                   : def->expand      ? "composite"
                                      : "op",
                   def->name);
  for (uint32_t i = 0; i < node->operand_count; i++) {
    if (i) mica_text_append(p->text, ", ");
    html_value(p, mica_node_operands(graph, node)[i], false);
  }
  mica_text_append(p->text, ")");
  if (def->fields && def->fields[0].name && node->op != MICA_OP_PARAMETER) {
    mica_text attributes;
    mica_text_init(&attributes, &graph->allocator);
    mica_attr_print(def, node->attr, &attributes);
    mica_text_append(p->text, " <span class=\"attr\">");
    html_escaped(p->text, attributes.data ? attributes.data : "",
                 attributes.size < 200 ? attributes.size : 200);
    mica_text_append(p->text, attributes.size > 200 ? "...</span>" : "</span>");
    if (attributes.failed) p->text->failed = true;
    mica_text_deinit(&attributes);
  }
  mica_text_append(p->text, "</div>\n");
  for (uint32_t r = 0; r < node->region_count; r++) {
    uint32_t index = graph->owned[node->region_first + r];
    const mica_region_data *region = &graph->regions[index];
    mica_text_format(p->text,
                     "<details class=\"region\"><summary>region %u of %s</summary>\n<div "
                     "class=\"node\">arguments ",
                     r, def->name);
    for (uint32_t i = 0; i < region->argument_count; i++) {
      if (i) mica_text_append(p->text, i == region->declared_count ? " | captured " : ", ");
      html_value(p, region->arguments[i], true);
    }
    mica_text_append(p->text, "</div>\n");
    html_printer inner = {.graph = graph, .text = p->text};
    html_nodes(&inner, index);
    mica_text_append(p->text, "<div class=\"node\">return ");
    for (uint32_t i = 0; i < region->result_count; i++) {
      if (i) mica_text_append(p->text, ", ");
      html_value(p, region->results[i], false);
    }
    mica_text_append(p->text, "</div></details>\n");
  }
}

static void html_nodes(html_printer *p, uint32_t index) {
  const mica_region_data *region = &p->graph->regions[index];
  uint32_t end = region->state == MICA_REGION_OPEN ? p->graph->count : region->end;
  for (uint32_t id = region->begin; id < end; id++) {
    const mica_node *node = &p->graph->nodes[id];
    if (node->region != index || node->op == MICA_OP_ARGUMENT || node->op == MICA_OP_RESULT)
      continue;
    html_scope(p, mica_scope_text(p->graph, node->scope));
    html_node(p, id);
  }
  html_scope(p, "");
}

int64_t mica_graph_format_html(const mica_graph *graph, char *text, size_t size) {
  mica_text page;
  mica_text_init(&page, graph ? &graph->allocator : NULL);
  if (!graph || !graph->nodes) return mica_text_deliver(&page, text, size);
  mica_text_format(
      &page,
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Mica graph</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>\n");
  mica_text_append(
      &page,
      ":root{--paper:#fff;--ink:#1f2430;--soft:#667085;--rule:#e2e6ee;--type:#0072b2;--scope:#"
      "8a4b00;--owner:#7a3e9d;--composite:#00664b;--hit:#fff3bf}\n"
      "@media(prefers-color-scheme:dark){:root{--paper:#14161c;--ink:#e8eaf0;--soft:#9aa3b5;--rule:"
      "#2a2f3a;--type:#6cb6ff;--scope:#f0b35a;--owner:#d2a8ff;--composite:#56d4a5;--hit:#4b4212}}\n"
      "body{margin:1.2rem auto;max-width:75rem;padding:0 "
      "1rem;background:var(--paper);color:var(--ink);font:14px/1.55 "
      "ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace}\n"
      "h1{font:600 1.15rem system-ui,sans-serif}details{border-left:2px solid "
      "var(--rule);padding-left:.8rem;margin:.15rem 0}\n"
      "summary{cursor:pointer;color:var(--soft)}summary.scope{color:var(--scope);font-weight:600}a{"
      "color:inherit;text-decoration-color:var(--rule)}\n"
      ".node{overflow-wrap:anywhere;padding:.05rem "
      "0}.type{color:var(--type)}.attr{color:var(--soft)}.owner{color:var(--owner)}.composite{"
      "color:var(--composite)}\n"
      ".id{font-weight:600}:target{background:var(--hit)}.head{color:var(--soft);font-family:"
      "system-ui,sans-serif}\n</style></head><body>\n");
  mica_text_format(&page,
                   "<h1>Mica graph</h1><p class=\"head\">%u nodes, %u inputs, %u outputs, %u "
                   "variables. Scopes and regions open and close; a "
                   "value leads to its definition.</p>\n",
                   graph->count - 1, graph->parameter_count, graph->output_count,
                   graph->variable_count);
  html_printer p = {.graph = graph, .text = &page};
  html_nodes(&p, 0);
  mica_text_append(&page, "<div class=\"node\"><b>return</b> ");
  for (uint32_t i = 0; i < graph->output_count; i++) {
    if (i) mica_text_append(&page, ", ");
    html_value(&p, graph->outputs[i], false);
  }
  mica_text_append(&page, "</div>\n");
  for (uint32_t i = 0; i < graph->variable_count; i++) {
    if (!graph->variables[i].assign) continue;
    const char *name = graph->variables[i].variable
                           ? mica_variable_name(graph->variables[i].variable)
                           : "variable";
    mica_text_append(&page, "<div class=\"node\"><b>assign</b> ");
    html_escaped(&page, name, strlen(name));
    mica_text_append(&page, " = ");
    html_value(&p, graph->variables[i].assign, false);
    mica_text_append(&page, "</div>\n");
  }
  mica_text_append(&page, "</body></html>\n");
  return mica_text_deliver(&page, text, size);
}
