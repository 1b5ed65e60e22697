/* SPDX-License-Identifier: Apache-2.0 */
/* noise.c: the graph with noise, and what runs of it say. */
#include "random/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/attributes.h"
#include "mica/ops.h"
#include "random/generator.h"

double noise_unit(mica_dtype dtype) {
  switch (dtype) {
    case MICA_F64:
    case MICA_C128: return 0x1p-52;
    case MICA_F32:
    case MICA_C64: return 0x1p-23;
    case MICA_F16: return 0x1p-10;
    case MICA_BF16: return 0x1p-7;
    case MICA_F8E4M3FN: return 0x1p-3;
    case MICA_F8E5M2: return 0x1p-2;
    default: return 0;
  }
}
/* Half of the largest |d|: wide enough for functions that are some units off, narrow where units are coarse. */
static double amplitude(mica_dtype dtype) {
  double unit = noise_unit(dtype);
  return unit < 1e-12 ? 512 * unit : unit < 1e-5 ? 64 * unit : unit;
}

/* What rounds nothing: results are elements of operands, or numbers that every engine finds. */
static bool is_exact(mica_op op) {
  switch (op) {
    case MICA_OP_PARAMETER:
    case MICA_OP_ARGUMENT:
    case MICA_OP_CONSTANT:
    case MICA_OP_VARIABLE:
    case MICA_OP_RESULT:
    case MICA_OP_IOTA:
    case MICA_OP_NEG:
    case MICA_OP_ABS:
    case MICA_OP_SIGN:
    case MICA_OP_FLOOR:
    case MICA_OP_CEIL:
    case MICA_OP_ROUND:
    case MICA_OP_STOP_GRADIENT:
    case MICA_OP_MARK:
    case MICA_OP_MAX:
    case MICA_OP_MIN:
    case MICA_OP_SELECT:
    case MICA_OP_BROADCAST:
    case MICA_OP_RESHAPE:
    case MICA_OP_TRANSPOSE:
    case MICA_OP_REVERSE:
    case MICA_OP_SLICE:
    case MICA_OP_PAD:
    case MICA_OP_CONCATENATE:
    case MICA_OP_DYNAMIC_SLICE:
    case MICA_OP_DYNAMIC_UPDATE_SLICE:
    case MICA_OP_GATHER:
    case MICA_OP_SORT:
    case MICA_OP_TOP_K:
    case MICA_OP_ONE_HOT:
    case MICA_OP_BARRIER:
    case MICA_OP_BITCAST:
    case MICA_OP_REDUCE_PRECISION:
    case MICA_OP_GAMMA_DRAW:
    case MICA_OP_COPYSIGN:
    case MICA_OP_NEXTAFTER: return true;
    default: return mica_op_definition(op)->kind == MICA_KIND_REGION;
  }
}
/* Exact where the result is a whole number or a short fraction. */
static bool is_sum_or_product(mica_op op, const void *attr) {
  switch (op) {
    case MICA_OP_CUMULATIVE:
      return ((const mica_cumulative_attr *)attr)->kind != MICA_CUMULATIVE_LOGSUMEXP;
    case MICA_OP_ADD:
    case MICA_OP_SUB:
    case MICA_OP_MUL:
    case MICA_OP_REM:
    case MICA_OP_REDUCE:
    case MICA_OP_REDUCE_WINDOW:
    case MICA_OP_SELECT_AND_SCATTER:
    case MICA_OP_SELECT_AND_GATHER:
    case MICA_OP_LINEAR_RECURRENCE:
    case MICA_OP_DOT_GENERAL:
    case MICA_OP_CONVOLUTION:
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
    case MICA_OP_CONVOLUTION_BACKWARD_KERNEL:
    case MICA_OP_SCATTER:
    case MICA_OP_CUSTOM: return true;
    default: return false;
  }
}

/* The sign of d, f64 []: 1 or -1. */
static mica_variable *sign;
static void set_sign(double number) {
  mica_tensor *tensor = mica_tensor_scalar(MICA_F64, number);
  if (!sign) sign = mica_variable_create("sign of the noise", tensor);
  mica_variable_set(sign, tensor, NULL);
  mica_tensor_release(tensor);
}

typedef struct {
  uint64_t seed; /* of the next node */
  bool zeros;    /* something asks for the sign of zero, which no engine promises */
} noise_context;

/* 1 + d; `width` scales d. */
static mica_value factor_like(mica_value y, noise_context *c, bool complex, double width) {
  mica_dtype dtype = mica_dtype_of(y), real = complex ? random_real_part(dtype) : dtype;
  mica_shape shape = mica_shape_of(y);
  int64_t count = mica_shape_count(shape);
  double *d = malloc(((size_t)count + 1) * sizeof *d);
  uint64_t seed = c->seed++;
  mica_value parts[2];
  for (int part = 0; part < (complex ? 2 : 1); part++) {
    for (int64_t i = 0; i < count; i++)
      d[i] = 2 * width * amplitude(real) *
             (2 * random_unit(seed + ((uint64_t)part << 50), (uint64_t)i) - 1);
    mica_tensor *tensor = mica_tensor_from_doubles(MICA_F64, shape, d);
    parts[part] = mica_mul(mica_constant(y.graph, tensor), mica_variable_read(y.graph, sign));
    mica_tensor_release(tensor);
  }
  free(d);
  mica_value factor = mica_add(parts[0], 1);
  if (!complex) return mica_convert(factor, dtype);
  double unit[2] = {0, 1};
  mica_tensor *tensor = mica_tensor_from(MICA_C128, MICA_SCALAR, unit);
  mica_value i = mica_constant(y.graph, tensor);
  mica_tensor_release(tensor);
  factor =
      mica_add(mica_convert(factor, MICA_C128), mica_mul(mica_convert(parts[1], MICA_C128), i));
  return mica_convert(factor, dtype);
}

/* Engines may keep more than f16's range between two roundings: what is lost below its smallest number or
 * overflows in one of them may be there in the other. */
static mica_value around_range(mica_value y, mica_value noisy, noise_context *c) {
  mica_type wide = {MICA_F32, mica_shape_of(y)};
  mica_value way = mica_convert(mica_variable_read(y.graph, sign), MICA_F32);
  mica_value lost = mica_mul(mica_sub(factor_like(mica_ones_like(y), c, false, 1), 1), 0x1p-12);
  noisy = mica_add(noisy, lost);
  mica_value large = mica_not(mica_less(mica_abs(y), 16384)); /* or NaN */
  mica_value grown = mica_mul(mica_convert(y, MICA_F32), 8);
  mica_value shrunk = mica_mul(mica_max(mica_min(grown, 3e4), -3e4), 0.25);
  way = mica_broadcast_to(way, wide.shape);
  mica_value either = mica_convert(mica_select(mica_greater(way, 0), grown, shrunk), MICA_F16);
  return mica_select(large, either, noisy);
}

/* A whole number or a short fraction. */
static mica_value is_short(mica_value y) {
  double unit = noise_unit(mica_dtype_of(y));
  double fine = unit < 1e-5 ? 256 : 1, most = unit < 1e-5 ? 4096 : 64;
  mica_value scaled = mica_mul(y, fine);
  return mica_and(mica_equal(mica_round(scaled), scaled), mica_less(mica_abs(y), most));
}

static mica_value with_noise(mica_value y, const mica_node *node, const mica_value *operands,
                             noise_context *c) {
  mica_op op = (mica_op)node->op;
  mica_type type = mica_type_of(y);
  bool complex = mica_dtype_is_complex(type.dtype);
  double unit = noise_unit(type.dtype);
  if (unit == 0 || mica_shape_count(type.shape) == 0) return y;
  if (type.dtype == MICA_F8E4M3FN || type.dtype == MICA_F8E5M2)
    return mica_convert(with_noise(mica_convert(y, MICA_F32), node, operands, c), type.dtype);
  mica_value noisy = mica_mul(y, factor_like(y, c, complex, 1));
  if (complex) return noisy;
  if (type.dtype == MICA_F16) noisy = around_range(y, noisy, c);
  if (op == MICA_OP_CONVERT) { /* exact where it converts back */
    mica_value operand = operands[0];
    if (mica_dtype_is_complex(mica_dtype_of(operand))) operand = mica_real(operand);
    mica_value back = mica_convert(y, mica_dtype_of(operand)); /* f8 cannot be compared */
    back = mica_convert(back, MICA_F64), operand = mica_convert(operand, MICA_F64);
    return mica_select(mica_equal(back, operand), y, noisy);
  }
  if (!is_sum_or_product(op, node->attr)) return noisy;
  mica_value exact = is_short(y);
  /* What halves round to is short now and then without being exact. */
  for (uint32_t i = 0; i < node->operand_count && unit > 1e-5; i++)
    if (mica_type_equal(mica_type_of(operands[i]), type))
      exact = mica_and(exact, is_short(operands[i]));
  if (type.dtype == MICA_F16) exact = mica_and(exact, mica_not_equal(y, 0));
  return mica_select(exact, y, noisy);
}

/* Where padding meets a weight that is not finite, the product is 0 or NaN (mica_conv_with): then with one sign
 * all of the result is NaN, and with the other one the weight is 0. */
static bool is_convolution(mica_op op) {
  return op == MICA_OP_CONVOLUTION || op == MICA_OP_CONVOLUTION_BACKWARD_DATA ||
         op == MICA_OP_CONVOLUTION_BACKWARD_KERNEL;
}
static mica_value convolve_noisily(mica_graph *to, const mica_graph *from, uint32_t id,
                                   const mica_value *in) {
  mica_value up = mica_greater(mica_variable_read(to, sign), 0), given[2], poison[2], out = {0};
  for (int i = 0; i < 2; i++) {
    mica_value keep = mica_or(mica_is_finite(in[i]), mica_broadcast_to(up, mica_shape_of(in[i])));
    given[i] = mica_select(keep, in[i], mica_zeros_like(in[i]));
    mica_value finite = mica_reduce_and(mica_is_finite(in[i]), MICA_ALL), zero;
    zero = mica_scalar(to, mica_dtype_of(in[i]), 0);
    mica_value lost = mica_and(up, mica_not(finite));
    poison[i] = mica_select(lost, mica_scalar(to, mica_dtype_of(in[i]), NAN), zero);
  }
  mica_replay_node(to, from, id, given, NULL, NULL, &out);
  poison[0] = mica_broadcast_to(mica_add(poison[0], poison[1]), mica_shape_of(out));
  return mica_select(mica_equal(poison[0], poison[0]), out, poison[0]);
}

/* What is summed: terms that cancel leave the rounding of each of them, of which noise in the sum says nothing. */
static bool sums(mica_op op, const void *attr) {
  switch (op) {
    case MICA_OP_REDUCE: return ((const mica_reduce_attr *)attr)->kind <= MICA_REDUCE_PROD;
    case MICA_OP_REDUCE_WINDOW:
    case MICA_OP_CUMULATIVE:
    case MICA_OP_LINEAR_RECURRENCE:
    case MICA_OP_DOT_GENERAL:
    case MICA_OP_CONVOLUTION:
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
    case MICA_OP_CONVOLUTION_BACKWARD_KERNEL:
    case MICA_OP_FFT: return true;
    default: return false;
  }
}
/* The turns of a transform are rounded: short numbers stay short in transforms of 1, 2 and 4 elements only. */
static bool turns_exactly(mica_op op, const void *attr) {
  const mica_fft_attr *fft = attr;
  for (int32_t i = 0; op == MICA_OP_FFT && i < fft->lengths.count; i++)
    if (fft->lengths.at[i] > 4 || fft->lengths.at[i] == 3) return false;
  return true;
}
static mica_value noisy_term(mica_value x, bool keeps_short, noise_context *c) {
  mica_dtype dtype = mica_dtype_of(x);
  bool complex = mica_dtype_is_complex(dtype);
  if (noise_unit(dtype) == 0 || noise_unit(dtype) > 0.1 || !mica_shape_count(mica_shape_of(x)))
    return x; /* whole numbers, f8 */
  mica_value noisy =
      mica_mul(x, factor_like(x, c, complex, noise_unit(dtype) > 1e-5 ? 0.25 : 0.0625));
  return complex || !keeps_short ? noisy : mica_select(is_short(x), x, noisy);
}

/* What cancels to a remainder of its terms' rounding is exactly zero in one engine and not in another: functions
 * that jump between zero and all else (a phase, a sign, a reflection, a comparison) see both. With one sign of the
 * noise such remainders are zero. */
static mica_value zero_below(mica_value y, mica_value magnitude) {
  mica_dtype dtype = mica_dtype_of(y);
  if (mica_dtype_is_complex(dtype))
    return mica_complex(zero_below(mica_real(y), magnitude), zero_below(mica_imag(y), magnitude));
  double unit = noise_unit(dtype), least = unit > 1e-5 ? unit / 64 : amplitude(dtype);
  mica_value down = mica_less(mica_variable_read(y.graph, sign), 0);
  magnitude = mica_convert(magnitude, MICA_F64);
  mica_value rest = mica_less(mica_convert(mica_abs(y), MICA_F64), mica_mul(magnitude, least));
  rest = mica_and(rest, mica_and(mica_is_finite(magnitude), mica_not(is_short(y))));
  rest = mica_and(rest, mica_broadcast_to(down, mica_shape_of(y)));
  return mica_select(rest, mica_zeros_like(y), y);
}
/* The sum of the terms' absolute values: by the same operator where it sums products or terms as they are. */
static mica_value magnitude_of(mica_graph *to, const mica_graph *from, uint32_t id,
                               const mica_value *in, size_t in_count, mica_value y) {
  const mica_node *node = mica_node_at(from, id);
  mica_value size[2], out = {0};
  if (!mica_shape_count(mica_shape_of(y)) || in_count > 2) return out;
  for (size_t i = 0; i < in_count; i++) {
    double unit = noise_unit(mica_dtype_of(in[i]));
    if (unit == 0 || unit > 0.1) return out; /* whole numbers, f8 */
    size[i] = mica_abs(in[i]);
  }
  switch ((mica_op)node->op) {
    case MICA_OP_ADD:
    case MICA_OP_SUB: return mica_max(size[0], size[1]);
    case MICA_OP_FFT: {
      const mica_fft_attr *fft = node->attr;
      mica_axes axes = {.count = fft->lengths.count, .keep = true};
      for (int32_t i = 0; i < axes.count; i++) axes.axis[i] = -1 - i;
      out = mica_mul(mica_reduce_sum(size[0], axes), fabs(fft->scale));
      return mica_broadcast_to(out, mica_shape_of(y));
    }
    case MICA_OP_REDUCE:
      if (((const mica_reduce_attr *)node->attr)->kind != MICA_REDUCE_SUM) return out;
      break;
    case MICA_OP_DOT_GENERAL:
    case MICA_OP_CONVOLUTION:
    case MICA_OP_CONVOLUTION_BACKWARD_DATA:
    case MICA_OP_CONVOLUTION_BACKWARD_KERNEL: break;
    default: return out;
  }
  if (mica_dtype_is_complex(mica_dtype_of(y))) return out;
  mica_replay_node(to, from, id, size, NULL, NULL, &out);
  return out;
}

/* Factorizations and solutions are as right as those of a matrix nearby, whose distance is one of norms: small
 * elements may be off by what rounds the large ones. */
static bool factors(mica_op op) {
  switch (op) {
    case MICA_OP_CHOLESKY:
    case MICA_OP_TRIANGULAR_SOLVE:
    case MICA_OP_SOLVE:
    case MICA_OP_LU:
    case MICA_OP_QR:
    case MICA_OP_EIGH:
    case MICA_OP_SVD:
    case MICA_OP_PINV: return true;
    default: return false;
  }
}
static mica_value matrix_nearby(mica_value x, noise_context *c) {
  int32_t rank = mica_rank_of(x);
  if (noise_unit(mica_dtype_of(x)) == 0 || mica_dtype_is_complex(mica_dtype_of(x)) ||
      !mica_shape_count(mica_shape_of(x)))
    return x;
  /* Which elements of what came from NaN and infinity are numbers, algorithms differ in. */
  mica_value up = mica_greater(mica_variable_read(x.graph, sign), 0);
  mica_value stays = mica_or(mica_is_finite(x), mica_broadcast_to(up, mica_shape_of(x)));
  x = mica_select(stays, x, mica_zeros_like(x));
  mica_value most = mica_reduce_max(mica_abs(x), MICA_KEEP(rank - 2, rank - 1));
  most = mica_broadcast_to(most, mica_shape_of(x));
  mica_value d = mica_sub(factor_like(x, c, false, 0.03125), 1);
  mica_value noisy = mica_add(x, mica_mul(d, most));
  /* A reflection of what is zero already turns nothing, that of a remainder turns the sign: with one sign of the
   * noise all remainders are zero. */
  mica_value least = mica_mul(most, noise_unit(mica_dtype_of(x)) * 4);
  mica_value down = mica_broadcast_to(mica_not(up), mica_shape_of(x));
  mica_value zero = mica_and(mica_less_equal(mica_abs(x), least), down);
  return mica_select(zero, mica_zeros_like(x), noisy);
}

/* A transform of what is not finite: which results are not, engines differ in. */
static mica_value transform_noisily(mica_graph *to, const mica_graph *from, uint32_t id,
                                    mica_value x) {
  mica_value up = mica_greater(mica_variable_read(to, sign), 0), out = {0};
  mica_value part =
      mica_dtype_is_complex(mica_dtype_of(x)) ? mica_add(mica_real(x), mica_imag(x)) : x;
  mica_value finite = mica_is_finite(part);
  x = mica_select(finite, x, mica_zeros_like(x));
  mica_replay_node(to, from, id, &x, NULL, NULL, &out);
  mica_value lost = mica_and(up, mica_not(mica_reduce_and(finite, MICA_ALL)));
  mica_value factor =
      mica_select(lost, mica_scalar(to, MICA_F64, NAN), mica_scalar(to, MICA_F64, 1));
  return mica_mul(out, mica_convert(factor, mica_dtype_of(out)));
}

/* What rounding keeps apart is equal in another engine: with one sign of the noise x becomes y there. */
static mica_value compared(mica_value x, mica_value y) {
  double unit = noise_unit(mica_dtype_of(x));
  if (unit == 0 || unit > 0.1 || mica_dtype_is_complex(mica_dtype_of(x))) return x;
  mica_value down = mica_less(mica_variable_read(x.graph, sign), 0);
  mica_value width = mica_mul(mica_max(mica_abs(x), mica_abs(y)), amplitude(mica_dtype_of(x)));
  mica_value near = mica_less(mica_abs(mica_sub(x, y)), width);
  near = mica_and(near, mica_not(mica_and(is_short(x), is_short(y))));
  return mica_select(mica_and(near, mica_broadcast_to(down, mica_shape_of(x))), y, x);
}

static mica_value zero_of_either_sign(mica_value y) {
  if (!(DTYPE_BIT(mica_dtype_of(y)) & ANY_FLOAT)) return y;
  mica_value way = mica_convert(mica_variable_read(y.graph, sign), mica_dtype_of(y));
  mica_value turned = mica_mul(mica_abs(y), way);
  return mica_select(mica_equal(y, 0), turned, y);
}

static bool add_noise(void *context, mica_graph *to, const mica_graph *from, uint32_t id,
                      const mica_value *in, size_t in_count, mica_value *out) {
  const mica_node *node = mica_node_at(from, id);
  mica_op op = (mica_op)node->op;
  const noise_context *c = context;
  if (is_exact(op)) return false;
  mica_value terms[2];
  bool summing = sums(op, node->attr), factoring = factors(op);
  for (size_t i = 0; i < in_count && (summing || factoring); i++)
    terms[i] = summing ? noisy_term(in[i], turns_exactly(op, node->attr), context)
                       : matrix_nearby(in[i], context);
  if (summing || factoring) in = terms;
  if (op == MICA_OP_COMPARE) {
    mica_value both[2] = {compared(in[0], in[1]), in[1]};
    mica_replay_node(to, from, id, both, NULL, NULL, out);
    return true;
  }
  if (op == MICA_OP_FFT)
    out[0] = transform_noisily(to, from, id, in[0]);
  else if (is_convolution(op) && mica_dtype_is_float(mica_dtype_of(in[0])))
    out[0] = convolve_noisily(to, from, id, in);
  else
    mica_replay_node(to, from, id, in, add_noise, context, out);
  mica_value magnitude = magnitude_of(to, from, id, in, in_count, out[0]);
  for (uint32_t i = 0; i < node->result_count && to->status == MICA_OK; i++)
    out[i] = with_noise(out[i], node, in, context);
  if (magnitude.graph && to->status == MICA_OK) out[0] = zero_below(out[0], magnitude);
  for (uint32_t i = 0; i < node->result_count && c->zeros && to->status == MICA_OK; i++)
    out[i] = zero_of_either_sign(out[i]);
  return true;
}

static mica_status compile_noisy(mica_device *device, const mica_graph *graph, uint64_t seed,
                                 mica_executable **out, mica_error *error) {
  mica_graph *to = mica_graph_create(NULL);
  noise_context context = {.seed = seed << 32};
  for (uint32_t id = 1; id < graph->count; id++)
    context.zeros |= graph->nodes[id].op == MICA_OP_ATAN2 ||
                     graph->nodes[id].op == MICA_OP_COPYSIGN ||
                     mica_dtype_is_complex(graph->nodes[id].type.dtype);
  mica_status status = mica_rewrite(graph, to, add_noise, &context, error);
  if (status == MICA_OK) status = mica_compile(device, to, 0, out, error);
  mica_graph_destroy(to);
  return status;
}

/* Factorizations stay whole: their noise is one of norms, which their parts would not know. */
static bool stays_whole(void *context, const mica_graph *graph, uint32_t id) {
  (void)context;
  return factors((mica_op)graph->nodes[id].op);
}

mica_status noise_compile(mica_device *reference, const mica_graph *graph, int graphs,
                          noise_probe *out, mica_error *error) {
  set_sign(1);
  *out = (noise_probe){.out_count = graph->output_count, .graphs = graphs};
  for (uint32_t id = 1; id < graph->count; id++)
    out->coarse |= noise_unit(graph->nodes[id].type.dtype) > 1e-5;
  mica_graph *plain = mica_graph_create(NULL);
  mica_status status = mica_rewrite(graph, plain, NULL, NULL, error);
  if (status == MICA_OK) status = mica_compile(reference, plain, 0, &out->plain, error);
  mica_graph_destroy(plain);
  /* Composites round inside as well. */
  mica_graph *simple = mica_graph_create(NULL);
  if (status == MICA_OK) status = mica_pass_expand(graph, simple, stays_whole, NULL, error);
  for (int i = 0; i < graphs && status == MICA_OK; i++)
    status = compile_noisy(reference, simple, (uint64_t)i + 1, &out->noisy[i], error);
  mica_graph_destroy(simple);
  if (status != MICA_OK) noise_release(out);
  return status;
}
void noise_release(noise_probe *probe) {
  mica_executable_release(probe->plain);
  for (int i = 0; i < NOISE_GRAPHS; i++) mica_executable_release(probe->noisy[i]);
  *probe = (noise_probe){0};
}
void noise_end(void) {
  mica_variable_release(sign);
  sign = NULL;
}

double *noise_doubles(const mica_tensor *tensor, int64_t *out_count) {
  mica_type type = mica_tensor_type(tensor);
  int64_t count = mica_shape_count(type.shape);
  bool complex = mica_dtype_is_complex(type.dtype);
  double *values = malloc(((size_t)count * 2 + 1) * sizeof *values);
  mica_status status = complex
                           ? mica_convert_elements(MICA_F64, values, random_real_part(type.dtype),
                                                   mica_tensor_data(tensor), 2 * count)
                           : mica_tensor_read_doubles(tensor, values, count, NULL);
  *out_count = status == MICA_OK ? count * (complex ? 2 : 1) : 0;
  return values;
}

/* What noise of both signs did. Where the function is smooth, the two changes are opposite; what is left of their
 * sum says that one of them crossed a jump, which the next noise might cross further. */
static void widen(noise_output *o, const double *up, const double *down, bool coarse) {
  for (int64_t k = 0; k < o->count; k++) {
    bool finite = isfinite(o->value[k]);
    if (o->tolerance[k] < 0) continue;
    if (finite != (isfinite(up[k]) != 0) || finite != (isfinite(down[k]) != 0)) {
      o->tolerance[k] = -1;
    } else if (finite) {
      double ahead = up[k] - o->value[k], behind = down[k] - o->value[k];
      double change = fmax(fabs(ahead), fabs(behind)) + (coarse ? 1 : 4) * fabs(ahead + behind);
      o->tolerance[k] = fmax(o->tolerance[k], change);
    }
  }
}
/* Where noise makes some element finite or not, an element that never is may be so for two reasons at once, of which an
 * engine meets neither: no element that is not finite is compared then. */
static void forget_infinite(noise_result *result) {
  bool unsteady = false;
  for (size_t j = 0; j < result->count; j++)
    for (int64_t k = 0; k < result->out[j].count; k++) unsteady |= result->out[j].tolerance[k] < 0;
  for (size_t j = 0; j < result->count && unsteady; j++)
    for (int64_t k = 0; k < result->out[j].count; k++)
      if (!isfinite(result->out[j].value[k])) result->out[j].tolerance[k] = -1;
}
/* Noises may cancel in an element: it gets a part of its neighbors' tolerance, and what one rounding is. What
 * noise moves by a large part stands at a jump (a quotient of differences, a whole number that was a float, the
 * bits of one): there an engine may be on the other side of it with less noise or more. */
static void finish(noise_output *o, bool coarse) {
  mica_dtype dtype = mica_tensor_type(o->tensor).dtype;
  double widest = 0, unit = noise_unit(dtype);
  for (int64_t k = 0; k < o->count; k++) widest = fmax(widest, o->tolerance[k]);
  o->chaotic = unit == 0 ? widest > 0 : widest > o->largest / (coarse ? 4 : 64);
  double share = 0; /* of halves' values: a few noises of two units are now and then all small */
  for (int64_t k = 0; k < o->count && coarse; k++)
    if (o->tolerance[k] > 0 && o->value[k] != 0)
      share = fmax(share, fmin(o->tolerance[k] / fabs(o->value[k]), 0.25) / 4);
  for (int64_t k = 0; k < o->count; k++) {
    if (o->chaotic) o->tolerance[k] = -1;
    if (o->tolerance[k] < 0 || unit == 0) continue;
    o->tolerance[k] += widest / 64 + (isfinite(o->value[k]) ? 8 * unit * fabs(o->value[k]) : 0);
    if (dtype == MICA_F16) o->tolerance[k] += 0x1p-22; /* its smallest numbers have few digits */
    if (coarse) o->tolerance[k] = 2 * o->tolerance[k] + share * fabs(o->value[k]);
  }
}

mica_status noise_run(noise_probe *probe, mica_tensor *const *in, size_t in_count,
                      noise_result *result, mica_error *error) {
  mica_tensor *out[NOISE_OUTPUTS] = {NULL};
  *result = (noise_result){.count = probe->out_count};
  int64_t before = random_effect_count();
  mica_status status =
      mica_executable_run(probe->plain, in, in_count, out, probe->out_count, error);
  result->effects = random_effect_count() - before;
  for (size_t j = 0; j < probe->out_count && status == MICA_OK; j++) {
    noise_output *o = &result->out[j];
    o->tensor = out[j];
    o->value = noise_doubles(out[j], &o->count);
    o->tolerance = calloc((size_t)o->count + 1, sizeof *o->tolerance);
    for (int64_t k = 0; k < o->count; k++)
      if (isfinite(o->value[k])) o->largest = fmax(o->largest, fabs(o->value[k]));
  }
  for (int run = 0; run < probe->graphs && status == MICA_OK; run++) {
    double *values[2][NOISE_OUTPUTS] = {{NULL}};
    for (int down = 0; down < 2 && status == MICA_OK; down++) {
      mica_tensor *noisy[NOISE_OUTPUTS] = {NULL};
      int64_t count;
      set_sign(down ? -1 : 1);
      status = mica_executable_run(probe->noisy[run], in, in_count, noisy, probe->out_count, error);
      for (size_t j = 0; j < probe->out_count; j++) {
        if (status == MICA_OK) values[down][j] = noise_doubles(noisy[j], &count);
        mica_tensor_release(noisy[j]);
      }
    }
    for (size_t j = 0; j < probe->out_count; j++) {
      if (status == MICA_OK) widen(&result->out[j], values[0][j], values[1][j], probe->coarse);
      free(values[0][j]), free(values[1][j]);
    }
  }
  if (status == MICA_OK) forget_infinite(result);
  for (size_t j = 0; j < probe->out_count && status == MICA_OK; j++)
    finish(&result->out[j], probe->coarse);
  return status;
}
void noise_result_release(noise_result *result) {
  for (size_t j = 0; j < result->count; j++) {
    mica_tensor_release(result->out[j].tensor);
    free(result->out[j].value), free(result->out[j].tolerance);
  }
  *result = (noise_result){0};
}

int64_t noise_compare(const noise_output *wanted, const double *got, double slack) {
  int64_t worst = -1;
  double most = 1;
  for (int64_t k = 0; k < wanted->count; k++) {
    double tolerance = wanted->tolerance[k] * slack, miss = fabs(got[k] - wanted->value[k]);
    if (tolerance < 0 || got[k] == wanted->value[k]) continue;
    if (!isfinite(wanted->value[k]) && !isfinite(got[k])) continue;
    double ratio = tolerance > 0 ? miss / tolerance : (double)INFINITY;
    if (!(ratio <= most)) {
      worst = k;
      if (isnan(ratio)) break;
      most = ratio;
    }
  }
  return worst;
}
