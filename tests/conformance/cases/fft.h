/* SPDX-License-Identifier: Apache-2.0 */
/* fft.h: builders for the cases of Fourier transforms: complex values from and to their parts. */
#ifndef CONFORMANCE_CASES_FFT_H
#define CONFORMANCE_CASES_FFT_H
#include "conformance/conformance.h"

/* 0 + 1i of a complex dtype. */
static mica_value case_imaginary_unit(mica_graph *g, mica_dtype dtype) {
  float single[2] = {0, 1};
  double twice[2] = {0, 1};
  mica_tensor *unit =
      mica_tensor_from(dtype, MICA_SCALAR, dtype == MICA_C64 ? (const void *)single : twice);
  mica_value value = mica_constant(g, unit);
  mica_tensor_release(unit);
  return value;
}
static mica_value case_complex(mica_value re, mica_value im) {
  mica_dtype dtype = mica_dtype_of(re) == MICA_F32 ? MICA_C64 : MICA_C128;
  return mica_add(mica_convert(re, dtype),
                  mica_mul(mica_convert(im, dtype), case_imaginary_unit(re.graph, dtype)));
}
/* out[0] and out[1]: real and imaginary part. */
static void case_parts(mica_value z, mica_value *out) {
  mica_dtype dtype = mica_dtype_of(z), real = dtype == MICA_C64 ? MICA_F32 : MICA_F64;
  out[0] = mica_convert(z, real);
  out[1] = mica_neg(mica_convert(mica_mul(z, case_imaginary_unit(z.graph, dtype)), real));
}

/* A grid [1, 4, 1, 2] that leaves the image on every side. */
static mica_value case_grid(mica_graph *g, mica_dtype dtype) {
  mica_value place = mica_iota(g, (mica_type){dtype, MICA_DIMS(8)}, 0);
  return mica_reshape(mica_mul(mica_sin(mica_mul(place, 2.1)), 1.9), MICA_DIMS(1, 4, 1, 2));
}

#endif
