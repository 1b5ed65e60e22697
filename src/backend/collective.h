/* SPDX-License-Identifier: Apache-2.0 */
/* collective.h: one collective between devices whose values lie in the host's memory. */
#ifndef MICA_BACKEND_COLLECTIVE_H
#define MICA_BACKEND_COLLECTIVE_H
#include "graph/collectives.h"

typedef struct {
  mica_op op;
  mica_reduce_kind kind;
  mica_dtype dtype;
  size_t item; /* bytes of an element */
  mica_mesh_axes mesh;
  mica_mesh_group group;
  mica_shape in, out; /* of one device */
  int64_t axis, concat_axis;
  const char *pairs;
} mica_collective;

/* Of node `id`, which inference has accepted; the graph outlives it. */
void mica_collective_read(const mica_graph *graph, uint32_t id, mica_collective *out);
/* in[m] and out[m] are those of member m of one group. The work is cut into `pieces`, of which this call does
 * one; any of them may run at once, and the bits do not depend on how many there are. */
void mica_collective_run(const mica_collective *collective, const void *const *in, void *const *out,
                         int64_t piece, int64_t pieces);

#endif
