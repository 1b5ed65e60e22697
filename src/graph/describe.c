/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c: every operator as JSON, for bindings and documentation, from the definitions
 * themselves. */
#include "core/json.h"
#include "graph/graph_internal.h"

#include <string.h>

static const char *const kind_names[] = {
    [MICA_KIND_LEAF] = "leaf",           [MICA_KIND_RESULT] = "result",
    [MICA_KIND_POINTWISE] = "pointwise", [MICA_KIND_LINEAR] = "linear",
    [MICA_KIND_CONSTANT] = "constant",   [MICA_KIND_GENERAL] = "general",
    [MICA_KIND_REGION] = "region"};
static const char *const class_names[] = {
    [MICA_CLASS_ANY] = "any",         [MICA_CLASS_NUMBER] = "number",
    [MICA_CLASS_REAL] = "real",       [MICA_CLASS_FLOAT] = "float",
    [MICA_CLASS_INEXACT] = "inexact", [MICA_CLASS_INTEGER] = "integer",
    [MICA_CLASS_LOGICAL] = "logical", [MICA_CLASS_BOOL] = "bool",
    [MICA_CLASS_DOT] = "dot",         [MICA_CLASS_VALUE] = "value",
    [MICA_CLASS_ORDERED] = "ordered", [MICA_CLASS_COMPLEX] = "complex",
    [MICA_CLASS_WIDE] = "wide",       [MICA_CLASS_WIDE_COMPLEX] = "wide complex",
    [MICA_CLASS_KEY] = "key",         [MICA_CLASS_BITS] = "bits"};
static const char *const field_kind_names[] = {
    [MICA_ATTR_I64] = "i64",   [MICA_ATTR_F64] = "f64",       [MICA_ATTR_BOOL] = "bool",
    [MICA_ATTR_ENUM] = "enum", [MICA_ATTR_DTYPE] = "dtype",   [MICA_ATTR_SHAPE] = "shape",
    [MICA_ATTR_INTS] = "ints", [MICA_ATTR_TENSOR] = "tensor", [MICA_ATTR_VARIABLE] = "variable",
    [MICA_ATTR_TEXT] = "text"};

static bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The operands' names are the words that begin the parts of the formula in front of its arrow, as in
 * "q [..., n], optional mask bool [...] -> ..". Further ones of a list follow as "..". */
static void describe_operand_names(mica_json_writer *w, const char *formula) {
  const char *end = strstr(formula, "->");
  mica_json_array_begin(w);
  for (const char *c = formula; end && c < end; c++) {
    char name[64];
    size_t size = 0;
    if (strncmp(c, "optional ", 9) == 0) c += 9;
    while (c < end && is_name_letter(*c) && size + 1 < sizeof name) name[size++] = *c++;
    name[size] = 0;
    if (size) mica_json_string(w, name);
    for (int depth = 0; c < end && !(depth == 0 && *c == ','); c++)
      depth += *c == '[' ? 1 : *c == ']' ? -1 : 0;
    while (c + 1 < end && c[1] == ' ') c++;
  }
  mica_json_array_end(w);
}

/* The dtypes that operand 0 may have. */
static void describe_dtypes(mica_json_writer *w, mica_dtype_class class) {
  const char *expected;
  mica_json_array_begin(w);
  for (int dtype = 1; dtype < MICA_DTYPE_COUNT; dtype++)
    if (mica_class_accepts(class, (mica_dtype)dtype, &expected))
      mica_json_string(w, mica_dtype_name((mica_dtype)dtype));
  mica_json_array_end(w);
}

static void describe_operator(mica_json_writer *w, const mica_op_def *def) {
  mica_json_object_begin(w);
  mica_json_key(w, "name"), mica_json_string(w, def->name);
  mica_json_key(w, "kind"), mica_json_string(w, kind_names[def->kind]);
  mica_json_key(w, "composite"), mica_json_bool(w, mica_op_is_composite(def));
  mica_json_key(w, "dtypes"), mica_json_string(w, class_names[def->dtypes]);
  mica_json_key(w, "accepts"), describe_dtypes(w, def->dtypes);
  mica_json_key(w, "operands"), mica_json_integer(w, def->arity);
  if (def->kind != MICA_KIND_REGION && def->kind != MICA_KIND_LEAF)
    mica_json_key(w, "operand_names"), describe_operand_names(w, def->formula);
  mica_json_key(w, "results"), mica_json_integer(w, def->results);
  mica_json_key(w, "effect"), mica_json_bool(w, def->effect);
  mica_json_key(w, "formula"), mica_json_string(w, def->formula);
  mica_json_key(w, "attributes"), mica_json_array_begin(w);
  for (const mica_attr_field *f = def->fields; f && f->name; f++) {
    if (mica_attr_hidden(f->kind)) continue;
    mica_json_object_begin(w);
    mica_json_key(w, "name"), mica_json_string(w, f->name);
    mica_json_key(w, "kind"), mica_json_string(w, field_kind_names[f->kind]);
    if (f->kind == MICA_ATTR_ENUM) {
      mica_json_key(w, "values"), mica_json_array_begin(w);
      for (int i = 0; f->names[i]; i++) mica_json_string(w, f->names[i]);
      mica_json_array_end(w);
    }
    mica_json_object_end(w);
  }
  mica_json_array_end(w);
  mica_json_object_end(w);
}

int64_t mica_operators_json(char *text, size_t size) {
  mica_text out;
  mica_text_init(&out, NULL);
  mica_json_writer w;
  mica_json_begin(&w, &out);
  mica_json_array_begin(&w);
  for (int op = 1; op < MICA_OP_COUNT; op++)
    if (op != MICA_OP_RESULT && op != MICA_OP_ARGUMENT)
      describe_operator(&w, mica_op_definition((mica_op)op));
  mica_json_array_end(&w);
  return mica_text_deliver(&out, text, size);
}
