/* SPDX-License-Identifier: Apache-2.0 */
/* cases.c: the table, made of cases.def, and the small programs with blocks that it names. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conformance/cases/host.h"
#include "conformance/cases/dtypes.h"
#include "conformance/cases/linalg.h"
#include "conformance/cases/quantize.h"
#include "conformance/cases/fft.h"
#include "conformance/cases/general.h"
#include "conformance/conformance.h"
#include "conformance/cases/mesh.h"
#include "graph/attributes.h"

mica_dtype case_now =
    MICA_F64; /* the dtype that is being built, for cases whose inputs do not have it */

static mica_variable *case_variables[MICA_DTYPE_COUNT];
static mica_variable *case_variable(mica_dtype dtype) {
  if (!case_variables[dtype]) {
    mica_tensor *start = mica_tensor_from_doubles(dtype, MICA_DIMS(2), (double[]){1.5, -0.75});
    case_variables[dtype] = mica_variable_create(mica_dtype_name(dtype), start);
    mica_tensor_release(start);
  }
  return case_variables[dtype];
}
void release_case_variables(void) {
  for (int i = 0; i < MICA_DTYPE_COUNT; i++)
    mica_variable_release(case_variables[i]), case_variables[i] = NULL;
}

static mica_value mica_floor_any(mica_value x) {
  return mica_dtype_is_float(mica_dtype_of(x)) ? mica_floor(x) : x;
}

static void parts_of(mica_value z, mica_value *out) {
  out[0] = mica_real(z);
  out[1] = mica_imag(z);
}

/* x with NaN where the condition holds. */
static mica_value nan_where(mica_value condition, mica_value x) {
  return mica_select(condition, mica_full_like(x, (double)NAN), x);
}

static mica_value conv_backward(mica_graph *g, const char *which, const mica_value *in,
                                mica_shape shape) {
  char name[64], attributes[512];
  snprintf(name, sizeof name, "convolution_backward_%s", which);
  int length = snprintf(attributes, sizeof attributes,
                        "stride=[2, 1], low=[1, 1], high=[0, 1], base_dilation=[1, 1], "
                        "window_dilation=[1, 1], groups=1, batch_groups=1, shape=[");
  for (int32_t i = 0; i < shape.rank; i++)
    length += snprintf(attributes + length, sizeof attributes - (size_t)length, "%s%lld",
                       i ? ", " : "", (long long)shape.dim[i]);
  snprintf(attributes + length, sizeof attributes - (size_t)length, "]");
  return mica_build_operator(g, name, in, 2, attributes);
}

/* Where igamma(a, x) is 0.4, by Newton steps that the differences go through and the derivative does not. */
static mica_value gamma_quantile(mica_value a, bool log) {
  mica_value fixed = mica_convert(a, MICA_F64), x = mica_mul(fixed, 0.8);
  for (int i = 0; i < 6; i++) {
    mica_value density = mica_exp(
        mica_sub(mica_sub(mica_mul(mica_sub(fixed, 1), mica_log(x)), x), mica_lgamma(fixed)));
    x = mica_sub(x, mica_div(mica_sub(mica_igamma(fixed, x), 0.4), density));
  }
  if (log) x = mica_log(x);
  return mica_build_operator(a.graph, "gamma_draw",
                             (mica_value[]){a, mica_convert(x, mica_dtype_of(a))}, 2,
                             log ? "log=true" : "log=false");
}

/* Six Newton steps for the square root of x. */
static mica_value newton_steps(mica_value x) {
  mica_value state[2] = {x, mica_scalar(x.graph, MICA_I32, 0)}, final[2];
  mica_region loop = mica_while_begin(x.graph, state, 2, 8);
  mica_value y = mica_argument(loop, 0), i = mica_argument(loop, 1);
  mica_while_body(loop, mica_less(i, 6));
  mica_value next[2] = {mica_mul(mica_add(y, mica_div(x, y)), 0.5), mica_add(i, 1)};
  mica_while_end(loop, next, final);
  return final[0];
}

/* x = tanh(w x) until its sum of squares falls below a bound that no small step crosses; at most 5
 * times. */
static mica_value repeated_map(mica_value x, mica_value w) {
  mica_value state[2] = {x, mica_scalar(x.graph, MICA_I32, 0)}, final[2];
  mica_region loop = mica_while_begin(x.graph, state, 2, 5);
  mica_value size = mica_reduce_sum(mica_square(mica_argument(loop, 0)), MICA_ALL);
  mica_while_body(loop, mica_and(mica_greater(size, 1e-9), mica_less(mica_argument(loop, 1), 3)));
  mica_value next[2] = {mica_tanh(mica_matmul(w, mica_argument(loop, 0))),
                        mica_add(mica_argument(loop, 1), 1)};
  mica_while_end(loop, next, final);
  return final[0];
}

/* The number of the iteration matters, so it has to be saved as well. */
static mica_value counted(mica_value x) {
  mica_value state[2] = {x, mica_scalar(x.graph, MICA_I32, 0)}, final[2];
  mica_region loop = mica_while_begin(x.graph, state, 2, 4);
  mica_value y = mica_argument(loop, 0), i = mica_argument(loop, 1);
  mica_while_body(loop, mica_less(i, 3));
  mica_value next[2] = {mica_sin(mica_mul(y, mica_convert(mica_add(i, 1), mica_dtype_of(y)))),
                        mica_add(i, 1)};
  mica_while_end(loop, next, final);
  return final[0];
}

static mica_value branches(mica_value condition, mica_value x, mica_value y) {
  mica_region choice = mica_if_begin(condition);
  mica_value r = mica_mul(x, mica_tanh(y)), out;
  mica_if_else(choice, &r, 1);
  r = mica_sub(mica_exp(x), mica_square(y));
  mica_if_end(choice, &r, 1, &out);
  return out;
}

static mica_value three_cases(mica_value index, mica_value x, mica_value y) {
  mica_region choice = mica_switch_begin(index);
  mica_value r = mica_mul(x, y), out;
  mica_switch_next(choice, &r, 1);
  r = mica_sin(mica_add(x, y));
  mica_switch_next(choice, &r, 1);
  r = mica_mul(mica_square(x), mica_tanh(y));
  mica_switch_end(choice, &r, 1, &out);
  return out;
}

/* Three cases, each of two rows of its own of x [6, n]. */
static mica_value cases_apart(mica_value index, mica_value x) {
  mica_value row[6], out;
  for (int32_t i = 0; i < 6; i++)
    row[i] = mica_squeeze(mica_slice_axis(x, 0, i, i + 1, 1), MICA_AXES(0));
  mica_region choice = mica_switch_begin(index);
  mica_value r = mica_mul(mica_tanh(row[0]), row[1]);
  mica_switch_next(choice, &r, 1);
  r = mica_mul(mica_square(row[2]), mica_sin(row[3]));
  mica_switch_next(choice, &r, 1);
  r = mica_sub(mica_exp(row[4]), mica_mul(row[4], row[5]));
  mica_switch_end(choice, &r, 1, &out);
  return out;
}

static void recurrent(mica_value h, mica_value xs, mica_value w, mica_value u, bool reverse,
                      mica_value *out) {
  mica_region scan = mica_scan_begin_count(h.graph, &h, 1, &xs, 1, -1, reverse);
  mica_value next = mica_tanh(
      mica_add(mica_matmul(mica_argument(scan, 0), w), mica_matmul(mica_argument(scan, 1), u)));
  mica_value emitted = mica_mul(next, mica_argument(scan, 0));
  mica_scan_end(scan, &next, &emitted, 1, &out[0], &out[1]);
}

static mica_value called(mica_value x, mica_value w) {
  mica_region call = mica_call_begin(x.graph, &x, 1);
  mica_value r = mica_tanh(mica_mul(mica_argument(call, 0), w)), out;
  mica_call_end(call, &r, 1, &out);
  return mica_mul(out, x);
}

static mica_value recomputed(mica_value x, mica_value w) {
  mica_region block = mica_recompute_begin(x.graph, &x, 1);
  mica_value r = mica_tanh(mica_mul(mica_sin(mica_argument(block, 0)), w)), out;
  mica_recompute_end(block, &r, 1, &out);
  return mica_mul(out, x);
}

/* tanh with its gradient written by hand: g (1 - tanh(x)^2). */
static mica_value custom_tanh(mica_value x) {
  mica_region block = mica_custom_gradient_begin(x.graph, &x, 1);
  mica_value y = mica_tanh(mica_argument(block, 0)), out;
  mica_custom_gradient_backward(block, &y, 1);
  y = mica_tanh(mica_argument(block, 0));
  mica_value gradient =
      mica_mul(mica_argument(block, 1), mica_sub(mica_ones_like(y), mica_mul(y, y)));
  mica_custom_gradient_end(block, &gradient, &out, 1);
  return out;
}

static mica_value behind_barrier(mica_graph *g, const mica_value *in) {
  mica_value out[2] = {{0}};
  mica_emit_results(g, MICA_OP_BARRIER, in, 2, NULL, out, 2);
  return mica_mul(mica_tanh(out[0]), mica_reduce_sum(mica_sin(out[1]), MICA_ALL));
}

/* Inputs: NUMBER and its like are scalars, the others are arrays. */
#define SHAPE_OF(...)                                                                             \
  {                                                                                               \
    .rank = (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .dim = { __VA_ARGS__ } \
  }
#define NUMBER NUMBER_IN(-2, 2)
#define NUMBER_IN(least, most) \
  { .kind = RANGE, .low = least, .high = most }
#define INDEX(least, most) \
  { .kind = INDICES, .low = least, .high = most }
#define CONDITION \
  { .kind = TRUTH }
#define X(...) \
  { .shape = SHAPE_OF(__VA_ARGS__), .kind = RANGE, .low = -2, .high = 2 }
#define IN(least, most, ...) \
  { .shape = SHAPE_OF(__VA_ARGS__), .kind = RANGE, .low = least, .high = most }
#define SP(...) \
  { .shape = SHAPE_OF(__VA_ARGS__), .kind = SPACED, .low = -40, .high = 40 }
#define ID(least, most, ...) \
  { .shape = SHAPE_OF(__VA_ARGS__), .kind = INDICES, .low = least, .high = most }
#define TR(...) \
  { .shape = SHAPE_OF(__VA_ARGS__), .kind = TRUTH }
#define WD(...) \
  { .shape = SHAPE_OF(__VA_ARGS__), .kind = WORDS }
/* Two carries, two kinds of items and two captured values. */
static void scan_six(const mica_value *in, mica_value *out) {
  mica_region scan = mica_scan_begin(in, 2, in + 2, 2);
  mica_value a = mica_argument(scan, 0), b = mica_argument(scan, 1);
  mica_value next[2] = {
      mica_tanh(mica_add(mica_mul(a, mica_argument(scan, 2)), mica_mul(b, in[4]))),
      mica_add(mica_mul(a, mica_argument(scan, 3)), mica_mul(b, in[5]))};
  mica_scan_end(scan, next, NULL, 0, out, NULL);
}

#define INPUTS(...) \
  { __VA_ARGS__ }

#define CASE(name, OP, dtypes, flags, outputs, inputs, ...)                        \
  static void build_##name(mica_graph *g, const mica_value *in, mica_value *out) { \
    (void)g, (void)in;                                                             \
    __VA_ARGS__;                                                                   \
  }
#include "conformance/cases.def"
#undef CASE

#define FIRST_OF(a, ...) a
#define CASE(case_name, OP, case_dtypes_, case_flags_, outputs, inputs, ...) \
  {.name = #case_name,                                                       \
   .op = MICA_OP_##OP,                                                       \
   .dtypes = (uint32_t)(case_dtypes_),                                       \
   .flags = (uint32_t)(case_flags_),                                         \
   .output_count = outputs,                                                  \
   .in = inputs,                                                             \
   .example = #__VA_ARGS__,                                                  \
   .build = build_##case_name},
#undef INPUTS
#define INPUTS(...) \
  {__VA_ARGS__},    \
      .input_count = (int32_t)(sizeof((case_input[])INPUT_LIST(__VA_ARGS__)) / sizeof(case_input))
#define INPUT_LIST(...) \
  { __VA_ARGS__ }
const conformance_case conformance_cases[] = {
#include "conformance/cases.def"
};
const int32_t conformance_case_count =
    (int32_t)(sizeof conformance_cases / sizeof conformance_cases[0]);
