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
 * -1 gives INT_MIN; the remainder has the sign of x, by zero gives x; to a negative power integers are 0,
 * but for 1 and -1. */
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
MICA_API mica_value mica_abs(mica_value x); /* of complex numbers real */
MICA_API mica_value
mica_sign(mica_value x); /* -1, 0, 1; NaN stays; derivative 0. Complex: x / |x| */
MICA_API mica_value mica_exp(mica_value x);
MICA_API mica_value mica_expm1(mica_value x);
MICA_API mica_value mica_log(mica_value x);
MICA_API mica_value mica_log1p(mica_value x);
MICA_API mica_value mica_tanh(mica_value x);
MICA_API mica_value mica_logistic(mica_value x); /* 1 / (1 + exp(-x)) */
MICA_API mica_value mica_sqrt(mica_value x);
MICA_API mica_value mica_rsqrt(mica_value x); /* 1 / sqrt(x) */
MICA_API mica_value mica_cbrt(mica_value x);  /* the cube root, of x's sign; derivative inf at 0 */
MICA_API mica_value mica_exp2(mica_value x);  /* 2^x */
MICA_API mica_value mica_log2(mica_value x);  /* -inf at 0, NaN below; exact at powers of 2 */
MICA_API mica_value mica_log10(mica_value x); /* -inf at 0, NaN below */
MICA_API mica_value mica_square(mica_value x);
MICA_API mica_value mica_reciprocal(mica_value x);

/* Angles in radians. asin and acos: NaN beyond [-1, 1]. */
MICA_API mica_value mica_sin(mica_value x);
MICA_API mica_value mica_cos(mica_value x);
MICA_API mica_value mica_tan(mica_value x);
MICA_API mica_value mica_asin(mica_value x);
MICA_API mica_value mica_acos(mica_value x);
MICA_API mica_value mica_atan(mica_value x);
/* The angle of the point (x, y) in [-pi, pi], as C's atan2: by the signs of zeros at the origin and on the
 * axis; NaN if either is. */
MICA_API mica_value mica_atan2(mica_value y, mica_value x);
/* sqrt(x^2 + y^2) without overflow; infinite if either is, even beside NaN; derivative 0 at the origin. */
MICA_API mica_value mica_hypot(mica_value x, mica_value y);
MICA_API mica_value mica_sinc(mica_value x); /* sin(pi x) / (pi x), 1 at 0 (numpy.sinc) */

/* acosh: NaN below 1; atanh: infinite at -1 and 1, NaN beyond. */
MICA_API mica_value mica_sinh(mica_value x);
MICA_API mica_value mica_cosh(mica_value x);
MICA_API mica_value mica_asinh(mica_value x);
MICA_API mica_value mica_acosh(mica_value x);
MICA_API mica_value mica_atanh(mica_value x);

/* Logarithms of sums, without overflow, and products with logarithms. */
MICA_API mica_value mica_softplus(mica_value x); /* log(1 + e^x) */
MICA_API mica_value mica_logit(mica_value x);    /* log(x / (1 - x)); NaN beyond [0, 1] */
MICA_API mica_value mica_logaddexp(mica_value x, mica_value y); /* log(e^x + e^y) */
MICA_API mica_value mica_xlogy(mica_value x, mica_value y);   /* x log(y), 0 at x = 0 but for NaN */
MICA_API mica_value mica_xlog1py(mica_value x, mica_value y); /* x log(1 + y), likewise */
/* c[0] + c[1] x + c[2] x^2 + .. by Horner's rule; 0 without coefficients. Copied during the call. */
MICA_API mica_value mica_polynomial(mica_value x, const double *coefficients, size_t count);

/* To whole numbers; derivative 0, infinities and -0 stay. */
MICA_API mica_value mica_floor(mica_value x);
MICA_API mica_value mica_ceil(mica_value x);
MICA_API mica_value mica_trunc(mica_value x);           /* towards 0 */
MICA_API mica_value mica_round(mica_value x);           /* to nearest, ties to even */
MICA_API mica_value mica_round_half_away(mica_value x); /* to nearest, ties away from 0 */
/* Python's // and %: the quotient rounded down, and the remainder with the sign of y (a zero too). Integers:
 * by zero -1 (all bits set) and x. Floats: by zero x / 0 and NaN. d mod / dy is -floor(x / y). */
MICA_API mica_value mica_floor_divide(mica_value x, mica_value y);
MICA_API mica_value mica_mod(mica_value x, mica_value y);
MICA_API mica_value mica_floor_divide_number(mica_value x, double y);
MICA_API mica_value mica_mod_number(mica_value x, double y);
#ifndef __cplusplus
#define mica_floor_divide(x, y) MICA_VALUE_OR_NUMBER(y, mica_floor_divide)((x), (y))
#define mica_mod(x, y)          MICA_VALUE_OR_NUMBER(y, mica_mod)((x), (y))
#endif
/* min(max(x, low), high): high where low is above it, NaN if any is; half of the derivative at a bound. */
MICA_API mica_value mica_clamp(mica_value x, mica_value low, mica_value high);
MICA_API mica_value mica_clamp_numbers(mica_value x, double low, double high);

/* Floats -> bool. */
MICA_API mica_value mica_is_finite(mica_value x);
MICA_API mica_value mica_is_inf(mica_value x);
MICA_API mica_value mica_is_nan(mica_value x);

/* To another dtype, by the rules of mica_convert_elements. The same dtype gives x. */
MICA_API mica_value mica_convert(mica_value x, mica_dtype dtype);
/* condition (bool) ? x : y, all broadcast together. */
MICA_API mica_value mica_select(mica_value condition, mica_value x, mica_value y);
/* x[i] -> out[i], which no optimization looks through, moves or shares anything across: out[] is computed once all
 * of x[] is. Derivatives pass through barriers of their own. `out` may be x. */
MICA_API void mica_barrier(const mica_value *x, size_t count, mica_value *out);
/* x, whose derivative is zero. */
MICA_API mica_value mica_stop_gradient(mica_value x);
/* x, with its value reported to the device's log callback after each run, as "label: values". */
MICA_API mica_value mica_mark(mica_value x, const char *label);

#ifdef __cplusplus
}
#endif
#endif
