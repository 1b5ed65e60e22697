/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h: programs for several devices of a client: what their modules say of meshes and shardings
 * (mesh_module.c, write_mesh.c), and their calls (mesh_call.c). */
#ifndef MICA_XLA_MESH_H
#define MICA_XLA_MESH_H
#include "backend/xla/writer_internal.h"
#include "graph/collectives.h"

enum { XLA_MESHES_MOST = 8 };

/* How an input or output lies: on a mesh of the module, number 0 where everybody has all of it. */
typedef struct {
  int32_t mesh;
  mica_mesh_sharding sharding;
} xla_layout;

/* The meshes of a module, all of as many devices. */
struct xla_meshes {
  int32_t count;
  const char *text[XLA_MESHES_MOST]; /* in the graph */
  mica_mesh_axes axes[XLA_MESHES_MOST];
  int64_t device_count;
  xla_layout *in, *out; /* of the module's inputs and outputs */
};

/* Fills module->meshes, NULL for a graph that names none, and the layouts of inputs and outputs. */
mica_status mica_xla_find_meshes(xla_module *module, mica_arena *arena, mica_error *error);
/* How value `index` of a list lies. */
void mica_xla_layout_of(const xla_module *module, const char *mesh, const char *list, size_t index,
                        int32_t rank, xla_layout *out);
/* "  sdy.mesh @mesh_0 = <..>", a line for each. */
void mica_xla_write_meshes(const xla_module *module, mica_text *text);
/* "<@mesh_0, [{"data"}, {}]>" */
void mica_xla_write_layout(const xla_module *module, const xla_layout *layout, mica_text *text);

/* What a program of several devices keeps beside others. */
struct xla_mesh_program {
  struct xla_meshes meshes;
  pjrt_device **devices; /* [device_count] */
  int *ids;              /* [device_count] */
};
/* From a module with meshes; the client has to have as many devices. */
mica_status mica_xla_mesh_program(xla_program *program, const xla_module *module,
                                  mica_error *error);
mica_status mica_xla_mesh_execute(xla_program *program, const mica_call *call, mica_error *error);
mica_status mica_xla_mesh_execute_tensors(xla_program *program, const mica_tensor_call *call,
                                          mica_error *error);

#endif
