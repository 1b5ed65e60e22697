/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.c: out[i] from in[*][i], a block of elements at a time. Real functions are the C library's
 * in f64; integers follow StableHLO and XLA where C would trap or say nothing. */
#include "backend/reference/elementwise_internal.h"
#include "backend/reference/complex_internal.h"
#include "core/special.h"

#include <math.h>
#include <string.h>

/* ---- one operand ------------------------------------------------------------------------------ */

static int64_t integer_neg(int64_t x) { return (int64_t)(0 - (uint64_t)x); }
static int64_t integer_abs(int64_t x) { return x < 0 ? integer_neg(x) : x; }
static int64_t integer_sign(int64_t x) { return (x > 0) - (x < 0); }
static int64_t integer_not(int64_t x) { return ~x; }
static uint64_t unsigned_same(uint64_t x) { return x; }
static uint64_t unsigned_sign(uint64_t x) { return x != 0; }

static double real_neg(double x) { return -x; }
static double real_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double real_logistic(double x) {
  if (x >= 0) return 1 / (1 + exp(-x));
  double e = exp(x);
  return e / (1 + e);
}
static double real_rsqrt(double x) { return 1 / sqrt(x); }
static double real_round(double x) { return rint(x); } /* the thread rounds to nearest even */

/* A missing unsigned entry means that the signed one does the same to the bits. */
typedef struct {
  int64_t (*integer)(int64_t x);
  uint64_t (*natural)(uint64_t x);
  double (*real)(double x);
  reference_complex (*complex)(reference_complex x);
} unary_functions;

static const unary_functions unary_table[MICA_OP_COUNT] = {
    [MICA_OP_NEG] = {integer_neg, NULL, real_neg, mica_reference_complex_neg},
    [MICA_OP_ABS] = {integer_abs, unsigned_same, fabs, NULL},
    [MICA_OP_SIGN] = {integer_sign, unsigned_sign, real_sign, NULL},
    [MICA_OP_NOT] = {integer_not, NULL, NULL, NULL},
    [MICA_OP_EXP] = {NULL, NULL, exp, mica_reference_complex_exp},
    [MICA_OP_EXPM1] = {NULL, NULL, expm1, mica_reference_complex_expm1},
    [MICA_OP_LOG] = {NULL, NULL, log, mica_reference_complex_log},
    [MICA_OP_LOG1P] = {NULL, NULL, log1p, mica_reference_complex_log1p},
    [MICA_OP_TANH] = {NULL, NULL, tanh, mica_reference_complex_tanh},
    [MICA_OP_LOGISTIC] = {NULL, NULL, real_logistic, mica_reference_complex_logistic},
    [MICA_OP_ERF] = {NULL, NULL, erf, NULL},
    [MICA_OP_SQRT] = {NULL, NULL, sqrt, mica_reference_complex_sqrt},
    [MICA_OP_RSQRT] = {NULL, NULL, real_rsqrt, mica_reference_complex_rsqrt},
    [MICA_OP_SIN] = {NULL, NULL, sin, mica_reference_complex_sin},
    [MICA_OP_COS] = {NULL, NULL, cos, mica_reference_complex_cos},
    [MICA_OP_FLOOR] = {NULL, NULL, floor, NULL},
    [MICA_OP_CEIL] = {NULL, NULL, ceil, NULL},
    [MICA_OP_ROUND] = {NULL, NULL, real_round, NULL},
    [MICA_OP_TAN] = {NULL, NULL, tan, mica_reference_complex_tan},
    [MICA_OP_ASIN] = {NULL, NULL, asin, NULL},
    [MICA_OP_ACOS] = {NULL, NULL, acos, NULL},
    [MICA_OP_ATAN] = {NULL, NULL, atan, NULL},
    [MICA_OP_SINH] = {NULL, NULL, sinh, mica_reference_complex_sinh},
    [MICA_OP_COSH] = {NULL, NULL, cosh, mica_reference_complex_cosh},
    [MICA_OP_ASINH] = {NULL, NULL, asinh, NULL},
    [MICA_OP_ACOSH] = {NULL, NULL, acosh, NULL},
    [MICA_OP_ATANH] = {NULL, NULL, atanh, NULL},
    [MICA_OP_EXP2] = {NULL, NULL, exp2, NULL},
    [MICA_OP_LOG2] = {NULL, NULL, log2, NULL},
    [MICA_OP_LOG10] = {NULL, NULL, log10, NULL},
    [MICA_OP_CBRT] = {NULL, NULL, cbrt, NULL},
    [MICA_OP_ERFC] = {NULL, NULL, erfc, NULL},
    [MICA_OP_ERF_INV] = {NULL, NULL, mica_special_erf_inv, NULL},
    [MICA_OP_LGAMMA] = {NULL, NULL, mica_special_lgamma, NULL},
    [MICA_OP_DIGAMMA] = {NULL, NULL, mica_special_digamma, NULL},
    [MICA_OP_BESSEL_I0E] = {NULL, NULL, mica_special_bessel_i0e, NULL},
    [MICA_OP_BESSEL_I1E] = {NULL, NULL, mica_special_bessel_i1e, NULL},
    [MICA_OP_CONJ] = {NULL, NULL, NULL, mica_reference_complex_conj},
};

static void apply_unary(const unary_functions *f, mica_element_class kind, wide_block *x,
                        int64_t count) {
  switch (kind) {
    case MICA_ELEMENT_SIGNED:
      for (int64_t i = 0; f->integer != NULL && i < count; i++) x->i64[i] = f->integer(x->i64[i]);
      break;
    case MICA_ELEMENT_UNSIGNED:
      if (f->natural == NULL) {
        apply_unary(f, MICA_ELEMENT_SIGNED, x, count);
        break;
      }
      for (int64_t i = 0; i < count; i++) x->u64[i] = f->natural(x->u64[i]);
      break;
    case MICA_ELEMENT_FLOAT:
      for (int64_t i = 0; f->real != NULL && i < count; i++) x->f64[i] = f->real(x->f64[i]);
      break;
    case MICA_ELEMENT_COMPLEX:
      for (int64_t i = 0; f->complex != NULL && i < count; i++) x->c128[i] = f->complex(x->c128[i]);
      break;
  }
}

static void unary_kernel(const reference_step *step) {
  mica_type type = step->node->type;
  const unary_functions *f = &unary_table[step->node->op];
  mica_element_class kind = mica_dtype_element_class(type.dtype);
  bool is_bool = type.dtype == MICA_BOOL; /* not */
  int64_t count = mica_shape_count(type.shape);
  wide_block x;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = count - begin < WIDE_BLOCK ? count - begin : WIDE_BLOCK;
    mica_reference_widen(type.dtype, step->in[0], begin, n, &x);
    apply_unary(f, kind, &x, n);
    for (int64_t i = 0; is_bool && i < n; i++) x.i64[i] &= 1;
    mica_reference_narrow(type.dtype, step->out[0], begin, n, &x);
  }
}

/* |x| of complex numbers is real. */
static void abs_kernel(const reference_step *step) {
  bool complex = mica_dtype_is_complex(reference_in_type(step, 0).dtype);
  (complex ? mica_reference_part : unary_kernel)(step);
}

static void is_finite_kernel(const reference_step *step) {
  mica_type type = reference_in_type(step, 0);
  int64_t count = mica_shape_count(type.shape);
  uint8_t *out = step->out[0];
  wide_block x;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = count - begin < WIDE_BLOCK ? count - begin : WIDE_BLOCK;
    mica_reference_widen(type.dtype, step->in[0], begin, n, &x);
    for (int64_t i = 0; i < n; i++) out[begin + i] = isfinite(x.f64[i]) != 0;
  }
}

static void convert_kernel(const reference_step *step) {
  mica_type from = reference_in_type(step, 0), to = step->node->type;
  mica_convert_elements(to.dtype, step->out[0], from.dtype, step->in[0],
                        mica_shape_count(to.shape));
}

/* Operators that hand their operands on: stop_gradient, mark, barrier. */
static void identity_kernel(const reference_step *step) {
  for (uint32_t i = 0; i < step->node->operand_count; i++)
    mica_reference_copy_all(reference_in_type(step, i), step->in[i], step->out[i]);
}

/* ---- two operands ----------------------------------------------------------------------------- */

static int64_t integer_add(int64_t x, int64_t y) { return (int64_t)((uint64_t)x + (uint64_t)y); }
static int64_t integer_sub(int64_t x, int64_t y) { return (int64_t)((uint64_t)x - (uint64_t)y); }
static int64_t integer_mul(int64_t x, int64_t y) { return (int64_t)((uint64_t)x * (uint64_t)y); }
static int64_t integer_div(int64_t x, int64_t y) {
  if (y == 0) return -1;
  return y == -1 ? integer_neg(x) : x / y; /* the smallest number / -1 stays */
}
static int64_t integer_rem(int64_t x, int64_t y) {
  if (y == 0) return x;
  return y == -1 ? 0 : x % y;
}
static uint64_t unsigned_pow(uint64_t x, uint64_t y) {
  uint64_t power = 1;
  for (; y != 0; y >>= 1, x *= x)
    if ((y & 1) != 0) power *= x;
  return power;
}
/* A negative exponent gives the reciprocal's whole part: 0 but for 1 and -1 (0 too, as XLA has it). */
static int64_t integer_pow(int64_t x, int64_t y) {
  if (y >= 0) return (int64_t)unsigned_pow((uint64_t)x, (uint64_t)y);
  if (x == 1) return 1;
  return x == -1 ? (y % 2 != 0 ? -1 : 1) : 0;
}
static int64_t integer_max(int64_t x, int64_t y) { return x > y ? x : y; }
static int64_t integer_min(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t integer_and(int64_t x, int64_t y) { return x & y; }
static int64_t integer_or(int64_t x, int64_t y) { return x | y; }
static int64_t integer_xor(int64_t x, int64_t y) { return x ^ y; }
static uint64_t unsigned_div(uint64_t x, uint64_t y) { return y == 0 ? UINT64_MAX : x / y; }
static uint64_t unsigned_rem(uint64_t x, uint64_t y) { return y == 0 ? x : x % y; }
static uint64_t unsigned_max(uint64_t x, uint64_t y) { return x > y ? x : y; }
static uint64_t unsigned_min(uint64_t x, uint64_t y) { return x < y ? x : y; }
static double real_add(double x, double y) { return x + y; }
static double real_sub(double x, double y) { return x - y; }
static double real_mul(double x, double y) { return x * y; }
static double real_div(double x, double y) { return x / y; }

typedef struct {
  int64_t (*integer)(int64_t x, int64_t y);
  uint64_t (*natural)(uint64_t x, uint64_t y);
  double (*real)(double x, double y);
  reference_complex (*complex)(reference_complex x, reference_complex y);
} binary_functions;

static const binary_functions binary_table[MICA_OP_COUNT] = {
    [MICA_OP_ADD] = {integer_add, NULL, real_add, mica_reference_complex_add},
    [MICA_OP_SUB] = {integer_sub, NULL, real_sub, mica_reference_complex_sub},
    [MICA_OP_MUL] = {integer_mul, NULL, real_mul, mica_reference_complex_mul},
    [MICA_OP_DIV] = {integer_div, unsigned_div, real_div, mica_reference_complex_div},
    [MICA_OP_REM] = {integer_rem, unsigned_rem, fmod, NULL},
    [MICA_OP_POW] = {integer_pow, unsigned_pow, pow, mica_reference_complex_pow},
    [MICA_OP_MAX] = {integer_max, unsigned_max, mica_reference_max, NULL},
    [MICA_OP_MIN] = {integer_min, unsigned_min, mica_reference_min, NULL},
    [MICA_OP_AND] = {integer_and, NULL, NULL, NULL},
    [MICA_OP_OR] = {integer_or, NULL, NULL, NULL},
    [MICA_OP_XOR] = {integer_xor, NULL, NULL, NULL},
    [MICA_OP_ATAN2] = {NULL, NULL, atan2, NULL},
    [MICA_OP_HYPOT] = {NULL, NULL, hypot, NULL},
    [MICA_OP_COPYSIGN] = {NULL, NULL, copysign, NULL},
    [MICA_OP_IGAMMA] = {NULL, NULL, mica_special_igamma, NULL},
    [MICA_OP_IGAMMAC] = {NULL, NULL, mica_special_igammac, NULL},
    [MICA_OP_IGAMMA_SLOPE] = {NULL, NULL, mica_special_igamma_slope, NULL},
};

static void apply_binary(const binary_functions *f, mica_element_class kind, wide_block *x,
                         const wide_block *y, int64_t count) {
  switch (kind) {
    case MICA_ELEMENT_SIGNED:
      for (int64_t i = 0; f->integer != NULL && i < count; i++)
        x->i64[i] = f->integer(x->i64[i], y->i64[i]);
      break;
    case MICA_ELEMENT_UNSIGNED:
      if (f->natural == NULL) {
        apply_binary(f, MICA_ELEMENT_SIGNED, x, y, count);
        break;
      }
      for (int64_t i = 0; i < count; i++) x->u64[i] = f->natural(x->u64[i], y->u64[i]);
      break;
    case MICA_ELEMENT_FLOAT:
      for (int64_t i = 0; f->real != NULL && i < count; i++)
        x->f64[i] = f->real(x->f64[i], y->f64[i]);
      break;
    case MICA_ELEMENT_COMPLEX:
      for (int64_t i = 0; f->complex != NULL && i < count; i++)
        x->c128[i] = f->complex(x->c128[i], y->c128[i]);
      break;
  }
}

static void binary_kernel(const reference_step *step) {
  mica_type type = step->node->type;
  const binary_functions *f = &binary_table[step->node->op];
  mica_element_class kind = mica_dtype_element_class(type.dtype);
  int64_t count = mica_shape_count(type.shape);
  wide_block x, y;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = count - begin < WIDE_BLOCK ? count - begin : WIDE_BLOCK;
    mica_reference_widen(type.dtype, step->in[0], begin, n, &x);
    mica_reference_widen(type.dtype, step->in[1], begin, n, &y);
    apply_binary(f, kind, &x, &y, n);
    mica_reference_narrow(type.dtype, step->out[0], begin, n, &x);
  }
}

/* -1, 0, 1 by the order; 2: unordered (NaN) or, for complex numbers, different. */
static int order_of(mica_element_class kind, const wide_block *x, const wide_block *y, int64_t i) {
  switch (kind) {
    case MICA_ELEMENT_SIGNED: return (x->i64[i] > y->i64[i]) - (x->i64[i] < y->i64[i]);
    case MICA_ELEMENT_UNSIGNED: return (x->u64[i] > y->u64[i]) - (x->u64[i] < y->u64[i]);
    case MICA_ELEMENT_FLOAT:
      if (isnan(x->f64[i]) || isnan(y->f64[i])) return 2;
      return (x->f64[i] > y->f64[i]) - (x->f64[i] < y->f64[i]);
    case MICA_ELEMENT_COMPLEX:
      return x->c128[i].re == y->c128[i].re && x->c128[i].im == y->c128[i].im ? 0 : 2;
  }
  return 2;
}

static bool compare_holds(mica_compare_kind kind, int order) {
  switch (kind) {
    case MICA_COMPARE_EQ: return order == 0;
    case MICA_COMPARE_NE: return order != 0;
    case MICA_COMPARE_LT: return order == -1;
    case MICA_COMPARE_LE: return order == -1 || order == 0;
    case MICA_COMPARE_GT: return order == 1;
    case MICA_COMPARE_GE: return order == 1 || order == 0;
  }
  return false;
}

static void compare_kernel(const reference_step *step) {
  const mica_compare_attr *attr = step->attr;
  mica_type type = reference_in_type(step, 0);
  mica_element_class kind = mica_dtype_element_class(type.dtype);
  int64_t count = mica_shape_count(type.shape);
  uint8_t *out = step->out[0];
  wide_block x, y;
  for (int64_t begin = 0; begin < count; begin += WIDE_BLOCK) {
    int64_t n = count - begin < WIDE_BLOCK ? count - begin : WIDE_BLOCK;
    mica_reference_widen(type.dtype, step->in[0], begin, n, &x);
    mica_reference_widen(type.dtype, step->in[1], begin, n, &y);
    for (int64_t i = 0; i < n; i++)
      out[begin + i] = compare_holds((mica_compare_kind)attr->kind, order_of(kind, &x, &y, i));
  }
}

static void select_kernel(const reference_step *step) {
  mica_type type = step->node->type;
  int64_t count = mica_shape_count(type.shape);
  const uint8_t *condition = step->in[0];
  /* Runs of one answer are copied at once. */
  for (int64_t begin = 0, end; begin < count; begin = end) {
    end = begin + 1;
    while (end < count && (condition[end] != 0) == (condition[begin] != 0)) end++;
    reference_move run = {.rank = 1,
                          .dim = {end - begin},
                          .in_stride = {1},
                          .out_stride = {1},
                          .in_offset = begin,
                          .out_offset = begin};
    mica_reference_copy(type.dtype, step->in[condition[begin] != 0 ? 1 : 2], step->out[0], &run);
  }
}

const reference_row mica_reference_elementwise[MICA_OP_COUNT] = {
    [MICA_OP_NEG] = {unary_kernel, NULL},
    [MICA_OP_ABS] = {abs_kernel, NULL},
    [MICA_OP_SIGN] = {unary_kernel, NULL},
    [MICA_OP_EXP] = {unary_kernel, NULL},
    [MICA_OP_EXPM1] = {unary_kernel, NULL},
    [MICA_OP_LOG] = {unary_kernel, NULL},
    [MICA_OP_LOG1P] = {unary_kernel, NULL},
    [MICA_OP_TANH] = {unary_kernel, NULL},
    [MICA_OP_LOGISTIC] = {unary_kernel, NULL},
    [MICA_OP_ERF] = {unary_kernel, NULL},
    [MICA_OP_SQRT] = {unary_kernel, NULL},
    [MICA_OP_RSQRT] = {unary_kernel, NULL},
    [MICA_OP_SIN] = {unary_kernel, NULL},
    [MICA_OP_COS] = {unary_kernel, NULL},
    [MICA_OP_FLOOR] = {unary_kernel, NULL},
    [MICA_OP_CEIL] = {unary_kernel, NULL},
    [MICA_OP_ROUND] = {unary_kernel, NULL},
    [MICA_OP_NOT] = {unary_kernel, NULL},
    [MICA_OP_TAN] = {unary_kernel, NULL},
    [MICA_OP_ASIN] = {unary_kernel, NULL},
    [MICA_OP_ACOS] = {unary_kernel, NULL},
    [MICA_OP_ATAN] = {unary_kernel, NULL},
    [MICA_OP_SINH] = {unary_kernel, NULL},
    [MICA_OP_COSH] = {unary_kernel, NULL},
    [MICA_OP_ASINH] = {unary_kernel, NULL},
    [MICA_OP_ACOSH] = {unary_kernel, NULL},
    [MICA_OP_ATANH] = {unary_kernel, NULL},
    [MICA_OP_EXP2] = {unary_kernel, NULL},
    [MICA_OP_LOG2] = {unary_kernel, NULL},
    [MICA_OP_LOG10] = {unary_kernel, NULL},
    [MICA_OP_CBRT] = {unary_kernel, NULL},
    [MICA_OP_ERFC] = {unary_kernel, NULL},
    [MICA_OP_ERF_INV] = {unary_kernel, NULL},
    [MICA_OP_LGAMMA] = {unary_kernel, NULL},
    [MICA_OP_DIGAMMA] = {unary_kernel, NULL},
    [MICA_OP_BESSEL_I0E] = {unary_kernel, NULL},
    [MICA_OP_BESSEL_I1E] = {unary_kernel, NULL},
    [MICA_OP_CONJ] = {unary_kernel, NULL},
    [MICA_OP_ATAN2] = {binary_kernel, NULL},
    [MICA_OP_HYPOT] = {binary_kernel, NULL},
    [MICA_OP_COPYSIGN] = {binary_kernel, NULL},
    [MICA_OP_IGAMMA] = {binary_kernel, NULL},
    [MICA_OP_IGAMMAC] = {binary_kernel, NULL},
    [MICA_OP_IGAMMA_SLOPE] = {binary_kernel, NULL},
    [MICA_OP_SHIFT_LEFT] = {mica_reference_shift, NULL},
    [MICA_OP_SHIFT_RIGHT_LOGICAL] = {mica_reference_shift, NULL},
    [MICA_OP_SHIFT_RIGHT_ARITHMETIC] = {mica_reference_shift, NULL},
    [MICA_OP_POPCOUNT] = {mica_reference_count_bits, NULL},
    [MICA_OP_COUNT_LEADING_ZEROS] = {mica_reference_count_bits, NULL},
    [MICA_OP_BITCAST] = {mica_reference_bitcast, NULL},
    [MICA_OP_NEXTAFTER] = {mica_reference_nextafter, NULL},
    [MICA_OP_REAL] = {mica_reference_part, NULL},
    [MICA_OP_IMAG] = {mica_reference_part, NULL},
    [MICA_OP_COMPLEX] = {mica_reference_complex_of, NULL},
    [MICA_OP_POLYGAMMA] = {mica_reference_polygamma, NULL},
    [MICA_OP_BETAINC] = {mica_reference_betainc, NULL},
    [MICA_OP_BETAINC_SLOPE] = {mica_reference_betainc, NULL},
    [MICA_OP_IS_FINITE] = {is_finite_kernel, NULL},
    [MICA_OP_CONVERT] = {convert_kernel, NULL},
    [MICA_OP_STOP_GRADIENT] = {identity_kernel, NULL},
    [MICA_OP_MARK] = {identity_kernel, NULL},
    [MICA_OP_BARRIER] = {identity_kernel, NULL},
    [MICA_OP_ADD] = {binary_kernel, NULL},
    [MICA_OP_SUB] = {binary_kernel, NULL},
    [MICA_OP_MUL] = {binary_kernel, NULL},
    [MICA_OP_DIV] = {binary_kernel, NULL},
    [MICA_OP_REM] = {binary_kernel, NULL},
    [MICA_OP_POW] = {binary_kernel, NULL},
    [MICA_OP_MAX] = {binary_kernel, NULL},
    [MICA_OP_MIN] = {binary_kernel, NULL},
    [MICA_OP_AND] = {binary_kernel, NULL},
    [MICA_OP_OR] = {binary_kernel, NULL},
    [MICA_OP_XOR] = {binary_kernel, NULL},
    [MICA_OP_COMPARE] = {compare_kernel, NULL},
    [MICA_OP_SELECT] = {select_kernel, NULL},
};
