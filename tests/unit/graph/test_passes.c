/* SPDX-License-Identifier: Apache-2.0 */
/* What each pass makes of a program, text against text. That values stay is tested in
 * test_passes_values.c. */
#include "unit/graph/ops_testing.h"

#include "graph/attributes.h"

typedef mica_status graph_pass(const mica_graph *from, mica_graph *to, mica_error *error);

static mica_status expand_all(const mica_graph *from, mica_graph *to, mica_error *error) {
  return mica_pass_expand(from, to, NULL, NULL, error);
}

/* The program after a pass (and after drop, which leaves out what became useless) is `expected`. */
static void check_pass(graph_pass *pass, bool then_drop, const char *program, const char *expected,
                       int line) {
  mica_graph *from = NULL, *to = mica_graph_create(NULL), *rest = mica_graph_create(NULL);
  mica_error error = {0};
  mica_status status = mica_graph_parse(NULL, program, strlen(program), &from, &error);
  if (status == MICA_OK) status = pass(from, to, &error);
  if (status == MICA_OK) status = mica_graph_verify(to, &error);
  if (status == MICA_OK && then_drop) status = mica_pass_drop(to, rest, &error);
  if (status == MICA_OK && then_drop) status = mica_graph_verify(rest, &error);
  check_status((int)status, 0, error.message, "pass", __FILE__, line);
  char *text = graph_text(then_drop ? rest : to);
  check_str(text, expected, "program", __FILE__, line);
  free(text);
  mica_graph_destroy(from);
  mica_graph_destroy(to);
  mica_graph_destroy(rest);
}
#define CHECK_PASS(pass, program, expected) \
  check_pass(pass, false, "mica 1\n" program, "mica 1\n" expected, __LINE__)
#define CHECK_PASS_AND_DROP(pass, program, expected) \
  check_pass(pass, true, "mica 1\n" program, "mica 1\n" expected, __LINE__)

#define X "%0 = parameter() {index=0, dtype=f32, shape=[4, 3]} : f32[4, 3]\n"
#define Y "%1 = parameter() {index=1, dtype=f32, shape=[4, 3]} : f32[4, 3]\n"
#define B "%0 = parameter() {index=0, dtype=bool, shape=[4, 3]} : bool[4, 3]\n"
#define K "%0 = parameter() {index=0, dtype=i32, shape=[4, 3]} : i32[4, 3]\n"

/* A rewriting of one parameter: `body` numbers from %1 on. */
#define CHECK_SIMPLIFIED(parameter, body, expected) \
  CHECK_PASS_AND_DROP(mica_pass_simplify, parameter body, parameter expected)
#define CHECK_KEPT(parameter, body) CHECK_SIMPLIFIED(parameter, body, body)

/* ---- drop ------------------------------------------------------------------------------------ */

TEST(drops_unused_nodes) {
  CHECK_PASS(mica_pass_drop,
             X Y
             "%2 = add(%0, %1) : f32[4, 3]\n"
             "%3 = mul(%0, %1) : f32[4, 3]\n"
             "%4 = exp(%3) : f32[4, 3]\n"
             "return %2\n",
             X Y
             "%2 = add(%0, %1) : f32[4, 3]\n"
             "return %2\n");
}

TEST(drops_states_that_feed_themselves_only) {
  CHECK_PASS(mica_pass_drop,
             X
             "%1 = constant() {value=i32[] 0} : i32[]\n"
             "%2 = constant() {value=f32[3] 0x000000000000000000000000} : f32[3]\n"
             "%3 = sin(%2) : f32[3]\n"
             "%10, %11, %12, %13 = scan(%1, %2, %0; %3) {length=4, carry_count=2, reverse=false} : "
             "i32[], f32[3], "
             "f32[4, 3], f32[4] {\n"
             "  region(%4: i32[], %5: f32[3], %6: f32[3]; %14: f32[3]) {\n"
             "    %7 = add(%4, %4) : i32[]\n"
             "    %8 = add(%5, %6) : f32[3]\n"
             "    %15 = add(%6, %14) : f32[3]\n"
             "    %16 = reduce(%8) {kind=sum, axes=[0]} : f32[]\n"
             "    return %7, %8, %15, %16\n"
             "  }\n"
             "}\n"
             "return %13\n",
             X
             "%1 = constant() {value=f32[3] 0x000000000000000000000000} : f32[3]\n"
             "%6, %7 = scan(%1, %0;) {length=4, carry_count=1, reverse=false} : f32[3], f32[4] {\n"
             "  region(%2: f32[3], %3: f32[3]) {\n"
             "    %4 = add(%2, %3) : f32[3]\n"
             "    %5 = reduce(%4) {kind=sum, axes=[0]} : f32[]\n"
             "    return %4, %5\n"
             "  }\n"
             "}\n"
             "return %7\n");
}

/* The condition needs the counter, the counter nothing else; what the body does with x is not
 * needed. */
TEST(drops_states_of_while) {
  CHECK_PASS(
      mica_pass_drop,
      X
      "%1 = constant() {value=i32[] 0} : i32[]\n"
      "%2 = constant() {value=i32[] 5} : i32[]\n"
      "%12, %13, %14 = while(%1, %0, %2; %2;) {max_iterations=9} : i32[], f32[4, 3], i32[] {\n"
      "  region(%3: i32[], %4: f32[4, 3], %5: i32[]; %6: i32[]) {\n"
      "    %7 = compare(%3, %6) {kind=lt} : bool[]\n"
      "    return %7\n"
      "  }\n"
      "  region(%8: i32[], %9: f32[4, 3], %10: i32[]) {\n"
      "    %11 = add(%8, %8) : i32[]\n"
      "    %15 = sin(%9) : f32[4, 3]\n"
      "    return %11, %15, %10\n"
      "  }\n"
      "}\n"
      "return %12\n",
      X
      "%1 = constant() {value=i32[] 0} : i32[]\n"
      "%2 = constant() {value=i32[] 5} : i32[]\n"
      "%8 = while(%1; %2;) {max_iterations=9} : i32[] {\n"
      "  region(%3: i32[]; %4: i32[]) {\n"
      "    %5 = compare(%3, %4) {kind=lt} : bool[]\n"
      "    return %5\n"
      "  }\n"
      "  region(%6: i32[]) {\n"
      "    %7 = add(%6, %6) : i32[]\n"
      "    return %7\n"
      "  }\n"
      "}\n"
      "return %8\n");
}

TEST(drops_results_of_switch) {
  CHECK_PASS(mica_pass_drop,
             X
             "%1 = parameter() {index=1, dtype=i32, shape=[]} : i32[]\n"
             "%2 = exp(%0) : f32[4, 3]\n"
             "%6, %7 = switch(%1; %2, %0; %0) : f32[4, 3], f32[4, 3] {\n"
             "  region(; %3: f32[4, 3], %4: f32[4, 3]) {\n"
             "    return %3, %4\n"
             "  }\n"
             "  region(; %5: f32[4, 3]) {\n"
             "    return %5, %5\n"
             "  }\n"
             "}\n"
             "return %7\n",
             X
             "%1 = parameter() {index=1, dtype=i32, shape=[]} : i32[]\n"
             "%4 = switch(%1; %0; %0) : f32[4, 3] {\n"
             "  region(; %2: f32[4, 3]) {\n"
             "    return %2\n"
             "  }\n"
             "  region(; %3: f32[4, 3]) {\n"
             "    return %3\n"
             "  }\n"
             "}\n"
             "return %4\n");
}

/* A marked value is reported although nothing uses it, and so the loop around it runs. */
TEST(keeps_effects) {
  CHECK_PASS(mica_pass_drop,
             X
             "%1 = constant() {value=f32[] 0} : f32[]\n"
             "%5 = scan(%1, %0;) {length=4, carry_count=1, reverse=false} : f32[] {\n"
             "  region(%2: f32[], %3: f32[3]) {\n"
             "    %4 = mark(%3) {label=\"row\"} : f32[3]\n"
             "    return %2\n"
             "  }\n"
             "}\n"
             "return %0\n",
             X
             "%1 = constant() {value=f32[] 0} : f32[]\n"
             "%5 = scan(%1, %0;) {length=4, carry_count=1, reverse=false} : f32[] {\n"
             "  region(%2: f32[], %3: f32[3]) {\n"
             "    %4 = mark(%3) {label=\"row\"} : f32[3]\n"
             "    return %2\n"
             "  }\n"
             "}\n"
             "return %0\n");
}

/* ---- share ----------------------------------------------------------------------------------- */

TEST(shares_equal_nodes) {
  CHECK_PASS_AND_DROP(mica_pass_share,
                      X Y
                      "%2 = add(%0, %1) : f32[4, 3]\n"
                      "%3 = add(%1, %0) : f32[4, 3]\n" /* the order does not matter */
                      "%4 = sub(%2, %3) : f32[4, 3]\n"
                      "%5 = sub(%3, %0) : f32[4, 3]\n" /* here it does */
                      "%6 = sub(%0, %2) : f32[4, 3]\n"
                      "return %4, %5, %6\n",
                      X Y
                      "%2 = add(%0, %1) : f32[4, 3]\n"
                      "%3 = sub(%2, %2) : f32[4, 3]\n"
                      "%4 = sub(%2, %0) : f32[4, 3]\n"
                      "%5 = sub(%0, %2) : f32[4, 3]\n"
                      "return %3, %4, %5\n");
  CHECK_PASS_AND_DROP(mica_pass_share,
                      X
                      "%1 = reduce(%0) {kind=sum, axes=[0]} : f32[3]\n"
                      "%2 = reduce(%0) {kind=max, axes=[0]} : f32[3]\n"
                      "%3 = reduce(%0) {kind=sum, axes=[0]} : f32[3]\n"
                      "return %1, %2, %3\n",
                      X
                      "%1 = reduce(%0) {kind=sum, axes=[0]} : f32[3]\n"
                      "%2 = reduce(%0) {kind=max, axes=[0]} : f32[3]\n"
                      "return %1, %2, %1\n");
}

TEST(shares_nothing_across_barriers) {
  CHECK_PASS_AND_DROP(mica_pass_share,
                      X
                      "%1 = exp(%0) : f32[4, 3]\n"
                      "%2 = barrier(%0) : f32[4, 3]\n"
                      "%3 = exp(%2) : f32[4, 3]\n"
                      "%4 = barrier(%0) : f32[4, 3]\n"
                      "%5 = exp(%4) : f32[4, 3]\n"
                      "return %1, %3, %5\n",
                      X
                      "%1 = exp(%0) : f32[4, 3]\n"
                      "%2 = barrier(%0) : f32[4, 3]\n"
                      "%3 = exp(%2) : f32[4, 3]\n"
                      "%4 = barrier(%0) : f32[4, 3]\n"
                      "%5 = exp(%4) : f32[4, 3]\n"
                      "return %1, %3, %5\n");
}

/* An expensive value of the block is taken from outside, a cheap one is computed again; equal
 * loops are one. */
TEST(shares_with_care_for_regions) {
#define LOOP(out, a, b, c, d, e, f)                                          \
  "%" #out                                                                   \
  " = scan(%1, %0; %0) {length=4, carry_count=1, reverse=false} : f32[] {\n" \
  "  region(%" #a ": f32[], %" #b ": f32[3]; %" #c                           \
  ": f32[4, 3]) {\n"                                                         \
  "    %" #d " = reduce(%" #c                                                \
  ") {kind=sum, axes=[0, 1]} : f32[]\n"                                      \
  "    %" #e " = exp(%" #c                                                   \
  ") : f32[4, 3]\n"                                                          \
  "    %" #f " = reduce(%" #e                                                \
  ") {kind=sum, axes=[0, 1]} : f32[]\n"                                      \
  "    %3" #f " = add(%" #d ", %" #f                                         \
  ") : f32[]\n"                                                              \
  "    return %3" #f                                                         \
  "\n"                                                                       \
  "  }\n"                                                                    \
  "}\n"
  CHECK_PASS_AND_DROP(mica_pass_share,
                      X
                      "%1 = reduce(%0) {kind=sum, axes=[0, 1]} : f32[]\n"
                      "%2 = exp(%0) : f32[4, 3]\n" LOOP(9, 3, 4, 5, 6, 7, 8)
                          LOOP(19, 13, 14, 15, 16, 17, 18) "return %2, %9, %19\n",
                      X
                      "%1 = reduce(%0) {kind=sum, axes=[0, 1]} : f32[]\n"
                      "%2 = exp(%0) : f32[4, 3]\n"
                      "%9 = scan(%1; %0, %1) {length=4, carry_count=1, reverse=false} : f32[] {\n"
                      "  region(%3: f32[]; %4: f32[4, 3], %5: f32[]) {\n"
                      "    %6 = exp(%4) : f32[4, 3]\n"
                      "    %7 = reduce(%6) {kind=sum, axes=[0, 1]} : f32[]\n"
                      "    %8 = add(%5, %7) : f32[]\n"
                      "    return %8\n"
                      "  }\n"
                      "}\n"
                      "return %2, %9, %9\n");
#undef LOOP
}

/* ---- expand ---------------------------------------------------------------------------------- */

TEST(expands_and_inlines) {
  CHECK_PASS(expand_all,
             X
             "%3 = call(%0;) : f32[4, 3] {\n"
             "  region(%1: f32[4, 3]) {\n"
             "    %2 = relu(%1) : f32[4, 3]\n"
             "    return %2\n"
             "  }\n"
             "}\n"
             "return %3\n",
             X
             "%1 = constant() {value=f32[] 0} : f32[]\n"
             "%2 = broadcast(%1) {shape=[4, 3], axes=[]} : f32[4, 3]\n"
             "%3 = max(%0, %2) : f32[4, 3]\n"
             "return %3\n");
}

static bool keep_softmax(void *context, const mica_graph *graph, uint32_t id) {
  ++*(int *)context;
  return graph->nodes[id].op == MICA_OP_SOFTMAX;
}

/* Attention is made of a softmax: composites inside of expansions are offered, too. */
TEST(expands_what_expansions_hold) {
  for (int keeps = 0; keeps < 2; keeps++) {
    mica_graph *g = mica_graph_create(NULL), *to = mica_graph_create(NULL);
    int asked = 0;
    mica_error error = {0};
    mica_value out = mica_attention(F32(5, 4), F32(6, 4), F32(6, 3));
    mica_graph_set_outputs(g, &out, 1);
    CHECK_OK_ERROR(mica_pass_expand(g, to, keeps ? keep_softmax : NULL, &asked, &error), &error);
    CHECK_OK_ERROR(mica_graph_verify(to, &error), &error);
    CHECK_EQ_INT(count_nodes(to, MICA_OP_SOFTMAX), keeps);
    CHECK(keeps == (asked > 0));
    for (uint32_t id = 1; id < to->count; id++)
      if (to->nodes[id].op != MICA_OP_SOFTMAX)
        CHECK(!mica_op_definition((mica_op)to->nodes[id].op)->expand);
    mica_graph_destroy(g);
    mica_graph_destroy(to);
  }
}

/* ---- simplify -------------------------------------------------------------------------------- */

#define ZERO                                                                                      \
  "%1 = constant() {value=f32[] 0} : f32[]\n%2 = broadcast(%1) {shape=[4, 3], axes=[]} : f32[4, " \
  "3]\n"
#define MINUS_ZERO                                                                                 \
  "%1 = constant() {value=f32[] -0} : f32[]\n%2 = broadcast(%1) {shape=[4, 3], axes=[]} : f32[4, " \
  "3]\n"
#define ONE                                                                                       \
  "%1 = constant() {value=f32[] 1} : f32[]\n%2 = broadcast(%1) {shape=[4, 3], axes=[]} : f32[4, " \
  "3]\n"
#define ZERO_K                                                                                    \
  "%1 = constant() {value=i32[] 0} : i32[]\n%2 = broadcast(%1) {shape=[4, 3], axes=[]} : i32[4, " \
  "3]\n"

TEST(simplifies_arithmetic) {
  CHECK_SIMPLIFIED(X, ONE "%3 = mul(%2, %0) : f32[4, 3]\nreturn %3\n", "return %0\n");
  CHECK_SIMPLIFIED(X, ONE "%3 = div(%0, %2) : f32[4, 3]\nreturn %3\n", "return %0\n");
  CHECK_SIMPLIFIED(X, ONE "%3 = pow(%0, %2) : f32[4, 3]\nreturn %3\n", "return %0\n");
  CHECK_SIMPLIFIED(X, ZERO "%3 = sub(%0, %2) : f32[4, 3]\nreturn %3\n", "return %0\n");
  CHECK_SIMPLIFIED(X, "%1 = neg(%0) : f32[4, 3]\n%2 = neg(%1) : f32[4, 3]\nreturn %2\n",
                   "return %0\n");
  CHECK_SIMPLIFIED(X, "%1 = neg(%0) : f32[4, 3]\n%2 = mul(%1, %1) : f32[4, 3]\nreturn %2\n",
                   "%1 = mul(%0, %0) : f32[4, 3]\nreturn %1\n");
  CHECK_SIMPLIFIED(X,
                   "%1 = neg(%0) : f32[4, 3]\n%2 = exp(%0) : f32[4, 3]\n%3 = add(%1, %2) : f32[4, "
                   "3]\nreturn %3\n",
                   "%1 = exp(%0) : f32[4, 3]\n%2 = sub(%1, %0) : f32[4, 3]\nreturn %2\n");
  CHECK_SIMPLIFIED(X, "%1 = stop_gradient(%0) : f32[4, 3]\nreturn %1\n", "return %0\n");
  CHECK_SIMPLIFIED(X, "%1 = max(%0, %0) : f32[4, 3]\nreturn %1\n", "return %0\n");
  CHECK_SIMPLIFIED(B, "%1 = not(%0) : bool[4, 3]\n%2 = not(%1) : bool[4, 3]\nreturn %2\n",
                   "return %0\n");
  CHECK_SIMPLIFIED(
      K, ZERO_K "%3 = mul(%0, %2) : i32[4, 3]\n%4 = add(%0, %2) : i32[4, 3]\nreturn %3, %4\n",
      ZERO_K "return %2, %0\n");
  /* Division by a power of two is exact by its reciprocal. */
  CHECK_SIMPLIFIED(X,
                   "%1 = constant() {value=f32[] 8} : f32[]\n%2 = broadcast(%1) {shape=[4, 3], "
                   "axes=[]} : f32[4, 3]\n"
                   "%3 = div(%0, %2) : f32[4, 3]\nreturn %3\n",
                   "%1 = constant() {value=f32[] 0.125} : f32[]\n"
                   "%2 = broadcast(%1) {shape=[4, 3], axes=[]} : f32[4, 3]\n"
                   "%3 = mul(%0, %2) : f32[4, 3]\nreturn %3\n");
}

/* What would change a signed zero, a NaN or a rounding stays. */
TEST(keeps_bits) {
  CHECK_KEPT(X, ZERO "%3 = add(%0, %2) : f32[4, 3]\nreturn %3\n");       /* -0 + 0 is 0 */
  CHECK_KEPT(X, ZERO "%3 = mul(%0, %2) : f32[4, 3]\nreturn %3\n");       /* NaN * 0 is NaN */
  CHECK_KEPT(X, ZERO "%3 = sub(%2, %0) : f32[4, 3]\nreturn %3\n");       /* 0 - 0 is 0, not -0 */
  CHECK_KEPT(X, MINUS_ZERO "%3 = sub(%0, %2) : f32[4, 3]\nreturn %3\n"); /* -0 - -0 is 0 */
  CHECK_SIMPLIFIED(X, MINUS_ZERO "%3 = add(%0, %2) : f32[4, 3]\nreturn %3\n", "return %0\n");
  CHECK_KEPT(X, "%1 = sub(%0, %0) : f32[4, 3]\nreturn %1\n");
  CHECK_KEPT(X,
             "%1 = compare(%0, %0) {kind=lt} : bool[4, 3]\n%2 = not(%1) : bool[4, 3]\nreturn %2\n");
  CHECK_KEPT(X,
             "%1 = constant() {value=f32[] 3} : f32[]\n%2 = broadcast(%1) {shape=[4, 3], axes=[]} "
             ": f32[4, 3]\n"
             "%3 = div(%0, %2) : f32[4, 3]\nreturn %3\n");
  CHECK_KEPT(X,
             "%1 = convert(%0) {dtype=f16} : f16[4, 3]\n%2 = convert(%1) {dtype=f32} : f32[4, "
             "3]\nreturn %2\n");
  CHECK_KEPT(K,
             "%1 = convert(%0) {dtype=f64} : f64[4, 3]\n%2 = convert(%1) {dtype=i8} : i8[4, "
             "3]\nreturn %2\n");
}

TEST(simplifies_conversions) {
  CHECK_SIMPLIFIED(X,
                   "%1 = convert(%0) {dtype=f64} : f64[4, 3]\n%2 = convert(%1) {dtype=f32} : "
                   "f32[4, 3]\nreturn %2\n",
                   "return %0\n");
  CHECK_SIMPLIFIED(X,
                   "%1 = convert(%0) {dtype=f64} : f64[4, 3]\n%2 = convert(%1) {dtype=bf16} : "
                   "bf16[4, 3]\nreturn %2\n",
                   "%1 = convert(%0) {dtype=bf16} : bf16[4, 3]\nreturn %1\n");
  CHECK_SIMPLIFIED(K,
                   "%1 = convert(%0) {dtype=i64} : i64[4, 3]\n%2 = convert(%1) {dtype=i8} : i8[4, "
                   "3]\nreturn %2\n",
                   "%1 = convert(%0) {dtype=i8} : i8[4, 3]\nreturn %1\n");
  CHECK_SIMPLIFIED(B,
                   "%1 = convert(%0) {dtype=f32} : f32[4, 3]\n%2 = convert(%1) {dtype=i32} : "
                   "i32[4, 3]\nreturn %2\n",
                   "%1 = convert(%0) {dtype=i32} : i32[4, 3]\nreturn %1\n");
}

TEST(folds_constants) {
  CHECK_PASS_AND_DROP(
      mica_pass_simplify,
      "%0 = constant() {value=f32[] 0.1} : f32[]\n%1 = constant() {value=f32[] 3} : f32[]\n"
      "%2 = mul(%0, %1) : f32[]\n%3 = compare(%0, %1) {kind=lt} : bool[]\n"
      "%4 = select(%3, %2, %1) : f32[]\n%5 = convert(%4) {dtype=i32} : i32[]\nreturn %4, %5\n",
      "%0 = constant() {value=f32[] 0.30000001192092896} : f32[]\n"
      "%1 = constant() {value=i32[] 0} : i32[]\nreturn %0, %1\n");
  /* Splats fold, too; what would wrap does not. */
  CHECK_PASS_AND_DROP(
      mica_pass_simplify,
      "%0 = constant() {value=i8[] 100} : i8[]\n%1 = broadcast(%0) {shape=[2], axes=[]} : i8[2]\n"
      "%2 = add(%1, %1) : i8[2]\n%3 = sub(%1, %1) : i8[2]\nreturn %2, %3\n",
      "%0 = constant() {value=i8[] 100} : i8[]\n%1 = broadcast(%0) {shape=[2], axes=[]} : i8[2]\n"
      "%2 = add(%1, %1) : i8[2]\n"
      "%3 = constant() {value=i8[] 0} : i8[]\n%4 = broadcast(%3) {shape=[2], axes=[]} : i8[2]\n"
      "return %2, %4\n");
}

TEST(simplifies_movement) {
  CHECK_SIMPLIFIED(X,
                   "%1 = transpose(%0) {permutation=[1, 0]} : f32[3, 4]\n"
                   "%2 = transpose(%1) {permutation=[1, 0]} : f32[4, 3]\nreturn %2\n",
                   "return %0\n");
  CHECK_SIMPLIFIED(
      X,
      "%1 = reshape(%0) {shape=[2, 6]} : f32[2, 6]\n%2 = reshape(%1) {shape=[12]} : f32[12]\n"
      "%3 = reshape(%2) {shape=[4, 3]} : f32[4, 3]\nreturn %2, %3\n",
      "%1 = reshape(%0) {shape=[12]} : f32[12]\nreturn %1, %0\n");
  CHECK_SIMPLIFIED(X,
                   "%1 = reshape(%0) {shape=[4, 1, 3]} : f32[4, 1, 3]\n"
                   "%2 = transpose(%1) {permutation=[1, 0, 2]} : f32[1, 4, 3]\nreturn %2\n",
                   "%1 = reshape(%0) {shape=[1, 4, 3]} : f32[1, 4, 3]\nreturn %1\n");
  CHECK_SIMPLIFIED(
      X,
      "%1 = reduce(%0) {kind=max, axes=[1]} : f32[4]\n%2 = reshape(%1) {shape=[4, 1]} : f32[4, 1]\n"
      "%3 = broadcast(%2) {shape=[4, 3], axes=[0, 1]} : f32[4, 3]\nreturn %3\n",
      "%1 = reduce(%0) {kind=max, axes=[1]} : f32[4]\n"
      "%2 = broadcast(%1) {shape=[4, 3], axes=[0]} : f32[4, 3]\nreturn %2\n");
  CHECK_SIMPLIFIED(
      X,
      "%1 = broadcast(%0) {shape=[4, 5, 3], axes=[0, 2]} : f32[4, 5, 3]\n"
      "%2 = broadcast(%1) {shape=[2, 4, 5, 3], axes=[1, 2, 3]} : f32[2, 4, 5, 3]\nreturn %2\n",
      "%1 = broadcast(%0) {shape=[2, 4, 5, 3], axes=[1, 3]} : f32[2, 4, 5, 3]\nreturn %1\n");
  CHECK_SIMPLIFIED(X,
                   "%1 = reverse(%0) {axes=[0]} : f32[4, 3]\n%2 = reverse(%1) {axes=[0, 1]} : "
                   "f32[4, 3]\nreturn %2\n",
                   "%1 = reverse(%0) {axes=[1]} : f32[4, 3]\nreturn %1\n");
  CHECK_SIMPLIFIED(
      X,
      "%1 = slice(%0) {start=[0, 0], limit=[4, 3], stride=[1, 1]} : f32[4, 3]\n"
      "%2 = slice(%1) {start=[1, 0], limit=[4, 3], stride=[2, 1]} : f32[2, 3]\n"
      "%3 = slice(%2) {start=[1, 1], limit=[2, 3], stride=[1, 1]} : f32[1, 2]\nreturn %3\n",
      "%1 = slice(%0) {start=[3, 1], limit=[4, 3], stride=[1, 1]} : f32[1, 2]\nreturn %1\n");
  CHECK_SIMPLIFIED(
      X,
      "%1 = exp(%0) : f32[4, 3]\n%2 = concatenate(%1, %0) {axis=0} : f32[8, 3]\n"
      "%3 = slice(%2) {start=[4, 0], limit=[8, 3], stride=[1, 1]} : f32[4, 3]\nreturn %3\n",
      "return %0\n");
  CHECK_SIMPLIFIED(
      X,
      "%1 = constant() {value=f32[] 7} : f32[]\n"
      "%2 = pad(%0, %1) {low=[0, 0], high=[0, 0], interior=[0, 0]} : f32[4, 3]\nreturn %2\n",
      "return %0\n");
  CHECK_SIMPLIFIED(X, "%1 = concatenate(%0) {axis=0} : f32[4, 3]\nreturn %1\n", "return %0\n");
  CHECK_SIMPLIFIED(
      X,
      "%1 = constant() {value=i32[] 9} : i32[]\n%2 = constant() {value=i32[] -9} : i32[]\n"
      "%3 = dynamic_slice(%0, %1, %2) {sizes=[2, 2]} : f32[2, 2]\nreturn %3\n",
      "%1 = slice(%0) {start=[2, 0], limit=[4, 2], stride=[1, 1]} : f32[2, 2]\nreturn %1\n");
}

TEST(takes_transposes_along) {
  CHECK_SIMPLIFIED(X,
                   "%1 = transpose(%0) {permutation=[1, 0]} : f32[3, 4]\n"
                   "%2 = dot_general(%1, %0) {lhs_batch=[], rhs_batch=[], lhs_contract=[1], "
                   "rhs_contract=[0], dtype=f32} "
                   ": f32[3, 3]\nreturn %2\n",
                   "%1 = dot_general(%0, %0) {lhs_batch=[], rhs_batch=[], lhs_contract=[0], "
                   "rhs_contract=[0], dtype=f32} "
                   ": f32[3, 3]\nreturn %1\n");
  CHECK_SIMPLIFIED(X,
                   "%1 = exp(%0) : f32[4, 3]\n"
                   "%2 = dot_general(%0, %1) {lhs_batch=[], rhs_batch=[], lhs_contract=[0], "
                   "rhs_contract=[0], dtype=f32} "
                   ": f32[3, 3]\n%3 = transpose(%2) {permutation=[1, 0]} : f32[3, 3]\nreturn %3\n",
                   "%1 = exp(%0) : f32[4, 3]\n"
                   "%2 = dot_general(%1, %0) {lhs_batch=[], rhs_batch=[], lhs_contract=[0], "
                   "rhs_contract=[0], dtype=f32} "
                   ": f32[3, 3]\nreturn %2\n");
  CHECK_SIMPLIFIED(X,
                   "%1 = transpose(%0) {permutation=[1, 0]} : f32[3, 4]\n"
                   "%2 = reduce(%1) {kind=sum, axes=[0]} : f32[4]\nreturn %2\n",
                   "%1 = reduce(%0) {kind=sum, axes=[1]} : f32[4]\nreturn %1\n");
  /* A product that is used both ways is not computed twice. */
  CHECK_KEPT(X,
             "%1 = dot_general(%0, %0) {lhs_batch=[], rhs_batch=[], lhs_contract=[0], "
             "rhs_contract=[0], dtype=f32} "
             ": f32[3, 3]\n%2 = transpose(%1) {permutation=[1, 0]} : f32[3, 3]\nreturn %1, %2\n");
}

TEST(picks_known_cases) {
  CHECK_SIMPLIFIED(X,
                   "%1 = constant() {value=i32[] 8} : i32[]\n"
                   "%4 = switch(%1; %0; %0) : f32[4, 3] {\n"
                   "  region(; %2: f32[4, 3]) {\n"
                   "    return %2\n"
                   "  }\n"
                   "  region(; %3: f32[4, 3]) {\n"
                   "    %5 = exp(%3) : f32[4, 3]\n"
                   "    return %5\n"
                   "  }\n"
                   "}\n"
                   "return %4\n",
                   "%1 = exp(%0) : f32[4, 3]\nreturn %1\n");
}

/* A failed graph is refused with its own error, and the target stays usable. */
TEST(refuses_failed_graphs) {
  static graph_pass *const passes[] = {expand_all, mica_pass_simplify, mica_pass_share,
                                       mica_pass_drop};
  for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
    mica_graph *g = scoped_graph(), *to = mica_graph_create(NULL);
    mica_error error = {0};
    mica_fail(g, MICA_INVALID, "no such thing");
    CHECK_STATUS(passes[i](g, to, &error), MICA_INVALID);
    CHECK_STR_CONTAINS(error.message, "no such thing");
    CHECK_OK(mica_graph_status(to, NULL));
    mica_graph_destroy(g);
    mica_graph_destroy(to);
  }
}

TEST_MAIN(TEST_CASE(drops_unused_nodes), TEST_CASE(drops_states_that_feed_themselves_only),
          TEST_CASE(drops_states_of_while), TEST_CASE(drops_results_of_switch),
          TEST_CASE(keeps_effects), TEST_CASE(shares_equal_nodes),
          TEST_CASE(shares_nothing_across_barriers), TEST_CASE(shares_with_care_for_regions),
          TEST_CASE(expands_and_inlines), TEST_CASE(expands_what_expansions_hold),
          TEST_CASE(simplifies_arithmetic), TEST_CASE(keeps_bits),
          TEST_CASE(simplifies_conversions), TEST_CASE(folds_constants),
          TEST_CASE(simplifies_movement), TEST_CASE(takes_transposes_along),
          TEST_CASE(picks_known_cases), TEST_CASE(refuses_failed_graphs))
