/* SPDX-License-Identifier: Apache-2.0 */
/* variable.c: the cell that outlives graphs: its life, its lock, and its value seen from outside of
 * any
 * call. How a trace reads and assigns one is in variable_node.c, how a call does in the backend. */
#include "graph/variable.h"

#include "core/memory.h"
#include "core/tensor.h"

#include <string.h>

mica_variable *mica_variable_create_empty(const char *name, mica_type type) {
  size_t bytes;
  if (!mica_type_byte_size(type, &bytes)) return NULL;
  if (name == NULL) name = "";
  size_t name_size = strlen(name) + 1, whole;
  if (!mica_size_add(sizeof(mica_variable), name_size, &whole)) return NULL;
  mica_variable *variable = mica_allocate(NULL, whole);
  if (variable == NULL) return NULL;
  memset(variable, 0, sizeof(*variable));
  if (mica_mutex_init(&variable->mutex) != 0) {
    mica_free(NULL, variable, whole);
    return NULL;
  }
  atomic_init(&variable->reference_count, 1);
  variable->type = type;
  variable->allocation_size = whole;
  memcpy(variable->name, name, name_size);
  return variable;
}

mica_variable *mica_variable_create(const char *name, mica_tensor *initial) {
  if (initial == NULL) return NULL;
  mica_variable *variable = mica_variable_create_empty(name, mica_tensor_type(initial));
  if (variable == NULL) return NULL;
  variable->value = mica_tensor_retain(initial);
  variable->version = 1;
  return variable;
}

mica_variable *mica_variable_retain(mica_variable *variable) {
  if (variable != NULL)
    atomic_fetch_add_explicit(&variable->reference_count, 1, memory_order_relaxed);
  return variable;
}

void mica_variable_release(mica_variable *variable) {
  if (variable == NULL) return;
  if (atomic_fetch_sub_explicit(&variable->reference_count, 1, memory_order_acq_rel) != 1) return;
  mica_tensor_release(variable->value);
  mica_mesh_release(variable->mesh);
  if (variable->sharding != NULL)
    mica_free(NULL, variable->sharding, strlen(variable->sharding) + 1);
  mica_mutex_deinit(&variable->mutex);
  mica_free(NULL, variable, variable->allocation_size);
}

const char *mica_variable_name(const mica_variable *variable) {
  return variable == NULL ? "" : variable->name;
}

mica_type mica_variable_type(const mica_variable *variable) {
  return variable == NULL ? (mica_type){0} : variable->type;
}

mica_tensor *mica_variable_snapshot(mica_variable *variable) {
  if (variable == NULL) return NULL;
  mica_mutex_lock(&variable->mutex);
  mica_tensor *value = mica_tensor_retain(variable->value);
  mica_mutex_unlock(&variable->mutex);
  return value;
}

mica_status mica_variable_set(mica_variable *variable, mica_tensor *value, mica_error *error) {
  if (variable == NULL) return mica_error_set(error, MICA_INVALID, "the variable is NULL");
  if (value == NULL)
    return mica_error_set(error, MICA_INVALID, "the value for variable '%s' is NULL",
                          variable->name);
  mica_type type = mica_tensor_type(value);
  if (!mica_type_equal(type, variable->type)) {
    char given[160], expected[160];
    mica_type_format(type, given, sizeof(given));
    mica_type_format(variable->type, expected, sizeof(expected));
    return mica_error_set(error, MICA_INVALID, "variable '%s' is %s, the value for it %s",
                          variable->name, expected, given);
  }
  mica_tensor_retain(value);
  mica_mutex_lock(&variable->mutex);
  mica_tensor *old = variable->value;
  variable->value = value;
  variable->version++;
  mica_mutex_unlock(&variable->mutex);
  /* Outside of the lock: giving back wrapped memory calls a function of the host's. */
  mica_tensor_release(old);
  return MICA_OK;
}

mica_status mica_variable_shard(mica_variable *variable, const mica_mesh *mesh,
                                const char *sharding, mica_error *error) {
  if (variable == NULL) return mica_error_set(error, MICA_INVALID, "the variable is NULL");
  if (sharding == NULL) sharding = "";
  char *copy = NULL;
  size_t size = strlen(sharding) + 1;
  mica_shape part;
  mica_error reason = {0};
  if (mesh != NULL) {
    if (mica_shard_shape(mesh, variable->type.shape, sharding, &part, &reason) != MICA_OK)
      return mica_error_set(error, reason.status, "variable '%s': %s", variable->name,
                            reason.message);
    copy = mica_allocate(NULL, size);
    if (copy == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a sharding");
    memcpy(copy, sharding, size);
  }
  mica_mutex_lock(&variable->mutex);
  mica_mesh *old_mesh = variable->mesh;
  char *old = variable->sharding;
  variable->mesh =
      mica_mesh_retain((mica_mesh *)(uintptr_t)mesh); /* it counts, and does not change */
  variable->sharding = copy;
  mica_mutex_unlock(&variable->mutex);
  mica_mesh_release(old_mesh);
  if (old != NULL) mica_free(NULL, old, strlen(old) + 1);
  return MICA_OK;
}
