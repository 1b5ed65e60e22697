/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a graph reads back to a graph that prints the same text: blocks that meet a value by several
 * names, blocks without results, complex numbers. */
#include <stdlib.h>
#include <string.h>

#include "mica/backend.h"
#include "unit/graph/ops_testing.h"

static char *text_of(const mica_graph *graph) {
  int64_t size = mica_graph_format(graph, NULL, 0);
  char *text = malloc((size_t)size + 1);
  mica_graph_format(graph, text, (size_t)size + 1);
  return text;
}

/* Ends the graph. */
static void check_reads_back(mica_graph *graph, const mica_value *out, size_t count) {
  mica_error error = {0};
  mica_graph *again = NULL;
  mica_graph_set_outputs(graph, out, count);
  CHECK_OK_ERROR(mica_graph_verify(graph, &error), &error);
  char *text = text_of(graph);
  CHECK_OK_ERROR(mica_graph_parse(NULL, text, strlen(text), &again, &error), &error);
  if (again) {
    CHECK_OK_ERROR(mica_graph_verify(again, &error), &error);
    char *second = text_of(again);
    CHECK_EQ_STR(second, text);
    free(second);
  }
  free(text);
  mica_graph_destroy(again);
  mica_graph_destroy(graph);
}

/* The inner block uses x itself and the name that the outer one has for it: one capture. */
TEST(a_value_is_captured_once) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = F32(3), one = mica_scalar(g, MICA_F32, 1), out;
  mica_region loop = mica_scan_begin_count(g, &one, 1, NULL, 0, 2, false);
  mica_value name = mica_add(x, mica_argument(loop, 0)), inside, next; /* captures x */
  uint32_t captured = mica_node_operands(g, mica_node_at(g, name.id))[0];
  mica_region call = mica_call_begin(g, NULL, 0);
  mica_value y = mica_mul(x, mica_mul(mica_value_of(g, captured), name));
  mica_call_end(call, &y, 1, &inside);
  CHECK_EQ_INT(mica_node_at(g, inside.id)->operand_count, 2);
  next = mica_reduce_sum(inside, MICA_ALL);
  mica_scan_end(loop, &next, NULL, 0, &out, NULL);
  check_reads_back(g, &out, 1);
}

TEST(a_variable_is_captured_once) {
  mica_tensor *start = mica_tensor_scalar(MICA_F32, 2);
  mica_variable *v = mica_variable_create("v", start);
  mica_graph *g = mica_graph_create(NULL);
  mica_value one = mica_scalar(g, MICA_F32, 1), out, inside;
  mica_region loop = mica_scan_begin_count(g, &one, 1, NULL, 0, 2, false);
  mica_value name = mica_variable_read(g, v);
  mica_region call = mica_call_begin(g, NULL, 0);
  mica_value y = mica_mul(mica_variable_read(g, v), name);
  mica_call_end(call, &y, 1, &inside);
  CHECK_EQ_INT(mica_node_at(g, inside.id)->operand_count, 1);
  mica_scan_end(loop, &inside, NULL, 0, &out, NULL);
  check_reads_back(g, &out, 1);
  mica_variable_release(v);
  mica_tensor_release(start);
}

TEST(blocks_without_results) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = F32(3), out;
  mica_region outer = mica_call_begin(g, NULL, 0);
  mica_region call = mica_call_begin(g, &x, 1);
  mica_mark(mica_argument(call, 0), "x");
  mica_call_end(call, NULL, 0, NULL);
  mica_value y = mica_neg(x);
  mica_call_end(outer, &y, 1, &out);
  check_reads_back(g, &out, 1);
}

/* Forward mode through a choice of integers leaves no block behind. */
TEST(tangents_of_integers) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = F32(3), ones = mica_ones_like(x), whole, tangent;
  mica_region choice = mica_if_begin(mica_greater(mica_reduce_sum(x, MICA_ALL), 0));
  mica_value y = mica_convert(mica_exp(x), MICA_I32);
  mica_if_else(choice, &y, 1);
  y = mica_convert(x, MICA_I32);
  mica_if_end(choice, &y, 1, &whole);
  mica_value z = mica_convert(whole, MICA_F32);
  mica_jvp(&z, 1, &x, &ones, 1, &tangent);
  size_t switches = 0;
  for (uint32_t id = 1; id < g->count; id++) switches += g->nodes[id].op == MICA_OP_SWITCH;
  CHECK_EQ_INT(switches, 1);
  check_reads_back(g, (mica_value[]){z, tangent}, 2);
}

TEST(complex_numbers) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value out[3] = {mica_scalar(g, MICA_C64, -0.5), mica_scalar(g, MICA_C128, 1e300)};
  mica_tensor *unit = mica_tensor_from(MICA_C128, MICA_SCALAR, (double[]){0, 1});
  out[2] = mica_constant(g, unit);
  mica_tensor_release(unit);
  check_reads_back(g, out, 3);
}

static void check_refused(const char *text, const char *part) {
  mica_graph *graph = NULL;
  mica_error error = {0};
  CHECK(mica_graph_parse(NULL, text, strlen(text), &graph, &error) != MICA_OK);
  CHECK_STR_CONTAINS(error.message, part);
  mica_graph_destroy(graph);
}
TEST(refused) {
  check_refused("mica 1\niota() {dtype=f32, shape=[2], axis=0} : f32[2]\nreturn\n", "line 2");
  check_refused("mica 1\n%0 = constant() {value=f32[] 1}\nreturn\n", "expected \":\"");
  check_refused("mica 1\nnothing() : f32[2]\nreturn\n", "there is no operator \"nothing\"");
  check_refused("mica 1\ncall(;) {\n  region() {\n    return\n", "expected \"}\"");
}

TEST_MAIN(TEST_CASE(a_value_is_captured_once), TEST_CASE(a_variable_is_captured_once),
          TEST_CASE(blocks_without_results), TEST_CASE(tangents_of_integers),
          TEST_CASE(complex_numbers), TEST_CASE(refused))
