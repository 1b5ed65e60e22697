/* SPDX-License-Identifier: Apache-2.0 */
/* store_mesh.c: variables of a store on several devices: repeated, or cut along the first axis that divides. */
#include "nn/store_internal.h"

#include <string.h>

mica_status mica_nn_lay_out(const mica_store *store, mica_variable *variable, mica_error *error) {
  mica_shape shape = mica_variable_type(variable).shape, part;
  mica_text text;
  mica_status status = MICA_NOT_FOUND;
  if (store->mesh == NULL && variable->mesh == NULL) return MICA_OK;
  mica_text_init(&text, &store->allocator);
  for (int32_t axis = 0; store->mesh != NULL && store->mesh_axes != NULL && axis < shape.rank;
       axis++) {
    mica_text_clear(&text);
    for (int32_t before = 0; before < axis; before++) mica_text_append(&text, "-, ");
    mica_text_format(&text, "%s%s", store->mesh_axes, axis + 1 < shape.rank ? ", ..." : "");
    if (text.failed) break;
    if (shape.dim[axis] < 2) continue;
    status = mica_shard_shape(store->mesh, shape, text.data, &part, NULL);
    if (status == MICA_OK) break;
  }
  status = text.failed ? mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a sharding")
                       : mica_variable_shard(variable, store->mesh,
                                             status == MICA_OK ? text.data : "", error);
  mica_text_deinit(&text);
  return status;
}

mica_status mica_store_shard(mica_store *store, const mica_mesh *mesh, const char *mesh_axes,
                             mica_error *error) {
  if (store == NULL) return mica_null_error(error, "the store");
  mica_shape whole = {.rank = 1, .dim = {mica_mesh_device_count(mesh)}}, part;
  char *axes = NULL;
  if (mesh != NULL && mesh_axes != NULL) {
    mica_status status = mica_shard_shape(mesh, whole, mesh_axes, &part, error);
    if (status != MICA_OK) return status;
    axes = mica_nn_copy_text(store, mesh_axes);
    if (axes == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a sharding");
  }
  mica_mutex_lock(&store->mutex);
  mica_mesh *old_mesh = store->mesh;
  char *old_axes = store->mesh_axes;
  store->mesh = mica_mesh_retain((mica_mesh *)(uintptr_t)mesh); /* only counted */
  store->mesh_axes = axes;
  mica_status status = MICA_OK;
  uint32_t laid = 0;
  while (laid < store->entry_count && status == MICA_OK)
    status = mica_nn_lay_out(store, store->entries[laid++]->variable, error);
  if (status != MICA_OK) { /* all as it was: a store has one layout */
    mica_mesh *new_mesh = store->mesh;
    char *new_axes = store->mesh_axes;
    store->mesh = old_mesh, store->mesh_axes = old_axes;
    old_mesh = new_mesh, old_axes = new_axes;
    for (uint32_t i = 0; i < laid; i++)
      (void)mica_nn_lay_out(store, store->entries[i]->variable, NULL);
  }
  mica_mutex_unlock(&store->mutex);
  mica_mesh_release(old_mesh);
  mica_nn_free_text(store, old_axes);
  return status;
}
