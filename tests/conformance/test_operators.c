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
    [MICA_CLASS_DOT] = "dot",         [MICA_CLASS_VALUE] = "value",
    [MICA_CLASS_ORDERED] = "ordered", [MICA_CLASS_COMPLEX] = "complex",
    [MICA_CLASS_WIDE] = "wide",       [MICA_CLASS_WIDE_COMPLEX] = "wide complex",
    [MICA_CLASS_KEY] = "key",         [MICA_CLASS_BITS] = "bits"};

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
    bool by_result =
        node->operand_count == 0 || node->op == MICA_OP_SELECT || node->op == MICA_OP_SWITCH;
    const mica_node *first = by_result ? node : &graph->nodes[mica_node_operands(graph, node)[0]];
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

/* select's values may have any dtype; its class is that of the condition. */
static mica_dtype_class class_of(mica_op op) {
  return op == MICA_OP_SELECT ? MICA_CLASS_ANY : mica_op_definition(op)->dtypes;
}

/* The dtypes that a class has, or those that it lacks. */
static uint32_t dtypes_of(mica_dtype_class class, bool accepted) {
  uint32_t found = 0;
  const char *expected;
  for (uint32_t bit = 1; bit <= LAST_DTYPE; bit <<= 1)
    if (mica_class_accepts(class, case_dtype(bit), &expected) == accepted)
      found |= 1u << case_dtype(bit);
  return found;
}

/* Why a class leaves out what it does. */
static const char *const class_reasons[MICA_CLASS_COUNT] = {
    [MICA_CLASS_ANY] = "",
    [MICA_CLASS_VALUE] = "formats of storage: compute after `mica_convert`",
    [MICA_CLASS_NUMBER] =
        "truth values have no arithmetic (`mica_and`, `mica_convert`); formats "
        "of storage: compute after `mica_convert`",
    [MICA_CLASS_REAL] = "complex numbers have no order, sign or remainder; otherwise as number",
    [MICA_CLASS_ORDERED] =
        "complex numbers have no order; formats of storage: compute after "
        "`mica_convert`",
    [MICA_CLASS_FLOAT] =
        "results are no whole numbers, and which float they should have is said by "
        "`mica_convert`; functions of a real variable, whose continuations are made of the "
        "complex exp, log, sqrt with the branch that is meant; otherwise as number",
    [MICA_CLASS_INEXACT] =
        "results are no whole numbers, and which float they should have is said "
        "by `mica_convert`; otherwise as number",
    [MICA_CLASS_INTEGER] =
        "bits and counts: those of floats by `mica_bitcast`; of the others "
        "after `mica_convert`",
    [MICA_CLASS_LOGICAL] = "bits: those of floats and packed integers by `mica_bitcast`",
    [MICA_CLASS_BOOL] = "a condition is made by a comparison",
    [MICA_CLASS_DOT] = "sums of truth values are counts: of which dtype is said by `mica_convert`",
    [MICA_CLASS_COMPLEX] =
        "a real number is its own real part and conjugate: `mica_real`, "
        "`mica_imag`, `mica_conj` give that without the operator",
    [MICA_CLASS_WIDE] =
        "factors lose digits with the size and condition of a matrix: of the 2 or 3 digits of "
        "bf16 and f16 none would be left (as in LAPACK and XLA: convert, then round); complex "
        "systems are real ones of twice the size, [re, -im; im, re]; there are no complex "
        "numbers of halves",
    [MICA_CLASS_WIDE_COMPLEX] =
        "sums over whole lines keep none of the 2 or 3 digits of halves: "
        "convert, then round; otherwise as number",
    [MICA_CLASS_KEY] = "a key is words of 32 bits",
    [MICA_CLASS_BITS] = "of a truth value's byte one bit counts: `mica_convert`"};

static void print_classes(mica_text *text) {
  mica_text_append(text, "| class | dtypes | left out | because |\n|---|---|---|---|\n");
  for (int class = 0; class < MICA_CLASS_COUNT; class ++) {
    mica_text_format(text, "| %s | ", operator_class_names[class]);
    print_dtypes(dtypes_of((mica_dtype_class) class, true), text);
    mica_text_append(text, " | ");
    print_dtypes(dtypes_of((mica_dtype_class) class, false), text);
    mica_text_format(text, " | %s |\n", class_reasons[class]);
  }
}

/* That of an exception's row. */
static mica_op excepted_operator(const case_exception *e) {
  for (int32_t k = 0; k < conformance_case_count; k++)
    if (strcmp(conformance_cases[k].name, e->name) == 0) return conformance_cases[k].op;
  CHECK_FAIL("exception %s: no case has this name", e->name);
  return MICA_OP_CONSTANT;
}

static void print_operator(mica_op op, mica_text *text) {
  const mica_op_def *def = mica_op_definition(op);
  coverage found = cover(op);
  uint32_t missing = dtypes_of(class_of(op), true) & ~found.dtypes;
  if (op == MICA_OP_AXIS_INDEX) missing = 0; /* i32, whatever it is used with */
  for (int dtype = 1; dtype < MICA_DTYPE_COUNT; dtype++)
    if (missing & 1u << dtype)
      CHECK_FAIL("%s: no case on %s, which its class has", def->name,
                 mica_dtype_name((mica_dtype)dtype));
  mica_text_format(text, "| `%s` | %s%s | ", def->name, operator_class_names[class_of(op)],
                   mica_op_is_composite(def) ? ", composite" : "");
  print_dtypes(found.dtypes, text);
  mica_text_append(text, " | ");
  print_dtypes(dtypes_of(class_of(op), false), text);
  const char *why = found.gradient ? NULL : without_derivative(def);
  if (!found.gradient && !why) CHECK_FAIL("%s: no case differentiates it", def->name);
  for (int backend = 0; backend < 2; backend++)
    mica_text_format(text, " | yes | %s | %s | %s",
                     why            ? why
                     : found.second ? "yes, twice"
                                    : "yes",
                     why             ? why
                     : found.tangent ? "yes"
                                     : "none: an error says so",
                     found.no_vmap ? "one example at a time" : "yes");
  bool excepted = false;
  for (int32_t i = 0; i < case_exception_count; i++)
    excepted = excepted || excepted_operator(&case_exceptions[i]) == op;
  mica_text_format(text, " | %s | %d |\n", excepted ? "yes, but see below" : "yes", found.cases);
}

/* Rows that do not hold on XLA's CPU plugins. */
static void print_exceptions(mica_text *text) {
  mica_text_append(
      text,
      "| row of the table of cases | operator | on | plugins (PJRT) | values | what |\n"
      "|---|---|---|---|---|---|\n");
  for (int32_t i = 0; i < case_exception_count; i++) {
    const case_exception *e = &case_exceptions[i];
    uint32_t dtypes = 0;
    for (uint32_t bit = 1; bit <= LAST_DTYPE; bit <<= 1)
      if (e->dtypes & bit) dtypes |= 1u << case_dtype(bit);
    mica_text_format(text, "| `%s` | `%s` | ", e->name,
                     mica_op_definition(excepted_operator(e))->name);
    print_dtypes(dtypes, text);
    if (e->before < 1000)
      mica_text_format(text, " | before 0.%d", e->before);
    else
      mica_text_append(text, " | all");
    mica_text_format(text, " | %s | %s%s |\n", e->special ? "special" : "all",
                     e->refused ? "refused when compiling: " : "", e->why);
  }
}

/* The header that declares the operator's builder; its comment has special values and sources. */
static const char *header_of(const char *name) {
  static const char *const headers[] = {
      "graph.h",         "custom.h",         "ops/arrange.h",     "ops/bits.h",   "ops/complex.h",
      "ops/composite.h", "ops/cumulative.h", "ops/elementwise.h", "ops/fft.h",    "ops/image.h",
      "ops/linalg.h",    "ops/product.h",    "ops/quantize.h",    "ops/random.h", "ops/reduce.h",
      "ops/shape.h",     "ops/sort.h",       "ops/special.h"};
  static char text[1 << 17];
  char wanted[64];
  for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
    char path[64];
    snprintf(path, sizeof path, "include/mica/%s", headers[i]);
    FILE *file = fopen(check_source_path(path), "rb");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[size] = 0;
    for (int form = 0; form < 3; form++) {
      snprintf(wanted, sizeof wanted,
               form == 0   ? " mica_%s("
               : form == 1 ? " mica_%s_with("
                           : " mica_%s_begin(",
               name);
      for (char *c = text; *c; c++)
        if (*c == '\n') *c = ' ';
      if (strstr(text, wanted)) return headers[i];
    }
  }
  return NULL;
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
  const char *header = header_of(def->name);
  if (header) mica_text_format(text, "Special values and sources: `mica/%s`.\n\n", header);
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
      "row of instructions) on each dtype named, in six classes\nof shapes and values (no example, "
      "one, an odd and a large prime number of them, rank 8, NaN and other special values).\n"
      "Gradients and tangents are held to finite differences in f64, twice where it says so, on "
      "`reference`, and those of `cpu`\nin f64 and f32 to them; vmap on `reference` to a loop, and "
      "on `cpu` to `reference`. What refuses a dtype says what to do. Most\nfunctions of the "
      "headers in `include/mica/ops` are made of these. A composite may be run whole by a backend "
      "or expanded.\n\n## Classes of dtypes\n\n");
  print_classes(&text);
  mica_text_append(
      &text,
      "\ni4, u4, f8e4m3fn and f8e5m2 are formats of storage: constants, variables, "
      "conversions, bits, movement, blocks and products\ntake them.\n\n## Which operator does what "
      "where\n\n| operator | class | tested on | refused: see the class | reference: forward | "
      "gradient | tangent | vmap | cpu: forward | gradient | tangent | vmap | xla:cpu | cases |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (int op = 1; op < MICA_OP_COUNT; op++)
    if (is_listed(op)) print_operator((mica_op)op, &text);
  mica_text_append(
      &text,
      "\n## On XLA's CPU plugins\n\nThe whole table runs on the plugins of PJRT 0.81, 0.106 and "
      "0.115 "
      "against `reference` (conformance.xla with `--all`):\nresults, gradients, tangents, second "
      "derivatives, vmap, nests of blocks and special values "
      "(conformance.*.xla_*.long).\nDenormals are compared as zeros, since these plugins take "
      "them for zeros. What does not hold is shown on the\nplugins by modules written by hand "
      "(unit.backend.xla.defects), or is a limit of ours that is refused with a word:\n\n");
  print_exceptions(&text);
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
