/* SPDX-License-Identifier: Apache-2.0 */
/* Composites and random numbers: types, messages, and that batching keeps composites whole. */
#include "unit/graph/ops_testing.h"

#include <math.h>

#include "graph/attributes.h"

#define LABELS(DTYPE, ...) input(g, MICA_##DTYPE, MICA_DIMS(__VA_ARGS__))

TEST(softmax_family) {
  CHECK_TYPE(mica_softmax(F32(2, 3), -1), "f32[2, 3]");
  CHECK_TYPE(mica_log_softmax(input(g, MICA_BF16, MICA_DIMS(2, 3)), 0), "bf16[2, 3]");
  CHECK_TYPE(mica_logsumexp(F32(2, 3), MICA_AXES(1)), "f32[2]");
  CHECK_TYPE(mica_logsumexp(F32(2, 3), MICA_KEEP(-1)), "f32[2, 1]");
  CHECK_TYPE(mica_logsumexp(input(g, MICA_F16, MICA_DIMS(2, 3)), MICA_ALL), "f16[]");
  CHECK_FAILS(mica_softmax(F32(2, 3), 2), "softmax(f32[2, 3])", "axis 2 does not exist",
              "expected -2 to 1");
  CHECK_FAILS(mica_softmax(SCALAR(F32), 0), "softmax(f32[])", "a scalar has no axes");
  CHECK_FAILS(mica_softmax(I32(2), 0), "softmax(i32[2])", "dtype i32 is not supported",
              "mica_convert first");
  CHECK_FAILS(mica_log_softmax(F32(2), -2), "log_softmax(f32[2])", "axis -2 does not exist");
  CHECK_FAILS(mica_logsumexp(I32(2), MICA_ALL), "logsumexp(i32[2])",
              "expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_logsumexp(F32(2), MICA_AXES(1)), "logsumexp(f32[2])", "axis 1 does not exist");
}

TEST(one_hot) {
  CHECK_TYPE(mica_one_hot(I32(2, 3), 5, MICA_F32), "f32[2, 3, 5]");
  CHECK_TYPE(mica_one_hot(SCALAR(U8), 300, MICA_BOOL), "bool[300]");
  CHECK_TYPE(mica_one_hot(I32(2), 0, MICA_C64), "c64[2, 0]");
  CHECK_FAILS(mica_one_hot(F32(2), 5, MICA_F32), "one_hot(f32[2])",
              "expected i8 to i64 or u8 to u64");
  CHECK_FAILS(mica_one_hot(I32(2), -1, MICA_F32), "one_hot(i32[2])",
              "depth -1: expected at least 0");
  CHECK_FAILS(mica_one_hot(I32(2), 5, MICA_DTYPE_NONE), "one_hot(i32[2])", "dtype 0 is unknown");
  CHECK_FAILS(mica_one_hot(I32(1, 1, 1, 1, 1, 1, 1, 1), 5, MICA_F32),
              "rank 9 is outside of 0 to 8");
}

TEST(cross_entropy) {
  CHECK_TYPE(mica_softmax_cross_entropy(F32(4, 10), I32(4)), "f32[4]");
  CHECK_TYPE(mica_softmax_cross_entropy(F32(2, 4, 10), LABELS(I64, 2, 4)), "f32[2, 4]");
  CHECK_TYPE(mica_softmax_cross_entropy(F32(10), SCALAR(I32)), "f32[]");
  CHECK_FAILS(mica_softmax_cross_entropy(F32(4, 10), I32(10)),
              "softmax_cross_entropy(f32[4, 10], i32[10])",
              "operand 1 is the labels: expected shape [4]");
  CHECK_FAILS(mica_softmax_cross_entropy(F32(4, 10), F32(4)),
              "softmax_cross_entropy(f32[4, 10], f32[4])", "expected dtype i32 or i64");
  CHECK_FAILS(mica_softmax_cross_entropy(SCALAR(F32), SCALAR(I32)), "operand 0 is a scalar",
              "expected logits [..., classes]");
  CHECK_FAILS(mica_softmax_cross_entropy(I32(4, 2), I32(4)), "expected f16, bf16, f32 or f64");
}

static mica_value gradient(const char *name, mica_value a, mica_value b, mica_value c,
                           const char *attributes) {
  return mica_build_operator(a.graph, name, (mica_value[]){a, b, c}, 3, attributes);
}
TEST(gradients) {
  const char *loss = "softmax_cross_entropy_gradient", *norm = "layer_norm_gradient";
  CHECK_TYPE(gradient(loss, F32(4, 10), I32(4), F32(4), NULL), "f32[4, 10]");
  CHECK_FAILS(gradient(loss, F32(4, 10), I32(4), F32(10), NULL),
              "softmax_cross_entropy_gradient(f32[4, 10], i32[4], f32[10])",
              "operand 2 is the slope: expected f32[4]");
  CHECK_FAILS(gradient(loss, F32(4, 10), F32(4), F32(4), NULL), "expected dtype i32 or i64");
  CHECK_FAILS(gradient(loss, F32(4, 10), I32(10), F32(4), NULL), "expected shape [4]");
  CHECK_TYPE(gradient(norm, F32(2, 3), F32(3), F32(2, 3), "epsilon=0"), "f32[2, 3]");
  CHECK_FAILS(gradient(norm, F32(2, 3), F32(2), F32(2, 3), "epsilon=0"),
              "layer_norm_gradient(f32[2, 3], f32[2], f32[2, 3])",
              "operand 1 is the scale: expected f32[3]");
  CHECK_FAILS(gradient(norm, F32(2, 3), F32(3), F32(3), "epsilon=0"),
              "operand 2 is dy: expected f32[2, 3]");
  CHECK_FAILS(gradient(norm, F32(2, 3), F32(3), F32(2, 3), "epsilon=-1"), "epsilon -1");
}

TEST(layer_norm) {
  CHECK_TYPE(mica_layer_norm(F32(2, 3), F32(3), F32(3), 1e-5), "f32[2, 3]");
  CHECK_TYPE(mica_layer_norm(F32(2, 3), (mica_value){0}, F32(3), 0), "f32[2, 3]");
  CHECK_TYPE(mica_layer_norm(F32(3), (mica_value){0}, (mica_value){0}, 1e-5), "f32[3]");
  CHECK_FAILS(mica_layer_norm(F32(2, 3), F32(2), (mica_value){0}, 1e-5),
              "layer_norm(f32[2, 3], f32[2], f32[3])", "operand 1 is the scale: expected f32[3]");
  CHECK_FAILS(mica_layer_norm(F32(2, 3), F32(3), I32(3), 1e-5),
              "layer_norm(f32[2, 3], f32[3], i32[3])", "operand 2 is the bias: expected f32[3]");
  CHECK_FAILS(mica_layer_norm(SCALAR(F32), (mica_value){0}, (mica_value){0}, 1e-5), "x is a scalar",
              "expected at least one axis");
  CHECK_FAILS(mica_layer_norm(F32(3), (mica_value){0}, (mica_value){0}, -1), "layer_norm(f32[3]",
              "epsilon -1", "at least 0");
  CHECK_FAILS(mica_layer_norm(F32(3), (mica_value){0}, (mica_value){0}, NAN), "epsilon nan");
  CHECK_FAILS(mica_layer_norm(I32(3), (mica_value){0}, (mica_value){0}, 1e-5), "layer_norm(i32[3]",
              "expected f16, bf16, f32 or f64");
}

TEST(attention) {
  CHECK_TYPE(mica_attention(F32(2, 5, 4), F32(2, 6, 4), F32(2, 6, 3)), "f32[2, 5, 3]");
  CHECK_TYPE(mica_attention(F32(5, 4), F32(6, 4), F32(6, 3), .causal = true, .scale = 2),
             "f32[5, 3]");
  CHECK_TYPE(mica_attention(F32(2, 5, 4), F32(2, 6, 4), F32(2, 6, 3), .mask = BOOL(6)),
             "f32[2, 5, 3]");
  CHECK_TYPE(mica_attention(F32(2, 5, 4), F32(2, 6, 4), F32(2, 6, 3), .mask = BOOL(2, 1, 6)),
             "f32[2, 5, 3]");
  CHECK_FAILS(mica_attention(F32(4), F32(4), F32(4)), "attention(f32[4], f32[4], f32[4])",
              "q has rank 1", "expected q [..., tq, d]");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(1, 6, 4), F32(6, 3)),
              "k and v have rank 3 and 2: expected 2");
  CHECK_FAILS(mica_attention(F32(2, 5, 4), F32(3, 6, 4), F32(2, 6, 3)),
              "axis 0 of q, k and v has sizes 2, 3, 2");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(6, 5), F32(6, 3)),
              "last axes of q and k have sizes 4 and 5");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(6, 4), F32(7, 3)),
              "k has 6 rows and v 7: expected equally many");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(6, 4), I32(6, 3)), "different dtypes", "mica_convert");
  CHECK_FAILS(mica_attention(I32(5, 4), I32(6, 4), I32(6, 3)), "expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(6, 4), F32(6, 3), .mask = BOOL(6, 5)),
              "attention(f32[5, 4], f32[6, 4], f32[6, 3], bool[6, 5])",
              "operand 3 is the mask: expected bool[5, 6]");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(6, 4), F32(6, 3), .mask = BOOL(3, 5, 6)),
              "expected bool[5, 6]");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(6, 4), F32(6, 3), .mask = F32(5, 6)),
              "expected bool[5, 6]");
  CHECK_FAILS(mica_attention(F32(5, 4), F32(6, 4), F32(6, 3), .scale = INFINITY), "scale inf",
              "expected a finite number");
  mica_graph *g = scoped_graph();
  mica_value y = mica_attention(F32(5, 16), F32(6, 16), F32(6, 3));
  CHECK_NEAR(((const mica_attention_attr *)mica_node_at(g, y.id)->attr)->scale, 0.25, 0);
  CHECK(!mica_is_valid(mica_attention_with(NULL)));
  mica_graph_destroy(g);
}

/* A composite in vmap stays one node of the same operator, and its gradient can be built inside
 * as well. */
TEST(batched_composites_stay_whole) {
  static const mica_op ops[] = {MICA_OP_SOFTMAX,
                                MICA_OP_LOG_SOFTMAX,
                                MICA_OP_LAYER_NORM,
                                MICA_OP_ATTENTION,
                                MICA_OP_SOFTMAX_CROSS_ENTROPY,
                                MICA_OP_ONE_HOT,
                                MICA_OP_GELU,
                                MICA_OP_RELU};
  for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
    mica_graph *g = scoped_graph();
    mica_value in[2] = {F32(7, 4, 3), I32(7, 4)}, out;
    mica_region each = mica_vmap_begin(g, in, NULL, 2);
    mica_value x = mica_argument(each, 0), labels = mica_argument(each, 1), none = {0};
    mica_value result = ops[i] == MICA_OP_SOFTMAX       ? mica_softmax(x, 0)
                        : ops[i] == MICA_OP_LOG_SOFTMAX ? mica_log_softmax(x, 0)
                        : ops[i] == MICA_OP_LAYER_NORM  ? mica_layer_norm(x, none, none, 1e-5)
                        : ops[i] == MICA_OP_ATTENTION   ? mica_attention(x, x, x, .causal = true)
                        : ops[i] == MICA_OP_SOFTMAX_CROSS_ENTROPY
                            ? mica_softmax_cross_entropy(x, labels)
                        : ops[i] == MICA_OP_ONE_HOT ? mica_one_hot(labels, 3, MICA_F32)
                        : ops[i] == MICA_OP_GELU    ? mica_gelu(x)
                                                    : mica_relu(x);
    mica_shape example = mica_shape_of(result);
    uint32_t before = g->count;
    mica_vmap_end(each, &result, 1, &out);
    mica_error error = {0};
    CHECK_OK_ERROR(mica_graph_status(g, &error), &error);
    CHECK_EQ_INT(mica_rank_of(out), example.rank + 1);
    CHECK_EQ_INT(mica_dim_of(out, 0), 7);
    int whole = 0;
    for (uint32_t id = before; id < g->count; id++) whole += g->nodes[id].op == ops[i];
    if (!CHECK_EQ_INT(whole, 1))
      CHECK_FAIL("%s did not stay whole", mica_op_definition(ops[i])->name);
    mica_graph_destroy(g);
  }
}

TEST(random_numbers) {
  CHECK_TYPE(mica_random_key(g, 7), "u32[2]");
  CHECK_TYPE(mica_random_fold(mica_random_key(g, 7), SCALAR(I32)), "u32[2]");
  CHECK_TYPE(mica_random_fold(mica_random_key(g, 7), SCALAR(U64)), "u32[2]");
  CHECK_TYPE(mica_random_fold_number(mica_random_key(g, 7), 3), "u32[2]");
  CHECK_TYPE(mica_random_bits(mica_random_key(g, 7), MICA_DIMS(2, 3)), "u32[2, 3]");
  CHECK_TYPE(mica_random_bits(LABELS(U32, 5, 2), MICA_DIMS(3)), "u32[5, 3]");
  CHECK_TYPE(mica_random_uniform(mica_random_key(g, 7), ((mica_type){MICA_F16, MICA_DIMS(3)})),
             "f16[3]");
  CHECK_TYPE(mica_random_uniform(mica_random_key(g, 7), ((mica_type){MICA_F64, MICA_DIMS(2, 0)})),
             "f64[2, 0]");
  CHECK_TYPE(mica_random_normal(mica_random_key(g, 7), ((mica_type){MICA_F32, MICA_SCALAR})),
             "f32[]");
  CHECK_TYPE(mica_random_normal(mica_random_key(g, 7),
                                ((mica_type){MICA_F64, MICA_DIMS(1, 1, 1, 1, 1, 1, 1, 2)})),
             "f64[1, 1, 1, 1, 1, 1, 1, 2]");
  CHECK_TYPE(mica_random_normal(LABELS(U32, 5, 2), ((mica_type){MICA_BF16, MICA_DIMS(3)})),
             "bf16[5, 3]");
  CHECK_TYPE(mica_random_bernoulli(mica_random_key(g, 7), 1, MICA_DIMS(4)), "bool[4]");
  CHECK_TYPE(mica_random_bernoulli(mica_random_key(g, 7), 0.3, MICA_DIMS(4)), "bool[4]");
}

TEST(random_messages) {
  CHECK_FAILS(mica_random_bits(I32(2), MICA_DIMS(3)), "random_bits(i32[2])",
              "dtype i32 is not supported", "expected u32[2] (mica_random_key makes it)");
  CHECK_FAILS(mica_random_bits(LABELS(U32, 3), MICA_DIMS(3)), "random_bits(u32[3])",
              "operand 0 is the key");
  CHECK_FAILS(mica_random_bits(SCALAR(U32), MICA_DIMS(3)), "random_bits(u32[])",
              "operand 0 is the key");
  CHECK_FAILS(mica_random_bits(mica_random_key(g, 1), MICA_DIMS(-3)), "random_bits(u32[2])",
              "negative size at axis 0");
  CHECK_FAILS(mica_random_bits(mica_random_key(g, 1), ((mica_shape){.rank = 12})),
              "rank 12 is outside of 0 to 8");
  CHECK_FAILS(mica_random_bits(LABELS(U32, 5, 2), MICA_DIMS(1, 1, 1, 1, 1, 1, 1, 1)),
              "rank 9 is outside");
  CHECK_FAILS(mica_random_fold(I32(2), SCALAR(I32)), "random_fold(i32[2])", "operand 0 is the key");
  CHECK_FAILS(mica_random_fold(mica_random_key(g, 1), SCALAR(F32)), "random_fold(u32[2], f32[])",
              "operand 1 is the number", "expected an integer []");
  CHECK_FAILS(mica_random_fold(mica_random_key(g, 1), I32(2)), "random_fold(u32[2], i32[2])",
              "operand 1 is the number");
  CHECK_FAILS(mica_random_fold_number(F32(2), 1), "random_fold_number(f32[2])",
              "operand 0 is the key");
  CHECK_FAILS(mica_random_uniform(F32(2), ((mica_type){MICA_F32, MICA_DIMS(3)})),
              "random_uniform(f32[2])", "operand 0 is the key");
  CHECK_FAILS(mica_random_uniform(mica_random_key(g, 1), ((mica_type){MICA_I32, MICA_DIMS(3)})),
              "random_uniform(u32[2])", "dtype i32: expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_random_normal(mica_random_key(g, 1), ((mica_type){MICA_C64, MICA_DIMS(3)})),
              "random_normal(u32[2])", "dtype c64: expected f16, bf16, f32 or f64");
  CHECK_FAILS(mica_random_normal(mica_random_key(g, 1), ((mica_type){MICA_F32, MICA_DIMS(-3)})),
              "random_normal(u32[2])", "the shape [-3]", "expected sizes >= 0");
  CHECK_FAILS(mica_random_bernoulli(mica_random_key(g, 1), 1.5, MICA_DIMS(3)),
              "random_bernoulli(u32[2])", "probability 1.5: expected 0 to 1");
  CHECK_FAILS(mica_random_bernoulli(mica_random_key(g, 1), NAN, MICA_DIMS(3)), "probability nan");
}

/* Examples that share a key draw with keys of their own; those that bring one use it as it is. */
TEST(vmap_folds_shared_keys) {
  for (int own = 0; own < 2; own++) {
    mica_graph *g = scoped_graph();
    mica_value key = own ? LABELS(U32, 5, 2) : mica_random_key(g, 1), x = F32(5), out;
    mica_region each = mica_vmap_begin(g, (mica_value[]){x, key}, (int32_t[]){0, own ? 0 : -1}, 2);
    mica_value bits = mica_random_bits(mica_argument(each, 1), MICA_DIMS(3));
    mica_vmap_end(each, &bits, 1, &out);
    CHECK_OK(mica_graph_status(g, NULL));
    CHECK(mica_shape_equal(mica_shape_of(out), MICA_DIMS(5, 3)));
    mica_value used = mica_value_of(g, mica_node_operands(g, mica_node_at(g, out.id))[0]);
    CHECK(mica_shape_equal(mica_shape_of(used), MICA_DIMS(5, 2)));
    CHECK_EQ_INT(mica_node_at(g, used.id)->op, own ? MICA_OP_PARAMETER : MICA_OP_XOR);
    mica_graph_destroy(g);
  }
}

TEST_MAIN(TEST_CASE(softmax_family), TEST_CASE(one_hot), TEST_CASE(cross_entropy),
          TEST_CASE(gradients), TEST_CASE(layer_norm), TEST_CASE(attention),
          TEST_CASE(batched_composites_stay_whole), TEST_CASE(random_numbers),
          TEST_CASE(random_messages), TEST_CASE(vmap_folds_shared_keys))
