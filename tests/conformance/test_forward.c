/* SPDX-License-Identifier: Apache-2.0 */
/* Every case on every dtype: the cpu backend against the reference, the text form, and that each
 * operator has
 * a case. Integers, comparisons and data movement are exact; floats agree to a few units in the
 * last place
 * of the dtype, scaled by the largest result (sums are ordered differently). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/conformance.h"

static void one_case(const conformance_case *c, mica_dtype dtype) {
  mica_error error = {0};
  mica_tensor *in[CASE_INPUTS] = {NULL}, *wanted[CASE_OUTPUTS] = {NULL},
              *got[CASE_OUTPUTS] = {NULL};
  size_t outputs = (size_t)c->output_count, inputs = (size_t)c->input_count;
  for (int32_t i = 0; i < c->input_count; i++) in[i] = case_values(c, i, dtype, 1);
  mica_executable *reference =
      case_compile(reference_device(), c, dtype, NULL, 0, forward_program, NULL, outputs, &error);
  mica_executable *cpu = reference ? case_compile(cpu_device(2), c, dtype, NULL, 0, forward_program,
                                                  NULL, outputs, &error)
                                   : NULL;
  if (!cpu) CHECK_FAIL("%s %s: %s", c->name, mica_dtype_name(dtype), error.message);
  if (cpu && (mica_executable_run(reference, in, inputs, wanted, outputs, &error) ||
              mica_executable_run(cpu, in, inputs, got, outputs, &error)))
    CHECK_FAIL("%s %s: %s", c->name, mica_dtype_name(dtype), error.message);
  else if (cpu)
    for (size_t i = 0; i < outputs; i++) case_compare(c, dtype, got[i], wanted[i], (int)i, "");
  for (size_t i = 0; i < outputs; i++) mica_tensor_release(wanted[i]), mica_tensor_release(got[i]);
  for (size_t i = 0; i < inputs; i++) mica_tensor_release(in[i]);
  mica_executable_release(reference), mica_executable_release(cpu);
}

TEST(cpu_equals_reference) {
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    for (uint32_t bit = 1; bit <= LAST_DTYPE && case_wanted(c); bit <<= 1)
      if (c->dtypes & bit) one_case(c, case_dtype(bit));
  }
  CHECK(conformance_case_count > 100);
  check_case_filter();
  close_devices();
}

TEST(every_operator_has_a_case) {
  bool seen[MICA_OP_COUNT] = {false};
  for (int32_t k = 0; k < conformance_case_count; k++) seen[conformance_cases[k].op] = true;
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    const mica_op_def *def = mica_op_definition((mica_op)op);
    if (!seen[op] && op != MICA_OP_ARGUMENT && op != MICA_OP_RESULT)
      CHECK_FAIL("operator %s has no case", def->name);
  }
}

/* Which rules a kind demands; a hole is named. */
TEST(every_operator_has_its_rules) {
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    const mica_op_def *def = mica_op_definition((mica_op)op);
    CHECK(def->name && def->infer && def->formula && *def->formula);
    CHECK(def->attr_size <= MICA_MAX_ATTR_SIZE);
    CHECK((def->attr_size == 0) == (def->fields == NULL || !def->fields[0].name));
    bool forward = true, reverse = true, batch = true;
    switch (def->kind) {
      case MICA_KIND_POINTWISE:
        forward = reverse = def->derivative != NULL; /* also what fusion and batching rely on */
        break;
      case MICA_KIND_LINEAR:
        reverse = def->transpose && def->linear_operands;
        batch = def->batch != NULL;
        break;
      case MICA_KIND_GENERAL:
        forward = def->jvp || def->expand, reverse = def->vjp || def->expand,
        batch = def->batch != NULL;
        break;
      case MICA_KIND_REGION: /* custom gradients have no forward mode, by design */
        forward = def->jvp || op == MICA_OP_CUSTOM_GRADIENT, reverse = def->vjp != NULL,
        batch = def->batch != NULL;
        break;
      case MICA_KIND_CONSTANT:
      case MICA_KIND_LEAF:
      case MICA_KIND_RESULT: break;
    }
    if (!forward) CHECK_FAIL("%s has no forward-mode rule", def->name);
    if (!reverse) CHECK_FAIL("%s has no reverse-mode rule", def->name);
    if (!batch) CHECK_FAIL("%s has no batching rule", def->name);
  }
}

/* ---- attributes ---------------------------------------------------------------------------------------- */

enum { FIELDS = 24 };
typedef struct {
  bool met, varies;
  uint64_t first; /* hash of the first value */
} field_values;
static field_values values_of[MICA_OP_COUNT][FIELDS];

static void note_attributes(const mica_graph *graph) {
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = &graph->nodes[id];
    const mica_op_def *def = mica_op_definition((mica_op)node->op);
    for (size_t f = 0; def->fields && def->fields[f].name && f < FIELDS && node->attr; f++) {
      const mica_attr_field alone[2] = {def->fields[f], {0}};
      mica_op_def with_one = *def;
      with_one.fields = alone;
      uint64_t hash = mica_attr_hash(&with_one, node->attr);
      field_values *v = &values_of[node->op][f];
      if (!v->met) v->first = hash;
      v->varies |= v->met && hash != v->first;
      v->met = true;
    }
  }
}

/* Over all cases together: an attribute that has one value everywhere is not tested. */
TEST(every_attribute_takes_two_values) {
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    mica_graph *graph = mica_graph_create(NULL);
    mica_value in[CASE_INPUTS], out[CASE_OUTPUTS] = {{0}};
    extern mica_dtype case_now;
    case_now = case_dtype(c->dtypes & -c->dtypes);
    for (int32_t i = 0; i < c->input_count; i++) {
      mica_type type;
      case_input_type(c, i, case_now, &type);
      in[i] = mica_parameter(graph, type);
    }
    c->build(graph, in, out);
    note_attributes(graph);
    mica_graph_destroy(graph);
  }
  for (int op = 1; op < MICA_OP_COUNT; op++) {
    const mica_op_def *def = mica_op_definition((mica_op)op);
    if (op == MICA_OP_VARIABLE || op == MICA_OP_RESULT) continue; /* which one it is */
    for (size_t f = 0; def->fields && def->fields[f].name; f++)
      if (!mica_attr_hidden(def->fields[f].kind) && !values_of[op][f].varies)
        CHECK_FAIL("%s: no two cases differ in `%s`", def->name, def->fields[f].name);
  }
}

/* print(parse(print(g))) is print(g), and what was parsed computes the same. */
TEST(text_form_reads_back) {
  static char first[1 << 18], second[1 << 18];
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (!case_wanted(c)) continue;
    mica_graph *graph = mica_graph_create(NULL), *parsed = NULL;
    mica_value in[CASE_INPUTS], out[CASE_OUTPUTS] = {{0}};
    mica_dtype dtype = case_dtype(c->dtypes & -c->dtypes);
    extern mica_dtype case_now;
    case_now = dtype;
    for (int32_t i = 0; i < c->input_count; i++) {
      mica_type type;
      case_input_type(c, i, dtype, &type);
      in[i] = mica_parameter(graph, type);
    }
    mica_scope_push(graph, "outer");
    c->build(graph, in, out);
    mica_scope_pop(graph, "outer");
    mica_graph_set_outputs(graph, out, (size_t)c->output_count);
    mica_error error = {0};
    int64_t size = mica_graph_format(graph, first, sizeof first);
    CHECK(size > 0 && size < (int64_t)sizeof first);
    if (mica_graph_status(graph, &error) ||
        mica_graph_parse(NULL, first, (size_t)size, &parsed, &error) ||
        mica_graph_verify(parsed, &error))
      CHECK_FAIL("%s: %s\n%s", c->name, error.message, first);
    else {
      mica_graph_format(parsed, second, sizeof second);
      if (strcmp(first, second))
        CHECK_FAIL("%s: the text reads back as another graph\n%s\n%s", c->name, first, second);
    }
    mica_graph_destroy(graph), mica_graph_destroy(parsed);
  }
  check_case_filter();
  close_devices();
}

TEST_MAIN(TEST_CASE(cpu_equals_reference), TEST_CASE(every_operator_has_a_case),
          TEST_CASE(every_operator_has_its_rules), TEST_CASE(every_attribute_takes_two_values),
          TEST_CASE(text_form_reads_back))
