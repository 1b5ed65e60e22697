/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h: the geometry of meshes and shardings, which operators and backends read from the texts in
 * attributes: "data=2, model=4", "data, -", "data+model". A text says all, so that a graph that was
 * parsed needs nothing beside it. */
#ifndef MICA_GRAPH_MESH_H
#define MICA_GRAPH_MESH_H
#include "core/text.h"
#include "graph/graph_internal.h"
#include "mica/mesh.h"

enum { MICA_MESH_AXES = 8, MICA_MESH_NAME = 32, MICA_MESH_DEVICES = 1024 };

typedef struct {
  int32_t count;
  int64_t device_count; /* product of the sizes */
  int64_t size[MICA_MESH_AXES];
  char name[MICA_MESH_AXES][MICA_MESH_NAME];
} mica_mesh_axes;

/* Axes of a mesh in some order, the first one slowest. */
typedef struct {
  int32_t count, axis[MICA_MESH_AXES];
  uint32_t bits; /* bit i: axis i is among them */
  int64_t size;  /* devices along them */
} mica_mesh_group;

/* Of each axis of an array the mesh axes that cut it. */
typedef struct {
  int32_t rank;
  mica_mesh_group axis[MICA_MAX_RANK];
  uint32_t bits; /* of all of them */
} mica_mesh_sharding;

/* All of these say in message[MICA_MESSAGE_SIZE] what is wrong, and return false. */
bool mica_mesh_parse(const char *text, mica_mesh_axes *out, char *message);
/* "data+model"; NULL or "": all axes. */
bool mica_mesh_parse_group(const mica_mesh_axes *mesh, const char *text, mica_mesh_group *out,
                           char *message);
/* "data, -"; NULL or "": all axes whole. */
bool mica_mesh_parse_sharding(const mica_mesh_axes *mesh, const char *text, size_t length,
                              int32_t rank, mica_mesh_sharding *out, char *message);
/* Part number `index` of a list "data, -; -, model": false when there is none. */
bool mica_mesh_list_at(const char *list, size_t index, const char **out_text, size_t *out_length);
size_t mica_mesh_list_count(const char *list);
/* The shape of a part, and from a part that of the whole. */
bool mica_mesh_part_shape(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                          mica_shape whole, mica_shape *out_part, char *message);
bool mica_mesh_whole_shape(const mica_mesh_sharding *sharding, mica_shape part,
                           mica_shape *out_whole, char *message);

void mica_mesh_format(const mica_mesh_axes *mesh, mica_text *text);
/* The texts as they are written again: "data+model, -"; "" when nothing is cut. */
void mica_mesh_format_sharding(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                               mica_text *text);
void mica_mesh_format_group(const mica_mesh_axes *mesh, const mica_mesh_group *group,
                            mica_text *text);

int64_t mica_mesh_position(const mica_mesh_axes *mesh, int64_t device, int32_t axis);
/* The device's position among those that differ along the group's axes only, and that of the other
 * way: the device at `position` of the group of `device`. */
int64_t mica_mesh_group_position(const mica_mesh_axes *mesh, const mica_mesh_group *group,
                                 int64_t device);
int64_t mica_mesh_group_member(const mica_mesh_axes *mesh, const mica_mesh_group *group,
                               int64_t device, int64_t position);
/* The first device of every group is the one with position 0. */

/* The axes that `bits` names, in the mesh's order. */
mica_mesh_group mica_mesh_group_of_bits(const mica_mesh_axes *mesh, uint32_t bits);
static inline uint32_t mica_mesh_all_bits(const mica_mesh_axes *mesh) {
  return (uint32_t)((1u << mesh->count) - 1u);
}
/* Whether the device is the first of those that have equal parts. */
bool mica_mesh_is_first(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                        int64_t device);

/* Where the part of a device lies in the whole array: its begin along each axis. */
void mica_mesh_part_begin(const mica_mesh_axes *mesh, const mica_mesh_sharding *sharding,
                          mica_shape part, int64_t device, int64_t begin[MICA_MAX_RANK]);
/* Copies a part out of a whole array, or into it, elements of `item_size` bytes. */
void mica_mesh_cut(mica_shape whole, mica_shape part, const int64_t *begin, size_t item_size,
                   const void *from, void *to);
void mica_mesh_paste(mica_shape whole, mica_shape part, const int64_t *begin, size_t item_size,
                     const void *from, void *to);
/* Whether the part's elements lie one behind the other in the whole array; then from where on. */
bool mica_mesh_is_run(mica_shape whole, mica_shape part, const int64_t *begin, int64_t *out_first);

/* The mesh of a public handle. */
const mica_mesh_axes *mica_mesh_axes_of(const mica_mesh *mesh);

#endif
