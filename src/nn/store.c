/* SPDX-License-Identifier: Apache-2.0 */
/* store.c: variables by path: their life, their first values, and what can be asked of them. */
#include "nn/store_internal.h"

#include <string.h>

/* Fowler, Noll and Vo's hash FNV-1a (IETF draft-eastlake-fnv): part of what initial values depend on. */
uint64_t mica_nn_hash(const char *text, size_t size) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (size_t i = 0; i < size; i++)
    hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
  return hash;
}

char *mica_nn_copy_text(const mica_store *store, const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = mica_allocate(&store->allocator, size);
  if (copy != NULL) memcpy(copy, text, size);
  return copy;
}
void mica_nn_free_text(const mica_store *store, char *text) {
  if (text != NULL) mica_free(&store->allocator, text, strlen(text) + 1);
}

bool mica_nn_is_name(const char *name, size_t size) {
  for (size_t i = 0; i < size; i++) {
    char c = name[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && (c == 0 || strchr("_-+:@", c) == NULL)) return false;
  }
  return size > 0;
}
bool mica_nn_is_path(const char *path) {
  while (true) {
    size_t size = strcspn(path, "/");
    if (!mica_nn_is_name(path, size)) return false;
    if (path[size] == 0) return true;
    path += size + 1;
  }
}

/* ---- life ------------------------------------------------------------------------------------ */

mica_store *mica_store_create(mica_device *device, uint64_t seed) {
  mica_allocator allocator = mica_device_allocator(device);
  mica_store *store = mica_allocate_zeroed(&allocator, 1, sizeof *store);
  if (store == NULL) return NULL;
  if (mica_mutex_init(&store->mutex) != 0) {
    mica_free(&allocator, store, sizeof *store);
    return NULL;
  }
  store->allocator = allocator;
  store->device = mica_device_retain(device);
  store->seed = seed;
  return store;
}

static void free_entry(const mica_store *store, nn_entry *entry) {
  mica_variable_release(entry->variable);
  mica_tensor_release(entry->initial);
  mica_nn_free_text(store, entry->path);
  mica_free(&store->allocator, entry, sizeof *entry);
}

void mica_store_destroy(mica_store *store) {
  if (store == NULL) return;
  while (store->traces != NULL) { /* one that was not closed: its graph may be gone already */
    store->traces->graph = NULL;
    mica_scope_close(&store->traces->root);
  }
  for (uint32_t i = 0; i < store->entry_count; i++) free_entry(store, store->entries[i]);
  mica_mesh_release(store->mesh);
  mica_nn_free_text(store, store->mesh_axes);
  mica_allocator allocator = store->allocator;
  mica_device *device = store->device;
  mica_free(&allocator, store->entries, store->entry_capacity * sizeof(nn_entry *));
  mica_nn_free_settings(store);
  mica_nn_free_groups(store);
  mica_mutex_deinit(&store->mutex);
  mica_free(&allocator, store, sizeof *store);
  mica_device_release(device);
}

uint64_t mica_store_seed(const mica_store *store) { return store == NULL ? 0 : store->seed; }
mica_device *mica_store_device(const mica_store *store) {
  return store == NULL ? NULL : store->device;
}

/* ---- entries --------------------------------------------------------------------------------- */

nn_entry *mica_nn_find_entry(const mica_store *store, const char *path) {
  uint64_t hash = mica_nn_hash(path, strlen(path));
  for (uint32_t i = 0; i < store->entry_count; i++)
    if (store->entries[i]->hash == hash && strcmp(store->entries[i]->path, path) == 0)
      return store->entries[i];
  return NULL;
}

nn_entry *mica_nn_add_entry(mica_store *store, const char *path, mica_type type, bool trainable) {
  if (!mica_grow(&store->allocator, &store->entries, &store->entry_capacity,
                 store->entry_count + 1u, sizeof(nn_entry *)))
    return NULL;
  nn_entry *entry = mica_allocate_zeroed(&store->allocator, 1, sizeof *entry);
  if (entry == NULL) return NULL;
  *entry = (nn_entry){.type = type, .trainable = trainable, .pending = true};
  entry->hash = mica_nn_hash(path, strlen(path));
  entry->path = mica_nn_copy_text(store, path);
  entry->variable = mica_variable_create_empty(path, type);
  if (entry->path == NULL || entry->variable == NULL ||
      mica_nn_lay_out(store, entry->variable, NULL) != MICA_OK) {
    free_entry(store, entry);
    return NULL;
  }
  store->entries[store->entry_count++] = entry;
  return entry;
}

void mica_nn_drop_entry(mica_store *store, nn_entry *entry) {
  uint32_t at = 0;
  while (store->entries[at] != entry) at++;
  store->entry_count--;
  memmove(store->entries + at, store->entries + at + 1,
          (store->entry_count - at) * sizeof(nn_entry *));
  free_entry(store, entry);
}

/* A lock is no part of the value. */
static mica_mutex *store_mutex(const mica_store *store) {
  return (mica_mutex *)(uintptr_t)&store->mutex;
}

size_t mica_store_count(const mica_store *store) {
  if (store == NULL) return 0;
  mica_mutex_lock(store_mutex(store));
  size_t count = store->entry_count;
  mica_mutex_unlock(store_mutex(store));
  return count;
}

bool mica_store_get(const mica_store *store, size_t index, mica_store_entry *out) {
  if (store == NULL || out == NULL) return false;
  mica_mutex_lock(store_mutex(store));
  bool found = index < store->entry_count;
  if (found) *out = mica_nn_describe(store, store->entries[index]);
  mica_mutex_unlock(store_mutex(store));
  return found;
}

bool mica_store_find(const mica_store *store, const char *path, mica_store_entry *out) {
  if (store == NULL || path == NULL) return false;
  mica_mutex_lock(store_mutex(store));
  const nn_entry *entry = mica_nn_find_entry(store, path);
  if (entry != NULL && out != NULL) *out = mica_nn_describe(store, entry);
  mica_mutex_unlock(store_mutex(store));
  return entry != NULL;
}

mica_status mica_store_put(mica_store *store, const char *path, mica_tensor *value, bool trainable,
                           mica_error *error) {
  if (store == NULL || path == NULL || value == NULL)
    return mica_error_set(error, MICA_INVALID, "%s to put into a store is NULL",
                          store == NULL  ? "the store"
                          : path == NULL ? "the path"
                                         : "the value");
  if (!mica_nn_is_path(path))
    return mica_error_set(error, MICA_INVALID, "\"%.200s\" is no path of a variable", path);
  mica_mutex_lock(&store->mutex);
  nn_entry *entry = mica_nn_find_entry(store, path);
  if (entry == NULL) {
    entry = mica_nn_add_entry(store, path, mica_tensor_type(value), trainable);
    if (entry != NULL) {
      entry->initializer.kind = MICA_INITIALIZER_TENSOR;
      entry->initial = mica_tensor_retain(value);
    }
  }
  if (entry != NULL) entry->maker = NULL;
  mica_variable *variable = entry == NULL ? NULL : mica_variable_retain(entry->variable);
  mica_mutex_unlock(&store->mutex);
  if (variable == NULL)
    return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for variable '%s'", path);
  mica_status status = mica_variable_set(variable, value, error);
  mica_variable_release(variable);
  if (status == MICA_OK) {
    mica_mutex_lock(&store->mutex);
    entry->pending = false;
    mica_mutex_unlock(&store->mutex);
  }
  return status;
}

static int64_t add_up(const mica_store *store, bool trainable_only, bool bytes) {
  int64_t sum = 0;
  mica_store_entry entry;
  for (size_t i = 0; mica_store_get(store, i, &entry); i++) {
    size_t size = 0;
    if (trainable_only && !entry.trainable) continue;
    if (bytes && !mica_type_byte_size(entry.type, &size)) continue;
    sum += bytes ? (int64_t)size : mica_shape_count(entry.type.shape);
  }
  return sum;
}
int64_t mica_store_parameter_count(const mica_store *store, bool trainable_only) {
  return add_up(store, trainable_only, false);
}
int64_t mica_store_byte_count(const mica_store *store, bool trainable_only) {
  return add_up(store, trainable_only, true);
}

/* ---- initial values -------------------------------------------------------------------------- */

/* The variables whose values are computed together. */
typedef struct {
  nn_entry **entries;
  mica_variable **variables; /* retained */
  mica_value *values;
  mica_tensor **tensors;
  size_t count;
} nn_batch;

static bool take_pending(mica_store *store, nn_batch *batch) {
  bool taken = true;
  mica_mutex_lock(&store->mutex);
  size_t most = store->entry_count;
  batch->entries = mica_allocate_zeroed(&store->allocator, most, sizeof *batch->entries);
  batch->variables = mica_allocate_zeroed(&store->allocator, most, sizeof *batch->variables);
  batch->values = mica_allocate_zeroed(&store->allocator, most, sizeof *batch->values);
  batch->tensors = mica_allocate_zeroed(&store->allocator, most, sizeof *batch->tensors);
  taken = batch->entries && batch->variables && batch->values && batch->tensors;
  for (uint32_t i = 0; taken && i < store->entry_count; i++) {
    nn_entry *entry = store->entries[i];
    if (!entry->pending) continue;
    entry->maker = NULL; /* whoever made it may fail now: the value is wanted */
    batch->entries[batch->count] = entry;
    batch->variables[batch->count++] = mica_variable_retain(entry->variable);
  }
  mica_mutex_unlock(&store->mutex);
  return taken;
}

static void free_batch(mica_store *store, nn_batch *batch, size_t most) {
  for (size_t i = 0; i < batch->count; i++) {
    mica_variable_release(batch->variables[i]);
    mica_tensor_release(batch->tensors[i]);
  }
  mica_free(&store->allocator, batch->entries, most * sizeof *batch->entries);
  mica_free(&store->allocator, batch->variables, most * sizeof *batch->variables);
  mica_free(&store->allocator, batch->values, most * sizeof *batch->values);
  mica_free(&store->allocator, batch->tensors, most * sizeof *batch->tensors);
}

static void build_initial(mica_graph *graph, const mica_store *store, const nn_batch *batch) {
  for (size_t i = 0; i < batch->count; i++) {
    const nn_entry *entry = batch->entries[i];
    mica_initializer initializer = entry->initializer;
    if (entry->initial != NULL) initializer.tensor = entry->initial;
    mica_value key = mica_random_key(graph, store->seed);
    key = mica_random_fold_number(key, (uint32_t)entry->hash);
    key = mica_random_fold_number(key, (uint32_t)(entry->hash >> 32));
    batch->values[i] = mica_initial_value(initializer, key, entry->type);
    if (mica_is_valid(batch->values[i]) &&
        !mica_type_equal(mica_type_of(batch->values[i]), entry->type)) {
      char given[160], wanted[160];
      mica_type_format(mica_type_of(batch->values[i]), given, sizeof given);
      mica_type_format(entry->type, wanted, sizeof wanted);
      mica_fail(graph, MICA_INVALID, "the initial value of variable '%s' is %s, expected %s",
                entry->path, given, wanted);
    }
  }
  mica_graph_set_outputs(graph, batch->values, batch->count);
}

mica_status mica_nn_initialize(mica_store *store, mica_error *error) {
  nn_batch batch = {0};
  size_t most = mica_store_count(store);
  mica_graph *graph = NULL;
  mica_executable *executable = NULL;
  mica_status status = take_pending(store, &batch) ? MICA_OK
                                                   : mica_error_set(error, MICA_OUT_OF_MEMORY,
                                                                    "no memory for initial values");
  if (status == MICA_OK && batch.count > 0 && store->device == NULL)
    status = mica_error_set(error, MICA_INVALID, "the device of the store is NULL");
  if (status == MICA_OK && batch.count > 0) {
    graph = mica_graph_create(&store->allocator);
    build_initial(graph, store, &batch);
    status = mica_compile(store->device, graph, 0, &executable, error);
    if (status == MICA_OK)
      status = mica_executable_run(executable, NULL, 0, batch.tensors, batch.count, error);
  }
  mica_mutex_lock(&store->mutex);
  for (size_t i = 0; status == MICA_OK && i < batch.count; i++) {
    nn_entry *entry = batch.entries[i];
    if (!entry->pending) continue;
    status = mica_variable_set(batch.variables[i], batch.tensors[i], error);
    if (status == MICA_OK) entry->pending = false;
  }
  mica_mutex_unlock(&store->mutex);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  free_batch(store, &batch, most);
  return status;
}

mica_status mica_store_reset(mica_store *store, uint64_t seed, mica_error *error) {
  if (store == NULL) return mica_error_set(error, MICA_INVALID, "the store is NULL");
  mica_mutex_lock(&store->mutex);
  store->seed = seed;
  for (uint32_t i = 0; i < store->entry_count; i++) store->entries[i]->pending = true;
  mica_mutex_unlock(&store->mutex);
  return mica_nn_initialize(store, error);
}
