/* SPDX-License-Identifier: Apache-2.0 */
/* An interpreter of tile specs without tiles: every node as an array over the whole space, floats as f64,
 * integers as 64 bits wrapped to their dtype. Also runs programs, split in several ways. */
#ifndef TILE_ORACLE_H
#define TILE_ORACLE_H
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/tile.h"
#include "check.h"
#include "core/special.h"

typedef union {
  double f;
  int64_t i;
} oracle_value;

static inline int64_t oracle_wrap(mica_dtype dtype, int64_t value) {
  const int bits = mica_dtype_bits(dtype);
  if (dtype == MICA_BOOL) return value != 0;
  if (bits == 64) return value;
  const uint64_t low = (uint64_t)value & ((UINT64_C(1) << bits) - 1);
  const bool negative = mica_dtype_is_signed(dtype) && (low >> (bits - 1) & 1) != 0;
  return negative ? (int64_t)(low | ~((UINT64_C(1) << bits) - 1)) : (int64_t)low;
}

static inline double oracle_float(mica_tile_op op, double x, double y) {
  switch ((int)op) {
    case MICA_TILE_NEG: return -x;
    case MICA_TILE_ABS: return fabs(x);
    case MICA_TILE_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case MICA_TILE_EXP: return exp(x);
    case MICA_TILE_EXPM1: return expm1(x);
    case MICA_TILE_LOG: return log(x);
    case MICA_TILE_LOG1P: return log1p(x);
    case MICA_TILE_TANH: return tanh(x);
    case MICA_TILE_LOGISTIC: return 1 / (1 + exp(-x));
    case MICA_TILE_ERF: return erf(x);
    case MICA_TILE_SQRT: return sqrt(x);
    case MICA_TILE_RSQRT: return 1 / sqrt(x);
    case MICA_TILE_SIN: return sin(x);
    case MICA_TILE_COS: return cos(x);
    case MICA_TILE_TAN: return tan(x);
    case MICA_TILE_ASIN: return asin(x);
    case MICA_TILE_ACOS: return acos(x);
    case MICA_TILE_ATAN: return atan(x);
    case MICA_TILE_SINH: return sinh(x);
    case MICA_TILE_COSH: return cosh(x);
    case MICA_TILE_ASINH: return asinh(x);
    case MICA_TILE_ACOSH: return acosh(x);
    case MICA_TILE_ATANH: return atanh(x);
    case MICA_TILE_EXP2: return exp2(x);
    case MICA_TILE_LOG2: return log2(x);
    case MICA_TILE_LOG10: return log10(x);
    case MICA_TILE_CBRT: return cbrt(x);
    case MICA_TILE_SOFTPLUS: return isnan(x) ? x : fmax(x, 0) + log1p(exp(-fabs(x)));
    case MICA_TILE_ERFC: return erfc(x);
    case MICA_TILE_LGAMMA: return mica_special_lgamma(x);
    case MICA_TILE_ERF_INV: return mica_special_erf_inv(x);
    case MICA_TILE_DIGAMMA: return mica_special_digamma(x);
    case MICA_TILE_BESSEL_I0E: return mica_special_bessel_i0e(x);
    case MICA_TILE_BESSEL_I1E: return mica_special_bessel_i1e(x);
    case MICA_TILE_IGAMMA: return mica_special_igamma(x, y);
    case MICA_TILE_IGAMMAC: return mica_special_igammac(x, y);
    case MICA_TILE_IGAMMA_SLOPE: return mica_special_igamma_slope(x, y);
    case MICA_TILE_BITCAST: return x;
    case MICA_TILE_ATAN2: return atan2(x, y);
    case MICA_TILE_HYPOT: return hypot(x, y);
    case MICA_TILE_COPYSIGN: return copysign(x, y);
    case MICA_TILE_FLOOR: return floor(x);
    case MICA_TILE_CEIL: return ceil(x);
    case MICA_TILE_ROUND: return nearbyint(x);
    case MICA_TILE_RELU: return isnan(x) || x > 0 ? x : 0;
    case MICA_TILE_GELU: return 0.5 * x * erfc(-x / sqrt(2));
    case MICA_TILE_GELU_TANH:
      return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case MICA_TILE_ADD:
    case MICA_TILE_REDUCE_SUM: return x + y;
    case MICA_TILE_SUB: return x - y;
    case MICA_TILE_MUL:
    case MICA_TILE_REDUCE_PROD: return x * y;
    case MICA_TILE_DIV: return x / y;
    case MICA_TILE_REM: return fmod(x, y);
    case MICA_TILE_POW: return pow(x, y);
    case MICA_TILE_MAX:
    case MICA_TILE_REDUCE_MAX: return isnan(x) || isnan(y) ? NAN : fmax(x, y);
    case MICA_TILE_MIN:
    case MICA_TILE_REDUCE_MIN: return isnan(x) || isnan(y) ? NAN : fmin(x, y);
    default: return NAN;
  }
}

/* Beside x in the direction of y; the dtype is f32 or f64. */
static inline double oracle_nextafter(mica_dtype dtype, double x, double y) {
  return dtype == MICA_F64 ? nextafter(x, y) : (double)nextafterf((float)x, (float)y);
}

/* Of integers: counts of bits and shifts, as wide as the dtype. */
static inline int64_t oracle_bits(mica_tile_op op, mica_dtype dtype, int64_t x, int64_t y) {
  const int bits = mica_dtype_bits(dtype);
  const uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1,
                 ux = (uint64_t)x & mask;
  const bool over = (uint64_t)y >= (uint64_t)bits, negative = (ux >> (bits - 1) & 1) != 0;
  int64_t count = 0;
  switch ((int)op) {
    case MICA_TILE_POPCOUNT:
      for (int i = 0; i < bits; i++) count += (int64_t)(ux >> i & 1);
      return count;
    case MICA_TILE_COUNT_LEADING_ZEROS:
      while (count < bits && (ux >> (bits - 1 - count) & 1) == 0) count++;
      return count;
    case MICA_TILE_SHIFT_LEFT: return over ? 0 : (int64_t)(ux << y);
    case MICA_TILE_SHIFT_RIGHT_LOGICAL: return over ? 0 : (int64_t)(ux >> y);
    default: /* arithmetic: the sign bit comes in */
      if (over) return negative ? -1 : 0;
      return (int64_t)((ux >> y) | (negative && y > 0 ? ~(mask >> y) : 0));
  }
}

static inline int64_t oracle_power(int64_t x, int64_t y, bool is_signed) {
  if (is_signed && y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 != 0 ? -1 : 1) : 0;
  uint64_t result = 1, base = (uint64_t)x;
  for (uint64_t left = (uint64_t)y; left > 0; left /= 2, base *= base)
    if (left % 2 != 0) result *= base;
  return (int64_t)result;
}

static inline int64_t oracle_integer(mica_tile_op op, mica_dtype dtype, int64_t x, int64_t y) {
  const bool is_signed = mica_dtype_is_signed(dtype);
  const uint64_t ux = (uint64_t)x, uy = (uint64_t)y;
  const bool less = is_signed ? x < y : ux < uy;
  switch ((int)op) {
    case MICA_TILE_NEG: return (int64_t)(0 - ux);
    case MICA_TILE_ABS: return is_signed && x < 0 ? (int64_t)(0 - ux) : x;
    case MICA_TILE_SIGN: return is_signed && x < 0 ? -1 : x != 0;
    case MICA_TILE_NOT: return dtype == MICA_BOOL ? !x : ~x;
    case MICA_TILE_BITCAST: return x;
    case MICA_TILE_RELU: return is_signed && x < 0 ? 0 : x;
    case MICA_TILE_ADD:
    case MICA_TILE_REDUCE_SUM: return (int64_t)(ux + uy);
    case MICA_TILE_SUB: return (int64_t)(ux - uy);
    case MICA_TILE_MUL:
    case MICA_TILE_REDUCE_PROD: return (int64_t)(ux * uy);
    case MICA_TILE_DIV:
      if (y == 0) return -1;
      if (!is_signed) return (int64_t)(ux / uy);
      return y == -1 ? (int64_t)(0 - ux) : x / y;
    case MICA_TILE_REM:
      if (y == 0) return x;
      if (!is_signed) return (int64_t)(ux % uy);
      return y == -1 ? 0 : x % y;
    case MICA_TILE_POW: return oracle_power(x, y, is_signed);
    case MICA_TILE_MAX:
    case MICA_TILE_REDUCE_MAX: return less ? y : x;
    case MICA_TILE_MIN:
    case MICA_TILE_REDUCE_MIN: return less ? x : y;
    case MICA_TILE_AND:
    case MICA_TILE_REDUCE_AND: return x & y;
    case MICA_TILE_OR:
    case MICA_TILE_REDUCE_OR: return x | y;
    case MICA_TILE_XOR: return x ^ y;
    case MICA_TILE_EQ: return x == y;
    case MICA_TILE_NE: return x != y;
    case MICA_TILE_LT: return less;
    case MICA_TILE_LE: return less || x == y;
    case MICA_TILE_GT: return !less && x != y;
    case MICA_TILE_GE: return !less;
    case MICA_TILE_POPCOUNT:
    case MICA_TILE_COUNT_LEADING_ZEROS:
    case MICA_TILE_SHIFT_LEFT:
    case MICA_TILE_SHIFT_RIGHT_LOGICAL:
    case MICA_TILE_SHIFT_RIGHT_ARITHMETIC: return oracle_bits(op, dtype, x, y);
    default: return 0;
  }
}

static inline bool oracle_compare(mica_tile_op op, double x, double y) {
  switch ((int)op) {
    case MICA_TILE_EQ: return x == y;
    case MICA_TILE_NE: return x != y;
    case MICA_TILE_LT: return x < y;
    case MICA_TILE_LE: return x <= y;
    case MICA_TILE_GT: return x > y;
    default: return x >= y;
  }
}

static inline oracle_value oracle_read(mica_dtype dtype, const void *data, int64_t at) {
  oracle_value value = {.i = 0};
  const char *from = (const char *)data + at * (mica_dtype_bits(dtype) / 8);
  if (mica_dtype_is_float(dtype)) {
    (void)mica_convert_elements(MICA_F64, &value.f, dtype, from, 1);
  } else {
    (void)mica_convert_elements(dtype == MICA_U64 ? MICA_U64 : MICA_I64, &value.i, dtype, from, 1);
  }
  return value;
}

static inline oracle_value oracle_convert(mica_dtype from, oracle_value x, mica_dtype to) {
  char narrow[8];
  const mica_dtype held = mica_dtype_is_float(from) ? MICA_F64
                          : from == MICA_U64        ? MICA_U64
                                                    : MICA_I64;
  (void)mica_convert_elements(to, narrow, held, &x, 1);
  return oracle_read(to, narrow, 0);
}

static inline int64_t oracle_count(const mica_tile_spec *spec, int32_t begin, int32_t end) {
  int64_t product = 1;
  for (int32_t axis = begin; axis < end; axis++) product *= spec->size[axis];
  return product;
}

static inline void oracle_index(const mica_tile_spec *spec, int64_t at, int64_t *index) {
  for (int32_t axis = spec->rank - 1; axis >= 0; axis--) {
    index[axis] = at % spec->size[axis];
    at /= spec->size[axis];
  }
}

static inline int64_t oracle_address(const mica_tile_spec *spec, const mica_tile_access *access,
                                     int64_t at) {
  int64_t index[MICA_TILE_RANK], address = access->offset;
  oracle_index(spec, at, index);
  for (int32_t axis = 0; axis < spec->rank; axis++) address += index[axis] * access->stride[axis];
  return address;
}

static inline void oracle_reduce(const mica_tile_spec *spec, const mica_tile_node *node,
                                 const oracle_value *in, oracle_value *out) {
  const int64_t outer = oracle_count(spec, 0, spec->reduce_begin);
  const int64_t reduced = oracle_count(spec, spec->reduce_begin, spec->reduce_end);
  const int64_t inner = oracle_count(spec, spec->reduce_end, spec->rank);
  for (int64_t o = 0; o < outer; o++) {
    for (int64_t i = 0; i < inner; i++) {
      oracle_value sum = in[o * reduced * inner + i];
      for (int64_t r = 1; r < reduced; r++) {
        const oracle_value x = in[(o * reduced + r) * inner + i];
        if (mica_dtype_is_float(node->dtype)) {
          sum.f = oracle_float(node->op, sum.f, x.f);
        } else {
          sum.i = oracle_wrap(node->dtype, oracle_integer(node->op, node->dtype, sum.i, x.i));
        }
      }
      for (int64_t r = 0; r < reduced; r++) out[(o * reduced + r) * inner + i] = sum;
    }
  }
}

static inline oracle_value oracle_apply(const mica_tile_spec *spec, const mica_tile_node *node,
                                        oracle_value a, oracle_value b, oracle_value c) {
  const mica_dtype source = spec->nodes[node->source[0]].dtype;
  oracle_value value = {.i = 0};
  if (node->op == MICA_TILE_SELECT) return a.i ? b : c;
  if (node->op == MICA_TILE_CONVERT) return oracle_convert(source, a, node->dtype);
  if (node->op == MICA_TILE_IS_FINITE) {
    value.i = isfinite(a.f);
  } else if (mica_dtype_is_float(source) && node->dtype == MICA_BOOL) {
    value.i = oracle_compare(node->op, a.f, b.f);
  } else if (mica_dtype_is_float(source)) {
    value.f = node->op == MICA_TILE_BETAINC     ? mica_special_betainc(a.f, b.f, c.f)
              : node->op == MICA_TILE_NEXTAFTER ? oracle_nextafter(node->dtype, a.f, b.f)
                                                : oracle_float(node->op, a.f, b.f);
  } else {
    value.i = oracle_wrap(node->dtype, oracle_integer(node->op, source, a.i, b.i));
  }
  return value;
}

/* Runs the spec on buffers; stores see the loads as they were. */
static inline void oracle_run(const mica_tile_spec *spec, void *const *buffers) {
  const int64_t count = oracle_count(spec, 0, spec->rank);
  oracle_value **values = calloc((size_t)spec->node_count, sizeof *values);
  if (!CHECK(values)) return;
  for (int32_t i = 0; i < spec->node_count; i++) {
    const mica_tile_node *node = &spec->nodes[i];
    oracle_value *out = values[i] = calloc((size_t)count + 1, sizeof *out);
    if (!CHECK(out)) return;
    if (node->op >= MICA_TILE_REDUCE_SUM) oracle_reduce(spec, node, values[node->source[0]], out);
    for (int64_t at = 0;
         at < count && node->op < MICA_TILE_REDUCE_SUM && node->op != MICA_TILE_STORE; at++) {
      int64_t index[MICA_TILE_RANK];
      oracle_index(spec, at, index);
      if (node->op == MICA_TILE_LOAD) {
        const mica_tile_access *access = &spec->accesses[node->access];
        out[at] =
            oracle_read(access->dtype, buffers[access->buffer], oracle_address(spec, access, at));
      } else if (node->op == MICA_TILE_NUMBER) {
        out[at].f = node->number.as_double;
        if (!mica_dtype_is_float(node->dtype)) out[at].i = node->number.as_integer;
      } else if (node->op == MICA_TILE_INDEX) {
        out[at] = oracle_convert(MICA_I64, (oracle_value){.i = index[node->access]}, node->dtype);
      } else {
        const oracle_value zero = {.i = 0};
        const oracle_value *a = values[node->source[0]], *b = values[node->source[1]],
                           *c = values[node->source[2]];
        out[at] = oracle_apply(spec, node, a[at], b ? b[at] : zero, c ? c[at] : zero);
      }
    }
  }
  for (int32_t i = 0; i < spec->node_count; i++) {
    const mica_tile_node *node = &spec->nodes[i];
    if (node->op != MICA_TILE_STORE) continue;
    const mica_tile_access *access = &spec->accesses[node->access];
    const mica_dtype from = spec->nodes[node->source[0]].dtype;
    const mica_dtype held = mica_dtype_is_float(from) ? MICA_F64
                            : from == MICA_U64        ? MICA_U64
                                                      : MICA_I64;
    char *out = buffers[access->buffer];
    for (int64_t at = 0; at < count; at++)
      (void)mica_convert_elements(
          access->dtype,
          out + oracle_address(spec, access, at) * (mica_dtype_bits(access->dtype) / 8), held,
          &values[node->source[0]][at], 1);
  }
  for (int32_t i = 0; i < spec->node_count; i++) free(values[i]);
  free(values);
}

/* ---- running programs ------------------------------------------------------------------------------ */

/* How a run is split: threads of a made-up pool, of which the last takes the first tasks. */
typedef struct {
  mica_parallel parallel;
  int64_t calls;
} oracle_pool;

static inline void oracle_pool_run(void *self, int64_t count,
                                   void (*task)(void *context, int64_t index, int32_t worker),
                                   void *context) {
  oracle_pool *pool = self;
  pool->calls++;
  for (int64_t i = count - 1; i >= 0; i--) task(context, i, (int32_t)(i % pool->parallel.threads));
}

/* Runs the program as `threads` threads would (0: unit by unit, backwards), with scratch full of noise. */
static inline void oracle_execute(const mica_tile_program *program, void *const *buffers,
                                  int32_t threads) {
  const size_t size = mica_tile_scratch_size(program, threads > 0 ? threads : 1) + 64;
  void *scratch = aligned_alloc(64, (size + 63) & ~(size_t)63);
  if (!CHECK(scratch)) return;
  memset(scratch, 0x7f, size);
  if (threads > 0) {
    oracle_pool pool = {.parallel = {.run = oracle_pool_run, .threads = threads}};
    pool.parallel.self = &pool;
    mica_tile_run(program, buffers, &pool.parallel, scratch);
  } else {
    for (int32_t pass = 0; pass < mica_tile_pass_count(program); pass++)
      for (int64_t unit = mica_tile_unit_count(program, pass) - 1; unit >= 0; unit--)
        mica_tile_run_units(program, pass, unit, unit + 1, buffers, scratch,
                            (char *)scratch + mica_tile_shared_size(program));
  }
  free(scratch);
}

#endif
