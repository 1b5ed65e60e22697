/* SPDX-License-Identifier: Apache-2.0 */
/* fold.c: elementwise operators whose operands are all constants of one number become that
 * number's result. Only operators whose result is the same on every backend bit by bit: those
 * that IEEE 754 rounds correctly. Computing in f64 and rounding once gives f32's, f16's and
 * bf16's own result, since f64 has more than twice their digits (Figueroa, "When is double
 * rounding innocuous?", SIGNUM 1995). Integers are folded while everything is exact in f64. */
#include <math.h>

#include "graph/passes/passes_internal.h"

/* What is true: a comparison of numbers that are not NaN. */
static bool holds(int32_t kind, double x, double y) {
  switch ((mica_compare_kind)kind) {
    case MICA_COMPARE_EQ: return x == y;
    case MICA_COMPARE_NE: return x != y;
    case MICA_COMPARE_LT: return x < y;
    case MICA_COMPARE_LE: return x <= y;
    case MICA_COMPARE_GT: return x > y;
    case MICA_COMPARE_GE: return x >= y;
  }
  return false;
}

/* The result on numbers, none of them NaN; false when the operator is not folded. */
static bool fold_numbers(mica_op op, const double *n, const void *attr, mica_dtype dtype,
                         double *out) {
  bool floating = mica_dtype_is_float(dtype), truth = dtype == MICA_BOOL;
  switch (op) {
    case MICA_OP_NEG: *out = -n[0]; return floating || n[0] != 0;
    case MICA_OP_ABS: *out = fabs(n[0]); return true;
    case MICA_OP_FLOOR: *out = floor(n[0]); return true;
    case MICA_OP_CEIL: *out = ceil(n[0]); return true;
    case MICA_OP_SQRT: *out = sqrt(n[0]); return true;
    case MICA_OP_CONVERT:
    case MICA_OP_STOP_GRADIENT: *out = n[0]; return true;
    case MICA_OP_NOT: *out = n[0] == 0; return truth;
    case MICA_OP_AND: *out = n[0] != 0 && n[1] != 0; return truth;
    case MICA_OP_OR: *out = n[0] != 0 || n[1] != 0; return truth;
    case MICA_OP_ADD: *out = n[0] + n[1]; return true;
    case MICA_OP_SUB: *out = n[0] - n[1]; return true;
    case MICA_OP_MUL: *out = n[0] * n[1]; return floating || (n[0] != 0 && n[1] != 0);
    case MICA_OP_DIV: *out = n[0] / n[1]; return floating;
    case MICA_OP_MAX: *out = n[0] > n[1] ? n[0] : n[1]; return n[0] != n[1];
    case MICA_OP_MIN: *out = n[0] < n[1] ? n[0] : n[1]; return n[0] != n[1];
    case MICA_OP_COMPARE:
      *out = holds(((const mica_compare_attr *)attr)->kind, n[0], n[1]);
      return true;
    default: return false;
  }
}

/* Whether `number` is an element of the integer dtype, and small enough to be computed with in
 * f64. */
static bool is_exact_integer(mica_dtype dtype, double number) {
  int32_t bits = mica_dtype_bits(dtype);
  bool is_signed = mica_dtype_is_signed(dtype);
  double limit = ldexp(1, bits > 52 ? 52 : bits - (is_signed ? 1 : 0));
  return number == floor(number) && number < limit && number >= (is_signed ? -limit : 0);
}

mica_value mica_simplify_constants(mica_graph *graph, mica_op op, const mica_value *in,
                                   size_t in_count, const void *attr) {
  double numbers[2], result;
  if (in_count < 1 || in_count > 2) return mica_no_value(graph);
  for (size_t i = 0; i < in_count; i++) {
    mica_dtype dtype = mica_dtype_of(in[i]);
    if (!mica_is_constant_number(graph, in[i].id, &numbers[i]) || isnan(numbers[i]) ||
        (mica_dtype_is_integer(dtype) && !is_exact_integer(dtype, numbers[i])))
      return mica_no_value(graph);
  }
  mica_type type = mica_type_of(in[0]);
  if (op == MICA_OP_CONVERT) {
    mica_dtype to = ((const mica_convert_attr *)attr)->dtype;
    /* A float's conversion is rounded once, an integer's result is checked below. */
    if (mica_dtype_is_complex(to)) return mica_no_value(graph);
    if (mica_dtype_is_integer(to)) numbers[0] = trunc(numbers[0]);
    if (to == MICA_BOOL) numbers[0] = numbers[0] != 0;
    type.dtype = to;
  }
  if (!fold_numbers(op, numbers, attr, type.dtype, &result) || isnan(result))
    return mica_no_value(graph);
  if (op == MICA_OP_COMPARE) type.dtype = MICA_BOOL;
  if (mica_dtype_is_integer(type.dtype) && !is_exact_integer(type.dtype, result))
    return mica_no_value(graph);
  char bytes[16];
  mica_tensor *tensor = NULL;
  if (mica_convert_elements(type.dtype, bytes, MICA_F64, &result, 1) != MICA_OK)
    return mica_no_value(graph);
  if (mica_tensor_create(&graph->allocator, (mica_type){.dtype = type.dtype}, bytes, &tensor,
                         NULL) != MICA_OK)
    return mica_fail(graph, MICA_OUT_OF_MEMORY, "out of memory");
  mica_value constant = mica_constant(graph, tensor);
  mica_tensor_release(tensor);
  return mica_repeat_constant(graph, constant, type.shape);
}
