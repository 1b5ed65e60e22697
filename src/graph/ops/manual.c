/* SPDX-License-Identifier: Apache-2.0 */
/* manual.c: a block that runs once on each device of a mesh, on its parts of the operands. Its
 * derivative and batching rules are in manual_rules.c. */
#include <inttypes.h>
#include <string.h>

#include "graph/collectives.h"
#include "graph/ops/collective.h"
#include "graph/ops/rules.h"

/* ---- inference -------------------------------------------------------------------------------- */

/* Sharding `index` of a list, of an array of `rank`. */
static bool listed_sharding(const mica_mesh_axes *mesh, const char *list, size_t index,
                            int32_t rank, mica_mesh_sharding *out, char *message) {
  const char *text;
  size_t length;
  mica_infer infer = {.message = message};
  if (!mica_mesh_list_at(list, index, &text, &length))
    return mica_infer_fail(&infer, "there is no sharding %zu in \"%.100s\"", index, list);
  return mica_mesh_parse_sharding(mesh, text, length, rank, out, message);
}

bool mica_manual_sharding(const mica_mesh_axes *mesh, const char *list, size_t index, int32_t rank,
                          mica_mesh_sharding *out) {
  char message[MICA_MESSAGE_SIZE];
  return listed_sharding(mesh, list, index, rank, out, message);
}

/* Puts "result 2: " in front of what is wrong. */
static bool named_problem(mica_infer *infer, const char *what, size_t index) {
  char message[MICA_MESSAGE_SIZE];
  memcpy(message, infer->message, sizeof message);
  return mica_infer_fail(infer, "%s %zu: %.400s", what, index, message);
}

static bool check_list(mica_infer *infer, const char *list, size_t count, const char *what) {
  size_t given = mica_mesh_list_count(list);
  if (given == count || (count == 0 && *list == '\0')) return true;
  return mica_infer_fail(infer, "%zu %s of %ss: expected %zu", given,
                         mica_noun(given, "sharding", "shardings"), what, count);
}

static bool infer_manual(mica_infer *infer) {
  const mica_manual_attr *a = infer->attr;
  mica_mesh_axes mesh;
  mica_mesh_sharding sharding;
  if (!mica_mesh_parse(a->mesh, &mesh, infer->message)) return false;
  if (infer->region_count != 1)
    return mica_infer_fail(infer, "expected 1 block, not %zu", infer->region_count);
  uint32_t index = infer->regions[0];
  const mica_region_data *body = &infer->graph->regions[index];
  const char *in = a->in ? a->in : "", *out = a->out ? a->out : "";
  if (body->declared_count != infer->declared_count)
    return mica_infer_fail(infer, "the block has %u %s: expected %zu", body->declared_count,
                           mica_noun(body->declared_count, "argument", "arguments"),
                           infer->declared_count);
  if (!check_list(infer, in, infer->declared_count, "operand") ||
      !check_list(infer, out, body->result_count, "result"))
    return false;
  size_t bytes = ((size_t)infer->declared_count + body->result_count + 1) * sizeof(uint32_t);
  uint32_t *bits = mica_allocate(&infer->graph->allocator, bytes);
  if (!bits) return !(infer->no_memory = true);
  uint32_t *varying = bits + infer->declared_count;
  bool good = true;
  for (size_t i = 0; good && i < infer->declared_count; i++) {
    mica_type part = infer->in[i];
    if (!listed_sharding(&mesh, in, i, part.shape.rank, &sharding, infer->message) ||
        !mica_mesh_part_shape(&mesh, &sharding, infer->in[i].shape, &part.shape, infer->message))
      good = named_problem(infer, "operand", i);
    else if (!mica_type_equal(infer->graph->nodes[body->arguments[i]].type, part))
      good = mica_infer_fail(infer, "argument %zu is not of the type of a part of its operand", i);
    bits[i] = sharding.bits;
  }
  if (good && !mica_varying_results(infer->graph, index, bits, varying))
    good = !(infer->no_memory = true);
  for (uint32_t i = 0; good && i < body->result_count; i++) {
    mica_type type = infer->graph->nodes[body->results[i]].type;
    if (!listed_sharding(&mesh, out, i, type.shape.rank, &sharding, infer->message) ||
        !mica_mesh_whole_shape(&sharding, type.shape, &type.shape, infer->message)) {
      good = named_problem(infer, "result", i);
      break;
    }
    infer->out[i] = type;
    for (int32_t axis = 0; good && axis < mesh.count; axis++)
      if ((varying[i] & ~sharding.bits) >> axis & 1u && mesh.size[axis] > 1)
        good = mica_infer_fail(infer,
                               "result %" PRIu32
                               " may differ between devices along mesh axis \"%s\", which "
                               "its sharding does not name: all_reduce or all_gather it over that "
                               "axis, or name the axis",
                               i, mesh.name[axis]);
  }
  infer->out_count = body->result_count;
  mica_free(&infer->graph->allocator, bits, bytes);
  return good;
}

static const mica_attr_field manual_fields[] = {
    MICA_FIELD(mica_manual_attr, mesh, TEXT), MICA_FIELD(mica_manual_attr, in, TEXT),
    MICA_FIELD(mica_manual_attr, out, TEXT), MICA_FIELD_END};
const mica_op_def mica_op_manual = {
    .name = "manual",
    .kind = MICA_KIND_REGION,
    .arity = -1,
    .results = -1,
    .attr_size = sizeof(mica_manual_attr),
    .fields = manual_fields,
    .formula = "block(parts of in...) on each device of a mesh, its results put together",
    .infer = infer_manual,
    .jvp = mica_manual_jvp,
    .vjp = mica_manual_vjp,
    .batch = mica_manual_batch,
};

/* ---- where they may stand --------------------------------------------------------------------- */

mica_status mica_collective_check(const mica_graph *graph, uint32_t id, mica_error *error) {
  const mica_node *node = &graph->nodes[id];
  bool manual = node->op == MICA_OP_MANUAL;
  if (!manual && !mica_is_collective((mica_op)node->op)) return MICA_OK;
  const char *name = mica_op_definition((mica_op)node->op)->name;
  const char *mesh = ((const mica_collective_attr *)node->attr)->mesh;
  for (uint32_t region = node->region; region; region = graph->regions[region].parent) {
    uint32_t owner = graph->regions[region].owner;
    if (!owner || graph->nodes[owner].op != MICA_OP_MANUAL) continue;
    if (manual)
      return mica_error_set(error, MICA_INVALID, "node %u (%s) stands in another manual region", id,
                            name);
    const char *around = ((const mica_manual_attr *)graph->nodes[owner].attr)->mesh;
    if (strcmp(mesh, around) == 0) return MICA_OK;
    return mica_error_set(error, MICA_INVALID,
                          "node %u (%s) is for the mesh \"%.100s\", its region for \"%.100s\"", id,
                          name, mesh, around);
  }
  return manual ? MICA_OK
                : mica_error_set(error, MICA_INVALID,
                                 "node %u (%s) stands outside of a manual region", id, name);
}

/* ---- builders --------------------------------------------------------------------------------- */

/* "data, -; model" from the shardings of values, as they are written again. NULL after a mistake. */
static const char *join_shardings(mica_graph *graph, const char *function,
                                  const mica_mesh_axes *mesh, const mica_value *values,
                                  const char *const *shardings, size_t count, const char *what) {
  mica_text list;
  char message[MICA_MESSAGE_SIZE], why[MICA_MESSAGE_SIZE];
  const char *joined = NULL;
  if (!mica_list_given(graph, function, what, values, count)) return NULL;
  mica_text_init(&list, &graph->allocator);
  mica_text_append(&list, "");
  bool good = true;
  for (size_t i = 0; good && i < count; i++) {
    const char *text = shardings && shardings[i] ? shardings[i] : "";
    mica_mesh_sharding sharding;
    mica_shape part, shape = mica_shape_of(values[i]);
    good = mica_value_usable(graph, values[i], why, sizeof why);
    if (!good) {
      mica_fail_operator(graph, function, values, count, "%s %zu: %s", what, i, why);
      break;
    }
    good = mica_mesh_parse_sharding(mesh, text, strlen(text), shape.rank, &sharding, message);
    if (good && what[0] == 'o') good = mica_mesh_part_shape(mesh, &sharding, shape, &part, message);
    if (!good) mica_fail_operator(graph, function, values, count, "%s %zu: %s", what, i, message);
    if (i > 0) mica_text_append(&list, "; ");
    if (good) mica_mesh_format_sharding(mesh, &sharding, &list);
  }
  if (good) joined = list.failed ? NULL : mica_arena_text(&graph->arena, list.data);
  if (good && !joined) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_text_deinit(&list);
  return joined;
}

mica_region mica_manual_begin(mica_graph *graph, const mica_mesh *mesh, const mica_value *in,
                              const char *const *shardings, size_t count) {
  MICA_ENTRY(graph ? graph : mica_graph_of(in, count));
  if (!graph) graph = mica_graph_of(in, count);
  mica_region failed = {graph, 0, 0};
  if (!graph || graph->status != MICA_OK) return failed;
  if (!mesh) {
    mica_fail_operator(graph, "manual_begin", in, count, "the mesh is NULL: was it not made?");
    return failed;
  }
  if (mica_open_manual(graph)) {
    mica_fail_operator(graph, "manual_begin", in, count,
                       "another manual region is open: expected its end before");
    return failed;
  }
  const mica_mesh_axes *axes = mica_mesh_axes_of(mesh);
  mica_manual_attr attr = {.mesh = mica_arena_text(&graph->arena, mica_mesh_text(mesh)), .out = ""};
  attr.in = join_shardings(graph, "manual_begin", axes, in, shardings, count, "operand");
  mica_type *types = mica_arena_allocate(&graph->arena, (count + 1) * sizeof *types);
  if (!attr.mesh || !types) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  if (!attr.in || graph->status != MICA_OK) return failed;
  for (size_t i = 0; i < count; i++) {
    char message[MICA_MESSAGE_SIZE];
    mica_mesh_sharding sharding;
    types[i] = mica_type_of(in[i]);
    mica_shape whole = types[i].shape;
    if (!listed_sharding(axes, attr.in, i, whole.rank, &sharding, message) ||
        !mica_mesh_part_shape(axes, &sharding, whole, &types[i].shape, message))
      return failed; /* they were read before */
  }
  uint32_t block = mica_block_open(graph, MICA_OP_MANUAL, in, count, &attr);
  if (!block || !mica_block_enter(graph, block, types, count)) return failed;
  return (mica_region){graph, block, graph->epoch};
}

void mica_manual_end(mica_region region, const mica_value *result, const char *const *shardings,
                     size_t count, mica_value *out) {
  MICA_ENTRY(region.graph);
  mica_graph *graph = region.graph;
  bool right = mica_region_check(region, "manual_end", MICA_OP_MANUAL);
  mica_manual_attr *attr = NULL;
  if (right) {
    mica_mesh_axes mesh;
    char message[MICA_MESSAGE_SIZE];
    attr = mica_arena_copy(&graph->arena, graph->blocks[region.id - 1].attr, sizeof *attr);
    if (!attr) mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    if (attr && mica_mesh_parse(attr->mesh, &mesh, message))
      attr->out = join_shardings(graph, "manual_end", &mesh, result, shardings, count, "result");
    right = attr && attr->out && graph->status == MICA_OK;
  }
  if (right) {
    graph->blocks[region.id - 1].attr = attr;
    mica_block_leave(graph, region.id, result, count);
  }
  mica_results_clear(graph, "manual_end", result, count, out, count);
  if (right) mica_block_close(graph, region.id, out, count);
}
