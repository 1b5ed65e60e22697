/* SPDX-License-Identifier: Apache-2.0 */
/* dropout.c: noise that only training has: elements, examples or blocks that are left out. */
#include <math.h>

#include "mica/nn/layers.h"
#include "nn/layers/layer.h"

/* False where x stays as it is: not training, nothing to leave out, or a failure. */
static bool wants_noise(mica_scope *scope, mica_value x, double rate, const char *name) {
  if (scope == NULL) {
    mica_fail(x.graph, MICA_INVALID, "%s: the scope is NULL", name);
    return false;
  }
  if (!(rate >= 0 && rate < 1)) {
    mica_fail(mica_scope_graph(scope), MICA_INVALID,
              "%s in scope \"%s\": expected a rate in [0, 1), not %g", name, mica_scope_path(scope),
              rate);
    return false;
  }
  if (mica_is_valid(x) && !mica_dtype_is_float(mica_dtype_of(x))) {
    mica_fail(mica_scope_graph(scope), MICA_INVALID, "%s in scope \"%s\": expected floats, not %s",
              name, mica_scope_path(scope), mica_dtype_name(mica_dtype_of(x)));
    return false;
  }
  return mica_scope_is_training(scope) && rate > 0;
}

/* The same, and what follows is named by the scope, until mica_nn_leave. */
static bool enter_noise(mica_scope *scope, mica_value x, double rate, const char *name) {
  return wants_noise(scope, x, rate, name) && mica_nn_enter(scope, x, name);
}

/* x / (1 - rate) where kept, else 0. */
static mica_value keep_scaled(mica_value x, mica_value kept, double rate) {
  return mica_select(kept, mica_mul(x, 1 / (1 - rate)), mica_zeros_like(x));
}

mica_value mica_nn_dropout_within(mica_scope *scope, mica_value x, double rate) {
  if (!wants_noise(scope, x, rate, "dropout")) return x;
  mica_value kept = mica_random_bernoulli(mica_scope_key(scope), 1 - rate, mica_shape_of(x));
  return keep_scaled(x, kept, rate);
}

mica_value mica_nn_dropout(mica_scope *scope, mica_value x, double rate) {
  if (!enter_noise(scope, x, rate, "dropout")) return x;
  return mica_nn_leave(scope, mica_nn_dropout_within(scope, x, rate));
}

mica_value mica_nn_drop_path(mica_scope *scope, mica_value x, double rate) {
  if (!enter_noise(scope, x, rate, "drop_path")) return x;
  mica_shape shape = mica_shape_of(x);
  for (int32_t i = 1; i < shape.rank; i++) shape.dim[i] = 1;
  mica_value kept = mica_random_bernoulli(mica_scope_key(scope), 1 - rate, shape);
  return mica_nn_leave(scope, keep_scaled(x, mica_broadcast_to(kept, mica_shape_of(x)), rate));
}

/* Corners of blocks are drawn where whole blocks fit, at the rate that makes the expected part of cells come out
 * (equation 1 of the paper); a sliding maximum makes blocks of them. */
mica_value mica_nn_drop_block(mica_scope *scope, mica_value x, double rate, int32_t size) {
  if (!wants_noise(scope, x, rate, "drop_block")) return x;
  mica_shape shape = mica_shape_of(x);
  int32_t axes = shape.rank - 2;
  if (axes < 1 || axes > 3 || size < 1)
    return mica_fail(
        mica_scope_graph(scope), MICA_INVALID,
        "drop_block in scope \"%s\": expected x [batch, spatial..., channels] and a size above "
        "0, not rank %d and size %d",
        mica_scope_path(scope), (int)shape.rank, (int)size);
  if (!mica_nn_enter(scope, x, "drop_block")) return x;
  mica_shape corners = shape;
  corners.dim[shape.rank - 1] = 1;
  double gamma = rate;
  mica_reduce_window_args window = {.struct_size = sizeof window, .kind = MICA_WINDOW_MAX};
  for (int32_t i = 0; i < shape.rank; i++) window.window[i] = 1;
  for (int32_t i = 1; i <= axes; i++) {
    int64_t block = size < shape.dim[i] ? size : shape.dim[i];
    corners.dim[i] = shape.dim[i] - block + 1;
    gamma *=
        (double)shape.dim[i] / ((double)block * (double)(corners.dim[i] > 0 ? corners.dim[i] : 1));
    window.window[i] = block;
    window.low[i] = window.high[i] = block - 1;
  }
  mica_value drawn = mica_random_bernoulli(mica_scope_key(scope), gamma < 1 ? gamma : 1, corners);
  window.x = mica_convert(drawn, MICA_I32); /* padding is the least i32 */
  mica_value kept = mica_less_equal(mica_reduce_window_with(&window), 0);
  mica_value wide = mica_widen(x), mask = mica_convert(kept, mica_dtype_of(wide));
  mica_value left = mica_reduce_mean(mask, MICA_ALL);
  mica_value scale = mica_div(mask, mica_max(left, 1e-6));
  return mica_nn_leave(scope, mica_convert(mica_mul(wide, scale), mica_dtype_of(x)));
}

mica_value mica_nn_gaussian_noise(mica_scope *scope, mica_value x, double deviation) {
  if (!(deviation >= 0))
    return mica_fail(x.graph, MICA_INVALID,
                     "gaussian_noise: expected a deviation of 0 or above, not %g", deviation);
  if (deviation == 0 || !enter_noise(scope, x, 0.5, "gaussian_noise")) return x;
  mica_value noise = mica_random_normal(mica_scope_key(scope), mica_type_of(x));
  return mica_nn_leave(scope, mica_add(x, mica_mul(noise, deviation)));
}
