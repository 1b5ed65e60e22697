/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.h: maths on each element. Operands of several are broadcast together as in numpy:
 * axes are aligned at the end and sizes of 1 are repeated. Dtypes must match; the error names
 * mica_convert. */
#ifndef MICA_OPS_ELEMENTWISE_H
#define MICA_OPS_ELEMENTWISE_H
#include "mica/graph.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Numbers: integers wrap; integer division truncates, by zero gives -1 (all bits set), INT_MIN /
 * -1 gives INT_MIN; the remainder has the sign of x, by zero gives x. */
MICA_API mica_value mica_add(mica_value x, mica_value y);
MICA_API mica_value mica_sub(mica_value x, mica_value y);
MICA_API mica_value mica_mul(mica_value x, mica_value y);
MICA_API mica_value mica_div(mica_value x, mica_value y);
MICA_API mica_value mica_rem(mica_value x, mica_value y);
MICA_API mica_value mica_pow(mica_value x, mica_value y);
/* NaN in either gives NaN. At equal values the derivative goes half to each operand. */
MICA_API mica_value mica_max(mica_value x, mica_value y);
MICA_API mica_value mica_min(mica_value x, mica_value y);
/* bool: logical; integers: bit by bit. */
MICA_API mica_value mica_and(mica_value x, mica_value y);
MICA_API mica_value mica_or(mica_value x, mica_value y);
MICA_API mica_value mica_xor(mica_value x, mica_value y);
MICA_API mica_value mica_not(mica_value x);
/* -> bool. Every comparison with NaN is false but not_equal. */
MICA_API mica_value mica_equal(mica_value x, mica_value y);
MICA_API mica_value mica_not_equal(mica_value x, mica_value y);
MICA_API mica_value mica_less(mica_value x, mica_value y);
MICA_API mica_value mica_less_equal(mica_value x, mica_value y);
MICA_API mica_value mica_greater(mica_value x, mica_value y);
MICA_API mica_value mica_greater_equal(mica_value x, mica_value y);

/* The same with a plain C number as the second operand, which takes x's dtype (mica_scalar says which numbers
 * fit). 1 - x is mica_add(mica_neg(x), 1). */
MICA_API mica_value mica_add_number(mica_value x, double y);
MICA_API mica_value mica_sub_number(mica_value x, double y);
MICA_API mica_value mica_mul_number(mica_value x, double y);
MICA_API mica_value mica_div_number(mica_value x, double y);
MICA_API mica_value mica_rem_number(mica_value x, double y);
MICA_API mica_value mica_pow_number(mica_value x, double y);
MICA_API mica_value mica_max_number(mica_value x, double y);
MICA_API mica_value mica_min_number(mica_value x, double y);
MICA_API mica_value mica_equal_number(mica_value x, double y);
MICA_API mica_value mica_not_equal_number(mica_value x, double y);
MICA_API mica_value mica_less_number(mica_value x, double y);
MICA_API mica_value mica_less_equal_number(mica_value x, double y);
MICA_API mica_value mica_greater_number(mica_value x, double y);
MICA_API mica_value mica_greater_equal_number(mica_value x, double y);
#ifndef __cplusplus /* C++ has overloads in mica.hpp; bindings call the real functions */
#define MICA_VALUE_OR_NUMBER(y, f) _Generic((y), mica_value : f, default : f##_number)
#define mica_add(x, y)             MICA_VALUE_OR_NUMBER(y, mica_add)((x), (y))
#define mica_sub(x, y)             MICA_VALUE_OR_NUMBER(y, mica_sub)((x), (y))
#define mica_mul(x, y)             MICA_VALUE_OR_NUMBER(y, mica_mul)((x), (y))
#define mica_div(x, y)             MICA_VALUE_OR_NUMBER(y, mica_div)((x), (y))
#define mica_rem(x, y)             MICA_VALUE_OR_NUMBER(y, mica_rem)((x), (y))
#define mica_pow(x, y)             MICA_VALUE_OR_NUMBER(y, mica_pow)((x), (y))
#define mica_max(x, y)             MICA_VALUE_OR_NUMBER(y, mica_max)((x), (y))
#define mica_min(x, y)             MICA_VALUE_OR_NUMBER(y, mica_min)((x), (y))
#define mica_equal(x, y)           MICA_VALUE_OR_NUMBER(y, mica_equal)((x), (y))
#define mica_not_equal(x, y)       MICA_VALUE_OR_NUMBER(y, mica_not_equal)((x), (y))
#define mica_less(x, y)            MICA_VALUE_OR_NUMBER(y, mica_less)((x), (y))
#define mica_less_equal(x, y)      MICA_VALUE_OR_NUMBER(y, mica_less_equal)((x), (y))
#define mica_greater(x, y)         MICA_VALUE_OR_NUMBER(y, mica_greater)((x), (y))
#define mica_greater_equal(x, y)   MICA_VALUE_OR_NUMBER(y, mica_greater_equal)((x), (y))
#endif

MICA_API mica_value mica_neg(mica_value x);
MICA_API mica_value mica_abs(mica_value x);
MICA_API mica_value mica_sign(mica_value x); /* -1, 0, 1; NaN stays; derivative 0 */
MICA_API mica_value mica_exp(mica_value x);
MICA_API mica_value mica_expm1(mica_value x);
MICA_API mica_value mica_log(mica_value x);
MICA_API mica_value mica_log1p(mica_value x);
MICA_API mica_value mica_tanh(mica_value x);
MICA_API mica_value mica_logistic(mica_value x); /* 1 / (1 + exp(-x)) */
MICA_API mica_value mica_erf(mica_value x);
MICA_API mica_value mica_sqrt(mica_value x);
MICA_API mica_value mica_rsqrt(mica_value x); /* 1 / sqrt(x) */
MICA_API mica_value mica_sin(mica_value x);
MICA_API mica_value mica_cos(mica_value x);
MICA_API mica_value mica_floor(mica_value x);
MICA_API mica_value mica_ceil(mica_value x);
MICA_API mica_value mica_round(mica_value x);     /* to nearest, ties to even */
MICA_API mica_value mica_is_finite(mica_value x); /* -> bool */
MICA_API mica_value mica_is_nan(mica_value x);    /* -> bool */
MICA_API mica_value mica_square(mica_value x);
MICA_API mica_value mica_reciprocal(mica_value x);

/* To another dtype, by the rules of mica_convert_elements. The same dtype gives x. */
MICA_API mica_value mica_convert(mica_value x, mica_dtype dtype);
/* condition (bool) ? x : y, all broadcast together. */
MICA_API mica_value mica_select(mica_value condition, mica_value x, mica_value y);
/* x, whose derivative is zero. */
MICA_API mica_value mica_stop_gradient(mica_value x);
/* x, with its value reported to the device's log callback after each run, as "label: values". */
MICA_API mica_value mica_mark(mica_value x, const char *label);

#ifdef __cplusplus
}
#endif
#endif
