/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.c: vector neurons, [..., channels, 3]: what a rotation of space does to the input it does to the output. */
#include "mica/nn/layers.h"
#include "mica/nn/networks.h"
#include "nn/layers/layer.h"

static bool vector_input(mica_scope *scope, mica_value x, const char *name) {
  if (!mica_nn_enter(scope, x, name)) return false;
  if (mica_rank_of(x) >= 2 && mica_dim_of(x, -1) == 3 && mica_dtype_is_float(mica_dtype_of(x)))
    return true;
  char type[160];
  mica_type_format(mica_type_of(x), type, sizeof type);
  mica_fail(mica_scope_graph(scope), MICA_INVALID,
            "%s \"%s\": expected floats [..., channels, 3], not %s", name, mica_scope_path(scope),
            type);
  return false;
}

/* [..., channels, 3] -> [..., units, 3]. */
static mica_value mix_channels(mica_scope *scope, mica_value x, int64_t units) {
  mica_nn_kernel_options options = {.otherwise = mica_init_glorot_uniform()};
  mica_value kernel = mica_nn_kernel(scope, "kernel", mica_dtype_of(x),
                                     MICA_DIMS(mica_dim_of(x, -2), units), &options);
  return mica_swap_axes(mica_matmul(mica_swap_axes(x, -1, -2), kernel), -1, -2);
}

mica_value mica_nn_vector_dense(mica_scope *scope, mica_value x, int64_t units) {
  if (!vector_input(scope, x, "vector_dense")) return mica_nn_leave(scope, (mica_value){0});
  if (units < 1)
    return mica_nn_leave(
        scope, mica_fail(mica_scope_graph(scope), MICA_INVALID,
                         "vector_dense \"%s\": expected units above 0", mica_scope_path(scope)));
  return mica_nn_leave(scope, mix_channels(scope, x, units));
}

mica_value mica_nn_vector_relu(mica_scope *scope, mica_value x, double slope) {
  if (!vector_input(scope, x, "vector_relu")) return mica_nn_leave(scope, (mica_value){0});
  mica_value k = mix_channels(scope, x, mica_dim_of(x, -2));
  mica_value along = mica_reduce_sum(mica_mul(x, k), MICA_KEEP(-1));
  mica_value size = mica_add(mica_reduce_sum(mica_square(k), MICA_KEEP(-1)), 1e-6);
  /* x less its part along k where that is negative. */
  mica_value off = mica_mul(k, mica_div(mica_min(along, 0), size));
  return mica_nn_leave(scope, mica_sub(x, mica_mul(off, 1 - slope)));
}

mica_value mica_nn_vector_layer_norm(mica_scope *scope, mica_value x) {
  if (!vector_input(scope, x, "vector_layer_norm")) return mica_nn_leave(scope, (mica_value){0});
  mica_dtype dtype = mica_dtype_of(x);
  mica_shape n = MICA_DIMS(mica_dim_of(x, -2));
  mica_value scale =
      mica_nn_parameter(scope, "scale", dtype, n, (mica_initializer){0}, mica_init_ones());
  mica_value bias =
      mica_nn_parameter(scope, "bias", dtype, n, (mica_initializer){0}, mica_init_zeros());
  mica_value size = mica_sqrt(mica_add(mica_reduce_sum(mica_square(x), MICA_AXES(-1)), 1e-12));
  mica_value wanted = mica_layer_norm(size, scale, bias, 1e-5);
  return mica_nn_leave(scope, mica_mul(x, mica_expand_dims(mica_div(wanted, size), -1)));
}

mica_value mica_nn_vector_dropout(mica_scope *scope, mica_value x, double rate) {
  if (!vector_input(scope, x, "vector_dropout")) return mica_nn_leave(scope, (mica_value){0});
  mica_shape shape = mica_shape_of(x);
  shape.dim[shape.rank - 1] = 1;
  mica_value ones = mica_full(x.graph, (mica_type){mica_dtype_of(x), shape}, 1);
  return mica_nn_leave(scope, mica_mul(x, mica_nn_dropout_within(scope, ones, rate)));
}

mica_value mica_nn_vector_products(mica_value x, mica_value y) {
  return mica_matmul(x, mica_swap_axes(y, -1, -2));
}
