/* SPDX-License-Identifier: Apache-2.0 */
/* complex_internal.h: functions of a complex number, on the principal branches. */
#ifndef MICA_REFERENCE_COMPLEX_INTERNAL_H
#define MICA_REFERENCE_COMPLEX_INTERNAL_H
#include "backend/reference/reference_internal.h"

reference_complex mica_reference_complex_neg(reference_complex z);
reference_complex mica_reference_complex_exp(reference_complex z);
reference_complex mica_reference_complex_expm1(reference_complex z);
reference_complex mica_reference_complex_log(reference_complex z);
reference_complex mica_reference_complex_log1p(reference_complex z);
reference_complex mica_reference_complex_tanh(reference_complex z);
reference_complex mica_reference_complex_logistic(reference_complex z);
reference_complex mica_reference_complex_sqrt(reference_complex z);
reference_complex mica_reference_complex_rsqrt(reference_complex z);
reference_complex mica_reference_complex_sin(reference_complex z);
reference_complex mica_reference_complex_cos(reference_complex z);
reference_complex mica_reference_complex_tan(reference_complex z);
reference_complex mica_reference_complex_sinh(reference_complex z);
reference_complex mica_reference_complex_cosh(reference_complex z);
reference_complex mica_reference_complex_conj(reference_complex z);
reference_complex mica_reference_complex_add(reference_complex x, reference_complex y);
reference_complex mica_reference_complex_sub(reference_complex x, reference_complex y);
reference_complex mica_reference_complex_div(reference_complex x, reference_complex y);
reference_complex mica_reference_complex_pow(reference_complex x, reference_complex y);

#endif
