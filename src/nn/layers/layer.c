/* SPDX-License-Identifier: Apache-2.0 */
/* layer.c: what layers share: their place in the graph's scopes, parameters, kernels. */
#include "nn/layers/layer.h"

#include <math.h>
#include <stdio.h>

/* ---- scopes of the graph ------------------------------------------------------------------------ */

/* Opens (or closes) one scope of the graph for each part of the path. */
static void each_part(mica_scope *scope, bool open) {
  mica_graph *graph = mica_scope_graph(scope);
  const char *path = mica_scope_path(scope);
  char name[512];
  size_t size = strlen(path);
  if (size >= sizeof name) return;
  if (open) {
    for (size_t at = 0; at < size;) {
      size_t part = strcspn(path + at, "/");
      memcpy(name, path + at, part);
      name[part] = 0;
      mica_scope_push(graph, name);
      at += part + 1;
    }
    return;
  }
  while (size > 0) {
    size_t at = size;
    while (at > 0 && path[at - 1] != '/') at--;
    memcpy(name, path + at, size - at);
    name[size - at] = 0;
    mica_scope_pop(graph, name);
    size = at > 0 ? at - 1 : 0;
  }
}

bool mica_nn_enter(mica_scope *scope, mica_value x, const char *layer) {
  if (scope == NULL) {
    mica_fail(x.graph, MICA_INVALID, "%s: the scope is NULL", layer);
    return false;
  }
  mica_graph *graph = mica_scope_graph(scope);
  if (mica_graph_has_failed(graph)) return false;
  each_part(scope, true);
  if (x.graph != graph || !mica_is_valid(x)) {
    mica_fail(graph, MICA_INVALID, "%s in scope \"%.200s\": the input is no value of this graph",
              layer, mica_scope_path(scope));
    return false;
  }
  return true;
}

mica_value mica_nn_leave(mica_scope *scope, mica_value y) {
  each_part(scope, false);
  return y;
}

/* ---- parameters --------------------------------------------------------------------------------- */

mica_dtype mica_nn_master_dtype(mica_dtype dtype) {
  return dtype == MICA_F64 ? MICA_F64 : MICA_F32;
}

mica_value mica_nn_parameter(mica_scope *scope, const char *name, mica_dtype dtype,
                             mica_shape shape, mica_initializer given, mica_initializer otherwise) {
  mica_type type = {mica_nn_master_dtype(dtype), shape};
  mica_initializer chosen = given.kind == MICA_INITIALIZER_DEFAULT ? otherwise : given;
  mica_value value = mica_scope_variable(scope, name, type, chosen);
  return mica_is_valid(value) ? mica_convert(value, dtype) : value;
}

/* scale v / |v|, the norm over all axes but the last. scale starts at 1: as if the kernel had been normalized. */
static mica_value normalize_weights(mica_scope *scope, mica_value kernel, mica_dtype master) {
  int32_t rank = mica_rank_of(kernel);
  mica_axes axes = {.count = rank - 1, .keep = true};
  for (int32_t i = 0; i < rank - 1; i++) axes.axis[i] = i;
  mica_value scale = mica_nn_parameter(scope, "scale", master, MICA_DIMS(mica_dim_of(kernel, -1)),
                                       (mica_initializer){0}, mica_init_ones());
  mica_value norm = mica_sqrt(mica_reduce_sum(mica_square(kernel), axes));
  return mica_mul(kernel, mica_div(scale, norm));
}

/* W + alpha / rank on A B (lora.h). */
static mica_value adapt_kernel(mica_scope *scope, const char *name, mica_value kernel,
                               int64_t rank) {
  char part[96];
  int64_t out = mica_dim_of(kernel, -1), in = 1;
  for (int32_t i = 0; i < mica_rank_of(kernel) - 1; i++) in *= mica_dim_of(kernel, i);
  mica_dtype dtype = mica_dtype_of(kernel);
  double alpha = mica_scope_get_number(scope, "lora_alpha", 0);
  if (alpha == 0) alpha = (double)rank;
  snprintf(part, sizeof part, "%s_lora_a", name);
  mica_value a = mica_scope_variable(scope, part, (mica_type){dtype, MICA_DIMS(in, rank)},
                                     mica_init_he_uniform());
  snprintf(part, sizeof part, "%s_lora_b", name);
  mica_value b =
      mica_scope_variable(scope, part, (mica_type){dtype, MICA_DIMS(rank, out)}, mica_init_zeros());
  snprintf(part, sizeof part, "%s_lora_on", name);
  mica_value on = mica_scope_state(scope, part, (mica_type){dtype, MICA_SCALAR}, mica_init_ones());
  mica_value change = mica_mul(mica_matmul(a, b), mica_mul(on, alpha / (double)rank));
  return mica_add(kernel, mica_reshape(change, mica_shape_of(kernel)));
}

mica_value mica_nn_kernel(mica_scope *scope, const char *name, mica_dtype dtype, mica_shape shape,
                          const mica_nn_kernel_options *options) {
  mica_dtype master = mica_nn_master_dtype(dtype);
  mica_initializer chosen =
      options->given.kind == MICA_INITIALIZER_DEFAULT ? options->otherwise : options->given;
  int64_t rank = mica_scope_get_integer(scope, "lora_rank", 0);
  mica_type type = {master, shape};
  /* A kernel under an adapter rests: it is not among the trainable variables of this trace. */
  mica_value kernel = rank > 0 ? mica_scope_frozen(scope, name, type, chosen)
                               : mica_scope_variable(scope, name, type, chosen);
  if (!mica_is_valid(kernel)) return kernel;
  if (options->l1 > 0)
    mica_scope_add_loss(scope, mica_mul(mica_reduce_sum(mica_abs(kernel), MICA_ALL), options->l1));
  if (options->l2 > 0)
    mica_scope_add_loss(scope,
                        mica_mul(mica_reduce_sum(mica_square(kernel), MICA_ALL), options->l2));
  if (rank > 0) kernel = adapt_kernel(scope, name, kernel, rank);
  if (options->weight_norm) kernel = normalize_weights(scope, kernel, master);
  return mica_convert(kernel, dtype);
}

mica_value mica_nn_add_bias(mica_scope *scope, mica_value x, const char *name, bool no_bias,
                            mica_initializer given) {
  if (no_bias || !mica_is_valid(x)) return x;
  mica_value bias = mica_nn_parameter(scope, name, mica_dtype_of(x), MICA_DIMS(mica_dim_of(x, -1)),
                                      given, mica_init_zeros());
  return mica_add(x, bias);
}
