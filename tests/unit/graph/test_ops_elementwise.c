/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves, pointwise operators of one to three operands, plain numbers as operands. */
#include "unit/graph/ops_testing.h"

#include <math.h>

TEST(leaves_have_the_types_asked_for) {
  CHECK_TYPE(F32(2, 0, 3), "f32[2, 0, 3]");
  CHECK_TYPE(SCALAR(C128), "c128[]");
  CHECK_TYPE(mica_scalar(g, MICA_I4, -8), "i4[]");
  CHECK_TYPE(mica_scalar(g, MICA_BOOL, 1), "bool[]");
  CHECK_TYPE(mica_scalar(g, MICA_U64, 18446744073709549568.0), "u64[]");
  CHECK_TYPE(mica_scalar(g, MICA_F16, 65504), "f16[]");
  CHECK_TYPE(mica_scalar(g, MICA_F16, INFINITY), "f16[]");
  CHECK_TYPE(mica_scalar(g, MICA_F8E4M3FN, NAN), "f8e4m3fn[]");
  CHECK_TYPE(mica_full(g, ((mica_type){MICA_C64, MICA_DIMS(4, 2)}), 0.5), "c64[4, 2]");
  CHECK_TYPE(mica_full_like(I32(3), 7), "i32[3]");
  CHECK_TYPE(mica_zeros_like(F32(3, 1)), "f32[3, 1]");
  CHECK_TYPE(mica_ones_like(SCALAR(BF16)), "bf16[]");
  CHECK_TYPE(mica_iota(g, ((mica_type){MICA_U8, MICA_DIMS(4, 2)}), -1), "u8[4, 2]");
}

TEST(numbers_must_fit_their_dtype) {
  CHECK_FAILS(mica_scalar(g, MICA_I32, 0.5), "scalar()", "0.5 is no i32",
              "expected a whole number");
  CHECK_FAILS(mica_scalar(g, MICA_I32, NAN), "nan is no i32", "expected a whole number");
  CHECK_FAILS(mica_scalar(g, MICA_U8, -1), "-1 is no u8", "out of range");
  CHECK_FAILS(mica_scalar(g, MICA_U8, 256), "256 is no u8", "out of range");
  CHECK_FAILS(mica_scalar(g, MICA_I4, 8), "8 is no i4", "out of range");
  CHECK_FAILS(mica_scalar(g, MICA_I64, 9223372036854775808.0), "is no i64", "out of range");
  CHECK_FAILS(mica_scalar(g, MICA_BOOL, 2), "2 is no bool", "expected 0 or 1");
  CHECK_FAILS(mica_scalar(g, MICA_F16, 1e6), "is no f16", "overflows");
  CHECK_FAILS(mica_scalar(g, MICA_F32, 1e39), "is no f32", "overflows");
  CHECK_FAILS(mica_scalar(g, MICA_F8E4M3FN, 1000), "is no f8e4m3fn", "overflows");
  CHECK_FAILS(mica_scalar(g, MICA_F8E4M3FN, INFINITY), "inf is no f8e4m3fn", "no infinity");
  CHECK_FAILS(mica_scalar(g, (mica_dtype)77, 1), "dtype 77 is unknown");
  CHECK_FAILS(mica_add(I32(2), 0.5), "add(i32[2])", "0.5 is no i32", "expected a whole number");
  CHECK_FAILS(mica_full_like(I32(2), 0.5), "full_like(i32[2])", "expected a whole number");
  CHECK_FAILS(mica_full(g, ((mica_type){MICA_F32, MICA_DIMS(-1)}), 0), "full()",
              "negative size at axis 0");
}

TEST(leaves_refuse_types_that_are_none) {
  CHECK_FAILS(input(g, MICA_DTYPE_NONE, MICA_DIMS(2)), "parameter()", "dtype 0 is unknown");
  CHECK_FAILS(F32(2, -3), "parameter()", "f32[2, -3]", "negative size at axis 1");
  CHECK_FAILS(input(g, MICA_F32, ((mica_shape){.rank = 9})), "parameter()",
              "rank 9 is outside of 0 to 8");
  CHECK_FAILS(input(g, MICA_F32, ((mica_shape){.rank = -1})), "parameter()",
              "rank -1 is outside of 0 to 8");
  CHECK_FAILS(F32(INT64_MAX, 2), "parameter()", "larger than the address space");
  CHECK_FAILS(mica_constant(g, NULL), "constant()", "the tensor is NULL");
  CHECK_FAILS(mica_iota(g, ((mica_type){MICA_F32, MICA_DIMS(2)}), 1), "iota()",
              "axis 1 does not exist", "expected -1 to 0");
  CHECK_FAILS(mica_iota(g, ((mica_type){MICA_F32, MICA_SCALAR}), 0), "iota()",
              "a scalar has no axes");
  CHECK_FAILS(mica_iota(g, ((mica_type){MICA_BOOL, MICA_DIMS(2)}), 0), "iota()",
              "dtype bool is not supported", "expected integers");
}

TEST(a_parameter_stands_outside_of_blocks) {
  mica_graph *g = scoped_graph();
  mica_value condition = SCALAR(BOOL);
  mica_if_begin(condition);
  mica_value inside = F32(2);
  CHECK(!mica_is_valid(inside));
  mica_error error = {0};
  CHECK_STATUS(mica_graph_status(g, &error), MICA_INVALID);
  CHECK_STR_CONTAINS(error.message, "parameter(): expected a place outside of all blocks");
  mica_graph_destroy(g);
}

TEST(a_constant_keeps_its_tensor) {
  mica_graph *g = scoped_graph();
  mica_tensor *tensor = mica_tensor_from(MICA_I32, MICA_DIMS(3), (int32_t[]){1, 2, 3});
  mica_value value = mica_constant(g, tensor);
  mica_tensor_release(tensor);
  leave_scopes(g);
  mica_graph_set_outputs(g, &value, 1);
  char *text = graph_text(g);
  if (CHECK(text)) CHECK_STR_CONTAINS(text, "i32[3]");
  free(text);
  mica_graph_destroy(g);
}

/* Each operator of one operand: a dtype it takes, one it does not (NONE: it takes all), and its
 * result. */
typedef struct {
  const char *name;
  mica_value (*build)(mica_value x);
  mica_dtype takes, gives, refuses;
  const char *expected; /* part of the message */
} unary_case;

#define INEXACT "expected f16, bf16, f32, f64, c64 or c128"
#define FLOATS  "expected f16, bf16, f32 or f64"
#define REALS   "expected integers, f16, bf16, f32 or f64"
#define NUMBERS "expected integers, f16, bf16, f32, f64, c64 or c128"
static const unary_case unary_cases[] = {
    {"neg", mica_neg, MICA_U8, MICA_U8, MICA_BOOL, NUMBERS},
    {"abs", mica_abs, MICA_I16, MICA_I16, MICA_BOOL, NUMBERS},
    {"sign", mica_sign, MICA_BF16, MICA_BF16, MICA_BOOL, REALS},
    {"exp", mica_exp, MICA_C64, MICA_C64, MICA_I32, INEXACT},
    {"expm1", mica_expm1, MICA_F16, MICA_F16, MICA_I32, INEXACT},
    {"log", mica_log, MICA_C128, MICA_C128, MICA_U64, INEXACT},
    {"log1p", mica_log1p, MICA_F64, MICA_F64, MICA_I8, INEXACT},
    {"tanh", mica_tanh, MICA_F32, MICA_F32, MICA_BOOL, INEXACT},
    {"logistic", mica_logistic, MICA_F32, MICA_F32, MICA_F8E5M2, INEXACT},
    {"erf", mica_erf, MICA_F32, MICA_F32, MICA_C64, FLOATS},
    {"sqrt", mica_sqrt, MICA_F64, MICA_F64, MICA_I32, INEXACT},
    {"rsqrt", mica_rsqrt, MICA_F32, MICA_F32, MICA_I32, INEXACT},
    {"sin", mica_sin, MICA_F32, MICA_F32, MICA_I32, INEXACT},
    {"cos", mica_cos, MICA_F32, MICA_F32, MICA_I32, INEXACT},
    {"floor", mica_floor, MICA_F32, MICA_F32, MICA_I32, FLOATS},
    {"ceil", mica_ceil, MICA_F32, MICA_F32, MICA_C64, FLOATS},
    {"round", mica_round, MICA_F32, MICA_F32, MICA_I32, FLOATS},
    {"not", mica_not, MICA_BOOL, MICA_BOOL, MICA_F32, "expected bool or integers"},
    {"is_finite", mica_is_finite, MICA_F16, MICA_BOOL, MICA_I32, FLOATS},
    {"compare", mica_is_nan, MICA_F32, MICA_BOOL, MICA_F8E4M3FN,
     "is not supported: expected bool, integers"},
    {"stop_gradient", mica_stop_gradient, MICA_I4, MICA_I4, MICA_DTYPE_NONE, ""},
    {"mul", mica_square, MICA_I32, MICA_I32, MICA_BOOL, NUMBERS},
    {"div", mica_reciprocal, MICA_F32, MICA_F32, MICA_I4, NUMBERS},
    {"relu", mica_relu, MICA_I32, MICA_I32, MICA_C64, REALS},
    {"gelu", mica_gelu, MICA_F16, MICA_F16, MICA_I32, FLOATS},
    {"gelu", mica_gelu_tanh, MICA_F32, MICA_F32, MICA_BOOL, FLOATS},
    {"logistic", mica_silu, MICA_F32, MICA_F32, MICA_I32, INEXACT},
};

TEST(unary_operators_keep_the_shape_and_check_the_dtype) {
  for (size_t i = 0; i < sizeof(unary_cases) / sizeof(unary_cases[0]); i++) {
    const unary_case *c = &unary_cases[i];
    mica_graph *g = scoped_graph();
    mica_value y = c->build(input(g, c->takes, MICA_DIMS(2, 3)));
    CHECK_OK(mica_graph_status(g, NULL));
    CHECK(mica_type_equal(mica_type_of(y), (mica_type){c->gives, MICA_DIMS(2, 3)}));
    mica_graph_destroy(g);
    if (c->refuses == MICA_DTYPE_NONE) continue;
    g = scoped_graph();
    char call[64];
    snprintf(call, sizeof(call), "%s(%s[2, 3]", c->name, mica_dtype_name(c->refuses));
    y = c->build(input(g, c->refuses, MICA_DIMS(2, 3)));
    check_failure(g, y, (const char *const[]){call, c->expected, NULL}, c->name, __FILE__,
                  __LINE__);
    mica_graph_destroy(g);
  }
}

TEST(convert_and_mark) {
  CHECK_TYPE(mica_convert(F32(2), MICA_F8E5M2), "f8e5m2[2]");
  CHECK_TYPE(mica_mark(BOOL(2), "seen"), "bool[2]");
  CHECK_FAILS(mica_convert(F32(2), MICA_DTYPE_NONE), "convert(f32[2])", "dtype 0 is unknown");
  CHECK_FAILS(mica_mark(F32(2), NULL), "mark(f32[2])", "the label is NULL");
  mica_graph *g = scoped_graph();
  mica_value x = F32(2), same = mica_convert(x, MICA_F32);
  CHECK_EQ_INT(same.id, x.id);
  mica_graph_destroy(g);
}

TEST(binary_operators_broadcast_as_numpy) {
  CHECK_TYPE(mica_add(F32(2, 3), F32(3)), "f32[2, 3]");
  CHECK_TYPE(mica_sub(F32(2, 1), F32(1, 4)), "f32[2, 4]");
  CHECK_TYPE(mica_mul(SCALAR(F32), F32(5)), "f32[5]");
  CHECK_TYPE(mica_div(F32(1), F32(0)), "f32[0]");
  CHECK_TYPE(mica_rem(F32(2, 1, 3), F32(4, 1)), "f32[2, 4, 3]");
  CHECK_TYPE(mica_pow(F32(2), 0.5), "f32[2]");
  CHECK_TYPE(mica_max(I32(2), 3), "i32[2]");
  CHECK_TYPE(mica_min(I32(2), I32(1)), "i32[2]");
  CHECK_TYPE(mica_and(BOOL(2), SCALAR(BOOL)), "bool[2]");
  CHECK_TYPE(mica_or(I32(2), I32(2)), "i32[2]");
  CHECK_TYPE(mica_xor(BOOL(2), BOOL(3, 2)), "bool[3, 2]");
  CHECK_TYPE(mica_equal(BOOL(2), BOOL(2)), "bool[2]");
  CHECK_TYPE(mica_less(F32(2), 0.5), "bool[2]");
  CHECK_TYPE(mica_select(BOOL(3), F32(2, 1), SCALAR(F32)), "f32[2, 3]");
  CHECK_TYPE(mica_select(SCALAR(BOOL), I32(2), I32(2)), "i32[2]");
}

TEST(broadcast_nodes_stand_only_where_needed) {
  mica_graph *g = scoped_graph();
  mica_value a = F32(2, 3), b = F32(2, 3), c = F32(3);
  mica_add(a, b);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_BROADCAST), 0);
  mica_add(a, c);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_BROADCAST), 1);
  mica_select(mica_greater(a, b), a, b);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_BROADCAST), 1);
  mica_graph_destroy(g);
}

TEST(binary_messages_say_what_clashes) {
  CHECK_FAILS(mica_add(F32(2, 3), F32(2, 4)), "add(f32[2, 3], f32[2, 4])", "axis -1 clashes",
              "sizes 3 and 4", "expected equal ones or 1");
  CHECK_FAILS(mica_mul(F32(5, 3), F32(2, 1)), "mul(f32[5, 3], f32[2, 1])", "axis -2 clashes",
              "sizes 5 and 2");
  CHECK_FAILS(mica_max(F32(2, 3), F32(2)), "max(f32[2, 3], f32[2])", "axis -1 clashes",
              "sizes 3 and 2");
  CHECK_FAILS(mica_equal(F32(0), F32(2)), "compare(f32[0], f32[2])", "sizes 0 and 2");
  CHECK_FAILS(mica_sub(F32(2), I32(2)), "sub(f32[2], i32[2])", "different dtypes", "mica_convert");
  CHECK_FAILS(mica_pow(F32(2), SCALAR(F64)), "pow(f32[2], f64[])", "different dtypes",
              "mica_convert");
  CHECK_FAILS(mica_greater(SCALAR(I64), I32(2)), "compare(i64[], i32[2])", "different dtypes");
  CHECK_FAILS(mica_and(F32(2), F32(2)), "and(f32[2], f32[2])", "expected bool or integers");
  CHECK_FAILS(mica_add(BOOL(2), BOOL(2)), "add(bool[2], bool[2])", NUMBERS);
  CHECK_FAILS(mica_rem(SCALAR(C64), SCALAR(C64)), "rem(c64[], c64[])", REALS);
  CHECK_FAILS(mica_less(SCALAR(C64), SCALAR(C64)), "compare(c64[], c64[])",
              "complex numbers have no order");
  CHECK_FAILS(mica_select(F32(2), F32(2), F32(2)), "select(f32[2], f32[2], f32[2])",
              "operand 0 is the condition", "expected dtype bool");
  CHECK_FAILS(mica_select(BOOL(2), F32(2), I32(2)), "select(bool[2], f32[2], i32[2])",
              "operands 1 and 2", "different dtypes", "mica_convert");
  CHECK_FAILS(mica_select(BOOL(3), F32(2), F32(2)), "select(bool[3], f32[2], f32[2])",
              "axis -1 clashes");
}

/* A parsed graph has no builder in front of it: nodes themselves demand equal types. */
TEST(nodes_do_not_broadcast) {
  CHECK_FAILS(mica_build_operator(g, "add", (mica_value[]){F32(2, 3), F32(3)}, 2, NULL),
              "add(f32[2, 3], f32[3])", "operands 0 and 1 have different shapes",
              "expected equal ones");
  CHECK_FAILS(mica_build_operator(g, "add", (mica_value[]){F32(2), I32(2)}, 2, NULL),
              "add(f32[2], i32[2])", "different dtypes");
  CHECK_FAILS(mica_build_operator(g, "add", (mica_value[]){F32(2)}, 1, NULL), "add(f32[2])",
              "expected 2 operands");
  CHECK_FAILS(mica_build_operator(g, "select", (mica_value[]){BOOL(3), F32(2), F32(2)}, 3, NULL),
              "select(bool[3], f32[2], f32[2])", "operands 0 and 1 have different shapes");
  CHECK_TYPE(mica_build_operator(g, "compare", (mica_value[]){I32(3), I32(3)}, 2, "kind=le"),
             "bool[3]");
}

/* What is flat or of integers has derivative 0; it never stops a gradient with an error. */
TEST(flat_operators_have_zero_gradients) {
  mica_graph *g = scoped_graph();
  mica_value x = F32(3), sum = mica_reduce_sum(x, MICA_ALL), gradient;
  mica_value (*const flat[])(mica_value) = {mica_sign, mica_floor, mica_ceil, mica_round,
                                            mica_stop_gradient};
  for (size_t i = 0; i < sizeof(flat) / sizeof(flat[0]); i++)
    sum = mica_add(sum, mica_reduce_sum(flat[i](x), MICA_ALL));
  mica_value truth =
      mica_xor(mica_or(mica_and(mica_less(x, 0), mica_not(mica_equal(x, 1))), mica_is_finite(x)),
               mica_is_nan(x));
  sum = mica_add(sum, mica_reduce_sum(mica_convert(truth, MICA_F32), MICA_ALL));
  sum = mica_add(sum, mica_reduce_sum(mica_convert(mica_convert(x, MICA_I32), MICA_F32), MICA_ALL));
  mica_gradients(sum, &x, 1, &gradient);
  CHECK_OK(mica_graph_status(g, NULL));
  CHECK(mica_type_equal(mica_type_of(gradient), mica_type_of(x)));
  /* Only the plain sum reaches x: its gradient is one broadcast, with nothing added to it. */
  CHECK_EQ_INT(mica_node_at(g, gradient.id)->op, MICA_OP_BROADCAST);
  mica_graph_destroy(g);
}

TEST_MAIN(TEST_CASE(leaves_have_the_types_asked_for), TEST_CASE(numbers_must_fit_their_dtype),
          TEST_CASE(leaves_refuse_types_that_are_none),
          TEST_CASE(a_parameter_stands_outside_of_blocks), TEST_CASE(a_constant_keeps_its_tensor),
          TEST_CASE(unary_operators_keep_the_shape_and_check_the_dtype),
          TEST_CASE(convert_and_mark), TEST_CASE(binary_operators_broadcast_as_numpy),
          TEST_CASE(broadcast_nodes_stand_only_where_needed),
          TEST_CASE(binary_messages_say_what_clashes), TEST_CASE(nodes_do_not_broadcast),
          TEST_CASE(flat_operators_have_zero_gradients))
