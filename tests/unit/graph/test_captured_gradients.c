/* SPDX-License-Identifier: Apache-2.0 */
/* Derivatives taken inside of a block, of values that were computed outside of it: they are the same
 * as outside, whether or not the block had captured the operands for something else before. Rules
 * that build and differentiate an expansion must then look for the captured operand. */
#include "mica/backend.h"
#include "unit/graph/ops_testing.h"

typedef mica_value function(mica_value x);

static mica_value attend(mica_value x) { return mica_attention(x, x, x); }
static mica_value normalize(mica_value x) { return mica_softmax(x, 1); }
static mica_value multiply(mica_value x) {
  return mica_reduce_window(x, .kind = MICA_WINDOW_PROD, .window = {2, 1});
}
static mica_value through_call(mica_value x) {
  mica_region call = mica_call_begin(x.graph, &x, 1);
  mica_value y = mica_sin(mica_argument(call, 0)), out;
  mica_call_end(call, &y, 1, &out);
  return out;
}
static mica_value through_recompute(mica_value x) {
  mica_region block = mica_recompute_begin(x.graph, &x, 1);
  mica_value y = mica_sin(mica_argument(block, 0)), out;
  mica_recompute_end(block, &y, 1, &out);
  return out;
}
static mica_value through_custom_gradient(mica_value x) {
  mica_region block = mica_custom_gradient_begin(x.graph, &x, 1);
  mica_value y = mica_sin(mica_argument(block, 0)), out;
  mica_custom_gradient_backward(block, &y, 1);
  mica_value back = mica_mul(mica_argument(block, 1), mica_argument(block, 0));
  mica_custom_gradient_end(block, &back, &out, 1);
  return out;
}

/* Gradient and tangent in front of the block and in it; `early` captures x first. */
static void check_function(function *f, bool early, bool forward, const char *name) {
  double numbers[6] = {0.3, -0.8, 1.1, 0.9, 0.2, -0.4};
  mica_graph *g = mica_graph_create(NULL);
  mica_value x = F32(2, 3), y = f(x), unit = mica_ones_like(y), ones = mica_ones_like(x), out[2];
  mica_value zero = mica_zeros_like(forward ? y : x);
  if (forward)
    mica_jvp(&y, 1, &x, &ones, 1, &out[0]);
  else
    mica_vjp(&y, &unit, 1, &x, 1, &out[0]);
  mica_region once = mica_scan_begin_count(g, &zero, 1, NULL, 0, 1, false);
  mica_value next = mica_argument(once, 0), inside;
  if (early) next = mica_add(next, mica_mul(mica_zeros_like(next), mica_reduce_sum(x, MICA_ALL)));
  if (forward)
    mica_jvp(&y, 1, &x, &ones, 1, &inside);
  else
    mica_vjp(&y, &unit, 1, &x, 1, &inside);
  next = mica_add(next, inside);
  mica_scan_end(once, &next, NULL, 0, &out[1], NULL);
  mica_graph_set_outputs(g, out, 2);

  mica_error error = {0};
  mica_device_options options = {
      .struct_size = sizeof(options), .backend = "reference", .threads = 1};
  mica_device *device = mica_device_open(&options, &error);
  mica_executable *executable = NULL;
  mica_tensor *in = mica_tensor_from_doubles(MICA_F32, MICA_DIMS(2, 3), numbers), *results[2] = {0};
  mica_status status = device ? mica_compile(device, g, 0, &executable, &error) : error.status;
  if (status == MICA_OK) status = mica_executable_run(executable, &in, 1, results, 2, &error);
  mica_closeness closeness = {0};
  double first = 0;
  if (CHECK_OK_ERROR(status, &error)) {
    CHECK_OK(mica_tensor_compare(results[1], results[0], 1e-6, 1e-6, &closeness, NULL));
    if (!closeness.close)
      CHECK_FAIL("%s, %s, %s: %g inside, %g outside", name, forward ? "forward" : "reverse",
                 early ? "captured before" : "not captured before", closeness.worst_a,
                 closeness.worst_b);
    mica_closeness from_zero = {0};
    mica_tensor *nothing = mica_tensor_from(MICA_F32, mica_tensor_type(results[0]).shape, NULL);
    CHECK_OK(mica_tensor_compare(results[0], nothing, 0, 1e-6, &from_zero, NULL));
    first = from_zero.worst_error;
    mica_tensor_release(nothing);
  }
  CHECK(first > 1e-3); /* zeros would agree, too */
  for (int i = 0; i < 2; i++) mica_tensor_release(results[i]);
  mica_tensor_release(in);
  mica_executable_release(executable);
  mica_device_release(device);
  mica_graph_destroy(g);
}

static void check_all_ways(function *f, bool has_forward, const char *name) {
  for (int early = 0; early < 2; early++)
    for (int forward = 0; forward <= (int)has_forward; forward++)
      check_function(f, early, forward, name);
}

TEST(composites_and_windows) {
  check_all_ways(attend, true, "attention");
  check_all_ways(multiply, true, "product of windows");
}
TEST(blocks) {
  check_all_ways(through_call, true, "call");
  check_all_ways(through_recompute, true, "recompute");
  check_all_ways(through_custom_gradient, false, "custom gradient");
}
/* The cotangent that a softmax ignores is the one of all ones, so this one is of a square. */
static mica_value squared_softmax(mica_value x) { return mica_square(normalize(x)); }
TEST(rules_of_their_own) { check_all_ways(squared_softmax, false, "softmax"); }

TEST_MAIN(TEST_CASE(composites_and_windows), TEST_CASE(blocks), TEST_CASE(rules_of_their_own))
