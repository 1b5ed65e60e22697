/* SPDX-License-Identifier: Apache-2.0 */
/* collectives.h: what passes, the verifier and backends need of manual regions and the operators in
 * them. */
#ifndef MICA_GRAPH_COLLECTIVES_H
#define MICA_GRAPH_COLLECTIVES_H
#include "graph/attributes.h"
#include "graph/mesh.h"

bool mica_is_collective(mica_op op); /* axis_index, too */

/* The mesh and the group of a collective from its attribute; false (with a message of MICA_MESSAGE_SIZE) when
 * the texts are wrong. */
bool mica_collective_group(const void *attr, mica_mesh_axes *mesh, mica_mesh_group *group,
                           char *message);
/* pairs "0 1, 1 2" of a group: source[to] is who sends to `to`, -1: nobody. source[MICA_MESH_DEVICES] */
bool mica_permute_sources(const char *pairs, int64_t size, int32_t *source, char *message);
/* Of the operand or result `index` of a manual region: what its list of shardings says of an array of
 * `rank`; false when there is none that reads. */
bool mica_manual_sharding(const mica_mesh_axes *mesh, const char *list, size_t index, int32_t rank,
                          mica_mesh_sharding *out);

/* A manual region on one device: the values of all devices are stacked along a new axis 0, the block is
 * batched, and collectives become movement along that axis. It is what the regions mean, and how a
 * backend runs them that knows nothing of them (ops/collective_stack.c). in[] are the operands of the
 * node `id` of `from` in `to`; `rule` is asked for the nodes of the block. */
void mica_manual_expand(mica_graph *to, const mica_graph *from, uint32_t id, const mica_value *in,
                        mica_replay_rule *rule, void *context, mica_value *out);
/* While that is done, of each collective: out[0] for stacked operands. */
void mica_collective_stacked(const mica_rule *rule, const bool *batched, int64_t size,
                             mica_value *out);

/* Why node `id` cannot stand where it stands: a collective outside of a manual region, or of another
 * mesh, or a region in a region. MICA_OK for everything else. */
mica_status mica_collective_check(const mica_graph *graph, uint32_t id, mica_error *error);

#endif
