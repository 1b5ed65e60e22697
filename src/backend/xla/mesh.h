/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h: programs for several devices of a client: what their modules say of meshes and shardings
 * (mesh_module.c, write_mesh.c), arrays in parts (mesh_parts.c), and calls (mesh_call.c). */
#ifndef MICA_XLA_MESH_H
#define MICA_XLA_MESH_H
#include "backend/xla/writer_internal.h"
#include "graph/collectives.h"
#include "graph/mesh.h"

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

/* ---- arrays in parts (mesh_parts.c) ------------------------------------------------------------- */

/* How an array is cut; device d of the mesh is the client's d-th. */
typedef struct {
  mica_mesh_axes mesh;
  mica_mesh_sharding sharding;
} xla_cut;

/* The values of a tensor that lies in parts. */
typedef struct {
  _Atomic uint32_t references; /* of the tensor and of those of its parts */
  mica_device *owner;          /* retained: a client outlives its buffers */
  const xla_client *client;
  mica_type type; /* of the whole */
  size_t size, memory_size;
  xla_cut cut;
  _Atomic(void *) host; /* a copy for who asks for a pointer; NULL at first */
  pjrt_buffer *part[];  /* [cut.mesh.device_count] */
} xla_parts;

/* Whether every device has the same part. */
bool mica_xla_same_cut(const xla_cut *a, const xla_cut *b, mica_shape whole);
/* Uploads all devices' parts of the host's `data`: that of device d to first[d * stride], which has to be NULL. With
 * *io_lend parts that lie there as they are wanted are lent, not copied; out: whether one is. */
mica_status mica_xla_give_parts(const xla_client *client, const xla_cut *cut, mica_type type,
                                const void *data, bool *io_lend, pjrt_buffer **first, size_t stride,
                                mica_error *error);
/* A tensor of the buffers first[d * stride], which it takes unless there is no memory. */
mica_status mica_xla_parts_tensor(const xla_client *client, const xla_cut *cut, mica_type type,
                                  pjrt_buffer **first, size_t stride, mica_tensor **out_tensor,
                                  mica_error *error);
/* The values of a tensor that lies on this client's devices, cut like this; else NULL. */
xla_parts *mica_xla_parts_of(const xla_client *client, const mica_tensor *tensor,
                             const xla_cut *cut);
/* The tensor, cut like this: another reference where it lies so, else a copy. */
mica_status mica_xla_place_cut(const xla_client *client, const xla_cut *cut, mica_tensor *tensor,
                               mica_tensor **out_tensor, mica_error *error);
mica_status mica_xla_place_parts(void *state, const mica_sharded_tensor *sharded,
                                 mica_tensor **out_tensor, mica_error *error);

/* ---- programs (mesh_call.c) --------------------------------------------------------------------- */

/* What a program of several devices keeps beside others. */
struct xla_mesh_program {
  struct xla_meshes meshes;
  int *ids;          /* [device_count] what the plugin calls the devices */
  xla_cut *in, *out; /* of its inputs and outputs */
  size_t call_count;
  int32_t *module_index; /* [call_count] which of the inputs an input of the call is; -1: none */
};
/* From a module with meshes; the client has to have as many devices. */
mica_status mica_xla_mesh_program(xla_program *program, const xla_module *module,
                                  mica_error *error);
mica_status mica_xla_mesh_place_input(const xla_program *program, size_t index, mica_tensor *tensor,
                                      mica_tensor **out_tensor, mica_error *error);
mica_status mica_xla_mesh_execute(xla_program *program, const mica_tensor_call *call,
                                  mica_error *error);

#endif
