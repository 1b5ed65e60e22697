/* SPDX-License-Identifier: Apache-2.0 */
/* complex.c: complex numbers and their parts.
 *
 * These are linear over the reals, not over the complex numbers, so a rule is not a factor: tangents have the
 * operand's dtype and cotangents the result's, and by its dtype each goes to the other side. A cotangent c
 * pairs with a tangent t as the real part of c t, without conjugation, as in JAX; so the gradient of a real
 * function of z = x + iy is d/dx - i d/dy. */
#include "graph/ops/pointwise.h"

static mica_dtype part_of_complex(mica_dtype dtype) {
  return dtype == MICA_C64 ? MICA_F32 : MICA_F64;
}

static bool infer_part(mica_infer *infer) {
  mica_type x = infer->in[0];
  if (!mica_dtype_is_complex(x.dtype))
    return mica_infer_fail(infer, "dtype %s has no parts: expected c64 or c128",
                           mica_dtype_name(x.dtype));
  return mica_infer_one(infer, (mica_type){part_of_complex(x.dtype), x.shape});
}
static mica_value complex_of(mica_value re, mica_value im) {
  mica_value in[2] = {re, im};
  return mica_emit(re.graph, MICA_OP_COMPLEX, in, 2, NULL);
}
static mica_value real_of(mica_value x) { return mica_emit(x.graph, MICA_OP_REAL, &x, 1, NULL); }
static mica_value imag_of(mica_value x) { return mica_emit(x.graph, MICA_OP_IMAG, &x, 1, NULL); }
static bool is_complex_value(mica_value x) { return mica_dtype_is_complex(mica_dtype_of(x)); }

static mica_value derive_real(const mica_rule *rule, size_t operand, mica_value t) {
  (void)rule, (void)operand;
  return is_complex_value(t) ? real_of(t) : complex_of(t, mica_zeros_like(t));
}
POINTWISE(real, COMPLEX, 1, infer_part, derive_real, NULL,
          "x complex [a...] -> [a...]: the real part")
static mica_value derive_imag(const mica_rule *rule, size_t operand, mica_value t) {
  (void)rule, (void)operand;
  return is_complex_value(t) ? imag_of(t) : complex_of(mica_zeros_like(t), mica_neg(t));
}
POINTWISE(imag, COMPLEX, 1, infer_part, derive_imag, NULL,
          "x complex [a...] -> [a...]: the imaginary part")

static bool infer_complex(mica_infer *infer) {
  mica_type x = infer->in[0];
  if (x.dtype != MICA_F32 && x.dtype != MICA_F64)
    return mica_infer_fail(
        infer, "dtype %s has no complex numbers: expected f32 or f64 (mica_convert first)",
        mica_dtype_name(x.dtype));
  return mica_infer_equal_types(infer, 0) &&
         mica_infer_one(infer, (mica_type){x.dtype == MICA_F32 ? MICA_C64 : MICA_C128, x.shape});
}
static mica_value derive_complex(const mica_rule *rule, size_t operand, mica_value t) {
  (void)rule;
  if (is_complex_value(t)) return operand == 0 ? real_of(t) : mica_neg(imag_of(t));
  mica_value zero = mica_zeros_like(t);
  return operand == 0 ? complex_of(t, zero) : complex_of(zero, t);
}
POINTWISE(complex, WIDE, 2, infer_complex, derive_complex, NULL,
          "x [a...], y [a...] -> complex [a...]: x + i y")
mica_value mica_complex(mica_value re, mica_value im) {
  MICA_ENTRY_OF(re, im);
  return mica_emit_broadcast(MICA_OP_COMPLEX, (mica_value[2]){re, im}, 2, NULL);
}

static bool infer_conj(mica_infer *infer) {
  return infer_part(infer) && mica_infer_one(infer, infer->in[0]);
}
static mica_value derive_conj(const mica_rule *rule, size_t operand, mica_value t) {
  (void)rule, (void)operand;
  return mica_conj(t);
}
POINTWISE(conj, COMPLEX, 1, infer_conj, derive_conj, NULL,
          "x complex [a...] -> [a...]: the imaginary part negated")

/* ---- of real numbers too --------------------------------------------------------------------- */

/* Whether x is complex; a value that cannot be used makes the graph fail. */
static bool complex_operand(const char *name, mica_value x, bool *out_usable) {
  *out_usable = mica_operands_usable(name, &x, 1);
  return *out_usable && is_complex_value(x);
}
mica_value mica_real(mica_value x) {
  MICA_ENTRY(x.graph);
  bool usable, complex = complex_operand("real", x, &usable);
  if (usable && !complex) return x;
  return real_of(x);
}
mica_value mica_imag(mica_value x) {
  MICA_ENTRY(x.graph);
  bool usable, complex = complex_operand("imag", x, &usable);
  if (usable && !complex) return mica_zeros_like(x);
  return imag_of(x);
}
mica_value mica_conj(mica_value x) {
  MICA_ENTRY(x.graph);
  bool usable, complex = complex_operand("conj", x, &usable);
  if (usable && !complex) return x;
  return mica_emit(x.graph, MICA_OP_CONJ, &x, 1, NULL);
}
mica_value mica_angle(mica_value x) {
  MICA_ENTRY(x.graph);
  bool usable, complex = complex_operand("angle", x, &usable);
  if (!usable) return mica_no_value(x.graph);
  return complex ? mica_atan2(imag_of(x), real_of(x)) : mica_atan2(mica_zeros_like(x), x);
}
