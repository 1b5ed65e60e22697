/* SPDX-License-Identifier: Apache-2.0 */
/* feed_forward.c: networks of dense layers by settings, one or many at once. */
#include <inttypes.h>
#include <math.h>

#include "mica/nn/layers.h"
#include "mica/nn/networks.h"
#include "mica/nn/norm.h"
#include "nn/layers/layer.h"

/* x [ensemble, batch, in] -> [ensemble, batch, units]; one network: x [..., in]. */
static mica_value network_layer(const mica_nn_fnn_args *a, mica_scope *scope, mica_value x,
                                int64_t units) {
  if (a->ensemble <= 1)
    return mica_nn_dense(scope, x, .units = units, .kernel_initializer = mica_init_he_normal(),
                         .l1 = a->l1, .l2 = a->l2);
  if (!mica_nn_enter(scope, x, "fnn")) return (mica_value){0};
  mica_initializer he = mica_init_he_normal();
  he.a *= (double)a->ensemble; /* the kernel's own fan in counts the networks */
  mica_nn_kernel_options options = {.otherwise = he, .l1 = a->l1, .l2 = a->l2};
  mica_value kernel = mica_nn_kernel(scope, "kernel", mica_dtype_of(x),
                                     MICA_DIMS(a->ensemble, mica_dim_of(x, -1), units), &options);
  mica_value bias =
      mica_nn_parameter(scope, "bias", mica_dtype_of(x), MICA_DIMS(a->ensemble, 1, units),
                        (mica_initializer){0}, mica_init_zeros());
  return mica_nn_leave(scope, mica_add(mica_matmul(x, kernel), bias));
}

mica_value mica_nn_fnn_with(const mica_nn_fnn_args *given) {
  MICA_NN_ARGS(mica_nn_fnn_args, a, given);
  mica_scope *scope = a.scope;
  if (scope == NULL) return mica_fail(a.x.graph, MICA_INVALID, "fnn: the scope is NULL");
  mica_graph *graph = mica_scope_graph(scope);
  if (a.layers == 0) a.layers = mica_scope_get_integer(scope, "fnn_layers", 2);
  if (a.units == 0) a.units = mica_scope_get_integer(scope, "fnn_units", 64);
  if (a.activation == NULL) a.activation = mica_scope_get_text(scope, "fnn_activation", "relu");
  if (a.norm == NULL) a.norm = mica_scope_get_text(scope, "fnn_norm", "none");
  if (a.dropout == 0) a.dropout = mica_scope_get_number(scope, "fnn_dropout", 0);
  mica_nn_activation activation = MICA_NN_RELU;
  bool known = mica_nn_activation_from_name(a.activation, &activation);
  const char *path = mica_scope_path(scope);
  if (!known || mica_nn_activation_is_gated(activation))
    return mica_fail(graph, MICA_INVALID, "fnn \"%s\": activation \"%.40s\" is %s", path,
                     a.activation,
                     known ? "a gated one: expected one that keeps the size" : "unknown");
  if (a.layers < -1)
    return mica_fail(graph, MICA_INVALID,
                     "fnn \"%s\": expected layers of -1 (none) or more, not %" PRId64, path,
                     a.layers);
  if (a.out < 1 || a.units < 1)
    return mica_fail(graph, MICA_INVALID,
                     "fnn \"%s\": expected out and units above 0, not %" PRId64 " and %" PRId64,
                     path, a.out, a.units);
  if (a.ensemble > 1 && mica_rank_of(a.x) != 2)
    return mica_fail(graph, MICA_INVALID,
                     "fnn \"%s\": expected x [batch, in] for an ensemble, not rank %d", path,
                     (int)mica_rank_of(a.x));
  mica_value x = a.x;
  if (a.ensemble > 1) {
    mica_shape wide = MICA_DIMS(a.ensemble, mica_dim_of(x, 0), mica_dim_of(x, 1));
    x = mica_broadcast_to(x, wide);
  }
  for (int64_t i = 0; i < a.layers; i++) {
    mica_scope *layer = mica_scope_in_index(scope, "hidden", i);
    mica_value y = network_layer(&a, layer, x, a.units);
    y = mica_nn_norm_by_name(mica_scope_in(layer, "norm"), y, a.norm);
    y = mica_nn_dropout(layer, mica_nn_activate(y, activation), a.dropout);
    bool add = a.residual && mica_dim_of(x, -1) == a.units;
    x = add ? mica_add(x, y) : y;
  }
  x = network_layer(&a, mica_scope_in(scope, "out"), x, a.out);
  return a.ensemble > 1 ? mica_swap_axes(x, 0, 1) : x;
}
