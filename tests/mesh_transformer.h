/* SPDX-License-Identifier: Apache-2.0 */
/* mesh_transformer.h: one training step of a transformer block with attention, feed-forward layer, two
 * normalizations and a classifier, on one device and in three ways on several: data-parallel, tensor-parallel
 * (heads and hidden units cut), and with cut parameters that are gathered where they are used (FSDP). Each gives
 * the loss and the parameters after a step of gradient descent. */
#ifndef TESTS_MESH_TRANSFORMER_H
#define TESTS_MESH_TRANSFORMER_H
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mica/jit.h"
#include "mica/mesh.h"

enum {
  STEP_BATCH = 8,
  STEP_TIME = 6,
  STEP_WIDTH = 16,
  STEP_HEADS = 4,
  STEP_HIDDEN = 32,
  STEP_CLASSES = 12,
  STEP_PARAMETERS = 12,
  STEP_INPUTS = STEP_PARAMETERS + 2,
  STEP_OUTPUTS = STEP_PARAMETERS + 1
};

typedef enum { STEP_ALONE, STEP_DATA, STEP_TENSOR, STEP_FSDP, STEP_BOTH } step_way;

/* Shapes, and how each way cuts them; inputs are the parameters, then x and labels. */
typedef struct {
  const char *name;
  mica_shape shape;
  const char *tensor, *fsdp; /* over "model"; over "data" */
} step_value;
static const step_value step_values[STEP_INPUTS] = {
    {"query", {2, {STEP_WIDTH, STEP_WIDTH}}, "-, model", "data, -"},
    {"key", {2, {STEP_WIDTH, STEP_WIDTH}}, "-, model", "data, -"},
    {"value", {2, {STEP_WIDTH, STEP_WIDTH}}, "-, model", "data, -"},
    {"output", {2, {STEP_WIDTH, STEP_WIDTH}}, "model, -", "data, -"},
    {"up", {2, {STEP_WIDTH, STEP_HIDDEN}}, "-, model", "data, -"},
    {"up_bias", {1, {STEP_HIDDEN}}, "model", "data"},
    {"down", {2, {STEP_HIDDEN, STEP_WIDTH}}, "model, -", "data, -"},
    {"scale_1", {1, {STEP_WIDTH}}, "", "data"},
    {"bias_1", {1, {STEP_WIDTH}}, "", "data"},
    {"scale_2", {1, {STEP_WIDTH}}, "", "data"},
    {"bias_2", {1, {STEP_WIDTH}}, "", "data"},
    {"classes", {2, {STEP_WIDTH, STEP_CLASSES}}, "", "data, -"},
    {"x", {3, {STEP_BATCH, STEP_TIME, STEP_WIDTH}}, "", "data, -, -"},
    {"labels", {2, {STEP_BATCH, STEP_TIME}}, "", "data, -"},
};

static const char *step_sharding(step_way way, int i) {
  bool data = i >= STEP_PARAMETERS;
  switch (way) {
    case STEP_DATA: return data ? step_values[i].fsdp : "";
    case STEP_TENSOR: return step_values[i].tensor;
    case STEP_FSDP: return step_values[i].fsdp;
    case STEP_BOTH: return data ? step_values[i].fsdp : step_values[i].tensor;
    default: return "";
  }
}

static mica_value step_heads(mica_value x, mica_value weight) {
  mica_value y = mica_matmul(x, weight); /* [batch, time, own heads * size] */
  int64_t size = STEP_WIDTH / STEP_HEADS, heads = mica_dim_of(y, 2) / size;
  y = mica_reshape(y, (mica_shape){4, {mica_dim_of(y, 0), STEP_TIME, heads, size}});
  return mica_transpose(y, MICA_AXES(0, 2, 1, 3));
}

/* `model`, if given, names the axis over which layers are cut; then sums over it close them. */
static mica_value step_loss(const mica_value *p, mica_value x, mica_value labels,
                            const char *model) {
  mica_value h = mica_layer_norm(x, p[7], p[8], 1e-5);
  mica_value mixed =
      mica_attention(step_heads(h, p[0]), step_heads(h, p[1]), step_heads(h, p[2]), .causal = true);
  mixed = mica_transpose(mixed, MICA_AXES(0, 2, 1, 3));
  mixed = mica_reshape(mixed, (mica_shape){3,
                                           {mica_dim_of(mixed, 0), STEP_TIME,
                                            mica_dim_of(mixed, 2) * mica_dim_of(mixed, 3)}});
  mixed = mica_matmul(mixed, p[3]);
  x = mica_add(x, model ? mica_all_reduce_sum(mixed, model) : mixed);
  h = mica_layer_norm(x, p[9], p[10], 1e-5);
  h = mica_matmul(mica_gelu(mica_add(mica_matmul(h, p[4]), p[5])), p[6]);
  x = mica_add(x, model ? mica_all_reduce_sum(h, model) : h);
  return mica_reduce_mean(mica_softmax_cross_entropy(mica_matmul(x, p[11]), labels), MICA_ALL);
}

typedef struct {
  step_way way;
  mica_mesh *mesh;
  bool automatic; /* shardings are wishes; else the program is written for one device of many */
} step_plan;

static mica_value manual_step_loss(const step_plan *plan, mica_graph *graph, const mica_value *in) {
  const char *shardings[STEP_INPUTS];
  mica_value part[STEP_INPUTS], loss;
  for (int i = 0; i < STEP_INPUTS; i++) shardings[i] = step_sharding(plan->way, i);
  mica_region region = mica_manual_begin(graph, plan->mesh, in, shardings, STEP_INPUTS);
  for (int i = 0; i < STEP_INPUTS; i++) {
    part[i] = mica_argument(region, (size_t)i);
    if (plan->way == STEP_FSDP && i < STEP_PARAMETERS)
      part[i] = mica_all_gather(part[i], "data", 0);
  }
  bool cut = plan->way == STEP_TENSOR || plan->way == STEP_BOTH;
  loss = step_loss(part, part[12], part[13], cut ? "model" : NULL);
  if (plan->way != STEP_TENSOR) loss = mica_all_reduce_mean(loss, "data");
  mica_manual_end(region, &loss, NULL, 1, &loss);
  return loss;
}

static void build_step(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  const step_plan *plan = user;
  mica_value given[STEP_INPUTS], slope[STEP_PARAMETERS];
  memcpy(given, in, sizeof given);
  if (plan->automatic)
    for (int i = 0; i < STEP_INPUTS; i++)
      given[i] = mica_shard(in[i], plan->mesh, step_sharding(plan->way, i));
  out[0] = plan->way == STEP_ALONE || plan->automatic ? step_loss(given, given[12], given[13], NULL)
                                                      : manual_step_loss(plan, graph, given);
  mica_gradients(out[0], given, STEP_PARAMETERS, slope);
  for (int i = 0; i < STEP_PARAMETERS; i++) {
    out[i + 1] = mica_sub(given[i], mica_mul(slope[i], 0.5));
    if (plan->automatic)
      out[i + 1] = mica_shard(out[i + 1], plan->mesh, step_sharding(plan->way, i));
  }
}

static mica_tensor *step_input(int i, mica_dtype dtype) {
  double values[STEP_BATCH * STEP_TIME * STEP_WIDTH];
  mica_shape shape = step_values[i].shape;
  int64_t count = mica_shape_count(shape);
  for (int64_t k = 0; k < count; k++) {
    uint32_t counter[4] = {(uint32_t)k, (uint32_t)i, 0, 0}, key[2] = {7, 11}, bits[4];
    mica_philox(counter, key, bits);
    double uniform = bits[0] / 4294967296.0;
    values[k] = i == 13 ? floor(uniform * STEP_CLASSES) : (2 * uniform - 1) * (i == 12 ? 1 : 0.4);
    if (i == 7 || i == 9) values[k] += 1;
  }
  return mica_tensor_from_doubles(i == 13 ? MICA_I32 : dtype, shape, values);
}

/* out[]: loss and parameters after one step. *out_text: the program, if wanted, to be freed by free. */
static mica_status run_step(mica_device *device, step_plan plan, mica_dtype dtype,
                            mica_tensor **out, mica_executable **out_executable,
                            mica_error *error) {
  mica_tensor *in[STEP_INPUTS];
  mica_type types[STEP_INPUTS];
  for (int i = 0; i < STEP_INPUTS; i++) {
    in[i] = step_input(i, dtype);
    types[i] = mica_tensor_type(in[i]);
  }
  mica_jit *jit = mica_jit_create(device, build_step, .inputs = STEP_INPUTS,
                                  .outputs = STEP_OUTPUTS, .user = &plan);
  mica_executable *executable = NULL;
  mica_status status = mica_jit_compile(jit, types, STEP_INPUTS, &executable, error);
  if (status == MICA_OK)
    status = mica_executable_run(executable, in, STEP_INPUTS, out, STEP_OUTPUTS, error);
  if (out_executable && status == MICA_OK)
    *out_executable = executable;
  else
    mica_executable_release(executable);
  mica_jit_destroy(jit);
  for (int i = 0; i < STEP_INPUTS; i++) mica_tensor_release(in[i]);
  return status;
}

/* The largest |a - b| / max(1, |b|) over all outputs; frees both lists. */
static double step_distance(mica_tensor **a, mica_tensor **b) {
  double most = 0;
  for (int i = 0; i < STEP_OUTPUTS; i++) {
    double x[STEP_WIDTH * STEP_HIDDEN], y[STEP_WIDTH * STEP_HIDDEN];
    int64_t count = mica_shape_count(mica_tensor_type(b[i]).shape);
    if (mica_tensor_read_doubles(a[i], x, count, NULL) != MICA_OK ||
        mica_tensor_read_doubles(b[i], y, count, NULL) != MICA_OK)
      most = INFINITY;
    for (int64_t k = 0; k < count; k++) {
      double distance = fabs(x[k] - y[k]) / fmax(1, fabs(y[k]));
      if (!(distance <= most)) most = distance;
    }
  }
  return most;
}
#endif
