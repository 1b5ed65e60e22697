/* SPDX-License-Identifier: Apache-2.0 */
/* emit.c: the one way in which nodes come to be. Every builder, rule, pass and the parser
 * appends through mica_emit_results, which checks the operands, captures outer values, infers
 * the result types and is the only place that can leave a node behind. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/attributes.h"
#include "graph/custom.h"

bool mica_infer_fail(mica_infer *infer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(infer->message, MICA_MESSAGE_SIZE, format, arguments);
  va_end(arguments);
  return false;
}

mica_graph *mica_graph_of(const mica_value *in, size_t count) {
  for (size_t i = 0; in && i < count; i++)
    if (in[i].graph) return in[i].graph;
  return NULL;
}

static const mica_block *block_of_region(const mica_graph *graph, uint32_t region) {
  for (uint32_t b = 0; b < graph->block_count; b++)
    for (uint32_t r = 0; r < graph->blocks[b].region_count; r++)
      if (graph->blocks[b].regions[r] == region) return &graph->blocks[b];
  return NULL;
}

bool mica_value_usable(const mica_graph *graph, mica_value value, char *message, size_t size) {
  if (!value.graph || (value.graph == graph && !value.id))
    snprintf(message, size, "expected a value, not {0} (was the call that makes it forgotten?)");
  else if (value.graph != graph)
    snprintf(message, size, "expected a value of this graph, not of another one");
  else if (value.epoch != graph->epoch || value.id >= graph->count)
    snprintf(message, size,
             "expected a value of this trace; this one is stale: its trace has ended");
  else {
    uint32_t id = mica_canonical(graph, value).id;
    uint32_t region = graph->nodes[id].region;
    if (graph->regions[region].state == MICA_REGION_OPEN) return true;
    const char *name = mica_block_name(block_of_region(graph, region));
    snprintf(message, size,
             "expected a value that is in scope; this one belongs to a closed block of %s "
             "(return it from the block instead)",
             name);
  }
  return false;
}

bool mica_list_given(mica_graph *graph, const char *op, const char *what, const mica_value *values,
                     size_t count) {
  if (values || !count) return true;
  mica_fail_operator(graph, op, NULL, 0, "the list of each %s is NULL: expected %zu", what, count);
  return false;
}

bool mica_results_clear(mica_graph *graph, const char *op, const mica_value *in, size_t in_count,
                        mica_value *out, size_t count) {
  for (size_t i = 0; out && i < count; i++) out[i] = mica_no_value(graph);
  if (out || !count) return true;
  mica_fail_operator(graph, op, in, in_count,
                     "the place for results is NULL: expected room for %zu", count);
  return false;
}

bool mica_class_accepts(mica_dtype_class class, mica_dtype dtype, const char **out_expected) {
  bool integer = mica_dtype_is_integer(dtype), complex = mica_dtype_is_complex(dtype);
  bool small =
      dtype == MICA_I4 || dtype == MICA_U4 || dtype == MICA_F8E4M3FN || dtype == MICA_F8E5M2;
  bool floating = mica_dtype_is_float(dtype) && !small;
  bool wide = dtype == MICA_F32 || dtype == MICA_F64;
  integer = integer && !small;
  switch (class) {
    case MICA_CLASS_ANY: return dtype != MICA_DTYPE_NONE;
    case MICA_CLASS_NUMBER:
      *out_expected = "integers, f16, bf16, f32, f64, c64 or c128";
      return integer || floating || complex;
    case MICA_CLASS_REAL:
      *out_expected = "integers, f16, bf16, f32 or f64";
      return integer || floating;
    case MICA_CLASS_FLOAT: *out_expected = "f16, bf16, f32 or f64"; return floating;
    case MICA_CLASS_INEXACT:
      *out_expected = "f16, bf16, f32, f64, c64 or c128";
      return floating || complex;
    case MICA_CLASS_INTEGER: *out_expected = "i8 to i64 or u8 to u64"; return integer;
    case MICA_CLASS_LOGICAL:
      *out_expected = "bool or integers";
      return integer || dtype == MICA_BOOL;
    case MICA_CLASS_BOOL: *out_expected = "bool"; return dtype == MICA_BOOL;
    case MICA_CLASS_DOT:
      *out_expected = "numbers, f8, i4 or u4";
      return integer || floating || complex || small;
    case MICA_CLASS_VALUE:
      *out_expected = "bool, integers, f16, bf16, f32, f64, c64 or c128";
      return integer || floating || complex || dtype == MICA_BOOL;
    case MICA_CLASS_ORDERED:
      *out_expected = "bool, integers, f16, bf16, f32 or f64";
      return integer || floating || dtype == MICA_BOOL;
    case MICA_CLASS_COMPLEX: *out_expected = "c64 or c128"; return complex;
    case MICA_CLASS_WIDE: *out_expected = "f32 or f64"; return wide;
    case MICA_CLASS_WIDE_COMPLEX: *out_expected = "f32, f64, c64 or c128"; return wide || complex;
    case MICA_CLASS_KEY:
      *out_expected = "u32[2] (mica_random_key makes it)";
      return dtype == MICA_U32;
    case MICA_CLASS_BITS:
      *out_expected = "another, since bool has no bits of its own";
      return dtype != MICA_DTYPE_NONE && dtype != MICA_BOOL;
    case MICA_CLASS_COUNT: break;
  }
  return false;
}

/* Texts are copied and tensors retained: an attribute lives as long as the graph. Variables are
 * retained by the graph's list of them. */
static bool retain_attribute(mica_graph *graph, const mica_op_def *def, void *attr) {
  for (const mica_attr_field *field = def->fields; field && field->name; field++) {
    if (field->kind == MICA_ATTR_TEXT) {
      const char *text;
      memcpy(&text, (const char *)attr + field->offset, sizeof text);
      const char *copy = mica_arena_text(&graph->arena, text ? text : "");
      if (!copy) return false;
      memcpy((char *)attr + field->offset, &copy, sizeof copy);
    }
    mica_retained kept = {0};
    if (field->kind == MICA_ATTR_TENSOR) {
      memcpy(&kept.tensor, (const char *)attr + field->offset, sizeof kept.tensor);
      mica_tensor_retain(kept.tensor);
    } else if (field->kind == MICA_ATTR_CUSTOM) {
      memcpy(&kept.custom, (const char *)attr + field->offset, sizeof kept.custom);
      mica_custom_retain(kept.custom);
    }
    if ((kept.tensor || kept.custom) && !mica_graph_keep(graph, kept)) return false;
  }
  return true;
}

/* Appends entries for checked parts. */
static uint32_t append_node(mica_graph *graph, mica_op op, const uint32_t *ids, size_t in_count,
                            const void *attr, const mica_type *types, size_t result_count) {
  const mica_op_def *def = mica_op_definition(op);
  size_t total =
      (size_t)graph->count + (result_count ? result_count : 1); /* an owner may have none */
  void *copy = NULL;
  if (total >= UINT32_MAX || graph->operand_count + in_count >= UINT32_MAX) {
    mica_fail(graph, MICA_INVALID, "%s: the graph has too many nodes", def->name);
    return 0;
  }
  if (!mica_grow(&graph->allocator, &graph->nodes, &graph->capacity, total, sizeof *graph->nodes) ||
      !mica_grow(&graph->allocator, &graph->operands, &graph->operand_capacity,
                 graph->operand_count + in_count, sizeof *graph->operands) ||
      (def->attr_size && (!(copy = mica_arena_copy(&graph->arena, attr, def->attr_size)) ||
                          !retain_attribute(graph, def, copy)))) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return 0;
  }
  uint32_t id = graph->count;
  graph->nodes[id] = (mica_node){.op = (uint16_t)op,
                                 .region = graph->current,
                                 .operand_first = graph->operand_count,
                                 .operand_count = (uint32_t)in_count,
                                 .declared_count = (uint32_t)in_count,
                                 .result_count = (uint32_t)result_count,
                                 .scope = graph->scope,
                                 .attr = copy};
  if (in_count) memcpy(graph->operands + graph->operand_count, ids, in_count * sizeof *ids);
  graph->operand_count += (uint32_t)in_count;
  if (result_count) graph->nodes[id].type = types[0];
  for (size_t i = 1; i < result_count; i++)
    graph->nodes[id + i] = (mica_node){.op = MICA_OP_RESULT,
                                       .region = graph->current,
                                       .result_count = (uint32_t)i,
                                       .scope = graph->scope,
                                       .type = types[i]};
  graph->count += (uint32_t)(result_count ? result_count : 1);
  return id;
}

/* Operators with regions come through mica_block_close, which passes their regions here. */
bool mica_emit_node(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                    size_t declared_count, const uint32_t *regions, size_t region_count,
                    const void *attr, mica_value *out, size_t out_count) {
  const mica_op_def *def = mica_op_definition(op);
  mica_results_clear(graph, def ? def->name : "operator", in, in_count, out, out_count);
  if (!graph || graph->status != MICA_OK) return false;
  if (!def) {
    mica_fail(graph, MICA_INVALID, "unknown operator %d", (int)op);
    return false;
  }
  char message[MICA_MESSAGE_SIZE] = "";
  if (def->arity >= 0 ? in_count != (size_t)def->arity
                      : in_count < 1 && def->kind != MICA_KIND_REGION) {
    mica_fail_operator(graph, def->name, in, in_count, "expected %d %s, not %zu", def->arity,
                       mica_noun((size_t)def->arity, "operand", "operands"), in_count);
    return false;
  }
  if (!mica_list_given(graph, def->name, "operand", in, in_count)) return false;
  for (size_t i = 0; i < in_count; i++)
    if (!mica_value_usable(graph, in[i], message, sizeof message)) {
      mica_fail_operator(graph, def->name, in, in_count, "operand %zu: %s", i, message);
      return false;
    }
  enum { SMALL = 16 };
  uint32_t small_ids[SMALL], *ids = small_ids;
  mica_type small_types[SMALL], small_results[SMALL], *types = small_types,
                                                      *results = small_results;
  size_t wanted = out_count ? out_count : 1;
  /* Without regions, an operator with any number of results has one for each operand. */
  if (def->results < 0 && in_count > wanted) wanted = in_count;
  if (in_count > SMALL) {
    ids = mica_arena_allocate(&graph->arena, in_count * sizeof *ids);
    types = mica_arena_allocate(&graph->arena, in_count * sizeof *types);
  }
  if (wanted > SMALL) results = mica_arena_allocate(&graph->arena, wanted * sizeof *results);
  if (!ids || !types || !results) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return false;
  }
  for (size_t i = 0; i < in_count; i++) {
    ids[i] = mica_resolve(graph, in[i]);
    if (!ids[i]) return false;
    types[i] = graph->nodes[ids[i]].type;
  }
  const char *expected = "";
  if (in_count && def->kind != MICA_KIND_REGION &&
      !mica_class_accepts(def->dtypes, types[0].dtype, &expected)) {
    mica_fail_operator(graph, def->name, in, in_count,
                       "dtype %s is not supported: expected %s (mica_convert first)",
                       mica_dtype_name(types[0].dtype), expected);
    return false;
  }
  memset(results, 0, wanted * sizeof *results);
  union {
    max_align_t align;
    char bytes[MICA_MAX_ATTR_SIZE];
  } attr_copy;
  if (def->attr_size) memcpy(attr_copy.bytes, attr, def->attr_size);
  mica_infer infer = {.def = def,
                      .graph = graph,
                      .in = types,
                      .in_count = in_count,
                      .attr = attr_copy.bytes,
                      .regions = regions,
                      .region_count = region_count,
                      .declared_count = declared_count,
                      .out = results,
                      .out_count = out_count,
                      .message = message};
  if (!def->infer(&infer)) {
    if (infer.no_memory)
      mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    else
      mica_fail_operator(graph, def->name, in, in_count, "%s", message);
    return false;
  }
  for (size_t i = 0; i < infer.out_count; i++) {
    size_t bytes;
    if (!mica_type_byte_size(results[i], &bytes)) {
      mica_fail_operator(graph, def->name, in, in_count,
                         "the result is too large for this machine");
      return false;
    }
  }
  uint32_t id = append_node(graph, op, ids, in_count, attr_copy.bytes, results, infer.out_count);
  if (!id) return false;
  mica_node *node = &graph->nodes[id];
  node->declared_count = (uint32_t)declared_count;
  if (region_count) {
    if (!mica_grow(&graph->allocator, &graph->owned, &graph->owned_capacity,
                   graph->owned_count + region_count, sizeof *graph->owned)) {
      mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
      return false;
    }
    node->region_first = graph->owned_count;
    node->region_count = (uint16_t)region_count;
    for (size_t i = 0; i < region_count; i++) {
      graph->owned[graph->owned_count++] = regions[i];
      graph->regions[regions[i]].owner = id;
    }
  }
  for (size_t i = 0; i < out_count; i++) out[i] = mica_value_of(graph, id + (uint32_t)i);
  return true;
}

void mica_emit_results(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                       const void *attr, mica_value *out, size_t out_count) {
  mica_emit_node(graph, op, in, in_count, in_count, NULL, 0, attr, out, out_count);
}

mica_value mica_emit(mica_graph *graph, mica_op op, const mica_value *in, size_t in_count,
                     const void *attr) {
  mica_value out = mica_no_value(graph);
  mica_emit_node(graph, op, in, in_count, in_count, NULL, 0, attr, &out, 1);
  return out;
}
