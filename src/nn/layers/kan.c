/* SPDX-License-Identifier: Apache-2.0 */
/* kan.c: Kolmogorov-Arnold layers: a function of one number on each edge, as a product of splines and coefficients. */
#include <inttypes.h>

#include "mica/nn/layers.h"
#include "mica/nn/networks.h"
#include "nn/layers/layer.h"

/* Cox and de Boor's recursion on equal intervals, all splines at once: with u the place in intervals from the first knot on,
 * B_p[i] = ((u - i) B_p-1[i] + (i + p + 1 - u) B_p-1[i + 1]) / p. */
mica_value mica_nn_bsplines(mica_value x, int32_t degree, int64_t intervals, double low,
                            double high) {
  mica_graph *graph = x.graph;
  mica_dtype dtype = mica_dtype_of(x);
  mica_shape shape = mica_shape_of(x);
  if (degree < 0 || degree > 16 || intervals < 1 || !(low < high) || !mica_dtype_is_float(dtype) ||
      shape.rank >= MICA_MAX_RANK)
    return mica_fail(graph, MICA_INVALID,
                     "bsplines: expected floats, a degree from 0 to 16, intervals (%" PRId64
                     ") and low below high, not %d, %g and %g",
                     intervals, (int)degree, low, high);
  double scale = (double)intervals / (high - low);
  mica_value u = mica_clamp_numbers(mica_mul(mica_sub(x, low), scale), 0, (double)intervals);
  u = mica_expand_dims(mica_add(u, degree), -1);
  int64_t count = intervals + 2 * degree;
  mica_value place = mica_iota(graph, (mica_type){dtype, MICA_DIMS(count)}, 0);
  mica_value cell = mica_min(mica_floor(u), (double)(intervals + degree - 1));
  mica_value basis = mica_convert(mica_equal(cell, place), dtype);
  for (int32_t p = 1; p <= degree; p++) {
    count--;
    mica_value at = mica_slice_axis(place, 0, 0, count, 1);
    mica_value left = mica_slice_axis(basis, -1, 0, count, 1),
               right = mica_slice_axis(basis, -1, 1, count + 1, 1);
    mica_value rise = mica_mul(mica_sub(u, at), left);
    mica_value fall = mica_mul(mica_sub(mica_add(at, p + 1), u), right);
    basis = mica_div(mica_add(rise, fall), p);
  }
  return basis;
}

/* Steps of triangular softness: the share of noise around x that lies in each interval. */
static mica_value soft_steps(mica_value x, int64_t intervals, double low, double high,
                             double softness) {
  double scale = (double)intervals / (high - low);
  mica_value u = mica_clamp_numbers(mica_mul(mica_sub(x, low), scale), 0, (double)intervals);
  mica_value edge =
      mica_add(mica_iota(x.graph, (mica_type){mica_dtype_of(x), MICA_DIMS(intervals - 1)}, 0), 1);
  /* The distribution of the triangle on [-softness, softness] at u - edge. */
  mica_value v =
      mica_clamp_numbers(mica_div(mica_sub(mica_expand_dims(u, -1), edge), softness), -1, 1);
  mica_value below = mica_mul(mica_square(mica_add(v, 1)), 0.5);
  mica_value above = mica_add(mica_neg(mica_mul(mica_square(mica_add(mica_neg(v), 1)), 0.5)), 1);
  mica_value passed = mica_select(mica_less(v, 0), below, above); /* [..., intervals - 1] */
  int32_t rank = mica_rank_of(passed);
  int64_t low_pad[MICA_MAX_RANK] = {0}, high_pad[MICA_MAX_RANK] = {0};
  low_pad[rank - 1] = high_pad[rank - 1] = 1;
  mica_dtype dtype = mica_dtype_of(x);
  mica_value begun = mica_pad(passed, mica_scalar(x.graph, dtype, 1), low_pad, NULL, NULL);
  mica_value ended = mica_pad(passed, mica_scalar(x.graph, dtype, 0), NULL, high_pad, NULL);
  return mica_sub(begun, ended);
}

static mica_value rational_kan(const mica_nn_kan_args *a) {
  int64_t in = mica_dim_of(a->x, -1), groups = a->groups == 0 ? (in % 8 == 0 ? 8 : 1) : a->groups;
  mica_value y = mica_nn_rational(mica_scope_in(a->scope, "rational"), a->x, .groups = groups,
                                  .like = MICA_NN_SILU);
  return mica_nn_dense(a->scope, y, .units = a->units);
}

mica_value mica_nn_kan_with(const mica_nn_kan_args *given) {
  MICA_NN_ARGS(mica_nn_kan_args, a, given);
  mica_scope *scope = a.scope;
  if (scope == NULL) return mica_fail(a.x.graph, MICA_INVALID, "kan: the scope is NULL");
  if (a.low == a.high) a.low = -1, a.high = 1;
  if (a.intervals == 0) a.intervals = 8;
  if (a.degree == 0 && !a.discrete) a.degree = 3;
  mica_shape shape = mica_shape_of(a.x);
  if (a.units < 1 || shape.rank < 1 || a.softness < 0 || (a.discrete && a.degree != 0) ||
      a.intervals < 1 || !(a.low < a.high) || (a.softness > 0 && a.intervals < 2))
    return mica_fail(mica_scope_graph(scope), MICA_INVALID,
                     "kan \"%s\": expected x [..., in], units (%" PRId64
                     ") above 0, low below high, no degree for a discrete one",
                     mica_scope_path(scope), a.units);
  if (a.rational) return rational_kan(&a);
  if (!mica_nn_enter(scope, a.x, "kan")) return (mica_value){0};
  mica_value x = mica_widen(a.x);
  mica_dtype dtype = mica_dtype_of(x);
  int64_t in = shape.dim[shape.rank - 1], count = a.intervals + a.degree;
  bool soft = a.discrete && a.softness > 0 && mica_scope_is_training(scope);
  mica_value basis = soft ? soft_steps(x, a.intervals, a.low, a.high, a.softness)
                          : mica_nn_bsplines(x, a.degree, a.intervals, a.low, a.high);
  mica_value coefficients =
      mica_nn_parameter(scope, "coefficients", dtype, MICA_DIMS(in, count, a.units),
                        (mica_initializer){0}, mica_init_normal(0, 0.1));
  mica_shape flat = shape;
  flat.dim[flat.rank - 1] = in * count;
  mica_value y = mica_matmul(mica_reshape(basis, flat),
                             mica_reshape(coefficients, MICA_DIMS(in * count, a.units)));
  if (!a.no_base) {
    mica_value base = mica_nn_parameter(scope, "base", dtype, MICA_DIMS(in, a.units),
                                        (mica_initializer){0}, mica_init_glorot_uniform());
    y = mica_add(y, mica_matmul(mica_silu(x), base));
  }
  return mica_nn_leave(scope, mica_convert(y, mica_dtype_of(a.x)));
}
