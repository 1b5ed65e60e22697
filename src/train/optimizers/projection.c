/* SPDX-License-Identifier: Apache-2.0 */
/* projection.c: the nearest ascending sequence. Its element i is the largest, over starts j <= i, of the smallest, over
 * ends k >= i, of the means of x[j .. k] (Robertson, Wright and Dykstra 1988, Order Restricted Statistical Inference,
 * theorem 1.4.4): all means at once, in n^2. */
#include <math.h>

#include "train/optimizers/rules.h"

mica_value mica_monotonic_projection(mica_value x, double margin, int32_t axis) {
  static const char op[] = "monotonic_projection";
  MICA_ENTRY(x.graph);
  int64_t along;
  if (!mica_operands_usable(op, &x, 1)) return mica_no_value(x.graph);
  mica_dtype dtype = mica_dtype_of(x);
  if (!mica_dtype_is_float(dtype) || mica_dtype_bits(dtype) < 16 || !isfinite(margin))
    return mica_fail_operator(x.graph, op, &x, 1, "margin %g: expected floats and a finite margin",
                              margin);
  if (!mica_builder_axis(op, x, axis, &along)) return mica_no_value(x.graph);
  if (mica_rank_of(x) == MICA_MAX_RANK)
    return mica_fail_operator(x.graph, op, &x, 1, "rank %d: expected at most %d", MICA_MAX_RANK,
                              MICA_MAX_RANK - 1);
  mica_value last = mica_move_axis(mica_widen(x), (int32_t)along, -1);
  mica_dtype wide = mica_dtype_of(last);
  int64_t n = mica_dim_of(last, -1);
  mica_value ramp = mica_mul(mica_iota(x.graph, (mica_type){wide, MICA_DIMS(n)}, 0), margin);
  last = mica_sub(last, ramp);
  /* [.., j, k]: sum of j .. k by their count */
  mica_value up_to = mica_cumulative_sum(last, -1);
  mica_value sum = mica_add(mica_sub(mica_expand_dims(up_to, -2), mica_expand_dims(up_to, -1)),
                            mica_expand_dims(last, -1));
  mica_type square = {wide, MICA_DIMS(n, n)};
  mica_value j = mica_iota(x.graph, square, 0), k = mica_iota(x.graph, square, 1);
  mica_value count = mica_max(mica_add(mica_sub(k, j), 1), 1); /* j > k is left out below */
  mica_value least = mica_cumulative(mica_div(sum, count), .kind = MICA_CUMULATIVE_MIN, .axis = -1,
                                     .reverse = true);
  least = mica_select(mica_less_equal(j, k), least, mica_full_like(least, -INFINITY));
  mica_value y = mica_add(mica_reduce_max(least, MICA_AXES(-2)), ramp);
  return mica_convert(mica_move_axis(y, -1, (int32_t)along), dtype);
}
