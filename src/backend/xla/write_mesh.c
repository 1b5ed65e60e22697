/* SPDX-License-Identifier: Apache-2.0 */
/* write_mesh.c: shardings, manual regions and collectives, in the words of Shardy and StableHLO. A module is
 * compiled for one replica of as many partitions as the mesh has devices, so that groups are lists of
 * partitions. */
#include "backend/xla/mesh.h"

#include <inttypes.h>
#include <stdio.h>

static void emit_shard(xla_writer *w, uint32_t id) {
  const mica_shard_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_type type = mica_xla_type_of(w, id);
  xla_layout layout;
  mica_xla_layout_of(w->module, attr->mesh, attr->sharding, 0, type.shape.rank, &layout);
  mica_xla_attribute_text(w, "sharding", "#sdy.sharding");
  mica_xla_write_layout(w->module, &layout, &w->attributes);
  mica_xla_define(w, id,
                  mica_xla_emit_1(w, "sdy.sharding_constraint", type, mica_xla_operand(w, id, 0)));
}

/* ---- regions ---------------------------------------------------------------------------------- */

/* "in_shardings = #sdy.sharding_per_value<[<..>, <..>]>"; the values behind `declared` are whole. */
static void per_value_attribute(xla_writer *w, const char *name, const mica_manual_attr *attr,
                                const char *list, const mica_type *types, size_t count,
                                size_t declared) {
  mica_xla_attribute_text(w, name, "#sdy.sharding_per_value<[");
  for (size_t i = 0; i < count; i++) {
    xla_layout layout;
    mica_xla_layout_of(w->module, attr->mesh, i < declared ? list : "", i < declared ? i : 0,
                       types[i].shape.rank, &layout);
    if (i > 0) mica_text_append(&w->attributes, ", ");
    mica_xla_write_layout(w->module, &layout, &w->attributes);
  }
  mica_text_append(&w->attributes, "]>");
}

static void manual_axes_attribute(xla_writer *w, const char *mesh) {
  mica_mesh_axes axes;
  char message[MICA_MESSAGE_SIZE];
  if (!mica_mesh_parse(mesh, &axes, message)) return;
  mica_xla_attribute_text(w, "manual_axes", "#sdy<manual_axes{");
  for (int32_t i = 0; i < axes.count; i++)
    mica_text_format(&w->attributes, "%s\"%s\"", i == 0 ? "" : ", ", axes.name[i]);
  mica_text_append(&w->attributes, "}>");
}

/* The region sees nothing around it: captured values are operands, too. */
static void emit_manual(xla_writer *w, uint32_t id) {
  const mica_node *node = mica_node_at(w->graph, id);
  const mica_manual_attr *attr = node->attr;
  const mica_region_data *region = mica_node_region(w->graph, node, 0);
  size_t in = node->operand_count, out = region->result_count, most = in > out ? in : out;
  const mica_allocator *allocator = &w->module->allocator;
  xla_ref *refs = mica_allocate_zeroed(allocator, in + out + 1, sizeof(*refs));
  mica_type *types = mica_allocate_zeroed(allocator, most + 1, sizeof(*types));
  if (refs == NULL || types == NULL) {
    mica_xla_fail(w, MICA_OUT_OF_MEMORY, "no memory to compile");
  } else {
    for (uint32_t i = 0; i < in; i++) refs[i] = mica_xla_operand(w, id, i);
    uint32_t number = mica_xla_operation_begin(w, "sdy.manual_computation", out, refs, in);
    mica_xla_region_begin(w, true);
    for (uint32_t i = 0; i < in; i++)
      mica_xla_define(w, region->arguments[i],
                      mica_xla_argument(w, mica_xla_type_of(w, region->arguments[i]), i == 0));
    if (in > 0) mica_xla_region_ready(w);
    mica_xla_nodes(w, w->graph->owned[node->region_first]);
    for (uint32_t i = 0; i < out; i++) refs[in + i] = w->refs[region->results[i]];
    mica_xla_region_return_by(w, "sdy.return", refs + in, out);
    for (uint32_t i = 0; i < in; i++) types[i] = refs[i].type;
    per_value_attribute(w, "in_shardings", attr, attr->in, types, in, node->declared_count);
    for (uint32_t i = 0; i < out; i++) types[i] = mica_xla_type_of(w, id + i);
    per_value_attribute(w, "out_shardings", attr, attr->out, types, out, out);
    manual_axes_attribute(w, attr->mesh);
    mica_xla_operation_end(w, refs, in, types, out);
    for (uint32_t i = 0; i < out; i++)
      mica_xla_define(w, id + i, (xla_ref){number, out == 1 ? -1 : (int32_t)i, types[i]});
  }
  mica_free(allocator, refs, (in + out + 1) * sizeof(*refs));
  mica_free(allocator, types, (most + 1) * sizeof(*types));
}

/* ---- collectives ------------------------------------------------------------------------------ */

typedef struct {
  mica_mesh_axes mesh;
  mica_mesh_group group;
} written_group;

static bool read_written_group(xla_writer *w, uint32_t id, written_group *out) {
  char message[MICA_MESSAGE_SIZE];
  if (mica_collective_group(mica_node_at(w->graph, id)->attr, &out->mesh, &out->group, message))
    return true;
  mica_xla_fail(w, MICA_INVALID, "%s", message);
  return false;
}

static void channel_attribute(xla_writer *w) {
  mica_xla_attribute_text(w, "channel_handle", "#stablehlo.channel_handle<handle = ");
  mica_text_format(&w->attributes, "%" PRIu32 ", type = 1>", ++w->channels);
}

/* "replica_groups = dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>" */
static void groups_attribute(xla_writer *w, const written_group *g) {
  bool first = true;
  mica_xla_attribute_text(w, "replica_groups", "dense<[");
  for (int64_t d = 0; d < g->mesh.device_count; d++) {
    if (mica_mesh_group_position(&g->mesh, &g->group, d) != 0) continue;
    mica_text_append(&w->attributes, first ? "[" : ", [");
    first = false;
    for (int64_t m = 0; m < g->group.size; m++)
      mica_text_format(&w->attributes, "%s%" PRId64, m == 0 ? "" : ", ",
                       mica_mesh_group_member(&g->mesh, &g->group, d, m));
    mica_text_append(&w->attributes, "]");
  }
  mica_text_format(&w->attributes, "]> : tensor<%" PRId64 "x%" PRId64 "xi64>",
                   g->mesh.device_count / g->group.size, g->group.size);
}

static void global_ids_attribute(xla_writer *w) {
  mica_xla_attribute_text(w, "use_global_device_ids", "unit");
}

/* The operand, 4-bit elements as bytes. */
static xla_ref sent_operand(xla_writer *w, uint32_t id, mica_type *out_type) {
  xla_ref x = mica_xla_operand(w, id, 0);
  *out_type = mica_xla_boundary_type(mica_xla_type_of(w, id));
  return mica_xla_convert(w, x, mica_xla_boundary_type(x.type).dtype);
}

static void define_received(xla_writer *w, uint32_t id, xla_ref received) {
  mica_xla_define(w, id, mica_xla_convert(w, received, mica_xla_type_of(w, id).dtype));
}

/* An operation whose region folds two numbers, with the attributes that stand. */
static xla_ref emit_folding(xla_writer *w, xla_ref x, mica_shape shape, const char *name,
                            int32_t kind) {
  static const char *const folds[] = {[MICA_REDUCE_SUM] = "stablehlo.add",
                                      [MICA_REDUCE_PROD] = "stablehlo.multiply",
                                      [MICA_REDUCE_MAX] = "stablehlo.maximum",
                                      [MICA_REDUCE_MIN] = "stablehlo.minimum"};
  mica_type type = xla_shaped(x.type.dtype, shape), scalar = xla_scalar(x.type.dtype);
  mica_text attributes = w->attributes; /* of the operation: those inside are written before */
  mica_text_init(&w->attributes, &w->module->allocator);
  uint32_t number = mica_xla_operation_begin(w, name, 1, &x, 1);
  mica_xla_region_begin(w, true);
  xla_ref first = mica_xla_argument(w, scalar, true), second = mica_xla_argument(w, scalar, false);
  mica_xla_region_ready(w);
  xla_ref folded = mica_xla_emit_2(w, folds[kind], scalar, first, second);
  mica_xla_region_return(w, &folded, 1);
  mica_text_deinit(&w->attributes);
  w->attributes = attributes;
  mica_xla_operation_end(w, &x, 1, &type, 1);
  return (xla_ref){number, -1, type};
}

/* Bits of floats as signed integers of the same order, and back: those of negative numbers count down. */
static xla_ref turn_negative(xla_writer *w, xla_ref bits) {
  mica_type type = bits.type;
  xla_ref sign = mica_xla_compare(w, "LT", bits, mica_xla_filled(w, type, 0));
  xla_ref one = mica_xla_number(w, type.dtype, -1);
  xla_ref least = mica_xla_neutral(w, type.dtype, MICA_REDUCE_MAX);
  one = mica_xla_emit_2(w, "stablehlo.xor", least.type, one, least); /* all bits but the sign */
  mica_xla_attribute_array(w, "broadcast_dimensions", NULL, 0);
  one = mica_xla_emit_1(w, "stablehlo.broadcast_in_dim", type, one);
  return mica_xla_select(w, sign, mica_xla_emit_2(w, "stablehlo.xor", type, bits, one), bits);
}

/* The extremes of plugins' collectives lose NaN: they are sent as integers, NaN beyond all numbers. */
static xla_ref ordered_integers(xla_writer *w, xla_ref x, int32_t kind) {
  mica_type type = xla_shaped(x.type.dtype == MICA_F64 ? MICA_I64 : MICA_I32, x.type.shape);
  xla_ref is_nan = mica_xla_compare(w, "NE", x, x);
  xla_ref beyond =
      mica_xla_neutral(w, type.dtype, kind == MICA_REDUCE_MAX ? MICA_REDUCE_MIN : MICA_REDUCE_MAX);
  mica_xla_attribute_array(w, "broadcast_dimensions", NULL, 0);
  beyond = mica_xla_emit_1(w, "stablehlo.broadcast_in_dim", type, beyond);
  xla_ref bits = mica_xla_emit_1(w, "stablehlo.bitcast_convert", type, x);
  return mica_xla_select(w, is_nan, beyond, turn_negative(w, bits));
}

static void emit_all_reduce(xla_writer *w, uint32_t id) {
  written_group g;
  if (!read_written_group(w, id, &g)) return;
  int32_t kind = ((const mica_all_reduce_attr *)mica_node_at(w->graph, id)->attr)->kind;
  xla_ref x = mica_xla_operand(w, id, 0);
  mica_type type = mica_xla_type_of(w, id), wide = type;
  bool ordered =
      (kind == MICA_REDUCE_MAX || kind == MICA_REDUCE_MIN) && mica_dtype_is_float(type.dtype);
  if (ordered) {
    if (type.dtype != MICA_F64) wide.dtype = MICA_F32;
    x = ordered_integers(w, mica_xla_convert(w, x, wide.dtype), kind);
  }
  groups_attribute(w, &g);
  channel_attribute(w);
  global_ids_attribute(w);
  x = emit_folding(w, x, type.shape, "stablehlo.all_reduce", kind);
  if (ordered) {
    x = mica_xla_emit_1(w, "stablehlo.bitcast_convert", wide, turn_negative(w, x));
    x = mica_xla_convert(w, x, type.dtype);
  }
  mica_xla_define(w, id, x);
}

static void emit_reduce_scatter(xla_writer *w, uint32_t id) {
  written_group g;
  if (!read_written_group(w, id, &g)) return;
  const mica_all_gather_attr *attr = mica_node_at(w->graph, id)->attr;
  mica_xla_attribute_i64(w, "scatter_dimension", attr->axis);
  groups_attribute(w, &g);
  channel_attribute(w);
  global_ids_attribute(w);
  mica_xla_define(w, id,
                  emit_folding(w, mica_xla_operand(w, id, 0), mica_xla_type_of(w, id).shape,
                               "stablehlo.reduce_scatter", MICA_REDUCE_SUM));
}

static void emit_all_gather(xla_writer *w, uint32_t id) {
  written_group g;
  mica_type type;
  if (!read_written_group(w, id, &g)) return;
  const mica_all_gather_attr *attr = mica_node_at(w->graph, id)->attr;
  xla_ref x = sent_operand(w, id, &type);
  mica_xla_attribute_i64(w, "all_gather_dim", attr->axis);
  groups_attribute(w, &g);
  channel_attribute(w);
  global_ids_attribute(w);
  define_received(w, id, mica_xla_emit_1(w, "stablehlo.all_gather", type, x));
}

static void emit_all_to_all(xla_writer *w, uint32_t id) {
  written_group g;
  mica_type type;
  if (!read_written_group(w, id, &g)) return;
  const mica_all_to_all_attr *attr = mica_node_at(w->graph, id)->attr;
  xla_ref x = sent_operand(w, id, &type);
  mica_xla_attribute_i64(w, "split_dimension", attr->split_axis);
  mica_xla_attribute_i64(w, "concat_dimension", attr->concat_axis);
  mica_xla_attribute_i64(w, "split_count", g.group.size);
  groups_attribute(w, &g);
  channel_attribute(w);
  define_received(w, id, mica_xla_emit_1(w, "stablehlo.all_to_all", type, x));
}

static void emit_collective_permute(xla_writer *w, uint32_t id) {
  written_group g;
  mica_type type;
  int32_t source[MICA_MESH_DEVICES];
  char message[MICA_MESSAGE_SIZE];
  if (!read_written_group(w, id, &g)) return;
  const mica_permute_attr *attr = mica_node_at(w->graph, id)->attr;
  xla_ref x = sent_operand(w, id, &type);
  if (!mica_permute_sources(attr->pairs, g.group.size, source, message)) {
    mica_xla_fail(w, MICA_INVALID, "%s", message);
    return;
  }
  int64_t count = 0;
  mica_xla_attribute_text(w, "source_target_pairs", "dense<");
  for (int64_t d = 0; d < g.mesh.device_count; d++) {
    int32_t from = source[mica_mesh_group_position(&g.mesh, &g.group, d)];
    if (from < 0) continue;
    mica_text_format(&w->attributes, "%s%" PRId64 ", %" PRId64 "]", count++ == 0 ? "[[" : ", [",
                     mica_mesh_group_member(&g.mesh, &g.group, d, from), d);
  }
  mica_text_format(&w->attributes, "%s> : tensor<%" PRId64 "x2xi64>", count > 0 ? "]" : "", count);
  channel_attribute(w);
  define_received(w, id, mica_xla_emit_1(w, "stablehlo.collective_permute", type, x));
}

/* The number of the partition is that of the device in the mesh. */
static void emit_axis_index(xla_writer *w, uint32_t id) {
  written_group g;
  mica_type type = mica_xla_type_of(w, id);
  if (!read_written_group(w, id, &g)) return;
  xla_ref partition = mica_xla_emit(w, "stablehlo.partition_id", xla_scalar(MICA_U32), NULL, 0);
  xla_ref device = mica_xla_convert(w, partition, MICA_I32);
  xla_ref position = mica_xla_number(w, MICA_I32, 0);
  for (int32_t i = 0; i < g.group.count; i++) {
    int64_t stride = 1, size = g.mesh.size[g.group.axis[i]];
    for (int32_t k = g.group.axis[i] + 1; k < g.mesh.count; k++) stride *= g.mesh.size[k];
    xla_ref place = mica_xla_emit_2(w, "stablehlo.divide", type, device,
                                    mica_xla_number(w, MICA_I32, (double)stride));
    place = mica_xla_emit_2(w, "stablehlo.remainder", type, place,
                            mica_xla_number(w, MICA_I32, (double)size));
    position = mica_xla_emit_2(w, "stablehlo.multiply", type, position,
                               mica_xla_number(w, MICA_I32, (double)size));
    position = mica_xla_emit_2(w, "stablehlo.add", type, position, place);
  }
  mica_xla_define(w, id, position);
}

xla_emitter_table mica_xla_mesh_emitters = {
    [MICA_OP_SHARD] = emit_shard,
    [MICA_OP_MANUAL] = emit_manual,
    [MICA_OP_ALL_REDUCE] = emit_all_reduce,
    [MICA_OP_ALL_GATHER] = emit_all_gather,
    [MICA_OP_REDUCE_SCATTER] = emit_reduce_scatter,
    [MICA_OP_ALL_TO_ALL] = emit_all_to_all,
    [MICA_OP_COLLECTIVE_PERMUTE] = emit_collective_permute,
    [MICA_OP_AXIS_INDEX] = emit_axis_index,
};
