/* SPDX-License-Identifier: Apache-2.0 */
/* write_move.c: leaves, comparisons, data movement, gather and scatter. */
#include "backend/xla/writer_internal.h"

#include <inttypes.h>
#include <stdio.h>

static void emit_nothing(xla_writer *w, uint32_t id) { (void)w, (void)id; }

static void emit_constant(xla_writer *w, uint32_t id) {
  for (size_t i = 0; i < w->module->hoisted_count; i++)
    if (w->module->hoisted[i] == id) return; /* an argument */
  const mica_constant_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_define(w, id,
                  mica_xla_constant(w, mica_xla_type_of(w, id), mica_tensor_data(attr->value)));
}

static void emit_iota(xla_writer *w, uint32_t id) {
  const mica_iota_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_define(w, id, mica_xla_iota(w, mica_xla_type_of(w, id), attr->axis));
}

static void emit_compare(xla_writer *w, uint32_t id) {
  static const char *const directions[] = {"EQ", "NE", "LT", "LE", "GT", "GE"};
  const mica_compare_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_define(w, id,
                  mica_xla_compare(w, directions[attr->kind], mica_xla_operand(w, id, 0),
                                   mica_xla_operand(w, id, 1)));
}

static void emit_reduce_precision(xla_writer *w, uint32_t id) {
  const mica_reduce_precision_attr *attr = mica_node_at(w->graph, id)->attr;
  char value[48];
  snprintf(value, sizeof(value), "%" PRId64 " : i32", attr->exponent_bits);
  mica_xla_attribute_text(w, "exponent_bits", value);
  snprintf(value, sizeof(value), "%" PRId64 " : i32", attr->mantissa_bits);
  mica_xla_attribute_text(w, "mantissa_bits", value);
  mica_xla_define(w, id,
                  mica_xla_emit_1(w, "stablehlo.reduce_precision", mica_xla_type_of(w, id),
                                  mica_xla_operand(w, id, 0)));
}

/* ---- movement -------------------------------------------------------------------------------- */

/* One operation on all operands, with the attributes that stand. */
static void emit_named(xla_writer *w, uint32_t id, const char *name) {
  const mica_node *node = mica_node_at(w->graph, id);
  xla_ref few[4] = {{0}}, *in = few;
  size_t count = node->operand_count;
  if (count > sizeof(few) / sizeof(few[0])) {
    in = mica_allocate_zeroed(&w->module->allocator, count, sizeof(*in));
    if (in == NULL) {
      mica_xla_fail(w, MICA_OUT_OF_MEMORY, "no memory to compile");
      return;
    }
  }
  for (uint32_t i = 0; i < count; i++) in[i] = mica_xla_operand(w, id, i);
  mica_xla_define(w, id, mica_xla_emit(w, name, node->type, in, count));
  if (in != few) mica_free(&w->module->allocator, in, count * sizeof(*in));
}

static void emit_broadcast(xla_writer *w, uint32_t id) {
  const mica_broadcast_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_array(w, "broadcast_dimensions", attr->axes.at, attr->axes.count);
  emit_named(w, id, "stablehlo.broadcast_in_dim");
}

static void emit_transpose(xla_writer *w, uint32_t id) {
  const mica_transpose_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_array(w, "permutation", attr->permutation.at, attr->permutation.count);
  emit_named(w, id, "stablehlo.transpose");
}

static void emit_reverse(xla_writer *w, uint32_t id) {
  const mica_reverse_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_array(w, "dimensions", attr->axes.at, attr->axes.count);
  emit_named(w, id, "stablehlo.reverse");
}

static void emit_slice(xla_writer *w, uint32_t id) {
  const mica_slice_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_array(w, "start_indices", attr->start.at, attr->start.count);
  mica_xla_attribute_array(w, "limit_indices", attr->limit.at, attr->limit.count);
  mica_xla_attribute_array(w, "strides", attr->stride.at, attr->stride.count);
  emit_named(w, id, "stablehlo.slice");
}

static void emit_pad(xla_writer *w, uint32_t id) {
  const mica_pad_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_array(w, "edge_padding_low", attr->low.at, attr->low.count);
  mica_xla_attribute_array(w, "edge_padding_high", attr->high.at, attr->high.count);
  mica_xla_attribute_array(w, "interior_padding", attr->interior.at, attr->interior.count);
  emit_named(w, id, "stablehlo.pad");
}

static void emit_concatenate(xla_writer *w, uint32_t id) {
  const mica_concatenate_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_i64(w, "dimension", attr->axis);
  emit_named(w, id, "stablehlo.concatenate");
}

static void emit_dynamic_slice(xla_writer *w, uint32_t id) {
  const mica_dynamic_slice_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_array(w, "slice_sizes", attr->sizes.at, attr->sizes.count);
  emit_named(w, id, "stablehlo.dynamic_slice");
}

static void emit_dynamic_update_slice(xla_writer *w, uint32_t id) {
  emit_named(w, id, "stablehlo.dynamic_update_slice");
}

/* ---- indexing -------------------------------------------------------------------------------- */

static void emit_gather(xla_writer *w, uint32_t id) {
  const mica_gather_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_text(w, "dimension_numbers", "#stablehlo.gather<");
  mica_xla_list(w, "offset_dims", &attr->offset_axes, true);
  mica_xla_list(w, "collapsed_slice_dims", &attr->collapsed_slice_axes, false);
  mica_xla_list(w, "operand_batching_dims", &attr->operand_batch_axes, false);
  mica_xla_list(w, "start_indices_batching_dims", &attr->index_batch_axes, false);
  mica_xla_list(w, "start_index_map", &attr->start_index_map, false);
  mica_text_format(&w->attributes, ", index_vector_dim = %" PRId64 ">", attr->index_vector_axis);
  mica_xla_attribute_array(w, "slice_sizes", attr->slice_sizes.at, attr->slice_sizes.count);
  mica_xla_attribute_text(w, "indices_are_sorted", "false");
  emit_named(w, id, "stablehlo.gather");
}

static void emit_scatter(xla_writer *w, uint32_t id) {
  static const char *const combiners[] = {NULL, "stablehlo.add", "stablehlo.multiply",
                                          "stablehlo.maximum", "stablehlo.minimum"};
  const mica_scatter_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id), element = xla_scalar(type.dtype);
  xla_ref in[3];
  for (uint32_t i = 0; i < 3; i++) in[i] = mica_xla_operand(w, id, i);
  uint32_t number = mica_xla_operation_begin(w, "stablehlo.scatter", 1, in, 3);
  mica_xla_region_begin(w, true);
  xla_ref old = mica_xla_argument(w, element, true);
  xla_ref update = mica_xla_argument(w, element, false);
  mica_xla_region_ready(w);
  if (attr->kind != MICA_SCATTER_SET)
    update = mica_xla_emit_2(w, combiners[attr->kind], element, old, update);
  mica_xla_region_return(w, &update, 1);
  mica_xla_attribute_text(w, "scatter_dimension_numbers", "#stablehlo.scatter<");
  mica_xla_list(w, "update_window_dims", &attr->update_window_axes, true);
  mica_xla_list(w, "inserted_window_dims", &attr->inserted_window_axes, false);
  mica_xla_list(w, "input_batching_dims", &attr->operand_batch_axes, false);
  mica_xla_list(w, "scatter_indices_batching_dims", &attr->index_batch_axes, false);
  mica_xla_list(w, "scatter_dims_to_operand_dims", &attr->index_map, false);
  mica_text_format(&w->attributes, ", index_vector_dim = %" PRId64 ">", attr->index_vector_axis);
  mica_xla_attribute_text(w, "indices_are_sorted", "false");
  mica_xla_attribute_text(w, "unique_indices", "false");
  mica_xla_operation_end(w, in, 3, &type, 1);
  mica_xla_define(w, id, (xla_ref){number, -1, type});
}

static void emit_barrier(xla_writer *w, uint32_t id) {
  uint32_t count = mica_node_at(w->graph, id)->operand_count;
  xla_ref *in = mica_allocate_zeroed(&w->module->allocator, count, sizeof(*in));
  mica_type *types = mica_allocate_zeroed(&w->module->allocator, count, sizeof(*types));
  if (in == NULL || types == NULL) {
    mica_xla_fail(w, MICA_OUT_OF_MEMORY, "no memory to compile");
  } else {
    for (uint32_t i = 0; i < count; i++) {
      in[i] = mica_xla_operand(w, id, i);
      types[i] = in[i].type;
    }
    mica_xla_emit_many(w, id, "stablehlo.optimization_barrier", types, count, in, count);
  }
  mica_free(&w->module->allocator, in, count * sizeof(*in));
  mica_free(&w->module->allocator, types, count * sizeof(*types));
}

xla_emitter_table mica_xla_move_emitters = {
    [MICA_OP_PARAMETER] = emit_nothing,
    [MICA_OP_ARGUMENT] = emit_nothing,
    [MICA_OP_VARIABLE] = emit_nothing,
    [MICA_OP_RESULT] = emit_nothing,
    [MICA_OP_CONSTANT] = emit_constant,
    [MICA_OP_IOTA] = emit_iota,
    [MICA_OP_COMPARE] = emit_compare,
    [MICA_OP_REDUCE_PRECISION] = emit_reduce_precision,
    [MICA_OP_BROADCAST] = emit_broadcast,
    [MICA_OP_TRANSPOSE] = emit_transpose,
    [MICA_OP_REVERSE] = emit_reverse,
    [MICA_OP_SLICE] = emit_slice,
    [MICA_OP_PAD] = emit_pad,
    [MICA_OP_CONCATENATE] = emit_concatenate,
    [MICA_OP_DYNAMIC_SLICE] = emit_dynamic_slice,
    [MICA_OP_DYNAMIC_UPDATE_SLICE] = emit_dynamic_update_slice,
    [MICA_OP_GATHER] = emit_gather,
    [MICA_OP_SCATTER] = emit_scatter,
    [MICA_OP_BARRIER] = emit_barrier,
};
