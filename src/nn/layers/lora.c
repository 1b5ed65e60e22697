/* SPDX-License-Identifier: Apache-2.0 */
/* lora.c: adapters that are added to their kernels, and taken back. How a layer uses one is in layer.c. */
#include "mica/nn/lora.h"

#include <stdio.h>

#include "nn/layers/layer.h"

typedef struct {
  mica_store_entry kernel, a, b, on;
} nn_adapter;

/* The adapter whose switch has this path. */
static bool find_adapter(const mica_store *store, const mica_store_entry *on, nn_adapter *out) {
  char path[640];
  size_t size = strlen(on->path) - strlen("_lora_on");
  if (size + 8 >= sizeof path) return false;
  out->on = *on;
  memcpy(path, on->path, size);
  snprintf(path + size, sizeof path - size, "_lora_a");
  bool found = mica_store_find(store, path, &out->a);
  snprintf(path + size, sizeof path - size, "_lora_b");
  found = found && mica_store_find(store, path, &out->b);
  path[size] = 0;
  return found && mica_store_find(store, path, &out->kernel);
}

/* kernel + factor A B, and the switch. */
static mica_status change_kernel(mica_device *device, const nn_adapter *adapter, double factor,
                                 bool on, mica_error *error) {
  mica_graph *graph = mica_graph_create(NULL);
  mica_value kernel = mica_variable_read(graph, adapter->kernel.variable);
  mica_value change = mica_matmul(mica_variable_read(graph, adapter->a.variable),
                                  mica_variable_read(graph, adapter->b.variable));
  change = mica_reshape(mica_mul(change, factor), mica_shape_of(kernel));
  mica_variable_assign(adapter->kernel.variable, mica_add(kernel, change));
  mica_variable_assign(adapter->on.variable, mica_full(graph, adapter->on.type, on ? 1 : 0));
  mica_graph_set_outputs(graph, NULL, 0);
  mica_executable *executable = NULL;
  mica_status status = mica_compile(device, graph, 0, &executable, error);
  if (status == MICA_OK) status = mica_executable_run(executable, NULL, 0, NULL, 0, error);
  mica_executable_release(executable);
  mica_graph_destroy(graph);
  return status;
}

static mica_status change_all(mica_store *store, double alpha, bool merge, size_t *out_count,
                              mica_error *error) {
  if (out_count != NULL) *out_count = 0;
  if (store == NULL) return mica_error_set(error, MICA_INVALID, "the store is NULL");
  mica_status status = MICA_OK;
  mica_store_entry entry;
  for (size_t i = 0; status == MICA_OK && mica_store_get(store, i, &entry); i++) {
    nn_adapter adapter;
    if (!mica_path_matches("**_lora_on", entry.path) || !find_adapter(store, &entry, &adapter))
      continue;
    mica_tensor *now = mica_variable_snapshot(entry.variable);
    double on = 0;
    status = mica_tensor_read_doubles(now, &on, 1, error);
    mica_tensor_release(now);
    if (status != MICA_OK || (on != 0) != merge) continue;
    double rank = (double)adapter.a.type.shape.dim[1], scale = alpha == 0 ? 1 : alpha / rank;
    status =
        change_kernel(mica_store_device(store), &adapter, merge ? scale : -scale, !merge, error);
    if (status == MICA_OK && out_count != NULL) ++*out_count;
  }
  return status;
}

mica_status mica_store_lora_merge(mica_store *store, double alpha, size_t *out_count,
                                  mica_error *error) {
  return change_all(store, alpha, true, out_count, error);
}
mica_status mica_store_lora_unmerge(mica_store *store, double alpha, size_t *out_count,
                                    mica_error *error) {
  return change_all(store, alpha, false, out_count, error);
}
