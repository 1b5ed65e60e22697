/* SPDX-License-Identifier: Apache-2.0 */
/* mesh.h: several devices: meshes with named axes, how arrays lie on them, blocks that are written
 * for one device of many, and what devices tell each other (docs/distribution.md).
 *
 * A mesh is a grid of devices with a name for each axis: "data=2, model=4". A sharding says for
 * each axis of an array which axes of the mesh cut it: "data, -, model" cuts axis 0 along `data`
 * and axis 2 along `model`; "-" leaves an axis whole, "data+model" cuts one axis along both,
 * `data` first, "..." at the end leaves the rest whole; NULL or "" leaves all axes whole. Along mesh axes that it does not name, an array
 * is repeated. Sizes have to divide.
 *
 * Ownership: meshes and sharded tensors are reference-counted and immutable. Threads: any.
 * Example: examples/devices.c. */
#ifndef MICA_MESH_H
#define MICA_MESH_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* ---- meshes ---------------------------------------------------------------------------------- */

typedef struct mica_mesh mica_mesh;

/* "data=2, model=4": up to 8 axes, names of letters, digits and '_', sizes from 1, up to 1024
 * devices. Device d is the d-th of the device that runs the program, counted with the last axis
 * fastest. NULL on failure, with the reason. */
MICA_API mica_mesh *mica_mesh_create(const char *axes, mica_error *error);
MICA_API mica_mesh *mica_mesh_retain(mica_mesh *mesh);
MICA_API void mica_mesh_release(mica_mesh *mesh);
MICA_API const char *mica_mesh_text(const mica_mesh *mesh); /* "data=2, model=4" */
MICA_API int64_t mica_mesh_device_count(const mica_mesh *mesh);
MICA_API int32_t mica_mesh_axis_count(const mica_mesh *mesh);
MICA_API const char *mica_mesh_axis_name(const mica_mesh *mesh, int32_t axis); /* NULL outside */
/* How many devices lie along the named axis; 0: there is no such axis. */
MICA_API int64_t mica_mesh_axis_size(const mica_mesh *mesh, const char *name);
/* Where a device stands along an axis; -1 outside. */
MICA_API int64_t mica_mesh_coordinate(const mica_mesh *mesh, int64_t device, int32_t axis);

/* ---- sharded tensors ------------------------------------------------------------------------- */

/* The shape of the part that each device has. An axis that does not divide is an error. */
MICA_API mica_status mica_shard_shape(const mica_mesh *mesh, mica_shape whole, const char *sharding,
                                      mica_shape *out_shape, mica_error *error);
/* Where the part of a device begins along each axis. */
MICA_API mica_status mica_shard_begin(const mica_mesh *mesh, mica_shape whole, const char *sharding,
                                      int64_t device, int64_t out_begin[MICA_MAX_RANK],
                                      mica_error *error);

/* An array in parts, one for each device of a mesh; parts that are equal are one tensor. They lie on the host, or,
 * cut from a result that lies just so on the devices of `xla`, where they are: see mica_sharded_tensor_to_device
 * (mica/backend.h) and mica_jit_call_sharded (mica/jit.h). */
typedef struct mica_sharded_tensor mica_sharded_tensor;

MICA_API mica_status mica_tensor_shard(const mica_tensor *whole, mica_mesh *mesh,
                                       const char *sharding, mica_sharded_tensor **out_sharded,
                                       mica_error *error);
/* From the parts, all of one type, in the order of the devices; retains them. Parts that the
 * sharding says are equal are not compared: that of the first device counts. */
MICA_API mica_status mica_sharded_tensor_create(mica_mesh *mesh, const char *sharding,
                                                mica_tensor *const *parts, size_t count,
                                                mica_sharded_tensor **out_sharded,
                                                mica_error *error);
MICA_API mica_status mica_sharded_tensor_merge(const mica_sharded_tensor *sharded,
                                               mica_tensor **out_whole, mica_error *error);
/* The same array on another mesh, or cut in another way. */
MICA_API mica_status mica_sharded_tensor_move(const mica_sharded_tensor *sharded, mica_mesh *mesh,
                                              const char *sharding,
                                              mica_sharded_tensor **out_sharded, mica_error *error);
MICA_API mica_sharded_tensor *mica_sharded_tensor_retain(mica_sharded_tensor *sharded);
MICA_API void mica_sharded_tensor_release(mica_sharded_tensor *sharded);
MICA_API mica_type mica_sharded_tensor_type(const mica_sharded_tensor *sharded); /* of the whole */
MICA_API const mica_mesh *mica_sharded_tensor_mesh(const mica_sharded_tensor *sharded);
MICA_API const char *mica_sharded_tensor_sharding(const mica_sharded_tensor *sharded);
/* The part of a device: borrowed; NULL outside. */
MICA_API mica_tensor *mica_sharded_tensor_part(const mica_sharded_tensor *sharded, int64_t device);

/* A picture of who has what, a box for each part with the numbers of its devices, as text[size],
 * always terminated; returns the length it needs, or -1 without memory or for what does not fit,
 * with the reason as the text. The first two axes that are cut are drawn, the second to the right;
 * further ones give a picture each. */
MICA_API int64_t mica_sharding_format(const mica_mesh *mesh, mica_shape whole, const char *sharding,
                                      char *text, size_t size);
MICA_API int64_t mica_sharded_tensor_format(const mica_sharded_tensor *sharded, char *text,
                                            size_t size);

/* ---- automatic sharding ---------------------------------------------------------------------- */

/* x, laid out like this: `xla` cuts the work around it accordingly and adds what has to be sent
 * (Shardy, openxla/shardy). x [...] of any dtype -> the same. On `cpu` and `reference` one engine
 * computes the whole, and the sharding says nothing. */
MICA_API mica_value mica_shard(mica_value x, const mica_mesh *mesh, const char *sharding);
/* The same for every read and assign of a variable in traces that begin from now on, and so for
 * where its value lies between calls; a NULL mesh ends it. */
MICA_API mica_status mica_variable_shard(mica_variable *variable, const mica_mesh *mesh,
                                         const char *sharding, mica_error *error);

/* ---- manual regions: a program for one device of many ---------------------------------------- */

/* The block runs once on every device of the mesh. argument(i) is the device's part of in[i], cut as
 * shardings[i] says (NULL array: all whole); captured values are whole everywhere. Regions do not
 * nest in one another. */
MICA_API mica_region mica_manual_begin(mica_graph *graph, const mica_mesh *mesh,
                                       const mica_value *in, const char *const *shardings,
                                       size_t count);
/* out[j] is put together from the devices' parts, result[j]. Along mesh axes that shardings[j] does
 * not name, the parts must be equal, and what was built must show it: a result that may differ
 * there is an error that says over which axis (reduce or gather it, or name the axis). */
MICA_API void mica_manual_end(mica_region region, const mica_value *result,
                              const char *const *shardings, size_t count, mica_value *out);

/* Inside of a manual region. `mesh_axes` names who takes part: "model", "data+model" (NULL: all
 * axes), which are the devices that differ along these axes only, in the order of their positions
 * there. Every one of them has to come to the operator.
 *
 * Derivatives: a value of the region is what all devices hold, one beside the other, and every rule
 * is the exact transpose on that: the derivative of a sum over devices is the sum of their
 * cotangents, of all_gather the scattered sum, of a permutation its inverse. mica_gradients inside
 * of a region therefore differentiates the sum of all devices' losses by each device's own values.
 * Outside of it the rules of the region put results and arguments that are repeated in their
 * place: nothing is counted twice. */

/* x [...] -> the same shape: the sum (mean, product, maximum, minimum) of the devices' x. The order
 * is that of the devices, so that all get the same bits in every run. NaN: as mica_reduce_max. */
MICA_API mica_value mica_all_reduce_sum(mica_value x, const char *mesh_axes);
MICA_API mica_value mica_all_reduce_mean(mica_value x, const char *mesh_axes); /* floats */
MICA_API mica_value mica_all_reduce_prod(mica_value x, const char *mesh_axes);
MICA_API mica_value mica_all_reduce_max(mica_value x, const char *mesh_axes);
MICA_API mica_value mica_all_reduce_min(mica_value x, const char *mesh_axes);
/* x [..., n, ...] -> [..., n * devices, ...]: all parts along `axis`, in order. */
MICA_API mica_value mica_all_gather(mica_value x, const char *mesh_axes, int32_t axis);
/* x [..., n, ...] -> [..., n / devices, ...]: the devices' sum, of which device i keeps part i along
 * `axis`. */
MICA_API mica_value mica_reduce_scatter(mica_value x, const char *mesh_axes, int32_t axis);
/* x [..., s, ..., c, ...] -> [..., s / devices, ..., c * devices, ...]: part i along split_axis goes
 * to device i; what arrives is joined along concat_axis in the order of the senders. */
MICA_API mica_value mica_all_to_all(mica_value x, const char *mesh_axes, int32_t split_axis,
                                    int32_t concat_axis);
/* pairs[i] = {from, to}: x of device `from` goes to device `to`. Nobody sends or receives twice; who
 * receives nothing has zeros. */
MICA_API mica_value mica_collective_permute(mica_value x, const char *mesh_axes,
                                            const int64_t (*pairs)[2], size_t count);
/* To the device `by` places further on, around the ring. */
MICA_API mica_value mica_collective_shift(mica_value x, const char *mesh_axes, int64_t by);
/* i32 []: the device's position along the axes. */
MICA_API mica_value mica_axis_index(mica_graph *graph, const char *mesh_axes);

#ifdef __cplusplus
}
#endif
#endif
