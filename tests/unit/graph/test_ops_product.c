/* SPDX-License-Identifier: Apache-2.0 */
/* Products and convolutions: shapes, messages, and the nodes that transposes and batching make. */
#include "unit/graph/ops_testing.h"

#include "graph/attributes.h"

#define TYPED(DTYPE, ...) input(g, MICA_##DTYPE, MICA_DIMS(__VA_ARGS__))

TEST(matrix_products) {
  CHECK_TYPE(mica_matmul(F32(3, 4), F32(4, 2)), "f32[3, 2]");
  CHECK_TYPE(mica_matmul(F32(4), F32(4)), "f32[]");
  CHECK_TYPE(mica_matmul(F32(4), F32(4, 2)), "f32[2]");
  CHECK_TYPE(mica_matmul(F32(3, 4), F32(4)), "f32[3]");
  CHECK_TYPE(mica_matmul(F32(4), F32(5, 4, 2)), "f32[5, 2]");
  CHECK_TYPE(mica_matmul(F32(5, 3, 4), F32(4, 2)), "f32[5, 3, 2]");
  CHECK_TYPE(mica_matmul(F32(3, 4), F32(5, 4, 2)), "f32[5, 3, 2]");
  CHECK_TYPE(mica_matmul(F32(6, 1, 3, 4), F32(5, 4, 2)), "f32[6, 5, 3, 2]");
  CHECK_TYPE(mica_matmul(F32(2, 1, 7, 3, 4), F32(2, 5, 1, 4, 2)), "f32[2, 5, 7, 3, 2]");
  CHECK_TYPE(mica_matmul(F32(3, 0), F32(0, 2)), "f32[3, 2]");
  CHECK_TYPE(mica_matmul(TYPED(I4, 3, 4), TYPED(I4, 4, 2)), "i4[3, 2]");
  CHECK_FAILS(mica_matmul(SCALAR(F32), F32(2)), "matmul(f32[], f32[2])", "operand 0 is a scalar",
              "mica_mul");
  CHECK_FAILS(mica_matmul(F32(3, 4), F32(5, 2)), "matmul(f32[3, 4], f32[5, 2])",
              "inner sizes are 4 and 5");
  CHECK_FAILS(mica_matmul(F32(6, 3, 4), F32(5, 4, 2)), "leading axis -3 clashes: sizes 6 and 5");
  CHECK_FAILS(mica_matmul(F32(3, 4), I32(4, 2)), "dot_general(f32[3, 4], i32[4, 2])",
              "different dtypes", "mica_convert");
  CHECK_FAILS(mica_matmul(BOOL(3, 4), BOOL(4, 2)), "dot_general(", "dtype bool");
}

/* The right operand of a batched product is neither repeated nor moved. */
TEST(matmul_does_not_copy) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value product = mica_matmul(F32(5, 3, 4), F32(4, 2));
  mica_value both = mica_matmul(F32(5, 3, 4), F32(5, 4, 2));
  CHECK(mica_is_valid(product) && mica_is_valid(both));
  CHECK_EQ_INT(g->count, 1 + 4 + 2);
  mica_graph_destroy(g);
}

TEST(general_products) {
  CHECK_TYPE(mica_dot_general(F32(3, 4, 2, 5), F32(2, 5, 6, 4), .x_batch = MICA_AXES(2),
                              .y_batch = MICA_AXES(0), .x_contract = MICA_AXES(3, 1),
                              .y_contract = MICA_AXES(1, -1)),
             "f32[2, 3, 6]");
  CHECK_TYPE(mica_dot_general(F32(3), F32(2)), "f32[3, 2]"); /* the outer product */
  CHECK_TYPE(mica_dot_general(TYPED(BF16, 3), TYPED(BF16, 3), .x_contract = MICA_AXES(0),
                              .y_contract = MICA_AXES(0), .dtype = MICA_F32),
             "f32[]");
  CHECK_TYPE(mica_dot_general(TYPED(F8E4M3FN, 3), TYPED(F8E4M3FN, 3), .dtype = MICA_F32),
             "f32[3, 3]");
  CHECK_TYPE(mica_dot_general(TYPED(U8, 3), TYPED(U8, 3), .dtype = MICA_I32), "i32[3, 3]");
  CHECK_FAILS(mica_dot_general(F32(3), F32(3), .dtype = MICA_F64), "dot_general(f32[3], f32[3])",
              "cannot have dtype f64", "f32 for f16");
  CHECK_FAILS(mica_dot_general(F32(3), F32(3), .x_contract = MICA_AXES(0)),
              "1 and 0 contracted axes: expected pairs");
  CHECK_FAILS(mica_dot_general(F32(3), F32(3), .y_batch = MICA_AXES(0)), "0 and 1 batch axes");
  CHECK_FAILS(mica_dot_general(F32(3), F32(4), .x_batch = MICA_AXES(0), .y_batch = MICA_AXES(0)),
              "batch axes 0 and 0 have sizes 3 and 4");
  CHECK_FAILS(
      mica_dot_general(F32(3), F32(4), .x_contract = MICA_AXES(0), .y_contract = MICA_AXES(0)),
      "contracted axes 0 and 0 have sizes 3 and 4");
  CHECK_FAILS(mica_dot_general(F32(3), F32(3), .x_batch = MICA_AXES(0), .y_batch = MICA_AXES(0),
                               .x_contract = MICA_AXES(0), .y_contract = MICA_AXES(0)),
              "axis 0 of operand 0 is both batch and contracted");
  CHECK_FAILS(
      mica_dot_general(F32(3), F32(3), .x_contract = MICA_AXES(1), .y_contract = MICA_AXES(0)),
      "axis 1 does not exist");
  CHECK_FAILS(mica_dot_general(F32(1, 1, 1, 1, 1), F32(1, 1, 1, 1)), "rank 9: expected at most 8");
  CHECK_FAILS(mica_dot_general(F32((int64_t)1 << 31), F32((int64_t)1 << 31)), "dot_general(",
              "larger than");
  CHECK_FAILS(mica_dot_general(F32(3), F32(3), .x_contract = MICA_ALL),
              "x_contract has -1 entries");
  CHECK(!mica_has_value(mica_dot_general_with(NULL)));
}

TEST(convolutions) {
  CHECK_TYPE(mica_conv(F32(2, 28, 28, 3), F32(3, 3, 3, 8)), "f32[2, 28, 28, 8]");
  CHECK_TYPE(mica_conv(F32(2, 28, 27, 3), F32(3, 3, 3, 8), .stride = {2, 2}), "f32[2, 14, 14, 8]");
  CHECK_TYPE(mica_conv(F32(2, 28, 3), F32(5, 3, 8), .padding = MICA_VALID), "f32[2, 24, 8]");
  CHECK_TYPE(
      mica_conv(F32(2, 28, 4), F32(5, 2, 8), .groups = 2, .dilation = {3}, .padding = MICA_VALID),
      "f32[2, 16, 8]");
  CHECK_TYPE(mica_conv(F32(2, 8, 4), F32(3, 4, 8), .input_dilation = {2}, .padding = MICA_EXPLICIT,
                       .low = {1}, .high = {2}),
             "f32[2, 16, 8]");
  CHECK_TYPE(
      mica_conv(F32(2, 8, 4), F32(3, 4, 8), .padding = MICA_EXPLICIT, .low = {-2}, .high = {-9}),
      "f32[2, 0, 8]");
  CHECK_TYPE(mica_conv(F32(1, 4, 5, 6, 2), F32(1, 2, 3, 2, 7)), "f32[1, 4, 5, 6, 7]");
  CHECK_TYPE(mica_conv(F32(0, 8, 0), F32(3, 0, 8)), "f32[0, 8, 8]");
  CHECK_FAILS(mica_conv(F32(2, 8), F32(3, 8)), "conv(f32[2, 8], f32[3, 8])", "1 to 3 spatial axes");
  CHECK_FAILS(mica_conv(F32(2, 8, 8, 3), F32(3, 3, 8)), "conv(",
              "kernel [spatial..., in / groups, out]");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(3, 3, 8)), "convolution(f32[2, 8, 4], f32[3, 3, 8])",
              "x has 4 features and the kernel takes 3", "groups = 1");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(3, 2, 7), .groups = 2),
              "gives 7 features: expected a multiple of groups = 2");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(3, 4, 8), .groups = -1), "groups -1");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(3, 4, 8), .stride = {-1}),
              "stride[0] is -1: expected at least 1");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(3, 4, 8), .stride = {1, 2}),
              "stride[1] is 2: x has no such spatial axis");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(3, 4, 8), .low = {1}), "low[0] is 1", "MICA_EXPLICIT");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(3, 4, 8), .padding = (mica_padding)9),
              "padding 9 is unknown");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), F32(0, 4, 8)), "the kernel is empty along spatial axis 0");
  CHECK_FAILS(mica_conv(F32(2, 8, 4), I32(3, 4, 8)), "different dtypes");
  CHECK_FAILS(mica_conv(TYPED(F8E5M2, 2, 8, 4), TYPED(F8E5M2, 3, 4, 8)), "dtype f8e5m2");
  CHECK_FAILS(mica_conv(F32(1, (int64_t)1 << 59, 1), F32(1, 1, 1), .input_dilation = {INT32_MAX}),
              "reaches too far");
  CHECK(!mica_has_value(mica_conv_with(NULL)));
}

static mica_value backward(mica_op op, mica_value a, mica_value b, mica_shape shape,
                           int64_t batch_groups) {
  mica_convolution_backward_attr attr = {.forward = {.stride = {1, {2}},
                                                     .low = {1, {1}},
                                                     .high = {1, {1}},
                                                     .base_dilation = {1, {1}},
                                                     .window_dilation = {1, {1}},
                                                     .groups = 1,
                                                     .batch_groups = batch_groups},
                                         .shape = shape};
  return mica_emit(a.graph, op, (mica_value[]){a, b}, 2, &attr);
}

TEST(transposed_convolutions) {
  CHECK_TYPE(backward(MICA_OP_CONVOLUTION_BACKWARD_DATA, F32(2, 4, 8), F32(3, 5, 8),
                      MICA_DIMS(2, 8, 5), 1),
             "f32[2, 8, 5]");
  CHECK_TYPE(backward(MICA_OP_CONVOLUTION_BACKWARD_KERNEL, F32(2, 8, 5), F32(2, 4, 8),
                      MICA_DIMS(3, 5, 8), 1),
             "f32[3, 5, 8]");
  CHECK_TYPE(backward(MICA_OP_CONVOLUTION_BACKWARD_DATA, F32(1, 4, 8), F32(3, 5, 8),
                      MICA_DIMS(2, 8, 5), 2),
             "f32[2, 8, 5]");
  CHECK_FAILS(backward(MICA_OP_CONVOLUTION_BACKWARD_DATA, F32(2, 5, 8), F32(3, 5, 8),
                       MICA_DIMS(2, 8, 5), 1),
              "convolution_backward_data(f32[2, 5, 8], f32[3, 5, 8])",
              "gives [2, 4, 8] for the result's shape [2, 8, 5]", "operand 0");
  CHECK_FAILS(backward(MICA_OP_CONVOLUTION_BACKWARD_KERNEL, F32(2, 8, 5), F32(2, 5, 8),
                       MICA_DIMS(3, 5, 8), 1),
              "convolution_backward_kernel(", "operand 1");
  CHECK_FAILS(
      backward(MICA_OP_CONVOLUTION_BACKWARD_DATA, F32(2, 4, 8), F32(3, 5, 8), MICA_DIMS(2, 8), 1),
      "rank 2 and 3");
  CHECK_FAILS(backward(MICA_OP_CONVOLUTION_BACKWARD_DATA, F32(2, 4, 8), F32(3, 5, 8),
                       MICA_DIMS(3, 8, 5), 2),
              "x has 3 examples: expected a multiple of batch_groups = 2");
  CHECK_FAILS(backward(MICA_OP_CONVOLUTION_BACKWARD_DATA, F32(2, 4, 8), F32(3, 5, 8),
                       MICA_DIMS(2, -8, 5), 1),
              "negative size");
}

/* Reverse mode of a convolution makes one node for each operand, of second order too. */
TEST(gradients_of_convolution) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value in[2] = {F32(2, 9, 9, 4), F32(3, 3, 2, 6)}, gradient[2], second[2];
  mica_value y = mica_conv(in[0], in[1], .stride = {2, 1}, .groups = 2);
  mica_gradients(mica_reduce_sum(mica_mul(y, y), MICA_ALL), in, 2, gradient);
  check_type_text(g, gradient[0], "f32[2, 9, 9, 4]", "by x", __FILE__, __LINE__);
  check_type_text(g, gradient[1], "f32[3, 3, 2, 6]", "by kernel", __FILE__, __LINE__);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_CONVOLUTION), 1);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_CONVOLUTION_BACKWARD_DATA), 1);
  CHECK_EQ_INT(count_nodes(g, MICA_OP_CONVOLUTION_BACKWARD_KERNEL), 1);
  mica_gradients(mica_reduce_sum(mica_mul(gradient[0], gradient[0]), MICA_ALL), in, 2, second);
  check_type_text(g, second[0], "f32[2, 9, 9, 4]", "by x twice", __FILE__, __LINE__);
  check_type_text(g, second[1], "f32[3, 3, 2, 6]", "by kernel twice", __FILE__, __LINE__);
  CHECK_OK(mica_graph_verify(g, NULL));
  mica_graph_destroy(g);
}

/* Examples join an axis that is there: rank and number of products stay, whatever is batched. */
TEST(batched_convolutions) {
  for (int mask = 1; mask <= 3; mask++) {
    mica_graph *g = mica_graph_create(NULL);
    bool x_batched = mask & 1, kernel_batched = mask & 2;
    mica_value in[2] = {x_batched ? F32(5, 2, 9, 4) : F32(2, 9, 4),
                        kernel_batched ? F32(5, 3, 2, 6) : F32(3, 2, 6)};
    mica_value out[3], result[3];
    mica_region region =
        mica_vmap_begin(g, in, (int32_t[]){x_batched ? 0 : -1, kernel_batched ? 0 : -1}, 2);
    mica_value x[2] = {mica_argument(region, 0), mica_argument(region, 1)};
    result[0] = mica_conv(x[0], x[1], .groups = 2);
    mica_gradients(mica_reduce_sum(mica_square(result[0]), MICA_ALL), x, 2, result + 1);
    mica_vmap_end(region, result, 3, out);
    check_type_text(g, out[0], "f32[5, 2, 9, 6]", "batched", __FILE__, __LINE__);
    check_type_text(g, out[1], "f32[5, 2, 9, 4]", "batched by x", __FILE__, __LINE__);
    check_type_text(g, out[2], "f32[5, 3, 2, 6]", "batched by kernel", __FILE__, __LINE__);
    mica_graph_destroy(g);
  }
  mica_graph *g = mica_graph_create(NULL); /* no examples at all */
  mica_value in[2] = {F32(0, 2, 9, 4), F32(0, 3, 4, 6)}, out;
  mica_region region = mica_vmap_begin(g, in, NULL, 2);
  mica_value result = mica_conv(mica_argument(region, 0), mica_argument(region, 1));
  mica_vmap_end(region, &result, 1, &out);
  check_type_text(g, out, "f32[0, 2, 9, 6]", "no examples", __FILE__, __LINE__);
  mica_graph_destroy(g);
}

/* A wider result's cotangent is multiplied as it is, and only the product becomes narrow. */
TEST(gradients_of_mixed_products) {
  mica_graph *g = mica_graph_create(NULL);
  mica_value in[2] = {TYPED(BF16, 3, 4), TYPED(BF16, 4, 2)}, gradient[2];
  mica_value y = mica_dot_general(in[0], in[1], .x_contract = MICA_AXES(1),
                                  .y_contract = MICA_AXES(0), .dtype = MICA_F32);
  mica_gradients(mica_reduce_sum(mica_mul(y, y), MICA_ALL), in, 2, gradient);
  check_type_text(g, gradient[0], "bf16[3, 4]", "by x", __FILE__, __LINE__);
  check_type_text(g, gradient[1], "bf16[4, 2]", "by y", __FILE__, __LINE__);
  int wide = 0;
  for (uint32_t id = 1; id < g->count; id++)
    wide += g->nodes[id].op == MICA_OP_DOT_GENERAL &&
            g->nodes[mica_node_operands(g, &g->nodes[id])[0]].type.dtype == MICA_F32;
  CHECK_EQ_INT(wide, 2);
  mica_graph_destroy(g);
}

TEST(misuse) {
  mica_graph *other = mica_graph_create(NULL);
  mica_value foreign = mica_parameter(other, (mica_type){MICA_F32, MICA_DIMS(3, 3)}), none = {0};
  CHECK(!mica_has_value(mica_matmul(none, none)));
  CHECK(!mica_has_value(mica_conv(none, none)));
  CHECK_FAILS(mica_matmul(F32(3, 3), none), "matmul(f32[3, 3], ?)", "operand 1", "{0}");
  CHECK_FAILS(mica_matmul(F32(3, 3), foreign), "matmul(f32[3, 3], ?)", "operand 1", "another one");
  CHECK_FAILS(mica_dot_general(F32(3, 3), foreign), "dot_general(f32[3, 3], ?)", "another one");
  CHECK_FAILS(mica_conv(F32(1, 3, 3), foreign), "conv(f32[1, 3, 3], ?)", "another one");
  CHECK_FAILS(mica_conv(F32(1, 3, 3), none), "conv(f32[1, 3, 3], ?)", "{0}");
  mica_graph_destroy(other);
}

TEST_MAIN(TEST_CASE(matrix_products), TEST_CASE(matmul_does_not_copy), TEST_CASE(general_products),
          TEST_CASE(convolutions), TEST_CASE(transposed_convolutions),
          TEST_CASE(gradients_of_convolution), TEST_CASE(batched_convolutions),
          TEST_CASE(gradients_of_mixed_products), TEST_CASE(misuse))
