/* SPDX-License-Identifier: Apache-2.0 */
/* sliding.c: the geometry of one axis along which a window slides; sliding.h has the
 * definitions. */
#include "graph/ops/sliding.h"

bool mica_sliding_spread(int64_t size, int64_t dilation, int64_t *out) {
  if (size == 0) {
    *out = 0;
    return true;
  }
  int64_t spread;
  return mica_i64_multiply(size - 1, dilation, &spread) && mica_i64_add(spread, 1, out);
}

bool mica_sliding_output(const mica_sliding *s, int64_t *out) {
  int64_t base, window;
  if (!mica_sliding_spread(s->size, s->base_dilation, &base) ||
      !mica_sliding_spread(s->window, s->window_dilation, &window) ||
      !mica_i64_add(base, s->low, &base) || !mica_i64_add(base, s->high, &base))
    return false;
  *out = window > base ? 0 : (base - window) / s->stride + 1;
  return true;
}

/* Sets `high` of an axis that has all else, so that its output is `wanted` cells with nothing
 * left over. */
static bool pad_for_output(mica_sliding *s, int64_t wanted) {
  int64_t base, window, padded;
  if (wanted <= 0 || !mica_sliding_spread(s->size, s->base_dilation, &base) ||
      !mica_sliding_spread(s->window, s->window_dilation, &window) ||
      !mica_sliding_spread(wanted, s->stride, &padded) ||
      !mica_i64_add(padded, window - 1, &padded) || !mica_i64_add(base, s->low, &base))
    return false;
  return !__builtin_sub_overflow(padded, base, &s->high);
}

bool mica_sliding_transpose(const mica_sliding *s, int64_t output, mica_sliding *out) {
  /* x[i] receives output o through cell w where o * stride = i * base_dilation + low - w *
   * dilation; with the cells counted from the other end, w = window - 1 - w', this slides
   * forward again. */
  int64_t reach;
  *out = (mica_sliding){.size = output,
                        .window = s->window,
                        .stride = s->base_dilation,
                        .base_dilation = s->stride,
                        .window_dilation = s->window_dilation};
  return mica_sliding_spread(s->window, s->window_dilation, &reach) &&
         !__builtin_sub_overflow(reach - 1, s->low, &out->low) && pad_for_output(out, s->size);
}

bool mica_sliding_correlate(const mica_sliding *s, int64_t output, mica_sliding *out) {
  *out = (mica_sliding){.size = s->size,
                        .window = output,
                        .stride = s->window_dilation,
                        .base_dilation = s->base_dilation,
                        .window_dilation = s->stride,
                        .low = s->low};
  return pad_for_output(out, s->window);
}

bool mica_sliding_pad_same(mica_sliding *s) {
  int64_t base, window, reach, total;
  s->low = s->high = 0;
  if (!mica_sliding_spread(s->size, s->base_dilation, &base) ||
      !mica_sliding_spread(s->window, s->window_dilation, &window))
    return false;
  if (base == 0) return true;
  int64_t last = (base - 1) / s->stride * s->stride; /* where the last window begins */
  if (!mica_i64_add(last, window, &reach)) return false;
  total = reach > base ? reach - base : 0;
  s->low = total / 2;
  s->high = total - s->low;
  return true;
}
