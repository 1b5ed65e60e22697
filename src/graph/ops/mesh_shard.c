/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_shard.c: the wish that a value lies in parts. It changes no value, so that a backend of one
 * device leaves it out (its expansion is the value itself). */
#include <string.h>

#include "graph/mesh.h"
#include "graph/ops/rules.h"

static bool infer_shard(mica_infer *infer) {
  const mica_shard_attr *a = infer->attr;
  mica_mesh_axes mesh;
  mica_mesh_sharding sharding;
  mica_shape part;
  const char *text = a->sharding ? a->sharding : "";
  return mica_mesh_parse(a->mesh, &mesh, infer->message) &&
         mica_mesh_parse_sharding(&mesh, text, strlen(text), infer->in[0].shape.rank, &sharding,
                                  infer->message) &&
         mica_mesh_part_shape(&mesh, &sharding, infer->in[0].shape, &part, infer->message) &&
         mica_infer_same(infer);
}

static mica_value transpose_shard(const mica_rule *rule, size_t operand,
                                  const mica_value *cotangents) {
  (void)operand;
  return mica_emit(rule->graph, MICA_OP_SHARD, cotangents, 1, rule->attr);
}

/* The examples stay whole. */
static void batch_shard(const mica_rule *rule, const bool *batched, int64_t size, mica_value *out) {
  (void)batched, (void)size;
  const mica_shard_attr *a = rule->attr;
  mica_text text;
  mica_text_init(&text, &rule->graph->allocator);
  if (a->sharding[0] != '\0')
    mica_text_format(&text, "-%s%s", mica_rank_of(rule->in[0]) > 1 ? ", " : "", a->sharding);
  mica_shard_attr attr = {.mesh = a->mesh, .sharding = text.data == NULL ? "" : text.data};
  if (text.failed)
    mica_fail(rule->graph, MICA_OUT_OF_MEMORY, "out of memory");
  else
    out[0] = mica_emit(rule->graph, MICA_OP_SHARD, rule->in, 1, &attr);
  mica_text_deinit(&text);
}

static void expand_shard(const mica_rule *rule, mica_value *out) { out[0] = rule->in[0]; }

static const mica_attr_field shard_fields[] = {MICA_FIELD(mica_shard_attr, mesh, TEXT),
                                               MICA_FIELD(mica_shard_attr, sharding, TEXT),
                                               MICA_FIELD_END};
const mica_op_def mica_op_shard = {
    .name = "shard",
    .kind = MICA_KIND_LINEAR,
    .linear_operands = 1,
    .arity = 1,
    .results = 1,
    .attr_size = sizeof(mica_shard_attr),
    .fields = shard_fields,
    .formula = "x [...] -> [...]: x itself, laid out in parts on a mesh of devices",
    .infer = infer_shard,
    .transpose = transpose_shard,
    .batch = batch_shard,
    .expand = expand_shard,
};

mica_value mica_shard(mica_value x, const mica_mesh *mesh, const char *sharding) {
  MICA_ENTRY(x.graph);
  if (!mica_operands_usable("shard", &x, 1)) return mica_no_value(x.graph);
  if (mesh == NULL)
    return mica_fail_operator(x.graph, "shard", &x, 1, "the mesh is NULL: was it not made?");
  mica_shard_attr attr = {.mesh = mica_mesh_text(mesh), .sharding = sharding ? sharding : ""};
  return mica_emit(x.graph, MICA_OP_SHARD, &x, 1, &attr);
}
