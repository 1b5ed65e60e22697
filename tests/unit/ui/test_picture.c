/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of models: boxes, rows, edges and counts of graphs that are known. How they look was seen
 * in a browser. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "mica/ui.h"
#include "ui/picture_internal.h"

enum { SIZE = 1 << 18 };
static char text[SIZE];

static const char *contents(const char *path) {
  FILE *file = fopen(path, "rb");
  size_t size = file ? fread(text, 1, SIZE - 1, file) : 0;
  if (file) fclose(file);
  text[size] = 0;
  return text;
}

static mica_variable *variable(const char *name, mica_shape shape) {
  mica_tensor *start = mica_tensor_from(MICA_F32, shape, NULL);
  mica_variable *made = mica_variable_create(name, start);
  mica_tensor_release(start);
  return made;
}

static mica_value dense(mica_value x, const char *name, int64_t units) {
  mica_scope_push(x.graph, name);
  mica_variable *kernel = variable(name, MICA_DIMS(mica_dim_of(x, -1), units)),
                *bias = variable(name, MICA_DIMS(units));
  mica_value k = mica_variable_read(x.graph, kernel), b = mica_variable_read(x.graph, bias);
  x = mica_relu(mica_add(mica_matmul(x, k), b));
  mica_variable_release(kernel), mica_variable_release(bias);
  mica_scope_pop(x.graph, name);
  return x;
}

/* input -> encoder { first, second } -> + input of it -> head, and a scan in a block of its own. */
static mica_graph *model(bool gradients) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(4, 8)}), out[2];
  mica_scope_push(graph, "encoder");
  x = mica_add(dense(dense(x, "first", 16), "second", 8), x);
  mica_scope_pop(graph, "encoder");
  mica_scope_push(graph, "loop");
  mica_value carry = mica_zeros_like(mica_reduce_sum(x, MICA_AXES(0))), stacked;
  mica_region region = mica_scan_begin(&carry, 1, &x, 1);
  mica_value sum = mica_add(mica_argument(region, 0), mica_argument(region, 1));
  mica_scan_end(region, &sum, &sum, 1, &carry, &stacked);
  mica_scope_pop(graph, "loop");
  out[0] = dense(stacked, "head", 3);
  out[1] = mica_reduce_sum(out[0], MICA_ALL);
  if (gradients) {
    mica_value in = mica_parameter(graph, (mica_type){MICA_F32, MICA_SCALAR});
    mica_gradients(out[1], &x, 1, &x);
    out[1] = mica_mul(mica_reduce_sum(x, MICA_ALL), in);
  }
  mica_graph_set_outputs(graph, out, 2);
  return graph;
}

static int32_t find(const mica_picture *p, const char *name, int32_t parent) {
  for (int32_t i = 0; i < p->count; i++)
    if (p->items[i].parent == parent && !strcmp(p->items[i].name, name)) return i;
  CHECK_FAIL("there is no box %s in %d", name, parent);
  return 0;
}

static bool has_edge(const mica_picture *p, int32_t from, int32_t to) {
  for (int32_t i = 0; i < p->edge_count; i++)
    if (p->edges[i].from == from && p->edges[i].to == to) return true;
  return false;
}

TEST(boxes_follow_the_scopes) {
  mica_graph *graph = model(false);
  mica_picture p;
  mica_error error = {0};
  mica_picture_options o = mica_picture_options_of(NULL);
  if (!CHECK_OK_ERROR(mica_picture_build(graph, &o, &p, &error), &error)) return;
  int32_t input = find(&p, "input 0", 0), encoder = find(&p, "encoder", 0),
          loop = find(&p, "loop", 0), head = find(&p, "head", 0),
          first = find(&p, "first", encoder), second = find(&p, "second", encoder),
          add = find(&p, "add", encoder), scan = find(&p, "scan", loop),
          output = find(&p, "output 0", 0);
  CHECK_EQ_INT(p.items[first].parameters, 8 * 16 + 16);
  CHECK_EQ_INT(p.items[encoder].parameters, 8 * 16 + 16 + 16 * 8 + 8);
  CHECK_EQ_INT(p.items[head].parameters, 8 * 3 + 3);
  CHECK_EQ_INT(p.items[0].parameters, p.items[encoder].parameters + p.items[head].parameters);
  CHECK_EQ_INT(p.variables, 6);
  CHECK_EQ_STR(p.items[first].does, "dot_general, add, relu");
  CHECK_EQ_INT(p.items[first].type.shape.dim[1], 16);
  CHECK(has_edge(&p, input, encoder) && has_edge(&p, encoder, loop) && has_edge(&p, loop, head));
  CHECK(has_edge(&p, first, second) && has_edge(&p, second, add) && has_edge(&p, head, output));
  CHECK(!has_edge(&p, input, loop) && !has_edge(&p, first, add));
  CHECK(p.items[first].entered && p.items[add].entered && !p.items[second].entered);
  CHECK(p.items[first].rank == 0 && p.items[second].rank == 1 && p.items[add].rank == 2);
  CHECK(p.items[input].rank < p.items[encoder].rank && p.items[loop].rank < p.items[head].rank);
  CHECK_EQ_INT(p.items[scan].operators, 1);
  mica_picture_free(&p);
  mica_graph_destroy(graph);
}

TEST(layers_are_listed) {
  mica_graph *graph = model(false);
  mica_error error = {0};
  const char *path = check_temporary_path("table.txt");
  FILE *file = fopen(path, "w");
  mica_picture_options o = {.struct_size = sizeof o, .depth = 1};
  CHECK_OK_ERROR(mica_picture_table(file, graph, NULL, &error), &error);
  CHECK_OK_ERROR(mica_picture_table(file, graph, &o, &error), &error);
  fclose(file);
  contents(path);
  CHECK_STR_CONTAINS(text, "layer ");
  CHECK_STR_CONTAINS(text, "  first   f32[4, 16]         144  dot_general, add, relu\n");
  CHECK_STR_CONTAINS(text, "307 parameters in 6 variables\n\n");
  const char *second = strstr(text, "307 parameters");
  CHECK(second && strstr(second, "encoder") && !strstr(second, "first"));
  CHECK_STATUS(mica_picture_table(NULL, graph, NULL, NULL), MICA_INVALID);
  mica_graph_destroy(graph);
}

TEST(derivatives_are_left_out_unless_asked_for) {
  mica_graph *graph = model(true);
  mica_picture forward, both;
  mica_error error = {0};
  mica_picture_options o = mica_picture_options_of(NULL);
  CHECK_OK_ERROR(mica_picture_build(graph, &o, &forward, &error), &error);
  o.backward = true;
  CHECK_OK_ERROR(mica_picture_build(graph, &o, &both, &error), &error);
  CHECK(both.items[0].operators > forward.items[0].operators);
  for (int32_t i = 0; i < forward.count; i++) CHECK(!strstr(forward.items[i].name, "backward"));
  mica_picture_free(&forward), mica_picture_free(&both);
  mica_graph_destroy(graph);
}

TEST(files_hold_what_is_open) {
  mica_graph *graph = model(false);
  mica_error error = {0};
  const char *svg = check_temporary_path("model.svg"), *html = check_temporary_path("model.html");
  CHECK_OK_ERROR(mica_picture_svg(svg, graph, NULL, &error), &error);
  contents(svg);
  CHECK(!strncmp(text, "<svg ", 5) && strstr(text, "</svg>"));
  CHECK_STR_CONTAINS(text, ">first</text>");
  CHECK_STR_CONTAINS(text, "f32[4, 16]  \xc2\xb7  144 parameters");
  CHECK(!strstr(text, ">relu</text>")); /* inside of a closed box */
  mica_picture_options o = {.struct_size = sizeof o, .title = "a <model>", .depth = 1};
  CHECK_OK_ERROR(mica_picture_svg(svg, graph, &o, &error), &error);
  CHECK(!strstr(contents(svg), ">first</text>"));
  CHECK_STR_CONTAINS(text, "a &lt;model&gt;");
  o.depth = 9;
  CHECK_OK_ERROR(mica_picture_svg(svg, graph, &o, &error), &error);
  CHECK_STR_CONTAINS(contents(svg), ">relu</text>");
  CHECK_OK_ERROR(mica_picture_html(html, graph, &o, &error), &error);
  contents(html);
  CHECK(!strncmp(text, "<!DOCTYPE html>", 15) && strstr(text, "</body></html>\n"));
  CHECK_STR_CONTAINS(text, "<b>second</b>");
  CHECK_STR_CONTAINS(text, "a &lt;model&gt;");
  CHECK_STATUS(mica_picture_svg("no/such/folder/m.svg", graph, NULL, &error), MICA_IO);
  CHECK_STATUS(mica_picture_html(html, NULL, NULL, NULL), MICA_INVALID);
  mica_fail(graph, MICA_INVALID, "spoilt");
  error = (mica_error){0};
  CHECK_STATUS(mica_picture_html(html, graph, NULL, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "spoilt");
  mica_graph_destroy(graph);
  graph = mica_graph_create(NULL); /* nothing in it */
  CHECK_OK(mica_picture_svg(svg, graph, NULL, NULL));
  CHECK_OK(mica_picture_html(html, graph, NULL, NULL));
  mica_graph_destroy(graph);
}

/* More operators than anybody looks at become one box, whose name says how many. */
TEST(many_operators_become_one_box) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value x = mica_parameter(graph, (mica_type){MICA_F32, MICA_DIMS(4)});
  for (int i = 0; i < 1000; i++) x = i % 2 ? mica_tanh(x) : mica_exp(x);
  mica_scope_push(graph, "deep");
  for (int i = 0; i < 1000; i++) x = mica_tanh(x);
  mica_scope_pop(graph, "deep");
  mica_graph_set_outputs(graph, &x, 1);
  mica_picture p;
  mica_error error = {0};
  mica_picture_options o = mica_picture_options_of(NULL);
  if (!CHECK_OK_ERROR(mica_picture_build(graph, &o, &p, &error), &error)) return;
  CHECK_EQ_INT(p.count, 5); /* the model, the input, the operators, the scope, the output */
  CHECK_EQ_STR(p.items[find(&p, "1000 operators", 0)].does, "exp, tanh");
  CHECK_EQ_INT(p.items[find(&p, "deep", 0)].operators, 1000);
  CHECK(has_edge(&p, find(&p, "1000 operators", 0), find(&p, "deep", 0)));
  mica_picture_free(&p);
  mica_graph_destroy(graph);
}

TEST(counts_have_commas) {
  static const struct {
    int64_t count;
    const char *text;
  } rows[] = {{0, "0"}, {999, "999"}, {1000, "1,000"}, {1234567, "1,234,567"}};
  for (size_t i = 0; i < 4; i++) {
    char out[40];
    mica_picture_count(rows[i].count, out, sizeof out);
    CHECK_EQ_STR(out, rows[i].text);
  }
}

TEST_MAIN(TEST_CASE(boxes_follow_the_scopes), TEST_CASE(layers_are_listed),
          TEST_CASE(derivatives_are_left_out_unless_asked_for), TEST_CASE(files_hold_what_is_open),
          TEST_CASE(many_operators_become_one_box), TEST_CASE(counts_have_commas))
