/* SPDX-License-Identifier: Apache-2.0 */
/* cumulative.h: running folds along an axis, each in time linear in the elements. Sums of f16 and
 * bf16 accumulate in f32. Negative axes count from the end. */
#ifndef MICA_OPS_CUMULATIVE_H
#define MICA_OPS_CUMULATIVE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* x [a...] -> [a...]: element i is the fold of x[0 .. i] along `axis`. Sum and product take
 * integers (they wrap), floats and complex; max and min integers and floats: NaN wins from the
 * first one on; logsumexp floats: log(exp(x[0]) + .. + exp(x[i])) without overflow. An extreme's
 * gradient goes to the first element that holds it. */
typedef enum {
  MICA_CUMULATIVE_SUM,
  MICA_CUMULATIVE_PROD,
  MICA_CUMULATIVE_MAX,
  MICA_CUMULATIVE_MIN,
  MICA_CUMULATIVE_LOGSUMEXP
} mica_cumulative_kind;
typedef struct {
  size_t struct_size;
  mica_value x;
  const struct mica_names_only *named_;
  mica_cumulative_kind kind;
  int32_t axis;
  bool reverse; /* folds x[i .. n - 1]; "first" above then counts from the end */
  bool
      exclusive; /* without x[i] itself: the neutral element (0, 1, the dtype's limit) comes first */
} mica_cumulative_args;
MICA_API mica_value mica_cumulative_with(const mica_cumulative_args *args);
#define mica_cumulative(...) \
  mica_cumulative_with(      \
      &(mica_cumulative_args){.struct_size = sizeof(mica_cumulative_args), __VA_ARGS__})
MICA_API mica_value mica_cumulative_sum(mica_value x, int32_t axis);
MICA_API mica_value mica_cumulative_prod(mica_value x, int32_t axis);
MICA_API mica_value mica_cumulative_max(mica_value x, int32_t axis);
MICA_API mica_value mica_cumulative_min(mica_value x, int32_t axis);
MICA_API mica_value mica_cumulative_logsumexp(mica_value x, int32_t axis);

/* y[i] = a[i] y[i - 1] + b[i] along `axis` from y[-1] = 0 (reverse: a[i] y[i + 1] + b[i]); a, b, y
 * of one type, integers, floats or complex. The first a does not matter, unless it is not finite. */
MICA_API mica_value mica_linear_recurrence(mica_value a, mica_value b, int32_t axis, bool reverse);

#ifdef __cplusplus
}
#endif
#endif
