/* SPDX-License-Identifier: Apache-2.0 */
/* docs/operators.md: every operator with its formula, attributes, the dtypes on which both backends are
 * compared, its derivatives, vmap and an example, all from the definitions and the table of cases. The
 * page is checked in; `./dev docs` writes it, and this test fails when it no longer holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/conformance.h"
#include "core/text.h"

static const char *const operator_class_names[] = {
    [MICA_CLASS_ANY] = "any",         [MICA_CLASS_NUMBER] = "number",
    [MICA_CLASS_REAL] = "real",       [MICA_CLASS_FLOAT] = "float",
    [MICA_CLASS_INEXACT] = "inexact", [MICA_CLASS_INTEGER] = "integer",
    [MICA_CLASS_LOGICAL] = "logical", [MICA_CLASS_BOOL] = "bool",
    [MICA_CLASS_DOT] = "dot"};

/* What the cases of an operator say of it together. */
typedef struct {
  uint32_t dtypes;
  int32_t cases;
  bool gradient, second, tangent, no_vmap;
  const conformance_case *first;
} coverage;

/* Bit d of seen[op]: dtype d is that of a first operand (of a leaf: of the value) in some case. */
static uint32_t seen[MICA_OP_COUNT];

static void look_at(const mica_graph *graph) {
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = &graph->nodes[id];
    const mica_node *first =
        node->operand_count ? &graph->nodes[mica_node_operands(graph, node)[0]] : node;
    seen[node->op] |= 1u << first->type.dtype;
  }
}

static void look_at_cases(void) {
  extern mica_dtype case_now;
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    for (uint32_t bit = 1; bit <= LAST_DTYPE; bit <<= 1) {
      if (!(c->dtypes & bit)) continue;
      mica_graph *graph = mica_graph_create(NULL);
      mica_value in[CASE_INPUTS], out[CASE_OUTPUTS] = {{0}};
      case_now = case_dtype(bit);
      for (int32_t i = 0; i < c->input_count; i++) {
        mica_type type;
        case_input_type(c, i, case_now, &type);
        in[i] = mica_parameter(graph, type);
      }
      c->build(graph, in, out);
      if (mica_graph_status(graph, NULL) == MICA_OK) look_at(graph);
      mica_graph_destroy(graph);
    }
  }
}

static coverage cover(mica_op op) {
  coverage found = {.dtypes = seen[op]};
  for (int32_t k = 0; k < conformance_case_count; k++) {
    const conformance_case *c = &conformance_cases[k];
    if (c->op != op) continue;
    if (!found.first) found.first = c;
    found.cases++;
    if (c->flags & (SMOOTH | FLAT | FIRST)) {
      found.gradient = true;
      found.second = found.second || c->flags & SMOOTH;
      found.tangent = found.tangent || !(c->flags & REVERSE);
    }
    found.no_vmap = found.no_vmap || c->flags & NO_VMAP;
  }
  return found;
}

static void print_dtypes(uint32_t dtypes, mica_text *text) {
  bool first = true;
  for (int dtype = 1; dtype < MICA_DTYPE_COUNT; dtype++)
    if (dtypes & 1u << dtype) {
      mica_text_format(text, "%s%s", first ? "" : " ", mica_dtype_name((mica_dtype)dtype));
      first = false;
    }
}

/* Why there is no derivative to test; NULL where one is due. */
static const char *without_derivative(const mica_op_def *def) {
  if (def->effect) return "has an effect";
  switch (def->kind) {
    case MICA_KIND_LEAF: return "a leaf";
    case MICA_KIND_CONSTANT: return "zero everywhere";
    case MICA_KIND_POINTWISE:
      return def->dtypes == MICA_CLASS_FLOAT || def->dtypes == MICA_CLASS_INEXACT
                 ? "zero wherever it is smooth"
                 : "not of floats, or zero";
    default: return NULL;
  }
}

/* Dtypes that the operator's class has and no case does. */
static uint32_t untested(const mica_op_def *def, uint32_t tested) {
  uint32_t missing = 0;
  const char *expected;
  if (def->kind == MICA_KIND_LEAF || def->kind == MICA_KIND_REGION) return 0;
  for (uint32_t bit = 1; bit <= LAST_DTYPE; bit <<= 1)
    if (mica_class_accepts(def->dtypes, case_dtype(bit), &expected) &&
        !(tested & 1u << case_dtype(bit)))
      missing |= 1u << case_dtype(bit);
  return missing;
}

static void print_operator(mica_op op, mica_text *text) {
  const mica_op_def *def = mica_op_definition(op);
  coverage found = cover(op);
  mica_text_format(text, "| `%s` | %s%s | ", def->name, operator_class_names[def->dtypes],
                   mica_op_is_composite(def) ? ", composite" : "");
  print_dtypes(found.dtypes, text);
  mica_text_append(text, " | ");
  print_dtypes(untested(def, found.dtypes), text);
  const char *why = found.gradient ? NULL : without_derivative(def);
  if (!found.gradient && !why) CHECK_FAIL("%s: no case differentiates it", def->name);
  mica_text_format(text, " | %s | %s | %s | %d |\n",
                   why            ? why
                   : found.second ? "yes, twice"
                                  : "yes",
                   why             ? why
                   : found.tangent ? "yes"
                                   : "none: an error says so",
                   found.no_vmap ? "one example at a time" : "yes", found.cases);
}

static void print_details(mica_op op, mica_text *text) {
  const mica_op_def *def = mica_op_definition(op);
  const conformance_case *c = cover(op).first;
  mica_text_format(text, "### %s\n\n`%s`\n\n", def->name, def->formula);
  bool any = false;
  for (const mica_attr_field *f = def->fields; f && f->name; f++) {
    if (mica_attr_hidden(f->kind)) continue;
    mica_text_format(text, "%s`%s`", any ? ", " : "Attributes: ", f->name);
    any = true;
    if (f->kind != MICA_ATTR_ENUM) continue;
    for (int i = 0; f->names[i]; i++) mica_text_format(text, "%s%s", i ? ", " : " (", f->names[i]);
    mica_text_append(text, ")");
  }
  if (any) mica_text_append(text, ".\n\n");
  if (!c) return;
  mica_text_append(text, "For example with ");
  for (int32_t i = 0; i < c->input_count; i++) {
    char type[160];
    mica_type t;
    case_input_type(c, i, case_dtype(c->dtypes & -c->dtypes), &t);
    mica_type_format(t, type, sizeof type);
    mica_text_format(text, "%sin[%d] %s", i ? ", " : "", (int)i, type);
  }
  mica_text_format(text, ":\n\n```c\n%s;\n```\n\n", c->example);
}

static bool is_listed(int op) { return op != MICA_OP_ARGUMENT && op != MICA_OP_RESULT; }

TEST(the_page_is_current) {
  mica_text text;
  mica_text_init(&text, NULL);
  look_at_cases();
  mica_text_append(
      &text,
      "<!-- SPDX-License-Identifier: Apache-2.0 -->\n# Operators\n\nWritten by "
      "`tests/conformance/test_operators.c` from the definitions and the table of cases; "
      "`./dev docs` writes it anew.\n\nEach case runs on the backends `reference` and `cpu` (every "
      "row of "
      "instructions) on each dtype named, in six classes\nof shapes and values (no example, one, "
      "an odd and a "
      "large prime number, rank 8, NaN and other special values).\nGradients and tangents are held "
      "to finite "
      "differences in f64, twice where it says so, and vmap to a loop. Most functions\nof the "
      "headers in "
      "`include/mica/ops` are made of these. A composite may be run whole by a backend or "
      "expanded.\n\n"
      "| operator | dtypes | tested on | not tested on | gradient | tangent | vmap | cases |\n"
      "|---|---|---|---|---|---|---|---|\n");
  for (int op = 1; op < MICA_OP_COUNT; op++)
    if (is_listed(op)) print_operator((mica_op)op, &text);
  mica_text_append(&text, "\n## Each operator\n\n");
  for (int op = 1; op < MICA_OP_COUNT; op++)
    if (is_listed(op)) print_details((mica_op)op, &text);
  while (text.size && text.data[text.size - 1] == '\n') text.size--;
  mica_text_append(&text, "\n");
  CHECK(!text.failed);

  const char *path = check_source_path("docs/operators.md");
  if (getenv("MICA_WRITE_DOCS")) {
    FILE *file = fopen(path, "wb");
    if (CHECK(file != NULL)) fwrite(text.data, 1, text.size, file), fclose(file);
  }
  FILE *file = fopen(path, "rb");
  char *page = calloc(1, text.size + 2);
  size_t size = file && page ? fread(page, 1, text.size + 1, file) : 0;
  if (file) fclose(file);
  if (size != text.size || memcmp(page, text.data, size) != 0)
    CHECK_FAIL("docs/operators.md no longer holds: ./dev docs writes it anew");
  free(page), mica_text_deinit(&text);
}

TEST_MAIN(TEST_CASE(the_page_is_current))
