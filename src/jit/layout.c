/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c: a jit whose inputs and outputs are laid out on a mesh: its function that builds, with mica_shard
 * of what goes in and what comes out. */
#include "graph/graph_internal.h"
#include "jit/jit_internal.h"

#include <string.h>

typedef struct jit_layout {
  mica_mesh *mesh;
  mica_build *build; /* the caller's */
  void *user;
  size_t inputs, outputs, memory_size;
  char **sharding; /* [inputs + outputs] NULL: whole */
} jit_layout;

static void build_laid_out(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const jit_layout *layout = user;
  mica_value *laid = mica_arena_allocate(&graph->arena, (layout->inputs + 1) * sizeof(*laid));
  if (laid == NULL) {
    mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
    return;
  }
  for (size_t i = 0; i < layout->inputs; i++)
    laid[i] = mica_shard(in[i], layout->mesh, layout->sharding[i]);
  layout->build(graph, laid, out, layout->user);
  for (size_t i = 0; i < layout->outputs; i++)
    out[i] = mica_shard(out[i], layout->mesh, layout->sharding[layout->inputs + i]);
}

static const char *sharding_of(const mica_jit_args *args, size_t index) {
  if (index < args->inputs) return args->shardings == NULL ? NULL : args->shardings[index];
  return args->output_shardings == NULL ? NULL : args->output_shardings[index - args->inputs];
}

bool mica_jit_layout_begin(mica_jit *jit, const mica_jit_args *args) {
  if (args->mesh == NULL || args->build == NULL) return true;
  size_t count = args->inputs + args->outputs, size = sizeof(jit_layout) + count * sizeof(char *);
  for (size_t i = 0; i < count; i++)
    size += sharding_of(args, i) == NULL ? 0 : strlen(sharding_of(args, i)) + 1;
  jit_layout *layout = mica_allocate_zeroed(&jit->allocator, 1, size);
  if (layout == NULL) return false;
  layout->mesh = mica_mesh_retain((mica_mesh *)(uintptr_t)args->mesh); /* only counted */
  layout->build = args->build;
  layout->user = args->user;
  layout->inputs = args->inputs;
  layout->outputs = args->outputs;
  layout->memory_size = size;
  layout->sharding = (char **)(void *)(layout + 1);
  char *text = (char *)(layout->sharding + count);
  for (size_t i = 0; i < count; i++) {
    const char *given = sharding_of(args, i);
    if (given == NULL) continue;
    layout->sharding[i] = text;
    text = memcpy(text, given, strlen(given) + 1);
    text += strlen(given) + 1;
  }
  jit->layout = layout;
  jit->build = build_laid_out;
  jit->user = layout;
  return true;
}

/* ---- calls on arrays in parts -------------------------------------------------------------------- */

static mica_status enter_sharded(mica_jit *jit, mica_sharded_tensor *const *in, mica_tensor **whole,
                                 size_t count, mica_error *error) {
  mica_status status = MICA_OK;
  for (size_t i = 0; i < count && status == MICA_OK; i++)
    status = mica_sharded_tensor_to_device(jit->device, in[i], &whole[i], error);
  return status;
}

static mica_status leave_sharded(const jit_layout *layout, mica_tensor *const *whole,
                                 mica_sharded_tensor **out, size_t count, mica_error *error) {
  mica_status status = MICA_OK;
  for (size_t i = 0; i < count && status == MICA_OK; i++)
    status = mica_tensor_shard(whole[i], layout->mesh, layout->sharding[layout->inputs + i],
                               &out[i], error);
  for (size_t i = 0; i < count && status != MICA_OK; i++) {
    mica_sharded_tensor_release(out[i]);
    out[i] = NULL;
  }
  return status;
}

mica_status mica_jit_call_sharded(mica_jit *jit, mica_sharded_tensor *const *in, size_t in_count,
                                  mica_sharded_tensor **out, size_t out_count, mica_error *error) {
  if (jit == NULL) return mica_null_error(error, "the jit");
  if (jit->layout == NULL)
    return mica_error_set(error, MICA_INVALID,
                          "arrays in parts are for a jit with a mesh: give .mesh, .shardings and "
                          ".output_shardings to mica_jit_create");
  if (in_count != jit->layout->inputs || out_count != jit->layout->outputs)
    return mica_error_set(error, MICA_INVALID,
                          "%zu inputs and %zu outputs given, expected %zu and %zu", in_count,
                          out_count, jit->layout->inputs, jit->layout->outputs);
  if ((in == NULL && in_count > 0) || (out == NULL && out_count > 0))
    return mica_null_error(error, "the list of arrays");
  size_t size = (in_count + out_count + 1) * sizeof(mica_tensor *);
  mica_tensor **tensors = mica_allocate_zeroed(&jit->allocator, 1, size);
  if (tensors == NULL) return mica_error_set(error, MICA_OUT_OF_MEMORY, "no memory for a call");
  for (size_t i = 0; i < out_count; i++) out[i] = NULL;
  mica_status status = enter_sharded(jit, in, tensors, in_count, error);
  if (status == MICA_OK)
    status = mica_jit_call(jit, tensors, in_count, tensors + in_count, out_count, error);
  if (status == MICA_OK)
    status = leave_sharded(jit->layout, tensors + in_count, out, out_count, error);
  for (size_t i = 0; i < in_count + out_count; i++) mica_tensor_release(tensors[i]);
  mica_free(&jit->allocator, tensors, size);
  return status;
}

void mica_jit_layout_end(mica_jit *jit) {
  if (jit->layout == NULL) return;
  mica_mesh_release(jit->layout->mesh);
  mica_free(&jit->allocator, jit->layout, jit->layout->memory_size);
  jit->layout = NULL;
}
