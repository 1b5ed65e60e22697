/* SPDX-License-Identifier: Apache-2.0 */
/* write_attention.c: attention as a call of cuDNN's flash attention, which XLA's CUDA compiler knows by the name of a custom
 * call and a configuration in JSON (cudnn_fmha_backend_config in xla/service/gpu/backend_configs.proto): that of JAX's
 * jax.nn.dot_product_attention(implementation="cudnn"), to which the test holds it. Scores stay out of memory.
 *
 * Forward only: a derivative is built from the operator's expansion. */
#include "backend/xla/writer_internal.h"

#include <inttypes.h>

enum { FLASH_MOST_WIDTH = 128, FLASH_WIDTH_UNIT = 8 };

/* f16 or bf16, [batch, heads, rows, width] with a width that every GPU's cuDNN takes; no mask of its own, and a causal one
 * where rows and columns are equally many, since cuDNN aligns it at the first ones. */
bool mica_xla_is_flash_attention(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  const mica_attention_attr *attr = node->attr;
  const uint32_t *operands = mica_node_operands(graph, node);
  mica_dtype dtype = node->type.dtype;
  if ((dtype != MICA_F16 && dtype != MICA_BF16) || node->operand_count != 3 ||
      node->type.shape.rank != 4)
    return false;
  mica_shape q = mica_node_at(graph, operands[0])->type.shape,
             k = mica_node_at(graph, operands[1])->type.shape,
             v = mica_node_at(graph, operands[2])->type.shape;
  int64_t width = q.dim[3];
  return mica_shape_count(q) > 0 && mica_shape_count(k) > 0 && v.dim[3] == width &&
         width <= FLASH_MOST_WIDTH && width % FLASH_WIDTH_UNIT == 0 &&
         (!attr->causal || q.dim[2] == k.dim[2]);
}

/* "name":{"lhs_batch_dimensions":["0","1"],..} of a product that contracts these axes. */
static void append_product(mica_text *json, const char *name, int lhs, int rhs) {
  mica_text_format(json,
                   "\"%s\":{\"lhs_batch_dimensions\":[\"0\",\"1\"],\"lhs_contracting_dimensions\":"
                   "[\"%d\"],\"rhs_batch_dimensions\":[\"0\",\"1\"],"
                   "\"rhs_contracting_dimensions\":[\"%d\"]},",
                   name, lhs, rhs);
}

/* In the order of the keys; dropout is none, and the seed is JAX's. */
static void append_config(mica_text *json, const mica_attention_attr *attr, mica_shape q,
                          int64_t columns, mica_dtype dtype) {
  mica_text_append(json,
                   "{\"cudnn_fmha_backend_config\":{\"algorithm\":{\"algo_id\":\"0\","
                   "\"is_cudnn_frontend\":true,\"math_type\":\"TENSOR_OP_MATH\","
                   "\"tuning_knobs\":{\"17\":\"1\",\"24\":\"0\"},\"workspace_size\":\"0\"},");
  append_product(json, "bmm1_dot_dimension_numbers", 3, 3);
  append_product(json, "bmm2_dot_dimension_numbers", 3, 2);
  mica_text_append(json, "\"dropout_rate\":0.0,\"fmha_scale\":");
  mica_text_double(json, attr->scale);
  mica_text_format(
      json,
      ",\"intermediate_tensor_shape\":{\"dimensions\":[\"%" PRId64 "\",\"%" PRId64 "\",\"%" PRId64
      "\",\"%" PRId64
      "\"],\"element_type\":\"%s\",\"is_dynamic_dimension\":[false,false,false,false],"
      "\"layout\":{\"dim_level_types\":[],\"dim_ordered\":[],\"dim_unique\":[],"
      "\"dynamic_shape_metadata_prefix_bytes\":\"0\",\"element_size_in_bits\":\"0\","
      "\"index_primitive_type\":\"PRIMITIVE_TYPE_INVALID\",\"memory_space\":\"0\","
      "\"minor_to_major\":[\"3\",\"2\",\"1\",\"0\"],"
      "\"pointer_primitive_type\":\"PRIMITIVE_TYPE_INVALID\",\"tiles\":[]},\"tuple_shapes\":[]},"
      "\"is_flash_attention\":true,\"is_paged_attention\":false,\"mask_type\":\"%s\","
      "\"max_seg_per_batch\":1,\"seed\":42,\"sliding_window_length\":0},"
      "\"operation_queue_id\":\"0\"}",
      q.dim[0], q.dim[1], q.dim[2], columns, dtype == MICA_F16 ? "F16" : "BF16",
      attr->causal ? "CAUSAL" : "NO_MASK");
}

/* A text of MLIR: quotes by their number. */
static void append_escaped_config(mica_text *out, const mica_text *json) {
  mica_text_append(out, "\"");
  for (size_t i = 0; i < json->size; i++) {
    if (json->data[i] == '"')
      mica_text_append(out, "\\22");
    else
      mica_text_append_bytes(out, json->data + i, 1);
  }
  mica_text_append(out, "\"");
}

void mica_xla_write_attention(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  xla_ref in[3] = {mica_xla_operand(w, id, 0), mica_xla_operand(w, id, 1),
                   mica_xla_operand(w, id, 2)};
  mica_type in_types[3] = {in[0].type, in[1].type, in[2].type};
  mica_type types[2] = {node->type, {MICA_U8, {.rank = 1, .dim = {0}}}}; /* its working memory */
  mica_text json;
  mica_text_init(&json, &w->module->allocator);
  append_config(&json, node->attr, in[0].type.shape, in[1].type.shape.dim[2], node->type.dtype);
  mica_xla_attribute_text(w, "call_target_name", "\"__cudnn$fmhaSoftmax\"");
  mica_xla_attribute_text(w, "api_version", "2 : i32");
  mica_xla_attribute_text(w, "backend_config", "");
  append_escaped_config(&w->attributes, &json);
  w->attributes.failed = w->attributes.failed || json.failed;
  mica_text_deinit(&json);
  mica_xla_attribute_layouts(w, "operand_layouts", in_types, 3);
  mica_xla_attribute_layouts(w, "result_layouts", types, 2);
  uint32_t number = mica_xla_emit_results(w, "stablehlo.custom_call", types, 2, in, 3);
  mica_xla_define(w, id, (xla_ref){number, 0, types[0]});
}
