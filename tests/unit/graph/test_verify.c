/* SPDX-License-Identifier: Apache-2.0 */
/* test_verify.c: the verifier finds each broken invariant of docs/architecture.md. A good graph is spoilt in one
 * place; the message names the node and what is wrong. */
#include "graph/attributes.h"
#include "unit/graph/ops_testing.h"

/* Parameters x and y; a scan that carries x and captures y; one with two results; an output. */
typedef struct {
  mica_graph *graph;
  uint32_t x, scan, sum, parts, body, second;
} sound;

static sound sound_graph(void) {
  mica_graph *g = mica_graph_create(NULL);
  sound s = {.graph = g};
  mica_value x = F32(4), y = F32(4), last, parts[2];
  mica_region loop = mica_scan_begin_count(g, &x, 1, NULL, 0, 3, false);
  s.body = g->current;
  mica_value next = mica_mul(mica_argument(loop, 0), y);
  mica_scan_end(loop, &next, NULL, 0, &last, NULL);
  mica_value state[2] = {x, y}, final[2];
  mica_region twice = mica_scan_begin_count(g, state, 2, NULL, 0, 2, false);
  s.second = g->current;
  mica_value turned[2] = {mica_argument(twice, 1), y}; /* y is captured and only handed back */
  mica_scan_end(twice, turned, NULL, 0, final, NULL);
  parts[0] = final[0], parts[1] = final[1];
  mica_value sum = mica_add(last, mica_add(parts[0], parts[1]));
  mica_graph_set_outputs(g, &sum, 1);
  s.x = x.id, s.scan = last.id, s.sum = sum.id, s.parts = parts[0].id;
  CHECK_OK(mica_graph_verify(g, NULL));
  return s;
}

static void check_broken(sound s, uint32_t node, const char *why) {
  mica_error error = {0};
  char begin[64];
  CHECK_STATUS(mica_graph_verify(s.graph, &error), MICA_INTERNAL);
  snprintf(begin, sizeof begin, "verify: node %u (", node);
  if (strncmp(error.message, begin, strlen(begin)) || !strstr(error.message, why))
    CHECK_FAIL("expected \"%s..%s\", not \"%s\"", begin, why, error.message);
  mica_graph_destroy(s.graph);
}

TEST(operands) {
  sound s = sound_graph();
  s.graph->operands[s.graph->nodes[s.sum].operand_first] = s.sum;
  check_broken(s, s.sum, "does not stand in front of it");
  s = sound_graph();
  s.graph->operands[s.graph->nodes[s.sum].operand_first] = 0;
  check_broken(s, s.sum, "does not stand in front of it");
  s = sound_graph();
  s.graph->operands[s.graph->nodes[s.sum].operand_first] = s.graph->regions[s.body].results[0];
  check_broken(s, s.sum, "stands in another region");
  s = sound_graph();
  s.graph->nodes[s.sum].operand_first = s.graph->operand_count;
  check_broken(s, s.sum, "outside of the graph");
  s = sound_graph();
  s.graph->nodes[s.sum].op = MICA_OP_COUNT;
  check_broken(s, 0, "an unknown operator");
}

TEST(types) {
  sound s = sound_graph();
  s.graph->nodes[s.sum].type.dtype = MICA_F64;
  check_broken(s, s.sum, "not what inference gives");
  s = sound_graph();
  s.graph->nodes[s.graph->regions[s.second].arguments[2]].type.dtype = MICA_F64;
  check_broken(s, s.parts, "another type than its argument");
}

TEST(further_results) {
  sound s = sound_graph();
  s.graph->nodes[s.parts + 1].result_count = 2; /* the node has two results: 0 and 1 */
  check_broken(s, s.parts + 1, "a further result without its node");
  s = sound_graph();
  s.graph->nodes[s.sum].op = MICA_OP_RESULT;
  s.graph->nodes[s.sum].result_count = 1;
  check_broken(s, s.sum, "a further result without its node");
}

TEST(regions) {
  sound s = sound_graph();
  s.graph->regions[s.body].end = s.scan + 1;
  check_broken(s, s.scan, "does not nest");
  s = sound_graph();
  s.graph->regions[s.body].parent = s.body;
  check_broken(s, s.scan, "does not nest");
  s = sound_graph();
  s.graph->regions[s.body].arguments[0] = s.x;
  check_broken(s, s.scan, "an argument of its region is not in place");
  s = sound_graph();
  s.graph->regions[s.body].results[0] = s.x;
  check_broken(s, s.scan, "a result of its region stands elsewhere");
  s = sound_graph();
  s.graph->regions[s.body].owner = s.sum;
  s.graph->regions[s.body].state = MICA_REGION_OPEN; /* is looked at by its owner only */
  check_broken(s, s.scan, "does not own its region");
}

TEST(captures) {
  sound s = sound_graph();
  s.graph->nodes[s.scan].operand_count--;
  check_broken(s, s.scan, "a captured value is missing");
  s = sound_graph();
  s.graph->regions[s.body].argument_count--;
  check_broken(s, s.scan, "operands that no region captured");
}

TEST(the_root) {
  sound s = sound_graph();
  uint32_t inside = s.graph->regions[s.body].results[0];
  s.graph->outputs[0] = inside;
  check_broken(s, inside, "an output does not stand in the root");
  s = sound_graph();
  s.graph->outputs[0] = 0;
  check_broken(s, 0, "an output does not stand in the root");
  s = sound_graph();
  s.graph->parameters[0] = s.sum;
  check_broken(s, s.sum, "not a parameter");
  s = sound_graph();
  mica_tensor *start = mica_tensor_from(MICA_F32, MICA_DIMS(4), NULL);
  mica_variable *cell = mica_variable_create("cell", start);
  mica_variable_assign(cell, (mica_value){s.graph, s.sum, s.graph->epoch});
  CHECK_OK(mica_graph_verify(s.graph, NULL));
  inside = s.graph->regions[s.body].results[0];
  s.graph->variables[0].assign = inside;
  check_broken(s, inside, "an assigned value does not stand in the root");
  mica_variable_release(cell);
  mica_tensor_release(start);
}

TEST_MAIN(TEST_CASE(operands), TEST_CASE(types), TEST_CASE(further_results), TEST_CASE(regions),
          TEST_CASE(captures), TEST_CASE(the_root))
