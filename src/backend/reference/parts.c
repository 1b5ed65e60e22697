/* SPDX-License-Identifier: Apache-2.0 */
/* parts.c: complex numbers from and to real ones, and functions of three operands or with attributes. */
#include "backend/reference/elementwise_internal.h"
#include "core/special.h"

#include <math.h>

/* |x| of complex numbers; real parts and imaginary parts. */
void mica_reference_part(const reference_step *step) {
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  int64_t count = mica_shape_count(to.shape);
  wide_block x, y;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = wide_block_size(begin, count);
    mica_reference_widen(from.dtype, step->in[0], begin, n, &x);
    for (int64_t i = 0; i < n; i++) {
      reference_complex z = x.c128[i];
      y.f64[i] = step->node->op == MICA_OP_REAL   ? z.re
                 : step->node->op == MICA_OP_IMAG ? z.im
                                                  : hypot(z.re, z.im);
    }
    mica_reference_narrow(to.dtype, step->out[0], begin, n, &y);
  }
}

void mica_reference_complex_of(const reference_step *step) {
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  int64_t count = mica_shape_count(to.shape);
  wide_block re, im, z;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = wide_block_size(begin, count);
    mica_reference_widen(from.dtype, step->in[0], begin, n, &re);
    mica_reference_widen(from.dtype, step->in[1], begin, n, &im);
    for (int64_t i = 0; i < n; i++) z.c128[i] = (reference_complex){re.f64[i], im.f64[i]};
    mica_reference_narrow(to.dtype, step->out[0], begin, n, &z);
  }
}

void mica_reference_polygamma(const reference_step *step) {
  const mica_polygamma_attr *attr = step->attr;
  mica_type type = step->node->type;
  int64_t count = mica_shape_count(type.shape);
  wide_block x;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = wide_block_size(begin, count);
    mica_reference_widen(type.dtype, step->in[0], begin, n, &x);
    for (int64_t i = 0; i < n; i++)
      x.f64[i] = mica_special_polygamma((int32_t)attr->order, x.f64[i]);
    mica_reference_narrow(type.dtype, step->out[0], begin, n, &x);
  }
}

void mica_reference_betainc(const reference_step *step) {
  const mica_betainc_slope_attr *slope = step->attr; /* NULL for betainc itself */
  mica_type type = step->node->type;
  int64_t count = mica_shape_count(type.shape);
  wide_block a, b, x;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = wide_block_size(begin, count);
    mica_reference_widen(type.dtype, step->in[0], begin, n, &a);
    mica_reference_widen(type.dtype, step->in[1], begin, n, &b);
    mica_reference_widen(type.dtype, step->in[2], begin, n, &x);
    for (int64_t i = 0; i < n; i++)
      x.f64[i] = slope == NULL ? mica_special_betainc(a.f64[i], b.f64[i], x.f64[i])
                               : mica_special_betainc_slope(a.f64[i], b.f64[i], x.f64[i],
                                                            (int32_t)slope->parameter);
    mica_reference_narrow(type.dtype, step->out[0], begin, n, &x);
  }
}
