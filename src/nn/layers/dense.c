/* SPDX-License-Identifier: Apache-2.0 */
/* dense.c: a product with a kernel, and rows of a table. */
#include <inttypes.h>
#include <math.h>

#include "mica/nn/layers.h"
#include "nn/layers/layer.h"

mica_value mica_nn_dense_with(const mica_nn_dense_args *given) {
  MICA_NN_ARGS(mica_nn_dense_args, args, given);
  mica_scope *scope = args.scope;
  if (!mica_nn_enter(scope, args.x, "dense")) return (mica_value){0};
  mica_graph *graph = mica_scope_graph(scope);
  if (args.units <= 0 || mica_rank_of(args.x) < 1 || !mica_dtype_is_float(mica_dtype_of(args.x)))
    return mica_nn_leave(scope,
                         mica_fail(graph, MICA_INVALID,
                                   "dense \"%s\": expected floats x [..., in] and units above 0, "
                                   "not rank %d of %s and %" PRId64 " units",
                                   mica_scope_path(scope), (int)mica_rank_of(args.x),
                                   mica_dtype_name(mica_dtype_of(args.x)), args.units));
  mica_nn_kernel_options options = {.given = args.kernel_initializer,
                                    .otherwise = mica_init_glorot_uniform(),
                                    .l1 = args.l1,
                                    .l2 = args.l2,
                                    .weight_norm = args.weight_norm};
  mica_value kernel = mica_nn_kernel(scope, "kernel", mica_dtype_of(args.x),
                                     MICA_DIMS(mica_dim_of(args.x, -1), args.units), &options);
  mica_value y = mica_matmul(args.x, kernel);
  return mica_nn_leave(scope,
                       mica_nn_add_bias(scope, y, "bias", args.no_bias, args.bias_initializer));
}

mica_value mica_nn_embedding_with(const mica_nn_embedding_args *given) {
  MICA_NN_ARGS(mica_nn_embedding_args, args, given);
  mica_scope *scope = args.scope;
  if (!mica_nn_enter(scope, args.ids, "embedding")) return (mica_value){0};
  if (args.count <= 0 || args.units <= 0)
    return mica_nn_leave(scope,
                         mica_fail(mica_scope_graph(scope), MICA_INVALID,
                                   "embedding \"%s\": expected a count and units above 0, not "
                                   "%" PRId64 " and %" PRId64,
                                   mica_scope_path(scope), args.count, args.units));
  mica_dtype dtype = args.dtype == MICA_DTYPE_NONE ? MICA_F32 : args.dtype;
  mica_value table = mica_nn_parameter(scope, "table", mica_nn_master_dtype(dtype),
                                       MICA_DIMS(args.count, args.units), args.initializer,
                                       mica_init_normal(0, 1 / sqrt((double)args.units)));
  return mica_nn_leave(scope, mica_convert(mica_take(table, args.ids, 0), dtype));
}

mica_value mica_nn_embedding_logits(mica_scope *scope, mica_value x, int64_t count) {
  if (!mica_nn_enter(scope, x, "embedding_logits")) return (mica_value){0};
  int64_t units = mica_dim_of(x, -1);
  mica_value table =
      mica_nn_parameter(scope, "table", mica_dtype_of(x), MICA_DIMS(count, units),
                        (mica_initializer){0}, mica_init_normal(0, 1 / sqrt((double)units)));
  return mica_nn_leave(scope, mica_matmul(x, mica_swap_axes(table, 0, 1)));
}
