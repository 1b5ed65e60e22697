/* SPDX-License-Identifier: Apache-2.0 */
/* pad_modes.c: padding with what an array holds: an axis is read at the places that its border continues
 * with. */
#include <inttypes.h>

#include "graph/ops/image.h"
#include "mica/ops/image.h"

/* The place of index i (outside of 0 .. n - 1 too) of an axis of n cells. */
static int64_t continued_place(int64_t i, int64_t n, mica_pad_mode mode) {
  if (mode == MICA_PAD_EDGE) return i < 0 ? 0 : i >= n ? n - 1 : i;
  int64_t period = mode == MICA_PAD_WRAP ? n : mode == MICA_PAD_SYMMETRIC ? 2 * n : 2 * (n - 1);
  if (period == 0) return 0; /* one cell, reflected */
  i %= period;
  if (i < 0) i += period;
  if (i < n) return i;
  return mode == MICA_PAD_SYMMETRIC ? period - 1 - i : period - i;
}

mica_value mica_pad_with_mode(mica_value x, const int64_t *low, const int64_t *high,
                              mica_pad_mode mode) {
  MICA_ENTRY(x.graph);
  const char *op = "pad_with_mode";
  if (!mica_operands_usable(op, &x, 1)) return mica_no_value(x.graph);
  if (mode < MICA_PAD_REFLECT || mode > MICA_PAD_WRAP)
    return mica_fail_operator(x.graph, op, &x, 1,
                              "mode %d is unknown: expected MICA_PAD_REFLECT, _SYMMETRIC, _EDGE or "
                              "_WRAP",
                              (int)mode);
  mica_value out = x;
  for (int32_t axis = 0; axis < mica_rank_of(x); axis++) {
    int64_t before = low ? low[axis] : 0, behind = high ? high[axis] : 0;
    int64_t n = mica_dim_of(x, axis), count;
    if (before == 0 && behind == 0) continue;
    if (before < 0 || behind < 0 || n == 0)
      return mica_fail_operator(x.graph, op, &x, 1,
                                "padding %" PRId64 " and %" PRId64 " of axis %" PRId32
                                ": expected at least 0, and an axis that is not empty",
                                before, behind, axis);
    if (n > INT64_C(1) << 60 || !mica_i64_add(n, before, &count) ||
        !mica_i64_add(count, behind, &count))
      return mica_fail_operator(x.graph, op, &x, 1, "padding of axis %" PRId32 " overflows", axis);
    int64_t *places = mica_image_list(x.graph, count, sizeof(*places));
    if (!places) return mica_no_value(x.graph);
    for (int64_t i = 0; i < count; i++) places[i] = continued_place(i - before, n, mode);
    out = mica_take_places(out, axis, count, places);
  }
  return out;
}
