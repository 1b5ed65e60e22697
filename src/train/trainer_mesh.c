/* SPDX-License-Identifier: Apache-2.0 */
/* trainer_mesh.c: a trainer on several devices. The batch is cut, parameters lie as the store says; what each
 * device does follows from that (automatic sharding). */
#include <stdio.h>

#include "train/trainer_internal.h"

mica_status mica_trainer_lay_out(mica_trainer *trainer, mica_error *error) {
  const mica_trainer_args *a = &trainer->args;
  mica_status status = mica_store_shard(a->store, a->mesh, a->parameter_axes, error);
  return status == MICA_OK ? mica_store_shard(trainer->state, a->mesh, a->parameter_axes, error)
                           : status;
}

/* An array of a batch, cut along its first axis where that divides. */
static mica_value on_the_mesh(const mica_trainer *trainer, mica_value x) {
  const mica_trainer_args *a = &trainer->args;
  const char *axes = a->batch_axes != NULL ? a->batch_axes : mica_mesh_axis_name(a->mesh, 0);
  mica_shape batch = {.rank = 1, .dim = {mica_dim_of(x, 0)}}, part;
  char sharding[256];
  snprintf(sharding, sizeof sharding, "%.240s, ...", axes);
  if (mica_rank_of(x) == 0) return x;
  mica_shape devices = {.rank = 1, .dim = {mica_mesh_device_count(a->mesh)}};
  mica_error error = {0};
  if (mica_shard_shape(a->mesh, devices, axes, &part, &error) != MICA_OK)
    return mica_fail(x.graph, MICA_INVALID, "trainer: batch_axes: %s", error.message);
  bool divides = mica_shard_shape(a->mesh, batch, axes, &part, NULL) == MICA_OK;
  return mica_shard(x, a->mesh, divides ? sharding : NULL);
}

/* Calls the function on a batch that lies on the mesh; `others` inputs follow it. */
static void build_on_mesh(mica_graph *graph, const mica_value *in, mica_value *out, void *user,
                          mica_build *build, size_t arrays, size_t others) {
  const mica_trainer *trainer = user;
  mica_value laid[2 * MICA_TRAINER_MOST_ARRAYS + 1];
  mica_error error = {0};
  if (arrays + others > sizeof laid / sizeof laid[0]) {
    mica_fail(graph, MICA_INVALID, "trainer: %zu arrays in a batch: expected %d at most", arrays,
              2 * MICA_TRAINER_MOST_ARRAYS);
    return;
  }
  if (mica_trainer_lay_out(user, &error) != MICA_OK) {
    mica_fail(graph, error.status, "trainer: parameter_axes: %s", error.message);
    return;
  }
  for (size_t i = 0; i < arrays + others; i++)
    laid[i] = i < arrays ? on_the_mesh(trainer, in[i]) : in[i];
  build(graph, laid, out, user);
}

void mica_trainer_mesh_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const mica_trainer_args *a = &((const mica_trainer *)user)->args;
  build_on_mesh(graph, in, out, user, mica_trainer_build_step, a->inputs + a->targets, 1);
}

void mica_trainer_mesh_evaluation(mica_graph *graph, const mica_value *in, mica_value *out,
                                  void *user) {
  const mica_trainer_args *a = &((const mica_trainer *)user)->args;
  build_on_mesh(graph, in, out, user, mica_trainer_build_evaluation, a->inputs + a->targets, 0);
}

void mica_trainer_mesh_prediction(mica_graph *graph, const mica_value *in, mica_value *out,
                                  void *user) {
  const mica_trainer_args *a = &((const mica_trainer *)user)->args;
  build_on_mesh(graph, in, out, user, mica_trainer_build_prediction, a->inputs, 0);
}
