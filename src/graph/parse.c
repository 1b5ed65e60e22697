/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c: a graph from the text that print.c writes. Every node goes through mica_emit_node, so
 * a hostile text can at worst be refused: the parser itself only checks the grammar, and that
 * numbers are defined once and before their use. */
#include "graph/parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/attributes.h"

void mica_parse_begin(mica_graph_parser *p, mica_graph *graph, const char *text, size_t size) {
  *p = (mica_graph_parser){.graph = graph, .text = text, .at = text, .end = text + size};
}

bool mica_parse_fail(mica_graph_parser *p, const char *format, ...) {
  char why[MICA_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  int line = 1, column = 1;
  for (const char *c = p->text; c < p->at; c++) {
    column = *c == '\n' ? 1 : column + 1;
    line += *c == '\n';
  }
  mica_fail(p->graph, MICA_DATA_LOSS, "graph text, line %d, column %d: %s", line, column, why);
  return false;
}

void mica_parse_space(mica_graph_parser *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r'))
    p->at++;
}

/* Takes `token` when it is next; a word must not go on. */
static bool accept_token(mica_graph_parser *p, const char *token) {
  mica_parse_space(p);
  size_t length = strlen(token);
  if ((size_t)(p->end - p->at) < length || memcmp(p->at, token, length)) return false;
  p->at += length;
  return true;
}
static bool expect(mica_graph_parser *p, const char *token) {
  return accept_token(p, token) || mica_parse_fail(p, "expected \"%s\"", token);
}

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool mica_parse_word(mica_graph_parser *p, char *word, size_t size) {
  mica_parse_space(p);
  size_t length = 0;
  while (p->at + length < p->end && is_word(p->at[length])) length++;
  if (!length || length >= size) return mica_parse_fail(p, "expected a name");
  memcpy(word, p->at, length);
  word[length] = 0;
  p->at += length;
  return true;
}

bool mica_parse_quoted(mica_graph_parser *p, char **out_text) {
  if (!expect(p, "\"")) return false;
  const char *end = p->at;
  while (end < p->end && *end != '"') end += *end == '\\' && end + 1 < p->end ? 2 : 1;
  char *text = mica_arena_allocate(&p->graph->arena, (size_t)(end - p->at) + 1), *to = text;
  if (!text) return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
  while (p->at < p->end && *p->at != '"') {
    char c = *p->at++;
    if (c == '\\') {
      if (p->at == p->end) break;
      c = *p->at++;
      if (c == 'x') {
        unsigned value = 0;
        for (int i = 0; i < 2; i++) {
          char d = p->at < p->end ? *p->at++ : ' ';
          if (d >= '0' && d <= '9')
            value = value * 16 + (unsigned)(d - '0');
          else if (d >= 'a' && d <= 'f')
            value = value * 16 + (unsigned)(d - 'a') + 10;
          else
            return mica_parse_fail(p, "expected two hexadecimal digits after \\x");
        }
        if (!value) return mica_parse_fail(p, "a text cannot hold a zero byte");
        c = (char)value;
      }
    }
    if (!c) return mica_parse_fail(p, "a text cannot hold a zero byte");
    *to++ = c;
  }
  *to = 0;
  *out_text = text;
  return expect(p, "\"");
}

/* ---- types and values ------------------------------------------------------------------------ */

static bool parse_i64(mica_graph_parser *p, int64_t *out) {
  mica_parse_space(p);
  return mica_parse_i64(&p->at, p->end, out) ||
         mica_parse_fail(p, "expected a whole number of 64 bits");
}

bool mica_parse_list(mica_graph_parser *p, mica_ints *out) {
  *out = (mica_ints){0};
  if (!expect(p, "[")) return false;
  if (accept_token(p, "]")) return true;
  do {
    if (out->count == MICA_MAX_RANK)
      return mica_parse_fail(p, "expected at most %d entries", MICA_MAX_RANK);
    if (!parse_i64(p, &out->at[out->count])) return false;
    out->count++;
  } while (accept_token(p, ","));
  return expect(p, "]");
}

static bool parse_shape(mica_graph_parser *p, mica_shape *out) {
  mica_ints list;
  if (!mica_parse_list(p, &list)) return false;
  *out = (mica_shape){.rank = list.count};
  memcpy(out->dim, list.at, sizeof out->dim);
  if (mica_shape_count(*out) < 0) return mica_parse_fail(p, "the shape is not valid or too large");
  return true;
}

static bool parse_type(mica_graph_parser *p, mica_type *out) {
  char name[32];
  if (!mica_parse_word(p, name, sizeof name)) return false;
  out->dtype = mica_dtype_from_name(name);
  if (!out->dtype) return mica_parse_fail(p, "expected a dtype, not \"%s\"", name);
  return parse_shape(p, &out->shape);
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_tensor(mica_graph_parser *p, mica_tensor **out) {
  mica_type type;
  size_t bytes;
  if (!parse_type(p, &type)) return false;
  if (!mica_type_byte_size(type, &bytes)) return mica_parse_fail(p, "the tensor is too large");
  mica_parse_space(p);
  if (!accept_token(p, "0x")) {
    double number;
    if (mica_shape_count(type.shape) != 1 || !mica_parse_double(&p->at, p->end, &number))
      return mica_parse_fail(
          p, "expected 0x and the bytes of the tensor, or the number of one with a single element");
    *out = mica_tensor_from_doubles(type.dtype, type.shape, &number);
  } else {
    if (bytes > (size_t)(p->end - p->at) / 2)
      return mica_parse_fail(p, "expected %zu bytes of the tensor", bytes);
    unsigned char *data = mica_arena_allocate(&p->graph->arena, bytes);
    if (!data) return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
    for (size_t i = 0; i < bytes; i++, p->at += 2) {
      int high = hex_digit(p->at[0]), low = hex_digit(p->at[1]);
      if (high < 0 || low < 0) return mica_parse_fail(p, "expected a hexadecimal digit");
      data[i] = (unsigned char)(high * 16 + low);
      if (type.dtype == MICA_BOOL && data[i] > 1) return mica_parse_fail(p, "a bool is 00 or 01");
    }
    *out = mica_tensor_from(type.dtype, type.shape, data);
  }
  if (!*out) return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
  /* The graph's list releases it, whatever becomes of the node. */
  if (mica_graph_keep(p->graph, (mica_retained){.tensor = *out})) return true;
  return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
}

static bool parse_field(mica_graph_parser *p, const mica_attr_field *f, char *attr) {
  void *to = attr + f->offset;
  char word[64];
  switch (f->kind) {
    case MICA_ATTR_I64: return parse_i64(p, to);
    case MICA_ATTR_F64:
      mica_parse_space(p);
      return mica_parse_double(&p->at, p->end, to) || mica_parse_fail(p, "expected a number");
    case MICA_ATTR_BOOL:
      if (!mica_parse_word(p, word, sizeof word)) return false;
      *(bool *)to = !strcmp(word, "true");
      return *(bool *)to || !strcmp(word, "false") || mica_parse_fail(p, "expected true or false");
    case MICA_ATTR_ENUM:
      if (!mica_parse_word(p, word, sizeof word)) return false;
      for (int32_t i = 0; f->names[i]; i++)
        if (!strcmp(f->names[i], word)) {
          *(int32_t *)to = i;
          return true;
        }
      return mica_parse_fail(p, "%s cannot be \"%s\"", f->name, word);
    case MICA_ATTR_DTYPE:
      if (!mica_parse_word(p, word, sizeof word)) return false;
      *(mica_dtype *)to = mica_dtype_from_name(word);
      return *(mica_dtype *)to || !strcmp(word, "none") ||
             mica_parse_fail(p, "expected a dtype, not \"%s\"", word);
    case MICA_ATTR_SHAPE: return parse_shape(p, to);
    case MICA_ATTR_INTS: return mica_parse_list(p, to);
    case MICA_ATTR_TENSOR: return parse_tensor(p, to);
    case MICA_ATTR_VARIABLE:
    case MICA_ATTR_CUSTOM: return true;
    case MICA_ATTR_TEXT: {
      char *text;
      if (!mica_parse_quoted(p, &text)) return false;
      memcpy(to, &text, sizeof text);
      return true;
    }
  }
  return false;
}

bool mica_parse_attributes(mica_graph_parser *p, const mica_op_def *def, void *attr,
                           const char *close) {
  memset(attr, 0, def->attr_size);
  uint32_t seen = 0;
  while (*close ? !accept_token(p, close) : (mica_parse_space(p), p->at < p->end)) {
    if (seen && !expect(p, ",")) return false;
    char name[64];
    if (!mica_parse_word(p, name, sizeof name) || !expect(p, "=")) return false;
    const mica_attr_field *f = def->fields;
    while (f && f->name && strcmp(f->name, name)) f++;
    if (!f || !f->name || mica_attr_hidden(f->kind))
      return mica_parse_fail(p, "%s has no attribute \"%s\"", def->name, name);
    uint32_t bit = 1u << (f - def->fields);
    if (seen & bit) return mica_parse_fail(p, "attribute \"%s\" is given twice", name);
    seen |= bit;
    if (!parse_field(p, f, attr)) return false;
  }
  return true;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool parse_number(mica_graph_parser *p, uint32_t *out) {
  int64_t number;
  if (!expect(p, "%") || !parse_i64(p, &number)) return false;
  if (number < 0 || number > p->end - p->text)
    return mica_parse_fail(p, "value number %lld is out of range", (long long)number);
  *out = (uint32_t)number;
  return true;
}
static bool parse_use(mica_graph_parser *p, mica_value *out) {
  uint32_t number;
  if (!parse_number(p, &number)) return false;
  if (number >= p->value_count || !p->values[number].id)
    return mica_parse_fail(p, "value %%%u is not defined here", number);
  *out = p->values[number];
  return true;
}
static bool define_number(mica_graph_parser *p, uint32_t number, mica_value value) {
  if (number >= p->value_count) {
    if (!mica_grow(&p->graph->allocator, &p->values, &p->value_capacity, number + 1u,
                   sizeof *p->values))
      return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
    memset(p->values + p->value_count, 0, (number + 1u - p->value_count) * sizeof *p->values);
    p->value_count = number + 1;
  }
  if (p->values[number].id) return mica_parse_fail(p, "value %%%u is defined twice", number);
  p->values[number] = value;
  return true;
}

static bool parse_statements(mica_graph_parser *p, int depth);

/* region(%3: f32[]; %4: f32[3]) { ... return %7 } */
static bool parse_region(mica_graph_parser *p, uint32_t block, const mica_value *captured,
                         size_t captured_count, int depth) {
  if (!expect(p, "region") || !expect(p, "(")) return false;
  uint32_t *ids = NULL, count = 0, capacity = 0, declared = 0;
  mica_type *types = NULL;
  uint32_t type_capacity = 0;
  bool ok = true, behind = false;
  const mica_allocator *a = &p->graph->allocator;
  if (!accept_token(p, ")")) {
    behind = accept_token(p, ";");
    do {
      if (!mica_grow(a, &ids, &capacity, count + 1u, sizeof *ids) ||
          !mica_grow(a, &types, &type_capacity, count + 1u, sizeof *types)) {
        mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory");
        ok = false;
        break;
      }
      ok = parse_number(p, &ids[count]) && expect(p, ":") && parse_type(p, &types[count]);
      if (!ok) break;
      count++;
      declared += !behind;
      if (accept_token(p, ";")) {
        if (behind) ok = mica_parse_fail(p, "a second \";\" in the list of arguments");
        behind = true;
      } else if (!accept_token(p, ",")) {
        break;
      }
    } while (ok);
    ok = ok && expect(p, ")");
  }
  if (ok && count - declared != captured_count)
    ok = mica_parse_fail(p, "the region has %u captured arguments, its node hands it %zu",
                         count - declared, captured_count);
  ok = ok && mica_block_enter(p->graph, block, types, declared);
  for (uint32_t i = 0; ok && i < count; i++) {
    mica_value argument =
        i < declared ? mica_block_argument(p->graph, block, i)
                     : mica_value_of(p->graph, mica_resolve(p->graph, captured[i - declared]));
    ok = argument.id && define_number(p, ids[i], argument);
    if (ok && !mica_type_equal(mica_type_of(argument), types[i]))
      ok = mica_parse_fail(p, "argument %%%u has another type", ids[i]);
  }
  mica_free(a, ids, capacity * sizeof *ids);
  mica_free(a, types, type_capacity * sizeof *types);
  if (!ok || !expect(p, "{") || !parse_statements(p, depth + 1)) return false;
  mica_value *results = NULL;
  uint32_t result_count = 0, result_capacity = 0;
  ok = expect(p, "return");
  mica_parse_space(p);
  if (ok && p->at < p->end && *p->at == '%') do {
      ok = mica_grow(a, &results, &result_capacity, result_count + 1u, sizeof *results) &&
           parse_use(p, &results[result_count]);
      result_count++;
    } while (ok && accept_token(p, ","));
  if (ok) mica_block_leave(p->graph, block, results, result_count);
  mica_free(a, results, result_capacity * sizeof *results);
  return ok && p->graph->status == MICA_OK && expect(p, "}");
}

typedef struct {
  uint32_t *numbers;
  uint32_t number_count, number_capacity;
  mica_value *in;
  uint32_t in_count, in_capacity, declared;
  uint32_t captured[256]; /* how many values each region captures */
  uint32_t region_count;
  mica_type *types;
  uint32_t type_count, type_capacity;
} statement;

/* "%1, %2 = ", which an operator without results lacks. */
static bool parse_results(mica_graph_parser *p, statement *s) {
  const mica_allocator *a = &p->graph->allocator;
  if (*p->at != '%') return true;
  do {
    if (!mica_grow(a, &s->numbers, &s->number_capacity, s->number_count + 1u, sizeof *s->numbers))
      return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
    if (!parse_number(p, &s->numbers[s->number_count])) return false;
    s->number_count++;
  } while (accept_token(p, ","));
  return expect(p, "=");
}

/* Everything up to the regions: %1, %2 = name(%0; %3) {..} : f32[], f32[] @"scope" */
static bool parse_head(mica_graph_parser *p, statement *s, const mica_op_def **out_def, void *attr,
                       char **out_scope) {
  const mica_allocator *a = &p->graph->allocator;
  char name[64];
  if (!parse_results(p, s) || !mica_parse_word(p, name, sizeof name)) return false;
  const mica_op_def *def = mica_op_definition(mica_op_find(name));
  if (!def || def->kind == MICA_KIND_RESULT || !strcmp(name, "argument"))
    return mica_parse_fail(p, "there is no operator \"%s\"", name);
  *out_def = def;
  if (!expect(p, "(")) return false;
  mica_parse_space(p);
  while (!accept_token(p, ")")) {
    if (accept_token(p, ";")) {
      if (s->region_count == sizeof s->captured / sizeof s->captured[0])
        return mica_parse_fail(p, "too many regions");
      s->region_count++;
    } else {
      if (!mica_grow(a, &s->in, &s->in_capacity, s->in_count + 1u, sizeof *s->in))
        return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
      if (!parse_use(p, &s->in[s->in_count])) return false;
      s->in_count++;
      if (s->region_count)
        s->captured[s->region_count - 1]++;
      else
        s->declared++;
      mica_parse_space(p);
      if (!accept_token(p, ",") && p->at < p->end && *p->at != ')' && *p->at != ';')
        return mica_parse_fail(p, "expected \",\", \";\" or \")\"");
    }
    mica_parse_space(p);
    if (p->at == p->end) return mica_parse_fail(p, "expected \")\"");
  }
  if (def->attr_size && def->fields && def->fields[0].name) {
    if (!expect(p, "{") || !mica_parse_attributes(p, def, attr, "}")) return false;
  } else if (def->attr_size)
    memset(attr, 0, def->attr_size);
  if (s->number_count && !expect(p, ":")) return false;
  if (s->number_count) do {
      if (!mica_grow(a, &s->types, &s->type_capacity, s->type_count + 1u, sizeof *s->types))
        return mica_fail(p->graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
      if (!parse_type(p, &s->types[s->type_count])) return false;
      s->type_count++;
    } while (accept_token(p, ","));
  if (s->type_count != s->number_count)
    return mica_parse_fail(p, "%u %s, but %u %s", s->number_count,
                           mica_noun(s->number_count, "result", "results"), s->type_count,
                           mica_noun(s->type_count, "type", "types"));
  *out_scope = NULL;
  return !accept_token(p, "@") || mica_parse_quoted(p, out_scope);
}

static mica_value parse_leaf(mica_graph_parser *p, const mica_op_def *def, const void *attr) {
  mica_graph *graph = p->graph;
  if (def == &mica_op_parameter) {
    const mica_parameter_attr *parameter = attr;
    if (parameter->index != graph->parameter_count) {
      mica_parse_fail(p, "parameter %lld is out of order", (long long)parameter->index);
      return mica_no_value(graph);
    }
    return mica_parameter(graph, (mica_type){parameter->dtype, parameter->shape});
  }
  if (def == &mica_op_variable) {
    const mica_variable_attr *variable = attr;
    if (graph->current) {
      mica_parse_fail(p, "a variable stands outside of all regions");
      return mica_no_value(graph);
    }
    if (!mica_grow(&graph->allocator, &graph->variables, &graph->variable_capacity,
                   graph->variable_count + 1u, sizeof *graph->variables))
      return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    mica_value value = mica_emit(graph, MICA_OP_VARIABLE, NULL, 0, variable);
    if (value.id)
      graph->variables[graph->variable_count++] = (mica_graph_variable){.read = value.id};
    return value;
  }
  return mica_emit(graph, mica_op_find(def->name), NULL, 0, attr);
}

static bool build_statement(mica_graph_parser *p, statement *s, const mica_op_def *def,
                            const void *attr, int depth) {
  mica_graph *graph = p->graph;
  mica_op op = mica_op_find(def->name);
  mica_value *out = mica_arena_allocate(&graph->arena, (s->number_count + 1u) * sizeof *out);
  if (!out) return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
  if (def->kind == MICA_KIND_REGION) {
    if (!s->region_count)
      return mica_parse_fail(p, "%s has regions: expected \";\" in its operands", def->name);
    uint32_t block = mica_block_open(graph, op, s->in, s->declared, attr), at = s->declared;
    if (!block || !expect(p, "{")) return false;
    for (uint32_t r = 0; r < s->region_count; r++) {
      if (!parse_region(p, block, s->in + at, s->captured[r], depth)) return false;
      at += s->captured[r];
    }
    if (!expect(p, "}")) return false;
    mica_block_close(graph, block, out, s->number_count);
  } else {
    if (s->region_count) return mica_parse_fail(p, "%s has no regions", def->name);
    if (def->kind == MICA_KIND_LEAF && def->arity == 0 && s->in_count == 0 && s->number_count == 1)
      out[0] = parse_leaf(p, def, attr);
    else
      mica_emit_results(graph, op, s->in, s->in_count, attr, out, s->number_count);
  }
  if (graph->status != MICA_OK) return false;
  for (uint32_t i = 0; i < s->number_count; i++) {
    uint32_t index;
    uint32_t owner = mica_owner_of_result(graph, out[i].id, &index);
    if (graph->nodes[owner].result_count != s->number_count ||
        !mica_type_equal(graph->nodes[out[i].id].type, s->types[i]))
      return mica_parse_fail(p, "the results of %s have other types than the text says", def->name);
    if (!define_number(p, s->numbers[i], out[i])) return false;
  }
  return true;
}

/* "%1 = ..", or the name of an operator; what ends a list of statements is `return`. */
static bool starts_statement(const mica_graph_parser *p) {
  static const char word[] = "return";
  if (*p->at == '%') return true;
  bool ends = (size_t)(p->end - p->at) >= sizeof word - 1 && !memcmp(p->at, word, sizeof word - 1);
  return *p->at >= 'a' && *p->at <= 'z' && !ends;
}

static bool parse_statements(mica_graph_parser *p, int depth) {
  enum { DEPTH = 64 };
  if (depth > DEPTH) return mica_parse_fail(p, "regions are nested more than %d deep", DEPTH);
  const mica_allocator *a = &p->graph->allocator;
  for (;;) {
    mica_parse_space(p);
    if (p->at == p->end || !starts_statement(p)) return true;
    if (p->graph->status != MICA_OK) return false;
    statement s;
    memset(&s, 0, sizeof s);
    union {
      max_align_t align;
      char bytes[MICA_MAX_ATTR_SIZE];
    } attr;
    const mica_op_def *def = NULL;
    char *scope = NULL;
    uint32_t outer_scope = p->graph->scope;
    bool ok = parse_head(p, &s, &def, attr.bytes, &scope);
    ok = ok && mica_set_scope(p->graph, scope ? scope : "");
    ok = ok && build_statement(p, &s, def, attr.bytes, depth);
    p->graph->scope = outer_scope;
    mica_free(a, s.numbers, s.number_capacity * sizeof *s.numbers);
    mica_free(a, s.in, s.in_capacity * sizeof *s.in);
    mica_free(a, s.types, s.type_capacity * sizeof *s.types);
    if (!ok) return false;
  }
}

static bool parse_ends(mica_graph_parser *p) {
  mica_graph *graph = p->graph;
  if (!expect(p, "return")) return false;
  mica_value value;
  mica_parse_space(p);
  if (p->at < p->end && *p->at == '%') do {
      if (!mica_grow(&graph->allocator, &graph->outputs, &graph->output_capacity,
                     graph->output_count + 1u, sizeof *graph->outputs))
        return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory"), false;
      if (!parse_use(p, &value)) return false;
      if (graph->nodes[value.id].region)
        return mica_parse_fail(p, "an output stands inside a region");
      graph->outputs[graph->output_count++] = value.id;
    } while (accept_token(p, ","));
  while (accept_token(p, "assign")) {
    char *name;
    if (!mica_parse_quoted(p, &name) || !expect(p, "=") || !parse_use(p, &value)) return false;
    bool found = false;
    for (uint32_t i = 0; i < graph->variable_count && !found; i++) {
      uint32_t read = graph->variables[i].read;
      const mica_variable_attr *attr = read ? graph->nodes[read].attr : NULL;
      found = attr && !strcmp(attr->name, name) && !graph->variables[i].assign;
      if (found && (graph->nodes[value.id].region ||
                    !mica_type_equal(graph->nodes[read].type, graph->nodes[value.id].type)))
        return mica_parse_fail(
            p, "the value assigned to \"%s\" has another type or stands in a region", name);
      if (found) graph->variables[i].assign = value.id;
    }
    if (!found) return mica_parse_fail(p, "variable \"%s\" is assigned but not in the graph", name);
  }
  mica_parse_space(p);
  return p->at == p->end || mica_parse_fail(p, "expected the end of the text");
}

mica_status mica_graph_parse(const mica_allocator *allocator, const char *text, size_t size,
                             mica_graph **out_graph, mica_error *error) {
  *out_graph = NULL;
  if (!text) return mica_error_set(error, MICA_INVALID, "graph_parse: the text is NULL");
  mica_graph *graph = mica_graph_create(allocator);
  mica_graph_parser p;
  mica_parse_begin(&p, graph, text, size);
  if (graph->status == MICA_OK) {
    int64_t version;
    bool ok = expect(&p, "mica ") && parse_i64(&p, &version) &&
              (version == 1 ||
               mica_parse_fail(&p, "version %lld is not known: expected 1", (long long)version)) &&
              parse_statements(&p, 0) && parse_ends(&p);
    if (!ok && graph->status == MICA_OK) mica_parse_fail(&p, "expected a statement");
    mica_free(&graph->allocator, p.values, p.value_capacity * sizeof *p.values);
  }
  mica_status status = mica_graph_status(graph, error);
  if (status == MICA_OK)
    *out_graph = graph;
  else
    mica_graph_destroy(graph);
  return status;
}

mica_value mica_build_operator(mica_graph *graph, const char *name, const mica_value *in,
                               size_t in_count, const char *attributes) {
  MICA_ENTRY(graph ? graph : mica_graph_of(in, in_count));
  if (!graph) graph = mica_graph_of(in, in_count);
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  mica_op op = mica_op_find(name);
  const mica_op_def *def = mica_op_definition(op);
  if (!def || def->kind == MICA_KIND_RESULT || def->kind == MICA_KIND_REGION ||
      op == MICA_OP_ARGUMENT || op == MICA_OP_VARIABLE)
    return mica_fail_operator(
        graph, name ? name : "NULL", in, in_count,
        "there is no operator of this name that can be built without blocks: expected "
        "one that mica_operators_json lists");
  union {
    max_align_t align;
    char bytes[MICA_MAX_ATTR_SIZE];
  } attr = {0};
  if (def->attr_size) {
    mica_graph_parser p;
    const char *text = attributes ? attributes : "";
    mica_parse_begin(&p, graph, text, strlen(text));
    mica_parse_space(&p);
    if (!mica_parse_attributes(&p, def, attr.bytes, "")) {
      if (graph->status != MICA_DATA_LOSS) return mica_no_value(graph);
      char why[MICA_MESSAGE_SIZE];
      snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, graph->message);
      graph->status = MICA_OK; /* the same failure, in this operator's name */
      return mica_fail_operator(graph, name, in, in_count, "expected attributes, in \"%s\": %s",
                                text, why);
    }
  }
  if (op == MICA_OP_PARAMETER) {
    const mica_parameter_attr *parameter = (const void *)attr.bytes;
    return mica_parameter(graph, (mica_type){parameter->dtype, parameter->shape});
  }
  return mica_emit(graph, op, in, in_count, attr.bytes);
}
