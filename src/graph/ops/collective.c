/* SPDX-License-Identifier: Apache-2.0 */
/* collective.c: what the devices of a mesh tell each other inside of a manual region.
 *
 * A value of the region stands for what all devices hold, and each operator is a map of that. Sums,
 * gathering, scattering and permuting are linear, and their transposes are one another; extremes share
 * the cotangent among the devices that hold them; a product needs the product of the others', which
 * all of them see once the factors are gathered. */
#include "graph/ops/collective.h"

#include <inttypes.h>
#include <string.h>

#include "graph/collectives.h"
#include "graph/ops/rules.h"

bool mica_is_collective(mica_op op) {
  switch (op) {
    case MICA_OP_ALL_REDUCE:
    case MICA_OP_ALL_GATHER:
    case MICA_OP_REDUCE_SCATTER:
    case MICA_OP_ALL_TO_ALL:
    case MICA_OP_COLLECTIVE_PERMUTE:
    case MICA_OP_AXIS_INDEX: return true;
    default: return false;
  }
}

bool mica_collective_group(const void *attr, mica_mesh_axes *mesh, mica_mesh_group *group,
                           char *message) {
  const mica_collective_attr *a = attr;
  return mica_mesh_parse(a->mesh, mesh, message) &&
         mica_mesh_parse_group(mesh, a->axes, group, message);
}

/* ---- inference -------------------------------------------------------------------------------- */

static bool infer_group(mica_infer *infer, mica_mesh_group *group) {
  mica_mesh_axes mesh;
  return mica_collective_group(infer->attr, &mesh, group, infer->message);
}

static const char *const all_reduce_kinds[] = {"sum", "prod", "max", "min", NULL};

static bool infer_all_reduce(mica_infer *infer) {
  const mica_all_reduce_attr *a = infer->attr;
  mica_mesh_group group;
  if (a->kind < MICA_REDUCE_SUM || a->kind > MICA_REDUCE_MIN)
    return mica_infer_fail(infer, "kind %" PRId32 " is unknown", a->kind);
  mica_dtype_class class = a->kind <= MICA_REDUCE_PROD ? MICA_CLASS_NUMBER : MICA_CLASS_REAL;
  return mica_infer_class(infer, 0, class, all_reduce_kinds[a->kind]) &&
         infer_group(infer, &group) && mica_infer_same(infer);
}

static bool infer_all_gather(mica_infer *infer) {
  mica_all_gather_attr *a = infer->attr;
  mica_type out = infer->in[0];
  mica_mesh_group group;
  if (!infer_group(infer, &group) || !mica_infer_axis(infer, &a->axis, out.shape.rank))
    return false;
  if (!mica_i64_multiply(out.shape.dim[a->axis], group.size, &out.shape.dim[a->axis]))
    return mica_infer_fail(infer, "the result is too large");
  return mica_infer_one(infer, out);
}

static bool divided(mica_infer *infer, mica_shape *shape, int64_t axis, int64_t size) {
  if (shape->dim[axis] % size != 0)
    return mica_infer_fail(infer,
                           "axis %" PRId64 " of size %" PRId64
                           " does not divide into parts for %" PRId64
                           " devices: expected a multiple of that",
                           axis, shape->dim[axis], size);
  shape->dim[axis] /= size;
  return true;
}

static bool infer_reduce_scatter(mica_infer *infer) {
  mica_all_gather_attr *a = infer->attr;
  mica_type out = infer->in[0];
  mica_mesh_group group;
  return infer_group(infer, &group) && mica_infer_axis(infer, &a->axis, out.shape.rank) &&
         divided(infer, &out.shape, a->axis, group.size) && mica_infer_one(infer, out);
}

static bool infer_all_to_all(mica_infer *infer) {
  mica_all_to_all_attr *a = infer->attr;
  mica_type out = infer->in[0];
  mica_mesh_group group;
  if (!infer_group(infer, &group) || !mica_infer_axis(infer, &a->split_axis, out.shape.rank) ||
      !mica_infer_axis(infer, &a->concat_axis, out.shape.rank) ||
      !divided(infer, &out.shape, a->split_axis, group.size))
    return false;
  if (!mica_i64_multiply(out.shape.dim[a->concat_axis], group.size, &out.shape.dim[a->concat_axis]))
    return mica_infer_fail(infer, "the result is too large");
  return mica_infer_one(infer, out);
}

bool mica_permute_sources(const char *pairs, int64_t size, int32_t *source, char *message) {
  const char *at = pairs, *end = pairs + strlen(pairs);
  uint8_t sends[MICA_MESH_DEVICES] = {0};
  mica_infer infer = {.message = message};
  for (int64_t i = 0; i < size; i++) source[i] = -1;
  while (at < end && *at == ' ') at++;
  while (at < end) {
    int64_t from, to;
    bool read = mica_parse_i64(&at, end, &from);
    while (at < end && *at == ' ') at++;
    if (!read || !mica_parse_i64(&at, end, &to))
      return mica_infer_fail(
          &infer, "pairs \"%.80s\": expected numbers of devices as in \"0 1, 1 2\"", pairs);
    if (from < 0 || from >= size || to < 0 || to >= size)
      return mica_infer_fail(&infer,
                             "from %" PRId64 " to %" PRId64 ": expected devices below %" PRId64,
                             from, to, size);
    if (sends[from] || source[to] >= 0)
      return mica_infer_fail(&infer, "device %" PRId64 " %s twice", sends[from] ? from : to,
                             sends[from] ? "sends" : "receives");
    sends[from] = 1;
    source[to] = (int32_t)from;
    while (at < end && (*at == ' ' || *at == ',')) at++;
  }
  return true;
}

static bool infer_permute(mica_infer *infer) {
  const mica_permute_attr *a = infer->attr;
  mica_mesh_group group;
  int32_t source[MICA_MESH_DEVICES];
  return infer_group(infer, &group) &&
         mica_permute_sources(a->pairs ? a->pairs : "", group.size, source, infer->message) &&
         mica_infer_same(infer);
}

static bool infer_axis_index(mica_infer *infer) {
  mica_mesh_group group;
  return infer_group(infer, &group) && mica_infer_one(infer, (mica_type){.dtype = MICA_I32});
}

/* ---- derivatives ------------------------------------------------------------------------------ */

static mica_value reduced(mica_value x, const mica_all_reduce_attr *like, mica_reduce_kind kind) {
  mica_all_reduce_attr attr = {.mesh = like->mesh, .axes = like->axes, .kind = (int32_t)kind};
  return mica_emit(x.graph, MICA_OP_ALL_REDUCE, &x, 1, &attr);
}

mica_value mica_sum_over_devices(mica_value x, const char *text, uint32_t bits) {
  mica_graph *graph = x.graph;
  mica_mesh_axes mesh;
  char message[MICA_MESSAGE_SIZE];
  if (!bits || !x.id || graph->status != MICA_OK) return x;
  if (!mica_mesh_parse(text, &mesh, message)) return mica_fail(graph, MICA_INVALID, "%s", message);
  uint32_t varying = bits & mica_varying_here(graph, x);
  mica_mesh_group sent = mica_mesh_group_of_bits(&mesh, varying);
  mica_mesh_group equal = mica_mesh_group_of_bits(&mesh, bits & ~varying);
  if (varying) {
    mica_text axes;
    mica_text_init(&axes, &graph->allocator);
    mica_mesh_format_group(&mesh, &sent, &axes);
    mica_all_reduce_attr attr = {.mesh = text, .axes = axes.data, .kind = MICA_REDUCE_SUM};
    if (axes.failed)
      x = mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    else
      x = mica_emit(graph, MICA_OP_ALL_REDUCE, &x, 1, &attr);
    mica_text_deinit(&axes);
  }
  return equal.size > 1 ? mica_mul_number(x, (double)equal.size) : x;
}

static mica_value summed(mica_value x, const void *attr) {
  mica_mesh_axes mesh;
  mica_mesh_group group;
  char message[MICA_MESSAGE_SIZE];
  if (!mica_collective_group(attr, &mesh, &group, message))
    return mica_fail(x.graph, MICA_INVALID, "%s", message);
  return mica_sum_over_devices(x, ((const mica_collective_attr *)attr)->mesh, group.bits);
}

/* Where x is the extreme, and on how many devices (f32 for narrow floats). */
static mica_value extreme_devices(const mica_rule *rule, mica_value *out_count) {
  mica_value x = rule->in[0], holds = mica_equal(x, rule->out[0]);
  *out_count =
      reduced(mica_convert(holds, mica_wide_dtype(mica_dtype_of(x))), rule->attr, MICA_REDUCE_SUM);
  return holds;
}

static mica_value shared_equally(mica_value total, mica_value count) {
  return mica_convert((mica_div)(mica_convert(total, mica_dtype_of(count)), count),
                      mica_dtype_of(total));
}

/* [devices, ...] of x [...]. */
static mica_value gathered_stack(mica_value x, const mica_all_reduce_attr *like) {
  mica_all_gather_attr attr = {.mesh = like->mesh, .axes = like->axes, .axis = 0};
  mica_value row = mica_reshape(x, mica_shape_insert(mica_shape_of(x), 0, 1));
  return mica_emit(x.graph, MICA_OP_ALL_GATHER, &row, 1, &attr);
}

/* [devices, ...]: for each device the product of the others' x. */
static mica_value products_of_others(const mica_rule *rule) {
  mica_value all = gathered_stack(rule->in[0], rule->attr);
  mica_cumulative_attr before = {.kind = MICA_CUMULATIVE_PROD, .exclusive = true}, after = before;
  after.reverse = true;
  return (mica_mul)(mica_emit(rule->graph, MICA_OP_CUMULATIVE, &all, 1, &before),
                    mica_emit(rule->graph, MICA_OP_CUMULATIVE, &all, 1, &after));
}

static void jvp_all_reduce(const mica_rule *rule, const mica_value *tangents, mica_value *out) {
  const mica_all_reduce_attr *a = rule->attr;
  mica_value t = tangents[0], count;
  if (!mica_has_value(t)) return;
  switch ((mica_reduce_kind)a->kind) {
    case MICA_REDUCE_SUM: out[0] = reduced(t, a, MICA_REDUCE_SUM); return;
    case MICA_REDUCE_PROD:
      out[0] =
          mica_reduce_sum((mica_mul)(products_of_others(rule), gathered_stack(t, a)), MICA_AXES(0));
      return;
    case MICA_REDUCE_MAX:
    case MICA_REDUCE_MIN: {
      mica_value holds = extreme_devices(rule, &count);
      mica_value total = reduced(mica_select(holds, t, mica_zeros_like(t)), a, MICA_REDUCE_SUM);
      out[0] = shared_equally(total, count);
      return;
    }
    default: return;
  }
}

static void vjp_all_reduce(const mica_rule *rule, const mica_value *cotangents, mica_value *out) {
  const mica_all_reduce_attr *a = rule->attr;
  mica_value total = summed(cotangents[0], a), count;
  switch ((mica_reduce_kind)a->kind) {
    case MICA_REDUCE_SUM: out[0] = total; return;
    case MICA_REDUCE_PROD: {
      mica_collective_attr place = {.mesh = a->mesh, .axes = a->axes};
      mica_value own = mica_emit(rule->graph, MICA_OP_AXIS_INDEX, NULL, 0, &place);
      out[0] = (mica_mul)(total, mica_index_axis(products_of_others(rule), own, 0));
      return;
    }
    case MICA_REDUCE_MAX:
    case MICA_REDUCE_MIN: {
      mica_value holds = extreme_devices(rule, &count);
      mica_value share = shared_equally(total, count);
      out[0] = mica_select(holds, share, mica_zeros_like(share));
      return;
    }
    default: return;
  }
}

static mica_value transpose_all_gather(const mica_rule *rule, size_t operand,
                                       const mica_value *cotangents) {
  (void)operand;
  return mica_emit(rule->graph, MICA_OP_REDUCE_SCATTER, cotangents, 1, rule->attr);
}
static mica_value transpose_reduce_scatter(const mica_rule *rule, size_t operand,
                                           const mica_value *cotangents) {
  (void)operand;
  return mica_emit(rule->graph, MICA_OP_ALL_GATHER, cotangents, 1, rule->attr);
}
static mica_value transpose_all_to_all(const mica_rule *rule, size_t operand,
                                       const mica_value *cotangents) {
  (void)operand;
  const mica_all_to_all_attr *a = rule->attr;
  mica_all_to_all_attr attr = {
      .mesh = a->mesh, .axes = a->axes, .split_axis = a->concat_axis, .concat_axis = a->split_axis};
  return mica_emit(rule->graph, MICA_OP_ALL_TO_ALL, cotangents, 1, &attr);
}

/* "0 1, 1 2", which it releases. */
static mica_value emit_pairs(mica_value x, const char *mesh, const char *axes, mica_text *pairs) {
  mica_permute_attr attr = {
      .mesh = mesh, .axes = axes, .pairs = pairs->data == NULL ? "" : pairs->data};
  mica_value out = pairs->failed ? mica_fail(x.graph, MICA_OUT_OF_MEMORY, "out of memory")
                                 : mica_emit(x.graph, MICA_OP_COLLECTIVE_PERMUTE, &x, 1, &attr);
  mica_text_deinit(pairs);
  return out;
}

static mica_value emit_permute(mica_value x, const char *mesh, const char *axes,
                               const int32_t *source, int64_t size, bool inverse) {
  mica_text pairs;
  mica_text_init(&pairs, &x.graph->allocator);
  for (int32_t to = 0; to < size; to++)
    if (source[to] >= 0)
      mica_text_format(&pairs, "%s%" PRId32 " %" PRId32, pairs.size == 0 ? "" : ", ",
                       inverse ? to : source[to], inverse ? source[to] : to);
  return emit_pairs(x, mesh, axes, &pairs);
}

static mica_value transpose_permute(const mica_rule *rule, size_t operand,
                                    const mica_value *cotangents) {
  (void)operand;
  const mica_permute_attr *a = rule->attr;
  mica_mesh_axes mesh;
  mica_mesh_group group;
  int32_t source[MICA_MESH_DEVICES];
  char message[MICA_MESSAGE_SIZE];
  if (!mica_collective_group(a, &mesh, &group, message) ||
      !mica_permute_sources(a->pairs, group.size, source, message))
    return mica_rule_failed(rule, "%s", message);
  return emit_permute(cotangents[0], a->mesh, a->axes, source, group.size, true);
}

/* ---- batching --------------------------------------------------------------------------------- */

static void batch_same(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  (void)batched, (void)size;
  out[0] = mica_emit(rule->graph, mica_op_find(rule->def->name), rule->in, 1, rule->attr);
}
static void batch_all_gather(const mica_rule *rule, const bool *batched, int64_t size,
                             mica_value *out) {
  (void)batched, (void)size;
  mica_all_gather_attr attr = *(const mica_all_gather_attr *)rule->attr;
  attr.axis++;
  out[0] = mica_emit(rule->graph, mica_op_find(rule->def->name), rule->in, 1, &attr);
}
static void batch_all_to_all(const mica_rule *rule, const bool *batched, int64_t size,
                             mica_value *out) {
  (void)batched, (void)size;
  mica_all_to_all_attr attr = *(const mica_all_to_all_attr *)rule->attr;
  attr.split_axis++, attr.concat_axis++;
  out[0] = mica_emit(rule->graph, MICA_OP_ALL_TO_ALL, rule->in, 1, &attr);
}

/* ---- definitions ------------------------------------------------------------------------------ */

static const mica_attr_field all_reduce_fields[] = {
    MICA_FIELD(mica_all_reduce_attr, mesh, TEXT), MICA_FIELD(mica_all_reduce_attr, axes, TEXT),
    MICA_FIELD_ENUM(mica_all_reduce_attr, kind, all_reduce_kinds), MICA_FIELD_END};
const mica_op_def mica_op_all_reduce = {
    .name = "all_reduce",
    .kind = MICA_KIND_GENERAL,
    .dtypes = MICA_CLASS_NUMBER, /* by kind */
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_all_reduce_attr),
    .fields = all_reduce_fields,
    .formula = "x [...] -> [...]: sum, product, maximum or minimum over devices of the mesh",
    .infer = infer_all_reduce,
    .jvp = jvp_all_reduce,
    .vjp = vjp_all_reduce,
    .batch = batch_same,
};

static const mica_attr_field all_gather_fields[] = {
    MICA_FIELD(mica_all_gather_attr, mesh, TEXT), MICA_FIELD(mica_all_gather_attr, axes, TEXT),
    MICA_FIELD(mica_all_gather_attr, axis, I64), MICA_FIELD_END};
const mica_op_def mica_op_all_gather = {
    .name = "all_gather",
    .kind = MICA_KIND_LINEAR,
    .linear_operands = 1,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_all_gather_attr),
    .fields = all_gather_fields,
    .formula = "x [.., n, ..] -> [.., n * devices, ..]: the parts of all devices along an axis",
    .infer = infer_all_gather,
    .transpose = transpose_all_gather,
    .batch = batch_all_gather,
};
const mica_op_def mica_op_reduce_scatter = {
    .name = "reduce_scatter",
    .kind = MICA_KIND_LINEAR,
    .dtypes = MICA_CLASS_NUMBER,
    .linear_operands = 1,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_all_gather_attr),
    .fields = all_gather_fields,
    .formula = "x [.., n, ..] -> [.., n / devices, ..]: each device's part of the devices' sum",
    .infer = infer_reduce_scatter,
    .transpose = transpose_reduce_scatter,
    .batch = batch_all_gather,
};

static const mica_attr_field all_to_all_fields[] = {
    MICA_FIELD(mica_all_to_all_attr, mesh, TEXT), MICA_FIELD(mica_all_to_all_attr, axes, TEXT),
    MICA_FIELD(mica_all_to_all_attr, split_axis, I64),
    MICA_FIELD(mica_all_to_all_attr, concat_axis, I64), MICA_FIELD_END};
const mica_op_def mica_op_all_to_all = {
    .name = "all_to_all",
    .kind = MICA_KIND_LINEAR,
    .linear_operands = 1,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_all_to_all_attr),
    .fields = all_to_all_fields,
    .formula =
        "x [.., s, .., c, ..] -> [.., s / devices, .., c * devices, ..]: part i along the first "
        "axis "
        "goes to device i, what arrives is joined along the second",
    .infer = infer_all_to_all,
    .transpose = transpose_all_to_all,
    .batch = batch_all_to_all,
};

static const mica_attr_field permute_fields[] = {
    MICA_FIELD(mica_permute_attr, mesh, TEXT), MICA_FIELD(mica_permute_attr, axes, TEXT),
    MICA_FIELD(mica_permute_attr, pairs, TEXT), MICA_FIELD_END};
const mica_op_def mica_op_collective_permute = {
    .name = "collective_permute",
    .kind = MICA_KIND_LINEAR,
    .linear_operands = 1,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_permute_attr),
    .fields = permute_fields,
    .formula = "x [...] -> [...]: what the device that sends to this one has, else zeros",
    .infer = infer_permute,
    .transpose = transpose_permute,
    .batch = batch_same,
};

static const mica_attr_field axis_index_fields[] = {MICA_FIELD(mica_collective_attr, mesh, TEXT),
                                                    MICA_FIELD(mica_collective_attr, axes, TEXT),
                                                    MICA_FIELD_END};
const mica_op_def mica_op_axis_index = {
    .name = "axis_index",
    .kind = MICA_KIND_LEAF,
    .arity = 0,
    .results = 1,
    .attr_size = sizeof(mica_collective_attr),
    .fields = axis_index_fields,
    .dtypes = MICA_CLASS_INTEGER,
    .formula = "-> i32 []: the device's position along axes of the mesh",
    .infer = infer_axis_index,
};

/* ---- builders --------------------------------------------------------------------------------- */

const mica_manual_attr *mica_open_manual(const mica_graph *graph) {
  for (uint32_t b = graph->block_count; b-- > 0;)
    if (!graph->blocks[b].done && graph->blocks[b].op == MICA_OP_MANUAL)
      return graph->blocks[b].attr;
  return NULL;
}

/* The mesh of the open region and the group that `axes` names there; NULL after a mistake, in the operands
 * too. */
static const char *group_here(mica_graph *graph, const char *op, const mica_value *x, size_t count,
                              const char *axes, mica_mesh_group *group) {
  mica_mesh_axes mesh;
  char message[MICA_MESSAGE_SIZE];
  if (count > 0 && !mica_operands_usable(op, x, count)) return NULL;
  const mica_manual_attr *manual = mica_open_manual(graph);
  if (!manual) {
    mica_fail_operator(
        graph, op, x, count,
        "there are no devices here: expected a block of mica_manual_begin around it");
    return NULL;
  }
  mica_collective_attr attr = {.mesh = manual->mesh, .axes = axes};
  if (mica_collective_group(&attr, &mesh, group, message)) return manual->mesh;
  mica_fail_operator(graph, op, x, count, "%s", message);
  return NULL;
}

static mica_value all_reduce(mica_value x, const char *function, const char *axes,
                             mica_reduce_kind kind, mica_mesh_group *group) {
  const char *mesh = group_here(x.graph, function, &x, 1, axes, group);
  if (!mesh) return mica_no_value(x.graph);
  mica_all_reduce_attr attr = {.mesh = mesh, .axes = axes, .kind = (int32_t)kind};
  return mica_emit(x.graph, MICA_OP_ALL_REDUCE, &x, 1, &attr);
}

mica_value mica_all_reduce_sum(mica_value x, const char *mesh_axes) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  return all_reduce(x, "all_reduce_sum", mesh_axes, MICA_REDUCE_SUM, &group);
}
mica_value mica_all_reduce_prod(mica_value x, const char *mesh_axes) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  return all_reduce(x, "all_reduce_prod", mesh_axes, MICA_REDUCE_PROD, &group);
}
mica_value mica_all_reduce_max(mica_value x, const char *mesh_axes) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  return all_reduce(x, "all_reduce_max", mesh_axes, MICA_REDUCE_MAX, &group);
}
mica_value mica_all_reduce_min(mica_value x, const char *mesh_axes) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  return all_reduce(x, "all_reduce_min", mesh_axes, MICA_REDUCE_MIN, &group);
}
mica_value mica_all_reduce_mean(mica_value x, const char *mesh_axes) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  if (!mica_operands_usable("all_reduce_mean", &x, 1) ||
      !mica_operands_accepted("all_reduce_mean", &x, 1, MICA_CLASS_INEXACT))
    return mica_no_value(x.graph);
  mica_value sum = all_reduce(x, "all_reduce_mean", mesh_axes, MICA_REDUCE_SUM, &group);
  return mica_has_value(sum) ? mica_div_number(sum, (double)group.size) : sum;
}

mica_value mica_all_gather(mica_value x, const char *mesh_axes, int32_t axis) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  const char *mesh = group_here(x.graph, "all_gather", &x, 1, mesh_axes, &group);
  if (!mesh) return mica_no_value(x.graph);
  mica_all_gather_attr attr = {.mesh = mesh, .axes = mesh_axes, .axis = axis};
  return mica_emit(x.graph, MICA_OP_ALL_GATHER, &x, 1, &attr);
}

mica_value mica_reduce_scatter(mica_value x, const char *mesh_axes, int32_t axis) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  const char *mesh = group_here(x.graph, "reduce_scatter", &x, 1, mesh_axes, &group);
  if (!mesh) return mica_no_value(x.graph);
  mica_all_gather_attr attr = {.mesh = mesh, .axes = mesh_axes, .axis = axis};
  return mica_emit(x.graph, MICA_OP_REDUCE_SCATTER, &x, 1, &attr);
}

mica_value mica_all_to_all(mica_value x, const char *mesh_axes, int32_t split_axis,
                           int32_t concat_axis) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  const char *mesh = group_here(x.graph, "all_to_all", &x, 1, mesh_axes, &group);
  if (!mesh) return mica_no_value(x.graph);
  mica_all_to_all_attr attr = {
      .mesh = mesh, .axes = mesh_axes, .split_axis = split_axis, .concat_axis = concat_axis};
  return mica_emit(x.graph, MICA_OP_ALL_TO_ALL, &x, 1, &attr);
}

mica_value mica_collective_permute(mica_value x, const char *mesh_axes, const int64_t (*pairs)[2],
                                   size_t count) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  const char *mesh = group_here(x.graph, "collective_permute", &x, 1, mesh_axes, &group);
  if (!mesh) return mica_no_value(x.graph);
  mica_text text;
  mica_text_init(&text, &x.graph->allocator);
  for (size_t i = 0; i < count; i++)
    mica_text_format(&text, "%s%" PRId64 " %" PRId64, i == 0 ? "" : ", ", pairs[i][0], pairs[i][1]);
  return emit_pairs(x, mesh, mesh_axes, &text);
}

mica_value mica_collective_shift(mica_value x, const char *mesh_axes, int64_t by) {
  MICA_ENTRY(x.graph);
  mica_mesh_group group;
  int32_t source[MICA_MESH_DEVICES];
  const char *mesh = group_here(x.graph, "collective_shift", &x, 1, mesh_axes, &group);
  if (!mesh) return mica_no_value(x.graph);
  int64_t step = (by % group.size + group.size) % group.size;
  for (int64_t from = 0; from < group.size; from++)
    source[(from + step) % group.size] = (int32_t)from;
  return emit_permute(x, mesh, mesh_axes, source, group.size, false);
}

mica_value mica_axis_index(mica_graph *graph, const char *mesh_axes) {
  MICA_ENTRY(graph);
  mica_mesh_group group;
  if (!graph || graph->status != MICA_OK) return mica_no_value(graph);
  const char *mesh = group_here(graph, "axis_index", NULL, 0, mesh_axes, &group);
  if (!mesh) return mica_no_value(graph);
  mica_collective_attr attr = {.mesh = mesh, .axes = mesh_axes};
  return mica_emit(graph, MICA_OP_AXIS_INDEX, NULL, 0, &attr);
}
