/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.h: programs around quantized arrays for the cases. */
#ifndef CONFORMANCE_CASES_QUANTIZE_H
#define CONFORMANCE_CASES_QUANTIZE_H
#include "mica/graph.h"

/* Whole numbers (i32) as quantized values of `dtype`; scale and zero point may be {0} and i32. */
static mica_quantized stored(mica_value whole, mica_dtype dtype, mica_value scale,
                             mica_value zero) {
  mica_dtype wide = mica_dtype_of(scale) == MICA_F64 ? MICA_F64 : MICA_F32;
  mica_quantized q = {mica_convert(whole, dtype), mica_convert(scale, wide), {0}};
  if (zero.graph) q.zero_point = mica_convert(zero, dtype);
  return q;
}

/* What was quantized, as numbers of x's dtype: values, scale and zero point together. */
static mica_value three_parts(mica_value x, mica_quantized q) {
  mica_value y = mica_dequantize(q, mica_dtype_of(x));
  return mica_add(y, mica_convert(q.values, mica_dtype_of(x)));
}

#endif
