/* SPDX-License-Identifier: Apache-2.0 */
/* test_misuse.c: what users get wrong beyond the operands of one operator (test_ops_misuse.c, test_ops_*.c):
 * wrong values in every place that takes one, derivatives of what has none, variables, scopes, outputs.
 * test_misuse_blocks.c has what goes wrong with blocks. Each message must name the function, the operands'
 * types, the scope path and what was expected; the first failure stays; nothing crashes. */
#include "unit/graph/misuse_testing.h"

#include "graph/attributes.h"
#include "mica/jit.h"

/* ---- wrong values in every place that takes one --------------------------------------------------- */

/* Hands the bad value b to one function, in graph g; o is a good f32[2] and c a good bool []. */
typedef struct {
  const char *name; /* what the message begins with */
  void (*build)(mica_graph *g, mica_value b, mica_value o, mica_value c);
  bool alone; /* no other operand and no graph argument: {0} has no graph to complain to */
} place;

#define PLACES                                                                                     \
  PLACE(while_state, "while(", false, mica_while_begin(g, &b, 1, 3))                               \
  PLACE(while_second, "while(", false, mica_while_begin(g, (mica_value[]){o, b}, 2, 3))            \
  PLACE(while_condition, "while(", false, mica_while_body(mica_while_begin(g, &o, 1, 3), b))       \
  PLACE(while_next, "while(", false, end_while(g, o, c, b))                                        \
  PLACE(if_condition, "if_begin(", true, mica_if_begin(b))                                         \
  PLACE(if_result, "switch(", false, mica_if_else(mica_if_begin(c), &b, 1))                        \
  PLACE(if_second, "switch(", false, end_if(c, o, b))                                              \
  PLACE(switch_index, "switch(", true, mica_switch_begin(b))                                       \
  PLACE(switch_result, "switch(", false,                                                           \
        mica_switch_next(mica_switch_begin(mica_convert(c, MICA_I32)), &b, 1))                     \
  PLACE(scan_carry, "scan", false, mica_scan_begin(&b, 1, &o, 1))                                  \
  PLACE(scan_item, "scan_begin(", false, mica_scan_begin(&o, 1, &b, 1))                            \
  PLACE(scan_next, "scan(", false, end_scan(o, b, o))                                              \
  PLACE(scan_emitted, "scan(", false, end_scan(o, o, b))                                           \
  PLACE(vmap_in, "vmap(", false, mica_vmap_begin(g, &b, NULL, 1))                                  \
  PLACE(vmap_result, "vmap(", false, end_vmap(o, b))                                               \
  PLACE(call_in, "call(", false, mica_call_begin(g, &b, 1))                                        \
  PLACE(call_result, "call(", false, end_call(o, b))                                               \
  PLACE(recompute_in, "recompute(", false, mica_recompute_begin(g, &b, 1))                         \
  PLACE(recompute_result, "recompute(", false, end_recompute(o, b))                                \
  PLACE(custom_in, "custom_gradient(", false, mica_custom_gradient_begin(g, &b, 1))                \
  PLACE(custom_result, "custom_gradient(", false,                                                  \
        mica_custom_gradient_backward(mica_custom_gradient_begin(g, &o, 1), &b, 1))                \
  PLACE(custom_gradient, "custom_gradient(", false, end_custom(o, b))                              \
  PLACE(gradients_loss, "gradients(", false, mica_gradients(b, &o, 1, &out))                       \
  PLACE(gradients_x, "gradients(", false, mica_gradients(sum_of(o), &b, 1, &out))                  \
  PLACE(vjp_y, "vjp(", false, mica_vjp(&b, &o, 1, &o, 1, &out))                                    \
  PLACE(vjp_cotangent, "vjp(", false, mica_vjp(&o, &b, 1, &o, 1, &out))                            \
  PLACE(vjp_x, "vjp(", false, mica_vjp(&o, &o, 1, &b, 1, &out))                                    \
  PLACE(jvp_y, "jvp(", false, mica_jvp(&b, 1, &o, &o, 1, &out))                                    \
  PLACE(jvp_x, "jvp(", false, mica_jvp(&o, 1, &b, &o, 1, &out))                                    \
  PLACE(jvp_tangent, "jvp(", false, mica_jvp(&o, 1, &o, &b, 1, &out))                              \
  PLACE(jacobian_y, "jacobian(", false, mica_jacobian(b, o))                                       \
  PLACE(jacobian_x, "jacobian(", false, mica_jacobian(o, b))                                       \
  PLACE(jacobian_forward_y, "jacobian_forward(", false, mica_jacobian_forward(b, o))               \
  PLACE(jacobian_forward_x, "jacobian_forward(", false, mica_jacobian_forward(o, b))               \
  PLACE(hessian_loss, "gradients(", false, mica_hessian(b, o))                                     \
  PLACE(hessian_x, "gradients(", false, mica_hessian(sum_of(o), b))                                \
  PLACE(assign, "variable_assign(", true, mica_variable_assign(parameter_variable, b))             \
  PLACE(output, "set_outputs: output 1 of 2: ", false,                                             \
        mica_graph_set_outputs(g, (mica_value[]){o, b}, 2))                                        \
  PLACE(build_operator, "add(", false, mica_build_operator(g, "add", (mica_value[]){o, b}, 2, "")) \
  PLACE(rem, "rem(", false, mica_rem(o, b))                                                        \
  PLACE(pow, "pow(", false, mica_pow(b, o))                                                        \
  PLACE(max, "max(", false, mica_max(o, b))                                                        \
  PLACE(and, "and(", false, mica_and(c, b))                                                        \
  PLACE(reduce, "reduce_prod(", true, mica_reduce_prod(b, MICA_ALL))                               \
  PLACE(reduce_mean, "reduce_mean(", true, mica_reduce_mean(b, MICA_ALL))                          \
  PLACE(arg_max, "arg_max(", true, mica_arg_max(b, 0))                                             \
  PLACE(arg_min, "arg_min(", true, mica_arg_min(b, 0))                                             \
  PLACE(reduce_window, "reduce_window(", true, mica_reduce_window(b, .window = {2}))               \
  PLACE(max_pool, "max_pool(", true, mica_max_pool(b))                                             \
  PLACE(mean_pool, "mean_pool(", true, mica_mean_pool(b))                                          \
  PLACE(matmul_x, "matmul(", false, mica_matmul(b, o))                                             \
  PLACE(matmul_y, "matmul(", false, mica_matmul(o, b))                                             \
  PLACE(dot_general, "dot_general(", false, mica_dot_general(b, o))                                \
  PLACE(conv_x, "conv(", false, mica_conv(b, o))                                                   \
  PLACE(conv_kernel, "conv(", false, mica_conv(o, b))                                              \
  PLACE(take_x, "take(", false, mica_take(b, o, 0))                                                \
  PLACE(take_indices, "take(", false, mica_take(o, b, 0))                                          \
  PLACE(take_along_axis, "take_along_axis(", false, mica_take_along_axis(o, b, 0))                 \
  PLACE(scatter_add_x, "scatter_add(", false, mica_scatter_add(b, o, o))                           \
  PLACE(scatter_add_updates, "scatter_add(", false, mica_scatter_add(o, o, b))                     \
  PLACE(scatter_set_indices, "scatter_set(", false, mica_scatter_set(o, b, o))                     \
  PLACE(gather, "gather(", false, mica_gather(o, b))                                               \
  PLACE(scatter, "scatter(", false, mica_scatter(o, o, b))                                         \
  PLACE(gelu_tanh, "gelu(", true, mica_gelu_tanh(b))

static mica_variable *parameter_variable; /* f32[2] */

static void end_while(mica_graph *g, mica_value state, mica_value condition, mica_value next) {
  mica_value out;
  mica_region loop = mica_while_begin(g, &state, 1, 3);
  mica_while_body(loop, condition);
  mica_while_end(loop, &next, &out);
  CHECK(!mica_is_valid(out));
}
static void end_if(mica_value condition, mica_value first, mica_value second) {
  mica_value out;
  mica_region choice = mica_if_begin(condition);
  mica_if_else(choice, &first, 1);
  mica_if_end(choice, &second, 1, &out);
  CHECK(!mica_is_valid(out));
}
static void end_scan(mica_value x, mica_value carry, mica_value emitted) {
  mica_value last, all;
  mica_region scan = mica_scan_begin(&x, 1, &x, 1);
  mica_scan_end(scan, &carry, &emitted, 1, &last, &all);
  CHECK(!mica_is_valid(last) && !mica_is_valid(all));
}
static void end_vmap(mica_value in, mica_value result) {
  mica_value out;
  mica_region each = mica_vmap_begin(in.graph, &in, NULL, 1);
  mica_vmap_end(each, &result, 1, &out);
  CHECK(!mica_is_valid(out));
}
static void end_call(mica_value in, mica_value result) {
  mica_value out;
  mica_region call = mica_call_begin(in.graph, &in, 1);
  mica_call_end(call, &result, 1, &out);
  CHECK(!mica_is_valid(out));
}
static void end_recompute(mica_value in, mica_value result) {
  mica_value out;
  mica_region call = mica_recompute_begin(in.graph, &in, 1);
  mica_recompute_end(call, &result, 1, &out);
  CHECK(!mica_is_valid(out));
}
static void end_custom(mica_value in, mica_value gradient) {
  mica_value out;
  mica_region block = mica_custom_gradient_begin(in.graph, &in, 1);
  mica_custom_gradient_backward(block, &in, 1);
  mica_custom_gradient_end(block, &gradient, &out, 1);
  CHECK(!mica_is_valid(out));
}

#define PLACE(name, text, alone, ...)                                                 \
  static void place_##name(mica_graph *g, mica_value b, mica_value o, mica_value c) { \
    mica_value out = {0};                                                             \
    (void)g, (void)b, (void)o, (void)c;                                               \
    __VA_ARGS__;                                                                      \
    CHECK(!mica_is_valid(out));                                                       \
  }
PLACES
#undef PLACE
#define PLACE(name, text, alone, ...) {text, place_##name, alone},
static const place places[] = {PLACES};
enum { PLACE_COUNT = sizeof(places) / sizeof(places[0]) };

typedef struct {
  mica_graph *graph;
  mica_value other, condition;
} good_values;

static good_values good_graph(void) {
  mica_graph *g = scoped_graph();
  good_values good = {g, F32(2), SCALAR(BOOL)};
  if (!parameter_variable) {
    mica_tensor *zeros = mica_tensor_from(MICA_F32, MICA_DIMS(2), NULL);
    parameter_variable = mica_variable_create("parameter", zeros);
    mica_tensor_release(zeros);
  }
  return good;
}

static void check_place(const place *where, good_values good, mica_value bad, const char *why) {
  where->build(good.graph, bad, good.other, good.condition);
  check_message(good.graph, where->name, (const char *const[]){why, NULL});
  mica_graph_destroy(good.graph);
}

TEST(no_value) {
  for (size_t i = 0; i < PLACE_COUNT; i++) {
    good_values good = good_graph();
    check_place(&places[i], good, mica_no_value(good.graph), "a value, not {0}");
    good = good_graph();
    if (!places[i].alone) {
      check_place(&places[i], good, (mica_value){0}, "a value, not {0}");
    } else {
      places[i].build(good.graph, (mica_value){0}, good.other, good.condition);
      CHECK_OK(mica_graph_status(good.graph, NULL));
      mica_graph_destroy(good.graph);
    }
  }
}

TEST(value_of_another_graph) {
  for (size_t i = 0; i < PLACE_COUNT; i++) {
    if (places[i].alone) continue; /* it builds in its own graph */
    good_values good = good_graph(), foreign = good_graph();
    places[i].build(good.graph, foreign.other, good.other, good.condition);
    bool first =
        mica_graph_status(good.graph, NULL) == MICA_OK; /* the first operand's graph complains */
    check_message(first ? foreign.graph : good.graph, places[i].name,
                  (const char *const[]){"of this graph, not of another one", NULL});
    mica_graph_destroy(good.graph), mica_graph_destroy(foreign.graph);
  }
}

TEST(stale_value) {
  for (size_t i = 0; i < PLACE_COUNT; i++) {
    good_values good = good_graph();
    mica_graph *g = good.graph;
    mica_value stale = good.other;
    mica_graph_reset(g);
    mica_scope_push(g, "net");
    mica_scope_push(g, "part");
    good = (good_values){g, F32(2), SCALAR(BOOL)};
    check_place(&places[i], good, stale, "stale");
  }
}

TEST(value_of_a_closed_block) {
  for (size_t i = 0; i < PLACE_COUNT; i++) {
    good_values good = good_graph();
    mica_value inside, out;
    mica_region call = mica_call_begin(good.graph, &good.other, 1);
    inside = mica_neg(mica_argument(call, 0));
    mica_call_end(call, &inside, 1, &out);
    check_place(&places[i], good, inside, "belongs to a closed block of call");
  }
}

/* A place in a graph that failed earlier does nothing, and in one without memory too. */
TEST(graph_that_failed) {
  for (size_t i = 0; i < PLACE_COUNT; i++) {
    good_values good = good_graph();
    mica_fail(good.graph, MICA_INVALID, "the first failure");
    uint32_t count = good.graph->count;
    places[i].build(good.graph, good.other, good.other, good.condition);
    mica_error error = {0};
    mica_graph_status(good.graph, &error);
    CHECK_EQ_STR(error.message, "the first failure");
    CHECK_EQ_INT(good.graph->count, count);
    mica_graph_destroy(good.graph);
    mica_graph *none = mica_graph_create(&(mica_allocator){.allocate = no_memory});
    mica_value empty = mica_no_value(none);
    places[i].build(none, empty, empty, empty);
    CHECK_STATUS(mica_graph_status(none, NULL), MICA_OUT_OF_MEMORY);
    mica_graph_destroy(none);
  }
}

/* ---- derivatives ------------------------------------------------------------------------------------------ */

MISTAKE(gradients_of_an_array, "gradients(f32[2])", "float []", mica_gradients(x, &x, 1, out))
MISTAKE(gradients_of_an_integer, "gradients(i32[])", "float []", mica_gradients(n, &x, 1, out))
MISTAKE(gradients_of_a_truth, "gradients(bool[])", "float []", mica_gradients(c, &x, 1, out))
MISTAKE(gradients_of_a_complex, "gradients(c64[])", "float []",
        mica_gradients(mica_convert(sum_of(x), MICA_C64), &x, 1, out))
MISTAKE(gradients_by_an_integer, "gradients(f32[2], i32[])", "input 1 has dtype i32",
        mica_gradients(sum_of(x), (mica_value[]){x, n}, 2, out);
        CHECK(!mica_is_valid(out[0])))
MISTAKE(vjp_with_another_type, "vjp(f32[2], f32[3])", "cotangent 0",
        mica_vjp(&x, &y, 1, &x, 1, out))
MISTAKE(jvp_with_another_type, "jvp(f32[2], f32[3])", "tangent 0", mica_jvp(&x, 1, &x, &y, 1, out))
MISTAKE(jacobian_of_integers, "jacobian(i32[], f32[2])", "float dtypes", mica_jacobian(n, x))
MISTAKE(jacobian_by_integers, "jacobian_forward(f32[2], i32[])", "float dtypes",
        mica_jacobian_forward(x, n))
MISTAKE(jacobian_of_too_many_axes, "jacobian(f32[1, 1, 1, 1, 1], f32[1, 1, 1, 1, 1])",
        "rank 10: expected at most 8", mica_value wide = F32(1, 1, 1, 1, 1);
        mica_jacobian(wide, wide))
MISTAKE(hessian_of_an_array, "gradients(f32[2])", "float []", mica_hessian(x, x))
MISTAKE(reverse_through_an_unbounded_loop, "while(f32[2], i32[]", "max_iterations",
        block = mica_while_begin(g, (mica_value[]){x, n}, 2, 0);
        mica_while_body(block, c);
        mica_while_end(block, (mica_value[]){mica_sin(mica_argument(block, 0)), n}, out);
        mica_gradients(sum_of(out[0]), &x, 1, &out[2]))
MISTAKE(forward_through_a_custom_gradient, "custom_gradient(f32[2]", "forward mode",
        block = mica_custom_gradient_begin(g, &x, 1);
        mica_custom_gradient_backward(block, &x, 1); mica_custom_gradient_end(block, &x, out, 1);
        mica_jvp(out, 1, &x, &x, 1, &out[1]))
MISTAKE(gradient_by_the_conditions_state, "gradients(f32[2])", "mica_argument of the body",
        block = mica_while_begin(g, &x, 1, 5);
        mica_value state = mica_argument(block, 0); mica_while_body(block, c);
        mica_gradients(sum_of(mica_argument(block, 0)), &state, 1, out))

/* ---- variables ---------------------------------------------------------------------------------------------- */

MISTAKE(read_of_no_variable, "variable_read()", "the variable is NULL", mica_variable_read(g, NULL))
MISTAKE(assign_of_no_variable, "variable_assign(f32[2])", "the variable is NULL",
        mica_variable_assign(NULL, x))
MISTAKE(assign_of_another_shape, "variable_assign(f32[3])",
        "variable \"parameter\" has type f32[2]", mica_variable_assign(parameter_variable, y))
MISTAKE(assign_of_another_dtype, "variable_assign(f64[2])",
        "variable \"parameter\" has type f32[2]",
        mica_variable_assign(parameter_variable, mica_convert(x, MICA_F64)))
MISTAKE(assign_in_while, "variable_assign(f32[2])", "inside a block of while", BEGIN_WHILE;
        mica_while_body(block, c);
        mica_variable_assign(parameter_variable, mica_argument(block, 0)))
MISTAKE(assign_in_a_condition, "variable_assign(f32[2])", "inside a block of while", BEGIN_WHILE;
        mica_variable_assign(parameter_variable, mica_argument(block, 0)))
MISTAKE(assign_in_if, "variable_assign(f32[2])", "inside a block of switch", mica_if_begin(c);
        mica_variable_assign(parameter_variable, x))
MISTAKE(assign_in_scan, "variable_assign(f32[2])", "inside a block of scan",
        mica_scan_begin(&x, 1, &y, 1);
        mica_variable_assign(parameter_variable, x))
MISTAKE(assign_in_vmap, "variable_assign(f32[2])", "inside a block of vmap",
        mica_vmap_begin(g, &x, NULL, 1);
        mica_variable_assign(parameter_variable, x))
MISTAKE(assign_in_custom_gradient, "variable_assign(f32[2])", "inside a block of custom_gradient",
        mica_custom_gradient_begin(g, &x, 1);
        mica_variable_assign(parameter_variable, x))
MISTAKE(assign_in_a_call_in_a_loop, "variable_assign(f32[2])", "inside a block of scan",
        mica_scan_begin(&x, 1, &y, 1);
        mica_call_begin(g, &x, 1); mica_variable_assign(parameter_variable, x))

TEST(variables_of_the_wrong_type) {
  mica_error error = {0};
  mica_graph_destroy(good_graph().graph);
  mica_tensor *three = mica_tensor_from(MICA_F32, MICA_DIMS(3), NULL);
  CHECK_STATUS(mica_variable_set(parameter_variable, three, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "parameter");
  CHECK_STR_CONTAINS(error.message, "f32[3]");
  CHECK_STR_CONTAINS(error.message, "f32[2]");
  CHECK_STATUS(mica_variable_set(parameter_variable, NULL, NULL), MICA_INVALID);
  CHECK_STATUS(mica_variable_set(NULL, three, NULL), MICA_INVALID);
  CHECK(mica_variable_create("none", NULL) == NULL);
  mica_tensor_release(three);
}

/* ---- leaves, scopes, outputs, operators by name ----------------------------------------------------------------- */

MISTAKE(parameter_of_no_dtype, "parameter()", "dtype", mica_parameter(g, (mica_type){0}))
MISTAKE(parameter_of_rank_9, "parameter()", "rank",
        mica_parameter(g, (mica_type){MICA_F32, {.rank = 9}}))
MISTAKE(parameter_of_negative_size, "parameter()", "axis 1", input(g, MICA_F32, MICA_DIMS(2, -3)))
MISTAKE(constant_of_nothing, "constant()", "NULL", mica_constant(g, NULL))
MISTAKE(scalar_that_is_not_whole, "scalar()", "0.5", mica_scalar(g, MICA_I32, 0.5))
MISTAKE(scalar_out_of_range, "scalar()", "300", mica_scalar(g, MICA_U8, 300))
MISTAKE(scalar_that_overflows, "scalar()", "f16", mica_scalar(g, MICA_F16, 1e30))
MISTAKE(full_of_no_dtype, "full()", "dtype",
        mica_full(g, (mica_type){MICA_DTYPE_NONE, MICA_DIMS(2)}, 1))
MISTAKE(iota_along_no_axis, "iota()", "axis 1",
        mica_iota(g, (mica_type){MICA_F32, MICA_DIMS(2)}, 1))
MISTAKE(output_in_an_open_block, "call(f32[2])", "the block is not closed",
        mica_call_begin(g, &x, 1);
        mica_graph_set_outputs(g, &x, 1))
MISTAKE(operator_that_is_not_there, "adder(f32[2], f32[3])", "no operator of this name",
        mica_build_operator(g, "adder", (mica_value[]){x, y}, 2, ""))
MISTAKE(operator_with_too_few, "add(f32[2])", "expected 2 operands, not 1",
        mica_build_operator(g, "add", &x, 1, ""))
MISTAKE(operator_with_regions, "while(f32[2])", "block", mica_build_operator(g, "while", &x, 1, ""))
MISTAKE(operator_with_a_wrong_attribute, "reduce(f32[2])", "attribute",
        mica_build_operator(g, "reduce", &x, 1, "axis=[0]"))

/* Scopes have no operands; the message names the scope that is open. */
static void check_scope(void (*build)(mica_graph *g), const char *part) {
  mica_graph *g = scoped_graph();
  mica_error error = {0};
  build(g);
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  if (!strstr(error.message, part) || !strstr(error.message, "expected ") ||
      !strstr(error.message, "part"))
    CHECK_FAIL("\"%s\"", error.message);
  mica_graph_destroy(g);
}
static void push_nothing(mica_graph *g) { mica_scope_push(g, NULL); }
static void push_empty(mica_graph *g) { mica_scope_push(g, ""); }
static void push_path(mica_graph *g) { mica_scope_push(g, "a/b"); }
static void push_space(mica_graph *g) { mica_scope_push(g, "a b"); }
static void push_long(mica_graph *g) {
  char name[600];
  memset(name, 'x', sizeof name);
  name[sizeof name - 1] = 0;
  mica_scope_push(g, name);
}
static void pop_outer(mica_graph *g) { mica_scope_pop(g, "net"); }
static void pop_nothing(mica_graph *g) { mica_scope_pop(g, NULL); }
TEST(scopes) {
  check_scope(push_nothing, "scope_push: \"NULL\"");
  check_scope(push_empty, "scope_push: \"\"");
  check_scope(push_path, "\"a/b\"");
  check_scope(push_space, "\"a b\"");
  check_scope(push_long, "scope_push");
  check_scope(pop_outer, "not \"net\"");
  check_scope(pop_nothing, "not \"NULL\"");
  mica_variable_release(parameter_variable);
  parameter_variable = NULL;
}

/* At the root there is no scope that a message could name. */
TEST(scopes_at_the_root) {
  mica_error error = {0};
  mica_graph *g = mica_graph_create(NULL);
  mica_scope_pop(g, "net");
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message,
               "scope_pop: no scope is open: expected mica_scope_push of \"net\" before");
  mica_graph_reset(g);
  error = (mica_error){0};
  mica_scope_push(g, "a b");
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message,
               "scope_push: \"a b\" is no scope name: expected letters without spaces, quotes or "
               "'/' and a path of at most 511 bytes");
  mica_graph_destroy(g);
}

/* Outputs of a graph, or of a trace, while a scope is open; and a block that leaves one open. */
static void build_in_open_scopes(mica_graph *graph, const mica_value *in, mica_value *out,
                                 void *user) {
  (void)user;
  mica_scope_push(graph, "encoder");
  mica_scope_push(graph, "layer3");
  out[0] = mica_neg(in[0]);
  mica_scope_pop(graph, "layer3");
}
TEST(scopes_left_open) {
  mica_error error = {0};
  mica_graph *g = scoped_graph();
  mica_value x = F32(2), out;
  mica_graph_set_outputs(g, &x, 1);
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message,
               "set_outputs: scope \"net/part\" is still open: expected "
               "mica_scope_pop of \"part\" before");
  mica_graph_reset(g);
  mica_scope_push(g, "net");
  x = F32(2);
  mica_region call = mica_call_begin(g, &x, 1);
  mica_scope_push(g, "inner");
  mica_call_end(call, &x, 1, &out);
  error = (mica_error){0};
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message,
               "call: scope \"net/inner\" was opened in this block and is still open "
               "at its end: expected mica_scope_pop before");
  CHECK(!mica_is_valid(out));
  mica_graph_destroy(g);

  mica_device *device = mica_device_open(NULL, NULL);
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(1), (float[]){1}), *result = NULL;
  error = (mica_error){0};
  CHECK_STATUS(mica_call_once(device, build_in_open_scopes, NULL, &in, 1, &result, 1, &error),
               MICA_INVALID);
  CHECK_EQ_STR(error.message,
               "set_outputs: scope \"encoder\" is still open: expected "
               "mica_scope_pop of \"encoder\" before");
  CHECK(result == NULL);
  mica_tensor_release(in);
  mica_device_release(device);
}

/* An output that the build function forgot says which, and no types that are not there. */
static void build_half(mica_graph *graph, const mica_value *in, mica_value *out, void *user) {
  (void)graph, (void)user;
  out[0] = mica_neg(in[0]);
}
TEST(a_forgotten_output) {
  mica_device *device = mica_device_open(NULL, NULL);
  mica_tensor *in = mica_tensor_from(MICA_F32, MICA_DIMS(1), (float[]){1}), *result[2] = {0};
  mica_error error = {0};
  CHECK_STATUS(mica_call_once(device, build_half, NULL, &in, 1, result, 2, &error), MICA_INVALID);
  CHECK_EQ_STR(error.message,
               "set_outputs: output 1 of 2: expected a value, not {0} (was the call "
               "that makes it forgotten?)");
  mica_tensor_release(in);
  mica_device_release(device);
}

TEST_MAIN(TEST_CASE(scopes_at_the_root), TEST_CASE(scopes_left_open), TEST_CASE(a_forgotten_output),
          TEST_CASE(no_value), TEST_CASE(value_of_another_graph), TEST_CASE(stale_value),
          TEST_CASE(value_of_a_closed_block), TEST_CASE(graph_that_failed),
          TEST_CASE(variables_of_the_wrong_type), TEST_CASE(gradients_of_an_array),
          TEST_CASE(gradients_of_an_integer), TEST_CASE(gradients_of_a_truth),
          TEST_CASE(gradients_of_a_complex), TEST_CASE(gradients_by_an_integer),
          TEST_CASE(vjp_with_another_type), TEST_CASE(jvp_with_another_type),
          TEST_CASE(jacobian_of_integers), TEST_CASE(jacobian_by_integers),
          TEST_CASE(jacobian_of_too_many_axes), TEST_CASE(hessian_of_an_array),
          TEST_CASE(reverse_through_an_unbounded_loop),
          TEST_CASE(forward_through_a_custom_gradient), TEST_CASE(gradient_by_the_conditions_state),
          TEST_CASE(read_of_no_variable), TEST_CASE(assign_of_no_variable),
          TEST_CASE(assign_of_another_shape), TEST_CASE(assign_of_another_dtype),
          TEST_CASE(assign_in_while), TEST_CASE(assign_in_a_condition), TEST_CASE(assign_in_if),
          TEST_CASE(assign_in_scan), TEST_CASE(assign_in_vmap),
          TEST_CASE(assign_in_custom_gradient), TEST_CASE(assign_in_a_call_in_a_loop),
          TEST_CASE(parameter_of_no_dtype), TEST_CASE(parameter_of_rank_9),
          TEST_CASE(parameter_of_negative_size), TEST_CASE(constant_of_nothing),
          TEST_CASE(scalar_that_is_not_whole), TEST_CASE(scalar_out_of_range),
          TEST_CASE(scalar_that_overflows), TEST_CASE(full_of_no_dtype),
          TEST_CASE(iota_along_no_axis), TEST_CASE(output_in_an_open_block),
          TEST_CASE(operator_that_is_not_there), TEST_CASE(operator_with_too_few),
          TEST_CASE(operator_with_regions), TEST_CASE(operator_with_a_wrong_attribute),
          TEST_CASE(scopes))
