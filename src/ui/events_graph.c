/* SPDX-License-Identifier: Apache-2.0 */
/* events_graph.c: a graph as TensorBoard's GraphDef. A node is called SCOPE/OPERATOR_ID, a variable
 * by its own name, so that the scopes become the groups that open and close. */
#include <string.h>

#include "ui/events_internal.h"

enum { GRAPH_NODE = 1, GRAPH_VERSIONS = 4 };
enum { NODE_NAME = 1, NODE_OP, NODE_INPUT, NODE_ATTRIBUTE = 5 };
enum { KEY = 1, VALUE, ATTRIBUTE_LIST = 1, ATTRIBUTE_TYPE = 6, LIST_SHAPE = 7 };

/* The numbers of types.proto. */
static uint64_t data_type(mica_dtype dtype) {
  static const unsigned char numbers[MICA_DTYPE_COUNT] = {
      [MICA_BOOL] = 10, [MICA_I4] = 29,       [MICA_U4] = 30,     [MICA_I8] = 6,    [MICA_U8] = 4,
      [MICA_I16] = 5,   [MICA_U16] = 17,      [MICA_I32] = 3,     [MICA_U32] = 22,  [MICA_I64] = 9,
      [MICA_U64] = 23,  [MICA_F8E4M3FN] = 25, [MICA_F8E5M2] = 24, [MICA_BF16] = 14, [MICA_F16] = 19,
      [MICA_F32] = 1,   [MICA_F64] = 2,       [MICA_C64] = 8,     [MICA_C128] = 18};
  return (unsigned)dtype < MICA_DTYPE_COUNT ? numbers[dtype] : 0;
}

/* What is no letter, digit or one of "._-/" in a scope becomes '_'. */
static void node_path(mica_ui_text *out, const char *path) {
  for (const char *c = path; *c; c++) {
    bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                 strchr("._-/", *c);
    mica_ui_bytes(out, plain ? c : "_", 1);
  }
}

static void node_name(const mica_graph *graph, uint32_t id, bool as_input, mica_ui_text *out) {
  mica_graph_result result;
  mica_graph_result_at(graph, id, &result);
  out->size = 0;
  if (*result.variable) {
    node_path(out, result.variable);
    mica_ui_format(out, "_%u", result.node);
  } else {
    if (*result.scope) node_path(out, result.scope), mica_ui_string(out, "/");
    mica_ui_format(out, "%s_%u", result.op, result.node);
  }
  if (as_input && result.index) mica_ui_format(out, ":%u", result.index);
}

static void put_attribute(mica_ui_text *node, const char *key, mica_ui_text *value) {
  mica_ui_text entry = {0};
  mica_proto_string(&entry, KEY, key);
  mica_proto_message(&entry, VALUE, value);
  mica_proto_message(node, NODE_ATTRIBUTE, &entry);
}

static void put_shape(mica_ui_text *list, mica_shape shape) {
  mica_ui_text message = {0};
  for (int32_t i = 0; i < shape.rank; i++) {
    mica_ui_text size = {0};
    mica_proto_varint(&size, 1, (uint64_t)shape.dim[i]);
    mica_proto_message(&message, 2, &size);
  }
  mica_proto_message(list, LIST_SHAPE, &message);
}

void mica_ui_graph_def(const mica_graph *graph, mica_ui_text *out) {
  mica_ui_text name = {0}, versions = {0};
  uint32_t count = mica_graph_result_count(graph);
  for (uint32_t id = 1; id <= count; id++) {
    mica_graph_result result, other;
    if (!mica_graph_result_at(graph, id, &result) || result.index) continue;
    mica_ui_text node = {0}, type = {0}, shapes = {0}, list = {0};
    node_name(graph, id, false, &name);
    if (name.failed) break;
    mica_proto_string(&node, NODE_NAME, name.bytes);
    mica_proto_string(&node, NODE_OP, result.op);
    for (size_t i = 0; i < result.operand_count; i++) {
      node_name(graph, result.operands[i], true, &name);
      if (!name.failed) mica_proto_string(&node, NODE_INPUT, name.bytes);
    }
    mica_proto_varint(&type, ATTRIBUTE_TYPE, data_type(result.type.dtype));
    put_attribute(&node, "dtype", &type);
    for (uint32_t k = id; k <= count && mica_graph_result_at(graph, k, &other) && other.node == id;
         k++)
      put_shape(&list, other.type.shape);
    mica_proto_message(&shapes, ATTRIBUTE_LIST, &list);
    put_attribute(&node, "_output_shapes", &shapes);
    mica_proto_message(out, GRAPH_NODE, &node);
  }
  mica_proto_varint(&versions, 1, 22); /* the producer: the oldest that readers know */
  mica_proto_message(out, GRAPH_VERSIONS, &versions);
  if (name.failed) out->failed = true;
  mica_ui_free(&name);
}
