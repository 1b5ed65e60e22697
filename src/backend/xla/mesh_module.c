/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_module.c: which meshes a graph names, and how the inputs and outputs of its module lie on them.
 *
 * An input lies as the first of its readers wishes that is a `shard` or a manual region, an output as what
 * makes it; all others are whole on every device. Every one is annotated, so that a call knows where the
 * parts are, whatever Shardy does in between. */
#include "backend/xla/mesh.h"

#include <string.h>

static mica_status add_mesh(struct xla_meshes *meshes, const char *text, mica_error *error) {
  char message[MICA_MESSAGE_SIZE];
  for (int32_t i = 0; i < meshes->count; i++)
    if (strcmp(meshes->text[i], text) == 0) return MICA_OK;
  if (meshes->count == XLA_MESHES_MOST)
    return mica_error_set(error, MICA_UNSUPPORTED, "xla: a program with more than %d meshes",
                          XLA_MESHES_MOST);
  mica_mesh_axes *axes = &meshes->axes[meshes->count];
  if (!mica_mesh_parse(text, axes, message))
    return mica_error_set(error, MICA_INVALID, "xla: %s", message);
  if (meshes->count > 0 && axes->device_count != meshes->device_count)
    return mica_error_set(error, MICA_UNSUPPORTED,
                          "xla: the meshes \"%.100s\" and \"%.100s\" of one program have different "
                          "numbers of devices",
                          meshes->text[0], text);
  meshes->device_count = axes->device_count;
  meshes->text[meshes->count++] = text;
  return MICA_OK;
}

/* The mesh that a node names, NULL: none. */
static const char *mesh_of_node(const mica_graph *graph, uint32_t id) {
  const mica_node *node = mica_node_at(graph, id);
  if (node->op != MICA_OP_SHARD && node->op != MICA_OP_MANUAL) return NULL;
  return ((const mica_collective_attr *)node->attr)->mesh; /* all of them begin with it */
}

static int32_t mesh_number(const struct xla_meshes *meshes, const char *text) {
  for (int32_t i = 0; i < meshes->count; i++)
    if (strcmp(meshes->text[i], text) == 0) return i;
  return 0;
}

static bool set_layout(const struct xla_meshes *meshes, const char *mesh, const char *list,
                       size_t index, int32_t rank, xla_layout *out) {
  out->mesh = mesh_number(meshes, mesh);
  return mica_manual_sharding(&meshes->axes[out->mesh], list, index, rank, &out->sharding);
}

static void whole_layout(const struct xla_meshes *meshes, int32_t rank, xla_layout *out) {
  char message[MICA_MESSAGE_SIZE];
  out->mesh = 0;
  (void)mica_mesh_parse_sharding(&meshes->axes[0], NULL, 0, rank, &out->sharding, message);
}

void mica_xla_layout_of(const xla_module *module, const char *mesh, const char *list, size_t index,
                        int32_t rank, xla_layout *out) {
  if (!set_layout(module->meshes, mesh, list, index, rank, out))
    whole_layout(module->meshes, rank, out); /* inference has read them */
}

/* As its first reader at the root wishes. */
static void input_layout(const xla_module *module, uint32_t input, xla_layout *out) {
  const mica_graph *graph = module->graph;
  const struct xla_meshes *meshes = module->meshes;
  int32_t rank = mica_node_at(graph, input)->type.shape.rank;
  for (uint32_t id = 1; id < graph->count; id++) {
    const mica_node *node = mica_node_at(graph, id);
    const char *mesh = mesh_of_node(graph, id);
    if (mesh == NULL || node->region != 0) continue;
    const uint32_t *operands = mica_node_operands(graph, node);
    for (uint32_t i = 0; i < node->declared_count; i++) {
      if (operands[i] != input) continue;
      bool shard = node->op == MICA_OP_SHARD;
      const char *list = shard ? ((const mica_shard_attr *)node->attr)->sharding
                               : ((const mica_manual_attr *)node->attr)->in;
      if (set_layout(meshes, mesh, list, shard ? 0 : i, rank, out)) return;
    }
  }
  whole_layout(meshes, rank, out);
}

static void output_layout(const xla_module *module, uint32_t output, xla_layout *out) {
  const mica_graph *graph = module->graph;
  const struct xla_meshes *meshes = module->meshes;
  uint32_t index, id = mica_owner_of_result(graph, output, &index);
  int32_t rank = mica_node_at(graph, output)->type.shape.rank;
  const mica_node *node = mica_node_at(graph, id);
  const char *mesh = mesh_of_node(graph, id);
  if (node->op == MICA_OP_PARAMETER || node->op == MICA_OP_VARIABLE) {
    input_layout(module, output, out);
    return;
  }
  if (mesh != NULL) {
    bool shard = node->op == MICA_OP_SHARD;
    const char *list = shard ? ((const mica_shard_attr *)node->attr)->sharding
                             : ((const mica_manual_attr *)node->attr)->out;
    if (set_layout(meshes, mesh, list, shard ? 0 : index, rank, out)) return;
  }
  whole_layout(meshes, rank, out);
}

static bool lies_alike(const xla_module *module, size_t input, size_t output) {
  const struct xla_meshes *meshes = module->meshes;
  const xla_layout *in = &meshes->in[input], *out = &meshes->out[output];
  xla_cut one = {meshes->axes[in->mesh], in->sharding},
          other = {meshes->axes[out->mesh], out->sharding};
  mica_shape whole = mica_node_at(module->graph, module->inputs[input])->type.shape;
  return mica_xla_same_cut(&one, &other, whole);
}

mica_status mica_xla_find_meshes(xla_module *module, mica_arena *arena, mica_error *error) {
  const mica_graph *graph = module->graph;
  struct xla_meshes found = {0};
  module->meshes = NULL;
  for (uint32_t id = 1; id < graph->count; id++) {
    if (mica_node_at(graph, id)->op == MICA_OP_RESULT) continue;
    const char *text = mesh_of_node(graph, id);
    mica_status status = text == NULL ? MICA_OK : add_mesh(&found, text, error);
    if (status != MICA_OK) return status;
  }
  if (found.count == 0) return MICA_OK;
  found.in = mica_arena_allocate_zeroed(arena, module->input_count, sizeof(*found.in));
  found.out = mica_arena_allocate_zeroed(arena, module->output_count, sizeof(*found.out));
  module->meshes = mica_arena_copy(arena, &found, sizeof(found));
  if (found.in == NULL || found.out == NULL || module->meshes == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory to compile");
  for (size_t i = 0; i < module->input_count; i++)
    input_layout(module, module->inputs[i], &module->meshes->in[i]);
  for (size_t i = 0; i < module->output_count; i++)
    output_layout(module, module->outputs[i], &module->meshes->out[i]);
  for (size_t i = 0; i < module->input_count; i++)
    if (module->alias[i] >= 0 && !lies_alike(module, i, (size_t)module->alias[i]))
      module->alias[i] = -1; /* a part takes the place of a part only where it is the same one */
  return MICA_OK;
}

/* ---- texts ------------------------------------------------------------------------------------ */

void mica_xla_write_meshes(const xla_module *module, mica_text *text) {
  const struct xla_meshes *meshes = module->meshes;
  for (int32_t i = 0; meshes != NULL && i < meshes->count; i++) {
    mica_text_format(text, "  sdy.mesh @mesh_%d = <[", (int)i);
    for (int32_t axis = 0; axis < meshes->axes[i].count; axis++)
      mica_text_format(text, "%s\"%s\"=%lld", axis == 0 ? "" : ", ", meshes->axes[i].name[axis],
                       (long long)meshes->axes[i].size[axis]);
    mica_text_append(text, "]>\n");
  }
}

void mica_xla_write_layout(const xla_module *module, const xla_layout *layout, mica_text *text) {
  const mica_mesh_axes *mesh = &module->meshes->axes[layout->mesh];
  mica_text_format(text, "<@mesh_%d, [", (int)layout->mesh);
  for (int32_t i = 0; i < layout->sharding.rank; i++) {
    const mica_mesh_group *group = &layout->sharding.axis[i];
    mica_text_append(text, i == 0 ? "{" : ", {");
    for (int32_t k = 0; k < group->count; k++)
      mica_text_format(text, "%s\"%s\"", k == 0 ? "" : ", ", mesh->name[group->axis[k]]);
    mica_text_append(text, "}");
  }
  mica_text_append(text, "]>");
}
