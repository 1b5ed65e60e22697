/* SPDX-License-Identifier: Apache-2.0 */
/* Every nesting of two blocks: {while, if, switch, scan, call, vmap, recompute, custom_gradient,
 * reduce} in
 * each other
 * and in themselves. The inner block captures a value from outside of both. Each nest is a case of
 * the
 * conformance oracles: gradient, tangent and second order against finite differences in f64, vmap
 * against a
 * loop, and the backend under test against the reference, forward and backward, in f64 and f32. How
 * often a
 * loop runs and which branch is taken depends on the values, so the examples of a batch part ways.
 * */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "conformance/derivatives.h"

typedef enum {
  IN_WHILE,
  IN_IF,
  IN_SWITCH,
  IN_SCAN,
  IN_CALL,
  IN_VMAP,
  IN_RECOMPUTE,
  IN_CUSTOM,
  IN_REDUCE,
  BLOCKS
} block;
static const char *const block_names[BLOCKS] = {"while", "if",        "switch", "scan",  "call",
                                                "vmap",  "recompute", "custom", "reduce"};

/* The nest that is being built: a case has no context of its own. */
static block levels[2];

static mica_value nest(int level, mica_value x, mica_value w);

/* At most 4 rounds; 2 or 3 by the sign of x's sum. */
static mica_value nest_while(int level, mica_value x, mica_value w) {
  mica_value rounds =
      mica_add(mica_convert(mica_greater(mica_reduce_sum(x, MICA_ALL), 0), MICA_I32), 2);
  mica_value state[2] = {x, mica_scalar(x.graph, MICA_I32, 0)}, final[2];
  mica_region loop = mica_while_begin(x.graph, state, 2, 4);
  mica_value i = mica_argument(loop, 1);
  mica_while_body(loop, mica_less(i, rounds));
  state[0] = nest(level + 1, mica_argument(loop, 0), w);
  state[1] = mica_add(mica_argument(loop, 1), 1);
  mica_while_end(loop, state, final);
  return final[0];
}

static mica_value nest_if(int level, mica_value x, mica_value w) {
  mica_value out;
  mica_region choice = mica_if_begin(mica_less(mica_reduce_sum(mica_sin(x), MICA_ALL), 0.2));
  mica_value result = nest(level + 1, x, w);
  mica_if_else(choice, &result, 1);
  result = mica_mul(nest(level + 1, mica_cos(x), w), 1.5);
  mica_if_end(choice, &result, 1, &out);
  return out;
}

static mica_value nest_switch(int level, mica_value x, mica_value w) {
  mica_value sum = mica_reduce_sum(x, MICA_ALL), out;
  mica_value index = mica_add(mica_convert(mica_greater(sum, 0.3), MICA_I32),
                              mica_convert(mica_greater(sum, -0.3), MICA_I32));
  mica_region choice = mica_switch_begin(index);
  mica_value result = mica_sub(nest(level + 1, x, w), x);
  mica_switch_next(choice, &result, 1);
  result = nest(level + 1, mica_sin(x), w);
  mica_switch_next(choice, &result, 1);
  result = mica_add(nest(level + 1, x, w), mica_tanh(x));
  mica_switch_end(choice, &result, 1, &out);
  return out;
}

/* Two items made of x; the last carry and what was emitted both count. */
static mica_value nest_scan(int level, mica_value x, mica_value w) {
  mica_value items = mica_stack((mica_value[]){mica_sin(x), mica_square(x)}, 2, 0), last, all;
  mica_region scan = mica_scan_begin(&x, 1, &items, 1);
  mica_value next = nest(level + 1, mica_add(mica_argument(scan, 0), mica_argument(scan, 1)), w);
  mica_value emitted = mica_mul(next, mica_argument(scan, 0));
  mica_scan_end(scan, &next, &emitted, 1, &last, &all);
  return mica_add(last, mica_reduce_sum(all, MICA_AXES(0)));
}

static mica_value nest_call(int level, mica_value x, mica_value w) {
  mica_value out;
  mica_region call = mica_call_begin(x.graph, &x, 1);
  mica_value result = mica_mul(nest(level + 1, mica_argument(call, 0), w), mica_argument(call, 0));
  mica_call_end(call, &result, 1, &out);
  return out;
}

/* Two examples made of x, along the last axis, and x as it is for both. */
static mica_value nest_vmap(int level, mica_value x, mica_value w) {
  int32_t axis = mica_rank_of(x);
  mica_value in[2] = {mica_stack((mica_value[]){x, mica_cos(x)}, 2, axis), x}, out;
  mica_region each = mica_vmap_begin(x.graph, in, (int32_t[]){axis, -1}, 2);
  mica_value result = mica_add(nest(level + 1, mica_argument(each, 0), w), mica_argument(each, 1));
  mica_vmap_end(each, &result, 1, &out);
  return mica_reduce_sum(mica_sin(out), MICA_AXES(0));
}

static mica_value nest_recompute(int level, mica_value x, mica_value w) {
  mica_value out;
  mica_region again = mica_recompute_begin(x.graph, &x, 1);
  mica_value result =
      mica_sub(nest(level + 1, mica_argument(again, 0), w), mica_argument(again, 0));
  mica_recompute_end(again, &result, 1, &out);
  return out;
}

/* The gradient that the block would have anyway, taken by hand. */
static mica_value nest_custom(int level, mica_value x, mica_value w) {
  mica_value out, given;
  mica_region custom = mica_custom_gradient_begin(x.graph, &x, 1);
  mica_value result = nest(level + 1, mica_argument(custom, 0), w);
  mica_custom_gradient_backward(custom, &result, 1);
  mica_value again = mica_argument(custom, 0), cotangent = mica_argument(custom, 1);
  result = nest(level + 1, again, w);
  mica_vjp(&result, &cotangent, 1, &again, 1, &given);
  mica_custom_gradient_end(custom, &given, &out, 1);
  return out;
}

/* Both elements of x folded by a block, which sees single elements. */
static mica_value nest_reduce(int level, mica_value x, mica_value w) {
  mica_value init = mica_scalar(x.graph, mica_dtype_of(x), 0.3), out;
  mica_region fold = mica_reduce_begin(&x, &init, 1, MICA_ALL);
  mica_value both = mica_stack(
      (mica_value[]){mica_argument(fold, 0), mica_mul(mica_argument(fold, 1), 0.5)}, 2, 0);
  mica_value result = mica_reduce_sum(nest(level + 1, both, w), MICA_ALL);
  mica_reduce_end(fold, &result, &out);
  return mica_mul(x, out);
}

static mica_value nest(int level, mica_value x, mica_value w) {
  if (level == 2) return mica_tanh(mica_add(mica_mul(x, w), mica_mul(mica_sin(w), 0.3)));
  switch (levels[level]) {
    case IN_WHILE: return nest_while(level, x, w);
    case IN_IF: return nest_if(level, x, w);
    case IN_SWITCH: return nest_switch(level, x, w);
    case IN_SCAN: return nest_scan(level, x, w);
    case IN_CALL: return nest_call(level, x, w);
    case IN_VMAP: return nest_vmap(level, x, w);
    case IN_RECOMPUTE: return nest_recompute(level, x, w);
    case IN_CUSTOM: return nest_custom(level, x, w);
    case IN_REDUCE: return nest_reduce(level, x, w);
    case BLOCKS: break;
  }
  return mica_fail(x.graph, MICA_INTERNAL, "no such block");
}

static void build_nest(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = nest(0, in[0], in[1]);
}

/* w counts in whole numbers: no float, so nobody asks for its gradient. */
static void build_fixed(mica_graph *graph, const mica_value *in, mica_value *out) {
  (void)graph;
  out[0] = nest(0, in[0], mica_mul(mica_convert(in[1], mica_dtype_of(in[0])), 0.4));
}

static bool has(block b) { return levels[0] == b || levels[1] == b; }

/* Captured values get no gradient through a custom one, so there w is not differentiated. */
static conformance_case nest_case(char name[64]) {
  snprintf(name, 64, "%s in %s", block_names[levels[1]], block_names[levels[0]]);
  conformance_case c = {.name = name,
                        .op = MICA_OP_CALL,
                        .dtypes = FLOATS,
                        .flags = SMOOTH | LOOSE,
                        .input_count = 2,
                        .output_count = 1,
                        .build = build_nest};
  c.in[0] = (case_input){MICA_DIMS(2), RANGE, -0.9, 0.9};
  c.in[1] = (case_input){MICA_DIMS(2), RANGE, 0.4, 1.3};
  if (has(IN_CUSTOM)) {
    c.in[1] = (case_input){MICA_DIMS(2), INDICES, 1, 4};
    c.build = build_fixed;
  }
  return c;
}

static void each_nest(void (*check)(const conformance_case *c)) {
  for (int outer = 0; outer < BLOCKS; outer++)
    for (int inner = 0; inner < BLOCKS; inner++) {
      char name[64];
      levels[0] = (block)outer, levels[1] = (block)inner;
      conformance_case c = nest_case(name);
      if (case_wanted(&c)) check(&c);
    }
  check_case_filter();
  close_devices();
}

static void check_first(const conformance_case *c) { check_gradient(c, 1); }
static void check_forward_mode(const conformance_case *c) {
  if (!has(IN_CUSTOM)) check_tangent(c);
}
static void check_batch(const conformance_case *c) { check_vmap(c); }
static void check_second(const conformance_case *c) { check_gradient(c, 2); }

TEST(gradients) { each_nest(check_first); }
TEST(tangents) { each_nest(check_forward_mode); }
TEST(batches) { each_nest(check_batch); }
TEST(second_order) { each_nest(check_second); }

/* ---- what gives no gradient ------------------------------------------------------------------ */

/* out: the gradient by x and by w of the sum of the nest. */
static void gradient_by_both(const conformance_case *c, mica_graph *graph, const mica_value *in,
                             mica_value *out, size_t out_count, void *context) {
  (void)c, (void)context, (void)out_count;
  mica_value loss = mica_reduce_sum(nest(0, in[0], in[1]), MICA_ALL);
  (void)graph;
  mica_gradients(loss, in, 2, out);
}

static void tangent_of_nest(const conformance_case *c, mica_graph *graph, const mica_value *in,
                            mica_value *out, size_t out_count, void *context) {
  (void)c, (void)context, (void)out_count, (void)graph;
  mica_value y = nest(0, in[0], in[1]), one = mica_ones_like(in[0]);
  mica_jvp(&y, 1, in, &one, 1, out);
}

static double sum_of_magnitudes(const mica_tensor *tensor) {
  double values[2] = {NAN, NAN};
  mica_tensor_read_doubles(tensor, values, 2, NULL);
  return fabs(values[0]) + fabs(values[1]);
}

static void check_custom(const conformance_case *c) {
  if (!has(IN_CUSTOM)) return;
  conformance_case floating = *c;
  mica_error error = {0};
  floating.in[1] = (case_input){MICA_DIMS(2), RANGE, 0.4, 1.3};
  mica_tensor *in[2] = {case_values(&floating, 0, MICA_F64, 1),
                        case_values(&floating, 1, MICA_F64, 1)},
              *out[2] = {NULL, NULL};
  mica_executable *executable = case_compile(reference_device(), &floating, MICA_F64, NULL, 0,
                                             gradient_by_both, NULL, 2, &error);
  CHECK_OK_ERROR(mica_executable_run(executable, in, 2, out, 2, NULL), &error);
  if (!(sum_of_magnitudes(out[0]) > 0)) CHECK_FAIL("%s: x gets no gradient", c->name);
  if (sum_of_magnitudes(out[1]) != 0) CHECK_FAIL("%s: a captured value gets a gradient", c->name);
  mica_executable_release(executable);
  for (int i = 0; i < 2; i++) mica_tensor_release(in[i]), mica_tensor_release(out[i]);

  /* Forward mode is refused with the operator's name. */
  executable = case_compile(reference_device(), &floating, MICA_F64, NULL, 0, tangent_of_nest, NULL,
                            1, &error);
  CHECK(executable == NULL);
  CHECK_STATUS(error.status, MICA_INVALID);
  if (!strstr(error.message, "custom_gradient") || !strstr(error.message, "forward mode"))
    CHECK_FAIL("%s: forward mode says \"%s\"", c->name, error.message);
  mica_executable_release(executable);
}

TEST(custom_gradients_stop_captures_and_forward_mode) { each_nest(check_custom); }

/* d/dx sum(x stop(x)) is stop(x), and not 2 x. */
static void build_stopped(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  mica_gradients(mica_reduce_sum(mica_mul(in[0], mica_stop_gradient(in[0])), MICA_ALL), in, 1,
                 &out[0]);
  mica_value y = mica_mul(in[0], mica_stop_gradient(in[0])), one = mica_ones_like(in[0]);
  mica_jvp(&y, 1, in, &one, 1, &out[1]);
}

TEST(stopped_values_get_no_gradient) {
  double values[2] = {0.5, -3}, found[2] = {0};
  mica_tensor *x = mica_tensor_from(MICA_F64, MICA_DIMS(2), values), *out[2] = {NULL, NULL};
  CHECK_OK(mica_call_once(reference_device(), build_stopped, NULL, &x, 1, out, 2, NULL));
  for (int i = 0; i < 2; i++) {
    mica_tensor_read_doubles(out[i], found, 2, NULL);
    CHECK_EQ_BYTES(found, values, sizeof values);
    mica_tensor_release(out[i]);
  }
  mica_tensor_release(x);
  close_devices();
}

TEST_MAIN(TEST_CASE(gradients), TEST_CASE(tangents), TEST_CASE(batches), TEST_CASE(second_order),
          TEST_CASE(custom_gradients_stop_captures_and_forward_mode),
          TEST_CASE(stopped_values_get_no_gradient))
